from datetime import date, datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.fields import Field
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from parler.models import TranslatableModel

# The language of what a row says alike in all of them, such as the number of a figure.
SHARED = ""


class Drafted(TranslatableModel):
    """The base of texts that staff write as drafts beside what readers see; `petition/staff/drafts.py` publishes them.

    What readers see is the row and its translations, and nothing else: a draft is in another table.
    """

    # The fields of all languages that are drafted with the texts, and translated ones that are not.
    drafted: ClassVar[tuple[str, ...]] = ()
    undrafted: ClassVar[tuple[str, ...]] = ()
    # Whether published texts are kept for good. Not those that somebody may ask to have erased.
    keeps_versions: ClassVar[bool] = True

    class Meta:
        abstract = True

    @property
    def is_published(self) -> bool:
        """Whether readers see it by now."""
        return True

    @property
    def is_draft(self) -> bool:
        """Whether it is not to be shown at any time."""
        return False

    @classmethod
    def drafted_fields(cls, language: str) -> "list[Field[Any, Any]]":
        if language == SHARED:
            return [field for field in cls._meta.concrete_fields if field.name in cls.drafted]
        left_out = {"id", "master", "language_code", *cls.undrafted}
        translation = cls.translations.field.model
        return [field for field in translation._meta.concrete_fields if field.editable and field.name not in left_out]

    def drafted_values(self, language: str) -> dict[str, Any]:
        """The values of these fields as JSON knows them; None for each in a language that the row lacks."""
        values: dict[str, Any] = {}
        for field in self.drafted_fields(language):
            if language == SHARED:
                value = getattr(self, field.name)
            else:
                value = self.safe_translation_getter(field.name, language_code=language)
            if isinstance(value, str):
                # Browsers send line ends of two characters.
                value = value.replace("\r\n", "\n")
            elif isinstance(value, bytes | memoryview):
                value = field.value_to_string(self)
            elif isinstance(value, datetime):
                # As exact as a form shows it, so that a save which changes nothing is none.
                value = value.replace(microsecond=0).isoformat()
            elif isinstance(value, date):
                value = value.isoformat()
            values[field.name] = value
        return values

    def take(self, language: str, values: dict[str, Any]) -> None:
        """Set fields to values of JSON, without saving. The row is in that language afterwards."""
        if language != SHARED:
            self.set_current_language(language)
        for field in self.drafted_fields(language):
            if field.name in values:
                setattr(self, field.name, field.to_python(values[field.name]))


class RowQuerySet(models.QuerySet[Any]):
    def about(self, row: models.Model) -> Self:
        return self.filter(kind=row._meta.label_lower, row=str(row.pk))


class DraftQuerySet(RowQuerySet):
    def waiting(self) -> Self:
        """Those that differ from what readers see, or will see once the row is published."""
        return self.filter(values__isnull=False)


class Draft(models.Model):
    """The latest save of a text in one language, until it is published. It counts its saves.

    Rows are named, not referred to: they are of many tables.
    """

    kind = models.CharField(max_length=60)
    row = models.CharField(max_length=60)
    language = models.CharField(max_length=7, blank=True)
    number = models.PositiveIntegerField(default=1)
    # None once they are published.
    values = models.JSONField(null=True)
    saved_at = models.DateTimeField(default=timezone.now)
    user_id = models.BigIntegerField(null=True)
    username = models.CharField(max_length=150, blank=True)

    objects = DraftQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        constraints = [models.UniqueConstraint("kind", "row", "language", name="one_draft_of_a_text_in_a_language")]

    def __str__(self) -> str:
        return f"draft of {self.kind} {self.row} ({self.language})"


class TextVersion(models.Model):
    """A text as it was published in one language, by whom and when. Public texts alone; none ever changes or goes.

    Without an account: it was there before staff first published over it, as what the site starts with is.
    """

    kind = models.CharField(max_length=60)
    row = models.CharField(max_length=60)
    language = models.CharField(max_length=7)
    values = models.JSONField()
    published_at = models.DateTimeField(default=timezone.now)
    user_id = models.BigIntegerField(null=True)
    username = models.CharField(max_length=150, blank=True)

    objects = RowQuerySet.as_manager()

    class Meta:
        # A trigger sees to it that they only grow: `petition/migrations/0011_drafts_and_versions.py`.
        default_permissions = ()
        verbose_name = _("version of a text")
        verbose_name_plural = _("versions of texts")
        indexes = [models.Index("kind", "row", "language", "id", name="versions_of_a_text")]

    def __str__(self) -> str:
        return f"version {self.pk} of {self.kind} {self.row} ({self.language})"
