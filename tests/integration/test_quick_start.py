#!/usr/bin/env python3
"""Goal: the lines of HELIOS's quick start start it, word for word, one beside the other.

Method: bash runs them in a network and a mount of their own, where ports 6379, 8443 and 8080 are
free and /var/lib is an empty folder in memory; `bin` is the build's.
"""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from http_support import Conn, eventually  # noqa: E402
from netns import Network, ip  # noqa: E402
from resp_client import Client  # noqa: E402

BIN = os.path.dirname(os.path.abspath(os.environ["HELIOS_SERVER"]))
INSIDE = "HELIOS_TEST_INSIDE"
FOLDER = "mkdir -p /var/lib/helios"
LINES = {
    "atlasd": r"""./bin/helios-atlasd \
--data-dir=/var/lib/helios \
--listen=:6379 \
--sync-mode=every""",
    "gateway": r"""./bin/helios-gateway \
--listen=:8443 \
--data-dir=/var/lib/helios""",
    "proxy": r"""./bin/helios-proxy \
--listen=:8080""",
    "worker": r"""./bin/helios-worker \
--worker-id=worker-1 \
--poll-interval=5s""",
}


NODE = r"""./bin/helios-atlasd \
--data-dir=/var/lib/helios/node%d \
--listen=:6379 \
--raft=true \
--raft-node-id=node-%d \
--raft-addr=10.0.0.%d:7000 \
--raft-data-dir=/var/lib/helios/node%d/raft"""


def status(port, path):
    try:
        with Conn(port, timeout=2) as conn:
            return conn.request("GET", path).status
    except (OSError, EOFError):
        return None


class Lines(unittest.TestCase):
    """A folder with `bin` in it, and what is started there."""

    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(home.cleanup)
        self.home = home.name
        os.symlink(BIN, os.path.join(self.home, "bin"))
        subprocess.run(["bash", "-c", FOLDER], check=True)

    def start(self, name, line, within=(), peers=""):
        path = os.path.join(self.home, name + ".log")
        with open(path, "wb") as log:
            process = subprocess.Popen([*within, "bash", "-c", "exec " + line], cwd=self.home,
                                       stdout=log, stderr=log,
                                       env={**os.environ, "HELIOS_RAFT_PEERS": peers})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def log(self, name):
        with open(os.path.join(self.home, name + ".log"), errors="replace") as f:
            return f.read()


class QuickStart(Lines):
    def ping(self):
        try:
            with Client(6379) as c:
                return c("PING") == "PONG"
        except OSError:
            return False

    def test_its_lines_run_one_beside_the_other(self):
        processes = {"atlasd": self.start("atlasd", LINES["atlasd"])}
        eventually(self.ping)
        processes["gateway"] = self.start("gateway", LINES["gateway"])
        eventually(lambda: status(8443, "/health") == 200)
        processes["proxy"] = self.start("proxy", LINES["proxy"])
        eventually(lambda: status(8080, "/") == 404)  # no route yet
        processes["worker"] = self.start("worker", LINES["worker"])
        eventually(lambda: "worker-1" in self.log("worker"))
        with Client(6379) as c:
            self.assertEqual(c("SET", "key", "value"), "OK")
            self.assertEqual(c("DBSIZE"), 1)
        for name, process in processes.items():
            self.assertIsNone(process.poll(), f"{name}\n{self.log(name)}")
            process.terminate()
            self.assertEqual(process.wait(20), 0, f"{name}\n{self.log(name)}")
        self.start("atlasd", LINES["atlasd"])
        eventually(self.ping)
        with Client(6379) as c:
            self.assertEqual(c("GET", "key"), "value")


def leaders(hosts):
    """Which of the hosts say that they lead; None when one does not answer."""
    try:
        said = []
        for host in hosts:
            with Client(6379, host=host.address) as c:
                said.append("raft_state:Leader" in c("INFO", "raft"))
        return [host for host, leads in zip(hosts, said) if leads]
    except OSError:
        return None


class ThreeMachines(Lines):
    def test_the_lines_of_three_nodes_form_a_cluster(self):
        """As they stand; the variable beside them names the others, as the cluster's guide says."""
        network = Network(3, subnet="10.0.0")
        self.addCleanup(network.close)
        for n in (1, 2, 3):
            others = ",".join(f"node-{k}:10.0.0.{k}:7000" for k in (1, 2, 3) if k != n)
            self.start(f"node-{n}", NODE % (n, n, n, n), network.hosts[n - 1].within, others)
        eventually(lambda: len(leaders(network.hosts) or []) == 1)
        leader = leaders(network.hosts)[0]
        with Client(6379, host=leader.address) as c:
            self.assertEqual(c("SET", "key", "value"), "OK")
        for host in network.hosts:
            with Client(6379, host=host.address) as c:
                self.assertEqual(c("GET", "key"), "value")


if __name__ == "__main__":
    if INSIDE not in os.environ:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "--net", "--mount", *user, sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib"], check=True)
    unittest.main(verbosity=2)
