#!/usr/bin/python3
"""Goal: the scripts of the quick start do what they say: three nodes form a cluster, end when told,
and a good log is told from a damaged one.

Method: the scripts as they are, in a directory and on ports of their own.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import ROOT, Server, damage, free_port, program  # noqa: E402

SCRIPTS = os.path.join(ROOT, "scripts")


def three_free_ports():
    """The first of three in a row that nobody uses."""
    for _ in range(100):
        first = free_port()
        try:
            for port in range(first, first + 3):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except (OSError, OverflowError):
            continue
    raise RuntimeError("no three ports in a row are free")


class Cluster(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="helios-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.client, self.raft = three_free_ports(), three_free_ports()
        self.env = {**os.environ, "HELIOS_CLUSTER_DIR": self.dir, "HELIOS_PROGRAM": program(),
                    "HELIOS_CLIENT_PORT": str(self.client), "HELIOS_RAFT_PORT": str(self.raft)}
        self.addCleanup(self.run_script, "stop-cluster.sh")

    def run_script(self, name):
        return subprocess.run([os.path.join(SCRIPTS, name)], env=self.env, text=True, timeout=90,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def pids(self):
        with open(os.path.join(self.dir, "data/cluster.pids")) as f:
            return [int(line) for line in f]

    def test_it_starts_answers_and_ends(self):
        os.makedirs(os.path.join(self.dir, "data/node1/old"))
        done = self.run_script("start-cluster.sh")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"raft_leader:node-[123]")
        self.assertFalse(os.path.exists(os.path.join(self.dir, "data/node1/old")))
        for port in range(self.client, self.client + 3):
            info = Client(port, timeout=20)("INFO", "raft")
            self.assertIn("raft_voters:3", info)
        pids = self.pids()
        self.assertEqual(len(pids), 3)
        again = self.run_script("start-cluster.sh")
        self.assertEqual(again.returncode, 1, "a running cluster is not wiped")
        self.assertEqual(Client(self.client, timeout=20)("SET", "a", "1"), "OK")
        self.assertEqual(self.run_script("stop-cluster.sh").returncode, 0)
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}/exe"), pid)
        self.assertEqual(self.run_script("stop-cluster.sh").returncode, 1)


class Log(unittest.TestCase):
    def check(self, *words):
        tool = os.path.join(os.path.dirname(program()), "helios")
        return subprocess.run(["node", os.path.join(SCRIPTS, "aof-check.js"), *words], timeout=60,
                              env={**os.environ, "HELIOS_TOOL": tool}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def setUp(self):
        if shutil.which("node") is None:
            self.skipTest("no node")
        self.server = Server()
        self.addCleanup(self.server.close)
        with Client(self.server.port) as c:
            for name in ("first", "second", "last"):
                c("SET", name, name * 1000)
        self.server.kill()
        self.place = os.path.join(self.server.dir, "appendonly.aof")

    def test_a_torn_tail_is_told_and_cut_when_asked(self):
        self.assertNotIn("torn", self.check(self.place).stdout)
        self.assertEqual(damage(self.server, b"last" * 1000, b"?"), 1)
        done = self.check(self.place)
        self.assertEqual(done.returncode, 0)
        self.assertIn("has a torn tail", done.stdout)
        done = self.check(self.place, "--fix")
        self.assertEqual(done.returncode, 0)
        self.assertIn("cut a torn tail", done.stdout)
        self.assertNotIn("torn", self.check(self.server.dir).stdout)
        self.server.start()
        with Client(self.server.port) as c:
            self.assertEqual(c("MGET", "first", "last"), ["first" * 1000, None])

    def test_damage_is_told_by_the_code_and_cut_on_a_clear_word_only(self):
        self.assertEqual(self.check(self.place).returncode, 0)
        self.assertEqual(damage(self.server, b"second" * 1000, b"?"), 1)
        self.assertEqual(self.check(self.place).returncode, 1)
        self.assertEqual(self.check(self.place, "--fix").returncode, 1)
        self.assertEqual(self.check(self.place, "--fix", "--accept-loss").returncode, 0)
        self.assertEqual(self.check(self.place).returncode, 0)

    def test_without_a_place_it_says_how_it_is_used(self):
        self.assertEqual(self.check().returncode, 2)


class Benchmark(unittest.TestCase):
    def test_it_measures_each_operation(self):
        with Server() as server:
            done = subprocess.run([os.path.join(SCRIPTS, "benchmark.sh"), str(server.port)],
                                  text=True, stdout=subprocess.PIPE, timeout=120)
        self.assertEqual(done.returncode, 0)
        rates = re.findall(r"(\S.*\S) +(\d+) connections +([\d.]+) op/s", done.stdout)
        self.assertEqual(len(rates), 10, done.stdout)
        self.assertTrue(all(float(rate) > 0 for _, _, rate in rates), done.stdout)


if __name__ == "__main__":
    unittest.main()
