"""Search engines: the pages they may find, and those they must not."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from campaign.models import Page, Update
from petition.models import Petition

pytestmark = pytest.mark.django_db
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"
LANGUAGES = ["en", "ru"]


@pytest.fixture
def _site():
    call_command("load_campaign", verbosity=0)


def sitemap(client):
    """The addresses in the map, each with its languages."""
    root = ElementTree.fromstring(client.get("/sitemap.xml").content)
    return {
        url.find(f"{SITEMAP}loc").text.removeprefix(settings.SITE_URL): {
            link.get("hreflang"): link.get("href").removeprefix(settings.SITE_URL)
            for link in url.findall(f"{XHTML}link")
        }
        for url in root
    }


def head(client, path):
    return client.get(path).content.decode().partition("</head>")[0]


@pytest.mark.usefixtures("_site")
def test_every_page_in_the_map_is_there_indexable_and_says_the_same_of_its_languages(client):
    found = sitemap(client)

    assert len(found) > 30
    for path, others in found.items():
        html = head(client, path)
        assert "noindex" not in html, path
        assert f'<link rel="canonical" href="{settings.SITE_URL}{path}">' in html
        said = dict(re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)">', html))
        assert {code: url.removeprefix(settings.SITE_URL) for code, url in said.items()} == others, path


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("language", LANGUAGES)
def test_titles_and_descriptions_are_there_and_no_two_are_the_same(client, language):
    titles, descriptions = [], []
    for path in sitemap(client):
        if path.startswith(f"/{language}/"):
            html = head(client, path)
            titles.append(re.search(r"<title>(.+)</title>", html)[1])
            descriptions.append(unescape(re.search(r'<meta name="description" content="([^"]*)">', html)[1]))
            assert len(re.findall("<h1", client.get(path).content.decode())) == 1, path

    assert all(descriptions)
    assert len(set(titles)) == len(titles)
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.usefixtures("_site")
def test_the_map_leaves_out_what_nobody_should_find(client):
    Page.objects.filter(slug="about").update(published_at=None)
    Update.objects.update(published_at=timezone.now() + timedelta(hours=1))
    paths = " ".join(sitemap(client))

    for part in ("words", "thanks", "check-inbox", "withdraw", "embed", "admin", "/about/", "new-site", "/home/"):
        assert part not in paths


@pytest.mark.usefixtures("_site")
def test_a_closed_petition_is_not_in_the_map(client):
    assert "/en/petitions/chechnya/sign/" in sitemap(client)
    Petition.objects.update(closed_at=timezone.now())
    assert "/en/petitions/chechnya/sign/" not in sitemap(client)


def test_a_page_is_in_the_map_in_its_own_languages_alone(client):
    Page.objects.language("ru").create(slug="news", title="Новости", body="Текст")

    assert sitemap(client)["/ru/news/"] == {"ru": "/ru/news/"}
    assert "/en/news/" not in sitemap(client)


def test_the_day_of_a_page_is_that_of_its_text_in_the_language(client):
    page = Page.objects.language("en").create(slug="news", title="News", body="Text")
    page.create_translation("ru", title="Новости", body="Текст")
    page.translations.filter(language_code="ru").update(updated_at=datetime(2026, 3, 1, tzinfo=UTC))
    root = ElementTree.fromstring(client.get("/sitemap.xml").content)
    days = {url.find(f"{SITEMAP}loc").text: url.findtext(f"{SITEMAP}lastmod") for url in root}

    assert days[f"{settings.SITE_URL}/ru/news/"] == "2026-03-01"
    assert days[f"{settings.SITE_URL}/en/news/"] == f"{timezone.now():%Y-%m-%d}"
    assert days[f"{settings.SITE_URL}/en/"] is None


@pytest.mark.parametrize(
    "view", ["thanks", "check-inbox", "confirm-code", "withdraw", "withdrawn", "disowned", "embed"]
)
def test_pages_of_a_moment_are_not_indexed(client, petition, view):
    assert '<meta name="robots" content="noindex">' in head(client, f"/en/petitions/{petition.slug}/{view}/")


def test_robots_are_told_of_the_map_and_not_of_the_admin(client):
    text = client.get("/robots.txt").content.decode()

    assert f"Sitemap: {settings.SITE_URL}/sitemap.xml" in text
    assert settings.ADMIN_PATH not in text
    assert "Disallow: /\n" not in text


@pytest.mark.usefixtures("_site")
def test_an_update_says_what_it_is_to_machines(client):
    html = client.get("/en/updates/new-site/").content.decode()

    assert 'itemscope itemtype="https://schema.org/NewsArticle"' in html
    for name in ("headline", "datePublished", "articleBody"):
        assert f'itemprop="{name}"' in html
