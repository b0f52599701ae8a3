"""Outbox keys: key pairs that live for an hour, to which the recipients of mails are sealed.

A web process knows the public half and can seal; the worker that made the pair keeps the secret half in a directory of
memory (OUTBOX_KEYS_DIR) and alone can open. Each hour it makes another pair, seals anew what still waits, and destroys
the old secret: what the write-ahead log, dead rows, backups or a seized disk still hold, nobody can open any more.

Workers of one machine share the directory. A worker elsewhere has a directory and pairs of its own; each mail names its
key, and a worker claims only the mails that it can open.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from petition.models import Lookup, OutboxKey, OutgoingMail

logger = logging.getLogger(__name__)

LIFETIME_MINUTES = 60
# A web process asks for the newest key this often; an old one is kept a little longer than that.
KNOWN_SECONDS = 10
GRACE_SECONDS = 60
# Every sealed text is as long as the longest, so that a row does not tell the length of an address.
SEALED_LENGTH = 448
RESEAL_BATCH = 1_000
# All that holds sealed boxes, and in which field. Each row names its key.
SEALED: list[tuple[type[OutgoingMail] | type[Lookup], str]] = [(OutgoingMail, "recipient"), (Lookup, "address")]
# A worker shows its keys every half minute, and at least every few while it sends: another one's are better then.
SEEN_MINUTES = 5
# A worker that has shown its key for the last time so long ago has lost it, as a machine does that restarts.
LOST_HOURS = 24


class NoSecretError(CryptoError):
    """The secret half of this key is not in our directory, or no more."""


class NoKeyError(Exception):
    """No worker has published a key yet, so no mail can be owed to anybody."""


class Opened(NamedTuple):
    """The text of a sealed box. `code` is empty for a mail without one; `is_onion`: she came by the onion address."""

    address: str
    token: str
    code: str = ""
    is_onion: bool = False


class PublicHalf(NamedTuple):
    key: int
    public: bytes

    def seal(self, opened: Opened) -> bytes:
        text = "\n".join([opened.address, opened.token, opened.code, "onion" if opened.is_onion else ""])
        return SealedBox(PublicKey(self.public)).encrypt(text.encode().ljust(SEALED_LENGTH, b"\0"))


T = TypeVar("T")
_newest: tuple[float, PublicHalf] | None = None


def newest(*, fresh: bool = False) -> PublicHalf:
    """The public half to seal with, at most 10 s old unless `fresh`. Raises NoKeyError."""
    global _newest
    if fresh or _newest is None or _newest[0] < time.monotonic():
        # Of several workers, one that is gone must not be sealed for as long as another one is there.
        is_seen = Q(seen_at__gt=Now() - timedelta(minutes=SEEN_MINUTES))
        row = OutboxKey.objects.order_by(
            ExpressionWrapper(is_seen, BooleanField()).desc(), "-created_at", "-pk"
        ).first()
        if row is None:
            raise NoKeyError("The worker has not published an outbox key yet.")
        _newest = time.monotonic() + KNOWN_SECONDS, PublicHalf(row.pk, bytes(row.public))
    return _newest[1]


def with_newest(store: Callable[[PublicHalf], T]) -> T:
    """Do what stores a mail with the newest key, once more if that key has ended in the meantime."""
    try:
        return store(newest())
    except IntegrityError:
        return store(newest(fresh=True))


def give_up_lost_mails() -> int:
    """Park the mails whose key is lost, and drop such questions; return how many mails."""
    lost = OutboxKey.objects.filter(seen_at__lt=Now() - timedelta(hours=LOST_HOURS))
    number = _give_up(OutgoingMail.objects.filter(key__in=lost))
    _give_up(Lookup.objects.filter(key__in=lost))
    with suppress(IntegrityError), transaction.atomic():
        lost.delete()
    if number:
        logger.warning("%d mails cannot be sent: the key to their recipients is lost", number)
    return number


def _give_up(rows: QuerySet[Any]) -> int:
    """Empty boxes that nobody can open. Staff see the mails as such; a question is asked again."""
    if rows.model is Lookup:
        return rows.delete()[0]
    return rows.update(key=None, recipient=b"", parked_at=Now())


class Keyring:
    """The secret halves in one directory, which only the workers of this machine can read."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or Path(settings.OUTBOX_KEYS_DIR)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ids(self) -> list[int]:
        return [int(path.name) for path in self.directory.iterdir() if path.name.isdecimal()]

    def open(self, key: int, sealed: bytes) -> Opened:
        """Raises CryptoError if the box is not sealed with this key, and NoSecretError if the key is not here."""
        try:
            secret = self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NoSecretError from error
        text = SealedBox(PrivateKey(secret)).decrypt(sealed).rstrip(b"\0").decode()
        address, token, code, site = text.split("\n")
        return Opened(address, token, code, bool(site))

    def rotate(self) -> None:
        """Publish a new pair if the newest of ours has had its hour, and destroy those that nothing needs any more.

        Costs a few statements while there is nothing to do.
        """
        ours = OutboxKey.objects.filter(pk__in=self.ids())
        ours.update(seen_at=Now())
        give_up_lost_mails()
        if not ours.filter(created_at__gt=Now() - timedelta(minutes=LIFETIME_MINUTES)).exists():
            self._make()
        outlived = ours.filter(created_at__lt=Now() - timedelta(minutes=LIFETIME_MINUTES, seconds=GRACE_SECONDS))
        for old in outlived.values_list("pk", flat=True):
            self._reseal(old)
            self._destroy(old)
        self._forget_unknown()

    def _make(self) -> None:
        pair = PrivateKey.generate()
        key = secrets.randbits(63)
        # The secret first: nobody may seal with a key that a crash leaves without it.
        descriptor = os.open(self._path(key), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(pair))
        OutboxKey.objects.create(pk=key, public=bytes(pair.public_key))

    def _reseal(self, old: int) -> None:
        """Seal what still waits under this key with the newest of ours."""
        current = OutboxKey.objects.filter(pk__in=self.ids()).latest("created_at").pk
        # Not the half in the database: whoever can write there would put his own in its place, and read what waits.
        half = PublicHalf(current, bytes(PrivateKey(self._path(current).read_bytes()).public_key))
        for model, field in SEALED:
            while self._reseal_some(model._default_manager.filter(key_id=old), field, half):
                pass

    def _reseal_some(self, rows: QuerySet[Any], field: str, half: PublicHalf) -> bool:
        with transaction.atomic():
            batch = list(rows.select_for_update(skip_locked=True)[:RESEAL_BATCH])
            opened = [row for row in batch if self._seal_anew(row, field, half)]
            rows.model._default_manager.bulk_update(opened, ["key", field])
            _give_up(rows.filter(pk__in={row.pk for row in batch} - {row.pk for row in opened}))
        return bool(batch)

    def _seal_anew(self, row: Any, field: str, half: PublicHalf) -> bool:
        # Whoever takes over a web process can seal what he likes.
        with suppress(CryptoError, ValueError):
            setattr(row, field, half.seal(self.open(row.key_id, bytes(getattr(row, field)))))
            row.key_id = half.key
            return True
        return False

    def _destroy(self, key: int) -> None:
        # A form that was sealed with it a moment ago keeps it until the next turn: the foreign key sees to that.
        with suppress(IntegrityError), transaction.atomic():
            OutboxKey.objects.filter(pk=key).delete()
            transaction.on_commit(lambda: self._path(key).unlink(missing_ok=True))

    def _forget_unknown(self) -> None:
        """Secrets that a crash left behind, before or after their row."""
        ids = self.ids()
        known = set(OutboxKey.objects.filter(pk__in=ids).values_list("pk", flat=True))
        for key in set(ids) - known:
            # Another worker that shares the directory may do the same.
            with suppress(FileNotFoundError):
                if time.time() - self._path(key).stat().st_mtime > GRACE_SECONDS:
                    self._path(key).unlink()

    def _path(self, key: int) -> Path:
        return self.directory / str(key)
