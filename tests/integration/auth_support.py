"""What the tests of the auth module share: a server with the module, and words for its replies."""
import os
import sys
import traceback

from resp_client import Server

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


def main(tests):
    """Run the test_ functions among `tests`, or those named on the command line."""
    wanted = sys.argv[3:]
    failed = 0
    for name, test in sorted(tests.items()):
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
