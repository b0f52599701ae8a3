"""PostgreSQL killed, stopped, hanging, locked, full, out of connections: reading goes on, and nothing is lost."""

import os
import signal
import subprocess
import time
from contextlib import closing

import psycopg2
import pytest

SECONDS = 15
REFUSAL_SECONDS = 3
HEALTH_SECONDS = 2
# Probes come every half second, over a machine that is busy.
SPARE_SECONDS = 1


def must_hold(row, back=10):
    """What is promised of every fault of the database."""
    assert not row.errors, row
    assert row.slowest_refusal < REFUSAL_SECONDS + SPARE_SECONDS, row
    assert row.page_gap < REFUSAL_SECONDS, row
    assert row.slowest_health < HEALTH_SECONDS + SPARE_SECONDS, row
    assert row.health.get("503", 0) > row.health.get("200", 0), row
    assert row.recovered < back, row


def test_killed(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            site.cluster.kill()
            time.sleep(SECONDS)
            site.cluster.start()
        must_hold(note(site.row(signers, "PostgreSQL killed, and away")))


def test_stopped_by_its_owner(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            site.cluster.stop()
            time.sleep(SECONDS)
            site.cluster.start()
        must_hold(note(site.row(signers, "PostgreSQL stopped for a while")))


def test_frozen(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            pids = site.cluster.pids()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(SECONDS)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        must_hold(note(site.row(signers, "PostgreSQL frozen (SIGSTOP)")))


def test_commits_that_hang(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            site.cluster.reload(synchronous_standby_names="nobody")
            time.sleep(SECONDS)
            site.cluster.reload(synchronous_standby_names="")
        must_hold(note(site.row(signers, "commits hang")))


def test_a_lock_on_the_signatures(site, note):
    with site:
        locking = closing(psycopg2.connect(site.cluster.dsn()))
        with site.crowd(after=10) as signers, signers.broken(), locking as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE petition_signature")
            time.sleep(SECONDS)
        must_hold(note(site.row(signers, "a lock on petition_signature")))


def test_no_connection_left(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            # What the server says when others have taken all, to those who come and those who were there.
            site.cluster.sql("ALTER ROLE petition CONNECTION LIMIT 0", user="postgres")
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'petition'"
            site.cluster.sql(end, user="postgres")
            time.sleep(SECONDS)
            site.cluster.sql("ALTER ROLE petition CONNECTION LIMIT -1", user="postgres")
        must_hold(note(site.row(signers, "out of connections")))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_disk_full(site, note):
    disk = site.cluster.folder
    kept = disk.with_name("kept")
    disk.rename(kept)
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=220m,mode=755,uid=postgres,gid=postgres", "none", disk], check=True
    )
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", disk], check=True)
        with site:
            with site.crowd(after=10) as signers, signers.broken():
                ballast = disk / "ballast"
                subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], capture_output=True)
                time.sleep(SECONDS)
                ballast.unlink()
            must_hold(note(site.row(signers, "disk full")))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
