"""Counts broken down: how the published number moved, and sums of cells that were released for ended weeks."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from petition.counts import breakdown, tally
from petition.counts.breakdown import Question
from petition.models import PublishedHour, TallyChange
from tests.counts.test_tally import HOUR


@pytest.fixture
def ask(petition):
    def answer(by, since="", until=""):
        question = Question.ask(petition.pk, by.split(","), since, until)
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


@pytest.fixture
def move(petition):
    """Move the published number, as a worker did in this hour."""

    def change(amount, hour=HOUR):
        return PublishedHour.objects.create(petition=petition, hour=hour, counted=amount)

    return change


# What may be asked.


@pytest.mark.parametrize(
    ("by", "since", "until", "field", "said"),
    [
        ("", "", "", "by", "at least one"),
        ("month", "", "", "by", "not by “month”"),
        ("day,name", "", "", "by", "not by “name”"),
        ("hour,country", "", "", "by", "by week, not by day or hour"),
        ("hour,day,source", "", "", "by", "by week, not by day or hour"),
        ("day,measure", "", "", "by", "by week, not by day or hour"),
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
        Question.ask(petition.pk, ["month"], "yesterday", "tomorrow")

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
def test_a_range_has_both_of_its_ends(ask, move, since, until, seen):
    for hours in (-24, -1, 0, 1):
        move(1, HOUR + timedelta(hours=hours))

    assert sum(amount for _cells, amount in ask("hour", since, until)) == seen
    assert sum(amount for _cells, amount in ask("day", since, until)) == seen


@pytest.mark.parametrize(
    ("since", "until", "weeks"),
    [
        ("", "", [16, 23]),
        ("2026-02-16", "2026-03-01", [16, 23]),
        ("2026-02-17", "", [23]),
        ("", "2026-02-28", [16]),
        ("2026-02-23", "2026-03-01", [23]),
        ("2026-02-24", "2026-03-01", []),
    ],
)
def test_a_week_is_told_if_it_lies_in_the_range_as_a_whole(ask, add, since, until, weeks):
    add(10, HOUR, country="DE")
    add(10, HOUR - timedelta(weeks=1), country="DE")

    assert ask("week,country", since, until) == [((date(2026, 2, day), "DE"), 10) for day in weeks]
    assert ask("week,measure", since, until) == [((date(2026, 2, day), "counted"), 10) for day in weeks]


# How the number moved.


def test_series_are_how_the_published_number_moved(ask, move):
    move(12)
    move(-3, HOUR + timedelta(hours=1))
    move(20, HOUR + timedelta(hours=2))

    assert ask("hour") == [((HOUR + timedelta(hours=hours),), amount) for hours, amount in ((0, 12), (1, -3), (2, 20))]
    assert ask("day") == [((date(2026, 3, 1),), 12), ((date(2026, 3, 2),), 17)]
    assert ask("day,hour")[0] == ((date(2026, 3, 1), HOUR), 12)
    assert ask("week") == [((date(2026, 2, 23),), 12), ((date(2026, 3, 2),), 17)]


def test_an_hour_in_which_as_much_came_as_went_is_gone(ask, move):
    move(5)
    move(-5, HOUR - timedelta(hours=1))

    assert ask("day") == []


# Cells of ended weeks.


@pytest.mark.parametrize("folded", [False, True])
def test_cells_of_ended_weeks_are_told_by_every_grouping(ask, add, folded):
    add(30, country="DE", language="de", source="x")
    add(10, country="ES")
    add(50, country="ES", measure="signed")
    if folded:
        tally.fold()

    assert ask("country") == [(("DE",), 30), (("ES",), 10)]
    assert ask("source,language,country") == [(("DE", "de", "x"), 30), (("ES", "en", ""), 10)]
    assert ask("measure") == [(("counted",), 40), (("signed",), 50)]
    assert ask("week,country,measure") == [
        ((date(2026, 2, 23), "DE", "counted"), 30),
        ((date(2026, 2, 23), "ES", "counted"), 10),
        ((date(2026, 2, 23), "ES", "signed"), 50),
    ]


def test_this_week_is_not_told(ask, make_signature):
    for _ in range(30):
        make_signature(confirmed=True, country="DE")

    assert ask("country") == ask("measure") == []


def test_every_grouping_is_a_sum_of_the_same_cells(ask, add):
    for number, country in enumerate(["DE", "ES", "FR", "IT"]):
        for language in ("en", "ru"):
            add(4 + 3 * number, HOUR - timedelta(weeks=number % 2), country=country, language=language)

    finest = ask("week,country,language,source")
    for column, name in enumerate(("week", "country", "language", "source")):
        sums = {}
        for cells, amount in finest:
            sums[cells[column]] = sums.get(cells[column], 0) + amount
        if name != "week":  # weeks without their origins are rounded by themselves
            assert dict(ask(name)) == {(cell,): amount for cell, amount in sums.items() if amount}


def test_measures_are_never_added_up(ask, add):
    add(10, country="DE")
    add(20, country="DE", measure="signed")

    assert ask("measure") == [(("counted",), 10), (("signed",), 20)]
    assert ask("country") == [(("DE",), 10)]


def test_the_order_of_the_question_changes_nothing(ask, add):
    for number, country in enumerate(["DE", "ES", "FR", "IT"]):
        add(4 + 3 * number, HOUR - timedelta(weeks=number % 2), country=country)

    assert ask("week,country,measure") == ask("measure,country,week")


def test_another_petition_is_not_counted(ask, add, move, petition):
    add(10)
    TallyChange.objects.update(petition_id=petition.pk + 1)

    assert ask("measure") == ask("day") == []


# What it costs.


@pytest.mark.parametrize("by", ["day,hour", "week,measure", "week,country,language,source,measure"])
def test_neither_a_signature_nor_an_exact_number_is_read(publish, petition, make_signature, by):
    for _ in range(11):
        make_signature(created_at=HOUR, confirmed_at=HOUR)
    publish()
    with CaptureQueriesContext(connection) as queries:
        assert list(breakdown.rows(Question.ask(petition.pk, by.split(","))))

    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = str(cursor.fetchall())
            for table in ("petition_signature", "petition_tallychange", "petition_daytally", "petition_hourtally"):
                assert table not in plan


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_does_not_see_what_comes_later(publish, petition, make_signature):
    def sign():
        try:
            make_signature(confirmed=True)
            publish()
        finally:
            connections.close_all()

    question = Question.ask(petition.pk, ["day"])
    with tally.snapshot():
        assert list(breakdown.rows(question)) == []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(sign).result()
        assert list(breakdown.rows(question)) == []
        assert tally.current("chechnya").confirmed_here == 0
    with tally.snapshot():
        assert sum(amount for _cells, amount in breakdown.rows(question)) == 1
