#!/usr/bin/python3
"""Goal: what an operator changes at run time on one node holds on every node, and survives: users,
the password, the settings that a cluster shares.

Method: a cluster of real servers; changes at a follower, looked at everywhere; the leader killed,
all killed, the state taken from a snapshot.
"""
import os
import signal
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S, Server  # noqa: E402

WAIT_S_MAX = 20
REVOKED_S_MAX = 1.0


def wait_for(condition, what, within=WAIT_S_MAX):
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come within {within} s")
        time.sleep(STEP_S)


def is_open(client):
    try:
        client("PING")
        return True
    except (OSError, EOFError):
        return False


class Admin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3, "--enable-debug-command", "yes")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        self.cluster.start_all()
        self.leader = self.cluster.await_leader()
        self.follower, self.other = (n for n in self.cluster.nodes if n is not self.leader)
        for node in (self.follower, self.other):
            wait_for(lambda n=node: self.is_linked(n), "the link to the leader")

    def is_linked(self, node):
        return any(f"id={self.leader.id}," in v and "forward=up" in v
                   for k, v in node.info().items() if k.startswith("raft_link"))

    def client(self, node):
        client = Client(node.port, timeout=WAIT_S_MAX)
        self.addCleanup(client.close)
        return client

    def everywhere(self, what, words, want):
        for node in self.cluster.nodes:
            c = self.client(node)

            def holds(client=c):
                got = client.send(*words) or client.read()
                return (str(got) if isinstance(got, Error) else got) == want
            wait_for(holds, f"{what} at {node.id}")

    def logs_in(self, node, name, password):
        c = self.client(node)
        c.send("AUTH", name, password)
        return c if not isinstance(c.read(), Error) else None

    def test_a_user_made_at_a_follower_logs_in_everywhere_and_is_thrown_out_everywhere(self):
        c = self.client(self.follower)
        self.assertEqual(c("ACL", "SETUSER", "bob", "on", ">secret", "~k*", "+@all"), "OK")
        clients = []
        for node in self.cluster.nodes:
            wait_for(lambda n=node: self.logs_in(n, "bob", "secret"), f"bob at {node.id}")
            clients.append(self.logs_in(node, "bob", "secret"))
            self.assertIsNone(self.logs_in(node, "bob", "wrong"))
            self.assertEqual(clients[-1]("SET", "k", node.id), "OK")
            self.assertIn("NOPERM", clients[-1].error("SET", "other", "1"))
        self.assertEqual(c("ACL", "DELUSER", "bob"), 1)
        for node, client in zip(self.cluster.nodes, clients):
            wait_for(lambda k=client: not is_open(k), f"bob's end at {node.id}", REVOKED_S_MAX)
            # the leader ends the connection; this node may hear of the entry a heartbeat later
            wait_for(lambda n=node: self.logs_in(n, "bob", "secret") is None,
                     f"bob's refusal at {node.id}", REVOKED_S_MAX)

    def test_users_survive_the_leader_the_death_of_all_and_a_snapshot(self):
        c = self.client(self.follower)
        c("ACL", "SETUSER", "ann", "on", ">first", "+@all", "~*")
        self.leader.kill()
        leader = self.cluster.await_leader()
        self.assertIsNotNone(self.logs_in(leader, "ann", "first"))
        self.client(leader)("ACL", "SETUSER", "ann", "resetpass", ">second")
        self.cluster.start_all()
        for node in self.cluster.nodes:
            wait_for(lambda n=node: self.logs_in(n, "ann", "second"), f"ann at {node.id}")
            self.assertIsNone(self.logs_in(node, "ann", "first"))
            self.client(node)("SAVE")
        for node in self.cluster.nodes:
            node.kill()
        self.cluster.start_all()
        self.cluster.await_leader()
        for node in self.cluster.nodes:
            wait_for(lambda n=node: self.logs_in(n, "ann", "second"), f"ann at {node.id}")
            self.assertIsNone(self.logs_in(node, "ann", "first"))

    def test_a_node_that_joins_has_the_users(self):
        self.client(self.leader)("ACL", "SETUSER", "joe", "on", ">pw", "+@all")
        node = self.cluster.add()
        try:
            self.client(self.leader)("RAFT.ADD", node.id, node.raft_address)
            wait_for(lambda: self.logs_in(node, "joe", "pw"), "joe at the new node")
        finally:
            wait_for(lambda: not isinstance(self.remove(node), Error), "its removal")
            node.kill()
            self.cluster.nodes.remove(node)

    def remove(self, node):
        c = self.client(self.cluster.await_leader())
        c.send("RAFT.REMOVE", node.id)
        return c.read()

    def test_the_password_is_the_clusters_and_nowhere_in_clear(self):
        c = self.client(self.follower)
        word = "a-password-of-all"
        self.assertEqual(c("CONFIG", "SET", "requirepass", word), "OK")
        try:
            for node in self.cluster.nodes:
                wait_for(lambda n=node: not self.logs_in(n, "default", "wrong"),
                         f"it at {node.id}")  # an open user takes any password
                new = self.client(node)
                self.assertIn("NOAUTH", new.error("GET", "a"))
                new("AUTH", word)
                self.assertEqual(new("CONFIG", "GET", "requirepass"), ["requirepass", "(set)"])
                self.assertNotIn(word, str(new("SLOWLOG", "GET", "-1")))
            for node in self.cluster.nodes:
                for name in os.listdir(node.dir):
                    if not os.path.isfile(os.path.join(node.dir, name)):
                        continue
                    with open(os.path.join(node.dir, name), "rb") as f:
                        self.assertNotIn(word.encode(), f.read(), name)
                self.assertNotIn(word, node.log())
        finally:
            at_leader = self.client(self.leader)
            at_leader("AUTH", word)
            at_leader("CONFIG", "SET", "requirepass", "")
        self.everywhere("no password", ("CONFIG", "GET", "requirepass"), ["requirepass", ""])

    def test_a_shared_setting_is_the_same_everywhere_and_survives(self):
        c = self.client(self.follower)
        self.assertEqual(c("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu",
                           "hash-max-ziplist-entries", "77"), "OK")
        want = ["hash-max-listpack-entries", "77", "maxmemory-policy", "allkeys-lfu"]
        for _ in range(2):
            for node in self.cluster.nodes:
                k = self.client(node)
                wait_for(lambda q=k: self.pairs(q, "maxmemory-policy",
                                                "hash-max-listpack-entries") == want,
                         f"the settings at {node.id}")
            for node in self.cluster.nodes:
                node.kill()
            self.cluster.start_all()
            self.leader = self.cluster.await_leader()
        self.client(self.leader)("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.everywhere("the policy", ("CONFIG", "GET", "maxmemory-policy"),
                        ["maxmemory-policy", "noeviction"])

    @staticmethod
    def pairs(client, *names):
        got = client("CONFIG", "GET", *names)
        return sum(sorted([got[i], got[i + 1]] for i in range(0, len(got), 2)), [])

    def test_settings_of_a_node_stay_its_own_and_lists_are_not_mixed(self):
        c = self.client(self.follower)
        self.assertEqual(c("CONFIG", "SET", "loglevel", "verbose"), "OK")
        self.assertEqual(self.client(self.other)("CONFIG", "GET", "loglevel"),
                         ["loglevel", "notice"])
        self.assertIn("cannot be changed together",
                      c.error("CONFIG", "SET", "loglevel", "debug", "maxmemory", "100mb"))
        self.assertEqual(c("CONFIG", "GET", "loglevel"), ["loglevel", "verbose"])
        self.assertIn("maxmemory-policy",
                      c.error("CONFIG", "SET", "maxmemory-policy", "nosuch", "maxmemory", "1mb"))
        self.assertEqual(self.client(self.leader)("CONFIG", "GET", "maxmemory"), ["maxmemory", "0"])
        c("CONFIG", "SET", "loglevel", "notice")

    def test_a_pipeline_around_a_forwarded_setting_keeps_its_order(self):
        c = self.client(self.follower)
        for i in range(20):
            c.send("SET", "order", i)
            c.send("CONFIG", "SET", "maxmemory-samples", i + 1)
            c.send("GET", "order")
        for i in range(20):
            self.assertEqual([c.read(), c.read(), c.read()], ["OK", "OK", str(i)])
        self.everywhere("the last one", ("CONFIG", "GET", "maxmemory-samples"),
                        ["maxmemory-samples", "20"])

    def test_the_files_of_a_node_follow_when_told_and_never_lead(self):
        """CONFIG REWRITE writes what the cluster has; SIGHUP does not change what is shared."""
        node = self.other
        path = os.path.join(node.dir, "helios.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write("# a file\nloglevel notice\nmaxmemory-samples 5\n")
        before = list(node.flags)
        node.kill()
        node.flags = [*before, "--config", path]
        try:
            node.start()
            self.leader = self.cluster.await_leader()
            self.client(self.leader)("CONFIG", "SET", "maxmemory-samples", "9")
            self.everywhere("it", ("CONFIG", "GET", "maxmemory-samples"),
                            ["maxmemory-samples", "9"])
            c = self.client(node)
            self.assertEqual(c("CONFIG", "REWRITE"), "OK")
            with open(path, encoding="ascii") as f:
                text = f.read()
            self.assertIn("maxmemory-samples 9", text)
            with open(path, "w", encoding="ascii") as f:
                f.write(text.replace("samples 9", "samples 3").replace("notice", "verbose"))
            os.kill(node.process.pid, signal.SIGHUP)
            wait_for(lambda: c("CONFIG", "GET", "loglevel") == ["loglevel", "verbose"], "its own")
            self.assertEqual(c("CONFIG", "GET", "maxmemory-samples"), ["maxmemory-samples", "9"])
            wait_for(lambda: "cannot change at run time: maxmemory-samples" in node.log(),
                     "the refusal")
            c("CONFIG", "SET", "loglevel", "notice")
        finally:
            node.kill()
            node.flags = before

    def test_a_node_started_with_other_settings_says_so_and_follows(self):
        self.client(self.leader)("CONFIG", "SET", "lfu-decay-time", "7")
        node = self.other
        before = list(node.flags)
        node.kill()
        node.flags = [*before, "--lfu-decay-time", "3", "--requirepass", "of its own"]
        try:
            node.start()
            wait_for(lambda: "lfu-decay-time '3'" in node.log(), "the line in the log")
            self.assertIn("users that are not as this node's files say", node.log())
            self.assertEqual(self.client(node)("CONFIG", "GET", "lfu-decay-time"),
                             ["lfu-decay-time", "7"])
        finally:
            node.kill()
            node.flags = before


class Scrub(unittest.TestCase):
    def test_a_node_whose_memory_failed_is_found_and_mended(self):
        with Cluster(3, "--enable-debug-command", "yes") as cluster:
            leader = cluster.await_leader()
            bad = next(n for n in cluster.nodes if n is not leader)
            c, at_bad = Client(leader.port, WAIT_S_MAX), Client(bad.port, WAIT_S_MAX)
            for i in range(1000):
                c("SET", f"key{i}", i)
            digest = c("DEBUG", "DIGEST")
            wait_for(lambda: at_bad("DEBUG", "DIGEST") == digest, "all keys")
            self.assertEqual(at_bad("DEBUG", "FORGET-KEY", "key77"), 1)
            self.assertNotEqual(at_bad("DEBUG", "DIGEST"), digest)
            self.assertEqual(at_bad("RAFT.SCRUB"), "OK")
            wait_for(lambda: bad.info().get("raft_scrub_mended") == "1", "the mending")
            self.assertIn("QUARANTINED", bad.log())
            self.assertEqual(leader.info()["raft_scrub_differences"], "1")
            at_bad.close()
            at_bad = Client(bad.port, WAIT_S_MAX)
            wait_for(lambda: self.ask(at_bad, "GET", "key77") == "77", "the key")
            self.assertEqual(at_bad("DEBUG", "DIGEST"), digest)
            c.close()
            at_bad.close()

    @staticmethod
    def ask(client, *words):
        client.send(*words)
        return client.read()

    def test_a_node_that_saved_what_was_wrong_is_sent_the_leaders_snapshot(self):
        with Cluster(3, "--enable-debug-command", "yes") as cluster:
            leader = cluster.await_leader()
            bad = next(n for n in cluster.nodes if n is not leader)
            c, at_bad = Client(leader.port, WAIT_S_MAX), Client(bad.port, WAIT_S_MAX)
            for i in range(100):
                c("SET", f"key{i}", i)
            digest = c("DEBUG", "DIGEST")
            wait_for(lambda: at_bad("DEBUG", "DIGEST") == digest, "all keys")
            self.assertEqual(at_bad("DEBUG", "FORGET-KEY", "key77"), 1)
            self.assertEqual(at_bad("SAVE"), "OK")
            self.assertEqual(at_bad("RAFT.SCRUB"), "OK")
            wait_for(lambda: bad.info().get("raft_scrub_mended") == "1", "the mending")
            self.assertIn("until a snapshot of the leader's", bad.log())
            at_bad.close()
            bad.kill()
            bad.start()
            cluster.await_leader()
            at_bad = Client(bad.port, WAIT_S_MAX)
            wait_for(lambda: self.ask(at_bad, "GET", "key77") == "77", "the key")
            wait_for(lambda: at_bad("DEBUG", "DIGEST") == digest, "the same data")
            c.close()
            at_bad.close()

    def test_slots_are_compared_without_being_told(self):
        with Cluster(3, "--raft-scrub-interval", "100ms") as cluster:
            cluster.await_leader()
            for node in cluster.nodes:
                wait_for(lambda n=node: int(n.info().get("raft_scrub_slots_compared", 0)) > 2,
                         f"slots compared at {node.id}")


OPEN = "user default on nopass ~* &* +@all\n"


def write_text(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


class Files(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(place.cleanup)
        self.path = os.path.join(place.name, "users.acl")

    def users(self, node):
        c = Client(node.port, WAIT_S_MAX)
        try:
            return c("ACL", "USERS")
        finally:
            c.close()

    def test_the_leaders_file_is_the_clusters_when_it_is_loaded(self):
        write_text(self.path, OPEN + "user filed on nopass +@read\n")
        with Cluster(3, "--aclfile", self.path) as cluster:
            leader = cluster.await_leader()
            follower = next(n for n in cluster.nodes if n is not leader)
            c, other = Client(leader.port, WAIT_S_MAX), Client(follower.port, WAIT_S_MAX)
            c("ACL", "SETUSER", "made", "on", "nopass")
            for node in cluster.nodes:
                wait_for(lambda n=node: self.users(n) == ["default", "filed", "made"], "both")
            write_text(self.path, OPEN + "user other on nopass +@read\n")
            self.assertIn("NOTLEADER", other.error("ACL", "LOAD"))
            self.assertEqual(c("ACL", "LOAD"), "OK")
            for node in cluster.nodes:
                wait_for(lambda n=node: self.users(n) == ["default", "other"], "the file's")
            write_text(self.path, OPEN + "user no rule\n")
            self.assertIn("Syntax error", c.error("ACL", "LOAD"))
            self.assertEqual(self.users(follower), ["default", "other"])
            c.close()
            other.close()

    def test_alone_the_file_counts_for_what_was_saved_and_the_log_for_the_rest(self):
        write_text(self.path, OPEN)
        with Server("--aclfile", self.path) as server:
            c = Client(server.port)
            c("ACL", "SETUSER", "bob", "on", ">first", "+@all")
            c("ACL", "SAVE")
            c("ACL", "SETUSER", "eve", "on", ">pw", "+@all")
            c.close()
            server.kill()
            write_text(self.path, OPEN + "user bob on >second +@all\n")
            server.start()
            c = Client(server.port)
            self.assertEqual(c("AUTH", "bob", "second"), "OK")
            self.assertEqual(c("AUTH", "eve", "pw"), "OK")
            c.close()


class Alone(unittest.TestCase):
    def test_kill_loses_no_user_and_files_count_for_the_others(self):
        with Server() as server:
            c = Client(server.port)
            c("ACL", "SETUSER", "bob", "on", ">pw", "+@all", "~*")
            c("ACL", "SETUSER", "gone", "on", "nopass")
            c("ACL", "DELUSER", "gone")
            c.close()
            server.kill()
            server.start()
            c = Client(server.port)
            self.assertEqual(c("ACL", "USERS"), ["bob", "default"])
            self.assertEqual(c("AUTH", "bob", "pw"), "OK")
            c.close()

    def test_an_operator_who_is_locked_out_lets_the_files_count(self):
        with Server() as server:
            c = Client(server.port)
            c("CONFIG", "SET", "requirepass", "forgotten")
            c.close()
            server.kill()
            server.flags = [*server.flags, "--requirepass", "new"]
            server.start()
            c = Client(server.port)
            self.assertIn("WRONGPASS", c.error("AUTH", "new"))
            c.close()
            self.assertIn("users that are not as this node's files say", server.log())
            server.kill()
            server.flags = [*server.flags, "--users-from-files", "yes"]
            server.start()
            c = Client(server.port)
            self.assertEqual(c("AUTH", "new"), "OK")
            c.close()


if __name__ == "__main__":
    unittest.main()
