"""Machine-made languages: English words on safety stand beside theirs until a native speaker has read them."""

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from petition.admin import languages
from petition.models import LanguageApproval, StaffAction

pytestmark = pytest.mark.django_db
MACHINE_MADE = ["de", "fr", "es"]
WARNING = "Signing can be dangerous."
# Where words on safety stand, and the first of them in English.
PLACES = {
    "": WARNING,
    "petitions/chechnya/sign/": WARNING,
    "petitions/chechnya/thanks/": "A post or a payment can be traced to you.",
    "share/": "A post or a payment can be traced to you.",
    "donate/": "A post or a payment can be traced to you.",
    "how-to-help/": "A post or a payment can be traced to you.",
}


@pytest.fixture(autouse=True)
def _site():
    call_command("load_campaign", verbosity=0)


def read(language, path):
    return " ".join(Client().get(f"/{language}/{path}").content.decode().split())


def english(html):
    """What stands there in English beside the language of the page."""
    return html.partition('<div class="in-english" lang="en" dir="ltr">')[2]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("language", MACHINE_MADE)
def test_until_somebody_has_read_it_the_words_on_safety_are_there_in_english_too(language, path):
    html = read(language, path)

    assert f'<html lang="{language}"' in html
    assert PLACES[path] in english(html)
    # Its own come first.
    assert PLACES[path] not in html.partition('<div class="in-english"')[0]


@pytest.mark.parametrize("path", PLACES)
def test_once_it_is_approved_they_stand_alone(path):
    LanguageApproval.objects.create(language="de")

    assert english(read("de", path)) == ""
    assert PLACES[path] in english(read("fr", path))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_languages_that_people_wrote_have_nothing_beside_them(language):
    assert english(read(language, "")) == ""


def staff(name):
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


def test_the_admin_says_which_nobody_has_read_and_takes_the_word_of_who_has():
    client = staff("native")
    index = client.get(reverse("admin:index")).content.decode()
    assert "Machine-made, not yet read by a native speaker" in index
    assert "German, French, Spanish." in index

    client.post(reverse("admin:petition_languageapproval_add"), {"language": "de"})

    assert LanguageApproval.unread() == ["fr", "es"]
    assert "French, Spanish." in client.get(reverse("admin:index")).content.decode()
    assert list(StaffAction.objects.values_list("action", "about")) == [("added", "languageapproval de")]


def test_a_word_that_is_taken_back_brings_the_english_back():
    LanguageApproval.objects.create(language="de")
    client = staff("native")

    client.post(reverse("admin:petition_languageapproval_delete", args=["de"]), {"post": "yes"})

    assert WARNING in english(read("de", ""))
    assert list(StaffAction.objects.values_list("action", flat=True)) == ["deleted"]


@pytest.mark.parametrize("language", ["en", "xx", ""])
def test_only_machine_made_languages_can_be_approved(language):
    staff("native").post(reverse("admin:petition_languageapproval_add"), {"language": language})

    assert not LanguageApproval.objects.exists()


def test_a_language_without_a_wording_of_the_consent_stops_the_start(settings):
    assert not [found for found in run_checks() if found.id == "petition.E020"]

    settings.LANGUAGES = [*settings.LANGUAGES, ("pl", "Polish")]

    (found,) = [found for found in run_checks() if found.id == "petition.E020"]
    assert found.hint.startswith("Write pl.txt in petition/consent/1 and in petition/consent/updates/1")


@pytest.mark.parametrize("language", MACHINE_MADE)
@pytest.mark.parametrize("path", ["privacy/", "questions/", "updates/new-site/"])
def test_a_page_that_falls_back_says_in_which_language_it_is(language, path):
    html = read(language, path)
    note = html.partition('class="note"')[2].partition("</div>")[0]

    assert 'hreflang="en">English</a>' in note
    assert '<div lang="en">' in html


@pytest.mark.parametrize(("asked", "spoken"), [("de", "en"), ("ru", "ru"), ("fr-CH, en;q=0.5", "en")])
def test_the_admin_speaks_the_languages_that_are_complete(asked, spoken):
    html = staff("anybody").get(reverse("admin:index"), headers={"Accept-Language": asked}).content.decode()

    assert f'<html lang="{spoken}"' in html


@pytest.mark.parametrize(("asked", "path"), [("de-AT", "/de/"), ("es, en", "/es/"), ("fr", "/fr/"), ("ja", "/en/")])
def test_a_browser_is_led_to_its_own_language(client, asked, path):
    assert client.get("/", headers={"Accept-Language": asked})["Location"] == path


def test_languages_of_words_are_spelt_and_ordered_as_their_reader_expects():
    with override("ru"):
        names = [name for _code, name in languages.of_words()[:-1]]

    assert {"Белорусский", "Китайский", "Чеченский"} <= set(names)
    assert names == sorted(names)
