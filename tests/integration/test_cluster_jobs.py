#!/usr/bin/env python3
"""Goal: in a cluster jobs are what they are on one node, from whatever node they are seen: leases
end on time and with their connections, attempts are counted over failovers, transactions happen
once, results are told.
Method: three nodes; clients of the leader, of a follower, and of one that dies.
"""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import test_jobs_crash as jobs  # noqa: E402
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import wait_for  # noqa: E402

MODULE = ["--loadmodule", os.path.join(jobs.MODULES, "jobs.so")]
SOON_S = 10
pairs = jobs.pairs


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3, *MODULE, "--appendonly", "yes", "--election-timeout", "500ms",
                              path=jobs.SERVER)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)

    def setUp(self):
        self.clients = []
        self.leader = self.cluster.await_leader()
        self.followers = [node for node in self.cluster.nodes if node is not self.leader]
        self.at_leader = self.client(self.leader)
        self.queue = self.id().rsplit(".", 1)[1]

    def tearDown(self):
        for client in self.clients:
            client.close()
        for node in self.cluster.nodes:
            if not node.runs:
                node.start()
                self.cluster.await_caught_up(node)

    def client(self, node):
        client = Client(node.port, 30)
        self.clients.append(client)
        return client

    def push(self, *options):
        return self.at_leader("JOB.PUSH", self.queue, "x", *options)[0]

    def pull(self, client, *words):
        reply = client("JOB.PULL", self.queue, *words)
        self.assertEqual(len(reply), 1)
        return pairs(reply[0])

    def get(self, client, job_id):
        """The job as the node that leads sees it."""
        return pairs(client("JOB.GET", job_id))

    def test_a_bound_lease_ends_with_its_connection_to_a_follower(self):
        job_id = self.push("VIS", 600)
        worker = self.client(self.followers[0])
        job = self.pull(worker, "BOUND")
        self.assertEqual((job["id"], job["attempt"]), (job_id, 1))
        self.assertEqual(self.get(self.at_leader, job_id)["status"], "leased")
        worker.close()
        again = self.pull(self.at_leader, "BLOCK", SOON_S * 1000)
        self.assertEqual((again["id"], again["attempt"]), (job_id, 2))

    def test_a_bound_lease_ends_with_the_node_of_its_connection(self):
        job_id = self.push("VIS", 600)
        stays = self.client(self.followers[1])
        other = self.push("VIS", 600)
        worker = self.client(self.followers[0])
        self.assertEqual(self.pull(worker, "BOUND")["id"], job_id)
        self.assertEqual(self.pull(stays, "BOUND")["id"], other)
        self.followers[0].kill()
        wait_for(lambda: self.get(self.at_leader, job_id)["status"] == "ready", SOON_S)
        self.assertEqual(self.get(self.at_leader, other)["status"], "leased")

    def test_a_bound_lease_outlives_the_leader_and_is_bound_again(self):
        job_id = self.push("VIS", 600)
        worker = self.client(self.followers[0])
        job = self.pull(worker, "BOUND")
        self.leader.kill()
        leader = self.cluster.await_leader()
        at_leader = self.client(leader)
        self.assertEqual(self.get(at_leader, job_id)["status"], "leased")
        self.assertGreater(worker("JOB.EXTEND", job_id, job["token"], 600000), 0)
        worker.close()
        wait_for(lambda: self.get(at_leader, job_id)["status"] == "ready", SOON_S)

    def test_a_lease_expires_and_its_job_dies_over_failovers(self):
        """Item 35: lease expiry, redelivery, dead after the last attempt, whoever leads."""
        job_id = self.push("VIS", 1, "MAXTRY", 2, "BACKOFF", "fixed", 50, 50, 0)
        first = self.pull(self.at_leader)
        self.leader.kill()
        at_leader = self.client(self.cluster.await_leader())
        self.leader.start()
        self.cluster.await_caught_up(self.leader)
        second = self.pull(at_leader, "BLOCK", SOON_S * 1000)
        self.assertEqual((second["id"], second["attempt"]), (job_id, 2))
        self.assertGreater(second["fence"], first["fence"])
        with self.assertRaisesRegex(Error, "^LEASELOST"):
            at_leader("JOB.ACK", job_id, first["token"])
        self.cluster.await_leader().kill()
        at_leader = self.client(self.cluster.await_leader())
        wait_for(lambda: self.get(at_leader, job_id)["status"] == "dead", SOON_S)
        self.assertEqual(self.get(at_leader, job_id)["attempts"], 2)

    def test_effects_happen_once_from_whatever_node(self):
        job_id = self.push("VIS", 1, "BACKOFF", "fixed", 0, 0, 0)
        late, fresh = (self.client(node) for node in self.followers)
        stale = self.pull(late)
        late("WATCH", job_id)
        self.assertEqual(late("JOB.HOLDS", job_id, stale["token"]), 1)
        job = self.pull(fresh, "BLOCK", SOON_S * 1000)
        results = []
        for client, token in [(late, stale["token"]), (fresh, job["token"])]:
            if client is fresh:
                client("WATCH", job_id)
                self.assertEqual(client("JOB.HOLDS", job_id, token), 1)
            client("MULTI")
            client("INCR", "effects")
            client("JOB.ACK", job_id, token)
            client("JOB.PUSH", f"{self.queue}-next", "y")
            results.append(client("EXEC"))
        self.assertIsNone(results[0])
        self.assertEqual(results[1][:2], [1, "OK"])
        self.assertEqual(late("JOB.HOLDS", job_id, stale["token"]), 0)
        self.cluster.await_equal()
        for node in self.cluster.nodes:
            self.assertEqual(self.client(node)("GET", "effects"), "1")

    def test_results_and_events_are_told_at_every_node(self):
        for node in self.cluster.nodes:
            with self.subTest(node=node.id):
                client, waiting, follower = (self.client(node) for _ in range(3))
                job_id = client("JOB.PUSH", f"{self.queue}-{node.id}", "x")[0]
                self.assertIsNone(client("JOB.RESULT", job_id))
                waiting.send("JOB.RESULT", job_id, "BLOCK", SOON_S * 1000)
                follower.send("JOB.EVENTS", f"{self.queue}-{node.id}", "AFTER", 1, "BLOCK",
                              SOON_S * 1000)
                job = pairs(self.at_leader("JOB.PULL", f"{self.queue}-{node.id}")[0])
                self.at_leader("JOB.ACK", job_id, job["token"], "sent")
                self.assertEqual(waiting.read(), ["done", "sent"])
                events = pairs(follower.read())["events"]
                self.assertEqual(pairs(events[0])["event"], "dequeued")

    def test_what_a_queue_was_told_survives_the_leader(self):
        self.push()
        self.at_leader("JOB.PAUSE", self.queue)
        self.at_leader("JOB.CONFIG", self.queue, "KEEP", "7")
        held = self.at_leader("JOB.PUSH", self.queue, "y", "UNIQUE", "k")[0]
        self.leader.kill()
        at_leader = self.client(self.cluster.await_leader())
        stats = pairs(at_leader("JOB.STATS", self.queue))
        self.assertEqual((stats["paused"], stats["keep_ms"]), (1, 7000))
        self.assertIsNone(at_leader("JOB.PULL", self.queue))
        self.assertEqual(at_leader("JOB.PUSH", self.queue, "z", "UNIQUE", "k"), [held, 1])
        self.assertEqual(at_leader("JOB.RESUME", self.queue), "OK")
        self.assertEqual(len(at_leader("JOB.PULL", self.queue, "COUNT", 9)), 2)


if __name__ == "__main__":
    unittest.main()
