#!/usr/bin/env python3
"""The jobs module on a real server, beyond the life of one job: results that are waited for, unique
jobs, leases bound to connections, transactions that happen once, pause, drain, redrive, events.

Usage: test_jobs_queues.py [SERVER MODULES_DIR [NAME...]]

As test_jobs.py, whose words and servers these tests use: the same for redis-server and our own.
"""
import time

import test_jobs as base
from test_jobs import (LOST, NO_JOB, RANGE, WRONGTYPE, crc64, expect, get, pairs, pull, pull_one,
                       push, wait_for)
from resp_client import Error, lacks, run_tests

SYNTAX = "ERR syntax error"
TAKEN = "CONFLICT Another job holds the unique key"
DRAINING = "DRAINING The queue takes no new jobs"


def followers(server, count):
    """Until so many clients wait for news."""
    c = server.client()
    wait_for(lambda: f"jobs_followers:{count}\r" in c("INFO", "everything"))


def stats(c, queue):
    return pairs(c("JOB.STATS", queue))


def events(c, queue, *words):
    reply = pairs(c("JOB.EVENTS", queue, *words))
    return reply["first"], reply["last"], [pairs(event) for event in reply["events"]]


def test_results(server):
    """A result is read at once or waited for, by several, and stays as long as was agreed."""
    c = server.client()
    job_id = push(c, "q", "x")
    expect(c("JOB.RESULT", job_id), None)
    expect(c("JOB.RESULT", job_id, "BLOCK", 20), None)
    waiting = [server.client() for _ in range(3)]
    for w in waiting:
        w.send("JOB.RESULT", job_id, "BLOCK", 0)
    followers(server, 3)
    push(c, "q", "another job changes nothing")
    job = pull_one(c, "q")
    expect(c("JOB.ACK", job_id, job["token"], "sent"), "OK")
    for w in waiting:
        expect(w.read(), ["done", "sent"])
    followers(server, 0)
    expect(c("JOB.RESULT", job_id, "BLOCK", 0), ["done", "sent"])
    job = pull_one(c, "q")
    c("JOB.NACK", job["id"], job["token"], "no such address", "FAIL")
    expect(c("JOB.RESULT", job["id"]), ["failed", "no such address"])
    expect(c.error("JOB.RESULT", "rubbish"), NO_JOB)
    expect(c.error("JOB.RESULT", "q:99-00000000"), NO_JOB)
    c("MULTI")
    c("JOB.RESULT", push(server.client(), "q", "z"), "BLOCK", 0)
    expect(c("EXEC"), [None])


def test_retention(server):
    """The job's word counts before the queue's, that before the setting; the count is bounded."""
    c = server.client()

    def finish(queue, *options):
        push(c, queue, "x", *options)
        job = pull_one(c, queue)
        c("JOB.ACK", job["id"], job["token"], "r")
        return job["id"]

    expect(c("JOB.CONFIG", "q", "KEEP", "0"), "OK")
    expect(stats(c, "q")["keep_ms"], 0)
    expect(c("JOB.GET", finish("q")), None)
    expect(get(c, finish("q", "KEEP", -1))["due_at"], 0)
    expect(c("JOB.CONFIG", "q", "KEEP", "-1"), "OK")
    expect(get(c, finish("q"))["due_at"], 0)
    kept = finish("q", "KEEP", 1)
    wait_for(lambda: c("JOB.GET", kept) is None)
    expect(c("JOB.CONFIG", "q", "KEEP", "-2"), "OK")
    assert get(c, finish("q"))["due_at"] > time.time() * 1000
    c("CONFIG SET jobs.max-results 3")
    ids = [finish("many") for _ in range(6)]
    expect([i for i in ids if get(c, i)], ids[-3:])


def test_progress(server):
    """The holder of a lease tells how far it is; nobody else can; each attempt begins anew."""
    c = server.client()
    job_id = push(c, "q", "x", "VIS", 100)
    job = pull_one(c, "q")
    before = get(c, job_id)["lease_until"]
    expect(c("JOB.PROGRESS", job_id, job["token"], 40, "two of five"), "OK")
    info = get(c, job_id)
    expect((info["progress"], info["progress_text"]), (40, "two of five"))
    expect(info["lease_until"], before)
    expect(c.error("JOB.PROGRESS", job_id, "0" * 32, 50), LOST)
    expect(c.error("JOB.PROGRESS", job_id, job["token"], 101), RANGE)
    expect(c.error("JOB.PROGRESS", job_id, job["token"], 1, "x" * 1025),
           "ERR A text of progress has at most 1024 bytes")
    expect(c("JOB.NACK", job_id, job["token"], "boom", "DELAY", 0), "ready")
    expect(c.error("JOB.PROGRESS", job_id, job["token"], 50), LOST)
    expect(get(c, job_id)["lease_until"], 0)
    pull_one(c, "q")
    expect(get(c, job_id)["progress"], 0)


def test_release(server):
    """A lease that is given back costs no attempt, and wakes who waits."""
    c, waiting = server.client(), server.client()
    job_id = push(c, "q", "x", "MAXTRY", 1)
    job = pull_one(c, "q")
    waiting.send("JOB.PULL", "q", "BLOCK", 0)
    base.blocked(server, 1)
    expect(c("JOB.RELEASE", job_id, job["token"]), "OK")
    again = pairs(waiting.read()[0])
    expect((again["id"], again["attempt"]), (job_id, 1))
    assert again["fence"] > job["fence"]
    expect(c.error("JOB.RELEASE", job_id, job["token"]), LOST)


def test_pause_and_drain(server):
    """A paused queue gives out nothing, a draining one takes nothing; both end with RESUME."""
    c, waiting = server.client(), server.client()
    push(c, "q", 1)
    held = pull_one(c, "q")
    expect(c("JOB.PAUSE q"), "OK")
    expect(stats(c, "q")["paused"], 1)
    push(c, "q", 2)
    expect(pull(c, "q"), [])
    waiting.send("JOB.PULL", "q", "BLOCK", 0)
    base.blocked(server, 1)
    expect(c("JOB.ACK", held["id"], held["token"]), "OK")
    push(c, "q", 3)
    base.blocked(server, 1)
    expect(c("JOB.RESUME q"), "OK")
    expect(pairs(waiting.read()[0])["payload"], "2")
    expect(c("JOB.DRAIN q"), "OK")
    expect(c.error("JOB.PUSH q 4"), DRAINING)
    expect(c.error("JOB.PUSHM q PAYLOADS 4 5"), DRAINING)
    expect(stats(c, "q")["draining"], 1)
    expect(pull_one(c, "q")["payload"], "3")
    expect(c("JOB.RESUME q"), "OK")
    push(c, "q", 4)
    expect((stats(c, "q")["paused"], stats(c, "q")["draining"]), (0, 0))
    expect(c("JOB.PAUSE fresh"), "OK")  # before its first job
    push(c, "fresh", 1)
    expect(pull(c, "fresh"), [])
    expect(c("JOB.RESUME nothing"), "OK")
    expect(c("EXISTS nothing"), 0)


def test_pushm(server):
    """Many jobs at once, all of them within the queue's depth or none, with dedup ids or not."""
    c = server.client()
    replies = c("JOB.PUSHM", "q", "PRI", 3, "PAYLOADS", "a", "b", "c")
    expect([duplicate for _, duplicate in replies], [0, 0, 0])
    expect([job["payload"] for job in pull(c, "q", "COUNT", 9)], ["a", "b", "c"])
    first = c("JOB.PUSHM", "q", "WINDOW", 60, "PAIRS", "i1", "x", "i2", "y", "i1", "z")
    expect([duplicate for _, duplicate in first], [0, 0, 1])
    expect(first[0][0], first[2][0])
    bad = "ERR JOB.PUSHM takes no ID, UNIQUE or STRICT: give dedup ids as PAIRS"
    for words, error in [
            (("UNIQUE", "k", "PAYLOADS", "a"), bad), (("ID", "k", "PAYLOADS", "a"), bad),
            (("PRI", "1"), SYNTAX), (("PAIRS", "a"), SYNTAX),
            (("PAIRS", "", "a"), "ERR A dedup id has 1 to 512 bytes"),
            (("NOPE", "x"), "ERR JOB.PUSHM: an option is unknown, incomplete or out of range"),
            (("PAYLOADS", *["x"] * 1001), "ERR One JOB.PUSHM takes at most 1000 jobs"),
            (("PAYLOADS", *["x" * 1000000] * 40),
             "ERR The payloads of one JOB.PUSHM are at most 32 MiB")]:
        expect(c.error("JOB.PUSHM", "q", *words), error)
    before = stats(c, "q")["pushed"]
    now = stats(c, "q")
    c("CONFIG", "SET", "jobs.max-queue-depth", now["ready"] + now["leased"] + 2)
    expect(c.error("JOB.PUSHM q PAYLOADS a b c"), "ERR The queue is full")
    expect(stats(c, "q")["pushed"], before)
    expect(len(c("JOB.PUSHM q PAYLOADS a b")), 2)


def bury(c, queue, payload, error, *options):
    push(c, queue, payload, "MAXTRY", 1, *options)
    job = pull_one(c, queue)
    expect(c("JOB.NACK", job["id"], job["token"], error), "dead")
    return job["id"]


def test_redrive(server):
    """Dead jobs are tried again, all or those that failed alike, here or in another queue."""
    c = server.client()
    a = bury(c, "q", "a", "connection refused")
    b = bury(c, "q", "b", "bad input")
    bury(c, "q", "c", "connection reset")
    expect(c("JOB.REDRIVE", "q", "ERROR", "connection*", "COUNT", 1), [b.split(":")[1][0], 1])
    expect(pull_one(c, "q")["id"], a)
    expect(c("JOB.REDRIVE", "q", "ERROR", "connection*"), ["0", 1])
    expect(pull_one(c, "q")["payload"], "c")
    waiting = server.client()
    waiting.send("JOB.PULL", "other", "BLOCK", 0)
    base.blocked(server, 1)
    expect(c("JOB.REDRIVE", "q", "TO", "other"), ["0", 1])
    moved = pairs(waiting.read()[0])
    expect((moved["payload"], moved["queue"], moved["attempt"]), ("b", "other", 1))
    expect(c("JOB.GET", b), None)
    expect((stats(c, "q")["redriven"], stats(c, "q")["dead"]), (1, 0))
    expect(c("JOB.REDRIVE", "q", "TO", "unmade"), ["0", 0])
    expect(c("EXISTS unmade"), 0)
    expect(c("COMMAND GETKEYS JOB.REDRIVE q COUNT 3 TO other"), ["q", "other"])
    c("SET s x")
    bury(c, "q", "d", "e")
    for words, error in [
            (("q", "TO", "q"), "ERR Jobs are moved to another queue, not to their own"),
            (("q", "TO", "s"), WRONGTYPE), (("s",), WRONGTYPE),
            (("q", "STATUS", "done"),
             "ERR Only dead, failed and cancelled jobs can be tried again"),
            (("q", "COUNT", "0"), RANGE), (("q", "TO"), SYNTAX),
            (("q", "CURSOR", "x"), "ERR invalid cursor"),
            (("q", "TO", ""), "ERR A queue's name has 1 to 512 bytes")]:
        expect(c.error("JOB.REDRIVE", *words), error)
    c("JOB.DRAIN other")
    expect(c.error("JOB.REDRIVE q TO other"), DRAINING)
    expect(stats(c, "q")["dead"], 1)


def test_unique(server):
    """A unique key keeps others away until its job began, ended or is done; strict is an error."""
    c = server.client()
    job_id = push(c, "q", "x", "UNIQUE", "nightly")
    expect(c("JOB.PUSH q y UNIQUE nightly"), [job_id, 1])
    expect(c.error("JOB.PUSH q y UNIQUE nightly STRICT"),
           f"CONFLICT {job_id} has this dedup id or unique key")
    expect(get(c, job_id)["unique"], "nightly")
    expect(stats(c, "q")["unique_keys"], 1)
    job = pull_one(c, "q")
    expect(c("JOB.PUSH q y UNIQUE nightly"), [job_id, 1])
    c("JOB.ACK", job_id, job["token"])
    expect(c("JOB.PUSH q y UNIQUE nightly UNTIL START")[1], 0)
    pull_one(c, "q")
    expect(c("JOB.PUSH q y UNIQUE nightly UNTIL DONE MAXTRY 1")[1], 0)
    job = pull_one(c, "q")
    expect(c("JOB.NACK", job["id"], job["token"]), "dead")
    expect(c("JOB.PUSH q y UNIQUE nightly UNTIL DONE"), [job["id"], 1])
    dead = bury(c, "q", "z", "boom", "UNIQUE", "other")
    push(c, "q", "z", "UNIQUE", "other")
    expect(c.error("JOB.RETRY", dead), TAKEN)
    first = push(c, "q", "i", "ID", "order-1")
    expect(c.error("JOB.PUSH q i ID order-1 STRICT"),
           f"CONFLICT {first} has this dedup id or unique key")
    bad = "ERR JOB.PUSH: an option is unknown, incomplete or out of range"
    for options in ["UNIQUE", "UNIQUE k UNTIL", "UNIQUE k UNTIL never", "UNIQUE " + "x" * 513,
                    "KEEP -2", "KEEP x"]:
        expect(c.error("JOB.PUSH", "q", "x", *options.split()), bad)


def test_bound(server):
    """A bound lease ends with its connection, at once; others go on until their time."""
    c, worker, timed = server.client(), server.client(), server.client()
    waiting = server.client()
    ids = [push(c, "q", i, "VIS", 600) for i in range(3)]
    held = pull(worker, "q", "COUNT", 2, "BOUND")
    pull_one(timed, "q")
    expect([get(c, i)["bound"] for i in ids], [1, 1, 0])
    expect(worker("JOB.ACK", ids[0], held[0]["token"]), "OK")
    waiting.send("JOB.PULL", "q", "BLOCK", 0)
    base.blocked(server, 1)
    start = time.monotonic()
    timed.close()
    worker.close()
    job = pairs(waiting.read()[0])
    assert time.monotonic() - start < 5, "at once"
    expect((job["id"], job["attempt"]), (ids[1], 2))
    expect(c.error("JOB.ACK", ids[1], held[1]["token"]), LOST)
    expect([get(c, i)["status"] for i in ids], ["done", "leased", "leased"])
    expect(stats(c, "q")["lease_dropped"], 1)


def test_bound_waits_and_kills(server):
    """So does one that was waited for, and one whose client is killed, in every database."""
    c, worker = server.client(), server.client()
    worker("SELECT 3")
    number = worker("CLIENT ID")
    worker.send("JOB.PULL", "a", "b", "BLOCK", 0, "BOUND", "WORKER", "w")
    base.blocked(server, 1)
    c("SELECT 3")
    job_id = push(c, "b", "x")
    expect(pairs(worker.read()[0])["id"], job_id)
    expect(c("CLIENT", "KILL", "ID", number), 1)
    wait_for(lambda: get(c, job_id)["status"] == "ready")
    expect(get(c, job_id)["error"], "connection closed")
    if not lacks(c, "eval"):
        script = "return redis.call('JOB.PULL', KEYS[1], 'BOUND')"
        assert "BOUND needs a connection" in c.error("EVAL", script, 1, "b")


def test_fencing(server):
    """JOB.HOLDS tells who has the lease; fences grow with every delivery, over restarts too."""
    c = server.client()
    job_id = push(c, "q", "x", "BACKOFF", "fixed", 0, 0, 0)
    fences = []
    for _ in range(2):
        job = pull_one(c, "q")
        fences.append(job["fence"])
        expect(c("JOB.HOLDS", job_id, job["token"]), 1)
        expect(c("JOB.HOLDS", job_id, "0" * 32), 0)
        c("JOB.NACK", job_id, job["token"], "e", "DELAY", 0)
        expect(c("JOB.HOLDS", job_id, job["token"]), 0)
    assert fences[1] > fences[0]
    expect(c("JOB.HOLDS", "rubbish", "x"), 0)
    expect(c("JOB.HOLDS", "none:1-00000000", "x"), 0)


def transact(c, job, key):
    """Count a job as worked on, acknowledge it and push what follows: all, or nothing."""
    c("WATCH", job["id"])
    if c("JOB.HOLDS", job["id"], job["token"]) == 0:
        c("UNWATCH")
        return False
    c("MULTI")
    c("INCR", key)
    c("JOB.ACK", job["id"], job["token"], "counted")
    c("JOB.PUSH", "next", job["payload"])
    return c("EXEC") is not None


def test_effects_happen_once(server):
    """Two workers hold tokens of one job, one of them stale: one effect, in whatever order."""
    c, late, fresh = server.client(), server.client(), server.client()
    for seen_first in (True, False):
        key = f"effects-{seen_first}"
        push(c, "q", "x", "VIS", 1, "BACKOFF", "fixed", 0, 0, 0)
        stale = pull_one(late, "q")
        if seen_first:  # it looks while it still holds the lease, and acts when it does not
            late("WATCH", stale["id"])
            expect(late("JOB.HOLDS", stale["id"], stale["token"]), 1)
            late("MULTI")
            late("INCR", key)
            late("JOB.ACK", stale["id"], stale["token"])
        job = pull_one(fresh, "q", "BLOCK", 10000)
        expect(job["id"], stale["id"])
        expect(transact(fresh, job, key), True)
        expect(late("EXEC") if seen_first else transact(late, stale, key) or None, None)
        expect(c("GET", key), "1")
        expect(get(c, job["id"])["result"], "counted")
    expect(stats(c, "next")["ready"], 2)


def test_one_token_has_one_effect(server):
    """Two who hold the same good token, as after an answer that was lost, have one effect too."""
    both = [server.client(), server.client()]
    push(both[0], "q", "x")
    job = pull_one(both[0], "q")
    for c in both:
        c("WATCH", job["id"])
        expect(c("JOB.HOLDS", job["id"], job["token"]), 1)
        c("MULTI")
        c("INCR", "effects")
        c("JOB.ACK", job["id"], job["token"])
    expect([c("EXEC") for c in both], [[1, "OK"], None])
    expect(both[1]("GET", "effects"), "1")


def test_only_the_lease_disturbs_a_transaction(server):
    """What else happens to the queue, and what its holder does to the job, disturbs nothing."""
    c, other = server.client(), server.client()
    push(c, "q", "x")
    push(c, "q", "y")
    job = pull_one(c, "q")
    c("WATCH", job["id"])
    expect(c("JOB.HOLDS", job["id"], job["token"]), 1)
    push(other, "q", "z")
    another = pull_one(other, "q")
    other("JOB.ACK", another["id"], another["token"])
    other("JOB.EXTEND", job["id"], job["token"], 60000)
    c("MULTI")
    c("SET", "done", "yes")
    c("JOB.ACK", job["id"], job["token"])
    expect(c("EXEC"), ["OK", "OK"])
    c("WATCH", pull_one(c, "q")["id"])
    c("MULTI")
    c("SET", "done", "no")
    other("JOB.CANCEL", c_id := get(other, job["id"])["id"])  # done already: nothing changes
    expect(c_id, job["id"])
    expect(c("EXEC"), ["OK"])


def test_events(server):
    """What happened is told in order, from any number on, and is waited for."""
    c, waiting = server.client(), server.client()
    expect(events(c, "q"), (1, 0, []))
    job_id = push(c, "q", "x")
    job = pull_one(c, "q")
    c("JOB.ACK", job_id, job["token"])
    first, last, told = events(c, "q")
    expect((first, last), (1, 3))
    expect([(e["seq"], e["event"], e["id"], e["status"], e["attempt"]) for e in told],
           [(1, "enqueued", job_id, "ready", 0), (2, "dequeued", job_id, "leased", 1),
            (3, "acked", job_id, "done", 1)])
    expect([e["seq"] for e in events(c, "q", "AFTER", 1, "COUNT", 1)[2]], [2])
    waiting.send("JOB.EVENTS", "q", "AFTER", "$", "BLOCK", 0)
    followers(server, 1)
    push(c, "other", "x")
    push(c, "q", "y", "VIS", 1)
    expect(pairs(pairs(waiting.read())["events"][0])["event"], "enqueued")
    pull_one(c, "q")
    late = events(c, "q", "AFTER", 5, "BLOCK", 10000)
    expect((late[0], late[2][0]["event"]), (1, "lease_expired"))
    expect(c("JOB.EVENTS", "q", "AFTER", late[1], "BLOCK", 10), None)
    expect(events(c, "q", "AFTER", 1000, "BLOCK", 0)[1], late[1])  # of another queue
    for i in range(1200):
        c.send("JOB.PUSH", "q", i)
    for _ in range(1200):
        c.read()
    first, last, told = events(c, "q", "COUNT", 1000)
    expect((last - first + 1, len(told), told[0]["seq"]), (1000, 1000, first))
    for words, error in [
            (("AFTER", "-1"), RANGE), (("AFTER", "x"), RANGE), (("COUNT", "1001"), RANGE),
            (("BLOCK", "-1"), "ERR timeout is not an integer or out of range"),
            (("NOPE",), SYNTAX)]:
        expect(c.error("JOB.EVENTS", "q", *words), error)
    c("SET s x")
    expect(c.error("JOB.EVENTS s"), WRONGTYPE)


def test_statuses_of_the_web(server):
    """JOB.LIST knows the first HELIOS' names of states, pending for all that wait."""
    c = server.client()
    ids = [push(c, "q", 1), push(c, "q", 2, "DELAY", 100000), push(c, "q", 3)]
    pull_one(c, "q")
    dead = bury(c, "dead", "x", "boom")
    for queue, status, want in [("q", "pending", ids[1:]), ("q", "in_progress", ids[:1]),
                                ("dead", "DLQ", [dead])]:
        page = c("JOB.LIST", queue, "STATUS", status)[1]
        expect([pairs(job)["id"] for job in page], want)


def test_everything_survives(server):
    """Dumped and restored, a queue is as it was: terms, progress, state, events."""
    c = server.client()
    push(c, "q", "x", "UNIQUE", "k", "KEEP", 77)
    job = pull_one(c, "q", "BOUND")
    c("JOB.PROGRESS", job["id"], job["token"], 33, "a third")
    c("JOB.CONFIG q KEEP 5")
    c("JOB.PAUSE q")
    c("JOB.DRAIN q")
    before = (get(c, job["id"]), events(c, "q"), {**stats(c, "q"), "bytes": 0})
    c.send("DUMP", "q")
    payload = c.read().encode("latin-1")
    c("DEL q")
    c("RESTORE", "q", 0, payload)
    expect((get(c, job["id"]), events(c, "q"), {**stats(c, "q"), "bytes": 0}), before)
    c("JOB.RESUME q")
    expect(c("JOB.PUSH q y UNIQUE k"), [job["id"], 1])
    expect(c("JOB.ACK", job["id"], job["token"]), "OK")


def test_formats(server):
    """A dump of the first format is restored, one of a later format is refused."""
    c = server.client()
    push(c, "q", "x")
    c.send("DUMP", "q")
    good = bytearray(c.read().encode("latin-1")[:-8])
    for version, fits in [(1, True), (2, True), (3, False)]:  # the last ten bits of the type
        good[8:10] = [good[8] & 0xfc, version]
        payload = bytes(good) + crc64(bytes(good)).to_bytes(8, "little")
        c.send("RESTORE", f"v{version}", 0, payload)
        expect(isinstance(c.read(), Error), not fits)
    expect(stats(c, "v1")["ready"], 1)


def test_hostile_restore(server):
    """Nor does one with all that a job and a queue may have beside."""
    c = server.client()
    push(c, "q", "x", "UNIQUE", "k", "UNTIL", "DONE", "KEEP", 7)
    push(c, "q", "y", "UNIQUE", "l")
    job = pull_one(c, "q", "BOUND")
    c("JOB.PROGRESS", job["id"], job["token"], 50, "half")
    c("JOB.PAUSE q")
    c("JOB.CONFIG q KEEP 5")
    base.try_damaged_dumps(c, "q")
    for name in c("JOB.QUEUES COUNT 10000"):  # what was accepted is lived with
        c("JOB.RESUME", name)
        c("JOB.PULL", name)
        c("JOB.EVENTS", name)
        c("JOB.REDRIVE", name)
        c("JOB.PURGE", name)


def test_a_queue_that_goes_ends_waiting(server):
    """Who waits for the result of a job is told null when its queue is deleted or renamed; who
    follows the events waits for the next queue of that name."""
    c, waiting, reader = server.client(), server.client(), server.client()
    for words in (("DEL", "q"), ("RENAME", "q", "r"), ("COPY", "q", "s"), ("UNLINK", "q"),
                  ("FLUSHDB",), ("FLUSHALL",)):
        job_id = push(c, "q", "x")
        waiting.send("JOB.RESULT", job_id, "BLOCK", 0)
        followers(server, 1)
        c(*words)
        if words[0] == "COPY":  # it is still there
            job = pull_one(c, "q")
            c("JOB.ACK", job_id, job["token"], "r")
            expect(waiting.read(), ["done", "r"])
        else:
            expect(waiting.read(), None)
            expect(c.error("JOB.RESULT", job_id), NO_JOB)
        followers(server, 0)
    reader.send("JOB.EVENTS", "t", "BLOCK", 0)
    followers(server, 1)
    push(c, "t", "x")
    expect(pairs(reader.read())["last"], 1)
    reader.send("JOB.EVENTS", "t", "AFTER", "$", "BLOCK", 0)
    followers(server, 1)
    c("DEL t")
    push(c, "t", "y")
    push(c, "t", "z")
    assert pairs(reader.read())["last"] >= 1
    followers(server, 0)


def test_waiting_is_bounded(server):
    """Clients that wait for news are counted, and forgotten when they leave."""
    c, waiting = server.client(), server.client()
    c("CONFIG SET jobs.max-waiters 1")
    job_id = push(c, "q", "x")
    waiting.send("JOB.RESULT", job_id, "BLOCK", 0)
    followers(server, 1)
    full = "ERR Too many clients wait for jobs"
    expect(c.error("JOB.RESULT", job_id, "BLOCK", 0), full)
    expect(c.error("JOB.EVENTS", "q", "AFTER", "$", "BLOCK", 0), full)
    waiting.close()
    followers(server, 0)
    c.send("JOB.EVENTS", "q", "AFTER", "$", "BLOCK", 0)
    followers(server, 1)
    push(server.client(), "q", "y")
    expect(pairs(c.read())["last"], 2)


@base.needs("module|reload")
def test_reload(server):
    """MODULE RELOAD keeps all of a queue; a bound lease is bound again when its holder speaks."""
    c, worker = server.client(), server.client()
    push(c, "q", "x", "UNIQUE", "k", "VIS", 600)
    push(c, "q", "y", "VIS", 600)
    first, second = pull(worker, "q", "COUNT", 2, "BOUND")
    c("JOB.PROGRESS", first["id"], first["token"], 10, "some")
    c("JOB.DRAIN q")
    before = (base.listing(c, "q"), events(c, "q"), {**stats(c, "q"), "bytes": 0})
    expect(c("MODULE RELOAD jobs"), "OK")
    expect((base.listing(c, "q"), events(c, "q"), {**stats(c, "q"), "bytes": 0}), before)
    worker("JOB.EXTEND", second["id"], second["token"], 600000)
    worker.close()
    wait_for(lambda: get(c, second["id"])["status"] == "ready")
    expect(get(c, first["id"])["status"], "leased")  # by its time, like any other
    expect(c("JOB.ACK", first["id"], first["token"]), "OK")


def run(test):
    base.run(test)


if __name__ == "__main__":
    run_tests(globals(), run)
