"""The home page: from what happened to what one can do, small enough for an old phone in a bad network."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.utils import timezone

from campaign.management.commands.load_campaign import PAGES
from campaign.models import Page
from petition.models import Petition
from petition.models.signature import this_hour

pytestmark = pytest.mark.django_db
LANGUAGES = ["en", "ru"]


@pytest.fixture
def _site(petition):
    call_command("load_campaign", verbosity=0)


def read(client, language="en"):
    return client.get(f"/{language}/").content.decode()


def weight(client, path):
    """The requests of a first visit and their bytes as sent, without pictures that wait to be scrolled to."""
    html = client.get(path).content.decode()
    loaded = set(re.findall(r'<(?:link rel="(?:stylesheet|icon)"|script)[^>]*?(?:href|src)="([^"]+)"', html))
    pictures = [tag for tag in re.findall(r"<img[^>]*>", html) if 'loading="lazy"' not in tag]
    assert pictures == []
    sizes = [len(client.get(path, headers={"Accept-Encoding": "br"}).content)]
    for url in loaded:
        name = url.removeprefix("/static/")
        files = [Path(staticfiles_storage.path(name + ending)) for ending in ("", ".br")]
        sizes.append(min(file.stat().st_size for file in files if file.exists()))
    return len(sizes), sum(sizes)


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_first_visit_costs_at_most_six_requests_and_sixty_kilobytes(client, make_words, language):
    for _number in range(3):
        make_words("Long words of support. " * 20)

    requests, size = weight(client, f"/{language}/")

    assert requests <= 6
    assert size <= 60_000


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("slug", [*(slug for slug in PAGES if slug != "home"), "words", "updates"])
def test_other_pages_cost_at_most_forty_kilobytes(client, language, slug):
    requests, size = weight(client, f"/{language}/{slug}/")

    assert requests <= 6
    assert size <= 40_000


@pytest.fixture
def make_words(make_signature):
    def make(words):
        hour = this_hour()
        return make_signature(words=words, confirmed=True, approved_at=hour)

    return make


@pytest.mark.usefixtures("_site")
def test_it_leads_from_the_demand_to_what_one_can_do(client, make_words):
    make_words("With you")

    html = read(client)

    parts = (
        "<h1>Investigate",
        '<p class="demand">',
        "data-tally=",
        "<form",
        'id="demand"',
        'id="story"',
        'id="ways"',
        'id="words"',
        'id="update"',
    )
    places = [html.index(part) for part in parts]
    assert places == sorted(places)
    assert "With you" in html


@pytest.mark.usefixtures("_site")
def test_without_words_and_updates_their_places_are_not_empty_boxes(client):
    html = client.get("/en/").content.decode()

    assert 'id="words"' not in html


# The end.


@pytest.mark.parametrize(
    ("language", "says"),
    [("en", "until 31 December 2099, 23:59 (UTC)"), ("ru", "до 31 декабря 2099 года, 23:59 (UTC)")],
)
def test_a_closing_date_shows(client, petition, language, says):
    Petition.objects.update(closed_at=datetime(2099, 12, 31, 23, 59, tzinfo=UTC))

    assert says in read(client, language).replace("\u00a0", " ")
    assert "<form" in read(client, language)


def test_after_it_the_page_says_so_and_what_will_be_told(client, petition):
    Petition.objects.update(closed_at=datetime(2026, 3, 5, tzinfo=UTC))

    html = read(client).replace("\u00a0", " ")

    assert "Closed on 5 March 2026" in html
    assert "What follows from it will be reported here." in html
    assert "150,000" in html
    assert "<form" not in html


def test_then_it_tells_the_outcome_that_editors_wrote(client, petition):
    Petition.objects.update(closed_at=timezone.now() - timedelta(days=1))
    Page.objects.language("en").create(slug="outcome", title="Outcome", body="They **answered**.")

    assert "They <strong>answered</strong>." in read(client)
    assert '<div lang="en"><p>They' in read(client, "ru")
    assert "What follows from it" not in read(client)


def test_an_outcome_shows_at_the_end_alone(client, petition):
    Page.objects.language("en").create(slug="outcome", title="Outcome", body="They answered.")

    assert "They answered" not in read(client)


# Donating.


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_donate_page_warns_before_it_leads_away_without_a_referrer(client, settings, language):
    settings.DONATE_URL = "https://donate.example.org/give?a=1&b=2"
    call_command("load_campaign", verbosity=0)

    html = " ".join(client.get(f"/{language}/donate/").content.decode().split())

    link = '<a class="button" href="https://donate.example.org/give?a=1&amp;b=2" rel="noreferrer noopener external"'
    assert link + ' referrerpolicy="no-referrer">' in html
    assert html.index('id="in-russia"') < html.index("donate.example.org")
    assert "119" in html


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("language", "says"), [("en", "To the Network’s own site"), ("ru", "На сайт ЛГБТ-сети")])
def test_without_a_page_for_donations_it_leads_to_the_organisation(client, settings, language, says):
    settings.DONATE_URL = ""
    settings.ORGANISATION_URL = "https://network.example/"

    for page in ("donate/", "share/", "petitions/chechnya/thanks/"):
        html = client.get(f"/{language}/{page}").content.decode().replace("\u00a0", " ")

        assert '<a class="button' in html.partition('href="https://network.example/"')[0]
        assert says in html
        assert "network.example" in html.partition(says)[2]
