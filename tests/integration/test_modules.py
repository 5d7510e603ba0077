#!/usr/bin/env python3
"""The module ABI on a real server: loads our example and test modules and runs their commands.

Usage: test_modules.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or ours, by default that of the environment; both must pass, since modules
must not see a difference.  Each test_ function gets a fresh server; its docstring must hold.
"""
import os
import sys
import time

from resp_client import Error, Server, Status, on_server, run_tests

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


def until(condition, seconds=10):
    """Wait for it to hold."""
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "it did not come true"
        time.sleep(0.01)


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


def test_blocking_on_a_thread(server):
    """Slow work stops nobody, and ends when its client leaves or has waited long enough."""
    c, other = server.client(), server.client()
    load(c, "blocking")
    expect(c("blocking.primes 10"), 4)
    expect(c("blocking.primes 100000"), 9592)
    for words in ("x", "-1", "50000001", "10 -1", "10 x"):
        expect(c.error("blocking.primes " + words), "ERR value is not an integer or out of range")
    expect(c.error("blocking.primes"),
           "ERR wrong number of arguments for 'blocking.primes' command")
    c.send("blocking.primes", 50000000)
    until(lambda: "blocked_clients:1\r" in other("INFO clients"))
    expect(other("PING"), "PONG")
    assert "too long" in other.error("blocking.primes 50000000 20")
    c.close()
    until(lambda: other.error("MODULE UNLOAD blocking") is None)  # no thread of it is left


def test_blocking_is_bounded(server):
    """No more threads than named; the next client is told, and helped when one is done."""
    c = server.client()
    load(c, "blocking")
    clients = [server.client() for _ in range(16)]
    for client in clients:
        client.send("blocking.primes", 50000000)
    until(lambda: "blocked_clients:16\r" in c("INFO clients"))
    assert c.error("blocking.primes 10").startswith("BUSY ")
    for client in clients:
        client.close()
    until(lambda: c.error("blocking.primes 10") is None)


def test_blocking_on_a_key(server):
    """Who waits for a key is served in turn, once for each text; nobody waits in MULTI."""
    a, b, c = server.client(), server.client(), server.client()
    load(c, "blocking")
    expect(c("blocking.put box early"), "OK")
    expect(c("blocking.take box 0"), "early")
    expect(c("EXISTS box"), 0)
    expect(c("blocking.take box 20"), None)
    a.send("blocking.take", "box", 0)
    until(lambda: "blocked_clients:1\r" in c("INFO clients"))
    b.send("blocking.take", "box", 0)
    until(lambda: "blocked_clients:2\r" in c("INFO clients"))
    c("blocking.put box first")
    expect(a.read(), "first")
    c("blocking.put box second")
    expect(b.read(), "second")
    c("HSET hash f v")
    assert c.error("blocking.take hash 0").startswith("WRONGTYPE")
    c("MULTI")
    c("blocking.take box 0")
    c("blocking.primes 10")
    reply = c("EXEC")
    expect(reply[0], None)
    expect(str(reply[1]), "ERR not inside a transaction or a script")


def test_events_of_keys(server):
    """Changes are counted, and a lost watched key is written about, with the change itself."""
    c = server.client()
    load(c, "events")

    def seen(name):
        flat = c("events.seen")
        return dict(zip(flat[::2], flat[1::2]))[name]

    c("MSET watched:a 1 watched:b 2 plain 3")
    expect([seen("changed"), seen("removed")], [3, 0])
    expect(c("DEL watched:a plain"), 2)
    expect(seen("removed"), 2)
    expect(c("GET events:lost"), "1")
    c("SET watched:c 1 PX 20")
    until(lambda: c("GET events:lost") == "2")
    c("MULTI")
    c("DEL watched:b")
    c("GET plain")
    expect(c("EXEC"), [1, None])
    expect(c("GET events:lost"), "3")
    changed = seen("changed")
    c("FLUSHALL")
    expect([seen("flushed"), seen("changed")], [1, changed])


def test_events_of_clients_and_time(server):
    """Clients that come and go are counted; a quiet while is noticed once; the module may go."""
    c = server.client()
    load(c, "events")

    def seen(name):
        flat = c("events.seen")
        return dict(zip(flat[::2], flat[1::2]))[name]

    server.client().close()
    until(lambda: seen("connected") == 1 and seen("disconnected") == 1)
    expect(c.error("events.quiet x"), "ERR value is not an integer or out of range")
    expect(c("events.quiet 30"), "OK")
    until(lambda: c("GET events:quiet") == "1")
    c("SET k v")
    until(lambda: c("GET events:quiet") == "2")
    c("events.quiet 100000")
    c("SET k w")
    unloaded = c.error("MODULE UNLOAD events")
    if unloaded is not None:  # the server looks before the module can stop its timer
        assert "timer" in unloaded, unloaded
        expect(c("events.quiet 0"), "OK")
        expect(c("MODULE UNLOAD events"), "OK")


def test_replies(server):
    """Every kind of reply, in RESP2 and in RESP3."""
    c = server.client()
    load(c, "t_api")
    want2 = {"int": -42, "double": "3.25", "bool": 1, "null": None, "nullarray": None,
             "bignum": "123456789012345678901234567890", "verbatim": "text",
             "map": ["a", 1, "b", []], "set": ["a", ""], "nested": [[i] for i in range(12)]}
    want3 = dict(want2, double=3.25, bool=True, bignum=123456789012345678901234567890,
                 verbatim="txt:text", map={"a": 1, "b": []})
    for kind, want in want2.items():
        expect(c("t.reply", kind), want)
    expect(c.error("t.reply error"), "CODE message")
    c("HELLO 3")
    for kind, want in want3.items():
        expect(c("t.reply", kind), want)
    expect(c.error("t.reply error"), "CODE message")


def test_numbers(server):
    """Numbers in arguments are read strictly."""
    c = server.client()
    load(c, "t_api")
    for text, want in {"12": [12, "12"], "-9223372036854775808":
                       [-9223372036854775808, "-9.2233720368547758e+18"],
                       "9223372036854775808": [None, "9.2233720368547758e+18"],
                       "1.5": [None, "1.5"], "0x10": [None, "16"], " 1": [None, None],
                       "1 ": [None, None], "": [None, None], "abc": [None, None],
                       "inf": [None, "inf"], "nan": [None, None], "01": [None, "1"],
                       "+1": [None, "1"]}.items():
        expect((text, c("t.parse", text)), (text, want))


def test_calls(server):
    """RM_Call runs commands, hands replies over and refuses what cannot run."""
    c = server.client()
    load(c, "t_api")
    expect(c("t.call set k v"), "OK")
    expect(c("t.call get k"), "v")
    expect(c("t.call get none"), None)
    expect(c.error("t.call nosuch"), "ERR none")
    expect(c.error("t.call get"), "ERR arguments")
    expect(c.error("t.call incr k"), "ERR value is not an integer or out of range")
    expect(c("t.call mset a 1 b 2 c 3"), "OK")
    expect(c("t.sum mget a b none c"), 6)
    expect(c("t.call t.call t.call get a"), "1")
    c("SELECT 1")
    c("SET k one")
    c("SELECT 0")
    expect(c("t.otherdb k"), "one")
    expect(c("GET k"), "one")  # RM_SelectDb is the client's SELECT


def test_keys(server):
    """Keys through handles: strings, hashes, expiry, deletion."""
    c = server.client()
    load(c, "t_api")
    expect(c("t.key none"), [0, 0, -2])
    expect(c("t.append s ab"), 2)
    expect(c("t.append s cde"), 5)
    expect(c("GET s"), "abcde")
    c("SET n 12")
    expect(c("t.append n 34"), 4)
    expect(c("INCR n"), 1235)
    expect(c("t.key s"), [1, 5, -1])
    expect(c("t.expire s 100000"), 0)
    assert 90000 < c("PTTL s") <= 100000
    expect(c("t.expire s -1"), 0)
    expect(c("PTTL s"), -1)
    expect(c("t.expire none 10"), 1)
    expect(c("t.del s"), 0)
    expect(c("EXISTS s"), 0)
    expect(c("t.hset h a 1 b 2"), 0)
    expect(c("t.hset h a 10 c 3"), 1)
    expect(c("HGET h a"), "10")
    expect(c("t.key h"), [3, 3, -1])
    expect(c("t.hget h a"), ["10", 1, 2])
    expect(c("t.hget h a"), [None, 0, 2])
    c("t.hget h b")
    expect(c("t.hget h c"), ["3", 1, 0])
    expect(c("EXISTS h"), 0)
    expect(c.error("t.append", "h2", "x"), None)
    c("HSET hash f v")
    expect(c.error("t.append hash x"),
           "WRONGTYPE Operation against a key holding the wrong kind of value")


def test_command_keys(server):
    """COMMAND knows the keys of module commands, whoever names them."""
    c = server.client()
    load(c, "t_api")
    expect(c("COMMAND GETKEYS t.append k v"), ["k"])
    expect(c("COMMAND GETKEYS t.keys 2 a b c"), ["a", "b"])
    expect(c("t.keys 1 a b"), 1)
    info = c("COMMAND INFO t.append")[0]
    expect(info[0:2], ["t.append", -1])
    expect(sorted(f for f in info[2]), ["denyoom", "module", "write"])
    expect(info[3:6], [1, 1, 1])
    expect(c("t.sub who"), [1, 0, 0, 1])
    assert c.error("t.sub nothing").startswith("ERR unknown subcommand")


def test_transactions(server):
    """A module command in MULTI runs in it, sees that, and may not block."""
    c = server.client()
    load(c, "t_api")
    load(c, "t_wait")
    expect(c("t.who"), [1, 0, 0, 1])
    c("MULTI")
    expect(c("t.who"), "QUEUED")
    c("t.append k v")
    c("w.sleep 1")
    c("GET k")
    reply = c("EXEC")
    expect(reply[:2], [[1, 0, 1, 1], 1])
    expect(str(reply[2]), "ERR Blocking module command called from transaction")
    expect(reply[3], "v")


def test_blocked(server):
    """A blocked client gets its answer from a thread, or its time-out; others go on meanwhile."""
    c, other = server.client(), server.client()
    load(c, "t_wait")
    c.send("w.sleep", 150)
    c.send("PING")
    expect(other("PING"), "PONG")
    expect(c.read(), 150)
    expect(c.read(), "PONG")
    expect(c("w.sleep 300 30"), "timeout")
    expect(c("w.abort"), "aborted")
    gone = server.client()
    gone.send("w.sleep", 200)
    time.sleep(0.05)
    gone.close()
    until(lambda: other("w.counts")[:2] == [3, 1])
    expect(other("MODULE UNLOAD t_wait"), "OK")


def test_unload_refused_while_blocking(server):
    """A module whose client waits cannot be unloaded."""
    c, other = server.client(), server.client()
    load(c, "t_wait")
    c.send("w.sleep", 300)
    time.sleep(0.05)
    expect(other.error("MODULE UNLOAD t_wait"), "ERR Error unloading module: the module has "
           "blocked clients. Please wait them unblocked and try again")
    expect(c.read(), 300)
    expect(other("MODULE UNLOAD t_wait"), "OK")


def test_threads(server):
    """Threads take the lock in turns with clients, and what they do is seen at once."""
    c, other = server.client(), server.client()
    load(c, "t_wait")
    c.send("w.incr", "n", 500)
    until(lambda: int(other("GET n") or 0) >= 500)
    expect(c.read(), 500)
    several = [server.client() for _ in range(4)]
    for s in several:
        s.send("w.incr", "m", 200)
    got = sorted(s.read() for s in several)
    expect(other("GET m"), "800")
    expect(got[-1], 800)


def test_a_context_of_no_call(server):
    """Who holds the lock may use any context, also one that was made for threads."""
    c = server.client()
    load(c, "t_wait")
    expect([c("w.outside n"), c("w.outside n"), c("GET n")], [1, 2, "2"])


def test_timers(server):
    """Timers run once, can be asked and stopped, and write."""
    c = server.client()
    load(c, "t_wait")
    expect(c("w.timer 30"), [0, 1, 0, 1])
    until(lambda: c("GET ticked") == "1")
    time.sleep(0.1)
    expect(c("GET ticked"), "1")
    expect(c("w.timer 100000"), [0, 1, 0, 1])
    expect(c.error("MODULE UNLOAD t_wait"), "ERR Error unloading module: the module holds timer "
           "that is not fired. Please stop the timer or wait until it fires.")


def test_waiting_for_keys(server):
    """Clients that wait for a key are served in order, each by one push."""
    a, b, c = server.client(), server.client(), server.client()
    load(c, "t_wait")
    a.send("w.pop", "q", 0)
    time.sleep(0.05)
    b.send("w.pop", "q", 0)
    time.sleep(0.05)
    expect(c("w.push q 1"), "OK")
    expect(a.read(), "1")
    expect(c("EXISTS q"), 0)
    expect(c("w.push other x"), "OK")
    expect(c("w.push q 2"), "OK")
    expect(b.read(), "2")
    expect(c("w.pop other 0"), "x")
    expect(c("w.pop q 30"), "timeout")
    a.send("w.pop", "q", 0)
    time.sleep(0.05)
    expect(c("CLIENT", "UNBLOCK", client_id(a, c)), 1)
    expect(a.read(), "timeout")


def client_id(blocked, other):
    """The id of a client that cannot be asked."""
    port = blocked.sock.getsockname()[1]
    for line in other("CLIENT LIST").splitlines():
        if f"addr=127.0.0.1:{port} " in line:
            return line.split()[0].split("=")[1]
    raise AssertionError("the client is not listed")


def restarted(server, *names):
    """Kill the server and start it on its log with these modules; ours only."""
    server.process.kill()
    server.process.wait()
    server.args = tuple(a for n in names for a in ("--loadmodule", module(n)))
    server.start()
    return server.client()


def test_what_modules_change_is_durable(server):
    """A kill loses nothing that was answered: stated, called, changed in silence, or by threads."""
    if STOCK:
        return
    c = server.client()
    for name in ("t_api", "t_wait", "counter_type"):
        load(c, name)
    c("t.call set stated 1")
    c("t.quiet set silent 2")
    c("t.quiet mset m1 a m2 b")
    c("t.incrtwice twice")
    c("t.incrtwice twice")
    c("t.append s hello")
    c("t.append gone x")
    c("t.del gone")
    c("SET brief x")
    c("t.expire brief 1000000")
    c("t.hset h a 1 b 2")
    c("t.hget h a")
    c("w.incr threads 50")
    c("counter.add n 5")
    c("counter.add n 6")
    c("MULTI")
    c("t.append s !")
    c("t.quiet incr silent")
    c("EXEC")
    c("w.timer 1")
    until(lambda: c("GET ticked") == "1")
    c = restarted(server, "t_api", "t_wait", "counter_type")
    expect(c("MGET stated silent m1 m2 twice s gone threads ticked"),
           ["1", "3", "a", "b", "4", "hello!", None, "50", "1"])
    assert 900000 < c("PTTL brief") <= 1000000
    expect(c("HGETALL h"), ["b", "2"])
    expect(c("counter.get n"), [11, 2])


def test_a_module_can_be_replaced(server):
    """Unloaded and loaded again, from the same path, a module is new."""
    c = server.client()
    for _ in range(5):
        load(c, "t_api")
        expect(c("t.parse 7"), [7, "7"])
        expect(c("MODULE UNLOAD t_api"), "OK")
    expect(c.error("MODULE", "LOAD", module("t_api"), "two", "arguments"),
           "ERR Error loading the extension. Please check the server logs.")
    assert c.error("t.parse 7").startswith("ERR unknown command")


def test_settings(server):
    """Settings of a module: defaults, LOADEX, CONFIG GET and SET, and every refusal."""
    c = server.client()
    expect(c("MODULE", "LOADEX", module("t_server"), "CONFIG", "t_server.number", "9", "CONFIG",
             "t_server.text", "a b"), "OK")
    got = c("CONFIG GET t_server.*")
    got = dict(zip(got[::2], got[1::2]))
    expect(got, {"t_server.number": "9", "t_server.memory": "1024", "t_server.fixed": "7",
                 "t_server.flag": "yes", "t_server.text": "a b", "t_server.color": "green",
                 "t_server.colors": "red"})
    prefix = "ERR CONFIG SET failed (possibly related to argument 't_server.%s') - "
    for name, value, want in (
            ("number", "13", "unlucky number"),
            ("number", "1000", "argument must be between 1 and 100 inclusive"),
            ("number", "x", "argument couldn't be parsed into an integer"),
            ("flag", "maybe", "argument must be 'yes' or 'no'"),
            ("color", "pink", "argument(s) must be one of the following: red, green, blue"),
            ("colors", "red pink", "argument(s) must be one of the following: red, green, blue"),
            ("fixed", "8", "can't set immutable config")):
        expect(c.error("CONFIG", "SET", "t_server." + name, value), prefix % name + want)
    for name, value, want in (("number", "20", "20"), ("memory", "2kb", "2048"),
                              ("flag", "no", "no"), ("text", "", ""), ("color", "BLUE", "blue"),
                              ("colors", "red blue", "red blue")):
        expect(c("CONFIG", "SET", "t_server." + name, value), "OK")
        expect(c("CONFIG", "GET", "t_server." + name)[1], want)
    expect(c("MODULE UNLOAD t_server"), "OK")
    expect(c("CONFIG GET t_server.*"), [])
    text = "ERR Error loading the extension. Please check the server logs."
    if STOCK:
        return  # redis-server 7.0 crashes when it unloads a module whose settings were wrong
    for setting in (("t_server.nothing", "1"), ("t_server.number", "1000"), ("other.number", "1")):
        expect(c.error("MODULE", "LOADEX", module("t_server"), "CONFIG", *setting), text)
    expect(c("MODULE LIST"), [])
    expect(c.error("MODULE", "LOADEX", module("t_server"), "CONFIG", "t_server.number"), text)
    expect(c.error("MODULE", "LOADEX", module("t_server"), "NONSENSE"), text)


def test_info(server):
    """INFO sections that a module adds, alone, together, and read back by a module."""
    c = server.client()
    load(c, "t_server")
    both = ("# t_server\r\nt_server_number:5\r\nt_server_words:a b\r\nt_server_half:0.5\r\n\r\n"
            "# t_server_second\r\nt_server_dict:x=-1,y=2\r\nt_server_after:z\r\n")
    expect(c("INFO t_server"), both)
    expect(c("INFO t_server_second"), both[both.index("# t_server_second"):])
    assert c("INFO everything").endswith("\r\n" + both)
    assert "module:name=t_server,ver=1,api=1,filters=1,usedby=[],using=[],options=[]" in \
        c("INFO modules")
    expect(c("s.info t_server t_server_number"), ["5", 0, 5])
    expect(c("s.info t_server t_server_words"), ["a b", 1, 0])
    expect(c("s.info server nothing"), [None, 1, 0])
    expect(c("s.info server tcp_port"), [str(server.port), 0, server.port])


def test_events(server):
    """Modules hear of flushes, of modules and of the clock."""
    c = server.client()
    load(c, "t_server")
    until(lambda: c("s.seen")[1] == 1)
    load(c, "hello")
    expect(c("s.seen")[2], "hello 0")
    c("FLUSHALL")
    expect(c("s.seen")[0], 1)
    c("MODULE UNLOAD hello")
    expect(c("s.seen")[2], "hello 1")


def test_notifications(server):
    """Modules hear of changes to keys, once each, whoever makes them."""
    c = server.client()
    load(c, "t_server")
    load(c, "t_api")
    c("SET counted:a 1")
    expect(c("s.seen")[3:], ["set counted:a", 1, 0])
    c("DEL counted:a other")
    expect(c("s.seen")[3:], ["del counted:a", 1, 1])
    c("t.call set counted:b 2")
    c("MULTI")
    c("SET counted:c 3")
    c("DEL counted:b")
    c("EXEC")
    expect(c("s.seen")[3:], ["del counted:b", 3, 2])
    c("SET uncounted 1")
    expect(c("s.seen")[3:], ["del counted:b", 3, 2])


def test_writing_in_notifications(server):
    """A callback that writes: its effect is part of what caused it, and durable."""
    c = server.client()
    load(c, "t_globals")
    c("SET log:a 1")
    c("MSET log:b 1 log:c 2 other 3")
    expect(c("GET logged"), "3")
    if not STOCK:
        c = restarted(server, "t_globals")
        expect(c("GET logged"), "3")


def test_filters(server):
    """A filter changes a command before it runs, and ends with its module."""
    c = server.client()
    load(c, "t_server")
    expect(c("ECHO filtered"), "was filtered")
    expect(c("ECHO other"), "other")
    c("MULTI")
    c("ECHO filtered")
    expect(c("EXEC"), ["was filtered"])
    c("MODULE UNLOAD t_server")
    expect(c("ECHO filtered"), "filtered")


def test_shared_functions(server):
    """A module uses another's function, which then cannot go before it."""
    c = server.client()
    load(c, "t_globals")
    expect(c.error("g.twice 21"), "ERR nobody offers it")
    load(c, "t_server")
    expect(c("g.twice 21"), 42)
    assert "usedby=[t_globals]" in c("INFO modules")
    expect(c.error("MODULE UNLOAD t_server"), "ERR Error unloading module: the module exports "
           "APIs used by other modules. Please unload them first and try again")


def test_dictionaries(server):
    """Dictionaries are ordered, and iterators start and go where they are told."""
    c = server.client()
    load(c, "t_server")
    for op, key, forward, backward in (
            ("^", "", ["", "a", "b", "c", "cc"], [""]),
            ("$", "", ["cc"], ["cc", "c", "b", "a", ""]),
            (">=", "b", ["b", "c", "cc"], ["b", "a", ""]),
            (">", "b", ["c", "cc"], ["c", "b", "a", ""]),
            (">=", "bb", ["c", "cc"], ["c", "b", "a", ""]),
            ("<=", "bb", ["b", "c", "cc"], ["b", "a", ""]),
            ("<", "b", ["a", "b", "c", "cc"], ["a", ""]),
            ("==", "b", ["b", "c", "cc"], ["b", "a", ""]),
            ("==", "bb", [], []),
            (">", "cc", [], [])):
        expect((op, key, c("s.dict", op, key)), (op, key, [5, 1, forward, backward]))


def test_scans(server):
    """A scan sees every key and every field once."""
    c = server.client()
    load(c, "t_server")
    for i in range(300):
        c("SET", f"k{i}", "x")
    for i in range(200):
        c("HSET", "h", f"f{i}", i)
    expect(c("s.scan h"), [301, sum(range(200))])
    expect(c("s.scan none"), [301, 0])


def test_globals(server):
    """Globals of a module travel in snapshots, before and after the keys."""
    c = server.client()
    load(c, "t_globals")
    c("g.set 5 -6")
    if STOCK:
        return
    c("SET k v")
    c("SAVE")
    c = restarted(server, "t_globals")
    expect(c("g.get"), [5, -6])
    expect(c("GET k"), "v")


def test_permissions(server):
    """Users of modules: rules, what they allow, and calls with the caller's rights."""
    c = server.client()
    load(c, "t_auth")
    expect(c("a.check", "on +@all ~*", "SET", "k", "v"), "OK")
    expect(c("a.check", "on +get ~*", "SET", "k", "v"), "NOPERM")
    expect(c("a.check", "on +get ~a*", "GET", "b"), "NOPERM")
    expect(c("a.check", "on +get ~a*", "GET", "ab"), "OK")
    expect(c("a.check", "on +@all ~*", "NOSUCH"), "NONE")
    expect(c.error("a.check", "on +@nothing", "GET", "k"), "ERR rules")
    expect(c("a.key", "%R~a*", "ab"), [0, 1])
    expect(c("a.key", "~a*", "ab"), [0, 0])
    expect(c("a.key", "~a*", "b"), [1, 1])
    c("ACL", "SETUSER", "reader", "on", "nopass", "+get", "+a.as", "+a.who", "~*")
    reader = server.client()
    expect(reader("AUTH reader x"), "OK")
    expect(reader("a.as get k"), None)
    expect(reader.error("a.as set k v"), "ERR EACCES")
    expect(c("a.as set k v"), "OK")
    expect(reader("a.as get k"), "v")


def test_logins(server):
    """A module makes clients users, throws them out, and hears when they leave."""
    c, other = server.client(), server.client()
    load(c, "t_auth")
    c("ACL SETUSER reader on >secret +a.who +client|id ~*")
    c("ACL SETUSER off off")
    expect(other.error("a.login nobody"), "ERR nobody")
    expect(other.error("a.login off"), "ERR nobody")
    expect(other("a.who"), ["default", 0])
    expect(other("a.login reader"), 1)
    expect(other("a.who"), ["reader", 0])
    assert other.error("SET k v").startswith("NOPERM")
    number = other("CLIENT ID")
    expect(c("a.kick", number), 0)
    try:
        other("PING")
        raise AssertionError("it was thrown out")
    except ConnectionError:
        pass
    expect(c("a.kick", number), 1)
    until(lambda: c("a.who") == ["default", 1])


def test_modules_judge_logins(server):
    """AUTH and HELLO ask modules first: at once, or after they have thought on a thread."""
    if STOCK:
        return  # since Redis 7.2
    c = server.client()
    load(c, "t_auth")
    c("ACL SETUSER ann on >right +@all ~*")
    for slow in ("", "slow-"):
        for hello in (False, True):
            def attempt(client, password):
                words = ("HELLO", "3", "AUTH", "ann", password) if hello else \
                    ("AUTH", "ann", password)
                return client(*words)
            d = server.client()
            try:
                attempt(d, slow + "refused")
                raise AssertionError("refused")
            except Error as e:
                expect(str(e), "NOPE not you")
            expect(d("a.who")[0], "default")
            reply = attempt(d, slow + "accepted")
            expect(reply["proto"] if hello else reply, 3 if hello else "OK")
            expect(d("a.who")[0], "ann")
            d = server.client()
            try:
                attempt(d, slow + "wrong")
                raise AssertionError("wrong")
            except Error as e:
                assert str(e).startswith("WRONGPASS")
            expect(d("a.who")[0], "default")
    d = server.client()
    expect(d("AUTH ann right"), "OK")
    expect(d("a.who")[0], "ann")


def test_extensions(server):
    """What Helios offers beyond the ABI works here, and is missed without harm elsewhere."""
    c = server.client()
    load(c, "t_commit")
    for i in range(20):
        expect(c("c.set", "k", i), "done" if STOCK else "committed")
        expect(c("c.get", "k"), [str(i), -1 if STOCK else 1])


def run(test):
    extra = ["--save", "", "--appendonly", "no", "--enable-module-command", "yes"] \
        if STOCK else []

    def clean(server):
        test(server)
        server.stop()
        assert "Sanitizer" not in server.log(), "the sanitizer complains"

    on_server(Server(SERVER, *extra, *getattr(test, "args", [])), clean)


if __name__ == "__main__":
    run_tests(globals(), run)
