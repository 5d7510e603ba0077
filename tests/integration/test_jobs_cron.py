#!/usr/bin/env python3
"""Goal: a scheduled job comes once at each of its times, by the clocks of its zone, and goes on
doing so through restarts, renames and failovers.
Method: schedules of every second on real servers; each run names its time in its dedup id. Python's
zoneinfo is the oracle for zones.

Usage: test_jobs_cron.py [SERVER MODULES_DIR [TEST ...]]
"""
import datetime
import os
import random
import sys
import time
import zoneinfo

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from resp_client import Server, ask_any, on_server, run_tests  # noqa: E402
from server import wait_for  # noqa: E402

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
JOBS = os.path.join(MODULES, "jobs.so")
WAIT_S_MAX = 20
EVERY_SECOND = "* * * * * *"


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2])) if flat else {}


def schedule(c, *words):
    return c("JOB.SCHEDULE", *words)


def get(c, name, queue="q"):
    return pairs(schedule(c, "GET", queue, name))


def jobs_of(c, queue="q"):
    """All jobs of a queue, oldest first."""
    cursor, found = "0", []
    while True:
        cursor, page = c("JOB.LIST", queue, "CURSOR", cursor, "COUNT", 500)
        found += [pairs(job) for job in page]
        if cursor == "0":
            return found


def times_of(c, name, queue="q"):
    """The seconds whose runs are in the queue, in the order of their jobs."""
    ids = [job.get("dedup_id", "") for job in jobs_of(c, queue)]
    return [int(i.split("@")[1]) for i in ids if i.startswith(f"cron:{name}@")]


def now_ms(c):
    seconds, us = c("TIME")
    return int(seconds) * 1000 + int(us) // 1000


def test_a_job_comes_at_each_time_with_its_options(s):
    c = s.client()
    first = schedule(c, "SET", "q", "tick", EVERY_SECOND, "payload", "PRI", "5", "MAXTRY", "7")
    assert first % 1000 == 0 and 0 < first - now_ms(c) <= 1000
    wait_for(lambda: len(times_of(c, "tick")) >= 3, WAIT_S_MAX, "three runs")
    times = times_of(c, "tick")
    assert times == list(range(first // 1000, first // 1000 + len(times))), times
    job = jobs_of(c)[0]
    assert (job["payload"], job["priority"], job["max_attempts"]) == ("payload", 5, 7), job
    found = get(c, "tick")
    assert found["runs"] >= 3 and found["skipped"] == 0 and found["status"] == "active", found
    assert found["last_job"].startswith("q:") and found["next_at"] > found["last_at"]


def test_a_waiting_worker_gets_a_scheduled_job_at_once(s):
    c, worker = s.client(), s.client()
    schedule(c, "SET", "q", "tick", EVERY_SECOND, "x")
    before = time.monotonic()
    job = pairs(worker("JOB.PULL", "q", "BLOCK", "10000")[0])
    assert job["payload"] == "x" and time.monotonic() - before < 3


def test_next_times_are_those_of_the_zone(s):
    c = s.client()
    at = now_ms(c) / 1000
    for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
                 "America/St_Johns", "Pacific/Chatham"):
        zone = zoneinfo.ZoneInfo(name)
        # Noon exists once on every day, and these places change no clocks within two days of it
        # in a way that moves it.
        local = datetime.datetime.fromtimestamp(at, zone)
        noon = local.replace(hour=12, minute=34, second=0, microsecond=0)
        if noon <= local:
            noon = (noon.replace(tzinfo=None) + datetime.timedelta(days=1)).replace(tzinfo=zone)
        said = schedule(c, "SET", "q", name, "34 12 * * *", "x", "TZ", name)
        assert said == int(noon.timestamp()) * 1000, (name, said, noon)
        assert get(c, name)["tz"] == name
    assert schedule(c, "SET", "q", "a", "34 12 * * *", "x") == get(c, "UTC")["next_at"]


def test_schedules_are_listed_changed_and_removed(s):
    c = s.client()
    for name in ("b", "a", "c"):
        schedule(c, "SET", "q", name, "@daily", f"job {name}")
    assert [pairs(x)["name"] for x in schedule(c, "LIST", "q")] == ["a", "b", "c"]
    assert [pairs(x)["name"] for x in schedule(c, "LIST", "q", "AFTER", "a", "COUNT", "1")] == ["b"]
    assert schedule(c, "LIST", "other") == []
    schedule(c, "SET", "q", "b", "@hourly", "other", "MISFIRE", "skip")
    assert (get(c, "b")["cron"], get(c, "b")["payload"]) == ("@hourly", "other")
    assert get(c, "b")["misfire"] == "skip"
    assert (schedule(c, "DEL", "q", "b"), schedule(c, "DEL", "q", "b")) == (1, 0)
    assert get(c, "b") == {} and schedule(c, "DEL", "other", "b") == 0


def test_it_rests_goes_on_and_runs_by_hand(s):
    c = s.client()
    schedule(c, "SET", "q", "t", "@yearly", "x")
    for n in (1, 2):
        name, duplicate = schedule(c, "RUN", "q", "t")
        assert duplicate == 0 and pairs(c("JOB.GET", name))["payload"] == "x"
        assert get(c, "t")["runs"] == n and get(c, "t")["last_job"] == name
    assert (schedule(c, "PAUSE", "q", "t"), schedule(c, "PAUSE", "q", "t")) == (1, 0)
    assert (get(c, "t")["status"], get(c, "t")["next_at"]) == ("paused", 0)
    assert (schedule(c, "RESUME", "q", "t"), schedule(c, "RESUME", "q", "t")) == (1, 0)
    assert get(c, "t")["next_at"] > now_ms(c)
    for word in ("PAUSE", "RESUME", "RUN"):
        assert c.error("JOB.SCHEDULE", word, "q", "none").startswith("NOSCHEDULE")
        assert c.error("JOB.SCHEDULE", word, "other", "t").startswith("NOSCHEDULE")


def test_what_is_wrong_is_refused_and_changes_nothing(s):
    c = s.client()
    c("SET", "text", "x")
    refused = [
        ("SET", "q", "n", "61 * * * *", "x"), ("SET", "q", "n", "* * *", "x"),
        ("SET", "q", "n", "0 0 30 2 *", "x"), ("SET", "q", "n", "@reboot", "x"),
        ("SET", "q", "n", "* * * * *\r\n", "x"), ("SET", "q", "n", "* " * 300, "x"),
        ("SET", "q", "n", "@daily", "x", "TZ", "Mars/Olympus"),
        ("SET", "q", "n", "@daily", "x", "TZ"),
        ("SET", "q", "n", "@daily", "x", "TZ", "../../etc/passwd"),
        ("SET", "q", "n", "@daily", "x", "TZ", "/etc/passwd"),
        ("SET", "q", "n", "@daily", "x", "TZ", "tzdata.zi"),
        ("SET", "q", "n", "@daily", "x", "TZ", "Europe"), ("SET", "q", "n", "@daily"),
        ("SET", "q", "n", "@daily", "x", "MISFIRE", "maybe"),
        ("SET", "q", "n", "@daily", "x", "ID", "d"), ("SET", "q", "n", "@daily", "x", "STRICT"),
        ("SET", "q", "n", "@daily", "x", "PRI", "1000"), ("SET", "q", "n", "@daily", "x", "WHAT"),
        ("SET", "q", "", "@daily", "x"), ("SET", "q", "a b", "@daily", "x"),
        ("SET", "q", "n" * 129, "@daily", "x"), ("SET", "", "n", "@daily", "x"),
        ("SET", "q" * 513, "n", "@daily", "x"), ("SET", "q", "n", "@daily", b"x" * 2000000),
        ("SET", "text", "n", "@daily", "x"), ("GET", "text", "n"), ("LIST", "text"),
        ("DEL", "text", "n"), ("GET", "q"), ("DEL", "q"), ("DEL", "q", "a", "b"), ("FROB", "q"),
        ("LIST", "q", "COUNT", "0"), ("LIST", "q", "AFTER")]
    for words in refused:
        assert c.error("JOB.SCHEDULE", *words), words
    assert c("EXISTS", "q") == 0
    for words in ((), ("SET",)):
        assert "wrong number" in c.error("JOB.SCHEDULE", *words)
    rng = random.Random(3)
    for _ in range(3000):
        text = bytes(rng.choice(b"0123456789*,-/ L@\x00\xffmon") for _ in range(rng.randrange(20)))
        c.error("JOB.SCHEDULE", "SET", "fuzz", text[:8], text, text, "TZ", text)
    assert c("PING") == "PONG"


def test_schedules_go_where_their_queue_goes(s):
    c = s.client()
    schedule(c, "SET", "q", "t", "@hourly", "x", "TZ", "Europe/Berlin")
    before = get(c, "t")
    c("RENAME", "q", "p")
    assert get(c, "t") == {} and get(c, "t", "p")["next_at"] == before["next_at"]
    c("COPY", "p", "copy")
    c.send("DUMP", "copy")
    size = int(c.line()[1:])  # bytes that are no text
    dump = c.bulk(size)
    c("RESTORE", "again", "0", dump)
    for queue in ("copy", "again"):
        assert get(c, "t", queue)["next_at"] == before["next_at"]
    c("DEL", "p")
    assert schedule(c, "LIST", "p") == []
    schedule(c, "SET", "again", "t", EVERY_SECOND, "x")
    c("RENAME", "again", "last")
    wait_for(lambda: times_of(c, "t", "last"), WAIT_S_MAX, "a run after RENAME")


def test_schedules_outlive_the_server(s):
    c = s.client()
    schedule(c, "SET", "q", "tick", EVERY_SECOND, "x", "MISFIRE", "one")
    schedule(c, "SET", "q", "rare", "@yearly", "y", "TZ", "Asia/Tokyo")
    schedule(c, "SET", "q", "rests", "@hourly", "z")
    schedule(c, "PAUSE", "q", "rests")
    wait_for(lambda: len(times_of(c, "tick")) >= 2, WAIT_S_MAX, "two runs")
    before = get(c, "rare")
    s.process.kill()
    s.process.wait()
    s.start()
    c = s.client()
    assert get(c, "rare") == before and get(c, "rests")["status"] == "paused"
    have = len(times_of(c, "tick"))
    wait_for(lambda: len(times_of(c, "tick")) >= have + 2, WAIT_S_MAX, "two more runs")
    times = times_of(c, "tick")
    # It was gone for less than the minute that counts as late.
    assert times == list(range(times[0], times[0] + len(times))), times
    if not c.error("DEBUG", "RELOAD"):
        assert get(c, "rare") == before


def test_rights_go_by_the_queue(s):
    c = s.client()
    c("ACL", "SETUSER", "ada", "on", ">pw", "~mail*", "+@all")
    schedule(c, "SET", "other", "t", "@hourly", "x")
    a = s.client()
    a("AUTH", "ada", "pw")
    assert schedule(a, "SET", "mail", "t", "@hourly", "x")
    for words in (("SET", "other", "t", "@hourly", "x"), ("GET", "other", "t"), ("LIST", "other"),
                  ("DEL", "other", "t"), ("RUN", "other", "t"), ("PAUSE", "other", "t")):
        assert a.error("JOB.SCHEDULE", *words).startswith("NOPERM"), words


def test_in_a_transaction_it_is_all_or_nothing(s):
    c = s.client()
    c("MULTI")
    schedule(c, "SET", "q", "t", "@hourly", "x")
    schedule(c, "RUN", "q", "t")
    said = c("EXEC")
    assert said[0] > now_ms(c) and said[1][1] == 0, said
    assert get(c, "t")["runs"] == 1


def test_failovers_repeat_and_lose_no_run(s):
    """Every second one run, while two leaders in turn are killed: none twice, none missing."""
    if "redis-server" in SERVER:
        return  # one server only
    del s
    from cluster import Cluster  # noqa: E402

    with Cluster(3, "--loadmodule", JOBS) as cluster:
        cluster.await_leader()
        ask_any(cluster.nodes, "JOB.SCHEDULE", "SET", "q", "tick", EVERY_SECOND, "x", "MISFIRE",
                "skip")

        def times():
            return times_of(lambda *words: ask_any(cluster.nodes, *words), "tick")
        for _ in range(2):
            have = len(times())
            wait_for(lambda n=have: len(times()) >= n + 3, WAIT_S_MAX, "three more runs")
            leader = cluster.await_leader()
            leader.kill()
            cluster.await_leader()
            leader.start()
        have = len(times())
        wait_for(lambda: len(times()) >= have + 3, WAIT_S_MAX, "three more runs")
        ask_any(cluster.nodes, "JOB.SCHEDULE", "PAUSE", "q", "tick")
        seen = times()
        assert seen == list(range(seen[0], seen[0] + len(seen))), seen
        about = pairs(ask_any(cluster.nodes, "JOB.SCHEDULE", "GET", "q", "tick"))
        assert about["skipped"] == 0 and about["runs"] == len(seen), about
        cluster.await_equal()


def run_one(test):
    server = Server(SERVER, "--loadmodule", JOBS, "--appendonly", "yes", "--appendfsync", "always")
    on_server(server, test)


if __name__ == "__main__":
    run_tests(globals(), run_one)
