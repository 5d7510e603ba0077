"""A RESP2 and RESP3 client of the standard library only, and a server process to talk to."""
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest


class Error(Exception):
    """An error reply; str() is its text."""


class Status(str):
    """A simple string."""


class Client:
    """A connection to a port, or to the Unix socket at a path."""

    def __init__(self, port, timeout=10, host="127.0.0.1"):
        if isinstance(port, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(port)
        else:
            self.sock = socket.create_connection((host, port), timeout)
        self.buf = b""

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        out = b"*%d\r\n" % len(parts)
        for part in parts:
            out += b"$%d\r\n%s\r\n" % (len(part), part)
        self.sock.sendall(out)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buf += data

    def line(self):
        while b"\r\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def bulk(self, size):
        while len(self.buf) < size + 2:
            self.more()
        data, self.buf = self.buf[:size], self.buf[size + 2:]
        return data

    def read(self):
        """One reply; an error inside another reply is returned, not raised."""
        line = self.line()
        kind, rest = line[:1], line[1:].decode()
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == "t"
        if kind == b"_":
            return None
        if kind == b"(":
            return int(rest)
        if kind in b"$=":
            return None if rest == "-1" else self.bulk(int(rest)).decode("latin-1")
        if kind in b"*~>":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        if kind in b"%|":
            pairs = [(self.read(), self.read()) for _ in range(int(rest))]
            return self.read() if kind == b"|" else dict(pairs)
        raise ValueError(f"not RESP: {line!r}")

    def __call__(self, *words):
        """Run a command; a line in one string is cut at spaces.  Raises Error."""
        self.send(*(words[0].split() if len(words) == 1 else words))
        reply = self.read()
        if isinstance(reply, Error):
            raise reply
        return reply

    def error(self, *words):
        """The text of the error that a command answers; None when it answers something else."""
        try:
            self(*words)
        except Error as e:
            return str(e)
        return None


def lacks(client, *commands):
    """Which of the commands the server does not have, said aloud so that a skip has a reason; ""
    when it has all.  "debug|reload" asks for a subcommand, by trying it."""
    missing = []
    for name in commands:
        main, _, sub = name.partition("|")
        found = client("COMMAND", "INFO", main)[0] is not None
        if found and sub:
            found = "unknown subcommand" not in (client.error(main, sub) or "").lower()
        if not found:
            missing.append(name.replace("|", " ").upper())
    if missing:
        print(f"     (this server has no {', '.join(missing)}: skipped)")
    return ", ".join(missing)


def ask_any(nodes, *words, seconds=20):
    """What the first running node answers that does not refuse; asks in any order, and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for node in random.sample(nodes, len(nodes)):
            if not node.runs:
                continue
            try:
                client = Client(node.port, 3)
                try:
                    return client(*words)
                finally:
                    client.close()
            except (OSError, Error):
                pass
        time.sleep(0.02)  # a step of a bounded wait
    raise AssertionError(f"no node answers {words[0]} within {seconds} s")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process in a directory of its own: `with Server(binary) as s: s.client()`."""

    def __init__(self, binary, *args, directory=None):
        self.binary, self.args = os.path.abspath(binary) if "/" in binary else binary, args
        self.temp = None if directory else tempfile.TemporaryDirectory()
        self.dir = directory or self.temp.name
        self.port = free_port()
        self.process = None

    def command_line(self):
        return [self.binary, "--port", str(self.port), "--dir", self.dir, *self.args]

    def start(self, wait=15):
        log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(self.command_line(), stdout=log, stderr=log, cwd=self.dir)
        until = time.time() + wait
        while time.time() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}\n{self.log()}")
            try:
                client = Client(self.port)
                client("PING")
                client.close()
                return self
            except (OSError, Error):
                time.sleep(0.05)
        raise RuntimeError("the server does not answer\n" + self.log())

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def client(self, **kw):
        return Client(self.port, **kw)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        if self.temp:
            self.temp.cleanup()


def on_server(server, test):
    """Run a test on a server that starts and ends with it; its log is shown when the test fails.

    A test that `needs` commands which the server lacks is skipped."""
    with server:
        try:
            needs = getattr(test, "needs", ())
            if needs and lacks(server.client(), *needs):
                raise unittest.SkipTest(", ".join(needs))
            test(server)
        except unittest.SkipTest:
            raise
        except Exception:
            print(server.log()[-3000:])
            raise


def run_tests(tests, run):
    """The test_ functions among `tests`, or those of them that the command line names behind the
    server and the modules, one by one; `run` runs one.  Ends the program."""
    wanted = sys.argv[3:]
    failed = 0
    for name, test in sorted(tests.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        try:
            run(test)
            print(f"ok   {name}", flush=True)
        except unittest.SkipTest:
            print(f"skip {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}: {test.__doc__}")
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)


def glob_like(pattern, text):
    """True when the whole text matches the regular expression."""
    return re.fullmatch(pattern, text or "", re.S) is not None
