"""What the environment says: is all of it there, readable, and safe?"""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from petition import consent, identity, offline_key
from petition.models import KeyFingerprint
from petition.models.live_settings import RATE
from petition.postgres import replica
from petition.web.loopback import is_loopback

LEAST_STEP = 10
KEY = re.compile(r"[0-9a-fA-F]{64}\Z")
QUOTE = "Write / # ? @ : in a password as %2F %23 %3F %40 %3A."
MAKE_KEY = "python -c 'import secrets; print(secrets.token_hex(32))'"


@register(Tags.security)
def site_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.LOCAL or re.match(r"https://[\w.-]+(:[0-9]+)?\Z", settings.SITE_URL):
        return []
    return [
        Error(
            "SITE_URL is not an https:// URL.",
            hint="Links in mails are built from SITE_URL; set it in the environment, without a path.",
            id="petition.E001",
        )
    ]


@register(Tags.security)
def secrets_are_set(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    try:
        secret_key = settings.SECRET_KEY
    except ImproperlyConfigured:
        secret_key = ""
    if len(secret_key) < 50:
        yield Error(
            "SECRET_KEY is missing or shorter than 50 characters.",
            hint=f"It signs the links in mails. Make one with: {MAKE_KEY}",
            id="petition.E002",
        )
    if settings.EMAIL_DIGEST_KEY and not (settings.IS_WORKER or settings.LOCAL):
        yield Error(
            "EMAIL_DIGEST_KEY is in the environment of a process that must not have it.",
            hint="Set it for the worker alone: whoever takes over a web process could test who has signed.",
            id="petition.E017",
        )


@register(Tags.security)
def services_are_set(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if not settings.DATABASES["default"]["NAME"]:
        yield Error(
            "DATABASE_URL is missing, unreadable, or names no PostgreSQL database.",
            hint=f"Set DATABASE_URL, for example postgresql://user@/petition?host=/run/postgresql. {QUOTE}",
            id="petition.E005",
        )
    if not (settings.EMAIL_HOST if "smtp" in settings.EMAIL_BACKEND else settings.LOCAL):
        yield Error(
            "EMAIL_URL is missing, unreadable, or names no mail server.",
            hint=f"Set EMAIL_URL, for example smtps://user:password@mail.example.org:587. {QUOTE}",
            id="petition.E006",
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is missing or allows every host.",
            hint="Set ALLOWED_HOSTS to the host names of this site, separated by commas.",
            id="petition.E007",
        )
    backend = settings.CACHES["default"]["BACKEND"]
    if backend != "petition.postgres.counters.PostgresCache" and not ("redis" in backend and find_spec("redis")):
        yield Error(
            "CACHE_URL is unreadable or names no Redis, or the package redis is not installed.",
            hint="Leave CACHE_URL out to use PostgreSQL, or write it as redis://host:6379/1 and install"
            f" deploy/requirements-redis.txt. {QUOTE}",
            id="petition.E014",
        )


@register(Tags.security)
def local_stays_local(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """LOCAL has no second factor and mails to files: nobody else may reach it."""
    if not settings.LOCAL:
        return
    if not is_loopback(urlsplit(settings.SITE_URL).hostname or ""):
        yield Error(
            "LOCAL is set, but SITE_URL is not this machine.",
            hint="LOCAL=1 is for trying things out. Unset LOCAL, or SITE_URL.",
            id="petition.E008",
        )
    if not is_loopback(settings.BIND_ADDRESS):
        yield Error(
            "LOCAL is set, but the server would listen on other than the loopback address.",
            hint="Unset LOCAL, or GRANIAN_HOST.",
            id="petition.E009",
        )


@register(Tags.security)
def numbers_are_readable(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for name in ("RATE_PER_NETWORK", "BURST_PER_NETWORK", "MAILS_PER_ADDRESS", "HOLD_PER_NETWORK"):
        if not re.match(RATE, getattr(settings, name)):
            yield Error(
                f"{name} is not a rate.",
                hint="Write it as count/period with s, m, h or d for the period, for example 300/h; 0 is no limit.",
                id="petition.E010",
            )
    if not re.match(r"[1-9][0-9]?\Z", settings.MAIL_CONNECTIONS):
        yield Error(
            "MAIL_CONNECTIONS is not a number from 1 to 99.",
            hint="Set it to how many connections your mail server allows one worker, or leave it out.",
            id="petition.E016",
        )
    least = 1 if settings.LOCAL else LEAST_STEP
    if not re.match(r"[1-9][0-9]{0,3}\Z", settings.COUNT_STEP) or int(settings.COUNT_STEP) < least:
        yield Error(
            f"COUNT_STEP is not a number from {least} to 9999.",
            hint=f"Leave it out: with steps below {LEAST_STEP} the public number shows when a single person confirms.",
            id="petition.E018",
        )
    if settings.METRICS_ADDRESS and not is_loopback_port(settings.METRICS_ADDRESS):
        yield Error(
            "METRICS_ADDRESS is not a port of the loopback address.",
            hint="Write it as 127.0.0.1:9464. A Prometheus on another machine comes through a tunnel.",
            id="petition.E035",
        )
    if settings.LOG_FORMAT not in ("json", "text"):
        yield Error(
            "LOG_FORMAT is neither json nor text.",
            hint="Leave it out: lines of JSON can be read by programs; write text to read them yourself.",
            id="petition.E036",
        )
    for proxy in settings.TRUSTED_PROXIES:
        try:
            trusts_everyone = proxy != "unix" and ip_network(proxy).prefixlen == 0
        except ValueError:
            trusts_everyone = True
        if trusts_everyone:
            yield Error(
                "TRUSTED_PROXIES holds something that is no network, or trusts everyone.",
                hint='Write networks like 127.0.0.1/32, separated by commas, and "unix" for a unix socket.',
                id="petition.E011",
            )


@register(Tags.security)
def notices_can_be_sent(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """An address that cannot be read, or that anybody on the way can read, would be found out when nobody is told."""
    if settings.NOTIFY_URL and not is_webhook(settings.NOTIFY_URL):
        yield Error(
            "NOTIFY_URL is no https:// address.",
            hint="Write the address of a webhook, without a user or a password before the host, or leave it out.",
            id="petition.E052",
        )
    if settings.NOTIFY_EMAIL and not is_address(settings.NOTIFY_EMAIL):
        yield Error(
            "NOTIFY_EMAIL is no mail address.",
            hint="Write one address, of a list that staff read, or leave it out.",
            id="petition.E053",
        )
    for name in ("NOTIFY_COUNT", "NOTIFY_HOURS"):
        if not re.match(r"[1-9][0-9]{0,3}\Z", getattr(settings, name)):
            yield Error(
                f"{name} is not a number from 1 to 9999.",
                hint="Leave it out, or write how much may wait before staff are told. Live settings change it later.",
                id="petition.E054",
            )
    for name, most in (("CAMPAIGN_SHARE", 100), ("NAMES_PER_HOUR", 10_000)):
        if not re.match(r"[1-9][0-9]{0,4}\Z", getattr(settings, name)) or int(getattr(settings, name)) > most:
            yield Error(
                f"{name} is not a number from 1 to {most}.",
                hint="Leave it out, or write a number. Live settings change it later.",
                id="petition.E056",
            )


def is_webhook(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_readable = bool(url.hostname) and "@" not in url.netloc and url.port != 0
    except ValueError:
        return False
    is_private = url.scheme == "https" or (settings.LOCAL and url.scheme == "http" and is_loopback(url.hostname or ""))
    return is_readable and is_private


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


@register(Tags.security)
def admin_has_a_path_of_its_own(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The admin's path is exempt from what public pages are refused, so it must not be theirs."""
    taken = {"", "static", "petitions", "healthz", "readyz", "dev", *(code for code, _name in settings.LANGUAGES)}
    if settings.ADMIN_PATH.partition("/")[0] not in taken and re.match(r"[\w/-]+\Z", settings.ADMIN_PATH):
        return []
    return [
        Error(
            "ADMIN_PATH is empty, or belongs to public pages.",
            hint="Set ADMIN_PATH to a word of its own, without slashes around it, for example staff-entrance.",
            id="petition.E015",
        )
    ]


@register(Tags.security)
def replica_is_named(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.DATABASES.get(replica.REPLICA, {"NAME": "none"})["NAME"]:
        return []
    return [
        Error(
            "REPLICA_URL is unreadable, or names no PostgreSQL database.",
            hint=f"Write it as DATABASE_URL, with the address of a standby, or leave it out. {QUOTE}",
            id="petition.E050",
        )
    ]


@register
def consent_is_worded(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for language, _name in settings.LANGUAGES:
        if not consent.is_there(language):
            yield Error(
                f"There is no wording of the consent in the language {language}.",
                hint=f"Write {language}.txt in petition/consent/{consent.CURRENT} and in"
                f" petition/consent/updates/{consent.UPDATES}, or take {language} out of LANGUAGES.",
                id="petition.E020",
            )


def is_loopback_port(address: str) -> bool:
    host, _colon, port = address.rpartition(":")
    return is_loopback(host.removeprefix("[").removesuffix("]")) and port.isdecimal() and 0 < int(port) < 65_536


def of_the_worker() -> Iterator[CheckMessage]:
    """What the worker alone needs. It asks for this when it starts, after migrating."""
    if not KEY.match(settings.EMAIL_DIGEST_KEY):
        yield Error(
            "EMAIL_DIGEST_KEY is not 64 hexadecimal digits.",
            hint=f"Addresses are stored as digests under it. Make one with: {MAKE_KEY}. Keep it: it can never change.",
            id="petition.E003",
        )
    elif not is_the_key_of_this_database():
        yield Error(
            "EMAIL_DIGEST_KEY is not the one this database was filled with.",
            hint="Restore the old key; without it nobody can be recognised and nobody can withdraw.",
            id="petition.E012",
        )
    if not settings.OUTBOX_KEYS_DIR or not is_private_directory(Path(settings.OUTBOX_KEYS_DIR)):
        yield Error(
            "OUTBOX_KEYS_DIR is not set, cannot be written, or can be read by others.",
            hint="Name a directory in memory that belongs to the worker alone, as RuntimeDirectory= of its unit makes.",
            id="petition.E013",
        )
    if not settings.WITHDRAWN_LIST or not is_private_directory(Path(settings.WITHDRAWN_LIST).parent):
        yield Error(
            "WITHDRAWN_LIST is not set, or its directory cannot be written or can be read by others.",
            hint="Name a file on another disk than the database's, in a directory that belongs to the worker alone.",
            id="petition.E019",
        )


@register(Tags.security)
def mailing_list_key(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    key = settings.MAILING_LIST_KEY
    if not key:
        return
    try:
        offline_key.public_half(key)
    except offline_key.OfflineKeyError:
        yield Error(
            "MAILING_LIST_KEY is not the public half of an offline key.",
            hint="On a computer of the organisers, run: python petition/offline_key.py make-list list.key",
            id="petition.E072",
        )
    if key == settings.BACKUP_KEY:
        yield Warning(
            "MAILING_LIST_KEY is the key of the backups.",
            hint="Make a pair for each: whoever restores a backup could read the mailing list in it.",
            id="petition.W071",
        )


def of_the_backup() -> Iterator[CheckMessage]:
    """What `manage.py backup` needs. It asks for this when it starts."""
    try:
        offline_key.public_half(settings.BACKUP_KEY)
    except offline_key.OfflineKeyError:
        yield Error(
            "BACKUP_KEY is not the public half of an offline key.",
            hint="On another machine, run: python petition/offline_key.py make petition.key",
            id="petition.E040",
        )
    if not settings.BACKUP_DIR or not is_private_directory(Path(settings.BACKUP_DIR)):
        yield Error(
            "BACKUP_DIR is not set, cannot be written, or can be read by others.",
            hint="Name a directory that belongs to the user of the backup alone, as StateDirectory= of its unit makes.",
            id="petition.E041",
        )


def is_the_key_of_this_database() -> bool:
    """Whether no digest was made with another key. The first worker to start leaves the fingerprint of its own."""
    stored, _is_new = KeyFingerprint.objects.get_or_create(
        name="email_digest", defaults={"fingerprint": identity.key_fingerprint()}
    )
    return stored.fingerprint == identity.key_fingerprint()


def is_private_directory(directory: Path) -> bool:
    """Whether only we can read and write it. Makes it if it can be made."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory.stat().st_mode & 0o077 == 0 and os.access(directory, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        return False
