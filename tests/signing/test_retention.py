"""What is deleted by the clock, on both sides of each time."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from petition import identity, retention
from petition.counts import tally
from petition.models import AddressMark, DailySalt, Link, OutgoingMail, Retention, Signature
from petition.models import signature as signatures
from petition.models.signature import this_hour
from tests.support import links

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_mail(petition):
    def make(**overrides):
        return OutgoingMail.objects.create(
            **{
                "petition": petition,
                "kind": "sign",
                "recipient": b"sealed",
                "language": "en",
                **overrides,
            }
        )

    return make


@pytest.mark.parametrize(("age", "stays"), [(8 * DAY, False), (8 * DAY - HOUR, True), (7 * DAY, True), (0 * DAY, True)])
def test_a_pending_signature_lapses_a_day_after_its_link(make_signature, age, stays):
    make_signature(created_at=this_hour() - age)

    assert retention.purge()["lapsed signatures"] == (0 if stays else 1)
    assert Signature.objects.exists() is stays


@pytest.mark.parametrize(("age", "stays"), [(8 * DAY, False), (8 * DAY - HOUR, True), (7 * DAY, True), (0 * DAY, True)])
def test_a_link_is_forgotten_a_day_after_it_expired(make_signature, age, stays):
    links.token(make_signature(created_at=this_hour() - age, confirmed=True))

    assert retention.purge()["expired links"] == (0 if stays else 1)
    assert Link.objects.exists() is stays


@pytest.mark.parametrize("state", ["counted", "held", "invalidated"])
def test_a_confirmed_signature_stays(make_signature, state):
    make_signature(confirmed=True, created_at=this_hour() - 400 * DAY)
    if state == "held":
        Signature.objects.hold("a test")
    if state == "invalidated":
        Signature.objects.invalidate("a test")

    retention.purge()
    assert Signature.objects.count() == 1


def test_lapsed_signatures_go_in_batches_and_the_tally_follows(make_signature, monkeypatch):
    monkeypatch.setattr(signatures, "BATCH", 2)
    for _ in range(5):
        make_signature(created_at=this_hour() - 9 * DAY)
    make_signature(confirmed=True)

    with CaptureQueriesContext(connection) as queries:
        assert retention.purge()["lapsed signatures"] == 5

    deletes = [query["sql"] for query in queries if query["sql"].startswith('DELETE FROM "petition_signature"')]
    assert len(deletes) >= 3
    assert tally.current("chechnya").confirmed_here == 1
    assert tally.recount().difference == 0


@pytest.mark.parametrize(("age", "stays"), [(30 * DAY, False), (30 * DAY - HOUR, True)])
@pytest.mark.parametrize("confirmed", [True, False])
def test_signals_of_abuse_fade_after_thirty_days(make_signature, age, stays, confirmed, settings):
    settings.CONFIRMATION_DAYS = 60
    make_signature(
        created_at=this_hour() - age,
        confirmed=confirmed,
        network_digest=bytes(3),
        domain_digest=bytes(32),
    )

    assert retention.purge()["abuse signals"] == (0 if stays else 1)
    signature = Signature.objects.get()
    assert (signature.network_digest is not None, signature.domain_digest is not None) == (stays, stays)


def test_signals_of_abuse_fade_in_batches(make_signature, monkeypatch):
    monkeypatch.setattr(signatures, "BATCH", 2)
    for _ in range(5):
        make_signature(created_at=this_hour() - 31 * DAY, confirmed=True, network_digest=bytes(3))

    assert retention.purge()["abuse signals"] == 5
    assert not Signature.objects.filter(network_digest__isnull=False).exists()
    assert retention.purge()["abuse signals"] == 0


@pytest.mark.parametrize(("age", "stays"), [(6 * DAY + HOUR, False), (6 * DAY - HOUR, True)])
def test_parked_mail_goes_within_seven_days(make_mail, age, stays):
    """The purge runs every hour, so six days and an hour are well within seven."""
    make_mail(parked_at=timezone.now() - age)

    assert retention.purge()["parked mails"] == (0 if stays else 1)


def test_mail_that_waits_is_not_purged(make_mail):
    make_mail(due_at=timezone.now() - 60 * DAY)

    retention.purge()
    assert OutgoingMail.objects.count() == 1


@pytest.mark.parametrize(("left", "stays"), [(-HOUR, False), (HOUR, True)])
def test_marks_go_when_they_expire(left, stays):
    AddressMark.objects.create(email_digest=bytes(32), kind="hold", expires_at=timezone.now() + left)

    assert retention.purge()["address marks"] == (0 if stays else 1)


def test_a_mark_lives_thirty_days():
    AddressMark.remember(bytes(32), AddressMark.Kind.NO_MAIL)

    left = AddressMark.objects.get().expires_at - timezone.now()
    # To the hour that has begun then.
    assert timedelta(days=30) < left <= timedelta(days=30) + HOUR


@pytest.mark.parametrize(("days", "stays"), [(2, False), (1, False), (0, True)])
def test_the_salt_of_yesterday_goes(days, stays):
    DailySalt.objects.create(day=datetime.now(UTC).date() - timedelta(days=days), salt=bytes(32))

    assert retention.purge()["daily salts"] == (0 if stays else 1)


def test_without_its_salt_a_network_is_another_one():
    before = identity.network_digest("192.0.2.1")
    assert identity.network_digest("192.0.2.1") == before

    DailySalt.objects.all().delete()
    identity._salt = None
    assert identity.network_digest("192.0.2.1") != before


def test_expired_counters_go_and_others_stay():
    cache.add("expired", 1, timeout=60)
    cache.add("current", 2, timeout=60)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE petition_cache SET expires = now() - interval '1 second' WHERE cache_key LIKE '%expired'"
        )

    assert retention.purge()["expired counters"] == 1
    assert cache.incr("current") == 3


@pytest.mark.parametrize(("left", "stays"), [(-HOUR, False), (HOUR, True)])
def test_sessions_that_have_ended_go(left, stays):
    Session.objects.create(session_key="a" * 32, session_data="", expire_date=timezone.now() + left)

    assert retention.purge()["sessions"] == (0 if stays else 1)


def test_the_command_says_what_it_did(make_signature, make_mail, capsys):
    make_signature(created_at=this_hour() - 9 * DAY)
    make_mail(parked_at=timezone.now() - 8 * DAY)

    call_command("purge")
    said = capsys.readouterr().out
    assert said.startswith("Purged 1 lapsed signatures, ")
    assert ", 0 abuse signals, " in said
    assert ", 1 parked mails, " in said

    call_command("purge")
    assert "Purged 0 lapsed signatures" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_several_may_purge_at_once(make_signature, make_mail, monkeypatch):
    monkeypatch.setattr(signatures, "BATCH", 20)
    for _ in range(200):
        make_signature(created_at=this_hour() - 9 * DAY, network_digest=bytes(3))
        make_signature(created_at=this_hour() - 31 * DAY, confirmed=True, network_digest=bytes(3))
    start = threading.Barrier(4)

    def purge(_number):
        start.wait()
        try:
            retention.purge()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(purge, range(4)))

    assert Signature.objects.count() == 200
    assert not Signature.objects.filter(network_digest__isnull=False).exists()
    assert tally.recount().difference == 0


# The page that says when.


PAGE = reverse("admin:petition_retention_changelist")


@pytest.fixture
def administrator(client, make_staff):
    client.force_login(make_staff("administrator"))
    return client


def test_every_kind_says_when_it_is_deleted_and_has_its_row():
    purged = retention.purge()

    assert set(purged) == set(retention.kinds()) == set(Retention.objects.values_list("kind", flat=True))


def test_an_administrator_sees_when_it_last_ran_and_never_how_much_it_was(administrator, make_signature):
    for _ in range(3):
        make_signature(created_at=this_hour() - 9 * DAY)
    retention.purge()
    with_three = administrator.get(PAGE).content.decode()
    retention.purge()
    with_none = administrator.get(PAGE).content.decode()

    differs = r"<time.+?</time>|value=\"\w{64}\""
    assert re.sub(differs, "", with_three) == re.sub(differs, "", with_none)
    assert "after 8 days" in with_three
    assert with_three.count("<time") == len(retention.kinds())


def test_a_worker_that_deletes_nothing_for_two_hours_is_told(administrator):
    assert "Is the worker running?" in administrator.get(PAGE).content.decode()
    retention.purge()
    assert "Is the worker running?" not in administrator.get(PAGE).content.decode()
    Retention.objects.filter(kind="sessions").update(ran_at=timezone.now() - 2 * HOUR)
    assert "Is the worker running?" in administrator.get(PAGE).content.decode()


def test_the_start_page_of_administrators_leads_there(administrator):
    assert PAGE in administrator.get(reverse("admin:index")).content.decode()
