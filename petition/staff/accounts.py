"""Accounts of staff: the language that each has chosen, and passwords that somebody else has chosen for them."""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from petition.models import StaffAccount


class WithAccount(ModelBackend):
    """Django's backend. It reads what we keep of an account with the user, in the statement that each request costs."""

    def get_user(self, user_id: int) -> User | None:
        user = User.objects.select_related("staff_account").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None


def has_given_password(user: User | AnonymousUser) -> bool:
    """Whether somebody else knows the password, because he chose it."""
    account = getattr(user, "staff_account", None)
    return account is not None and account.password_given_at is not None


def note_given_password(user: User) -> None:
    _store(user, password_given_at=timezone.now())


def note_own_password(user: User) -> None:
    StaffAccount.objects.filter(user=user).update(password_given_at=None)


def language(user: User | AnonymousUser) -> str:
    """The language chosen for the admin; empty if none was, or if the admin does not speak it any more."""
    account = getattr(user, "staff_account", None)
    return account.language if account and account.language in settings.COMPLETE_LANGUAGES else ""


def choose_language(user: User, code: str) -> None:
    if code in settings.COMPLETE_LANGUAGES:
        _store(user, language=code)


def _store(user: User, **values: Any) -> None:
    StaffAccount.objects.update_or_create(user=user, defaults=values)
