#!/usr/bin/env python3
"""Goal: in a cluster the metrics of consensus are true and move: terms, leaders, how far each node
is and how far the others are behind; and a node that has lost its majority serves the page.
Method: three nodes with the module, a follower that stands still, leaders that are killed.
"""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from http_support import eventually  # noqa: E402
from metrics_support import metrics_port, scrape  # noqa: E402
from resp_client import Client  # noqa: E402

MODULE = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules/metrics.so")


class Metrics(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, "--loadmodule", MODULE, "--metrics.listen", "127.0.0.1:0")
        self.addCleanup(self.cluster.close)
        self.leader = self.cluster.await_leader()
        self.ports = {}
        for node in self.cluster.nodes:
            self.find_port(node)

    def find_port(self, node):
        self.ports[node.id] = metrics_port(node.port)

    def page(self, node):
        return scrape(self.ports[node.id])

    def write(self, count):
        with Client(self.leader.port) as c:
            for i in range(count):
                c("SET", f"k{i}", "x")

    def others(self):
        return [n for n in self.cluster.nodes if n is not self.leader]

    def test_one_leads_and_all_count(self):
        self.write(20)
        eventually(lambda: len({self.page(n).get("raft_commit_index")
                                for n in self.cluster.nodes}) == 1)
        pages = {n.id: self.page(n) for n in self.cluster.nodes}
        self.assertEqual([p.get("raft_is_leader") for p in pages.values()].count(1), 1)
        self.assertEqual(pages[self.leader.id].get("raft_is_leader"), 1)
        self.assertEqual(len({p.get("raft_term") for p in pages.values()}), 1)
        for page in pages.values():
            self.assertEqual(page.get("raft_members"), 3)
            self.assertGreaterEqual(page.get("raft_leader_changes_total"), 1)
            self.assertGreaterEqual(page.get("helios_log_entries_total"), 20)
            self.assertGreater(page.get("atlas_aof_bytes_total"), 20)
            self.assertGreater(page.get("helios_log_sync_duration_seconds_count"), 0)
            self.assertEqual(page.get("atlas_store_keys"), 20)
        self.assertGreater(pages[self.leader.id].get("helios_commit_duration_seconds_count"), 0)
        for node in self.others():
            self.assertIsNone(pages[node.id].total("raft_peer_lag_entries"))

    def test_a_follower_that_stands_still_falls_behind_and_comes_back(self):
        slow = self.others()[0]
        eventually(lambda: self.page(self.leader).total("raft_peer_lag_entries") == 0)
        slow.pause()
        self.write(60)
        lag = self.page(self.leader).get("raft_peer_lag_entries", peer_id=slow.id)
        self.assertGreaterEqual(lag, 60)
        slow.resume()
        eventually(lambda: self.page(self.leader).get("raft_peer_lag_entries",
                                                      peer_id=slow.id) == 0)

    def test_leaders_that_change_are_counted_and_a_minority_still_serves_the_page(self):
        before = {n.id: self.page(n) for n in self.others()}
        survivors = self.others()
        self.leader.kill()
        self.leader = self.cluster.await_leader()
        for node in survivors:
            eventually(lambda n=node: self.page(n).get("raft_leader_changes_total") >
                       before[n.id].get("raft_leader_changes_total"))
            self.assertGreater(self.page(node).get("raft_term"), before[node.id].get("raft_term"))
        self.leader.kill()
        last = next(n for n in survivors if n is not self.leader)
        self.assertEqual(self.page(last).get("raft_is_leader"), 0)
        term = self.page(last).get("raft_term")
        self.assertEqual(self.page(last).get("raft_members"), 3)
        self.assertGreaterEqual(self.page(last).get("raft_term"), term)


if __name__ == "__main__":
    unittest.main()
