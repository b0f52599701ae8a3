"""The mail queue: which mail is due, and the one letter that it becomes, whosever address it is."""

import logging
import os
import re
import secrets
import sys
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from nacl.public import PublicKey, SealedBox

from petition import confirmation, identity, signing, withdrawal
from petition.mail import claims, keys, queue, recipients, retries
from petition.mail.keys import Keyring
from petition.mail.refusals import Codes
from petition.models import AddressMark, ListedDomain, OutboxKey, OutgoingMail, Signature, Verdict

ANNA = "anna@example.org"
CODE = re.compile(r"^\d{4}-\d{3}-\d{3}$", re.MULTILINE)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _site(settings):
    settings.SITE_URL = "https://site.example"


@pytest.fixture
def sign(petition):
    def sign(email=ANNA, language="en"):
        signing.sign(petition.slug, signing.Answers(email=email), language=language, network="192.0.2.1")
        return Signature.objects.get(pk=OutgoingMail.objects.latest("due_at").signature_id)

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


def seal(text):
    """Put this into every box, in place of what stood there."""
    half = keys.newest(fresh=True)
    box = SealedBox(PublicKey(half.public)).encrypt(text.encode())
    OutgoingMail.objects.update(recipient=box, key_id=half.key)


def link(message, kind):
    """The path of the first link of a kind in a mail."""
    return re.search(rf"https://site\.example(/en/{kind}/[^/\s]+/)$", message.body, re.MULTILINE)[1]


def mark(kind, days=30):
    expires_at = timezone.now() + timedelta(days=days)
    AddressMark.objects.create(email_digest=identity.email_digest(ANNA), kind=kind, expires_at=expires_at)


# After signing.


def test_a_new_signer_is_asked_to_confirm(client, sign, sent):
    signature = sign()

    (message,) = sent()
    assert message.to == [ANNA]
    assert not OutgoingMail.objects.exists()
    assert confirmation.find(link(message, "confirm").split("/")[3]).signature == signature
    assert confirmation.find_by_code(signature.petition, CODE.search(message.body)[0]).signature == signature


def test_the_worker_writes_whose_signature_it_is_before_its_mail_goes(sign, sent, monkeypatch):
    """Who has the mail can confirm at once, and a worker killed in between has sent nothing yet."""
    seen = []
    sign()
    monkeypatch.setattr(queue, "settle", lambda outcomes, settle=queue.settle: (seen.append(known()), settle(outcomes)))

    assert known() is None
    sent()
    assert seen == [identity.email_digest(ANNA)]


def known():
    digest = Signature.objects.get().email_digest
    return digest and bytes(digest)


def test_a_worker_that_was_killed_before_it_sent_recognises_once_more(sign, sent):
    sign()
    recipients.recognise(claims.claim(Keyring()), Keyring())
    before = Signature.objects.values().get()

    OutgoingMail.objects.update(due_at=timezone.now())
    assert len(sent()) == 1
    assert Signature.objects.values().get() == before


def test_a_blocked_domain_holds_what_it_signs_and_gets_its_letter(client, sign, sent):
    ListedDomain.objects.create(domain="example.org", verdict=Verdict.BLOCK)
    sign()

    client.post(link(sent()[0], "confirm"))
    assert Signature.objects.held().get().held_reason == "blocked mail domain"


def test_mail_goes_to_the_address_as_typed(sign, sent):
    sign("Anna.K+petition@GMail.com")

    assert sent()[0].to == ["Anna.K+petition@GMail.com"]


def test_each_of_two_forms_from_one_address_gets_its_own_link(client, sign, sent):
    signatures = [sign(), sign()]

    messages = sent()
    found = [confirmation.find(link(message, "confirm").split("/")[3]).signature for message in messages]
    assert set(found) == set(signatures)
    assert len({CODE.search(message.body)[0] for message in messages}) == 2


@pytest.mark.parametrize("state", ["counted", "held", "invalidated", "both"])
def test_whoever_has_signed_gets_the_letter_that_everybody_gets(sign, sent, state):
    sign()
    (first,) = sent()
    Signature.objects.get().confirm()
    if state in ("held", "both"):
        Signature.objects.hold("a test")
    if state in ("invalidated", "both"):
        Signature.objects.invalidate("a test")
    sign()

    (again,) = sent()
    assert again.subject == first.subject
    assert neutral(again.body) == neutral(first.body)
    assert len(again.message().as_bytes()) == len(first.message().as_bytes())


def neutral(text):
    """A letter without what is random in it."""
    return CODE.sub("CODE", re.sub(r"(confirm|withdraw)/[^/\s]+/", r"\1/TOKEN/", text))


def test_a_signature_that_is_gone_gets_its_letter_like_any_other(client, sign, sent):
    """What the queue does must not depend on what stands."""
    sign().delete()

    (message,) = sent()
    assert client.get(link(message, "confirm")).status_code == 410
    assert not OutgoingMail.objects.exists()


# "I did not sign this."


def test_who_did_not_sign_gets_no_more_mail(sign, sent):
    sign()
    (message,) = sent()
    confirmation.disown(confirmation.find(link(message, "confirm").split("/")[3]))

    sign()
    sign("Anna+again@example.org")
    assert sent() == []
    assert not OutgoingMail.objects.exists()
    # What was typed lapses by the clock, as any.
    assert Signature.objects.pending().count() == 2


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
    sent()
    if state != "pending":
        signature.confirm()
    if state == "held":
        Signature.objects.hold("a test")
    if state == "invalidated":
        Signature.objects.invalidate("a test")
    ask_to_withdraw()

    (message,) = sent()
    client.post(link(message, "withdraw"))
    assert not Signature.objects.exists()


def test_where_nothing_stands_the_letter_is_the_same(client, sign, sent, ask_to_withdraw):
    ask_to_withdraw()
    ask_to_withdraw("olga@example.org")
    sign()
    ask_to_withdraw()

    letters = [message for message in sent() if "/confirm/" not in message.body]
    assert len(letters) == 3
    assert len({(message.subject, neutral(message.body)) for message in letters}) == 1
    for message in letters:
        assert client.post(link(message, "withdraw"))["Location"] == "/en/petitions/chechnya/withdrawn/"


@pytest.mark.parametrize("is_known", [True, False])
def test_who_wants_no_mail_can_withdraw(client, sign, sent, ask_to_withdraw, is_known):
    if is_known:
        sign()
        sent()
        Signature.objects.get().confirm()
    mark(AddressMark.Kind.NO_MAIL)
    ask_to_withdraw()

    (message,) = sent()
    client.post(link(message, "withdraw"))
    assert not Signature.objects.exists()


def test_a_letter_leads_to_withdrawing(client, sign, sent):
    sign()

    assert client.get(link(sent()[0], "withdraw")).status_code == 200


def test_who_came_by_the_onion_address_gets_links_there(sent, petition, settings):
    settings.ONION_URL = "http://petition.onion"
    for is_onion in (True, False):
        signing.sign("chechnya", signing.Answers(email=ANNA), language="en", network=None, is_onion=is_onion)
        withdrawal.request(petition, ANNA, language="en", is_onion=is_onion)

    hosts = [tuple(set(re.findall(r"https?://[^/\s]+", message.body))) for message in sent()]
    assert Counter(hosts) == {("http://petition.onion",): 2, ("https://site.example",): 2}


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
    for name in "abcabcabcabcababb":
        sign(f"{name}@example.org")
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
    # Whatever the limit says: a row that went before its time would tell something.
    assert Signature.objects.count() == 17
    assert not OutgoingMail.objects.exists()


def test_a_flood_for_one_address_leaves_room_for_others_in_its_batch(sign, sent):
    for _ in range(claims.BATCH - 1):
        sign()
    sign("boris@example.org")

    assert Counter(message.to[0] for message in sent()) == {ANNA: 5, "boris@example.org": 1}
    assert Signature.objects.count() == claims.BATCH


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
    mark(AddressMark.Kind.NO_MAIL)
    for _ in range(5):
        sign()
    assert sent() == []

    AddressMark.objects.all().delete()
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

    assert claims.claim(Keyring()) == []


def test_a_claim_is_a_batch_of_the_oldest_and_ends(sign):
    for _ in range(claims.BATCH + 3):
        sign()
    newest = list(OutgoingMail.objects.order_by("-due_at")[:3])

    claimed = claims.claim(Keyring())
    assert len(claimed) == claims.BATCH
    assert not set(newest) & set(claimed)
    assert {mail.pk for mail in claims.claim(Keyring())} == {mail.pk for mail in newest}
    assert claims.claim(Keyring()) == []

    OutgoingMail.objects.update(due_at=timezone.now())
    assert len(claims.claim(Keyring())) == claims.BATCH


def test_a_claim_lasts_12_seconds(sign):
    sign()
    before = timezone.now()
    claims.claim(Keyring())

    claimed_for = OutgoingMail.objects.get().due_at - before
    assert timedelta(seconds=12) <= claimed_for < timedelta(seconds=40)


def test_a_worker_claims_only_what_it_can_open(sign, tmp_path):
    sign()
    elsewhere = Keyring(tmp_path)
    elsewhere.rotate()

    assert claims.claim(elsewhere) == []
    keys._newest = None
    sign()
    assert len(claims.claim(elsewhere)) == len(claims.claim(Keyring())) == 1


def test_a_mail_that_a_stalled_worker_sent_after_all_costs_nobody_her_signature(sign, sent, monkeypatch):
    """Its link is in her mailbox."""
    signature = sign()
    claim = claims.claim

    def claim_too_late(ring, *limits):
        mails = claim(ring, *limits)
        OutgoingMail.objects.all().delete()
        return mails

    monkeypatch.setattr(claims, "claim", claim_too_late)

    assert len(sent()) == 1
    assert Signature.objects.get() == signature


@pytest.mark.skipif(sys.platform != "linux", reason="Threads have a priority of their own on Linux alone.")
def test_the_slow_digests_leave_the_processors_to_whoever_signs(sign, monkeypatch):
    sign("anna@example.org")
    priorities, digest = [], identity.email_digest

    def digest_noting_priority(address):
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return digest(address)

    monkeypatch.setattr(identity, "email_digest", digest_noting_priority)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    recipients.recognise(claims.claim(Keyring()), Keyring())

    assert priorities == [recipients.NICENESS]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own < recipients.NICENESS


@pytest.mark.parametrize("number", [1, 40])
def test_a_batch_costs_the_same_statements_however_large(sign, known_switches, number):
    """With a million signatures, each is found by its number."""
    for person in range(number):
        sign(f"person{person}@example.org")
    claimed = claims.claim(Keyring())

    with CaptureQueriesContext(connection) as queries:
        recognised = recipients.recognise(claimed, Keyring())
        recipients.unwanted(recognised)
        recipients.over_mail_limit(recognised)
    assert len(recognised) == number
    assert len(queries) == 4
    with connection.cursor() as cursor:
        # So few rows are fastest read in a row; what matters is whether there is another way.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + queries[0]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "petition_signature_pkey" in plan


# What cannot be sent.


def test_mail_whose_key_is_elsewhere_waits(sign, sent, tmp_path):
    OutboxKey.objects.all().delete()
    Keyring(tmp_path).rotate()
    keys._newest = None
    sign()

    assert sent() == []
    assert OutgoingMail.objects.waiting().count() == 1


@pytest.mark.parametrize(
    "rubbish", ["", "no address", "anna@example.org\nBcc: all@example.org", "a@b@c", "\0\0", "\ud7ff"]
)
@pytest.mark.parametrize("rest", ["\n\n\n", "", "\n\n\n\n"])
def test_a_recipient_that_is_no_address_is_parked_and_stops_nobody(sign, sent, caplog, rubbish, rest):
    """Whoever takes over a web process can seal what he likes."""
    sign("first@example.org")
    seal(rubbish + rest)
    sign()

    assert [message.to for message in sent()] == [[ANNA]]
    assert OutgoingMail.objects.get().parked_at
    assert "anna" not in caplog.text


@pytest.mark.parametrize("sealed", [b"", b"short", secrets.token_bytes(400)])
def test_a_broken_box_is_parked_and_stops_nobody(sign, sent, caplog, sealed):
    sign("first@example.org")
    OutgoingMail.objects.update(recipient=sealed)
    sign()

    assert [message.to for message in sent()] == [[ANNA]]
    mail = OutgoingMail.objects.get()
    assert mail.parked_at
    assert f"mail {mail.pk} holds no address" in caplog.text


# Putting off.


def test_tries_step_back_and_end_after_a_day(sign):
    sign()
    waits = []
    while not (mail := OutgoingMail.objects.get()).parked_at:
        before = timezone.now()
        retries.retry_later(mail, Codes(451))
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
    (mail,) = claims.claim(Keyring())
    claimed_by_another = timezone.now() + timedelta(minutes=9)
    OutgoingMail.objects.update(due_at=claimed_by_another)

    claims.release([mail])
    retries.retry_later(mail, Codes(450))
    retries.park(mail, Codes(550))

    row = OutgoingMail.objects.get()
    assert (row.due_at, row.parked_at, row.attempts) == (claimed_by_another, None, 0)


def test_the_log_of_a_refusal_holds_a_number_and_no_address(sign, caplog):
    sign()
    with caplog.at_level(logging.INFO):
        retries.refuse(OutgoingMail.objects.get(), Codes(550))

    assert "550" in caplog.text
    assert "anna" not in caplog.text
