"""`CoreClient`: sends calls to a SuperTokens core that has one host or several.

It promises that a call ends within one deadline; that a host which cannot be reached costs
nothing but the way to the next one; that a call which must not happen twice is not sent twice;
and that the core being away is a `CoreUnavailable`, which says nothing about anybody's session.
The version of the CDI is agreed on once, for all callers. It keeps no session, caches no answer,
and shares nothing with another client.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from async_auth.clock import SystemClock
from async_auth.engine.arguments import check_flag, check_port
from async_auth.errors import (
    AuthError,
    ConfigurationError,
    CoreUnavailable,
    NetworkError,
    fresh_copy,
)
from async_auth.http_messages import Request, Response
from async_auth.ports import Clock, Transport
from async_auth.supertokens.cdi import versions
from async_auth.supertokens.cdi.calls import KEYS_PATH, VERSIONS_PATH, CoreCall
from async_auth.supertokens.cdi.failures import GATEWAY_STATUSES, read_answer, refuses_version
from async_auth.supertokens.cdi.hosts import Hosts, parse_connection_uri
from async_auth.transport import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from async_auth.transport import ClientSession

T = TypeVar("T")

#: Seconds that a call may take in all. Less than the core's grace period for refresh tokens (30 s),
#: or a refresh that is sent again after its answer was lost would be taken for a theft.
TIMEOUT = 10.0
#: How often a call is sent again that the core had no time for (429), and how long to wait before
#: the first time and how much longer each time, in seconds.
BUSY_RETRIES, BUSY_WAIT, BUSY_STEP = 5, 0.010, 0.250

_TOO_MANY_REQUESTS = 429
_OK = 200


class CoreClient:
    """
    A client of one core; safe to use concurrently within one event loop, and usable in another.

    Cancelling a caller cancels its own call alone. Close it with `await aclose()`, or use it as
    `async with`.

    Args:
        connection_uri: The core's URL; several hosts of one core with `;` between them.
        api_key: What the core asks for, if it does.
        cdi_version: The only version of the CDI to speak; `None` for the newest that both know.
        http: An `aiohttp.ClientSession` of yours; it is never closed here.
        transport: What sends the requests, in place of *http*.
        clock: What time it is.
        timeout: Seconds that a call may take in all, retries and other hosts included.
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        connection_uri: str,
        *,
        api_key: str | None = None,
        cdi_version: str | None = None,
        http: ClientSession | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        timeout: float = TIMEOUT,
        allow_insecure: bool = False,
    ) -> None:
        check_flag("allow_insecure", allow_insecure)
        self._hosts = Hosts(parse_connection_uri(connection_uri, allow_insecure=allow_insecure))
        self._api_key = _checked_api_key(api_key)
        self._wanted = versions.checked(cdi_version)
        self._timeout = _checked_timeout(timeout)
        if clock is not None:
            check_port("clock", clock, "now", "monotonic", "sleep")
        self._clock: Clock = SystemClock() if clock is None else clock
        if http is not None and transport is not None:
            raise ConfigurationError("Give http or transport, not both.")
        if transport is not None:
            check_port("transport", transport, "send")
        self._own = AiohttpTransport(http)
        self._transport: Transport = self._own if transport is None else transport
        self._version = self._wanted
        self._negotiation: asyncio.Task[str] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<CoreClient hosts={len(self._hosts.urls)} version={self._version}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop what is under way and close the connections. Twice is fine; calls then fail."""
        self._closed = True
        if self._negotiation is not None and not self._negotiation.done():
            self._negotiation.cancel()
        await self._own.aclose()

    async def version(self) -> str:
        """
        Return the version of the CDI that is spoken; the core is asked once, for all callers.

        Raises:
            CoreUnavailable: No host says which it knows. The next caller asks again.
            ConfigurationError: There is none that both know, or the core refuses the API key.
            ProtocolError: What answers is no core.
        """
        if self._version is not None:
            return self._version
        return await self._negotiated()

    async def call(self, call: CoreCall[T]) -> T:
        """
        Make a call and return what its answer says.

        When cancelled, the core may have done what it was asked, or not.

        Args:
            call: One of `async_auth.supertokens.cdi.calls`.

        Raises:
            CoreUnavailable: No host answered in time, or the core failed.
            TryRefreshToken: The access token will not do; the session may live.
            Unauthorised: There is no such session any more.
            TokenTheftDetected: A refresh token was used after it had been replaced.
            ApiError: The core refuses what is asked for.
            ConfigurationError: The core refuses the API key or the version.
            ProtocolError: The answer is none that a core should give.
        """
        deadline = self._clock.monotonic() + self._timeout
        version = await self.version()
        host, response = await self._sent(call, version, deadline)
        if self._wanted is None and refuses_version(response):
            # Another core than the one that was asked: an older one, or one that was updated.
            if self._version == version:
                self._version = None
            version = self._version or await self._negotiated(first=host)
            host, response = await self._sent(call, version, deadline)
        secrets = (*call.secrets, self._api_key)
        return call.parse(read_answer(response, secrets), (self._api_key,))

    async def fetch_keys(self) -> Response:
        """
        Return the answer with the core's signing keys, of the first host that has them.

        Raises:
            CoreUnavailable: No host has them for now.
        """

        def request(host: str) -> Request:
            return Request("GET", f"{host}{KEYS_PATH}")

        deadline = self._clock.monotonic() + self._timeout
        _, response = await self._asked(request, deadline, good=lambda status: status == _OK)
        return response

    async def _sent(
        self, call: CoreCall[Any], version: str, deadline: float
    ) -> tuple[str, Response]:
        def request(host: str) -> Request:
            return call.request(host, version=version, api_key=self._api_key)

        return await self._asked(request, deadline, repeatable=call.repeatable)

    async def _negotiated(self, *, first: str | None = None) -> str:
        """Join the negotiation that is under way, or start one; nobody's cancelling ends it."""
        flight, loop = self._negotiation, asyncio.get_running_loop()
        if flight is None or flight.done() or flight.get_loop() is not loop:
            # In a context of its own: it is everybody's, not a part of the first caller's request.
            flight = loop.create_task(self._negotiate(first), context=contextvars.Context())
            flight.add_done_callback(_note)
            self._negotiation = flight
        await asyncio.wait({flight})
        if flight.cancelled():
            raise CoreUnavailable("The client of the core was closed.")
        error = flight.exception()
        if isinstance(error, AuthError):
            raise fresh_copy(error)
        return flight.result()

    async def _negotiate(self, first: str | None) -> str:
        headers = {} if self._api_key is None else {"api-key": self._api_key}

        def request(host: str) -> Request:
            return Request("GET", f"{host}{VERSIONS_PATH}", headers)

        deadline = self._clock.monotonic() + self._timeout
        _, response = await self._asked(request, deadline, first=first)
        body = read_answer(response, (self._api_key,))
        self._version = versions.choose(body.get("versions"))
        return self._version

    async def _asked(
        self,
        request: Callable[[str], Request],
        deadline: float,
        *,
        repeatable: bool = True,
        good: Callable[[int], bool] = lambda status: status not in GATEWAY_STATUSES,
        first: str | None = None,
    ) -> tuple[str, Response]:
        """
        Ask one host after the other until one answers, and return it with its answer.

        A host that saw nothing of the request is passed over. One that may have seen it ends the
        matter, unless the request is repeatable: then the next host is asked, or the same again
        where it was the last.
        """
        hosts = self._hosts.order(self._clock.monotonic())
        if first is not None:
            hosts = [first, *(host for host in hosts if host != first)]
        repeats, failure, status = 1, None, None
        while hosts and (left := deadline - self._clock.monotonic()) > 0:
            host = hosts.pop(0)
            # A host that hangs leaves time for the others.
            until = self._clock.monotonic() + left / (len(hosts) + 1)
            lost = True
            try:
                response = await self._patiently(request(host), until)
            except NetworkError as error:
                failure, lost = error, error.sent
            else:
                if good(response.status):
                    self._hosts.answered(host)
                    return host, response
                status = response.status
            self._hosts.failed(host, self._clock.monotonic())
            if lost and not repeatable:
                break
            if lost and not hosts and repeats:
                repeats -= 1
                hosts.append(host)
        raise CoreUnavailable(
            "No host of the SuperTokens core answered. Is it up, and is connection_uri right?",
            status=status,
        ) from failure

    async def _patiently(self, request: Request, until: float) -> Response:
        """Send *request* and, as long as the host is too busy to look at it, again."""
        retries = 0
        while True:
            if self._closed:
                raise CoreUnavailable("The client of the core was closed.")
            left = max(0.0, until - self._clock.monotonic())
            response = await self._transport.send(request, timeout=left)
            wait = BUSY_WAIT + BUSY_STEP * retries
            too_late = self._clock.monotonic() + wait >= until
            if response.status != _TOO_MANY_REQUESTS or retries == BUSY_RETRIES or too_late:
                return response
            retries += 1
            await self._clock.sleep(wait)


def _note(flight: asyncio.Task[str]) -> None:
    """Look at the error of a negotiation that perhaps nobody waits for any more."""
    if not flight.cancelled():
        flight.exception()


def _checked_api_key(api_key: Any) -> str | None:
    if api_key is None:
        return None
    if not isinstance(api_key, str) or not api_key.isascii() or not api_key.isprintable():
        raise ConfigurationError("api_key must be text of printable ASCII, or None.")
    if not api_key.strip():
        raise ConfigurationError("api_key must not be empty; give None where there is none.")
    return api_key


def _checked_timeout(timeout: Any) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise ConfigurationError("timeout must be a number of seconds.")
    if not 0 < timeout < math.inf:
        raise ConfigurationError("timeout must be more than 0 seconds, and finite.")
    return float(timeout)
