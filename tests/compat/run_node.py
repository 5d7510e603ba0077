#!/usr/bin/python3
"""Start a server, run one Node test file against it, report what it reported.

Usage: run_node.py FILE   the packages are in $HELIOS_BUILD/npm/node_modules
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from server import ROOT, Server  # noqa: E402

NODE_S_MAX = 60


def main():
    npm = os.path.join(os.environ.get("HELIOS_BUILD", os.path.join(ROOT, "build")), "npm")
    with Server() as server:
        env = {**os.environ, "HELIOS_PORT": str(server.port),
               "NODE_PATH": os.path.join(npm, "node_modules")}
        done = subprocess.run(["timeout", str(NODE_S_MAX), "node", "--test",
                               "--test-reporter=tap", sys.argv[1]], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        print(done.stdout)
        if done.returncode != 0:
            print(server.log()[-2000:])
    found = re.findall(r"^# (pass|fail|skipped) (\d+)$", done.stdout, re.M)
    totals = {word: int(n) for word, n in found}
    print(f"{totals.get('pass', 0)} passed, {totals.get('fail', 1)} failed, "
          f"{totals.get('skipped', 0)} skipped")
    return 0 if done.returncode == 0 and totals.get("pass", 0) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
