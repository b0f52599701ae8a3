"""What Prometheus reads: right over several processes, true whatever hangs, and telling of no single person."""

import os
import signal
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from petition import metrics
from petition.mail import queue, results
from petition.mail.refusals import Codes
from petition.mail.smtp import Fate, Outcome, Parcel
from petition.models import Heartbeat, MailTally, OutgoingMail, TallyChange
from petition.models.signature import this_hour
from petition.web import metrics as web_metrics
from tests.conftest import make_petition
from tests.operations.test_health import closed_database
from tests.support import links, server
from tests.support.mail_server import MailServer


def values(families):
    """Each number by its name and labels."""
    return {(sample.name, *sorted(sample.labels.items())): sample.value for each in families for sample in each.samples}


def read():
    return values(metrics.Site().collect())


def requests(route, method, status):
    return "petition_requests_total", ("method", method), ("route", route), ("status", status)


@contextmanager
def measured_site(tmp_path, **overrides):
    """A web server of two processes; how to ask it, and how to read what it and the database tell."""
    port = server.free_port()
    address = f"127.0.0.1:{port}"
    chosen = {"METRICS_ADDRESS": address, "METRICS_DIR": str(tmp_path / "metrics"), **overrides}
    several = ("--workers", "2", "--respawn-failed-workers", "--respawn-interval", "1")

    def scrape():
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return values(text_string_to_metric_families(answer.read().decode()))

    def is_serving():
        try:
            return scrape()
        except OSError:
            return None

    with (
        server.web(tmp_path / "web.log", *several, **chosen) as web_port,
        server.process(server.PYTHON, "manage.py", "metrics", log=tmp_path / "metrics.log", **chosen),
    ):
        server.wait_until(is_serving)
        yield lambda path, **options: server.fetch(web_port, "GET", path, **options).status_code, scrape


def processes_of(folder):
    """Those that count into files of this folder now, as the kernel knows them by their locks."""
    inodes = {file.stat().st_ino for file in Path(folder).glob("*.lock")}
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {int(line[4]) for line in held if line[1] == "FLOCK" and int(line[5].split(":")[2]) in inodes}


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_process_has_counted_stays_counted_and_its_successor_goes_on(tmp_path):
    make_petition()
    gone = requests("petition:sign", "GET", "4xx")
    with measured_site(tmp_path) as (ask, scrape):

        def ask_until_all_have_answered(asked=0):
            while len(processes_of(tmp_path / "metrics")) < 2 or asked < 20:
                assert ask("/en/petitions/nothing/sign/") == 404
                asked += 1
            return asked

        asked = ask_until_all_have_answered()
        assert scrape()[gone] == asked

        for pid in processes_of(tmp_path / "metrics"):
            os.kill(pid, signal.SIGKILL)
        server.wait_until(lambda: not processes_of(tmp_path / "metrics"))
        server.wait_until(lambda: answers(ask))
        before = scrape()[gone]
        again = ask_until_all_have_answered()

        assert before == asked
        assert scrape()[gone] == asked + again
        assert len(list((tmp_path / "metrics").glob("counter_*.db"))) == 2


def answers(ask):
    try:
        return ask("/readyz")
    except OSError:
        return None


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_web_servers_are_still_told_of(tmp_path):
    make_petition()
    with measured_site(tmp_path) as (ask, scrape):
        assert scrape()[("petition_health", ("part", "database"))] == 1
        with closed_database():
            assert ask("/en/petitions/chechnya/sign/") == 503
            away = scrape()

        assert away[("petition_health", ("part", "database"))] == 0
        assert away[requests("petition:sign", "GET", "503")] == 1
        assert server.wait_until(lambda: scrape()[("petition_health", ("part", "database"))])


@pytest.mark.django_db(transaction=True)
def test_no_label_holds_what_a_visitor_sent_and_what_went_well_is_told_in_tens(tmp_path):
    make_petition()
    with measured_site(tmp_path) as (ask, scrape):
        for path in ("/en/zinaida/", "/zinaida?from=zinaida", "/en/confirm/zinaida/", "/admin/zinaida/"):
            ask(path, headers={"Host": "127.0.0.1", "User-Agent": "zinaida"})
        for number in range(19):
            assert ask(f"/en/petitions/chechnya/sign/?x={number}", headers={"Surrogate-Capability": "x"}) == 200
        told = scrape()

    assert "zinaida" not in str(told)
    assert told[requests("petition:sign", "GET", "2xx")] == 10
    assert told[requests("petition:confirm", "GET", "4xx")] == 1
    buckets = [value for (name, *_labels), value in told.items() if name.startswith("petition_request_seconds_bucket")]
    assert buckets
    assert all(value % 10 == 0 for value in buckets)


@pytest.fixture
def counting(settings, tmp_path, monkeypatch):
    """This process counts, as a web server does."""
    settings.METRICS_ADDRESS, settings.METRICS_DIR = "127.0.0.1:9464", str(tmp_path)
    monkeypatch.setattr(web_metrics, "_meters", None)
    monkeypatch.setattr(web_metrics.values, "ValueClass", web_metrics.values.ValueClass)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    web_metrics._number.cache_clear()
    yield
    web_metrics._number.cache_clear()


@pytest.mark.django_db
@pytest.mark.usefixtures("counting")
class TestWeb:
    @pytest.mark.parametrize(
        ("method", "path", "label"),
        [
            ("GET", "/en/petitions/nothing/sign/", requests("petition:sign", "GET", "4xx")),
            ("POST", "/en/nothing/there/", requests("none", "POST", "4xx")),
            ("PROPFIND", "/en/petitions/chechnya/sign/", requests("petition:sign", "other", "4xx")),
            ("GET", "/admin/petition/signature/nothing/", requests("admin", "GET", "3xx")),
        ],
    )
    def test_requests_are_told_by_route_method_and_kind_of_status(self, petition, method, path, label):
        for _ in range(10):
            Client().generic(method, path)

        assert read()[label] == 10

    def test_a_used_up_limit_is_told_apart(self, petition, monkeypatch, sign_data):
        monkeypatch.setattr("petition.rate_limits.over_any", lambda uses: 60)
        Client().post("/en/petitions/chechnya/sign/", sign_data())

        assert read()[requests("petition:sign", "POST", "429")] == 1

    def test_pages_that_were_kept_are_told_apart(self, petition, settings):
        settings.PAGE_CACHE_ENTRIES = 10
        client = Client()
        for _ in range(11):
            assert client.get("/en/petitions/chechnya/sign/").status_code == 200

        assert read()[requests("kept", "GET", "2xx")] == 10
        assert read()[("petition_page_cache_total", ("result", "hit"))] == 10

    def test_a_site_that_cannot_count_goes_on(self, petition, settings, tmp_path):
        (tmp_path / "file").touch()
        settings.METRICS_DIR = str(tmp_path / "file" / "folder")

        assert Client().get("/en/petitions/chechnya/sign/").status_code == 200

    def test_they_are_not_on_the_site(self, petition):
        assert Client().get("/metrics").status_code == 404


def test_without_an_address_nothing_is_measured(settings):
    assert settings.METRICS_ADDRESS == ""
    with pytest.raises(MiddlewareNotUsed):
        web_metrics.measured(lambda request: None)
    with pytest.raises(CommandError, match="METRICS_ADDRESS"):
        call_command("metrics")


@pytest.mark.django_db
class TestDatabase:
    def test_mails_are_counted_by_provider_and_result_and_a_rare_domain_is_nobodys(self, petition):
        def outcome(recipient, fate, status=None):
            parcel = Parcel(links.owe_mail(petition), None, recipient, lambda: True)
            return Outcome(parcel, fate, status and Codes(status))

        results.note(outcome(f"a{number}@gmail.com", Fate.SENT) for number in range(12))
        results.note(
            [
                outcome("b@mail.ru", Fate.REFUSED, 550),
                outcome("c@bk.ru", Fate.REFUSED, 451),
                outcome("anna@anna-petrova.example", Fate.SILENT),
                outcome("d@gmail.com", Fate.NOT_BEGUN),
            ]
        )
        results.store()

        told = {labels: value for labels, value in read().items() if labels[0] == "petition_mail_total"}
        assert told == {
            ("petition_mail_total", ("provider", "google"), ("result", "sent")): 10,
            ("petition_mail_total", ("provider", "vk"), ("result", "refused")): 1,
            ("petition_mail_total", ("provider", "vk"), ("result", "put_off")): 0,
            ("petition_mail_total", ("provider", "other"), ("result", "silent")): 1,
        }

    def test_the_worker_counts_what_it_sends(self, petition, settings):
        with MailServer() as mail_server:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.port
            for name in ("anna@yandex.ru", "boris@yandex.by"):
                links.owe_mail(petition, name)
            OutgoingMail.objects.update(due_at=this_hour())
            assert queue.deliver_due() == 2

        assert list(MailTally.objects.values_list("provider", "result", "amount")) == [("yandex", "sent", 2)]

    def test_what_happened_to_signatures_is_told_in_tens(self, petition):
        for measure, amount in (("signed", 19), ("held", 9)):
            cell = {"country": "", "language": "en", "source": ""}
            TallyChange.objects.create(petition=petition, hour=this_hour(), measure=measure, amount=amount, **cell)

        told = read()

        assert told[("petition_signatures_total", ("event", "signed"))] == 10
        assert told[("petition_signatures_total", ("event", "held"))] == 0

    def test_every_heartbeat_has_its_age_but_for_those_that_a_single_mail_moves(self):
        for part in Heartbeat.Part.values:
            Heartbeat.beat(part)

        told = read()

        for part in set(Heartbeat.Part.values) - set(Heartbeat.UNTOLD):
            assert 0 <= told[("petition_heartbeat_age_seconds", ("part", part))] < 60
        for part in Heartbeat.UNTOLD:
            assert ("petition_heartbeat_age_seconds", ("part", part)) not in told

    def test_each_part_of_health_is_told(self, monkeypatch):
        monkeypatch.setattr("petition.clock.seconds_ahead", lambda: -7_200.0)

        told = read()

        assert told[("petition_health", ("part", "clock"))] == 0
        assert told[("petition_health", ("part", "storage"))] == 1
        assert told[("petition_clock_ahead_seconds",)] == -7_200

    def test_waits_and_sessions_are_told(self):
        told = read()

        assert told[("petition_database_waits", ("kind", "Lock"))] == 0
        assert sum(value for (name, *_labels), value in told.items() if name == "petition_database_sessions") >= 1
        assert told[("petition_database_sessions_limit",)] >= 20
        assert told[("petition_database_bytes",)] > 1_000_000

    def test_a_database_without_tables_says_so(self, monkeypatch):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'petition'")
        monkeypatch.setattr("petition.health._migrated", False)

        assert read()[("petition_health", ("part", "migrations"))] == 0
