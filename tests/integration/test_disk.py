#!/usr/bin/python3
"""Goal: nothing acknowledged is lost when the disk is full or fails, and the server says what it
does: -MISCONF while full, an end with code 1 after a failed sync, an orderly end when told to.

Method: a real server on a file system of 8 MiB that a ballast fills, in a mount namespace of its
own; a preloaded library that makes syncs fail; and a socket in place of systemd's.
"""
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import ROOT, Server, damage, free_port, program, wait_ready  # noqa: E402

MARK = "HELIOS_TEST_OWN_MOUNTS"
SANITIZED = "asan" in os.environ.get("HELIOS_SERVER", "")  # its runtime must be loaded first
BUILD = os.environ.get("HELIOS_BUILD", os.path.join(ROOT, "build"))


class Descriptors(unittest.TestCase):
    def test_a_segment_that_cannot_be_opened_is_waited_for(self):
        """Method: the process may open no more files when the log's present one is full."""
        with Server("--snapshot-interval-cmds", "0", "--snapshot-interval-time", "0") as server:
            c, other = Client(server.port, timeout=20), Client(server.port, timeout=20)
            self.addCleanup(c.close)
            self.addCleanup(other.close)
            self.assertEqual(c("SET", "first", "1"), "OK")
            pid = server.process.pid
            used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            free = min(set(range(len(used) + 1)) - used)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
            value = "v" * (8 << 20)
            for i in range(20):  # more than one file holds; storing `meta` needs a descriptor too
                c.send("SET", f"k{i}", value)
            until = time.monotonic() + 20
            while not (other.error("SET", "x", "y") or "").startswith("MISCONF"):
                self.assertLess(time.monotonic(), until, "no write was refused")
                time.sleep(0.02)
            self.assertIn("Too many open files", other.error("SET", "x", "y"))
            self.assertEqual(other("GET", "first"), "1")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            while other.error("SET", "x", "y") is not None:
                self.assertLess(time.monotonic(), until, "writes did not go on")
                time.sleep(0.02)
            kept = [f"k{i}" for i in range(20) if str(c.read()) == "OK"]
            self.assertGreater(len(kept), 0)  # those that were written or waited
            server.kill()
            server.start()
            again = Client(server.port, timeout=20)
            self.addCleanup(again.close)
            self.assertEqual(again("EXISTS", "x", *kept), len(kept) + 1)


class SmallDisk(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="helios-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.dir], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.dir])
        self.acknowledged = {}

    def serve(self, *flags):
        server = Server("--dir", self.dir, *flags)  # the last --dir counts
        self.addCleanup(server.close)
        return server

    def client(self, server):
        client = Client(server.port, timeout=20)
        self.addCleanup(client.close)
        return client

    def write(self, c, key, value):
        """True when acknowledged."""
        c.send("SET", key, value)
        reply = c.read()
        if str(reply) == "OK":
            self.acknowledged[key] = value
        return str(reply)

    def check_all(self, c):
        for key, value in self.acknowledged.items():
            self.assertEqual(c("GET", key), value)

    def fill(self, name="ballast"):
        path = os.path.join(self.dir, name)
        with open(path, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        return path

    def until_full(self, c, size):
        """Write until it is refused; returns the refusal.  A write that the full disk caught on its
        way waits for space and is answered then, so it is asked for with a short time-out."""
        for i in range(100000):
            reply = self.write(c, f"k{size}-{i}", "v" * size)
            if reply != "OK":
                return reply
        self.fail("the disk never filled")

    def test_a_full_disk_refuses_writes_until_there_is_space(self):
        server = self.serve("--snapshot-interval-cmds", "0", "--snapshot-interval-time", "0")
        c, reader = self.client(server), self.client(server)
        for i in range(50):
            self.assertEqual(self.write(c, f"first{i}", str(i)), "OK")
        ballast = self.fill()
        # The log's present file has room still; then one write waits for space, and others are
        # refused.
        stuck = None
        for i in range(100000):
            c.send("SET", f"more{i}", "v" * 1000)
            c.sock.settimeout(2)
            try:
                reply = str(c.read())
            except TimeoutError:
                stuck = f"more{i}"
                break
            if reply != "OK":
                break
            self.acknowledged[f"more{i}"] = "v" * 1000
        self.assertLess(i, 99999)
        other = self.client(server)
        until = time.monotonic() + 10
        while not (other.error("SET", "x", "y") or "").startswith("MISCONF"):
            self.assertLess(time.monotonic(), until)
        for key in ("first0", "first49"):
            self.assertEqual(reader("GET", key), self.acknowledged[key])
        self.assertEqual(reader("PING"), "PONG")
        self.assertIn("MISCONF", other.error("DEL", "first0"))
        self.assertEqual(reader("GET", "first0"), "0")
        os.unlink(ballast)
        until = time.monotonic() + 10
        while other.error("SET", "x", "y") is not None:
            self.assertLess(time.monotonic(), until, "writes did not go on")
            time.sleep(0.02)
        self.acknowledged["x"] = "y"
        if stuck is not None:
            c.sock.settimeout(20)
            self.assertEqual(str(c.read()), "OK")
            self.acknowledged[stuck] = "v" * 1000
        server.kill()
        server.start()
        self.check_all(self.client(server))
        self.assertEqual(server.stop(), 0)
        server.start()
        self.check_all(self.client(server))

    def test_killed_while_full(self):
        server = self.serve("--snapshot-interval-cmds", "0", "--snapshot-interval-time", "0")
        c = self.client(server)
        self.assertEqual(self.write(c, "a", "1"), "OK")
        ballast = self.fill()
        try:
            c.sock.settimeout(1)
            self.until_full(c, 4000)
        except TimeoutError:
            pass
        server.kill()
        os.unlink(ballast)
        server.start()
        self.check_all(self.client(server))
        self.assertEqual(self.write(self.client(server), "b", "2"), "OK")

    def test_the_files_of_the_log_fit_the_disk(self):
        server = self.serve()
        sizes = [os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(self.dir)
                 for f in names]
        self.assertLess(max(sizes), 2 << 20)
        self.assertEqual(self.client(server)("CONFIG", "GET", "log-segment-size"),
                         ["log-segment-size", "67108864"])


class FailedSync(unittest.TestCase):
    def test_the_server_ends_and_keeps_its_word(self):
        """Everything acknowledged before is there after a restart; nothing after is answered."""
        library = os.path.join(BUILD, "tests/support/failsync.so")
        if SANITIZED or not os.path.exists(library):
            self.skipTest("no " + library)
        with tempfile.TemporaryDirectory(prefix="helios-test-") as tmp:
            when = os.path.join(tmp, "now")
            data = os.path.join(tmp, "data")
            env = {"LD_PRELOAD": library, "FAILSYNC_DIR": data, "FAILSYNC_WHEN": when}
            server = Server("--dir", data, env=env)
            self.addCleanup(server.close)
            c = Client(server.port, timeout=20)
            for i in range(100):
                self.assertEqual(c("SET", f"k{i}", i), "OK")
            open(when, "w").close()
            with self.assertRaises((ConnectionError, OSError)):
                c("SET", "after", "1")
            self.assertEqual(server.process.wait(20), 1)
            c.close()
            log = server.log()
            self.assertIn("FATAL", log)
            self.assertIn("sync", log)
            os.unlink(when)
            server.start()
            c = Client(server.port, timeout=20)
            self.assertEqual([c("GET", f"k{i}") for i in range(100)],
                             [str(i) for i in range(100)])
            c.close()
            self.assertEqual(server.stop(), 0)


class Modes(unittest.TestCase):
    def serve(self, *flags, **kw):
        server = Server(*flags, **kw)
        self.addCleanup(server.close)
        return server

    def client(self, server):
        client = Client(server.port, timeout=20)
        self.addCleanup(client.close)
        return client

    def test_the_sync_mode_changes_under_way(self):
        """Slow syncs show whether a reply waits for one."""
        dropdisk = os.path.join(BUILD, "tests/support/dropdisk.so")
        if SANITIZED or not os.path.exists(dropdisk):
            self.skipTest("no " + dropdisk)
        server = self.serve(env={"LD_PRELOAD": dropdisk, "DISKSLOW_US": "200000"})
        c = self.client(server)

        def took(count=5):
            best = 99.0
            for i in range(count):
                start = time.monotonic()
                c("SET", "a", i)
                best = min(best, time.monotonic() - start)
            return best

        self.assertGreater(took(), 0.15)
        for mode in ("everysec", "no"):
            c("CONFIG", "SET", "appendfsync", mode)
            self.assertLess(took(), 0.1, mode)
        c("CONFIG", "SET", "appendfsync", "always")
        self.assertGreater(took(), 0.15)

    def test_a_cut_tail_is_told_as_the_mode_has_it(self):
        for mode, text in (("always", "no write in them was acknowledged"),
                           ("everysec", "may have been acknowledged"),
                           ("no", "may have been acknowledged")):
            server = self.serve("--appendfsync", mode)
            c = self.client(server)
            c("SET", "a", "1" * 1000)
            c("SET", "b", "2" * 1000)
            server.kill()
            self.assertEqual(damage(server, b"2" * 1000, b"?" * 10), 1)
            server.start()
            self.assertIn(text, server.log(), mode)
            self.assertEqual(self.client(server)("GET", "a"), "1" * 1000)

    def test_after_an_orderly_end_nothing_may_be_missing(self):
        """The log knows what counted, in every mode, so a shortened one is refused."""
        for mode in ("always", "everysec", "no"):
            server = self.serve("--appendfsync", mode)
            c = self.client(server)
            c("SET", "a", "1" * 1000)
            c("SET", "b", "2" * 1000)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(damage(server, b"2" * 1000, b"?" * 10), 1)
            with self.assertRaises(RuntimeError, msg=mode):
                server.start()


class Supervision(unittest.TestCase):
    def notified(self, sock):
        sock.settimeout(20)
        return sock.recv(4096).decode()

    def run_under_systemd(self, name, supervised):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, \
                tempfile.TemporaryDirectory(prefix="helios-test-") as tmp:
            sock.bind("\0" + name[1:] if name[0] == "@" else os.path.join(tmp, name))
            path = name if name[0] == "@" else os.path.join(tmp, name)
            server = Server("--supervised", supervised, env={"NOTIFY_SOCKET": path})
            self.addCleanup(server.close)
            while "READY=1" not in self.notified(sock):
                pass
            c = Client(server.port)
            self.assertIn("process_supervised:systemd", c("INFO", "server"))
            c.close()
            server.process.send_signal(signal.SIGTERM)
            self.assertIn("STOPPING=1", self.notified(sock))
            self.assertEqual(server.process.wait(20), 0)

    def test_systemd_is_told(self):
        self.run_under_systemd("notify", "systemd")
        self.run_under_systemd("@helios-test-%d" % os.getpid(), "auto")

    def test_without_systemd_nothing_is_needed(self):
        for word in ("systemd", "auto", "upstart", "no"):
            server = Server("--supervised", word, env={"NOTIFY_SOCKET": "/nonexistent/socket"})
            self.assertEqual(server.stop(), 0)
            server.close()

    def test_the_pid_file_and_leaving_the_terminal(self):
        with tempfile.TemporaryDirectory(prefix="helios-test-") as tmp:
            port, pid_path = free_port(), os.path.join(tmp, "pid")
            args = [program(), "--port", str(port), "--dir", os.path.join(tmp, "data"),
                    "--daemonize", "yes", "--pidfile", pid_path, "--logfile",
                    os.path.join(tmp, "log")]
            done = subprocess.run(args, capture_output=True, timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            wait_ready(port, None, "the daemon")
            with open(pid_path) as f:
                pid = int(f.read())
            again = subprocess.run(args, capture_output=True, timeout=30, text=True)
            self.assertEqual(again.returncode, 1)
            self.assertIn("another process uses", again.stderr)
            c = Client(port)
            self.assertIn("process_id:%d\r\n" % pid, c("INFO", "server"))
            c.close()
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + 20
            while os.path.exists(pid_path):
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)


if __name__ == "__main__":
    if MARK not in os.environ:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--mount", *user, sys.executable, *sys.argv])
    unittest.main()
