"""The count, and every series of it, follow whatever is done in whatever order.

Hypothesis chooses what signers, moderators, the worker, the clock and hands at psql do next; a model in plain Python
says what the rows and all numbers must be then. More of it: `--hypothesis-profile=soak`.
"""

from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from unittest import mock

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bench import invariants
from petition import confirmation, identity, retention, signing, withdrawal
from petition.confirmation import Confirmation
from petition.counts import tally
from petition.links import code_digest
from petition.mail import queue, results
from petition.mail.smtp import Fate
from petition.models import Link, Measure, OutgoingMail, Petition, Signature, Source
from petition.models.link import token_digest
from tests.conftest import make_petition
from tests.support import links

EXAMPLES, STEPS = (400, 60) if settings.get_current_profile_name() == "soak" else (50, 30)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ADDRESSES = [f"signer{number}@example.org" for number in range(4)]
DIGEST_OF = {address: identity.email_digest(address) for address in ADDRESSES}
DIGESTS = list(DIGEST_OF.values())

a_number = st.integers(0, 20)
"""Stands for one of what there is by then, whatever that is."""
some_numbers = st.lists(st.integers(0, 8), min_size=1, max_size=5, unique=True)
a_petition = st.integers(0, 1)
an_address = st.sampled_from(ADDRESSES)
cells = st.tuples(st.sampled_from(["", "ES"]), st.sampled_from(["en", "ru"]), st.sampled_from(["", "partner"]))


@dataclass(frozen=True)
class Row:
    """What the count knows of a signature."""

    pk: int
    petition_id: int
    digest: bytes | None
    country: str
    language: str
    source: str
    created_at: datetime
    confirmed_at: datetime | None = None
    held_at: datetime | None = None
    invalidated_at: datetime | None = None

    @property
    def is_counted(self):
        return bool(self.confirmed_at and not self.held_at and not self.invalidated_at)


COLUMNS = "id, petition_id, email_digest, country, language, source, created_at, confirmed_at, held_at, invalidated_at"


def stored():
    """The signatures as they are in the database."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM petition_signature")
        found = [
            Row(pk, petition, digest and bytes(digest), *rest) for pk, petition, digest, *rest in cursor.fetchall()
        ]
    return {row.pk: row for row in found}


def sql(statement, **values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


# What raw SQL may do to some rows, and what becomes of each.
UPDATES = {
    "released_at = created_at": lambda row: row,
    "petition_id = (SELECT sum(id) FROM petition_petition) - petition_id": lambda row: replace(
        row, petition_id=sum(Petition.objects.values_list("pk", flat=True)) - row.petition_id
    ),
    "confirmed_at = coalesce(confirmed_at, created_at)": lambda row: replace(
        row, confirmed_at=row.confirmed_at or row.created_at
    ),
    "confirmed_at = confirmed_at - interval '30 hours'": lambda row: replace(
        row, confirmed_at=row.confirmed_at and row.confirmed_at - 30 * HOUR
    ),
    "confirmed_at = NULL, held_at = NULL, invalidated_at = NULL": lambda row: replace(
        row, confirmed_at=None, held_at=None, invalidated_at=None
    ),
    "held_at = confirmed_at": lambda row: replace(row, held_at=row.confirmed_at),
    "held_at = invalidated_at, invalidated_at = held_at": lambda row: replace(
        row, held_at=row.invalidated_at, invalidated_at=row.held_at
    ),
    "invalidated_at = confirmed_at, held_at = NULL": lambda row: replace(
        row, invalidated_at=row.confirmed_at, held_at=None
    ),
    "held_at = NULL, invalidated_at = NULL": lambda row: replace(row, held_at=None, invalidated_at=None),
}


class Counting(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = timezone.now()
        self.clock = mock.patch("django.utils.timezone.now", side_effect=lambda: self.now)
        # What has expired, the database's clock says as well.
        self.database_clock = mock.patch("petition.clock.now", side_effect=lambda: self.now)
        self.database_clock.start()
        self.clock.start()
        # Each example is rolled back. Within it now() of PostgreSQL stands still.
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.petitions = [make_petition(), make_petition(slug="other", collected_before=7)]
        Source.objects.create(slug="partner", title="A partner")
        ((self.database_hour,),) = sql("SELECT date_trunc('hour', now(), 'UTC')")
        self.rows = {}
        self.series = invariants.Series()
        self.addresses = {}
        self.mailed = {}
        self.opened = []

    def teardown(self):
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)
        self.clock.stop()
        self.database_clock.stop()

    # The model.

    @property
    def hour(self):
        return self.now.replace(minute=0, second=0, microsecond=0)

    def becomes(self, pk, after):
        """This row is written, changed, or gone (None): say what every series must be then."""
        # In the order in which they came, since their numbers are random: else no example could be played again.
        before = self.rows.get(pk)
        if after:
            self.rows[pk] = after
        else:
            del self.rows[pk]

        def add(measure, row, hour, amount=1):
            self.series.add((row.petition_id, hour, row.country, row.language, row.source, measure), amount)

        if before and before.is_counted:
            add("counted", before, before.confirmed_at, -1)
        if after and after.is_counted:
            add("counted", after, after.confirmed_at)
        if not before:
            add("signed", after, after.created_at)
        if not after:
            add("withdrawn" if before.confirmed_at else "lapsed", before, self.database_hour)
            for measure, time in (("held_gone", before.held_at), ("invalid_gone", before.invalidated_at)):
                if time:
                    add(measure, before, self.database_hour)
            return
        for measure, undone, time in [
            ("confirmed", None, "confirmed_at"),
            ("held", "released", "held_at"),
            ("invalidated", "restored", "invalidated_at"),
        ]:
            was, is_ = before and getattr(before, time), getattr(after, time)
            if is_ and not was:
                add(measure, after, is_)
            if was and not is_ and undone:
                add(undone, after, self.database_hour)

    def goes(self, rows):
        for row in list(rows):
            self.becomes(row.pk, None)

    def appeared(self):
        """The rows that somebody has just written, which are in the model from now on."""
        new = [row for pk, row in stored().items() if pk not in self.rows]
        new.sort(key=lambda row: (row.digest or b"", str(row.confirmed_at)))
        for row in new:
            self.becomes(row.pk, row)
        return new

    def of(self, petition_id, digest):
        return [row for row in self.rows.values() if (row.petition_id, row.digest) == (petition_id, digest)]

    def one(self, number):
        return list(self.rows.values())[number % len(self.rows)]

    def some(self, numbers):
        ids = list(self.rows)
        return {row.pk: row for row in (self.rows[ids[number % len(ids)]] for number in numbers)}

    def has_rows(self):
        return bool(self.rows)

    @initialize(cell=cells)
    def many_have_signed(self, cell):
        for address in ADDRESSES:
            self.sign(address, 0, cell, times=1)
        self.send_mail()
        self.sign(ADDRESSES[0], 1, cell, times=2)
        self.create_in_bulk(0, [True, False])
        self.insert(1, DIGESTS[1:3], cell, "invalidated")
        self.insert(1, DIGESTS[3:], cell, "held")

    # Signers.

    @rule(address=an_address, petition=a_petition, cell=cells, times=st.integers(1, 3))
    def sign(self, address, petition, cell, times):
        country, language, source = cell
        answers = signing.Answers(
            email=address, name="Anna", words="With you", shows_name=True, country=country, source=source
        )
        petition = self.petitions[petition]
        for _ in range(times):
            assert signing.sign(petition.slug, answers, language=language, network="192.0.2.1")
            (row,) = self.appeared()
            assert astuple(row)[1:] == (petition.pk, None, *cell, self.hour, None, None, None)
            signature = Signature.objects.get(pk=row.pk)
            self.addresses[row.pk] = address
            self.mailed[row.pk] = row, links.token(signature), links.code(signature)

    def leads_to(self, signed, **link):
        """The row behind the link to what was signed then, whose page has the button; None if there is none."""
        found = Link.objects.filter(**link).first()
        return self.rows.get(found.signature_id) if found and self.now < signed.created_at + 7 * DAY + HOUR else None

    def would_confirm(self, row):
        """Whether a press confirms it: the worker has read its address, and no other row of that is confirmed."""
        known = self.of(row.petition_id, row.digest) if row and row.digest else []
        return bool(known) and all(one.confirmed_at is None for one in known)

    def a_mail(self, number):
        """One whose link confirms, two times out of three."""
        good = [
            pk
            for pk, (signed, token, _code) in self.mailed.items()
            if self.would_confirm(self.leads_to(signed, token_digest=token_digest(token)))
        ]
        choice = good if good and number % 3 else list(self.mailed)
        return self.mailed[choice[number % len(choice)]]

    def press(self, found, without_words=False):
        led_to = Link.objects.filter(pk=found.link.pk).values_list("signature_id", flat=True).first()
        row = self.rows.get(led_to or found.signature.pk)
        confirms = self.would_confirm(row)

        assert confirmation.confirm(found.signature, link=found.link, without_words=without_words) == confirms
        if confirms:
            # The database says whether it is held: that depends on network and address, which are tested elsewhere.
            ((held_at,),) = sql("SELECT held_at FROM petition_signature WHERE id = %(pk)s", pk=row.pk)
            assert held_at in (None, self.hour)
            self.becomes(row.pk, replace(row, confirmed_at=self.hour, held_at=held_at))
        elif row and row.digest:
            (known,) = (one for one in self.of(row.petition_id, row.digest) if one.confirmed_at)
            self.becomes(known.pk, replace(known, country=row.country))
            assert set(Link.objects.filter(pk=found.link.pk).values_list("signature_id", flat=True)) <= {known.pk}

    @precondition(lambda self: self.mailed)
    @rule(number=a_number, without_words=st.booleans())
    def press_the_button_behind_the_link(self, number, without_words):
        signed, token, _code = self.a_mail(number)
        leads_somewhere = self.leads_to(signed, token_digest=token_digest(token)) is not None
        found = confirmation.find(token)
        assert isinstance(found, Confirmation) == leads_somewhere
        if isinstance(found, Confirmation):
            self.press(found, without_words)

    @precondition(lambda self: self.mailed)
    @rule(number=a_number)
    def type_the_code(self, number):
        signed, _token, code = self.a_mail(number)
        petition = next(one for one in self.petitions if one.pk == signed.petition_id)
        leads_somewhere = self.leads_to(signed, code_digest=code_digest(code.replace("-", ""))) is not None
        found = confirmation.find_by_code(petition, code)
        assert isinstance(found, Confirmation) == leads_somewhere
        if isinstance(found, Confirmation):
            self.press(found)

    @precondition(lambda self: self.mailed)
    @rule(number=a_number)
    def open_the_page_and_leave_it(self, number):
        found = confirmation.find(self.a_mail(number)[1])
        if isinstance(found, Confirmation):
            self.opened.append(found)

    @precondition(lambda self: self.opened)
    @rule(number=a_number, without_words=st.booleans())
    def press_on_an_old_page(self, number, without_words):
        """Whatever has happened since it was opened."""
        self.press(self.opened[number % len(self.opened)], without_words)

    @precondition(lambda self: self.mailed)
    @rule(number=a_number)
    def disown(self, number):
        """Whatever became of it. Once it was pressed, with all rows of its address."""
        found = confirmation.find(self.a_mail(number)[1])
        if isinstance(found, Confirmation):
            row = self.rows[found.signature.pk]
            confirmation.disown(found)
            self.goes(self.of(row.petition_id, row.digest) if row.confirmed_at and row.digest else [row])

    @rule(address=an_address, petition=a_petition)
    def ask_to_withdraw(self, address, petition):
        withdrawal.request(self.petitions[petition], address, language="en")

    @rule(address=an_address, petition=a_petition)
    def withdraw(self, address, petition):
        self.withdraw_with(links.withdraw_token(self.petitions[petition], address))

    @precondition(lambda self: self.mailed)
    @rule(number=a_number)
    def withdraw_from_the_foot_of_the_mail(self, number):
        signed, token, _code = self.a_mail(number)
        if self.now < signed.created_at + 7 * DAY + HOUR:
            self.withdraw_with(token)

    def withdraw_with(self, token):
        link = withdrawal.find(token).link
        digest = link and link.address_digest
        rows = self.of(link.petition_id, digest) if digest else []
        assert withdrawal.withdraw(link) == len(rows)
        self.goes(rows)

    # The worker and the clock.

    @rule()
    def send_mail(self):
        """The worker reads whose mails they are, and sends most. No row comes or goes by that, whatever it sends."""
        waiting = OutgoingMail.objects.waiting().filter(kind=OutgoingMail.Kind.SIGN)
        read = [self.rows[pk] for pk in waiting.values_list("signature_id", flat=True) if pk in self.rows]
        noting = mock.patch("petition.mail.results.note", wraps=results.note)
        leaving_out = mock.patch("petition.mail.results.note_unsent", wraps=results.note_unsent)
        with noting as noted, leaving_out as left_out:
            while queue.deliver_due():
                pass
        outcomes = [outcome for call in noted.call_args_list for outcome in call.args[0]]
        sent = {outcome.parcel.mail.signature_id for outcome in outcomes if outcome.fate is Fate.SENT}
        # Whose address wants no mail, or has had its share, counts as if it was sent.
        sent |= {mail.signature_id for call in left_out.call_args_list for mail in call.args[0]}
        for row in read:
            if row.pk in sent:
                cell = (row.petition_id, self.database_hour, row.country, row.language, row.source)
                self.series.add((*cell, Measure.MAILED), 1)
            self.becomes(row.pk, replace(row, digest=row.digest or DIGEST_OF[self.addresses[row.pk]]))

    @rule(hours=st.sampled_from([1, 30, 180, 31 * 24]), purges=st.booleans())
    def time_passes(self, hours, purges):
        self.now += hours * HOUR
        if purges:
            rows = self.rows.values()
            lapsed = [row for row in rows if not row.confirmed_at and row.created_at < self.now - 8 * DAY]
            assert retention.purge()["lapsed signatures"] == len(lapsed)
            self.goes(lapsed)

    @rule(rows=st.sampled_from([1, 3, 20_000]))
    def fold(self, rows):
        with mock.patch("petition.counts.tally.FOLD_ROWS", rows):
            tally.fold()

    # Staff.

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def hold(self, numbers):
        held = [row for row in self.some(numbers).values() if row.is_counted]
        assert Signature.objects.filter(pk__in=self.some(numbers)).hold("a test") == len(held)
        for row in held:
            self.becomes(row.pk, replace(row, held_at=self.hour))

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def release(self, numbers):
        released = [row for row in self.some(numbers).values() if row.held_at]
        assert Signature.objects.filter(pk__in=self.some(numbers)).release() == len(released)
        for row in released:
            self.becomes(row.pk, replace(row, held_at=None))

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def invalidate(self, numbers):
        invalidated = [row for row in self.some(numbers).values() if row.confirmed_at and not row.invalidated_at]
        assert Signature.objects.filter(pk__in=self.some(numbers)).invalidate("a test") == len(invalidated)
        for row in invalidated:
            self.becomes(row.pk, replace(row, invalidated_at=self.hour))

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def restore(self, numbers):
        restored = [row for row in self.some(numbers).values() if row.invalidated_at]
        assert Signature.objects.filter(pk__in=self.some(numbers)).restore() == len(restored)
        for row in restored:
            self.becomes(row.pk, replace(row, invalidated_at=None))

    @rule(petition=a_petition, collected_before=st.integers(0, 200_000))
    def correct_what_was_collected_before(self, petition, collected_before):
        self.petitions[petition].collected_before = collected_before
        self.petitions[petition].save()

    # Hands at psql.

    @precondition(has_rows)
    @rule(numbers=some_numbers, change=st.sampled_from(sorted(UPDATES)), cell=st.none() | cells)
    def update(self, numbers, change, cell):
        after = {pk: UPDATES[change](row) for pk, row in self.some(numbers).items()}
        moved = {}
        if cell:
            change += ", country = %(country)s, language = %(language)s, source = %(source)s"
            moved = dict(zip(("country", "language", "source"), cell, strict=True))
            after = {pk: replace(row, **moved) for pk, row in after.items()}
        confirmed = [
            (row.petition_id, row.digest) for row in (self.rows | after).values() if row.confirmed_at is not None
        ]
        try:
            with transaction.atomic():
                sql(f"UPDATE petition_signature SET {change} WHERE id = ANY (%(ids)s)", ids=list(after), **moved)
        except IntegrityError:
            # One address would have been confirmed twice, perhaps only until the next row was written.
            return
        assert len(confirmed) == len(set(confirmed))
        for pk, row in after.items():
            self.becomes(pk, row)

    @rule(
        petition=a_petition,
        digests=st.lists(st.sampled_from(DIGESTS), min_size=1, max_size=4),
        cell=cells,
        state=st.sampled_from(["pending", "counted", "held", "invalidated", "held and invalidated"]),
    )
    def insert(self, petition, digests, cell, state):
        """Several at once; who is confirmed already moves to another cell instead."""
        sql(
            """
            INSERT INTO petition_signature (
                petition_id, email_digest, country, language, source, consent_version, created_at,
                confirmed_at, held_at, invalidated_at
            )
            SELECT %(petition)s, digest, %(country)s, %(language)s, %(source)s, 1, %(hour)s - interval '2 days',
                CASE WHEN %(state)s <> 'pending' THEN %(hour)s::timestamptz END,
                CASE WHEN %(state)s LIKE '%%held%%' THEN %(hour)s::timestamptz END,
                CASE WHEN %(state)s LIKE '%%invalidated%%' THEN %(hour)s::timestamptz END
            FROM unnest(%(digests)s) AS digest
            ON CONFLICT (petition_id, email_digest) WHERE confirmed_at IS NOT NULL
            DO UPDATE SET country = 'IT', source = EXCLUDED.source
            """,
            petition=self.petitions[petition].pk,
            digests=list(set(digests)) if state != "pending" else digests,
            **dict(zip(("country", "language", "source"), cell, strict=True)),
            hour=self.hour,
            state=state,
        )
        if state != "pending":
            for digest in set(digests):
                for row in self.of(self.petitions[petition].pk, digest):
                    if row.confirmed_at:
                        self.becomes(row.pk, replace(row, country="IT", source=cell[2]))
        self.appeared()

    @rule(petition=a_petition, states=st.lists(st.booleans(), min_size=1, max_size=4))
    def create_in_bulk(self, petition, states):
        used = {row.digest for row in self.rows.values()}
        free = [bytes([number]) * 32 for number in range(256) if bytes([number]) * 32 not in used]
        Signature.objects.bulk_create(
            Signature(
                petition=self.petitions[petition],
                email_digest=digest,
                language="en",
                consent_version=1,
                confirmed_at=self.hour if confirmed else None,
            )
            for digest, confirmed in zip(free, states, strict=False)
        )
        assert [bool(row.confirmed_at) for row in self.appeared()] == states

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def delete(self, numbers):
        rows = self.some(numbers)
        sql("DELETE FROM petition_signature WHERE id = ANY (%(ids)s)", ids=list(rows))
        self.goes(rows.values())

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def merge(self, numbers):
        """One statement that changes some and deletes others."""
        rows = self.some(numbers)
        sql(
            """
            MERGE INTO petition_signature s USING (SELECT unnest(%(ids)s) AS id) AS o ON s.id = o.id
            WHEN MATCHED AND s.held_at IS NOT NULL THEN DELETE
            WHEN MATCHED AND s.confirmed_at IS NOT NULL THEN UPDATE SET held_at = confirmed_at, country = ''
            WHEN MATCHED THEN UPDATE SET language = 'ru'
            """,
            ids=list(rows),
        )
        self.goes(row for row in rows.values() if row.held_at)
        for row in rows.values():
            if row.confirmed_at and not row.held_at:
                self.becomes(row.pk, replace(row, held_at=row.confirmed_at, country=""))
            if not row.confirmed_at:
                self.becomes(row.pk, replace(row, language="ru"))

    @precondition(has_rows)
    @rule(numbers=some_numbers)
    def change_your_mind(self, numbers):
        """What is rolled back has not happened."""
        with transaction.atomic():
            Signature.objects.filter(pk__in=self.some(numbers)).invalidate("a test")
            tally.fold()
            Signature.objects.filter(pk__in=self.some(numbers)).delete()
            transaction.set_rollback(True)

    # After each step.

    @invariant()
    def the_rows_are_those_of_the_model(self):
        assert stored() == self.rows

    @invariant()
    def every_number_is_exact(self):
        assert invariants.mistakes(self.series) == []

    @invariant()
    def recounting_finds_only_what_no_event_tells(self):
        """How many wait, are held and invalidated is the sum of events, and a hand at psql can do without these."""
        found = tally.recount()
        corrections = []
        for petition in self.petitions:
            told = {measure: self.series.total(measure, petition.pk) for measure in Measure.values}
            rows = [row for row in self.rows.values() if row.petition_id == petition.pk]
            unheard = told["signed"] - told["withdrawn"] - told["lapsed"] - len(rows)
            waiting = told["signed"] - told["confirmed"] - told["lapsed"] - sum(not row.confirmed_at for row in rows)
            held = told["held"] - told["released"] - told["held_gone"] - sum(bool(row.held_at) for row in rows)
            invalid = told["invalidated"] - told["restored"] - told["invalid_gone"]
            invalid -= sum(bool(row.invalidated_at) for row in rows)
            measures = {"lapsed": unheard, "confirmed": waiting - unheard, "held_gone": held, "invalid_gone": invalid}
            corrections += [(petition.pk, measure, amount) for measure, amount in measures.items() if amount]
        for petition_id, measure, amount in corrections:
            self.series.add((petition_id, self.database_hour, "", "", "", measure), amount)
        assert (found.difference, found.hours, found.days, found.standing) == (0, 0, 0, len(corrections))


@pytest.mark.django_db
def test_every_number_follows_whatever_is_done(settings):
    # Soon a network is busy, and its signatures are held.
    settings.HOLD_PER_NETWORK = "2/h"
    stateful.run_state_machine_as_test(Counting, settings=exhaustive)


exhaustive = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
