"""Goal: a cluster comes back after what took all of it, or most of it.
Method: real processes on loopback.  Their disk forgets what was not synced when they are killed,
and HELIOS_TEST_BOOT_ID makes a restart look like one of the machine."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import program  # noqa: E402

TOOL = os.path.join(os.path.dirname(program()), "helios")
CHANGE_S_MAX = 20

ELECTION = ["--election-timeout", "500ms"]


def ask(node, *words, timeout=10):
    conn = Client(node.port, timeout, node.host)
    try:
        return conn(*words)
    finally:
        conn.close()


def change(cluster, *words):
    """Run a command on the leader until it is taken."""
    until = time.monotonic() + CHANGE_S_MAX
    while True:
        try:
            return ask(cluster.await_leader(), *words)
        except (Error, OSError) as e:
            if time.monotonic() > until:
                raise AssertionError(f"{words}: {e}\n{cluster.describe()}") from None
            time.sleep(0.05)


def boot(nodes, number):
    """The next start of these is one after their machine was booted for the n-th time."""
    for node in nodes:
        node.env["HELIOS_TEST_BOOT_ID"] = f"{number:032x}"


class PowerFailure(unittest.TestCase):
    """Under `interval` a node that was booted may have forgotten what it promised."""

    def cluster(self, count):
        cluster = Cluster(count, *ELECTION, "--sync-mode", "interval", disk="forgets",
                          env={"HELIOS_TEST_BOOT_ID": f"{1:032x}"})
        self.addCleanup(cluster.close)
        return cluster

    def fail_power(self, cluster, number):
        for node in cluster.nodes:
            node.process.kill()
        for node in cluster.nodes:
            node.kill()
        boot(cluster.nodes, number)

    def write(self, cluster):
        """Keys that are synced, and then some that may not be."""
        leader = cluster.await_leader()
        for node in cluster.nodes:
            ask(node, "CONFIG", "SET", "appendfsync", "always")
        for n in range(50):
            ask(leader, "SET", f"kept{n}", n)
        for node in cluster.nodes:
            ask(node, "CONFIG", "SET", "appendfsync", "everysec")
        for n in range(50):
            ask(leader, "SET", f"fresh{n}", n)

    def await_unbarred(self, cluster):
        cluster.await_leader()
        cluster.await_equal()
        for node in cluster.nodes:
            cluster.await_info(node, "votes again", lambda info: info.get("raft_barred") == "0")

    def check_kept(self, cluster):
        for node in cluster.nodes:
            self.assertEqual([ask(node, "GET", f"kept{n}") for n in range(50)],
                             [str(n) for n in range(50)], node.id)

    def test_all_nodes_lose_power_at_once_and_come_back_by_themselves(self):
        cluster = self.cluster(3)
        self.write(cluster)
        for number in (2, 3):
            self.fail_power(cluster, number)
            cluster.start_all()
            self.await_unbarred(cluster)
            self.check_kept(cluster)
            self.assertEqual(ask(cluster.await_leader(), "SET", "k", number), "OK")
        for node in cluster.nodes:
            self.assertIn("was booted since the last run", node.log())

    def test_of_two_voters_one_may_lose_power(self):
        cluster = self.cluster(2)
        self.write(cluster)
        booted = cluster.nodes[1]
        booted.kill()
        boot([booted], 2)
        booted.start()
        self.await_unbarred(cluster)
        self.check_kept(cluster)
        for n in range(50):  # nothing is lost that the other still has
            self.assertEqual(ask(booted, "GET", f"fresh{n}"), str(n))

    def test_a_booted_node_and_one_that_has_less_elect_nobody(self):
        cluster = self.cluster(3)
        leader = cluster.await_leader()
        behind = next(node for node in cluster.nodes if node is not leader)
        booted = next(node for node in cluster.nodes if node not in (leader, behind))
        behind.pause()
        self.write(type("pair", (), {"nodes": [leader, booted], "await_leader": lambda: leader}))
        self.fail_power(cluster, 1)
        boot([booted], 2)
        booted.start()
        behind.start()
        elected = lambda info: info.get("raft_state") == "Leader"  # noqa: E731
        with self.assertRaises(AssertionError):
            cluster.await_info(behind, "leads", elected, seconds=3)
        self.assertFalse(elected(booted.info()))
        leader.start()
        self.await_unbarred(cluster)
        self.check_kept(cluster)


class LostMajority(unittest.TestCase):
    """One node of three is left, and becomes a cluster of its own."""

    def recover(self, node, *more, **how):
        return subprocess.run([TOOL, "recover", "--data-dir", node.dir, *more],
                              capture_output=True, text=True, timeout=60, check=False, **how)

    def lose_majority(self, cluster):
        """Nodes 2 and 3 are gone; the first is left without a quorum."""
        left, *lost = cluster.nodes
        ask(cluster.await_leader(), "SET", "k", "v")
        cluster.await_equal()
        for node in lost:
            node.kill()
        cluster.await_info(left, "misses its leader", lambda info: info.get("raft_leader") == "")
        with self.assertRaises(Error) as refused:
            ask(left, "SET", "k", "w")
        self.assertRegex(str(refused.exception), "^(NOQUORUM|NOLEADER|CLUSTERDOWN)")
        return left, lost

    def refuses_to_recover(self, node, words, *more, **how):
        done = self.recover(node, *more, **how)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(words, done.stderr)

    def test_the_last_node_becomes_a_cluster_of_its_own(self):
        with Cluster(3, *ELECTION) as cluster:
            left, lost = self.lose_majority(cluster)
            cluster.await_info(left, "says what to do", lambda info: "helios recover" in left.log())
            self.refuses_to_recover(left, "a server runs", "--force-new-cluster", "--yes")
            left.kill()
            self.refuses_to_recover(left, "must be asked for", "--yes")
            self.refuses_to_recover(left, "not confirmed", "--force-new-cluster", input="no\n")
            self.refuses_to_recover(left, "not confirmed", "--force-new-cluster", input="")
            done = self.recover(left, "--force-new-cluster", input=left.id + "\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            for words in (lost[0].id, "is no member any more", "new cluster id",
                          f"RAFT.ADD {lost[1].id} {lost[1].raft_address}"):
                self.assertIn(words, done.stdout)
            cluster.nodes = [left]
            left.start()
            self.assertEqual(ask(left, "GET", "k"), "v")
            self.assertEqual(ask(left, "SET", "k", "w"), "OK")
            self.stranger(cluster, left, lost[0])
            for node in (cluster.add(), cluster.add()):
                change(cluster, "RAFT.ADD", node.id, node.raft_address)
            cluster.await_info(left, "has three voters",
                               lambda info: info.get("raft_voters") == "3")
            cluster.await_equal()
            for node in cluster.nodes:
                self.assertEqual(ask(node, "GET", "k"), "w")
            for node in lost:
                node.close()

    def stranger(self, cluster, left, old):
        """One of the lost comes back with its old data: it is told why nobody listens."""
        old.start()
        self.addCleanup(old.close)
        cluster.await_info(left, "refuses the old member",
                           lambda info: "it belongs to another cluster" in left.log())
        cluster.await_info(old, "is told", lambda info: "another cluster" in old.log())
        self.assertEqual(ask(left, "GET", "k"), "w")
        old.kill()

    def test_a_node_that_has_dropped_its_log_can_be_recovered_and_joined(self):
        with Cluster(3, *ELECTION) as cluster:
            left, lost = self.lose_majority(cluster)
            left.kill()
            for node in lost:
                node.close()
            cluster.nodes = [left]
            self.assertEqual(self.recover(left, "--force-new-cluster", "--yes").returncode, 0)
            left.start()
            ask(left, "SAVE")  # the log before it goes: whoever joins is sent the snapshot
            left.kill()
            again = self.recover(left, "--force-new-cluster", "--yes")
            self.assertEqual(again.returncode, 0, again.stderr)
            left.start()
            fresh = cluster.add()
            change(cluster, "RAFT.ADD", fresh.id, fresh.raft_address)
            cluster.await_equal()
            self.assertEqual(ask(fresh, "GET", "k"), "v")

    def test_what_is_not_a_node_is_not_recovered(self):
        with tempfile.TemporaryDirectory(prefix="helios-test-") as empty:
            done = subprocess.run([TOOL, "recover", f"--data-dir={empty}", "--force-new-cluster",
                                   "--yes"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(os.listdir(empty), [])
        done = subprocess.run([TOOL, "recover", "--help"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn("majority", done.stdout)


class Snapshots(unittest.TestCase):
    """A node's own snapshot, and one that another node sends."""

    def test_a_snapshot_is_made_when_asked_for_and_says_where(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            follower = next(node for node in cluster.nodes if node is not leader)
            for n in range(100):
                ask(leader, "SET", f"k{n}", n)
            cluster.await_equal()
            for node in (leader, follower):
                said = ask(node, "RAFT.SNAPSHOT")
                said = dict(zip(said[::2], said[1::2]))
                info = node.info()
                self.assertEqual(str(said["index"]), info["raft_snapshot_index"])
                self.assertEqual(str(said["term"]), info["raft_snapshot_term"])
                self.assertGreaterEqual(said["index"], 100)
                again = ask(node, "RAFT.SNAPSHOT")  # nothing has happened since
                self.assertEqual(again[1], said["index"])
            for node in cluster.nodes:
                if node is not leader:
                    node.kill()
            conn = Client(leader.port, 30)
            self.addCleanup(conn.close)
            conn.send("SET", "uncommitted", 1)
            cluster.await_info(leader, "has what nobody else has", lambda info: int(
                info["raft_last_log_index"]) > int(info["raft_commit_index"]))
            with self.assertRaises(Error) as refused:
                ask(leader, "RAFT.SNAPSHOT", timeout=30)
            self.assertIn("NOQUORUM", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
