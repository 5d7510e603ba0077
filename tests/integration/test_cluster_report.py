#!/usr/bin/python3
"""Goal: what operators are told of a node and its group is true, on one node and on three:
latencies, offices and restarts, snapshots, events, and what a reload of the settings would do.

Method: real servers; something is done to them (a kill, a stop in order, a snapshot, a node added
and removed, a line changed in the file) and the figures are looked at before and after.
"""
import os
import re
import socket
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import BUILD, Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import Server, wait_for  # noqa: E402

WAIT_S_MAX = 20


def ask(node, *words):
    """One command in RESP3, so that maps are dicts."""
    client = Client(node.port, timeout=WAIT_S_MAX)
    try:
        client("HELLO", "3")
        return client(*words)
    finally:
        client.close()


def error(node, *words):
    try:
        ask(node, *words)
    except Error as e:
        return str(e)
    return None


class OnOneNode(unittest.TestCase):
    def setUp(self):
        self.server = Server("--enable-debug-command", "yes")
        self.addCleanup(self.server.close)

    def test_a_server_alone_leads_and_has_no_peers(self):
        report = ask(self.server, "RAFT.REPORT")
        self.assertEqual(report["node"]["state"], "Leader")
        self.assertTrue(report["leader"]["is_leader"])
        self.assertFalse(report["node"]["raft_enabled"])
        self.assertEqual(report["peers"], [])
        self.assertEqual(report["cluster_health"]["total_peers"], 0)
        latency = ask(self.server, "RAFT.LATENCY")
        self.assertEqual(latency["peers"], {})
        self.assertEqual(latency["health_summary"], {"healthy": 0, "unhealthy": 0, "total": 0})
        self.assertIn("no such member", error(self.server, "RAFT.LATENCY", "PEER", "node-9"))

    def test_without_a_log_it_leads_too(self):
        server = Server("--appendonly", "no")
        self.addCleanup(server.close)
        self.assertEqual(ask(server, "RAFT.REPORT")["node"]["state"], "Leader")

    def test_a_kill_is_a_crash_and_a_stop_is_none(self):
        first = ask(self.server, "RAFT.UPTIME")
        self.assertEqual((first["total_sessions"], first["crashes"], first["restarts"]), (1, 0, 0))
        self.assertEqual(first["terms_as_leader"], 1)
        path = os.path.join(self.server.dir, "uptime")
        wait_for(lambda: os.path.exists(path), WAIT_S_MAX, "the file")
        self.server.restart()  # kill -9
        second = ask(self.server, "RAFT.UPTIME")
        self.assertEqual((second["total_sessions"], second["crashes"], second["restarts"]),
                         (2, 1, 1))
        self.server.stop()
        self.server.start()
        third = ask(self.server, "RAFT.UPTIME")
        self.assertEqual((third["total_sessions"], third["crashes"], third["restarts"]), (3, 1, 2))
        history = ask(self.server, "RAFT.UPTIME", "HISTORY", "100", "50")
        self.assertEqual([s["crashed"] for s in history["recent_sessions"]], [True, False])
        self.assertEqual(len(ask(self.server, "RAFT.UPTIME", "HISTORY", "1", "1")
                             ["recent_sessions"]), 1)
        self.assertEqual(history["stats"]["total_sessions"], 3)
        self.assertEqual(ask(self.server, "RAFT.UPTIME", "RESET"), "OK")
        self.assertEqual(ask(self.server, "RAFT.UPTIME")["total_sessions"], 1)

    def test_a_start_that_fails_is_neither_a_session_nor_a_crash(self):
        self.server.stop()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.server.port))
            taken.listen()
            self.server.spawn()
            self.assertNotEqual(self.server.process.wait(WAIT_S_MAX), 0)
        self.server.start()
        got = ask(self.server, "RAFT.UPTIME")
        self.assertEqual((got["total_sessions"], got["crashes"]), (2, 0))

    def test_a_torn_file_costs_the_history_and_nothing_else(self):
        self.server.restart()
        self.server.stop()
        path = os.path.join(self.server.dir, "uptime")
        with open(path, "r+b") as f:
            f.truncate(20)
        self.server.start()
        self.assertEqual(ask(self.server, "RAFT.UPTIME")["total_sessions"], 1)
        self.assertIn("begins anew", self.server.log())

    def test_snapshots_are_counted(self):
        none = ask(self.server, "RAFT.SNAPSHOTS")
        self.assertFalse(none["has_snapshot"])
        self.assertIn("message", none)
        for i in range(50):
            ask(self.server, "SET", f"k{i}", os.urandom(100))
        ask(self.server, "RAFT.SNAPSHOT")
        one = ask(self.server, "RAFT.SNAPSHOTS")
        self.assertTrue(one["has_snapshot"])
        self.assertEqual((one["total_created"], one["snapshots_on_disk"]), (1, 1))
        self.assertGreater(one["latest_snapshot_size_bytes"], 5000)
        self.assertGreater(one["total_bytes_written"], 5000)
        history = ask(self.server, "RAFT.SNAPSHOTS", "HISTORY")
        self.assertEqual([e["type"] for e in history["events"]], ["created"])
        self.assertEqual(history["snapshots"][0]["index"], one["latest_snapshot_index"])
        self.server.restart()
        again = ask(self.server, "RAFT.SNAPSHOTS")
        self.assertEqual((again["total_created"], again["total_restores"]), (0, 1))
        self.assertTrue(again["has_snapshot"])
        self.assertEqual(ask(self.server, "RAFT.SNAPSHOTS", "RESET"), "OK")
        self.assertEqual(ask(self.server, "RAFT.SNAPSHOTS")["total_restores"], 0)

    def test_what_makes_no_sense_is_refused(self):
        for words in (("LATENCY", "PEER"), ("LATENCY", "x"), ("UPTIME", "HISTORY", "-1"),
                      ("UPTIME", "HISTORY", "x"), ("UPTIME", "HISTORY", "1", "2", "3"),
                      ("SNAPSHOTS", "HISTORY", "1", "101"), ("SNAPSHOTS", "now"),
                      ("EVENTS", "SINCE"), ("EVENTS", "SINCE", "-1"), ("EVENTS", "COUNT", "999"),
                      ("EVENTS", "x", "1"), ("REPORT", "x")):
            self.assertIsNotNone(error(self.server, "RAFT." + words[0], *words[1:]), words)
        self.assertEqual(ask(self.server, "PING"), "PONG")

    def test_events_are_told_once(self):
        events = ask(self.server, "RAFT.EVENTS")
        self.assertEqual(events["events"][0]["type"], "started")
        self.assertEqual(events["events"][-1]["number"], events["newest"])
        later = ask(self.server, "RAFT.EVENTS", "SINCE", str(events["newest"]))
        self.assertEqual(later["events"], [])
        lost = ask(self.server, "RAFT.EVENTS", "SINCE", "999999", "COUNT", "1")
        self.assertEqual(lost["events"][0]["number"], 1, "a number of an earlier life")


class Reload(unittest.TestCase):
    def setUp(self):
        self.server = Server.__new__(Server)
        self.server.prepare([], None, None)
        self.addCleanup(self.server.close)
        self.path = os.path.join(self.server.dir, "helios.conf")
        self.write("maxclients 500", "requirepass hush-of-the-file")
        self.server.flags = ["--config", self.path]
        self.server.start()
        self.client = Client(self.server.port, timeout=WAIT_S_MAX)
        self.addCleanup(self.client.close)
        self.client("HELLO", "3", "AUTH", "default", "hush-of-the-file")

    def write(self, *lines):
        with open(self.path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def test_what_differs_is_told_before_it_is_taken_and_secrets_never(self):
        c = self.client
        self.assertEqual(c("CONFIG", "DIFF"), [])
        self.write("maxclients 600", "requirepass another-hush")
        found = {d["field"]: d for d in c("CONFIG", "DIFF")}
        self.assertEqual(set(found), {"maxclients", "requirepass"})
        self.assertEqual((found["maxclients"]["file_value"], found["maxclients"]["live_value"]),
                         ("600", "500"))
        self.assertNotIn("hush", str(found))
        self.assertNotIn("hush", str(c("CONFIG", "EXPORT")))
        self.assertEqual(c("CONFIG", "EXPORT")["maxclients"], "500")
        self.write("maxclients 600", "requirepass hush-of-the-file")
        first = c("CONFIG", "RELOAD")
        self.assertEqual((first["changed"], first["reload_count"]), (1, 1))
        self.assertEqual(c("CONFIG", "GET", "maxclients"), {"maxclients": "600"})
        self.assertEqual(c("CONFIG", "RELOAD")["reload_count"], 2)
        self.assertEqual(c("CONFIG", "DIFF"), [])

    def test_a_setting_that_cannot_change_refuses_the_whole(self):
        c = self.client
        self.write("maxclients 700", "requirepass hush-of-the-file", "databases 99")
        found = {d["field"]: d["immutable"] for d in c("CONFIG", "DIFF")}
        self.assertEqual(found, {"maxclients": False, "databases": True})
        for _ in range(2):
            self.assertIn("databases", c.error("CONFIG", "RELOAD"))
        self.assertEqual(c("CONFIG", "GET", "maxclients"), {"maxclients": "500"})
        self.write("maxclients 700", "no-such-setting 1")
        self.assertIn("no-such-setting", c.error("CONFIG", "RELOAD"))
        self.assertEqual(c("CONFIG", "GET", "maxclients"), {"maxclients": "500"})

    def test_without_a_file_there_is_nothing_to_read(self):
        server = Server()
        self.addCleanup(server.close)
        self.assertIn("without a config file", error(server, "CONFIG", "RELOAD"))
        self.assertIn("without a config file", error(server, "CONFIG", "DIFF"))


class OnThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3, "--log-segment-size", "65536")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        self.cluster.start_all()
        self.leader = self.cluster.await_leader()
        self.follower = next(n for n in self.cluster.nodes if n is not self.leader)

    def latency(self, node, peer):
        return ask(node, "RAFT.LATENCY", "PEER", peer.id)

    def test_the_leader_knows_how_fast_the_others_answer(self):
        for peer in self.cluster.nodes:
            if peer is not self.leader:
                wait_for(lambda p=peer: self.latency(self.leader, p)["append_entries"]["count"] > 5,
                         WAIT_S_MAX, f"answers of {peer.id}")
                got = self.latency(self.leader, peer)
                series = got["append_entries"]
                self.assertLessEqual(series["min_value_ms"], series["p50_value_ms"])
                self.assertLessEqual(series["p50_value_ms"], series["p99_value_ms"])
                self.assertLessEqual(series["p99_value_ms"], series["max_value_ms"])
                self.assertGreater(series["max_value_ms"], 0)
                self.assertTrue(got["reachable"] and got["connection_healthy"])
                self.assertGreater(got["last_contact_unix"], 1700000000)
        self.assertEqual(ask(self.leader, "RAFT.LATENCY")["health_summary"],
                         {"healthy": 2, "unhealthy": 0, "total": 2})
        self.assertEqual(ask(self.leader, "RAFT.LATENCY", "RESET"), "OK")
        report = ask(self.leader, "RAFT.REPORT")
        self.assertEqual(len(report["peers"]), 2)
        self.assertIn("match_index", report["peers"][0])
        self.assertNotIn("match_index", ask(self.follower, "RAFT.REPORT")["peers"][0])
        self.assertEqual(ask(self.follower, "RAFT.REPORT")["leader"]["id"], self.leader.id)

    def test_a_dead_node_is_unhealthy_and_errors_are_counted_until_it_is_back(self):
        self.follower.kill()
        wait_for(lambda: ask(self.leader, "RAFT.LATENCY")["health_summary"]["unhealthy"] == 1,
                 WAIT_S_MAX, "the dead node to be missed")
        self.assertFalse(self.latency(self.leader, self.follower)["connection_healthy"])
        self.follower.start()
        wait_for(lambda: ask(self.leader, "RAFT.LATENCY")["health_summary"]["healthy"] == 2,
                 WAIT_S_MAX, "the node to be back")
        self.assertGreaterEqual(ask(self.follower, "RAFT.UPTIME")["crashes"], 1)

    def test_a_silent_node_costs_errors(self):
        before = self.latency(self.leader, self.follower)["aggregated"]["error_count"]
        self.follower.pause()
        try:
            wait_for(lambda: self.latency(self.leader, self.follower)["aggregated"]["error_count"]
                     > before, WAIT_S_MAX, "an error")
            wait_for(lambda: not self.latency(self.leader, self.follower)["connection_healthy"],
                     WAIT_S_MAX, "the silent node to be unhealthy")
        finally:
            self.follower.resume()
        wait_for(lambda: self.latency(self.leader, self.follower)["connection_healthy"],
                 WAIT_S_MAX, "the node to be well")
        self.assertEqual(self.latency(self.leader, self.follower)["consecutive_errors"], 0)

    def test_another_leader_is_an_event_and_an_election(self):
        before = {n.id: ask(n, "RAFT.EVENTS")["newest"] for n in self.cluster.nodes}
        ask(self.leader, "RAFT.TRANSFER", self.follower.id)
        self.assertIs(self.cluster.await_leader(), self.follower)
        changes = [(e["old_state"], e["new_state"])
                   for e in ask(self.follower, "RAFT.EVENTS", "SINCE", before[self.follower.id])
                   ["events"] if e["type"] == "state_changed"]
        self.assertEqual(changes[-1], ("Candidate", "Leader"))
        changes = [(e["old_state"], e["new_state"])
                   for e in ask(self.leader, "RAFT.EVENTS", "SINCE", before[self.leader.id])
                   ["events"] if e["type"] == "state_changed"]
        self.assertEqual(changes, [("Leader", "Follower")])
        uptime = ask(self.follower, "RAFT.UPTIME")
        self.assertGreaterEqual(uptime["elections"], 1)
        self.assertGreaterEqual(uptime["terms_as_leader"], 1)
        wait_for(lambda: ask(self.follower, "RAFT.UPTIME")["leader_time_ms"] > 0, WAIT_S_MAX,
                 "time as a leader")
        votes = [self.latency(self.follower, n)["request_vote"]["count"]
                 for n in self.cluster.nodes if n is not self.follower]
        self.assertGreaterEqual(sum(votes), 1)

    def test_a_node_that_comes_and_goes_is_seen_everywhere(self):
        for i in range(30):
            ask(self.leader, "SET", f"key{i}", "x" * 1000)
        before = {n.id: ask(n, "RAFT.EVENTS")["newest"] for n in self.cluster.nodes}
        old = list(self.cluster.nodes)
        fresh = self.cluster.add()

        def seen(node, kind):
            return any(e["type"] == kind and e["peer_id"] == fresh.id
                       for e in ask(node, "RAFT.EVENTS", "SINCE", before[node.id])["events"])
        try:
            ask(self.leader, "RAFT.ADD", fresh.id, fresh.raft_address)
            for kind in ("peer_added", "peer_promoted"):
                for node in old:
                    wait_for(lambda n=node, k=kind: seen(n, k), WAIT_S_MAX, f"{kind} at {node.id}")
            ask(self.cluster.await_leader(), "RAFT.REMOVE", fresh.id)
            for node in old:
                wait_for(lambda n=node: seen(n, "peer_removed"), WAIT_S_MAX,
                         f"peer_removed at {node.id}")
        finally:
            self.cluster.nodes.remove(fresh)
            fresh.close()

    def test_a_node_that_lost_its_disk_is_sent_a_snapshot(self):
        ask(self.leader, "SET", "large", os.urandom(500000))
        for i in range(3):
            ask(self.leader, "SET", f"key{i}", "x" * 50000)
            ask(self.leader, "RAFT.SNAPSHOT")
        before = ask(self.leader, "RAFT.SNAPSHOTS")
        self.assertGreaterEqual(before["total_created"], 3)
        self.assertGreater(before["total_entries_compacted"], 0)
        fresh = self.cluster.add()
        try:
            ask(self.leader, "RAFT.ADD", fresh.id, fresh.raft_address)
            wait_for(lambda: fresh.info().get("raft_state") == "Follower", WAIT_S_MAX,
                     "the new node to follow")
            got = ask(fresh, "RAFT.SNAPSHOTS")
            self.assertEqual((got["total_received"], got["total_restores"]), (1, 1))
            self.assertGreater(got["total_bytes_written"], 500000)
            wait_for(lambda: ask(self.leader, "RAFT.SNAPSHOTS")["total_sent"]
                     == before["total_sent"] + 1, WAIT_S_MAX, "word that it was sent")
            self.assertEqual(self.latency(self.leader, fresh)["install_snapshot"]["count"], 1)
        finally:
            ask(self.cluster.await_leader(), "RAFT.REMOVE", fresh.id)
            self.cluster.nodes.remove(fresh)
            fresh.close()


METRICS = [
    "raft_peer_latency_seconds", "raft_peer_rpc_total", "raft_peer_healthy",
    "raft_peer_last_contact_seconds", "raft_peer_consecutive_errors", "raft_cluster_healthy_peers",
    "raft_cluster_unhealthy_peers", "raft_node_uptime_seconds", "raft_node_total_uptime_seconds",
    "raft_node_total_downtime_seconds", "raft_node_uptime_percentage", "raft_node_sessions_total",
    "raft_node_restarts_total", "raft_node_crashes_total", "raft_node_leader_time_seconds",
    "raft_node_follower_time_seconds", "raft_node_candidate_time_seconds",
    "raft_node_elections_total", "raft_node_terms_as_leader_total", "raft_node_mtbf_seconds",
    "raft_node_leadership_ratio", "raft_snapshot_total", "raft_snapshot_size_bytes",
    "raft_snapshot_duration_seconds", "raft_snapshot_index", "raft_snapshot_term",
    "raft_snapshot_age_seconds", "raft_snapshot_errors_total", "raft_snapshot_bytes_written_total",
    "raft_snapshot_entries_compacted_total", "raft_snapshots_on_disk"]
LABELS = {
    "raft_peer_latency_seconds": {"peer_id", "rpc_type"},
    "raft_peer_rpc_total": {"peer_id", "rpc_type", "result"},
    "raft_peer_healthy": {"peer_id"}, "raft_peer_last_contact_seconds": {"peer_id"},
    "raft_peer_consecutive_errors": {"peer_id"}, "raft_node_uptime_percentage": {"period"},
    "raft_snapshot_total": {"type"}, "raft_snapshot_duration_seconds": {"operation"}}


def series(node):
    """{family: {labels: value}} of what METRICS.RENDER answers."""
    out = {}
    for line in ask(node, "METRICS.RENDER").splitlines():
        found = re.fullmatch(r"(raft_\w+?)(_sum|_count|_bucket)?(?:\{(.*)\})? (\S+)", line)
        if found and found[2] != "_bucket":
            labels = tuple(sorted(re.findall(r'(\w+)="([^"]*)"', found[3] or "")))
            out.setdefault(found[1], {})[(found[2], labels)] = float(found[4])
    return out


class Metrics(unittest.TestCase):
    def setUp(self):
        module = os.path.join(BUILD, "bin/modules/metrics.so")
        self.cluster = Cluster(3, "--log-segment-size", "65536", "--loadmodule", module,
                               "--metrics.listen", "")
        self.addCleanup(self.cluster.close)
        self.seen = []

    def look(self, nodes=None):
        self.seen.append({n.id: series(n) for n in nodes or self.cluster.nodes if n.runs})

    def provoke(self):
        """All that figures are about happens once."""
        leader = self.cluster.await_leader()
        follower = next(n for n in self.cluster.nodes if n is not leader)
        follower.kill()
        wait_for(lambda: ask(leader, "RAFT.LATENCY")["health_summary"]["unhealthy"] == 1,
                 WAIT_S_MAX, "the dead node to be missed")
        self.look()
        follower.start()
        self.cluster.await_caught_up(follower)
        follower.pause()
        before = ask(leader, "RAFT.LATENCY")["aggregated"]["error_count"]
        wait_for(lambda: ask(leader, "RAFT.LATENCY")["aggregated"]["error_count"] > before,
                 WAIT_S_MAX, "an error")
        self.look([leader])
        follower.resume()
        self.cluster.await_caught_up(follower)
        ask(leader, "RAFT.TRANSFER", follower.id)
        leader = self.cluster.await_leader()
        ask(leader, "SET", "large", os.urandom(300000))
        for i in range(3):
            ask(leader, "SET", f"key{i}", "x" * 50000)
            ask(leader, "RAFT.SNAPSHOT")
        last = int(leader.info()["raft_last_log_index"])
        for index in range(last, last + 50):
            os.mkdir(os.path.join(leader.dir, f"{index:020d}.snap.new"))
        ask(leader, "SET", "one", "more")
        self.assertIn("failed", error(leader, "RAFT.SNAPSHOT"))

    def test_each_metric_of_raft_has_its_labels_and_moves(self):
        self.look()
        self.provoke()
        self.look()
        merged = {}
        for look in self.seen:
            for node, families in look.items():
                for name, samples in families.items():
                    for key, value in samples.items():
                        merged.setdefault(name, {}).setdefault((node, key), set()).add(value)
        for name in METRICS:
            with self.subTest(metric=name):
                self.assertIn(name, merged)
                for (_, (_, labels)), _ in merged[name].items():
                    self.assertEqual({k for k, _ in labels}, LABELS.get(name, set()))
                self.assertTrue(any(len(values) > 1 or
                                    (key not in self.seen[0][node].get(name, {}) and values != {0})
                                    for (node, key), values in merged[name].items()), merged[name])


if __name__ == "__main__":
    unittest.main(verbosity=2)
