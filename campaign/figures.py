"""Figures in texts: `{evacuated}` becomes the number of that name in the table of figures.

`{evacuated: person, people}` adds the word in the plural form for the number; the forms come in the order of the
language: one and many in English; 1, 2 and 5 in Russian. `{evacuated when}` is the date that the number is from.
`{collected-before}` is the number of signatures that the petition had before this site opened.
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
    """A figure as readers see it, in the language of the page."""

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
        """The date of the number, as exact as it is known: spring 2018. Empty if the value is itself a day."""
        if self.as_of is None:
            return ""
        if self.precision == Figure.Precision.SEASON:
            return season(self.as_of).replace(" ", GAP)
        if self.precision == Figure.Precision.YEAR:
            return str(self.as_of.year)
        return long_day(self.as_of)

    def with_word(self, forms: list[str]) -> str:
        """The number with its plural form; the last of `forms` if the language has more of them."""
        if isinstance(self.value, date):
            return self.shown
        number = int(translation(get_language() or "en").plural(self.value))
        return f"{self.shown}{GAP}{forms[min(number, len(forms) - 1)]}"


def fact(figure: Figure) -> Fact:
    """Fact of a figure in the language of the page, or in another one that the figure has."""
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
    """Published figures by name, the last published value of each. Names come in the order of their first value."""
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
    """Every figure that texts can name, `{collected-before}` included."""
    before = collected_before()
    return current() | ({before.name: before} if before else {})


def fill(text: str, facts: dict[str, Fact] | None = None) -> str:
    """The text with its figures filled in. Unknown names stay as they are; the admin refuses to save them."""
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
    """Names in the text for which there is no figure, published or not."""
    names = names_in(text)
    there = {COLLECTED_BEFORE, *Figure.objects.filter(slug__in=names).values_list("slug", flat=True)}
    return [name for name in names if name not in there]
