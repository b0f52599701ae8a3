"""The sections of the page of counts: tables with their charts, in the language of the reader."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

from django.utils.formats import date_format, number_format
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import countries
from petition.counts import breakdown, charts
from petition.counts.breakdown import ORIGINS, Cell, Question, Row
from petition.counts.charts import Bars, Columns, Point, Shape
from petition.counts.tally import Count, Standing
from petition.models import Measure, Source
from petition.models.signature import this_hour

from . import languages

HOURS_PER_DAY = 24
SHOWN_ROWS = 500
DRAWN_ROWS = 20_000
FILLED_DAYS = 31
MONTHS_FROM_DAYS = 150
DRAWN_BARS = 12

TITLES = {
    "week": gettext_lazy("Weeks"),
    "day": gettext_lazy("Days"),
    "hour": gettext_lazy("Hours"),
    "country": gettext_lazy("Countries"),
    "language": gettext_lazy("Languages"),
    "source": gettext_lazy("Partners’ links"),
    "measure": gettext_lazy("Events"),
}
HEADS = {
    "week": gettext_lazy("Week from (UTC)"),
    "day": gettext_lazy("Day (UTC)"),
    "hour": gettext_lazy("Hour (UTC)"),
    "country": gettext_lazy("Country"),
    "language": gettext_lazy("Language"),
    "source": gettext_lazy("Partner’s link"),
    "measure": gettext_lazy("Event"),
}
EMPTY = {"country": gettext_lazy("not stated"), "source": gettext_lazy("no partner’s link")}
STEPS = {"week": timedelta(weeks=1), "day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True)
class Section:
    """A table with its chart. `query` is the URL query for the same rows; `is_cut` says that a file has more."""

    name: str
    title: str
    heads: list[str]
    rows: list[tuple[list[str], int]]
    is_cut: bool
    chart: Columns | Bars | None
    query: str


def overview(question: Question) -> Iterator[Section]:
    """One section for each grouping, for the range that is asked."""
    if question.since is None and question.before is None:
        since = this_hour() - timedelta(hours=HOURS_PER_DAY - 1)
        last = replace(question, by=("hour",), since=since, before=since + timedelta(hours=HOURS_PER_DAY))
        yield section(last, _("The last 24 hours"))
    for name in ("day", *ORIGINS):
        yield section(replace(question, by=(name,)))


def section(question: Question, title: str = "") -> Section:
    title = title or groupings(question)
    is_series = len(question.by) == 1 and question.by[0] in STEPS
    # A chart can hold more than a table that somebody reads.
    most = DRAWN_ROWS if is_series else SHOWN_ROWS
    rows = list(islice(breakdown.rows(question), most + 1))
    is_whole = len(rows) <= most
    words = Words(question, rows)
    if is_series:
        rows.reverse()
    elif is_whole and _is_of_things(question):
        rows.sort(key=lambda row: -row[1])
    return Section(
        name="-".join(question.by),
        title=title,
        heads=[str(HEADS[name]) for name in question.by],
        rows=[(words.of(cells), amount) for cells, amount in rows[:SHOWN_ROWS]],
        is_cut=len(rows) > SHOWN_ROWS,
        chart=_chart(question, title, rows, words) if is_whole else None,
        query=question.query(),
    )


def groupings(question: Question) -> str:
    return ", ".join(str(TITLES[name]) for name in question.by).capitalize()


def described(question: Question) -> str:
    """What was asked, in words: the groupings, and the first and last day or hour if any were named."""
    asked = parse_qs(question.query())
    first, last = (asked.get(name, [""])[0].replace("T", " ") for name in ("since", "until"))
    return f"{groupings(question)}, {first} – {last}" if first or last else groupings(question)


def parts(count: Count) -> list[Shape]:
    """The parts of the total that came to it here and on paper, at the end of a bar; none too thin to be seen."""
    shapes: list[Shape] = []
    end = 100.0
    for amount, words in ((count.confirmed_here, _("confirmed here")), (count.on_paper, _("on paper"))):
        width = max(100 * amount / count.total, 0.6) if amount else 0.0
        end -= width
        said = f"{charts.grouped(amount)} {words}"
        shapes.append(Shape(x=charts.percent(end), y="0", width=charts.percent(width), height="10", words=said))
    return shapes


def rate(standing: Standing) -> str:
    if standing.confirmation_rate is None:
        return "–"
    # Translators: a percentage, as your language writes it.
    return _("%(number)s%%") % {"number": number_format(100 * standing.confirmation_rate, 1)}


class Words:
    """The names of cells, in the language of the reader."""

    def __init__(self, question: Question, rows: Sequence[Row]) -> None:
        self.by = question.by
        self.partners: dict[str, str] = {}
        if "source" in question.by:
            place = question.by.index("source")
            tags = {str(cells[place]) for cells, _amount in rows}
            self.partners = dict(Source.objects.filter(pk__in=tags).values_list("pk", "title"))

    def of(self, cells: Sequence[Cell]) -> list[str]:
        return [self.word(name, cell) for name, cell in zip(self.by, cells, strict=True)]

    def word(self, name: str, cell: Cell) -> str:
        if isinstance(cell, date):
            return f"{cell:%Y-%m-%d\N{NO-BREAK SPACE}%H:%M}" if isinstance(cell, datetime) else f"{cell:%Y-%m-%d}"
        if cell == "":
            return str(EMPTY.get(name, _("unknown")))
        if name == "country":
            return countries.name(cell)
        if name == "language":
            return languages.name(cell)
        if name == "measure":
            return str(Measure(cell).label) if cell in Measure.values else cell
        return self.partners.get(cell) or cell


def _is_of_things(question: Question) -> bool:
    """Whether the rows have no order in time, so that the largest comes first."""
    return len(question.by) == 1 and question.by[0] in ORIGINS


def _chart(question: Question, title: str, rows: Sequence[Row], words: Words) -> Columns | Bars | None:
    if _is_of_things(question):
        return _bars(title, rows, words)
    if question.by[0] in STEPS and len(question.by) == 1:
        return _columns(question, title, rows, words)
    return None


def _bars(title: str, rows: Sequence[Row], words: Words) -> Bars | None:
    named = [Point(words.of(cells)[0], "", amount) for cells, amount in rows]
    drawn = named[:DRAWN_BARS]
    if rest := sum(amount for _cells, amount in rows) - sum(point.amount for point in drawn):
        drawn.append(Point(_("all others"), "", rest, is_rest=True))
    described = _("Bars, the longest first: %(largest)s. The table holds every number.") % {
        "largest": "; ".join(f"{point.label} {charts.grouped(point.amount)}" for point in drawn[:3])
    }
    return charts.bars(title, described, drawn) if drawn else None


def _columns(question: Question, title: str, rows: Sequence[Row], words: Words) -> Columns | None:
    name = question.by[0]
    amounts = {cells[0]: amount for cells, amount in rows}
    if not amounts:
        return None
    moments = list(_moments(question, name, min(amounts, key=str), max(amounts, key=str)))
    spans = (moments[-1] - moments[0]).days
    on_axis = "H:i" if name == "hour" and spans < 2 else "j E" if spans < MONTHS_FROM_DAYS else "M Y"
    # Of a year of hours few are named on the page, and naming all of them would take longer than everything else.
    label, short = lazy(words.word, str), lazy(date_format, str)
    points = [Point(label(name, moment), short(moment, on_axis), amounts.get(moment, 0)) for moment in moments]
    highest = max(points, key=lambda point: point.amount)
    described = _(
        "Columns from %(first)s to %(last)s, the highest %(highest)s: %(amount)s. The table holds every number."
    )
    return charts.columns(
        title,
        described
        % {
            "first": points[0].label,
            "last": points[-1].label,
            "highest": highest.label,
            "amount": charts.grouped(highest.amount),
        },
        points,
    )


def _moments(question: Question, name: str, first: Any, last: Any) -> Iterator[Any]:
    """Every day or hour between these, or of the whole range if that is short, so that gaps show as gaps."""
    if question.since and question.before and question.before - question.since <= timedelta(days=FILLED_DAYS):
        first, last = question.since, question.before - timedelta(hours=1)
        if name == "day":
            first, last = first.date(), last.date()
    while first <= last:
        yield first
        first += STEPS[name]
