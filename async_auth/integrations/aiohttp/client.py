"""The client half of the aiohttp integration: `bearer`, a client middleware.

It promises that the token goes to the listed origins and nowhere else, that to those nothing is
sent without one, and that a 401 costs one refresh however many requests run into it. It holds no
lock and no connection of yours while it waits for a token, keeps no state between requests, and
replays no body that may be gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import (
    BytesIOPayload,
    BytesPayload,
    ClientError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    IOBasePayload,
    MultipartWriter,
    Payload,
    hdrs,
)
from yarl import URL

from async_auth.errors import TemporaryError
from async_auth.integrations.origins import parse_origins
from async_auth.integrations.refusals import (
    BODY_MAX,
    UNAUTHORIZED,
    TokenSource,
    answer_spares_token,
    current_generation,
    headers_spare_token,
)
from async_auth.session import AccessToken


def bearer(
    manager: TokenSource,
    origins: str | URL | Iterable[str | URL],
    *,
    allow_insecure: bool = False,
) -> ClientMiddlewareType:
    """
    Make a client middleware that authenticates requests with the manager's token.

    Give it to `aiohttp.ClientSession(middlewares=[…])` or to a single request. It serves any
    number of sessions and concurrent requests, and web socket handshakes too.

    A request that has an `Authorization` header already is left alone. On a 401 the token that
    was refused is refreshed, unless it was pinned or the answer says `insufficient_aal` or
    `insufficient_scope`, and the request is sent once more. The 401 is handed back, its body
    still readable by `read()`, `text()` and `json()`, if there is no other token to be had for
    now, if the new one is refused too, or if the body of the request was a stream that is
    consumed. Cancelling the request cancels nobody's refresh.

    Args:
        manager: Where tokens come from.
        origins: Where they may go: `"https://api.example.com"` and the like, one or several.
            Scheme, host and port are compared, each in its normal form.
        allow_insecure: Let the token travel over plain http to hosts other than loopback.

    Raises:
        ConfigurationError: *origins* is empty or names something else than origins.

    The requests themselves raise what `get_token` raises, before anything is sent: SignInRequired,
    TemporaryError or ManagerClosed; after a 401 only what is not a TemporaryError.
    """
    listed = parse_origins(origins, allow_insecure=allow_insecure)
    get_token = manager.get_token
    authorization = hdrs.AUTHORIZATION

    async def authenticate(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        url = request.url
        # All three are cached by yarl and needed by aiohttp in any case.
        if (url.scheme, url.raw_host, url.port) not in listed:
            return await handler(request)
        headers = request.headers
        if authorization in headers:
            return await handler(request)
        token = await get_token()
        headers[authorization] = token.header
        response = await handler(request)
        if response.status != UNAUTHORIZED:
            return response
        return await answer_refusal(manager, token, response, request, handler)

    return authenticate


async def answer_refusal(
    manager: TokenSource,
    token: AccessToken,
    response: ClientResponse,
    request: ClientRequest,
    handler: ClientHandlerType,
) -> ClientResponse:
    """Refresh the *token* that *response* refuses and send the request again, where that helps."""
    last = False
    while response.status == UNAUTHORIZED and not last and token.generation != 0:
        uploaded = upload_ended(request)
        try:
            if not await refuses_token(response, readable=uploaded):
                break
            # Where somebody else has refreshed it already, the next token is not new for us: if
            # that one is refused as well, it gets its refresh too.
            last = current_generation(manager) in {None, token.generation}
            refreshed = await manager.get_token(rejected=token)
            if refreshed.generation == token.generation or not can_replay(
                request, uploaded=uploaded
            ):
                break
        except TemporaryError:
            break  # the 401 is the server's true answer
        except BaseException:
            response.close()
            raise
        token = refreshed
        request.headers[hdrs.AUTHORIZATION] = token.header
        response = await send_again(request, response, handler)
    return response


async def send_again(
    request: ClientRequest, response: ClientResponse, handler: ClientHandlerType
) -> ClientResponse:
    """Send a *request* that can be replayed once more, in place of the *response* it got."""
    response.release()
    await request.close()  # a body still on its way was cancelled by that
    if hdrs.EXPECT in request.headers:
        request.update_expect_continue()  # wait for this connection's 100, not the last one's
    return await handler(request)


async def refuses_token(response: ClientResponse, *, readable: bool) -> bool:
    """
    Whether a 401 means the token itself. Reads a small body, which frees the connection.

    It must be free: the refresh may need one from the same pool. Where the body of the request
    is still on its way the response is not *readable*: aiohttp would wait for the one to end.
    """
    headers = response.headers
    codes = headers.getall("x-sb-error-code", ())
    if headers_spare_token(codes, headers.getall(hdrs.WWW_AUTHENTICATE, ())):
        return False
    if await read_small_body(response, readable=readable) is None:
        return True
    try:
        return not answer_spares_token(await response.json(content_type=None))
    except (ValueError, LookupError, RecursionError):  # no JSON
        return True


async def read_small_body(response: ClientResponse, *, readable: bool) -> bytes | None:
    """
    Read a body that is not declared large, which frees the connection; the user can still.

    Returns:
        The body; `None` if it was not read, or broke off.
    """
    declared = response.content_length
    if (declared is not None and declared > BODY_MAX) or not readable:
        return None
    try:
        return await response.read()
    except ClientError:
        return None


def can_replay(request: ClientRequest, *, uploaded: bool) -> bool:
    """Whether the body can be sent again, whole; *uploaded*: all of it was sent once."""
    body = request.body
    return not isinstance(body, Payload) or is_repeatable(body, uploaded=uploaded)


def is_repeatable(body: Payload, *, uploaded: bool) -> bool:
    """Whether *body* is in memory, or a file at rest; what we do not know is a stream."""
    if isinstance(body, MultipartWriter):
        # Before 3.14 a multipart body does not answer for its parts.
        return not body.consumed and all(
            is_repeatable(part, uploaded=uploaded) for part, _, _ in body
        )
    if isinstance(body, BytesPayload | BytesIOPayload):
        return True
    # aiohttp rewinds a file before it sends it again, but must not do so under its first reader,
    # and calls one that it cannot rewind consumed.
    return isinstance(body, IOBasePayload) and uploaded and not body.consumed


def upload_ended(request: ClientRequest) -> bool:
    """
    Whether the body was sent to its end; a server may say 401 before it has read it all.

    To be asked as soon as the response is there: its end stops an upload that is still going on.
    """
    # No public attribute says this before 3.14. Without this one no file would be replayed.
    writer: Any = getattr(request, "_writer", request)
    return writer is None or (writer is not request and bool(writer.done()))
