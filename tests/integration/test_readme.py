#!/usr/bin/python3
"""Goal: the tours in README.md and in the READMEs of the modules are true, word for word.

Method: every ```console block is run line by line in one bash, in a folder that holds nothing but
`bin`, inside a network namespace of its own, so that port 6379 is free.  A line that ends in `&`
starts a server: the next line runs when it answers.  Output is compared line by line; `...` stands
for any text on its line, alone for any number of lines.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from server import ROOT  # noqa: E402

MARK = "end-of-step"
STEP_S_MAX = 60
READY = ("for i in $(seq 2000); do redis-cli PING 2>/dev/null | grep -q PONG && break; "
         "sleep 0.01; done")


def steps(text):
    """[(command, [expected line])] of all console blocks."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def matches(expected, actual):
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, actual) is not None


class Tour(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="helios-test-")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        build = os.environ.get("HELIOS_BUILD", os.path.join(ROOT, "build"))
        os.symlink(os.path.join(build, "bin"), os.path.join(self.dir, "bin"))
        os.mkdir(os.path.join(self.dir, "data"))
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        self.bash = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", *user,
             "bash", "-c", "ip link set lo up && exec bash"],
            cwd=self.dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        self.addCleanup(self.end)

    def end(self):
        self.bash.stdin.close()
        self.bash.kill()
        self.bash.stdout.close()
        self.bash.wait()

    def run_step(self, command):
        self.bash.stdin.write(f"{command}\n")
        if command.endswith("&"):
            self.bash.stdin.write(f"{READY}\n")
        self.bash.stdin.write(f"echo {MARK}\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line == f"{MARK}\n":
                return "".join(lines)
            if not re.search(r"line \d+: +\d+ (?:Killed|Terminated)", line):
                lines.append(line)
        self.fail(f"bash ended in: {command}\n{''.join(lines)}")

    def test_each_line_about_metrics_does_what_it_says(self):
        self.go("modules/metrics/README.md", 8)

    def test_each_line_of_the_tour_does_what_it_says(self):
        self.go("README.md", 15)

    def test_each_line_about_the_proxy_does_what_it_says(self):
        self.go("modules/proxy/README.md", 15)

    def test_each_line_about_http_does_what_it_says(self):
        self.go("modules/http/README.md", 8)

    def test_each_line_about_the_gateway_does_what_it_says(self):
        self.go("modules/gateway/README.md", 14)

    def test_each_line_about_jobs_does_what_it_says(self):
        self.go("modules/jobs/README.md", 20)

    def test_each_line_about_auth_does_what_it_says(self):
        self.go("modules/auth/README.md", 12)

    def go(self, path, least):
        with open(os.path.join(ROOT, path)) as f:
            tour = steps(f.read())
        self.assertGreater(len(tour), least)
        for command, expected in tour:
            actual = self.run_step(command)
            self.assertTrue(matches(expected, actual),
                            f"\n$ {command}\nexpected: {expected}\nactual:   {actual!r}"
                            f"\nlog: {self.log()}")

    def log(self):
        path = os.path.join(self.dir, "tour.log")
        if not os.path.exists(path):
            return ""
        with open(path) as f:
            return f.read()[-3000:]


class Matching(unittest.TestCase):
    def test_output_that_differs_is_refused(self):
        self.assertTrue(matches(["OK"], "OK\n"))
        self.assertFalse(matches(["OK"], "ERR\n"))
        self.assertFalse(matches(["OK"], "OK\nmore\n"))
        self.assertFalse(matches([], "unexpected\n"))
        self.assertTrue(matches(["..."], "a\nb\n"))
        self.assertTrue(matches(["id ..."], "id 7\n"))


if __name__ == "__main__":
    unittest.main()
