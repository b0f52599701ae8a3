"""A supporter signs."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from petition import signing
from petition.mail import keys
from petition.mail.keys import Keyring
from petition.models import Link, OutboxKey, OutgoingMail, Signature, Source

URL = "/en/petitions/chechnya/sign/"
INBOX = "/en/petitions/chechnya/check-inbox/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox():
    """Where the one mail that is owed would go."""

    def opened():
        mail = OutgoingMail.objects.get()
        return Keyring().open(mail.key_id, bytes(mail.recipient)).address

    return opened


def test_the_shortest_form_writes_one_pending_signature_and_one_mail(client, petition, sign_data):
    response = client.post(URL, sign_data())

    assert (response.status_code, response["Location"]) == (303, INBOX)
    signature = Signature.objects.get()
    mail = OutgoingMail.objects.get()
    assert signature.is_pending
    assert (mail.kind, mail.signature_id) == ("sign", signature.pk)
    assert (Link.objects.get().kind, Link.objects.get().signature_id) == ("sign", signature.pk)


def test_the_web_makes_no_digest_of_the_address_and_needs_no_key_for_it(client, petition, sign_data, settings):
    settings.EMAIL_DIGEST_KEY = ""

    assert client.post(URL, sign_data()).status_code == 303

    signature = Signature.objects.get()
    assert (signature.email_digest, signature.domain_digest) == (None, None)


def test_nobody_can_sign_before_a_worker_has_ever_run(petition, sign_data):
    """Its mail could be owed to nobody."""
    OutboxKey.objects.all().delete()
    keys._newest = None

    with pytest.raises(keys.NoKeyError):
        signing.sign("chechnya", signing.Answers(email="anna@example.org"), language="en", network=None)
    assert not Signature.objects.exists()


@pytest.mark.parametrize("shows", [True, False])
def test_name_and_words_that_are_not_to_be_shown_are_thrown_away(client, petition, sign_data, shows):
    client.post(URL, sign_data(name="Anna", words="With you", **({"shows_name": "on"} if shows else {})))

    link = Link.objects.get()
    assert (link.name, link.words) == (("Anna", "With you") if shows else ("", ""))


def test_everything_typed_is_stored(client, petition, sign_data):
    Source.objects.create(slug="partner", title="A partner")

    client.post(
        "/ru/petitions/chechnya/sign/",
        sign_data(name="  Анна   К. ", shows_name="on", words="Я с вами", country="ES", source="partner"),
    )

    signature = Signature.objects.get()
    link = Link.objects.get()
    assert (link.signature, link.name, link.words, link.country) == (signature, "Анна К.", "Я с вами", "ES")
    assert (signature.country, signature.source, signature.language) == ("ES", "partner", "ru")


def test_no_row_holds_the_address(client, petition, sign_data):
    client.post(URL, sign_data(email="anna.k@example.org"))

    rows = repr([*Signature.objects.values(), *OutgoingMail.objects.values(), *Link.objects.values()])
    assert "anna" not in rows
    assert "example" not in rows


def test_a_signature_remembers_the_hour_and_no_more(client, petition, sign_data):
    client.post(URL, sign_data())

    signed_at = Signature.objects.get().created_at
    assert (signed_at.minute, signed_at.second, signed_at.microsecond) == (0, 0, 0)


@pytest.mark.parametrize("missing", ["email", "consent"])
def test_address_and_consent_are_required(client, petition, sign_data, missing):
    response = client.post(URL, sign_data(**{missing: "", "name": "Anna", "words": "With you"}))

    page = response.content.decode()
    assert response.status_code == 422
    assert "<title>Error:" in page
    assert f'href="#id_{missing}"' in page
    assert 'value="Anna"' in page
    assert "With you" in page
    assert not Signature.objects.exists()


def test_errors_speak_the_language_of_the_page(client, petition, sign_data):
    page = client.post("/ru/petitions/chechnya/sign/", sign_data(email="anna")).content.decode()

    assert "<title>Ошибка:" in page
    assert "name@example.org" in page


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+7",
        "-Anna",
        "@anna",
        " =Anna",
        "www.example.org",
        "https://example.org",
        "buy example.com",
        "a\x00b",
        "a\ufffdb",
        "a\u202eb",
        "a\u2066b",
        "a\u202eb" + "\x07",
    ],
)
def test_a_name_is_no_formula_no_link_and_no_rubbish(client, petition, sign_data, name):
    response = client.post(URL, sign_data(name=name))

    assert response.status_code == 422
    assert 'href="#id_name"' in response.content.decode()
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    "name", ["Анна-Мария", "José Ñandú", "محمد", "李小龍", "ஆனந்தி", "O'Neil, Jr.", "Zoë 😀", "Ng", "👩‍👩‍👧", "X Æ A-12"]
)
def test_a_name_may_be_in_any_script(client, petition, sign_data, name):
    assert client.post(URL, sign_data(name=name, shows_name="on")).status_code == 303
    assert Link.objects.get().name == name


@pytest.mark.parametrize(("length", "status"), [(500, 303), (501, 422)])
def test_words_of_support_have_500_characters_at_most(client, petition, sign_data, length, status):
    assert client.post(URL, sign_data(words="ж" * length)).status_code == status


@pytest.mark.parametrize(("length", "status"), [(254, 303), (255, 422)])
def test_an_address_has_254_characters_at_most(client, petition, sign_data, length, status):
    domain = ".".join(["b" * 60] * 3) + ".de"
    email = "a" * 60 + "@" + domain
    email = email + "x" * (length - len(email))

    assert client.post(URL, sign_data(email=email)).status_code == status


@pytest.mark.parametrize(("letters", "status"), [(55, 303), (56, 422)])
def test_they_are_counted_as_mail_servers_write_them(client, petition, sign_data, letters, status):
    address = "a@" + ".".join(["ж" * letters] * 4) + ".de"

    assert client.post(URL, sign_data(email=address)).status_code == status


@pytest.mark.parametrize(
    "email",
    [
        '"anna"@gmail.com',
        "=?utf-8?q?anna?=@gmail.com",
        "=?utf-8?q?=61nna?=@gmail.com",
        '"a\tb"@example.org',
        "root@localhost",
        "anna@[127.0.0.1]",
        "anna@straße.de",
    ],
)
def test_other_spellings_of_a_mailbox_are_not_taken_for_other_mailboxes(client, petition, sign_data, email):
    response = client.post(URL, sign_data(email=email))

    assert response.status_code == 422
    assert "name@example.org" in response.content.decode()
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    ("country", "status"),
    [("", 303), ("ES", 303), ("XK", 303), ("AQ", 422), ("XX", 422), ("es", 303), ("<script>", 422), ("Atlantis", 422)],
)
def test_a_country_is_one_of_the_list_or_none(client, petition, sign_data, country, status):
    response = client.post(URL, sign_data(country=country))

    assert response.status_code == status
    assert ('href="#id_country"' in response.content.decode()) == (status == 422)


@pytest.mark.parametrize(("language", "name"), [("en", "Germany"), ("ru", "Германия")])
def test_countries_are_named_in_the_language_of_the_page(client, petition, sign_data, language, name):
    assert name in client.get(f"/{language}/countries.json").json()


@pytest.mark.parametrize("typed", ["DE", "germany", " Германия ", "германия"])
def test_a_country_may_be_typed_in_any_language_of_the_site(client, petition, sign_data, typed):
    client.post(URL, sign_data(country=typed))

    assert Signature.objects.get().country == "DE"


def test_what_was_typed_for_a_country_that_nobody_knows_is_kept_and_seen(client, petition, sign_data):
    page = client.post(URL, sign_data(country="Atlantis")).content.decode()

    assert 'value="Atlantis"' in page
    assert '<details class="more" open>' in page


@pytest.mark.parametrize(
    ("email", "letter"),
    [
        ("иван@почта.рф", "и"),
        ("anna.к@example.org", "к"),
        ("josé@example.org", "é"),
        ("mi\u212ae@example.org", "\u212a"),
        ("\u0131van@example.org", "\u0131"),
    ],
)
def test_letters_that_no_mail_reaches_are_named(client, petition, sign_data, email, letter):
    page = client.post(URL, sign_data(email=email))

    assert page.status_code == 422
    assert f"“{letter}” stands before the @" in page.content.decode()
    assert not Signature.objects.exists()


@pytest.mark.parametrize(("length", "status"), [(64, 303), (65, 422)])
def test_the_part_before_the_at_has_64_characters_at_most(client, petition, sign_data, length, status):
    page = client.post(URL, sign_data(email="a" * length + "@example.org"))

    assert page.status_code == status
    assert ("too long" in page.content.decode()) == (status == 422)


@pytest.mark.parametrize(
    "pasted",
    [
        "\ufeffanna@example.org",
        "anna\u200b@example.org\u200b",
        "an\u00adna@exam\u2060ple.org",
        "anna@example\u200d.org",
        "\u202aanna@example.org\u202c",
        "\u2068anna\u2069@example.org",
        "\u00a0anna@example.org\u00a0",
        "anna@example.org\ufe0f",
        "\u2800anna@example.org\u3164",
        "anna @ example.org",
        "<anna@example.org>",
        '"Anna K." <anna@example.org>',
        "Anna <anna@example.org>, ",
        "mailto:anna@example.org",
        "MAILTO:anna@example.org?subject=Hello",
        "<mailto:anna@example.org>",
        "anna@example.org>",
        "anna@example.org.",
        "anna@example.org,",
        "anna@example.org ;",
        "«anna@example.org»",
        "(anna@example.org).",
    ],
)
def test_what_comes_along_when_an_address_is_pasted_is_no_mistake(client, petition, sign_data, mailbox, pasted):
    assert client.post(URL, sign_data(email=pasted)).status_code == 303
    assert mailbox() == "anna@example.org"


@pytest.mark.parametrize("address", ["an.na+tag@example.org", "o'neil@example.org", "anna-@example.org", "a@bücher.de"])
def test_what_belongs_to_an_address_stays(client, petition, sign_data, mailbox, address):
    assert client.post(URL, sign_data(email=address)).status_code == 303
    assert mailbox() == address.replace("bücher", "xn--bcher-kva")


def test_a_likely_slip_is_offered_back_once(client, petition, sign_data):
    data = sign_data(email="anna@gmial.com")

    page = client.post(URL, data)
    assert page.status_code == 422
    assert "anna@gmail.com" in page.content.decode()
    assert 'name="email_as_typed" value="anna@gmial.com"' in page.content.decode()

    assert client.post(URL, {**data, "email_as_typed": "anna@gmial.com"}).status_code == 303


def test_a_slip_that_was_pasted_with_more_is_believed_the_second_time_too(client, petition, sign_data):
    data = sign_data(email="<anna@gmial.com>\u200b")

    assert 'name="email_as_typed" value="anna@gmial.com"' in client.post(URL, data).content.decode()
    assert client.post(URL, {**data, "email_as_typed": "anna@gmial.com"}).status_code == 303


CORRECTED = {"email_as_typed": "anna@gmial.com", "email_corrected": "anna@gmail.com"}


def test_a_button_takes_the_suggestion(client, petition, sign_data, mailbox):
    data = sign_data(email="anna@gmial.com", name="Anna", words="With you", shows_name="on")

    page = client.post(URL, data).content.decode()
    assert '<button class="button plain" type="submit" name="email_corrected" value="anna@gmail.com">' in page

    assert client.post(URL, {**data, **CORRECTED}).status_code == 303
    assert mailbox() == "anna@gmail.com"
    assert (Link.objects.get().name, Link.objects.get().words) == ("Anna", "With you")


def test_what_is_typed_after_the_suggestion_is_meant(client, petition, sign_data, mailbox):
    assert client.post(URL, sign_data(email="anna@example.org", **CORRECTED)).status_code == 303
    assert mailbox() == "anna@example.org"


def test_the_enter_key_does_not_take_the_suggestion(client, petition, sign_data):
    page = client.post(URL, sign_data(email="anna@gmial.com")).content.decode()

    first = re.search(r"<button[^>]*>", page[page.index('action="/en/petitions/chechnya/sign/"') :])[0]
    assert "name=" not in first
    assert "unseen" in first


def test_a_taken_suggestion_stays_when_something_else_is_wrong(client, petition, sign_data):
    page = client.post(URL, sign_data(email="anna@gmial.com", consent="", **CORRECTED)).content.decode()

    assert 'value="anna@gmail.com"' in page
    assert "anna@gmial.com" not in page
    assert "Did you mean" not in page


def test_another_slip_after_the_first_is_offered_back_too(client, petition, sign_data):
    data = sign_data(email="anna@hotmial.com", email_as_typed="anna@gmial.com")

    assert client.post(URL, data).status_code == 422


@pytest.mark.parametrize(
    "domain", ["gmail.com", "ymail.com", "yahoo.com.br", "example.org", "uni-mainz.de", "почта.рф"]
)
def test_an_address_that_is_no_slip_passes(client, petition, sign_data, domain):
    assert client.post(URL, sign_data(email=f"anna@{domain}")).status_code == 303


def test_whoever_fills_the_honeypot_is_asked_to_clear_it(client, petition, sign_data):
    """A browser may have done it, and she would wait for a mail in vain."""
    data = sign_data(website="https://filled.example", name="Anna", words="With you")

    response = client.post(URL, data)

    page = response.content.decode()
    assert response.status_code == 422
    assert 'href="#id_website">Please clear the field' in page
    assert 'class="trap"' not in page
    assert 'value="https://filled.example"' in page
    assert 'tabindex="-1"' not in re.search(r'<input[^>]*name="website"[^>]*>', page)[0]
    assert 'value="Anna"' in page
    assert "With you" in page
    assert not Signature.objects.exists()
    assert not OutgoingMail.objects.exists()

    assert client.post(URL, {**data, "website": ""}).status_code == 303


@pytest.mark.parametrize("filled", ["x", " ", "\u200b"])
def test_a_robot_that_fills_every_field_signs_nothing(client, petition, sign_data, filled):
    for _again in range(2):
        assert client.post(URL, sign_data(website=filled)).status_code == 422
    assert not Signature.objects.exists()


def test_nobody_sees_the_honeypot_before(client, petition):
    page = client.get(URL).content.decode()

    assert '<div class="trap" aria-hidden="true">' in page
    assert 'tabindex="-1"' in re.search(r'<input[^>]*name="website"[^>]*>', page)[0]


@pytest.mark.parametrize("source", ["nobody", "<script>", "x" * 999])
def test_an_unknown_source_is_not_counted_and_not_refused(client, petition, sign_data, source):
    assert client.post(URL, sign_data(source=source)).status_code == 303
    assert Signature.objects.get().source == ""


def test_a_known_source_travels_from_the_link_into_the_form(client, petition):
    Source.objects.create(slug="partner", title="A partner")

    assert 'name="source" value="partner"' in client.get(f"{URL}?from=partner").content.decode()
    assert 'name="source" value="nobody"' not in client.get(f"{URL}?from=nobody").content.decode()


def test_a_closed_petition_says_so_with_the_final_count(client, petition, sign_data):
    petition.closed_at = timezone.now() - timedelta(minutes=1)
    petition.save()

    response = client.post(URL, sign_data())

    assert response.status_code == 410
    assert "150,000" in response.content.decode()
    assert not Signature.objects.exists()


def test_a_paused_petition_asks_to_come_back(client, petition, sign_data):
    petition.paused_at = timezone.now()
    petition.save()

    response = client.post(URL, sign_data())

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert not Signature.objects.exists()


def test_nobody_signs_before_the_petition_opens(client, petition, sign_data):
    petition.opened_at = timezone.now() + timedelta(hours=1)
    petition.save()

    assert client.post(URL, sign_data()).status_code == 503
    assert not Signature.objects.exists()


@pytest.mark.parametrize("closed", [None, -1, 1])
@pytest.mark.parametrize("paused", [None, -1])
@pytest.mark.parametrize("opened", [-1, 1])
def test_the_statement_that_signs_and_the_page_agree_on_what_is_open(petition, opened, paused, closed):
    for name, hours in {"opened_at": opened, "paused_at": paused, "closed_at": closed}.items():
        setattr(petition, name, hours and timezone.now() + timedelta(hours=hours))
    petition.save()

    signed = signing.sign("chechnya", signing.Answers(email="anna@example.org"), language="en", network="192.0.2.1")

    assert signed is petition.is_open
    assert Signature.objects.exists() is petition.is_open


def test_there_is_nothing_to_sign_under_an_unknown_name(client, petition, sign_data):
    assert client.post("/en/petitions/nothing/sign/", sign_data()).status_code == 404
    assert not Signature.objects.exists()


def test_signing_costs_two_statements(client, petition, sign_data, known_switches, django_assert_num_queries):
    client.post(URL, sign_data())  # the salt of the day is fetched once a minute

    with django_assert_num_queries(2):
        assert client.post(URL, sign_data()).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://["},
    ],
)
def test_a_form_on_another_site_cannot_sign(client, petition, sign_data, headers):
    assert client.post(URL, sign_data(), headers=headers).status_code == 403
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": "http://testserver"}, {}]
)
def test_our_own_form_can(client, petition, sign_data, headers):
    assert client.post(URL, sign_data(), headers=headers).status_code == 303


def test_the_check_inbox_page_names_sender_and_subject(client, petition, settings):
    page = client.get(INBOX).content.decode()

    assert escape(settings.DEFAULT_FROM_EMAIL) in page
    assert "Confirming your email address" in page
