"""A short, bounded page cache in each process, for whoever has no cache in front.

It keeps finished answers, compressed and with all their headers, so a hit costs no database, no template and no
middleware. Another cache in front says so with `Surrogate-Capability` and is served afresh: two caches in a row would
add up their ages, and a shown count may be ten seconds old at most.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from petition.models import Source
from petition.models.petition import SOURCE_PATTERN
from petition.postgres import replica, timeouts
from petition.web import compression, metrics

View = Callable[[HttpRequest], HttpResponse]
Key = tuple[str, str, str, str]

OF_A_BODY = {"Content-Type", "Content-Length", "Content-Encoding"}  # a 304 has none
MAX_AGE = re.compile(r"s-maxage=(\d+)")
PARTNER_SECONDS = 5
PAGE = re.compile(r"[0-9]{1,4}\Z")


def is_our_host(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        # The middleware behind us has the page that says so.
        return False
    return True


class PageCache:
    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        # When it ends, and the answer; the one used longest ago comes first.
        self.kept: OrderedDict[Key, tuple[float, HttpResponse]] = OrderedDict()
        self.lock = threading.Lock()
        self.partners: tuple[float, frozenset[str]] = 0.0, frozenset()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            request.method not in ("GET", "HEAD")
            or "Surrogate-Capability" in request.headers
            or not settings.PAGE_CACHE_ENTRIES
        ):
            return self.get_response(request)
        key = self.key(request)
        kept = self.find(key)
        metrics.looked_up(is_found=kept is not None)
        if kept is None or not is_our_host(request):
            response = self.get_response(request)
            if request.method == "GET" and response.status_code == 200:
                self.keep(key, response)
            return response
        answer = HttpResponse(kept.content, headers=dict(kept.items()))
        chosen = get_conditional_response(request, etag=kept.get("ETag"), response=answer) or answer
        for name in kept.headers.keys() - OF_A_BODY:
            chosen[name] = kept[name]
        return chosen

    def find(self, key: Key) -> HttpResponse | None:
        with self.lock:
            ends, response = self.kept.get(key, (0.0, None))
            if ends < time.monotonic():
                return None
            self.kept.move_to_end(key)
            return response

    def keep(self, key: Key, response: HttpResponse) -> None:
        control = response.get("Cache-Control", "")
        seconds = MAX_AGE.search(control)
        if not seconds or "public" not in control or response.streaming or response.cookies:
            return
        with self.lock:
            self.kept[key] = time.monotonic() + int(seconds[1]), response
            while len(self.kept) > settings.PAGE_CACHE_ENTRIES:
                self.kept.popitem(last=False)

    def key(self, request: HttpRequest) -> Key:
        """What makes an answer another one: the path, the page, the partner, and its compression.

        Everything else in a query is dropped, and a partner that nobody knows, so that made-up queries find a page too.
        """
        # As Django reads it, blanks and all: a key that differs from what the view sees would be somebody else's page.
        query = dict(parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True, errors="replace"))
        partner, number = query.get("from", ""), query.get("page", "")
        return (
            request.path_info,
            partner if re.fullmatch(SOURCE_PATTERN, partner) and partner in self.known_partners() else "",
            number if PAGE.match(number) else "",
            compression.accepted(request),
        )

    def known_partners(self) -> frozenset[str]:
        ends, partners = self.partners
        if ends < time.monotonic():
            # While the database is away the pages that are kept go on.
            try:
                with timeouts.limited(timeouts.VISITOR_SECONDS):
                    partners = replica.read(lambda: frozenset(Source.objects.values_list("pk", flat=True)))
            except DatabaseError:
                # For whoever goes on with this request.
                connection.close_if_unusable_or_obsolete()
            self.partners = time.monotonic() + PARTNER_SECONDS, partners
        return partners
