"""Withdrawing: the signer's wish, proven by a mail to her address, erases the signature."""

import base64
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.db import transaction
from django.utils import timezone

from petition import identity
from petition.confirmation import State
from petition.models import AddressMark, OutgoingMail, Petition, Signature


@dataclass(frozen=True)
class Link:
    """`petition` and `email_digest` are set while PENDING. USED: there is no signature (any more)."""

    state: State
    petition: Petition | None = None
    email_digest: bytes = b""


def request(petition: Petition, email: str, *, language: str) -> None:
    """Owe this address one mail, whatever we know of it. Costs one statement."""
    OutgoingMail.objects.create(
        petition=petition,
        kind=OutgoingMail.Kind.WITHDRAW,
        recipient=identity.seal(email),
        email_digest=identity.email_digest(email),
        language=language,
        due_at=timezone.now(),
    )


def make_token(petition_id: int, email_digest: bytes) -> str:
    digest = base64.urlsafe_b64encode(email_digest).rstrip(b"=").decode()
    return _signer().sign(f"{petition_id}.{digest}")


def find(token: str) -> Link:
    """What the holder of this link can do. Changes nothing."""
    try:
        petition_id, digest = _signer().unsign(token, max_age=timedelta(days=settings.CONFIRMATION_DAYS)).split(".")
    except SignatureExpired:
        return Link(State.EXPIRED)
    except BadSignature:
        return Link(State.FORGED)
    petition = Petition.objects.filter(pk=petition_id).first()
    email_digest = base64.urlsafe_b64decode(digest + "=")
    if petition is None or not Signature.objects.of_address(petition.pk, email_digest).exists():
        return Link(State.USED)
    return Link(State.PENDING, petition, email_digest)


def withdraw(petition: Petition, email_digest: bytes) -> int:
    """Erase every signature of this address; return how many there were.

    An invalidated one leaves its digest for 30 days, or withdrawing would be the way around a review.
    """
    with transaction.atomic():
        # Locked, so that nobody invalidates it between the look and the deletion.
        rows = Signature.objects.of_address(petition.pk, email_digest).locked()
        if rows.invalidated().exists():
            AddressMark.remember(email_digest, AddressMark.Kind.HOLD)
        return rows.delete()[0]


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="petition.withdrawal", sep=".")
