"""Pages that are rendered for everybody at once, and filled in for each visitor."""

import html
import re

import pytest

from petition.models import Petition
from petition.web import filled_pages
from tests.support import links


@pytest.fixture(autouse=True)
def _kept_pages(settings, monkeypatch):
    settings.PAGE_CACHE_ENTRIES = 500
    monkeypatch.setattr(filled_pages, "SECONDS", 60)  # none ends in the middle of a test


def opened(client, token, language="en"):
    return html.unescape(client.get(f"/{language}/confirm/{token}/").content.decode())


def kept():
    return repr(filled_pages._kept)


def test_opening_a_link_costs_one_statement(client, make_signature, known_switches, django_assert_num_queries):
    opened(client, links.token(make_signature()))
    another = links.token(make_signature())

    with django_assert_num_queries(1):
        assert "Confirm my signature" in opened(client, another)


def test_each_sees_her_own_words_and_her_own_link(client, make_signature):
    tokens = {
        name: links.token(make_signature(name=name, words=f"Words of {name}", country="DE"))
        for name in ("Anna", "Maria")
    }
    tokens[""] = links.token(make_signature())

    pages = {name: opened(client, token) for name, token in tokens.items()}

    for name, page in pages.items():
        assert set(re.findall(r"(?:Words of )?(?:Anna|Maria)", page)) == ({name, f"Words of {name}"} if name else set())
        assert ("Confirm without name and words" in page) == bool(name)
        assert set(re.findall(r'href="/ru/(.*)" lang', page)) == {f"confirm/{tokens[name]}/"}


def test_nothing_of_anybody_is_kept(client, make_signature):
    token = links.token(make_signature(name="Анна", words="Правда", country="IS"))

    page = opened(client, token)

    assert all(typed in page for typed in ("Анна", "Правда", "Iceland", token))
    assert "Confirm my signature" in kept()
    assert not any(typed in kept() for typed in ("Анна", "Правда", "Iceland", token))


def test_each_language_has_its_page(client, make_signature):
    token = links.token(make_signature())

    assert "Confirm my signature" in opened(client, token)
    assert "Расследуйте" in opened(client, token, "ru")
    assert "Confirm my signature" in opened(client, token)


@pytest.mark.parametrize("typed", ["<b>", "{{ 1 }}", "path", "MARK", "MARKpathMARK"])
def test_what_was_typed_stands_there_as_it_is(client, make_signature, typed):
    typed = typed.replace("MARK", filled_pages.MARK)
    token = links.token(make_signature(name="Anna", words=typed))
    opened(client, token)

    page = client.get(f"/en/confirm/{token}/").content.decode()

    assert f'">{html.escape(typed)}</p>' in page


@pytest.mark.parametrize(("seconds", "is_shown"), [(60, False), (0, True)])
def test_what_editors_change_is_shown_when_the_page_has_had_its_time(
    client, petition, make_signature, monkeypatch, seconds, is_shown
):
    monkeypatch.setattr(filled_pages, "SECONDS", seconds)
    token = links.token(make_signature())
    opened(client, token)
    Petition.objects.get().translations.update(title="Another title")

    assert ("Another title" in opened(client, token)) == is_shown
