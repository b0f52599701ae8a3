"""Notices that work waits: no content, at most one an hour, by a real mail server and a real web server."""

import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from petition import live_settings, notifications
from petition.models import Notice, StaffAction, Switches
from petition.models.signature import this_hour
from tests.support import links, server
from tests.support.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


class Webhook(ThreadingHTTPServer):
    """Keeps what it was sent, and answers with `status`; `drips` sends a byte of the answer now and then."""

    status, location, drips = 200, "", False

    def __init__(self):
        self.received = []
        super().__init__(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self.server_port}/hooks/secret"


class Hook(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
        while self.server.drips:
            self.wfile.write(b"H")
            time.sleep(0.05)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    do_GET = do_POST  # noqa: N815  (so it is called)

    def log_message(self, *arguments):
        pass


@contextmanager
def listening():
    with Webhook() as webhook:
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        yield webhook
        webhook.drips = False
        webhook.shutdown()


@pytest.fixture
def webhook(settings):
    with listening() as webhook:
        settings.NOTIFY_URL = webhook.url
        yield webhook


@pytest.fixture
def mailbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.NOTIFY_EMAIL = "127.0.0.1", "staff@example.org"
    with MailServer() as mail_server:
        settings.EMAIL_PORT = mail_server.port
        yield mail_server


@pytest.fixture
def held(make_signature):
    """Two held signatures, the first for two hours."""
    for hours in (2, 1):
        make_signature(confirmed=True, held_at=this_hour() - timedelta(hours=hours))


def after(**time):
    """So much later: what was noted lies further back."""
    notice = Notice.objects.get()
    for name in ("looked_at", "sent_at", "anomalies_at"):
        if noted := getattr(notice, name):
            setattr(notice, name, noted - timedelta(**time))
    notice.save()


def set_limits(**values):
    Switches.objects.update_or_create(id=1, defaults=values)
    live_settings._state = None


def test_a_notice_goes_to_the_mailbox_and_the_webhook_and_says_how_much_waits_and_nothing_else(
    mailbox, webhook, held, make_signature
):
    make_signature(name="Anna", words="Be strong", confirmed=True)
    set_limits(notify_count=2)

    assert notifications.look() is True

    (mail,) = mailbox.received
    assert mail.recipient == "staff@example.org"
    text = mail.message.get_content().strip()
    assert text.startswith("2 kinds of work wait, the oldest for 2 hours") or "3 hours" in text
    assert mail.message["Subject"] == "Work waits"
    assert webhook.received == [("/hooks/secret", "application/json", {"text": text})]


@pytest.mark.parametrize(
    ("limits", "is_sent"),
    [
        ({"notify_count": 2, "notify_hours": 1000}, True),
        ({"notify_count": 3, "notify_hours": 1000}, False),
        ({"notify_count": 1000, "notify_hours": 2}, True),
        ({"notify_count": 1000, "notify_hours": 4}, False),
    ],
)
def test_administrators_say_from_how_much_on_and_how_old(mailbox, held, limits, is_sent):
    set_limits(**limits)

    assert notifications.look() is is_sent
    assert len(mailbox.received) == is_sent


def test_the_environment_says_so_until_they_do(settings, mailbox, held):
    settings.NOTIFY_COUNT, settings.NOTIFY_HOURS = "3", "1000"
    assert notifications.look() is False

    settings.NOTIFY_COUNT = "2"
    after(minutes=1)
    assert notifications.look() is True


def test_drafts_rest_without_a_notice(mailbox, petition):
    call_command("load_campaign", verbosity=0)
    set_limits(notify_count=1, notify_hours=1)

    assert notifications.look() is False


def test_there_is_one_notice_an_hour_of_all_workers(mailbox, held):
    set_limits(notify_count=1)

    def look(_number):
        try:
            return notifications.look()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(look, range(16))) == 1

    after(minutes=59)
    assert notifications.look() is False
    after(minutes=1)
    assert notifications.look() is True
    assert len(mailbox.received) == 2


def test_the_clock_of_the_machine_does_not_matter(mailbox, held, monkeypatch):
    set_limits(notify_count=1)
    notifications.look()
    later = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: later)

    assert notifications.look() is False


def test_without_a_destination_nobody_is_told_and_the_start_page_says_so(client, make_staff, held):
    set_limits(notify_count=1)
    client.force_login(make_staff("administrator"))

    assert notifications.look() is False
    assert "Nobody is told." in client.get(reverse("admin:index")).content.decode()


def start_page(client, make_staff):
    client.force_login(make_staff("administrator"))
    return client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_the_webhook_refuses_is_told_and_not_tried_again_for_an_hour(
    webhook, mailbox, held, status, client, make_staff
):
    set_limits(notify_count=1)
    with listening() as elsewhere:
        webhook.status, webhook.location = status, elsewhere.url

        assert notifications.look() is True

        after(minutes=30)
        assert notifications.look() is False
        # A redirect is not followed.
        assert (len(webhook.received), elsewhere.received) == (1, [])
    assert len(mailbox.received) == 1
    assert f"It did not arrive: webhook: {status}" in start_page(client, make_staff)

    webhook.status = 204
    after(minutes=30)
    assert notifications.look() is True
    assert "It did not arrive" not in start_page(client, make_staff)


def test_a_server_that_is_away_is_told_without_its_address(settings, held, caplog, client, make_staff):
    set_limits(notify_count=1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.NOTIFY_URL = f"http://127.0.0.1:{closed.getsockname()[1]}/hooks/secret"
        assert notifications.look() is True

    assert "webhook: ConnectionRefusedError" in start_page(client, make_staff)
    assert "secret" not in caplog.text + repr(Notice.objects.values())


def test_a_refused_mail_is_told_without_the_address(mailbox, held, caplog, client, make_staff):
    set_limits(notify_count=1)
    mailbox.commands["RCPT"] = "550 5.1.1 ADDRESS is unknown"

    assert notifications.look() is True

    assert "mail: SMTPRecipientsRefused" in start_page(client, make_staff)
    assert "staff@" not in caplog.text + repr(Notice.objects.values())


@pytest.mark.parametrize("fault", ["drips", "silent"])
def test_a_webhook_that_never_ends_is_given_up(settings, webhook, held, monkeypatch, fault):
    monkeypatch.setattr(notifications, "WEBHOOK_SECONDS", 0.3)
    set_limits(notify_count=1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        if fault == "silent":
            settings.NOTIFY_URL = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        else:
            webhook.drips = True

        assert notifications.look() is True

    assert Notice.objects.get().failed.startswith("webhook: ")


def test_a_certificate_that_nobody_vouches_for_is_refused(settings, held, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    set_limits(notify_count=1)
    with listening() as webhook:
        webhook.socket = context.wrap_socket(webhook.socket, server_side=True)
        settings.NOTIFY_URL = webhook.url.replace("http:", "https:")

        assert notifications.look() is True

    assert (Notice.objects.get().failed, webhook.received) == ("webhook: SSLCertVerificationError", [])


def test_a_worker_sends_mail_while_its_notice_hangs(tmp_path, petition, held, make_signature):
    """A real worker: the webhook takes the connection and says nothing, and the mail goes out meanwhile."""
    set_limits(notify_count=1)
    with MailServer() as mail_server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        variables = {
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_server.port}",
            "NOTIFY_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        }
        with server.worker(tmp_path / "worker.log", **variables):
            caught, _address = silent.accept()
            with caught:
                text = b'{"text": "1 kind of work waits'
                server.wait_until(lambda: text in caught.recv(65_536, socket.MSG_PEEK))
                links.owe_mail(petition, "anna@example.org")
                server.wait_until(lambda: "anna@example.org" in mail_server.recipients())
                caught.setblocking(False)
                with pytest.raises(BlockingIOError):  # it still waits for the webhook
                    list(iter(lambda: caught.recv(65_536), b""))
        assert Notice.objects.get().goes_to == "webhook"


def test_a_dead_thread_of_notices_is_begun_again(monkeypatch, caplog):
    lookout, looks = notifications.Lookout(), []
    monkeypatch.setattr(notifications, "look", lambda: looks.append(1) or 1 / 0)

    for _ in range(2):
        lookout.go_on()
        lookout.thread.join()

    assert len(looks) == 2
    assert "Looking what waits for staff has failed" in caplog.text


def test_thresholds_are_set_in_the_admin_with_a_reason(client, make_staff):
    client.force_login(make_staff("administrator"))
    url = reverse("admin:petition_switches_change", args=[1])

    assert client.post(url, {"notify_count": "0", "reason": "x"}).status_code == 200
    client.post(url, {"notify_count": "20", "notify_hours": "3", "reason": "More hands"})

    assert StaffAction.objects.get().detail == "notify_count: – → 20, notify_hours: – → 3"
    live_settings._state = None
    assert (live_settings.number("NOTIFY_COUNT"), live_settings.number("NOTIFY_HOURS")) == (20, 3)
