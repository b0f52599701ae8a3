import re
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from parler.managers import TranslatableManager, TranslatableQuerySet
from parler.models import TranslatedFields

from .texts import Drafted

SOURCE_PATTERN = r"[a-z0-9-]{1,24}"


class PetitionQuerySet(TranslatableQuerySet):
    def latest_first(self) -> Self:
        """The first one is the petition that the site is about."""
        latest: Self = self.order_by("-opened_at")
        return latest


class Petition(Drafted):
    # Administrators answer for it, and it is changed at once.
    undrafted = ("collected_before_source",)

    slug = models.SlugField(_("short name in links"), unique=True)
    opened_at = models.DateTimeField(_("opened at"), default=timezone.now)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    collected_before = models.PositiveIntegerField(
        _("collected before"), default=0, help_text=_("Signatures collected elsewhere before this site opened.")
    )
    collected_before_on = models.DateField(_("collected before, as of"), null=True, blank=True)
    goal = models.PositiveIntegerField(
        _("goal"), null=True, blank=True, help_text=_("Empty: the next round number above the total.")
    )

    translations = TranslatedFields(
        title=models.CharField(_("title"), max_length=200),
        addressee=models.CharField(_("addressee"), max_length=200, blank=True),
        demand=models.TextField(_("demand"), help_text=_("Plain paragraphs, separated by an empty line.")),
        plan=models.TextField(
            _("what happens with the number"),
            blank=True,
            db_default="",
            help_text=_(
                "To whom it is handed, when, and what follows. Plain paragraphs. Empty: nothing is said of it."
            ),
        ),
        thanks=models.TextField(_("thanks"), blank=True),
        pause_notice=models.CharField(
            _("notice while signing is paused"),
            max_length=300,
            blank=True,
            db_default="",
            help_text=_("Why, and when to come back. Empty: a general sentence."),
        ),
        collected_before_source=models.CharField(
            _("source of the signatures collected before"), max_length=200, blank=True
        ),
    )

    objects = TranslatableManager.from_queryset(PetitionQuerySet)()

    class Meta:
        verbose_name = _("petition")
        verbose_name_plural = _("petitions")
        permissions = [
            ("switch_petition", "Can open, pause and close petitions, and set their goal"),
            ("change_collected_before", "Can change what was collected before"),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        super().clean()
        if self.ended_at and not self.is_closed:
            raise ValidationError({"closed_at": _("This petition has ended for good: it stays closed.")})

    @classmethod
    def find(cls, slug: str | None = None) -> Self | None:
        """The petition of this name; without a name the one that the site is about, which is the one opened last."""
        petitions: models.QuerySet[Self] = cls.objects.latest_first()
        return petitions.filter(slug=slug).first() if slug else petitions.first()

    @property
    def demand_in_short(self) -> str:
        """The first paragraph of the demand, which is to be one sentence."""
        # Browsers send line ends of two characters.
        return str(self.demand).replace("\r\n", "\n").strip().partition("\n\n")[0]

    @property
    def is_lower_bound(self) -> bool:
        """Whether its total is only known to be more than it says, since what was collected before is."""
        return self.collected_before > 0

    @property
    def is_closed(self) -> bool:
        return self.closed_at is not None and self.closed_at <= timezone.now()

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None or self.opened_at > timezone.now()

    @property
    def is_open(self) -> bool:
        """Whether it can be signed now; `signing.SIGN` asks the same of the row."""
        return not self.is_closed and not self.is_paused

    @property
    def can_be_confirmed(self) -> bool:
        """Whether a link still counts: those who signed at the last minute have a day to open their mail."""
        grace = timedelta(hours=settings.GRACE_HOURS)
        return self.closed_at is None or timezone.now() < self.closed_at + grace


class Source(models.Model):
    """A partner whose links carry `?from=<slug>`, so that organisers see what each one brings."""

    slug = models.CharField(
        _("tag"),
        max_length=24,
        primary_key=True,
        validators=[RegexValidator(rf"^{SOURCE_PATTERN}\Z")],
    )
    title = models.CharField(_("partner"), max_length=100)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")

    def __str__(self) -> str:
        return self.slug

    @classmethod
    def known(cls, tag: str) -> str:
        """The tag, if organisers created it, else an empty one: a mistake in a link is not the signer's."""
        return tag if cls.is_tag(tag) and cls.objects.filter(pk=tag).exists() else ""

    @staticmethod
    def is_tag(text: str) -> bool:
        return re.fullmatch(SOURCE_PATTERN, text) is not None
