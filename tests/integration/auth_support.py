"""What the tests of the auth module share: a server with the module, and words for its replies."""
import os
import sys
import time

from resp_client import Server, on_server, run_tests

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
    out += ["--enable-module-command", "yes", "--enable-debug-command", "yes"]
    if STOCK:
        out += ["--save", "", "--appendonly", "yes"]
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


def await_that(what, seconds=5):
    """Until what() is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def closed(client):
    """Whether the server ends the connection, within a second."""
    client.sock.settimeout(1)
    try:
        client("PING")
        client("PING")
    except (ConnectionError, BrokenPipeError):
        return True
    return False


def main(tests):
    """Run the test_ functions among `tests`, or those named on the command line."""
    run_tests(tests, lambda test: on_server(Server(SERVER, *flags(test)), test))
