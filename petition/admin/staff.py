from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition.models import Action
from petition.staff import accounts, audit, roles, second_factor

from .base import Audited, ReasonForm


class RolesField(forms.ModelMultipleChoiceField):
    """The four roles, and no other group that somebody may have made by hand."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(Group.objects.filter(name__in=roles.ROLES), **(options | {"label": _("Roles")}))
        self.help_text = ""

    def label_from_instance(self, obj: Any) -> str:
        return str(roles.NAMES[obj.name])


class NewAccountForm(UserCreationForm):
    groups = RolesField(required=False)


class RoleFilter(admin.SimpleListFilter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(roles.NAMES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        return queryset.filter(groups__name=self.value()) if self.value() else queryset


@admin.register(User)
class AccountAdmin(Audited, UserAdmin):
    """The accounts of staff: a name, a password, roles. Nobody makes a superuser here, or gives single permissions.

    What superusers may do is not for administrators to take: only a superuser changes the account of one.
    """

    list_display = ["username", "role_names", "is_active", "has_second_factor", "last_login"]
    list_filter = ["is_active", RoleFilter]
    search_fields = ["username"]
    filter_horizontal = []
    readonly_fields = ["second_factor", "last_login"]
    fieldsets = [(None, {"fields": ["username", "password", "second_factor", "groups", "is_active", "last_login"]})]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["username", "password1", "password2", "groups"]})]
    add_form = NewAccountForm
    audited_values = ("groups", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        has_one = Exists(TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True))
        return super().get_queryset(request).prefetch_related("groups").annotate(has_second_factor=has_one)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return RolesField(required=False)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)
        if not change:
            accounts.note_given_password(obj)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Nobody deletes the own account by mistake.
        return super().has_delete_permission(request, obj) and may_touch(request, obj) and obj != request.user

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        if message.detail == "password":
            audit.record(request.user, Action.PASSWORD_SET, about=obj)
            if obj != request.user:
                accounts.note_given_password(obj)
        else:
            super().log_change(request, obj, message)

    @method_decorator(sensitive_post_parameters())
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        # Not without the entry of the audit log, and the note that somebody else knows this password.
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def get_urls(self) -> list[URLPattern]:
        return [self.url("<int:pk>/second-factor/", self.reset_second_factor, "second_factor"), *super().get_urls()]

    def reset_second_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Forget the second factor of a lost phone. Another administrator does it, and says why."""
        user = self.row_or_404(request, pk)
        if not self.has_change_permission(request, user) or user == request.user:
            raise PermissionDenied
        form = ReasonForm(request.POST if request.method == "POST" else None)
        account = reverse("admin:auth_user_change", args=[pk])
        if form.is_valid():
            second_factor.reset(user)
            audit.record(request.user, Action.SECOND_FACTOR_RESET, about=user, reason=form.cleaned_data["reason"])
            self.message_user(request, _("The next login of this account sets up a new second factor."))
            return HttpResponseRedirect(account)
        title = _("Reset the second factor")
        return self.page(request, "reset_second_factor", title, form=form, account=user, back=account)

    @admin.display(description=_("roles"))
    def role_names(self, user: User) -> str:
        names = [str(roles.NAMES.get(group.name, group.name)) for group in user.groups.all()]
        return ", ".join([str(_("superuser"))] * user.is_superuser + names)

    @admin.display(description=_("second factor"), boolean=True)
    def has_second_factor(self, user: Any) -> bool:
        return user.has_second_factor

    @admin.display(description=_("second factor"))
    def second_factor(self, user: Any) -> str | SafeString:
        if not user.has_second_factor:
            return str(_("not set up"))
        url = reverse("admin:auth_user_second_factor", args=[user.pk])
        return format_html('{} · <a href="{}">{}</a>', _("set up"), url, _("Reset, for a lost phone"))


def may_touch(request: HttpRequest, obj: User | None) -> bool:
    return obj is None or not obj.is_superuser or bool(getattr(request.user, "is_superuser", False))
