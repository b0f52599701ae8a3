"""Slips of the finger in mail domains: what was probably meant, if it was not what was typed."""

import difflib
from functools import cache, lru_cache
from pathlib import Path

from petition.countries import CODES

# Where a slip of the finger is likely to end.
COMMON_DOMAINS = """
    gmail.com googlemail.com mail.com email.com ymail.com yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.es yahoo.it
    hotmail.com hotmail.co.uk hotmail.fr hotmail.de hotmail.es hotmail.it outlook.com outlook.de outlook.fr outlook.es
    live.com live.de live.fr live.nl msn.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.at gmx.ch gmx.com
    web.de t-online.de freenet.de posteo.de posteo.net mailbox.org orange.fr free.fr laposte.net wanadoo.fr libero.it
    tiscali.it ziggo.nl hetnet.nl telenet.be skynet.be wp.pl onet.pl interia.pl seznam.cz centrum.cz ukr.net i.ua
    mail.ru list.ru bk.ru inbox.ru internet.ru yandex.ru yandex.com ya.ru rambler.ru proton.me protonmail.com pm.me
    tutanota.com tuta.com tuta.io riseup.net fastmail.com hey.com zoho.com comcast.net verizon.net att.net
""".split()
LIKENESS = 0.85  # gmial.com and gmail.com; below it unrelated names are taken for slips

# Providers that look like slips of others and are none. The file says where it comes from.
OTHERS = Path(__file__).parent / "mail_domains.txt"

NAMES = {domain.partition(".")[0] for domain in COMMON_DOMAINS}
COUNTRY_ENDINGS = {code.lower() for code in CODES} - {"gb"} | {"eu", "su", "uk"}
# What is left of com and net when a key is missed is a country, too, and hardly ever meant.
MISSED_KEYS = {"cm", "co", "ne", "om"}


@lru_cache(maxsize=1_000)
def likely_domain(domain: str) -> str | None:
    """The common mail domain that this one was probably meant to be; None if it exists, or is like none."""
    if domain in COMMON_DOMAINS or _is_national(domain) or domain in _others():
        return None
    return next(iter(difflib.get_close_matches(domain, COMMON_DOMAINS, n=1, cutoff=LIKENESS)), None)


def is_common(domain: str) -> bool:
    """Whether this is a provider at which very many have their mailboxes."""
    return domain in COMMON_DOMAINS or _is_national(domain)


def _is_national(domain: str) -> bool:
    """Whether it is a common name with the ending of a country: yahoo.com.br, hotmail.co.il, gmx.fr, mail.kz."""
    name, _dot, rest = domain.partition(".")
    kind, _dot, ending = rest.rpartition(".")
    if name not in NAMES or ending not in COUNTRY_ENDINGS:
        return False
    return kind in ("com", "co", "ne", "net", "org") or (not kind and ending not in MISSED_KEYS)


@cache
def _others() -> frozenset[str]:
    lines = OTHERS.read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
