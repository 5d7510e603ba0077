"""A network of a test's own: a namespace for itself, one for each of its hosts, all on a bridge.

    net = Network(3)                 # this process now lives in a namespace with that bridge
    net.hosts[0].address             # "10.77.0.1"
    net.hosts[0].within              # words before a command that shall run on that host
    net.cut(0, 1)                    # what host 0 sends does not reach host 1
    net.lose(0.2)                    # every packet between hosts is lost with that probability
    net.heal()

Nothing touches the machine's own network, and nothing stays when the process ends, however it ends:
the namespaces have no names, and live as long as the processes in them.  The test itself reaches
every host all the time; only hosts lose each other.  Needs root, iproute2 and iptables.
"""
import ctypes
import os
import subprocess
import threading

from server import die_with_parent

CLONE_NEWNET = 0x40000000
HOSTS_MAX = 200
ENTRY_S_MAX = 10


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def enter_new_network():
    """Move this process, which must have one thread still, into a namespace with only loopback."""
    assert threading.active_count() == 1, "threads that run already would stay outside"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace needs root")
    ip("link", "set", "lo", "up")


class Host:
    """A namespace that lives as long as the process that holds it."""

    def __init__(self, number):
        self.address = f"10.77.0.{number + 1}"
        # It says when it is in its namespace, and ends with its standard input, which is ours.
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo in; cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       preexec_fn=die_with_parent)
        if self.holder.stdout.readline() != "in\n":
            raise RuntimeError("a namespace for a host could not be made")
        self.within = ["nsenter", "-t", str(self.holder.pid), "-n"]
        inside, outside = f"in{number}", f"out{number}"
        ip("link", "add", outside, "type", "veth", "peer", "name", inside)
        ip("link", "set", inside, "netns", str(self.holder.pid))
        ip("link", "set", outside, "master", "bridge", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", inside)
        self.run("ip", "link", "set", inside, "up")

    def run(self, *words):
        subprocess.run([*self.within, *words], check=True)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(ENTRY_S_MAX)
        self.holder.stdout.close()


class Network:
    def __init__(self, count):
        assert count <= HOSTS_MAX
        enter_new_network()
        ip("link", "add", "bridge", "type", "bridge")
        ip("addr", "add", "10.77.0.254/24", "dev", "bridge")
        ip("link", "set", "bridge", "up")
        self.hosts = [Host(n) for n in range(count)]
        self.hurt = False

    @property
    def places(self):
        """For Cluster(places=...)."""
        return [(host.address, host.within) for host in self.hosts]

    def rule(self, sender, receiver, *how):
        self.hurt = True
        self.hosts[receiver].run("iptables", "-w", "-A", "INPUT", "-s",
                                 self.hosts[sender].address, *how, "-j", "DROP")

    def cut(self, sender, receiver):
        self.rule(sender, receiver)

    def split(self, some):
        """Cut those in `some` off from all others, both ways."""
        for a in range(len(self.hosts)):
            for b in range(len(self.hosts)):
                if a != b and (a in some) != (b in some):
                    self.cut(a, b)

    def lose(self, share):
        for a in range(len(self.hosts)):
            for b in range(len(self.hosts)):
                if a != b:
                    self.rule(a, b, "-m", "statistic", "--mode", "random", "--probability",
                              str(share))

    def heal(self):
        if self.hurt:
            for host in self.hosts:
                host.run("iptables", "-w", "-F", "INPUT")
        self.hurt = False

    def close(self):
        for host in self.hosts:
            host.close()
