#!/usr/bin/env python3
"""Goal: /ready tells a load balancer the truth about a node of a cluster.
Method: three nodes with the http module; the majority is killed and started again.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from http_support import Conn, eventually  # noqa: E402
from resp_client import Client  # noqa: E402

MODULE = os.path.join(os.environ["HELIOS_BUILD"], "bin/modules/http.so")


def http_port(node):
    c = Client(node.port)
    reply = c("HTTP.STATUS")
    c.close()
    return int(reply[reply.index("listening") + 1][0].rsplit(":", 1)[1])


def ready(port):
    with Conn(port) as c:
        got = c.request("GET", "/ready")
        return got.status, got.body


def main():
    with Cluster(3, "--loadmodule", MODULE, "--http.listen", "127.0.0.1:0") as cluster:
        ports = [http_port(node) for node in cluster.nodes]
        for port in ports:
            eventually(lambda p=port: ready(p)[0] == 200)
        for node in cluster.nodes[1:]:
            node.kill()
        eventually(lambda: ready(ports[0]) ==
                   (503, b'{"ready":false,"reason":"no leader is known"}\n'))
        with Conn(ports[0]) as c:
            assert c.request("GET", "/health").status == 200, "alive, if not ready"
        for node in cluster.nodes[1:]:
            node.start()
        eventually(lambda: ready(ports[0])[0] == 200)
        cluster.nodes[0].pause()
        cluster.nodes[0].resume()
        eventually(lambda: ready(ports[0])[0] == 200)
    print("ok")


if __name__ == "__main__":
    main()
