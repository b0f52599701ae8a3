"""Confirming: the link or the code in the mail shows that the address is the signer's own."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from petition import identity, live_settings, rate_limits
from petition.models import AddressMark, HeldReason, Petition, Signature

CODE_LENGTH = 8

# More rows than that no address has: what gets no mail any more is deleted (`petition.mail.queue`), the rest lapses.
CODES = 60


class State(Enum):
    """What a link leads to."""

    PENDING = auto()
    USED = auto()
    UNDER_REVIEW = auto()
    WITHDRAWN = auto()
    EXPIRED = auto()
    CLOSED = auto()
    FORGED = auto()


@dataclass(frozen=True)
class Link:
    """`petition` is None if FORGED."""

    state: State
    petition: Petition | None = None


@dataclass(frozen=True, kw_only=True)
class PendingLink(Link):
    """One that leads to a pending signature, which its holder may confirm."""

    petition: Petition
    row: Signature


def make_token(signature: Signature) -> str:
    """What the link carries: the same each time it is made, so that a repeated mail repeats its link.

    It names the row and its address's digest, so that a link still has an answer when the row is gone.
    """
    digest = base64.urlsafe_b64encode(bytes(signature.email_digest)).rstrip(b"=").decode()
    hours = int(signature.created_at.timestamp()) // 3600
    return _signer().sign(f"{signature.petition_id}.{signature.pk}.{hours}.{digest}")


def find(token: str) -> Link:
    """What the holder of this link can do. Changes nothing."""
    try:
        petition_id, pk, hours, digest = _signer().unsign(token).split(".")
    except BadSignature:
        return Link(State.FORGED)
    signed_at = datetime.fromtimestamp(int(hours) * 3600, UTC)
    return _link(int(petition_id), base64.urlsafe_b64decode(digest + "="), int(pk), signed_at)


def _link(petition_id: int, email_digest: bytes, pk: int, signed_at: datetime) -> Link:
    petition = Petition.objects.filter(pk=petition_id).first()
    if petition is None:
        return Link(State.FORGED)
    # Two rows at most, however many somebody made for this address.
    matters = Q(confirmed_at__isnull=False) | Q(confirmed_at=None, pk=pk)
    rows = list(Signature.objects.filter(matters, petition=petition, email_digest=email_digest))
    if confirmed := next((row for row in rows if not row.is_pending), None):
        return Link(State.USED if confirmed.is_counted else State.UNDER_REVIEW, petition)
    signature = next((row for row in rows if row.pk == pk), None)
    # The hour of signing is rounded down, so the last started hour belongs to the signer.
    if timezone.now() >= signed_at + timedelta(days=settings.CONFIRMATION_DAYS, hours=1):
        return Link(State.EXPIRED, petition)
    if signature is None:
        return Link(State.WITHDRAWN, petition)
    if not petition.can_be_confirmed:
        return Link(State.CLOSED, petition)
    return PendingLink(State.PENDING, petition=petition, row=signature)


def confirm(signature: Signature, *, without_words: bool = False) -> bool:
    """Start counting this signature, or hold it for review if its network is busy or its address returned.

    `without_words` leaves out the name and the words, which may be a stranger's who typed this address. Return False,
    changing nothing, if the address is confirmed already or the row is gone.
    """
    return signature.confirm(held_reason=_reason_to_hold(signature), without_words=without_words)


def _reason_to_hold(signature: Signature) -> str:
    if signature.domain_digest and bytes(signature.domain_digest) in live_settings.blocked_domain_digests():
        return HeldReason.BLOCKED_DOMAIN
    if signature.network_digest is None:
        return ""
    busy = rate_limits.over("confirmed", bytes(signature.network_digest).hex(), live_settings.rate("HOLD_PER_NETWORK"))
    return HeldReason.BUSY_NETWORK if busy is not None else ""


def disown(signature: Signature) -> None:
    """ "I did not sign this": delete the pending row, and send this address nothing for a while."""
    AddressMark.remember(bytes(signature.email_digest), AddressMark.Kind.NO_MAIL)
    Signature.objects.pending().filter(pk=signature.pk).delete()


def make_code(signature: Signature) -> str:
    """The code for typing, as XXXX-XXXX. Derived, never stored; one for each row."""
    return _code(signature.petition_id, signature.pk)


def _code(petition_id: int, pk: int) -> str:
    mac = salted_hmac("petition.confirmation.code", f"{petition_id}.{pk}", algorithm="sha256")
    number = int.from_bytes(mac.digest())
    letters = ""
    for _ in range(CODE_LENGTH):
        number, position = divmod(number, len(identity.CODE_LETTERS))
        letters += identity.CODE_LETTERS[position]
    return f"{letters[:4]}-{letters[4:]}"


def seconds_to_wait_for_code(typed_address: str, network: str) -> int | None:
    """Count one try at a code, however broken; None if it may be made, else after how many seconds."""
    try:
        # Spelled with another tag it is the same mailbox, and has no more tries.
        mailbox = identity.normalise(typed_address[:254])
    except ValueError:
        mailbox = typed_address
    return rate_limits.over("code", f"{mailbox} {network}", settings.CODE_TRIES)


def find_by_code(petition: Petition, email_digest: bytes, code: str) -> Link | None:
    """What the holder of this address and code can do; None if they do not belong together."""
    typed = "".join(letter for letter in code.upper() if letter.isalnum())
    mailed = Signature.objects.of_address(petition.pk, email_digest).order_by("pk")
    times = dict(mailed.values_list("pk", "created_at")[:CODES])
    # As many comparisons for everyone, or their time would tell when an address confirms and its other rows go.
    candidates = [*times, *[0] * (CODES - len(times))]
    matches = [pk for pk in candidates if constant_time_compare(_code(petition.pk, pk).replace("-", ""), typed)]
    found = next((pk for pk in matches if pk), None)
    return _link(petition.pk, email_digest, found, times[found]) if found else None


def _signer() -> Signer:
    return Signer(salt="petition.confirmation", sep=".")
