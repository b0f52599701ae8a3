"""Whether a forged address is believed: what the doctor asks the site from outside, and what the site answers it.

The site answers only who has signed the question with its SECRET_KEY, within a minute, and names no address.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from petition import rate_limits

HEADER = "X-Petition-Doctor"
SALT = "petition.doctor"
SECONDS = 60
# Of a network for documentation: nobody has it.
FORGED = "192.0.2.77"
FORGED_IS_BELIEVED, ALL_ARE_ONE, RIGHT = "forged", "shared", "right"


def question() -> dict[str, str]:
    return {HEADER: signing.TimestampSigner(salt=SALT).sign("network")}


def answer(request: HttpRequest) -> dict[str, str]:
    """What the site takes the asker's network for; nothing for anybody else."""
    if not (asked := request.headers.get(HEADER)):
        return {}
    try:
        signing.TimestampSigner(salt=SALT).unsign(asked, max_age=SECONDS)
    except signing.BadSignature:
        return {}
    address = rate_limits.client_address(request)
    if str(address) == FORGED:
        return {"network": FORGED_IS_BELIEVED}
    is_the_proxys = address is None or str(address) == request.META.get("REMOTE_ADDR")
    # In a trial nothing stands in front.
    if is_the_proxys and "X-Forwarded-For" in request.headers and not settings.LOCAL:
        return {"network": ALL_ARE_ONE}
    return {"network": RIGHT}
