#!/usr/bin/env python3
"""Goal: nobody asks more of the HTTP API than he may, and everybody is told what he may.
Method: small limits, requests as fast as they go, headers compared; leaders and modules missing.
"""
import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import (MODULES, PASSWORD, ask, error_of, resp, start,  # noqa: E402
                             start_cluster, user)

REFILL_S_MAX = 10


def limited(capacity, num=1, den=1, *more):
    return ("--gateway.limit-capacity", str(capacity), "--gateway.limit-rate-num", str(num),
            "--gateway.limit-rate-den", str(den), *more)


def get(server, token=None, path="/api/v1/kv/none", **more):
    return ask(server, "GET", path, token=token, **more)


class Limits(unittest.TestCase):
    def check_429(self, got):
        self.assertEqual((got.status, error_of(got)), (429, "rate_limited"))
        self.assertGreaterEqual(int(got.header("Retry-After")), 1)
        self.assertEqual(got.header("X-RateLimit-Remaining"), "0")

    def test_a_client_is_told_what_is_left_and_refused_when_nothing_is(self):
        with start(*limited(3, 1, 1000)) as server:
            token = user(server, "ada")
            for left in (2, 1, 0):
                got = get(server, token)
                self.assertEqual(got.status, 404)
                self.assertEqual(got.header("X-RateLimit-Limit"), "3")
                self.assertEqual(got.header("X-RateLimit-Remaining"), str(left))
                reset = int(got.header("X-RateLimit-Reset"))
                self.assertTrue(1000 * (3 - left) - 5 <= reset <= 1000 * (3 - left), reset)
                self.assertEqual(got.header("RateLimit-Policy"), '"client";q=3;w=3000')
                self.assertTrue(re.fullmatch(r'"client";r=%d;t=\d+' % left,
                                             got.header("RateLimit")), got.header("RateLimit"))
            got = get(server, token)
            self.check_429(got)
            self.assertTrue(990 <= int(got.header("Retry-After")) <= 1000)
            other = user(server, "bob")
            self.assertEqual(get(server, other).status, 404, "each has a bucket")
            self.assertIn("gateway_rate_limited:1", resp(server, "INFO", "gateway"))

    def test_what_comes_back_may_be_used_again(self):
        with start(*limited(1, 5, 1)) as server:
            token = user(server, "ada")
            self.assertEqual(get(server, token).status, 404)
            until = time.monotonic() + REFILL_S_MAX
            while get(server, token).status == 429:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.02)

    def test_nobody_in_particular_is_his_address(self):
        with start(*limited(2, 1, 1000)) as server:
            for status in (401, 401):
                self.assertEqual(get(server).status, status)
            self.check_429(get(server))
            self.check_429(get(server, path="/kv/none"))
            token = user(server, "ada")
            self.assertEqual(get(server, token).status, 404, "a user is not his address")

    def test_behind_a_trusted_proxy_the_client_is_whom_it_names(self):
        with start(*limited(1, 1, 1000), "--gateway.trusted-proxies", "127.0.0.1") as server:
            for client in ("10.0.0.1", "6.6.6.6, 10.0.0.2", "::5"):
                self.assertEqual(get(server, X_Forwarded_For=client).status, 401)
                self.check_429(get(server, X_Forwarded_For=client))
            self.check_429(get(server, X_Forwarded_For="7.7.7.7, 10.0.0.2"))
            self.assertEqual(get(server, X_Forwarded_For="nonsense").status, 401)
            self.check_429(get(server))
        with start(*limited(1, 1, 1000)) as server:
            self.assertEqual(get(server, X_Forwarded_For="10.0.0.1").status, 401)
            self.check_429(get(server, X_Forwarded_For="10.0.0.2"))

    def test_who_guesses_tokens_runs_dry(self):
        with start(*limited(5, 1, 1000)) as server:
            token = user(server, "ada")
            self.assertEqual(get(server, token).status, 404)
            for _ in range(5):
                self.assertEqual(get(server, "a.b.c").status, 401)
            self.check_429(get(server, "a.b.c"))
            self.check_429(get(server, token))

    def test_a_limit_can_be_changed_and_taken_away(self):
        with start(*limited(1, 1, 1000)) as server:
            token = user(server, "ada")
            get(server, token)
            self.check_429(get(server, token))
            resp(server, "CONFIG", "SET", "gateway.limit-capacity", "0")
            got = get(server, token)
            self.assertEqual((got.status, got.header("X-RateLimit-Limit")), (404, None))

    def test_logins_are_limited_for_an_address_by_default(self):
        with start("--gateway.endpoint-limits",
                   "POST /api/v1/auth/login 3 1 1000 replicated closed") as server:
            user(server, "ada")
            body = {"username": "ada", "password": PASSWORD}
            wrong = {"username": "ada", "password": "wrong password"}
            self.assertEqual(ask(server, "POST", "/api/v1/auth/login", body).status, 200)
            got = ask(server, "POST", "/api/v1/auth/login", wrong)
            self.assertEqual(got.status, 401)
            self.assertEqual(got.header("RateLimit-Policy"), '"login";q=3;w=3000')
            self.assertEqual(got.header("X-RateLimit-Remaining"), "1")
            ask(server, "POST", "/api/v1/auth/login", wrong)
            self.check_429(ask(server, "POST", "/api/v1/auth/login", body))
            body["username"] = "other"
            self.assertEqual(ask(server, "POST", "/api/v1/auth/register", body).status, 201)

    def test_the_defaults_limit_logins(self):
        from gateway_support import await_http, flags
        from server import Server
        plain = [word for word in flags() if not word.startswith("--gateway.")]
        plain = [word for word in plain if word not in ("0", "")]
        with Server(*plain) as server:
            await_http(server)
            codes = [ask(server, "POST", "/api/v1/auth/login",
                         {"username": f"nobody{n}", "password": PASSWORD}).status
                     for n in range(12)]
            self.assertEqual(codes[:10], [401] * 10)
            self.assertIn(429, codes[10:])

    def test_a_limit_that_is_none_is_refused_when_the_module_loads(self):
        with self.assertRaises(RuntimeError) as caught:
            start("--gateway.endpoint-limits", "POST /x 0 1 1")
        self.assertIn("endpoint-limits", str(caught.exception))

    def test_without_the_module_a_closed_limit_refuses_and_an_open_one_does_not(self):
        modules = [name for name in MODULES if name != "ratelimit"]
        with start(*limited(5, 1, 1), modules=modules) as server:
            token = user(server, "ada")
            self.assertEqual(get(server, token).status, 404)
            resp(server, "CONFIG", "SET", "gateway.limit-closed", "1")
            for replicated in ("0", "1"):
                resp(server, "CONFIG", "SET", "gateway.limit-replicated", replicated)
                got = get(server, token)
                self.assertEqual((got.status, error_of(got)), (503, "module_missing"))
            resp(server, "CONFIG", "SET", "gateway.limit-closed", "0")
            self.assertEqual(get(server, token).status, 404)


class Replicated(unittest.TestCase):
    def test_a_replicated_limit_holds_over_all_nodes_and_a_new_leader(self):
        flags = limited(4, 1, 1000, "--gateway.limit-replicated", "1")
        with start_cluster(3, *flags) as cluster:
            leader = cluster.await_leader()
            token = user(leader, "ada")
            left = []
            for node in cluster.nodes:
                got = get(node, token)
                self.assertEqual(got.status, 404, got.body)
                left.append(int(got.header("X-RateLimit-Remaining")))
            self.assertEqual(left, [3, 2, 1])
            leader.kill()
            cluster.await_leader()
            rest = [node for node in cluster.nodes if node is not leader]
            codes = [get(node, token).status for node in rest]
            self.assertEqual(codes, [404, 429])


if __name__ == "__main__":
    unittest.main(verbosity=2)
