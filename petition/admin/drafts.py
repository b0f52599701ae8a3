"""Drafts of texts in the admin: two buttons, what others saved meanwhile, and the versions that were published."""

from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import capfirst
from django.urls import URLPattern, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from parler.forms import TranslatableModelForm

from petition.models import Draft, TextVersion
from petition.models.texts import SHARED, Drafted
from petition.staff import differences, drafts

from . import languages
from .changelist import number
from .translations import TextsAdmin

VERSIONS_ON_A_PAGE = 20
TAGS = {"both": "span", "old": "del", "new": "ins"}


class DraftForm(TranslatableModelForm):
    """The form of a text. It is refused once more after a save that met a newer version, with both in view."""

    meets_newer = False

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        if self.meets_newer:
            raise ValidationError(
                _("Somebody saved a newer version while you wrote. Nothing of yours is lost: both stand on this page.")
            )
        return cleaned


class DraftsAdmin(TextsAdmin):
    """Texts that are saved as drafts, and published with a button of their own.

    What the form shows is the draft, if there is one. What readers see changes when it is published.
    """

    form = DraftForm

    def may_write(self, request: HttpRequest, row: Drafted | None = None) -> bool:
        return self.has_change_permission(request, row) if row else self.has_add_permission(request)

    def get_urls(self) -> list[URLPattern]:
        ours = [self.url("<path:pk>/publish/", self.publish_view, "publish")]
        if self.model.keeps_versions:
            ours.append(self.url("<path:pk>/versions/", self.versions_view, "versions"))
        return ours + super().get_urls()

    def link(self, name: str, row: Drafted, language: str, **query: Any) -> str:
        path = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=[row.pk])
        return f"{path}?{urlencode({'language': language, **query})}"

    # The form.

    def get_object(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        row = super().get_object(request, object_id, *args, **kwargs)
        if row is not None:
            language = row.get_current_language()
            drafts.lay_over(row, language)
            if version := self.asked_version(request, row, language):
                row.take(SHARED, version.values)
                row.take(language, version.values)
        return row

    def asked_version(self, request: HttpRequest, row: Drafted, language: str) -> TextVersion | None:
        """An earlier version that is to stand in the form. Nothing is saved by that."""
        if request.method != "GET" or not (asked := number(request.GET.get("version", ""))):
            return None
        return TextVersion.objects.about(row).filter(language=language, pk=asked).first()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.meets_newer = getattr(request, "meets_newer", False)
        return form

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except drafts.NewerVersionError:
            request.meets_newer = True  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        language = self.get_form_language(request, obj)
        context |= {"is_drafted": self.may_write(request, obj), "is_new": obj is None, "language": language}
        if obj is not None:
            public = self.model._default_manager.get(pk=obj.pk)
            waiting = drafts.waiting(obj)
            here = [draft for draft in waiting if draft.language in (SHARED, language)]
            context |= {
                "public": public,
                "draft": max(here, key=lambda draft: draft.saved_at) if here else None,
                "elsewhere": [languages.name(draft.language) for draft in waiting if draft not in here],
                "version": self.asked_version(request, obj, language),
                "publish_url": self.link("publish", obj, language),
                "take_off_url": self.link("take_off", obj, language) if hasattr(obj, "published_at") else "",
                "versions_url": self.link("versions", obj, language) if TextVersion.objects.about(obj).exists() else "",
                "public_url": self.public_url(public, language),
                "seen": request.POST.get("seen", "") or drafts.seen(obj, language),
            }
            if getattr(request, "meets_newer", False):
                context |= self.both(obj, language)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def public_url(self, row: Drafted, language: str) -> str:
        """Where readers find the row in this language; empty if it has no page of its own, or is not shown."""
        return ""

    def both(self, typed: Drafted, language: str) -> dict[str, Any]:
        """What was saved meanwhile, beside what was typed, and the numbers with which a save goes over it."""
        newer = self.model._default_manager.get(pk=typed.pk)
        drafts.lay_over(newer, language)
        latest = Draft.objects.about(typed).filter(language__in=(SHARED, language)).order_by("-saved_at").first()
        return {
            "newer": latest,
            "newer_texts": changes(self.model, values(typed, language), values(newer, language)),
            "seen": drafts.seen(typed, language),
        }

    # Saving.

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        language = obj.get_current_language()
        if not change:
            self.add(obj)
        if not self.may_write(request, obj):
            return
        was = drafts.Seen.read(request.POST.get("seen", ""))
        drafts.save(request.user, obj, language, was)
        if "_publish" in request.POST and not self.must_ask(obj, language):
            drafts.publish(request.user, obj, [language])

    def add(self, row: Any) -> None:
        """Make the row, as a draft. The time from which it is to be shown waits in the draft."""
        if row.pk:
            # A partner has the key of its source.
            drafts.forget(row)
        wanted, row.published_at = row.published_at, None
        row.save()
        row.published_at = wanted

    def must_ask(self, row: Drafted, language: str) -> bool:
        """Whether publishing asks first: a language is missing, or somebody's draft in another one would be left."""
        public, waiting = self.model._default_manager.get(pk=row.pk), drafts.waiting(row)
        if public.is_draft:
            return bool(drafts.lacking(row))
        others = any(draft.language not in (SHARED, language) for draft in waiting)
        return others or bool(waiting and drafts.lacking(row))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self.answer(request, obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self.answer(request, obj)

    def answer(self, request: HttpRequest, obj: Any) -> HttpResponse:
        language = obj.get_current_language()
        waits = any(draft.language in (SHARED, language) for draft in drafts.waiting(obj))
        to = request.POST.get("_tab", "")
        if "_publish" in request.POST and self.may_write(request, obj):
            if self.must_ask(obj, language):
                return HttpResponseRedirect(self.link("publish", obj, language))
            messages.success(request, _("Published."))
        elif self.may_write(request, obj) and waits:
            messages.success(request, _("Saved as a draft. Readers see nothing of it until you publish it."))
        elif not to:
            messages.success(request, _("Saved."))
        return HttpResponseRedirect(self.link("change", obj, to if to in dict(settings.LANGUAGES) else language))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        # Publishing what had been saved before has an entry of its own.
        if message.detail or message.reason:
            super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        drafts.forget(obj)
        super().delete_model(request, obj)

    # Publishing, and what was published.

    def publish_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """What would become public, in every language, and which languages are missing; a POST publishes it."""
        row = self.row_or_404(request, pk)
        if not self.may_write(request, row):
            raise PermissionDenied
        language = row.get_current_language()
        if request.method == "POST":
            try:
                drafts.publish(request.user, row, request.POST.getlist("languages"), request.POST.get("stamp", ""))
            except drafts.NewerVersionError:
                messages.warning(
                    request, _("Somebody saved a newer draft meanwhile. Nothing was published: look again.")
                )
                return HttpResponseRedirect(self.link("publish", row, language))
            messages.success(request, _("Published."))
            return HttpResponseRedirect(self.link("change", row, language))
        public = self.model._default_manager.get(pk=row.pk)
        return self.page(
            request,
            "publish",
            _("Publish %(name)s") % {"name": row},
            row=row,
            public=public,
            stamp=drafts.stamp(row),
            drafts=[self.told(draft, public) for draft in drafts.waiting(row)],
            lacking=[languages.name(code) for code in drafts.lacking(row)],
            back=self.link("change", row, language),
        )

    def told(self, draft: Draft, public: Drafted) -> dict[str, Any]:
        before = {} if public.is_draft else public.drafted_values(draft.language)
        name = languages.name(draft.language) if draft.language else _("All languages")
        return {"draft": draft, "name": name, "changes": changes(self.model, before, draft.values or {})}

    def versions_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """The versions that were published in a language, the latest first, each with what it changed."""
        row = self.row_or_404(request, pk)
        language = row.get_current_language()
        versions = TextVersion.objects.about(row).filter(language=language).order_by("-pk")
        if before := number(request.GET.get("before", "")):
            versions = versions.filter(pk__lt=before)
        found = list(versions[: VERSIONS_ON_A_PAGE + 1])
        told = [
            {
                "version": version,
                "changes": changes(self.model, earlier.values if earlier else {}, version.values),
                "take_url": self.link("change", row, language, version=version.pk),
            }
            for version, earlier in zip_longest(found, found[1:])
        ]
        is_more = len(found) > VERSIONS_ON_A_PAGE
        return self.page(
            request,
            "versions",
            _("Versions of %(name)s (%(language)s)") % {"name": row, "language": languages.name(language)},
            versions=told[:VERSIONS_ON_A_PAGE],
            may_write=self.may_write(request, row),
            back=self.link("change", row, language),
            older=self.link("versions", row, language, before=found[-2].pk) if is_more else "",
            tabs=[
                (name, self.link("versions", row, code), code == language)
                for code, name in languages.choices()
                if code in row.get_available_languages()
            ],
        )


def values(row: Drafted, language: str) -> dict[str, Any]:
    return {**row.drafted_values(language), **row.drafted_values(SHARED)}


def changes(model: type[Drafted], old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, SafeString, str]]:
    """The fields that differ: their names, what changed in them, and what the new ones say."""
    found = []
    for field in [*model.drafted_fields("en"), *model.drafted_fields(SHARED)]:
        before, after = text(old.get(field.name)), text(new.get(field.name))
        # A picture is no text.
        if before != after and field.name != "picture":
            pieces = ((TAGS[kind], text) for kind, text in differences.between(before, after))
            shown = format_html_join("", "<{0}>{1}</{0}>", pieces)
            found.append((capfirst(str(field.verbose_name)), shown, after))
    return found


def text(value: Any) -> str:
    return "" if value is None else str(value)
