"""Faults on demand: which request meets which mishap. It plans them; the gate carries them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

import attrs

from async_auth.errors import ConfigurationError

Drop = bool | Literal["before", "after"] | None

#: A fault under this path meets every request.
ANY_PATH = "*"


def _encode(body: str | bytes | Mapping[str, Any] | None) -> bytes | None:
    match body:
        case None | bytes():
            return body
        case str():
            return body.encode()
        case _:
            return json.dumps(dict(body)).encode()


def _header(value: float | str | None) -> str | None:
    return f"{value:g}" if isinstance(value, int | float) else value


@attrs.define(kw_only=True, eq=False)
class Fault:
    """
    One mishap, and how many requests are still to meet it.

    Args:
        path: Where: `/token`, `/token?grant_type=refresh_token`, or `*`.
        times: How many requests meet it; `None`: all, until it is removed.
        status: What to answer instead of the real answer.
        body: What to send instead of the real body; a mapping is sent as JSON.
        delay: Seconds to wait, on the server's clock.
        drop: `before` closes the connection and changes nothing; `after` does the work first.
        committed: Whether the work is done before the delay and a false answer.
        headers: Headers that are set on whatever is answered.
    """

    path: str
    times: int | None
    status: int | None
    body: bytes | None = attrs.field(repr=False)
    delay: float
    drop: str | None
    committed: bool
    headers: dict[str, str] = attrs.field(repr=False)

    @property
    def replaces_answer(self) -> bool:
        """Whether the client gets something else than the real answer."""
        return self.status is not None or self.body is not None

    @property
    def does_work(self) -> bool:
        """Whether the real handler runs."""
        return self.drop == "after" or (
            self.drop is None and (self.committed or not self.replaces_answer)
        )

    def meets(self, path: str, query: Mapping[str, str]) -> bool:
        """Return whether a request to *path* with *query* is one for this fault."""
        return is_met_by(self.path, path, query)


def is_met_by(wanted: str, path: str, query: Mapping[str, str]) -> bool:
    """Return whether a request to *path* with *query* is one to *wanted*, as faults word it."""
    wanted, _, members = wanted.partition("?")
    return wanted in (path, ANY_PATH) and all(
        query.get(name) == value for name, value in parse_qsl(members)
    )


@attrs.define
class Faults:
    """The faults that are waiting, the oldest first. A request meets one at most."""

    _waiting: list[Fault] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        path: str,
        *,
        times: int | None = 1,
        status: int | None = None,
        delay: float | None = None,
        drop: Drop = None,
        body: str | bytes | Mapping[str, Any] | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str] | None = None,
        committed: bool = False,
    ) -> Fault:
        """
        Let the next requests to *path* meet a mishap.

        Several things may happen to one request, in this order: the work, if *committed* or
        *drop* is `after`; the delay; the drop or the false answer, or the real one.

        Args:
            path: `/token` (any grant), `/token?grant_type=refresh_token`, or `*` for all.
            times: How many requests; `None` until `remove()` or `clear()`.
            status: Answer with this and do nothing. Without *body* the server's own words go
                with it where it has some, a proxy's plain text otherwise.
            delay: Wait this many seconds, on the server's clock.
            drop: `before` (or True): close the connection, the server has seen nothing. `after`:
                do the work, then close it without an answer.
            body: Send this in place of the real body, with *status* or 200. Text is sent as HTML,
                a mapping as JSON, unless *headers* says otherwise.
            retry_after: A `Retry-After` header: seconds, or text for a date.
            headers: Set on the answer, false or real.
            committed: Do the work, and only then wait and answer falsely: an answer that was
                lost in a proxy.

        Raises:
            ConfigurationError: Nothing is to happen, or a value makes no sense.
        """
        extra = dict(headers or {})
        after = _header(retry_after)
        if after is not None:
            extra["Retry-After"] = after
        if drop not in (None, False, True, "before", "after"):
            raise ConfigurationError('faults.add: drop must be "before" or "after".')
        if times is not None and times < 1:
            raise ConfigurationError("faults.add: times must be 1 or more, or None.")
        fault = Fault(
            path=path,
            times=times,
            status=status,
            body=_encode(body),
            delay=delay or 0.0,
            drop="before" if drop is True else drop or None,
            committed=committed,
            headers=extra,
        )
        if not (fault.replaces_answer or fault.delay or fault.drop or fault.headers):
            raise ConfigurationError(
                "faults.add: give at least one of status, delay, drop, body, headers."
            )
        if isinstance(body, str | bytes):
            fault.headers.setdefault("Content-Type", "text/html; charset=utf-8")
        self._waiting.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a fault back; one that is used up or removed already is no error."""
        if fault in self._waiting:
            self._waiting.remove(fault)

    def clear(self) -> None:
        """Take all faults back."""
        self._waiting.clear()

    def take(self, path: str, query: Mapping[str, str]) -> Fault | None:
        """Return the fault that this request meets, and count it down."""
        fault = next((one for one in self._waiting if one.meets(path, query)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self.remove(fault)
        return fault
