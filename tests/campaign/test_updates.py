"""News of the campaign, on pages and in feeds."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from campaign.models import Update

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"


def make_update(slug="news", language="en", days_ago=0, **values):
    at = timezone.now() - timedelta(days=days_ago)
    texts = {"title": f"Title of {slug}", "description": f"About {slug}", "body": "Some *text*."}
    return Update.objects.language(language).create(slug=slug, **{"published_at": at, **texts, **values})


def feed(client, language="en"):
    return ElementTree.fromstring(client.get(f"/{language}/updates/feed.xml").content)


def test_updates_stand_newest_first(client):
    make_update("older", days_ago=2)
    make_update("newer", days_ago=1)

    html = client.get("/en/updates/").content.decode()

    assert html.index("Title of newer") < html.index("Title of older")
    assert "About newer" in html


def test_drafts_and_updates_of_tomorrow_are_nowhere(client):
    make_update("draft", published_at=None)
    make_update("tomorrow", days_ago=-1)

    for url in ("/en/", "/en/updates/", "/en/updates/feed.xml"):
        assert b"Title of" not in client.get(url).content
    assert client.get("/en/updates/draft/").status_code == 404
    assert client.get("/en/updates/tomorrow/").status_code == 404


def test_an_update_has_a_page_with_its_day(client):
    make_update(published_at=datetime(2026, 3, 5, 12, tzinfo=UTC))

    html = client.get("/en/updates/news/").content.decode().replace("\u00a0", " ")

    assert "<em>text</em>" in html
    assert '<time itemprop="datePublished" datetime="2026-03-05T12:00:00+00:00">5 March 2026</time>' in html


def test_an_update_in_another_language_is_marked_as_such(client):
    make_update(language="ru", title="Новость", description="О чём")

    assert '<section class="update" lang="ru">' in client.get("/en/updates/").content.decode()
    page = client.get("/en/updates/news/").content.decode()
    assert "not been translated" in page
    assert '<div lang="ru">' in page


def test_the_list_has_pages(client):
    for number in range(25):
        make_update(f"n{number}", days_ago=number)

    assert client.get("/en/updates/").content.count(b'class="update"') == 20
    assert client.get("/en/updates/?page=2").content.count(b'class="update"') == 5
    assert client.get("/en/updates/?page=3").status_code == 404


def test_each_language_has_a_feed_of_what_is_written_in_it(client, settings):
    make_update("english")
    make_update("russian", language="ru", title="Новость")

    atom = feed(client, "ru")

    assert atom.get("{http://www.w3.org/XML/1998/namespace}lang") == "ru"
    (entry,) = atom.findall(f"{ATOM}entry")
    assert entry.find(f"{ATOM}title").text == "Новость"
    assert entry.find(f"{ATOM}id").text == f"{settings.SITE_URL}/ru/updates/russian/"
    assert entry.find(f"{ATOM}summary").text == "<p>Some <em>text</em>.</p>\n"
    assert entry.find(f"{ATOM}updated").text
    assert client.get("/ru/updates/feed.xml")["Content-Type"] == "application/atom+xml; charset=utf-8"


def test_pages_tell_browsers_of_the_feed(client):
    link = '<link rel="alternate" type="application/atom+xml" title="Updates" href="/en/updates/feed.xml">'

    assert link in client.get("/en/updates/").content.decode()
    assert link in client.get("/en/").content.decode()


def test_an_empty_feed_is_always_the_same(client):
    assert client.get("/en/updates/feed.xml").content == client.get("/en/updates/feed.xml").content
