"""A reader of mailboxes: somebody who types an address here, reads its mail, and tries everything that it leads to.

She keeps what she has seen, and beside it what a thief in the database would have seen meanwhile: the statements and
the rows. Only what is random in every mail is left out: tokens, codes, names of messages.
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from petition import confirmation, identity, live_settings, retention, signing, withdrawal
from petition.mail import keys, queue
from petition.models import Heartbeat, Link, ListedDomain, OutgoingMail, Signature, Verdict

KINDS = ["new", "pending", "counted", "held", "invalidated", "withdrawn", "disowned", "blocked"]
FORM = "/en/petitions/chechnya"
TOKEN = re.compile(r"(confirm|withdraw|subscribe)/[^/\s\"<]{30,}/")
CODE = re.compile(r"\d{4}-\d{3}-\d{3}")
# And the lists of them, which are as long as there are rows.
LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+\b|s\d+_x\d+")
LIST = re.compile(r"ARRAY\[\?(?:, ?\?)*\]|\?(?:, ?\?)+")
CLOCKS = {"Date", "Expires", "ETag"}

networks = (f"198.51.{number // 250}.{number % 250}" for number in count(1))
numbers = count(1)


def new_address() -> str:
    """All are equally long, and no two share a domain."""
    number = next(numbers)
    return f"person{number:05}@mail{number:05}.example"


def become(kind: str, address: str) -> None:
    """Bring this address, which nobody has typed yet, into a state."""
    if kind == "blocked":
        ListedDomain.objects.create(domain=identity.domain(address), verdict=Verdict.BLOCK)
    elif kind != "new":
        _be_known(kind, address)
    live_settings._state = None
    live_settings.state()
    mail.outbox.clear()


def _be_known(kind: str, address: str) -> None:
    answers = signing.Answers(email=address, name="Her name", shows_name=True, country="DE")
    signing.sign("chechnya", answers, language="en", network="192.0.2.1")
    queue.deliver_due()
    rows = Signature.objects.filter(email_digest=identity.email_digest(address))
    link = Link.objects.get(signature=rows.get())
    if kind == "disowned":
        confirmation.disown(confirmation.Confirmation(link.petition, rows.get(), link))
    elif kind != "pending":
        rows.get().confirm()
    if kind == "withdrawn":
        withdrawal.withdraw(Link.objects.get(pk=link.pk))
    elif kind == "held":
        rows.hold("a test")
    elif kind == "invalidated":
        rows.invalidate("a test")


class Got(NamedTuple):
    """A mail that the reader has in her hands."""

    confirm: str
    withdraw: str
    code: str


class Reader:
    """`seen` is what she sees, `asked` the statements of each step, and `rows` how many it added."""

    def __init__(self, address: str, patch: pytest.MonkeyPatch) -> None:
        self.address, self.patch, self.client = address, patch, Client()
        self.seen: list[Any] = []
        self.asked: list[Any] = []
        self.rows: list[Any] = []

    def sign(self, name: str = "") -> Got | None:
        """Type the address; what came for it, None if nothing did."""
        data = {"email": self.address, "consent": "on", "name": name, "words": f"As {name}", "shows_name": "on"}
        self.send(f"{FORM}/sign/", data)
        return self.read_mail()

    def ask_to_withdraw(self) -> Got | None:
        self.send(f"{FORM}/withdraw/", {"email": self.address})
        return self.read_mail()

    def read_mail(self) -> Got | None:
        """Wait for the worker, and read what it sent."""
        mail.outbox.clear()
        self._watch("worker", queue.deliver_due)
        letters = list(mail.outbox)
        for letter in letters:
            self.seen.append(self._neutral_letter(letter))
        if not letters:
            self.seen.append("no mail")
            return None
        text = str(letters[0].body)
        paths = {kind: f"/en/{kind}/{token}/" for kind, token in re.findall(r"/en/(confirm|withdraw)/([^/\s]+)/", text)}
        code = CODE.search(text)
        return Got(paths.get("confirm", ""), paths["withdraw"], code[0] if code else "")

    def open(self, url: str) -> None:
        self._visit("get", url, {})

    def send(self, url: str, data: dict[str, str] | None = None) -> None:
        self._visit("post", url, data or {})

    def type_code(self, code: str) -> None:
        self.send(f"{FORM}/confirm-code/", {"code": code})

    @contextmanager
    def later(self, **time: float) -> Iterator[None]:
        """The site some time from now, after its hourly purge."""
        moved = timedelta(**time)
        with self.patch.context() as patch:
            patch.setattr(timezone, "now", lambda now=timezone.now: now() + moved)
            self._watch("purge", retention.purge)
            yield

    def _visit(self, method: str, url: str, data: dict[str, str]) -> None:
        # From a network of its own, or the minute in which a limit begins anew would show.
        visit = getattr(self.client, method)
        response = self._watch(f"{method} {TOKEN.sub('', url)}", lambda: visit(url, data, REMOTE_ADDR=next(networks)))
        headers = {name: TOKEN.sub("", value) for name, value in response.items() if name not in CLOCKS}
        body = CODE.sub("", TOKEN.sub("", response.content.decode()))
        self.seen.append((method, response.status_code, headers, len(response.content), body, dict(response.cookies)))

    def _watch(self, what: str, work: Callable[[], Any]) -> Any:
        before = self._rows()
        with CaptureQueriesContext(connection) as queries:
            result = work()
        self.asked.append((what, [LIST.sub("?", LITERAL.sub("?", each["sql"])) for each in queries.captured_queries]))
        self.rows.append((what, [now - then for now, then in zip(self._rows(), before, strict=True)]))
        return result

    def _rows(self) -> list[int]:
        return [model.objects.count() for model in (Signature, Link, OutgoingMail)]

    def _neutral_letter(self, letter: EmailMultiAlternatives) -> tuple[Any, ...]:
        wire = letter.message().as_bytes()
        headers = dict.fromkeys(letter.message().keys(), "")
        texts = [letter.subject, str(letter.body), *(str(twin) for twin, _type in letter.alternatives)]
        return len(wire), headers, [CODE.sub("CODE", TOKEN.sub("", text)) for text in texts]


def looks_again(reader: Reader, *letters: Got | None) -> None:
    for got in filter(None, letters):
        reader.open(got.confirm)
        reader.open(got.withdraw)


def opens_and_presses(reader: Reader) -> None:
    """Before its press, after it, and after other presses, with other names each time."""
    if not (first := reader.sign("Xenia")):
        return
    looks_again(reader, first)
    reader.send(first.confirm)
    looks_again(reader, first)
    second = reader.sign("Yana")
    assert second
    reader.send(second.confirm)
    looks_again(reader, first, second)
    reader.send(first.confirm)
    looks_again(reader, first, second)
    third = reader.sign("Zoe")
    assert third
    reader.type_code(third.code)
    reader.type_code(third.code)
    reader.send(first.confirm, {"without_words": "1"})
    looks_again(reader, first, second, third)


def waits(reader: Reader) -> None:
    """Through the week of a pressed and an unpressed link, and after it."""
    if not (pressed := reader.sign("Xenia")):
        return
    unpressed = reader.sign("Yana")
    assert unpressed
    reader.send(pressed.confirm)
    for time in ({"hours": 1}, {"days": 3}, {"days": 6, "hours": 23}, {"days": 7, "hours": 1}, {"days": 8, "hours": 2}):
        with reader.later(**time):
            looks_again(reader, pressed, unpressed)
            reader.type_code(pressed.code)
            reader.send(pressed.confirm)
            for url in (pressed.confirm, pressed.withdraw):
                reader.send(url, {"ask": "1", "ask_not_me": "1"})


def withdraws(reader: Reader) -> None:
    """By the letter that came after signing; then she signs anew."""
    if not (first := reader.sign("Xenia")):
        return
    second = reader.sign("Yana")
    assert second
    reader.send(first.confirm)
    reader.send(second.withdraw, {"ask": "1"})
    reader.send(second.withdraw)
    looks_again(reader, first, second)
    reader.send(first.confirm)
    reader.type_code(second.code)
    again = reader.sign("Zoe")
    assert again
    reader.send(again.confirm)
    looks_again(reader, first, second, again)


def asks_to_withdraw(reader: Reader) -> None:
    first, second = reader.ask_to_withdraw(), reader.ask_to_withdraw()
    assert first
    assert second
    reader.open(first.withdraw)
    reader.send(first.withdraw, {"ask": "1"})
    reader.send(first.withdraw)
    for got in (first, second):
        reader.open(got.withdraw)
        reader.send(got.withdraw)
    with reader.later(days=7, hours=1):
        reader.open(first.withdraw)


def disowns(reader: Reader) -> None:
    """What was not pressed; then she takes it back."""
    if not (first := reader.sign("Xenia")):
        return
    reader.send(first.confirm, {"ask_not_me": "1"})
    reader.send(first.confirm, {"not_me": "1"})
    looks_again(reader, first)
    assert not reader.sign("Yana")
    reader.send(first.confirm, {"undo": "1"})
    looks_again(reader, first)
    again = reader.sign("Zoe")
    assert again
    reader.send(again.confirm)
    looks_again(reader, first, again)


def disowns_what_she_pressed(reader: Reader) -> None:
    """By the second of two links that were pressed, beside a third that was not."""
    letters = [reader.sign(name) for name in ("Xenia", "Yana", "Zoe")]
    if not (letters[0] and letters[1] and letters[2]):
        return
    for got in letters[:2]:
        assert got
        reader.send(got.confirm)
    reader.send(letters[1].confirm, {"not_me": "1"})
    looks_again(reader, *letters)
    reader.send(letters[2].confirm)
    looks_again(reader, *letters)
    reader.send(letters[1].confirm, {"undo": "1"})
    reader.send(letters[0].confirm)
    looks_again(reader, *letters)


Plan = Callable[[Reader], None]
_played: dict[tuple[Plan, str], Reader] = {}


def play(plan: Plan, kind: str, patch: pytest.MonkeyPatch) -> Reader:
    """What comes of a plan for an address of this kind."""
    address = new_address()
    become(kind, address)
    # What each process asks for now and then is known, and not asked for again.
    patch.setattr(keys, "KNOWN_SECONDS", 3_600)
    patch.setattr(identity, "SALT_SECONDS", 3_600)
    # The heartbeat of the mail goes by the clock, whoever signs.
    patch.setattr(queue, "_beats_at", dict.fromkeys(Heartbeat.Part, math.inf))
    keys.newest(fresh=True)
    identity._salt = None
    identity.daily_salt()
    reader = Reader(address, patch)
    plan(reader)
    return reader


def once(plan: Plan, kind: str, patch: pytest.MonkeyPatch) -> Reader:
    """The same, played once for all tests."""
    if (plan, kind) not in _played:
        _played[plan, kind] = play(plan, kind, patch)
    return _played[plan, kind]


PLANS = [opens_and_presses, waits, withdraws, asks_to_withdraw, disowns, disowns_what_she_pressed]
