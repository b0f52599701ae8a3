"""The funnel: signed, mail accepted, confirmed, of ended weeks, without tracking anybody."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.urls import reverse

from petition import identity, rate_limits
from petition.counts import funnel, publication, tally
from petition.counts.funnel import Step
from petition.mail import queue
from petition.mail.keys import Keyring
from petition.models import AddressMark, DayTally, HourTally, Measure, OutgoingMail, PublishedFunnel, Signature
from tests.support import links
from tests.support.mail_server import MailServer

pytestmark = pytest.mark.django_db

MONDAY = date(2026, 3, 2)
HOUR = datetime(2026, 3, 4, 14, tzinfo=UTC)
NEXT_MONDAY = datetime(2026, 3, 9, 1, tzinfo=UTC)
PAGE = "/admin/petition/counts/chechnya/funnel/"


@pytest.fixture
def organiser(client, make_staff):
    client.force_login(make_staff("organiser", username="olga"))
    return client


@pytest.fixture
def sign(make_signature):
    """So many of a mail domain sign in an hour, and the first of them confirm."""

    def sign(signed, confirmed, *, domain="gmail.com", at=HOUR, **values):
        digest = identity.domain_digest(f"x@{domain}")
        return [
            make_signature(
                created_at=at, confirmed_at=at if number < confirmed else None, domain_digest=digest, **values
            )
            for number in range(signed)
        ]

    return sign


def mailed(amount, petition, at=HOUR):
    HourTally.objects.create(petition=petition, hour=at, measure=Measure.MAILED, amount=amount)


@pytest.fixture
def release(petition):
    with time_machine.travel(datetime(2026, 3, 2, 1, tzinfo=UTC)):
        publication.publish()
        # Of a petition that is new to it, the weeks before are looked at as well.
        funnel.release()

    def release(at=NEXT_MONDAY):
        with time_machine.travel(at):
            while tally.fold():
                pass
            publication.publish()
            return funnel.release()

    return release


@pytest.fixture
def number_moves():
    def move(at=HOUR):
        with time_machine.travel(at):
            publication.publish()

    return move


# What the mail server takes is an event.


def test_a_mail_that_the_server_took_is_counted_where_its_signature_is(petition, make_signature, settings):
    Keyring().rotate()
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        for name in ("anna@gmail.com", "boris@example.org"):
            links.owe_mail(petition, name, signature=make_signature(email_digest=None, source="amnesty"))
        links.owe_mail(petition, "clara@gmail.com", kind=OutgoingMail.Kind.WITHDRAW)
        queue.deliver_due()
    tally.fold()

    told = DayTally.objects.get(measure=Measure.MAILED)
    assert (told.amount, told.source) == (2, "amnesty")
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize("why", ["asked for no mail", "over its limit"])
def test_it_is_not_told_whose_address_gets_no_mail(petition, make_signature, settings, why):
    """Whoever makes a link and signs for somebody else with it, as often as it takes, knows who signed by it."""
    Keyring().rotate()
    digest = identity.email_digest("clara@gmail.com")
    if why == "asked for no mail":
        AddressMark.remember(digest, AddressMark.Kind.NO_MAIL)
    else:
        for _ in range(9):
            rate_limits.over("mail:sign", digest.hex(), settings.MAILS_PER_ADDRESS)
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        links.owe_mail(petition, "clara@gmail.com", signature=make_signature(email_digest=None, source="clara"))
        links.owe_mail(petition, "boris@gmail.com", signature=make_signature(email_digest=None, source="boris"))
        queue.deliver_due()
        assert server.recipients() == ["boris@gmail.com"]
    tally.fold()

    told = DayTally.objects.filter(measure=Measure.MAILED).values_list("source", "amount")
    assert set(told) == {("boris", 1), ("clara", 1)}


# By hour and provider.


def test_numbers_of_an_ended_week_stand_by_hour_and_by_provider(petition, sign, release, number_moves):
    for day in range(4):
        at = HOUR - timedelta(days=day - 1)
        sign(40, 30, at=at)
        sign(20, 10, domain="yandex.ru", at=at)
        sign(30, 20, domain="anna-petrova.example", at=at)
        mailed(90, petition, at)
    number_moves()

    assert release() == 1

    assert sorted(funnel.by_provider(petition.pk), key=lambda step: step.name) == [
        Step("google", 160, 160, 120),
        Step("other", 120, 120, 80),
        Step("yandex", 80, 80, 40),
    ]
    # On that day alone the public number moved, by what all four have confirmed.
    assert funnel.by_hour(petition.pk, HOUR.date()) == [Step("2026-03-04T14", 90, 90, 240)]
    days = funnel.by_day(petition.pk)
    assert [step.name for step in days] == ["2026-03-05", "2026-03-04", "2026-03-03", "2026-03-02"]
    assert [step.confirmed for step in days] == [0, 240, 0, 0]


def test_the_domain_of_one_person_is_stored_nowhere(petition, sign, release):
    sign(30, 30, domain="anna-petrova.example")
    sign(30, 30)
    sign(30, 30, domain="mail.ru")

    release()

    assert "petrova" not in str(list(PublishedFunnel.objects.values()))
    assert set(PublishedFunnel.objects.get(week=MONDAY).providers) == {"google", "vk", "other"}


def test_a_mail_that_waits_or_was_refused_was_not_accepted(petition, sign, release):
    for domain in ("mail.ru", "yandex.ru", "gmail.com"):
        rows = sign(30, 10, domain=domain)
        for row in rows[20:]:
            links.owe_mail(petition, signature=row)

    release()

    assert {(step.signed, step.mailed, step.confirmed) for step in funnel.by_provider(petition.pk)} == {(30, 20, 10)}


def test_a_week_that_goes_on_is_not_told(petition, sign, release):
    sign(300, 300)

    assert release(HOUR + timedelta(hours=5)) == 0
    assert funnel.by_provider(petition.pk) == funnel.by_day(petition.pk) == []


def test_what_is_told_never_changes(petition, sign, release):
    for domain in ("mail.ru", "yandex.ru", "gmail.com"):
        sign(30, 10, domain=domain)
    release()
    before = list(PublishedFunnel.objects.filter(week=MONDAY).values())

    Signature.objects.confirmed().delete()
    assert release() == 0
    release(NEXT_MONDAY + timedelta(weeks=1))

    assert list(PublishedFunnel.objects.filter(week=MONDAY).values()) == before
    assert PublishedFunnel.objects.filter(week__gte=MONDAY).count() == 2


@pytest.mark.parametrize("amount", [13, 1, 27])
def test_the_public_total_does_not_give_a_single_cell_away(petition, sign, release, settings, amount):
    """Whoever knows that all of a week came in one hour would know that hour as exactly as the week."""
    settings.COUNT_STEP = "10"
    sign(amount, amount)

    release()

    released = PublishedFunnel.objects.get(week=MONDAY)
    assert (released.hours, released.providers) == (None, None)


@pytest.mark.parametrize("attempt", range(5))
def test_no_cell_can_be_told_closer_than_its_rounding(petition, sign, release, settings, attempt):
    """Bounds of each cell by its rounding, and by what the exact total of the week leaves for it."""
    settings.COUNT_STEP = "10"
    amounts = {}
    for number in range(12):
        at = HOUR + timedelta(hours=number)
        amounts[f"{at:%Y-%m-%dT%H}"] = amount = (7 * number + 3 * attempt) % 19 + 1
        sign(amount, 0, at=at)

    release()

    hours = PublishedFunnel.objects.get(week=MONDAY).hours
    if hours is None:
        return
    shown = {hour: numbers[0] for hour, numbers in hours.items() if numbers[0]}
    low = {hour: amount - 9 for hour, amount in shown.items()}
    high = {hour: amount + 9 for hour, amount in shown.items()}
    total = sum(amounts.values())
    for hour, amount in amounts.items():
        if hour in shown:
            assert low[hour] <= amount <= high[hour]
            others = [name for name in shown if name != hour]
            # The hours that are not shown hold nothing to nine each, of which nobody knows how many there are.
            assert total - sum(high[name] for name in others) <= low[hour]


def test_the_numbers_of_a_cell_are_rounded_by_one_draw(petition, sign, release, settings):
    settings.COUNT_STEP = "10"
    for number in range(12):
        sign(37, 37, at=HOUR + timedelta(hours=number))
        mailed(37, petition, HOUR + timedelta(hours=number))

    release()

    hours = PublishedFunnel.objects.get(week=MONDAY).hours
    assert {tuple(numbers) for numbers in hours.values()} <= {(30, 30, 0), (40, 40, 0)}


def test_two_workers_release_a_week_once(petition, sign, release):
    sign(30, 30)
    assert release() == 1
    assert release() == 0


# By link and language: sums of what is published anyway.


def test_links_and_languages_have_their_rates(petition, sign, release):
    sign(100, 80, source="amnesty", language="ru")
    sign(60, 30, language="en")
    sign(20, 20, source="small", language="en")

    release()

    assert {step.name: step.rate for step in funnel.by("source", petition.pk)} == {
        "amnesty": 0.8,
        "": 0.5,
        "small": None,
    }
    assert {step.name: (step.signed, step.confirmed) for step in funnel.by("language", petition.pk)} == {
        "ru": (100, 80),
        "en": (80, 50),
    }


def test_it_is_a_page_for_organisers_with_the_rates(organiser, sign, release):
    for domain in ("mail.ru", "yandex.ru", "gmail.com"):
        sign(100, 80, domain=domain)
    release()

    response = organiser.get(PAGE, {"weeks": "all"})
    said = " ".join(re.sub("<[^>]+>", " ", response.content.decode()).split())

    assert "no partner’s link 300 " in said
    assert " 80%" in said
    assert "Mail.ru 1" in said
    hourly = organiser.get(PAGE, {"day": f"{HOUR:%Y-%m-%d}"}).content.decode()
    assert "14:00" in hourly
    assert "style=" not in hourly


@pytest.mark.parametrize("asked", [{"weeks": "999"}, {"day": "yesterday"}])
def test_what_cannot_be_asked_is_said(organiser, petition, asked):
    response = organiser.get(PAGE, asked)

    assert response.status_code == 422
    assert "errorlist" in response.content.decode()


def test_the_overview_leads_there(organiser, petition):
    assert (
        reverse("admin:petition_counts_funnel", args=["chechnya"])
        in organiser.get("/admin/petition/counts/chechnya/").content.decode()
    )


def test_made_up_signatures_have_it_too(petition):
    call_command("seed_signatures", "2000")
    funnel.release()

    assert sum(step.mailed for step in funnel.by("language", petition.pk)) > 0
    assert funnel.by_provider(petition.pk)
