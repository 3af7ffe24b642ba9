"""Beginning, changing and ending sign-ins: the store and the server, in tasks of ours.

Callers wait here and may be cancelled; the work goes on. What is adopted and what is ended in
memory is the keeper's; the order of calls, not of answers, decides which sign-in stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import attrs

from async_auth.core.reconcile import Newer, Proceed
from async_auth.engine.keeper import Keeper
from async_auth.engine.refresher import temporary
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State, new_sign_in_id
from async_auth.errors import AuthSessionMissing, RefreshRejected, StoreError
from async_auth.events import Event, UserUpdated
from async_auth.session import Session

T = TypeVar("T")

#: Has the stored session loaded.
Ready = Callable[[], Awaitable[None]]


@attrs.define(eq=False)
class SignIns:
    """
    Begins and ends the sign-ins of one keeper.

    It keeps nothing of its own, so it may be made anew for each call.

    Args:
        keeper: Who keeps the session.
    """

    keeper: Keeper

    @property
    def state(self) -> State:
        """The session in memory."""
        return self.keeper.state

    @property
    def shelf(self) -> Shelf:
        """The session in the store."""
        return self.keeper.shelf

    async def adopt(
        self, session: Session, *, event: type[Event], order: int, ready: Ready
    ) -> Session:
        """Make *session* the current one, unless a later call has been faster."""
        flight: Flight[Session] = Flight(order=order)
        work = self._adopt(flight, session, event, ready)
        return await self._see_through(flight, work, name="async_auth sign-in")

    async def replace_user(self, session: Session, user: Any) -> None:
        """Make *user* that of the current session, if it is of *session*'s sign-in."""
        flight: Flight[None] = Flight()
        work = self._replace_user(flight, session, user)
        await self._see_through(flight, work, name="async_auth user")

    async def amend(self, session: Session, change: Callable[[Session], Session | None]) -> None:
        """Make what *change* returns the current session, if that is *session*'s generation."""
        flight: Flight[None] = Flight()
        work = self._amend(flight, session, change)
        await self._see_through(flight, work, name="async_auth amendment")

    async def sign_out(self, session: Session, options: dict[str, Any]) -> None:
        """End *session* here, then in the store, then at the server."""
        up = self.keeper.flight_of(session.refresh_token or "")
        self._end("user", by_call=True)
        self.keeper.flush()
        await self._see_off(session, up, options)

    async def discard(self, session: Session, reason: str) -> None:
        """End *session*, of which the server says that it is over, here and in the store."""
        self._end(reason)
        self.keeper.flush()
        await self._see_off(session, None, None)

    async def discard_unless_newer(self, session: Session, reason: str) -> None:
        """Do that, but take what another process has stored for the same sign-in meanwhile."""
        flight: Flight[None] = Flight()
        work = self._discard_unless_newer(flight, session, reason)
        await self._see_through(flight, work, name="async_auth refusal")

    async def _see_through(
        self, flight: Flight[T], work: Coroutine[Any, Any, None], *, name: str
    ) -> T:
        """Do the work in a task of ours and wait for what it settles; waiting can be cancelled."""
        self.keeper.run(work, name=name, outcome=flight)
        await flight.wait()
        return flight.result()

    def _end(self, reason: str, *, by_call: bool = False) -> None:
        self.keeper.end(reason, by_call=by_call)
        # Only the user's word also ends what a token from outside is being spent for.
        self.keeper.dismiss(AuthSessionMissing(), own_only=not by_call)

    async def _adopt(
        self, flight: Flight[Session], session: Session, event: type[Event], ready: Ready
    ) -> None:
        try:
            await ready()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            flight.settle(error=error)
            return
        async with self.shelf.writing:
            if flight.order < max(self.state.installed, self.state.ended):
                self._too_late(flight, session)
                return
            new, failure = await self._store(session)
            if flight.order < self.state.ended:
                await self._clear(new)
                self._too_late(flight, session)
                return
            self.keeper.signed_in(new, event, order=flight.order, stored=failure is None)
            failure = failure or self.shelf.take_damage()
            if failure is not None:
                self.keeper.mender.failed(failure)
        self.keeper.flush()
        flight.settle(new)

    async def _replace_user(self, flight: Flight[None], session: Session, user: Any) -> None:
        async with self.shelf.writing:
            current = self.state.session
            if current is not None and self.state.is_current(session):
                new = attrs.evolve(current, user=user)
                self.keeper.amended(new)
                self.keeper.later(self.keeper.event(UserUpdated))
                await self._rewrite(new)
        self.keeper.flush()
        flight.settle()

    async def _amend(
        self,
        flight: Flight[None],
        session: Session,
        change: Callable[[Session], Session | None],
    ) -> None:
        async with self.shelf.writing:
            current = self.state.session
            if current is not None and current.generation == session.generation:
                new = change(current)
                if new is not None:
                    new = attrs.evolve(
                        new, generation=current.generation, sign_in_id=current.sign_in_id
                    )
                    self.keeper.amended(new)
                    await self._rewrite(new)
        self.keeper.flush()
        flight.settle()

    async def _discard_unless_newer(
        self, flight: Flight[None], session: Session, reason: str
    ) -> None:
        failure: StoreError | None = None
        async with self.shelf.writing:
            found = await self._newer(session)
            current = self.state.session
            if current is None or current.generation != session.generation:
                pass
            elif found is not None:
                self.keeper.refreshed(found, stored=True)
                self.keeper.arm()
            else:
                self._end(reason)
                failure = await self._clear(session, up_to=session.generation)
        self.keeper.flush()
        flight.settle(error=failure)

    async def _newer(self, session: Session) -> Session | None:
        try:
            verdict, found = await self.shelf.look(session, stored=self.state.stored)
        except StoreError:
            # Clearing it is told of if that fails as well.
            return None
        return found if isinstance(verdict, Newer) else None

    async def _rewrite(self, session: Session) -> None:
        """Save what has just become the current session; it is no newer generation."""
        mender = self.keeper.mender
        try:
            verdict, _ = await self.shelf.look(session, stored=self.state.stored)
        except StoreError as error:
            mender.not_saved(session, error)
            return
        if not isinstance(verdict, Proceed):
            # Another process has rotated, or ended, this sign-in: what it stored stays, and
            # whoever refreshes next here takes that.
            return
        if verdict.expected == session.generation and mender.unsaved:
            # Ours, or another's that a forgiving server gave to two: the next retry sees which.
            return
        await mender.save(session, expected=verdict.expected)

    async def _store(self, session: Session) -> tuple[Session, StoreError | None]:
        new = attrs.evolve(
            session, generation=self.state.generation + 1, sign_in_id=new_sign_in_id()
        )
        try:
            return await self.shelf.overwrite(new), None
        except StoreError as error:
            # Signed in all the same: the session lives in memory, and the save is retried.
            return new, error

    def _too_late(self, flight: Flight[Session], session: Session) -> None:
        if flight.order < self.state.ended:
            flight.settle(error=AuthSessionMissing("A sign-out came between."))
        else:
            flight.settle(session)

    async def _see_off(
        self, session: Session, up: Flight[Session] | None, options: dict[str, Any] | None
    ) -> None:
        done: Flight[None] = Flight()
        work = self._end_everywhere(done, session, up, options)
        await self._see_through(done, work, name="async_auth sign-out")

    async def _end_everywhere(
        self,
        done: Flight[None],
        session: Session,
        up: Flight[Session] | None,
        options: dict[str, Any] | None,
    ) -> None:
        failure: Exception | None = None
        try:
            async with self.shelf.writing:
                failure = await self._clear(session)
            if options is not None:
                await self._tell_server(session, up, options)
        except RefreshRejected:
            # The server ended it before we could: what was asked for is so.
            pass
        except Exception as error:  # noqa: BLE001
            # A stranger's provider or transport: the caller is told, the session stays ended.
            failure = temporary(error)
        finally:
            self.keeper.flush()
        done.settle(error=failure)

    async def _clear(self, session: Session, *, up_to: int | None = None) -> StoreError | None:
        try:
            await self.shelf.clear(session.sign_in_id, up_to=up_to)
        except StoreError as error:
            self.keeper.mender.failed(error, uncleared=session.sign_in_id, up_to=up_to)
            return error
        return None

    async def _tell_server(
        self, session: Session, up: Flight[Session] | None, options: dict[str, Any]
    ) -> None:
        provider = self.shelf.provider
        sign_out_request = getattr(provider, "sign_out_request", None)
        if sign_out_request is None:
            return
        live = await self._live(session, up)
        if live is None:
            return
        response = await self.keeper.refresher.send(sign_out_request(live, **options))
        parse = getattr(provider, "parse_sign_out", None)
        if parse is not None:
            parse(response, live)

    async def _live(self, session: Session, up: Flight[Session] | None) -> Session | None:
        """Return the ended session with a token that is good enough to say goodbye with."""
        if not self._expired(session):
            return session
        if up is not None and up.task is not None:
            # Its request may have spent the refresh token already.
            await asyncio.wait({up.task})
            if up.answer is not None and not self._expired(up.answer):
                return up.answer
        if session.refresh_token is None:
            return None
        refresher = self.keeper.refresher
        async with refresher.turn(), refresher.holding():
            return await refresher.ask(session, lambda: None)

    def _expired(self, session: Session) -> bool:
        return (
            session.expires_at is not None and session.expires_at <= self.keeper.ground.clock.now()
        )
