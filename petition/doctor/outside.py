"""The site from outside, by its own SITE_URL: certificate, and whether a forged address is believed."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from django.conf import settings

from . import proxies
from .findings import Finding, fail, ok, warn

SECONDS = 10
WARN_DAYS, FAIL_DAYS = 20, 3
LISTS = {
    "X-Forwarded-For": "Let TRUSTED_PROXIES name the proxy alone, and the proxy add the address behind the others.",
    "X_Forwarded_For": "A proxy passes on headers with underscores: nginx has underscores_in_headers off for that.",
}


def examine() -> Iterator[Finding]:
    yield from certificate()
    for header, advice in LISTS.items():
        yield forged(header, advice)


def certificate() -> Iterator[Finding]:
    url = urlsplit(settings.SITE_URL)
    if url.scheme != "https":
        yield warn("certificate", "SITE_URL is not an https:// URL", "Right for a trial on this machine alone.")
        return
    try:
        with (
            socket.create_connection((url.hostname, url.port or 443), SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=url.hostname) as tls,
        ):
            ends = ssl.cert_time_to_seconds(str((tls.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        yield fail("certificate", f"no browser takes it: {error.verify_message}", "certbot renew, and reload nginx.")
    except (OSError, ssl.SSLError) as error:
        yield fail("certificate", f"SITE_URL does not answer ({type(error).__name__})", "Look at nginx, DNS, firewall.")
    else:
        days = (datetime.fromtimestamp(ends, UTC) - datetime.now(UTC)).days
        said = f"good for {days} days more"
        advice = "certbot renew --dry-run says why it is not renewed; reload nginx."
        judge = fail if days < FAIL_DAYS else warn if days < WARN_DAYS else None
        yield judge("certificate", said, advice) if judge else ok("certificate", said)


def forged(header: str, advice: str) -> Finding:
    subject = f"forged {header}"
    try:
        network = ask({header: proxies.FORGED, **proxies.question()}).get("network")
    except (OSError, HTTPException, ValueError) as error:
        return fail(subject, f"SITE_URL does not answer ({type(error).__name__})", "Look at nginx, DNS, firewall.")
    if network == proxies.FORGED_IS_BELIEVED:
        return fail(subject, "believed: whoever sends it has no limits", advice)
    if network == proxies.ALL_ARE_ONE:
        advice = "Name the proxy in TRUSTED_PROXIES, and let it send X-Forwarded-For."
        return fail(subject, "not believed, nor is the proxy: all visitors share one network and its limits", advice)
    if network != proxies.RIGHT:
        advice = "Run this with the SECRET_KEY of the site, and let proxies pass on all headers; is SITE_URL this site?"
        return warn(subject, "the site does not answer the question", advice)
    return ok(subject, "not believed")


def ask(headers: dict[str, str]) -> dict[str, str]:
    """What /healthz says; it says so with 503 as well. Raises OSError, HTTPException and ValueError."""
    url = urlsplit(settings.SITE_URL)
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    asking = kind(url.hostname or "", url.port, timeout=SECONDS)
    try:
        asking.request("GET", "/healthz", headers=headers)
        found = json.loads(asking.getresponse().read())
    finally:
        asking.close()
    return found if isinstance(found, dict) else {}
