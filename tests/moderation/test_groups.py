"""Groups are seen from 20 confirmed members on: a moderator cannot find out whether somebody in particular signed.

Each test plays the moderator who asks about one person, once where that one has signed and once where she has not, and
compares all that he is answered.
"""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from petition import identity
from petition.admin import signatures
from petition.counts import tally
from petition.models import InvalidationCampaign, SeenDomain, Signature, Source, StaffAction
from petition.models.signature import this_hour
from petition.moderation import invalidation, similar
from petition.templatetags.petition_tags import seen_in_crowds

LIST = reverse("admin:petition_signature_changelist")
ANOMALIES = reverse("admin:petition_signals_changelist")
ADD = reverse("admin:petition_invalidationcampaign_add")
HOUR = timedelta(hours=1)
HOUSEHOLD = b"\1\2\3"
PETROV = {"network_digest": HOUSEHOLD, "domain_digest": bytes(32), "name": "Ivan Petrov", "words": "For my son"}

pytestmark = pytest.mark.django_db

LISTED, IS_CROWD = signatures.listed, similar.is_crowd_of_cell


@pytest.fixture(autouse=True)
def _lists_are_as_they_are(_few_are_listed, monkeypatch):
    monkeypatch.setattr(signatures, "listed", LISTED)
    monkeypatch.setattr(similar, "is_crowd_of_cell", IS_CROWD)


@pytest.fixture
def petrov(make_signature):
    """He signs, or another one does in his place, of whom nothing is like him."""

    def make(signs, number=1, **overrides):
        other = {"network_digest": b"abc", "domain_digest": b"d" * 32, "name": "Anna Smith", "words": "Love wins"}
        values = {"confirmed": True, **(PETROV if signs else other), **overrides}
        return [make_signature(**values) for _ in range(number)]

    return make


def without_tokens(response):
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


def answers(moderator, kind, text):
    """All that the look-up says, and where it leads."""
    response = moderator.post(ANOMALIES, {"kind": kind, "text": text})
    return response.status_code, response.headers.get("Location"), without_tokens(response)


@pytest.mark.parametrize(("kind", "text"), [("name", "Ivan Petrov"), ("words", "For my son"), ("domain", "petrov.ru")])
def test_looking_somebody_up_is_answered_alike_whether_she_signed_or_not(moderator, petrov, kind, text):
    """Ten who signed and ten who did not: what the moderator sees is one and the same page."""
    seen = set()
    for number in range(20):
        rows = petrov(number % 2)
        seen.add(answers(moderator, kind, text))
        Signature.objects.filter(pk__in=[row.pk for row in rows]).delete()

    assert len(seen) == 1
    ((status, location, page),) = seen
    assert (status, location) == (200, None)
    assert "Fewer than 20 signatures have it." in page


def test_a_private_domain_cannot_be_asked_for_however_many_pending_ones_are_made_of_it(moderator, make_signature):
    """Nineteen made-up addresses beside hers make its name known; what leads to her takes mailboxes there."""
    digest = identity.domain_digest("ivan@petrov.ru")
    hers = make_signature(domain_digest=digest, confirmed=True, created_at=this_hour() - 2 * HOUR)
    for _ in range(30):
        make_signature(domain_digest=digest)
    SeenDomain.objects.create(digest=digest, name="petrov.ru", shared_on=this_hour().date())

    assert answers(moderator, "domain", "petrov.ru")[1] is None
    page = moderator.get(LIST, {"by": "domain", "of": hers.pk})
    assert not page.context["cl"].result_list
    assert "fewer than 20" in page.content.decode()


def test_a_domain_that_is_not_known_by_name_leads_nowhere_however_many_have_it(moderator, make_signature):
    digest = identity.domain_digest("ivan@petrov.ru")
    for _ in range(30):
        make_signature(domain_digest=digest, confirmed=True)

    assert answers(moderator, "domain", "petrov.ru")[1] is None
    page = moderator.post(ADD, {"domain": "petrov.ru", "reason": "x", "petition": 1})
    assert "No domain of this kind is known by name." in page.content.decode()


@pytest.mark.parametrize("kind", ["network", "domain", "name", "words"])
@pytest.mark.parametrize(("number", "is_listed"), [(19, False), (20, True)])
def test_who_is_like_a_signature_is_listed_from_twenty_on(moderator, petrov, kind, number, is_listed):
    rows = petrov(True, number)

    page = moderator.get(LIST, {"by": kind, "of": rows[0].pk})

    assert len(page.context["cl"].result_list) == (number if is_listed else 0)
    assert ("fewer than 20" in page.content.decode()) is not is_listed


def test_a_household_is_no_group_and_says_nothing_of_its_size(moderator, petrov):
    """The moderator knows the number of one signature at home: does anybody else there sign?"""
    pages = set()
    for signs in (False, True):
        (own,) = petrov(True, created_at=this_hour() - HOUR)
        petrov(signs)
        page = moderator.get(LIST, {"by": "network", "of": own.pk})
        pages.add((len(page.context["cl"].result_list), page.context["cl"].form.likeness))
        Signature.objects.all().delete()

    assert len(pages) == 1


def test_what_is_pending_makes_no_group(moderator, petrov, make_signature):
    """Forty sign forms from the network of the target, whose mails nobody answers."""
    (target,) = petrov(True)
    for _ in range(40):
        make_signature(network_digest=HOUSEHOLD)

    assert not moderator.get(LIST, {"by": "network", "of": target.pk}).context["cl"].result_list


def test_a_link_for_one_person_shows_no_row_and_no_column(moderator, make_signature):
    Source.objects.create(slug="petrov", title="Petrov")
    signature = make_signature(confirmed=True, source="petrov")
    while tally.fold():
        pass

    assert not moderator.get(LIST, {"source": "petrov"}).context["cl"].result_list
    for url in (LIST, reverse("admin:petition_signature_change", args=[signature.pk])):
        page = moderator.get(url)
        assert "petrov" not in page.content.decode().replace('<option value="petrov">petrov</option>', "")


# Campaigns.


def campaign(petition, **criteria):
    return InvalidationCampaign.objects.create(petition=petition, reason="a test", **criteria)


def url(made, step="change"):
    return reverse(f"admin:petition_invalidationcampaign_{step}", args=[made.pk])


CRITERIA = [
    {"name_pattern": "Ivan Petrov"},
    {"network_digest": HOUSEHOLD},
    {"domain": "petrov.ru", "domain_digests": bytes(32)},
]


@pytest.mark.parametrize("criteria", CRITERIA, ids=lambda criteria: next(iter(criteria)))
def test_a_preview_about_one_person_is_the_same_whether_she_signed_or_not(moderator, petition, petrov, criteria):
    draft, pages = campaign(petition, **criteria), set()
    for number in range(10):
        rows = petrov(number % 2)
        pages.add(without_tokens(moderator.get(url(draft))))
        Signature.objects.filter(pk__in=[row.pk for row in rows]).delete()

    assert len(pages) == 1
    assert "fewer than 20 signatures, perhaps none" in pages.pop()


@pytest.mark.parametrize(("number", "is_shown"), [(19, False), (20, True)])
def test_a_preview_shows_numbers_and_a_sample_from_twenty_on(petition, petrov, number, is_shown):
    petrov(True, number)

    preview = invalidation.preview(campaign(petition, **CRITERIA[0]))

    assert preview.is_narrow is not is_shown
    assert bool(preview.sample) is is_shown


def test_a_moderator_alone_does_not_apply_what_finds_fewer(moderator, petition, petrov):
    petrov(True, 19)
    draft = campaign(petition, **CRITERIA[0])

    page = moderator.post(url(draft, "apply"), follow=True)

    assert "it takes an administrator to apply it" in page.content.decode()
    draft.refresh_from_db()
    assert draft.is_draft
    assert not StaffAction.objects.filter(action="campaign_applied").exists()


def test_an_administrator_who_is_a_moderator_applies_it_and_the_page_names_no_number(
    client, make_staff, petition, petrov
):
    petrov(True, 3)
    draft = campaign(petition, **CRITERIA[0])
    client.force_login(make_staff("moderator", "administrator"))
    client.post(url(draft, "apply"))
    while invalidation.advance():
        pass

    draft.refresh_from_db()
    assert draft.changed == 3
    assert "Fewer than 20 signatures were changed." in client.get(url(draft)).content.decode()
    page = client.get(reverse("admin:petition_invalidationcampaign_changelist"))
    assert '<td class="field-how_many_changed">fewer than 20</td>' in page.content.decode()


def test_numbers_below_twenty_are_no_numbers():
    assert [seen_in_crowds(number) for number in (0, 1, 19, 20, 21)] == ["fewer than 20"] * 3 + ["20", "21"]


# The list of all signatures.


def listed_rows(moderator, **filters):
    return {row.pk for row in moderator.get(LIST, filters).context["cl"].result_list}


def test_whoever_typed_an_address_sees_no_row_come_and_none_confirmed(moderator, make_signature):
    """The canary: he types her address with a country that nobody has, and watches until somebody presses the link."""
    for number in range(20):
        make_signature(confirmed_at=this_hour() - (1 + number) * 24 * HOUR, country="DE")
    tally.fold()
    before = listed_rows(moderator)

    typed = make_signature(country="TV")
    assert listed_rows(moderator) == before
    typed.confirm()

    assert listed_rows(moderator) == before
    assert listed_rows(moderator, since="2000-01-01T00:00") == before, "nor by a filter that fits everybody"
    for filters in ({"country": "TV"}, {"country": "TV", "since": f"{this_hour():%Y-%m-%dT%H:%M}"}):
        assert "a group of fewer than 20" in moderator.get(LIST, filters).content.decode()
        assert listed_rows(moderator, **filters) == set()


def test_those_of_a_country_are_listed_from_twenty_on(moderator, make_signature):
    yesterday = this_hour() - 24 * HOUR
    rows = {make_signature(created_at=yesterday, confirmed_at=yesterday, country="IS").pk for _ in range(19)}
    tally.fold()
    assert listed_rows(moderator, country="IS") == set()

    rows.add(make_signature(created_at=yesterday, confirmed_at=yesterday, country="IS").pk)
    tally.fold()

    assert listed_rows(moderator, country="IS") == rows
    assert listed_rows(moderator, country="IS", since=f"{this_hour():%Y-%m-%dT%H:%M}") == set()


def test_those_of_today_are_listed_once_a_crowd_of_today_shares_what_is_asked_for(moderator, make_signature):
    """Fakes of an hour that name one country are looked at while they come."""
    today = {make_signature(confirmed=True, country="IS").pk for _ in range(19)}
    for _ in range(20):
        yesterday = this_hour() - 24 * HOUR
        make_signature(created_at=yesterday, confirmed_at=yesterday, country="IS")
    tally.fold()
    assert not listed_rows(moderator, country="IS") & today

    today.add(make_signature(confirmed=True, country="IS").pk)
    tally.fold()

    assert listed_rows(moderator, country="IS") >= today
