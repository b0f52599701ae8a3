"""The shipped nginx.conf when more people come than the app can answer. The app is played by a thread."""

import os
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support import nginx, server

pytestmark = pytest.mark.skipif(nginx.MISSING is not None, reason=str(nginx.MISSING))

HOME = "/en/"
SIGN = "/en/petitions/chechnya/sign/"
CONFIRM = "/en/confirm/x/"
CODE = "/en/petitions/chechnya/confirm-code/"
PUBLIC = "public, max-age=0, s-maxage=1, stale-while-revalidate=1"
# How long each queue is, in nginx.conf.
PAGES, FORMS = 32, 128
# So many requests by the onion are at work at one time.
ONION = 24
# So long is at work what nothing ends, and half of it waits whoever is made to wait for that.
WORK_SECONDS = 60
# On a machine that others use as well, one of so many attempts has to be in time.
TIMES = 4


class App:
    """Answers GET with the time it was asked, and POST with 303. `slow` requests wait until `at_work` is set.

    `restarting`, it closes a connection that comes with a second request, as one does whose process has to end.
    """

    def __init__(self):
        self.slow = lambda method, path: False
        self.at_work = threading.Event()
        self.restarting = False
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            app = self
            kept = False

            def parse_request(self):
                # Each connection has a handler of its own.
                if self.kept and self.app.restarting:
                    self.close_connection = True
                    return False
                self.kept = True
                return super().parse_request()

            def do_GET(self):
                self.answer(200, PUBLIC if self.path == HOME else "no-store", str(time.monotonic()).encode())

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(303, "no-store", b"")

            def answer(self, status, cache_control, body):
                self.app.asked.append((self.command, self.path))
                if self.app.slow(self.command, self.path):
                    self.app.at_work.wait(WORK_SECONDS)
                self.send_response(status)
                self.send_header("Cache-Control", cache_control)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    @contextmanager
    def serving(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self.at_work.set()
            self.server.shutdown()
            self.server.server_close()


@pytest.fixture
def app():
    with App().serving() as app:
        yield app


@pytest.fixture
def port(app, tmp_path):
    ports = server.free_port(), server.free_port()
    with nginx.running(tmp_path / "nginx", f"127.0.0.1:{app.port}", tmp_path, ports, workers=2):
        yield ports[0]


def ask(port, path, method="GET", sender="127.0.0.1", **headers):
    """The answer, its body and the seconds it took, over a connection of its own."""
    begin = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=2 * WORK_SECONDS, source_address=(sender, 0))
    connection.request(method, path, "x=1" if method == "POST" else None, headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    answer.seconds = time.monotonic() - begin
    return answer


def senders(number):
    """Addresses of so many people: no address has all places in a queue."""
    return [f"127.0.0.{2 + place % 4}" for place in range(number)]


def test_a_number_is_never_older_than_its_page_may_be(app, port):
    """Both processes of nginx show a new page as soon as there is one, though they keep the files of the cache open."""

    def oldest(_attempt):
        asked, ages, until = len(app.asked), [], time.monotonic() + 6

        def watch(_number):
            while time.monotonic() < until:
                begin = time.monotonic()
                ages.append(begin - float(ask(port, HOME).text))

        with ThreadPoolExecutor(4) as people:
            list(people.map(watch, range(4)))
        assert len(ages) > 5 * (len(app.asked) - asked)
        return max(ages)

    # A second to keep it, one to show it while the next is made, one because nginx counts whole seconds, and some time
    # for the answer to arrive.
    assert any(oldest(attempt) < 4 for attempt in range(TIMES))


def test_whoever_finds_the_queue_full_is_told_so_at_once(app, port):
    app.slow = lambda method, path: method == "POST"
    with ThreadPoolExecutor(FORMS + 10) as people:
        signers = [people.submit(ask, port, SIGN, "POST", sender) for sender in senders(FORMS)]
        server.wait_until(lambda: len(app.asked) == FORMS)
        late = [people.submit(ask, port, SIGN, "POST", "127.0.0.9") for _number in range(10)]
        told = [signer.result() for signer in late]
        app.at_work.set()
        served = [signer.result() for signer in signers]

    assert {answer.status for answer in told} == {503}
    assert max(answer.seconds for answer in told) < WORK_SECONDS / 2
    assert all(int(answer.getheader("Retry-After")) >= 60 for answer in told)
    assert "probably not been stored" in told[0].text
    assert "Через минуту нажмите кнопку ещё раз" in told[0].text
    assert {answer.status for answer in served} == {303}
    assert len(app.asked) == FORMS


@pytest.mark.parametrize("path", [SIGN, CONFIRM, CODE])
def test_nothing_that_is_sent_is_lost_while_the_app_restarts(app, port, path):
    app.restarting = True

    told = [ask(port, path, "POST").status for _number in range(20)]

    assert told == [303] * 20
    assert len(app.asked) == 20


def test_a_crowd_at_the_door_holds_up_neither_numbers_nor_those_who_have_signed(app, port):
    app.slow = lambda method, path: path == SIGN
    with ThreadPoolExecutor(FORMS + 10) as people:
        signers = [people.submit(ask, port, SIGN, "POST", sender) for sender in senders(FORMS + 10)]
        server.wait_until(lambda: len(app.asked) == FORMS)

        assert ask(port, HOME).status == 200
        assert ask(port, CONFIRM).status == 200
        assert ask(port, CONFIRM, "POST").status == 303
        assert ask(port, CODE, "POST").status == 303
        app.at_work.set()
        assert sorted({signer.result().status for signer in signers}) == [303, 503]


def test_while_the_app_has_no_time_few_wait_for_a_page_and_the_rest_see_the_last_one(app, port):
    """However many come: were they all let through, the app would never find the time again."""
    last = ask(port, HOME).text
    app.slow = lambda method, path: method == "GET"
    time.sleep(4)  # until it may no longer be shown beside the making of the next one
    with ThreadPoolExecutor(2 * PAGES) as people:
        visitors = [people.submit(ask, port, HOME) for _number in range(2 * PAGES)]
        server.wait_until(lambda: sum(visitor.done() for visitor in visitors) >= PAGES)
        seen = [visitor.result() for visitor in visitors if visitor.done()]
        app.at_work.set()

    assert {(answer.status, answer.text) for answer in seen} == {(200, last)}
    assert max(answer.seconds for answer in seen) < WORK_SECONDS / 2
    assert {visitor.result().status for visitor in visitors} == {200}
    assert len(app.asked) <= 1 + PAGES


@pytest.mark.parametrize("path", ["/", CONFIRM])
def test_nobody_waits_for_the_page_of_another(app, port, path):
    """What may not be kept is asked for side by side, not one after another."""
    app.slow = lambda method, path: True

    def until_all_ask(_attempt):
        app.at_work.clear()
        app.asked.clear()
        with ThreadPoolExecutor(12) as people:
            visitors = [people.submit(ask, port, path) for _number in range(12)]
            server.wait_until(lambda: app.asked)
            begin = time.monotonic()
            server.wait_until(lambda: len(app.asked) == 12, pause=0.01)
            took = time.monotonic() - begin
            app.at_work.set()
        assert {visitor.result().status for visitor in visitors} == {200}
        return took

    # In the cache they would wait for a second.
    assert any(until_all_ask(attempt) < 0.5 for attempt in range(TIMES))


@pytest.mark.parametrize(
    ("browser", "start"), [("ru-RU,ru;q=0.9", "/ru/"), ("de,en;q=0.5", "/de/"), ("ja,en;q=0.5", "/en/"), ("", "/en/")]
)
def test_who_opens_the_bare_address_is_led_to_a_language_even_without_the_app(app, port, browser, start):
    app.server.shutdown()
    app.server.server_close()

    answer = ask(port, "/", **{"Accept-Language": browser})

    assert (answer.status, answer.getheader("Cache-Control")) == (302, "no-store")
    assert answer.getheader("Location").endswith(start)


def test_one_address_cannot_hold_every_place_with_forms_that_never_end(app, port):
    head = f"POST {SIGN} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx="
    with ExitStack() as connected:
        senders = [connected.enter_context(socket.create_connection(("127.0.0.1", port))) for _number in range(110)]
        for sender in senders:
            sender.sendall(head.encode())
        server.wait_until(lambda: len(select.select(senders, [], [], 0)[0]) == 10)  # these were answered, and refused

        assert ask(port, SIGN, "POST").status == 503
        assert ask(port, HOME).status == 200

    server.wait_until(lambda: ask(port, SIGN, "POST").status == 303)


def test_all_of_the_onion_together_leaves_places_for_everyone_else(app, tmp_path):
    """Anybody can come over as many circuits as she likes."""
    onion_port, ports = server.free_port(), (server.free_port(), server.free_port())
    app.slow = lambda method, path: path in (SIGN, CONFIRM)
    with (
        nginx.running(tmp_path / "nginx", f"127.0.0.1:{app.port}", tmp_path, ports, workers=2, onion_port=onion_port),
        ThreadPoolExecutor(2 * ONION) as people,
    ):
        crowd = [
            people.submit(nginx.over_tor, onion_port, circuit, (SIGN, CONFIRM)[circuit % 2], "POST")
            for circuit in range(2 * ONION)
        ]
        server.wait_until(lambda: sum(one.done() for one in crowd) == ONION)

        app.slow = lambda method, path: False
        assert ask(ports[0], SIGN, "POST").status == 303
        assert ask(ports[0], CONFIRM, "POST").status == 303
        app.at_work.set()

    assert sorted(one.result().status for one in crowd) == [303] * ONION + [503] * ONION


def test_a_log_that_is_moved_away_is_whole(port, tmp_path):
    log, folder = tmp_path / "nginx" / "access.log", tmp_path / "nginx"
    ask(port, HOME)
    log.rename(folder / "yesterday.log")
    os.kill(int((folder / "nginx.pid").read_text()), signal.SIGUSR1)
    server.wait_until(log.exists)
    ask(port, HOME)

    server.wait_until(lambda: len(log.read_text().splitlines()) == 1)
    assert len((folder / "yesterday.log").read_text().splitlines()) == 1
