"""Rate limits per network, and the network that a request comes from.

Where people sign, and where mail is sent, many limits are counted in one statement of ours. Logins, codes and tokens,
which are rare, are counted by django-ratelimit, one limit after the other. Both count in the windows of a rate.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from ipaddress import IPv6Address, IPv6Network
from typing import Any, NamedTuple
from zlib import crc32

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_ratelimit.core import get_usage

from petition import identity, live_settings
from petition.models import Verdict
from petition.postgres import counters
from petition.web import errors, proxies
from petition.web.proxies import IPAddress

logger = logging.getLogger(__name__)

# A provider hands whole /48 networks to one customer, so a /64 alone would be no limit.
WIDER_NETWORK_FACTOR = 10
# The limit that the last part of a group's name stands for, where live settings say how many networks are above it.
LIMITS = {"rate": "RATE_PER_NETWORK", "burst": "BURST_PER_NETWORK", "confirmed": "HOLD_PER_NETWORK"}
HOUR = 3_600
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def client_address(request: HttpRequest) -> IPAddress | None:
    """The address of the client; None if it cannot be told (a unix socket without a forwarded address).

    X-Forwarded-For is read from the right as long as the speaker is one of TRUSTED_PROXIES, so what a client adds to it
    changes nothing. "unix" in TRUSTED_PROXIES trusts a peer on a unix socket.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    address = proxies.peer(request)
    while proxies.is_trusted(address) and forwarded:
        before = proxies.parse(forwarded.pop().strip())
        if before is None:
            break
        address = before
    return address


def network(address: IPAddress | None) -> str:
    """The network that is limited and digested: IPv4 /32, IPv6 /64."""
    if address is None:
        return "unknown"
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def client_network(request: HttpRequest) -> str:
    return network(client_address(request))


def seconds_to_wait(request: HttpRequest, group: str) -> int | None:
    """Count this request; None if its network may go on, else after how many seconds it may.

    Raises no error for a strange address. Not to be called inside a transaction: a counter would be rolled back.
    """
    if live_settings.verdict_on_network(client_address(request)) == Verdict.ALLOW:
        return None
    return over_any(
        (f"{group}:{name}", key, times(rate, factor))
        for key, factor in limited_networks(request)
        for name, rate in (
            ("rate", live_settings.rate("RATE_PER_NETWORK")),
            ("burst", live_settings.rate("BURST_PER_NETWORK")),
        )
    )


def limited_networks(request: HttpRequest) -> list[tuple[str, int]]:
    """The networks that a request counts for, by their digests, each with how many times a rate it may use.

    By digests that fit hundreds of networks, since who has the database and its keys can try all addresses there are.
    """
    address = client_address(request)
    limited = [(_short_name(network(address)), 1)]
    if isinstance(address, IPv6Address):
        limited.append((_short_name(str(IPv6Network((address, 48), strict=False))), WIDER_NETWORK_FACTOR))
    return limited


def _short_name(network: str) -> str:
    return identity.network_digest(network).hex()


def seconds_to_wait_for_login(request: HttpRequest, account: str) -> int | None:
    """Count one try of a password for this user name, known or not; None if it may go on, else how long to wait.

    What a network is refused is not counted for the account: one stranger can shut the door for his network alone.
    """
    account = account.strip().casefold()[:150]
    tries = [("login", key, times(settings.LOGINS_PER_NETWORK, factor)) for key, factor in limited_networks(request)]
    tries.append(("login:here", f"{account} {client_network(request)}", settings.LOGINS_PER_ACCOUNT_AND_NETWORK))
    tries.append(("login:account", account, settings.LOGINS_PER_ACCOUNT))
    return next((wait for try_ in tries if (wait := seconds_to_wait_for_try(request, *try_)) is not None), None)


def seconds_to_wait_for_code(request: HttpRequest) -> int | None:
    """Count one try at a code, however broken; None if it may be made, else how long to wait.

    All networks together may be wrong CODE_ERRORS times: whoever hires many of them guesses no further. The link in the
    mail always works.
    """
    wait = seconds_to_wait_for_try(request, "code", _short_name(client_network(request)), settings.CODE_TRIES)
    return wait if wait is not None else seconds_left("code:wrong", "", settings.CODE_ERRORS)


def count_wrong_code() -> None:
    """Count one wrong code of anybody, with an alarm in the log once there are too many."""
    over("code:wrong", "", settings.CODE_ERRORS)
    if seconds_left("code:wrong", "", settings.CODE_ERRORS) is not None:
        logger.error("Codes are being guessed: %s were wrong, and no code is taken for now", settings.CODE_ERRORS)


def seconds_to_wait_for_try(request: HttpRequest, group: str, key: str, rate: str) -> int | None:
    """Count one try of `key`, which is hashed; None within the rate, else how many seconds until its window ends."""
    with counters.reached():
        usage = get_usage(request, group=group, key=lambda _group, _request: key, rate=rate, increment=True)
    return max(usage["time_left"], 1) if usage and usage["should_limit"] else None


def over(group: str, key: str, rate: str) -> int | None:
    """Count one use of `key`; None within the rate, else how many seconds until its window ends. "0" is no limit."""
    return over_any([(group, key, rate)])


def over_any(uses: Iterable[tuple[str, str, str]]) -> int | None:
    """Count one use of each group, key and rate; None within all rates, else the seconds until the last window ends.

    Costs one statement, where django-ratelimit needs up to two for each, and two more as a limit is passed.
    """
    uses = list(uses)
    used = [(use, window) for use, window in zip(uses, _windows(uses), strict=True) if window]
    windows = {window.name: window for _use, window in used}
    if not windows:
        return None
    counts = counters.count({name: window.seconds for name, window in windows.items()})
    for (group, key, _rate), window in used:
        if counts[window.name] == window.limit + 1:
            _note_above(group, key)
    now = int(time.time())
    waits = [max(window.ends_at - now, 1) for name, window in windows.items() if counts[name] > window.limit]
    return max(waits, default=None)


def _note_above(group: str, key: str) -> None:
    """Count this network once among those that passed this limit in this hour."""
    if limit := LIMITS.get(group.rpartition(":")[2]):
        hour = int(time.time()) // HOUR
        own = identity.daily_hash(f"above {limit} {hour} {key}".encode()).hexdigest()
        if counters.count({own: HOUR})[own] == 1:
            counters.count({f"above:{limit}:{hour}": HOUR})


def networks_above(limit: str) -> int:
    """How many networks have passed this limit in this hour of the clock. Nothing leads from there to a network."""
    return counters.stands_at(f"above:{limit}:{int(time.time()) // HOUR}")


def seconds_left(group: str, key: str, rate: str) -> int | None:
    """As `over`, but counting nothing: None as long as the rate is not used up."""
    for window in filter(None, _windows([(group, key, rate)])):
        if counters.count({window.name: window.seconds}, {window.name: 0})[window.name] >= window.limit:
            return max(window.ends_at - int(time.time()), 1)
    return None


def over_each(uses: Iterable[tuple[str, str, str]]) -> list[bool]:
    """Count these uses as `over` would one after another; whether each was over its rate. Costs one statement."""
    windows = list(_windows(uses))
    named = {window.name: window for window in windows if window}
    if not named:
        return [False] * len(windows)
    times_used = Counter(window.name for window in windows if window)
    counts = counters.count({name: window.seconds for name, window in named.items()}, times_used)
    over = []
    for window in reversed(windows):
        over.append(window is not None and counts[window.name] > window.limit)
        if window:
            counts[window.name] -= 1
    return over[::-1]


class Window(NamedTuple):
    """`name` is its counter's, which lives for `seconds`; `ends_at` is a unix time."""

    name: str
    limit: int
    ends_at: int
    seconds: int


def _windows(uses: Iterable[tuple[str, str, str]]) -> Iterator[Window | None]:
    """The window in which each group, key and rate is counted; None where there is no limit."""
    now = int(time.time())
    for group, key, rate in uses:
        limit, seconds = parse_rate(rate)
        if not limit:
            yield None
            continue
        # Each key has windows of its own, or all of them would open at the same moment.
        ends_at = now + seconds - (now - crc32(key.encode())) % seconds
        name = identity.daily_hash(f"{group} {limit}/{seconds} {key} {ends_at}".encode()).hexdigest()
        yield Window(name, limit, ends_at, seconds)


def parse_rate(rate: str) -> tuple[int, int]:
    """Of "300/h" or "10/10m" the count and the seconds; 0 for "0", which is no limit."""
    count, _slash, period = rate.partition("/")
    return int(count), int(period[:-1] or 1) * SECONDS[period[-1]] if period else 1


def times(rate: str, factor: int) -> str:
    count, slash, period = rate.partition("/")
    return f"{int(count) * factor}{slash}{period}"


def limited(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer 429 to a POST from a network over its limits, before anything is stored."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = seconds_to_wait(request, view.__name__) if request.method == "POST" else None
        return view(request, *args, **kwargs) if wait is None else errors.page(request, 429, retry_after=wait)

    return wrapper
