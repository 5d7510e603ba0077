#!/usr/bin/env python3
"""Commands that wait for an element of a list: who gets what, when, and when nobody does.

    test_blocking.py [SERVER [MODULES [TEST...]]]

Runs on Helios and on redis-server alike (integration_blocking_on_redis).
"""
import os
import sys
import time

from resp_client import Client, Server, on_server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
STOCK = "redis" in os.path.basename(SERVER)
VOLATILE = ["--save", "", "--appendonly", "no"] if STOCK else ["--appendonly", "no"]
DURABLE = [] if STOCK else ["--appendfsync", "always"]


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def blocked(server, count, seconds=10):
    """Wait until so many clients wait."""
    c = server.client()
    end = time.time() + seconds
    while f"blocked_clients:{count}\r" not in c("INFO", "clients"):
        assert time.time() < end, f"never {count} blocked clients"
        time.sleep(0.005)
    c.close()


class Waiter(Client):
    """A client that waits: it sends a command, and reads its reply later."""

    def __init__(self, server, command, number):
        super().__init__(server.port)
        self.send(*command.split())
        blocked(server, number)


def waiters(server, *commands):
    return [Waiter(server, command, i + 1) for i, command in enumerate(commands)]


def test_immediately(server):
    """Where there is an element nobody waits; the first key that has one is served."""
    c = server.client()
    c("RPUSH b 1 2 3")
    expect(c("BLPOP a b 0"), ["b", "1"])
    expect(c("BRPOP a b 0"), ["b", "3"])
    expect(c("BLMOVE b d LEFT RIGHT 0"), "2")
    expect(c("EXISTS b"), 0)
    c("RPUSH d x y z")
    expect(c("BLMPOP 0 2 a d RIGHT COUNT 2"), ["d", ["z", "y"]])
    expect(c("BRPOPLPUSH d d 0"), "x")
    expect(c("LRANGE d 0 -1"), ["x", "2"])


def test_order(server):
    """Who came first is served first, and one push serves as many as it has elements."""
    w = waiters(server, *["BLPOP q 0"] * 4)
    c = server.client()
    expect(c("RPUSH q a b c"), 3)
    for client, element in zip(w, "abc"):
        expect(client.read(), ["q", element])
    blocked(server, 1)
    expect(c("EXISTS q"), 0)
    c("LPUSH q d")
    expect(w[3].read(), ["q", "d"])


def test_several_keys(server):
    """A client that waits for several keys gets the one that comes, and waits for none then."""
    w = waiters(server, "BLPOP a b c 0", "BRPOP c a 0")
    c = server.client()
    c("RPUSH c 1")
    expect(w[0].read(), ["c", "1"])
    c("RPUSH a 2 3")
    expect(w[1].read(), ["a", "3"])
    c("RPUSH b 4")
    expect(c("LRANGE b 0 -1"), ["4"])
    expect(w[0]("PING"), "PONG")


def test_same_key_twice(server):
    """A key may be named twice."""
    w = waiters(server, "BLPOP a a a 0", "BLPOP a 0")
    c = server.client()
    c("RPUSH a 1 2")
    expect(w[0].read(), ["a", "1"])
    expect(w[1].read(), ["a", "2"])


def test_transactions(server):
    """A transaction's pushes are all there before anybody takes one, and nobody waits inside."""
    w = waiters(server, "BLPOP a 0")
    c = server.client()
    c("MULTI")
    c("RPUSH a 1")
    c("LPUSH a 2")
    expect(c("EXEC"), [1, 2])
    expect(w[0].read(), ["a", "2"])
    w = waiters(server, "BLPOP b 0")
    c("MULTI")
    c("RPUSH b 1")
    c("DEL b")
    expect(c("EXEC"), [1, 1])
    c("MULTI")
    c("BLPOP nothing 0")
    c("BLMOVE nothing x LEFT LEFT 0")
    expect(c("EXEC"), [None, None])
    blocked(server, 1)
    c("RPUSH b 2")
    expect(w[0].read(), ["b", "2"])


def test_chain(server):
    """What a move that waited puts somewhere serves who waits there."""
    w = waiters(server, "BLMOVE a b LEFT RIGHT 0", "BRPOPLPUSH b c 0", "BLPOP c 0")
    c = server.client()
    c("RPUSH a x")
    expect(w[0].read(), "x")
    expect(w[1].read(), "x")
    expect(w[2].read(), ["c", "x"])
    expect(c("EXISTS a b c"), 0)


def test_multi_pop(server):
    """BLMPOP takes up to what it asked for."""
    w = waiters(server, "BLMPOP 0 2 a b LEFT COUNT 3", "BLMPOP 0 1 b RIGHT COUNT 1")
    c = server.client()
    c("RPUSH b 1 2 3 4 5")
    expect(w[0].read(), ["b", ["1", "2", "3"]])
    expect(w[1].read(), ["b", ["5"]])
    expect(c("LRANGE b 0 -1"), ["4"])


def test_other_ways_to_a_list(server):
    """RENAME, COPY, RESTORE, MOVE and SWAPDB make lists too."""
    c = server.client()
    c("RPUSH x 1")
    payload = b"\x12\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff\x0a\x00" \
              b"\x09\xb9\xed\xf5\x94\xde\xd9\x95"
    for change in (("RENAME", "x", "q"), ("COPY", "x", "q"), ("RESTORE", "q", "0", payload)):
        c("DEL q")
        c("DEL x")
        c("RPUSH x a")
        w = waiters(server, "BLPOP q 0")
        c(*change)
        expect(w[0].read(), ["q", "a"])
    d = server.client()
    d("SELECT 1")
    d("RPUSH q other")
    w = waiters(server, "BLPOP q 0")
    d("MOVE q 0")
    expect(w[0].read(), ["q", "other"])
    d("RPUSH q swapped")
    w = waiters(server, "BLPOP q 0")
    c("SWAPDB 0 1")
    expect(w[0].read(), ["q", "swapped"])


def test_wrong_types(server):
    """A key of another type serves nobody; where it is named at once it is an error."""
    c = server.client()
    c("SET s x")
    assert c.error("BLPOP a s 0").startswith("WRONGTYPE")
    assert c.error("BLMOVE s a LEFT LEFT 0").startswith("WRONGTYPE")
    w = waiters(server, "BLPOP q 0", "BLMOVE from s LEFT LEFT 0")
    c("SET q x")
    c("DEL q")
    c("RPUSH from 1")
    assert str(w[1].read()).startswith("WRONGTYPE")
    expect(c("LRANGE from 0 -1"), ["1"])
    c("RPUSH q 1")
    expect(w[0].read(), ["q", "1"])


def test_time(server):
    """The time is over: null; a bad one is an error."""
    c = server.client()
    start = time.time()
    expect(c("BLPOP q 0.2"), None)
    assert time.time() - start >= 0.2
    for command in ("BRPOP q 0.01", "BLMOVE q r LEFT LEFT 0.01", "BRPOPLPUSH q r 0.01",
                    "BLMPOP 0.01 1 q LEFT"):
        expect(c(*command.split()), None)
    for bad, text in (("-1", "negative"), ("nan", "not a float"), ("x", "not a float"),
                      ("1e400", "negative"), ("", "not a float")):
        error = c.error("BLPOP", "q", bad)
        assert error is not None and text in error, (bad, error)
    c("RPUSH q 1")
    expect(c("BLPOP q 1"), ["q", "1"])


def test_unblock(server):
    """CLIENT UNBLOCK ends a wait as if its time were over, or with an error."""
    a = server.client()
    b = server.client()
    ids = [a("CLIENT ID"), b("CLIENT ID")]
    a.send("BLPOP", "q", "0")
    blocked(server, 1)
    b.send("BLPOP", "q", "0")
    blocked(server, 2)
    c = server.client()
    expect(c("CLIENT", "UNBLOCK", ids[0]), 1)
    expect(c("CLIENT", "UNBLOCK", ids[1], "ERROR"), 1)
    expect(a.read(), None)
    assert str(b.read()).startswith("UNBLOCKED")
    expect(c("CLIENT", "UNBLOCK", ids[0]), 0)
    expect(c("RPUSH q 1"), 1)
    expect(c("LLEN q"), 1)


def test_who_leaves(server):
    """A client that leaves takes nothing."""
    w = waiters(server, "BLPOP q 0", "BLPOP q 0")
    w[0].close()
    blocked(server, 1)
    c = server.client()
    c("RPUSH q 1")
    expect(w[1].read(), ["q", "1"])
    waiters(server, "BLPOP other 0")[0].close()
    blocked(server, 0)
    expect(c("RPUSH other 1"), 1)
    expect(c("LLEN other"), 1)


def test_pipeline(server):
    """What is behind a command that waits, waits with it."""
    a = server.client()
    a.send("BLPOP", "q", "0")
    a.send("PING")
    blocked(server, 1)
    c = server.client()
    c("RPUSH q 1")
    expect([a.read(), a.read()], [["q", "1"], "PONG"])


def test_many(server):
    """Hundreds of clients share thousands of elements: each is taken once, in order."""
    clients = [server.client() for _ in range(200)]
    for client in clients:
        client.send("BLPOP", "q", "0")
    blocked(server, len(clients))
    c = server.client()
    taken = []
    for i in range(0, 2000, 100):
        c("RPUSH", "q", *range(i, i + 100))
        for client in clients[:100]:
            taken.append(int(client.read()[1]))
            client.send("BLPOP", "q", "0")
        clients = clients[100:] + clients[:100]
    expect(taken, list(range(2000)))


def test_log_holds_no_waits(server):
    """What was taken by those who waited is gone after a restart, and what was moved is there."""
    if STOCK:
        return
    w = waiters(server, "BLPOP q 0", "BLMOVE m n LEFT RIGHT 0", "BLMPOP 0 1 p LEFT COUNT 2")
    c = server.client()
    c("RPUSH q 1 2")
    c("RPUSH m x y")
    c("RPUSH p 1 2 3")
    for client in w:
        client.read()
    server.process.kill()
    server.process.wait()
    server.start()
    c = server.client()
    expect(c("LRANGE q 0 -1"), ["2"])
    expect([c("LRANGE m 0 -1"), c("LRANGE n 0 -1")], [["y"], ["x"]])
    expect(c("LRANGE p 0 -1"), ["3"])


test_log_holds_no_waits.args = DURABLE


def run(test):
    on_server(Server(SERVER, *getattr(test, "args", VOLATILE)), test)


if __name__ == "__main__":
    run_tests(globals(), run)
