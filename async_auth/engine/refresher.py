"""One refresh, from the lock to the store: the only place where a refresh token is spent.

It runs in a task of ours, never in a caller's, so that a caller who is cancelled loses nothing.
It says what came of it; what that means for the session in memory is told through `Desk`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import attrs

from async_auth.core.reconcile import Gone, Newer, Proceed, Verdict
from async_auth.engine.ground import Ground
from async_auth.engine.scheduler import TOLERANCE, Timer
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    LockTimeout,
    NetworkError,
    ProtocolError,
    RefreshRejected,
    ServerUnavailable,
    StoreError,
    TokenTheftDetected,
)
from async_auth.http_messages import Request, Response
from async_auth.session import Session

logger = logging.getLogger("async_auth.engine")


class Desk(Protocol):
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

    async def news(self) -> bool:
        """Wait until memory may have something newer; false once nobody waits for this any more."""
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


class Overtaken(Exception):
    """
    Memory has what the lock is waited for.

    Args:
        session: The newer generation.
    """

    def __init__(self, session: Session):
        super().__init__()
        self.session = session


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
            async with self.within(timeout):
                return await self.ground.transport.send(request, timeout=timeout)
        except TimeoutError as error:
            raise NetworkError(f"No answer within {timeout:g} seconds.", sent=True) from error

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[Callable[[], None]]:
        """
        Raise TimeoutError in the body after so many seconds, or when what it gets is called.

        They are counted on the monotonic clock: when a wall clock is set forward, or the machine
        wakes, what is under way has as long as it had before.
        """
        clock, scheduler = self.ground.clock, self.ground.scheduler
        end = clock.monotonic() + seconds
        timer: Timer | None = None
        async with asyncio.timeout(None) as bound:

            def expire() -> None:
                if not bound.expired():
                    bound.reschedule(0)

            def look() -> None:
                nonlocal timer
                left = end - clock.monotonic()
                if left > TOLERANCE:
                    timer = scheduler.call_at(clock.now() + left, look)
                else:
                    expire()

            timer = scheduler.call_at(clock.now() + seconds, look)
            try:
                yield expire
            finally:
                timer.cancel()

    @asynccontextmanager
    async def holding(self, desk: Desk | None = None) -> AsyncIterator[object]:
        """
        Hold the session's lock in the body, which gets what the lock gives.

        Args:
            desk: Of a flight that leaves the line when it has nothing left to ask for.

        Raises:
            LockTimeout: Somebody else kept it for too long.
            Overtaken: Memory had what *desk* wants before it was our turn.
            StoreError: The lock does not work.
        """
        patience = self.ground.policy.lock_timeout
        hold = self.ground.lock.hold(self.shelf.key)
        found: Session | None = None
        try:
            async with self.within(patience) as expire:

                def leave(news: Session) -> None:
                    nonlocal found
                    # Kept: by the time that the line is left it may be gone again, or expired.
                    found = news
                    expire()

                with self._heeding(desk, leave):
                    held = await hold.__aenter__()
        except TimeoutError as error:
            if found is None and desk is not None:
                found = self._ahead(desk)
            if found is not None:
                raise Overtaken(found) from None
            raise LockTimeout(
                f"Somebody else has held the session's lock for {patience:g} seconds."
            ) from error
        try:
            yield held
        finally:
            # Whatever was received is saved by now: a lock that fails to let go costs only time.
            try:
                await hold.__aexit__(None, None, None)
            except Exception:
                logger.exception("The lock of session %r was not released", self.shelf.key)

    @contextmanager
    def _heeding(self, desk: Desk | None, overtaken: Callable[[Session], None]) -> Iterator[None]:
        """Call *overtaken*, while the body waits, with what *desk* wants once memory has it."""
        if desk is None:
            yield
            return
        listening: asyncio.Task[None] | None = None

        async def listen() -> None:
            while (found := self._ahead(desk)) is None:
                if not await desk.news():
                    return
            overtaken(found)

        def begin() -> None:
            nonlocal listening
            work = listen()
            listening = self.ground.runtime.spawn(work, name="async_auth news", at_once=True)

        # Soon, not now: a lock that nobody else wants is given without a wait.
        beginning = asyncio.get_running_loop().call_soon(begin)
        try:
            yield
        finally:
            beginning.cancel()
            if listening is not None:
                listening.cancel()

    def _ahead(self, desk: Desk) -> Session | None:
        """Return what memory has by now, if that is newer and need not be refreshed itself."""
        found = desk.newer()
        return None if found is None or self._spendable(found) else found

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
            if not self._spendable(found):
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
            if look and self._spendable(found):
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

    def _spendable(self, session: Session) -> bool:
        # Another process rotated and then fell asleep: its token is newer, and as dead as ours.
        expired = session.expires_at is not None and session.expires_at <= self.ground.clock.now()
        return expired and session.refresh_token is not None

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


async def still_held(held: object) -> None:
    """
    Ask what the lock gave whether it is still ours, if it can be lost.

    Raises:
        LockTimeout: It is not, or not for long.
        StoreError: Nobody can say.
    """
    check = getattr(held, "check", None)
    if check is not None:
        await check()


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
