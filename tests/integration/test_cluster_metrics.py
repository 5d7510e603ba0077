#!/usr/bin/env python3
"""Goal: in a cluster the metrics of consensus are true and move: terms, leaders, how far each node
is and how far the others are behind; and a node that has lost its majority serves the page.
Method: three nodes with the module, a follower that stands still, leaders that are killed.
"""
import os
import re
import signal
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
        self.cluster = Cluster(3, "--loadmodule", MODULE, "--metrics.listen", "127.0.0.1:0",
                               "--log-segment-size", "65536")
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

    def test_answers_of_the_others_are_timed_and_missed(self):
        """raft_peer_* and raft_cluster_*, at a leader whose follower is killed and comes back."""
        victim = self.others()[0]
        peer = {"peer_id": victim.id}
        good = {**peer, "rpc_type": "append_entries", "result": "success"}
        before = self.page(self.leader)
        self.assertEqual(before.get("raft_cluster_healthy_peers"), 2)
        self.assertEqual(before.get("raft_cluster_unhealthy_peers"), 0)
        self.assertEqual(before.get("raft_peer_healthy", **peer), 1)
        self.write(20)
        times = {**peer, "rpc_type": "append_entries"}
        for name, labels in (("raft_peer_rpc_total", good),
                             ("raft_peer_latency_seconds_count", times),
                             ("raft_peer_latency_seconds_sum", times)):
            eventually(lambda: self.page(self.leader).get(name, **labels) >
                       (before.get(name, **labels) or 0))
        victim.kill()
        eventually(lambda: self.page(self.leader).get("raft_peer_healthy", **peer) == 0)
        page = self.page(self.leader)
        self.assertEqual(page.get("raft_cluster_healthy_peers"), 1)
        self.assertEqual(page.get("raft_cluster_unhealthy_peers"), 1)
        eventually(lambda: self.page(self.leader).get("raft_peer_last_contact_seconds",
                                                      **peer) > 1)
        self.assertLess(page.get("raft_peer_last_contact_seconds",
                                 peer_id=self.others()[1].id), 1)
        victim.start()
        eventually(lambda: self.page(self.leader).get("raft_peer_healthy", **peer) == 1)
        eventually(lambda: self.page(self.leader).get("raft_peer_consecutive_errors", **peer) == 0)

    def test_a_follower_that_does_not_answer_makes_errors(self):
        """raft_peer_consecutive_errors and the errors of raft_peer_rpc_total."""
        slow = self.others()[0]
        failed = {"peer_id": slow.id, "result": "error"}
        before = self.page(self.leader).total("raft_peer_rpc_total", **failed) or 0
        slow.pause()
        eventually(lambda: self.page(self.leader).get("raft_peer_consecutive_errors",
                                                      peer_id=slow.id) > 0)
        self.assertGreater(self.page(self.leader).total("raft_peer_rpc_total", **failed), before)
        slow.resume()
        eventually(lambda: self.page(self.leader).get("raft_peer_consecutive_errors",
                                                      peer_id=slow.id) == 0)

    def test_the_life_of_a_node_is_told(self):
        """raft_node_*: a leader is killed and comes back, then it is alone."""
        first, heir = self.leader, None
        before = {n.id: self.page(n) for n in self.cluster.nodes}
        for name in ("uptime_seconds", "total_uptime_seconds", "mtbf_seconds"):
            eventually(lambda: self.page(first).get(f"raft_node_{name}") >
                       before[first.id].get(f"raft_node_{name}"))
        eventually(lambda: self.page(first).get("raft_node_leader_time_seconds") >
                   before[first.id].get("raft_node_leader_time_seconds"))
        other = self.others()[0]
        eventually(lambda: self.page(other).get("raft_node_follower_time_seconds") >
                   before[other.id].get("raft_node_follower_time_seconds"))
        first.kill()
        self.leader = heir = self.cluster.await_leader()
        for name in ("elections_total", "terms_as_leader_total", "leadership_ratio"):
            eventually(lambda: self.page(heir).get(f"raft_node_{name}") >
                       before[heir.id].get(f"raft_node_{name}"))
        first.start()
        self.find_port(first)
        page = self.page(first)
        for name in ("sessions", "restarts", "crashes"):
            self.assertEqual(page.get(f"raft_node_{name}_total"),
                             before[first.id].get(f"raft_node_{name}_total") + 1, name)
        self.assertGreater(page.get("raft_node_total_downtime_seconds"), 0)
        for period in ("24h", "7d", "30d", "all"):
            self.assertLess(page.get("raft_node_uptime_percentage", period=period), 100)
        for node in self.cluster.nodes:
            if node is not other:
                node.kill()
        port = self.ports[other.id]
        eventually(lambda: scrape(port).get("raft_node_candidate_time_seconds") >
                   before[other.id].get("raft_node_candidate_time_seconds"))

    def test_snapshots_are_told(self):
        """raft_snapshot_*: one is made, another one's child is killed."""
        def value(name, **labels):
            return self.page(self.leader).get(f"raft_snapshot{name}", **labels)
        self.write(50)
        before = {name: value(name) or 0 for name in (
            "_index", "_bytes_written_total", "_entries_compacted_total", "_errors_total")}
        self.assertEqual(value("_age_seconds"), 0)
        with Client(self.leader.port, timeout=60) as c:
            c("SAVE")
            eventually(lambda: value("s_on_disk") == 1)
            self.assertGreater(value("_index"), before["_index"])
            for name in ("_size_bytes", "_term"):
                self.assertGreater(value(name), 0, name)
            self.assertGreater(value("_bytes_written_total"), before["_bytes_written_total"])
            self.assertEqual(value("_total", type="created"), 1)
            self.assertEqual(value("_duration_seconds_count", operation="create"), 1)
            self.assertGreater(value("_duration_seconds_sum", operation="create"), 0)
            eventually(lambda: value("_age_seconds") > 0)
            for _ in range(3):  # the log ends with whole files
                c("SET", "large", "x" * 50000)
                c("RAFT.SNAPSHOT")
            self.assertGreater(value("_entries_compacted_total"),
                               before["_entries_compacted_total"])
            for i in range(100):  # so that a child has something to do
                c("MSET", *(w for j in range(500) for w in (f"k{i}-{j}", "x" * 300)))
            for _ in range(20):
                c("BGSAVE")
                child = re.findall(r"Background saving started by pid (\d+)", self.leader.log())[-1]
                try:
                    os.kill(int(child), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it was faster
                eventually(lambda: value("_errors_total") > before["_errors_total"])
                break
        self.assertGreater(value("_errors_total"), before["_errors_total"])
        self.assertGreater(self.page(self.leader).get("helios_snapshot_failures_total"), 0)


if __name__ == "__main__":
    unittest.main()
