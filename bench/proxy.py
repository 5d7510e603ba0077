#!/usr/bin/env python3
"""The proxy module against nginx and HAProxy: requests per second of processor time, and p99.

Usage: proxy.py [--rounds N] [--quick]     prints the section; run.py calls section()

The generator is wrk, the backend nginx, both on processor 1; each proxy keeps to processor 0 with
one worker (ours with the whole server around it).  In each round all three are measured, in an
order that changes from round to round.  The figure to compare is requests per second of the proxy's
own processor time: where a proxy is fast, generator and backend limit the requests per second.
"""
import argparse
import contextlib
import functools
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from measure import BUILD, Refused, ask, cpu_seconds, needs, pin, spread
from server import Server

OURS = os.path.join(BUILD, "bin/helios-atlasd")
MODULE = os.path.join(BUILD, "bin/modules/proxy.so")
PLACES = "/usr/sbin:/usr/bin:/usr/local/sbin"
CONNECTIONS = 64
CASES = [("13 bytes", "/small"), ("16 KiB", "/large")]
START_S = 10

BACKEND = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; sendfile on;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}; }} }}
"""
NGINX = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  upstream b {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Host $host; }} }} }}
"""
HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{backend}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    found = shutil.which(name, path=PLACES)
    if found is None:
        raise Refused(f"there is no {name}")
    return found


def family(process):
    """A process and its children."""
    pid = process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [pid, *map(int, f.read().split())]


def answers(port):
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)  # a step of a bounded wait
    raise Refused(f"nothing answers on port {port}")


def start(stack, argv_of, config, core, **values):
    """A program with a configuration in a folder of its own: (port, pids)."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="helios-bench-"))
    os.chmod(folder, 0o755)
    port = free_port()
    path = os.path.join(folder, "conf")
    with open(path, "w") as f:
        f.write(config.format(dir=folder, port=port, **values))
    for name, size in (("small", 13), ("large", 16384), ("health", 0)):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(b"x" * size)
    process = subprocess.Popen(argv_of(path, folder), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    answers(port)
    pids = family(process)
    for pid in pids:
        pin(pid, core)
    return port, pids


def start_nginx(stack, config, core, **values):
    nginx = program("nginx")
    return start(stack, lambda path, folder: [nginx, "-c", path, "-p", folder], config, core,
                 **values)


def start_ours(stack, backend):
    port = free_port()
    server = stack.enter_context(
        Server("--loadmodule", MODULE, "--proxy.listen", f"127.0.0.1:{port}",
               "--proxy.requests-per-connection", "1000000000", path=OURS))
    ask(server, "PROXY.BACKEND", "ADD", "b", f"127.0.0.1:{backend}")
    ask(server, "PROXY.ROUTE", "ADD", "all", "BACKENDS", "b")
    answers(port)
    pin(server.process.pid, 0)
    return port, [server.process.pid]


UNITS = {"us": 1, "ms": 1e3, "s": 1e6}


def measure(port, pids, path, seconds):
    """One run of wrk: requests per second, per second of processor time, p99 in microseconds."""
    argv = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--latency",
            f"http://127.0.0.1:{port}{path}"]
    if (os.cpu_count() or 1) > 1:
        argv = ["taskset", "-c", "1", *argv]
    before = cpu_seconds(*pids)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    cpu = cpu_seconds(*pids) - before
    if done.returncode != 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise Refused(f"wrk: {done.stdout.strip()[-200:]}")
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    return {"ops_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            "per_cpu_second": requests / cpu, "p99_us": float(p99[1]) * UNITS[p99[2]]}


def rows(rounds, seconds):
    """[case, name, requests/s, requests per processor second, p99 us, ratio of ours to it]"""
    needs("wrk", "redis-cli")
    found = []
    with contextlib.ExitStack() as stack:
        backend, _ = start_nginx(stack, BACKEND, 1)
        haproxy = program("haproxy")
        sides = {
            "helios": start_ours(stack, backend),
            "nginx": start_nginx(stack, NGINX, 0, backend=backend),
            "haproxy": start(stack, lambda path, folder: [haproxy, "-db", "-f", path], HAPROXY, 0,
                             backend=backend),
        }
        names = list(sides)
        for case, path in CASES:
            reports = {name: [] for name in names}
            for port, pids in sides.values():
                measure(port, pids, path, 1)  # connections, caches
            for n in range(rounds):
                for i in range(len(names)):
                    name = names[(n + i) % len(names)]
                    reports[name].append(measure(*sides[name], path, seconds))
            for name in names:
                ours_over = [a["per_cpu_second"] / b["per_cpu_second"]
                             for a, b in zip(reports["helios"], reports[name])]
                found.append([case, name] +
                             [statistics.median(r[key] for r in reports[name])
                              for key in ("ops_per_second", "per_cpu_second", "p99_us")] +
                             [spread(ours_over)])
    return found


def section(args, out):
    out("## Proxy", "", f"GET through a reverse proxy on one processor, {CONNECTIONS} connections "
        "kept alive, nginx as the backend; the other processor is wrk's and the backend's.", "",
        "| response | proxy | requests/s | requests per second of its processor time | p99 us | "
        "ours to it, per processor time (least-greatest) |", "|---|---|---|---|---|---|")
    try:
        for case, name, rate, per_cpu, p99, times in rows(min(args.rounds, 5),
                                                          1 if args.quick else 3):
            out(f"| {case} | {name} | {rate:,.0f} | {per_cpu:,.0f} | {p99:,.0f} | {times} |")
    except Refused as e:
        out(f"| refused: {e} |")
    out("")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    section(parser.parse_args(), functools.partial(print, sep="\n"))


if __name__ == "__main__":
    main()
