#!/usr/bin/env python3
"""What the auth module lets in for long: sessions, signing keys and API keys, and how they end.

Usage: test_auth_sessions.py [SERVER MODULES_DIR [NAME...]]

As test_auth.py, which says how these tests run.
"""
import json
import os
import re
import threading
import time

from auth_support import (MODULES, PASSWORD, STOCK, await_that, closed, expect, login, main, pairs,
                          registered, settings, starts)


def sessions(c, *user):
    return [pairs(s) for s in c("AUTH.SESSIONS", *user)]


def test_sessions_are_listed(server):
    """Each login is listed with its device, oldest first; a refresh counts as a use."""
    c = registered(server)
    expect(c("AUTH.SESSIONS", "ada"), [])
    phone = pairs(c("AUTH.LOGIN", "ada", PASSWORD, "DEVICE", "phone; Firefox/140"))
    desk = login(c)
    got = sessions(c, "ada")
    expect([(s["session"], s["device"], s["address"]) for s in got],
           [(phone["session"], "phone; Firefox/140", "127.0.0.1"),
            (desk["session"], "", "127.0.0.1")])
    now = time.time()
    for s in got:
        assert abs(s["created"] - now) < 5 and abs(s["expires"] - now - 604800) < 5, s
    before = got[0]["last_used"]
    time.sleep(max(0.0, before + 1 - time.time()))
    c("AUTH.REFRESH", phone["refresh"])
    assert sessions(c, "ada")[0]["last_used"] > before
    c("AUTH.LOGOUT", phone["session"])
    expect([s["session"] for s in sessions(c, "ada")], [desk["session"]])
    for bad in (("DEVICE",), ("DEVICE", "x" * 65), ("DEVICE", "a\nb"), ("PLACE", "x"),
                ("DEVICE", "x", "y")):
        starts(c.error("AUTH.LOGIN", "ada", PASSWORD, *bad), "ERR")
    starts(c.error("AUTH.SESSIONS", "nobody"), "NOSUCHUSER")
    starts(c.error("AUTH.SESSIONS"), "NOSUCHUSER")
    text = json.dumps(got)
    assert phone["refresh"] not in text and phone["access"] not in text


def test_sessions_are_revoked(server):
    """One, the others, or all of a user: their tokens are refused at once, and no others."""
    c = registered(server)
    a, b, d = (login(c) for _ in range(3))

    def alive():
        return [c.error("AUTH.VERIFY", x["access"]) is None for x in (a, b, d)]

    expect(c("AUTH.SESSION", "REVOKE", a["session"]), 1)
    expect(alive(), [False, True, True])
    starts(c.error("AUTH.REFRESH", a["refresh"]), "TOKENREVOKED")
    starts(c.error("AUTH.SESSION", "REVOKE", a["session"]), "NOSUCHSESSION")
    e = login(c)
    expect(c("AUTH.SESSION", "REVOKE", "OTHERS", b["session"]), 2)
    expect(alive(), [False, True, False])
    expect(c("AUTH.LOGOUT", b["access"], "OTHERS"), 0)
    login(c)
    expect(c("AUTH.LOGOUT", b["access"], "OTHERS"), 1)
    expect(alive(), [False, True, False])
    expect(c("AUTH.SESSION", "REVOKE", "ALL", "ada"), 1)
    expect(alive(), [False, False, False])
    starts(c.error("AUTH.VERIFY", e["access"]), "TOKENREVOKED")
    for bad in (("REVOKE", "xyz"), ("REVOKE", "ALL", "nobody"), ("REVOKE", "OTHERS", "00" * 16),
                ("KEEP", "x"), ("REVOKE", "SOME", "x")):
        assert c.error("AUTH.SESSION", *bad), bad


@settings(acl_login="yes")
def test_revoking_ends_what_a_session_waits_for(server):
    """A connection and its parked blocking call end with the session, within a second."""
    c = registered(server)
    c("MODULE", "LOAD", os.path.join(MODULES, "jobs.so"))
    c("ACL", "SETUSER", "ada", "on", "~*", "+@all")
    waiting, other = server.client(), server.client()
    session = login(waiting)["session"]
    login(other)
    expect([s["session"] for s in sessions(waiting)][0], session)
    ended = []

    def wait():
        try:
            waiting("JOB.PULL", "nothing", "BLOCK", "60000")
        except OSError:
            ended.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    await_that(lambda: "blocked_clients:1" in c("INFO", "clients"))
    revoked = time.monotonic()
    expect(c("AUTH.SESSION", "REVOKE", session), 1)
    thread.join(5)
    assert ended and ended[0] - revoked < 1, "the parked call went on"
    assert not closed(other)


@settings(acl_login="yes", refresh_ttl=1)
def test_a_connection_ends_with_its_session(server):
    """A session that expires takes its connections along, one that was prolonged does not."""
    c = registered(server)
    c("ACL", "SETUSER", "ada", "on", "~*", "+@all")
    ends, stays = server.client(), server.client()
    login(ends)
    kept = login(stays)
    c("CONFIG", "SET", "auth.refresh-ttl", 600)
    c("AUTH.REFRESH", kept["refresh"])
    ends.sock.settimeout(5)
    try:
        while True:
            ends("PING")
            time.sleep(0.05)
    except (ConnectionError, BrokenPipeError):
        pass
    assert not closed(stays)


@settings(key_publish=1, token_ttl=5, clock_skew=0)
def test_a_key_is_published_before_it_signs(server):
    """KEYS ROTATE: the next key is in the JWKS at once, signs after key-publish seconds, and what
    the retired one signed verifies until it has expired; then that key is gone."""
    c = registered(server)
    old = login(c)["access"]

    def states():
        return {k["kid"]: k["state"] for k in map(pairs, c("AUTH.KEYS", "LIST"))}

    def published():
        return {k["kid"] for k in json.loads(c("AUTH.JWKS"))["keys"]}

    first, = states()
    second = c("AUTH.KEYS", "ROTATE", "EdDSA")
    expect(states(), {first: "active", second: "next"})
    expect(published(), {first, second})
    old = login(c)["access"]
    await_that(lambda: states() != {first: "active", second: "next"})
    expect(states(), {first: "retired", second: "active"})
    c("AUTH.VERIFY", old)
    c("AUTH.VERIFY", login(c)["access"])
    await_that(lambda: states() == {second: "active"}, 10)
    expect(published(), {second})
    starts(c.error("AUTH.VERIFY", old), "TOKENINVALID")
    starts(c.error("AUTH.KEYS", "ROTATE", "none"), "ERR")
    starts(c.error("AUTH.KEYS", "TURN"), "ERR")


@settings(key_publish=0, key_lifetime=1)
def test_keys_rotate_by_themselves(server):
    """With key-lifetime a successor is published and takes over; the JWKS holds public halves."""
    c = registered(server)
    expect(json.loads(c("AUTH.JWKS")), {"keys": []})
    access = login(c)["access"]
    first = pairs(c("AUTH.KEYS")[0])["kid"]
    await_that(lambda: any(pairs(k)["kid"] != first and pairs(k)["state"] == "active"
                           for k in c("AUTH.KEYS")))
    c("AUTH.VERIFY", access)
    for key in json.loads(c("AUTH.JWKS"))["keys"]:
        expect((key["kty"], key["crv"], key["use"], "d" in key), ("EC", "P-256", "sig", False))


def created(c, *words):
    return pairs(c("AUTH.APIKEY", "CREATE", *words))


def test_an_api_key_is_shown_once(server):
    """CREATE gives the key, LIST everything but the key, and what is stored cannot make it."""
    c = registered(server)
    c("AUTH.REGISTER", "bob", PASSWORD)
    got = created(c, "build machine", "USER", "ada", "SCOPES", "2", "kv:get", "job:*@ci-*",
                  "TTL", "60")
    key = got.pop("key")
    assert re.fullmatch(r"hlk_[0-9a-f]{16}_[A-Za-z0-9_-]{48}", key), key
    expect((got["name"], got["user"], got["scopes"], got["last_used"]),
           ("build machine", "ada", ["kv:get", "job:*@ci-*"], 0))
    assert abs(got["expires"] - time.time() - 60) < 5
    created(c, "other", "USER", "bob")
    expect(len(c("AUTH.APIKEY", "LIST")), 2)
    expect([pairs(k) for k in c("AUTH.APIKEY", "LIST", "USER", "ada")], [got])
    who = pairs(c("AUTH.WHOAMI", key))
    expect((who["via"], who["name"], who["key"], who["roles"], who["scopes"]),
           ("api-key", "ada", got["id"], ["user"], got["scopes"]))
    await_that(lambda: [pairs(k) for k in c("AUTH.APIKEY", "LIST", "USER", "ada")][0]["last_used"])
    expect(c("AUTH.APIKEY", "REVOKE", got["id"]), "OK")
    starts(c.error("AUTH.WHOAMI", key), "TOKENREVOKED")
    starts(c.error("AUTH.APIKEY", "REVOKE", got["id"]), "NOSUCHKEY")
    expect(c("AUTH.APIKEY", "LIST", "USER", "ada"), [])


def test_bad_api_keys_are_refused(server):
    """Mistyped, forged, expired and orphaned keys; bad wishes for new ones; too many."""
    c = registered(server)
    key = created(c, "k", "USER", "ada")["key"]
    for text in ("hlk_", key[:-1], key + "A", key[:10] + "0" + key[11:] if key[10] != "0" else
                 key[:10] + "1" + key[11:], "hlk_" + "0" * 16 + "_" + "A" * 48):
        starts(c.error("AUTH.WHOAMI", text), "TOKENINVALID")
    short = created(c, "short", "USER", "ada", "TTL", "1")["key"]
    await_that(lambda: (c.error("AUTH.WHOAMI", short) or "").startswith("TOKENEXPIRED"))
    c("AUTH.DISABLE", "ada")
    starts(c.error("AUTH.WHOAMI", key), "TOKENREVOKED")
    c("AUTH.ENABLE", "ada")
    c("AUTH.WHOAMI", key)
    for bad in (("x",), ("", "USER", "ada"), ("x" * 65, "USER", "ada"), ("x", "USER", "nobody"),
                ("x", "USER"), ("x", "USER", "ada", "TTL", "0"), ("x", "USER", "ada", "TTL", "-1"),
                ("x", "USER", "ada", "SCOPES", "2", "kv:get"),
                ("x", "USER", "ada", "SCOPES", "1", "everything"),
                ("x", "USER", "ada", "SCOPES", "0"), ("x", "USER", "ada", "SCOPES", "99999"),
                ("x", "USER", "ada", "WHEN", "now")):
        assert c.error("AUTH.APIKEY", "CREATE", *bad), bad
    c("CONFIG", "SET", "auth.max-api-keys", 3)
    created(c, "third", "USER", "ada")
    starts(c.error("AUTH.APIKEY", "CREATE", "fourth", "USER", "ada"), "ERR there are too many")


def test_api_keys_as_other_modules_see_them(server):
    """The shared functions know keys and their scopes, which narrow and never widen."""
    c = registered(server)
    c("MODULE", "LOAD", os.path.join(MODULES, "t_identify.so"))
    got = created(c, "k", "USER", "ada", "SCOPES", "2", "kv:get@a*", "job:*")
    who = pairs(c("T.IDENTIFY", got["key"]))
    expect([who[x] for x in ("name", "kind", "token_id", "session", "roles", "scopes")],
           ["ada", 2, got["id"], "", ["user"], ["kv:get@a*", "job:*"]])
    expect([c("T.SCOPE", *q) for q in (("kv:get", "ab"), ("kv:get", "b"), ("kv:get",),
                                       ("kv:set", "ab"), ("job:view",), ("admin:users",))],
           [1, 0, 0, 0, 1, 0])
    before = c("T.EPOCH")
    expect(c("T.STANDS"), 1)
    c("AUTH.APIKEY", "REVOKE", got["id"])
    assert c("T.EPOCH") != before
    expect(c("T.STANDS"), 0)
    starts(c.error("T.IDENTIFY", got["key"]), "TOKENREVOKED 3")
    starts(c.error("T.IDENTIFY", "hlk_garbage"), "TOKENINVALID 1")


@settings(acl_login="yes")
def test_an_api_key_opens_a_connection(server):
    """AUTH takes a key without scopes as its user's password, or alone where the default user has a
    password; the connection ends with the key."""
    if STOCK:
        print("     (redis-server 7.0 does not let modules take part in AUTH: skipped)")
        return
    c = registered(server)
    c("ACL", "SETUSER", "ada", "on", "~*", "+@all")
    got = created(c, "k", "USER", "ada")
    narrow = created(c, "n", "USER", "ada", "SCOPES", "1", "kv:get")
    one, two = server.client(), server.client()
    expect(one("AUTH", "ada", got["key"]), "OK")
    c("ACL", "SETUSER", "default", ">something")
    expect(two("AUTH", got["key"]), "OK")
    for client in (one, two):
        expect(client("ACL", "WHOAMI"), "ada")
    starts(server.client().error("AUTH", "bob", got["key"]), "WRONGPASS")
    starts(server.client().error("AUTH", "ada", narrow["key"]), "WRONGPASS")
    c("AUTH.APIKEY", "REVOKE", narrow["id"])
    assert not closed(one)
    c("AUTH.APIKEY", "REVOKE", got["id"])
    assert closed(one) and closed(two)


if __name__ == "__main__":
    main(globals())
