#!/usr/bin/env python3
"""Goal: the curl lines that HELIOS and Axon show do what they show, word for word.
Method: each line is run by bash in a network namespace of its own, where ports 8443 and 9000 are
free; only <token> and {job_id} are filled in.  On one node, and on three through a follower.
"""
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import await_http, flags, resp, start_cluster  # noqa: E402
from http_support import eventually  # noqa: E402
from server import Server  # noqa: E402

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
LISTEN = ("--http.listen", "127.0.0.1:8443 127.0.0.1:9000")

REGISTER = r"""curl -X POST http://localhost:8443/api/v1/auth/register \
-H "Content-Type: application/json" \
-d '{"username":"alice","password":"secret123"}'"""
LOGIN = r"""curl -X POST http://localhost:8443/api/v1/auth/login \
-H "Content-Type: application/json" \
-d '{"username":"alice","password":"secret123"}'"""
SET = r"""curl -X POST http://localhost:8443/api/v1/kv/mykey \
-H "Authorization: Bearer <token>" \
-H "Content-Type: application/json" \
-d '{"value":"myvalue","ttl":3600}'"""
GET = r"""curl -X GET http://localhost:8443/api/v1/kv/mykey \
-H "Authorization: Bearer <token>" """
DELETE = r"""curl -X DELETE http://localhost:8443/api/v1/kv/mykey \
-H "Authorization: Bearer <token>" """
PUSH = r"""curl -X POST http://localhost:8443/api/v1/jobs \
-H "Authorization: Bearer <token>" \
-H "Content-Type: application/json" \
-d '{"payload":{"task":"process_data","data":"..."}}'"""
LIST = r"""curl -X GET http://localhost:8443/api/v1/jobs?status=PENDING \
-H "Authorization: Bearer <token>" """
JOB = r"""curl -X GET http://localhost:8443/api/v1/jobs/{job_id} \
-H "Authorization: Bearer <token>" """

AXON_PUT = r"""curl -X PUT -H "Content-Type: application/json" \
  -d '{"value":"is a distributed systems algorithm"}' \
  http://localhost:9000/kv/raft"""
AXON_GET = "curl http://localhost:9000/kv/raft"
AXON_DELETE = "curl -X DELETE http://localhost:9000/kv/raft"
AXON_ALL = "curl http://localhost:9000/kv"


def enter_namespace():
    """This process and its children have a network of their own from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | (0 if os.geteuid() == 0 else CLONE_NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace: a skip would be a failure")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Shell:
    """Runs lines with a curl that also prints the status, by its configuration file."""

    def __init__(self, home):
        self.home = home
        with open(os.path.join(home, ".curlrc"), "w") as f:
            f.write('silent\nwrite-out = "\\n%{http_code}"\n')

    def __call__(self, line, **filled):
        for name, value in filled.items():
            line = line.replace(f"<{name}>", value).replace("{%s}" % name, value)
        done = subprocess.run(["bash", "-c", line], env={**os.environ, "HOME": self.home},
                              cwd=self.home, stdout=subprocess.PIPE, check=False, timeout=60)
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(body)


class Lines:
    """What the lines must answer; mixed into a class that has self.run, the shell."""

    def test_register_login_keys_and_jobs_as_helios_shows_them(self):
        status, body = self.shell(REGISTER)
        self.assertEqual(status, 201, body)
        self.assertEqual(body["username"], "alice")
        user_id = body["user_id"]
        status, body = self.shell(REGISTER)
        self.assertEqual((status, body["error"]["code"]), (400, "user_exists"))
        status, body = self.shell(LOGIN)
        self.assertEqual((status, body["user_id"]), (200, user_id))
        token = body["token"]
        self.assertEqual(self.shell(LOGIN.replace("secret123", "secret124"))[0], 401)
        self.assertEqual(self.shell(SET)[0], 401, "the text <token> is none")
        self.assertEqual(self.shell(SET, token=token), (200, {"ok": True, "key": "mykey"}))
        status, body = self.shell(GET, token=token)
        self.assertEqual((status, body["key"], body["value"]), (200, "mykey", "myvalue"))
        self.assertTrue(3500 < body["ttl"] <= 3600, body)
        self.assertEqual(self.shell(DELETE, token=token), (200, {"ok": True, "deleted": 1}))
        self.assertEqual(self.shell(GET, token=token)[0], 404)
        status, body = self.shell(PUSH, token=token)
        self.assertEqual(status, 201, body)
        job_id = body["job_id"]
        status, body = self.shell(LIST, token=token)
        self.assertEqual((status, [job["id"] for job in body["jobs"]]), (200, [job_id]))
        self.assertEqual(body["jobs"][0]["status"], "PENDING")
        status, body = self.shell(JOB, token=token, job_id=job_id)
        self.assertEqual((status, body["id"], body["payload"]),
                         (200, job_id, {"task": "process_data", "data": "..."}))
        for name in ("status", "attempts", "max_attempts", "created_at", "last_updated",
                     "visibility_timeout", "dedup_id"):
            self.assertIn(name, body)
        self.assertEqual((body["max_attempts"], body["visibility_timeout"]), (3, 300))
        self.assertEqual(self.shell(JOB, token=token, job_id="job_1")[0], 404)

    def test_keys_as_axon_shows_them(self):
        self.assertEqual(self.shell(AXON_PUT), (200, {"status": "success"}))
        value = "is a distributed systems algorithm"
        self.assertEqual(self.shell(AXON_GET), (200, {"key": "raft", "value": value}))
        eventually(lambda: self.shell(AXON_ALL) == (200, {"raft": value}))  # as this node has it
        self.assertEqual(self.shell(AXON_DELETE), (200, {"status": "success"}))
        self.assertEqual(self.shell(AXON_GET)[0], 404)
        eventually(lambda: self.shell(AXON_ALL) == (200, {}))
        self.assertEqual(self.shell(AXON_PUT.replace('"value"', '"valve"'))[0], 400)


class OneNode(Lines, unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(home.cleanup)
        self.shell = Shell(home.name)
        self.server = Server(*flags(*LISTEN))
        self.addCleanup(self.server.close)
        self.server.http = 8443
        await_http(self.server)

    def test_axon_wants_a_token_where_redis_would_want_a_password(self):
        resp(self.server, "CONFIG", "SET", "gateway.local-kv", "0")
        self.assertEqual(self.shell(AXON_GET)[0], 401)
        resp(self.server, "CONFIG", "SET", "gateway.local-kv", "1")
        self.assertEqual(self.shell(AXON_GET)[0], 404)
        for header in ("Host: evil.example", "Origin: http://evil.example", "X-Forwarded-For: ::1",
                       "Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "Authorization: Bearer x"):
            self.assertEqual(self.shell(f"curl -H '{header}' http://localhost:9000/kv/raft")[0],
                             401, header)
        resp(self.server, "ACL", "SETUSER", "default", "-@write")
        self.assertEqual(self.shell(AXON_PUT)[0], 403, "no more than the user default")
        self.assertEqual(self.shell(AXON_GET)[0], 404)
        resp(self.server, "CONFIG", "SET", "requirepass", "secret")
        self.assertEqual(self.shell(AXON_GET)[0], 401)


class ThroughAFollower(Lines, unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(home.cleanup)
        self.shell = Shell(home.name)
        self.cluster = start_cluster(3)
        self.addCleanup(self.cluster.close)
        leader = self.cluster.await_leader()
        follower = next(node for node in self.cluster.nodes if node is not leader)
        follower.kill()
        follower.flags += LISTEN
        follower.start()
        await_http(follower)
        assert self.cluster.await_leader() is not follower


if __name__ == "__main__":
    enter_namespace()
    unittest.main(verbosity=2)
