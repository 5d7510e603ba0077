#!/usr/bin/env python3
"""The rbac module on a real server: roles, grants, and that the server enforces what they say.

Usage: test_rbac.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment): the same tests for both, but
for what `denials` needs.  Each test_ function gets a fresh server; its docstring is what must hold.
"""
import os
import random
import re
import sys
import time

from resp_client import Error, Server, lacks, on_server, run_tests

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
MODULE = os.path.join(MODULES, "rbac.so")
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))
BASE = ["--enable-debug-command", "yes", "--enable-module-command", "yes"]
VOLATILE = ["--save", "", "--appendonly", "no"] if STOCK else []
SEED = int(os.environ.get("HELIOS_TEST_SEED", random.SystemRandom().randrange(1 << 30)))


def expect(got, want):
    assert got == want, f"got {str(got)[:500]}, want {str(want)[:500]}"


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def wait_for(true, seconds=10):
    until = time.time() + seconds
    while not true():
        assert time.time() < until, "it did not come true in time"
        time.sleep(0.01)


def login(server, admin, name):
    """A connection as that user, whom the bridge made without a password."""
    admin("ACL", "SETUSER", name, ">pw")
    c = server.client()
    expect(c("AUTH", name, "pw"), "OK")
    return c


def refused(c, *words):
    error = c.error(*words)
    assert error is not None and error.startswith("NOPERM"), f"{words}: {error}"


def test_readme(server):
    """The examples of the README answer as printed."""
    c = server.client()
    with open(os.path.join(HERE, "../../modules/rbac/README.md")) as f:
        block = re.search(r"^```\n(> .*?)^```", f.read(), re.M | re.S).group(1)
    steps = re.findall(r"> (.*)\n((?:[^>].*\n)*)", block)
    assert len(steps) > 8, steps
    for command, answer in steps:
        try:
            got = c(command)
        except Error as e:
            got = f"(error) {e}"
        got = str(got).replace("'", "").replace(",", "")
        pattern = re.escape(" ".join(answer.split())).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, got), f"{command}: got {got}, README says {answer}"


def test_readonly_may_not_write(server):
    """readonly reads and may not write; a role change holds for live connections at once."""
    c = server.client()
    c("SET kv:a 1")
    expect(c("RBAC.GRANT ada readonly"), 1)
    ada = login(server, c, "ada")
    expect(ada("GET kv:a"), "1")
    refused(ada, "SET kv:a 2")
    refused(ada, "GET other")
    refused(ada, "FLUSHALL")
    refused(ada, "RBAC.GRANT ada admin")
    expect(ada("PING"), "PONG")
    expect(c("RBAC.GRANT ada user"), 1)
    expect(ada("SET kv:a 2"), "OK")
    expect(ada("INCR kv:a"), 3)
    expect(ada("DEL kv:a"), 1)
    expect(c("RBAC.REVOKE ada user"), 1)
    refused(ada, "SET kv:a 2")
    expect(c("RBAC.ROLE SET readonly kv:get kv:set"), "OK")
    expect(ada("SET kv:a 2"), "OK")
    expect(c("RBAC.ROLE DEL readonly"), "OK")
    refused(ada, "SET kv:a 2")
    expect(c("RBAC.REVOKE ada"), 1)
    refused(ada, "GET kv:a")
    expect(c("RBAC.GRANT ada admin"), 1)
    expect(ada("FLUSHDB"), "OK")


def test_transactions_and_scripts(server):
    """What is forbidden is forbidden in MULTI and in scripts."""
    c = server.client()
    c("RBAC.ROLE SET clerk +set +get +eval ~app:*")
    c("RBAC.GRANT ada clerk")
    ada = login(server, c, "ada")
    ada("MULTI")
    refused(ada, "SET other 1")
    assert ada.error("EXEC").startswith("EXECABORT")
    ada("MULTI")
    ada("SET app:1 1")
    expect(ada("EXEC"), ["OK"])
    ada("MULTI")
    ada("SET app:1 2")
    c("RBAC.REVOKE ada clerk")
    c("RBAC.GRANT ada readonly")
    ada.send("EXEC")
    reply = ada.read()  # refused as a whole, or its command was
    assert "NOPERM" in str(reply) or "EXECABORT" in str(reply), reply
    expect(c("GET app:1"), "1")
    c("RBAC.GRANT ada clerk")
    c("MULTI")
    c("SET kv:together 1")
    c("RBAC.GRANT eve user")
    expect(c("EXEC"), ["OK", 1])
    assert "eve" in c("ACL USERS"), "rights change with data, in one transaction"
    if not lacks(c, "eval"):
        expect(ada("EVAL", "return redis.call('SET', KEYS[1], 'x')", 1, "app:1"), "OK")
        assert ada.error("EVAL", "return redis.call('DEL', 'app:1')", 0) is not None
        expect(c("GET app:1"), "x")


def test_groups_and_inheritance(server):
    """Rights reach through groups and inherited roles, and go the same way."""
    c = server.client()
    c("RBAC.ROLE SET reader +get %R~doc:*")
    c("RBAC.ROLE", "SET", "writer", "+set", "%W~doc:*", "INHERITS", "reader",
      "DESCRIPTION", "Writes documents.")
    c("RBAC.GRANT @team writer")
    c("RBAC.GRANT ada @team")
    ada = login(server, c, "ada")
    expect(ada("SET doc:1 x"), "OK")
    expect(ada("GET doc:1"), "x")
    refused(ada, "SET doc:1 y GET")
    expect(pairs(c("RBAC.ROLES ada")), {"granted": ["@team"], "effective": ["writer", "reader"]})
    explained = pairs(c("RBAC.EXPLAIN ada COMMAND GET doc:1"))
    expect([explained[k] for k in ("allowed", "rule", "role", "granted", "to")],
           [1, "+get", "reader", "writer", "@team"])
    expect(pairs(c("RBAC.WHOCAN COMMAND SET doc:1 x")),
           {"users": ["ada"], "more": 0, "roles": ["admin", "writer"]})
    expect(c.error("RBAC.ROLE SET reader INHERITS writer"),
           "ERR roles would inherit one another in a cycle")
    expect(c.error("RBAC.ROLE DEL reader"), "ERR another role inherits it")
    c("RBAC.REVOKE @team writer")
    refused(ada, "GET doc:1")


def denials(c):
    """Whether this server's ACL can deny keys and channels."""
    return "rbac_acl_denies_keys:1" in c("INFO everything") + c("INFO modules")


def test_denials(server):
    """A denial beats every permission; where the ACL cannot say it, less is given, never more."""
    c = server.client()
    c("RBAC.ROLE SET all +@all ~* &*")
    c("RBAC.ROLE SET not -~secret:* -%W~fixed:* -&hidden* -flushdb")
    c("RBAC.GRANT ada all not")
    ada = login(server, c, "ada")
    if not denials(c):
        refused(ada, "GET public")
        assert "ada may nothing by RESP" in server.log()
        return
    expect(ada("SET public 1"), "OK")
    expect(ada("GET fixed:1"), None)
    refused(ada, "SET fixed:1 x")
    refused(ada, "GET secret:1")
    refused(ada, "MGET public secret:1")
    if not lacks(c, "publish"):
        refused(ada, "PUBLISH hidden1 m")
    refused(ada, "FLUSHDB")
    expect(c("RBAC.CAN ada COMMAND GET secret:1"), 0)
    expect(c("RBAC.CAN ada COMMAND GET public"), 1)


def test_module_commands(server):
    """Permissions of commands of a module that comes later hold when it comes."""
    c = server.client()
    c("RBAC.GRANT ada user")
    ada = login(server, c, "ada")
    jobs = os.path.join(MODULES, "jobs.so")
    expect(c("MODULE", "LOAD", jobs), "OK")
    wait_for(lambda: ada.error("JOB.PUSH q x") is None, 1)
    refused(ada, "JOB.PULL q")
    expect(ada("JOB.STATS q") is not None, True)


def questions(chance):
    """Commands with keys of some shapes."""
    keys = ["a:1", "a:2", "b:1", "kv:a", "kv:b", "c"]
    return [chance.choice([("GET", k), ("SET", k, "1"), ("DEL", k), ("INCR", k), ("DBSIZE",),
                           ("MGET", k, chance.choice(keys)), ("PING",), ("EXISTS", k), ("TYPE", k)])
            for k in keys for _ in range(3)]


def test_server_decides_as_rbac_does(server):
    """For random roles and commands RBAC.CAN and the server's own ACL agree."""
    c = server.client()
    print(f"     seed {SEED}")
    chance = random.Random(SEED)
    rules = ["+get", "+set", "+@read", "+@write", "-del", "-@keyspace", "~a:*", "%R~b:*", "%W~c",
             "kv:get", "kv:set@a*", "kv:delete", "+@all", "-get", "~*", "-@write"]
    if denials(c):
        rules += ["-~a:1*", "-%W~b*", "-%R~kv:a"]
    agreed = {0: 0, 1: 0}
    for round in range(40):
        c("RBAC.REVOKE ada")
        for r in range(2):
            c("RBAC.ROLE", "SET", f"r{r}", *chance.sample(rules, chance.randrange(1, 5)))
        c("RBAC.GRANT ada r0 r1")
        for command in questions(chance):
            can = c("RBAC.CAN", "ada", "COMMAND", *command)
            acl = c("ACL", "DRYRUN", "ada", *command) == "OK"
            assert can == acl, f"{command}: CAN says {can}, ACL {acl}; {c('ACL LIST')}"
            agreed[can] += 1
    assert min(agreed.values()) > 50, agreed


def test_restart(server):
    """Roles, grants and the ACL users made of them survive a restart and a lost key."""
    c = server.client()
    c("RBAC.ROLE", "SET", "clerk", "+set", "~app:*", "DESCRIPTION", "Two words")
    c("RBAC.GRANT ada clerk")
    c("RBAC.GRANT @g readonly")
    if STOCK:
        c("BGREWRITEAOF")
        wait_for(lambda: "aof_rewrite_in_progress:0" in c("INFO persistence") and
                 "aof_rewrite_scheduled:0" in c("INFO persistence"))
    c("RBAC.GRANT ada @g")
    server.stop()
    server.start()
    c = server.client()
    expect(pairs(c("RBAC.ROLES ada"))["granted"], ["@g", "clerk"])
    expect(pairs(c("RBAC.ROLE GET clerk"))["description"], "Two words")
    wait_for(lambda: "ada" in c("ACL USERS"), 1)
    ada = login(server, c, "ada")
    expect(ada("SET app:1 x"), "OK")
    refused(ada, "SET kv:1 x")
    c.send("DUMP", "rbac:policy")
    payload = c.read().encode("latin-1")
    expect(c("DEL rbac:policy"), 1)
    wait_for(lambda: (ada.error("SET app:1 x") or "").startswith("NOPERM"), 1)
    expect(c("RESTORE", "rbac:policy", 0, payload), "OK")
    wait_for(lambda: ada.error("SET app:1 x") is None, 1)


test_restart.args = ["--appendonly", "yes"] if STOCK else []


def test_hostile_restore(server):
    """No damaged payload, its checksum put right, harms the server."""
    c = server.client()
    c("RBAC.ROLE SET a +get ~x* INHERITS readonly")
    c("RBAC.GRANT ada a user")
    c.send("DUMP", "rbac:policy")
    good = c.read().encode("latin-1")
    refusals = 0
    for at in range(10, len(good) - 10):
        for value in (0, 0x7f, 0xff, good[at] ^ 1):
            bad = good[:at] + bytes([value]) + good[at + 1:-8]
            c.send("RESTORE", "rbac:policy", 0, bad + crc64(bad).to_bytes(8, "little"), "REPLACE")
            refusals += isinstance(c.read(), Error)
            c("RBAC.CAN ada kv:get x")
    assert refusals > 100, refusals
    expect(c("PING"), "PONG")


def crc64(data):
    """The checksum at the end of a DUMP payload."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def test_existing_users(server):
    """Passwords and on/off of an ACL user are left alone; `default` too."""
    c = server.client()
    c("ACL SETUSER bob on >secret +@all ~*")
    c("RBAC.GRANT bob readonly")
    bob = server.client()
    bob("AUTH bob secret")
    refused(bob, "SET kv:a 1")
    c("RBAC.REVOKE bob")
    refused(bob, "GET kv:a")
    expect(bob.error("AUTH bob secret"), None)
    c("RBAC.GRANT default readonly")
    expect(c("SET x 1"), "OK")
    c("RBAC.GRANT eve user")
    assert "eve" in c("ACL USERS")
    c("RBAC.REVOKE eve")
    assert "eve" not in c("ACL USERS")


def test_bad_arguments(server):
    """What is no role, rule, name or question is refused with a reason."""
    c = server.client()
    for line in ("RBAC.ROLE SET r get", "RBAC.ROLE SET r +", "RBAC.ROLE SET admin kv:get",
                 "RBAC.ROLE SET r INHERITS nobody", "RBAC.ROLE DEL nobody", "RBAC.ROLE DEL admin",
                 "RBAC.ROLE FOO", "RBAC.ROLE SET r DESCRIPTION a b", "RBAC.GRANT ada nobody",
                 "RBAC.GRANT @g @h", "RBAC.GRANT a(b user", "RBAC.CAN ada nonsense",
                 "RBAC.CAN ada kv:*", "RBAC.CAN ada kv:get a b", "RBAC.CAN ada COMMAND nosuch",
                 "RBAC.CAN ada COMMAND", "RBAC.CAN ada", "RBAC.ROLES COUNT 0", "RBAC.WHOCAN",
                 "RBAC._PUT rbac:policy x", "CONFIG SET rbac.default-role a,b"):
        error = c.error(line)
        assert error is not None and error.split()[0] in ("ERR", "NOROLE"), f"{line}: {error}"
    expect(c("EXISTS rbac:policy"), 0)
    c("SET rbac:policy x")
    assert c.error("RBAC.GRANT ada user").startswith("WRONGTYPE")
    expect(c("RBAC.CAN ada kv:get"), 0)


def test_info_docs_and_unload(server):
    """INFO counts, COMMAND DOCS explains; the module goes and comes again."""
    c = server.client()
    c("RBAC.GRANT ada user")
    expect(c("RBAC.CAN ada kv:get"), 1)
    expect(c("RBAC.CHECK nobody kv:get"), 1)
    c("CONFIG", "SET", "rbac.default-role", "")
    expect(c("RBAC.CHECK nobody kv:get"), 0)
    info = c("INFO modules") + c("INFO everything")
    assert "rbac_allowed:2" in info and "rbac_acl_renewed:1" in info, info
    assert "Tells which rule decides." in str(c("COMMAND DOCS RBAC.EXPLAIN"))
    expect(c("RBAC.ROLES"), ["ada"])
    assert len(c("RBAC.HELP")) > 5
    assert "data types" in c.error("MODULE UNLOAD rbac"), "a policy is there"
    c("RBAC.REVOKE ada")
    expect(c.error("MODULE UNLOAD rbac") is None, not STOCK)
    if not STOCK:
        expect(c.error("RBAC.CAN ada kv:get").split()[0], "ERR")
        expect(c("MODULE", "LOAD", MODULE), "OK")
        expect(c("RBAC.CAN ada kv:get"), 1)
    if not lacks(c, "module|reload"):
        c("RBAC.GRANT ada readonly")
        ada = login(server, c, "ada")
        expect(c("MODULE RELOAD rbac"), "OK")
        expect(c("RBAC.CAN ada kv:set"), 0)
        refused(ada, "SET kv:a 1")
        c("RBAC.GRANT ada user")
        expect(ada("SET kv:a 1"), "OK")


def run(test):
    flags = getattr(test, "args", VOLATILE)
    on_server(Server(SERVER, "--loadmodule", MODULE, *BASE, *flags), test)


if __name__ == "__main__":
    run_tests(globals(), run)
