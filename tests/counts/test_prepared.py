"""Large files of counts: asked for in the admin, made by a worker, fetched by their account alone, gone after a day."""

import os
import re
import signal
import subprocess
import sys
from datetime import date, timedelta
from io import BytesIO

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from petition import retention
from petition.counts import export, prepared
from petition.management.commands.worker import Command
from petition.models import CountsExport, PublishedCell, StaffAction
from petition.models.counts import LEFT_SECONDS, MOST_TRIES
from tests.support import server

PREPARE = reverse("admin:petition_counts_prepare", args=["chechnya", "xlsx"])
DOWNLOAD = reverse("admin:petition_counts_download", args=["chechnya", "xlsx"])
ASKED = "?by=week,country"
WEEKS, COUNTRIES = 3, 7


@pytest.fixture
def cells(petition, publish):
    publish()
    PublishedCell.objects.bulk_create(
        PublishedCell(
            petition=petition,
            week=date(2026, 3, 2) + timedelta(weeks=week),
            country=f"A{'ABCDEFG'[country]}",
            language="en",
            source="",
            measure="counted",
            amount=20,
            shown=20,
        )
        for week in range(WEEKS)
        for country in range(COUNTRIES)
    )


@pytest.fixture
def organiser(client, cells, make_staff, monkeypatch):
    monkeypatch.setattr(export, "LARGE_ROWS", WEEKS * COUNTRIES - 1)
    client.force_login(make_staff("organiser"))
    return client


def ask(client):
    """The page of a file that was asked for."""
    return client.post(f"{PREPARE}{ASKED}").headers["Location"]


def test_what_was_asked_is_said_in_words(organiser):
    asked = f"{ASKED}&since=2026-03-02&until=2026-03-22"
    said = "XLSX: Weeks, countries, 2026-03-02 – 2026-03-22"
    offer = organiser.get(f"{PREPARE}{asked}").content.decode()
    page = organiser.post(f"{PREPARE}{asked}", follow=True).content.decode()

    counts = organiser.get(reverse("admin:petition_counts_page", args=["chechnya"])).content.decode()

    for html in (offer, page, counts):
        assert said in html
        assert "week,country" not in re.sub("<[^>]+>", "", html)


def test_a_small_file_comes_at_once_and_a_large_one_is_offered(organiser, monkeypatch):
    offered = organiser.get(f"{DOWNLOAD}{ASKED}")
    assert offered.headers["Location"].startswith(PREPARE)
    assert "Make the file" in organiser.get(offered.headers["Location"]).content.decode()
    assert not CountsExport.objects.exists()

    monkeypatch.setattr(export, "LARGE_ROWS", WEEKS * COUNTRIES)
    small = organiser.get(f"{DOWNLOAD}{ASKED}")
    assert load_workbook(BytesIO(b"".join(small.streaming_content)))["counts"].max_row == 1 + WEEKS * COUNTRIES


def test_a_worker_makes_it_and_its_account_fetches_it(organiser):
    page = ask(organiser)
    assert "A worker will begin" in organiser.get(page).content.decode()
    Command().drain()

    ready = organiser.get(page).content.decode()
    assert f"The file is ready: {WEEKS * COUNTRIES} rows" in ready
    assert 'http-equiv="refresh"' not in ready
    fetched = organiser.get(f"{page}download")
    assert fetched.headers["Content-Disposition"].startswith('attachment; filename="chechnya-by-week-country-')
    sheet = load_workbook(BytesIO(b"".join(fetched.streaming_content)))["counts"]
    assert [cell.value for cell in sheet[2]][1:] == ["AA", 20]
    assert sheet.max_row == 1 + WEEKS * COUNTRIES


def test_the_page_of_counts_leads_to_it(organiser):
    page = ask(organiser)

    assert page in organiser.get(reverse("admin:petition_counts_page", args=["chechnya"])).content.decode()


def test_nobody_else_can_see_or_fetch_it(organiser, make_staff):
    page = ask(organiser)
    Command().drain()
    organiser.force_login(make_staff("organiser", username="other"))

    assert organiser.get(page).status_code == organiser.get(f"{page}download").status_code == 404
    assert page not in organiser.get(reverse("admin:petition_counts_page", args=["chechnya"])).content.decode()


def test_asking_and_fetching_are_audited(organiser):
    page = ask(organiser)
    Command().drain()
    organiser.get(f"{page}download")

    entries = StaffAction.objects.order_by("id").values_list("action", "petition", "detail", "count")
    assert list(entries) == [
        ("export_asked", "chechnya", "xlsx by=week,country", None),
        ("counts_downloaded", "chechnya", "xlsx by=week,country", WEEKS * COUNTRIES),
    ]


def test_asking_twice_is_asking_once(organiser):
    assert ask(organiser) == ask(organiser)
    assert CountsExport.objects.count() == StaffAction.objects.count() == 1


def test_a_look_at_the_offer_asks_for_nothing(organiser):
    organiser.get(f"{PREPARE}{ASKED}")

    assert not CountsExport.objects.exists()


def test_its_bar_shows_how_far_it_is(organiser):
    page = ask(organiser)
    CountsExport.objects.update(rows=40_000, written=12_000, taken_at=timezone.now(), tries=1)

    shown = " ".join(organiser.get(page).content.decode().split())
    assert 'max="40000" value="12000"' in shown
    assert "12,000 of 40,000 rows" in shown


def test_what_is_being_made_is_left_to_who_makes_it(organiser):
    ask(organiser)
    CountsExport.objects.update(taken_at=timezone.now(), tries=1)

    assert not prepared.make_next()


def test_who_writes_says_how_far_it_is_and_keeps_it(organiser, monkeypatch):
    monkeypatch.setattr(prepared, "SAY_SECONDS", 0)
    ask(organiser)
    said = []
    hear = prepared.Progress.hear

    def listen(progress, written):
        hear(progress, written)
        said.append(CountsExport.objects.get().written)

    monkeypatch.setattr(prepared.Progress, "hear", listen)
    prepared.make_next()

    assert said == list(range(1, WEEKS * COUNTRIES + 1))


def test_after_three_tries_it_is_given_up_and_the_page_says_so(organiser):
    page = ask(organiser)
    long_ago = timezone.now() - timedelta(seconds=LEFT_SECONDS + 1)
    CountsExport.objects.update(taken_at=long_ago, tries=MOST_TRIES)

    assert not prepared.make_next()
    assert "could not be made" in organiser.get(page).content.decode()


def test_after_a_day_nobody_gets_it_and_the_purge_deletes_it(organiser):
    page = ask(organiser)
    Command().drain()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE petition_countsexport SET asked_at = now() - interval '24 hours 1 minute'")

    assert organiser.get(f"{page}download").status_code == 404
    assert retention.purge()["files of counts"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_loses_nothing(organiser, settings):
    """A real process that holds it is killed; half a minute later it is anybody's."""
    page = ask(organiser)
    program = (
        "import django, time; django.setup()\n"
        "from petition.counts import export, prepared\n"
        "export.write = lambda *arguments: time.sleep(600)\n"
        "prepared.make_next()\n"
    )
    variables = {**os.environ, "DATABASE_URL": server.database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=settings.BASE_DIR, env=variables)
    try:
        server.wait_until(lambda: CountsExport.objects.filter(rows__isnull=False).exists())
        assert not prepared.make_next()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE petition_countsexport SET taken_at = taken_at - interval '31 seconds'")

    assert prepared.make_next()
    assert "The file is ready" in organiser.get(page).content.decode()


def test_the_worker_starts_a_process_for_what_waits_without_the_digest_key(organiser, monkeypatch):
    started = []

    class Process:
        def __init__(self, command, env, **options):
            started.append((command[-1], "EMAIL_DIGEST_KEY" in env))
            self.returncode = 0

        def poll(self):
            return None

    monkeypatch.setenv("EMAIL_DIGEST_KEY", "x" * 40)
    monkeypatch.setattr(prepared.subprocess, "Popen", Process)
    maker = prepared.Maker()
    maker.go_on()
    assert started == []
    ask(organiser)
    maker.go_on()
    maker.go_on()

    assert started == [("make_exports", False)]


@pytest.mark.parametrize(("most", "said"), [(100, 21), (21, 21), (20, 21), (5, 6)])
def test_rows_are_counted_no_further_than_asked(cells, petition, most, said):
    from petition.counts import breakdown

    question = breakdown.Question.ask(petition.pk, ["week", "country"])
    assert breakdown.number_of_rows(question, most) == said
