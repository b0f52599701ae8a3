import hashlib
import secrets

from django.db import models

from .signature import this_hour


def random_id() -> int:
    return secrets.randbits(63)


class Withdrawn(models.Model):
    """An erasure that the worker has yet to write to the list beside the database (`petition.withdrawn_list`).

    Every press that erases leaves one, whether there was a signature or not.
    """

    # Random, so that rows do not tell which came first.
    id = models.BigIntegerField(primary_key=True, default=random_id)
    digest = models.CharField(max_length=64)
    hour = models.DateTimeField(default=this_hour)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "erasure"

    @classmethod
    def remember(cls, petition_id: int, email_digest: bytes) -> None:
        """Note that what is stored about this address is erased, in the transaction that erases it."""
        cls.objects.create(digest=hashlib.sha256(b"%d:%b" % (petition_id, email_digest)).hexdigest())

    @classmethod
    def remember_row(cls, signature_id: int) -> None:
        """Note that this row alone is erased. The list does not tell one from the other."""
        cls.objects.create(digest=hashlib.sha256(b"row:%d" % signature_id).hexdigest())

    @classmethod
    def remember_box(cls, leave_digest: bytes) -> None:
        """Note that the box with this digest has left the mailing list."""
        cls.objects.create(digest=hashlib.sha256(b"box:%b" % leave_digest).hexdigest())
