#!/usr/bin/env python3
"""Goal: the admin routes do what they say, on one node and on three: members, figures, settings,
modules as plugins, users and roles; and no malformed request does any harm.

Method: servers with all modules of the gateway; requests over sockets, effects looked at by RESP.
"""
import os
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from gateway_support import MODULES, PASSWORD, ask, await_http, error_of, flags  # noqa: E402
from gateway_support import login, resp, start, start_cluster, user  # noqa: E402
from http_support import Conn  # noqa: E402
from server import Server, wait_for  # noqa: E402

WAIT_S_MAX = 20
SMALL = "hello"  # a module that nobody here uses otherwise


class Case(unittest.TestCase):
    """One server for all tests of a class; requests have an administrator's token."""

    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.root = user(cls.server, "root-user", "admin")
        cls.plain = user(cls.server, "plain-user")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ask(self, method, target, body=None, token="", **more):
        return ask(self.server, method, target, body, self.root if token == "" else token, **more)

    def good(self, method, target, body=None, status=200, **more):
        got = self.ask(method, target, body, **more)
        self.assertEqual(got.status, status, f"{method} {target}: {got.body}")
        return got.json


class Cluster(Case):
    def test_only_administrators_are_let_in(self):
        for method, target in (("GET", "/admin/cluster/status"), ("GET", "/admin/config"),
                               ("POST", "/admin/config/reload"), ("GET", "/admin/plugins"),
                               ("POST", "/admin/plugins/jobs/disable"), ("GET", "/admin/users"),
                               ("POST", "/admin/cluster/latency/reset"), ("GET", "/ws/cluster"),
                               ("DELETE", "/admin/users/root-user")):
            got = self.ask(method, target, token=self.plain)
            self.assertEqual((got.status, error_of(got)), (403, "forbidden"), target)
            self.assertEqual(self.ask(method, target, token=None).status, 401, target)

    def test_the_status_of_a_server_alone(self):
        status = self.good("GET", "/admin/cluster/status")
        self.assertEqual(status["node"]["state"], "Leader")
        for part in ("node", "leader", "indices", "peers", "sessions", "tls", "uptime",
                     "uptime_stats", "cluster_health", "snapshot", "custom_metrics"):
            self.assertIn(part, status)
        self.assertIs(status["leader"]["is_leader"], True)
        self.assertEqual(self.good("GET", "/admin/cluster/peers"), {"peers": []})

    def test_figures_and_their_resets(self):
        latency = self.good("GET", "/admin/cluster/latency")
        self.assertEqual(set(latency), {"peers", "aggregated", "health_summary"})
        self.assertEqual(self.good("GET", "/admin/cluster/uptime")["total_sessions"], 1)
        history = self.good("GET", "/admin/cluster/uptime/history?max_events=1&max_sessions=0")
        self.assertEqual((len(history["events"]), history["recent_sessions"]), (1, []))
        resp(self.server, "SET", "some", "thing")
        resp(self.server, "RAFT.SNAPSHOT")
        self.assertIs(self.good("GET", "/admin/cluster/snapshot")["has_snapshot"], True)
        history = self.good("GET", "/admin/cluster/snapshot/history?events=5&snapshots=5")
        self.assertGreaterEqual(history["total_events"], 1)
        self.assertEqual(history["events"][-1]["type"], "created")
        for part in ("latency", "uptime", "snapshot"):
            self.assertIn("message", self.good("POST", f"/admin/cluster/{part}/reset"))
        history = self.good("GET", "/admin/cluster/snapshot/history")
        self.assertEqual(history["total_events"], 0)

    def test_what_is_malformed_is_refused(self):
        for target in ("/admin/cluster/uptime/history?max_events=x",
                       "/admin/cluster/uptime/history?max_sessions=-1",
                       "/admin/cluster/snapshot/history?snapshots=101",
                       "/admin/cluster/snapshot/history?events=99999999999999999999",
                       "/admin/cluster/latency?peer_id=../x", "/admin/config?format=xml"):
            got = self.ask("GET", target)
            self.assertEqual((got.status, error_of(got)), (400, "invalid"), target)
        self.assertEqual(self.ask("GET", "/admin/cluster/latency?peer_id=node-9").status, 404)
        for body in ({}, {"id": "a"}, {"id": 1, "address": "h:1"}, {"id": "../x", "address": "h:1"},
                     {"id": "a", "address": ""}, {"id": "a" * 65, "address": "h:1"},
                     {"id": "a", "address": ["h:1"]}):
            got = self.ask("POST", "/admin/cluster/peers", body)
            self.assertEqual((got.status, error_of(got)), (400, "invalid"), body)
        for raw in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"id":"a","id":"b"}',
                    b'{"id":' + b"[" * 5000):
            for method, target in (("POST", "/admin/cluster/peers"),
                                   ("DELETE", "/admin/cluster/peers"),
                                   ("POST", "/admin/plugins/bulk"), ("POST", "/admin/users"),
                                   ("PUT", "/admin/roles/r"), ("PUT", "/admin/plugins/x/enabled")):
                got = self.ask(method, target, raw=raw)
                self.assertEqual(got.status, 400, (method, target, raw, got.body))
        with Conn(self.server.http) as conn:  # told before it is sent
            conn.send(b"POST /admin/users HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Length: 2097152\r\nAuthorization: Bearer " +
                      self.root.encode() + b"\r\n\r\n")
            self.assertEqual(conn.read().status, 413)
        self.assertEqual(self.ask("PATCH", "/admin/cluster/peers").status, 405)
        self.assertEqual(resp(self.server, "PING"), "PONG")

    def test_a_server_alone_takes_no_peers(self):
        got = self.ask("POST", "/admin/cluster/peers", {"id": "node-2", "address": "127.0.0.1:1"})
        self.assertEqual((got.status, error_of(got)), (400, "invalid"))
        self.assertEqual(self.ask("DELETE", "/admin/cluster/peers/node-2").status, 400)


class Config(unittest.TestCase):
    def setUp(self):
        self.server = Server.__new__(Server)
        self.server.prepare([], None, None)
        self.addCleanup(self.server.close)
        self.path = os.path.join(self.server.dir, "helios.conf")
        self.write("maxclients 500", "tls-key-file-pass hush-hush")
        self.server.flags = ["--config", self.path, *flags()]
        self.server.start()
        await_http(self.server)
        self.root = user(self.server, "root-user", "admin")

    def write(self, *lines):
        with open(self.path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def ask(self, method, target, body=None):
        return ask(self.server, method, target, body, self.root)

    def maxclients(self):
        return self.ask("GET", "/admin/config").json["maxclients"]

    def test_settings_are_shown_without_secrets(self):
        for target in ("/admin/config", "/admin/config?format=json", "/admin/config?format=yaml"):
            got = self.ask("GET", target)
            self.assertEqual(got.status, 200)
            self.assertNotIn(b"hush", got.body)
            self.assertIn(b"maxclients", got.body)
        self.assertIn(b'maxclients: "500"\n', got.body)
        self.assertEqual(self.ask("GET", "/admin/config").json["tls-key-file-pass"], "(set)")

    def test_a_reload_takes_the_file_and_counts(self):
        self.write("maxclients 600", "tls-key-file-pass hush-hush")
        diff = self.ask("GET", "/admin/config/diff").json
        self.assertEqual((diff["count"], diff["changes"][0]["field"]), (1, "maxclients"))
        got = self.ask("POST", "/admin/config/reload").json
        self.assertEqual((got["success"], got["reload_count"], got["changed"]), (True, 1, 1))
        self.assertGreater(got["last_reload"], 1700000000)
        self.assertEqual(self.maxclients(), "600")
        self.assertEqual(self.ask("GET", "/admin/config/diff").json["changes"], [])

    def test_an_immutable_field_refuses_the_reload_and_nothing_changes(self):
        self.write("maxclients 700", "databases 99", "tls-key-file-pass hush-hush")
        for _ in range(2):
            got = self.ask("POST", "/admin/config/reload")
            self.assertEqual((got.status, got.json["success"]), (400, False))
            self.assertIn("databases", got.json["error"]["message"])
            self.assertEqual(self.maxclients(), "500")
        self.write("maxclients 700", "nonsense yes")
        self.assertEqual(self.ask("POST", "/admin/config/reload").status, 400)
        self.assertEqual(self.maxclients(), "500")


class NoFile(Case):
    def test_without_a_file_a_reload_is_503(self):
        for method, target in (("POST", "/admin/config/reload"), ("GET", "/admin/config/diff")):
            got = self.ask(method, target)
            self.assertEqual((got.status, got.json["success"], got.json["error"]["code"]),
                             (503, False, "no_config_file"))


class Plugins(Case):
    def loaded(self, name=SMALL):
        return any(name in module for module in resp(self.server, "MODULE", "LIST"))

    def tearDown(self):
        if self.loaded():
            resp(self.server, "MODULE", "UNLOAD", SMALL)
        resp(self.server, "DEL", "gateway:plugins")

    def bulk(self, status=200, **body):
        return self.good("POST", "/admin/plugins/bulk", body, status)

    def test_modules_are_listed_and_described(self):
        got = self.good("GET", "/admin/plugins?include_runtime=true&include_stats=true"
                        "&refresh_health=true")
        names = [p["name"] for p in got["plugins"]]
        self.assertIn("gateway", names)
        self.assertEqual((got["count"], got["manager"]["plugin_count"]), (len(names),) * 2)
        http = next(p for p in got["plugins"] if p["name"] == "http")
        self.assertIs(http["health"]["healthy"], True)
        self.assertIn("http_requests_total", http["stats"])
        self.assertIn("args", http["runtime"])
        one = self.good("GET", "/admin/plugins/jobs?include_stats=1")["plugin"]
        self.assertEqual((one["name"], one["enabled"], one["enforced"]),
                         ("jobs", True, ["settings"]))
        self.assertEqual(self.good("GET", "/admin/plugins/jobs/health")["health"]["status"],
                         "healthy")
        for path in ("nosuch", "nosuch/health"):
            self.assertEqual(self.ask("GET", "/admin/plugins/" + path).status, 404)

    def test_a_module_comes_and_goes(self):
        got = self.good("POST", f"/admin/plugins/{SMALL}/enable")
        self.assertIs(got["plugin"]["enabled"], True)
        self.assertTrue(self.loaded())
        self.good("POST", f"/admin/plugins/{SMALL}/enable")
        self.good("POST", f"/admin/plugins/{SMALL}/reload")
        self.assertTrue(self.loaded())
        got = self.good("POST", f"/admin/plugins/{SMALL}/disable")
        self.assertIs(got["plugin"]["enabled"], False)
        self.assertFalse(self.loaded())
        self.assertIs(self.good("GET", f"/admin/plugins/{SMALL}")["plugin"]["enabled"], False)
        self.good("PUT", f"/admin/plugins/{SMALL}/enabled", {"enabled": True})
        self.assertTrue(self.loaded())
        self.good("PUT", f"/admin/plugins/{SMALL}/enabled", {"enabled": False})
        self.assertFalse(self.loaded())
        self.assertEqual(self.ask("POST", "/admin/plugins/nosuch/enable").status, 400)
        self.assertEqual(self.ask("POST", "/admin/plugins/nosuch/disable").status, 404)
        self.assertEqual(self.ask("POST", "/admin/plugins/nosuch/reload", {}).status, 404)

    def test_what_serves_the_request_stays(self):
        for name in ("gateway", "http", "auth", "rbac"):
            for what in ("disable", "reload"):
                got = self.ask("POST", f"/admin/plugins/{name}/{what}")
                self.assertEqual((got.status, got.json["error"]["code"]), (409, "in_use"))
                self.assertTrue(self.loaded(name))

    def test_names_are_no_paths(self):
        for name in ("..%2Fx", "%2Fetc%2Fpasswd", "..", ".hidden", "a%20b", "a" * 65, "%00", "-x"):
            for method, rest in (("GET", ""), ("POST", "/enable"), ("POST", "/reload")):
                got = self.ask(method, f"/admin/plugins/{name}{rest}")
                self.assertIn(got.status, (400, 404), name)
        got = self.ask("POST", "/admin/plugins/bulk",
                       {"action": "enable", "items": [{"name": "../" + SMALL}]})
        self.assertEqual((got.status, error_of(got)), (400, "invalid"))

    def test_an_explicit_fail_open_false_is_kept(self):
        self.good("POST", f"/admin/plugins/{SMALL}/enable")
        self.assertIs(self.good("GET", f"/admin/plugins/{SMALL}")["plugin"]["config"]["fail_open"],
                      True)
        self.good("POST", f"/admin/plugins/{SMALL}/reload",
                  {"fail_open": False, "priority": 0, "max_failures": 0, "timeout": "250ms",
                   "cooldown": 2000000000})
        for _ in range(2):
            config = self.good("GET", f"/admin/plugins/{SMALL}")["plugin"]["config"]
            self.assertEqual(config, {"fail_open": False, "priority": 0, "max_failures": 0,
                                      "timeout": "250ms", "cooldown": "2s", "settings": {}})
            self.good("POST", f"/admin/plugins/{SMALL}/reload", {"priority": 0})
        for body in ({"fail_open": "no"}, {"timeout": "soon"}, {"timeout": -1}, {"priority": 1.5},
                     {"settings": []}, {"settings": {"a": []}}, {"enabled": 1},
                     {"settings": {"a b": "c"}}, {"max_failures": -1}, {"cooldown": "99999h"}):
            got = self.ask("POST", f"/admin/plugins/{SMALL}/reload", body)
            self.assertEqual((got.status, got.json["error"]["code"]), (400, "invalid"), body)
        self.assertEqual(self.good("GET", f"/admin/plugins/{SMALL}")["plugin"]["config"], config)

    def test_settings_reach_the_module_and_a_wrong_one_changes_nothing(self):
        before = resp(self.server, "CONFIG", "GET", "jobs.*")
        name = before[0].split(".", 1)[1]
        got = self.ask("POST", "/admin/plugins/jobs/reload", {"settings": {"no-such-one": "1"}})
        self.assertEqual(got.status, 400, got.body)
        self.assertEqual(resp(self.server, "CONFIG", "GET", "jobs.*"), before)
        self.good("POST", "/admin/plugins/bulk", {"action": "health", "items": [{"name": "jobs"}]})
        self.assertIn(name, " ".join(before))

    def test_hostile_wishes_in_the_key_count_as_none(self):
        for text in ("{", "[]", "null", '{"priority":"x"}', "\xff" * 10, "9" * 100):
            resp(self.server, "HSET", "gateway:plugins", "jobs", text, "../x", "{}")
            got = self.good("GET", "/admin/plugins/jobs")["plugin"]["config"]
            self.assertEqual((got["priority"], got["fail_open"]), (0, True))
        self.assertNotIn("../x", [p["name"] for p in self.good("GET", "/admin/plugins")["plugins"]])

    def test_a_bulk_that_fails_in_part_is_207(self):
        got = self.bulk(207, action="enable", items=[{"name": SMALL}, {"name": "nosuch"}])
        bulk = got["bulk"]
        self.assertEqual((bulk["requested"], bulk["processed"], bulk["succeeded"], bulk["failed"],
                          bulk["rollback_performed"]), (2, 2, 1, 1, False))
        self.assertEqual([r["success"] for r in got["results"]], [True, False])
        self.assertTrue(self.loaded())

    def test_a_dry_run_changes_nothing(self):
        got = self.bulk(action="enable", items=[{"name": SMALL}], dry_run=True)
        self.assertEqual((got["bulk"]["dry_run"], got["bulk"]["succeeded"]), (True, 1))
        self.assertFalse(self.loaded())
        got = self.bulk(207, action="disable", dry_run=True,
                        items=[{"name": "jobs"}, {"name": "gateway"}, {"name": "nosuch"}])
        self.assertEqual([r["success"] for r in got["results"]], [True, False, False])
        self.assertTrue(self.loaded("jobs"))
        got = self.bulk(action="reload", dry_run=True, default_reload={"priority": 7},
                        items=[{"name": "jobs"}])
        self.assertEqual(self.good("GET", "/admin/plugins/jobs")["plugin"]["config"]["priority"], 0)

    def test_a_bulk_is_rolled_back_on_error(self):
        got = self.bulk(207, action="enable", rollback_on_error=True,
                        items=[{"name": SMALL}, {"name": "nosuch"}, {"name": "jobs"}])
        self.assertEqual([r["result"] for r in got["results"]],
                         ["rolled_back", "failed", "skipped"])
        self.assertIs(got["bulk"]["rollback_performed"], True)
        self.assertFalse(self.loaded())
        self.good("POST", f"/admin/plugins/{SMALL}/enable")
        got = self.bulk(207, action="reload", rollback_on_error=True,
                        items=[{"name": SMALL, "reload": {"priority": 5, "fail_open": False}},
                               {"name": "nosuch"}])
        config = self.good("GET", f"/admin/plugins/{SMALL}")["plugin"]["config"]
        self.assertEqual((config["priority"], config["fail_open"]), (0, True))
        got = self.bulk(207, action="set_enabled", rollback_on_error=True,
                        items=[{"name": SMALL, "enabled": False},
                               {"name": "http", "enabled": False}])
        self.assertEqual([r["result"] for r in got["results"]], ["rolled_back", "failed"])
        self.assertTrue(self.loaded())

    def test_a_bulk_may_stop_at_the_first_error(self):
        got = self.bulk(207, action="enable", continue_on_error=False,
                        items=[{"name": "nosuch"}, {"name": SMALL}])
        self.assertEqual([r["result"] for r in got["results"]], ["failed", "skipped"])
        self.assertFalse(self.loaded())

    def test_a_malformed_bulk_does_nothing(self):
        item = [{"name": SMALL}]
        for body in ({}, {"action": "enable"}, {"action": "enable", "items": []},
                     {"action": "explode", "items": item}, {"action": "enable", "items": "x"},
                     {"action": "enable", "items": [1]}, {"action": "enable", "items": [{}]},
                     {"action": "set_enabled", "items": item},
                     {"action": "enable", "items": item * 2},
                     {"action": "enable", "items": item, "dry_run": "yes"},
                     {"action": "reload", "items": [{"name": SMALL, "reload": 1}]},
                     {"action": "enable", "items": [{"name": f"m{i}"} for i in range(65)]}):
            got = self.ask("POST", "/admin/plugins/bulk", body)
            self.assertEqual((got.status, error_of(got)), (400, "invalid"), body)
        self.assertFalse(self.loaded())

    def test_modules_come_and_go_while_the_gateway_serves(self):
        failed, stop = [], threading.Event()

        def serve():
            n = 0
            while not stop.is_set():
                n += 1
                put = ask(self.server, "PUT", "/api/v1/kv/busy", {"value": str(n)}, self.plain)
                got = ask(self.server, "GET", "/api/v1/kv/busy", token=self.plain)
                if (put.status, got.status) != (200, 200):
                    failed.append((put.status, got.status, got.body))
        threads = [threading.Thread(target=serve) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                self.good("POST", f"/admin/plugins/{SMALL}/enable")
                self.good("POST", f"/admin/plugins/{SMALL}/reload")
                self.good("POST", f"/admin/plugins/{SMALL}/disable")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failed, [])


class NotAllowed(unittest.TestCase):
    def test_without_enable_module_command_no_administrator_loads_anything(self):
        for setting in ("no", "local"):
            server = start("--enable-module-command", setting)
            self.addCleanup(server.close)
            root = user(server, "root-user", "admin")
            for name, what in ((SMALL, "enable"), ("jobs", "disable")):
                got = ask(server, "POST", f"/admin/plugins/{name}/{what}", token=root)
                self.assertEqual((got.status, got.json["error"]["code"]), (403, "forbidden"))
            self.assertTrue(any("jobs" in m for m in resp(server, "MODULE", "LIST")))


class Metrics(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = start("--metrics.listen", "", modules=("metrics", *MODULES))
        cls.root = user(cls.server, "root-user", "admin")

    def test_all_metrics_are_shown_as_prometheus_reads_them(self):
        got = self.ask("GET", "/admin/metrics")
        self.assertEqual(got.status, 200)
        self.assertTrue(got.header("Content-Type").startswith("text/plain"))
        self.assertIn(b"# TYPE raft_node_uptime_seconds gauge\n", got.body)

    def test_custom_metrics_are_made_moved_shown_and_deleted(self):
        path = "/admin/cluster/metrics"
        self.good("POST", path, {"name": "orders_total", "type": "counter", "help": "Orders.",
                                 "labels": {"shop": "a"}}, 201)
        self.good("POST", path, {"name": "heat", "type": "gauge"}, 201)
        self.good("POST", path, {"name": "wait_seconds", "type": "histogram",
                                 "buckets": [0.1, 1, 10]}, 201)
        self.good("PUT", path, {"name": "orders_total"})
        self.good("PUT", path, {"name": "orders_total", "delta": 4})
        self.good("PUT", path, {"name": "heat", "value": 36.6})
        self.good("PUT", path, {"name": "heat", "delta": -6.6})
        self.good("PUT", path, {"name": "wait_seconds", "value": 0.5})
        got = self.good("GET", path)
        self.assertEqual((got["total_metrics"], got["counter_metrics"], got["gauge_metrics"],
                          got["histogram_metrics"]), (3, 1, 1, 1))
        self.assertEqual(self.good("GET", path + "?name=orders_total")["value"], 5)
        self.assertEqual(self.good("GET", path + "?name=heat")["value"], 30)
        self.assertEqual(self.good("GET", path + "?name=wait_seconds")["count"], 1)
        self.assertIn(b'orders_total{shop="a"} 5', self.ask("GET", "/admin/metrics").body)
        custom = self.good("GET", "/admin/cluster/status")["custom_metrics"]
        self.assertEqual(custom["total_metrics"], 3)
        self.good("POST", path + "/reset")
        self.assertEqual(self.good("GET", path + "?name=orders_total")["value"], 0)
        for name in ("orders_total", "heat", "wait_seconds"):
            self.good("DELETE", path + "?name=" + name)
        for method, target, body in (("DELETE", path + "?name=heat", None),
                                     ("GET", path + "?name=heat", None),
                                     ("PUT", path, {"name": "heat", "value": 1})):
            got = self.ask(method, target, body)
            self.assertEqual((got.status, error_of(got)), (404, "no_such_metric"), method)

    def test_what_is_malformed_is_refused(self):
        path = "/admin/cluster/metrics"
        for body in ({}, {"name": "a"}, {"name": "a", "type": "x"},
                     {"name": "a b", "type": "gauge"}, {"name": 1, "type": "gauge"},
                     {"name": "a" * 129, "type": "gauge"},
                     {"name": "a", "type": "gauge", "labels": []},
                     {"name": "a", "type": "gauge", "labels": {"l": 1}},
                     {"name": "a", "type": "gauge", "labels": {f"l{i}": "" for i in range(9)}},
                     {"name": "a", "type": "histogram", "buckets": [1, "x"]},
                     {"name": "a", "type": "histogram", "buckets": [2, 1]},
                     {"name": "a", "type": "histogram", "buckets": list(range(9))}):
            self.assertEqual(self.ask("POST", path, body).status, 400, body)
        self.good("POST", path, {"name": "good", "type": "gauge"}, 201)
        for name in ("good", "raft_node_uptime_seconds"):
            got = self.ask("POST", path, {"name": name, "type": "gauge"})
            self.assertEqual((got.status, error_of(got)), (409, "metric_exists"))
        for body in ({"name": "good", "value": "1"}, {"name": "good", "delta": []}, {"value": 1}):
            self.assertEqual(self.ask("PUT", path, body).status, 400, body)
        self.assertEqual(self.ask("DELETE", path).status, 400)
        self.assertEqual(self.good("GET", path)["total_metrics"], 1)


class Users(Case):
    def test_a_user_is_made_given_roles_and_deleted(self):
        got = self.good("POST", "/admin/users", {"username": "bea", "password": PASSWORD}, 201)
        self.assertEqual(got["username"], "bea")
        again = self.ask("POST", "/admin/users", {"username": "bea", "password": PASSWORD})
        self.assertEqual(again.status, 400)
        names = [u["username"] for u in self.good("GET", "/admin/users")["users"]]
        self.assertIn("bea", names)
        self.assertEqual(self.good("GET", "/admin/users/" + got["user_id"])["username"], "bea")
        token = login(self.server, "bea")
        self.assertEqual(self.ask("GET", "/admin/users", token=token).status, 403)
        self.good("POST", "/admin/users/bea/roles", {"role": "admin"})
        self.assertIn("admin", self.good("GET", "/admin/users/bea/roles")["granted"])
        self.assertEqual(self.ask("GET", "/admin/users", token=token).status, 200)
        self.good("DELETE", "/admin/users/bea/roles", {"role": "admin"})
        self.assertEqual(self.ask("GET", "/admin/users", token=token).status, 403)
        self.good("POST", f"/admin/users/{got['user_id']}/roles", {"roles": ["readonly", "admin"]})
        self.good("DELETE", "/admin/users/bea/roles/admin")
        self.assertEqual(self.good("GET", "/admin/users/bea/roles")["granted"], ["readonly"])
        self.good("DELETE", "/admin/users/bea")
        self.assertEqual(self.ask("GET", "/admin/users/bea").status, 404)
        self.assertEqual(self.ask("GET", "/api/v1/kv/x", token=token).status, 401)
        self.assertEqual(self.ask("DELETE", "/admin/users/bea").status, 404)

    def test_a_user_is_made_with_roles(self):
        self.good("POST", "/admin/users",
                  {"username": "cleo", "password": PASSWORD, "roles": ["readonly"]}, 201)
        self.assertEqual(self.good("GET", "/admin/users/cleo/roles")["granted"], ["readonly"])
        page = self.good("GET", "/admin/users?limit=1")
        self.assertEqual(page["count"], 1)
        after = page["users"][0]["username"]
        self.assertNotIn(after, str(self.good("GET", f"/admin/users?after={after}")["users"]))

    def test_roles_are_made_shown_and_deleted(self):
        self.good("PUT", "/admin/roles/editor",
                  {"permissions": ["kv:get", "kv:set@drafts/*"], "description": "writes drafts",
                   "inherits": ["readonly"]})
        role = self.good("GET", "/admin/roles/editor")
        self.assertEqual((role["name"], role["description"], role["inherits"]),
                         ("editor", "writes drafts", ["readonly"]))
        self.assertEqual(set(role["permissions"]), {"kv:get", "kv:set@drafts/*"})
        self.assertIn("editor", [r["name"] for r in self.good("GET", "/admin/roles")["roles"]])
        self.good("DELETE", "/admin/roles/editor")
        self.assertEqual(self.ask("GET", "/admin/roles/editor").status, 404)
        self.assertEqual(self.ask("DELETE", "/admin/roles/editor").status, 404)

    def test_what_makes_no_sense_is_refused(self):
        for body in ({}, {"username": "x"}, {"username": "", "password": PASSWORD},
                     {"username": 1, "password": PASSWORD}, {"username": "x", "password": ""},
                     {"username": "x", "password": PASSWORD, "roles": "admin"},
                     {"username": "x", "password": PASSWORD, "roles": [1]},
                     {"username": "x", "password": PASSWORD, "roles": ["r"] * 17},
                     {"username": "x" * 2000, "password": PASSWORD}):
            self.assertEqual(self.ask("POST", "/admin/users", body).status, 400, body)
        for body in ({"permissions": "kv:get"}, {"permissions": [""]}, {"permissions": [1]},
                     {"permissions": ["INHERITS", "admin"]}, {"permissions": ["x:y"] * 25},
                     {"inherits": ["nosuch"]}, {"description": 5}):
            self.assertIn(self.ask("PUT", "/admin/roles/bad", body).status, (400, 404), body)
        for path in ("/admin/roles/..%2Fx", "/admin/users/a%2Fb", "/admin/users/@group/roles",
                     "/admin/users/%20/roles", "/admin/users/" + "a" * 200):
            self.assertIn(self.ask("GET", path).status, (400, 404), path)
        for body in ({}, {"role": 1}, {"role": ""}, {"roles": []}, {"roles": [None]}):
            self.assertEqual(self.ask("POST", "/admin/users/plain-user/roles", body).status, 400)
        self.assertEqual(self.ask("POST", "/admin/users/plain-user/roles",
                                  {"role": "nosuch"}).status, 404)
        self.assertEqual(self.ask("GET", "/admin/users/nobody/roles").status, 404)


class ThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = start_cluster(3)
        cls.root = user(cls.cluster.await_leader(), "root-user", "admin")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def good(self, node, method, target, body=None, status=200):
        got = ask(node, method, target, body, self.root)
        self.assertEqual(got.status, status, f"{node.id} {method} {target}: {got.body}")
        return got.json

    def test_every_node_tells_of_itself_and_the_others(self):
        leader = self.cluster.await_leader()
        for node in self.cluster.nodes:
            wait_for(lambda n=node: ask(n, "GET", "/admin/cluster/status", token=self.root).status
                     == 200, WAIT_S_MAX, "the user on every node")
            status = self.good(node, "GET", "/admin/cluster/status")
            self.assertEqual(status["node"]["id"], node.id)
            self.assertEqual(status["leader"]["id"], leader.id)
            self.assertEqual(status["leader"]["is_leader"], node is leader)
            self.assertEqual(len(status["peers"]), 2)
            peers = self.good(node, "GET", "/admin/cluster/peers")["peers"]
            self.assertEqual({p["id"]: p["state"] for p in peers},
                             {n.id: "Leader" if n is leader else "Follower"
                              for n in self.cluster.nodes})
        other = next(n for n in self.cluster.nodes if n is not leader)
        one = self.good(leader, "GET", "/admin/cluster/latency?peer_id=" + other.id)
        self.assertEqual(one["peer_id"], other.id)
        self.assertGreater(one["append_entries"]["count"], 0)

    def test_a_member_is_added_and_removed_through_any_node(self):
        leader = self.cluster.await_leader()
        follower = next(n for n in self.cluster.nodes if n is not leader)
        fresh = self.cluster.add()
        try:
            got = self.good(follower, "POST", "/admin/cluster/peers",
                            {"id": fresh.id, "address": fresh.raft_address}, 201)
            self.assertEqual(got["peer"], {"id": fresh.id, "address": fresh.raft_address})

            def members():
                peers = self.good(follower, "GET", "/admin/cluster/peers")["peers"]
                return {p["id"] for p in peers}
            wait_for(lambda: fresh.id in members(), WAIT_S_MAX, "the new member")
            got = ask(follower, "POST", "/admin/cluster/peers",
                      {"id": "other", "address": "127.0.0.1:1"}, self.root)
            self.assertEqual(got.status, 400, "nobody is there")
            got = self.good(follower, "DELETE", "/admin/cluster/peers", {"id": fresh.id})
            self.assertEqual(got["peer_id"], fresh.id)
            wait_for(lambda: fresh.id not in members(), WAIT_S_MAX, "the member to be gone")
            self.assertEqual(ask(follower, "DELETE", "/admin/cluster/peers/" + fresh.id,
                                 token=self.root).status, 400)
        finally:
            self.cluster.nodes.remove(fresh)
            fresh.close()

    def test_a_module_enabled_at_a_follower_runs_everywhere(self):
        leader = self.cluster.await_leader()
        follower = next(n for n in self.cluster.nodes if n is not leader)

        def everywhere(loaded):
            return all(any(SMALL in m for m in resp(n, "MODULE", "LIST")) == loaded
                       for n in self.cluster.nodes)
        self.good(follower, "POST", f"/admin/plugins/{SMALL}/reload",
                  {"enabled": True}, 404)
        self.good(follower, "POST", f"/admin/plugins/{SMALL}/enable")
        wait_for(lambda: everywhere(True), WAIT_S_MAX, "the module on every node")
        self.good(follower, "POST", f"/admin/plugins/{SMALL}/reload", {"fail_open": False})
        for node in self.cluster.nodes:
            wait_for(lambda n=node: self.good(n, "GET", f"/admin/plugins/{SMALL}")["plugin"]
                     ["config"]["fail_open"] is False, WAIT_S_MAX, "the wish on every node")
        self.good(follower, "POST", f"/admin/plugins/{SMALL}/disable")
        wait_for(lambda: everywhere(False), WAIT_S_MAX, "the module to be gone")


if __name__ == "__main__":
    unittest.main(verbosity=2)
