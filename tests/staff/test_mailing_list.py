"""Organisers see how many asked for updates, and take the sealed list home."""

import pytest
from django.urls import reverse
from nacl.public import PrivateKey

from petition import offline_key
from petition.models import StaffAction, Subscription
from petition.models.mailing_list import this_monday
from tests.support.mailing_list import end_week, join, opened

pytestmark = pytest.mark.django_db

PAGE = "admin:petition_subscription_changelist"


@pytest.fixture
def organiser(client, make_staff):
    client.force_login(make_staff("organiser", username="olga"))
    return client


def sealed(pair, number):
    key = offline_key.fingerprint(pair.public_key)
    Subscription.objects.bulk_create(
        Subscription(
            box=offline_key.Subscriber(f"person{place}@example.org", "x" * 22, "en", 1).seal(pair.public_key),
            key=key,
            leave_digest=f"{key}{place:016}".encode(),
        )
        for place in range(number)
    )
    end_week()
    return key


def test_an_organiser_exports_what_her_key_opens(organiser, petition, list_key):
    join(organiser, "anna@example.org")
    end_week()
    key = offline_key.fingerprint(list_key.public_key)

    response = organiser.post(reverse("admin:petition_subscription_export", args=[key]))

    lines = b"".join(response.streaming_content).decode().splitlines()
    assert f'filename="mailing-list-{key[:8]}-{this_monday()}.sealed"' in response["Content-Disposition"]
    assert [row[0] for row in offline_key.open_list(list_key, lines).rows()] == ["anna@example.org"]
    assert "anna" not in "\n".join(lines)


@pytest.mark.parametrize("waits", [True, False])
def test_in_a_trial_nobody_waits_for_monday(organiser, petition, list_key, settings, waits):
    settings.MAILING_LIST_WAITS = waits
    join(organiser, "anna@example.org")

    page = organiser.get(reverse(PAGE)).content.decode()

    assert ("Nobody yet." in page) == waits
    assert ("This is a trial" in page) == (not waits)
    assert len(opened(list_key).by_address) == (not waits)


def test_an_export_is_in_the_audit_log(organiser, petition, list_key):
    key = sealed(list_key, 25)

    organiser.post(reverse("admin:petition_subscription_export", args=[key]))

    entry = StaffAction.objects.get()
    assert (entry.username, entry.action, entry.about) == ("olga", "list_exported", f"mailing list {key}")
    assert entry.count == 20


def test_following_a_link_exports_nothing(organiser, petition, list_key):
    assert organiser.get(reverse("admin:petition_subscription_export", args=[sealed(list_key, 1)])).status_code == 405
    assert not StaffAction.objects.exists()


def test_the_page_says_which_key_is_in_use_and_how_many_are_under_each(organiser, petition, list_key):
    in_use, old = sealed(list_key, 19), sealed(PrivateKey.generate(), 30)

    page = " ".join(organiser.get(reverse(PAGE)).content.decode().split())

    assert f"<code>{offline_key.in_fours(in_use)}</code> in use" in page
    assert "<td> 10+ </td>" in page
    assert f"<code>{offline_key.in_fours(old)}</code> replaced" in page
    assert "<td> 30+ </td>" in page


def test_the_number_is_read_in_tens_and_not_before_the_week_is_over(organiser, petition, list_key):
    """Read twice, an exact number would tell that somebody has come in between."""
    sealed(list_key, 19)
    pages = [organiser.get(reverse(PAGE)).content]
    for number in range(3):
        join(organiser, f"person{number}@example.org")
        pages.append(organiser.get(reverse(PAGE)).content)

    assert all(b"<td> 10+ </td>" in b" ".join(page.split()) for page in pages)


def test_without_a_key_the_page_says_what_to_do(organiser, petition, settings):
    settings.MAILING_LIST_KEY = ""

    assert "No key is set, so nobody is asked for an address." in organiser.get(reverse(PAGE)).content.decode()


def test_a_key_that_nothing_is_sealed_to_exports_nothing(organiser, petition, list_key):
    assert organiser.post(reverse("admin:petition_subscription_export", args=["0" * 16])).status_code == 404
    assert not StaffAction.objects.exists()


@pytest.mark.parametrize("role", ["moderator", "editor", "administrator"])
def test_nobody_else_exports_it(client, petition, list_key, make_staff, role):
    client.force_login(make_staff(role))
    key = sealed(list_key, 1)

    assert client.get(reverse(PAGE)).status_code == 403
    assert client.post(reverse("admin:petition_subscription_export", args=[key])).status_code == 403
    assert reverse(PAGE) not in client.get(reverse("admin:index")).content.decode()
