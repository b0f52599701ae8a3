"""The ceilings: what Django costs under our server, settings and middleware, and what signing costs without SQL."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from nacl.public import PrivateKey

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as product
from petition import identity, links, rate_limits
from petition.forms import SignForm
from petition.mail.keys import Opened, PublicHalf
from petition.models.link import token_digest
from petition.views import see_other

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


HALF = PublicHalf(0, bytes(PrivateKey.generate().public_key))


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_without_database(request: HttpRequest) -> HttpResponse:
    """Signing with the same form, crypto and answer. Only the salt of the day is read, once a minute."""
    form = SignForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    identity.network_digest(rate_limits.client_network(request))
    link = links.make()
    token_digest(link.token)
    links.code_digest(link.code)
    HALF.seal(Opened(form.cleaned_data["email"], link.token, link.code))
    return see_other("petition:check-inbox", "chechnya")


urlpatterns = [
    path("en/bench/bare/", bare),
    path("en/bench/sign/", sign_without_database),
    *product,
]
