"""Offline keys: pairs, of which the server has the public half alone. One seals backups, another one the mailing list.

One file, for a machine that has nothing of this site but Python and PyNaCl:

    python offline_key.py make petition.key             asks for a passphrase, and prints the public half (BACKUP_KEY)
    python offline_key.py unlock petition.key SEALED    prints the key of the one archive that SEALED comes from

    python offline_key.py make-list list.key            the same for the mailing list (MAILING_LIST_KEY)
    python offline_key.py open list.key EXPORT NEW      writes whom an exported list holds to NEW, as CSV
    python offline_key.py left OLD NEW LEFT             writes to LEFT who was in OLD and has left the list since

`manage.py restore` says what SEALED is. So no key file need ever be brought to a server.
"""

# ruff: noqa: T201, it talks to a person
import base64
import binascii
import csv
import getpass
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

from nacl import pwhash, utils
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox

LEAST_LENGTH = 12
KDF = pwhash.argon2id
# Half a second and 256 MB for each guess at a passphrase.
OPERATIONS, MEMORY = KDF.OPSLIMIT_MODERATE, KDF.MEMLIMIT_MODERATE

# Every sealed text is as long as the longest, so that a box does not tell the length of an address.
BOX_LENGTH = 320
FINGERPRINT_LENGTH = 16
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
IN_A_BOX = re.compile(
    rf"(?P<address>{_ATOM}(?:\.{_ATOM})*@[a-z0-9-]+(?:\.[a-z0-9-]+)+)\n"
    r"(?P<token>[\w-]{22})\n(?P<language>[a-z-]{2,10})\n(?P<consent>[0-9]{1,5})",
    re.ASCII | re.IGNORECASE,
)
# What a spreadsheet would calculate, and with a trick more than that.
FORMULA = ("=", "+", "-", "@")
COLUMNS = ("email", "name", "attributes", "language", "leave")


class OfflineKeyError(Exception):
    """The key, or what it should open, is not what it should be; the message is meant for people."""


def make(passphrase: str, what: str = "backups") -> tuple[str, str]:
    """A new pair: the text of its file, with the secret half under the passphrase, and the public half."""
    if len(passphrase) < LEAST_LENGTH:
        raise OfflineKeyError(f"A passphrase has {LEAST_LENGTH} characters at least.")
    pair, salt = PrivateKey.generate(), utils.random(KDF.SALTBYTES)
    box = SecretBox(KDF.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, OPERATIONS, MEMORY))
    public = as_text(bytes(pair.public_key))
    content = {
        "what": f"the offline key of the {what} of a petition, under a passphrase",
        "public": public,
        "secret": as_text(box.encrypt(bytes(pair))),
        "salt": as_text(salt),
        "operations": OPERATIONS,
        "memory": MEMORY,
    }
    return json.dumps(content, indent=1) + "\n", public


def read(text: str, passphrase: str) -> PrivateKey:
    """The secret half in such a file. Raises OfflineKeyError."""
    try:
        content = json.loads(text)
        salt, secret = from_text(content["salt"]), from_text(content["secret"])
        derived = KDF.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, content["operations"], content["memory"])
        return PrivateKey(SecretBox(derived).decrypt(secret))
    except CryptoError:
        raise OfflineKeyError("This is not the passphrase.") from None
    except (ValueError, KeyError, TypeError):
        raise OfflineKeyError("This is no file of an offline key.") from None


def unlock(secret: PrivateKey, sealed: bytes) -> bytes:
    """The key of one archive. Raises OfflineKeyError if that was sealed to another pair."""
    try:
        return SealedBox(secret).decrypt(sealed)
    except (CryptoError, ValueError, TypeError):
        raise OfflineKeyError("The archive was made for another key.") from None


def public_half(text: str) -> PublicKey:
    """The public half as it stands in BACKUP_KEY. Raises OfflineKeyError."""
    try:
        return PublicKey(from_text(text))
    except (ValueError, TypeError, CryptoError):
        raise OfflineKeyError("This is not the public half of an offline key.") from None


def fingerprint(public: PublicKey) -> str:
    """What tells one key from another, for people to compare: 16 hexadecimal digits."""
    return hashlib.sha256(b"offline key " + bytes(public)).hexdigest()[:FINGERPRINT_LENGTH]


class Subscriber(NamedTuple):
    """Somebody on the mailing list, as her box holds her. Whoever has the `token` can take her off the list.

    `consent` is the version of the wording that she agreed to.
    """

    address: str
    token: str
    language: str
    consent: int

    def seal(self, public: PublicKey) -> bytes:
        text = f"{self.address}\n{self.token}\n{self.language}\n{self.consent}"
        return SealedBox(public).encrypt(text.encode().ljust(BOX_LENGTH, b"\0"))


def subscriber(secret: PrivateKey, box: bytes) -> Subscriber:
    """Who is in a box. Raises OfflineKeyError: whoever takes over the server can seal what he likes."""
    try:
        found = IN_A_BOX.fullmatch(SealedBox(secret).decrypt(box).rstrip(b"\0").decode())
    except (CryptoError, ValueError, TypeError):
        found = None
    if found is None:
        raise OfflineKeyError("This is no box of this key.")
    return Subscriber(found["address"], found["token"], found["language"].lower(), int(found["consent"]))


@dataclass
class MailingList:
    """An opened list. An address that is in several boxes has all of their tokens, and leaves with all of them."""

    site: str
    by_address: dict[str, list[Subscriber]] = field(default_factory=dict)
    unreadable: int = 0
    formulas: int = 0

    def rows(self) -> Iterator[tuple[str, ...]]:
        """As listmonk takes them, which reads the first three, and Mailtrain, where each column can be a field."""
        for boxes in self.by_address.values():
            newest = boxes[-1]
            leave = f"{self.site}/{newest.language}/unsubscribe/{'.'.join(box.token for box in boxes)}/"
            attributes = {"language": newest.language, "leave": leave, "consent": newest.consent}
            yield newest.address, "", json.dumps(attributes), newest.language, leave


def open_list(secret: PrivateKey, export: Iterable[str]) -> MailingList:
    """Open the lines of an export: what it is, then a box in each. Raises OfflineKeyError."""
    lines = iter(export)
    try:
        about = json.loads(next(lines, ""))
        key, site = str(about["key"]), str(about["site"])
    except (ValueError, KeyError, TypeError):
        raise OfflineKeyError("This is no exported mailing list.") from None
    if key != fingerprint(secret.public_key):
        raise OfflineKeyError(f"This list was sealed to another key, whose fingerprint is {in_fours(key)}.")
    if not re.fullmatch(r"https?://[\w.:-]+", site, re.ASCII):
        raise OfflineKeyError("This list does not say where one leaves it.")
    found = MailingList(site)
    for line in lines:
        try:
            one = subscriber(secret, from_text(line))
        except (OfflineKeyError, ValueError):
            found.unreadable += 1
            continue
        if one.address.startswith(FORMULA):
            found.formulas += 1
            continue
        found.by_address.setdefault(one.address.casefold(), []).append(one)
    return found


def in_fours(fingerprint: str) -> str:
    """As people compare it: four digits at a time."""
    return " ".join(re.findall(r"\w{1,4}", fingerprint))


def addresses(file: str) -> dict[str, str]:
    """The column `email` of a CSV file, each address by its lower case. Raises OfflineKeyError."""
    with Path(file).open(newline="", encoding="utf-8") as rows:
        reader = csv.DictReader(rows)
        if "email" not in (reader.fieldnames or ()):
            raise OfflineKeyError(f"{file} has no column email.")
        return {row["email"].casefold(): row["email"] for row in reader if row["email"]}


def write(file: str, rows: Iterable[Iterable[str]]) -> None:
    with new_file(file) as written:
        csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)


def new_file(file: str) -> TextIO:
    """A file that nobody else can read. Raises OSError if there is one of that name."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="", encoding="utf-8")


def as_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(text) from error


def ask(what: str) -> str:
    """A secret, typed unseen; from another program, one line of what it says."""
    return getpass.getpass(what) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def make_file(file: str, what: str) -> str:
    """Make a pair as a file, with a passphrase that is asked for; return the public half. Raises OfflineKeyError."""
    passphrase = ask("A new passphrase: ")
    if ask("The same again: ") != passphrase:
        raise OfflineKeyError("Those were two passphrases. Nothing was made.")
    text, public = make(passphrase, what)
    with new_file(file) as new:
        new.write(text)
    return public


def told(found: MailingList, file: str) -> str:
    said = [f"{len(found.by_address)} addresses are in {file}. Delete it once they are imported."]
    if found.unreadable:
        said.append(f"{found.unreadable} lines hold no box of this key and were passed by.")
    if found.formulas:
        said.append(f"{found.formulas} addresses begin as a formula of a spreadsheet does and were left out.")
    return "\n".join(said)


def main(arguments: list[str]) -> int | str:
    try:
        match arguments:
            case ["make", file]:
                print(f"BACKUP_KEY={make_file(file, 'backups')}")
            case ["make-list", file]:
                public = make_file(file, "mailing list")
                print(f"MAILING_LIST_KEY={public}\nIts fingerprint: {in_fours(fingerprint(public_half(public)))}")
            case ["unlock", file, sealed]:
                secret = read(Path(file).read_text(), ask("The passphrase: "))
                print(as_text(unlock(secret, from_text(sealed))))
            case ["open", file, export, new]:
                secret = read(Path(file).read_text(), ask("The passphrase: "))
                with Path(export).open(encoding="utf-8", errors="replace") as lines:
                    found = open_list(secret, lines)
                write(new, [COLUMNS, *found.rows()])
                print(told(found, new))
            case ["left", old, new, left]:
                still = addresses(new)
                gone = [address for key, address in addresses(old).items() if key not in still]
                write(left, [("email",), *((address,) for address in gone)])
                print(f"{len(gone)} addresses have left the list; they are in {left}.")
            case _:
                return __doc__
    except (OfflineKeyError, ValueError) as error:
        return str(error) if isinstance(error, OfflineKeyError) else "SEALED is not what manage.py restore has said."
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
