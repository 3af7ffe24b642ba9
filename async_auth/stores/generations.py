"""The compare of every store's compare-and-swap."""

from __future__ import annotations

from async_auth.errors import Conflict
from async_auth.ports import Record


def check_generation(stored: Record | None, expected: int | None) -> None:
    """
    Do nothing if the stored generation is *expected*.

    Args:
        stored: What is stored now.
        expected: A generation; 0 for nothing at all; `None` for whatever is there.

    Raises:
        Conflict: Something else is stored.
    """
    found = 0 if stored is None else stored.generation
    if expected is not None and found != expected:
        raise Conflict(
            f"The store holds {describe(found)} where {describe(expected)} was expected; "
            "nothing was changed."
        )


def describe(generation: int) -> str:
    """Return the words for *generation* in a message; 0 is nothing at all."""
    return f"generation {generation}" if generation else "no session"
