"""The outbox: which mail is due, which letter it becomes, and sending it.

Delivery is at least once: a row is claimed by moving its time ahead, sent without an open transaction, and deleted
right after the server's own 250. A worker that dies in between leaves a row that falls due again.
"""

import logging
import smtplib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import timedelta

from django.core.cache import cache
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from nacl.exceptions import CryptoError

from petition import identity, letters, limits, switches
from petition.letters import Letter
from petition.models import AddressMark, OutgoingMail, Signature
from petition.models.mail import OutgoingMailQuerySet

logger = logging.getLogger(__name__)

CLAIM_MINUTES = 5
# No mail is begun with less of its claim left: a slow server must not keep it past the claim, or another worker would
# send it again.
SPARE_MINUTES = 4
BATCH = 50
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


class ServerAway(Exception):  # noqa: N818  (it names what is the case)
    """The mail server cannot be reached or will not let us in: no mail is to blame."""


def claim(limit: int = BATCH) -> list[OutgoingMail]:
    """The mails that are due, oldest first, ours alone for five minutes."""
    now = timezone.now()
    until = now + timedelta(minutes=CLAIM_MINUTES)
    claimed = list(OutgoingMail.objects.raw(CLAIM, {"now": now, "until": until, "limit": limit}))
    return sorted(claimed, key=lambda mail: mail.pk)


def deliver_due(connection: BaseEmailBackend | None = None, stopping: Callable[[], bool] = lambda: False) -> int:
    """Send one batch of what is due, or its beginning if `stopping`; return how many rows were dealt with.

    Raises ServerAway if the mail server is away. What was claimed and not begun is due again at once; a mail at which
    anything unforeseen happens stays claimed, so that it cannot hold up the others.
    """
    mails = claim()
    if not mails:
        return 0
    connection = connection or get_connection()
    letters_by_mail = choose_letters(mails)
    waiting = deque(mails)
    begin_until = mails[0].due_at - timedelta(minutes=SPARE_MINUTES)
    try:
        while waiting and not stopping() and timezone.now() < begin_until:
            mail = waiting.popleft()
            deliver(mail, letters_by_mail[mail.pk], connection)
    except ServerAway:
        waiting.appendleft(mail)
        raise
    finally:
        _close(connection)
        release(waiting)
    return len(mails) - len(waiting)


def release(mails: Iterable[OutgoingMail]) -> None:
    """Give these back with the time they had, so that monitoring sees how late they are."""
    for mail in mails:
        _claimed(mail).update(due_at=mail.was_due_at)  # type: ignore[attr-defined]  # CLAIM adds it


def _claimed(mail: OutgoingMail) -> OutgoingMailQuerySet:
    """The row of this mail as long as nobody else has claimed it after us."""
    return OutgoingMail.objects.filter(pk=mail.pk, due_at=mail.due_at)


def choose_letters(mails: list[OutgoingMail]) -> dict[int, Letter | None]:
    """What each mail will say, by its id; None where nobody should be written to."""
    digests = [bytes(mail.email_digest) for mail in mails]
    quiet = {
        bytes(digest)
        for digest in AddressMark.objects.active()
        .filter(email_digest__in=digests, kind=AddressMark.Kind.NO_MAIL)
        .values_list("email_digest", flat=True)
    }
    known: dict[tuple[int, bytes], list[Signature]] = defaultdict(list)
    for signature in Signature.objects.of_addresses({mail.petition_id for mail in mails}, digests):
        known[signature.petition_id, bytes(signature.email_digest)].append(signature)

    chosen: dict[int, Letter | None] = {}
    for mail in mails:
        digest = bytes(mail.email_digest)
        signatures = known[mail.petition_id, digest]
        choose = _after_signing if mail.kind == OutgoingMail.Kind.SIGN else _to_withdraw
        chosen[mail.pk] = choose(mail, signatures, digest in quiet)
    return chosen


def _after_signing(mail: OutgoingMail, signatures: list[Signature], quiet: bool) -> Letter | None:
    signature = next((row for row in signatures if row.pk == mail.signature_id), None)
    if quiet or signature is None:
        return None
    confirmed = next((row for row in signatures if not row.is_pending), None)
    if confirmed is None:
        return letters.confirm(mail, signature)
    if confirmed.is_counted:
        return letters.already_signed(mail)
    return letters.under_review(mail)


def _to_withdraw(mail: OutgoingMail, signatures: list[Signature], quiet: bool) -> Letter | None:
    # A signature that stands can always be withdrawn, even by someone who asked for no mail.
    if quiet and all(row.is_pending for row in signatures):
        return None
    return letters.withdraw(mail) if signatures else letters.nothing_to_withdraw(mail)


def _over_mail_limit(mail: OutgoingMail) -> bool:
    # A mail that is taken up again, after a refusal or a crash, is not another one.
    if not cache.add(f"counted:{mail.pk}", 1, COUNTED_SECONDS):
        return False
    wait = limits.over(f"mail:{mail.kind}", bytes(mail.email_digest).hex(), switches.rate("MAILS_PER_ADDRESS"))
    return wait is not None


def deliver(mail: OutgoingMail, letter: Letter | None, connection: BaseEmailBackend) -> None:
    """Send one mail and delete its row, or put it back with the reason as a status code. Raises ServerAway."""
    if letter is None:
        finish(mail)
        return
    try:
        recipient = identity.unseal(bytes(mail.recipient))
    except CryptoError:
        logger.exception("%s was sealed for a key that is not among RECIPIENT_SECRET_KEYS; parked", mail)
        park(mail, None)
        return
    try:
        is_fresh = connection.open() is not False
    except (OSError, smtplib.SMTPException) as error:
        raise ServerAway(type(error).__name__) from error
    # Counted only now: while the server is away nothing is sent.
    if _over_mail_limit(mail):
        finish(mail)
        return
    try:
        connection.send_messages([letters.message(mail, letter, recipient)])
    except smtplib.SMTPRecipientsRefused as error:
        ((status, _text),) = error.recipients.values()
        refuse(mail, status)
    except smtplib.SMTPDataError as error:
        refuse(mail, error.smtp_code)
        _close(connection)
    except (OSError, smtplib.SMTPException) as error:
        _close(connection)
        if not is_fresh:
            # A server may end a connection after any number of mails: this one gets a connection of its own.
            deliver(mail, letter, connection)
        elif isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPHeloError):
            # We and our sender are the same for every mail, so this is between us and the server.
            raise ServerAway(f"it refused us with {error.smtp_code}") from error
        else:
            # A dropped or silent connection may be this mail's doing, so it steps back and the next one starts afresh.
            retry_later(mail, None)
    except ValueError:
        logger.exception("%s cannot be written to its recipient; parked", mail)
        park(mail, None)
        _close(connection)
    else:
        finish(mail, keeps_signature=letter.template == "confirm")


def finish(mail: OutgoingMail, *, keeps_signature: bool = False) -> None:
    """Forget a mail that is dealt with, and the pending signature for which nobody has got a link."""
    mail.delete()
    if mail.signature_id and not keeps_signature:
        Signature.objects.pending().filter(pk=mail.signature_id).delete()


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


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException):
        # It is of no use any more; dropping it is all that was wanted.
        connection.connection = None  # type: ignore[attr-defined]
