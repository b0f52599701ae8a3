"""Sitemaps for search engines: every indexable page, each with its other languages."""

from typing import Any

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.db.models import QuerySet
from django.urls import reverse

from campaign import page_context
from campaign.models import Page, Update
from petition.models import Petition


class LocalizedSitemap(Sitemap):
    """Addresses at SITE_URL, in every language; the English one is for all other readers, too."""

    i18n = alternates = True

    def get_protocol(self, protocol: str | None = None) -> str:
        return settings.SITE_URL.partition("://")[0]

    def get_domain(self, site: Any = None) -> str:
        return settings.SITE_URL.partition("://")[2]

    def get_urls(self, page: Any = 1, site: Any = None, protocol: str | None = None) -> list[dict[str, Any]]:
        urls = super().get_urls(page, site, protocol)
        for url in urls:
            # Django's own `x_default` leads to an address without a language, and none of ours has one.
            english = [other for other in url["alternates"] if other["lang_code"] == settings.LANGUAGE_CODE]
            url["alternates"] += [{**other, "lang_code": "x-default"} for other in english]
        return urls


class ViewSitemap(LocalizedSitemap):
    def items(self) -> list[str]:
        return ["campaign:home", "campaign:share", "campaign:updates", "campaign:open-data"]

    def location(self, item: str) -> str:
        return reverse(item)


class PetitionSitemap(LocalizedSitemap):
    def items(self) -> list[Petition]:
        return [petition for petition in Petition.objects.order_by("pk") if petition.is_open]

    def location(self, item: Petition) -> str:
        return reverse("petition:sign", args=[item.slug])


class TextSitemap(LocalizedSitemap):
    """Rows in the languages that they are written in, each with the day on which its text was changed."""

    view: str

    def location(self, item: Page | Update) -> str:
        return reverse(self.view, args=[item.slug])

    def get_languages_for_item(self, item: Page | Update) -> list[str]:
        return page_context.languages(item)

    def get_urls(self, page: Any = 1, site: Any = None, protocol: str | None = None) -> list[dict[str, Any]]:
        urls = super().get_urls(page, site, protocol)
        for url in urls:
            row, language = url["item"]
            changed = {text.language_code: text.updated_at for text in row.translations.all()}
            url["lastmod"] = changed[language]
        return urls


class PageSitemap(TextSitemap):
    view = "campaign:page"

    def items(self) -> QuerySet[Page]:
        pages = Page.objects.published().exclude(slug__in=page_context.WITHOUT_ADDRESS)
        return pages.order_by("slug").prefetch_related("translations")


class UpdateSitemap(TextSitemap):
    view = "campaign:update"

    def items(self) -> QuerySet[Update]:
        return Update.objects.published().latest_first().prefetch_related("translations")


SECTIONS: dict[str, type[Sitemap] | Sitemap] = {
    "views": ViewSitemap,
    "petitions": PetitionSitemap,
    "pages": PageSitemap,
    "updates": UpdateSitemap,
}
