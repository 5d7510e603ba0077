#!/usr/bin/env python3
"""What the auth module gives those who look after users: the first administrator, the rules for
passwords, the audit trail, and the end of a user.

Usage: test_auth_admin.py [SERVER MODULES_DIR [NAME...]]

As test_auth.py, which says how these tests run.
"""
import os
import stat

from auth_support import (FAILED, MODULES, PASSWORD, SERVER, STOCK, await_that, expect, flags,
                          login, main, pairs, registered, settings, starts)
from resp_client import Server, free_port

ADMIN_VARIABLES = ("HELIOS_ADMIN_PASSWORD", "HELIOS_ADMIN_USER")


def token_of(server):
    """The one-time token in the file that the log names."""
    path = os.path.join(server.dir, "auth.bootstrap")
    await_that(lambda: "there is no administrator yet" in server.log())
    assert "auth.bootstrap" in server.log()
    expect(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    with open(path) as f:
        token = f.read().strip()
    assert token not in server.log(), "the log holds the token"
    return token


def test_the_first_administrator_by_token(server):
    """The token makes one administrator, once; then it is void, its file gone, the door closed."""
    token = token_of(server)
    c = server.client()
    for bad in ("", "x", token[:-1], token + "x", token.swapcase()):
        starts(c.error("AUTH.BOOTSTRAP", bad, "root", PASSWORD), "AUTHFAILED")
    starts(c.error("AUTH.BOOTSTRAP", token, "root", "short"), "PASSWORDPOLICY")
    starts(c.error("AUTH.BOOTSTRAP", token, "no name!", PASSWORD), "ERR")
    got = pairs(c("AUTH.BOOTSTRAP", token, "root", PASSWORD))
    expect((got["username"], got["roles"]), ("root", ["admin", "user"]))
    expect(pairs(c("AUTH.VERIFY", login(c, "root")["access"]))["roles"], ["admin", "user"])
    starts(c.error("AUTH.BOOTSTRAP", token, "second", PASSWORD), "BOOTSTRAPCLOSED")
    await_that(lambda: not os.path.exists(os.path.join(server.dir, "auth.bootstrap")))
    server.stop()
    server.start()
    c = server.client()
    starts(c.error("AUTH.BOOTSTRAP", token, "second", PASSWORD), "BOOTSTRAPCLOSED")
    assert not os.path.exists(os.path.join(server.dir, "auth.bootstrap"))


def test_racers_for_the_first_administrator(server):
    """Of many with the token at once, one becomes administrator."""
    token = token_of(server)
    clients = [server.client() for _ in range(8)]
    for i, client in enumerate(clients):
        client.send("AUTH.BOOTSTRAP", token, f"root{i}", PASSWORD)
    replies = [client.read() for client in clients]
    made = [r for r in replies if isinstance(r, list)]
    expect(len(made), 1)
    for reply in replies:
        assert reply in made or str(reply).startswith("BOOTSTRAPCLOSED"), reply
    expect(len(clients[0]("AUTH.USERS")), 1)


def test_a_token_survives_a_restart(server):
    """Whoever noted the token may still use it."""
    token = token_of(server)
    server.stop()
    server.start()
    c = server.client()
    await_that(lambda: server.log().count("there is no administrator yet") == 2)
    expect(token_of(server), token)
    c("AUTH.BOOTSTRAP", token, "root", PASSWORD)


def with_rbac(test):
    return Server(SERVER, *flags(test), "--loadmodule", os.path.join(MODULES, "rbac.so"))


def test_the_first_administrator_by_environment(server):
    """HELIOS_ADMIN_PASSWORD makes the user at the first start, with every right; later starts, with
    another password, change nothing.  A password that breaks the rules is refused at once."""
    server.stop()
    other = with_rbac(test_the_first_administrator_by_environment)
    os.environ.update(HELIOS_ADMIN_PASSWORD="the first of its kind", HELIOS_ADMIN_USER="chief")
    try:
        with other:
            c = other.client()
            starts(c.error("AUTH.REGISTER", "chief", PASSWORD), "USEREXISTS")
            await_that(lambda: len(c("AUTH.USERS")) == 1)
            claims = pairs(c("AUTH.VERIFY", login(c, "chief", "the first of its kind")["access"]))
            expect((claims["name"], claims["roles"]), ("chief", ["admin", "user"]))
            expect(c("RBAC.CAN", "chief", "admin:anything"), 1)
            starts(c.error("AUTH.BOOTSTRAP", "x", "second", PASSWORD), "BOOTSTRAPCLOSED")
            assert "the first of its kind" not in other.log()
            other.stop()
            os.environ["HELIOS_ADMIN_PASSWORD"] = "quite another one"
            other.start()
            c = other.client()
            login(c, "chief", "the first of its kind")
            expect(c.error("AUTH.LOGIN", "chief", "quite another one"), FAILED)
        os.environ["HELIOS_ADMIN_PASSWORD"] = "chief123"
        try:
            with with_rbac(test_the_first_administrator_by_environment):
                raise AssertionError("a password of the user's name was taken")
        except RuntimeError as e:
            assert "user's name" in str(e) and "chief123" not in str(e), e
    finally:
        for name in ADMIN_VARIABLES:
            os.environ.pop(name, None)


def test_the_first_administrator_by_file(server):
    """The file must be private; once the administrator was made it may go."""
    server.stop()
    path = os.path.join(server.dir, "password")
    with open(path, "w") as f:
        f.write("a password in a file\n")
    os.chmod(path, 0o640)
    again = Server(SERVER, *flags(test_the_first_administrator_by_file),
                   "--auth.admin-password-file", path)
    try:
        again.start()
        raise AssertionError("a file that others can read was trusted")
    except RuntimeError as e:
        assert "chmod 600" in str(e), e
    os.chmod(path, 0o600)
    with again:
        c = again.client()
        await_that(lambda: len(c("AUTH.USERS")) == 1)
        login(c, "admin", "a password in a file")
        os.unlink(path)
        again.stop()
        again.start()
        login(again.client(), "admin", "a password in a file")


@settings(password_min=10, password_history=2)
def test_password_rules(server):
    """Length, names, what everybody tries, what was used before; nothing about composition."""
    c = server.client()
    for name, password, rule in (("ada", "short", "at least 8"),
                                 ("ada", "ninechars", "at least 10"),
                                 ("ada", "x" * 73, "at most 72"), ("ada", "Password123", "tries"),
                                 ("ada", "adaADAadaAda", "name"), ("ada", "Helios-helios!", "name"),
                                 ("longname", "LongName42..", None),
                                 ("ada", "aaaa aaaa aaaa", None), ("bob", "x" * 72, None)):
        error = c.error("AUTH.REGISTER", name, password)
        if rule is None:
            expect(error, None)
        else:
            starts(error, "PASSWORDPOLICY")
            assert rule in error and password not in error, error
    words = ["aaaa aaaa aaaa"] + [f"password number {i}" for i in range(4)]
    for old, new in zip(words, words[1:3]):
        expect(c("AUTH.PASSWD", "ada", old, new), "OK")
    for former in words[:3]:
        starts(c.error("AUTH.PASSWD", "ada", words[2], former), "PASSWORDPOLICY")
    expect(c("AUTH.PASSWD", "ada", words[2], words[3]), "OK")
    expect(c("AUTH.PASSWD", "ada", words[3], words[0]), "OK")
    expect(c.error("AUTH.PASSWD", "ada", "the wrong one", words[0]), FAILED)


def test_a_list_of_denied_passwords(server):
    """The file of password-deny-file is read at the start; a missing one is an error."""
    server.stop()
    path = os.path.join(server.dir, "denied")
    again = Server(SERVER, *flags(test_a_list_of_denied_passwords), "--auth.password-deny-file",
                   path)
    try:
        again.start()
        raise AssertionError("a missing list was ignored")
    except RuntimeError as e:
        assert path in str(e)
    with open(path, "w") as f:
        f.write("Correct Horse\r\n\n" + "y" * 100 + "\nlast line without end")
    with again:
        c = again.client()
        for denied in ("correct horse", "CORRECT HORSE", "last line without end", "iloveyou"):
            starts(c.error("AUTH.REGISTER", "ada", denied), "PASSWORDPOLICY")
        c("AUTH.REGISTER", "ada", "y" * 50)
        c("AUTH.REGISTER", "alice", "secret123")


def trail(c, *words):
    return [pairs(e) for e in c("AUTH.AUDIT", *words)]


def test_the_audit_trail(server):
    """Who did what, in order, with names and no secrets; pages, filters, and a chain that holds."""
    c = registered(server)
    got = login(c)
    starts(c.error("AUTH.LOGIN", "ada", "wrong password"), "AUTHFAILED")
    c("AUTH.ROLES", "ada", "admin")
    c("AUTH.PASSWD", "ada", PASSWORD, "another password")
    again = login(c, password="another password")
    c("AUTH.LOGOUT", again["access"])
    key = pairs(c("AUTH.APIKEY", "CREATE", "k", "USER", "ada"))
    c("AUTH.APIKEY", "REVOKE", key["id"])
    c("AUTH.DISABLE", "ada")
    entries = trail(c)
    expect([(e["actor"], e["action"], e["result"]) for e in entries],
           [("ada", "register", "ok"), ("ada", "login", "ok"), ("ada", "login", "failed"),
            ("default", "roles", "ok"), ("ada", "password", "ok"), ("ada", "login", "ok"),
            ("ada", "logout", "ok"), ("default", "apikey-create", "ok"),
            ("default", "apikey-revoke", "ok"), ("default", "disable", "ok")])
    expect([e["index"] for e in entries], list(range(1, 11)))
    expect({e["address"] for e in entries}, {"127.0.0.1"})
    expect(entries[1]["target"], got["session"])
    for secret in (PASSWORD, "another password", "wrong password", got["access"], got["refresh"],
                   key["key"].split("_", 2)[2]):
        assert secret not in str(entries)
    expect([e["index"] for e in trail(c, "AFTER", "2", "COUNT", "3")], [3, 4, 5])
    expect([e["index"] for e in trail(c, "ACTION", "login", "USER", "ada")], [2, 3, 6])
    expect(trail(c, "AFTER", "10"), [])
    expect(c("AUTH.AUDIT", "VERIFY"), 10)
    for bad in (("AFTER", "x"), ("COUNT", "0"), ("COUNT", "1001"), ("WHO",), ("WHO", "x")):
        starts(c.error("AUTH.AUDIT", *bad), "ERR")
    c("RENAME", "auth:audit:4", "elsewhere")
    starts(c.error("AUTH.AUDIT", "VERIFY"), "AUDITBROKEN entry 4")
    c("RENAME", "elsewhere", "auth:audit:4")
    expect(c("AUTH.AUDIT", "VERIFY"), 10)
    c("RENAME", "auth:audit:10", "elsewhere")
    starts(c.error("AUTH.AUDIT", "VERIFY"), "AUDITBROKEN")


@settings(audit_max=5, lockout_threshold=100)
def test_the_audit_trail_is_bounded(server):
    """Old entries make room; sprayed failures are counted instead of noted one by one."""
    c = registered(server)
    for _ in range(40):
        c.error("AUTH.LOGIN", "ada", "wrong password")
    login(c)
    entries = trail(c)
    expect(len(entries), 5)
    noted = entries[-1]["index"] - 2
    assert noted + sum(e["omitted"] for e in entries) <= 40 and noted < 40, entries
    assert entries[-1]["action"] == "login" and entries[-1]["result"] == "ok"
    expect(c("AUTH.AUDIT", "VERIFY"), 5)
    c("CONFIG", "SET", "auth.audit-max", 0)
    login(c)
    expect(trail(c)[-1]["index"], entries[-1]["index"])


def test_metrics_move(server):
    """What INFO counts the module metrics shows, and how many sessions there are."""
    if STOCK:
        print("     (redis-server keeps no metrics for modules: skipped)")
        return
    server.stop()
    again = Server(SERVER, *flags(test_metrics_move), "--loadmodule",
                   os.path.join(MODULES, "metrics.so"), "--metrics.listen",
                   f"127.0.0.1:{free_port()}")
    with again:
        c = again.client()

        def value(name):
            series = pairs(c("METRICS.GET", "auth_" + name))["series"]
            return float(pairs(series[0])["value"])

        expect((value("logins_total"), value("sessions")), (0, 0))
        c("AUTH.REGISTER", "ada", PASSWORD)
        c.error("AUTH.LOGIN", "ada", "wrong password")
        login(c)
        got = login(c)
        c("AUTH.VERIFY", got["access"])
        c("AUTH.REFRESH", got["refresh"])
        expect([value(name) for name in ("registrations_total", "logins_total", "sessions",
                                         "login_failures_total", "verifications_total",
                                         "refreshes_total")], [1, 2, 2, 1, 1, 1])
        c("AUTH.LOGOUT", got["session"])
        expect((value("sessions"), value("logouts_total")), (1, 1))


def test_a_user_is_described_and_deleted(server):
    """By name or id; with a user go sessions and API keys, and nothing comes back by the name."""
    c = registered(server)
    c("AUTH.REGISTER", "bob", PASSWORD)
    ada = pairs(c("AUTH.USER", "ada"))
    expect(pairs(c("AUTH.USER", ada["user_id"])), ada)
    expect([pairs(u) for u in c("AUTH.USERS")][0], ada)
    starts(c.error("AUTH.USER", "0" * 32), "NOSUCHUSER")
    got = login(c)
    key = pairs(c("AUTH.APIKEY", "CREATE", "k", "USER", "ada"))["key"]
    kept = pairs(c("AUTH.APIKEY", "CREATE", "k", "USER", "bob"))["key"]
    expect(c("AUTH.DELUSER", ada["user_id"]), "OK")
    starts(c.error("AUTH.DELUSER", "ada"), "NOSUCHUSER")
    expect([pairs(u)["name"] for u in c("AUTH.USERS")], ["bob"])
    c("AUTH.REGISTER", "ada", PASSWORD)
    for text in (got["access"], key):
        starts(c.error("AUTH.WHOAMI", text), "TOKENREVOKED")
    starts(c.error("AUTH.REFRESH", got["refresh"]), "TOKENREVOKED")
    expect(pairs(c("AUTH.WHOAMI", kept))["name"], "bob")


if __name__ == "__main__":
    main(globals())
