"""What search engines are asked to find: every indexable page, each with its other languages."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import override

from campaign import page_context
from campaign.models import Page, Update
from petition.models import Petition


@dataclass(frozen=True)
class Entry:
    """One page in one language; `others` are all of its languages with their addresses, itself included."""

    address: str
    others: dict[str, str]
    changed_at: datetime | None = None


def entries() -> Iterator[Entry]:
    everywhere = [code for code, _name in settings.LANGUAGES]
    for view in ("home", "share", "updates"):
        yield from in_languages(everywhere, f"campaign:{view}")
    for petition in Petition.objects.order_by("pk"):
        if petition.is_open:
            yield from in_languages(everywhere, "petition:sign", petition.slug)
    pages = Page.objects.published().exclude(slug__in=page_context.WITHOUT_ADDRESS).order_by("slug")
    yield from of_rows(pages, "campaign:page")
    yield from of_rows(Update.objects.published().latest_first(), "campaign:update")


def of_rows(rows: QuerySet[Page] | QuerySet[Update], view: str) -> Iterator[Entry]:
    for row in rows.prefetch_related("translations"):
        changed = {text.language_code: text.updated_at for text in row.translations.all()}
        yield from in_languages(page_context.languages(row), view, row.slug, changed=changed)


def in_languages(
    languages: list[str], view: str, *args: object, changed: dict[str, datetime] | None = None
) -> Iterator[Entry]:
    others = {code: address(code, view, *args) for code in languages}
    for code in languages:
        yield Entry(others[code], others, (changed or {}).get(code))


def address(language: str, view: str, *args: object) -> str:
    with override(language):
        return settings.SITE_URL + reverse(view, args=args)
