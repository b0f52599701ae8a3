"""Actions of signers, moderators, worker and clock in a soak, through the product's own functions.

The addresses are few, so that they meet.
"""

import random
from collections.abc import Callable
from datetime import timedelta

from django.core.mail import get_connection
from django.test import RequestFactory
from django.utils import timezone

from petition import confirmation, identity, rate_limits, retention, signing, withdrawal
from petition.confirmation import PendingLink, State
from petition.counts import tally
from petition.mail import queue
from petition.mail.smtp import Post
from petition.models import AddressMark, Measure, Petition, Signature, Source
from petition.models.signature import SignatureQuerySet, this_hour

ADDRESSES = [f"signer{number}@example.org" for number in range(120)]
CROWDED = 6
COUNTRIES = ["", "DE", "ES", "RU"]
LANGUAGES = ["en", "ru"]
SOURCES = ["", "partner"]


def prepare() -> None:
    for slug in filter(None, SOURCES):
        Source.objects.get_or_create(slug=slug, defaults={"title": slug})


class Actions:
    """Those of one connection, at random. Each returns how many signatures it changed."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)  # noqa: S311, nothing secret depends on it
        self.petition = Petition.objects.get()
        self.digests = [identity.email_digest(address) for address in ADDRESSES]
        self.requests = RequestFactory()
        self.post = Post(lambda: get_connection("django.core.mail.backends.dummy.EmailBackend"), most=1)

    # Signers.

    def sign(self) -> int:
        answers = signing.Answers(
            email=ADDRESSES[self.digests.index(self.address())],
            name=self.chance.choice(["", "Anna"]),
            words=self.chance.choice(["", "With you"]),
            country=self.chance.choice(COUNTRIES),
            source=self.chance.choice(SOURCES),
        )
        # One network is busy, so what comes from it is held after a while. The others share the limit of a provider.
        provider = f"2001:db8:1:{self.chance.randrange(65_536):x}::1"
        network = self.chance.choice(["192.0.2.1", provider, provider])
        request = self.requests.post("/", REMOTE_ADDR=network)
        rate_limits.seconds_to_wait(request, "sign")
        language, network = self.chance.choice(LANGUAGES), rate_limits.client_network(request)
        return signing.sign(self.petition.slug, answers, language=language, network=network)

    def confirm(self) -> int:
        row = self.mailed()
        link = confirmation.find(confirmation.make_token(row)) if row else None
        if not isinstance(link, PendingLink):
            return 0
        return confirmation.confirm(link.row, without_words=self.chance.random() < 0.2)

    def confirm_by_code(self) -> int:
        row = self.mailed()
        if row is None:
            return 0
        link = confirmation.find_by_code(self.petition, bytes(row.email_digest), confirmation.make_code(row))
        if not isinstance(link, PendingLink):
            return 0
        return confirmation.confirm(link.row)

    def disown(self) -> int:
        if row := self.mailed():
            confirmation.disown(row)
        return 0

    def withdraw(self) -> int:
        digest = self.address()
        withdrawal.request(self.petition, ADDRESSES[self.digests.index(digest)], language="en")
        link = withdrawal.find(withdrawal.make_token(self.petition.pk, digest))
        if link.petition is None or link.state is not State.PENDING:
            return 0
        return withdrawal.withdraw(link.petition, link.email_digest)

    def read_count(self) -> int:
        tally.current(self.petition.slug)
        return 0

    # Moderators.

    def hold(self) -> int:
        return self.chosen().hold("a soak")

    def release(self) -> int:
        return self.chosen().release()

    def invalidate(self) -> int:
        return self.chosen().invalidate("a soak")

    def restore(self) -> int:
        return self.chosen().restore()

    # The worker, the clock, and repairs by hand.

    def send_mail(self) -> int:
        queue.deliver_due(self.post)
        return 0

    def fold(self) -> int:
        return tally.fold()

    def purge(self) -> int:
        return retention.purge()["lapsed signatures"]

    def age(self) -> int:
        """Time passes for one row, or for what is remembered of one address."""
        row = self.mailed()
        if row is None or self.chance.random() < 0.2:
            marks = AddressMark.objects.filter(
                email_digest=self.address(), kind=self.chance.choice(["hold", "no_mail"])
            )
            marks.update(expires_at=timezone.now())
            return 0
        days = self.chance.choice([2, 9, 31])
        return Signature.objects.filter(pk=row.pk).update(created_at=this_hour() - timedelta(days=days))

    def correct(self) -> int:
        """One counted row moves to another cell."""
        rows = Signature.objects.confirmed().of_address(self.petition.pk, self.address())
        return rows.update(
            country=self.chance.choice(COUNTRIES),
            source=self.chance.choice(SOURCES),
            confirmed_at=this_hour() - timedelta(hours=self.chance.randrange(48)),
        )

    # The signatures and addresses that they are about.

    def address(self) -> bytes:
        return self.chance.choice(self.digests[:CROWDED] if self.chance.random() < 0.3 else self.digests)

    def mailed(self) -> Signature | None:
        """A pending row of some address: each has got its link and code."""
        addresses = [self.address() for _ in range(5)]
        rows = list(Signature.objects.pending().of_addresses([self.petition.pk], addresses))
        return self.chance.choice(rows) if rows else None

    def chosen(self) -> SignatureQuerySet:
        """Rows that a moderator ticked, or all that her search found."""
        if self.chance.random() < 0.3:
            return Signature.objects.filter(country=self.chance.choice(COUNTRIES))
        digests = self.chance.sample(self.digests, self.chance.choice([1, 3, 10, 40]))
        ids = list(Signature.objects.confirmed().of_addresses([self.petition.pk], digests).values_list("pk", flat=True))
        self.chance.shuffle(ids)
        return Signature.objects.filter(pk__in=ids)


# How often each is done.
WEIGHTS: dict[str, tuple[int, Callable[[Actions], int]]] = {
    "sign": (22, Actions.sign),
    "confirm": (16, Actions.confirm),
    "confirm by code": (6, Actions.confirm_by_code),
    "disown": (2, Actions.disown),
    "withdraw": (16, Actions.withdraw),
    "read the count": (4, Actions.read_count),
    "hold": (4, Actions.hold),
    "release": (4, Actions.release),
    "invalidate": (4, Actions.invalidate),
    "restore": (4, Actions.restore),
    "send mail": (4, Actions.send_mail),
    "fold": (4, Actions.fold),
    "purge": (2, Actions.purge),
    "age": (4, Actions.age),
    "correct": (3, Actions.correct),
}
# What the events of a measure must come to: as often as people were told that it happened.
TOLD = {
    Measure.SIGNED: ("sign",),
    Measure.CONFIRMED: ("confirm", "confirm by code"),
    Measure.RELEASED: ("release",),
    Measure.INVALIDATED: ("invalidate",),
    Measure.RESTORED: ("restore",),
}
