"""The ledger of a crowd: every answer that it got while something was broken, and what became of what it was told."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from bench import environment
from bench.journeys import Crowd, JourneyError
from tests.support.mail_server import MailServer

SIGN = "/en/petitions/chechnya/sign/"
AGAIN_SECONDS = 1
PATIENCE_SECONDS = 90
LOOK_SECONDS = 0.5
LOOKER = "127.251.0.1"


@dataclass(frozen=True)
class Answer:
    """`said` is the status, or how there was none; `at` is when it came, `seconds` how long that took."""

    step: str
    said: str
    at: float
    seconds: float


@dataclass
class Row:
    """A row of the table. `recovered` is None where nothing was ever away; times are seconds."""

    fault: str
    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    repeated: int = 0
    told_to_wait: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    gap: float = 0
    recovered: float | None = None
    slowest_refusal: float = 0
    page_gap: float = 0
    slowest_health: float = 0
    health: dict[str, int] = field(default_factory=dict)
    slowest_mail: float = 0
    mail_back: float | None = None
    seen: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> dict[str, str]:
        return {
            "fault": self.fault,
            "sent": f"{self.sent:,}",
            "acknowledged": f"{self.acknowledged:,}",
            "lost": f"{self.lost}",
            "repeated": f"{self.repeated}",
            "503": f"{self.told_to_wait:,}",
            "other errors": ", ".join(f"{number} x {name}" for name, number in self.errors.items()) or "0",
            "longest gap": seconds(self.gap),
            "signing back": seconds(self.recovered),
            "slowest 503": seconds(self.slowest_refusal),
            "pages' gap": seconds(self.page_gap),
            "slowest /healthz": seconds(self.slowest_health),
            "/healthz meanwhile": ", ".join(f"{number} x {name}" for name, number in self.health.items()),
            "slowest mail": seconds(self.slowest_mail),
            "mail back": seconds(self.mail_back),
            "seen": ", ".join(f"{name}: {value}" for name, value in self.seen.items()),
        }


class Signers(Crowd):
    """People who sign, each from an address of her own, and open and press what they are mailed, again if need be."""

    def __init__(self, port: int, mail: MailServer) -> None:
        super().__init__(port)
        self.mail = mail
        self.answers: list[Answer] = []
        self.acknowledged: dict[str, float] = {}
        self.read_at: dict[str, float] = {}
        self.confirmed: list[str] = []
        self.leaving = threading.Event()
        self.seconds_to_take_a_mail = 0.0
        self.came_at = self.leaves_at = self.lifted_at = self.broken_at = 0.0
        mail.on_data = self.on_data

    # What goes on in the thread of the crowd.

    def run(self, per_second: float) -> None:
        asyncio.run(self.live(per_second))

    async def live(self, per_second: float) -> None:
        self.loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as people:
            people.create_task(self.look_around())
            begin, number = time.monotonic(), 0
            self.came_at = begin
            while not self.leaving.is_set():
                await asyncio.sleep(max(0, begin + number / per_second - time.monotonic()))
                people.create_task(self.journey("en"))
                number += 1

    async def journey(self, language: str) -> None:
        self.diary.started += 1
        address, mailbox = environment.visitor_address(), f"{self.word}.{self.diary.started}@example.org"
        mail = self.waiting[mailbox] = asyncio.get_running_loop().create_future()
        form = {"email": mailbox, "name": "Анна", "country": "DE", "words": "", "consent": "on", "website": ""}
        try:
            await self.ask("sign", address, "POST", SIGN, urlencode(form), expected=303)
            self.acknowledged[mailbox] = time.monotonic()
            _at, link = await asyncio.wait_for(mail, PATIENCE_SECONDS)
            await self.insist("link", address, "GET", link.decode())
            await self.insist("confirm", address, "POST", link.decode(), "", expected=303)
            self.confirmed.append(link.decode().rstrip("/").rsplit("/", 1)[1])
        except (JourneyError, OSError):
            return  # what was said is in the ledger

    async def insist(self, *request: Any, expected: int = 200) -> None:
        """Ask again each second, as somebody does who has got a mail."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                await self.ask(*request, expected=expected)
            except (JourneyError, OSError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def look_around(self) -> None:
        """Read a page that nginx keeps, and ask how the site is, until all go."""
        async with asyncio.TaskGroup() as looks:
            while not self.leaving.is_set():
                looks.create_task(self.glance("page", "/en/"))
                looks.create_task(self.glance("health", "/healthz"))
                await asyncio.sleep(LOOK_SECONDS)

    async def glance(self, step: str, path: str) -> None:
        try:
            await self.ask(step, LOOKER, "GET", path)
        except (JourneyError, OSError):
            return

    async def ask(
        self, step: str, address: str, method: str, path: str, form: str | None = None, expected: int = 200
    ) -> bytes:
        begin, said = time.monotonic(), str(expected)
        try:
            return await super().ask(step, address, method, path, form, expected)
        except JourneyError as error:
            said = str(error)
            raise
        except OSError as error:  # a time-out is one
            said = "none in 30 s" if isinstance(error, TimeoutError) else "dropped"
            raise
        finally:
            now = time.monotonic()
            self.answers.append(Answer(step, said, now, now - begin))

    # What the mail server and the test call.

    def on_data(self, recipient: str) -> None:
        """Hand over the mail that was just taken, and let the server think about it."""
        time.sleep(self.seconds_to_take_a_mail)
        received = next(mail for mail in reversed(self.mail.received) if mail.recipient == recipient)
        self.read_at.setdefault(recipient, time.monotonic())
        text = received.message.get_body(("plain",))
        assert text
        with suppress(RuntimeError):  # all have gone
            self.loop.call_soon_threadsafe(self.take_mail, recipient, text.get_content().encode())

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Something is broken in this block, and mended at its end."""
        self.broken_at = time.monotonic()
        yield
        self.lifted_at = time.monotonic()

    def said(self, step: str, since: float = 0, until: float = float("inf")) -> list[Answer]:
        return [answer for answer in self.answers if answer.step == step and since <= answer.at <= until]

    def while_broken(self, step: str) -> list[Answer]:
        """Answers to what was asked while it was broken."""
        return [
            answer for answer in self.said(step, until=self.lifted_at) if answer.at - answer.seconds > self.broken_at
        ]

    def mail_seconds(self, signed_after: float = 0, but: Collection[str] = ()) -> float:
        """How long somebody waited for her mail at most."""
        waits = [
            self.read_at[who] - at
            for who, at in self.acknowledged.items()
            if at >= signed_after and who in self.read_at and who not in but
        ]
        return max(waits, default=0)

    def mail_back(self) -> float | None:
        """How long after the mending the last mail came that was signed for before it."""
        if not self.lifted_at:
            return None
        before = [self.read_at.get(who, float("inf")) for who, at in self.acknowledged.items() if at < self.lifted_at]
        return max(max(before, default=0) - self.lifted_at, 0)

    def longest_gap(self, times: list[float]) -> float:
        """Between two of these, while people came."""
        times = [self.came_at, *sorted(at for at in times if at <= self.leaves_at), self.leaves_at]
        return max(after - before for before, after in pairwise(times))

    def row(self, fault: str, owed: int, uncounted: Callable[[list[str]], list[str]]) -> Row:
        """What happened, once all have gone.

        So many mails are `owed` still: late, not lost. `uncounted` are those of some tokens whose signature is not.
        """
        ours = f"{self.word}."
        mails = Counter(mail.recipient for mail in self.mail.received if mail.recipient.startswith(ours))
        signs = self.said("sign")
        good = [answer.at for answer in signs if answer.said == "303"]
        pages = [answer.at for answer in self.said("page") if answer.said == "200"]
        after = [at for at in good if at >= self.lifted_at]
        unkind = Counter(
            f"{answer.step}: {answer.said}"
            for answer in self.answers
            if answer.step != "health" and answer.said not in ("200", "303", "503")
        )
        return Row(
            fault=fault,
            sent=len(signs),
            acknowledged=len(good),
            lost=max(len([who for who in self.acknowledged if not mails[who]]) - owed, 0)
            + len(uncounted(self.confirmed)),
            repeated=sum(number - 1 for number in mails.values()),
            told_to_wait=len([answer for answer in signs if answer.said == "503"]),
            errors=dict(unkind),
            gap=self.longest_gap(good),
            recovered=(after[0] - self.lifted_at if after else float("inf")) if self.lifted_at else None,
            slowest_refusal=max((answer.seconds for answer in signs if answer.said != "303"), default=0),
            page_gap=self.longest_gap(pages),
            slowest_health=max((answer.seconds for answer in self.said("health")), default=0),
            health=dict(Counter(answer.said for answer in self.while_broken("health"))),
            slowest_mail=self.mail_seconds(),
            mail_back=self.mail_back(),
        )


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def table(rows: list[Row]) -> str:
    cells = [row.cells() for row in rows]
    head = [f"| {' | '.join(cells[0])} |", "| --- " + "| ---: " * (len(cells[0]) - 1) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(row.values())} |" for row in cells)])
