"""Metrics of the web server: its requests by route and status, how long they took, and what its page cache held.

Each process counts into a file of its own, and `petition.metrics` adds the files up. A process takes the first number
that no running one has, and goes on with the file that the last one of this number left: so what a killed process has
counted stays counted, and there are never more files than there were processes at one time.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, values

logger = logging.getLogger(__name__)

View = Callable[[HttpRequest], HttpResponse]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3, 10)
# What an alarm is about is told apart from its class: a limit that was used up, and a site that is away.
APART = {429, 503}
FILE_BYTES = 1 << 20  # what prometheus_client makes a file of; all labels of this site fill a tenth


class Meters:
    """What one process counts. `labels` is remembered, since to look it up takes as long as to count."""

    def __init__(self) -> None:
        registry = CollectorRegistry()  # of nobody: the files are read
        requests = Counter(
            "petition_requests", "Requests answered, by route.", ["route", "method", "status"], registry=registry
        )
        seconds = Histogram(
            "petition_request_seconds", "How long an answer took.", ["route"], buckets=SECONDS, registry=registry
        )
        looks = Counter("petition_page_cache", "Looks into the page cache.", ["result"], registry=registry)
        self.requests, self.seconds, self.looks = cache(requests.labels), cache(seconds.labels), cache(looks.labels)


_meters: Meters | None = None


def measured(get_response: View) -> View:
    """The middleware around all others. Not used without METRICS_ADDRESS; nor if nothing can be stored, since visitors
    matter more.
    """
    if not settings.METRICS_ADDRESS:
        raise MiddlewareNotUsed
    try:
        meters = start()
    except (OSError, ValueError, RuntimeError) as error:
        logger.warning("Requests are not measured: METRICS_DIR cannot be used (%s)", type(error).__name__)
        raise MiddlewareNotUsed from error

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        route = route_of(request, response)
        method = request.method if request.method in ("GET", "POST") else "other"
        status = response.status_code
        meters.requests(route, method, str(status) if status in APART else f"{status // 100}xx").inc()
        meters.seconds(route).observe(time.perf_counter() - began)
        return response

    return middleware


def route_of(request: HttpRequest, response: HttpResponse) -> str:
    """A name from a short list, whatever was asked. What staff do is one of them."""
    match = request.resolver_match
    if match is None:
        if request.path_info.startswith(settings.STATIC_URL):
            return "static"
        return "kept" if response.status_code in (200, 304) else "none"
    return "admin" if match.namespaces[:1] == ["admin"] else match.view_name


def looked_up(*, is_found: bool) -> None:
    """Count a look into the page cache."""
    if _meters:
        _meters.looks("hit" if is_found else "miss").inc()


def start() -> Meters:
    """Begin to count in this process, once. Raises OSError, ValueError or RuntimeError if its files cannot be used."""
    global _meters
    if _meters is None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = settings.METRICS_DIR
        Path(settings.METRICS_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
        values.ValueClass = values.MultiProcessValue(lambda: _number(os.getpid()))  # type: ignore[no-untyped-call]
        _meters = Meters()
    return _meters


@cache
def _number(pid: int) -> int:
    """The first number that no running process has. The kernel frees it when we end, however that is."""
    for number in count():
        lock = os.open(Path(settings.METRICS_DIR, f"{number}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        for kind in ("counter", "histogram"):
            with Path(settings.METRICS_DIR, f"{kind}_{number}.db").open("ab") as file:
                # Or the process would be killed when it writes to a page for which a full disk has no room.
                try:
                    os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
                except OSError:
                    # An empty file would take all metrics away.
                    if not os.fstat(file.fileno()).st_size:
                        Path(file.name).unlink()
                    raise
        return number
    raise AssertionError
