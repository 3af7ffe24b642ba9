"""One session in the memory of a manager or a pool: its keeper, and whether it was loaded.

It counts who uses it at the moment, so that a pool knows which sessions may leave. It decides
nothing about refreshing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from async_auth.engine.ground import Ground
from async_auth.engine.keeper import Keeper
from async_auth.engine.shelf import Shelf
from async_auth.engine.sign_in_once import SignInOnce
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State
from async_auth.events import InitialSession
from async_auth.notebook.told import said_by
from async_auth.ports import Provider

if TYPE_CHECKING:
    from async_auth.notebook.cards import Plan


@attrs.define(eq=False)
class Member:
    """
    One session in memory.

    Args:
        state: What is known of it right now. The hot path goes straight there.
        keeper: What keeps it alive.
    """

    state: State
    keeper: Keeper
    #: Whether the store was asked.
    loaded: bool = False
    loading: Flight[None] | None = None
    #: How many calls are at work with it.
    users: int = 0
    #: Whether a sign-in may be under way, whose place among the others must be known.
    begun: bool = False
    #: The way in for those who sign in only if nobody is; made when it is needed.
    way_in: SignInOnce | None = None
    #: Whether the store is asked to tell of it.
    followed: bool = False
    #: Whether it is noted somewhere that it is to be looked at when it has been idle.
    noted: bool = False

    @classmethod
    def of(cls, ground: Ground, provider: Provider, key: str) -> Member:
        """Return the member for *key*; nothing is loaded yet."""
        state = State(
            policy=ground.policy, clock=ground.clock, random=ground.random, orders=ground.orders
        )
        return cls(state, Keeper(ground, state, Shelf(ground.store, provider, key)))

    @property
    def key(self) -> str:
        """Which session."""
        return self.keeper.key

    @property
    def needed(self) -> bool:
        """Whether it must stay in memory, whoever has used it last."""
        return (
            self.users > 0
            or self.loading is not None
            or self.state.pinned is not None
            or self.keeper.busy
        )

    def plan(self) -> Plan:
        """Return what is going to become of the session, for people."""
        from async_auth.notebook.cards import Plan

        lifecycle = self.state.lifecycle
        return Plan(
            due_at=lifecycle.due_at,
            refresh_at=self.keeper.refresh_at,
            pinned=self.state.pinned is not None,
            error="" if lifecycle.error is None else said_by(lifecycle.error),
        )

    def initial(self) -> InitialSession:
        """Return the first event of a subscription that begins now."""
        event = self.keeper.event(InitialSession)
        assert isinstance(event, InitialSession)  # noqa: S101 - tells the type checker
        return event
