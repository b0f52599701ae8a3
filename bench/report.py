"""Figures, ratios and targets, as a table and as JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """The repeats of one measurement, in the order they were made."""

    values: tuple[float, ...]
    unit: str = "/s"

    @property
    def median(self) -> float:
        return float(median(self.values))

    @property
    def spread(self) -> float:
        """From the smallest to the largest, as a part of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def __str__(self) -> str:
        digits = (
            0
            if self.median >= 100 or self.median.is_integer()
            else 1
            if self.median >= 10
            else 2
            if self.median >= 1
            else 3
        )
        spread = f" ±{50 * self.spread:.0f}%" if len(self.values) > 1 else ""
        return f"{self.median:,.{digits}f}{self.unit}{spread}"


@dataclass(frozen=True)
class Target:
    limit: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One piece of work and, where there is one, its ceiling.

    The target is one of the ratio, or of the figure itself where nothing stands beside it. `rows` is how many
    signatures there are, `note` what a reader of the table must know.
    """

    work: str
    measured: Figure | None = None
    against: str = ""
    ceiling: Figure | None = None
    target: Target | None = None
    rows: int | None = None
    connections: int | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio of each repeat: both were measured within seconds, so they share the noise of their time."""
        if self.measured is None or self.ceiling is None:
            return []
        return [mine / its for mine, its in zip(self.measured.values, self.ceiling.values, strict=True)]

    @property
    def value(self) -> float | None:
        if self.ratios:
            return median(self.ratios)
        return self.measured.median if self.measured else None

    @property
    def is_met(self) -> bool | None:
        """None without a target, or without a figure."""
        return self.target.is_met(self.value) if self.target and self.value is not None else None


HEAD = ("work", "signatures", "conn.", "measured", "beside", "ceiling", "ratio", "target", "met")
MET = {True: "yes", False: "NO", None: ""}


@dataclass
class Report:
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(f"  {' | '.join(cell for cell in cells(row) if cell)}", flush=True)  # noqa: T201, so that one sees it go on

    def text(self) -> str:
        """Targets first, then everything else that was measured."""
        aimed = [row for row in self.rows if row.target]
        others = [row for row in self.rows if not row.target]
        named = (("Targets", aimed), ("Beside them", others))
        return "\n\n".join(f"{title}\n\n{table(rows)}" for title, rows in named if rows)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"machine": self.machine, "rows": [_as_json(row) for row in self.rows]}, indent=1))


def cells(row: Row) -> tuple[str, ...]:
    ratio = ""
    if row.ratios and row.value is not None:
        span = f" ({min(row.ratios):.2f}-{max(row.ratios):.2f})" if len(row.ratios) > 1 else ""
        ratio = f"{row.value:.2f}{span}"
    met = MET[row.is_met] or ("not measured" if row.target else "")
    return (
        row.work + (f" [{row.note}]" if row.note else ""),
        "" if row.rows is None else f"{row.rows:,}",
        str(row.connections or ""),
        str(row.measured or ""),
        row.against,
        str(row.ceiling or ""),
        ratio,
        str(row.target or ""),
        met,
    )


def table(rows: list[Row]) -> str:
    """A table that reads well on a terminal and is Markdown too."""
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "work": row.work,
        "signatures": row.rows,
        "connections": row.connections,
        "measured": _figure(row.measured),
        "beside": row.against,
        "ceiling": _figure(row.ceiling),
        "ratios": row.ratios,
        "value": row.value,
        "target": str(row.target or ""),
        "met": row.is_met,
        "note": row.note,
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"values": figure.values, "median": figure.median, "spread": figure.spread, "unit": figure.unit}
