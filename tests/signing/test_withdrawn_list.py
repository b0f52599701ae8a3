"""A restored backup counts nobody who has withdrawn since: the list beside the database erases her again."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from petition import confirmation, identity, retention, withdrawal, withdrawn_list
from petition.counts import tally
from petition.models import Link, OutgoingMail, Signature, Withdrawn
from petition.models.signature import this_hour
from tests.support import links

ANNA = "anna@example.org"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def path(settings, tmp_path):
    settings.WITHDRAWN_LIST = str(tmp_path / "list")
    return Path(settings.WITHDRAWN_LIST)


def withdraw(petition, email=ANNA):
    withdrawal.withdraw(Link.objects.of_token(links.withdraw_token(petition, email)))


class Backup:
    """The database, put back to how it was before the block. What the worker wrote beside it stays."""

    def __enter__(self):
        self.block = transaction.atomic()
        self.block.__enter__()

    def __exit__(self, *error):
        withdrawn_list.write()
        transaction.set_rollback(True)
        self.block.__exit__(*error)


def test_who_withdrew_after_the_backup_is_not_counted_again(petition, make_signature, path, capsys):
    make_signature(email=ANNA, confirmed=True)
    make_signature(email=ANNA)
    other = make_signature(email="boris@example.org", confirmed=True)
    with Backup():
        withdraw(petition)
        assert tally.current("chechnya").confirmed_here == 1
    assert tally.current("chechnya").confirmed_here == 2

    call_command("apply_withdrawals", str(path))

    assert list(Signature.objects.all()) == [other]
    assert tally.current("chechnya").confirmed_here == 1
    assert tally.recount().difference == 0
    assert "Read 1 withdrawals. Erased 2 signatures" in capsys.readouterr().out
    call_command("apply_withdrawals", str(path))
    assert "Erased 0 signatures" in capsys.readouterr().out


def test_what_was_disowned_goes_and_the_signature_of_the_same_address_stays(petition, make_signature, path):
    """A stranger typed her address; she said that she did not sign that, and had signed before."""
    hers = make_signature(email=ANNA, confirmed=True)
    strangers = make_signature(email=ANNA)
    token = links.token(strangers)
    with Backup():
        confirmation.disown(confirmation.find(token))

    call_command("apply_withdrawals", str(path))

    assert list(Signature.objects.all()) == [hers]


def test_who_signed_again_after_withdrawing_stays(petition, make_signature, path):
    """The whole list is applied, also what is older than the backup."""
    make_signature(email=ANNA, confirmed=True, created_at=this_hour() - 5 * HOUR)
    withdraw(petition)
    Withdrawn.objects.update(hour=this_hour() - 2 * HOUR)
    withdrawn_list.write()
    again = make_signature(email=ANNA, confirmed=True, created_at=this_hour() - HOUR)

    call_command("apply_withdrawals", str(path))

    assert list(Signature.objects.all()) == [again]


def test_links_and_mails_of_before_know_her_no_more(petition, make_signature, path):
    signature = make_signature(email=ANNA)
    OutgoingMail.objects.create(petition=petition, kind="sign", recipient=b"", signature=signature, language="en")
    token = links.withdraw_token(petition, ANNA)
    with Backup():
        withdraw(petition)

    call_command("apply_withdrawals", str(path))

    assert withdrawal.find(token).is_used
    assert not OutgoingMail.objects.exists()


# What the list tells.


def test_an_address_without_a_signature_leaves_the_same_line(petition, make_signature, path):
    make_signature(email=ANNA, confirmed=True)
    withdraw(petition)
    withdraw(petition, "nobody@example.org")

    assert withdrawn_list.write() == 2

    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\dZ [0-9a-f]{64}", line) for line in lines)
    assert {line.partition(" ")[0] for line in lines} == {f"{this_hour():%Y-%m-%dT%HZ}"}
    assert lines == sorted(lines)


def test_a_press_that_erases_nothing_more_leaves_no_line(petition, make_signature):
    token = links.withdraw_token(petition, ANNA)
    for _ in range(3):
        withdrawal.withdraw(Link.objects.of_token(token))

    assert Withdrawn.objects.count() == 1


def test_no_line_is_the_digest_of_an_address(petition, make_signature, path):
    """Who has the list and the database of now finds nobody of the one in the other."""
    withdraw(petition)
    withdrawn_list.write()

    digest = identity.email_digest(ANNA)
    assert digest.hex() not in path.read_text()
    assert hashlib.sha256(digest).hexdigest() not in path.read_text()


def test_the_list_is_for_the_worker_alone_and_the_table_is_empty_afterwards(petition, path):
    withdraw(petition)
    withdrawn_list.write()

    assert path.stat().st_mode & 0o777 == 0o600
    assert not Withdrawn.objects.exists()
    assert withdrawn_list.write() == 0


def test_the_web_needs_no_file(petition, settings):
    settings.WITHDRAWN_LIST = ""
    withdraw(petition)

    assert withdrawn_list.write() == 0
    assert Withdrawn.objects.count() == 1


def test_while_the_disk_is_full_nothing_is_lost_and_nothing_stops(petition, settings, tmp_path, caplog):
    settings.WITHDRAWN_LIST = str(tmp_path / "missing" / "list")
    withdraw(petition)

    assert withdrawn_list.write() == 0
    assert Withdrawn.objects.count() == 1
    assert "cannot be written (FileNotFoundError)" in caplog.text


@pytest.mark.parametrize(("age", "stays"), [(14 * DAY + HOUR, False), (14 * DAY - HOUR, True)])
def test_a_line_stays_as_long_as_the_oldest_backup(petition, path, age, stays):
    withdraw(petition)
    Withdrawn.objects.update(hour=this_hour() - age)
    withdrawn_list.write()

    assert retention.purge()["withdrawals on the list"] == (0 if stays else 1)
    assert bool(path.read_text()) is stays
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", ["", "x", "2026-01-01T00Z abc", "0" * 64, f"2026-01-01 {'0' * 64}"])
def test_a_torn_line_is_told_and_keeps_nobody_else_from_being_erased(petition, make_signature, path, capsys, line):
    make_signature(email=ANNA, confirmed=True)
    with Backup():
        withdraw(petition)
    path.write_text(line + "\n" + path.read_text())

    call_command("apply_withdrawals", str(path))

    assert "1 lines cannot be read" in capsys.readouterr().err
    assert not Signature.objects.exists()


def test_another_file_is_refused(petition, make_signature, path):
    make_signature(email=ANNA, confirmed=True)
    path.write_text("EMAIL_URL=smtp://localhost\n")

    with pytest.raises(CommandError, match="no list of withdrawals"):
        call_command("apply_withdrawals", str(path))
    assert Signature.objects.count() == 1


def test_the_worker_writes_it(petition, path):
    withdraw(petition)

    call_command("worker", "--once")

    assert len(path.read_text().splitlines()) == 1
