#!/usr/bin/env python3
"""Run the tiers of tests, each in the build it needs, and say what each cost.

Usage: run_tiers.py [TIER...]   all tiers in order unless named; see tests/README.md
Ends with one line `N passed, N failed` and exit status 1 when anything failed.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/fuzz"))
import run_fuzz  # noqa: E402

CORES = os.cpu_count() or 1
TAIL_LINES = 60          # of a failed test's output
# Long tests of one thread: nothing to find for the thread sanitizer, and half of its time.
TSAN_SKIPPED = "unit_wal_test_crash|unit_jobs_test_commands|unit_jobs_test_model"
BUILDS = {
    "build": [],
    "build-asan": ["-DHELIOS_SANITIZE=address", "-DHELIOS_ALLOC=libc"],
    "build-tsan": ["-DHELIOS_SANITIZE=thread", "-DHELIOS_ALLOC=libc"],
    "build-fuzz": ["-DHELIOS_SANITIZE=address", "-DHELIOS_ALLOC=libc", "-DHELIOS_FUZZ=ON",
                   "-DCMAKE_C_COMPILER=clang"],
}


class Tier:
    """What one tier did.  `why` keeps a line for each thing that failed."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.build_s = self.run_s = 0.0
        self.why = []

    def fail(self, why, count=1):
        self.failed += count
        self.why.append(why)


def run(argv, **options):
    return subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, **options)


def run_text(argv, **options):
    """As run(), with both output streams as one text."""
    return run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
               errors="replace", **options)


def build(tier, folder, target="all"):
    """Configure and compile; False, with a failure noted, when that does not work."""
    start = time.monotonic()
    os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
    steps = [["cmake", "-S", ".", "-B", folder, "-G", "Ninja", "-DHELIOS_TESTS=ON",
              *BUILDS[folder]],
             ["cmake", "--build", folder, "--target", target]]
    for argv in steps:
        done = run_text(argv)
        if done.returncode != 0:
            wrong = [line for line in done.stdout.splitlines()
                     if re.search(r"error|FAILED|undefined", line)]
            print("\n".join(wrong[:40] or done.stdout.splitlines()[-40:]))
            tier.fail(f"{folder} does not build")
            return False
    tier.build_s += time.monotonic() - start
    if folder == "build":
        link = os.path.join(ROOT, "bin")
        os.makedirs(os.path.join(ROOT, "build/bin/modules"), exist_ok=True)
        if not os.path.islink(link) and not os.path.exists(link):
            os.symlink("build/bin", link)
    return True


def count(text):
    """(passed, failed, skipped) that a test program printed; zeros when it counts nothing."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    passed = failed = skipped = 0
    for m in re.finditer(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)",
                         text):
        passed += int(m.group(2))
        failed += int(m.group(1)) - int(m.group(2))
    for m in re.finditer(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M):
        passed += int(m.group(1))
        failed += int(m.group(2))
        skipped += int(m.group(3) or 0)
    for m in re.finditer(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED)(?: \((.*)\))?", text, re.M):
        bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", m.group(3) or ""))
        left_out = sum(int(n) for n in re.findall(r"skipped=(\d+)", m.group(3) or ""))
        passed += int(m.group(1)) - bad - left_out
        failed += bad
        skipped += left_out
    return passed, failed, skipped


def note(tier, name, ok, text):
    """Add one test program's result.  A program that counts nothing is one test."""
    passed, failed, skipped = count(text)
    tier.skipped += skipped
    if ok and failed == 0:
        tier.passed += passed if passed + skipped > 0 else 1
        return
    tier.passed += passed
    tier.fail(name, max(failed, 1))
    print(f"--- {tier.name}: {name} failed", *text.splitlines()[-TAIL_LINES:], sep="\n")


def ctest(tier, folder, label, jobs, wrapper=(), environment=None, skipped="^$"):
    """Run the tests of one label.  A test that could not run is a failure."""
    start = time.monotonic()
    report = os.path.join(ROOT, folder, f"junit-{tier.name}.xml")
    if os.path.exists(report):
        os.unlink(report)
    run_text([*wrapper, "ctest", "--test-dir", folder, "-L", label, "-E", skipped, "-j", str(jobs),
              "--output-junit", report, "--test-output-size-passed", "200000",
              "--test-output-size-failed", "200000"], env={**os.environ, **(environment or {})})
    if os.path.exists(report):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            note(tier, case.get("name"), case.get("status") == "run",
                 case.findtext("system-out") or "")
    tier.run_s += time.monotonic() - start


def sanitized(tier, folder, label, wrapper=(), skipped="^$"):
    """As ctest() with sanitizers: every report that appears is a failure, whatever exit status
    the reporting process had (a criterion test that only leaks passes)."""
    logs = os.path.join(ROOT, folder, "reports")
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    supp = os.path.join(ROOT, "tests/support")
    options = {
        "ASAN_OPTIONS": f"log_path={logs}/asan:detect_leaks=1:detect_stack_use_after_return=1",
        "LSAN_OPTIONS": f"suppressions={supp}/lsan.supp:print_suppressions=0",
        "UBSAN_OPTIONS": f"log_path={logs}/ubsan:print_stacktrace=1",
        "TSAN_OPTIONS": f"log_path={logs}/tsan:suppressions={supp}/tsan.supp:history_size=4",
    }
    ctest(tier, folder, label, CORES, wrapper, options, skipped)
    for path in sorted(glob.glob(f"{logs}/*")):
        with open(path, errors="replace") as f:
            print(f"--- {tier.name}: {os.path.basename(path)}", *f.read().splitlines()[:40],
                  sep="\n")
        tier.fail(f"sanitizer report {os.path.relpath(path, ROOT)}")


def tier_tidy(tier, _):
    if not build(tier, "build"):
        return
    start = time.monotonic()
    for script in ("tests/tidy/tidy.py", "tests/tidy/test_tidy.py", "tests/fuzz/test_run_fuzz.py"):
        done = run_text([sys.executable, script])
        note(tier, script, done.returncode == 0, done.stdout)
    tier.run_s += time.monotonic() - start


def tier_unit(tier, _):
    if build(tier, "build"):
        ctest(tier, "build", "^unit$", CORES)
        if tier.passed + tier.failed == 0:
            tier.fail("no unit test ran")


def tier_simulation(tier, args):
    if not build(tier, "build"):
        return
    if not args.soak:
        ctest(tier, "build", "^simulation$", CORES)
        return
    start = time.monotonic()
    # Seeds that no run had before: drawn from the commit.
    first = int(run_text(["git", "rev-parse", "HEAD"]).stdout[:8], 16)
    for program in ("helios-simulate", "helios-simulate-raft"):
        done = run_text([f"build/tests/simulation/{program}", "--first", str(first), "--seconds",
                         str(args.soak * 60 // 4), "--jobs", str(CORES)])
        note(tier, program, done.returncode == 0, done.stdout)
    tier.run_s += time.monotonic() - start


def tier_integration(tier, _):
    if build(tier, "build"):
        ctest(tier, "build", "^integration$", CORES)


def tier_compat(tier, _):
    if build(tier, "build"):
        ctest(tier, "build", "^compat$", 1)


def commit_here():
    """The commit, for the rotation; the tree's files alone have none and always run the same."""
    done = run_text(["git", "rev-parse", "HEAD"])
    return done.stdout.strip() if done.returncode == 0 else ""


def fuzz_plan(tier, args, targets):
    """[(targets, seconds)]: those asked for, or by rotation."""
    if args.fuzz_target:
        if args.fuzz_target not in targets:
            tier.fail(f"there is no fuzz target {args.fuzz_target}")
            return []
        return [([args.fuzz_target], args.fuzz_seconds or run_fuzz.SECONDS)]
    if args.soak:
        share = args.soak * 60 * run_fuzz.AT_ONCE // max(len(targets), 1)
        return [(targets, max(share, run_fuzz.SECONDS))]
    if args.fuzz_seconds:
        return [(targets, args.fuzz_seconds)]
    commit = commit_here()
    chosen, rest = run_fuzz.choose(targets, commit)
    print(f"rotation of commit {commit[:12] or 'none'}: fuzzing {' '.join(chosen)}")
    print(f"replaying the corpus only: {' '.join(rest)}", flush=True)
    return [(chosen, run_fuzz.SECONDS), (rest, 0)]


def tier_fuzz(tier, args):
    if not build(tier, "build-fuzz", "fuzzers"):
        return
    start = time.monotonic()
    folder = f"{ROOT}/build-fuzz/fuzz"
    targets = sorted(os.path.basename(t) for t in glob.glob(f"{folder}/fuzz_*"))
    note(tier, "a planted bug is found",
         *run_fuzz.finds_a_planted_bug(ROOT, f"{folder}/planted_bug"))
    for names, seconds in fuzz_plan(tier, args, targets):
        paths = [f"{folder}/{name}" for name in names]
        for name, good, text in run_fuzz.run_many(ROOT, paths, seconds):
            note(tier, name, good, text)
    tier.run_s += time.monotonic() - start


def tier_asan(tier, _):
    if build(tier, "build-asan"):
        sanitized(tier, "build-asan", "^unit$|^sanitize$")


def tier_tsan(tier, _):
    if build(tier, "build-tsan"):
        sanitized(tier, "build-tsan", "^unit$|^threads$", ["setarch", "-R"], TSAN_SKIPPED)


TIERS = {
    "tidy": tier_tidy,
    "unit": tier_unit,
    "simulation": tier_simulation,
    "integration": tier_integration,
    "compat": tier_compat,
    "fuzz": tier_fuzz,
    "asan": tier_asan,
    "tsan": tier_tsan,
}


def main():
    parser = argparse.ArgumentParser(description="run tiers of tests")
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=" ".join(TIERS))
    parser.add_argument("--fuzz-target", default="")
    parser.add_argument("--fuzz-seconds", type=int, default=0)
    parser.add_argument("--soak", type=int, default=0, metavar="MINUTES",
                        help="the long versions: integration at scale, then fuzzing that long")
    args = parser.parse_args()
    if args.soak:
        os.environ["HELIOS_TEST_SCALE"] = "10"
        args.tiers = ["integration", "simulation", "fuzz"]
    unknown = [name for name in args.tiers if name not in TIERS]
    if unknown:
        parser.error(f"no such tier: {' '.join(unknown)}")

    tiers = []
    for name in args.tiers or TIERS:
        print(f"=== {name}", flush=True)
        tier = Tier(name)
        TIERS[name](tier, args)
        tiers.append(tier)
        for why in tier.why:
            print(f"failed: {tier.name}: {why}", flush=True)

    print(f"\n{'tier':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'build s':>8} {'run s':>8}")
    for tier in tiers:
        print(f"{tier.name:<12} {tier.passed:>7} {tier.failed:>7} {tier.skipped:>8} "
              f"{tier.build_s:>8.1f} {tier.run_s:>8.1f}")
    failed = sum(tier.failed for tier in tiers)
    print(f"{sum(tier.passed for tier in tiers)} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
