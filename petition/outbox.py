"""The outbox: which mail is due, which letter it becomes, and sending it.

Delivery is at least once: a row is claimed by moving its time ahead, sent without an open transaction, and deleted
right after the server's own 250. A worker that dies in between leaves a row that falls due again.
"""

import logging
import smtplib
import time
from collections import defaultdict, deque
from datetime import timedelta

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from nacl.exceptions import CryptoError

from petition import identity, letters, limits
from petition.letters import Letter
from petition.models import AddressMark, OutgoingMail, Petition, Signature

logger = logging.getLogger(__name__)

CLAIM_MINUTES = 5
# A slow server must not keep a batch past its claim, or another worker would send it again.
BATCH_SECONDS = 120
BATCH = 50
# Minutes until the next try after a temporary refusal: then hourly, for a day in all.
BACKOFF = [1, 5, 15, 60, *[60] * 23]
TEMPORARY = range(400, 500)

CLAIM = """
    UPDATE petition_outgoingmail SET due_at = %(until)s
    WHERE id IN (
        SELECT id FROM petition_outgoingmail WHERE parked_at IS NULL AND due_at <= %(now)s
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    RETURNING *
"""


class ServerAway(Exception):  # noqa: N818  (it names what is the case)
    """The mail server cannot be reached or will not let us in: no mail is to blame."""


def claim(limit: int = BATCH) -> list[OutgoingMail]:
    """The mails that are due, oldest first, ours alone for five minutes."""
    now = timezone.now()
    until = now + timedelta(minutes=CLAIM_MINUTES)
    claimed = list(OutgoingMail.objects.raw(CLAIM, {"now": now, "until": until, "limit": limit}))
    return sorted(claimed, key=lambda mail: mail.pk)


def deliver_due(connection: BaseEmailBackend | None = None) -> int:
    """Send one batch of what is due; return how many rows were dealt with.

    Raises ServerAway if the mail server is away; what was claimed is due again at once.
    """
    mails = claim()
    if not mails:
        return 0
    connection = connection or get_connection()
    letters_by_mail = choose_letters(mails)
    waiting = deque(mails)
    stop_at = time.monotonic() + BATCH_SECONDS
    try:
        while waiting and time.monotonic() < stop_at:
            deliver(waiting[0], letters_by_mail[waiting[0].pk], connection)
            waiting.popleft()
    finally:
        OutgoingMail.objects.filter(pk__in=[mail.pk for mail in waiting]).update(due_at=timezone.now())
        _close(connection)
    return len(mails) - len(waiting)


def choose_letters(mails: list[OutgoingMail]) -> dict[int, Letter | None]:
    """What each mail will say, by its id; None where nobody should be written to."""
    petitions = Petition.objects.in_bulk({mail.petition_id for mail in mails})
    digests = [mail.email_digest for mail in mails]
    quiet = {
        bytes(digest)
        for digest in AddressMark.objects.active()
        .filter(email_digest__in=digests, kind=AddressMark.Kind.NO_MAIL)
        .values_list("email_digest", flat=True)
    }
    known: dict[tuple[int, bytes], list[Signature]] = defaultdict(list)
    for signature in Signature.objects.filter(petition__in=petitions, email_digest__in=digests):
        known[signature.petition_id, bytes(signature.email_digest)].append(signature)

    chosen: dict[int, Letter | None] = {}
    for mail in mails:
        digest = bytes(mail.email_digest)
        signatures = known[mail.petition_id, digest]
        choose = _after_signing if mail.kind == OutgoingMail.Kind.SIGN else _to_withdraw
        chosen[mail.pk] = choose(mail, petitions[mail.petition_id], signatures, digest in quiet)
    return chosen


def _after_signing(mail: OutgoingMail, petition: Petition, signatures: list[Signature], quiet: bool) -> Letter | None:
    signature = next((row for row in signatures if row.pk == mail.signature_id), None)
    if quiet or signature is None:
        return None
    confirmed = next((row for row in signatures if not row.is_pending), None)
    if confirmed is None:
        return letters.confirm(mail, petition, signature)
    if confirmed.is_counted:
        return letters.already_signed(mail, petition)
    return letters.under_review(mail, petition)


def _to_withdraw(mail: OutgoingMail, petition: Petition, signatures: list[Signature], quiet: bool) -> Letter | None:
    # A signature that stands can always be withdrawn, even by someone who asked for no mail.
    if quiet and all(row.is_pending for row in signatures):
        return None
    return letters.withdraw(mail, petition) if signatures else letters.nothing_to_withdraw(mail, petition)


def _over_mail_limit(mail: OutgoingMail) -> bool:
    # A retry of the same mail is not another one.
    if mail.attempts:
        return False
    wait = limits.over(f"mail:{mail.kind}", bytes(mail.email_digest).hex(), settings.MAILS_PER_ADDRESS)
    return wait is not None


def deliver(mail: OutgoingMail, letter: Letter | None, connection: BaseEmailBackend) -> None:
    """Send one mail and delete its row, or put it back with the reason as a status code. Raises ServerAway."""
    if letter is None:
        mail.delete()
        return
    try:
        recipient = identity.unseal(bytes(mail.recipient))
    except CryptoError:
        logger.exception("%s was sealed for a key that is not among RECIPIENT_SECRET_KEYS; parked", mail)
        park(mail, None)
        return
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        raise ServerAway(type(error).__name__) from error
    # Counted only now: while the server is away the same mail is taken up many times.
    if _over_mail_limit(mail):
        mail.delete()
        return
    try:
        connection.send_messages([letters.message(mail, letter, recipient)])
    except smtplib.SMTPRecipientsRefused as error:
        ((status, _text),) = error.recipients.values()
        refuse(mail, status)
    except smtplib.SMTPSenderRefused as error:
        # The sender is the same for every mail, so this is between us and the server.
        raise ServerAway(f"it refused our sender with {error.smtp_code}") from error
    except smtplib.SMTPResponseException as error:
        refuse(mail, error.smtp_code)
        _close(connection)
    except (OSError, smtplib.SMTPException):
        # A dropped or silent connection may be this mail's doing, so it steps back and the next one starts afresh.
        retry_later(mail, None)
        _close(connection)
    else:
        mail.delete()


def refuse(mail: OutgoingMail, status: int) -> None:
    if status in TEMPORARY:
        retry_later(mail, status)
    else:
        park(mail, status)


def retry_later(mail: OutgoingMail, status: int | None) -> None:
    """Try again after 1, 5, 15 and 60 minutes, then hourly; park it after a day."""
    if mail.attempts >= len(BACKOFF):
        park(mail, status)
        return
    due_at = timezone.now() + timedelta(minutes=BACKOFF[mail.attempts])
    OutgoingMail.objects.filter(pk=mail.pk).update(due_at=due_at, attempts=mail.attempts + 1, last_status=status)
    logger.info("%s was put off: %s", mail, status)


def park(mail: OutgoingMail, status: int | None) -> None:
    """Stop trying; staff see the status code until the row is purged."""
    OutgoingMail.objects.filter(pk=mail.pk).update(
        parked_at=timezone.now(), attempts=mail.attempts + 1, last_status=status
    )
    logger.warning("%s was parked: %s", mail, status)


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException):
        # It is of no use any more; dropping it is all that was wanted.
        connection.connection = None  # type: ignore[attr-defined]
