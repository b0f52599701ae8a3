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
from tests.support.server import PATIENCE_SECONDS, wait_until

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
            yield lambda: (acting.append(pool.submit(act)), wait_until(lambda: sql(WAITING)))
        acting[0].result()


def lock(row):
    """Raise if somebody else has it."""
    sql("SELECT FROM petition_signature WHERE id = %s FOR UPDATE NOWAIT", row.pk)


def in_their_order(rows):
    return sorted(rows, key=lambda row: row.pk)


def of_anna(row):
    return Signature.objects.of_address(row.petition_id, bytes(row.email_digest))


def move_to_the_end(row):
    """A statement without an order finds it last, in the table as in the index of pending signatures."""
    sql("UPDATE petition_signature SET created_at = created_at + interval '1 hour' WHERE id = %s", row.pk)


@pytest.mark.parametrize("change", ["hold", "release", "invalidate", "restore"])
def test_moderators_take_signatures_in_their_order(make_signature, change):
    state = {"release": {"held_at": this_hour()}, "restore": {"invalidated_at": this_hour()}}.get(change, {})
    first, second = in_their_order(make_signature(confirmed=True, **state) for _ in range(2))
    move_to_the_end(first)
    arguments = ["a test"] if change in ("hold", "invalidate") else []

    with meanwhile(lambda: getattr(Signature.objects.all(), change)(*arguments)) as begin:
        lock(first)
        begin()
        lock(second)

    assert Signature.objects.counted().count() == (0 if arguments else 2)


@pytest.mark.parametrize("confirmed", [True, False])
def test_withdrawing_takes_signatures_in_their_order(make_signature, confirmed):
    first, second = in_their_order(make_signature(email=ANNA, confirmed=state) for state in (confirmed, False))
    move_to_the_end(first)

    with meanwhile(lambda: withdrawal.erase(of_anna(first))) as begin:
        lock(first)
        begin()
        lock(second)

    assert not Signature.objects.exists()


def test_withdrawing_deletes_nothing_before_it_has_locked_everything(make_signature):
    """A confirmation of another row of the address at that moment would wait for the place of the first to be free."""
    make_signature(email=ANNA, confirmed=True)
    second = make_signature(email=ANNA)

    with meanwhile(lambda: withdrawal.erase(of_anna(second))) as begin:
        lock(second)
        begin()
        with pytest.raises(IntegrityError), transaction.atomic():
            sql("UPDATE petition_signature SET confirmed_at = created_at WHERE id = %s", second.pk)

    assert not Signature.objects.exists()


def test_withdrawing_does_not_overlook_an_invalidation_of_that_moment(make_signature):
    signature = make_signature(confirmed=True)

    with meanwhile(lambda: withdrawal.erase(of_anna(signature))) as begin:
        Signature.objects.all().invalidate("a test")
        begin()

    assert not Signature.objects.exists()
    assert AddressMark.objects.get().kind == "hold"


@pytest.mark.parametrize("counts", [0, 1])
def test_confirming_takes_its_own_row_and_the_counted_one_in_their_order(make_signature, counts):
    first, second = rows = in_their_order(make_signature(email=ANNA) for _ in range(2))
    Signature.objects.filter(pk=rows[counts].pk).update(confirmed_at=this_hour())
    move_to_the_end(first)

    with meanwhile(lambda: confirmation.confirm(rows[1 - counts])) as begin:
        lock(first)
        begin()
        lock(second)

    assert Signature.objects.confirmed().get() == rows[counts]


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
        assert pool.submit(purge).result(PATIENCE_SECONDS) == 1
    assert retention.purge()[what] == 1


@pytest.mark.parametrize("undo", [False, True])
def test_campaigns_take_signatures_in_their_order(petition, make_signature, undo):
    before = this_hour() - timedelta(hours=1)
    first, second = in_their_order(make_signature(created_at=before, confirmed_at=before, country="DE") for _ in "12")
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
