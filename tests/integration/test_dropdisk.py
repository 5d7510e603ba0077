"""Goal: under dropdisk a killed process loses exactly what it did not sync, or else no crash test
over it means anything.

Method: a small program writes in every way, syncs some of it, and kills itself; the next run of it
prints what it found.
"""
import json
import os
import subprocess
import sys
import tempfile

LIBRARY = os.path.join(os.environ["HELIOS_BUILD"], "tests/support/dropdisk.so")

PROGRAM = r"""
import json, os, sys
root, steps = sys.argv[1], json.loads(sys.argv[2])
found = {}
for folder, dirs, names in os.walk(root):
    dirs[:] = [d for d in dirs if not d.startswith(".")]
    for name in names:
        path = os.path.join(folder, name)
        found[os.path.relpath(path, root)] = open(path).read()
print(json.dumps(found), flush=True)
handles = {}
def handle(name):
    if name not in handles:
        handles[name] = os.open(os.path.join(root, name), os.O_RDWR | os.O_CREAT)
    return handles[name]
for step in steps:
    what, args = step[0], step[1:]
    if what == "write":
        os.pwrite(handle(args[0]), args[2].encode(), args[1])
    elif what == "append":
        os.lseek(handle(args[0]), 0, os.SEEK_END)
        os.write(handle(args[0]), args[1].encode())
    elif what == "truncate":
        os.ftruncate(handle(args[0]), args[1])
    elif what == "sync":
        os.fdatasync(handle(args[0]))
    elif what == "sync_dir":
        fd = os.open(os.path.join(root, args[0]), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    elif what == "rename":
        os.rename(os.path.join(root, args[0]), os.path.join(root, args[1]))
    elif what == "remove":
        os.unlink(os.path.join(root, args[0]))
    elif what == "mkdir":
        os.mkdir(os.path.join(root, args[0]))
    elif what == "stdio":
        open(os.path.join(root, args[0]), "w").write(args[1])
    elif what == "both_replace":  # this process and a child, each a file of its own
        child = os.fork()
        mine = args[0] if child == 0 else args[1]
        for i in range(args[2]):
            fd = os.open(os.path.join(root, mine + ".new"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.write(fd, str(i).encode())
            os.fsync(fd)
            os.close(fd)
            os.rename(os.path.join(root, mine + ".new"), os.path.join(root, mine))
            fd = os.open(root, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    elif what == "exit":
        sys.exit(0)
os.kill(os.getpid(), 9)
"""


def run(root, steps, **env):
    """Run the steps and be killed; what was found before them."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, root, json.dumps(steps)],
                          env={**os.environ, "LD_PRELOAD": LIBRARY, "DROPDISK_DIR": root, **env},
                          stdout=subprocess.PIPE, check=False)
    assert done.returncode in (0, -9), f"the program ended with {done.returncode}"
    return json.loads(done.stdout)


def check(name, steps, expected, before=(), **env):
    """After `before` (all synced) and `steps`, a restart finds `expected`."""
    with tempfile.TemporaryDirectory() as root:
        run(root, list(before) + [["exit"]])
        run(root, steps, **env)
        found = run(root, [["exit"]], **env)
        assert found == expected, f"{name}: found {found}, expected {expected}"


OLD = [["write", "a", 0, "old"]]


def check_crashes_of_the_rebuilding(seed):
    """A start that is killed anywhere while it rebuilds the files loses nothing that was synced."""
    synced = {"a": "new", "c": "c", "d/b": "x"}
    steps = [["mkdir", "d"], ["write", "d/b", 0, "x"], ["sync", "d/b"], ["sync_dir", "d"],
             ["write", "t", 0, "new"], ["sync", "t"], ["rename", "t", "a"], ["sync_dir", ""]]
    died_at = 0
    dies = True
    while dies:
        died_at += 1
        again = died_at // 2 + 1
        with tempfile.TemporaryDirectory() as root:
            run(root, OLD + [["write", "c", 0, "c"], ["exit"]])
            run(root, steps, DROPDISK_SEED=seed)
            codes = [subprocess.run(["true"], check=False, env={
                **os.environ, "LD_PRELOAD": LIBRARY, "DROPDISK_DIR": root, "DROPDISK_SEED": seed,
                "DROPDISK_DIE_AT": str(n)}).returncode for n in (died_at, again)]
            dies = codes[0] == -9
            found = run(root, [["exit"]], DROPDISK_SEED=seed)
            assert found == synced, f"killed at steps {died_at} and {again}: found {found}"
    assert died_at > 10, f"only {died_at} steps"


def main():
    check("nothing happened", [], {"a": "old"}, OLD)
    check("an exit loses nothing", [["write", "a", 0, "new"], ["exit"]], {"a": "new"}, OLD)
    check("a write is lost", [["write", "a", 0, "new"]], {"a": "old"}, OLD)
    check("a synced write stays", [["write", "a", 0, "new"], ["sync", "a"]], {"a": "new"}, OLD)
    check("what follows the sync is lost",
          [["append", "a", "1"], ["sync", "a"], ["append", "a", "2"]], {"a": "old1"}, OLD)
    check("a truncation is lost", [["truncate", "a", 1]], {"a": "old"}, OLD)
    check("a synced one stays", [["truncate", "a", 1], ["sync", "a"]], {"a": "o"}, OLD)
    check("cut and grown again reads as zeros",
          [["truncate", "a", 1], ["truncate", "a", 3], ["sync", "a"]], {"a": "o\0\0"}, OLD)
    check("a new name is lost", [["write", "b", 0, "x"], ["sync", "b"]], {"a": "old"}, OLD)
    check("a synced one stays, its content synced before",
          [["write", "b", 0, "x"], ["sync", "b"], ["sync_dir", ""]], {"a": "old", "b": "x"}, OLD)
    check("a name without content", [["write", "b", 0, "x"], ["sync_dir", ""]],
          {"a": "old", "b": ""}, OLD)
    check("a removal is lost", [["remove", "a"]], {"a": "old"}, OLD)
    check("a synced one stays", [["remove", "a"], ["sync_dir", ""]], {}, OLD)
    check("a number used again is another file",
          [["remove", "a"], ["write", "b", 0, "new"], ["sync", "b"]], {"a": "old"}, OLD)
    replace = [["write", "t", 0, "new"], ["sync", "t"], ["rename", "t", "a"]]
    check("a replacement is lost", replace, {"a": "old"}, OLD)
    check("a synced one stays", replace + [["sync_dir", ""]], {"a": "new"}, OLD)
    check("replaced by what was not synced",
          [["write", "t", 0, "new"], ["rename", "t", "a"], ["sync_dir", ""]], {"a": ""}, OLD)
    check("stdio is seen too", [["stdio", "b", "x"], ["sync", "b"], ["sync_dir", ""]],
          {"a": "old", "b": "x"}, OLD)
    check("folders are as files",
          [["mkdir", "d"], ["write", "d/b", 0, "x"], ["sync", "d/b"], ["sync_dir", "d"]],
          {"a": "old"}, OLD)
    check("and can be synced",
          [["mkdir", "d"], ["sync_dir", ""], ["write", "d/b", 0, "x"], ["sync", "d/b"],
           ["sync_dir", "d"]], {"a": "old", "d/b": "x"}, OLD)
    check("on a kind disk a sync brings all names",
          [["mkdir", "d"], ["write", "d/b", 0, "x"], ["sync", "d/b"], ["write", "c", 0, "x"]],
          {"a": "old", "d/b": "x"}, OLD, DROPDISK_KIND="1")
    check("a disk that lies loses what was synced",
          [["write", "a", 0, "new"], ["sync", "a"], ["sync_dir", ""]], {"a": "old"}, OLD,
          DROPDISK_LIE="1")

    check("a child syncs names at the same time", [["both_replace", "a", "b", 500]],
          {"a": "499", "b": "499"}, OLD)
    for seed in ("0", "7"):
        check_crashes_of_the_rebuilding(seed)

    kept = set()
    for _ in range(30):
        with tempfile.TemporaryDirectory() as root:
            run(root, OLD + [["exit"]])
            run(root, [["write", "a", 0, "new"]], DROPDISK_SEED="7")
            kept.add(run(root, [["exit"]], DROPDISK_SEED="7")["a"])
    assert kept == {"old", "new"}, f"chance keeps some and loses some, found {kept}"
    print("dropdisk loses what it should, and nothing else")


main()
