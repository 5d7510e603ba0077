"""Goal: `helios cluster` runs a cluster as an operator expects, and never loses data unasked.
Method: the real program and real servers in a temporary directory; what the servers say is compared
with what the launcher says."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import info_of  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import program  # noqa: E402

HELIOS = os.path.join(os.path.dirname(program()), "helios")
WAIT_S = 20


class Launcher(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="helios-cluster-tool-")
        self.dir = os.path.join(self.folder, "c")
        self.status_code, self.said = 0, ""

    def tearDown(self):
        if os.path.exists(os.path.join(self.dir, "cluster.json")):
            for node in self.state()["nodes"]:
                self.end(node["id"])
        shutil.rmtree(self.folder)

    def helios(self, *words, expect=0):
        done = subprocess.run([HELIOS, "cluster", words[0], "--dir", self.dir, *words[1:]],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=120)
        self.assertEqual(done.returncode, expect, f"{words}: {done.stdout}{self.logs()}")
        return done.stdout

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.dir)) if os.path.isdir(self.dir) else []:
            if name.endswith(".log"):
                with open(os.path.join(self.dir, name), errors="replace") as f:
                    text += f"\n--- {name}\n{f.read()[-1500:]}"
        return text

    def state(self):
        with open(os.path.join(self.dir, "cluster.json")) as f:
            return json.load(f)

    def node(self, name):
        return next(n for n in self.state()["nodes"] if n["id"] == name)

    def process_of(self, name):
        """The process that really serves a node, by its arguments; None when there is none."""
        wanted = os.path.join(os.path.realpath(self.dir), name).encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if wanted in f.read().split(b"\0"):
                        return int(pid)
            except OSError:
                pass
        return None

    def end(self, name):
        pid = self.process_of(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            until = time.monotonic() + WAIT_S
            while self.process_of(name) is not None and time.monotonic() < until:
                time.sleep(0.01)

    def ask(self, name, *words):
        """Ask a node, and the one that it names if it does not lead."""
        port = self.node(name)["client_port"]
        for _ in range(3):
            conn = Client(port)
            try:
                return conn(*words)
            except Error as e:
                if not str(e).startswith("NOTLEADER "):
                    raise
                port = int(str(e).rsplit(":", 1)[1])
            finally:
                conn.close()
        raise AssertionError(f"{name} leads nowhere")

    def leader(self):
        return json.loads(self.helios("status", "--json"))["leader"]

    def await_good(self):
        until = time.monotonic() + WAIT_S
        while True:
            done = subprocess.run([HELIOS, "cluster", "status", "--json", "--dir", self.dir],
                                  text=True, stdout=subprocess.PIPE)
            if done.returncode == 0:
                return json.loads(done.stdout)
            self.assertLess(time.monotonic(), until, done.stdout + self.logs())
            time.sleep(0.05)

    def test_a_cluster_keeps_its_data_from_start_to_destroy(self):
        said = self.helios("start", "3")
        self.assertIn("leader node-", said)
        self.assertEqual(said.count("good"), 3, said)
        self.ask("node-3", "SET", "greeting", "hello")
        for name in ("node-1", "node-2", "node-3"):
            self.assertEqual(self.ask(name, "GET", "greeting"), "hello")
            info = info_of("127.0.0.1", self.node(name)["client_port"])
            self.assertEqual(int(info["process_id"]), self.node(name)["pid"])
        said = self.helios("start")
        self.assertEqual(said.count("runs already"), 3, said)
        self.helios("stop")
        self.assertIsNone(self.process_of("node-1"))
        self.assertIn("NO QUORUM", self.helios("status", expect=1))
        self.helios("start", "3")
        self.assertEqual(self.ask("node-2", "GET", "greeting"), "hello")
        self.assertIn("--yes", self.helios("destroy", expect=2))
        self.assertEqual(self.ask("node-2", "GET", "greeting"), "hello")
        self.helios("destroy", "--yes")
        self.assertFalse(os.path.exists(self.dir))
        self.assertIsNone(self.process_of("node-2"))

    def test_a_killed_node_is_shown_and_started_and_a_majority_is_kept(self):
        self.helios("start", "3")
        leader = self.leader()
        self.end(leader)
        said = self.helios("status", expect=1)
        self.assertIn("down", said)
        other = next(f"node-{n}" for n in (1, 2, 3) if f"node-{n}" != leader)
        self.assertIn("--force", self.helios("stop", other, expect=2))
        self.assertIsNotNone(self.process_of(other))
        self.helios("start")
        self.helios("stop", other)
        self.assertIsNone(self.process_of(other))

    def test_a_process_that_the_state_file_forgot_is_found_again(self):
        self.helios("start", "3")
        state = self.state()
        pid = state["nodes"][0]["pid"]
        state["nodes"][0]["pid"] = 0
        with open(os.path.join(self.dir, "cluster.json"), "w") as f:
            json.dump(state, f)
        self.assertIn("found again", self.helios("start"))
        self.assertEqual(self.state()["nodes"][0]["pid"], pid)

    def test_a_port_that_another_program_took_is_named(self):
        self.helios("start", "3")
        self.helios("stop")
        port = self.node("node-1")["client_port"]
        redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", ""],
                                 stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + WAIT_S
            while not info_of("127.0.0.1", port) and time.monotonic() < until:
                time.sleep(0.01)
            self.assertIn(f"port {port}", self.helios("start", expect=2))
            self.assertIn("another server", self.helios("status", expect=1))
        finally:
            redis.kill()
            redis.wait()

    def test_nodes_come_and_go(self):
        self.helios("start", "3")
        self.ask("node-1", "SET", "k", "v")
        said = self.helios("add")
        self.assertIn("node-4", said)
        self.assertEqual(self.await_good()["voters"], 4)
        self.assertEqual(self.ask("node-4", "GET", "k"), "v")
        leader = self.leader()
        self.helios("decommission", leader)
        self.assertIsNone(self.process_of(leader))
        kept = os.listdir(os.path.join(self.dir, "removed"))
        self.assertTrue(any(name.startswith(leader) for name in kept), kept)
        self.assertEqual(self.await_good()["voters"], 3)
        rest = [n["id"] for n in self.state()["nodes"]]
        self.assertEqual(len(rest), 3)
        self.end(rest[0])  # a node that is dead is removed all the same
        self.helios("decommission", rest[0])
        self.assertEqual(self.await_good()["voters"], 2)
        self.assertEqual(self.ask(rest[1], "GET", "k"), "v")
        self.assertIn("--force", self.helios("stop", rest[1], expect=2))


if __name__ == "__main__":
    unittest.main()
