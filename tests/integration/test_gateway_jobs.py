#!/usr/bin/env python3
"""Goal: jobs over HTTP are pushed, shown, leased and ended as the module jobs does it.
Method: a server with all modules; a user who pushes, a worker, and what each may not.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import ask, error_of, resp, start, user  # noqa: E402

JOBS = "/api/v1/jobs"


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.ada = user(cls.server, "ada")
        cls.boss = user(cls.server, "boss", "admin")
        cls.reader = user(cls.server, "reader", "readonly")
        resp(cls.server, "RBAC.ROLE", "SET", "worker", "job:work")
        cls.worker = user(cls.server, "worker", "worker")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.queue = self.id().rsplit(".", 1)[1][:100]

    def ask(self, method, path, body=None, token=None, **more):
        return ask(self.server, method, JOBS + path, body, token or self.boss, **more)

    def push(self, payload="p", **more):
        got = self.ask("POST", "", {"payload": payload, "queue": self.queue, **more})
        self.assertEqual(got.status, 201, got.body)
        return got.json["job_id"]

    def pull(self, **more):
        return self.ask("POST", "/dequeue", {"queue": self.queue, "worker_id": "w", **more})

    def test_a_job_lives_from_push_to_ack(self):
        job_id = self.push({"task": "t", "n": [1, 2.5, None, True]}, priority=7, max_attempts=5,
                           visibility_timeout=60)
        got = self.ask("GET", "/" + job_id).json
        self.assertEqual((got["status"], got["state"], got["priority"], got["max_attempts"],
                          got["visibility_timeout"], got["queue"]),
                         ("PENDING", "ready", 7, 5, 60, self.queue))
        self.assertEqual(got["payload"], {"task": "t", "n": [1, 2.5, None, True]})
        job = self.pull().json["job"]
        self.assertEqual((job["id"], job["attempt"], job["payload"]["task"]), (job_id, 1, "t"))
        self.assertEqual(self.ask("GET", "/" + job_id).json["status"], "IN_PROGRESS")
        self.assertEqual(self.pull().status, 204)
        bad = self.ask("POST", f"/{job_id}/ack", {"token": "0" * 32})
        self.assertEqual((bad.status, error_of(bad)), (409, "lease_lost"))
        got = self.ask("POST", f"/{job_id}/extend",
                       {"token": job["token"], "visibility_timeout": 600})
        self.assertEqual(got.status, 200)
        self.assertGreater(got.json["lease_until"], job["lease_until"])
        got = self.ask("POST", f"/{job_id}/ack", {"token": job["token"], "result": {"a": 1}})
        self.assertEqual((got.status, got.json), (200, {"ok": True}))
        got = self.ask("GET", "/" + job_id).json
        self.assertEqual((got["status"], got["result"]), ("DONE", {"a": 1}))

    def test_a_nack_brings_it_back_until_the_attempts_are_spent(self):
        job_id = self.push(max_attempts=2, backoff={"type": "fixed", "base_ms": 0})
        for attempt, state in ((1, "ready"), (2, "dead")):
            job = self.pull().json["job"]
            self.assertEqual(job["attempt"], attempt)
            got = self.ask("POST", f"/{job_id}/nack", {"token": job["token"], "error": "DELAY",
                                                        "delay": 0})
            self.assertEqual((got.status, got.json["state"]), (200, state))
        got = self.ask("GET", "/" + job_id).json
        self.assertEqual(got["status"], "DLQ")
        self.assertTrue(got["error"])
        self.assertEqual(self.ask("POST", f"/{job_id}/retry").status, 200)
        self.assertEqual(self.ask("GET", "/" + job_id).json["status"], "PENDING")
        job = self.pull().json["job"]
        got = self.ask("POST", f"/{job_id}/nack", {"token": job["token"], "fail": True})
        self.assertEqual(got.json["state"], "failed")
        self.assertEqual(self.ask("GET", "/" + job_id).json["status"], "FAILED")

    def test_lists_have_pages_and_statuses(self):
        ids = [self.push(n) for n in range(5)]
        later = self.push("later", delay=3600)
        seen, cursor = [], ""
        while True:
            got = self.ask("GET", f"?queue={self.queue}&status=PENDING&limit=2{cursor}").json
            seen += [job["id"] for job in got["jobs"]]
            if "cursor" not in got:
                break
            cursor = f"&cursor={got['cursor']}"
        self.assertEqual(sorted(seen), sorted(ids + [later]))
        self.pull()
        got = self.ask("GET", f"?queue={self.queue}&status=IN_PROGRESS").json
        self.assertEqual([job["id"] for job in got["jobs"]], [ids[0]])
        self.assertEqual(len(self.ask("GET", f"?queue={self.queue}").json["jobs"]), 6)
        for query in ("status=NONSENSE", "limit=0", "limit=x", "limit=5000", "cursor=-1",
                      "queue=a:b", "queue="):
            self.assertEqual(self.ask("GET", "?" + query).status, 400, query)

    def test_several_are_pulled_with_one_request_and_a_lease_as_asked(self):
        ids = [self.push(n) for n in range(4)]
        jobs = self.pull(count=3, visibility_timeout=7200).json["jobs"]
        self.assertEqual([job["id"] for job in jobs], ids[:3])
        seconds = (jobs[0]["lease_until"] - self.ask("GET", "/" + ids[0]).json["last_updated"])
        self.assertTrue(7100 < seconds / 1000 <= 7210, seconds)
        one = self.pull(visibility_timeout=9).json["job"]
        self.assertEqual(one["id"], ids[3])

    def test_a_pull_waits_for_a_job(self):
        import threading
        got = []
        thread = threading.Thread(target=lambda: got.append(self.pull(wait=10)))
        thread.start()
        job_id = self.push("late")
        thread.join(20)
        self.assertEqual((got[0].status, got[0].json["job"]["id"]), (200, job_id))
        self.assertEqual(self.pull(wait=1).status, 204)

    def test_a_duplicate_is_the_first_job_or_a_conflict(self):
        first = self.push("a", dedup_id="d")
        body = {"payload": "b", "queue": self.queue, "dedup_id": "d"}
        got = self.ask("POST", "", body)
        self.assertEqual((got.status, got.json), (200, {"job_id": first, "duplicate": True}))
        resp(self.server, "CONFIG", "SET", "gateway.strict-duplicates", "1")
        got = self.ask("POST", "", body)
        resp(self.server, "CONFIG", "SET", "gateway.strict-duplicates", "0")
        self.assertEqual((got.status, error_of(got)), (409, "duplicate"))
        self.assertIn(first, got.json["error"]["message"])

    def test_a_job_is_cancelled_once(self):
        for method, path in (("DELETE", "/{}"), ("POST", "/{}/cancel")):
            job_id = self.push()
            got = self.ask(method, path.format(job_id))
            self.assertEqual((got.status, got.json), (200, {"ok": True}))
            got = self.ask(method, path.format(job_id))
            self.assertEqual((got.status, error_of(got)), (409, "job_finished"))
            self.assertEqual(self.ask("GET", "/" + job_id).json["status"], "CANCELLED")

    def test_who_is_not_there_is_not_found(self):
        for path in ("/nonsense", "/auth:user:ada:1-00000000", f"/{self.queue}:1-00000000",
                     "/kv:x:1-00000000", "/" + "x" * 600):
            for method, more in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
                got = self.ask(method, path + more)
                self.assertEqual((got.status, error_of(got)), (404, "no_such_job"), path + more)
        got = self.ask("POST", f"/{self.queue}:1-00000000/ack", {"token": "0" * 32})
        self.assertEqual((got.status, error_of(got)), (404, "no_such_job"))

    def test_what_is_malformed_is_told_so(self):
        for body in ({}, {"payload": None}, {"payload": 1, "queue": "a:b"},
                     {"payload": 1, "queue": ""}, {"payload": 1, "queue": "x" * 129},
                     {"payload": 1, "queue": 7}, {"payload": 1, "priority": 1000},
                     {"payload": 1, "delay": -1}, {"payload": 1, "max_attempts": 0},
                     {"payload": 1, "visibility_timeout": "5"}, {"payload": 1, "backoff": 7},
                     {"payload": 1, "backoff": {"type": "cubic", "base_ms": 1}},
                     {"payload": 1, "dedup_id": ""}, {"payload": 1, "ttl": 10 ** 18}):
            self.assertEqual(self.ask("POST", "", body).status, 400, body)
        job_id = self.push()
        for path, body in (("ack", {}), ("ack", {"token": 7}), ("extend", {"token": "x"}),
                           ("nack", {"token": "x", "delay": -1}), ("nack", {"token": ""})):
            self.assertEqual(self.ask("POST", f"/{job_id}/{path}", body).status, 400, (path, body))
        for body in ({"count": 0}, {"count": 99}, {"wait": 100}, {"worker_id": ""},
                     {"visibility_timeout": 0}):
            self.assertEqual(self.pull(**body).status, 400, body)

    def test_each_verb_has_its_permission(self):
        job_id = self.push()
        cases = (("POST", "", {"payload": 1, "queue": self.queue}, self.ada, 201),
                 ("POST", "", {"payload": 1, "queue": self.queue}, self.reader, 403),
                 ("POST", "", {"payload": 1, "queue": self.queue}, self.worker, 403),
                 ("GET", "", None, self.ada, 200), ("GET", "", None, self.reader, 200),
                 ("GET", "", None, self.worker, 403),
                 ("GET", "/" + job_id, None, self.reader, 200),
                 ("DELETE", "/" + job_id, None, self.ada, 403),
                 ("POST", f"/{job_id}/cancel", None, self.ada, 403),
                 ("POST", "/dequeue", {"queue": self.queue}, self.ada, 403),
                 ("POST", "/dequeue", {"queue": self.queue}, self.worker, 200),
                 ("POST", f"/{job_id}/ack", {"token": "x"}, self.ada, 403))
        for method, path, body, token, status in cases:
            got = self.ask(method, path, body, token)
            self.assertEqual(got.status, status, (method, path, got.body))

    def test_a_permission_may_be_for_one_queue(self):
        resp(self.server, "RBAC.ROLE", "SET", "mailer", "job:create@mail*")
        token = user(self.server, "mailer", "mailer")
        for queue, status in (("mail", 201), ("mail.urgent", 201), ("other", 403)):
            got = self.ask("POST", "", {"payload": 1, "queue": queue}, token)
            self.assertEqual(got.status, status, queue)

    def test_payloads_of_other_clients_are_shown_as_they_are(self):
        resp(self.server, "JOB.PUSH", self.queue, "no json")
        got = self.ask("GET", f"?queue={self.queue}").json["jobs"][0]
        self.assertEqual(got["payload"], "no json")

    def test_without_jobs_it_says_so(self):
        from gateway_support import MODULES
        with start(modules=[name for name in MODULES if name != "jobs"]) as server:
            token = user(server, "boss", "admin")
            got = ask(server, "POST", JOBS, {"payload": 1}, token)
            self.assertEqual((got.status, error_of(got)), (503, "module_missing"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
