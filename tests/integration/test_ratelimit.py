#!/usr/bin/env python3
"""The ratelimit module on a real server: commands, expiry, scripts of the README, restarts, dumps.

Usage: test_ratelimit.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment): the same tests for both.
Each test_ function gets a fresh server; its docstring is what must hold.
"""
import os
import re
import sys
import threading
import time

from resp_client import Error, Server, lacks, on_server, run_tests

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
MODULE = os.path.join(MODULES, "ratelimit.so")
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))
BASE = ["--enable-debug-command", "yes", "--enable-module-command", "yes"]
VOLATILE = ["--save", "", "--appendonly", "no"] if STOCK else []
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def expect(got, want):
    assert got == want, f"got {str(got)[:500]}, want {str(want)[:500]}"


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def wait_for(true, seconds=10):
    until = time.time() + seconds
    while not true():
        assert time.time() < until, "it did not come true in time"
        time.sleep(0.01)


def test_drained_bucket(server):
    """A drained 3-token bucket polled every 200 ms for 5 s at 1 each second allows 5."""
    c = server.client()
    while c("RATELIMIT.TAKE user 3 1 1")[0]:
        pass
    begin = time.time()
    allowed = 0
    for poll in range(1, 26):
        time.sleep(max(0, begin + poll * 0.2 - time.time()))  # the pace is what is tested
        allowed += c("RATELIMIT.TAKE user 3 1 1")[0]
    assert 4 <= allowed <= 6, allowed


def test_readme(server):
    """The examples of the README answer as printed."""
    c = server.client()
    readme = os.path.join(HERE, "../../modules/ratelimit/README.md")
    with open(readme) as f:
        block = re.search(r"^```\n(> .*?)^```", f.read(), re.M | re.S).group(1)
    steps = re.findall(r"> (.*)\n((?:[^>].*\n)*)", block)
    assert len(steps) > 8, steps
    for command, answer in steps:
        try:
            got = c(command)
        except Error as e:
            got = f"(error) {e}"
        want = " ".join(answer.split())
        got = str(got).replace("'", "").replace(",", "")
        pattern = re.escape(want).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, got), f"{command}: got {got}, README says {want}"


def test_vanishing(server):
    """A key lives until its limit is full again, and no longer."""
    c = server.client()
    c("RATELIMIT.TAKE k 2 10 1 2")
    assert 0 < c("PTTL k") <= 200
    c("CL.THROTTLE cell 15 30 60")
    assert 1000 < c("PTTL cell") <= 2000
    wait_for(lambda: c("EXISTS k") == 0)
    expect(c("RATELIMIT.TAKE k 2 10 1 2")[0], 1)


def test_transactions(server):
    """In MULTI, and in scripts where there are any."""
    c = server.client()
    c("MULTI")
    c("RATELIMIT.TAKE k 2 1 1")
    c("RATELIMIT.TAKE k 2 1 1")
    c("RATELIMIT.TAKE k 2 1 1")
    expect([reply[0] for reply in c("EXEC")], [1, 1, 0])
    if not lacks(c, "eval"):
        script = "return redis.call('RATELIMIT.TAKE', KEYS[1], 2, 1, 1)[1]"
        expect([c("EVAL", script, 1, "s") for _ in range(3)], [1, 1, 0])


def test_concurrent(server):
    """Many clients together get exactly the capacity."""
    taken = []

    def work():
        c = server.client()
        taken.append(sum(c("RATELIMIT.TAKE k 500 1 1000")[0] for _ in range(100)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect(sum(taken), 500)


def test_keys(server):
    """A limit is a key: COPY, RENAME, DUMP, RESTORE, TYPE, MEMORY; others' keys are left alone."""
    c = server.client()
    c("RATELIMIT.TAKE k 5 1 60 3")
    expect(c("TYPE k"), "hlratelim")
    expect(c("COPY k copy"), 1)
    expect(c("RATELIMIT.PEEK copy")[1], 2)
    expect(c("RENAME copy other"), "OK")
    c.send("DUMP", "k")
    payload = c.read().encode("latin-1")
    expect(c("RESTORE", "back", 0, payload), "OK")
    expect(pairs(c("RATELIMIT.GET back"))["used"], 3)
    assert c("MEMORY USAGE k") > 50
    expect(c("RATELIMIT.RESET k back other"), 3)
    c("SET string x")
    expect(c.error("RATELIMIT.TAKE string 1 1 1"), WRONGTYPE)
    expect(c("GET k"), None)


def crc64(data):
    """The checksum at the end of a DUMP payload."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def test_hostile_restore(server):
    """No damaged payload, its checksum put right, harms the server."""
    c = server.client()
    c("RATELIMIT.POLICY SET api GCRA 5 1 60")
    c("RATELIMIT.TAKE a 5 1 60 AND b api AND c WINDOW 5 60000")
    refused = 0
    for key in ("a", "b", "c", "ratelimit:policies"):
        c.send("DUMP", key)
        good = c.read().encode("latin-1")
        for at in range(10, len(good) - 10):
            for value in (0, 0x7f, 0xff, good[at] ^ 1):
                bad = good[:at] + bytes([value]) + good[at + 1:-8]
                c.send("RESTORE", "bad", 0, bad + crc64(bad).to_bytes(8, "little"), "REPLACE")
                if isinstance(c.read(), Error):
                    refused += 1
                elif key != "ratelimit:policies":
                    c("RATELIMIT.TAKE bad 5 1 60")
                    c("RATELIMIT.TAKE bad WINDOW 5 60000")
    assert refused > 100, refused
    expect(c("PING"), "PONG")


def test_restart(server):
    """Limits and policies survive a restart, whichever way they were stored."""
    c = server.client()
    c("RATELIMIT.POLICY SET api WINDOW 10 600000")
    c("RATELIMIT.POLICY SET day TOKEN 5 1 86400")
    c("SELECT 3")
    c("RATELIMIT.TAKE w api 6")
    c("RATELIMIT.TAKE t day 5")
    if STOCK:
        c("BGREWRITEAOF")
        wait_for(lambda: "aof_rewrite_in_progress:0" in c("INFO persistence") and
                 "aof_rewrite_scheduled:0" in c("INFO persistence"))
    c("RATELIMIT.TAKE g GCRA 100 1 86400 99")
    server.stop()
    server.start()
    c = server.client()
    expect(len(c("RATELIMIT.POLICY LIST")), 2)
    c("SELECT 3")
    expect(c("RATELIMIT.TAKE w api 5")[0], 0)
    expect(c("RATELIMIT.TAKE w api 4")[0], 1)
    expect(c("RATELIMIT.TAKE t day")[0], 0)
    expect(c("RATELIMIT.TAKE g GCRA 100 1 86400 2")[0], 0)


test_restart.args = ["--appendonly", "yes"] if STOCK else []


def test_reload(server):
    """The module goes and comes again, and is swapped with all it holds."""
    c = server.client()
    expect(c.error("MODULE UNLOAD ratelimit") is None, not STOCK)
    if not STOCK:
        expect(c.error("RATELIMIT.TAKE k 1 1 1").split()[0], "ERR")
        c("MODULE", "LOAD", MODULE)
    expect(c("RATELIMIT.TAKE k 5 1 60 4")[0], 1)
    if not lacks(c, "module|reload"):
        c("RATELIMIT.POLICY SET p WINDOW 3 60000")
        expect(c("MODULE RELOAD ratelimit"), "OK")
        expect(c("RATELIMIT.PEEK k")[1], 1)
        expect(c("RATELIMIT.TAKE w p")[1], 2)


def test_info_and_docs(server):
    """INFO counts, COMMAND DOCS explains, TOP names, HELP helps."""
    c = server.client()
    c("RATELIMIT.TAKE k 1 1 60")
    c("RATELIMIT.TAKE k 1 1 60")
    info = c("INFO modules") + c("INFO everything")
    assert "ratelimit_allowed:1" in info and "ratelimit_refused:1" in info, info
    docs = c("COMMAND DOCS RATELIMIT.TAKE CL.THROTTLE")
    assert "redis-cell" in str(docs) and "all or nothing" in str(docs), docs
    expect(pairs(c("RATELIMIT.TOP")[0]), {"key": "k", "count": 2, "error": 0, "refused": 1})
    expect(c("COMMAND GETKEYS RATELIMIT.TAKE a 1 1 1 AND b p"), ["a", "b"])
    assert any("CL.THROTTLE" in line for line in c("RATELIMIT.HELP"))
    c("CONFIG SET ratelimit.default-capacity 7")
    expect(c("RATELIMIT.TAKE d")[1], 6)


def test_permissions(server):
    """Keys of every limit of a call are checked."""
    c = server.client()
    c("ACL SETUSER bob on >pw +ratelimit.take ~mine:*")
    b = server.client()
    b("AUTH bob pw")
    expect(b("RATELIMIT.TAKE mine:a 1 1 1")[0], 1)
    assert b.error("RATELIMIT.TAKE mine:b 1 1 1 AND yours 1 1 1").startswith("NOPERM")
    assert b.error("RATELIMIT.RESET mine:a").startswith("NOPERM")


def run(test):
    flags = getattr(test, "args", VOLATILE)
    on_server(Server(SERVER, "--loadmodule", MODULE, *BASE, *flags), test)


if __name__ == "__main__":
    run_tests(globals(), run)
