"""One call at work with a session, counted: what is used stays in memory.

It loads and wakes the session for the call if that is wanted, and does none of the call's work.
"""

from __future__ import annotations

from async_auth.engine.household import Household
from async_auth.engine.member import Member


class Use:
    """
    One call at work with a session, as an `async with`: it stays in memory meanwhile.

    Args:
        home: Where the session lives.
        member: Its place there.
        loaded: Whether the call begins with what is stored.
    """

    __slots__ = ("_home", "_loaded", "_member")

    def __init__(self, home: Household, member: Member, *, loaded: bool = True):
        self._home = home
        self._member = member
        self._loaded = loaded

    async def __aenter__(self) -> Member:
        member = self._member
        member.users += 1
        try:
            if self._loaded:
                await self._home.enter(member)
                member.keeper.awake()
            else:
                self._home.settle_in()
        except BaseException:
            leave(self._home, self._member)
            raise
        return member

    async def __aexit__(self, *_: object) -> None:
        # No await in here: it also runs, whole, when a destroyed coroutine is closed.
        leave(self._home, self._member)


def leave(home: Household, member: Member) -> None:
    """Say that one call fewer is at work with a session."""
    member.users -= 1
    if not member.users:
        home.keeping.unused(member)
