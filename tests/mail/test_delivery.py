"""What a mail looks like on the wire, and what the outbox makes of the answers of a real mail server."""

import re
import smtplib
import socket
import ssl
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.utils import timezone

from petition import identity, withdrawal
from petition.mail import claims, messages, queue, recipients, retries, smtp
from petition.mail.keys import Keyring
from petition.mail.refusals import ServerAwayError
from petition.mail.smtp import Post
from petition.models import AddressMark, OutgoingMail
from tests.support.links import recipient
from tests.support.mail_server import DROP, HANG, MailServer

ANNA, BORIS, CLARA = "anna@example.org", "boris@example.org", "clara@example.org"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings, monkeypatch):
    settings.SITE_URL, settings.SITE_HOST = "https://site.example", "site.example"
    settings.DEFAULT_FROM_EMAIL = "confirm@site.example"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_TIMEOUT = 10
    monkeypatch.setattr(queue, "_wary_until", 0.0)


@pytest.fixture
def server(settings):
    with MailServer() as server:
        settings.EMAIL_PORT = server.port
        yield server


def mails():
    return OutgoingMail.objects.order_by("pk")


def all_turns():
    """How many mails were dealt with until none was due: after a silence the others are taken up in another turn."""
    return sum(iter(queue.deliver_due, 0))


def due_again():
    OutgoingMail.objects.update(due_at=timezone.now())


def seconds_from_now(time):
    return (time - timezone.now()) / timedelta(seconds=1)


def minutes_from_now(time):
    return round(seconds_from_now(time) / 60)


# What it looks like.


def letters_in(language, petition, sign, server):
    """One of each letter, as it came over the wire."""
    sign(ANNA, language=language)
    withdrawal.request(petition, ANNA, language=language)
    queue.deliver_due()
    assert len(server.received) == 2
    return [received.message for received in server.received]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_letter_is_plain_text_with_an_html_twin(petition, sign, server, language):
    for message in letters_in(language, petition, sign, server):
        assert message.get_content_type() == "multipart/alternative"
        text, html = message.iter_parts()
        assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
        # The same words in the same order, whatever the markup.
        button = r'<a class="button".*?</a>'
        page = re.sub(button, "", html.get_content(), flags=re.DOTALL)
        assert words(text.get_content()) == words(without_markup(page))
        assert not re.search(r"&\w+;|<|{{|{%", text.get_content())


def words(text):
    return re.findall(r"[^\W_]+", text)


def without_markup(page):
    body = page[page.index("<body") :]
    return re.sub(r"<[^>]*>", " ", body).replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_letter_fetches_or_tracks_anything(petition, sign, server, language):
    for message in letters_in(language, petition, sign, server):
        html = message.get_body(("html",)).get_content()
        assert not re.search(r"<(img|link|script|style|iframe|object|video|form)|src=|url\(|@import", html)
        urls = re.findall(r"https?://[^\s\"<>]+", html + message.get_body(("plain",)).get_content())
        assert urls
        for url in urls:
            assert re.fullmatch(rf"https://site\.example/{language}/(confirm|withdraw)/[\w.:-]+/", url)


@pytest.mark.parametrize(("language", "letters"), [("en", "[a-z]"), ("ru", "[а-яё]")])
def test_a_letter_speaks_the_language_of_the_form(petition, sign, server, language, letters):
    for message in letters_in(language, petition, sign, server):
        text = message["Subject"] + message.get_body(("plain",)).get_content()
        text = re.sub(r"https?://\S+|site\.example", "", text)
        assert len(re.findall(letters, text)) > len(re.findall(r"[a-zа-яё]", text)) * 0.9


def test_the_link_carries_its_token_in_the_path_and_the_code_is_easy_to_type(client, sign, server):
    sign(ANNA)
    queue.deliver_due()

    text = server.received[0].message.get_body(("plain",)).get_content()
    path = re.search(r"^https://site\.example(/en/confirm/[^/?#\s]+/)$", text, re.MULTILINE)[1]
    assert client.get(path).status_code == 200
    assert len(re.findall(r"^\d{4}-\d{3}-\d{3}$", text, re.MULTILINE)) == 1


def test_the_headers_of_a_mail_are_few_and_name_no_machine(sign, server):
    sign(ANNA)
    queue.deliver_due()

    (received,) = server.received
    message = received.message
    assert sorted(message.keys()) == [
        *("Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To")
    ]
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["From"], message["To"]) == ("confirm@site.example", ANNA)
    assert (received.sender, received.recipient) == ("confirm@site.example", ANNA)
    assert re.fullmatch(r"<[0-9a-f]{32}@site\.example>", message["Message-ID"])


def test_a_sender_with_a_name_is_understood(sign, server, settings):
    settings.DEFAULT_FROM_EMAIL = "Site <confirm@mail.site.example>"
    sign(ANNA)
    queue.deliver_due()

    (received,) = server.received
    assert received.sender == "confirm@mail.site.example"
    assert received.message["Message-ID"].endswith("@mail.site.example>")


def test_a_repeated_mail_keeps_its_name_and_others_have_other_names(sign, server):
    """So a mailbox that gets a mail twice can show it once."""
    sign(ANNA, ANNA)
    server.commands["DATA"] = "451 try again"
    names = []
    for _ in range(2):
        due_again()
        recognised = recipients.recognise(claims.claim(Keyring()), Keyring())
        letters = [(mail, messages.compose(mail, opened)) for mail, opened, _digest in recognised]
        names.append({mail.pk: messages.write(mail, letter, ANNA).message()["Message-ID"] for mail, letter in letters})

    assert names[0] == names[1]
    assert len(set(names[0].values())) == 2


# One connection.


def test_a_few_mails_go_over_one_connection(sign, server):
    addresses = [f"signer{number}@example.org" for number in range(queue.FEW)]
    sign(*addresses)

    assert queue.deliver_due() == queue.FEW
    assert sorted(server.recipients()) == sorted(addresses)
    assert len({received.connection for received in server.received}) == 1
    assert not mails().exists()


@pytest.mark.parametrize("answer", ["421 4.7.0 too many mails in this connection", "451 no more", DROP])
def test_a_server_may_end_a_connection_between_two_mails(sign, server, answer):
    """No mail is to blame: each goes out at once, over another connection."""
    sign(ANNA, BORIS, CLARA)
    server.commands["FULL"] = answer

    assert queue.deliver_due() == 3
    assert sorted(server.recipients()) == [ANNA, BORIS, CLARA]
    assert len({received.connection for received in server.received}) == 3
    assert not mails().exists()


def test_a_text_is_only_sent_while_the_claim_lasts_and_the_rest_of_it_is_given_back(sign, server, monkeypatch):
    sign(ANNA, BORIS)
    # It ends while the server looks at the address, as for a process that was stopped meanwhile.
    ends = iter([True, False])
    monkeypatch.setattr(claims.Claim, "is_ours", lambda claim, mail=None: next(ends, False))

    assert queue.deliver_due() == 0
    assert server.received == []
    monkeypatch.undo()
    assert {mail.attempts for mail in mails()} == {0}
    assert len(claims.claim(Keyring())) == 2


def test_a_line_of_a_text_may_begin_with_a_dot(sign, server, monkeypatch):
    content = messages.content
    monkeypatch.setattr(messages, "content", lambda email: content(email) + b"\r\n.\r\n..and more\r\n")
    sign(ANNA)

    assert queue.deliver_due() == 1
    assert server.received[0].message.epilogue.endswith("\n.\n..and more\n")


# Several connections.

MANY = [f"signer{number}@example.org" for number in range(claims.BATCH)]


def rows():
    """What is left in the outbox, by recipient."""
    return {recipient(mail): mail for mail in mails()}


@pytest.mark.parametrize("number", [1, 4, 7])
def test_much_mail_goes_over_as_many_connections_as_are_allowed(sign, server, settings, monkeypatch, number):
    # On a busy machine a second without an answer would open one more.
    monkeypatch.setattr(smtp, "TELL_SECONDS", 60)
    settings.MAIL_CONNECTIONS = str(number)
    server.on_data = lambda recipient: time.sleep(0.01)
    sign(*MANY)

    assert queue.deliver_due() == len(MANY)
    assert Counter(server.recipients()) == Counter(MANY)
    assert len({received.connection for received in server.received}) == number
    assert not mails().exists()


def test_a_server_that_serves_fewer_connections_gets_every_mail_once(sign, server):
    server.most_connections = 2
    sign(*MANY)

    assert queue.deliver_due() == len(MANY)
    assert Counter(server.recipients()) == Counter(MANY)
    assert len({received.connection for received in server.received}) <= 2
    assert not mails().exists()


@pytest.mark.parametrize("answer", ["421 4.7.0 too many mails in this connection", DROP])
def test_a_server_may_end_every_connection_after_each_of_many_mails(sign, server, answer):
    sign(*MANY)
    server.commands["FULL"] = answer

    assert queue.deliver_due() == len(MANY)
    assert Counter(server.recipients()) == Counter(MANY)
    assert not mails().exists()


def test_refusals_among_many_concern_those_mails_alone(sign, server):
    sign(*MANY)
    spam, later, closing, nobody, dropped, cut = MANY[3], MANY[40], MANY[41], MANY[60], MANY[80], MANY[99]
    server.commands |= {
        ("DATA", spam): "554 5.7.1 <ADDRESS>: looks like spam",
        ("RCPT", later): "450 4.2.0 <ADDRESS>: greylisted",
        ("RCPT", closing): "421 4.3.2 <ADDRESS>: going down",
        ("RCPT", nobody): "550 5.1.1 <ADDRESS>: no such mailbox",
        ("RCPT", dropped): DROP,
        ("DATA", cut): DROP,
    }

    assert queue.deliver_due() == len(MANY)
    assert {name: (mail.last_status, bool(mail.parked_at), mail.attempts) for name, mail in rows().items()} == {
        spam: (554, True, 1),
        later: (450, False, 1),
        closing: (421, False, 1),
        nobody: (550, True, 1),
        dropped: (None, False, 1),
        cut: (None, False, 1),
    }
    assert Counter(server.recipients()) == Counter(set(MANY) - set(rows()))

    server.commands.clear()
    due_again()
    # What was answered first.
    assert [queue.deliver_due(), queue.deliver_due()] == [2, 2]
    assert Counter(server.recipients()) == Counter(set(MANY) - {spam, nobody})


@pytest.mark.parametrize("answer", ["421 going down", DROP])
def test_a_server_that_goes_away_among_many_gets_each_of_the_rest_once(sign, server, answer):
    sign(*MANY)
    due_at = {name: mail.due_at for name, mail in rows().items()}

    def go_away_in_the_middle(recipient):
        if len(server.received) >= 50:
            server.commands.update({"EHLO": answer, "HELO": answer, "MAIL": answer})

    server.on_data = go_away_in_the_middle
    away()
    left = rows()
    assert Counter(server.recipients()) == Counter(set(MANY) - set(left))
    # Untried, and as late as they were.
    assert {name: mail.due_at for name, mail in left.items()} == {name: due_at[name] for name in left}
    assert {(mail.attempts, mail.parked_at, mail.last_status) for mail in left.values()} == {(0, None, None)}

    server.on_data = lambda recipient: None
    server.commands.clear()
    assert queue.deliver_due() == len(left)
    assert Counter(server.recipients()) == Counter(MANY)
    assert not mails().exists()


def test_a_server_that_dies_within_the_texts_costs_no_more_than_one_try_for_each_connection(sign, server, settings):
    sign(*MANY)

    def die_in_the_middle(recipient):
        if len(server.received) >= 50:
            server.commands.update(dict.fromkeys(["EHLO", "HELO", "MAIL", "RCPT", "DATA"], DROP))

    server.on_data = die_in_the_middle
    away()
    assert sum(mail.attempts for mail in mails()) <= int(settings.MAIL_CONNECTIONS)
    assert Counter(server.recipients()) == Counter(set(MANY) - set(rows()))

    server.on_data = lambda recipient: None
    server.commands.clear()
    due_again()
    while queue.deliver_due():
        pass
    assert Counter(server.recipients()) == Counter(MANY)
    assert not mails().exists()


def test_connections_are_kept_for_the_next_batch(sign, server):
    with closing(Post()) as post:
        for _ in range(2):
            sign(*MANY)
            while queue.deliver_due(post):
                pass

    assert len(server.received) == 2 * len(MANY)
    assert len({received.connection for received in server.received}) <= post.most


def test_after_the_server_came_back_the_same_post_goes_on(sign, server):
    with closing(Post()) as post:
        sign(*MANY)
        queue.deliver_due(post)
        server.stop()
        sign(ANNA, *MANY)
        with pytest.raises(ServerAwayError):
            queue.deliver_due(post)
        assert {mail.attempts for mail in mails()} == {0}
        server.start()
        while queue.deliver_due(post):
            pass

    assert Counter(server.recipients()) == Counter([*MANY, *MANY, ANNA])


def test_what_nobody_foresaw_in_a_carrier_is_raised_and_the_batch_is_given_back(sign, server, monkeypatch):
    sign(*MANY)
    write = messages.write

    def fail_at(mail, letter, recipient):
        if recipient == MANY[10]:
            raise KeyError("nobody foresaw this")
        return write(mail, letter, recipient)

    monkeypatch.setattr(messages, "write", fail_at)
    with pytest.raises(KeyError):
        queue.deliver_due()
    # It cannot hold up the others: it stays claimed, and at most what was under way with it.
    claimed = [mail for mail in mails() if mail.due_at > timezone.now()]
    assert MANY[10] in rows()
    assert 1 <= len(claimed) <= 4
    assert len(claims.claim(Keyring())) == mails().count() - len(claimed) > 0


# Refusals.


def test_a_refused_recipient_is_parked_and_stops_nobody(sign, server, caplog):
    sign(ANNA, BORIS, CLARA)
    server.commands["RCPT", BORIS] = "550 5.1.1 <ADDRESS>: no such mailbox"

    assert queue.deliver_due() == 3
    assert sorted(server.recipients()) == [ANNA, CLARA]
    mail = mails().get()
    assert mail.parked_at
    assert (mail.last_status, mail.attempts) == (550, 1)
    assert "550" in caplog.text
    assert "boris" not in caplog.text

    due_again()
    assert queue.deliver_due() == 0


def test_a_recipient_refused_for_now_is_tried_again_later(sign, server):
    sign(ANNA, BORIS, CLARA)
    server.commands["RCPT", BORIS] = "450 4.2.0 <ADDRESS>: greylisted"

    assert queue.deliver_due() == 3
    assert sorted(server.recipients()) == [ANNA, CLARA]
    mail = mails().get()
    assert (mail.parked_at, mail.last_status, mail.attempts) == (None, 450, 1)
    assert minutes_from_now(mail.due_at) == 1
    assert queue.deliver_due() == 0

    due_again()
    queue.deliver_due()
    assert minutes_from_now(mails().get().due_at) == 5

    server.commands.clear()
    due_again()
    queue.deliver_due()
    assert server.recipients()[2:] == [BORIS]
    assert not mails().exists()


@pytest.mark.parametrize(("answer", "parked"), [("554 5.7.1 <ADDRESS>: looks like spam", True), ("451 later", False)])
def test_a_refusal_after_the_text_concerns_that_mail_alone(sign, server, answer, parked):
    sign(ANNA, BORIS, CLARA)
    server.commands["DATA", BORIS] = answer

    assert queue.deliver_due() == 3
    assert sorted(server.recipients()) == [ANNA, CLARA]
    mail = mails().get()
    assert (bool(mail.parked_at), mail.last_status, mail.attempts) == (parked, int(answer[:3]), 1)


def test_a_server_that_closes_while_refusing_stops_nobody(sign, server):
    sign(ANNA, BORIS, CLARA)
    server.commands["RCPT", BORIS] = "421 4.3.2 <ADDRESS>: going down"

    assert queue.deliver_due() == 3
    assert sorted(server.recipients()) == [ANNA, CLARA]
    mail = mails().get()
    assert (mail.last_status, mail.attempts) == (421, 1)


@pytest.mark.parametrize("answer", ["nonsense", "-12 nonsense", "999 nonsense", "2 nonsense"])
def test_an_answer_that_is_no_status_is_no_verdict(sign, server, answer):
    sign(ANNA, BORIS)
    server.commands["RCPT", ANNA] = answer

    assert queue.deliver_due() == 2
    assert server.recipients() == [BORIS]
    assert mails().get().parked_at is None


def test_a_retry_does_not_use_up_the_limit_of_an_address(sign, server):
    sign(*[ANNA] * 5)
    server.commands["RCPT"] = "450 later"
    for _ in range(3):
        due_again()
        queue.deliver_due()
    server.commands.clear()
    due_again()
    queue.deliver_due()

    assert server.recipients() == [ANNA] * 5


def test_after_a_day_of_refusals_a_mail_is_parked(sign, server):
    sign(ANNA)
    server.commands["RCPT"] = "450 later"
    tries = 0
    while not mails().get().parked_at:
        due_again()
        tries += queue.deliver_due()

    assert tries == 1 + len(retries.BACKOFF)
    assert mails().get().last_status == 450


# Silence and broken connections.


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("trouble", [DROP, HANG])
def test_a_mail_at_which_the_server_fails_steps_back_and_the_next_one_starts_afresh(
    sign, server, settings, command, trouble, monkeypatch
):
    settings.EMAIL_TIMEOUT = 3
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 3)
    sign(ANNA, BORIS)
    server.commands[command, ANNA] = trouble

    assert all_turns() == 2
    assert server.recipients() == [BORIS]
    mail = mails().get()
    assert (mail.parked_at, mail.last_status, mail.attempts) == (None, None, 1)
    assert seconds_from_now(mail.due_at) == pytest.approx({DROP: 5, HANG: 60}[trouble], abs=4)

    server.commands.clear()
    due_again()
    queue.deliver_due()
    assert server.recipients() == [BORIS, ANNA]


@pytest.mark.parametrize("trouble", [DROP, HANG])
def test_a_text_without_an_answer_may_have_been_taken_and_is_not_sent_again_at_once(
    sign, server, settings, trouble, monkeypatch
):
    settings.EMAIL_TIMEOUT = 3
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 3)
    sign(ANNA, BORIS, CLARA)
    server.commands["TAKEN", BORIS] = trouble

    assert all_turns() == 3
    assert sorted(server.recipients()) == [ANNA, BORIS, CLARA]
    mail = mails().get()
    assert (mail.parked_at, mail.last_status, mail.attempts) == (None, None, 1)
    assert seconds_from_now(mail.due_at) == pytest.approx({DROP: 5, HANG: 60}[trouble], abs=4)

    server.commands.clear()
    due_again()
    queue.deliver_due()
    assert sorted(server.recipients()) == [ANNA, BORIS, BORIS, CLARA]


def test_a_worker_that_is_stopped_begins_no_other_mail(sign, server):
    sign(ANNA, BORIS, CLARA)

    assert queue.deliver_due(stopping=lambda: bool(server.received)) == 1
    assert len(server.received) == 1
    # The others are anybody's again.
    assert len(claims.claim(Keyring())) == 2


# The server is away, or at odds with us.


def away():
    """Why the worker says that it is."""
    with pytest.raises(ServerAwayError) as caught:
        queue.deliver_due()
    return str(caught.value)


def nothing_happened(due_at):
    """The mails are all there, untried, as due as they were."""
    assert [mail.due_at for mail in mails()] == due_at
    assert {(mail.attempts, mail.parked_at, mail.last_status) for mail in mails()} == {(0, None, None)}


def test_while_the_server_is_away_nothing_is_lost_or_counted(sign, server):
    sign(*[ANNA] * 5, BORIS)
    due_at = [mail.due_at for mail in mails()]
    server.stop()
    for _ in range(8):
        assert away() == "ConnectionRefusedError"
        nothing_happened(due_at)

    server.start()
    assert queue.deliver_due() == 6
    assert sorted(server.recipients()) == [*[ANNA] * 5, BORIS]


def test_mail_that_nobody_gets_is_done_with_even_while_the_server_is_away(sign, server):
    sign(ANNA, BORIS)
    AddressMark.remember(identity.email_digest(ANNA), AddressMark.Kind.NO_MAIL)
    server.stop()

    away()
    assert mails().count() == 1


def test_a_server_that_goes_away_within_a_batch_gets_the_rest_later(sign, server):
    sign(ANNA, BORIS, CLARA)

    def last_one(recipient):
        server.commands.update({"EHLO": "421 going down", "HELO": "421 going down", "MAIL": "421 going down"})

    server.on_data = last_one
    away()
    assert len(server.received) == 1
    assert {mail.attempts for mail in mails()} == {0}

    server.on_data = lambda recipient: None
    server.commands.clear()
    assert queue.deliver_due() == 2
    assert sorted(server.recipients()) == [ANNA, BORIS, CLARA]


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        ("550 5.7.1 <confirm@site.example>: not you", "550 5.7.1"),
        ("451 not now", "451"),
        ("530 log in first", "530"),
    ],
)
def test_a_refused_sender_is_no_fault_of_any_mail(sign, server, answer, codes):
    sign(*[ANNA] * 5, BORIS)
    due_at = [mail.due_at for mail in mails()]
    server.commands["MAIL"] = answer
    for _ in range(8):
        assert away() == f"it refused us with {codes}"
        nothing_happened(due_at)

    server.commands.clear()
    assert queue.deliver_due() == 6
    assert len(server.received) == 6


def test_a_server_that_will_not_talk_to_us_is_no_fault_of_any_mail(sign, server):
    sign(ANNA, BORIS)
    due_at = [mail.due_at for mail in mails()]
    server.commands.update({"EHLO": "550 go away", "HELO": "550 go away"})

    assert away() == "it refused us with 550"
    nothing_happened(due_at)


def test_a_server_that_accepts_connections_and_says_nothing_is_away(sign, settings):
    settings.EMAIL_TIMEOUT = 0.3
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]
        sign(ANNA, BORIS)
        due_at = [mail.due_at for mail in mails()]

        away()
    nothing_happened(due_at)


# STARTTLS and login.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """The machine trusts our authority, as it does the public ones."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def check_login(server, session, envelope, mechanism, data):
    # With handled=False the server says 535 by itself; otherwise it would say nothing and the client would wait.
    return AuthResult(success=data == LoginPassword(b"mailer", b"a password"), handled=False)


@pytest.fixture
def strict_server(settings, tls):
    """Takes mail from those who encrypt and log in."""
    with MailServer(tls_context=tls, require_starttls=True, authenticator=check_login, auth_required=True) as server:
        settings.EMAIL_PORT, settings.EMAIL_USE_TLS = server.port, True
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "mailer", "a password"
        yield server


def test_mail_is_sent_encrypted_and_logged_in(sign, strict_server, trusted):
    sign(ANNA, BORIS)

    assert queue.deliver_due() == 2
    assert {(received.encrypted, received.logged_in) for received in strict_server.received} == {(True, True)}
    assert len({received.connection for received in strict_server.received}) == 1


def test_with_a_wrong_password_nothing_is_lost(sign, strict_server, trusted, settings):
    settings.EMAIL_HOST_PASSWORD = "another password"
    sign(ANNA, BORIS)
    due_at = [mail.due_at for mail in mails()]

    assert away() == "it refused us with 535 5.7.8"
    nothing_happened(due_at)

    settings.EMAIL_HOST_PASSWORD = "a password"
    assert queue.deliver_due() == 2


def test_a_certificate_that_nobody_vouches_for_gets_no_mail(sign, strict_server):
    sign(ANNA)
    due_at = [mail.due_at for mail in mails()]

    assert away() == "SSLCertVerificationError"
    nothing_happened(due_at)


def test_mail_is_never_sent_in_the_clear_if_starttls_was_asked_for(sign, server, settings):
    settings.EMAIL_USE_TLS = True
    sign(ANNA)
    due_at = [mail.due_at for mail in mails()]

    assert away() == smtplib.SMTPNotSupportedError.__name__
    nothing_happened(due_at)
    assert server.received == []


# Servers that take a text and never answer.

SILENT = [f"silent{number}@example.org" for number in range(6)]
OTHERS = [f"other{number}@example.org" for number in range(14)]
PATIENCE = 3.0


@pytest.fixture
def silent(server, settings, monkeypatch):
    """It never answers for these; nobody else has to wait for longer than PATIENCE."""
    settings.EMAIL_TIMEOUT = PATIENCE
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", PATIENCE)
    for address in SILENT:
        server.commands["TAKEN", address] = HANG
    return server


def until(done):
    """How long it took, by turns of the worker."""
    started = time.monotonic()
    while not done():
        queue.deliver_due()
    return time.monotonic() - started


def test_many_that_are_never_answered_are_left_side_by_side_and_not_one_after_the_other(sign, silent):
    sign(*SILENT, *OTHERS)

    took = until(lambda: not mails().filter(attempts=0).exists())

    assert set(OTHERS) <= set(silent.recipients())
    assert sorted(recipient(mail) for mail in mails()) == SILENT
    # One after the other they would take six times as long.
    assert took < (len(SILENT) - 1) * PATIENCE


def test_what_falls_due_while_one_is_unanswered_goes_out_over_another_connection(sign, silent, monkeypatch):
    monkeypatch.setattr(smtp, "TELL_SECONDS", 0.2)
    sign(SILENT[0])
    seen = []

    def meanwhile():
        if not seen:
            sign(ANNA)
        seen.append(ANNA in silent.recipients())

    assert queue.deliver_due(meanwhile=meanwhile) == 2
    # The last time is when the silent one is given up.
    assert not seen[0]
    assert any(seen[:-1])


def test_a_turn_that_has_lasted_takes_up_no_more_and_ends(sign, silent, monkeypatch):
    """The worker has long duties as well, which wait for its end."""
    monkeypatch.setattr(smtp, "TELL_SECONDS", 0.2)
    monkeypatch.setattr(queue, "TURN_SECONDS", 0)
    sign(SILENT[0])
    seen = []

    assert queue.deliver_due(meanwhile=lambda: seen or seen.append(sign(ANNA))) == 1
    assert ANNA not in silent.recipients()


def test_they_are_tried_again_when_nobody_else_waits_and_all_at_once(sign, silent):
    sign(*SILENT)
    until(lambda: not mails().filter(attempts=0).exists())
    due_again()
    sign(ANNA)

    assert queue.deliver_due() == 1
    assert ANNA in silent.recipients()

    started = time.monotonic()
    assert queue.deliver_due() == claims.UNANSWERED
    assert time.monotonic() - started < (claims.UNANSWERED - 1) * PATIENCE
    assert mails().filter(attempts=2).count() == claims.UNANSWERED
