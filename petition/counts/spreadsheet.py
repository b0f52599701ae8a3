"""Counts as a spreadsheet. Loading openpyxl takes longer than most commands: whoever writes one imports this then."""

from datetime import UTC, datetime
from typing import IO, Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from petition.counts.export import Table

SHEET_ROWS = 1_048_575  # as many as fit below the header of a sheet
COLUMN_WIDTH = 18


def write(table: Table, file: IO[bytes]) -> None:
    book = Workbook(write_only=True)
    sheet, free = _sheet(book, table.columns), SHEET_ROWS
    for cells, amount in table.rows:
        if not free:
            sheet, free = _sheet(book, table.columns), SHEET_ROWS
        sheet.append([*(_typed(sheet, cell) for cell in cells), _typed(sheet, amount)])
        free -= 1
    about = book.create_sheet("about")
    about.column_dimensions["A"].width = about.column_dimensions["B"].width = COLUMN_WIDTH
    for name, value in (table.about | table.about["now"]).items():
        if name != "now" and value is not None:
            about.append([_typed(about, name), _typed(about, ", ".join(value) if isinstance(value, list) else value)])
    book.save(file)


def _sheet(book: Any, columns: tuple[str, ...]) -> Any:
    sheet = book.create_sheet(f"counts {len(book.sheetnames) + 1}" if book.sheetnames else "counts")
    sheet.freeze_panes = "A2"
    header = [_typed(sheet, name) for name in (*columns, "amount")]
    for number, cell in enumerate(header):
        cell.font = Font(bold=True)
        sheet.column_dimensions["ABCDEFG"[number]].width = COLUMN_WIDTH
    sheet.append(header)
    return sheet


def _typed(sheet: Any, value: Any) -> Any:
    if isinstance(value, str):
        cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value))
        cell.data_type = "s"  # whatever it begins with
        return cell
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None)  # a sheet knows no time zones
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, datetime):
        cell.number_format = "yyyy-mm-dd hh:mm"
    elif isinstance(value, float):
        cell.number_format = "0.0%"
    return cell
