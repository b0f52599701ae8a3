"""The admin site: who is let in, and the entries of the audit log about that."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from petition import rate_limits
from petition.models import Action, StaffAction
from petition.moderation import review_claims
from petition.staff import accounts, audit

from . import login, notices, start
from .base import Audited

# Django and django-otp register these, too. Roles are fixed in the code, and nobody may see the keys of second factors.
LEFT_OUT = {"auth.Group", "auth.User", "otp_static.StaticDevice", "otp_totp.TOTPDevice"}
# For each account, and for all unknown names together. Entries stay, so strangers must not be able to fill the table.
FAILED_LOGINS_AUDITED = "100/h"


class StaffSite(admin.AdminSite):
    """Django admin behind a second factor. Logins are audited."""

    site_title = _("Staff")
    site_header = _("Staff")
    index_title = _("What waits")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        if admin_class is not None and issubclass(admin_class, Audited):
            super().register(model_or_iterable, admin_class, **options)
            return
        models = model_or_iterable if isinstance(model_or_iterable, list | tuple) else [model_or_iterable]
        for model in models:
            if model._meta.label not in LEFT_OUT:
                raise ImproperlyConfigured(f"The admin of {model._meta.label} is not audited; derive it from Audited.")

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and login.is_fully_logged_in(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return login.in_own_language(super().admin_view(view, cacheable))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # By their own names, so that everybody finds the way out of a language that she does not read.
        spoken = [{"code": code, "name": get_language_info(code)["name_local"]} for code in settings.COMPLETE_LANGUAGES]
        return {**super().each_context(request), "spoken": spoken}

    def get_urls(self) -> list[URLPattern | URLResolver]:
        ours = [
            # Django's own is only for complete logins; this one also for staff who have given no code yet.
            path("logout/", login.for_staff(self.logout), name="logout"),
            path("password_change/", login.for_staff(self.password_change), name="password_change"),
            path("language/", login.for_staff(login.choose_language), name="language"),
            path("second-factor/", login.for_staff(login.second_factor), name="second_factor"),
            path("second-factor/set-up/", login.for_staff(login.set_up), name="second_factor_set_up"),
            path("second-factor/scan/", login.for_staff(login.scan), name="second_factor_scan"),
            path("second-factor/backup-codes/", login.for_staff(login.backup_codes), name="backup_codes"),
        ]
        # Django's view of a row's public page looks up any row of any table before it finds that it has no such page.
        return ours + [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """The start page, to which Django's breadcrumbs lead by the name of an app: pages are ordered by work."""
        return HttpResponseRedirect(reverse("admin:index"))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        registered: list[dict[str, Any]] = super().get_app_list(request, app_label)
        return registered if app_label else start.by_work(request, registered)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        own = StaffAction.objects.filter(user_id=request.user.pk).latest_first()[:10]
        told = notices.about_mail(request) | notices.about_lookups(request) | notices.about_the_site(request)
        told |= notices.about_backups(request) | notices.about_notices(request) | notices.about_names(request)
        told["work"] = start.what_waits(request)
        return super().index(request, {"own_actions": own, **told, **(extra_context or {})})

    @method_decorator(never_cache)
    @method_decorator(csrf_protect)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method != "POST":
            return login.next_step(request) or super().login(request, extra_context)
        if refusal := login.refuse_many_tries(request, request.POST.get("username", "")):
            return refusal
        response = super().login(request, extra_context)
        if response.status_code == 302:
            is_in = login.gave_all_factors(request)
            audit.record(request.user, Action.LOGGED_IN if is_in else Action.PASSWORD_ACCEPTED)
        else:
            typed = getattr(response, "context_data", {})["form"].cleaned_data
            if "username" in typed and "password" in typed:
                record_failed_login(typed["username"])
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        user = request.user
        response = super().logout(request, extra_context)
        if request.method == "POST":
            audit.record(user, Action.LOGGED_OUT)
            review_claims.give_back(user.pk or 0)
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        is_given = login.must_change_password(request)
        if not is_given and (step := login.next_step(request)):
            return step
        if request.method == "POST" and (refusal := login.refuse_many_tries(request, request.user.get_username())):
            return refusal
        view = PasswordChangeView.as_view(
            form_class=login.OwnPasswordForm,
            template_name="admin/login/password.html" if is_given else "registration/password_change_form.html",
            success_url=login.destination(request) if is_given else reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        with transaction.atomic():
            response = view(request)
            if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
                accounts.note_own_password(login.staff(request))
                audit.record(request.user, Action.PASSWORD_CHANGED)
        return response


def record_failed_login(username: str) -> None:
    """Audit a wrong password. What was typed for an account that does not exist is left out: it may be anything.

    The database does the same for both, so that the time of the answer tells nobody which names exist.
    """
    user = User.objects.filter(username=username).first()
    if rate_limits.over("login:failed", user.username if user else "", FAILED_LOGINS_AUDITED) is None:
        audit.record(user, Action.LOGIN_FAILED)
