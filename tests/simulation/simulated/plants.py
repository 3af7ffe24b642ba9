"""Bugs that are planted on purpose, to see that the laws find them.

Each is a patch of the real code, in force inside a `with`. They are the mistakes that others have
made and that are easy to make; nothing else runs with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from unittest.mock import patch

import attrs

from async_auth.core.lifecycle import Lifecycle
from async_auth.core.reconcile import Proceed
from async_auth.engine import refresher as refresher_module
from async_auth.engine.broadcast import Broadcast, EventStream
from async_auth.engine.handout import Handout
from async_auth.engine.keeper import FlightDesk, Keeper
from async_auth.engine.mender import Mender
from async_auth.engine.refresher import Refresher
from async_auth.engine.scheduler import Scheduler
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.errors import Conflict, NetworkError, RefreshRejected
from async_auth.events import Lagged, TokenRefreshed


def missing_shield():
    """A cancelled caller cancels the refresh that it waits for."""
    leave = Flight.leave

    def tear(self, waiter):
        leave(self, waiter)
        # The flight's own task listens as well, and is no caller.
        caller = not asyncio.current_task().get_name().startswith("async_auth")
        if self.task and caller and isinstance(sys.exception(), asyncio.CancelledError):
            self.task.cancel()

    return _replaced(Flight, "leave", tear)


def lock_released_before_the_save():
    """The lock is let go as soon as the answer is there."""
    ask, holding = Refresher.ask, Refresher.holding

    @contextlib.asynccontextmanager
    async def early(self, errand=None):
        async with contextlib.AsyncExitStack() as stack:
            held = await stack.enter_async_context(holding(self, errand))
            _STACKS[asyncio.current_task()] = stack
            yield held

    async def ask_and_let_go(self, base, sending, **options):
        try:
            return await ask(self, base, sending, **options)
        finally:
            stack = _STACKS.pop(asyncio.current_task(), None)
            if stack is not None:
                await stack.aclose()

    return _all(_replaced(Refresher, "holding", early), _replaced(Refresher, "ask", ask_and_let_go))


_STACKS: dict[object, contextlib.AsyncExitStack] = {}


def event_inside_the_lock():
    """What is new is told at once, by whoever holds the lock."""
    refreshed = Keeper.refreshed

    def tell_at_once(self, session, *, stored):
        refreshed(self, session, stored=stored)
        self.flush()

    return _replaced(Keeper, "refreshed", tell_at_once)


def generation_not_compared():
    """What the store holds is believed to be what memory holds."""

    async def look(self, session, *, stored, told=None):
        del stored, told
        record = await self._record()
        return Proceed(None if record is None else record.generation), None

    return _replaced(Shelf, "look", look)


def lost_answer_taken_for_a_refusal():
    """An answer that was lost ends the session."""
    send = Refresher.send

    async def final(self, request):
        try:
            return await send(self, request)
        except NetworkError as error:
            if error.sent:
                raise RefreshRejected("No answer.", code="lost") from error
            raise

    return _replaced(Refresher, "send", final)


def expired_token_handed_out():
    """A token that has expired is handed out while it cannot be refreshed."""

    async def token(self, **wanted):
        held = self.state.lifecycle.held_back(self.clock.now())
        if held and self.state.token is not None:
            return self.state.token
        return await _TOKEN(self, **wanted)

    return _replaced(Handout, "token", token)


_TOKEN = Handout.token


def flight_not_joined():
    """Everyone who wants a new token begins a refresh, and one lock lets a whole process in."""
    holding, inside = Refresher.holding, set()

    @contextlib.asynccontextmanager
    async def together(self, errand=None):
        here = (id(self.ground), self.shelf.key)
        if here in inside:
            yield None
            return
        async with holding(self, errand) as held:
            inside.add(here)
            try:
                yield held
            finally:
                inside.discard(here)

    return _all(
        _replaced(Keeper, "flight_of", lambda *_: None),
        _replaced(Refresher, "holding", together),
    )


def late_401_refreshes_again():
    """A refused token is refreshed even if it is not the current one any more."""

    def refused(self, rejected):
        session = self.state.session
        return None if rejected is None or session is None else session.generation

    return _replaced(Handout, "_refused_generation", refused)


def sign_out_loses():
    """A refresh that was under way brings back what was signed out."""

    def publish(self, session, *, stored):
        self.keeper.signed_in(session, TokenRefreshed, order=self.flight.order, stored=stored)

    return _all(
        _replaced(FlightDesk, "wanted", lambda _: True),
        _replaced(FlightDesk, "publish", publish),
    )


def refusal_without_another_look():
    """A final refusal ends the session whatever others have stored meanwhile."""

    async def refused(self, base, desk, error):
        desk.end(refresher_module.reason_of(error), error)

    return _replaced(Refresher, "_refused", refused)


def back_off_ignored():
    """After a failure it is tried again at once."""
    failed = Lifecycle.failed

    def at_once(self, error, *, now, u):
        return attrs.evolve(failed(self, error, now=now, u=u), not_before=now + 0.05)

    return _replaced(Lifecycle, "failed", at_once)


def event_published_twice():
    """Every subscriber gets new tokens twice."""
    publish = Broadcast.publish

    def twice(self, event):
        publish(self, event)
        if isinstance(event, TokenRefreshed):
            publish(self, event)

    return _replaced(Broadcast, "publish", twice)


def lagged_not_counted():
    """A slow reader loses events and is told of one only."""
    beyond = EventStream._beyond

    def forgetful(self, place, gap):
        event, following = beyond(self, place, gap)
        return (attrs.evolve(event, missed=1) if isinstance(event, Lagged) else event), following

    return _replaced(EventStream, "_beyond", forgetful)


def secret_in_an_exception():
    """A failure names the token that it is about."""
    send = Refresher.send

    async def telling(self, request):
        try:
            return await send(self, request)
        except NetworkError as error:
            text = request.body.decode() or request.headers.get("Authorization", "")
            raise NetworkError(f"No answer to {text}", sent=error.sent) from error

    return _replaced(Refresher, "send", telling)


def rotated_token_dropped():
    """A save that fails drops the tokens that were to be saved."""

    def unsaved(self, session, desk, error):
        raise error

    return _replaced(Refresher, "_unsaved", unsaved)


def lease_not_asked_for():
    """Whoever has slept past the lease spends the token all the same, and saves under no lock."""

    async def blind(held):
        del held

    return _replaced(refresher_module, "still_held", blind)


def generation_restarts():
    """Every new token has generation 2."""

    def answered(self, session):
        session = attrs.evolve(session, generation=2, sign_in_id=self.base.sign_in_id)
        self.flight.answer = session
        return session

    return _replaced(FlightDesk, "answered", answered)


def conflict_ignored():
    """Whoever is told by the store that another was faster believes that its own was saved."""

    async def save(self, session, *, expected):
        with contextlib.suppress(Conflict):
            await _SAVE(self, session, expected=expected)

    return _replaced(Shelf, "save", save)


_SAVE = Shelf.save


def failed_save_forgotten():
    """A save that failed is not tried again; the next refresh may save what it gets."""

    def never(self):
        self.keeper.debts.timer = None

    return _replaced(Mender, "_start", never)


def clock_set_back_unnoticed():
    """What was planned and what expires stay where they were on the old clock."""
    return _replaced(Scheduler, "_set_back", lambda *_: None)


def close_does_not_wait():
    """A close cancels a refresh that was sent."""

    async def land(_):
        pass

    return _replaced(Keeper, "land", land)


def timer_forgotten():
    """After a failure nobody sets the timer, and whoever waits is never told."""

    def settle_nothing(self, flight, result, error, *, torn=False):
        if error is not None and flight.waiting > 1:
            return
        _LAND(self, flight, result, error, torn=torn)

    return _replaced(Keeper, "_land", settle_nothing)


_LAND = Keeper._land


def _replaced(owner, name, by):
    """Patch a function, and refuse what cannot be called as it is: that would find itself."""
    called = inspect.signature(getattr(owner, name)).parameters.values()
    for given in (called, [one for one in called if one.default is one.empty]):
        named = {one.name: None for one in given if one.kind is one.KEYWORD_ONLY}
        inspect.signature(by).bind(*[None] * (len(given) - len(named)), **named)
    return patch.object(owner, name, by)


def _all(*patches):
    stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def planted():
        with stack:
            for one in patches:
                stack.enter_context(one)
            yield

    return planted()


#: All plants, by name.
PLANTS = {
    plant.__name__: plant
    for plant in (
        missing_shield,
        lock_released_before_the_save,
        event_inside_the_lock,
        generation_not_compared,
        lost_answer_taken_for_a_refusal,
        expired_token_handed_out,
        flight_not_joined,
        late_401_refreshes_again,
        sign_out_loses,
        refusal_without_another_look,
        back_off_ignored,
        event_published_twice,
        lagged_not_counted,
        secret_in_an_exception,
        rotated_token_dropped,
        generation_restarts,
        timer_forgotten,
        lease_not_asked_for,
        conflict_ignored,
        failed_save_forgotten,
        clock_set_back_unnoticed,
        close_does_not_wait,
    )
}
