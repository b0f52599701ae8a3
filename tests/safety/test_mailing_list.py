"""The mailing list cannot be stolen: not with the database, not with every key of the server, not from the mailbox.

What a thief may still find out:
- With the daily salt, EMAIL_DIGEST_KEY and the counters of that day: that an address was typed today, as for any mail.
- With a request of the last days: on which day it came. With the list: in which week, and of how many boxes.
- Whoever takes over the web server reads what is typed from then on.
"""

import hashlib
import hmac
import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from petition import forgetting, identity, mailing_list, offline_key
from petition.mail import queue
from petition.mail.keys import Keyring
from petition.models import Subscription, SubscriptionRequest
from petition.models.mailing_list import today
from petition.models.signature import this_hour
from tests.safety.reader import FORM, Reader, become, new_address, play
from tests.support.mailing_list import ask, end_week, join, opened, way_out

ANNA, BORIS = "anna.example@example.org", "boris@example.net"
HOUR = timedelta(hours=1)


def everything():
    """All that the database holds, as text: {table: rows}. Bytes are hexadecimal."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            found[table] = "\n".join(text for (text,) in cursor.fetchall())
    return found


# A thief with the database and all keys of the server.


@pytest.mark.django_db
def test_no_address_is_anywhere_in_the_database(client, petition, list_key):
    ask(client, ANNA)
    join(client, BORIS)

    for table, text in everything().items():
        for address in (ANNA, BORIS):
            name = address.partition("@")[0]
            assert name not in text, table
            assert name.encode().hex() not in text, table


@pytest.mark.django_db
def test_no_key_on_the_server_opens_a_box(client, petition, list_key, settings):
    join(client, ANNA)
    box = bytes(Subscription.objects.get().box)
    secrets = [path.read_bytes() for path in Keyring().directory.iterdir() if path.name.isdecimal()]
    secrets += [bytes.fromhex(settings.EMAIL_DIGEST_KEY), hashlib.sha256(settings.SECRET_KEY.encode()).digest()]
    secrets += [offline_key.from_text(settings.MAILING_LIST_KEY)]

    assert len(secrets) > 3
    for secret in secrets:
        with pytest.raises(CryptoError):
            SealedBox(PrivateKey(secret)).decrypt(box)
    assert ANNA.encode() in SealedBox(list_key).decrypt(box)


@pytest.mark.django_db
def test_two_boxes_of_one_address_have_nothing_in_common_that_two_of_others_have_not(client, petition, list_key):
    """Whatever is computed from an address, under whichever key, would be the same twice, and could be tested."""
    for address in (ANNA, ANNA, BORIS):
        join(client, address)
        ask(client, address)

    for model in (Subscription, SubscriptionRequest):
        for field in model._meta.concrete_fields:
            values = list(model.objects.exclude(box=None).values_list(field.attname, flat=True))
            different = {bytes(value) if isinstance(value, memoryview) else value for value in values}
            assert len(values) == 3
            assert len(different) in (1, 3), field
    assert len({len(bytes(box)) for box in Subscription.objects.values_list("box", flat=True)}) == 1


@pytest.mark.django_db
def test_no_digest_of_the_address_is_anywhere(client, petition, list_key, settings):
    ask(client, ANNA)
    join(client, ANNA)

    keys = [settings.SECRET_KEY.encode(), bytes.fromhex(settings.EMAIL_DIGEST_KEY), identity.daily_salt()]
    known = [identity.email_digest(ANNA), identity.domain_digest(ANNA), hashlib.sha256(ANNA.encode()).digest()]
    known += [hmac.digest(key, ANNA.encode(), "sha256") for key in keys]
    for table, text in everything().items():
        assert [digest for digest in known if digest.hex() in text] == [], table


@pytest.mark.django_db
def test_a_box_on_the_list_leads_to_nothing_else(client, petition, list_key, sign_data):
    client.post("/en/petitions/chechnya/sign/", sign_data(email=ANNA))
    join(client, ANNA)

    row = Subscription.objects.get()
    own = [bytes(row.box).hex(), bytes(row.leave_digest).hex(), str(row.pk)]
    for table, text in everything().items():
        if table != "petition_subscription":
            assert [value for value in own if value in text] == [], table
    assert {field.name for field in Subscription._meta.concrete_fields} == {"id", "box", "key", "leave_digest", "week"}


@pytest.mark.django_db(transaction=True)
def test_no_row_tells_when_within_its_week_somebody_came(petition, list_key, monkeypatch):
    """Neither by its place nor by the transaction that wrote it, which is much finer than its week."""
    monkeypatch.setattr(forgetting, "LOCK_TIMEOUT", "30s")

    def come(number):
        mailing_list.request(petition, f"person{number}@example.org", language="en")
        mailing_list.subscribe(SubscriptionRequest.objects.exclude(box=None).get())

    def written(table, key):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT xmin::text FROM {table} ORDER BY ctid")
            writers = {writer for (writer,) in cursor.fetchall()}
            cursor.execute(f"SELECT {key} FROM {table} ORDER BY ctid")
            places = [place for (place,) in cursor.fetchall()]
        return len(writers), places == sorted(places)

    for hour in (1, 2, 3):
        for number in range(4):
            come(10 * hour + number)
        if hour == 1:
            assert written("petition_subscription", "id")[0] == 4, "without it"
        forgetting.forget(this_hour() + hour * HOUR)

    assert Subscription.objects.count() == SubscriptionRequest.objects.count() == 12
    assert written("petition_subscription", "id") == (1, True)
    assert written("petition_subscriptionrequest", "token_digest") == (1, True)


@pytest.mark.django_db
def test_an_export_has_nobody_of_the_week_that_is_not_over(client, petition, list_key):
    join(client, ANNA)
    end_week()
    join(client, BORIS)

    assert [row[0] for row in opened(list_key).rows()] == [ANNA]


@pytest.mark.django_db
def test_what_is_stored_has_no_time_but_a_day_and_a_week(client, petition, list_key):
    ask(client, BORIS)
    join(client, ANNA)

    assert set(SubscriptionRequest.objects.values_list("day", flat=True)) == {today()}
    assert Subscription.objects.get().week.weekday() == 0
    for table in ("petition_subscription", "petition_subscriptionrequest"):
        assert not re.search(r"\d\d:\d\d", everything()[table])


@pytest.mark.django_db
def test_after_a_new_key_the_old_one_opens_what_it_opened_before(client, petition, list_key, settings):
    join(client, ANNA)
    new = PrivateKey.generate()
    settings.MAILING_LIST_KEY = offline_key.as_text(bytes(new.public_key))
    join(client, BORIS)
    end_week()

    assert [[row[0] for row in opened(pair).rows()] for pair in (list_key, new)] == [[ANNA], [BORIS]]


# Who reads the mailbox, or types an address.


class UpdatesReader(Reader):
    def ask_for_updates(self):
        self.send(f"{FORM}/subscribe/", {"email": self.address, "consent": "on"})
        mail.outbox.clear()
        self._watch("worker", queue.deliver_due)
        (letter,) = mail.outbox
        self.seen.append(self._neutral_letter(letter))
        return re.search(r"https?://[^/\s]+(/en/subscribe/\S+)", letter.body)[1]


def asks_for_updates(reader):
    first, second = reader.ask_for_updates(), reader.ask_for_updates()
    for link in (first, second, first):
        reader.open(link)
        reader.send(link)
    reader.open(first)
    for days in (3, 7):
        with reader.later(days=days, hours=1):
            reader.open(second)
            reader.send(second)


def be(kind, address, pair):
    if kind in ("asked", "subscribed", "left"):
        link = ask(Client(), address)
        if kind != "asked":
            Client().post(link)
        if kind == "left":
            end_week()
            Client().post(way_out(pair, address))
    else:
        become(kind, address)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["asked", "subscribed", "left", "counted", "withdrawn", "blocked"])
def test_whoever_asks_sees_what_a_new_address_shows(petition, known_switches, list_key, settings, monkeypatch, kind):
    settings.RATE_PER_NETWORK = settings.BURST_PER_NETWORK = "1000/m"
    monkeypatch.setattr("tests.safety.reader.Reader", UpdatesReader)
    readers = []
    for each in ("new", kind):
        monkeypatch.setattr("tests.safety.reader.become", lambda _kind, address, each=each: be(each, address, list_key))
        readers.append(play(asks_for_updates, each, monkeypatch))
    stranger, known = readers

    for seen, expected in zip(known.seen, stranger.seen, strict=True):
        assert seen == expected
    assert known.asked == stranger.asked
    assert known.rows == stranger.rows
    assert len(known.seen) > 8


@pytest.mark.django_db
def test_who_reads_the_mailbox_learns_that_updates_were_asked_for_and_no_more(client, petition, list_key):
    """The link says the same whether its button was pressed or not."""
    link = ask(client, new_address())

    before = client.get(link)
    client.post(link)

    assert client.get(link).content == before.content


@pytest.mark.django_db
def test_no_log_or_error_names_who_asks(client, petition, list_key, caplog):
    join(client, ANNA)
    end_week()
    call_command("purge")

    assert "anna" not in caplog.text.lower()
    assert "anna" not in f"{Subscription.objects.get()} {SubscriptionRequest.objects.get()}"
