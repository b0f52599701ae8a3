"""Everybody can use every page: axe finds nothing, and what axe cannot see holds too.

The browser is real; the pages come straight from the app, so that each state can be had without a server.
"""

from contextlib import contextmanager
from contextvars import copy_context
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.test.signals import template_rendered

from campaign.management.commands import load_campaign
from petition import identity, live_settings
from petition.models import Petition
from tests.support import states
from tests.support.browser import needs_chromium, visitor
from tests.support.states import STATES, Scene
from tests.web import test_headers

LANGUAGES = ["en", "ru"]
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
OWN = (Path(__file__).parent / "accessibility.js").read_text()
SITE = "http://localhost"  # browsers trust no other name without TLS
WIDE, PHONE, NARROW = ({"width": width, "height": 800} for width in (1280, 360, 320))

# All that axe knows, and those of its rules that another look of the same page can break. Text has a contrast of 7:1.
CONTRAST = ["color-contrast", "color-contrast-enhanced"]
EVERYTHING = {"rules": {"target-size": {"enabled": True}, "color-contrast-enhanced": {"enabled": True}}}
LOOKS = {"runOnly": [*CONTRAST, "link-in-text-block", "target-size", "scrollable-region-focusable"]}

pytestmark = pytest.mark.django_db

answer, tokens = test_headers.answer, test_headers.tokens


@pytest.fixture
def petition(db):
    """With the real texts, which are longer than those of an example."""
    load_campaign.seed_petition()
    petition = Petition.objects.get()
    petition.set_current_language("en")
    return petition


@pytest.fixture
def make_scene(petition, make_signature, monkeypatch):
    def make(language):
        return Scene(language, petition, make_signature, monkeypatch, Client(raise_request_exception=False))

    return make


@pytest.fixture(scope="module")
def files():
    """What the pages load, by path."""
    return {}


@pytest.fixture
def show(browser, files):
    """Open one answer of the app in a browser."""

    def answer_of(path):
        if path not in files:
            response = Client().get(path)
            body = b"".join(response) if response.streaming else response.content
            files[path] = {"status": response.status_code, "headers": dict(response.headers), "body": body}
        return files[path]

    @contextmanager
    def shown(response, path):
        with visitor(browser, SITE, viewport=WIDE) as page:
            page.add_init_script(AXE)
            page.add_init_script(OWN)
            # Whatever its status, which the browser would remark upon.
            own = {"status": 200, "headers": dict(response.headers), "body": response.content}

            # Playwright calls from elsewhere, where Django would open another connection to the database.
            here = copy_context()

            def serve(route):
                if route.request.is_navigation_request():
                    route.fulfill(**own)
                else:
                    route.fulfill(**here.run(answer_of, urlsplit(route.request.url).path))

            page.route("**/*", serve)
            page.goto(path)
            yield page

    return shown


@pytest.fixture
def look(show):
    """Go over one answer of the app; what is wrong with it."""

    def look(response, path):
        with show(response, path) as page:
            of_one_language = complaints if path.startswith(f"/{LANGUAGES[0]}/") else complaints_about_words
            return [f"{path} {complaint}" for complaint in of_one_language(page)]

    return look


def complaints(page):
    yield from named("", axe(page, EVERYTHING), own(page, "structure", "overflow", "targets", "withoutStyles"))
    yield from named("by keyboard", by_keyboard(page))
    page.emulate_media(forced_colors="active")
    yield from named("forced colours", own(page, "forcedColours", "overflow"))
    page.emulate_media(forced_colors="none", reduced_motion="reduce")
    yield from named("reduced motion", own(page, "motion"))
    page.emulate_media(color_scheme="dark")
    yield from named("dark", axe(page, LOOKS))
    yield from narrow(page)
    yield from named("dark, 320 px, by keyboard", by_keyboard(page))
    yield from enlarged(page)


def complaints_about_words(page):
    """The same page in another language has other words: longer ones, and said to be of that language."""
    page.emulate_media(color_scheme="dark")
    yield from narrow(page)
    yield from named("dark, 320 px", own(page, "structure"))
    yield from enlarged(page)


def narrow(page):
    page.set_viewport_size(NARROW)
    yield from named("dark, 320 px", axe(page, EVERYTHING), own(page, "overflow", "targets"))


def enlarged(page):
    # As who sets it in the browser: what is measured in rem grows with it, media queries too.
    page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)
        yield from named(f"200 % at {size['width']} px", own(page, "overflow"))


def named(look, *found):
    for complaint in (one for some in found for one in some):
        yield f"({look}) {complaint}" if look else complaint


def axe(page, options):
    # The bar on top lies on what is scrolled under it, whose colours axe could not tell then.
    page.evaluate("scrollTo(0, 0)")
    found = page.evaluate("options => axe.run(options)", options)
    # What axe cannot decide is a fault too: a page that it can judge is one that it goes on judging.
    for fault in found["violations"] + found["incomplete"]:
        if fault["id"] in CONTRAST and not page.evaluate("document.styleSheets.length"):
            continue  # the browser's own colours, which axe takes to stand on white
        for node in fault["nodes"]:
            yield f"axe {fault['id']}: {node['html'][:160]} {node['any'] and node['any'][0]['message']}"


def own(page, *names):
    for name in names:
        yield from page.evaluate(f"audit.{name}()")


def by_keyboard(page):
    """Walk through the page with Tab: every stop in the order of the page, each to be seen, and an end."""
    stops = page.evaluate("audit.atTheStart()")
    for place in range(stops):
        page.keyboard.press("Tab")
        now = page.evaluate("audit.focused()")
        if now["place"] != place:
            yield f"stop {place} is {now['name']}, stop {now['place']} of the page"
            return
        for fault in now["found"]:
            yield f"{fault}: {now['name']}"
    page.keyboard.press("Tab")
    if stops and page.evaluate("audit.focused()")["place"] > 0:
        yield "a trap: the focus does not leave the page"


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("route", test_headers.VISITS)
def test_every_route_in_every_state_that_it_answers_with(look, answer, route, language):
    found = []
    for visit in test_headers.VISITS[route]:
        response = answer(visit, language)
        if states.is_page(response) and not states.is_error(response):
            found += look(response, response.request["PATH_INFO"])

    assert not found, "\n".join(found)


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", STATES)
def test_what_is_met_more_rarely(look, make_scene, name, language):
    response = STATES[name](make_scene(language))

    found = look(response, f"/{language}/{name}/")

    assert not found, "\n".join(found)


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_the_seeded_site(look, make_signature, language):
    states.seed(make_signature)

    found = []
    for path, response in states.seeded(Client(), language).items():
        found += look(response, path)

    assert not found, "\n".join(found)


@needs_chromium
def test_the_skip_link_leads_to_the_text(browser, show, make_scene):
    with show(make_scene("en").get("share/"), "/en/share/") as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")

        assert page.evaluate("document.querySelector('main a, main input').isSameNode(document.activeElement)")


def test_every_template_is_looked_at(petition, make_signature, answer):
    """A page that no state shows would be covered by nothing."""
    shown = set()

    def note(template, **kwargs):
        shown.add(template.name)

    template_rendered.connect(note)
    for visit in test_headers.ALL:
        answer(visit)
    for make in STATES.values():
        with pytest.MonkeyPatch.context() as patch, transaction.atomic():
            make(Scene("en", Petition.objects.get(slug="chechnya"), make_signature, patch, Client()))
            transaction.set_rollback(True)
        identity._salt = live_settings._state = None
    states.seed(make_signature)
    states.seeded(Client(), "en")

    assert set(states.whole_pages()) - shown == set()
