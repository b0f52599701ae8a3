"""A password that somebody else has chosen: its owner changes it before anything else."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition.models import StaffAccount, StaffAction
from petition.staff import accounts, second_factor
from tests.conftest import make_petition
from tests.staff.test_login import code_of
from tests.staff.test_routes import ROUTES, STATE, make_rows, path

pytestmark = pytest.mark.django_db

INDEX, LOGIN, CHANGE = reverse("admin:index"), reverse("admin:login"), reverse("admin:password_change")
GIVEN, OWN = "given by a colleague", "a password of her own"
# What an account whose password is not its own may still do: leave, change it, and read in its own language.
OPEN = {"login", "logout", "password_change", "language"}


@pytest.fixture
def administrator(make_staff):
    client = Client()
    client.force_login(make_staff("administrator", username="ada"))
    return client


@pytest.fixture
def anna(administrator):
    """A new account that an administrator has made in the admin."""
    roles = list(User.objects.get(username="ada").groups.values_list("pk", flat=True))
    typed = {"username": "anna", "password1": GIVEN, "password2": GIVEN, "groups": roles}
    administrator.post(reverse("admin:auth_user_add"), typed)
    return User.objects.get(username="anna")


def log_in(client, password):
    return client.post(LOGIN, {"username": "anna", "password": password, "next": INDEX}, follow=True)


def change(client, new, old=GIVEN):
    typed = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(CHANGE, typed, follow=True)


def test_a_new_account_changes_its_password_first_and_then_gets_in(client, anna):
    first = log_in(client, GIVEN)
    assert first.redirect_chain[-1][0].startswith(CHANGE)
    assert "Somebody else has chosen your password" in first.content.decode()
    assert 'id="nav-sidebar"' not in first.content.decode()

    after = change(client, OWN)

    assert after.request["PATH_INFO"] == INDEX
    assert after.context["user"].username == "anna"
    assert StaffAction.objects.filter(username="anna", action="password_changed").count() == 1
    assert Client().post(LOGIN, {"username": "anna", "password": OWN, "next": INDEX})["Location"] == INDEX


def test_the_password_that_somebody_knows_is_no_new_one(client, anna):
    log_in(client, GIVEN)

    page = change(client, GIVEN).content.decode()

    assert "This is the password that you have" in page
    assert client.get(INDEX).status_code == 302
    assert not StaffAction.objects.filter(username="anna", action="password_changed").exists()


def test_whoever_gets_a_password_set_later_changes_it_again(client, administrator, anna):
    log_in(client, GIVEN)
    change(client, OWN)
    url = reverse("admin:auth_user_password_change", args=[anna.pk])

    administrator.post(url, {"password1": GIVEN, "password2": GIVEN, "usable_password": "true"})

    # The session that was open has ended, too.
    assert client.get(INDEX)["Location"].startswith(LOGIN)
    assert log_in(client, GIVEN).redirect_chain[-1][0].startswith(CHANGE)


def test_who_sets_the_own_password_among_the_accounts_knows_it_alone(administrator):
    ada = User.objects.get(username="ada")
    url = reverse("admin:auth_user_password_change", args=[ada.pk])

    administrator.post(url, {"password1": OWN, "password2": OWN, "usable_password": "true"})

    assert administrator.get(INDEX).status_code == 200


@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_else_opens_until_then(method, make_staff):
    rows = make_rows(make_petition())
    user = make_staff("administrator", "moderator", "editor", "organiser", username="anna", is_superuser=True)
    accounts.note_given_password(user)
    client = Client()
    client.force_login(user)

    def state():
        return [list(model.objects.order_by("pk").values()) for model in STATE]

    before = state()
    for name, route in ROUTES.items():
        if name in OPEN:
            continue
        answer = getattr(client, method)(path(name, route, rows), route.data if method == "post" else None)
        assert answer.status_code == 302, name
        # By the login page, which leads to the next step of a login.
        steps = client.get(answer["Location"], follow=True).redirect_chain or [(answer["Location"], 302)]
        assert steps[-1][0].partition("?")[0] == CHANGE, name
    assert state() == before


def test_a_thief_of_the_given_password_gets_no_second_factor_and_no_change(client, settings, anna):
    """Where a key is set up, its code comes before the new password; where none is, the password before the key."""
    settings.SECOND_FACTOR = True
    log_in(client, GIVEN)
    for name in ("second_factor", "second_factor_set_up", "second_factor_scan", "backup_codes"):
        assert client.get(reverse(f"admin:{name}"))["Location"] == CHANGE, name

    device = second_factor.begin(anna)
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    assert change(client, OWN).request["PATH_INFO"] == reverse("admin:second_factor")
    anna.refresh_from_db()
    assert anna.check_password(GIVEN)

    client.post(reverse("admin:second_factor"), {"code": code_of(device.bin_key)})
    assert change(client, OWN).request["PATH_INFO"] == INDEX
    assert not accounts.has_given_password(User.objects.get(username="anna"))


def test_after_the_new_password_comes_the_second_factor(client, settings, anna):
    settings.SECOND_FACTOR = True
    log_in(client, GIVEN)

    assert change(client, OWN).request["PATH_INFO"] == reverse("admin:second_factor_set_up")
    assert client.get(INDEX).status_code == 302


def test_no_note_outlives_its_account(administrator, anna):
    administrator.post(reverse("admin:auth_user_delete", args=[anna.pk]), {"post": "yes"})

    assert not StaffAccount.objects.exists()


# The language of the admin.


def heading(client, **headers):
    page = client.get(INDEX, headers=headers).content.decode()
    return re.search(r'<html lang="(\w+)"', page)[1], re.search(r"<h1>(.*?)</h1>", page)[1]


def test_an_account_chooses_the_language_of_the_admin_whatever_its_browser_asks_for(administrator):
    url = reverse("admin:language")
    assert heading(administrator, accept_language="ru")[0] == "ru"

    gone = administrator.post(url, {"language": "en", "next": CHANGE})

    assert gone["Location"] == CHANGE
    assert heading(administrator, accept_language="ru") == ("en", "What waits")
    # With the account: another browser speaks it, and nothing stays on this computer.
    another = Client()
    another.force_login(User.objects.get(username="ada"))
    assert heading(another, accept_language="ru")[0] == "en"
    assert {name.rpartition("-")[2] for name in administrator.cookies} <= {"sessionid", "csrftoken"}


def test_both_languages_stand_beside_the_password_by_their_own_names(administrator):
    page = administrator.get(INDEX).content.decode()

    assert '<strong lang="en">English</strong>' in page
    assert re.search(r'<button[^>]* value="ru" lang="ru">\s*Русский\s*</button>', page)


@pytest.mark.parametrize("language", ["de", "xx", ""])
def test_a_language_that_the_admin_does_not_speak_changes_nothing(administrator, language):
    administrator.post(reverse("admin:language"), {"language": language, "next": "https://elsewhere.example/"})

    assert not StaffAccount.objects.exists()
    assert heading(administrator)[0] == "en"


def test_the_choice_leads_nowhere_else(administrator):
    for url in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"):
        assert administrator.post(reverse("admin:language"), {"language": "ru", "next": url})["Location"] == INDEX
