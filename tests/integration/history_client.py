"""Concurrent clients that write down what they did and saw, in the text form that
helios-check-history judges (tests/simulation/history.h).

    history = History()
    with Clients(history, lambda: [(host, port), ...], count=6, seed=1):
        ...                       # break things
    history.read_all(addresses)   # what is left of every key
    history.check(path)           # raises when it is not linearizable

A key is a register (GET, SET, INCRBY, WATCH with EXEC) or a list of unique elements (APPEND of
ELEMENT_SIZE characters, GET).  Keys change every GENERATION_S seconds, so that no key has more
unknown outcomes than a search can bear.
"""
import os
import random
import subprocess
import threading
import time

from resp_client import Client, Error

GENERATION_S = 0.6
REGISTERS, LISTS = 3, 3
ELEMENT_SIZE = 8  # hexadecimal digits
ANSWER_S_MAX = 2.0
CONNECT_S_MAX = 0.5
THINK_S = 0.002
# Errors that promise that nothing was done and nothing will be.
DEFINITE = ("NOQUORUM", "NOLEADER", "MOVED", "READONLY", "ROLLEDBACK", "LOADING", "CLUSTERDOWN",
            "TRYAGAIN", "MISCONF", "MASTERDOWN", "EXECABORT", "NOTLEADER")
CHECKER = "tests/simulation/helios-check-history"


def now_us():
    return time.monotonic_ns() // 1000


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.lines = []
        self.keys = set()
        self.counts = {"ok": 0, "fail": 0, "unknown": 0}
        self.errors = {}           # first word -> how often
        self.writes_ok = []        # (invoked, returned) of writes that were acknowledged

    def add(self, client, invoked, returned, outcome, what, key, values=(), is_write=False):
        words = [client, invoked, returned if outcome == "ok" else "-" if outcome == "unknown"
                 else returned, outcome, what, key, *values]
        line = " ".join(str(word) for word in words)
        with self.lock:
            self.lines.append(line)
            self.keys.add(key)
            self.counts[outcome] += 1
            if outcome == "ok" and is_write:
                self.writes_ok.append((invoked, returned))

    def note_error(self, word):
        with self.lock:
            self.errors[word] = self.errors.get(word, 0) + 1

    def gap_s(self, since_us):
        """The longest time without an acknowledgement of a write that began after `since_us`."""
        with self.lock:
            ends = sorted(end for begin, end in self.writes_ok if since_us <= begin)
        last, longest = since_us, 0
        for end in ends:
            longest = max(longest, end - last)
            last = end
        return longest / 1e6

    def read_all(self, addresses):
        """Read each key at each address, one more client's operations.  An answer must come."""
        client = 0
        for host, port in addresses:
            client -= 1
            conn = Client(port, 10, host)
            for key in sorted(self.keys):
                do_read(self, 1000 - client, conn, key)
            conn.close()

    def check(self, path):
        with open(path, "w") as f:
            f.write("\n".join(self.lines) + "\n")
        checker = os.path.join(os.environ.get("HELIOS_BUILD", "build"), CHECKER)
        done = subprocess.run([checker, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout.strip())
        return done.stdout.strip()


def first_word(e):
    """The code of an error reply, or the kind of a broken connection."""
    return str(e).split(" ", 1)[0] if isinstance(e, Error) else type(e).__name__


def elements_of(reply):
    """The list that a GET answers."""
    text = reply or ""
    assert len(text) % ELEMENT_SIZE == 0, f"a torn element: {text!r}"
    return [int(text[at:at + ELEMENT_SIZE], 16) for at in range(0, len(text), ELEMENT_SIZE)]


def value_of(reply):
    """The register that a GET answers."""
    return ["nil" if reply is None else reply]


def do_read(history, client, conn, key):
    invoked = now_us()
    reply = conn("GET", key)
    what, result = ("list", elements_of) if key.startswith("l") else ("read", value_of)
    history.add(client, invoked, now_us(), "ok", what, key, result(reply))


class Clients:
    """Threads, each with one connection at a time to a node of its choice."""

    def __init__(self, history, addresses, count, seed):
        self.history, self.addresses = history, addresses
        self.stopping = False
        self.begin = time.monotonic()
        self.elements = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(n, random.Random(f"{seed}:{n}")),
                                         daemon=True) for n in range(count)]
        self.prefix = f"{seed}"
        self.failure = None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)
        if self.failure is not None:
            raise self.failure

    def next_element(self):
        with self.lock:
            self.elements += 1
            return self.elements

    def run(self, number, rng):
        conn = None
        try:
            while not self.stopping:
                if conn is None:
                    conn = self.connect(rng)
                if conn is None:
                    time.sleep(THINK_S * 10)
                    continue
                if not self.one(number, rng, conn):
                    conn.close()
                    conn = None
                time.sleep(rng.random() * 2 * THINK_S)
                if conn is not None and rng.random() < 0.01:
                    conn.close()  # and to another node
                    conn = None
        except Exception as e:
            self.failure = e
        finally:
            if conn is not None:
                conn.close()

    def connect(self, rng):
        host, port = rng.choice(self.addresses())
        try:
            conn = Client(port, CONNECT_S_MAX, host)
            conn.sock.settimeout(ANSWER_S_MAX)
            return conn
        except OSError:
            return None

    def one(self, number, rng, conn):
        """One operation; False when the connection is of no use any more."""
        generation = int((time.monotonic() - self.begin) / GENERATION_S)
        if rng.random() < 0.5:
            key = f"l{self.prefix}.{generation}.{rng.randrange(LISTS)}"
            if rng.random() < 0.5:
                element = self.next_element()
                return self.do(number, conn, ("APPEND", key, f"{element:0{ELEMENT_SIZE}x}"),
                               "append", key, [element],
                               lambda reply: [reply // ELEMENT_SIZE], True)
            return self.do(number, conn, ("GET", key), "list", key, [], elements_of)
        key = f"r{self.prefix}.{generation}.{rng.randrange(REGISTERS)}"
        kind = rng.random()
        if kind < 0.4:
            return self.do(number, conn, ("GET", key), "read", key, [], value_of)
        if kind < 0.5:
            return self.compare_and_set(number, conn, key)
        if kind < 0.75:
            value = self.next_element()
            return self.do(number, conn, ("SET", key, value), "write", key, [value],
                           lambda _: [], True)
        by = rng.randrange(1, 5)
        return self.do(number, conn, ("INCRBY", key, by), "add", key, [by],
                       lambda reply: [reply], True)

    def compare_and_set(self, number, conn, key):
        """WATCH, GET, and a transaction: it happens only if the value is still the one seen."""
        try:
            conn("WATCH", key)
            invoked = now_us()
            old = conn("GET", key)
            self.history.add(number, invoked, now_us(), "ok", "read", key, value_of(old))
            if old is None:
                conn("UNWATCH")
                return True
            conn("MULTI")
            new = self.next_element()
            conn("SET", key, new)
        except (Error, OSError) as e:  # nothing was sent that could do anything
            self.history.note_error(first_word(e))
            return False
        # EXEC that answers nil did nothing; what it saw is not said, so it counts as refused.
        return self.do(number, conn, ("EXEC",), "cas", key, [old, new], lambda _: [], True,
                       lambda reply: reply is not None)

    def do(self, number, conn, words, what, key, arguments, result, is_write=False,
           happened=lambda _: True):
        history = self.history
        invoked = now_us()
        try:
            reply = conn(*words)
        except Error as e:
            outcome = "fail" if first_word(e) in DEFINITE else "unknown"
            history.note_error(first_word(e))
            history.add(number, invoked, now_us(), outcome, what, key, arguments)
            return what != "cas"  # a transaction may still be open
        except OSError as e:
            history.note_error(first_word(e))
            history.add(number, invoked, now_us(), "unknown", what, key, arguments)
            return False
        if not happened(reply):
            history.add(number, invoked, now_us(), "fail", what, key, arguments)
            return True
        history.add(number, invoked, now_us(), "ok", what, key, [*arguments, *result(reply)],
                    is_write)
        return True
