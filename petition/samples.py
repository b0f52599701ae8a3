"""Samples: one small row a minute that says how the site stood, for the charts of the admin.

Their minutes are PostgreSQL's, and a minute without a row is one in which no worker had time or could write.
"""

from django.db import connection

# The first of several workers takes it. The rest of the statement is not run if somebody has.
TAKE = """
    INSERT INTO petition_sample (
        taken_at, waiting, late_minutes, parked, sent, unfolded, published, database_bytes
    )
    SELECT date_trunc('minute', now()), mail.waiting / 10 * 10, mail.late, mail.parked / 10 * 10,
        (SELECT coalesce(sum(amount), 0) FROM petition_mailtally WHERE result = 'sent')::bigint / 10 * 10,
        (SELECT count(*) FROM (SELECT FROM petition_tallychange LIMIT 100000) AS unfolded) / 10 * 10,
        (SELECT coalesce(sum(counted), 0) FROM petition_publishedcount),
        pg_database_size(current_database()) / 1000000 * 1000000
    FROM (
        SELECT count(*) FILTER (WHERE parked_at IS NULL) AS waiting, count(parked_at) AS parked,
            -- Of the tenth oldest: the time of the oldest one tells when one person signed.
            coalesce(floor(greatest(extract(epoch FROM now() - (
                SELECT due_at FROM petition_outgoingmail WHERE parked_at IS NULL AND attempts = 0
                ORDER BY due_at OFFSET 9 LIMIT 1)), 0) / 60), 0)::int AS late
        FROM petition_outgoingmail
    ) AS mail
    WHERE NOT EXISTS (SELECT FROM petition_sample WHERE taken_at = date_trunc('minute', now()))
    ON CONFLICT (taken_at) DO NOTHING
"""


def take() -> bool:
    """Store this minute's sample; return whether nobody had before. Costs one statement."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE)
        return bool(cursor.rowcount == 1)
