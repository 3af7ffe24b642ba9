"""What a manager knows of its session right now: memory only, synchronous, no waiting.

Every change goes through one of its methods, which keep the hot path's three fields (`token`,
`since`, `until`) in step with the lifecycle. Generations count up and never restart, also over
sign-outs; a new sign-in draws a new id.
"""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Callable, Iterator

import attrs

from async_auth.core.lifecycle import Lifecycle
from async_auth.core.policy import RefreshPolicy
from async_auth.errors import AuthError, RefreshRejected
from async_auth.ports import Clock
from async_auth.session import AccessToken, Session, Status

_PINNED_SINCE, _PINNED_UNTIL = -math.inf, math.inf


def new_sign_in_id() -> str:
    """Return an id that no other sign-in has."""
    return uuid.uuid4().hex


@attrs.define(eq=False)
class State:
    """
    The session in memory.

    Args:
        policy: The times that govern it.
        clock: What time it is.
        random: Uniform in 0..1; drawn once per token and once per failure.
        orders: Counts the calls that begin or end a sign-in.
        generation: The highest generation ever seen under this key.
        used: When the session was last asked for; infinite where nobody keeps account of that.
        weigh: Told how often, per second, the session had to be refreshed, and now has to be.
    """

    policy: RefreshPolicy
    clock: Clock
    random: Callable[[], float]
    #: Orders the calls that begin or end a sign-in; the later call wins whoever answers first.
    orders: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), repr=False)
    generation: int = 0
    used: float = math.inf
    weigh: Callable[[float, float], None] | None = attrs.field(default=None, repr=False)
    lifecycle: Lifecycle = attrs.field(init=False)
    #: The hot path hands out `token` while `since <= now < until`.
    token: AccessToken | None = None
    since: float = math.inf
    until: float = -math.inf
    #: When the session comes within its margin; `get_session()` gives it while `now < due`.
    due: float = -math.inf
    #: Whether the current sign-in was ever seen in the store.
    stored: bool = False
    pinned: AccessToken | None = None
    closed: bool = False
    #: The places of the last sign-in that was taken, and of the user's last sign-out.
    installed: int = 0
    ended: int = 0

    def __attrs_post_init__(self) -> None:
        self.lifecycle = Lifecycle(policy=self.policy)

    @property
    def session(self) -> Session | None:
        """The session, whether or not its token is still good."""
        return self.lifecycle.session

    @property
    def status(self) -> Status:
        """The status now."""
        return Status.CLOSED if self.closed else self.lifecycle.status(self.clock.now())

    def next_order(self) -> int:
        """Return the place of a call among those that begin or end a sign-in."""
        return next(self.orders)

    def sign_in(self, session: Session, *, order: int, stored: bool) -> Session:
        """Make *session* the current one, as it stands."""
        self.generation = max(self.generation, session.generation)
        self.installed, self.stored = max(self.installed, order), stored
        self._become(self.lifecycle.signed_in(session, u=self.random()))
        return session

    def refresh(self, session: Session, *, stored: bool) -> None:
        """Replace the current sign-in's tokens."""
        self.generation = max(self.generation, session.generation)
        self.stored = stored or self.stored
        now = self.clock.now()
        self._become(
            self.lifecycle.refreshed(session, now=now, u=self.random(), u_backoff=self.random())
        )

    def fail(self, error: AuthError) -> None:
        """Note a temporary failure; the session stays."""
        self.lifecycle = self.lifecycle.failed(error, now=self.clock.now(), u=self.random())

    def reject(self, error: RefreshRejected) -> None:
        """End the session by the server's word."""
        self.stored = False
        self._become(self.lifecycle.rejected(error))

    def sign_out(self) -> None:
        """End the session by the user's word, and every sign-in that was begun before it."""
        self.ended = self.next_order()
        self.lose()

    def lose(self) -> None:
        """End the session by another's word; a sign-in that is under way is none of it."""
        self.stored = False
        self._become(self.lifecycle.signed_out())

    def replace(self, session: Session) -> None:
        """Put another wording of the current generation in its place."""
        self._become(attrs.evolve(self.lifecycle, session=session))

    def pin(self, token: AccessToken | None) -> None:
        """Hand out *token* whatever the session is, or the session's again for `None`."""
        self.pinned = token
        self._become(self.lifecycle)

    def set_back(self, step: float) -> None:
        """Follow a wall clock that was set back by `-step` seconds."""
        self.used += step
        self._become(self.lifecycle.shifted(step))

    def close(self) -> None:
        """Hand out nothing any more."""
        self.closed = True
        self._become(self.lifecycle)

    def is_current(self, session: Session) -> bool:
        """Say whether *session* belongs to the sign-in that is current."""
        current = self.session
        return current is not None and current.sign_in_id == session.sign_in_id

    def forget_window(self) -> None:
        """Send the next call down the slow path, where loop and clocks are looked at."""
        self.since, self.until = math.inf, -math.inf

    def reopen(self) -> None:
        """Undo `forget_window()`."""
        self._become(self.lifecycle)

    def forget(self) -> None:
        """The session leaves memory: it weighs nothing any more."""
        if self.weigh is not None:
            self.weigh(self.lifecycle.refreshes_per_second, 0.0)
            self.weigh = None

    def _become(self, lifecycle: Lifecycle) -> None:
        if self.weigh is not None:
            self.weigh(self.lifecycle.refreshes_per_second, lifecycle.refreshes_per_second)
        self.lifecycle = lifecycle
        session = lifecycle.session
        if self.closed:
            self.token = None
            self.forget_window()
        elif self.pinned is not None:
            self.token, self.since, self.until = self.pinned, _PINNED_SINCE, _PINNED_UNTIL
        elif session is None:
            self.token = None
            self.forget_window()
        else:
            self.token = AccessToken(
                value=session.access_token,
                expires_at=session.expires_at,
                generation=session.generation,
                token_type=session.token_type,
            )
            # A clock that shows less than now was set back: the slow path finds out by how much.
            self.since = self.clock.now()
            self.until = lifecycle.expires_at - lifecycle.min_ttl()
            self.due = lifecycle.due_at
