"""One face for times in the admin: 2026-11-27 12:00 UTC, in both languages, 24 hours in what is typed."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from petition.models import Petition, StaffAction
from tests.support import links, server
from tests.support.browser import another, follow, needs_chromium

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
# How Django, a browser or a language would write them.
OTHERS = re.compile(r"noon|midnight|полдень|a\.m\.|p\.m\.|Nov\. 27|27 ноября|27\.11\.2026|11/27/2026", re.IGNORECASE)


@pytest.fixture
def read(client, make_staff, petition, make_signature):
    """A page of the admin in a language, where something happened at noon."""
    call_command("load_campaign", verbosity=0)
    signature = make_signature(name="Anna", confirmed=True, created_at=NOON, confirmed_at=NOON, held_at=NOON)
    Petition.objects.update(closed_at=NOON)
    mail = links.owe_mail(petition, "anna@example.org", parked_at=NOON, due_at=NOON)
    user = make_staff("administrator", "moderator", "editor", last_login=NOON)
    client.force_login(user)
    type(user).objects.filter(pk=user.pk).update(last_login=NOON)
    rows = {"signature": signature.pk, "mail": mail.pk, "user": user.pk, "petition": petition.pk}

    def read(page, row="", language="en", **query):
        url = reverse(f"admin:{page}", args=[rows[row]] if row else [])
        return client.get(url, query, headers={"accept-language": language}).content.decode()

    return read


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize(
    ("page", "row"),
    [
        ("petition_signature_changelist", ""),
        ("petition_signature_change", "signature"),
        ("petition_heldsignature_changelist", ""),
        ("petition_outgoingmail_changelist", ""),
        ("petition_outgoingmail_change", "mail"),
        ("petition_petition_changelist", ""),
        ("auth_user_changelist", ""),
        ("auth_user_change", "user"),
        ("index", ""),
    ],
)
def test_a_time_is_written_in_one_way(read, page, row, language):
    html = read(page, row, language)

    assert re.search(r"2026-11-27 12:00(</time>)? UTC", html)
    assert not OTHERS.search(html.partition('<div id="content-related">')[0])


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_time_is_typed_as_it_is_read(read, language):
    html = read("petition_petition_change", "petition", language)

    assert re.search(r'name="closed_at_0" value="2026-11-27"', html)
    assert re.search(r'name="closed_at_1" value="12:00"', html)


@pytest.mark.parametrize("typed", ["Tuesday", "at Ten"])
def test_what_is_no_time_stays_as_it_was_typed(read, typed):
    html = read("petition_invalidationcampaign_add", signed_since=typed)

    assert f'name="signed_since" value="{typed}"' in html


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("typed", ["2026-11-27 12:00", "2026-11-27T12:00", "2026-11-27 12:00:00", "2026-11-27"])
def test_filters_take_and_show_24_hours(read, typed, language):
    html = read("petition_signature_changelist", "", language, since=typed)

    shown = "2026-11-27 12:00" if "12" in typed.partition("27")[2] else "2026-11-27 00:00"
    assert f'name="since" value="{typed}"' in html or f'name="since" value="{shown}"' in html
    assert 'type="datetime-local"' not in html
    assert 'class="errorlist"' not in html


def test_the_audit_log_takes_days_of_the_same_face(read):
    html = read("petition_staffaction_changelist", "", "ru", since="2026-11-27")

    assert 'name="since" value="2026-11-27"' in html
    assert 'type="date"' not in html
    assert 'placeholder="2026-11-27"' in html


@pytest.mark.parametrize("page", ["petition_countstoken_add", "petition_papersheets_add", "petition_counts_page"])
def test_every_day_is_typed_in_that_face(client, make_staff, petition, page):
    client.force_login(make_staff("administrator", "organiser"))
    url = reverse(f"admin:{page}", args=[petition.slug] if page.endswith("page") else [])

    html = client.get(url).content.decode()

    assert 'placeholder="2026-11-27"' in html
    assert 'type="date"' not in html


def test_readers_of_the_site_read_days_in_words(client, petition):
    """What the public sees is worded by its templates."""
    Petition.objects.update(opened_at=datetime(2026, 3, 28, tzinfo=UTC))

    assert "2026-03-28" not in re.sub(r"<[^>]*>", "", client.get("/ru/").content.decode())


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_the_clock_beside_an_input_has_24_hours(browser, tmp_path, petition):
    User.objects.create_superuser("admin", password="a long password for a test")
    with server.web(tmp_path / "web.log") as port, another(browser) as own:
        page = own.new_page()
        page.goto(f"http://127.0.0.1:{port}{reverse('admin:petition_petition_change', args=[petition.pk])}")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "a long password for a test")
        follow(page, "input[type=submit]")
        page.click("#clocklink0")
        assert page.locator("#clockbox0 li a").all_inner_texts() == ["Now", "00:00", "06:00", "12:00", "18:00"]

        page.click("#clockbox0 li:has-text('18:00') a")

        assert page.input_value("#id_opened_at_1") == "18:00"


def test_the_audit_log_writes_times_in_the_same_way(client, make_staff, petition):
    client.force_login(make_staff("moderator"))
    campaign = {"petition": petition.pk, "country": "IS", "signed_since": "2026-11-27 12:00", "reason": "Robots"}

    client.post(reverse("admin:petition_invalidationcampaign_add"), campaign)

    assert "signed_since: – → 2026-11-27 12:00 UTC" in StaffAction.objects.get(action="added").detail
