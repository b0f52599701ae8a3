from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, get_language_from_request, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaign import pictures, poster, sharing
from campaign.forms import FORMATS, PostForm, WordsForm
from campaign.models import Page
from config.caching import public_file, public_form, public_page
from petition import limits
from petition.models import Source

BUSY_SECONDS = 10


@never_cache
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """The one address without a language: it sends people to the one their browser asks for."""
    with override(get_language_from_request(request)):
        return redirect("campaign:home")


@public_page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "campaign/home.html", {"page": Page.objects.filter(slug="home").first()})


@public_page
@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Page.objects.exclude(slug="home"), slug=slug)
    is_translated = found.has_translation(get_language())
    if not is_translated:
        found.set_current_language(found.get_available_languages().first())
    return render(request, "campaign/page.html", {"page": found, "is_translated": is_translated})


@public_form
@require_http_methods(["GET", "HEAD", "POST"])
@limits.limited
def share(request: HttpRequest) -> HttpResponse:
    """The picture, the words and where to post them; after a POST, links that carry her own text.

    The policy of our pages lets no form lead to another site, so a form of ours ends at links of ours.
    """
    if request.method == "POST":
        return post_links(request)
    form = PostForm(initial={"text": sharing.suggestions()[0]})
    context = {"own": WordsForm(), "formats": FORMATS, **posting(request, form, form["text"].value())}
    return render(request, "campaign/share.html", context)


def post_links(request: HttpRequest) -> HttpResponse:
    form = PostForm(sharing.with_suggestion(request.POST.dict()))
    if not form.is_valid():
        return render(request, "campaign/links.html", posting(request, form, ""), status=422)
    text, host = form.cleaned_data["text"], form.cleaned_data["host"]
    context = posting(request, form, text)
    if host:
        context["mastodon"] = sharing.on_mastodon(host, text, partner(request))
    return render(request, "campaign/links.html", context)


def posting(request: HttpRequest, form: PostForm, text: str) -> dict[str, object]:
    source = partner(request)
    return {
        "form": form,
        "suggestions": sharing.suggestions(),
        "links": sharing.links(text, source),
        "address": sharing.address(source),
        "source": source,
    }


def partner(request: HttpRequest) -> str:
    return Source.known(request.POST.get("source") or request.GET.get("from", ""))


@never_cache
@require_POST
@limits.limited
def own_picture(request: HttpRequest) -> HttpResponse:
    """Her own words on the picture. They are drawn, sent and forgotten."""
    form = WordsForm(request.POST)
    context = {"own": form, "source": partner(request)}
    if not form.is_valid():
        return render(request, "campaign/own_words.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        drawn = pictures.with_words(form.cleaned_data["size"], form.cleaned_data["words"])
    except pictures.Busy:
        context["is_busy"] = True
        response = render(request, "campaign/own_words.html", context, status=HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = str(BUSY_SECONDS)
        return response
    # A name that says nothing to whoever sees her downloads.
    return HttpResponse(drawn, "image/png", headers={"Content-Disposition": 'attachment; filename="picture.png"'})


@public_file
@require_safe
def picture(request: HttpRequest, name: str) -> HttpResponse:
    if name not in pictures.FORMATS:
        raise Http404
    # Other sites may show it.
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    return HttpResponse(pictures.of_campaign(name, get_language()), "image/png", headers=headers)


@public_file
@require_safe
def poster_pdf(request: HttpRequest) -> HttpResponse:
    return HttpResponse(poster.a4(get_language()), "application/pdf")


@public_file
@require_safe
def code_svg(request: HttpRequest) -> HttpResponse:
    return HttpResponse(poster.code_svg(get_language()), "image/svg+xml")


@public_file
@require_safe
def code_png(request: HttpRequest) -> HttpResponse:
    return HttpResponse(poster.code_png(get_language()), "image/png")
