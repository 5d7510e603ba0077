#!/usr/bin/env python3
"""A job pushed, taken and acknowledged: ours against beanstalkd.

Usage: jobs.py [--rounds N] [--quick]     prints the section; run.py calls section()

An operation is the whole cycle, three requests.  `always`: what was acknowledged is on the disk on
both sides (beanstalkd -f 0 syncs after every write); `no log`: memory only.
"""
import argparse
import functools
import os
import subprocess
import tempfile

from measure import (BUILD, Refused, generate, median, needs, options_of, pin, ratio, rounds_of,
                     sync_latency)
from server import Server, die_with_parent, free_port, wait_for

OURS = os.path.join(BUILD, "bin/helios-atlasd")
MODULE = os.path.join(BUILD, "bin/modules/jobs.so")
JOBLOAD = os.path.join(BUILD, "bench/jobload")
BEANSTALKD = "beanstalkd"
ROUND_S = 0.6
CONNECTIONS = (1, 50)
CASES = {  # flags of ours, flags of beanstalkd
    "no log": (["--appendonly", "no"], []),
    "always": (["--appendonly", "yes", "--appendfsync", "always"], ["-f", "0"]),
}


class Beanstalkd:
    """A server of its own, with a log in a directory of its own when it is to have one."""

    def __init__(self, flags):
        self.dir = tempfile.TemporaryDirectory(prefix="helios-bench-")
        self.port = free_port()
        log = ["-b", self.dir.name] if flags else []
        self.process = subprocess.Popen(
            [BEANSTALKD, "-l", "127.0.0.1", "-p", str(self.port), *log, *flags],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        wait_for(self.answers, what="beanstalkd")

    def answers(self):
        return subprocess.run([JOBLOAD, "--protocol", "beanstalk", "--port", str(self.port),
                               "--ops", "1"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()


def cycles(server, protocol, ops, connections):
    argv = [JOBLOAD, *options_of({"protocol": protocol, "port": server.port, "ops": ops,
                                  "connections": min(connections, ops)})]
    return generate(argv, [server.process.pid], ops)


def case(args, name, connections):
    """Cells of a row."""
    ours_flags, rival_flags = CASES[name]
    with Server("--loadmodule", MODULE, "--jobs.result-retention", "0", *ours_flags,
                path=OURS) as ours, Beanstalkd(rival_flags) as rival:
        pin(ours.process.pid, 0)
        pin(rival.process.pid, 0)
        probe = cycles(rival, "beanstalk", 20 * connections, connections)
        ops = int(max(probe["ops_per_second"] * (0.2 if args.quick else ROUND_S), 20 * connections))
        both = rounds_of(lambda _: cycles(ours, "resp", ops, connections),
                         lambda _: cycles(rival, "beanstalk", ops, connections), args.rounds)
        disk = sync_latency(ours.dir)[0]
    return [f"{median(both[0], 'ops_per_second'):,.0f}",
            f"{median(both[1], 'ops_per_second'):,.0f}",
            ratio(both, "ops_per_second"),
            f"{median(both[0], 'cpu_us'):.1f}", f"{median(both[1], 'cpu_us'):.1f}",
            ratio(both, "cpu_us"), f"{median(both[0], 'cycle_us', 'p99'):,.0f}",
            f"{median(both[1], 'cycle_us', 'p99'):,.0f}", f"{disk:,.0f}",
            f"{median(both[0] + both[1], 'generator_cpu'):.2f}"]


def section(args, out):
    out("## Jobs", "", "A job of 100 bytes pushed, pulled and acknowledged, against beanstalkd: "
        "put, reserve, delete.  An operation is all three.", "",
        "| log | connections | ours op/s | beanstalkd op/s | ratio (least-greatest) | ours us/op "
        "| beanstalkd us/op | ratio (least-greatest) | ours p99 us | beanstalkd p99 us | "
        "fdatasync us | generator |", "|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in CASES:
        for connections in CONNECTIONS:
            try:
                needs(BEANSTALKD)
                cells = case(args, name, connections)
            except Refused as e:
                cells = [f"refused: {e}"]
            out(f"| {name} | {connections} | " + " | ".join(cells) + " |")
    out("")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--quick", action="store_true")
    section(parser.parse_args(), functools.partial(print, sep="\n"))


if __name__ == "__main__":
    main()
