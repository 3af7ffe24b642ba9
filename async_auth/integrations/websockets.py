"""websockets: `connect` opens connections with the token and reconnects when there is a new one.

    from async_auth.integrations.websockets import connect

    async for websocket in connect(client, "wss://api.example.com/feed"):
        async for message in websocket:
            ...

It is the library's own `connect` with a token in the handshake, made anew for each attempt. Where
it is iterated over, a connection is closed as soon as the token that opened it is replaced, which
is before that one expires; so the inner loop ends, and the outer one goes on with the new token.
A protocol that takes a token in a message says `reauthenticate=` instead, and stays connected.

It promises that the token goes to the origin of the URI and nowhere else, redirects included, and
that a 401 is answered by refreshing that very token and trying once more. It keeps no task when a
connection is done.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

try:
    from websockets.asyncio import client as library
    from websockets.datastructures import Headers
    from websockets.exceptions import InvalidStatus
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.websockets needs websockets: pip install 'async_auth[websockets]'."
    ) from missing

from yarl import URL

from async_auth.core.hosts import is_loopback
from async_auth.core.plain_json import read_json
from async_auth.errors import ConfigurationError, ManagerClosed, SignInRequired, TemporaryError
from async_auth.integrations.origins import parse_origins
from async_auth.integrations.refusals import (
    UNAUTHORIZED,
    TokenSource,
    answer_spares_token,
    current_generation,
    headers_spare_token,
)
from async_auth.session import AccessToken

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.datastructures import HeadersLike

    from async_auth.engine.broadcast import EventStream

__all__ = ["TokenEvents", "connect", "watch"]

logger = logging.getLogger("async_auth.integrations")

AUTHORIZATION = "Authorization"
Reauthenticate = Callable[["ClientConnection", AccessToken], Awaitable[object]]


class TokenEvents(TokenSource, Protocol):
    """What is needed of a manager here: any client or manager has it."""

    def events(self, *, buffer: int = 256) -> EventStream:
        """See `SessionManager.events`."""
        ...


class connect(library.connect):  # noqa: N801 - the library's own spelling
    """
    Connect as `websockets.asyncio.client.connect` does, with the manager's token.

    It is awaited, entered by `async with`, or iterated over to reconnect; only then the
    connection is watched (see `watch`). A connection with an `Authorization` header, or with
    credentials in its URI, is opened with these and nothing else, and a new token does not close
    it; nor does it where a redirect has led to another origin. On a 401 the token that was
    refused is refreshed, unless it was pinned or the answer says `insufficient_aal` or
    `insufficient_scope`, and the handshake is tried once more.

    Args:
        manager: Where tokens come from. Iterated over it needs its timer, so not
            `auto_refresh=False`.
        uri: Where to; the token goes to its scheme, host and port.
        allow_insecure: Let the token travel over plain `ws://` to hosts other than loopback.
        reauthenticate: Called as `reauthenticate(websocket, token)` when there is a new token, in
            place of closing the connection. See `watch`.
        additional_headers: As in the library.
        process_exception: As in the library. Iterated over, an outage of the auth server is
            transient in any case, and so is a 401 while no other token can be had.
        options: Everything else that the library takes. To a host on this machine, plain `ws://`
            goes through no proxy unless you name one.

    Raises:
        ConfigurationError: *uri* is not one of a web socket, or would let the token travel
            unencrypted.

    Connecting raises what `get_token` raises, before anything is sent: SignInRequired,
    TemporaryError or ManagerClosed; iterated over, not TemporaryError.
    """

    def __init__(
        self,
        manager: TokenEvents,
        uri: str,
        *,
        allow_insecure: bool = False,
        reauthenticate: Reauthenticate | None = None,
        additional_headers: HeadersLike | None = None,
        process_exception: Callable[[Exception], Exception | None] | None = None,
        **options: Any,
    ) -> None:
        self._origins = parse_origins(origin_of(uri), allow_insecure=allow_insecure)
        url = URL(uri)
        if url.scheme == "ws":
            # The library may be told another host to connect to than the URI's.
            host: str = options.get("host") or url.raw_host or ""
            parse_origins(URL.build(scheme="ws", host=host), allow_insecure=allow_insecure)
            if is_loopback(host):
                # A proxy would see what is not encrypted, wherever that is.
                options.setdefault("proxy", None)
        self._manager = manager
        self._reauthenticate = reauthenticate
        self._own_headers = Headers(() if additional_headers is None else additional_headers)
        #: A 401 for which there is no remedy for now, but may be one later.
        self._later: InvalidStatus | None = None
        super().__init__(uri, additional_headers=self._own_headers, **options)
        self._own_judgement = process_exception or self.process_exception
        self.process_exception = self._judge

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        connections = cast("AsyncGenerator[ClientConnection, None]", super().__aiter__())
        async with aclosing(connections):
            async for websocket in connections:
                if not self._is_watched():
                    yield websocket
                    continue
                async with watch(self._manager, websocket, reauthenticate=self._reauthenticate):
                    yield websocket

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take the token away where a redirect leads elsewhere; the library calls this."""
        found = super().process_redirect(exc)
        if isinstance(found, str) and not self._covers(found):
            self.additional_headers = self._without_credentials()
        return found

    async def _connect(self) -> ClientConnection:
        self._later = None
        # A redirect may have changed where the next attempt goes.
        if not self._covers(self.uri):
            self.additional_headers = self._without_credentials()
            return await self._attempt()
        if self._has_credentials():
            return await self._attempt()
        token, last = await self._manager.get_token(), False
        while True:
            self.additional_headers = self._own_headers.copy()
            self.additional_headers[AUTHORIZATION] = token.header
            try:
                return await self._attempt()
            except InvalidStatus as refused:
                if last or not self._refuses(token, refused):
                    raise
                # Where somebody else has refreshed it already, the next token is not new for us:
                # if that one is refused as well, it gets its refresh too.
                last = current_generation(self._manager) in {None, token.generation}
                other = await self._other_than(token)
                if other is None:
                    self._later = refused
                    raise
                token = other

    @types.coroutine
    def _attempt(self) -> Generator[Any, None, ClientConnection]:
        return (yield from super().__await__())

    async def _other_than(self, token: AccessToken) -> AccessToken | None:
        """Return the token to try in place of the one refused, `None` if there is none for now."""
        try:
            found = await self._manager.get_token(rejected=token)
        except TemporaryError:
            return None  # the 401 is the server's true answer
        return None if found.generation == token.generation else found

    def _refuses(self, token: AccessToken, refused: InvalidStatus) -> bool:
        return (
            refused.response.status_code == UNAUTHORIZED
            and token.generation != 0
            and self._covers(self.uri)
            and refuses_token(refused.response)
        )

    def _judge(self, error: Exception) -> Exception | None:
        """Say whether the library tries again (`None`) or raises; it calls this."""
        if isinstance(error, TemporaryError) or error is self._later:
            return None
        return self._own_judgement(error)

    def _is_watched(self) -> bool:
        """Say whether a new token is any business of the connection that was opened last."""
        # After a redirect elsewhere it is none: the token must not follow in a message either.
        return self._covers(self.uri) and (
            self._reauthenticate is not None or not self._has_credentials()
        )

    def _has_credentials(self) -> bool:
        return AUTHORIZATION in self._own_headers or URL(self.uri).user is not None

    def _covers(self, uri: str) -> bool:
        url = URL(uri)
        return (url.scheme, url.raw_host, url.port) in self._origins

    def _without_credentials(self) -> Headers:
        """Return the user's own headers without what is meant for one origin only."""
        private = {"authorization", "cookie", "proxy-authorization"}
        own = self._own_headers.raw_items()
        return Headers((name, value) for name, value in own if name.lower() not in private)


@asynccontextmanager
async def watch(
    manager: TokenEvents,
    websocket: ClientConnection,
    *,
    reauthenticate: Reauthenticate | None = None,
) -> AsyncIterator[None]:
    """
    Let no connection outlive its token, until the block ends.

    As soon as the manager has another token than the one that opened *websocket*, the connection
    is closed with code 1000, or *reauthenticate* is called. It is closed as well when nobody is
    signed in any more, and when *reauthenticate* fails.

    Args:
        manager: Whose token opened it. Its timer makes the new token ahead of expiry, so not
            with `auto_refresh=False`.
        websocket: The connection.
        reauthenticate: Called as `reauthenticate(websocket, token)`; what it raises is logged, by
            its name.
    """
    following = asyncio.create_task(follow(manager, websocket, reauthenticate))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait({following})


async def follow(
    manager: TokenEvents, websocket: ClientConnection, reauthenticate: Reauthenticate | None
) -> None:
    """Do what `watch` says, for as long as the connection and the manager are open."""
    reason = "token replaced"
    try:
        async for token in successors(manager, websocket):
            if reauthenticate is None:
                break
            await reauthenticate(websocket, token)
        else:  # the manager is closed: nothing more will come
            return
    except SignInRequired:
        reason = "signed out"
    except Exception as error:  # noqa: BLE001 - the user's own code, or that of the store
        logger.warning("A web socket is not re-authenticated: %s", type(error).__name__)
    await websocket.close(reason=reason)


async def successors(
    manager: TokenEvents, websocket: ClientConnection
) -> AsyncGenerator[AccessToken, None]:
    """
    Yield each token that replaces the one that opened the connection; end with the manager.

    Raises:
        SignInRequired: Nobody is signed in any more.
    """
    request = websocket.request
    known = "" if request is None else request.headers.get(AUTHORIZATION, "")
    try:
        async with manager.events() as events:
            async for _ in events:
                try:
                    token = await manager.get_token()
                except TemporaryError:
                    continue
                if token.header != known:
                    known = token.header
                    yield token
    except ManagerClosed:
        return


def refuses_token(response: Any) -> bool:
    """Say whether a 401 means the token itself."""
    headers = response.headers
    codes = headers.get_all("x-sb-error-code")
    if headers_spare_token(codes, headers.get_all("WWW-Authenticate")):
        return False
    try:
        return not answer_spares_token(read_json(bytes(response.body or b"")))
    except ValueError:  # no JSON
        return True


def origin_of(uri: str) -> URL:
    """Return the origin of a web socket's URI, or raise ConfigurationError."""
    try:
        url = URL(uri)
        if url.scheme in {"ws", "wss"}:
            return url.origin()
    except (TypeError, ValueError):
        pass
    raise ConfigurationError("uri: give the URI of a web socket, such as 'wss://api.example.com'.")
