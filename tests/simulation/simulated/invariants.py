"""What must hold whatever happens: one small function for each law, pure.

Each returns `None`, or the sentence that says what broke; when it broke is the world's to add. What
a law cannot promise is said where it is stated, and nowhere else.
"""

from __future__ import annotations

import attrs

from async_auth.engine.scheduler import TOLERANCE
from async_auth.errors import (
    AuthError,
    ConfigurationError,
    ManagerClosed,
    SignInRequired,
    StoreError,
    TemporaryError,
)
from async_auth.events import InitialSession, Lagged, SignedIn, SignedOut, TokenRefreshed


def one_refresh_in_flight(new, flights):
    """
    At most one refresh of a session is on its way.

    A lock promises that as long as it is held. A lease that has run out (its holder was suspended,
    or could not renew it) is no promise; nor is one of a process that is dead, whose request may
    still travel.
    """
    others = [
        one
        for one in flights
        if one is not new and one.sid == new.sid and one.process.alive
        if not (one.given_up or one.robbed)
    ]
    if not others or new.robbed:
        return None
    return (
        f"{len(others) + 1} refreshes of session {new.sid} are on their way at once: "
        f"{[one.process.index for one in others]} and {new.process.index}"
    )


def spent_once(new, before, excuse):
    """
    No refresh token is spent twice, but to ask again for an answer that was lost.

    Also allowed: after a crash of who has spent it; when what it brought could not be saved, or
    the store not be read, or has lost it; after a lease that ran out; by a user's own hand; and to
    say goodbye for a session that its user has ended.

    Nor does it hold of a token that a forgiving server has given to two: who asked first could not
    save it, and the other has it under a generation of its own. Generations, which are all that is
    compared, do not tell then that it was spent. The server forgives that as well.

    Nor of a new sign-in whose save has worked though it failed, and which another process has used
    and a third replaced before whoever signed in could look again: to that one it is unsaved.
    """
    for old in before:
        if not old.answered or not old.delivered or not old.process.alive:
            continue
        if new.by_hand or old.by_hand or new.left or new.robbed or old.robbed:
            continue
        if excuse(new.key, min(old.sent_at, new.excused_from), ("store", "loss")):
            continue
        return (
            f"process {new.process.index} spends {new.label}, for which process "
            f"{old.process.index} has had its answer"
        )
    return None


def spends_the_newest(new, place, memory, *, outdone):
    """
    Nobody spends a token when it has a newer one of the same session in its own memory.

    But one that a forgiving server has given to two may be counted further by the other: then what
    that one has stored is the newer one for all, whichever was issued first.

    Args:
        new: What is spent.
        place: Its session, and its place among all tokens that were issued.
        memory: The same of the token in memory, or `None`.
        outdone: Whether a forgiving server's session is stored under a higher generation than
            memory has.
    """
    if memory is None or memory[0] != place[0] or memory[1] <= place[1] or new.robbed or outdone:
        return None
    return f"process {new.process.index} spends {new.label} and has a newer one in memory"


def spent_under_lease(new, before, *, suspended):
    """
    Whoever has lost its lease finds out before it spends a token.

    But not whose machine was suspended since it took the lock: its monotonic clock stood still
    too. Nor who asks again for a lost answer: that is one request, as far as the server counts.

    Args:
        new: What is spent.
        before: What was spent of the same token before.
        suspended: Whether its machine was suspended since it took the lock.
    """
    again = any(old.task is new.task for old in before)
    if not new.robbed or again or suspended:
        return None
    return f"process {new.process.index} spends {new.label} after its lease was lost"


def ended_by_somebody(reason, *, asked, refused, elsewhere, newer):
    """
    No session ends unless the server has ended it, or its user.

    Args:
        reason: What `SignedOut` tells.
        asked: Whether the user has asked this very process.
        refused: Whether the server has refused this session's tokens for good, and has told the
            very unit that tells the end.
        elsewhere: Whether another process has ended or replaced it, or the store has lost it.
        newer: The newer generation of it that was in the store, where anybody could read it,
            before that unit heard of the refusal. What is written after it has looked comes too
            late.
    """
    if reason == "user":
        return None if asked else "a session was signed out and nobody has asked for it"
    if reason == "elsewhere":
        return None if elsewhere else "a session ended as if elsewhere, and nobody has ended it"
    if not refused:
        return f"a session ended ({reason}), and the server has not said so"
    if newer is not None:
        return f"a session ended ({reason}) while its generation {newer} was in the store"
    return None


def newest_wins(old, new, *, over, excused):
    """
    What is stored only goes forward, and what is over stays over.

    Args:
        old: The record that is there, or `None`.
        new: The one that is written in its place.
        over: Whether the new one's sign-in had been removed or replaced before.
        excused: Whether the store had failed its writer, or lost something, since.
    """
    if old is not None and old.sign_in_id == new.sign_in_id and new.generation < old.generation:
        return f"generation {new.generation} was written over {old.generation}"
    if over and not excused:
        return f"a sign-in that was over came back with generation {new.generation}"
    return None


def compares(new, *, blind):
    """
    What is stored is replaced by compare-and-swap, but for a new sign-in.

    Args:
        new: The record that is written.
        blind: Whether it was written over whatever was there, though its sign-in was stored before.
    """
    return f"generation {new.generation} was written without comparing" if blind else None


def saved_under_lock(old, new, *, held):
    """
    A rotated token is saved before the lock is let go.

    Args:
        old: The record that was there, or `None`.
        new: The one that is written.
        held: Whether the writer's process holds the lock, or has lost it to its lease; or the
            store has failed it before: what it would not take is written at any time.
    """
    rotated = old is not None and old.sign_in_id == new.sign_in_id
    if rotated and new.generation > old.generation and not held:
        return f"generation {new.generation} was saved by a process that does not hold the lock"
    return None


def good_token(token, *, now, true_now, ends, tolerance):
    """
    A caller never gets an expired token as if it were good.

    Args:
        token: What the caller got.
        now: Its machine's time.
        true_now: The server's.
        ends: When the server said that it ends; `None` if it knows no such token.
        tolerance: How wrong a clock may be that nobody can find out about; `None`: very.
    """
    if ends is None:
        return "a caller got a token that no server has issued"
    if token.expires_at is not None and token.expires_at <= now:
        return f"a caller got a token that expired {now - token.expires_at:.3f} s ago"
    if tolerance is not None and ends + tolerance < true_now:
        return f"a caller got a token that the server sees as expired {true_now - ends:.3f} s ago"
    return None


def own_session(token_sid, begun_sid, accounts):
    """
    Nobody gets another's session.

    Args:
        token_sid: The session of the token that the caller got.
        begun_sid: The session there was when it asked, or `None`.
        accounts: The sessions that ever belonged to the key it asked for.
    """
    if token_sid not in accounts:
        return f"a caller got session {token_sid}, which is another key's"
    if begun_sid is not None and token_sid != begun_sid:
        return f"a caller asked for session {begun_sid} and got {token_sid}"
    return None


def never_down(generation, before):
    """
    Generations never go down for callers that follow one another.

    Args:
        generation: What this one got.
        before: The newest that somebody had got of the same session when it asked.
    """
    if before is not None and generation < before:
        return f"a caller got generation {generation} after another one had got {before}"
    return None


#: What each verb may raise, beside `SignInRequired`, `TemporaryError`, `StoreError` and
#: `ManagerClosed`.
ALSO = {"refresh_session": AuthError, "sign_out": AuthError, "send": TemporaryError}


def typed_error(verb, error, *, closed):
    """
    A caller gets a token, or an error of ours that says what to do next.

    Args:
        verb: What it has called.
        error: What it got.
        closed: Whether its manager is closed, or about to be.
    """
    if isinstance(error, ManagerClosed):
        return None if closed else f"{verb} raised ManagerClosed, and nobody has closed it"
    if isinstance(error, ConfigurationError):
        return f"{verb} raised {error!r}"
    allowed = (SignInRequired, TemporaryError, StoreError, ALSO.get(verb, StoreError))
    return None if isinstance(error, allowed) else f"{verb} raised {error!r}"


def told_once(event, history, *, ending, ended):
    """
    Each change is told once: no generation twice, and no end of what has ended.

    Args:
        event: What is told now.
        history: What was told of this key before, oldest first.
        ending: The sign-in and generation that there was before it.
        ended: Those of which an end was told before.
    """
    session = event.session
    if isinstance(event, TokenRefreshed | SignedIn) and session is not None:
        for old in history:
            same = isinstance(old, TokenRefreshed | SignedIn) and old.session is not None
            if (
                same
                and old.session.sign_in_id == session.sign_in_id
                and old.session.generation >= session.generation
            ):
                return (
                    f"{event.name} tells generation {session.generation} of a sign-in after "
                    f"generation {old.session.generation}"
                )
    if isinstance(event, SignedOut) and ending is None:
        return "SIGNED_OUT was told, and nobody was signed in"
    if isinstance(event, SignedOut) and ending in ended:
        return "SIGNED_OUT was told twice of one sign-in"
    return None


def saved_before_told(event, *, written, failed):
    """
    New tokens are in the store before they are told of.

    Args:
        event: What is told.
        written: Whether this generation of the sign-in was ever written there.
        failed: Whether the store has failed somebody since the tokens were issued: then they are
            handed out all the same.
    """
    if written or failed:
        return None
    return f"{event.name} tells generation {event.session.generation}, which nobody has stored"


def follows_its_clock(*, before, passed, left):
    """
    No session lives longer for a wall clock that was set back.

    Args:
        before: Seconds that it had left when the clock was set.
        passed: Seconds since then.
        left: Seconds that it has left now.
    """
    if left <= before - passed + 1.0:
        return None
    return f"{left:.1f} s are left of a session that had {before:.1f} s {passed:.1f} s ago"


def stays_ended(event, *, back):
    """
    What the user has ended does not come back.

    Args:
        event: What is told.
        back: Whether its sign-in was signed out by the user before.
    """
    return f"{event.name} is about a sign-in that its user has ended" if back else None


def sign_out_wins(session, current):
    """
    After a sign-out the session is not there.

    Args:
        session: What there was before it.
        current: What there is now.
    """
    if session is None or current is None or current.sign_in_id != session.sign_in_id:
        return None
    return "a session is there after its sign-out"


def backs_off(left):
    """
    After a failure nothing is sent until the back-off is over, unless somebody insists.

    Args:
        left: For how many seconds it goes on.
    """
    return f"a request was sent {left:.3f} s before the back-off was over" if left > 1e-3 else None


def let_finish(*, waited, timeout):
    """
    A refresh that was sent is let finish, whoever has been cancelled or closed.

    Args:
        waited: For how many seconds its sender has waited.
        timeout: For how many it may.
    """
    if waited >= timeout - TOLERANCE:
        return None
    return f"a refresh was cancelled {waited:.3f} s after it was sent"


def close_waits(flights):
    """
    A close does not return before refreshes that were sent have ended.

    Args:
        flights: Those of its process that have not.
    """
    if not flights:
        return None
    return f"a close was over before the refresh that spends {flights[0].label}"


def never_dropped(owed):
    """
    New tokens that have come are handed out, whatever the store says.

    Args:
        owed: What was spent for them, if none have been told of since.
    """
    return None if owed is None else f"what came for {owed.label} was dropped"


def told_outside_locks(event, holder):
    """
    No event is told by who holds the session's lock.

    Args:
        event: What is told.
        holder: Whether the task that tells it holds the lock.
    """
    return f"{event.name} was told under the session's lock" if holder else None


@attrs.define
class Subscription:
    """
    What one subscriber must get: everything told since it began, in order, or a count of it.

    Args:
        told: All that was told, kept by the teller.
        place: How much had been told when it began.
        greeted: Whether it begins without an initial session.
    """

    told: list
    place: int
    greeted: bool

    def got(self, event):
        """Take the next event; return what is wrong with it."""
        if isinstance(event, Lagged):
            missed = event.missed
            if not self.greeted:
                self.greeted, missed = True, missed - 1
            self.place += missed
            if self.place > len(self.told) or event.missed < 1:
                return f"LAGGED says {event.missed} missed, which are more than were told"
            return None
        if isinstance(event, InitialSession):
            if self.greeted:
                return "INITIAL_SESSION came twice, or not first"
            self.greeted = True
            return None
        if not self.greeted:
            return f"{event.name} came before INITIAL_SESSION"
        if self.place >= len(self.told):
            return f"{event.name} came, and nobody had told it"
        expected = self.told[self.place]
        if expected is not event:
            return f"{event.name} came where {expected.name} was told"
        self.place += 1
        return None

    def ended(self):
        """Look at a stream that was read to its end; return what is missing."""
        missing = len(self.told) - self.place
        return f"{missing} events never came" if self.greeted and missing else None


def no_secret(text, secrets):
    """No text shows a secret."""
    for name, secret in secrets:
        if secret in text:
            at = text.index(secret)
            return f"{name} is shown in {text[max(0, at - 60) : at]!r}…"
    return None


#: So many calls of a caller who is told to try again later are enough where refreshes take long.
ASKS = 20


def healed(error, *, over, waited):
    """
    When the faults have ended everything heals, within a bound.

    One call is enough, but where a refresh may take as long as its token is good for: there the
    lock is never free for long, and who waits for it gets a token that has expired by then, or
    none in time. No engine can mend that, but the error is one that passes: whoever asks again
    when it says so gets a token in one of `ASKS` calls.

    Args:
        error: What a caller got in the end, or `None` for a token.
        over: Whether the session is over: then one has to sign in again.
        waited: For how many seconds nothing was wrong any more.
    """
    if error is None or (over and isinstance(error, SignInRequired)):
        return None
    return f"{waited:.0f} s after the last fault a caller gets {type(error).__name__}: {error}"


def nothing_left(process):
    """After `aclose()` no task is left."""
    left = [task.get_name() for task in process.pending()]
    return f"tasks are left in process {process.index}: {left}" if left else None


def all_saved(session, record, *, lost):
    """
    When the faults have ended everything is saved.

    But what a store has lost without a word is not missed until somebody looks there again, which
    is at the next refresh.

    Args:
        session: What a unit has in memory; it is not over.
        record: What is stored.
        lost: Whether the store has lost what was stored, and no refresh was due since then.
    """
    if record is None and lost:
        return None
    if record is None:
        return f"generation {session.generation} was never saved"
    if record.sign_in_id == session.sign_in_id and record.generation < session.generation:
        return f"generation {session.generation} was never saved; {record.generation} is there"
    return None
