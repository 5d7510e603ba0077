#!/usr/bin/python3
"""Goal: a setting that CONFIG SET accepts does what it says.

Method: the table of settings is read from config.def; each that may change while the server runs
and is not marked as accepted without effect must be here: with a function that sees its effect,
with the test that does, or with the reason why nothing can be seen.  A new setting in none of the
three fails.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from resp_client import Client  # noqa: E402
from server import ROOT, Server  # noqa: E402

SANITIZED = "asan" in os.environ.get("HELIOS_SERVER", "")
EFFECTS = {}


def effect(name):
    def keep(function):
        EFFECTS[name] = function
        return function
    return keep


ELSEWHERE = {
    "test_tls.py": """bind port tls-port tls-cert-file tls-key-file tls-key-file-pass
        tls-ca-cert-file tls-ca-cert-dir tls-auth-clients tls-protocols tls-ciphers
        tls-session-caching""",
    "test_cluster_admin.py": "raft-scrub-interval",
    "test_limits.py": """timeout maxclients client-query-buffer-limit client-output-buffer-limit
        maxmemory-clients""",
    "test_disk.py": "appendfsync",
    "unit/kit/test_tls.c": "tls-ciphersuites",
}

UNSEEN = {
    "passed to OpenSSL as it is": """tls-prefer-server-ciphers tls-session-cache-size
        tls-session-cache-timeout""",
    "changes how well something is done, not what": """maxmemory-samples active-expire-effort
        list-max-listpack-size""",
    "counts minutes": "lfu-decay-time snapshot-interval-cmds",
    "concerns links between nodes, or what no command offers yet": """tls-client-cert-file
        tls-client-key-file tls-client-key-file-pass shutdown-timeout
        raft-snapshot-threshold raft-auto-promote raft-tls-cert raft-tls-key raft-tls-ca
        follower-writes follower-reads follower-reads-max-staleness
        tracking-table-max-keys busy-reply-threshold notify-keyspace-events set-max-intset-entries
        zset-max-listpack-entries zset-max-listpack-value hll-sparse-max-bytes
        stream-node-max-bytes stream-node-max-entries dbfilename
        rdb-key-save-delay key-load-delay""",
}

ROW = re.compile(r'HL_CONFIG_ROW\(([A-Z_0-9]+),\s*"([^"]*)",\s*"[^"]*",\s*[A-Z_]+,\s*[-A-Z_0-9]+,'
                 r'\s*[-A-Z_0-9]+,\s*((?:"[^"]*"\s*)+),\s*((?:"[^"]*"\s*)+),\s*"([A-Z]*)"')


def changeable():
    """Names of the settings that must act when they change."""
    with open(os.path.join(ROOT, "core/server/config.def")) as f:
        rows = f.read().split("*/", 1)[1]
    found = ROW.findall(rows)
    assert len(found) == rows.count("HL_CONFIG_ROW("), "a row that this test cannot read"
    return {name for _, name, _, _, flags in found if not set(flags) & set("ICM")}


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class World:
    """A server, a client of it, and what the functions below need."""

    def __init__(self, *flags):
        self.server = Server("--appendonly", "no", "--enable-debug-command", "yes", *flags)
        self.clients = []
        self.c = self.client()

    def client(self):
        self.clients.append(Client(self.server.port, timeout=20))
        return self.clients[-1]

    def close(self):
        for client in self.clients:
            client.close()
        self.server.close()

    def set(self, name, value):
        self.c("CONFIG", "SET", name, value)

    def hup(self):
        """Make the server log a line of the level notice; returns what was logged since."""
        before = len(self.server.log())
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        self.c("PING")
        return self.server.log()[before:]

    def info(self, section):
        return self.c("INFO", section)


@effect("proto-max-bulk-len")
def _(w):
    w.set("proto-max-bulk-len", 1 << 20)
    assert w.c("ECHO", "x" * (1 << 20))
    w.c.sock.sendall(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
    assert "invalid bulk length" in str(w.c.read())


@effect("tcp-keepalive")
def _(w):
    if shutil.which("ss") is None:
        return
    w.set("tcp-keepalive", 100)
    c = w.client()
    port = c.sock.getsockname()[1]
    timers = subprocess.run(["ss", "-tnoH", f"dport = :{port}"], capture_output=True, text=True,
                            check=True).stdout
    assert "keepalive,1min" in timers, timers


@effect("protected-mode")
def _(w):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing: asks for our own address
        except OSError:
            return
        address = s.getsockname()[0]
    if address.startswith("127."):
        return
    w.set("bind", "0.0.0.0")

    def greeting():
        with socket.create_connection((address, w.server.port), 10) as s:
            s.sendall(b"PING\r\n")
            return s.recv(100)

    w.set("protected-mode", "no")
    assert greeting().startswith(b"+PONG")
    w.set("protected-mode", "yes")
    answer = greeting()
    assert answer.startswith((b"-DENIED", b"+PONG")), answer  # a named address may be open


@effect("loglevel")
def _(w):
    w.set("loglevel", "notice")
    assert "reloaded" in w.hup()
    w.set("loglevel", "warning")
    assert "reloaded" not in w.hup()


@effect("log-format")
def _(w):
    w.set("log-format", "json")
    for line in w.hup().splitlines():
        json.loads(line)
    w.set("log-format", "text")
    assert "{" not in w.hup()


@effect("hz")
def _(w):
    w.set("hz", 100)
    assert "\r\nhz:100\r\n" in w.info("server")


def ends(w, name, number):
    for word, kept in (("save", "1"), ("nosave", None)):
        w.c("SET", word, "1")
        w.set(name, word)
        w.server.process.send_signal(number)
        assert w.server.process.wait(20) == 0
        w.server.start()
        w.c = w.client()
        assert w.c("GET", word) == kept, word


@effect("shutdown-on-sigterm")
def _(w):
    ends(w, "shutdown-on-sigterm", signal.SIGTERM)


@effect("shutdown-on-sigint")
def _(w):
    ends(w, "shutdown-on-sigint", signal.SIGINT)


@effect("requirepass")
def _(w):
    w.set("requirepass", "secret")
    assert w.client().error("PING").startswith("NOAUTH")
    assert w.client()("AUTH", "secret") == "OK"


@effect("acllog-max-len")
def _(w):
    w.set("acllog-max-len", 1)
    for user in ("a", "b"):
        assert w.client().error("AUTH", user, "x")
    assert len(w.c("ACL", "LOG")) == 1


@effect("acl-pubsub-default")
def _(w):
    for value, channels in (("allchannels", "&*"), ("resetchannels", "")):
        w.set("acl-pubsub-default", value)
        w.c("ACL", "SETUSER", value)
        fields = w.c("ACL", "GETUSER", value)
        assert fields[fields.index("channels") + 1] == channels, fields


@effect("maxmemory")
def _(w):
    w.set("maxmemory", 1)
    assert w.c.error("SET", "a", "1").startswith("OOM")
    w.set("maxmemory", 0)
    assert w.c("SET", "a", "1") == "OK"


@effect("maxmemory-policy")
def _(w):
    for i in range(1000):
        w.c("SET", f"k{i}", "v" * 1000)
    w.set("maxmemory-policy", "allkeys-random")
    w.set("maxmemory", 1)
    assert until(lambda: w.c("DBSIZE") < 1000)


@effect("lfu-log-factor")
def _(w):
    w.set("maxmemory-policy", "allkeys-lfu")
    freq = {}
    for factor in (0, 100):
        w.set("lfu-log-factor", factor)
        w.c("SET", f"k{factor}", "v")
        for _ in range(100):
            w.c("GET", f"k{factor}")
        freq[factor] = w.c("OBJECT", "FREQ", f"k{factor}")
    assert freq[0] > 90 and freq[100] < 30, freq


@effect("hash-max-listpack-entries")
def _(w):
    w.set("hash-max-listpack-entries", 1)
    w.c("HSET", "h", "a", 1, "b", 2)
    assert w.c("OBJECT", "ENCODING", "h") == "hashtable"


@effect("hash-max-listpack-value")
def _(w):
    w.set("hash-max-listpack-value", 5)
    w.c("HSET", "h", "a", "123456")
    assert w.c("OBJECT", "ENCODING", "h") == "hashtable"


@effect("save")
def _(w):
    w.set("save", "1 1")
    w.c("SET", "a", 1)
    assert until(lambda: "rdb_changes_since_last_save:0\r\n" in w.info("persistence"))


@effect("snapshot-interval-time")
def _(w):
    w.set("snapshot-interval-time", "300")
    w.c("SET", "a", 1)
    assert until(lambda: "rdb_changes_since_last_save:0\r\n" in w.info("persistence"))


@effect("stop-writes-on-bgsave-error")
def _(w):
    w.set("save", "3600 1")
    w.c("SET", "a", 1)
    shutil.rmtree(w.server.dir)
    assert w.c.error("SAVE")
    assert w.c.error("SET", "a", 2).startswith("MISCONF")
    assert w.c("GET", "a") == "1"
    w.set("stop-writes-on-bgsave-error", "no")
    assert w.c("SET", "a", 2) == "OK"
    w.set("stop-writes-on-bgsave-error", "yes")
    assert w.c.error("SET", "a", 3).startswith("MISCONF")
    os.mkdir(w.server.dir)
    assert w.c("SAVE") == "OK"
    assert w.c("SET", "a", 3) == "OK"


@effect("slowlog-log-slower-than")
def _(w):
    w.set("slowlog-log-slower-than", -1)
    w.c("SLOWLOG", "RESET")
    w.c("ECHO", "a")
    assert w.c("SLOWLOG", "LEN") == 0
    w.set("slowlog-log-slower-than", 0)
    w.c("ECHO", "a")
    assert w.c("SLOWLOG", "LEN") > 0


@effect("slowlog-max-len")
def _(w):
    w.set("slowlog-log-slower-than", 0)
    w.set("slowlog-max-len", 2)
    for _ in range(5):
        w.c("ECHO", "a")
    assert w.c("SLOWLOG", "LEN") == 2


@effect("latency-monitor-threshold")
def _(w):
    w.c("DEBUG", "SLEEP", "0.05")
    assert w.c("LATENCY", "LATEST") == []
    w.set("latency-monitor-threshold", 10)
    w.c("DEBUG", "SLEEP", "0.05")
    assert w.c("LATENCY", "LATEST") != []


@effect("latency-tracking")
def _(w):
    w.set("latency-tracking", "no")
    w.c("CONFIG", "RESETSTAT")
    w.c("ECHO", "a")
    assert "usec_echo" not in w.info("latencystats")
    w.set("latency-tracking", "yes")
    w.c("ECHO", "a")
    assert "usec_echo" in w.info("latencystats")


@effect("latency-tracking-info-percentiles")
def _(w):
    w.set("latency-tracking-info-percentiles", "25 99.5")
    w.c("ECHO", "a")
    assert re.search(r"usec_echo:p25=[0-9.]+,p99\.5=[0-9.]+\r\n", w.info("latencystats"))
    w.set("latency-tracking-info-percentiles", "")
    assert "usec_echo" not in w.info("latencystats") or "p25" not in w.info("latencystats")


def listed(table):
    return {name for names in table.values() for name in names.split()}


class Settings(unittest.TestCase):
    def test_each_is_accounted_for(self):
        known = set(EFFECTS) | listed(ELSEWHERE) | listed(UNSEEN)
        self.assertEqual(sorted(changeable() - known), [], "in config.def and not here")
        self.assertEqual(sorted(known - changeable()), [], "here and not changeable")

    def test_each_acts(self):
        for name, function in EFFECTS.items():
            if SANITIZED and name in ("maxmemory", "maxmemory-policy"):
                continue  # that allocator does not say what is used
            with self.subTest(name):
                w = World()
                try:
                    function(w)
                finally:
                    w.close()


if __name__ == "__main__":
    unittest.main()
