#!/usr/bin/env python3
"""The auth module on a real server: users, passwords and tokens.

Usage: test_auth.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment); both must pass.  Each test_
function gets a fresh server with the module and the cheapest bcrypt cost; its docstring is what
must hold.
"""
import base64
import hashlib
import hmac
import json
import threading
import time

from auth_support import (FAILED, PASSWORD, expect, login, main, pairs, registered, settings,
                          starts)


def test_a_login_gives_tokens_that_verify(server):
    """Registering, logging in and verifying tell one story, in RESP2 and as maps in RESP3."""
    c = server.client()
    user = pairs(c("AUTH.REGISTER", "ada", PASSWORD))
    expect((user["username"], user["roles"], len(user["user_id"])), ("ada", ["user"], 32))
    got = login(c)
    expect((got["token_type"], got["user_id"]), ("Bearer", user["user_id"]))
    assert 898 <= got["expires_in"] <= 900 and 604798 <= got["refresh_expires_in"] <= 604800
    c("HELLO", "3")
    claims = c("AUTH.VERIFY", got["access"])
    assert isinstance(claims, dict), "a map in RESP3"
    expect([claims[name] for name in ("sub", "name", "roles", "sid", "iss", "aud")],
           [user["user_id"], "ada", ["user"], got["session"], "helios", "helios"])
    expect(claims["exp"] - claims["iat"], 900)
    assert abs(claims["iat"] - time.time()) < 5
    expect(c("AUTH.WHOAMI", got["access"])["name"], "ada")
    expect(c("AUTH.WHOAMI"), {"via": "connection", "name": "default"})
    assert login(c)["session"] != got["session"], "each login is a session of its own"
    expect(c.error("AUTH.REGISTER", "ada", PASSWORD), "USEREXISTS the name is taken")


def test_other_libraries_verify_our_tokens(server):
    """The published keys are proper JWKs: PyJWT verifies ES256 and EdDSA tokens with them."""
    try:
        import jwt
        from jwt.algorithms import ECAlgorithm, OKPAlgorithm
    except ImportError:
        print("     (PyJWT is missing: skipped)")
        return
    c = registered(server)
    for name, algorithm in (("ES256", ECAlgorithm), ("EdDSA", OKPAlgorithm)):
        c("CONFIG", "SET", "auth.algorithm", name)
        kid = c("AUTH.ROTATE")
        access = login(c)["access"]
        header = jwt.get_unverified_header(access)
        expect(header, {"alg": name, "kid": kid, "typ": "at+jwt"})
        key = next(k for k in map(pairs, c("AUTH.KEYS")) if k["kid"] == kid)
        public = algorithm.from_jwk(key["jwk"])
        claims = jwt.decode(access, public, algorithms=[name], audience="helios", issuer="helios")
        expect(claims["name"], "ada")
        expect(pairs(c("AUTH.VERIFY", access))["jti"], claims["jti"])


def test_issuer_and_audience_are_judged_as_they_are_set_now(server):
    """A token that verified a moment ago does not when it is for somebody else."""
    c = registered(server)
    access = login(c)["access"]
    for name in ("issuer", "audience"):
        c("AUTH.VERIFY", access)
        c("CONFIG", "SET", "auth." + name, "another")
        starts(c.error("AUTH.VERIFY", access), "TOKENINVALID")
        c("CONFIG", "SET", "auth." + name, "helios")
    c("AUTH.VERIFY", access)
    assert c.error("CONFIG", "SET", "auth.issuer", "")
    assert c.error("CONFIG", "SET", "auth.issuer", "x" * 129)
    assert c.error("CONFIG", "SET", "auth.kek-file", "elsewhere")


def test_hs256_on_request(server):
    """HS256 keys sign and verify, and have no public half to publish."""
    c = registered(server)
    c("CONFIG", "SET", "auth.algorithm", "HS256")
    c("AUTH.ROTATE")
    access = login(c)["access"]
    expect(pairs(c("AUTH.VERIFY", access))["name"], "ada")
    expect(pairs(c("AUTH.KEYS")[-1])["jwk"], "")


def test_bad_passwords_and_names_are_refused(server):
    """What bcrypt would cut is refused, and a refusal never says whether a user exists."""
    c = registered(server)
    for bad in (b"", b"seven77", b"x" * 73, b"eight888\x00more"):
        starts(c.error("AUTH.REGISTER", "bob", bad), "PASSWORDPOLICY")
        starts(c.error("AUTH.PASSWD", "ada", PASSWORD, bad), "PASSWORDPOLICY")
        expect(c.error("AUTH.LOGIN", "ada", bad), FAILED)
    for bad in ("", "a b", "a:b", "{x}", "n" * 65, "default", "DEFAULT"):
        assert c.error("AUTH.REGISTER", bad, PASSWORD), bad
    expect(c.error("AUTH.LOGIN", "ada", PASSWORD + "x"), FAILED)
    expect(c.error("AUTH.LOGIN", "nobody", PASSWORD), FAILED)
    expect(c.error("AUTH.LOGIN", "no body", PASSWORD), FAILED)
    c("AUTH.REGISTER", "max", "x" * 72)
    login(c, "max", "x" * 72)
    expect(c.error("AUTH.LOGIN", "max", "x" * 71), FAILED)
    expect(c.error("AUTH.LOGIN", "max", "x" * 73), FAILED)


@settings(bcrypt_cost=8, lockout_threshold=100)
def test_an_unknown_user_takes_as_long(server):
    """The time of a refusal does not say whether a user exists."""
    c = registered(server)

    best = {"ada": 9.0, "bob": 9.0}
    for attempt in range(99):  # a busy machine only adds time, so the best of many is the truth
        for name in best:
            begin = time.monotonic()
            expect(c.error("AUTH.LOGIN", name, "wrong password"), FAILED)
            best[name] = min(best[name], time.monotonic() - begin)
        ratio = best["ada"] / best["bob"]
        if attempt >= 4 and 0.67 < ratio < 1.5:
            return
    raise AssertionError(f"known and unknown users take different times: {best}")


@settings(refresh_leeway=10)
def test_refresh_rotates_and_racers_get_one_successor(server):
    """Each refresh gives a new pair; racers within the leeway get the same one, byte for byte."""
    c = registered(server)
    first = login(c)
    got = []

    def race():
        mine = server.client()
        got.append(pairs(mine("AUTH.REFRESH", first["refresh"])))
        mine.close()
    racers = [threading.Thread(target=race) for _ in range(8)]
    for r in racers:
        r.start()
    for r in racers:
        r.join()
    expect(len({(p["access"], p["refresh"]) for p in got}), 1)
    assert got[0]["refresh"] != first["refresh"] and got[0]["session"] == first["session"]
    expect(len(got), 8)
    second = pairs(c("AUTH.REFRESH", got[0]["refresh"]))
    c("AUTH.VERIFY", second["access"])
    c("AUTH.VERIFY", first["access"])  # an older access token lives until it expires


@settings(refresh_leeway=0)
def test_a_refresh_token_used_twice_ends_the_session(server):
    """Reuse revokes the family: the thief's and the owner's tokens die together."""
    c = registered(server)
    first, other = login(c), login(c)
    second = pairs(c("AUTH.REFRESH", first["refresh"]))
    time.sleep(0.01)
    starts(c.error("AUTH.REFRESH", first["refresh"]), "TOKENREUSED")
    starts(c.error("AUTH.REFRESH", second["refresh"]), "TOKENREVOKED")
    starts(c.error("AUTH.VERIFY", second["access"]), "TOKENREVOKED")
    c("AUTH.VERIFY", other["access"])
    c("AUTH.REFRESH", other["refresh"])


def test_forged_refresh_tokens_change_nothing(server):
    """Knowing a session's id is not enough to end it."""
    c = registered(server)
    first = login(c)
    for at in (30, 60, 80, 85):
        forged = first["refresh"]
        forged = forged[:at] + ("A" if forged[at] != "A" else "B") + forged[at + 1:]
        starts(c.error("AUTH.REFRESH", forged), "TOKENINVALID")
        starts(c.error("AUTH.LOGOUT", forged), "TOKENINVALID")
    for bad in ("", "x", "A" * 86, "a.b.c", first["access"], b"\xff" * 86):
        assert c.error("AUTH.REFRESH", bad), bad
    c("AUTH.REFRESH", first["refresh"])


@settings(token_ttl=1, refresh_ttl=2, clock_skew=0)
def test_tokens_and_sessions_expire(server):
    """An access token ends after its seconds, a session after its own."""
    c = registered(server)
    got = login(c)
    c("AUTH.VERIFY", got["access"])
    time.sleep(1.1)
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENEXPIRED")
    got = pairs(c("AUTH.REFRESH", got["refresh"]))
    time.sleep(2.1)
    assert c.error("AUTH.REFRESH", got["refresh"]).split()[0] in ("TOKENEXPIRED", "TOKENREVOKED")


def test_logging_out(server):
    """LOGOUT by each kind of token ends the session at once; ALL ends every session."""
    c = registered(server)
    for kind in ("access", "refresh", "session"):
        got, other = login(c), login(c)
        expect(c("AUTH.LOGOUT", got[kind]), 1)
        starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
        starts(c.error("AUTH.REFRESH", got["refresh"]), "TOKENREVOKED")
        starts(c.error("AUTH.LOGOUT", got[kind]), "TOKENREVOKED")
        c("AUTH.VERIFY", other["access"])
        expect(c("AUTH.LOGOUT", other["access"], "all"), 1)
    three = [login(c) for _ in range(3)]
    expect(c("AUTH.LOGOUT", three[1]["refresh"], "ALL"), 3)
    for got in three:
        starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
    expect(c.error("AUTH.LOGOUT", three[0]["access"], "SOME"), "ERR syntax error")
    starts(c.error("AUTH.LOGOUT", "nonsense"), "TOKENINVALID")


@settings(max_sessions=2)
def test_the_oldest_session_makes_room(server):
    """A user has at most max-sessions sessions."""
    c = registered(server)
    a, b, d = login(c), login(c), login(c)
    starts(c.error("AUTH.VERIFY", a["access"]), "TOKENREVOKED")
    c("AUTH.VERIFY", b["access"])
    c("AUTH.VERIFY", d["access"])
    expect(pairs(c("AUTH.USERS")[0])["sessions"], 2)


def test_changing_a_password_ends_all_sessions(server):
    """PASSWD needs the old password and kills every token that was given for it."""
    c = registered(server)
    got = login(c)
    expect(c.error("AUTH.PASSWD", "ada", "wrong password", "another password"), FAILED)
    starts(c.error("AUTH.PASSWD", "ada", PASSWORD, PASSWORD), "PASSWORDPOLICY")
    c("AUTH.VERIFY", got["access"])
    expect(c("AUTH.PASSWD", "ada", PASSWORD, "another password"), "OK")
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
    starts(c.error("AUTH.REFRESH", got["refresh"]), "TOKENREVOKED")
    expect(c.error("AUTH.LOGIN", "ada", PASSWORD), FAILED)
    c("AUTH.VERIFY", login(c, password="another password")["access"])


def test_disabling_and_enabling(server):
    """A disabled user has no tokens and gets none; only who knows the password learns why."""
    c = registered(server)
    got = login(c)
    expect(c("AUTH.DISABLE", "ada"), "OK")
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
    starts(c.error("AUTH.LOGIN", "ada", PASSWORD), "AUTHDISABLED")
    expect(c.error("AUTH.LOGIN", "ada", "wrong password"), FAILED)
    expect(pairs(c("AUTH.USERS")[0])["disabled"], 1)
    expect(c("AUTH.ENABLE", "ada"), "OK")
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")
    c("AUTH.VERIFY", login(c)["access"])
    starts(c.error("AUTH.DISABLE", "bob"), "NOSUCHUSER")


def test_roles_take_effect_at_once(server):
    """VERIFY answers the roles of now, the next token carries them."""
    c = registered(server)
    got = login(c)
    expect(c("AUTH.ROLES", "ada", "user", "admin"), "OK")
    expect(pairs(c("AUTH.VERIFY", got["access"]))["roles"], ["user", "admin"])
    expect(c("AUTH.ROLES", "ada"), "OK")
    expect(pairs(c("AUTH.VERIFY", got["access"]))["roles"], [])
    assert c.error("AUTH.ROLES", "ada", "a role")
    assert c.error("AUTH.ROLES", "ada", *["r%d" % i for i in range(17)])


def test_key_rotation(server):
    """After ROTATE old tokens verify and new ones name the new key; NOW ends the old ones."""
    c = registered(server)
    old = login(c)["access"]
    kid = c("AUTH.ROTATE")
    states = [pairs(k)["state"] for k in c("AUTH.KEYS")]
    expect(states, ["retired", "active"])
    new = login(c)["access"]
    c("AUTH.VERIFY", old)
    c("AUTH.VERIFY", new)
    c("AUTH.ROTATE", "NOW")
    starts(c.error("AUTH.VERIFY", old), "TOKENINVALID")
    starts(c.error("AUTH.VERIFY", new), "TOKENINVALID")
    assert kid not in [pairs(k)["kid"] for k in c("AUTH.KEYS")]
    for _ in range(7):
        c("AUTH.ROTATE")
    starts(c.error("AUTH.ROTATE"), "AUTHKEYS")
    c("AUTH.VERIFY", login(c)["access"])


@settings(lockout_threshold=2, lockout_base=1, lockout_max=2)
def test_lockout(server):
    """After too many failures even the right password waits, for known and unknown users alike."""
    c = registered(server)
    for name in ("ada", "nobody"):
        for _ in range(2):
            expect(c.error("AUTH.LOGIN", name, "wrong password"), FAILED)
        starts(c.error("AUTH.LOGIN", name, PASSWORD), "AUTHLOCKED")
    starts(c.error("AUTH.PASSWD", "ada", PASSWORD, "another password"), "AUTHLOCKED")
    expect(pairs(c("AUTH.USERS")[0])["locked_for"], 1)
    time.sleep(1.1)
    login(c)
    expect(c.error("AUTH.LOGIN", "ada", "wrong password"), FAILED)
    login(c)  # the success wiped the count
    for _ in range(2):
        c.error("AUTH.LOGIN", "ada", "wrong password")
    c("AUTH.ENABLE", "ada")
    login(c)


def in_parallel(server, count, words):
    """The replies to one command of many clients at once."""
    clients = [server.client(timeout=60) for _ in range(count)]
    for client in clients:
        client.send(*words)
    replies = [client.read() for client in clients]
    for client in clients:
        client.close()
    return replies


def test_registering_at_once_gives_the_name_to_one(server):
    """Of many simultaneous registrations of one name exactly one succeeds."""
    replies = in_parallel(server, 20, ("AUTH.REGISTER", "ada", PASSWORD))
    expect(sum(isinstance(r, (list, dict)) for r in replies), 1)
    expect({str(r) for r in replies if not isinstance(r, (list, dict))},
           {"USEREXISTS the name is taken"})


@settings(lockout_threshold=3)
def test_parallel_guesses_do_not_slip_past_the_lockout(server):
    """Guesses in flight when the lock falls are refused, the right one included."""
    registered(server)
    guesses = [server.client() for _ in range(12)]
    for i, client in enumerate(guesses):
        client.send("AUTH.LOGIN", "ada", PASSWORD if i == 11 else "wrong password")
    replies = [str(client.read()) for client in guesses]
    assert sum(r == FAILED for r in replies) <= 3, replies
    starts(replies[11], "AUTHLOCKED")


def test_hostile_tokens(server):
    """Garbage of every length is refused with a code and closes no connection."""
    c = registered(server)
    access = login(c)["access"]
    parts = access.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    bad = ["", ".", "..", "...", "x" * 5000, "x" * 1000000, "\x00", access + "=", access + ".",
           access[:-1], ".".join([none.decode().rstrip("="), parts[1], ""]),
           ".".join([none.decode().rstrip("="), parts[1], parts[2]]),
           ".".join([parts[0], parts[1], ""]), ".".join([parts[0], parts[2], parts[1]])]
    for token in bad:
        for command in ("AUTH.VERIFY", "AUTH.WHOAMI", "AUTH.LOGOUT", "AUTH.REFRESH"):
            starts(c.error(command, token), "TOKENINVALID")
    c("AUTH.VERIFY", access)


def unsigned(header, claims):
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                    for part in (header, claims))


def test_bad_tokens_are_refused(server):
    """No algorithm, another algorithm, an expired, a revoked and an outdated one: each says why."""
    c = registered(server)
    got = login(c)
    claims = pairs(c("AUTH.VERIFY", got["access"]))
    key = pairs(c("AUTH.KEYS")[0])
    for alg in ("none", "None", "NONE", "HS256", "ES384", "RS256", "EdDSA", ""):
        text = unsigned({"alg": alg, "kid": key["kid"], "typ": "at+jwt"}, claims)
        mac = hmac.new(key["jwk"].encode(), text.encode(), hashlib.sha256).digest()
        for signature in (b"", mac, b"\0" * 64):
            tail = base64.urlsafe_b64encode(signature).decode().rstrip("=")
            starts(c.error("AUTH.VERIFY", f"{text}.{tail}"), "TOKENINVALID")
    c("CONFIG", "SET", "auth.token-ttl", 1)
    c("CONFIG", "SET", "auth.clock-skew", 0)
    short = login(c)["access"]
    until = time.monotonic() + 5
    while c.error("AUTH.VERIFY", short) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    starts(c.error("AUTH.VERIFY", short), "TOKENEXPIRED")
    c("CONFIG", "SET", "auth.token-ttl", 900)
    revoked = login(c)
    c("AUTH.LOGOUT", revoked["session"])
    starts(c.error("AUTH.VERIFY", revoked["access"]), "TOKENREVOKED")
    c("AUTH.VERIFY", got["access"])
    c("AUTH.PASSWD", "ada", PASSWORD, "another password")
    starts(c.error("AUTH.VERIFY", got["access"]), "TOKENREVOKED")


def test_listing_pages(server):
    """USERS pages through all names in order."""
    c = server.client()
    names = sorted("user%02d" % i for i in range(25))
    for name in names:
        c("AUTH.REGISTER", name, PASSWORD)
    got, after = [], []
    while True:
        page = [pairs(u)["name"] for u in c("AUTH.USERS", "COUNT", "10", *after)]
        if not page:
            break
        got += page
        after = ["AFTER", page[-1]]
    expect(got, names)
    for bad in (("COUNT",), ("COUNT", "0"), ("COUNT", "1001"), ("COUNT", "x"), ("LIMIT", "1"),
                ("AFTER", "a b")):
        assert c.error("AUTH.USERS", *bad), bad


if __name__ == "__main__":
    main(globals())
