"""Counts broken down: exact where that is asked for, and else in cells that are about ten people at least."""

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from petition.counts import breakdown, tally
from petition.counts.breakdown import OTHER, SMALL, TOTAL, Question, large_enough, merge
from petition.models import DayTally, HourTally, Measure, TallyChange
from tests.counts.test_tally import HOUR


@pytest.fixture
def ask(petition):
    def answer(by, since="", until="", **options):
        question = Question.ask(petition.pk, by.split(",") if by else [], since, until, **options)
        with tally.snapshot():
            return list(breakdown.rows(question))

    return answer


@pytest.fixture
def add(petition):
    """Change a cell of the ledger, as many signatures would."""

    def change(amount, hour=HOUR, country="", language="en", source="", measure="counted"):
        return TallyChange.objects.create(
            petition=petition,
            hour=hour,
            country=country,
            language=language,
            source=source,
            measure=measure,
            amount=amount,
        )

    return change


# What may be asked.


@pytest.mark.parametrize(
    ("by", "since", "until", "field", "said"),
    [
        ("", "", "", "by", "at least one"),
        ("week", "", "", "by", "not by “week”"),
        ("day,name", "", "", "by", "not by “name”"),
        ("hour,country", "", "", "by", "by day, not by hour"),
        ("hour,day,source", "", "", "by", "by day, not by hour"),
        ("day", "yesterday", "", "since", "“yesterday” is no day"),
        ("day", "", "2026-02-30", "until", "is no day"),
        ("day", "2026-03-01T24", "", "since", "is no day"),
        ("day", "", "9999-12-31", "until", "is no day"),
        ("day", "0000-01-01", "", "since", "is no day"),
        ("day", "٢٠٢٦-٠٣-٠١", "", "since", "is no day"),
        ("day", "2026-03-01 14:00", "", "since", "is no day"),
        ("country", "2026-03-01T14", "", "since", "leave out the hour"),
        ("day", "2026-03-02", "2026-03-01", "until", "before the beginning"),
        ("hour", "2026-03-01T15", "2026-03-01T14", "until", "before the beginning"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(petition, by, since, until, field, said):
    with pytest.raises(ValidationError) as refused:
        Question.ask(petition.pk, by.split(",") if by else [], since, until)

    assert list(refused.value.message_dict) == [field]
    assert said in refused.value.message_dict[field][0]


def test_several_mistakes_are_told_at_once(petition):
    with pytest.raises(ValidationError) as refused:
        Question.ask(petition.pk, ["week"], "yesterday", "tomorrow")

    assert set(refused.value.message_dict) == {"by", "since", "until"}


@pytest.mark.parametrize(
    ("since", "until", "seen"),
    [
        ("", "", 4),
        ("2026-03-01", "", 3),
        ("", "2026-03-01", 3),
        ("2026-03-01", "2026-03-01", 2),
        ("2026-03-01T23", "", 2),
        ("2026-03-01T22", "2026-03-01T22", 1),
        (" 2026-03-01T22:00 ", "2026-03-01T22:00Z", 1),
        ("2026-03-02", "2026-03-02", 1),
    ],
)
@pytest.mark.parametrize("folded", [False, True])
def test_a_range_has_both_of_its_ends(ask, add, since, until, seen, folded):
    for hours in (-24, -1, 0, 1):
        add(1, HOUR + timedelta(hours=hours))
    if folded:
        tally.fold()

    assert ask("measure", since, until, exact=True) == [(("counted",), seen)]
    if "T" not in since + until:
        assert sum(amount for _cells, amount in ask("country", since, until, exact=True)) == seen


# Exact.


@pytest.mark.parametrize("folded", [False, True])
def test_exact_figures_are_the_cells_of_the_ledger(ask, add, folded):
    add(3, country="DE", language="de", source="x")
    add(-1, country="DE", language="de", source="x")
    if folded:
        tally.fold()
    add(1, country="ES")
    add(5, HOUR + timedelta(hours=1), country="ES", measure="signed")

    assert ask("hour", exact=True) == [((HOUR,), 3)]
    assert ask("day", exact=True) == [((date(2026, 3, 1),), 3)]
    assert ask("day,hour", exact=True) == [((date(2026, 3, 1), HOUR), 3)]
    assert ask("country", exact=True) == [(("DE",), 2), (("ES",), 1)]
    assert ask("source,language,country", exact=True) == [(("DE", "de", "x"), 2), (("ES", "en", ""), 1)]
    assert ask("measure", exact=True) == [(("counted",), 3), (("signed",), 5)]
    assert ask("day,country,measure", exact=True) == [
        ((date(2026, 3, 1), "DE", "counted"), 2),
        ((date(2026, 3, 1), "ES", "counted"), 1),
        ((date(2026, 3, 2), "ES", "signed"), 5),
    ]


def test_a_cell_that_became_empty_is_gone(ask, make_signature):
    make_signature(confirmed=True, country="DE").delete()

    assert ask("country", exact=True) == []


def test_another_petition_is_not_counted(ask, add, petition):
    change = add(5)
    TallyChange.objects.filter(pk=change.pk).update(petition_id=petition.pk + 1)

    assert ask("day", exact=True) == []


# Merged.


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ({"DE": 10, "ES": 10}, {"DE", "ES"}),
        ({"DE": 10, "ES": 9}, set()),
        ({"DE": 11, "ES": 10, "FR": 9}, {"DE"}),
        ({"DE": 500, "ES": 20, "FR": 9, "IT": 1}, {"DE", "ES"}),
        ({"DE": 500, "ES": 20, "FR": 4, "IT": 5}, {"DE"}),
        ({"DE": 9}, set()),
        ({"DE": 15, "FR": 12, "XX": -1}, {"DE"}),
        ({}, set()),
    ],
)
def test_small_cells_are_merged_until_they_are_ten_together(amounts, shown):
    assert large_enough(amounts) == shown


amounts = st.integers(1, 40)
words = st.sampled_from(["", "DE", "ES", "FR", "RU", "US"])
cells = st.integers(1, 3).flatmap(lambda depth: st.dictionaries(st.tuples(*[words] * depth), amounts, min_size=1))


@given(cells)
@example({("DE", "de"): 9, ("DE", "en"): 1, ("ES", "es"): 1})
def test_merging_keeps_every_sum_and_shows_no_small_cell(table):
    total = sum(table.values())
    if total < SMALL:
        return
    merged = list(merge(table))

    assert sum(amount for _key, amount in merged) == total
    assert min(amount for _key, amount in merged) >= SMALL
    assert len({key for key, _amount in merged}) == len(merged)
    for depth in range(1, len(next(iter(table)))):
        # A row of totals that a reader adds up is no small cell either.
        assert min(sums(merged, depth).values()) >= SMALL
    for head, amount in sums(merged, 1).items():
        if head != (OTHER,):
            # What is shown by its name is all there is of it.
            assert amount == sums(table.items(), 1)[head]


@given(cells)
def test_merging_a_table_without_small_cells_changes_nothing(table):
    large = {key: amount + SMALL for key, amount in table.items()}

    assert dict(merge(large)) == large


@given(st.dictionaries(words, amounts, min_size=1))
def test_what_is_hidden_is_more_than_one_cell(table):
    """A total beside the table would give a single one away."""
    hidden = table.keys() - large_enough(table)

    assert len(hidden) != 1 or sum(table.values()) < SMALL
    assert all(table[cell] >= SMALL for cell in table.keys() - hidden)


def sums(rows, depth):
    found = Counter()
    for key, amount in rows:
        found[key[:depth]] += amount
    return found


moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 4)).map(
    lambda moment: moment.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
)
changes = st.lists(
    st.tuples(
        moments,
        words,
        st.sampled_from(["en", "ru"]),
        st.sampled_from(["", "x"]),
        st.sampled_from(["counted", "signed"]),
        st.integers(1, 30),
    ),
    max_size=12,
)
groupings = st.sets(st.sampled_from(breakdown.GROUPINGS), min_size=1).filter(
    lambda by: "hour" not in by or not by & set(breakdown.ORIGINS)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(changes, changes, groupings)
def test_from_the_database_too(petition, ask, add, folded, unfolded, by):
    for model in (TallyChange, HourTally, DayTally):
        model.objects.all().delete()
    for moment, country, language, source, measure, amount in folded:
        add(amount, moment, country, language, source, measure)
    tally.fold()
    for moment, country, language, source, measure, amount in unfolded:
        add(amount, moment, country, language, source, measure)
    totals = defaultdict(int)
    for *_cells, measure, amount in folded + unfolded:
        if "measure" in by or measure == "counted":
            totals[measure] += amount

    exact, merged = (ask(",".join(by), exact=exact) for exact in (True, False))

    for rows in (exact, merged):
        found = defaultdict(int)
        for cells, amount in rows:
            found[cells[-1] if "measure" in by else "counted"] += amount
        assert found == totals
    for cells, amount in merged:
        names = [cell for cell in cells if cell not in Measure.values]
        assert amount >= SMALL or set(names) <= {TOTAL}
    assert len({cells for cells, _amount in merged}) == len(merged)
    assert set(merged) == {row for measure in totals for row in merged_at_once(exact, by, measure)}


def merged_at_once(exact, by, measure):
    """The same by the rule itself, with everything in memory."""
    last = (measure,) if "measure" in by else ()
    depth = len(by) - len(last)
    table = {cells[:depth]: amount for cells, amount in exact if cells[depth:] == last}
    total = sum(table.values())
    rows = merge(table) if total >= SMALL else [((TOTAL,) * depth, total)]
    return [(cells + last, amount) for cells, amount in rows]


def test_a_handful_is_shown_as_a_total_and_nothing_else(ask, add):
    add(3, country="DE")
    add(4, country="ES")
    add(30, country="FR", measure="signed")

    assert ask("country,language,measure") == [(("FR", "en", "signed"), 30), ((TOTAL, TOTAL, "counted"), 7)]


def test_small_days_are_merged_and_still_broken_down(ask, add):
    for day in range(6):
        add(8, HOUR + timedelta(days=day), country="DE")
        add(1, HOUR + timedelta(days=day), country=f"{day}")
    add(12, HOUR - timedelta(days=1), country="DE")

    assert ask("day,country") == [((date(2026, 2, 28), "DE"), 12), ((OTHER, OTHER), 54)]


def test_measures_are_never_added_up(ask, add):
    add(4, country="DE")
    add(9, country="DE", measure="signed")

    assert ask("measure") == [(("counted",), 4), (("signed",), 9)]


def test_the_order_of_the_question_changes_nothing(ask, add):
    for number, country in enumerate(["DE", "ES", "FR", "IT"]):
        add(4 + 3 * number, HOUR + timedelta(days=number % 2), country=country)

    assert ask("day,country,measure") == ask("measure,country,day")


# What it costs.


@pytest.mark.parametrize("by", ["hour,measure", "day,country,language,source,measure"])
@pytest.mark.parametrize("exact", [True, False])
def test_no_signature_is_read(ask, make_signature, by, exact):
    for _ in range(11):
        make_signature(confirmed=True)
    with CaptureQueriesContext(connection) as queries:
        assert ask(by, exact=exact)

    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if "SELECT" in query["sql"]:
                cursor.execute("EXPLAIN " + query["sql"])
                assert "petition_signature" not in str(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_does_not_see_what_comes_later(petition, make_signature):
    def sign():
        try:
            make_signature(confirmed=True)
        finally:
            connections.close_all()

    question = Question.ask(petition.pk, ["day"], exact=True)
    with tally.snapshot():
        assert list(breakdown.rows(question)) == []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(sign).result()
        assert list(breakdown.rows(question)) == []
        assert tally.current("chechnya").confirmed_here == 0
    with tally.snapshot():
        assert sum(amount for _cells, amount in breakdown.rows(question)) == 1
