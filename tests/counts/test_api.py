"""A dashboard reads the counts with a token, which is shown once, kept nowhere, and revoked at once."""

import json
import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.urls import reverse

from petition.models import CountsToken, PublishedCell, PublishedHour, Source, StaffAction, TallyChange
from tests.counts.test_tally import HOUR
from tests.support import server

pytestmark = pytest.mark.django_db

URL = "/petitions/chechnya/counts.json"
LIST = reverse("admin:petition_countstoken_changelist")
NEW = {"name": "A dashboard", "ends_on": f"{datetime.now(UTC):%Y-%m-%d}"}


@pytest.fixture
def token():
    row = CountsToken(name="A dashboard")
    row.make()
    row.save()
    return row


@pytest.fixture
def ask(client, petition):
    def get(token, query="", **headers):
        text = token.shown_once if isinstance(token, CountsToken) else token
        return client.get(f"{URL}?{query}", headers={"authorization": f"Bearer {text}", **headers})

    return get


@pytest.fixture
def signed(petition):
    PublishedHour.objects.create(petition=petition, hour=HOUR, counted=40)
    for country, amount in (("DE", 20), ("ES", 10)):
        TallyChange.objects.create(
            petition=petition, hour=HOUR, country=country, language="en", source="", measure="counted", amount=amount
        )


def told(response):
    return json.loads(b"".join(response.streaming_content))


def staff(client, *permissions):
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user


# Reading.


def test_it_gets_the_published_numbers(ask, token, signed):
    response = ask(token, "by=country")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    answer = told(response)
    assert answer["rows"] == [{"country": "DE", "amount": 20}, {"country": "ES", "amount": 10}]
    assert answer["now"]["total"] == 150_030


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("until=2026-03-01", [{"day": "2026-03-01", "amount": 40}]),
        ("by=hour&until=2026-03-01T23", [{"hour": "2026-03-01T23:00:00Z", "amount": 40}]),
        ("by=week&by=language&until=2026-03-01", [{"week": "2026-02-23", "language": "en", "amount": 30}]),
        ("by=country,week&until=2026-02-28", []),
    ],
)
def test_it_asks_as_the_page_does(ask, token, signed, query, rows):
    assert told(ask(token, query))["rows"] == rows


@pytest.mark.parametrize(
    ("query", "field"),
    [("by=name", "by"), ("since=soon", "since"), ("by=hour,country", "by"), ("by=day,measure", "by")],
)
def test_what_cannot_be_answered_is_said_to_a_program(ask, token, query, field):
    response = ask(token, query)

    assert response.status_code == 422
    assert list(response.json()["fields"]) == [field]
    assert "no-store" in response["Cache-Control"]


def test_an_unknown_petition(client, token):
    response = client.get("/petitions/nothing/counts.json", headers={"authorization": f"Bearer {token.shown_once}"})

    assert (response.status_code, response.json()) == (404, {"error": "There is no such petition."})


@pytest.mark.parametrize("text", ["", "wrong", "Ж", "x" * 5000])
def test_a_wrong_token_is_refused(ask, token, signed, text):
    response = ask(text)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert "valid token" in response.json()["error"]
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("value", ["", "Basic {}", "{}", "Bearer", "Token {}"])
def test_another_kind_of_authorization_is_refused(client, petition, token, value):
    assert client.get(URL, headers={"authorization": value.format(token.shown_once)}).status_code == 401


def test_a_token_in_the_address_is_no_token(client, petition, token):
    assert client.get(f"{URL}?token={token.shown_once}").status_code == 401


def test_it_only_reads(client, petition, token):
    assert client.post(URL, headers={"authorization": f"Bearer {token.shown_once}"}).status_code == 405


def test_a_revoked_token_stops_at_once(ask, token):
    assert ask(token).status_code == 200

    CountsToken.objects.revoke()

    assert ask(token).status_code == 401


def test_a_token_stops_at_its_rate_and_another_goes_on(ask, token, settings):
    settings.DASHBOARD_RATE = "2/h"
    other = CountsToken(name="Another")
    other.make()
    other.save()

    assert [ask(token).status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(token)
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert refused.json() == {"error": "This token has asked too often."}
    assert ask(other).status_code == 200


def test_guessing_stops_at_the_rate_of_a_network_and_a_valid_token_goes_on(ask, token, settings):
    settings.RATE_PER_NETWORK = "2/h"

    assert [ask("wrong").status_code for _ in range(3)] == [401, 401, 429]
    assert int(ask("wrong")["Retry-After"]) > 0
    assert ask(token).status_code == 200


def test_the_day_of_its_last_use_is_known(ask, token):
    ask(token)

    token.refresh_from_db()
    assert token.last_used_on == datetime.now(UTC).date()


def test_the_database_holds_its_digest_alone(ask, token):
    ask(token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM petition_countstoken")
        assert token.shown_once not in repr(cursor.fetchall())


def test_no_log_holds_the_token(ask, token, caplog):
    with caplog.at_level(logging.DEBUG):
        ask(token, "by=name")
        ask(f"{token.shown_once}x")
        CountsToken.objects.revoke()
        ask(token)

    assert token.shown_once not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_through_the_real_server(petition, token, tmp_path):
    log = tmp_path / "web.log"
    with server.web(log) as port:
        answer = server.fetch(port, "GET", URL, headers={"Authorization": f"Bearer {token.shown_once}"})
        assert answer.json()["petition"] == "chechnya"
        assert "Set-Cookie" not in answer
        assert server.fetch(port, "GET", URL).status_code == 401
        assert server.fetch(port, "GET", URL, headers={"Authorization": "Bearer \xff"}).status_code == 401
    assert token.shown_once not in log.read_text()


# Making and revoking.


def test_it_is_made_in_the_admin_and_shown_once(client, petition):
    user = staff(client, "add_countstoken", "view_countstoken")

    response = client.post(f"{LIST}add/", NEW)

    made = CountsToken.objects.get()
    shown = response.context["token"].shown_once
    assert response.status_code == 200
    assert shown.encode() in response.content
    assert "no-store" in response["Cache-Control"]
    assert CountsToken.objects.find(shown) == made
    assert made.created_by == user
    for url in (LIST, f"{LIST}{made.pk}/change/", reverse("admin:index")):
        assert shown.encode() not in client.get(url).content
    assert shown not in repr(client.session.items())


def test_a_name_serves_once_so_that_sending_the_form_again_makes_no_second_one(client, petition):
    staff(client, "add_countstoken")
    client.post(f"{LIST}add/", NEW)

    assert b"already exists" in client.post(f"{LIST}add/", NEW).content
    assert CountsToken.objects.count() == 1


def test_it_is_revoked_in_the_admin(client, ask, token):
    staff(client, "change_countstoken", "view_countstoken")

    client.post(LIST, {"action": "revoke", "_selected_action": [token.pk]})

    assert ask(token).status_code == 401
    token.refresh_from_db()
    assert token.revoked_at


def test_who_made_and_revoked_it_stays_in_the_trace(client, petition):
    staff(client, "add_countstoken", "change_countstoken", "view_countstoken")
    client.post(f"{LIST}add/", NEW)
    made = CountsToken.objects.get()
    for _twice in range(2):
        client.post(LIST, {"action": "revoke", "_selected_action": [made.pk]})

    entries = StaffAction.objects.filter(username="staff").order_by("id")
    assert [(entry.action, entry.about) for entry in entries] == [
        ("added", f"countstoken {made.pk}"),
        ("token_revoked", f"countstoken {made.pk}"),
    ]
    assert "A dashboard" in entries[0].detail


@pytest.mark.parametrize("permissions", [(), ("view_counts",), ("view_countstoken",)])
def test_who_may_not_makes_and_revokes_none(client, petition, token, permissions):
    staff(client, *permissions)

    assert client.post(f"{LIST}add/", {"name": "Another"}).status_code == 403
    client.post(LIST, {"action": "revoke", "_selected_action": [token.pk]})
    assert client.post(f"{LIST}{token.pk}/change/", {"name": "Other"}).status_code == 403
    assert client.post(f"{LIST}{token.pk}/delete/", {"post": "yes"}).status_code == 403
    token.refresh_from_db()
    assert (token.name, token.revoked_at) == ("A dashboard", None)
    assert CountsToken.objects.count() == 1


# An end, and a limit to one source.


@pytest.fixture
def cells(petition, publish):
    publish()
    for source, language, shown in (("amnesty", "en", 30), ("amnesty", "ru", 10), ("other", "en", 50), ("", "en", 90)):
        PublishedCell.objects.create(
            petition=petition,
            week=date(2026, 3, 2),
            country="DE",
            language=language,
            source=source,
            measure="counted",
            amount=shown,
            shown=shown,
        )
    PublishedHour.objects.create(petition=petition, hour=HOUR, counted=180)


@pytest.fixture
def of_amnesty(token):
    token.source_id = "amnesty"
    token.save()
    return token


def amounts(response):
    return [tuple(row.values()) for row in told(response)["rows"]]


def test_a_token_that_is_limited_to_a_source_reads_its_numbers_alone(ask, of_amnesty, cells):
    assert amounts(ask(of_amnesty)) == [("2026-03-02", 40)]
    assert amounts(ask(of_amnesty, "by=language")) == [("en", 30), ("ru", 10)]
    assert amounts(ask(of_amnesty, "by=source")) == [("amnesty", 40)]
    assert amounts(ask(of_amnesty, "by=week,measure")) == [("2026-03-02", "counted", 40)]


def test_of_all_others_it_hears_what_everybody_may(ask, of_amnesty, cells):
    answer = told(ask(of_amnesty))

    assert set(answer["now"]) == {"total", "collected_before", "confirmed_here"}
    assert answer["source"] == "amnesty"


@pytest.mark.parametrize("by", ["day", "hour", "day,hour"])
def test_days_and_hours_are_not_told_of_one_source(ask, of_amnesty, cells, by):
    response = ask(of_amnesty, f"by={by}")

    assert response.status_code == 422
    assert "told by week" in response.json()["fields"]["by"][0]


def test_a_token_for_a_source_that_was_deleted_does_not_read_the_others(ask, of_amnesty, cells):
    Source.objects.filter(pk="amnesty").delete()

    assert amounts(ask(of_amnesty, "by=source")) == [("amnesty", 40)]


@pytest.mark.parametrize(("days", "status"), [(0, 200), (-1, 401)])
def test_a_token_reads_until_its_last_day_has_ended(ask, token, signed, days, status):
    token.ends_on = datetime.now(UTC).date() + timedelta(days=days)
    token.save()
    response = ask(token)

    assert response.status_code == status
    if status == 401:
        assert response.json()["error"] == (
            f"This token has ended with {token.ends_on}. An administrator can make another one."
        )


def test_a_token_ends_in_a_year_unless_somebody_says_otherwise(token):
    token.refresh_from_db()

    assert token.ends_on == datetime.now(UTC).date() + timedelta(days=365)


@pytest.mark.parametrize(("days", "is_made"), [(-1, False), (0, True), (731, True), (732, False)])
def test_it_ends_within_two_years(client, petition, days, is_made):
    staff(client, "add_countstoken", "view_countstoken")
    ends_on = datetime.now(UTC).date() + timedelta(days=days)
    client.post(reverse("admin:petition_countstoken_add"), {"name": "A dashboard", "ends_on": f"{ends_on}"})

    assert CountsToken.objects.exists() is is_made


def test_the_list_shows_end_source_and_last_use(client, of_amnesty, ask, cells):
    ask(of_amnesty)
    CountsToken.objects.update(ends_on=date(2026, 1, 31))
    staff(client, "view_countstoken")
    page = client.get(LIST).content.decode()

    assert "amnesty" in page
    assert "ended with 2026-01-31" in page
