"""`Auth`: any manager's token on the requests of httpx.

It promises that the token goes to the listed origins and nowhere else, and that a 401 costs one
refresh however many requests run into it. It holds no lock and no connection of yours while it
waits for a token, keeps no state between requests, and replays no body that may be gone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any

from async_auth.core.plain_json import read_json
from async_auth.errors import TemporaryError
from async_auth.integrations.httpx.either import AsyncAuth, can_replay, read_small_body
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
    from yarl import URL

AUTHORIZATION = "Authorization"
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Auth(AsyncAuth):
    """
    Authenticates requests with the manager's token; give it to an `AsyncClient`, or to a request.

    It serves any number of clients and concurrent requests. A request that has an `Authorization`
    header already is left alone. On a 401 the token that was refused is refreshed, unless it was
    pinned or the answer says `insufficient_aal` or `insufficient_scope`, and the request is sent
    once more; after a redirect, what is sent is the last hop. The 401 is handed back if there is
    no other token to be had for now, if the new one is refused too, or if the body of the request
    was a stream that is consumed. Cancelling the request cancels nobody's refresh.

    The requests themselves raise what `get_token` raises, before anything is sent: SignInRequired,
    TemporaryError or ManagerClosed; after a 401 only what is not a TemporaryError.

    Args:
        manager: Where tokens come from.
        origins: Where they may go: `"https://api.example.com"` and the like, one or several.
            Scheme, host and port are compared, each in its normal form.
        allow_insecure: Let the token travel over plain http to hosts other than loopback.

    Raises:
        ConfigurationError: *origins* is empty or names something else than origins.
    """

    def __init__(
        self,
        manager: TokenSource,
        origins: str | URL | Iterable[str | URL],
        *,
        allow_insecure: bool = False,
    ) -> None:
        self._origins = parse_origins(origins, allow_insecure=allow_insecure)
        self._manager = manager

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Yield *request* with a token, and again with another where that helps."""
        if AUTHORIZATION in request.headers:
            yield request
            return
        token: AccessToken | None = None
        if self._covers(request.url):
            token = await self._manager.get_token()
            request.headers[AUTHORIZATION] = token.header
        last = False
        while True:
            response = yield request
            # The last hop, if there were redirects: what came before it is done.
            request = response.request
            if last or not await self._is_refused(token, response):
                return
            if AUTHORIZATION not in request.headers:
                # On its way through another origin it has lost the token, or never had one.
                token = None
            # Where somebody else has refreshed it already, the next token is not new for us: if
            # that one is refused as well, it gets its refresh too.
            last = token is not None and self._is_current(token)
            token = await self._other_than(token)
            if token is None or not can_replay(request):
                return
            request.headers[AUTHORIZATION] = token.header

    async def _is_refused(self, token: AccessToken | None, response: Any) -> bool:
        if response.status_code != UNAUTHORIZED or not self._covers(response.request.url):
            return False
        pinned = token is not None and token.generation == 0
        return not pinned and await refuses_token(response)

    async def _other_than(self, token: AccessToken | None) -> AccessToken | None:
        """Return the token to try in place of the one refused, `None` if there is none."""
        try:
            found = await self._manager.get_token(rejected=token)
        except TemporaryError:
            return None  # the 401 is the server's true answer
        return None if token is not None and found.generation == token.generation else found

    def _is_current(self, token: AccessToken) -> bool:
        return current_generation(self._manager) in {None, token.generation}

    def _covers(self, url: Any) -> bool:
        scheme = url.scheme
        port = url.port or PORTS.get(scheme)
        return (scheme, url.raw_host.decode("ascii"), port) in self._origins


async def refuses_token(response: Any) -> bool:
    """
    Say whether a 401 means the token itself. Reads a small body, which frees the connection.

    It must be free: the refresh may need one from the same pool.
    """
    headers = response.headers
    codes = headers.get_list("x-sb-error-code")
    if headers_spare_token(codes, headers.get_list("WWW-Authenticate")):
        return False
    try:
        return not answer_spares_token(read_json(await read_small_body(response) or b""))
    except ValueError:  # no JSON
        return True
