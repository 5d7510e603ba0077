#!/usr/bin/env python3
"""What the auth module offers to other modules: whose credential is this, does it still stand?

Usage: test_auth_service.py [SERVER MODULES_DIR [NAME...]]

Method: a test module asks the shared functions as the gateway does.  As test_auth.py otherwise.
"""
import os
import time

from auth_support import MODULES, PASSWORD, expect, login, main, pairs, registered, settings, starts


def asking(server, name="ada"):
    c = registered(server, name)
    c("MODULE", "LOAD", os.path.join(MODULES, "t_identify.so"))
    return c


def test_a_token_is_identified(server):
    """What is told is what AUTH.VERIFY tells, and the roles are those of now."""
    c = asking(server)
    pair = login(c)
    claims = pairs(c("AUTH.VERIFY", pair["access"]))
    who = pairs(c("T.IDENTIFY", pair["access"]))
    expect((who["name"], who["kind"], who["scopes"]), ("ada", 1, []))
    expect([who[x] for x in ("user_id", "token_id", "session", "cv", "roles")],
           [claims[x] for x in ("sub", "jti", "sid", "cv", "roles")])
    expect(who["expires_ms"], claims["exp"] * 1000)
    expect((c("T.STANDS"), c("T.SCOPE", "kv:get"), c("T.SCOPE", "kv:set", "k")), (1, 1, 1))
    c("AUTH.ROLES", "ada", "admin", "user")
    expect(pairs(c("T.IDENTIFY", pair["access"]))["roles"], ["admin", "user"])


def test_whatever_ends_a_token_changes_the_epoch(server):
    """Each way to end a session or a user is refused, said, and seen by who watches the epoch."""
    c = asking(server)
    ends = (lambda got: c("AUTH.LOGOUT", got["access"]),
            lambda got: c("AUTH.LOGOUT", got["refresh"], "ALL"),
            lambda got: c("AUTH.PASSWD", "ada", PASSWORD, PASSWORD + "!"),
            lambda got: c("DEL", "auth:session:" + got["session"]),
            lambda got: c("AUTH.DISABLE", "ada"),
            lambda got: c("FLUSHALL"))
    for number, end in enumerate(ends):
        got = login(c, password=PASSWORD if number < 3 else PASSWORD + "!")
        c("T.IDENTIFY", got["access"])
        before = c("T.EPOCH")
        expect(c("T.STANDS"), 1)
        expect(c("T.EPOCH"), before)
        end(got)
        assert c("T.EPOCH") != before, f"way {number}"
        expect(c("T.STANDS"), 0)
        starts(c.error("T.IDENTIFY", got["access"]), "TOKENREVOKED 3" if number < 5 else
               "TOKENINVALID 1")
        if number == 4:
            c("AUTH.ENABLE", "ada")


@settings(token_ttl=1, clock_skew=0)
def test_an_expired_token_does_not_stand(server):
    """Expiry is told apart from revocation, and needs no change of the epoch."""
    c = asking(server)
    access = login(c)["access"]
    who = pairs(c("T.IDENTIFY", access))
    while time.time() * 1000 < who["expires_ms"]:
        time.sleep(0.02)
    starts(c.error("T.IDENTIFY", access), "TOKENEXPIRED 2")
    expect(c("T.STANDS"), 0)


@settings(clock_skew=0)
def test_a_key_that_is_taken_out_of_use_ends_its_tokens(server):
    """ROTATE lets them live until they expire, ROTATE NOW does not; new ones stand."""
    c = asking(server)
    access = login(c)["access"]
    issued = pairs(c("AUTH.VERIFY", access))["iat"]
    c("T.IDENTIFY", access)
    c("AUTH.ROTATE")
    expect(c("T.STANDS"), 1)
    while time.time() < issued + 1.1:
        time.sleep(0.02)
    before = c("T.EPOCH")
    c("AUTH.ROTATE", "NOW")
    assert c("T.EPOCH") != before
    expect(c("T.STANDS"), 0)
    starts(c.error("T.IDENTIFY", access), "TOKENINVALID 1")
    c("T.IDENTIFY", login(c)["access"])
    expect(c("T.STANDS"), 1)


def test_hostile_credentials(server):
    """Any bytes are refused with a verdict, whoever asks."""
    c = asking(server)
    access = login(c)["access"]
    for text in ("", ".", "..", "a.b.c", "x" * 5000, "\0", "hlk_", access[:-1], access + "A",
                 access + ".", "é" * 40):
        starts(c.error("T.IDENTIFY", text), "TOKENINVALID 1")


if __name__ == "__main__":
    main(globals())
