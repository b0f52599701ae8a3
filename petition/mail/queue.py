"""The mail queue: which mail is due, whose it is, and sending it.

Here alone an address is read: opened with the key of its hour, digested, limited, and written to.

Delivery is at least once: rows are claimed by moving their time ahead by some seconds, again and again while they are
sent, without an open transaction, and deleted right after the server's own 250, before their connection gets another
mail. A worker that dies in between leaves rows that fall due again: at most one of them for each of its connections has
been sent. One that was merely stopped sends nothing more when it wakes up and another one has taken over.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from nacl.exceptions import CryptoError

from petition import identity, live_settings, rate_limits
from petition.mail import messages, results
from petition.mail.keys import Keyring, NoSecretError, Opened
from petition.mail.refusals import Codes, RefusedError, ServerAwayError
from petition.mail.smtp import Fate, Outcome, Parcel, Post
from petition.models import AddressMark, Heartbeat, OutgoingMail
from petition.models.link import token_digests
from petition.models.mail import CLAIM_SECONDS, OutgoingMailQuerySet
from petition.moderation import domains
from petition.postgres import counters

logger = logging.getLogger(__name__)

# The mails of a killed worker are another one's once CLAIM_SECONDS are over. A living one renews its claim in time, and
# sends no text with less than SPARE_SECONDS of it left.
RENEW_SECONDS = 3
SPARE_SECONDS = 4
# A mail at which something unforeseen happened is left alone for so long.
ASIDE_MINUTES = 5
BATCH = 100
# No turn takes up more for longer than that: the worker has long duties as well, which wait for its end.
TURN_SECONDS = 60
# So many find out whether a server is back that was away or refused us.
PROBES = 3
# So few go over one connection: opening another takes longer.
FEW = 30
# So many that were once left unanswered are tried at once, and for so long several connections are used after one was.
UNANSWERED = 4
WARY_SECONDS = 300
# Minutes until the next try after a temporary refusal: then hourly, for a day in all.
BACKOFF = [1, 5, 15, 60, *[60] * 23]
# Until the next try of a mail of which it should soon be known whether it was refused for its own sake.
DOUBT_SECONDS = 8
# The same for one whose connection broke, which is the server's doing more often than the mail's.
BROKEN_SECONDS = (5, 10)
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


def deliver_due(
    post: Post | None = None,
    stopping: Callable[[], bool] = lambda: False,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Send one batch of what is due, or its beginning if `stopping`; return how many rows were dealt with.

    As long as the server leaves a mail unanswered the turn goes on with what falls due, over other connections. The
    caller has other things to do as well: it does them `meanwhile`, which is called every second and must not take more
    than a few, in which no claim is renewed.

    A `post` keeps its connections for the next batch; without one they are made for this batch. Raises ServerAwayError
    if the mail server is away. What was claimed and not begun is due again at once; a mail at which anything unforeseen
    happens is set aside for minutes, so that it cannot hold up the others.
    """
    if post is None:
        with closing(Post()) as own:
            return deliver_due(own, stopping, meanwhile)
    claimed = Claim(Keyring())
    if not (mails := claimed.add(PROBES if post.is_probing else BATCH)):
        beat()
        return 0
    waiting = deque[Parcel]()
    try:
        deliver(claimed, mails, waiting, post, stopping, meanwhile)
    except (ServerAwayError, OperationalError, InterfaceError) as error:
        post.close()
        if isinstance(error, ServerAwayError):
            post.is_probing = True
        if isinstance(error, RefusedError):
            Heartbeat.beat(Heartbeat.Part.REFUSED, str(error.codes))
        raise
    except BaseException:
        # Being told to stop is one, too: a connection in the middle of a mail is of no more use.
        post.close()
        claimed.let_go(parcel.mail for parcel in waiting)
        set_aside(claimed.mails.values())
        raise
    finally:
        release(parcel.mail for parcel in waiting)
    return claimed.number - len(waiting)


def prepare(mails: list[OutgoingMail], claimed: Claim, waiting: deque[Parcel], post: Post) -> list[Recognised]:
    """Open these, drop those that are not to be sent, and put the others in `waiting`; return what was opened.

    Raises ServerAwayError.
    """
    opened = recognise(mails, claimed.ring)
    quiet = unwanted(opened)
    finish(quiet)
    results.note_unsent(quiet)
    wanted = [known for known in opened if known.mail not in quiet]
    added = [
        Parcel(mail, messages.compose(mail, read), read.address, partial(claimed.is_ours, mail))
        for mail, read, _digest in wanted
    ]
    claimed.let_go(set(mails) - {parcel.mail for parcel in added})
    waiting.extend(added)
    if added:
        post.open()
        # Counted only now: while the server is away nothing is sent.
        over = over_mail_limit(wanted)
        finish(over)
        results.note_unsent(over)
        claimed.let_go(over)
        for parcel in [parcel for parcel in added if parcel.mail in over]:
            waiting.remove(parcel)
        claimed.renew()
    results.store()
    return wanted


def deliver(
    claimed: Claim,
    mails: list[OutgoingMail],
    waiting: deque[Parcel],
    post: Post,
    stopping: Callable[[], bool],
    meanwhile: Callable[[], object],
) -> None:
    """Send these, which are claimed. What is in `waiting` afterwards was not begun."""
    recognised = prepare(mails, claimed, waiting, post)
    is_held_up, take_up_until = False, time.monotonic() + TURN_SECONDS
    fates, doubtful = set[Fate](), list[Outcome]()

    def take() -> Parcel | None:
        while waiting and not stopping() and not is_held_up and claimed.is_ours():
            parcel = waiting.popleft()
            if parcel.mail.pk in claimed.mails:
                return parcel
        return None

    if waiting:
        several = len(waiting) > FEW or time.monotonic() < _wary_until
        try:
            for outcomes in post.carry(take, several=several):
                settle(outcomes)
                results.note(outcomes)
                known = [outcome for outcome in outcomes if outcome.fate is not Fate.NOT_BEGUN] + doubtful
                for outcome in outcomes:
                    judge(outcome, doubtful, post)
                claimed.let_go(outcome.parcel.mail for outcome in known if outcome not in doubtful)
                waiting.extendleft(outcome.parcel for outcome in outcomes if outcome.fate is Fate.NOT_BEGUN)
                if any(outcome.fate is Fate.SILENT for outcome in outcomes):
                    be_wary()
                is_held_up = is_held_up or bool(post.refusals.fault and not post.is_probing)
                fates |= {outcome.fate for outcome in outcomes}
                claimed.renew()
                is_over = is_held_up or post.is_probing or stopping() or time.monotonic() > take_up_until
                if not (outcomes or waiting or is_over):
                    # What is unanswered holds up nobody else.
                    recognised += prepare(claimed.add(BATCH, unanswered=0), claimed, waiting, post)
                meanwhile()
        except ServerAwayError:
            put_last(doubtful)
            results.store()
            raise
        results.store()
        if post.refusals.fault and (doubtful or Fate.BROKEN in fates):
            put_last(doubtful)
            OutgoingMail.objects.refused_before().update(due_at=Now())
            raise post.refusals.fault
        for outcome in doubtful:
            refuse(outcome.parcel.mail, outcome.codes, is_in_doubt=True)
    if not fates or Fate.SENT in fates:
        beat()
    signed = {known.mail.signature_id: known.opened.address for known in recognised if known.mail.signature_id}
    domains.name_shared(signed)


_wary_until = 0.0


def be_wary() -> None:
    """From now on use several connections for a while, so that a silent server cannot stop all mail."""
    global _wary_until
    _wary_until = time.monotonic() + WARY_SECONDS


_beats_at: dict[str, float] = {}


def beat(part: str = Heartbeat.Part.MAIL, *, is_urgent: bool = False) -> None:
    """Note that mail goes out, or that none has to; every few seconds is enough."""
    if is_urgent or time.monotonic() >= _beats_at.get(part, 0):
        Heartbeat.beat(part)
        _beats_at[part] = time.monotonic() + BEAT_SECONDS


def release(mails: Iterable[OutgoingMail]) -> None:
    """Give these back with the time they had, so that monitoring sees how late they are."""
    released = [(mail.pk, mail.due_at, mail.was_due_at) for mail in mails]  # type: ignore[attr-defined]  # CLAIM adds it
    if released:
        ids, due_at, was_due_at = map(list, zip(*released, strict=True))
        with connection.cursor() as cursor:
            cursor.execute(RELEASE, {"ids": ids, "due_at": due_at, "was_due_at": was_due_at})


def set_aside(mails: Iterable[OutgoingMail]) -> None:
    for mail in mails:
        _claimed(mail).update(due_at=Now() + timedelta(minutes=ASIDE_MINUTES))


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
    others = {known.mail: known.email_digest for known in recognised if known.mail.kind != OutgoingMail.Kind.WITHDRAW}
    quiet = AddressMark.objects.active().filter(kind=AddressMark.Kind.NO_MAIL, email_digest__in=set(others.values()))
    digests = {bytes(digest) for digest in quiet.values_list("email_digest", flat=True)}
    return [mail for mail, digest in others.items() if digest in digests]


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
    """Delete the rows of what was sent, all in one statement, and put back with the reason what concerns one mail."""
    finish([outcome.parcel.mail for outcome in outcomes if outcome.fate is Fate.SENT])
    for outcome in outcomes:
        match outcome.fate:
            case Fate.REFUSED if outcome.codes and outcome.codes.concern_the_recipient:
                refuse(outcome.parcel.mail, outcome.codes)
            case Fate.BROKEN:
                retry_later(outcome.parcel.mail, None, is_broken=True)
            case Fate.SILENT:
                retry_later(outcome.parcel.mail, None)
            case Fate.UNSENDABLE:
                park(outcome.parcel.mail, None)


def judge(outcome: Outcome, doubtful: list[Outcome], post: Post) -> None:
    """Add to `doubtful` what may be refused for its own sake or with all others, until what is sent tells which."""
    mail, recipient = outcome.parcel.mail, outcome.parcel.recipient
    if outcome.fate is Fate.SENT and post.refusals.taken(recipient):
        beat(Heartbeat.Part.TAKEN, is_urgent=post.is_probing)
        post.is_probing = False
        for earlier in doubtful:
            refuse(earlier.parcel.mail, earlier.codes)
        doubtful.clear()
    elif outcome.fate is Fate.BROKEN:
        post.refusals.refused(mail.pk, recipient, None)
    elif outcome.fate is Fate.REFUSED and outcome.codes and not outcome.codes.concern_the_recipient:
        post.refusals.refused(mail.pk, recipient, outcome.codes)
        doubtful.append(outcome)


def put_last(refused: list[Outcome]) -> None:
    """Have these tried after all others that are due: the server refuses us, and no mail is to blame."""
    for outcome in refused:
        mail = outcome.parcel.mail
        _claimed(mail).update(due_at=Now(), **tried(mail, outcome.codes) | {"attempts": mail.attempts})


def finish(mails: Collection[OutgoingMail]) -> None:
    """Forget mails that are dealt with. What was signed stays until it lapses by the clock, sent or not."""
    if mails:
        OutgoingMail.objects.filter(pk__in=[mail.pk for mail in mails]).delete()


def refuse(mail: OutgoingMail, codes: Codes | None, *, is_in_doubt: bool = False) -> None:
    """Park this mail, or try it again later if that may help.

    As long as it `is_in_doubt` whether all are refused, it is tried again, and parked if others were taken meanwhile.
    """
    if codes and codes.are_permanent and not (is_in_doubt and not others_taken_since(mail)):
        park(mail, codes)
    else:
        retry_later(mail, codes)


def wait(attempts: int, codes: Codes | None, *, is_broken: bool = False) -> timedelta:
    """How long a mail waits that was tried so often before."""
    if is_broken and attempts < len(BROKEN_SECONDS):
        return timedelta(seconds=BROKEN_SECONDS[attempts])
    if attempts == 0 and codes and codes.are_permanent:
        return timedelta(seconds=DOUBT_SECONDS)
    return timedelta(minutes=BACKOFF[attempts])


def others_taken_since(mail: OutgoingMail) -> bool:
    """Whether the server has taken any mail since it refused this one the last time; False if it never has before."""
    before = Codes(mail.last_status or 0)
    if not (mail.attempts and before.are_permanent):
        return False
    waited = wait(mail.attempts - 1, before)
    return Heartbeat.objects.filter(part=Heartbeat.Part.TAKEN, beat_at__gt=Now() - waited).exists()


def retry_later(mail: OutgoingMail, codes: Codes | None, *, is_broken: bool = False) -> None:
    """Try again after 1, 5, 15 and 60 minutes, then hourly; park it after a day.

    The first two times after some seconds if only the connection broke.
    """
    if mail.attempts >= len(BACKOFF):
        park(mail, codes)
        return
    _claimed(mail).update(due_at=Now() + wait(mail.attempts, codes, is_broken=is_broken), **tried(mail, codes))
    logger.info("%s was put off: %s", mail, codes)


def park(mail: OutgoingMail, codes: Codes | None) -> None:
    """Stop trying; staff see the status code until the row is purged."""
    _claimed(mail).update(parked_at=Now(), **tried(mail, codes))
    logger.warning("%s was parked: %s", mail, codes)


def tried(mail: OutgoingMail, codes: Codes | None) -> dict[str, Any]:
    # smtplib says -1 for an answer that is no status code.
    status = codes.status if codes and codes.status > 0 else None
    return {"attempts": mail.attempts + 1, "last_status": status, "enhanced_status": codes.enhanced if codes else ""}
