"""The tables of the funnel, in the language of the reader: each line with its rate and a bar of three lengths."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from petition.counts import charts, funnel
from petition.counts.funnel import Step
from petition.mail_providers import OTHER
from petition.models import Source

from . import counts_page, languages

# As they call themselves; both of Russia's large ones are named, since their mail is refused and read differently.
PROVIDERS = {
    "apple": "iCloud",
    "gmx": "GMX, Web.de",
    "google": "Gmail",
    "microsoft": "Outlook, Hotmail",
    "proton": "Proton",
    "rambler": "Rambler",
    "vk": "Mail.ru",
    "yahoo": "Yahoo, AOL",
    "yandex": "Yandex",
}


@dataclass(frozen=True)
class Line:
    """`widths` are those of the three bars, in percent of the longest one of the table."""

    title: str
    step: Step
    rate: str
    widths: tuple[str, str, str]
    day: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    title: str
    lines: list[Line]


def tables(petition: int, since: datetime | None, day: date | None) -> Iterator[Table]:
    if day:
        hours = [(step.name[11:] + ":00", step) for step in funnel.by_hour(petition, day)]
        yield Table("hour", _("Hours of %(day)s (UTC)") % {"day": f"{day:%Y-%m-%d}"}, list(_lines(hours)))
        return
    weeks = [(step.name, step) for step in reversed(funnel.by("week", petition, since))]
    yield Table("week", _("Weeks, from Monday (UTC)"), list(_lines(weeks)))
    titles = dict(Source.objects.values_list("pk", "title"))
    links = [
        (titles.get(step.name, step.name) or _("no partner’s link"), step)
        for step in _largest("source", petition, since)
    ]
    yield Table("source", _("Partners’ links"), list(_lines(links)))
    spoken = [(languages.name(step.name), step) for step in _largest("language", petition, since)]
    yield Table("language", _("Languages"), list(_lines(spoken)))
    providers = sorted(funnel.by_provider(petition, since), key=lambda step: (step.name == OTHER, -step.signed))
    named = [(PROVIDERS.get(step.name, _("all others")), step) for step in providers]
    yield Table("provider", _("Mail providers"), list(_lines(named)))
    days = [(step.name, step) for step in funnel.by_day(petition, since)]
    yield Table("day", _("Days (UTC)"), list(_lines(days, are_days=True)))


def _largest(name: str, petition: int, since: datetime | None) -> list[Step]:
    return sorted(funnel.by(name, petition, since), key=lambda step: -step.signed)[: counts_page.SHOWN_ROWS]


def _lines(steps: Iterable[tuple[str, Step]], *, are_days: bool = False) -> Iterator[Line]:
    steps = list(steps)
    longest = max((max(step.signed, step.mailed, step.confirmed) for _title, step in steps), default=0) or 1
    for title, step in steps:
        signed, mailed, confirmed = (
            charts.percent(100 * amount / longest) for amount in (step.signed, step.mailed, step.confirmed)
        )
        yield Line(title, step, _rate(step), (signed, mailed, confirmed), step.name if are_days else "")


def _rate(step: Step) -> str:
    if step.rate is None:
        return "–"
    # Translators: a percentage, as your language writes it.
    return _("%(number)s%%") % {"number": number_format(100 * step.rate, 0)}
