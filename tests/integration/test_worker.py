#!/usr/bin/env python3
"""Goal: helios-worker does each job as its flags say and tells the server the truth about it,
whatever dies meanwhile: the handler, the worker, the server, the leader of a cluster.
Method: the program over real servers; handlers are shell lines and a small HTTP server of the test.

Usage: test_worker.py [SERVER MODULES_DIR [TEST ...]]
"""
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from cluster import Cluster  # noqa: E402
from resp_client import Client, Server, ask_any, free_port, on_server, run_tests  # noqa: E402
from server import wait_for  # noqa: E402
from test_tls import Certificates  # noqa: E402

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
WORKER = os.path.join(os.environ["HELIOS_BUILD"], "bin/helios-worker")
JOBS = os.path.join(MODULES, "jobs.so")
WAIT_S_MAX = 20


class Worker:
    """The program; a context manager that ends it."""

    def __init__(self, ports, *flags, env=None):
        self.dir = tempfile.mkdtemp(prefix="helios-worker-")
        self.log_path = os.path.join(self.dir, "log")
        servers = ",".join(f"127.0.0.1:{p}" for p in ports)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [WORKER, "--server", servers, "--poll-interval", "1s", *flags], cwd=self.dir,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})})

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def lines(self, message=None):
        found = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in found if message in (None, line["message"])]

    def says(self, message):
        return wait_for(lambda: self.lines(message), WAIT_S_MAX, f"'{message}'")

    def wait(self, seconds=WAIT_S_MAX):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker does not end\n{self.log()}") from None

    def tell(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.log()[-3000:])
        subprocess.run(["rm", "-rf", self.dir], check=True)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2])) if flat else {}


def push(c, payload="x", *words, queue="default"):
    return c("JOB.PUSH", queue, payload, *words)[0]


def job(c, name):
    return pairs(c("JOB.GET", name))


def ends_as(c, name, status, seconds=WAIT_S_MAX):
    """The job, once it has that status."""
    wait_for(lambda: job(c, name).get("status") == status, seconds,
             f"{status} of {name}")
    return job(c, name)


def runs(pid):
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# --- a command per job --------------------------------------------------------------------------

def test_a_command_gets_the_payload_and_its_output_is_the_result(s):
    c = s.client()
    payload = "$(touch pwned); `touch pwned`; ' \" \\ && \n" + "x" * 200000
    name = push(c, payload)
    with Worker([s.port], "--exec", "wc -c; echo $JOB_ID $JOB_QUEUE $JOB_ATTEMPT $WORKER_ID;"
                " test -n \"$JOB_TOKEN$JOB_FENCE$JOB_DEADLINE\" && echo $HELIOS_PASSWORD",
                "--worker-id", "w7", env={"HELIOS_PASSWORD": ""}) as w:
        done = ends_as(c, name, "done")
        assert done["result"].split() == [str(len(payload)), name, "default", "1", "w7"], done
        assert not os.path.exists(w.path("pwned"))


def test_an_exit_status_decides_what_becomes_of_the_job(s):
    c = s.client()
    push_as = {n: push(c, str(n), "BACKOFF", "fixed", "100000", "100000", "0") for n in (0, 65, 3)}
    dead = push(c, "9", "MAXTRY", "1")
    killed = push(c, "kill", "MAXTRY", "1")
    line = ("read n; echo out; echo problem $n >&2; case $n in kill) kill -9 $$;; esac; exit $n")
    with Worker([s.port], "--exec", line):
        assert ends_as(c, push_as[0], "done")["result"] == "out\n"
        assert ends_as(c, push_as[65], "failed")["error"] == "problem 65\n"
        assert ends_as(c, push_as[3], "scheduled")["error"] == "problem 3\n"
        assert ends_as(c, dead, "dead")["error"] == "problem 9\n"
        assert ends_as(c, killed, "dead")["error"] == "problem kill\n"


def test_output_without_end_is_cut_and_costs_no_memory(s):
    c = s.client()
    name = push(c)
    failing = push(c, "fail", "MAXTRY", "1", queue="errors")
    with Worker([s.port], "--queue", "default,errors", "--result-max", "10kb", "--exec",
                "head -c 200000000 /dev/zero | tr '\\0' a;"
                " test $JOB_QUEUE = default || { head -c 50000000 /dev/zero | tr '\\0' b >&2;"
                " echo the end >&2; exit 1; }") as w:
        assert ends_as(c, name, "done", 60)["result"] == "a" * 10240
        error = ends_as(c, failing, "dead", 60)["error"]
        assert error.endswith("bbb" + "the end\n") and len(error) == 4096, (len(error), error[-20:])
        with open(f"/proc/{w.process.pid}/status") as f:
            high = [line for line in f if line.startswith("VmHWM")][0]
        assert int(high.split()[1]) < 100000, high
        assert w.lines("result cut")


def test_children_end_with_their_job(s):
    c = s.client()
    name = push(c)
    with Worker([s.port], "--exec", "sleep 1000 & echo $! > child; echo ok") as w:
        started = time.monotonic()
        assert ends_as(c, name, "done")["result"] == "ok\n"
        assert time.monotonic() - started < 10, "it waited for a child that holds the pipe"
        child = int(w.read("child"))
        wait_for(lambda: not runs(child), WAIT_S_MAX, "the end of the child")


def test_a_hung_command_is_stopped_with_all_its_children(s):
    c = s.client()
    name = push(c, "x", "MAXTRY", "1")
    with Worker([s.port], "--job-timeout", "300ms", "--kill-after", "200ms", "--exec",
                "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $! > child;"
                " while :; do sleep 1; done") as w:
        assert "took longer than 300 ms" in ends_as(c, name, "dead")["error"]
        wait_for(lambda: not runs(int(w.read("child"))), WAIT_S_MAX, "the end of the child")


def test_a_polite_command_may_end_by_itself_when_its_time_is_up(s):
    c = s.client()
    name = push(c, "x", "MAXTRY", "1")
    with Worker([s.port], "--job-timeout", "300ms", "--kill-after", "20s", "--exec",
                "trap 'echo half; exit 0' TERM; while :; do sleep 0.05; done"):
        assert ends_as(c, name, "done")["result"] == "half\n"


def test_jobs_run_side_by_side_up_to_the_concurrency(s):
    c = s.client()
    names = [push(c, str(n)) for n in range(8)]
    # Each waits until four are there at once; a fifth would see five.
    line = ("mkdir -p here; touch here/$JOB_FENCE; n=0;"
            " while [ $(ls here | wc -l) -lt 4 ] && [ $n -lt 500 ];"
            " do sleep 0.02; n=$((n+1)); done;"
            " ls here | wc -l; sleep 0.3; rm here/$JOB_FENCE")
    with Worker([s.port], "--concurrency", "4", "--exec", line):
        seen = [int(ends_as(c, name, "done", 40)["result"]) for name in names]
    assert max(seen) == 4 and seen.count(4) >= 4, seen


def test_a_lease_is_extended_as_long_as_the_command_runs(s):
    c = s.client()
    name = push(c, "x", "VIS", "1")
    with Worker([s.port], "--exec", "sleep 3.5; echo $JOB_ATTEMPT") as w:
        assert ends_as(c, name, "done")["result"] == "1\n"
        assert not w.lines("lease lost")


def test_a_lost_lease_stops_the_command_and_nothing_is_acknowledged(s):
    c = s.client()
    name = push(c, "x", "VIS", "1")
    with Worker([s.port], "--exec", "echo $$ > pid; sleep 1000; echo wrong") as w:
        pid = int(wait_for(lambda: w.read("pid").strip(), WAIT_S_MAX, "the job's begin"))
        assert c("JOB.CANCEL", name) == 1
        w.says("lease lost")
        wait_for(lambda: not runs(pid), WAIT_S_MAX, "the end of the command")
        assert job(c, name)["status"] == "cancelled"
        assert ends_as(c, push(c), "leased")["attempts"] == 1, "the slot is free again"


def test_a_command_may_acknowledge_its_own_job(s):
    c = s.client()
    name = push(c)
    line = f"redis-cli -p {s.port} JOB.ACK $JOB_ID $JOB_TOKEN own"
    with Worker([s.port], "--once", "--exec", line) as w:
        assert w.wait() == 0, w.log()
        assert job(c, name)["result"] == "own"
        assert not w.lines("lease lost")


# --- an HTTP call per job -----------------------------------------------------------------------

class Web(http.server.BaseHTTPRequestHandler):
    """Answers what the payload asks for: "status[ header value]"; notes what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append((self.path, dict(self.headers), body))
        status, *header = body.split()
        if status == "hang":
            self.server.hung.wait(WAIT_S_MAX)
            return
        text = b"z" * 3000000 if status == "299" else b"answer to " + body.encode()
        self.send_response(int(status))
        if header:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except ConnectionError:
            pass

    def log_message(self, *_):
        pass


class Site:
    """A small web server on a thread."""

    def __init__(self, certs=None):
        self.certs = certs  # to speak TLS

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
        if self.certs:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certs("server.crt"), self.certs("server.key"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.server.seen, self.server.hung = [], threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http{'s' if self.certs else ''}://127.0.0.1:{self.server.server_port}/hook"
        return self

    def __exit__(self, *_):
        self.server.hung.set()
        self.server.shutdown()
        self.server.server_close()


def test_an_http_status_decides_what_becomes_of_the_job(s):
    c = s.client()
    slow = ("BACKOFF", "fixed", "100000", "100000", "0")
    names = {text: push(c, text, *slow) for text in
             ("200", "204", "404", "500", "301 Location /other", "429 Retry-After 7",
              "503 Retry-After 9", "299")}
    with Site() as site, Worker([s.port], "--http", site.url, "--http-header", "X-Key: k1",
                                "--concurrency", "3"):
        assert ends_as(c, names["200"], "done")["result"] == "answer to 200"
        ends_as(c, names["204"], "done")
        assert ends_as(c, names["299"], "done")["result"] == "z" * 65536
        assert ends_as(c, names["404"], "failed")["error"] == "answer to 404"
        assert ends_as(c, names["500"], "scheduled")["error"] == "answer to 500"
        ends_as(c, names["301 Location /other"], "scheduled")
        for text, wanted in (("429 Retry-After 7", 7), ("503 Retry-After 9", 9)):
            found = ends_as(c, names[text], "scheduled")
            left = int(found["due_at"]) - int(c("TIME")[0]) * 1000
            assert (wanted - 6) * 1000 < left <= (wanted + 1) * 1000, (text, left, found)
        seen = {body: (path, headers) for path, headers, body in site.server.seen}
        path, headers = seen["200"]
        assert path == "/hook" and headers["X-Key"] == "k1"
        assert headers["Job-Id"] == names["200"] == headers["Idempotency-Key"]
        assert headers["Job-Queue"] == "default" and headers["Job-Attempt"] == "1"
        assert headers["Content-Type"] == "application/json"
        assert len(site.server.seen) == len(names), "a redirect was followed"


def test_a_web_server_that_hangs_or_is_not_there_costs_an_attempt(s):
    c = s.client()
    with Site() as site:
        name = push(c, "hang", "MAXTRY", "1")
        with Worker([s.port], "--http", site.url, "--job-timeout", "300ms"):
            assert "took longer" in ends_as(c, name, "dead")["error"]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        name = push(c, "200", "MAXTRY", "1")
        with Worker([s.port], "--http", f"http://127.0.0.1:{nobody.getsockname()[1]}/"):
            assert "no answer" in ends_as(c, name, "dead")["error"]


def test_an_address_must_show_the_right_certificate(s):
    c = s.client()
    with tempfile.TemporaryDirectory() as folder:
        certs = Certificates(folder)
        with Site(certs) as site:
            for flags, status in (((), "dead"), (("--http-cacert", certs("other-ca.crt")), "dead"),
                                  (("--http-cacert", certs("ca.crt")), "done")):
                name = push(c, "200", "MAXTRY", "1")
                with Worker([s.port], "--http", site.url, *flags):
                    found = ends_as(c, name, status)
                    assert status == "done" or "certificate" in found["error"], found


# --- queues, ends and refusals ------------------------------------------------------------------

def test_queues_are_served_in_the_order_they_are_named(s):
    c = s.client()
    for n in range(3):
        push(c, f"low{n}", queue="low")
        push(c, f"high{n}", queue="high")
    with Worker([s.port], "--queue", "high,low", "--drain", "--exec", "cat >> order; echo >> order"
                ) as w:
        assert w.wait() == 0, w.log()
        assert w.read("order").split() == ["high0", "high1", "high2", "low0", "low1", "low2"]


def test_weighted_queues_all_get_their_turn(s):
    c = s.client()
    for n in range(60):
        push(c, "a", queue="a")
        push(c, "b", queue="b")
    with Worker([s.port], "--queue", "a=5,b=1", "--drain", "--exec", "cat >> order") as w:
        assert w.wait(60) == 0, w.log()
        order = w.read("order")
        assert len(order) == 120 and "b" in order[:60], order
        assert order[:60].count("a") > order[:60].count("b"), order


def test_once_ends_after_one_job(s):
    c = s.client()
    names = [push(c, str(n)) for n in range(2)]
    with Worker([s.port], "--once", "--concurrency", "4", "--exec", "true") as w:
        assert w.wait() == 0, w.log()
    assert [job(c, n)["status"] for n in names] == ["done", "ready"]


def test_without_a_handler_jobs_are_only_watched(s):
    c = s.client()
    name = push(c)
    with Worker([s.port], "--poll-interval", "50ms", "--log-level", "verbose") as w:
        wait_for(lambda: "ready 1" in w.log(), WAIT_S_MAX, "a look at the queue")
        assert job(c, name)["status"] == "ready"
        w.tell()
        assert w.wait() == 0


def test_log_lines_are_json_with_the_five_fields(s):
    c = s.client()
    push(c)
    with Worker([s.port], "--once", "--exec", "true") as w:
        assert w.wait() == 0
        lines = w.log().splitlines()
        assert len(lines) >= 4, lines
        for line in lines:
            fields = json.loads(line)
            assert set(fields) <= {"timestamp", "level", "component", "message", "extra"}, fields
            assert {"timestamp", "level", "component", "message"} <= set(fields), fields
        assert w.lines("job done")[0]["extra"]["attempt"] == "1"
        assert w.lines("ended")[0]["extra"]["done"] == "1"


def test_wrong_use_is_told_and_help_helps(s):
    del s
    for flags, status, part in ((["--help"], 0, "--exec COMMAND"),
                                (["-version"], 0, "helios-worker"),
                                (["--exec"], 2, "needs a value"), (["--frob"], 2, "frob"),
                                (["--exec", "a", "--http", "http://h/"], 2, "exclude")):
        done = subprocess.run([WORKER, *flags], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=WAIT_S_MAX)
        assert done.returncode == status and part in done.stdout, (flags, done)


def test_a_server_that_refuses_ends_the_worker(s):
    c = s.client()
    c("ACL SETUSER ada on >secret ~* +job.pull +job.ack +client +auth +time")
    c("ACL SETUSER bob on >secret ~* -@all +client +auth +time")
    name = push(c)
    for user, password, status, part in (("ada", "wrong", 3, "WRONGPASS"),
                                         ("bob", "secret", 3, "NOPERM"), ("ada", "secret", 0, "")):
        with Worker([s.port], "--user", user, "--once", "--exec", "true",
                    env={"HELIOS_PASSWORD": password}) as w:
            assert w.wait() == status and part in w.log(), (user, w.log())
            assert "secret" not in w.log() and "wrong" not in w.log()
    assert job(c, name)["status"] == "done"


def test_a_queue_that_is_no_queue_ends_the_worker(s):
    s.client()("SET default text")
    with Worker([s.port], "--exec", "true") as w:
        assert w.wait() == 3 and "WRONGTYPE" in w.log(), w.log()


def test_it_speaks_tls_to_whom_it_trusts(s):
    s.stop()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        certs = Certificates(folder)
        s.args += ("--tls-port", str(port), "--tls-cert-file", certs("server.crt"),
                   "--tls-key-file", certs("server.key"), "--tls-ca-cert-file", certs("ca.crt"))
        s.start()
        name = push(s.client(), "x" * 300000)
        own = ("--cert", certs("client.crt"), "--key", certs("client.key"))
        for ca, more in (("other-ca.crt", own), ("ca.crt", ())):
            with Worker([port], "--tls", "--cacert", certs(ca), *more, "--exec", "wc -c") as w:
                w.says("cannot use the server")
                w.tell()
                assert w.wait() == 0
        assert job(s.client(), name)["status"] == "ready"
        with Worker([port], "--tls", "--cacert", certs("ca.crt"), *own, "--exec", "wc -c"):
            assert ends_as(s.client(), name, "done")["result"].strip() == "300000"


def test_it_finds_a_server_at_a_path(s):
    s.stop()
    path = os.path.join(s.dir, "gateway")
    os.mkdir(path)
    s.args += ("--unixsocket", os.path.join(path, "helios.sock"))
    s.start()
    c = s.client()
    name = push(c)
    done = subprocess.run([WORKER, "--server", os.path.join(path, "helios.sock"), "--once",
                           "--exec", "true"], stdout=subprocess.PIPE, timeout=WAIT_S_MAX,
                          check=False)
    assert done.returncode == 0, done.stdout
    assert job(c, name)["status"] == "done"


# --- stopping -----------------------------------------------------------------------------------

def test_told_to_stop_it_ends_what_runs_and_takes_nothing_more(s):
    c = s.client()
    first = push(c)
    with Worker([s.port], "--exec", "touch begun; while [ ! -e go ]; do sleep 0.02; done; echo ok"
                ) as w:
        wait_for(lambda: os.path.exists(w.path("begun")), WAIT_S_MAX, "the job's begin")
        w.tell()
        w.says("stopping")
        second = push(c)
        open(w.path("go"), "w").close()
        assert w.wait() == 0, w.log()
        assert job(c, first)["status"] == "done" and job(c, second)["status"] == "ready"


def test_told_to_stop_while_it_waits_it_ends_at_once(s):
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        with Worker([s.port], "--poll-interval", "1h", "--exec", "true") as w:
            w.says("connected")
            wait_for(lambda: "cmd=job.pull" in s.client()("CLIENT LIST"), WAIT_S_MAX, "JOB.PULL")
            w.tell(number)
            assert w.wait(5) == 0
    name = push(s.client())
    assert job(s.client(), name)["status"] == "ready", "nobody waits any more"


def test_what_does_not_end_in_the_grace_is_given_back(s):
    c = s.client()
    name = push(c, "x", "VIS", "600")
    with Worker([s.port], "--grace", "200ms", "--kill-after", "200ms", "--exec",
                "trap '' TERM; echo $$ > pid; while :; do sleep 1; done") as w:
        pid = int(wait_for(lambda: w.read("pid").strip(), WAIT_S_MAX, "the job's begin"))
        w.tell()
        assert w.wait() == 1, w.log()
        assert not runs(pid)
        assert job(c, name)["status"] == "ready", job(c, name)
        assert job(c, name)["attempts"] == 0, "it cost an attempt"


def test_a_second_signal_ends_at_once(s):
    c = s.client()
    push(c)
    with Worker([s.port], "--grace", "1h", "--exec",
                "trap '' TERM; echo $$ > pid; while :; do sleep 1; done") as w:
        pid = int(wait_for(lambda: w.read("pid").strip(), WAIT_S_MAX, "the job's begin"))
        w.tell()
        w.says("stopping")
        w.tell()
        assert w.wait(5) == 1
        wait_for(lambda: not runs(pid), WAIT_S_MAX, "the end of the command")


# --- deaths -------------------------------------------------------------------------------------

def test_the_job_of_a_dead_worker_goes_to_another(s):
    c = s.client()
    name = push(c, "x", "VIS", "1", "BACKOFF", "fixed", "0", "0", "0")
    with Worker([s.port], "--worker-id", "w1", "--exec", "touch begun; sleep 1000") as first:
        wait_for(lambda: os.path.exists(first.path("begun")), WAIT_S_MAX, "the job's begin")
        first.tell(signal.SIGKILL)
        with Worker([s.port], "--worker-id", "w2", "--exec", "echo $WORKER_ID $JOB_ATTEMPT"):
            assert ends_as(c, name, "done")["result"] == "w2 2\n"


def test_the_worker_outlives_its_server(s):
    c = s.client()
    name = push(c, "x", "VIS", "600")
    with Worker([s.port], "--exec", "touch begun; while [ ! -e go ]; do sleep 0.02; done; echo ok"
                ) as w:
        wait_for(lambda: os.path.exists(w.path("begun")), WAIT_S_MAX, "the job's begin")
        s.process.kill()
        s.process.wait()
        w.says("lost the server")
        open(w.path("go"), "w").close()  # the job ends while there is nobody to tell
        s.start()
        c = s.client()
        assert ends_as(c, name, "done")["result"] == "ok\n"
        assert job(c, name)["attempts"] == 1
        assert ends_as(c, push(c), "done")["result"] == "ok\n"


def test_a_server_of_garbage_does_no_harm(s):
    c = s.client()
    noises = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1000000000\r\n", b"$99999999999999999999\r\n",
              os.urandom(4096), b"*2\r\n" * 100, b"+OK\r\n" * 1000, b"-LOADING x\r\n", b""]
    with socket.create_server(("127.0.0.1", 0)) as bad:
        served = [0]

        def serve():
            while True:
                try:
                    sock, _ = bad.accept()
                except OSError:
                    return
                with sock:
                    sock.sendall(noises[served[0] % len(noises)])
                served[0] += 1
        threading.Thread(target=serve, daemon=True).start()
        with Worker([bad.getsockname()[1]], "--exec", "true") as w:
            wait_for(lambda: served[0] > 3 * len(noises), 60, "its return")
            w.tell()
            assert w.wait() == 0, w.log()
        with Worker([bad.getsockname()[1], s.port], "--exec", "echo ok") as w:
            assert ends_as(c, push(c), "done")["result"] == "ok\n"
        bad.shutdown(socket.SHUT_RDWR)


def test_no_job_is_lost_or_acknowledged_twice_when_leaders_are_killed(s):
    """Two workers, three nodes, and two leaders killed while jobs run: every job is done once, and
    what ran more than once had lost its lease."""
    del s
    count = 80
    with Cluster(3, "--loadmodule", JOBS) as cluster:
        ports = [node.port for node in cluster.nodes]
        cluster.await_leader()
        names = [ask_any(cluster.nodes, "JOB.PUSH", "default", str(n), "ID", f"job{n}", "VIS", "2",
                              "BACKOFF", "fixed", "0", "0", "0", "MAXTRY", "20")[0]
                 for n in range(count)]
        line = "echo $JOB_ID $JOB_ATTEMPT >> runs; sleep 0.2; echo by $WORKER_ID"
        with Worker(ports, "--worker-id", "a", "--concurrency", "4", "--exec", line) as a, \
                Worker(ports[::-1], "--worker-id", "b", "--concurrency", "4", "--exec", line) as b:
            for _ in range(2):
                wait_for(lambda: a.read("runs") and b.read("runs"), WAIT_S_MAX, "both have jobs")
                leader = cluster.await_leader()
                leader.kill()
                cluster.await_leader()
                leader.start()
            for name in names:
                wait_for(lambda n=name: pairs(ask_any(cluster.nodes, "JOB.GET", n))["status"]
                           == "done", 60, f"the end of {name}")
            a.tell()
            b.tell()
            assert (a.wait(), b.wait()) == (0, 0)
            stats = pairs(ask_any(cluster.nodes, "JOB.STATS", "default"))
            assert stats["done"] == count and stats["acked"] == count, stats
            acked = [line["extra"]["job"] for w in (a, b) for line in w.lines("job done")]
            assert sorted(acked) == sorted(set(acked)), "two workers say they did the same job"
            runs_of = {}
            for w in (a, b):
                for line in w.read("runs").splitlines():
                    runs_of.setdefault(line.split()[0], []).append(int(line.split()[1]))
            assert set(runs_of) == set(names)
            twice = [name for name, n in runs_of.items() if len(set(n)) != len(n)]
            assert not twice, f"an attempt ran twice: {twice}"


def test_a_node_that_sends_writes_elsewhere_is_obeyed(s):
    """Followers that redirect, or refuse, are left for the leader, also when named first."""
    del s
    for how in ("redirect", "refuse"):
        with Cluster(3, "--loadmodule", JOBS, "--follower-writes", how) as cluster:
            leader = cluster.await_leader()
            others = [node.port for node in cluster.nodes if node is not leader]
            c = Client(leader.port)
            # Who redirects names the leader; who refuses does not, so it must be on the list.
            ports = others if how == "redirect" else [*others, leader.port]
            with Worker(ports, "--exec", "echo ok") as w:
                assert ends_as(c, push(c), "done")["result"] == "ok\n"
                w.tell()
                assert w.wait() == 0


def run_one(test):
    server = Server(SERVER, "--loadmodule", JOBS, "--appendonly", "yes", "--appendfsync", "always")
    on_server(server, test)


if __name__ == "__main__":
    run_tests(globals(), run_one)
