#!/usr/bin/env python3
"""The jobs module on a real server: every command, waiting, expiry, replication, restarts.

Usage: test_jobs.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment): the same tests for both.
Each test_ function gets a fresh server; its docstring is what must hold.
"""
import os
import sys
import threading
import time

from resp_client import Client, Error, Server, lacks, on_server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))
LOAD = ["--loadmodule", os.path.join(MODULES, "jobs.so"), "--enable-debug-command", "yes"]
VOLATILE = ["--save", "", "--appendonly", "no"] if STOCK else []
NO_JOB = "NOJOB No such job"
LOST = "LEASELOST The token does not hold the lease of the job"
RANGE = "ERR value is not an integer or out of range"
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def needs(*commands):
    """A test of what some servers do not have (yet): they are asked."""
    def mark(test):
        test.needs = commands
        return test
    return mark


def args(*words):
    def mark(test):
        test.args = list(words)
        return test
    return mark


def expect(got, want):
    assert got == want, f"got {str(got)[:500]}, want {str(want)[:500]}"


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def push(c, queue, payload, *options):
    reply = c("JOB.PUSH", queue, payload, *options)
    return reply[0]


def pull(c, *words):
    """The jobs as dictionaries; [] for null."""
    reply = c("JOB.PULL", *words)
    return [pairs(job) for job in reply] if reply else []


def pull_one(c, *words):
    jobs = pull(c, *words)
    assert len(jobs) == 1, jobs
    return jobs[0]


def get(c, job_id):
    reply = c("JOB.GET", job_id)
    return pairs(reply) if reply else None


def listing(c, queue):
    """All that JOB.LIST shows of a queue, page by page."""
    jobs, cursor = [], "0"
    while True:
        cursor, page = c("JOB.LIST", queue, "CURSOR", cursor, "COUNT", 7)
        jobs += [pairs(job) for job in page]
        if cursor == "0":
            return jobs


def wait_for(what, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("timed out")


def test_life_of_a_job(server):
    """Push, pull, ack: the job is done and keeps its result."""
    c = server.client()
    job_id, duplicate = c("JOB.PUSH", "q", "hello")
    expect(duplicate, 0)
    assert job_id.startswith("q:1-"), job_id
    expect(get(c, job_id)["status"], "ready")
    before = int(time.time() * 1000)
    job = pull_one(c, "q", "WORKER", "w1")
    expect((job["id"], job["queue"], job["payload"], job["attempt"]), (job_id, "q", "hello", 1))
    assert len(job["token"]) == 32 and 299000 < job["deadline"] - before < 302000, job
    expect(pull(c, "q"), [])
    expect(get(c, job_id)["worker"], "w1")
    expect(c("JOB.ACK", job_id, job["token"], "result"), "OK")
    expect(c("JOB.ACK", job_id, job["token"], "result"), "OK")
    info = get(c, job_id)
    expect((info["status"], info["result"], info["error"]), ("done", "result", None))
    expect(c.error("JOB.ACK", job_id, "0" * 32), LOST)


def test_old_names(server):
    """The names of the first HELIOS work too."""
    c = server.client()
    job_id = push(c, "q", "x")
    job = pairs(c("JOB_DEQ q")[0])
    expect(c("JOB_NACK", job_id, job["token"], "DELAY", 0), "ready")
    job = pairs(c("JOB_DEQ q")[0])
    expect(c("JOB_ACK", job_id, job["token"]), "OK")


def test_bad_input(server):
    """Every malformed command is refused, and changes nothing."""
    c = server.client()
    job_id = push(c, "q", "x")
    digest = listing(c, "q")
    c("SET s x")
    for words, error in [
            (("JOB.PUSH", "q"), "ERR wrong number of arguments for 'job.push' command"),
            (("JOB.PUSH", "s", "x"), WRONGTYPE),
            (("JOB.PULL", "s"), WRONGTYPE),
            (("JOB.PULL", "q", "s", "COUNT", "0"), RANGE),
            (("JOB.PULL", "q", "COUNT", "1001"), RANGE),
            (("JOB.PULL", "q", "BLOCK", "-1"), "ERR timeout is not an integer or out of range"),
            (("JOB.PULL", "q", "WORKER"), "ERR syntax error"),
            (("JOB.PULL", "q", "COUNT", "1", "q2"), "ERR syntax error"),
            (("JOB.ACK", "q", "t"), NO_JOB),
            (("JOB.ACK", "q:1-00000000", "t"), NO_JOB),
            (("JOB.ACK", "s:1-00000000", "t"), WRONGTYPE),
            (("JOB.ACK", "none:1-00000000", "t"), NO_JOB),
            (("JOB.ACK", job_id, "t"), LOST),
            (("JOB.NACK", job_id, "t", "a", "b"), "ERR syntax error"),
            (("JOB.NACK", job_id, "t", "DELAY", "x"), RANGE),
            (("JOB.EXTEND", job_id, "t", "0"), RANGE),
            (("JOB.LIST", "q", "STATUS", "odd"), "ERR There is no such status"),
            (("JOB.LIST", "q", "CURSOR", "-1"), "ERR invalid cursor"),
            (("JOB.LIST", "s"), WRONGTYPE),
            (("JOB.PURGE", "q", "STATUS"), "ERR syntax error"),
            (("JOB.CANCEL", "q:99-" + job_id[-8:]), NO_JOB),
            (("JOB._APPLY", "q", "x"), "ERR JOB._APPLY is for replication only"),
            (("GET", "q"), WRONGTYPE)]:
        expect(c.error(*words), error)
    bad = "ERR JOB.PUSH: an option is unknown, incomplete or out of range"
    for options in ["NOPE", "ID", "WINDOW 0", "DELAY -1", "PRI 128", "PRI x", "MAXTRY 0", "VIS 0",
                    "TTL 0", "BACKOFF", "BACKOFF cubic 1 2 3", "BACKOFF exp 1 2",
                    "BACKOFF exp 1 2 101", "DELAY 99999999999999999999", "ID " + "x" * 513]:
        expect(c.error("JOB.PUSH", "q", "x", *options.split()), bad)
    c("CONFIG SET jobs.max-payload 10")
    expect(c.error("JOB.PUSH", "q", "x" * 11), "ERR The payload is larger than jobs.max-payload")
    expect(c.error("JOB.PUSH", "", "x"), "ERR A queue's name has 1 to 512 bytes")
    expect(c.error("JOB.PUSH", "n" * 513, "x"), "ERR A queue's name has 1 to 512 bytes")
    expect(c("JOB.GET", "rubbish"), None)
    expect(listing(c, "q"), digest)


def test_binary(server):
    """Names, payloads and results are any bytes."""
    c = server.client()
    name, payload = b"a:b\x00\xff", b"\x00\r\n\xff"
    job_id = push(c, name, payload).encode("latin-1")
    job = pull_one(c, name)
    expect(job["payload"].encode("latin-1"), payload)
    expect(c("JOB.ACK", job_id, job["token"], payload), "OK")
    expect(get(c, job_id)["result"].encode("latin-1"), payload)


def test_order(server):
    """Higher priority first, first in first out within; several queues in the order given."""
    c = server.client()
    ids = [push(c, "q", i) for i in range(5)]
    urgent = push(c, "q", "urgent", "PRI", 9)
    other = push(c, "r", "other")
    got = [job["id"] for job in pull(c, "none", "q", "r", "COUNT", 3)]
    expect(got, [urgent] + ids[:2])
    got = [job["id"] for job in pull(c, "q", "r", "COUNT", 100)]
    expect(got, ids[2:] + [other])
    expect(c("JOB.PULL q r"), None)


def test_dedup(server):
    """An id adds one job per window; the answer names the earlier job."""
    c = server.client()
    job_id = push(c, "q", "x", "ID", "order-1", "WINDOW", 1)
    expect(c("JOB.PUSH q y ID order-1 WINDOW 1"), [job_id, 1])
    job = pull_one(c, "q")
    c("JOB.ACK", job_id, job["token"])
    expect(c("JOB.PUSH q y ID order-1 WINDOW 1"), [job_id, 1])
    time.sleep(1.05)
    fresh, duplicate = c("JOB.PUSH q y ID order-1")
    expect(duplicate, 0)
    assert fresh != job_id


def test_lease_expiry(server):
    """A lease that runs out is given to another, then the job dies; the timer does it alone."""
    c = server.client()
    job_id = push(c, "q", "x", "VIS", 1, "MAXTRY", 2, "BACKOFF", "fixed", 50, 50, 0)
    first = pull_one(c, "q")
    expect(pull(c, "q"), [])
    second = pull_one(server.client(), "q", "BLOCK", 5000)
    expect((second["id"], second["attempt"]), (job_id, 2))
    assert second["fence"] > first["fence"] and second["token"] != first["token"]
    expect(c.error("JOB.ACK", job_id, first["token"]), LOST)
    expect(c.error("JOB.EXTEND", job_id, first["token"], 100), LOST)
    wait_for(lambda: get(c, job_id)["status"] == "dead")
    expect(get(c, job_id)["error"], "lease expired")
    expect(c.error("JOB.ACK", job_id, second["token"]), LOST)
    expect(c("JOB.RETRY", job_id), 1)
    expect(c("JOB.RETRY", job_id), 0)
    expect(pull_one(c, "q")["attempt"], 1)


def test_extend(server):
    """A worker that needs longer says so."""
    c = server.client()
    push(c, "q", "x", "VIS", 1)
    job = pull_one(c, "q")
    until = c("JOB.EXTEND", job["id"], job["token"], 60000)
    assert until > job["deadline"]
    time.sleep(1.1)
    expect(c("JOB.ACK", job["id"], job["token"]), "OK")


def test_nack(server):
    """Retry at once, later, by back-off, or never."""
    c = server.client()
    push(c, "q", "x", "BACKOFF", "exp", 40000, 60000, 50)
    job = pull_one(c, "q")
    expect(c("JOB.NACK", job["id"], job["token"], "boom", "DELAY", 0), "ready")
    expect(get(c, job["id"])["error"], "boom")
    job = pull_one(c, "q")
    now = int(time.time() * 1000)
    expect(c("JOB.NACK", job["id"], job["token"]), "scheduled")
    pause = get(c, job["id"])["due_at"] - now
    assert 29000 < pause < 61000, pause
    expect(c("JOB.CANCEL", job["id"]), 1)
    expect(c("JOB.CANCEL", job["id"]), 0)
    push(c, "q", "y", "MAXTRY", 1)
    job = pull_one(c, "q")
    expect(c("JOB.NACK", job["id"], job["token"], "DELAY", 5), "dead")
    push(c, "q", "z")
    job = pull_one(c, "q")
    expect(c("JOB.NACK", job["id"], job["token"], "bad input", "FAIL"), "failed")
    expect(c.error("JOB.NACK", job["id"], job["token"]), LOST)


def test_delay_and_ttl(server):
    """A delayed job wakes who waits, at its time; one not begun within its TTL dies."""
    c = server.client()
    start = time.monotonic()
    job_id = push(c, "q", "x", "DELAY", 300)
    expect(get(c, job_id)["status"], "scheduled")
    expect(pull(c, "q"), [])
    expect(pull_one(c, "q", "BLOCK", 5000)["id"], job_id)
    took = time.monotonic() - start
    assert 0.29 < took < 2, took
    late = push(c, "q", "y", "TTL", 1)
    wait_for(lambda: get(c, late)["status"] == "dead")
    expect(get(c, late)["error"], "not begun in time")


def test_list_stats_purge(server):
    """Pages hold every job once; counts agree; purging is in portions."""
    c = server.client()
    ids = [push(c, "q", i) for i in range(30)]
    jobs = pull(c, "q", "COUNT", 10)
    for job in jobs[:5]:
        c("JOB.ACK", job["id"], job["token"])
    for job in jobs[5:7]:
        c("JOB.NACK", job["id"], job["token"], "e", "FAIL")
    expect([job["id"] for job in listing(c, "q")], ids)
    cursor, page = c("JOB.LIST q STATUS failed")
    expect((cursor, [pairs(job)["id"] for job in page]), ("0", [j["id"] for j in jobs[5:7]]))
    stats = pairs(c("JOB.STATS q"))
    want = {"ready": 20, "leased": 3, "done": 5, "failed": 2, "pushed": 30, "pulled": 10,
            "acked": 5}
    expect({name: stats[name] for name in want}, want)
    push(c, "other", "x")
    total = pairs(c("JOB.STATS"))
    expect((total["queues"], total["ready"]), (2, 21))
    expect(c("JOB.QUEUES"), ["other", "q"])
    expect(c("JOB.QUEUES AFTER other COUNT 1"), ["q"])
    expect(c("JOB.PURGE q COUNT 4"), 4)
    expect(c("JOB.PURGE q"), 3)
    expect(c("JOB.PURGE q"), 0)
    expect(c("JOB.PURGE q STATUS ready"), 20)
    expect(c("JOB.PURGE none"), 0)
    expect(c.error("JOB.ACK", jobs[9]["id"], jobs[8]["token"]), LOST)
    expect(c("JOB.ACK", jobs[9]["id"], jobs[9]["token"]), "OK")
    assert len(c("JOB.HELP")) > 5
    info = c("INFO", "everything")
    assert "jobs_ready:1" in info and "jobs_pushed:31" in info, info


def blocked(server, count):
    """Until so many clients wait."""
    c = server.client()
    wait_for(lambda: f"jobs_waiters:{count}\r" in c("INFO", "everything"))


def test_waiters_are_served_in_turn(server):
    """Who waits longest is served first, one job each; several queues too."""
    waiting = []
    for i in range(4):
        c = server.client()
        c.send("JOB.PULL", "a", "b", "BLOCK", 0)
        waiting.append(c)
        blocked(server, i + 1)
    c = server.client()
    ids = [push(c, "b", 1), push(c, "a", 2), push(c, "a", 3), push(c, "b", 4)]
    got = [pairs(w.read()[0])["id"] for w in waiting]
    expect(got, ids)
    blocked(server, 0)


def test_one_push_wakes_one(server):
    """Of several that wait one gets the job, the others go on waiting."""
    waiting = [server.client() for _ in range(3)]
    for i, c in enumerate(waiting):
        c.send("JOB.PULL", "q", "BLOCK", 700 if i else 0)
        blocked(server, i + 1)
    push(server.client(), "q", "x")
    expect(len(waiting[0].read()), 1)
    expect(waiting[1].read(), None)
    expect(waiting[2].read(), None)


def test_a_client_that_leaves_takes_nothing(server):
    """A waiting client that disconnects loses no job."""
    gone, stays = server.client(), server.client()
    gone.send("JOB.PULL", "q", "BLOCK", 0)
    blocked(server, 1)
    stays.send("JOB.PULL", "q", "BLOCK", 5000)
    blocked(server, 2)
    gone.close()
    blocked(server, 1)
    c = server.client()
    job_id = push(c, "q", "x")
    expect(pairs(stays.read()[0])["id"], job_id)
    expect(pairs(c("JOB.STATS q"))["pulled"], 1)


def test_client_unblock(server):
    """CLIENT UNBLOCK ends a wait with null."""
    c, waiting = server.client(), server.client()
    number = waiting("CLIENT ID")
    waiting.send("JOB.PULL", "q", "BLOCK", 0)
    blocked(server, 1)
    expect(c("CLIENT", "UNBLOCK", number), 1)
    expect(waiting.read(), None)
    blocked(server, 0)


def test_scripts(server):
    """In scripts nothing waits, and jobs can be pushed."""
    c = server.client()
    if lacks(c, "eval"):
        return
    expect(c("EVAL", "return redis.call('JOB.PULL', KEYS[1], 'BLOCK', 0)", 1, "q"), None)
    pushed = c("EVAL", "return redis.call('JOB.PUSH', KEYS[1], 'from lua')", 1, "q")
    expect(pull_one(c, "q")["id"], pushed[0])


def test_no_wait_in_transactions(server):
    """In MULTI nothing waits; a transaction acts as one."""
    c = server.client()
    c("MULTI")
    c("JOB.PULL q BLOCK 0")
    expect(c("EXEC"), [None])
    push(c, "q", "x")
    job = pull_one(c, "q")
    c("MULTI")
    c("SET done yes")
    c("JOB.ACK", job["id"], job["token"])
    c("JOB.PUSH next y")
    reply = c("EXEC")
    expect(reply[:2], ["OK", "OK"])
    expect(pull_one(c, "next")["payload"], "y")


def test_max_waiters(server):
    """Waiting is bounded."""
    c = server.client()
    c("CONFIG SET jobs.max-waiters 1")
    waiting = server.client()
    waiting.send("JOB.PULL", "q", "BLOCK", 0)
    blocked(server, 1)
    expect(c.error("JOB.PULL q BLOCK 0"), "ERR Too many clients wait for jobs")


def test_depth(server):
    """A queue's depth is bounded when asked for."""
    c = server.client()
    c("CONFIG SET jobs.max-queue-depth 2")
    push(c, "q", 1)
    push(c, "q", 2)
    expect(c.error("JOB.PUSH q 3"), "ERR The queue is full")


def test_retention(server):
    """Finished jobs are forgotten in their time, by the timer."""
    c = server.client()
    c("CONFIG SET jobs.result-retention 1")
    push(c, "q", "x")
    job = pull_one(c, "q")
    c("JOB.ACK", job["id"], job["token"])
    expect(get(c, job["id"])["status"], "done")
    wait_for(lambda: pairs(c("JOB.STATS q"))["done"] == 0)
    expect(c("JOB.GET", job["id"]), None)
    c("CONFIG SET jobs.result-retention 0")
    push(c, "q", "x")
    job = pull_one(c, "q")
    expect(c("JOB.ACK", job["id"], job["token"]), "OK")
    expect(c("JOB.GET", job["id"]), None)


def test_keys(server):
    """A queue is a key: COPY, RENAME, DUMP, RESTORE, SWAPDB, DEL, FLUSHALL; timers follow it."""
    c = server.client()
    old = push(c, "q", "x", "DELAY", 400)
    expect(c("COPY q copy"), 1)
    expect(c("RENAME q renamed"), "OK")
    expect(c("JOB.GET", old), None)
    expect(c("JOB.QUEUES"), ["copy", "renamed"])
    wait_for(lambda: pairs(c("JOB.STATS renamed"))["ready"] == 1)
    wait_for(lambda: pairs(c("JOB.STATS copy"))["ready"] == 1)
    expect(pull_one(c, "renamed")["id"], old.replace("q:", "renamed:"))
    c.send("DUMP", "copy")
    payload = c.read().encode("latin-1")
    push(c, "copy", "y", "DELAY", 400)
    c("SWAPDB 0 1")
    c("SELECT 1")
    wait_for(lambda: pairs(c("JOB.STATS copy"))["ready"] == 2)
    c("RESTORE", "back", 0, payload)
    expect(len(pull(c, "back", "COUNT", 10)), 1)
    assert c("MEMORY", "USAGE", "back") > 100
    expect(c("DEL back"), 1)
    expect(c("JOB.QUEUES"), ["copy", "renamed"])
    c("FLUSHALL")
    expect(c("JOB.QUEUES"), [])
    expect(pairs(c("JOB.STATS"))["queues"], 0)


def test_restore_wakes(server):
    """A queue that comes back by RESTORE wakes who waits for it."""
    c, waiting = server.client(), server.client()
    push(c, "q", "x")
    c.send("DUMP", "q")
    payload = c.read().encode("latin-1")
    c("DEL q")
    waiting.send("JOB.PULL", "q", "BLOCK", 5000)
    blocked(server, 1)
    c("RESTORE", "q", 0, payload)
    expect(len(waiting.read()), 1)


def test_swapped_databases_wake(server):
    """A queue that comes by SWAPDB wakes who waits for it."""
    c, waiting = server.client(), server.client()
    c("SELECT 1")
    push(c, "q", "x")
    waiting.send("JOB.PULL", "q", "BLOCK", 5000)
    blocked(server, 1)
    c("SWAPDB 0 1")
    expect(len(waiting.read()), 1)


def crc64(data):
    """The checksum at the end of a DUMP payload."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def try_damaged_dumps(c, queue):
    """Restore a queue's dump with each byte changed in turn, its checksum put right."""
    c.send("DUMP", queue)
    good = c.read().encode("latin-1")
    expect(crc64(good[:-8]), int.from_bytes(good[-8:], "little"))
    refused = 0
    for at in range(10, len(good) - 10):
        for value in (0, 1, 0x7f, 0xff, good[at] ^ 1):
            bad = good[:at] + bytes([value]) + good[at + 1:-8]
            c.send("RESTORE", f"k{at}-{value}", 0, bad + crc64(bad).to_bytes(8, "little"))
            refused += isinstance(c.read(), Error)
    assert refused > 100, refused
    expect(c("PING"), "PONG")
    c("JOB.STATS")


def test_hostile_restore(server):
    """No damaged payload, its checksum put right, harms the server."""
    c = server.client()
    push(c, "q", "payload", "ID", "dd")
    push(c, "q", "later", "DELAY", 100000)
    pull_one(c, "q")
    try_damaged_dumps(c, "q")


def churn(c, rounds=400):
    """Do a bit of everything, the same way each time but for tokens and times."""
    held = []
    for i in range(rounds):
        queue = f"q{i % 3}"
        options = [("PRI", i % 4), ("DELAY", i % 50), ("ID", f"id{i % 37}", "WINDOW", 1 + i % 3),
                   ("MAXTRY", 1 + i % 3), ("VIS", 1), ("TTL", 1)][i % 6]
        push(c, queue, f"payload {i}", *options)
        if i % 2:
            held += pull(c, "q0", "q1", "q2", "COUNT", 1 + i % 3, "WORKER", f"w{i % 5}")
        if len(held) > 10:
            for n, job in enumerate(held[:8]):
                try:
                    if n % 4 == 0:
                        c("JOB.ACK", job["id"], job["token"], f"result {i}")
                    elif n % 4 == 1:
                        c("JOB.NACK", job["id"], job["token"], "boom")
                    elif n % 4 == 2:
                        c("JOB.EXTEND", job["id"], job["token"], 800 + i)
                    else:
                        c("JOB.CANCEL", job["id"])
                except Error:
                    pass
            held = held[8:]
    for queue in ("q0", "q1", "q2"):
        c("JOB.PURGE", queue, "COUNT", 3)


def state_of(c):
    return {queue: (listing(c, queue), pairs(c("JOB.STATS", queue))) for queue in c("JOB.QUEUES")}


def differences(one, other):
    """Where two states differ, but for memory, which tells a grown copy from a loaded one, and
    for dedup ids, which are forgotten in their own time."""
    found = []
    for queue in sorted(set(one) | set(other)):
        (jobs, stats), (jobs2, stats2) = (state.get(queue, ([], {})) for state in (one, other))
        for name in sorted(set(stats) - {"bytes", "dedup_ids"}):
            if stats[name] != stats2.get(name):
                found.append(f"{queue}: {name} {stats[name]} and {stats2.get(name)}")
        found += [f"{queue}: {a} and {b}" for a, b in zip(jobs, jobs2) if a != b]
    return found[:5]


def expect_same(one, other):
    found = differences(one, other)
    assert not found, "\n".join(found)


@needs("replicaof")
def test_replica(server):
    """A replica is equal at every moment, expiry included; promoted, it expires leases itself."""
    c = server.client()
    churn(c, 100)
    with Server(SERVER, *VOLATILE, *LOAD, "--replicaof", "127.0.0.1 " + str(server.port),
                "--repl-diskless-sync-delay", "0") as second:
        r = second.client()
        wait_for(lambda: "master_link_status:up" in r("INFO", "replication"), 30)
        churn(c)
        waiting = server.client()
        waiting.send("JOB.PULL", "fresh", "BLOCK", 0)
        blocked(server, 1)
        push(c, "fresh", "x")
        waiting.read()
        time.sleep(1.3)  # leases, TTLs and delays end on the master's timer
        for _ in range(3):
            # The timer may fire between two looks: equal at one of many looks is equal.
            wait_for(lambda: c("WAIT", 1, 5000) and r("DEBUG DIGEST") == c("DEBUG DIGEST"), 20)
            wait_for(lambda: not differences(state_of(r), state_of(c)), 20)
            churn(c, 20)
        assert r.error("JOB.PUSH q x").startswith("READONLY")
        job_id = push(c, "lease", "x", "VIS", 1)
        job = pull_one(c, "lease")
        c("WAIT", 1, 5000)
        expect(server.stop(), 0)
        expect(r("REPLICAOF NO ONE"), "OK")
        expect(get(r, job_id)["status"], "leased")
        wait_for(lambda: get(r, job_id)["status"] != "leased")
        expect(r.error("JOB.ACK", job_id, job["token"]), LOST)


def restart(server):
    server.process.kill()
    server.process.wait()
    server.start(30)
    return server.client()


@args(*(["--appendonly", "yes", "--appendfsync", "always", "--save", ""] if STOCK else []))
def test_restart(server):
    """Killed and started again, the server holds what it acknowledged, and leases run on."""
    c = server.client()
    churn(c, 200)
    for i in range(5):
        push(c, "solid", f"payload {i}", "VIS", 300)
    held = pull(c, "solid", "COUNT", 5)
    expect(len(held), 5)
    push(c, "lease", "x", "VIS", 2)
    lease = pull_one(c, "lease")
    time.sleep(1.1)
    pushed = pairs(c("JOB.STATS"))["pushed"]
    c = restart(server)
    wait_for(lambda: not c.error("JOB.STATS"))
    expect(pairs(c("JOB.STATS"))["pushed"], pushed)
    for job in held:
        expect(c("JOB.ACK", job["id"], job["token"]), "OK")
    wait_for(lambda: get(c, lease["id"])["status"] != "leased")


@args("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--hz", "1")
def test_append_only_file(server):
    """The file makes an equal state, before and after a rewrite without an RDB preamble."""
    c = server.client()
    churn(c, 200)
    time.sleep(1.5)
    quiet(c)
    before = state_of(c)
    c = restart(server)
    expect_same(state_of(c), before)
    c("CONFIG SET aof-use-rdb-preamble no")
    c("BGREWRITEAOF")
    wait_for(lambda: "aof_rewrite_in_progress:0" in c("INFO", "persistence"))
    push(c, "q0", "after the rewrite", "DELAY", 1000000)
    before = state_of(c)
    c = restart(server)
    expect_same(state_of(c), before)


def quiet(c):
    """Wait until nothing falls due in the next seconds: retries and leases are over."""
    def calm():
        now = time.time() * 1000
        return not any(job["status"] in ("leased", "scheduled") and job["due_at"] < now + 4000
                       for queue in c("JOB.QUEUES") for job in listing(c, queue))
    for queue in c("JOB.QUEUES"):
        for job in listing(c, queue):
            if job["status"] in ("leased", "scheduled", "ready"):
                c("JOB.CANCEL", job["id"])
    wait_for(calm)


def test_pause(server):
    """While writes are paused, as before a failover, the timer waits; then it goes on."""
    c = server.client()
    job_id = push(c, "q", "x", "DELAY", 200)
    c("CLIENT PAUSE 700 WRITE")
    time.sleep(0.5)
    expect(get(c, job_id)["status"], "scheduled")
    wait_for(lambda: get(c, job_id)["status"] == "ready")


@needs("debug|reload")
def test_debug_reload(server):
    """Saved and loaded, everything is as it was, and the timer runs on."""
    c = server.client()
    churn(c, 200)
    job_id = push(c, "late", "x", "DELAY", 700)
    def reload_changes_nothing():  # but for the timer, which may fire in between
        before = c("DEBUG DIGEST")
        c("DEBUG RELOAD")
        return c("DEBUG DIGEST") == before
    wait_for(reload_changes_nothing)
    wait_for(lambda: get(c, job_id)["status"] == "ready")


def test_events(server):
    """Subscribers of keyspace events hear of jobs."""
    c, listener = server.client(), server.client()
    c("CONFIG SET notify-keyspace-events Ed")
    if lacks(c, "psubscribe"):
        return
    listener("PSUBSCRIBE __keyevent@0__:job.*")
    push(c, "q", "x")
    job = pull_one(c, "q")
    c("JOB.ACK", job["id"], job["token"])
    heard = [listener.read()[2].split(":")[1] for _ in range(3)]
    expect(heard, ["job.push", "job.pull", "job.done"])


def test_acl(server):
    """Key patterns confine a user to queues; commands are told apart."""
    c = server.client()
    c("ACL SETUSER ann on nopass ~emails* +@all -job.purge")
    ann = server.client()
    ann("AUTH ann x")
    job_id = push(ann, "emails", "x")
    job = pull_one(ann, "emails")
    expect(ann("JOB.ACK", job_id, job["token"]), "OK")
    other = push(c, "secret", "x")
    for words in (["JOB.PUSH", "secret", "x"], ["JOB.PULL", "secret"], ["JOB.GET", other],
                  ["JOB.PULL", "emails", "secret"], ["JOB.STATS", "secret"],
                  ["JOB.PURGE", "emails"]):
        assert (ann.error(*words) or "").startswith("NOPERM"), words


def test_docs(server):
    """COMMAND knows the commands, their keys and their words."""
    c = server.client()
    expect(c("COMMAND GETKEYS JOB.PULL a b COUNT 3 BLOCK 0"), ["a", "b"])
    expect(c("COMMAND GETKEYS JOB.ACK q:1-00000000 t"), ["q:1-00000000"])
    docs = c("COMMAND", "DOCS", "job.push")
    assert "Adds a job" in str(docs), docs


def test_many(server):
    """A hundred thousand jobs: pushed, pulled by eight workers at once, each delivered once."""
    total = 100000
    c = Client(server.port, timeout=60)
    for start in range(0, total, 5000):
        line = b"".join(b"*3\r\n$8\r\nJOB.PUSH\r\n$1\r\nq\r\n$%d\r\n%d\r\n" % (len(str(i)), i)
                        for i in range(start, start + 5000))
        c.sock.sendall(line)
        for _ in range(5000):
            c.read()
    seen, lock = [], threading.Lock()

    def work():
        w = Client(server.port, timeout=60)
        mine = []
        while True:
            jobs = pull(w, "q", "COUNT", 200)
            if not jobs:
                break
            for job in jobs:
                w.send("JOB.ACK", job["id"], job["token"])
            for _ in jobs:
                assert w.read() == "OK"
            mine += [int(job["payload"]) for job in jobs]
        with lock:
            seen.extend(mine)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    expect(sorted(seen), list(range(total)))
    expect(pairs(c("JOB.STATS q"))["done"], total)


def run(test):
    flags = getattr(test, "args", VOLATILE)
    on_server(Server(SERVER, *LOAD, *flags), test)


if __name__ == "__main__":
    run_tests(globals(), run)
