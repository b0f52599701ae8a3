"""The end of a petition: its numbers stay, and everything that is about single people goes.

Signatures are not deleted, which the ledger would book as withdrawals: each is left as a row that counts, with random
bytes in place of the digest. So `recount` goes on proving the numbers, and nobody can be found among the rows.
"""

from dataclasses import dataclass, field

from django.db import connection, transaction
from django.db.models import BinaryField, Func
from django.utils import timezone

from petition.counts import tally
from petition.models import (
    AddressMark,
    AnomalyMark,
    DailySalt,
    InvalidationCampaign,
    KeyFingerprint,
    Link,
    Lookup,
    OutboxKey,
    OutgoingMail,
    Petition,
    ProposedListing,
    SeenDomain,
    ShownWords,
    Signature,
    Subscription,
    SubscriptionRequest,
    Withdrawn,
)

BATCH = 5_000


class TooEarlyError(Exception):
    """The petition is open, or can still be confirmed."""


class RandomDigest(Func):
    """32 bytes of nobody, another 32 for each row."""

    template = "decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')"
    output_field = BinaryField()


@dataclass(frozen=True)
class Ended:
    """`kept` signatures count on without anybody's digest; so many rows of other tables are `deleted`, by their name.

    `others` are the petitions that are not ended; without any, the key of the digests is of no more use.
    """

    kept: int
    deleted: dict[str, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def end(petition: Petition) -> Ended:
    """End this petition for good. Raises TooEarlyError. After a crash, or a second time, it does all of it again."""
    if petition.can_be_confirmed:
        raise TooEarlyError
    # First of all, so that nobody opens it again meanwhile: the database refuses that from now on.
    Petition.objects.filter(pk=petition.pk, ended_at=None).update(ended_at=timezone.now())
    campaigns = InvalidationCampaign.objects.filter(petition=petition)
    campaigns.cancel()
    campaigns.undoing().update(undo_finished_at=timezone.now())
    deleted = {
        "mails": OutgoingMail.objects.filter(petition=petition).delete()[0],
        "links": Link.objects.filter(petition=petition).delete()[0],
        "pending signatures": Signature.objects.filter(petition=petition).pending().purge(),
        "names and words": ShownWords.objects.filter(signature__petition=petition).delete()[0],
        "criteria of campaigns": campaigns.fade(),
    }
    kept = _strip(petition)
    others = list(Petition.objects.filter(ended_at=None).order_by("slug").values_list("slug", flat=True))
    if not others:
        deleted |= _forget_what_petitions_share()
    while tally.fold():
        pass
    _rewrite()
    return Ended(kept, deleted, others)


def _strip(petition: Petition) -> int:
    """Leave of each signature what the tallies say anyway: a country, a language, a source, hours and a state."""
    stripped = 0
    first = Signature.objects.filter(petition=petition).order_by("pk").values_list("pk", flat=True).first()
    last = (first or 1) - 1
    while True:
        ahead = Signature.objects.filter(petition=petition, pk__gt=last).order_by("pk")
        ids = list(ahead.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return stripped
        stripped += Signature.objects.filter(pk__in=ids).change(
            email_digest=RandomDigest(),
            domain_digest=None,
            network_digest=None,
            held_reason="",
            invalidated_reason="",
            campaign=None,
        )
        last = ids[-1]


def _forget_what_petitions_share() -> dict[str, int]:
    """What is about addresses, domains and networks, and serves no petition any more."""
    with transaction.atomic():
        # The next worker may come with another key.
        KeyFingerprint.objects.all().delete()
        return {
            "address marks": AddressMark.objects.all().delete()[0],
            "marks of anomalies": AnomalyMark.objects.all().delete()[0],
            "proposals for the lists": ProposedListing.objects.all().delete()[0],
            "known mail domains": SeenDomain.objects.all().delete()[0],
            "questions for a signature": Lookup.objects.all().delete()[0],
            "withdrawals on their way to the list": Withdrawn.objects.all().delete()[0],
            "requests for updates": SubscriptionRequest.objects.all().delete()[0],
            "sealed addresses of the mailing list": Subscription.objects.all().delete()[0],
            "outbox keys": OutboxKey.objects.all().delete()[0],
            "daily salts": DailySalt.objects.all().delete()[0],
        }


def _rewrite() -> None:
    """Free the files of PostgreSQL from the rows of before. It waits for nobody in a test, which is one transaction."""
    if connection.in_atomic_block:
        return
    models = (
        *(Signature, ShownWords, Link, OutgoingMail, AddressMark, SeenDomain, Lookup, InvalidationCampaign),
        *(Subscription, SubscriptionRequest),
    )
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"VACUUM (FULL, ANALYZE) {model._meta.db_table}")
