"""The web server comes back at its socket, however it ended."""

import http.client
import signal
import socket
from contextlib import contextmanager

import pytest

from config.serve import remove_if_stale
from tests.support import server


class Site(http.client.HTTPConnection):
    """An answer over a socket in the file system."""

    def __init__(self, path):
        super().__init__("127.0.0.1", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def answers(path):
    try:
        site = Site(path)
        site.request("GET", "/healthz")
        return site.getresponse().read()
    except OSError:
        return None


@contextmanager
def serving(path, log):
    serve = (server.PYTHON, "-m", "config.serve", "--workers", "1", "--uds", str(path))
    with server.process(*serve, log=log) as process:
        server.wait_until(lambda: answers(path))
        yield process


@pytest.mark.django_db(transaction=True)
def test_a_server_that_was_killed_starts_again_at_its_socket(tmp_path):
    path = tmp_path / "web.sock"
    with serving(path, tmp_path / "web.log") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.wait_until(lambda: not answers(path))
    assert path.is_socket()

    with serving(path, tmp_path / "web.log"):
        assert answers(path)


def test_a_socket_at_which_somebody_answers_stays_and_so_does_any_other_file(tmp_path):
    path, other = tmp_path / "web.sock", tmp_path / "letter"
    other.write_text("Dear Anna")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        remove_if_stale(path)
        assert path.is_socket()
    remove_if_stale(other)
    remove_if_stale(tmp_path / "nothing")
    assert other.read_text() == "Dear Anna"

    remove_if_stale(path)
    assert not path.exists()
