"""The start page: pages by the work that they are for, and what waits for this account."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from campaign.models import Report, Update
from petition import waiting
from petition.admin import start
from petition.models import HeldReason, InvalidationCampaign, Lookup, Notice, ProposedListing, Sample
from petition.models.signature import this_hour
from tests.support import links

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


@pytest.fixture
def look(client, make_staff):
    """The start page of an account with these roles: what waits on it, by page and label."""

    def look(*roles):
        client.force_login(make_staff(*roles))
        response = client.get(INDEX)
        return {(each.page, str(each.kind.label)): each for each in response.context["work"]}

    return look


def test_every_page_has_its_place_and_a_line_on_what_it_is_for():
    registered = {model._meta.label for model in admin.site._registry}

    assert start.placed() == registered
    assert all(about for section in start.SECTIONS for about in section.pages.values())


def test_every_kind_of_work_is_done_on_a_page_that_there_is():
    assert {kind.model for kind in waiting.KINDS} <= start.placed()


def test_the_name_of_an_app_leads_to_the_start_page(client, make_staff):
    client.force_login(make_staff("moderator"))

    assert client.get(reverse("admin:app_list", args=["petition"]))["Location"] == INDEX


def test_a_page_is_called_what_the_links_to_it_are_called(client, make_staff):
    client.force_login(make_staff("administrator", "moderator", "editor", "organiser"))

    for section in client.get(INDEX).context["app_list"]:
        for page in section["models"]:
            title = client.get(page["admin_url"], follow=True).context["title"]
            assert not str(title).startswith("Select "), page["name"]


def test_an_administrator_sees_what_moderators_propose_for_the_lists(look, make_signature):
    asked = timezone.now() - timedelta(hours=5)
    ProposedListing.objects.create(name="throwaway.example", count=500, username="vera", proposed_at=asked)

    (work,) = (each for each in look("administrator").values() if each.kind.model == "petition.ProposedListing")
    assert work.waiting == waiting.Waiting(1, asked)
    assert not any(kind == "proposals for the lists" for kind, _label in look("moderator"))


def test_sections_stand_in_the_order_of_work_and_show_what_the_account_may_see(client, make_staff):
    client.force_login(make_staff("administrator", "moderator", "editor", "organiser"))
    titles = [str(section["name"]) for section in client.get(INDEX).context["app_list"]]
    assert titles == ["Moderate", "Numbers", "Texts", "Protection", "People", "Technical"]

    client.force_login(make_staff("organiser"))
    page = client.get(INDEX)
    assert [str(section["name"]) for section in page.context["app_list"]] == ["Numbers"]
    assert "Links for partners, which tell how many came by each." in page.content.decode()


@pytest.mark.parametrize("app", ["petition", "campaign"])
def test_a_list_of_tables_from_a_to_z_is_nowhere(client, make_staff, app):
    client.force_login(make_staff("editor", "organiser"))

    assert client.get(reverse("admin:app_list", args=[app]))["Location"] == INDEX
    update = Update.objects.create(slug="news", published_at=None)
    for page, arguments in (("changelist", []), ("add", []), ("change", [update.pk]), ("delete", [update.pk])):
        html = client.get(reverse(f"admin:campaign_update_{page}", args=arguments)).content.decode()
        assert '"/admin/campaign/"' not in html, page
        assert "Updates" in html.partition('class="breadcrumbs"')[2].partition("</div>")[0], page


def test_what_the_petition_lacks_leads_to_its_form(client, make_staff, petition):
    client.force_login(make_staff("editor"))

    form = reverse("admin:petition_petition_change", args=[petition.pk])
    assert f'<a href="{form}">The petition does not say' in client.get(INDEX).content.decode()


def test_a_moderator_sees_how_many_wait_since_when_and_the_way_to_them(look, client, make_signature):
    three_hours_ago = this_hour() - timedelta(hours=3)
    for hours in range(3):
        words = make_signature(words="Be strong", confirmed=True).shown
        words.asked_at = three_hours_ago + timedelta(hours=hours)
        words.save()
    held = three_hours_ago + timedelta(hours=1)
    make_signature(confirmed=True, held_at=held, held_reason=HeldReason.BUSY_NETWORK)
    reported = make_signature(words="Doubtful", confirmed=True, approved_at=this_hour())
    Report.objects.add(reported.shown)
    Notice.objects.create(id=1, anomalies=2)

    work = look("moderator")

    names = work["names and words to review", "to decide"]
    assert (names.waiting.count, names.waiting.since) == (3, three_hours_ago)
    assert names.age in ("3 hours", "4 hours")
    assert work["held signatures", "held"].waiting == waiting.Waiting(1, held)
    assert work["reports of words", "reported"].waiting.count == 1
    assert work["signals of fakes", "in the last hour"].waiting.count == 2
    page = client.get(INDEX).content.decode()
    for each in work.values():
        assert f'<a href="{each.url}"' in page
        assert client.get(each.url).status_code == 200
    assert f"{held:%Y-%m-%d %H:%M}</time> UTC" in page


def test_an_administrator_sees_mails_lookups_and_a_silent_worker(look, petition, client):
    call_command("load_campaign", verbosity=0)
    old = timezone.now() - timedelta(hours=2)
    links.owe_mail(petition, "anna@example.org", parked_at=old)
    links.owe_mail(petition, "boris@example.org", due_at=old)
    mail = links.owe_mail(petition, "vera@example.org")
    Lookup.objects.create(asked_by=0, reason="She asks", address=mail.recipient, key_id=mail.key_id)
    Sample.objects.create(
        taken_at=old, waiting=0, late_minutes=0, parked=0, sent=0, unfolded=0, published=0, database_bytes=0
    )

    work = look("administrator")

    assert {name: each.waiting.count for name, each in work.items()} == {
        ("find one signature", "to approve or to answer"): 1,
        ("outgoing mails", "parked"): 1,
        ("outgoing mails", "late"): 1,
        ("how the site is doing", "minutes without a word of the worker"): 120,
    }
    parked = client.get(work["outgoing mails", "parked"].url)
    assert [mail.parked_at for mail in parked.context["cl"].result_list] == [old]


def test_drafts_wait_for_those_who_write(look, petition):
    Update.objects.create(slug="news", published_at=None)
    InvalidationCampaign.objects.create(petition=petition, reason="Robots", country="DE")

    assert look("editor")["updates", "drafts"].waiting.count == 1
    assert look("moderator")["moderation campaigns", "drafts"].waiting.count == 1
    assert ("updates", "drafts") not in look("moderator")


@pytest.mark.parametrize("role", ["moderator", "editor", "organiser", "administrator"])
def test_nobody_is_told_of_work_on_pages_that_are_closed_to_her(look, client, make_signature, petition, role):
    make_signature(words="Be strong", confirmed=True)
    make_signature(confirmed=True, held_at=this_hour())
    links.owe_mail(petition, "anna@example.org", parked_at=timezone.now())
    Update.objects.create(slug="news", published_at=None)
    Notice.objects.create(id=1, anomalies=2)

    work = look(role)

    assert work or role == "organiser"
    for each in work.values():
        assert client.get(each.url).status_code == 200, each.kind


def test_where_nothing_waits_the_page_says_so(look, client):
    assert look("moderator") == {}
    assert "Nothing waits for you." in client.get(INDEX).content.decode()


@pytest.mark.parametrize(
    ("waited", "said"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(minutes=-3), "less than a minute"),
    ],
)
def test_an_age_is_said_in_one_unit(waited, said):
    assert waiting.age(waited) == said


def test_a_queue_without_end_is_counted_to_a_bound(look, client, make_signature, monkeypatch):
    monkeypatch.setattr(waiting, "MAX_COUNT", 2)
    for _ in range(3):
        make_signature(words="Be strong", confirmed=True)

    look("moderator")

    assert "more than 2" in client.get(INDEX).content.decode()
