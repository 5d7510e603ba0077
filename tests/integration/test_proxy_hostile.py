#!/usr/bin/env python3
"""The proxy between hostile parties: nothing that two readers could understand in two ways passes.

Usage: test_proxy_hostile.py [SERVER MODULES_DIR [NAME...]]

The corpus of malformed requests (tests/support/http_corpus.txt) goes through the proxy to a backend
that records each byte and reads it more strictly than any server, and to nginx and Node.js;
malformed responses come from a backend; the module comes and goes under load.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from http_support import Conn, corpus, eventually
from proxy_support import Backend, Proxy, plain
from resp_client import Server, free_port, on_server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
MODULE = os.path.join(MODULES, "proxy.so")
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CASE_S_MAX = 10
NODE = """
const http = require('http');
http.createServer((req, res) => {
  let size = 0;
  req.on('data', d => size += d.length);
  req.on('end', () => res.end(req.method + ' ' + req.url + ' ' + size));
}).listen(Number(process.argv[1]), '127.0.0.1');
"""
NGINX = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log {dir}/access.log; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "$request_method $uri"; }} }}
}}
"""


def settings(**values):
    """Settings of the module for a test's server."""
    def mark(test):
        test.settings = {k.replace("_", "-"): v for k, v in values.items()}
        return test
    return mark


def flags(test):
    chosen = {"listen": "127.0.0.1:0", **getattr(test, "settings", {})}
    out = ["--loadmodule", MODULE]
    for name, value in chosen.items():
        out += ["--proxy." + name, str(value)]
    return out + ["--enable-module-command", "yes"]


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def memory_of(server):
    with open(f"/proc/{server.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def send_case(port, data):
    """The statuses that come back for a case and a good request behind it, within a bound."""
    begin = time.monotonic()
    with Conn(port, timeout=CASE_S_MAX) as c:
        try:
            c.send(data + BEHIND)
            c.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused while we were sending
        statuses = []
        try:
            while len(statuses) < 4:
                got = c.read(data.startswith(b"HEAD") and not statuses)
                if got.status != 100:
                    statuses.append(got.status)
        except EOFError:
            pass
    assert time.monotonic() - begin < CASE_S_MAX
    return statuses


def run_corpus(proxy, refused_only=False):
    """Every case against whatever is behind the proxy; how many there were."""
    count = 0
    for name, want, data in corpus():
        if want == 0 and refused_only:
            continue
        got = send_case(proxy.port, data)
        if want == 0:
            assert len(got) == 2 and got[1] < 500, (name, got)
        else:
            expect((name, got), (name, [want]))
        count += 1
    return count


@settings(health_check_interval=60000, body_max=1048576)
def test_malformed_requests_never_reach_a_backend_in_two_readings(server):
    """Each case of the corpus gets its 4xx and the end of the connection, or is forwarded so that
    the strictest reader agrees; nothing behind a refused one is forwarded; memory is bounded."""
    proxy = Proxy(server)
    with Backend(lambda r: plain(r.target.encode())) as backend:
        proxy.pool(backend)
        expect(send_case(proxy.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), [200, 200])
        before = memory_of(server)
        good = bad = 0
        for name, want, data in corpus():
            seen = len(backend.requests)
            got = send_case(proxy.port, data)
            targets = [r.target for r in backend.requests[seen:]]
            if want == 0:
                good += 1
                assert len(got) == 2, (name, got)
                expect((name, len(targets), targets[-1]), (name, 2, "/behind"))
            else:
                bad += 1
                expect((name, got), (name, [want]))
                expect((name, targets), (name, []))
        assert bad >= 80, bad
        requests = backend.all_requests()  # asserts that each byte has one reading
        expect(sum(r.target == "/behind" for r in requests), good + 1)
        for request in requests:
            for name, _ in request.headers:
                assert "_" not in name and name.lower() not in ("te", "trailer", "expect"), name
        assert memory_of(server) - before < 64 * 1024 * 1024
        expect(proxy.seen("b0")["failure_count"], 0)
        expect(proxy.seen("b0")["circuit"], "closed")


@settings(health_check_interval=60000, body_max=1048576)
def test_malformed_requests_cut_into_bytes_are_refused_too(server):
    """The same when they come byte by byte, for those that are short."""
    proxy = Proxy(server)
    with Backend() as backend:
        proxy.pool(backend)
        for name, want, data in corpus():
            if want == 0 or len(data) > 120:
                continue
            with Conn(proxy.port, timeout=CASE_S_MAX) as c:
                c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    for at in range(len(data)):
                        c.send(data[at:at + 1])
                    c.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                got = c.rest()
                expect((name, got.count(b"Connection: close\r\n")), (name, 1 if got else 0))
                if got or b"\r\n\r\n" in data:  # an unfinished head may end without a word
                    expect((name, int(got.split()[1])), (name, want))
        expect(backend.requests, [])
        backend.all_requests()


def behind_program(server, argv, port):
    """The corpus against a real server that `argv` starts on a port."""
    program = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        proxy = Proxy(server)
        proxy.backend("b0", f"127.0.0.1:{port}", "HEALTH", "/")
        proxy.route("all", "BACKENDS", "b0")
        assert run_corpus(proxy) >= 80
        expect(proxy.seen("b0")["failure_count"], 0)
        with Conn(proxy.port) as c:
            for _ in range(3):
                expect(c.request("GET", "/").status, 200)
    finally:
        program.kill()
        program.wait()


@settings(body_max=1048576)
def test_malformed_requests_before_node(server):
    """Node.js behind the proxy answers the good ones and never sees the others."""
    port = free_port()
    behind_program(server, ["node", "-e", NODE, str(port)], port)


@settings(body_max=1048576)
def test_malformed_requests_before_nginx(server):
    """So does nginx, where it is installed."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if nginx is None:
        print("     (no nginx here)")
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "conf")
        with open(path, "w") as f:
            f.write(NGINX.format(dir=folder, port=port))
        behind_program(server, [nginx, "-c", path, "-p", folder], port)


RESPONSES = [  # what a backend says; each is 502, and its connection is not used again
    b"", b"\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 600 X\r\n\r\n", b"HTTP/1.1 099 X\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n Folded: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
    b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 101 Switch\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \r\n" + b"Y: " + b"y" * 40000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"Z: 1\r\n" * 200 + b"\r\n", b"HTTP/1.1 200 O\rK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a\rb\r\n\r\n",
]


@settings(health_check_interval=60000, circuit_breaker_failure_threshold=1000, retries=0)
def test_malformed_responses_never_reach_a_client(server):
    """A response that could be read in two ways is 502, whole and framed; one that breaks in the
    middle ends the connection and is never taken for complete."""
    proxy = Proxy(server)
    now = {"bytes": b""}

    def answer(request):
        return lambda sock: sock.sendall(now["bytes"])

    with Backend(answer) as backend:
        proxy.pool(backend)
        for now["bytes"] in RESPONSES:
            with Conn(proxy.port) as c:
                got = c.request("GET", "/")
                expect((now["bytes"][:60], got.status), (now["bytes"][:60], 502))
                expect(got.header("Content-Type"), "application/json")
        for now["bytes"] in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
                             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\n",
                             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            with Conn(proxy.port) as c:
                try:
                    got = c.request("GET", "/")
                    raise AssertionError(f"taken for complete: {now['bytes']!r} {got.body!r}")
                except EOFError:
                    pass


def load(port_of, stop, counts):
    """Requests on connections that come and go until told to stop."""
    while not stop.is_set():
        try:
            with Conn(port_of(), timeout=10) as c:
                for _ in range(10):
                    status = c.request("POST", "/", b"x" * 1000).status
                    with counts["lock"]:
                        counts[status] = counts.get(status, 0) + 1
        except (OSError, EOFError):
            with counts["lock"]:
                counts["cut"] = counts.get("cut", 0) + 1
            stop.wait(0.01)


def test_the_module_comes_and_goes_under_load(server):
    """Five times loaded and unloaded while clients send: no crash, routes are there again at once,
    and nothing but a cut connection is ever seen."""
    port = free_port()
    call = server.client(timeout=60)
    stop = threading.Event()
    counts = {"lock": threading.Lock()}
    with Backend() as backend:
        call("MODULE", "UNLOAD", "proxy")
        threads = [threading.Thread(target=load, args=(lambda: port, stop, counts))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for n in range(5):
                expect(call("MODULE", "LOAD", MODULE, "listen", f"127.0.0.1:{port}"), "OK")
                proxy = Proxy(server)
                proxy.pool(backend)
                good = counts.get(200, 0)
                eventually(lambda: counts.get(200, 0) > good + 100)
                expect(call("MODULE", "RELOAD", "proxy"), "OK")
                good = counts.get(200, 0)
                eventually(lambda: counts.get(200, 0) > good + 100)  # with the routes it had
                assert "data types" in call.error("MODULE", "UNLOAD", "proxy")
                expect(call("DEL", "proxy:config"), 1)
                expect(call("MODULE", "UNLOAD", "proxy"), "OK")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        expect(call("PING"), "PONG")
    assert set(counts) <= {"lock", "cut", 200, 404}, counts


def test_clients_that_vanish_cost_a_backend_nothing(server):
    """Two hundred clients that leave in the middle: backends stay well, nothing is left behind."""
    proxy = Proxy(server)
    go = threading.Event()

    def hold(request):
        go.wait(30)
        return plain()

    with Backend(hold) as backend:
        proxy.pool(backend)
        conns = []
        for n in range(200):
            c = Conn(proxy.port)
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf" if n % 2 else
                   b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            conns.append(c)
        eventually(lambda: proxy.seen("b0")["active_connections"] == 200)
        for c in conns:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.sock.close()
        eventually(lambda: proxy.seen("b0")["active_connections"] == 0)
        go.set()
        expect(proxy.seen("b0")["failure_count"], 0)
        expect(proxy.seen("b0")["circuit"], "closed")
        eventually(lambda: proxy.status()["clients"] == 0)


if __name__ == "__main__":
    run_tests(globals(), lambda test: on_server(Server(SERVER, *flags(test)), test))
