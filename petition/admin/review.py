"""Moderation of names and words: they wait here until somebody approves or hides them."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from petition.models import Action, Review, ShownWords, StaffAction
from petition.models.audit import OF_REVIEW, StaffActionQuerySet
from petition.models.shown_words import ShownWordsQuerySet
from petition.moderation import dangers, review, review_claims, written_language
from petition.moderation.review import Decision
from petition.staff import audit, names_read

from . import languages
from .audit import midnight, with_page
from .base import DayField, ReadOnlyAdmin
from .changelist import Place, number, place_in

PER_PAGE = 25
# Counting further would read the whole queue after an attack.
MAX_COUNT = 1_000
DECISIONS_PER_PAGE = 50
MAX_PAGE = 200
# Without a day, so far back.
DECISION_DAYS = 30

DETAILS = {
    Decision.APPROVE_NAME: "the name alone; the words are erased",
    Decision.APPROVE_WORDS: "the words alone; the name is erased",
}


class DecisionsForm(forms.Form):
    """Filters of the decisions that were taken."""

    action = forms.ChoiceField(label=gettext_lazy("Decision"), required=False)
    whose = forms.ChoiceField(
        label=gettext_lazy("Whose"),
        required=False,
        choices=[("", gettext_lazy("everybody's")), ("own", gettext_lazy("my own"))],
    )
    day = DayField(label=gettext_lazy("Day (UTC)"), required=False)
    page = forms.IntegerField(required=False, min_value=1, max_value=MAX_PAGE, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        fields: dict[str, Any] = self.fields
        fields["action"].choices = [("", _("all")), *((action.value, action.label) for action in OF_REVIEW)]

    def entries(self, account_id: int | None) -> StaffActionQuerySet:
        """The entries that were asked for; a filter that cannot be read does not filter."""
        self.is_valid()
        chosen = self.cleaned_data
        entries = StaffAction.objects.of_review().latest_first()
        if chosen.get("action"):
            entries = entries.filter(action=chosen["action"])
        if chosen.get("whose"):
            entries = entries.filter(user_id=account_id)
        if day := chosen.get("day"):
            return entries.filter(done_at__gte=midnight(day), done_at__lt=midnight(day, days=1))
        return entries.filter(done_at__gte=timezone.now() - timedelta(days=DECISION_DAYS))


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    permission = "petition.review_signature"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("decisions/", self.decisions, "decisions"),
            self.url("<int:pk>/", self.one, "change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "POST":
            return self.act(request)
        language, after = request.GET.get("language", ""), request.GET.get("after", "")
        queue = oldest_first(Review.objects.awaiting_review().select_related("signature"), after)
        looked_to = None
        if language in dict(languages.of_words()):
            found, looked_to = review.in_language(queue, language)
            queue, everything = queue.filter(pk__in=found), queue.filter(pk__in=found)
        else:
            language, everything = "", Review.objects.awaiting_review()
        waiting = everything.order_by()[: MAX_COUNT + 1].count()
        # A page that begins behind a place leaves the rest of the queue to others; there is more before it.
        rows, is_shared = review_claims.take(account_of(request), queue, PER_PAGE, may_share=not after)
        entries = with_marks(rows[:PER_PAGE])
        # The next page begins after the last one seen, so that it leaves out those that are left for later.
        names_read.note(request.user, rows[:PER_PAGE])
        end = place_of(entries[-1]) if len(rows) > PER_PAGE else looked_to and Place(*looked_to)
        return self.page(
            request,
            "review",
            _("Names and words to review"),
            entries=entries,
            next_entry=next_behind(request.GET.get("at", ""), entries),
            all_are_ticked=request.GET.get("ticked") == "all",
            tick_all=with_values(request.GET, ticked="all"),
            waiting=min(waiting, MAX_COUNT),
            is_more=waiting > MAX_COUNT or looked_to is not None,
            is_shared=is_shared,
            next_page=f"?language={language}&after={end}" if end else "",
            is_first_page=not after,
            language=language,
            languages=languages.of_words(),
            last_decision=last_decision(request.user.pk),
        )

    def act(self, request: HttpRequest) -> HttpResponse:
        """Do what the button that was pressed says, and lead to the card behind the one that was decided on."""
        if "leave" in request.POST:
            review_claims.give_back(account_of(request))
            return HttpResponseRedirect(reverse("admin:index"))
        if "undo" in request.POST:
            undone = self.undo(request)
            # Where the first of them stands again.
            at = Place(undone[0].pk - 1, undone[0].asked_at) if undone else ""
            return HttpResponseRedirect(request.path + with_values(request.GET, after="", ticked="", at=at))
        ticked = request.POST.getlist("selected")
        if "hide_selected" in request.POST and "sure" not in request.POST and len(ticked) > 1:
            seen = request.POST.getlist("seen")
            if len(ticked) == len(seen):
                return self.page(request, "review_hide_all", _("Hide all of them?"), seen=seen, ticked=ticked)
        decided = self.decide(request)
        at = place_of(decided) if decided else request.GET.get("at", "")
        return HttpResponseRedirect(request.path + with_values(request.GET, ticked="", at=at))

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
        names_read.note(request.user, [shown])
        return self.page(request, "review_one", _("Name and words"), shown=with_marks([shown])[0])

    def decisions(self, request: HttpRequest) -> HttpResponse:
        """What was approved, hidden and taken back, by whom; what stands of an approval can be taken back here, too."""
        if request.method == "POST":
            self.undo(request)
            return HttpResponseRedirect(request.get_full_path())
        form = DecisionsForm(request.GET)
        entries = form.entries(request.user.pk)
        page = form.cleaned_data.get("page") or 1
        rows = list(entries[(page - 1) * DECISIONS_PER_PAGE : page * DECISIONS_PER_PAGE + 1])
        shown = with_what_is_left(rows[:DECISIONS_PER_PAGE])
        is_more = len(rows) > DECISIONS_PER_PAGE and page < MAX_PAGE
        return self.page(
            request,
            "review_decisions",
            _("Decisions on names and words"),
            form=form,
            entries=shown,
            newer=with_page(request.GET, page - 1) if page > 1 else "",
            older=with_page(request.GET, page + 1) if is_more else "",
        )

    def decide(self, request: HttpRequest) -> ShownWords | None:
        """Decide on one signature or many, and say what came of it; return the one, if it was one."""
        seen = seen_by(request)
        ticked = {number(pk) for pk in request.POST.getlist("selected")}
        selected = {pk: fingerprint for pk, fingerprint in seen.items() if pk in ticked}
        rest = {pk: fingerprint for pk, fingerprint in seen.items() if pk not in ticked}
        if "approve_selected" in request.POST:
            self.decide_on(request, selected, Decision.APPROVE)
        elif "hide_selected" in request.POST:
            self.decide_on(request, selected, Decision.HIDE)
        elif "hide_selected_approve_rest" in request.POST:
            self.decide_on(request, selected, Decision.HIDE)
            self.decide_on(request, rest, Decision.APPROVE)
        else:
            for decision in Decision:
                if one := number(request.POST.get(decision.value, "")):
                    return next(iter(self.decide_on(request, {one: seen.get(one, "")}, decision)), None)
        return None

    def decide_on(self, request: HttpRequest, chosen: dict[int, str], decision: Decision) -> list[ShownWords]:
        if not chosen:
            return []
        action = Action.HIDDEN if decision is Decision.HIDE else Action.APPROVED
        with transaction.atomic():
            decided = review.decide(chosen, decision)
            record(request, action, decided, detail=DETAILS.get(decision, ""))
        self.tell(request, decided, len(chosen) - len(decided), decision)
        return decided

    def undo(self, request: HttpRequest) -> list[ShownWords]:
        """Take an approval back, and say how many of it wait again."""
        entry = StaffAction.objects.of_review().filter(pk=number(request.POST.get("undo", ""))).first()
        if entry is None:
            return []
        with transaction.atomic():
            undone = review.undo(entry)
            record(request, Action.APPROVAL_UNDONE, undone)
        count = len(undone)
        if count:
            text = ngettext("%(count)d waits again.", "%(count)d wait again.", count)
            messages.success(request, text % {"count": count})
        if left := (entry.count or 0) - count:
            text = ngettext(
                "%(count)d does not stand as it was decided, and was left as it is.",
                "%(count)d do not stand as they were decided, and were left as they are.",
                left,
            )
            messages.warning(request, text % {"count": left})
        return undone

    def tell(self, request: HttpRequest, decided: list[ShownWords], left: int, decision: Decision) -> None:
        count = len(decided)
        if count:
            done = {
                Decision.APPROVE: ngettext("%(count)d approved.", "%(count)d approved.", count),
                Decision.APPROVE_NAME: _("The name is approved, the words are erased."),
                Decision.APPROVE_WORDS: _("The words are approved, the name is erased."),
                Decision.HIDE: ngettext("%(count)d hidden.", "%(count)d hidden.", count),
            }[decision]
            text = format_html("{}", done % {"count": count})
            if count == 1 and decision is not Decision.HIDE:
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


def record(request: HttpRequest, action: Action, decided: list[ShownWords], detail: str = "") -> None:
    if not decided:
        return
    petitions = {shown.signature.petition for shown in decided}
    audit.record(
        request.user,
        action,
        about=decided[0].signature if len(decided) == 1 else "",
        petition=petitions.pop() if len(petitions) == 1 else None,
        detail=", ".join(str(shown.pk) for shown in decided) if len(decided) > 1 else detail,
        count=len(decided),
    )


def account_of(request: HttpRequest) -> int:
    return request.user.pk or 0


def last_decision(account_id: int | None) -> StaffAction | None:
    """What this account did here last, within the hour, unless it was to undo."""
    own = StaffAction.objects.of_review().filter(user_id=account_id)
    last = own.filter(done_at__gt=timezone.now() - timedelta(hours=1)).latest_first().first()
    return last if last and last.action != Action.APPROVAL_UNDONE else None


def with_marks(entries: list[Any]) -> list[Any]:
    """These entries, each with what the page says of it, and the fingerprint of that, which the form sends back."""
    for shown in entries:
        shown.language_name = languages.name(written_language.of(shown.words or shown.name, shown.language))
        shown.fingerprint = review.fingerprint(shown)
        shown.dangers = dangers.of(shown)
    return entries


def with_what_is_left(entries: list[StaffAction]) -> list[Any]:
    """These decisions, each with the signatures that can still be looked at, and whether it can be undone."""
    numbers = {pk for entry in entries for pk in entry.signatures}
    there = set(ShownWords.objects.filter(pk__in=numbers).values_list("pk", flat=True))
    approved = set(ShownWords.objects.filter(pk__in=numbers, approved_at__isnull=False).values_list("pk", flat=True))
    shown: list[Any] = list(entries)
    for entry in shown:
        entry.left = [pk for pk in entry.signatures if pk in there]
        entry.can_be_undone = review.can_be_undone(entry) and not approved.isdisjoint(entry.signatures)
    return shown


def place_of(shown: ShownWords) -> Place:
    return Place(shown.pk, shown.asked_at)


def oldest_first(queue: ShownWordsQuerySet, after: str) -> ShownWordsQuerySet:
    """By the hour, and within it by their numbers, which are random."""
    place = place_in(after)
    if place.time:
        queue = queue.filter(Q(asked_at__gt=place.time) | Q(asked_at=place.time, pk__gt=place.number))
    return queue.order_by("asked_at", "pk")


def next_behind(at: str, entries: list[Any]) -> Any:
    """The first entry behind this place, or the first one of all: there one goes on. None without a place."""
    place = place_in(at)
    if not place.time:
        return None
    behind = (shown for shown in entries if (shown.asked_at, shown.pk) > (place.time, place.number))
    return next(behind, entries[0] if entries else None)


def with_values(query: QueryDict, **values: Any) -> str:
    """The query of this page with these values; empty ones leave."""
    changed = query.copy()
    for name, value in values.items():
        changed[name] = str(value)
        if not value:
            del changed[name]
    return f"?{changed.urlencode()}" if changed else ""


def seen_by(request: HttpRequest) -> dict[int, str]:
    """The numbers of the signatures that the page showed, each with the fingerprint of its words."""
    shown = (entry.partition(":") for entry in request.POST.getlist("seen"))
    return {number(pk): fingerprint for pk, _colon, fingerprint in shown}
