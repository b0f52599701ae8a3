"""A mail server that refuses all that we send, or puts it off: one fault of ours, and not one of each mail."""

import time
from contextlib import closing
from datetime import timedelta

import pytest
from django.utils import timezone

from petition import retention
from petition.mail import queue, refusals
from petition.mail.refusals import Codes, ServerAwayError
from petition.mail.smtp import Post
from petition.models import Heartbeat, MailTally, OutgoingMail
from tests.support.links import recipient
from tests.support.mail_server import DROP, MailServer

POLICY = "550 5.7.1 <ADDRESS>: your reputation is poor"
LATER = "451 4.3.0 try again later"
NOBODY = "550 5.1.1 <ADDRESS>: no such mailbox"
# Three people of each of twenty providers.
EVERYBODY = [f"person{number}@provider{number % 20}.example" for number in range(60)]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    monkeypatch.setattr(queue, "_wary_until", 0.0)
    monkeypatch.setattr(queue, "_beats_at", {})


@pytest.fixture
def server(settings):
    with MailServer() as server:
        settings.EMAIL_PORT = server.port
        yield server


@pytest.fixture
def post(server):
    """The connections of a worker, which remembers what the server has said."""
    with closing(Post()) as post:
        yield post


def mails():
    return OutgoingMail.objects.all()


def parked():
    return {recipient(mail) for mail in mails().filter(parked_at__isnull=False)}


def due():
    return mails().filter(parked_at=None, due_at__lte=timezone.now()).count()


def time_passes(post, seconds):
    """Everything that was put off is due, and the first refusal is so long ago."""
    OutgoingMail.objects.waiting().update(due_at=timezone.now())
    post.refusals.since -= seconds


def refuse_all(server, answer, command="RCPT"):
    server.commands[command] = answer


def turn(post):
    """What a turn of the worker ends with: how many mails it dealt with, or why there is no use in another one."""
    try:
        return queue.deliver_due(post)
    except ServerAwayError as error:
        return str(error)


# Everything is refused.


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "says", "codes"),
    [
        (POLICY, "it refuses all mail with 550 5.7.1", "550 5.7.1"),
        ("554 relay access denied", "it refuses all mail with 554", "554"),
        (LATER, "it puts all mail off with 451 4.3.0", ""),
    ],
)
def test_a_refusal_of_everything_is_one_fault_and_no_mail_is_parked_or_put_off(
    sign, server, post, command, answer, says, codes
):
    sign(*EVERYBODY)
    refuse_all(server, answer, command)

    for _ in range(20):
        assert turn(post) == says
        assert due() == len(EVERYBODY)
    assert not mails().exclude(attempts=0).exists()
    assert Heartbeat.refusal() == codes

    server.commands.clear()
    while due():
        turn(post)
    assert sorted(server.recipients()) == sorted(EVERYBODY)
    assert Heartbeat.refusal() == ""


def test_while_all_is_refused_a_few_mails_ask_in_turn_whether_it_still_is(sign, server, post):
    sign(*EVERYBODY)
    refuse_all(server, POLICY)
    turn(post)
    asked = mails().filter(last_status=550).count()
    # What was under way over other connections when it was known comes on top.
    assert refusals.SEVERAL <= asked < refusals.SEVERAL + 2 * post.most

    for number in range(1, 6):
        turn(post)
        assert mails().filter(last_status=550).count() == asked + number * queue.PROBES


def test_what_is_refused_is_counted_while_all_is(sign, server, post):
    sign(*EVERYBODY)
    refuse_all(server, POLICY)
    turn(post)

    (tally,) = MailTally.objects.all()
    assert (tally.result, tally.amount) == ("refused", mails().filter(last_status=550).count())


def test_everything_goes_out_at_once_when_it_ends(sign, server, post):
    sign(*EVERYBODY)
    refuse_all(server, POLICY)
    for _ in range(3):
        turn(post)
    server.commands.clear()

    assert [turn(post), turn(post)] == [queue.PROBES, len(EVERYBODY) - queue.PROBES]
    assert len(server.received) == len(EVERYBODY)


def test_a_server_that_takes_mail_to_one_domain_in_many_still_refuses_us(sign, server, post):
    """A relay that denies us takes what is for its own people."""
    own = "someone@relay.example"
    sign(*EVERYBODY[:30], own, *EVERYBODY[30:])
    for address in EVERYBODY:
        server.commands["RCPT", address] = POLICY
    for _ in range(30):
        turn(post)

    assert server.recipients() == [own]
    assert parked() == set()
    assert Heartbeat.refusal() == "550 5.7.1"


def test_one_provider_of_all_is_recognised_a_little_later(sign, server, post):
    sign(*(f"person{number}@example.org" for number in range(60)))
    refuse_all(server, POLICY)

    assert turn(post) == "it refuses all mail with 550 5.7.1"
    assert mails().filter(last_status=550).count() < refusals.MANY + 2 * post.most
    assert due() == 60


@pytest.mark.parametrize(("number", "said"), [(4, 4), (5, "it puts all mail off with 451 4.3.0")])
def test_where_mails_are_few_five_that_are_put_off_for_a_while_are_enough(sign, server, post, number, said):
    sign(*EVERYBODY[:number])
    refuse_all(server, LATER)
    assert turn(post) == number
    assert mails().filter(attempts=1, due_at__gt=timezone.now()).count() == number

    time_passes(post, 60)
    assert turn(post) == said


def test_where_mails_are_few_two_that_are_refused_for_a_while_are_enough(sign, server, post):
    sign("anna@example.org")
    refuse_all(server, POLICY)
    assert turn(post) == 1
    (mail,) = mails()
    # It waits, and is soon tried again.
    assert (mail.parked_at, mail.last_status, mail.enhanced_status) == (None, 550, "5.7.1")
    assert mail.due_at - timezone.now() < timedelta(seconds=30)
    assert Heartbeat.refusal() == ""

    time_passes(post, 3_600)
    sign("boris@example.com")
    assert turn(post) == "it refuses all mail with 550 5.7.1"
    assert Heartbeat.refusal() == "550 5.7.1"
    assert parked() == set()

    server.commands.clear()
    while due():
        turn(post)
    assert sorted(server.recipients()) == ["anna@example.org", "boris@example.com"]


@pytest.mark.parametrize(
    ("command", "answer", "codes"),
    [
        ("MAIL", "550 5.7.1 <confirm@example.org>: not you", "550 5.7.1"),
        ("MAIL", "553 5.1.8 no such sender", "553 5.1.8"),
        ("EHLO", "554 5.7.1 go away", "554 5.7.1"),
    ],
)
def test_a_refusal_of_our_sender_or_greeting_is_known_at_once(sign, server, post, command, answer, codes):
    sign("anna@example.org")
    server.commands.update({command: answer, "HELO": answer})

    assert turn(post) == f"it refused us with {codes}"
    assert Heartbeat.refusal() == codes
    assert not mails().exclude(attempts=0).exists()

    server.commands.clear()
    assert turn(post) == 1
    assert Heartbeat.refusal() == ""


def test_a_server_that_hangs_up_on_every_mail_stops_after_some(sign, server, post):
    """It may have read them, so these few are tried again later."""
    sign(*EVERYBODY)
    server.commands["RCPT"] = DROP

    assert turn(post) == "it breaks off with every mail"
    assert mails().filter(attempts=1).count() < refusals.SEVERAL + 2 * post.most


# One recipient, or one provider, is refused.


@pytest.mark.parametrize("answer", [NOBODY, "552 5.2.2 <ADDRESS>: mailbox full", "550 5.1.10 null MX"])
def test_mailboxes_that_do_not_exist_are_parked_at_once_however_many(sign, server, post, answer):
    """Bots would stop all mail with addresses that they make up."""
    sign(*EVERYBODY)
    refuse_all(server, answer)

    assert turn(post) == len(EVERYBODY)
    assert parked() == set(EVERYBODY)
    assert Heartbeat.refusal() == ""


def test_a_mailbox_that_does_not_exist_is_parked_at_once_among_mails_that_are_taken(sign, server, post):
    sign(*EVERYBODY)
    server.commands["RCPT", EVERYBODY[30]] = NOBODY

    assert turn(post) == len(EVERYBODY)
    assert parked() == {EVERYBODY[30]}
    (mail,) = mails()
    assert (mail.last_status, mail.enhanced_status, mail.attempts) == (550, "5.1.1", 1)


def test_a_provider_that_refuses_us_stops_no_other_and_its_mails_are_parked(sign, server, post):
    refusing = [f"person{number}@refusing.example" for number in range(90)]
    taking = [f"person{number}@taking{number}.example" for number in range(9)]
    everybody = list(refusing)
    for number, address in enumerate(taking):
        everybody.insert(11 * number + 5, address)
    sign(*everybody)
    for address in refusing:
        server.commands["RCPT", address] = POLICY

    assert turn(post) == len(everybody)
    assert sorted(server.recipients()) == sorted(taking)
    # Of the last ones it will be known with the next mail that is taken.
    assert set(refusing[:80]) <= parked() <= set(refusing)
    assert Heartbeat.refusal() == ""


def test_a_mail_that_is_refused_before_and_after_another_one_is_taken_is_parked(sign, server, post, monkeypatch):
    sign("anna@example.org", "boris@example.org")
    server.commands["RCPT", "boris@example.org"] = POLICY
    turn(post)
    assert parked() == set()

    sign("clara@example.org")
    turn(post)
    monkeypatch.setattr(queue, "_beats_at", {})
    OutgoingMail.objects.update(due_at=timezone.now())
    sign("daria@example.org")
    Heartbeat.beat(Heartbeat.Part.TAKEN)
    with closing(Post()) as another:
        turn(another)
    assert parked() == {"boris@example.org"}


def test_greylisting_of_some_is_what_it_was(sign, server, post):
    sign(*EVERYBODY)
    refuse_all(server, "450 4.2.0 <ADDRESS>: greylisted")

    assert turn(post) == len(EVERYBODY)
    assert mails().filter(attempts=1, last_status=450, due_at__gt=timezone.now()).count() == len(EVERYBODY)


# What is kept.


@pytest.mark.parametrize(
    ("status", "text", "codes"),
    [
        (550, b"5.7.1 <anna@example.org> 5.1.1", "550 5.7.1"),
        (550, b"5.7.509 Access denied", "550 5.7.509"),
        (550, b"anna@example.org 5.1.1", "550"),
        (550, b"4.7.1 of another class", "550"),
        (550, b"5.7.1.2 a version", "550"),
        (550, b"5.7.12345", "550"),
        (451, b"4.7.1\n4.7.1 later", "451 4.7.1"),
        (550, b"", "550"),
    ],
)
def test_the_enhanced_code_is_read_from_the_beginning_and_nothing_else_of_the_text(status, text, codes):
    assert str(Codes.read(status, text)) == codes


def test_nothing_is_purged_while_the_server_refuses_us(sign):
    sign("anna@example.org")
    OutgoingMail.objects.update(parked_at=timezone.now() - timedelta(days=8))
    Heartbeat.beat(Heartbeat.Part.REFUSED, "550 5.7.1")
    retention.purge()
    assert mails().count() == 1

    Heartbeat.beat(Heartbeat.Part.TAKEN)
    retention.purge()
    assert not mails().exists()


def test_the_memory_of_refusals_names_no_domain(sign, server, post):
    sign(*EVERYBODY)
    refuse_all(server, POLICY)
    turn(post)

    assert {type(domain) for domain in post.refusals.refusing} == {int}
    assert time.monotonic() - post.refusals.since < 60
