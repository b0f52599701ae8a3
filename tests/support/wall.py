"""A network that lets so many bytes of a connection through towards the visitor and then breaks it, as some do."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import Literal

LIMIT_BYTES = 14_500

Breaks = Literal["stall", "reset"]


class Wall:
    """`passed` has the bytes of each connection that went towards the visitor; `broken` says how many were cut."""

    def __init__(self, site_port: int, breaks: Breaks) -> None:
        self.site_port = site_port
        self.breaks = breaks
        self.passed: list[int] = []
        self.broken = 0
        self.gone = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self.listener.getsockname()[1])
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                visitor, _address = self.listener.accept()
                threading.Thread(target=self.carry, args=[visitor], daemon=True).start()

    def carry(self, visitor: socket.socket) -> None:
        # One thread for both ways: while another one reads a socket, closing it resets nothing.
        with suppress(OSError), visitor, socket.create_connection(("127.0.0.1", self.site_port)) as site:
            number = len(self.passed)
            self.passed.append(0)
            while True:
                readable, _writable, _failed = select([visitor, site], [], [])
                if visitor in readable:
                    if not (sent := visitor.recv(65_536)):
                        return
                    site.sendall(sent)
                if site in readable:
                    if not (answer := site.recv(65_536)):
                        return
                    let_through = answer[: LIMIT_BYTES - self.passed[number]]
                    visitor.sendall(let_through)
                    self.passed[number] += len(let_through)
                    if let_through != answer:
                        self.broken += 1
                        self.break_off(visitor)
                        return

    def break_off(self, visitor: socket.socket) -> None:
        if self.breaks == "stall":
            self.gone.wait()
        else:
            # A socket that may not linger is closed with RST.
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def wall(site_port: int, breaks: Breaks) -> Iterator[Wall]:
    """A wall in front of a port of this machine, until the block is left."""
    built = Wall(site_port, breaks)
    threading.Thread(target=built.serve, daemon=True).start()
    try:
        yield built
    finally:
        built.gone.set()
        built.listener.shutdown(socket.SHUT_RDWR)
        built.listener.close()
