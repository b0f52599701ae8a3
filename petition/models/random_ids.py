"""Random ids: 63 bits, so that no number tells in which order rows came."""

import secrets
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class RandomId(models.Func):
    """The same made by PostgreSQL, for rows that SQL of ours inserts."""

    # A random uuid has bits that are always the same; its hash has none.
    template = (
        "(('x' || encode(substr(sha256(uuid_send(gen_random_uuid())), 1, 8), 'hex'))::bit(64)::bigint"
        " & 9223372036854775807)"
    )
    output_field = models.BigIntegerField()


def random_id() -> int:
    return secrets.randbits(63)


def random_key(**options: Any) -> "models.BigIntegerField[int, int]":
    """A primary key of this kind."""
    options = {"verbose_name": _("No.")} | options
    return models.BigIntegerField(primary_key=True, default=random_id, db_default=RandomId(), editable=False, **options)
