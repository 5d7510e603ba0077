"""What tests of the proxy share: backends that record each byte, and the way to the proxy."""
import re
import socket
import threading

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HEAD = re.compile(rb"(?P<method>[A-Z]+) (?P<target>[!-~]+) HTTP/1\.1\r\n"
                  rb"(?P<headers>(?:" + TOKEN + rb": [ -~\x80-\xff\t]*\r\n)*)\r\n")


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    def header(self, name):
        """All values of a header."""
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Cut(Exception):
    """The bytes end inside a message."""


def read_request(data):
    """(request, bytes used) of what stands first in `data`.

    Stricter than any server: what is not exactly one message, framed in exactly one way, raises
    AssertionError; an unfinished one raises Cut.
    """
    if b"\r\n\r\n" not in data:
        raise Cut
    match = HEAD.match(data)
    assert match, f"a head that could be read in two ways: {data[:300]!r}"
    headers = []
    for line in match["headers"].split(b"\r\n")[:-1]:
        name, value = line.decode("latin-1").split(": ", 1)
        headers.append((name, value))
    request = Request(match["method"].decode(), match["target"].decode(), headers, b"")
    lengths = request.header("Content-Length")
    codings = request.header("Transfer-Encoding")
    assert len(lengths) + len(codings) <= 1, f"framed twice: {headers}"
    assert len(request.header("Host")) == 1, f"hosts: {headers}"
    assert codings in ([], ["chunked"]), codings
    assert all(re.fullmatch(r"0|[1-9][0-9]*", n) for n in lengths), lengths
    at = match.end()
    if codings:
        request.body, at = read_chunks(data, at)
    elif lengths:
        end = at + int(lengths[0])
        if len(data) < end:
            raise Cut
        request.body, at = data[at:end], end
    return request, at


def read_chunks(data, at):
    body = b""
    while True:
        line = re.compile(rb"([0-9a-fA-F]{1,8})\r\n").match(data, at)
        if line is None:
            assert re.fullmatch(rb"[0-9a-fA-F]{0,8}\r?", data[at:at + 10]), data[at:at + 40]
            raise Cut
        size = int(line[1], 16)
        at = line.end()
        if len(data) < at + size + 2:
            raise Cut
        assert data[at + size:at + size + 2] == b"\r\n", data[at + size:at + size + 20]
        body += data[at:at + size]
        at += size + 2
        if size == 0:
            return body, at


def plain(body=b"ok", status=200, *headers):
    """A response with a length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Backend:
    """A server that records what reaches it.

    `answer(request)` gives the bytes of a response, None to hang up without one, or a function
    that is called with the connection and owns it from then on.  GET /health is answered apart and
    not recorded, `well` says how.
    """

    def __init__(self, answer=lambda request: plain(), port=0):
        self.answer, self.well = answer, True
        self.requests, self.raw = [], []
        self.accepted = self.checks = 0
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Listen no more and cut what is open."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        record = bytearray()
        with self.lock:
            self.open.add(sock)
        try:
            self.converse(sock, record)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def converse(self, sock, record):
        data = b""
        while True:
            try:
                request, used = read_request(data)
            except (Cut, AssertionError) as problem:
                if isinstance(problem, AssertionError):
                    return  # the record tells
                got = sock.recv(65536)
                if not got:
                    return
                if not record and (data + got).startswith(b"GET /health "):
                    self.checks += 1
                    sock.sendall(plain(b"", 200 if self.well else 503))
                    return
                if not record:
                    with self.lock:
                        self.raw.append(record)
                        self.accepted += 1
                record += got
                data += got
                continue
            data = data[used:]
            with self.lock:
                self.requests.append(request)
            answer = self.answer(request)
            if answer is None:
                return
            if callable(answer):
                answer(sock)
                return
            sock.sendall(answer)

    def all_requests(self):
        """Everything that came, read again more strictly than by any server: [Request]."""
        found = []
        for record in list(self.raw):
            data = bytes(record)
            while data:
                try:
                    request, used = read_request(data)
                except Cut:
                    break
                found.append(request)
                data = data[used:]
        return found


def to_dict(reply):
    """A map of either protocol."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


class Proxy:
    """The proxy of a server, and its commands."""

    def __init__(self, server):
        self.call = server.client(timeout=30)
        self.port = self.port_of("http")

    def port_of(self, scheme):
        for name in to_dict(self.call("PROXY.STATUS"))["listening"]:
            if name.startswith(scheme + "://"):
                return int(name.rsplit(":", 1)[1])
        return None

    def backend(self, name, address, *words):
        assert self.call("PROXY.BACKEND", "ADD", name, address, *words) == "OK"

    def route(self, name, *words):
        assert self.call("PROXY.ROUTE", "ADD", name, *words) == "OK"

    def pool(self, *backends, algorithm="round-robin"):
        """Backends b0, b1 ... behind a route for everything."""
        names = [f"b{i}" for i in range(len(backends))]
        for name, backend in zip(names, backends):
            self.backend(name, backend.address)
        self.route("all", "BACKENDS", *names, "ALGORITHM", algorithm)

    def seen(self, name):
        """What PROXY.BACKEND LIST says of a backend."""
        for row in self.call("PROXY.BACKEND", "LIST"):
            if to_dict(row)["id"] == name:
                return to_dict(row)
        raise AssertionError(f"no backend {name}")

    def stats(self):
        return to_dict(self.call("PROXY.STATS"))

    def status(self):
        return to_dict(self.call("PROXY.STATUS"))

    def set(self, name, value):
        assert self.call("CONFIG", "SET", "proxy." + name, value) == "OK"
