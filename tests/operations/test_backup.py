"""Backups: sealed to a key that is not here, without what nobody may find in them, and proven to come back."""

import io
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from petition import identity, offline_key, signing, withdrawal, withdrawn_list
from petition.backup import archive, drills, making, postgres_tools
from petition.backup.archive import ArchiveError, Label
from petition.counts import publication, tally
from petition.models import (
    DailySalt,
    Heartbeat,
    Link,
    Lookup,
    OutboxKey,
    OutgoingMail,
    PublishedCount,
    ReviewClaim,
    ShownWords,
    Signature,
    SubscriptionRequest,
    Withdrawn,
)
from petition.models.signature import this_hour
from petition.postgres import counters
from tests.support import links, server
from tests.support.mail_server import MailServer
from tests.support.server import PROJECT

ANNA = "anna@example.org"
PASSPHRASE = "nine lives of a cat"
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def pair():
    """The text of a key file, and the public half. Guessing its passphrase is easy; nobody does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline_key, "OPERATIONS", offline_key.KDF.OPSLIMIT_MIN)
        patch.setattr(offline_key, "MEMORY", offline_key.KDF.MEMLIMIT_MIN)
        yield offline_key.make(PASSPHRASE)


@pytest.fixture
def key_file(pair, tmp_path):
    path = tmp_path / "petition.key"
    path.write_text(pair[0])
    return path


@pytest.fixture(autouse=True)
def folder(settings, pair, tmp_path):
    settings.BACKUP_KEY, settings.BACKUP_DIR = pair[1], str(tmp_path / "backups")
    settings.WITHDRAWN_LIST = str(tmp_path / "withdrawals")
    return Path(settings.BACKUP_DIR)


@pytest.fixture
def typed(monkeypatch):
    """What a person types when she is asked."""
    lines = [PASSPHRASE]
    monkeypatch.setattr(offline_key, "ask", lambda what: lines.pop(0))
    return lines


@pytest.fixture
def empty_database():
    """Within it, the site's connection leads to a database that has no tables yet."""
    name = f"{connection.settings_dict['NAME']}_new"

    @contextmanager
    def entered():
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            with drills.connected_to(name):
                yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return entered


def back_up():
    call_command("backup", stdout=io.StringIO())
    return max(Path(making.settings.BACKUP_DIR).glob("*.backup"))


def is_under_way():
    try:
        with making.alone(making.BACKUP_LOCK):
            return False
    except making.UnderWayError:
        return True


def said_by(command, *arguments):
    out = io.StringIO()
    call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue()


def plain(path, pair):
    """The dump in an archive, as SQL."""
    with path.open("rb") as file:
        label = Label.read(file)
        key = offline_key.unlock(offline_key.read(pair[0], PASSPHRASE), label.sealed_key)
        dump = b"".join(archive.unseal(archive.sealed_pieces(file), label, key))
    return subprocess.run(
        [postgres_tools.find("pg_restore"), "--file=-"], input=dump, capture_output=True, check=True
    ).stdout.decode()


def rows_of(sql, table):
    return re.search(rf"^COPY public\.{table} .*?;\n(.*?)\\\.$", sql, re.MULTILINE | re.DOTALL)


def scratch_databases():
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname = %s", [drills.scratch_name()])
        return cursor.fetchall()


# Made and restored.


def test_a_backup_comes_back_with_the_offline_key_and_publishes_alike(
    petition, make_signature, key_file, typed, empty_database
):
    for _number in range(30):
        make_signature(confirmed=True)
    make_signature(confirmed=True, name="Anna", words="Courage", approved_at=this_hour())
    publication.publish()
    published = PublishedCount.objects.values().get()
    path = back_up()

    with empty_database():
        said = said_by("restore", path, "--key", key_file, "--without-withdrawals")

        assert "The tallies agree" in said
        assert tally.exact("chechnya").confirmed_here == 31
        # The secret by which cells are rounded, and what is left unpublished, come along.
        assert {**PublishedCount.objects.values().get(), "secret": bytes(published["secret"])} == {
            **published,
            "secret": bytes(PublishedCount.objects.get().secret),
        }
        assert ShownWords.objects.get().words == "Courage"
        # Triggers and rules came back as well.
        Signature.objects.first().delete()
        assert tally.exact("chechnya").confirmed_here == 30


def test_the_key_file_need_not_come_to_the_server(petition, make_signature, key_file, empty_database, monkeypatch):
    """The server shows the sealed key of one archive; the machine with the offline key answers with that key alone."""
    make_signature(confirmed=True)
    path = back_up()
    shown, out = io.StringIO(), io.StringIO()

    def unlock_elsewhere(what):
        sealed = re.search(r"unlock petition\.key (\S+)", shown.getvalue())[1]
        done = subprocess.run(
            [sys.executable, PROJECT / "petition/offline_key.py", "unlock", key_file, sealed],
            input=f"{PASSPHRASE}\n",
            capture_output=True,
            text=True,
            # Nothing of the site is needed there.
            cwd=key_file.parent,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().split()[-1]

    monkeypatch.setattr(offline_key, "ask", unlock_elsewhere)
    with empty_database():
        call_command("restore", str(path), "--without-withdrawals", stdout=out, stderr=shown)

        assert Signature.objects.count() == 1


def test_who_has_withdrawn_since_is_not_back(petition, make_signature, key_file, typed, empty_database, settings):
    make_signature(email=ANNA, confirmed=True)
    make_signature(confirmed=True)
    path = back_up()
    withdrawal.withdraw(Link.objects.of_token(links.withdraw_token(petition, ANNA)))
    withdrawn_list.write()

    with empty_database():
        said = said_by("restore", path, "--key", key_file, "--withdrawals", settings.WITHDRAWN_LIST)

        assert "Read 1 withdrawals, and erased 1 signatures." in said
        assert not Signature.objects.filter(email_digest=identity.email_digest(ANNA)).exists()
        assert tally.exact("chechnya").confirmed_here == 1
        # She leaves her line in the list again, for the next backup.
        assert Withdrawn.objects.count() <= 1


def test_a_restore_without_the_list_of_withdrawals_has_to_be_meant(petition, empty_database):
    path = back_up()

    with empty_database(), pytest.raises(CommandError, match="is counted again"):
        call_command("restore", str(path))


def test_a_database_that_is_not_empty_is_left_alone(petition, make_signature, key_file, typed):
    make_signature(confirmed=True)
    path = back_up()
    make_signature(confirmed=True)

    with pytest.raises(CommandError, match=r"not empty\. Nothing was changed"):
        call_command("restore", str(path), "--key", str(key_file), "--without-withdrawals")

    assert Signature.objects.count() == 2


def test_who_waited_for_a_mail_is_told_of(petition, make_signature, key_file, typed, empty_database):
    make_signature(email_digest=None)
    path = back_up()

    with empty_database():
        assert "1 people signed whose mail had not gone out" in said_by(
            "restore", path, "--key", key_file, "--without-withdrawals"
        )
        # Her link may have come after the backup. It says "sign again", since nothing could be counted any more.
        assert not Signature.objects.exists()


@pytest.mark.parametrize("text", ["localhost\n", "age-encryption.org/v1\n-> X25519 abc\n"])
def test_a_file_that_is_no_list_of_withdrawals_is_noticed_before_anything(petition, empty_database, tmp_path, text):
    path = back_up()
    (tmp_path / "list").write_text(text)

    with empty_database():
        with pytest.raises(CommandError, match=r"holds none: is it the right file\? Nothing was changed"):
            call_command("restore", str(path), "--withdrawals", str(tmp_path / "list"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert cursor.fetchone() == (0,)


def test_an_old_backup_says_that_withdrawals_are_missing(petition, key_file, typed, empty_database, monkeypatch):
    now = making.now()
    with monkeypatch.context() as patch:
        patch.setattr(making, "now", lambda: now - 20 * DAY)
        path = back_up()
    shown = io.StringIO()

    with empty_database():
        call_command("restore", str(path), "--key", str(key_file), "--without-withdrawals", stderr=shown)

    assert "20 days old" in shown.getvalue()


# What is not in it.


def test_no_salt_key_recipient_login_or_counter_is_in_a_backup(petition, make_signature, pair):
    signature = make_signature(confirmed=True)
    key = OutboxKey.objects.get()
    OutgoingMail.objects.create(
        petition=petition, kind="sign", recipient=b"box", key=key, signature=signature, language="en"
    )
    Lookup.objects.create(address=b"box", key=key, asked_by=1, reason="a letter")
    SubscriptionRequest.objects.create(token_digest="t", box=b"box", leave_digest=b"digest")
    Session.objects.create(session_key="s" * 32, session_data="login", expire_date=timezone.now() + DAY)
    identity.network_digest("192.0.2.1")
    counters.count({"counter": 60})
    ReviewClaim.objects.create(signature=signature, account_id=1)
    assert DailySalt.objects.exists()

    sql = plain(back_up(), pair)

    assert rows_of(sql, "petition_signature")[1]
    logged = "outgoingmail outboxkey lookup subscriptionrequest heartbeat forgottenhour"
    unlogged = "dailysalt cache reviewclaim"
    for table in f"{logged} {unlogged}".split():
        assert f"CREATE {'UNLOGGED ' * (table in unlogged.split())}TABLE public.petition_{table} " in sql
        assert not rows_of(sql, f"petition_{table}"), table
    assert not rows_of(sql, "django_session")


def test_nothing_readable_is_in_the_file(petition, make_signature):
    make_signature(confirmed=True, name="Anna Example", words="Courage to all of them")

    content = back_up().read_bytes()

    for text in (b"Anna Example", b"Courage", b"petition_signature", b"PGDMP"):
        assert text not in content


def test_the_size_of_an_archive_does_not_count_signatures(petition, make_signature):
    size = back_up().stat().st_size
    for path in Path(making.settings.BACKUP_DIR).iterdir():
        path.unlink()
    for _number in range(100):
        make_signature(confirmed=True)

    assert back_up().stat().st_size == size


def test_only_the_owner_can_read_the_file(petition):
    path = back_up()

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


# Checked.


def test_an_archive_that_is_not_whole_restores_nothing(petition, make_signature, key_file, typed, empty_database):
    make_signature(confirmed=True)
    path = back_up()
    content, piece = path.read_bytes(), archive.SEALED_PIECE_BYTES
    broken = {
        "changed": content[:5_000] + bytes([content[5_000] ^ 1]) + content[5_001:],
        "of another day": content.replace(b"backup 1\n20", b"backup 1\n19", 1),
        "cut": content[:-piece],
        "longer": content + b"x" * piece,
        "without a piece": content[: -3 * piece] + content[-2 * piece :],
    }

    with empty_database():
        for how, archived in broken.items():
            typed[:] = [PASSPHRASE]
            path.write_bytes(archived)
            with pytest.raises(CommandError, match=r"archive|no backup"):
                call_command("restore", str(path), "--key", str(key_file), "--without-withdrawals")

            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                assert cursor.fetchone() == (0,), how


@pytest.mark.parametrize(
    ("passphrase", "owner", "message"),
    [("a wrong passphrase", "hers", "not the passphrase"), (PASSPHRASE, "somebody else's", "made for another key")],
)
def test_another_key_opens_nothing(petition, key_file, typed, passphrase, owner, message):
    path = back_up()
    if owner != "hers":
        key_file.write_text(offline_key.make(PASSPHRASE)[0])
    typed[:] = [passphrase]

    with pytest.raises(CommandError, match=message):
        call_command("restore", "--drill", str(path), "--key", str(key_file))


def test_a_disk_that_keeps_something_else_is_noticed_at_once(petition, folder, monkeypatch):
    write = making.write

    def write_badly(path, label, key):
        write(path, label, key)
        with path.open("r+b") as file:
            file.seek(5_000)
            file.write(b"\0\0\0\0")

    monkeypatch.setattr(making, "write", write_badly)

    with pytest.raises(CommandError, match="damaged"):
        call_command("backup")

    assert not list(folder.glob("petition-*"))
    assert set(Heartbeat.ages()) & {"backup", "no backup"} == {"no backup"}


def test_a_dump_that_breaks_off_is_no_backup(petition, folder, monkeypatch):
    monkeypatch.setattr(postgres_tools, "LEFT_OUT", ())
    dump = postgres_tools.dump
    monkeypatch.setattr(postgres_tools, "dump", lambda: dump("--table=there_is_none"))

    with pytest.raises(CommandError, match="pg_dump has failed"):
        call_command("backup")

    assert not list(folder.glob("petition-*"))


def test_what_failed_is_said_without_rows():
    said = b"""pg_restore: error: COPY failed for table "petition_shownwords": ERROR:  duplicate key value
DETAIL:  Key (name)=(Anna) already exists.
CONTEXT:  COPY petition_shownwords, line 1: "Anna"
"""
    assert "Anna" not in postgres_tools._without_data(said)
    assert "duplicate key" in postgres_tools._without_data(said)


# Kept and handed on.


def test_backups_go_when_they_are_older_than_the_list_of_withdrawals(petition, folder, settings):
    back_up()
    for age, name in ((13, "young"), (15, "old")):
        at = making.now() - age * DAY
        (folder / making.NAME.format(at)).write_text(name)
    for other in ("list", "petition-2020-01-01.age"):
        (folder / other).write_text("somebody's own")

    back_up()

    assert sorted(path.read_text() for path in folder.iterdir() if path.stat().st_size < 100) == [
        "somebody's own",
        "somebody's own",
        "young",
    ]


def test_the_hook_gets_the_path_and_none_of_our_secrets(petition, folder, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "of the site")
    told = tmp_path / "told"
    script = tmp_path / "hook"
    script.write_text(f'#!/bin/sh\n{{ echo "$1 $2"; env; }} > {told}\n')
    script.chmod(0o755)
    settings.BACKUP_HOOK = f"{script} --to"

    path = back_up()

    said = told.read_text()
    assert said.startswith(f"--to {path}\n")
    assert "of the site" not in said
    assert "EMAIL_DIGEST_KEY" not in said


def test_a_backup_that_leaves_the_machine_not_is_not_noted_as_made(petition, folder, settings):
    settings.BACKUP_HOOK = "false"

    with pytest.raises(CommandError, match=r"BACKUP_HOOK ended with 1\. The backup lies on this machine alone"):
        call_command("backup")

    assert set(Heartbeat.ages()) & {"backup", "no backup"} == {"no backup"}
    settings.BACKUP_HOOK = "true"
    call_command("backup", stdout=io.StringIO())
    assert "backup" in Heartbeat.ages()


@pytest.mark.parametrize(("name", "value", "identifier"), [("BACKUP_KEY", "x", "E040"), ("BACKUP_DIR", "", "E041")])
def test_without_key_or_folder_nothing_is_written(petition, settings, folder, name, value, identifier):
    setattr(settings, name, value)

    with pytest.raises(SystemCheckError, match=identifier):
        call_command("backup")

    assert not folder.exists() or not list(folder.iterdir())


def test_a_folder_that_others_can_read_is_refused(petition, folder):
    folder.mkdir()
    folder.chmod(0o755)

    with pytest.raises(SystemCheckError, match="E041"):
        call_command("backup")


def test_one_backup_at_a_time(petition):
    with drills.connected_to(connection.settings_dict["NAME"]), making.alone(making.BACKUP_LOCK):
        other = subprocess.run(
            [sys.executable, "manage.py", "backup"],
            cwd=PROJECT,
            env=server.environment(
                BACKUP_KEY=making.settings.BACKUP_KEY, BACKUP_DIR=making.settings.BACKUP_DIR, BACKUP_HOOK=""
            ),
            capture_output=True,
            text=True,
        )

    assert other.returncode == 1
    assert "Another one is under way" in other.stderr
    # That is no failure.
    assert not Heartbeat.objects.filter(part=Heartbeat.Part.NO_BACKUP).exists()


# Drilled.


def test_a_drill_restores_recounts_and_leaves_nothing(petition, make_signature):
    for _number in range(3):
        make_signature(confirmed=True)

    said = said_by("restore", "--drill")

    assert "the tallies agree" in said
    assert not re.search(r"\d", said)
    assert set(Heartbeat.ages()) & {"drill", "no drill"} == {"drill"}
    assert not scratch_databases()


def test_a_person_drills_with_an_archive_and_the_offline_key(petition, make_signature, key_file, typed):
    make_signature(confirmed=True)
    path = back_up()

    assert "the tallies agree" in said_by("restore", "--drill", path, "--key", key_file)

    assert "drill" in Heartbeat.ages()
    assert not scratch_databases()


def test_a_drill_notices_tallies_that_do_not_agree(petition, make_signature):
    make_signature(confirmed=True)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM petition_tallychange")

    with pytest.raises(CommandError, match="do not agree"):
        call_command("restore", "--drill")

    assert set(Heartbeat.ages()) & {"drill", "no drill"} == {"no drill"}
    assert not scratch_databases()
    # What is wrong in the site is not repaired in passing.
    assert tally.recount().difference == 1


def test_a_drill_notices_signatures_that_are_missing(petition, make_signature, monkeypatch):
    make_signature(confirmed=True)
    tally.fold()
    monkeypatch.setattr(drills, "examine", lambda: Signature.objects.all().delete())

    with pytest.raises(CommandError, match="missing"):
        call_command("restore", "--drill")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_drill_that_is_ended_leaves_no_database_behind(petition, make_signature, how, tmp_path):
    for _number in range(50):
        make_signature(confirmed=True, words="Courage")
    slow = slow_pg_restore(tmp_path)
    with server.process(
        *(sys.executable, "manage.py", "restore", "--drill"), log=tmp_path / "log", POSTGRES_BIN_DIR=str(slow)
    ) as process:
        server.wait_until(scratch_databases)
        server.wait_until((tmp_path / "begun").exists)
        process.send_signal(how)
        process.wait(server.PATIENCE_SECONDS)

        if how == signal.SIGKILL:
            # What a worker does before anything else.
            server.wait_until(drills.drop_left_over)
        assert not scratch_databases()
    # Nothing that it dumped was ever a file.
    assert {path.name for path in tmp_path.iterdir()} <= {"log", "begun", "bin", "backups", "withdrawals"}


def slow_pg_restore(tmp_path):
    """The tools, of which one takes its time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pg_dump").symlink_to(postgres_tools.find("pg_dump"))
    script = folder / "pg_restore"
    tool = postgres_tools.find("pg_restore")
    script.write_text(
        f'#!/bin/sh\ntest "$1" = --version && exec {tool} --version\ntouch {tmp_path}/begun\nexec sleep 20\n'
    )
    script.chmod(0o755)
    return folder


@contextmanager
def worker(smtp, log, tools):
    """A worker as it runs in production, with its tools."""
    variables = {"LOCAL": None, "SITE_URL": "https://petition.example.org", "ALLOWED_HOSTS": "petition.example.org"}
    url = f"smtp://127.0.0.1:{smtp.port}"
    with server.worker(log, **variables, EMAIL_URL=url, POSTGRES_BIN_DIR=str(tools)) as process:
        yield process


def test_a_worker_drills_by_itself_once_a_month(petition, make_signature, tmp_path):
    make_signature(confirmed=True)
    tools = Path(postgres_tools.find("pg_restore")).parent

    with MailServer() as smtp, worker(smtp, tmp_path / "log", tools):
        server.wait_until(lambda: "drill" in Heartbeat.ages())

    assert not drills.is_due()
    beat("drill", 31 * DAY)
    assert drills.is_due()


def test_mail_goes_on_during_a_drill_which_ends_with_its_worker(petition, tmp_path):
    with MailServer() as smtp, worker(smtp, tmp_path / "log", slow_pg_restore(tmp_path)) as process:
        server.wait_until((tmp_path / "begun").exists)
        signing.sign(petition.slug, signing.Answers(email=ANNA), language="en", network="192.0.2.1")

        server.wait_until(lambda: smtp.received)
        assert scratch_databases()
        process.terminate()
        process.wait(server.PATIENCE_SECONDS)

    assert not scratch_databases()
    # It was stopped, and did not fail: the next worker begins anew.
    assert drills.is_due()


def test_a_backup_that_is_killed_leaves_nothing_that_can_be_read(petition, make_signature, folder, tmp_path):
    make_signature(confirmed=True, words="Courage")
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = postgres_tools.find("pg_dump")
    slowly = f'{tool} "$@"; touch {tmp_path}/dumped; exec sleep 20'
    (tools / "pg_dump").write_text(f'#!/bin/sh\ntest "$1" = --version || {{ {slowly}; }}\nexec {tool} "$@"\n')
    (tools / "pg_dump").chmod(0o755)
    variables = {"BACKUP_KEY": making.settings.BACKUP_KEY, "BACKUP_DIR": str(folder), "POSTGRES_BIN_DIR": str(tools)}
    with server.process(sys.executable, "manage.py", "backup", log=tmp_path / "log", **variables) as process:
        server.wait_until((tmp_path / "dumped").exists)
        process.kill()
        process.wait(server.PATIENCE_SECONDS)

    assert [path.name for path in folder.iterdir()] == [making.UNFINISHED]
    content = (folder / making.UNFINISHED).read_bytes()
    assert not any(text in content for text in (b"Courage", b"PGDMP", b"petition_signature"))
    # PostgreSQL lets go of the lock as soon as it has noticed.
    server.wait_until(lambda: not is_under_way())
    back_up()
    assert not (folder / making.UNFINISHED).exists()


@pytest.mark.parametrize(("hours", "is_due"), [(23, False), (25, True)])
def test_a_drill_that_failed_is_tried_again_a_day_later(hours, is_due):
    Heartbeat.beat(Heartbeat.Part.NO_DRILL)
    Heartbeat.objects.filter(part="no drill").update(beat_at=timezone.now() - timedelta(hours=hours))

    assert drills.is_due() == is_due


def test_a_drill_is_not_begun_where_the_disk_has_no_room(petition, monkeypatch):
    monkeypatch.setattr(postgres_tools.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_000}))

    with pytest.raises(CommandError, match="no room"):
        call_command("restore", "--drill")

    assert not scratch_databases()


# The offline key.


def test_the_pair_is_made_as_a_file_that_its_passphrase_opens(tmp_path):
    tool, path = PROJECT / "petition/offline_key.py", tmp_path / "petition.key"

    made = subprocess.run(
        [sys.executable, tool, "make", path], input=f"{PASSPHRASE}\n" * 2, capture_output=True, text=True
    )

    public = re.search(r"BACKUP_KEY=(\S+)", made.stdout)[1]
    assert path.stat().st_mode & 0o777 == 0o600
    secret = offline_key.read(path.read_text(), PASSPHRASE)
    assert bytes(secret.public_key) == bytes(offline_key.public_half(public))
    assert offline_key.as_text(bytes(secret)) not in path.read_text()


def test_a_short_passphrase_and_two_different_ones_make_no_key(tmp_path, typed):
    path = tmp_path / "petition.key"
    for twice, said in ((["short", "short"], "12 characters"), (["a long passphrase", "another one, longer"], "two")):
        typed[:] = twice

        assert said in offline_key.main(["make", str(path)])
        assert not path.exists()


def test_a_key_file_is_never_overwritten(key_file, typed):
    typed[:] = [PASSPHRASE, PASSPHRASE]

    assert "File exists" in offline_key.main(["make", str(key_file)])


def test_a_label_is_read_strictly():
    with pytest.raises(ArchiveError, match="no backup"):
        Label.read(io.BytesIO(b"PGDMP" + b"\0" * 200))
    label = Label(datetime.fromisoformat("2026-11-28T01:05:00+00:00"), b"k" * 80)
    assert Label.read(io.BytesIO(bytes(label))) == label


# Seen.


@pytest.fixture
def start_page(client, make_staff, settings):
    """What administrators read, of a site that is more than a trial."""
    settings.LOCAL, settings.SECOND_FACTOR = False, False
    client.force_login(make_staff("administrator", username="anna"))
    return lambda: client.get(reverse("admin:index")).content.decode()


def beat(part, age):
    Heartbeat.beat(part)
    Heartbeat.objects.filter(part=part).update(beat_at=timezone.now() - age)


def test_administrators_see_when_a_backup_was_made_and_tried(petition, start_page):
    assert start_page().count("not yet") == 2

    beat("backup", DAY)
    beat("drill", 20 * DAY)

    page = start_page()
    for age in (1, 20):
        assert f"{timezone.now() - age * DAY:%Y-%m-%d %H}" in page
    assert "wrong-backups" not in page


@pytest.mark.parametrize(
    ("part", "age", "said"),
    [
        ("backup", 3 * DAY, "No backup was made for two days"),
        ("no backup", timedelta(0), "The last backup failed"),
        ("drill", 36 * DAY, "restored as a trial for a month"),
        ("no drill", timedelta(0), "could not be restored as a trial"),
    ],
)
def test_administrators_are_told_what_is_wrong_with_backups(petition, start_page, part, age, said):
    beat("backup", DAY)
    beat("drill", DAY)
    beat(part, age)

    assert said in start_page()


def test_others_are_not_told(petition, moderator):
    assert "Backups" not in moderator.get(reverse("admin:index")).content.decode()
