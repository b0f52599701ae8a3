"""One clock: a machine whose clock is wrong deletes nothing, and mail goes on."""

import logging
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from petition import clock, forgetting, retention
from petition.mail.keys import Keyring
from petition.models import OutgoingMail, Retention, Signature
from petition.models.signature import this_hour
from tests.support import links, server

DAYS = 8
# What a worker on such a machine does: everything that reads the time.
AHEAD = f"""
import sys, time
from datetime import timedelta
import django.utils.timezone as timezone
real_time, real_now = time.time, timezone.now
time.time = lambda: real_time() + {DAYS} * 86400
timezone.now = lambda: real_now() + timedelta(days={DAYS})
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "worker"])
"""


@pytest.fixture
def wrong_clock(monkeypatch):
    def run_ahead(seconds):
        real = time.time
        monkeypatch.setattr(clock.time, "time", lambda: real() + seconds)

    return run_ahead


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "is_right"), [(0, True), (55, True), (-55, True), (65, False), (-65, False)])
def test_a_minute_is_borne(wrong_clock, seconds, is_right):
    wrong_clock(seconds)

    assert clock.is_right() == is_right
    assert clock.seconds_ahead() == pytest.approx(seconds, abs=3)


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [DAYS * 86_400, 2 * 86_400, -3_600, 61])
@pytest.mark.parametrize("job", [retention.purge, forgetting.forget_ended_hour])
def test_what_the_clock_decides_is_refused_while_it_is_wrong(make_signature, wrong_clock, seconds, job):
    make_signature(created_at=this_hour() - timedelta(days=30))
    wrong_clock(seconds)

    with pytest.raises(clock.WrongClockError, match="differs from the database's by"):
        job()

    assert Signature.objects.count() == 1


@pytest.mark.django_db
def test_the_command_says_so(wrong_clock):
    wrong_clock(7_200)

    with pytest.raises(CommandError, match=r"by 7200 seconds\. Nothing was deleted\."):
        call_command("purge")


@pytest.mark.django_db(transaction=True)
def test_a_worker_eight_days_ahead_keeps_what_is_pending_and_sends_its_mail(
    petition, make_signature, tmp_path, settings
):
    Keyring().rotate()
    for mail in Path(settings.EMAIL_FILE_PATH).glob("*.eml"):
        mail.unlink()
    for _number in range(5):
        make_signature()
    links.owe_mail(petition)
    log = tmp_path / "worker.log"
    with server.process(server.PYTHON, "-c", AHEAD, log=log, **server.worker_keys()):
        server.wait_until(lambda: not OutgoingMail.objects.exists())
        server.wait_until(lambda: "differs from the database" in log.read_text())
        time.sleep(2)

    assert Signature.objects.pending().count() == 5
    assert len(list(Path(settings.EMAIL_FILE_PATH).glob("*.eml"))) == 1
    assert not Retention.objects.exists()


# Unusually many at once.


def ran(hours_ago):
    Retention.note([retention.LAPSED])
    Retention.objects.update(ran_at=timezone.now() - timedelta(hours=hours_ago))


@pytest.fixture
def many_lapsed(make_signature):
    def make(lapsed, pending):
        row = make_signature(created_at=this_hour() - timedelta(days=9))
        values = {"petition_id": row.petition_id, "language": "en", "consent_version": 1}
        Signature.objects.bulk_create(
            [Signature(created_at=this_hour() - timedelta(days=9), **values) for _ in range(lapsed - 1)]
            + [Signature(created_at=this_hour(), **values) for _ in range(pending)]
        )

    return make


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours_ago", "lapsed", "pending", "asks"),
    [
        (1, 150, 0, False),  # a great hour, eight days ago
        (25, 150, 0, False),
        (27, 150, 0, True),
        (200, 150, 1_000, True),
        (200, 99, 0, False),  # a small site that was off for a while
        (200, 150, 2_000, False),  # a small share
    ],
)
def test_a_person_is_asked_before_unusually_many_go(many_lapsed, caplog, hours_ago, lapsed, pending, asks):
    many_lapsed(lapsed, pending)
    ran(hours_ago)
    with caplog.at_level(logging.WARNING):
        purged = retention.purge()

    assert (retention.LAPSED in purged) == (not asks)
    assert Signature.objects.count() == pending + (lapsed if asks else 0)
    assert ("Unusually many" in caplog.text) == asks
    assert retention.waits_for_a_person() == asks


@pytest.mark.django_db
def test_once_somebody_agrees_they_go_and_nobody_is_asked_again(many_lapsed, capsys):
    many_lapsed(150, 0)
    ran(200)

    assert "run it with --agree" in call_command("purge")
    assert "Purged 150 lapsed signatures" in call_command("purge", agree=True)
    assert not Signature.objects.exists()
    assert not retention.waits_for_a_person()
