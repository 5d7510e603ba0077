#!/usr/bin/env python3
"""RATELIMIT.TAKE of ours against a token bucket in Lua on redis-server 7.0.

Usage: ratelimit.py [--rounds N] [--ops N]     prints rows of a table; run.py calls rows()

Both sides take one token of one of 100,000 buckets that are never empty, so each request writes.
The generator is redis-benchmark on processor 1, the same program with the same arguments for both;
the servers keep to processor 0.  README.md says how pairs are compared.
"""
import argparse
import csv
import io
import os
import shutil
import subprocess
import sys

from measure import BUILD, Refused, cpu_seconds, median, pin, ratio, rounds_of
from server import Server

OURS = os.path.join(BUILD, "bin/helios-atlasd")
MODULE = os.path.join(BUILD, "bin/modules/ratelimit.so")
REDIS = "/usr/bin/redis-server"
BUCKETS = 100000
CONNECTIONS = 50
CAPACITY, RATE = 1000000, 1000
CASES = [  # name, pipeline, flags of ours, flags of redis, share of the operations
    ("no log", 1, ["--appendonly", "no"], ["--appendonly", "no"], 1),
    ("no log", 16, ["--appendonly", "no"], ["--appendonly", "no"], 1),
    ("always", 1, ["--appendonly", "yes", "--appendfsync", "always"],
     ["--appendonly", "yes", "--appendfsync", "always"], 5),
    ("always", 16, ["--appendonly", "yes", "--appendfsync", "always"],
     ["--appendonly", "yes", "--appendfsync", "always"], 2),
]

# A bucket as people write it: a hash of tokens and time, refilled with fractions, gone when full.
SCRIPT = """
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(state[1]) or capacity
local at = tonumber(state[2]) or ms
tokens = math.min(capacity, tokens + math.max(0, ms - at) * rate / 1000)
local allowed = tokens >= cost
if allowed then
  tokens = tokens - cost
  redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', ms)
  redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - tokens) * 1000 / rate))
end
return {allowed and 1 or 0, math.floor(tokens)}
"""


def load(server, command, ops, pipeline):
    """One run of redis-benchmark; rates, processor time and latency."""
    argv = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
    argv += ["redis-benchmark", "-p", str(server.port), "-n", str(ops), "-c", str(CONNECTIONS),
             "-P", str(pipeline), "-r", str(BUCKETS), "--csv", *command]
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    used = cpu_seconds(server.process.pid) - before
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if done.returncode != 0 or len(rows) != 1 or "rror" in done.stderr:
        raise Refused(f"{done.stderr.strip()} {done.stdout.strip()[:200]}")
    return {"ops_per_second": float(rows[0]["rps"]), "cpu_us": used / ops * 1e6,
            "p99_us": float(rows[0]["p99_latency_ms"]) * 1000, "busy": False}


def command_line(server, *words):
    """What redis-cli says to one command."""
    done = subprocess.run(["redis-cli", "-p", str(server.port), *words], stdout=subprocess.PIPE,
                          text=True, check=True)
    return done.stdout.strip()


def rows(rounds, ops):
    """[case, pipeline, ours/s, redis/s, ratio, processor time ratio, p99 ours, p99 redis]"""
    for program in ("redis-benchmark", "redis-cli"):
        if shutil.which(program) is None:
            raise Refused(f"there is no {program}: ./dev setup bench")
    found = []
    for name, pipeline, ours_flags, redis_flags, share in CASES:
        with Server("--loadmodule", MODULE, *ours_flags, path=OURS) as ours, \
                Server(*redis_flags, path=REDIS) as redis:
            pin(ours.process.pid, 0)
            pin(redis.process.pid, 0)
            sha = command_line(redis, "SCRIPT", "LOAD", SCRIPT)
            take = ["RATELIMIT.TAKE", "b:__rand_int__", str(CAPACITY), str(RATE), "1"]
            lua = ["EVALSHA", sha, "1", "b:__rand_int__", str(CAPACITY), str(RATE), "1"]
            count = ops // share
            reports = rounds_of(lambda _: load(ours, take, count, pipeline),
                                lambda _: load(redis, lua, count, pipeline), rounds)
        found.append([name, pipeline, median(reports[0], "ops_per_second"),
                      median(reports[1], "ops_per_second"), ratio(reports, "ops_per_second"),
                      ratio(reports, "cpu_us"), median(reports[0], "p99_us"),
                      median(reports[1], "p99_us")])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--ops", type=int, default=200000)
    args = parser.parse_args()
    print("| log | pipeline | TAKE/s | Lua/s | ratio | CPU per operation | p99 us | Lua's |")
    print("|---|---|---|---|---|---|---|---|")
    for name, pipeline, ours, theirs, times, cpu, p99, lua99 in rows(args.rounds, args.ops):
        print(f"| {name} | {pipeline} | {ours:,.0f} | {theirs:,.0f} | {times} | {cpu} | "
              f"{p99:,.0f} | {lua99:,.0f} |")


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(f"ratelimit.py: {refusal}")
