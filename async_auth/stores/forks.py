"""What becomes of locks and threads in a forked child: they start afresh there.

A fork copies only the thread that forks. A lock that another thread held at that moment would
stay locked for ever in the child, and a thread pool would have no threads. Objects named to
`reset_in_child()` get their `after_fork()` called in the child before anything else runs there.
They are held weakly.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Resettable(Protocol):
    """Something that must not carry its state into a forked child."""

    def after_fork(self) -> None:
        """Start afresh; called in the child, where no other thread exists."""
        ...


known: WeakSet[Resettable] = WeakSet()


def reset_in_child(thing: Resettable) -> None:
    """Have `thing.after_fork()` called in every child forked from now on while *thing* lives."""
    known.add(thing)


def reset_all() -> None:
    """Reset everything known; what the fork hook runs in the child."""
    for thing in list(known):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
    os.register_at_fork(after_in_child=reset_all)
