"""Fakes stand out, and honest networks do not."""

import html
import re
import sys
from collections import Counter

import pytest
from django.db import connection, transaction
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from petition import identity
from petition.models import SeenDomain, Signature, StaffAction
from petition.models.signature import this_hour
from petition.moderation import anomalies, anomaly_groups, similar
from petition.moderation.anomalies import SPANS
from tests.support import crowds
from tests.support.crowds import HOUR, Crowd, digest, sign

pytestmark = pytest.mark.django_db
HONEST = 100_000


def key(text):
    """How the page of signals knows a network or a mail domain: by eight bytes."""
    return "\\x" + digest(text)[:8].hex()


def one_network(crowd, ago):
    """Three hundred and more mailboxes of the great providers, from one address, in two hours."""
    domains = ["gmail.example", "yahoo.example", "gmx.example", "mail.example"]
    return [crowd.row(ago(n % 2), domains[n % 4], "attacker", "DE", "de", crowd.name()) for n in range(320)], (
        "network",
        key("attacker"),
    )


def one_network_all_day(crowd, ago):
    """A patient one, whose mailboxes are at a domain of his own."""
    return [crowd.row(ago(n % 20), "cheap.example", "attacker", "US", "en", crowd.name()) for n in range(300)], (
        "network",
        key("attacker"),
    )


def one_domain(crowd, ago):
    """A throw-away domain through a network for each."""
    return [crowd.row(ago(n % 4), "throwaway.example", f"proxy {n}", "US", "en", crowd.name()) for n in range(420)], (
        "domain",
        key("throwaway.example"),
    )


def name_pattern(crowd, ago):
    """A program that makes up names."""
    rows = []
    for n in range(460):
        name = f"{crowd.random.choice(['Alex', 'Kim', 'Sam'])}_{crowd.random.randrange(1000, 9999)}"
        rows.append(crowd.row(ago(n % 6), crowd.domain("US", ["yahoo.example"]), f"proxy {n}", "US", "en", name))
    return rows, ("shape", "a_9")


def one_source(crowd, ago):
    """The link of a partner, in a loop."""
    rows = [
        crowd.row(ago(n % 5), crowd.domain("ES", ["hotmail.example"]), f"proxy {n}", "ES", "es", crowd.name(), "choir")
        for n in range(500)
    ]
    return rows, ("source", "choir")


def one_country_at_night(crowd, ago):
    """When Icelanders sleep."""
    now = this_hour()
    asleep = next(hours for hours in range(24) if (now - hours * HOUR).hour == 4)
    rows = [
        crowd.row(now - (asleep or 0) * HOUR, crowd.domain("IS", []), f"proxy {n}", "IS", "en", crowd.name())
        for n in range(540)
    ]
    return rows, ("country", "IS")


def same_words(crowd, ago):
    rows = [
        crowd.row(
            ago(n % 3),
            crowd.domain("DE", ["web.example"]),
            f"proxy {n}",
            "DE",
            "de",
            crowd.name(),
            words="Shame on you!",
        )
        for n in range(350)
    ]
    return rows, ("words", None)


def same_name(crowd, ago):
    rows = [
        crowd.row(ago(n % 3), crowd.domain("DE", ["web.example"]), f"proxy {n}", "DE", "de", "Hans Wurst")
        for n in range(330)
    ]
    return rows, ("name", None)


ATTACKS = [
    one_network,
    one_network_all_day,
    one_domain,
    name_pattern,
    one_source,
    one_country_at_night,
    same_words,
    same_name,
]


def first_of(kind, found):
    return next((anomaly for anomaly in found if anomaly.kind == kind), None)


def described(found):
    return [(anomaly.kind, anomaly.value, round(anomaly.surplus)) for anomaly in found.anomalies]


@pytest.fixture
def evening(monkeypatch):
    """Ten o'clock yesterday, UTC. Americans are awake, who are in three of the attacks; and a network, which has a name
    for one UTC day, has hours to compare: in the first two or three of a day all of them are alike.
    """
    hour = this_hour().replace(hour=22) - 24 * HOUR
    for module in (anomalies, crowds, sys.modules[__name__]):
        monkeypatch.setattr(module, "this_hour", lambda: hour)


@pytest.mark.usefixtures("evening")
@pytest.mark.parametrize(("days", "spans"), [(30, ["day", "month"]), (2, ["day"])])
def test_a_planted_attack_ranks_first_and_no_honest_network_is_listed(petition, days, spans):
    crowd = Crowd(HONEST, days=days)
    sign(petition, crowd.rows)

    for span in SPANS.values():
        assert_no_honest_network(anomalies.find(span))

    planted = []
    for make in ATTACKS:
        rows, attack = make(Crowd(0, seed=make.__name__), lambda hours: this_hour() - (hours + 1) * HOUR)
        planted.append((rows, attack))
        with transaction.atomic():
            sign(petition, rows)
            seen = [anomalies.find(SPANS[name]) for name in spans]
            transaction.set_rollback(True)
        for found in seen:
            assert_first_of_its_kind(attack, found)
            assert found.anomalies[0].surplus == first_of(attack[0], found.anomalies).surplus, described(found)
            assert_no_honest_network(found)

    # All at once. There can be one first network alone.
    sign(petition, [row for rows, _attack in planted[1:] for row in rows])
    found = anomalies.find(SPANS["day"])
    for _rows, attack in planted[1:]:
        assert_first_of_its_kind(attack, found)
    assert_no_honest_network(found)


def assert_first_of_its_kind(attack, found):
    kind, value = attack
    best = first_of(kind, found.anomalies)
    assert best is not None, (attack, described(found))
    assert value in (None, best.value), (attack, described(found))


def assert_no_honest_network(found):
    networks = {anomaly.value for anomaly in found.anomalies if anomaly.kind == "network"}
    assert networks <= {key("attacker")}, described(found)


def test_an_hour_that_goes_round_the_world_is_no_signal(petition):
    """Ten times as many sign in one hour: of every kind, as ever."""
    crowd = Crowd(20_000, days=10)
    more = [crowd.signer() for _ in range(3_000)]
    at = this_hour() - HOUR
    sign(petition, crowd.rows + [(*row[:8], at, row[9] and at) for row in more])

    found = anomalies.find(SPANS["hour"])

    assert found.signatures >= 3_000
    assert [anomaly for anomaly in found.anomalies if anomaly.kind in ("network", "domain", "source", "language")] == []


def test_each_signal_says_in_which_state_its_signatures_are(petition):
    crowd = Crowd(3_000, days=5)
    at = this_hour() - 3 * HOUR
    fakes = [crowd.row(at, "throwaway.example", f"proxy {n}", confirmed=n < 70) for n in range(100)]
    sign(petition, crowd.rows + fakes)
    of_domain = Signature.objects.filter(domain_digest=digest("throwaway.example")).order_by("pk")
    confirmed = list(of_domain.confirmed().values_list("pk", flat=True))
    Signature.objects.filter(pk__in=confirmed[:20]).hold("a test")
    Signature.objects.filter(pk__in=confirmed[20:30]).invalidate("a test")

    anomaly = first_of("domain", anomalies.find(SPANS["day"]).anomalies)

    cell = anomaly.cell
    assert (cell.count, cell.confirmed, cell.held, cell.counted) == (100, 70, 20, 40)
    assert of_domain.filter(pk=cell.example).exists()
    assert (anomaly.since, anomaly.until) == (at, at + HOUR)


def test_nothing_stands_out_where_there_is_nothing_to_compare_with(petition):
    crowd = Crowd(0)
    sign(petition, [crowd.row(this_hour(), "gmail.example", f"{n}") for n in range(200)])

    found = anomalies.find(SPANS["hour"])

    assert (found.anomalies, found.compares) == ([], False)


def test_nobody_at_all_is_no_error(petition):
    for span in SPANS.values():
        assert anomalies.find(span).anomalies == []


def anomaly(kind="name", count=42, **values):
    at = this_hour()
    values = {"expected": 3.2, "hours": 1} | values
    return anomalies.Anomaly(kind, "x", anomalies.Cell(count), since=at, until=at + HOUR, **values)


AT_OTHER_TIMES = "going by this group’s share at other times"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (anomaly(), f"42 signatures in 1 hour; {AT_OTHER_TIMES}, about 3 would be expected."),
        (anomaly(expected=0.4), f"42 signatures in 1 hour; {AT_OTHER_TIMES}, none would be expected."),
        (anomaly(count=1, hours=5), f"1 signature in 5 hours; {AT_OTHER_TIMES}, about 3 would be expected."),
        (anomaly(hours=23), f"42 signatures in 23 hours; {AT_OTHER_TIMES}, about 3 would be expected."),
        (anomaly(hours=24), f"42 signatures in 1 day; {AT_OTHER_TIMES}, about 3 would be expected."),
        (anomaly(hours=72), f"42 signatures in 3 days; {AT_OTHER_TIMES}, about 3 would be expected."),
        (
            anomaly("network", share=0.809, alike=("hour", "words")),
            "80% of 42 signatures share what others from the same countries do not: the hour, the words.",
        ),
    ],
    ids=str,
)
def test_the_reason_is_a_sentence_with_its_numbers(found, sentence):
    assert anomalies.reason(found) == sentence


def test_hours_in_between_are_not_counted_in_the_reason(petition):
    crowd = Crowd(900, days=5)
    hours = [this_hour() - ago * HOUR for ago in (3, 9)]
    fakes = [crowd.row(hours[n % 2], "throwaway.example", f"proxy {n}") for n in range(100)]
    sign(petition, crowd.rows + fakes)

    found = first_of("domain", anomalies.find(SPANS["day"]).anomalies)

    assert (found.since, found.until, found.hours) == (hours[1], hours[0] + HOUR, 2)


def test_the_transaction_around_it_keeps_its_settings_and_no_table(petition):
    def state():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT to_regclass('anomaly_signatures'), current_setting('work_mem'), current_setting('jit')"
            )
            return cursor.fetchone()

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '5MB'; SET LOCAL jit = on")
    for _ in range(2):
        anomalies.find(SPANS["day"])

    assert state() == (None, "5MB", "on")


counts = st.integers(min_value=0, max_value=10_000)


@given(counts, counts, counts, counts)
def test_a_surprise_is_never_negative_and_none_where_shares_are_equal(hits, misses, other_hits, other_misses):
    if hits + misses and other_hits + other_misses:
        assert anomalies.surprise(hits, hits + misses, other_hits, other_hits + other_misses) >= -1e-6
        assert anomalies.surprise(hits, hits + misses, 7 * hits, 7 * (hits + misses)) == pytest.approx(0, abs=1e-6)


@given(counts, counts, counts, counts)
def test_what_is_expected_is_never_more_than_a_third_of_what_there_is(hits, misses, other_hits, other_misses):
    if hits + misses:
        expected = anomalies.expected_of(hits, hits + misses, other_hits, other_hits + other_misses)
        assert expected is None or 0 <= expected <= hits / anomalies.LIFT


@given(st.dictionaries(st.integers(0, 23), st.integers(1, 500), min_size=1), st.integers(2, 50))
def test_a_mix_like_elsewhere_has_nothing_beyond_it(mix, times):
    """A network of any size whose hours are those of the others, however uneven."""
    everybody = sum(mix.values())
    own = Counter({hour: times * number for hour, number in mix.items()})

    assert anomalies.beyond(own, times * everybody, lambda hour: mix[hour] / everybody) == pytest.approx(0, abs=1e-9)
    assert anomalies.most_beyond(own, times * everybody, lambda hour: mix[hour] / everybody) == pytest.approx(
        0, abs=1e-9
    )


# The page.


PAGE = reverse("admin:petition_signals_changelist")
LIST = reverse("admin:petition_signature_changelist")


@pytest.fixture
def administrator(client, make_staff):
    client.force_login(make_staff("administrator"))
    return client


@pytest.fixture
def attacked(petition):
    """A hundred fakes of one domain, name and words, among three thousand others."""
    crowd = Crowd(3_000, days=5)
    at = this_hour() - 3 * HOUR
    fake = {"name": "Hans Wurst", "words": "Shame on you!"}
    fakes = [crowd.row(at, "throwaway.example", f"proxy {n}", **fake) for n in range(100)]
    domain = identity.domain_digest("x@throwaway.example")
    sign(petition, crowd.rows + [(row[0], domain, *row[2:]) for row in fakes])


def text(response):
    return html.unescape(response.content.decode())


def links(page):
    return [html.unescape(url) for url in re.findall(r'class="button" href="([^"]+)"', page.content.decode())]


def test_each_signal_leads_to_its_signatures_and_no_others(moderator, attacked):
    page = moderator.get(PAGE)

    found = {entry.anomaly.kind: entry for entry in page.context["entries"]}
    assert {"domain", "name", "words"} <= set(found)
    assert f"100 signatures in 1 hour; {AT_OTHER_TIMES}, none would be expected." in text(page)
    for kind in ("domain", "name", "words"):
        listed = moderator.get(found[kind].url)
        assert listed.context["cl"].result_count == 50
        assert {row.shown_words.name for row in listed.context["cl"].result_list} == {"Hans Wurst"}
        older = moderator.get(found[kind].url.partition("?")[0] + listed.context["cl"].older_url())
        assert len({row.pk for answer in (listed, older) for row in answer.context["cl"].result_list}) == 100


def test_no_url_holds_a_name_words_a_domain_or_a_digest(moderator, attacked):
    urls = " ".join(links(moderator.get(PAGE))).lower()

    assert urls.count("/signature/") >= 3
    for secret in ("hans", "wurst", "shame", "throwaway", identity.domain_digest("x@throwaway.example").hex()[:8]):
        assert secret not in urls


def test_a_domain_is_named_once_twenty_mailboxes_of_a_day_made_it_known(moderator, attacked):
    assert "throwaway.example" not in text(moderator.get(PAGE))

    at = this_hour() - 3 * HOUR
    known = identity.domain_digest("x@throwaway.example")
    SeenDomain.objects.create(digest=known, name="throwaway.example", shared_on=at.date())

    assert "throwaway.example" in text(moderator.get(PAGE))


def test_an_administrator_sees_numbers_and_no_names(administrator, attacked):
    page = administrator.get(PAGE)

    assert page.context["entries"]
    assert "Hans" not in text(page)
    assert "Shame" not in text(page)
    assert links(page) == []
    assert administrator.post(PAGE, {"kind": "name", "text": "Hans Wurst"}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("domain", " THROWAWAY.example "),
        ("domain", "@throwaway.example"),
        ("name", "hans wurst"),
        ("words", "Shame on you!"),
    ],
)
def test_what_is_typed_is_looked_up_without_standing_in_a_url(moderator, attacked, kind, typed):
    known = {"digest": identity.domain_digest("x@throwaway.example"), "shared_on": (this_hour() - 3 * HOUR).date()}
    SeenDomain.objects.create(name="throwaway.example", **known)
    answer = moderator.post(PAGE, {"kind": kind, "text": typed})

    assert answer.status_code == 302
    assert re.fullmatch(rf"{LIST}\?by={kind}&of=\d+&before=[\d-]+", answer["Location"])
    assert moderator.get(answer["Location"]).context["cl"].result_list[0].shown_words.name == "Hans Wurst"
    entry = StaffAction.objects.get()
    assert (entry.action, entry.detail, entry.about, entry.reason) == ("looked_up", kind, "", "")


@pytest.mark.parametrize(
    ("kind", "typed", "said"),
    [
        ("domain", "nobody.example", "Fewer than 20 signatures have it."),
        ("domain", "", "This field is required."),
        ("domain", "@", "This is no mail domain."),
        ("name", "Nobody", "Fewer than 20 signatures have it."),
        ("shoe", "x", "not one of the available choices"),
    ],
)
def test_what_is_not_found_is_said_where_it_was_typed(moderator, attacked, kind, typed, said):
    answer = moderator.post(PAGE, {"kind": kind, "text": typed})

    assert answer.status_code == 200
    assert said in text(answer)


def test_too_much_to_look_through_is_said_plainly(moderator, petition, monkeypatch):
    monkeypatch.setattr(anomaly_groups, "READ", "SELECT pg_sleep(5), %(since)s, %(horizon)s, %(slice_seconds)s")
    monkeypatch.setattr(anomalies, "LIMIT_SECONDS", 0.1)

    assert "Choose a shorter time." in text(moderator.get(PAGE + "?span=month"))


def test_a_handle_means_nothing_outside(settings):
    inside = similar.handle("network", "\\x01")

    assert inside == similar.handle("network", "\\x01") != similar.handle("domain", "\\x01")
    settings.SECRET_KEY = "another"
    assert inside != similar.handle("network", "\\x01")


@pytest.mark.parametrize("span", ["hour", "day", "month", "nonsense", ""])
def test_the_page_costs_few_statements(moderator, attacked, span, django_assert_max_num_queries):
    moderator.get(PAGE)
    with django_assert_max_num_queries(24):
        assert moderator.get(PAGE, {"span": span}).status_code == 200
