"""Leaving in a hurry: on every public page, with and without a script, and without promising too much."""

from contextlib import contextmanager
from html import unescape

import pytest
from django.core.management import call_command

from campaign.checks import links_away_are_safe
from tests.support import server
from tests.support.browser import needs_chromium

pytestmark = pytest.mark.django_db
PATHS = ["/en/", "/ru/", "/en/privacy/", "/en/share/", "/en/words/", "/en/updates/", "/en/petitions/chechnya/sign/"]
HARMLESS = "http://harmless.test/weather"


@pytest.mark.parametrize("path", [*PATHS, "/en/nothing-here/", "/en/confirm/forged/", "/en/petitions/chechnya/thanks/"])
def test_the_button_is_a_link_on_every_page(client, petition, settings, path):
    settings.EXIT_URL = "https://weather.example/"

    html = client.get(path).content.decode()

    assert '<a class="exit" href="https://weather.example/" rel="nofollow noreferrer noopener external"' in html


def test_where_none_is_set_it_leads_to_a_harmless_site_all_the_same(client, petition):
    assert '<a class="exit" href="https://' in client.get("/en/").content.decode()


@pytest.mark.parametrize(("language", "says"), [("en", "does not clear the history"), ("ru", "Историю браузера она")])
def test_it_says_what_it_does_not_do(client, language, says):
    call_command("load_campaign", verbosity=0)

    assert says in client.get(f"/{language}/").content.decode().replace("\u00a0", " ")
    long = {"en": "It does not do more than that", "ru": "Больше она не делает ничего"}[language]
    assert long in unescape(client.get(f"/{language}/privacy/").content.decode()).replace("\u00a0", " ")


@pytest.mark.parametrize(("name", "id"), [("DONATE_URL", "campaign.E001"), ("EXIT_URL", "campaign.E002")])
@pytest.mark.parametrize(
    ("url", "refused"), [("https://a.example/", 0), ("http://a.example/", 1), ("x", 1), ("https:", 1)]
)
def test_links_away_are_https(settings, name, id, url, refused):
    settings.LOCAL = False
    setattr(settings, name, url)

    assert [message.id for message in links_away_are_safe(None)] == [id] * refused


@pytest.fixture
def site(tmp_path, petition):
    with server.web(tmp_path / "web.log", EXIT_URL=HARMLESS) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def open_pages(browser, site, **options):
    """A visitor who has come from a search, read one page and opened another."""
    with browser.new_context(**options) as context:
        context.route("http://*.test/**", lambda route: route.fulfill(content_type="text/html", body="<h1>Sun</h1>"))
        page = context.new_page()
        page.goto("http://search.test/")
        page.goto(f"{site}/en/")
        yield page


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["click", "keys"])
def test_with_a_script_the_page_is_gone_from_behind_the_back_button(browser, site, way):
    with open_pages(browser, site) as page:
        if way == "click":
            page.locator(".exit").click()
        else:
            for _press in range(3):
                page.keyboard.press("Shift")
        page.wait_for_url(HARMLESS)

        page.go_back()
        assert page.url == "http://search.test/"


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_without_a_script_it_is_a_link(browser, site):
    with open_pages(browser, site, java_script_enabled=False) as page:
        page.locator(".exit").click()
        page.wait_for_url(HARMLESS)


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_capital_letters_do_not_lead_away_and_the_way_there_is_announced(browser, site):
    with open_pages(browser, site) as page:
        page.locator("#id_name").press_sequentially("ABCDEF")
        for letter in "ABCDE":
            page.keyboard.press(f"Shift+{letter}")
        assert page.url == f"{site}/en/"

        page.keyboard.press("Shift")
        assert "Press Shift again" in page.locator("[data-exit-status]").text_content()
        page.keyboard.press("a")
        assert page.locator("[data-exit-status]").text_content() == ""
