"""Pages are light, ask nobody else for anything, and are there soon on a slow phone."""

import http.client

import pytest
from django.test import Client

from campaign.models import Page
from tests.support import server, states
from tests.support.browser import needs_chromium, visitor
from tests.web import test_headers

LANGUAGES = ["en", "ru"]
HOME_BYTES, PAGE_BYTES, EMBED_BYTES = 60_000, 40_000, 10_000
PICTURE_BYTES = 44_000  # of pages with the picture, in the size in which it is posted
HOME_REQUESTS = 6

# A phone of some years ago, far from the next mast.
BITS_PER_SECOND = 400_000
LATENCY_MS = 400
TIMES_SLOWER = 4
TEXT_WITHIN_MS = 3_000

PAINTS = "() => performance.getEntriesByName('first-contentful-paint').map((paint) => paint.startTime)[0]"

pytestmark = pytest.mark.django_db(transaction=True)

tokens = test_headers.tokens


@pytest.fixture
def site(tokens, make_signature, tmp_path):
    Page.objects.all().delete()
    states.seed(make_signature)
    with server.web(tmp_path / "web.log") as port:
        yield f"http://127.0.0.1:{port}"


def public_paths(language, tokens):
    paths = list(states.seeded(Client(), language))
    for visit in test_headers.ALL:
        is_page = (visit.type, visit.method, visit.status) == ("text/html", "GET", 200)
        if is_page and visit.path.startswith("/{language}/"):
            paths.append(visit.path.format(language=language, **tokens))
    return list(dict.fromkeys(paths))


def budget(path):
    """Bytes, and requests where they are limited."""
    if path.strip("/") in LANGUAGES:
        return HOME_BYTES, HOME_REQUESTS
    if path.endswith(("/share/", "/press/")):
        return PICTURE_BYTES, None
    return EMBED_BYTES if path.endswith("/embed/") else PAGE_BYTES, None


def icon(page, site, asked):
    """How many bytes the icon takes, which some browsers fetch where tests do not see it."""
    address = page.evaluate("document.querySelector('link[rel=icon]')?.getAttribute('href') ?? ''")
    if not address or any(request.url.endswith(address) for request in asked):
        return []
    connection = http.client.HTTPConnection(site.removeprefix("http://"))
    connection.request("GET", address, headers={"Accept-Encoding": "gzip, br"})
    answer = connection.getresponse()
    return [len(answer.read()) + len(str(answer.headers))]


def weight(browser, site, path):
    """The bytes of each answer that a first visit brings, with its headers, compressed as it is sent."""
    with visitor(browser, site) as page:
        asked = []
        page.on("requestfinished", lambda request: asked.append(request))
        page.goto(path, wait_until="networkidle")
        sizes = [request.sizes() for request in asked]
        return [size["responseBodySize"] + size["responseHeadersSize"] for size in sizes] + icon(page, site, asked)


@needs_chromium
@pytest.mark.usefixtures("list_key")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_light(browser, site, tokens, language):
    faults = []
    for path in public_paths(language, tokens):
        taken = weight(browser, site, path)
        most_bytes, most_requests = budget(path)
        print(f"{sum(taken):6,} bytes {len(taken)} requests {path}")  # noqa: T201
        if sum(taken) > most_bytes or (most_requests and len(taken) > most_requests):
            faults.append(f"{path}: {sum(taken):,} bytes, {len(taken)} requests")

    assert faults == []


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_slow_phone_draws_the_text_of_the_home_page_soon(browser, site, language):
    # A phone that is four times as slow as a machine that others use as well is slower than any: the best of three.
    drawn = min(drawn_after(browser, site, language) for _visit in range(3))
    print(f"the text of /{language}/ was drawn after {drawn:,.0f} ms")  # noqa: T201

    assert LATENCY_MS < drawn < TEXT_WITHIN_MS


def drawn_after(browser, site, language):
    """Milliseconds of a first visit."""
    with visitor(browser, site, viewport={"width": 360, "height": 640}, device_scale_factor=2) as page:
        phone = page.context.new_cdp_session(page)
        phone.send("Network.enable")
        bytes_per_second = BITS_PER_SECOND / 8
        phone.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": LATENCY_MS,
                "downloadThroughput": bytes_per_second,
                "uploadThroughput": bytes_per_second,
            },
        )
        phone.send("Emulation.setCPUThrottlingRate", {"rate": TIMES_SLOWER})
        page.goto(f"/{language}/")
        drawn = server.wait_until(lambda: page.evaluate(PAINTS))
        assert page.get_by_role("heading", level=1).is_visible()
        return drawn
