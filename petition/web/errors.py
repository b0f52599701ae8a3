"""The pages for what went wrong. They read no database, so they show when it is away."""

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import add_never_cache_headers

from petition.web import request_ids

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60


def page(request: HttpRequest, status: int, retry_after: int | None = None) -> HttpResponse:
    """The page of an error status: `templates/errors/<status>.html`. `retry_after` is in seconds."""
    # A handler may run after the middleware that chose the language has ended.
    with translation.override(getattr(request, "LANGUAGE_CODE", None) or translation.get_language()):
        context = {"is_failure": True, "retry_after": retry_after, "request_id": request_ids.of(request)}
        response = render(request, f"errors/{status}.html", context, status=status)
    if status == 503 and retry_after is None:
        retry_after = RETRY_SECONDS
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    add_never_cache_headers(response)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return page(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return page(request, 403)
