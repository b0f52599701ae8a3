"""Counts as CSV, XLSX and JSON: opened with libraries that are not ours."""

import csv
import io
import json
import re
import subprocess
import sys
import tracemalloc
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from petition.counts import export, publication, spreadsheet, tally
from petition.counts.export import Table, without_formula
from petition.models import PublishedHour, StaffAction
from tests.conftest import make_petition
from tests.counts.test_tally import HOUR, sql
from tests.support import server

DAY = date(2026, 3, 1)


@pytest.fixture
def signed(petition, make_signature):
    """Some from two countries, in a week that has ended."""
    for country, number in (("DE", 20), ("ES", 10)):
        for _ in range(number):
            make_signature(confirmed_at=HOUR, created_at=HOUR, country=country)
    tally.fold()
    return petition.pk


@pytest.fixture
def run():
    """The bytes that the command writes to its standard output."""

    def export_counts(*options, **more):
        out = io.TextIOWrapper(io.BytesIO())
        call_command("export_counts", *options, stdout=out, **more)
        return out.buffer.getvalue()

    return export_counts


def as_csv(content):
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def as_xlsx(content):
    return [[cell.value for cell in row] for row in load_workbook(io.BytesIO(content))["counts"].rows]


# What it writes.


def test_csv(run, signed):
    assert as_csv(run("--by", "week,country")) == [
        ["week", "country", "amount"],
        ["2026-02-23", "DE", "20"],
        ["2026-02-23", "ES", "10"],
    ]


def test_xlsx_has_typed_cells_and_says_what_it_is(run, signed):
    content = run("--by", "week,country", "--format", "xlsx")

    assert as_xlsx(content) == [
        ["week", "country", "amount"],
        [datetime(2026, 2, 23), "DE", 20],
        [datetime(2026, 2, 23), "ES", 10],
    ]
    about = {row[0].value: row[1].value for row in load_workbook(io.BytesIO(content))["about"].rows}
    assert (about["petition"], about["total"], about["by"]) == ("chechnya", 150_030, "week, country")


def test_xlsx_has_typed_hours(run, signed):
    PublishedHour.objects.create(petition_id=signed, hour=HOUR, counted=26)

    assert as_xlsx(run("--by", "hour", "--until", "2026-03-01", "--format", "xlsx"))[1:] == [
        [datetime(2026, 3, 1, 23), 26]
    ]


def test_json(run, signed, make_signature):
    make_signature()

    told = json.loads(run("--by", "week,measure", "--since", "2026-02-23", "--until", "2026-03-01", "--format", "json"))

    now = datetime.now(UTC)
    as_of = datetime.fromisoformat(told.pop("as_of"))
    assert abs((now - as_of).total_seconds()) < 60
    assert told == {
        "petition": "chechnya",
        "now": {
            "total": 150_030,
            "collected_before": 150_000,
            "on_paper": 0,
            "confirmed_here": 30,
            "waiting": 0,
            "held": 0,
            "invalidated": 0,
            "withdrawn": 0,
            "confirmed": 30,
            "lapsed": 0,
            "today": 30,
            "confirmation_rate": 1.0,
        },
        "by": ["week", "measure"],
        "since": "2026-02-23T00:00:00Z",
        "before": "2026-03-02T00:00:00Z",
        "rows": [
            {"week": "2026-02-23", "measure": measure, "amount": 30} for measure in ("confirmed", "counted", "signed")
        ],
    }


@pytest.mark.parametrize("format_name", export.FORMATS)
def test_without_signatures_the_files_are_whole_and_empty(run, petition, format_name):
    content = run("--format", format_name)

    if format_name == "json":
        assert json.loads(content)["rows"] == []
        assert json.loads(content)["now"]["confirmation_rate"] is None
    else:
        assert {"csv": as_csv, "xlsx": as_xlsx}[format_name](content) == [["day", "amount"]]


@pytest.mark.parametrize("format_name", export.FORMATS)
def test_no_file_holds_anything_of_a_signer(run, make_signature, format_name):
    for _ in range(10):
        signature = make_signature(
            created_at=HOUR,
            confirmed_at=HOUR,
            name="Nadeschda",
            words="Solidarisch",
            held_reason="burst",
        )
    content = run("--by", "week,country,language,source,measure", "--format", format_name)
    if format_name == "xlsx":
        book = load_workbook(io.BytesIO(content))
        content = repr([[cell.value for cell in row] for sheet in book for row in sheet.rows]).encode()

    assert b"counted" in content
    for secret in (b"Nadeschda", b"Solidarisch", b"burst", bytes(signature.email_digest).hex().encode()):
        assert secret not in content


# Formulas.

nasty = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.sampled_from(['=HYPERLINK("https://example.org")', "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", ";=1", '"=1"']),
)


@given(st.lists(nasty, min_size=1, max_size=4))
def test_no_cell_of_a_csv_is_computed_and_nothing_is_lost(texts):
    file = io.BytesIO()
    export.write(Table(("x",), [((text,), 1) for text in texts], {}), "csv", file)

    rows = as_csv(file.getvalue())[1:]
    assert [cell.removeprefix("'") for cell, _amount in rows] == [text.removeprefix("'") for text in texts]
    for cell, _amount in rows:
        assert not re.match(r"[\t\r\n]|\s*[=+\-@＝＋－＠]", cell)


@settings(max_examples=40)
@given(st.lists(nasty, min_size=1, max_size=4))
def test_no_cell_of_a_workbook_is_a_formula(texts):
    file = io.BytesIO()
    about = {"petition": texts[0], "now": {"total": 1}}
    export.write(Table(("x",), [((text,), 1) for text in texts], about), "xlsx", file)

    book = load_workbook(file)
    assert {cell.data_type for sheet in book for row in sheet.rows for cell in row}.isdisjoint({"f", "e"})
    assert len(list(book["counts"].rows)) == len(texts) + 1


@given(st.text())
def test_a_text_that_is_no_formula_stays_as_it_is(text):
    safe = without_formula(text)

    assert safe in (text, f"'{text}")
    assert without_formula("DE") == "DE"


def test_more_rows_than_a_sheet_has_go_on_in_the_next(monkeypatch):
    monkeypatch.setattr(spreadsheet, "SHEET_ROWS", 2)
    file = io.BytesIO()
    export.write(Table(("x",), [((str(n),), n) for n in range(5)], {"now": {}}), "xlsx", file)

    book = load_workbook(file)
    assert book.sheetnames == ["counts", "counts 2", "counts 3", "about"]
    assert [sheet["B2"].value for sheet in book.worksheets[:3]] == [0, 2, 4]


# The command.


def test_a_file_is_written_and_its_ending_is_the_format(tmp_path, signed, capsys):
    for format_name in export.FORMATS:
        out = str(tmp_path / f"x.{format_name}")
        assert call_command("export_counts", "--by", "week", "--out", out).startswith("Wrote 1 rows to")

    monday = f"{publication.monday_before(timezone.now())}"
    assert as_csv((tmp_path / "x.csv").read_bytes())[1] == [monday, "30"]
    assert as_xlsx((tmp_path / "x.xlsx").read_bytes())[1] == [datetime.fromisoformat(monday), 30]
    assert json.loads((tmp_path / "x.json").read_bytes())["rows"] == [{"week": monday, "amount": 30}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.json", "x.xlsx"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--by", "month,name"],
            "--by: Counts can be grouped by week, day, hour, country, language, source, measure, not by",
        ),
        (["--by", "hour,country"], "--by: Countries, languages, sources and events are told by week"),
        (["--by", ""], "--by: Choose at least one"),
        (["--since", "soon", "--until", "2026-13-01"], "--since: “soon” is no day.*\n--until: “2026-13-01” is no day"),
        (["--petition", "unknown"], "no such petition"),
        (["--out", "/nowhere/x.csv"], "/nowhere/x.csv cannot be written: No such file or directory"),
        (["--out", "/"], "/ cannot be written: Is a directory"),
    ],
)
def test_what_is_wrong_is_said(petition, options, said):
    with pytest.raises(CommandError, match=said):
        call_command("export_counts", *options)


def test_the_petition_opened_last_is_exported_unless_another_is_named(run, signed):
    make_petition(slug="older", opened_at=datetime(2020, 1, 1, tzinfo=UTC))

    assert json.loads(run("--format", "json"))["petition"] == "chechnya"
    assert json.loads(run("--format", "json", "--petition", "older"))["petition"] == "older"


def test_a_failed_export_leaves_the_last_one_as_it_was(tmp_path, signed, monkeypatch):
    (tmp_path / "x.csv").write_text("the last one")

    def fail(table, file):
        file.write(b"half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export.FORMATS, "csv", export.Format(fail, ""))
    with pytest.raises(CommandError, match="No space left"):
        call_command("export_counts", "--out", str(tmp_path / "x.csv"))

    assert [path.read_text() for path in tmp_path.iterdir()] == ["the last one"]


def test_a_long_export_says_how_far_it_is(run, signed, monkeypatch):
    heard = io.StringIO()

    def slow(table, file):
        for number, _row in enumerate(table.rows):
            server.wait_until(lambda number=number: f"{number} rows in 0 s\n" in heard.getvalue())

    monkeypatch.setitem(export.FORMATS, "csv", export.Format(slow, ""))
    monkeypatch.setattr("petition.management.commands.export_counts.QUIET_SECONDS", 0.001)
    run("--by", "country", stderr=heard)

    assert heard.getvalue().startswith("0 rows in 0 s\n")
    assert "1 rows in 0 s\n" in heard.getvalue()


def test_it_leaves_a_trace(run, signed):
    run("--by", "country,week", "--since", "2026-02-23")

    entry = StaffAction.objects.get()
    assert (entry.username, entry.action, entry.about) == ("", "counts_downloaded", "petition chechnya")
    assert (entry.detail, entry.count) == ("csv by=week,country&since=2026-02-23", 2)


def test_what_a_reader_left_half_way_leaves_a_trace_too(run, signed, monkeypatch):
    def leave(table, file):
        raise BrokenPipeError

    monkeypatch.setitem(export.FORMATS, "csv", export.Format(leave, ""))
    with pytest.raises(io.UnsupportedOperation):
        run()  # here standard output has no number that could be closed

    assert StaffAction.objects.get().count is None


def test_a_short_export_says_nothing(run, signed):
    heard = io.StringIO()
    run(stderr=heard)

    assert heard.getvalue() == ""


@pytest.mark.django_db(transaction=True)
def test_as_a_program(signed, publish):
    """Bytes on standard output, a reader that goes away, and an error that is a sentence."""

    publish()

    def start(options):
        return subprocess.Popen(
            f"{sys.executable} manage.py export_counts {options}",
            shell=True,
            cwd=server.PROJECT,
            env=server.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    whole = start("--by country --format xlsx")
    left = start("--by country | true")
    wrong = start("--by name")

    def complaints(said):
        # On a busy machine it says how far it is.
        return re.sub(rb"[\d,]+ rows in \d+ s\s*", b"", said)

    content, said = whole.communicate()
    assert complaints(said) == b""
    assert as_xlsx(content)[1:] == [["DE", 20], ["ES", 10]]
    content, said = left.communicate()
    assert (content, complaints(said)) == (b"", b"")
    assert b"CommandError: --by" in wrong.communicate()[1]
    assert wrong.returncode == 1


# Memory.

MEASURE = """
import django, resource, sys
django.setup()
from django.core.management import call_command
call_command("export_counts", *sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.django_db(transaction=True)
def test_a_year_takes_no_more_memory_than_a_month(petition, tmp_path):
    sql(
        "INSERT INTO petition_publishedcell (petition_id, week, country, language, source, measure, amount, shown)"
        " SELECT %s, date '2026-01-05' + 7 * (n %% 52), n %% 60, n %% 4, n, 'counted', 10, 10"
        " FROM generate_series(1, 100000) AS n",
        petition.pk,
    )

    def peak(until):
        by, out = "week,country,language,source", str(tmp_path / "x.csv")
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "--by", by, "--until", until, "--out", out],
            cwd=server.PROJECT,
            env=server.environment(DJANGO_SETTINGS_MODULE="config.settings"),
            capture_output=True,
            check=True,
        )
        return int(done.stdout.split()[-1])

    assert peak("2027-01-03") < 1.2 * peak("2026-02-01")


@pytest.mark.parametrize("format_name", export.FORMATS)
def test_no_format_keeps_what_it_has_written(format_name, tmp_path):
    def peak(number):
        rows = (((f"{n}", "DE"), n) for n in range(number))
        with (tmp_path / "x").open("wb") as file:
            tracemalloc.start()
            export.write(Table(("source", "country"), rows, {"now": {}}), format_name, file)
            _current, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return highest

    peak(10)
    assert peak(5_000) < peak(500) + 200_000
