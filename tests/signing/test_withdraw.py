"""A signer withdraws: a mail proves who she is, and her signature is erased."""

import re

import pytest
from django.utils import timezone

from petition.counts import tally
from petition.models import AddressMark, Link, OutgoingMail, Signature
from petition.models.link import token_digest
from petition.models.signature import this_hour
from tests.support import links

ANNA = "anna@example.org"


def link(signature):
    """The link that her mail to withdraw carries; the worker has written whose it is."""
    token = links.withdraw_token(signature.petition, ANNA)
    Link.objects.filter(pk=token_digest(token)).update(email_digest=signature.email_digest)
    return f"/en/withdraw/{token}/"


def test_asking_owes_one_mail_and_deletes_nothing(client, make_signature):
    make_signature(email="anna@example.org", confirmed=True)

    response = client.post("/en/petitions/chechnya/withdraw/", {"email": "Anna@example.org"})

    assert (response.status_code, response["Location"]) == (303, "/en/petitions/chechnya/withdraw/check-inbox/")
    assert OutgoingMail.objects.get().kind == "withdraw"
    assert Signature.objects.count() == 1


def test_a_broken_address_is_asked_for_again(client, petition):
    response = client.post("/en/petitions/chechnya/withdraw/", {"email": "anna"})

    assert response.status_code == 422
    assert 'value="anna"' in response.content.decode()
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_link_deletes_nothing(client, make_signature, method):
    signature = make_signature(confirmed=True)

    assert getattr(client, method)(link(signature)).status_code == 200
    assert Signature.objects.count() == 1


def test_one_press_erases_the_row_and_the_count_goes_down(client, make_signature):
    signature = make_signature(confirmed=True)
    make_signature(confirmed=True)
    assert tally.current("chechnya").confirmed_here == 2

    response = client.post(link(signature))

    assert (response.status_code, response["Location"]) == (303, "/en/petitions/chechnya/withdrawn/")
    assert not Signature.objects.filter(pk=signature.pk).exists()
    assert tally.current("chechnya").confirmed_here == 1


def test_pending_rows_of_the_address_go_too(client, make_signature):
    signature = make_signature(email="anna@example.org", confirmed=True)
    make_signature(email="anna@example.org")
    other = make_signature()

    client.post(link(signature))

    assert list(Signature.objects.values_list("pk", flat=True)) == [other.pk]


def test_a_scanner_that_presses_the_first_button_withdraws_nothing(client, make_signature):
    page = client.post(link(make_signature(confirmed=True)), {"ask": "1"})

    assert page.status_code == 200
    assert "Are you sure?" in page.content.decode()
    assert Signature.objects.count() == 1


@pytest.mark.parametrize("is_known", [True, False])
def test_the_link_says_the_same_whether_anything_was_stored_or_not(client, make_signature, is_known):
    signature = make_signature(confirmed=True)
    url = link(signature)
    if not is_known:
        signature.delete()

    before, pressed, after = client.get(url), client.post(url), client.get(url)

    assert "If there is anything, we delete it at once" in before.content.decode()
    assert pressed["Location"] == "/en/petitions/chechnya/withdrawn/"
    assert (after.status_code, "What was stored about this address is deleted." in after.content.decode()) == (
        200,
        True,
    )
    assert client.post(url)["Location"] == pressed["Location"]


def test_the_second_press_deletes_nothing_that_was_signed_since(client, make_signature):
    signature = make_signature(email=ANNA, confirmed=True)
    url = link(signature)
    client.post(url)
    make_signature(email=ANNA, confirmed=True)

    client.post(url)

    assert Signature.objects.count() == 1


def test_every_link_to_her_mailbox_can_withdraw(client, make_signature):
    """The mail after signing carries one as well, whether it was pressed or not."""
    make_signature(email=ANNA, confirmed=True)
    token = links.token(make_signature(email=ANNA))

    client.post(f"/en/withdraw/{token}/")

    assert not Signature.objects.exists()
    assert client.get(f"/en/confirm/{token}/").status_code == 410


def test_a_link_to_withdraw_confirms_nothing(client, make_signature):
    token = links.withdraw_token(make_signature(email=ANNA).petition, ANNA)

    assert client.post(f"/en/confirm/{token}/").status_code == 404
    assert Signature.objects.get().is_pending


def test_withdrawing_lets_mail_reach_her_again(client, make_signature):
    signature = make_signature(confirmed=True)
    AddressMark.remember(bytes(signature.email_digest), AddressMark.Kind.NO_MAIL)

    client.post(link(signature))

    assert not AddressMark.objects.exists()


def test_who_withdrew_may_sign_again_and_counts(client, make_signature, counted_rows):
    signature = make_signature(email="anna@example.org", confirmed=True)
    client.post(link(signature))

    assert make_signature(email="anna@example.org").confirm()
    assert counted_rows() == 1
    assert not AddressMark.objects.exists()


def test_an_invalidated_one_leaves_its_digest_for_thirty_days(client, make_signature):
    signature = make_signature(confirmed=True, invalidated_at=this_hour(), invalidated_reason="fake")

    client.post(link(signature))

    mark = AddressMark.objects.get()
    assert not Signature.objects.exists()
    assert mark.kind == "hold"
    assert 30 < (mark.expires_at - timezone.now()).total_seconds() / 86_400 <= 30 + 1 / 24


@pytest.mark.parametrize("token", ["x", "1.aaaa.bbbb.cccc", "%00"])
def test_a_forged_link_is_told_apart(client, make_signature, token):
    make_signature(confirmed=True)

    assert client.post(f"/en/withdraw/{token}/").status_code == 404
    assert Signature.objects.count() == 1


def test_a_link_of_last_week_has_expired(client, make_signature, settings):
    url = link(make_signature(confirmed=True))
    settings.CONFIRMATION_DAYS = -1

    assert client.post(url).status_code == 410
    assert Signature.objects.count() == 1


def test_what_a_scanner_sends_that_presses_no_button_is_asked_again(client, make_signature):
    """Some send the fields of a form alone, so what a form asks for is a field, and no button has a name."""
    signature = make_signature(email=ANNA, confirmed=True)
    for url in (link(signature), f"/en/confirm/{links.token(signature)}/"):
        page = client.get(url).content.decode()
        assert not re.search(r"<button[^>]* name=", page)
        for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
            fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', form))
            if fields.keys() & {"ask", "ask_not_me"}:
                assert client.post(url, fields).status_code == 200

    assert Signature.objects.counted().count() == 1


def test_a_token_of_a_letter_leads_nobody_to_its_row_without_the_key(settings):
    digest = token_digest("a token")
    settings.SECRET_KEY = "another"

    assert token_digest("a token") != digest
