from datetime import date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AnomalyMark(models.Model):
    """A mark of a moderator on an anomaly: she has looked at this group, and why nothing is to be done.

    `name` is the value of a country, language or source, and of anything else the short name that it has on the page,
    which leads nowhere. The group is the one that `count` signatures had from `since` to `until`.
    """

    kind = models.CharField(_("kind"), max_length=10)
    name = models.CharField(_("group"), max_length=24)
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("until"))
    count = models.PositiveBigIntegerField(_("how many"))
    reason = models.CharField(_("reason"), max_length=500)
    username = models.CharField(_("who"), max_length=150)
    made_at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        verbose_name = _("mark of a signal")
        verbose_name_plural = _("marks of signals")
        default_permissions = ()
        permissions = [("settle_signals", "Can mark signals of fakes as settled")]

    def __str__(self) -> str:
        return f"mark {self.pk}"

    @staticmethod
    def too_old() -> "models.QuerySet[AnomalyMark]":
        """Those of groups whose signatures have forgotten by which network and mail domain they came."""
        return AnomalyMark.objects.filter(made_at__lt=timezone.now() - timedelta(days=settings.ABUSE_SIGNAL_DAYS))


class ProposedListingQuerySet(models.QuerySet["ProposedListing"]):
    def waiting(self) -> Self:
        return self.filter(confirmed_at=None)

    def in_force(self) -> Self:
        """The networks of a day that are held. Of a mail domain the list itself has an entry."""
        return self.filter(confirmed_at__isnull=False, network_digest__isnull=False)

    def too_old(self) -> Self:
        """Networks whose signatures can be confirmed no more, and what nobody has decided on for 30 days."""
        ended = timezone.now().date() - timedelta(days=settings.CONFIRMATION_DAYS + 1)
        asked = timezone.now() - timedelta(days=settings.ABUSE_SIGNAL_DAYS)
        return self.filter(Q(day__lt=ended) | Q(proposed_at__lt=asked))

    def held_networks(self) -> frozenset[tuple[date, bytes]]:
        held = self.in_force().values_list("day", "network_digest")
        return frozenset((day, bytes(digest)) for day, digest in held if day and digest)


class ProposedListing(models.Model):
    """A mail domain or a network of a day that a moderator proposes to hold from now on. An administrator confirms.

    A domain goes to the listed ones then. Which network it is nobody can tell: its digest means it on its day alone, so
    what was signed from it on that day is held, and the entry ends with that.
    """

    # The name of a domain that many share, or the short name of a network on the page of anomalies.
    name = models.CharField(_("what"), max_length=253)
    network_digest = models.BinaryField(max_length=3, null=True)
    day = models.DateField(_("day"), null=True)
    # How many were confirmed when it was proposed.
    count = models.PositiveBigIntegerField(_("how many"))
    username = models.CharField(_("proposed by"), max_length=150)
    proposed_at = models.DateTimeField(_("proposed at"), default=timezone.now)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True)

    objects = ProposedListingQuerySet.as_manager()

    class Meta:
        verbose_name = _("proposal for the lists")
        verbose_name_plural = _("proposals for the lists")
        default_permissions = ()
        permissions = [
            ("propose_listing", "Can propose to list a network or a mail domain"),
            ("confirm_listing", "Can confirm proposals to list a network or a mail domain"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(network_digest=None, day=None) | Q(network_digest__isnull=False, day__isnull=False),
                name="a_network_is_proposed_for_its_day",
            ),
            models.UniqueConstraint("name", "day", name="one_proposal_for_a_network"),
            # Two, since one that takes no day for a value like any other can only be checked with the database at hand.
            models.UniqueConstraint("name", condition=Q(day=None), name="one_proposal_for_a_domain"),
        ]

    def __str__(self) -> str:
        return f"proposal {self.pk}"

    @property
    def is_network(self) -> bool:
        return self.network_digest is not None

    @property
    def ends_at(self) -> datetime | None:
        """When no more can be signed from a network by this name."""
        if self.day is None:
            return None
        return timezone.make_aware(datetime.combine(self.day + timedelta(days=1), datetime.min.time()))
