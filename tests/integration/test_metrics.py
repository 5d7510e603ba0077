#!/usr/bin/env python3
"""The metrics module on a real server: names move, readers accept the page, nobody waits for it.

Usage: test_metrics.py [SERVER MODULES_DIR [NAME...]]

Each test_ function gets a fresh server with the module, the settings and the other modules that it
asks for; its docstring is what must hold.
"""
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from http_support import ROOT, Conn, corpus, eventually
from metrics_support import Metrics, fetch, metrics_port, scrape
from resp_client import Client, Error, Server, free_port, on_server, run_tests

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def settings(*modules, flags=(), **values):
    """Other modules, flags and settings of the metrics module for a test's server."""
    def mark(test):
        test.modules, test.flags = modules, list(flags)
        test.settings = {k.replace("_", "-"): v for k, v in values.items()}
        return test
    return mark


def module(name):
    return os.path.join(MODULES, name + ".so")


def flags_of(test):
    chosen = {"listen": "127.0.0.1:0", **getattr(test, "settings", {})}
    out = ["--enable-debug-command", "yes", "--enable-module-command", "yes",
           "--loadmodule", module("metrics")]
    for name, value in chosen.items():
        out += ["--metrics." + name, str(value)]
    for name in getattr(test, "modules", ()):
        out += ["--loadmodule", module(name)]
    return out + getattr(test, "flags", [])


def expect(got, want):
    assert got == want, f"got {str(got)[:800]!r}, want {str(want)[:800]!r}"


def page(server):
    return scrape(metrics_port(server.port))


def pairs(flat):
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2]))


# ---- every name moves --------------------------------------------------------------------------

def fill(c):
    for i in range(200):
        c("SET", f"k{i}", "x" * 100000)


def block(server):
    c = server.client()
    c("MULTI")
    c("PING")
    c("EXEC")
    waits = server.client()
    waits.send("JOB.PULL", "nothing", "BLOCK", 0)
    return waits


# What moves a metric: its name, labels, and what to do on a client; the number must change.
CORE = [
    ("atlas_store_keys", {}, lambda c: c("SET a b")),
    ("atlas_aof_bytes_total", {}, lambda c: c("SET a b")),
    ("helios_log_entries_total", {}, lambda c: c("SET a c")),
    ("helios_log_batches_total", {}, lambda c: c("SET a d")),
    ("helios_log_durable_index", {}, lambda c: c("SET a e")),
    ("helios_log_sync_duration_seconds_count", {}, lambda c: c("SET a f")),
    ("helios_log_sync_duration_seconds_sum", {}, lambda c: c("SET a g")),
    ("helios_commit_duration_seconds_count", {}, lambda c: c("SET a h")),
    ("helios_changes_since_snapshot", {}, lambda c: c("SET a i")),
    ("raft_commit_index", {}, lambda c: c("SET a j")),
    ("raft_applied_index", {}, lambda c: c("SET a k")),
    ("raft_last_log_index", {}, lambda c: c("SET a l")),
    ("helios_commands_total", {"command": "set"}, lambda c: c("SET a m")),
    ("helios_command_duration_seconds_count", {"command": "set"}, lambda c: c("SET a n")),
    ("helios_command_duration_seconds_sum", {"command": "set"}, lambda c: c("SET a o")),
    ("helios_commands_total", {"command": "config|get"}, lambda c: c("CONFIG GET hz")),
    ("helios_command_failures_total", {"command": "incr"},
     lambda c: (c("SET n x"), c.error("INCR n"))),
    ("helios_command_rejections_total", {"command": "get"}, lambda c: c.error("GET")),
    ("helios_errors_total", {"code": "ERR"}, lambda c: c.error("INCR n")),
    ("helios_error_replies_total", {}, lambda c: c.error("INCR n")),
    ("helios_commands_processed_total", {}, lambda c: c("PING")),
    ("helios_connections_total", {}, lambda c: Client(c.sock.getpeername()[1]).close()),
    ("helios_network_receive_bytes_total", {}, lambda c: c("PING")),
    ("helios_network_transmit_bytes_total", {}, lambda c: c("PING")),
    ("helios_keyspace_hits_total", {}, lambda c: c("GET a")),
    ("helios_keyspace_misses_total", {}, lambda c: c("GET none")),
    ("helios_db_keys", {"db": "3"}, lambda c: (c("SELECT 3"), c("SET a b"), c("SELECT 0"))),
    ("helios_db_expiring_keys", {"db": "0"}, lambda c: c("SET e b EX 100")),
    ("helios_expired_keys_total", {}, lambda c: (c("SET gone b PX 1"), eventually(
        lambda: c("EXISTS gone") == 0))),
    ("helios_memory_used_bytes", {}, lambda c: c("SET", "big", "x" * 1000000)),
    ("helios_memory_limit_bytes", {}, lambda c: c("CONFIG SET maxmemory 1gb")),
    ("helios_evicted_keys_total", {}, lambda c: (
        c("CONFIG SET maxmemory-policy allkeys-lru"), fill(c), c("CONFIG SET maxmemory 8mb"),
        c.error("SET", "one", "more"), c("CONFIG SET maxmemory 0"), c("FLUSHALL"))),
    ("helios_log_size_bytes", {}, lambda c: [c("SET", "x", "y" * 100000) for _ in range(100)]),
    ("atlas_snapshot_duration_seconds_count", {}, lambda c: c("SAVE")),
    ("helios_module_calls_total", {"module": "ratelimit"}, lambda c: c("RATELIMIT.TAKE k 1 1 1")),
    ("helios_module_seconds_total", {"module": "ratelimit"}, lambda c: c("RATELIMIT.TOP")),
    ("rate_limiter_denied_total", {}, lambda c: (c("RATELIMIT.TAKE d 1 1 1000"),
                                                 c("RATELIMIT.TAKE d 1 1 1000"))),
    ("rate_limiter_allowed_total", {}, lambda c: c("RATELIMIT.TAKE new 1 1 1")),
    ("rate_limiter_peeked_total", {}, lambda c: c("RATELIMIT.PEEK new 1 1 1")),
    ("process_cpu_seconds_total", {}, lambda c: [c("PING") for _ in range(100)]),
    ("process_resident_memory_bytes", {}, lambda c: fill(c)),
    ("helios_metrics_scrapes_total", {"format": "text"}, lambda c: None),
    ("helios_metrics_render_duration_seconds_count", {}, lambda c: None),
]


@settings("ratelimit")
def test_every_number_of_the_core_moves(server):
    """What happens changes its metric, each of them."""
    c = server.client(timeout=60)
    port = metrics_port(server.port)
    for name, labels, do in CORE:
        before = scrape(port).get(name, **labels)
        do(c)
        after = scrape(port).get(name, **labels)
        assert after is not None and after != before, f"{name}{labels}: {before}, then {after}"
        if name.endswith(("_total", "_count")):
            assert after > (before or 0), f"{name}{labels}: {before}, then {after}"


@settings("jobs")
def test_clients_that_come_and_wait_are_counted(server):
    """Gauges go up and come down again."""
    port = metrics_port(server.port)
    base = scrape(port)
    waits = block(server)
    eventually(lambda: scrape(port).get("helios_blocked_clients") == 1)
    now = scrape(port).get("helios_connected_clients")
    assert now > base.get("helios_connected_clients"), now
    waits.close()
    eventually(lambda: scrape(port).get("helios_blocked_clients") == 0)
    eventually(lambda: scrape(port).get("helios_connected_clients") < now)


@settings(flags=["--maxclients", "5"])
def test_refused_connections_are_counted(server):
    """One too many is a rejection."""
    port = metrics_port(server.port)
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    eventually(lambda: scrape(port).get("helios_connections_rejected_total") >= 5)
    for s in clients:
        s.close()


@settings("http", flags=["--http.listen", "127.0.0.1:0"])
def test_http_requests_are_counted_by_route(server):
    """The label is the pattern, never the path; methods and statuses are told apart."""
    c = server.client()
    web = int(pairs(c("HTTP.STATUS"))["listening"][0].rsplit(":", 1)[1])
    with Conn(web) as conn:
        for _ in range(3):
            expect(conn.request("GET", "/health").status, 200)
        for path in ("/a", "/b"):
            expect(conn.request("GET", path).status, 404)
        expect(conn.request("DELETE", "/health").status, 405)
        conn.request("PURGE", "/a")
    port = metrics_port(server.port)
    name = "helios_requests_total"
    eventually(lambda: scrape(port).total(name) == 7)
    got = scrape(port)
    expect(got.get(name, method="GET", endpoint="/health", status="200"), 3)
    expect(got.get(name, method="GET", endpoint="none", status="404"), 2)
    expect(got.total(name, method="DELETE", status="405"), 1)
    expect(got.total(name, method="other"), 1)
    times = "helios_request_duration_seconds"
    expect(got.get(times + "_count", method="GET", endpoint="/health"), 3)
    assert got.get(times + "_sum", method="GET", endpoint="/health") > 0
    assert got.get("helios_http_connections_total") >= 1
    assert got.get("helios_http_receive_bytes_total") > 0


@settings("jobs")
def test_jobs_are_counted(server):
    """Under the names of the first HELIOS: added, leased, done, tried in vain, and what waits."""
    c = server.client()
    port = metrics_port(server.port)
    c("JOB.PUSHM", "q", "VIS", 1, "BACKOFF", "fixed", 0, 0, 0, "PAYLOADS", *range(5))
    c("JOB.PUSH", "other", "later", "DELAY", 1000000)
    done, refused, late = (pairs(job) for job in c("JOB.PULL", "q", "COUNT", 3))
    c("JOB.ACK", done["id"], done["token"])
    c("JOB.NACK", refused["id"], refused["token"], "boom", "FAIL")
    for name, value in (("enqueued", 6), ("dequeued", 3), ("completed", 1)):
        expect(scrape(port).get(f"worker_jobs_{name}_total"), value)
    # The timer ends a lease without anybody asking.
    eventually(lambda: scrape(port).get("worker_jobs_failed_total") == 2)
    expect(scrape(port).get("worker_job_queue_depth"), 4)
    c("DEL", "q", "other")
    expect(scrape(port).get("worker_job_queue_depth"), 0)
    expect(scrape(port).get("worker_jobs_enqueued_total"), 6)  # what happened has happened
    expect(c.error("JOB.ACK", late["id"], late["token"]), "NOJOB No such job")


@settings("ratelimit")
def test_counters_begin_again(server):
    """CONFIG RESETSTAT takes commands back to zero, and what is gone leaves the page."""
    c = server.client()
    port = metrics_port(server.port)
    for _ in range(5):
        c("RATELIMIT.TOP")
        c.error("NOSUCH")
    before = scrape(port)
    expect(before.get("helios_commands_total", command="ratelimit.top"), 5)
    c("CONFIG RESETSTAT")
    after = scrape(port)
    expect(after.get("helios_commands_total", command="ratelimit.top"), None)
    expect(after.get("helios_errors_total", code="ERR"), None)
    c("RATELIMIT.TOP")
    expect(scrape(port).get("helios_commands_total", command="ratelimit.top"), 1)
    expect(c("MODULE UNLOAD ratelimit"), "OK")
    gone = scrape(port)
    for name in gone.values:
        assert "ratelimit" not in str(name) and not name[0].startswith("rate_limiter"), name


# ---- the names of the seeds --------------------------------------------------------------------

class Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"yes")

    def log_message(self, *_):
        pass


def serve(port):
    """A backend for the proxy, until its shutdown()."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Backend)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def moved(port, what, do, **labels):
    """Do something; afterwards the metric is another one, soon."""
    before = scrape(port).total(what, **labels)
    do()
    eventually(lambda: scrape(port).total(what, **labels) not in (None, before))


@settings("http", "ratelimit", "jobs", "proxy", flags=[
    "--http.listen", "127.0.0.1:0", "--proxy.listen", "127.0.0.1:0",
    "--proxy.health-check-interval", "100"])
def test_the_six_metrics_of_the_seed_move(server):
    """helios_requests_total, helios_request_duration_seconds, atlas_store_keys,
    worker_job_queue_depth, rate_limiter_denied_total, proxy_backend_healthy."""
    c = server.client()
    port = metrics_port(server.port)
    web = int(pairs(c("HTTP.STATUS"))["listening"][0].rsplit(":", 1)[1])
    with Conn(web) as conn:
        moved(port, "helios_requests_total", lambda: conn.request("GET", "/health"))
        moved(port, "helios_request_duration_seconds_count", lambda: conn.request("GET", "/x"))
    moved(port, "atlas_store_keys", lambda: c("SET a b"))
    moved(port, "worker_job_queue_depth", lambda: c("JOB.PUSH q payload"))
    moved(port, "rate_limiter_denied_total", lambda: [c("RATELIMIT.TAKE k 1 1 100")
                                                      for _ in range(2)])
    at = free_port()
    c("PROXY.BACKEND", "ADD", "b", f"127.0.0.1:{at}", "HEALTH", "/health")
    eventually(lambda: scrape(port).get("proxy_backend_healthy", backend_id="b") == 0)
    backend = serve(at)
    try:
        eventually(lambda: scrape(port).get("proxy_backend_healthy", backend_id="b") == 1)
    finally:
        backend.shutdown()
        backend.server_close()
    eventually(lambda: scrape(port).get("proxy_backend_healthy", backend_id="b") == 0)


@settings("jobs", "proxy", flags=["--proxy.listen", "127.0.0.1:0",
                                  "--proxy.health-check-interval", "100"])
def test_metrics_of_jobs_and_backends_move(server):
    """Each name that the seeds give to the job queue and the proxy."""
    c = server.client()
    port = metrics_port(server.port)
    leases = []
    moved(port, "worker_jobs_enqueued_total", lambda: c("JOB.PUSH q x"))
    moved(port, "worker_jobs_dequeued_total", lambda: leases.append(c("JOB.PULL q WORKER w")))
    job = pairs(leases[0][0])
    moved(port, "worker_jobs_completed_total", lambda: c("JOB.ACK", job["id"], job["token"]))
    c("JOB.PUSH q y")
    job = pairs(c("JOB.PULL q WORKER w")[0])
    moved(port, "worker_jobs_failed_total", lambda: c("JOB.NACK", job["id"], job["token"]))
    at = free_port()
    backend = serve(at)
    c("PROXY.BACKEND", "ADD", "b", f"127.0.0.1:{at}", "HEALTH", "none")
    c("PROXY.ROUTE ADD all PATH / BACKENDS b")
    web = int(pairs(c("PROXY.STATUS"))["listening"][0].rsplit(":", 1)[1])

    def ask():
        with Conn(web) as conn:
            return conn.request("GET", "/").status
    eventually(lambda: ask() == 200)
    moved(port, "proxy_backend_latency_seconds_count", ask, backend_id="b")
    moved(port, "proxy_backend_latency_seconds_sum", ask, backend_id="b")
    backend.shutdown()
    backend.server_close()
    moved(port, "proxy_backend_errors_total", ask, backend_id="b")


@settings("http", "auth", "rbac", "ratelimit", "gateway", flags=[
    "--http.listen", "127.0.0.1:0", "--gateway.limit-capacity", "2"])
def test_what_the_gateway_limits_is_denied(server):
    """A limit of the HTTP API counts like one that a command asks for."""
    web = int(pairs(server.client()("HTTP.STATUS"))["listening"][0].rsplit(":", 1)[1])
    port = metrics_port(server.port)
    with Conn(web) as conn:
        seen = [conn.request("GET", "/api/v1/kv/x").status for _ in range(6)]
    assert seen.count(429) >= 2, seen
    expect(scrape(port).get("rate_limiter_denied_total"), seen.count(429))
    eventually(lambda: scrape(port).total("helios_requests_total", status="429") ==
               seen.count(429))


def names_in(text):
    """Metrics that an expression of PromQL names."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    return set(re.findall(r"\b(?:helios|atlas|raft|worker|proxy|rate_limiter|process)_[a-z_]+\b",
                          text)) - {"helios_build_info"}


@settings("http", "ratelimit", "jobs", "proxy", flags=["--http.listen", "127.0.0.1:0",
                                                       "--proxy.listen", "127.0.0.1:0"])
def test_dashboard_and_alerts_name_metrics_that_exist(server):
    """Every panel and alert asks for something that is there; promtool accepts the files."""
    configs = os.path.join(ROOT, "configs")
    have = set()
    for name, kind, _ in server.client()("METRICS.LIST"):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        have |= {name + part for part in parts}
    with open(os.path.join(configs, "grafana/dashboards/helios.json")) as f:
        board = json.load(f)
    asked = [t["expr"] for p in board["panels"] for t in p.get("targets", ())]
    assert len(asked) > 30
    with open(os.path.join(configs, "prometheus-rules.yml")) as f:
        rules = yaml.safe_load(f)["groups"][0]["rules"]
    asked += [rule["expr"] for rule in rules]
    for expr in asked:
        assert names_in(expr) <= have, (expr, names_in(expr) - have)
    ids = [p["id"] for p in board["panels"]]
    expect(len(ids), len(set(ids)))
    for kind, name in (("config", "prometheus.yml"), ("rules", "prometheus-rules.yml")):
        tool = subprocess.run(["promtool", "check", kind, name], cwd=configs, capture_output=True)
        assert tool.returncode == 0, tool.stdout.decode() + tool.stderr.decode()
    histories = os.path.join(ROOT, "tests/integration/metrics_rules.yml")
    tool = subprocess.run(["promtool", "test", "rules", histories], capture_output=True)
    assert tool.returncode == 0, tool.stdout.decode() + tool.stderr.decode()
    for path in ("datasources/helios.yml", "dashboards/helios.yml"):
        with open(os.path.join(configs, "grafana/provisioning", path)) as f:
            expect(yaml.safe_load(f)["apiVersion"], 1)


# ---- the page ----------------------------------------------------------------------------------

@settings("ratelimit", "jobs", "http", flags=["--http.listen", "127.0.0.1:0"])
def test_readers_accept_both_forms(server):
    """promtool finds nothing to say about the text, Prometheus's own client reads OpenMetrics."""
    c = server.client()
    c("SET a b")
    c("RATELIMIT.TAKE k 1 1 1")
    c("METRICS.DEFINE", "weird_seconds", "HISTOGRAM", "HELP", 'a "quoted" \\ text\nof two lines',
      "LABEL", "path", '/a"b\\c\nd', "BUCKETS", "0.1", "1")
    c("METRICS.OBSERVE weird_seconds 0.5")
    port = metrics_port(server.port)
    for _ in range(2):
        got = fetch(port)
        expect(got.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        tool = subprocess.run(["promtool", "check", "metrics"], input=got.body, capture_output=True)
        assert tool.returncode == 0 and not tool.stderr, tool.stderr.decode()
    text = Metrics(got.body.decode())
    expect(text.get("weird_seconds_bucket", path='/a"b\\c\nd', le="1"), 1)
    got = fetch(port, Accept=OPENMETRICS)
    expect(got.header("Content-Type"),
           "application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = {f.name: f for f in text_string_to_metric_families(got.body.decode())}
    assert {f.removesuffix("_total") for f in text.types} <= set(families), families.keys()
    expect(families["weird_seconds"].samples[1].labels, {"path": '/a"b\\c\nd', "le": "1.0"})
    expect(families["atlas_aof_bytes"].type, "counter")


def test_requests_are_answered_as_http_wants_it(server):
    """HEAD, other paths and methods, bodies, pipelines, closing, queries."""
    with Conn(metrics_port(server.port)) as c:
        head = c.request("HEAD", "/metrics")
        expect((head.status, head.body), (200, b""))
        assert int(head.header("Content-Length")) > 1000
        expect(c.request("GET", "/").status, 404)
        expect(c.request("GET", "/metrics/").status, 404)
        expect(c.request("GET", "/metrics?name=x").status, 200)
        got = c.request("POST", "/metrics")
        expect((got.status, got.header("Allow")), (405, "GET, HEAD"))
        one = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        c.send(one * 10)
        for _ in range(10):
            expect(c.read().status, 200)
        c.send(one + b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + one)
        expect(c.read().status, 200)
        got = c.read()
        expect((got.status, got.header("Connection")), (200, "close"))
        expect(c.rest(), b"")
    with Conn(metrics_port(server.port)) as c:
        got = c.request("GET", "/metrics", body=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        expect((got.status, got.header("Connection")), (413, "close"))
        expect(c.rest(), b"")
    with Conn(metrics_port(server.port)) as c:
        c.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        got = c.read()
        expect((got.status, got.header("Connection")), (200, "close"))
    with Conn(metrics_port(server.port)) as c:  # its last word is the request
        c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        expect(c.read().status, 200)


def test_malformed_requests_are_refused(server):
    """Every bad message of the corpus is refused and ends its connection; good ones are served."""
    port = metrics_port(server.port)
    for name, status, data in corpus():
        with Conn(port) as c:
            c.send(data)
            c.sock.shutdown(socket.SHUT_WR)
            try:
                got = c.read().status
            except EOFError:
                got = 0  # half a message
            assert got == 0 or (got >= 400 if status >= 400 else got in (200, 404, 405, 413)), name
    assert scrape(port).get("helios_metrics_connections_refused_total") > 10


def garbage(port, seed):
    with Conn(port) as c:
        c.sock.settimeout(5)
        c.send((b"GET /metrics HTTP/1.1\r\nX: " + bytes([seed % 256]) * (seed % 5000)) * 3)
        c.sock.shutdown(socket.SHUT_WR)
        c.rest()


@settings(max_connections=20, head_timeout=300, idle_timeout=500)
def test_hostile_clients_cost_little(server):
    """Slow heads and idle connections end, too many are refused, garbage harms nobody."""
    port = metrics_port(server.port)
    slow = Conn(port)
    slow.send(b"GET /metrics HTTP/1.1\r\nHost")
    expect(slow.rest(), b"")
    idle = Conn(port)
    expect(idle.rest(), b"")
    many = [Conn(port) for _ in range(40)]
    refused = 0
    for c in many:
        try:
            c.request("GET", "/metrics")
        except (EOFError, OSError):
            refused += 1
    assert 20 <= refused < 40, refused
    for c in many:
        c.sock.close()
    threads = [threading.Thread(target=garbage, args=(port, i * 131)) for i in range(15)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    eventually(lambda: try_scrape(port) is not None)
    expect(server.client()("PING"), "PONG")


def try_scrape(port):
    try:
        return scrape(port)
    except (EOFError, OSError):
        return None


# ---- nobody waits ------------------------------------------------------------------------------

@settings(collect_timeout=200)
def test_a_stuck_server_is_still_seen(server):
    """While the server stands still the page shows what it had, soon, and says so."""
    port = metrics_port(server.port)
    c = server.client()
    before = scrape(port)
    c.send("DEBUG", "SLEEP", "3")
    start = time.monotonic()
    eventually(lambda: scrape(port).get("helios_metrics_scrapes_stale_total") >= 1, 3)
    assert time.monotonic() - start < 2.5
    c.read()
    after = scrape(port)
    assert after.get("helios_commands_processed_total") > \
        before.get("helios_commands_processed_total")
    stale = after.get("helios_metrics_scrapes_stale_total")
    expect(scrape(port).get("helios_metrics_scrapes_stale_total"), stale)


def test_scrapes_do_not_hold_the_server(server):
    """With a page of megabytes that is read all the time, commands are answered as before."""
    c = server.client()
    for i in range(250):
        c("METRICS.DEFINE", f"h{i}_seconds", "HISTOGRAM", "BUCKETS", *range(1, 65))
    port = metrics_port(server.port)
    over = threading.Event()
    sizes = []

    def read():
        while not over.is_set():
            sizes.append(len(fetch(port).body))
    readers = [threading.Thread(target=read) for _ in range(3)]
    for t in readers:
        t.start()
    worst = 0
    for _ in range(500):
        start = time.monotonic()
        c("PING")
        worst = max(worst, time.monotonic() - start)
    over.set()
    for t in readers:
        t.join()
    assert min(sizes) > 500000, sizes[:3]
    assert worst < 1, worst


# ---- by RESP -----------------------------------------------------------------------------------

def test_commands_show_the_same(server):
    """RENDER is the page, GET a family, LIST their names; inside MULTI too; errors are plain."""
    c = server.client()
    c("SET a b")
    text = Metrics(c("METRICS.RENDER"))
    expect(text.get("atlas_store_keys"), 1)
    expect(set(text.types), set(page(server).types))
    assert c("METRICS.RENDER", "openmetrics").endswith("# EOF\n")
    got = pairs(c("METRICS.GET atlas_store_keys"))
    expect((got["name"], got["type"], got["series"]),
           ("atlas_store_keys", "gauge", [["labels", [], "value", "1"]]))
    family = pairs(c("METRICS.GET helios_command_duration_seconds"))
    one = next(s for s in map(pairs, family["series"]) if s["labels"] == ["command", "set"])
    expect((one["count"], pairs(one["buckets"])["+Inf"]), (1, 1))
    expect(c("METRICS.GET nothing"), None)
    names = [row[0] for row in c("METRICS.LIST")]
    expect(names, sorted(names))
    expect([row[:2] for row in c("METRICS.LIST atlas_s*")],
           [["atlas_snapshot_duration_seconds", "histogram"], ["atlas_store_keys", "gauge"]])
    c("MULTI")
    c("METRICS.RENDER")
    c("METRICS.GET raft_term")
    text, family = c("EXEC")
    assert "atlas_store_keys 1\n" in text and pairs(family)["name"] == "raft_term"
    assert len(c("METRICS.HELP")) >= 11
    for words in (["METRICS.RENDER", "html"], ["METRICS.RENDER", "text", "x"], ["METRICS.GET"],
                  ["METRICS.LIST", "a", "b"], ["METRICS.STATUS", "x"], ["METRICS.HELP", "x"]):
        assert c.error(*words).startswith("ERR"), words
    with server.client() as resp3:
        resp3("HELLO 3")
        expect(resp3("METRICS.GET atlas_store_keys")["series"], [{"labels": {}, "value": 1.0}])


def test_metrics_by_command(server):
    """They are made, moved, shown, reset and ended; each move is on the page."""
    c = server.client()
    expect(c("METRICS.DEFINE orders COUNTER HELP Orders. LABEL shop berlin"), "OK")
    expect(c("METRICS.DEFINE load GAUGE"), "OK")
    expect(c("METRICS.DEFINE wait_seconds HISTOGRAM BUCKETS 0.5 1 2"), "OK")
    expect(c("METRICS.ADD orders"), "1")
    expect(c("METRICS.ADD orders 2.5"), "3.5")
    expect(c("METRICS.SET load -7"), "-7")
    expect(c("METRICS.ADD load 1"), "-6")
    expect([c("METRICS.OBSERVE", "wait_seconds", v) for v in ("0.5", "0.75", "9")], [1, 2, 3])
    got = page(server)
    expect(got.get("orders_total", shop="berlin"), 3.5)
    expect(got.helps["orders_total"], "Orders.")
    expect(got.get("load"), -6)
    expect([got.get("wait_seconds_bucket", le=le) for le in ("0.5", "1", "2", "+Inf")],
           [1, 2, 2, 3])
    all_ = pairs(c("METRICS.CUSTOM"))
    expect([all_[k] for k in ("total_metrics", "counter_metrics", "gauge_metrics",
                              "histogram_metrics")], [3, 1, 1, 1])
    expect(list(pairs(all_["metrics"])), ["orders", "load", "wait_seconds"])
    one = pairs(c("METRICS.CUSTOM orders"))
    expect((one["type"], one["help"], one["labels"], one["value"]),
           ("counter", "Orders.", ["shop", "berlin"], "3.5"))
    one = pairs(c("METRICS.CUSTOM wait_seconds"))
    expect((one["count"], one["sum"], one["buckets"]), (3, "10.25", ["0.5", 1, "1", 2, "2", 2]))
    expect(c("METRICS.RESET"), 3)
    got = page(server)
    expect((got.get("orders_total", shop="berlin"), got.get("wait_seconds_count")), (0, 0))
    expect(c("METRICS.ADD orders"), "1")
    expect(page(server).get("orders_total", shop="berlin"), 1)
    expect([c("METRICS.DEL orders"), c("METRICS.DEL orders")], [1, 0])
    expect(page(server).get("orders_total", shop="berlin"), None)
    expect(c("METRICS.DEFINE orders GAUGE"), "OK")


def test_metrics_by_command_have_bounds(server):
    """What is out of range, of the wrong kind or one too many is refused and changes nothing."""
    c = server.client()
    c("METRICS.DEFINE h HISTOGRAM")
    c("METRICS.DEFINE g GAUGE")
    c("METRICS.DEFINE c COUNTER")
    before = c("METRICS.CUSTOM")
    long = "x" * 600
    for words, code in [
            ("METRICS.DEFINE g GAUGE", "METRICEXISTS"),
            ("METRICS.DEFINE c_total COUNTER", "METRICEXISTS"),
            ("METRICS.DEFINE atlas_aof_bytes GAUGE", "METRICEXISTS"),
            ("METRICS.DEFINE atlas_store_keys GAUGE", "METRICEXISTS"),
            ("METRICS.DEFINE atlas_aof_bytes COUNTER", "METRICEXISTS"),
            ("METRICS.DEFINE a_total GAUGE", "ERR"), ("METRICS.DEFINE h_count GAUGE", "ERR"),
            ("METRICS.DEFINE 9a GAUGE", "ERR"), ("METRICS.DEFINE a-b GAUGE", "ERR"),
            ("METRICS.DEFINE a SUMMARY", "ERR"), ("METRICS.DEFINE a", "ERR"),
            (f"METRICS.DEFINE {long} GAUGE", "ERR"),
            (f"METRICS.DEFINE a GAUGE HELP {long}", "ERR"),
            (f"METRICS.DEFINE a GAUGE LABEL x {long}", "ERR"),
            ("METRICS.DEFINE a GAUGE LABEL le x", "ERR"),
            ("METRICS.DEFINE a GAUGE LABEL x", "ERR"),
            ("METRICS.DEFINE a GAUGE LABEL x y LABEL x z", "ERR"),
            ("METRICS.DEFINE a GAUGE" + "".join(f" LABEL l{i} v" for i in range(9)), "ERR"),
            ("METRICS.DEFINE a GAUGE BUCKETS 1", "ERR"),
            ("METRICS.DEFINE a HISTOGRAM BUCKETS", "ERR"),
            ("METRICS.DEFINE a HISTOGRAM BUCKETS 2 1", "ERR"),
            ("METRICS.DEFINE a HISTOGRAM BUCKETS 1 inf", "ERR"),
            ("METRICS.DEFINE a HISTOGRAM BUCKETS x", "ERR"),
            ("METRICS.DEFINE a HISTOGRAM BUCKETS " + " ".join(map(str, range(65))), "ERR"),
            ("METRICS.ADD none", "NOMETRIC"), ("METRICS.SET none 1", "NOMETRIC"),
            ("METRICS.OBSERVE none 1", "NOMETRIC"), ("METRICS.CUSTOM none", "NOMETRIC"),
            ("METRICS.ADD atlas_store_keys 1", "NOMETRIC"),
            ("METRICS.ADD h 1", "WRONGKIND"), ("METRICS.SET c 1", "WRONGKIND"),
            ("METRICS.SET h 1", "WRONGKIND"), ("METRICS.OBSERVE g 1", "WRONGKIND"),
            ("METRICS.ADD c -1", "ERR"), ("METRICS.ADD c x", "ERR"), ("METRICS.ADD c nan", "ERR"),
            ("METRICS.ADD g inf", "ERR"), ("METRICS.OBSERVE h inf", "ERR"),
            ("METRICS.SET g", "ERR"), ("METRICS.OBSERVE h", "ERR"), ("METRICS.ADD c 1 2", "ERR"),
            ("METRICS.RESET x", "ERR"), ("METRICS.DEL", "ERR"), ("METRICS.CUSTOM a b", "ERR")]:
        got = c.error(*words.split())
        assert got is not None and got.split()[0] == code, (words, got)
    assert c.error("METRICS.DEFINE", "nul\x00name", "GAUGE").startswith("ERR")
    assert c.error("METRICS.DEFINE", "nul", "GAUGE", "HELP", "a\x00b").startswith("ERR")
    expect(c("METRICS.CUSTOM"), before)
    for i in range(253):
        c("METRICS.DEFINE", f"m{i}", "GAUGE")
    assert c.error("METRICS.DEFINE one_more GAUGE").startswith("METRICSFULL")
    c("METRICS.DEL m0")
    expect(c("METRICS.DEFINE one_more GAUGE"), "OK")


# ---- life --------------------------------------------------------------------------------------

@settings(listen="")
def test_without_a_port(server):
    """An empty address: commands alone."""
    c = server.client()
    expect(c("METRICS.STATUS"), ["listening", []])
    assert "atlas_store_keys 0\n" in c("METRICS.RENDER")


@settings(listen="127.0.0.1:0 [::1]:0")
def test_two_addresses(server):
    """Each of several addresses serves the page."""
    for name in pairs(server.client()("METRICS.STATUS"))["listening"]:
        host, port = name.rsplit(":", 1)
        with Conn(int(port), host=host.strip("[]")) as c:
            expect(c.request("GET", "/metrics").status, 200)


def test_addresses_that_cannot_be_had(server):
    """A taken port or a wrong address refuses the module, with the reason in the log, and leaves
    nothing behind."""
    c = server.client()
    expect(c("MODULE UNLOAD metrics"), "OK")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        for address, why in ((busy, "in use"), ("nowhere:x", "nowhere")):
            assert c.error("MODULE", "LOAD", module("metrics"), "listen", address) is not None
            assert why in server.log(), server.log()[-500:]
            assert c.error("METRICS.HELP").startswith("ERR unknown command")
    expect(c("MODULE", "LOAD", module("metrics"), "listen", "127.0.0.1:0"), "OK")
    assert page(server).get("atlas_store_keys") == 0


class Scrapers:
    """Clients that read the page all the time, whether somebody serves it or not."""

    def __init__(self, port, count):
        self.port, self.over, self.good, self.failed = port, False, 0, None
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.over:
            try:
                scrape(self.port)
                self.good += 1
            except (OSError, EOFError):
                time.sleep(0.001)  # nobody listens: the next try comes soon
            except Exception as e:
                self.failed = e
                return

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()
        assert self.failed is None, self.failed


def test_reloads_under_scrapes(server):
    """The module is swapped, unloaded and loaded while its page is read; so are those it shows."""
    c = server.client(timeout=60)
    expect(c("MODULE UNLOAD metrics"), "OK")
    port = free_port()
    address = f"127.0.0.1:{port}"
    expect(c("MODULE", "LOAD", module("metrics"), "listen", address), "OK")
    scrapers = Scrapers(port, 4)
    try:
        for i in range(15):
            expect(c("MODULE", "LOAD", module("ratelimit")), "OK")
            c("RATELIMIT.TAKE k 1 1 1")
            seen = scrapers.good
            eventually(lambda: scrapers.good > seen + 1)
            c("FLUSHALL")
            expect(c("MODULE UNLOAD ratelimit"), "OK")
            expect(c("MODULE RELOAD metrics"), "OK")
            if i % 3 == 0:
                expect(c("MODULE UNLOAD metrics"), "OK")
                expect(c("MODULE", "LOAD", module("metrics"), "listen", address), "OK")
        expect(scrape(port).get("rate_limiter_denied_total"), None)
    finally:
        scrapers.stop()


def test_a_client_that_waits_keeps_the_module(server):
    """While METRICS.RENDER waits the module stays; the answer comes; then it goes."""
    c, asks = server.client(timeout=60), [server.client(timeout=60) for _ in range(4)]
    for _ in range(20):
        for one in asks:
            one.send("METRICS.RENDER")
        refused = c.error("MODULE UNLOAD metrics")
        for one in asks:
            got = one.read()
            if isinstance(got, Error):
                assert str(got).startswith("ERR unknown command"), got
            else:
                assert "atlas_store_keys" in got
        if refused is None:
            expect(c("MODULE", "LOAD", module("metrics"), "listen", "127.0.0.1:0"), "OK")
        else:
            assert "blocked clients" in refused, refused


def test_a_stock_server_is_refused_plainly(server):
    """redis-server keeps no metrics for modules: the module says so and does not load."""
    with Server("redis-server", "--save", "", "--enable-module-command", "yes") as stock:
        with Client(stock.port) as c:
            assert c.error("MODULE", "LOAD", module("metrics")) is not None
            assert "it is no Helios" in stock.log(), stock.log()[-500:]
            expect(c("PING"), "PONG")


def run(test):
    if not all(os.path.exists(module(name)) for name in getattr(test, "modules", ())):
        raise unittest.SkipTest("a module of it is not built here")
    on_server(Server(SERVER, *flags_of(test)), test)


if __name__ == "__main__":
    run_tests(globals(), run)
