"""Confirming: the link or the code in the mail shows that the address is the signer's own.

A link answers alike whatever became of it: for CONFIRMATION_DAYS the page with the button, then "expired". Somebody who
reads a mailbox, and types its address here, cannot tell from any of this whether that address had signed before.
"""

from dataclasses import dataclass
from enum import Enum, auto

from django.db import transaction

from petition import links, live_settings, rate_limits, withdrawal
from petition.models import AddressMark, HeldReason, Link, Petition, Signature, Withdrawn


class Refusal(Enum):
    """Reasons why a link leads to no confirmation."""

    GONE = auto()
    DISOWNED = auto()
    EXPIRED = auto()
    CLOSED = auto()
    FORGED = auto()


@dataclass(frozen=True)
class Confirmation:
    """What a working link leads to, before its press and after it."""

    petition: Petition
    signature: Signature
    link: Link


@dataclass(frozen=True)
class Refused:
    """`link` is the one that says "I did not sign this", which can be undone; else None."""

    reason: Refusal
    petition: Petition | None = None
    link: Link | None = None


def find(token: str) -> Confirmation | Refused:
    """What the holder of this link can do. Changes nothing. Costs one statement."""
    try:
        read = links.read(token)
    except links.ExpiredError:
        return Refused(Refusal.EXPIRED)
    if read is None:
        return Refused(Refusal.FORGED)
    link = Link.objects.of_token(read)
    return _answer(link) if link else Refused(Refusal.GONE)


def find_by_code(petition: Petition, code: str) -> Confirmation | Refused | None:
    """What the holder of this code can do; None if no mail of this petition has it."""
    digits = "".join(letter for letter in code if letter.isascii() and letter.isdecimal())
    if len(digits) != links.CODE_DIGITS:
        return None
    of_petition = Link.objects.select_related("petition", "signature").filter(petition=petition)
    link = of_petition.filter(code_digest__in=links.code_digests(digits)).order_by("-created_at").first()
    return _answer(link) if link and not links.has_expired(link.created_at) else None


def _answer(link: Link) -> Confirmation | Refused:
    if link.kind != Link.Kind.SIGN:
        return Refused(Refusal.FORGED)
    if not link.petition.can_be_confirmed:
        return Refused(Refusal.CLOSED, link.petition)
    if link.signature is None:
        is_disowned = link.email_digest is not None
        return Refused(Refusal.DISOWNED if is_disowned else Refusal.GONE, link.petition, link if is_disowned else None)
    return Confirmation(link.petition, link.signature, link)


def confirm(signature: Signature, *, link: Link | None = None, without_words: bool = False) -> bool:
    """Start counting this signature, or hold it for review if its network is busy or its address returned.

    If its address is confirmed already, that signature takes over name, words and country, and `link` leads there.
    `without_words` leaves out the name and the words, which may be a stranger's who typed this address. Return whether
    it is confirmed now and was not before, which nobody may be told.
    """
    return signature.confirm(_reason_to_hold(signature), without_words, link.pk if link else "")


def _reason_to_hold(signature: Signature) -> str:
    # A link that was pressed leads to a confirmed signature, whose network may be forgotten, or another's.
    if signature.network_digest is None or not signature.is_pending:
        return ""
    if live_settings.is_of_held_network(signature):
        return HeldReason.BLOCKED_NETWORK
    busy = rate_limits.over("confirmed", bytes(signature.network_digest).hex(), live_settings.rate("HOLD_PER_NETWORK"))
    return HeldReason.BUSY_NETWORK if busy is not None else ""


def disown(found: Confirmation) -> None:
    """ "I did not sign this": delete the row, whatever became of it, and send this address nothing for a while.

    Once the link was pressed, all rows of its address go: it may lead to one that was there before, and other links of
    that address would tell by their answers which one it was.
    """
    digest = found.link.address_digest
    with transaction.atomic():
        # Signatures before marks, as in withdrawing: two who meet wait for each other and never in a circle.
        if found.signature.is_pending or digest is None:
            Withdrawn.remember_row(found.signature.pk)
            withdrawal.erase(Signature.objects.filter(pk=found.signature.pk))
        else:
            Withdrawn.remember(found.petition.pk, digest)
            withdrawal.erase(Signature.objects.of_address(found.petition.pk, digest))
        if digest is not None:
            AddressMark.remember(digest, AddressMark.Kind.NO_MAIL)
            Link.objects.filter(pk=found.link.pk).update(email_digest=digest)


def undo_disowning(link: Link) -> None:
    """Let mail go to this address again. What was deleted stays so: she can sign anew."""
    AddressMark.objects.filter(email_digest=link.email_digest, kind=AddressMark.Kind.NO_MAIL).delete()
    Link.objects.filter(pk=link.pk).update(email_digest=None)
