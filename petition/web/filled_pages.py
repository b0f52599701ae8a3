"""Filled pages: rendered once in a few seconds for everybody, and filled in for each visitor.

For pages that no cache may keep although they differ in a few places alone: rendering takes twenty times as long as
filling in. What is kept has a mark in each of those places, and holds nothing of anybody.
"""

import secrets
import time
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import conditional_escape
from django.utils.translation import get_language

SECONDS = 3  # as long as other pages are kept (`petition.web.cache_control`)
# Nobody can guess it, so no text has it by chance or on purpose.
MARK = secrets.token_hex(16)
# When it ends, and the page in pieces: text, the name of what is filled in, text, and so on.
_kept: dict[tuple[object, ...], tuple[float, list[str]]] = {}


def render(
    request: HttpRequest,
    template: str,
    context: dict[str, object],
    *,
    kinds: tuple[object, ...] = (),
    places: dict[str, str] | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """As Django's `render`, of a template in which nothing but `places` depends on the visitor.

    The template shows each of `places` by its name, and may not ask what it is. `kinds` are all values on which the
    rest of the page depends, besides its language and what everybody sees.
    """
    language = get_language()
    prefix = f"/{language}/" if request.path_info.startswith(f"/{language}/") else "/"
    pieces = _find((template, prefix, language, *kinds), context, prefix, tuple(places or ()))
    # The frame of a page has links to the same page in other languages.
    values = {"path": request.path_info[len(prefix) :]} | (places or {})
    texts = [conditional_escape(values[piece]) if number % 2 else piece for number, piece in enumerate(pieces)]
    return HttpResponse("".join(texts), status=status)


def _find(key: tuple[object, ...], context: dict[str, object], prefix: str, places: tuple[str, ...]) -> list[str]:
    ends, pieces = _kept.get(key, (0.0, []))
    if ends <= time.monotonic():
        nobody = HttpRequest()
        nobody.path = nobody.path_info = prefix + _mark("path")
        page = render_to_string(str(key[0]), context | {name: _mark(name) for name in places}, nobody)
        pieces = page.split(MARK)
        if settings.PAGE_CACHE_ENTRIES:
            _kept[key] = time.monotonic() + SECONDS, pieces
    return pieces


def _mark(name: str) -> str:
    return f"{MARK}{name}{MARK}"
