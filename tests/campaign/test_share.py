"""Speaking: the warning first, then pictures, words and links that carry them, without asking anything of a network."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.core.management import call_command
from django.utils import translation

from campaign.models import Page
from campaign.share import links, pictures
from petition.models import OutgoingMail, Petition, PublishedHour, Signature, Source
from petition.models.signature import this_hour
from tests.support import server
from tests.support.browser import follow, needs_chromium, visitor

SHARE = "/en/share/"
WORDS = "/en/share/words/"
LANGUAGES = ["en", "ru"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _site(petition):
    for slug in ("home", "privacy"):
        Page.objects.language("en").create(slug=slug, title="Justice & <truth>", description='"So" it is', body="text")


def links_of(response):
    """Where the links of a page lead, by their text."""
    html = response.content.decode()
    found = re.findall(r'<a\s+class="button[^"]*"\s+href="([^"]+)"([^>]*)>([^<]+)</a>', html)
    return {text.strip(): (unescape(address), attributes) for address, attributes, text in found}


def written(response):
    return unescape(response.content.decode())


# The page.


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_warning_stands_before_picture_and_buttons(client, language):
    html = client.get(f"/{language}/share/").content.decode()

    places = [html.index(part) for part in ('class="care-line"', "<img", "t.me/share", "<form", "<button")]
    assert min(places) == places[0]


@pytest.mark.parametrize("path", [SHARE, WORDS])
def test_the_warning_stands_on_the_pages_that_follow_too(client, path):
    html = client.post(path, {"text": "Look", "words": "❤"}).content.decode()

    assert html.index('id="before-posting"') < html.index("<form")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_offered_in_three_formats(client, language):
    html = client.get(f"/{language}/share/").content.decode()

    for name in pictures.FORMATS:
        path = f"/{language}/share/picture-{name}-{pictures.version(language)}.png"
        # What she downloads has a name that says nothing of the cause.
        assert f'<a href="{path}" download="picture-{name}.png"' in html
        for address in (path, f"/{language}/share/picture-{name}.png"):
            assert client.get(address).content == pictures.of_campaign(name, language)


def test_the_name_of_the_picture_changes_with_what_is_on_it(monkeypatch):
    before = pictures.version("en")
    monkeypatch.setattr(pictures, "demand", lambda: "Investigate")

    assert pictures.version("en") not in (before, pictures.version("ru"))


def test_a_link_leads_to_each_network_and_tells_it_nothing_of_this_page(client):
    found = links_of(client.get(SHARE))

    for name, host in {
        "Telegram": "t.me",
        "WhatsApp": "wa.me",
        "Bluesky": "bsky.app",
        "X": "x.com",
        "Facebook": "www.facebook.com",
    }.items():
        address, attributes = found[name]
        assert urlsplit(address).hostname == host
        assert 'rel="noopener noreferrer external"' in attributes
        assert f"{links.settings.SITE_URL}/en/" in unquote(address)
    assert found["Email"][0].startswith("mailto:?")


@pytest.mark.parametrize("language", LANGUAGES)
def test_suggestions_fit_where_they_are_posted(language, settings):
    settings.SITE_URL = "https://a-rather-long-name-of-a-site.example.org"
    with translation.override(language):
        for text in links.suggestions():
            assert "#100forjustice" in text
            assert len(text) + 1 + 23 <= 280  # X counts a link as 23
            assert len(f"{text} {links.address('a-rather-long-source-name')}") <= 300


def test_the_mail_has_a_subject_that_names_no_cause():
    for language in LANGUAGES:
        with translation.override(language):
            (mail,) = [link for link in links.links("Look", "") if link.address.startswith("mailto:")]
            (subject,) = parse_qs(urlsplit(mail.address).query)["subject"]
            assert not re.search(r"chechn|lgbt|петици|чечн|лгбт|justice|справедл", subject.lower())


# Her own text.


def test_her_text_is_handed_back_in_links(client):
    text = 'Слова & "знаки"? #100forjustice <b>100%</b>'

    response = client.post(SHARE, {"text": text})

    found = links_of(response)
    assert parse_qs(urlsplit(found["Telegram"][0]).query) == {
        "text": [text],
        "url": [f"{links.settings.SITE_URL}/en/"],
    }
    assert parse_qs(urlsplit(found["Bluesky"][0]).query) == {"text": [f"{text} {links.settings.SITE_URL}/en/"]}
    assert text in written(response)
    assert "<b>" not in response.content.decode()


def test_a_suggestion_takes_the_place_of_what_was_typed(client):
    response = client.post(SHARE, {"text": "", "suggestion": "1"})

    assert response.status_code == 200
    assert parse_qs(urlsplit(links_of(response)["X"][0]).query)["text"] == [links.SUGGESTIONS[1]]


@pytest.mark.parametrize("suggestion", ["-1", "3", "x", ""])
def test_a_suggestion_that_does_not_exist_changes_nothing(client, suggestion):
    assert "Mine" in written(client.post(SHARE, {"text": "Mine", "suggestion": suggestion}))


def test_without_a_text_there_are_no_links(client):
    response = client.post(SHARE, {"text": "  "})

    assert response.status_code == 422
    assert "Write your text first." in written(response)
    assert "t.me" not in written(response)


@pytest.mark.parametrize("text", ["a\x07b", "\u202eabc", "\ufffd"])
def test_a_broken_text_is_refused(client, text):
    assert client.post(SHARE, {"text": text}).status_code == 422


def test_nothing_of_it_is_stored(client):
    client.post(SHARE, {"text": "Mine", "host": "mastodon.social", "source": "x"})
    client.post(WORDS, {"words": "Mine", "size": "1200x630"})

    assert Signature.objects.count() + OutgoingMail.objects.count() == 0


# Mastodon.


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("mastodon.social", "mastodon.social"),
        (" Mastodon.Social ", "mastodon.social"),
        ("https://mastodon.social/@anna", "mastodon.social"),
        ("@anna@mastodon.social", "mastodon.social"),
        ("anna@mastodon.social", "mastodon.social"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_a_server_of_mastodon_gets_a_plain_link(client, typed, host):
    response = client.post(SHARE, {"text": "Look & see", "host": typed})

    address, attributes = links_of(response)[f"Post on {host}"]
    assert urlsplit(address).scheme == "https"
    assert urlsplit(address).netloc == host
    assert urlsplit(address).path == "/share"
    assert parse_qs(urlsplit(address).query) == {"text": [f"Look & see {links.settings.SITE_URL}/en/"]}
    assert "noreferrer" in attributes


@pytest.mark.parametrize(
    "typed",
    [
        "localhost",
        "mastodon",
        "127.0.0.1",
        "[::1]",
        "mastodon.social:8080",
        "javascript:alert(1)",
        "masto don.social",
        "a..b",
        "-a.org",
        "mastodon.social?x=",
        'mastodon.social"><b>',
        "straße.de",
        "a" * 64 + ".org",
        "a." * 130 + "org",
        "x" * 10_000,
        "{text}.example",
        "\ufffd.org",
    ],
)
def test_what_is_no_server_is_refused_and_kept(client, typed):
    response = client.post(SHARE, {"text": "Mine", "host": typed})

    assert response.status_code == 422
    assert "Enter the name of a server" in written(response)
    assert typed in written(response)
    assert "Mine" in written(response)


def test_the_button_asks_for_a_server(client):
    assert client.post(SHARE, {"text": "Mine", "mastodon": "1", "host": ""}).status_code == 422
    assert client.post(SHARE, {"text": "Mine", "host": ""}).status_code == 200


# Who brought her.


@pytest.mark.parametrize(("tag", "is_kept"), [("partner", True), ("nobody", False), ("<b>", False)])
def test_the_partner_who_brought_her_goes_along(client, tag, is_kept):
    Source.objects.create(slug="partner", title="A partner")

    for response in (
        client.get(SHARE, {"from": tag}),
        client.post(SHARE, {"text": "Look", "host": "mastodon.social", "source": tag}),
        client.post(WORDS, {"words": "", "source": tag}),
    ):
        html = written(response)
        assert ("?from=partner" in html) == is_kept
        assert f"from={tag}" not in html or is_kept
        for name, (address, _attributes) in links_of(response).items():
            # They go to the organisation.
            if name not in ("To the petition", "Donate on the Network’s own site", "Russian LGBT Network"):
                assert ("from=partner" in unquote(address)) == is_kept, name


def test_home_and_thanks_lead_here(client):
    Source.objects.create(slug="partner", title="A partner")

    assert 'href="/en/share/?from=partner"' in client.get("/en/?from=partner").content.decode()
    html = client.get("/en/petitions/chechnya/thanks/").content.decode()
    assert html.index('action="/en/share/"') < html.index('id="donate"')


def test_signatures_from_paper_are_counted(db):
    call_command("load_campaign")

    assert Source.known("poster") == "poster"


# Her own words on the picture.


def test_her_words_come_back_as_a_file_with_a_name_that_says_nothing(client):
    response = client.post(WORDS, {"words": "Justice", "size": "1080x1080"})

    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"] == 'attachment; filename="picture.png"'
    assert "no-store" in response["Cache-Control"]
    assert response.content == pictures.with_words("1080x1080", "Justice")


def test_a_character_that_cannot_be_shown_is_named_and_her_words_are_kept(client):
    response = client.post(WORDS, {"words": "Love ❤ <b>", "size": "1080x1920"})

    assert response.status_code == 422
    assert "The picture cannot show “❤”." in written(response)
    assert "Love ❤ <b></textarea>" in written(response)
    assert '<option value="1080x1920" selected>' in response.content.decode()


def test_when_many_draw_at_once_she_is_asked_to_wait_and_her_words_are_kept(client):
    with pictures.one_at_a_time(), pictures.places:
        response = client.post(WORDS, {"words": "Justice", "size": "1080x1920"})

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert "no-store" in response["Cache-Control"]
    assert "Your words are still here" in written(response)
    assert "Justice</textarea>" in written(response)
    assert client.post(WORDS, {"words": "Justice", "size": "1080x1920"}).status_code == 200


def test_a_picture_is_drawn_for_nobody_who_only_looks(client):
    assert client.get(WORDS, {"words": "Justice", "size": "1080x1080"}).status_code == 405


@pytest.mark.parametrize(
    ("path", "data"), [(WORDS, {"words": "Justice", "size": "1200x630"}), (SHARE, {"text": "Look"})]
)
def test_a_network_has_its_limit(client, settings, path, data):
    settings.BURST_PER_NETWORK = "2/h"

    assert [client.post(path, data).status_code for _ in range(3)] == [200, 200, 429]


def test_logs_do_not_tell_her_words(client, caplog):
    caplog.set_level("DEBUG")
    for words in ("Unmistakable", "Unmistakable ❤"):
        client.post(WORDS, {"words": words, "size": "1200x630"})
        client.post(SHARE, {"text": words, "host": "unmistakable"})

    assert "nmistakable" not in caplog.text


# What others see of a link.


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_link_has_a_preview_in_its_language(client, language, settings):
    Page.objects.get(slug="home").create_translation(
        "ru", title="Justice & <truth>", description='"So" it is', body="x"
    )
    html = client.get(f"/{language}/").content.decode()

    said = {
        name: unescape(value)
        for name, value in re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)">', html)
    }
    assert said["og:title"] == "Justice & <truth>"
    assert said["og:description"] == '"So" it is'
    assert said["og:url"] == f"{settings.SITE_URL}/{language}/"
    assert said["og:image"] == f"{settings.SITE_URL}/{language}/share/link-150000-{pictures.version(language)}.png"
    assert (said["og:image:width"], said["og:image:height"]) == ("1200", "630")
    with translation.override(language):
        assert pictures.demand() in said["og:image:alt"]
    assert said["twitter:card"] == "summary_large_image"
    assert f"<title>{'Justice &amp; &lt;truth&gt;'} – #100forjustice</title>" in html


def test_a_page_of_one_moment_has_no_preview(client):
    for response in (client.get("/en/petitions/chechnya/thanks/"), client.post(SHARE, {"text": "Look"})):
        html = response.content.decode()
        assert "og:" not in html
        assert 'name="robots" content="noindex"' in html


# In a browser.


@pytest.fixture
def site(tmp_path):
    call_command("load_campaign")
    with server.web(tmp_path / "web.log") as port:
        yield f"http://127.0.0.1:{port}"


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "language", "script"), [(360, "ru", True), (1280, "en", False), (360, "en", False)])
def test_she_takes_the_picture_changes_the_words_and_finds_her_links(browser, site, width, language, script, scheme):
    with visitor(
        browser,
        site,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=script,
        accept_downloads=True,
    ) as page:
        asked = []
        page.on("requestfinished", lambda request: asked.append(request))
        page.goto(f"/{language}/share/")
        page.wait_for_load_state("networkidle")
        assert 10_000 < sum(request.sizes()["responseBodySize"] for request in asked) < 40_000
        assert page.locator("main").bounding_box()["width"] <= width
        telegram = page.get_by_role("link", name="Telegram", exact=True)

        # The picture.
        with page.expect_download() as download:
            page.locator("a[download='picture-1080x1080.png']").click()
        assert download.value.suggested_filename == "picture-1080x1080.png"

        # The words.
        page.fill("#id_text", "Мои слова")
        if script:
            assert not page.locator("[data-fallback]").is_visible()
        else:
            assert not page.locator("[data-copy], [data-device]").first.is_visible()
            follow(page, "[data-fallback]")
        assert parse_qs(urlsplit(telegram.get_attribute("href")).query)["text"] == ["Мои слова"]

        # Mastodon.
        page.fill("#id_host", "mastodon.social")
        follow(page, "button[name=mastodon]")
        mastodon = page.locator("a[href^='https://mastodon.social/share?']")
        assert "Мои слова" in unquote(mastodon.get_attribute("href"))

        # Her own picture.
        page.goto(f"/{language}/share/")
        page.fill("#id_words", "Love ❤")
        follow(page, "form[action$='/words/'] button")
        assert page.input_value("#id_words") == "Love ❤"
        page.fill("#id_words", "Love")
        with page.expect_download() as download:
            page.locator("form[action$='/words/'] button").click()
        assert download.value.suggested_filename == "picture.png"


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_a_script_copies_her_text_and_hands_it_to_the_apps_of_her_device(browser, site):
    with visitor(browser, site, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.add_init_script("navigator.share = async (data) => { window.handed = data; }")
        page.goto("/en/share/")
        page.fill("#id_text", " Mine ")

        page.locator("[data-copy]").click()
        page.locator("[data-copied]:text('Copied.')").wait_for()
        assert page.evaluate("navigator.clipboard.readText()").startswith("Mine http")

        page.locator("[data-device] button").click()
        handed = server.wait_until(lambda: page.evaluate("window.handed"))
        assert handed["text"] == "Mine"
        assert handed["url"].endswith("/en/")


# The picture of a link has the number of the day.


def link_picture(client, language="en"):
    html = client.get(f"/{language}/").content.decode()
    address = re.search(r'<meta property="og:image" content="([^"]+)">', html)[1]
    return address.partition(links.settings.SITE_URL)[2]


def move_number(petition, hours_ago, amount):
    hour = this_hour() - timedelta(hours=hours_ago)
    PublishedHour.objects.create(petition=petition, hour=hour, counted=amount)


@pytest.mark.parametrize(("language", "says"), [("en", "1,234 signatures"), ("ru", "1\u00a0234 подписи")])
def test_it_says_how_many_had_signed_when_the_day_began(client, petition, language, says):
    move_number(petition, 48, 1_234 - petition.collected_before)
    with translation.override(language):
        assert pictures.signatures(1_234).replace(" ", "\u00a0") == says.replace(" ", "\u00a0")

    first = link_picture(client, language)

    assert "/link-1234-" in first
    assert client.get(first).content == pictures.of_the_day(language, 1_234, is_lower_bound=True)


@pytest.mark.parametrize(("before", "says"), [(1_200, "more than 1,234 signatures"), (0, "1,234 signatures")])
def test_it_says_more_than_where_a_part_of_the_number_is_a_lower_bound(client, petition, before, says):
    Petition.objects.update(collected_before=before)
    move_number(petition, 48, 1_234 - before)

    html = client.get("/en/").content.decode()

    assert f"Below them: {says}." in html
    assert client.get(link_picture(client)).content == pictures.of_the_day("en", 1_234, bool(before))


def test_its_name_changes_with_the_day_and_not_within_it(client, petition):
    before = link_picture(client)
    move_number(petition, 0, 7)  # of this day
    within = link_picture(client)
    move_number(petition, 24, 5)
    after = link_picture(client)

    assert before == within
    assert after != before
    assert pictures.of_the_day("en", 1) != pictures.of_the_day("en", 2)


def test_whatever_number_is_asked_for_ours_is_drawn(client, petition):
    drawn = client.get(link_picture(client)).content

    assert client.get("/en/share/link-999999999999-00000000.png").content == drawn
