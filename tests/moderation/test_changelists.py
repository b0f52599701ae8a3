"""Lists of the admin among many rows: the same few statements, none of which counts or reads them all."""

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaign.models import Page
from petition import identity
from petition.admin import changelist
from petition.mail.keys import newest
from petition.models import ListedDomain, OutgoingMail, Signature, Source, StaffAction, Verdict
from petition.models.signature import this_hour
from petition.moderation import anomalies, domains, similar
from tests.conftest import make_petition

pytestmark = pytest.mark.django_db

SIGNATURES = reverse("admin:petition_signature_changelist")
MAILS = reverse("admin:petition_outgoingmail_changelist")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _groups_of_any_size(monkeypatch):
    """That staff see groups from 20 on alone is for `test_groups.py`."""
    monkeypatch.setattr(similar, "SMALLEST", 0)


@pytest.fixture
def staff(client, admin_user):
    client.force_login(admin_user)
    return client


@pytest.fixture
def make_mails(petition):
    def make(number, **overrides):
        values = {"petition": petition, "kind": "sign", "recipient": b"", "language": "en", "key_id": newest().key}
        return OutgoingMail.objects.bulk_create([OutgoingMail(**values | overrides) for _ in range(number)])

    return make


def shown(response):
    return [row.pk for row in response.context["cl"].result_list]


def walk(client, url):
    """Every row of a list, page after page, and how many pages there are."""
    rows, pages = [], 0
    path = url.partition("?")[0]
    while True:
        response = client.get(url)
        rows += shown(response)
        pages += 1
        if not response.context["cl"].older:
            return rows, pages
        url = path + response.context["cl"].older_url()


# Pages by time.


def test_pages_go_back_by_the_hour_and_show_each_signature_once(staff, make_signature):
    made = [make_signature(created_at=this_hour() - timedelta(hours=number // 40)) for number in range(120)]

    rows, pages = walk(staff, SIGNATURES)

    assert rows == [row.pk for row in sorted(made, key=lambda row: (row.created_at, row.pk), reverse=True)]
    assert pages == 3


def test_what_is_signed_meanwhile_moves_no_page(staff, make_signature):
    ids = sorted(make_signature(created_at=this_hour() - DAY).pk for _ in range(60))
    older = SIGNATURES + staff.get(SIGNATURES).context["cl"].older_url()

    make_signature()

    assert shown(staff.get(older)) == ids[9::-1]


def test_a_page_looks_no_further_back_than_a_stretch_and_says_so(staff, make_signature, monkeypatch):
    monkeypatch.setattr(changelist, "STRETCH", 10)
    hours = [this_hour() - timedelta(hours=number) for number in range(26)]
    for hour in hours[:-1]:
        make_signature(country="DE", created_at=hour)
    wanted = make_signature(country="IS", created_at=hours[-1])

    page = staff.get(f"{SIGNATURES}?country=IS")
    assert shown(page) == []
    assert "Looked through 10 of them." in page.content.decode()

    rows, pages = walk(staff, f"{SIGNATURES}?country=IS")
    assert rows == [wanted.pk]
    assert pages == 3


@pytest.mark.parametrize("before", ["", "x", "9" * 30, "1-0x1", "1-" + "9" * 30])
def test_a_place_that_is_none_shows_the_newest(staff, make_signature, before):
    signature = make_signature()

    assert shown(staff.get(SIGNATURES, {"before": before})) == [signature.pk]


def test_an_empty_list_is_one(staff):
    assert "Nothing of this kind." in staff.get(SIGNATURES).content.decode()


# What signatures are filtered by.


STATES = {
    "pending": {"pending"},
    "confirmed": {"counted", "held", "invalidated"},
    "counted": {"counted"},
    "held": {"held"},
    "invalidated": {"invalidated"},
}


@pytest.mark.parametrize("state", STATES)
def test_signatures_are_filtered_by_state(staff, make_signature, state):
    now = this_hour()
    rows = {
        "pending": make_signature(),
        "counted": make_signature(confirmed=True),
        "held": make_signature(confirmed=True, held_at=now),
        "invalidated": make_signature(confirmed=True, invalidated_at=now),
    }

    found = shown(staff.get(SIGNATURES, {"state": state}))

    assert set(found) == {rows[name].pk for name in STATES[state]}


@pytest.mark.parametrize(
    ("about", "other", "filters"),
    [
        ({"country": "IS"}, {"country": "DE"}, {"country": "IS"}),
        ({"language": "ru"}, {"language": "en"}, {"language": "ru"}),
        ({"source": "choir"}, {"source": ""}, {"source": "choir"}),
        ({"created_at": this_hour()}, {"created_at": this_hour() - DAY}, {"since": f"{this_hour():%Y-%m-%dT%H:%M}"}),
        ({"created_at": this_hour() - DAY}, {"created_at": this_hour()}, {"until": f"{this_hour():%Y-%m-%dT%H:%M}"}),
    ],
)
def test_signatures_are_filtered_by_facts(staff, make_signature, about, other, filters):
    Source.objects.create(slug="choir", title="Choir")
    make_signature(**other)
    wanted = make_signature(**about)
    make_signature(**other)

    assert shown(staff.get(SIGNATURES, filters)) == [wanted.pk]


@pytest.mark.parametrize(
    ("kind", "value", "alike", "other"),
    [
        ("network", {"network_digest": bytes(32)}, {"network_digest": bytes(32)}, {"network_digest": b"1" * 32}),
        ("domain", {"domain_digest": bytes(32)}, {"domain_digest": bytes(32)}, {"domain_digest": b"1" * 32}),
        ("name", {"name": "Hans Wurst"}, {"name": " hans WURST "}, {"name": "Hans Wursti"}),
        ("shape", {"name": "Anna_1984"}, {"name": "olga_7"}, {"name": "olga.7"}),
        ("words", {"words": "Shame!"}, {"words": "SHAME!"}, {"words": "Shame"}),
    ],
)
def test_signatures_that_share_something_with_one_are_listed_by_its_number(
    staff, make_signature, kind, value, alike, other
):
    one, two = (make_signature(confirmed=True, **values) for values in (value, alike))
    make_signature(confirmed=True, **other)
    make_signature()

    page = staff.get(SIGNATURES, {"by": kind, "of": one.pk})

    assert set(shown(page)) == {two.pk, one.pk}
    assert f"No. {one.pk}." in page.content.decode()


@pytest.mark.parametrize("of", [0, 999_999_999, "x", "1 OR 1=1"])
def test_what_shares_something_with_no_signature_is_nothing(staff, make_signature, of):
    signature = make_signature()
    assert shown(staff.get(SIGNATURES, {"by": "network", "of": of})) == []
    # It has no network that anybody remembers, and neither is alike in that.
    assert shown(staff.get(SIGNATURES, {"by": "network", "of": signature.pk})) == []


@pytest.mark.parametrize(
    "query", ["by=email_digest&of=1", "email_digest=x", "petition__slug=x", "by=network'--&of=1", "name__startswith=A"]
)
def test_nothing_else_can_be_asked_by_url(staff, make_signature, query):
    make_signature()

    response = staff.get(f"{SIGNATURES}?{query}")

    # What cannot be read does not filter; what is no filter is refused.
    assert response.status_code == (200 if query.startswith("by=") else 400)


def test_a_filter_is_for_those_who_may_see_signatures(client, make_staff, make_signature):
    signature = make_signature(name="Anna")
    for role in ("editor", "organiser", "administrator"):
        client.force_login(make_staff(role))
        assert client.get(SIGNATURES, {"by": "name", "of": signature.pk}).status_code == 403


@pytest.mark.parametrize(
    ("status", "wanted"), [("none", [None]), ("4", [450, 421]), ("5", [550, 500]), ("", [None, 450, 421, 550, 500])]
)
def test_mails_are_filtered_by_the_kind_of_answer(staff, make_mails, status, wanted):
    for code in (None, 450, 421, 550, 500):
        make_mails(1, last_status=code)

    rows = staff.get(MAILS, {"status": status} if status else {}).context["cl"].result_list

    assert sorted(row.last_status or 0 for row in rows) == sorted(code or 0 for code in wanted)


# What they cost.


@pytest.mark.parametrize(
    ("path", "statements"),
    [
        ("petition_signature", 7),
        ("petition_outgoingmail", 5),
        ("petition_staffaction", 6),
        ("petition_petition", 7),
        ("petition_source", 6),
        ("petition_listeddomain", 5),
        ("petition_listednetwork", 5),
        ("campaign_page", 6),
        ("auth_user", 6),
    ],
)
def test_a_list_costs_as_many_statements_with_many_rows_as_with_few(
    staff, make_signature, make_mails, make_staff, path, statements
):
    url = reverse(f"admin:{path}_changelist")
    counts = []
    for number in (1, 30):
        for n in range(number):
            make_signature(name="Anna")
            make_petition(slug=f"more-{number}-{n}")
            Source.objects.create(slug=f"{number}-{n}", title="x")
            ListedDomain.objects.create(domain=f"{number}-{n}.example", verdict=Verdict.BLOCK)
            Page.objects.language("en").create(slug=f"{number}-{n}", title="x", body="x")
            StaffAction.objects.create(action="added", username="vera", about=f"source {n}")
            make_staff("editor", "moderator")
        make_mails(number)
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(url).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[1] <= statements + 3, [query["sql"][:200] for query in queries]


@pytest.fixture
def many(petition, make_mails):
    """Twenty thousand signatures and mails, of which a page may look through a few hundred."""
    call_command("seed_signatures", "20000")
    make_mails(5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE petition_signature, petition_outgoingmail")
        # As on the disks of servers: by the default a few rows in many pages cost as much as the whole small table.
        cursor.execute("SET LOCAL random_page_cost = 1.1")


def plans_of(action):
    with CaptureQueriesContext(connection) as queries:
        action()
    found = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            # A temporary table is gone by now. What was in it was read by the statement that made it.
            is_temporary = "FROM anomaly_signatures" in query["sql"] and "petition_signature" not in query["sql"]
            if query["sql"].split()[0] in ("SELECT", "WITH", "CREATE") and not is_temporary:
                cursor.execute("EXPLAIN " + query["sql"])
                found.append(query["sql"][:300] + "\n" + "\n".join(line for (line,) in cursor.fetchall()))
    return found


SCAN = re.compile(r"Seq Scan on petition_(signature|outgoingmail)")


def test_no_list_and_no_filter_reads_every_row(staff, many, monkeypatch):
    monkeypatch.setattr(changelist, "STRETCH", 500)
    newest = Signature.objects.latest("created_at", "pk")
    last, then = newest.pk, changelist.Place(0, newest.created_at - 10 * DAY)
    since = f"{this_hour() - DAY:%Y-%m-%dT%H:%M}"
    filters = [
        "",
        f"before={then}",
        "state=held",
        "state=pending",
        "state=invalidated",
        "country=IS",
        "language=ru",
        "source=seed-20",
        f"since={since}",
        f"until={since}",
        *(f"by={kind}&of={last}" for kind in ("network", "domain", "name", "shape", "words")),
        f"by=domain&of={last}&since={since}&before={then}&state=counted",
    ]
    urls = [f"{SIGNATURES}?{query}" for query in filters]
    urls += [
        f"{MAILS}?{query}" for query in ("", "kind__exact=sign", "parked_at__isempty=1", "status=5", f"before={2**62}")
    ]
    urls += [reverse("admin:index"), reverse("admin:petition_signature_change", args=[last])]
    urls += [reverse("admin:petition_signals_changelist", query={"span": span}) for span in anomalies.SPANS]
    for url in urls:
        found = plans_of(lambda url=url: staff.get(url))
        assert found, url
        assert [plan for plan in found if SCAN.search(plan)] == [], url

    for look_up in (
        lambda: similar.find_domain("nobody.example"),
        lambda: similar.find_text("name", "nobody"),
        lambda: domains.name_shared({last - n: "nobody@example.org" for n in range(100)}),
    ):
        assert [plan for plan in plans_of(look_up) if SCAN.search(plan)] == []


def test_the_page_of_signals_finds_its_time_by_the_index(many):
    plans = plans_of(lambda: anomalies.find(anomalies.SPANS["month"]))
    (plan,) = [plan for plan in plans if "TABLE anomaly_signatures" in plan]

    assert len(re.findall(r"on petition_signature", plan)) == 1
    assert "signatures_by_hour_and_domain" in plan


def test_a_domain_is_counted_by_the_hour_and_not_by_the_day(make_signature, many):
    """At most a hundred rows of each, straight from the index."""
    digest = identity.domain_digest("x@club.example")
    signature = make_signature(domain_digest=digest)

    (plan,) = plans_of(lambda: domains.name_shared({signature.pk: "x@club.example"}))

    assert re.search(r"Index Cond: \(\(created_at = .*\) AND \(domain_digest = ", plan)


def test_a_stock_list_counts_no_further_than_five_thousand(make_mails, monkeypatch):
    monkeypatch.setattr(changelist, "MAX_COUNT", 10)
    make_mails(30)

    paginator = changelist.CappedPaginator(OutgoingMail.objects.order_by("due_at"), 4)

    assert (paginator.count, paginator.num_pages) == (10, 3)


def test_signatures_have_six_indexes_at_most():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'petition_signature'")
        names = {name for (name,) in cursor.fetchall()}

    assert len(names) <= 6
    assert "signatures_by_hour_and_domain" in names


def test_days_of_the_signals_are_kept_as_long_as_the_signals(settings):
    assert all(
        span.since() >= timezone.now() - timedelta(days=settings.ABUSE_SIGNAL_DAYS) for span in anomalies.SPANS.values()
    )


def test_a_list_says_how_many_rows_it_has_and_where_it_stopped_counting(moderator, make_signature, monkeypatch):
    for _ in range(3):
        make_signature(confirmed=True, held_at=this_hour(), held_reason="busy network")
    held = reverse("admin:petition_heldsignature_changelist")

    assert "3 in all" in moderator.get(held).content.decode()
    monkeypatch.setattr("petition.admin.changelist.MAX_COUNT", 2)
    assert "2 or more" in moderator.get(held).content.decode()
