"""A real server process for a Python test, as server.h is for a C one.

The program is $HELIOS_SERVER or bin/helios-atlasd; redis-server works too, to prove a test itself.
"""
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_S_MAX = 30
STOP_S_MAX = 20
WAIT_S_MAX = 20  # for anything that a test waits for
STEP_S = 0.005
PR_SET_PDEATHSIG = 1


def program():
    return os.environ.get("HELIOS_SERVER") or os.path.join(ROOT, "bin/helios-atlasd")


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers_ping(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=5) as s:
            s.sendall(b"PING\r\n")
            return s.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def wait_ready(port, process, what, host="127.0.0.1"):
    """Until PING is answered on `port`; raises when the process ends or time is up."""
    until = time.monotonic() + READY_S_MAX
    while not answers_ping(port, host):
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode}")
        if time.monotonic() > until:
            raise RuntimeError(f"{what} does not answer PING")
        time.sleep(STEP_S)  # a step of a bounded wait, not a wait for a time


def lacks(port, *commands):
    """Those of `commands` that the server does not have."""
    found = []
    for command in commands:
        request = ["COMMAND", "INFO", command]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode())
                                         for w in request))
            reply = b""
            while reply.count(b"\n") < 2:
                reply += s.recv(4096)
            if reply.split(b"\r\n")[1] in (b"*-1", b"$-1"):
                found.append(command)
    return found


def needs(*commands):
    """Skip a test method, and say so, while the server has not all `commands`."""
    def decorate(method):
        @functools.wraps(method)
        def run(self):
            missing = lacks(self.server.port, *commands)
            if missing:
                self.skipTest(f"the server has no {' '.join(missing)}")
            method(self)
        return run
    return decorate


class Server:
    """Started on construction; a context manager that ends it and removes its directory."""

    host = "127.0.0.1"

    def __init__(self, *flags, path=None, env=None):
        self.prepare(flags, path, env)
        try:
            self.start()
        except Exception:
            self.close()
            raise

    def prepare(self, flags, path, env):
        """All that a process needs, without starting it."""
        self.path = path or program()
        self.flags = list(flags)
        if "redis-server" in self.path:
            self.flags += ["--save", ""]
        self.env = {**os.environ, **(env or {})}
        self.dir = tempfile.mkdtemp(prefix="helios-test-")
        self.log_path = self.dir + ".log"
        self.port = free_port()
        self.process = None

    def argv(self):
        return [self.path, "--port", str(self.port), "--dir", self.dir, *self.flags]

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv(), cwd=self.dir, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.env,
                                            preexec_fn=die_with_parent)

    def await_ready(self):
        try:
            wait_ready(self.port, self.process, self.path, self.host)
        except RuntimeError as e:
            raise RuntimeError(f"{e}\n{self.log()[-4000:]}") from None

    def start(self):
        self.spawn()
        self.await_ready()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(STOP_S_MAX)

    def restart(self):
        self.kill()
        self.start()

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def files_of(server):
    """The paths of all files in a server's directory."""
    for folder, _, names in os.walk(server.dir):
        for name in names:
            yield os.path.join(folder, name)


def damage(server, text, bytes_):
    """Overwrite the middle of the first place where `text` stands in each file of a server; returns
    in how many."""
    found = 0
    for path in files_of(server):
        with open(path, "r+b") as f:
            at = f.read().find(text)
            if at >= 0:
                f.seek(at + len(text) // 2)
                f.write(bytes_)
                found += 1
    return found


def wait_for(condition, seconds=WAIT_S_MAX, what="it"):
    """The first true value of `condition`; fails when none comes in time."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come in {seconds} s")
        time.sleep(STEP_S)


class Processes:
    """Servers started by a command line as it stands, in a directory of their own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="helios-test-")
        self.running = []

    def start(self, name, argv, env=None):
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        self.running.append(subprocess.Popen(
            argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, **(env or {})}, preexec_fn=die_with_parent))
        log.close()
        return self.running[-1]

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.dir)):
            if name.endswith(".log"):
                with open(os.path.join(self.dir, name), errors="replace") as f:
                    text += f"--- {name}\n{f.read()[-3000:]}\n"
        return text

    def close(self):
        for process in self.running:
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
