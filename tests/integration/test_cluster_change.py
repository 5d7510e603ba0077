"""Goal: the members of a cluster change, and are restarted one by one, while clients write, and no
client notices more than an error that it can simply try again.
Method: real processes on loopback; a client writes all the time, and what it was promised is looked
for at every node."""
import itertools
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402

CHANGE_S_MAX = 20
WRITERS = 4
ELECTION = ["--election-timeout", "500ms"]


def ask(node, *words, timeout=10):
    conn = Client(node.port, timeout, node.host)
    try:
        return conn(*words)
    finally:
        conn.close()


def change(cluster, *words, seconds=CHANGE_S_MAX):
    """Run a command on the leader until it is taken; an election may come between."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask(cluster.await_leader(), *words)
        except (Error, OSError) as e:
            if time.monotonic() > until:
                raise AssertionError(f"{words}: {e}\n{cluster.describe()}") from None
            time.sleep(0.05)


def change_to(nodes, *words):
    """Run a command on whichever of the nodes takes it."""
    until = time.monotonic() + CHANGE_S_MAX
    for node in itertools.cycle(nodes):
        try:
            return ask(node, *words)
        except (Error, OSError) as e:
            if time.monotonic() > until:
                raise AssertionError(f"{words}: {e}") from None
            time.sleep(0.05)


class Writer:
    """Writes numbered keys to any node until it is stopped; `acknowledged` are those that must be
    there at the end, `wrong` what was answered that a client could not simply try again."""

    RETRYABLE = ("NOQUORUM", "NOLEADER", "NOTLEADER", "TRYAGAIN", "LOADING", "CLUSTERDOWN",
                 "ROLLEDBACK", "UNKNOWN", "UNBLOCKED", "MASTERDOWN")

    def __init__(self, cluster):
        self.cluster, self.acknowledged, self.wrong = cluster, [], []
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, args=(first,), daemon=True)
                        for first in range(WRITERS)]

    def run(self, first):
        number, conn = first, None
        while not self.stopping:
            number += WRITERS
            try:
                if conn is None:
                    nodes = self.cluster.nodes
                    node = nodes[number // WRITERS % len(nodes)]
                    conn = Client(node.port, 2, node.host)
                conn("SET", f"w{number}", number)
                self.acknowledged.append(number)
            except (Error, OSError) as e:
                if isinstance(e, Error) and not str(e).startswith(self.RETRYABLE):
                    self.wrong.append(str(e))
                if conn is not None:
                    conn.close()  # and to the next node
                conn = None
                time.sleep(0.01)
        if conn is not None:
            conn.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)


class Change(unittest.TestCase):
    def check_all(self, cluster, writer):
        self.assertEqual(writer.wrong, [])
        self.assertGreater(len(writer.acknowledged), 10)
        for node in cluster.nodes:
            if node.runs:
                conn = Client(node.port, 10, node.host)
                found = []
                for at in range(0, len(writer.acknowledged), 500):
                    found += conn("MGET", *[f"w{n}" for n in writer.acknowledged[at:at + 500]])
                lost = [n for n, value in zip(writer.acknowledged, found) if value != str(n)]
                conn.close()
                self.assertEqual(lost, [], node.id)

    def test_a_rolling_restart_loses_nothing(self):
        with Cluster(3, *ELECTION) as cluster:
            cluster.await_leader()
            with Writer(cluster) as writer:
                for node in list(cluster.nodes):
                    node.stop()
                    node.start()
                    cluster.await_caught_up(node)
            self.check_all(cluster, writer)

    def test_nodes_are_added_and_removed_under_load(self):
        with Cluster(3, *ELECTION) as cluster:
            cluster.await_leader()
            with Writer(cluster) as writer:
                for _ in range(2):
                    node = cluster.add()
                    change(cluster, "RAFT.ADD", node.id, node.raft_address)
                    self.await_voters(cluster, len(cluster.nodes))
                dead = next(n for n in cluster.nodes if n is not cluster.await_leader())
                dead.kill()
                change(cluster, "RAFT.REMOVE", dead.id)
                cluster.nodes.remove(dead)
                self.await_voters(cluster, 4)
            dead.close()
            cluster.await_leader()
            cluster.await_equal()
            self.check_all(cluster, writer)

    def test_a_machine_is_replaced_by_another_under_load(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            broken = next(node for node in cluster.nodes if node is not leader)
            with Writer(cluster) as writer:
                broken.kill()
                change(cluster, "RAFT.REMOVE", broken.id)
                self.await_voters(cluster, 2)
                fresh = cluster.add()
                change(cluster, "RAFT.ADD", fresh.id, fresh.raft_address)
                cluster.nodes.remove(broken)
                broken.close()
                self.await_voters(cluster, 3)
                leader.kill()
                cluster.await_leader()
                change(cluster, "SET", "k", "v")
            cluster.await_equal()
            self.check_all(cluster, writer)
            self.assertEqual(ask(fresh, "GET", "k"), "v")

    def await_voters(self, cluster, count):
        until = time.monotonic() + CHANGE_S_MAX
        while int(cluster.await_leader().info().get("raft_voters", 0)) != count:
            self.assertLess(time.monotonic(), until, cluster.describe())
            time.sleep(0.02)

    def test_a_deposed_leader_with_a_long_log_makes_its_state_anew(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            others = [node for node in cluster.nodes if node is not leader]
            conn = Client(leader.port, 60)
            self.addCleanup(conn.close)
            for at in range(0, 60000, 1000):
                for n in range(at, at + 1000):
                    conn.send("SET", f"k{n}", n)
                for n in range(1000):
                    self.assertEqual(conn.read(), "OK")
            last = int(leader.info()["raft_last_log_index"])
            for node in others:
                node.kill()
            conn.send("SET", "lost", 1)  # nobody else will have it
            cluster.await_info(leader, "takes the write",
                            lambda info: int(info["raft_last_log_index"]) > last)
            leader.pause()
            for node in others:
                node.start()
            cluster.await_info(others[0], "a leader", lambda info: info.get("raft_leader") in
                            [node.id for node in others])
            change_to(others, "SET", "k", "new")
            leader.resume()
            # Its own tail may be as long as what replaces it: the number alone says nothing.
            cluster.await_info(leader, "has made its state anew",
                            lambda info: info.get("raft_state") == "Follower"
                            and "made anew up to entry" in leader.log()
                            and info["raft_last_applied"] == others[0].info()["raft_last_applied"])
            self.assertEqual(ask(leader, "GET", "k"), "new")
            self.assertEqual(ask(leader, "GET", "k59999"), "59999")
            self.assertIsNone(ask(leader, "GET", "lost"))

    def test_nobody_waits_for_a_leader_that_nobody_can_follow(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            for node in cluster.nodes:
                if node is not leader:
                    node.kill()
            begin = time.monotonic()
            self.assertEqual(leader.stop(), 0)
            self.assertLess(time.monotonic() - begin, 5, "shutdown-timeout is 10 s")

    def test_the_data_of_one_server_becomes_a_cluster(self):
        with Cluster(1, *ELECTION) as cluster:
            alone = cluster.nodes[0]
            for n in range(200):
                ask(alone, "SET", f"old{n}", n)
            for count in (2, 3):
                node = cluster.add()
                change(cluster, "RAFT.ADD", node.id, node.raft_address)
                self.await_voters(cluster, count)
            alone.kill()
            cluster.await_leader()
            for node in cluster.nodes[1:]:
                self.assertEqual(ask(node, "GET", "old199"), "199")


if __name__ == "__main__":
    unittest.main()
