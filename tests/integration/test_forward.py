#!/usr/bin/python3
"""Goal: a client of a node that does not lead cannot tell: it writes, runs transactions and watches
keys as if it were connected to the leader, and nothing that it was told is taken back.

Method: a cluster of real servers, clients of its followers, and the leader killed under them.
"""
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S  # noqa: E402

WAIT_S_MAX = 20
WRITERS = 8
DEATHS, DYING, ANSWERS = 30, 40, 100
PIPELINES, READS, PIPELINES_S_MAX = 20, 8, 3


def wait_for(condition, what):
    until = time.monotonic() + WAIT_S_MAX
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come")
        time.sleep(STEP_S)


class Forward(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        self.cluster.start_all()
        self.leader = self.cluster.await_leader()
        self.follower, self.other = (n for n in self.cluster.nodes if n is not self.leader)
        for node in (self.follower, self.other):
            wait_for(lambda n=node: self.is_linked(n), "the link to the leader")
        self.client(self.leader)("FLUSHALL")

    def is_linked(self, node):
        return any(f"id={self.leader.id}," in v and "forward=up" in v
                   for k, v in node.info().items() if k.startswith("raft_link"))

    def client(self, node):
        client = Client(node.port, timeout=WAIT_S_MAX)
        self.addCleanup(client.close)
        return client

    def test_a_write_anywhere_is_read_everywhere(self):
        clients = [self.client(n) for n in self.cluster.nodes]
        for i, writer in enumerate(clients):
            self.assertEqual(writer("SET", "key", f"value{i}"), "OK")
            for reader in clients:
                self.assertEqual(reader("GET", "key"), f"value{i}")
        self.assertEqual([c("INCR", "n") for c in clients], [1, 2, 3])

    def test_a_pipeline_is_answered_in_order(self):
        c = self.client(self.follower)
        for i in range(200):
            c.send("SET", f"k{i}", i)
            c.send("GET", f"k{i}")
            c.send("PING", f"p{i}")
        for i in range(200):
            self.assertEqual([c.read(), c.read(), c.read()], ["OK", str(i), f"p{i}"])

    def test_a_pipeline_of_reads_asks_the_leader_once(self):
        # Nothing but the reads themselves wakes these nodes for a tenth of a second.
        with Cluster(3, "--election-timeout", "5s", "--hz", "1") as calm:
            leader = calm.await_leader()
            c = Client(next(n for n in calm.nodes if n is not leader).port, timeout=WAIT_S_MAX)
            self.addCleanup(c.close)
            self.assertIsNone(c("GET", "key"))
            begin = time.monotonic()
            for _ in range(PIPELINES):
                for _ in range(READS):
                    c.send("GET", "key")
                self.assertEqual([c.read() for _ in range(READS)], [None] * READS)
            self.assertLess(time.monotonic() - begin, PIPELINES_S_MAX)

    def await_blocked(self, count):
        wait_for(lambda: self.leader.info()["blocked_clients"] == str(count), f"{count} waiting")

    def test_clients_anywhere_wait_for_lists_in_their_order(self):
        waiting = []
        for i, node in enumerate((self.other, self.follower, self.leader)):
            waiting.append(self.client(node))
            waiting[i].send("BLPOP", "q", 0)
            self.await_blocked(i + 1)
        self.assertEqual(self.client(self.follower)("RPUSH", "q", "a", "b", "c"), 3)
        self.assertEqual([c.read() for c in waiting], [["q", "a"], ["q", "b"], ["q", "c"]])
        for node in self.cluster.nodes:
            self.assertEqual(self.client(node)("EXISTS", "q"), 0)
        waiting[0].send("BLMOVE", "q", "r", "LEFT", "LEFT", 0)
        self.await_blocked(1)
        waiting[0].close()
        self.await_blocked(0)
        self.assertEqual(self.client(self.other)("RPUSH", "q", "d"), 1)
        self.assertEqual(self.client(self.leader)("EXISTS", "q", "r"), 1)

    def test_who_waits_when_the_leader_dies_is_told_or_served(self):
        waiting = self.client(self.follower)
        waiting.send("BLPOP", "q", 0)
        self.await_blocked(1)
        self.leader.kill()
        self.leader = self.cluster.await_leader()
        self.assertEqual(self.client(self.leader)("RPUSH", "q", "a"), 1)
        try:
            reply = waiting.read()
        except ConnectionError:
            reply = None
        left = self.client(self.leader)("LRANGE", "q", 0, -1)
        print("     the client was told:", reply)
        if isinstance(reply, list):
            self.assertEqual((reply, left), (["q", "a"], []))
        else:
            self.assertEqual(left, ["a"])

    def test_large_values_and_wrong_commands(self):
        c = self.client(self.follower)
        large = "x" * 5000000
        self.assertEqual(c("SET", "large", large), "OK")
        self.assertEqual(self.client(self.other)("GET", "large"), large)
        c("SET", "text", "a")
        self.assertIn("not an integer", c.error("INCR", "text"))
        self.assertIn("WRONGTYPE", c.error("HSET", "text", "a", "b"))
        self.assertIn("wrong number of arguments", c.error("SET", "a"))
        self.assertIn("unknown command", c.error("NOSUCH"))

    def test_transactions_and_watches_behave_as_at_the_leader(self):
        c, at_leader = self.client(self.follower), self.client(self.leader)
        self.assertEqual(c("MULTI"), "OK")
        self.assertEqual(c("INCR", "n"), "QUEUED")
        self.assertEqual(c("GET", "n"), "QUEUED")
        self.assertEqual(c("EXEC"), [1, "1"])
        for spoil in (True, False):
            c("WATCH", "n")
            seen = int(c("GET", "n"))
            if spoil:
                at_leader("INCR", "n")
            c("MULTI")
            c("SET", "n", seen + 100)
            self.assertEqual(c("EXEC"), None if spoil else ["OK"])
        self.assertEqual(at_leader("GET", "n"), "102")
        c("MULTI")
        self.assertEqual(c("DISCARD"), "OK")
        self.assertIn("without MULTI", c.error("EXEC"))
        c("MULTI")
        self.assertIsNotNone(c.error("NOSUCH"))
        self.assertIn("EXECABORT", c.error("EXEC"))

    def test_the_database_and_the_protocol_go_with_the_client(self):
        c = self.client(self.follower)
        c("SELECT", "3")
        c("SET", "a", "in three")
        c("MULTI")
        c("SELECT", "5")
        c("HSET", "h", "f", "v")
        c("EXEC")
        self.assertEqual(c("HGETALL", "h"), ["f", "v"])  # it is in 5 now
        c("HELLO", "3")
        c("MULTI")
        c("HGETALL", "h")
        self.assertEqual(c("EXEC"), [{"f": "v"}])
        at_leader = self.client(self.leader)
        at_leader("SELECT", "3")
        self.assertEqual(at_leader("GET", "a"), "in three")

    def test_a_client_reads_its_own_writes_in_every_mode_that_says_so(self):
        c = self.client(self.follower)
        for mode in ("session", "linearizable"):
            c("CONFIG", "SET", "follower-reads", mode)
            for i in range(200):
                c("SET", "mine", i)
                self.assertEqual(c("GET", "mine"), str(i))
        c("CONFIG", "SET", "follower-reads", "linearizable")

    def test_what_acts_for_a_client_ends_with_it(self):
        def acting():
            return int(self.leader.info()["raft_clients_of_others"])
        wait_for(lambda: acting() == 0, "the end of those of other tests")
        clients = [Client(self.follower.port) for _ in range(20)]
        for c in clients:
            c("SET", "a", "1")
        self.assertEqual(acting(), 20)
        for c in clients:
            c.close()
        wait_for(lambda: acting() == 0, "their end")

    def test_redirect_and_refuse(self):
        c = self.client(self.follower)
        try:
            c("CONFIG", "SET", "follower-writes", "redirect")
            self.assertRegex(c.error("SET", "a", "1"), rf"^MOVED \d+ 127.0.0.1:{self.leader.port}$")
            c("CONFIG", "SET", "follower-writes", "refuse")
            self.assertTrue(c.error("SET", "a", "1").startswith("READONLY"))
        finally:
            c("CONFIG", "SET", "follower-writes", "forward")
        self.assertEqual(c("SET", "a", "1"), "OK")

    def test_a_transaction_stays_where_it_began(self):
        c, other = self.client(self.follower), self.client(self.follower)
        at_leader = self.client(self.leader)
        at_leader("SET", "n", "1")
        self.assertEqual(other("GET", "n"), "1")
        for watches in (False, True):
            other("CONFIG", "SET", "follower-writes", "refuse")
            try:
                self.assertEqual(c("WATCH", "n") if watches else c("MULTI"), "OK")
            finally:
                other("CONFIG", "SET", "follower-writes", "forward")
            if watches:
                at_leader("INCR", "n")
                c("MULTI")
            self.assertIn("NOTLEADER", c.error("SET", "n", "9"))
            self.assertIn("EXECABORT", c.error("EXEC"))
            self.assertEqual(at_leader("GET", "n"), "2" if watches else "1")
            self.assertEqual(c("SET", "m", "1"), "OK", "the next is forwarded again")

    def test_a_watch_outlives_a_change_of_protocol_and_ends_with_reset(self):
        c, at_leader = self.client(self.follower), self.client(self.leader)
        for ends in (False, True):
            c("WATCH", "n")
            c("HELLO", "3")
            at_leader("INCR", "n")
            if ends:
                self.assertEqual(c("RESET"), "RESET")
            c("MULTI")
            c("SET", "m", "1")
            self.assertEqual(c("EXEC"), ["OK"] if ends else None)

    def test_a_watch_does_not_outlive_its_leader(self):
        c = self.client(self.follower)
        c("SET", "n", "1")
        c("WATCH", "n")
        self.leader.kill()
        try:
            c("MULTI")
            c("SET", "n", "2")
            self.assertIsNone(c("EXEC"))
        except (ConnectionError, Error):
            pass  # it was under way when the leader died
        self.assertEqual(self.client(self.follower)("GET", "n"), "1")

    def test_a_follower_that_dies_while_it_is_answered_takes_nobody_with_it(self):
        leading = self.leader.info()["process_id"]
        for _ in range(DEATHS):
            clients = [self.client(self.follower) for _ in range(DYING)]
            for i, c in enumerate(clients):
                for _ in range(ANSWERS):
                    c.send("INCR", f"counter{i}")
            clients[0].read()  # the leader is in the middle of them
            self.follower.kill()
            self.assertEqual(self.leader.info()["process_id"], leading)
            for c in clients:
                c.close()
            self.cluster.start_all()
            wait_for(lambda: self.is_linked(self.follower), "the link to the leader")
        self.assertEqual(self.leader.info()["process_id"], leading)

    def test_no_acknowledged_write_is_lost_when_the_leader_dies(self):
        stop = threading.Event()
        counts = [[0, 0] for _ in range(WRITERS)]  # acknowledged, unknown

        def write(n):
            node = (self.follower, self.other)[n % 2]
            while not stop.is_set():
                try:
                    c = Client(node.port, timeout=WAIT_S_MAX)
                except OSError:
                    continue
                try:
                    while not stop.is_set():
                        c.send("INCR", f"counter{n}")
                        counts[n][1] += 1
                        reply = c.read()
                        counts[n][1] -= 1  # an error is definite
                        if isinstance(reply, int):
                            counts[n][0] += 1
                except OSError:
                    pass
                finally:
                    c.close()

        threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
        for t in threads:
            t.start()
        try:
            wait_for(lambda: all(acked > 20 for acked, _ in counts), "writes")
            self.leader.kill()
            before = [acked for acked, _ in counts]
            wait_for(lambda: all(now[0] > was + 20 for now, was in zip(counts, before)),
                     "writes after the leader's death")
        finally:
            stop.set()
            for t in threads:
                t.join()
        c = self.client(self.follower)
        for n, (acked, unknown) in enumerate(counts):
            value = int(c("GET", f"counter{n}"))
            self.assertGreaterEqual(value, acked)
            self.assertLessEqual(value, acked + unknown)
        print(f"     {sum(a for a, _ in counts)} writes acknowledged, "
              f"{sum(u for _, u in counts)} unknown")


if __name__ == "__main__":
    unittest.main(verbosity=2)
