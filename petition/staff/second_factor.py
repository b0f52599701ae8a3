"""The second factor of staff: a code from an app on their phone, or one of ten backup codes on paper.

django-otp checks the codes: each is taken once, and every wrong one doubles the wait until the next try. Of a backup
code we store a digest; 16 letters are more than anybody can try through, so it needs no key.
"""

import base64
import hashlib
import math
import secrets
from datetime import timedelta

import django_otp
import segno
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition.clock import TOLERANCE_SECONDS
from petition.identity import CODE_LETTERS

BACKUP_CODES = 10
BACKUP_CODE_LENGTH = 16
MINUTES_TO_SET_UP = 10


class TooManyTriesError(Exception):
    """Too many wrong codes were given; the next try is allowed after `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


def is_set_up(user: User) -> bool:
    return bool(TOTPDevice.objects.devices_for_user(user, confirmed=True).exists())


def is_given(user: User | AnonymousUser) -> bool:
    """Whether this session has given a code."""
    return getattr(user, "otp_device", None) is not None


def begin(user: User) -> TOTPDevice:
    """Make a new key for an app. It lets nobody in until a code of it was given to `finish`."""
    TOTPDevice.objects.devices_for_user(user, confirmed=False).delete()
    return TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def unfinished(user: User, pk: object) -> TOTPDevice | None:
    """The key with this number, if `begin` has just made it for this user."""
    recent = timezone.now() - timedelta(minutes=MINUTES_TO_SET_UP)
    return TOTPDevice.objects.filter(user=user, pk=pk, confirmed=False, created_at__gt=recent).first()


def finish(device: TOTPDevice, code: str) -> bool:
    """Make this key the user's only one, if the code is right. Raises TooManyTriesError."""
    if _verified(device, code) is None:
        return False
    with transaction.atomic():
        TOTPDevice.objects.filter(user=device.user).exclude(pk=device.pk).delete()
        TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    return True


def give(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """The app or paper that this code is from; None if it is wrong. Raises TooManyTriesError."""
    code = "".join(code.split()).replace("-", "").upper()
    if len(code) == BACKUP_CODE_LENGTH:
        device, token = StaticDevice.objects.filter(user=user).first(), _digest(code)
    else:
        device, token = TOTPDevice.objects.devices_for_user(user, confirmed=True).first(), code
    return _verified(device, token) if device else None


def _verified(device: TOTPDevice | StaticDevice, token: str) -> TOTPDevice | StaticDevice | None:
    _forget_other_clock(device)
    allowed, why = device.verify_is_allowed()
    if not allowed:
        raise TooManyTriesError(math.ceil((why["locked_until"] - timezone.now()).total_seconds()))
    return django_otp.verify_token(device.user, device.persistent_id, token)


def _forget_other_clock(device: TOTPDevice | StaticDevice) -> None:
    """Let the wait begin now if the last wrong code is of a time to come.

    While the clock was a day ahead every code was wrong: once it is right, staff would have to wait for a day.
    """
    now = timezone.now()
    if (failed_at := device.throttling_failure_timestamp) and failed_at > now + timedelta(seconds=TOLERANCE_SECONDS):
        device.throttling_failure_timestamp = now
        device.save(update_fields=["throttling_failure_timestamp"])


def make_backup_codes(user: User) -> list[str]:
    """Replace the backup codes by ten new ones, which only this call returns."""
    codes = ["".join(secrets.choice(CODE_LETTERS) for _ in range(BACKUP_CODE_LENGTH)) for _ in range(BACKUP_CODES)]
    with transaction.atomic():
        device, _created = StaticDevice.objects.get_or_create(user=user, defaults={"name": "paper"})
        device.token_set.all().delete()
        for code in codes:
            device.token_set.create(token=_digest(code))
    return ["-".join(code[n : n + 4] for n in range(0, BACKUP_CODE_LENGTH, 4)) for code in codes]


def backup_codes_left(user: User) -> int:
    return sum(device.token_set.count() for device in StaticDevice.objects.filter(user=user))


def reset(user: User) -> bool:
    """Forget the second factor, so that the next login sets it up anew. False if there was none."""
    with transaction.atomic():
        found = [*TOTPDevice.objects.filter(user=user), *StaticDevice.objects.filter(user=user)]
        for device in found:
            device.delete()
    return bool(found)


def qr_code(device: TOTPDevice) -> SafeString:
    """The key as a picture for the app, drawn with attributes alone: the page's policy allows no style."""
    picture = segno.make(device.config_url, error="m", micro=False)
    svg = picture.svg_inline(scale=5, light="#fff", dark="#000", svgclass="qr-code", lineclass=None)
    return mark_safe(svg)  # noqa: S308, segno made it, and the key has no characters of markup


def key_to_type(device: TOTPDevice) -> str:
    key = base64.b32encode(device.bin_key).decode()
    return " ".join(key[n : n + 4] for n in range(0, len(key), 4))


def _digest(code: str) -> str:
    # 80 bits, because django-otp's column holds 16 letters.
    return base64.b32encode(hashlib.sha256(code.encode()).digest()[:10]).decode().lower()
