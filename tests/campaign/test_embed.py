"""The counter on other sites: small, without script or cookie, and framed by anybody."""

import re
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from petition.models import Source
from tests.support import server
from tests.support.browser import needs_chromium

pytestmark = pytest.mark.django_db
EMBED = "/en/petitions/chechnya/embed/"


def size(name):
    with staticfiles_storage.open(staticfiles_storage.stored_name(name)) as file:
        return len(file.read())


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", ["150,001", "Next goal: 175,000", "Sign the petition"]),
        ("ru", ["150 001", "175 000", "Подписать петицию"]),
    ],
)
def test_it_shows_the_number_in_the_language_of_its_address(client, make_signature, language, says):
    make_signature(confirmed=True)

    html = client.get(f"/{language}/petitions/chechnya/embed/").content.decode().replace("\u00a0", " ")

    assert f'<html lang="{language}">' in html
    for words in says:
        assert words in html


def test_it_is_under_ten_kilobytes_with_all_it_loads(client, petition):
    html = client.get(EMBED).content

    assert len(html) + size("embed.css") + size("favicon.svg") < 10_000
    assert b"<script" not in html
    assert not client.cookies


def test_it_has_a_light_and_a_dark_face():
    with staticfiles_storage.open(staticfiles_storage.stored_name("embed.css")) as file:
        assert b"prefers-color-scheme:dark" in file.read().replace(b": ", b":")


@pytest.mark.parametrize(("tag", "query"), [("partner", "?from=partner"), ("unknown", ""), ("", "")])
def test_the_button_counts_the_partner_whose_site_it_stands_on(client, petition, settings, tag, query):
    Source.objects.create(slug="partner", title="A partner")

    html = " ".join(client.get(f"{EMBED}?from={tag}").content.decode().split())

    link = f'target="_blank" rel="noopener noreferrer" href="{settings.SITE_URL}/en/{query}#sign"'
    assert link in html
    assert f'name="source" value="{tag if query else ""}"' in client.get(f"/en/{query}").content.decode()


def test_after_the_end_it_leads_to_the_outcome(client, petition):
    petition.closed_at = timezone.now() - timedelta(days=1)
    petition.save()

    html = client.get(EMBED).content.decode()

    assert "What came of it" in html
    assert "<progress" not in html


def test_nothing_else_may_be_framed(client, petition):
    for path in ("/en/", "/en/petitions/chechnya/sign/", "/en/petitions/chechnya/thanks/"):
        response = client.get(path)
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"


# The page that gives the snippet.


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_snippet_is_given_to_copy(client, settings, language):
    call_command("load_campaign", verbosity=0)
    Source.objects.create(slug="partner", title="A partner")

    html = unescape(client.get(f"/{language}/counter/?from=partner").content.decode())

    address = f"{settings.SITE_URL}/{language}/petitions/chechnya/embed/?from=partner"
    assert f'<iframe src="{address}"' in html
    assert Client().get(address.removeprefix(settings.SITE_URL)).status_code == 200
    assert f"{settings.SITE_URL}/petitions/chechnya/count.json" in html


def test_every_field_of_the_number_is_explained(client):
    call_command("load_campaign", verbosity=0)
    html = client.get("/en/counter/").content.decode()
    fields = set(client.get("/petitions/chechnya/count.json").json()) - {"petition"}

    assert set(re.findall(r"<dt><code>(\w+)</code>", html)) == fields


@contextmanager
def partner(html):
    """Another site, which is this one page; its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}/"
        site.shutdown()


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_another_site_can_frame_it_and_run_the_example(browser, tmp_path, petition, settings):
    """The snippet and the example as they stand on our page, on a page of another origin."""
    call_command("load_campaign", verbosity=0)
    with ExitStack() as stack, server.web(tmp_path / "web.log") as port:
        site = f"http://127.0.0.1:{port}"
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{site}/en/counter/")
        codes = [code.text_content() for code in page.locator("pre code").all()]
        snippet, _address, example = (code.replace(settings.SITE_URL, site) for code in codes)

        html = f'<html lang="en"><b id="signatures"></b>{snippet}<script>{example}</script></html>'
        page.goto(stack.enter_context(partner(html)))

        frame = page.frame_locator("iframe")
        assert frame.locator(".total b").text_content() == "150,000"
        page.wait_for_function("document.querySelector('#signatures').textContent === '150,000'")
        assert frame.locator("a.button").get_attribute("href") == f"{settings.SITE_URL}/en/#sign"
        assert context.cookies() == []
        context.close()


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("width", [240, 250, 300, 360])
def test_it_fits_the_height_that_its_snippet_asks_for(browser, petition, make_signature, tmp_path, language, width):
    make_signature(confirmed=True)
    call_command("load_campaign")
    with server.web(tmp_path / "web.log") as port:
        page = browser.new_page(viewport={"width": width, "height": 300})
        page.goto(f"http://127.0.0.1:{port}/{language}/petitions/chechnya/embed/")
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        page.close()

    assert size == [width, 300]
