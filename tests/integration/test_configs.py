"""Goal: the examples of configs/ work as they stand: the server takes each file and each command
line, the nodes of a cluster name each other, and the image holds the libraries that are linked."""
import os
import re
import subprocess
import sys
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from server import ROOT, program  # noqa: E402

CONFIGS = os.path.join(ROOT, "configs")
BIN = os.path.dirname(program())


def read(name):
    with open(os.path.join(CONFIGS, name)) as f:
        return f.read()


def accepts(*words, env=None):
    done = subprocess.run([program(), "--test-config", *words], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
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
        paths = {os.path.realpath(p) for p in re.findall(r"=> (/\S+)", linked)}
        base = {"libc6", "libgcc-s1", "libstdc++6"}  # in every Debian image, or of a sanitizer
        for path in paths:
            # Packages of Debian 12 name /lib, where files are found under /usr/lib.
            owner = subprocess.run(["dpkg", "-S", path, path.replace("/usr", "", 1)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            name = owner.stdout.split(":")[0]
            if not re.match(r"lib(asan|ubsan|tsan)", name) and name not in base:
                self.assertIn(name, listed, path)


if __name__ == "__main__":
    unittest.main()
