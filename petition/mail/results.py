"""Results of mails, counted by large provider: which of them refuses us is what an operator has to know first."""

from collections import Counter
from collections.abc import Iterable

from django.db import connection

from petition import identity
from petition.mail.smtp import Fate, Outcome

# Those whose mailboxes nearly everybody has. Any other domain could name a person, or the place where she works.
PROVIDERS = {
    "apple": "icloud.com me.com mac.com",
    "gmx": "gmx.de gmx.net gmx.at gmx.ch gmx.com web.de",
    "google": "gmail.com googlemail.com",
    "microsoft": "outlook.com outlook.de outlook.fr outlook.es hotmail.com hotmail.co.uk hotmail.fr hotmail.de"
    " hotmail.es hotmail.it live.com live.de live.fr live.nl msn.com",
    "proton": "proton.me protonmail.com pm.me protonmail.ch",
    "rambler": "rambler.ru",
    "vk": "mail.ru list.ru bk.ru inbox.ru internet.ru",
    "yahoo": "yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.es yahoo.it ymail.com aol.com",
    "yandex": "yandex.ru ya.ru yandex.com yandex.by yandex.kz",
}
OTHER = "other"
# In the order of their keys, so that two workers never wait for each other.
ADD = """
    INSERT INTO petition_mailtally AS stored (provider, result, amount)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS new (provider, result, amount) ORDER BY 1, 2
    ON CONFLICT (provider, result) DO UPDATE SET amount = stored.amount + EXCLUDED.amount
"""

_provider_of = {domain: provider for provider, domains in PROVIDERS.items() for domain in domains.split()}
_noted: Counter[tuple[str, str]] = Counter()


def note(outcomes: Iterable[Outcome]) -> None:
    """Count these in this process, until `store`."""
    for outcome in outcomes:
        if outcome.fate is not Fate.NOT_BEGUN:
            provider = _provider_of.get(identity.domain(outcome.parcel.recipient), OTHER)
            _noted[provider, result(outcome)] += 1


def result(outcome: Outcome) -> str:
    if outcome.codes and not outcome.codes.are_permanent:
        return "put_off"
    return outcome.fate.name.lower()


def store() -> None:
    """Add what was noted to the tallies. Costs one statement, or none. What a killed worker has not stored is lost."""
    if not _noted:
        return
    keys = list(_noted)
    values = [provider for provider, _result in keys], [name for _provider, name in keys], [_noted[key] for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(ADD, values)
    _noted.clear()
