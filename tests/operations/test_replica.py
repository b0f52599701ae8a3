"""A read replica (`REPLICA_URL`): pages and the number come from a standby, and whoever signs never waits for it."""

import re
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from petition.checks import database
from petition.counts import tally
from petition.models import PublishedCount
from petition.postgres import replica
from tests.support import server
from tests.support.replication import primary_and_standby

pytestmark = pytest.mark.django_db
HOME, SIGN, COUNT = "/en/", "/en/petitions/chechnya/sign/", "/petitions/chechnya/count.json"
# The page is made anew, as behind nginx.
ANEW = {"Surrogate-Capability": 'nginx="Surrogate/1.0"'}


class Site:
    """A web server and a worker on a primary with one standby."""

    def __init__(self, primary, standby, folder):
        self.primary, self.standby, self.folder = primary, standby, folder
        self.variables = {
            **{"DATABASE_URL": primary.url, "REPLICA_URL": standby.url},
            **{"OUTBOX_KEYS_DIR": str(folder / "keys"), "WITHDRAWN_LIST": str(folder / "withdrawn" / "list")},
        }
        self.port = 0

    def get(self, path):
        return server.fetch(self.port, "GET", path, headers=ANEW)

    def text(self, path):
        return self.get(path).content.decode()

    def sign(self, email):
        return server.fetch(self.port, "POST", SIGN, {"email": email, "consent": "on", "website": ""})

    def link(self, email):
        """The path in the mail to this address, once it has come."""

        def find():
            for file in (settings.BASE_DIR / self.mails).glob("*"):
                text = file.read_text().replace("=\n", "").replace("=3D", "=")
                if email in text and (found := re.search(r"/en/confirm/[^\s\"<]+", text)):
                    return found[0]
            return None

        return server.wait_until(find)

    @property
    def mails(self):
        return f"{settings.VAR_DIR}/mail"

    @contextmanager
    def replay_paused(self):
        """What the primary is told from now on, the standby does not know."""
        self.standby.ask("SELECT pg_wal_replay_pause()")
        server.wait_until(lambda: self.standby.ask("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
        try:
            yield
        finally:
            self.standby.ask("SELECT pg_wal_replay_resume()")

    def catch_up(self):
        server.wait_until(lambda: self.standby.ask(replica.LAG)[0][0] < 1)

    def is_lagging(self):
        return self.standby.ask(replica.LAG)[0][0] > replica.LAG_SECONDS

    def change(self, statement):
        self.primary.ask(statement)


@pytest.fixture(scope="module")
def servers(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), primary_and_standby() as both:
        yield both


@pytest.fixture(scope="module")
def site(servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replica")
    made = Site(*servers, folder)
    with server.process(server.PYTHON, "manage.py", "load_campaign", log=folder / "load.log", **made.variables) as load:
        assert load.wait(120) == 0, (folder / "load.log").read_text()
    with (
        server.worker(folder / "worker.log", **made.variables),
        server.web(folder / "web.log", "--workers", "1", **only_web(made.variables)) as made.port,
    ):
        server.wait_until(lambda: made.get("/healthz").status_code == 200)
        made.catch_up()
        yield made


def only_web(variables):
    return {name: value for name, value in variables.items() if name not in server.worker_keys()}


def test_pages_and_the_number_are_read_from_the_standby_and_say_when_it_was_so(site):
    site.get(HOME)
    asked = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    ((before,),) = site.standby.ask(asked)

    for _visit in range(20):
        assert site.get(HOME).status_code == site.get(COUNT).status_code == 200

    # The server tells of it after a second.
    server.wait_until(lambda: site.standby.ask(asked)[0][0] >= before + 40)
    age = timezone.now() - parse_datetime(site.get(COUNT).json()["as_of"])
    assert timedelta() <= age < timedelta(seconds=30)


def test_whoever_signs_confirms_although_the_standby_has_never_heard_of_her(site):
    email = f"late{time.time_ns()}@example.org"  # of no earlier run
    with site.replay_paused():
        assert site.sign(email).status_code == 303
        link = site.link(email)
        assert site.get(link).status_code == 200
        assert server.fetch(site.port, "POST", link).status_code == 303
        assert site.standby.ask("SELECT count(*) FROM petition_signature") == [(0,)]

        # Nobody is shown a number that is older than a few seconds, either.
        server.wait_until(lambda: site.get(COUNT).json()["confirmed_here"] == 1)
    assert site.primary.ask("SELECT count(*) FROM petition_signature WHERE confirmed_at IS NOT NULL") == [(1,)]
    site.catch_up()


def test_forms_know_at_once_that_a_petition_is_closed(site):
    def a_page_was_read_from_the_standby():
        site.catch_up()
        with site.replay_paused():
            site.change("UPDATE petition_petition SET closed_at = now()")
            try:
                assert site.get(SIGN).status_code == 410
                assert site.sign("too-late@example.org").status_code == 410
                # On a slow machine the pause soon counts as a lag: then the page is the primary's, too.
                return 'name="email"' in site.text(HOME)
            finally:
                site.change("UPDATE petition_petition SET closed_at = NULL")

    server.wait_until(a_page_was_read_from_the_standby)
    site.catch_up()


def test_live_settings_are_those_of_the_primary_on_pages_too(site):
    def a_page_of_the_standby_has_them():
        site.catch_up()
        with site.replay_paused():
            site.change(
                "INSERT INTO petition_switches_translation (language_code, banner, master_id)"
                " SELECT 'en', 'Told to the primary.', id FROM petition_switches;"
                "UPDATE petition_petition SET collected_before = 160000"
            )
            try:
                page = server.wait_until(lambda: "Told to the primary." in (text := site.text(HOME)) and text)
                # On a slow machine the pause soon counts as a lag: then the rest is the primary's, too.
                return "150,000" in page
            finally:
                site.change(
                    "DELETE FROM petition_switches_translation; UPDATE petition_petition SET collected_before = 150000"
                )

    server.wait_until(a_page_of_the_standby_has_them)
    site.catch_up()


def test_pages_come_from_the_primary_while_the_standby_lags(site):
    with site.replay_paused():
        server.wait_until(site.is_lagging)
        site.change("UPDATE petition_petition SET collected_before = 160000")
        server.wait_until(lambda: site.get(COUNT).json()["collected_before"] == 160_000)
    site.catch_up()


def test_pages_come_from_the_primary_while_the_standby_is_away(site):
    site.standby.kill()

    assert [site.get(path).status_code for path in (HOME, COUNT)] == [200, 200]
    assert site.sign("anybody@example.org").status_code == 303

    site.standby.start_again()
    site.catch_up()


def test_pages_go_on_while_the_primary_is_away(site):
    server.wait_until(lambda: site.get(COUNT).status_code == 200)
    time.sleep(replica.AWAY_SECONDS)  # since the standby was away in the test before
    site.catch_up()
    assert site.get(HOME).status_code == 200

    site.primary.kill()
    killed_at = timezone.now()
    for _second in range(replica.LAG_SECONDS + 1):
        assert [site.get(path).status_code for path in (HOME, COUNT)] == [200, 200]
        time.sleep(1)

    # It tells how old it is, and nobody is told that she has signed.
    assert parse_datetime(site.get(COUNT).json()["as_of"]) <= killed_at
    assert site.sign("nobody@example.org").status_code == 503

    site.primary.start_again()
    server.wait_until(lambda: site.sign("somebody@example.org").status_code == 303)
    site.catch_up()


def test_a_standby_that_had_not_kept_up_shows_nothing_old_in_its_place(site):
    """It might show the name of somebody who has withdrawn since."""
    with site.replay_paused():
        server.wait_until(site.is_lagging)
        server.wait_until(lambda: site.get(HOME).status_code == 200)
        time.sleep(replica.LOOK_SECONDS)
        site.get(HOME)  # from the primary

        site.primary.kill()
        assert site.get(HOME).status_code == 503
    site.primary.start_again()
    server.wait_until(lambda: site.get(HOME).status_code == 200)


def test_a_page_says_so_when_its_number_is_old(client, petition, publish):
    publish()
    assert "As of" not in client.get(HOME).content.decode()

    PublishedCount.objects.update(checked_at=timezone.now() - timedelta(seconds=61))

    assert tally.current(petition.slug).is_old
    assert re.search(r"As of \d\d:\d\d UTC, ", client.get(HOME).content.decode())


@pytest.mark.parametrize("kind", ["standby", "primary", "other"])
def test_a_server_that_is_no_standby_of_this_database_is_refused(site, tmp_path, kind):
    urls = {"standby": site.standby.url, "primary": site.primary.url, "other": f"{site.standby.url}&dbname=postgres"}
    variables = only_web(site.variables) | {"REPLICA_URL": urls[kind]}

    with server.process(
        *(server.PYTHON, "manage.py", "check", "--database", "default"), log=tmp_path / "log", **variables
    ) as check:
        refused = check.wait(60) != 0

    assert ("petition.E051" in (tmp_path / "log").read_text(), refused) == (kind != "standby",) * 2


def test_a_replica_that_is_away_is_a_warning(monkeypatch):
    def away(alias):
        raise OperationalError

    monkeypatch.setitem(settings.DATABASES, "replica", {"NAME": "petition"})
    monkeypatch.setattr(
        database, "database_identity", lambda alias: away(alias) if alias == "replica" else (1, 1, False)
    )

    assert [message.id for message in database.replica_is_a_standby(None, databases=["default"])] == ["petition.W050"]
