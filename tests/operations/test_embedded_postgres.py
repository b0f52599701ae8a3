"""The embedded PostgreSQL, tried with real processes: started, shared, killed, and put in odd places."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import environ
import psycopg2
import pytest

from config.local import postgres

PROJECT = Path(__file__).resolve().parents[2]
# Uses the cluster until its standard input ends.
USER = """
import sys
from pathlib import Path
from config.local import postgres
try:
    with postgres.running(Path(sys.argv[1]), fsync="off"):
        print("up", flush=True)
        sys.stdin.read()
except postgres.ClusterError as error:
    print(error, flush=True)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it for other users; CI is root")


@contextmanager
def user_of(data, prefix=(), **environment):
    """Another process that uses the cluster; what it says once it is up is its `said`."""
    command = [*prefix, sys.executable, "-c", USER, str(data)]
    with subprocess.Popen(
        command, cwd=PROJECT, env=os.environ | environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            process.said = process.stdout.readline().strip()
            yield process
        finally:
            if process.poll() is None:
                process.stdin.close()


def ordinary(uid):
    """Become an ordinary user, who can read our interpreter and pytest's folders but write nowhere else."""
    capability = "-all,+dac_read_search"
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return [*drop, f"--inh-caps={capability}", f"--ambient-caps={capability}"]


def query(data, statement):
    database = environ.Env.db_url_config(postgres.url(data))
    connection = psycopg2.connect(dbname=database["NAME"], user=database["USER"], **database["OPTIONS"])
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def processes(data):
    """The pids of keepers and servers of this folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = line.read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if any(str(data).encode() in word for word in command) and USER.encode() not in command:
            found.append(int(line.parent.name))
    return found


def keeper_of(data):
    program = os.fsencode(postgres.__file__)
    return next(pid for pid in processes(data) if program in Path(f"/proc/{pid}/cmdline").read_bytes())


def postmaster_of(data):
    return int((data / "cluster" / "postmaster.pid").read_text().split()[0])


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cluster that was started and stopped before."""
    data = tmp_path_factory.mktemp("made") / "postgres"
    with postgres.running(data, fsync="off"):
        pass
    return data


def test_the_server_runs_inside_the_block_and_is_gone_after_it(made):
    with postgres.running(made):
        assert query(made, "SELECT lower('ЁЛКА')") == "ёлка"
        assert query(made, "SELECT current_setting('listen_addresses')") == ""

    assert not postgres.is_running(made)
    assert processes(made) == []


def test_asking_for_the_url_makes_nothing(tmp_path):
    assert postgres.url(tmp_path / "none").startswith("postgresql://petition@/petition?host=/")

    assert list(tmp_path.iterdir()) == []


def test_eight_first_starts_at_once_share_one_server(tmp_path):
    data = tmp_path / "postgres"
    command = [sys.executable, "-c", USER, str(data)]
    users = [
        subprocess.Popen(command, cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(8)
    ]

    assert [user.stdout.readline() for user in users] == ["up\n"] * 8
    assert query(data, "SELECT count(*) FROM pg_database WHERE datname = 'petition'") == 1
    for user in users:
        user.communicate()

    assert processes(data) == []


def test_the_server_stays_until_its_last_user_has_gone(made):
    with user_of(made) as last:
        with postgres.running(made):
            server = postmaster_of(made)

        assert query(made, "SELECT 1") == 1
        assert postmaster_of(made) == server
        assert last.said == "up"

    assert processes(made) == []


def test_killing_the_last_user_stops_the_server(made):
    with user_of(made) as user:
        user.kill()
        user.wait()

        wait_until(lambda: not postgres.is_running(made))

    assert processes(made) == []


def test_killing_the_keeper_stops_the_server_and_the_next_user_starts_it_again(made):
    with user_of(made) as first:
        os.kill(keeper_of(made), signal.SIGKILL)
        wait_until(lambda: not postgres.is_running(made))
        assert first.poll() is None

        with user_of(made) as second:
            assert second.said == "up"
            assert query(made, "SELECT 1") == 1

    assert processes(made) == []


def test_a_start_right_after_a_killed_keeper_waits_for_the_old_server_to_go(made):
    with user_of(made), user_of(made):
        os.kill(keeper_of(made), signal.SIGKILL)
        with user_of(made) as next_user:
            assert next_user.said == "up"


def test_a_stale_pid_file_that_names_a_living_stranger_harms_neither(made):
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            with user_of(made) as user:
                pid_file, socket_lock = made / "cluster" / "postmaster.pid", made / ".s.PGSQL.5432.lock"
                left = {path: path.read_text().splitlines() for path in (pid_file, socket_lock)}
                for pid in (keeper_of(made), postmaster_of(made)):
                    os.kill(pid, signal.SIGKILL)
                user.kill()
                wait_until(lambda: not postgres.is_running(made))
            for path, lines in left.items():
                path.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

            with postgres.running(made):
                assert query(made, "SELECT 1") == 1

            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_first_start_that_was_killed_is_made_anew(tmp_path):
    data = tmp_path / "postgres"
    with subprocess.Popen([sys.executable, "-c", USER, str(data)], cwd=PROJECT, stdin=subprocess.PIPE) as user:
        wait_until(lambda: (data / "cluster.new").exists() or (data / "cluster").exists())
        user.kill()
        os.kill(keeper_of(data), signal.SIGKILL)

    with postgres.running(data, fsync="off"):
        assert query(data, "SELECT 1") == 1


@pytest.mark.parametrize(
    "name",
    ["with spaces", "commas, and = signs", "quotes ' and \"", "back\\slash %2F $HOME `id`", "подпись", "long" * 50],
)
def test_any_path_will_do(tmp_path, name):
    data = tmp_path / name / "postgres"
    with postgres.running(data, fsync="off"):
        assert query(data, "SELECT 1") == 1

    assert processes(data) == []


def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path):
    data = tmp_path / "odd path" / "postgres"
    sockets = postgres._socket_folder(data)
    sockets.mkdir()
    sockets.chmod(0o777)
    try:
        with pytest.raises(postgres.ClusterError, match="only its owner can enter"), postgres.running(data):
            pass
    finally:
        sockets.rmdir()


def test_a_server_that_cannot_start_says_why(made):
    with pytest.raises(postgres.ClusterError, match="no_such_setting"), postgres.running(made, no_such_setting="1"):
        pass

    assert processes(made) == []


def test_a_missing_database_is_made(made):
    with postgres.running(made):
        assert postgres._sql(made, "DROP DATABASE petition") == ""

        with postgres.running(made):
            assert query(made, "SELECT 1") == 1


def test_the_variables_of_another_postgresql_do_not_lead_astray(made):
    with user_of(made, PGPORT="1", PGHOST="/nowhere", PGDATA="/nowhere", PGOPTIONS="-c nonsense=1") as user:
        assert user.said == "up"


def test_a_failing_statement_leaves_no_name_in_the_log(made):
    with postgres.running(made):
        query(made, "CREATE TABLE signer (name text UNIQUE)")
        query(made, "INSERT INTO signer VALUES ('Zarema')")
        with pytest.raises(psycopg2.errors.UniqueViolation, match="Zarema"):
            query(made, "INSERT INTO signer VALUES ('Zarema')")
        query(made, "DROP TABLE signer")

    log = (made / "postgres.log").read_text()
    assert "unique constraint" in log
    assert "Zarema" not in log


@as_root
def test_root_needs_no_open_parents(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with postgres.running(closed / "postgres", fsync="off"):
        assert query(closed / "postgres", "SELECT 1") == 1
        assert (closed / "postgres").stat().st_uid != 0

    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0


@as_root
def test_root_needs_no_open_folder_for_the_binaries(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    binaries = Path(postgres.binary("postgres")).parent
    package = binaries.parent.parent
    shutil.copytree(binaries.parent, closed / package.name / binaries.parent.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    closed_binaries = closed / binaries.relative_to(package.parent)
    monkeypatch.setattr(postgres, "binary", lambda name: str(closed_binaries / name))
    data = closed / "postgres"
    postgres._make_private(data, data)

    with postgres.try_lock(data / "server.lock") as lock:
        initdb = postgres._child(data, lock, "initdb", *postgres.INITDB, "-D", str(data / "cluster"))

        assert initdb.wait() == 0


@as_root
def test_after_root_the_owner_of_the_folder_starts_the_same_cluster(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    with postgres.running(home / "postgres", fsync="off"):
        query(home / "postgres", "CREATE TABLE kept ()")

    with user_of(home / "postgres", ordinary(65534)) as user:
        assert user.said == "up"
        assert query(home / "postgres", "SELECT count(*) FROM kept") == 0
        with postgres.running(home / "postgres"):  # and root joins
            pass

    assert processes(home) == []


@as_root
def test_another_ordinary_user_is_told_whose_it_is(made):
    with user_of(made, ordinary(2)) as user:
        assert "belongs to user" in user.said
