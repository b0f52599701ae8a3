"""Rules for texts that people type, the same for names, words of support and pictures.

What they say names the sign that is meant, where it can be shown.
"""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MARKS_IN_A_ROW = 4  # as many as a Hebrew letter carries; more would climb into other lines
STACKED_LETTERS = 9  # Tibetan writes whole syllables one below the other, and no word has more

# The mark of a broken encoding, and those that write what follows in the other direction.
REFUSED = "\ufffd\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Python knows the signs of the year it was made, phones those of this year. Unicode keeps these blocks for pictures.
PICTURES = range(0x1F000, 0x1FFFE)
# Letters and symbols, by their category, that are drawn as nothing.
BLANK = "\u115f\u1160\u2800\u3164\uffa0\U0001d159"
JOINERS = "\u200c\u200d"
TIBETAN_BELOW = range(0x0F8D, 0x0FBD)

ENDINGS = "com|net|org|ru|info|biz|io|me|рф|su|top|xyz|site|online|shop"
# A name with initials and no blank, as J.Su, Kim.Ru or O.Net, looks like a host. So the ending of a host is in small
# letters, or all in capitals, and a single capital before it is an initial, unless all of it leads on to a page.
LINK = re.compile(
    rf"(?i:https?:|www\.|://)|\b([\w-]{{2,}}|[a-z0-9])\.({ENDINGS})\b|\b[\w-]{{2,}}\.({ENDINGS.upper()})\b"
    rf"|\b\w\.({ENDINGS})/",
)


def refuse_unreadable(text: str) -> None:
    """Raise ValidationError for what cannot be shown, shows nothing, or piles up marks. An empty text passes."""
    if (sign := next((letter for letter in text if is_broken(letter)), None)) is not None:
        raise ValidationError(
            # Translators: %(sign)s is a character or its number, like U+202E.
            _("This contains a character that cannot be shown: %(sign)s. Please remove it."),
            code="broken",
            params={"sign": shown(sign)},
        )
    if text and not has_something_to_see(text):
        raise ValidationError(_("None of this can be seen. Please type it again."), code="invisible")
    if (pile := pile_of_marks(text)) is not None:
        raise ValidationError(
            _("One letter has too many accents: %(letter)s. Please remove some."),
            code="marks",
            params={"letter": pile},
        )


def refuse_link(name: str) -> None:
    if LINK.search(name):
        raise ValidationError(_("A name cannot contain a link. Please leave it out."), code="link")


def is_broken(letter: str) -> bool:
    """Whether nobody can show it: a control character, half of a pair, a sign that no standard has."""
    if letter in "\r\n\t":
        return False
    category = unicodedata.category(letter)
    return category in ("Cc", "Cs", "Co") or letter in REFUSED or (category == "Cn" and ord(letter) not in PICTURES)


def shown(letter: str) -> str:
    """A character as an error message shows it: itself, or U+… if it would not be seen."""
    return letter if is_seen(letter) else f"U+{ord(letter):04X}"


def is_seen(letter: str) -> bool:
    if not letter or letter in BLANK:
        return False
    return unicodedata.category(letter)[0] in "LNPS" or (not is_broken(letter) and ord(letter) in PICTURES)


def is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Me", "Mc")


def has_something_to_see(text: str) -> bool:
    return any(map(is_seen, text))


def pile_of_marks(text: str) -> str | None:
    """The letter that carries more marks than any script writes; None if none does."""
    base, marks, row = "", 0, 0
    for letter in text:
        if not (is_mark(letter) or letter in JOINERS):
            base, marks, row = letter, 0, 0
            continue
        row += 1
        marks = 0 if ord(letter) in TIBETAN_BELOW else marks + 1
        if marks > MARKS_IN_A_ROW or row > STACKED_LETTERS:
            return base if is_seen(base) else "\N{DOTTED CIRCLE}"
    return None
