import re
from datetime import date, timedelta
from ipaddress import ip_network
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.encoding import punycode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from parler.models import TranslatableModel, TranslatedFields

# A rate is "count/period"; 0 is no limit.
RATE = r"(0|[1-9][0-9]*/[smhd])\Z"
LISTED_DAYS = 30


def in_30_days() -> date:
    return timezone.localdate() + timedelta(days=LISTED_DAYS)


def rate(label: Any) -> "models.CharField[str, str]":
    """A rate like 300/h. Empty: the one that the operator set at the start."""
    hint = _("Write it as 300/h, with s, m, h or d for the period; 0 is no limit.")
    return models.CharField(label, max_length=20, blank=True, default="", validators=[RegexValidator(f"^{RATE}", hint)])


def least(label: Any, most: int = 10_000) -> "models.PositiveIntegerField[int | None, int | None]":
    """A number from 1 on. None: the one that the operator set at the start."""
    limits = [MinValueValidator(1), MaxValueValidator(most)]
    return models.PositiveIntegerField(label, null=True, blank=True, validators=limits)


class Switches(TranslatableModel):
    """Live settings, changed by administrators while the site runs: one row, which processes read every two seconds."""

    rate_per_network = rate(_("signing and asking, per network"))
    burst_per_network = rate(_("the same, in a short time"))
    mails_per_address = rate(_("mails, per address and kind"))
    hold_per_network = rate(_("confirmations, per network, before the rest is held"))
    notify_count = least(_("notice from so many of one kind on"))
    notify_hours = least(_("notice once the oldest has waited so many hours"))
    campaign_share = least(_("per cent of the count that one person may take out of it"), most=100)
    names_per_hour = least(_("names that an account reads in an hour"))
    translations = TranslatedFields(
        banner=models.CharField(
            _("banner"), max_length=300, blank=True, help_text=_("One sentence, shown on top of every page.")
        ),
    )

    class Meta:
        verbose_name = _("live settings")
        verbose_name_plural = _("live settings")
        constraints = [models.CheckConstraint(condition=Q(id=1), name="there_is_one_row_of_switches")]

    def __str__(self) -> str:
        return gettext("Live settings")


class Verdict(models.TextChoices):
    """What a list does. Where both lists fit, the narrower entry decides; a blocked one is held, never dropped."""

    ALLOW = "allow", _("never limited, never held")
    BLOCK = "block", _("held for review")


class ListedQuerySet(models.QuerySet[Any]):
    def active(self) -> Self:
        return self.filter(ends_on__gte=timezone.localdate())

    def ended(self) -> Self:
        return self.filter(ends_on__lt=timezone.localdate())


class Listed(models.Model):
    """An entry of a list, which ends by itself: who is behind a network or a domain changes."""

    verdict = models.CharField(_("list"), max_length=5, choices=Verdict)
    ends_on = models.DateField(_("until"), default=in_30_days, help_text=_("The last day, in UTC. Deleted afterwards."))

    objects = ListedQuerySet.as_manager()

    class Meta:
        abstract = True


class ListedNetwork(Listed):
    network = models.CharField(
        _("network"), max_length=43, unique=True, help_text=_("As 192.0.2.0/24 or 2001:db8::/32.")
    )

    class Meta:
        verbose_name = _("listed network")
        verbose_name_plural = _("listed networks")

    def __str__(self) -> str:
        return f"listed network {self.pk}"

    def clean(self) -> None:
        try:
            self.network = str(ip_network(self.network.strip(), strict=False))
        except ValueError as error:
            message = _("This is no network. Write it as 192.0.2.0/24 or 2001:db8::/32.")
            raise ValidationError({"network": message}) from error


class ListedDomain(Listed):
    domain = models.CharField(
        _("mail domain"),
        max_length=253,
        unique=True,
        help_text=_("As example.org; with *. in front also all below it."),
    )

    class Meta:
        verbose_name = _("listed mail domain")
        verbose_name_plural = _("listed mail domains")

    def __str__(self) -> str:
        return f"listed domain {self.pk}"

    def clean(self) -> None:
        wildcard, _star, name = self.domain.strip().lower().rpartition("*.")
        self.domain = f"{'*.' if '*.' in self.domain else ''}{punycode(name)}"
        if wildcard or not re.fullmatch(r"(\*\.)?([a-z0-9_-]+\.)+[a-z0-9-]+", self.domain):
            raise ValidationError({"domain": _("This is no mail domain. Write it as example.org or *.example.org.")})
