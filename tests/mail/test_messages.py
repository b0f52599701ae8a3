"""A mail as it goes over the wire: for one recipient, in short lines of ASCII, and nothing of another one in it."""

import email
import email.policy
import re
import string
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from django.core.exceptions import ValidationError
from hypothesis import assume, given
from hypothesis import strategies as st

from petition import links
from petition.forms import AddressField
from petition.mail import messages
from petition.mail.keys import Opened
from petition.models import OutgoingMail

ANNA = "anna@example.org"
HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
SIGN, WITHDRAW = OutgoingMail.Kind.SIGN, OutgoingMail.Kind.WITHDRAW


@pytest.fixture(autouse=True)
def _site(settings):
    settings.SITE_URL, settings.SITE_HOST = "https://site.example", "site.example"
    settings.DEFAULT_FROM_EMAIL = "confirm@site.example"


def owed(kind=SIGN, language="en", number=1):
    """A mail and its letter."""
    mail = OutgoingMail(pk=number, petition_id=1, kind=kind, language=language)
    made = links.make()
    return mail, messages.compose(mail, Opened(ANNA, made.token, made.code if kind == SIGN else ""))


def wire(mail, letter, recipient=ANNA):
    return messages.content(messages.write(mail, letter, recipient))


def read(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def parts(message):
    return [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]


each_letter = pytest.mark.parametrize("kind", [SIGN, WITHDRAW])
each_language = pytest.mark.parametrize("language", ["en", "ru"])


@each_letter
@each_language
def test_a_mail_is_plain_text_with_an_html_twin(kind, language):
    message = read(wire(*owed(kind, language)))

    assert sorted(message.keys()) == HEADERS
    assert message["To"] == ANNA
    assert message["Auto-Submitted"] == "auto-generated"
    assert [kind for kind, _text in parts(message)] == ["text/plain", "text/html"]
    assert parsedate_to_datetime(message["Date"]).date() == datetime.now(UTC).date()
    assert not message.defects


@each_letter
@each_language
def test_any_server_can_take_it(kind, language):
    content = wire(*owed(kind, language))

    assert content.isascii()
    assert content.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", content)
    assert max(map(len, content.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("sender", ["Сайт <confirm@site.example>", "Site <confirm@пример.example>", "a.b@c.example"])
def test_a_sender_is_written_in_the_envelope_and_the_message_id(settings, sender):
    settings.DEFAULT_FROM_EMAIL = sender
    mail, letter = owed()

    ours = read(wire(mail, letter))
    assert messages.envelope_sender() == ours["From"].addresses[0].addr_spec
    assert ours["Message-ID"].endswith(f"@{ours['From'].addresses[0].domain}>")


@each_letter
def test_letters_of_one_form_have_nothing_of_each_other(kind):
    contents = [read(wire(*owed(kind, number=number))) for number in (1, 2)]

    names = [message["Message-ID"] for message in contents]
    said = ["".join(text for _type, text in parts(message)) for message in contents]
    assert len({len(text) for text in said}) == 1
    links = [set(re.findall(r"https://site\.example/en/\w+/[\w.-]+/", text)) for text in said]
    assert names[0] != names[1]
    assert links[0]
    assert links[1]
    assert not links[0] & links[1]
    assert not re.search(r"[\[\]{}]", "".join(said))


@each_letter
@each_language
def test_every_letter_of_a_kind_is_as_long_as_any_other(kind, language):
    """So its size tells nothing to whoever sees it pass."""
    assert len({len(wire(*owed(kind, language, number))) for number in range(1, 30)}) == 1


@pytest.mark.parametrize(
    ("onion_url", "host"), [("http://petition.onion", "http://petition.onion"), ("", "https://site.example")]
)
def test_links_lead_where_she_came_from(settings, onion_url, host):
    settings.ONION_URL = onion_url
    mail, _letter = owed()

    context = messages.compose(mail, Opened(ANNA, "TOKEN", "0123456789", is_onion=True)).context
    assert context["link"].startswith(f"{host}/en/confirm/")
    assert context["withdraw_url"].startswith(f"{host}/en/withdraw/")
    assert context["code"] == "0123-456-789"


def test_a_changed_site_is_not_remembered(settings):
    wire(*owed())
    settings.SITE_URL, settings.SITE_HOST, settings.CONFIRMATION_DAYS = "https://other.example", "other.example", 1

    said = "".join(text for _type, text in parts(read(wire(*owed()))))
    assert "site.example" not in said
    assert "https://other.example/en/confirm/" in said
    assert "Both work for 1 day." in said


# Recipients.

atoms = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12)
locals_ = st.lists(atoms, min_size=1, max_size=3).map(".".join)
labels = st.text("abcxyzABC019-äéπжыщ中ñ", min_size=1, max_size=10)
domains = st.lists(labels, min_size=1, max_size=3).map(lambda names: ".".join([*names, "org"]))
typed = st.emails() | st.builds("{}@{}".format, locals_, domains)
rubbish = st.text() | st.builds(
    "{}{}{}".format, typed, st.sampled_from(["\n", "\r\n", ",", " ", "\0", ">", ";"]), typed
)


def accepted(address):
    """What the sign form makes of this; None if it refuses it."""
    try:
        return AddressField().clean(address)
    except ValidationError:
        return None


def check_one_recipient(address):
    mailbox = messages.mailbox(address)
    message = read(wire(*owed(), address))
    (recipient,) = message["To"].addresses
    assert recipient.addr_spec == str(message["To"]) == mailbox
    assert sorted(message.keys()) == HEADERS
    assert not message.defects
    assert not message["To"].defects
    assert re.fullmatch(r"[!-~]+@[!-~]+", mailbox)
    assert not set(mailbox) & set('<>,;:"()[]\\')
    return mailbox


@given(typed)
def test_every_address_that_the_form_takes_can_be_written_to(address):
    address = accepted(address)
    assume(address)

    assert check_one_recipient(address).rpartition("@")[0] == address.rpartition("@")[0]


@given(rubbish)
def test_whatever_a_box_holds_is_one_recipient_or_none(text):
    try:
        check_one_recipient(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "anna", "anna@", "@example.org", "a b@example.org", "anna@exa mple.org", "anna@example..org"),
        *("anna@example.org\nBcc: boris@example.org", "anna@example.org\r\n\r\nhello", "anna@example.org\n"),
        *("anna@example.org, boris@example.org", "<anna@example.org>", "Anna <anna@example.org>"),
        *("a@b@example.org", '"a b"@example.org', "анна@example.org", "anna@example.org>\r\nDATA", "\0@example.org"),
    ],
)
def test_what_is_no_address_is_written_to_nobody(text):
    with pytest.raises(ValueError):
        messages.mailbox(text)
    with pytest.raises(ValueError):
        messages.write(*owed(), text)


def test_a_domain_is_written_as_it_is_looked_up():
    assert messages.mailbox("Anna+x@Пример.рф") == "Anna+x@xn--e1afmkfd.xn--p1ai"


@given(typed)
def test_a_long_or_strange_recipient_changes_nothing_else(address):
    address = accepted(address)
    assume(address)
    mail, letter = owed()

    plain, strange = read(wire(mail, letter)), read(wire(mail, letter, address))
    assert parts(plain) == parts(strange)
    for name in {*HEADERS} - {"To", "Date", "Content-Type"}:
        assert plain[name] == strange[name]
