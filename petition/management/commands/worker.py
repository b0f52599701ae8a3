import logging
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser, SystemCheckError
from django.db import InterfaceError, OperationalError, connection

from petition import clock, forgetting, lookup, notifications, retention, samples, withdrawn_list
from petition.backup.drills import MonthlyDrill
from petition.checks.configuration import of_the_worker
from petition.counts import funnel, prepared, publication, tally
from petition.mail import queue
from petition.mail.keys import Keyring
from petition.mail.refusals import ServerAwayError
from petition.mail.smtp import Post
from petition.models import Heartbeat
from petition.moderation import invalidation
from petition.postgres.counters import CountersAwayError
from petition.staff import names_read

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.3
FOLD_SECONDS = 1
PURGE_SECONDS = 3_600
FORGET_SECONDS = 10  # it is asked so often whether an hour has ended
KEYS_SECONDS = 30
CLOCK_SECONDS = 10
BEAT_SECONDS = 5
SAMPLE_SECONDS = 15  # a minute must not be missed because its turn came a little late
CAMPAIGN_SECONDS = 0.5
NOTICE_SECONDS = 20  # it is asked so often whether a minute has passed
EXPORT_SECONDS = 2  # so long somebody waits at most until her file is begun
DRILL_SECONDS = 60  # it is asked so often whether a month has passed
# From one try to the next, so that all is back some seconds after the server is, however long a try takes.
AWAY_SECONDS = (1, 2, 5, 10)


@dataclass
class Duty:
    """What a worker does beside the mail, every so many seconds.

    What deletes or rewrites many rows may take long, and is only done while the clock is right.
    """

    seconds: float
    do: Callable[[], object]
    goes_by_the_clock: bool = False
    due_at: float = 0.0


class Command(BaseCommand):
    help = (
        "Send the mail that is due, fold the ledger, publish the count, apply campaigns, purge and forget what has had"
        " its time. Any number may run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, then stop")

    def handle(self, **options: Any) -> str | None:
        self.check(databases=["default"])
        try:
            self.check_keys()
            if options["once"]:
                return self.drain()
            self.run()
        except SystemCheckError:
            raise
        except Exception:
            # A bare traceback would quote values, perhaps an address; the log names types and places only.
            logger.exception("The worker stops")
            raise SystemExit(1) from None
        return None

    def check_keys(self) -> None:
        if errors := list(of_the_worker()):
            raise SystemCheckError("\n".join(str(error) for error in errors))

    def drain(self) -> str:
        sent = folded = 0
        Keyring().rotate()
        try:
            with closing(Post()) as post:
                while dealt_with := queue.deliver_due(post):
                    sent += dealt_with
        except ServerAwayError as error:
            self.stderr.write(f"The mail server is away ({error}); the rest of the mail waits.")
        except CountersAwayError:
            self.stderr.write("The counters of limits cannot be reached; the mail waits.")
        while invalidation.advance():
            pass
        lookup.answer_due(Keyring())
        names_read.record_ended_hours()
        while withdrawn_list.write():
            pass
        purged = 0
        try:
            # Purging writes to the ledger too, so folding comes last.
            purged = sum(retention.purge().values())
        except clock.WrongClockError as error:
            self.stderr.write(f"{error} Nothing is purged or published.")
        while rows := tally.fold():
            folded += rows
        if clock.is_right():
            publication.publish()
            funnel.release()
        while prepared.make_next():
            pass
        return f"Dealt with {sent} mails, folded {folded} changes, purged {purged} rows."

    def run(self) -> None:
        self.stopping = self.is_clock_right = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        post, drill, exports = Post(), MonthlyDrill(), prepared.Maker()
        fold = Duty(FOLD_SECONDS, self.fold_and_answer)
        self.duties = [
            Duty(CLOCK_SECONDS, self.look_at_the_clock),
            Duty(KEYS_SECONDS, lambda: Keyring().rotate()),
            fold,
            # After the folder: who folds for another one is as good.
            Duty(BEAT_SECONDS, lambda: Heartbeat.beat(Heartbeat.Part.FOLD)),
            Duty(SAMPLE_SECONDS, samples.take),
            Duty(NOTICE_SECONDS, notifications.Lookout().go_on),
            Duty(EXPORT_SECONDS, exports.go_on),
            # Before it purges, while the rows of the week are all there.
            Duty(PURGE_SECONDS, funnel.release, goes_by_the_clock=True),
            Duty(PURGE_SECONDS, retention.purge, goes_by_the_clock=True),
            Duty(FORGET_SECONDS, names_read.record_ended_hours, goes_by_the_clock=True),
            Duty(FORGET_SECONDS, forgetting.forget_ended_hour, goes_by_the_clock=True),
        ]
        # A trial has nothing to lose, and the machine of a developer better things to do.
        if not settings.LOCAL:
            self.duties.append(Duty(DRILL_SECONDS, drill.go_on, goes_by_the_clock=True))
        mail_at, away = 0.0, 0
        while not self.stopping:
            now, busy = time.monotonic(), 0
            try:
                self.do_duties()
                if now >= mail_at:
                    busy = queue.deliver_due(post, stopping=lambda: self.stopping, meanwhile=self.do_short_duties)
                    away = 0
                if self.go_on_with_campaigns():
                    # It fills the ledger, which is folded before it goes on.
                    busy, fold.due_at = 1, 0
            except ServerAwayError as error:
                pause = AWAY_SECONDS[min(away, len(AWAY_SECONDS) - 1)]
                away, mail_at = away + 1, max(now + pause, time.monotonic() + AWAY_SECONDS[0])
                logger.warning("The mail server is away (%s); trying again in %s seconds", error, pause)
            except CountersAwayError:
                # No mail goes out beyond the limit of its address; all else is done as ever.
                mail_at = now + AWAY_SECONDS[0]
            except (OperationalError, InterfaceError) as error:
                # The database restarts now and then; a new connection is made at the next turn.
                logger.warning("The database is away (%s)", type(error).__name__)
                connection.close()
                time.sleep(FOLD_SECONDS)
            if not busy:
                post.close()
                time.sleep(POLL_SECONDS)
        exports.stop()
        drill.stop()
        post.close()

    def do_short_duties(self) -> None:
        """Do what is due and takes a moment: a claim on mails must not end meanwhile, or they would go out twice."""
        self.do_duties(only_short=True)

    def do_duties(self, *, only_short: bool = False) -> None:
        """Do what is due of all that a worker does beside the mail."""
        for duty in self.duties:
            if only_short and duty.goes_by_the_clock:
                continue
            now = time.monotonic()
            if now < duty.due_at or (duty.goes_by_the_clock and not self.is_clock_right):
                continue
            try:
                duty.do()
            except clock.WrongClockError:
                # It has jumped since it was looked at.
                self.is_clock_right = False
                continue
            duty.due_at = now + duty.seconds

    def look_at_the_clock(self) -> None:
        """What the clock decides is only done while it is right; as long as it is not, the log says so."""
        self.is_clock_right = False
        try:
            clock.require_right()
        except clock.WrongClockError as error:
            logger.warning("%s Nothing is purged, published or forgotten here.", error)
        else:
            self.is_clock_right = True

    def fold_and_answer(self) -> None:
        tally.fold()
        lookup.answer_due(Keyring())
        if self.is_clock_right:
            publication.publish()
        withdrawn_list.write()

    def go_on_with_campaigns(self) -> bool:
        """Do some steps of what moderators asked for, while the mail waits; say whether there was any."""
        until = time.monotonic() + CAMPAIGN_SECONDS
        going = False
        while not self.stopping and time.monotonic() < until and invalidation.advance():
            going = True
        return going

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
