"""Charts as SVG, drawn by the server: attributes and classes alone, since the policy allows no style in a page.

Lengths along the reading direction are in percent and those across it in pixels, so that a chart fits a phone and a
wide screen without its letters growing or shrinking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from django.utils.formats import number_format

PLOT_HEIGHT = 200
HEAD = 18  # room for the highest number
FOOT = 26  # room for the names of columns
LABELS = 6
MOST_COLUMNS = 500
BAR_ROW = 40


@dataclass(frozen=True)
class Point:
    """`label` is for the reader of one number, `short` for the axis."""

    label: str
    short: str
    amount: int
    is_rest: bool = False


@dataclass(frozen=True)
class Shape:
    """A bar with the words that a pointer over it brings up; a quiet one stands for what is not drawn by itself."""

    x: str
    y: str
    width: str
    height: str
    words: str
    is_quiet: bool = False


@dataclass(frozen=True)
class Mark:
    """A word at its place; `anchor` is start, middle or end. A narrow screen leaves the spare ones out."""

    x: str
    y: str
    text: str
    anchor: str = "start"
    is_spare: bool = False


@dataclass(frozen=True)
class Columns:
    """Amounts over time, standing side by side."""

    title: str
    description: str
    height: int
    base: int
    shapes: list[Shape]
    lines: list[Mark]
    labels: list[Mark]
    per_column: int


@dataclass(frozen=True)
class Bars:
    """Amounts of named things, the largest first, lying below each other."""

    title: str
    description: str
    height: int
    shapes: list[Shape]
    names: list[Mark]
    numbers: list[Mark]


def columns(title: str, description: str, points: Sequence[Point]) -> Columns:
    """One column for each point, or for several neighbours where there are too many to tell apart."""
    together = max(1, ceil(len(points) / MOST_COLUMNS))
    groups = [points[start : start + together] for start in range(0, len(points), together)]
    amounts = [sum(point.amount for point in group) for group in groups]
    steps = ticks(max(amounts, default=0))
    top = steps[-1]
    width = 100 / max(len(groups), 1)
    gap = 0.25 if len(groups) <= 60 else 0.0
    base = HEAD + PLOT_HEIGHT
    shapes = []
    for number, (group, amount) in enumerate(zip(groups, amounts, strict=True)):
        height = PLOT_HEIGHT * amount / top
        named = group[0].label if together == 1 else f"{group[0].label} – {group[-1].label}"
        if amount:
            shapes.append(
                Shape(
                    x=percent(width * (number + gap / 2)),
                    y=pixels(base - max(height, 1)),
                    width=percent(width * (1 - gap)),
                    height=pixels(max(height, 1)),
                    words=f"{named}: {grouped(amount)}",
                )
            )
    every = max(1, ceil(len(groups) / LABELS))
    return Columns(
        title=title,
        description=description,
        height=base + FOOT,
        base=base,
        shapes=shapes,
        lines=[Mark("0", pixels(base - PLOT_HEIGHT * step / top), grouped(step)) for step in steps],
        labels=[
            Mark(percent(width * (number + 0.5)), pixels(base + 18), groups[number][0].short, "middle", bool(place % 2))
            for place, number in enumerate(range(every // 2, len(groups), every))
        ],
        per_column=together,
    )


def bars(title: str, description: str, points: Sequence[Point]) -> Bars:
    top = max((point.amount for point in points), default=0) or 1
    return Bars(
        title=title,
        description=description,
        height=BAR_ROW * len(points),
        shapes=[
            Shape(
                x="0",
                y=pixels(BAR_ROW * number + 20),
                width=percent(max(100 * point.amount / top, 0.3)),
                height="12",
                words=f"{point.label}: {grouped(point.amount)}",
                is_quiet=point.is_rest,
            )
            for number, point in enumerate(points)
        ],
        names=[Mark("0", pixels(BAR_ROW * number + 14), point.label) for number, point in enumerate(points)],
        numbers=[
            Mark("100%", pixels(BAR_ROW * number + 14), grouped(point.amount), "end")
            for number, point in enumerate(points)
        ],
    )


def ticks(highest: int) -> list[int]:
    """Round numbers from nothing up to the highest or a little above it, at most six; never only one."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if highest <= 5 * step * factor:
                return [step * factor * n for n in range(max(ceil(highest / (step * factor)), 1) + 1)]
        step *= 10


def grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


def percent(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".") + "%"


def pixels(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
