"""The offline key of backups: a pair, of which the server has the public half alone.

One file, for a machine that has nothing of this site but Python and PyNaCl:

    python offline_key.py make petition.key             asks for a passphrase, and prints the public half (BACKUP_KEY)
    python offline_key.py unlock petition.key SEALED    prints the key of the one archive that SEALED comes from

`manage.py restore` says what SEALED is. So the key file need never be brought to a server.
"""

# ruff: noqa: T201, it talks to a person
import base64
import binascii
import getpass
import json
import os
import sys
from pathlib import Path

from nacl import pwhash, utils
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox

LEAST_LENGTH = 12
KDF = pwhash.argon2id
# Half a second and 256 MB for each guess at a passphrase.
OPERATIONS, MEMORY = KDF.OPSLIMIT_MODERATE, KDF.MEMLIMIT_MODERATE


class OfflineKeyError(Exception):
    """The key, or what it should open, is not what it should be; the message is meant for people."""


def make(passphrase: str) -> tuple[str, str]:
    """A new pair: the text of its file, with the secret half under the passphrase, and the public half."""
    if len(passphrase) < LEAST_LENGTH:
        raise OfflineKeyError(f"A passphrase has {LEAST_LENGTH} characters at least.")
    pair, salt = PrivateKey.generate(), utils.random(KDF.SALTBYTES)
    box = SecretBox(KDF.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, OPERATIONS, MEMORY))
    public = as_text(bytes(pair.public_key))
    content = {
        "what": "the offline key of the backups of a petition, under a passphrase",
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


def main(arguments: list[str]) -> int | str:
    try:
        match arguments:
            case ["make", file]:
                passphrase = ask("A new passphrase: ")
                if ask("The same again: ") != passphrase:
                    return "Those were two passphrases. Nothing was made."
                text, public = make(passphrase)
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                    new.write(text)
                print(f"BACKUP_KEY={public}")
            case ["unlock", file, sealed]:
                secret = read(Path(file).read_text(), ask("The passphrase: "))
                print(as_text(unlock(secret, from_text(sealed))))
            case _:
                return __doc__
    except (OfflineKeyError, ValueError) as error:
        return str(error) if isinstance(error, OfflineKeyError) else "SEALED is not what manage.py restore has said."
    except OSError as error:
        return f"{file}: {error.strerror}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
