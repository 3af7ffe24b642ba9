"""The inside of a manager: the session in memory, its flights, its timer, and what is told.

It starts the tasks that change the session and is the only one who changes it. It never waits
for a caller and no caller's task runs any of its work. What is done about a store that does not
work is the `Mender`'s, what others have stored the `Reconciler`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Coroutine
from typing import Any

import attrs

from async_auth.engine.debts import Debts
from async_auth.engine.flight_desk import FlightDesk
from async_auth.engine.ground import Ground
from async_auth.engine.mender import Mender
from async_auth.engine.observing import Observation, outcome_of
from async_auth.engine.reconciler import Reconciler
from async_auth.engine.refresher import Refresher, temporary
from async_auth.engine.scheduler import Timer
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State
from async_auth.engine.turnstile import Ticket
from async_auth.engine.watching import Watcher
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ManagerClosed,
    RefreshRejected,
    TemporaryError,
)
from async_auth.events import (
    Event,
    RefreshFailed,
    SignedOut,
    TokenRefreshed,
)
from async_auth.ports import Record
from async_auth.session import Session

logger = logging.getLogger("async_auth.engine")


@attrs.define(eq=False)
class Keeper:
    """
    What keeps one session alive.

    Whatever most sessions have none of most of the time is made only when it is needed: a process
    may hold a hundred thousand of these.

    Args:
        ground: What the session shares with others.
        state: The session in memory.
        shelf: The session in the store.
    """

    ground: Ground
    state: State
    shelf: Shelf
    # Keyed by what they spend, so never printed.
    _flights: dict[str, Flight[Session]] | None = attrs.field(init=False, default=None, repr=False)
    #: Flights whose task has not ended, and other work that a close lets finish.
    _flying: set[Flight[Session]] | None = attrs.field(init=False, default=None)
    _landing: set[asyncio.Task[None]] | None = attrs.field(init=False, default=None)
    #: Those who wait out the least interval between two refreshes wait here; a close settles it.
    _pause: Flight[None] | None = attrs.field(init=False, default=None)
    _untold: list[Event] | None = attrs.field(init=False, default=None)
    _timer: Timer | None = attrs.field(init=False, default=None)
    #: The timer's place among those that wait for their turn.
    _ticket: Ticket | None = attrs.field(init=False, default=None)
    #: Whether the timer was left off because nobody has used the session for so long.
    _resting: bool = attrs.field(init=False, default=False)
    #: What the store has not taken; the mender keeps these.
    debts: Debts | None = attrs.field(init=False, default=None)
    #: The sign-in that ended last by its user's or the server's word, and its last generation, if
    #: only that has ended. Somebody who has not heard of it may store it once more.
    _over: tuple[str, int | None] | None = attrs.field(init=False, default=None)
    #: Only if it was ever told to `watch()`.
    _watcher: Watcher | None = attrs.field(init=False, default=None)

    @property
    def key(self) -> str:
        """Which session."""
        return self.shelf.key

    @property
    def refresher(self) -> Refresher:
        """How a token of this session is spent."""
        return Refresher(self.ground, self.shelf)

    @property
    def mender(self) -> Mender:
        """What is done when the store does not work."""
        return Mender(self)

    @property
    def refresh_at(self) -> float | None:
        """When the timer refreshes, perhaps in the past; `None` if it is left to the next call."""
        if self._resting or not self.ground.auto_refresh:
            return None
        return self.state.lifecycle.refresh_at

    @property
    def damaged(self) -> bool:
        """Whether the store would not take something."""
        return self.debts is not None and self.debts.outstanding

    @property
    def busy(self) -> bool:
        """Whether there is work under way, or still to do, that must not be forgotten."""
        # A task that is done may be told of only after those who have waited for it.
        landing = any(not task.done() for task in self._landing or ())
        return bool(self._flights or self._flying or landing or self.damaged)

    def bind(self) -> None:
        """Work in another loop from now on; what flew in the old one is lost with it."""
        for flight in (self._flights or {}).values():
            if flight.task is None:
                # Its turn will not come; that loop may stand still only, and run again.
                flight.settle(error=interrupted(self.state))
        self._flights = self._flying = self._landing = None
        self._timer = self._ticket = None
        self.mender.unbind()
        self.arm()
        if self._watcher is not None:
            self.watch()
        if self.damaged:
            self.mender.plan()

    # Telling.

    def later(self, event: Event) -> None:
        """Remember an event until `flush()`: none is published while a lock is held."""
        if self._untold is None:
            self._untold = []
        self._untold.append(event)

    def flush(self) -> None:
        """Publish what has not been told yet, in order."""
        untold, self._untold = self._untold, None
        for event in untold or ():
            self.ground.tell(event)

    # Flights.

    def flight_of(self, refresh_token: str) -> Flight[Session] | None:
        """Return the flight that spends this token, if one is up."""
        return self._flights.get(refresh_token) if self._flights else None

    def begin(
        self,
        base: Session,
        *,
        own: bool = True,
        look_first: bool = False,
        look: bool = True,
        order: int = 0,
        admitted: bool = False,
    ) -> Flight[Session]:
        """
        Join the flight that spends *base*'s refresh token, or start one.

        Args:
            base: The session to refresh; it has a refresh token.
            own: Whether it is the current sign-in.
            look_first: See `Refresher.refresh`.
            look: See `Refresher.refresh`.
            order: The place of this call among those that begin or end a sign-in.
            admitted: Whether its turn among all refreshes has come already.
        """
        token = base.refresh_token or ""
        flight = self.flight_of(token)
        if flight is not None:
            flight.order = max(flight.order, order)
            return flight
        flight = Flight(order=order, own=own)
        if self._flights is None:
            self._flights = {}
        self._flights[token] = flight
        if own:
            self._leave_queue()
        watch = Observation.of(
            self.ground.observer,
            self.key,
            trigger="timer" if admitted else "call",
            # A token from outside was never tried before, whatever became of the session's.
            failures=self.state.lifecycle.failures if own else 0,
        )
        launch = functools.partial(
            self._launch, flight, base, own=own, look_first=look_first, look=look, watch=watch
        )
        turnstile = self.ground.turnstile
        if admitted or turnstile is None:
            launch()
        else:
            at = self.state.clock.now() if base.expires_at is None else base.expires_at
            flight.ticket = turnstile.enter(launch, at=at, urgent=True)
        return flight

    def turn_in(self, flight: Flight[Session]) -> float:
        """Return in how many seconds a flight's turn will come, as far as can be told."""
        turnstile = self.ground.turnstile
        if turnstile is None or flight.ticket is None:
            return 0.0
        return turnstile.wait_for(flight.ticket)

    def withdraw(self, flight: Flight[Session]) -> None:
        """Give up a flight whose turn has not come, unless others wait for it."""
        if flight.ticket is None or not flight.ticket.waiting or flight.waiting:
            return
        flight.ticket.cancel()
        self._land(flight, None, TemporaryError("This was given up before its turn came."))

    def _launch(
        self,
        flight: Flight[Session],
        base: Session,
        *,
        own: bool,
        look_first: bool,
        look: bool,
        watch: Observation | None,
    ) -> None:
        if self._flying is None:
            self._flying = set()
        self._flying.add(flight)
        desk = FlightDesk(keeper=self, base=base, flight=flight, own=own, watch=watch)
        work = self._fly(flight, desk, look_first=look_first, look=look)
        # At once: behind ten thousand callers the request would be sent that much later.
        flight.task = self.ground.runtime.spawn(work, name="async_auth refresh", at_once=True)
        flight.task.add_done_callback(functools.partial(self._fallen, flight))
        if watch is not None:
            # What was told how it ended is told nothing more.
            flight.task.add_done_callback(lambda _: watch.ended("interrupted"))

    async def _fly(
        self, flight: Flight[Session], desk: FlightDesk, *, look_first: bool, look: bool
    ) -> None:
        result: Session | None = None
        error: Exception | None = None
        watch = desk.watch
        try:
            with contextlib.nullcontext() if watch is None else watch.running():
                result = await self.refresher.refresh(
                    desk.base, desk, own=desk.own, look_first=look_first, look=look
                )
        except Exception as raised:  # noqa: BLE001
            # A stranger's provider, transport or store may raise anything: that is temporary.
            error = temporary(raised)
            if not isinstance(error, RefreshRejected) and desk.own and desk.wanted():
                # A wall clock that was set back meanwhile is followed first: what is counted on
                # the new one would be moved with the rest, and the back-off be over too soon.
                self.ground.scheduler.look()
                self.state.fail(error)
                retry_at = self._retry_at()
                self.later(self.event(RefreshFailed, error=error, retry_at=retry_at))
        if watch is not None:
            watch.ended(outcome_of(error, answered=flight.answer is not None), error)
        self._land(flight, result, error)

    def _land(
        self,
        flight: Flight[Session],
        result: Session | None,
        error: Exception | None,
        *,
        torn: bool = False,
    ) -> None:
        flights, flying = self._flights or {}, self._flying or set()
        landed = flight in flying
        flying.discard(flight)
        for token in [t for t, up in flights.items() if up is flight]:
            del flights[token]
        if not flying:
            self._flying = None
        if not flights:
            self._flights = None
        self.flush()
        flight.settle(result, error)
        self.arm()
        turnstile = self.ground.turnstile
        # One of a loop that is gone is counted no more.
        if not landed or turnstile is None:
            return
        if torn:
            # Perhaps with its loop, and all others with it: the next one is let in by the
            # scheduler, if that lives on, and spends no token whose answer nobody would read.
            self.ground.scheduler.call_at(self.ground.now(), turnstile.leave)
        else:
            turnstile.leave()

    def _fallen(self, flight: Flight[Session], _: asyncio.Task[None]) -> None:
        if self._flying and flight in self._flying:
            self._land(flight, None, interrupted(self.state), torn=True)

    def also_spends(self, flight: Flight[Session], refresh_token: str | None) -> None:
        """Note that a flight under way has come to spend another token."""
        if refresh_token is not None and not flight.done:
            if self._flights is None:
                self._flights = {}
            self._flights.setdefault(refresh_token, flight)

    def look_again(self) -> None:
        """Tell the flights that memory may have what they are about to fetch."""
        # Whose lock is a dead process's need not wait for its lease.
        for flight in (self._flights or {}).values():
            flight.look_again()

    def dismiss(self, error: Exception, *, own_only: bool = False) -> None:
        """
        Give everyone who waits for a flight the error now.

        What was sent goes on, and is kept or dropped when it answers.

        Args:
            error: What they get.
            own_only: Leave the flights alone that spend a token from outside.
        """
        for token, flight in list((self._flights or {}).items()):
            if flight.own or not own_only:
                del self._flights[token]  # type: ignore[union-attr]  # it has just been seen
                _give_up(flight, error)

    def run(
        self, work: Coroutine[Any, Any, None], *, name: str, outcome: Flight[Any] | None = None
    ) -> asyncio.Task[None]:
        """
        Run work that must not be torn, in a task of ours that a close waits for.

        Args:
            work: It settles *outcome* when it is done.
            name: What the task is called.
            outcome: Settled here if the work is interrupted.
        """
        task = self.ground.runtime.spawn(work, name=name)
        if self._landing is None:
            self._landing = set()
        self._landing.add(task)
        task.add_done_callback(self._let_land)
        if outcome is not None:
            state = self.state
            task.add_done_callback(lambda _: outcome.settle(error=interrupted(state)))
        return task

    def _let_land(self, task: asyncio.Task[None]) -> None:
        if self._landing is not None:
            self._landing.discard(task)
            if not self._landing:
                self._landing = None

    def close(self) -> None:
        """Hand out nothing any more; send everyone away, and cancel what was not sent yet."""
        self.state.close()
        self.dismiss(ManagerClosed())
        self._leave_queue()
        if self._pause is not None:
            self._pause.settle(error=ManagerClosed())
        for flight in self._flying or ():
            if flight.task is not None and not flight.sent:
                flight.task.cancel()

    async def land(self) -> None:
        """Let requests that were sent finish and store, and tell what came of it."""
        tasks = set(self._landing or ())
        tasks.update(flight.task for flight in self._flying or () if flight.task is not None)
        if tasks:
            await asyncio.wait(tasks)
        # One that is torn while it lets go of the lock may be done before it is told of.
        self.flush()

    def pause(self) -> Flight[None]:
        """Return where those wait who wait for nothing but time."""
        if self._pause is None or self._pause.done:
            self._pause = Flight()
        return self._pause

    def unbind(self) -> None:
        """Take the timers away, and stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        self.mender.unbind()
        self._leave_queue()
        if self._pause is not None:
            self._pause.settle(error=interrupted(self.state))
            self._pause = None
        self.shelf.unbind()
        if self._watcher is not None:
            self._watcher.stop()
        self._timer = None

    # The session.

    def signed_in(self, session: Session, event: type[Event], *, order: int, stored: bool) -> None:
        """Make a new sign-in the current session; the caller flushes."""
        replaced = AuthSessionMissing("Another sign-in has replaced this session.")
        self.dismiss(replaced, own_only=True)
        current = self.state.session
        if current is not None and not stored:
            self.shelf.displace(session, current.sign_in_id)
        self.mender.note(stored=stored)
        self.state.sign_in(session, order=order, stored=stored)
        self.later(self.event(event))
        self.arm()

    def refreshed(self, session: Session, *, stored: bool) -> None:
        """Make newer tokens of the current sign-in the ones that are handed out."""
        current = self.state.session
        if current is not None and session.generation <= current.generation:
            return
        self.mender.note(stored=stored)
        if stored:
            self.mender.works()
        self.state.refresh(session, stored=stored)
        self.later(self.event(TokenRefreshed))
        self._tell_changes(current, session)

    def amended(self, session: Session) -> None:
        """Put what is no newer generation in the place of the current session."""
        current = self.state.session
        self.state.replace(session)
        self._tell_changes(current, session)
        self.arm()

    def _tell_changes(self, old: Session | None, new: Session) -> None:
        changes = getattr(self.shelf.provider, "changes_between", None)
        if old is None or changes is None:
            return
        try:
            kinds = tuple(changes(old, new))
        except Exception:
            # A provider is a stranger's code: for an event's sake no token is held back.
            logger.exception("What has changed in session %r cannot be told", self.key)
            return
        for kind in kinds:
            self.later(self.event(kind))

    def end(
        self, reason: str, error: RefreshRejected | None = None, *, by_call: bool = False
    ) -> None:
        """
        End the session in memory.

        Args:
            reason: What is told.
            error: The server's word, if that ends it.
            by_call: Whether the user's call does: then what was begun before it ends as well.
        """
        session = self.state.session
        if session is not None and reason != "elsewhere":
            self._over = (session.sign_in_id, None if by_call else session.generation)
        if error is not None:
            self.state.reject(error)
        elif by_call:
            self.state.sign_out()
        else:
            self.state.lose()
        # There is nothing left to save.
        self.mender.note(stored=True)
        self.later(self.event(SignedOut, reason=reason))
        self.arm()

    def is_over(self, session: Session) -> bool:
        """Say whether *session* has ended here, and is only still, or again, in the store."""
        uncleared = {} if self.debts is None else self.debts.uncleared or {}
        over = [*uncleared.items(), *filter(None, [self._over])]
        return self.shelf.is_displaced(session) or any(
            session.sign_in_id == sign_in_id and (up_to is None or session.generation <= up_to)
            for sign_in_id, up_to in over
        )

    def set_back(self, step: float) -> None:
        """Follow a wall clock that was set by *step* (negative) seconds."""
        self.state.set_back(step)
        self.arm()

    # The timer.

    def arm(self) -> None:
        """Set the timer to what the lifecycle says."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._leave_queue()
        self._resting = False
        ground, session = self.ground, self.state.session
        if ground.bound is None or not ground.auto_refresh or self.state.closed:
            return
        if session is None or (self._flights and session.refresh_token in self._flights):
            return
        at = self.state.lifecycle.retry_at(self.state.clock.now())
        if at is not None:
            self._timer = ground.scheduler.call_at(at, self._on_time, spread=True)

    def awake(self) -> None:
        """Set the timer again, for somebody uses the session that was left to rest."""
        if self._resting:
            self.state.reopen()
            self.arm()

    def _on_time(self) -> None:
        self._timer = None
        session = self._due()
        if session is None:
            return
        turnstile = self.ground.turnstile
        if turnstile is None:
            self.begin(session, admitted=True)
            return
        # No flight yet, nor a task: a hundred thousand may have to wait after an outage.
        ticket = turnstile.enter(self._on_turn, at=self.state.lifecycle.expires_at, urgent=False)
        if ticket.waiting:
            self._ticket = ticket

    def _on_turn(self) -> None:
        # Called at once, nothing can have changed since the timer looked.
        waited, self._ticket = self._ticket, None
        session = self.state.session if waited is None else self._due()
        if session is None:
            if self.ground.turnstile is not None:
                self.ground.turnstile.leave()
        else:
            self.begin(session, admitted=True)

    def _due(self) -> Session | None:
        """Return the session if the timer should refresh it now; else see what it should do."""
        state, now = self.state, self.state.clock.now()
        session = state.session
        if session is None or state.closed:
            return None
        if self._flights and session.refresh_token in self._flights:
            # Somebody was faster; when that has landed, the timer is set again.
            return None
        if now - state.used > self.ground.active_for:
            # Shut: the next use comes by the slow path, which sets the timer again.
            self._resting = True
            state.forget_window()
            return None
        at = state.lifecycle.refresh_at
        if at is not None and now >= at:
            return session
        self.arm()
        return None

    def _leave_queue(self) -> None:
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None

    def _retry_at(self) -> float | None:
        lifecycle = self.state.lifecycle
        return lifecycle.retry_at(self.state.clock.now()) if self.ground.auto_refresh else None

    # The store, when others write to it.

    def watch(self) -> None:
        """Follow what others store, in this loop and in every one to come."""
        if self._watcher is None:
            self._watcher = Watcher(self.ground, self.shelf)
        self._watcher.start(self.noticed)

    async def noticed(self, record: Record | None) -> None:
        """
        Bring the session in memory into line with the store, which has *record* or had it.

        Raises:
            StoreError: The store cannot be read.
        """
        # Whoever watches holds on to this method's owner alone, and weakly.
        await Reconciler(self).noticed(record)

    def event(self, kind: type[Event], **facts: object) -> Event:
        """Return an event of this *kind* about the session as it is now."""
        return kind(session=self.state.session, at=self.state.clock.now(), key=self.key, **facts)


def _give_up(flight: Flight[Session], error: Exception) -> None:
    if flight.ticket is not None:
        flight.ticket.cancel()
    flight.settle(error=error)


def interrupted(state: State) -> AuthError:
    """
    Return what they get who wait for a task of ours that was torn.

    It was cancelled with its loop, perhaps before its first step, or struck by a Ctrl-C; in a
    loop that goes on nobody must wait for ever.
    """
    if state.closed:
        return ManagerClosed()
    return TemporaryError("This was interrupted before it was done; try again.")
