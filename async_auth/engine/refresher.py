"""One refresh, from the lock to the store: the only place where a refresh token is spent.

It runs in a task of ours, never in a caller's, so that a caller who is cancelled loses nothing.
It says what came of it; what that means for the session in memory is told through `Desk`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import attrs

from async_auth.core.reconcile import Gone, Newer, Proceed, Verdict, only_spendable
from async_auth.engine.ground import Ground
from async_auth.engine.lock_line import Errand, LockLine, Overtaken, still_held
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.engine.time_limit import time_limit
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    NetworkError,
    ProtocolError,
    RefreshRejected,
    ServerUnavailable,
    StoreError,
    TokenTheftDetected,
)
from async_auth.http_messages import Request, Response
from async_auth.session import Session


class Desk(Errand, Protocol):
    """Where a refresh reports, synchronously, while it holds the lock, and hears before of news."""

    def stored(self) -> bool:
        """Say whether this sign-in was ever seen in the store."""
        ...

    def wanted(self) -> bool:
        """Say whether the sign-in is still the one to refresh."""
        ...

    def newer(self) -> Session | None:
        """Return what memory has of the same sign-in by now, if that is to be spent instead."""
        ...

    def rebased(self, session: Session) -> None:
        """Another process's newer token is spent instead of the one this began with."""
        ...

    def sending(self) -> None:
        """From here the request must be let finish."""
        ...

    def answered(self, session: Session) -> Session:
        """Take what the server gave; return it with the generation it shall have."""
        ...

    def publish(self, session: Session, *, stored: bool) -> None:
        """Make it the session that is handed out."""
        ...

    def end(self, reason: str, error: RefreshRejected | None) -> None:
        """The sign-in is over."""
        ...

    def dropped(self, session: Session) -> Session:
        """
        Say what the callers get of a session that came too late to be the current one.

        Raises:
            AuthSessionMissing: They get nothing.
        """
        ...

    def store_failed(
        self, error: StoreError, *, uncleared: str | None = None, up_to: int | None = None
    ) -> None:
        """
        The store did not work; the session lives on in memory.

        Args:
            error: What happened.
            uncleared: An ended sign-in whose record is still in the store.
            up_to: The last generation of it that has ended; by default all.
        """
        ...


@attrs.define(eq=False)
class Refresher:
    """
    What a refresh needs; safe to use for several refreshes at a time.

    It keeps nothing of its own, so it may be made anew for each.

    Args:
        ground: What the session shares with others.
        shelf: The session in the store.
    """

    ground: Ground
    shelf: Shelf

    async def refresh(
        self, base: Session, desk: Desk, *, own: bool, look_first: bool, look: bool
    ) -> Session:
        """
        Spend the refresh token of *base* once, or adopt what another process got for it.

        Args:
            base: The session whose token is spent.
            desk: Where to report.
            own: Whether *base* is the current sign-in, rather than a token from outside.
            look_first: Whether rotations that were stored before now are only the starting point.
            look: Whether a rotation found under the lock, or told of while it is waited for, is
                adopted instead of asking.

        Returns:
            The session that the caller gets.

        Raises:
            AuthSessionMissing: The sign-in is over or replaced.
            RefreshRejected: The server refused the token for good.
            AuthError: Anything else; temporary.
        """
        if look_first:
            base = await self._catch_up(base, desk)
        try:
            return await self._refresh(base, desk, own=own, look=look)
        except Overtaken as news:
            if not desk.wanted():
                # A sign-out came before the line was left.
                raise AuthSessionMissing from None
            return news.session

    async def _refresh(self, base: Session, desk: Desk, *, own: bool, look: bool) -> Session:
        async with self.holding(desk if own and look else None) as held:
            expected: int | None = None
            if own:
                base, expected, adopted = await self._set_out(base, desk, look=look)
                if adopted:
                    return base
            await still_held(held)
            try:
                answer = await self.ask(base, desk.sending, unless=desk.newer if look else None)
            except NetworkError:
                newer = desk.newer() if look else None
                if newer is None:
                    raise
                return newer
            except RefreshRejected as error:
                found = await self._refused(base, desk, error) if own else None
                if found is None or not look:
                    raise
                return found
            async with self.shelf.writing:
                if own:
                    return await self._keep(desk.answered(answer), base, desk, expected)
                return await self._bring_in(desk.answered(answer), desk)

    async def ask(
        self,
        base: Session,
        sending: Callable[[], None],
        *,
        unless: Callable[[], object | None] | None = None,
    ) -> Session:
        """
        Send the refresh request; a lost response is asked for once more with the same token.

        Args:
            base: The session whose token is spent.
            sending: Called before each request.
            unless: Says whether somebody has brought a newer token meanwhile, such as who took
                our lock while this machine slept. Then the old one is not sent again: a strict
                server would take that for a theft.

        Raises:
            AuthError: As the provider or the transport says.
        """
        try:
            return await self._ask(base, sending)
        except NetworkError as error:
            if not error.sent or (unless is not None and unless() is not None):
                raise
            if self.ground.turnstile is not None:
                # It was let in for one request.
                self.ground.turnstile.charge()
            return await self._ask(base, sending)

    async def _ask(self, base: Session, sending: Callable[[], None]) -> Session:
        clock, provider = self.ground.clock, self.shelf.provider
        sent_at, began = clock.now(), clock.monotonic()
        request = provider.refresh_request(base, now=sent_at)
        sending()
        response = await self.send(request)
        # Was the wall clock set meanwhile? Everyone else hears of it before there is a token that
        # was counted on the new one. The earlier of the two is right whether it was set back or
        # the machine slept.
        self.ground.scheduler.look()
        now = clock.now()
        sent_at = min(sent_at, now - (clock.monotonic() - began))
        return provider.parse_refresh(response, base, sent_at=sent_at, now=now)

    async def send(self, request: Request) -> Response:
        """
        Send a request of ours, bounded by one total timeout.

        Raises:
            NetworkError: No answer.
        """
        timeout = self.ground.policy.request_timeout
        try:
            # Bounded on *our* clock too: a transport may forget its timeout, or be simulated.
            async with time_limit(self.ground, timeout):
                return await self.ground.transport.send(request, timeout=timeout)
        except TimeoutError as error:
            raise NetworkError(f"No answer within {timeout:g} seconds.", sent=True) from error

    def holding(self, errand: Errand | None = None) -> AbstractAsyncContextManager[object]:
        """Hold the session's lock; see `LockLine.hold`."""
        return LockLine(self.ground, self.shelf.key).hold(errand)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """
        Wait for a turn among all refreshes, and have it in the body; for those without a flight.

        Raises:
            ServerUnavailable: It would not come within the policy's `lock_timeout`.
        """
        turnstile = self.ground.turnstile
        if turnstile is None:
            yield
            return
        gate: Flight[None] = Flight()
        runtime = self.ground.bound
        ticket = turnstile.enter(gate.settle, at=self.ground.clock.now(), urgent=True)
        try:
            wait = turnstile.wait_for(ticket)
            if wait > self.ground.policy.lock_timeout:
                raise too_busy(wait)
            await gate.wait()
            yield
        finally:
            if ticket.admitted:
                # One of a loop that was replaced is counted no more.
                if self.ground.bound is runtime:
                    turnstile.leave()
            else:
                ticket.cancel()

    async def _catch_up(self, base: Session, desk: Desk) -> Session:
        try:
            verdict, found = await self.shelf.look(base, stored=desk.stored())
        except StoreError:
            # It is looked at again under the lock, and told there.
            return base
        if found is None or found.refresh_token is None or not desk.wanted():
            return base
        if isinstance(verdict, Newer):
            if not only_spendable(found, self.ground.clock.now()):
                desk.publish(found, stored=True)
            desk.rebased(found)
            return found
        return base

    async def _set_out(
        self, base: Session, desk: Desk, *, look: bool
    ) -> tuple[Session, int | None, bool]:
        """Return what to spend, the generation to replace, and whether it serves as it is."""
        verdict, found = await self._look(base, desk)
        if isinstance(verdict, Proceed):
            return base, verdict.expected, False
        if found is not None:
            if look and only_spendable(found, self.ground.clock.now()):
                # Published, it would look like a server that repeats itself.
                desk.rebased(found)
                return found, found.generation, False
            desk.publish(found, stored=True)
            return (found, None, True) if look else (base, found.generation, False)
        if look:
            desk.end("elsewhere", None)
            raise AuthSessionMissing
        # The caller's own token is sent whatever the store says; the save will find out.
        return base, base.generation, False

    async def _look(self, base: Session, desk: Desk) -> tuple[Verdict, Session | None]:
        verdict: Verdict
        try:
            verdict, found = await self.shelf.look(base, stored=desk.stored())
            failure = self.shelf.take_damage()
        except StoreError as error:
            # We hold the lock, so nobody is spending the token; compare-and-swap guards the rest.
            verdict, found, failure = Proceed(base.generation), None, error
        newer = desk.newer()
        if isinstance(verdict, Proceed) and newer is not None:
            # The store told of it while it still could; now it is away, or has lost its record.
            verdict, found = Newer(), newer
        if not desk.wanted():
            raise AuthSessionMissing
        if failure is not None:
            desk.store_failed(failure)
        return verdict, found

    async def _refused(self, base: Session, desk: Desk, error: RefreshRejected) -> Session | None:
        # Another process may have rotated while no lock was shared: then the session lives.
        try:
            verdict, found = await self.shelf.look(base, stored=desk.stored())
        except StoreError as unreadable:
            desk.store_failed(unreadable)
            raise unreadable from error
        if not desk.wanted():
            return None
        if isinstance(verdict, Newer) and found is not None:
            desk.publish(found, stored=True)
            return found
        desk.end(reason_of(error), error)
        try:
            await self.shelf.clear(base.sign_in_id, up_to=base.generation)
        except StoreError as failure:
            desk.store_failed(failure, uncleared=base.sign_in_id, up_to=base.generation)
        return None

    async def _keep(
        self, session: Session, base: Session, desk: Desk, expected: int | None
    ) -> Session:
        if not desk.wanted():
            return desk.dropped(session)
        stored = desk.stored()
        if stored and expected is None:
            # A new sign-in was saved while its token was being spent: that is no longer overwritten.
            expected = base.generation
        try:
            verdict, found = await self.shelf.keep(
                session, base=base, expected=expected, stored=stored
            )
        except StoreError as error:
            return self._unsaved(session, desk, error)
        if not desk.wanted():
            return await self._take_back(session, desk)
        match verdict:
            case Newer() if found is not None:
                desk.publish(found, stored=True)
                return found
            case Gone():
                desk.end("elsewhere", None)
                raise AuthSessionMissing
            case _:
                desk.publish(session, stored=True)
                return session

    async def _bring_in(self, session: Session, desk: Desk) -> Session:
        if not desk.wanted():
            return desk.dropped(session)
        try:
            session = await self.shelf.overwrite(session)
        except StoreError as error:
            return self._unsaved(session, desk, error)
        if not desk.wanted():
            return await self._take_back(session, desk)
        desk.publish(session, stored=True)
        return session

    def _unsaved(self, session: Session, desk: Desk, error: StoreError) -> Session:
        # A rotated token is never dropped: it lives in memory, and the save is retried.
        if not desk.wanted():
            return desk.dropped(session)
        desk.publish(session, stored=False)
        desk.store_failed(error)
        return session

    async def _take_back(self, session: Session, desk: Desk) -> Session:
        # Signed out or replaced between the check and the write.
        try:
            await self.shelf.clear(session.sign_in_id)
        except StoreError as error:
            desk.store_failed(error, uncleared=session.sign_in_id)
        return desk.dropped(session)


def too_busy(wait: float) -> ServerUnavailable:
    """Return the error of a caller whose refresh would have to wait for *wait* seconds."""
    return ServerUnavailable(
        "Too many sessions are waiting to be refreshed; try again later.", retry_after=wait
    )


def reason_of(error: RefreshRejected) -> str:
    """Return the word in `SignedOut.reason` for a refusal."""
    if isinstance(error, TokenTheftDetected):
        return "theft"
    return "session_not_found" if error.code == "session_not_found" else "rejected"


def temporary(error: Exception) -> AuthError:
    """Return the error that stands for whatever a stranger's code raised."""
    if isinstance(error, AuthError):
        return error
    wrapped = ProtocolError(f"An unexpected {type(error).__name__} ended the refresh.")
    wrapped.__cause__ = error
    return wrapped
