"""The counts for programs: of a dashboard that brings a token, as in the admin; and as open data, for everybody."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from petition import rate_limits
from petition.counts import export, tally
from petition.counts import open_data as series
from petition.counts.breakdown import Question
from petition.models import CountsToken, Petition
from petition.postgres import replica


@never_cache
@require_safe
def counts_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    token = CountsToken.objects.find(text.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        wait = rate_limits.seconds_to_wait(request, "counts_json")
        if wait is not None:
            return too_many(_("Too many tries from your network."), wait)
        said = _("This needs a valid token, sent as “Authorization: Bearer TOKEN”.")
        return refusal(HTTPStatus.UNAUTHORIZED, said, {"WWW-Authenticate": "Bearer"})
    wait = rate_limits.seconds_to_wait_for_try(request, "counts_token", str(token.pk), settings.DASHBOARD_RATE)
    if wait is not None:
        return too_many(_("This token has asked too often."), wait)
    if token.has_ended:
        said = _("This token has ended with %(day)s. An administrator can make another one.") % {"day": token.ends_on}
        return refusal(HTTPStatus.UNAUTHORIZED, said, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    token.remember_use()
    petition = Petition.find(slug)
    if petition is None:
        return refusal(HTTPStatus.NOT_FOUND, _("There is no such petition."), {})
    asked = request.GET
    by = [name for text in asked.getlist("by") for name in text.split(",") if name]
    by = by or (["day"] if token.source_id is None else ["week"])
    try:
        question = Question.ask(petition.pk, by, asked.get("since", ""), asked.get("until", ""), token.source_id)
    except ValidationError as error:
        return not_as_asked(error.message_dict)
    return FileResponse(replica.read(lambda: written(petition, question)), content_type="application/json")


def written(petition: Petition, question: Question) -> IO[bytes]:
    with tally.snapshot():
        file, _rows = export.temporary(export.table(petition, question), "json")
    return file


@cache_control(public=True, max_age=300, s_maxage=300, stale_while_revalidate=3_600, stale_if_error=86_400)
@replica.readable
@require_safe
def open_data(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """A file of the open data, or what describes them. Anyone may keep it for five minutes."""
    petition = Petition.find(slug)
    if petition is None:
        raise Http404
    made = series.file(petition, name)
    if made is None:
        raise Http404
    content, content_type = made
    return HttpResponse(
        content,
        content_type=content_type,
        headers={"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"},
    )


def refusal(status: HTTPStatus, error: str, headers: Mapping[str, str], **more: object) -> JsonResponse:
    """What a program is told instead of an answer."""
    return JsonResponse({"error": error, **more}, status=status, headers=headers)


def too_many(error: str, retry_after: int) -> JsonResponse:
    return refusal(HTTPStatus.TOO_MANY_REQUESTS, error, {"Retry-After": str(retry_after)})


def not_as_asked(fields: Mapping[str, list[str]]) -> JsonResponse:
    return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, _("This cannot be counted as asked."), {}, fields=fields)
