"""The outbox: which mail is due, which letter it becomes, and sending it.

Delivery is at least once: rows are claimed by moving their time ahead, sent without an open transaction, and deleted
right after the server's own 250, before their connection gets another mail. A worker that dies in between leaves rows
that fall due again: at most one of them for each of its connections has been sent.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from petition import live_settings, rate_limits
from petition.mail import messages
from petition.mail.messages import Letter
from petition.mail.smtp import Fate, Outcome, Parcel, Post
from petition.models import OutgoingMail, Signature
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
# Minutes until the next try after a temporary refusal: then hourly, for a day in all.
BACKOFF = [1, 5, 15, 60, *[60] * 23]
PERMANENT = range(500, 600)
# How long a mail is remembered as counted against the limit of its address: longer than it is tried.
COUNTED_SECONDS = 172_800

CLAIM = """
    WITH due AS (
        SELECT id, due_at FROM petition_outgoingmail WHERE parked_at IS NULL AND due_at <= %(now)s
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE petition_outgoingmail mail SET due_at = %(until)s FROM due WHERE mail.id = due.id
    RETURNING mail.*, due.due_at AS was_due_at
"""

# What a letter depends on: of each mail whether its address asked for no mail, and as a row each the signatures that
# matter: its own while it is pending, and the confirmed one of its address. More that somebody made are not read.
KNOWN = """
    SELECT matters.*, mail.id AS mail_id,
        EXISTS (
            SELECT FROM petition_addressmark
            WHERE email_digest = mail.email_digest AND kind = 'no_mail' AND expires_at > %(now)s
        ) AS is_quiet,
        mail.kind = 'withdraw' AND EXISTS (
            SELECT FROM petition_signature
            WHERE petition_id = mail.petition_id AND email_digest = mail.email_digest AND confirmed_at IS NULL
        ) AS has_pending
    FROM petition_outgoingmail mail LEFT JOIN LATERAL (
        SELECT * FROM petition_signature
        WHERE petition_id = mail.petition_id AND email_digest = mail.email_digest AND confirmed_at IS NOT NULL
        UNION ALL
        SELECT * FROM petition_signature WHERE id = mail.signature_id AND confirmed_at IS NULL
    ) AS matters ON true
    WHERE mail.id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class Known:
    """What KNOWN says of a mail."""

    is_quiet: bool
    has_pending: bool
    signatures: list[Signature] = field(default_factory=list)


def claim(limit: int = BATCH) -> list[OutgoingMail]:
    """The mails that are due, oldest first, ours alone for five minutes."""
    now = timezone.now()
    until = now + timedelta(minutes=CLAIM_MINUTES)
    claimed = list(OutgoingMail.objects.raw(CLAIM, {"now": now, "until": until, "limit": limit}))
    return sorted(claimed, key=lambda mail: mail.pk)


def deliver_due(post: Post | None = None, stopping: Callable[[], bool] = lambda: False) -> int:
    """Send one batch of what is due, or its beginning if `stopping`; return how many rows were dealt with.

    A `post` keeps its connections for the next batch; without one they are made for this batch. Raises ServerAwayError
    if the mail server is away. What was claimed and not begun is due again at once; a mail at which anything unforeseen
    happens stays claimed, so that it cannot hold up the others.
    """
    if post is None:
        with closing(Post()) as own:
            return deliver_due(own, stopping)
    mails = claim()
    if not mails:
        return 0
    begin_until = mails[0].due_at - timedelta(minutes=SPARE_MINUTES)
    chosen = choose_letters(mails)
    mails = [mail for mail in mails if mail.pk in chosen]
    finish([mail for mail in mails if chosen[mail.pk] is None])
    waiting = deque((mail, letter) for mail in mails if (letter := chosen[mail.pk]))

    def take() -> Parcel | None:
        return waiting.popleft() if waiting and not stopping() and timezone.now() < begin_until else None

    try:
        if waiting:
            post.open()
            # Counted only now: while the server is away nothing is sent.
            over = over_mail_limit([mail for mail, _letter in waiting])
            finish(over)
            waiting = deque(parcel for parcel in waiting if parcel[0] not in over)
            for outcomes in post.carry(take, several=len(waiting) > FEW):
                settle(outcomes)
                waiting.extendleft((outcome.mail, outcome.letter) for outcome in outcomes if outcome.away)
    except BaseException:
        # Being told to stop is one, too: a connection in the middle of a letter is of no more use.
        post.close()
        raise
    finally:
        release(mail for mail, _letter in waiting)
    domains.name_domains(mails)
    return len(mails) - len(waiting)


def release(mails: Iterable[OutgoingMail]) -> None:
    """Give these back with the time they had, so that monitoring sees how late they are."""
    for mail in mails:
        _claimed(mail).update(due_at=mail.was_due_at)  # type: ignore[attr-defined]  # CLAIM adds it


def _claimed(mail: OutgoingMail) -> OutgoingMailQuerySet:
    """The row of this mail as long as nobody else has claimed it after us."""
    return OutgoingMail.objects.filter(pk=mail.pk, due_at=mail.due_at)


def choose_letters(mails: list[OutgoingMail]) -> dict[int, Letter | None]:
    """What each mail will say, by its id; None where nobody should be written to, nothing if another worker is done
    with it.
    """
    known: dict[int, Known] = {}
    for row in Signature.objects.raw(KNOWN, {"ids": [mail.pk for mail in mails], "now": timezone.now()}):
        facts = known.setdefault(row.mail_id, Known(row.is_quiet, row.has_pending))  # type: ignore[attr-defined]
        if row.pk:
            facts.signatures.append(row)
    return {mail.pk: _letter(mail, known[mail.pk]) for mail in mails if mail.pk in known}


def _letter(mail: OutgoingMail, known: Known) -> Letter | None:
    confirmed = next((row for row in known.signatures if not row.is_pending), None)
    if mail.kind == OutgoingMail.Kind.WITHDRAW:
        # A signature that stands can always be withdrawn, even by someone who asked for no mail.
        if known.is_quiet and confirmed is None:
            return None
        return messages.withdraw(mail) if confirmed or known.has_pending else messages.nothing_to_withdraw(mail)
    own = next((row for row in known.signatures if row.pk == mail.signature_id), None)
    if known.is_quiet or own is None:
        return None
    if confirmed is None:
        return messages.confirm(mail, own)
    return messages.already_signed(mail) if confirmed.is_counted else messages.under_review(mail)


def over_mail_limit(mails: list[OutgoingMail]) -> set[OutgoingMail]:
    """Count these against the limit of their addresses; those that are beyond it. Costs two statements."""
    named = {f"counted:{mail.pk}": mail for mail in mails}
    seen = counters.count(dict.fromkeys(named, COUNTED_SECONDS))
    # A mail that is taken up again, after a refusal or a crash, is not another one.
    new = [mail for name, mail in named.items() if seen[name] == 1]
    rate = live_settings.rate("MAILS_PER_ADDRESS")
    over = rate_limits.over_each((f"mail:{mail.kind}", bytes(mail.email_digest).hex(), rate) for mail in new)
    return {mail for mail, is_over in zip(new, over, strict=True) if is_over}


def settle(outcomes: list[Outcome]) -> None:
    """Delete the rows of what was sent, all in one statement, and put the others back with the reason."""
    sent = [outcome for outcome in outcomes if outcome.fate is Fate.SENT]
    finish(
        [outcome.mail for outcome in sent],
        keep={outcome.mail.signature_id for outcome in sent if outcome.letter.template == "confirm"},
    )
    for outcome in outcomes:
        match outcome.fate:
            case Fate.REFUSED:
                refuse(outcome.mail, outcome.status or -1)
            case Fate.BROKEN:
                retry_later(outcome.mail, None)
            case Fate.UNSENDABLE:
                park(outcome.mail, None)


def finish(mails: Collection[OutgoingMail], *, keep: Container[int | None] = ()) -> None:
    """Forget mails that are dealt with, and the pending signatures for which nobody has got a link: all but `keep`."""
    if not mails:
        return
    OutgoingMail.objects.filter(pk__in=[mail.pk for mail in mails]).delete()
    if unlinked := [mail.signature_id for mail in mails if mail.signature_id and mail.signature_id not in keep]:
        Signature.objects.pending().filter(pk__in=unlinked).erase()


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
    due_at = timezone.now() + timedelta(minutes=BACKOFF[mail.attempts])
    _claimed(mail).update(due_at=due_at, attempts=mail.attempts + 1, last_status=status)
    logger.info("%s was put off: %s", mail, status)


def park(mail: OutgoingMail, status: int | None) -> None:
    """Stop trying; staff see the status code until the row is purged."""
    _claimed(mail).update(parked_at=timezone.now(), attempts=mail.attempts + 1, last_status=status)
    logger.warning("%s was parked: %s", mail, status)
