#!/usr/bin/env python3
"""Goal: in a cluster no limit ever gives more than its capacity and its rate allow, however often
the leader is killed; and all nodes hold the same limits.
Method: clients take from a few limits at whatever node they find and count what was granted to
them; the leader is killed and started again. Whatever was granted between the first request and the
last answer is judged by the capacity and that time alone.

HELIOS_TEST_SCALE multiplies the 5 kills; HELIOS_TEST_SEED is the seed that is printed.
"""
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402

SERVER = os.environ["HELIOS_SERVER"]
MODULE = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules/ratelimit.so")
SEED = int(os.environ.get("HELIOS_TEST_SEED", random.SystemRandom().randrange(1 << 30)))
KILLS = 5 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
TAKERS = 6
ANSWER_S_MAX = 3
RETRYABLE = ("NOQUORUM", "NOLEADER", "NOTLEADER", "TRYAGAIN", "LOADING", "CLUSTERDOWN",
             "ROLLEDBACK", "UNKNOWN", "UNBLOCKED", "MASTERDOWN", "READONLY")

# key, the words of its limit, the greatest number that `seconds` allow
LIMITS = [
    ("bucket", "TOKEN 20 10 1", lambda seconds: 20 + 10 * seconds),
    ("gcra", "GCRA 15 7 1", lambda seconds: 15 + 7 * seconds),
    ("window", "WINDOW 30 2000", lambda seconds: 30 * (seconds // 2 + 2)),
    ("cell", "CL.THROTTLE cell 11 5 1", lambda seconds: 12 + 5 * seconds),
]


class Taker:
    def __init__(self, chance):
        self.chance = chance
        self.granted = {key: 0 for key, _, _ in LIMITS}
        self.refused = 0
        self.failed = None

    def step(self, client):
        key, limit, _ = self.chance.choice(LIMITS)
        if limit.startswith("CL."):
            granted = client(limit)[0] == 0
        else:
            granted = client(f"RATELIMIT.TAKE {key} {limit}")[0] == 1
        self.granted[key] += granted
        self.refused += not granted

    def roam(self, nodes, stopping):
        while not stopping.is_set() and self.failed is None:
            client = None
            try:
                client = Client(self.chance.choice(nodes).port, ANSWER_S_MAX)
                while not stopping.is_set():
                    self.step(client)
            except OSError:  # a node that is down, or that died with our request
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


def kill_often(cluster, takers, chance):
    stopping = threading.Event()
    threads = [threading.Thread(target=taker.roam, args=(cluster.nodes, stopping), daemon=True)
               for taker in takers]
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
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)


def judge(takers, seconds):
    for taker in takers:
        if taker.failed is not None:
            raise taker.failed
    for key, limit, allowed in LIMITS:
        granted = sum(taker.granted[key] for taker in takers)
        print(f"{limit}: {granted} granted in {seconds:.1f} s, at most {allowed(seconds):.0f}")
        assert granted <= allowed(seconds), f"{key} gave more than its limit"
        assert granted > 0, f"{key} gave nothing"
    assert sum(taker.refused for taker in takers) > 100, "the limits were never reached"


def states(node):
    c = Client(node.port, 60)
    return [c("DUMP", key) for key in ("bucket", "gcra", "window", "cell", "ratelimit:policies")]


def main():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    takers = [Taker(random.Random(chance.random())) for _ in range(TAKERS)]
    flags = ["--loadmodule", MODULE, "--election-timeout", "500ms", "--follower-reads", "stale"]
    with Cluster(3, *flags, path=SERVER) as cluster:
        try:
            leader = cluster.await_leader()
            begin = time.monotonic()
            kill_often(cluster, takers, chance)
            judge(takers, time.monotonic() - begin)
            leader = cluster.await_leader()
            c = Client(leader.port, 60)
            c("RATELIMIT.POLICY SET slow TOKEN 5 1 86400")
            for key, _, _ in LIMITS:
                c(f"RATELIMIT.RESET {key}")
                c(f"RATELIMIT.TAKE {key} slow 2")
            cluster.await_equal()
            held = [states(node) for node in cluster.nodes]
            assert held[0] == held[1] == held[2] and None not in held[0], "the nodes differ"
        except Exception:
            print(cluster.describe())
            raise
    print(f"{KILLS} kills of the leader")


if __name__ == "__main__":
    main()
