from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control, never_cache

from petition.postgres import replica

View = Callable[..., HttpResponse]

# Anyone may keep a public page for three seconds, and show it for five more while fetching the next one. With the count
# read when the page is made, nobody without a script sees a number older than ten seconds: nginx counts whole seconds,
# which may be one more, and on a busy machine an answer may take another one to arrive.
kept_for_seconds = cache_control(public=True, max_age=0, s_maxage=3, stale_while_revalidate=5, stale_if_error=300)
# What is drawn once in each process, and changes with a new version alone.
kept_for_an_hour = cache_control(
    public=True, max_age=3600, s_maxage=3600, stale_while_revalidate=86_400, stale_if_error=86_400
)


def public_page(view: View) -> View:
    return kept_for_seconds(replica.readable(view))


def public_file(view: View) -> View:
    return kept_for_an_hour(replica.readable(view))


def public_form(view: View) -> View:
    """An empty form is a public page; what was typed, and what is refused, is nobody else's.

    It is read from the primary: whoever is shown a form must not be told afterwards that it was closed all along.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        is_empty = request.method in ("GET", "HEAD") and response.status_code == HTTPStatus.OK
        return (kept_for_seconds if is_empty else never_cache)(lambda request: response)(request)

    return wrapper
