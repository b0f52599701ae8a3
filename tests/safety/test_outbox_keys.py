"""Outbox keys: a thief with the database, the keys of this hour, and the keys of the machine, reads no earlier mail.

He has every version of every row that ever stood in a table, as a write-ahead log keeps them; EMAIL_DIGEST_KEY and
SECRET_KEY; and the directory of the worker as it is when he comes. What he can still read is what still waits.
"""

import hashlib
import os
import time
from datetime import timedelta

import psycopg2
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from petition import identity, signing, withdrawal
from petition.mail import keys, queue
from petition.mail.keys import Keyring
from petition.models import Link, OutboxKey, OutgoingMail, Signature
from tests.support import links, server

pytestmark = pytest.mark.django_db(transaction=True)

LONGEST = "a" * 64 + "@" + ".".join(["b" * 62, "b" * 61, "b" * 61, "de"])


@pytest.fixture(autouse=True)
def ring(settings, tmp_path, petition):
    """The directory of one worker, and its first key."""
    settings.OUTBOX_KEYS_DIR = str(tmp_path / "outbox-keys")
    OutboxKey.objects.all().delete()
    ring = Keyring()
    turn(ring)
    return ring


def turn(ring):
    """The worker looks after its keys, and every web process asks for the newest again."""
    ring.rotate()
    keys._newest = None


def hour_passes(ring):
    past = timedelta(minutes=keys.LIFETIME_MINUTES, seconds=keys.GRACE_SECONDS + 1)
    OutboxKey.objects.update(created_at=F("created_at") - past)
    turn(ring)


def sign(*addresses):
    for address in addresses:
        assert signing.sign("chechnya", signing.Answers(email=address), language="en", network="192.0.2.1")


def addresses(number, hour=0):
    return [f"person{hour}-{i}@example.org" for i in range(number)]


class Thief:
    def __init__(self, settings, ring):
        self.settings, self.ring = settings, ring
        self.boxes = set()

    def copies_the_database(self):
        self.boxes |= {bytes(mail.recipient) for mail in OutgoingMail.objects.all()}

    def keys(self):
        """All that could be one: what lies in the directory, and every key of the machine in every guise."""
        ours = [path.read_bytes() for path in self.ring.directory.rglob("*") if path.is_file()]
        named = [bytes.fromhex(self.settings.EMAIL_DIGEST_KEY), self.settings.SECRET_KEY.encode()]
        public = [bytes(key.public) for key in OutboxKey.objects.all()]
        return {key for text in [*ours, *named, *public] for key in (text[:32], hashlib.sha256(text).digest())}

    def reads(self):
        read = set()
        for key in self.keys():
            for box in self.boxes:
                try:
                    read.add(SealedBox(PrivateKey(key)).decrypt(box).decode().partition("\n")[0])
                except CryptoError:
                    continue
        return read


@pytest.fixture
def thief(settings, ring):
    return Thief(settings, ring)


def test_he_reads_what_waits_and_nothing_of_earlier_hours(thief, ring, mailoutbox):
    for hour in range(3):
        sign(*addresses(5, hour))
        thief.copies_the_database()
        while queue.deliver_due():
            pass
        hour_passes(ring)
        thief.copies_the_database()
    sign(*addresses(2, hour=9))
    thief.copies_the_database()

    assert len(mailoutbox) == 15
    assert len(thief.boxes) == 17
    assert thief.reads() == set(addresses(2, hour=9))

    # With a copy of a key taken in its hour he would have read them, so it is the key that he lacks.
    queue.deliver_due()
    assert thief.reads() == set(addresses(2, hour=9))
    hour_passes(ring)
    assert thief.reads() == set()


def test_what_waits_is_sealed_anew_each_hour_and_its_old_boxes_are_noise(thief, ring, mailoutbox):
    """Nor do his own copies of hours ago become readable by the keys that the mail has now."""
    sign(*addresses(3))
    (parked,) = [mail for mail in OutgoingMail.objects.all() if links.recipient(mail) == addresses(3)[0]]
    OutgoingMail.objects.filter(pk=parked.pk).update(parked_at=timezone.now())
    thief.copies_the_database()
    hour_passes(ring)

    assert thief.reads() == set()
    thief.copies_the_database()
    assert thief.reads() == set(addresses(3))
    assert queue.deliver_due() == 2
    assert sorted(message.to for message in mailoutbox) == [[address] for address in addresses(3)[1:]]


def test_who_can_write_to_the_database_puts_no_key_of_his_own_in_its_place(thief, ring):
    """The worker seals anew what waits by the key that it holds, whatever the table says is its public half."""
    own = PrivateKey.generate()
    sign(*addresses(1))
    past = timedelta(minutes=keys.LIFETIME_MINUTES, seconds=keys.GRACE_SECONDS + 1)
    OutboxKey.objects.update(created_at=F("created_at") - past)
    ring._make()
    OutboxKey.objects.filter(pk=OutboxKey.objects.latest("created_at").pk).update(public=bytes(own.public_key))
    turn(ring)

    with pytest.raises(CryptoError):
        SealedBox(own).decrypt(bytes(OutgoingMail.objects.get().recipient))
    assert links.recipient(OutgoingMail.objects.get()) == addresses(1)[0]


def test_after_its_hour_the_directory_holds_no_old_secret(ring):
    (name,) = ring.ids()
    secret = (ring.directory / str(name)).read_bytes()
    sign(*addresses(3))

    hour_passes(ring)

    assert name not in ring.ids()
    assert len(ring.ids()) == 1
    assert secret not in b"".join(path.read_bytes() for path in ring.directory.rglob("*"))
    assert not OutboxKey.objects.filter(pk=name).exists()


def test_nobody_but_the_worker_can_read_the_directory(ring):
    assert ring.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in ring.directory.iterdir()} == {0o600}


def test_a_mail_that_somebody_holds_keeps_its_key_until_the_next_turn(ring):
    """A worker that puts it off, say, has its row locked for a moment."""
    (name,) = ring.ids()
    sign("anna@example.org")
    with psycopg2.connect(server.database_url()) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM petition_outgoingmail FOR NO KEY UPDATE")
        hour_passes(ring)
        assert name in ring.ids()
    other.close()

    turn(ring)
    assert name not in ring.ids()
    assert links.recipient(OutgoingMail.objects.get()) == "anna@example.org"


def test_a_form_whose_key_has_just_ended_is_sealed_anew(ring, petition):
    """A web process knows a key for ten seconds."""
    known = keys.newest()
    hour_passes(ring)
    for act in (
        lambda: sign("anna@example.org"),
        lambda: withdrawal.request(petition, "anna@example.org", language="en"),
    ):
        keys._newest = time.monotonic() + 10, known
        act()

    assert {mail.key_id for mail in OutgoingMail.objects.all()} == set(ring.ids()) != {known.key}
    assert (Signature.objects.count(), Link.objects.count(), OutgoingMail.objects.count()) == (1, 2, 2)


def test_a_form_that_is_stored_while_its_key_ends_is_refused_by_the_database_and_never_left_unreadable(ring):
    """The moment between its statement and its commit: the worker sees no mail yet, and destroys the key."""
    known = keys.newest()
    other = psycopg2.connect(server.database_url())
    with other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO petition_outgoingmail (petition_id, kind, recipient, key_id, language, due_at)"
            " SELECT id, 'sign', '', %s, 'en', now() FROM petition_petition",
            [known.key],
        )
        hour_passes(ring)
        assert known.key not in ring.ids()
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            other.commit()
    other.close()
    assert not OutgoingMail.objects.exists()


def test_within_a_transaction_nobody_hears_of_it_before_the_end(ring):
    """So signing is never part of a larger one: nothing is stored, and she sees an error."""
    known = keys.newest()
    hour_passes(ring)
    keys._newest = time.monotonic() + 10, known
    with pytest.raises(DatabaseError), transaction.atomic():
        sign("anna@example.org")

    assert not Signature.objects.exists()


# Crashes of the worker.


def test_a_worker_killed_before_it_published_its_key_leaves_a_file_that_goes(ring, monkeypatch):
    monkeypatch.setattr(OutboxKey.objects, "create", lambda **values: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        ring._make()
    monkeypatch.undo()
    assert len(ring.ids()) == 2

    turn(ring)
    assert len(ring.ids()) == 2, "another worker may be about to publish it"
    grow_old(ring)
    turn(ring)
    assert len(ring.ids()) == 1


def test_a_worker_killed_before_it_destroyed_its_secret_does_so_at_its_next_turn(ring):
    (name,) = ring.ids()
    OutboxKey.objects.all().delete()
    grow_old(ring)

    turn(ring)

    assert name not in ring.ids()


def grow_old(ring):
    for path in ring.directory.iterdir():
        os.utime(path, (0, time.time() - keys.GRACE_SECONDS - 1))


@pytest.mark.parametrize("text", [b"", b"anna@example.org", b"\xff\xfe", b"a\nb\nc\nd\ne", b"\n\n\n"])
def test_a_box_that_holds_rubbish_does_not_stop_the_turn(ring, text):
    """Whoever takes over a web process can seal what he likes."""
    half = keys.newest()
    sign("boris@example.org", "clara@example.org")
    box = SealedBox(PrivateKey((ring.directory / str(half.key)).read_bytes()).public_key).encrypt(text)
    (broken,) = [mail for mail in OutgoingMail.objects.all() if links.recipient(mail) == "boris@example.org"]
    OutgoingMail.objects.filter(pk=broken.pk).update(recipient=box)

    hour_passes(ring)

    assert half.key not in ring.ids()
    assert links.recipient(OutgoingMail.objects.exclude(pk=broken.pk).get()) == "clara@example.org"


# Several workers.


def test_the_web_seals_to_a_worker_that_is_there(ring, tmp_path):
    """Of two machines one has just made its key, and is gone."""
    gone = Keyring(tmp_path / "gone")
    turn(gone)
    assert keys.newest().key in gone.ids()

    OutboxKey.objects.filter(pk__in=gone.ids()).update(seen_at=timezone.now() - timedelta(minutes=6))
    turn(ring)

    assert keys.newest().key in ring.ids()


def test_with_no_worker_there_the_newest_key_is_sealed_to(ring):
    OutboxKey.objects.update(seen_at=timezone.now() - timedelta(hours=2))
    keys._newest = None

    assert keys.newest().key in ring.ids()


def test_workers_that_share_a_directory_share_its_key(ring):
    for _ in range(3):
        turn(Keyring())

    assert OutboxKey.objects.count() == len(ring.ids()) == 1


@pytest.mark.parametrize(("minutes", "is_lost"), [(24 * 60 - 1, False), (24 * 60 + 1, True)])
def test_mails_whose_machine_is_gone_for_a_day_are_told_apart_and_emptied(ring, tmp_path, minutes, is_lost, caplog):
    gone = Keyring(tmp_path / "gone")
    turn(gone)
    sign(*addresses(3))
    OutboxKey.objects.filter(pk__in=gone.ids()).update(seen_at=timezone.now() - timedelta(minutes=minutes))

    turn(ring)

    lost = OutgoingMail.objects.with_lost_key()
    assert lost.count() == (3 if is_lost else 0)
    assert OutgoingMail.objects.waiting().count() == (0 if is_lost else 3)
    assert ("3 mails cannot be sent" in caplog.text) is is_lost
    assert OutboxKey.objects.filter(pk__in=gone.ids()).exists() is not is_lost
    assert Signature.objects.count() == 3, "nothing else is lost"


# What a box and a digest tell.


@pytest.mark.parametrize("is_onion", [True, False])
def test_every_box_is_as_long_as_any_other(petition, is_onion, settings):
    for address in ("a@b.de", LONGEST, "a@" + ".".join(["ж" * 55] * 4) + ".de"):
        signing.sign("chechnya", signing.Answers(email=address), language="en", network=None, is_onion=is_onion)
        withdrawal.request(petition, address, language="en", is_onion=is_onion)

    assert {len(bytes(mail.recipient)) for mail in OutgoingMail.objects.all()} == {keys.SEALED_LENGTH + 48}


def test_one_address_is_sealed_differently_each_time():
    sign("anna@example.org", "anna@example.org")

    first, second = (bytes(mail.recipient) for mail in OutgoingMail.objects.all())
    assert first != second


def test_no_table_holds_an_address_in_words():
    sign("anna.k@private-domain.example")
    queue.deliver_due()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(whole::text, ' '), '') FROM {table} AS whole")
            text = cursor.fetchone()[0]
            for word in ("anna.k", "private-domain", b"anna.k".hex(), b"private-domain".hex()):
                assert word not in text, table


def test_a_dictionary_costs_five_milliseconds_and_three_megabytes_for_each_address(monkeypatch):
    """With the database and the digest key. N=2048, r=12 takes 5 ms of a core of these years; no shortcut is stored."""
    sign("anna@example.org")
    queue.deliver_due()
    stored = {bytes(digest) for digest in Signature.objects.values_list("email_digest", flat=True)}
    tried, scrypt = [], hashlib.scrypt
    monkeypatch.setattr(
        hashlib, "scrypt", lambda text, **costs: (tried.append((text, costs)), scrypt(text, **costs))[1]
    )
    dictionary = [f"person{number}@example.org" for number in range(20)] + ["anna@example.org"]

    found = [address for address in dictionary if identity.email_digest(address) in stored]

    assert found == ["anna@example.org"]
    assert [text.decode() for text, _costs in tried] == dictionary
    for _text, costs in tried:
        assert costs["n"] * costs["r"] * costs["p"] >= 2_048 * 12
        assert 128 * costs["n"] * costs["r"] >= 3 * 2**20


def test_a_mail_domain_costs_as_much(monkeypatch):
    tried, scrypt = [], hashlib.scrypt
    monkeypatch.setattr(
        hashlib, "scrypt", lambda text, **costs: (tried.append((text, costs)), scrypt(text, **costs))[1]
    )
    identity._domain_digest.cache_clear()

    identity.domain_digest("anna@private-domain.example")

    assert [costs["n"] * costs["r"] for _text, costs in tried] == [2_048 * 12]
