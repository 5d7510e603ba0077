#!/usr/bin/python3
"""Measure this server against redis-server and etcd, in pairs, and write bench/RESULTS.md.

Usage: run.py [--quick] [--rounds N] [--only SECTION,...] [--callgrind] [--out FILE]
       run.py --guard [--ours PROGRAM]
bench/README.md says how it measures and why.
"""
import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time

import etcd
import jobs
import proxy
import ratelimit
import rights
from measure import (BUILD, HERE, LOADGEN, ROOT, Refused, ask, generate, median, options_of, pin,
                     ratio, rounds_of)
from server import Server

OURS = os.path.join(BUILD, "bin/helios-atlasd")
REDIS = "/usr/bin/redis-server"
SLOWSYNC = os.path.join(BUILD, "bench/slowsync.so")
OVERHEAD = os.path.join(BUILD, "bin/modules/overhead.so")
SECTIONS = ("throughput", "slow-disk", "modules", "jobs", "proxy", "ratelimit", "rights", "memory",
            "restart", "cluster", "failover")
GENERATOR_MAX = 0.5   # of a processor: more, and the generator may be what is measured,
SERVER_MIN = 0.9      # unless the server itself had no time left
ROUNDS = 11
KEYS = 100000
ROUND_S = 0.6         # a round's length, set by the number of operations
SLOW_US = 2000
SLOW_DISK_BOUND = (
    "Answers on a connection keep their order, so a batch waits for its first SET: with 16",
    "requests four batches of five (1 - 0.9^16 = 0.81) hold one and take a whole flush, on any",
    "server.  Even with nothing else to wait for that is less than 500,000 op/s, and a p99 of no",
    "less than a flush.  What lies between that and ours is a batch waiting for a place among the",
    "flushes under way; where a ratio at pipeline 16 is below 2.5, or a p99 above a third, that is",
    "where the time goes.")
COUNTED_OPS = 20000
INSTRUCTIONS_MAX = {"SET": 2000, "GET": 2000}  # an operation, at pipeline 16: --guard
PERSISTENCE = {
    "none": ["--appendonly", "no"],
    "every second": ["--appendonly", "yes", "--appendfsync", "everysec"],
    "always": ["--appendonly", "yes", "--appendfsync", "always"],
}


def load(server, ops, **options):
    """One run of the generator; its report with the server's processor time beside it."""
    options.setdefault("keys", KEYS)
    argv = [LOADGEN, "--port", str(server.port), "--ops", str(ops), *options_of(options)]
    return generate(argv, [server.process.pid], ops)


def start(path, flags, env=None):
    server = Server(*flags, path=path, env=env)
    pin(server.process.pid, 0)
    return server


def fill(server, keys=KEYS):
    subprocess.run([LOADGEN, "--port", str(server.port), "--ops", str(keys), "--keys", str(keys),
                    "--sequential", "--pipeline", "64"], check=True, stdout=subprocess.DEVNULL)


def pairs(ours, redis, rounds, ops, **options):
    """Reports of both servers, in paired rounds."""
    return rounds_of(lambda n: load(ours, ops, seed=n, **options),
                     lambda n: load(redis, ops, seed=n, **options), rounds)


def throughput(args, out):
    out("## Throughput and processor time", "",
        "50 connections.  Ratios are ours over redis-server: of throughput above 1 is better, of "
        "processor time below 1 is.", "",
        "| persistence | operation | pipeline | ours op/s | redis op/s | ratio (least-greatest) | "
        "ours us/op | redis us/op | ratio (least-greatest) | ours p99 us | redis p99 us "
        "| generator |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in ("none", "always") if args.quick else PERSISTENCE:
        with start(OURS, PERSISTENCE[name]) as ours, start(REDIS, PERSISTENCE[name]) as redis:
            fill(ours)
            fill(redis)
            for percent, op in ((0, "set"), (100, "get")):
                for pipeline in (1, 16) if args.quick else (1, 16, 128):
                    row = f"| {name} | {op.upper()} | {pipeline} |"
                    options = {"get_percent": percent, "pipeline": pipeline}
                    try:
                        probe = load(redis, 200 * pipeline + 2000, **options)
                        ops = int(max(probe["ops_per_second"] * ROUND_S, 50 * pipeline))
                        both = pairs(ours, redis, args.rounds, ops, **options)
                    except Refused as e:
                        out(f"{row} refused: {e} |")
                        continue
                    out(f"{row} {median(both[0], 'ops_per_second'):,.0f} "
                        f"| {median(both[1], 'ops_per_second'):,.0f} "
                        f"| {ratio(both, 'ops_per_second')} "
                        f"| {median(both[0], 'cpu_us'):.2f} | {median(both[1], 'cpu_us'):.2f} "
                        f"| {ratio(both, 'cpu_us')} "
                        f"| {median(both[0], op + '_us', 'p99'):,.0f} "
                        f"| {median(both[1], op + '_us', 'p99'):,.0f} "
                        f"| {median(both[0] + both[1], 'generator_cpu'):.2f} |")
    out("")


def slow_disk(args, out):
    out(f"## A disk that takes {SLOW_US / 1000:.0f} ms to flush", "",
        "Persistence always, 90 % GET and 10 % SET, 50 connections.", "",
        "| pipeline | ours op/s | redis op/s | ratio (least-greatest) | ours GET p50 / p99 us | "
        "redis GET p50 / p99 us | ours SET p50 / p99 us | redis SET p50 / p99 us |",
        "|---|---|---|---|---|---|---|---|")
    env = {"LD_PRELOAD": SLOWSYNC, "SLOWSYNC_US": str(SLOW_US)}
    flags = PERSISTENCE["always"]
    with start(OURS, flags, env) as ours, start(REDIS, flags, env) as redis:
        fill(ours)
        fill(redis)
        for pipeline in (1, 16):
            try:
                both = pairs(ours, redis, args.rounds, 10000 * pipeline, pipeline=pipeline,
                             get_percent=90)
            except Refused as e:
                out(f"| {pipeline} | refused: {e} |")
                continue
            cells = [f"{median(side, op, 'p50'):,.0f} / {median(side, op, 'p99'):,.0f}"
                     for op in ("get_us", "set_us") for side in both]
            out(f"| {pipeline} | {median(both[0], 'ops_per_second'):,.0f} "
                f"| {median(both[1], 'ops_per_second'):,.0f} | {ratio(both, 'ops_per_second')} | "
                + " | ".join(cells) + " |")
    out("", *SLOW_DISK_BOUND, "")


def modules(args, out):
    out("## Commands of modules", "", "The module `overhead` in both servers: a command that opens "
        "its key, and one that calls GET or SET, beside the server's own; no persistence, "
        "pipeline 16, 50 connections.", "",
        "| command | ours us/op | redis us/op | ratio (least-greatest) "
        "| ours over own command | redis over own command |",
        "|---|---|---|---|---|---|")
    flags = [*PERSISTENCE["none"], "--loadmodule", OVERHEAD]
    with start(OURS, flags) as ours, start(REDIS, flags) as redis:
        fill(ours)
        fill(redis)
        for percent, op in ((100, "get"), (0, "set")):
            own = None
            for command in (op, "overhead." + op, "overhead.call" + op):
                both = pairs(ours, redis, args.rounds, 50000 if args.quick else 400000,
                             get_percent=percent, pipeline=16, **{op + "_command": command})
                cpu = [median(side, "cpu_us") for side in both]
                own = own or cpu
                out(f"| {command.upper()} | {cpu[0]:.2f} | {cpu[1]:.2f} | {ratio(both, 'cpu_us')} "
                    f"| {cpu[0] - own[0]:+.2f} us | {cpu[1] - own[1]:+.2f} us |")
    out("")


def info(server, field):
    for line in ask(server, "INFO").splitlines():
        if line.startswith(field + ":"):
            return line.split(":", 1)[1].strip()
    return ""


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(args, out):
    keys = 100000 if args.quick else 1000000
    out("## Memory", "", f"{keys:,} keys of 16 bytes with values of 64 bytes, no persistence.", "",
        "| server | bytes per key by used_memory | bytes per key by resident memory |",
        "|---|---|---|")
    for name, path in (("ours", OURS), ("redis", REDIS)):
        with start(path, PERSISTENCE["none"]) as server:
            used, rss = int(info(server, "used_memory") or 0), resident(server)
            fill(server, keys)
            used = (int(info(server, "used_memory") or 0) - used) / keys
            out(f"| {name} | {used:.1f} | {(resident(server) - rss) / keys:.1f} |")
    out("")


def compact(server):
    """Make a snapshot; seconds until it is complete."""
    begin = time.monotonic()
    answer = ask(server, "BGREWRITEAOF")
    if "ERR" in answer:
        answer = ask(server, "BGSAVE")
        if "ERR" in answer:
            raise Refused(answer)
    while "1" in (info(server, "aof_rewrite_in_progress"), info(server, "rdb_bgsave_in_progress")):
        time.sleep(0.01)
    return time.monotonic() - begin


def restarted(server, keys):
    """Kill, start, seconds until every key is there."""
    server.kill()
    begin = time.monotonic()
    server.start()
    seconds = time.monotonic() - begin
    found = int(ask(server, "DBSIZE"))
    if found != keys:
        raise Refused(f"{found} of {keys} keys are there after a restart")
    return seconds


def restart(args, out):
    keys = 100000 if args.quick else 1000000
    out("## Restart and snapshot", "", f"{keys:,} keys, persistence every second, kill -9.", "",
        "| server | restart from the log s | snapshot s | restart from the snapshot s |",
        "|---|---|---|---|")
    for name, path in (("ours", OURS), ("redis", REDIS)):
        flags = [*PERSISTENCE["every second"]]
        if path == REDIS:
            flags += ["--auto-aof-rewrite-percentage", "0"]
        with start(path, flags) as server:
            fill(server, keys)
            time.sleep(1.5)  # what `every second` promises
            try:
                cells = [restarted(server, keys), compact(server), restarted(server, keys)]
                out(f"| {name} | " + " | ".join(f"{s:.2f}" for s in cells) + " |")
            except Refused as e:
                out(f"| {name} | refused: {e} |")
    out("")


def count(path, ops, percent):
    """Instructions that a server executes for its start, `ops` operations and its end."""
    with tempfile.TemporaryDirectory() as tmp:
        wrapper, result = os.path.join(tmp, os.path.basename(path)), os.path.join(tmp, "out")
        with open(wrapper, "w") as f:
            f.write(f"#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file={result} "
                    f"{path} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        with Server(*PERSISTENCE["none"], path=wrapper) as server:
            fill(server, 1000)
            load(server, ops, keys=1000, get_percent=percent, pipeline=16)
            server.stop()
        with open(result) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("totals:"))


def instructions(path, percent):
    """Per operation at pipeline 16: the difference of two runs, so that start and end cancel."""
    few, many = (count(path, ops, percent) for ops in (COUNTED_OPS, 2 * COUNTED_OPS))
    return (many - few) / COUNTED_OPS


def callgrind(_, out):
    out("## Instructions per operation", "", "callgrind, pipeline 16, no persistence: the "
        "difference of two runs, so that start and end cancel.", "",
        "| operation | ours | redis |", "|---|---|---|")
    for percent, op in ((0, "SET"), (100, "GET")):
        cells = [f"{instructions(path, percent):,.0f}" for path in (OURS, REDIS)]
        out(f"| {op} | {' | '.join(cells)} |")
    out("")


def guard():
    """1 when an operation of ours takes more instructions than it should ever need."""
    failed = 0
    for percent, op in ((0, "SET"), (100, "GET")):
        took, most = instructions(OURS, percent), INSTRUCTIONS_MAX[op]
        print(f"{op}: {took:,.0f} instructions, at most {most:,}")
        failed |= not 0 < took <= most
    return int(failed)


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")),
                     platform.machine())
    commit = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%h %cs"],
                            stdout=subprocess.PIPE, text=True).stdout.strip()
    version = subprocess.run([REDIS, "--version"], stdout=subprocess.PIPE, text=True).stdout
    return [f"- machine: {model}, {os.cpu_count()} processors, Linux {platform.release()}",
            f"- ours: commit {commit}; rival: {version.split(' sha')[0].strip()}",
            f"- load of the machine before the run: {os.getloadavg()[0]:.2f}"]


def main():
    parser = argparse.ArgumentParser(description="measure against redis-server and etcd")
    parser.add_argument("--quick", action="store_true", help="few rounds, small sets: a smoke test")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--callgrind", action="store_true")
    parser.add_argument("--guard", action="store_true",
                        help="only check that our instructions per operation are within bounds")
    parser.add_argument("--ours", help="another program in place of ours")
    parser.add_argument("--out", default="")
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else ROUNDS)
    if args.ours:
        for module in (sys.modules[__name__], etcd, jobs, proxy, ratelimit, rights):
            module.OURS = args.ours
    if args.guard:
        return guard()
    lines = []

    def out(*texts):
        lines.extend(texts)
        print(*texts, sep="\n", flush=True)

    out("# Results", "", f"Made by `./dev bench {' '.join(sys.argv[1:])}`".rstrip() + "; "
        "README.md in this folder says how to read it.", "", *machine(),
        f"- {args.rounds} paired rounds of about {ROUND_S} s for each row", "")
    for section in args.only.split(","):
        {"throughput": throughput, "slow-disk": slow_disk, "modules": modules, "memory": memory,
         "jobs": jobs.section, "proxy": proxy.section, "ratelimit": ratelimit.section,
         "rights": rights.section,
         "restart": restart, "cluster": etcd.throughput,
         "failover": etcd.failover}[section](args, out)
    if args.callgrind:
        callgrind(args, out)
    path = args.out or (os.path.join(HERE, "RESULTS.md") if not args.quick else "")
    if path:
        with open(path, "w") as f:
            f.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
