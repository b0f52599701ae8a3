"""The mail queue: sending what is due, and what becomes of each mail then.

Delivery is at least once: rows are claimed by moving their time ahead by some seconds, again and again while they are
sent, without an open transaction, and deleted right after the server's own 250, before their connection gets another
mail. A worker that dies in between leaves rows that fall due again: at most one of them for each of its connections has
been sent. One that was merely stopped sends nothing more when it wakes up and another one has taken over.
"""

import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial

from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

from petition.mail import messages, results
from petition.mail.claims import BATCH, Claim, release
from petition.mail.keys import Keyring
from petition.mail.recipients import Recognised, over_mail_limit, recognise, unwanted
from petition.mail.refusals import RefusedError, ServerAwayError
from petition.mail.retries import park, put_last, refuse, retry_later, set_aside
from petition.mail.smtp import Fate, Outcome, Parcel, Post
from petition.models import Heartbeat, OutgoingMail
from petition.moderation import domains

# No turn takes up more for longer than that: the worker has long duties as well, which wait for its end.
TURN_SECONDS = 60
# So many find out whether a server is back that was away or refused us.
PROBES = 3
# So few go over one connection: opening another takes longer.
FEW = 30
# For so long several connections are used after a mail was left unanswered.
WARY_SECONDS = 300
BEAT_SECONDS = 5


def deliver_due(
    post: Post | None = None,
    stopping: Callable[[], bool] = lambda: False,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Send one batch of what is due, or its beginning if `stopping`; return how many rows were dealt with.

    As long as the server leaves a mail unanswered the turn goes on with what falls due, over other connections. The
    caller has other things to do as well: it does them `meanwhile`, which is called every second and must not take more
    than a few, in which no claim is renewed.

    A `post` keeps its connections for the next batch; without one they are made for this batch. Raises ServerAwayError
    if the mail server is away. What was claimed and not begun is due again at once; a mail at which anything unforeseen
    happens is set aside for minutes, so that it cannot hold up the others.
    """
    if post is None:
        with closing(Post()) as own:
            return deliver_due(own, stopping, meanwhile)
    claimed = Claim(Keyring())
    if not (mails := claimed.add(PROBES if post.is_probing else BATCH)):
        beat()
        return 0
    waiting = deque[Parcel]()
    try:
        deliver(claimed, mails, waiting, post, stopping, meanwhile)
    except (ServerAwayError, OperationalError, InterfaceError) as error:
        post.close()
        if isinstance(error, ServerAwayError):
            post.is_probing = True
        if isinstance(error, RefusedError):
            Heartbeat.beat(Heartbeat.Part.REFUSED, str(error.codes))
        raise
    except BaseException:
        # Being told to stop is one, too: a connection in the middle of a mail is of no more use.
        post.close()
        claimed.let_go(parcel.mail for parcel in waiting)
        set_aside(claimed.mails.values())
        raise
    finally:
        release(parcel.mail for parcel in waiting)
    return claimed.number - len(waiting)


def prepare(mails: list[OutgoingMail], claimed: Claim, waiting: deque[Parcel], post: Post) -> list[Recognised]:
    """Open these, drop those that are not to be sent, and put the others in `waiting`; return what was opened.

    Raises ServerAwayError.
    """
    opened = recognise(mails, claimed.ring)
    quiet = unwanted(opened)
    finish(quiet)
    results.note_unsent(quiet)
    wanted = [known for known in opened if known.mail not in quiet]
    added = [
        Parcel(mail, messages.compose(mail, read), read.address, partial(claimed.is_ours, mail))
        for mail, read, _digest in wanted
    ]
    claimed.let_go(set(mails) - {parcel.mail for parcel in added})
    waiting.extend(added)
    if added:
        post.open()
        # Counted only now: while the server is away nothing is sent.
        over = over_mail_limit(wanted)
        finish(over)
        results.note_unsent(over)
        claimed.let_go(over)
        for parcel in [parcel for parcel in added if parcel.mail in over]:
            waiting.remove(parcel)
        claimed.renew()
    results.store()
    return wanted


def deliver(
    claimed: Claim,
    mails: list[OutgoingMail],
    waiting: deque[Parcel],
    post: Post,
    stopping: Callable[[], bool],
    meanwhile: Callable[[], object],
) -> None:
    """Send these, which are claimed. What is in `waiting` afterwards was not begun."""
    recognised = prepare(mails, claimed, waiting, post)
    is_held_up, take_up_until = False, time.monotonic() + TURN_SECONDS
    fates, doubtful = set[Fate](), list[Outcome]()

    def take() -> Parcel | None:
        while waiting and not stopping() and not is_held_up and claimed.is_ours():
            parcel = waiting.popleft()
            if parcel.mail.pk in claimed.mails:
                return parcel
        return None

    if waiting:
        several = len(waiting) > FEW or time.monotonic() < _wary_until
        try:
            for outcomes in post.carry(take, several=several):
                settle(outcomes)
                results.note(outcomes)
                known = [outcome for outcome in outcomes if outcome.fate is not Fate.NOT_BEGUN] + doubtful
                for outcome in outcomes:
                    judge(outcome, doubtful, post)
                claimed.let_go(outcome.parcel.mail for outcome in known if outcome not in doubtful)
                waiting.extendleft(outcome.parcel for outcome in outcomes if outcome.fate is Fate.NOT_BEGUN)
                if any(outcome.fate is Fate.SILENT for outcome in outcomes):
                    be_wary()
                is_held_up = is_held_up or bool(post.refusals.fault and not post.is_probing)
                fates |= {outcome.fate for outcome in outcomes}
                claimed.renew()
                is_over = is_held_up or post.is_probing or stopping() or time.monotonic() > take_up_until
                if not (outcomes or waiting or is_over):
                    # What is unanswered holds up nobody else.
                    recognised += prepare(claimed.add(BATCH, unanswered=0), claimed, waiting, post)
                meanwhile()
        except ServerAwayError:
            put_last(doubtful)
            results.store()
            raise
        results.store()
        if post.refusals.fault and (doubtful or Fate.BROKEN in fates):
            put_last(doubtful)
            OutgoingMail.objects.refused_before().update(due_at=Now())
            raise post.refusals.fault
        for outcome in doubtful:
            refuse(outcome.parcel.mail, outcome.codes, is_in_doubt=True)
    if not fates or Fate.SENT in fates:
        beat()
    signed = {known.mail.signature_id: known.opened.address for known in recognised if known.mail.signature_id}
    domains.name_shared(signed)


_wary_until = 0.0


def be_wary() -> None:
    """From now on use several connections for a while, so that a silent server cannot stop all mail."""
    global _wary_until
    _wary_until = time.monotonic() + WARY_SECONDS


_beats_at: dict[str, float] = {}


def beat(part: str = Heartbeat.Part.MAIL, *, is_urgent: bool = False) -> None:
    """Note that mail goes out, or that none has to; every few seconds is enough."""
    if is_urgent or time.monotonic() >= _beats_at.get(part, 0):
        Heartbeat.beat(part)
        _beats_at[part] = time.monotonic() + BEAT_SECONDS


def settle(outcomes: list[Outcome]) -> None:
    """Delete the rows of what was sent, all in one statement, and put back with the reason what concerns one mail."""
    finish([outcome.parcel.mail for outcome in outcomes if outcome.fate is Fate.SENT])
    for outcome in outcomes:
        match outcome.fate:
            case Fate.REFUSED if outcome.codes and outcome.codes.concern_the_recipient:
                refuse(outcome.parcel.mail, outcome.codes)
            case Fate.BROKEN:
                retry_later(outcome.parcel.mail, None, is_broken=True)
            case Fate.SILENT:
                retry_later(outcome.parcel.mail, None)
            case Fate.UNSENDABLE:
                park(outcome.parcel.mail, None)


def judge(outcome: Outcome, doubtful: list[Outcome], post: Post) -> None:
    """Add to `doubtful` what may be refused for its own sake or with all others, until what is sent tells which."""
    mail, recipient = outcome.parcel.mail, outcome.parcel.recipient
    if outcome.fate is Fate.SENT and post.refusals.taken(recipient):
        beat(Heartbeat.Part.TAKEN, is_urgent=post.is_probing)
        post.is_probing = False
        for earlier in doubtful:
            refuse(earlier.parcel.mail, earlier.codes)
        doubtful.clear()
    elif outcome.fate is Fate.BROKEN:
        post.refusals.refused(mail.pk, recipient, None)
    elif outcome.fate is Fate.REFUSED and outcome.codes and not outcome.codes.concern_the_recipient:
        post.refusals.refused(mail.pk, recipient, outcome.codes)
        doubtful.append(outcome)


def finish(mails: Collection[OutgoingMail]) -> None:
    """Forget mails that are dealt with. What was signed stays until it lapses by the clock, sent or not."""
    if mails:
        OutgoingMail.objects.filter(pk__in=[mail.pk for mail in mails]).delete()
