"""The way of a signer through a network that breaks each connection to us after some kilobytes, as in Russia.

Chromium, the wall, the shipped nginx with TLS, the real server and the real worker.
"""

import re
import socket
import ssl
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from petition.models import Signature
from tests.support import nginx, server
from tests.support.browser import another, needs_chromium, visitor
from tests.support.wall import LIMIT_BYTES, wall

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(nginx.MISSING is not None, reason=str(nginx.MISSING)),
]

COUNT = "/petitions/chechnya/count.json"
# The home page with style and script, without and with the headers of the three; and every other page of the way.
HOME_BYTES, HOME_WITH_HEADERS_BYTES, PAGE_BYTES = 10_240, 12_288, 8_192


@pytest.fixture
def site(settings, tmp_path):
    """The ports of nginx and of the app behind it."""
    for mail in Path(settings.EMAIL_FILE_PATH).glob("*.eml"):
        mail.unlink()
    call_command("load_campaign")
    ports = server.free_port(), server.free_port()
    with (
        server.web(tmp_path / "web.log", TRUSTED_PROXIES="127.0.0.1/32") as app_port,
        server.worker(tmp_path / "worker.log"),
        nginx.running(tmp_path / "nginx", f"127.0.0.1:{app_port}", settings.STATIC_ROOT, ports, tls=True),
    ):
        yield ports[0], app_port


@pytest.fixture(scope="session")
def browsers(browser):
    """By the newest HTTP that they know. Both prefer HTTP/2 to HTTP/1.1 where it is offered."""
    with another(browser, "--disable-http2") as old:
        yield {"HTTP/1.1": old, "HTTP/2": browser}


def mailed_link(app_port):
    """The path of the link in the newest mail, which does not come through the wall."""

    def link():
        return re.search(r"/(?:en|ru)/confirm/[^\s\"<]+", server.fetch(app_port, "GET", "/dev/mail/").content.decode())

    return server.wait_until(link)[0]


def journey(page, language, app_port):
    """Sign as a first visitor does, until the thanks are there. Each page is there once its style and script are."""
    page.goto(f"/{language}/")
    page.fill("#id_email", "anna@example.org")
    page.check("#id_consent")
    page.locator("form[action$='/sign/'] button").click()
    page.wait_for_url("**/check-inbox/")
    page.goto(mailed_link(app_port))
    page.locator("main form button").first.click()
    page.wait_for_url("**/thanks/")


@needs_chromium
@pytest.mark.parametrize("breaks", ["stall", "reset"])
@pytest.mark.parametrize("newest", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_signer_behind_the_wall_comes_to_the_thanks(browsers, site, language, script, newest, breaks):
    port, app_port = site
    options = {"locale": language, "java_script_enabled": script, "ignore_https_errors": True}
    with wall(port, breaks) as between, visitor(browsers[newest], between.url, **options) as page:
        journey(page, language, app_port)

        assert Signature.objects.counted().count() == 1
        print(f"{len(between.passed)} connections, {max(between.passed):,} bytes the longest")  # noqa: T201
        assert between.broken == 0


@needs_chromium
@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_page_of_the_way_is_light(browser, site, language):
    """Each answer as it is sent; style and script come once, with the home page."""
    port, app_port = site
    bodies, taken = {}, {}

    def weigh(request):
        path, sizes = urlsplit(request.url).path, request.sizes()
        # What the browser has kept it reports again.
        bodies.setdefault(path, sizes["responseBodySize"])
        taken.setdefault(path, sizes["responseHeadersSize"] + sizes["responseBodySize"])

    options = {"locale": language, "ignore_https_errors": True}
    with visitor(browser, f"https://127.0.0.1:{port}", **options) as page:
        page.on("requestfinished", weigh)
        journey(page, language, app_port)
        page.wait_for_load_state("networkidle")

    first = [path for path in taken if path == f"/{language}/" or path.startswith("/static/site.")]
    home, with_headers = sum(bodies[path] for path in first), sum(taken[path] for path in first)
    pages = [size for path, size in taken.items() if path.startswith(f"/{language}/") and path != f"/{language}/"]
    heaviest = max(pages)
    print(f"/{language}/: {home:,} bytes, {with_headers:,} with headers, another page {heaviest:,}")  # noqa: T201
    assert len(pages) == 4  # the answer to the form, which leads to the inbox; the inbox, the link, the thanks
    assert heaviest <= PAGE_BYTES
    assert len(first) == 3
    assert home <= HOME_BYTES
    assert with_headers <= HOME_WITH_HEADERS_BYTES


# What the shipped file promises, to any client.


@pytest.fixture
def connect(site):
    """Connections through one wall, by a browser that remembers sessions, and what the wall has seen."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with ExitStack() as opened:
        between = opened.enter_context(wall(site[0], "stall"))

        def connect(session=None):
            plain = opened.enter_context(socket.create_connection(("127.0.0.1", between.port), timeout=20))
            return opened.enter_context(context.wrap_socket(plain, session=session))

        yield connect, between, context


def get(connection, path):
    """The answer, and how many bytes it took without TLS."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip, br\r\n\r\n".encode())
    answer = HTTPResponse(connection)
    answer.begin()
    return answer, len(answer.read()) + len(str(answer.headers))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_who_watches_the_number_and_then_opens_the_heaviest_page_stays_below_the_wall(connect, language):
    connect, between, _context = connect
    watching = connect()

    assert not get(watching, COUNT)[0].will_close
    assert not get(watching, COUNT)[0].will_close
    assert get(watching, f"/{language}/")[0].will_close
    assert watching.recv(1) == b""
    print(f"{between.passed[0]:,} bytes")  # noqa: T201
    assert between.passed[0] < LIMIT_BYTES


def test_who_goes_on_watching_gets_a_new_connection_in_time(connect):
    connect, _between, _context = connect
    watching = connect()

    assert [get(watching, COUNT)[0].will_close for _number in range(3)] == [False, False, True]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_comes_back_is_spared_the_certificate(connect, version):
    connect, between, context = connect
    context.maximum_version = version
    first = connect()
    get(first, COUNT)
    second = connect(first.session)
    _answer, size = get(second, COUNT)

    assert second.session_reused
    assert between.passed[1] - size < 700


def test_a_browser_that_prefers_http_2_gets_http_1(connect):
    connect, _between, context = connect
    context.set_alpn_protocols(["h2", "http/1.1"])

    assert connect().selected_alpn_protocol() == "http/1.1"
