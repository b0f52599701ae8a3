"""A language that this site does not have yet: made up here, written from right to left, and complete."""

import re
import string
from html import unescape
from pathlib import Path

import polib
import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command

from campaign.management.commands.load_campaign import PAGES
from campaign.models import Figure, Page, Update
from petition import consent
from petition.models import Petition
from tests.support.browser import needs_chromium

pytestmark = pytest.mark.django_db
CATALOGUE = Path(django_settings.LOCALE_PATHS[0]) / "ru" / "LC_MESSAGES" / "django.po"
LETTERS = dict(zip(string.ascii_letters, "ابتثجحخدذرزسشصضطظعغفقكلمنه" * 2, strict=True))
KEPT = re.compile(r"(%\(\w+\)[sd]|</?\w+>|&\w+;|#100forjustice|\{\w+\})")
PATHS = [
    "",
    *(f"{slug}/" for slug in PAGES if slug != "home"),
    "words/",
    "updates/",
    "updates/new-site/",
    "share/",
]
OF_PETITION = ["sign", "check-inbox", "confirm-code", "thanks", "withdraw", "withdrawn", "embed"]
NAMES = {
    *(
        "English",
        "Deutsch",
        "Fran",
        "ais",
        "Espa",
        "Russian",
        "forjustice",
        "JSON",
        "UTC",
        "GDPR",
        "Art",
        "json",
        "count",
        "petitions",
        "chechnya",
        "lgbtnet",
    ),
    *("Example", "Organisation", "Street", "City", "contact", "donate", "authority", "example", "org"),
    *("Telegram", "WhatsApp", "Bluesky", "Facebook", "Mastodon", "localhost", "confirm", "http"),
    *("Gmail", "Outlook", "Yahoo", "iCloud", "Proton", "Yandex", "Mail"),
    "Poster",  # the name of a source, as organisers wrote it
}


def pseudo(text):
    """The same in made-up Arabic: longer than English, with what programs read left as it is."""
    parts = [part if KEPT.fullmatch(part) else "".join(LETTERS.get(c, c) for c in part) for part in KEPT.split(text)]
    return "".join(parts) + " ﻻ"


@pytest.fixture
def _arabic(tmp_path, settings, monkeypatch):
    """Do by machine as docs/translating.md asks translators to do."""
    folder = tmp_path / "ar" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = polib.pofile(str(CATALOGUE))
    catalogue.metadata["Plural-Forms"] = (
        "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5;"
    )
    for entry in catalogue:
        if entry.msgid_plural:
            entry.msgstr_plural = dict.fromkeys(range(6), pseudo(entry.msgid_plural))
        elif entry.msgctxt != "format of a day":
            entry.msgstr = pseudo(entry.msgid)
    catalogue.save_as_mofile(str(folder / "django.mo"))
    settings.LOCALE_PATHS = [*settings.LOCALE_PATHS, str(tmp_path)]
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    read = consent._read
    monkeypatch.setattr(
        consent, "_read", lambda version, code: pseudo(read(version, "en")) if code == "ar" else read(version, code)
    )
    call_command("load_campaign", verbosity=0)
    for model, fields in {
        Petition: ("title", "demand", "thanks", "collected_before_source"),
        Page: ("title", "description", "body"),
        Update: ("title", "description", "body"),
        Figure: ("label", "source"),
    }.items():
        for row in model.objects.all():
            row.create_translation("ar", **{name: in_arabic(getattr(row, name)) for name in fields})


def in_arabic(markdown):
    """Words in made-up letters, figures and the addresses of links as they are."""
    kept = re.compile(r"(\{[^}]+\}|\]\([^)]+\))")
    parts = [
        part if kept.fullmatch(part) else "".join(LETTERS.get(c, c) for c in part) for part in kept.split(markdown)
    ]
    return re.sub(r"(\{[a-z-]+): [^}]+\}", r"\1: ش, ش, ش, ش, ش, ش}", "".join(parts))


def visible(html):
    html = re.sub(r"<(script|head|code|select|option).*?</\1>", " ", html, flags=re.DOTALL)
    html = re.sub(r'<(\w+)[^>]*\slang="(?!ar)\w+".*?</\1>', " ", html, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", html))


@pytest.mark.usefixtures("_arabic")
def test_every_page_speaks_it_from_right_to_left(client, settings):
    for path in [*PATHS, *(f"petitions/chechnya/{view}/" for view in OF_PETITION), "nothing-here/", "confirm/forged/"]:
        html = client.get(f"/ar/{path}").content.decode()

        assert '<html lang="ar" dir="rtl">' in html, path
        text = visible(html).replace(settings.DEFAULT_FROM_EMAIL, "").replace(settings.SITE_URL, "")
        # The id of the request has letters as well, as it happens.
        text = re.sub(r"\b[0-9a-f]{12}\b", "", text)
        assert set(re.findall(r"[A-Za-z]{3,}", text)) - NAMES - {"XXXX", "mastodon", "social"} == set(), path
        if path in PATHS and path != "words/":
            for code in ("en", "ru", "ar"):
                assert f'hreflang="{code}" href="{settings.SITE_URL}/{code}/{path}"' in html


@pytest.mark.usefixtures("_arabic")
def test_a_new_language_is_offered_everywhere(client):
    assert 'href="/ar/" lang="ar" hreflang="ar"' in client.get("/en/").content.decode()
    assert "/ar/what-happened/" in client.get("/sitemap.xml").content.decode()
    assert client.get("/", headers={"Accept-Language": "ar"})["Location"] == "/ar/"


@pytest.mark.usefixtures("_arabic")
def test_what_is_not_translated_yet_is_shown_in_a_language_that_it_has(client):
    page = Page.objects.get(slug="press")
    page.delete_translation("ar")

    html = client.get("/ar/press/").content.decode()

    assert re.search(r'<div lang="en">\s*<h1>For the press</h1>', html)
    assert 'href="/ru/press/" lang="ru"' in html


@needs_chromium
@pytest.mark.usefixtures("_arabic")
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_sticks_out_of_a_page_that_runs_the_other_way(browser, client, width):
    names = ("site", "pages", "embed")
    styles = {name: Path(staticfiles_storage.path(f"{name}.css")).read_text() for name in names}
    pages = {}
    for path in [*PATHS, "petitions/chechnya/sign/", "petitions/chechnya/embed/"]:
        html = client.get(f"/ar/{path}").content.decode()
        html = re.sub(
            r'<link rel="stylesheet" href="[^"]*?(site|pages|embed)\.[^"]*">',
            lambda found: f"<style>{styles[found[1]]}</style>",
            html,
        )
        pages[path] = re.sub(r'<script[^>]*></script>|<link rel="icon"[^>]*>|<img[^>]*>', "", html)
    with browser.new_page(viewport={"width": width, "height": 800}) as page:
        for path, html in pages.items():
            page.set_content(html)
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wide) == 0, path
            if "embed" not in path:
                # The first thing of a line stands on the right.
                assert page.locator(".mark").bounding_box()["x"] > page.locator(".exit").bounding_box()["x"]
