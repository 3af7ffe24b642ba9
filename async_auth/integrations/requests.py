"""requests: `Auth` puts the token on the requests of synchronous code, through a `SyncBridge`.

    import requests
    from async_auth.integrations.blocking import SyncBridge
    from async_auth.integrations.requests import Auth

    with SyncBridge(client) as bridge, requests.Session() as http:
        http.auth = Auth(bridge, origins=["https://api.example.com"])
        http.get("https://api.example.com/things")

It promises what the async adapters promise: the token goes to the listed origins and nowhere
else, a 401 is answered by refreshing that very token and sending the request once more, and a
body that may be gone is not sent twice. requests itself takes the header away on a redirect to
another origin, listed or not, and whatever that answers is handed back; the exception is its own:
from `http://` to `https://` of one host on the default ports.

requests uses the proxies of the environment, for this machine too unless `no_proxy` names it. An
adapter cannot change that: before a token goes to `http://` origins, set `http.trust_env = False`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from yarl import URL

try:
    from requests.auth import AuthBase
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.requests needs requests: pip install 'async_auth[requests]'."
    ) from missing

from async_auth.core.plain_json import read_json
from async_auth.errors import TemporaryError
from async_auth.integrations.origins import parse_origins
from async_auth.integrations.refusals import (
    UNAUTHORIZED,
    answer_spares_token,
    current_generation,
    declares_much,
    headers_spare_token,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from async_auth.integrations.blocking import SyncBridge
    from async_auth.session import AccessToken

__all__ = ["Auth"]

AUTHORIZATION = "Authorization"


class Auth(AuthBase):
    """
    Authenticates requests with the token of a bridge; give it as `auth=`, for one or for all.

    It serves any number of sessions and threads. A request that has an `Authorization` header
    already is left alone. The 401 is handed back if there is no other token to be had for now, if
    the new one is refused too, if it says `insufficient_aal` or `insufficient_scope`, if the
    token was pinned, or if the body of the request was a stream.

    The requests themselves raise what `SyncBridge.get_token` raises, before anything is sent;
    after a 401 only what is not a TemporaryError.

    Args:
        bridge: Where tokens come from.
        origins: Where they may go: `"https://api.example.com"` and the like, one or several.
        allow_insecure: Let the token travel over plain http to hosts other than loopback.

    Raises:
        ConfigurationError: *origins* is empty or names something else than origins.
    """

    def __init__(
        self,
        bridge: SyncBridge,
        origins: str | URL | Iterable[str | URL],
        *,
        allow_insecure: bool = False,
    ) -> None:
        self._origins = parse_origins(origins, allow_insecure=allow_insecure)
        self._bridge = bridge

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put a token on the request, if it may have one."""
        if AUTHORIZATION in r.headers or not self._covers(r):
            return r
        token = self._bridge.get_token()
        r.headers[AUTHORIZATION] = token.header
        r.register_hook("response", partial(self._answer, token))
        return r

    def _answer(self, token: AccessToken, response: Response, **options: Any) -> Response:
        """Send the request again with another token, where that helps. requests' own hook."""
        last = False
        while not last and self._is_refused(token, response):
            # Where somebody else has refreshed it already, the next token is not new for us: if
            # that one is refused as well, it gets its refresh too.
            last = current_generation(self._bridge.manager) in {None, token.generation}
            try:
                other = self._bridge.get_token(rejected=token)
            except TemporaryError:
                break  # the 401 is the server's true answer
            body = response.request.body
            if other.generation == token.generation or not isinstance(body, bytes | str | None):
                break
            token = other
            response = send_again(response, token, options)
        return response

    def _is_refused(self, token: AccessToken, response: Response) -> bool:
        request = response.request
        return (
            response.status_code == UNAUTHORIZED
            and token.generation != 0
            # A redirect copies the hook, and to another origin without the header.
            and request.headers.get(AUTHORIZATION) == token.header
            and self._covers(request)
            and refuses_token(response)
        )

    def _covers(self, request: PreparedRequest) -> bool:
        url = URL(request.url or "")
        return (url.scheme, url.raw_host, url.port) in self._origins


def refuses_token(response: Response) -> bool:
    """Say whether a 401 means the token itself; reads a small body, which the user can as well."""
    headers = response.headers
    codes = (headers.get("x-sb-error-code", ""),)
    if headers_spare_token(codes, (headers.get("WWW-Authenticate", ""),)):
        return False
    declared = headers.get("Content-Length", "")
    if declares_much(declared):
        return True
    try:
        return not answer_spares_token(read_json(response.content))
    except ValueError:  # no JSON
        return True


def send_again(response: Response, token: AccessToken, options: Any) -> Response:
    """Send the request that got *response* once more, with another *token*, as it was sent."""
    # Its connection goes back to the pool only when it was read.
    response.content  # noqa: B018 - a property that reads
    response.close()
    request = response.request.copy()
    request.headers[AUTHORIZATION] = token.header
    answer: Response = response.connection.send(request, **options)
    answer.history.append(response)
    answer.request = request
    return answer
