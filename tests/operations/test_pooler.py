"""PgBouncer between us and PostgreSQL: by session it works, by the transaction the start is refused."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from django.db import connection

from tests.operations.test_checks import run
from tests.support import server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not shutil.which("pgbouncer"), reason="PgBouncer is not installed (Debian: pgbouncer)"),
]


@contextmanager
def pgbouncer(folder, mode):
    """The DATABASE_URL of a PgBouncer before the database of the test."""
    values = connection.settings_dict
    host = values["OPTIONS"].get("host") or values["HOST"]
    owner = Path(host).stat() if host.startswith("/") else Path.home().stat()
    port = server.free_port()
    sockets = folder / mode
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    (sockets / "pgbouncer.ini").write_text(f"""
[databases]
* = host={host} port={values["PORT"] or 5432} user={values["USER"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
ignore_startup_parameters = extra_float_digits, options
""")
    # It does not run as root; whoever runs the database may use its socket.
    drop = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    command = [*(drop if os.geteuid() == 0 else []), "pgbouncer", str(sockets / "pgbouncer.ini")]
    # pytest's folders are for their owner alone.
    with (sockets / "pgbouncer.ini").open() as configuration:
        command[-1] = f"/proc/self/fd/{configuration.fileno()}"
        started = subprocess.Popen(
            command, pass_fds=[configuration.fileno()], stderr=(folder / f"{mode}.log").open("wb")
        )
    url = f"postgresql://{values['USER']}@127.0.0.1:{port}/{values['NAME']}"
    try:
        server.wait_until(lambda: answers(url))
        yield url
    finally:
        started.terminate()
        started.wait(10)


def answers(url):
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def check(url):
    return run("manage.py", "check", "--database", "default", environment=server.environment(DATABASE_URL=url))


def test_by_session_it_works(tmp_path):
    with pgbouncer(tmp_path, "session") as url:
        code, said = check(url)

    assert (code, "no issues" in said) == (0, True), said


def test_by_the_transaction_the_start_is_refused(tmp_path):
    with pgbouncer(tmp_path, "transaction") as url:
        code, said = check(url)

    assert (code, "petition.E022" in said, "pool_mode = session" in said) == (1, True, True), said
