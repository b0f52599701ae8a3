"""The language in which words are written, which need not be that of the site: by their letters, then by common words.

Texts are short: two words are the rule. So the language of the site decides wherever the letters allow it and no word
speaks against it, which a statistical model would not know.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

UNKNOWN = "und"  # what BCP 47 calls it
RIGHT_TO_LEFT = frozenset(("ar", "fa", "he"))

# Languages that have their script to themselves here, by the first word of the names that Unicode gives its letters.
OF_SCRIPT = {
    "ARABIC": "ar",
    "ARMENIAN": "hy",
    "CJK": "zh",
    "DEVANAGARI": "hi",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "THAI": "th",
}
# Letters that only one of the languages of a script has.
OWN_LETTERS = {
    "fa": "پچژگکی",
    "uk": "іїєґ",
    "be": "ў",
    "ce": "ӏ",
    "de": "ß",
    "es": "ñ¿¡",
    "fr": "œùêî",
    "pl": "łąęśźż",
    "tr": "ğış",
}
# Common words, and those that people write to people in danger. A word that several languages have decides nothing.
WORDS = {
    "CYRILLIC": {
        "ru": """и в не на что с вы мы я это как за все всё но для так от есть быть вас вам нас нам они она его их
            был держитесь свобода свободу свободы любовь силы люди людей права жить вами рядом правда должны никто""",
        "uk": """і та не що ви ми це як за але для від є бути вас вам нас він вони його їх свобода любов сили люди разом
            тримайтеся слава україни україні з вами правда""",
        "be": "і не што вы мы гэта як за але для ад ёсць быць вас вам нас ён яны яго іх свабода людзі жыве разам",
        "bg": "и в не на че със вие ние аз това как за всички но от е са вас ви нас той те бъдете силни свобода хора",
        "ce": "а ду дац вайн вай хьо шу со иза уьш нохчийн нохчо маршо дерриге адамаш хила",
    },
    "LATIN": {
        "en": """the and of to in is you we are for with not be it that this all your our have from they stay strong
            love freedom support human rights people i my no one must everyone stand never live who solidarity""",
        "de": """der die das und ist nicht ich wir ihr euch sie ein eine für mit von zu den auf es im dass alle sind
            kraft mut liebe freiheit menschen menschenrechte viel bleibt stark unsere kein solidarität""",
        "fr": """le la les et est vous nous je de des du un une pour avec que qui dans pas ne sur au aux tous courage
            liberté amour soutien droits humains force ce cette sont être tout vos nos soyez forts solidarité""",
        "es": """el la los las y es que de en un una por con para no se su del al todos ustedes nosotros fuerza ánimo
            libertad amor apoyo derechos humanos gente estamos son ser vida mucha justicia sean fuertes solidaridad""",
        "it": """il lo la gli le e è che di in un una per con non si siamo voi noi tutti forza coraggio libertà amore
            diritti umani della degli sono essere siate forti solidarietà""",
        "pt": "o a os as e é que de em um uma por com para não se do da todos vocês nós força coragem liberdade são",
        "nl": "de het een en van in is dat niet ik wij jullie zijn met voor op te aan alle liefde vrijheid mensen",
        "pl": "i w nie na że to się z do jest my wy jesteśmy dla wszyscy ludzi siły wolność miłość prawa trzymajcie",
        "tr": "ve bir bu için ile de da ben biz siz çok değil var yok özgürlük sevgi insan hakları güçlü olun herkes",
    },
}


def of(text: str, site: str) -> str:
    """The code of the language of these words; `site` is the one of the site where they were typed."""
    return _of(text, site.partition("-")[0])


def codes() -> list[str]:
    """All languages that are told apart."""
    several = (code for words in WORDS.values() for code in words)
    return sorted({*OF_SCRIPT.values(), *several, "fa"})


def direction(code: str) -> str:
    """A value of the attribute `dir`: "auto" if the language is not known."""
    return "auto" if code == UNKNOWN else "rtl" if code in RIGHT_TO_LEFT else "ltr"


@lru_cache(1_000)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]


def _of(text: str, site: str) -> str:
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    if not scripts:
        return UNKNOWN
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        return "ja"
    script = scripts.most_common(1)[0][0]
    letters = set(text.casefold().replace("Ӏ", "ӏ"))
    if script in OF_SCRIPT:
        is_persian = script == "ARABIC" and letters.intersection(OWN_LETTERS["fa"])
        return "fa" if is_persian else OF_SCRIPT[script]
    return _by_words(text, letters, WORDS[script], site, script) if script in WORDS else UNKNOWN


def _by_words(text: str, letters: set[str], languages: dict[str, str], site: str, script: str) -> str:
    said = re.findall(r"[^\W\d_]+", text.casefold())
    points = dict.fromkeys(languages, 0.0)
    for word in said:
        known = [code for code in languages if word in _words(script, code)]
        for code in known:
            points[code] += 1 / len(known)
    for code in languages:
        points[code] += 2 * len(letters.intersection(OWN_LETTERS.get(code, "")))
    if site in points:
        # So that it wins among equals, and against a single word that two of the others have.
        points[site] += 0.6
    best = max(points, key=lambda code: points[code])
    if points[best]:
        return best
    # Cyrillic letters without a word that is known are most often Russian; of Latin ones nothing can be said.
    return "ru" if script == "CYRILLIC" else UNKNOWN


@lru_cache
def _words(script: str, code: str) -> frozenset[str]:
    return frozenset(WORDS[script][code].split())
