"""What all measurements share: processor time, places, paired rounds, how figures are printed."""
import csv
import glob
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/support"))
from server import ROOT  # noqa: E402

BUILD = os.environ.get("HELIOS_BUILD") or os.path.join(ROOT, "build")
LOADGEN = os.path.join(BUILD, "bench/loadgen")
GENERATOR_MAX = 0.5   # of a processor: more, and the generator may be what is measured,
SERVER_MIN = 0.9      # unless the server itself had no time left
SYNCS = 200           # of which the latency of the disk is the median


class Refused(Exception):
    """A measurement that would not mean what it says."""


def cpu_seconds(*pids):
    """Processor time of all threads of these processes that live now."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path) as f:
                total += int(f.read().split()[0])
    return total / 1e9


def pin(pid, core):
    """Keep every thread of a process on one core, those to come included."""
    if (os.cpu_count() or 1) < 2:
        return
    for path in glob.glob(f"/proc/{pid}/task/*"):
        os.sched_setaffinity(int(os.path.basename(path)), {core})


def generate(argv, pids, ops):
    """One run of a generator on processor 1; its report with the servers' processor time beside
    it: microseconds for an operation, and their share of a processor."""
    if (os.cpu_count() or 1) > 1:
        argv = ["taskset", "-c", "1", *argv]
    before = cpu_seconds(*pids)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    report = json.loads(done.stdout)
    report["cpu_us"] = (cpu_seconds(*pids) - before) / ops * 1e6
    report["server_cpu"] = report["cpu_us"] * ops / 1e6 / report["seconds"]
    report["busy"] = report["generator_cpu"] > GENERATOR_MAX and report["server_cpu"] < SERVER_MIN
    return report


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Refused(f"there is no {program}: ./dev setup bench")


def redis_benchmark(server, command, ops, pipeline, connections, keys):
    """One run of redis-benchmark on processor 1; rates, processor time and latency."""
    argv = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
    argv += ["redis-benchmark", "-p", str(server.port), "-n", str(ops), "-c", str(connections),
             "-P", str(pipeline), "-r", str(keys), "--csv", *command]
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    used = cpu_seconds(server.process.pid) - before
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if done.returncode != 0 or len(rows) != 1 or "rror" in done.stderr:
        raise Refused(f"{done.stderr.strip()} {done.stdout.strip()[:200]}")
    return {"ops_per_second": float(rows[0]["rps"]), "cpu_us": used / ops * 1e6,
            "p99_us": float(rows[0]["p99_latency_ms"]) * 1000, "busy": False}


def ask(server, *command):
    """What redis-cli says to one command."""
    return subprocess.run(["redis-cli", "-p", str(server.port), *command], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          timeout=300).stdout.strip()


def options_of(options):
    """{"get_percent": 3, "misses": True} as --get-percent 3 --misses."""
    argv = []
    for name, value in options.items():
        argv += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    return argv


def rounds_of(ours, theirs, rounds):
    """Reports of both sides, round by round, the order of the two changing each round.  Each side
    is called with the number of the round."""
    reports = ([], [])
    for n in range(rounds):
        for which in ((0, 1), (1, 0))[n % 2]:
            reports[which].append((ours, theirs)[which](n + 1))
    for report in reports[1]:
        if report["busy"]:
            raise Refused(f"the generator used {report['generator_cpu']:.2f} of a processor, "
                          f"the rival {report['server_cpu']:.2f}")
    return reports


def median(reports, *path):
    values = []
    for report in reports:
        for name in path:
            report = report[name]
        values.append(report)
    return statistics.median(values)


def spread(values, mark=""):
    """Median, least and greatest of ratios."""
    return f"{statistics.median(values):.2f}{mark} ({min(values):.2f}-{max(values):.2f})"


def ratio(reports, field):
    """Spread of the ratios of paired rounds, ours over theirs.

    "+" where the generator was busy with our server alone: ours could have done more.
    """
    mark = "+" if field == "ops_per_second" and any(a["busy"] for a in reports[0]) else ""
    return spread([a[field] / b[field] for a, b in zip(*reports)], mark)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def sync_latency(folder):
    """Microseconds that fdatasync takes now for a small append: (median, 99th percentile)."""
    path = os.path.join(folder, "sync-latency")
    took = []
    with open(path, "wb", buffering=0) as f:
        for _ in range(SYNCS):
            f.write(b"x" * 128)
            begin = time.perf_counter()
            os.fdatasync(f.fileno())
            took.append((time.perf_counter() - begin) * 1e6)
    os.unlink(path)
    return percentile(took, 50), percentile(took, 99)
