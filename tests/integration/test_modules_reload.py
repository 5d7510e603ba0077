#!/usr/bin/env python3
"""MODULE RELOAD on a real server: another version takes over with all data, or nothing has changed.

Usage: test_modules_reload.py [SERVER MODULES_DIR [NAME...]]

Each test_ function gets a fresh server; its docstring must hold.  t_swap and t_swap2 are two
versions of one module, with a setting that says which step of the swap shall fail.
"""
import os
import shutil
import sys
import threading
import time

import test_jobs_crash as jobs
from resp_client import Server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
KEYS = 200
RELOADS = 10  # of one module under load
PASSWORD = "correct horse battery"
LAST_STEP = 7  # of enum fail in t_swap.c


def module(name):
    return os.path.join(MODULES, name + ".so")


def load(c, name, *args):
    assert c("MODULE", "LOAD", module(name), *args) == "OK"


def expect(got, want):
    assert got == want, f"got {str(got)[:500]}, want {str(want)[:500]}"


def wait_for(what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("timed out")


def modules(c):
    return {m["name"]: m for m in (dict(zip(e[::2], e[1::2])) for e in c("MODULE", "LIST"))}


def fill(c):
    for i in range(KEYS):
        expect(c("SWAP.SET", f"key:{i}", f"text {i}"), "OK")
    c("EXPIRE", "key:1", 10000)
    c("SELECT", 3)
    c("SWAP.SET", "other", "database")
    c("SELECT", 0)
    c("SET", "string", "untouched")
    c("SWAP.NOTE", 42)


def check(c):
    for i in range(KEYS):
        expect(c("SWAP.GET", f"key:{i}"), f"text {i}")
    assert 9000 < c("TTL", "key:1") <= 10000
    expect(c("TYPE", "key:1"), "swapvalue")
    c("SELECT", 3)
    expect(c("SWAP.GET", "other"), "database")
    c("SELECT", 0)
    expect(c("GET", "string"), "untouched")
    expect(c("SWAP.SEE")[1:3], [42, -42])
    expect(c("DBSIZE"), KEYS + 1)


def test_another_version(server):
    """Values, globals, settings, arguments and deadlines are there, the new code runs, and all of
    it is there after restarts, from the log and from a snapshot."""
    c, other = server.client(), server.client()
    load(c, "t_swap", "an", "argument")
    expect(modules(c)["t_swap"]["ver"], 1)
    fill(c)
    c("CONFIG", "SET", "t_swap.fail", 99)
    assert c.error("SWAP.NEW").startswith("ERR unknown command")
    expect(c("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    expect(modules(c)["t_swap"]["ver"], 2)
    expect(modules(c)["t_swap"]["path"], module("t_swap2"))
    expect(modules(c)["t_swap"]["args"], ["an", "argument"])
    expect(c("CONFIG", "GET", "t_swap.fail"), ["t_swap.fail", "99"])
    expect(other("SWAP.NEW"), [2, 42, -42, KEYS + 1, 2])
    check(c)
    for snapshot in (False, True):
        if snapshot:
            c("SAVE")
        assert server.stop() == 0
        server.start()
        c = server.client()
        expect(modules(c)["t_swap"]["ver"], 2)
        check(c)
    expect(c("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    check(c)


def test_the_same_path(server):
    """Without a path the file is read again: what an upgrade has put there."""
    c = server.client()
    path = os.path.join(server.dir, "mine.so")
    shutil.copy(module("t_swap"), path)
    expect(c("MODULE", "LOAD", path), "OK")
    fill(c)
    shutil.copy(module("t_swap2"), path + ".new")
    os.rename(path + ".new", path)
    expect(c("SWAP.SEE")[0], 1)
    expect(c("MODULE", "RELOAD", "t_swap"), "OK")
    expect(c("SWAP.SEE")[0], 2)
    check(c)


def test_every_step_that_fails(server):
    """Whichever step fails, the old version goes on with everything, and a retry works."""
    c = server.client()
    load(c, "t_swap")
    fill(c)
    for path, why in (("/nonexistent.so", "cannot open"), ("nowhere", "module path"),
                      (module("hello"), "'hello', not 't_swap'")):
        refused = c.error("MODULE", "RELOAD", "t_swap", path)
        assert why in refused, refused
        check(c)
    for step in range(1, LAST_STEP + 1):
        c("CONFIG", "SET", "t_swap.fail", step)
        refused = c.error("MODULE", "RELOAD", "t_swap", module("t_swap2"))
        assert refused is not None and refused.startswith("ERR module t_swap is not swapped"), \
            (step, refused)
        expect(modules(c)["t_swap"]["ver"], 1)
        expect(c("CONFIG", "GET", "t_swap.fail"), ["t_swap.fail", str(step)])
        assert c.error("SWAP.NEW").startswith("ERR unknown command")
        check(c)
        expect(c("SWAP.SET", "key:0", "text 0"), "OK")
    c("CONFIG", "SET", "t_swap.fail", 0)
    expect(c("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    expect(c("SWAP.SEE")[0], 2)
    check(c)
    c("SELECT", 3)
    expect(c("DEL", "other"), 1)
    c("SELECT", 0)
    expect(c("DEL", *(f"key:{i}" for i in range(KEYS))), KEYS)
    expect(c("MODULE", "UNLOAD", "t_swap"), "OK")


def test_refusals(server):
    """What cannot be swapped is refused with the reason, and stays."""
    c, waits = server.client(timeout=30), server.client(timeout=30)
    expect(c.error("MODULE", "RELOAD", "nothing"),
           "ERR module nothing is not swapped: no such module with that name")
    load(c, "t_server")
    refused = c.error("MODULE", "RELOAD", "t_server")
    assert "HELIOSMODULE_OPTION_NO_GLOBALS" in refused, refused
    load(c, "t_swap")
    fill(c)
    expect(c.error("MODULE", "RELOAD", "t_swap", module("t_swap2"), "ARGS", "x"),
           "ERR syntax error")
    waits.send("SWAP.WAIT", "nobody", 60000)
    wait_for(lambda: "blocked_clients:1\r" in c("INFO", "clients"))
    refused = c.error("MODULE", "RELOAD", "t_swap", module("t_swap2"))
    assert "blocked clients" in refused, refused
    check(c)
    waits.close()
    wait_for(lambda: "blocked_clients:0\r" in c("INFO", "clients"))
    expect(c("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    check(c)


def test_who_waits_a_moment_is_waited_for(server):
    """A client that has its answer soon delays the swap; others wait, and none is refused."""
    c, waits, other = (server.client(timeout=30) for _ in range(3))
    load(c, "t_swap")
    fill(c)
    waits.send("SWAP.WAIT", "nobody", 700)
    wait_for(lambda: "blocked_clients:1\r" in c("INFO", "clients"))
    c.send("MODULE", "RELOAD", "t_swap", module("t_swap2"))
    wait_for(lambda: "blocked_clients:2\r" in other("INFO", "clients"))
    other.send("SWAP.SEE")
    expect(waits.read(), "late")
    expect(c.read(), "OK")
    expect(other.read()[0], 2)
    check(c)


def test_in_transactions(server):
    """RELOAD is refused in MULTI; what was queued before a swap runs with the new version."""
    c, other = server.client(), server.client()
    load(c, "t_swap")
    c("MULTI")
    expect(c.error("MODULE", "RELOAD", "t_swap"), "ERR Command not allowed inside a transaction")
    c.error("EXEC")
    c("MULTI")
    c("SWAP.SEE")
    expect(other("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    expect(c("EXEC")[0][0], 2)


def test_rights_stay(server):
    """A user who may run one command of the module may do so afterwards, and no more."""
    c, ada = server.client(), server.client()
    load(c, "t_swap")
    fill(c)
    c("ACL", "SETUSER", "ada", "on", ">secret", "~*", "+swap.get")
    ada("AUTH", "ada", "secret")
    expect(ada("SWAP.GET", "key:1"), "text 1")
    expect(c("MODULE", "RELOAD", "t_swap", module("t_swap2")), "OK")
    expect(ada("SWAP.GET", "key:1"), "text 1")
    assert ada.error("SWAP.SET", "key:1", "x").startswith("NOPERM")
    assert ada.error("SWAP.NEW").startswith("NOPERM")


def test_jobs_and_auth_under_load(server):
    """Both modules are swapped again and again while clients use them: no request fails, no
    connection is lost, no job, user or token is."""
    c = server.client(timeout=60)
    for name in ("jobs", "auth"):
        load(c, name)
    c("CONFIG", "SET", "auth.bcrypt-cost", "4")
    world = jobs.World()
    actors = [jobs.Pusher(world, 0), jobs.Pusher(world, 1), jobs.Worker(world, 2),
              jobs.Worker(world, 3), jobs.Registrar(world, 4)]
    over = threading.Event()

    def drive(actor):
        client = server.client(timeout=60)
        try:
            while not over.is_set():
                actor.step(client)
        except Exception as e:
            actor.failed = e

    threads = [threading.Thread(target=drive, args=(actor,)) for actor in actors]
    for thread in threads:
        thread.start()
    try:
        for _ in range(RELOADS):
            for name in ("jobs", "auth"):
                before = len(world.done), len(world.users)
                wait_for(lambda: len(world.done) > before[0] and len(world.users) > before[1])
                expect(c("MODULE", "RELOAD", name), "OK")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for actor in actors:
        assert actor.failed is None, repr(actor.failed)
    jobs.finish(c, world, actors)
    print(f"     {2 * RELOADS} swaps, {len(world.done)} jobs done, {len(world.users)} users")


def run(test):
    with Server(SERVER, "--enable-module-command", "yes") as server:
        try:
            test(server)
            ended = server.stop()
            assert ended == 0, f"the server ended with {ended}"
        except Exception:
            print(server.log()[-3000:])
            raise


if __name__ == "__main__":
    run_tests(globals(), run)
