"""Large mail providers by the domains of their mailboxes; every other domain is of no name.

Those whose mailboxes nearly everybody has. Any other domain could name a person, or the place where she works.
"""

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

_provider_of = {domain: provider for provider, domains in PROVIDERS.items() for domain in domains.split()}


def provider_of(domain: str) -> str:
    return _provider_of.get(domain, OTHER)
