"""What a store of this machine could not read, and that its absence is nobody's sign-out.

A record that is gone means that somebody has signed out, and whoever hears that signs out as well.
One that was set aside is gone too and says nothing of the kind. So an empty file is left where it
was, for every process to see, until something is stored or removed there. Blocking.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Generic, TypeVar

import attrs

Place = TypeVar("Place")


@attrs.frozen
class Losses(Generic[Place]):
    """
    What is lost of a store.

    Args:
        folder: Where the marks are.
        set_aside: What this store has set aside, by where that is now, oldest first.
    """

    folder: Path
    set_aside: list[Place] = attrs.field(factory=list)

    def mark(self, name: str) -> None:
        """Note, before it is set aside, that what is called *name* is lost; may raise OSError."""
        self._mark(name).touch(mode=0o600)

    def clear(self, name: str) -> None:
        """Note that it was stored or removed; where that fails, it is noted the next time."""
        with contextlib.suppress(OSError):
            self._mark(name).unlink(missing_ok=True)

    def lost(self, name: str) -> bool:
        """Say whether what is called *name* was lost, if it is not there."""
        return self._mark(name).exists()

    def _mark(self, name: str) -> Path:
        return self.folder / f"{name}.lost"
