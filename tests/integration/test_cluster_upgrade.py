#!/usr/bin/python3
"""Goal: a rolling upgrade can be taken back until it is finalized, and nothing is written before
that some member cannot read.

Method: a cluster of real servers that pretend to be older or newer builds
(HELIOS_TEST_FEATURE_LEVEL).
"""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S  # noqa: E402

WAIT_S_MAX = 20
LEVER = "HELIOS_TEST_FEATURE_LEVEL"


def wait_for(condition, what):
    until = time.monotonic() + WAIT_S_MAX
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come")
        time.sleep(STEP_S)


class Upgrade(unittest.TestCase):
    def run_at(self, node, level):
        node.kill()
        node.env[LEVER] = str(level)
        node.spawn()

    def finalize(self, cluster):
        c = Client(cluster.await_leader().port, timeout=WAIT_S_MAX)
        try:
            c.send("RAFT.FINALIZE")
            return c.read()
        finally:
            c.close()

    def finalized(self, cluster, level):
        """RAFT.FINALIZE, once every member was connected again."""
        def done():
            self.last = self.finalize(cluster)
            return self.last == level
        wait_for(done, f"level {level}")

    def test_a_rolling_upgrade(self):
        with Cluster(3, env={LEVER: "1"}) as cluster:
            for node in cluster.nodes:
                self.assertEqual(node.info()["raft_feature_level"], "1")
            for node in cluster.nodes[:2]:
                self.run_at(node, 2)
                node.await_ready()
                cluster.await_leader()
            wait_for(lambda: "upgrade it" in str(self.finalize(cluster)), "the refusal")
            self.assertIn("node-3", str(self.finalize(cluster)))
            self.assertEqual({n.info()["raft_feature_level"] for n in cluster.nodes}, {"1"})
            self.run_at(cluster.nodes[0], 1)  # taken back
            cluster.nodes[0].await_ready()
            for node in (cluster.nodes[0], cluster.nodes[2]):
                self.run_at(node, 2)
                node.await_ready()
                cluster.await_leader()
            self.finalized(cluster, 2)
            for node in cluster.nodes:
                wait_for(lambda n=node: n.info().get("raft_feature_level") == "2",
                         f"level 2 at {node.id}")
            self.too_old(cluster, cluster.nodes[1])
            self.not_added(cluster)

    def too_old(self, cluster, node):
        """What was finalized cannot be taken back: the old build says why it does not work."""
        self.run_at(node, 1)
        wait_for(lambda: "needs feature level 2" in node.log(), "the reason")
        self.assertIn("upgrade it", node.log())
        writer = Client(cluster.await_leader().port, timeout=WAIT_S_MAX)
        self.assertEqual(writer("SET", "k", "the others go on"), "OK")
        writer.close()
        self.run_at(node, 2)
        node.await_ready()
        reader = Client(node.port, timeout=WAIT_S_MAX)
        wait_for(lambda: not isinstance(self.ask(reader, "GET", "k"), Error), "its answers")
        self.assertEqual(self.ask(reader, "GET", "k"), "the others go on")
        reader.close()

    @staticmethod
    def ask(client, *words):
        client.send(*words)
        return client.read()

    def not_added(self, cluster):
        node = cluster.add()
        self.run_at(node, 1)
        node.await_ready()
        c = Client(cluster.await_leader().port, timeout=WAIT_S_MAX)
        self.assertIn("upgrade it first", c.error("RAFT.ADD", node.id, node.raft_address))
        c.close()


if __name__ == "__main__":
    unittest.main()
