"""Counters in a real Redis: limits hold across processes, and while it is away nothing is let through unlimited."""

import shutil
import signal
from contextlib import contextmanager

import pytest

from petition.mail.keys import Keyring
from petition.models import Signature
from tests.conftest import make_petition
from tests.support import server

SIGN = "/en/petitions/chechnya/sign/"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="Redis is not installed (Debian: redis-server)"),
]


@contextmanager
def redis(port, log):
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(log.parent))
    with server.process("redis-server", *options, log=log) as process:
        server.wait_until(lambda: "Ready to accept connections" in log.read_text())
        yield process


def sign(port):
    return server.fetch(port, "POST", SIGN, {"email": "anna@example.org", "consent": "on"})


def limits(port):
    answer = server.fetch(port, "GET", "/healthz")
    return answer.status_code, answer.json()["limits"]


def test_limits_hold_across_processes_and_an_outage_lets_nobody_through(tmp_path):
    make_petition()
    Keyring().rotate()
    port = server.free_port()
    one_limit = {"CACHE_URL": f"redis://127.0.0.1:{port}/0", "RATE_PER_NETWORK": "3/h"}
    with (
        server.web(tmp_path / "one.log", **one_limit) as one,
        server.web(tmp_path / "two.log", **one_limit) as two,
    ):
        with redis(port, tmp_path / "redis.log"):
            assert [sign(web).status_code for web in (one, two, one, two)] == [303, 303, 303, 429]
            assert limits(one) == (200, "ok")

        refused = sign(one)
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert limits(two) == (503, "away")
        assert server.fetch(one, "GET", "/en/").status_code == 200

        with redis(port, tmp_path / "again.log") as process:
            assert sign(two).status_code == 303
            # One that answers nothing is no better than one that is away.
            process.send_signal(signal.SIGSTOP)
            assert (sign(two).status_code, limits(one)) == (503, (503, "away"))
            process.send_signal(signal.SIGCONT)

    assert Signature.objects.count() == 4
    assert "Traceback" not in (tmp_path / "one.log").read_text()
