#!/usr/bin/env python3
"""Goal: /ws/cluster tells its clients what happens, and nobody else: figures, changes of office and
of members as they come, and an end within a second when the token is revoked.

Method: WebSockets of the standard library's sockets against servers with all modules; leaders are
moved, members added, users logged out and robbed of their role meanwhile.
"""
import json
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from gateway_support import PASSWORD, ask, error_of, login, resp, start, user  # noqa: E402
from gateway_support import start_cluster  # noqa: E402
from http_support import Conn  # noqa: E402
from server import wait_for  # noqa: E402

WAIT_S_MAX = 20
REVOKED_S_MAX = 1.0
TEXT, CLOSE = 1, 8
CLIENTS_MAX = 64


class Socket:
    """A client of /ws/cluster."""

    def __init__(self, node, target="/ws/cluster", **headers):
        self.conn = Conn(node.http, timeout=WAIT_S_MAX)
        self.answer = self.conn.upgrade(target, **headers)
        self.seen = []

    def close(self):
        self.conn.sock.close()

    def say(self, what):
        text = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.conn.frame(TEXT, text)

    def next(self):
        """The next message; a farewell is {"type": "close", "code": n}."""
        while True:
            opcode, payload = self.conn.read_frame()
            if opcode == CLOSE:
                return {"type": "close", "code": int.from_bytes(payload[:2], "big")}
            if opcode == TEXT:
                message = json.loads(payload)
                self.seen.append(message)
                return message

    def until(self, kind, true=lambda message: True):
        """The next message of that type for which `true` holds."""
        end = time.monotonic() + WAIT_S_MAX
        while time.monotonic() < end:
            message = self.next()
            if message["type"] == kind and true(message):
                return message
            if message["type"] == "close":
                raise AssertionError(f"closed with {message['code']} before {kind}")
        raise AssertionError(f"no {kind} came: {self.seen[-3:]}")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class OneNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.root = user(cls.server, "root-user", "admin")
        cls.plain = user(cls.server, "plain-user")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def connect(self, target="/ws/cluster", node=None, token="", **headers):
        if token == "":
            headers.update(bearer(self.root))
        socket = Socket(node or self.server, target, **headers)
        self.addCleanup(socket.close)
        return socket

    def test_a_status_comes_at_once_and_another_after_five_seconds(self):
        socket = self.connect()
        self.assertEqual(socket.answer.status, 101)
        first = socket.next()
        self.assertEqual(set(first), {"type", "timestamp", "data"})
        self.assertEqual(first["type"], "status")
        self.assertRegex(first["timestamp"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        self.assertEqual(first["data"]["node"]["state"], "Leader")
        began = time.monotonic()
        socket.until("status_update")
        second = socket.until("status_update")
        self.assertGreater(second["timestamp"], first["timestamp"])
        self.assertLess(time.monotonic() - began, 12)

    def test_topics_come_when_they_are_asked_for_and_no_more_afterwards(self):
        socket = self.connect()
        socket.until("status")
        for topic in ("latency", "uptime", "snapshot", "custom_metrics"):
            socket.say({"type": "subscribe", "data": [topic]})
            self.assertIsInstance(socket.until(topic)["data"], dict)
            socket.say({"type": "unsubscribe", "data": {topic: True}})
        socket.say({"type": "unsubscribe", "data": ["status"]})
        socket.say({"type": "ping"})
        socket.until("pong")
        socket.seen.clear()
        socket.say({"type": "subscribe", "data": {"uptime": True}})
        socket.until("uptime")
        socket.until("uptime")  # the periodic one
        self.assertEqual({m["type"] for m in socket.seen}, {"uptime"})

    def test_the_token_may_come_three_ways(self):
        for headers, target in ((bearer(self.root), "/ws/cluster"),
                                ({}, f"/ws/cluster?token={self.root}"),
                                ({"Sec_WebSocket_Protocol":
                                  f"helios.cluster.v1, helios.token.{self.root}"}, "/ws/cluster")):
            socket = self.connect(target, token=None, **headers)
            self.assertEqual(socket.answer.status, 101, headers)
            self.assertEqual(socket.until("status")["type"], "status")
            chosen = socket.answer.header("Sec-WebSocket-Protocol")
            self.assertIn(chosen, (None, "helios.cluster.v1"))
            self.assertNotIn(self.root, str(socket.answer.headers))

    def test_who_may_not_is_refused(self):
        for headers, status in (({}, 401), (bearer("nonsense"), 401), (bearer(self.plain), 403),
                                ({"Sec_WebSocket_Protocol": "helios.token.x"}, 401)):
            socket = self.connect(token=None, **headers)
            self.assertEqual(socket.answer.status, status, headers)
        self.assertEqual(self.connect("/ws/cluster?token=%20x", token=None).answer.status, 401)

    def test_pages_of_other_sites_may_not_connect(self):
        for origin in ("http://evil.example", "null", "http://localhost.evil.example",
                       "https://localhost:1", "localhost", ""):
            got = self.connect(Origin=origin).answer
            self.assertEqual((got.status, error_of(json_of(got))), (403, "foreign_origin"), origin)
        for origin in ("http://localhost", "https://LOCALHOST"):
            self.assertEqual(self.connect(Origin=origin).answer.status, 101)

    def test_who_wants_no_socket_is_told_to(self):
        got = ask(self.server, "GET", "/ws/cluster", token=self.root)
        self.assertEqual((got.status, error_of(got)), (426, "upgrade_required"))

    def test_nonsense_is_answered_and_the_socket_lives_on(self):
        socket = self.connect()
        for text in (b"", b"{", b"[]", b"null", b"7", b'{"type":1}', b'{"type":"shout"}',
                     b'{"type":"subscribe"}', b'{"type":"subscribe","data":["everything"]}',
                     b'{"type":"subscribe","data":{"status":1}}', b"[" * 2000, b"x" * 4097):
            socket.say(text)
            self.assertEqual(socket.until("error")["data"]["code"], "invalid", text[:40])
        socket.conn.frame(2, b"\x00\xff")
        socket.until("error")
        socket.say({"type": "ping"})
        socket.until("pong")

    def test_a_client_that_talks_without_end_is_let_go(self):
        socket = self.connect()
        socket.until("status")
        try:
            for _ in range(5000):
                socket.say({"type": "ping"})
        except OSError:
            pass
        with self.assertRaises((EOFError, OSError, AssertionError)):
            socket.until("never")

    def test_there_are_bounds_on_clients(self):
        sockets = [self.connect() for _ in range(CLIENTS_MAX + 5)]
        taken = [s for s in sockets if s.answer.status == 101]
        refused = [s for s in sockets if s.answer.status == 503]
        self.assertEqual(len(taken) + len(refused), len(sockets))
        self.assertLessEqual(len(taken), CLIENTS_MAX)
        self.assertGreaterEqual(len(refused), 5)
        for socket in taken:
            socket.close()
        wait_for(lambda: self.connect().answer.status == 101, WAIT_S_MAX, "room for another")

    def revoked(self, revoke, name, *roles):
        token = user(self.server, name, *roles)
        socket = self.connect(token=None, **bearer(token))
        socket.until("status")
        began = time.monotonic()
        revoke(token)
        while (message := socket.next())["type"] != "close":
            self.assertLess(time.monotonic() - began, REVOKED_S_MAX, "it still hears")
        self.assertEqual(message["code"], 1008)
        self.assertLess(time.monotonic() - began, REVOKED_S_MAX)

    def test_a_socket_ends_with_its_token(self):
        self.revoked(lambda token: resp(self.server, "AUTH.LOGOUT", token), "ann", "admin")
        self.revoked(lambda _: resp(self.server, "AUTH.DISABLE", "bob"), "bob", "admin")
        self.revoked(lambda _: resp(self.server, "AUTH.PASSWD", "cat", PASSWORD, PASSWORD + "!"),
                     "cat", "admin")

    def test_a_socket_ends_with_its_permission(self):
        resp(self.server, "AUTH.REGISTER", "dan", PASSWORD)
        resp(self.server, "RBAC.GRANT", "dan", "admin")
        token = login(self.server, "dan")
        socket = self.connect(token=None, **bearer(token))
        socket.until("status")
        resp(self.server, "RBAC.REVOKE", "dan", "admin")
        began = time.monotonic()
        while socket.next()["type"] != "close":
            pass
        self.assertLess(time.monotonic() - began, REVOKED_S_MAX)

    def test_the_token_stands_in_no_log(self):
        path = os.path.join(self.server.dir, "access.log")
        server = start("--http.access-log", path)
        self.addCleanup(server.close)
        root = user(server, "root-user", "admin")
        socket = Socket(server, f"/ws/cluster?token={root}")
        socket.until("status")
        socket.close()

        def lines():
            with open(path) as f:
                return f.read()
        wait_for(lambda: "/ws/cluster" in lines(), WAIT_S_MAX, "the line of the socket")
        self.assertNotIn(root, lines() + server.log())


def json_of(response):
    response.json = json.loads(response.body)
    return response


class ThreeNodes(unittest.TestCase):
    def setUp(self):
        self.cluster = start_cluster(3)
        self.addCleanup(self.cluster.close)
        self.leader = self.cluster.await_leader()
        self.root = user(self.leader, "root-user", "admin")
        self.sockets = {}
        for node in self.cluster.nodes:
            self.sockets[node.id] = socket = Socket(node, **bearer(self.root))
            self.addCleanup(socket.close)
            self.assertEqual(socket.answer.status, 101, node.id)
            socket.until("status")
            socket.until("status_update")  # so that what happens from now on is news

    def test_changes_of_office_and_of_members_are_told_as_they_happen(self):
        follower = next(n for n in self.cluster.nodes if n is not self.leader)
        resp(self.leader, "RAFT.TRANSFER", follower.id)
        lost = self.sockets[self.leader.id].until("state_change")["data"]
        self.assertEqual((lost["old_state"], lost["new_state"]), ("Leader", "Follower"))
        won = self.sockets[follower.id].until(
            "state_change", lambda m: m["data"]["new_state"] == "Leader")["data"]
        self.assertGreaterEqual(won["term"], lost["term"])
        self.cluster.await_leader()
        fresh = self.cluster.add()
        resp(follower, "RAFT.ADD", fresh.id, fresh.raft_address)
        for socket in self.sockets.values():
            change = socket.until("peer_change", lambda m: m["data"]["event"] == "added")["data"]
            self.assertEqual(change, {"event": "added", "peer_id": fresh.id,
                                      "address": fresh.raft_address})
        wait_for(lambda: fresh.info().get("raft_state") == "Follower", WAIT_S_MAX, "it to vote")
        resp(self.cluster.await_leader(), "RAFT.REMOVE", fresh.id)
        for socket in self.sockets.values():
            socket.until("peer_change", lambda m: m["data"]["event"] == "removed")

    def test_a_logout_at_one_node_ends_the_sockets_of_all(self):
        resp(self.leader, "AUTH.LOGOUT", self.root)
        began = time.monotonic()
        for socket in self.sockets.values():
            while socket.next()["type"] != "close":
                pass
        self.assertLess(time.monotonic() - began, REVOKED_S_MAX)


if __name__ == "__main__":
    unittest.main(verbosity=2)
