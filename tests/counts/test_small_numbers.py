"""What can be worked out of merged counts, by somebody who knows all public totals and can calculate."""

from collections import Counter
from itertools import chain, combinations, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from petition.counts.breakdown import OTHER, SMALL, TOTAL, merge

DAYS, COUNTRIES, LANGUAGES = (1, 2, 3), ("DE", "ES", "FR"), ("en", "ru")
AXES = (DAYS, COUNTRIES, LANGUAGES)
CELLS = list(product(*AXES))
PRIME = 2**61 - 1  # numbers modulo a large prime, in which one can divide

numbers = st.lists(st.integers(0, 14), min_size=len(CELLS), max_size=len(CELLS))
groupings = st.sets(st.sampled_from(range(len(AXES))), min_size=1).map(lambda axes: tuple(sorted(axes)))


def table(people, by, days=DAYS):
    """What somebody sees who asks for these days, broken down by these axes."""
    cells = Counter()
    for cell, amount in people.items():
        if amount and cell[0] in days:
            cells[tuple(cell[axis] for axis in by)] += amount
    total = cells.total()
    return list(merge(cells)) if total >= SMALL else [((TOTAL,) * len(by), total)]


def cells_of(row, rows, by, days=DAYS):
    """The cells that a row adds up: whoever sees the table knows what its “other” leaves out."""
    found = {cell for cell in CELLS if cell[0] in days}
    for depth, (name, axis) in enumerate(zip(row, by, strict=True)):
        beside = {key[depth] for key, _amount in rows if key[:depth] == row[:depth]}
        found = {cell for cell in found if cell[axis] == name or (name in (OTHER, TOTAL) and cell[axis] not in beside)}
    return found


def every_day():
    """The total of a day is public: everybody can watch the counter."""
    return [{cell for cell in CELLS if cell[0] == day} for day in DAYS]


class Reader:
    """Knows the sums of these sets of cells, and every sum that follows from them."""

    def __init__(self, sums):
        self.known = {}
        for cells in sums:
            if rest := self.without_known(cells):
                first = min(rest)
                inverse = pow(rest[first], -1, PRIME)
                self.known[first] = {place: value * inverse % PRIME for place, value in rest.items()}

    def without_known(self, cells):
        rest = {place: 1 for place, cell in enumerate(CELLS) if cell in cells}
        for first, row in sorted(self.known.items()):
            if factor := rest.get(first):
                for place, value in row.items():
                    rest[place] = (rest.get(place, 0) - factor * value) % PRIME
        return {place: value for place, value in rest.items() if value}

    def knows(self, cells):
        return not self.without_known(cells)


def some(values):
    return chain.from_iterable(combinations(values, size) for size in range(1, len(values) + 1))


# Some days, some countries, some languages; all countries and languages of a day are public.
GROUPS = [
    {cell for cell in CELLS if all(part in parts for part, parts in zip(cell, chosen, strict=True))}
    for chosen in product(*map(some, AXES))
    if len(chosen[1]) < len(COUNTRIES) or len(chosen[2]) < len(LANGUAGES)
]


def small_ones(people, reader):
    amounts = ((sum(people[cell] for cell in group), group) for group in GROUPS)
    return [group for amount, group in amounts if 0 < amount < SMALL and reader.knows(group)]


@given(numbers, groupings)
@example([9, 0, 11, 0, 0, 0] + [0] * 12, (1,))
@example([60, 9, 20, 30, 0, 0] + [0] * 12, (1, 2))
@example([3, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0], (0, 1))
def test_one_table_gives_away_no_number_below_ten(amounts, by):
    people = dict(zip(CELLS, amounts, strict=True))
    rows = table(people, by)

    reader = Reader([*every_day(), *(cells_of(row, rows, by) for row, _amount in rows)])

    assert sum(amount for _row, amount in rows) == sum(amounts)
    assert small_ones(people, reader) == []


@given(numbers)
def test_countries_beside_languages_of_the_same_days_give_away_none(amounts):
    """The overview shows both on one page."""
    people = dict(zip(CELLS, amounts, strict=True))
    seen = every_day()
    for by in [(0,), (1,), (2,)]:
        rows = table(people, by)
        seen += [cells_of(row, rows, by) for row, _amount in rows]

    assert small_ones(people, Reader(seen)) == []


def test_the_reader_can_calculate():
    """Else the tests above would prove nothing."""
    germany, day, german_day = ({cell for cell in CELLS if rule(cell)} for rule in RULES)

    assert Reader([germany, german_day]).knows(germany - german_day)
    assert Reader([*every_day(), german_day]).knows(day - german_day)
    assert not Reader([*every_day(), germany]).knows(german_day)


RULES = (lambda cell: cell[1] == "DE", lambda cell: cell[0] == 1, lambda cell: cell[:2] == (1, "DE"))


# What is not promised, and stands in docs/organisers.md.


@pytest.mark.parametrize(
    ("first", "second", "given_away"),
    [
        ((1, DAYS), (1, DAYS[:2]), {(3, "DE", "en"), (3, "DE", "ru")}),
        ((2, DAYS), (1, 2, DAYS), {cell for cell in CELLS if cell[1:] == ("DE", "ru")}),
    ],
    ids=["one day more", "one column more"],
)
def test_two_tables_can_be_compared(first, second, given_away):
    people = dict.fromkeys(CELLS, 0) | {(day, country, "en"): 20 for day in DAYS for country in COUNTRIES}
    people |= {(3, "DE", "en"): 3, (1, "DE", "ru"): 9, (1, "ES", "ru"): 30}
    seen = every_day()
    for *by, days in (first, second):
        rows = table(people, by, days)
        seen += [cells_of(row, rows, by, days) for row, _amount in rows]

    assert 0 < sum(people[cell] for cell in given_away) < SMALL
    assert Reader(seen).knows(given_away)
