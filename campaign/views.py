from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, get_language_from_request, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from campaign.models import Page
from config.caching import public_page


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
