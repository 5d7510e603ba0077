#!/usr/bin/env python3
"""Goal: in a cluster a changed role holds on all nodes within a second, for live connections too,
and no kill of a leader brings a right back that was taken.
Method: a user is connected to every node; roles are granted and revoked at random nodes while
leaders are killed; after each acknowledged change every node must answer accordingly.

HELIOS_TEST_SCALE multiplies the 4 kills; HELIOS_TEST_SEED is the seed that is printed.
"""
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402

SERVER = os.environ["HELIOS_SERVER"]
MODULE = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules/rbac.so")
SEED = int(os.environ.get("HELIOS_TEST_SEED", random.SystemRandom().randrange(1 << 30)))
KILLS = 4 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
CHANGES = 6  # between two kills
HOLDS_S_MAX = 1
DONE_S_MAX = 20


def ask(node, *words):
    """The reply, or the text of the error, on a connection of its own."""
    c = Client(node.port, 10)
    try:
        return c(*words)
    except Error as e:
        return str(e)
    finally:
        c.close()


def do(nodes, *words):
    """Run a command that may be repeated until it is acknowledged by some node."""
    until = time.monotonic() + DONE_S_MAX
    node = nodes[0]
    while time.monotonic() < until:
        try:
            reply = ask(node, *words)
            if not isinstance(reply, str) or reply == "OK":
                return reply
        except OSError:
            pass
        time.sleep(0.02)
        node = nodes[int(time.monotonic() * 50) % len(nodes)]
    raise AssertionError(f"{words} was never acknowledged")


class Watcher:
    """ada's connection to one node, made anew when the node went away."""

    def __init__(self, node):
        self.node = node
        self.client = None

    def connect(self):
        until = time.monotonic() + DONE_S_MAX
        while True:
            try:
                self.client = Client(self.node.port, 10)
                self.client("AUTH ada pw")
                return
            except (OSError, Error):
                assert time.monotonic() < until, f"ada cannot log in at {self.node.id}"
                time.sleep(0.02)

    def may(self, *words):
        """True or False as the node says; None while it cannot say."""
        if self.client is None:
            self.connect()
        try:
            self.client(*words)
            return True
        except Error as e:
            return False if str(e).startswith("NOPERM") else None
        except OSError:
            self.client = None
            return None

    def says(self):
        """Of a write, which the leader judges, and of a read, which the node itself does."""
        write, read = self.may("SET", "kv:x", "1"), self.may("GET", "secret:x")
        return write if write is read else None


def await_rights(watchers, wanted, acknowledged):
    """Every node agrees within a second, and none says otherwise afterwards."""
    for watcher in watchers:
        while watcher.says() is not wanted:
            late = time.monotonic() - acknowledged
            assert late < HOLDS_S_MAX, f"{watcher.node.id} after {late:.1f} s: not {wanted}"
            time.sleep(0.005)
    for watcher in watchers:
        assert watcher.says() in (wanted, None), f"{watcher.node.id} took it back"


def main():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    flags = ["--loadmodule", MODULE, "--election-timeout", "500ms", "--enable-debug-command", "yes"]
    with Cluster(3, *flags, path=SERVER) as cluster:
        try:
            cluster.await_leader()
            nodes = cluster.nodes
            do(nodes, "RBAC.ROLE", "SET", "keeper", "kv:set", "+get", "~secret:*")
            do(nodes, "RBAC.GRANT", "ada", "readonly")
            do(nodes, "ACL", "SETUSER", "ada", ">pw")
            watchers = [Watcher(node) for node in nodes]
            for kill in range(KILLS):
                for _ in range(CHANGES):
                    shuffled = chance.sample(nodes, len(nodes))
                    wanted = chance.random() < 0.5
                    do(shuffled, "RBAC.GRANT" if wanted else "RBAC.REVOKE", "ada", "keeper")
                    await_rights(watchers, wanted, time.monotonic())
                leader = cluster.await_leader()
                leader.kill()
                cluster.await_leader()
                leader.start()
                cluster.await_caught_up(leader)
                for watcher in watchers:
                    watcher.connect()
                await_rights(watchers, wanted, time.monotonic())
            do(nodes, "RBAC.REVOKE", "ada")
            cluster.await_equal()
            for node in nodes:
                assert ask(node, "RBAC.CAN", "ada", "kv:set", "x") == 1, "the default role"
                refusal = ask(node, "AUTH", "ada", "pw")
                assert refusal == "OK", refusal
            digests = {ask(node, "DEBUG", "DIGEST") for node in nodes}
            assert len(digests) == 1, digests
        except Exception:
            print(cluster.describe())
            raise
    print(f"{KILLS} kills of the leader, {KILLS * CHANGES} changes")


if __name__ == "__main__":
    main()
