#!/usr/bin/python3
"""Goal: what operators and machines do to a server at bad moments ends in a clear word and loses
nothing: ends under load, a directory shared, files that went missing, settings changed back.

Method: a real server process; each test does one such thing and looks at exit codes, log and data.
"""
import glob
import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import Server, program  # noqa: E402

WRITERS = 8
ENDS = 5


def write_until_gone(port, acknowledged, name):
    """Pipelines of writes until the server goes; counts what was answered."""
    try:
        client = Client(port)
        n = 0
        while True:
            for i in range(20):
                client.send("SET", f"{name}:{n + i}", "x" * 100)
            for _ in range(20):
                client.read()
                n += 1
                acknowledged[name] = n
    except OSError:
        pass


def starts(server, *flags):
    """None when the server starts with these flags, else why it does not."""
    server.flags = list(flags)
    try:
        server.start()
        return None
    except RuntimeError as e:
        return str(e)


class Hostile(unittest.TestCase):
    def server(self, *flags):
        server = Server(*flags)
        self.addCleanup(server.close)
        return server

    def assert_no_crash(self, server):
        self.assertNotIn("assertion failed", server.log())
        self.assertNotIn("Sanitizer", server.log())

    def test_an_end_under_load_is_orderly_and_keeps_what_was_answered(self):
        server = self.server()
        for end in range(ENDS):
            acknowledged = {}
            threads = [threading.Thread(target=write_until_gone,
                                        args=(server.port, acknowledged, f"{end}.{i}"))
                       for i in range(WRITERS)]
            for t in threads:
                t.start()
            while len(acknowledged) < WRITERS or min(acknowledged.values()) < 200:
                threads[0].join(0.005)
            self.assertEqual(server.stop(), 0, server.log()[-1000:])
            for t in threads:
                t.join()
            server.start()
            client = Client(server.port)
            for name, count in acknowledged.items():
                self.assertEqual(client("EXISTS", *[f"{name}:{i}" for i in range(count)]), count)
        self.assert_no_crash(server)

    def test_going_without_a_log_and_back_keeps_the_newest_state(self):
        server = self.server()
        client = Client(server.port)
        client("MSET", "k", "old", "gone", "x")
        server.kill()
        self.assertIsNone(starts(server, "--appendonly", "no"))
        client = Client(server.port)
        client("SET", "k", "new")
        client("DEL", "gone")
        client("SAVE")
        server.kill()
        self.assertIsNone(starts(server))
        client = Client(server.port)
        self.assertEqual(client("MGET", "k", "gone"), ["new", None])
        client("SET", "after", "1")
        server.kill()
        self.assertIsNone(starts(server))
        self.assertEqual(Client(server.port)("MGET", "k", "gone", "after"), ["new", None, "1"])

    def test_a_directory_belongs_to_one_process(self):
        for first in (["--appendonly", "no"], ["--appendonly", "yes"]):
            holder = self.server(*first)
            for second in (["--appendonly", "no"], ["--appendonly", "yes"]):
                with self.assertRaisesRegex(RuntimeError, "another process uses"):
                    self.server("--dir", holder.dir, *second)
            holder.stop()

    def test_a_segment_that_went_missing_after_a_clean_end_is_missed(self):
        server = self.server()
        Client(server.port)("SET", "k", "v")
        self.assertEqual(server.stop(), 0)
        segment, = glob.glob(server.dir + "/*.wal")
        os.rename(segment, segment + ".away")
        self.assertIsNotNone(starts(server))
        self.assert_no_crash(server)
        os.rename(segment + ".away", segment)
        self.assertIsNone(starts(server))
        self.assertEqual(Client(server.port)("GET", "k"), "v")

    def test_a_damaged_snapshot_with_nothing_beside_it_is_not_passed_over(self):
        server = self.server("--appendonly", "no")
        client = Client(server.port)
        client("SET", "k", "v")
        client("SAVE")
        server.kill()
        snapshot, = glob.glob(server.dir + "/*.snap")
        with open(snapshot, "r+b") as f:
            whole = f.read()
            f.seek(len(whole) // 2)
            f.write(bytes([whole[len(whole) // 2] ^ 1]))
        self.assertIn("no snapshot is whole", starts(server, "--appendonly", "yes"))
        self.assertIn("no snapshot is whole", starts(server, "--appendonly", "no"))
        with open(snapshot, "wb") as f:
            f.write(whole)
        self.assertIsNone(starts(server, "--appendonly", "yes"))
        self.assertEqual(Client(server.port)("GET", "k"), "v")
        self.assert_no_crash(server)

    def test_a_held_request_runs_before_what_came_after_it(self):
        server = self.server()
        held, other = Client(server.port), Client(server.port)
        other("CLIENT", "PAUSE", "100000", "WRITE")
        held.send("SET", "k", "1")
        while "cmd=set" not in other("CLIENT", "LIST"):
            pass
        server.process.send_signal(signal.SIGSTOP)
        other.send("CLIENT", "UNPAUSE")  # both are read in one turn of the loop
        held.send("SAVE")
        held.send("APPEND", "k", "2")
        server.process.send_signal(signal.SIGCONT)
        self.assertEqual([held.read(), held.read(), held.read()], ["OK", "OK", 2])
        self.assert_no_crash(server)

    def test_a_killed_connection_runs_nothing_more(self):
        server = self.server()
        held, other = Client(server.port), Client(server.port)
        held_id = held("CLIENT", "ID")
        other("CLIENT", "PAUSE", "100000", "WRITE")
        held.send("SET", "k", "1")
        while "cmd=set" not in other("CLIENT", "LIST"):
            pass
        other.sock.sendall(b"CLIENT KILL ID %d\r\nCLIENT UNPAUSE\r\n" % held_id)
        self.assertEqual([other.read(), other.read()], [1, "OK"])
        self.assertEqual(other("EXISTS", "k"), 0)

    def test_clients_that_leave_while_they_wait_for_a_snapshot(self):
        server = self.server()
        other = Client(server.port)
        for _ in range(20):
            leaver = Client(server.port)
            leaver.send("SAVE")
            leaver.sock.close()
            self.assertEqual(other("PING"), "PONG")
        self.assertEqual(server.stop(), 0)
        self.assert_no_crash(server)

    def test_a_module_loaded_at_run_time_comes_back_with_what_it_saved(self):
        server = self.server("--enable-module-command", "yes")
        client = Client(server.port)
        path = os.path.join(os.path.dirname(program()), "modules/t_globals.so")
        client("MODULE", "LOAD", path)
        client("g.set", "3", "4")
        client("SAVE")  # the module's globals stand in the snapshot, and so does the module
        server.restart()
        client = Client(server.port)
        self.assertEqual(client("g.get"), [3, 4])
        client("MODULE", "UNLOAD", "t_globals")
        server.restart()
        self.assertEqual(Client(server.port)("MODULE", "LIST"), [])

    def test_many_large_writes_at_once_are_all_done(self):
        server = self.server()
        value = b"x" * (2 << 20)
        clients = [Client(server.port, timeout=60) for _ in range(60)]

        def send(client, name):
            for _ in range(4):
                client.send("SET", name, value)
            client.send("APPEND", name, "y")

        threads = [threading.Thread(target=send, args=pair)
                   for pair in zip(clients, map(str, range(60)))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for client in clients:
            self.assertEqual([client.read() for _ in range(5)], ["OK"] * 4 + [len(value) + 1])

    def test_a_log_that_cannot_be_applied_is_refused_without_a_crash(self):
        server = self.server()
        client = Client(server.port)
        client("SELECT", "15")
        client("SET", "k", "v")
        server.kill()
        why = starts(server, "--databases", "2")
        self.assertIn("changes database 15, but `databases` is 2", why)
        self.assertIn("ended with 1", why)
        self.assertIsNone(starts(server))
        self.assert_no_crash(server)

    def test_an_end_while_loading(self):
        server = self.server("--save", "")
        client = Client(server.port)
        value = "x" * 20
        for _ in range(100):
            for i in range(1000):
                client.send("SET", i, value)
            for _ in range(1000):
                client.read()
        for wait in range(4):
            server.kill()
            former = server.process

            def end_soon(former=former, wait=wait):
                while server.process is former:  # until the next one runs
                    time.sleep(0.001)
                time.sleep(0.01 + 0.02 * wait)
                server.process.send_signal(signal.SIGTERM)

            ender = threading.Thread(target=end_soon)
            ender.start()
            try:
                server.start()
            except RuntimeError as e:
                self.assertRegex(str(e), "ended with (0|-15)")
            ender.join(20)
            server.process.wait(20)
            self.assert_no_crash(server)
            server.start()
        self.assertEqual(Client(server.port)("DBSIZE"), 1000)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
