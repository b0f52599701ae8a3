"""Login: after the password the second factor, and setting it up for those who have none."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

import django_otp
from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice

from petition import rate_limits
from petition.models import Action
from petition.staff import accounts, audit
from petition.staff import second_factor as factor

from .base import page

SETTING_UP = "second_factor_set_up"  # in the session: the number of the key that is being set up


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


class PasswordForm(forms.Form):
    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class OwnPasswordForm(AdminPasswordChangeForm):
    """The form for the own password. The one that somebody else knows is not taken again."""

    def clean_new_password1(self) -> str:
        typed = self.cleaned_data["new_password1"]
        if self.user.check_password(typed):
            raise forms.ValidationError(_("This is the password that you have. Choose another one."))
        return str(typed)


def gave_all_factors(request: HttpRequest) -> bool:
    """Whether a second factor was given, or none is asked for."""
    return not settings.SECOND_FACTOR or factor.is_given(request.user)


def is_fully_logged_in(request: HttpRequest) -> bool:
    """Whether the login is complete: with all factors, and with a password that nobody else has chosen."""
    return gave_all_factors(request) and not accounts.has_given_password(request.user)


def must_change_password(request: HttpRequest) -> bool:
    """Whether the next step is another password. A code comes before it where there is a key, or a thief could."""
    return accounts.has_given_password(request.user) and not must_give_code_first(staff(request))


def next_step(request: HttpRequest) -> HttpResponse | None:
    """The way to what is missing for somebody who has given the password; None for everybody else."""
    if not is_staff(request) or is_fully_logged_in(request):
        return None
    page = "admin:password_change" if must_change_password(request) else "admin:second_factor"
    return HttpResponseRedirect(reverse(page, query={REDIRECT_FIELD_NAME: destination(request)}))


def in_own_language(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of views that speak the language of the account, if it has chosen one."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if language := accounts.language(request.user):
            # For the rest of the request: the middleware around it puts the language back.
            translation.activate(language)
            request.LANGUAGE_CODE = language
        return view(request, *args, **kwargs)

    return wrapper


def for_staff(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of views for staff who have given their password, whether or not a code."""

    @never_cache
    @csrf_protect
    @sensitive_post_parameters()
    @in_own_language
    @wraps(view)
    def wrapper(request: HttpRequest) -> Any:
        if not is_staff(request):
            return redirect_to_login(reverse("admin:index"), reverse("admin:login"))
        return view(request)

    return wrapper


def with_own_password(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Decorator of views that come after the password is the user's own."""

    @wraps(view)
    def wrapper(request: HttpRequest) -> HttpResponse:
        return redirect("admin:password_change") if must_change_password(request) else view(request)

    return wrapper


def choose_language(request: HttpRequest) -> HttpResponse:
    """Set the language of the admin for this account. It is no action that anybody else could notice: not audited."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    accounts.choose_language(staff(request), request.POST.get("language", ""))
    return HttpResponseRedirect(ours(request, request.POST.get(REDIRECT_FIELD_NAME, "")))


@with_own_password
def second_factor(request: HttpRequest) -> HttpResponse:
    user = staff(request)
    if not factor.is_set_up(user):
        return redirect("admin:second_factor_set_up")
    if factor.is_given(user):
        return page(request, "login/second_factor", _("Your second factor"), codes_left=factor.backup_codes_left(user))
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            device = factor.give(user, form.cleaned_data["code"])
        except factor.TooManyTriesError as error:
            return too_many_tries(request, "code", form, error.seconds)
        if device:
            log_in(request, device)
            on_paper = isinstance(device, StaticDevice)
            audit.record(user, Action.BACKUP_CODE_USED if on_paper else Action.LOGGED_IN)
            return HttpResponseRedirect(destination(request))
        refuse_code(request, form)
    return page(request, "login/code", _("Second factor"), form=form)


def log_in(request: HttpRequest, device: Device) -> None:
    # A new session key, so that one stolen before the login is useless.
    request.session.cycle_key()
    django_otp.login(request, device)


@with_own_password
def set_up(request: HttpRequest) -> HttpResponse:
    """Make a new key, once the password is given again: somebody who took over a session gets none."""
    user = staff(request)
    if must_give_code_first(user):
        return redirect("admin:second_factor")
    form = PasswordForm(request.POST if request.method == "POST" else None)
    if form.is_bound and (refusal := refuse_many_tries(request, user.get_username())):
        return refusal
    if form.is_valid() and check_password(user, form):
        request.session[SETTING_UP] = factor.begin(user).pk
        return redirect("admin:second_factor_scan")
    return page(request, "login/set_up", _("Set up your second factor"), form=form)


@with_own_password
def scan(request: HttpRequest) -> HttpResponse:
    """Show the new key until the app gives a code of it, then the backup codes, once."""
    user = staff(request)
    device = factor.unfinished(user, request.session.get(SETTING_UP))
    if device is None or must_give_code_first(user):
        return redirect("admin:second_factor_set_up")
    context = {"qr_code": factor.qr_code(device), "key": factor.key_to_type(device), "url": device.config_url}
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            if factor.finish(device, form.cleaned_data["code"].replace(" ", "")):
                del request.session[SETTING_UP]
                log_in(request, device)
                audit.record(user, Action.SECOND_FACTOR_SET_UP)
                return show_backup_codes(request)
        except factor.TooManyTriesError as error:
            return too_many_tries(request, "scan", form, error.seconds, **context)
        refuse_code(request, form)
    return page(request, "login/scan", _("Set up your second factor"), form=form, **context)


@with_own_password
def backup_codes(request: HttpRequest) -> HttpResponse:
    user = staff(request)
    if not factor.is_given(user):
        return redirect("admin:second_factor")
    form = PasswordForm(request.POST if request.method == "POST" else None)
    if form.is_bound and (refusal := refuse_many_tries(request, user.get_username())):
        return refusal
    if form.is_valid() and check_password(user, form):
        audit.record(user, Action.BACKUP_CODES_MADE)
        return show_backup_codes(request)
    return page(request, "login/new_backup_codes", _("New backup codes"), form=form)


def show_backup_codes(request: HttpRequest) -> HttpResponse:
    # A redirect could not show them: only digests are stored.
    return page(request, "login/backup_codes", _("Your backup codes"), codes=factor.make_backup_codes(staff(request)))


def must_give_code_first(user: User) -> bool:
    """Whether there is a key of which this session has given no code: the password alone may not replace it."""
    return factor.is_set_up(user) and not factor.is_given(user)


def check_password(user: User, form: forms.Form) -> bool:
    if user.check_password(form.cleaned_data["password"]):
        return True
    audit.record(user, Action.PASSWORD_REFUSED)
    form.add_error("password", _("This is not your password."))
    return False


def refuse_code(request: HttpRequest, form: forms.Form) -> None:
    audit.record(request.user, Action.CODE_REFUSED)
    form.add_error("code", _("This code is wrong, or was used before. The app shows a new one every 30 seconds."))


def too_many_tries(request: HttpRequest, template: str, form: forms.Form, seconds: int, **context: Any) -> HttpResponse:
    seconds = max(seconds, 1)
    form.add_error(
        "code",
        ngettext(
            "Too many wrong codes. Wait %(count)d second, then try a new one.",
            "Too many wrong codes. Wait %(count)d seconds, then try a new one.",
            seconds,
        )
        % {"count": seconds},
    )
    return retry_after(page(request, f"login/{template}", _("Second factor"), form=form, **context), seconds)


def refuse_many_tries(request: HttpRequest, username: str) -> HttpResponse | None:
    """Count a try of a password; None if it may go on, else the page that says how long to wait."""
    seconds = rate_limits.seconds_to_wait_for_login(request, username)
    if seconds is None:
        return None
    minutes = -(-seconds // 60)
    return retry_after(page(request, "login/wait", _("Too many tries"), minutes=minutes), seconds)


def retry_after(response: HttpResponse, seconds: int) -> HttpResponse:
    response.status_code = HTTPStatus.TOO_MANY_REQUESTS
    response["Retry-After"] = str(seconds)
    return response


def destination(request: HttpRequest) -> str:
    """The page that was asked for before the login, if it is ours; otherwise the start page."""
    return ours(request, request.GET.get(REDIRECT_FIELD_NAME, ""))


def ours(request: HttpRequest, url: str) -> str:
    """This URL, if it is of our site; otherwise the start page."""
    if url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return url
    return reverse("admin:index")


def is_staff(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.user.is_active and request.user.is_staff


def staff(request: HttpRequest) -> User:
    """The user of a request that `for_staff` or the admin site has let through, who is never anonymous."""
    return cast(User, request.user)
