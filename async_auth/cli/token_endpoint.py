"""The loopback endpoint of `exec`: a program that runs for long asks it for a new token.

It promises to listen on 127.0.0.1 alone, to answer only who knows this run's secret, which is in
the program's environment and nowhere else, and who asks for this machine by one of its own names
(against DNS rebinding). It logs nothing and sets no CORS header: no web page reads an answer.
"""

from __future__ import annotations

import hmac
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Protocol

import attrs
from aiohttp import web
from yarl import URL

from async_auth.core.hosts import is_loopback
from async_auth.errors import AuthError, SignInRequired, TemporaryError
from async_auth.loopback import HOST
from async_auth.session import AccessToken

PATH = "/token"
METHODS = ("GET", "POST")
#: Bytes of a refused token that is handed back.
BODY_MAX = 64 * 1024
#: Seconds that an answer may still take when the program has ended.
GRACE = 0.5


class Tokens(Protocol):
    """Whoever has tokens: a client, a manager."""

    async def get_token(self, *, rejected: str | None = None) -> AccessToken:
        """Return one that is good now."""
        ...


@attrs.frozen(kw_only=True)
class Place:
    """
    Where it is.

    Args:
        url: What to GET.
        secret: What `Authorization: Bearer …` must say.
    """

    url: str
    secret: str = attrs.field(repr=False)


@asynccontextmanager
async def serving(tokens: Tokens) -> AsyncIterator[Place]:
    """Serve tokens at a free port for as long as the block runs."""
    secret = secrets.token_urlsafe(32)
    app = web.Application(client_max_size=BODY_MAX)
    app.router.add_route("*", "/{path:.*}", _Door(tokens, secret).answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        port = runner.addresses[0][1]
        yield Place(url=f"http://{HOST}:{port}{PATH}", secret=secret)
    finally:
        await runner.cleanup()


@attrs.frozen
class _Door:
    tokens: Tokens
    secret: str = attrs.field(repr=False)

    async def answer(self, request: web.Request) -> web.Response:
        """
        Answer one request.

        GET is a token that is good now, as text, or as JSON for who accepts that. POST is the
        same for who has just been refused with 401; the body is the token that was.
        """
        refusal = self._refusal(request)
        if refusal is not None:
            return _said(refusal, refusal.phrase)
        body = await request.read() if request.method == "POST" else b""
        rejected = body.decode("ascii", "replace").strip()
        try:
            token = await self.tokens.get_token(rejected=rejected or None)
        except AuthError as error:
            return _failed(error)
        if "application/json" not in request.headers.get("Accept", ""):
            return _said(HTTPStatus.OK, token.value)
        left = None if token.expires_at is None else max(token.expires_at - time.time(), 0.0)
        facts = {
            "access_token": token.value,
            "token_type": token.token_type,
            "expires_at": token.expires_at,
            "expires_in": left,
        }
        return web.json_response(facts, headers={"Cache-Control": "no-store"})

    def _refusal(self, request: web.Request) -> HTTPStatus | None:
        if not _names_us(request.headers.get("Host", "")):
            return HTTPStatus.FORBIDDEN
        # Bytes that are no text are what nobody sends who knows the secret, but no error of ours.
        stated = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(stated, f"Bearer {self.secret}".encode()):
            return HTTPStatus.UNAUTHORIZED
        if request.path != PATH:
            return HTTPStatus.NOT_FOUND
        return None if request.method in METHODS else HTTPStatus.METHOD_NOT_ALLOWED


def _names_us(authority: str) -> bool:
    try:
        host = URL(f"http://{authority}").host
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _failed(error: AuthError) -> web.Response:
    match error:
        case TemporaryError():
            answer = _said(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            if error.retry_after is not None:
                answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
            return answer
        case SignInRequired():
            # It is over: asking again is no use until somebody signs in.
            return _said(HTTPStatus.GONE, str(error))
        case _:
            return _said(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))


def _said(status: HTTPStatus, text: str) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(METHODS)
    return web.Response(status=status, text=f"{text}\n", headers=headers)
