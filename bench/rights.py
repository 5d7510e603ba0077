#!/usr/bin/env python3
"""AUTH.VERIFY and RBAC.CAN of ours against what people do with redis-server instead.

Usage: rights.py [--rounds N] [--quick]     prints the section; run.py calls section()

AUTH.VERIFY checks a signed token, its session and its user; the rival looks an opaque token up with
GET, and leaves the rest to its client.  RBAC.CAN decides about one of 1,000 users and a key; the
rival is asked with ACL DRYRUN whether one of its users may.  The generator is redis-benchmark on
processor 1 for both.
"""
import argparse
import functools
import os
import subprocess

from measure import BUILD, Refused, ask, median, needs, pin, ratio, redis_benchmark, rounds_of
from server import Server

OURS = os.path.join(BUILD, "bin/helios-atlasd")
FOLDER = os.path.join(BUILD, "bin/modules")
REDIS = "/usr/bin/redis-server"
USERS = 1000
CONNECTIONS = 50
FLAGS = ["--appendonly", "no"]


def pipe(server, lines):
    done = subprocess.run(["redis-cli", "-p", str(server.port)], input="\n".join(lines), text=True,
                          stdout=subprocess.PIPE, check=True)
    if "ERR" in done.stdout:
        raise Refused(done.stdout.strip()[:200])


def set_up(ours, redis):
    """Users and rights on both sides; the token of one."""
    ask(ours, "RBAC.ROLE", "SET", "writer", "kv:get@app:*", "kv:set@app:*")
    pipe(ours, [f"RBAC.GRANT user{n:012d} writer" for n in range(USERS)])
    pipe(redis, [f"ACL SETUSER user{n:012d} on nopass ~app:* +get +set" for n in range(USERS)])
    ask(ours, "AUTH.REGISTER", "ada", "correct horse battery")
    token = next(word for word in ask(ours, "AUTH.LOGIN", "ada", "correct horse battery").split()
                 if word.count(".") == 2)
    ask(redis, "SET", "session:" + token[-43:], "ada")
    return token


def rows(rounds, quick):
    needs("redis-benchmark", "redis-cli")
    with Server(*FLAGS, "--loadmodule", os.path.join(FOLDER, "auth.so"), "--loadmodule",
                os.path.join(FOLDER, "rbac.so"), path=OURS) as ours, \
            Server(*FLAGS, path=REDIS) as redis:
        pin(ours.process.pid, 0)
        pin(redis.process.pid, 0)
        token = set_up(ours, redis)
        cases = [("AUTH.VERIFY", ["AUTH.VERIFY", token], "GET", ["GET", "session:" + token[-43:]]),
                 ("RBAC.CAN", ["RBAC.CAN", "user__rand_int__", "kv:get", "app:1"], "ACL DRYRUN",
                  ["ACL", "DRYRUN", "user__rand_int__", "GET", "app:1"])]
        for name, command, rival_name, rival in cases:
            for pipeline in (1, 16):
                ops = (20000 if quick else 40000) * (1 if pipeline == 1 else 4)
                both = rounds_of(
                    lambda _: redis_benchmark(ours, command, ops, pipeline, CONNECTIONS, USERS),
                    lambda _: redis_benchmark(redis, rival, ops, pipeline, CONNECTIONS, USERS),
                    rounds)
                yield [name, rival_name, str(pipeline),
                       f"{median(both[0], 'ops_per_second'):,.0f}",
                       f"{median(both[1], 'ops_per_second'):,.0f}", ratio(both, "ops_per_second"),
                       f"{median(both[0], 'cpu_us'):.2f}", f"{median(both[1], 'cpu_us'):.2f}",
                       ratio(both, "cpu_us"), f"{median(both[0], 'p99_us'):,.0f}"]


def section(args, out):
    out("## Tokens and rights", "", f"{CONNECTIONS} connections, no log.  The token is a known "
        "one, as at every request of a session but its first.", "",
        "| ours | redis | pipeline | ours op/s | redis op/s | ratio (least-greatest) | ours us/op "
        "| redis us/op | ratio (least-greatest) | ours p99 us |",
        "|---|---|---|---|---|---|---|---|---|---|")
    try:
        for row in rows(args.rounds, args.quick):
            out("| " + " | ".join(row) + " |")
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
