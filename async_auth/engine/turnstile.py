"""Lets refreshes in: so many at a time, so many per second, and those first that somebody waits for.

It has no task and never waits: who wants in leaves a callback, which is called when its turn has
come. It knows nothing of sessions, and does not look whether a refresh is still wanted: who no
longer wants in cancels the ticket. Belongs to one event loop at a time; nothing here is thread-safe.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable

from async_auth.core import pacing
from async_auth.engine.scheduler import Scheduler, Timer, weakly
from async_auth.ports import Clock

logger = logging.getLogger("async_auth.engine")

#: The timer goes off this much after the moment, in seconds. Unix times in floats are exact to a
#: quarter of a microsecond; a moment met too early would cost a second look. The pace is not
#: slowed by it: what is late leaves less to wait for the next one.
GRAIN = 0.001
#: So many places may lie around, given up ones included, before these are swept out.
CROWD = 256


class Ticket:
    """A place in the queue, made by `Turnstile.enter()`."""

    __slots__ = ("_turnstile", "admitted", "at", "callback", "number", "order", "urgent")

    def __init__(
        self, turnstile: Turnstile, callback: Callable[[], object], *, at: float, urgent: bool
    ):
        self._turnstile = turnstile
        #: `None` once it was called, or is not wanted any more.
        self.callback: Callable[[], object] | None = callback
        #: When the token expires, unix seconds; it orders the queue and starts nothing.
        self.at = at
        #: Whether somebody waits for it.
        self.urgent = urgent
        #: Whether its callback was called.
        self.admitted = False
        #: Tells its present place in the heap from one that it has left behind.
        self.number = 0
        #: How many will have been admitted before it, as far as could be told when it queued up.
        self.order = 0

    def __repr__(self) -> str:
        state = "admitted" if self.admitted else "waiting" if self.waiting else "cancelled"
        return f"Ticket({state}{', urgent' if self.urgent else ''})"

    @property
    def waiting(self) -> bool:
        """Whether its turn is still to come."""
        return self.callback is not None

    def cancel(self) -> None:
        """Give the place up; idempotent, and nothing once it was admitted."""
        self._turnstile.give_up(self)

    def urge(self) -> None:
        """Go before all that nobody waits for; idempotent, and nothing once it was admitted."""
        self._turnstile.urge(self)


class Turnstile:
    """
    Limits refreshes in number and in rate.

    In any T seconds it admits at most `rate * T + burst`, see `async_auth.core.pacing`, fewer if
    some are charged for more; and a new one only while fewer than *limit* are in.

    Args:
        limit: How many may be in at a time, at least 1.
        rate: Returns how many may be admitted per second, more than 0; infinite means without
            limit. Asked again and again, so it must be cheap, and the answer may change.
        clock: What time it is. The pace is kept by its monotonic time, so a wall clock that is
            set makes nobody wait longer.
        scheduler: Returns the scheduler of the running loop; asked when the next turn is in the
            future.
    """

    def __init__(
        self,
        *,
        limit: int,
        rate: Callable[[], float],
        clock: Clock,
        scheduler: Callable[[], Scheduler],
    ):
        self._limit = limit
        self._rate = rate
        self._clock = clock
        self._scheduler = scheduler
        #: Urgent ones first, then whose token expires first. A ticket's place counts only if it
        #: has the ticket's number: one that was urged has left its first place behind.
        self._heap: list[tuple[bool, float, int, Ticket]] = []
        self._numbers = itertools.count(1)
        self._urgent = 0
        self._patient = 0
        self._inside = 0
        self._admitted = 0
        self._debt = 0.0
        self._counted_at = clock.monotonic()
        self._timer: Timer | None = None
        #: Who keeps that timer.
        self._timekeeper: Scheduler | None = None
        self._serving = False

    def __repr__(self) -> str:
        return f"Turnstile(inside={self._inside}, waiting={len(self)}, urgent={self._urgent})"

    def __len__(self) -> int:
        """How many wait."""
        return self._urgent + self._patient

    @property
    def inside(self) -> int:
        """How many were admitted and have not left."""
        return self._inside

    def enter(self, callback: Callable[[], object], *, at: float, urgent: bool) -> Ticket:
        """
        Queue up.

        Args:
            callback: Called once, with nothing, when its turn has come; perhaps before this
                returns. It may call anything here, and must not wait. What it raises is logged,
                and gives its place back.
            at: When the token expires, unix seconds: of two with the same urgency the earlier
                goes first.
            urgent: Whether somebody waits for it.

        Returns:
            The place. After the callback was called, `leave()` is due exactly once.
        """
        ticket = Ticket(self, callback, at=at, urgent=urgent)
        self._queue(ticket)
        self._serve()
        return ticket

    def leave(self) -> None:
        """Give back the place of one that was admitted; nothing if nobody is in."""
        if self._inside:
            self._inside -= 1
            self._serve()

    def charge(self) -> None:
        """
        Count one more request of somebody who was admitted for one, and makes it at once.

        So an outage in which every answer is lost, and asked for once more, doubles nothing.
        """
        self._count_down(self._rate())
        self._debt += 1.0

    def wait_for(self, ticket: Ticket) -> float:
        """
        Return an estimate of the seconds until *ticket*'s turn, 0 if it waits no longer.

        It counts who was there before, at the present rate. Others may still go before it, and
        those who are in may take long. Costs the same however many wait.
        """
        if not ticket.waiting:
            return 0.0
        others = self._urgent if ticket.urgent else len(self)
        ahead = min(max(0, ticket.order - self._admitted), others - 1)
        rate = self._rate()
        self._count_down(rate)
        return pacing.wait_for(self._debt, rate, ahead=ahead)

    def give_up(self, ticket: Ticket) -> None:
        """See `Ticket.cancel()`."""
        if ticket.waiting:
            self._take_out(ticket)
            self._tidy()

    def urge(self, ticket: Ticket) -> None:
        """See `Ticket.urge()`."""
        if ticket.waiting and not ticket.urgent:
            self._patient -= 1
            ticket.urgent = True
            self._queue(ticket)

    def reset(self) -> None:
        """
        Forget all who wait and all who are in, for another loop begins; the pace stays.

        No callback is called for those who waited, and nobody who was in leaves any more.
        """
        for _, _, _, ticket in self._heap:
            ticket.callback = None
        self._urgent = self._patient = self._inside = 0
        self._tidy()

    def _queue(self, ticket: Ticket) -> None:
        if ticket.urgent:
            ahead, self._urgent = self._urgent, self._urgent + 1
        else:
            ahead, self._patient = len(self), self._patient + 1
        ticket.order = self._admitted + ahead
        ticket.number = next(self._numbers)
        heapq.heappush(self._heap, (not ticket.urgent, ticket.at, ticket.number, ticket))
        self._tidy()

    def _take_out(self, ticket: Ticket) -> None:
        ticket.callback = None
        if ticket.urgent:
            self._urgent -= 1
        else:
            self._patient -= 1

    def _tidy(self) -> None:
        if not len(self):
            self._heap.clear()
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
        elif len(self._heap) > max(CROWD, 2 * len(self)):
            self._heap = [
                place for place in self._heap if place[3].waiting and place[3].number == place[2]
            ]
            heapq.heapify(self._heap)

    def _serve(self) -> None:
        if self._serving:  # called from a callback: the loop below goes on with whatever changed
            return
        self._serving = True
        try:
            while len(self) and self._inside < self._limit:
                rate = self._rate()
                self._count_down(rate)
                wait = pacing.wait_for(self._debt, rate)
                if wait > 0:
                    self._wake_in(wait + GRAIN)
                    return
                self._admit()
        finally:
            self._serving = False

    def _count_down(self, rate: float) -> None:
        now = self._clock.monotonic()
        self._debt = pacing.paid_off(self._debt, rate, now - self._counted_at)
        self._counted_at = now

    def _admit(self) -> None:
        _, _, _, ticket = heapq.heappop(self._heap)
        callback = ticket.callback
        if callback is None:  # given up; or it came in by the better place that it got when urged
            return
        self._take_out(ticket)
        self._tidy()
        ticket.admitted = True
        self._admitted += 1
        self._inside += 1
        self._debt += 1.0
        try:
            callback()
        except Exception:
            # One session's trouble must not keep a place from all the others.
            logger.exception("Starting a refresh failed")
            self._inside -= 1
        except BaseException:
            self._inside -= 1
            raise

    def _wake_in(self, seconds: float) -> None:
        at, timekeeper = self._clock.now() + seconds, self._scheduler()
        if self._timer is not None:
            if self._timekeeper is timekeeper and self._timer.at <= at:
                return
            self._timer.cancel()
        self._timekeeper = timekeeper
        self._timer = timekeeper.call_at(at, weakly(self._on_time))

    def _on_time(self) -> None:
        self._timer = None
        self._serve()
