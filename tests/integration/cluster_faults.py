#!/usr/bin/env python3
"""Goal: a cluster of real processes loses no acknowledged write and never shows a wrong value,
whatever happens to its nodes and to the network between them.

Method: nodes in network namespaces (netns.py) on disks that forget what was not synced; rounds of
concurrent clients (history_client.py), in each of which one thing goes wrong for a while; then all
is healed, every key is read at every node, and the history is judged.  Counts are printed.

Usage: cluster_faults.py [--rounds N] [--nodes N] [--seed N] [--only NAME,...] [--keep DIR]
       cluster_faults.py --planted     a disk that only pretends to sync must be found out
HELIOS_TEST_SCALE multiplies the rounds.  Needs root: a skip would be a failure.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import DISKS, Cluster  # noqa: E402
from history_client import Clients, History, now_us  # noqa: E402
from netns import Network  # noqa: E402
from resp_client import Client, Error  # noqa: E402

ROUNDS = 10
CLIENTS = 6
ELECTION_MS = 500
QUIET_S = 0.5          # of load before something breaks
HURT_S = (0.8, 2.0)    # how long it stays so
RECOVERY_S_MAX = 15    # until a write succeeds on every node
END_S_MAX = 30         # until a node that was told to end has ended
HOUR_US = 3600 * 1000000


class Round:
    """What a nemesis may use."""

    def __init__(self, cluster, net, rng):
        self.cluster, self.net, self.rng = cluster, net, rng
        self.nodes = cluster.nodes
        self.said = ""

    def leader(self):
        return self.nodes.index(self.cluster.await_leader(RECOVERY_S_MAX))

    def follower(self):
        leader = self.leader()
        others = self.others(leader)
        return self.rng.choice(others) if others else leader

    def others(self, hit):
        return [n for n in range(len(self.nodes)) if n != hit]

    def some(self, count, but=()):
        return self.rng.sample([n for n in range(len(self.nodes)) if n not in but], count)

    def hold(self):
        time.sleep(self.rng.uniform(*HURT_S))  # the fault itself: this long

    def note(self, *hit):
        self.said = " ".join(self.nodes[n].id for n in hit)


# --- what can go wrong: each is done, lasts while the round holds, and is undone ------------------

def kill(r, hit):
    r.nodes[hit].kill()


def pause(r, hit):
    r.nodes[hit].pause()


def isolate(r, hit):
    r.net.split({hit})


def deafen(r, hit):
    """Others hear it, it hears nobody."""
    for n in r.others(hit):
        r.net.cut(n, hit)


def mute(r, hit):
    for n in r.others(hit):
        r.net.cut(hit, n)


def minority(r, hit):
    """It stays with as few as possible, the others have the majority between them."""
    few = {hit, *r.some((len(r.nodes) - 1) // 2 - 1, but=(hit,))}
    r.note(*few)
    r.net.split(few)


def slow_disk(r, hit):
    r.nodes[hit].warp(sync_us=r.rng.randrange(20000, 80000))


def full_jump(r, hit):
    """Its time of day is hours away; the others' too, elsewhere."""
    for n in (hit, *r.others(hit)):
        r.nodes[n].warp(wall_us=r.rng.randrange(-6 * HOUR_US, 6 * HOUR_US))


LEADER, FOLLOWER = "leader", "follower"


def one(act, role, then=None):
    """A fault of one node, that goes on while the round holds."""
    def fault(r):
        hit = r.leader() if role == LEADER else r.follower()
        r.note(hit)
        act(r, hit)
        r.hold()
        if then is not None:
            then(r, hit)
    return fault


def all_of(act, wait=None):
    def fault(r):
        for node in r.nodes:
            act(node)
        for node in r.nodes:
            if wait is not None:
                wait(node)
    return fault


def kill_twice(r):
    """The leader, and the next one as soon as there is one."""
    first = r.leader()
    r.nodes[first].kill()
    second = r.leader() if len(r.nodes) > 1 else first
    r.note(first, second)
    r.nodes[first].start()
    r.nodes[second].kill()
    r.hold()


def restart_in_turn(r):
    for node in r.nodes:
        node.stop()
        node.start()


def split_all(r):
    """No majority anywhere."""
    for n in range(len(r.nodes)):
        r.net.split({n})
    r.hold()


def bridge(r):
    """One node reaches everybody, the others are two halves."""
    middle, *rest = r.some(len(r.nodes))
    half = rest[:len(rest) // 2]
    r.note(middle)
    for a in half:
        for b in rest[len(rest) // 2:]:
            r.net.cut(a, b)
            r.net.cut(b, a)
    r.hold()


def lose_packets(r):
    r.net.lose(0.15)
    r.net.repeat(0.1)
    r.hold()


def slow_network(r):
    """Slower than heartbeats are frequent, out of order, and one node is killed meanwhile."""
    r.net.delay(40, 60)
    one(lambda *_: None, FOLLOWER, kill)(r)


def flap(r):
    for _ in range(4):
        r.net.split({r.rng.randrange(len(r.nodes))})
        time.sleep(0.2)
        r.net.heal()
        time.sleep(0.1)


# In the order of the first pass: what most often finds a bug.  After each the network is healed,
# what does not run is started, and whatever is paused or warped goes on as it should.
NEMESES = {
    "kill_leader": one(kill, LEADER),
    "isolate_leader": one(isolate, LEADER),
    "pause_leader": one(pause, LEADER),
    "kill_all": all_of(lambda node: node.kill()),
    "deaf_leader": one(deafen, LEADER),
    "slow_disk": one(slow_disk, LEADER, kill),  # what it has not synced is lost
    "kill_twice": kill_twice,
    "jump_clocks": one(full_jump, LEADER, kill),
    "isolate_majority": one(minority, LEADER),
    "mute_leader": one(mute, LEADER),
    "kill_isolated_leader": one(isolate, LEADER, kill),  # what it took alone must not come back
    "restart_in_turn": restart_in_turn,
    "kill_follower": one(kill, FOLLOWER),
    "slow_network": slow_network,
    "lose_packets": lose_packets,
    "bridge": bridge,
    "flap": flap,
    "split_all": split_all,
    "pause_follower": one(pause, FOLLOWER),
    "slow_disk_follower": one(slow_disk, FOLLOWER),
    "end_all": all_of(lambda node: node.process.terminate(),
                      lambda node: node.process.wait(END_S_MAX)),
}
ALONE = ("kill_leader", "kill_all", "end_all", "restart_in_turn", "pause_leader", "slow_disk",
         "jump_clocks")  # that a node has without others
DRIFT_PPM = (15000, 0, -15000)  # the clocks of the nodes, all the time


def await_service(cluster):
    """Heal by waiting: all run, and each takes a write or knows who does."""
    until = time.monotonic() + RECOVERY_S_MAX
    for node in cluster.nodes:
        while True:
            try:
                conn = Client(node.port, 1, node.host)
                try:
                    conn("SET", "service", node.id)
                    break
                except Error as e:
                    if str(e).startswith("NOTLEADER "):  # it knows who leads
                        break
                    raise
                finally:
                    conn.close()
            except Exception as e:
                if time.monotonic() > until:
                    raise AssertionError(f"{node.id} takes no write {RECOVERY_S_MAX} s after "
                                         f"all was healed: {e}\n{cluster.describe()}") from None
                time.sleep(0.02)


def heal(cluster, net):
    net.heal()
    for node in cluster.nodes:
        node.warp()
        if node.runs:
            node.resume()
        else:
            node.spawn()
    for node in cluster.nodes:
        node.await_ready()


def run_round(number, name, cluster, net, seed, keep):
    history = History()
    r = Round(cluster, net, random.Random(f"{seed}:{number}"))
    addresses = [(node.host, node.port) for node in cluster.nodes]
    with Clients(history, lambda: addresses, CLIENTS, f"{seed}.{number}"):
        time.sleep(QUIET_S)
        hurt = now_us()
        NEMESES[name](r)
        heal(cluster, net)
        await_service(cluster)
        time.sleep(QUIET_S)
    cluster.await_equal()
    history.read_all(addresses)
    path = os.path.join(keep, f"round-{number}-{name}.history")
    verdict = history.check(path)
    gap = history.gap_s(hurt)
    counts, errors = history.counts, history.errors
    print(f"{number:4} {name:21} {r.said:14} ok {counts['ok']:5} "
          f"definite {counts['fail']:4} unknown {counts['unknown']:3} longest gap {gap:5.2f} s "
          f"errors {errors}", flush=True)
    assert verdict, path
    os.unlink(path)
    return counts, gap


def planned(args):
    known = list(NEMESES) if args.nodes > 1 else list(ALONE)
    if args.only:
        names = args.only.split(",")
        known = [n for n in NEMESES if n in names]
        if len(known) != len(names):
            raise SystemExit(f"--only knows {', '.join(NEMESES)}")
    rng = random.Random(args.seed)
    plan = []
    while len(plan) < args.rounds:
        once = list(known)
        if plan:
            rng.shuffle(once)  # the first pass in the order above: what most often finds a bug
        plan += once
    return plan[:args.rounds]


def run(args, keep):
    net = Network(args.nodes, args.seed)
    flags = ["--sync-mode", "every", "--election-timeout", f"{ELECTION_MS}ms",
             "--protected-mode", "no", *args.flags]
    totals = {"ok": 0, "fail": 0, "unknown": 0}
    gaps = []
    with Cluster(args.nodes, *flags, places=net.places, disk=args.disk,
                 warps=DRIFT_PPM) as cluster:
        cluster.await_leader()
        for number, name in enumerate(planned(args), 1):
            try:
                counts, gap = run_round(number, name, cluster, net, args.seed, keep)
            except Exception as e:
                print(f"round {number}, {name}, seed {args.seed}, history in {keep}: "
                      f"{e}", flush=True)
                print(cluster.describe())
                print(f"{number - 1} passed, 1 failed")
                return 1
            gaps.append(gap)
            for outcome, count in counts.items():
                totals[outcome] += count
    net.close()
    gaps.sort()
    print(f"{args.rounds} rounds on {args.nodes} nodes, seed {args.seed}: "
          f"{totals['ok']} operations acknowledged, {totals['fail']} refused, "
          f"{totals['unknown']} unknown, all histories linearizable, no acknowledged "
          f"write lost; longest gap without a write: median {gaps[len(gaps) // 2]:.2f} s, "
          f"greatest {gaps[-1]:.2f} s")
    print(f"{args.rounds} passed, 0 failed")
    return 0


def planted(keep):
    """0 when the harness finds out a server whose disk only pretends to sync."""
    argv = [sys.executable, __file__, "--nodes", "1", "--rounds", "1", "--only", "kill_leader",
            "--keep", keep, "--disk", "lies"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = done.returncode == 1 and "WRONG" in done.stdout
    print(done.stdout if not found else "a server that loses what it said is synced is found out")
    print(f"{int(found)} passed, {int(not found)} failed")
    return int(not found)


def main():
    parser = argparse.ArgumentParser(description="faults of real processes, judged histories")
    scale = int(os.environ.get("HELIOS_TEST_SCALE", "1"))
    parser.add_argument("--rounds", type=int, default=ROUNDS * scale)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("HELIOS_TEST_SEED", "1")))
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default="", help="where histories go; those of failures stay")
    parser.add_argument("--disk", default="forgets", choices=DISKS,
                        help="what a killed node finds again: all (plain), what it synced, nothing")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("flags", nargs="*", help="more flags of the servers, behind --")
    args = parser.parse_args()
    keep = args.keep or tempfile.mkdtemp(prefix="helios-histories-")
    os.makedirs(keep, exist_ok=True)
    status = planted(keep) if args.planted else run(args, keep)
    if status == 0 and not args.keep:
        shutil.rmtree(keep)
    return status


if __name__ == "__main__":
    sys.exit(main())
