"""What one flight may do to the session that it refreshes: a keeper, seen from the refresher.

It knows which session the flight set out from and whether what it brings is still wanted; what is
done then the keeper does. It starts nothing, and waits for nothing but news (`news()`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from async_auth.core.reconcile import only_spendable
from async_auth.engine.observing import Observation
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import new_sign_in_id
from async_auth.errors import AuthSessionMissing, RefreshRejected, StoreError
from async_auth.events import TokenRefreshed
from async_auth.session import Session

if TYPE_CHECKING:  # it makes these
    from async_auth.engine.keeper import Keeper


@attrs.define(eq=False, kw_only=True)
class FlightDesk:
    """What one flight may do to the session: `refresher.Desk` for a keeper."""

    keeper: Keeper
    base: Session
    flight: Flight[Session]
    own: bool
    watch: Observation | None = None

    def stored(self) -> bool:
        """Say whether this sign-in was ever seen in the store."""
        return self.own and self.keeper.state.stored

    def wanted(self) -> bool:
        """Say whether what the flight brings may become the current session."""
        state = self.keeper.state
        if self.own:
            return state.is_current(self.base)
        session = state.session
        if session is not None and session.refresh_token == self.base.refresh_token:
            # Adopted while this flight was up already: it spends the current session's token.
            return True
        return self.flight.order > max(state.installed, state.ended)

    def newer(self) -> Session | None:
        """
        Return what memory has by now, if that is a newer generation of the same sign-in.

        Or the same one with another refresh token, which counts instead: see `Mender`.
        """
        session = self.keeper.state.session
        if session is None or not (self.own and self.keeper.state.is_current(self.base)):
            return None
        if session.generation == self.base.generation:
            return session if session.refresh_token != self.base.refresh_token else None
        return session if session.generation > self.base.generation else None

    def ahead(self) -> Session | None:
        """Return what memory has by now, if that is newer and need not be refreshed itself."""
        found = self.newer()
        if found is None or only_spendable(found, self.keeper.ground.now()):
            return None
        return found

    async def news(self) -> bool:
        """Wait until memory may have something newer; false once the flight is settled."""
        return not (await self.flight.wait(news=True)).done

    def rebased(self, session: Session) -> None:
        """Spend another process's newer token instead."""
        self.base = session
        self.keeper.also_spends(self.flight, session.refresh_token)

    def sending(self) -> None:
        """From here the request is let finish."""
        self.flight.sent = True
        if self.watch is not None:
            self.watch.sending()

    def answered(self, session: Session) -> Session:
        """Number the server's answer."""
        state = self.keeper.state
        # By what others know of this sign-in as well: a token that a server has given to two must
        # not count for more with who has seen more sign-ins.
        own = state.session if self.own and state.is_current(self.base) else None
        known = state.generation if own is None else own.generation
        generation = max(known, self.base.generation) + 1
        sign_in_id = self.base.sign_in_id if self.own else new_sign_in_id()
        session = attrs.evolve(session, generation=generation, sign_in_id=sign_in_id)
        self.flight.answer = session
        return session

    def publish(self, session: Session, *, stored: bool) -> None:
        """Make it the session that is handed out."""
        if self.own:
            self.keeper.refreshed(session, stored=stored)
            # The lock is let go of after that, which may take a server's answer.
            if session.expires_at is None or session.expires_at > self.keeper.ground.now():
                self.flight.look_again()
        else:
            self.keeper.signed_in(session, TokenRefreshed, order=self.flight.order, stored=stored)

    def dropped(self, session: Session) -> Session:
        """Give a token from outside back to its caller, unless a sign-out came between."""
        if self.own or self.flight.order < self.keeper.state.ended:
            raise AuthSessionMissing
        return session

    def end(self, reason: str, error: RefreshRejected | None) -> None:
        """End the sign-in."""
        if self.wanted():
            self.keeper.end(reason, error)

    def store_failed(
        self, error: StoreError, *, uncleared: str | None = None, up_to: int | None = None
    ) -> None:
        """Tell of it; an ended sign-in is cleared later."""
        self.keeper.mender.failed(error, uncleared=uncleared, up_to=up_to)
