"""What is deleted by the clock. `docs/privacy.md` promises these times."""

from datetime import UTC, datetime, timedelta

from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.utils import timezone

from petition.models import (
    AddressMark,
    DailySalt,
    InvalidationCampaign,
    Link,
    ListedDomain,
    ListedNetwork,
    Lookup,
    OutgoingMail,
    SeenDomain,
    ShownWords,
    Signature,
    StaffAction,
)

SALT_DAYS = 1


def purge() -> dict[str, int]:
    """Delete what has had its time; return how many of each."""
    today = datetime.now(UTC).date()
    purged = {
        "lapsed signatures": Signature.objects.lapsed().purge(),
        "expired links": Link.objects.too_old().delete()[0],
        "abuse signals": Signature.objects.older_than_abuse_signals().clear_abuse_signals(),
        "questions for a signature": Lookup.objects.ended().delete()[0],
        "parked mails": OutgoingMail.objects.parked_too_long().delete()[0],
        "names and words that nobody approved": ShownWords.objects.never_reviewed().hide(),
        "known mail domains": SeenDomain.objects.too_old().delete()[0],
        "address marks": AddressMark.objects.filter(expires_at__lte=timezone.now()).delete()[0],
        "listed networks": ListedNetwork.objects.ended().delete()[0],
        "listed domains": ListedDomain.objects.ended().delete()[0],
        "criteria of campaigns": InvalidationCampaign.objects.older_than_abuse_signals().fade(),
        "daily salts": DailySalt.objects.filter(day__lte=today - timedelta(days=SALT_DAYS)).delete()[0],
        "sessions": Session.objects.filter(expire_date__lte=timezone.now()).delete()[0],
        "entries of the trace": StaffAction.objects.older_than_two_years().delete()[0],
    }
    if hasattr(cache, "delete_expired"):
        purged["expired counters"] = cache.delete_expired()
    return purged
