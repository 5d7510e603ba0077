#!/usr/bin/env python3
"""The auth module on a real server: what it keeps, what it hides, and what it does to the
server around it.

Usage: test_auth_server.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment); both must pass.  Each test_
function gets a fresh server with the module and the cheapest bcrypt cost; its docstring is what
must hold.
"""
import base64
import glob
import os
import stat
import time

from auth_support import (PASSWORD, SERVER, closed, expect, flags, login, main, pairs, registered,
                          settings, starts)
from resp_client import Server, lacks


@settings(bcrypt_cost=11, queue_max=2)
def test_the_queue_is_bounded_and_the_server_stays_quick(server):
    """A flood of logins gets BUSY past the bound, and PING is answered meanwhile."""
    c = registered(server)
    flood = [server.client(timeout=60) for _ in range(12)]
    for client in flood:
        client.send("AUTH.LOGIN", "ada", PASSWORD)
    worst = 0
    for _ in range(20):
        begin = time.monotonic()
        c("PING")
        worst = max(worst, time.monotonic() - begin)
    replies = [client.read() for client in flood]
    busy = sum(str(r).startswith("BUSY ") for r in replies)
    assert 6 <= busy <= 10, replies
    assert worst < 0.1, f"PING took {worst:.3f} s"
    flood[0].send("AUTH.LOGIN", "ada", PASSWORD)
    flood[0].close()  # a client that leaves in the middle harms nobody
    time.sleep(0.3)
    login(c)


def test_inside_a_transaction(server):
    """REGISTER works in MULTI, in one unit with other commands; what must block refuses."""
    c = server.client()
    c("MULTI")
    c("AUTH.REGISTER", "ada", PASSWORD)
    c("SET", "profile:ada", "x")
    c("AUTH.LOGIN", "ada", PASSWORD)
    replies = c("EXEC")
    expect(pairs(replies[0])["username"], "ada")
    expect(replies[1], "OK")
    starts(str(replies[2]), "ERR")
    login(c)
    c("MULTI")
    for i in range(8):
        c("AUTH.REGISTER", "user%d" % i, PASSWORD)
    replies = [str(r) for r in c("EXEC")]
    assert any(r.startswith("BUSY ") for r in replies), "hashes on the loop are rationed"


def test_state_survives_restarts(server):
    """Users, sessions, keys and failures come back from the log and from a snapshot."""
    c = registered(server)
    got = login(c)
    second = pairs(c("AUTH.REFRESH", got["refresh"]))
    if not lacks(c, "debug|reload"):
        c("AUTH.VERIFY", second["access"])
    c("BGREWRITEAOF")
    time.sleep(0.5)
    c("CONFIG", "SET", "aof-use-rdb-preamble", "no")
    c("BGREWRITEAOF")
    time.sleep(0.5)
    c("AUTH.REGISTER", "bob", PASSWORD)
    server.stop()
    server.start()
    c = server.client()
    c("AUTH.VERIFY", second["access"])
    expect(pairs(c("AUTH.REFRESH", got["refresh"]))["refresh"], second["refresh"])
    third = pairs(c("AUTH.REFRESH", second["refresh"]))
    c("AUTH.VERIFY", third["access"])
    login(c, "bob")
    expect([pairs(u)["name"] for u in c("AUTH.USERS")], ["ada", "bob"])
    ttl = c("TTL", "auth:session:" + got["session"])
    assert 604790 < ttl <= 604800, ttl


def kek(server):
    return os.path.join(server.dir, "auth.kek")


def test_the_kek_file(server):
    """The KEK is created private; with a lost, wrong or exposed one nothing is signed or replaced,
    tokens still verify, and putting it back heals."""
    c = registered(server)
    assert not os.path.exists(kek(server)), "not before it is needed"
    access = login(c)["access"]
    expect(stat.S_IMODE(os.stat(kek(server)).st_mode), 0o600)
    good = open(kek(server)).read()
    kid = pairs(c("AUTH.KEYS")[0])["kid"]

    def signs(text, mode=0o600):
        server.stop()
        os.unlink(kek(server)) if os.path.exists(kek(server)) else None
        if text is not None:
            with open(os.open(kek(server), os.O_WRONLY | os.O_CREAT, mode), "w") as f:
                f.write(text)
        server.start()
        mine = server.client()
        mine("AUTH.VERIFY", access)
        refused = mine.error("AUTH.LOGIN", "ada", PASSWORD)
        if refused is None:
            return None
        expect(refused, "AUTHKEYS no key to sign with: the server's log says why")
        error = mine.error("AUTH.ROTATE")
        starts(error, "AUTHKEYS")
        assert error[9:] in server.log(), "the reason is logged"
        expect([pairs(k)["kid"] for k in mine("AUTH.KEYS")], [kid])
        return error
    starts(c.error("AUTH.ROTATE", "LATER"), "ERR")
    assert "missing" in signs(None)
    assert not os.path.exists(kek(server)), "a lost KEK is never replaced"
    assert "not the one" in signs("ab" * 32 + "\n")
    assert "owner only" in signs(good, 0o644)
    assert "64 hexadecimal" in signs("nonsense")
    expect(signs(good), None)


def test_secrets_stay_secret(server):
    """No password and no refresh token in the log, the slow log, MONITOR, the AOF or the error log;
    no private key either."""
    c = server.client()
    monitor = server.client()
    c("CONFIG", "SET", "slowlog-log-slower-than", "0")
    monitor("MONITOR")
    c("AUTH.REGISTER", "ada", PASSWORD)
    got = login(c)
    c.error("AUTH.LOGIN", "ada", PASSWORD + "x")
    second = pairs(c("AUTH.REFRESH", got["refresh"]))
    c("AUTH.PASSWD", "ada", PASSWORD, "another password")
    c("PING")
    slow = repr(c("SLOWLOG", "GET", "100"))
    monitor.sock.settimeout(0.3)
    try:
        while True:
            monitor.more()
    except OSError:
        pass
    texts = {"slow log": slow.encode(), "MONITOR": monitor.buf, "log": server.log().encode()}
    for path in glob.glob(server.dir + "/**/*", recursive=True):
        if os.path.isfile(path) and not path.endswith(".kek"):
            texts[path] = open(path, "rb").read()
    raw = [base64.urlsafe_b64decode(t["refresh"] + "==")[16:48] for t in (got, second)]
    for secret in (PASSWORD.encode(), b"another password", got["refresh"].encode(),
                   second["refresh"].encode(), second["access"].encode(), *raw):
        for where, text in texts.items():
            assert secret not in text, f"a secret is in {where}"
    assert b"PING" in monitor.buf.upper(), "MONITOR was listening"


# DUMPs by the first release of the module, whose records had version 1; its key file; and
# a token that it signed.
FIRST_RELEASE = {
    "auth:user:ada": (
        "B4GF6Vq62HTUAQVAiwEBA2FkYaXc6dl3hr1XZVX1VuxXN6Q8JDJiJDA0JGh2ckYvbGtCNTNQdTUuWUZ0"
        "VElreGU4M1lDcFZ3T2Q1ZmUuN2FFM2I3M3J3UHVGS2p5OC9tAQAAAAAAAADX4bEAogEAAAABBHVzZXIC"
        "tty4LfjNZVKhVJefjxKPKok/vFAwK/56XXm2zU9CdHsACgBkIkNEuY1etQ=="),
    "auth:keys": (
        "B4GF6Vq62HTUAQXDQU5BXR8EAfD4v9hEiWX8AgEQMTk4MTc0MjVjOGVlZTc2Md7hsQUAogEAAOSgBwK0"
        "EsBgDx9BBG6FXX6qP27pX4RbYILZ92CfgVwrTkZFHsR+Vk7kOx/j4pv2nGKgCEtB2IzVa1pVbmQlIcqw"
        "Y5Ybj4mJq2Reyx9wYjxVGwMMeeCirVykCCsBbLpuEFz+eAVAaZN6gbc8Zh+WyOKs+lfBjONUMR/4jbJu"
        "X+lUywfcFS7KFdZFQTXrARAQOGZjOTM0NGI3MjQ4YTU4NMCg4AcAH0EE0vOKK2VYZ/hOgvT4EAENNNpf"
        "gDURwYM5Pv8lih7JH47EFgTwNZ7Mt/V4uJhRuH7cVIlezCm7DwZ9ootO34/1H+bWPEPREeMxgLN3lmyD"
        "KCv7zXPQIsDSm4jhQpH5Qw/4Hr0MiJpCaSQycEeSn8QzWqnzNdNDmkEsWyPgUYzqUNQACgCGZYErEXjT"
        "lQ=="),
    "auth:session:893fbc50302bfe7a5d79b6cd4f42747b": (
        "B4GF6Vq62HTUAQVAeQIBiT+8UDAr/npdebbNT0J0ewNhZGGl3OnZd4a9V2VV9VbsVzekAQAAAAAAAADq"
        "4bEAogEAAOplviSiAQAAALWsS1E62N0/S2cuaBj+3sNMWX8h6qy8xoYphM4/UgUvAZTOgRDEVI4+KOIC"
        "fxCsngAAAAAAAAAAAAAACgDuEBgJb43KEA=="),
}
FIRST_KEK = "e4142a57842c0f72ced1d6f2ef5ff959bd59ea862a05b791f432238166282cba"
FIRST_TOKEN = (
        "eyJhbGciOiJFUzI1NiIsImtpZCI6IjhmYzkzNDRiNzI0OGE1ODQiLCJ0eXAiOiJhdCtqd3QifQ.eyJpc"
        "3MiOiJoZWxpb3MiLCJhdWQiOiJoZWxpb3MiLCJzdWIiOiJhNWRjZTlkOTc3ODZiZDU3NjU1NWY1NTZlY"
        "zU3MzdhNCIsIm5hbWUiOiJhZGEiLCJqdGkiOiIwNGJkYTJjZGZlZDhhZmUxNWQwZDU5ZTI4ZDEwZWRlM"
        "CIsInNpZCI6Ijg5M2ZiYzUwMzAyYmZlN2E1ZDc5YjZjZDRmNDI3NDdiIiwicm9sZXMiOlsidXNlciJdL"
        "CJpYXQiOjE3OTUzMDc5ODcsIm5iZiI6MTc5NTMwNzk4NywiZXhwIjoxNzk1MzA4ODg3LCJjdiI6MX0.q"
        "odtZ7acnGVQVH7LG0qnfYuT6P0h7tkaXhCjn-dug21zTw4wYGgxwJtBTQgkn0yI5Y1v0hyCz9J33eLat"
        "RRNTA")


def test_records_of_the_first_release(server):
    """A snapshot of the first release loads: the user logs in, and its keys know their tokens."""
    with open(os.path.join(server.dir, "auth.kek"), "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(FIRST_KEK + "\n")
    c = server.client()
    for key, dump in FIRST_RELEASE.items():
        expect(c("RESTORE", key, "0", base64.b64decode(dump)), "OK")
    assert (c.error("AUTH.VERIFY", FIRST_TOKEN) or "TOKENEXPIRED ").startswith("TOKENEXPIRED ")
    expect([pairs(k)["state"] for k in c("AUTH.KEYS")][-1], "active")
    c("AUTH.VERIFY", login(c)["access"])
    expect(len(c("AUTH.SESSIONS", "ada")) >= 1, True)
    expect(c("AUTH.PASSWD", "ada", PASSWORD, "another password"), "OK")
    starts(c.error("AUTH.PASSWD", "ada", "another password", PASSWORD), "PASSWORDPOLICY")


def test_hostile_keys(server):
    """Values that clients put under our keys are refused, never believed and never overwritten."""
    c = registered(server)
    got = login(c)
    starts(c.error("AUTH.PUT", "auth:user:eve", "0", "x"), "ERR")
    c("SET", "auth:user:eve", "x")
    starts(c.error("AUTH.LOGIN", "eve", PASSWORD), "ERR")
    assert c.error("AUTH.REGISTER", "eve", PASSWORD)
    expect(c("GET", "auth:user:eve"), "x")
    starts(c.error("GET", "auth:user:ada"), "WRONGTYPE")
    c.send("DUMP", "auth:user:ada")
    dump = c.read().encode("latin-1")
    starts(c.error("RESTORE", "auth:user:bob", "0", dump[:40] + b"\xff" + dump[41:]), "ERR")
    c("RESTORE", "auth:user:bob", "0", dump)  # ada's record under another name
    starts(c.error("AUTH.LOGIN", "bob", PASSWORD), "ERR")
    c("RENAME", "auth:session:" + got["session"], "auth:session:" + "0" * 32)
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
    starts(c.error("AUTH.REFRESH", got["refresh"]), "TOKENREVOKED")
    c("COPY", "auth:user:ada", "copy")
    assert c("MEMORY", "USAGE", "auth:user:ada") > 0
    c("DEL", "auth:keys")
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENINVALID")
    c("SET", "auth:keys", "x")
    starts(c.error("AUTH.LOGIN", "ada", PASSWORD), "AUTHKEYS")
    starts(c.error("AUTH.KEYS"), "AUTHKEYS")
    c("DEL", "auth:keys")
    c("AUTH.VERIFY", login(c)["access"])


def test_the_list_of_names(server):
    """However long the list is, pages are in order and hold each name once; what clients wrote into
    it is no user, and a list that is something else is neither believed nor overwritten."""
    c = registered(server, "n250")
    names = ["n%03d" % i for i in range(500)]
    for name in names[::-1]:
        c("HSET", "auth:users", name, "1")
    c("HSET", "auth:users", "a name", "1", "", "1", "x" * 65, "1", "n1\x00", "1")
    got, after = [], []
    while page := [pairs(u) for u in c("AUTH.USERS", "COUNT", 77, *after)]:
        got += page
        after = ["AFTER", page[-1]["name"]]
    expect([u["name"] for u in got], names)
    expect([u["name"] for u in got if "error" not in u], ["n250"])
    c("SET", "auth:users", "x")
    starts(c.error("AUTH.REGISTER", "bob", PASSWORD), "ERR")
    starts(c.error("AUTH.USERS"), "ERR")
    expect(c("GET", "auth:users"), "x")
    expect(c("EXISTS", "auth:user:bob"), 0)


def test_any_database(server):
    """All records live in database 0, whichever one the client has selected."""
    c = server.client()
    c("SELECT", "3")
    c("AUTH.REGISTER", "ada", PASSWORD)
    got = login(c)
    c("AUTH.REFRESH", got["refresh"])
    expect(c("DBSIZE"), 0)
    c("SET", "x", "1")  # still in 3
    c("SELECT", "0")
    expect(c("EXISTS", "x", "auth:user:ada", "auth:session:" + got["session"]), 2)
    server.stop()
    server.start()
    c = server.client()
    c("AUTH.VERIFY", got["access"])
    c("SELECT", "3")
    expect(c("GET", "x"), "1")


def test_documentation(server):
    """COMMAND DOCS knows every command, HELP too, and arity is checked by the server."""
    c = server.client()
    help_lines = c("AUTH.HELP")
    for line in help_lines:
        name = line.split()[0].rstrip(":")
        docs = pairs(pairs(c("COMMAND", "DOCS", name))[name.lower()])
        assert docs["summary"] in line, line
        assert docs["complexity"].startswith("O(")
    for line in ("AUTH.USERS [AFTER name] [COUNT count]: Lists users in the order of their names.",
                 "AUTH.ROLES user [role ...]: Replaces the roles of a user."):
        assert line in help_lines, line
    expect(len(help_lines), 22)
    assert "wrong number of arguments" in c.error("AUTH.LOGIN", "ada")
    assert "wrong number of arguments" in c.error("AUTH.VERIFY")


@settings(lockout_threshold=2, refresh_leeway=0)
def test_every_counter_moves(server):
    """INFO counts what happened, once each."""
    c = registered(server)
    got = login(c)
    c.error("AUTH.LOGIN", "ada", "wrong password")
    pairs(c("AUTH.REFRESH", got["refresh"]))
    time.sleep(0.01)
    c.error("AUTH.REFRESH", got["refresh"])
    c("CONFIG", "SET", "auth.refresh-leeway", "10")
    got = login(c)
    for _ in range(2):
        c("AUTH.REFRESH", got["refresh"])
    c("AUTH.VERIFY", got["access"])
    c("AUTH.LOGOUT", got["access"])
    c.error("AUTH.VERIFY", got["access"])
    for _ in range(3):
        c.error("AUTH.LOGIN", "bob", "wrong password")
    counts = {}
    for line in c("INFO", "everything").splitlines():
        name, _, value = line.partition(":")
        if name.startswith("auth_"):
            counts[name[5:]] = int(value)
    expect(counts, {"registrations": 1, "logins": 2, "login_failures": 3, "login_lockouts": 1,
                    "refreshes": 2, "refresh_replays": 1, "refresh_reuses": 1, "logouts": 1,
                    "verifications": 2, "verification_failures": 1, "busy": 0,
                    "sessions": 1})


def test_acl_login(server):
    """With acl-login a login acts as the ACL user of that name; ACL names cannot be squatted."""
    c = registered(server)
    c("ACL", "SETUSER", "ada", "on", ">native-password", "~*", "+@all")
    c("ACL", "SETUSER", "root", "on", ">native-password", "~*", "+@all")
    login(c)
    expect(c("ACL", "WHOAMI"), "default")
    c("CONFIG", "SET", "auth.acl-login", "yes")
    starts(c.error("AUTH.REGISTER", "root", PASSWORD), "USEREXISTS")
    login(c)
    expect(c("ACL", "WHOAMI"), "ada")
    expect(pairs(c("AUTH.WHOAMI"))["name"], "ada")


@settings(acl_login="yes", refresh_leeway=0)
def test_revoking_closes_live_connections(server):
    """A connection that logged in lives no longer than its session and its user's credentials."""
    c = registered(server)
    c("AUTH.REGISTER", "bob", PASSWORD)
    for name in ("ada", "bob"):
        c("ACL", "SETUSER", name, "on", "~*", "+@all")
    one, two, bob = server.client(), server.client(), server.client()
    first, second = login(one), login(two)
    login(bob, "bob")
    expect(c("AUTH.LOGOUT", first["access"]), 1)
    assert closed(one) and not closed(two)
    again = pairs(c("AUTH.REFRESH", second["refresh"]))
    assert not closed(two)
    time.sleep(0.01)
    starts(c.error("AUTH.REFRESH", second["refresh"]), "TOKENREUSED")
    assert closed(two), "reuse ends the session's connections too"
    starts(c.error("AUTH.VERIFY", again["access"]), "TOKENREVOKED")

    one, two = server.client(), server.client()
    login(one), login(two)
    expect(one("AUTH.PASSWD", "ada", PASSWORD, "another password"), "OK")
    assert closed(two) and not closed(one), "who changed the password may stay"
    login(two := server.client(), password="another password")
    expect(one("AUTH.LOGOUT", login(one, password="another password")["session"], "ALL"), 2)
    assert closed(one) and closed(two)
    one = server.client()
    login(one, password="another password")
    c("AUTH.DISABLE", "ada")
    assert closed(one) and not closed(bob)
    bob.close()
    c("AUTH.DISABLE", "bob")
    c("PING")


def offers_native(c):
    """Whether the server lets modules take part in AUTH: 7.2 brought it."""
    version = c("INFO", "server").split("redis_version:")[1].split(".")[:2]
    if tuple(map(int, version)) >= (7, 2):
        return True
    print("     (before Redis 7.2 modules take no part in AUTH: skipped)")
    return False


@settings(acl_login="yes")
def test_native_auth(server):
    """Where the server offers it, AUTH and HELLO AUTH take a user's password or access token."""
    c = registered(server)
    if not offers_native(c):
        return
    c("ACL", "SETUSER", "ada", "on", ">native-password", "~*", "+@all")
    access = login(server.client())["access"]
    for password in (PASSWORD, access, "native-password"):
        mine = server.client()
        expect(mine("AUTH", "ada", password), "OK")
        expect(mine("ACL", "WHOAMI"), "ada")
        mine("HELLO", "3", "AUTH", "ada", password)
    mine = server.client()
    starts(mine.error("AUTH", "ada", "wrong password"), "WRONGPASS")
    starts(mine.error("AUTH", "ada", access[:-4] + "AAAA"), "WRONGPASS")
    c("AUTH.REGISTER", "bob", PASSWORD)
    c("ACL", "SETUSER", "bob", "on", "~*", "+@all")
    starts(mine.error("AUTH", "bob", access), "WRONGPASS")
    expect(mine("ACL", "WHOAMI"), "default")
    expect(mine("AUTH", "bob", PASSWORD), "OK")
    c("AUTH.DISABLE", "bob")
    assert closed(mine)
    starts(server.client().error("AUTH", "bob", PASSWORD), "WRONGPASS")


@settings(acl_login="yes")
def test_native_hello(server):
    """HELLO AUTH opens a connection that is shut to strangers, and what was sent behind it runs as
    the user; a refused one changes neither protocol nor name."""
    c = registered(server)
    if not offers_native(c):
        return
    c("ACL", "SETUSER", "ada", "on", "~a*", "+@all")
    access = login(server.client())["access"]
    c("CONFIG", "SET", "requirepass", "of the default user")
    for password in (PASSWORD, access):
        mine = server.client()
        mine.send("HELLO", "3", "AUTH", "ada", password, "SETNAME", "mine")
        mine.send("ACL", "WHOAMI")
        mine.send("SET", "apple", "x")
        mine.send("SET", "pear", "x")
        mine.send("CLIENT", "GETNAME")
        hello = mine.read()
        assert isinstance(hello, dict), hello
        expect(hello["proto"], 3)
        expect((mine.read(), mine.read()), ("ada", "OK"))
        starts(str(mine.read()), "NOPERM")
        expect(mine.read(), "mine")
    mine = server.client()
    for password in ("wrong password", access + "x"):
        starts(mine.error("HELLO", "3", "AUTH", "ada", password, "SETNAME", "mine"), "WRONGPASS")
    starts(mine.error("GET", "apple"), "NOAUTH")
    expect(isinstance(mine("HELLO", "2", "AUTH", "ada", PASSWORD), list), True)
    expect(mine("CLIENT", "GETNAME") or "", "")
    expect(mine("ACL", "WHOAMI"), "ada")


@settings(acl_login="yes", bcrypt_cost=10)
def test_native_auth_in_flight(server):
    """Whatever happens while the password is being hashed, nobody becomes somebody by it: the
    client may leave, the user be deleted or disabled; inside MULTI nothing is hashed."""
    c = registered(server)
    if not offers_native(c):
        return
    c("ACL", "SETUSER", "ada", "on", "~*", "+@all")
    for _ in range(5):
        gone = server.client()
        gone.send("AUTH", "ada", PASSWORD)
        gone.close()
    mine = server.client()
    mine.send("AUTH", "ada", PASSWORD)
    c("AUTH.DISABLE", "ada")
    starts(str(mine.read()), "WRONGPASS")
    expect(mine("ACL", "WHOAMI"), "default")
    c("AUTH.ENABLE", "ada")
    mine.send("AUTH", "ada", PASSWORD)
    c("ACL", "DELUSER", "ada")
    starts(str(mine.read()), "WRONGPASS")
    expect(mine("ACL", "WHOAMI"), "default")
    c("ACL", "SETUSER", "ada", "on", "~*", "+@all")
    mine("MULTI")
    mine("AUTH", "ada", PASSWORD)
    mine("ACL", "WHOAMI")
    replies = mine("EXEC")
    starts(str(replies[0]), "WRONGPASS")
    expect(replies[1], "default")
    expect(mine("AUTH", "ada", PASSWORD), "OK")


def test_replicas(server):
    """A replica verifies what its master issued, refuses to write, and carries on when promoted."""
    c = registered(server)
    if lacks(c, "replicaof"):
        return
    got = login(c)
    c("SELECT", "5")
    second = pairs(c("AUTH.REFRESH", got["refresh"]))
    extra = ["--auth.kek-file", kek(server), "--replicaof", "127.0.0.1 %d" % server.port]
    with Server(SERVER, *flags(test_replicas), *extra) as replica:
        r = replica.client()
        until = time.time() + 10
        while "master_link_status:up" not in r("INFO", "replication") and time.time() < until:
            time.sleep(0.05)
        third = login(c)  # through the stream, the others through the snapshot
        c("WAIT", "1", "5000")
        r("AUTH.VERIFY", second["access"])
        r("AUTH.VERIFY", third["access"])
        starts(r.error("AUTH.LOGIN", "ada", PASSWORD), "READONLY")
        starts(r.error("AUTH.REFRESH", second["refresh"]), "READONLY")
        c("AUTH.LOGOUT", third["session"])
        c("WAIT", "1", "5000")
        starts(r.error("AUTH.VERIFY", third["access"]), "TOKENREVOKED")
        r("REPLICAOF", "NO", "ONE")
        expect(pairs(r("AUTH.REFRESH", got["refresh"]))["refresh"], second["refresh"])
        r("AUTH.VERIFY", login(r)["access"])


def test_unloading(server):
    """A module whose values are in the keyspace is not unloaded, and goes on."""
    c = registered(server)
    assert "data types" in c.error("MODULE", "UNLOAD", "auth")
    login(c)


if __name__ == "__main__":
    main(globals())
