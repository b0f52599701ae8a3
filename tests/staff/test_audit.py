"""The audit log of what staff do: it grows, nothing that the application can do shrinks it, and a page shows it."""

import re
from datetime import timedelta

import pgtrigger
import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from petition import retention
from petition.models import Action, StaffAction
from petition.staff import audit
from tests.support import links

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
    audit.record(anna, Action.CHANGED, about=petition, detail="goal", count=3, reason="Asked by the board")

    entry = StaffAction.objects.get()
    assert (entry.user_id, entry.username) == (anna.pk, "anna")
    assert timezone.now() - entry.done_at < timedelta(minutes=1)
    assert (entry.action, entry.about, entry.petition) == ("changed", "petition chechnya", "chechnya")
    assert (entry.detail, entry.count, entry.reason) == ("goal", 3, "Asked by the board")


def test_an_entry_names_signers_and_mails_by_their_number(anna, petition, make_signature):
    signature = make_signature(name="Maria", words="Be strong")
    mail = links.owe_mail(petition)

    audit.record(anna, Action.CHANGED, about=signature)
    audit.record(anna, Action.CHANGED, about=mail)

    assert [entry[2:4] for entry in entries()] == [
        (f"signature {signature.pk}", "chechnya"),
        (f"outgoingmail {mail.pk}", "chechnya"),
    ]


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_an_entry_may_be_of_nobody(nobody):
    audit.record(nobody, Action.LOGIN_FAILED)

    assert StaffAction.objects.get().user_id is None
    assert list(entries()) == [("", "login_failed", "", "", None, "")]


@pytest.mark.parametrize("field", ["detail", "reason"])
def test_an_entry_that_holds_an_address_is_refused(anna, field):
    with pytest.raises(IntegrityError, match="the_audit_log_holds_no_address"), transaction.atomic():
        audit.record(anna, Action.CHANGED, **{field: "maria@example.org asked"})


def test_what_is_rolled_back_leaves_no_entry(anna):
    with transaction.atomic():
        audit.record(anna, Action.CHANGED)
        transaction.set_rollback(True)

    assert not StaffAction.objects.exists()


def test_long_texts_are_cut(anna):
    audit.record(anna, Action.CHANGED, about="a" * 300, detail="b" * 2000, reason="c" * 600)

    entry = StaffAction.objects.get()
    assert (len(entry.about), len(entry.detail), len(entry.reason)) == (200, 1000, 500)


def test_an_entry_outlives_its_account(anna):
    number = anna.pk
    audit.record(anna, Action.LOGGED_IN)

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
    audit.record(anna, Action.LOGGED_IN)
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
    sql("ALTER TABLE petition_staffaction DISABLE TRIGGER audit_log_only_grows")
    try:
        StaffAction.objects.all().delete()
    finally:
        sql("ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER audit_log_only_grows")

    assert not StaffAction.objects.exists()


# After two years.


@pytest.mark.parametrize(("age", "stays"), [(733 * DAY, False), (731 * DAY, True), (1 * DAY, True)])
def test_entries_are_purged_after_two_years(anna, age, stays):
    StaffAction.objects.create(username="anna", action=Action.LOGGED_IN, done_at=Now() - age)

    assert retention.purge()["entries of the audit log"] == (0 if stays else 1)
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


# Its page.

URL = reverse("admin:petition_staffaction_changelist")


@pytest.fixture
def administrator(client, make_staff):
    client.force_login(make_staff("administrator", username="vera"))
    return client


def shown(response):
    return [(entry.username, entry.action) for entry in response.context["entries"]]


def make(username, action, *, days_ago=0, **values):
    StaffAction.objects.create(username=username, action=action, done_at=timezone.now() - days_ago * DAY, **values)


def test_the_latest_comes_first(administrator):
    make("anna", "logged_in", days_ago=2)
    make("boris", "logged_out", days_ago=1)

    page = administrator.get(URL)

    assert shown(page) == [("boris", "logged_out"), ("anna", "logged_in")]
    assert f"{timezone.now() - DAY:%Y-%m-%d %H:}" in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["added", "changed", "deleted"]),
        ({"action": "changed"}, ["changed"]),
        ({"who": "7"}, ["changed", "deleted"]),
        ({"who": "8"}, ["added"]),
        ({"petition": "chechnya"}, ["added"]),
        ({"about": "source amnesty"}, ["deleted"]),
        ({"who": "7", "action": "deleted"}, ["deleted"]),
        ({"since": 0}, ["added"]),
        ({"since": 5, "until": 1}, ["changed"]),
        ({"until": 5}, ["changed", "deleted"]),
        ({"until": 6}, ["deleted"]),
        # What cannot be read filters nothing.
        ({"who": "x", "action": "x", "petition": "x", "since": "x", "page": "x"}, ["added", "changed", "deleted"]),
        ({"who": "9" * 30, "page": "0"}, ["added", "changed", "deleted"]),
        ({"page": "2"}, []),
    ],
)
def test_filters_find_who_what_and_when(administrator, petition, asked, found):
    make("anna", "added", user_id=8, petition="chechnya", about="petition chechnya")
    make("boris", "changed", user_id=7, days_ago=5)
    make("boris", "deleted", user_id=7, days_ago=10, about="source amnesty")

    def day(value):
        return (timezone.now() - value * DAY).date().isoformat() if isinstance(value, int) else value

    page = administrator.get(URL, {name: day(value) for name, value in asked.items()})

    assert [action for _who, action in shown(page)] == found


def test_an_account_that_is_gone_can_be_asked_for(administrator):
    make("gone", "added", user_id=4711)

    assert '<option value="4711" selected>gone</option>' in administrator.get(URL, {"who": "4711"}).content.decode()


def test_entries_come_fifty_at_a_time(administrator):
    for number in range(120):
        make("anna", "logged_in", about=f"row {number}")

    first = administrator.get(URL, {"action": "logged_in"})
    assert len(first.context["entries"]) == 50
    assert first.context["newer"] == ""
    second = administrator.get(URL + first.context["older"])
    third = administrator.get(URL + second.context["older"])

    seen = [entry.about for page in (first, second, third) for entry in page.context["entries"]]
    assert seen == [f"row {number}" for number in reversed(range(120))]
    assert third.context["older"] == ""
    assert "action=logged_in" in third.context["newer"]


def test_the_history_of_a_row_is_its_part_of_the_trace(client, petition):
    client.force_login(User.objects.create_superuser("boss"))
    make("anna", "changed", about="petition chechnya")
    make("anna", "changed", about="petition other")

    page = client.get(reverse("admin:petition_petition_history", args=[petition.pk]), follow=True)

    assert [entry.about for entry in page.context["entries"]] == ["petition chechnya"]


def test_everyone_sees_the_own_latest_actions(client, make_staff):
    anna = make_staff("moderator", username="anna")
    client.force_login(anna)
    audit.record(anna, Action.PASSWORD_CHANGED)
    make("boris", "deleted", user_id=anna.pk + 1, about="source amnesty")

    page = client.get(reverse("admin:index")).content.decode()

    assert "own password changed" in page
    assert "amnesty" not in page


def test_what_was_typed_is_shown_as_text(administrator):
    make("<b>anna", "changed", about="<i>row", reason="<script>alert(1)</script>", user_id=1)

    page = administrator.get(URL).content.decode()

    assert not re.search("<b>anna|<i>row|<script>alert", page)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"who": "{user}"},
        {"action": "deleted"},
        {"petition": "chechnya"},
        {"about": "source 500"},
        {"since": "2026-01-01", "until": "2026-01-02"},
        {"who": "{user}", "since": "2026-01-01"},
        {"page": "20"},
    ],
    ids=str,
)
def test_a_page_reads_its_entries_by_an_index_and_counts_nothing(administrator, petition, asked):
    user = User.objects.get().pk
    sql(
        "INSERT INTO petition_staffaction (done_at, user_id, username, action, petition, about, detail, reason)"
        " SELECT timestamptz '2026-11-01' - n * interval '30 minutes', %s + n %% 20, 'somebody',"
        " CASE WHEN n %% 1000 = 0 THEN 'deleted' ELSE 'logged_in' END,"
        " CASE WHEN n %% 1000 = 0 THEN 'chechnya' ELSE '' END, 'source ' || n %% 5000, '', ''"
        " FROM generate_series(1, 20000) AS n",
        user,
    )
    sql("ANALYZE petition_staffaction")

    with CaptureQueriesContext(connection) as queries:
        administrator.get(URL, {name: value.format(user=user) for name, value in asked.items()})

    statements = [query["sql"] for query in queries if '"petition_staffaction"' in query["sql"]]
    assert len(statements) == 1
    assert len(queries) <= 10
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statements[0])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan, plan
