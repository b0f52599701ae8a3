"""Claims: whose a mail is that is due, for some seconds at a time, without an open transaction."""

import secrets
import time
from collections.abc import Iterable
from operator import attrgetter

from django.conf import settings
from django.db import connection

from petition.mail.keys import Keyring
from petition.models import OutgoingMail
from petition.models.mail import CLAIM_SECONDS, OutgoingMailQuerySet

# The mails of a killed worker are another one's once CLAIM_SECONDS are over. A living one renews its claim in time, and
# sends no text with less than SPARE_SECONDS of it left.
RENEW_SECONDS = 3
SPARE_SECONDS = 4
BATCH = 100
# So many that were once left unanswered are tried at once.
UNANSWERED = 4

# What the server once took and left unanswered holds up a connection again: it waits until nothing else does.
CLAIM = """
    WITH others AS (
        SELECT id, due_at FROM petition_outgoingmail
        WHERE parked_at IS NULL AND due_at <= statement_timestamp() AND key_id = ANY(%(keys)s)
            AND (attempts = 0 OR last_status IS NOT NULL)
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), unanswered AS (
        SELECT id, due_at FROM petition_outgoingmail
        WHERE parked_at IS NULL AND due_at <= statement_timestamp() AND key_id = ANY(%(keys)s)
            AND attempts > 0 AND last_status IS NULL AND NOT EXISTS (SELECT FROM others)
        ORDER BY due_at LIMIT %(unanswered)s FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT id, due_at FROM others UNION ALL SELECT id, due_at FROM unanswered
    )
    UPDATE petition_outgoingmail mail SET due_at = statement_timestamp() + make_interval(secs => %(seconds)s)
    FROM due WHERE mail.id = due.id
    RETURNING mail.*, due.due_at AS was_due_at
"""

# Those that another worker has claimed meanwhile have another time.
RENEW = """
    UPDATE petition_outgoingmail mail SET due_at = statement_timestamp() + make_interval(secs => %(seconds)s)
    FROM unnest(%(ids)s::bigint[], %(due_at)s::timestamptz[]) AS claimed (id, due_at)
    WHERE mail.id = claimed.id AND mail.due_at = claimed.due_at
    RETURNING mail.id, mail.due_at
"""
RELEASE = """
    UPDATE petition_outgoingmail mail SET due_at = claimed.was_due_at
    FROM unnest(%(ids)s::bigint[], %(due_at)s::timestamptz[], %(was_due_at)s::timestamptz[])
        AS claimed (id, due_at, was_due_at)
    WHERE mail.id = claimed.id AND mail.due_at = claimed.due_at
"""


class Claim:
    """The mails of one turn that are ours alone and not dealt with yet, until a time by a clock that nobody sets."""

    def __init__(self, ring: Keyring) -> None:
        self.ring = ring
        self.mails = dict[int, OutgoingMail]()
        # How many there have been.
        self.number = 0

    def add(self, limit: int, unanswered: int = UNANSWERED) -> list[OutgoingMail]:
        """Claim so many more; return those. Costs one statement."""
        asked_at = time.monotonic()
        added = claim(self.ring, limit, unanswered)
        if not self.mails:
            self._lasts_from(asked_at)
        self.mails |= {mail.pk: mail for mail in added}
        self.number += len(added)
        return added

    def _lasts_from(self, asked_at: float) -> None:
        self.renew_at = asked_at + RENEW_SECONDS
        self.ends_at = asked_at + CLAIM_SECONDS - SPARE_SECONDS

    def is_ours(self, mail: OutgoingMail | None = None) -> bool:
        """Whether the claim lasts and, if a mail is named, no other worker has taken it over."""
        return time.monotonic() < self.ends_at and (mail is None or mail.pk in self.mails)

    def renew(self) -> None:
        """Claim anew, if it is time, what nobody else has claimed or dealt with. Costs one statement."""
        asked_at = time.monotonic()
        if asked_at < self.renew_at or not self.mails:
            return
        claimed = [mail.due_at for mail in self.mails.values()]
        with connection.cursor() as cursor:
            cursor.execute(RENEW, {"ids": list(self.mails), "due_at": claimed, "seconds": CLAIM_SECONDS})
            renewed = dict(cursor.fetchall())
        self.mails = {pk: mail for pk, mail in self.mails.items() if pk in renewed}
        for pk, mail in self.mails.items():
            mail.due_at = renewed[pk]
        self._lasts_from(asked_at)

    def let_go(self, mails: Iterable[OutgoingMail]) -> None:
        for mail in mails:
            self.mails.pop(mail.pk, None)


def claim(ring: Keyring, limit: int = BATCH, unanswered: int = UNANSWERED) -> list[OutgoingMail]:
    """The mails that are due and that this worker can open, the oldest, ours alone for CLAIM_SECONDS.

    If there are no others, so many at most that were once left unanswered. In no order, unless mails are not shuffled
    at all.
    """
    values = {"keys": ring.ids(), "seconds": CLAIM_SECONDS, "limit": limit, "unanswered": min(limit, unanswered)}
    mails = list(OutgoingMail.objects.raw(CLAIM, values))
    if not settings.MAIL_SHUFFLE_SECONDS:
        return sorted(mails, key=attrgetter("was_due_at"))
    secrets.SystemRandom().shuffle(mails)
    return mails


def release(mails: Iterable[OutgoingMail]) -> None:
    """Give these back with the time they had, so that monitoring sees how late they are."""
    released = [(mail.pk, mail.due_at, mail.was_due_at) for mail in mails]  # type: ignore[attr-defined]  # CLAIM adds it
    if released:
        ids, due_at, was_due_at = map(list, zip(*released, strict=True))
        with connection.cursor() as cursor:
            cursor.execute(RELEASE, {"ids": ids, "due_at": due_at, "was_due_at": was_due_at})


def ours(mail: OutgoingMail) -> OutgoingMailQuerySet:
    """The row of this mail as long as nobody else has claimed it after us."""
    return OutgoingMail.objects.filter(pk=mail.pk, due_at=mail.due_at)
