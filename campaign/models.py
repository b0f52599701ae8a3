from django.db import models
from django.utils.translation import gettext_lazy as _
from parler.models import TranslatableModel, TranslatedFields


class Page(TranslatableModel):
    """A page of the campaign, written in Markdown."""

    slug = models.SlugField(_("short name in links"), unique=True)
    translations = TranslatedFields(
        title=models.CharField(_("title"), max_length=200),
        description=models.CharField(
            _("description"), max_length=300, blank=True, help_text=_("One sentence for search results and previews.")
        ),
        body=models.TextField(_("text"), help_text=_("Markdown.")),
        updated_at=models.DateTimeField(_("updated at"), auto_now=True),
    )

    class Meta:
        verbose_name = _("page")
        verbose_name_plural = _("pages")

    def __str__(self) -> str:
        return self.slug
