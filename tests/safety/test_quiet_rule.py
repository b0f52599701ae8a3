"""The quiet rule: whoever watches what everybody may read does not see that one person has confirmed."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from petition.counts import breakdown, export, letter, publication, tally
from petition.counts.breakdown import GROUPINGS, ORIGINS, Question
from petition.models import PublishedCell, PublishedCount, Source, TallyChange

TUESDAY = datetime(2026, 3, 3, 12, 30, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
HOME = "/en/"


@pytest.fixture
def clock():
    """Tuesday noon, as long as nobody moves it."""
    with time_machine.travel(TUESDAY, tick=False) as clock:
        yield clock


@pytest.fixture
def quiet(clock, settings, petition, publish):
    """A site as in production, whose number is looked at for the first time."""
    settings.COUNT_STEP = "10"
    publish()
    return petition


@pytest.fixture
def add(petition):
    """Change the ledger, as so many confirmations would."""

    def change(amount=1, **cell):
        values = {"hour": TUESDAY.replace(minute=0), "country": "", "language": "en", "source": "", **cell}
        TallyChange.objects.create(petition=petition, amount=amount, **{"measure": "counted", **values})

    return change


def published():
    return tally.current("chechnya").confirmed_here


# When the number moves.


def test_it_moves_in_steps_of_a_secret_size(quiet, add, publish):
    triggers, before, waited = [], 0, 0
    for _ in range(300):
        add()
        publish()
        waited += 1
        if step := published() - before:
            assert step >= 10
            triggers.append(waited)
            before, waited = published(), 0

    unpublished = tally.exact("chechnya").confirmed_here - published()
    assert 0 <= unpublished < 20
    assert len(set(triggers)) > 3


def test_what_one_step_leaves_unpublished_is_drawn_anew(quiet, add, publish):
    left = set()
    for _ in range(40):
        add(40)
        publish()
        left.add(tally.exact("chechnya").confirmed_here - published())

    assert left <= set(range(11))
    assert len(left) > 4


def test_withdrawals_move_it_by_the_same_rule(quiet, add, publish):
    add(500)
    publish()
    before = published()
    left = 500 - before
    for number in range(1, 10 + left):
        add(-1)
        publish()
        assert published() == before, f"{number} withdrawals show"
    add(-20)
    publish()

    assert before - published() >= 10
    assert published() >= tally.exact("chechnya").confirmed_here


@pytest.mark.parametrize("amount", [1, -1, 7])
def test_on_monday_what_is_left_is_published(quiet, add, publish, clock, amount):
    add(amount)
    publish()
    clock.move_to(MONDAY - timedelta(seconds=1))
    publish()
    assert published() == 0

    clock.move_to(MONDAY)
    publish()
    assert published() == amount
    add(1)
    clock.shift(timedelta(days=6, hours=23))
    publish()
    assert published() == amount


def test_a_day_after_confirming_has_ended_the_exact_number_is_published(quiet, add, publish, clock):
    quiet.closed_at = TUESDAY
    quiet.save()
    add(3)
    clock.move_to(TUESDAY + timedelta(hours=47, minutes=59))
    publish()
    assert published() == 0

    clock.move_to(TUESDAY + timedelta(hours=48))
    publish()
    assert published() == 3


def test_closing_a_petition_again_and_again_gives_no_exact_numbers(quiet, add, publish, clock):
    """Whoever may close it could otherwise ask at any moment."""
    for day in range(3):
        clock.shift(timedelta(minutes=1))
        quiet.closed_at = TUESDAY - timedelta(days=3) + timedelta(minutes=day)
        quiet.save()
        add(1)
        publish()

    assert published() == 1


def test_a_number_is_as_old_as_the_last_look(quiet, publish, clock):
    clock.shift(timedelta(seconds=3))
    publish()

    assert tally.current("chechnya").as_of == TUESDAY + timedelta(seconds=3)


def test_in_a_trial_it_moves_with_each_signature_and_the_page_says_so(petition, add, publish, settings, client):
    assert settings.COUNT_STEP == "1"
    publish()
    for number in range(1, 5):
        add()
        publish()
        assert published() == number

    assert "This is a trial" in client.get(HOME).content.decode()


def test_the_page_says_why_the_number_moves_in_steps(quiet, client):
    said = " ".join(client.get(HOME).content.decode().split())

    assert "Nobody should see when a single person confirms. So this number moves in steps of a random size" in said


@pytest.mark.django_db(transaction=True)
def test_only_one_publishes_at_a_time(petition, add, publish):
    def publish_elsewhere():
        try:
            return publish()
        finally:
            connections.close_all()

    add(5)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [publication.PUBLISHER_LOCK])
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(publish_elsewhere).result() == 0
    assert publish() == 1


def test_the_worker_publishes_and_its_log_has_no_number(quiet, add, caplog, monkeypatch):
    # PostgreSQL has not gone along to that Tuesday.
    monkeypatch.setattr("petition.clock.seconds_ahead", lambda: 0.0)
    add(12_345)
    with caplog.at_level(logging.DEBUG):
        said = call_command("worker", "--once")

    assert published() >= 12_335
    assert "12345" not in caplog.text + said


def test_pages_and_files_read_published_tables_alone(quiet, add, publish, client, admin_client):
    """Exact numbers are made to be wrong by a million, and nobody sees any of it."""
    add(1_000_000)

    for url in (HOME, "/petitions/chechnya/count.json", "/en/petitions/chechnya/embed/"):
        assert "000,000" not in client.get(url).content.decode().replace("150,000", "")
    page = admin_client.get(reverse("admin:petition_counts_page", args=["chechnya"])).content.decode()
    assert "1,000,000" not in page
    assert "1,150,000" not in page
    with tally.snapshot():
        about = export.standing_table(quiet).about
    assert about["now"]["confirmed_here"] == letter.compose(quiet, "en").confirmed_here == 0


# Attacks on the number.


def one_more_or_not(publish, add, chance, people=20, most_lag=10):
    """She adds signatures of her own, watches each, and says for each person whether there was one more. How many of
    her guesses are right.

    She is alone with her targets: nobody else signs, so that she knows the exact number but for the one person.
    """
    right = 0
    with_one_more = [True] * (people // 2) + [False] * (people // 2)
    chance.shuffle(with_one_more)
    for is_there in with_one_more:
        # She learns what is unpublished: it is what the last step left.
        shown = published()
        known = tally.exact("chechnya").confirmed_here - shown
        add(is_there)
        publish()
        seen = published() - shown
        while not seen:
            add()
            known += 1
            publish()
            seen = published() - shown
        lag = known - seen  # if there was nobody
        if lag < 0:
            guess = True
        elif lag == most_lag:
            guess = False
        else:
            guess = chance.random() < 0.5
        right += guess == is_there
    return right


def test_who_adds_signatures_and_watches_each_does_not_see_one_more(quiet, add, publish):
    right = one_more_or_not(publish, add, random.Random(7), people=100)

    # One look is right for certain in one of eleven cases, so 54 or 55 of 100.
    assert 38 <= right <= 70


def test_the_same_attack_sees_everybody_where_the_number_is_exact(petition, add, publish, settings):
    assert settings.COUNT_STEP == "1"
    publish()

    assert one_more_or_not(publish, add, random.Random(7), most_lag=0) == 20


def test_lags_are_drawn_evenly(settings):
    settings.COUNT_STEP = "10"
    drawn = [publication.new_lag() for _ in range(5_500)]

    assert set(drawn) == set(range(11))
    assert all(350 < drawn.count(lag) < 650 for lag in range(11))


@pytest.mark.parametrize(("steps", "least", "most"), [(1, 0.50, 0.60), (10, 0.75, 0.87)])
def test_alone_in_a_week_she_learns_something_from_every_step(settings, steps, least, most):
    """Not promised (docs/organisers.md says so): ten steps take her some 100 mailboxes, and that nobody else signs."""
    settings.COUNT_STEP = "10"
    right, chance, trials = 0, random.Random(2), 2_000
    for _ in range(trials):
        is_there = chance.random() < 0.5
        looks = [publication.new_lag() for _step in range(steps)]
        is_sure = (0 if is_there else 10) in looks
        right += is_sure or chance.random() < 0.5
    assert least <= right / trials <= most


def test_the_wire_at_four_hertz_dates_no_confirmation(quiet, add, publish, client):
    assert 10 <= dated(publish, add, client, random.Random(3)) <= 30


def test_the_same_observer_dates_them_where_the_number_is_exact(petition, add, publish, client, settings):
    publish()

    assert dated(publish, add, client, random.Random(3)) >= 38


def dated(publish, add, client, chance, people=40, seconds=300):
    """She knows two moments of each of 40 people, at one of which that person was on the line, and polls count.json
    four times a second; the number is looked at once a second. She says the moment that a step follows sooner."""
    moments = sorted(chance.sample(range(4 * seconds), people))
    seen, before = [], None
    for tick in range(4 * seconds):
        if tick in moments:
            add()
        if tick % 4 == 3:
            publish()
        total = client.get("/petitions/chechnya/count.json").json()["total"]
        if before is not None and total != before:
            seen.append(tick)
        before = total

    def wait(moment):
        return min((step - moment for step in seen if step >= moment), default=4 * seconds)

    right = 0
    for true in moments:
        false = chance.choice([tick for tick in range(4 * seconds) if all(abs(tick - other) > 8 for other in moments)])
        right += wait(true) < wait(false) or (wait(true) == wait(false) and chance.random() < 0.5)
    return right


# Cells of ended weeks.

amounts = st.integers(-30, 10**6)


@given(amounts, st.binary(min_size=32, max_size=32), st.text())
def test_a_cell_is_rounded_to_a_ten_beside_it_and_always_the_same(amount, secret, cell):
    shown = publication.rounded(amount, secret, cell)

    assert shown % 10 == 0
    assert abs(shown - amount) < 10
    assert shown == publication.rounded(amount, secret, cell)


@pytest.mark.parametrize("amount", [1, 5, 9, 14, -3])
def test_rounding_is_right_on_average(amount):
    shown = [publication.rounded(amount, b"secret", f"{number}") for number in range(4_000)]

    assert abs(sum(shown) / len(shown) - amount) < 0.5


def shown_of(week):
    return {(cell.country, cell.measure): cell.shown for cell in PublishedCell.objects.filter(week=week)}


def test_cells_come_when_their_week_has_ended_and_are_never_revised(quiet, add, publish, clock):
    for country in ("DE", "FR", "IT"):
        add(20, country=country)
    publish()
    assert not PublishedCell.objects.exists()
    clock.move_to(MONDAY)
    publish()
    first = {("DE", "counted"): 20, ("FR", "counted"): 20, ("IT", "counted"): 20}
    assert shown_of("2026-03-02") == first

    # One who signed in that week withdraws, and others come in it late.
    add(-10, country="DE")
    add(30, country="ES")
    add(20, country="PL")
    publish()
    assert shown_of("2026-03-02") == first
    clock.shift(timedelta(weeks=1))
    publish()

    assert shown_of("2026-03-02") == first
    assert shown_of("2026-03-09") == {("DE", "counted"): -10, ("ES", "counted"): 30, ("PL", "counted"): 20}


@pytest.mark.parametrize("countries", [("DE",), ("DE", "ES")])
def test_where_few_cells_make_up_a_week_they_are_told_as_one_with_those_of_the_next(
    quiet, add, publish, clock, countries
):
    """The total of a Monday is exact: one cell alone would be that, and of two each would give away the other."""
    for country in countries:
        add(13, country=country)
    clock.move_to(MONDAY)
    publish()
    assert published() == 13 * len(countries)
    assert not PublishedCell.objects.exists()

    for country in ("DE", "ES", "FR", "IT"):
        add(20, country=country, hour=MONDAY)
    clock.shift(timedelta(weeks=1))
    publish()

    assert not shown_of("2026-03-02")
    amounts = dict(PublishedCell.objects.filter(week="2026-03-09").values_list("country", "amount"))
    assert amounts == {country: 33 if country in countries else 20 for country in ("DE", "ES", "FR", "IT")}


def test_the_numbers_of_a_week_do_not_wait_for_its_cells(quiet, add, publish, clock):
    for measure in ("signed", "confirmed", "counted"):
        add(50, country="DE", measure=measure)
    clock.move_to(MONDAY)
    publish()

    assert not PublishedCell.objects.exists()
    assert tally.standing(quiet.pk).confirmed == 50


def test_nobody_is_shown_to_withdraw_where_nobody_was_shown(quiet, add, publish, clock, monkeypatch):
    """A 0 that is followed by a −10 would say that there had been somebody."""
    monkeypatch.setattr(publication, "rounded", lambda amount, secret, cell: amount // 10 * 10)
    for country in ("DE", "ES", "FR", "IT"):
        add(40, country=country)
    add(5, country="RU")
    clock.move_to(MONDAY)
    publish()
    add(-5, country="RU")
    add(-5, country="DE")
    for country in ("ES", "FR", "IT"):
        add(40, country=country, hour=MONDAY)
    clock.shift(timedelta(weeks=1))
    publish()

    shown = shown_of("2026-03-09")
    assert (shown["RU", "counted"], shown["DE", "counted"]) == (0, -10)


def test_a_sum_is_moved_no_further_than_its_cells_ask_for():
    few, many = publication.Sum(amount=12, shown=10, cells=1), publication.Sum(amount=120, shown=90, cells=6)

    assert (few.bounded(20), many.bounded(120), publication.Sum().bounded(10)) == (10, 120, 10)
    wide = [publication.Sum(30, shown, cells=3).is_as_wide_as_its_cells() for shown in (20, 21, 39, 40)]
    assert wide == [False, True, True, False]


def test_after_weeks_without_a_worker_each_gets_its_own(quiet, add, publish, clock):
    for week in range(3):
        for country in ("DE", "ES", "FR"):
            add(10, country=country, hour=TUESDAY.replace(minute=0) + timedelta(weeks=week))
    clock.move_to(MONDAY + timedelta(weeks=2))
    publish()

    assert {f"{cell.week}": cell.shown for cell in PublishedCell.objects.all()} == {
        "2026-03-02": 10,
        "2026-03-09": 10,
        "2026-03-16": 10,
    }


def test_a_restored_backup_rounds_alike(quiet, add, publish, clock):
    """Two ways to round one number would say more about it than one."""
    for number, country in enumerate(["DE", "ES", "FR", "IT", "NL", "SE", "PL", "CZ"]):
        add(3 + number, country=country)
    clock.move_to(MONDAY)
    with transaction.atomic():
        publish()
        first = shown_of("2026-03-02")
        transaction.set_rollback(True)
    publish()

    assert shown_of("2026-03-02") == first


LANGUAGES, COUNTRIES, TAGS = ("en", "ru"), ("DE", "ES", "RU"), ("", "partner")


def groupings():
    for size in range(1, 6):
        for by in combinations(("week", *ORIGINS, "measure"), size):
            if set(by) & {*ORIGINS, "measure"}:
                yield by
    yield from (("hour",), ("day",), ("week",))


def everything(petition, client, token):
    """All that organisers, tokens, files and the letter say."""
    told = {}
    with tally.snapshot():
        for by in groupings():
            question = Question.ask(petition.pk, by)
            told[by] = list(breakdown.rows(question))
            answer = client.get(
                f"/petitions/chechnya/counts.json?by={','.join(by)}",
                headers={"authorization": f"Bearer {token.shown_once}"},
            )
            told["token", by] = b"".join(answer.streaming_content)
    told["letter"] = letter.compose(petition, "en").countries
    told["page"] = tally.standing(petition.pk)
    told["count"] = published()
    return told


def test_all_groupings_are_sums_of_the_same_released_cells(quiet, add, publish, clock, client, settings):
    """So that somebody who asks all of them knows no more than each cell by its rounding."""
    chance = random.Random(5)
    fill(add, people(chance))
    clock.move_to(MONDAY)
    publish()

    finest = list(breakdown.rows(Question.ask(quiet.pk, ("week", *ORIGINS, "measure"))))
    for by in groupings():
        if not set(by) & set(ORIGINS):
            continue
        sums = {}
        for cells, amount in finest:
            named = dict(zip(("week", *ORIGINS, "measure"), cells, strict=True))
            if "measure" in by or named["measure"] == "counted":
                key = tuple(named[name] for name in GROUPINGS if name in by)
                sums[key] = sums.get(key, 0) + amount
        assert dict(breakdown.rows(Question.ask(quiet.pk, by))) == {key: n for key, n in sums.items() if n}, by


def people(chance):
    return {
        (country, language, source): chance.randint(0, 40)
        for country in COUNTRIES
        for language in LANGUAGES
        for source in TAGS
    }


def fill(add, cells):
    for (country, language, source), amount in cells.items():
        for measure in ("signed", "confirmed", "counted"):
            if amount:
                add(amount, country=country, language=language, source=source, measure=measure)


def test_who_asks_everything_cannot_tell_one_who_is_elsewhere(quiet, add, publish, clock, client, settings):
    """Two worlds, in which one person stands in another cell: whatever is asked, the answers can be the same."""
    settings.DASHBOARD_RATE = "10000/m"
    token = make_token()
    cells = people(random.Random(11))
    secret = bytes(PublishedCount.objects.get().secret)

    def shown(cell, amount):
        country, language, source = cell
        return publication.rounded(amount, secret, f"2026-03-02|{country}|{language}|{source}")

    # Somebody of `one` could as well be of `other`.
    moves = [
        (one, other)
        for one in cells
        for other in cells
        if one != other
        and cells[one] > 1
        and shown(one, cells[one]) == shown(one, cells[one] - 1)
        and shown(other, cells[other]) == shown(other, cells[other] + 1)
    ]
    assert {one for one, _other in moves} | {other for _one, other in moves} >= {
        cell for cell, amount in cells.items() if amount % 10 not in (0, 9)
    }
    one, other = moves[0]
    told = []
    for world in (cells, cells | {one: cells[one] - 1, other: cells[other] + 1}):
        with transaction.atomic():
            fill(add, world)
            clock.move_to(MONDAY)
            publish()
            told.append(everything(quiet, client, token))
            clock.move_to(TUESDAY)
            transaction.set_rollback(True)

    assert told[0] == told[1]


def make_token():
    from petition.models import CountsToken

    token = CountsToken(name="A dashboard")
    token.make()
    token.save()
    return token


# A tag for one person.


def canaries(quiet, add, publish, clock, chance, read, number=200):
    """An organiser makes a tag for each person, signs nine times by way of it, and looks a week later whether it became
    ten. How often she is right."""
    confirmed = {f"for-{n}": n % 2 == 0 for n in range(number)}
    for tag, is_there in confirmed.items():
        for measure in ("signed", "confirmed", "counted"):
            add(9 + is_there, country="RU", language="ru", source=tag, measure=measure)
    clock.move_to(MONDAY)
    publish()
    seen = read()
    right = 0
    for tag, is_there in confirmed.items():
        guess = seen.get(tag, 0) >= 10 and (seen[tag] == 10 or chance.random() < 0.5)
        right += guess == is_there
    return right


def test_a_tag_for_one_person_tells_next_to_nothing(quiet, add, publish, clock):
    def read():
        return {tag: amount for (tag,), amount in breakdown.rows(Question.ask(quiet.pk, ["source"]))}

    # Nine are shown as ten in nine of ten cases: 55 of 100 are right.
    assert 85 <= canaries(quiet, add, publish, clock, random.Random(1), read) <= 128


def test_the_same_tag_tells_it_where_cells_are_exact(quiet, add, publish, clock):
    def read():
        return dict(PublishedCell.objects.filter(measure="counted").values_list("source", "amount"))

    assert canaries(quiet, add, publish, clock, random.Random(1), read) == 200


def test_every_tag_stands_on_a_public_page(client, db):
    call_command("load_campaign", verbosity=0)
    Source.objects.create(slug="petrov", title="Only for Petrov")

    page = client.get("/en/counter/").content.decode()
    assert "petrov" in page
    assert "Only for Petrov" in page
