"""Trusted proxies: whose word counts for where a request came from, and under which id it is logged."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

IPAddress = IPv4Address | IPv6Address

_network = lru_cache(ip_network)


def peer(request: HttpRequest) -> IPAddress | None:
    """Who speaks to us; None on a unix socket."""
    return parse(request.META.get("REMOTE_ADDR", ""))


def is_trusted(address: IPAddress | None) -> bool:
    """Whether this peer, or a proxy before it, is in TRUSTED_PROXIES; "unix" there is a peer on a unix socket."""
    if address is None:
        return "unix" in settings.TRUSTED_PROXIES
    return any(address in _network(proxy) for proxy in settings.TRUSTED_PROXIES if proxy != "unix")


def parse(text: str) -> IPAddress | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
