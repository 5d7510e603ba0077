#!/usr/bin/env python3
"""The proxy module on a real server: routes, balancing, health, time, streams, WebSockets.

Usage: test_proxy.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment); both must pass.  Each test_
function gets a fresh server with the module and the settings it asks for; its docstring is what
must hold.  Backends are threads that record each byte (proxy_support.py).
"""
import json
import os
import socket
import sys
import threading
import time

from http_support import Conn, eventually
from proxy_support import Backend, Proxy, plain
from resp_client import Server, on_server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
SANITIZED = "asan" in SERVER  # it keeps freed memory a while
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))


def settings(**values):
    """Settings of the module for a test's server."""
    def mark(test):
        test.settings = {k.replace("_", "-"): v for k, v in values.items()}
        return test
    return mark


def flags(test):
    chosen = {"listen": "127.0.0.1:0", **getattr(test, "settings", {})}
    out = ["--loadmodule", os.path.join(MODULES, "proxy.so")]
    for name, value in chosen.items():
        out += ["--proxy." + name, str(value)]
    return out + ["--enable-module-command", "yes"] + (["--save", ""] if STOCK else [])


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def get(port, target="/", method="GET", body=None, **headers):
    with Conn(port) as c:
        return c.request(method, target, body, **headers)


def code(response):
    return json.loads(response.body)["error"]["code"]


# --- choosing a backend ---------------------------------------------------------------------------

def test_routes_by_host_and_longest_prefix(server):
    """The host's own name wins over a wildcard, that over any; then the longest whole prefix."""
    proxy = Proxy(server)
    with Backend(lambda r: plain(r.target.encode())) as backend:
        for name in ("own", "wild", "any", "long"):
            proxy.backend(name, backend.address)
        proxy.route("r1", "HOST", "www.example.org", "BACKENDS", "own", "STRIP", "PATH", "/own")
        proxy.route("r2", "HOST", "*.example.org", "PATH", "/a", "BACKENDS", "wild")
        proxy.route("r3", "PATH", "/a", "BACKENDS", "any")
        proxy.route("r4", "PATH", "/a/b/", "BACKENDS", "long")
        with Conn(proxy.port) as c:
            def ask(host, path):
                before = {n: proxy.seen(n)["requests"] for n in ("own", "wild", "any", "long")}
                c.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                got = c.read()
                if got.status == 404:
                    return 404
                after = {n: proxy.seen(n)["requests"] for n in before}
                return next(n for n in before if after[n] != before[n]), got.body.decode()

            expect(ask("www.example.org", "/own/x?y"), ("own", "/x?y"))
            expect(ask("WWW.Example.org:8080", "/own"), ("own", "/"))
            expect(ask("www.example.org", "/a/x"), ("wild", "/a/x"))
            expect(ask("example.org", "/a/x"), ("any", "/a/x"))
            expect(ask("other.org", "/a/b"), ("long", "/a/b"))
            expect(ask("other.org", "/a/b/c"), ("long", "/a/b/c"))
            expect(ask("other.org", "/a/bc"), ("any", "/a/bc"))
            expect(ask("other.org", "/ab"), 404)
            expect(ask("other.org", "/"), 404)


def test_weighted_five_one_one_is_exact_over_700_requests(server):
    """Weights 5, 1, 1 give 500, 100 and 100 of 700 requests, and no run of six for one backend."""
    proxy = Proxy(server)
    with Backend() as a, Backend() as b, Backend() as c:
        proxy.pool(a, b, c, algorithm="weighted")
        proxy.call("PROXY.BACKEND", "WEIGHT", "b0", 5)
        with Conn(proxy.port) as conn:
            for _ in range(700):
                expect(conn.request("GET", "/").status, 200)
        expect([len(x.requests) for x in (a, b, c)], [500, 100, 100])


def test_round_robin_takes_turns(server):
    """Three backends get a third each, whatever connection the requests come on."""
    proxy = Proxy(server)
    with Backend() as a, Backend() as b, Backend() as c:
        proxy.pool(a, b, c)
        for _ in range(30):
            expect(get(proxy.port).status, 200)
        expect([len(x.requests) for x in (a, b, c)], [10, 10, 10])


def test_least_connections_goes_where_the_least_is_under_way(server):
    """While one backend holds requests the others get the new ones, in proportion to weights."""
    proxy = Proxy(server)
    go = threading.Event()

    def hold(request):
        go.wait(20)
        return plain()

    with Backend(hold) as a, Backend(hold) as b:
        proxy.pool(a, b, algorithm="least-conn")
        proxy.call("PROXY.BACKEND", "WEIGHT", "b1", 3)
        conns = [Conn(proxy.port) for _ in range(8)]
        for n, conn in enumerate(conns):
            conn.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: len(a.requests) + len(b.requests) == n + 1)
        expect((len(a.requests), len(b.requests)), (2, 6))
        expect(proxy.seen("b1")["active_connections"], 6)
        go.set()
        for conn in conns:
            expect(conn.read().status, 200)
            conn.sock.close()
        eventually(lambda: proxy.seen("b1")["active_connections"] == 0)


def test_no_route_404_none_healthy_503_backend_error_502(server):
    """Errors of the proxy's own have their status, a code in JSON, and the request's id."""
    proxy = Proxy(server)
    got = get(proxy.port, X_Request_ID="abc")
    expect((got.status, code(got), got.header("X-Request-ID")), (404, "no_route", "abc"))
    with Backend() as gone:
        proxy.pool(gone)
    got = get(proxy.port)
    expect((got.status, code(got)), (502, "backend_error"))
    expect(proxy.call("PROXY.BACKEND", "DRAIN", "b0"), "OK")
    got = get(proxy.port)
    expect((got.status, code(got)), (503, "no_backend"))
    assert int(got.header("Retry-After")) >= 1
    got = get(proxy.port, method="HEAD")
    expect((got.status, got.body), (503, b""))
    expect(proxy.stats()["no_route"], 1)


# --- health ---------------------------------------------------------------------------------------

@settings(health_check_interval=100, health_check_fall=2, health_check_rise=2)
def test_health_checks_take_a_backend_out_and_bring_it_back(server):
    """A backend that says it is unwell gets nothing until it is well again."""
    proxy = Proxy(server)
    with Backend(lambda r: plain(b"a")) as a, Backend(lambda r: plain(b"b")) as b:
        proxy.pool(a, b)
        eventually(lambda: a.checks >= 2)
        expect(proxy.seen("b0")["healthy"], 1)
        a.well = False
        eventually(lambda: proxy.seen("b0")["healthy"] == 0)
        assert proxy.seen("b0")["consecutive_failed_checks"] >= 2
        for _ in range(6):
            expect(get(proxy.port).body, b"b")
        b.well = False
        eventually(lambda: proxy.seen("b1")["healthy"] == 0)
        expect(get(proxy.port).status, 503)
        a.well = True
        eventually(lambda: proxy.seen("b0")["healthy"] == 1)
        expect(get(proxy.port).body, b"a")
        assert proxy.seen("b0")["last_checked"] > 1600000000


@settings(retries=0, circuit_breaker_success_threshold=1, health_check_interval=60000)
def test_the_breaker_opens_at_five_waits_and_closes_after_a_trial(server):
    """Five failures in a row open it; it lets nothing through for the cooldown of 60 s, then one
    trial at a time; a good one closes it, a bad one opens it again."""
    proxy = Proxy(server)
    expect(proxy.call("CONFIG", "GET", "proxy.circuit-breaker-cooldown")[1], "60000")
    expect(proxy.call("CONFIG", "GET", "proxy.circuit-breaker-failure-threshold")[1], "5")
    go = threading.Event()
    mode = {"bad": True, "hold": False}

    def answer(request):
        if mode["hold"]:
            go.wait(20)
        return None if mode["bad"] else plain()

    with Backend(answer) as backend:
        proxy.pool(backend)
        for n in range(4):
            expect(get(proxy.port).status, 502)
        mode["bad"] = False
        expect(get(proxy.port).status, 200)  # failures count in a row
        mode["bad"] = True
        for n in range(5):
            expect(proxy.seen("b0")["circuit"], "closed")
            expect(get(proxy.port).status, 502)
        expect((proxy.seen("b0")["circuit"], proxy.seen("b0")["circuit_open"]), ("open", 1))
        before = len(backend.requests)
        got = get(proxy.port)
        expect(got.status, 503)
        assert 55 <= int(got.header("Retry-After")) <= 60, got.headers
        expect(len(backend.requests), before)
        proxy.set("circuit-breaker-cooldown", 10)  # as if the time had passed
        passed = time.monotonic() + 0.02
        eventually(lambda: time.monotonic() > passed)
        mode["hold"] = True
        with Conn(proxy.port) as trial:
            trial.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: len(backend.requests) == before + 1)
            expect(proxy.seen("b0")["circuit"], "half-open")
            for _ in range(3):
                expect(get(proxy.port).status, 503)  # one trial
            expect(len(backend.requests), before + 1)
            go.set()
            expect(trial.read().status, 502)
        expect(proxy.seen("b0")["circuit"], "open")
        mode.update(bad=False, hold=False)
        eventually(lambda: get(proxy.port).status == 200)
        expect(proxy.seen("b0")["circuit"], "closed")
        expect(proxy.stats()["breaker_opened"], 2)


@settings(health_check_interval=60000)
def test_answers_of_503_count_as_failures_and_others_do_not(server):
    """A backend that answers 500 is at work; one that answers 503 is not."""
    proxy = Proxy(server)
    status = {"now": 500}
    with Backend(lambda r: plain(b"x", status["now"])) as backend:
        proxy.pool(backend)
        for _ in range(7):
            expect(get(proxy.port).status, 500)
        status["now"] = 503
        for _ in range(5):
            got = get(proxy.port)
            expect((got.status, got.body), (503, b"x"))
        expect(proxy.seen("b0")["circuit"], "open")


# --- errors, retries, time ------------------------------------------------------------------------

@settings(health_check_interval=60000)
def test_idempotent_requests_are_tried_once_more_elsewhere(server):
    """A backend that hangs up costs a GET nothing; a POST that was sent is not sent again; one that
    could not be sent is."""
    proxy = Proxy(server)
    with Backend(lambda r: None) as bad, Backend(lambda r: plain(b"good")) as good:
        proxy.pool(bad, good)
        for _ in range(4):
            expect(get(proxy.port).body, b"good")
        seen = len(bad.requests)
        assert seen >= 1
        statuses = sorted(get(proxy.port, "/", "POST", b"x").status for _ in range(2))
        expect(statuses, [200, 502])
        expect(sum(r.method == "POST" for r in bad.requests + good.requests), 2)
        bad.stop()
        for _ in range(4):
            expect(get(proxy.port, "/", "POST", b"x").body, b"good")
        assert proxy.stats()["retries"] >= 3


@settings(response_timeout=100, read_timeout=100, health_check_interval=60000)
def test_a_backend_that_is_silent_is_given_up(server):
    """504 when no response begins, and a cut response when it stops in the middle."""
    proxy = Proxy(server)
    done = threading.Event()

    def half(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        done.wait(20)

    with Backend(lambda r: half if r.target == "/half" else lambda sock: done.wait(20)) as backend:
        proxy.pool(backend)
        got = get(proxy.port)
        expect((got.status, code(got)), (504, "backend_timeout"))
        with Conn(proxy.port) as c:
            c.send(b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
            assert c.rest().endswith(b"\r\n\r\nhalf")
        expect(proxy.stats()["backend_timeouts"], 2)
        done.set()


@settings(total_timeout=200, health_check_interval=60000)
def test_a_request_has_an_end(server):
    """A backend that drips is cut off when the total time is over."""
    proxy = Proxy(server)
    stop = threading.Event()

    def drip(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.01):
            sock.sendall(b"x")

    with Backend(lambda r: drip) as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            begin = time.monotonic()
            c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            c.rest()
            assert time.monotonic() - begin < 5
        stop.set()


@settings(head_timeout=150, body_timeout=150, idle_timeout=150, body_rate_min=1000000)
def test_slow_clients_are_bounded(server):
    """A head, a body or a next request that does not come ends the connection."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            c.send(b"GET / HTTP/1.1\r\nHost")
            expect(c.read().status, 408)
        with Conn(proxy.port) as c:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            expect(c.read().status, 408)
            expect(c.rest(), b"")
        with Conn(proxy.port) as c:
            expect(c.request("GET", "/").status, 200)
            expect(c.rest(), b"")
        expect([r.method for r in backend.requests], ["GET"])
        expect(proxy.seen("b0")["failure_count"], 0)


# --- heads ----------------------------------------------------------------------------------------

def test_what_is_handed_on_of_heads_and_what_is_not(server):
    """Hop-by-hop headers and those that Connection names end here, in both directions; the backend
    learns who asks; what a client claims about that is not believed."""
    proxy = Proxy(server)

    def answer(request):
        return (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                b"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Stays: 2\r\n"
                b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok")

    with Backend(answer) as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            c.send(b"GET http://www.example.org/p?q HTTP/1.1\r\nHost: www.example.org\r\n"
                   b"Connection: X-Secret , close-not, keep-alive\r\nX-Secret: 1\r\nTE: x\r\n"
                   b"Keep-Alive: 3\r\nProxy-Authorization: x\r\nProxy: evil\r\n"
                   b"X_Forwarded_For: 6\r\n"
                   b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Forwarded-For: 6.6.6.6\r\n"
                   b"X-Forwarded-Proto: https\r\nForwarded: for=6\r\nX-Real-IP: 6\r\n"
                   b"Via: 1.0 old\r\n"
                   b"X-Mine: kept\r\nAccept: */*\r\nCookie: a=1\r\n\r\n")
            got = c.read()
        request = backend.requests[0]
        expect(request.target, "/p?q")
        names = sorted(k.lower() for k, v in request.headers)
        expect(names, sorted(["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                              "via", "x-request-id", "traceparent", "x-mine", "accept", "cookie"]))
        expect(request.header("X-Forwarded-For"), ["127.0.0.1"])
        expect(request.header("X-Forwarded-Proto"), ["http"])
        expect(request.header("X-Forwarded-Host"), ["www.example.org"])
        expect(request.header("Via"), ["1.0 old, 1.1 helios"])
        expect(request.header("X-Request-ID"), [got.header("X-Request-ID")])
        expect(sorted(k for k, v in got.headers),
               sorted(["Set-Cookie", "Set-Cookie", "X-Stays", "Date", "X-Request-ID",
                       "Content-Length"]))
        proxy.set("trust-forwarded", 1)
        get(proxy.port, X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="https")
        expect(backend.requests[1].header("X-Forwarded-For"), ["6.6.6.6, 127.0.0.1"])
        expect(backend.requests[1].header("X-Forwarded-Proto"), ["https"])


def test_paths_with_two_readings_are_refused(server):
    """Dot segments, also hidden ones, never reach a backend."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        for path in ("/a/../b", "/..", "/a/%2e%2e/b", "/a/%2E./b", "/a/..%2fb", "/a/.%5c..", "/.",
                     "/a/..;x/b", "/./a"):
            got = get(proxy.port, path)
            expect((path, got.status), (path, 400))
        for path in ("/a..b/c", "/...", "/.well-known/x", "/a/%2f/b", "/a//b"):
            expect((path, get(proxy.port, path).status), (path, 200))
        expect([r.target for r in backend.requests],
               ["/a..b/c", "/...", "/.well-known/x", "/a/%2f/b", "/a//b"])


# --- bodies ---------------------------------------------------------------------------------------

def test_bodies_pass_however_they_are_framed(server):
    """Lengths and chunks, both ways, of any size; HEAD, 204 and 304 have none; old clients get
    what they understand."""
    proxy = Proxy(server)
    big = os.urandom(700000)

    def answer(request):
        if request.target == "/chunks":
            return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                    b"".join(b"%x;x=y\r\n%s\r\n" % (len(p), p) for p in
                             (big[i:i + 9999] for i in range(0, len(big), 9999))) +
                    b"0\r\nX-Trailer: 1\r\n\r\n")
        if request.target == "/until-close":
            return lambda sock: sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + big)
        if request.target == "/204":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if request.target == "/304":
            return b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: x\r\n\r\n"
        if request.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n"
        return plain(request.body)

    with Backend(answer) as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            expect(c.request("POST", "/", big).body, big)
            expect(c.request("POST", "/", b"").body, b"")
            c.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(big), 50000):
                c.send(b"%x\r\n%s\r\n" % (len(big[at:at + 50000]), big[at:at + 50000]))
            c.send(b"0\r\n\r\n")
            expect(c.read().body, big)
            expect(c.request("GET", "/chunks").body, big)
            expect(c.request("GET", "/until-close").body, big)
            expect(c.request("GET", "/204").status, 204)
            got = c.request("GET", "/304")
            expect((got.status, got.header("Content-Length")), (304, "12"))
            got = c.request("HEAD", "/")
            expect((got.header("Content-Length"), got.body), ("700000", b""))
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                   b"Content-Length: 2\r\n\r\n")
            expect(c.read().status, 100)
            c.send(b"ok")
            expect(c.read().body, b"ok")
        with Conn(proxy.port) as c:
            c.send(b"GET /chunks HTTP/1.0\r\n\r\n")
            got = c.read()
            expect((got.header("Transfer-Encoding"), got.body == big), (None, True))
            expect(backend.requests[-1].header("Host"), [backend.address])
        for request in backend.requests:
            expect(request.header("Expect"), [])


@settings(body_max=1000)
def test_bodies_too_large_are_refused(server):
    """413, announced or not; the backend never sees the end of such a body."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001)
            expect(c.read().status, 413)
        with Conn(proxy.port) as c:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                   b"100\r\n" + b"x" * 256 + b"\r\n400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n")
            expect(c.read().status, 413)
        expect(backend.requests, [])
        expect(proxy.seen("b0")["failure_count"], 0)


GROWS_MAX = (256 if SANITIZED else 16) * 1024 * 1024


def memory_of(server):
    with open(f"/proc/{server.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_neither_side_is_read_faster_than_the_other_takes(server):
    """A client that reads nothing stops a backend that sends for ever, and the other way round; the
    server's memory stays where it was."""
    proxy = Proxy(server)
    sent = {"n": 0}
    done = threading.Event()

    def flood(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        sock.settimeout(1)
        try:
            while sent["n"] < 400 * 1024 * 1024:
                sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent["n"] += 65536
        except OSError:
            pass  # nobody takes it
        done.set()

    def sink(sock):
        done.wait(60)

    with Backend(lambda r: flood) as a:
        proxy.pool(a)
        get(proxy.port, "/none/../here")  # what is made once is there
        before = memory_of(server)
        c = Conn(proxy.port)
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert done.wait(60)
        assert sent["n"] < 100 * 1024 * 1024, sent
        assert memory_of(server) - before < GROWS_MAX, memory_of(server) - before
        c.sock.close()
    done.clear()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: sink(listener.accept()[0]), daemon=True).start()
    proxy.backend("sink", "127.0.0.1:%d" % listener.getsockname()[1], "HEALTH", "none")
    proxy.route("sink", "PATH", "/sink", "BACKENDS", "sink")
    with Conn(proxy.port) as c:
        c.sock.settimeout(1)
        c.send(b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        count = 0
        try:
            while count < 100000000:
                count += c.sock.send(b"x" * 65536)
        except OSError:
            pass
        assert count < 50000000, count
        assert memory_of(server) - before < GROWS_MAX
    done.set()
    listener.close()


# --- connections ----------------------------------------------------------------------------------

@settings(health_check_interval=60000)
def test_connections_to_backends_are_used_again(server):
    """Requests of many clients share few connections; one that the backend closed meanwhile costs
    nothing; one behind which something stands is not used."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        for _ in range(20):
            expect(get(proxy.port).status, 200)
        expect(backend.accepted, 1)
        with backend.lock:
            for sock in backend.open:
                sock.shutdown(socket.SHUT_RDWR)
        for _ in range(3):
            expect(get(proxy.port).status, 200)
        backend.answer = lambda r: plain() + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        before = backend.accepted
        for _ in range(3):
            expect(get(proxy.port).body, b"ok")
        assert backend.accepted >= before + 2
        expect(proxy.seen("b0")["failure_count"], 0)


def test_a_backend_drains_and_goes(server):
    """One that drains keeps what it has and gets nothing new; a backend that a route names cannot
    be deleted; MAX-CONNECTIONS bounds what is under way."""
    proxy = Proxy(server)
    go = threading.Event()

    def hold(request):
        if request.target == "/hold":
            go.wait(20)
        return plain(b"a")

    with Backend(hold) as a, Backend(lambda r: plain(b"b")) as b:
        proxy.pool(a)
        with Conn(proxy.port) as held:
            held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: len(a.requests) == 1)
            proxy.backend("b1", b.address)
            proxy.route("all", "BACKENDS", "b0", "b1")
            expect(proxy.call("PROXY.BACKEND", "DRAIN", "b0"), "OK")
            for _ in range(4):
                expect(get(proxy.port).body, b"b")
            expect(proxy.seen("b0")["active_connections"], 1)
            assert "a route names" in proxy.call.error("PROXY.BACKEND", "DEL", "b0")
            proxy.route("all", "BACKENDS", "b1")
            expect(proxy.call("PROXY.BACKEND", "DEL", "b0"), "OK")
            go.set()
            expect(held.read().body, b"a")
        go.clear()
        proxy.backend("one", a.address, "MAX-CONNECTIONS", 1)
        proxy.route("one", "PATH", "/hold", "BACKENDS", "one")
        with Conn(proxy.port) as held:
            held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: len(a.requests) == 2)
            expect(get(proxy.port, "/hold").status, 503)
            go.set()
            expect(held.read().body, b"a")


def echo_tunnel(request):
    """A WebSocket of a kind: upgrade properly, then give back what comes."""
    if not request.header("Upgrade"):
        return plain()

    def run(sock):
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello")
        while True:
            data = sock.recv(65536)
            if not data:
                return
            sock.sendall(data)
    return run


def test_websockets_pass_and_live_through_changes(server):
    """Bytes pass both ways behind a 101; a change of routes and of other backends does not touch
    them; an answer that is no proper 101 opens no tunnel."""
    proxy = Proxy(server)
    with Backend(echo_tunnel) as backend, Backend() as other:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            got = c.upgrade("/ws")
            expect((got.status, got.header("Upgrade")), (101, "websocket"))
            expect(c.take(5), b"hello")
            blob = os.urandom(500000)
            for at in range(0, len(blob), 100000):
                c.send(blob[at:at + 100000])
                expect(c.take(len(blob[at:at + 100000])), blob[at:at + 100000])
            expect(proxy.seen("b0")["active_connections"], 1)
            proxy.backend("b1", other.address)
            proxy.route("all", "BACKENDS", "b1")
            proxy.route("ws", "PATH", "/other", "BACKENDS", "b0", "b1")
            expect(proxy.call("PROXY.ROUTE", "DEL", "ws"), "OK")
            expect(get(proxy.port).status, 200)
            expect(proxy.call("PROXY.BACKEND", "DEL", "b0"), "OK")
            c.send(b"still here")
            expect(c.take(10), b"still here")
            c.sock.shutdown(socket.SHUT_WR)
            expect(c.rest(), b"")
        eventually(lambda: proxy.stats()["tunnels_open"] == 0)
        expect(proxy.stats()["tunnels_total"], 1)
        other.answer = lambda r: (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n"
                                  b"Connection: upgrade\r\n\r\n")
        with Conn(proxy.port) as c:
            expect(c.upgrade("/ws").status, 502)  # no Sec-WebSocket-Accept
        expect(get(proxy.port).status, 502)  # nobody asked for it
        other.answer = lambda r: plain(b"no", 426)
        with Conn(proxy.port) as c:
            expect(c.upgrade("/ws").status, 426)
            expect(c.request("GET", "/").status, 426)  # and it goes on as HTTP


@settings(tunnel_timeout=200)
def test_silent_tunnels_end(server):
    """A WebSocket on which nothing passes is closed on both sides."""
    proxy = Proxy(server)
    with Backend(echo_tunnel) as backend:
        proxy.pool(backend)
        with Conn(proxy.port) as c:
            expect(c.upgrade("/ws").status, 101)
            expect(c.rest(), b"hello")
        eventually(lambda: proxy.status()["backend_connections"] == 0)


# --- configuration --------------------------------------------------------------------------------

def test_refusals_of_commands(server):
    """Each wrong word gets an error that says why, and changes nothing."""
    proxy = Proxy(server)
    call = proxy.call
    for words, part in (
            (("BACKEND", "ADD", "a b", "h:1"), "an id is"),
            (("BACKEND", "ADD", "a", "h"), "host:port"),
            (("BACKEND", "ADD", "a", "h:0"), "host:port"),
            (("BACKEND", "ADD", "a", "h:65536"), "host:port"),
            (("BACKEND", "ADD", "a", "h\r\nx:1"), "host:port"),
            (("BACKEND", "ADD", "a", "h:1", "WEIGHT", "0"), "weight"),
            (("BACKEND", "ADD", "a", "h:1", "WEIGHT"), "syntax"),
            (("BACKEND", "ADD", "a", "h:1", "HEALTH", "x y"), "HEALTH"),
            (("BACKEND", "WEIGHT", "none", "1"), "no such backend"),
            (("BACKEND", "DEL", "none"), "no such backend"),
            (("BACKEND", "DRAIN", "none"), "no such backend"),
            (("ROUTE", "ADD", "r", "BACKENDS"), "1 to 64"),
            (("ROUTE", "ADD", "r", "BACKENDS", "none"), "no such backend"),
            (("ROUTE", "ADD", "r", "HOST", "a b", "BACKENDS", "none"), "HOST is"),
            (("ROUTE", "ADD", "r", "PATH", "x", "BACKENDS", "none"), "PATH is"),
            (("ROUTE", "ADD", "r", "ALGORITHM", "x", "BACKENDS", "none"), "ALGORITHM is"),
            (("ROUTE", "DEL", "none"), "no such route")):
        got = call.error("PROXY." + words[0], *words[1:])
        assert part in got, (words, got)
    expect(call("EXISTS", "proxy:config"), 0)
    call("PROXY.BACKEND", "ADD", "a", "h:1", "HEALTH", "none")
    assert "names a backend once" in call.error("PROXY.ROUTE", "ADD", "r", "BACKENDS", "a", "a")
    proxy.route("r", "BACKENDS", "a")
    assert "another route" in call.error("PROXY.ROUTE", "ADD", "q", "BACKENDS", "a")
    expect(call("TYPE", "proxy:config"), "hlproxycf")
    assert len(call("PROXY.HELP")) >= 10
    assert "not for clients" in call.error("PROXY._PUT", "proxy:config", "x")


def test_only_admins_change_routes(server):
    """A route can reach what only the server can: the commands are of the category admin."""
    if STOCK:
        return  # it gives commands of modules no categories
    client = server.client()
    client("ACL", "SETUSER", "joe", "on", ">pw", "~*", "+@all", "-@admin")
    client("AUTH", "joe", "pw")
    for words in (("PROXY.BACKEND", "ADD", "a", "h:1"), ("PROXY.ROUTE", "DEL", "r"),
                  ("PROXY.BACKEND", "LIST"), ("PROXY.DRAIN",)):
        assert "NOPERM" in client.error(*words), words


def test_the_configuration_follows_the_keyspace(server):
    """FLUSHALL takes the routes away, RESTORE brings them back: the proxy sees it by itself."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        expect(get(proxy.port).status, 200)
        proxy.call("COPY", "proxy:config", "kept", "REPLACE")
        proxy.call("DEL", "proxy:config")
        eventually(lambda: get(proxy.port).status == 404)
        proxy.call("COPY", "kept", "proxy:config")
        eventually(lambda: get(proxy.port).status == 200)
        proxy.call("FLUSHALL")
        eventually(lambda: get(proxy.port).status == 404)


def test_routes_survive_a_restart(server):
    """What was acknowledged is there after a kill, and served without a word."""
    if STOCK:
        return
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        server.process.kill()
        server.process.wait()
        server.start()
        proxy = Proxy(server)
        eventually(lambda: get(proxy.port).status == 200)
        expect(proxy.call("PROXY.ROUTE", "LIST")[0][1], "all")


def test_draining_the_proxy_ends_connections_with_their_requests(server):
    """PROXY.DRAIN: idle connections end, those at work end with their response, nobody gets in."""
    proxy = Proxy(server)
    go = threading.Event()

    def hold(request):
        go.wait(20)
        return plain()

    with Backend(hold) as backend:
        proxy.pool(backend)
        idle, busy = Conn(proxy.port), Conn(proxy.port)
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: len(backend.requests) == 1)
        expect(proxy.call("PROXY.DRAIN"), "OK")
        expect(idle.rest(), b"")
        go.set()
        got = busy.read()
        expect((got.status, got.header("Connection")), (200, "close"))
        expect(busy.rest(), b"")
        try:
            Conn(proxy.port).sock.close()
            raise AssertionError("it still listens")
        except ConnectionRefusedError:
            pass


if __name__ == "__main__":
    run_tests(globals(), lambda test: on_server(Server(SERVER, *flags(test)), test))
