#!/usr/bin/python3
"""Goal: nodes that are told to use TLS talk to nobody who cannot show a certificate of the
cluster's authority for its own name.

Method: certificates made by openssl, real servers, and clients with other certificates or none.
"""
import os
import socket
import ssl
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster, Node  # noqa: E402
from server import STEP_S, free_port  # noqa: E402
from test_tls import Certificates  # noqa: E402

WAIT_S_MAX = 20


class NodeCertificates(Certificates):
    """Each for the name of its node."""

    def identity(self, name, ca):
        self.openssl("req", *self.new_key(), "-keyout", self(name + ".key"), "-out",
                     self(name + ".csr"), "-subj", "/CN=" + name)
        with open(self("ext"), "w") as f:
            f.write(f"subjectAltName=DNS:{name}\n")
        self.openssl("x509", "-req", "-in", self(name + ".csr"), "-CA", self(ca + ".crt"), "-CAkey",
                     self(ca + ".key"), "-CAcreateserial", "-days", "2", "-out",
                     self(name + ".crt"), "-extfile", self("ext"))


class RaftTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory(prefix="helios-test-")
        cls.certs = NodeCertificates(cls.tmp.name)
        for name in ("node-1", "node-2", "node-3"):
            cls.certs.identity(name, "ca")

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def flags(self, name, ca="ca"):
        c = self.certs
        return ["-raft-tls-enabled", "-raft-tls-cert", c(name + ".crt"), "-raft-tls-key",
                c(name + ".key"), "-raft-tls-ca", c(ca + ".crt"), "-raft-tls-verify-peer=true"]

    def nodes(self, *flags):
        """Founders that list each other, not started."""
        nodes = [Node(n + 1, flags[n]) for n in range(len(flags))]
        for node in nodes:
            self.addCleanup(node.close)
            node.peers = ",".join(f"{o.id}:{o.raft_address}" for o in nodes if o is not node)
        return nodes

    def form(self, nodes):
        cluster = Cluster.__new__(Cluster)
        cluster.nodes = nodes
        cluster.start_all()
        return cluster

    def wait_logged(self, node, part):
        until = time.monotonic() + WAIT_S_MAX
        while part not in node.log():
            self.assertLess(time.monotonic(), until, node.log())
            time.sleep(STEP_S)

    def test_three_nodes_form_a_cluster_and_strangers_stay_out(self):
        nodes = self.nodes(*(self.flags(f"node-{n}") for n in (1, 2, 3)))
        cluster = self.form(nodes)
        leader = cluster.await_leader()
        link = [v for k, v in leader.info().items() if k.startswith("raft_link0")]
        self.assertIn("raft=up,bulk=up,forward=up", link[0])
        # Without TLS, with no certificate, and with one of another authority.
        with socket.create_connection(("127.0.0.1", leader.raft_port), 5) as s:
            s.sendall(b"HLPF" + b"\0" * 100)
            s.settimeout(WAIT_S_MAX)
            while s.recv(1000):
                pass
        for cert in (None, "stranger"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if cert:
                context.load_cert_chain(self.certs(cert + ".crt"), self.certs(cert + ".key"))
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                with socket.create_connection(("127.0.0.1", leader.raft_port), 5) as raw:
                    with context.wrap_socket(raw) as s:
                        s.sendall(b"HLPF" + b"\0" * 100)
                        if s.recv(10) == b"":
                            raise ConnectionError("closed")
        self.assertEqual(cluster.await_leader().id, leader.id)

    def test_a_node_with_anothers_certificate_is_not_believed(self):
        first, second = self.nodes(self.flags("node-1"), self.flags("node-3"))
        first.spawn()
        second.spawn()
        self.wait_logged(first, "waiting for node-2")
        self.wait_logged(first, "refused a connection to the raft port")
        self.assertIn("ertificate", first.log())
        self.assertIn("no cluster yet", first.log())

    def test_a_node_of_another_authority_and_one_without_tls_stay_out(self):
        first, second, third = self.nodes(self.flags("node-1"), self.flags("stranger", "other-ca"),
                                          [])
        for node in (first, second, third):
            node.spawn()
        self.wait_logged(first, "waiting for node-2")
        self.wait_logged(third, "waiting for node-1")
        self.wait_logged(first, "refused a connection to the raft port")
        self.assertNotIn("founding", first.log() + second.log() + third.log())

    def test_missing_files_stop_the_start(self):
        node = Node(1, [*self.flags("nobody"), "--bootstrap"])
        self.addCleanup(node.close)
        node.raft_port = free_port()
        node.spawn()
        self.assertEqual(node.process.wait(WAIT_S_MAX), 1)
        self.assertIn("nobody.crt", node.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
