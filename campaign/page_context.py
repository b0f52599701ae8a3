"""Context of pages and updates: the template, the language shown, and the languages there are."""

from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language

from campaign.models import Page, Partner, Testimony, Update

Row = TypeVar("Row", Page, Update, Testimony, Partner)

# Pages around whose text there is more than text.
TEMPLATES = {
    "accessibility": "campaign/with_contact.html",
    "counter": "campaign/counter.html",
    "demand": "campaign/demand.html",
    "donate": "campaign/donate.html",
    "how-to-help": "campaign/how_to_help.html",
    "imprint": "campaign/with_contact.html",
    "press": "campaign/press.html",
    "privacy": "campaign/privacy.html",
    "what-happened": "campaign/timeline.html",
}
# Pages that stand in the menu as `base.html` has it, and in which column.
PLACES = {
    **dict.fromkeys(("what-happened", "demand", "questions", "press", "about"), Page.Menu.CAMPAIGN),
    **dict.fromkeys(("how-to-help", "donate", "counter"), Page.Menu.TAKE_PART),
    **dict.fromkeys(("privacy", "accessibility", "imprint"), Page.Menu.SITE),
}
# Parts of the home page, with no address of their own.
WITHOUT_ADDRESS = ("home", "outcome")


def template(page: Page) -> str:
    return TEMPLATES.get(page.slug, "campaign/page.html")


def in_a_language(row: Row) -> Row:
    """The row in the language of the page, or else in the first of our languages that it has."""
    if not row.has_translation(get_language()):
        row.set_current_language(languages(row)[0])
    return row


def languages(row: Page | Update | Testimony | Partner) -> list[str]:
    """Languages that the row is written in, in the order of settings.LANGUAGES."""
    there = set(row.get_available_languages())
    return [code for code, _name in settings.LANGUAGES if code in there]


def context(row: Page | Update, request: HttpRequest) -> dict[str, object]:
    """Context for a template that extends `page.html`.

    A row that is not written in the language of the page has the address of its first translation as canonical.
    """
    language, there = get_language() or "", languages(row)
    is_translated = language in there
    found: dict[str, object] = {"page": in_a_language(row), "is_translated": is_translated, "there": there}
    if not is_translated:
        path = request.path_info.replace(f"/{language}/", f"/{there[0]}/", 1)
        found["canonical_url"] = settings.SITE_URL + path
    return found
