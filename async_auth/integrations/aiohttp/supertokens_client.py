"""The client half of SuperTokens for aiohttp: `supertokens_middleware`.

It promises that ordinary requests just work: that they carry the session, that every answer is
read for what it says of the session, and that a refusal costs one refresh however many requests
run into it. It holds no lock and no connection of yours while it waits for a token, and replays
no body that may be gone. What is to be done is the client's `exchange` to say.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

from async_auth.integrations.aiohttp.client import (
    can_replay,
    read_small_body,
    send_again,
    upload_ended,
)

if TYPE_CHECKING:
    from async_auth.supertokens.client.client import SuperTokensClient
    from async_auth.supertokens.client.exchange import Exchange, Sending

logger = logging.getLogger("async_auth.integrations.aiohttp")


def supertokens_middleware(client: SuperTokensClient) -> ClientMiddlewareType:
    """
    Make a client middleware through which requests to the client's API carry its session.

    Give it to `aiohttp.ClientSession(middlewares=[…])` or to a single request. It serves any
    number of sessions and concurrent requests, and web socket handshakes too.

    Whatever answer sets a session signs the client in; one that replaces the access token is
    believed, unless the session has been refreshed meanwhile; one that ends the session ends it
    here. Signed out, requests go out with nothing but how tokens are asked for. To any other
    origin, redirects included, nothing is added and nothing is read; nor for the request that
    refreshes.

    A request that has an `Authorization` header of its own keeps it, and its refusal is handed
    back. Otherwise the token that a refusal is about is refreshed, if it is still the current
    one, and the request is sent once more, at most `max_refresh_attempts` times. The refusal is
    handed back, its body still readable by `read()`, `text()` and `json()`, if there is no other
    token to be had, if one that was refreshed for this very request is refused too, or if the
    body of the request was a stream that is consumed: then the session is refreshed all the same.

    Args:
        client: Whose session the requests carry.

    The requests themselves raise, before anything is sent: TemporaryError if the token has
    expired and no new one can be had for now; StoreError; ManagerClosed.
    """
    exchange = client.exchange

    async def keep_session(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if not exchange.covers(str(request.url)):
            return await handler(request)
        sending: Sending | None = await exchange.begin(request.headers)
        response = await handler(request)
        while sending is not None:
            # At once: its end stops an upload that is still going on.
            uploaded = upload_ended(request)
            try:
                sending = await take(exchange, sending, request, response, uploaded=uploaded)
            except BaseException:
                response.close()
                raise
            if sending is not None:
                response = await send_again(request, response, handler)
        return response

    return keep_session


async def take(
    exchange: Exchange,
    sending: Sending,
    request: ClientRequest,
    response: ClientResponse,
    *,
    uploaded: bool,
) -> Sending | None:
    """Read an answer; return how the request is sent once more, `None` if that is the answer."""
    await exchange.read(sending, response.status, response.headers)
    if exchange.may_name_claims(response.status, response.headers):
        body = await read_small_body(response, readable=uploaded)
        exchange.read_claims(body or b"")
        return None
    if not exchange.is_refusal(response.status):
        return None
    # The refresh may need a connection of the same pool: this one must be free.
    await read_small_body(response, readable=uploaded)
    again = await exchange.again(sending, request.headers)
    if again is not None and not can_replay(request, uploaded=uploaded):
        logger.info("A refused request is not sent again: its body was a stream")
        return None
    return again
