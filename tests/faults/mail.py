"""The mail server away, hanging, refusing and flapping: nobody's mail is lost, and the others' goes on."""

import socket
import time

from tests.support.mail_server import HANG

SECONDS = 30
BACK_SECONDS = 15
OTHERS_SECONDS = 15
TELL_SECONDS = 60
SILENT = 8
# Of two workers. Whatever a server was sent before it went away may be sent again.
CONNECTIONS = 8


def must_hold(row):
    assert not row.errors, row
    assert row.told_to_wait == 0, row
    assert row.repeated <= CONNECTIONS, row
    assert row.gap < 5, row


def is_back(row):
    """All that was signed before the server came back is out soon after."""
    assert row.mail_back < BACK_SECONDS, row


def test_away(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            site.mail.stop()
            time.sleep(SECONDS)
            site.mail.start()
        row = note(site.row(signers, "mail server away"))
    must_hold(row)
    is_back(row)


def test_hanging_before_its_banner(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            site.mail.stop()
            with socket.create_server(("127.0.0.1", site.mail.port)):
                time.sleep(SECONDS)
            site.mail.start()
        row = note(site.row(signers, "mail server silent before its banner"))
    must_hold(row)
    is_back(row)


def test_hanging_after_the_text(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            site.mail.commands["DATA"] = HANG
            time.sleep(SECONDS)
            site.mail.commands.clear()
        row = note(site.row(signers, "mail server silent after each text"))
    must_hold(row)
    # What it was sent it may have taken: that is tried again after a minute only.
    assert signers.mail_seconds(signed_after=signers.lifted_at) < BACK_SECONDS


def test_silent_for_single_recipients(site, note):
    with site:
        with site.crowd(before=0) as signers, signers.broken():
            silent = [f"{signers.word}.{number}@example.org" for number in range(10, 10 + 5 * SILENT, 5)]
            for who in silent:
                site.mail.commands["DATA", who] = HANG
            time.sleep(2 * SECONDS)
            site.mail.commands.clear()
        others = signers.mail_seconds(but=silent)
        row = note(site.row(signers, f"mail server silent for {SILENT} recipients", slowest_of_others=round(others, 1)))
    must_hold(row)
    assert others < OTHERS_SECONDS


def test_451_for_everything(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            site.mail.commands["MAIL"] = "451 4.3.0 try again later"
            time.sleep(SECONDS)
            site.mail.commands.clear()
        row = note(site.row(signers, "mail server says 451 to everything"))
    must_hold(row)
    is_back(row)


def test_451_for_every_recipient(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            site.mail.commands["RCPT"] = "451 4.7.1 greylisted"
            time.sleep(SECONDS)
            site.mail.commands.clear()
        row = note(site.row(signers, "mail server says 451 to every recipient"))
    must_hold(row)
    is_back(row)


def test_flapping(site, note):
    with site:
        with site.crowd(after=20) as signers, signers.broken():
            for _time in range(SECONDS // 4):
                site.mail.stop()
                time.sleep(2)
                site.mail.start()
                time.sleep(2)
        row = note(site.row(signers, "mail server flapping, 2 s and 2 s"))
    must_hold(row)
    is_back(row)


def test_550_for_us(site, note):
    """It refuses the site rather than a mail: that is told, nothing is parked, and all goes out once it is over."""
    with site:
        with site.crowd(after=30) as signers, signers.broken():
            site.mail.commands["RCPT"] = "550 5.7.1 your host is listed"
            began, told = time.monotonic(), None
            while told is None and time.monotonic() < began + TELL_SECONDS:
                time.sleep(1)
                if (site.health() or {}).get("mail") == "refused":
                    told = round(time.monotonic() - began)
            site.mail.commands.clear()
            ((parked,),) = site.cluster.sql("SELECT count(*) FROM petition_outgoingmail WHERE parked_at IS NOT NULL")
        row = note(site.row(signers, "mail server says 550 5.7.1 to everything", told_after=told, parked=parked))
    must_hold(row)
    is_back(row)
    assert (told is not None, parked) == (True, 0)
