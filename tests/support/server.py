"""The real server and worker, as production starts them, on the database of the test."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection
from django.http import HttpResponse

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
START_SECONDS = 60
# So long a test waits for what must happen, on a machine that others use as well, before it calls it missing.
PATIENCE_SECONDS = 120
Found = TypeVar("Found")

# What a server is given to serve: patient, or as visitors have it.
PATIENT, IN_EARNEST = "tests.support.wsgi:application", "config.wsgi:application"
GRANIAN = (
    *(str(Path(PYTHON).with_name("granian")), "--interface", "wsgi", "--no-ws"),
    *("--workers", "1", "--blocking-threads", "4", "--workers-kill-timeout", "10"),
    *("--access-log", "--access-log-fmt", "%(method)s %(status)d %(dt_ms).1f"),
)


def database_url() -> str:
    """The database of this test, for another process."""
    values = connection.settings_dict
    user = quote(values["USER"]) + (f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else "")
    options = dict(values.get("OPTIONS", {}))
    host = values["HOST"] or ""
    if host.startswith("/"):
        options["host"], host = host, ""
    port = f":{values['PORT']}" if values["PORT"] else ""
    return f"postgresql://{user}@{host}{port}/{values['NAME']}?{urlencode(options)}"


def environment(**overrides: str | None) -> dict[str, str]:
    """Variables for a process on the database of this test; None leaves one out."""
    strange = ("GRANIAN_", "PYTEST", *worker_keys())
    values = {name: value for name, value in os.environ.items() if not name.startswith(strange)} | {
        "LOCAL": "1",
        "VAR_DIR": str(settings.VAR_DIR),
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "MAILING_LIST_KEY": settings.MAILING_LIST_KEY,
        "PYTHONUNBUFFERED": "1",
        **overrides,
    }
    return {name: value for name, value in values.items() if value is not None}


def worker_keys() -> dict[str, str]:
    """Variables that a worker has, and no web server."""
    return {
        "EMAIL_DIGEST_KEY": settings.EMAIL_DIGEST_KEY,
        "OUTBOX_KEYS_DIR": str(settings.OUTBOX_KEYS_DIR),
        "WITHDRAWN_LIST": str(settings.WITHDRAWN_LIST),
    }


_ports: list[socket.socket] = []


def free_port() -> int:
    """A port of our own until these tests end: our socket keeps others from it, and servers that we start share it."""
    ours = socket.socket()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ours.bind(("127.0.0.1", 0))
    _ports.append(ours)
    return int(ours.getsockname()[1])


@contextmanager
def process(*command: str, log: Path, **overrides: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """One of our programs in a process group of its own; what it says goes to the file `log`."""
    with log.open("ab") as file:
        started = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(**overrides),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def web(log: Path, *options: str, app: str = PATIENT, **overrides: str | None) -> Iterator[int]:
    """The port of a granian that answers."""
    port = free_port()
    with process(*GRANIAN, app, "--port", str(port), *options, log=log, **overrides) as server:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/healthz")
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"granian did not start: {log.read_text()}") from None
                time.sleep(0.1)
        yield port


class Answer(HttpResponse):
    """Read like what the test client returns."""

    def json(self) -> Any:
        return json.loads(self.content)


def fetch(
    port: int,
    method: str,
    path: str,
    data: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An answer over a connection of its own, read as strictly as Python reads."""
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    form = {"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}
    web.request(method, path, urlencode(data) if data else None, {**form, **(headers or {})})
    answer = web.getresponse()
    names = [name.lower() for name, _value in answer.getheaders()]
    assert len(names) == len(set(names)), f"a header stands there twice: {names}"
    response = Answer(answer.read(), status=answer.status)
    del response["Content-Type"]
    for name, value in answer.getheaders():
        response[name] = value
    web.close()
    return response


@contextmanager
def worker(log: Path, **overrides: str | None) -> Iterator[subprocess.Popen[bytes]]:
    with process(PYTHON, "manage.py", "worker", log=log, **worker_keys() | overrides) as started:
        yield started


def wait_until(condition: Callable[[], Found], seconds: float = PATIENCE_SECONDS, pause: float = 0.05) -> Found:
    """Return what `condition` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(pause)
    return found
