"""What is started and closed: `async with` is `start()` at its beginning and `aclose()` at its end.

It holds nothing and decides nothing. Neither end has to be in the task of the other.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Startable:
    """What has a `start()` and an `aclose()`, and so can stand behind `async with`."""

    __slots__ = ()

    async def start(self) -> Self:
        """Begin; does nothing the second time."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop; closing twice is fine."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
