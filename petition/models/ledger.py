"""The triggers that write the ledger, whatever writes to Signature.

One rule for all events: compare the old row `o` with the new row `n`, either of which may be missing, and append one
row per cell that changed. Transition tables serve one event each, hence three triggers.
"""

import pgtrigger

COUNTED = "{0}.confirmed_at IS NOT NULL AND {0}.held_at IS NULL AND {0}.invalidated_at IS NULL"
THIS_HOUR = "date_trunc('hour', now(), 'UTC')"

# measure, the row whose cell changes, the hour, the amount, when it applies
CHANGES = [
    ("counted", "o", "o.confirmed_at", -1, COUNTED.format("o")),
    ("counted", "n", "n.confirmed_at", 1, COUNTED.format("n")),
    ("signed", "n", "n.created_at", 1, "o.id IS NULL"),
    ("confirmed", "n", "n.confirmed_at", 1, "n.confirmed_at IS NOT NULL AND o.confirmed_at IS NULL"),
    ("held", "n", "n.held_at", 1, "n.held_at IS NOT NULL AND o.held_at IS NULL"),
    ("released", "n", THIS_HOUR, 1, "n.id IS NOT NULL AND n.held_at IS NULL AND o.held_at IS NOT NULL"),
    ("invalidated", "n", "n.invalidated_at", 1, "n.invalidated_at IS NOT NULL AND o.invalidated_at IS NULL"),
    ("restored", "n", THIS_HOUR, 1, "n.id IS NOT NULL AND n.invalidated_at IS NULL AND o.invalidated_at IS NOT NULL"),
    ("withdrawn", "o", THIS_HOUR, 1, "n.id IS NULL AND o.confirmed_at IS NOT NULL"),
    ("lapsed", "o", THIS_HOUR, 1, "n.id IS NULL AND o.confirmed_at IS NULL"),
]


def _append(rows: str) -> str:
    values = ",\n".join(
        f"({row}.petition_id, {hour}, {row}.country, {row}.language, {row}.source, '{measure}', {amount}, {applies})"
        for measure, row, hour, amount, applies in CHANGES
    )
    return f"""
        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)
        FROM {rows},
        LATERAL (VALUES {values}) AS c (petition_id, hour, country, language, source, measure, amount, applies)
        WHERE c.applies
        GROUP BY 1, 2, 3, 4, 5, 6
        HAVING sum(c.amount) <> 0;
        RETURN NULL;
    """  # noqa: S608


def triggers() -> list[pgtrigger.Trigger]:
    def after(operation: pgtrigger.Operation, name: str, rows: str, **referencing: str) -> pgtrigger.Trigger:
        return pgtrigger.Trigger(
            name=name,
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**referencing),
            func=_append(rows),
        )

    return [
        after(
            pgtrigger.Insert,
            "ledger_insert",
            "new_rows n LEFT JOIN petition_signature o ON false",
            new="new_rows",
        ),
        after(
            pgtrigger.Update,
            "ledger_update",
            # Both sides are kept, so that even a changed id leaves the count right.
            "old_rows o FULL JOIN new_rows n ON n.id = o.id",
            old="old_rows",
            new="new_rows",
        ),
        after(
            pgtrigger.Delete,
            "ledger_delete",
            "old_rows o LEFT JOIN petition_signature n ON false",
            old="old_rows",
        ),
        # TRUNCATE has no transition table, so the ledger would not hear of it.
        pgtrigger.Trigger(
            name="refuse_truncate",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            func="RAISE EXCEPTION 'Signatures are deleted, never truncated: the count would not hear of it.';",
        ),
        pgtrigger.Trigger(
            name="clear_approval",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("name", "words", "shows_name"),
            condition=pgtrigger.AnyChange("name", "words", "shows_name"),
            # What a moderator approved is what she read; other words need another look.
            func="NEW.approved_at = NULL; NEW.reviewed_at = NULL; RETURN NEW;",
        ),
    ]
