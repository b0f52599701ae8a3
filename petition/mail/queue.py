"""The mail queue: which mail is due, whose it is, and sending it.

Here alone an address is read: opened with the key of its hour, digested, limited, and written to.

Delivery is at least once: rows are claimed by moving their time ahead, sent without an open transaction, and deleted
right after the server's own 250, before their connection gets another mail. A worker that dies in between leaves rows
that fall due again: at most one of them for each of its connections has been sent.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from nacl.exceptions import CryptoError

from petition import identity, live_settings, rate_limits
from petition.mail import messages, results
from petition.mail.keys import Keyring, NoSecretError, Opened
from petition.mail.smtp import Fate, Outcome, Parcel, Post
from petition.models import AddressMark, Heartbeat, OutgoingMail
from petition.models.link import token_digests
from petition.models.mail import OutgoingMailQuerySet
from petition.moderation import domains
from petition.postgres import counters

logger = logging.getLogger(__name__)

CLAIM_MINUTES = 5
# No mail is begun with less of its claim left: a slow server must not keep it past the claim, or another worker would
# send it again.
SPARE_MINUTES = 4
BATCH = 100
# So few go over one connection: opening another takes longer.
FEW = 30
# So many that were once left unanswered are tried at once, and for so long several connections are used after one was.
UNANSWERED = 4
WARY_SECONDS = 300
# Minutes until the next try after a temporary refusal: then hourly, for a day in all.
BACKOFF = [1, 5, 15, 60, *[60] * 23]
PERMANENT = range(500, 600)
# How long a mail is remembered as counted against the limit of its address: longer than it is tried.
COUNTED_SECONDS = 172_800
DIGEST_THREADS = 2
BEAT_SECONDS = 5

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
    UPDATE petition_outgoingmail mail SET due_at = statement_timestamp() + make_interval(mins => %(minutes)s)
    FROM due WHERE mail.id = due.id
    RETURNING mail.*, due.due_at AS was_due_at
"""

# The digests of the addresses that the worker has just read.
RECOGNISE = """
    UPDATE petition_signature signature
    SET email_digest = known.email_digest, domain_digest = known.domain_digest,
        held_reason = coalesce(nullif(signature.held_reason, ''), known.held_reason)
    FROM unnest(%(ids)s::bigint[], %(emails)s::bytea[], %(domains)s::bytea[], %(reasons)s::text[])
        AS known (id, email_digest, domain_digest, held_reason)
    WHERE signature.id = known.id AND signature.email_digest IS NULL
"""
RECOGNISE_LINK = """
    UPDATE petition_link link SET email_digest = known.email_digest
    FROM unnest(%(tokens)s::text[], %(emails)s::bytea[]) AS known (token_digest, email_digest)
    WHERE link.token_digest = known.token_digest AND link.kind = 'withdraw'
"""


class Recognised(NamedTuple):
    """A mail that this worker has opened, and the digest of its address."""

    mail: OutgoingMail
    opened: Opened
    email_digest: bytes


def claim(ring: Keyring, limit: int = BATCH) -> list[OutgoingMail]:
    """The mails that are due and that this worker can open, the oldest, ours alone for five minutes.

    In no order, unless mails are not shuffled at all.
    """
    values = {"keys": ring.ids(), "minutes": CLAIM_MINUTES, "limit": limit, "unanswered": min(limit, UNANSWERED)}
    mails = list(OutgoingMail.objects.raw(CLAIM, values))
    if not settings.MAIL_SHUFFLE_SECONDS:
        return sorted(mails, key=attrgetter("was_due_at"))
    secrets.SystemRandom().shuffle(mails)
    return mails


def deliver_due(post: Post | None = None, stopping: Callable[[], bool] = lambda: False) -> int:
    """Send one batch of what is due, or its beginning if `stopping`; return how many rows were dealt with.

    A `post` keeps its connections for the next batch; without one they are made for this batch. Raises ServerAwayError
    if the mail server is away. What was claimed and not begun is due again at once; a mail at which anything unforeseen
    happens stays claimed, so that it cannot hold up the others.
    """
    if post is None:
        with closing(Post()) as own:
            return deliver_due(own, stopping)
    ring = Keyring()
    claimed = claim(ring)
    if not claimed:
        beat()
        return 0
    # By a clock that nobody sets.
    begin_until = time.monotonic() + (CLAIM_MINUTES - SPARE_MINUTES) * 60
    recognised = recognise(claimed, ring)
    quiet = unwanted(recognised)
    finish(quiet)
    recognised = [known for known in recognised if known.mail not in quiet]
    waiting = deque(
        Parcel(mail, messages.compose(mail, opened), opened.address) for mail, opened, _digest in recognised
    )

    is_held_up, fates = False, set[Fate]()

    def take() -> Parcel | None:
        may = not (stopping() or is_held_up) and time.monotonic() < begin_until
        return waiting.popleft() if waiting and may else None

    try:
        if waiting:
            post.open()
            # Counted only now: while the server is away nothing is sent.
            over = over_mail_limit(recognised)
            finish(over)
            waiting = deque(parcel for parcel in waiting if parcel.mail not in over)
            several = len(waiting) > FEW or time.monotonic() < _wary_until
            for outcomes in post.carry(take, several=several):
                settle(outcomes)
                results.note(outcomes)
                if any(outcome.fate is Fate.SILENT for outcome in outcomes):
                    be_wary()
                    # The others are taken up again at once, over several connections.
                    is_held_up = not several
                fates |= {outcome.fate for outcome in outcomes}
                waiting.extendleft(outcome.parcel for outcome in outcomes if outcome.away)
    except BaseException:
        # Being told to stop is one, too: a connection in the middle of a mail is of no more use.
        post.close()
        raise
    finally:
        release(parcel.mail for parcel in waiting)
    results.store()
    if not fates or Fate.SENT in fates:
        beat()
    signed = {known.mail.signature_id: known.opened.address for known in recognised if known.mail.signature_id}
    domains.name_shared(signed)
    return len(claimed) - len(waiting)


_wary_until = 0.0


def be_wary() -> None:
    """From now on use several connections for a while, so that a silent server cannot stop all mail."""
    global _wary_until
    _wary_until = time.monotonic() + WARY_SECONDS


_beats_at = 0.0


def beat() -> None:
    """Note that mail goes out, or that none has to; every few seconds is enough."""
    global _beats_at
    if time.monotonic() >= _beats_at:
        Heartbeat.beat(Heartbeat.Part.MAIL)
        _beats_at = time.monotonic() + BEAT_SECONDS


def release(mails: Iterable[OutgoingMail]) -> None:
    """Give these back with the time they had, so that monitoring sees how late they are."""
    for mail in mails:
        _claimed(mail).update(due_at=mail.was_due_at)  # type: ignore[attr-defined]  # CLAIM adds it


def _claimed(mail: OutgoingMail) -> OutgoingMailQuerySet:
    """The row of this mail as long as nobody else has claimed it after us."""
    return OutgoingMail.objects.filter(pk=mail.pk, due_at=mail.due_at)


def recognise(mails: list[OutgoingMail], ring: Keyring) -> list[Recognised]:
    """Open these mails and write the digests of their addresses to what was signed. Two statements.

    Digests are slow on purpose and let other threads run meanwhile, so two are made at a time.
    """
    opened = [(mail, text) for mail in mails if (text := _open(mail, ring))]
    with ThreadPoolExecutor(DIGEST_THREADS) as pool:
        digests = list(pool.map(lambda pair: identity.email_digest(pair[1].address), opened))
    recognised = [Recognised(*pair, digest) for pair, digest in zip(opened, digests, strict=True)]
    signed = [known for known in recognised if known.mail.kind == OutgoingMail.Kind.SIGN]
    asked = [known for known in recognised if known.mail.kind == OutgoingMail.Kind.WITHDRAW]
    with connection.cursor() as cursor:
        if signed:
            values: dict[str, list[Any]] = {
                "ids": [known.mail.signature_id for known in signed],
                "emails": [known.email_digest for known in signed],
                "domains": [identity.domain_digest(known.opened.address) for known in signed],
                "reasons": [live_settings.reason_to_hold_domain(known.opened.address) for known in signed],
            }
            cursor.execute(RECOGNISE, values)
        if asked:
            of_links = [(digest, known.email_digest) for known in asked for digest in token_digests(known.opened.token)]
            tokens, emails = map(list, zip(*of_links, strict=True))
            cursor.execute(RECOGNISE_LINK, {"tokens": tokens, "emails": emails})
    return recognised


def _open(mail: OutgoingMail, ring: Keyring) -> Opened | None:
    try:
        opened = ring.open(mail.key_id or 0, bytes(mail.recipient))
        identity.normalise(opened.address)
    except NoSecretError:
        # Another worker has sealed it anew since we claimed it.
        _claimed(mail).update(due_at=Now())
        return None
    except (CryptoError, ValueError):
        logger.exception("%s holds no address that its key opens; parked", mail)
        park(mail, None)
        return None
    return opened


def unwanted(recognised: Iterable[Recognised]) -> list[OutgoingMail]:
    """The mails to addresses that asked for none. A mail to withdraw goes to them as well."""
    signed = {known.mail: known.email_digest for known in recognised if known.mail.kind == OutgoingMail.Kind.SIGN}
    quiet = AddressMark.objects.active().filter(kind=AddressMark.Kind.NO_MAIL, email_digest__in=set(signed.values()))
    digests = {bytes(digest) for digest in quiet.values_list("email_digest", flat=True)}
    return [mail for mail, digest in signed.items() if digest in digests]


def over_mail_limit(recognised: list[Recognised]) -> set[OutgoingMail]:
    """Count these against the limit of their addresses; those that are beyond it. Costs two statements."""
    named = {f"counted:{known.mail.pk}": known for known in recognised}
    seen = counters.count(dict.fromkeys(named, COUNTED_SECONDS))
    # A mail that is taken up again, after a refusal or a crash, is not another one.
    new = [known for name, known in named.items() if seen[name] == 1]
    rate = live_settings.rate("MAILS_PER_ADDRESS")
    over = rate_limits.over_each((f"mail:{known.mail.kind}", known.email_digest.hex(), rate) for known in new)
    return {known.mail for known, is_over in zip(new, over, strict=True) if is_over}


def settle(outcomes: list[Outcome]) -> None:
    """Delete the rows of what was sent, all in one statement, and put the others back with the reason."""
    finish([outcome.parcel.mail for outcome in outcomes if outcome.fate is Fate.SENT])
    for outcome in outcomes:
        match outcome.fate:
            case Fate.REFUSED:
                refuse(outcome.parcel.mail, outcome.status or -1)
            case Fate.BROKEN | Fate.SILENT:
                retry_later(outcome.parcel.mail, None)
            case Fate.UNSENDABLE:
                park(outcome.parcel.mail, None)


def finish(mails: Collection[OutgoingMail]) -> None:
    """Forget mails that are dealt with. What was signed stays until it lapses by the clock, sent or not."""
    if mails:
        OutgoingMail.objects.filter(pk__in=[mail.pk for mail in mails]).delete()


def refuse(mail: OutgoingMail, status: int) -> None:
    if status in PERMANENT:
        park(mail, status)
    else:
        # smtplib says -1 for an answer that is no status code.
        retry_later(mail, status if status > 0 else None)


def retry_later(mail: OutgoingMail, status: int | None) -> None:
    """Try again after 1, 5, 15 and 60 minutes, then hourly; park it after a day."""
    if mail.attempts >= len(BACKOFF):
        park(mail, status)
        return
    due_at = Now() + timedelta(minutes=BACKOFF[mail.attempts])
    _claimed(mail).update(due_at=due_at, attempts=mail.attempts + 1, last_status=status)
    logger.info("%s was put off: %s", mail, status)


def park(mail: OutgoingMail, status: int | None) -> None:
    """Stop trying; staff see the status code until the row is purged."""
    _claimed(mail).update(parked_at=Now(), attempts=mail.attempts + 1, last_status=status)
    logger.warning("%s was parked: %s", mail, status)
