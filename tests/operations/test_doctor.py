"""manage.py doctor: what is wrong with machine, database, proxies and mail, and what to do about it."""

import io
import re
import socket
import ssl
import threading
from collections import namedtuple
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dns.message
import dns.resolver
import dns.rrset
import pytest
import trustme
from django.core.management import call_command
from django.db import OperationalError
from django.test import RequestFactory, override_settings
from django.utils import timezone

from petition import clock
from petition.doctor import database, machine, mail, outside, proxies
from petition.doctor.findings import Level
from petition.models import Heartbeat
from tests.support import server
from tests.support.mail_server import MailServer

DAY = timedelta(days=1)
SENDER = "Petition <confirm@petition.example.org>"


def levels(findings):
    return {finding.subject: finding.level.value for finding in findings}


@pytest.fixture(autouse=True)
def _own_sender(settings):
    settings.DEFAULT_FROM_EMAIL = SENDER


# The command.


def doctor(*arguments):
    """Its lines, and with what it ended."""
    out = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as ended:
        return out.getvalue().splitlines(), ended.code
    return out.getvalue().splitlines(), 0


@pytest.fixture
def healthy(settings, monkeypatch):
    """A site that nothing is wrong with but what a test makes wrong."""
    settings.SITE_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(outside, "ask", lambda headers: {"network": proxies.RIGHT})
    monkeypatch.setattr(mail, "lookup", lambda name, kind: RECORDS.get((name, kind), []))
    settings.EMAIL_HOST = "mail.example.org"
    for part in Heartbeat.Part.WEB, "mail", "fold", "backup", "drill":
        Heartbeat.beat(part)


@pytest.mark.django_db
def test_each_line_has_a_level_and_what_is_not_well_says_what_to_do(petition, healthy):
    lines, code = doctor()

    *found, counted = lines
    assert code == 0, lines
    assert all(re.fullmatch(r"(ok   |warn |fail ) [^:]+: .+", line) for line in found)
    assert all((" -> " in line) != line.startswith("ok") for line in found)
    assert re.fullmatch(r"\d+ ok, \d+ warn, 0 fail", counted)
    for subject in ("clock", "disk of", "memory", "mail", "folder", "backup", "drill", "write-ahead log", "standbys"):
        assert any(line[6:].startswith(subject) for line in found), subject
    for subject in ("size", "forged X-Forwarded-For", "certificate", "SPF", "DMARC", "PTR", "MX", "connections that"):
        assert any(line[6:].startswith(subject) for line in found), subject


@pytest.mark.django_db
def test_it_ends_with_one_if_anything_fails(petition, healthy):
    Heartbeat.objects.filter(part="mail").update(beat_at=timezone.now() - timedelta(hours=1))

    lines, code = doctor()

    assert code == 1
    assert any(line.startswith("fail  mail: stopped -> Look at the workers") for line in lines)


def test_a_mail_server_that_refuses_us_is_no_matter_of_the_workers(monkeypatch):
    monkeypatch.setattr(database.health, "look", lambda: {"mail": "refused", "folder": "stopped"})

    mail_, folder = database.parts()

    assert "journalctl --unit 'petition-worker@*'" in mail_.advice
    assert "systemctl status" not in mail_.advice
    assert "systemctl status" in folder.advice


@pytest.mark.django_db
def test_without_a_database_it_says_so_and_judges_the_rest(healthy, monkeypatch):
    def away():
        raise OperationalError('connection to "db.example.org" failed: password=hunter2')

    monkeypatch.setattr(clock, "seconds_ahead", away)

    lines, code = doctor()

    assert code == 1
    assert any(line.startswith("fail  database: away (OperationalError)") for line in lines)
    assert any("SPF" in line for line in lines)
    assert "hunter2" not in "".join(lines)


@pytest.mark.django_db
def test_before_the_tables_are_there_it_says_that_alone_of_the_database(healthy, monkeypatch):
    monkeypatch.setattr(database.health, "is_migrated", lambda: False)

    assert levels(database.examine()) == {"database": "ok", "migrations": "fail"}


# This machine.


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.2, "ok"), (-0.2, "ok"), (8, "warn"), (-8, "warn"), (61, "fail"), (-3_600, "fail")]
)
def test_the_clock(monkeypatch, ahead, level):
    monkeypatch.setattr(clock, "seconds_ahead", lambda: ahead)

    assert machine.of_the_clock().level == level


@pytest.mark.django_db
@pytest.mark.parametrize(("free", "level"), [(20, "ok"), (14, "warn"), (4, "fail")])
def test_disks(monkeypatch, free, level):
    usage = namedtuple("Usage", "total free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage(100e9, free * 1e9))

    assert set(levels(machine.disks()).values()) == {level}


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The files of a kernel, as a test writes them."""
    monkeypatch.setattr(machine, "PROC", tmp_path)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("name", "text", "subject", "level"),
    [
        ("sys/net/core/somaxconn", "4096\n", "connections that wait", "ok"),
        ("sys/net/core/somaxconn", "128\n", "connections that wait", "warn"),
        ("sys/vm/overcommit_memory", "0\n", "memory overcommit", "ok"),
        ("sys/vm/overcommit_memory", "1\n", "memory overcommit", "warn"),
        ("meminfo", "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n", "memory", "ok"),
        ("meminfo", "MemTotal: 4000000 kB\nMemAvailable: 300000 kB\n", "memory", "warn"),
    ],
)
def test_what_the_kernel_allows(kernel, name, text, subject, level):
    kernel(name, text)

    assert levels([*machine.memory(), *machine.kernel()]) == {subject: level}


def test_redis_wants_the_overcommit_that_postgresql_does_not(kernel, settings):
    kernel("sys/vm/overcommit_memory", "1\n")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}

    assert levels(machine.memory()) == {"memory overcommit": "ok"}


@pytest.mark.parametrize(("limit", "level"), [(1_024, "warn"), (16_384, "ok")])
def test_open_files_of_the_servers_that_run(kernel, limit, level):
    for number, (name, files) in enumerate([("nginx", 20_000), ("nginx", limit), ("bash", 10)]):
        kernel(f"{number}/comm", f"{name}\n")
        kernel(f"{number}/limits", f"Max open files            {files}                {files}                files\n")

    assert levels(machine.kernel()) == {"open files": level}


# The database.


@pytest.mark.django_db
@pytest.mark.parametrize(("part", "age", "level"), [("backup", DAY, "ok"), ("backup", 3 * DAY, "fail")])
def test_the_age_of_backups(settings, part, age, level):
    settings.LOCAL = False
    Heartbeat.beat(part)
    Heartbeat.objects.update(beat_at=timezone.now() - age)

    assert levels(database.backups()) == {"backup": level, "drill of a restore": "fail"}


@pytest.mark.django_db
def test_a_drill_that_failed_is_said(settings):
    settings.LOCAL = False
    Heartbeat.beat("drill")
    Heartbeat.beat("no drill")

    drill = list(database.backups())[1]

    assert (drill.level, drill.said) == (Level.FAIL, "0 hours ago, and the last try failed")


@pytest.mark.django_db
def test_a_slot_that_nobody_reads_is_a_fault(monkeypatch):
    monkeypatch.setattr(database, "SLOT_BYTES", -1)
    answers = iter([(True,), (3_000_000_000,), (1,), (True, True)])
    monkeypatch.setattr(database, "_row", lambda sql, values=None: next(answers))

    assert levels(database.write_ahead_log()) == {
        "write-ahead log": "warn",
        "replication slots": "fail",
        "archive of the log": "fail",
    }


# From outside.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@contextmanager
def https(authority, days, name="localhost"):
    """A server with a certificate that ends then."""
    certificate = authority.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days, minutes=5))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            try:
                while True:
                    with context.wrap_socket(listening.accept()[0], server_side=True) as tls:
                        tls.recv(1)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}"


@pytest.fixture
def _trusted(authority, tmp_path, monkeypatch):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(("days", "level"), [(60, "ok"), (19, "warn"), (2, "fail")])
def test_the_end_of_the_certificate(authority, settings, days, level):
    with https(authority, days) as settings.SITE_URL:
        (finding,) = outside.certificate()

    assert (finding.level, finding.said) == (level, f"good for {days} days more")


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_for_another_name_is_a_fault(authority, settings):
    with https(authority, 60, name="other.example.org") as settings.SITE_URL:
        (finding,) = outside.certificate()

    assert finding.level == "fail"
    assert "no browser takes it" in finding.said


def test_a_site_that_does_not_answer_is_a_fault(settings):
    settings.SITE_URL = f"https://127.0.0.1:{server.free_port()}"

    assert levels(outside.certificate()) == {"certificate": "fail"}
    assert outside.forged("X-Forwarded-For", "").said == "SITE_URL does not answer (ConnectionRefusedError)"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("trusted", "level"), [("", "ok"), ("127.0.0.1/32", "fail")])
def test_a_real_server_is_asked_whether_it_believes_a_forged_address(petition, settings, tmp_path, trusted, level):
    """Whoever reaches it directly is the proxy, if TRUSTED_PROXIES says so."""
    with server.web(tmp_path / "log", TRUSTED_PROXIES=trusted) as port:
        settings.SITE_URL = f"http://127.0.0.1:{port}"

        assert outside.forged("X-Forwarded-For", "").level == level


def test_only_who_has_the_key_of_the_site_is_answered():
    factory = RequestFactory(headers={"X-Forwarded-For": proxies.FORGED})
    with override_settings(SECRET_KEY="another key, of fifty characters and more, for the tests"):
        strangers = proxies.question()

    assert proxies.answer(factory.get("/healthz")) == {}
    assert proxies.answer(factory.get("/healthz", headers=strangers)) == {}
    assert proxies.answer(factory.get("/healthz", headers=proxies.question())) == {"network": "right"}


def test_a_question_can_be_asked_for_a_minute_only(time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    asked = proxies.question()
    request = RequestFactory().get("/healthz", headers=asked)
    assert proxies.answer(request)

    time_machine.shift(61)

    assert not proxies.answer(request)


@pytest.mark.parametrize(
    ("peer", "trusted", "forwarded", "network"),
    [
        ("", ["unix"], "198.51.100.7", "right"),
        ("", ["unix"], f"{proxies.FORGED}, 198.51.100.7", "right"),
        ("", ["unix"], proxies.FORGED, "forged"),
        ("", [], "198.51.100.7", "shared"),
        ("172.17.0.1", [], "198.51.100.7", "shared"),
        ("172.17.0.1", ["172.17.0.0/16"], "198.51.100.7", "right"),
    ],
)
def test_what_the_site_takes_the_asker_for(settings, peer, trusted, forwarded, network):
    settings.LOCAL, settings.TRUSTED_PROXIES = False, trusted
    headers = {"X-Forwarded-For": forwarded, **proxies.question()}

    assert proxies.answer(RequestFactory(REMOTE_ADDR=peer).get("/healthz", headers=headers)) == {"network": network}


# Mail.

RECORDS = {
    ("petition.example.org", "MX"): ["10 mail.example.org."],
    ("petition.example.org", "TXT"): ['"v=spf1 include:_spf." "example.org -all"', '"something else"'],
    ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject"'],
    ("mail.example.org", "A"): ["192.0.2.25"],
    ("25.2.0.192.in-addr.arpa", "PTR"): ["mail.example.org."],
}


@contextmanager
def dns_server(records):
    """A name server on loopback that knows these names and no others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))

        def serve():
            try:
                while True:
                    wire, asker = listening.recvfrom(4_096)
                    query = dns.message.from_wire(wire)
                    answer = dns.message.make_response(query)
                    question = query.question[0]
                    name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
                    if found := records.get((name, kind)):
                        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
                    elif not any(name == known for known, _kind in records):
                        answer.set_rcode(dns.rcode.NXDOMAIN)
                    listening.sendto(answer.to_wire(), asker)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def test_a_trial_without_a_mail_server_asks_nobody(settings, monkeypatch):
    settings.EMAIL_HOST = ""
    monkeypatch.setattr(mail, "lookup", lambda name, kind: pytest.fail("It asked."))

    assert levels(mail.examine()) == {"mail in DNS": "ok"}


@pytest.fixture
def in_dns(monkeypatch, settings):
    settings.EMAIL_HOST = "mail.example.org"

    @contextmanager
    def serve(**changes):
        with dns_server({**RECORDS, **changes.get("records", {})}) as port:
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port = ["127.0.0.1"], port
            monkeypatch.setattr(mail, "resolver", lambda: resolver)
            yield

    return serve


def test_records_of_the_sender_that_are_right(in_dns):
    with in_dns():
        assert levels(mail.examine()) == {
            "MX of the sender": "ok",
            "SPF in DNS": "ok",
            "DMARC in DNS": "ok",
            "PTR of the mail server, IPv4": "ok",
        }


@pytest.mark.parametrize(
    ("name", "kind", "records", "subject", "level"),
    [
        ("petition.example.org", "MX", [], "MX of the sender", "warn"),
        ("petition.example.org", "TXT", ['"something else"'], "SPF in DNS", "fail"),
        ("petition.example.org", "TXT", ['"v=spf1 -all"', '"v=spf1 mx -all"'], "SPF in DNS", "fail"),
        ("petition.example.org", "TXT", ['"v=spf1 +all"'], "SPF in DNS", "fail"),
        ("_dmarc.example.org", "TXT", [], "DMARC in DNS", "fail"),
        ("_dmarc.petition.example.org", "TXT", ['"v=DMARC1; p=none"'], "DMARC in DNS", "warn"),
        ("25.2.0.192.in-addr.arpa", "PTR", [], "PTR of the mail server, IPv4", "warn"),
        ("25.2.0.192.in-addr.arpa", "PTR", ["host-25.example.net."], "PTR of the mail server, IPv4", "warn"),
        ("mail.example.org", "A", [], "PTR of the mail server", "fail"),
    ],
)
def test_records_of_the_sender_that_are_wrong(in_dns, name, kind, records, subject, level):
    with in_dns(records={(name, kind): records}):
        assert levels(mail.examine())[subject] == level


def test_without_a_network_it_says_that_nothing_is_known(monkeypatch, settings):
    settings.EMAIL_HOST = "mail.example.org"
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.free_port()
    monkeypatch.setattr(mail, "resolver", lambda: resolver)
    monkeypatch.setattr(mail, "DNS_SECONDS", 0.3)

    (finding,) = mail.examine()

    assert (finding.level, finding.subject) == (Level.WARN, "mail in DNS")


RECEIVED = """\
Delivered-To: anna@example.net
Authentication-Results: mx.example.net (spf=fail in a comment);
       dkim=pass header.i=@petition.example.org header.s=s1 header.b="abc";
       spf=pass (example.net: domain of bounce@petition.example.org designates 192.0.2.25 as permitted sender)
       smtp.mailfrom=bounce@petition.example.org;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=petition.example.org
Authentication-Results: forged.example.com; dkim=fail; spf=fail; dmarc=fail
From: Petition <confirm@petition.example.org>
To: anna@example.net
Subject: Test
"""


def test_a_test_mail_that_passed():
    assert levels(mail.judge(RECEIVED)) == {f"{name} of the test mail": "ok" for name in ("SPF", "DKIM", "DMARC")}


@pytest.mark.parametrize(
    ("before", "after", "method", "level"),
    [
        ("dkim=pass", "dkim=none", "DKIM", "fail"),
        ('       dkim=pass header.i=@petition.example.org header.s=s1 header.b="abc";\n', "", "DKIM", "fail"),
        ("header.i=@petition.example.org", "header.i=@provider.example.com", "DKIM", "warn"),
        ("       spf=pass", "       spf=softfail", "SPF", "fail"),
        ("smtp.mailfrom=bounce@petition.example.org", "smtp.mailfrom=bounce@provider.example.com", "SPF", "warn"),
        ("smtp.mailfrom=bounce@petition.example.org", "smtp.mailfrom=example.org", "SPF", "ok"),
        ("dmarc=pass", "dmarc=fail", "DMARC", "fail"),
        # Another domain that ends alike is another domain.
        ("header.i=@petition.example.org", "header.i=@evil-petition.example.org.example.com", "DKIM", "warn"),
    ],
)
def test_a_test_mail_that_did_not(before, after, method, level):
    assert before in RECEIVED

    assert levels(mail.judge(RECEIVED.replace(before, after, 1)))[f"{method} of the test mail"] == level


def test_what_is_pasted_is_judged_by_the_command_which_repeats_nobody(tmp_path):
    file = tmp_path / "source"
    file.write_text(RECEIVED.replace("dmarc=pass", "dmarc=fail"))

    lines, code = doctor("--headers", str(file))

    assert code == 1
    assert lines[-1] == "2 ok, 0 warn, 1 fail"
    assert "anna" not in "".join(lines)


def test_a_source_without_results_says_so():
    (finding,) = mail.judge("Subject: Test\n\nText")

    assert finding.level == Level.FAIL


def test_a_test_mail_names_nothing_and_is_sent(settings):
    with MailServer() as smtp:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp.port

        lines, code = doctor("--mail", "anna@example.net")

        (received,) = smtp.received
    assert code == 0
    assert received.recipient == "anna@example.net"
    assert "petition" not in received.message.get_content().lower()
    assert "anna" not in "".join(lines)


def test_a_mail_server_that_refuses_is_said_without_its_words(settings, monkeypatch):
    with MailServer() as smtp:
        smtp.commands["MAIL"] = "550 5.7.1 who is anna@example.net"
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp.port

        lines, code = doctor("--mail", "anna@example.net")

    assert code == 1
    assert lines[0].startswith("fail  test mail: not taken: SMTPSenderRefused 550 -> ")
    assert "anna" not in "".join(lines)
