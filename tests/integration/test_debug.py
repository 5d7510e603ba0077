#!/usr/bin/env python3
"""What the DEBUG command tells of the server's inside, which other tests and operators rely on."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import Server  # noqa: E402


class Debug(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--enable-debug-command", "local")
        cls.c = Client(cls.server.port, timeout=20)

    @classmethod
    def tearDownClass(cls):
        cls.c.close()
        cls.server.close()

    def setUp(self):
        self.c("FLUSHALL")

    def test_help_names_every_subcommand_and_wrong_ones_are_refused(self):
        names = [line.split()[0] for line in self.c("DEBUG", "HELP")[1::2]]
        self.assertEqual(names, sorted(names[:-1]) + ["HELP"])
        self.assertIn("HTSTATS", names)
        self.assertIn("Try DEBUG HELP", self.c.error("DEBUG", "NOPE"))
        self.assertIn("Try DEBUG HELP", self.c.error("DEBUG", "DIGEST", "extra"))
        with Server() as closed:
            c = Client(closed.port)
            self.addCleanup(c.close)
            self.assertIn("not allowed", c.error("DEBUG", "JMAP"))

    def test_htstats_follows_the_table(self):
        def shape():
            lines = self.c("DEBUG", "HTSTATS", 0).split("[Expires]")[0].splitlines()
            return {k: int(v) for k, v in (line.split(": ") for line in lines[1:])}
        self.assertEqual(shape()["keys"], 0)
        for i in range(1000):
            self.c("SET", f"k{i}", i)
        self.assertEqual(shape()["keys"], 1000)
        now = shape()
        room = 7 * (now["buckets"] + now["buckets of the new table"] + now["chained buckets"])
        self.assertGreaterEqual(room, 1000)
        self.assertIn("out of range", self.c.error("DEBUG", "HTSTATS", 99))

    def test_jmap_counts_by_encoding(self):
        self.c("SET", "number", 12)
        self.c("SET", "text", "abc")
        self.c("SELECT", 3)
        self.c("HSET", "hash", "f", "v")
        self.c("HSET", "other", "f", "v")
        self.c("SELECT", 0)
        lines = [line.split() for line in self.c("DEBUG", "JMAP").splitlines()]
        counts = {name: int(keys) for keys, _, name in lines}
        self.assertEqual(counts, {"int": 1, "embstr": 1, "listpack": 2})
        self.assertTrue(all(int(size) > 0 for _, size, _ in lines))

    def test_digest_value_is_of_the_value_alone(self):
        self.c("HSET", "a", "f", "1", "g", "2")
        self.c("HSET", "b", "g", "2", "f", "1")
        self.c("HSET", "c", "g", "1", "f", "2")
        a, b, c, none = self.c("DEBUG", "DIGEST-VALUE", "a", "b", "c", "none")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)
        self.assertEqual(none, "0" * 40)
        before = self.c("DEBUG", "DIGEST")
        self.c("SET", "x", 1)
        self.assertNotEqual(self.c("DEBUG", "DIGEST"), before)
        self.c("DEL", "x")
        self.assertEqual(self.c("DEBUG", "DIGEST"), before)

    def test_error_is_one_line(self):
        self.assertEqual(self.c.error("DEBUG", "ERROR", "BOO a\r\n+OK"), "BOO a  +OK")
        self.assertEqual(self.c("PING"), "PONG")


if __name__ == "__main__":
    unittest.main()
