from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _
from parler.managers import TranslatableQuerySet
from parler.models import TranslatableModel, TranslatedFields


class CannedReasonQuerySet(TranslatableQuerySet):
    def in_order(self) -> Self:
        ordered: Self = self.order_by("position", "pk").prefetch_related("translations")
        return ordered


class CannedReason(TranslatableModel):
    """A canned reason, which moderators choose instead of typing it each time. Administrators write them."""

    position = models.PositiveSmallIntegerField(_("place in the list"), default=100)
    translations = TranslatedFields(
        text=models.CharField(
            _("reason"), max_length=100, help_text=_("It is kept with each signature: name nobody in it.")
        ),
    )

    objects = CannedReasonQuerySet.as_manager()

    class Meta:
        verbose_name = _("canned reason")
        verbose_name_plural = _("canned reasons")

    def __str__(self) -> str:
        return str(self.safe_translation_getter("text", any_language=True) or self.pk)
