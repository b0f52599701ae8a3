"""Look-up of the signatures of an address, for a signer who writes in. The address is digested, and kept nowhere."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from petition import identity
from petition.models import Action, Petition, Signature, StaffAction
from petition.staff import audit

PER_DAY = 10


class TooOftenError(Exception):
    """This account has made its ten look-ups within a day."""


def find(user: User, address: str, reason: str) -> list[Signature]:
    """The signatures of this address, pending ones included.

    The audit log says who looked when and why: neither the address nor what was found. It also serves as the limit, ten
    look-ups a day. Raises TooOftenError, and ValueError for what is no address.
    """
    digest = identity.email_digest(address)
    with transaction.atomic():
        # Several requests of one account wait here for each other, so that each counts the entries before it.
        User.objects.select_for_update().get(pk=user.pk)
        day = timezone.now() - timedelta(days=1)
        asked = StaffAction.objects.filter(user_id=user.pk, done_at__gt=day, action=Action.SIGNATURE_SOUGHT)
        if asked.count() >= PER_DAY:
            raise TooOftenError
        audit.record(user, Action.SIGNATURE_SOUGHT, reason=reason)
        petitions = Petition.objects.values_list("pk", flat=True)
        found = Signature.objects.of_addresses(petitions, [digest]).select_related("petition")
        return list(found.order_by("petition_id", "-confirmed_at", "pk")[:PER_DAY])
