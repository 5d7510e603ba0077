#!/usr/bin/env python3
"""Goal: the HTTP API does what it says on one node: keys, who may, and how it says no.
Method: a server with all modules of the gateway; requests over sockets, effects looked at by RESP.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import MODULES, ask, error_of, login, resp, start, user  # noqa: E402


class OneNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.ada = user(cls.server, "ada")
        cls.reader = user(cls.server, "reader", "readonly")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ask(self, method, target, body=None, token="", **more):
        return ask(self.server, method, target, body, self.ada if token == "" else token, **more)

    # keys

    def test_a_key_is_set_read_and_deleted(self):
        got = self.ask("PUT", "/api/v1/kv/k", {"value": "v", "ttl": 3600})
        self.assertEqual((got.status, got.json), (200, {"ok": True, "key": "k"}))
        self.assertEqual(resp(self.server, "GET", "kv:k"), "v", "the name in the keyspace")
        got = self.ask("GET", "/api/v1/kv/k")
        self.assertEqual(got.status, 200)
        self.assertEqual((got.json["key"], got.json["value"]), ("k", "v"))
        self.assertTrue(3590 <= got.json["ttl"] <= 3600, got.json)
        got = self.ask("DELETE", "/api/v1/kv/k")
        self.assertEqual((got.status, got.json), (200, {"ok": True, "deleted": 1}))
        got = self.ask("DELETE", "/api/v1/kv/k")
        self.assertEqual((got.status, got.json), (200, {"ok": True, "deleted": 0}))
        got = self.ask("GET", "/api/v1/kv/k")
        self.assertEqual((got.status, error_of(got)), (404, "not_found"))

    def test_post_sets_with_the_key_in_the_path_or_in_the_body(self):
        self.assertEqual(self.ask("POST", "/api/v1/kv/p", {"value": "1"}).status, 200)
        got = self.ask("POST", "/api/v1/kv", {"key": "q", "value": "2"})
        self.assertEqual((got.status, got.json), (200, {"ok": True, "key": "q"}))
        self.assertEqual(resp(self.server, "MGET", "kv:p", "kv:q"), ["1", "2"])
        self.assertEqual(self.ask("GET", "/api/v1/kv/q").json["ttl"], -1)

    def test_keys_may_hold_slashes_spaces_and_any_letters(self):
        for path, key in (("a/b/c", "a/b/c"), ("with%20space", "with space"),
                          ("%C3%BC", "ü"), ("x%2Fy", "x/y"), ("a:b", "a:b")):
            self.assertEqual(self.ask("PUT", "/api/v1/kv/" + path, {"value": key}).json["key"], key)
            got = self.ask("GET", "/api/v1/kv/" + path)
            self.assertEqual((got.json["key"], got.json["value"]), (key, key))

    def test_bytes_that_are_no_text_travel_as_base64(self):
        resp(self.server, "SET", "kv:bin", b"\xff\x00\xfe")
        got = self.ask("GET", "/api/v1/kv/bin").json
        self.assertEqual((got["value"], got["encoding"]), ("_wD-", "base64url"))
        body = {"value": "_wD-", "encoding": "base64url"}
        self.assertEqual(self.ask("PUT", "/api/v1/kv/bin2", body).status, 200)
        self.assertEqual(resp(self.server, "GET", "kv:bin2"), "\xff\x00\xfe")

    def test_what_is_malformed_is_told_so(self):
        for body, code in ((None, "invalid_json"), (b"", "invalid_json"), (b"{", "invalid_json"),
                           (b"[]", "invalid_json"), (b'{"value":"a","value":"b"}', "invalid_json"),
                           (b"{}", "invalid"), (b'{"value":7}', "invalid"),
                           (b'{"value":"v","ttl":-1}', "invalid"),
                           (b'{"value":"v","ttl":1.5}', "invalid"),
                           (b'{"value":"v","ttl":"60"}', "invalid"),
                           (b'{"value":"v","ttl":99999999999}', "invalid"),
                           (b'{"value":"\xff"}', "invalid_json"),
                           (b'{"value":"!","encoding":"base64url"}', "invalid"),
                           (b'{"value":"v","encoding":"rot13"}', "invalid"),
                           (b"[" * 100000, "invalid_json")):
            got = self.ask("PUT", "/api/v1/kv/bad", raw=body)
            self.assertEqual((got.status, error_of(got)), (400, code), body)
        got = self.ask("PUT", "/api/v1/kv/" + "k" * 1025, {"value": "v"})
        self.assertEqual((got.status, error_of(got)), (400, "invalid_key"))
        got = self.ask("PUT", "/api/v1/kv/", {"value": "v"})
        self.assertEqual((got.status, error_of(got)), (400, "invalid_key"))
        got = self.ask("POST", "/api/v1/kv", {"value": "v"})
        self.assertEqual((got.status, error_of(got)), (400, "invalid_key"))
        self.assertEqual(self.ask("PUT", "/api/v1/kv/big", {"value": "v" * (1 << 20)}).status, 413)
        self.assertIsNone(resp(self.server, "GET", "kv:bad"))

    def test_a_key_of_another_kind_is_a_conflict(self):
        resp(self.server, "HSET", "kv:hash", "f", "v")
        got = self.ask("GET", "/api/v1/kv/hash")
        self.assertEqual((got.status, error_of(got)), (409, "wrong_type"))

    # who may

    def test_without_a_good_credential_it_is_401(self):
        for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"},
                        {"Authorization": "Bearer a b"}, {"Authorization": "Bearer nonsense"},
                        {"X_API_Key": "hlk_0000"}):
            got = self.ask("GET", "/api/v1/kv/k", token=None, **headers)
            self.assertEqual(got.status, 401, headers)
            error_of(got)
            self.assertIn("Bearer", got.header("WWW-Authenticate"))

    def test_a_token_ends_with_its_session(self):
        token = login(self.server, "ada")
        self.assertEqual(self.ask("GET", "/api/v1/kv/none", token=token).status, 404)
        resp(self.server, "AUTH.LOGOUT", token)
        got = self.ask("GET", "/api/v1/kv/none", token=token)
        self.assertEqual((got.status, error_of(got)), (401, "token_revoked"))

    def test_a_reader_may_read_and_nothing_else(self):
        for method, body in (("PUT", {"value": "v"}), ("POST", {"value": "v"}), ("DELETE", None)):
            got = self.ask(method, "/api/v1/kv/r", body, token=self.reader)
            self.assertEqual((got.status, error_of(got)), (403, "forbidden"), method)
        got = self.ask("POST", "/api/v1/kv", {"key": "r", "value": "v"}, token=self.reader)
        self.assertEqual((got.status, error_of(got)), (403, "forbidden"))
        self.assertEqual(self.ask("GET", "/api/v1/kv/r", token=self.reader).status, 404)

    def test_a_scope_is_about_the_key(self):
        token = user(self.server, "scoped")
        resp(self.server, "RBAC.ROLE", "SET", "team", "kv:set@team/*")
        resp(self.server, "RBAC.GRANT", "scoped", "team")
        for path, body, status in (("/team/a", {"value": "v"}, 200),
                                   ("/other", {"value": "v"}, 403),
                                   ("", {"key": "team/b", "value": "v"}, 200),
                                   ("", {"key": "other", "value": "v"}, 403)):
            got = self.ask("POST", "/api/v1/kv" + path, body, token=token)
            self.assertEqual(got.status, status, path)

    def test_a_role_that_is_given_or_taken_counts_at_once(self):
        token = user(self.server, "changing", "readonly")
        put = ("PUT", "/api/v1/kv/changing", {"value": "v"})
        self.assertEqual(self.ask(*put, token=token).status, 403)
        resp(self.server, "AUTH.ROLES", "changing", "user")
        self.assertEqual(self.ask(*put, token=token).status, 200)
        resp(self.server, "AUTH.ROLES", "changing", "readonly")
        self.assertEqual(self.ask(*put, token=token).status, 403)

    def test_nothing_of_a_request_is_seen_by_monitors_but_commands_without_credentials(self):
        from resp_client import Client
        monitor = Client(self.server.port)
        monitor("MONITOR")
        self.ask("PUT", "/api/v1/kv/seen", {"value": "v"})
        lines = []
        while not any("kv:seen" in line for line in lines):
            lines.append(monitor.read())
        monitor.close()
        self.assertFalse([line for line in lines if self.ada[:20] in line], lines)

    # the gateway itself

    def test_other_paths_and_methods_are_refused_in_the_same_form(self):
        got = self.ask("GET", "/api/v1/nothing")
        self.assertEqual((got.status, error_of(got)), (404, "not_found"))
        got = self.ask("PATCH", "/api/v1/kv/k")
        self.assertEqual(got.status, 405)
        error_of(got)
        self.assertIn("PUT", got.header("Allow"))

    def test_its_own_command_is_not_for_clients(self):
        from resp_client import Error
        with self.assertRaises(Error):
            resp(self.server, "GATEWAY._ACCESS", "1")


class Missing(unittest.TestCase):
    def test_each_missing_module_is_named(self):
        for missing in ("auth", "rbac"):
            modules = [name for name in MODULES if name != missing]
            with start(modules=modules) as server:
                token = user(server, "ada") if missing != "auth" else "hlk_none"
                got = ask(server, "GET", "/api/v1/kv/k", token=token)
                self.assertEqual((got.status, error_of(got)), (503, "module_missing"))
                self.assertIn(missing, got.json["error"]["message"])
                resp(server, "MODULE", "LOAD", missing)
                got = ask(server, "GET", "/api/v1/kv/k", token=token)
                self.assertEqual(got.status, 401 if missing == "auth" else 404, "found at once")

    def test_it_waits_for_http(self):
        from server import Server
        from gateway_support import await_http, flags
        with Server(*flags(modules=MODULES[1:])) as server:
            resp(server, "MODULE", "LOADEX", "http", "ARGS", "listen", "127.0.0.1:0")
            await_http(server)
            self.assertEqual(ask(server, "GET", "/api/v1/kv/k").status, 401)


if __name__ == "__main__":
    unittest.main(verbosity=2)
