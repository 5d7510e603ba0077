#!/usr/bin/env python3
"""The module ABI on a real server: loads our example and test modules and runs their commands.

Usage: test_modules.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or ours, by default that of the environment; both must pass, since modules
must not see a difference.  Each test_ function gets a fresh server; its docstring is what must hold.
"""
import os
import sys
import traceback

from resp_client import Server, Status

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))


def module(name):
    return os.path.join(MODULES, name + ".so")


def load(client, name, *args):
    assert client("MODULE", "LOAD", module(name), *args) == "OK"


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def test_hello(server):
    """The smallest module greets, and MODULE LIST shows it."""
    c = server.client()
    load(c, "hello", "an", "argument")
    expect(c("hello.greet"), Status("Hello, world"))
    expect(c("HELLO.GREET", b"A\x00b"), "Hello, A\x00b")
    expect(c.error("hello.greet a b"), "ERR wrong number of arguments for 'hello.greet' command")
    entry = c("MODULE LIST")[0]
    pairs = dict(zip(entry[::2], entry[1::2]))
    expect((pairs["name"], pairs["ver"], pairs["args"]), ("hello", 1, ["an", "argument"]))


def test_load_errors(server):
    """What cannot be loaded is refused with the texts of Redis, and leaves nothing behind."""
    c = server.client()
    text = "ERR Error loading the extension. Please check the server logs."
    expect(c.error("MODULE", "LOAD", "/nonexistent/nothing.so"), text)
    load(c, "hello")
    expect(c.error("MODULE", "LOAD", module("hello")), text)
    expect(c.error("MODULE UNLOAD nothing"),
           "ERR Error unloading module: no such module with that name")
    expect(c("MODULE UNLOAD hello"), "OK")
    expect(c("MODULE LIST"), [])
    assert c.error("hello.greet").startswith("ERR unknown command")
    load(c, "hello")
    expect(c("hello.greet"), "Hello, world")


def test_counter_type(server):
    """A module's type lives in keys: TYPE, COPY, EXPIRE, DEL and DUMP work on it."""
    c = server.client()
    load(c, "counter_type")
    expect(c("counter.get hits"), None)
    expect(c("counter.add hits 3"), 3)
    expect(c("counter.add hits -5"), -2)
    expect(c("counter.get hits"), [-2, 2])
    expect(c.error("counter.add hits 1x"), "ERR value is not an integer or out of range")
    expect(c.error("counter.add hits"),
           "ERR wrong number of arguments for 'counter.add' command")
    c("SET s x")
    expect(c.error("counter.add s 1"),
           "WRONGTYPE Operation against a key holding the wrong kind of value")
    expect(c.error("GET hits"),
           "WRONGTYPE Operation against a key holding the wrong kind of value")
    expect(c("TYPE hits"), "countertp")
    expect(c("COPY hits copy"), 1)
    expect(c("counter.add copy 10"), 8)
    expect(c("counter.get hits"), [-2, 2])
    expect(c("EXPIRE hits 100"), 1)
    c.send("DUMP", "hits")
    payload = c.read().encode("latin-1")
    expect(c("DEL hits"), 1)
    expect(c("RESTORE", "again", 0, payload), "OK")
    expect(c("counter.get again"), [-2, 2])


def test_counter_overflow(server):
    """A refused change changes nothing."""
    c = server.client()
    load(c, "counter_type")
    expect(c("counter.restore big 9223372036854775807 1"), "OK")
    expect(c.error("counter.add big 1"), "ERR increment would overflow")
    expect(c("counter.get big"), [9223372036854775807, 1])


def main():
    wanted = sys.argv[3:]
    failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        args = getattr(test, "args", [])
        extra = ["--save", "", "--appendonly", "no", "--enable-module-command", "yes"] \
            if STOCK else []
        try:
            with Server(SERVER, *extra, *args) as server:
                try:
                    test(server)
                except Exception:
                    print(server.log()[-3000:])
                    raise
            print(f"ok   {name}")
        except Exception:
            failed += 1
            print(f"FAIL {name}: {test.__doc__}")
            traceback.print_exc()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
