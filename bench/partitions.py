"""Hash partitions and what they cost signers: the plain table of signatures beside one in partitions by digest.

Both hold the same rows, made by SQL, with the triggers, checks and indexes of the product as far as partitions allow
them. Then the product's own statements sign, recognise and confirm, in turns, on one connection to each. What counts is
the ratio of processor time of the two backends, which no neighbour changes.

    LOCAL=1 .venv/bin/python -m bench.partitions 10000000
"""

# ruff: noqa: T201, talking is what this program is for
import argparse
import json
import os
import secrets
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2

from bench import environment

DATABASE = "partitions"
PARTITIONS = 16
TURNS, EACH = 10, 1_000
BATCH = 100  # that many mails a worker recognises in one statement
SEED_BATCH = 1_000_000
# Written by the statements beside the signature.
BESIDE = ("petition_link", "petition_outgoingmail", "petition_tallychange", "petition_shownwords")

SEED = """
    INSERT INTO plain.petition_signature (id, petition_id, email_digest, country, language, source, consent_version,
        created_at, confirmed_at, held_reason, invalidated_reason)
    SELECT ('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint & 9223372036854775807, 1, digest, 'DE', 'en',
        '', 1, hour, hour, '', ''
    FROM (
        SELECT sha256(int8send(n)) AS digest, date_trunc('hour', now() - (n %% 9600) * interval '1 hour', 'UTC') AS hour
        FROM generate_series(%s, %s) AS n
    ) AS made
"""


@dataclass
class Form:
    """One form of the table, on a connection of its own; `cpu` and `wall` are milliseconds for each row, by turn."""

    name: str
    connection: Any
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def execute(self, statement: str, values: Any = None) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(statement, values)
        return cursor

    def measure(self, work: str, rows: int, do: Callable[[], None]) -> None:
        ticks = Path(f"/proc/{self.connection.get_backend_pid()}/stat")
        before, begun = cpu_seconds(ticks), time.monotonic()
        do()
        self.wall.setdefault(work, []).append(1000 * (time.monotonic() - begun) / rows)
        self.cpu.setdefault(work, []).append(1000 * (cpu_seconds(ticks) - before) / rows)


def cpu_seconds(stat: Path) -> float:
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def make(rows: int) -> None:
    """Both forms, with rows of the same content, in schemas of their own beside the migrated tables."""
    own = environment.sql
    own("petition", f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}")
    environment.run("-m", "config.local", "prepare", database=DATABASE)
    environment.use(DATABASE)
    for schema in ("plain", "parts"):
        begun = time.monotonic()
        how = "PARTITION BY HASH (email_digest)" if schema == "parts" else ""
        own(
            DATABASE,
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {schema}.petition_signature"
            f" (LIKE public.petition_signature INCLUDING DEFAULTS INCLUDING CONSTRAINTS) {how}",
            *(f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)" for table in BESIDE),
        )
        if schema == "parts":
            own(
                DATABASE,
                *(
                    f"CREATE TABLE parts.signature_{number} PARTITION OF parts.petition_signature"
                    f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
                    for number in range(PARTITIONS)
                ),
                "INSERT INTO parts.petition_signature SELECT * FROM plain.petition_signature",
            )
        else:
            with closing(psycopg2.connect(environment.url(DATABASE))) as filling, filling.cursor() as cursor:
                for first in range(1, rows + 1, SEED_BATCH):
                    cursor.execute(SEED, [first, min(first + SEED_BATCH - 1, rows)])
                    filling.commit()
        own(DATABASE, *keys(schema), *indexes(schema), *triggers(schema), f"ANALYZE {schema}.petition_signature")
        print(f"{schema}: {rows:,} rows in {time.monotonic() - begun:.0f} s", flush=True)
    own(DATABASE, "CHECKPOINT")


def keys(schema: str) -> list[str]:
    """What keeps ids unique and rows together. A partitioned table can have neither: its keys must hold the digest."""
    if schema == "parts":
        return ["CREATE INDEX ON parts.petition_signature (id)"]
    links = (f"plain.{table}" for table in ("petition_link", "petition_outgoingmail", "petition_shownwords"))
    return [
        "ALTER TABLE plain.petition_signature ADD PRIMARY KEY (id)",
        *(
            f"ALTER TABLE {table} ADD FOREIGN KEY (signature_id) REFERENCES plain.petition_signature"
            " DEFERRABLE INITIALLY DEFERRED"
            for table in links
        ),
    ]


def indexes(schema: str) -> list[str]:
    rows = environment.sql(
        DATABASE,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'petition_signature'"
        " AND indexname NOT LIKE '%_pkey'",
    )
    return [row[0].replace("ON public.", f"ON {schema}.") for row in rows]


def triggers(schema: str) -> list[str]:
    rows = environment.sql(
        DATABASE,
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE tgrelid = 'public.petition_signature'::regclass AND NOT tgisinternal",
    )
    # Their functions name tables without a schema, so they write to those of this one.
    return [row[0].replace("ON public.", f"ON {schema}.") for row in rows]


def measure() -> list[Form]:
    forms = []
    for schema in ("plain", "parts"):
        connection = psycopg2.connect(environment.url(DATABASE))
        connection.autocommit = True
        forms.append(Form(schema, connection))
        forms[-1].execute(f"SET search_path = {schema}, public")
        # Nothing but the statements: to wait for the disk is the same for both, and differs from turn to turn.
        forms[-1].execute("SET synchronous_commit = off")
    for turn in range(TURNS + 1):
        for form in forms if turn % 2 else reversed(forms):
            one_turn(form)
            if turn == 0:  # to warm up
                form.cpu.clear()
                form.wall.clear()
    return forms


def one_turn(form: Form) -> None:
    from petition.mail.recipients import RECOGNISE
    from petition.models.signature import CONFIRM
    from petition.signing import SIGN

    for prepared in (SIGN, CONFIRM):
        if not form.execute("SELECT 1 FROM pg_prepared_statements WHERE name = %s", [prepared.name]).fetchone():
            form.execute(prepared.preparing)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    tokens = [secrets.token_hex(32) for _number in range(EACH)]

    def sign() -> None:
        for token in tokens:
            form.execute(
                SIGN.executing,
                {
                    **dict.fromkeys(("name", "words", "shown_country", "source", "held_reason"), ""),
                    **{"slug": "chechnya", "country": "DE", "language": "en", "consent_version": 1, "hour": hour},
                    **{"network_digest": secrets.token_bytes(3), "token_digest": token, "delay": "1 minute"},
                    **{"code_digest": token, "recipient": secrets.token_bytes(400), "key": key},
                },
            )

    def recognise() -> None:
        for first in range(0, EACH, BATCH):
            some = ids[first : first + BATCH]
            digests = [secrets.token_bytes(32) for _id in some]
            values = {"ids": some, "emails": digests, "domains": digests, "reasons": [""] * len(some)}
            form.execute(RECOGNISE, values)

    def confirm() -> None:
        for signature, token in zip(ids, tokens, strict=True):
            values = {"id": signature, "link": token, "without_words": False, "hour": hour}
            form.execute(CONFIRM.executing, {**values, "held_reason": "", "returned": "returned"})

    ((key,),) = form.execute("SELECT id FROM public.petition_outboxkey LIMIT 1").fetchall()
    form.measure("sign", EACH, sign)
    found = dict(
        form.execute(
            "SELECT token_digest, signature_id FROM petition_link WHERE token_digest = ANY(%s)", [tokens]
        ).fetchall()
    )
    ids = [found[token] for token in tokens]
    form.measure("recognise", EACH, recognise)
    form.measure("confirm", EACH, confirm)
    ((confirmed,),) = form.execute(
        "SELECT count(*) FROM petition_signature WHERE id = ANY(%s) AND confirmed_at IS NOT NULL", [ids]
    ).fetchall()
    if confirmed != EACH:
        raise SystemExit(f"{confirmed} of {EACH} are confirmed in {form.name}.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.partitions", description="Measure; write var/partitions.json.")
    parser.add_argument("rows", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--measure", action="store_true", help="what was made before, once more")
    chosen = parser.parse_args()
    with environment.running():
        environment.use(DATABASE)
        if not chosen.measure:
            make(chosen.rows)
        environment.publish_a_key()
        plain, parts = measure()
        print(f"\n{chosen.rows:,} rows\n\n| work | plain | in {PARTITIONS} parts | ratio, by turn | wall |")
        print("| --- | ---: | ---: | ---: | ---: |")
        result: dict[str, Any] = {"machine": environment.machine(), "rows": chosen.rows, "partitions": PARTITIONS}
        for work in plain.cpu:
            a, b = sum(plain.cpu[work]) / TURNS, sum(parts.cpu[work]) / TURNS
            turns = [two / one for one, two in zip(plain.cpu[work], parts.cpu[work], strict=True) if one]
            wall = statistics.median(parts.wall[work]) / statistics.median(plain.wall[work])
            spread = f"{b / a:.2f} ({min(turns):.2f} to {max(turns):.2f})"
            print(f"| {work} | {a:.3f} ms | {b:.3f} ms | {spread} | {wall:.2f} |")
            result[work] = {"plain_ms": a, "parts_ms": b, "ratio": b / a, "wall": wall}
        (environment.VAR.parent / "partitions.json").write_text(json.dumps(result, indent=1))
        for form in (plain, parts):
            form.connection.close()


if __name__ == "__main__":
    main()
