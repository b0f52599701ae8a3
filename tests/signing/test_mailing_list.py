"""Updates by email: a list of sealed addresses that one joins by a mail and leaves by a link."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from petition import identity, mailing_list, retention, withdrawn_list
from petition.mail import queue
from petition.models import AddressMark, OutgoingMail, Petition, Signature, Subscription, SubscriptionRequest
from petition.models.mailing_list import this_monday, today
from tests.support.links import recipient
from tests.support.mailing_list import FORM, ask, end_week, join, opened, way_out

ANNA = "anna@example.org"
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


# Joining.


def test_who_asks_and_presses_is_on_the_list_that_the_organisers_open(client, petition, list_key):
    link = ask(client, "Anna.K@example.org", "/ru/petitions/chechnya/subscribe/")

    assert client.post(link)["Location"] == "/ru/petitions/chechnya/subscribed/"

    end_week()
    (row,) = opened(list_key).rows()
    assert row[0] == "Anna.K@example.org"
    assert row[3] == "ru"


def test_asking_owes_one_mail_and_puts_nobody_on_the_list(client, petition, list_key):
    response = client.post(FORM, {"email": ANNA, "consent": "on"})

    assert (response.status_code, response["Location"]) == (303, "/en/petitions/chechnya/subscribe/check-inbox/")
    owed = OutgoingMail.objects.get()
    assert (owed.kind, owed.signature_id, recipient(owed)) == ("subscribe", None, ANNA)
    assert not Subscription.objects.exists()
    assert not Signature.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_link_puts_nobody_on_the_list(client, petition, list_key, method):
    link = ask(client, ANNA)

    assert getattr(client, method)(link).status_code == 200
    assert not Subscription.objects.exists()


def test_the_second_press_adds_nothing(client, petition, list_key):
    link = ask(client, ANNA)

    answers = [client.post(link)["Location"] for _press in range(2)]

    assert len(set(answers)) == 1
    assert Subscription.objects.count() == 1


def test_two_presses_at_once_add_one(petition, list_key, client):
    found = mailing_list.find(ask(client, ANNA).split("/")[3])

    mailing_list.subscribe(found)
    mailing_list.subscribe(found)

    assert Subscription.objects.count() == 1


def test_a_link_puts_an_address_on_the_list_once(client, petition, list_key):
    """Who finds an old mail in her box after she has left cannot bring her back."""
    link = ask(client, ANNA)
    client.post(link)
    end_week()
    client.post(way_out(list_key, ANNA))

    client.post(link)

    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"email": "anna", "consent": "on"}, "Enter an email address like"),
        ({"email": ANNA}, "Tick the box to agree"),
        ({"email": "=cmd@example.org", "consent": "on"}, "Enter an email address like"),
    ],
)
def test_what_cannot_be_taken_is_asked_for_again(client, petition, list_key, data, said):
    response = client.post(FORM, data)

    assert response.status_code == 422
    assert said in response.content.decode()
    assert not SubscriptionRequest.objects.exists()


def test_the_form_is_never_filled_in(client, petition, list_key, sign_data):
    client.post("/en/petitions/chechnya/sign/", sign_data())

    for path in (FORM, f"{FORM}?email={ANNA}"):
        page = client.get(path).content.decode()
        assert "@" not in re.search(r"<form.*?</form>", page, re.DOTALL)[0]


def test_the_mail_names_no_cause_and_has_one_link(client, petition, list_key):
    client.post(FORM, {"email": ANNA, "consent": "on"})
    queue.deliver_due()

    (message,) = mail.outbox
    assert message.to == [ANNA]
    assert message.subject == "Your request for updates by email"
    assert len(re.findall(r"https?://", message.body)) == 1
    assert not re.search("petition|chechnya|justice|sign", message.body, re.IGNORECASE)


# Where it is offered.


def test_the_thanks_lead_to_the_form_if_there_is_a_key(client, petition, list_key):
    assert f'href="{FORM}"' in client.get("/en/petitions/chechnya/thanks/").content.decode()


def test_without_a_key_nobody_is_asked(client, petition, settings):
    settings.MAILING_LIST_KEY = ""

    assert "subscribe" not in client.get("/en/petitions/chechnya/thanks/").content.decode()
    assert client.get(FORM).status_code == 404
    assert client.post(FORM, {"email": ANNA, "consent": "on"}).status_code == 404
    assert not OutgoingMail.objects.exists()


def test_a_petition_that_has_ended_asks_nobody(client, petition, list_key):
    now = timezone.now()
    Petition.objects.update(closed_at=now - 3 * DAY, ended_at=now)

    assert client.get(FORM).status_code == 404
    assert "subscribe" not in client.get("/en/petitions/chechnya/thanks/").content.decode()


def test_links_go_on_working_without_a_key(client, petition, list_key, settings):
    link = ask(client, ANNA)
    settings.MAILING_LIST_KEY = ""
    client.post(link)
    end_week()

    client.post(way_out(list_key, ANNA))

    assert not Subscription.objects.exists()


# Links that lead nowhere.


@pytest.mark.parametrize("token", ["x", "1.aaaa.bbbb", "%00"])
def test_a_forged_link_is_told_apart(client, petition, list_key, token):
    assert client.post(f"/en/subscribe/{token}/").status_code == 404


def test_a_link_of_last_week_has_expired(client, petition, list_key, settings):
    link = ask(client, ANNA)
    settings.CONFIRMATION_DAYS = -1

    response = client.post(link)

    assert response.status_code == 410
    assert f'href="{FORM}"' in response.content.decode()
    assert not Subscription.objects.exists()


def test_a_link_to_confirm_a_signature_subscribes_nobody_and_the_other_way_round(client, petition, list_key, sign_data):
    client.post("/en/petitions/chechnya/sign/", sign_data())
    queue.deliver_due()
    token = re.search(r"/confirm/(\S+)/", mail.outbox.pop().body)[1]

    assert client.post(f"/en/subscribe/{token}/").status_code == 404
    assert client.post(ask(client, ANNA).replace("/subscribe/", "/confirm/")).status_code == 410
    assert (Subscription.objects.count(), Signature.objects.confirmed().count()) == (0, 0)


# Leaving.


def test_one_press_leaves_without_a_key_or_an_account(client, petition, list_key):
    join(client, ANNA)
    join(client, "boris@example.org")
    end_week()
    way = way_out(list_key, ANNA)

    assert client.get(way).status_code == 200
    assert Subscription.objects.count() == 2
    assert client.post(way)["Location"] == "/en/petitions/chechnya/unsubscribed/"
    assert [row[0] for row in opened(list_key).rows()] == ["boris@example.org"]


def test_a_mail_program_leaves_for_its_owner(client, petition, list_key):
    """RFC 8058: a POST from the provider's own machines."""
    join(client, ANNA)
    end_week()

    client.post(way_out(list_key, ANNA), {"List-Unsubscribe": "One-Click"})

    assert not Subscription.objects.exists()


def test_who_is_on_it_twice_gets_one_line_and_leaves_with_one_press(client, petition, list_key):
    for address in (ANNA, "Anna@Example.org"):
        join(client, address)
    end_week()
    assert Subscription.objects.count() == 2
    assert len(list(opened(list_key).rows())) == 1

    client.post(way_out(list_key, next(opened(list_key).rows())[0]))

    assert not Subscription.objects.exists()


def test_a_link_to_leave_says_the_same_whether_anybody_was_there_or_not(client, petition, list_key):
    join(client, ANNA)
    end_week()
    way = way_out(list_key, ANNA)

    before, pressed = client.get(way), client.post(way)

    assert client.get(way).content == before.content
    assert client.post(way)["Location"] == pressed["Location"]
    nobody = f"/en/unsubscribe/{'x' * 22}/"
    assert client.get(nobody).content.replace(b"x" * 22, b"") == before.content.replace(way.split("/")[3].encode(), b"")


@pytest.mark.parametrize("token", ["x", "x" * 21, "x" * 23, "x" * 22 + ".", ".".join(["x" * 22] * 21)])
def test_a_broken_link_to_leave_is_told_apart(client, petition, token):
    assert client.get(f"/en/unsubscribe/{token}/").status_code == 404


def test_a_replaced_secret_key_leaves_the_way_out_open(client, petition, list_key, settings):
    join(client, ANNA)
    end_week()
    way = way_out(list_key, ANNA)
    settings.SECRET_KEY = "another" * 10

    client.post(way)

    assert not Subscription.objects.exists()


def test_a_restored_backup_brings_back_nobody_who_has_left(client, petition, list_key, tmp_path, settings):
    settings.WITHDRAWN_LIST = str(tmp_path / "list")
    join(client, ANNA)
    join(client, "boris@example.org")
    end_week()
    rows = list(Subscription.objects.all())
    client.post(way_out(list_key, ANNA))
    withdrawn_list.write()
    Subscription.objects.all().delete()
    Subscription.objects.bulk_create(rows)

    applied = withdrawn_list.apply(withdrawn_list.read((tmp_path / "list").read_text().splitlines())[0])

    assert applied.boxes == 1
    assert [row[0] for row in opened(list_key).rows()] == ["boris@example.org"]


# Limits.


def test_an_address_gets_so_many_mails_a_day_whoever_types_it(client, petition, list_key, settings):
    settings.MAILS_PER_ADDRESS = "2/d"
    for _time in range(3):
        client.post(FORM, {"email": ANNA, "consent": "on"})

    queue.deliver_due()

    assert len(mail.outbox) == 2
    assert not OutgoingMail.objects.exists()


def test_an_address_that_asked_for_no_mail_gets_none(client, petition, list_key):
    AddressMark.remember(identity.email_digest(ANNA), AddressMark.Kind.NO_MAIL)

    client.post(FORM, {"email": ANNA, "consent": "on"})
    queue.deliver_due()

    assert mail.outbox == []
    assert not OutgoingMail.objects.exists()


def test_a_network_over_its_limit_is_told_to_wait(client, petition, list_key, settings):
    settings.RATE_PER_NETWORK = "1/h"

    answers = [client.post(FORM, {"email": ANNA, "consent": "on"}) for _time in range(2)]

    assert [answer.status_code for answer in answers] == [303, 429]
    assert SubscriptionRequest.objects.count() == 1


# What is deleted when.


@pytest.mark.parametrize(("days", "stays"), [(9, False), (8, True), (0, True)])
def test_a_request_goes_a_day_after_its_link_expired(client, petition, list_key, days, stays):
    ask(client, ANNA)
    SubscriptionRequest.objects.update(day=today() - days * DAY)

    assert retention.purge()["requests for updates"] == (0 if stays else 1)
    assert SubscriptionRequest.objects.exists() is stays


@pytest.mark.parametrize(("days", "stays"), [(737, False), (728, True)])
def test_nobody_is_on_the_list_for_more_than_two_years(client, petition, list_key, days, stays):
    join(client, ANNA)
    Subscription.objects.update(week=this_monday() - days * DAY)

    assert retention.purge()["subscriptions"] == (0 if stays else 1)
    assert Subscription.objects.exists() is stays


def test_the_end_of_the_last_petition_is_the_end_of_the_list(client, petition, list_key):
    join(client, ANNA)
    ask(client, "boris@example.org")
    Petition.objects.update(closed_at=timezone.now() - 2 * DAY)

    call_command("close_campaign", "chechnya", yes="chechnya")

    assert not Subscription.objects.exists()
    assert not SubscriptionRequest.objects.exists()
