"""The default transport: one aiohttp session that sends our own requests.

It promises that a request is sent once, past the user's own middleware, without following
redirects and within one total timeout; that a failure says whether the server may have seen the
request; that no failure's text or cause shows a query, a header or a body; and that no session of
its own is ever left open, in whatever way its loop ends. It will not close a session that was
lent to it, retry (aiohttp repeats a GET once on a stale connection, which is harmless), or judge
a status.

aiohttp is imported with the first transport, for `import async_auth` has to stay light; not with
the first request, which may be a refresh under a lease that a loop standing still cannot renew.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
import os
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from async_auth.core.cookie_header import with_cookies
from async_auth.errors import ConfigurationError, NetworkError, ProtocolError
from async_auth.http_messages import Request, Response

if TYPE_CHECKING:
    import aiohttp

    # For those who annotate with it: nobody above imports aiohttp.
    from aiohttp import ClientSession as ClientSession  # noqa: PLC0414 - a re-export

#: Bytes of a response body, after decompression, that are read before giving up.
RESPONSE_MAX = 4 * 1024 * 1024
#: The part of the total time that connecting may take: ten of the usual fifteen seconds, in which
#: TCP tries four times. So much less than all of it that a connection that never comes about is
#: told apart from an answer that never came, also by a loop that is late itself.
CONNECT_SHARE = 2 / 3


class AiohttpTransport:
    """
    Sends requests through aiohttp; safe to call concurrently within one event loop.

    Without *http* it makes a session of its own at the first request, and a new one when it is
    found in another event loop or in a forked child.

    Args:
        http: An `aiohttp.ClientSession` of yours. It is never closed by us, its middlewares and
            its `raise_for_status` do not apply, its cookies, proxies and headers do; but a
            request's own cookies win.
        withheld_cookies: The names of cookies of its jar that are never sent.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession | None = None,
        *,
        withheld_cookies: Iterable[str] = (),
    ) -> None:
        importlib.import_module("aiohttp")
        self._lent = http
        self._withheld = frozenset(withheld_cookies)
        self._own: OwnHttp | None = None

    def __repr__(self) -> str:
        if self._lent is not None:
            return "AiohttpTransport(http=<lent>)"
        return f"AiohttpTransport(open={self._own is not None})"

    async def send(self, request: Request, *, timeout: float) -> Response:
        """
        Send *request* and return the whole response, whatever its status.

        When cancelled it drops the connection and stays usable; the server may have seen the
        request.

        Args:
            request: What to send, byte by byte as it is. Redirects are not followed.
            timeout: Seconds for everything together, from connecting to the last byte.

        Raises:
            NetworkError: No answer. `.sent` is false only if the server cannot have seen it: no
                connection came about, or there was no usable address.
            ProtocolError: The answer is larger than 4 MiB.
            ConfigurationError: The lent session is closed or belongs to another event loop.
        """
        import aiohttp

        http = self._http()
        failure: NetworkError | ConfigurationError
        cause: OSError | None = None
        try:
            return await exchange(http, request, timeout, withheld=self._withheld)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            failure, cause = describe(error, request)
        except (AssertionError, RuntimeError, ValueError) as error:
            # aiohttp's ways of saying that the session was closed under the request, or that
            # request and session do not go together; it says so before anything is sent.
            failure = misuse(error, request, closed=http.closed)
        # Out here, for aiohttp's exceptions carry URLs and headers, and inside the handler they
        # would stay reachable as __context__.
        raise failure from cause

    async def aclose(self) -> None:
        """Close the session, if it is our own. Twice is fine; a later `send()` makes a new one."""
        own, self._own = self._own, None
        if own is not None:
            await own.aclose()

    def abandon(self) -> None:
        """
        Let go of our own session without an event loop: no waiting, no warnings, no sockets left.

        For the end of the interpreter and for loops that were closed or dropped while we were
        in use. Where there is a choice, `await aclose()`.
        """
        own, self._own = self._own, None
        if own is not None:
            own.abandon()

    def _http(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._lent is not None:
            return usable(self._lent, loop)
        if self._own is None or not self._own.belongs_to(loop):
            self.abandon()
            self._own = OwnHttp(loop)
        return self._own.http


class OwnHttp:
    """
    A session of ours and the connector below it, bound to one loop of one process.

    The connector is ours rather than the session's: a session can be let go of without a loop
    only if it does not own its connector.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import aiohttp

        self._loop = loop
        self._pid = os.getpid()
        connector = aiohttp.TCPConnector()
        self.http = aiohttp.ClientSession(
            connector=connector, connector_owner=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._connector = connector
        # Runs when we are collected and, at the latest, before the interpreter takes things apart.
        self.abandon = weakref.finalize(self, let_go, self.http, connector, loop, self._pid)

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this session can be used in *loop*, here and now."""
        return loop is self._loop and self._pid == os.getpid() and not self.http.closed

    async def aclose(self) -> None:
        """Close for good, from whichever loop this is called."""
        if not self.belongs_to(asyncio.get_running_loop()):
            self.abandon()
            return
        self.abandon.detach()
        self.http.detach()
        # Closes every connection before its first await, so being cancelled here loses nothing.
        await self._connector.close()


def let_go(
    http: aiohttp.ClientSession,
    connector: aiohttp.BaseConnector,
    loop: asyncio.AbstractEventLoop,
    pid: int,
) -> None:
    """Drop a session from anywhere: another loop, another thread, a forked child, no loop."""
    http.detach()
    here = pid == os.getpid()
    if here and not loop.is_closed() and loop.is_running():
        with contextlib.suppress(RuntimeError):  # the loop was closed in this very moment
            loop.call_soon_threadsafe(close_connector, connector)
            return
    # The private attributes of aiohttp and asyncio from here on have no public counterpart that
    # works without a running loop. Should one of them go, a ResourceWarning comes back; no more.
    for transport in transports_of(connector):
        bury(transport, registered=here)
    for name in ("_conns", "_acquired"):
        getattr(connector, name, {}).clear()
    connector._closed = True  # noqa: SLF001 - see above


def transports_of(connector: aiohttp.BaseConnector) -> list[Any]:
    """Return the asyncio transports of the connections that *connector* has, idle or in use."""
    pooled = [proto for conns in getattr(connector, "_conns", {}).values() for proto, _ in conns]
    protocols = [*pooled, *getattr(connector, "_acquired", ())]
    return [transport for protocol in protocols if (transport := protocol.transport) is not None]


def close_connector(connector: aiohttp.BaseConnector) -> None:
    """Close *connector* without a goodbye; called by its own running loop."""
    for transport in transports_of(connector):
        # A TLS goodbye waits for the other side, and this loop may end before that answers.
        transport.abort()
    close = getattr(connector, "_close", None)
    if close is not None:
        close()


def bury(transport: Any, *, registered: bool) -> None:
    """
    Close the socket below an asyncio transport whose loop will not do so any more.

    Args:
        transport: What asyncio gave us; its TLS transports stand on a plain one.
        registered: Whether the loop's selector is ours to change. A forked child shares it with
            its parent, whose connections would fall silent.
    """
    plain = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    finish = getattr(plain, "_call_connection_lost", None)
    if finish is None:
        return
    # Telling the protocols needs the loop; the socket is closed in a `finally` below that.
    with contextlib.suppress(Exception):
        if registered:
            plain.pause_reading()
            # Or the loop, should it run again, takes the socket for open.
            plain._closing = True  # noqa: SLF001 - see `let_go`
    with contextlib.suppress(Exception):
        finish(None)


def usable(http: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
    """Return the lent session, or say why it cannot be used here."""
    if http.closed:
        raise ConfigurationError(
            "http: the aiohttp.ClientSession lent to us is closed; keep it open for as long as "
            "the client that uses it, or lend none."
        )
    if http._loop is not loop:  # noqa: SLF001 - the public `loop` is deprecated and warns
        raise ConfigurationError(
            "http: the aiohttp.ClientSession lent to us belongs to another event loop; make it in "
            "the loop that uses it, or lend none."
        )
    return http


async def exchange(
    http: aiohttp.ClientSession,
    request: Request,
    timeout: float,
    *,
    withheld: frozenset[str] = frozenset(),
) -> Response:
    """Send *request* through *http*, in aiohttp's words and with its exceptions."""
    import aiohttp

    seconds = max(timeout, 0.001)  # aiohttp takes 0 for no timeout at all
    async with http.request(
        request.method,
        request.url,
        headers=request.headers,
        data=request.body or None,
        allow_redirects=False,
        raise_for_status=False,
        auto_decompress=True,
        middlewares=own_cookies_last(request, withheld),
        timeout=aiohttp.ClientTimeout(
            total=seconds,
            connect=seconds * CONNECT_SHARE,
            # Never rounded up to whole seconds, which could make the two fall together.
            ceil_threshold=math.inf,
        ),
    ) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > RESPONSE_MAX:
                response.close()
                raise ProtocolError(
                    f"{place(request)} answered with more than {RESPONSE_MAX} bytes.",
                    status=response.status,
                )
        return Response(response.status, response.headers, bytes(body))


def own_cookies_last(
    request: Request, withheld: frozenset[str]
) -> tuple[aiohttp.ClientMiddlewareType, ...]:
    """
    Return the middleware that lets the cookies of *request* win over those of the session's jar.

    aiohttp has it the other way round, and writes their values anew.

    Args:
        request: Its cookies are sent byte for byte.
        withheld: The names of cookies that the jar does not send at all.
    """
    stated = [part.strip() for part in request.headers.get("Cookie", "").split(";")]
    own = {name: value for name, _, value in (part.partition("=") for part in stated) if name}
    if not own and not withheld:
        return ()

    async def restore(
        sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        header = with_cookies(sent.headers.get("Cookie"), own, without=withheld | own.keys())
        sent.headers.popall("Cookie", None)
        if header:
            sent.headers["Cookie"] = header
        return await handler(sent)

    return (restore,)


def describe(error: Exception, request: Request) -> tuple[NetworkError, OSError | None]:
    """Return what to raise for aiohttp's *error*, and a cause that is safe to print."""
    import aiohttp

    sent = not isinstance(
        error,
        aiohttp.ClientConnectorError  # DNS, refused, TLS handshake, a proxy that is away
        | aiohttp.ConnectionTimeoutError
        | aiohttp.ServerFingerprintMismatch
        | aiohttp.ClientHttpProxyError
        | aiohttp.InvalidURL
        | aiohttp.NonHttpUrlClientError,
    )
    what = type(error).__name__
    cause: OSError | None = None
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error if isinstance(error.certificate_error, OSError) else None
    elif isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
    elif not isinstance(error, aiohttp.ClientError) and isinstance(error, OSError):
        cause = error
    if cause is not None and str(cause):
        what = f"{what}: {cause}"
    happened = "No answer from" if sent else "No connection to"
    return NetworkError(f"{happened} {place(request)} ({what}).", sent=sent), cause


def misuse(
    error: Exception, request: Request, *, closed: bool
) -> NetworkError | ConfigurationError:
    """Return what to raise when aiohttp refuses to work with the request or the session."""
    if closed:
        return NetworkError(
            f"The HTTP session was closed during a request to {place(request)}.", sent=True
        )
    return ConfigurationError(
        f"aiohttp refuses the request to {place(request)} ({type(error).__name__}): look at the "
        "URL, the headers, and the defaults (auth, headers) of the session in http."
    )


def place(request: Request) -> str:
    """Return method, scheme, host and path of *request*: no query and no userinfo."""
    scheme, separator, rest = request.url.partition("#")[0].partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{request.method} {scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
