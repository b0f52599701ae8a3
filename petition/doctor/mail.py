"""The mail: what DNS says of the sender, and what a receiver made of a test mail.

A mail that ends up as spam is a signature that nobody confirms.
"""

import re
from collections.abc import Iterator
from email import message_from_string, policy
from email.utils import parseaddr
from ipaddress import ip_address
from smtplib import SMTPException, SMTPResponseException

import dns.exception
import dns.resolver
import dns.reversename
from django.conf import settings
from django.core.mail import EmailMessage

from .findings import Finding, fail, ok, warn

DNS_SECONDS = 5
METHODS = ("spf", "dkim", "dmarc")
ADVICE = {
    "spf": "Let the SPF record of the sender's domain name the mail server, and the envelope have that domain.",
    "dkim": "Let the mail server sign with a key of the sender's domain, and publish its public half in DNS.",
    "dmarc": "SPF or DKIM has to pass for the very domain in From: set the provider's return path or signing domain.",
}
NO_DNS = "Try again with a network; until then nothing is known."


class NoAnswerError(Exception):
    """DNS did not answer, which says nothing about the record."""


def sender_domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower()


def examine() -> Iterator[Finding]:
    """Records in DNS. Where it does not answer, that is said once."""
    domain = sender_domain()
    if not settings.EMAIL_HOST:
        yield ok("mail in DNS", "not asked: this trial writes its mails to files")
        return
    try:
        yield exchanger(domain)
        yield spf(domain)
        yield dmarc(domain)
        yield from reverse_names()
    except NoAnswerError:
        yield warn("mail in DNS", "DNS does not answer: the rest is not judged", NO_DNS)


def lookup(name: str, kind: str) -> list[str]:
    """The records of a name; none if there are none. Raises NoAnswerError."""
    try:
        return [record.to_text() for record in resolver().resolve(name, kind, lifetime=DNS_SECONDS)]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError):
        raise NoAnswerError from None


def resolver() -> dns.resolver.Resolver:
    """The one of this machine. Raises NoResolverConfiguration, which is a DNSException."""
    return dns.resolver.get_default_resolver()


def texts(name: str, beginning: str) -> list[str]:
    """The texts of a name that begin so. A long one comes in several pieces."""
    found = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', record)) for record in lookup(name, "TXT")]
    return [text for text in found if text.lower().startswith(beginning)]


def exchanger(domain: str) -> Finding:
    if lookup(domain, "MX"):
        return ok("MX of the sender", "there")
    advice = "Let the sender's domain take mail: some servers refuse a sender whom nobody can answer."
    return warn("MX of the sender", "none", advice)


def spf(domain: str) -> Finding:
    found = texts(domain, "v=spf1")
    if len(found) != 1:
        said = "none" if not found else f"{len(found)}, which counts as none"
        return fail("SPF in DNS", said, "Publish one TXT record: v=spf1 with what your mail provider says, -all.")
    if re.search(r"(^|\s)\+?all\b", found[0]):
        return fail("SPF in DNS", "lets everybody send in this name", "End it with -all.")
    return ok("SPF in DNS", "there")


def dmarc(domain: str) -> Finding:
    names = domain.split(".")
    # Without a record of its own a domain takes that of the one above it.
    parents = (".".join(names[number:]) for number in range(max(len(names) - 1, 1)))
    found = next((texts for parent in parents if (texts := _dmarc_of(parent))), [])
    if not found:
        advice = f"Publish a TXT record of _dmarc.{domain}: v=DMARC1; p=quarantine."
        return fail("DMARC in DNS", "none: the large providers ask for it", advice)
    if re.search(r"\bp\s*=\s*none\b", found[0]):
        return warn("DMARC in DNS", "p=none: anybody can write in this name", "Say p=quarantine or p=reject.")
    return ok("DMARC in DNS", "there")


def _dmarc_of(domain: str) -> list[str]:
    return texts(f"_dmarc.{domain}", "v=dmarc1")


def reverse_names() -> Iterator[Finding]:
    """The names of the addresses of the mail server, or of this site if it sends by itself."""
    host = settings.SITE_HOST if settings.EMAIL_HOST in ("", "localhost", "127.0.0.1", "::1") else settings.EMAIL_HOST
    addresses = _addresses(host)
    if not addresses:
        yield fail("PTR of the mail server", "its name has no address", "Look at EMAIL_URL, or SITE_URL.")
        return
    for address in addresses:
        kind = f"IPv{ip_address(address).version}"
        names = lookup(dns.reversename.from_address(address).to_text(), "PTR")
        if any(address in _addresses(name.rstrip(".")) for name in names):
            yield ok(f"PTR of the mail server, {kind}", "leads back to it")
        else:
            said = "leads elsewhere" if names else "none"
            advice = "Have the owner of the address name it after the server; many refuse mail without that."
            yield warn(f"PTR of the mail server, {kind}", said, advice)


def _addresses(host: str) -> list[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        return lookup(host, "A") + lookup(host, "AAAA")


def send_test(recipient: str) -> Finding:
    """Send a mail that names nothing, for a person to look at its source."""
    try:
        EmailMessage("Test", "This is a test. Nothing needs to be done.", to=[recipient]).send()
    except (SMTPException, OSError) as error:
        # Without what the server says: it quotes addresses.
        code = f" {error.smtp_code}" if isinstance(error, SMTPResponseException) else ""
        advice = "Look at EMAIL_URL, and whether this sender and this machine may send there."
        return fail("test mail", f"not taken: {type(error).__name__}{code}", advice)
    return ok("test mail", "sent. Show its source in that mailbox, and give that to: manage.py doctor --headers FILE")


def judge(source: str) -> Iterator[Finding]:
    """What the receiver of a mail has written into its head (Authentication-Results), as it was pasted."""
    head = message_from_string(source.lstrip(), policy=policy.default)
    written = head.get_all("Authentication-Results")
    if not written:
        advice = "Paste the source of the mail from its first line on; not every provider writes that line."
        yield fail("Authentication-Results", "not in there", advice)
        return
    # The first is by the last server, which is the receiver's own; comments in it may say anything.
    results = re.sub(r"\([^()]*\)", "", str(written[0]))
    ours = _domain(parseaddr(str(head.get("From", "")))[1]) or sender_domain()
    for method in METHODS:
        yield _verdict(method, re.findall(rf"(?:^|[;\s]){method}\s*=\s*(\w+)([^;]*)", results, re.IGNORECASE), ours)


def _verdict(method: str, found: list[tuple[str, str]], ours: str) -> Finding:
    subject = f"{method.upper()} of the test mail"
    if not found:
        return fail(subject, "not looked at, or none", ADVICE[method])
    passed = [properties for result, properties in found if result.lower() == "pass"]
    if not passed:
        return fail(subject, found[0][0].lower(), ADVICE[method])
    if any(is_aligned(properties, ours) for properties in passed):
        return ok(subject, "pass, for the domain in From")
    return warn(subject, "pass, but for another domain than the one in From", ADVICE["dmarc"])


def is_aligned(properties: str, ours: str) -> bool:
    """Whether what passed is the domain in From, or one is within the other."""
    for value in re.findall(r"(?:smtp\.mailfrom|header\.(?:d|i|from))\s*=\s*\"?([^\s;\"]+)", properties, re.IGNORECASE):
        domain = _domain(value)
        if domain == ours or domain.endswith(f".{ours}") or ours.endswith(f".{domain}"):
            return True
    return False


def _domain(address: str) -> str:
    return address.rpartition("@")[2].strip("<>").lower()
