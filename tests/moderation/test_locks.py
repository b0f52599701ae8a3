"""Nobody waits in a circle: whoever changes several signatures locks them in the order of their ids, and only then
changes the first. What the clock deletes can wait, so it passes over what is locked."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections, transaction

from petition import confirmation, retention, withdrawal
from petition.models import AddressMark, InvalidationCampaign, Signature
from petition.models.signature import this_hour
from petition.moderation import invalidation
from tests.support.server import wait_until

ANNA = "anna@example.org"
WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"

pytestmark = pytest.mark.django_db(transaction=True)


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def meanwhile(action):
    """Let `action` wait for a lock of ours inside the block; then it goes on."""

    def act():
        try:
            action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            acting = []
            yield lambda: (acting.append(pool.submit(act)), wait_until(lambda: sql(WAITING), seconds=10))
        acting[0].result()


def lock(row):
    """Raise if somebody else has it."""
    sql("SELECT FROM petition_signature WHERE id = %s FOR UPDATE NOWAIT", row.pk)


def move_to_the_end(row):
    """A statement without an order finds it last, in the table as in the index of pending signatures."""
    sql("UPDATE petition_signature SET created_at = created_at + interval '1 hour' WHERE id = %s", row.pk)


@pytest.mark.parametrize("change", ["hold", "release", "invalidate", "restore"])
def test_moderators_take_signatures_in_their_order(make_signature, change):
    state = {"release": {"held_at": this_hour()}, "restore": {"invalidated_at": this_hour()}}.get(change, {})
    first, second = (make_signature(confirmed=True, **state) for _ in range(2))
    move_to_the_end(first)
    arguments = ["a test"] if change in ("hold", "invalidate") else []

    with meanwhile(lambda: getattr(Signature.objects.all(), change)(*arguments)) as begin:
        lock(first)
        begin()
        lock(second)

    assert Signature.objects.counted().count() == (0 if arguments else 2)


@pytest.mark.parametrize("confirmed", [True, False])
def test_withdrawing_takes_signatures_in_their_order(petition, make_signature, confirmed):
    first = make_signature(email=ANNA, confirmed=confirmed)
    second = make_signature(email=ANNA)
    move_to_the_end(first)

    with meanwhile(lambda: withdrawal.withdraw(petition, bytes(first.email_digest))) as begin:
        lock(first)
        begin()
        lock(second)

    assert not Signature.objects.exists()


def test_withdrawing_deletes_nothing_before_it_has_locked_everything(petition, make_signature):
    """A confirmation of another row of the address at that moment would wait for the place of the first to be free."""
    make_signature(email=ANNA, confirmed=True)
    second = make_signature(email=ANNA)

    with meanwhile(lambda: withdrawal.withdraw(petition, bytes(second.email_digest))) as begin:
        lock(second)
        begin()
        with pytest.raises(IntegrityError), transaction.atomic():
            sql("UPDATE petition_signature SET confirmed_at = created_at WHERE id = %s", second.pk)

    assert not Signature.objects.exists()


def test_withdrawing_does_not_overlook_an_invalidation_of_that_moment(petition, make_signature):
    signature = make_signature(confirmed=True)

    with meanwhile(lambda: withdrawal.withdraw(petition, bytes(signature.email_digest))) as begin:
        Signature.objects.all().invalidate("a test")
        begin()

    assert not Signature.objects.exists()
    assert AddressMark.objects.get().kind == "hold"


def test_confirming_removes_the_other_rows_in_their_order(make_signature):
    first, second, confirmed = (make_signature(email=ANNA) for _ in range(3))
    move_to_the_end(first)

    with meanwhile(lambda: confirmation.confirm(confirmed)) as begin:
        lock(first)
        begin()
        lock(second)

    assert list(Signature.objects.confirmed()) == list(Signature.objects.all()) == [confirmed]


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        ({}, "lapsed signatures"),
        ({"confirmed_at": this_hour(), "network_digest": bytes(32)}, "abuse signals"),
    ],
)
def test_the_purge_waits_for_nobody(make_signature, overrides, what):
    busy, _other = (make_signature(created_at=this_hour() - timedelta(days=31), **overrides) for _ in range(2))

    def purge():
        try:
            return retention.purge()[what]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        lock(busy)
        assert pool.submit(purge).result(timeout=20) == 1
    assert retention.purge()[what] == 1


@pytest.mark.parametrize("undo", [False, True])
def test_campaigns_take_signatures_in_their_order(petition, make_signature, undo):
    first, second = (make_signature(confirmed=True, country="DE") for _ in range(2))
    campaign = InvalidationCampaign.objects.create(petition=petition, reason="a test", country="DE")
    InvalidationCampaign.objects.apply(None)
    if undo:
        invalidation.advance()
        InvalidationCampaign.objects.undo(None)
    move_to_the_end(first)

    with meanwhile(invalidation.advance) as begin:
        lock(first)
        begin()
        lock(second)

    campaign.refresh_from_db()
    assert (campaign.restored if undo else campaign.changed) == 2
