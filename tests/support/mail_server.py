"""A real SMTP server that takes everything, unless a test tells it otherwise."""

# ruff: noqa: N802, aiosmtpd calls its hooks by the commands

import asyncio
import email
import email.policy
import logging
from dataclasses import dataclass

from aiosmtpd.controller import Controller

from tests.support.server import free_port

# It logs every command, addresses included.
logging.getLogger("mail.log").setLevel(logging.ERROR)

DROP = "drop"
HANG = "hang"


@dataclass(frozen=True)
class Received:
    sender: str
    recipient: str
    message: email.message.EmailMessage
    connection: tuple
    encrypted: bool
    logged_in: bool


class MailServer:
    """`commands` says what a command is answered instead of the usual, by command or by command and recipient: a reply
    as servers write them, DROP or HANG; "FULL" is for the MAIL command of a connection that has carried a message,
    "TAKEN" for the end of a message that was taken. `on_data` is called with the recipient once a message is taken,
    before the 250. `most_connections` are served, and more are told to go.
    """

    def __init__(self, **options):
        self.received = []
        self.served = []
        self.most_connections = None
        self.commands = {}
        self.on_data = lambda recipient: None
        self._options = options
        self._controller = None
        self.port = free_port()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        # A server that comes back keeps the port it had.
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **self._options)
        self._controller.start()

    def stop(self):
        if self._controller:
            self._controller.stop()
            self._controller = None

    def recipients(self):
        return [received.recipient for received in self.received]

    async def _answer(self, server, command, recipient=""):
        answer = self.commands.get((command, recipient)) or self.commands.get(command)
        if answer == DROP:
            server.transport.abort()
        elif answer == HANG:
            await asyncio.Event().wait()
        return answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        answer = await self._answer(server, "EHLO")
        return [answer] if answer else responses

    async def handle_HELO(self, server, session, envelope, hostname):
        session.host_name = hostname
        return await self._answer(server, "HELO") or f"250 {server.hostname}"

    async def handle_MAIL(self, server, session, envelope, address, options):
        if session.peer not in self.served:
            self.served.append(session.peer)
        if self.most_connections and session.peer not in self.served[: self.most_connections]:
            return "421 4.7.0 too many connections"
        is_full = any(received.connection == session.peer for received in self.received)
        answer = await self._answer(server, "MAIL") or (is_full and await self._answer(server, "FULL"))
        if answer:
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = await self._answer(server, "RCPT", address)
        if answer:
            # Servers like to quote whom they refuse.
            return answer.replace("ADDRESS", address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        (recipient,) = envelope.rcpt_tos
        answer = await self._answer(server, "DATA", recipient)
        if answer:
            return answer.replace("ADDRESS", recipient)
        received = Received(
            envelope.mail_from,
            recipient,
            email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=email.policy.default),
            session.peer,
            session.ssl is not None,
            session.authenticated,
        )
        self.received.append(received)
        # In a thread, so that a test may wait here while the server goes on.
        await asyncio.to_thread(self.on_data, recipient)
        return await self._answer(server, "TAKEN", recipient) or "250 OK"
