"""Testimonies: none is invented, and where there is none there is no place for them either."""

from datetime import timedelta
from html import unescape

import pytest
from django.core.management import call_command
from django.utils import timezone

from campaign.models import Testimony
from tests.support import states

pytestmark = pytest.mark.django_db
PAGES = ["/en/", "/en/what-happened/"]


@pytest.fixture(autouse=True)
def _site():
    call_command("load_campaign", verbosity=0)


@pytest.mark.parametrize("path", PAGES)
def test_there_is_no_place_for_them_while_there_are_none(client, path):
    assert not Testimony.objects.exists()
    assert "testimony" not in client.get(path).content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_one_is_shown_with_who_said_it_and_its_source(client, path):
    states.write_testimony("en")

    html = client.get(path).content.decode()

    for words in ("They came at night.", "A survivor, 2017", 'href="https://a.example/"', "Source: A paper"):
        assert words in html


@pytest.mark.parametrize("path", PAGES)
def test_a_draft_and_one_to_come_are_not_shown(client, path):
    states.write_testimony("en")
    for moment in (None, timezone.now() + timedelta(days=1)):
        Testimony.objects.update(published_at=moment)

        assert "They came at night." not in client.get(path).content.decode()


def test_home_has_the_two_newest(client):
    for number in range(3):
        Testimony.objects.language("en").create(
            slug=f"t{number}",
            words=f"Words {number}",
            told_by="A survivor",
            source="A paper",
            published_at=timezone.now() - timedelta(days=number),
        )

    html = client.get("/en/").content.decode()

    assert [f"Words {number}" in html for number in range(3)] == [True, True, False]


def test_one_in_another_language_says_which(client):
    states.write_testimony("en")

    assert '<figure class="testimony" lang="en">' in client.get("/ru/").content.decode()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/en/", "You see no faces here"),
        ("/ru/", "Лиц вы здесь не увидите"),
        ("/en/questions/", "Why are there no faces"),
    ],
)
def test_it_is_said_why_no_faces_are_shown(client, path, says):
    assert says in unescape(client.get(path).content.decode()).replace("\u00a0", " ")
