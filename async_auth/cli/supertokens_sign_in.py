"""Signing in at an API before SuperTokens, with a password.

By default as its official front ends do: the recipe EmailPassword's `POST /auth/signin`, which
says in a 200 whether the password was right. An application's own route gets a plain JSON object.
The session is whatever the answer sets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from async_auth.core.plain_json import read_json
from async_auth.core.redaction import safe_text
from async_auth.core.retry_after import parse_retry_after
from async_auth.errors import (
    ApiError,
    AuthError,
    InvalidCredentials,
    ProtocolError,
    RateLimited,
    ServerUnavailable,
)
from async_auth.http_messages import Request, Response
from async_auth.supertokens import wire

if TYPE_CHECKING:
    from async_auth.supertokens import SuperTokensClient

RECIPE = "emailpassword"


def sign_in_request(
    url: str, *, account: str, password: str, recipe: bool, transfer: str = "header"
) -> Request:
    """
    Return the request that signs in.

    Args:
        url: Where.
        account: The address, or the number.
        password: The password.
        recipe: Whether the recipe is asked, or the application's own route.
        transfer: How the tokens shall come.
    """
    name = "email" if "@" in account else "phone"
    own = {name: account, "password": password}
    fields = [{"id": member, "value": value} for member, value in own.items()]
    body = {"formFields": fields} if recipe else own
    headers = {
        "Content-Type": "application/json",
        wire.ST_AUTH_MODE: transfer,
        wire.RID: RECIPE,
    }
    return Request("POST", url, headers, json.dumps(body).encode())


def read_refusal(response: Response, *, path: str, password: str) -> AuthError | None:
    """
    Return the error that an answer means, or `None` if it is none.

    Args:
        response: The answer.
        path: Where was asked, for messages.
        password: What no message may repeat.
    """
    said, status = _object_in(response.body), response.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        after = parse_retry_after(response.headers.get("Retry-After"))
        return RateLimited("Too many tries.", status=status, retry_after=after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerUnavailable("The API cannot sign anybody in for now.", status=status)
    if status == HTTPStatus.NOT_FOUND:
        return ApiError(
            f"The API has nothing at {path}; name its own route: --sign-in-path /login",
            status=status,
        )
    word = said.get("status")
    text = safe_text(_text_of(said), (password,))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or word == (
        "WRONG_CREDENTIALS_ERROR"
    ):
        return InvalidCredentials(text or "Wrong address or password.", status=status)
    if status >= HTTPStatus.MULTIPLE_CHOICES or word not in {None, "OK"}:
        code = word if isinstance(word, str) else None
        return ApiError(text or "The API refused.", status=status, code=code)
    return None


def _object_in(body: bytes) -> Mapping[str, Any]:
    try:
        found = read_json(body)
    except ValueError:
        return {}  # a proxy's page, or nothing at all: the status says it
    return found if isinstance(found, Mapping) else {}


def _text_of(said: Mapping[str, Any]) -> str:
    for name in ("message", "reason"):
        if isinstance(text := said.get(name), str):
            return text
    fields = said.get("formFields")
    errors = (
        [one.get("error") for one in fields if isinstance(one, Mapping)]
        if isinstance(fields, list)
        else []
    )
    return " ".join(error for error in errors if isinstance(error, str))


async def sign_in(
    client: SuperTokensClient, *, account: str, password: str, path: str | None
) -> None:
    """
    Sign in; the answer's session becomes the client's.

    Args:
        client: The client.
        account: The address, or the number.
        password: The password.
        path: The application's own route; `None` for the recipe's.

    Raises:
        InvalidCredentials: Wrong address or password.
        ApiError: The API refused.
        TemporaryError: Try again later.
        ProtocolError: The answer has no session in it.
    """
    settings = client.settings
    where = f"{settings.api_base_path}/signin" if path is None else f"/{path.lstrip('/')}"
    request = sign_in_request(
        f"{settings.api_domain}{where}",
        account=account,
        password=password,
        recipe=path is None,
        transfer=settings.transfer,
    )
    before = client.session
    # As the adapters do it for a request that goes out with nobody's token.
    sending = client.exchange.without_session(free=True)
    response = await client.manager.send(request)
    refusal = read_refusal(response, path=where, password=password)
    if refusal is not None:
        raise refusal
    await client.exchange.read(sending, response.status, response.headers)
    if client.session is None or client.session is before:
        raise ProtocolError("The API signed somebody in, but its answer has no session.")
