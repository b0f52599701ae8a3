"""When a mail that was not taken is tried again, and when no more."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from petition.mail.claims import ours
from petition.mail.refusals import Codes
from petition.mail.smtp import Outcome
from petition.models import Heartbeat, OutgoingMail

logger = logging.getLogger(__name__)

# Minutes until the next try after a temporary refusal: then hourly, for a day in all.
BACKOFF = [1, 5, 15, 60, *[60] * 23]
# Until the next try of a mail of which it should soon be known whether it was refused for its own sake.
DOUBT_SECONDS = 8
# The same for one whose connection broke, which is the server's doing more often than the mail's.
BROKEN_SECONDS = (5, 10)
# A mail at which something unforeseen happened is left alone for so long.
ASIDE_MINUTES = 5


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
    ours(mail).update(due_at=Now() + wait(mail.attempts, codes, is_broken=is_broken), **tried(mail, codes))
    logger.info("%s was put off: %s", mail, codes)


def park(mail: OutgoingMail, codes: Codes | None) -> None:
    """Stop trying; staff see the status code until the row is purged."""
    ours(mail).update(parked_at=Now(), **tried(mail, codes))
    logger.warning("%s was parked: %s", mail, codes)


def tried(mail: OutgoingMail, codes: Codes | None) -> dict[str, Any]:
    # smtplib says -1 for an answer that is no status code.
    status = codes.status if codes and codes.status > 0 else None
    return {"attempts": mail.attempts + 1, "last_status": status, "enhanced_status": codes.enhanced if codes else ""}


def put_last(refused: list[Outcome]) -> None:
    """Have these tried after all others that are due: the server refuses us, and no mail is to blame."""
    for outcome in refused:
        mail = outcome.parcel.mail
        ours(mail).update(due_at=Now(), **tried(mail, outcome.codes) | {"attempts": mail.attempts})


def set_aside(mails: Iterable[OutgoingMail]) -> None:
    for mail in mails:
        ours(mail).update(due_at=Now() + timedelta(minutes=ASIDE_MINUTES))
