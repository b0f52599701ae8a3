"""The count is exact: in the same transaction, whatever writes, and however the ledger is folded."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pgtrigger
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from petition.counts import tally
from petition.models import DayTally, HourTally, Link, Measure, ShownWords, Signature, TallyChange, TotalTally
from petition.models.signature import this_hour
from tests.support import links, server

BEFORE = 150_000
COLUMNS = "petition_id, email_digest, language, consent_version, created_at, confirmed_at"
HOUR = datetime(2026, 3, 1, 23, tzinfo=UTC)


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def measured(measure):
    """A measure summed in each of its places: the ledger, by hour and by day. The two series must agree."""
    unfolded = sum(TallyChange.objects.filter(measure=measure).values_list("amount", flat=True))
    hours = sum(HourTally.objects.filter(measure=measure).values_list("amount", flat=True))
    days = sum(DayTally.objects.filter(measure=measure).values_list("amount", flat=True))
    assert hours == days
    return unfolded + hours


def total():
    return tally.exact("chechnya").total


# Whatever writes.


def test_a_pending_signature_does_not_count(make_signature):
    make_signature()

    assert total() == BEFORE


def test_a_confirmed_signature_counts_at_once(make_signature):
    make_signature().confirm()

    assert total() == BEFORE + 1


def test_inside_the_transaction_the_count_is_already_right_and_a_rollback_takes_it_back(make_signature):
    signature = make_signature()
    with transaction.atomic():
        signature.confirm()
        assert total() == BEFORE + 1
        transaction.set_rollback(True)

    assert total() == BEFORE


@pytest.mark.parametrize("folded", [False, True])
def test_holding_releasing_invalidating_restoring_and_withdrawing_are_followed(make_signature, folded):
    for _ in range(3):
        make_signature(confirmed=True)
    rows = Signature.objects.all()

    for change, expected in [
        (lambda: rows.hold("burst"), 0),
        (lambda: rows.release(), 3),
        (lambda: rows.invalidate("fake"), 0),
        (lambda: rows.restore(), 3),
        (lambda: rows.filter(pk=rows.first().pk).delete(), 2),
    ]:
        change()
        if folded:
            tally.fold()
        assert total() == BEFORE + expected

    for measure, amount in [
        (Measure.COUNTED, 2),
        (Measure.SIGNED, 3),
        (Measure.CONFIRMED, 3),
        (Measure.HELD, 3),
        (Measure.RELEASED, 3),
        (Measure.INVALIDATED, 3),
        (Measure.RESTORED, 3),
        (Measure.WITHDRAWN, 1),
        (Measure.LAPSED, 0),
    ]:
        assert measured(measure) == amount, measure


def test_a_held_and_invalidated_signature_counts_only_when_both_are_lifted(make_signature):
    make_signature(confirmed=True, held_at=this_hour(), invalidated_at=this_hour())

    Signature.objects.all().release()
    assert total() == BEFORE
    Signature.objects.all().restore()
    assert total() == BEFORE + 1


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE petition_signature SET confirmed_at = created_at WHERE confirmed_at IS NULL", 3),
        ("UPDATE petition_signature SET confirmed_at = NULL", 0),
        ("UPDATE petition_signature SET country = 'ES'", 2),
        ("UPDATE petition_signature SET held_at = confirmed_at", 0),
        ("DELETE FROM petition_signature", 0),
        ("DELETE FROM petition_signature WHERE false", 2),
        (
            f"INSERT INTO petition_signature ({COLUMNS})"
            " SELECT petition_id, sha256(email_digest), language, 1, created_at, confirmed_at FROM petition_signature",
            4,
        ),
        (
            f"INSERT INTO petition_signature ({COLUMNS})"
            " SELECT petition_id, email_digest, language, 1, created_at, confirmed_at FROM petition_signature"
            " WHERE confirmed_at IS NOT NULL ON CONFLICT DO NOTHING",
            2,
        ),
        (
            "MERGE INTO petition_signature s USING (SELECT id FROM petition_signature) o ON s.id = o.id"
            " WHEN MATCHED AND s.confirmed_at IS NULL THEN UPDATE SET confirmed_at = created_at"
            " WHEN MATCHED THEN DELETE",
            1,
        ),
    ],
)
def test_raw_sql_is_followed(make_signature, statement, expected):
    make_signature(confirmed=True)
    make_signature(confirmed=True)
    make_signature()

    sql(statement)

    assert total() == BEFORE + expected
    while tally.fold():
        pass
    assert total() == BEFORE + expected
    assert tally.recount().difference == 0


def test_bulk_create_and_bulk_update_are_followed(petition, make_signature):
    made = Signature.objects.bulk_create(
        Signature(petition=petition, email_digest=bytes([i]) * 32, language="en", consent_version=1) for i in range(5)
    )
    assert total() == BEFORE

    for signature in made:
        signature.confirmed_at = this_hour()
    Signature.objects.bulk_update(made, ["confirmed_at"])

    assert total() == BEFORE + 5


def test_truncate_is_refused(make_signature):
    make_signature(confirmed=True)
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # PostgreSQL truncates no table with checks to come

    with pytest.raises(DatabaseError, match="never truncated"), transaction.atomic():
        sql("TRUNCATE petition_signature CASCADE")

    assert total() == BEFORE + 1


def test_a_signature_counts_in_the_hour_and_cell_in_which_it_was_confirmed(make_signature):
    make_signature(created_at=HOUR - timedelta(hours=3), confirmed_at=HOUR, country="ES", language="ru", source="x")
    tally.fold()

    assert HourTally.objects.get(measure="counted").hour == HOUR
    day = DayTally.objects.get(measure="counted")
    assert (str(day.day), day.country, day.language, day.source, day.amount) == ("2026-03-01", "ES", "ru", "x", 1)
    assert HourTally.objects.get(measure="signed").hour == HOUR - timedelta(hours=3)


def test_a_past_hour_changes_when_its_signature_is_withdrawn(make_signature):
    make_signature(created_at=HOUR, confirmed_at=HOUR).delete()
    tally.fold()

    assert not HourTally.objects.filter(measure="counted", hour=HOUR).exclude(amount=0).exists()
    assert HourTally.objects.get(measure="withdrawn").hour == this_hour()


# The rules that the database keeps.


def test_a_signature_keeps_its_id(make_signature):
    make_signature(confirmed=True)

    with pytest.raises(DatabaseError, match="keeps its id"), transaction.atomic():
        sql("UPDATE petition_signature SET id = id + 1000")
    sql("UPDATE petition_signature SET id = id")

    assert total() == BEFORE + 1


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"held_at": HOUR}, "only_confirmed_signatures_are_held"),
        ({"invalidated_at": HOUR}, "only_confirmed_signatures_are_invalidated"),
        ({"created_at": HOUR + timedelta(minutes=1)}, "signature_times_are_whole_hours"),
        ({"confirmed_at": HOUR + timedelta(microseconds=1)}, "signature_times_are_whole_hours"),
        ({"email_digest": b"short"}, "an_email_digest_has_32_bytes"),
    ],
)
def test_impossible_signatures_are_refused(make_signature, values, name):
    with pytest.raises(DatabaseError, match=name), transaction.atomic():
        make_signature(**values)


@pytest.mark.parametrize("change", [{"name": "Other"}, {"words": "Other"}])
def test_other_words_need_another_approval(make_signature, change):
    signature = make_signature(confirmed=True, name="Anna", words="With you", approved_at=HOUR)

    ShownWords.objects.update(**change)

    signature.shown.refresh_from_db()
    assert signature.shown.approved_at is None


def test_other_changes_keep_the_approval(make_signature):
    signature = make_signature(name="Anna", confirmed=True, approved_at=HOUR)

    Signature.objects.update(country="ES")
    ShownWords.objects.update(name="Anna", asked_at=HOUR)

    signature.shown.refresh_from_db()
    assert signature.shown.approved_at == HOUR


def test_what_its_signer_wrote_goes_with_a_signature_whatever_deletes_it(make_signature):
    signature, other = make_signature(confirmed=True, name="Anna"), make_signature(confirmed=True, name="Olga")
    links.token(signature)

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM petition_signature WHERE id = %s", [signature.pk])

    assert ShownWords.objects.get().pk == other.pk
    assert Link.objects.values_list("name", "words", "country").get() == ("", "", "")


def test_an_empty_name_and_no_words_are_nothing_to_show(make_signature):
    with pytest.raises(DatabaseError, match="there_is_a_name_or_words_to_show"), transaction.atomic():
        ShownWords.objects.create(signature=make_signature(confirmed=True))


# Reading and folding.


def test_the_count_is_one_statement_and_never_reads_signatures(publish, make_signature, django_assert_num_queries):
    make_signature(confirmed=True)
    publish()

    with django_assert_num_queries(1) as queries:
        count = tally.current("chechnya")

    assert (count.total, count.collected_before, count.confirmed_here) == (BEFORE + 1, BEFORE, 1)
    assert "petition_signature" not in queries.captured_queries[0]["sql"]


def test_an_unknown_petition_has_no_count(db):
    assert tally.current("nothing") is None


@pytest.mark.parametrize(
    ("total", "goal"),
    [
        (0, 100),
        (99, 100),
        (100, 125),
        (9_999, 10_000),
        (10_000, 12_500),
        (75_000, 100_000),
        (149_999, 150_000),
        (150_000, 175_000),
        (999_999, 1_000_000),
        (1_000_000, 1_250_000),
    ],
)
def test_the_goal_is_the_next_round_number(total, goal):
    assert tally.next_goal(total) == goal


@given(st.integers(0, 10**12))
def test_the_goal_is_always_ahead_and_never_far(total):
    assert total < tally.next_goal(total) <= max(100, 1.5 * total)


def test_a_chosen_goal_is_kept(petition):
    petition.goal = 160_000
    petition.save()

    assert tally.current("chechnya").goal == 160_000


def test_only_one_folds_at_a_time(transactional_db, make_signature):
    make_signature(confirmed=True)

    def fold_elsewhere():
        try:
            return tally.fold()
        finally:
            connections.close_all()

    with transaction.atomic():
        sql("SELECT pg_advisory_xact_lock(%s)", tally.FOLDER_LOCK)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(fold_elsewhere).result() == 0
    assert tally.fold() == 3


def test_saving_a_petition_never_touches_the_count(petition, make_signature):
    make_signature(confirmed=True)
    tally.fold()

    petition.collected_before = 1
    petition.save()

    assert tally.current("chechnya").confirmed_here == 1


# Proving and repairing.


def test_recount_finds_nothing_where_nothing_is_wrong(make_signature, counted_rows):
    make_signature(confirmed=True)
    make_signature()
    make_signature(confirmed=True, held_at=this_hour())
    tally.fold()
    make_signature(confirmed=True)

    assert "agree with 2 counted signatures" in call_command("recount")
    assert total() == BEFORE + counted_rows()


@pytest.mark.parametrize(
    "corruption",
    [
        "UPDATE petition_totaltally SET counted = counted + 5",
        "DELETE FROM petition_totaltally",
        "UPDATE petition_hourtally SET amount = 0 WHERE measure = 'counted'",
        "DELETE FROM petition_hourtally",
        "UPDATE petition_daytally SET amount = amount * 2, country = 'FR' WHERE measure = 'counted'",
        "DELETE FROM petition_daytally",
        "DELETE FROM petition_tallychange",
        "UPDATE petition_tallychange SET amount = amount + 1 WHERE measure = 'counted'",
    ],
)
def test_recount_repairs_and_reports_what_was_corrupted(make_signature, counted_rows, corruption):
    make_signature(confirmed=True, country="ES")
    make_signature(created_at=HOUR, confirmed_at=HOUR)
    tally.fold()
    make_signature(confirmed=True)
    sql(corruption)

    assert call_command("recount").startswith("Repaired")

    assert "agree" in call_command("recount")
    assert total() == BEFORE + counted_rows()
    while tally.fold():
        pass
    assert total() == BEFORE + counted_rows()
    assert measured(Measure.COUNTED) == counted_rows()
    assert TotalTally.objects.get().counted == counted_rows()


def test_recount_counts_rows_that_were_never_counted(make_signature):
    """Rows that came while the triggers were off, as a restored backup might bring them."""
    make_signature(confirmed=True)
    with pgtrigger.ignore("petition.Signature:ledger_insert"):
        for _ in range(2):
            make_signature(confirmed=True)
    assert total() == BEFORE + 1

    assert "off by -2" in call_command("recount")
    assert total() == BEFORE + 3


# Under load.

OPERATIONS = 60
WRITERS = 6


def changes(rows, some, ids):
    """Ways to change signatures: through the ORM, in bulk and in raw SQL."""
    lift = "UPDATE petition_signature SET held_at = NULL, invalidated_at = NULL WHERE id = ANY(%s)"
    return [
        lambda: [row.confirm() for row in some],
        lambda: rows.pending().update(confirmed_at=this_hour()),
        lambda: some.hold("burst"),
        lambda: some.release(),
        lambda: some.invalidate("fake"),
        lambda: some.restore(),
        lambda: some.filter(pk__in=ids[:1]).delete(),
        lambda: sql("DELETE FROM petition_signature WHERE id = ANY(%s)", ids[-1:]),
        lambda: sql(lift, ids),
    ]


def write_at_random(seed, petition_id):
    """Sign, and change what is signed, in rows that no other writer touches."""
    chance = random.Random(seed)
    rows = Signature.objects.filter(language=f"t{seed}")
    try:
        for number in range(OPERATIONS):
            Signature.objects.create(
                petition_id=petition_id, email_digest=bytes([seed, number]) * 16, language=f"t{seed}", consent_version=1
            )
            ids = list(rows.values_list("pk", flat=True))
            some = rows.filter(pk__in=chance.sample(ids, min(len(ids), 3)))
            chance.choice(changes(rows, some, ids))()
    finally:
        connections.close_all()


PROBE = """
    SELECT p.collected_before
        + coalesce((SELECT counted FROM petition_totaltally), 0)
        + coalesce((SELECT sum(amount) FROM petition_tallychange WHERE measure = 'counted'), 0),
        p.collected_before + (SELECT count(*) FROM petition_signature
            WHERE confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL)
    FROM petition_petition p
"""


@pytest.mark.parametrize("folding", ["stopped", "running"])
@pytest.mark.django_db(transaction=True)
def test_total_and_rows_agree_at_every_moment(petition, counted_rows, folding):
    done = threading.Event()
    probes = []

    def probe():
        try:
            while not done.is_set():
                with connection.cursor() as cursor:
                    cursor.execute(PROBE)
                    probes.append(cursor.fetchone())
        finally:
            connections.close_all()

    def fold():
        try:
            while folding == "running" and not done.is_set():
                tally.fold()
                assert tally.recount().difference == 0
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        watching = [pool.submit(probe), pool.submit(fold)]
        writers = [pool.submit(write_at_random, seed, petition.pk) for seed in range(1, WRITERS + 1)]
        errors = [writer.exception() for writer in writers]
        done.set()
        errors += [watcher.exception() for watcher in watching]

    assert errors == [None] * (WRITERS + 2)
    assert len(probes) > 10
    assert all(shown == true for shown, true in probes)
    assert total() == BEFORE + counted_rows()
    while tally.fold():
        pass
    assert measured(Measure.COUNTED) == counted_rows()
    assert measured(Measure.SIGNED) == Signature.objects.count() + measured(Measure.WITHDRAWN) + measured(
        Measure.LAPSED
    )


@pytest.mark.django_db(transaction=True)
def test_killing_the_worker_while_it_folds_loses_nothing(petition, counted_rows, tmp_path):
    done = threading.Event()

    def write():
        try:
            for seed in count(10):
                if done.is_set():
                    break
                write_at_random(seed, petition.pk)
        finally:
            connections.close_all()

    def folded():
        return sum(HourTally.objects.filter(measure=Measure.SIGNED).values_list("amount", flat=True))

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        for _kill in range(3):
            before = folded()
            with server.worker(tmp_path / "worker.log") as worker:
                server.wait_until(lambda before=before: folded() > before + 20)
                worker.kill()
                worker.wait()
            with connection.cursor() as cursor:
                cursor.execute(PROBE)
                shown, true = cursor.fetchone()
            assert shown == true
        done.set()
        assert writer.exception() is None

    assert "agree" in call_command("recount")
    assert total() == BEFORE + counted_rows()
