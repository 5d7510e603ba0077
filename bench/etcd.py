"""The cluster sections of run.py: three of our nodes against three of etcd, on loopback.

README.md says how and why.  Needs Debian's etcd-server and Go packages (group `bench` of
packages.txt), with which it builds etcdload.go.
"""
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from measure import (BUILD, HERE, LOADGEN, Refused, generate, median, options_of, percentile, pin,
                     ratio, rounds_of, sync_latency)
from cluster import Cluster
from server import die_with_parent, free_port

OURS = os.path.join(BUILD, "bin/helios-atlasd")
ETCDLOAD = os.path.join(BUILD, "bench/etcdload")
GO_PATH = "/usr/share/gocode"  # where Debian's Go packages are
NODES = 3
CONNECTIONS = 50
KEYS = 100000
ROUND_S = 2.0
ROUND_OPS_MIN = 500
PIPELINES = (1, 16)
ELECTION_MS = 500
KILLS = 50
PROBE_S = 0.02        # between two writes that are offered to a node
RECOVERY_S_MAX = 30
HEALTHY_S_MAX = 60


def build_etcdload():
    missing = [name for name in ("etcd", "go") if shutil.which(name) is None]
    if missing:
        raise Refused(f"there is no {' and no '.join(missing)}: ./dev setup bench")
    os.makedirs(os.path.dirname(ETCDLOAD), exist_ok=True)
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOFLAGS": "",
           "GOCACHE": os.path.join(BUILD, "bench/go-cache")}
    done = subprocess.run(["go", "build", "-o", ETCDLOAD, "etcdload.go"], cwd=HERE, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Refused("etcdload.go does not build: " + done.stdout.strip())


def await_true(what, ready, seconds=HEALTHY_S_MAX):
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise Refused(f"{what} took more than {seconds} s")
        time.sleep(0.02)


class Etcd:
    """Three nodes of etcd, its own settings but for the election timeout when one is given."""

    name = "etcd"

    def __init__(self, election_ms=0):
        self.dir = tempfile.mkdtemp(prefix="helios-bench-etcd-")
        self.ports = [(free_port(), free_port()) for _ in range(NODES)]
        self.timing = [] if not election_ms else ["--heartbeat-interval", str(election_ms // 10),
                                                  "--election-timeout", str(election_ms)]
        self.processes = [None] * NODES
        try:
            for at in range(NODES):
                self.spawn(at)
            self.await_healthy()
        except Exception:
            self.close()
            raise

    def spawn(self, at):
        client, peer = (f"http://127.0.0.1:{port}" for port in self.ports[at])
        members = ",".join(f"e{n}=http://127.0.0.1:{ports[1]}"
                           for n, ports in enumerate(self.ports))
        with open(os.path.join(self.dir, f"e{at}.log"), "ab") as log:
            self.processes[at] = subprocess.Popen(
                ["etcd", "--name", f"e{at}", "--data-dir", os.path.join(self.dir, f"e{at}"),
                 "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", members, "--initial-cluster-state", "new",
                 "--logger", "zap", "--log-level", "error", *self.timing],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        pin(self.processes[at].pid, 0)

    def endpoint(self, at):
        return f"127.0.0.1:{self.ports[at][0]}"

    def leader(self):
        """The position of the leader; None when there is none."""
        endpoints = ",".join(self.endpoint(at) for at in range(NODES))
        done = subprocess.run([ETCDLOAD, "leader", "--endpoints", endpoints], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            return None
        return [self.endpoint(at) for at in range(NODES)].index(done.stdout.strip())

    def healthy(self):
        endpoints = ",".join(self.endpoint(at) for at in range(NODES))
        done = subprocess.run(["etcdctl", "--endpoints", endpoints, "endpoint", "health"],
                              env={**os.environ, "ETCDCTL_API": "3"}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        return done.returncode == 0 and self.leader() is not None

    def await_healthy(self):
        await_true("a healthy etcd", self.healthy)

    def pids(self):
        return [process.pid for process in self.processes]

    def kill(self, at):
        self.processes[at].kill()
        self.processes[at].wait()

    def load(self, ops, **options):
        argv = [ETCDLOAD, "load", "--endpoints", self.endpoint(self.leader()), "--ops", str(ops),
                "--connections", str(CONNECTIONS), "--keys", str(KEYS), *options_of(options)]
        return generate(argv, self.pids(), ops)

    def probe(self):
        return EtcdProbe([self.endpoint(at) for at in range(NODES)])

    def close(self):
        for process in self.processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Helios:
    """Three of our nodes, every write synced before its reply."""

    name = "ours"

    def __init__(self, election_ms=ELECTION_MS):
        self.cluster = Cluster(NODES, "--sync-mode", "every", "--election-timeout",
                               f"{election_ms}ms", path=OURS)
        self.dir = self.cluster.nodes[0].dir
        self.pin()
        self.await_healthy()

    def pin(self):
        for node in self.cluster.nodes:
            pin(node.process.pid, 0)

    def leader(self):
        leader = self.cluster.leader()
        return None if leader is None else self.cluster.nodes.index(leader)

    def await_healthy(self):
        self.cluster.await_leader(HEALTHY_S_MAX)
        self.cluster.await_equal(HEALTHY_S_MAX)

    def pids(self):
        return [node.process.pid for node in self.cluster.nodes]

    def kill(self, at):
        self.cluster.nodes[at].kill()

    def spawn(self, at):
        self.cluster.nodes[at].start()
        self.pin()

    def load(self, ops, **options):
        port = self.cluster.nodes[self.leader()].port
        argv = [LOADGEN, "--port", str(port), "--ops", str(ops), "--connections",
                str(CONNECTIONS), "--keys", str(KEYS), *options_of(options)]
        return generate(argv, self.pids(), ops)

    def probe(self):
        return RespProbe([node.port for node in self.cluster.nodes])

    def close(self):
        self.cluster.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class EtcdProbe:
    """Writes offered to all nodes all the time; `done` holds (begin, end) of those that succeeded,
    in nanoseconds since the epoch."""

    def __init__(self, endpoints):
        self.done = []
        self.process = subprocess.Popen(
            [ETCDLOAD, "probe", "--every", str(int(PROBE_S * 1000)), "--endpoints",
             ",".join(endpoints)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)  # its library tells of each try
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            begin, end = line.split()[:2]
            self.done.append((int(begin), int(end)))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.thread.join()


class RespProbe:
    """As EtcdProbe, over RESP: each write has its own connection, so none waits for another."""

    WAIT_NS = 5 * 10**9
    REQUEST = b"*3\r\n$3\r\nSET\r\n$5\r\nprobe\r\n$1\r\nx\r\n"

    def __init__(self, ports):
        self.ports, self.done, self.stopping = ports, [], False
        self.selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def offer(self, port):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        self.selector.register(s, selectors.EVENT_WRITE, time.time_ns())

    def advance(self, key, events):
        s, begin = key.fileobj, key.data
        try:
            if events & selectors.EVENT_WRITE:
                s.send(self.REQUEST)
                self.selector.modify(s, selectors.EVENT_READ, begin)
                return
            if s.recv(256).startswith(b"+OK"):
                self.done.append((begin, time.time_ns()))
        except OSError:
            pass  # refused, or closed: this write has failed
        self.forget(s)

    def forget(self, s):
        self.selector.unregister(s)
        s.close()

    def run(self):
        due = time.monotonic()
        while not self.stopping:
            if time.monotonic() >= due:
                due += PROBE_S
                for port in self.ports:
                    self.offer(port)
            for key, events in self.selector.select(max(due - time.monotonic(), 0)):
                self.advance(key, events)
            old = time.time_ns() - self.WAIT_NS
            for key in [k for k in self.selector.get_map().values() if k.data < old]:
                self.forget(key.fileobj)
        for key in list(self.selector.get_map().values()):
            self.forget(key.fileobj)
        self.selector.close()

    def close(self):
        self.stopping = True
        self.thread.join()


def sized(cluster, **options):
    """Operations that take about a round's time."""
    probe = cluster.load(ROUND_OPS_MIN * options.get("pipeline", 1), **options)
    return int(max(probe["ops_per_second"] * ROUND_S, ROUND_OPS_MIN))


def throughput(args, out):
    out("## Three nodes against three of etcd", "",
        f"Every write on the disks of a majority before its reply.  {CONNECTIONS} connections to "
        "the leader, values of 64 bytes.  etcd's client has one put at a time on each (it cannot "
        "pipeline); ours has as many as the column says.  Processor time is that of all three "
        "nodes.  Ratios are ours over etcd.", "",
        "| pipeline | ours SET/s | etcd put/s | ratio (least-greatest) | ours us/op | etcd us/op | "
        "ratio (least-greatest) | ours p50 / p99 us | etcd p50 / p99 us | generator ours / etcd | "
        "fdatasync p50 / p99 us |", "|---|---|---|---|---|---|---|---|---|---|---|")
    try:
        build_etcdload()
        with Helios() as ours, Etcd() as etcd:
            etcd_ops = sized(etcd)
            for pipeline in PIPELINES:
                out(row(args, ours, etcd, etcd_ops, pipeline))
    except (Refused, RuntimeError) as e:
        out(f"| refused: {str(e).splitlines()[0]} |")
    out("")


def row(args, ours, etcd, etcd_ops, pipeline):
    ours_ops = sized(ours, pipeline=pipeline)
    syncs = []

    def one_of_ours(n):
        syncs.append(sync_latency(ours.dir))
        return ours.load(ours_ops, seed=n, pipeline=pipeline)

    both = rounds_of(one_of_ours, lambda n: etcd.load(etcd_ops, seed=n), args.rounds)
    cells = [f"{median(side, 'set_us', 'p50'):,.0f} / {median(side, 'set_us', 'p99'):,.0f}"
             for side in both]
    return (f"| {pipeline} | {median(both[0], 'ops_per_second'):,.0f} "
            f"| {median(both[1], 'ops_per_second'):,.0f} | {ratio(both, 'ops_per_second')} "
            f"| {median(both[0], 'cpu_us'):.1f} | {median(both[1], 'cpu_us'):.1f} "
            f"| {ratio(both, 'cpu_us')} | {cells[0]} | {cells[1]} "
            f"| {median(both[0], 'generator_cpu'):.2f} / {median(both[1], 'generator_cpu'):.2f} "
            f"| {percentile([s[0] for s in syncs], 50):,.0f} / "
            f"{percentile([s[1] for s in syncs], 50):,.0f} |")


def outage(cluster):
    """Kill the leader; seconds until a write succeeds that was offered afterwards."""
    leader = cluster.leader()
    if leader is None:
        raise Refused(f"{cluster.name} has no leader to kill")
    probe = cluster.probe()
    try:
        await_true("a first write", lambda: probe.done, RECOVERY_S_MAX)
        killed = time.time_ns()
        cluster.kill(leader)
        await_true(f"a write after the leader of {cluster.name} was killed",
                   lambda: any(begin >= killed for begin, _ in probe.done), RECOVERY_S_MAX)
        took = min(end for begin, end in probe.done if begin >= killed) - killed
    finally:
        probe.close()
    cluster.spawn(leader)
    cluster.await_healthy()
    return took / 1e9


def failover(args, out):
    kills = 3 if args.quick else KILLS
    out("## Failover", "", f"kill -9 of the leader, {kills} times in turns; seconds until a write "
        "is acknowledged that was offered after the kill (to every node, one every "
        f"{PROBE_S * 1000:.0f} ms).", "",
        "| | election timeout | median | p99 | least | greatest | fdatasync p50 / p99 us |",
        "|---|---|---|---|---|---|---|")
    try:
        build_etcdload()
        with Helios() as ours, Etcd() as usual, Etcd(ELECTION_MS) as hasty:
            sides = ((ours, f"{ELECTION_MS} ms"), (usual, "1000 ms, its default"),
                     (hasty, f"{ELECTION_MS} ms"))
            took, syncs = ([], [], []), []
            for _ in range(kills):
                syncs.append(sync_latency(ours.dir))
                for at, (side, _) in enumerate(sides):
                    took[at].append(outage(side))
        sync = (f"{percentile([s[0] for s in syncs], 50):,.0f} / "
                f"{percentile([s[1] for s in syncs], 50):,.0f}")
        for (side, timeout), some in zip(sides, took):
            out(f"| {side.name} | {timeout} | {percentile(some, 50):.2f} "
                f"| {percentile(some, 99):.2f} | {min(some):.2f} | {max(some):.2f} | {sync} |")
    except (Refused, RuntimeError) as e:
        out(f"| refused: {str(e).splitlines()[0]} |")
    out("")
