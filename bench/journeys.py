"""People on the afternoon itself: each reads, signs, waits for the mail, opens the link and presses the button.

They start at fixed times, however slow the site is, as people do. Each comes from an address of its own.
"""

import asyncio
import gzip
import random
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bench import environment

LINK = re.compile(rb"/(?:en|ru)/confirm/[^\s\"<]+")
SHOWN = {
    "count.json": (environment.COUNT, re.compile(rb'"confirmed_here": ([0-9]+)')),
    "page": (environment.HOME, re.compile(rb'data-number="confirmed_here">([^<]+)<')),
}
TURNED_AWAY = "told to try again"
TIMEOUT = 30
MAIL_SECONDS = 60
PROBE_SECONDS = 0.5


@dataclass
class Diary:
    """Seconds by step, errors by name and by time, when each signature was counted, and what was shown when."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    failed_at: list[tuple[float, str]] = field(default_factory=list)
    counted_at: list[float] = field(default_factory=list)
    shown: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    started: int = 0
    finished: int = 0

    def fail(self, what: str) -> None:
        self.errors[what] += 1
        self.failed_at.append((time.monotonic(), what))

    def ages(self, where: str, before: int) -> list[float]:
        """The age of each shown number: the time since a signature was counted that it does not include.

        `before` is how many were confirmed before the first journey.
        """
        ages = []
        for at, number in self.shown[where]:
            missing = number - before
            known = missing >= len(self.counted_at) or self.counted_at[missing] > at
            ages.append(0.0 if known else at - self.counted_at[missing])
        return ages


class JourneyError(Exception):
    """An answer with another status than the one expected, or none."""


class Crowd:
    """People who come to this port of `host`, each from an address that `visitor` gives her."""

    def __init__(
        self, port: int, host: str = "127.0.0.1", visitor: Callable[[], str] = environment.visitor_address
    ) -> None:
        self.port, self.host, self.visitor = port, host, visitor
        self.diary = Diary()
        self.waiting: dict[str, asyncio.Future[tuple[float, bytes]]] = {}
        self.word = secrets.token_hex(3)

    def take_mail(self, recipient: str, message: bytes) -> None:
        """Hand the link in a mail that the sink took to whoever waits for it."""
        link = LINK.search(message.replace(b"=\r\n", b"").replace(b"=3D", b"="))
        waiting = self.waiting.get(recipient)
        if waiting and not waiting.done() and link:
            waiting.set_result((time.monotonic(), link[0]))

    async def come(self, per_minute: float, seconds: float) -> None:
        """Journeys at this rate for so long; returns when the last has ended."""
        async with asyncio.TaskGroup() as people:
            begin, number = time.monotonic(), 0
            while (due := number * 60 / per_minute) < seconds:
                await asyncio.sleep(max(0, begin + due - time.monotonic()))
                people.create_task(self.journey(random.choice(["en", "ru"])))  # noqa: S311
                number += 1

    async def journey(self, language: str) -> None:
        diary = self.diary
        diary.started += 1
        address = self.visitor()
        mailbox = f"{self.word}.{diary.started}@example.org"
        mail = self.waiting[mailbox] = asyncio.get_running_loop().create_future()
        form = {"email": mailbox, "name": "Анна", "country": "DE", "words": "", "consent": "on", "website": ""}
        step = "page"
        try:
            await self.ask(step, address, "GET", f"/{language}/")
            step = "sign"
            await self.ask(
                step, address, "POST", f"/{language}/petitions/chechnya/sign/", urlencode(form), expected=303
            )
            step, signed_at = "mail", time.monotonic()
            read_at, link = await asyncio.wait_for(mail, MAIL_SECONDS)
            diary.seconds[step].append(read_at - signed_at)
            step = "open link"
            await self.ask(step, address, "GET", link.decode())
            step = "confirm"
            await self.ask(step, address, "POST", link.decode(), "", expected=303)
            diary.counted_at.append(time.monotonic())
            step = "thanks"
            await self.ask(step, address, "GET", f"/{language}/petitions/chechnya/thanks/")
            diary.finished += 1
        except JourneyError as error:
            diary.fail(f"{step}: {error}")
        except TimeoutError:
            diary.fail(f"{step}: none in {MAIL_SECONDS if step == 'mail' else TIMEOUT} s")
        except OSError as error:
            diary.fail(f"{step}: dropped, {error.strerror or type(error).__name__}")
        finally:
            del self.waiting[mailbox]

    async def ask(
        self, step: str, address: str, method: str, path: str, form: str | None = None, expected: int = 200
    ) -> bytes:
        """One request over a connection of its own; the body of the answer. Raises JourneyError for another status."""
        begin = time.monotonic()
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(address, 0))
            try:
                head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept-Encoding: gzip\r\n"
                if form is not None:
                    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
                writer.write(f"{head}\r\n{form or ''}".encode())
                answer = await reader.read()
            finally:
                writer.close()
        status = answer[9:12].decode(errors="replace")
        if status == "503":
            self.diary.seconds[TURNED_AWAY].append(time.monotonic() - begin)
        if status != str(expected):
            raise JourneyError(status or "dropped, without a word")
        self.diary.seconds[step].append(time.monotonic() - begin)
        headers, _blank, body = answer.partition(b"\r\n\r\n")
        return gzip.decompress(body) if b"\r\ncontent-encoding: gzip" in headers.lower() else body

    async def look(self, until: float) -> None:
        """Write down what number is shown, in the JSON and on the page, and when."""
        while time.monotonic() < until:
            for where, (path, pattern) in SHOWN.items():
                begin = time.monotonic()
                try:
                    answer = await self.ask("look", self.visitor(), "GET", path)
                except (JourneyError, OSError):
                    self.diary.errors["look: failed"] += 1
                    continue
                if found := pattern.search(answer):
                    self.diary.shown[where].append((begin, int(re.sub(rb"\D", b"", found[1]))))
            await asyncio.sleep(PROBE_SECONDS)
