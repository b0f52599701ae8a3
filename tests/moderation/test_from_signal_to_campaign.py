"""From a signal of fakes to the campaign about them: what the signal knows is filled in, and just those are held."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.urls import reverse

from petition.models import InvalidationCampaign, Signature, Source
from petition.models.signature import this_hour
from petition.moderation import invalidation
from tests.moderation.test_large_networks import DAYS, QUIET, Hour, one_address
from tests.support.crowds import HOUR, Crowd, sign

pytestmark = pytest.mark.django_db
SIGNALS = reverse("admin:petition_signals_changelist")
# As many as one moderator may hold alone.
ATTACK = 100


@pytest.fixture
def attacked(petition):
    """Fakes from one network within an hour, beside as many others; their numbers."""
    at = this_hour() - HOUR
    sign(petition, Crowd(QUIET // 10, days=DAYS).rows)
    before = set(Signature.objects.values_list("pk", flat=True))
    Source.objects.get_or_create(slug="radio", defaults={"title": "A radio programme"})
    sign(petition, one_address(at, ATTACK))
    fakes = set(Signature.objects.values_list("pk", flat=True)) - before
    sign(petition, Hour(at, seed="others").signers(ATTACK))
    return fakes


def test_one_press_on_a_signal_fills_in_the_campaign_and_it_holds_just_those(moderator, petition, attacked):
    page = moderator.get(SIGNALS, {"span": "day"}).content.decode()
    link = unescape(re.search(r'href="([^"]*invalidationcampaign/add/[^"]*network_like=[^"]*)"', page)[1])
    form = moderator.get(link).content.decode()

    given = dict(parse_qsl(urlsplit(link).query))
    for name, value in given.items():
        shown = value.replace("T", " ")
        assert re.search(rf'name="{name}"[^>]*value="{shown}"|value="{shown}"[^>]*name="{name}"', form), name
    # As a browser sends it, with a reason.
    data = given | {"petition": petition.pk, "effect": "hold", "reason": "Robots"}
    assert moderator.post(reverse("admin:petition_invalidationcampaign_add"), data).status_code == 302
    campaign = InvalidationCampaign.objects.get()
    moderator.post(reverse("admin:petition_invalidationcampaign_apply", args=[campaign.pk]))
    while invalidation.advance():
        pass

    assert set(Signature.objects.held().filter(campaign=campaign).values_list("pk", flat=True)) == attacked
