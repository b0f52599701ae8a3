"""Whose campaign it is: no page ends at "none is named here", and staff are told what is missing."""

import re

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from petition import organisation
from petition.models import Petition
from petition.staff import roles

pytestmark = pytest.mark.django_db
NAMES = ("CONTACT_EMAIL", "CONTROLLER", "DONATE_URL", "HOSTING_COUNTRY", "SUPERVISORY_AUTHORITY")


@pytest.fixture
def site(settings):
    """As it runs for real: `set` is what the operator configured, and nothing else is."""
    call_command("load_campaign", verbosity=0)
    # The URLs are read once, with those that only a trial has.
    reverse("dev-mail")
    settings.LOCAL = False

    def configure(**values):
        for name in NAMES:
            setattr(settings, name, values.get(name, ""))
        return lambda path: " ".join(Client().get(path).content.decode().replace("\u00a0", " ").split())

    return configure


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("slug", ["imprint", "press", "accessibility", "privacy", "donate", "about"])
def test_nothing_is_said_of_what_is_not_configured(site, language, slug):
    html = site()(f"/{language}/{slug}/")

    for words in ("mailto:", "No contact", "no page for donations", "не указаны", "нет ссылки", "example.org"):
        assert words not in html
    # The organisation itself can be reached from everywhere.
    assert '<a href="https://lgbtnet.org/"' in html


def test_what_is_configured_stands_on_the_pages_where_people_look(site):
    read = site(
        CONTACT_EMAIL="hello@network.example",
        CONTROLLER="The Network, 1 Long Street",
        HOSTING_COUNTRY="CH",
        SUPERVISORY_AUTHORITY="https://authority.example/complain",
    )

    for slug in ("imprint", "press", "accessibility", "privacy"):
        assert 'href="mailto:hello@network.example"' in read(f"/en/{slug}/"), slug
    for says in (
        "The Network, 1 Long Street",
        "Switzerland",
        "GDPR, Art. 6 (1) (a), Art. 9 (2) (a)",
        "explicit consent",
    ):
        assert says in read("/en/privacy/")
    assert 'href="https://authority.example/complain"' in read("/en/privacy/")
    assert "Швейцария" in read("/ru/privacy/")
    assert "example.org" not in read("/en/imprint/")


@pytest.mark.parametrize("slug", ["imprint", "privacy", "donate"])
def test_a_trial_looks_finished_and_says_that_its_values_are_examples(client, slug):
    call_command("load_campaign", verbosity=0)

    html = client.get(f"/en/{slug}/").content.decode()

    assert "example.org" in html
    assert "This is a trial: addresses at example.org, and what stands beside them, are examples." in html


# What is missing is named.


def warnings():
    return [
        f"{found.msg} {found.hint}"
        for found in run_checks(include_deployment_checks=True)
        if found.id == "campaign.W002"
    ]


def test_a_check_before_the_deployment_names_what_is_missing(site):
    site(CONTACT_EMAIL="a@network.example", DONATE_URL="https://network.example/")

    assert [warning.split()[0] for warning in warnings()] == ["CONTROLLER", "HOSTING_COUNTRY"]

    site(
        CONTACT_EMAIL="a@network.example", DONATE_URL="https://network.example/", CONTROLLER="We", HOSTING_COUNTRY="CH"
    )

    assert warnings() == []


def test_a_server_may_stand_where_the_example_says(site):
    site(HOSTING_COUNTRY=django_settings.EXAMPLES["HOSTING_COUNTRY"])

    assert "HOSTING_COUNTRY" not in organisation.missing()


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("CONTACT_EMAIL", "nobody", "campaign.E005"),
        ("HOSTING_COUNTRY", "Iceland", "campaign.E006"),
        ("SUPERVISORY_AUTHORITY", "http://authority.example/", "campaign.E004"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(site, name, value, id):
    site(**{name: value})

    assert [found.id for found in run_checks() if found.id.startswith("campaign.E")] == [id]


def start_page(role):
    user = User.objects.create_user(role, is_staff=True, is_superuser=role == "superuser")
    roles.ensure()
    if not user.is_superuser:
        user.groups.add(roles.Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize(
    ("role", "seen", "unseen"),
    [
        ("administrator", ["CONTROLLER", "CONTACT_EMAIL"], ["names nobody to whom"]),
        ("editor", ["names nobody to whom", "does not say what happens with the number"], ["CONTROLLER"]),
        ("moderator", [], ["CONTROLLER", "names nobody to whom", "What the site lacks"]),
    ],
)
def test_the_start_page_of_the_admin_names_it_to_those_who_can_mend_it(site, settings, role, seen, unseen):
    site()
    settings.LOCAL, settings.SECOND_FACTOR = True, False
    html = start_page(role)

    for words in seen:
        assert words in html
    for words in unseen:
        assert words not in html


def test_nothing_is_missing_once_it_is_there(site, settings):
    site(**dict.fromkeys(NAMES, "https://x.example/"))
    settings.LOCAL, settings.SECOND_FACTOR = True, False
    petition = Petition.objects.get()
    petition.addressee, petition.plan = "The Prosecutor General", "It is handed over."
    petition.save()

    assert 'id="lacks"' not in start_page("superuser")


# A text of the petition.


@pytest.mark.parametrize("path", ["/en/", "/en/demand/"])
def test_what_happens_with_the_number_is_told_where_editors_wrote_it(site, path):
    read = site()

    assert "What happens with the number" not in read(path)

    petition = Petition.objects.get()
    petition.plan = "We hand it over.\n\nThen we tell."
    petition.save()

    assert "<p>We hand it over.</p>" in read(path)
    assert "What happens with the number" in read(path)


# Where to report a hole.


def test_security_txt_names_the_contact_and_an_end(site):
    read = site(CONTACT_EMAIL="hello@network.example")

    text = read("/.well-known/security.txt")

    assert "Contact: mailto:hello@network.example" in text
    assert re.search(r"Expires: 20\d\d-\d\d-\d\dT00:00:00Z", text)
    assert f"Canonical: {django_settings.SITE_URL}/.well-known/security.txt" in text


def test_without_a_contact_there_is_no_security_txt(site, client):
    site()

    assert client.get("/.well-known/security.txt").status_code == 404
