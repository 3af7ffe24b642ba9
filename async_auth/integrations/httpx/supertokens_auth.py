"""`SuperTokensAuth`: the session of a SuperTokens client on the requests of httpx.

It promises that ordinary requests just work: that they carry the session, that every answer is
read for what it says of it, and that a refusal costs one refresh however many requests run into
it. It holds no lock and no connection of yours while it waits for a token, and replays no body
that may be gone. What is to be done is the client's `exchange` to say.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import attrs
from multidict import CIMultiDict

from async_auth.integrations.httpx.either import AsyncAuth, can_replay, read_small_body
from async_auth.supertokens import wire

if TYPE_CHECKING:
    from async_auth.supertokens.client.client import SuperTokensClient
    from async_auth.supertokens.client.exchange import Sending

logger = logging.getLogger("async_auth.integrations.httpx")


class SuperTokensAuth(AsyncAuth):
    """
    Lets requests to a SuperTokens client's API carry its session.

    Give it to `AsyncClient(auth=…)` or to a single request. It serves any number of clients and
    concurrent requests.

    Whatever answer sets a session signs the client in; one that replaces the access token is
    believed, unless the session has been refreshed meanwhile; one that ends the session ends it
    here. Signed out, requests go out with nothing but how tokens are asked for. To any other
    origin nothing is added and nothing is read; nor for the request that refreshes. The answers
    on the way of a redirect are read as well, when its last one is there.

    A request that has an `Authorization` header of its own keeps it, and its refusal is handed
    back. Otherwise the token that a refusal is about is refreshed, if it is still the current
    one, and the request (after a redirect: its last hop) is sent once more, at most
    `max_refresh_attempts` times. The refusal is handed back if there is no other token to be had,
    if one that was refreshed for this very request is refused too, or if the body of the request
    was a stream that is consumed: then the session is refreshed all the same.

    The requests themselves raise, before anything is sent: TemporaryError if the token has
    expired and no new one can be had for now; StoreError; ManagerClosed.

    Args:
        client: Whose session the requests carry.
    """

    def __init__(self, client: SuperTokensClient) -> None:
        self._exchange = client.exchange

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Yield *request* with the session, and again with a better one where that helps."""
        exchange = self._exchange
        sending: Sending | None
        if exchange.covers(str(request.url)):
            headers = headers_of(request)
            sending = await exchange.begin(headers)
            put(headers, request)
        else:
            sending = exchange.without_session(free="Authorization" not in request.headers)
        rounds = 0
        while sending is not None:
            carried = credentials_of(request)
            response = yield request
            # Those of earlier rounds come first, without the redirects that led to them.
            for hop in (*response.history[rounds:], response):
                if exchange.covers(str(hop.request.url)):
                    said = as_sent(sending, hop.request, carried)
                    await exchange.read(said, hop.status_code, headers_of(hop))
            rounds += 1
            # The last hop, if there were redirects: what came before it is done.
            request = response.request
            sending = await self._again(as_sent(sending, request, carried), response)

    async def _again(self, sending: Sending, response: Any) -> Sending | None:
        """Return how the request is sent once more, `None` if this is the answer."""
        exchange, request = self._exchange, response.request
        if not exchange.covers(str(request.url)):
            return None
        if exchange.may_name_claims(response.status_code, headers_of(response)):
            exchange.read_claims(await read_small_body(response) or b"")
            return None
        if not exchange.is_refusal(response.status_code):
            return None
        # The refresh may need a connection of the same pool: this one must be free.
        await read_small_body(response)
        headers = headers_of(request)
        again = await exchange.again(sending, headers)
        if again is not None and not can_replay(request):
            logger.info("A refused request is not sent again: its body was a stream")
            return None
        put(headers, request)
        return again


def headers_of(message: Any) -> CIMultiDict[str]:
    """Return the headers of a request or response of httpx, repeats included."""
    headers = message.headers
    return CIMultiDict(
        (name.decode(headers.encoding), value.decode(headers.encoding))
        for name, value in headers.raw
    )


def put(headers: CIMultiDict[str], request: Any) -> None:
    """Give *request* these headers."""
    kind, encoding = type(request.headers), request.headers.encoding
    request.headers = kind(list(headers.items()), encoding=encoding)


def credentials_of(request: Any) -> tuple[str | None, str | None]:
    """Return what in *request* says whose it is: the header, and the cookie of the session."""
    found = None
    for part in request.headers.get("Cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wire.ACCESS_COOKIE:
            found = value
    return request.headers.get("Authorization"), found


def as_sent(sending: Sending, request: Any, carried: tuple[str | None, str | None]) -> Sending:
    """
    Return *sending* as it is true of *request*, which a redirect may have made of another one.

    Args:
        sending: How the first request was sent.
        request: The one that got the answer.
        carried: The credentials of the first.
    """
    if sending.session is None or credentials_of(request) == carried:
        return sending
    return attrs.evolve(sending, session=None, free=True)
