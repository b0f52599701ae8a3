"""Words of support: shown as their signers wished, found by nobody who looks for a person, reported with a button."""

import re
from datetime import timedelta

import pytest

from campaign import words_of_support
from campaign.models import Report
from petition.models import Signature
from petition.models.signature import this_hour

pytestmark = pytest.mark.django_db
WORDS = "/en/words/"


@pytest.fixture
def speak(make_signature):
    """Words that stand on the page; what is given decides."""

    def make(words="With you", *, hours_ago=0, **values):
        then = this_hour() - timedelta(hours=hours_ago)
        defaults = {"confirmed": True, "approved_at": then}
        return make_signature(words=words, **{**defaults, **values})

    return make


def entries(client, url=WORDS):
    return re.findall(r'<blockquote class="words">(.*?)</blockquote>', client.get(url).content.decode(), re.DOTALL)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_words_are_shown_with_the_name_in_their_own_language(client, speak, language):
    speak("Держитесь\nвсе", language="ru", name="Анна <К.>", country="ES")

    (entry,) = entries(client, f"/{language}/words/")

    assert '<p dir="ltr" lang="ru">Держитесь<br>все</p>' in entry
    country = {"en": "Spain", "ru": "Испания"}[language]
    assert f"<bdi>Анна &lt;К.&gt;</bdi>, {country}" in entry


def test_who_gave_no_name_is_a_supporter(client, speak):
    speak(country="ES")

    assert "<bdi>A supporter</bdi>, Spain" in entries(client)[0]


@pytest.mark.parametrize(
    "values",
    [
        {"approved_at": None},
        {"confirmed": False},
        {"invalidated_at": this_hour()},
        {"held_at": this_hour(), "held_reason": "x"},
        {"words": ""},
    ],
    ids=str,
)
def test_nothing_else_is_shown(client, speak, values):
    speak(**{"words": "Not to be seen", "name": "Anna", **values})

    assert entries(client) == []
    assert "Anna" not in client.get(WORDS).content.decode()
    assert "Not to be seen" not in client.get("/en/").content.decode()


def test_the_newest_approved_come_first_page_by_page(client, speak):
    for hours in range(words_of_support.ON_A_PAGE + 5):
        speak(f"Words {hours:02}", hours_ago=hours)

    first, second = (entries(client, url) for url in (WORDS, f"{WORDS}?page=2"))

    assert [re.search(r"Words (\d+)", entry)[1] for entry in first + second] == [
        f"{hours:02}" for hours in range(words_of_support.ON_A_PAGE + 5)
    ]
    assert len(first) == words_of_support.ON_A_PAGE
    assert 'href="?page=2" rel="next"' in client.get(WORDS).content.decode()
    assert 'href="./" rel="prev"' in client.get(f"{WORDS}?page=2").content.decode()


@pytest.mark.parametrize(("query", "status"), [("page=2", 404), ("page=0", 404), ("page=1", 200), ("page=x", 200)])
def test_pages_that_do_not_exist_are_not_there(client, speak, query, status):
    speak()

    assert client.get(f"{WORDS}?{query}").status_code == status


def test_a_page_of_words_costs_two_statements_however_many_there_are(client, speak, django_assert_num_queries):
    for _number in range(30):
        speak()
    with django_assert_num_queries(2):
        list(words_of_support.page(1)[0])


def test_search_engines_keep_away_from_words_and_names(client, speak):
    speak("Look here", name="Anna Ivanova")

    assert '<meta name="robots" content="noindex">' in client.get(WORDS).content.decode()
    # The home page is found in searches, so no name stands there.
    home = client.get("/en/").content.decode()
    assert "Look here" in home
    assert "Anna Ivanova" not in home
    assert "data-nosnippet" in home


# Reports.


def report_url(signature):
    return f"{WORDS}{signature.pk}/report/"


def test_looking_at_the_page_reports_nothing(client, speak):
    signature = speak("Doubtful")

    assert "Doubtful" in client.get(report_url(signature)).content.decode()
    assert not Report.objects.exists()


def test_pressing_the_button_tells_the_moderators_and_keeps_nothing_of_the_reader(client, speak):
    signature = speak()

    for _reader in range(3):
        response = client.post(report_url(signature))

    assert (response.status_code, response["Location"]) == (303, "/en/words/reported/")
    report = Report.objects.get()
    assert (report.shown.signature, report.times) == (signature, 3)
    assert {field.name for field in Report._meta.fields} == {"shown", "times", "reported_on"}
    assert len(entries(client)) == 1


def test_what_is_not_shown_cannot_be_reported(client, speak):
    hidden = speak(approved_at=None)

    assert client.get(report_url(hidden)).status_code == 404
    assert client.post(report_url(hidden)).status_code == 404


def test_one_network_cannot_report_without_end(client, speak, settings):
    settings.BURST_PER_NETWORK = "2/m"
    signature = speak()

    assert [client.post(report_url(signature)).status_code for _press in range(3)] == [303, 303, 429]


def test_a_report_goes_with_its_signature(client, speak, django_assert_max_num_queries):
    signature = speak()
    client.post(report_url(signature))

    Signature.objects.filter(pk=signature.pk).erase()

    assert not Report.objects.exists()
