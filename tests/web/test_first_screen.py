"""What a page is there for is seen without scrolling: on a small phone, on a large one, and on a laptop."""

import pytest

from campaign.management.commands import load_campaign
from petition.models import Petition
from tests.support import links, server
from tests.support.browser import needs_chromium, visitor

SCREENS = [(360, 640), (360, 740), (1280, 800)]
LANGUAGES = ["en", "ru"]
WIDE = 1_024
REACH = 740  # pixels of the form, from where the jump to it lands

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(db, tmp_path):
    load_campaign.Command().handle()
    with server.web(tmp_path / "web.log") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def scripts(request):
    return request.param


def bottoms(page, *selectors):
    """How far down in the window each of these ends, in pixels; those before the window are no less than 0."""
    found = {}
    for selector in selectors:
        box = page.locator(selector).first.bounding_box()
        assert box, selector
        assert box["y"] >= 0, selector
        found[selector] = box["y"] + box["height"]
    return found


def all_seen(page, height, *selectors):
    return {name: bottom for name, bottom in bottoms(page, *selectors).items() if bottom > height} == {}


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_home_page_says_what_is_demanded_how_many_signed_and_where_to_sign(browser, site, scripts, language):
    for width, height in SCREENS:
        with visitor(browser, site, viewport={"width": width, "height": height}, java_script_enabled=scripts) as page:
            page.goto(f"/{language}/")

            assert all_seen(page, height, "h1", ".lead > .demand", ".total", ".tally progress"), (width, height)
            if width < WIDE:
                assert all_seen(page, height, ".jump .button"), (width, height)
            else:
                form = ("#id_email", "#id_consent", "#sign form > .button")
                assert all_seen(page, height, *form), (width, height)


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_jump_leads_to_a_form_that_is_seen_as_a_whole(browser, site, scripts, language):
    with visitor(browser, site, viewport={"width": 360, "height": REACH}, java_script_enabled=scripts) as page:
        page.goto(f"/{language}/")
        page.locator(".jump .button").click()
        page.wait_for_function("scrollY > 100")

        assert all_seen(page, REACH, ".care summary", "#id_email", "#id_consent", "#sign form > .button")
        header = page.locator(".top").bounding_box()
        assert page.locator("#sign-title").bounding_box()["y"] >= header["y"] + header["height"]


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_button_that_confirms_is_seen_at_once(browser, site, make_signed, scripts, language):
    token = make_signed(name="Анна " * 20, words="Держитесь, мы с вами. " * 20)
    for width, height in SCREENS:
        with visitor(browser, site, viewport={"width": width, "height": height}, java_script_enabled=scripts) as page:
            page.goto(f"/{language}/confirm/{token}/")

            assert all_seen(page, height, "h1", "form .button.big"), (width, height)


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_thanks_leave_the_first_screen_to_passing_it_on(browser, site, scripts, language):
    for width, height in SCREENS:
        with visitor(browser, site, viewport={"width": width, "height": height}, java_script_enabled=scripts) as page:
            page.goto(f"/{language}/petitions/chechnya/thanks/")
            links_seen = [f".spread .networks li:nth-child({number}) a" for number in (1, 2)]

            assert all_seen(page, height, "h1", ".count-line b", ".thumb", "#id_text", *links_seen), (width, height)


@needs_chromium
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_printed_page_has_what_it_says_and_its_address_and_nothing_to_press(browser, site, settings, language):
    with visitor(browser, site) as page:
        page.goto(f"/{language}/")
        page.emulate_media(media="print")

        assert page.locator(".printed").inner_text() == f"{settings.SITE_URL}/{language}/"
        assert (
            page.locator(".lead h1, .total b, .tally progress, .marks").evaluate_all(
                "all => all.map(one => one.checkVisibility())"
            )
            == [True] * 4
        )
        for hidden in (".exit", ".menu", ".to-sign", ".skip", ".jump", "form", "nav"):
            assert not [one for one in page.locator(hidden).all() if one.is_visible()], hidden
        parts = "found => [...new Set(found.map(part => getComputedStyle(part).color))]"
        colours = page.locator(".lead :is(h1, p, b)").evaluate_all(parts)
        assert colours == ["rgb(0, 0, 0)"]


@pytest.fixture
def make_signed(site):
    from tests.conftest import create_signature

    def make(**typed):
        signature = create_signature(Petition.objects.get(), **typed)
        return links.token(signature)

    return make
