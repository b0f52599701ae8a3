"""A crowd of honest signers, as uneven as life, and those who would pass for one."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import connection
from psycopg2.extras import execute_values

from petition.models import Petition
from petition.models.random_ids import random_id
from petition.models.signature import this_hour

HOUR = timedelta(hours=1)
COLUMNS = "email_digest domain_digest network_digest country language source created_at confirmed_at".split()
# Each country has an hour at which its people are awake most, a language, and providers of its own.
COUNTRIES = {
    "DE": (30, 14, "de", ["gmx.example", "web.example"]),
    "US": (20, 21, "en", ["yahoo.example", "aol.example"]),
    "RU": (15, 12, "ru", ["mail.example", "yandex.example"]),
    "ES": (10, 15, "es", ["hotmail.example"]),
    "CN": (4, 6, "en", ["qq.example"]),
    "BR": (6, 19, "es", ["uol.example"]),
    "": (10, 15, "en", []),
    "IS": (1, 15, "en", []),
    "KE": (2, 11, "en", []),
    "NZ": (2, 1, "en", []),
}
FIRST = "Anna Maria Olga Elena Ivan Paul John Laura Ana Lucia Peter Nina Vera Max Sofia Omar Wei Li Grace David".split()
LAST = "Schmidt Garcia Ivanova Petrova Smith Silva Wang Müller Kim Lopez Novak Rossi Meyer Jones Wanjiru Costa".split()
WORDS = ["", "", "", "", "", "", "", "", "", "Love wins", "Stop it now", "I stand with you"]
SOURCES = ["amnesty", "ilga", "poster", "radio", "choir"]
Row = tuple[bytes, bytes, bytes, str, str, str, str, str, datetime, datetime | None]
ANALYZE_ROWS = 1_000  # fewer change no plan
VIRAL = 30  # hours ago, for an hour in which eight times as many sign


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


class Crowd:
    """Signatures of the last `days`, a row as COLUMNS with name and words in it, whose chances a seed decides."""

    def __init__(self, number: int, days: int = 30, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.now = this_hour()
        self.days = days
        self.rows = [self.signer() for _ in range(number)]

    def hour_of(self, peak: int) -> datetime:
        """So many hours ago: awake, or in the hour when all the world signed."""
        while True:
            ago = VIRAL if self.random.random() < 0.05 else self.random.randrange(24 * self.days)
            at = self.now - ago * HOUR
            distance = min((at.hour - peak) % 24, (peak - at.hour) % 24)
            if ago == VIRAL or self.random.random() < (1.1 - distance / 12) ** 1.5:
                return at

    def signer(self) -> Row:
        country = self.random.choices(list(COUNTRIES), [weight for weight, *_rest in COUNTRIES.values()])[0]
        _weight, peak, language, providers = COUNTRIES[country]
        at = self.hour_of(peak)
        chance = self.random.random()
        name = self.name()
        if chance < 0.02 and 7 <= (at.hour - peak + 12) % 24 <= 18:
            campus = self.random.randrange(5)
            network, own = f"campus {campus} {at.date()}", f"campus-{campus}.example"
            domain = own if self.random.random() < 0.55 else self.domain(country, providers)
            country, language = ["DE", "US", "RU", "ES", "BR"][campus], ["de", "en", "ru", "es", "es"][campus]
        else:
            # What phones share: a few gateways carry most of a country.
            phone = chance < 0.5
            network = f"phones {country} {int(self.random.paretovariate(0.7))} {at.date()}" if phone else f"{chance}"
            domain = self.domain(country, providers)
        source = self.random.choices(["", *SOURCES], [80, 10, 5, 3, 1, 1])[0]
        return self.row(at, domain, network, country, language, name, source, self.random.choice(WORDS))

    def name(self) -> str:
        chance = self.random.random()
        if chance < 0.4:
            return ""
        name = self.random.choice(FIRST)
        if chance < 0.42:
            return f"{name}{self.random.randrange(60, 100)}"
        return name if chance < 0.6 else f"{name} {self.random.choice(LAST)}{self.random.choice(LAST).lower()}"

    def domain(self, country: str, providers: list[str]) -> str:
        chance = self.random.random()
        if chance < 0.75 and country == "CN":
            return providers[0]
        if chance < 0.35 or not providers:
            return "gmail.example" if chance < 0.6 else f"firm-{int(self.random.paretovariate(0.6))}.example"
        if chance < 0.8:
            return self.random.choice(providers)
        return f"firm-{int(self.random.paretovariate(0.5))}.example" if chance < 0.95 else f"own-{chance}.example"

    def row(
        self,
        at: datetime,
        domain: str,
        network: str,
        country: str = "",
        language: str = "en",
        name: str = "",
        source: str = "",
        words: str = "",
        confirmed: bool | None = None,
    ) -> Row:
        if confirmed is None:
            confirmed = self.random.random() < 0.85
        mailbox = self.random.randbytes(32)
        digests = (mailbox, digest(domain), digest(network))
        return (*digests, name, words, country, language, source, at, at if confirmed else None)


def sign(petition: Petition, rows: Iterable[Row]) -> None:
    """Write them down. All want shown what they wrote."""
    signatures, shown = [], []
    for digest, domain, network, name, words, *rest in rows:
        number = random_id()
        signatures.append((number, petition.pk, 1, digest, domain, network, *rest))
        if name or words:
            shown.append((number, name, words, rest[1], rest[3]))
    with connection.cursor() as cursor:
        for table, columns, values in (
            ("petition_signature", ["id", "petition_id", "consent_version", *COLUMNS], signatures),
            ("petition_shownwords", ["signature_id", "name", "words", "language", "asked_at"], shown),
        ):
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES %s"
            execute_values(cursor, insert, values, page_size=10_000)
        if len(signatures) > ANALYZE_ROWS:
            cursor.execute("ANALYZE petition_signature, petition_shownwords")
