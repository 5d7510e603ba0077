#!/usr/bin/python3
"""Goal: no client, however hostile, makes the server's memory grow past a bound, or keeps another
client from being served.

Method: real sockets that announce much and send little, send much and read nothing, come by the
thousand or leave halfway, while the server's resident memory is watched and a second client asks
PING.
"""
import os
import resource
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import Server, program  # noqa: E402

MIB = 1 << 20
SANITIZED = "asan" in os.environ.get("HELIOS_SERVER", "")  # slow, and keeps freed memory a while


class Limits(unittest.TestCase):
    def serve(self, *flags):
        self.server = Server("--appendonly", "no", *flags)
        self.addCleanup(self.server.close)
        self.other = self.client()
        try:
            self.other("PING")
        except Exception:
            self.other("AUTH", "secret")
        self.start_rss = self.rss()
        return self.server

    def client(self, timeout=30):
        client = Client(self.server.port, timeout=timeout)
        self.addCleanup(client.close)
        return client

    def raw(self, data=b""):
        s = socket.create_connection(("127.0.0.1", self.server.port), 30)
        self.addCleanup(s.close)
        if data:
            s.sendall(data)
        return s

    def rss(self):
        with open(f"/proc/{self.server.process.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def check(self, grown_max, seconds=0.3):
        """For a while, another client is served at once and memory stays below the bound."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            start = time.monotonic()
            self.assertEqual(self.other("PING"), "PONG")
            self.assertLess(time.monotonic() - start, 5)  # on a machine that has much else to do
            if not SANITIZED:
                self.assertLess(self.rss() - self.start_rss, grown_max)
            time.sleep(0.01)

    def answer(self, s):
        """All that comes until the server closes."""
        s.settimeout(30)
        got = b""
        while True:
            try:
                data = s.recv(65536)
            except ConnectionResetError:
                return got
            if not data:
                return got
            got += data

    def flood(self, s, data, seconds=10):
        """Send in a thread and never read, until the server closes, stops reading or time is up."""
        def run():
            until = time.monotonic() + seconds
            s.settimeout(1)
            try:
                while time.monotonic() < until:
                    s.sendall(data)
            except OSError:
                pass
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def test_announcing_costs_nothing(self):
        self.serve()
        held = [self.raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nx") for _ in range(50)]
        held += [self.raw(b"*1048576\r\n$1\r\na\r\n") for _ in range(50)]
        self.check(40 * MIB)
        self.assertEqual(len(held), 100)

    def test_beyond_the_protocol(self):
        self.serve()
        for data, text in ((b"*1048577\r\n", b"invalid multibulk length"),
                           (b"*1\r\n$536870913\r\n", b"invalid bulk length"),
                           (b"*1\r\n$-5\r\n", b"invalid bulk length"),
                           (b"*99999999999999999999\r\n", b"invalid multibulk length"),
                           (b"*1\r\n:5\r\n", b"expected '$'"),
                           (b"x" * 70000, b"too big inline request"),
                           (b"*" + b"1" * 70000, b"too big mbulk count string"),
                           (b"SET 'a\r\n", b"unbalanced quotes in request")):
            got = self.answer(self.raw(data))
            self.assertIn(b"-ERR Protocol error: " + text, got)
        self.check(20 * MIB, 0.1)

    def test_before_a_password(self):
        self.serve("--requirepass", "secret")
        for data, text in ((b"*11\r\n", b"unauthenticated multibulk length"),
                           (b"*2\r\n$4\r\nECHO\r\n$16385\r\n", b"unauthenticated bulk length")):
            self.assertIn(text, self.answer(self.raw(data)))
        s = self.raw(b"*2\r\n$4\r\nECHO\r\n$16384\r\n" + b"x" * 16384 + b"\r\n")
        self.assertIn(b"NOAUTH", s.recv(100))
        s.sendall(b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*2\r\n$4\r\nECHO\r\n$16385\r\n" +
                  b"x" * 16385 + b"\r\n")
        self.assertEqual(s.recv(5), b"+OK\r\n")
        got = b""
        while len(got) < 16385:
            got += s.recv(65536)
        self.assertTrue(got.startswith(b"$16385\r\n"))
        held = [self.raw(b"*10\r\n" + b"$16384\r\n" + b"x" * 16000) for _ in range(200)]
        self.check(40 * MIB)
        self.assertEqual(len(held), 200)

    def test_a_request_that_never_ends(self):
        """One byte at a time, and without a line end: others are served."""
        self.serve()
        drip = self.raw()
        inline = self.raw(b"x" * 60000)
        for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n":
            drip.sendall(bytes([byte]))
            self.check(20 * MIB, 0.01)
        self.assertEqual(drip.recv(100), b"$5\r\nhello\r\n")
        inline.sendall(b"x" * 10000)
        self.assertIn(b"too big inline request", self.answer(inline))

    def test_the_query_buffer_is_bounded(self):
        self.serve("--client-query-buffer-limit", "1mb")
        s = self.raw(b"*2\r\n$4\r\nECHO\r\n$100000000\r\n")
        self.flood(s, b"x" * 65536, 5).join()
        self.check(20 * MIB)
        self.assertIn("client-query-buffer-limit", self.server.log())

    def test_a_thousand_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 2000:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4000), hard))
        self.serve("--maxclients", "1001")
        held = [self.raw() for _ in range(1000)]
        self.assertIn(b"max number of clients reached", self.answer(self.raw()))
        self.check(50 * MIB)
        for s in held:
            s.sendall(b"PING\r\n")
        for s in held:
            self.assertEqual(s.recv(100), b"+PONG\r\n")
        self.check(50 * MIB)
        for s in held:
            s.close()
        until = time.monotonic() + 10
        while "connected_clients:1\r\n" not in self.other("INFO", "clients"):
            self.assertLess(time.monotonic(), until)
        self.other("CONFIG", "SET", "maxclients", "1")
        self.assertIn(b"max number of clients reached", self.answer(self.raw()))
        self.other("CONFIG", "SET", "maxclients", "10")
        self.assertEqual(self.client()("PING"), "PONG")

    def test_more_clients_than_the_system_allows(self):
        """maxclients follows the limit of open files, so that none is missing for other things."""
        script = tempfile.NamedTemporaryFile("w", suffix=".sh")
        self.addCleanup(script.close)
        script.write(f'#!/bin/sh\nulimit -n 164\nexec {program()} "$@"\n')
        script.flush()
        os.chmod(script.name, 0o700)
        script.file.close()  # a file that is open for writing cannot be run
        self.server = Server("--maxclients", "10000", path=script.name)
        self.addCleanup(self.server.close)
        self.assertIn("maxclients is 100 instead of 10000", self.server.log())
        self.other = self.client()
        self.assertIn("try with 100", self.other.error("CONFIG", "SET", "maxclients", "101"))
        held = [self.raw() for _ in range(99)]
        self.assertIn(b"max number of clients reached", self.answer(self.raw()))
        self.other("SET", "a", "1")
        self.assertEqual(str(self.other("SAVE")), "OK")
        held[0].sendall(b"PING\r\n")
        self.assertEqual(held[0].recv(100), b"+PONG\r\n")

    def test_half_closed(self):
        """Who closes only its half still gets its answers; with a log they wait for the disk."""
        with Server() as durable:
            for data, answer in ((b"SET a 1\r\n", b"+OK\r\n"), (b"PING\r\n" * 3, b"+PONG\r\n" * 3),
                                 (b"SET a 2\r\nGET a\r\nPI", b"+OK\r\n$1\r\n2\r\n")):
                with socket.create_connection(("127.0.0.1", durable.port), 30) as s:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    self.assertEqual(self.answer(s), answer)

    def limit(self, text):
        self.other("CONFIG", "SET", "client-output-buffer-limit", text)

    def big_value(self, size=MIB):
        self.other("SET", "big", "v" * size)
        self.start_rss = self.rss()

    def test_who_never_reads_is_not_served_for_ever(self):
        """Without a limit, requests wait once too much is held, and nobody is closed."""
        self.serve()
        self.big_value()
        s = self.raw()
        self.flood(s, b"GET big\r\n" * 1000, 4)
        self.check(450 * MIB, 4)
        self.other.sock.settimeout(60)
        got = 0
        s.settimeout(30)
        for _ in range(500):  # more than was held: it goes on when read
            line = b""
            while not line.endswith(b"\r\n"):
                line += s.recv(1)
            self.assertEqual(line, b"$%d\r\n" % MIB)
            left = MIB + 2
            while left:
                data = s.recv(min(left, MIB))
                self.assertNotEqual(data, b"")
                left -= len(data)
            got += 1
        self.assertEqual(got, 500)

    def test_the_hard_limit(self):
        self.serve()
        self.big_value()
        self.limit("normal 10mb 0 0")
        s = self.raw()
        self.flood(s, b"GET big\r\n" * 100, 5).join()
        self.check(60 * MIB)
        self.assertIn("hard limit", self.server.log())

    def test_the_soft_limit(self):
        self.serve()
        self.big_value()
        self.limit("normal 0 1mb 1")
        s = self.raw(b"GET big\r\n" * 30)
        self.check(60 * MIB, 0.5)
        self.assertNotIn("soft limit", self.server.log(), "not at once")
        until = time.monotonic() + 10
        while "soft limit" not in self.server.log():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        self.assertLess(len(self.answer(s)), 30 * MIB)

    def test_a_monitor_that_does_not_read(self):
        self.serve("--client-output-buffer-limit", "slave 5mb 0 0")
        s = self.raw(b"MONITOR\r\n")
        self.assertEqual(s.recv(5), b"+OK\r\n")
        value = "x" * 100000
        until = time.monotonic() + 30
        while "hard limit" not in self.server.log():
            for _ in range(20):
                self.other("ECHO", value)
            self.check(40 * MIB, 0)
            self.assertLess(time.monotonic(), until)
        self.check(40 * MIB)

    def test_all_clients_together(self):
        self.serve()
        self.big_value()
        self.other("CLIENT", "NO-EVICT", "on")
        self.other("CONFIG", "SET", "maxmemory-clients", "30mb")
        largest = self.raw(b"GET big\r\n" * 40)
        small = self.raw(b"GET big\r\n" * 10)
        until = time.monotonic() + 10
        while "maxmemory-clients" not in self.server.log():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        self.assertLess(len(self.answer(largest)), 40 * MIB)
        small.settimeout(30)
        left = 10 * (MIB + len(b"$1048576\r\n\r\n"))
        while left:
            left -= len(small.recv(MIB))

    def test_idle_clients_are_closed(self):
        self.serve()
        s = self.raw()
        self.other("CONFIG", "SET", "timeout", "1")
        start = time.monotonic()
        until = start + 10
        closed = threading.Event()
        threading.Thread(target=lambda: (self.answer(s), closed.set()), daemon=True).start()
        while not closed.is_set():
            self.other("PING")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        self.assertEqual(self.other("PING"), "PONG", "who is busy stays")


if __name__ == "__main__":
    unittest.main()
