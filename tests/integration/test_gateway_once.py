#!/usr/bin/env python3
"""Goal: a request under an Idempotency-Key does its work once, however often it is sent, and says
the same each time; also when leaders die between the work and the answer.
Method: one node for the rules; three nodes whose leaders are killed while clients send every
request until it is answered, then what was done is counted.
"""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway_support import (ask, await_http, error_of, resp, start,  # noqa: E402
                             start_cluster, user)

KILLS = 3 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
CLIENTS = 4
ANSWER_S_MAX = 60
JOBS = "/api/v1/jobs"


def counts(node, queue):
    stats = resp(node, "JOB.STATS", queue)
    return dict(zip(stats[::2], stats[1::2]))


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start()
        cls.ada = user(cls.server, "ada")
        cls.bob = user(cls.server, "bob")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def send(self, key, body, method="POST", path=JOBS, token=None):
        return ask(self.server, method, path, body, token or self.ada, Idempotency_Key=key)

    def test_a_second_request_gets_the_first_answer(self):
        body = {"payload": 1, "queue": "second"}
        first = self.send("k1", body)
        self.assertEqual((first.status, first.header("Idempotency-Replayed")), (201, None))
        again = self.send("k1", body)
        self.assertEqual((again.status, again.json), (201, first.json))
        self.assertEqual(again.header("Idempotency-Replayed"), "true")
        self.assertEqual(counts(self.server, "second")["pushed"], 1)
        other = self.send("k2", body)
        self.assertNotEqual(other.json, first.json)

    def test_it_is_the_clients_own_key(self):
        body = {"payload": 1, "queue": "own"}
        self.assertNotEqual(self.send("k", body).json,
                            self.send("k", body, token=self.bob).json)

    def test_another_request_under_the_same_key_is_refused(self):
        self.send("k3", {"payload": 1})
        for method, path, body in (("POST", JOBS, {"payload": 2}),
                                   ("POST", JOBS + "?x=1", {"payload": 1}),
                                   ("PUT", "/api/v1/kv/x", {"value": "v"})):
            got = self.send("k3", body, method, path)
            self.assertEqual((got.status, error_of(got)), (422, "idempotency_key_reused"), path)
        self.assertIsNone(resp(self.server, "GET", "kv:x"))

    def test_keys_and_deletions_too(self):
        for method, body, answer in (("PUT", {"value": "v"}, {"ok": True, "key": "once"}),
                                     ("DELETE", None, {"ok": True, "deleted": 1})):
            first = self.send("kv" + method, body, method, "/api/v1/kv/once")
            self.assertEqual((first.status, first.json), (200, answer))
            resp(self.server, "SET", "kv:once", "changed meanwhile")
            again = self.send("kv" + method, body, method, "/api/v1/kv/once")
            self.assertEqual((again.json, again.header("Idempotency-Replayed")), (answer, "true"))
            self.assertEqual(resp(self.server, "GET", "kv:once"), "changed meanwhile")

    def test_what_failed_is_tried_again(self):
        resp(self.server, "HSET", "wrong", "f", "v")
        got = self.send("k4", {"payload": 1, "queue": "wrong"})
        self.assertEqual((got.status, error_of(got)), (409, "wrong_type"))
        resp(self.server, "DEL", "wrong")
        self.assertEqual(self.send("k4", {"payload": 1, "queue": "wrong"}).status, 201)

    def test_of_many_at_once_one_does_it(self):
        body = {"payload": 1, "queue": "many"}
        got = []
        threads = [threading.Thread(target=lambda: got.append(self.send("many", body)))
                   for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer.status for answer in got}, {201})
        self.assertEqual(len({answer.json["job_id"] for answer in got}), 1)
        self.assertEqual([answer.header("Idempotency-Replayed") for answer in got].count(None), 1)

    def test_a_key_is_forgotten(self):
        resp(self.server, "CONFIG", "SET", "gateway.idempotency-ttl", "1")
        self.addCleanup(resp, self.server, "CONFIG", "SET", "gateway.idempotency-ttl", "86400")
        body = {"payload": 1, "queue": "forgotten"}
        first = self.send("short", body).json
        until = time.monotonic() + 10
        while self.send("short", body).json == first:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def test_there_are_so_many_keys_and_no_more(self):
        token = user(self.server, "carl")
        resp(self.server, "CONFIG", "SET", "gateway.idempotency-max", "3")
        self.addCleanup(resp, self.server, "CONFIG", "SET", "gateway.idempotency-max", "1000")
        body = {"payload": 1, "queue": "full"}
        for key in ("a", "b", "c"):
            self.assertEqual(self.send(key, body, token=token).status, 201)
        got = self.send("d", body, token=token)
        self.assertEqual((got.status, error_of(got)), (429, "too_many_idempotency_keys"))
        self.assertEqual(self.send("a", body, token=token).header("Idempotency-Replayed"), "true")
        other = user(self.server, "dave")
        self.assertEqual(self.send("d", body, token=other).status, 201, "others have their own")

    def test_a_malformed_key_is_refused(self):
        for key in ("", "x" * 256, "\xe9"):
            got = self.send(key.encode("latin-1").decode("latin-1"), {"payload": 1})
            self.assertEqual(got.status, 400, key)

    def test_nothing_secret_is_kept(self):
        body = {"username": "ada", "password": "correct horse battery"}
        a = ask(self.server, "POST", "/api/v1/auth/login", body, Idempotency_Key="login")
        b = ask(self.server, "POST", "/api/v1/auth/login", body, Idempotency_Key="login")
        self.assertNotEqual(a.json["token"], b.json["token"])

    def test_its_command_gives_nobody_rights(self):
        from resp_client import Client
        resp(self.server, "ACL", "SETUSER", "eve", "on", ">pw", "~*", "+gateway.once", "+get")
        client = Client(self.server.port)
        client("AUTH", "eve", "pw")
        text = client.error("GATEWAY.ONCE", "k", "f", "0" * 64, "1000", "SET", "kv:eve", "v")
        self.assertTrue(text.startswith("NOPERM"), text)
        for words in (("k", "f", "0" * 63, "1000", "GET", "x"),
                      ("k", "f", "0" * 64, "0", "GET", "x"),
                      ("k", "", "0" * 64, "1000", "GET", "x"),
                      ("k", "f", "0" * 64, "1000", "nonsense"),
                      ("k", "f", "0" * 64, "1000", "MULTI")):
            self.assertIsNotNone(client.error("GATEWAY.ONCE", *words), words)
        client.close()
        self.assertIsNone(resp(self.server, "GET", "kv:eve"))

    def test_a_damaged_record_is_none(self):
        who = ask(self.server, "GET", "/api/v1/auth/me", token=self.ada).json["user_id"]
        for bytes_ in (b"", b"\x01", b"x" * 100, b"\x01" + b"\xff" * 60):
            resp(self.server, "HSET", "gateway:once:" + who, "damaged", bytes_)
            got = self.send("damaged", {"payload": 1, "queue": "damaged"})
            self.assertEqual(got.status, 201)


class Sender(threading.Thread):
    """Pushes one job after the other, each under a key of its own, until each is answered."""

    def __init__(self, cluster, name, token):
        super().__init__(daemon=True)
        self.cluster, self.name_, self.token = cluster, name, token
        self.done, self.replayed, self.retried, self.wrong = [], 0, 0, []
        self.stopping = False

    def once(self, number):
        until = time.monotonic() + ANSWER_S_MAX
        tries = 0
        while time.monotonic() < until:
            node = self.cluster.nodes[(number + tries) % len(self.cluster.nodes)]
            tries += 1
            try:
                got = ask(node, "POST", JOBS, {"payload": [self.name_, number], "queue": "work"},
                          self.token, Idempotency_Key=f"{self.name_}-{number}")
            except (OSError, EOFError, AttributeError):
                time.sleep(0.02)  # its node was killed: nobody knows what came of it
                continue
            if got.status == 201:
                self.retried += tries > 1
                self.replayed += got.header("Idempotency-Replayed") is not None
                self.done.append(got.json["job_id"])
                return
            if got.status not in (503, 504):
                self.wrong.append((got.status, got.body))
                return
            time.sleep(0.02)
        self.wrong.append("never answered")

    def run(self):
        number = 0
        while not self.stopping and not self.wrong:
            number += 1
            self.once(number)


class ThreeNodes(unittest.TestCase):
    def test_once_is_once_while_leaders_are_killed(self):
        with start_cluster(3, "--sync-mode", "every", "--gateway.command-timeout", "3000",
                           "--gateway.idempotency-max", "100000") as cluster:
            token = user(cluster.await_leader(), "ada")
            senders = [Sender(cluster, f"s{i}", token) for i in range(CLIENTS)]
            for sender in senders:
                sender.start()
            for _ in range(KILLS):
                leader = cluster.await_leader()
                time.sleep(0.5)  # of work between two kills
                leader.kill()
                cluster.await_leader()
                leader.start()
                await_http(leader)
                cluster.await_caught_up(leader)
            for sender in senders:
                sender.stopping = True
            for sender in senders:
                sender.join(ANSWER_S_MAX + 10)
            leader = cluster.await_leader()
            pushed = counts(leader, "work")["pushed"]
            done = [job for sender in senders for job in sender.done]
            print(f"     {KILLS} kills: {len(done)} jobs, "
                  f"{sum(s.retried for s in senders)} sent again, "
                  f"{sum(s.replayed for s in senders)} had been done")
            self.assertEqual([wrong for sender in senders for wrong in sender.wrong], [])
            self.assertEqual(len(set(done)), len(done), "two requests share a job")
            self.assertEqual(pushed, len(done), "a job was pushed twice, or is lost")
            self.assertGreater(sum(s.retried for s in senders), 0, "no request met a dying leader")


if __name__ == "__main__":
    unittest.main(verbosity=2)
