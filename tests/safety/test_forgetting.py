"""The hourly job: it forgets the order of rows and what was deleted, while others read, sign and press."""

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F

from campaign.models import Report
from petition import forgetting
from petition.counts import publication, tally
from petition.models import ForgottenHour, Link, ShownWords, Signature, TallyChange
from petition.models.signature import this_hour
from tests.support import links

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Other tests run beside this one."""
    monkeypatch.setattr(forgetting, "LOCK_TIMEOUT", "30s")


@pytest.fixture
def later(monkeypatch):
    """An hour has ended."""

    def later(hours=1):
        now = this_hour() + hours * HOUR
        monkeypatch.setattr(forgetting, "this_hour", lambda: now)
        return now

    return later


def versions(table="petition_signature", key="id"):
    """The physical row of each: where it is, and which transaction wrote it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}, ctid::text, xmin::text FROM {table}")
        return {key: (place, writer) for key, place, writer in cursor.fetchall()}


def contents(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {table}::text FROM {table} ORDER BY 1")
        return cursor.fetchall()


@contextmanager
def in_another_session(work):
    """Do it in a thread with a connection of its own; wait for its end when the block ends."""

    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join()


def test_rows_are_the_same_afterwards_and_the_ledger_hears_nothing(make_signature, later):
    for number in range(30):
        make_signature(confirmed=number % 2 == 0, country="ES", name="Anna", approved_at=this_hour())
    Report.objects.add(ShownWords.objects.first())
    links.token(make_signature(name="Anna"))
    tables = [model._meta.db_table for model in (Signature, ShownWords, Link, Report, TallyChange)]
    before = [contents(table) for table in tables]
    later()

    assert forgetting.forget_ended_hour()

    assert [contents(table) for table in tables] == before
    assert tally.recount().difference == 0


def test_rows_of_an_ended_hour_are_written_by_one_transaction_in_another_order(make_signature, later):
    ids = [make_signature(confirmed=True).pk for _ in range(50)]
    later()

    forgetting.forget_ended_hour()

    after = versions()
    assert len({writer for _place, writer in after.values()}) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM petition_signature ORDER BY ctid")
        assert [pk for (pk,) in cursor.fetchall()] != ids


def test_publishing_meanwhile_keeps_no_hour_from_being_forgotten(make_signature, later):
    make_signature(confirmed=True)
    later()
    forgotten = []

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [publication.PUBLISHER_LOCK])
        with in_another_session(lambda: forgotten.append(forgetting.forget_ended_hour())):
            pass

    assert forgotten == [True]


def test_what_is_of_the_hour_that_runs_waits_until_that_has_ended(make_signature, later):
    ended, running = make_signature(), make_signature(created_at=this_hour() + HOUR)
    before = versions()
    later()

    forgetting.forget_ended_hour()
    between = versions()
    assert (between[ended.pk] != before[ended.pk], between[running.pk]) == (True, before[running.pk])

    later(2)
    forgetting.forget_ended_hour()
    assert versions()[running.pk] != before[running.pk]


def test_only_what_was_touched_since_is_written_again(make_signature, later):
    touched, left = make_signature(confirmed=True), make_signature(confirmed=True)
    for hours in (1, 2, 3):
        later(hours)
        forgetting.forget_ended_hour()
    before = versions()
    Signature.objects.filter(pk=touched.pk).update(country="ES")
    later(4)

    forgetting.forget_ended_hour()

    after = versions()
    assert (after[touched.pk] != before[touched.pk], after[left.pk]) == (True, before[left.pk])
    assert ForgottenHour.objects.count() == forgetting.KEPT_HOURS


def test_an_hour_is_forgotten_once_and_by_one_process(make_signature, later):
    make_signature()
    held, done = threading.Event(), threading.Event()
    later()

    def be_the_other():
        with forgetting._alone():
            held.set()
            done.wait(30)

    with in_another_session(be_the_other):
        held.wait(30)
        assert not forgetting.forget_ended_hour()
        done.set()

    assert forgetting.forget_ended_hour()
    assert not forgetting.forget_ended_hour()


def test_where_somebody_is_in_the_way_it_goes_on_later_with_what_is_left(make_signature, later, monkeypatch):
    monkeypatch.setattr(forgetting, "LOCK_TIMEOUT", "50ms")
    make_signature()
    token = links.token(make_signature())
    held, done = threading.Event(), threading.Event()
    later()

    def read_links():
        with transaction.atomic():
            assert Link.objects.of_token(token)
            held.set()
            done.wait(30)

    with in_another_session(read_links):
        held.wait(30)
        assert not forgetting.forget_ended_hour()
        first = versions()
        done.set()

    assert forgetting.forget_ended_hour()
    assert versions() == first


def test_a_reader_sees_no_gap(make_signature, later, counted_rows):
    for _ in range(200):
        make_signature(confirmed=True)
    seen, done = set(), threading.Event()
    later()

    def read():
        while not done.is_set():
            seen.add((counted_rows(), tally.exact("chechnya").confirmed_here))

    with in_another_session(read):
        for _ in range(5):
            ForgottenHour.objects.all().delete()
            forgetting.forget_ended_hour()
        done.set()

    assert seen == {(200, 200)}


@pytest.mark.parametrize("is_known", [False, True])
def test_a_press_that_meets_it_is_not_lost(make_signature, later, is_known):
    """PostgreSQL looks at the rows after it has waited for the table, for a statement that is prepared, too."""
    if is_known:
        make_signature(email="anna@example.org", confirmed=True, country="DE")
    pressed = make_signature(email="anna@example.org", country="ES")
    for _ in range(8):
        make_signature().confirm()  # until the statement is known here, with a plan that is made once
    held, done = threading.Event(), threading.Event()
    later()
    hour = forgetting._begin(this_hour())

    def shuffle_slowly():
        with transaction.atomic():
            forgetting._shuffle(hour, list(Signature.objects.values_list("pk", flat=True)))
            held.set()
            done.wait(30)

    with in_another_session(shuffle_slowly):
        held.wait(30)
        threading.Timer(0.5, done.set).start()
        assert pressed.confirm() is not is_known

    counted = Signature.objects.counted().filter(email_digest=pressed.email_digest)
    assert counted.values_list("country", flat=True).get() == "ES"
    assert tally.recount().difference == 0


def test_a_withdrawal_that_meets_it_is_not_lost(make_signature, later):
    signature = make_signature(email="anna@example.org", confirmed=True)
    held, done = threading.Event(), threading.Event()
    hour = forgetting._begin(this_hour())

    def shuffle_slowly():
        with transaction.atomic():
            forgetting._shuffle(hour, [signature.pk])
            held.set()
            done.wait(30)

    with in_another_session(shuffle_slowly):
        held.wait(30)
        threading.Timer(0.5, done.set).start()
        rows = Signature.objects.of_address(signature.petition_id, bytes(signature.email_digest))
        assert rows.erase() == 1

    assert not Signature.objects.exists()
    assert tally.recount().difference == 0


def test_what_every_hour_keeps_of_words_is_what_it_was(make_signature, later):
    """Storing a table anew changes no row, and clears no approval."""
    make_signature(confirmed=True, name="Anna", approved_at=this_hour())
    ShownWords.objects.update(asked_at=F("asked_at"))
    later()

    forgetting.forget_ended_hour()

    assert ShownWords.objects.get().approved_at
