"""A network of a test's own: a namespace for itself, one for each of its hosts, and a switch.

    net = Network(3, seed=1)         # this process now lives in a namespace of that network
    net.hosts[0].address             # "10.77.0.1"
    net.hosts[0].within              # words before a command that shall run on that host
    net.cut(0, 1)                    # what host 0 sends does not reach host 1
    net.split({0})                   # nor the other way round, nor any other host
    net.lose(0.2); net.delay(20, 30) # between all hosts: share of frames, milliseconds and spread
    net.heal()

Nothing touches the machine's own network, and nothing stays when the process ends, however it ends:
the namespaces have no names, and live as long as the processes in them.  The test itself reaches
every host all the time; only hosts lose each other.  Needs root and iproute2; netswitch.c moves the
frames.
"""
import ctypes
import os
import subprocess
import threading

from server import ROOT, die_with_parent

CLONE_NEWNET = 0x40000000
HOSTS_MAX = 15
END_S_MAX = 10
BUILD = os.environ.get("HELIOS_BUILD") or os.path.join(ROOT, "build")
SWITCH = os.path.join(BUILD, "tests/support/netswitch")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def enter_new_network():
    """Move this process, which must have one thread still, into a namespace with only loopback."""
    assert threading.active_count() == 1, "threads that run already would stay outside"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace needs root")
    ip("link", "set", "lo", "up")


class Helper:
    """A process that talks by lines and ends with its standard input, which is ours."""

    def __init__(self, *argv, hello):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=die_with_parent)
        if self.process.stdout.readline() != hello + "\n":
            raise RuntimeError(f"{argv[0]} does not start")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer != "ok\n":
            raise RuntimeError(f"{line!r} is answered {answer!r}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(END_S_MAX)
        self.process.stdout.close()


class Host:
    """A namespace that lives as long as the process that holds it."""

    def __init__(self, number, subnet):
        self.address = f"{subnet}.{number + 1}"
        self.holder = Helper("unshare", "-n", "sh", "-c", "echo in; cat", hello="in")
        self.pid = str(self.holder.process.pid)
        self.within = ["nsenter", "-t", self.pid, "-n"]

    def connect(self):
        for words in (("link", "set", "lo", "up"),
                      ("addr", "add", f"{self.address}/24", "dev", "net0"),
                      ("link", "set", "net0", "up")):
            subprocess.run([*self.within, "ip", *words], check=True)


class Network:
    def __init__(self, count, seed=1, subnet="10.77.0"):
        assert count <= HOSTS_MAX
        enter_new_network()
        self.hosts = [Host(n, subnet) for n in range(count)]
        self.switch = Helper(SWITCH, str(seed), *[host.pid for host in self.hosts], hello="ready")
        ip("addr", "add", f"{subnet}.254/24", "dev", "net0")
        ip("link", "set", "net0", "up")
        for host in self.hosts:
            host.connect()

    @property
    def places(self):
        """For Cluster(places=...)."""
        return [(host.address, host.within) for host in self.hosts]

    def pairs(self):
        count = len(self.hosts)
        return [(a, b) for a in range(count) for b in range(count) if a != b]

    def cut(self, sender, receiver):
        self.switch.ask(f"cut {sender} {receiver}")

    def split(self, some):
        """Cut those in `some` off from all others, both ways."""
        for a, b in self.pairs():
            if (a in some) != (b in some):
                self.cut(a, b)

    def lose(self, share):
        for a, b in self.pairs():
            self.switch.ask(f"loss {a} {b} {int(share * 1e6)}")

    def repeat(self, share):
        for a, b in self.pairs():
            self.switch.ask(f"twice {a} {b} {int(share * 1e6)}")

    def delay(self, least_ms, spread_ms=0):
        for a, b in self.pairs():
            self.switch.ask(f"delay {a} {b} {int(least_ms * 1000)} {int(spread_ms * 1000)}")

    def heal(self):
        self.switch.ask("heal")

    def close(self):
        self.switch.close()
        for host in self.hosts:
            host.holder.close()
