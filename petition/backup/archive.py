"""The archive of a backup: a dump in pieces of one size, each encrypted and authenticated, behind a readable label.

The label says when the dump was made, and holds the key of this one archive, sealed to the public half of the offline
key. Pieces follow as a secretstream of libsodium, so that none can be changed, moved or left out unnoticed, the last
one included. Their number is rounded up: who stores an archive shall not count signatures by its size.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, BinaryIO, Self

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox

FIRST_LINE = b"petition backup 1\n"
DATE_FORMAT = "%Y-%m-%dT%H:%MZ"
DATE_BYTES, SEALED_BYTES, LENGTH_BYTES = 17, 80, 4
PIECE_BYTES = 65_536 - LENGTH_BYTES
BEGIN_BYTES = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
SEALED_PIECE_BYTES = LENGTH_BYTES + PIECE_BYTES + bindings.crypto_secretstream_xchacha20poly1305_ABYTES
# A megabyte, which is some ten thousand signatures.
ROUND_PIECES = 16
MORE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
LAST = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL


class ArchiveError(Exception):
    """This is no archive of ours, not a whole one, or its key is another."""


@dataclass(frozen=True)
class Label:
    """What stands readable at the beginning. It is authenticated with each piece."""

    made_at: datetime
    sealed_key: bytes

    def __bytes__(self) -> bytes:
        return FIRST_LINE + f"{self.made_at.astimezone(UTC):{DATE_FORMAT}}".encode() + self.sealed_key

    @classmethod
    def read(cls, file: BinaryIO) -> Self:
        """The label of an archive; what follows it is left to be read. Raises ArchiveError."""
        first, date, sealed = (file.read(size) for size in (len(FIRST_LINE), DATE_BYTES, SEALED_BYTES))
        try:
            made_at = datetime.strptime(date.decode(), DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            made_at = None
        if first != FIRST_LINE or made_at is None or len(sealed) != SEALED_BYTES:
            raise ArchiveError("This is no backup that manage.py backup has made.")
        return cls(made_at, sealed)


def new_key(public: PublicKey, made_at: datetime) -> tuple[bytes, Label]:
    """The key of a new archive, and the label that hands it to the owner of the offline key alone."""
    key = bindings.crypto_secretstream_xchacha20poly1305_keygen()
    return key, Label(made_at, SealedBox(public).encrypt(key))


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A dump as it comes, in pieces that `seal` takes."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def seal(dump: Iterable[bytes], label: Label, key: bytes) -> Iterator[bytes]:
    """What follows the label in the archive of this dump."""
    state, bound = bindings.crypto_secretstream_xchacha20poly1305_state(), bytes(label)
    yield bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)

    def sealed(piece: bytes, tag: int) -> bytes:
        framed = len(piece).to_bytes(LENGTH_BYTES, "big") + piece.ljust(PIECE_BYTES, b"\0")
        return bindings.crypto_secretstream_xchacha20poly1305_push(state, framed, bound, tag)

    number = 0
    for number, piece in enumerate(dump, start=1):  # noqa: B007
        yield sealed(piece, MORE)
    for _empty in range(ROUND_PIECES - 1 - number % ROUND_PIECES):
        yield sealed(b"", MORE)
    yield sealed(b"", LAST)


def sealed_pieces(file: BinaryIO) -> Iterator[bytes]:
    """What follows the label in a file, in pieces that `unseal` takes."""
    yield file.read(BEGIN_BYTES)
    while piece := file.read(SEALED_PIECE_BYTES):
        yield piece


def unseal(sealed: Iterator[bytes], label: Label, key: bytes) -> Iterator[bytes]:
    """The dump again. Raises ArchiveError, also at its end if that is not the end: nothing before may be acted on."""
    state, bound, tag = bindings.crypto_secretstream_xchacha20poly1305_state(), bytes(label), MORE
    try:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, next(sealed, b""), key)
        for piece in sealed:
            if tag == LAST:
                raise ArchiveError("Something follows the end of the archive.")
            framed, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, piece, bound)
            if length := int.from_bytes(framed[:LENGTH_BYTES], "big"):
                yield framed[LENGTH_BYTES : LENGTH_BYTES + length]
    except (CryptoError, RuntimeError, ValueError, TypeError):
        raise ArchiveError("The archive is damaged, or its key is another.") from None
    if tag != LAST:
        raise ArchiveError("The archive has no end: only a part of it is here.")
