"""What the Python clients share: one line for each check, and an exit code."""

import os
import sys
import traceback
from pathlib import Path

URL = os.environ["FAKE_URL"]
GRPC = os.environ["FAKE_GRPC"]
CLIENT_ID = os.environ["FAKE_CLIENT_ID"]
CLIENT_SECRET = os.environ["FAKE_CLIENT_SECRET"]
USERNAME = os.environ["FAKE_USERNAME"]
JWT_KEY = os.environ["FAKE_JWT_KEY"]
CA = os.environ["FAKE_CA"]
OPPORTUNITIES = int(os.environ["FAKE_OPPORTUNITIES"])


class Checks:
    """Runs checks in order; the first that fails ends the client, as later ones build on it."""

    def __init__(self, client):
        self.client = client

    def check(self, what, run):
        """Runs one check, prints its line and returns what it returned."""
        try:
            result = run()
        except Exception:
            print(f"FAIL {self.client}: {what}", flush=True)
            traceback.print_exc()
            sys.exit(1)
        print(f"ok {self.client}: {what}", flush=True)
        return result


def private_key():
    """The key that signs JWT assertions, in PEM."""
    return Path(JWT_KEY).read_text(encoding="ascii")


def expect(condition, *found):
    """A check's condition; what was found instead goes into the failure."""
    if not condition:
        raise AssertionError(*found)


def refused(error, run):
    """Runs what must raise `error`, and returns it."""
    try:
        run()
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised")
