#!/usr/bin/env python3
"""Goal: the jobs and auth modules keep their promises in a cluster: no acknowledged job is lost,
none is leased twice at once or acknowledged twice, and users and tokens survive, however often the
leader is killed.
Method: clients and judge are those of test_jobs_crash.py; each client goes to whatever node it
finds, while the leader is killed and started again, on disks that forget at a kill what was not
synced.  Beside them jobs whose leases are short: their workers stall, give back, and come too late,
and a ledger of who held what when, and of whose acknowledgement was taken, is kept outside.

HELIOS_TEST_SCALE multiplies the 5 kills; HELIOS_TEST_SEED is the seed that is printed.
"""
import os
import random
import secrets
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import test_jobs_crash as jobs  # noqa: E402
from cluster import Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402

KILLS = 5 * int(os.environ.get("HELIOS_TEST_SCALE", "1"))
ANSWER_S_MAX = 3
RETRYABLE = ("NOQUORUM", "NOLEADER", "NOTLEADER", "TRYAGAIN", "LOADING", "CLUSTERDOWN",
             "ROLLEDBACK", "UNKNOWN", "UNBLOCKED", "MASTERDOWN")


class Roaming:
    """An actor that goes to another node when one is of no use."""

    def roam(self, nodes, stopping, chance):
        while not stopping.is_set() and self.failed is None:
            node = chance.choice(nodes)
            client = None
            try:
                client = Client(node.port, ANSWER_S_MAX)
                while not stopping.is_set():
                    self.step(client)
            except jobs.GONE:
                time.sleep(0.01)
            except Error as e:
                if not str(e).startswith(RETRYABLE):
                    self.failed = e
                time.sleep(0.02)
            except Exception as e:
                self.failed = e
            finally:
                if client is not None:
                    client.close()


class Pusher(Roaming, jobs.Pusher):
    pass


class Worker(Roaming, jobs.Worker):
    pass


class Registrar(Roaming, jobs.Registrar):
    pass


SHORT = "short"        # the queue of short leases
SHORT_LEASE_S = 1
PATIENCE = 40          # attempts of a short job: never to be spent here


class Ledger:
    """Who held which job of the short leases, by which token and until when, and who acknowledged
    it.  Leader and clients share one clock: that of the machine."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pushed, self.acked = {}, {}
        self.holders = {}  # id -> (token, fence, end of the lease in ms, or when it was ended)
        self.deliveries, self.refused = 0, 0

    def delivered(self, job):
        """A lease was answered.  The one before must be over: by its time, which may have been
        sooner than its holder thinks but never later, or by its holder, who said so before."""
        now_ms = time.time() * 1000
        with self.lock:
            assert job["id"] not in self.acked, f"{job} was acknowledged, and is leased again"
            before = self.holders.get(job["id"])
            if before is not None:
                token, fence, end_ms = before
                assert token != job["token"], f"{job}: one token, two leases"
                assert end_ms <= now_ms, f"{job}: leased {end_ms - now_ms:.0f} ms too early"
                assert fence < job["fence"], f"{job}: its fence is not above {fence}"
            self.holders[job["id"]] = (job["token"], job["fence"], job["deadline"])
            self.deliveries += 1

    def giving_up(self, job):
        """Its holder is about to end the lease: from now on another may have it."""
        with self.lock:
            token, fence, end_ms = self.holders[job["id"]]
            if token == job["token"]:
                self.holders[job["id"]] = (token, fence, min(end_ms, time.time() * 1000))

    def extended(self, job, end_ms):
        with self.lock:
            token, fence, _ = self.holders[job["id"]]
            assert token == job["token"], f"{job}: another's lease was extended"
            self.holders[job["id"]] = (token, fence, end_ms)

    def took(self, job, result):
        with self.lock:
            assert job["id"] not in self.acked, f"{job['id']} was acknowledged twice"
            self.acked[job["id"]] = result


class ShortPusher(Roaming, jobs.Actor):
    def __init__(self, ledger, number):
        super().__init__(None, number)
        self.ledger = ledger

    def step(self, client):
        if self.pending is None:
            self.count += 1
        payload = f"{self.number}-{self.count}"
        job_id, _ = self.ask(client, "JOB.PUSH", SHORT, payload, "ID", payload, "VIS",
                             SHORT_LEASE_S, "MAXTRY", PATIENCE, "BACKOFF", "fixed", 0, 0, 0)
        self.ledger.pushed[payload] = job_id
        time.sleep(0.02)  # its share of the work: workers stall, so few jobs are enough


class Straggler(Roaming, jobs.Actor):
    """Acknowledges, extends, gives back, or stalls until the lease is over, and then tries."""
    job = None

    def __init__(self, ledger, number, chance):
        super().__init__(None, number)
        self.ledger, self.chance = ledger, chance

    def step(self, client):
        if self.job is None:
            reply = client("JOB.PULL", SHORT, "BLOCK", 50, "WORKER", f"s{self.number}")
            if not reply:
                return
            self.job = jobs.pairs(reply[0])
            self.how = self.chance.choice(["ack", "ack", "extend", "release", "nack", "stall"])
            self.ledger.delivered(self.job)
        job = self.job
        try:
            if self.how == "extend":
                self.how = "ack"
                # Until it is answered the lease may end at the old time or at the new one: the
                # ledger goes on with the old one, which is the sooner.
                self.ledger.extended(job, client("JOB.EXTEND", job["id"], job["token"], 1500))
            if self.how == "release":
                self.ledger.giving_up(job)
                client("JOB.RELEASE", job["id"], job["token"])
            elif self.how == "nack":
                self.ledger.giving_up(job)
                client("JOB.NACK", job["id"], job["token"], "not today", "DELAY", 0)
            else:
                if self.how == "stall":
                    self.how = "ack"
                    time.sleep(self.chance.uniform(0.8, 1.6) * SHORT_LEASE_S)  # what is tested
                result = f"{job['token']} by {self.number}"
                assert client("JOB.ACK", job["id"], job["token"], result) == "OK"
                self.ledger.took(job, result)
        except Error as e:
            if not str(e).startswith(("LEASELOST", "NOJOB")):
                raise
            self.ledger.refused += 1
        self.job = None


def finish_short(client, ledger, actors):
    """What is left is acknowledged once; then every job is done, by who was told so."""
    for actor in actors:
        if actor.pending is not None or getattr(actor, "job", None) is not None:
            actor.step(client)
    until = time.monotonic() + 30
    while True:
        reply = client("JOB.PULL", SHORT, "BLOCK", 100)
        for job in map(jobs.pairs, reply or ()):
            ledger.delivered(job)
            assert client("JOB.ACK", job["id"], job["token"], "drained") == "OK"
            ledger.took(job, "drained")
        stats = jobs.pairs(client("JOB.STATS", SHORT))
        if stats["ready"] + stats["leased"] + stats["scheduled"] == 0:
            return
        assert time.monotonic() < until, stats


def judge_short(client, ledger):
    """A job that nobody was told he acknowledged may be done by one whose answer was lost."""
    found = {job["id"]: job for job in jobs.listing(client, SHORT)}
    assert len({job["payload"] for job in found.values()}) == len(found), "a push made two jobs"
    for payload, job_id in ledger.pushed.items():
        job = found.get(job_id)
        assert job is not None, f"{job_id} was acknowledged and is lost"
        assert (job["payload"], job["status"]) == (payload, "done"), job
    for job_id, result in ledger.acked.items():
        assert found[job_id]["result"] == result, f"{found[job_id]}, not {result}"


def kill_often(cluster, actors, chance):
    stopping = threading.Event()
    threads = [threading.Thread(target=actor.roam, daemon=True,
                                args=(cluster.nodes, stopping, random.Random(chance.random())))
               for actor in actors]
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            leader = cluster.await_leader()
            time.sleep(chance.uniform(0.1, 0.5))  # of work between two kills
            leader.kill()
            cluster.await_leader()
            leader.start()
            cluster.await_caught_up(leader)
            for actor in actors:
                if actor.failed is not None:
                    raise actor.failed
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)


def make_kek():
    """The key under which signing keys travel: a file that all nodes share."""
    fd, path = tempfile.mkstemp(prefix="helios-kek-")
    with os.fdopen(fd, "w") as f:
        f.write(secrets.token_hex(32) + "\n")
    return path


def main():
    print(f"seed {jobs.SEED}")
    chance = random.Random(jobs.SEED)
    world = jobs.World()
    actors = [Pusher(world, i) for i in range(3)] + [Worker(world, i) for i in range(3, 7)]
    actors.append(Registrar(world, 7))
    ledger = Ledger()
    short = [ShortPusher(ledger, 8)]
    short += [Straggler(ledger, i, random.Random(chance.random())) for i in range(9, 13)]
    kek = make_kek()
    flags = [*jobs.flags(), "--auth.kek-file", kek, "--election-timeout", "500ms"]
    with Cluster(3, *flags, path=jobs.SERVER, disk="forgets") as cluster:
        try:
            cluster.await_leader()
            kill_often(cluster, actors + short, chance)
            leader = cluster.await_leader()
            finish_short(Client(leader.port, 60), ledger, short)
            orphans = jobs.finish(Client(leader.port, 60), world, actors)
            cluster.await_equal()
            for node in cluster.nodes:
                jobs.judge(Client(node.port, 60), world)
                judge_short(Client(node.port, 60), ledger)
        except Exception:
            print(cluster.describe())
            raise
    os.unlink(kek)
    assert len(world.done) >= KILLS and world.tokens, "too little was done to mean anything"
    assert ledger.refused and len(ledger.acked) >= KILLS, "no lease was lost: nothing was tried"
    print(f"short leases: {len(ledger.pushed)} jobs, {ledger.deliveries} leases, "
          f"{len(ledger.acked)} acknowledged, {ledger.refused} came too late")
    print(f"{KILLS} kills of the leader: {len(world.pushed)} jobs pushed, {len(world.done)} done, "
          f"{orphans} leased to nobody, {len(world.users)} users")


if __name__ == "__main__":
    main()
