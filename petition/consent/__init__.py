"""The wordings that signers agreed to: one folder per version, one file per language. A used version never changes."""

from functools import cache
from pathlib import Path

from django.utils.translation import get_language

CURRENT = 1
UPDATES = 1  # of the mailing list
FOLDER = Path(__file__).parent


@cache
def _read(version: int | str, language: str) -> str:
    return (FOLDER / str(version) / f"{language}.txt").read_text().strip()


def is_there(language: str) -> bool:
    return all((FOLDER / version / f"{language}.txt").is_file() for version in (str(CURRENT), f"updates/{UPDATES}"))


def wording(version: int = CURRENT) -> str:
    """The text beside the box, in the active language. Raises FileNotFoundError if a language lacks it."""
    return _read(version, get_language() or "en")


def wording_for_updates(version: int = UPDATES) -> str:
    """The same for the mailing list."""
    return _read(f"updates/{version}", get_language() or "en")
