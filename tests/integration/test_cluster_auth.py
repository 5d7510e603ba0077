#!/usr/bin/env python3
"""Goal: in a cluster there is one first administrator, whoever leads meanwhile; and what was
revoked is dead on every node within a second, live connections and parked calls included, however
often the leader is killed, and stays dead.
Method: a user's token, API key and connections are known to all nodes; the leader is killed, the
user's rights are revoked while the others elect, and from the acknowledgement on every node that
runs is asked what it thinks by itself (stale reads, the shared functions that the gateway asks).

HELIOS_TEST_SCALE multiplies the 5 kills; HELIOS_TEST_SEED is the seed that is printed.
"""
import os
import random
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from auth_support import await_that, pairs  # noqa: E402
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from test_cluster_modules import make_kek  # noqa: E402
from test_cluster_rbac import ask, do  # noqa: E402

SERVER = os.environ["HELIOS_SERVER"]
MODULES = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules")
SEED = int(os.environ.get("HELIOS_TEST_SEED", random.SystemRandom().randrange(1 << 30)))
KILLS = 5 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
PASSWORD = "correct horse battery"
DIES_S_MAX = 1
DONE_S_MAX = 20


def flags(*modules):
    loaded = [word for name in ("auth", *modules) for word in
              ("--loadmodule", os.path.join(MODULES, name + ".so"))]
    return [*loaded, "--auth.bcrypt-cost", "4", "--election-timeout", "500ms", "--auth.acl-login",
            "yes", "--follower-reads", "stale", "--enable-debug-command", "yes"]


def do_pairs(nodes, *words):
    return pairs(do(nodes, *words))


def gone_or_done(nodes, *words):
    """Run a revocation until it is acknowledged, or what it revokes is gone: an earlier try whose
    answer was lost did it."""
    until = time.monotonic() + DONE_S_MAX
    while time.monotonic() < until:
        for node in nodes:
            try:
                reply = ask(node, *words)
            except OSError:
                continue
            if isinstance(reply, int) or reply == "OK" or reply.startswith("NOSUCH"):
                return
            time.sleep(0.02)
    raise AssertionError(f"{words} was never acknowledged")


def says(node, credential):
    """What a node thinks by itself: "good", "dead", or None while it cannot say."""
    try:
        reply = ask(node, "T.IDENTIFY", credential)
    except OSError:
        return None
    if not isinstance(reply, str):
        return "good"
    return "dead" if reply.startswith("TOKENREVOKED") else None


class Guest:
    """A connection to a node that acts as ada by a credential, parked in a call that waits."""

    def __init__(self, node, credential):
        self.node = node
        self.client = Client(node.port, 10)
        until = time.monotonic() + DONE_S_MAX
        while True:
            try:
                self.client("AUTH", "ada", credential)
                break
            except Error as e:
                assert time.monotonic() < until, f"{node.id} does not let ada in: {e}"
                time.sleep(0.02)
        self.client.send("JOB.PULL", "nothing", "BLOCK", "60000")

    def ended(self, until):
        """Whether the connection is closed by then; what the call answers meanwhile does not count:
        the leader that it waited at may have died."""
        try:
            while True:
                self.client.sock.settimeout(max(0.001, until - time.monotonic()))
                if not self.client.sock.recv(65536):
                    return True
        except socket.timeout:
            return False
        except OSError:
            return True


def one_round(cluster, chance, number):
    """Revoke once, around a kill of the leader."""
    nodes = cluster.nodes
    token = do_pairs(nodes, "AUTH.LOGIN", "ada", PASSWORD)
    key = do_pairs(nodes, "AUTH.APIKEY", "CREATE", "k", "USER", "ada")
    by_key = number % 3 == 2
    credential = key["key"] if by_key else token["access"]
    for node in nodes:
        await_that(lambda n=node: says(n, credential) == "good")
    leader = cluster.await_leader()
    guests = [Guest(node, credential) for node in nodes if node is not leader]
    leader.kill()
    alive = [node for node in nodes if node is not leader]
    words = (("AUTH.APIKEY", "REVOKE", key["id"]) if by_key else
             ("AUTH.SESSION", "REVOKE", token["session"]) if number % 3 == 0 else
             ("AUTH.SESSION", "REVOKE", "ALL", "ada"))
    gone_or_done(chance.sample(alive, len(alive)), *words)
    until = time.monotonic() + DIES_S_MAX
    for node in alive:
        while says(node, credential) != "dead":
            assert time.monotonic() < until, f"{node.id} lets in what was revoked: {words[:2]}"
            time.sleep(0.005)
    for guest in guests:
        assert guest.ended(until), f"{guest.node.id} keeps a connection that was revoked"
    leader.start()
    cluster.await_caught_up(leader)
    for node in nodes:
        assert says(node, credential) == "dead", f"{node.id} forgot a revocation"
    gone_or_done(nodes, "AUTH.APIKEY", "REVOKE", key["id"])


def revocations(kek):
    chance = random.Random(SEED)
    with Cluster(3, *flags("jobs", "t_identify"), "--auth.kek-file", kek, path=SERVER,
                 disk="forgets") as cluster:
        try:
            nodes = cluster.nodes
            cluster.await_leader()
            do(nodes, "AUTH.REGISTER", "ada", PASSWORD)
            do(nodes, "ACL", "SETUSER", "ada", "on", "~*", "+@all")
            for number in range(KILLS):
                one_round(cluster, chance, number)
            cluster.await_equal()
            counts = {ask(node, "AUTH.AUDIT", "VERIFY") for node in nodes}
            assert len(counts) == 1 and isinstance(counts.pop(), int), "the trails differ"
            digests = {ask(node, "DEBUG", "DIGEST") for node in nodes}
            assert len(digests) == 1, digests
        except Exception:
            print(cluster.describe())
            raise


def token_in(node):
    path = os.path.join(node.dir, "auth.bootstrap")
    await_that(lambda: os.path.exists(path))
    with open(path) as f:
        return f.read().strip()


def first_administrator_by_token(kek):
    """Each leader has a token of its own; one of them makes an administrator, once."""
    with Cluster(3, *flags(), "--auth.kek-file", kek, path=SERVER) as cluster:
        first = cluster.await_leader()
        old = token_in(first)
        first.kill()
        second = cluster.await_leader()
        await_that(lambda: "there is no administrator yet" in second.log(), 10)
        new = token_in(second)
        assert new != old
        first.start()
        cluster.await_caught_up(first)
        leader = cluster.await_leader()
        good, void = (new, old) if leader is second else (old, new)
        reply = ask(second, "AUTH.BOOTSTRAP", void, "wrong", PASSWORD)
        assert str(reply).startswith("AUTHFAILED"), reply
        made = pairs(ask(next(n for n in cluster.nodes if n is not leader), "AUTH.BOOTSTRAP", good,
                         "root", PASSWORD))
        assert made["roles"] == ["admin", "user"], made
        for token in (good, void):
            reply = ask(leader, "AUTH.BOOTSTRAP", token, "another", PASSWORD)
            assert str(reply).startswith("BOOTSTRAPCLOSED"), reply
        for node in cluster.nodes:
            await_that(lambda n=node: not os.path.exists(os.path.join(n.dir, "auth.bootstrap")))
            assert [pairs(u)["name"] for u in ask(node, "AUTH.USERS")] == ["root"]


def first_administrator_by_environment(kek):
    """Though all nodes know a password, and later another, there is one administrator."""
    known = {"HELIOS_ADMIN_PASSWORD": "the first of its kind"}
    with Cluster(3, *flags("rbac"), "--auth.kek-file", kek, path=SERVER, env=known) as cluster:
        for _ in range(2):
            leader = cluster.await_leader()
            await_that(lambda n=leader: len(ask(n, "AUTH.USERS")) == 1, 10)
            leader.kill()
            cluster.await_leader()
            leader.env["HELIOS_ADMIN_PASSWORD"] = "quite another one"
            leader.start()
            cluster.await_caught_up(leader)
        cluster.await_equal()
        for node in cluster.nodes:
            assert [pairs(u)["name"] for u in ask(node, "AUTH.USERS")] == ["admin"]
            assert ask(node, "RBAC.CAN", "admin", "admin:anything") == 1
        do(cluster.nodes, "AUTH.LOGIN", "admin", "the first of its kind")


def guesses_count_together(kek):
    """Wrong passwords that are tried at followers lock the user out everywhere."""
    with Cluster(3, *flags(), "--auth.kek-file", kek, "--auth.lockout-base", "60",
                 path=SERVER) as cluster:
        leader = cluster.await_leader()
        do(cluster.nodes, "AUTH.REGISTER", "ada", PASSWORD)
        do(cluster.nodes, "ACL", "SETUSER", "ada", "on", "~*", "+@all")
        cluster.await_equal()
        followers = [node for node in cluster.nodes if node is not leader]
        for guess in range(5):
            reply = ask(followers[guess % 2], "AUTH", "ada", f"a wrong guess {guess}")
            assert str(reply).startswith("WRONGPASS"), reply
        await_that(lambda: pairs(ask(leader, "AUTH.USER", "ada"))["locked_for"] > 0)
        reply = ask(leader, "AUTH.LOGIN", "ada", PASSWORD)
        assert str(reply).startswith("AUTHLOCKED"), reply


def main():
    print(f"seed {SEED}")
    kek = make_kek()
    first_administrator_by_token(kek)
    first_administrator_by_environment(kek)
    guesses_count_together(kek)
    revocations(kek)
    os.unlink(kek)
    print(f"{KILLS} kills of the leader, as many revocations; 2 first administrators")


if __name__ == "__main__":
    main()
