#!/usr/bin/env python3
"""Goal: signing up, in and out over HTTP lets in whom it should, and nobody else.
Method: a server with all modules; forged, expired and revoked credentials; many at once.
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import PASSWORD, ask, error_of, resp, start, user  # noqa: E402
from http_support import eventually  # noqa: E402

CALLERS = 8
EXPIRES_S_MAX = 10


def segment(value):
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Auth(unittest.TestCase):
    """A server for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.server = start("--auth.lockout-threshold", "100")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def post(self, what, body=None, token=None, **more):
        return ask(self.server, "POST", "/api/v1/auth/" + what, body, token, **more)

    def sign_in(self, name):
        self.post("register", {"username": name, "password": PASSWORD})
        got = self.post("login", {"username": name, "password": PASSWORD})
        self.assertEqual(got.status, 200, got.body)
        return got.json

    def status(self, token):
        return ask(self.server, "GET", "/api/v1/kv/none", token=token).status


class SigningIn(Auth):
    # registering

    def test_who_registers_is_a_user(self):
        got = self.post("register", {"username": "rita", "password": PASSWORD})
        self.assertEqual((got.status, got.json["username"]), (201, "rita"))
        self.assertEqual(len(got.json["user_id"]), 32)
        self.assertEqual(got.json["roles"], ["user"])

    def test_what_is_malformed_or_empty_registers_nobody(self):
        for body in ({}, {"username": "x"}, {"password": PASSWORD},
                     {"username": "", "password": PASSWORD}, {"username": "x", "password": ""},
                     {"username": "x", "password": "short"}, {"username": 7, "password": PASSWORD},
                     {"username": "with space", "password": PASSWORD},
                     {"username": "x", "password": "p" * 2000}):
            got = self.post("register", body)
            self.assertEqual(got.status, 400, body)
            error_of(got)
        self.assertEqual(self.post("register", raw=b"{").status, 400)
        self.assertEqual(self.post("register", raw=b"x" * 20000).status, 413)

    def test_of_many_that_take_one_name_at_once_exactly_one_gets_it(self):
        for number in range(4):
            got = []
            threads = [threading.Thread(target=lambda: got.append(self.post(
                "register", {"username": f"once{number}", "password": PASSWORD}).status))
                for _ in range(CALLERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(got), [201] + [400] * (CALLERS - 1))

    # signing in

    def test_a_login_gives_a_pair_of_tokens(self):
        got = self.sign_in("paula")
        self.assertEqual(set(got) >= {"token", "refresh_token", "user_id", "expires_in"}, True)
        self.assertEqual((got["token_type"], got["expires_in"]), ("Bearer", 900))
        me = ask(self.server, "GET", "/api/v1/auth/me", token=got["token"])
        self.assertEqual((me.status, me.json["username"], me.json["roles"]),
                         (200, "paula", ["user"]))
        self.assertEqual(me.json["user_id"], got["user_id"])

    def test_a_wrong_name_and_a_wrong_password_look_the_same(self):
        self.sign_in("wilma")
        a = self.post("login", {"username": "wilma", "password": "wrong password"})
        b = self.post("login", {"username": "nobody", "password": "wrong password"})
        self.assertEqual((a.status, b.status), (401, 401))
        self.assertEqual(a.body, b.body)
        self.assertEqual(self.post("login", {"username": "wilma"}).status, 400)

    def test_answers_with_tokens_are_kept_by_no_cache(self):
        self.sign_in("carla")
        got = self.post("login", {"username": "carla", "password": PASSWORD})
        self.assertEqual(got.header("Cache-Control"), "no-store")

    def test_logging_out_ends_the_token_at_once(self):
        got = self.sign_in("lola")
        self.assertEqual(self.status(got["token"]), 404)
        out = self.post("logout", token=got["token"])
        self.assertEqual((out.status, out.json), (200, {"ok": True}))
        self.assertEqual(self.status(got["token"]), 401)
        self.assertEqual(self.post("logout", token=got["token"]).status, 401)
        self.assertEqual(self.post("logout").status, 401)
        again = self.post("refresh", {"refresh_token": got["refresh_token"]})
        self.assertEqual(again.status, 401)

    def test_logging_out_of_all_sessions(self):
        first, second = self.sign_in("alma"), self.sign_in("alma")
        self.assertEqual(self.post("logout", {"all": True}, token=first["token"]).status, 200)
        self.assertEqual((self.status(first["token"]), self.status(second["token"])), (401, 401))

    def test_a_new_password_ends_all_sessions(self):
        got = self.sign_in("nina")
        body = {"old_password": "wrong password", "new_password": "a new password"}
        self.assertEqual(self.post("password", body, token=got["token"]).status, 401)
        body["old_password"] = PASSWORD
        self.assertEqual(self.post("password", body, token=got["token"]).status, 200)
        self.assertEqual(self.status(got["token"]), 401, "its credential version is old")
        self.assertEqual(self.post("login", {"username": "nina", "password": PASSWORD}).status, 401)
        body = {"username": "nina", "password": "a new password"}
        self.assertEqual(self.post("login", body).status, 200)

    # refreshing

    def test_a_refresh_token_is_used_once_and_its_reuse_ends_the_session(self):
        resp(self.server, "CONFIG", "SET", "auth.refresh-leeway", "0")
        self.addCleanup(resp, self.server, "CONFIG", "SET", "auth.refresh-leeway", "10")
        first = self.sign_in("rosa")
        got = self.post("refresh", {"refresh_token": first["refresh_token"]})
        self.assertEqual(got.status, 200, got.body)
        self.assertNotEqual(got.json["refresh_token"], first["refresh_token"])
        self.assertEqual(self.status(got.json["token"]), 404)
        time.sleep(0.002)  # past a leeway of no milliseconds
        again = self.post("refresh", {"refresh_token": first["refresh_token"]})
        self.assertEqual((again.status, error_of(again)), (401, "token_reused"))
        self.assertEqual(self.status(got.json["token"]), 401, "the whole session is over")
        last = self.post("refresh", {"refresh_token": got.json["refresh_token"]})
        self.assertEqual(last.status, 401)
        for text in ("nonsense", "", 7, None):
            self.assertIn(self.post("refresh", {"refresh_token": text}).status, (400, 401))

    # tokens of others

    def test_forged_tokens_are_refused(self):
        good = self.sign_in("gina")["token"]
        head, claims, signature = good.split(".")
        public = json.dumps(ask(self.server, "GET", "/.well-known/jwks.json").json or {}).encode()
        none = segment({"alg": "none", "typ": "at+jwt"})
        known = json.loads(base64.urlsafe_b64decode(head + "=="))
        hs = segment({**known, "alg": "HS256"})
        mac = segment(hmac.new(public, f"{hs}.{claims}".encode(), hashlib.sha256).digest())
        other = json.loads(base64.urlsafe_b64decode(claims + "=="))
        forged = segment({**other, "name": "admin", "roles": ["admin"]})
        for token in (f"{none}.{claims}.", f"{none}.{claims}.{signature}", f"{hs}.{claims}.{mac}",
                      f"{head}.{forged}.{signature}", f"{head}.{claims}.{signature[:-4]}AAAA",
                      f"{head}.{claims}", f"{head}.{claims}.", good + "x", good + ".x",
                      segment({**known, "kid": "../../etc/passwd"}) + f".{claims}.{signature}"):
            got = ask(self.server, "GET", "/api/v1/kv/none", token=token)
            self.assertEqual(got.status, 401, token)
            error_of(got)
        self.assertEqual(self.status(good), 404)

    def test_a_token_ends_by_itself(self):
        resp(self.server, "CONFIG", "SET", "auth.token-ttl", "1")
        resp(self.server, "CONFIG", "SET", "auth.clock-skew", "0")
        self.addCleanup(resp, self.server, "CONFIG", "SET", "auth.token-ttl", "900")
        self.addCleanup(resp, self.server, "CONFIG", "SET", "auth.clock-skew", "30")
        token = self.sign_in("ella")["token"]
        until = time.monotonic() + EXPIRES_S_MAX
        while self.status(token) != 401:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        got = ask(self.server, "GET", "/api/v1/kv/none", token=token)
        self.assertEqual(error_of(got), "token_expired")

    def test_a_disabled_user_is_out_at_once(self):
        got = self.sign_in("dora")
        resp(self.server, "AUTH.DISABLE", "dora")
        self.assertEqual(self.status(got["token"]), 401)
        self.assertIn(self.post("login", {"username": "dora", "password": PASSWORD}).status,
                      (401, 403))

    def test_the_public_keys_are_shown_and_nothing_else(self):
        self.sign_in("judy")
        got = ask(self.server, "GET", "/.well-known/jwks.json")
        self.assertEqual(got.status, 200, got.body)
        self.assertGreaterEqual(len(got.json["keys"]), 1)
        for key in got.json["keys"]:
            self.assertNotIn("d", key)
            self.assertNotIn("k", key)


class Held(Auth):
    """What a user holds: sessions and API keys."""

    def get(self, what, token):
        return ask(self.server, "GET", "/api/v1/auth/" + what, token=token)

    def delete(self, what, token):
        return ask(self.server, "DELETE", "/api/v1/auth/" + what, token=token)

    def test_sessions_are_listed_and_ended_by_their_user(self):
        first, second, third = (self.sign_in("sara") for _ in range(3))
        other = self.sign_in("olga")
        got = self.get("sessions", first["token"]).json["sessions"]
        self.assertEqual({s["session"] for s in got},
                         {s["session"] for s in (first, second, third)})
        self.assertEqual([s["current"] for s in got].count(True), 1)
        self.assertEqual({s["address"] for s in got}, {"127.0.0.1"})
        for session in got:
            self.assertLess(abs(session["created_at"] / 1000 - time.time()), 60)
        gone = self.delete("sessions/" + second["session"], first["token"])
        self.assertEqual((gone.status, gone.json), (200, {"ok": True, "ended": 1}))
        self.assertEqual((self.status(second["token"]), self.status(third["token"])), (401, 404))
        for what in (other["session"], second["session"], "nonsense"):
            gone = self.delete("sessions/" + what, first["token"])
            self.assertEqual((gone.status, error_of(gone)), (404, "no_such_session"))
        self.assertEqual(self.delete("sessions", first["token"]).json["ended"], 1)
        self.assertEqual((self.status(first["token"]), self.status(third["token"]),
                          self.status(other["token"])), (404, 401, 404))

    def test_an_api_key_does_what_its_scopes_leave(self):
        mine = self.sign_in("kate")["token"]
        made = self.post("api-keys", {"name": "ci", "ttl": 3600, "scopes": ["kv:get"]}, mine)
        self.assertEqual(made.status, 201, made.body)
        key = made.json["key"]
        self.assertEqual((made.json["name"], made.json["scopes"]), ("ci", ["kv:get"]))
        self.assertEqual(made.header("Cache-Control"), "no-store")
        for headers in ({"X_API_Key": key}, {"Authorization": "Bearer " + key}):
            got = ask(self.server, "GET", "/api/v1/kv/none", **headers)
            self.assertEqual(got.status, 404)
            got = ask(self.server, "PUT", "/api/v1/kv/k", {"value": "v"}, **headers)
            self.assertEqual((got.status, error_of(got)), (403, "forbidden"))
        listed = self.get("api-keys", mine).json["api_keys"]
        self.assertEqual([(k["id"], k["name"]) for k in listed], [(made.json["id"], "ci")])
        self.assertNotIn("key", listed[0])
        self.assertEqual(self.get("me", key).json["kind"], "api_key")
        stranger = self.sign_in("igor")["token"]
        self.assertEqual(self.delete("api-keys/" + made.json["id"], stranger).status, 404)
        self.assertEqual(self.delete("api-keys/" + made.json["id"], mine).status, 200)
        self.assertEqual(self.status(key), 401)
        self.assertEqual(self.delete("api-keys/" + made.json["id"], mine).status, 404)

    def test_an_api_key_makes_no_keys_and_ends_no_sessions(self):
        mine = self.sign_in("mona")
        key = self.post("api-keys", {"name": "k"}, mine["token"]).json["key"]
        for got in (self.post("api-keys", {"name": "more"}, key), self.get("api-keys", key),
                    self.get("sessions", key), self.delete("sessions", key),
                    self.delete("sessions/" + mine["session"], key), self.post("logout", token=key),
                    self.post("password", {"old_password": PASSWORD, "new_password": "x" * 12},
                              key)):
            self.assertEqual((got.status, error_of(got)), (403, "session_needed"))
        self.assertEqual(self.status(mine["token"]), 404)

    def test_malformed_keys_are_refused(self):
        mine = self.sign_in("vera")["token"]
        for body in ({}, {"name": ""}, {"name": "k", "ttl": -1}, {"name": "k", "scopes": "kv:get"},
                     {"name": "k", "scopes": [7]}, {"name": "k", "scopes": ["x"] * 17},
                     {"name": "k", "scopes": ["not a scope"]}, {"name": "k" * 100}):
            self.assertEqual(self.post("api-keys", body, mine).status, 400, body)
        self.assertEqual(self.get("api-keys", mine).json, {"api_keys": []})


class First(unittest.TestCase):
    def test_the_first_administrator_comes_by_http_too(self):
        home = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(home.cleanup)
        left = os.path.join(home.name, "bootstrap")
        with start("--auth.bootstrap-file", left) as server:
            eventually(lambda: os.path.exists(left))
            with open(left, encoding="ascii") as f:
                token = f.read().strip()
            body = {"bootstrap_token": "0" * len(token), "username": "root", "password": PASSWORD}
            path = "/api/v1/auth/bootstrap"
            self.assertIn(ask(server, "POST", path, body).status, (401, 403))
            body["bootstrap_token"] = token
            got = ask(server, "POST", path, body)
            self.assertEqual((got.status, "admin" in got.json["roles"]), (201, True))
            body["username"] = "again"
            self.assertIn(ask(server, "POST", path, body).status, (401, 403))
            login = {"username": "root", "password": PASSWORD}
            token = ask(server, "POST", "/api/v1/auth/login", login).json["token"]
            self.assertEqual(ask(server, "POST", "/api/v1/jobs/dequeue", {}, token).status, 204)


class Admins(unittest.TestCase):
    def test_a_user_may_not_do_what_only_admins_may(self):
        with start() as server:
            token = user(server, "ada")
            got = ask(server, "POST", "/api/v1/jobs/dequeue", {}, token=token)
            self.assertEqual((got.status, error_of(got)), (403, "forbidden"))
            boss = user(server, "boss", "admin")
            got = ask(server, "POST", "/api/v1/jobs/dequeue", {}, token=boss)
            self.assertEqual(got.status, 204)


if __name__ == "__main__":
    unittest.main(verbosity=2)
