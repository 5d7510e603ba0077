"""Goal: a cluster comes back after what took all of it, or most of it.
Method: real processes on loopback.  Their disk forgets what was not synced when they are killed,
and HELIOS_TEST_BOOT_ID makes a restart look like one of the machine."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import DROPDISK, Cluster  # noqa: E402
from resp_client import Client, Error  # noqa: E402
from server import free_port, program  # noqa: E402

TOOL = os.path.join(os.path.dirname(program()), "helios")
CHANGE_S_MAX = 20
MARK = "HELIOS_TEST_OWN_MOUNTS"

ELECTION = ["--election-timeout", "500ms"]


def ask(node, *words, timeout=10):
    conn = Client(node.port, timeout, node.host)
    try:
        return conn(*words)
    finally:
        conn.close()


def change(cluster, *words):
    """Run a command on the leader until it is taken."""
    until = time.monotonic() + CHANGE_S_MAX
    while True:
        try:
            return ask(cluster.await_leader(), *words)
        except (Error, OSError) as e:
            if time.monotonic() > until:
                raise AssertionError(f"{words}: {e}\n{cluster.describe()}") from None
            time.sleep(0.05)


def mount(folder, mib, *options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={mib}m"]), "tmpfs",
                    folder], check=True)


def boot(nodes, number):
    """The next start of these is one after their machine was booted for the n-th time."""
    for node in nodes:
        node.env["HELIOS_TEST_BOOT_ID"] = f"{number:032x}"


class PowerFailure(unittest.TestCase):
    """Under `interval` a node that was booted may have forgotten what it promised."""

    def cluster(self, count):
        cluster = Cluster(count, *ELECTION, "--sync-mode", "interval", disk="forgets",
                          env={"HELIOS_TEST_BOOT_ID": f"{1:032x}"})
        self.addCleanup(cluster.close)
        return cluster

    def fail_power(self, cluster, number):
        for node in cluster.nodes:
            node.process.kill()
        for node in cluster.nodes:
            node.kill()
        boot(cluster.nodes, number)

    def write(self, cluster):
        """Keys that are synced, and then some that may not be."""
        leader = cluster.await_leader()
        for node in cluster.nodes:
            ask(node, "CONFIG", "SET", "appendfsync", "always")
        for n in range(50):
            ask(leader, "SET", f"kept{n}", n)
        for node in cluster.nodes:
            ask(node, "CONFIG", "SET", "appendfsync", "everysec")
        for n in range(50):
            ask(leader, "SET", f"fresh{n}", n)

    def await_unbarred(self, cluster):
        cluster.await_leader()
        cluster.await_equal()
        for node in cluster.nodes:
            cluster.await_info(node, "votes again", lambda info: info.get("raft_barred") == "0")

    def check_kept(self, cluster):
        for node in cluster.nodes:
            self.assertEqual([ask(node, "GET", f"kept{n}") for n in range(50)],
                             [str(n) for n in range(50)], node.id)

    def test_all_nodes_lose_power_at_once_and_come_back_by_themselves(self):
        cluster = self.cluster(3)
        self.write(cluster)
        for number in (2, 3):
            self.fail_power(cluster, number)
            cluster.start_all()
            self.await_unbarred(cluster)
            self.check_kept(cluster)
            self.assertEqual(ask(cluster.await_leader(), "SET", "k", number), "OK")
        for node in cluster.nodes:
            self.assertIn("was booted since the last run", node.log())

    def test_of_two_voters_one_may_lose_power(self):
        cluster = self.cluster(2)
        self.write(cluster)
        booted = cluster.nodes[1]
        booted.kill()
        boot([booted], 2)
        booted.start()
        self.await_unbarred(cluster)
        self.check_kept(cluster)
        for n in range(50):  # nothing is lost that the other still has
            self.assertEqual(ask(booted, "GET", f"fresh{n}"), str(n))

    def test_a_booted_node_and_one_that_has_less_elect_nobody(self):
        cluster = self.cluster(3)
        leader = cluster.await_leader()
        behind = next(node for node in cluster.nodes if node is not leader)
        booted = next(node for node in cluster.nodes if node not in (leader, behind))
        behind.pause()
        self.write(type("pair", (), {"nodes": [leader, booted], "await_leader": lambda: leader}))
        self.fail_power(cluster, 1)
        boot([booted], 2)
        booted.start()
        behind.start()
        elected = lambda info: info.get("raft_state") == "Leader"  # noqa: E731
        with self.assertRaises(AssertionError):
            cluster.await_info(behind, "leads", elected, seconds=3)
        self.assertFalse(elected(booted.info()))
        leader.start()
        self.await_unbarred(cluster)
        self.check_kept(cluster)


class LostMajority(unittest.TestCase):
    """One node of three is left, and becomes a cluster of its own."""

    def recover(self, node, *more, **how):
        return subprocess.run([TOOL, "recover", "--data-dir", node.dir, *more],
                              capture_output=True, text=True, timeout=60, check=False, **how)

    def lose_majority(self, cluster):
        """Nodes 2 and 3 are gone; the first is left without a quorum."""
        left, *lost = cluster.nodes
        ask(cluster.await_leader(), "SET", "k", "v")
        cluster.await_equal()
        for node in lost:
            node.kill()
        cluster.await_info(left, "misses its leader", lambda info: info.get("raft_leader") == "")
        with self.assertRaises(Error) as refused:
            ask(left, "SET", "k", "w")
        self.assertRegex(str(refused.exception), "^(NOQUORUM|NOLEADER|CLUSTERDOWN)")
        return left, lost

    def refuses_to_recover(self, node, words, *more, **how):
        done = self.recover(node, *more, **how)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(words, done.stderr)

    def test_the_last_node_becomes_a_cluster_of_its_own(self):
        with Cluster(3, *ELECTION) as cluster:
            left, lost = self.lose_majority(cluster)
            cluster.await_info(left, "says what to do", lambda info: "helios recover" in left.log())
            self.refuses_to_recover(left, "a server runs", "--force-new-cluster", "--yes")
            left.kill()
            self.refuses_to_recover(left, "must be asked for", "--yes")
            self.refuses_to_recover(left, "not confirmed", "--force-new-cluster", input="no\n")
            self.refuses_to_recover(left, "not confirmed", "--force-new-cluster", input="")
            done = self.recover(left, "--force-new-cluster", input=left.id + "\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            for words in (lost[0].id, "is no member any more", "new cluster id",
                          f"RAFT.ADD {lost[1].id} {lost[1].raft_address}"):
                self.assertIn(words, done.stdout)
            cluster.nodes = [left]
            left.start()
            self.assertEqual(ask(left, "GET", "k"), "v")
            self.assertEqual(ask(left, "SET", "k", "w"), "OK")
            self.stranger(cluster, left, lost[0])
            for node in (cluster.add(), cluster.add()):
                change(cluster, "RAFT.ADD", node.id, node.raft_address)
            cluster.await_info(left, "has three voters",
                               lambda info: info.get("raft_voters") == "3")
            cluster.await_equal()
            for node in cluster.nodes:
                self.assertEqual(ask(node, "GET", "k"), "w")
            for node in lost:
                node.close()

    def stranger(self, cluster, left, old):
        """One of the lost comes back with its old data: it is told why nobody listens."""
        old.start()
        self.addCleanup(old.close)
        cluster.await_info(left, "refuses the old member",
                           lambda info: "it belongs to another cluster" in left.log())
        cluster.await_info(old, "is told", lambda info: "another cluster" in old.log())
        self.assertEqual(ask(left, "GET", "k"), "w")
        old.kill()

    def test_a_node_that_has_dropped_its_log_can_be_recovered_and_joined(self):
        with Cluster(3, *ELECTION) as cluster:
            left, lost = self.lose_majority(cluster)
            left.kill()
            for node in lost:
                node.close()
            cluster.nodes = [left]
            self.assertEqual(self.recover(left, "--force-new-cluster", "--yes").returncode, 0)
            left.start()
            ask(left, "SAVE")  # the log before it goes: whoever joins is sent the snapshot
            left.kill()
            again = self.recover(left, "--force-new-cluster", "--yes")
            self.assertEqual(again.returncode, 0, again.stderr)
            left.start()
            fresh = cluster.add()
            change(cluster, "RAFT.ADD", fresh.id, fresh.raft_address)
            cluster.await_equal()
            self.assertEqual(ask(fresh, "GET", "k"), "v")

    def test_what_is_not_a_node_is_not_recovered(self):
        with tempfile.TemporaryDirectory(prefix="helios-test-") as empty:
            done = subprocess.run([TOOL, "recover", f"--data-dir={empty}", "--force-new-cluster",
                                   "--yes"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(os.listdir(empty), [])
        done = subprocess.run([TOOL, "recover", "--help"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn("majority", done.stdout)


class Snapshots(unittest.TestCase):
    """A node's own snapshot, and one that another node sends."""

    def test_every_order_is_listed_and_says_what_is_wrong(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            follower = next(node for node in cluster.nodes if node is not leader)
            listed = [line.split()[0] for line in ask(leader, "RAFT.HELP")[::2]]
            for name in ("STATUS", "ADD", "REMOVE", "PROMOTE", "TRANSFER", "SNAPSHOT", "STEPDOWN",
                         "HELP"):
                self.assertIn("RAFT." + name, listed)
            for words, reason in (
                    (("RAFT.ADD", "x", "nowhere"), "host:port"),
                    (("RAFT.ADD", "x", "127.0.0.1:1"), "cannot reach"),
                    (("ADDPEER", "x"), "wrong number of arguments"),
                    (("RAFT.REMOVE", "x"), "no such member"),
                    (("REMOVEPEER", "x"), "no such member"),
                    (("RAFT.PROMOTE", "x"), "no such member"),
                    (("RAFT.TRANSFER", "x"), "no such member"),
                    (("RAFT.SNAPSHOT", "x"), "wrong number of arguments"),
                    (("RAFT.STEPDOWN", "x"), "wrong number of arguments")):
                with self.assertRaises(Error, msg=words) as refused:
                    ask(leader, *words)
                self.assertIn(reason, str(refused.exception), words)
            for words in (("RAFT.ADD", "x", "h:1"), ("RAFT.STEPDOWN",),
                          ("RAFT.REMOVE", leader.id)):
                with self.assertRaises(Error, msg=words) as refused:
                    ask(follower, *words)
                self.assertIn(f"NOTLEADER {leader.id}", str(refused.exception))
            self.assertIn(follower.raft_address, ask(follower, "LISTPEERS"))
            self.assertEqual(ask(leader, "RAFT.STEPDOWN"), "OK")

    def test_a_snapshot_is_made_when_asked_for_and_says_where(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            follower = next(node for node in cluster.nodes if node is not leader)
            for n in range(100):
                ask(leader, "SET", f"k{n}", n)
            cluster.await_equal()
            for node in (leader, follower):
                said = ask(node, "RAFT.SNAPSHOT")
                said = dict(zip(said[::2], said[1::2]))
                info = node.info()
                self.assertEqual(str(said["index"]), info["raft_snapshot_index"])
                self.assertEqual(str(said["term"]), info["raft_snapshot_term"])
                self.assertGreaterEqual(said["index"], 100)
                again = ask(node, "RAFT.SNAPSHOT")  # the same, unless an entry came in between
                self.assertGreaterEqual(again[1], said["index"])
            for node in cluster.nodes:
                if node is not leader:
                    node.kill()
            conn = Client(leader.port, 30)
            self.addCleanup(conn.close)
            conn.send("SET", "uncommitted", 1)
            cluster.await_info(leader, "has what nobody else has", lambda info: int(
                info["raft_last_log_index"]) > int(info["raft_commit_index"]))
            with self.assertRaises(Error) as refused:
                ask(leader, "RAFT.SNAPSHOT", timeout=30)
            self.assertIn("NOQUORUM", str(refused.exception))

    def lag(self, cluster, node, count, size):
        """Let a node miss so much that the others have dropped it from their logs."""
        leader = cluster.await_leader()
        if leader is node:
            ask(leader, "RAFT.TRANSFER")
            leader = cluster.await_leader()
        node.kill()
        conn = Client(leader.port, 60)
        self.addCleanup(conn.close)
        for n in range(count):
            conn("SET", f"big{n}", os.urandom(size // 2).hex())
        for other in cluster.nodes:
            if other is not node:
                ask(other, "RAFT.SNAPSHOT", timeout=60)
        return leader

    def test_a_slow_disk_does_not_stop_a_node_that_receives_a_snapshot(self):
        with Cluster(3, *ELECTION, "--log-segment-size", "1mb") as cluster:
            slow = cluster.nodes[0]
            leader = self.lag(cluster, slow, 400, 100000)
            slow.env.update(LD_PRELOAD=DROPDISK, DISKSLOW_US="500000")
            slow.start()
            cluster.await_info(slow, "is sent a snapshot",
                               lambda info: "receiving the snapshot" in slow.log())
            # 40 MB are five syncs of half a second, whoever waits for them.
            conn, longest = Client(slow.port, 60), 0.0
            self.addCleanup(conn.close)
            until = time.monotonic() + 1.8
            while time.monotonic() < until:
                begin = time.monotonic()
                conn("PING")
                longest = max(longest, time.monotonic() - begin)
                time.sleep(0.005)
            self.assertNotIn("is installed", slow.log())
            self.assertLess(longest, 0.3, "the loop waited for the disk")
            print(f"     longest PING beside syncs of 500 ms: {longest * 1000:.0f} ms")
            cluster.await_info(slow, "has installed it",
                               lambda info: "is installed" in slow.log())
            cluster.await_equal(60)
            self.assertEqual(ask(slow, "GET", "big399"), ask(leader, "GET", "big399"))

    def test_a_snapshot_that_does_not_fit_is_refused_until_it_does(self):
        with Cluster(3, *ELECTION, "--log-segment-size", "1mb") as cluster:
            small = cluster.nodes[0]
            cluster.await_leader()
            ask(cluster.await_leader(), "SET", "before", 1)
            cluster.await_equal()
            ask(small, "RAFT.SNAPSHOT")
            leader = self.lag(cluster, small, 300, 100000)
            kept = small.dir + ".kept"
            os.rename(small.dir, kept)
            self.addCleanup(shutil.rmtree, kept, True)
            os.mkdir(small.dir)
            mount(small.dir, 8)
            self.addCleanup(subprocess.run, ["umount", "-l", small.dir], check=False)
            for name in os.listdir(kept):
                shutil.copy(os.path.join(kept, name), small.dir)
            small.start()
            cluster.await_info(small, "refuses it again and again",
                               lambda info: int(info.get("raft_snapshots_refused", 0)) >= 2)
            self.assertIn("No space", small.info()["raft_snapshot_trouble"])
            self.assertEqual(small.log().count("is refused"), 1, "it says so once")
            conn = Client(small.port, 10)
            self.addCleanup(conn.close)
            conn("CLIENT", "CONSISTENCY", "stale")
            self.assertEqual(conn("GET", "before"), "1")
            mount(small.dir, 200, "remount")
            cluster.await_equal(60)
            self.assertEqual(ask(small, "GET", "big299"), ask(leader, "GET", "big299"))
            self.assertEqual(small.info()["raft_snapshot_trouble"], "")


class LongLog(unittest.TestCase):
    """After a restart nobody knows what is committed: who is elected applies all of its log."""

    ENTRIES = int(os.environ.get("HELIOS_TEST_ENTRIES", "200000"))

    def fill(self, leader):
        conn = Client(leader.port, 60)
        self.addCleanup(conn.close)
        for at in range(0, self.ENTRIES, 5000):
            for n in range(at, at + 5000):
                conn.send("SET", f"k{n % 1000}", n)
            for n in range(5000):
                self.assertEqual(conn.read(), "OK")

    def test_a_new_leader_with_a_long_log_stays_awake(self):
        with Cluster(3, *ELECTION, "--sync-mode", "interval") as cluster:
            self.fill(cluster.await_leader())
            cluster.await_equal()
            for node in cluster.nodes:
                node.kill()
            for node in cluster.nodes:
                node.spawn()
            # The one that says that it applies entries before it leads; it answers meanwhile.
            longest, until, leader = 0.0, time.monotonic() + 60, None
            conns = {}
            while leader is None:
                self.assertLess(time.monotonic(), until, cluster.describe())
                for node in cluster.nodes:
                    try:
                        conn = conns.get(node.id) or Client(node.port, 10)
                    except OSError:
                        continue
                    conns[node.id] = conn
                    begin = time.monotonic()
                    conn("PING")
                    took = time.monotonic() - begin
                    log = node.log()
                    longest = max(longest, took if "before leading" in log else 0)
                    if log.rfind("leading in term") > log.rfind("before leading") >= 0:
                        leader = node
            for conn in conns.values():
                conn.close()
            self.assertLess(longest, 0.25)
            print(f"     longest PING while {self.ENTRIES} entries are applied: "
                  f"{longest * 1000:.0f} ms")
            self.assertEqual(sum("elected in term" in node.log() for node in cluster.nodes), 1,
                             "heartbeats went on: there is one election")
            self.assertEqual(ask(leader, "GET", "k999"), str(self.ENTRIES - 1))
            self.assertEqual(ask(leader, "SET", "k", "v"), "OK")


class Members(unittest.TestCase):
    """What members are told of one another after a change."""

    def test_a_removed_node_learns_it_and_never_starts_again(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            away, present = (node for node in cluster.nodes if node is not leader)
            away.kill()
            change(cluster, "RAFT.REMOVE", away.id)
            away.start()
            cluster.await_info(away, "learns that it was removed",
                               lambda info: info.get("raft_state") == "Removed")
            self.assertIn("was removed from its cluster", away.log())
            self.assertEqual(away.stop(), 0)
            away.spawn()
            self.assertEqual(away.process.wait(20), 1)
            self.assertIn("empty the directory and start it with --join", away.log())
            cluster.nodes.remove(away)
            change(cluster, "RAFT.REMOVE", leader.id)  # from two to one, and the leader goes
            cluster.nodes.remove(leader)
            cluster.await_info(leader, "learns that it was removed",
                               lambda info: info.get("raft_state") == "Removed")
            self.assertEqual(ask(present, "SET", "k", "v"), "OK")
            leader.close()
            away.wipe()
            away.how, away.peers = ["--join"], ""
            away.start()
            cluster.nodes.append(away)
            change(cluster, "RAFT.ADD", away.id, away.raft_address)
            cluster.await_equal()
            self.assertEqual(ask(away, "GET", "k"), "v")

    def test_a_node_with_data_of_this_cluster_is_not_added_again(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            gone = next(node for node in cluster.nodes if node is not leader)
            gone.pause()
            change(type("rest", (), {"await_leader": lambda: leader}), "RAFT.REMOVE", gone.id)
            gone.resume()
            with self.assertRaises(Error) as refused:
                ask(leader, "RAFT.ADD", gone.id, gone.raft_address)
            self.assertIn("empty its directory", str(refused.exception))

    def test_a_node_that_moved_is_found_by_clients_and_members(self):
        with Cluster(3, *ELECTION, "--follower-writes", "redirect") as cluster:
            leader = cluster.await_leader()
            moved = next(node for node in cluster.nodes if node is not leader)
            moved.kill()
            moved.port, moved.raft_port = free_port(), free_port()
            moved.start()
            cluster.await_caught_up(moved)
            for node in cluster.nodes:
                cluster.await_info(node, "knows the new address", lambda info: node is moved or any(
                    f"addr={moved.raft_address}," in value for name, value in info.items()
                    if name.startswith("raft_peer")))
            self.assertEqual(ask(leader, "RAFT.TRANSFER", moved.id), "OK")
            self.assertIs(cluster.await_leader(), moved)
            other = next(node for node in cluster.nodes if node is not moved)
            with self.assertRaises(Error) as sent:
                ask(other, "SET", "k", "v")
            self.assertTrue(str(sent.exception).endswith(f"127.0.0.1:{moved.port}"),
                            str(sent.exception))


class Damage(unittest.TestCase):
    """A sector of a member's log changes by itself while the member is down."""

    def test_a_member_fetches_again_what_it_cannot_read(self):
        with Cluster(3, *ELECTION) as cluster:
            leader = cluster.await_leader()
            for i in range(100):
                ask(leader, "SET", f"k{i}", i)
            member = next(node for node in cluster.nodes if node is not leader)
            cluster.await_caught_up(member)
            member.kill()
            with open(os.path.join(member.dir, f"{1:020}.wal"), "r+b") as log:
                log.seek(5000)
                byte = log.read(1)[0]
                log.seek(5000)
                log.write(bytes([byte ^ 0x40]))
            member.start()
            cluster.await_caught_up(member)
            cluster.await_info(member, "votes as before",
                               lambda info: info["raft_barred"] == "0")
            self.assertEqual(ask(member, "DBSIZE"), 100)
            self.assertIn("are fetched from the cluster", member.log())


if __name__ == "__main__":
    if MARK not in os.environ:  # small disks are mounted where nobody else sees them
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--mount", *user, sys.executable, *sys.argv])
    unittest.main()
