"""Results of mails, counted by large provider: which of them refuses us is what an operator has to know first."""

from collections import Counter
from collections.abc import Iterable

from django.db import connection

from petition import identity
from petition.mail.smtp import Fate, Outcome
from petition.mail_providers import provider_of
from petition.models import OutgoingMail

# In the order of their keys, so that two workers never wait for each other.
ADD = """
    INSERT INTO petition_mailtally AS stored (provider, result, amount)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS new (provider, result, amount) ORDER BY 1, 2
    ON CONFLICT (provider, result) DO UPDATE SET amount = stored.amount + EXCLUDED.amount
"""

# What the mail server took is an event of the signature that it is for, so the ledger hears of it.
ADD_TO_LEDGER = """
    INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
    SELECT petition_id, date_trunc('hour', now(), 'UTC'), country, language, source, 'mailed', count(*)
    FROM petition_signature WHERE id = ANY(%s) GROUP BY petition_id, country, language, source
"""

_noted: Counter[tuple[str, str]] = Counter()
_accepted: list[int] = []


def note(outcomes: Iterable[Outcome]) -> None:
    """Count these in this process, until `store`."""
    for outcome in outcomes:
        if outcome.fate is not Fate.NOT_BEGUN:
            mail = outcome.parcel.mail
            provider = provider_of(identity.domain(outcome.parcel.recipient))
            _noted[provider, result(outcome)] += 1
            if outcome.fate is Fate.SENT and mail.kind == OutgoingMail.Kind.SIGN and mail.signature_id:
                _accepted.append(mail.signature_id)


def note_unsent(mails: Iterable[OutgoingMail]) -> None:
    """Count as accepted, in this process, what is dropped because its address asked for no mail or has had its share.

    Otherwise whoever signs for somebody with a link of her own would read in the funnel which addresses those are.
    """
    _accepted.extend(mail.signature_id for mail in mails if mail.kind == OutgoingMail.Kind.SIGN and mail.signature_id)


def result(outcome: Outcome) -> str:
    if outcome.codes and not outcome.codes.are_permanent:
        return "put_off"
    return outcome.fate.name.lower()


def store() -> None:
    """Add what was noted to the tallies. Costs two statements at most. What a killed worker has not stored is lost."""
    keys = list(_noted)
    values = [provider for provider, _result in keys], [name for _provider, name in keys], [_noted[key] for key in keys]
    with connection.cursor() as cursor:
        if keys:
            cursor.execute(ADD, values)
            _noted.clear()
        if _accepted:
            cursor.execute(ADD_TO_LEDGER, [_accepted])
            _accepted.clear()
