"""Samples: how the site stood in each minute, without telling of one person, and the charts that administrators see."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models.functions import Now, TruncMinute
from django.urls import reverse
from django.utils import timezone

from petition import retention, samples
from petition.mail_providers import OTHER
from petition.models import Heartbeat, MailTally, OutgoingMail, Sample
from petition.staff import roles
from tests.conftest import make_petition
from tests.support import links, server
from tests.support.browser import follow, needs_chromium

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:petition_sample_changelist")
PASSWORD = "a long password for a test"


def store(minutes_ago, **values):
    """The sample of an earlier minute."""
    given = {"waiting": 0, "late_minutes": 0, "parked": 0, "sent": 0, "unfolded": 0, "published": 0}
    Sample.objects.create(
        taken_at=timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago),
        database_bytes=20_000_000,
        **given | values,
    )


@pytest.fixture
def administrator(client):
    roles.ensure()
    user = get_user_model().objects.create_user("operator", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    client.force_login(user)
    return client


def shown(client, name, query=""):
    """The bars of one chart, as a pointer over them says."""
    page = client.get(f"{PAGE}{query}").content.decode()
    chart = page.partition(f'id="{name}-chart"')[2].partition("</svg>")[0]
    return re.findall(r"<title>([^<]+)</title></rect>", chart)


# Taking them.


def test_of_several_workers_one_takes_the_sample_of_a_minute(petition):
    assert [samples.take(), samples.take()] == [True, False]

    taken = Sample.objects.annotate(minute=TruncMinute(Now())).get()
    assert taken.minute - taken.taken_at <= timedelta(minutes=1)


@pytest.mark.parametrize(("mails", "waiting"), [(1, 0), (9, 0), (10, 10), (11, 10)])
def test_how_many_mails_wait_is_stored_in_tens(petition, mails, waiting):
    for _ in range(mails):
        links.owe_mail(petition)
    MailTally.objects.create(provider=OTHER, result="sent", amount=mails)

    samples.take()

    assert (Sample.objects.get().waiting, Sample.objects.get().sent) == (waiting, waiting)


@pytest.mark.parametrize(("mails", "late"), [(9, 0), (10, 7)])
def test_ten_late_mails_are_seen_and_fewer_or_those_that_were_tried_or_parked_are_not(petition, mails, late):
    """The time of the oldest one would tell when one person signed."""
    now = timezone.now()
    for _ in range(mails):
        links.owe_mail(petition, due_at=now - timedelta(minutes=7, seconds=30))
    links.owe_mail(petition, due_at=now - timedelta(hours=7), attempts=1)
    links.owe_mail(petition, due_at=now - timedelta(hours=7), parked_at=now)

    samples.take()

    assert Sample.objects.get().late_minutes == late


@pytest.mark.parametrize(("days", "is_kept"), [(30.9, True), (31.1, False)])
def test_they_are_kept_for_31_days(petition, days, is_kept):
    store(days * 24 * 60)

    retention.purge()

    assert Sample.objects.exists() is is_kept


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_takes_them(tmp_path):
    make_petition()
    with server.worker(tmp_path / "worker.log"):
        server.wait_until(Sample.objects.exists)

    assert Sample.objects.get().database_bytes > 1_000_000


# Showing them.


@pytest.mark.parametrize(("role", "status"), [("administrator", 200), ("moderator", 403), ("organiser", 403)])
def test_administrators_see_the_charts_and_others_do_not(client, role, status):
    roles.ensure()
    user = get_user_model().objects.create_user("somebody", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)

    assert client.get(PAGE).status_code == status


def test_before_the_first_sample_it_says_so(administrator):
    page = administrator.get(PAGE).content.decode()

    assert "No worker has noted anything yet." in page
    assert "Is one running?" not in page


def test_a_column_shows_the_most_of_its_minutes(administrator):
    for minutes_ago, waiting in ((30, 20), (31, 40), (600, 300), (2_000, 900)):
        store(minutes_ago, waiting=waiting)

    day = [int(words.rpartition(": ")[2]) for words in shown(administrator, "waiting")]
    month = [int(words.rpartition(": ")[2]) for words in shown(administrator, "waiting", "?range=month")]

    # Both of the first two may be in one column.
    assert day in ([300, 40], [300, 40, 20])
    assert month in ([900, 300, 40], [900, 300, 40, 20])


def test_mails_sent_are_what_the_running_number_rose_by(administrator):
    for minutes_ago, sent in ((1_439, 1_000), (700, 1_010), (350, 1_510), (1, 1_510)):
        store(minutes_ago, sent=sent)

    assert [words.rpartition(": ")[2] for words in shown(administrator, "sent")] == ["10", "500"]


@pytest.mark.parametrize(("stored", "missing"), [(range(60), 0), ([0, 59, *range(1, 31)], 28)])
def test_minutes_without_a_sample_are_counted_from_the_first_one_on(administrator, stored, missing):
    for minutes_ago in stored:
        store(minutes_ago)

    assert sum(int(words.rpartition(": ")[2]) for words in shown(administrator, "missing")) == missing


@pytest.mark.parametrize(("minutes", "is_said"), [(2, False), (5, True)])
def test_it_says_when_no_worker_says_anything(administrator, minutes, is_said):
    store(minutes)

    assert ("Is one running?" in administrator.get(PAGE).content.decode()) is is_said


def test_it_says_when_each_part_last_did_its_work(administrator):
    for part in Heartbeat.Part.values:
        Heartbeat.beat(part)

    page = administrator.get(PAGE).content.decode()

    assert page.count("<time ") == len(set(Heartbeat.Part.values) - set(Heartbeat.UNTOLD))
    assert "Sending mail" in page


def test_it_costs_few_statements_however_much_is_stored(administrator, django_assert_max_num_queries):
    with connection.cursor() as cursor:
        cursor.execute("""
            INSERT INTO petition_sample
            SELECT date_trunc('minute', now()) - make_interval(mins => n), 0, 0, 0, n, 0, n, n
            FROM generate_series(0, 44639) AS n
        """)

    with django_assert_max_num_queries(12):
        assert administrator.get(f"{PAGE}?range=month").status_code == 200
    assert not OutgoingMail.objects.exists()


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_the_charts_fit_a_phone_and_a_wide_screen(browser, tmp_path, petition):
    store(30, waiting=40)
    get_user_model().objects.create_superuser("operator", password=PASSWORD)
    with server.web(tmp_path / "web.log") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}")
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(PAGE)
        page.fill("#id_username", "operator")
        page.fill("#id_password", PASSWORD)
        follow(page, "[type=submit]")
        for width in (390, 1_280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.locator("svg.chart").count() == 7
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("#waiting-chart").locator("xpath=..").bounding_box()["width"] > 0.7 * min(width, 800)
        assert complaints == []
        context.close()
