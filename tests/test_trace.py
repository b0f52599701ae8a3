"""The trace of what staff do: it grows, and nothing that the application can do makes it shrink."""

from datetime import timedelta

import pgtrigger
import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone, translation

from petition import retention, trace
from petition.models import Action, OutgoingMail, StaffAction

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def anna():
    return User.objects.create_user("anna", is_staff=True)


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def entries():
    return StaffAction.objects.values_list("username", "action", "about", "petition", "count", "reason")


# What an entry says.


def test_an_entry_says_who_did_what_when_to_how_many_and_why(anna, petition):
    trace.record(anna, Action.CHANGED, about=petition, detail="goal", count=3, reason="Asked by the board")

    entry = StaffAction.objects.get()
    assert (entry.user_id, entry.username) == (anna.pk, "anna")
    assert timezone.now() - entry.done_at < timedelta(minutes=1)
    assert (entry.action, entry.about, entry.petition) == ("changed", "petition chechnya", "chechnya")
    assert (entry.detail, entry.count, entry.reason) == ("goal", 3, "Asked by the board")


def test_an_entry_names_signers_and_mails_by_their_number(anna, petition, make_signature):
    signature = make_signature(email="maria@example.org", name="Maria", words="Be strong")
    mail = OutgoingMail.objects.create(
        petition=petition, kind="sign", recipient=b"sealed", email_digest=bytes(32), language="en"
    )

    trace.record(anna, Action.CHANGED, about=signature)
    trace.record(anna, Action.CHANGED, about=mail)

    assert [entry[2:4] for entry in entries()] == [
        (f"signature {signature.pk}", "chechnya"),
        (f"outgoingmail {mail.pk}", "chechnya"),
    ]


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_an_entry_may_be_of_nobody(nobody):
    trace.record(nobody, Action.LOGIN_FAILED)

    assert StaffAction.objects.get().user_id is None
    assert list(entries()) == [("", "login_failed", "", "", None, "")]


@pytest.mark.parametrize("field", ["detail", "reason"])
def test_an_entry_that_holds_an_address_is_refused(anna, field):
    with pytest.raises(IntegrityError, match="the_trace_holds_no_address"), transaction.atomic():
        trace.record(anna, Action.CHANGED, **{field: "maria@example.org asked"})


def test_what_is_rolled_back_leaves_no_entry(anna):
    with transaction.atomic():
        trace.record(anna, Action.CHANGED)
        transaction.set_rollback(True)

    assert not StaffAction.objects.exists()


def test_long_texts_are_cut(anna):
    trace.record(anna, Action.CHANGED, about="a" * 300, detail="b" * 2000, reason="c" * 600)

    entry = StaffAction.objects.get()
    assert (len(entry.about), len(entry.detail), len(entry.reason)) == (200, 1000, 500)


def test_an_entry_outlives_its_account(anna):
    number = anna.pk
    trace.record(anna, Action.LOGGED_IN)

    anna.delete()

    assert StaffAction.objects.values_list("user_id", "username").get() == (number, "anna")


def test_every_action_has_a_name_of_its_own_in_both_languages():
    for language in ("en", "ru"):
        with translation.override(language):
            labels = [str(label) for label in Action.labels]
        assert len(set(labels)) == len(labels)
        assert max(len(value) for value in Action.values) <= StaffAction._meta.get_field("action").max_length


# Nothing changes it.


@pytest.fixture
def entry(anna):
    trace.record(anna, Action.LOGGED_IN)
    return StaffAction.objects.get()


ATTEMPTS = {
    "save": lambda entry: entry.save(),
    "update": lambda entry: StaffAction.objects.update(username="boris"),
    "bulk_update": lambda entry: StaffAction.objects.bulk_update([entry], ["reason"]),
    "upsert": lambda entry: StaffAction.objects.bulk_create(
        [entry], update_conflicts=True, unique_fields=["id"], update_fields=["username"]
    ),
    "delete": lambda entry: entry.delete(),
    "delete all": lambda entry: StaffAction.objects.all().delete(),
    "raw update": lambda entry: sql("UPDATE petition_staffaction SET done_at = done_at - interval '3 years'"),
    "raw delete": lambda entry: sql("DELETE FROM petition_staffaction"),
    "truncate": lambda entry: sql("TRUNCATE petition_staffaction"),
    "truncate with others": lambda entry: sql("TRUNCATE django_session, petition_staffaction CASCADE"),
    "merge": lambda entry: sql(
        "MERGE INTO petition_staffaction USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE"
    ),
    "with": lambda entry: sql("WITH gone AS (DELETE FROM petition_staffaction RETURNING 1) SELECT * FROM gone"),
}


def attempt(name, entry):
    before = list(StaffAction.objects.values())
    entry.username = "boris"
    with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
        ATTEMPTS[name](entry)
    assert list(StaffAction.objects.values()) == before


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_statement_changes_or_deletes_an_entry(entry, name):
    attempt(name, entry)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_cannot_be_ignored_like_a_trigger_of_pgtrigger(entry, name):
    with pgtrigger.ignore():
        attempt(name, entry)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_session_that_plays_a_replica_is_refused_too(entry, name):
    """Only a superuser can play a replica, which skips ordinary triggers and foreign keys."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usesuper FROM pg_user WHERE usename = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("needs a superuser")
    sql("SET LOCAL session_replication_role = replica")
    attempt(name, entry)


def test_a_clock_of_its_own_does_not_help(entry):
    sql("CREATE SCHEMA forged")
    sql("CREATE FUNCTION forged.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''2100-01-01'''")
    sql("SET LOCAL search_path = forged, public, pg_catalog")

    attempt("raw delete", entry)


def test_what_the_owner_of_the_table_can_still_do(entry):
    """Said in the documents: who may alter tables may also switch the trigger off."""
    sql("ALTER TABLE petition_staffaction DISABLE TRIGGER trace_only_grows")
    try:
        StaffAction.objects.all().delete()
    finally:
        sql("ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER trace_only_grows")

    assert not StaffAction.objects.exists()


# After two years.


@pytest.mark.parametrize(("age", "stays"), [(733 * DAY, False), (731 * DAY, True), (1 * DAY, True)])
def test_entries_are_purged_after_two_years(anna, age, stays):
    StaffAction.objects.create(username="anna", action=Action.LOGGED_IN, done_at=Now() - age)

    assert retention.purge()["entries of the trace"] == (0 if stays else 1)
    assert StaffAction.objects.exists() is stays


def test_an_old_entry_never_changes_either():
    StaffAction.objects.create(username="anna", action=Action.LOGGED_IN, done_at=Now() - 733 * DAY)

    with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
        StaffAction.objects.update(username="boris")


@pytest.mark.parametrize("age", [730 * DAY, 729 * DAY])
def test_younger_ones_cannot_be_deleted(age):
    StaffAction.objects.create(username="anna", action=Action.LOGGED_IN, done_at=Now() - age)

    with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
        StaffAction.objects.all().delete()
