"""Request ids: what an error page quotes, so that its lines are found in the logs. Random, and said nowhere else."""

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from petition.web import proxies

View = Callable[[HttpRequest], HttpResponse]

BYTES = 6  # enough to be told apart, and short enough to be copied from a screen
GIVEN = re.compile(r"[0-9a-f]{12}\Z")

_current: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def remembered(get_response: View) -> View:
    """The middleware that lets the lines of a log tell which request they are about."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = _current.set(request)
        try:
            return get_response(request)
        finally:
            _current.reset(token)

    return middleware


def of(request: HttpRequest) -> str:
    """The id of this request: the one that a trusted proxy has given it, else one of our own.

    Made when it is first asked for, which an answer without an error never does.
    """
    known = vars(request).get("request_id")
    if known is None:
        given = request.headers.get("X-Request-ID", "")
        is_given = GIVEN.match(given) and proxies.is_trusted(proxies.peer(request))
        known = vars(request)["request_id"] = given if is_given else secrets.token_hex(BYTES)
    return str(known)


def current() -> str:
    """The id of the request that this thread answers; empty outside of one."""
    request = _current.get()
    return "" if request is None else of(request)
