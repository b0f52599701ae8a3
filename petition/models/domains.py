from datetime import timedelta
from typing import Self

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# The name of a domain is kept if at least so many mailboxes share it on one day.
MAILBOXES = 20
# The most signatures of a day that are read to find them, so that a popular domain costs no more than another.
LOOKED_AT = 100
KEPT_DAYS = 30

# The number of mailboxes of a mail domain that signed on a day, as far as they are read. The day is spelt out in its
# hours, which is all that `created_at` tells, so that the index leads straight to the domain within each of them.
MAILBOXES_ON_DAY = """
    SELECT count(DISTINCT seen.email_digest)
    FROM (
        SELECT signature.email_digest
        FROM generate_series(0, 23) AS clock,
        LATERAL (
            SELECT email_digest FROM petition_signature
            WHERE created_at = ({day}::timestamp AT TIME ZONE 'UTC') + make_interval(hours => clock)
                AND domain_digest = {digest}
            LIMIT {looked_at}
        ) AS signature
        LIMIT {looked_at}
    ) AS seen
"""


def mailboxes_on_day(day: str, digest: str) -> str:
    return MAILBOXES_ON_DAY.format(day=day, digest=digest, looked_at=LOOKED_AT)


class SeenDomainQuerySet(models.QuerySet["SeenDomain"]):
    def too_old(self) -> Self:
        return self.filter(shared_on__lt=timezone.localdate() - timedelta(days=KEPT_DAYS))


class SeenDomain(models.Model):
    """The name of a mail domain that 20 mailboxes shared on one day.

    A domain of somebody's own names a person, so no other is ever kept: the trigger counts again, whoever writes.
    """

    digest = models.BinaryField(max_length=32, unique=True)
    name = models.CharField(_("mail domain"), max_length=253)
    # The last such day, from which its KEPT_DAYS run.
    shared_on = models.DateField(_("last shared by 20 on"))

    objects = SeenDomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("known mail domain")
        verbose_name_plural = _("known mail domains")
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(digest__length=32), name="a_domain_digest_has_32_bytes")]
        triggers = [
            pgtrigger.Trigger(
                name="only_shared_domains",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=f"""
                    IF ({mailboxes_on_day("NEW.shared_on", "NEW.digest")}) < {MAILBOXES} THEN
                        RAISE EXCEPTION 'Fewer than {MAILBOXES} mailboxes shared this mail domain on that day.'
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            )
        ]

    def __str__(self) -> str:
        return f"known domain {self.pk}"
