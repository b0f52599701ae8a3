"""Pages of the campaign: written by people, seeded once, with figures that are written in one place alone."""

import re
from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone, translation

from campaign import figures
from campaign.management.commands.load_campaign import CONTENT, PAGES
from campaign.models import Figure, Page
from petition.models import Petition

pytestmark = pytest.mark.django_db
LANGUAGES = ["en", "ru"]


def make_figure(slug="evacuated", **values):
    defaults = {"number": 119, "as_of": date(2018, 4, 1), "as_of_precision": "season"}
    if "day" in values:
        defaults = {}
    figure = Figure.objects.language("en").create(slug=slug, label="people", source="Us", **{**defaults, **values})
    figure.create_translation("ru", label="люди", source="Мы")
    return figure


def make_page(body, slug="news", **values):
    return Page.objects.language("en").create(slug=slug, title="Title", body=body, **values)


def shown(client, slug="news", language="en"):
    return client.get(f"/{language}/{slug}/").content.decode()


def filled(text, language="en"):
    with translation.override(language):
        return figures.fill(text)


# Figures.


def test_a_figure_stands_wherever_its_name_does_and_changes_everywhere_at_once(client):
    figure = make_figure()
    make_page("Now {evacuated}.")
    make_page("# {evacuated} again", slug="other")
    assert "Now 119." in shown(client)

    figure.number = 1_120
    figure.save()

    assert "Now 1,120." in shown(client)
    assert "1,120 again" in shown(client, "other")


@pytest.mark.parametrize(
    ("language", "number", "says"),
    [
        ("en", 1, "1\u00a0person"),
        ("en", 119, "119\u00a0people"),
        ("ru", 119, "119\u00a0человек"),
        ("ru", 121, "121\u00a0человека"),
        ("ru", 1_122, "1\u00a0122\u00a0человека"),
    ],
)
def test_the_word_agrees_with_the_number(language, number, says):
    make_figure(number=number)
    words = {"en": "person, people", "ru": "человека, человека, человек"}[language]

    assert filled("{evacuated: %s}" % words, language) == says  # noqa: UP031


@pytest.mark.parametrize(
    ("language", "precision", "says"),
    [
        ("en", "season", "spring\u00a02018"),
        ("ru", "season", "весна\u00a02018\u00a0года"),
        ("en", "day", "1\u00a0April\u00a02018"),
        ("ru", "day", "1\u00a0апреля\u00a02018\u00a0года"),
        ("en", "year", "2018"),
    ],
)
def test_a_figure_says_when_it_was_right(language, precision, says):
    make_figure(as_of_precision=precision)

    assert filled("{evacuated when}", language) == says


@pytest.mark.parametrize(("language", "says"), [("en", "28 March 2017"), ("ru", "28 марта 2017 года")])
def test_a_day_is_a_figure_too(language, says):
    make_figure("first-request", day=date(2017, 3, 28))

    assert filled("{first-request}", language).replace("\u00a0", " ") == says


def test_what_was_collected_before_is_the_number_of_the_petition(petition):
    Petition.objects.update(collected_before=151_000, collected_before_on=date(2018, 4, 1))

    assert filled("{collected-before} ({collected-before when})") == "151,000 (spring\u00a02018)"


def test_a_newer_value_of_a_figure_counts_from_the_time_it_is_published():
    make_figure()
    newer = make_figure(number=130, as_of=date(2026, 1, 1), published_at=timezone.now() + timedelta(hours=1))
    make_figure(number=999, published_at=None)
    assert filled("{evacuated}") == "119"

    newer.published_at = timezone.now()
    newer.save()

    assert filled("{evacuated}") == "130"


def test_other_braces_stay_as_they_are():
    assert filled("{} {unknown} {a b} {Evacuated}") == "{} {unknown} {a b} {Evacuated}"


@pytest.mark.parametrize("values", [{"number": None}, {"number": 1, "day": date(2017, 1, 1)}, {"as_of": None}])
def test_the_database_refuses_a_figure_that_is_neither_number_nor_day_or_has_no_date(values):
    with pytest.raises(IntegrityError), transaction.atomic():
        Figure.objects.create(slug="x", **{"number": 1, "as_of": date(2018, 1, 1), **values})


def test_texts_without_figures_ask_for_none(django_assert_num_queries):
    with django_assert_num_queries(0):
        filled("No number here.")


# What the campaign comes with.


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_writes_by_hand_what_is_a_figure(language):
    by_hand = re.compile(r"\b(119|98|150.?000)\b|28.(March|марта)")
    for path in (CONTENT / language).rglob("*.md"):
        assert not by_hand.search(path.read_text()), path.name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("slug", [slug for slug in PAGES if slug != "home"])
def test_every_page_of_the_campaign_shows_its_figures_and_its_links_lead_somewhere(client, language, slug):
    call_command("load_campaign", verbosity=0)

    html = shown(client, slug, language)

    assert not re.search(r"\{[a-z-]+", html.replace("{ credentials", "").replace("try {", ""))
    for link in re.findall(r'href="(\.\./[^"]+)"', html):
        assert client.get(f"/{language}/{link.removeprefix('../')}").status_code == 200, link


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_press_finds_every_figure_with_its_date_and_source(client, language):
    call_command("load_campaign", verbosity=0)

    html = shown(client, "press", language).replace("\u00a0", " ")

    day, season, network = {
        "en": ("28 March 2017", "As of: spring 2018.", "Source: Russian LGBT Network"),
        "ru": ("28 марта 2017 года", "Данные: весна 2018 года.", "Источник: Российская ЛГБТ-сеть"),
    }[language]
    for value in (day, "119", "98"):
        assert f"<b>{value}</b>" in html
    assert html.count(season) == 3
    assert html.count(network) == 3
    assert f"/{language}/share/picture-1200x630-" in html


def test_claims_in_the_present_tense_carry_their_date(client):
    call_command("load_campaign", verbosity=0)

    for slug in ("what-happened", "demand", "questions"):
        assert "As of spring 2018 nobody had been charged" in shown(client, slug)


# Publication.


@pytest.mark.parametrize("hours", [None, 1])
def test_a_draft_and_a_page_of_tomorrow_are_not_there_yet(client, hours):
    at = hours and timezone.now() + timedelta(hours=hours)
    make_page("Secret", published_at=at)

    assert client.get("/en/news/").status_code == 404


@pytest.mark.parametrize("slug", ["home", "outcome"])
def test_parts_of_the_home_page_have_no_address_of_their_own(client, slug):
    make_page("Text", slug=slug)

    assert client.get(f"/en/{slug}/").status_code == 404


def test_a_page_that_is_missing_in_a_language_sends_search_engines_to_where_it_is(client, settings):
    make_page("Text")

    html = shown(client, language="ru")

    assert f'<link rel="canonical" href="{settings.SITE_URL}/en/news/">' in html
    assert "hreflang" not in html.partition("</head>")[0]
    assert 'hreflang="ru"' not in shown(client).partition("</head>")[0]
