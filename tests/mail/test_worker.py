"""Real worker processes: several at once, killed, stopped, without a mail server, without a database."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import psycopg2
import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from petition.counts import tally
from petition.mail import claims, keys
from petition.mail.keys import Keyring
from petition.models import OutboxKey, OutgoingMail, Signature, TallyChange
from petition.models.mail import CLAIM_SECONDS
from tests.support import links
from tests.support import server as processes
from tests.support.mail_server import DROP, HANG, MailServer
from tests.support.server import PROJECT

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = processes.PATIENCE_SECONDS


@pytest.fixture
def server():
    with MailServer() as server:
        yield server


@pytest.fixture
def log(tmp_path):
    return tmp_path / "worker.log"


def wait_until(condition):
    return processes.wait_until(condition, PATIENCE_SECONDS)


def addresses(number):
    return [f"person{i}@example.org" for i in range(number)]


def email_url(server):
    return f"smtp://127.0.0.1:{server.port}"


def worker(server, log):
    return processes.worker(log, EMAIL_URL=email_url(server))


def drain(server):
    """What a worker with --once says; it must end well."""
    done = subprocess.run(
        [sys.executable, "manage.py", "worker", "--once"],
        cwd=PROJECT,
        env=processes.environment(**processes.worker_keys(), EMAIL_URL=email_url(server)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def claims_end():
    OutgoingMail.objects.update(due_at=timezone.now())


def all_sent():
    return not OutgoingMail.objects.exists()


def kill(process):
    process.kill()
    process.wait()


# Several.


def test_workers_side_by_side_send_each_mail_once(sign, server, log):
    everybody = addresses(400)
    sign(*everybody)
    with worker(server, log), worker(server, log), worker(server, log):
        wait_until(all_sent)

    assert Counter(server.recipients()) == Counter(everybody)
    assert "Traceback" not in log.read_text()


def test_threads_that_claim_at_once_share_without_overlap(sign):
    sign(*addresses(120))
    claimed, start = [], threading.Barrier(6)

    def claim():
        start.wait()
        try:
            while mails := claims.claim(Keyring(), limit=7):
                claimed.extend(mail.pk for mail in mails)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(OutgoingMail.objects.values_list("pk", flat=True))


def test_mail_goes_out_while_people_sign(sign, server, log):
    with worker(server, log):
        for address in addresses(20):
            sign(address)
        wait_until(all_sent)

    assert Counter(server.recipients()) == Counter(addresses(20))


def test_workers_of_two_machines_send_what_was_sealed_to_each(sign, server, tmp_path):
    """Each has a directory of its own, and the web seals to whichever key is newest."""
    everybody = addresses(40)
    with ExitStack() as stack:
        for name in ("first", "second"):
            ring = Keyring(tmp_path / name)
            ring.rotate()
            keys._newest = None
            sign(*everybody[:20] if name == "first" else everybody[20:])
            stack.enter_context(
                processes.worker(
                    tmp_path / f"{name}.log", EMAIL_URL=email_url(server), OUTBOX_KEYS_DIR=str(ring.directory)
                )
            )
        wait_until(all_sent)

    assert Counter(server.recipients()) == Counter(everybody)


def test_a_worker_that_starts_anew_opens_what_was_sealed_before(sign, server, log):
    """Its directory outlives it, though not the machine."""
    sign("anna@example.org")
    server.stop()
    with worker(server, log) as first:
        wait_until(lambda: "The mail server is away" in log.read_text())
        kill(first)
    server.start()
    claims_end()

    drain(server)
    assert server.recipients() == ["anna@example.org"]


def test_a_worker_whose_directory_is_lost_says_how_many_mails_are_lost_and_goes_on(sign, server, log, tmp_path):
    lost = Keyring(tmp_path / "lost")
    lost.rotate()
    keys._newest = None
    sign(*addresses(3))
    OutboxKey.objects.filter(pk__in=lost.ids()).update(
        seen_at=timezone.now() - timedelta(hours=keys.LOST_HOURS, minutes=1)
    )
    keys._newest = None
    sign("anna@example.org")
    with worker(server, log):
        wait_until(lambda: not OutgoingMail.objects.waiting().exists())

    assert server.recipients() == ["anna@example.org"]
    assert "3 mails cannot be sent" in log.read_text()
    assert {bytes(mail.recipient) for mail in OutgoingMail.objects.with_lost_key()} == {b""}


# Withdrawn meanwhile.


def test_who_withdraws_while_her_mail_is_under_way_gets_one_mail_at_most_and_leaves_nothing(sign, server, log):
    everybody = addresses(60)
    signed = {}
    for address in everybody:
        sign(address)
        signed[address] = Signature.objects.exclude(pk__in=[row.pk for row in signed.values()]).get()
    gone = everybody[::3]

    def withdraw(recipient):
        if recipient in gone:
            with psycopg2.connect(processes.database_url()) as other, other.cursor() as cursor:
                cursor.execute("DELETE FROM petition_signature WHERE id = %s", [signed[recipient].pk])

    server.on_data = withdraw
    with worker(server, log):
        wait_until(all_sent)

    assert Counter(server.recipients()) == Counter(everybody)
    assert set(Signature.objects.all()) == {signed[address] for address in set(everybody) - set(gone)}
    assert "Traceback" not in log.read_text()


# Without counters.


def test_without_counters_the_mail_waits_and_all_else_goes_on(sign, server, log):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE petition_cache RENAME TO petition_cache_gone")
    try:
        sign("anna@example.org")
        assert "counters of limits cannot be reached" in drain(server)
        with worker(server, log) as process:
            wait_until(lambda: "counters of limits" in log.read_text())
            Signature.objects.update(confirmed_at=F("created_at"))
            assert TallyChange.objects.exists()
            wait_until(lambda: not TallyChange.objects.exists())
            assert process.poll() is None
            assert not server.received
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE petition_cache_gone RENAME TO petition_cache")
            wait_until(all_sent)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE IF EXISTS petition_cache_gone RENAME TO petition_cache")

    assert server.recipients() == ["anna@example.org"]
    assert "Traceback" not in log.read_text()


# Killed.


def test_a_worker_killed_at_the_250_repeats_that_mail_and_loses_none(sign, server, log):
    everybody = addresses(6)
    sign(*everybody)
    with worker(server, log) as first:
        # The server has taken the third mail; its 250 finds nobody.
        server.on_data = lambda recipient: kill(first) if len(server.received) == 3 else None
        first.wait(PATIENCE_SECONDS)
        wait_until(lambda: len(server.received) == 3)
    third = server.recipients()[2]
    assert OutgoingMail.objects.count() == 4

    # They are claimed by the dead worker, for CLAIM_SECONDS at most.
    assert claims.claim(Keyring()) == []
    assert OutgoingMail.objects.filter(due_at__gt=timezone.now() + timedelta(seconds=CLAIM_SECONDS)).count() == 0
    claims_end()
    server.on_data = lambda recipient: None
    drain(server)

    assert all_sent()
    assert Counter(server.recipients()) == Counter([*everybody, third])
    repeated = [received.message for received in server.received if received.recipient == third]
    assert repeated[0]["Message-ID"] == repeated[1]["Message-ID"]


def test_a_worker_killed_between_the_250_and_the_delete_repeats_that_mail_and_loses_none(sign, server, log):
    everybody = addresses(6)
    sign(*everybody)
    at_third, locked = threading.Event(), threading.Event()

    def wait_at_the_third(recipient):
        if len(server.received) == 3:
            at_third.set()
            assert locked.wait(PATIENCE_SECONDS)

    server.on_data = wait_at_the_third
    with worker(server, log) as first, other_connection() as locking:
        assert at_third.wait(PATIENCE_SECONDS)
        locking.execute("LOCK TABLE petition_outgoingmail IN SHARE MODE")
        locked.set()
        backend = wait_until(lambda: waiting_to("DELETE"))
        # The worker has read its 250 and stands before the delete.
        assert len(server.received) == 3
        kill(first)
        with connection.cursor() as cursor:
            # PostgreSQL would carry out what a dead client asked for.
            cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
        wait_until(lambda: not waiting_to("DELETE"))
        locking.execute("ROLLBACK")
    assert OutgoingMail.objects.count() == 4

    claims_end()
    drain(server)

    assert all_sent()
    assert Counter(server.recipients()) == Counter([*everybody, server.recipients()[2]])


CONNECTIONS = 4


@pytest.mark.parametrize("number", [1, CONNECTIONS])
def test_a_worker_killed_before_any_delete_repeats_one_mail_for_each_connection(sign, server, log, number):
    """The worst moment: every connection has had its 250, and none is known to the database."""
    everybody = addresses(80)
    sign(*everybody)
    at_twentieth, locked = threading.Event(), threading.Event()

    def wait_at_the_twentieth(recipient):
        if len(server.received) >= 20:
            at_twentieth.set()
            assert locked.wait(PATIENCE_SECONDS)

    server.on_data = wait_at_the_twentieth
    options = {"EMAIL_URL": email_url(server), "MAIL_CONNECTIONS": str(number)}
    with processes.worker(log, **options) as first, other_connection() as locking:
        assert at_twentieth.wait(PATIENCE_SECONDS)
        locking.execute("LOCK TABLE petition_outgoingmail IN SHARE MODE")
        deleted = len(everybody) - OutgoingMail.objects.count()
        locked.set()
        backend = wait_until(lambda: waiting_to("DELETE"))
        wait_until(lambda: len(server.received) == deleted + number)
        with pytest.raises(AssertionError, match="did not happen"):
            processes.wait_until(lambda: len(server.received) > deleted + number, seconds=1)
        kill(first)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
        wait_until(lambda: not waiting_to("DELETE"))
        locking.execute("ROLLBACK")

    assert OutgoingMail.objects.count() == len(everybody) - deleted
    assert not OutgoingMail.objects.exclude(attempts=0).exists()
    sent_before = Counter(server.recipients())
    assert set(sent_before.values()) == {1}
    claims_end()
    drain(server)

    assert all_sent()
    twice = Counter(server.recipients()) - Counter(everybody)
    assert set(server.recipients()) == set(everybody)
    assert sum(twice.values()) == number
    assert set(twice.values()) == {1}


def test_workers_killed_in_the_middle_of_their_batches_lose_nothing(sign, server, log):
    """Five are killed one after another; each repeats at most one mail for each connection."""
    everybody = addresses(5 * claims.BATCH)
    sign(*everybody)
    killed = 0
    for enough in (30, 70, 130, 190, 260):
        with worker(server, log) as victim:
            wait_until(lambda enough=enough: len(server.received) >= enough)
            kill(victim)
            killed += 1
        # A statement that was under way when its client died may still be carried out.
        wait_until(lambda: not at_work())
        assert not OutgoingMail.objects.exclude(attempts=0).exists()
        assert set(everybody) - set(server.recipients()) <= waiting_recipients()
        claims_end()
    with worker(server, log), worker(server, log):
        wait_until(all_sent)

    counts = Counter(server.recipients())
    assert set(counts) == set(everybody)
    assert sum(counts.values()) - len(everybody) <= killed * CONNECTIONS
    assert Signature.objects.count() == len(everybody)
    for recipient in counts:
        names = {received.message["Message-ID"] for received in server.received if received.recipient == recipient}
        assert len(names) == 1


def test_mails_of_a_killed_and_of_a_stopped_worker_go_out_within_45_seconds_and_not_again_when_that_wakes_up(
    sign, server, log
):
    everybody = addresses(claims.BATCH + 20)
    sign(*everybody)
    # So slowly that the first one cannot do it alone.
    server.on_data = lambda recipient: time.sleep(0.3)
    with worker(server, log) as victim, worker(server, log) as sleeper:
        with worker(server, log):
            wait_until(lambda: not OutgoingMail.objects.filter(due_at__lte=timezone.now()).exists())
            sleeper.send_signal(signal.SIGSTOP)
            kill(victim)
            server.on_data = lambda recipient: None
            since = time.monotonic()
            wait_until(all_sent)
            assert time.monotonic() - since < 45
            sent = len(server.received)
            sleeper.send_signal(signal.SIGCONT)
            sign("anna@example.org")
            wait_until(lambda: all_sent() and "anna@example.org" in server.recipients())
        sign("boris@example.org")
        # The one that has slept is as good as before.
        wait_until(lambda: "boris@example.org" in server.recipients())

    assert len(server.received) == sent + 2
    counts = Counter(server.recipients())
    assert set(counts) == {*everybody, "anna@example.org", "boris@example.org"}
    # Each had sent one mail over each connection without the database knowing.
    assert sum(counts.values()) - len(counts) <= 2 * CONNECTIONS


def test_one_worker_killed_beside_another_costs_the_other_nothing(sign, server, log):
    everybody = addresses(4 * claims.BATCH)
    sign(*everybody)
    with worker(server, log) as victim, worker(server, log):
        wait_until(lambda: len(server.received) >= 60)
        kill(victim)
        # What the dead one claimed waits; the other sends the rest.
        wait_until(lambda: OutgoingMail.objects.count() == left() <= claims.BATCH)
        claims_end()
        wait_until(all_sent)

    counts = Counter(server.recipients())
    assert set(counts) == set(everybody)
    assert sum(counts.values()) - len(everybody) <= CONNECTIONS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_stopped_in_a_large_batch_gives_the_rest_back_and_repeats_none(sign, server, log, number):
    everybody = addresses(claims.BATCH)
    sign(*everybody)
    with worker(server, log) as first:
        # Once, though the twentieth may come together with the next ones.
        signals = iter([number])

        def stop(recipient):
            if len(server.received) >= 20:
                for number in signals:
                    first.send_signal(number)

        server.on_data = stop
        assert first.wait(PATIENCE_SECONDS) == 0

    assert len(server.received) < 20 + 2 * CONNECTIONS
    # No claim to wait for: the others are due at once.
    assert OutgoingMail.objects.filter(due_at__lte=timezone.now()).count() == len(everybody) - len(server.received)
    drain(server)
    assert Counter(server.recipients()) == Counter(everybody)


def left():
    """How many mails are in the outbox after a second."""
    time.sleep(1)
    return OutgoingMail.objects.count()


def waiting_recipients():
    return {links.recipient(mail) for mail in OutgoingMail.objects.all()}


def at_work():
    """Whether another connection to this database is busy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


class other_connection:  # noqa: N801
    """A cursor in a transaction of its own."""

    def __enter__(self):
        self.connection = psycopg2.connect(processes.database_url())
        return self.connection.cursor()

    def __exit__(self, *exception):
        self.connection.close()


def waiting_to(command):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE %s AND datname = current_database()",
            [f"{command}%petition_outgoingmail%"],
        )
        row = cursor.fetchone()
    return row and row[0]


def test_a_worker_killed_within_a_mail_loses_none(sign, server, log):
    everybody = addresses(4)
    sign(*everybody)
    server.commands["RCPT", everybody[1]] = DROP
    with worker(server, log) as first:
        server.on_data = lambda recipient: kill(first) if len(server.received) == 2 else None
        first.wait(PATIENCE_SECONDS)

    server.on_data = lambda recipient: None
    server.commands.clear()
    claims_end()
    drain(server)
    assert set(server.recipients()) == set(everybody)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_finishes_its_mail_and_gives_the_others_back(sign, server, log, number):
    everybody = addresses(30)
    sign(*everybody)
    with worker(server, log) as first:
        server.on_data = lambda recipient: first.send_signal(number) if len(server.received) == 3 else None
        assert first.wait(PATIENCE_SECONDS) == 0

    assert len(server.received) == 3
    # No claim to wait for: the others are due at once.
    drain(server)
    assert Counter(server.recipients()) == Counter(everybody)


def test_an_idle_worker_stops_at_once(server, log, petition):
    with worker(server, log) as idle:
        TallyChange.objects.create(
            petition=petition, hour=timezone.now(), country="", language="en", source="", measure="counted", amount=1
        )
        wait_until(lambda: not TallyChange.objects.exists())
        idle.terminate()
        assert idle.wait(10) == 0
    assert "Traceback" not in log.read_text()


def test_while_a_mail_is_left_unanswered_the_worker_folds_and_sends_others(sign, server, log, make_signature):
    server.commands["TAKEN", "anna@example.org"] = HANG
    sign("anna@example.org")
    with worker(server, log):
        wait_until(lambda: server.recipients() == ["anna@example.org"])
        make_signature().confirm()
        sign("boris@example.org")
        wait_until(lambda: server.recipients() == ["anna@example.org", "boris@example.org"])
        wait_until(lambda: not TallyChange.objects.exists())
        # The server has a mail before the worker has written down that it has.
        wait_until(lambda: OutgoingMail.objects.count() == 1)

        # It still waits for the answer.
        assert OutgoingMail.objects.get().attempts == 0


# Without a mail server.


def test_without_a_mail_server_the_worker_folds_and_delivers_later(sign, server, log, make_signature):
    everybody = ["anna@example.org"] * 5
    sign(*everybody)
    server.stop()
    with worker(server, log):
        wait_until(lambda: log.read_text().count("The mail server is away") >= 2)
        make_signature().confirm()
        wait_until(lambda: not TallyChange.objects.exists())
        assert {mail.attempts for mail in OutgoingMail.objects.all()} == {0}
        assert OutgoingMail.objects.count() == 5

        server.start()
        wait_until(all_sent)

    # A limit of five a day has not been used up meanwhile.
    assert server.recipients() == everybody
    assert tally.current("chechnya").confirmed_here == 1


def test_mail_is_seen_to_be_late_while_the_server_is_away(client, sign, server, log):
    sign("anna@example.org")
    OutgoingMail.objects.update(due_at=timezone.now() - timedelta(minutes=2))
    server.stop()
    with worker(server, log):
        wait_until(lambda: log.read_text().count("The mail server is away") >= 2)
        wait_until(lambda: client.get("/healthz").json()["mail"] == "late")


# A mail server that has mended itself is to have everything so soon.
BACK_SECONDS = 15


@pytest.mark.parametrize(("answer", "told"), [("550 5.7.1 not you", "refused"), ("451 4.3.0 later", "late")])
def test_a_refusal_of_everything_is_told_and_ends_without_a_trace(client, sign, server, log, answer, told):
    everybody = [f"person{number}@provider{number}.example" for number in range(60)]
    sign(*everybody)
    server.commands["RCPT"] = answer
    with worker(server, log):
        wait_until(lambda: log.read_text().count("The mail server is away") >= 3)
        assert wait_until(lambda: client.get("/healthz").json().get("mail") == told)
        assert not OutgoingMail.objects.exclude(attempts=0, parked_at=None).exists()

        server.commands.clear()
        since = time.monotonic()
        wait_until(all_sent)
        assert time.monotonic() - since < BACK_SECONDS
        wait_until(lambda: client.get("/healthz").json()["mail"] == "ok")

    assert Counter(server.recipients()) == Counter(everybody)


def test_a_server_whose_greeting_hung_gets_everything_soon_after_it_is_back(sign, server, log):
    everybody = addresses(10)
    signed = []

    def attempt():
        sign(*everybody)
        signed.extend(everybody)
        server.stop()
        with socket.create_server(("127.0.0.1", server.port)) as silent, worker(server, log):
            silent.settimeout(PATIENCE_SECONDS)
            # The first try has come to nothing, and the next one is in the middle of it.
            _tries = [silent.accept() for _ in range(2)]
            silent.close()
            server.start()
            since = time.monotonic()
            wait_until(all_sent)
            return time.monotonic() - since

    # The pause between tries takes most of it, and a machine that others use as well some more.
    assert any(attempt() < BACK_SECONDS for _time in range(3))
    assert Counter(server.recipients()) == Counter(signed)
    assert not OutgoingMail.objects.exclude(attempts=0).exists()


# Without a database.

END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def end_connections():
    with connection.cursor() as cursor:
        cursor.execute(END_OTHERS)


def test_a_worker_survives_a_database_that_ends_its_connections(sign, server, log):
    with worker(server, log):
        sign("anna@example.org")
        wait_until(all_sent)
        for address in addresses(2):
            end_connections()
            sign(address)
            wait_until(all_sent)

    assert server.recipients() == ["anna@example.org", *addresses(2)]


def test_a_worker_waits_for_a_database_that_is_away(sign, server, log):
    sign(*addresses(2))
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with worker(server, log), connection._nodb_cursor() as cursor:
        wait_until(all_sent)
        try:
            cursor.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
            end_connections()
            sign("anna@example.org")
            wait_until(lambda: log.read_text().count("The database is away") >= 2)
        finally:
            cursor.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        wait_until(all_sent)

    assert sorted(server.recipients()[:2]) == addresses(2)
    assert server.recipients()[2:] == ["anna@example.org"]


def test_a_database_that_goes_away_within_a_mail_repeats_it_and_loses_none(sign, server, log):
    everybody = addresses(4)
    sign(*everybody)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()[0]

    def end_its_connection(recipient):
        if len(server.received) == 2:
            with other_connection() as cursor:
                cursor.execute(END_OTHERS + " AND pid <> %s", [ours])

    server.on_data = end_its_connection
    with worker(server, log):
        wait_until(lambda: "The database is away" in log.read_text())
        claims_end()
        wait_until(all_sent)

    assert Counter(server.recipients()) == Counter([*everybody, server.recipients()[1]])


# Once.


def test_once_does_what_is_due_and_says_so(sign, server, make_signature):
    everybody = addresses(claims.BATCH + 5)
    sign(*everybody)
    make_signature(created_at=Signature.objects.first().created_at - timedelta(days=9)).confirm()
    make_signature(created_at=Signature.objects.first().created_at - timedelta(days=9))

    said = drain(server)
    assert f"Dealt with {len(everybody)} mails" in said
    assert "purged 1 rows" in said
    assert Counter(server.recipients()) == Counter(everybody)
    assert not TallyChange.objects.exists()


def test_once_without_a_mail_server_ends_and_says_so(sign, server):
    sign(*addresses(3))
    server.stop()

    assert "The mail server is away" in drain(server)
    assert OutgoingMail.objects.filter(attempts=0).count() == 3


# What it says, and when it refuses to start.


def test_the_log_holds_no_address(sign, server, log):
    sign(*(f"{name}@example.org" for name in ("anna.k", "boris.l", "clara.m", "daria.n", "emil.o")))
    (first,) = [mail for mail in OutgoingMail.objects.all() if links.recipient(mail) == "anna.k@example.org"]
    OutgoingMail.objects.filter(pk=first.pk).update(recipient=b"sealed with another key")
    server.commands["RCPT", "boris.l@example.org"] = "550 5.1.1 <ADDRESS>: no such mailbox"
    server.commands["RCPT", "clara.m@example.org"] = "450 4.2.0 <ADDRESS>: greylisted"
    server.commands["DATA", "daria.n@example.org"] = DROP
    with worker(server, log):
        wait_until(lambda: server.recipients() == ["emil.o@example.org"])
        server.commands["MAIL"] = "550 5.7.1 <confirm@example.org>: not you"
        sign("fanny.p@example.org")
        wait_until(lambda: "refused us with 550" in log.read_text())

    said = log.read_text()
    assert {"was parked: 550 5.1.1", "was put off: 450 4.2.0", "was put off: None"} <= {
        line.partition(" mail ")[2].partition(" ")[2] for line in said.splitlines()
    }
    for word in ("anna", "boris", "clara", "daria", "emil", "fanny", "example.org"):
        assert word not in said


def test_what_nobody_foresaw_is_loud_and_private(sign, server, log):
    """A traceback of Python would quote the row that a constraint refuses."""
    sign("anna.k@example.org", "boris.l@example.org")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'anna.k@example.org is refused' USING ERRCODE = 'check_violation'; END $$;"
            "CREATE TRIGGER refuse BEFORE DELETE ON petition_outgoingmail FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    try:
        with worker(server, log) as first:
            assert first.wait(PATIENCE_SECONDS) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")

    said = log.read_text()
    assert "The worker stops" in said
    assert "IntegrityError" in said
    assert "anna" not in said
    # The mail it happened at is set aside for minutes; the other one does not wait for it.
    assert drain(server).startswith("Dealt with 1 mails")
    assert sorted(server.recipients()) == ["anna.k@example.org", "boris.l@example.org"]


def test_it_does_not_start_where_others_could_read_its_keys(server, log, tmp_path):
    (tmp_path / "keys").mkdir(mode=0o755)
    options = {"EMAIL_URL": email_url(server), "OUTBOX_KEYS_DIR": str(tmp_path / "keys")}
    with processes.worker(log, **options) as refused:
        assert refused.wait(PATIENCE_SECONDS) != 0

    assert "petition.E013" in log.read_text()


def test_it_does_not_start_with_another_digest_key_than_the_first_one_had(server, log):
    drain(server)
    with processes.worker(log, EMAIL_URL=email_url(server), EMAIL_DIGEST_KEY="ab" * 32) as refused:
        assert refused.wait(PATIENCE_SECONDS) != 0

    assert "petition.E012" in log.read_text()
