"""`make run` as a newcomer meets it: it comes up, says what to open, and leaves nothing behind however it ends."""

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from petition import offline_key
from tests.support.server import free_port, wait_until

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def started(var, port):
    # Nothing of the environment of the tests: their keys and their database are not this run's.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        # Under nohup the tests would hand on that SIGHUP is ignored, and wait for ever.
        ["env", "--default-signal=HUP", sys.executable, "-m", "config.local", "run"],
        cwd=PROJECT,
        # As under make, it ends with its parent: nothing is left of tests that are killed.
        env=environment | {"LOCAL": "1", "VAR_DIR": str(var), "PORT": str(port), "MAKELEVEL": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        try:
            yield run
        finally:
            run.kill()


@contextmanager
def running(var):
    """A run that is ready, with its `port` and what it `said`. Afterwards nothing of it is left."""
    port = free_port()
    with started(var, port) as run:
        run.port, run.said = port, ""
        while "Ready" not in run.said:
            line = run.stdout.readline()
            assert line, f"It ended before it was ready: {run.said}"
            run.said += line
        yield run
    wait_until(lambda: left(var) == [])


def left(var):
    """The pids of all processes that have to do with this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            about = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if os.fsencode(var) in about:
            found.append(int(process.name))
    return found


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child(run, word):
    """The pid of the child of the run that has this word in its command line."""
    return next(pid for pid in children(run.pid) if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes())


def status(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection), suppress(OSError):
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.fixture(scope="module")
def var(tmp_path_factory):
    """A folder in which it ran before, so that a run starts within seconds; its path has a space."""
    folder = tmp_path_factory.mktemp("a clone") / "var"
    with running(folder) as run:
        run.terminate()
        run.wait()
    return folder


def test_it_says_what_to_open(var):
    with running(var) as run:
        assert f"http://127.0.0.1:{run.port}/\n" in run.said
        assert f"http://127.0.0.1:{run.port}/admin/  admin, password {(var / 'admin-login').read_text()}\n" in run.said
        assert status(run.port, "/healthz") == 200
        assert status(run.port, "/en/") == 200
        assert status(run.port, "/dev/mail/") == 200
        assert status(run.port, "/admin/login/") == 200


def test_the_mailing_list_can_be_tried(var):
    with running(var) as run:
        passphrase = re.search(r"list\.key opens what the mailing list exports, passphrase: (.+)\n", run.said)[1]
        assert offline_key.read((var / "list.key").read_text(), passphrase)
        assert status(run.port, "/en/petitions/chechnya/subscribe/") == 200


def test_its_secrets_are_made_once_and_readable_by_nobody_else(var):
    files = [var / name for name in ("local.env", "worker.env", "admin-login", "list.key")]
    before = [file.read_text() for file in files]
    with running(var):
        pass

    assert [file.read_text() for file in files] == before
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 4


def test_a_second_run_is_refused_and_does_not_disturb_the_first(var, tmp_path):
    with running(var) as run:
        for other_var, other_port, reason in (
            (tmp_path / "var", run.port, f"Port {run.port} is taken"),
            (var, run.port, "already running"),
            (var, free_port(), "already running"),
        ):
            with started(other_var, other_port) as second:
                assert reason in second.communicate()[0]
                assert second.returncode == 1

        assert status(run.port, "/healthz") == 200
    assert left(tmp_path / "var") == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_of_it(var, signum):
    with running(var) as run:
        assert len(left(var)) > 5

        run.send_signal(signum)

        assert run.wait() == 0
        assert left(var) == []


@pytest.mark.parametrize("processes", [1, 4])
def test_a_signal_while_it_starts_stops_all_of_it(var, processes):
    with started(var, free_port()) as run:
        wait_until(lambda: len(left(var)) >= processes)
        run.terminate()
        run.wait()

    assert left(var) == []


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_signal_the_moment_it_starts_another_process_stops_that_too(var, number):
    with started(var, free_port()) as run:
        seen = set()
        # Asked without a pause, for the keeper of the database, psql, and what prepares the rest come and go.
        wait_until(lambda: seen.update(children(run.pid)) or len(seen) >= number, pause=0)
        run.terminate()
        run.wait()

    assert left(var) == []


def test_after_a_kill_nothing_is_left_and_the_next_run_starts_at_once(var):
    with running(var) as killed:
        killed.kill()
        killed.wait()
        with running(var) as run:
            assert status(run.port, "/healthz") == 200
            run.kill()
            run.wait()

    wait_until(lambda: left(var) == [])


def test_nothing_is_left_when_the_web_server_is_killed_together_with_its_parent(var):
    with running(var) as run:
        web = child(run, "config.serve")
        run.kill()
        os.kill(web, signal.SIGKILL)

    wait_until(lambda: left(var) == [])


@pytest.mark.parametrize(("name", "program"), [("web", "config.serve"), ("worker", "worker")])
def test_when_a_part_ends_it_is_named_and_the_rest_ends_too(var, name, program):
    with running(var) as run:
        os.kill(child(run, program), signal.SIGKILL)

        assert f"The {name} process has ended. Its log: {var / name}.log" in run.communicate()[0]
        assert run.returncode == 1
        assert left(var) == []


def test_a_crashed_process_of_the_web_server_is_replaced(var):
    with running(var) as run:
        web = child(run, "config.serve")
        crashed = children(web)[0]
        os.kill(crashed, signal.SIGKILL)

        wait_until(lambda: crashed not in children(web) and len(children(web)) >= 2)
        wait_until(lambda: status(run.port, "/healthz") == 200)
        assert run.poll() is None


def test_without_the_makefile_it_refuses():
    run = subprocess.run(
        [sys.executable, "-m", "config.local", "run"], cwd=PROJECT, env={}, capture_output=True, text=True
    )

    assert run.returncode == 1
    assert "make run" in run.stderr


def refused(environment, *before):
    """What a run says that does not come up: one line, and exit code 1."""
    run = subprocess.run(
        [*before, sys.executable, "-m", "config.local", "run"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "LOCAL": "1"} | environment,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    return line


def within(mount):
    """A command that runs what follows where `mount`, a line of shell, was done; skips the test where none may be."""
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-ec", f'{mount}; exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespaces here")
    return command


@pytest.mark.parametrize("port", ["abc", "0", "65536", "80000", "-1"])
def test_a_port_that_is_none_is_refused_in_one_line(tmp_path, port):
    assert refused({"VAR_DIR": str(tmp_path), "PORT": port}) == "PORT must be a number from 1 to 65535."


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_another_program_has_is_refused_on_either_protocol(tmp_path, family, host):
    """Whoever opens "localhost" may come by IPv6 first."""
    with socket.socket(family) as other:
        try:
            other.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        other.listen()
        port = other.getsockname()[1]

        assert f"Port {port} is taken." in refused({"VAR_DIR": str(tmp_path / "var"), "PORT": str(port)})


def test_a_read_only_folder_is_named_in_one_line(tmp_path):
    mount = within(f"mount -t tmpfs -o ro tmpfs {tmp_path}")

    line = refused({"VAR_DIR": str(tmp_path), "PORT": str(free_port())}, *mount)

    assert line.startswith(str(tmp_path))
    assert "Read-only file system" in line
    assert "VAR_DIR=/path" in line


@pytest.mark.parametrize("size", ["64k", "2M"])
def test_a_full_disk_is_named_in_one_line(tmp_path, size):
    mount = within(f"mount -t tmpfs -o size={size} tmpfs {tmp_path}")

    line = refused({"VAR_DIR": str(tmp_path), "PORT": str(free_port())}, *mount)

    assert re.match(rf"{tmp_path} has \d MB left and needs 80 MB\.", line)


def test_a_folder_that_is_a_file_is_named_in_one_line(tmp_path):
    (tmp_path / "var").write_text("")

    assert refused({"VAR_DIR": str(tmp_path / "var"), "PORT": str(free_port())}).startswith(f"{tmp_path / 'var'}: ")


def test_a_user_without_a_name_is_told_so_and_nothing_is_left_of_the_database(tmp_path):
    nameless = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    if subprocess.run([*nameless, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespaces here")

    line = refused({"VAR_DIR": str(tmp_path), "PORT": str(free_port())}, *nameless)

    assert "user 12345, who has no name" in line
    assert not (tmp_path / "postgres").exists()
