#!/usr/bin/python3
"""Goal: the tools of Redis, redis-cli and redis-benchmark, work against the server."""
import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from server import Server, needs  # noqa: E402

BENCHMARKS = ("ping_inline ping_mbulk set get incr lpush rpush lpop rpop sadd hset spop zadd "
              "zpopmin lrange_100 mset").split()


def encode(*args):
    parts = [f"*{len(args)}\r\n".encode()]
    for arg in args:
        parts.append(f"${len(arg.encode())}\r\n{arg}\r\n".encode())
    return b"".join(parts)


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.cli("FLUSHALL")

    def cli(self, *args, stdin=None, ok=True):
        done = subprocess.run(["redis-cli", "-p", str(self.server.port), *args], input=stdin or b"",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        if ok:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.decode().rstrip("\n")

    def test_one_command(self):
        self.assertEqual(self.cli("SET", "k", "v"), "OK")
        self.assertEqual(self.cli("GET", "k"), "v")
        self.assertEqual(self.cli("--no-raw", "GET", "absent"), "(nil)")
        self.assertEqual(self.cli("--no-raw", "INCR", "n"), "(integer) 1")

    def test_errors(self):
        self.cli("SET", "k", "v")
        self.assertIn("WRONGTYPE", self.cli("HSET", "k", "x", "y"))
        self.assertIn("ERR unknown command 'NOPE', with args beginning with: 'a' 'b' ",
                      self.cli("NOPE", "a", "b") + " ")
        self.assertIn("WRONGTYPE", self.cli("-e", "HSET", "k", "x", "y", ok=False))
        self.assertIn("NOPROTO", self.cli("HELLO", "4"))
        self.assertIn("WRONGPASS", self.cli("AUTH", "nobody", "wrong"))

    def test_resp3(self):
        self.cli("HSET", "h", "a", "1")
        self.assertEqual(self.cli("-3", "--no-raw", "HGETALL", "h"), '1# "a" => "1"')
        self.assertEqual(self.cli("-3", "--no-raw", "GET", "absent"), "(nil)")

    @needs("SADD", "ZADD")
    def test_sets_and_doubles_of_resp3(self):
        self.cli("SADD", "s", "m")
        self.assertEqual(self.cli("-3", "--no-raw", "SMEMBERS", "s"), '1~ "m"')
        self.cli("ZADD", "z", "1.5", "m")
        self.assertEqual(self.cli("-3", "--no-raw", "ZSCORE", "z", "m"), "(double) 1.5")

    def test_json(self):
        self.cli("HSET", "h", "a", "1", "b", "x\ny")
        self.assertEqual(json.loads(self.cli("--json", "HGETALL", "h")), {"a": "1", "b": "x\ny"})
        self.assertEqual(json.loads(self.cli("--json", "MGET", "q", "r")), [None, None])

    def test_a_script_on_standard_input(self):
        out = self.cli(stdin=b"MULTI\nSET a 1\nINCR a\nEXEC\nGET a\n")
        self.assertEqual(out.split("\n"), ["OK", "QUEUED", "QUEUED", "OK", "2", "2"])

    def test_a_value_from_standard_input(self):
        self.assertEqual(self.cli("-x", "SET", "f", stdin=b"from a file"), "OK")
        self.assertEqual(self.cli("GET", "f"), "from a file")

    def test_mass_insertion(self):
        data = b"".join(encode("SET", f"key:{i}", f"value {i}") for i in range(20000))
        out = self.cli("--pipe", stdin=data)
        self.assertIn("errors: 0, replies: 20000", out)
        self.assertEqual(self.cli("DBSIZE"), "20000")
        self.assertEqual(self.cli("GET", "key:19999"), "value 19999")

    def test_mass_insertion_counts_errors(self):
        data = encode("SET", "k", "v") + encode("HSET", "k", "x", "y") + encode("INCR", "k")
        self.assertIn("errors: 2, replies: 3", self.cli("--pipe", stdin=data, ok=False))

    def test_scans(self):
        data = b"".join(encode("SET", f"a:{i}", "x" * i) for i in range(300))
        self.cli("--pipe", stdin=data)
        self.assertEqual(len(self.cli("--scan", "--pattern", "a:*").split("\n")), 300)
        self.assertIn("Biggest string found", self.cli("--bigkeys"))

    def test_stat_and_latency(self):
        argv = ["redis-cli", "-p", str(self.server.port)]
        with subprocess.Popen([*argv, "--stat", "-i", "0.05"], stdout=subprocess.PIPE,
                              text=True) as stat:
            lines = [stat.stdout.readline() for _ in range(4)]
            stat.kill()
        self.assertIn("keys", lines[1])
        self.assertRegex(lines[3], r"^\d+ +[\d.]+[BKMG] +\d+ +\d+ +\d+ +\(\+\d+\)")
        self.assertRegex(self.cli("--latency"), r"^\d+ \d+ [\d.]+ \d+$")

    def test_the_database_option(self):
        self.cli("-n", "3", "SET", "only", "here")
        self.assertEqual(self.cli("EXISTS", "only"), "0")
        self.assertEqual(self.cli("-n", "3", "GET", "only"), "here")

    @needs("SUBSCRIBE", "PUBLISH")
    def test_subscribe(self):
        argv = ["redis-cli", "-p", str(self.server.port), "SUBSCRIBE", "c"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as sub:
            self.assertEqual([sub.stdout.readline() for _ in range(3)],
                             ["subscribe\n", "c\n", "1\n"])
            self.assertEqual(self.cli("PUBLISH", "c", "hello"), "1")
            self.assertEqual([sub.stdout.readline() for _ in range(3)],
                             ["message\n", "c\n", "hello\n"])
            sub.kill()

    def bench(self, *args):
        done = subprocess.run(["redis-benchmark", "-p", str(self.server.port), "-q", *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        return re.findall(r"([^\r\n]+): ([\d.]+) requests per second", done.stdout)

    @needs("LPUSH", "SADD", "ZADD", "ZPOPMIN", "SPOP")
    def test_benchmark_runs_every_one_of_its_tests(self):
        done = self.bench("-n", "2000", "-c", "20", "-t", ",".join(BENCHMARKS))
        self.assertEqual(len(done), len(BENCHMARKS) + 1, done)  # LRANGE is preceded by an LPUSH
        self.assertTrue(all(float(rate) > 0 for _, rate in done))

    def test_benchmark_with_pipelines_and_random_keys(self):
        done = self.bench("-n", "20000", "-P", "16", "-r", "1000", "-t", "set,get,incr,hset,mset")
        self.assertEqual(len(done), 5)
        self.assertGreater(int(self.cli("DBSIZE")), 900)


if __name__ == "__main__":
    unittest.main()
