#!/usr/bin/env python3
"""The http module on a real server: requests, limits, time, WebSocket, and modules that come and go.

Usage: test_http.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment); both must pass.  Each test_
function gets a fresh server with http and t_http (modules/t_http.c) and the settings it asks for;
its docstring is what must hold.
"""
import json
import os
import resource
import ssl
import subprocess
import sys
import threading
import time

from http_support import Conn, corpus, eventually
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
    out = ["--loadmodule", os.path.join(MODULES, "http.so")]
    for name, value in chosen.items():
        out += ["--http." + name, str(value)]
    out += ["--loadmodule", os.path.join(MODULES, "t_http.so"), "--enable-module-command", "yes"]
    return out + (["--save", ""] if STOCK else [])


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def status(server):
    c = server.client()
    flat = c("HTTP.STATUS")
    c.close()
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2]))


def port_of(server, scheme="http"):
    for name in status(server)["listening"]:
        if name.startswith(scheme + "://"):
            return int(name.rsplit(":", 1)[1])
    raise AssertionError("does not listen")


def joined(server):
    c = server.client()
    expect(c("T_HTTP.JOIN"), "OK")
    c.close()
    return port_of(server)


def test_native_routes(server):
    """/health answers, /ready once the server is; unknown paths and methods are told apart."""
    port = port_of(server)
    with Conn(port) as c:
        got = c.request("GET", "/health")
        expect((got.status, json.loads(got.body)), (200, {"status": "ok"}))
        assert got.header("Date").endswith("GMT")
        eventually(lambda: c.request("GET", "/ready").status == 200)
        got = c.request("GET", "/nothing")
        expect((got.status, json.loads(got.body)["error"]["code"]), (404, "not_found"))
        got = c.request("POST", "/health", b"x")
        expect((got.status, got.header("Allow")), (405, "GET, HEAD"))
        got = c.request("OPTIONS", "/health")
        expect((got.status, got.header("Allow")), (204, "GET, HEAD"))
        got = c.request("HEAD", "/health")
        expect((got.status, got.header("Content-Length"), got.body), (200, "16", b""))


def test_requests_and_parameters(server):
    """Handlers see what was sent, on either thread; filters run in order; answers have an id."""
    port = joined(server)
    with Conn(port) as c:
        got = c.request("GET", "/params/a%2Fb/c/d%20e?q=x+y", X_Request_ID="abc-1",
                        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        expect(got.body, b"a/b|c/d e|x y|0|127.0.0.1")
        expect(got.header("X-Request-ID"), "abc-1")
        expect(got.header("X-Refused"), "both")
        trace = got.header("X-Trace").split("-")
        expect((trace[0], trace[1], trace[3]), ("00", "a" * 32, "01"))
        assert trace[2] != "b" * 16, "a span of ours"
        got = c.request("GET", "/params/a/b", X_Request_ID="not sane!", X_Later="yes")
        expect(len(got.header("X-Request-ID")), 32)
        expect(got.header("X-Filter"), "first, second")
        expect(c.request("GET", "/hello", X_User="ada").header("X-Filter"), "first, ada")
        expect(c.request("GET", "/hello", X_Deny="1").status, 403)
        expect(c.request("GET", "/server").body, b"yes")
        expect(c.request("GET", "/slow?ms=5").body, b"late")
        expect(c.request("DELETE", "/any").body, b"hello\n")
        expect(c.request("GET", "/params/%zz/b").status, 400)


def test_bodies(server):
    """Bodies come whole however they are sent, in order, and streams in both directions work."""
    port = joined(server)
    body = os.urandom(300000)
    with Conn(port) as c:
        expect(c.request("POST", "/echo", body).body, body)
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in
                           (body[i:i + 7000] for i in range(0, len(body), 7000)))
        for path in ("/echo", "/stream", "/stream-server"):
            if path != "/echo":
                expect(c.request("POST", path, body[:100000]).body, body[:100000])
                expect(c.request("POST", path, b"").body, b"")
            c.send(b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   % path.encode())
            c.send(chunked[:100000] if path == "/echo" else b"5\r\nhello\r\n0\r\n\r\n")
            if path == "/echo":
                c.send(chunked[100000:] + b"0\r\nX-Sum: 1\r\n\r\n")
            expect(c.read().body, body if path == "/echo" else b"hello")
        for path in ("/big", "/big-server"):
            expect(len(c.request("GET", path + "?bytes=5000000").body), 5000000)
            expect(len(c.request("GET", path + "?bytes=5000000&counted=1").body), 5000000)
        expect(c.request("HEAD", "/big?bytes=5000000").body, b"")
        expect(c.request("GET", "/hello").status, 200)
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
               b"Content-Length: 2\r\n\r\n")
        expect(c.read().status, 100)
        c.send(b"ok")
        expect(c.read().body, b"ok")


def test_pipelining(server):
    """Requests sent at once are answered in order, slow ones before quick ones."""
    port = joined(server)
    with Conn(port) as c:
        c.send(b"".join(b"GET /params/%d/x HTTP/1.1\r\nHost: a\r\n\r\n"
                        b"GET /slow?ms=1 HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(100)))
        for i in range(100):
            expect(c.read().body.split(b"|")[0], b"%d" % i)
            expect(c.read().body, b"late")
        c.send(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
               b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        expect(c.read().header("Connection"), "close")
        expect(c.rest(), b"")
    with Conn(port) as c:
        c.send(b"GET /hello HTTP/1.0\r\n\r\n")
        expect(c.read().body, b"hello\n")
        expect(c.rest(), b"")


@settings(body_max=1048576)
def test_malformed_requests(server):
    """Every case of the corpus gets its answer and the end of the connection, and what follows it
    is not taken for a request."""
    port = joined(server)
    behind = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    counted = 0
    for name, want, data in corpus():
        data = data.replace(b"POST / ", b"POST /echo ", 1)  # a path that takes bodies
        with Conn(port) as c:
            try:
                c.send(data + behind)
                c.sock.shutdown(1)
            except OSError:
                pass  # refused while we were sending
            if want == 0:
                first = c.read()
                first = c.read() if first.status == 100 else first
                expect((name, first.status), (name, 200 if b"POST" in data else
                                              204 if b"OPTIONS" in data else 404))
                expect((name, c.read().body), (name, b"hello\n"))
            else:
                got = c.read()
                expect((name, got.status, got.header("Connection")), (name, want, "close"))
                expect((name, c.rest()), (name, b""))
        counted += 1
    assert counted >= 150, counted
    expect(status(server)["connections_refused"], 0)


@settings(body_max=1000)
def test_bodies_too_large(server):
    """A body over a limit is refused before it is read, announced or not."""
    port = joined(server)
    with Conn(port) as c:
        expect(c.request("POST", "/small", b"x" * 10).status, 200)
        expect(c.request("POST", "/small", b"x" * 11).status, 413)
        expect(c.request("GET", "/hello").status, 200)
    with Conn(port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n"
               b"Expect: 100-continue\r\n\r\n")
        expect(c.read().status, 413)
    with Conn(port) as c:
        c.send(b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n")
        expect(c.read().status, 413)
        expect(c.rest(), b"")


@settings(head_timeout=200, body_timeout=200, idle_timeout=300, handler_timeout=200,
          body_rate_min=100000)
def test_slow_clients_and_handlers(server):
    """A head, a body or a handler that takes too long is ended, however busily it drips."""
    port = joined(server)
    with Conn(port) as c:
        begin = time.monotonic()
        closed = None
        try:
            for byte in b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000:
                c.send(bytes([byte]))
                time.sleep(0.005)  # the drip
        except OSError:
            closed = time.monotonic() - begin
        assert closed is not None and closed < 3, closed
    with Conn(port) as c:
        c.send(b"GET /hello HTTP/1.1\r\nHost:")
        expect(c.read().status, 408)
        expect(c.rest(), b"")
    with Conn(port) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
        expect(c.read().status, 408)
        expect(c.rest(), b"")
    with Conn(port) as c:
        got = c.request("GET", "/never")
        expect((got.status, got.header("Connection")), (503, "close"))
    with Conn(port) as c:
        expect(c.rest(), b"")  # idle
    seen = status(server)
    assert seen["timeouts_head"] >= 2 and seen["timeouts_body"] == 1, seen
    assert seen["timeouts_handler"] == 1 and seen["timeouts_idle"] >= 1, seen


@settings(write_timeout=300, write_buffer=65536)
def test_a_client_that_does_not_read(server):
    """An endless answer waits for its client, in bounded memory, and only for a while."""
    port = joined(server)
    with Conn(port) as c:
        c.send(b"GET /big?bytes=2000000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: status(server)["timeouts_write"] == 1)
        eventually(lambda: status(server)["requests_open"] == 0)
    with open(f"/proc/{server.process.pid}/status") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    assert peak < 300000, f"{peak} KiB"


@settings(max_connections=10, max_connections_per_address=6, requests_per_connection=3)
def test_connection_limits(server):
    """Connections are bounded, in all and by address; and requests on each."""
    port = joined(server)
    held = []
    for _ in range(6):
        c = Conn(port)
        expect(c.request("GET", "/hello").status, 200)
        held.append(c)
    with Conn(port) as c:
        expect(c.rest(), b"")
    expect(status(server)["connections"], 6)
    expect(held[0].request("GET", "/hello").header("Connection"), None)
    expect(held[0].request("GET", "/hello").header("Connection"), "close")
    expect(held[0].rest(), b"")
    held[0].sock.close()
    eventually(lambda: status(server)["connections"] == 5)
    with Conn(port) as c:
        expect(c.request("GET", "/hello").status, 200)
    for c in held:
        c.sock.close()
    eventually(lambda: status(server)["connections"] == 0)


def test_a_thousand_idle_connections(server):
    """A thousand silent clients cost little and keep nobody from being served."""
    port = joined(server)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    def rss():
        with open(f"/proc/{server.process.pid}/statm") as f:
            return int(f.read().split()[1]) * resource.getpagesize()
    before = rss()
    held = []
    for _ in range(1000):
        c = Conn(port)
        expect(c.request("GET", "/hello").status, 200)
        held.append(c)
    each = (rss() - before) / 1000
    assert SANITIZED or each < 16384, f"{each:.0f} bytes each"
    with Conn(port) as c:
        expect(c.request("GET", "/hello").status, 200)
    expect(status(server)["connections"], 1000)
    for c in held:
        c.sock.close()
    eventually(lambda: status(server)["connections"] == 0)


@settings(websocket_message_max=100000)
def test_websocket(server):
    """Messages come back on either thread; control frames, rule breakers and farewells too."""
    port = joined(server)
    for path in ("/chat", "/chat-server"):
        with Conn(port) as c:
            expect(c.request("GET", path).status, 426)
            got = c.upgrade(path)
            expect((got.status, got.header("Sec-WebSocket-Accept")),
                   (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            c.frame(1, "h\u00e9llo".encode())
            expect(c.read_frame(), (1, "h\u00e9llo".encode()))
            big = os.urandom(70000)
            c.frame(2, big)
            expect(c.read_frame(), (2, big))
            c.frame(1, b"fra", final=False)
            c.frame(9, b"ping")
            c.frame(0, b"gment")
            expect(c.read_frame(), (10, b"ping"))
            expect(c.read_frame(), (1, b"fragment"))
            for i in range(500):
                c.frame(1, b"%d" % i)
            for i in range(500):
                expect(c.read_frame(), (1, b"%d" % i))
            c.frame(8, b"\x03\xe8bye")
            expect(c.read_frame(), (8, b"\x03\xe8"))
            expect(c.rest(), b"")
        with Conn(port) as c:
            c.upgrade(path)
            c.frame(1, b"leave")
            expect(c.read_frame(), (8, b"\x0f\xa0as you wish"))
            c.frame(8, b"\x0f\xa0")
            expect(c.rest(), b"")
    for bytes_, code in ((b"\x81\x01x", 1002), (b"\x81\x81\0\0\0\0\xff", 1007),
                         (b"\x82\xff\0\0\0\0\0\x02\0\0\0\0\0\0", 1009)):
        with Conn(port) as c:
            c.upgrade("/chat")
            c.send(bytes_)
            opcode, payload = c.read_frame()
            expect((opcode, int.from_bytes(payload[:2], "big")), (8, code))
            expect(c.rest(), b"")
    eventually(lambda: status(server)["websockets_open"] == 0)


@settings(websocket_ping=100)
def test_a_silent_websocket_is_given_up(server):
    """A peer that answers no ping is gone."""
    port = joined(server)
    with Conn(port) as c:
        c.upgrade("/chat")
        expect(c.read_frame(), (9, b""))
        c.frame(10, b"")
        expect(c.read_frame(), (9, b""))
        expect(c.rest(), b"")


def certify(files):
    """A new key and a certificate for it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", files[0], "-out", files[1],
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)


def test_tls(server):
    """TLS 1.2 and 1.3 with ALPN; older versions, other protocols and plain text are refused."""
    tmp = server.dir
    files = [os.path.join(tmp, n) for n in ("key.pem", "cert.pem")]
    certify(files)
    c = server.client()
    expect(c("MODULE UNLOAD t_http"), "OK")
    expect(c("MODULE UNLOAD http"), "OK")
    c("MODULE", "LOAD", os.path.join(MODULES, "http.so"), "listen", "127.0.0.1:0", "tls-listen",
      "127.0.0.1:0", "tls-cert-file", files[1], "tls-key-file", files[0])
    c("MODULE", "LOAD", os.path.join(MODULES, "t_http.so"))
    joined(server)
    port = port_of(server, "https")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=files[1])
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        with Conn(port, context) as conn:
            expect(conn.sock.selected_alpn_protocol(), "http/1.1")
            expect(conn.request("GET", "/params/a/b").body, b"a|b||1|127.0.0.1")
            body = os.urandom(500000)
            expect(conn.request("POST", "/echo", body).body, body)
            expect(len(conn.request("GET", "/big?bytes=5000000").body), 5000000)
    context.set_alpn_protocols(["h2"])
    try:
        Conn(port, context)
        raise AssertionError("a protocol that is not spoken")
    except (ssl.SSLError, ConnectionError):
        pass
    with Conn(port) as conn:
        conn.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in conn.rest()
    context = ssl.create_default_context(cafile=files[1])
    with Conn(port, context) as old:
        before = old.sock.getpeercert()["serialNumber"]
        certify(files)
        expect(c("HTTP.RELOAD"), "OK")
        expect(old.request("GET", "/hello").body, b"hello\n")
    with Conn(port, ssl.create_default_context(cafile=files[1])) as new:
        assert new.sock.getpeercert()["serialNumber"] != before
        new.send(b"GET /slow?ms=1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: status(server)["requests_open"] == 1)
        os.write(new.sock.fileno(), b"\x17\x03\x03\x00\x40" + os.urandom(64))  # no record of TLS
        eventually(lambda: status(server)["requests_open"] == 0)
    eventually(lambda: status(server)["connections"] == 0)
    os.unlink(files[0])
    assert files[0] in c.error("HTTP.RELOAD")
    with Conn(port, ssl.create_default_context(cafile=files[1])) as new:
        expect(new.request("GET", "/hello").status, 200)
    with Conn(port) as conn:
        conn.send(b"\x16\x03\x01" + os.urandom(2000))
        conn.rest()
    assert status(server)["tls_failures"] >= 2


def test_client_certificates(server):
    """With an authority, only who shows a certificate of it reaches anything."""
    files = [os.path.join(server.dir, n) for n in ("key.pem", "cert.pem")]
    certify(files)
    c = server.client()
    c("MODULE UNLOAD t_http")
    c("MODULE UNLOAD http")
    c("MODULE", "LOAD", os.path.join(MODULES, "http.so"), "listen", "", "tls-listen",
      "127.0.0.1:0", "tls-cert-file", files[1], "tls-key-file", files[0], "tls-ca-file", files[1])
    port = port_of(server, "https")
    context = ssl.create_default_context(cafile=files[1])
    try:
        with Conn(port, context) as conn:
            conn.request("GET", "/health")
        raise AssertionError("served without a certificate")
    except (ssl.SSLError, ConnectionError, EOFError):
        pass
    context.load_cert_chain(files[1], files[0])
    with Conn(port, context) as conn:
        expect(conn.request("GET", "/health").status, 200)
    expect(status(server)["requests_total"], 1)


def test_access_log_and_observers(server):
    """One JSON line for each exchange, without the query; observers see each."""
    path = os.path.join(server.dir, "access.json")
    c = server.client()
    c("MODULE UNLOAD t_http")
    c("MODULE UNLOAD http")
    c("MODULE", "LOAD", os.path.join(MODULES, "http.so"), "listen", "127.0.0.1:0", "access-log",
      path)
    c("MODULE", "LOAD", os.path.join(MODULES, "t_http.so"))
    port = joined(server)
    with Conn(port) as conn:
        conn.request("GET", "/params/x/y?q=secret", X_User='a"da', X_Request_ID="id-1")
        conn.request("POST", "/echo", b"12345")
        conn.request("GET", "/none")
    with Conn(port) as conn:
        conn.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: c("T_HTTP.SEEN") >= 3)

    def lines():
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]
    eventually(lambda: len(lines()) >= 3)
    first, second, third = lines()[:3]
    expect((first["path"], first["route"], first["status"], first["user"], first["request_id"]),
           ("/params/x/y", "/params/{a}/{rest...}", 200, 'a"da', "id-1"))
    expect((second["bytes_in"], second["bytes_out"], second["method"]), (5, 5, "POST"))
    expect((third["status"], third["route"], third["remote"]), (404, "", "127.0.0.1"))
    assert "secret" not in open(path, encoding="utf-8").read()
    assert first["duration_us"] > 0 and len(first["trace"]) == 32
    os.rename(path, path + ".1")
    expect(c("HTTP.RELOAD"), "OK")
    with Conn(port) as conn:
        conn.request("GET", "/rotated")
    eventually(lambda: os.path.exists(path) and [n["path"] for n in lines()] == ["/rotated"])


def test_modules_come_and_go_under_load(server):
    """Clients see answers or clean errors while the serving module leaves and joins, and http
    itself is unloaded and loaded; nothing crashes, nothing stays behind."""
    c = server.client()
    port = joined(server)
    stop = threading.Event()
    wrong = []
    good = [0]

    def client(path):
        while not stop.is_set():
            try:
                with Conn(ports[0], timeout=10) as conn:
                    while not stop.is_set():
                        got = conn.request("GET", path)
                        good[0] += got.status == 200
                        if got.status not in (200, 404, 503):
                            wrong.append((path, got.status))
            except (OSError, EOFError):
                time.sleep(0.001)  # its connection ended; the next one may work
            except Exception as e:
                wrong.append((path, repr(e)))
    ports = [port]
    paths = ["/hello", "/slow?ms=1", "/server", "/never", "/big?bytes=300000",
             "/big-server?bytes=9"]
    clients = [threading.Thread(target=client, args=(p,)) for p in paths]
    for t in clients:
        t.start()
    try:
        for i in range(15):
            before = good[0]
            eventually(lambda: good[0] > before + 20)
            expect(c("T_HTTP.LEAVE"), "OK")
            if i % 3 == 0:
                expect(c("MODULE UNLOAD t_http"), "OK")
                expect(c("MODULE UNLOAD http"), "OK")
                c("MODULE", "LOAD", os.path.join(MODULES, "http.so"), "listen", "127.0.0.1:0")
                c("MODULE", "LOAD", os.path.join(MODULES, "t_http.so"))
                ports[0] = port_of(server)
            expect(c("T_HTTP.JOIN"), "OK")
    finally:
        stop.set()
        for t in clients:
            t.join(30)
    expect(wrong, [])
    assert c.error("MODULE", "UNLOAD", "http") is not None, "t_http uses it"
    expect(c("T_HTTP.LEAVE"), "OK")
    eventually(lambda: status(server)["requests_open"] == 0)
    eventually(lambda: status(server)["connections"] == 0)
    expect(c("PING"), "PONG")


def test_draining(server):
    """HTTP.DRAIN: no new connections, /ready says so, requests are finished and connections end."""
    port = joined(server)
    with Conn(port) as idle, Conn(port) as busy:
        idle.request("GET", "/hello")
        busy.send(b"GET /slow?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: status(server)["requests_open"] == 1)
        c = server.client()
        expect(c("HTTP.DRAIN"), "OK")
        expect(idle.rest(), b"")
        got = busy.read()
        expect((got.body, got.header("Connection")), (b"late", "close"))
    expect(status(server)["state"], "draining")
    expect(status(server)["listening"], [])
    try:
        Conn(port)
        raise AssertionError("still listening")
    except ConnectionError:
        pass


def test_shutdown_finishes_requests(server):
    """A server that ends answers what it has begun."""
    port = joined(server)
    with Conn(port) as c:
        c.send(b"GET /slow?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: status(server)["requests_open"] == 1)
        server.process.terminate()
        expect(c.read().body, b"late")
    expect(server.process.wait(20), 0)


def test_commands_and_settings(server):
    """HTTP.STATUS, ROUTES, HELP, INFO and settings say what is; bad settings are refused."""
    c = server.client()
    joined(server)
    routes = c("HTTP.ROUTES")
    assert ["GET", "/health", "http"] in routes and ["POST", "/echo", "t_http"] in routes, routes
    assert any(line.startswith("HTTP.DRAIN") for line in c("HTTP.HELP"))
    assert "http_requests_total" in c("INFO", "everything")
    counters = c("T_HTTP.COUNTERS")
    shown = status(server)
    assert all(shown[name] == value for name, value in zip(counters[::2], counters[1::2]))
    expect((counters[0], len(counters) > 40), ("connections_open", True))
    expect(c("CONFIG", "GET", "http.head-timeout"), ["http.head-timeout", "10000"])
    expect(c("CONFIG", "SET", "http.head-timeout", "5000"), "OK")
    assert c.error("CONFIG", "SET", "http.head-timeout", "1") is not None
    assert c.error("CONFIG", "SET", "http.listen", ":1") is not None
    for name in ("HTTP.STATUS", "HTTP.ROUTES", "HTTP.RELOAD", "HTTP.DRAIN", "HTTP.HELP"):
        assert "wrong number of arguments" in c.error(name, "x"), name
    c("MODULE UNLOAD t_http")
    c("MODULE UNLOAD http")
    for bad in (("listen", "nowhere:1"), ("listen", "127.0.0.1:70000"), ("listen", "8.8.8.8:80"),
                ("tls-listen", "127.0.0.1:0"), ("no-such", "1"), ("listen",), ("head-max", "1"),
                ("access-log", "/no/such/dir/log")):
        assert c.error("MODULE", "LOAD", os.path.join(MODULES, "http.so"), *bad), bad
    c("MODULE", "LOAD", os.path.join(MODULES, "http.so"), "listen", "127.0.0.1:0 [::1]:0")
    expect(len(status(server)["listening"]), 2)


if __name__ == "__main__":
    run_tests(globals(), lambda test: on_server(Server(SERVER, *flags(test)), test))
