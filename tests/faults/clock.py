"""A machine whose clock is wrong: nothing is deleted or hidden, and mail goes on."""

import time

import pytest

SECONDS = 12
PENDING = 2_000
# Read by every Python that is started with this folder in its path.
WRONG = """
import time, datetime
import django.utils.timezone as timezone
real_time, real_now, real_monotonic = time.time, timezone.now, time.monotonic
def shift():
    return {shift}
time.time = lambda: real_time() + shift()
timezone.now = lambda: real_now() + datetime.timedelta(seconds=shift())
"""
DAY = 86_400
SHIFTS = {
    "8 days ahead": f"8 * {DAY}",
    "2 days ahead": f"2 * {DAY}",
    "an hour behind": "-3600",
    "jumping": f"[0, 8 * {DAY}, -3600, 2 * {DAY}][int(real_monotonic()) % 4]",
}
LONG_PENDING = """
    INSERT INTO petition_signature (id, petition_id, email_digest, country, language, consent_version, created_at)
    SELECT n, (SELECT min(id) FROM petition_petition), sha256(convert_to(n::text, 'UTF8')), 'DE', 'en', 1,
        date_trunc('hour', now(), 'UTC') - make_interval(hours => mod(n, 120))
    FROM generate_series(1, %s) AS n
"""


def run(site, note, fault, then=lambda: None):
    with site:
        site.cluster.sql(LONG_PENDING, PENDING)
        with site.crowd() as signers:
            time.sleep(SECONDS)
            then()
            time.sleep(SECONDS / 2)
        left = site.cluster.sql("SELECT count(*) FROM petition_signature WHERE id <= %s", PENDING)[0][0]
        says = (site.health() or {}).get("clock")
        row = note(site.row(signers, fault, pending_left=f"{left} of {PENDING}", clock=says))
    assert left == PENDING
    assert (row.errors, row.told_to_wait) == ({}, 0), row
    # A worker is killed to start with the wrong clock, and may have had a mail in hand.
    assert row.repeated <= 1, row
    assert row.slowest_mail < 45
    return says


def lie(site, shift):
    folder = site.folder / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WRONG.format(shift=SHIFTS[shift]))
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("shift", SHIFTS)
def test_of_a_worker(site, note, shift):
    site.of_worker[2] = lie(site, shift)
    run(site, note, f"clock of a worker {shift}", then=lambda: site.workers[1].kill())


@pytest.mark.parametrize("shift", SHIFTS)
def test_of_the_app(site, note, shift):
    site.of_web = lie(site, shift)
    says = run(site, note, f"clock of the app {shift}")
    assert says == "differs" or shift == "jumping"
