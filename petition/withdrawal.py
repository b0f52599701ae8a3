"""Withdrawing: the signer's wish, proven by a mail to her address, erases what is stored about it.

It is blind: there is always a mail, always a link, and always the same answer to its press.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from petition import links
from petition.mail import keys, messages
from petition.models import AddressMark, Link, OutgoingMail, Petition, Signature, Withdrawn
from petition.models.link import token_digest
from petition.models.mail import shuffle_delay
from petition.models.signature import SignatureQuerySet

ERASE = """
    WITH erased AS (
        DELETE FROM petition_signature WHERE id = ANY(%(ids)s::bigint[]) RETURNING email_digest, invalidated_at
    )
    INSERT INTO petition_addressmark (email_digest, kind, expires_at)
    SELECT DISTINCT email_digest, %(hold)s,
        date_trunc('hour', now(), 'UTC') + make_interval(days => %(days)s, hours => 1)
    FROM erased WHERE invalidated_at IS NOT NULL
    ON CONFLICT (email_digest, kind) DO UPDATE SET expires_at = EXCLUDED.expires_at
"""


@dataclass(frozen=True)
class Withdrawal:
    """What a link leads to until its week is over."""

    link: Link | None

    @property
    def is_used(self) -> bool:
        """Whether everything about its address is deleted. What was signed since then takes another link."""
        return self.link is None or self.link.address_digest is None


def request(petition: Petition, email: str, *, language: str, is_onion: bool = False) -> None:
    """Owe this address one mail, whatever we know of it. Raises NoKeyError while no worker has ever run."""
    made = links.make()
    opened = keys.Opened(messages.mailbox(email), made.token, is_onion=is_onion)

    def store(half: keys.PublicHalf) -> None:
        with transaction.atomic():
            Link.objects.create(token_digest=token_digest(made.token), kind=Link.Kind.WITHDRAW, petition=petition)
            OutgoingMail.objects.create(
                petition=petition,
                kind=OutgoingMail.Kind.WITHDRAW,
                recipient=half.seal(opened),
                key_id=half.key,
                language=language,
                due_at=Now() + shuffle_delay(),
            )

    keys.with_newest(store)


def find(token: str) -> Withdrawal | None:
    """What the holder of this link can do; None if it was not made here. Raises links.ExpiredError. Changes nothing."""
    read = links.read(token)
    return Withdrawal(Link.objects.of_token(read)) if read else None


def withdraw(link: Link | None) -> int:
    """Erase what is stored about the address of this link; return how many signatures there were."""
    if link is None or (email_digest := link.address_digest) is None:
        return 0
    with transaction.atomic():
        erased = erase(Signature.objects.of_address(link.petition_id, email_digest))
        AddressMark.objects.filter(email_digest=email_digest, kind=AddressMark.Kind.NO_MAIL).delete()
        Link.objects.filter(email_digest=email_digest).update(email_digest=None)
        Withdrawn.remember(link.petition_id, email_digest)
        return erased


def erase(rows: SignatureQuerySet) -> int:
    """Delete these signatures; return how many. Costs the same two statements whatever they are.

    An invalidated one leaves its digest for 30 days, or erasing it would be the way around a review.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Locked, so that nobody invalidates one between the look and the deletion.
        ids = list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
        cursor.execute(ERASE, {"ids": ids, "hold": AddressMark.Kind.HOLD, "days": settings.QUIET_DAYS})
        return len(ids)
