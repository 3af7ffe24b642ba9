"""Mishaps of connections: what befalls which request, and how often it has. They are planned here.

A `Fault` is a server's, and is about answers; a mishap is the network's, and is about bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import attrs

from async_auth.errors import ConfigurationError
from async_auth.testing.loopback.faults import is_met_by

#: When something happens; see `FaultProxy`. A number: after so many bytes of the answer.
Moment = Literal["connect", "request", "response"] | int
NAMED_MOMENTS = ("connect", "request", "response")


@attrs.frozen
class Reset:
    """The connection is reset."""


@attrs.frozen
class Cut:
    """The connection is closed in good order."""


@attrs.frozen
class Hang:
    """Nothing more comes, and the connection stays."""


@attrs.frozen
class Drip:
    """A byte comes each *seconds*."""

    seconds: float


@attrs.frozen
class Flood:
    """What begins with *head* and goes on with *drop* never ends."""

    head: bytes = attrs.field(repr=False)
    drop: bytes = attrs.field(repr=False)


@attrs.frozen
class Reply:
    """*data* comes in place of what should, and the connection is closed."""

    data: bytes = attrs.field(repr=False)


@attrs.define(kw_only=True, eq=False)
class Mishap:
    """
    A mishap, planned and perhaps met.

    Args:
        what: What happens.
        at: When it does.
        path: To which requests: `/token`, `/token?grant_type=refresh_token`, or `*`.
        times: How many are still to meet it; `None`: all, until it is taken back.
    """

    what: Reset | Cut | Hang | Drip | Flood | Reply
    at: Moment
    path: str = "*"
    times: int | None = 1
    #: How many have met it.
    count: int = attrs.field(default=0, init=False)
    #: How many bytes it has sent.
    sent: int = attrs.field(default=0, init=False)
    _met: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    async def happened(self, count: int = 1) -> None:
        """Return when *count* requests or connections have met it."""
        while self.count < count:
            self._met.clear()
            await self._met.wait()

    def meet(self) -> None:
        """Count one down."""
        self.count += 1
        if self.times is not None:
            self.times -= 1
        self._met.set()


@attrs.define
class Mishaps:
    """Those that are waiting, the oldest first. A request meets one at most."""

    _waiting: list[Mishap] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, mishap: Mishap) -> Mishap:
        """
        Let it wait for its request.

        Raises:
            ConfigurationError: It would never be met, or not as it says.
        """
        at = mishap.at
        if isinstance(at, bool) or not (isinstance(at, int) or at in NAMED_MOMENTS):
            raise ConfigurationError(f"at must be one of {', '.join(NAMED_MOMENTS)}, or a number.")
        if at == "connect" and mishap.path != "*":
            raise ConfigurationError("path: nobody knows it when a connection has just come.")
        if mishap.times is not None and mishap.times < 1:
            raise ConfigurationError("times must be 1 or more, or None.")
        self._waiting.append(mishap)
        return mishap

    def remove(self, mishap: Mishap) -> None:
        """Take one back; one that is used up or removed already is no error."""
        if mishap in self._waiting:
            self._waiting.remove(mishap)

    def clear(self) -> None:
        """Take all back."""
        self._waiting.clear()

    def take_connection(self) -> Mishap | None:
        """Return what a new connection meets, and count it down."""
        return self._take(lambda one: one.at == "connect")

    def take_request(self, path: str, query: Mapping[str, str]) -> Mishap | None:
        """Return what a request meets, and count it down."""
        return self._take(lambda one: one.at != "connect" and is_met_by(one.path, path, query))

    def _take(self, wanted: Callable[[Mishap], bool]) -> Mishap | None:
        found = next((one for one in self._waiting if wanted(one)), None)
        if found is not None:
            found.meet()
            if found.times == 0:
                self.remove(found)
        return found
