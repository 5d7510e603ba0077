"""What tests of the gateway share: servers with all its modules, JSON requests, users."""
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from http_support import Conn  # noqa: E402
from resp_client import Client  # noqa: E402
from server import STEP_S, Server  # noqa: E402

BUILD = os.environ["HELIOS_BUILD"]
SANITIZED = "asan" in os.environ.get("HELIOS_SERVER", "")  # it keeps freed memory for a while
MODULES = ("http", "auth", "rbac", "ratelimit", "jobs", "gateway")
PASSWORD = "correct horse battery"
READY_S_MAX = 30
KEKS = tempfile.TemporaryDirectory(prefix="helios-kek-")  # all nodes of a cluster share one file


def flags(*more, modules=MODULES):
    """Flags of a server with the modules, on any free HTTP port, with cheap passwords."""
    out = []
    for name in modules:
        out += ["--loadmodule", os.path.join(BUILD, "bin/modules", name + ".so")]
    known = {"http": ["--http.listen", "127.0.0.1:0"],
             "gateway": ["--gateway.limit-capacity", "0", "--gateway.endpoint-limits", ""],
             "auth": ["--auth.bcrypt-cost", "4", "--auth.kek-file",
                      os.path.join(KEKS.name, "auth.kek")]}
    for name in modules:
        out += known.get(name, [])
    return [*out, "--enable-module-command", "yes", "--enable-debug-command", "yes", *more]


class Orderly(Server):
    """A server that is told to end, and must: a sanitizer looks for leaks then."""

    def close(self):
        try:
            if self.process is not None and self.process.poll() is None:
                code = self.stop()
                assert code == 0, f"it ended with {code}\n{self.log()[-3000:]}"
        finally:
            super().close()


def start(*more, **how):
    """A server alone; a context manager."""
    server = Orderly(*flags(*more, **how))
    await_http(server)
    return server


def start_cluster(count, *more, **how):
    cluster = Cluster(count, "--election-timeout", "500ms", *flags(*more, **how))
    for node in cluster.nodes:
        await_http(node)
    return cluster


def http_port(node):
    client = Client(node.port)
    try:
        reply = client("HTTP.STATUS")
    finally:
        client.close()
    return int(reply[reply.index("listening") + 1][0].rsplit(":", 1)[1])


def await_http(node):
    """Until its /ready says so; node.http is the port from then on."""
    node.http = http_port(node)
    until = time.monotonic() + READY_S_MAX
    while ask(node, "GET", "/ready").status != 200:
        if time.monotonic() > until:
            raise AssertionError("it is never ready\n" + node.log()[-3000:])
        time.sleep(STEP_S)


def resp(node, *words):
    """One command by RESP, on a connection of its own."""
    client = Client(node.port)
    try:
        return client(*words)
    finally:
        client.close()


def ask(node, method, target, body=None, token=None, raw=None, **headers):
    """One request on a connection of its own; `body` becomes JSON, the answer has .json."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        raw = json.dumps(body).encode()
    if raw is not None:
        headers.setdefault("Content_Type", "application/json")
    with Conn(node.http) as conn:
        return parsed(conn.request(method, target, raw, Connection="close", **headers))


def parsed(response):
    is_json = (response.header("Content-Type") or "").startswith("application/json")
    response.json = json.loads(response.body) if is_json and response.body else None
    return response


def error_of(response):
    """The code of an error answer, whose form is checked."""
    assert set(response.json) == {"error"}, response.json
    assert set(response.json["error"]) >= {"code", "message"}, response.json
    return response.json["error"]["code"]


def user(node, name, *roles):
    """Register a user, by RESP, with more roles than `user` if any; returns a token."""
    resp(node, "AUTH.REGISTER", name, PASSWORD)
    if roles:
        resp(node, "AUTH.ROLES", name, *roles)
    return login(node, name)


def login(node, name, password=PASSWORD):
    reply = resp(node, "AUTH.LOGIN", name, password)
    return dict(zip(reply[::2], reply[1::2]))["access"]
