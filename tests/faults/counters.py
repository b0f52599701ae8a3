"""The counters of limits away, in Redis or in PostgreSQL: nobody slips past a limit, and nothing is a 500."""

import subprocess
import time
from contextlib import contextmanager
from importlib.util import find_spec
from shutil import which

import pytest

from tests.support import server

SECONDS = 10


@contextmanager
def redis(port):
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        server.wait_until(
            lambda: subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True).returncode == 0
        )
        yield process
    finally:
        process.kill()
        process.wait()


def must_hold(row, signers):
    assert not row.errors, row
    assert {answer.said for answer in signers.while_broken("sign")[12:-12]} == {"503"}, row
    assert row.health.get("503", 0) > row.health.get("200", 0), row
    assert row.page_gap < 3, row
    assert row.recovered < 5, row
    assert row.slowest_mail < 45, row


@pytest.mark.skipif(not which("redis-server") or not find_spec("redis"), reason="Redis or its client is not installed")
def test_redis_killed(site, note):
    port = server.free_port()
    site.variables["CACHE_URL"] = f"redis://127.0.0.1:{port}"
    with redis(port) as first, site:
        with site.crowd(after=10) as signers, signers.broken():
            first.kill()
            time.sleep(SECONDS)
            again = redis(port)
            again.__enter__()
        row = note(site.row(signers, "Redis killed", worker_starts=[worker.starts for worker in site.workers]))
        again.__exit__(None, None, None)
    must_hold(row, signers)
    assert row.seen["worker_starts"] == [1, 1]


def test_the_table_of_counters_is_gone(site, note):
    with site:
        with site.crowd(after=10) as signers, signers.broken():
            site.cluster.sql("ALTER TABLE petition_cache RENAME TO gone")
            time.sleep(SECONDS)
            site.cluster.sql("ALTER TABLE gone RENAME TO petition_cache")
        row = note(
            site.row(signers, "table of counters gone", worker_starts=[worker.starts for worker in site.workers])
        )
    must_hold(row, signers)
    assert row.seen["worker_starts"] == [1, 1]
