#!/usr/bin/env python3
"""Modules come and go under load: nothing leaks, nothing crashes, and a refusal changes nothing.

Usage: test_modules_unload.py [SERVER MODULES_DIR [NAME...]]

On a server built with HELIOS_SANITIZE=address each test ends with what AddressSanitizer and
LeakSanitizer had to say; on another one it shows crashes only.  Servers that keep a module with a
data type for ever, as Redis does, skip what unloads such a module.
"""
import glob
import os
import sys
import threading
import time

from resp_client import Server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))
FLAGS = ["--enable-module-command", "yes"] + (["--save", "", "--appendonly", "no"] if STOCK else [])
ROUNDS = 10
PASSWORD = "correct horse battery"
TYPES = "ERR Error unloading module: the module exports one or more module-side data types, " \
        "can't unload"


def module(name):
    return os.path.join(MODULES, name + ".so")


def load(c, name):
    arguments = ["listen", "127.0.0.1:0"] if name == "metrics" else []
    assert c("MODULE", "LOAD", module(name), *arguments) == "OK"
    if name == "auth":
        c("CONFIG", "SET", "auth.bcrypt-cost", "4")


def expect(got, want):
    assert got == want, f"got {str(got)[:500]}, want {str(want)[:500]}"


def loaded(c):
    return sorted(dict(zip(m[::2], m[1::2]))["name"] for m in c("MODULE", "LIST"))


def wait_for(what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("timed out")


def unloads_types(c):
    """Whether this server ever lets a module with a data type go."""
    load(c, "counter_type")
    if c.error("MODULE", "UNLOAD", "counter_type") is None:
        return True
    print("     (this server keeps modules with a data type for ever: skipped)")
    return False


def unload_empty(c, name):
    """Try once, without values; clients that wait or count a failed login get in the way."""
    c("FLUSHALL")
    return c.error("MODULE", "UNLOAD", name) is None


class Storm:
    """Clients that use what may be there or not: replies and unknown commands are both right."""
    COMMANDS = {
        "hello": [("HELLO.GREET", "you")],
        "counter_type": [("COUNTER.GET", "none"), ("COUNTER.ADD", "c", "by"), ("TYPE", "none")],
        "jobs": [("JOB.PULL", "none"), ("JOB.STATS",), ("JOB.HELP",), ("JOB.GET", "q:1-00000000")],
        "auth": [("AUTH.LOGIN", "nobody", PASSWORD), ("AUTH.VERIFY", "x.y.z"), ("AUTH.HELP",)],
        "ratelimit": [("RATELIMIT.TAKE", "k", 5, 100, 1), ("RATELIMIT.TOP",), ("RATELIMIT.HELP",),
                      ("CL.THROTTLE", "c", 1, 100, 1), ("RATELIMIT.POLICY", "SET", "p", 1, 1, 1),
                      ("RATELIMIT.TAKE", "a", "p", "AND", "b", "WINDOW", 5, 10)],
        "metrics": [("METRICS.RENDER",), ("METRICS.GET", "raft_term"), ("METRICS.LIST",),
                    ("METRICS.DEFINE", "m", "GAUGE"), ("METRICS.SET", "m", 1), ("METRICS.HELP",),
                    ("METRICS.DEL", "m"), ("METRICS.RENDER", "OPENMETRICS")],
        "rbac": [("RBAC.CAN", "ada", "kv:get", "k"), ("RBAC.ROLE", "LIST"), ("RBAC.HELP",),
                 ("RBAC.EXPLAIN", "ada", "COMMAND", "GET", "k"), ("RBAC.GRANT", "ada", "user"),
                 ("RBAC.ROLE", "SET", "r", "+get", "~a*"), ("RBAC.REVOKE", "ada")],
    }
    ALWAYS = [("COMMAND", "COUNT"), ("INFO", "everything"), ("MODULE", "LIST"), ("PING",),
              ("CONFIG", "GET", "*")]

    def __init__(self, server, name, clients=3):
        self.commands = self.COMMANDS[name] + self.ALWAYS
        self.over, self.answers, self.failed = False, 0, None
        self.threads = [threading.Thread(target=self.run, args=(server.client(timeout=60), i))
                        for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, client, at):
        try:
            while not self.over:
                at += 1
                client.error(*self.commands[at % len(self.commands)])
                self.answers += 1
        except Exception as e:  # the connection broke: the server is in trouble
            self.failed = e

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()
        assert self.failed is None, self.failed
        assert self.answers > 0


def come_and_go(server, name):
    c = server.client(timeout=60)
    storm = Storm(server, name)
    try:
        for _ in range(ROUNDS):
            load(c, name)
            expect(loaded(c), [name])
            time.sleep(0.02)
            wait_for(lambda: unload_empty(c, name), 60)
            expect(loaded(c), [])
    finally:
        storm.stop()


def test_hello_comes_and_goes(server):
    """A module without state, while clients call it."""
    come_and_go(server, "hello")


def test_counter_type_comes_and_goes(server):
    """A module with a data type and no value of it."""
    if unloads_types(server.client()):
        come_and_go(server, "counter_type")


def test_jobs_comes_and_goes(server):
    """A module with timers, events, settings and notifications, without queues."""
    if unloads_types(server.client()):
        come_and_go(server, "jobs")


def test_auth_comes_and_goes(server):
    """A module with threads of its own, while they work."""
    if unloads_types(server.client()):
        come_and_go(server, "auth")


def test_ratelimit_comes_and_goes(server):
    """A module with two data types, while its keys come and expire."""
    if unloads_types(server.client()):
        come_and_go(server, "ratelimit")


def test_rbac_comes_and_goes(server):
    """A module with users of the server's, an interface for others and the cron."""
    if unloads_types(server.client()):
        come_and_go(server, "rbac")


def test_metrics_comes_and_goes(server):
    """A module with a thread that reads what the others and the server count."""
    if STOCK:
        print("     (redis-server keeps no metrics for modules: skipped)")
        return
    come_and_go(server, "metrics")


def test_with_values(server):
    """With live values the module stays, says why, and goes on; without them it goes."""
    c = server.client()
    can = unloads_types(c)
    for name in ("jobs", "auth"):
        load(c, name)
    c("JOB.PUSH", "q", "x", "DELAY", 100000)
    c("AUTH.REGISTER", "ada", PASSWORD)
    c("AUTH.LOGIN", "ada", PASSWORD)
    for name in ("jobs", "auth"):
        expect(c.error("MODULE", "UNLOAD", name), TYPES)
    expect(c("JOB.PUSH", "q", "y")[1], 0)
    c("AUTH.LOGIN", "ada", PASSWORD)
    if not can:
        return
    c("FLUSHALL")
    for name in ("jobs", "auth"):
        expect(c("MODULE", "UNLOAD", name), "OK")
        assert c.error("JOB.STATS" if name == "jobs" else "AUTH.HELP").startswith("ERR unknown")
    for name in ("jobs", "auth"):
        load(c, name)
    expect(c("JOB.QUEUES"), [])
    expect(c("AUTH.USERS"), [])


def test_with_blocked_clients(server):
    """While a client waits in the module it stays; when the last has its answer it goes."""
    c, waits, leaves = server.client(), server.client(), server.client()
    if not unloads_types(c):
        return
    load(c, "jobs")
    waits.send("JOB.PULL", "q", "BLOCK", 0)
    leaves.send("JOB.PULL", "q", "r", "BLOCK", 0)
    wait_for(lambda: "jobs_waiters:2\r" in c("INFO", "everything"))
    refused = c.error("MODULE", "UNLOAD", "jobs")
    assert "blocked clients" in refused, refused
    leaves.close()
    wait_for(lambda: "jobs_waiters:1\r" in c("INFO", "everything"))
    assert "blocked clients" in c.error("MODULE", "UNLOAD", "jobs")
    c("JOB.PUSH", "q", "x")
    expect(len(waits.read()), 1)
    expect(c.error("MODULE", "UNLOAD", "jobs"), TYPES)
    c("DEL", "q")
    expect(c("MODULE", "UNLOAD", "jobs"), "OK")
    load(c, "jobs")
    expect(c("JOB.PUSH", "q", "x")[1], 0)


def test_while_a_login_is_judged(server):
    """AUTH that waits for the module keeps it; afterwards AUTH does without it."""
    c, mine = server.client(timeout=60), server.client(timeout=60)
    if not unloads_types(c):
        return
    load(c, "auth")
    c("CONFIG", "SET", "auth.acl-login", "yes")
    c("CONFIG", "SET", "auth.bcrypt-cost", "12")  # a quarter of a second
    c("AUTH.REGISTER", "ada", PASSWORD)
    c("ACL", "SETUSER", "ada", "on", ">native", "~*", "+@all")
    mine.send("AUTH", "ada", PASSWORD)
    wait_for(lambda: "blocked_clients:1\r" in c("INFO", "clients"))
    c("FLUSHALL")
    refused = c.error("MODULE", "UNLOAD", "auth")
    assert "blocked clients" in refused, refused
    expect(str(mine.read()).split()[0], "WRONGPASS")
    wait_for(lambda: unload_empty(c, "auth"))
    assert mine.error("AUTH", "ada", PASSWORD).startswith("WRONGPASS")
    expect(mine("AUTH", "ada", "native"), "OK")


def test_with_timers(server):
    """A running timer does not outlive its module."""
    c = server.client()
    if not unloads_types(c):
        return
    for _ in range(ROUNDS):
        load(c, "jobs")
        c("JOB.PUSH", "q", "x", "DELAY", 50)
        c("DEL", "q")
        wait_for(lambda: c.error("MODULE", "UNLOAD", "jobs") is None)
    time.sleep(0.1)
    expect(c("PING"), "PONG")


def test_in_transactions(server):
    """MODULE is refused in MULTI; what was queued for a module that went runs with the one that is
    there now, or not at all."""
    c, other = server.client(), server.client()
    load(c, "hello")
    if STOCK:
        print("     (redis-server crashes when a queued command's module goes: skipped)")
        return
    for words in (("UNLOAD", "hello"), ("LOAD", module("jobs")), ("LOADEX", module("jobs"))):
        c("MULTI")
        expect(c.error("MODULE", *words), "ERR Command not allowed inside a transaction")
        assert c.error("EXEC").startswith("EXECABORT")
    c("MULTI")
    c("SET", "k", "v")
    c("HELLO.GREET", "you")
    expect(other("MODULE", "UNLOAD", "hello"), "OK")
    assert c.error("EXEC").startswith("EXECABORT")
    expect(c("EXISTS", "k"), 0)
    load(c, "hello")
    c("MULTI")
    c("HELLO.GREET", "you")
    expect(other("MODULE", "UNLOAD", "hello"), "OK")
    load(other, "hello")
    expect(c("EXEC"), ["Hello, you"])


def reports(server):
    """What the sanitizers wrote."""
    found = []
    for path in glob.glob(os.path.join(server.dir, "asan.*")):
        with open(path, errors="replace") as f:
            found.append(f.read()[:6000])
    return "\n".join(found)


def run(test):
    with Server(SERVER, *FLAGS) as server:
        try:
            test(server)
            ended = server.stop()
            assert ended == 0, f"the server ended with {ended}"
        except Exception:
            print(server.log()[-3000:])
            print(reports(server))
            raise
        found = reports(server)
        assert not found, found


if __name__ == "__main__":
    given = os.environ.get("ASAN_OPTIONS", "")  # the last word counts; a path below the server
    os.environ["ASAN_OPTIONS"] = given + ":detect_leaks=1:log_path=asan"
    run_tests(globals(), run)
