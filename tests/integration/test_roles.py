#!/usr/bin/python3
"""Goal: a program's name, a section of the settings and a list of plugins load the modules they
stand for, with their settings; the command lines of the seeds do so as they stand.

Method: real processes, on free ports instead of the seeds' own, asked through HTTP and RESP.
"""
import os
import re
import socket
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from http_support import Conn  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import ROOT, Processes, free_port, program, wait_for  # noqa: E402

GATEWAY = ["metrics", "http", "auth", "rbac", "ratelimit", "jobs", "gateway"]

# configs/config.yaml of the seed, word for word; tests replace ports and the directory only.
SEED_FILE = '''\
atlas:
  data_dir: "/var/lib/helios"
  aof_fsync: "every"
  snapshot_interval_time: "5m"
gateway:
  listen: ":8443"
  rate_limit:
    default_capacity: 100
    default_rate_num: 1
    default_rate_den: 1
proxy:
  listen: ":8080"
  health_check_interval: "5s"
worker:
  poll_interval: "5s"
  max_attempts: 3
'''


# Every command line of the seeds that starts a program, word for word, and its environment.
SEED_LINES = [
    ("./bin/helios-atlasd --data-dir=/var/lib/helios --listen=:6379 --sync-mode=every", {}),
    *((f"./bin/helios-atlasd --data-dir=/var/lib/helios/node{n} --listen=:6379 --raft=true "
       f"--raft-node-id=node-{n} --raft-addr=10.0.0.{n}:7000 "
       f"--raft-data-dir=/var/lib/helios/node{n}/raft", {}) for n in (1, 2, 3)),
    ("./bin/helios-gateway --listen=:8443 --data-dir=/var/lib/helios", {}),
    ("./bin/helios-proxy --listen=:8080", {}),
    *((f"./bin/helios-atlasd -data-dir=./data/node{n} -listen=:{6378 + n} -raft=true "
       f"-raft-node-id=node-{n} -raft-addr=127.0.0.1:{6999 + n} "
       f"-raft-data-dir=./data/node{n}/raft", {}) for n in (1, 2, 3)),
    ("./bin/helios-atlasd -data-dir=./data/node1 -listen=:6379 -raft=true -raft-node-id=node-1 "
     "-raft-addr=127.0.0.1:7000 -raft-data-dir=./data/node1/raft",
     {"HELIOS_RAFT_PEERS": "node-2:127.0.0.1:7001,node-3:127.0.0.1:7002"}),
    ("/app/helios-atlasd -data-dir=/data -listen=:6379 -raft=true -raft-node-id=node-2 "
     "-raft-addr=helios-node2:7000 -raft-data-dir=/data/raft",
     {"HELIOS_RAFT_PEERS": "node-1:helios-node1:7000,node-3:helios-node3:7000"}),
]


def beside(name):
    """A program of the same build."""
    return os.path.join(os.path.dirname(program()), name)


def healthy(port):
    try:
        with Conn(port, timeout=2) as conn:
            return conn.request("GET", "/health").status == 200
    except (OSError, EOFError):
        return False


def reach(address):
    """A client of that port or Unix socket, None while there is nobody."""
    try:
        client = Client(address)
        client("PING")
        return client
    except (OSError, Error):
        return None


def modules_of(client):
    return sorted(entry[1] for entry in client("MODULE LIST"))


class Roles(unittest.TestCase):
    def setUp(self):
        self.processes = Processes()
        self.addCleanup(self.processes.close)
        self.dir = self.processes.dir

    def start(self, name, *argv, env=None):
        return self.processes.start(name, argv, env)

    def await_(self, condition, what):
        try:
            return wait_for(condition, what=what)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.processes.logs()}") from None

    def write(self, text, name="helios.yaml"):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def refused(self, *argv, env=None):
        """The last words of a server that does not start."""
        done = subprocess.run([program(), "--port", "0", "--unixsocket", self.dir + "/s", "--dir",
                               self.dir, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=30, env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr


class AGateway(Roles):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.process = self.start("gateway", beside("helios-gateway"), f"--listen=:{self.port}",
                                  f"--data-dir={self.dir}")
        self.await_(lambda: healthy(self.port), "the gateway")
        self.client = self.await_(lambda: reach(f"{self.dir}/gateway/helios.sock"), "its socket")

    def test_it_has_its_modules_and_a_folder_of_its_own(self):
        self.assertEqual(modules_of(self.client), sorted(GATEWAY))
        self.assertEqual(self.client("CONFIG GET dir"), ["dir", f"{self.dir}/gateway"])
        self.assertEqual(self.client("CONFIG GET port"), ["port", "0"])
        self.assertEqual(self.client("CONFIG GET http.listen"), ["http.listen", f":{self.port}"])

    def test_a_server_may_use_the_same_directory(self):
        port = free_port()
        self.start("atlasd", program(), f"--data-dir={self.dir}", f"--listen=:{port}",
                   "--sync-mode=every")
        self.assertEqual(self.await_(lambda: reach(port), "the server")("SET a 1"), "OK")
        self.assertIsNone(self.client("GET a"))

    def test_what_it_holds_survives_its_end(self):
        job = self.client("JOB.PUSH", "mail", "payload")[0]
        self.process.kill()
        self.process.wait()
        self.start("gateway", beside("helios-gateway"), f"--listen=:{self.port}",
                   f"--data-dir={self.dir}")
        self.await_(lambda: healthy(self.port), "the gateway again")
        again = self.await_(lambda: reach(f"{self.dir}/gateway/helios.sock"), "its socket")
        self.assertIn(job, str(self.await_(lambda: again("JOB.GET", job), "the job")))

    def test_settings_by_their_common_names_reach_the_modules(self):
        for name, value, module, seen in (
                ("gateway-jwt-expiry", "1800000", "auth.token-ttl", "1800"),
                ("gateway-rate-limit-default-capacity", "6", "gateway.limit-capacity", "6"),
                ("gateway-rate-limit-default-rate-num", "4", "gateway.limit-rate-num", "4"),
                ("gateway-rate-limit-default-rate-den", "5", "gateway.limit-rate-den", "5"),
                ("gateway-rate-limit-default-capacity", "7", "ratelimit.default-capacity", "7"),
                ("gateway-rate-limit-default-rate-num", "2", "ratelimit.default-rate-num", "2"),
                ("gateway-rate-limit-default-rate-den", "3", "ratelimit.default-rate-den", "3"),
                ("worker-max-attempts", "9", "jobs.default-max-attempts", "9"),
                ("worker-visibility-timeout", "60", "jobs.default-visibility", "60")):
            self.client("CONFIG", "SET", name, value)
            self.assertEqual(self.client("CONFIG", "GET", module), [module, seen])

    def test_what_a_module_reads_once_is_refused_and_stays(self):
        for name, value in (("gateway-listen", ":1"), ("gateway-tls-enabled", "yes"),
                            ("gateway-tls-cert", "/x")):
            before = self.client("CONFIG", "GET", name)
            why = self.client.error("CONFIG", "SET", name, value)
            self.assertIn("is read when the module is loaded", why or "OK")
            self.assertEqual(self.client("CONFIG", "GET", name), before)

    def test_a_module_takes_every_value_that_the_common_setting_takes(self):
        with open(os.path.join(ROOT, "core/server/config.def")) as f:
            rows = {m[0]: (m[1], m[2]) for m in re.findall(
                r'HL_CONFIG_ROW\([A-Z_]+,\s*"((?:gateway|worker|proxy)-[a-z-]+)",\s*"[^"]*",\s*'
                r'(?:INT|DURATION),\s*(\d+),\s*(\d+)', f.read())}
        for name in ("gateway-jwt-expiry", "gateway-rate-limit-default-capacity",
                     "gateway-rate-limit-default-rate-num", "gateway-rate-limit-default-rate-den",
                     "worker-max-attempts", "worker-visibility-timeout"):
            for bound in rows[name]:
                self.assertEqual(self.client("CONFIG", "SET", name, bound), "OK", name)


class AProxy(Roles):
    def test_its_command_line(self):
        """The seed names no directory, so a variable does."""
        port = free_port()
        self.start("proxy", beside("helios-proxy"), f"--listen=:{port}",
                   env={"DATA_DIR": self.dir})
        client = self.await_(lambda: reach(f"{self.dir}/proxy/helios.sock"), "its socket")
        self.assertEqual(modules_of(client), ["metrics", "proxy"])
        self.assertEqual(client("CONFIG GET proxy.listen")[1], f":{port}")
        with Conn(port) as conn:
            self.assertEqual(conn.request("GET", "/").status, 404, "no route")
        for name, value, module, seen in (
                ("proxy-health-check-interval", "7000", "health-check-interval", "7000"),
                ("proxy-health-check-interval-sec", "9", "health-check-interval", "9000"),
                ("proxy-circuit-breaker-failure-threshold", "3",
                 "circuit-breaker-failure-threshold", "3"),
                ("proxy-circuit-breaker-cooldown-sec", "30", "circuit-breaker-cooldown",
                 "30000")):
            client("CONFIG", "SET", name, value)
            self.assertEqual(client("CONFIG", "GET", "proxy." + module)[1], seen)
        self.assertIn("is read when", client.error("CONFIG", "SET", "proxy-listen", ":1") or "OK")


class QuickStart(Roles):
    def test_every_command_line_of_the_seeds_is_taken_as_it_stands(self):
        for line, env in SEED_LINES:
            words = line.split()
            done = subprocess.run([beside(os.path.basename(words[0])), *words[1:], "--test-config"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env={**os.environ, **env})
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}")

    def test_its_command_lines_run_side_by_side(self):
        """Word for word but for ports and the directory; a worker has no flag for its server."""
        port, web, proxy = free_port(), free_port(), free_port()
        self.start("atlasd", beside("helios-atlasd"), f"--data-dir={self.dir}",
                   f"--listen=:{port}", "--sync-mode=every")
        self.start("gateway", beside("helios-gateway"), f"--listen=:{web}",
                   f"--data-dir={self.dir}")
        self.start("proxy", beside("helios-proxy"), f"--listen=:{proxy}",
                   env={"DATA_DIR": self.dir})
        socket_ = f"{self.dir}/gateway/helios.sock"
        gateway = self.await_(lambda: reach(socket_), "the gateway")
        self.start("worker", beside("helios-worker"), "--worker-id=worker-1", "--poll-interval=5s",
                   env={"HELIOS_WORKER_SERVER": socket_, "HELIOS_WORKER_EXEC": "cat"})
        job = gateway("JOB.PUSH", "default", "what a worker sees")[0]
        def result():
            fields = gateway("JOB.GET", job)
            fields = dict(zip(fields[::2], fields[1::2]))
            return fields.get("status") == "done" and fields
        self.assertEqual(self.await_(result, "the job")["result"], "what a worker sees")
        self.assertEqual(self.await_(lambda: reach(port), "the server")("DBSIZE"), 0)
        self.assertTrue(healthy(web))
        self.await_(lambda: reach(f"{self.dir}/proxy/helios.sock"), "the proxy")


class Sections(Roles):
    def test_the_file_of_the_seed_starts_all_roles_in_one_process(self):
        ports = {8443: free_port(), 8080: free_port()}
        text = SEED_FILE.replace("/var/lib/helios", self.dir)
        for old, new in ports.items():
            text = text.replace(f":{old}", f":{new}")
        port = free_port()
        self.start("all", program(), "--config", self.write(text), "--port", str(port))
        client = self.await_(lambda: reach(port), "the server")
        self.assertEqual(modules_of(client), sorted([*GATEWAY[1:], "proxy"]))
        self.await_(lambda: healthy(ports[8443]), "the gateway")
        with Conn(ports[8080]) as conn:
            self.assertEqual(conn.request("GET", "/").status, 404, "no route")

    def test_the_file_of_the_seed_is_the_one_in_configs(self):
        with open(os.path.join(ROOT, "configs/config.yaml")) as f:
            text = "".join(line for line in f if not line.startswith("#"))
        self.assertEqual(text, SEED_FILE)

    def test_a_worker_section_alone_loads_jobs(self):
        port = free_port()
        path = self.write("worker: {max_attempts: 5, visibility_timeout: 30}\n")
        self.start("jobs", program(), path, "--port", str(port), "--dir", self.dir)
        client = self.await_(lambda: reach(port), "the server")
        self.assertEqual(modules_of(client), ["jobs"])
        self.assertEqual(client("CONFIG GET jobs.default-max-attempts")[1], "5")
        self.assertEqual(client("CONFIG GET jobs.default-visibility")[1], "30")

    def test_a_setting_of_the_module_itself_wins(self):
        port = free_port()
        self.start("jobs", program(), "--worker-max-attempts", "5", "--jobs.default-max-attempts",
                   "6", "--port", str(port), "--dir", self.dir)
        client = self.await_(lambda: reach(port), "the server")
        self.assertEqual(client("CONFIG GET jobs.default-max-attempts")[1], "6")

    def test_a_module_that_is_missing_is_said_with_a_remedy(self):
        said = self.refused("--gateway-listen", ":0", "--module-path", self.dir)
        for part in ("the module http is missing", "a section gateway", f"http.so in {self.dir}",
                     "module-path"):
            self.assertIn(part, said)

    def test_an_optional_address_that_is_taken_is_a_warning(self):
        port, web = free_port(), free_port()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            used = taken.getsockname()[1]
            self.start("http", program(), "--port", str(port), "--dir", self.dir, "--loadmodule",
                       "http", "--http.listen", f"-127.0.0.1:{used} 127.0.0.1:{web}")
            self.await_(lambda: healthy(web), "the other address")
            self.await_(lambda: f"port {used}" in self.processes.logs(), "a warning")

    def test_an_address_that_is_taken_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            said = self.refused("--gateway-listen", f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertIn("the module http does not load", said)


class Plugins(Roles):
    def test_plugins_are_modules_with_their_settings(self):
        port = free_port()
        path = self.write("plugins:\n  enabled: true\n  plugins:\n"
                          "    - name: jobs\n      settings: {max_payload: 1000}\n"
                          "    - {name: ratelimit, enabled: false}\n")
        self.start("plugins", program(), path, "--port", str(port), "--dir", self.dir,
                   env={"HELIOS_PLUGINS": "rbac"})
        client = self.await_(lambda: reach(port), "the server")
        self.assertEqual(modules_of(client), ["jobs", "rbac"])
        self.assertEqual(client("CONFIG GET jobs.max-payload")[1], "1000")

    def test_a_setting_that_the_plugin_does_not_have_stops_the_start(self):
        path = self.write("plugins:\n  enabled: true\n  plugins:\n"
                          "    - {name: jobs, settings: {max_paylod: 1}}\n")
        self.assertIn("max_paylod: the module has no such setting", self.refused(path))

    def test_a_plugin_that_is_missing_stops_the_start(self):
        said = self.refused(env={"HELIOS_PLUGINS": "nothing"})
        self.assertIn("the module nothing is missing, and it is among plugins-names", said)


if __name__ == "__main__":
    unittest.main()
