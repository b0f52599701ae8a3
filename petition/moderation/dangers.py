"""Marks of what could put its writer in danger, or somebody whom she names.

Simple rules for the eyes of a moderator. None decides anything, and together they do not find everything.
"""

import re

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from petition.models import ShownWords
from petition.validators import LINK

from . import written_language

RUSSIA = "RU"
FULL_NAME_WORDS = 2
# Numbers of seven digits are phone numbers if they are written like one; longer ones are if nothing else is.
PHONE = re.compile(r"(?<![\w+])\+\d(?:[\s().-]*\d){6,14}\b|(?<!\d)\d(?:[\s()-]*\d){8,14}\b|\b\d{3}[ -]\d{2}[ -]\d{2}\b")
HANDLE = re.compile(
    r"\S@\w|(?<!\w)@\w{3,}"
    r"|\b(?:t\.me|vk|telegram|instagram|whatsapp|signal|телеграм\w*|инстаграм\w*)\s*[:/@]",
    re.I,
)
STREET = re.compile(
    r"\b(?:ул|пер|просп|пр-т|наб)\.\s*\w"
    r"|\b(?:улиц\w+|переул\w+|проспект\w*|шоссе|набережн\w+|calle|avenida|rue|via)\b[^.!?\n]{1,40}\d"
    r"|\w(?:stra(?:ß|ss)e|str\.)\s*\d"
    r"|\d[\w/]*,?\s+(?:[\w'-]+\s+){1,3}(?:street|road|avenue|lane)\b"
    r"|\d[\w/]*,?\s+(?:rue|avenue|boulevard)\s",
    re.I,
)
# "Salekh Magomadov": two words with a capital side by side. "Anna Petrovna" has that, "Анна петровна" only the ending.
CAPITALISED = re.compile(r"\b([^\W\d_a-zа-яё][^\W\d_]+)[ \u00a0]([^\W\d_a-zа-яё][^\W\d_]+)\b")
PATRONYMIC = re.compile(r"\b\w{3,}(?:ович|евич|овн[аыеу]|евн[аыеу])\w{0,2}\b", re.I)
TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Herr|Frau|Monsieur|Madame|Señor|Señora|Господин|Госпожа|г-н|г-жа)\.?\s+[^\W\d_a-zа-яё]"
)
# Words in names of what is nobody, though they are written like those of people.
NOT_PEOPLE = re.compile(
    r"(?:amnesty|human|european|united|north|new|south|great|puerto|costa|buenos|los|san|estados|derechos)\b"
    r"|(?:чеченск|российск|европейск|северн|соединённ)\w{2,3}\b|(?:велик|нов)(?:ая|ой|ую)\b|нью\b|совет[ае]?\b",
    re.I,
)
# In German every noun has a capital.
CAPITALS_SAY_NOTHING = frozenset(("de",))


def of(shown: ShownWords) -> list[str | Promise]:
    """Why a moderator should look twice, in a line each; empty if no rule knows a reason."""
    both = f"{shown.name}\n{shown.words}"
    found: list[str | Promise] = []
    if is_full_name(shown.name) and shown.country == RUSSIA:
        found.append(_("A full name with Russia: whoever looks for this person finds them."))
    elif is_full_name(shown.name) and not shown.country:
        found.append(_("A full name and no country: this person may be in Russia, and can be found."))
    if PHONE.search(both):
        found.append(_("This may be a phone number."))
    if HANDLE.search(both) or LINK.search(both):
        found.append(_("This may be an email address, a link, or a name that leads to an account."))
    if STREET.search(both):
        found.append(_("This may be the address where somebody lives."))
    if names_somebody(shown):
        found.append(_("This may name somebody else, or its writer by the full name."))
    return found


def is_full_name(name: str) -> bool:
    """Whether it has two words or more. An initial, as in "Anna K.", is none."""
    return len(re.findall(r"[^\W\d_]{2,}", name)) >= FULL_NAME_WORDS


def names_somebody(shown: ShownWords) -> bool:
    if PATRONYMIC.search(shown.words) or TITLE.search(shown.words):
        return True
    if written_language.of(shown.words, shown.language) in CAPITALS_SAY_NOTHING:
        return False
    pairs = CAPITALISED.findall(shown.words)
    return any(looks_like_a_name(one) and looks_like_a_name(two) for one, two in pairs)


def looks_like_a_name(word: str) -> bool:
    """Whether it is written like one. A word all in capitals is loud, and none."""
    return word[0].isupper() and word[1:].islower() and not NOT_PEOPLE.match(word)
