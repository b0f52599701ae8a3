from http import HTTPStatus

from django.conf import settings
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_http_methods, require_safe

from petition import confirmation, identity, live_settings, rate_limits, signing, withdrawal
from petition.confirmation import PendingLink, State
from petition.counts import tally
from petition.forms import CodeForm, SignForm, WithdrawForm
from petition.mail import messages
from petition.models import OutgoingMail, Petition, Source, Verdict
from petition.web import errors
from petition.web.cache_control import public_form, public_page

# For each state of a link: its page, and the status that says the same to a machine.
LINK_PAGES = {
    State.USED: ("used", HTTPStatus.OK),
    State.UNDER_REVIEW: ("under_review", HTTPStatus.OK),
    State.WITHDRAWN: ("withdrawn", HTTPStatus.GONE),
    State.EXPIRED: ("expired", HTTPStatus.GONE),
    State.CLOSED: ("closed", HTTPStatus.GONE),
    State.FORGED: ("forged", HTTPStatus.NOT_FOUND),
}
WITHDRAW_PAGES = {
    State.USED: ("used", HTTPStatus.OK),
    State.EXPIRED: ("expired", HTTPStatus.GONE),
    State.FORGED: ("forged", HTTPStatus.NOT_FOUND),
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
    if form.is_valid() and accepted(request, slug, form):
        # The same answer for new and known addresses, so nobody learns who has signed.
        return see_other("petition:check-inbox", slug)
    petition = get_object_or_404(Petition, slug=slug)
    if petition.is_closed:
        return render(request, "petition/closed.html", {"petition": petition}, status=HTTPStatus.GONE)
    if not petition.is_open:
        return paused(request, petition)
    return form_page(request, "petition/sign.html", petition, form)


def accepted(request: HttpRequest, slug: str, form: SignForm) -> bool:
    """Whether the petition is open and has stored what was typed."""
    answers = form.cleaned_data
    # Only a robot fills the field that people cannot see. It is told the same as everyone.
    if answers["website"]:
        return True
    address = rate_limits.client_address(request)
    return signing.sign(
        slug,
        signing.Answers(**{name: answers[name] for name in signing.Answers.__dataclass_fields__}),
        language=get_language(),
        # An allowed network is no signal, and is never held for being busy.
        network=None if live_settings.verdict_on_network(address) == Verdict.ALLOW else rate_limits.network(address),
        held_reason=live_settings.reason_to_hold(address, identity.domain(answers["email"])),
    )


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
    link = confirmation.find(token)
    # Mail scanners follow links, so only a POST counts.
    if request.method == "POST":
        if "not_me" in request.POST:
            return disowned(request, link)
        return pressed(request, link)
    if isinstance(link, PendingLink):
        return render(request, "petition/confirm.html", {"petition": link.petition, "signature": link.row})
    return link_page(request, link)


def disowned(request: HttpRequest, link: confirmation.Link) -> HttpResponse:
    if not isinstance(link, PendingLink):
        # Too late for that, and no reason to thank: the page of its state says how to withdraw.
        return link_page(request, link)
    confirmation.disown(link.row)
    return see_other("petition:disowned", link.petition.slug)


def pressed(request: HttpRequest, link: confirmation.Link) -> HttpResponse:
    """Where the button, or the code in its place, leads."""
    if link.petition is None or not (isinstance(link, PendingLink) or link.state is State.USED):
        return link_page(request, link)
    if isinstance(link, PendingLink):
        confirmation.confirm(link.row, without_words="without_words" in request.POST)
    # A second press, tab or click finds the signature counted, which is what its sender wanted.
    return see_other("petition:thanks", link.petition.slug)


def link_page(request: HttpRequest, link: confirmation.Link) -> HttpResponse:
    name, status = LINK_PAGES[link.state]
    return render(request, f"petition/link/{name}.html", {"petition": link.petition}, status=status)


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def confirm_code(request: HttpRequest, slug: str) -> HttpResponse:
    petition = get_object_or_404(Petition, slug=slug)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_bound:
        wait = confirmation.seconds_to_wait_for_code(request.POST.get("email", ""), rate_limits.client_network(request))
        if wait is not None:
            return errors.page(request, HTTPStatus.TOO_MANY_REQUESTS, retry_after=wait)
    if form.is_valid():
        email_digest = identity.email_digest(form.cleaned_data["email"])
        if link := confirmation.find_by_code(petition, email_digest, form.cleaned_data["code"]):
            return pressed(request, link)
        # The same words whether the address is unknown or the code is wrong.
        form.add_error("code", _("This code does not belong to this address. Check both, or use the link we sent."))
    return form_page(request, "petition/confirm_code.html", petition, form)


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def withdraw(request: HttpRequest, slug: str) -> HttpResponse:
    petition = get_object_or_404(Petition, slug=slug)
    form = WithdrawForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        withdrawal.request(petition, form.cleaned_data["email"], language=get_language())
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
    link = withdrawal.find(token)
    if link.petition is None or link.state is not State.PENDING:
        name, status = WITHDRAW_PAGES[link.state]
        return render(request, f"petition/withdraw_link/{name}.html", status=status)
    if request.method == "POST":
        withdrawal.withdraw(link.petition, link.email_digest)
        return see_other("petition:withdrawn", link.petition.slug)
    return render(request, "petition/withdraw_link.html", {"petition": link.petition})


@public_page
@require_safe
def outcome(request: HttpRequest, slug: str, template: str) -> HttpResponse:
    """A page that says what has just happened; the same for everyone, so it needs no cookie."""
    return render(request, f"petition/{template}.html", {"petition": get_object_or_404(Petition, slug=slug)})


def form_page(request: HttpRequest, template: str, petition: Petition, form: Form) -> HttpResponse:
    """A form to fill in, or to correct."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, template, {"petition": petition, "form": form}, status=status)


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
