"""A real SMTP server that takes everything, unless a test tells it otherwise."""

# ruff: noqa: N802, aiosmtpd calls its hooks by the commands

import asyncio
import email
import email.policy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.server import free_port

# It logs every command, addresses included.
logging.getLogger("mail.log").setLevel(logging.ERROR)

DROP = "drop"
HANG = "hang"


@dataclass(frozen=True)
class Received:
    sender: str | None
    recipient: str
    message: email.message.EmailMessage
    connection: object
    encrypted: bool
    logged_in: bool | None


class MailServer:
    """`commands` says what a command is answered instead of the usual, by command or by command and recipient: a reply
    as servers write them, DROP or HANG; "FULL" is for the MAIL command of a connection that has carried a message,
    "TAKEN" for the end of a message that was taken. `on_data` is called with the recipient once a message is taken,
    before the 250. `most_connections` are served, and more are told to go.
    """

    def __init__(self, **options: Any) -> None:
        self.received: list[Received] = []
        self.served: list[object] = []
        self.most_connections: int | None = None
        self.commands: dict[str | tuple[str, str], str] = {}
        self.on_data: Callable[[str], object] = lambda recipient: None
        self._options = options
        self._controller: Controller | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        # A server that comes back keeps the port it had.
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def recipients(self) -> list[str]:
        return [received.recipient for received in self.received]

    async def _answer(self, server: SMTP, command: str, recipient: str = "") -> str | None:
        answer = self.commands.get((command, recipient)) or self.commands.get(command)
        if answer == DROP:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        elif answer == HANG:
            await asyncio.Event().wait()
        return answer

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await self._answer(server, "EHLO")
        return [answer] if answer else responses

    async def handle_HELO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str) -> str:
        session.host_name = hostname
        return await self._answer(server, "HELO") or f"250 {server.hostname}"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if session not in self.served:
            self.served.append(session)
        if self.most_connections and session not in self.served[: self.most_connections]:
            return "421 4.7.0 too many connections"
        is_full = any(received.connection == session for received in self.received)
        answer = await self._answer(server, "MAIL") or (is_full and await self._answer(server, "FULL"))
        if answer:
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer(server, "RCPT", address)
        if answer:
            # Servers like to quote whom they refuse.
            return answer.replace("ADDRESS", address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        (recipient,) = envelope.rcpt_tos
        answer = await self._answer(server, "DATA", recipient)
        if answer:
            return answer.replace("ADDRESS", recipient)
        assert isinstance(envelope.content, bytes)
        received = Received(
            envelope.mail_from,
            recipient,
            email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default),
            session,
            session.ssl is not None,
            session.authenticated,
        )
        self.received.append(received)
        # In a thread, so that a test may wait here while the server goes on.
        await asyncio.to_thread(self.on_data, recipient)
        return await self._answer(server, "TAKEN", recipient) or "250 OK"
