"""PgBouncer before PostgreSQL: in session mode it works; in transaction mode too, or it is refused by name."""

import subprocess
import time
from contextlib import contextmanager
from shutil import which

import pytest

from tests.faults.rig import as_owner
from tests.support import server

BOUNCER = which("pgbouncer", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(not BOUNCER, reason="PgBouncer is not installed")
SECONDS = 20


@contextmanager
def pgbouncer(site, mode):
    port, folder = server.free_port(), site.folder / "pgbouncer"
    folder.mkdir(exist_ok=True)
    (folder / "users").write_text('"petition" ""\n')
    (folder / "ini").write_text(
        f"[databases]\npetition = host={site.cluster.folder} port={site.cluster.port}\n"
        f"[pgbouncer]\npool_mode = {mode}\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\nmax_client_conn = 200\ndefault_pool_size = 20\n"
        "ignore_startup_parameters = extra_float_digits,options\n"
    )
    folder.chmod(0o755)
    with (site.logs / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(as_owner(BOUNCER, folder / "ini"), stdout=log, stderr=log, cwd="/")
    site.variables["DATABASE_URL"] = f"postgresql://petition@127.0.0.1:{port}/petition"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_in_session_mode(site, note):
    with pgbouncer(site, "session"), site:
        with site.crowd() as signers:
            time.sleep(SECONDS)
        row = note(site.row(signers, "PgBouncer, session mode"))
    assert (row.errors, row.told_to_wait, row.repeated) == ({}, 0, 0)


def test_in_transaction_mode(site, note):
    """Refused at the start by a check that names it; or all works."""
    with pgbouncer(site, "transaction"):
        site.cluster.start()
        said = site.manage("check", "--deploy", "--database", "default", check=False)
        site.cluster.stop()
        if "PgBouncer" in said and "(petition.E" in said:
            return
        with site:
            with site.crowd() as signers:
                time.sleep(SECONDS)
            row = note(site.row(signers, "PgBouncer, transaction mode"))
    assert (row.errors, row.told_to_wait, row.repeated) == ({}, 0, 0)
