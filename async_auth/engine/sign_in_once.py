"""Signing in only where nobody is signed in: one sign-in for all the workers that start together.

Promises that among everything which shares the store's lock one caller at a time signs in, and
that whoever comes after it takes the session that it has stored. What a sign-in is, and whether
it is tried again after a failure, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from async_auth.engine.keeper import Keeper
from async_auth.engine.runtime import Runtime
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State
from async_auth.errors import AuthError, AuthSessionMissing, fresh_copy
from async_auth.events import SignedIn
from async_auth.session import Session

SignIn = Callable[[], Awaitable[object]]


@attrs.define(eq=False)
class SignInOnce:
    """
    The way in for one keeper; call it from any number of tasks.

    Args:
        keeper: Who keeps the session.
    """

    keeper: Keeper
    #: The call that signs in, and the loop's runtime that it is in. What came of it is the
    #: session, an error, or nothing: then its caller was cancelled.
    _leading: tuple[Runtime, Flight[Session | Exception | None]] | None = attrs.field(
        init=False, default=None
    )

    @property
    def state(self) -> State:
        """The session in memory."""
        return self.keeper.state

    async def __call__(self, sign_in: SignIn) -> Session:
        """
        Return the session that there is; call *sign_in* first if there is none.

        It runs in the caller's task and ends with it: then one of those who wait goes on.
        """
        order = self.state.next_order()
        while (session := self._at_hand()) is None:
            flight = self._flight()
            if flight is None:
                return await self._lead(sign_in, order)
            match (await flight.wait()).result():
                case Session() as session:
                    return session
                case AuthError() as error:
                    raise fresh_copy(error)
                case Exception() as error:
                    # Not everybody's exceptions can be copied.
                    raise error
        return session

    def _flight(self) -> Flight[Session | Exception | None] | None:
        # One of another loop, or of the process that this one was forked from, never ends.
        if self._leading is None or self._leading[0] is not self.keeper.ground.runtime:
            return None
        return self._leading[1]

    async def _lead(self, sign_in: SignIn, order: int) -> Session:
        flight: Flight[Session | Exception | None] = Flight()
        self._leading = leading = (self.keeper.ground.runtime, flight)
        outcome: Session | Exception | None = None
        try:
            outcome = await self._under_lock(sign_in, order)
        except Exception as error:
            outcome = error
            raise
        else:
            return outcome
        finally:
            if self._leading is leading:
                self._leading = None
            flight.settle(outcome)

    async def _under_lock(self, sign_in: SignIn, order: int) -> Session:
        try:
            async with self.keeper.refresher.holding():
                session = await self._stored(order)
                if session is not None:
                    return session
                await sign_in()
        finally:
            self.keeper.flush()
        session = self.state.session
        if session is None:
            raise AuthSessionMissing("The sign-in has brought no session.")
        return session

    async def _stored(self, order: int) -> Session | None:
        """Return the session at hand; if there is none, make the stored one that."""
        shelf = self.keeper.shelf
        async with shelf.writing:
            found = await shelf.load()
            # Somebody here may have signed in, or out, without the lock.
            if order < self.state.ended:
                raise AuthSessionMissing("A sign-out came between.")
            session = self._at_hand()
            if session is not None:
                return session
            if found is None or self.keeper.is_over(found) or not self._serves(found):
                return None
            self.keeper.signed_in(found, SignedIn, order=order, stored=True)
            return found

    def _at_hand(self) -> Session | None:
        session = self.state.session
        return session if session is not None and self._serves(session) else None

    def _serves(self, session: Session) -> bool:
        if session.refresh_token is not None or session.expires_at is None:
            return True
        return session.expires_at > self.state.clock.now()
