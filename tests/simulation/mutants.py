#!/usr/bin/env python3
"""Each fault that can be planted in the core is found.  Usage: mutants.py RAFT-PROGRAM NODE-PROGRAM

For each mutant, seeds of one script are run until one of them fails: within SEEDS of them,
and with the invariant named here.  The same seeds without a mutant must pass.
"""
import re
import subprocess
import sys

SEEDS = 400
# mutant: (script, what must find it, the rule that is switched off)
RAFT = {
    5: (4, "A2|A3", "an entry of an older term commits by counting"),
    7: (1, "E1|B2", "the lease outlasts the voters' promise"),
    8: (3, "A3|A4|A2|H1", "entries are acknowledged before they are durable"),
    9: (3, "A1|A2|A3", "votes leave before they are durable"),
    13: (2, "E1|B2", "a restarted voter votes at once"),
    15: (6, "A1|A2|A3", "a configuration changes before the term's no-op commits"),
    16: (5, "A2|A3|A4", "a flush of truncated entries counts for what replaced them"),
    17: (0, "A2", "a follower commits by its last entry, not by what matched"),
    19: (1, "B2", "reads are confirmed with neither round nor lease"),
    24: (1, "E1|B2", "voters forget that they have a leader"),
    26: (7, "A1|A2|A3", "a configuration changes before the previous one commits"),
    27: (8, "H1", "a refused pre-vote does not carry the higher term"),
}
NODE = {
    1: (0, "B1", "a reply leaves before its entry commits"),
    2: (0, "B", "a read of a name that is not committed leaves"),
    3: (3, "C", "no rollback after a truncation"),
    4: (0, "C3", "inherited entries are not gated"),
    6: (0, "B", "a request that is sent again runs again"),
    10: (0, "C1|B5", "snapshots lack the table of sessions"),
    11: (0, "C|D|A", "a snapshot of what is not committed is published"),
    12: (0, "A|start|B|C", "a failed sync is ignored"),
    14: (0, "C", "a command instead of its effect"),
    18: (0, "B", "a deposed leader shows what may be undone to stale reads"),
    20: (0, "C|G1", "a new leader executes before it has applied its log"),
    21: (0, "B3", "a push leaves before what it tells commits"),
    22: (0, "B", "a request sent again is answered before the first one commits"),
    23: (9, "B|E3", "a session's token is ignored"),
    25: (0, "B", "an error that promises that nothing was done, for what may be done"),
    28: (9, "E3", "any word of a leader makes a node fresh for bounded reads"),
    29: (0, "B|replies", "a forwarded request that arrives twice runs twice"),
    30: (0, "B", "what was sent to one leader is sent to the next as well"),
    31: (0, "B", "a parked reply leaves at its index, whatever the term there"),
    32: (0, "B2", "reads that wait on a deposed leader are answered"),
    33: (0, "B2", "a follower reads before it has what the leader named"),
    34: (0, "C1", "tables outlive the state that is made anew"),
    35: (0, "B|C|D", "a snapshot is labelled with the commit index"),
    36: (0, "B", "a proof serves reads that came after it was asked for"),
    40: (0, "A3|A2|B", "the vote of a barred server counts like any other"),
}


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def kill(program, mutant, script):
    """Run seeds until one fails: (seed, invariant) or None."""
    status, text = run(program, "--mutant", str(mutant), "--script", str(script), "--seeds",
                       str(SEEDS), "--failures", "1")
    found = re.search(r"^seed (\d+), mutant \d+, at [\d.]+ ms: (.*)$", text, re.M)
    return (int(found.group(1)), found.group(2)) if status != 0 and found else None


def check(program, mutant, script, wanted, rule):
    found = kill(program, mutant, script)
    print(f"{mutant:>3}  {rule}: " + (f"seed {found[0]} of script {script}: {found[1]}"
                                      if found else "NOT FOUND"), flush=True)
    if found is None or re.match(wanted, found[1]) is None:
        return False
    status, text = run(program, "--script", str(script), "--seed", str(found[0]))
    if status != 0:
        print("     but that seed fails without the fault too:", *text.splitlines()[-12:], sep="\n")
    return status == 0


def main():
    results = []
    for program, mutants in zip(sys.argv[1:], (RAFT, NODE)):
        for mutant, (script, wanted, rule) in mutants.items():
            results.append(check(program, mutant, script, wanted, rule))
    print(f"{sum(results)} passed, {results.count(False)} failed")
    return not all(results)


if __name__ == "__main__":
    sys.exit(main())
