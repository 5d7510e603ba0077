#!/usr/bin/env python3
"""Goal: MODULE LOAD, UNLOAD and RELOAD happen on every node of a cluster or on none, whichever node
is told and whoever dies; a node that lacks a file stops there, says so, and goes on when it is put
there.

Method: three real servers; each has a folder of modules of its own, so that a file can be missing
in one place.
"""
import os
import shutil
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import STEP_S  # noqa: E402

MODULES = os.path.join(os.path.abspath(os.environ["HELIOS_BUILD"]), "bin/modules")
WAIT_S_MAX = 30
KILLS = 4  # of leaders in the middle of an order
ATTEMPTS = 5
FLAGS = ("--election-timeout", "500ms")


def wait_for(condition, what="it", seconds=WAIT_S_MAX):
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"{what} did not come in {seconds} s"
        time.sleep(STEP_S)


def modules(node):
    client = Client(node.port, timeout=WAIT_S_MAX)
    try:
        return {m["name"]: m for m in
                (dict(zip(e[::2], e[1::2])) for e in client("MODULE", "LIST"))}
    finally:
        client.close()


def path_of(name):
    return os.path.join(MODULES, name + ".so")


class Case(unittest.TestCase):
    flags = [*FLAGS, "--log-segment-size", "65536"]

    def setUp(self):
        self.cluster = Cluster(3, *self.flags)
        self.addCleanup(self.cluster.close)
        for node in self.cluster.nodes:  # its own module path
            node.kill()
            self.give(node, "hello", "counter_type", "t_swap")
            node.flags = [*self.flags, "--module-path", self.folder(node)]
        self.cluster.start_all()
        self.leader = self.cluster.await_leader()
        self.followers = [n for n in self.cluster.nodes if n is not self.leader]

    def folder(self, node):
        return os.path.join(node.dir, "modules")

    def give(self, node, *names, source=None):
        os.makedirs(self.folder(node), exist_ok=True)
        for name in names:
            shutil.copy(path_of(source or name), os.path.join(self.folder(node), name + ".tmp"))
            os.rename(os.path.join(self.folder(node), name + ".tmp"), self.file(node, name))

    def file(self, node, name):
        return os.path.join(self.folder(node), name + ".so")

    def client(self, node):
        client = Client(node.port, timeout=WAIT_S_MAX)
        self.addCleanup(client.close)
        return client

    def expect_modules(self, names):
        self.cluster.await_equal()
        for node in self.cluster.nodes:
            if node.runs:
                self.assertEqual(sorted(modules(node)), sorted(names), node.id)

    def expect_nothing_loaded(self):
        self.expect_modules([])

    # --- everybody -------------------------------------------------------------------------------

    def test_a_follower_is_told_and_all_load(self):
        """It is there on every node, works on every node, and after restarts of each."""
        c = self.client(self.followers[0])
        self.assertEqual(c("MODULE", "LOAD", "counter_type"), "OK")
        self.expect_modules(["counter_type"])
        self.assertEqual(c("MODULE", "LOADEX", "hello", "ARGS", "a", "b"), "OK")
        self.expect_modules(["counter_type", "hello"])
        for node in self.cluster.nodes:
            self.assertEqual(modules(node)["hello"]["args"], ["a", "b"])
        self.assertEqual(c("COUNTER.ADD", "hits", 3), 3)
        for node in self.cluster.nodes:
            self.assertEqual(self.client(node)("COUNTER.GET", "hits"), [3, 1])
        for node in list(self.cluster.nodes):
            if node is self.leader:
                self.client(node)("SAVE")
            node.restart()
            self.cluster.await_caught_up(node)
            self.assertEqual(sorted(modules(node)), ["counter_type", "hello"])
            self.assertEqual(self.client(node)("COUNTER.GET", "hits"), [3, 1])
        c = self.client(self.followers[0])
        self.assertEqual(c("MODULE", "UNLOAD", "hello"), "OK")
        self.expect_modules(["counter_type"])
        refused = c.error("MODULE", "UNLOAD", "counter_type")
        self.assertIn("data types", refused)
        self.expect_modules(["counter_type"])

    def test_a_path_that_only_one_node_has(self):
        """Others take the file of that name from their own module path."""
        c = self.client(self.leader)
        os.makedirs(os.path.join(self.leader.dir, "own"))  # the directory that it runs in
        shutil.copy(path_of("hello"), os.path.join(self.leader.dir, "own", "hello.so"))
        self.assertEqual(c("MODULE", "LOAD", "own/hello.so"), "OK")
        self.expect_modules(["hello"])
        self.assertEqual(modules(self.leader)["hello"]["path"], "own/hello.so")
        for node in self.followers:
            self.assertEqual(modules(node)["hello"]["path"], self.file(node, "hello"))

    def test_settings_travel(self):
        c = self.client(self.leader)
        self.assertEqual(c("MODULE", "LOADEX", "t_swap", "CONFIG", "t_swap.fail", 7), "OK")
        self.cluster.await_equal()
        for node in self.cluster.nodes:
            self.assertEqual(self.client(node)("CONFIG", "GET", "t_swap.fail"),
                             ["t_swap.fail", "7"])

    # --- refusals --------------------------------------------------------------------------------

    def test_a_file_that_one_node_lacks(self):
        """The error names the node, and nothing is loaded anywhere."""
        missing = self.followers[1]
        os.unlink(self.file(missing, "hello"))
        for node in (self.leader, self.followers[0], missing):
            refused = self.client(node).error("MODULE", "LOAD", "hello")
            if node is not self.leader:
                self.assertIn(missing.id, refused)
            self.assertIn("hello", refused)
        self.expect_nothing_loaded()
        self.give(missing, "hello")
        self.assertEqual(self.client(missing)("MODULE", "LOAD", "hello"), "OK")
        self.expect_modules(["hello"])

    def refused_loads(self, c):
        text = "ERR Error loading the extension. Please check the server logs."
        for words in (("nowhere",), (self.file(self.leader, "missing"),)):
            self.assertEqual(c.error("MODULE", "LOAD", *words), text)
        self.assertEqual(
            c.error("MODULE", "LOADEX", "t_swap", "CONFIG", "t_swap.fail", "much"), text)
        self.assertEqual(c.error("MODULE", "LOADEX", "hello", "SHA256", "0" * 64), text)
        self.assertEqual(c.error("MODULE", "LOADEX", "hello", "NAME", "other"), text)

    def test_a_module_that_refuses_to_load(self):
        """What OnLoad refuses on the leader is refused as on a server alone, and not logged."""
        for _ in range(ATTEMPTS):
            before = self.leader.info()["raft_last_log_index"]
            self.refused_loads(self.client(self.leader))
            if self.leader.info()["raft_last_log_index"] == before:
                break
        else:  # a leader may log other things in its first moments, but not each time
            self.fail("what was refused is in the log")
        self.expect_nothing_loaded()

    def test_a_node_that_hangs(self):
        """One that does not answer is named, and those who waited meanwhile go on."""
        hanging, c = self.followers[1], self.client(self.leader)
        hanging.pause()
        try:
            c.send("MODULE", "LOAD", "hello")
            other = self.client(self.leader)
            began = time.monotonic()
            self.assertEqual(other("SET", "k", "v"), "OK")
            self.assertLess(time.monotonic() - began, 10)
            reply = c.read()
        finally:
            hanging.resume()
        if str(reply) == "OK":  # by then it had been silent for so long that it counts as down
            self.expect_modules(["hello"])
        else:
            self.assertIn(hanging.id, str(reply))
            self.expect_nothing_loaded()

    def test_a_node_that_is_down(self):
        """It is not waited for; when it comes back it loads the module, too."""
        self.followers[1].kill()
        self.assertEqual(wait_for(lambda: self.try_load("hello"), "the load"), "OK")
        self.followers[1].start()
        self.expect_modules(["hello"])

    def try_load(self, name):
        try:
            return self.client(self.cluster.await_leader())("MODULE", "LOAD", name)
        except Error:
            return None

    # --- a node that cannot ----------------------------------------------------------------------

    def test_a_node_that_comes_back_without_the_file(self):
        """It stops at that entry, visibly, keeps voting, and goes on when the file is there."""
        lacking = self.followers[1]
        lacking.kill()
        os.unlink(self.file(lacking, "counter_type"))
        self.assertEqual(wait_for(lambda: self.try_load("counter_type"), "the load"), "OK")
        c = self.client(self.leader)
        c("COUNTER.ADD", "hits", 1)
        lacking.start()
        stopped = wait_for(
            lambda: lacking.info().get("raft_apply_stopped", "0") != "0" and lacking.info(),
            "the stop")
        index, reason = stopped["raft_apply_stopped"].split(" ", 1)
        self.assertEqual(int(index), int(stopped["raft_last_applied"]) + 1)
        self.assertIn("counter_type", reason)
        status = self.client(lacking)("RAFT.STATUS")
        status = dict(zip(status[::2], status[1::2]))
        self.assertTrue(status["raft_apply_stopped"].startswith(index))
        self.assertIn("STOPPED applying", lacking.log())
        self.assertTrue(self.client(lacking).error("GET", "k").startswith("MASTERDOWN"))
        self.assertEqual(self.client(lacking)("SET", "k", "v"), "OK")  # by the leader
        self.followers[0].kill()  # its acknowledgement is needed now
        self.assertEqual(c("SET", "k", "w"), "OK")
        self.followers[0].start()
        self.give(lacking, "counter_type")
        wait_for(lambda: lacking.info().get("raft_apply_stopped") == "0", "going on")
        self.expect_modules(["counter_type"])
        self.assertEqual(self.client(lacking)("COUNTER.GET", "hits"), [1, 1])
        self.assertEqual(self.client(lacking)("GET", "k"), "w")

    def test_a_snapshot_that_needs_a_module(self):
        """A node that joins and lacks a module refuses the snapshot before anything is changed,
        says why, and takes it once the file is there."""
        c = self.client(self.leader)
        self.assertEqual(c("MODULE", "LOAD", "counter_type"), "OK")
        c("COUNTER.ADD", "hits", 1)
        for i in range(400):
            c("SET", f"key:{i}", "x" * 1000)
        self.assertEqual(c("SAVE"), "OK")  # what is before it is gone from the log
        folder = os.path.join(self.leader.dir, "later")
        os.makedirs(folder)
        self.cluster.flags = [*self.flags, "--module-path", folder]
        fresh = self.cluster.add()
        self.assertEqual(c("RAFT.ADD", fresh.id, fresh.raft_address), "OK")
        wait_for(lambda: "is refused" in fresh.log(), "the refusal")
        self.assertIn("counter_type", fresh.log().split("is refused", 1)[1].splitlines()[0])
        self.assertTrue(fresh.runs)
        self.assertEqual(fresh.info()["raft_last_applied"], "0")
        shutil.copy(path_of("counter_type"), folder)
        self.cluster.await_caught_up(fresh)
        self.assertEqual(self.client(fresh)("COUNTER.GET", "hits"), [1, 1])

    # --- leaders die -----------------------------------------------------------------------------

    def test_leaders_die_in_the_middle(self):
        """Whatever became of the order, all nodes agree about it."""
        for i in range(KILLS):
            leader = self.cluster.await_leader()
            wanted = "UNLOAD" if "hello" in modules(leader) else "LOAD"
            c = self.client(leader)
            c.send("MODULE", wanted, "hello")
            time.sleep(0.004 * i)
            leader.kill()
            self.cluster.await_leader()
            leader.start()
            self.cluster.await_caught_up(leader)
            self.cluster.await_equal()
            lists = [sorted(modules(node)) for node in self.cluster.nodes]
            self.assertEqual(lists[0], lists[1])
            self.assertEqual(lists[0], lists[2])
            for node in self.cluster.nodes:
                self.assertEqual(node.info()["raft_apply_stopped"], "0")

    # --- hot swap --------------------------------------------------------------------------------

    def test_every_node_swaps(self):
        """Under load, at one index, with all data; nobody is refused."""
        c = self.client(self.followers[0])
        c("MODULE", "LOAD", "t_swap")
        for i in range(50):
            c("SWAP.SET", f"key:{i}", f"text {i}")
        c("SWAP.NOTE", 42)
        for node in self.cluster.nodes:
            self.give(node, "t_swap", source="t_swap2")
        over, failed = threading.Event(), []

        def read_and_write(port, number):
            mine = Client(port, timeout=WAIT_S_MAX)
            try:
                while not over.is_set():
                    mine("SWAP.SET", f"load:{number}", "x")
                    assert mine("SWAP.GET", "key:7") == "text 7"
            except Exception as e:
                failed.append(e)
            finally:
                mine.close()

        threads = [threading.Thread(target=read_and_write, args=(node.port, i))
                   for i, node in enumerate(self.cluster.nodes)]
        for thread in threads:
            thread.start()
        try:
            self.assertEqual(c("MODULE", "RELOAD", "t_swap"), "OK")
            self.cluster.await_caught_up(self.followers[1])
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failed, [])
        self.cluster.await_equal()
        for restart in (False, True):
            for node in self.cluster.nodes:
                if restart:
                    node.restart()
                    self.cluster.await_caught_up(node)
                mine = self.client(node)
                self.assertEqual(modules(node)["t_swap"]["ver"], 2, node.id)
                self.assertEqual(mine("SWAP.SEE")[:3], [2, 42, -42])
                for i in range(50):
                    self.assertEqual(mine("SWAP.GET", f"key:{i}"), f"text {i}")

    def test_a_swap_that_one_node_cannot_make(self):
        """Nothing is swapped anywhere, and the error names the node."""
        c = self.client(self.leader)
        c("MODULE", "LOAD", "t_swap")
        c("SWAP.SET", "key", "text")
        self.give(self.leader, "t_swap", source="t_swap2")
        self.cluster.await_equal()
        os.unlink(self.file(self.followers[0], "t_swap"))
        refused = c.error("MODULE", "RELOAD", "t_swap")
        self.assertIn(self.followers[0].id, refused)
        for node in self.cluster.nodes:
            self.assertEqual(modules(node)["t_swap"]["ver"], 1)
            self.assertEqual(self.client(node)("SWAP.GET", "key"), "text")


if __name__ == "__main__":
    unittest.main(verbosity=2)
