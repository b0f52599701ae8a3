"""The roles: what each may, and how an administrator gives them."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition.models import (
    Petition,
    StaffAction,
)
from petition.staff import roles, second_factor
from tests.support.accounts import ADMINISTRATOR, EDITOR, MODERATOR, SUPERUSER, log_in, make_users

pytestmark = pytest.mark.django_db


@pytest.fixture
def clients(db):
    return log_in(make_users())


# The groups.


def held_by(role):
    return {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Group.objects.get(name=role).permissions.select_related("content_type")
    }


@pytest.mark.parametrize("role", roles.ROLES)
def test_the_migration_makes_the_groups_with_exactly_their_permissions(role):
    assert held_by(role) == roles.ROLES[role]


def test_loading_the_campaign_puts_the_groups_right_again(capsys):
    Group.objects.get(name=MODERATOR).permissions.add(*Permission.objects.all())
    Group.objects.get(name=EDITOR).delete()

    assert "moderator (role), editor (role)" in call_command("load_campaign")

    assert {role: held_by(role) for role in roles.ROLES} == roles.ROLES


def test_roles_have_names_in_the_same_order():
    assert list(roles.NAMES) == list(roles.ROLES)


# Editors and administrators share a form.


def petition_form(petition, **changes):
    values = {
        "title": petition.title,
        "addressee": "",
        "demand": petition.demand,
        "thanks": "",
        "opened_at_0": "2026-11-01",
        "opened_at_1": "00:00:00",
        "collected_before": petition.collected_before,
        "collected_before_source": petition.collected_before_source,
    }
    return {**values, **changes}


def test_an_editor_changes_the_texts_and_nothing_else(clients, petition):
    url = reverse("admin:petition_petition_change", args=[petition.pk])

    form = petition_form(petition, title="New", goal=5, collected_before=1, reason="x", slug="x")
    clients[EDITOR].post(url, form | {"_publish": "1"})

    changed = Petition.objects.get()
    assert (changed.title, changed.goal, changed.collected_before, changed.slug) == ("New", None, 150_000, "chechnya")
    entry = StaffAction.objects.get(action="changed")
    assert (entry.username, entry.about, entry.detail, entry.petition) == (
        EDITOR,
        "petition chechnya",
        "title",
        "chechnya",
    )


def test_an_administrator_changes_switches_and_no_texts(clients, petition):
    url = reverse("admin:petition_petition_change", args=[petition.pk])

    clients[ADMINISTRATOR].post(url, petition_form(petition, title="New", goal=200_000, reason="A round number"))

    changed = Petition.objects.get()
    assert (changed.title, changed.goal) == ("Investigate", 200_000)
    assert "goal: – → 200000" in StaffAction.objects.get().detail


def test_what_was_collected_before_changes_with_a_reason_alone(clients, petition):
    url = reverse("admin:petition_petition_change", args=[petition.pk])

    page = clients[ADMINISTRATOR].post(url, petition_form(petition, collected_before=151_000)).content.decode()
    assert "Say why" in page
    page = clients[ADMINISTRATOR].post(url, petition_form(petition, collected_before=151_000, reason="a@b.org"))
    assert "An address may not be kept" in page.content.decode()
    assert Petition.objects.get().collected_before == 150_000

    clients[ADMINISTRATOR].post(url, petition_form(petition, collected_before=151_000, reason="Late paper sheets"))

    assert Petition.objects.get().collected_before == 151_000
    entry = StaffAction.objects.get()
    assert "collected_before: 150000 → 151000" in entry.detail
    assert entry.reason == "Late paper sheets"


# An administrator gives roles, and cannot reach for more.


@pytest.fixture
def administrator(clients):
    return clients[ADMINISTRATOR]


def test_an_administrator_makes_accounts_with_roles(administrator):
    password = "a long password for a test"
    administrator.post(
        reverse("admin:auth_user_add"),
        {
            "username": "vera",
            "password1": password,
            "password2": password,
            "groups": [Group.objects.get(name=EDITOR).pk],
            "is_superuser": "on",
            "user_permissions": [Permission.objects.first().pk],
        },
    )

    vera = User.objects.get(username="vera")
    assert (vera.is_staff, vera.is_superuser, vera.user_permissions.count()) == (True, False, 0)
    assert [group.name for group in vera.groups.all()] == [EDITOR]
    assert vera.check_password(password)
    assert StaffAction.objects.filter(about="user vera", action="added").exists()


def test_an_administrator_cannot_take_more_than_a_role(administrator):
    own = administrator.user
    forged = Group.objects.create(name="everything")
    forged.permissions.set(Permission.objects.all())
    url = reverse("admin:auth_user_change", args=[own.pk])
    before = own.get_all_permissions()

    refused = administrator.post(url, {"username": own.username, "is_active": "on", "groups": [forged.pk]})
    administrator.post(
        url,
        {
            "username": own.username,
            "is_active": "on",
            "groups": [Group.objects.get(name=ADMINISTRATOR).pk],
            "is_superuser": "on",
            "user_permissions": [permission.pk for permission in Permission.objects.all()],
        },
    )

    assert "is not one of the available choices" in refused.content.decode()
    own = User.objects.get(pk=own.pk)
    assert not own.is_superuser
    assert own.get_all_permissions() == before


def test_giving_a_role_is_traced_with_before_and_after(administrator, make_staff):
    vera = make_staff(EDITOR, username="vera")
    groups = [Group.objects.get(name=name).pk for name in (EDITOR, MODERATOR)]

    url = reverse("admin:auth_user_change", args=[vera.pk])
    administrator.post(url, {"username": "vera", "is_active": "on", "groups": groups})

    assert StaffAction.objects.get().detail == "groups: editor → editor, moderator"


def test_an_administrator_cannot_touch_a_superuser(administrator, clients):
    boss = clients[SUPERUSER].user
    second_factor.begin(boss)
    before = User.objects.filter(pk=boss.pk).values().get()
    for name, data in [
        ("change", {"username": "fallen"}),
        ("delete", {"post": "yes"}),
        ("password_change", {"password1": "x" * 20, "password2": "x" * 20}),
        ("second_factor", {"reason": "because"}),
    ]:
        assert administrator.post(reverse(f"admin:auth_user_{name}", args=[boss.pk]), data).status_code == 403
    administrator.post(
        reverse("admin:auth_user_changelist"),
        {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"},
    )

    assert User.objects.filter(pk=boss.pk).values().get() == before
    assert TOTPDevice.objects.filter(user=boss).exists()


def test_nobody_deletes_the_own_account_by_mistake(administrator):
    url = reverse("admin:auth_user_delete", args=[administrator.user.pk])

    assert administrator.post(url, {"post": "yes"}).status_code == 403


def test_the_password_of_an_account_is_set_with_a_trace_and_without_the_password(administrator, make_staff):
    vera = make_staff(username="vera", password="an older password of hers")
    password = "a long password for a test"

    url = reverse("admin:auth_user_password_change", args=[vera.pk])
    administrator.post(url, {"password1": password, "password2": password, "usable_password": "true"})

    vera.refresh_from_db()
    assert vera.check_password(password)
    entry = StaffAction.objects.get()
    assert (entry.action, entry.about, entry.detail) == ("password_set", "user vera", "")


def test_an_account_that_is_switched_off_is_out_at_once(administrator, make_staff):
    vera = make_staff(MODERATOR, username="vera")
    her = Client()
    her.force_login(vera)
    assert her.get(reverse("admin:index")).status_code == 200

    administrator.post(reverse("admin:auth_user_change", args=[vera.pk]), {"username": "vera", "groups": []})

    assert her.get(reverse("admin:index")).status_code == 302
    assert "is_active: True → False" in StaffAction.objects.get().detail


def test_permissions_of_another_app_do_not_leak_into_a_role():
    """A permission of the same codename elsewhere is another one."""
    elsewhere = ContentType.objects.create(app_label="elsewhere", model="petition")
    Permission.objects.create(content_type=elsewhere, codename="view_signature", name="other")
    Group.objects.all().delete()

    roles.ensure()

    assert held_by(MODERATOR) == roles.ROLES[MODERATOR]
