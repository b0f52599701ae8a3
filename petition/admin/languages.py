"""The languages of the site by the names that staff read."""

from django.conf import settings
from django.utils.translation import get_language_info


def name(code: str) -> str:
    """The name in the language of the reader; the code itself where Django knows no name."""
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        return code


def choices() -> list[tuple[str, str]]:
    return [(code, name(code)) for code, _name in settings.LANGUAGES]
