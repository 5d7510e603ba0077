#!/usr/bin/env python3
"""Goal: the jobs and auth modules keep their promises in a cluster: no acknowledged job is lost,
none is leased or done twice, and users and tokens survive, however often the leader is killed.
Method: clients and judge are those of test_jobs_crash.py; each client goes to whatever node it
finds, while the leader is killed and started again, on disks that forget at a kill what was not
synced.

HELIOS_TEST_SCALE multiplies the 5 kills; HELIOS_TEST_SEED is the seed that is printed.
"""
import os
import random
import secrets
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import test_jobs_crash as jobs  # noqa: E402
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402

KILLS = 5 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
ANSWER_S_MAX = 3
RETRYABLE = ("NOQUORUM", "NOLEADER", "NOTLEADER", "TRYAGAIN", "LOADING", "CLUSTERDOWN",
             "ROLLEDBACK", "UNKNOWN", "UNBLOCKED", "MASTERDOWN")


class Roaming:
    """An actor that goes to another node when one is of no use."""

    def roam(self, nodes, stopping, chance):
        while not stopping.is_set() and self.failed is None:
            node = chance.choice(nodes)
            client = None
            try:
                client = Client(node.port, ANSWER_S_MAX)
                while not stopping.is_set():
                    self.step(client)
            except jobs.GONE:
                time.sleep(0.01)
            except Error as e:
                if not str(e).startswith(RETRYABLE):
                    self.failed = e
                time.sleep(0.02)
            except Exception as e:
                self.failed = e
            finally:
                if client is not None:
                    client.close()


class Pusher(Roaming, jobs.Pusher):
    pass


class Worker(Roaming, jobs.Worker):
    pass


class Registrar(Roaming, jobs.Registrar):
    pass


def kill_often(cluster, actors, chance):
    stopping = threading.Event()
    threads = [threading.Thread(target=actor.roam, daemon=True,
                                args=(cluster.nodes, stopping, random.Random(chance.random())))
               for actor in actors]
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            leader = cluster.await_leader()
            time.sleep(chance.uniform(0.1, 0.5))  # of work between two kills
            leader.kill()
            cluster.await_leader()
            leader.start()
            cluster.await_caught_up(leader)
            for actor in actors:
                if actor.failed is not None:
                    raise actor.failed
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)


def make_kek():
    """The key under which signing keys travel: a file that all nodes share."""
    fd, path = tempfile.mkstemp(prefix="helios-kek-")
    with os.fdopen(fd, "w") as f:
        f.write(secrets.token_hex(32) + "\n")
    return path


def main():
    print(f"seed {jobs.SEED}")
    chance = random.Random(jobs.SEED)
    world = jobs.World()
    actors = [Pusher(world, i) for i in range(3)] + [Worker(world, i) for i in range(3, 7)]
    actors.append(Registrar(world, 7))
    kek = make_kek()
    flags = [*jobs.flags(), "--auth.kek-file", kek, "--election-timeout", "500ms"]
    with Cluster(3, *flags, path=jobs.SERVER, disk="forgets") as cluster:
        try:
            cluster.await_leader()
            kill_often(cluster, actors, chance)
            leader = cluster.await_leader()
            orphans = jobs.finish(Client(leader.port, 60), world, actors)
            cluster.await_equal()
            for node in cluster.nodes:
                jobs.judge(Client(node.port, 60), world)
        except Exception:
            print(cluster.describe())
            raise
    os.unlink(kek)
    assert len(world.done) >= KILLS and world.tokens, "too little was done to mean anything"
    print(f"{KILLS} kills of the leader: {len(world.pushed)} jobs pushed, {len(world.done)} done, "
          f"{orphans} leased to nobody, {len(world.users)} users")


if __name__ == "__main__":
    main()
