"""Made-up signatures for benches and demos: spread as in life, and counted like real ones."""

import pytest
from django.core.management import CommandError, call_command

from petition.counts import publication, tally
from petition.models import PublishedCell, Signature

pytestmark = pytest.mark.django_db


def test_seeds_are_spread_and_exactly_counted(petition, counted_rows):
    call_command("seed_signatures", "5000")

    rows = Signature.objects
    assert rows.count() == 5_000
    assert rows.values("country").distinct().count() > 40
    assert rows.values("language").distinct().count() == 4
    assert rows.values("source").distinct().count() == 21
    assert (rows.latest("created_at").created_at - rows.earliest("created_at").created_at).days in (399, 400)
    assert 0 < rows.pending().count() < rows.held().count() + 5_000 * 0.02
    assert tally.current("chechnya").confirmed_here == counted_rows()
    assert "agree" in call_command("recount")


def test_seeding_twice_adds(petition):
    call_command("seed_signatures", "100")
    call_command("seed_signatures", "100")

    assert Signature.objects.count() == 200


def test_a_site_that_runs_already_shows_their_weeks_and_countries(petition, make_signature):
    make_signature(confirmed=True)
    publication.publish()

    call_command("seed_signatures", "5000")

    assert PublishedCell.objects.values("week").distinct().count() > 40
    assert PublishedCell.objects.values("country").distinct().count() > 20


def test_outside_local_it_must_be_meant(petition, settings):
    settings.LOCAL = False

    with pytest.raises(CommandError, match="--yes"):
        call_command("seed_signatures", "10")
    call_command("seed_signatures", "10", "--yes")

    assert Signature.objects.count() == 10
