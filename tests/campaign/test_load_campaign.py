"""Seeding a site, and seeding it again when people have been at work."""

import re
from datetime import date

import pytest
from django.conf import settings
from django.core.management import call_command

from campaign.management.commands.load_campaign import CONTENT, PAGES, UPDATES, read
from campaign.models import Figure, Page, Update
from petition.models import KeyFingerprint, Petition

pytestmark = pytest.mark.django_db
LANGUAGES = [code for code, _name in settings.LANGUAGES]


def load():
    return call_command("load_campaign", verbosity=0)


def test_a_new_site_has_its_petition_and_pages_in_every_language():
    load()

    petition = Petition.objects.get()
    assert (petition.slug, petition.collected_before, petition.collected_before_on) == (
        "chechnya",
        150_000,
        date(2018, 4, 1),
    )
    for language in LANGUAGES:
        petition.set_current_language(language)
        assert petition.title
        assert petition.demand
        assert petition.thanks
        assert petition.collected_before_source
        assert petition.addressee == ""
        for page in Page.objects.all():
            page.set_current_language(language)
            assert page.title
            assert 0 < len(page.description) <= 300
            assert page.body
        for update in Update.objects.all():
            update.set_current_language(language)
            assert update.title
            assert update.description
        for figure in Figure.objects.all():
            figure.set_current_language(language)
            assert figure.label
            assert figure.source
    assert sorted(Page.objects.values_list("slug", flat=True)) == sorted(PAGES)
    assert sorted(Update.objects.values_list("slug", flat=True)) == sorted(UPDATES)
    assert set(Figure.objects.published().values_list("slug", "number", "day", "as_of")) == {
        ("first-request", None, date(2017, 3, 28), None),
        ("evacuated", 119, None, date(2018, 4, 1)),
        ("left-russia", 98, None, date(2018, 4, 1)),
    }


def test_it_says_what_it_did():
    assert load().startswith(
        "Loaded petition (en), petition (ru), petition (de), petition (fr), petition (es), figure first-request"
    )
    assert load() == "Everything was there already; nothing has changed."


def test_it_needs_no_key_and_leaves_it_to_the_worker_to_remember_one(settings):
    settings.EMAIL_DIGEST_KEY = ""

    load()

    assert not KeyFingerprint.objects.exists()


def test_what_people_edited_stays():
    load()
    page = Page.objects.get(slug="about")
    page.set_current_language("ru")
    page.body = "Переписано."
    page.save()
    Petition.objects.update(collected_before=160_000)
    Figure.objects.filter(slug="evacuated").update(number=130)
    Update.objects.update(published_at=None)

    load()

    assert Page.objects.get(slug="about").safe_translation_getter("body", language_code="ru") == "Переписано."
    assert Petition.objects.get().collected_before == 160_000
    assert Figure.objects.get(slug="evacuated").number == 130
    assert Update.objects.get().published_at is None


def test_a_language_that_is_missing_is_added_beside_what_people_edited():
    load()
    page = Page.objects.get(slug="about")
    page.set_current_language("en")
    page.title = "About us"
    page.save()
    page.delete_translation("ru")

    assert load() == "Loaded about (ru)."

    page = Page.objects.get(slug="about")
    assert page.has_translation("ru")
    assert page.safe_translation_getter("title", language_code="en") == "About us"


@pytest.mark.parametrize("name", ["petition", *PAGES, *(f"updates/{slug}" for slug in UPDATES)])
def test_all_languages_tell_the_same_figures_in_the_same_sections(name):
    def shape(language):
        body = read(CONTENT / language / f"{name}.md", "body")["body"]
        # What stands in braces is filled in later, and the words in it follow the plural forms of each language.
        figures = re.findall(r"\{([a-z-]+)", body)
        body = re.sub(r"\{[^}]+\}", "", body)
        numbers = re.findall(r"\d+", re.sub(r"(?<=\d)[,\u00a0 ](?=\d{3}\b)", "", body))
        return sorted(figures), sorted(numbers), [re.match(r"[#|\-]*", block)[0] for block in body.split("\n\n")]

    written = [language for language in LANGUAGES if (CONTENT / language / f"{name}.md").exists()]
    assert set(written) >= set(settings.COMPLETE_LANGUAGES)
    for language in written:
        assert shape(language) == shape("en"), language
