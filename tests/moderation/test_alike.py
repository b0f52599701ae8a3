"""The page of a signature says how many share its network, mail domain, name or words, in tens, and leads to them."""

import html
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from petition.models import Signature
from petition.models.signature import this_hour
from petition.moderation import similar

HOUR = timedelta(hours=1)
NETWORK, DOMAIN = b"net", b"d" * 32

pytestmark = pytest.mark.django_db


def page_of(client, signature):
    return client.get(reverse("admin:petition_signature_change", args=[signature.pk])).content.decode()


def said(client, signature):
    """The lines about others, without the number of the signature."""
    block = page_of(client, signature).partition("thers like it")[2].partition("</fieldset>")[0]
    return re.findall(r"<div>(\w[^<]*(?:<a [^>]*>[^<]*</a>)?)</div>", html.unescape(block))


@pytest.fixture
def crowd(make_signature):
    def make(number, **values):
        return [make_signature(**{"confirmed": True, **values}) for _ in range(number)]

    return make


def test_those_who_share_something_are_counted_in_tens_and_listed_by_a_link(moderator, crowd):
    shared = {"network_digest": NETWORK, "domain_digest": DOMAIN, "name": "Hans Wurst", "words": "Shame"}
    rows = crowd(37, **shared)
    crowd(5)

    found = said(moderator, rows[0])

    assert [re.sub(r"<[^>]+>", "", line) for line in found] == [
        "from the same network on its day: 30 and more",
        "with the same mail domain: 30 and more",
        "with the same name: 30 and more",
        "with the same words: 30 and more",
    ]
    for line in found:
        (url,) = re.findall('href="([^"]+)"', line)
        assert {row.pk for row in moderator.get(url).context["cl"].result_list} == {row.pk for row in rows}
        assert not re.search("hans|shame", url, re.IGNORECASE)


@pytest.mark.parametrize("kind", ["network", "domain", "name", "words"])
def test_a_household_a_domain_or_a_name_of_ones_own_says_nothing_of_its_size(moderator, crowd, kind):
    """The moderator knows the number of one signature, and asks whether anybody else like it has signed."""
    shared = {"network": {"network_digest": NETWORK}, "domain": {"domain_digest": DOMAIN}}
    values = shared.get(kind, {kind: "Ivan Petrov"})
    seen = set()
    for others in (0, 1, 18):
        own, *_rest = crowd(1 + others, **values)
        seen.add(tuple(said(moderator, own)))
        Signature.objects.all().delete()

    assert len(seen) == 1
    assert seen.pop()[0].endswith("fewer than 20, perhaps no other")


def test_one_more_who_signs_changes_no_number(moderator, crowd):
    own, *_rest = crowd(23, domain_digest=DOMAIN)
    before = said(moderator, own)

    crowd(6, domain_digest=DOMAIN)

    assert said(moderator, own) == before


def test_what_is_pending_makes_no_group(moderator, crowd, make_signature):
    (own,) = crowd(1, network_digest=NETWORK, domain_digest=DOMAIN)
    for _ in range(40):
        make_signature(network_digest=NETWORK, domain_digest=DOMAIN)

    assert all(line.endswith("fewer than 20, perhaps no other") for line in said(moderator, own))


def test_a_network_of_another_day_is_another_one(moderator, crowd):
    (own,) = crowd(1, network_digest=NETWORK)
    crowd(30, network_digest=NETWORK, created_at=this_hour() - 48 * HOUR)

    assert said(moderator, own) == ["from the same network on its day: fewer than 20, perhaps no other"]
    assert not similar.is_of_crowd("network", own.pk)


def test_a_network_of_days_ago_is_listed_from_its_day_on(moderator, crowd):
    rows = crowd(20, network_digest=NETWORK, created_at=this_hour() - 72 * HOUR)
    crowd(5, created_at=this_hour())

    (line,) = said(moderator, rows[0])

    (url,) = re.findall('href="([^"]+)"', line)
    assert {row.pk for row in moderator.get(url).context["cl"].result_list} == {row.pk for row in rows}


def test_of_very_many_it_says_a_thousand(crowd, monkeypatch):
    monkeypatch.setattr(similar, "LARGE", 30)
    own, *_rest = crowd(45, domain_digest=DOMAIN, network_digest=NETWORK, name="Anna")

    assert similar.how_many_share(own) == {"network": 30, "domain": 30, "name": 30}


def test_a_signature_with_nothing_to_share_says_so(moderator, crowd):
    (own,) = crowd(1)

    assert said(moderator, own) == []
    assert "others like it" in page_of(moderator, own).lower()
