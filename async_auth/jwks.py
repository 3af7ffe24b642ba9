"""A server's public keys, fetched once for everybody and kept.

Keys are taken from the cache without waiting while it is fresh. One fetch serves all who wait;
an unknown `kid` causes at most one fetch in a cool-down, so that made-up tokens cannot make us
hammer the server; known keys go on working while the server is away. Nothing is verified here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from async_auth.core.plain_json import read_json
from async_auth.errors import AuthError, ProtocolError, ServerUnavailable, UnknownKey
from async_auth.http_messages import Response
from async_auth.ports import Clock

logger = logging.getLogger("async_auth.jwks")

#: Seconds that keys are fresh if the server does not say; what it says is kept within bounds.
FRESH = 600.0
FRESH_MIN, FRESH_MAX = 60.0, 3600.0
#: Seconds in which an unknown `kid`, or a failed fetch, causes no second fetch.
COOL_DOWN = 30.0

_SUCCESS = 200
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})", re.IGNORECASE)


class JWKSet:
    """
    A JWK set behind a URL (RFC 7517 section 5). Safe to use concurrently within one loop.

    Args:
        fetch: Gets the set; raises NetworkError and the like.
        clock: What time it is.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Response]], *, clock: Clock):
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[dict[str, Any], ...] = ()
        self._fresh_until = float("-inf")
        self._not_before = float("-inf")
        self._failure: AuthError | None = None
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<JWKSet {len(self._keys)} keys>"

    async def keys_for(self, kid: str | None) -> list[dict[str, Any]]:
        """
        Return the keys that may have signed a token with this `kid`.

        Args:
            kid: What the token's header names; `None` if it names none: then every key may be.

        Raises:
            UnknownKey: The server, asked a moment ago, has no such key.
            TemporaryError: There is no such key here, and the server cannot be asked for now.
            ProtocolError: The server's answer is no JWK set.
        """
        found = self._named(kid)
        if found and self._clock.monotonic() < self._fresh_until:
            return found
        async with self._turn():
            found = self._named(kid)
            if not found or self._clock.monotonic() >= self._fresh_until:
                await self._renew()
                found = self._named(kid)
        if found:
            return found
        if self._failure is not None:
            raise ServerUnavailable(
                "The key of this token is unknown, and the server's keys cannot be had for now.",
                retry_after=max(0.0, self._not_before - self._clock.monotonic()),
            ) from self._failure
        raise UnknownKey("The server has no key with the token's kid.")

    def _turn(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._lock, self._loop = asyncio.Lock(), loop
        return self._lock

    def _named(self, kid: str | None) -> list[dict[str, Any]]:
        return [key for key in self._keys if kid is None or key.get("kid") in (None, kid)]

    async def _renew(self) -> None:
        if self._clock.monotonic() < self._not_before:
            return
        try:
            response = await self._fetch()
            self._keys = _keys_in(response)
        except AuthError as error:
            # Stale keys are better than none: the server may be back before they are replaced.
            logger.warning("The keys of the server cannot be fetched: %s", error)
            self._failure = error
        else:
            self._failure = None
            self._fresh_until = self._clock.monotonic() + freshness(response)
        self._not_before = self._clock.monotonic() + COOL_DOWN


def freshness(response: Response) -> float:
    """Return for how many seconds the answer may be used, by its Cache-Control (RFC 9111)."""
    found = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
    return FRESH if found is None else min(max(float(found[1]), FRESH_MIN), FRESH_MAX)


def _keys_in(response: Response) -> tuple[dict[str, Any], ...]:
    if response.status != _SUCCESS:
        raise ServerUnavailable(
            f"The server answered {response.status} instead of its keys.", status=response.status
        )
    try:
        body = read_json(response.body)
    except ValueError:
        body = None
    keys = body.get("keys") if isinstance(body, Mapping) else None
    if not isinstance(keys, list):
        raise ProtocolError("The server's keys are no JWK set.", status=response.status)
    return tuple(dict(key) for key in keys if isinstance(key, Mapping))
