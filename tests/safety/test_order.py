"""Nobody can tell from a row when within its hour it was confirmed: not from its number, its place or its transaction.

The attacker has a copy of the database, and a log of mails, presses or the public number, each with its exact time.
"""

import random
from datetime import timedelta
from math import erfc, sqrt

import pytest
from django.core import mail as django_mail
from django.db import connection
from django.db.models import F

from petition import confirmation, forgetting, signing
from petition.counts import tally
from petition.mail import queue
from petition.mail.keys import Keyring
from petition.models import OutgoingMail, Signature
from petition.models.signature import this_hour

pytestmark = pytest.mark.django_db(transaction=True)

JOURNEYS = 500
SIGNIFICANT = 0.001
chance = random.Random(11)


def ranks(values):
    """The rank of each; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda position: values[position])
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            found[position] = (start + end - 1) / 2
        start = end
    return found


def chance_of(first, second):
    """How likely a rank correlation (Spearman's) as strong as this is by chance alone."""
    one, two = ranks(first), ranks(second)
    mean = (len(one) - 1) / 2
    both = sum((a - mean) * (b - mean) for a, b in zip(one, two, strict=True))
    spread = sqrt(sum((a - mean) ** 2 for a in one) * sum((b - mean) ** 2 for b in two))
    return erfc(abs(both / spread) * sqrt((len(one) - 1) / 2)) if spread else 1.0


def columns():
    """All that each signature and its link have, and where and by whom PostgreSQL wrote them: {column: {id: value}}."""
    found = {}
    for table, key in (("petition_signature", "id"), ("petition_link", "signature_id")):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [table],
            )
            names = [name for (name,) in cursor.fetchall()]
            system = "(ctid::text::point)[0] * 10000 + (ctid::text::point)[1], xmin::text::bigint, cmin::text::bigint"
            cursor.execute(f"SELECT {key}, {system}, {', '.join(names)} FROM {table}")
            rows = cursor.fetchall()
        for number, name in enumerate(["ctid", "xmin", "cmin", *names], start=1):
            values = {row[0]: row[number] for row in rows}
            if None not in values.values():
                found[f"{table}.{name}"] = {
                    key: bytes(value) if isinstance(value, memoryview) else value for key, value in values.items()
                }
    return found


def telling(order):
    """The columns that tell something of the order in which these numbers of signatures are."""
    found = columns()
    level = SIGNIFICANT / len(found)  # so many are looked at that one would stand out by chance
    return {
        name
        for name, values in found.items()
        if chance_of([values[pk] for pk in order], list(range(len(order)))) < level
    }


@pytest.fixture
def journeys(petition, settings):
    """Five hundred people sign, get their mail, and confirm within one hour; in which order they did each."""
    settings.MAIL_SHUFFLE_SECONDS = 60
    settings.MAILS_PER_ADDRESS = settings.HOLD_PER_NETWORK = "0"
    tokens, signed = {}, {}
    for number in range(JOURNEYS):
        email = f"signer{number}@example.org"
        signing.sign(petition.slug, signing.Answers(email=email), language="en", network=None)
    ring = Keyring()
    for owed in OutgoingMail.objects.all():
        opened = ring.open(owed.key_id, bytes(owed.recipient))
        tokens[opened.address], signed[opened.address] = opened.token, owed.signature_id
    # A minute has passed.
    OutgoingMail.objects.update(due_at=F("due_at") - timedelta(seconds=60))
    while queue.deliver_due():
        pass
    mailed = [message.to[0] for message in django_mail.outbox]
    confirmed = sorted(tokens)
    chance.shuffle(confirmed)
    for email in confirmed:
        link = confirmation.find(tokens[email])
        confirmation.confirm(link.signature, link=link.link)
    in_order = [f"signer{number}@example.org" for number in range(JOURNEYS)]
    return {
        name: [signed[email] for email in emails]
        for name, emails in (("signed", in_order), ("mailed", mailed), ("confirmed", confirmed))
    }


def test_mails_of_one_minute_leave_in_another_order_than_people_signed(journeys):
    place = {pk: number for number, pk in enumerate(journeys["mailed"])}

    assert len(place) == JOURNEYS
    assert chance_of([place[pk] for pk in journeys["signed"]], list(range(JOURNEYS))) > SIGNIFICANT


def test_after_its_hour_nothing_in_a_row_tells_the_order_of_confirmations_mails_or_forms(journeys):
    assert "petition_signature.xmin" in telling(journeys["confirmed"]), "without it"
    told = telling(journeys["signed"]) | telling(journeys["confirmed"])
    assert any(column.startswith("petition_link.") for column in told), "without it"

    forgetting.forget(this_hour() + timedelta(hours=1))

    for name, order in journeys.items():
        assert telling(order) == set(), name
    assert Signature.objects.counted().count() == tally.current("chechnya").confirmed_here == JOURNEYS
    while tally.fold():
        pass
    found = tally.recount()
    assert (found.difference, found.hours, found.days, found.standing) == (0, 0, 0, 0)
