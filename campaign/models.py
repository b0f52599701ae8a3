import hashlib
from datetime import date
from typing import ClassVar, Self, cast

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from parler.managers import TranslatableManager, TranslatableQuerySet
from parler.models import TranslatedFields

from petition.models import ShownWords, Source
from petition.models.texts import Drafted

# Paths of other views, which a page of that name would never be reached under.
TAKEN = {"confirm", "partners", "petitions", "share", "updates", "withdraw", "words"}


def refuse_taken(slug: str) -> None:
    if slug in TAKEN:
        raise ValidationError(_("This name leads to another part of the site. Choose another one."))


class PublishedQuerySet(TranslatableQuerySet):
    def published(self) -> Self:
        """Rows that readers may see by now."""
        return self.filter(published_at__lte=timezone.now())

    def latest_first(self) -> Self:
        return self.order_by("-published_at", "-pk")

    def in_language(self, language: str) -> Self:
        return self.filter(translations__language_code=language)


class Published(Drafted):
    """Content that readers see from `published_at` on. Without that time it is a draft."""

    drafted: ClassVar[tuple[str, ...]] = ("published_at",)

    published_at = models.DateTimeField(
        _("published at"),
        null=True,
        blank=True,
        default=timezone.now,
        db_default=Now(),
        help_text=_("In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish."),
    )

    objects = TranslatableManager.from_queryset(PublishedQuerySet)()

    class Meta:
        abstract = True

    @property
    def is_published(self) -> bool:
        return self.published_at is not None and self.published_at <= timezone.now()

    @property
    def is_draft(self) -> bool:
        return self.published_at is None


class Page(Published):
    """A page of the campaign, written in Markdown."""

    class Menu(models.TextChoices):
        """The columns of the list of pages at the foot of every page."""

        CAMPAIGN = "campaign", _("The campaign")
        TAKE_PART = "take-part", _("Take part")
        SITE = "site", _("This site")

    drafted = ("published_at", "menu")

    menu = models.CharField(
        _("place in the menu"),
        max_length=10,
        choices=Menu.choices,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "The column at the foot of every page in which it is named. Empty: only links in texts lead to it."
        ),
    )
    slug = models.SlugField(_("short name in links"), unique=True, validators=[refuse_taken])
    translations = TranslatedFields(
        title=models.CharField(_("title"), max_length=200),
        description=models.CharField(
            _("description"), max_length=300, blank=True, help_text=_("One sentence for search results and previews.")
        ),
        body=models.TextField(_("text"), help_text=_("Markdown. {name} stands for a figure.")),
        updated_at=models.DateTimeField(_("updated at"), auto_now=True),
    )

    class Meta:
        verbose_name = _("page")
        verbose_name_plural = _("pages")

    def __str__(self) -> str:
        return self.slug


class Update(Published):
    """News of the campaign."""

    slug = models.SlugField(_("short name in links"), unique=True)
    translations = TranslatedFields(
        title=models.CharField(_("title"), max_length=200),
        description=models.CharField(
            _("description"), max_length=300, help_text=_("One sentence for the list, search results and previews.")
        ),
        body=models.TextField(_("text"), help_text=_("Markdown. {name} stands for a figure.")),
        updated_at=models.DateTimeField(_("updated at"), auto_now=True),
    )

    class Meta:
        verbose_name = _("update")
        verbose_name_plural = _("updates")

    def __str__(self) -> str:
        return self.slug


class Testimony(Published):
    """What a survivor or a witness said, in words that are known already. Pages show none while there is none."""

    drafted = ("published_at", "source_url")
    keeps_versions = False

    slug = models.SlugField(_("short name"), unique=True, help_text=_("For staff. It names nobody."))
    source_url = models.URLField(_("address of the source"), blank=True)
    translations = TranslatedFields(
        words=models.TextField(
            _("words"), max_length=600, help_text=_("As they were published. Leave out what leads to a person.")
        ),
        told_by=models.CharField(
            _("who said it"), max_length=100, help_text=_("Without a name: “a survivor, April 2017”.")
        ),
        source=models.CharField(_("source"), max_length=200),
    )

    class Meta:
        verbose_name = _("testimony")
        verbose_name_plural = _("testimonies")

    def __str__(self) -> str:
        return self.slug


class Partner(Published):
    """Picture and text of a partner, beside the form, for readers who come by its links."""

    drafted = ("published_at", "picture")
    keeps_versions = False

    source = models.OneToOneField(Source, models.CASCADE, primary_key=True, verbose_name=_("source"))
    # In the database, as everything else, so that one backup holds all: a WebP file of some ten kilobytes.
    picture = models.BinaryField(_("picture"), null=True, editable=False)
    translations = TranslatedFields(
        text=models.TextField(_("text"), max_length=600, help_text=_("Markdown: why your readers should sign.")),
        picture_alt=models.CharField(
            _("what the picture shows"), max_length=200, blank=True, help_text=_("For who cannot see it.")
        ),
    )

    class Meta:
        verbose_name = _("partner")
        verbose_name_plural = _("partners")

    def __str__(self) -> str:
        return self.source_id

    @property
    def picture_version(self) -> str:
        """Part of the name of the picture, which changes with it. Empty without a picture."""
        return hashlib.sha256(bytes(self.picture)).hexdigest()[:8] if self.picture else ""


class Figure(Published):
    """A number or a day that texts use by its name, with its source.

    A new value is a new row of the same name: the row published last is shown, and older ones remain.
    """

    class Precision(models.TextChoices):
        DAY = "day", _("the day")
        SEASON = "season", _("the season")
        YEAR = "year", _("the year")

    drafted = ("slug", "number", "day", "as_of", "as_of_precision", "source_url", "published_at")

    slug = models.SlugField(_("name in texts"), help_text=_("Texts use it in braces, as {evacuated}."))
    number = models.PositiveIntegerField(_("number"), null=True, blank=True)
    day = models.DateField(_("or day"), null=True, blank=True)
    as_of = models.DateField(_("as of"), null=True, blank=True, help_text=_("When the number was right."))
    as_of_precision = models.CharField(
        _("as of is exact to"), max_length=6, choices=Precision.choices, default=Precision.DAY
    )
    source_url = models.URLField(_("address of the source"), blank=True)
    translations = TranslatedFields(
        label=models.CharField(_("what it counts"), max_length=200),
        source=models.CharField(_("source"), max_length=200),
    )

    class Meta:
        verbose_name = _("figure")
        verbose_name_plural = _("figures")
        constraints = [
            models.CheckConstraint(
                condition=Q(number=None, day__isnull=False) | Q(number__isnull=False, day=None),
                name="a_figure_is_a_number_or_a_day",
                violation_error_message=_("Give a number or a day, and not both."),
            ),
            models.CheckConstraint(
                condition=Q(number=None) | Q(as_of__isnull=False),
                name="a_number_says_when_it_was_right",
                violation_error_message=_("Say when the number was right."),
            ),
            models.UniqueConstraint("slug", "published_at", name="one_value_of_a_figure_at_a_time"),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def value(self) -> int | date:
        value = self.day if self.number is None else self.number
        # One of them is there: a constraint says so.
        return cast("int | date", value)


class ReportManager(models.Manager["Report"]):
    def add(self, shown: ShownWords) -> None:
        """Count one more report of these words."""
        self.get_or_create(shown=shown)
        self.filter(shown=shown).update(times=F("times") + 1, reported_on=timezone.now().date())


class Report(models.Model):
    """Reports of words of support, counted. Nothing is stored about the readers who reported them."""

    # Deleted by the database together with the words (migration 0002), by whatever route those go.
    shown = models.OneToOneField(
        ShownWords,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("signature"),
    )
    times = models.PositiveIntegerField(_("times reported"), default=0)
    reported_on = models.DateField(_("last reported on"), null=True)

    objects = ReportManager()

    class Meta:
        verbose_name = _("report of words")
        verbose_name_plural = _("reports of words")

    def __str__(self) -> str:
        return f"report of signature {self.pk}"
