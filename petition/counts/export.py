"""Counts as files: CSV, XLSX and JSON. Each holds numbers and what they are broken down by, and nothing of anybody."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from petition.counts import breakdown, tally
from petition.counts.breakdown import Cell, Question
from petition.models import Petition

LARGE_ROWS = 5_000

# What a spreadsheet takes for the beginning of a formula, in wide letters too.
FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")

Amount = int | float
# What of the published number everybody may read.
PUBLIC = ("total", "collected_before", "confirmed_here")


@dataclass(frozen=True)
class Table:
    """`columns` are the names of the cells of a row, before its amount; `about` says what the numbers are."""

    columns: tuple[str, ...]
    rows: Iterable[tuple[tuple[Cell, ...], Amount]]
    about: dict[str, Any]


def table(petition: Petition, question: Question) -> Table:
    """What was asked. To be made and written inside `tally.snapshot()`."""
    asked: dict[str, Any] = {"by": list(question.by), "since": question.since, "before": question.before}
    about = _about(petition)
    if question.source is not None:
        # A partner hears of the others what everybody may.
        about["now"] = {name: about["now"][name] for name in PUBLIC}
        asked["source"] = question.source
    return Table(question.by, breakdown.rows(question), about | asked)


def public_table(petition: Petition, question: Question) -> Table:
    """The same for everybody, without what became of signatures, and alike as long as the numbers are."""
    made = table(petition, question)
    del made.about["as_of"]
    made.about["now"] = {name: made.about["now"][name] for name in PUBLIC}
    return made


def standing_table(petition: Petition) -> Table:
    """The published number, and where signatures were when the last week ended, broken down by nothing."""
    about = _about(petition)
    rows = [((name,), amount) for name, amount in about["now"].items() if amount is not None]
    return Table(("figure",), rows, about)


def _about(petition: Petition) -> dict[str, Any]:
    count, standing = tally.current(petition.slug), tally.standing(petition.pk)
    if count is None:
        raise Petition.DoesNotExist
    rate = standing.confirmation_rate
    now = {
        "total": count.total,
        "collected_before": count.collected_before,
        "on_paper": count.on_paper,
        "confirmed_here": count.confirmed_here,
        **asdict(standing),
        "confirmation_rate": None if rate is None else round(rate, 4),
    }
    return {"petition": petition.slug, "as_of": count.as_of.replace(microsecond=0), "now": now}


def write(
    table: Table, format_name: str, file: IO[bytes], progress: Callable[[int], None] = lambda written: None
) -> int:
    """Write the table and return its number of rows; `progress` hears of each. Memory does not grow with them."""
    written = 0

    def counted() -> Iterator[tuple[tuple[Cell, ...], Amount]]:
        nonlocal written
        for row in table.rows:
            yield row
            written += 1
            progress(written)

    FORMATS[format_name].write(Table(table.columns, counted(), table.about), file)
    return written


def is_large(question: Question) -> bool:
    """Whether it is made by a worker (`petition.counts.prepared`), since nobody waits so long for a page."""
    return breakdown.number_of_rows(question, LARGE_ROWS) > LARGE_ROWS


def temporary(
    table: Table, format_name: str, progress: Callable[[int], None] = lambda written: None
) -> tuple[IO[bytes], int]:
    """A file without a name that holds the table, and its number of rows. It is gone when it is closed."""
    file = TemporaryFile()  # noqa: SIM115, whoever sends it closes it
    written = write(table, format_name, file, progress)
    file.seek(0)
    return file, written


def file_name(table: Table, format_name: str) -> str:
    what = "-".join(("by", *table.columns) if "by" in table.about else ("now",))
    return f"{table.about['petition']}-{what}-{table.about['as_of']:%Y-%m-%d}.{format_name}"


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is complete, so that half an export is never taken for a whole."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # a pipe or a device, which has no place to take
            yield file
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_csv(table: Table, file: IO[bytes]) -> None:
    # The byte order mark says UTF-8 to a spreadsheet. Quoted text stays one cell where it expects semicolons.
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*table.columns, "amount"])
    for cells, amount in table.rows:
        writer.writerow([*(without_formula(_as_text(cell)) for cell in cells), amount])
    text.detach()


def without_formula(text: str) -> str:
    """The text so that no spreadsheet computes it: an apostrophe in front makes it plain text there."""
    is_formula = text.lstrip().startswith(FORMULA_SIGNS) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if is_formula else text


def write_xlsx(table: Table, file: IO[bytes]) -> None:
    from petition.counts import spreadsheet

    spreadsheet.write(table, file)


def write_json(table: Table, file: IO[bytes]) -> None:
    def put(text: str) -> None:
        file.write(text.encode())

    about = {name: _as_json(value) for name, value in table.about.items()}
    put(json.dumps(about, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "rows": [')
    separator = "\n"
    for cells, amount in table.rows:
        row = dict(zip(table.columns, map(_as_json, cells), strict=True)) | {"amount": amount}
        put(f"{separator}  {json.dumps(row, ensure_ascii=False)}")
        separator = ",\n"
    put("\n ]\n}\n")


def _as_text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M}"
    return str(cell)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return value if isinstance(value, str | bool | int | float | dict | list | None) else str(value)


@dataclass(frozen=True)
class Format:
    write: Callable[[Table, IO[bytes]], None]
    content_type: str


FORMATS = {
    "csv": Format(write_csv, "text/csv; charset=utf-8"),
    "xlsx": Format(write_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "json": Format(write_json, "application/json"),
}
