"""The sessions of SuperTokens in aiohttp.web: verified, refreshed, and told to the front end.

It promises that what a session changes is in the response's headers before they are sent, those
of a streaming response too, and that errors of sessions are answered as SuperTokens' front ends
expect. A response to an error that nobody has handled gets nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from async_auth.core.web.responses import write
from async_auth.integrations.sessions import (
    VISIT,
    Check,
    Visit,
    checked_backend,
    session_in,
)
from async_auth.supertokens.backend.answers import Answer
from async_auth.supertokens.backend.backend import SuperTokensBackend
from async_auth.supertokens.backend.exchange import EXCHANGE_KEY, Exchange, exchange_of
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.backend.web import HANDLED
from async_auth.supertokens.claims import ClaimValidator

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: From 3.14 on aiohttp warns of keys that are texts; 3.13 knows no others.
_VISIT: Any = web.RequestKey(VISIT, Visit) if hasattr(web, "RequestKey") else VISIT
_EXCHANGE: Any = (
    web.RequestKey(EXCHANGE_KEY, Exchange) if hasattr(web, "RequestKey") else EXCHANGE_KEY
)


def setup_supertokens(
    app: web.Application, backend: SuperTokensBackend, *, close_backend: bool = False
) -> None:
    """
    Let an application have sessions: their routes, their errors, their tokens in its responses.

    The routes are the back end's: POST of its refresh and its sign-out path, GET of its keys.
    Errors of sessions, `get_session()`'s in your handlers among them, are answered as the back
    end's `error_handlers` say. What a session changes goes into every response, streaming ones
    too, when its headers are sent; only web sockets' handshakes get nothing.

    It adds a middleware behind those that are there already: what answers preflights, or adds
    CORS headers to responses, stands before it. `Access-Control-Expose-Headers` is appended to.

    Args:
        app: Before it has started.
        backend: Whose sessions count.
        close_backend: Whether it is closed when the application is cleaned up. By default it
            stays yours to close, for other applications may use it.

    Raises:
        ConfigurationError: *backend* is no SuperTokensBackend.
    """
    app.middlewares.append(keeping_sessions(checked_backend(backend)))
    app.on_response_prepare.append(tell)
    if close_backend:

        async def close(_app: web.Application) -> None:
            await backend.aclose()

        app.on_cleanup.append(close)


def keeping_sessions(backend: SuperTokensBackend) -> Middleware:
    """Return the middleware: our routes, the application's, and the answers to sessions' errors."""

    @web.middleware
    async def keep_sessions(request: web.Request, handler: Handler) -> web.StreamResponse:
        exchange = exchange_of(request)
        exchange.has_middleware = True
        request[_EXCHANGE], request[_VISIT] = exchange, Visit(backend, exchange)
        try:
            answer = await backend.web.route(exchange)
            if answer is None:
                return await handler(request)
        except HANDLED as error:
            if exchange.over:
                raise
            answer = await backend.web.answer_to(error, exchange)
        except web.HTTPException:
            # A response, of the kind that is raised.
            raise
        except Exception:
            # As behind every other framework, where the answer to this is made outside of us.
            exchange.over = True
            raise
        return response_of(answer)

    return keep_sessions


async def tell(request: web.Request, response: web.StreamResponse) -> None:
    """Put what a session has changed into a response that is about to be sent."""
    exchange: Exchange | None = request.get(_EXCHANGE)
    if exchange is None or exchange.over:
        return
    exchange.over = True
    if not isinstance(response, web.WebSocketResponse):
        # By its headers, for the response itself counts as sent by now.
        write(exchange.outgoing, SimpleNamespace(headers=response.headers))


def verify_session(
    *,
    session_required: bool = True,
    anti_csrf_check: bool | None = None,
    check_database: bool = False,
    claim_validators: Iterable[ClaimValidator] | None = None,
) -> Callable[[Handler], Handler]:
    """
    Make a decorator for handlers that need a session; `session_of(request)` gives it to them.

        @verify_session()
        async def me(request):
            return web.json_response({"user": session_of(request).user_id})

    A web socket's session is verified at its handshake and not again. Cookies come with web
    sockets that other sites' pages open, too: look at the `Origin`.

    Args:
        session_required: Whether a request without a session is refused; a bad one always is.
        anti_csrf_check: Whether the anti-CSRF rules apply; `None`: to all methods but GET.
        check_database: Whether the core is asked if the session still exists.
        claim_validators: What is asked of the session's claims.
    """
    check = Check(
        session_required=session_required,
        anti_csrf_check=anti_csrf_check,
        check_database=check_database,
        claim_validators=claim_validators,
    )

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def verified(request: web.Request) -> web.StreamResponse:
            await check.session_for(request.get(_VISIT))
            return await handler(request)

        return verified

    return decorate


def session_of(request: web.Request) -> ServerSession | None:
    """
    Return the session of a request; `None` where it needs none and has none.

    Raises:
        ConfigurationError: Nobody has verified it: see `verify_session`.
    """
    return session_in(request.get(_VISIT))


def response_of(answer: Any) -> web.StreamResponse:
    """Return an answer as aiohttp's; a response of an error handler is one already."""
    if isinstance(answer, Answer):
        return web.Response(
            status=answer.status, body=answer.content(), headers=dict(answer.headers())
        )
    response: web.StreamResponse = answer
    return response
