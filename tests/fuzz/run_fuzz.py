"""Which fuzz targets run for how long, several at once, and how a crash is reported.

Every target replays its corpus in every run.  The targets of NAMED read what strangers send or what
a broken disk returns: each fuzzes in every run too.  The others take turns: TURNS of them a run,
chosen by the commit, so that consecutive commits reach all.
"""
import base64
import concurrent.futures
import glob
import hashlib
import os
import subprocess

NAMED = ["fuzz_resp", "fuzz_wire", "fuzz_wal", "fuzz_snapfile", "fuzz_yaml", "fuzz_jwt",
         "fuzz_http1", "fuzz_ws"]
TURNS = 2               # of the other targets, in one run
SECONDS = 60            # for each target that fuzzes
AT_ONCE = 2             # targets; one has one thread
REPLAY_LIMIT_S = 120    # for a corpus; it takes under a second
SHOWN_INPUT_MAX = 16384  # bytes of a crashing input that are printed
LIMITS = ["-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1"]


def turn_of(commit, groups):
    """Which of `groups` has its turn at this commit (any text)."""
    return int(hashlib.sha256(commit.encode()).hexdigest(), 16) % max(groups, 1)


def choose(names, commit):
    """(names that fuzz in this run, those that only replay their corpus)."""
    others = sorted(set(names) - set(NAMED))
    groups = -(-len(others) // TURNS)
    turn = turn_of(commit, groups)
    chosen = [name for name in NAMED if name in names]
    chosen += [name for i, name in enumerate(others) if i % max(groups, 1) == turn]
    return chosen, [name for name in sorted(names) if name not in chosen]


def reproduce(root, target, text, prefix):
    """Lines that tell how to see the crash again, also on a machine without its file."""
    lines = []
    for path in sorted(glob.glob(f"{prefix}*")):
        if path not in text:
            continue  # of an earlier run
        command = os.path.relpath(target, root)
        lines.append(f"reproduce: {command} {os.path.relpath(path, root)}")
        with open(path, "rb") as f:
            data = f.read(SHOWN_INPUT_MAX + 1)
        if len(data) <= SHOWN_INPUT_MAX:
            lines.append(f"or anywhere: echo {base64.b64encode(data).decode()} | base64 -d >input; "
                         f"{command} input")
    return lines


def run_one(root, target, seconds):
    """Fuzz one target, or with no seconds replay its corpus: (good, output)."""
    name = os.path.basename(target)
    found = os.path.join(os.path.dirname(os.path.dirname(target)), "found", name)
    prefix = f"{found}-"
    corpus = [d for d in (f"{root}/tests/fuzz/corpus/{name}",) if os.path.isdir(d)]
    os.makedirs(found, exist_ok=True)
    how = [f"-max_total_time={seconds}"] if seconds else ["-runs=0"]
    try:
        done = subprocess.run(
            [target, *how, *LIMITS, f"-artifact_prefix={prefix}", found, *corpus], cwd=root,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=seconds + REPLAY_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        return False, f"{late.stdout or ''}\n{name} does not end"
    lines = [] if done.returncode == 0 else reproduce(root, target, done.stdout, prefix)
    return done.returncode == 0, "\n".join([done.stdout, *lines])


def run_many(root, targets, seconds):
    """Yield (name, good, output) of each as it ends, AT_ONCE at a time."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(run_one, root, target, seconds): os.path.basename(target)
                   for target in targets}
        for future in concurrent.futures.as_completed(waiting):
            yield waiting[future], *future.result()


def finds_a_planted_bug(root, target):
    """A run that cannot find a bug proves nothing: this target has one, which must be reported."""
    good, text = run_one(root, target, SECONDS)
    if good:
        return False, f"the bug that is planted in {os.path.basename(target)} was not found\n{text}"
    if "heap-buffer-overflow" not in text or "or anywhere: echo " not in text:
        return False, f"the planted bug was found but not reported well\n{text}"
    return True, text
