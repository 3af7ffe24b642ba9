"""Signing in with the user's browser, for programs that have no web page of their own.

The browser comes back to a port of this machine. It is told that all is done only when the
session is there; whatever happens, the port is closed and no task is left. The PKCE verifier
never leaves this call: no other process could take the browser in.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import assert_never
from urllib.parse import urlencode

import attrs

from async_auth.errors import ConfigurationError, SignInRequired
from async_auth.gotrue import browser_pages as pages
from async_auth.gotrue.callback import Code, InFragment, Nowhere, Refused, Stranger, read_callback
from async_auth.gotrue.elsewhere import SigningInElsewhere
from async_auth.gotrue.models import AuthResponse
from async_auth.gotrue.pkce import PkceFlow
from async_auth.gotrue.requests import sign_in
from async_auth.loopback import HOST, Door, Reply, open_door
from async_auth.web_browser import open_in_browser

#: Gets the address at which the user signs in.
OpenBrowser = Callable[[str], object] | Callable[[str], Awaitable[object]]

#: Seconds for which *open_browser* may go on when the sign-in is over.
GRACE = 1.0
_PORTS = range(65536)
_PATH = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*/?)?")
_SECRET_BYTES, _NONCE_BYTES = 32, 16


class SigningInByBrowser(SigningInElsewhere):
    """The client's method for the browser of whoever runs the program."""

    async def sign_in_with_browser(
        self,
        provider: str,
        *,
        scopes: str | None = None,
        query_params: Mapping[str, str] | None = None,
        open_browser: OpenBrowser = open_in_browser,
        port: int | Sequence[int] = 0,
        path: str = "/",
        timeout: float = 300.0,
    ) -> AuthResponse:
        """
        Sign in with the user's own browser, on this machine, and wait until that is done.

        The browser ends at a port of 127.0.0.1, which is open only while this call waits; GoTrue
        allows such addresses without being told of them (as RFC 8252 section 7.3 has it). The
        code that it brings is exchanged by PKCE, whatever the client's `flow`; the new session
        becomes the current one (`SignedIn`). What fails leaves the session there was. Several
        calls at once have a port each. Cancelling it closes the port at once; a `sign_out()`
        meanwhile leaves it waiting.

        Args:
            provider: `github`, `google`, … as the server names them.
            scopes: The provider's scopes, separated by spaces.
            query_params: What the provider is told besides (`login_hint`, `prompt`, …).
            open_browser: Gets the address at which the user signs in, on the event loop; it may
                be `print`, or a coroutine function, which is cancelled a second after the
                sign-in is over. What it raises before ends the sign-in and is raised. By default
                the user's browser is opened, and the address printed to stderr if there is none.
            port: Where to listen: any free port (0), this one, or the first free one of these.
            path: The path of the address to which the browser comes back.
            timeout: Seconds within which it has to.

        Raises:
            ApiError: The provider or the server refused (`access_denied`, …), or the server did
                not take the code.
            SignInRequired: The time is over (`sign_in_timeout`); begin anew. A server that does
                not let browsers go to such addresses sends them to its own site in silence.
            TemporaryError: The server could not be asked, or the browser brought `server_error`
                or `temporarily_unavailable`. Try again later.
            ProtocolError: The browser brought neither a code nor an error.
            ConfigurationError: An argument is wrong, or the port is taken.
            ManagerClosed: After `aclose()`, and if that comes while this waits.
        """
        _check(open_browser, path, timeout)
        trip = Trip(
            flow=PkceFlow.new(),
            state=secrets.token_urlsafe(_SECRET_BYTES),
            path=path,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
        )
        async with self._caller.manager.while_open(), trip.received_at(_ports(port)) as door:
            query = sign_in.authorize_query(
                provider=provider,
                redirect_to=trip.address(door.port),
                scopes=scopes,
                query_params=query_params,
                code_challenge=trip.flow.challenge,
            )
            url = sign_in.authorize_url(self._caller.api, query)
            async with trip.begun_by(open_browser, url):
                code = await trip.code(timeout=timeout)
                order = self._caller.manager.begin_sign_in()
                answer, flow = await self._exchange(code, [trip.flow])
                response = await self._finish(answer, flow, order=order)
                trip.end(pages.DONE)
        return response


@attrs.define(eq=False, kw_only=True)
class Trip:
    """
    A browser's way to the provider and back; for one call in one event loop.

    Args:
        flow: The PKCE flow.
        state: What tells our browser from everybody else's; only who knows it may end the wait.
        path: Where it comes back.
        nonce: For our pages.
    """

    flow: PkceFlow
    state: str = attrs.field(repr=False)
    path: str
    nonce: str = attrs.field(repr=False)
    #: What came back, or what made it impossible.
    _outcome: asyncio.Future[Code | Exception] = attrs.field(init=False, repr=False)
    _door: Door = attrs.field(init=False, repr=False)

    def address(self, port: int) -> str:
        """Return where the browser is to come back."""
        return f"http://{HOST}:{port}{self.path}?{urlencode({'state': self.state})}"

    @asynccontextmanager
    async def received_at(self, ports: Sequence[int]) -> AsyncIterator[Door]:
        """Let browsers in while the block runs; its failure is the last page they see."""
        self._outcome = asyncio.get_running_loop().create_future()
        self._door = door = open_door(ports, self.answer)
        try:
            await door.open()
            yield door
        except BaseException as error:
            self.end(pages.failed(error))
            raise
        finally:
            door.close()

    @asynccontextmanager
    async def begun_by(self, open_browser: OpenBrowser, url: str) -> AsyncIterator[None]:
        """Run *open_browser* beside the block, and a moment longer if that ends by itself."""

        def look(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Exception):
                self._settle(error)

        opening = asyncio.create_task(_open(open_browser, url))
        opening.add_done_callback(look)
        try:
            try:
                yield
            except BaseException as error:
                # It may be the browser itself, and has not seen the page yet.
                self.end(pages.failed(error))
                if isinstance(error, Exception):
                    await asyncio.wait({opening}, timeout=GRACE)
                raise
            await asyncio.wait({opening}, timeout=GRACE)
        finally:
            opening.cancel()
            await asyncio.wait({opening})

    async def code(self, *, timeout: float) -> str:
        """
        Return the code when the browser brings it.

        Raises:
            SignInRequired: It does not come in time.
            Exception: What it brought in place of one, or what *open_browser* raised.
        """
        try:
            async with asyncio.timeout(timeout):
                outcome = await self._outcome
        except TimeoutError:
            raise SignInRequired(
                f"Nobody signed in with the browser within {timeout:g} seconds; begin anew.",
                code="sign_in_timeout",
            ) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome.value

    def answer(self, target: str) -> Reply | None:
        """Answer a browser, or let it wait until we know how the sign-in ends."""
        match read_callback(target, path=self.path, state=self.state):
            case Nowhere():
                return pages.NOWHERE.reply(self.nonce)
            case Stranger():
                return pages.STRANGER.reply(self.nonce)
            case InFragment():
                return pages.LOOKING.reply(self.nonce)
            case Code() as code:
                self._settle(code)
            case Refused(error=error):
                self._settle(error)
            case never:
                assert_never(never)
        return None

    def end(self, page: pages.Page) -> None:
        """Show the browsers that wait how it ended, and close the port."""
        self._door.release(page.reply(self.nonce))
        self._door.close()

    def _settle(self, outcome: Code | Exception) -> None:
        # The first counts: browsers ask twice when they are reloaded.
        if not self._outcome.done():
            self._outcome.set_result(outcome)


async def _open(open_browser: OpenBrowser, url: str) -> None:
    opening = open_browser(url)
    if inspect.isawaitable(opening):
        await opening


def _check(open_browser: object, path: object, timeout: object) -> None:
    if not callable(open_browser):
        raise ConfigurationError("open_browser must be a function that takes an address.")
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError("path must be a plain path that begins with a slash.")
    number = timeout if isinstance(timeout, int | float) and timeout is not True else math.nan
    if not 0 < number < math.inf:
        raise ConfigurationError("timeout must be seconds, more than 0.")


def _ports(port: int | Sequence[int]) -> Sequence[int]:
    ports = port if isinstance(port, Sequence) else [port]
    wrong = [one for one in ports if type(one) is not int or one not in _PORTS]
    if wrong or not ports:
        raise ConfigurationError("port must be a number from 0 to 65535, or a list of such.")
    return ports
