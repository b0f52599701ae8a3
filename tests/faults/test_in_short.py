"""Faults for some seconds each, on a running site under load. `make faults` has all of them, for longer."""

import random
import time


def test_kills_of_the_app_its_processes_and_the_workers_lose_nothing(running_site, note):
    chance = random.Random(13)
    with running_site.crowd(before=0.5, after=2) as signers, signers.broken():
        # So workers have some in hand when they are killed.
        signers.seconds_to_take_a_mail = 0.2
        for _number in range(5):
            running_site.kill_something(chance)
            running_site.workers[1].kill()
            time.sleep(1.5)
    row = note(running_site.row(signers, "kills"))

    assert "mails still owed" not in row.seen
    assert row.slowest_mail < 45
    assert not [said for said in row.errors if "500" in said]


def test_a_database_that_is_killed_is_a_kind_503_and_pages_go_on(running_site, note):
    with running_site.crowd(before=0.5, after=3) as signers, signers.broken():
        running_site.cluster.kill()
        time.sleep(4)
        running_site.cluster.start()
    row = note(running_site.row(signers, "PostgreSQL killed"))

    assert row.told_to_wait
    assert not row.errors
    # One may have been on its way already.
    assert row.health.pop("200", 0) <= 1
    assert set(row.health) == {"503"}


def test_a_mail_server_that_refuses_everything_for_a_while_gets_every_mail_once(running_site, note):
    with running_site.crowd(before=0.5, after=2) as signers, signers.broken():
        running_site.mail.commands["MAIL"] = "451 4.3.0 not now"
        time.sleep(4)
        running_site.mail.commands.clear()
    row = note(running_site.row(signers, "mail server refuses everything for now"))

    assert (row.repeated, row.errors) == (0, {})
