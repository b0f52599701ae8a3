"""A signer writes in: an administrator finds her signature by the address, ten times a day, and leaves no address."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from petition.models import Action, StaffAction
from petition.models.signature import this_hour
from petition.moderation import lookup
from petition.staff import audit

FIND = reverse("admin:petition_soughtsignature_changelist")
ANNA = "anna.secret@example.org"

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client, make_staff):
    user = make_staff("administrator", username="olga")
    client.force_login(user)
    client.user = user
    return client


def ask(client, email=ANNA, reason="She asks why she is not counted"):
    return client.post(FIND, {"email": email, "reason": reason})


@pytest.mark.parametrize(
    ("overrides", "state"),
    [
        ({"confirmed": True}, "counted"),
        ({}, "pending"),
        ({"confirmed": True, "held_at": this_hour()}, "held"),
        ({"confirmed": True, "invalidated_at": this_hour()}, "invalidated"),
    ],
)
def test_the_address_leads_to_the_signature_and_its_state(administrator, make_signature, overrides, state):
    signature = make_signature(email=ANNA, name="Anna Secret", **overrides)
    make_signature(email="boris@example.org", confirmed=True)

    page = ask(administrator, " Anna.SECRET+tag@example.org ").content.decode()

    assert f"No. {signature.pk} (chechnya)" in page
    assert f"<strong>{state}</strong>" in page
    assert page.count("No. ") == 1
    assert "Anna Secret" not in page


def test_an_address_that_never_signed_leads_to_nothing(administrator, petition):
    assert "No signature belongs to this address." in ask(administrator).content.decode()


@pytest.mark.parametrize("data", [{"reason": ""}, {"email": ""}, {"email": "anna"}, {"reason": f"{ANNA} wrote"}])
def test_without_an_address_and_a_reason_nothing_is_sought(administrator, petition, data):
    page = ask(administrator, **data)

    assert "What was found" not in page.content.decode()
    assert not StaffAction.objects.exists()


def test_a_get_finds_nothing(administrator, make_signature):
    make_signature(email=ANNA, confirmed=True)

    page = administrator.get(FIND, {"email": ANNA, "reason": "x"}).content.decode()

    assert "What was found" not in page
    assert ANNA not in page
    assert not StaffAction.objects.exists()


@pytest.mark.parametrize("role", ["moderator", "organiser", "editor"])
def test_nobody_but_an_administrator_asks(client, make_staff, make_signature, role):
    make_signature(email=ANNA, confirmed=True)
    client.force_login(make_staff(role))

    assert ask(client).status_code == 403
    assert not StaffAction.objects.exists()


# What stays.


def test_the_trace_says_who_looked_and_why_and_no_more(administrator, make_signature):
    make_signature(email=ANNA, confirmed=True)
    ask(administrator)
    ask(administrator, "nobody@example.org")

    found, not_found = StaffAction.objects.order_by("pk").values()
    for entry in (found, not_found):
        del entry["id"], entry["done_at"]
    assert found == not_found
    assert (found["username"], found["action"], found["reason"]) == (
        "olga",
        "signature_sought",
        "She asks why she is not counted",
    )
    assert (found["about"], found["detail"], found["count"], found["petition"]) == ("", "", None, "")


def test_the_address_is_in_no_answer_url_session_table_or_log(administrator, make_signature, caplog):
    make_signature(email=ANNA, confirmed=True)
    caplog.set_level(logging.DEBUG)
    # With DEBUG on, Django would log each statement; the tests have it off, as every real start.
    answer = ask(administrator)

    assert "anna.secret" not in answer.content.decode().lower()
    assert "Location" not in answer.headers
    assert "no-store" in answer["Cache-Control"]
    assert all("secret" not in repr(session.get_decoded()) for session in Session.objects.all())
    assert "secret" not in caplog.text.lower()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE %s', ["%anna.secret%"])
            assert cursor.fetchone()[0] == 0, table


def test_an_address_is_asked_for_without_reading_all_signatures(administrator, make_signature):
    make_signature(email=ANNA, confirmed=True)

    with CaptureQueriesContext(connection) as queries:
        ask(administrator)

    (statement,) = [query["sql"] for query in queries if 'FROM "petition_signature"' in query["sql"]]
    assert "LIMIT 10" in statement
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "one_confirmed_signature_per_address" in plan
    assert "pending_signatures" in plan


# Ten a day.


def test_the_eleventh_in_a_day_is_refused(administrator, make_staff, petition):
    for _ in range(10):
        assert ask(administrator).status_code == 200

    refused = ask(administrator)

    assert refused.status_code == 429
    assert "You have looked ten times" in refused.content.decode()
    assert StaffAction.objects.count() == 10
    other = Client()
    other.force_login(make_staff("administrator"))
    assert ask(other).status_code == 200


def test_after_a_day_it_is_possible_again(administrator, petition, monkeypatch):
    for _ in range(10):
        audit.record(administrator.user, Action.SIGNATURE_SOUGHT)
    tomorrow = timezone.now() + timedelta(days=1, seconds=1)
    monkeypatch.setattr(lookup.timezone, "now", lambda: tomorrow)

    assert lookup.find(administrator.user, ANNA, "She asks") == []


def test_other_actions_do_not_count(administrator, petition):
    for _ in range(20):
        audit.record(administrator.user, Action.LOGGED_IN)

    assert ask(administrator).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_ten(petition, make_staff):
    user, together = make_staff("administrator"), Barrier(8)

    def hurry(number):
        client = Client()
        client.force_login(user)
        try:
            together.wait()
            return [ask(client, f"signer{number}.{n}@example.org").status_code for n in range(3)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for answers in pool.map(hurry, range(8)) for status in answers]

    assert statuses.count(200) == 10
    assert statuses.count(429) == 14
    assert StaffAction.objects.filter(action="signature_sought").count() == 10
