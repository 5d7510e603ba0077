"""What tests of HTTP share: connections, responses taken apart, the corpus, WebSocket frames."""
import os
import socket
import struct
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
MASK = b"\x37\xfa\x21\x3d"


def unescape(text):
    """The bytes that a text of the corpus stands for; the head of http_corpus.txt has the rules."""
    out = b""
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode("latin-1")
            at += 1
        elif text[at + 1] == "x":
            out += bytes([int(text[at + 2:at + 4], 16)])
            at += 4
        elif text[at + 1] == "(":
            end = text.index(")", at)
            out += text[at + 2].encode() * int(text[at + 4:end])
            at = end + 1
        else:
            out += ESCAPES[text[at + 1]]
            at += 2
    return out


def corpus():
    """(name, status, bytes) of every case; status 0 is a good request."""
    with open(os.path.join(ROOT, "tests/support/http_corpus.txt"), encoding="ascii") as f:
        for line in f:
            parts = line.rstrip("\n").split("\t")
            if not line.startswith("#") and len(parts) == 3:
                yield parts[0], int(parts[1]), unescape(parts[2])


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The value; several are joined with commas; None without."""
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        return ", ".join(found) if found else None


class Conn:
    """A connection that sends what it is told and reads responses."""

    def __init__(self, port, context=None, host="127.0.0.1", timeout=20):
        self.sock = socket.create_connection((host, port), timeout)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, target, body=None, **headers):
        """Send a request and read its response."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.read(method == "HEAD")

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError(f"closed behind {self.buf!r}")
        self.buf += data

    def take(self, size):
        while len(self.buf) < size:
            self.more()
        data, self.buf = self.buf[:size], self.buf[size:]
        return data

    def line(self):
        while b"\r\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def chunks(self):
        body = b""
        while True:
            size = int(self.line(), 16)
            body += self.take(size)
            assert self.line() == b""
            if size == 0:
                return body

    def read(self, is_head=False):
        version, status, _ = self.line().decode().split(" ", 2)
        assert version == "HTTP/1.1", version
        headers = []
        for line in iter(self.line, b""):
            name, value = line.decode("latin-1").split(": ", 1)
            headers.append((name, value))
        got = Response(int(status), headers, b"")
        if is_head or got.status in (204, 304) or got.status < 200:
            return got
        if got.header("Transfer-Encoding") == "chunked":
            got.body = self.chunks()
        elif got.header("Content-Length") is not None:
            got.body = self.take(int(got.header("Content-Length")))
        else:
            got.body = self.rest()
        return got

    def rest(self):
        """All bytes until the server closes."""
        while True:
            try:
                self.more()
            except EOFError:
                data, self.buf = self.buf, b""
                return data

    # WebSocket

    def upgrade(self, path, **headers):
        return self.request("GET", path, Connection="Upgrade", Upgrade="websocket",
                            Sec_WebSocket_Version=13,
                            Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **headers)

    def frame(self, opcode, payload, final=True):
        size = len(payload)
        length = (bytes([0x80 | size]) if size < 126 else
                  b"\xfe" + struct.pack(">H", size) if size < 65536 else
                  b"\xff" + struct.pack(">Q", size))
        masked = bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))
        self.send(bytes([(0x80 if final else 0) | opcode]) + length + MASK + masked)

    def read_frame(self):
        """(opcode, payload)"""
        head = self.take(2)
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return head[0] & 0x0f, self.take(size)


def eventually(what, seconds=20):
    """Wait, with a bound, until `what()` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)  # a step of a bounded wait
