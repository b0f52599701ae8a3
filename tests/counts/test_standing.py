"""How many wait, are held, invalidated and withdrawn: the ledger knows it exactly, and published is what is rounded."""

import random
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from petition.counts import publication, tally
from petition.models import Signature
from petition.models.signature import this_hour
from tests.counts.test_tally import HOUR, sql

LEDGER = f"""
    SELECT {tally.NOW} FROM (
        SELECT measure, amount FROM petition_hourtally UNION ALL SELECT measure, amount FROM petition_tallychange
    ) AS changes
"""


def by_ledger():
    with connection.cursor() as cursor:
        cursor.execute(LEDGER)
        return dict(zip(("waiting", "held", "invalidated"), cursor.fetchone(), strict=True))


@pytest.fixture
def standing(petition):
    """What is published, a week later."""

    def next_week():
        with time_machine.travel(timezone.now() + timedelta(weeks=1)):
            publication.publish()
        return tally.standing(petition.pk)

    return next_week


def by_rows():
    rows = Signature.objects
    return {
        "waiting": rows.pending().count(),
        "held": rows.held().count(),
        "invalidated": rows.invalidated().count(),
    }


def test_a_petition_that_nobody_signed_has_zeros_and_no_rate(standing):
    assert standing() == tally.Standing(0, 0, 0, 0, 0, 0, 0)
    assert standing().confirmation_rate is None


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_the_ledger_equals_the_rows_whatever_happened_to_them(make_signature, seed, folded):
    chance = random.Random(seed)
    rows = Signature.objects.all()
    changes = [
        lambda some: [row.confirm(held_reason=chance.choice(["", "burst"])) for row in some],
        lambda some: some.hold("burst"),
        lambda some: some.release(),
        lambda some: some.invalidate("fake"),
        lambda some: some.invalidate("fake"),
        lambda some: some.restore(),
        lambda some: some.filter(pk__in=[row.pk for row in some[:1]]).delete(),
        lambda some: make_signature(email_digest=bytes([chance.randrange(5)]) * 32),
        lambda some: make_signature(confirmed=True, held_at=this_hour(), invalidated_at=this_hour()),
    ]
    for _ in range(5):
        make_signature()
    for _ in range(40):
        ids = list(rows.values_list("pk", flat=True))
        chance.choice(changes)(rows.filter(pk__in=chance.sample(ids, min(len(ids), 3))))
        if folded:
            tally.fold()

        assert by_ledger() == by_rows()
    assert tally.recount().standing == 0


def test_what_is_withdrawn_while_held_is_held_no_longer(make_signature):
    make_signature(confirmed=True, held_at=this_hour(), invalidated_at=this_hour()).delete()
    make_signature(confirmed=True).delete()

    assert by_ledger() == {"waiting": 0, "held": 0, "invalidated": 0}


def test_what_is_published_is_that_of_ended_weeks_in_tens(make_signature, standing, petition):
    for _ in range(20):
        make_signature(confirmed=True)
        make_signature()
    for _ in range(10):
        make_signature(confirmed=True, held_at=this_hour())
        make_signature(confirmed=True, invalidated_at=this_hour())
    publication.publish()
    assert tally.standing(petition.pk) == tally.Standing(0, 0, 0, 0, 0, 0, 20)

    assert standing() == tally.Standing(20, 10, 10, 0, 40, 0, 20)


def test_the_confirmation_rate_leaves_out_those_that_still_wait(make_signature, standing):
    for _ in range(30):
        make_signature(confirmed=True)
    for _ in range(10):
        make_signature().delete()
        make_signature()

    assert standing().confirmation_rate == 0.75


def test_today_is_what_was_published_since_midnight_utc(make_signature, petition):
    make_signature(confirmed=True)
    with time_machine.travel(timezone.now() - timedelta(days=1)):
        publication.publish()
    make_signature(created_at=HOUR, confirmed_at=HOUR)
    publication.publish()

    assert tally.standing(petition.pk).today == 1


def test_it_is_one_statement_and_reads_no_signature(make_signature, petition, django_assert_num_queries):
    make_signature(confirmed=True)

    with django_assert_num_queries(1) as queries:
        tally.standing(petition.pk)

    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + queries.captured_queries[0]["sql"])
        assert "petition_signature" not in str(cursor.fetchall())


def test_another_petition_has_numbers_of_its_own(make_signature, standing, petition):
    for _ in range(10):
        make_signature(confirmed=True, held_at=this_hour())

    assert standing().held == 10
    assert tally.standing(petition.pk + 1).held == 0


@pytest.mark.parametrize(
    "corruption",
    [
        "DELETE FROM petition_tallychange",
        "UPDATE petition_tallychange SET amount = amount + 1",
        "UPDATE petition_signature SET confirmed_at = NULL WHERE held_at IS NULL AND invalidated_at IS NULL",
    ],
)
def test_recount_repairs_it(make_signature, corruption):
    make_signature()
    make_signature(confirmed=True)
    make_signature(confirmed=True, held_at=this_hour())
    make_signature(confirmed=True, invalidated_at=this_hour())
    sql(corruption)
    assert by_ledger() != by_rows()

    assert call_command("recount").startswith("Repaired")

    assert by_ledger() == by_rows()
    assert Signature.objects.filter(Q(held_at__isnull=False) | Q(invalidated_at__isnull=False)).count() == 2
    assert "agree" in call_command("recount")
    while tally.fold():
        pass
    assert by_ledger() == by_rows()
