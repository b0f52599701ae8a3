"""A database that hangs keeps nobody waiting, and is used again as soon as it answers."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from django.db import OperationalError, connection, transaction

from config.local import postgres
from petition.mail.keys import Keyring
from petition.models import Signature
from petition.postgres import timeouts
from tests.conftest import make_petition
from tests.support import server

SIGN = "/en/petitions/chechnya/sign/"
FORM = {"email": "anna@example.org", "consent": "on"}
PROMISED_SECONDS = 3


@pytest.fixture(autouse=True)
def _nothing_hangs_yet():
    timeouts._hanging.clear()


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def took(ask):
    """The error of what hangs, and the seconds until it came."""
    begun_at = time.monotonic()
    with pytest.raises(OperationalError) as raised, timeouts.limited(0.5):
        ask()
    assert timeouts.is_hang(raised.value)
    connection.close()  # as at the end of each request
    return time.monotonic() - begun_at


@pytest.mark.django_db(transaction=True)
class TestTimeouts:
    def test_a_statement_has_its_time_and_what_begins_alike_then_fails_at_once(self):
        assert 0.5 <= took(lambda: run("SELECT pg_sleep(20)")) < 5

        assert took(lambda: run("SELECT pg_sleep(20)")) < 0.4
        with timeouts.limited(0.5):
            run("SELECT 1")

    def test_it_is_tried_again_after_a_pause_and_answers_are_answers(self):
        took(lambda: run("SELECT pg_sleep(20)"))
        time.sleep(timeouts.PAUSE_SECONDS)

        with timeouts.limited(5):
            run("SELECT pg_sleep(0)")
            run("SELECT pg_sleep(0)")

    def test_one_finds_out_while_the_others_need_not_wait(self):
        took(lambda: run("SELECT pg_sleep(20)"))
        time.sleep(timeouts.PAUSE_SECONDS)

        with ThreadPoolExecutor(4) as pool:
            times = sorted(pool.map(lambda _: took(lambda: run("SELECT pg_sleep(20)")), range(4)))

        assert times[-1] >= 0.5
        assert times[-2] < 0.4

    def test_a_commit_that_hangs_is_no_commit_for_whom_it_concerns(self):
        run("CREATE TABLE slow ()")
        run(
            "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'"
        )
        run(
            "CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION sleep()"
        )

        def commit():
            with transaction.atomic():
                run("INSERT INTO slow DEFAULT VALUES")

        try:
            assert took(commit) < 5
        finally:
            run("DROP TABLE slow")
            run("DROP FUNCTION sleep")

    def test_what_may_take_long_has_its_time_when_it_is_tried_again(self):
        took(lambda: run("SELECT pg_sleep(20)"))
        time.sleep(timeouts.PAUSE_SECONDS)

        with timeouts.limited(timeouts.STAFF_SECONDS):
            run(f"SELECT pg_sleep({timeouts.TRY_SECONDS + 0.3})")

    def test_a_server_that_hangs_takes_no_other_one_along(self):
        took(lambda: run("SELECT pg_sleep(20)"))
        elsewhere = connection.copy()
        elsewhere.alias = "elsewhere"
        try:
            with timeouts.limited(5), elsewhere.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0)")
        finally:
            elsewhere.close()

    def test_the_end_of_a_request_waits_no_longer(self):
        """Where Django looks whether the connection is good for the next one."""
        connection.ensure_connection()
        connection.errors_occurred = True
        pid = connection.connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            begun_at = time.monotonic()
            assert connection.is_usable() is False
            assert time.monotonic() - begun_at < timeouts.TRY_SECONDS + 1
        finally:
            os.kill(pid, signal.SIGCONT)
            connection.close()

    def test_without_a_limit_nothing_is_cut(self):
        run("SELECT pg_sleep(0.7)")


@contextmanager
def locked_signatures():
    """Somebody lets nobody write to the table, as a migration that was written carelessly would."""
    with closing(psycopg2.connect(connection.connection.dsn)) as other, other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {Signature._meta.db_table} IN EXCLUSIVE MODE")
        yield


@pytest.fixture
def site(tmp_path, transactional_db):
    make_petition()
    Keyring().rotate()
    with server.web(tmp_path / "web.log") as port:
        assert server.fetch(port, "POST", SIGN, FORM).status_code == 303
        yield port


def fetch(port, method, path, data=None):
    begun_at = time.monotonic()
    answer = server.fetch(port, method, path, data)
    return answer, time.monotonic() - begun_at


def test_while_signatures_are_locked_pages_go_on_and_health_says_so(site):
    with locked_signatures():
        refused, waited = fetch(site, "POST", SIGN, FORM)
        page, _ = fetch(site, "GET", "/en/")
        health, health_took = fetch(site, "GET", "/healthz")

    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (503, True)
    assert waited < PROMISED_SECONDS
    assert "150,000" in page.content.decode()
    assert (health.status_code, health.json()["storage"]) == (503, "locked")
    assert health_took < 2
    assert server.wait_until(lambda: server.fetch(site, "POST", SIGN, FORM).status_code == 303, 5)
    assert server.fetch(site, "GET", "/healthz").status_code == 200


@contextmanager
def stopped(data):
    """Every process of this cluster stands still, in the middle of whatever it is."""
    postmaster = int((data / "cluster" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    pids = [postmaster, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_when_everything_hangs_a_crowd_is_told_in_time_and_health_within_two_seconds(tmp_path):
    # A cluster of its own: others use that of the tests.
    data = tmp_path / "postgres"
    own = {"DATABASE_URL": postgres.url(data)}
    keys = server.worker_keys() | {"OUTBOX_KEYS_DIR": str(tmp_path / "keys"), "WITHDRAWN_LIST": str(tmp_path / "list")}
    worker = {"log": tmp_path / "manage.log", **own, **keys}
    with postgres.running(data, fsync="off"):
        for command in ("migrate", "load_campaign", "worker --once"):
            with server.process(server.PYTHON, "manage.py", *command.split(), **worker) as done:
                assert done.wait(60) == 0
        with server.web(tmp_path / "web.log", **own) as port:
            assert fetch(port, "GET", "/healthz")[0].json()["database"] == "ok"

            with stopped(data), ThreadPoolExecutor(12) as crowd:
                answers = list(crowd.map(lambda _: fetch(port, "POST", SIGN, FORM), range(12)))
                health, health_took = fetch(port, "GET", "/healthz")
                ready, ready_took = fetch(port, "GET", "/readyz")

            assert health.json() == {"status": "error", "database": "hangs"}
            assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "database": "hangs"})
            assert max(health_took, ready_took) < 2
            assert {answer.status_code for answer, _ in answers} == {503}
            assert max(waited for _, waited in answers) < PROMISED_SECONDS
            assert server.wait_until(lambda: server.fetch(port, "POST", SIGN, FORM).status_code == 303, 10)
