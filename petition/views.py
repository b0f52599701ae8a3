from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_http_methods, require_safe

from petition import (
    confirmation,
    consent,
    countries,
    links,
    live_settings,
    mailing_list,
    rate_limits,
    signing,
    withdrawal,
)
from petition.confirmation import Confirmation, Refusal, Refused
from petition.counts import tally
from petition.forms import CodeForm, SignForm, SubscribeForm, WithdrawForm
from petition.mail import messages
from petition.models import OutgoingMail, Petition, Source, Verdict
from petition.postgres import replica
from petition.web import errors, filled_pages
from petition.web.cache_control import public_file, public_form, public_page

# For each reason why a link leads nowhere: its page, and the status that says the same to a machine.
LINK_PAGES = {
    Refusal.GONE: ("gone", HTTPStatus.GONE),
    Refusal.EXPIRED: ("expired", HTTPStatus.GONE),
    Refusal.CLOSED: ("closed", HTTPStatus.GONE),
    Refusal.FORGED: ("forged", HTTPStatus.NOT_FOUND),
}


def see_other(view: str, *args: object) -> HttpResponse:
    return HttpResponseRedirect(reverse(view, args=args), status=HTTPStatus.SEE_OTHER)


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def sign(request: HttpRequest, slug: str) -> HttpResponse:
    form = SignForm(
        request.POST if request.method == "POST" else None,
        initial={"source": Source.known(request.GET.get("from", ""))},
    )
    if form.is_valid() and store(request, slug, form):
        # The same answer for new and known addresses, so nobody learns who has signed.
        return see_other("petition:check-inbox", slug)
    petition = get_object_or_404(Petition, slug=slug)
    if petition.is_closed:
        return render(request, "petition/closed.html", {"petition": petition}, status=HTTPStatus.GONE)
    if not petition.is_open:
        return paused(request, petition)
    return form_page(request, "petition/sign.html", petition, form)


def store(request: HttpRequest, slug: str, form: SignForm) -> bool:
    """Store what was typed; return whether the petition is open."""
    answers = form.cleaned_data
    address = rate_limits.client_address(request)
    return signing.sign(
        slug,
        signing.Answers(**{name: answers[name] for name in signing.Answers.__dataclass_fields__}),
        language=get_language(),
        # An allowed network is no signal, and is never held for being busy.
        network=None if live_settings.verdict_on_network(address) == Verdict.ALLOW else rate_limits.network(address),
        held_reason=live_settings.reason_to_hold_network(address),
        is_onion=is_onion(request),
    )


def is_onion(request: HttpRequest) -> bool:
    """Whether she came by the onion address: then the links in her mail lead there, too."""
    return bool(settings.ONION_URL) and request.get_host() == urlsplit(settings.ONION_URL).netloc


def paused(request: HttpRequest, petition: Petition) -> HttpResponse:
    response = render(request, "petition/paused.html", {"petition": petition}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = "600"
    return response


@public_page
@require_safe
def check_inbox(request: HttpRequest, slug: str) -> HttpResponse:
    context = {
        "petition": get_object_or_404(Petition, slug=slug),
        "form": CodeForm(),
        "sender": settings.DEFAULT_FROM_EMAIL,
        "subject": messages.subject(OutgoingMail.Kind.SIGN),
    }
    return render(request, "petition/check_inbox.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    found = confirmation.find(token)
    if isinstance(found, Refused):
        return refused(request, found)
    if "ask_not_me" in request.POST:
        # Some mail scanners press the buttons of a page: this one asks again.
        return render(request, "petition/disown.html", {"petition": found.petition})
    if "not_me" in request.POST:
        confirmation.disown(found)
        return HttpResponseRedirect(request.path, status=HTTPStatus.SEE_OTHER)
    # Mail scanners follow links, so only a POST counts.
    if request.method == "POST":
        return press(request, found)
    return confirm_page(request, found)


def confirm_page(request: HttpRequest, found: Confirmation) -> HttpResponse:
    """The page with the button: for everybody the same, but for what the signer typed to be shown."""
    petition, link = found.petition, found.link
    words = render_to_string("petition/words.html", {"shown": link}) if link.has_words else ""
    return filled_pages.render(
        request,
        "petition/confirm.html",
        {"petition": petition, "has_words": link.has_words},
        kinds=(petition.pk, link.has_words),
        places={"words": words},
    )


def press(request: HttpRequest, found: Confirmation) -> HttpResponse:
    """Where the button, or the code in its place, leads: to the same page, whatever its press has changed."""
    confirmation.confirm(found.signature, link=found.link, without_words="without_words" in request.POST)
    return see_other("petition:thanks", found.petition.slug)


def refused(request: HttpRequest, found: Refused) -> HttpResponse:
    if found.reason is Refusal.DISOWNED and found.link:
        if "undo" in request.POST:
            confirmation.undo_disowning(found.link)
        if request.method == "POST":
            return HttpResponseRedirect(request.path, status=HTTPStatus.SEE_OTHER)
        return render(request, "petition/disowned.html", {"petition": found.petition, "can_undo": True})
    name, status = LINK_PAGES[found.reason]
    return render(request, f"petition/link/{name}.html", {"petition": found.petition}, status=status)


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def confirm_code(request: HttpRequest, slug: str) -> HttpResponse:
    petition = get_object_or_404(Petition, slug=slug)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_bound and (wait := rate_limits.seconds_to_wait_for_code(request)) is not None:
        return errors.page(request, HTTPStatus.TOO_MANY_REQUESTS, retry_after=wait)
    if form.is_valid():
        found = confirmation.find_by_code(petition, form.cleaned_data["code"])
        if isinstance(found, Confirmation):
            return press(request, found)
        if found:
            return refused(request, found)
        rate_limits.count_wrong_code()
        form.add_error("code", _("No email has this code. Check its ten digits, or use the link in the email."))
    return form_page(request, "petition/confirm_code.html", petition, form)


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def withdraw(request: HttpRequest, slug: str) -> HttpResponse:
    petition = get_object_or_404(Petition, slug=slug)
    form = WithdrawForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        email = form.cleaned_data["email"]
        withdrawal.request(petition, email, language=get_language(), is_onion=is_onion(request))
        return see_other("petition:withdraw-check-inbox", slug)
    return form_page(request, "petition/withdraw.html", petition, form)


@public_page
@require_safe
def withdraw_check_inbox(request: HttpRequest, slug: str) -> HttpResponse:
    context = {
        "petition": get_object_or_404(Petition, slug=slug),
        "sender": settings.DEFAULT_FROM_EMAIL,
        "subject": messages.subject(OutgoingMail.Kind.WITHDRAW),
    }
    return render(request, "petition/withdraw_check_inbox.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw_link(request: HttpRequest, token: str) -> HttpResponse:
    try:
        found = withdrawal.find(token)
    except links.ExpiredError:
        return render(request, "petition/withdraw_link/expired.html", status=HTTPStatus.GONE)
    if found is None:
        return render(request, "petition/withdraw_link/forged.html", status=HTTPStatus.NOT_FOUND)
    petition = found.link.petition if found.link else Petition.find()
    if petition is None:
        raise Http404
    if "ask" in request.POST:
        # Some mail scanners press the buttons of a page: this one asks again.
        return render(request, "petition/withdraw_link/sure.html", {"petition": petition})
    if request.method == "POST":
        withdrawal.withdraw(found.link)
        return see_other("petition:withdrawn", petition.slug)
    page = "used" if found.is_used else "delete"
    return render(request, f"petition/withdraw_link/{page}.html", {"petition": petition})


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def subscribe(request: HttpRequest, slug: str) -> HttpResponse:
    petition = get_object_or_404(Petition, slug=slug)
    if not mailing_list.is_offered(petition):
        raise Http404
    form = SubscribeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        email = form.cleaned_data["email"]
        mailing_list.request(petition, email, language=get_language(), is_onion=is_onion(request))
        return see_other("petition:subscribe-check-inbox", slug)
    return form_page(request, "petition/subscribe.html", petition, form)


@public_page
@require_safe
def subscribe_check_inbox(request: HttpRequest, slug: str) -> HttpResponse:
    context = {
        "petition": get_object_or_404(Petition, slug=slug),
        "sender": settings.DEFAULT_FROM_EMAIL,
        "subject": messages.subject(OutgoingMail.Kind.SUBSCRIBE),
    }
    return render(request, "petition/subscribe_check_inbox.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def subscribe_link(request: HttpRequest, token: str) -> HttpResponse:
    """Before and after its press the same, for a week: who reads the mailbox is not told who pressed it."""
    try:
        found = mailing_list.find(token)
    except links.ExpiredError:
        return render(request, "petition/subscribe_link/expired.html", status=HTTPStatus.GONE)
    petition = Petition.find()
    if found is None or petition is None:
        return render(request, "petition/subscribe_link/forged.html", status=HTTPStatus.NOT_FOUND)
    # Mail scanners follow links, so only a POST counts.
    if request.method == "POST":
        mailing_list.subscribe(found)
        return see_other("petition:subscribed", petition.slug)
    context = {"petition": petition, "consent": consent.wording_for_updates()}
    return render(request, "petition/subscribe_link/press.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """One press, and no question: mail programs press it too, for who asks them to (RFC 8058)."""
    tokens = mailing_list.leave_tokens(token)
    petition = Petition.find()
    if not tokens or petition is None:
        return render(request, "petition/unsubscribe_forged.html", status=HTTPStatus.NOT_FOUND)
    if request.method == "POST":
        mailing_list.leave(tokens)
        return see_other("petition:unsubscribed", petition.slug)
    return render(request, "petition/unsubscribe.html", {"petition": petition})


@public_page
@require_safe
def outcome(request: HttpRequest, slug: str, template: str) -> HttpResponse:
    """A page that says what has just happened; the same for everyone, so it needs no cookie."""
    return render(request, f"petition/{template}.html", {"petition": get_object_or_404(Petition, slug=slug)})


def form_page(request: HttpRequest, template: str, petition: Petition, form: Form) -> HttpResponse:
    """A form to fill in, or to correct."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, template, {"petition": petition, "form": form}, status=status)


@public_file
@require_safe
def country_names(request: HttpRequest) -> HttpResponse:
    """The suggestions for the field of the country, in the language of the page."""
    return JsonResponse([name for _code, name in countries.choices()], safe=False)


@xframe_options_exempt
@public_page
@require_safe
def embed(request: HttpRequest, slug: str) -> HttpResponse:
    """The counter with a button to sign, for the frames of other sites (`petition.web.middleware.headers` lets them).

    It loads no script.
    """
    petition = get_object_or_404(Petition, slug=slug)
    response = render(request, "petition/embed.html", {"petition": petition, "count": tally.current(slug)})
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@cache_control(public=True, max_age=2, s_maxage=2, stale_while_revalidate=2, stale_if_error=300)
@replica.readable
@require_safe
def count_json(request: HttpRequest, slug: str) -> HttpResponse:
    count = tally.current(slug)
    if count is None:
        raise Http404
    response = JsonResponse(
        {
            "petition": count.slug,
            "total": count.total,
            "collected_before": count.collected_before,
            "confirmed_here": count.confirmed_here,
            "goal": count.goal,
            "as_of": count.as_of.isoformat(timespec="seconds"),
        }
    )
    response["ETag"] = f'W/"{count.collected_before}-{count.confirmed_here}-{count.goal}"'
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
