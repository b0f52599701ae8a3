"""The arithmetic of the bench, and reading what its load generators print. The bench itself is `make bench`."""

import json
import subprocess
import sys

import pytest

from bench import environment, load, spike
from bench.journeys import Diary
from bench.report import Figure, Report, Row, Target, table

WRK = """\
Running 1s test @ http://127.0.0.1:8000/en/
  2 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.57ms    1.72ms  39.23ms   97.07%
    Req/Sec     3.23k   347.06     3.60k    95.00%
  6438 requests in 1.50s, 33.01MB read
Requests/sec:   4292.04
Transfer/sec:     32.72MB
"""
WRK_WITH_ERRORS = WRK.replace(
    "Requests/sec",
    "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 7\nRequests/sec",
)
PGBENCH = """\
transaction type: insert.sql
number of clients: 16
duration: 1 s
number of transactions actually processed: 7912
number of failed transactions: 0 (0.000%)
latency average = 2.022 ms
initial connection time = 31.151 ms
tps = 7911.302331 (without initial connection time)
"""


def test_a_figure_is_the_median_with_its_spread():
    figure = Figure((100.0, 130.0, 120.0))

    assert figure.median == 120
    assert figure.spread == pytest.approx(0.25)
    assert str(figure) == "120/s ±12%"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12345.6, "12,346"), (231.2, "231"), (85.51, "85.5"), (2.345, "2.35"), (0.5404, "0.540"), (0.0, "0")],
)
def test_a_figure_shows_three_digits(value, shown):
    assert str(Figure((value,), "")) == shown


def test_a_ratio_is_taken_of_what_was_measured_together():
    """The machine was slow during the second repeat, for both."""
    row = Row("sign", Figure((90.0, 40.0, 80.0)), "ceiling", Figure((100.0, 50.0, 100.0)), Target(0.8))

    assert row.ratios == [0.9, 0.8, 0.8]
    assert row.value == 0.8
    assert row.is_met is True


def test_a_target_without_a_ceiling_is_one_of_the_figure():
    assert Row("requests", Figure((7.0,)), target=Target(6, at_most=True)).is_met is False


@pytest.mark.parametrize(("value", "met"), [(0.79, False), (0.8, True), (0.81, True)])
def test_at_least(value, met):
    assert Target(0.8).is_met(value) is met


@pytest.mark.parametrize(("value", "met"), [(1.14, True), (1.15, True), (1.16, False)])
def test_at_most(value, met):
    assert Target(1.15, at_most=True).is_met(value) is met


def test_what_was_not_measured_is_not_called_met():
    row = Row("sign", target=Target(0.95), note="why")

    assert row.is_met is None
    assert "not measured" in table([row])


def test_targets_come_before_the_rest(tmp_path):
    report = Report({"cores": 2})
    report.add(Row("also done", Figure((1.0,))))
    report.add(Row("aimed at", Figure((1.0,)), target=Target(2)))
    report.write(tmp_path / "bench.json")

    text = report.text()
    assert text.index("aimed at") < text.index("Beside them") < text.index("also done")
    assert " NO " in text
    assert [row["met"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]] == [None, False]


def test_wrk_is_read():
    assert load.read_wrk(WRK) == load.Load(requests=6438, seconds=1.5)
    assert load.read_wrk(WRK).per_second == 4292


def test_errors_that_wrk_counts_are_read():
    assert load.read_wrk(WRK_WITH_ERRORS) == load.Load(requests=6438, seconds=1.5, refused=7, broken=10)


def test_a_load_that_nothing_answered_has_no_figure(monkeypatch, tmp_path):
    wrk = tmp_path / "wrk"
    wrk.write_text("#!/bin/sh\necho '  0 requests in 1.00s, 0.00B read'\n")
    wrk.chmod(0o700)
    monkeypatch.setattr(load, "WRK", str(wrk))

    with pytest.raises(load.LoadError, match="Nothing was answered"):
        load.wrk("http://127.0.0.1/", "get.lua", connections=1, seconds=1)


def test_the_usage_of_a_process_is_known_when_it_has_ended():
    started = subprocess.Popen([sys.executable, "-c", "sum(range(1_000_000))"])

    used = environment.usage(started)

    assert started.returncode == 0
    assert used.ru_utime > 0


def test_a_process_that_fails_has_no_figure():
    with pytest.raises(SystemExit, match="failed"):
        environment.usage(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]))


def test_pgbench_is_read():
    assert load.read_pgbench(PGBENCH) == 7911.302331


@pytest.mark.parametrize("printed", ["", PGBENCH.replace("transactions: 0", "transactions: 3")])
def test_a_pgbench_that_failed_has_no_figure(printed):
    with pytest.raises(load.LoadError):
        load.read_pgbench(printed)


def test_the_age_of_a_number_is_since_the_first_signature_it_lacks():
    """Signatures were counted at 1, 2 and 3 seconds, on top of 100 from before."""
    diary = Diary(counted_at=[1.0, 2.0, 3.0])
    diary.shown["page"] = [(0.5, 100), (2.5, 101), (9.0, 101), (9.0, 103)]

    assert diary.ages("page", before=100) == [0, 0.5, 7.0, 0]


@pytest.mark.parametrize(("p", "value"), [(50, 51), (95, 96), (99, 100)])
def test_percentiles(p, value):
    assert spike.percentile(list(range(100, 0, -1)), p) == value


def test_nothing_has_no_percentile():
    assert spike.percentile([], 95) == 0
