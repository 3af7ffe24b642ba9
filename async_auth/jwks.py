"""A server's public keys, fetched once for everybody and kept.

Keys are taken from the cache without waiting while it is fresh. One fetch serves all who wait, and
is nobody's to cancel; an unknown `kid` that turns out to be made up causes no second fetch in a
cool-down, so that forged tokens cannot make us hammer the server; known keys go on working while
the server is away. Nothing is verified here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from async_auth.clock import SystemClock
from async_auth.core.jwt import PreparedKey
from async_auth.core.plain_json import read_json
from async_auth.core.urls import checked_url
from async_auth.errors import (
    AuthError,
    ConfigurationError,
    ProtocolError,
    ServerUnavailable,
    UnknownKey,
)
from async_auth.http_messages import Request, Response
from async_auth.ports import Clock, Transport
from async_auth.transport import AiohttpTransport

if TYPE_CHECKING:
    from async_auth.transport import ClientSession

logger = logging.getLogger("async_auth.jwks")

#: Seconds that keys are fresh if the server does not say; what it says is kept within bounds.
FRESH = 600.0
FRESH_MIN, FRESH_MAX = 60.0, 3600.0
#: Seconds after a fetch that failed, or that brought no key of the name asked for, in which no
#: unknown `kid` causes another.
COOL_DOWN = 30.0
#: Seconds past their freshness that keys still serve without waiting for the fetch of new ones.
GRACE = 60.0
#: Seconds that a fetch by `from_url` may take.
FETCH_TIMEOUT = 10.0
#: More keys than any server has; the rest are not read.
KEYS_MAX = 256
#: Bytes of a set: 256 keys with a certificate each.
SET_MAX = 1024 * 1024

_SUCCESS = 200
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})", re.IGNORECASE)


class JWKSet:
    """
    A JWK set behind a URL (RFC 7517 section 5). Safe to use concurrently within one loop.

    Args:
        fetch: Gets the set; raises NetworkError and the like.
        clock: What time it is.
        cool_down: Seconds after a fetch that failed, or that brought no key of the name asked
            for, in which no unknown `kid` causes another.
        fresh: Seconds that keys are fresh if the server does not say.
        fresh_max: Seconds that keys are fresh at most, whatever the server says.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Response]],
        *,
        clock: Clock | None = None,
        cool_down: float = COOL_DOWN,
        fresh: float = FRESH,
        fresh_max: float = FRESH_MAX,
    ) -> None:
        self._fetch = fetch
        self._cool_down_seconds = cool_down
        self._fresh, self._fresh_max = fresh, fresh_max
        self._clock: Clock = SystemClock() if clock is None else clock
        self._keys: tuple[PreparedKey, ...] = ()
        self._fresh_until = float("-inf")
        self._not_before = float("-inf")
        self._failure: AuthError | None = None
        self._flight: asyncio.Task[None] | None = None
        self._wanted: set[str | None] = set()
        self._insisted = False
        self._own_transport: AiohttpTransport | None = None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        http: ClientSession | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        allow_insecure: bool = False,
    ) -> JWKSet:
        """
        Return the set that is published at *url*; nothing is fetched before it is needed.

        Args:
            url: Of the set itself, such as `https://x.supabase.co/auth/v1/.well-known/jwks.json`.
            http: An `aiohttp.ClientSession` of yours; it is never closed here.
            transport: What sends the request, in place of *http*.
            clock: What time it is.
            allow_insecure: Whether plain http may go to a host that is not this machine: whoever
                sits between could hand us keys of their own.

        Raises:
            ConfigurationError: An argument is wrong; it names the argument.
        """
        if http is not None and transport is not None:
            raise ConfigurationError("Give http or transport, not both.")
        danger = "lets anybody hand us keys of their own"
        checked = checked_url("jwks", url, allow_insecure=allow_insecure, danger=danger)
        request = Request("GET", checked)
        own = None if transport is not None else AiohttpTransport(http)
        sender: Transport | None = transport or own
        assert sender is not None  # noqa: S101 - one of the two is there

        async def fetch() -> Response:
            return await sender.send(request, timeout=FETCH_TIMEOUT)

        found = cls(fetch, clock=clock)
        found._own_transport = own
        return found

    def __repr__(self) -> str:
        return f"<JWKSet {len(self._keys)} keys>"

    async def aclose(self) -> None:
        """Stop a fetch that is under way, and close what `from_url` opened. Twice is fine."""
        if self._flight is not None and not self._flight.done():
            self._flight.cancel()
        if self._own_transport is not None:
            await self._own_transport.aclose()

    async def keys_for(self, kid: str | None) -> list[PreparedKey]:
        """
        Return the keys that may have signed a token with this `kid`.

        It waits for the server only where there is no such key, or where those here are long out
        of date and the last fetch did not fail. A cancelled caller cancels no fetch.

        Args:
            kid: What the token's header names; `None` if it names none: then every key may be.

        Raises:
            UnknownKey: The server, asked a moment ago, has no such key.
            TemporaryError: There is no such key here, and the server cannot be asked for now.
            ProtocolError: The server's answer is no JWK set.
        """
        found = self._named(kid)
        late = self._clock.monotonic() - self._fresh_until
        if found and late < 0:
            return found
        flight = self._renewal(kid)
        if flight is not None and (not found or (late >= GRACE and self._failure is None)):
            await _landed(flight)
            found = self._named(kid)
        if found:
            return found
        if self._failure is not None:
            raise ServerUnavailable(
                "The key of this token is unknown, and the server's keys cannot be had for now.",
                retry_after=max(0.0, self._not_before - self._clock.monotonic()),
            ) from self._failure
        raise UnknownKey("The server has no key with the token's kid.")

    async def renew(self) -> bool:
        """
        Fetch the keys now, if the cool-down allows it, and say whether they have changed.

        For a token that none of the keys of its name made: they may have been replaced.
        """
        before = self._keys
        flight = self._renewal(None)
        if flight is None:
            return False
        self._insisted = True
        await _landed(flight)
        return before != self._keys

    def _named(self, kid: str | None) -> list[PreparedKey]:
        return [key for key in self._keys if kid is None or key.get("kid") in (None, kid)]

    def _renewal(self, kid: str | None) -> asyncio.Task[None] | None:
        """Join the fetch that is under way, or start one; `None` in a cool-down."""
        loop = asyncio.get_running_loop()
        flight = self._flight
        if flight is None or flight.done() or flight.get_loop() is not loop:
            if self._clock.monotonic() < self._not_before:
                return None
            self._wanted, self._insisted = set(), False
            # In a context of its own: it is everybody's, not a part of the first caller's request.
            flight = loop.create_task(self._renew(), context=contextvars.Context())
            flight.add_done_callback(_note)
            self._flight = flight
        self._wanted.add(kid)
        return flight

    async def _renew(self) -> None:
        before = self._keys
        try:
            response = await self._fetch()
            self._keys = _keys_in(response, before)
        except asyncio.CancelledError:
            self._failure = ServerUnavailable("The fetch of the server's keys was stopped.")
            raise
        except AuthError as error:
            # Stale keys are better than none: the server may be back before they are replaced.
            # Once for each outage: with a short cool-down it would be a flood.
            level = logging.WARNING if self._failure is None else logging.DEBUG
            logger.log(level, "The keys of the server cannot be fetched: %s", error)
            self._failure = error
            self._cool_down()
        else:
            self._failure = None
            self._fresh_until = self._clock.monotonic() + freshness(
                response, otherwise=self._fresh, longest=self._fresh_max
            )
            # A key that has come is no reason to wait: the next one may come as suddenly.
            fruitless = self._insisted and self._keys == before
            if fruitless or not all(self._named(kid) for kid in self._wanted):
                self._cool_down()

    def _cool_down(self) -> None:
        self._not_before = self._clock.monotonic() + self._cool_down_seconds


def _note(flight: asyncio.Task[None]) -> None:
    """Say what went wrong in a fetch that perhaps nobody waits for."""
    if not flight.cancelled() and (error := flight.exception()) is not None:
        logger.error("The fetch of the server's keys broke: %s", type(error).__name__)


async def _landed(flight: asyncio.Task[None]) -> None:
    """Wait for the fetch without taking it along when the caller is cancelled."""
    await asyncio.wait({flight})
    if not flight.cancelled():
        flight.result()


def freshness(response: Response, *, otherwise: float = FRESH, longest: float = FRESH_MAX) -> float:
    """
    Return for how many seconds the answer may be used, by its Cache-Control (RFC 9111).

    Args:
        response: The answer.
        otherwise: What counts where it does not say.
        longest: What it may say at most; the least is `FRESH_MIN`.
    """
    found = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
    return otherwise if found is None else min(max(float(found[1]), FRESH_MIN), longest)


def _keys_in(response: Response, known: tuple[PreparedKey, ...]) -> tuple[PreparedKey, ...]:
    if response.status != _SUCCESS:
        raise ServerUnavailable(
            f"The server answered {response.status} instead of its keys.", status=response.status
        )
    if len(response.body) > SET_MAX:
        raise ProtocolError(f"The server's keys are over {SET_MAX} bytes.", status=response.status)
    try:
        body = read_json(response.body)
    except ValueError:
        body = None
    keys = body.get("keys") if isinstance(body, Mapping) else None
    if not isinstance(keys, list):
        raise ProtocolError("The server's keys are no JWK set.", status=response.status)
    # What is published is no secret, so it cannot be one that signs (oct). A key that we have
    # already keeps what was made of it.
    return tuple(
        next((old for old in known if old == key), None) or PreparedKey(key)
        for key in keys[:KEYS_MAX]
        if isinstance(key, Mapping) and key.get("kty") != "oct"
    )
