#!/usr/bin/env python3
"""Goal: what a module executes for clients of its own is what a connected client would have got:
with the rights of a user, on whatever node leads, answered when it is committed, and never answered
with the opposite of the truth.
Method: the example module `lines`, whose thread serves lines of words, in a server alone and in
clusters whose leader is killed; counters show how often each thing was really done."""
import os
import socket
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S, Server  # noqa: E402

WAIT_S_MAX = 20
KILLS = 3 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
CALLERS = 8
NOPERM = "answered NOPERM "


def port_of(node):
    """Of the module's listener, once the node can say it."""
    until = time.monotonic() + WAIT_S_MAX
    while True:
        try:
            client = Client(node.port, 5)
            try:
                return client("LINES.PORT")
            finally:
                client.close()
        except (OSError, Error):
            if time.monotonic() > until:
                raise
            time.sleep(STEP_S)


class Lines:
    """A client of the module."""

    def __init__(self, node, timeout=WAIT_S_MAX):
        self.socket = socket.create_connection(("127.0.0.1", port_of(node)), timeout)
        self.file = self.socket.makefile("r")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("the module hung up")
        return line.rstrip("\n")

    def __call__(self, line):
        self.send(line)
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()


class Alone(unittest.TestCase):
    def setUp(self):
        self.server = Server("--loadmodule", "lines", "--sync-mode", "every",
                             "--enable-module-command", "yes")
        self.addCleanup(self.server.close)
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def lines(self):
        lines = Lines(self.server)
        self.addCleanup(lines.close)
        return lines

    def test_commands_and_transactions_are_answered(self):
        ask = self.lines()
        self.assertEqual(ask("SET k v"), "answered OK")
        self.assertEqual(ask("GET k"), "answered v")
        self.assertEqual(ask("INCR a ; INCR a ; GET a"), "answered 1, 2, 2")
        self.assertEqual(ask("INCR a ; INCR"), "answered ERR wrong number of arguments for 'incr' "
                                               "command")
        self.assertEqual(self.client("GET", "a"), "2")
        self.assertTrue(ask("nonsense").startswith("answered ERR unknown command"))
        self.assertTrue(ask("MULTI").startswith("answered ERR a command that belongs"))

    def test_it_has_the_rights_of_its_user(self):
        ask = self.lines()
        self.client("ACL", "SETUSER", "default", "-set")
        self.assertTrue(ask("SET k v").startswith(NOPERM))
        log = self.client("ACL", "LOG")
        self.assertIn("set", str(log))
        self.client("ACL", "SETUSER", "default", "+set")
        self.assertEqual(ask("SET k v"), "answered OK")

    def test_what_was_answered_survives_a_kill(self):
        ask = self.lines()
        for i in range(50):
            self.assertEqual(ask(f"SET k{i} {i}"), "answered OK")
        self.server.restart()
        again = self.lines()
        for i in range(50):
            self.assertEqual(again(f"GET k{i}"), f"answered {i}")

    def test_unloading_answers_what_is_under_way_and_loading_goes_on(self):
        ask = self.lines()
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        ask.send("INCR n")
        until = time.monotonic() + WAIT_S_MAX
        while "under_way=1" not in self.client("INFO", "modules"):
            self.assertLess(time.monotonic(), until)
            time.sleep(STEP_S)
        self.client("CLIENT", "UNPAUSE")
        self.assertEqual(ask.read(), "answered 1")
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        ask.send("INCR n")
        while "under_way=1" not in self.client("INFO", "modules"):
            self.assertLess(time.monotonic(), until)
            time.sleep(STEP_S)
        self.assertEqual(self.client("MODULE", "UNLOAD", "lines"), "OK")
        self.client("CLIENT", "UNPAUSE")
        self.assertEqual(self.client("MODULE", "LOAD", "lines"), "OK")
        self.assertEqual(self.lines()("GET n"), "answered 1")
        self.assertNotIn("Sanitizer", self.server.log())

    def test_the_server_ends_in_order_with_calls_under_way(self):
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        ask = self.lines()
        ask.send("INCR n")
        until = time.monotonic() + WAIT_S_MAX
        while "under_way=1" not in self.client("INFO", "modules"):
            self.assertLess(time.monotonic(), until)
            time.sleep(STEP_S)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual(self.lines()("GET n"), "answered (nothing)")

    def test_a_client_that_leaves_cancels_its_call(self):
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        ask = Lines(self.server)
        ask.send("INCR n")
        until = time.monotonic() + WAIT_S_MAX
        while "under_way=1" not in self.client("INFO", "modules"):
            self.assertLess(time.monotonic(), until)
            time.sleep(STEP_S)
        ask.close()
        while "under_way=0" not in self.client("INFO", "modules"):
            self.assertLess(time.monotonic(), until)
            time.sleep(STEP_S)
        self.assertIn("not_executed=1", self.client("INFO", "modules"))
        self.client("CLIENT", "UNPAUSE")
        self.assertIsNone(self.client("GET", "n"))

    def test_many_clients_count_right(self):
        def count(lines):
            for _ in range(200):
                self.assertEqual(lines("INCR n").split()[0], "answered")
        threads = [threading.Thread(target=count, args=(self.lines(),)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(self.client("GET", "n"), str(200 * CALLERS))


class Caller(threading.Thread):
    """Counts up through one node after the other, and what came of it."""

    def __init__(self, cluster, key):
        super().__init__(daemon=True)
        self.cluster, self.key = cluster, key
        self.counts = {"answered": 0, "not-executed": 0, "unknown": 0, "lost": 0}
        self.wrong = []
        self.stopping = False

    def run(self):
        number, lines = 0, None
        while not self.stopping:
            number += 1
            try:
                if lines is None:
                    lines = Lines(self.cluster.nodes[number % len(self.cluster.nodes)], 15)
                word, _, rest = lines(f"INCR {self.key}").partition(" ")
                if word == "answered" and not rest.isdigit():
                    self.wrong.append(rest)
                self.counts[word] += 1
            except (OSError, Error, RuntimeError):
                if lines is not None:
                    self.counts["lost"] += 1  # its node was killed: nobody knows
                    lines.close()
                lines = None
        if lines is not None:
            lines.close()


class ThreeNodes(unittest.TestCase):
    FLAGS = ["--loadmodule", "lines", "--election-timeout", "500ms", "--sync-mode", "every"]

    def test_a_follower_executes_through_the_leader(self):
        with Cluster(3, *self.FLAGS) as cluster:
            leader = cluster.await_leader()
            for node in cluster.nodes:
                ask = Lines(node)
                self.assertEqual(ask(f"SET {node.id} v"), "answered OK")
                self.assertEqual(ask(f"GET {node.id}"), "answered v", "reads are linearizable")
                self.assertEqual(ask("INCR a ; INCR b").split(",")[0][:9], "answered ")
                ask.close()
            client = Client(leader.port)
            self.assertEqual(client("MGET", "a", "b"), ["3", "3"])
            self.assertEqual(client("MGET", *[node.id for node in cluster.nodes]), ["v"] * 3)
            client.close()

    def test_whatever_is_answered_is_true_while_leaders_are_killed(self):
        with Cluster(3, *self.FLAGS, disk="forgets") as cluster:
            cluster.await_leader()
            callers = [Caller(cluster, f"n{i}") for i in range(CALLERS)]
            for caller in callers:
                caller.start()
            for _ in range(KILLS):
                leader = cluster.await_leader()
                time.sleep(0.4)  # of work between two kills
                leader.kill()
                cluster.await_leader()
                leader.start()
                cluster.await_caught_up(leader)
            for caller in callers:
                caller.stopping = True
            for caller in callers:
                caller.join(60)
            cluster.await_equal()
            total = {}
            for node in cluster.nodes:
                client = Client(node.port, 10)
                for caller in callers:
                    counts = caller.counts
                    value = int(client("GET", caller.key) or 0)
                    self.assertEqual(caller.wrong, [])
                    self.assertGreaterEqual(value, counts["answered"], f"lost: {counts}")
                    self.assertLessEqual(value - counts["answered"],
                                         counts["unknown"] + counts["lost"],
                                         f"done although it was said not to be: {counts}")
                client.close()
            for caller in callers:
                for word, count in caller.counts.items():
                    total[word] = total.get(word, 0) + count
            print(f"     {KILLS} kills of the leader: {total}")
            self.assertGreater(total["answered"], 100)
            self.assertGreater(total["unknown"] + total["not-executed"], 0,
                               "no call met a dying leader: the test sees nothing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
