"""The audit log: every action of staff leaves an entry, which nobody can change or delete for two years."""

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model

from petition.models import Action, Petition, StaffAction


def record(
    user: User | AnonymousUser | None,
    action: Action,
    *,
    about: Model | str = "",
    petition: Petition | str | None = None,
    detail: str = "",
    count: int | None = None,
    reason: str = "",
    canned_reason: int | None = None,
) -> None:
    """Record that this user did this, in the transaction of what was done. None is the command line.

    `about` is a row, or words of ours; `detail` says what of it, as in "goal: 1000 → 2000"; `count` how many rows.
    No address, name or words of a signer may be in any of them: addresses in `detail` and `reason` are an
    IntegrityError, the rest is the caller's duty. Long texts are cut. `canned_reason` is the number of the one that was
    chosen.
    """
    if petition is None and isinstance(about, Model):
        petition = about if isinstance(about, Petition) else getattr(about, "petition", None)
    StaffAction.objects.create(
        user_id=user.pk if user else None,
        username=user.get_username() if user else "",
        action=action,
        petition=petition.slug if isinstance(petition, Petition) else petition or "",
        about=(name(about) if isinstance(about, Model) else about)[:200],
        detail=detail[:1000],
        count=count,
        reason=reason[:500],
        canned_reason=canned_reason,
    )


def name(row: Model) -> str:
    """The name of a row in the audit log: "petition chechnya", "user anna", "signature 17"."""
    own = getattr(row, "slug", "") or getattr(row, "username", "") or row.pk
    # A proxy model is named after its table: counts are another look at a petition.
    model = row._meta.concrete_model or type(row)
    return f"{model._meta.model_name} {own}"
