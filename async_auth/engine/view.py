"""What can be seen of one session, whoever keeps it: all that needs no I/O and changes nothing.

It shows what is in memory, shows no secret where it is printed, and begins nothing.
"""

from __future__ import annotations

from async_auth.engine.census import Census, count
from async_auth.engine.household import Household
from async_auth.engine.member import Member
from async_auth.ports import Clock, RefreshLock, SessionStore
from async_auth.session import AccessToken, Session, Status


class SessionView:
    """The members of a `SessionHandle` that only look."""

    __slots__ = ()

    key: str
    _home: Household

    def _found(self) -> Member | None:
        """Return the session's place in memory, if it has one."""
        raise NotImplementedError

    @property
    def _closed(self) -> bool:
        """Whether `aclose()` was called."""
        raise NotImplementedError

    @property
    def store(self) -> SessionStore:
        """Where the session is kept."""
        return self._home.ground.store

    @property
    def clock(self) -> Clock:
        """What time it is for the session."""
        return self._home.ground.clock

    @property
    def session(self) -> Session | None:
        """The session in memory, expired or not. No I/O."""
        member = self._found()
        return None if member is None else member.state.session

    @property
    def status(self) -> Status:
        """The session's status. No I/O; SIGNED_OUT until it is started."""
        if self._closed:
            return Status.CLOSED
        member = self._found()
        return Status.SIGNED_OUT if member is None else member.state.status

    @property
    def token_at_hand(self) -> AccessToken | None:
        """The pinned token, else the session's if it has not expired. No I/O, no refresh."""
        member = self._found()
        token = None if member is None else member.state.token
        now = self._home.ground.clock.now()
        if token is None or token.expires_at is None or token.expires_at > now:
            return token
        return None

    @property
    def lock(self) -> RefreshLock:
        """Who may refresh the session."""
        return self._home.ground.lock

    def census(self) -> Census:
        """Count the session in memory by its status: one, or none. No I/O; from any thread."""
        member = None if self._closed else self._found()
        ground = self._home.ground
        return count(
            () if member is None else (member.state,),
            now=ground.clock.now(),
            active_for=ground.active_for,
        )

    def __repr__(self) -> str:
        session = self.session
        generation = "" if session is None else f", generation {session.generation}"
        count = self._home.ground.broadcast.count(self.key)
        return (
            f"<{type(self).__name__} {self.key!r}: {self.status.value}{generation}, "
            f"{count} subscriber{'' if count == 1 else 's'}>"
        )

    def to_html(self, kind: str | None = None) -> str:
        """
        Return what a notebook shows: status, life and next refresh, the last events. No I/O.

        It has no script, takes its colours from the page, and shows no token and no e-mail address.

        Args:
            kind: What is shown as the kind of object; by default the class's name.
        """
        from async_auth.notebook import cards, markup

        ground, member = self._home.ground, self._found()
        card = cards.session_card(
            kind or type(self).__name__,
            self.key,
            self.status,
            self.session,
            now=ground.clock.now(),
            plan=None if self._closed or member is None else member.plan(),
            # A copy first: another thread may be told of something meanwhile.
            recent=[told for told in list(ground.broadcast.recent) if told.key == self.key],
        )
        return markup.html_of(card)

    def _repr_html_(self) -> str:
        return self.to_html()
