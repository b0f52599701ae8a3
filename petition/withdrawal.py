"""Withdrawing: the signer's wish, proven by a mail to her address, erases what is stored about it.

It is blind: there is always a mail, always a link, and always the same answer to its press.
"""

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from petition import links
from petition.mail import keys
from petition.models import AddressMark, Link, OutgoingMail, Petition, Signature
from petition.models.link import token_digest


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
    opened = keys.Opened(email, made.token, is_onion=is_onion)

    def store(half: keys.PublicHalf) -> None:
        with transaction.atomic():
            Link.objects.create(token_digest=token_digest(made.token), kind=Link.Kind.WITHDRAW, petition=petition)
            OutgoingMail.objects.create(
                petition=petition,
                kind=OutgoingMail.Kind.WITHDRAW,
                recipient=half.seal(opened),
                key_id=half.key,
                language=language,
                due_at=Now(),
            )

    keys.with_newest(store)


def find(token: str) -> Withdrawal | None:
    """What the holder of this link can do; None if it was not made here. Raises ExpiredError. Changes nothing."""
    made_at = links.made_at(token)
    if made_at is None:
        return None
    if links.has_expired(made_at):
        raise ExpiredError
    return Withdrawal(Link.objects.of_token(token))


class ExpiredError(Exception):
    """The week of this link is over."""


def withdraw(link: Link | None) -> int:
    """Erase what is stored about the address of this link; return how many signatures there were.

    An invalidated one leaves its digest for 30 days, or withdrawing would be the way around a review.
    """
    if link is None or (email_digest := link.address_digest) is None:
        return 0
    with transaction.atomic():
        # Locked, so that nobody invalidates it between the look and the deletion.
        rows = Signature.objects.of_address(link.petition_id, email_digest).locked()
        AddressMark.objects.filter(email_digest=email_digest, kind=AddressMark.Kind.NO_MAIL).delete()
        Link.objects.filter(email_digest=email_digest).update(email_digest=None)
        if rows.invalidated().exists():
            AddressMark.remember(email_digest, AddressMark.Kind.HOLD)
        return rows.delete()[0]
