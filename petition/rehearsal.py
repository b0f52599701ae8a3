"""A rehearsal of signing on the own server: how many signatures a second it stores, and what a launch still lacks.

Nothing of it touches the site: it runs an app server and a worker of its own, with keys of its own, on a scratch
database beside the real one, which is dropped in the end. So no row of it was ever in the count, and no mail can leave:
the only mail server that its worker knows is in here, takes everything and keeps nothing.
"""

# ruff: noqa: S603, every command here is our own
import http.client
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import ProgrammingError, connection
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition import clock, live_settings
from petition.models import Heartbeat, Petition, Signature
from petition.models.signature import this_hour

SIGN = "/en/petitions/chechnya/sign/"
MARK = "made by manage.py rehearse"
START_SECONDS = 60
CONNECTIONS = 16
IDLE_SHARE = 0.15  # with less of them idle, the processors are what limits
WAITING_SHARE = 0.2
RECENT = timedelta(minutes=1)
FEWEST_STAFF = 2


class RefusedError(Exception):
    """It may not be rehearsed now, or here; the message says what to do."""


@dataclass(frozen=True)
class Measured:
    """`signatures` and `mails` are for each second, mails by one worker; `answers` is how often came which status."""

    signatures: float
    mails: float
    first_limit: str
    answers: Counter[int]


def require_peace(yes: bool) -> None:
    """Raises RefusedError."""
    # Times of signatures are whole hours.
    if Signature.objects.filter(created_at__gte=this_hour() - timedelta(hours=1)).exists():
        raise RefusedError(
            "People have signed within the last two hours. A rehearsal would take the machine from them."
        )
    if not (settings.LOCAL or yes):
        raise RefusedError(
            "This loads the server as a crowd would, for a minute. Nothing of it is counted or mailed. Add --yes."
        )


def measure(seconds: float, processes: int) -> Measured:
    """Let as many people sign as this server takes. Raises RefusedError, leaving nothing behind."""
    with scratch_database() as database, TemporaryDirectory() as folder, sink() as mails:
        web, worker = variables(database, Path(folder), mails.port)
        for command in (["migrate", "--verbosity=0"], ["load_campaign"]):
            run(command, web)
        run(["worker", "--once"], web | worker)  # it makes the key to which addresses are sealed
        with app(web, processes) as port:
            before, begun = processors(), time.monotonic()
            answers = crowd(port, seconds)
            lasted, after = time.monotonic() - begun, processors()
        with closing(psycopg2.connect(database)) as scratch, scratch.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM petition_signature")
            (stored,) = cursor.fetchone() or (0,)
            cursor.execute("UPDATE petition_outgoingmail SET due_at = now()")
            scratch.commit()
        if stored < answers[303]:
            raise RefusedError(f"{answers[303]} people were told that they signed, and {stored} did. Tell us, please.")
        run(["worker", "--once"], web | worker)
    return Measured(stored / lasted, mails.per_second, first_limit(before, after, answers), answers)


def first_limit(before: list[int], after: list[int], answers: Counter[int]) -> str:
    used = [late - early for early, late in zip(before, after, strict=True)]
    idle, waiting = used[3] / sum(used), used[4] / sum(used)
    if answers[503]:
        return f"the app or its database answered 503 to {answers[503]} of {answers.total()}"
    if idle + waiting < IDLE_SHARE:
        return f"the processors ({idle:.0%} of them were idle)"
    if waiting > WAITING_SHARE:
        return f"the disk (the processors waited for it for {waiting:.0%} of the time)"
    return f"the processes of the app: {idle:.0%} of the processors were idle, so try more of them (--workers)"


def processors() -> list[int]:
    return [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]


@contextmanager
def scratch_database() -> Iterator[str]:
    """The URL of an empty database on the same server, which is dropped in the end."""
    name = f"{connection.settings_dict['NAME']}_rehearsal"
    quoted = connection.ops.quote_name(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name])
        if (found := cursor.fetchone()) and found[0] != MARK:
            raise RefusedError(f"There is a database {name}, which is not ours. Drop it, if it is yours.")
        try:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8'")
        except ProgrammingError:
            role = connection.settings_dict["USER"] or "petition"
            raise RefusedError(
                "The role of the site may not make a database for it. Allow it for as long as it takes:\n"
                f"    runuser -u postgres -- psql --command='ALTER ROLE \"{role}\" CREATEDB'\n"
                f"and afterwards the same with NOCREATEDB."
            ) from None
        cursor.execute(f"COMMENT ON DATABASE {quoted} IS '{MARK}'")
    try:
        yield database_url(name)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")


def database_url(name: str) -> str:
    values = connection.settings_dict
    options = {key.lower(): values[key] for key in ("USER", "PASSWORD", "HOST", "PORT") if values[key]}
    return f"postgresql:///{quote(name)}?" + urlencode(options | values.get("OPTIONS", {}))


def variables(database: str, folder: Path, mail_port: int) -> tuple[dict[str, str], dict[str, str]]:
    """Of the app, and what its worker has beside. Every key is made up, so none of the site's gets near it."""
    site = {name: value for name, value in os.environ.items() if name not in ("LOCAL", "EMAIL_DIGEST_KEY", "CACHE_URL")}
    web = site | {
        **{"DATABASE_URL": database, "REPLICA_URL": "", "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}"},
        **{
            "SITE_URL": "https://rehearsal.example.org",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECRET_KEY": secrets.token_hex(32),
        },
        **{"TRUSTED_PROXIES": "127.0.0.1/32", "DEFAULT_FROM_EMAIL": "rehearsal@example.org"},
    }
    worker = {"OUTBOX_KEYS_DIR": str(folder / "keys"), "WITHDRAWN_LIST": str(folder / "withdrawn" / "list")}
    return web, worker | {"EMAIL_DIGEST_KEY": secrets.token_hex(32)}


def run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RefusedError(f"manage.py {' '.join(command)} failed on the scratch database:\n{done.stderr[-2000:]}")


@contextmanager
def app(environment: dict[str, str], processes: int) -> Iterator[int]:
    """The port of an app server like the site's own."""
    port = free_port()
    options = ("--workers", str(processes), "--host", "127.0.0.1", "--port", str(port))
    started = subprocess.Popen(
        [sys.executable, "-m", "config.serve", *options],
        cwd=settings.BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while sign(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) != 303:
            if started.poll() is not None or time.monotonic() > deadline:
                raise RefusedError("The app server of the rehearsal did not start.")
            time.sleep(0.2)
        yield port
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(15)
        started.kill()
        started.wait()


def crowd(port: int, seconds: float) -> Counter[int]:
    """How often came which answer, 0 for none, to people who sign one after the other over some connections."""
    until = time.monotonic() + seconds

    def come(_number: int) -> Counter[int]:
        answers, web = Counter[int](), http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < until:
            answers[sign(web)] += 1
        web.close()
        return answers

    with ThreadPoolExecutor(CONNECTIONS) as people:
        return sum(people.map(come, range(CONNECTIONS)), Counter())


def sign(web: http.client.HTTPConnection) -> int:
    """The status for somebody with an address and a network of her own."""
    number = secrets.randbits(24)
    form = urlencode({"email": f"rehearsal.{secrets.token_hex(8)}@example.org", "consent": "on", "website": ""})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
    }
    try:
        web.request("POST", SIGN, form, headers)
        answer = web.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        web.close()
        return 0
    return answer.status


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink:
    """A mail server on this machine that takes every mail and keeps when the first and the last came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self.listener.getsockname()[1])
        self.times: list[float] = []

    @property
    def per_second(self) -> float:
        lasted = self.times[-1] - self.times[0] if self.times else 0
        return len(self.times) / lasted if lasted else 0

    def serve(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                threading.Thread(target=self.talk, args=[self.listener.accept()[0]], daemon=True).start()

    def talk(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rwb") as lines:
            lines.write(b"220 rehearsal\r\n")
            lines.flush()
            for line in lines:
                verb = line[:4].upper()
                if verb == b"DATA":
                    lines.write(b"354 go on\r\n")
                    lines.flush()
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    self.times.append(time.monotonic())
                lines.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                lines.flush()


@contextmanager
def sink() -> Iterator[Sink]:
    made = Sink()
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.listener.close()


def checklist() -> list[tuple[str, str]]:
    """What stands in the way of a launch: "missing" what was found here, "ask" what nobody can see from here."""
    missing = [f"{found.msg} {found.hint or ''} ({found.id})" for found in _found_by_checks()]
    missing += [said for is_missing, said in _looked_at() if is_missing]
    ask = [
        "Has a letter of this site arrived in an inbox of yours, and not among the spam? (install.md, 8)",
        "Is there a backup on another machine, and was it restored once? (install.md, Backups)",
        "Are both files of /etc/petition kept elsewhere, encrypted, and apart from the backups? (install.md, 4)",
        "Does something outside ask for /healthz every minute, and wake somebody? (operations.md, Health)",
        "Do two people know how to pause signing, and what to do under an attack? (operations.md)",
    ]
    return [("missing", said) for said in missing] + [("ask", said) for said in ask]


def _found_by_checks() -> list[Any]:
    silenced = set(settings.SILENCED_SYSTEM_CHECKS)
    found = run_checks(include_deployment_checks=True, databases=["default"])
    return [message for message in found if message.id not in silenced]


def _looked_at() -> Iterator[tuple[bool, str]]:
    petition, ages = Petition.find(), Heartbeat.ages()
    yield petition is None, "There is no petition. Run load_campaign."
    if petition:
        yield (
            not petition.is_open,
            f"The petition {petition} cannot be signed now: it is paused, closed or not yet open.",
        )
        yield not petition.addressee, f"The petition {petition} has no addressee."
    yield ages.get(Heartbeat.Part.FOLD, RECENT) >= RECENT, "No worker runs."
    yield ages.get(Heartbeat.Part.MAIL, RECENT) >= RECENT, "No mail has gone out while some had to."
    yield not clock.is_right(), "The clock of this machine differs from the database's by more than a minute."
    with_factor = TOTPDevice.objects.filter(confirmed=True, user__is_active=True).values("user").distinct().count()
    yield (
        with_factor < FEWEST_STAFF,
        f"Accounts with a second factor: {with_factor}. One lost phone must not lock you out.",
    )
    supers = User.objects.filter(is_superuser=True, is_active=True).count()
    yield supers > 0, f"Accounts that may do everything: {supers}. Switch the first one off (operations.md, Staff)."
    for name in live_settings.RATES:
        yield live_settings.rate(name).startswith("0"), f"{name} is switched off."
