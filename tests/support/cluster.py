"""Several real servers that form a cluster, for Python tests and measurements.

    with Cluster(3, "--sync-mode", "every") as cluster:
        leader = cluster.await_leader()
        leader.kill()
        leader = cluster.await_leader()

Every node is a Server (server.py): kill(), start(), restart(), log(), stop().
"""
import os
import shutil
import signal
import socket
import struct
import tempfile
import time

from server import ROOT, STEP_S, Server, free_port

AGREE_S_MAX = 20
BUILD = os.environ.get("HELIOS_BUILD") or os.path.join(ROOT, "build")
DROPDISK = os.path.join(BUILD, "tests/support/dropdisk.so")
WARP = os.path.join(BUILD, "tests/support/warp.so")
DISKS = ("plain", "forgets", "lies")


def info_of(host, port, timeout=1.0):
    """The fields of INFO as a dict; {} when there is no answer in time."""
    try:
        with socket.create_connection((host, port), timeout) as s:
            s.sendall(b"*2\r\n$4\r\nINFO\r\n$10\r\neverything\r\n")
            data = b""
            while b"\r\n" not in data:
                more = s.recv(65536)
                if not more:
                    return {}
                data += more
            if not data.startswith(b"$"):
                return {}
            head, data = data.split(b"\r\n", 1)
            while len(data) < int(head[1:]):
                more = s.recv(65536)
                if not more:
                    return {}
                data += more
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in data.decode("latin-1").splitlines() if ":" in line)
    return {name: text.strip() for name, text in pairs}


class Node(Server):
    """A member; not started on construction, because founders wait for one another."""

    def __init__(self, number, flags, path=None, env=None, host="127.0.0.1", within=(),
                 disk="plain"):
        assert disk in DISKS
        self.disk = disk
        self.id = f"node-{number}"
        self.host = host
        self.within = list(within)  # words before the command: ip netns exec NAME
        self.prepare(flags, path, env)
        self.warped = None  # path of what warp.so reads, beside the directory
        self.ppm = 0
        self.raft_port = free_port()
        self.peers = ""
        self.how = []  # it begins, when it has no peers to name

    @property
    def raft_address(self):
        return f"{self.host}:{self.raft_port}"

    def argv(self):
        peers = ["--raft-peers", self.peers] if self.peers else self.how
        return [*self.within, *self.preload(), self.path, "--listen", f"{self.host}:{self.port}",
                "--data-dir", self.dir, "--raft", "--raft-node-id", self.id,
                "--raft-addr", self.raft_address, *peers, *self.flags]

    def preload(self):
        """On a disk that forgets, a kill loses what was not synced; one that lies syncs nothing."""
        libraries, words = [], []
        if self.warped is not None:
            libraries.append(WARP)
            words += [f"WARP_FILE={self.warped}", f"WARP_PPM={self.ppm}"]
        if self.disk != "plain":
            libraries.append(DROPDISK)
            words += [f"DROPDISK_DIR={self.dir}"]
        if self.disk == "lies":
            words.append("DROPDISK_LIE=1")
        return ["env", "LD_PRELOAD=" + ":".join(libraries), *words] if libraries else []

    def warp(self, sync_us=0, wall_us=0):
        """From now on syncs take longer and the time of day is off; needs Cluster(warps=...)."""
        with open(self.warped, "r+b") as f:
            f.write(struct.pack("=qq", sync_us, wall_us))

    def make_warpable(self, ppm):
        self.ppm = ppm
        fd, self.warped = tempfile.mkstemp(prefix="helios-warp-")
        os.close(fd)
        with open(self.warped, "wb") as f:
            f.write(struct.pack("=qq", 0, 0))

    def close(self):
        super().close()
        if self.warped is not None and os.path.exists(self.warped):
            os.unlink(self.warped)

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        if self.runs:
            super().kill()

    def info(self, timeout=1.0):
        return info_of(self.host, self.port, timeout)

    def wipe(self):
        """Forget everything, as after the loss of its disk."""
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)


class Cluster:
    """Founded on construction; a context manager that ends all nodes and removes their data.

    path    another program than ours
    places  (host, words before the command) of each node, to put them into network namespaces
    disk    "plain", "forgets" what was not synced when a node is killed, or "lies" about syncs
    warps   how fast each node's clocks run, in parts per million off; then Node.warp() works
    """

    def __init__(self, count, *flags, path=None, env=None, places=(), disk="plain", warps=()):
        self.flags, self.path, self.env, self.disk = flags, path, env, disk
        self.nodes = []
        self.made = count  # names are never used again
        try:
            for n in range(count):
                host, within = places[n] if places else ("127.0.0.1", ())
                self.nodes.append(Node(n + 1, flags, path, env, host, within, disk))
                if warps:
                    self.nodes[n].make_warpable(warps[n % len(warps)])
            for node in self.nodes:
                node.peers = ",".join(f"{other.id}:{other.raft_address}" for other in self.nodes
                                      if other is not node)
                node.how = ["--bootstrap"] if count == 1 else []
            self.start_all()
        except Exception:
            self.close()
            raise

    def start_all(self):
        """Start those that do not run, all at once."""
        starting = [node for node in self.nodes if not node.runs]
        for node in starting:
            node.spawn()
        for node in starting:
            node.await_ready()

    def add(self):
        """Start one more node with nothing in it; somebody has to tell the leader."""
        self.made += 1
        node = Node(self.made, self.flags, self.path, self.env, disk=self.disk)
        node.how = ["--join"]
        self.nodes.append(node)
        node.start()
        return node

    def leader(self):
        """The leader that every running member names; None while they disagree."""
        if len(self.nodes) == 1:  # alone it leads, and a plain server says nothing of it
            return self.nodes[0] if self.nodes[0].runs else None
        infos = {node.id: node.info() for node in self.nodes if node.runs}
        # A node that waits to be added knows of no members.
        infos = {name: info for name, info in infos.items() if info.get("raft_voters") != "0"}
        names = {info.get("raft_leader") for info in infos.values()}
        if len(names) != 1:
            return None
        name = names.pop()
        if not name or infos.get(name, {}).get("raft_state") != "Leader":
            return None
        return next(node for node in self.nodes if node.id == name)

    def await_leader(self, seconds=AGREE_S_MAX):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            leader = self.leader()
            if leader is not None:
                return leader
            time.sleep(STEP_S)
        raise RuntimeError("no agreement on a leader\n" + self.describe())

    def await_caught_up(self, node, seconds=AGREE_S_MAX):
        """Until a node has applied what is committed now; load may go on."""
        until = time.monotonic() + seconds
        wanted = int(self.await_leader(seconds).info()["raft_commit_index"])
        while int(node.info().get("raft_last_applied", -1)) < wanted:
            if time.monotonic() > until:
                raise RuntimeError(f"{node.id} does not catch up\n" + self.describe())
            time.sleep(STEP_S)

    def await_equal(self, seconds=AGREE_S_MAX):
        """Until every running node has applied all that the leader's log holds."""
        if len(self.nodes) == 1:
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            infos = [node.info() for node in self.nodes if node.runs]
            last = {info.get("raft_last_log_index", "") for info in infos}
            applied = {info.get("raft_last_applied", "") for info in infos}
            if len(last) == 1 and last == applied and last != {""}:
                return
            time.sleep(STEP_S)
        raise RuntimeError("the nodes do not catch up\n" + self.describe())

    def await_info(self, node, what, wanted, seconds=AGREE_S_MAX):
        """Until the fields of a node's INFO are as `wanted` says."""
        until = time.monotonic() + seconds
        while not wanted(node.info()):
            if time.monotonic() > until:
                raise AssertionError(f"{node.id}: {what}\n{node.info()}\n{node.log()[-3000:]}")
            time.sleep(STEP_S)

    def describe(self):
        """What each node says, and the end of its log: for messages."""
        lines = []
        for node in self.nodes:
            info = {k: v for k, v in node.info().items() if k.startswith("raft_")}
            lines.append(f"{node.id} {'runs' if node.runs else 'is down'}: {info}")
            lines.append(node.log()[-1500:])
        return "\n".join(lines)

    def close(self):
        for node in self.nodes:
            node.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
