import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from petition.counts import publication, tally
from petition.models import Petition, Source

BATCH = 50_000
DAYS = 400
COUNTRIES = (
    "DE US GB FR ES IT NL SE NO DK FI PL CZ AT CH BE IE PT GR UA RU BY KZ GE AM LT LV EE SK SI HR RS HU RO BG TR IL CA "
    "MX BR AR CL CO PE UY AU NZ JP KR IN PH TH ID MY SG ZA NG KE MA TN"
).split()
LANGUAGES = ["en", "ru", "de", "es"]
SOURCES = [f"seed-{number:02}" for number in range(1, 21)]

# Signers crowd into few countries, hours and sources. Rows come in the order of time, as in life; only the last week
# holds pending ones, since older ones lapse.
SEED = """
    WITH drawn AS (
        SELECT *, date_trunc('hour', now() - make_interval(secs => 86400 * age), 'UTC') AS hour,
            age > 7 OR random() > 0.2 AS confirmed
        FROM (
            SELECT n, random() AS luck, 1 + floor(60 * random() ^ 3)::int AS c,
                %(days)s * (1 - n::float / %(all)s) AS age
            FROM generate_series(%(first)s, %(last)s) AS n
        ) AS dated
    ), signed AS (
        INSERT INTO petition_signature (
            petition_id, email_digest, domain_digest, network_digest, country, language, source, consent_version,
            created_at, confirmed_at, held_at, invalidated_at, invalidated_reason
        )
        SELECT %(petition)s, sha256(convert_to('seed ' || n || random(), 'UTF8')),
            CASE WHEN age < 30 THEN sha256(convert_to('domain ' || floor(1000 * random() ^ 4), 'UTF8')) END,
            CASE WHEN age < 30 THEN substr(sha256(convert_to('network ' || floor(200000 * random()), 'UTF8')), 1, 3)
            END,
            (%(countries)s)[c], (%(languages)s)[1 + CASE WHEN random() < 0.9 THEN c %% 4 ELSE 0 END],
            CASE WHEN random() < 0.2 THEN (%(sources)s)[1 + floor(20 * random() ^ 2)] ELSE '' END, 1, hour,
            CASE WHEN confirmed THEN hour END,
            CASE WHEN confirmed AND luck > 0.990 AND luck < 0.995 THEN hour END,
            CASE WHEN confirmed AND luck > 0.995 THEN hour END,
            CASE WHEN confirmed AND luck > 0.995 THEN 'seeded as a fake' ELSE '' END
        FROM drawn
        RETURNING id, petition_id, country, language, source, created_at, confirmed_at
    ), mailed AS (
        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
        SELECT petition_id, created_at, country, language, source, 'mailed', count(*)
        FROM signed WHERE confirmed_at IS NOT NULL OR id %% 4 > 0 GROUP BY 1, 2, 3, 4, 5
    )
    INSERT INTO petition_shownwords (signature_id, name, language, asked_at, approved_at)
    SELECT id, 'Seed ' || id, language, confirmed_at, confirmed_at
    FROM signed WHERE confirmed_at IS NOT NULL AND id %% 5 = 0
"""


class Command(BaseCommand):
    help = f"Make signatures for benches and demos, spread over {DAYS} days, 60 countries, 4 languages and 20 sources."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int)
        parser.add_argument("--yes", action="store_true", help="do it outside LOCAL too")
        parser.add_argument("--days", type=int, default=DAYS, help="spread over so many (%(default)s)")
        parser.add_argument("--petition", default="chechnya", help="its short name")

    def handle(self, **options: Any) -> str:
        if not (settings.LOCAL or options["yes"]):
            raise CommandError("These signatures are counted like real ones. If you mean it, add --yes.")
        petition = Petition.objects.filter(slug=options["petition"]).first()
        if petition is None:
            raise CommandError("There is no such petition. Run: manage.py load_campaign")
        Source.objects.bulk_create([Source(slug=tag, title=tag) for tag in SOURCES], ignore_conflicts=True)
        number = options["number"]
        for first in range(1, number + 1, BATCH):
            last = min(first + BATCH - 1, number)
            self.seed(petition, first, last, number, options["days"])
            if sys.stderr.isatty():
                self.stderr.write(f"\r{last} of {number}", ending="")
        publication.publish_as_counted(petition.pk)
        publication.publish()
        with connection.cursor() as cursor:
            tables = "signature shownwords hourtally daytally tallychange publishedhour publishedcell".split()
            cursor.execute("ANALYZE " + ", ".join(f"petition_{table}" for table in tables))
        return f"Seeded {number} signatures; {tally.current(petition.slug).total} are shown."  # type: ignore[union-attr]

    def seed(self, petition: Petition, first: int, last: int, number: int, days: int) -> None:
        values = {"petition": petition.pk, "first": first, "last": last, "all": number, "days": days}
        lists = {"countries": COUNTRIES, "languages": LANGUAGES, "sources": SOURCES}
        with connection.cursor() as cursor:
            cursor.execute(SEED, values | lists)
        while tally.fold():
            pass
