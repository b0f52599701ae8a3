"""SIGKILL of the app, its processes and the workers, under systemd and without."""

import random
import time

import pytest

SECONDS, KILLS = 120, 40
MAIL_SECONDS = 45


@pytest.mark.parametrize("emptied", [True, False], ids=["under systemd", "with its stale socket"])
def test_of_everything(site, note, emptied):
    site.emptied_by_systemd = emptied
    chance = random.Random(13)
    with site:
        with site.crowd() as signers, signers.broken():
            # So workers have some in hand when they are killed.
            signers.seconds_to_take_a_mail = 0.2
            end = time.monotonic() + SECONDS
            for number in range(KILLS):
                site.kill_something(chance)
                time.sleep(max(0, (end - time.monotonic()) / (KILLS - number)))
        where = "under systemd" if emptied else "without systemd"
        row = note(site.row(signers, f"{KILLS} kills in {SECONDS} s, {where}"))

    assert row.gap < 5
    assert row.slowest_mail < MAIL_SECONDS
    assert row.page_gap < 5
