"""Moderation of names and words: they wait here until somebody approves or hides them."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from petition.models import Action, Review, ShownWords
from petition.models.shown_words import ShownWordsQuerySet
from petition.moderation import review
from petition.staff import audit

from . import languages
from .base import ReadOnlyAdmin
from .changelist import Place, number, place_in

PER_PAGE = 25
# Counting further would read the whole queue after an attack.
MAX_COUNT = 1_000


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    permission = "petition.review_signature"

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist"), self.url("<int:pk>/", self.one, "change")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "POST":
            self.decide(request)
            return HttpResponseRedirect(request.get_full_path())
        language, after = request.GET.get("language", ""), request.GET.get("after", "")
        queue = Review.objects.awaiting_review().select_related("signature")
        if language in dict(settings.LANGUAGES):
            queue = queue.filter(language=language)
        else:
            language = ""
        waiting = queue.order_by()[: MAX_COUNT + 1].count()
        # The next page begins after the last one seen, so that it leaves out those that are left for later.
        rows = list(oldest_first(queue, after)[: PER_PAGE + 1])
        return self.page(
            request,
            "review",
            _("Names and words to review"),
            entries=with_fingerprints(rows[:PER_PAGE]),
            waiting=min(waiting, MAX_COUNT),
            is_more=waiting > MAX_COUNT,
            next_page=f"?language={language}&after={place_of(rows[PER_PAGE - 1])}" if len(rows) > PER_PAGE else "",
            is_first_page=not after,
            language=language,
            languages=languages.choices(),
        )

    def one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page of one signature, approved or not: what was approved can still be hidden."""
        if request.method == "POST":
            self.decide(request)
            # What was hidden is erased, so there is nothing left to look at.
            is_there = Review.objects.filter(pk=pk).exists()
            return HttpResponseRedirect(request.path if is_there else reverse("admin:petition_review_changelist"))
        shown = Review.objects.select_related("signature").filter(pk=pk).first()
        if shown is None:
            raise Http404
        return self.page(request, "review_one", _("Name and words"), shown=with_fingerprints([shown])[0])

    def decide(self, request: HttpRequest) -> None:
        """Approve or hide one signature or many, by the button that was pressed, and say what came of it."""
        seen = seen_by(request)
        ticked = {number(pk) for pk in request.POST.getlist("selected")}
        selected = {pk: fingerprint for pk, fingerprint in seen.items() if pk in ticked}
        if "approve_selected" in request.POST:
            self.decide_on(request, selected, approve=True)
        elif "hide_selected" in request.POST:
            self.decide_on(request, selected, approve=False)
        elif "hide_selected_approve_rest" in request.POST:
            rest = {pk: fingerprint for pk, fingerprint in seen.items() if pk not in ticked}
            self.decide_on(request, selected, approve=False)
            self.decide_on(request, rest, approve=True)
        else:
            one = number(request.POST.get("approve") or request.POST.get("hide") or "")
            self.decide_on(request, {one: seen.get(one, "")} if one else {}, approve="approve" in request.POST)

    def decide_on(self, request: HttpRequest, chosen: dict[int, str], *, approve: bool) -> None:
        if not chosen:
            return
        with transaction.atomic():
            decided = review.decide(chosen, approve=approve)
            if decided:
                petitions = {shown.signature.petition for shown in decided}
                audit.record(
                    request.user,
                    Action.APPROVED if approve else Action.HIDDEN,
                    about=decided[0].signature if len(decided) == 1 else "",
                    petition=petitions.pop() if len(petitions) == 1 else None,
                    detail=", ".join(str(shown.pk) for shown in decided) if len(decided) > 1 else "",
                    count=len(decided),
                )
        self.tell(request, decided, len(chosen) - len(decided), approve=approve)

    def tell(self, request: HttpRequest, decided: list[ShownWords], left: int, *, approve: bool) -> None:
        count = len(decided)
        if count:
            done = (
                ngettext("%(count)d approved.", "%(count)d approved.", count)
                if approve
                else ngettext("%(count)d hidden.", "%(count)d hidden.", count)
            )
            text = format_html("{}", done % {"count": count})
            if count == 1 and approve:
                url = reverse("admin:petition_review_change", args=[decided[0].pk])
                text = format_html('{} <a href="{}">{}</a>', text, url, _("Look at it again"))
            messages.success(request, text)
        if left:
            messages.warning(
                request,
                ngettext(
                    "%(count)d had been decided or changed by somebody else meanwhile, and was left as it is.",
                    "%(count)d had been decided or changed by somebody else meanwhile, and were left as they are.",
                    left,
                )
                % {"count": left},
            )


def with_fingerprints(entries: list[Any]) -> list[Any]:
    """These entries, each with the fingerprint of the words that the page shows, which the form sends back."""
    for shown in entries:
        shown.fingerprint = review.fingerprint(shown)
    return entries


def place_of(shown: ShownWords) -> Place:
    return Place(shown.pk, shown.asked_at)


def oldest_first(queue: ShownWordsQuerySet, after: str) -> ShownWordsQuerySet:
    """By the hour, and within it by their numbers, which are random."""
    place = place_in(after)
    if place.time:
        queue = queue.filter(Q(asked_at__gt=place.time) | Q(asked_at=place.time, pk__gt=place.number))
    return queue.order_by("asked_at", "pk")


def seen_by(request: HttpRequest) -> dict[int, str]:
    """The numbers of the signatures that the page showed, each with the fingerprint of its words."""
    shown = (entry.partition(":") for entry in request.POST.getlist("seen"))
    return {number(pk): fingerprint for pk, _colon, fingerprint in shown}
