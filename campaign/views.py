from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.contrib.sitemaps import views as sitemap_views
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, get_language_from_request, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaign import feeds, page_context, sitemaps, words_of_support
from campaign.forms import FORMATS, PostForm, WordsForm
from campaign.models import Page, Partner, Report, Update
from campaign.share import codes, links, pictures
from petition import rate_limits
from petition.counts import momentum
from petition.models import Petition, Source
from petition.web.cache_control import public_file, public_form, public_page
from petition.web.page_cache import PAGE

BUSY_SECONDS = 10
UPDATES_ON_A_PAGE = 20
SECURITY_TXT_LIFETIME = timedelta(days=180)


@never_cache
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Redirect from the address without a language to the home page in the language of the browser."""
    with override(get_language_from_request(request)):
        return redirect("campaign:home")


@public_page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "campaign/home.html", {"page": Page.objects.published().filter(slug="home").first()})


@public_page
@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Page.objects.published().exclude(slug__in=page_context.WITHOUT_ADDRESS), slug=slug)
    return render(request, page_context.template(found), page_context.context(found, request))


@public_page
@require_safe
def open_data(request: HttpRequest) -> HttpResponse:
    petition = Petition.find()
    if petition is None:
        raise Http404
    return render(request, "campaign/open_data.html", {"petition": petition})


@public_page
@require_safe
def words(request: HttpRequest) -> HttpResponse:
    number = page_number(request)
    entries, is_more = words_of_support.page(number)
    if number > 1 and not entries:
        raise Http404
    return render(request, "campaign/words.html", {"entries": entries, **neighbours(number, is_more)})


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def report(request: HttpRequest, number: int) -> HttpResponse:
    """Form by which a reader reports words of support to the moderators. Nothing is stored about the reader."""
    shown = get_object_or_404(words_of_support.shown(), pk=number)
    if request.method == "POST":
        Report.objects.add(shown)
        return HttpResponseRedirect(reverse("campaign:reported"), status=HTTPStatus.SEE_OTHER)
    return render(request, "campaign/report.html", {"shown": shown})


@public_page
@require_safe
def reported(request: HttpRequest) -> HttpResponse:
    return render(request, "campaign/reported.html")


@public_page
@require_safe
def updates(request: HttpRequest) -> HttpResponse:
    number = page_number(request)
    start = (number - 1) * UPDATES_ON_A_PAGE
    rows = Update.objects.published().latest_first().prefetch_related("translations")
    found = list(rows[start : start + UPDATES_ON_A_PAGE + 1])
    if number > 1 and not found:
        raise Http404
    entries = [page_context.in_a_language(update) for update in found[:UPDATES_ON_A_PAGE]]
    is_more = len(found) > UPDATES_ON_A_PAGE
    return render(request, "campaign/updates.html", {"entries": entries, **neighbours(number, is_more)})


@public_page
@require_safe
def update(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Update.objects.published(), slug=slug)
    return render(request, "campaign/update.html", page_context.context(found, request))


@public_page
@require_safe
def feed(request: HttpRequest) -> HttpResponse:
    return HttpResponse(feeds.updates(get_language() or "en"), "application/atom+xml; charset=utf-8")


@public_page
@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    return sitemap_views.sitemap(request, sitemaps.SECTIONS)


@public_page
@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    # Pages that should not be found carry "noindex", which robots have to be let in to read. A "Disallow" for the admin
    # would tell everybody where it is.
    text = f"User-agent: *\nDisallow:\n\nSitemap: {settings.SITE_URL}/sitemap.xml\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@public_file
@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Where to report a security hole (RFC 9116), once the operator has named an address."""
    if not settings.CONTACT_EMAIL:
        raise Http404
    expires = (timezone.now() + SECURITY_TXT_LIFETIME).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: mailto:{settings.CONTACT_EMAIL}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(code for code, _name in settings.LANGUAGES)}",
        f"Canonical: {settings.SITE_URL}{request.path}",
    ]
    return HttpResponse("\n".join(lines) + "\n", "text/plain; charset=utf-8")


def page_number(request: HttpRequest) -> int:
    """Number in `?page=`, read as the caches do: anything else is page 1."""
    typed = request.GET.get("page", "")
    return (int(typed) or 10_000) if PAGE.match(typed) else 1


def neighbours(number: int, is_more: bool) -> dict[str, object]:
    return {"number": number, "newer": number - 1, "older": number + 1 if is_more else 0}


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@rate_limits.limited
def share(request: HttpRequest) -> HttpResponse:
    """Pictures, texts, and links to post them; after a POST, links that carry the text that was typed.

    Our content security policy lets no form lead to another site, so the form leads to a page of links.
    """
    if request.method == "POST":
        return post_links(request)
    form = PostForm(initial={"text": links.suggestions()[0]})
    context = {"own": WordsForm(), "formats": FORMATS, **posting(request, form, form["text"].value())}
    return render(request, "campaign/share.html", context)


def post_links(request: HttpRequest) -> HttpResponse:
    form = PostForm(links.with_suggestion(request.POST.dict()))
    if not form.is_valid():
        return render(request, "campaign/links.html", posting(request, form, ""), status=422)
    text, host = form.cleaned_data["text"], form.cleaned_data["host"]
    context = posting(request, form, text)
    if host:
        context["mastodon"] = links.on_mastodon(host, text, partner(request))
    return render(request, "campaign/links.html", context)


def posting(request: HttpRequest, form: PostForm, text: str) -> dict[str, object]:
    source = partner(request)
    return {
        "form": form,
        "suggestions": links.suggestions(),
        "links": links.links(text, source),
        "address": links.address(source),
        "source": source,
    }


def partner(request: HttpRequest) -> str:
    return Source.known(request.POST.get("source") or request.GET.get("from", ""))


@never_cache
@require_POST
@rate_limits.limited
def own_picture(request: HttpRequest) -> HttpResponse:
    """Picture with words that a supporter typed. They are neither stored nor logged."""
    form = WordsForm(request.POST)
    context = {"own": form, "source": partner(request)}
    if not form.is_valid():
        return render(request, "campaign/own_words.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        drawn = pictures.with_words(form.cleaned_data["size"], form.cleaned_data["words"])
    except pictures.BusyError:
        context["is_busy"] = True
        response = render(request, "campaign/own_words.html", context, status=HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = str(BUSY_SECONDS)
        return response
    # The name tells nothing to a person who looks into her downloads.
    return HttpResponse(drawn, "image/png", headers={"Content-Disposition": 'attachment; filename="picture.png"'})


@public_file
@require_safe
def picture(request: HttpRequest, name: str, version: str = "") -> HttpResponse:
    """The campaign's picture as it is now, whichever version is asked for."""
    if name not in pictures.FORMATS:
        raise Http404
    # Other sites may show it.
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    return HttpResponse(pictures.of_campaign(name, get_language()), "image/png", headers=headers)


@public_file
@require_safe
def picture_of_the_day(request: HttpRequest, number: str, version: str) -> HttpResponse:
    """The picture of a link with the number of this day, whichever is asked for: it is drawn for ours alone."""
    petition = Petition.find()
    if petition is None:
        raise Http404
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    begun_with = momentum.at_midnight(petition)
    drawn = pictures.of_the_day(get_language() or "en", begun_with, petition.is_lower_bound)
    return HttpResponse(drawn, "image/png", headers=headers)


@public_file
@require_safe
def partner_picture(request: HttpRequest, tag: str, version: str) -> HttpResponse:
    partner = get_object_or_404(Partner.objects.published().exclude(picture=None), pk=tag)
    return HttpResponse(bytes(partner.picture), "image/webp")


@public_file
@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """For browsers that ask for it at its old place."""
    return HttpResponse((settings.BASE_DIR / "static" / "favicon.ico").read_bytes(), "image/x-icon")


@public_file
@require_safe
def poster_pdf(request: HttpRequest) -> HttpResponse:
    from campaign.share import poster

    return HttpResponse(poster.a4(get_language()), "application/pdf")


@public_file
@require_safe
def code_svg(request: HttpRequest) -> HttpResponse:
    return HttpResponse(codes.code_svg(get_language()), "image/svg+xml")


@public_file
@require_safe
def code_png(request: HttpRequest) -> HttpResponse:
    return HttpResponse(codes.code_png(get_language()), "image/png")
