"""Who of a pool is in memory: sessions come at their first use and leave when nobody uses them.

It decides which leave, and when; it never touches what one of them means. Looking after a
hundred thousand costs one appointment with the scheduler and no task.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import cast

from async_auth.core import pacing
from async_auth.engine import arguments
from async_auth.engine.ground import Ground
from async_auth.engine.household import Household, Housekeeping
from async_auth.engine.member import Member
from async_auth.engine.news import News
from async_auth.engine.scheduler import Timer
from async_auth.errors import AuthError, ConfigurationError
from async_auth.ports import Provider, SharedWatch

#: A session leaves at most this part of the idle time after it could.
GRAINS = 64
#: What has no session leaves after this many seconds, or with the sessions if that is sooner.
EMPTY_AFTER = 60.0
#: So many are looked at in one go, so that nobody waits long for the event loop.
BATCH = 500
#: The pause between two such goes, in seconds.
BREATH = 0.01
#: So many that have left may lie around in the rounds before these are swept.
CROWD = 256
#: Of so many keys whose session has ended and left, the generation is remembered.
REMEMBERED = 10_000

Providers = Callable[[str], Provider]


class Tenants(Housekeeping):
    """
    The members of a pool.

    Args:
        home: Where they live.
        provider: The auth system of all, or a function that returns that of a key.
        idle_after: Seconds after its last use after which a session leaves.
    """

    def __init__(self, home: Household, provider: Provider | Providers, *, idle_after: float):
        self._home = home
        self._ground: Ground = home.ground
        self._provider = provider
        self._many = callable(provider) and not hasattr(provider, "refresh_request")
        self._idle_after = idle_after
        self._grain = min(idle_after, 3600.0) / GRAINS
        store = home.ground.store
        self._news = News(home, store) if isinstance(store, SharedWatch) else None
        #: By the number of the grain at whose end they are looked at.
        self._rounds: dict[int, list[Member]] = {}
        #: How many of these have left memory, at most.
        self._gone = 0
        self._timer: Timer | None = None
        #: The generations of keys whose session has ended and left: they never restart.
        self._ended: dict[str, int] = {}
        #: How many refreshes per second the sessions in memory need, on average.
        self.need = 0.0
        # Bound once, not for each session.
        self._weigh = self.weigh

    def rate(self) -> float:
        """Return how many refreshes per second to allow."""
        return pacing.rate_limit(self.need)

    def admit(self, key: str) -> Member:
        """
        Return the member under *key*, a new one if there is none; no I/O.

        Raises:
            ConfigurationError: *key* is no text, or there is no provider for it.
            AuthError: The provider function raised it.
        """
        member = self._home.members.get(key)
        if member is None:
            arguments.check_text("key", key)
            member = Member.of(self._ground, self.provider_of(key), key)
            member.state.generation = self._ended.get(key, 0)
            member.state.weigh = self._weigh
            self._home.members[key] = member
        member.state.used = self._ground.clock.now()
        return member

    def provider_of(self, key: str) -> Provider:
        """
        Return the auth system of a key.

        Raises:
            ConfigurationError: There is none.
            AuthError: The provider function raised it.
        """
        if not self._many:
            return cast("Provider", self._provider)
        try:
            provider: object = cast("Providers", self._provider)(key)
        except AuthError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"The pool's provider function failed for session {key!r} ({type(error).__name__})."
            ) from error
        if inspect.iscoroutine(provider):
            provider.close()
            raise ConfigurationError("The pool's provider function must be no coroutine function.")
        arguments.check_provider(provider)
        return cast("Provider", provider)

    def weigh(self, before: float, after: float) -> None:
        """Keep account of a session that needed *before* refreshes per second, and now *after*."""
        self.need = max(0.0, self.need + after - before)

    # The household's housekeeping.

    def bound(self) -> None:
        """Keep time, and follow the store, in the new loop."""
        self._keep_time()
        if self._news is not None:
            self._news.begin()

    def unbound(self) -> None:
        """Stop both."""
        if self._news is not None:
            self._news.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def set_back(self, step: float) -> None:  # noqa: ARG002 - the members have followed it
        """Follow a wall clock that was set by *step* (negative) seconds."""
        rounds, self._rounds = self._rounds, {}
        for members in rounds.values():
            for member in members:
                self._note(member)
        self._keep_time()

    def loaded(self, member: Member) -> None:
        """Follow it in the store, and see whether anybody still wants it."""
        self._follow(member)
        self.unused(member)

    def unused(self, member: Member) -> None:
        """Let what has no session leave at once, and look at the others when they are idle."""
        if member.users or self._home.members.get(member.key) is not member:
            return
        if member.state.session is None and not member.needed:
            # Others may sign in under this key: whoever comes next looks again.
            member.loaded = False
            if self._news is not None:
                # Followed from anew, it is told what happens while it is loaded.
                self._news.discard(member)
            if not member.begun and member.state.lifecycle.rejection is None:
                self._let_go(member)
                return
        self._follow(member)
        if not member.noted:
            self._note(member)
            self._keep_time()

    def _follow(self, member: Member) -> None:
        if self._news is not None and member.state.session is not None:
            self._news.add(member)

    # Idle ones.

    def _idle_at(self, member: Member) -> float:
        idle_after = self._idle_after
        if member.state.session is None and member.state.lifecycle.rejection is None:
            idle_after = min(EMPTY_AFTER, idle_after)
        return member.state.used + idle_after

    def _note(self, member: Member) -> None:
        at = self._idle_at(member)
        member.noted = at < math.inf
        if member.noted:
            self._rounds.setdefault(math.ceil(at / self._grain), []).append(member)

    def _keep_time(self, *, soon: bool = False) -> None:
        if not self._rounds or self._ground.bound is None or self._home.closed:
            return
        at = min(self._rounds) * self._grain
        if soon:
            at = max(at, self._ground.clock.now() + BREATH)
        if self._timer is not None:
            if self._timer.at <= at:
                return
            self._timer.cancel()
        self._timer = self._ground.scheduler.call_at(at, self._look_around)

    def _look_around(self) -> None:
        self._timer = None
        now, left = self._ground.clock.now(), BATCH
        while left and self._rounds:
            number = min(self._rounds)
            if number * self._grain > now:
                break
            members = self._rounds[number]
            while left and members:
                left -= 1
                self._look_at(members.pop(), now)
            if not members:
                del self._rounds[number]
        self._keep_time(soon=True)

    def _look_at(self, member: Member, now: float) -> None:
        member.noted = False
        if self._home.members.get(member.key) is not member:
            self._gone = max(0, self._gone - 1)
            return
        if member.needed:
            # It is in use, if not by a call of just now.
            member.state.used = now
        if self._idle_at(member) > now:
            self._note(member)
        else:
            self._let_go(member)

    def _let_go(self, member: Member) -> None:
        if self._home.members.get(member.key) is not member:
            return
        del self._home.members[member.key]
        if member.state.session is None and member.state.generation:
            self._remember(member.key, member.state.generation)
        else:
            self._ended.pop(member.key, None)
        if self._news is not None:
            self._news.discard(member)
        member.state.forget()
        member.keeper.unbind()
        if member.noted:
            self._gone += 1
            if self._gone > max(CROWD, len(self._home.members)):
                self._sweep()

    def _sweep(self) -> None:
        # Else those who sign in and out would fill the memory until they had been idle.
        self._gone, here = 0, self._home.members
        rounds = {
            number: [member for member in members if here.get(member.key) is member]
            for number, members in self._rounds.items()
        }
        self._rounds = {number: members for number, members in rounds.items() if members}

    def _remember(self, key: str, generation: int) -> None:
        self._ended.pop(key, None)
        self._ended[key] = generation
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
