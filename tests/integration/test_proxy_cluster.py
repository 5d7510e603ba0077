#!/usr/bin/env python3
"""Goal: routes are the cluster's: every node serves what any node was told, through failures.
Method: three nodes with the proxy; routes are changed on one, requests go to all; the leader is
killed; health is each node's own.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from http_support import Conn, eventually  # noqa: E402
from proxy_support import Backend, plain, to_dict  # noqa: E402
from resp_client import Client  # noqa: E402

MODULE = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules/proxy.so")


def ask(node, *words):
    c = Client(node.port, timeout=20)
    try:
        return c(*words)
    finally:
        c.close()


def port_of(node):
    return int(to_dict(ask(node, "PROXY.STATUS"))["listening"][0].rsplit(":", 1)[1])


def get(port):
    try:
        with Conn(port) as c:
            got = c.request("GET", "/")
            return got.status, got.body
    except (OSError, EOFError):
        return None


def serves(nodes, body):
    for node in nodes:
        eventually(lambda n=node: get(port_of(n)) == (200, body))


def told(node, *words):
    """Say it until it is done: there may be no leader for a moment."""
    def once():
        try:
            return ask(node, *words) == "OK"
        except Exception:  # LOADING, no leader, a connection that was cut: say it again
            return False
    eventually(once)


def main():
    with Backend(lambda r: plain(b"a")) as a, Backend(lambda r: plain(b"b")) as b, \
            Cluster(3, "--loadmodule", MODULE, "--proxy.listen", "127.0.0.1:0") as cluster:
        nodes = cluster.nodes
        told(nodes[1], "PROXY.BACKEND", "ADD", "one", a.address)
        told(nodes[2], "PROXY.BACKEND", "ADD", "two", b.address)
        told(nodes[0], "PROXY.ROUTE", "ADD", "all", "BACKENDS", "one")
        serves(nodes, b"a")
        eventually(lambda: len({to_dict(ask(n, "PROXY.STATUS"))["version"] for n in nodes}) == 1)
        told(nodes[2], "PROXY.ROUTE", "ADD", "all", "BACKENDS", "two")
        serves(nodes, b"b")
        requests = [to_dict(ask(n, "PROXY.STATS"))["requests_total"] for n in nodes]
        get(port_of(nodes[0]))
        assert to_dict(ask(nodes[0], "PROXY.STATS"))["requests_total"] == requests[0] + 1
        assert to_dict(ask(nodes[1], "PROXY.STATS"))["requests_total"] == requests[1], "its own"
        leader = cluster.leader()
        leader.kill()
        rest = [n for n in nodes if n is not leader]
        told(rest[0], "PROXY.ROUTE", "ADD", "all", "BACKENDS", "one")
        serves(rest, b"a")
        leader.start()
        serves([leader], b"a")
    print("ok")


if __name__ == "__main__":
    main()
