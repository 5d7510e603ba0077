#!/usr/bin/env python3
"""Goal: what a cluster promises about majorities, partitions, snapshots, restarts and members holds
for real processes of every size, not only in the simulator.
Method: nodes on loopback, and one cluster in network namespaces (netns.py) whose leader is cut off;
docs/acceptance.md says which promise each test is about.  Needs root, for the namespaces.
"""
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from netns import Network  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S  # noqa: E402

ELECTION = ["--election-timeout", "500ms"]
ELECTION_S = 0.5
WAIT_S_MAX = 30
SIZES = range(1, 8)
NETWORK = None  # of the cluster that is partitioned; made before any thread is


def wait_for(condition, what, seconds=WAIT_S_MAX):
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come in {seconds} s")
        time.sleep(STEP_S)


def ask(node, *words, timeout=10):
    client = Client(node.port, timeout, node.host)
    try:
        return client(*words)
    finally:
        client.close()


def outcome(node, *words, timeout=1.0):
    """The reply, the text of an error, or None when there is no answer."""
    try:
        return ask(node, *words, timeout=timeout)
    except Error as e:
        return str(e)
    except OSError:
        return None


def await_write(nodes, key, value):
    wait_for(lambda: any(outcome(n, "SET", key, value) == "OK" for n in nodes), f"a write of {key}")


def await_value(node, key, value):
    wait_for(lambda: outcome(node, "GET", key) == value, f"{key} on {node.id}")


class Majority(unittest.TestCase):
    def check_size(self, size):
        """With a majority up it serves; with one fewer nothing is acknowledged and nobody leads."""
        with Cluster(size, *ELECTION) as cluster:
            leader = cluster.await_leader()
            await_write([leader], "first", "1")
            leader.kill()  # among others the one that knows most
            running = [node for node in cluster.nodes if node.runs]
            for node in running[size // 2 + 1:]:
                node.kill()
            running = [node for node in cluster.nodes if node.runs]
            if len(running) >= size // 2 + 1:
                await_write(running, "majority", "1")
                await_value(running[-1], "first", "1")
                running[0].kill()
                running = running[1:]
            wait_for(lambda: all(n.info().get("raft_state") != "Leader" for n in running),
                     "the end of its office")
            until = time.monotonic() + 3 * ELECTION_S
            while running and time.monotonic() < until:
                for node in running:
                    said = outcome(node, "SET", "minority", "1", timeout=0.3)
                    self.assertNotEqual(said, "OK", f"{len(running)} of {size}")
                    if said is not None:
                        self.assertTrue(said.startswith("NOQUORUM"), said)
                    self.assertNotEqual(node.info().get("raft_state"), "Leader")
            missing = size // 2 + 1 - len(running)
            for node in [n for n in cluster.nodes if not n.runs][:missing]:
                node.start()
            running = [node for node in cluster.nodes if node.runs]
            await_write(running, "again", "1")
            for node in running:
                await_value(node, "first", "1")

    def test_a_majority_of_each_size_serves_and_not_one_fewer(self):
        for size in SIZES:
            with self.subTest(size=size):
                begin = time.monotonic()
                self.check_size(size)
                print(f"     {size} nodes: {time.monotonic() - begin:.1f} s", flush=True)


class Partition(unittest.TestCase):
    def test_a_write_to_a_leader_that_is_cut_off_is_never_acknowledged(self):
        with Cluster(3, *ELECTION, "--protected-mode", "no", places=NETWORK.places) as cluster:
            leader = cluster.await_leader()
            await_write([leader], "k", "before")
            client = Client(leader.port, 3 * WAIT_S_MAX, leader.host)
            self.addCleanup(client.close)
            committed = int(leader.info()["raft_commit_index"])
            NETWORK.split({cluster.nodes.index(leader)})
            client.send("SET", "k", "lonely")
            others = [node for node in cluster.nodes if node is not leader]
            await_write(others, "k", "after")
            wait_for(lambda: leader.info().get("raft_state") != "Leader", "its resignation")
            info = leader.info()
            self.assertGreater(int(info["raft_last_log_index"]), committed, "it took the write")
            self.assertEqual(int(info["raft_commit_index"]), committed)
            said = outcome(leader, "SET", "k", "later", timeout=8)
            self.assertTrue(said is None or said.startswith("NOQUORUM"), said)
            NETWORK.heal()
            try:
                answer = str(client.read())
            except OSError:
                answer = "closed, which says that nobody knows"
            print(f"     {answer}")
            self.assertFalse(answer.startswith("OK"), answer)
            for node in cluster.nodes:
                await_value(node, "k", "after")
            cluster.await_equal()
            for node in cluster.nodes:
                self.assertEqual(ask(node, "GET", "k"), "after")


class Persistence(unittest.TestCase):
    def test_a_snapshot_restores_values_and_deadlines_everywhere(self):
        with Cluster(3, *ELECTION, "--raft-snapshot-threshold", "1", "--log-segment-size",
                     "64kb") as cluster:
            leader = cluster.await_leader()
            late = next(node for node in cluster.nodes if node is not leader)
            late.kill()
            client = Client(leader.port, 60)
            self.addCleanup(client.close)
            size = 4096
            for n in range(1000):  # many pieces of a snapshot
                client("SET", f"k{n}", str(n) * (size // len(str(n))))
            far = int(time.time() * 1000) + 3600 * 1000
            soon = int(time.time() * 1000) + 4000
            client("SET", "far", "1", "PXAT", far)
            client("SET", "soon", "1", "PXAT", soon)
            saved = client("LASTSAVE")
            wait_for(lambda: int(time.time()) > saved, "another second, for LASTSAVE counts them")
            client("BGSAVE")
            wait_for(lambda: client("LASTSAVE") > saved, "the snapshot")
            client("SET", "behind", "the snapshot")
            late.start()
            wait_for(lambda: "is installed" in late.log(), "a snapshot at the late one")
            cluster.await_caught_up(late)
            self.check(cluster, far, size)
            wait_for(lambda: outcome(leader, "GET", "soon") is None, "its end")
            for node in cluster.nodes:
                node.kill()
            cluster.start_all()
            cluster.await_leader()
            self.check(cluster, far, size)
            for node in cluster.nodes:
                self.assertEqual(ask(node, "EXISTS", "soon"), 0, "it came back")

    def check(self, cluster, far, size):
        for node in cluster.nodes:
            await_value(node, "behind", "the snapshot")
            self.assertEqual(ask(node, "PEXPIRETIME", "far"), far, node.id)
            for n in (0, 7, 500, 999):
                self.assertEqual(ask(node, "GET", f"k{n}"), str(n) * (size // len(str(n))))
            self.assertGreaterEqual(ask(node, "DBSIZE"), 1002)

    def test_restarts_keep_term_and_log(self):
        with Cluster(3, *ELECTION, disk="forgets") as cluster:
            for round_ in range(3):
                leader = cluster.await_leader()
                await_write([leader], f"k{round_}", "1")
                cluster.await_equal()
                before = {node.id: node.info() for node in cluster.nodes}
                for node in cluster.nodes:
                    node.kill()
                cluster.start_all()
                cluster.await_leader()
                for node in cluster.nodes:
                    info = node.info()
                    self.assertGreater(int(info["raft_term"]),
                                       int(before[node.id]["raft_term"]), "a new election")
                    self.assertGreater(int(info["raft_last_log_index"]),
                                       int(before[node.id]["raft_last_log_index"]), "and its no-op")
                    for n in range(round_ + 1):
                        await_value(node, f"k{n}", "1")


class Members(unittest.TestCase):
    def test_a_leader_removes_itself(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            await_write([leader], "k", "1")
            self.assertEqual(ask(leader, "RAFT.REMOVE", leader.id), "OK")
            rest = [node for node in cluster.nodes if node is not leader]
            await_write(rest, "k", "2")
            for node in rest:
                wait_for(lambda n=node: n.info().get("raft_voters") == "2", "two voters")
            # It neither leads nor disturbs, also after a restart.
            for _ in range(2):
                terms = {node.info()["raft_term"] for node in rest}
                until = time.monotonic() + 4 * ELECTION_S
                while time.monotonic() < until:
                    self.assertNotEqual(leader.info().get("raft_state"), "Leader")
                    self.assertNotEqual(outcome(leader, "SET", "k", "3", timeout=0.3), "OK")
                self.assertEqual({node.info()["raft_term"] for node in rest}, terms)
                leader.kill()
                leader.spawn()
                wait_for(lambda: leader.process.poll() is not None
                         or leader.info().get("raft_state"), "its start")
            self.assertEqual(ask(rest[0], "GET", "k"), "2")

    def test_an_offline_member_is_removed_and_the_quorum_is_smaller(self):
        with Cluster(5, *ELECTION) as cluster:
            leader = cluster.await_leader()
            for node in [n for n in cluster.nodes if n is not leader][:2]:
                node.kill()
                self.assertEqual(ask(leader, "RAFT.REMOVE", node.id, timeout=WAIT_S_MAX), "OK")
                cluster.nodes.remove(node)
                self.addCleanup(node.close)
            self.assertEqual(leader.info()["raft_voters"], "3")
            leader.kill()  # two of three are a majority; of five they would be none
            rest = [node for node in cluster.nodes if node is not leader]
            await_write(rest, "k", "1")

    def test_changes_that_come_at_once_are_made_one_after_the_other(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            fresh = [cluster.add() for _ in range(2)]
            said = {}
            def add(node):
                said[node.id] = outcome(leader, "RAFT.ADD", node.id, node.raft_address,
                                        timeout=WAIT_S_MAX)
            threads = [threading.Thread(target=add, args=(node,)) for node in fresh]
            for thread in threads:
                thread.start()
            seen = set()
            while any(thread.is_alive() for thread in threads):
                info = leader.info()
                seen.add(int(info["raft_voters"]) + int(info["raft_learners"]))
            for thread in threads:
                thread.join()
            self.assertIn("OK", said.values(), said)
            for node in fresh:  # one that had to stand back tries again
                wait_for(lambda n=node: outcome(leader, "RAFT.ADD", n.id, n.raft_address,
                                                timeout=WAIT_S_MAX) == "OK", f"{node.id}: {said}")
            wait_for(lambda: leader.info().get("raft_voters") == "5", "five voters")
            await_write(fresh, "k", "1")
            print(f"     {said}, members seen meanwhile: {sorted(seen)}")


if __name__ == "__main__":
    NETWORK = Network(3, seed=1)
    try:
        unittest.main(verbosity=2)
    finally:
        NETWORK.close()
