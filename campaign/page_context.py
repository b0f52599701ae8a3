"""What a page or an update is shown with: its template, its language, and where else it stands."""

from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language

from campaign.models import Page, Update

Row = TypeVar("Row", Page, Update)

# Pages around whose text there is more than text.
TEMPLATES = {
    "counter": "campaign/counter.html",
    "donate": "campaign/donate.html",
    "how-to-help": "campaign/how_to_help.html",
    "press": "campaign/press.html",
    "what-happened": "campaign/timeline.html",
}
# They are part of the home page.
WITHOUT_ADDRESS = ("home", "outcome")


def template(page: Page) -> str:
    return TEMPLATES.get(page.slug, "campaign/page.html")


def in_a_language(row: Row) -> Row:
    """The row in the language of the page, or else in one that it has: the first of ours."""
    if not row.has_translation(get_language()):
        row.set_current_language(languages(row)[0])
    return row


def languages(row: Page | Update) -> list[str]:
    """The languages it is written in, in the order of ours."""
    there = set(row.get_available_languages())
    return [code for code, _name in settings.LANGUAGES if code in there]


def context(row: Page | Update, request: HttpRequest) -> dict[str, object]:
    """For a template that extends `page.html`. Where the text is missing, search engines are sent to where it is."""
    language, there = get_language() or "", languages(row)
    row = in_a_language(row)
    found: dict[str, object] = {"page": row, "is_translated": language in there, "there": there}
    if language not in there:
        path = request.path_info.replace(f"/{language}/", f"/{there[0]}/", 1)
        found["canonical_url"] = settings.SITE_URL + path
    return found
