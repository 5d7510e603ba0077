#!/usr/bin/python3
"""Goal: a module that others wrote for Redis does its work here: RediSearch 1.2 as Debian has it.

Method: the same commands as on redis-server, answered alike; then what Redis cannot do with it: its
indices on three nodes, written through any of them and still there when the leader is killed.
"""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration"))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Server  # noqa: E402

SERVER = os.environ["HELIOS_SERVER"]
STOCK = "redis-server" in SERVER
MODULE = "/usr/lib/redis/modules/redisearch.so"
FLAGS = ["--appendonly", "yes", "--appendfsync", "always", "--loadmodule", MODULE]
DOCUMENTS = [("doc1", "hello world", "lorem ipsum", 10), ("doc2", "hello moon", "dolor sit", 20),
             ("doc3", "good bye", "amet lorem", 30)]
WAIT_S = 20


def make_index(c):
    assert c("FT.CREATE", "idx", "SCHEMA", "title", "TEXT", "WEIGHT", "5.0", "SORTABLE",
             "body", "TEXT", "price", "NUMERIC", "SORTABLE") == "OK"


def add(c, key, title, body, price):
    assert c("FT.ADD", "idx", key, "1.0", "FIELDS", "title", title, "body", body,
             "price", price) == "OK"


def keys_found(c, query):
    """Which documents a query finds, in their order."""
    reply = c("FT.SEARCH", "idx", query, "NOCONTENT", "SORTBY", "price")
    assert reply[0] == len(reply) - 1, reply
    return reply[1:]


class Alone(unittest.TestCase):
    def setUp(self):
        self.server = Server(SERVER, *FLAGS)
        self.addCleanup(self.server.__exit__)
        self.server.__enter__()
        self.c = self.client()

    def client(self):
        client = self.server.client()
        self.addCleanup(client.close)
        return client

    def fill(self):
        make_index(self.c)
        for document in DOCUMENTS:
            add(self.c, *document)

    def expect_documents(self, c):
        self.assertEqual(keys_found(c, "hello"), ["doc1", "doc2"])
        self.assertEqual(keys_found(c, "@title:hello @body:lorem"), ["doc1"])
        self.assertEqual(keys_found(c, "lorem"), ["doc1", "doc3"])
        self.assertEqual(keys_found(c, "@price:[15 30]"), ["doc2", "doc3"])
        self.assertEqual(keys_found(c, "nothing"), [])
        self.assertEqual(keys_found(c, "hel*"), ["doc1", "doc2"])

    def test_it_is_listed(self):
        modules = [dict(zip(m[::2], m[1::2])) for m in self.c("MODULE", "LIST")]
        self.assertEqual([(m["name"], m["ver"]) for m in modules], [("ft", 10200)])

    def test_documents_are_found(self):
        self.fill()
        self.expect_documents(self.c)
        reply = self.c("FT.SEARCH", "idx", "moon")
        self.assertEqual((reply[0], reply[1]), (1, "doc2"))
        self.assertEqual(dict(zip(reply[2][::2], reply[2][1::2])),
                         {"title": "hello moon", "body": "dolor sit", "price": "20"})
        self.assertEqual(self.c("FT.DEL", "idx", "doc1", "DD"), 1)
        self.assertEqual(keys_found(self.c, "lorem"), ["doc3"])
        self.assertEqual(self.c("EXISTS", "doc1"), 0)

    def test_documents_are_counted_and_suggested(self):
        self.fill()
        add(self.c, "doc4", "hello moon", "amet", 1)
        reply = self.c("FT.AGGREGATE", "idx", "*", "GROUPBY", "1", "@title", "REDUCE", "SUM", "1",
                       "@price", "AS", "all", "SORTBY", "2", "@all", "DESC")
        self.assertEqual([dict(zip(row[::2], row[1::2])).get("all") for row in reply[1:]],
                         ["30", "21", "10"])
        for text, score in (("hello", 1), ("help", 2), ("world", 3)):
            self.c("FT.SUGADD", "sug", text, score)
        self.assertEqual(self.c("FT.SUGGET", "sug", "he"), ["help", "hello"])
        self.assertEqual(self.c("FT.SUGLEN", "sug"), 3)

    def test_what_is_wrong_is_told(self):
        self.assertIn("nknown", self.c.error("FT.SEARCH", "idx", "x"))
        self.assertIn("wrong number", self.c.error("FT.ADD", "idx"))
        self.fill()
        self.assertIn("already", self.c.error("FT.CREATE", "idx", "SCHEMA", "a", "TEXT"))
        self.assertIn("Syntax error", self.c.error("FT.SEARCH", "idx", "@price:[1"))

    def test_indices_outlive_a_kill(self):
        self.fill()
        self.c("FT.SUGADD", "sug", "hello", 1)
        self.c("FT.DEL", "idx", "doc3")
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()
        c = self.client()
        self.assertEqual(keys_found(c, "lorem"), ["doc1"])
        self.assertEqual(keys_found(c, "hello"), ["doc1", "doc2"])
        self.assertEqual(c("FT.SUGGET", "sug", "h"), ["hello"])

    def test_indices_are_in_snapshots(self):
        self.fill()
        self.c("SAVE")
        add(self.c, "doc4", "hello again", "lorem", 40)
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()
        c = self.client()
        self.assertEqual(keys_found(c, "lorem"), ["doc1", "doc3", "doc4"])
        add(c, "doc5", "hello", "lorem", 50)
        self.assertEqual(keys_found(c, "hello lorem"), ["doc1", "doc4", "doc5"])


@unittest.skipIf(STOCK, "three nodes that agree are not something this server has")
class OnThreeNodes(unittest.TestCase):
    def client(self, node):
        client = Client(node.port, timeout=WAIT_S)
        self.addCleanup(client.close)
        return client

    def expect_everywhere(self, nodes, query, want):
        for node in nodes:
            self.assertEqual(keys_found(self.client(node), query), want)

    def test_indices_are_everywhere_and_outlive_the_leader(self):
        with Cluster(3, "--loadmodule", MODULE) as cluster:
            leader = cluster.await_leader()
            follower = next(n for n in cluster.nodes if n is not leader)
            make_index(self.client(follower))
            for document, node in zip(DOCUMENTS, cluster.nodes):
                add(self.client(node), *document)
            self.expect_everywhere(cluster.nodes, "lorem", ["doc1", "doc3"])
            leader.kill()
            cluster.await_leader()
            rest = [n for n in cluster.nodes if n is not leader]
            until = time.monotonic() + WAIT_S
            while self.client(rest[0]).error("SET", "ready", 1) is not None:
                self.assertLess(time.monotonic(), until)
            add(self.client(rest[0]), "doc4", "hello again", "lorem", 40)
            self.expect_everywhere(rest, "lorem", ["doc1", "doc3", "doc4"])


if __name__ == "__main__":
    unittest.main()
