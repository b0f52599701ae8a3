"""Files, memory and connections used up: the others do not notice."""

import asyncio
import resource
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SECONDS = 20
CONNECTIONS = 2_000
NEVER_FINISHED = b"POST /en/petitions/chechnya/sign/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"


def test_no_file_descriptor_left_in_one_process(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            pid = site.web.pids()[-1]
            usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, usual[1]))
            time.sleep(SECONDS)
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        row = note(site.row(signers, "one process of the app without file descriptors"))
    assert row.gap < 5
    assert not row.errors


def test_a_process_killed_for_its_memory(site, note):
    """As the kernel does it; and again, once there are two of them."""
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            for _time in range(2):
                site.kill_web_process()
                time.sleep(SECONDS)
        row = note(site.row(signers, "a process of the app killed for its memory, twice"))
    assert row.gap < 5
    assert row.page_gap < 3


def test_no_memory_left_in_one_process(site, note):
    with site:
        with site.crowd(after=15) as signers, signers.broken():
            pid = site.web.pids()[-1]
            has = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (has, resource.RLIM_INFINITY))
            time.sleep(SECONDS)
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        row = note(site.row(signers, "one process of the app without memory"))
    assert row.gap < 5


@contextmanager
def flood(port, addresses):
    """So many connections all the time, of which every other one is never finished."""
    done = threading.Event()

    async def one(number):
        while not done.is_set():
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(addresses(number), 0))
                if number % 2:
                    writer.write(NEVER_FINISHED)
                else:
                    writer.write(b"GET /en/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), 30)
                writer.close()
            await asyncio.sleep(10)

    async def everybody():
        tasks = [asyncio.create_task(one(number)) for number in range(CONNECTIONS)]
        while not done.is_set():
            await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(everybody()))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("addresses", "whence"),
    [
        (lambda number: f"127.77.7.{number % 254 + 1}", "one /24"),
        (lambda number: f"127.{100 + number % 50}.{number // 50}.9", "many networks"),
    ],
    ids=["one /24", "many networks"],
)
def test_many_connections_half_of_which_never_finish(site, note, addresses, whence):
    with site:
        with site.crowd(after=5) as signers, signers.broken(), flood(site.port, addresses):
            time.sleep(SECONDS)
        row = note(site.row(signers, f"{CONNECTIONS:,} connections of {whence}, half of them never finished"))
    assert (row.errors, row.told_to_wait) == ({}, 0), row
    assert row.gap < 3
