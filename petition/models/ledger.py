"""The triggers that write the ledger, whatever writes to Signature.

One rule for all events: compare the old row `o` with the new row `n`, and append one ledger row per cell that changed.
Transition tables serve one event each, hence three triggers, each with the changes that its event can make.
"""

import pgtrigger

INSERT, UPDATE, DELETE = pgtrigger.Insert, pgtrigger.Update, pgtrigger.Delete
BORN, CHANGED, GONE = (INSERT, UPDATE), (UPDATE,), (DELETE,)

COUNTED = "{0}.confirmed_at IS NOT NULL AND {0}.held_at IS NULL AND {0}.invalidated_at IS NULL"
THIS_HOUR = "date_trunc('hour', now(), 'UTC')"

# measure, the row whose cell changes, the hour, the amount, by which events, when
CHANGES = [
    ("counted", "o", "o.confirmed_at", -1, (UPDATE, DELETE), COUNTED.format("o")),
    ("counted", "n", "n.confirmed_at", 1, BORN, COUNTED.format("n")),
    ("signed", "n", "n.created_at", 1, (INSERT,), "true"),
    ("confirmed", "n", "n.confirmed_at", 1, BORN, "n.confirmed_at IS NOT NULL AND o.confirmed_at IS NULL"),
    ("held", "n", "n.held_at", 1, BORN, "n.held_at IS NOT NULL AND o.held_at IS NULL"),
    ("released", "n", THIS_HOUR, 1, CHANGED, "n.held_at IS NULL AND o.held_at IS NOT NULL"),
    ("invalidated", "n", "n.invalidated_at", 1, BORN, "n.invalidated_at IS NOT NULL AND o.invalidated_at IS NULL"),
    ("restored", "n", THIS_HOUR, 1, CHANGED, "n.invalidated_at IS NULL AND o.invalidated_at IS NOT NULL"),
    ("withdrawn", "o", THIS_HOUR, 1, GONE, "o.confirmed_at IS NOT NULL"),
    ("held_gone", "o", THIS_HOUR, 1, GONE, "o.held_at IS NOT NULL"),
    ("invalid_gone", "o", THIS_HOUR, 1, GONE, "o.invalidated_at IS NOT NULL"),
    ("lapsed", "o", THIS_HOUR, 1, GONE, "o.confirmed_at IS NULL"),
]

# Where the two rows come from; a row that did not exist is NULL.
ROWS = {
    INSERT: "new_rows n LEFT JOIN new_rows o ON false",
    UPDATE: "old_rows o JOIN new_rows n ON n.id = o.id",
    DELETE: "old_rows o",
}
REFERENCING = {INSERT: {"new": "new_rows"}, UPDATE: {"old": "old_rows", "new": "new_rows"}, DELETE: {"old": "old_rows"}}


def _append(event: pgtrigger.Operation) -> str:
    values = ",\n".join(
        f"({row}.petition_id, {hour}, {row}.country, {row}.language, {row}.source, '{measure}', {amount}, {applies})"
        for measure, row, hour, amount, events, applies in CHANGES
        if event in events
    )
    return f"""
        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)
        FROM {ROWS[event]},
        LATERAL (VALUES {values}) AS c (petition_id, hour, country, language, source, measure, amount, applies)
        WHERE c.applies
        GROUP BY 1, 2, 3, 4, 5, 6
        HAVING sum(c.amount) <> 0;
        RETURN NULL;
    """  # noqa: S608


def triggers() -> list[pgtrigger.Trigger]:
    ledger = [
        pgtrigger.Trigger(
            name=f"ledger_{str(event).lower()}",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=event,
            referencing=pgtrigger.Referencing(**REFERENCING[event]),
            func=_append(event),
        )
        for event in (INSERT, UPDATE, DELETE)
    ]
    return [
        *ledger,
        # TRUNCATE has no transition table, so the ledger would not hear of it.
        pgtrigger.Trigger(
            name="refuse_truncate",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            func="RAISE EXCEPTION 'Signatures are deleted, never truncated: the count would not hear of it.';",
        ),
        pgtrigger.Trigger(
            name="refuse_another_id",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("id"),
            condition=pgtrigger.AnyChange("id"),
            # The ledger knows the old and the new row of a change by their id.
            func="RAISE EXCEPTION 'A signature keeps its id.';",
        ),
        pgtrigger.Trigger(
            name="forget_words",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=DELETE,
            referencing=pgtrigger.Referencing(old="old_rows"),
            # What its signer wrote goes with it, from what is shown and from the page of its link.
            func="""
                DELETE FROM petition_shownwords USING old_rows WHERE signature_id = old_rows.id;
                UPDATE petition_link SET name = '', words = '', country = '' FROM old_rows
                WHERE signature_id = old_rows.id AND (name <> '' OR words <> '');
                RETURN NULL;
            """,
        ),
        pgtrigger.Trigger(
            name="forget_campaign",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("invalidated_at", "invalidated_reason", "held_at", "held_reason"),
            # What a campaign has invalidated it leaves held or not held, whatever is decided about that afterwards.
            condition=pgtrigger.Condition(
                "OLD.campaign_id IS NOT NULL AND NEW.campaign_id = OLD.campaign_id"
                " AND ((NEW.invalidated_at, NEW.invalidated_reason)"
                " IS DISTINCT FROM (OLD.invalidated_at, OLD.invalidated_reason)"
                " OR OLD.invalidated_at IS NULL"
                " AND (NEW.held_at, NEW.held_reason) IS DISTINCT FROM (OLD.held_at, OLD.held_reason))"
            ),
            # Undoing a campaign changes what is as the campaign left it, not what somebody decided on since.
            func="NEW.campaign_id = NULL; RETURN NEW;",
        ),
    ]
