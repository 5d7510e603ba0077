#!/usr/bin/env python3
"""Each fault that can be planted in the core is found.  Usage: mutants.py PROGRAM

For each mutant, seeds of one script are run until one of them fails: within SEEDS of them,
and with the invariant named here.  The same seeds without a mutant must pass.
"""
import re
import subprocess
import sys

SEEDS = 200
# mutant: (script, what must find it, the rule that is switched off)
MUTANTS = {
    5: (4, "A3", "an entry of an older term commits by counting"),
    7: (1, "E1", "the lease outlasts the voters' promise"),
    8: (0, "A3|A4|A2|H1", "entries are acknowledged before they are durable"),
    9: (3, "A1", "votes leave before they are durable"),
    13: (2, "E1", "a restarted voter votes at once"),
    15: (6, "A1|A2|A3", "a configuration changes before the term's no-op commits"),
    16: (5, "A2|A3|A4", "a flush of truncated entries counts for what replaced them"),
    17: (0, "A2", "a follower commits by its last entry, not by what matched"),
    19: (0, "B2", "reads are confirmed with neither round nor lease"),
    24: (1, "E1", "voters forget that they have a leader"),
    26: (7, "A1|A2|A3", "a configuration changes before the previous one commits"),
    27: (8, "H1", "a refused pre-vote does not carry the higher term"),
}


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def kill(program, mutant):
    """Run seeds until one fails: (seed, invariant) or None."""
    script, _, _ = MUTANTS[mutant]
    status, text = run(program, "--mutant", str(mutant), "--script", str(script), "--seeds",
                       str(SEEDS), "--failures", "1")
    found = re.search(r"^seed (\d+), mutant \d+, at [\d.]+ ms: (.*)$", text, re.M)
    return (int(found.group(1)), found.group(2)) if status != 0 and found else None


def main():
    program = sys.argv[1]
    passed = failed = 0
    for mutant, (script, wanted, rule) in MUTANTS.items():
        found = kill(program, mutant)
        good = found is not None and re.match(wanted, found[1]) is not None
        print(f"{mutant:>3}  {rule}: " + (f"seed {found[0]} of script {script}: {found[1]}"
                                          if found else "NOT FOUND"), flush=True)
        if good:
            status, text = run(program, "--script", str(script), "--seed", str(found[0]))
            if status != 0:
                good = False
                print(f"     but that seed fails without the fault too:\n{text}")
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
