"""Countries: their names in each language (CLDR's, by Babel), in its order, and which one a typed name means."""

import re
import unicodedata
from functools import cache

from babel import Locale, UnknownLocaleError
from django.conf import settings
from django.utils.translation import get_language

# ISO 3166-1 and Kosovo, which has no code there yet and is XK everywhere. Left out is where nobody is at home: AQ, BV,
# GS, HM, IO, TF and UM. A code that was stored all the same keeps its name.
CODES = frozenset(
    """
    AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD
    CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
    GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KI KM
    KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX
    MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ
    VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()
)

# CLDR has a shorter or plainer name for these too, but Babel leaves such out.
PLAINER = {
    "en": {
        "CD": "Congo (DRC)",
        "CG": "Congo (Republic)",
        "HK": "Hong Kong",
        "MM": "Myanmar",
        "MO": "Macao",
        "PS": "Palestine",
    },
    "ru": {
        "CD": "Демократическая Республика Конго",
        "CG": "Республика Конго",
        "HK": "Гонконг",
        "MM": "Мьянма",
        "MO": "Макао",
        "PS": "Палестина",
        "US": "Соединённые Штаты",
    },
}
# CLDR shortens words to fit into menus.
IN_FULL = {"ru": {r"\bо-в\b": "остров", r"\bо-ва\b": "острова", r"\bСв\.": "Святой"}}

# What comes before what. A letter with a mark that stands in no row is sorted as the one without it: ё as е, é as e.
ALPHABET = "abcdefghijklmnopqrstuvwxyzабвгдежзийклмнопрстуфхцчшщъыьэюя"
ALPHABETS = {
    "es": "abcdefghijklmnñopqrstuvwxyz",
    "pl": "aąbcćdeęfghijklłmnńoópqrsśtuvwxyzźż",
    "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
}


def name(code: str) -> str:
    """The country in the active language; the code itself if nobody has named it."""
    return _names(get_language() or "en").get(code, code)


def choices() -> list[tuple[str, str]]:
    """Codes and names, sorted as a reader of the active language expects."""
    return _sorted(get_language() or "en")


def find(text: str) -> str | None:
    """The code of a country that was typed, by its name in a language of the site or its code; None if none has it."""
    return _by_name().get(_plain(text))


@cache
def _by_name() -> dict[str, str]:
    codes = {code.casefold(): code for code in CODES}
    for language, _name in settings.LANGUAGES:
        codes |= {_plain(_names(language)[code]): code for code in CODES}
    return codes


def _plain(text: str) -> str:
    """A name without what people write differently: capitals, ё, marks, signs and blanks."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


@cache
def _names(language: str) -> dict[str, str]:
    english = Locale("en").territories
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    named = {code: _in_full(name, locale.language) for code, name in {**english, **locale.territories}.items()}
    return named | PLAINER.get(locale.language, {})


def _in_full(name: str, language: str) -> str:
    for short, word in IN_FULL.get(language, {}).items():
        name = re.sub(short, word, name)
    return name[:1].upper() + name[1:]


@cache
def _sorted(language: str) -> list[tuple[str, str]]:
    names = _names(language)
    alphabet = ALPHABETS.get(language.partition("-")[0], ALPHABET)
    return sorted(((code, names[code]) for code in CODES), key=lambda country: _place(country[1], alphabet))


def _place(name: str, alphabet: str) -> tuple[list[tuple[int, str]], str]:
    """Where a name stands in a list: by its letters, and only among equals by their marks."""
    letters = []
    for letter in unicodedata.normalize("NFC", name.casefold()):
        plain = letter if letter in alphabet else unicodedata.normalize("NFD", letter)[0]
        # A blank or a hyphen comes before all letters, and those of other scripts after them.
        number = -1 if not plain.isalnum() else alphabet.find(plain) if plain in alphabet else len(alphabet)
        letters.append((number, plain if number == len(alphabet) else ""))
    return letters, name
