#!/usr/bin/env python3
"""RATELIMIT.TAKE of ours against a token bucket in Lua on redis-server 7.0.

Usage: ratelimit.py [--rounds N] [--quick]     prints the section; run.py calls section()

Both sides take one token of one of 100,000 buckets that are never empty, so each request writes.
The generator is redis-benchmark on processor 1, the same program with the same arguments for both;
the servers keep to processor 0.  README.md says how pairs are compared.
"""
import argparse
import functools
import os

from measure import BUILD, Refused, ask, median, needs, pin, ratio, redis_benchmark, rounds_of
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


def rate_of(server, command, ops, pipeline):
    return redis_benchmark(server, command, ops, pipeline, CONNECTIONS, BUCKETS)


def rows(rounds, ops):
    """[case, pipeline, ours/s, redis/s, ratio, processor time ratio, p99 ours, p99 redis]"""
    needs("redis-benchmark", "redis-cli")
    found = []
    for name, pipeline, ours_flags, redis_flags, share in CASES:
        with Server("--loadmodule", MODULE, *ours_flags, path=OURS) as ours, \
                Server(*redis_flags, path=REDIS) as redis:
            pin(ours.process.pid, 0)
            pin(redis.process.pid, 0)
            sha = ask(redis, "SCRIPT", "LOAD", SCRIPT)
            take = ["RATELIMIT.TAKE", "b:__rand_int__", str(CAPACITY), str(RATE), "1"]
            lua = ["EVALSHA", sha, "1", "b:__rand_int__", str(CAPACITY), str(RATE), "1"]
            count = ops // share
            reports = rounds_of(lambda _: rate_of(ours, take, count, pipeline),
                                lambda _: rate_of(redis, lua, count, pipeline), rounds)
        found.append([name, pipeline, median(reports[0], "ops_per_second"),
                      median(reports[1], "ops_per_second"), ratio(reports, "ops_per_second"),
                      ratio(reports, "cpu_us"), median(reports[0], "p99_us"),
                      median(reports[1], "p99_us")])
    return found


def section(args, out):
    out("## Rate limits", "", f"One token of one of {BUCKETS:,} buckets, {CONNECTIONS} "
        "connections: RATELIMIT.TAKE against a token bucket in Lua on redis-server.", "",
        "| log | pipeline | TAKE/s | Lua/s | ratio (least-greatest) | processor time an operation, "
        "ratio | p99 us | Lua's p99 us |", "|---|---|---|---|---|---|---|---|")
    try:
        for name, pipeline, ours, theirs, times, cpu, p99, lua99 in rows(
                args.rounds, 10000 if args.quick else 60000):
            out(f"| {name} | {pipeline} | {ours:,.0f} | {theirs:,.0f} | {times} | {cpu} | "
                f"{p99:,.0f} | {lua99:,.0f} |")
    except Refused as e:
        out(f"| refused: {e} |")
    out("")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--quick", action="store_true")
    section(parser.parse_args(), functools.partial(print, sep="\n"))


if __name__ == "__main__":
    main()
