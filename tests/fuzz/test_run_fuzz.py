#!/usr/bin/env python3
"""What the rotation of fuzz targets promises."""
import hashlib
import os
import stat
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run_fuzz  # noqa: E402

OTHERS = [f"fuzz_{i:02d}" for i in range(11)]
ALL = run_fuzz.NAMED + OTHERS


def commits(count):
    return [hashlib.sha1(str(i).encode()).hexdigest() for i in range(count)]


def target_saying(folder, script):
    """A program in the place of a fuzz target."""
    os.makedirs(f"{folder}/build/fuzz")
    path = f"{folder}/build/fuzz/fuzz_it"
    with open(path, "w") as f:
        f.write(f"#!/bin/sh\n{script}\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


class Rotation(unittest.TestCase):
    def test_named_targets_fuzz_in_every_run(self):
        for commit in commits(20):
            chosen, _ = run_fuzz.choose(ALL, commit)
            self.assertEqual(chosen[:len(run_fuzz.NAMED)], run_fuzz.NAMED)

    def test_every_target_is_chosen_or_replayed_once(self):
        for commit in commits(20):
            chosen, rest = run_fuzz.choose(ALL, commit)
            self.assertEqual(sorted(chosen + rest), sorted(ALL))
            self.assertLessEqual(len(chosen), len(run_fuzz.NAMED) + run_fuzz.TURNS)

    def test_commits_reach_all_targets_and_one_commit_always_the_same(self):
        seen = set()
        for commit in commits(40):
            chosen, _ = run_fuzz.choose(ALL, commit)
            self.assertEqual(chosen, run_fuzz.choose(list(reversed(ALL)), commit)[0])
            seen.update(chosen)
        self.assertEqual(seen, set(ALL))

    def test_a_target_that_is_missing_is_not_chosen(self):
        self.assertEqual(run_fuzz.choose(["fuzz_wal"], "x"), (["fuzz_wal"], []))
        self.assertEqual(run_fuzz.choose([], "x"), ([], []))


class Reports(unittest.TestCase):
    def test_a_crash_fails_and_says_how_to_see_it_again(self):
        with tempfile.TemporaryDirectory() as folder:
            crash = f"{folder}/build/found/fuzz_it-crash-1"
            target = target_saying(folder, f"printf abc >{crash}; echo Test unit written to "
                                           f"{crash}; exit 77")
            good, text = run_fuzz.run_one(folder, target, 1)
        self.assertFalse(good)
        self.assertIn("reproduce: build/fuzz/fuzz_it build/found/fuzz_it-crash-1", text)
        self.assertIn("echo YWJj | base64 -d >input; build/fuzz/fuzz_it input", text)

    def test_a_run_without_findings_is_good(self):
        with tempfile.TemporaryDirectory() as folder:
            target = target_saying(folder, 'echo "$1"')
            self.assertEqual(run_fuzz.run_one(folder, target, 7), (True, "-max_total_time=7\n"))
            self.assertEqual(run_fuzz.run_one(folder, target, 0), (True, "-runs=0\n"))


if __name__ == "__main__":
    unittest.main()
