#!/usr/bin/python3
"""Goal: nodes started as the seeds say form one cluster, quickly and with one leader; it survives
the loss of any one; nothing else ever becomes part of it.

Method: real servers on free ports of this machine, asked through INFO and plain commands; sockets
that speak nonsense to the raft port.
"""
import os
import re
import shutil
import socket
import struct
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster, Node, info_of  # noqa: E402
from http_support import Conn  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import (ROOT, WAIT_S_MAX, Processes, Server, free_port, program,  # noqa: E402
                    wait_for)

FORM_S_MAX = 3        # to agree on a leader after the start
FAILOVER_S_MAX = 2    # until a write succeeds after the leader's death
READ_S_MAX = 1        # until every node answers what one was told
ELECTION = ["--election-timeout", "500ms"]


def try_command(port, *words, timeout=1.0):
    """The reply, or None when there is none or it is an error."""
    try:
        client = Client(port, timeout=timeout)
        try:
            return client(*words)
        finally:
            client.close()
    except (OSError, Error):
        return None


def agreed_leader(ports):
    """The name of the leader that all of them name, one of them being it; None otherwise."""
    infos = [info_of("127.0.0.1", port) for port in ports]
    leaders = {info.get("raft_leader") for info in infos}
    states = [info.get("raft_state") for info in infos]
    if len(leaders) == 1 and states.count("Leader") == 1:
        return leaders.pop()
    return None


class AsTheSeedsSay(unittest.TestCase):
    def setUp(self):
        self.processes = Processes()
        self.addCleanup(self.processes.close)
        self.clients = [free_port() for _ in range(3)]
        self.rafts = [free_port() for _ in range(3)]

    def check_forms(self, begin):
        try:
            leader = wait_for(lambda: agreed_leader(self.clients), FORM_S_MAX, "a leader")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.processes.logs()}") from None
        took = time.monotonic() - begin
        print(f"     formed in {took:.2f} s, {leader} leads")
        info = info_of("127.0.0.1", self.clients[0])
        self.assertEqual(info["raft_enabled"], "true")
        self.assertEqual(info["raft_voters"], "3")
        at = self.clients[int(leader[-1]) - 1]
        for writer in [at, *self.clients]:  # on any node, and read on every one
            self.assertEqual(try_command(writer, "SET", f"key{writer}", "hello cluster", timeout=5),
                             "OK")
            for port in self.clients:
                value = wait_for(lambda p=port, w=writer: try_command(p, "GET", f"key{w}"),
                                 READ_S_MAX, "the value")
                self.assertEqual(value, "hello cluster")

    def test_the_three_command_lines(self):
        begin = time.monotonic()
        for i in range(3):
            others = ",".join(f"node-{k + 1}:127.0.0.1:{self.rafts[k]}" for k in range(3) if k != i)
            self.processes.start(
                f"node-{i + 1}",
                [program(), f"-data-dir=./data/node{i + 1}", f"-listen=:{self.clients[i]}",
                 "-raft=true", f"-raft-node-id=node-{i + 1}",
                 f"-raft-addr=127.0.0.1:{self.rafts[i]}",
                 f"-raft-data-dir=./data/node{i + 1}/raft"],
                {"HELIOS_RAFT_PEERS": others})
        self.check_forms(begin)

    def test_the_three_yaml_files(self):
        begin = time.monotonic()
        gateways, metrics = [], []
        for i in range(3):
            with open(os.path.join(ROOT, f"configs/cluster-node{i + 1}.yaml")) as f:
                text = f.read()
            for k in range(3):
                text = text.replace(f"127.0.0.1:{7000 + k}", f"127.0.0.1:{self.rafts[k]}")
            gateways.append(free_port())
            text = text.replace(f":{8443 + i}", f":{gateways[-1]}")
            metrics.append(free_port())
            text = text.replace(f":{9090 + i}", f":{metrics[-1]}")
            path = os.path.join(self.processes.dir, f"node{i + 1}.yaml")
            with open(path, "w") as f:
                f.write(text)
            self.processes.start(f"node-{i + 1}", [program(), "--config", path, "--port",
                                                   str(self.clients[i])])
        self.check_forms(begin)
        for port in gateways:
            with Conn(port) as conn:
                self.assertEqual(conn.request("GET", "/health").status, 200)
        for port in metrics:
            with Conn(port) as conn:
                self.assertIn(b"atlas_store_keys ", conn.request("GET", "/metrics").body)

    def test_one_without_a_list_takes_that_of_the_others(self):
        begin = time.monotonic()
        for i in range(3):
            others = ",".join(f"node-{k + 1}:127.0.0.1:{self.rafts[k]}" for k in range(3) if k != i)
            self.processes.start(
                f"node-{i + 1}",
                [program(), f"-data-dir=./data/node{i + 1}", f"-listen=:{self.clients[i]}",
                 "-raft=true", f"-raft-node-id=node-{i + 1}",
                 f"-raft-addr=127.0.0.1:{self.rafts[i]}"],
                {"HELIOS_RAFT_PEERS": others} if i > 0 else {})
        self.check_forms(begin)


class ACluster(unittest.TestCase):
    def write_somewhere(self, nodes, key, value):
        """Seconds until a write through any of the nodes was acknowledged."""
        begin = time.monotonic()
        def attempt():
            return any(try_command(n.port, "SET", key, value, timeout=0.5) == "OK" for n in nodes)
        wait_for(attempt, what="a write")
        return time.monotonic() - begin

    def value_at(self, node, key):
        return wait_for(lambda: try_command(node.port, "GET", key), what=f"{key} on {node.id}")

    def test_writes_go_on_after_the_leader_was_killed(self):
        with Cluster(3, *ELECTION) as cluster:
            for round_ in range(5):
                leader = cluster.await_leader()
                self.write_somewhere([leader], f"before{round_}", "1")
                leader.kill()
                rest = [n for n in cluster.nodes if n is not leader]
                took = self.write_somewhere(rest, f"after{round_}", "2")
                print(f"     a write succeeded {took * 1000:.0f} ms after the kill")
                self.assertLess(took, FAILOVER_S_MAX)
                leader.start()
                for node in cluster.nodes:
                    self.assertEqual(self.value_at(node, f"before{round_}"), "1")
                    self.assertEqual(self.value_at(node, f"after{round_}"), "2")

    def test_a_restart_of_one_and_of_all_keeps_everything(self):
        with Cluster(3) as cluster:
            leader = cluster.await_leader()
            client = Client(leader.port)
            for i in range(200):
                client("SET", f"key{i}", f"value{i}")
            client.close()
            follower = next(n for n in cluster.nodes if n is not leader)
            follower.restart()
            self.assertEqual(self.value_at(follower, "key199"), "value199")
            for node in cluster.nodes:
                node.kill()
            cluster.start_all()
            cluster.await_leader()
            for node in cluster.nodes:
                self.assertEqual(self.value_at(node, "key0"), "value0")
                self.assertEqual(self.value_at(node, "key199"), "value199")
            terms = {node.info()["raft_term"] for node in cluster.nodes}
            self.assertEqual(len(terms), 1)

    def test_a_leader_that_is_told_to_end_hands_over_first(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            self.write_somewhere([leader], "a", "1")
            rest = [n for n in cluster.nodes if n is not leader]
            leader.process.terminate()
            begin = time.monotonic()
            took = self.write_somewhere(rest, "b", "2")
            self.assertEqual(leader.process.wait(WAIT_S_MAX), 0)
            print(f"     a write succeeded {took * 1000:.0f} ms after the signal")
            self.assertLess(time.monotonic() - begin, FAILOVER_S_MAX)
            self.assertIn("handing leadership", leader.log())
            self.assertLess(took, 0.45, "no election time-out was waited for")

    def test_nobody_begins_while_a_founder_is_missing(self):
        cluster = Cluster.__new__(Cluster)
        cluster.flags, cluster.path, cluster.env = (), None, None
        cluster.nodes = [Node(n + 1, ()) for n in range(3)]
        try:
            for node in cluster.nodes:
                node.peers = ",".join(f"{o.id}:{o.raft_address}" for o in cluster.nodes
                                      if o is not node)
            for node in cluster.nodes[:2]:
                node.spawn()
            wait_for(lambda: f"waiting for node-3 ({cluster.nodes[2].raft_address}"
                     in cluster.nodes[0].log(), what="the missing one's name")
            self.assertIsNone(try_command(cluster.nodes[0].port, "SET", "a", "1"))
            cluster.start_all()
            cluster.await_leader(FORM_S_MAX)
        finally:
            cluster.close()

    def test_an_emptied_voter_is_refused_under_its_old_identity(self):
        with Cluster(3) as cluster:
            leader = cluster.await_leader()
            self.write_somewhere([leader], "a", "1")
            victim = next(n for n in cluster.nodes if n is not leader)
            victim.kill()
            victim.wipe()
            victim.spawn()
            self.assertEqual(victim.process.wait(WAIT_S_MAX), 1)
            self.assertIn("belongs to a cluster already", victim.log())
            self.assertIn("RAFT.ADD", victim.log())
            self.assertEqual(try_command(leader.port, "GET", "a"), "1")

    def added(self, cluster):
        """One more node, told to wait, and named to the leader."""
        leader = cluster.await_leader()
        node = cluster.add()
        client = Client(leader.port, timeout=WAIT_S_MAX)
        self.assertEqual(client("RAFT.ADD", node.id, node.raft_address), "OK")
        client.close()
        return node

    def test_nodes_are_added_and_removed_and_leadership_goes_where_it_is_told(self):
        with Cluster(3) as cluster:
            leader = cluster.await_leader()
            client = Client(leader.port, timeout=WAIT_S_MAX)
            for i in range(100):
                client("SET", f"key{i}", str(i))
            self.assertIn("calls itself", client.error("RAFT.ADD", "x",
                                                       cluster.nodes[1].raft_address))
            self.assertIn("cannot reach", client.error("RAFT.ADD", "x",
                                                       f"127.0.0.1:{free_port()}"))
            self.assertIn("no such member", client.error("RAFT.REMOVE", "nobody"))
            self.assertIn("raft address", client.error("RAFT.ADD", "x", "nowhere"))
            follower = next(n for n in cluster.nodes if n is not leader)
            other = Client(follower.port)
            self.assertIn("NOTLEADER " + leader.id, other.error("RAFT.REMOVE", leader.id))
            other.close()
            fourth = self.added(cluster)
            self.assertEqual(client("RAFT.ADD", fourth.id, fourth.raft_address), "OK")
            self.assertEqual(self.value_at(fourth, "key99"), "99")
            wait_for(lambda: fourth.info().get("raft_voters") == "4", what="its vote")
            # It leads when it is told to, and then the first leader can go for good.
            wait_for(lambda: client.error("RAFT.TRANSFER", fourth.id) is None, what="the transfer")
            self.assertEqual(cluster.await_leader().id, fourth.id)
            client.close()
            leader.kill()
            client = Client(fourth.port, timeout=WAIT_S_MAX)
            self.assertEqual(client("RAFT.REMOVE", leader.id), "OK")
            self.assertEqual(fourth.info()["raft_voters"], "3")
            self.assertNotIn(leader.id, client("LISTPEERS"))
            self.assertEqual(client("SET", "after", "1"), "OK")
            status = client("RAFT.STATUS")
            fields = dict(zip(status[::2], status[1::2]))
            self.assertEqual(fields["raft_leader"], fourth.id)
            client.close()

    def test_a_node_of_one_becomes_three(self):
        with Cluster(1) as cluster:
            first = cluster.nodes[0]
            wait_for(lambda: try_command(first.port, "SET", "a", "1"), what="a write")
            for _ in range(2):
                self.added(cluster)
            wait_for(lambda: first.info().get("raft_voters") == "3", what="three voters")
            first.kill()
            rest = cluster.nodes[1:]
            self.write_somewhere(rest, "b", "2")
            for node in rest:
                self.assertEqual(self.value_at(node, "a"), "1")

    def test_two_clusters_never_mix(self):
        with Cluster(3) as one, Cluster(3) as other:
            a, b = one.await_leader(), other.await_leader()
            self.write_somewhere([a], "whose", "one")
            self.write_somewhere([b], "whose", "other")
            # A node of the second comes up where one of the first is expected.
            lost = next(n for n in one.nodes if n is not a)
            moved = next(n for n in other.nodes if n is not b)
            lost.kill()
            moved.kill()
            moved.raft_port, kept = lost.raft_port, moved.raft_port
            moved.start()
            wait_for(lambda: "refused a connection to the raft port" in moved.log(),
                     what="a refusal")
            self.assertEqual(self.value_at(a, "whose"), "one")
            self.assertEqual(a.info()["raft_voters"], "3")
            moved.kill()
            moved.raft_port = kept
            lost.start()
            moved.start()
            for node in one.nodes:
                self.assertEqual(self.value_at(node, "whose"), "one")
            for node in other.nodes:
                self.assertEqual(self.value_at(node, "whose"), "other")

    def test_the_directory_of_a_plain_server_becomes_a_cluster_of_three(self):
        with Cluster(1, *ELECTION) as cluster:
            first = cluster.nodes[0]
            self.assertEqual(first.stop(), 0)
            first.wipe()
            with Server("--sync-mode", "every") as alone:  # it never heard of clusters
                client = Client(alone.port)
                for i in range(50):
                    client("SET", f"key{i}", str(i))
                client("SET", "mortal", "1", "PXAT", 4000000000000)
                client.close()
                self.assertEqual(alone.stop(), 0)
                shutil.copytree(alone.dir, first.dir, dirs_exist_ok=True)
            first.how = []
            first.start()
            self.assertEqual(wait_for(lambda: agreed_leader([first.port]), what="its leadership"),
                             first.id)
            self.assertEqual(self.value_at(first, "key49"), "49")
            for _ in range(2):
                self.added(cluster)
            wait_for(lambda: first.info().get("raft_voters") == "3", what="three voters")
            self.write_somewhere([first], "more", "1")
            first.kill()
            rest = cluster.nodes[1:]
            self.write_somewhere(rest, "b", "2")
            for node in rest:
                for key, value in (("key0", "0"), ("key49", "49"), ("more", "1"), ("b", "2")):
                    self.assertEqual(self.value_at(node, key), value)
                self.assertEqual(try_command(node.port, "PEXPIRETIME", "mortal"), 4000000000000)

    def test_hostile_bytes_on_the_raft_port_change_nothing(self):
        with Cluster(3) as cluster:
            leader = cluster.await_leader()
            before = leader.info()
            nonsense = [b"GET / HTTP/1.1\r\n" + b"x" * 200, b"\0" * 4096,
                        b"*1\r\n$4\r\nPING\r\n" * 50, os.urandom(100000),
                        b"HLPF" + struct.pack("<H", 9) + b"\xff" * 200,
                        b"\x16\x03\x01\x02\x00\x01" + b"\0" * 600]
            held = []
            for bytes_ in nonsense * 5:
                s = socket.create_connection(("127.0.0.1", leader.raft_port), 5)
                s.settimeout(WAIT_S_MAX)
                try:
                    s.sendall(bytes_)
                    self.assertEqual(s.recv(10), b"")
                except ConnectionError:
                    pass
                s.close()
            for _ in range(100):  # those that say nothing
                held.append(socket.create_connection(("127.0.0.1", leader.raft_port), 5))
            self.write_somewhere([leader], "a", "1")
            after = leader.info()
            self.assertEqual(after["raft_state"], "Leader")
            self.assertEqual(after["raft_term"], before["raft_term"])
            self.assertGreaterEqual(int(after["raft_links_refused"]), 30)
            lines = len(re.findall("refused a connection to the raft port", leader.log()))
            self.assertLessEqual(lines, 20)
            for s in held:
                s.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
