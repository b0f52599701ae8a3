"""Figures in texts: `{evacuated}` becomes the number that stands in the table of figures, so it is written once.

`{evacuated: person, people}` is the number with the form of the word that goes with it, in the order of the plural
forms of the language: one and many in English; 1, 2 and 5 in Russian. `{evacuated when}` says when it was right.
`{collected-before}` is what the petition collected before this site opened.
"""

import re
from dataclasses import dataclass, field
from datetime import date

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import get_language, gettext
from django.utils.translation.trans_real import translation

from campaign.models import Figure
from petition.dates import long_day, season
from petition.models import Petition

NAMED = re.compile(r"\{([a-z0-9-]+)( when)?(?:: ([^{}]+))?\}")
COLLECTED_BEFORE = "collected-before"
GAP = "\u00a0"


@dataclass(frozen=True)
class Fact:
    """What readers see of a figure, in the language of the page."""

    name: str
    value: int | date
    label: str = ""
    source: str = ""
    source_url: str = ""
    as_of: date | None = None
    precision: str = field(default=Figure.Precision.DAY)

    @property
    def shown(self) -> str:
        return long_day(self.value) if isinstance(self.value, date) else intcomma(self.value)

    @property
    def when(self) -> str:
        """When it was right: spring 2018. Empty for a day, which is right for ever."""
        if self.as_of is None:
            return ""
        if self.precision == Figure.Precision.SEASON:
            return season(self.as_of).replace(" ", GAP)
        if self.precision == Figure.Precision.YEAR:
            return str(self.as_of.year)
        return long_day(self.as_of)

    def with_word(self, forms: list[str]) -> str:
        """The number and the form of the word that goes with it; the last form where the language has more of them."""
        if isinstance(self.value, date):
            return self.shown
        number = int(translation(get_language() or "en").plural(self.value))
        return f"{self.shown}{GAP}{forms[min(number, len(forms) - 1)]}"


def fact(figure: Figure) -> Fact:
    """The figure in the language of the page, or in another one that it has."""
    return Fact(
        figure.slug,
        figure.value,
        figure.safe_translation_getter("label", default="", any_language=True),
        figure.safe_translation_getter("source", default="", any_language=True),
        figure.source_url,
        figure.as_of,
        figure.as_of_precision,
    )


def current() -> dict[str, Fact]:
    """Every figure by its name, as it is published now. The oldest name comes first."""
    rows = Figure.objects.published().order_by("published_at", "pk").prefetch_related("translations")
    return {row.slug: fact(row) for row in rows}


def collected_before() -> Fact | None:
    petition = Petition.find()
    if petition is None or not petition.collected_before:
        return None
    return Fact(
        COLLECTED_BEFORE,
        petition.collected_before,
        gettext("signatures collected before this site opened"),
        petition.safe_translation_getter("collected_before_source", default="", any_language=True),
        as_of=petition.collected_before_on,
        precision=Figure.Precision.SEASON,
    )


def known() -> dict[str, Fact]:
    before = collected_before()
    return current() | ({before.name: before} if before else {})


def fill(text: str, facts: dict[str, Fact] | None = None) -> str:
    """The text with its figures. An unknown name is left as it is: the admin refuses it before it gets here."""
    if not NAMED.search(text):
        return text
    facts = known() if facts is None else facts

    def value(match: re.Match[str]) -> str:
        name, when, forms = match.groups()
        found = facts.get(name)
        if found is None:
            return match[0]
        if when:
            return found.when
        return found.with_word([form.strip() for form in forms.split(",")]) if forms else found.shown

    return NAMED.sub(value, text)


def names_in(text: str) -> list[str]:
    return list(dict.fromkeys(match[1] for match in NAMED.finditer(text)))


def unknown_names(text: str) -> list[str]:
    """The names in a text that stand for no figure yet, published or not."""
    names = names_in(text)
    there = {COLLECTED_BEFORE, *Figure.objects.filter(slug__in=names).values_list("slug", flat=True)}
    return [name for name in names if name not in there]
