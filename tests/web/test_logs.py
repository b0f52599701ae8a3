"""No log tells who was here: one signer's journey, with everything going wrong on the way, read back from all logs."""

import http.client
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings as django_settings
from django.db import connection

from petition import identity
from petition.links import make
from petition.models import OutgoingMail, Signature
from petition.web.logs import JsonFormatter, Private, PrivateFormatter
from tests.conftest import make_petition
from tests.support import links, server
from tests.support.mail_server import MailServer

PEER = "127.0.0.99"  # where the requests come from, and whom the proxy names
CLIENT = "203.0.113.77"
ADDRESS = "zinaida.k@secret-mailbox.example"
NAME = "Zinaida Kuznetsova"
WORDS = "unmistakable words of support"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Visitor:
    """Someone whose address the logs may not tell."""

    def __init__(self, port):
        self.port = port
        self.tokens = []

    def send(self, method, path, data=None, headers=None):
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(PEER, 0))
        personal = {"X-Forwarded-For": CLIENT, "User-Agent": NAME, "Referer": f"https://example.org/{ADDRESS}"}
        body = urlencode(data) if isinstance(data, dict) else data
        web.request(method, quote(path, safe="/?=&%@+"), body, {**FORM, **personal, **(headers or {})})
        status = web.getresponse().status
        web.close()
        return status

    def sign(self, **values):
        data = {"email": ADDRESS, "name": NAME, "words": WORDS, "consent": "on", "shows_name": "on", **values}
        return self.send("POST", "/en/petitions/chechnya/sign/", data)

    def press(self, token):
        return self.send("POST", f"/en/confirm/{token}/", {})


@contextmanager
def names_refused():
    """Have the database refuse a name, with a message that quotes the whole row."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE petition_link ADD CONSTRAINT provoked CHECK (name NOT LIKE 'Zinaida%') NOT VALID")
        yield
        cursor.execute("ALTER TABLE petition_link DROP CONSTRAINT provoked")


def postgres_log():
    """The log of the server we are connected to, if it runs here and we may read it; else None."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    try:
        log = Path(f"/proc/{pid}/fd/2").resolve(strict=True)
    except OSError:
        return None
    return log if log.is_file() else None


def forbidden(tokens):
    """What may stand in no log: parts of each, so that no quoting or cutting hides it."""
    told = ["zinaida", "kuznetsova", "secret-mailbox", "unmistakable", CLIENT, "203.0.113", PEER]
    told += [part for token in tokens for part in token.split(".") if len(part) > 8]
    told += [django_settings.SECRET_KEY, django_settings.EMAIL_DIGEST_KEY, *secret_halves()]
    return [word.lower() for word in told]


def secret_halves():
    """The keys to the recipients, as a log might write bytes."""
    return [path.read_bytes().hex() for path in Path(django_settings.OUTBOX_KEYS_DIR).iterdir()]


def check_silent(text, tokens):
    for word in forbidden(tokens):
        found = text.lower().find(word)
        assert found < 0, f"a log says {text[max(0, found - 200) : found + 100]!r}"


@pytest.mark.django_db(transaction=True)
def test_a_journey_with_everything_going_wrong_leaves_no_trace(tmp_path):
    make_petition()
    web_log, worker_log, database_log = tmp_path / "web.log", tmp_path / "worker.log", postgres_log()
    log_begins = database_log.stat().st_size if database_log else 0
    tokens = []
    # As a deployment writes its logs.
    limits = {"BURST_PER_NETWORK": "60/m", "TRUSTED_PROXIES": "127.0.0.0/8", "LOG_FORMAT": "json"}
    with server.web(web_log, **limits) as port, MailServer() as mail_server:
        visitor = Visitor(port)
        mail_url = f"smtp://127.0.0.1:{mail_server.port}"

        # She signs twice, and her mails wait for a mail server that is away.
        assert visitor.sign() == 303
        assert visitor.sign() == 303
        mail_server.stop()
        with server.worker(worker_log, EMAIL_URL=mail_url, LOG_FORMAT="json"):
            server.wait_until(lambda: "is away" in worker_log.read_text())
        # One that refuses her for now, and quotes her; then her mails arrive.
        mail_server.start()
        mail_server.commands["RCPT"] = "450 4.2.1 <ADDRESS> is busy, please try again"
        with server.worker(worker_log, EMAIL_URL=mail_url, LOG_FORMAT="json"):
            server.wait_until(lambda: not OutgoingMail.objects.filter(attempts=0).exists())
        mail_server.commands.clear()
        OutgoingMail.objects.update(due_at=Signature.objects.first().created_at)
        with server.worker(worker_log, EMAIL_URL=mail_url, LOG_FORMAT="json"):
            server.wait_until(lambda: len(mail_server.received) == 2)
        for received in mail_server.received:
            tokens += re.findall(r"/confirm/([^/\s]+)/", received.message.get_body(("plain",)).get_content())
        assert len(set(tokens)) == 2

        # Links that are forged, expired, sent the wrong way, and pressed twice at once.
        assert visitor.send("GET", f"/en/confirm/{tokens[0]}x/") == 404
        assert visitor.send("POST", f"/en/confirm/{tokens[0]}/", b"--x", {"Content-Type": "multipart/form-data"}) == 400
        assert visitor.send("POST", f"/en/confirm/{tokens[0]}/", "a&" * 20_000) == 400
        assert visitor.send("DELETE", f"/en/confirm/{tokens[0]}/") == 405
        hours = Signature.objects.first().created_at
        tokens.append(make(hours.replace(year=2000)).token)
        assert visitor.send("GET", f"/en/confirm/{tokens[-1]}/") == 410
        code = links.code(Signature.objects.first())
        assert visitor.send("POST", "/en/petitions/chechnya/confirm-code/", {"code": code[:4]}) == 422
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(visitor.press, tokens[:2] * 4)) == {303}
        assert Signature.objects.counted().count() == 1

        # Forms and paths with her name in them.
        assert visitor.sign(email=f"{ADDRESS} ") in (303, 422)
        assert visitor.sign(email=f"{ADDRESS}@x") == 422
        assert visitor.sign(name=f"https://{NAME}") == 422
        assert visitor.send("GET", f"/en/{ADDRESS}/?email={ADDRESS}") == 404
        assert visitor.send("GET", f"/{NAME}?from={ADDRESS}") == 404
        assert visitor.send("POST", f"/en/about/{ADDRESS}", {"email": ADDRESS}) == 404
        assert visitor.send("GET", "/en/", headers={"Host": "zinaida.secret-mailbox.example"}) == 400
        assert (
            visitor.send("POST", "/en/petitions/chechnya/sign/", {"email": ADDRESS}, {"Origin": f"https://{ADDRESS}"})
            == 403
        )
        assert visitor.send("POST", "/admin/login/", {"username": ADDRESS, "password": WORDS}) == 403
        assert visitor.send("POST", "/en/petitions/chechnya/sign/", "x" * 200_000 + ADDRESS) == 413

        # A failure of ours whose text quotes her row, and a database that goes away.
        with names_refused():
            assert visitor.sign() == 500
        assert "IntegrityError" in web_log.read_text()
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE petition_signature RENAME TO elsewhere")
            try:
                assert visitor.sign() == 500
                assert visitor.press(tokens[0]) == 500
            finally:
                cursor.execute("ALTER TABLE elsewhere RENAME TO petition_signature")
            # Each within five seconds, so that none of them is still ending while it is asked.
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert visitor.sign() == 303

        # She withdraws, and the server does not want her any more.
        assert visitor.send("POST", "/en/petitions/chechnya/withdraw/", {"email": ADDRESS}) == 303
        mail_server.commands["DATA"] = "550 5.1.1 <ADDRESS> is unknown to us"
        with server.worker(worker_log, EMAIL_URL=mail_url, LOG_FORMAT="json"):
            server.wait_until(lambda: not OutgoingMail.objects.waiting().exists())
        assert OutgoingMail.objects.exclude(parked_at=None).exists()

        # Too often. On a slow machine a minute's limit may begin anew meanwhile; an hour's does not.
        assert any(visitor.sign(email="") == 429 for _ in range(301))

    tokens += [identity.email_digest(ADDRESS).hex(), code, code.replace("-", "")]
    web, worker = web_log.read_text(), worker_log.read_text()
    # They do tell an operator what happened.
    for said in ("500 POST petition:sign", "404 GET no route", "410 GET petition:confirm", "429 POST petition:sign"):
        assert said in web
    for said in ("is away", "450", "550"):
        assert said in worker
    assert all(json.loads(line)["said"] for line in worker.splitlines())
    check_silent(web, tokens)
    check_silent(worker, tokens)
    if database_log is None:
        pytest.skip("the rest holds, but the log of this PostgreSQL cannot be read from here")
    with database_log.open("rb") as file:
        file.seek(log_begins)
        database = file.read().decode(errors="replace")
    assert "one_confirmed_signature_per_address" in database or "provoked" in database
    assert "STATEMENT" not in database
    assert "DETAIL" not in database
    check_silent(database, [*tokens, quote(ADDRESS)])


# What rewrites the messages.


@pytest.fixture(params=["text", "json"])
def logged(request):
    """What our handler writes for a record: its text, or of its JSON what the text would say."""

    def write(name, message, *arguments, error=None, **extra):
        record = logging.getLogger(name).makeRecord(
            name,
            logging.ERROR,
            __file__,
            1,
            message,
            arguments,
            (type(error), error, error.__traceback__) if error else None,
        )
        vars(record).update(extra)
        assert Private().filter(record)
        if request.param == "text":
            return PrivateFormatter("{levelname} {name} {message}", style="{").format(record)
        (line,) = JsonFormatter().format(record).splitlines()
        told = json.loads(line)
        return "\n".join([f"{told['level']} {told['logger']} {told['said']}", *told.get("error", "").splitlines()])

    return write


def failure():
    """An error with a cause and a note, each of which quotes her."""
    try:
        try:
            int(ADDRESS)
        except ValueError as error:
            error.add_note(f"It was typed by {NAME}.")
            raise RuntimeError(f"{NAME} failed") from error
    except RuntimeError as error:
        return error


def test_a_failure_is_told_by_its_places_and_kinds(logged):
    said = logged("petition", "Something failed", error=failure())

    assert "ValueError at" in said
    assert "RuntimeError at" in said
    assert "test_logs.py" in said
    check_silent(said, [])


def test_a_request_is_told_by_its_route(logged, rf):
    request = rf.get(f"/en/confirm/{ADDRESS}/?email={ADDRESS}")

    said = logged("django.request", "Not Found: %s", request.path, request=request, status_code=404)

    assert re.fullmatch(r"ERROR django.request 404 GET no route( \([0-9a-f]{12}\))?", said)


def test_what_security_refuses_is_not_quoted(logged, rf):
    said = logged("django.security.DisallowedHost", "Invalid HTTP_HOST header: %r.", ADDRESS, error=failure())

    assert said == "ERROR django.security.DisallowedHost refused"
