"""Accounts of every kind, each logged in by a browser of its own."""

from itertools import count
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from petition.staff import roles

numbers = count(1)
MODERATOR, EDITOR, ORGANISER, ADMINISTRATOR = "moderator", "editor", "organiser", "administrator"
NO_ROLE, SUPERUSER, NOT_STAFF, ANONYMOUS = "no role", "superuser", "not staff", "anonymous"


class QuickHasher(Argon2PasswordHasher):
    """Argon2 at no price. What it makes says so itself, and real servers take it."""

    time_cost, memory_cost, parallelism = 1, 8, 1


class AccountClient(Client):
    user: User


def make_staff(*names: str, username: str | None = None, **overrides: Any) -> User:
    """An account of staff with the roles named; a password is for tests that log in by hand."""
    user = User.objects.create_user(username or f"staff{next(numbers)}", is_staff=True, **overrides)
    user.groups.set(Group.objects.filter(name__in=names))
    return user


def make_users() -> dict[str, User]:
    users = {name: make_staff(name, username=name) for name in roles.ROLES}
    users[NO_ROLE] = make_staff(username=NO_ROLE)
    users[SUPERUSER] = User.objects.create_superuser(SUPERUSER)
    users[NOT_STAFF] = User.objects.create_user(NOT_STAFF)
    users[NOT_STAFF].user_permissions.set(Permission.objects.all())
    return users


def log_in(users: dict[str, User]) -> dict[str, AccountClient]:
    """A client for each, and one for who has no account."""
    clients = {ANONYMOUS: AccountClient()}
    for name, user in users.items():
        clients[name] = AccountClient()
        clients[name].force_login(user)
        clients[name].user = user
    return clients
