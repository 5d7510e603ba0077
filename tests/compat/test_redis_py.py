#!/usr/bin/python3
"""Goal: redis-py works against the server as it does against Redis."""
import asyncio
import os
import sys
import threading
import unittest

import redis
import redis.asyncio

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from server import Server, needs  # noqa: E402


class RedisPy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.r = self.connect(decode_responses=True)
        self.r.flushall()

    def connect(self, **options):
        r = redis.Redis(port=self.server.port, socket_timeout=20, **options)
        self.addCleanup(r.close)
        return r

    def test_strings_numbers_and_expiry(self):
        r = self.r
        self.assertTrue(r.set("k", "v", ex=60))
        self.assertEqual(r.get("k"), "v")
        self.assertGreater(r.ttl("k"), 50)
        self.assertIsNone(r.set("k", "w", nx=True))
        self.assertEqual(r.set("k", "w", get=True), "v")
        self.assertEqual(r.incrby("n", 5), 5)
        self.assertEqual(r.incrbyfloat("f", 1.25), 1.25)
        self.assertEqual(r.append("k", "x"), 2)
        self.assertEqual(r.getrange("k", 0, 0), "w")
        self.assertTrue(r.mset({"a": "1", "b": "2"}))
        self.assertEqual(r.mget("a", "b", "c"), ["1", "2", None])
        self.assertEqual(r.delete("a", "b", "c"), 2)
        self.assertTrue(r.rename("k", "k2"))
        self.assertEqual(r.type("k2"), "string")

    def test_any_bytes_are_a_key_and_a_value(self):
        r = self.connect()
        every = bytes(range(256))
        r.set(every, every)
        self.assertEqual(r.get(every), every)

    def test_a_value_of_five_megabytes(self):
        r = self.connect()
        value = os.urandom(5 << 20)
        r.set("big", value)
        self.assertEqual(r.get("big"), value)
        self.assertEqual(r.strlen("big"), len(value))

    def test_hashes(self):
        r = self.r
        self.assertEqual(r.hset("h", mapping={"a": 1, "b": 2}), 2)
        self.assertEqual(r.hgetall("h"), {"a": "1", "b": "2"})
        self.assertEqual(r.hincrby("h", "a", 4), 5)
        self.assertEqual(r.hmget("h", "a", "z"), ["5", None])
        self.assertEqual(r.hdel("h", "a"), 1)
        self.assertEqual(dict(r.hscan_iter("h")), {"b": "2"})

    @needs("RPUSH", "LMOVE", "BLPOP")
    def test_lists_and_blocking_pops(self):
        r = self.r
        r.rpush("l", "a", "b", "c")
        self.assertEqual(r.lrange("l", 0, -1), ["a", "b", "c"])
        self.assertEqual(r.lmove("l", "m", "LEFT", "RIGHT"), "a")
        self.assertEqual(r.lpop("l", 2), ["b", "c"])
        self.assertIsNone(r.blpop("empty", timeout=0.05))
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.connect().blpop("q", timeout=10)))
        waiter.start()
        while r.info("clients")["blocked_clients"] == 0:
            pass  # bounded by the pop's own time-out
        r.rpush("q", "job")
        waiter.join()
        self.assertEqual(got, [(b"q", b"job")])

    @needs("SADD", "ZADD", "ZPOPMIN")
    def test_sets_and_sorted_sets(self):
        r = self.r
        r.sadd("s", "a", "b")
        r.sadd("t", "b", "c")
        self.assertEqual(r.sinter("s", "t"), {"b"})
        self.assertEqual(r.sunion("s", "t"), {"a", "b", "c"})
        self.assertTrue(r.sismember("s", "a"))
        r.zadd("z", {"one": 1, "two": 2, "three": 3.5})
        self.assertEqual(r.zrange("z", 0, -1, withscores=True),
                         [("one", 1.0), ("two", 2.0), ("three", 3.5)])
        self.assertEqual(r.zrevrangebyscore("z", "+inf", "(1"), ["three", "two"])
        self.assertEqual(r.zincrby("z", 2, "one"), 3.0)
        self.assertEqual(r.zrank("z", "two"), 0)
        self.assertEqual(r.zpopmin("z"), [("two", 2.0)])

    @needs("XADD", "XREADGROUP")
    def test_streams(self):
        r = self.r
        first = r.xadd("x", {"f": "1"})
        r.xadd("x", {"f": "2"})
        self.assertEqual([e[1] for e in r.xrange("x")], [{"f": "1"}, {"f": "2"}])
        self.assertEqual(r.xread({"x": first})[0][1][0][1], {"f": "2"})
        r.xgroup_create("x", "g", id="0")
        got = r.xreadgroup("g", "me", {"x": ">"}, count=1)
        self.assertEqual(got[0][1][0][0], first)
        self.assertEqual(r.xack("x", "g", first), 1)

    def test_a_pipeline_answers_in_order(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(5000):
            pipe.set(f"p:{i}", i)
            pipe.get(f"p:{i}")
        replies = pipe.execute()
        self.assertEqual(replies[1::2], [str(i) for i in range(5000)])

    def test_a_transaction_is_one(self):
        with self.r.pipeline() as pipe:
            self.assertEqual(pipe.set("t", 1).incr("t").get("t").execute(), [True, 2, "2"])

    def test_an_error_inside_a_transaction_stops_nothing_else(self):
        self.r.set("str", "x")
        pipe = self.r.pipeline().hset("str", "y", "z").set("after", "1")
        replies = pipe.execute(raise_on_error=False)
        self.assertIsInstance(replies[0], redis.ResponseError)
        self.assertEqual(self.r.get("after"), "1")

    def test_watch_refuses_when_the_key_changed(self):
        with self.r.pipeline() as pipe:
            pipe.watch("w")
            self.connect().set("w", "theirs")
            pipe.multi()
            pipe.set("w", "mine")
            self.assertRaises(redis.WatchError, pipe.execute)
        self.assertEqual(self.r.get("w"), "theirs")

    def test_errors_have_their_texts(self):
        r = self.r
        r.set("str", "x")
        for text, command in (
                ("WRONGTYPE Operation against a key holding the wrong kind of value",
                 ("HSET", "str", "f", "v")),
                ("value is not an integer or out of range", ("INCR", "str")),
                ("wrong number of arguments for 'get' command", ("GET",)),
                ("syntax error", ("SET", "a", "b", "NONSENSE")),
                ("unknown command 'NO.SUCH'", ("NO.SUCH",)),
                ("no such key", ("RENAME", "absent", "b")),
                ("DB index is out of range", ("SELECT", "99999"))):
            with self.assertRaises(redis.ResponseError) as e:
                r.execute_command(*command)
            self.assertIn(text.removeprefix("WRONGTYPE "), str(e.exception))

    @needs("PUBLISH", "PSUBSCRIBE")
    def test_publish_and_subscribe(self):
        sub = self.r.pubsub(ignore_subscribe_messages=True)
        sub.subscribe("c")
        sub.psubscribe("p*")
        sub.get_message(timeout=10)
        sub.get_message(timeout=10)
        self.assertEqual(self.r.publish("c", "one"), 1)
        self.assertEqual(self.r.publish("pq", "two"), 1)
        got = [sub.get_message(timeout=10) for _ in range(2)]
        self.assertEqual([m["data"] for m in got], ["one", "two"])
        self.assertEqual(got[1]["pattern"], "p*")
        sub.close()

    def test_scan_finds_every_key(self):
        self.r.mset({f"k:{i}": i for i in range(2000)})
        self.assertEqual(len(set(self.r.scan_iter("k:*", count=50))), 2000)
        self.assertEqual(self.r.dbsize(), 2000)

    def test_what_tools_read(self):
        r = self.r
        info = r.info()
        for field in ("redis_version", "connected_clients", "used_memory", "uptime_in_seconds",
                      "total_commands_processed", "role"):
            self.assertIn(field, info)
        self.assertTrue(r.client_setname("me"))
        self.assertIn("me", [c["name"] for c in r.client_list()])
        self.assertGreater(r.client_id(), 0)
        self.assertIn("maxmemory", r.config_get("maxmemory*"))
        self.assertGreater(r.command_count(), 80)
        self.assertEqual(r.echo("hi"), "hi")
        self.assertEqual(len(r.time()), 2)

    def test_another_database_is_another_world(self):
        two = self.connect(db=2)
        two.set("only", "here")
        self.assertEqual(self.r.exists("only"), 0)
        two.flushdb()

    def test_the_asynchronous_client(self):
        async def work():
            r = redis.asyncio.Redis(port=self.server.port, decode_responses=True)
            await asyncio.gather(*(r.set(f"a:{i}", i) for i in range(200)))
            values = await asyncio.gather(*(r.get(f"a:{i}") for i in range(200)))
            async with r.pipeline(transaction=True) as pipe:
                both = await pipe.incr("n").incr("n").execute()
            await r.close()
            await r.connection_pool.disconnect()
            return values, both
        values, both = asyncio.run(work())
        self.assertEqual(values, [str(i) for i in range(200)])
        self.assertEqual(both, [1, 2])


if __name__ == "__main__":
    unittest.main()
