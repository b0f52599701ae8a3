"""What an operator's monitor reads at /healthz."""

import errno
import json
import os
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from petition import clock, health, retention
from petition.mail.keys import Keyring
from petition.models import Heartbeat, OutboxKey, TallyChange
from petition.postgres.counters import PostgresCache
from tests.conftest import make_petition
from tests.support import links, server

GOOD = {
    "status": "ok",
    "database": "ok",
    "migrations": "ok",
    "storage": "ok",
    "limits": "ok",
    "mail": "ok",
    "folder": "ok",
    "clock": "ok",
    "purge": "ok",
}


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)


@pytest.fixture
def working(db):
    """A worker that sends and folds."""
    for part in (Heartbeat.Part.MAIL, Heartbeat.Part.FOLD):
        Heartbeat.beat(part)


def beat_ago(part, seconds):
    Heartbeat.beat(part)
    Heartbeat.objects.filter(pk=part).update(beat_at=timezone.now() - timedelta(seconds=seconds))


@pytest.fixture
def ask():
    """The answer of a monitor's request: its status and what it says."""

    def get(**headers):
        response = Client(raise_request_exception=False).get("/healthz", headers=headers)
        return response.status_code, response.json()

    return get


@pytest.fixture
def owe_mail(petition):
    def owe(seconds, **values):
        return links.owe_mail(petition, due_at=timezone.now() - timedelta(seconds=seconds), **values)

    return owe


@contextmanager
def database_says(error):
    def wrapper(execute, sql, params, many, context):
        raise error("could not connect to host db.example.org as anna@example.org")

    with connection.execute_wrapper(wrapper):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("working")
class TestHealth:
    def test_all_is_well(self, ask):
        assert ask() == (200, GOOD)

    @pytest.mark.parametrize(
        ("seconds", "said"), [(0, "ok"), (55, "ok"), (65, "late"), (290, "late"), (310, "stopped"), (86_400, "stopped")]
    )
    @pytest.mark.parametrize(("part", "name"), [("mail", "mail"), ("fold", "folder")])
    def test_what_is_late_is_said_with_200_until_it_is_a_fault(self, ask, part, name, seconds, said):
        beat_ago(part, seconds)

        is_fault = said == "stopped"
        assert ask() == (503 if is_fault else 200, GOOD | {"status": "error" if is_fault else "ok", name: said})

    def test_what_has_never_been_seen_is_late(self, ask):
        Heartbeat.objects.all().delete()

        assert ask() == (200, GOOD | {"mail": "late", "folder": "late"})

    def test_mail_that_only_waits_for_its_minute_is_not_late(self, ask, owe_mail):
        owe_mail(-30)
        owe_mail(3_600, parked_at=timezone.now())

        assert ask() == (200, GOOD)

    def test_a_mail_server_that_refuses_us_is_503_until_it_takes_a_mail(self, ask):
        Heartbeat.beat(Heartbeat.Part.REFUSED, "550 5.7.1")
        assert ask() == (503, GOOD | {"status": "error", "mail": "refused"})

        Heartbeat.beat(Heartbeat.Part.TAKEN)
        assert ask() == (200, GOOD)

    def test_a_refusal_that_was_not_repeated_for_a_minute_is_over(self, ask):
        Heartbeat.beat(Heartbeat.Part.REFUSED, "550 5.7.1")
        beat_ago(Heartbeat.Part.REFUSED, 65)

        assert ask() == (200, GOOD)

    def test_a_database_that_takes_nothing_is_503(self, ask):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")

        assert ask() == (503, GOOD | {"status": "error", "storage": "full", "limits": "away"})

    def test_without_the_counters_of_limits_nobody_can_sign(self, ask, monkeypatch):
        def fail(*args, **options):
            raise ConnectionError("redis.example.org refuses anna@example.org")

        monkeypatch.setattr(PostgresCache, "count", fail)

        assert ask() == (503, GOOD | {"status": "error", "limits": "away"})

    def test_a_clock_that_differs_is_said(self, ask, monkeypatch):
        monkeypatch.setattr(clock, "seconds_ahead", lambda: 7_200.0)

        assert ask() == (200, GOOD | {"clock": "differs"})

    def test_a_purge_that_waits_for_a_person_is_said(self, ask, monkeypatch):
        monkeypatch.setattr(retention, "waits_for_a_person", lambda: True)

        assert ask() == (200, GOOD | {"purge": "waits"})

    def test_without_a_key_to_seal_with_nobody_can_sign_until_a_worker_has_made_one(self, ask, settings, tmp_path):
        OutboxKey.objects.all().delete()

        assert ask() == (503, GOOD | {"status": "error", "mail": "no key"})

        settings.OUTBOX_KEYS_DIR = str(tmp_path)
        Keyring().rotate()
        assert ask() == (200, GOOD)

    @pytest.mark.parametrize(("rows", "folder"), [(20_000, "ok"), (20_001, "late")])
    def test_a_late_folder_is_said_with_200(self, ask, petition, rows, folder):
        change = {
            "hour": timezone.now(),
            "country": "",
            "language": "en",
            "source": "",
            "measure": "signed",
            "amount": 1,
        }
        TallyChange.objects.bulk_create([TallyChange(petition=petition, **change) for _ in range(rows)])

        assert ask() == (200, GOOD | {"folder": folder})

    def test_an_unmigrated_database_is_503(self, ask):
        with connection.cursor() as cursor:
            cursor.execute("""
                DELETE FROM django_migrations WHERE app = 'petition'
                AND name = (SELECT max(name) FROM django_migrations WHERE app = 'petition')
            """)

        status, said = ask()

        assert status == 503
        assert said == {"status": "error", "database": "ok", "migrations": "missing"}

    @pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
    @pytest.mark.parametrize("known_to_be_migrated", [False, True])
    def test_a_database_that_fails_is_503_and_says_no_more(self, ask, monkeypatch, error, known_to_be_migrated):
        monkeypatch.setattr(health, "_migrated", known_to_be_migrated)
        with database_says(error):
            status, said = ask()

        assert status == 503
        assert said == {"status": "error", "database": "away"}

    def test_it_names_no_host_and_no_person(self, ask, make_signature, owe_mail):
        make_signature(name="Anna", confirmed=True)
        owe_mail(300)

        text = json.dumps(ask())

        names = (connection.settings_dict[key] for key in ("HOST", "NAME", "USER"))
        host = connection.settings_dict["OPTIONS"].get("host")
        for told in ("Anna", "anna", "example", "petition", *names, host):
            assert not told or str(told) not in text

    def test_it_writes_one_row_and_counts_once_and_is_cheap_the_second_time(self, ask):
        ask()
        with CaptureQueriesContext(connection) as queries:
            ask()

        said = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
        verbs = [sql.split()[0] for sql in said]
        # The counter is counted as where people sign, by a prepared statement.
        assert (verbs.count("INSERT"), verbs.count("EXECUTE")) == (1, 1)
        assert len(said) <= 10

    def test_it_is_never_kept_and_never_compared(self):
        response = Client().get("/healthz")

        assert "no-store" in response["Cache-Control"]
        assert response["Content-Type"] == "application/json"

    def test_it_has_one_language(self, ask):
        assert ask(Accept_Language="ru") == ask(Accept_Language="en")


@pytest.mark.django_db
class TestReadiness:
    """What a balancer reads at /readyz."""

    @pytest.fixture
    def ask(self):
        def get():
            response = Client(raise_request_exception=False).get("/readyz")
            assert "no-store" in response["Cache-Control"]
            return response.status_code, response.json()

        return get

    def test_a_process_with_a_migrated_database_is_ready_whatever_is_late_behind_it(self, ask):
        OutboxKey.objects.all().delete()
        beat_ago(Heartbeat.Part.MAIL, 86_400)

        assert ask() == (200, {"status": "ready", "database": "ok", "migrations": "ok"})

    def test_it_asks_one_statement_and_writes_nothing(self, ask):
        ask()
        with CaptureQueriesContext(connection) as queries:
            ask()

        assert [query["sql"] for query in queries] == ["SELECT 1"]

    def test_before_its_migrations_it_is_not_ready(self, ask):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'petition'")

        assert ask() == (503, {"status": "not ready", "database": "ok", "migrations": "missing"})

    def test_without_its_database_it_is_not_ready_and_says_no_more(self, ask):
        with database_says(OperationalError):
            assert ask() == (503, {"status": "not ready", "database": "away"})


@contextmanager
def closed_database():
    """Close the database of the test to everyone, as in an outage."""
    name = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:
        allow = f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS '
        cursor.execute(allow + "false")
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            cursor.execute(allow + "true")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_process_that_may_open_no_further_file_says_so(client, monkeypatch, path):
    def open_one(connection):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(health, "MigrationExecutor", open_one)

    answer = client.get(path)

    assert answer.status_code == 503
    assert answer.json()["files"] == "used up"


@pytest.mark.django_db(transaction=True)
def test_a_real_server_tells_an_outage_and_recovers(tmp_path):
    make_petition()
    with server.web(tmp_path / "web.log") as port:
        Keyring().rotate()
        assert server.fetch(port, "GET", "/healthz").status_code == 200

        with closed_database():
            away = server.fetch(port, "GET", "/healthz")
            page = server.fetch(port, "GET", "/ru/petitions/chechnya/sign/")
            error_page = server.fetch(port, "GET", "/en/nothing/there")

        assert (away.status_code, away.json()) == (503, {"status": "error", "database": "away"})
        assert "no-store" in away["Cache-Control"]
        # A visitor is asked to wait, in her language, by a page that needs no database.
        assert page.status_code == 503
        assert int(page["Retry-After"]) > 0
        assert '<html lang="ru"' in page.content.decode()
        assert error_page.status_code == 404

        assert server.wait_until(lambda: server.fetch(port, "GET", "/healthz").status_code == 200)
    assert "FATAL" not in (tmp_path / "web.log").read_text()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", [("recount",), ("export_counts", "--by", "day"), ("migrate",)])
def test_a_command_in_an_outage_says_where_to_look(tmp_path, command):
    log = tmp_path / "log"
    with closed_database(), server.process(server.PYTHON, "manage.py", *command, log=log) as asked:
        assert asked.wait(server.PATIENCE_SECONDS) == 1

    said = log.read_text()
    assert "The database cannot be reached. Look whether it runs, and at DATABASE_URL." in said
    assert "Traceback" not in said


@pytest.mark.django_db(transaction=True)
def test_a_fault_within_a_statement_keeps_its_traceback(tmp_path):
    log = tmp_path / "log"
    url = f"{server.database_url()}&{urlencode({'options': '-c lock_timeout=100ms'})}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE petition_signature")
        with server.process(server.PYTHON, "manage.py", "recount", log=log, DATABASE_URL=url) as asked:
            assert asked.wait(server.PATIENCE_SECONDS) == 1

    assert "Traceback" in log.read_text()
    assert "lock timeout" in log.read_text()


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_is_heard(tmp_path):
    make_petition()
    with server.worker(tmp_path / "worker.log"):
        ages = server.wait_until(lambda: len(Heartbeat.ages()) == 2 and Heartbeat.ages())

    assert set(ages) == {"mail", "fold"}
    assert max(ages.values()) < timedelta(seconds=30)
