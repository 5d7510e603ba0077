"""Goal: the examples of configs/ work as they stand: the server takes each file and each command
line, the nodes of a cluster name each other, and the image holds the libraries that are linked."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from http_support import Conn  # noqa: E402
from server import ROOT, Server, free_port, program  # noqa: E402

CONFIGS = os.path.join(ROOT, "configs")
BIN = os.path.dirname(program())


def read(name):
    with open(os.path.join(CONFIGS, name)) as f:
        return f.read()


def accepts(*words, env=None, name="helios-atlasd"):
    done = subprocess.run([os.path.join(BIN, name), "--test-config", *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(env or {})})
    return done.returncode == 0, done.stdout


def founders(own_id, own_address, peers):
    """The set that a node founds a cluster with."""
    return {(own_id, own_address), *peers}


class Files(unittest.TestCase):
    def test_the_server_takes_every_file(self):
        names = [n for n in os.listdir(CONFIGS) if n.endswith((".yaml", ".conf"))]
        self.assertGreaterEqual(len(names), 5)
        for name in names:
            ok, said = accepts(os.path.join(CONFIGS, name))
            self.assertTrue(ok, f"{name}: {said}")

    def test_three_nodes_found_one_cluster_and_share_nothing(self):
        sets, used = [], []
        for n in (1, 2, 3):
            config = yaml.safe_load(read(f"cluster-node{n}.yaml"))
            raft = config["atlas"]["raft"]
            sets.append(founders(raft["node_id"], raft["bind_addr"],
                                 [(p["id"], p["address"]) for p in raft["peers"]]))
            used += [raft["node_id"], raft["bind_addr"], config["atlas"]["data_dir"],
                     config["gateway"]["listen"], config["observability"]["metrics_port"]]
        self.assertEqual(len(sets[0]), 3)
        self.assertEqual(sets[0], sets[1])
        self.assertEqual(sets[0], sets[2])
        self.assertEqual(len(used), len(set(used)), used)


class Containers(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load(read("docker-compose.yml"))

    def test_the_server_takes_every_command_line(self):
        for name, service in self.compose["services"].items():
            words = service["command"].split()
            self.assertEqual(words[0], "/app/helios-atlasd")
            env = dict(pair.split("=", 1) for pair in service["environment"])
            ok, said = accepts(*words[1:], env=env)
            self.assertTrue(ok, f"{name}: {said}")

    def test_three_containers_found_one_cluster_and_share_nothing(self):
        sets, volumes, ports = [], [], []
        for name, service in self.compose["services"].items():
            flags = dict(re.findall(r"-([a-z-]+)=(\S+)", service["command"]))
            self.assertEqual(flags["raft-addr"], f"{name}:7000")
            peers = re.search(r"HELIOS_RAFT_PEERS=(\S+)", " ".join(service["environment"]))
            sets.append(founders(flags["raft-node-id"], flags["raft-addr"],
                                 [tuple(p.split(":", 1)) for p in peers.group(1).split(",")]))
            volumes += service["volumes"]
            ports += [p.split(":")[0] for p in service["ports"]]
        self.assertEqual(len(sets[0]), 3)
        self.assertEqual(sets[0], sets[1])
        self.assertEqual(sets[0], sets[2])
        self.assertEqual(len(ports + volumes), len(set(ports + volumes)))
        self.assertEqual(sorted(v.split(":")[0] for v in volumes),
                         sorted(self.compose["volumes"]))

    def test_the_image_installs_what_the_programs_link(self):
        listed = set(re.findall(r"\blib[a-z0-9.-]+", read("Dockerfile")))
        programs = [os.path.join(BIN, n) for n in os.listdir(BIN)
                    if os.path.isfile(os.path.join(BIN, n))]
        folder = os.path.join(BIN, "modules")
        programs += [os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".so")]
        linked = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True).stdout
        dynamic = subprocess.run(["readelf", "-d", *programs], stdout=subprocess.PIPE,
                                 text=True).stdout
        needed = set(re.findall(r"\(NEEDED\).*\[(\S+)\]", dynamic))  # the rest comes with them
        paths = {os.path.realpath(p) for name, p in re.findall(r"(\S+) => (/\S+)", linked)
                 if name in needed}
        self.assertGreater(len(paths), 5)
        base = {"libc6", "libgcc-s1", "libstdc++6"}  # in every Debian image, or of a sanitizer
        for path in paths:
            # Packages of Debian 12 name /lib, where files are found under /usr/lib.
            owner = subprocess.run(["dpkg", "-S", path, path.replace("/usr", "", 1)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            name = owner.stdout.split(":")[0]
            if not re.match(r"lib(asan|ubsan|tsan)", name) and name not in base:
                self.assertIn(name, listed, path)


class QuickStart(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load(read("docker-compose.quickstart.yml"))
        self.services = self.compose["services"]

    def test_each_program_takes_its_command_line_and_listens_where_it_is_published(self):
        self.assertEqual(sorted(self.services),
                         ["atlas", "gateway", "grafana", "prometheus", "proxy", "worker"])
        for name in ("atlas", "gateway", "proxy"):
            words = self.services[name]["command"].split()
            ok, said = accepts(*words[1:], name=os.path.basename(words[0]))
            self.assertTrue(ok, f"{name}: {said}")
            for published in self.services[name]["ports"]:
                self.assertIn("--listen=:" + published.split(":")[1], words)
        usage = subprocess.run([os.path.join(BIN, "helios-worker"), "--help"], text=True,
                               stdout=subprocess.PIPE).stdout
        for word in self.services["worker"]["command"].split()[1:]:
            self.assertIn(f"  {word.split('=')[0]} ", usage)

    def test_what_is_mounted_exists_and_only_the_worker_shares_a_store(self):
        named = {}
        for name, service in self.services.items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("./"):
                    self.assertTrue(os.path.exists(os.path.join(CONFIGS, source)), source)
                else:
                    named.setdefault(source, []).append(name)
        self.assertEqual(sorted(named), sorted(self.compose["volumes"]))
        self.assertEqual(named["gateway-data"], ["gateway", "worker"])
        self.assertEqual({tuple(v) for k, v in named.items() if k != "gateway-data"},
                         {("atlas",), ("proxy",)})
        self.assertIn("HELIOS_WORKER_SERVER=/data/gateway/helios.sock",
                      self.services["worker"]["environment"])

    def test_prometheus_asks_who_serves_metrics(self):
        jobs = yaml.safe_load(read("prometheus.yml"))["scrape_configs"]
        self.assertEqual(jobs[0]["static_configs"][0]["targets"],
                         ["atlas:9090", "gateway:9090", "proxy:9090"])
        self.assertIn("--metrics-port=:9090", self.services["atlas"]["command"])
        for name in ("gateway", "proxy"):  # unless told otherwise
            done = subprocess.run([os.path.join(BIN, "helios-" + name), "--help"], text=True,
                                  stdout=subprocess.PIPE)
            self.assertRegex(done.stdout, r"--metrics-port .*\n.*\[:9090\]")


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.join(CONFIGS, "systemd")
        self.names = [n for n in os.listdir(self.folder) if n.endswith(".service")]
        self.assertGreaterEqual(len(self.names), 4)

    def exec_start(self, name):
        return re.search(r"^ExecStart=(.*)$", read("systemd/" + name), re.M).group(1).split()

    def test_programs_take_their_command_lines_and_tell_when_they_are_ready(self):
        for name in self.names:
            words = self.exec_start(name)
            flags = [CONFIGS + "/config.yaml" if w == "/etc/helios/helios.yaml" else w
                     for w in words[1:]]
            self.assertEqual(words[0], "/usr/bin/" + name.rpartition(".")[0])
            if name == "helios-worker.service":
                usage = subprocess.run([os.path.join(BIN, "helios-worker"), "--help"], text=True,
                                       stdout=subprocess.PIPE).stdout
                for flag in flags:
                    self.assertIn(f"  {flag.split('=')[0]} ", usage)
                continue
            ok, said = accepts(*flags, name=os.path.basename(words[0]))
            self.assertTrue(ok, f"{name}: {said}")
            self.assertIn("Type=notify\n", read("systemd/" + name))
            self.assertIn("--supervised systemd", " ".join(words))

    def test_systemd_finds_nothing_wrong(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("no systemd-analyze")
        with tempfile.TemporaryDirectory() as there:
            for name in self.names:
                path = os.path.join(there, name)
                with open(path, "w") as f:
                    f.write(read("systemd/" + name).replace("/usr/bin", BIN))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                ours = [line for line in done.stdout.splitlines() if name in line]
                self.assertEqual(ours, [])


class Kubernetes(unittest.TestCase):
    def setUp(self):
        self.objects = {(o["kind"], o["metadata"]["name"]): o for o in
                        yaml.safe_load_all(read("kubernetes/helios.yaml"))}
        self.set = self.objects["StatefulSet", "helios"]
        self.pod = self.set["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]

    def test_the_server_takes_the_command_line_of_every_pod(self):
        names = [f"helios-{i}" for i in range(self.set["spec"]["replicas"])]
        values = {e["name"]: e.get("value", "x") for e in self.container["env"]}
        listed = dict(p.split(":", 1) for p in values["HELIOS_RAFT_PEERS"].split(","))
        self.assertEqual(listed, {n: f"{n}.helios:7000" for n in names})
        for name in names:
            words = [w.replace("$(POD_NAME)", name) for w in self.container["command"]]
            self.assertEqual(words[0], "/app/helios-atlasd")
            ok, said = accepts(*words[1:], env={**values, "POD_NAME": name})
            self.assertTrue(ok, said)
            self.assertIn(f"--raft-advertise-addr={listed[name]}", words)

    def test_what_is_named_exists(self):
        labels = self.set["spec"]["template"]["metadata"]["labels"]
        ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}
        flags = " ".join(self.container["command"])
        for name, flag in (("resp", "listen"), ("http", "gateway-listen"), ("raft", "raft-addr")):
            self.assertRegex(flags, rf"-{flag}=\S*:{ports[name]}\b")
        for (kind, _), thing in self.objects.items():
            selector = thing["spec"]["selector"]
            self.assertEqual(selector.get("matchLabels", selector), labels, kind)
        for service in ("helios", "helios-gateway"):
            for port in self.objects["Service", service]["spec"]["ports"]:
                self.assertIn(port.get("targetPort", port["name"]), ports)
        self.assertEqual(self.set["spec"]["serviceName"], "helios")
        for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"),
                            ("readinessProbe", "/ready")):
            self.assertEqual(self.container[probe]["httpGet"], {"path": path, "port": "http"})
        volumes = {v["name"] for v in self.pod["volumes"]}
        volumes |= {c["metadata"]["name"] for c in self.set["spec"]["volumeClaimTemplates"]}
        for container in self.pod["containers"] + self.pod["initContainers"]:
            self.assertLessEqual({m["name"] for m in container["volumeMounts"]}, volumes)

    def test_a_majority_stays_and_founders_start_together(self):
        budget = self.objects["PodDisruptionBudget", "helios"]["spec"]["maxUnavailable"]
        self.assertLess(budget * 2, self.set["spec"]["replicas"])
        self.assertEqual(self.set["spec"]["podManagementPolicy"], "Parallel")
        headless = self.objects["Service", "helios"]["spec"]
        self.assertEqual(headless["clusterIP"], "None")
        self.assertTrue(headless["publishNotReadyAddresses"])


class Health(unittest.TestCase):
    def check(self, *words):
        return subprocess.run([os.path.join(CONFIGS, "healthcheck.sh"), *map(str, words)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=20).returncode == 0

    def test_the_image_has_a_check_that_tells_well_from_ill(self):
        self.assertIn("HEALTHCHECK", read("Dockerfile"))
        web, nobody = free_port(), free_port()
        with Server("--gateway-listen", f":{web}") as server:
            self.assertTrue(self.check("resp", server.port))
            self.assertTrue(self.check("http", web))
            self.assertTrue(self.check("tcp", web))
            for kind in ("resp", "http", "tcp"):
                self.assertFalse(self.check(kind, nobody), kind)
            self.assertFalse(self.check("http", server.port))
            with Conn(web) as conn:  # and the check left nothing behind that blocks it
                self.assertEqual(conn.request("GET", "/health").status, 200)


if __name__ == "__main__":
    unittest.main()
