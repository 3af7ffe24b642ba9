"""What callers get, and how long they wait for it.

It runs in the callers' tasks and does none of the work: it looks at the state, joins a flight,
and looks again. Whoever is cancelled in here leaves no trace.
"""

from __future__ import annotations

import asyncio

import attrs

from async_auth.core.lifecycle import Lifecycle
from async_auth.engine.keeper import Keeper
from async_auth.engine.member import Member
from async_auth.engine.refresher import temporary, too_busy
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ManagerClosed,
    RefreshRejected,
    ServerUnavailable,
    SignInRequired,
    TemporaryError,
    fresh_copy,
)
from async_auth.ports import Clock
from async_auth.session import AccessToken, Session


def flight_up(member: Member, session: Session) -> Flight[Session] | None:
    """
    Return the flight for which whoever wants a token now waits first, if it is up already.

    So it is for nearly all of very many who come together. Else `None`: then a `Handout` finds
    out what is to be done.

    Args:
        member: Whose token is wanted.
        session: Its session.
    """
    keeper, state = member.keeper, member.state
    flight = keeper.flight_of(session.refresh_token or "")
    home = keeper.ground.broadcast.home
    if flight is None or not member.loaded or not home.is_in(asyncio.get_running_loop()):
        return None
    if flight.ticket is not None and flight.ticket.waiting:
        return None
    keeper.ground.scheduler.look()
    now = keeper.ground.now()
    # The look may have brought another time, and with it another wording of the session.
    if now < state.until or state.session is not session or state.lifecycle.held_back(now):
        return None
    return flight


@attrs.define(eq=False)
class Handout:
    """
    Hands out the session of one keeper, which is bound and loaded when it is called.

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
    def clock(self) -> Clock:
        """What time it is."""
        return self.keeper.ground.clock

    async def token(
        self,
        *,
        min_ttl: float | None = None,
        rejected: AccessToken | str | None = None,
        waited: tuple[Flight[Session], str] | None = None,
    ) -> AccessToken:
        """
        Return a token with more than *min_ttl* left that is not the *rejected* one.

        Args:
            min_ttl: Seconds it must have left.
            rejected: The one that was refused.
            waited: The flight that was waited for already, and the id of the sign-in then.
        """
        refused = self._refused_generation(rejected)
        begun, flown = self._sign_in_id(), False
        if waited is not None:
            flight, begun = waited
            flown = self._has_ended(flight)
        while self.state.pinned is None and (session := self.state.session) is not None:
            self._same_sign_in(begun)
            lifecycle, now = self.state.lifecycle, self.clock.now()
            left = lifecycle.left(now)
            enough = left > lifecycle.min_ttl(min_ttl) and session.generation != refused
            if enough or (left > 0 and self._cannot_refresh(lifecycle, now, flown=flown)):
                return self._token()
            if left <= 0 and self._cannot_refresh(lifecycle, now, flown=flown):
                await self._say_why(lifecycle, flown=flown)
                continue
            flight = self.keeper.begin(session)
            if self._too_long(flight, left):
                return self._token()
            await flight.wait(news=True)
            flown = self._has_ended(flight) or flown
        if self.state.pinned is not None:
            # Whatever has become of the session, unless that was the manager's end.
            return self._token()
        self._nobody()
        raise AuthSessionMissing

    def _has_ended(self, flight: Flight[Session]) -> bool:
        """Say whether a flight has ended; raise what ended it if that leaves no token to give."""
        if flight.done and self.state.pinned is None:
            self._after(flight)
        return flight.done

    async def session(self) -> Session | None:
        """Return the session; one within its margin is refreshed first, while there is time."""
        begun = self._sign_in_id()
        flown = False
        while (session := self.state.session) is not None:
            self._same_sign_in(begun)
            lifecycle, now = self.state.lifecycle, self.clock.now()
            left = lifecycle.left(now)
            if left > lifecycle.margin:
                return session
            if self._cannot_refresh(lifecycle, now, flown=flown):
                if left > 0:
                    return session
                await self._say_why(lifecycle, flown=flown)
                continue
            flight = self.keeper.begin(session)
            if self._too_long(flight, left):
                return session
            if await self._ended_in_time(flight, lifecycle, now):
                flown = True
                self._after(flight)
            elif self.state.session is session and lifecycle.left(self.clock.now()) > 0:
                return session
        self._nobody()
        if begun is not None:
            raise AuthSessionMissing
        return None

    def _too_long(self, flight: Flight[Session], left: float) -> bool:
        """
        Say whether a flight's turn is so far away that nobody should wait for it.

        Raises:
            ServerUnavailable: It is, and the token there is has expired.
        """
        wait = self.keeper.turn_in(flight)
        if wait <= self.keeper.ground.policy.lock_timeout:
            return False
        if left <= 0:
            raise too_busy(wait)
        return True

    async def _ended_in_time(
        self, flight: Flight[Session], lifecycle: Lifecycle, now: float
    ) -> bool:
        # While the token is good nobody waits past the moment where get_token() would; whoever
        # comes later than that waits until it has expired, and then as long as it takes.
        left, min_ttl = lifecycle.left(now), lifecycle.min_ttl()
        until = None
        if left > 0:
            until = lifecycle.expires_at - (min_ttl if left > min_ttl else 0.0)
        await flight.wait(until=until, scheduler=self.keeper.ground.scheduler, news=True)
        return flight.done

    def _token(self) -> AccessToken:
        token = self.state.token
        if token is None:
            raise ManagerClosed
        return token

    def _cannot_refresh(self, lifecycle: Lifecycle, now: float, *, flown: bool) -> bool:
        session = lifecycle.session
        without = session is None or session.refresh_token is None
        return without or flown or lifecycle.held_back(now)

    async def _say_why(self, lifecycle: Lifecycle, *, flown: bool) -> None:
        """Raise why an expired session is not refreshed now, or wait out the least interval."""
        session = lifecycle.session
        if session is None or session.refresh_token is None:
            raise AuthSessionMissing("The session has expired and has no refresh token.")
        if lifecycle.error is not None:
            raise self._for_now(lifecycle.error)
        if flown or lifecycle.stale:
            raise self._for_now(ServerUnavailable("The server's new token has expired already."))
        # The last refresh succeeded less than `min_interval` ago: a short wait, not an error.
        pause = self.keeper.pause()
        await pause.wait(until=lifecycle.not_before, scheduler=self.keeper.ground.scheduler)
        if pause.done:
            pause.result()

    def _after(self, flight: Flight[Session]) -> None:
        """Raise what ended a flight, unless there is still a valid token to give."""
        error = flight.error
        if error is None or isinstance(error, RefreshRejected):
            # The rejection of the current session has left its mark in the state.
            return
        if isinstance(error, ManagerClosed):
            raise error
        if self.state.session is None:
            raise error if isinstance(error, SignInRequired) else AuthSessionMissing()
        if self.state.lifecycle.left(self.clock.now()) <= 0:
            raise self._for_now(temporary(error))

    def _for_now(self, error: AuthError) -> TemporaryError:
        """Return *error* as one that says when to try again."""
        told: TemporaryError
        if isinstance(error, TemporaryError):
            told = fresh_copy(error)
        else:
            told = ServerUnavailable(
                "The session cannot be refreshed for now.", code=error.code, status=error.status
            )
            told.__cause__ = error
        told.retry_after = max(0.0, self.state.lifecycle.not_before - self.clock.now())
        return told

    def _refused_generation(self, rejected: AccessToken | str | None) -> int | None:
        session = self.state.session
        if isinstance(rejected, AccessToken):
            return rejected.generation
        if rejected is not None and session is not None and session.access_token == rejected:
            return session.generation
        return None

    def _sign_in_id(self) -> str | None:
        session = self.state.session
        return None if session is None else session.sign_in_id

    def _same_sign_in(self, begun: str | None) -> None:
        # Whoever waited for one account's token must not be given another's.
        if self._sign_in_id() != begun:
            raise AuthSessionMissing("Another sign-in has replaced this session.")

    def _nobody(self) -> None:
        rejection = self.state.lifecycle.rejection
        if rejection is not None:
            raise fresh_copy(rejection)
