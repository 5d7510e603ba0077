#!/usr/bin/python3
"""Goal: TLS on the client port lets in whom the settings say, carries any amount faithfully, is
renewed without dropping anybody, and cannot be used to hurt other clients.

Method: certificates made by openssl in a temporary directory, a real server, the stock redis-cli
and Python's ssl as clients, and sockets that speak nonsense.
"""
import os
import signal
import socket
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import Server, free_port, program  # noqa: E402

PASS = "open sesame"


class Certificates:
    """A CA, identities signed by it, and one signed by somebody else."""

    def __init__(self, path):
        self.path = path
        self.authority("ca")
        self.authority("other-ca")
        for name in ("server", "server2", "client"):
            self.identity(name, "ca")
        self.identity("stranger", "other-ca")
        self.openssl("pkcs8", "-topk8", "-in", self("server.key"), "-out", self("locked.key"),
                     "-passout", "pass:" + PASS)

    def __call__(self, name):
        return os.path.join(self.path, name)

    def openssl(self, *args, **kw):
        subprocess.run(["openssl", *args], check=True, capture_output=True, **kw)

    def new_key(self):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def authority(self, name):
        self.openssl("req", "-x509", *self.new_key(), "-keyout", self(name + ".key"), "-out",
                     self(name + ".crt"), "-days", "2", "-subj", "/CN=" + name)

    def identity(self, name, ca):
        self.openssl("req", *self.new_key(), "-keyout", self(name + ".key"), "-out",
                     self(name + ".csr"), "-subj", "/CN=" + name)
        with open(self("ext"), "w") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.openssl("x509", "-req", "-in", self(name + ".csr"), "-CA", self(ca + ".crt"), "-CAkey",
                     self(ca + ".key"), "-CAcreateserial", "-days", "2", "-out",
                     self(name + ".crt"), "-extfile", self("ext"))


class TlsClient(Client):
    def __init__(self, port, context, timeout=20):
        super().__init__(port, timeout)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory(prefix="helios-test-")
        cls.certs = Certificates(cls.tmp.name)

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def flags(self, **changes):
        c = self.certs
        flags = {"tls-cert-file": c("server.crt"), "tls-key-file": c("server.key"),
                 "tls-ca-cert-file": c("ca.crt"), "tls-auth-clients": "no"}
        flags.update({k.replace("_", "-"): v for k, v in changes.items()})
        return [word for k, v in flags.items() for word in ("--" + k, v)]

    def serve(self, *more, **changes):
        self.tls_port = free_port()
        server = Server("--tls-port", str(self.tls_port), "--appendonly", "no", "--loglevel",
                        "verbose", *self.flags(**changes), *more)
        self.addCleanup(server.close)
        self.server = server
        return server

    def context(self, who=None, version=None):
        context = ssl.create_default_context(cafile=self.certs("ca.crt"))
        if who:
            context.load_cert_chain(self.certs(who + ".crt"), self.certs(who + ".key"))
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def client(self, who=None, version=None):
        client = TlsClient(self.tls_port, self.context(who, version))
        self.addCleanup(client.close)
        return client

    def plain(self):
        client = Client(self.server.port, timeout=20)
        self.addCleanup(client.close)
        return client

    def cli(self, *words, who=None, ca="ca.crt"):
        args = ["redis-cli", "-p", str(self.tls_port), "--tls", "--cacert", self.certs(ca)]
        if who:
            args += ["--cert", self.certs(who + ".crt"), "--key", self.certs(who + ".key")]
        done = subprocess.run(args + list(words), capture_output=True, text=True, timeout=30)
        return (done.stdout + done.stderr).strip()

    def refused(self, who=None):
        """True when the server ends the connection instead of answering PING."""
        try:
            client = self.client(who)
            client("PING")
        except (OSError, ConnectionError):
            return True
        return False

    def test_redis_cli_speaks_to_us(self):
        self.serve()
        self.assertEqual(self.cli("PING"), "PONG")
        self.assertEqual(self.cli("SET", "a", "1"), "OK")
        self.assertEqual(self.plain()("GET", "a"), "1")
        self.assertIn("tls-port", self.cli("CONFIG", "GET", "tls-port"))

    def test_a_client_that_trusts_another_authority_leaves(self):
        self.serve()
        self.assertNotEqual(self.cli("PING", ca="other-ca.crt"), "PONG")
        self.assertEqual(self.cli("PING"), "PONG")

    def test_only_tls(self):
        """`port 0` leaves no plain port."""
        port = free_port()
        log = os.path.join(self.tmp.name, "only.log")
        with open(log, "wb") as out, tempfile.TemporaryDirectory(prefix="helios-test-") as data:
            process = subprocess.Popen(
                [program(), "--port", "0", "--tls-port", str(port), "--dir", data, *self.flags()],
                stdout=out, stderr=out)
            try:
                self.tls_port = port
                until = time.monotonic() + 30
                while self.cli("PING") != "PONG":
                    self.assertIsNone(process.poll())
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.02)
                self.assertIn("tcp_port:%d" % port, self.cli("INFO", "server"))
            finally:
                process.terminate()
                self.assertEqual(process.wait(20), 0)

    def test_certificates_of_clients(self):
        for setting, nobody, good, bad in (("yes", False, True, False),
                                           ("optional", True, True, False),
                                         ("no", True, True, True)):
            with self.subTest(setting):
                self.serve(tls_auth_clients=setting)
                self.assertEqual(not self.refused(), nobody)
                self.assertEqual(not self.refused("client"), good)
                self.assertEqual(not self.refused("stranger"), bad)
                self.assertEqual(self.cli("PING", who="client") == "PONG", good)
                self.assertEqual(self.plain()("PING"), "PONG")

    def test_versions_and_ciphers(self):
        self.serve(tls_protocols="TLSv1.2", tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
        client = self.client()
        self.assertEqual(client.sock.cipher()[0], "ECDHE-ECDSA-AES128-GCM-SHA256")
        self.assertEqual(client.sock.version(), "TLSv1.2")
        with self.assertRaises(ssl.SSLError):
            self.client(version=ssl.TLSVersion.TLSv1_3)

    def test_large_values_and_pipelines(self):
        self.serve()
        c = self.client()
        value = os.urandom(1 << 20).hex() * 8
        self.assertEqual(c("SET", "big", value), "OK")
        self.assertEqual(c("GET", "big"), value)
        count = 100000
        words = b"".join(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" for _ in range(count))
        sent = 0
        c.sock.settimeout(60)
        while sent < len(words):  # less than the kernel's buffers at once, as the replies are small
            c.sock.sendall(words[sent:sent + 100000])
            sent += 100000
        self.assertEqual([c.read() for _ in range(count)], list(range(1, count + 1)))
        for n in (1, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 200000):
            self.assertEqual(c("ECHO", "x" * n), "x" * n)

    def test_a_slow_reader_gets_everything(self):
        self.serve()
        c = self.client()
        value = "v" * 1000000
        c("SET", "big", value)
        for _ in range(20):
            c.send("GET", "big")
        time.sleep(0.3)  # the socket fills
        self.assertEqual(self.client()("PING"), "PONG")
        for _ in range(20):
            self.assertEqual(c.read(), value)

    def test_half_closed_and_quit(self):
        self.serve()
        c = self.client()
        c.send("QUIT")
        self.assertEqual(c.read(), "OK")
        self.assertEqual(c.sock.recv(10), b"", "a farewell, not a broken connection")

    def test_requests_byte_by_byte(self):
        self.serve()
        c = self.client()
        for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n":
            c.sock.sendall(bytes([byte]))
        self.assertEqual(c.read(), "hello")

    def test_a_record_larger_than_what_is_read_at_once(self):
        """What the engine holds is taken although the socket has nothing more."""
        self.serve()
        c = self.client()
        for rest in range(1, 6):
            c.sock.sendall(b"*2\r\n$4\r\nECHO\r\n$5\r\nhello"[:-rest])
            time.sleep(0.05)  # so that the server has read it: the next one is a record of its own
            c.sock.sendall(b"hello"[-rest:] + b"\r\n" + b"PING\r\n" * 2500)
            self.assertEqual(c.read(), "hello")
            for _ in range(2500):
                self.assertEqual(c.read(), "PONG")

    def test_sessions_resume_if_allowed(self):
        for allowed in ("yes", "no"):
            self.serve(tls_session_caching=allowed)
            context = self.context(version=ssl.TLSVersion.TLSv1_2)
            first = TlsClient(self.tls_port, context)
            first("PING")
            again = socket.create_connection(("127.0.0.1", self.tls_port), 20)
            again = context.wrap_socket(again, server_hostname="localhost",
                                        session=first.sock.session)
            self.assertEqual(again.session_reused, allowed == "yes")
            first.close()
            again.close()

    def presented(self):
        """The common name of the certificate that a new connection is shown."""
        subject = dict(x[0] for x in self.client().sock.getpeercert()["subject"])
        return subject["commonName"]

    def test_certificates_change_under_way(self):
        """By CONFIG SET, and by SIGHUP when the files keep their names; nobody is dropped."""
        folder = self.certs
        for part in ("crt", "key"):
            shutil.copy(folder("server." + part), folder("live." + part))
        server = self.serve(tls_cert_file=folder("live.crt"), tls_key_file=folder("live.key"))
        old, admin = self.client(), self.plain()
        self.assertEqual(self.presented(), "server")
        admin("CONFIG", "SET", "tls-cert-file", folder("server2.crt"), "tls-key-file",
              folder("server2.key"))
        self.assertEqual(self.presented(), "server2")
        admin("CONFIG", "SET", "tls-cert-file", folder("live.crt"), "tls-key-file",
              folder("live.key"))
        self.assertEqual(self.presented(), "server")
        for part in ("crt", "key"):
            shutil.copy(folder("server2." + part), folder("live." + part))
        self.assertEqual(self.presented(), "server", "not before it is told")
        os.kill(server.process.pid, signal.SIGHUP)
        until = time.monotonic() + 10
        while self.presented() != "server2":
            self.assertLess(time.monotonic(), until)
        with open(folder("live.key"), "w") as f:
            f.write("nonsense")
        os.kill(server.process.pid, signal.SIGHUP)
        while "live.key" not in server.log():
            self.assertLess(time.monotonic(), until + 10)
        self.assertEqual(self.presented(), "server2", "the old one stays in use")
        self.assertEqual(old("PING"), "PONG")

    def test_wrong_settings_are_refused_and_nothing_changes(self):
        self.serve()
        admin = self.plain()
        for words in (("tls-cert-file", "/nonexistent"), ("tls-key-file", self.certs("client.key")),
                      ("tls-ciphers", "nonsense"), ("tls-ca-cert-file", "/nonexistent"),
                      ("tls-cert-file", "")):
            error = admin.error("CONFIG", "SET", *words)
            self.assertIn("CONFIG SET failed", error or "", words)
            self.assertEqual(self.presented(), "server")

    def test_ports_open_and_close_under_way(self):
        server = self.serve()
        admin, old = self.client(), self.client()
        other = free_port()
        admin("CONFIG", "SET", "tls-port", other)
        with self.assertRaises(ConnectionRefusedError):
            self.client()
        self.tls_port = other
        self.assertEqual(self.client()("PING"), "PONG")
        self.assertEqual(old("PING"), "PONG")
        plain = free_port()
        admin("CONFIG", "SET", "port", plain)
        with self.assertRaises(ConnectionRefusedError):
            self.plain()
        server.port = plain
        self.assertEqual(self.plain()("PING"), "PONG")
        admin("CONFIG", "SET", "port", 0)
        with self.assertRaises(ConnectionRefusedError):
            self.plain()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            error = admin.error("CONFIG", "SET", "tls-port", taken.getsockname()[1])
            self.assertIn("CONFIG SET failed", error)
        self.assertEqual(self.client()("CONFIG", "GET", "tls-port"), ["tls-port", str(other)])
        admin("CONFIG", "SET", "bind", "127.0.0.1")
        self.assertEqual(self.client()("PING"), "PONG")
        self.assertIn("CONFIG SET failed", admin.error("CONFIG", "SET", "bind", "192.0.2.1"))
        self.assertEqual(self.client()("PING"), "PONG")

    def start_fails(self, text, **changes):
        with self.assertRaises(RuntimeError) as raised:
            self.serve(**changes)
        self.assertIn("ended with 1", str(raised.exception))
        self.assertIn(text, str(raised.exception))

    def test_wrong_files_stop_the_start(self):
        self.start_fails("/nonexistent: No such file", tls_cert_file="/nonexistent")
        self.start_fails("key values mismatch", tls_key_file=self.certs("client.key"))
        self.start_fails("locked.key", tls_key_file=self.certs("locked.key"))
        self.start_fails("needs a certificate", tls_key_file="", tls_cert_file="")
        self.start_fails("CA certificates", tls_auth_clients="yes", tls_ca_cert_file="")

    def test_an_encrypted_key(self):
        server = self.serve(tls_key_file=self.certs("locked.key"), tls_key_file_pass=PASS)
        self.assertEqual(self.cli("PING"), "PONG")
        self.assertNotIn(PASS, server.log())
        self.assertNotIn(PASS, str(self.plain()("CONFIG", "GET", "*")))

    def test_a_directory_of_authorities(self):
        folder = tempfile.mkdtemp(dir=self.tmp.name)
        shutil.copy(self.certs("ca.crt"), os.path.join(folder, "ca.pem"))
        self.certs.openssl("rehash", folder)
        self.serve(tls_ca_cert_file="", tls_ca_cert_dir=folder, tls_auth_clients="yes")
        self.assertFalse(self.refused("client"))
        self.assertTrue(self.refused("stranger"))

    def test_nonsense_on_the_tls_port(self):
        self.serve()
        for text in (b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\n\r\n",
                     b"\x16\x03\x01\xff\xff" + b"x" * 70000, os.urandom(100000), b"\x80\x2e\x01"):
            with socket.create_connection(("127.0.0.1", self.tls_port), 20) as s:
                try:
                    s.sendall(text)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.client()("PING"), "PONG")
        info = self.plain()("INFO", "clients")
        self.assertIn("connected_clients:2\r\n", info, "none of the others is left")

    def test_tls_on_the_plain_port(self):
        server = self.serve()
        with self.assertRaises(OSError):
            TlsClient(server.port, self.context())
        self.assertEqual(self.plain()("PING"), "PONG")

    def test_a_handshake_that_does_not_go_on_is_ended(self):
        self.serve()
        c = self.client()
        silent = [socket.create_connection(("127.0.0.1", self.tls_port), 30) for _ in range(50)]
        started = time.monotonic()
        for s in silent:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        self.assertEqual(c("PING"), "PONG")
        for s in silent:
            self.assertEqual(s.recv(100), b"")
            s.close()
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(c("PING"), "PONG")

    def test_many_handshakes_do_not_stop_the_others(self):
        """All arrive while the server is stopped, with a key that takes milliseconds to sign; who
        asked last for something cheap does not wait for all of them."""
        key = self.certs("slow.key")
        self.certs.openssl("req", "-x509", "-newkey", "rsa:4096", "-nodes", "-keyout", key, "-out",
                           self.certs("slow.crt"), "-days", "2", "-subj", "/CN=slow")
        server = self.serve(tls_cert_file=self.certs("slow.crt"), tls_key_file=key)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        c = self.plain()
        c("PING")
        opened = []
        for _ in range(100):
            s = socket.create_connection(("127.0.0.1", self.tls_port), 30)
            self.addCleanup(s.close)
            came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
            engine = context.wrap_bio(came, goes)
            with self.assertRaises(ssl.SSLWantReadError):
                engine.do_handshake()
            opened.append((s, goes.read()))
        os.kill(server.process.pid, signal.SIGSTOP)
        for s, hello in opened:
            s.sendall(hello)
        c.send("PING")
        start = time.monotonic()
        os.kill(server.process.pid, signal.SIGCONT)
        self.assertEqual(c.read(), "PONG")
        first = time.monotonic() - start
        for s, _ in opened:
            self.assertNotEqual(s.recv(1), b"")
        self.assertLess(first, (time.monotonic() - start) / 2)


if __name__ == "__main__":
    unittest.main()
