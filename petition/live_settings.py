"""What administrators change while the site runs. Every process knows it two seconds later."""

import time
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from django.conf import settings
from django.utils.translation import get_language

from petition import identity
from petition.models import HeldReason, ListedDomain, ListedNetwork, ProposedListing, Signature, Switches, Verdict
from petition.postgres import replica

SECONDS = 2
NUMBERS = ("NOTIFY_COUNT", "NOTIFY_HOURS", "CAMPAIGN_SHARE", "NAMES_PER_HOUR")
RATES = ("RATE_PER_NETWORK", "BURST_PER_NETWORK", "MAILS_PER_ADDRESS", "HOLD_PER_NETWORK")


@dataclass(frozen=True)
class State:
    """What was in force when this process last looked."""

    rates: dict[str, str]
    numbers: dict[str, int | None]
    banners: dict[str, str]
    networks: dict[IPv4Network | IPv6Network, Verdict]
    domains: dict[str, Verdict]
    held_networks: frozenset[tuple[date, bytes]]


_state: tuple[float, State] | None = None


def state() -> State:
    """What is in force, at most two seconds ago. Asks the database that often, whatever the load."""
    global _state
    now = time.monotonic()
    if _state is None or _state[0] <= now:
        _state = now + SECONDS, _read_primary()
    return _state[1]


def _read_primary() -> State:
    try:
        with replica.reading(replica.PRIMARY):
            return _read()
    except replica.AWAY:
        if replica.using() == replica.PRIMARY:
            raise
        # A page goes on without the primary, and nobody can sign meanwhile.
        return _read()


def _read() -> State:
    switches = Switches.objects.prefetch_related("translations").first()
    return State(
        rates={name: getattr(switches, name.lower(), "") for name in RATES},
        numbers={name: getattr(switches, name.lower(), None) for name in NUMBERS},
        banners={text.language_code: text.banner for text in switches.translations.all()} if switches else {},
        networks={ip_network(listed.network): Verdict(listed.verdict) for listed in ListedNetwork.objects.active()},
        domains={_compared(listed.domain): Verdict(listed.verdict) for listed in ListedDomain.objects.active()},
        held_networks=ProposedListing.objects.held_networks(),
    )


def _compared(domain: str) -> str:
    """A listed domain as `identity.domain` writes it: some providers have several that are one."""
    return domain if domain.startswith("*") else identity.domain(f"anyone@{domain}")


def rate(name: str) -> str:
    """The rate of this setting: what administrators chose, else what the environment says."""
    return state().rates[name] or getattr(settings, name)


def number(name: str) -> int:
    """The number of this setting: what administrators chose, else what the environment says."""
    return state().numbers[name] or int(getattr(settings, name))


def banner() -> str:
    """The sentence on top of every page in the language of the page; empty if there is none."""
    return state().banners.get(get_language() or "", "")


def verdict_on_network(address: IPv4Address | IPv6Address | None) -> Verdict | None:
    """What the lists say of this address; the narrowest network decides. None: nothing."""
    fitting = {network: verdict for network, verdict in state().networks.items() if address and address in network}
    return fitting[max(fitting, key=lambda network: network.prefixlen)] if fitting else None


def verdict_on_domain(domain: str) -> Verdict | None:
    """What the lists say of this mail domain, as `identity.domain` writes it; the narrowest entry decides."""
    domains = state().domains
    labels = domain.split(".")
    names = [domain, *("*." + ".".join(labels[start:]) for start in range(len(labels)))]
    return next((domains[name] for name in names if name in domains), None)


def reason_to_hold_network(address: IPv4Address | IPv6Address | None) -> str:
    """Why whoever signs from here is held once she has confirmed; empty: no reason."""
    return HeldReason.BLOCKED_NETWORK if verdict_on_network(address) == Verdict.BLOCK else ""


def reason_to_hold_domain(address: str) -> str:
    """The same for a mailbox; only the worker knows it."""
    return HeldReason.BLOCKED_DOMAIN if verdict_on_domain(identity.domain(address)) == Verdict.BLOCK else ""


def is_of_held_network(signature: Signature) -> bool:
    """Whether it was signed from a network that an administrator holds for the day on which it has this digest."""
    digest = signature.network_digest
    return digest is not None and (signature.created_at.date(), bytes(digest)) in state().held_networks
