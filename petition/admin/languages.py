"""The languages of the site by the names that staff read."""

from babel import Locale
from django.conf import settings
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext

from petition.moderation import written_language


def name(code: str) -> str:
    """The name in the language of the reader; the code itself where nobody knows a name."""
    if code == written_language.UNKNOWN:
        return gettext("not known")
    # Django knows fewer, and some in a spelling of its own.
    known = Locale.parse(get_language() or "en", sep="-").languages
    return capfirst(known.get(code.replace("-", "_"), code))


def choices() -> list[tuple[str, str]]:
    return [(code, name(code)) for code, _name in settings.LANGUAGES]


def of_words() -> list[tuple[str, str]]:
    """The languages that words can be in, by their names; what is in none of them comes last."""
    told_apart = sorted(((code, name(code)) for code in written_language.codes()), key=lambda language: language[1])
    return [*told_apart, (written_language.UNKNOWN, name(written_language.UNKNOWN))]
