#!/usr/bin/env python3
"""The auth module on a real server.

Usage: test_auth.py [SERVER MODULES_DIR [NAME...]]

SERVER is redis-server or our own (the default, from the environment); both must pass.  Each test_
function gets a fresh server with the module and the cheapest bcrypt cost; its docstring is what
must hold.
"""
import glob
import json
import os
import stat
import sys
import threading
import time
import traceback

from resp_client import Client, Server

SERVER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HELIOS_SERVER"]
MODULES = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else
                          os.path.join(os.environ["HELIOS_BUILD"], "bin/modules"))
STOCK = os.path.basename(SERVER).startswith(("redis", "valkey"))
PASSWORD = "correct horse battery"
FAILED = "AUTHFAILED wrong user name or password"


def settings(**values):
    """Settings of the module for a test's server."""
    def mark(test):
        test.settings = {k.replace("_", "-"): v for k, v in values.items()}
        return test
    return mark


def flags(test):
    chosen = {"bcrypt-cost": 4, "lockout-threshold": 50, **getattr(test, "settings", {})}
    out = ["--loadmodule", os.path.join(MODULES, "auth.so")]
    for name, value in chosen.items():
        out += ["--auth." + name, str(value)]
    if STOCK:
        out += ["--save", "", "--appendonly", "yes", "--enable-module-command", "yes",
                "--enable-debug-command", "yes"]
    return out


def expect(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def starts(text, code):
    assert (text or "").startswith(code + " "), f"got {text!r}, want {code}"


def pairs(reply):
    """A map, whichever protocol sent it."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def login(c, name="ada", password=PASSWORD):
    return pairs(c("AUTH.LOGIN", name, password))


def registered(server, name="ada"):
    c = server.client()
    c("AUTH.REGISTER", name, PASSWORD)
    return c


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
    for attempt in range(30):  # a busy machine only adds time, so the best of many is the truth
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
    if STOCK:
        c("DEBUG", "RELOAD")
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
    import base64
    raw = [base64.urlsafe_b64decode(t["refresh"] + "==")[16:48] for t in (got, second)]
    for secret in (PASSWORD.encode(), b"another password", got["refresh"].encode(),
                   second["refresh"].encode(), second["access"].encode(), *raw):
        for where, text in texts.items():
            assert secret not in text, f"a secret is in {where}"
    assert b"PING" in monitor.buf.upper(), "MONITOR was listening"


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


def test_hostile_tokens(server):
    """Garbage of every length is refused with a code and closes no connection."""
    c = registered(server)
    access = login(c)["access"]
    parts = access.split(".")
    import base64
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    bad = ["", ".", "..", "...", "x" * 5000, "x" * 1000000, "\x00", access + "=", access + ".",
           access[:-1], ".".join([none.decode().rstrip("="), parts[1], ""]),
           ".".join([none.decode().rstrip("="), parts[1], parts[2]]),
           ".".join([parts[0], parts[1], ""]), ".".join([parts[0], parts[2], parts[1]])]
    for token in bad:
        for command in ("AUTH.VERIFY", "AUTH.WHOAMI", "AUTH.LOGOUT", "AUTH.REFRESH"):
            starts(c.error(command, token), "TOKENINVALID")
    c("AUTH.VERIFY", access)


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
    expect(len(help_lines), 14)
    assert "wrong number of arguments" in c.error("AUTH.LOGIN", "ada")
    assert "wrong number of arguments" in c.error("AUTH.VERIFY")


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


def closed(client):
    """Whether the server ends the connection, within a second."""
    client.sock.settimeout(1)
    try:
        client("PING")
        client("PING")
    except (ConnectionError, BrokenPipeError):
        return True
    return False


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
    """Whether the server lets modules take part in AUTH."""
    version = c("INFO", "server").split("redis_version:")[1].split(".")[:2]
    return not STOCK or tuple(map(int, version)) >= (7, 2)


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


def test_replicas(server):
    """A replica verifies what its master issued, refuses to write, and carries on when promoted."""
    if not STOCK:
        return
    c = registered(server)
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
    """Redis refuses to unload a module with a data type, and the module goes on."""
    c = registered(server)
    if STOCK:
        assert "data types" in c.error("MODULE", "UNLOAD", "auth")
        login(c)


def main():
    wanted = sys.argv[3:]
    failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        try:
            with Server(SERVER, *flags(test)) as server:
                try:
                    test(server)
                except Exception:
                    print(server.log()[-3000:])
                    raise
            print(f"ok   {name}")
        except Exception:
            failed += 1
            print(f"FAIL {name}: {test.__doc__}")
            traceback.print_exc()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
