"""A mail server that takes everything and keeps nothing, fast enough not to be what is measured.

As a program it serves on the port it is told and answers `XCOUNT` with how many mails came and when the first and the
last did, `XRESET` by forgetting them, `XDELAY` by taking so many seconds for each.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable


class Sink:
    def __init__(
        self, on_mail: Callable[[str, bytes], None] = lambda recipient, message: None, delay: float = 0
    ) -> None:
        """`delay` is how many seconds it takes to accept a mail, as a server does that writes it to its disk."""
        self.on_mail, self.delay = on_mail, delay
        self.reset()

    def reset(self) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0

    def take(self, recipient: str, message: bytes) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        self.on_mail(recipient, message)

    async def serve(self, port: int, host: str = "127.0.0.1") -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(lambda: Conversation(self), host, port)


class Conversation(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.received = bytearray()
        self.recipient = ""
        self.in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (TCP has no other)
        self.transport = transport
        self.answer(b"220 sink")

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n.\r\n" if self.in_message else b"\r\n")) >= 0:
            taken = bytes(self.received[:end])
            del self.received[: end + (5 if self.in_message else 2)]
            if self.in_message:
                self.in_message = False
                self.sink.take(self.recipient, taken)
                if self.sink.delay:
                    asyncio.get_running_loop().call_later(self.sink.delay, self.answer, b"250 taken")
                else:
                    self.answer(b"250 taken")
            else:
                self.command(taken)

    def command(self, line: bytes) -> None:
        match line[:4].upper():
            case b"RCPT":
                self.recipient = line[line.find(b"<") + 1 : line.find(b">")].decode(errors="replace")
                self.answer(b"250 ok")
            case b"DATA":
                self.in_message = True
                self.answer(b"354 go on")
            case b"QUIT":
                self.answer(b"221 bye")
                self.transport.close()
            case b"XCOU":
                self.answer(f"250 {self.sink.count} {self.sink.first} {self.sink.last}".encode())
            case b"XRES":
                self.sink.reset()
                self.answer(b"250 ok")
            case b"XDEL":
                self.sink.delay = float(line.split()[1])
                self.answer(b"250 ok")
            case _:
                self.answer(b"250 ok")

    def answer(self, line: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(line + b"\r\n")


async def main(port: int) -> None:
    server = await Sink().serve(port)
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
