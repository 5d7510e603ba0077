#!/usr/bin/env python3
"""No acknowledged job is lost and none is done twice, however often the server is killed.

Usage: test_jobs_crash.py [SERVER MODULES_DIR]

Pushers and workers run on connections of their own while the server is killed (SIGKILL) at random
moments and started again, with every write synced before its reply.  Who gets no answer asks again
with the same dedup id or the same token.  After each crash and at the end:

  - a push that was answered, the first time or the second, made exactly one job with that payload;
  - a lease that was answered survives: its token is good until it is used, and nobody else gets
    the job;
  - a job whose ACK was answered is done, with that result, and is never delivered again;
  - a user whose registration was answered can log in, and a token that was given out verifies.

Once on a kind disk, and once on one that forgets at each crash what was not synced (dropdisk, where
it is built).

HELIOS_TEST_CRASHES sets the number of crashes, HELIOS_TEST_SEED the seed that is printed.
"""
import os
import random
import sys
import threading
import time

from resp_client import Client, Error, Server

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
DROPDISK = os.path.join(os.environ.get("HELIOS_BUILD", ""), "tests/support/dropdisk.so")
CRASHES = int(os.environ.get("HELIOS_TEST_CRASHES", 30))
SEED = int(os.environ.get("HELIOS_TEST_SEED", time.time_ns() % 1000000))
QUEUES = ["q0", "q1"]
LEASE_S = 600  # longer than the test: a lease ends by a crash or not at all
PASSWORD = "correct horse battery"
GONE = (OSError, ConnectionError)


def flags():
    out = []
    for name in ("jobs", "auth"):
        out += ["--loadmodule", os.path.join(MODULES, name + ".so")]
    return out + ["--auth.bcrypt-cost", "4", "--appendonly", "yes", "--appendfsync", "always"]


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


class Actor:
    """One connection with one request under way, which is asked again after a crash."""

    def __init__(self, world, number):
        self.world, self.number, self.count = world, number, 0
        self.pending = None  # the words that may or may not have been done
        self.failed = None

    def run(self, port):
        try:
            client = Client(port, timeout=30)
            while True:
                self.step(client)
        except GONE:
            pass  # the server was killed
        except Exception as e:
            self.failed = e

    def ask(self, client, *words):
        """Run a command that can be asked twice."""
        self.pending = words
        reply = client(*words)
        self.pending = None
        return reply


class Pusher(Actor):
    def step(self, client):
        again = self.pending is not None
        if not again:
            self.count += 1
        payload = f"{self.number}-{self.count}"
        words = ("JOB.PUSH", QUEUES[self.count % 2], payload, "ID", payload, "VIS", LEASE_S,
                 "PRI", self.count % 3)
        job, duplicate = self.ask(client, *words)
        assert again or duplicate == 0, f"{payload} is no duplicate"
        self.world.pushed[payload] = job


class Worker(Actor):
    job = None

    def step(self, client):
        if self.job is None:
            reply = client("JOB.PULL", *QUEUES, "BLOCK", 50, "WORKER", f"w{self.number}")
            if not reply:
                return
            self.job = pairs(reply[0])
            self.world.delivered(self.job)
        job = self.job
        result = f"{job['payload']} by {self.number}"
        assert self.ask(client, "JOB.ACK", job["id"], job["token"], result) == "OK"
        self.world.acked(job, result)
        self.job = None


class Registrar(Actor):
    def step(self, client):
        again = self.pending is not None
        if not again:
            self.count += 1
        name = f"user{self.count}"
        try:
            self.ask(client, "AUTH.REGISTER", name, PASSWORD)
        except Error as e:
            if not (again and str(e).startswith("USEREXISTS")):
                raise
            self.pending = None
        self.world.users.append(name)
        self.world.tokens.append(pairs(client("AUTH.LOGIN", name, PASSWORD))["access"])


class World:
    """What the clients were told."""

    def __init__(self):
        self.pushed, self.done, self.leased = {}, {}, set()
        self.users, self.tokens = [], []
        self.lock = threading.Lock()

    def delivered(self, job):
        with self.lock:
            assert job["id"] not in self.done, f"{job['id']} was done already"
            assert job["id"] not in self.leased, f"{job['id']} has two leases"
            assert job["attempt"] == 1, job
            self.leased.add(job["id"])

    def acked(self, job, result):
        with self.lock:
            assert job["id"] not in self.done, f"{job['id']} was acknowledged twice"
            self.done[job["id"]] = result


def listing(c, queue):
    jobs, cursor = [], "0"
    while True:
        cursor, page = c("JOB.LIST", queue, "CURSOR", cursor, "COUNT", 500)
        jobs += [pairs(job) for job in page]
        if cursor == "0":
            return jobs


def judge(c, world):
    """The server against what its clients were told.  Returns its jobs."""
    jobs = [job for queue in QUEUES for job in listing(c, queue)]
    by_id = {job["id"]: job for job in jobs}
    assert len(by_id) == len(jobs), "an id twice"
    assert len({job["payload"] for job in jobs}) == len(jobs), "a push made two jobs"
    for payload, job_id in world.pushed.items():
        assert job_id in by_id, f"{job_id} was acknowledged and is lost"
        assert by_id[job_id]["payload"] == payload, by_id[job_id]
    for job_id, result in world.done.items():
        found = by_id[job_id]
        assert (found["status"], found["result"]) == ("done", result), f"{found}, not {result}"
    for job_id in world.leased - set(world.done):  # its ACK may have been done unanswered
        assert by_id[job_id]["status"] in ("leased", "done"), by_id[job_id]
    for token in world.tokens[::7] + world.tokens[-1:]:
        c("AUTH.VERIFY", token)
    return jobs


def one_life(server, actors, chance):
    """Let the actors work until the server is killed."""
    threads = [threading.Thread(target=actor.run, args=(server.port,)) for actor in actors]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.02, 0.3))
    if chance.random() < 0.3:
        server.client().send("BGSAVE")
        time.sleep(chance.uniform(0, 0.03))
    server.process.kill()
    server.process.wait()
    for thread in threads:
        thread.join()
    for actor in actors:
        if actor.failed is not None:
            raise actor.failed


def finish(c, world, actors):
    """Answer what was under way and drain the queues: only leases nobody heard of are left."""
    for actor in actors:
        if actor.pending is not None or getattr(actor, "job", None) is not None:
            actor.step(c)
    while reply := c("JOB.PULL", *QUEUES, "COUNT", 500):
        for job in map(pairs, reply):
            world.delivered(job)
            assert c("JOB.ACK", job["id"], job["token"], "drained") == "OK"
            world.acked(job, "drained")
    for actor in actors:
        assert actor.pending is None and getattr(actor, "job", None) is None
    jobs = judge(c, world)
    left = [job for job in jobs if job["status"] != "done"]
    assert len(jobs) - len(left) == len(world.done), (len(jobs), len(left), len(world.done))
    for job in left:
        assert job["status"] == "leased" and job["id"] not in world.leased, job
        assert c("JOB.CANCEL", job["id"]) == 1
    for name in world.users[::7]:
        c("AUTH.LOGIN", name, PASSWORD)
    known = {pairs(user)["name"] for user in pages_of_users(c)}
    assert known.issuperset(world.users), set(world.users) - known
    return len(left)


def pages_of_users(c):
    users, after = [], []
    while page := c("AUTH.USERS", "COUNT", 1000, *after):
        users += page
        after = ["AFTER", pairs(page[-1])["name"]]
    return users


def crash_often(crashes, dropdisk):
    chance = random.Random(SEED)
    world = World()
    actors = [Pusher(world, i) for i in range(3)] + [Worker(world, i) for i in range(3, 7)]
    actors.append(Registrar(world, 7))
    server = Server(SERVER, *flags())
    if dropdisk:
        os.environ.update(LD_PRELOAD=DROPDISK, DROPDISK_DIR=server.dir)
    with server:
        try:
            for _ in range(crashes):
                one_life(server, actors, chance)
                server.start(60)
                judge(server.client(timeout=60), world)
            orphans = finish(server.client(timeout=60), world, actors)
        except Exception:
            print(server.log()[-3000:])
            raise
    assert len(world.done) >= crashes and world.tokens, "too little was done to mean anything"
    print(f"{crashes} crashes on a {'forgetful' if dropdisk else 'kind'} disk: "
          f"{len(world.pushed)} pushed, {len(world.done)} done, {orphans} leased to nobody, "
          f"{len(world.users)} users")


def main():
    print(f"seed {SEED}")
    crash_often(CRASHES, False)
    if os.path.exists(DROPDISK):
        crash_often(max(CRASHES // 3, 1), True)
    else:
        print("(dropdisk is not built: skipped)")


if __name__ == "__main__":
    main()
