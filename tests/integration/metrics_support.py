"""What tests of metrics share: a strict reader of the text format, and numbers before and after."""
import re

from http_support import Conn
from resp_client import Client

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|Inf)|NaN"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({NUMBER})")
PARTS = ("_bucket", "_sum", "_count")


class Metrics:
    """A text taken apart: types and helps by family, values by (name, labels)."""

    def __init__(self, text):
        self.types, self.helps, self.values = {}, {}, {}
        assert text.endswith("\n"), text[-100:]
        self.family = None
        for line in text.splitlines():
            if line.startswith("# "):
                self.head(line)
            else:
                self.sample(line)

    def head(self, line):
        word, name, rest = line[2:].split(" ", 2)
        where = {"HELP": self.helps, "TYPE": self.types}[word]
        assert name not in where, f"twice: {line}"
        if word == "TYPE":
            assert self.family == name and rest in ("counter", "gauge", "histogram"), line
        else:
            assert self.family is None or name > self.family, f"{name} behind {self.family}"
        self.family = name
        where[name] = rest

    def sample(self, line):
        found = SAMPLE.fullmatch(line)
        assert found, f"not a sample: {line}"
        name, labels = found.group(1), found.group(2) or ""
        assert name in [self.family] + [self.family + p for p in PARTS], line
        unescaped = {k: re.sub(r'\\(["\\n])', lambda m: "\n" if m[1] == "n" else m[1], v)
                     for k, v in re.findall(LABEL, labels)}
        key = (name, frozenset(unescaped.items()))
        assert key not in self.values, f"twice: {line}"
        self.values[key] = float(found.group(len(found.groups())))

    def get(self, name, **labels):
        """The value of that series; None when there is none."""
        return self.values.get((name, frozenset(labels.items())))

    def total(self, name, **labels):
        """The sum of all series of that name that have these labels; None when there is none."""
        found = [v for (n, have), v in self.values.items()
                 if n == name and frozenset(labels.items()) <= have]
        return sum(found) if found else None


def metrics_port(port):
    """Where the server at a port serves its metrics."""
    with Client(port) as c:
        flat = c("METRICS.STATUS")
    return int(flat[flat.index("listening") + 1][0].rsplit(":", 1)[1])


def fetch(port, **headers):
    """The response of a metrics page."""
    with Conn(port) as c:
        return c.request("GET", "/metrics", **headers)


def scrape(port):
    """The metrics of the page at a port."""
    got = fetch(port)
    assert got.status == 200, got.status
    return Metrics(got.body.decode())
