"""Confirming: the link or the code in the mail shows that the address is the signer's own."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import connection
from django.db.models import Model
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from petition import identity, live_settings, rate_limits
from petition.models import AddressMark, HeldReason, Petition, Signature
from petition.postgres.prepared import Prepared

CODE_LENGTH = 8

# More rows than that no address has: what gets no mail any more is deleted (`petition.mail.queue`), the rest lapses.
CODES = 60


def _columns(model: type[Model], alias: str) -> str:
    return ", ".join(f"{alias}.{field.column}" for field in model._meta.concrete_fields)


# One row for the petition alone, or one for each signature: two at most, however many somebody made for this address.
LINK = Prepared(
    "link",
    f"""
    SELECT {_columns(Petition, "p")}, {_columns(Signature, "s")}
    FROM petition_petition p
    LEFT JOIN petition_signature s ON s.petition_id = p.id AND s.email_digest = %(email_digest)s
        AND (s.confirmed_at IS NOT NULL OR s.id = %(pk)s)
    WHERE p.id = %(petition_id)s
    """,  # noqa: S608
)


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
    """`row` is the pending signature while PENDING; `petition` is set unless FORGED."""

    state: State
    petition: Petition = None  # type: ignore[assignment]  # as said above
    row: Signature = None  # type: ignore[assignment]  # as said above


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
    petition, rows = _read(petition_id, email_digest, pk)
    if petition is None:
        return Link(State.FORGED)
    if confirmed := next((row for row in rows if not row.is_pending), None):
        return Link(State.USED if confirmed.is_counted else State.UNDER_REVIEW, petition, confirmed)
    signature = next((row for row in rows if row.pk == pk), None)
    # The hour of signing is rounded down, so the last started hour belongs to the signer.
    if timezone.now() >= signed_at + timedelta(days=settings.CONFIRMATION_DAYS, hours=1):
        return Link(State.EXPIRED, petition)
    if signature is None:
        return Link(State.WITHDRAWN, petition)
    return Link(State.PENDING if petition.can_be_confirmed else State.CLOSED, petition, signature)


def _read(petition_id: int, email_digest: bytes, pk: int) -> tuple[Petition | None, list[Signature]]:
    """The petition and the rows that LINK finds, without the ORM, whose queries cost more to build than to ask."""
    with connection.cursor() as cursor:
        LINK.execute(cursor, {"email_digest": email_digest, "pk": pk, "petition_id": petition_id})
        found = cursor.fetchall()
    if not found:
        return None, []
    names = [field.attname for field in Petition._meta.concrete_fields]
    petition = Petition.from_db("default", names, found[0][: len(names)])
    rows = [row[len(names) :] for row in found]
    names = [field.attname for field in Signature._meta.concrete_fields]
    return petition, [Signature.from_db("default", names, row) for row in rows if row[0] is not None]


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
