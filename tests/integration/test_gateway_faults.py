#!/usr/bin/env python3
"""Goal: whatever is missing, full, slow, hostile or on its way out, the HTTP API says what is true
and goes on when it can.
Method: a small disk that fills; clusters without a majority; nodes that lag; the module unloaded
and loaded under load; the corpus of malformed requests.

On a server built with HELIOS_SANITIZE=address the end of each test is what AddressSanitizer says.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import (SANITIZED, ask, await_http, error_of, flags, login,  # noqa: E402
                             parsed, resp, start, start_cluster, user)
from http_support import Conn, corpus, eventually  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import Server  # noqa: E402

MARK = "HELIOS_TEST_OWN_MOUNTS"
HOLDS_S_MAX = 1  # until a changed role, or a revoked token, holds on every node
ROUNDS = 8
CLIENTS = 4
MEMORY_MAX = (512 if SANITIZED else 64) << 20  # that hostile clients may cost


def put(node, key, token, value="v", **more):
    return ask(node, "PUT", "/api/v1/kv/" + key, {"value": value}, token, **more)


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="helios-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.dir], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.dir])

    def test_a_full_disk_is_507_and_reads_go_on(self):
        with Server(*flags("--dir", self.dir, "--snapshot-interval-cmds", "0",
                           "--snapshot-interval-time", "0", "--gateway.command-timeout",
                           "1000")) as server:
            await_http(server)
            token = user(server, "ada")
            self.assertEqual(put(server, "first", token).status, 200)
            ballast = os.path.join(self.dir, "ballast")
            with open(ballast, "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(b"x" * 4096)
                except OSError:
                    pass
            statuses = []
            while 507 not in statuses:  # the log's present file has room still
                got = put(server, f"more{len(statuses)}", token, "v" * 1000)
                statuses.append(got.status)
                self.assertLess(len(statuses), 100000)
            self.assertEqual(error_of(got), "storage_full")
            self.assertLessEqual(set(statuses), {200, 504, 507})
            got = ask(server, "GET", "/api/v1/kv/first", token=token)
            self.assertEqual((got.status, got.json["value"]), (200, "v"))
            for method, path, body in (("DELETE", "/api/v1/kv/first", None),
                                       ("POST", "/api/v1/jobs", {"payload": 1})):
                got = ask(server, method, path, body, token)
                self.assertEqual((got.status, error_of(got)), (507, "storage_full"), path)
                got = ask(server, method, path, body, token, Idempotency_Key="full")
                self.assertEqual((got.status, error_of(got)), (507, "storage_full"), path)
            os.unlink(ballast)
            eventually(lambda: put(server, "again", token).status == 200)
            self.assertEqual(ask(server, "DELETE", "/api/v1/kv/first", token=token).status, 200)


class ThreeNodes(unittest.TestCase):
    def setUp(self):
        self.cluster = start_cluster(3, "--gateway.command-timeout", "2000")
        self.addCleanup(self.cluster.close)
        self.leader = self.cluster.await_leader()

    def test_every_node_knows_at_once_who_logged_in_elsewhere(self):
        token = user(self.leader, "ada")
        for round_ in range(20):
            node = self.cluster.nodes[round_ % 3]
            other = self.cluster.nodes[(round_ + 1) % 3]
            token = login(node, "ada")
            got = put(other, f"k{round_}", token)
            self.assertEqual(got.status, 200, got.body)
            third = self.cluster.nodes[(round_ + 2) % 3]
            got = ask(third, "GET", f"/api/v1/kv/k{round_}", token=token)
            self.assertEqual((got.status, got.json["value"]), (200, "v"))

    def test_a_role_and_a_revocation_hold_everywhere_within_a_second(self):
        token = user(self.leader, "ada", "readonly")
        for role, status in (("user", 200), ("readonly", 403), ("user", 200)):
            resp(self.leader, "AUTH.ROLES", "ada", role)
            until = time.monotonic() + HOLDS_S_MAX
            for node in self.cluster.nodes:
                while put(node, "k", token).status != status:
                    self.assertLess(time.monotonic(), until, (role, node.id))
        resp(self.leader, "AUTH.LOGOUT", token)
        until = time.monotonic() + HOLDS_S_MAX
        for node in self.cluster.nodes:
            while put(node, "k", token).status != 401:
                self.assertLess(time.monotonic(), until, node.id)

    def test_without_a_majority_it_is_503_and_never_done(self):
        token = user(self.leader, "ada")
        self.assertEqual(put(self.leader, "k", token, "before").status, 200)
        self.cluster.await_equal()
        left = self.cluster.nodes[0]
        for node in self.cluster.nodes[1:]:
            node.kill()
        eventually(lambda: put(left, "k", token, "lost").status == 503)
        got = put(left, "k", token, "lost")
        self.assertEqual(got.status, 503)
        self.assertIsNotNone(got.header("Retry-After"))
        error_of(got)
        self.assertEqual(ask(left, "GET", "/api/v1/kv/k", token=token).status, 503)
        self.assertEqual(ask(left, "GET", "/kv").json, {"k": "before"}, "as this node has it")
        self.assertEqual(ask(left, "GET", "/kv?consistency=linearizable").status, 503)
        self.assertEqual(ask(left, "GET", "/api/v1/kv/k", token="x.y.z").status, 503,
                         "who it is cannot be told from a state that may be old")
        self.assertEqual(ask(left, "GET", "/health").status, 200)
        for node in self.cluster.nodes[1:]:
            node.start()
        eventually(lambda: ask(left, "GET", "/api/v1/kv/k", token=token).status == 200)
        self.assertNotEqual(ask(left, "GET", "/api/v1/kv/k", token=token).json["value"], "lost")


class Storm:
    """Clients that ask all the time; whatever the module's coming and going makes of it is well."""

    WELL = {200, 201, 204, 400, 401, 403, 404, 405, 409, 422, 429, 503, 504}

    def __init__(self, server, token):
        self.server, self.token = server, token
        self.over, self.answers, self.wrong = False, {}, []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def requests(self, at):
        return [("PUT", f"/api/v1/kv/k{at % 7}", {"value": "v" * (at % 5000)}, {}),
                ("GET", f"/api/v1/kv/k{at % 7}", None, {}),
                ("POST", "/api/v1/jobs", {"payload": at}, {"Idempotency_Key": f"s{at}"}),
                ("POST", "/api/v1/jobs/dequeue", {"wait": 1}, {}),
                ("GET", "/kv", None, {}), ("GET", "/api/v1/jobs", None, {}),
                ("GET", "/api/v1/kv/x", None, {"Authorization": "Bearer x.y.z"}),
                ("POST", "/api/v1/auth/login", {"username": "ada", "password": "wrong one"}, {})]

    def run(self, at):
        while not self.over:
            at += 1
            method, path, body, more = self.requests(at)[at % 8]
            token = None if "Authorization" in more else self.token
            try:
                got = ask(self.server, method, path, body, token, **more)
            except (OSError, EOFError) as e:
                self.wrong.append((method, path, repr(e)))
                return
            self.answers[got.status] = self.answers.get(got.status, 0) + 1
            if got.status not in self.WELL:
                self.wrong.append((method, path, got.status, got.body))

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()


class ComingAndGoing(unittest.TestCase):
    def test_it_is_unloaded_and_loaded_under_load(self):
        limits = ("--gateway.limit-capacity", "100000", "--gateway.limit-rate-num", "100000")
        with start(*limits, "--http.drain-timeout", "1000") as server:
            token = user(server, "boss", "admin")
            client = Client(server.port, timeout=60)
            storm = Storm(server, token)
            try:
                for _ in range(ROUNDS):
                    time.sleep(0.1)  # of load
                    self.assertEqual(client("MODULE", "UNLOAD", "gateway"), "OK")
                    self.assertEqual(client("MODULE", "LOAD", "gateway"), "OK")
                    client("CONFIG", "SET", "gateway.limit-capacity", "100000")
                    client("CONFIG", "SET", "gateway.limit-rate-num", "100000")
            finally:
                storm.stop()
            self.assertEqual(storm.wrong, [])
            self.assertGreater(storm.answers.get(200, 0), ROUNDS, storm.answers)
            print(f"     {storm.answers}")
            self.assertEqual(put(server, "after", token).status, 200)
            client.close()
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Sanitizer", server.log())

    def test_what_it_uses_stays_while_it_is_there(self):
        with start() as server:
            user(server, "ada")
            ask(server, "GET", "/api/v1/kv/k", token="x.y.z")
            for name in ("http", "auth", "rbac"):
                with self.assertRaises(Error):
                    resp(server, "MODULE", "UNLOAD", name)

    def test_the_server_ends_in_order_while_clients_wait(self):
        with start() as server:
            token = user(server, "boss", "admin")
            got = []

            def wait():
                try:
                    got.append(ask(server, "POST", "/api/v1/jobs/dequeue", {"wait": 20},
                                   token).status)
                except (OSError, EOFError):
                    got.append("closed")
            threads = [threading.Thread(target=wait) for _ in range(4)]
            for thread in threads:
                thread.start()
            eventually(lambda: "jobs_waiters:4" in resp(server, "INFO", "everything"))
            self.assertEqual(server.stop(), 0)
            for thread in threads:
                thread.join()
            self.assertLessEqual(set(got), {503, 504, "closed"})
            self.assertNotIn("Sanitizer", server.log())


class Hostile(unittest.TestCase):
    def test_malformed_requests_are_refused_and_cost_nothing(self):
        with start() as server:
            token = user(server, "ada")
            before = memory_of(server)
            line = f"Authorization: Bearer {token}\r\n".encode()
            count = 0
            for name, want, data in corpus():
                for path in (b"/api/v1/kv/k", b"/api/v1/jobs", b"/kv/k", b"/api/v1/auth/login"):
                    sent = data.replace(b" / ", b" " + path + b" ", 1)
                    sent = sent.replace(b"\r\nHost: a\r\n", b"\r\nHost: a\r\n" + line, 1)
                    self.send(server, name, want, sent)
                    count += 1
            self.assertGreater(count, 600)
            self.assertEqual(put(server, "k", token).status, 200)
            self.assertLess(memory_of(server) - before, MEMORY_MAX)

    def send(self, server, name, want, data):
        with Conn(server.http, timeout=20) as conn:
            try:
                conn.send(data)
                conn.sock.shutdown(1)
            except OSError:
                pass  # refused while we were sending
            try:
                got = conn.read()
            except EOFError:
                return  # a clean close
            if got.status == 100:
                got = conn.read()
            if want == 0:
                self.assertTrue(200 <= got.status < 500, (name, got.status))
            else:
                self.assertIn(got.status, (want, 400, 404, 405, 413, 414, 431, 501, 505), name)

    def test_hostile_bodies_and_parameters(self):
        with start() as server:
            token = user(server, "ada")
            bodies = [b"[" * 200000, b'{"a":' * 50000, b'{"value":"' + b"\\u0000" * 1000 + b'"}',
                      b'{"value":"\\ud800"}', b'{"value":1e400}',
                      b'{"value":"' + b"\xff" * 10 + b'"}',
                      b'{"value":' + b"9" * 100000 + b"}", b"\x00" * 1000, b"{" + b" " * 500000,
                      b'{"value":"v","value":"w"}', b'\xef\xbb\xbf{"value":"v"}', b"nul", b'"v"',
                      b'{"key":{"$gt":""},"value":"v"}', b'{"value":"v"}{"value":"w"}']
            before = memory_of(server)
            for body in bodies * 4:
                for method, path in (("PUT", "/api/v1/kv/h"), ("POST", "/api/v1/kv"),
                                     ("POST", "/api/v1/jobs"), ("POST", "/api/v1/auth/login"),
                                     ("POST", "/api/v1/auth/refresh")):
                    got = ask(server, method, path, token=token, raw=body)
                    self.assertIn(got.status, (200, 400, 413), (path, body[:40], got.body))
                    if got.status != 200:
                        error_of(got)
            for path in ("/api/v1/kv/%00", "/api/v1/kv/%ff%fe", "/api/v1/kv/..%2f..%2fetc",
                         "/api/v1/kv/%0d%0aSET%20x", "/kv?prefix=%00*", "/kv?cursor=99999999999",
                         "/kv?count=-1", "/api/v1/jobs?cursor=" + "9" * 30, "/api/v1/jobs/%00:1-a",
                         "/kv?prefix=" + "*" * 900):
                got = ask(server, "GET", path, token=token)
                self.assertIn(got.status, (200, 400, 403, 404), (path, got.body))
            self.assertLess(memory_of(server) - before, MEMORY_MAX)

    def test_clients_that_leave_and_headers_that_lie(self):
        with start() as server:
            token = user(server, "boss", "admin")
            for _ in range(50):  # leaves before the answer
                with Conn(server.http) as conn:
                    conn.send(f"POST /api/v1/jobs/dequeue HTTP/1.1\r\nHost: a\r\nAuthorization: "
                              f"Bearer {token}\r\nContent-Length: 10\r\n\r\n".encode()
                              + b'{"wait":1}')
            for value in ("Bearer " + "x" * 30000, "Bearer \x7f", "bearer",
                          "Bearer hlk_" + "a" * 70,
                          "Bearer " + "." * 5000, "Bearer e30.e30.e30"):
                got = ask(server, "GET", "/api/v1/kv/k", Authorization=value)
                self.assertIn(got.status, (400, 401, 431), value[:30])
            with Conn(server.http) as conn:  # pipelined: answers come in order
                one = f"Host: a\r\nAuthorization: Bearer {token}\r\n"
                for i in range(20):
                    head = f"PUT /api/v1/kv/p HTTP/1.1\r\n{one}Content-Length: 14\r\n\r\n"
                    conn.send(head.encode() + b'{"value":"%02d"}' % i)
                    conn.send(f"GET /api/v1/kv/p HTTP/1.1\r\n{one}\r\n".encode())
                for i in range(20):
                    self.assertEqual(parsed(conn.read()).status, 200)
                    self.assertEqual(parsed(conn.read()).json["value"], f"{i:02d}")


def memory_of(server):
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    if MARK not in os.environ:
        own = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--mount", *own, sys.executable, *sys.argv])
    unittest.main(verbosity=2)
