"""Where a manager is at work, so that who waits for it can see at a glance whether it is there."""

from __future__ import annotations

import asyncio
import os

import attrs


@attrs.define(eq=False)
class Home:
    """
    The event loop that a manager works in.

    Args:
        loop: That loop; `None` if the manager has to be started, wherever it is wanted.
        keeper: Whoever runs it there.
    """

    loop: asyncio.AbstractEventLoop | None = None
    keeper: object = None
    #: The process: in a forked one nobody is at work.
    _pid: int = attrs.field(init=False, factory=os.getpid)

    def is_in(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether the manager works in *loop*."""
        return self.loop is loop and self._pid == os.getpid()

    def move(self, keeper: object, loop: asyncio.AbstractEventLoop | None) -> None:
        """The manager works in *loop* from now on, and *keeper* runs it."""
        self.keeper, self.loop, self._pid = keeper, loop, os.getpid()

    def leave(self, keeper: object) -> None:
        """*keeper* ends; nothing if somebody else has taken over."""
        if self.keeper is keeper:
            self.move(None, None)
