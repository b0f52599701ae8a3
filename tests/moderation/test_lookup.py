"""A signer writes in: one administrator asks for her signature, another one approves, and the worker answers."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from petition import identity, lookup, retention
from petition.mail.keys import Keyring
from petition.models import Action, Lookup, OutboxKey, StaffAction
from petition.models.signature import this_hour
from petition.staff import accounts, audit

FIND = reverse("admin:petition_lookup_changelist")
START = reverse("admin:index")
ACCOUNTS = reverse("admin:auth_user_changelist")
ANNA = "anna.secret@example.org"
DAY = timedelta(days=1)
PASSWORD = "a few unrelated words"

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_administrator(make_staff):
    """The browser of an administrator; the account is as old as those of people who have been here for a while."""

    def make(username, age=30 * DAY):
        client = Client()
        client.user = make_staff("administrator", username=username, date_joined=timezone.now() - age)
        client.force_login(client.user)
        return client

    return make


@pytest.fixture
def olga(make_administrator):
    return make_administrator("olga")


@pytest.fixture
def vera(make_administrator):
    return make_administrator("vera")


def ask(client, email=ANNA, reason="She asks why she is not counted"):
    return client.post(FIND, {"email": email, "reason": reason})


def approve(client, question=None):
    return client.post(reverse("admin:petition_lookup_approve", args=[(question or Lookup.objects.get()).pk]))


def answer():
    return lookup.answer_due(Keyring())


def asked_and_approved(asker, other, email=ANNA):
    ask(asker, email)
    approve(other)
    assert answer() == 1


def page_of(client, url=FIND):
    return client.get(url).content.decode()


def later(by):
    """As if what is stored had been asked and done so much earlier."""
    Lookup.objects.update(asked_at=F("asked_at") - by, answered_at=F("answered_at") - by)


# One asks, another approves, the worker answers.


@pytest.mark.parametrize(
    ("overrides", "state"),
    [
        ({"confirmed": True}, "counted"),
        ({}, "pending"),
        ({"confirmed": True, "held_at": this_hour()}, "held"),
        ({"confirmed": True, "invalidated_at": this_hour()}, "invalidated"),
    ],
)
def test_the_address_leads_to_the_signature_and_its_state(olga, vera, make_signature, overrides, state):
    signature = make_signature(email=ANNA, **overrides)
    make_signature(email="boris@example.org", confirmed=True)

    asked_and_approved(olga, vera, " Anna.SECRET+tag@example.org ")

    page = page_of(olga)
    assert f"No. {signature.pk} (chechnya)" in page
    assert f"<strong>{state}</strong>" in page
    assert page.count("No. ") == 1


def test_an_address_that_never_signed_leads_to_nothing(olga, vera, petition):
    asked_and_approved(olga, vera)

    assert "No signature belongs to this address." in page_of(olga)


def test_the_answer_is_for_the_one_who_asked(olga, vera, make_signature):
    make_signature(email=ANNA, confirmed=True)
    asked_and_approved(olga, vera)

    assert "What was found" not in page_of(vera)


def test_nobody_approves_her_own_question(olga, vera, petition):
    ask(olga)
    approve(olga)

    assert answer() == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        Lookup.objects.update(approved_by=olga.user.pk)


def test_without_approval_the_worker_answers_nothing(olga, vera, petition):
    ask(olga)
    later(9 * DAY)

    assert answer() == 0
    assert "Another administrator has to approve it." in page_of(olga)


def test_what_is_refused_is_gone(olga, vera, petition):
    ask(olga)
    question = Lookup.objects.get()
    vera.post(reverse("admin:petition_lookup_refuse", args=[question.pk]))

    assert not Lookup.objects.exists()
    approve(vera, question)
    assert [entry.action for entry in StaffAction.objects.order_by("pk")] == ["signature_sought", "lookup_refused"]


def test_nothing_is_answered_to_one_who_is_no_administrator_any_more(olga, vera, petition):
    ask(olga)
    approve(vera)
    olga.user.groups.clear()

    assert answer() == 0
    assert not Lookup.objects.exists()


def test_the_second_one_sees_who_asks_and_why_and_not_for_whom(olga, vera, petition):
    ask(olga)

    for page in (page_of(vera), page_of(vera, START)):
        assert "olga" in page
        assert "She asks why she is not counted" in page
        assert "secret" not in page.lower()


@pytest.mark.parametrize("data", [{"reason": ""}, {"email": ""}, {"email": "anna"}, {"reason": f"{ANNA} wrote"}])
def test_without_an_address_and_a_reason_nothing_is_asked(olga, petition, data):
    ask(olga, **data)

    assert not Lookup.objects.exists()
    assert not StaffAction.objects.exists()


def test_a_get_asks_nothing(olga, petition):
    page = olga.get(FIND, {"email": ANNA, "reason": "x"}).content.decode()

    assert ANNA not in page
    assert not Lookup.objects.exists()


@pytest.mark.parametrize("role", ["moderator", "organiser", "editor"])
def test_nobody_but_an_administrator_asks_or_approves(client, make_staff, olga, petition, role):
    client.force_login(make_staff(role, date_joined=timezone.now() - 30 * DAY))
    ask(olga)

    assert ask(client).status_code == 403
    assert approve(client).status_code == 403
    assert "olga" not in page_of(client, START)
    assert Lookup.objects.to_be_approved().count() == 1


def test_while_no_worker_has_ever_run_it_says_so(olga, petition):
    OutboxKey.objects.all().delete()

    assert ask(olga).status_code == 503


# Keys live for an hour, a question may wait longer.


def test_a_question_is_sealed_anew_and_can_be_answered_after_its_key_has_gone(olga, vera, make_signature):
    signature = make_signature(email=ANNA, confirmed=True)
    ask(olga)
    first = Lookup.objects.get().key_id
    OutboxKey.objects.update(created_at=timezone.now() - timedelta(hours=2))
    Keyring().rotate()

    assert not OutboxKey.objects.filter(pk=first).exists()
    approve(vera)
    answer()
    assert f"No. {signature.pk} (" in page_of(olga)


def test_a_question_whose_key_is_lost_goes_and_can_be_asked_again(olga, petition):
    ask(olga)
    OutboxKey.objects.update(seen_at=timezone.now() - 2 * DAY)
    for path in Keyring().directory.iterdir():
        path.unlink()
    Keyring().rotate()

    assert not Lookup.objects.exists()


# Where there is one alone.


def test_one_alone_waits_a_day_and_the_start_page_says_so(olga, make_signature):
    make_signature(email=ANNA, confirmed=True)
    ask(olga)

    assert "There is no second administrator" in page_of(olga, START)
    later(DAY - timedelta(minutes=1))
    assert answer() == 0
    later(timedelta(minutes=1))
    assert answer() == 1
    assert "There is no second administrator" not in page_of(olga, START)


@pytest.mark.parametrize("way", ["switched off", "without a role", "deleted"])
def test_who_shuts_out_the_others_is_not_alone_for_a_week(olga, vera, petition, way):
    change = reverse("admin:auth_user_change", args=[vera.user.pk])
    if way == "deleted":
        olga.post(reverse("admin:auth_user_delete", args=[vera.user.pk]), {"post": "yes"})
    else:
        groups = [Group.objects.get(name="moderator" if way == "without a role" else "administrator").pk]
        active = {"is_active": "on"} if way == "without a role" else {}
        olga.post(change, {"username": "vera", "groups": groups, **active})
    assert not lookup.administrators().exclude(pk=olga.user.pk).exists()
    ask(olga)

    later(5 * DAY)
    assert answer() == 0
    assert lookup.alone_until(Lookup.objects.get()) > timezone.now() + 6 * DAY


def test_a_superuser_is_a_second_administrator(olga, petition):
    User.objects.create_superuser("root")
    ask(olga)
    later(2 * DAY)

    assert answer() == 0


# New accounts, and accounts in other hands, can do nothing for a day: nobody is two administrators within a minute.


def test_three_administrators_made_in_a_minute_can_neither_ask_nor_approve(olga, vera, petition):
    ask(olga)
    for name in ("one", "two", "three"):
        data = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
        olga.post(reverse("admin:auth_user_add"), data | {"groups": [Group.objects.get(name="administrator").pk]})
        User.objects.filter(username=name).update(date_joined=timezone.now() - 2 * DAY)  # had she a way to do so
        accounts.note_own_password(User.objects.get(username=name))
        client = Client()
        client.force_login(User.objects.get(username=name))
        approve(client)
        assert ask(client).status_code == 403

    assert answer() == 0
    assert StaffAction.objects.filter(action=Action.SIGNATURE_SOUGHT).count() == 1


def take_over(olga, account, way):
    """What an administrator can do in the admin to come by the account of somebody else."""
    url = reverse("admin:auth_user_change", args=[account.pk])
    administrator = Group.objects.get(name="administrator").pk
    if way == "password":
        data = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
        olga.post(reverse("admin:auth_user_password_change", args=[account.pk]), data)
    elif way == "second factor":
        olga.post(reverse("admin:auth_user_second_factor", args=[account.pk]), {"reason": "a lost phone"})
    elif way == "role":
        account.groups.clear()
        olga.post(url, {"username": account.username, "is_active": "on", "groups": [administrator]})
    elif way == "switched on":
        User.objects.filter(pk=account.pk).update(is_active=False)
        olga.post(url, {"username": account.username, "is_active": "on", "groups": [administrator]})
    else:
        olga.post(url, {"username": "another", "is_active": "on", "groups": [administrator]})


@pytest.mark.parametrize("way", ["password", "second factor", "role", "switched on", "name"])
def test_an_account_that_another_administrator_took_over_waits_a_day(olga, vera, petition, way):
    ask(olga)
    assert not lookup.is_new(vera.user)
    take_over(olga, vera.user, way)
    accounts.note_own_password(vera.user)
    taken = Client()
    taken.force_login(User.objects.get(pk=vera.user.pk))

    approve(taken)

    assert answer() == 0
    assert ask(taken).status_code == 403


@pytest.mark.parametrize(("age", "is_new"), [(DAY - timedelta(minutes=1), True), (DAY + timedelta(minutes=1), False)])
def test_an_account_is_new_for_a_day(make_administrator, age, is_new):
    assert lookup.is_new(make_administrator("nina", age).user) is is_new


# Ten a day, for all of them together.


def test_the_eleventh_in_a_day_is_refused_whoever_asks(olga, vera, petition):
    for number in range(10):
        assert ask(vera if number % 2 else olga).status_code == 302

    for administrator in (olga, vera):
        refused = ask(administrator)
        assert refused.status_code == 429
        assert "Ten signatures have been looked for" in refused.content.decode()
    assert StaffAction.objects.filter(action=Action.SIGNATURE_SOUGHT).count() == 10


def test_refused_and_answered_questions_count_as_well(olga, vera, petition):
    for _ in range(10):
        ask(olga)
        Lookup.objects.all().delete()

    assert ask(olga).status_code == 429


def test_after_a_day_it_is_possible_again(olga, petition, monkeypatch):
    for _ in range(10):
        audit.record(olga.user, Action.SIGNATURE_SOUGHT)
    tomorrow = timezone.now() + DAY + timedelta(seconds=1)
    monkeypatch.setattr(lookup.timezone, "now", lambda: tomorrow)

    assert lookup.ask(olga.user, ANNA, "She asks")


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_ten(petition, make_administrator):
    user, together = make_administrator("olga").user, Barrier(8)

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

    assert statuses.count(302) == 10
    assert statuses.count(429) == 14


# What stays, and who is told.


def test_every_administrator_is_told_of_the_last_30_days(olga, vera, petition):
    asked_and_approved(olga, vera)
    Lookup.objects.all().delete()

    for administrator in (olga, vera):
        page = page_of(administrator, START)
        assert "olga: She asks why she is not counted" in page
        assert "secret" not in page.lower()


def test_each_step_leaves_an_entry_and_none_says_for_whom_or_what_was_found(olga, vera, make_signature):
    make_signature(email=ANNA, confirmed=True)
    asked_and_approved(olga, vera)
    Lookup.objects.all().delete()
    asked_and_approved(olga, vera, "nobody@example.org")

    entries = [
        (entry.username, entry.action, entry.reason, entry.detail, entry.count, entry.petition)
        for entry in StaffAction.objects.order_by("pk")
    ]
    assert entries[:3] == entries[3:]
    assert [entry[:3] for entry in entries[:3]] == [
        ("olga", "signature_sought", "She asks why she is not counted"),
        ("vera", "lookup_approved", ""),
        ("olga", "lookup_answered", ""),
    ]


def test_question_and_answer_are_erased_after_an_hour(olga, vera, make_signature):
    make_signature(email=ANNA, confirmed=True)
    asked_and_approved(olga, vera)
    assert not Lookup.objects.get().address
    later(timedelta(minutes=59))
    retention.purge()
    assert "What was found" in page_of(olga)
    later(timedelta(minutes=2))

    assert "What was found" not in page_of(olga)
    answer()
    assert not Lookup.objects.exists()


def test_a_question_that_nobody_approves_goes_after_two_weeks(olga, vera, petition):
    ask(olga)
    later(14 * DAY - timedelta(minutes=1))
    assert retention.purge()["questions for a signature"] == 0
    later(timedelta(minutes=2))

    assert retention.purge()["questions for a signature"] == 1


def test_the_address_is_in_no_answer_url_session_table_or_log(olga, vera, make_signature, caplog):
    make_signature(email=ANNA, confirmed=True)
    caplog.set_level(logging.DEBUG)
    # With DEBUG on, Django would log each statement; the tests have it off, as every real start.
    response = ask(olga)

    assert response["Location"] == FIND
    assert "no-store" in response["Cache-Control"]
    assert all("secret" not in repr(session.get_decoded()) for session in Session.objects.all())
    assert "secret" not in caplog.text.lower()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE %s', ["%anna.secret%"])
            assert cursor.fetchone()[0] == 0, table


def test_the_web_cannot_answer_itself(olga, vera, petition, settings):
    """It has neither the key of the digests nor those of the boxes."""
    settings.EMAIL_DIGEST_KEY, settings.OUTBOX_KEYS_DIR = "", "/nonexistent"
    ask(olga)

    assert approve(vera).status_code == 302
    assert Lookup.objects.get().email_digest is None
    assert page_of(olga).count("What was found") == 0


def test_an_answer_is_found_without_reading_all_signatures(olga, vera, make_signature):
    make_signature(email=ANNA, confirmed=True)
    asked_and_approved(olga, vera)

    with CaptureQueriesContext(connection) as queries:
        olga.get(FIND)

    (statement,) = [query["sql"] for query in queries if 'FROM "petition_signature"' in query["sql"]]
    assert "LIMIT 10" in statement
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "one_confirmed_signature_per_address" in plan
    assert "pending_signatures" in plan


def test_the_worker_answers(olga, vera, make_signature):
    signature = make_signature(email=ANNA, confirmed=True)
    ask(olga)
    approve(vera)

    call_command("worker", "--once")

    assert bytes(Lookup.objects.get().email_digest) == identity.email_digest(ANNA)
    assert f"No. {signature.pk} (" in page_of(olga)


def test_nobody_approves_her_own_question_with_an_account_that_she_made(olga, vera, monkeypatch):
    """Whoever makes a second administrator and sets it up herself is still alone."""
    monkeypatch.setattr(lookup, "NEW", timedelta(0))
    audit.record(olga.user, Action.ADDED, about=audit.name(vera.user))
    ask(olga)

    page = approve(vera)

    assert not Lookup.objects.get().approved_at
    assert "A third administrator has to approve it." in vera.get(page["Location"]).content.decode()
    assert answer() == 0
    assert lookup.alone_until(Lookup.objects.get()) is not None


def test_a_third_one_approves_it(olga, vera, make_administrator):
    audit.record(olga.user, Action.ADDED, about=audit.name(vera.user))
    ask(olga)

    approve(make_administrator("inna"))

    assert Lookup.objects.get().approved_at
