#!/usr/bin/python3
"""Goal: what an operator was promised of the data on disk: deadlines are points in time, the log
shrinks, a torn tail is cut and other damage refused with its place, `interval` means each second.

Method: a real server that is killed; its files are looked at and damaged in between; a preloaded
library that forgets at a kill what was not synced.
"""
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import ROOT, Server, damage, files_of, wait_for  # noqa: E402

BUILD = os.environ.get("HELIOS_BUILD", os.path.join(ROOT, "build"))
DROPDISK = os.path.join(BUILD, "tests/support/dropdisk.so")
SANITIZED = "asan" in os.environ.get("HELIOS_SERVER", "")  # its runtime must be loaded first


def size_of_log(server):
    size = 0
    for path in files_of(server):
        try:
            size += os.path.getsize(path) if path.endswith(".wal") else 0
        except FileNotFoundError:
            pass  # it went meanwhile
    return size


class Persistence(unittest.TestCase):
    def serve(self, *flags, **kw):
        server = Server(*flags, **kw)
        self.addCleanup(server.close)
        return server

    def client(self, server):
        client = Client(server.port, timeout=20)
        self.addCleanup(client.close)
        return client

    def test_a_deadline_is_a_point_in_time_over_restarts(self):
        for snapshot in (False, True):
            server = self.serve()
            c = self.client(server)
            c("SET", "long", "1", "EX", "1000")
            c("SET", "short", "1", "PX", "300")
            c("HSET", "hash", "f", "v")
            c("EXPIRE", "hash", "500")
            before = [c("PEXPIRETIME", key) for key in ("long", "hash")]
            deadline = c("PEXPIRETIME", "short")
            if snapshot:
                self.assertEqual(c("SAVE"), "OK")
            server.kill()
            # Its time comes while nobody is there to see it.
            wait_for(lambda: time.time() * 1000 > deadline, what="the deadline")
            server.start()
            for _ in range(2):
                c = self.client(server)
                self.assertEqual([c("PEXPIRETIME", key) for key in ("long", "hash")], before)
                self.assertIsNone(c("GET", "short"))
                self.assertEqual(c("EXISTS", "short", "long", "hash"), 2)
                self.assertEqual(c("DBSIZE"), 2)
                server.restart()

    def test_the_log_shrinks_behind_a_snapshot(self):
        server = self.serve("--log-segment-size", "64kb", "--snapshot-interval-cmds", "0",
                            "--snapshot-interval-time", "0")
        c = self.client(server)
        for i in range(200):
            c("SET", "key", str(i) * 10000)
        before = size_of_log(server)
        self.assertGreater(before, 2000000)
        self.assertEqual(c("SAVE"), "OK")
        wait_for(lambda: size_of_log(server) < before / 4, what="a smaller log")
        server.restart()
        self.assertEqual(self.client(server)("GET", "key"), "199" * 10000)

    def test_a_torn_tail_is_cut_and_the_start_goes_on(self):
        server = self.serve()
        c = self.client(server)
        c("SET", "kept", "1" * 1000)
        c("SET", "torn", "2" * 1000)
        server.kill()
        self.assertEqual(damage(server, b"2" * 1000, b"?" * 10), 1)
        server.start()
        self.assertRegex(server.log(), r"cut a torn tail: \d+ bytes of \S+ from offset \d+ on")
        c = self.client(server)
        self.assertEqual(c("GET", "kept"), "1" * 1000)
        self.assertIsNone(c("GET", "torn"))
        self.assertEqual(c("SET", "after", "1"), "OK")
        server.restart()
        self.assertEqual(self.client(server)("GET", "after"), "1")

    def test_damage_before_the_tail_is_refused_with_its_place(self):
        server = self.serve()
        c = self.client(server)
        for name in ("first", "middle", "last"):
            c("SET", name, name * 1000)
        server.kill()
        self.assertEqual(damage(server, b"middle" * 1000, b"?" * 10), 1)
        with self.assertRaises(RuntimeError):
            server.start()
        self.assertRegex(server.log(), r"(?i)offset \d+")
        self.assertRegex(server.log(), r"\.wal")
        with self.assertRaises(RuntimeError):  # and so it stays until somebody decides
            server.start()

    def kept_after_two_seconds(self, mode):
        server = self.serve("--sync-mode", mode, "--dir", "data",
                            env={"LD_PRELOAD": DROPDISK, "DROPDISK_DIR": "data"})
        c = self.client(server)
        c("SET", "early", "1")
        begin = time.monotonic()
        while time.monotonic() - begin < 2.5:  # the promise is about time
            self.assertEqual(c("PING"), "PONG")
            time.sleep(0.05)
        server.kill()
        server.start()
        return self.client(server)("GET", "early")

    @unittest.skipIf(SANITIZED or not os.path.exists(DROPDISK), "no " + DROPDISK)
    def test_interval_syncs_every_second_without_being_asked(self):
        self.assertEqual(self.kept_after_two_seconds("interval"), "1")
        self.assertIsNone(self.kept_after_two_seconds("none"), "the disk forgets nothing")

    def test_every_line_of_the_log_is_json_with_the_five_fields(self):
        server = self.serve("--log-format", "json")
        c = self.client(server)
        c("SET", "a", "1")
        self.assertEqual(c("CONFIG", "SET", "loglevel", "debug"), "OK")
        self.assertEqual(c("SAVE"), "OK")
        self.assertIsNotNone(c.error("MODULE", "LOAD", "/no \"such\"\n\x1b module"))
        self.assertEqual(server.stop(), 0)
        lines = server.log().splitlines()
        self.assertGreater(len(lines), 5)
        for line in lines:
            fields = json.loads(line)
            self.assertLessEqual({"timestamp", "level", "component", "message", "extra"},
                                 set(fields), line)
            self.assertRegex(fields["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
            self.assertIn(fields["level"], ("debug", "info", "warn", "error"))
            self.assertIsInstance(fields["extra"], dict)


if __name__ == "__main__":
    unittest.main()
