"""Staff look after petition, pages and mail, and cannot see an address or lower the count by accident."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from campaign.models import Page
from petition.counts import tally
from petition.mail import claims
from petition.mail.keys import Keyring
from petition.models import Action, Heartbeat, OutgoingMail, Petition, ShownWords, Signature, StaffAction
from tests.support import links, server
from tests.support.browser import follow, needs_chromium

pytestmark = pytest.mark.django_db

SIGNATURES = reverse("admin:petition_signature_changelist")


@pytest.fixture
def staff(client, admin_user):
    client.force_login(admin_user)
    return client


@pytest.fixture
def make_mail(petition):
    return partial(links.owe_mail, petition)


def test_a_stranger_is_asked_to_log_in(client):
    assert client.get(SIGNATURES)["Location"].startswith("/admin/login/")


def test_signatures_are_listed_without_address_or_digest(staff, make_signature):
    signature = make_signature(email="anna@example.org", name="Анна", country="ES", confirmed=True)

    pages = (
        staff.get(SIGNATURES).content
        + staff.get(reverse("admin:petition_signature_change", args=[signature.pk])).content
    )

    assert "Анна" in pages.decode()
    assert b"anna@example.org" not in pages
    assert bytes(signature.email_digest).hex().encode() not in pages
    assert b"igest" not in pages


def test_signatures_are_facts_that_nobody_edits_adds_or_deletes(staff, make_signature):
    signature = make_signature(confirmed=True)
    change = reverse("admin:petition_signature_change", args=[signature.pk])

    assert staff.post(change, {"name": "Other"}).status_code == 403
    assert staff.get(reverse("admin:petition_signature_add")).status_code == 403
    assert (
        staff.post(reverse("admin:petition_signature_delete", args=[signature.pk]), {"post": "yes"}).status_code == 403
    )
    staff.post(SIGNATURES, {"action": "delete_selected", "_selected_action": [signature.pk], "post": "yes"})

    assert Signature.objects.counted().count() == 1
    assert not ShownWords.objects.exists()
    assert tally.current("chechnya").confirmed_here == 1


def test_a_petition_with_signatures_cannot_be_deleted(staff, petition):
    assert staff.post(reverse("admin:petition_petition_delete", args=[petition.pk]), {"post": "yes"}).status_code == 403
    assert Petition.objects.exists()


def test_parked_mail_can_be_tried_again_and_shows_no_address(staff, make_mail):
    mail = make_mail(parked_at=timezone.now(), last_status=550, attempts=1)
    url = reverse("admin:petition_outgoingmail_changelist")

    page = staff.get(url).content
    assert b"550" in page
    assert b"example.org" not in page

    staff.post(url, {"action": "try_again", "_selected_action": [mail.pk]})

    assert OutgoingMail.objects.waiting().get().pk == mail.pk


def test_a_mail_whose_key_is_lost_is_told_apart_and_stays_parked(staff, make_mail):
    lost = make_mail(key_id=None, recipient=b"", parked_at=timezone.now())
    refused = make_mail(parked_at=timezone.now(), last_status=550)
    url = reverse("admin:petition_outgoingmail_changelist")

    page = staff.get(url, {"status": "lost"}).content.decode()
    assert "key lost</td>" in page
    assert "550</td>" not in page
    assert "key lost" in staff.get(reverse("admin:petition_outgoingmail_change", args=[lost.pk])).content.decode()
    assert "key lost</td>" not in staff.get(url, {"status": "5"}).content.decode()

    staff.post(url, {"action": "try_again", "_selected_action": [lost.pk, refused.pk]})

    assert list(OutgoingMail.objects.waiting()) == [refused]


def press_the_button(staff):
    url = reverse("admin:petition_outgoingmail_retry_parked")
    assert f'action="{url}"' in staff.get(reverse("admin:petition_outgoingmail_changelist")).content.decode()
    staff.post(url)


def run_the_command(staff):
    call_command("retry_mails", verbosity=0)


@pytest.mark.parametrize("try_all", [press_the_button, run_the_command])
def test_all_parked_mails_are_tried_again_in_random_order_as_if_for_the_first_time(staff, make_mail, try_all):
    parked = [make_mail(parked_at=timezone.now(), last_status=550, attempts=24) for _ in range(20)]
    lost = make_mail(key_id=None, recipient=b"", parked_at=timezone.now())
    later = make_mail(due_at=timezone.now() + timedelta(hours=1), attempts=5, last_status=450)

    try_all(staff)

    due = OutgoingMail.objects.waiting().filter(due_at__lte=timezone.now()).order_by("due_at")
    assert {mail.pk for mail in due} == {mail.pk for mail in parked}
    assert [mail.pk for mail in due] != [mail.pk for mail in parked]
    assert set(due.values_list("attempts", flat=True)) == {0}
    assert OutgoingMail.objects.parked().get() == lost
    later.refresh_from_db()
    assert (later.attempts, later.due_at > timezone.now()) == (5, True)
    entry = StaffAction.objects.filter(action=Action.MAIL_TRIED_AGAIN).get()
    assert entry.count == len(parked)


def test_what_a_worker_is_sending_is_not_tried_again_as_well(staff, make_mail):
    mail = make_mail(due_at=timezone.now() - timedelta(minutes=1), attempts=1, last_status=450)
    (claimed,) = claims.claim(Keyring())

    staff.post(
        reverse("admin:petition_outgoingmail_changelist"), {"action": "try_again", "_selected_action": [mail.pk]}
    )

    assert OutgoingMail.objects.get().due_at == claimed.due_at


@pytest.mark.parametrize(
    ("codes", "advice"),
    [
        ("550 5.7.1", "SPF, DKIM, DMARC"),
        ("554", "SPF, DKIM, DMARC"),
        ("535 5.7.8", "password in EMAIL_URL"),
        ("530", "password in EMAIL_URL"),
        ("553 5.1.8", "DEFAULT_FROM_EMAIL"),
    ],
)
def test_the_start_page_says_that_the_mail_server_refuses_us_and_what_to_do(staff, codes, advice):
    start = reverse("admin:index")
    assert "refuses us" not in staff.get(start).content.decode()

    Heartbeat.beat(Heartbeat.Part.REFUSED, codes)
    page = staff.get(start).content.decode()
    assert f"The mail server refuses us: {codes}" in page
    assert advice in page

    Heartbeat.beat(Heartbeat.Part.TAKEN)
    assert "refuses us" not in staff.get(start).content.decode()


@pytest.mark.parametrize(
    ("language", "rows", "row"), [("en", "Pages", "Page (English)"), ("ru", "Страницы", "Страница (Английский)")]
)
def test_titles_and_numbers_hold_no_name_in_a_form_that_it_has_not(admin_client, language, rows, row):
    for slug in ("news", "story"):
        page = Page.objects.language("en").create(slug=slug, title="Title", body="Text")
    spoken = {"headers": {"accept-language": language}}

    listed = admin_client.get(reverse("admin:campaign_page_changelist"), **spoken).content.decode()
    form = admin_client.get(reverse("admin:campaign_page_change", args=[page.pk]), **spoken).content.decode()

    assert f"<h1>{rows}</h1>" in listed
    assert f"2 {rows.lower()}" not in listed
    assert f"<h1>{row}</h1>" in form


@pytest.mark.parametrize("language", ["en", "ru"])
def test_pages_are_edited_in_each_language(staff, language):
    call_command("load_campaign", verbosity=0)
    page = Page.objects.get(slug="about")

    staff.post(
        f"{reverse('admin:campaign_page_change', args=[page.pk])}?language={language}",
        {
            "title": "New title",
            "description": "",
            "body": "New *text*",
            "published_at_0": "2026-01-01",
            "published_at_1": "00:00",
            "_publish": "1",
        },
    )

    public = staff.get(f"/{language}/about/").content.decode()
    assert "New title" in public
    assert "<em>text</em>" in public
    other = "ru" if language == "en" else "en"
    assert "New title" not in staff.get(f"/{other}/about/").content.decode()


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_no_admin_page_breaks_under_its_own_policy_or_leaves_a_cookie_elsewhere(
    browser, tmp_path, make_signature, make_mail
):
    """Every list, form and history in a browser: inline code would be reported as an error."""
    call_command("load_campaign", verbosity=0)
    make_signature(name="Анна", confirmed=True)
    make_mail()
    get_user_model().objects.create_superuser("admin", password="a long password for a test")
    with server.web(tmp_path / "web.log") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}")
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto("/admin/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "a long password for a test")
        follow(page, "[type=submit]")

        lists = [link.get_attribute("href") for link in page.locator(".sections li > a:first-child").all()]
        for url in lists:
            page.goto(url)
            for row in page.locator("#result_list th a, #result_list td a").all()[:1]:
                page.goto(row.get_attribute("href"))

        assert len(lists) >= 4
        assert complaints == []
        assert {cookie["path"] for cookie in context.cookies()} == {"/admin/"}
        context.close()
