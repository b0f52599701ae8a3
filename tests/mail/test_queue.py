"""Which mail is due, and which letter it becomes."""

import logging
import re
import secrets
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from nacl.public import PrivateKey

from petition import confirmation, identity, signing, withdrawal
from petition.mail import queue
from petition.models import AddressMark, OutgoingMail, Signature
from petition.models.signature import this_hour

ANNA = "anna@example.org"
CODE = re.compile(rf"^[{identity.CODE_LETTERS}]{{4}}-[{identity.CODE_LETTERS}]{{4}}$", re.MULTILINE)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings):
    key = PrivateKey.generate()
    settings.RECIPIENT_PUBLIC_KEY = key.public_key.encode().hex()
    settings.RECIPIENT_SECRET_KEYS = [key.encode().hex()]
    settings.SITE_URL = "https://site.example"


@pytest.fixture
def sign(petition):
    def sign(email=ANNA, language="en"):
        signing.sign(petition.slug, signing.Answers(email=email), language=language, network="192.0.2.1")
        return Signature.objects.latest("pk")

    return sign


@pytest.fixture
def ask_to_withdraw(petition):
    def ask(email=ANNA, language="en"):
        withdrawal.request(petition, email, language=language)

    return ask


@pytest.fixture
def sent(mailoutbox):
    """What was sent in this round."""

    def sent():
        mailoutbox.clear()
        while queue.deliver_due():
            pass
        return list(mailoutbox)

    return sent


def link(message, kind):
    """The path of the first link of a kind in a mail."""
    return re.search(rf"https://site\.example(/en/{kind}/[^/\s]+/)$", message.body, re.MULTILINE)[1]


def mark(kind, days=30):
    expires_at = timezone.now() + timedelta(days=days)
    AddressMark.objects.create(email_digest=identity.email_digest(ANNA), kind=kind, expires_at=expires_at)


def says(message, words):
    return words in " ".join(message.body.split())


ALREADY = "It has been confirmed there before"
REVIEW = "under review"
NOTHING = "Nothing is stored about it"

# After signing.


def test_a_new_signer_is_asked_to_confirm(client, sign, sent):
    signature = sign()

    (message,) = sent()
    assert message.to == [ANNA]
    assert not OutgoingMail.objects.exists()
    page = client.get(link(message, "confirm"))
    assert page.context["signature"] == signature
    assert confirmation.find_by_code(signature.petition, bytes(signature.email_digest), CODE.search(message.body)[0])


def test_mail_goes_to_the_address_as_typed(sign, sent):
    sign("Anna.K+petition@GMail.com")

    assert sent()[0].to == ["Anna.K+petition@GMail.com"]


def test_each_of_two_forms_from_one_address_gets_its_own_link(client, sign, sent):
    signatures = [sign(), sign()]

    messages = sent()
    assert [client.get(link(message, "confirm")).context["signature"] for message in messages] == signatures
    assert len({CODE.search(message.body)[0] for message in messages}) == 2


def test_who_is_counted_learns_that_she_has_signed(sign, sent):
    sign().confirm()
    sign()

    message = sent()[-1]
    assert says(message, ALREADY)
    assert "/confirm/" not in message.body


@pytest.mark.parametrize("state", ["held", "invalidated", "both"])
def test_who_is_held_or_invalidated_learns_of_a_review_and_no_more(sign, sent, state):
    sign().confirm()
    if state != "invalidated":
        Signature.objects.hold("a test")
    if state != "held":
        Signature.objects.invalidate("a test")
    sign()

    message = sent()[-1]
    assert says(message, REVIEW)
    assert not says(message, ALREADY)
    assert "/confirm/" not in message.body


def test_who_was_released_has_signed(sign, sent):
    sign().confirm()
    Signature.objects.hold("a test")
    Signature.objects.release()
    sign()

    assert says(sent()[0], ALREADY)


def test_the_subject_is_the_same_in_every_case(sign, sent, ask_to_withdraw):
    sign()
    subjects = {sent()[0].subject}
    sign().confirm()
    sign()
    subjects.add(sent()[0].subject)
    Signature.objects.hold("a test")
    sign()
    subjects.add(sent()[0].subject)

    assert len(subjects) == 1


def test_a_signature_that_is_gone_gets_no_mail(sign, sent):
    sign().delete()

    assert sent() == []
    assert not OutgoingMail.objects.exists()


def test_what_another_mail_of_the_address_confirmed_needs_no_mail_any_more(sign, sent):
    first = sign()
    sign()
    OutgoingMail.objects.filter(signature=first).delete()
    first.confirm()

    assert sent() == []


def test_signatures_of_others_change_nothing(sign, sent, make_signature):
    make_signature(confirmed=True)
    sign()

    assert "/confirm/" in sent()[0].body


def test_a_signature_of_another_petition_changes_nothing(sign, sent):
    from tests.conftest import make_petition

    other = make_petition(slug="another")
    Signature.objects.create(
        petition=other,
        email_digest=identity.email_digest(ANNA),
        language="en",
        consent_version=1,
        confirmed_at=this_hour(),
    )
    sign()

    assert "/confirm/" in sent()[0].body


# "I did not sign this."


def test_who_did_not_sign_gets_no_more_mail(sign, sent):
    confirmation.disown(sign())
    assert sent() == []

    sign()
    sign("Anna+again@example.org")
    assert sent() == []
    assert not OutgoingMail.objects.exists()


def test_the_wish_for_no_mail_lapses(sign, sent):
    mark(AddressMark.Kind.NO_MAIL, days=-1)
    sign()

    assert len(sent()) == 1


def test_who_is_held_if_she_returns_gets_her_mail(sign, sent):
    mark(AddressMark.Kind.HOLD)
    sign()

    assert len(sent()) == 1


# Withdrawing.


@pytest.mark.parametrize("state", ["pending", "counted", "held", "invalidated"])
def test_whatever_stands_can_be_withdrawn(client, sign, sent, ask_to_withdraw, state):
    signature = sign()
    if state != "pending":
        signature.confirm()
    if state == "held":
        Signature.objects.hold("a test")
    if state == "invalidated":
        Signature.objects.invalidate("a test")
    sent()
    ask_to_withdraw()

    (message,) = sent()
    client.post(link(message, "withdraw"))
    assert not Signature.objects.exists()


def test_where_nothing_stands_the_mail_says_so(sent, ask_to_withdraw):
    ask_to_withdraw()

    (message,) = sent()
    assert says(message, NOTHING)


def test_who_wants_no_mail_can_withdraw_what_she_confirmed(client, sign, sent, ask_to_withdraw):
    sign().confirm()
    mark(AddressMark.Kind.NO_MAIL)
    ask_to_withdraw()

    (message,) = sent()
    client.post(link(message, "withdraw"))
    assert not Signature.objects.exists()


@pytest.mark.parametrize("pending", [True, False])
def test_who_wants_no_mail_and_confirmed_nothing_gets_none(sign, sent, ask_to_withdraw, pending):
    if pending:
        sign()
    mark(AddressMark.Kind.NO_MAIL)
    ask_to_withdraw()

    assert sent() == []
    assert not OutgoingMail.objects.exists()


def test_every_mail_leads_to_withdrawing(client, sign, sent, ask_to_withdraw):
    signature = sign()
    messages = sent()
    signature.confirm()
    sign()
    messages += sent()
    Signature.objects.hold("a test")
    sign()
    messages += sent()

    for message in messages:
        assert client.get(link(message, "withdraw")).status_code == 200


# The limit of an address.


@pytest.mark.parametrize("kind", ["sign", "withdraw"])
def test_an_address_gets_five_mails_of_a_kind_in_a_day(sign, sent, ask_to_withdraw, kind):
    ask = {"sign": sign, "withdraw": ask_to_withdraw}[kind]
    for _ in range(5):
        ask()
    assert len(sent()) == 5

    ask()
    assert sent() == []
    assert not OutgoingMail.objects.exists()


def test_one_batch_keeps_the_limit_too(sign, sent):
    for _ in range(8):
        sign()

    assert len(sent()) == 5


def test_one_batch_counts_each_address_and_kind_by_itself(sign, sent, ask_to_withdraw):
    """Who came first gets her mail, as if there were no batch."""
    first = [sign(f"{name}@example.org").pk for name in "abcabcabcabcab"]
    beyond = [sign(f"{name}@example.org").pk for name in "abb"]
    for _ in range(6):
        ask_to_withdraw("c@example.org")

    counts = Counter((message.to[0][0], message.subject) for message in sent())
    confirming, deleting = sorted({subject for _name, subject in counts})
    assert counts == {
        ("a", confirming): 5,
        ("b", confirming): 5,
        ("c", confirming): 4,
        ("c", deleting): 5,
    }
    assert list(Signature.objects.order_by("pk").values_list("pk", flat=True)) == first
    assert not Signature.objects.filter(pk__in=beyond).exists()
    assert not OutgoingMail.objects.exists()


def test_a_flood_for_one_address_leaves_room_for_others_in_its_batch(sign, sent):
    for _ in range(queue.BATCH - 1):
        sign()
    sign("boris@example.org")

    assert Counter(message.to[0] for message in sent()) == {ANNA: 5, "boris@example.org": 1}
    assert Signature.objects.count() == 6


def test_signing_does_not_use_up_the_mails_to_withdraw(sign, sent, ask_to_withdraw):
    for _ in range(6):
        sign()
    sent()
    ask_to_withdraw()

    assert len(sent()) == 1


def test_a_mailbox_has_one_limit_however_it_is_written(sign, sent):
    for tag in range(5):
        sign(f"a.nna+{tag}@gmail.com")
    assert len(sent()) == 5

    sign("anna@googlemail.com")
    assert sent() == []


def test_other_addresses_have_limits_of_their_own(sign, sent):
    for _ in range(6):
        sign()
    sign("boris@example.org")

    assert len(sent()) == 6


def test_mail_that_nobody_gets_is_not_counted(sign, sent):
    for _ in range(5):
        sign().delete()
    sent()
    sign()

    assert len(sent()) == 1


def test_zero_is_no_limit(sign, sent, settings):
    settings.MAILS_PER_ADDRESS = "0"
    for _ in range(7):
        sign()

    assert len(sent()) == 7


# Claiming.


def test_mail_that_is_not_due_or_parked_is_left_alone(sign):
    sign()
    sign()
    first, second = OutgoingMail.objects.order_by("pk")
    OutgoingMail.objects.filter(pk=first.pk).update(due_at=timezone.now() + timedelta(minutes=1))
    OutgoingMail.objects.filter(pk=second.pk).update(parked_at=timezone.now())

    assert queue.claim() == []


def test_a_claim_is_a_batch_of_the_oldest_and_ends(sign):
    for _ in range(queue.BATCH + 3):
        sign()
    newest = list(OutgoingMail.objects.order_by("-due_at")[:3])

    claimed = queue.claim()
    assert len(claimed) == queue.BATCH
    assert not set(newest) & set(claimed)
    assert {mail.pk for mail in queue.claim()} == {mail.pk for mail in newest}
    assert queue.claim() == []

    OutgoingMail.objects.update(due_at=timezone.now())
    assert len(queue.claim()) == queue.BATCH


def test_a_claim_lasts_five_minutes(sign):
    sign()
    before = timezone.now()
    queue.claim()

    claimed_for = OutgoingMail.objects.get().due_at - before
    assert timedelta(minutes=5) <= claimed_for < timedelta(minutes=6)


def test_a_mail_that_a_stalled_worker_sent_after_all_costs_nobody_her_signature(sign, sent, monkeypatch):
    """Its link is in her mailbox."""
    signature = sign()
    claim = queue.claim

    def claim_too_late():
        mails = claim()
        OutgoingMail.objects.all().delete()
        return mails

    monkeypatch.setattr(queue, "claim", claim_too_late)

    assert sent() == []
    assert Signature.objects.get() == signature


def test_choosing_reads_no_more_signatures_than_it_needs(sign):
    """With a million signatures, reading all of them for each batch would be felt."""
    sign()
    with CaptureQueriesContext(connection) as queries:
        queue.choose_letters(queue.claim())
    (select,) = [query["sql"] for query in queries if "petition_signature" in query["sql"]]
    with connection.cursor() as cursor:
        # So few rows are fastest read in a row; what matters is whether there is another way.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + select)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "Seq Scan" not in plan


def test_choosing_costs_as_much_however_many_signatures_an_address_has(sign):
    """A flood for one address must not be read again for each of its mails."""
    for _ in range(3):
        sign()
    claimed = queue.claim()

    with CaptureQueriesContext(connection) as queries:
        chosen = queue.choose_letters(claimed)
    assert len(queries) == 1
    with connection.cursor() as cursor:
        cursor.execute(queries[0]["sql"])
        assert len(cursor.fetchall()) == len(claimed) == len(chosen)


# What cannot be sent.


def test_mail_sealed_for_an_unknown_key_is_parked_and_the_log_names_nobody(sign, sent, settings, caplog):
    settings.RECIPIENT_PUBLIC_KEY = PrivateKey.generate().public_key.encode().hex()
    sign()

    assert sent() == []
    mail = OutgoingMail.objects.get()
    assert mail.parked_at
    assert mail.last_status is None
    assert f"mail {mail.pk} was sealed for a key that is not among RECIPIENT_SECRET_KEYS" in caplog.text
    assert "anna" not in caplog.text


def test_a_key_that_was_replaced_still_opens_its_mails(sign, sent, settings):
    sign()
    settings.RECIPIENT_SECRET_KEYS = [secrets.token_hex(32), *settings.RECIPIENT_SECRET_KEYS]

    assert sent()[0].to == [ANNA]


@pytest.mark.parametrize("rubbish", ["", "no address", "anna@example.org\nBcc: all@example.org", "a@b@c", "\0\0"])
def test_a_recipient_that_is_no_address_is_parked_and_stops_nobody(sign, sent, caplog, rubbish):
    sign("first@example.org")
    OutgoingMail.objects.update(recipient=identity.seal(rubbish))
    sign()

    messages = sent()
    assert messages[-1].to == [ANNA]
    left = OutgoingMail.objects.filter(parked_at__isnull=False)
    assert len(messages) + left.count() == 2


@pytest.mark.parametrize("sealed", [b"", b"short", secrets.token_bytes(400)])
def test_a_broken_box_is_parked_and_stops_nobody(sign, sent, sealed):
    sign("first@example.org")
    OutgoingMail.objects.update(recipient=sealed)
    sign()

    assert [message.to for message in sent()] == [[ANNA]]
    assert OutgoingMail.objects.get().parked_at


# Putting off.


def test_tries_step_back_and_end_after_a_day(sign):
    sign()
    waits = []
    while not (mail := OutgoingMail.objects.get()).parked_at:
        before = timezone.now()
        queue.retry_later(mail, 451)
        mail.refresh_from_db()
        if not mail.parked_at:
            waits.append(round((mail.due_at - before) / timedelta(minutes=1)))

    assert waits[:6] == [1, 5, 15, 60, 60, 60]
    assert set(waits[4:]) == {60}
    assert 24 * 60 <= sum(waits[3:]) < 26 * 60
    assert mail.last_status == 451


def test_who_lost_the_claim_changes_nothing(sign):
    """A worker that was stopped for minutes must not give away what another has claimed since."""
    sign()
    (mail,) = queue.claim()
    claimed_by_another = timezone.now() + timedelta(minutes=9)
    OutgoingMail.objects.update(due_at=claimed_by_another)

    queue.release([mail])
    queue.retry_later(mail, 450)
    queue.park(mail, 550)

    row = OutgoingMail.objects.get()
    assert (row.due_at, row.parked_at, row.attempts) == (claimed_by_another, None, 0)


def test_the_log_of_a_refusal_holds_a_number_and_no_address(sign, caplog):
    sign()
    with caplog.at_level(logging.INFO):
        queue.refuse(OutgoingMail.objects.get(), 550)

    assert "550" in caplog.text
    assert "anna" not in caplog.text
