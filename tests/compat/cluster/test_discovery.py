#!/usr/bin/python3
"""Goal: existing clients follow the leader by the discovery they already have.

Method: three real servers; a client writes numbered keys, its leader is killed in between, and it
must go on writing without being told and find everything that was acknowledged.
"""
import os
import subprocess
import sys
import time

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../support"))
from cluster import Cluster  # noqa: E402
from server import ROOT  # noqa: E402

FLAGS = ("--election-timeout", "500ms")
BEFORE = 50   # keys written before the leader dies
AFTER = 50    # and after
GO_ON_S = 30  # until the client has written those
RETRIED = (redis.exceptions.RedisError, OSError)


class Client:
    """A client that is opened anew when it says that it cannot go on, as redis-py 4.3's cluster
    client does when it has to learn the nodes again (it copies itself, locks and all)."""

    def __init__(self, opener):
        self.opener, self.client = opener, opener()

    def __getattr__(self, name):
        def call(*args):
            try:
                return getattr(self.client, name)(*args)
            except redis.exceptions.RedisClusterException as e:
                self.client = self.opener()
                raise redis.exceptions.RedisError(str(e)) from e
        return call


def write(client, name, count, seconds):
    """Write until `count` keys were acknowledged; those keys."""
    kept, n, until = [], 0, time.monotonic() + seconds
    while len(kept) < count:
        assert time.monotonic() < until, f"{len(kept)} of {count} keys after {seconds} s"
        n += 1
        key = f"{name}:{n}"
        try:
            client.set(key, n)
            kept.append((key, n))
        except RETRIED:
            time.sleep(0.02)  # between two tries, as a program would
    return kept


def survives(cluster, client, name):
    kept = write(client, name + ":before", BEFORE, GO_ON_S)
    cluster.await_leader().kill()
    kept += write(client, name + ":after", AFTER, GO_ON_S)
    for key, n in kept:
        assert int(client.get(key)) == n, key
    cluster.start_all()
    cluster.await_leader()


def redis_py_sentinel(cluster):
    sentinel = Sentinel([(node.host, node.port) for node in cluster.nodes], socket_timeout=2)
    leader = cluster.await_leader()
    assert sentinel.discover_master("mymaster") == (leader.host, leader.port)
    followers = {(n.host, n.port) for n in cluster.nodes if n is not leader}
    assert set(sentinel.discover_slaves("mymaster")) == followers
    survives(cluster, sentinel.master_for("mymaster", socket_timeout=2), "sentinel")


def redis_py_cluster(cluster):
    client = Client(lambda: RedisCluster(
        startup_nodes=[ClusterNode(n.host, n.port) for n in cluster.nodes if n.runs]))
    assert client.keyslot("foo") == client.cluster_keyslot("foo") == 12182
    survives(cluster, client, "cluster")


def node_client(cluster, kind):
    build = os.environ.get("HELIOS_BUILD", os.path.join(ROOT, "build"))
    env = {**os.environ, "NODE_PATH": os.path.join(build, "npm/node_modules")}
    argv = ["timeout", str(2 * GO_ON_S), "node", os.path.join(HERE, "discovery.js"), kind,
            *(str(node.port) for node in cluster.nodes)]
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as client:
        lines = iter(client.stdout)
        for _ in range(BEFORE):
            assert next(lines, None) is not None, f"{kind} wrote nothing"
        cluster.await_leader().kill()
        for _ in range(AFTER + BEFORE):  # some were acknowledged before the kill
            assert next(lines, None) is not None, f"{kind} did not go on"
        client.stdin.close()
        last = ""
        for last in lines:
            pass
        assert last.startswith("kept "), last
        assert client.wait() == 0
    cluster.start_all()
    cluster.await_leader()


def main():
    tests = {"redis-py sentinel": redis_py_sentinel, "redis-py cluster": redis_py_cluster}
    for kind in ("ioredis-cluster", "ioredis-sentinel", "node-redis-cluster",
                 "node-redis-sentinel"):
        tests[kind] = lambda cluster, kind=kind: node_client(cluster, kind)
    failed = 0
    with Cluster(3, *FLAGS) as cluster:
        for name, test in tests.items():
            cluster.await_leader()
            try:
                test(cluster)
                print("ok", name, flush=True)
            except Exception as e:  # noqa: BLE001: the others are still of interest
                failed += 1
                print("FAILED", name, repr(e), flush=True)
                print(cluster.describe())
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
