"""Reads GoTrue's answers into sessions and users. Pure; *sent_at* and *now* are arguments.

Only a missing or unusable access or refresh token means that there is no session. Anything else
may be absent or of a wrong type: it falls back to something sensible, and what was sent stays in
`Session.extra`. Error answers go through `failures`. No token is verified here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from async_auth.core import jwt
from async_auth.core.plain_json import number, read_json
from async_auth.core.retry_after import parse_http_date
from async_auth.core.token_text import is_token
from async_auth.errors import AuthSessionMissing, Malformed, UserDoesntExist
from async_auth.gotrue.failures import error_from
from async_auth.gotrue.models import AuthResponse, User
from async_auth.http_messages import Response
from async_auth.session import Session

#: A `Date` that differs from our clock by no more is taken as the network's delay.
SKEW_TOLERANCE = 5.0

_SUCCESS = range(200, 300)
_TOKEN_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 section 11.1


def object_from(
    response: Response,
    *,
    secrets: Iterable[str | None] = (),
    subject: bool = False,
    now: float | None = None,
) -> dict[str, Any]:
    """
    Return the JSON object of a successful answer.

    Args:
        response: The answer.
        secrets: What we sent and nobody may read in an error.
        subject: As in `failures.error_from`.
        now: When it came, in unix seconds.

    Raises:
        AuthError: An error answer; see `failures.error_from`.
        ProtocolError: A success that is no JSON object.
    """
    secrets = tuple(secrets)
    body = _object_or_none(response)
    if body is None:
        raise error_from(response, secrets=secrets, subject=subject, now=now)
    return body


def list_from(
    response: Response,
    member: str | None = None,
    *,
    secrets: Iterable[str | None] = (),
    now: float | None = None,
) -> list[dict[str, Any]]:
    """
    Return the objects of a successful answer that is a list.

    Args:
        response: The answer.
        member: Where in the answer the list stands; by default it is the whole.
        secrets: What we sent and nobody may read in an error.
        now: When it came, in unix seconds.

    Raises:
        AuthError: As `object_from`.
        ProtocolError: A success that has no such list. `null` is an empty one, as Go writes it.
    """
    secrets = tuple(secrets)
    body = _json_in(response)
    if member is not None:
        body = body.get(member, "") if isinstance(body, dict) else ""
    if isinstance(body, list):
        return [item for item in body if isinstance(item, dict)]
    if body is None:
        return []
    raise error_from(response, secrets=secrets, now=now)


def check(
    response: Response, *, secrets: Iterable[str | None] = (), now: float | None = None
) -> None:
    """
    Look at an answer of which only the success counts.

    Args:
        response: The answer.
        secrets: What we sent and nobody may read in an error.
        now: When it came, in unix seconds.

    Raises:
        AuthError: An error answer; see `failures.error_from`.
    """
    if response.status not in _SUCCESS:
        raise error_from(response, secrets=secrets, now=now)


def session_from(
    response: Response, *, sent_at: float, now: float, secrets: Iterable[str | None] = ()
) -> Session:
    """
    Return the session of a sign-in's answer.

    Args:
        response: The answer.
        sent_at: When the request was sent (unix seconds): the life is counted from here.
        now: When the answer was whole.
        secrets: What we sent and nobody may read in an error.

    Raises:
        AuthSessionMissing: An object without usable tokens.
        AuthError: As `object_from`.
    """
    body = object_from(response, secrets=secrets, now=now)
    session = session_in(body, sent_at=sent_at, now=now, server_date=date_of(response))
    if session is None:
        raise AuthSessionMissing(
            "Auth session missing! The server's answer holds none.", status=response.status
        )
    return session


def auth_response_from(
    response: Response, *, sent_at: float, now: float, secrets: Iterable[str | None] = ()
) -> AuthResponse:
    """
    Return what a sign-up's answer holds: a session, a bare user, or neither.

    Args:
        response: The answer.
        sent_at: When the request was sent, in unix seconds.
        now: When the answer was whole.
        secrets: What we sent and nobody may read in an error.

    Raises:
        AuthError: As `object_from`.
    """
    body = object_from(response, secrets=secrets, now=now)
    session = session_in(body, sent_at=sent_at, now=now, server_date=date_of(response))
    if session is not None:
        return AuthResponse(session.user, session)
    return AuthResponse(_user_in(body), None)


def user_from(
    response: Response, *, secrets: Iterable[str | None] = (), now: float | None = None
) -> User:
    """
    Return the user of `GET /user`'s answer.

    Args:
        response: The answer.
        secrets: What we sent and nobody may read in an error.
        now: When it came, in unix seconds.

    Raises:
        UserDoesntExist: The server knows no such user, or names none.
        AuthError: As `object_from`.
    """
    body = object_from(response, secrets=secrets, subject=True, now=now)
    user = _user_in(body)
    if user is None:
        raise UserDoesntExist("The server's answer holds no user.", status=response.status)
    return user


def session_in(
    body: Mapping[str, Any], *, sent_at: float, now: float, server_date: float | None = None
) -> Session | None:
    """
    Return the session that a JSON object is, or `None` if it has no usable tokens.

    Args:
        body: The parsed answer.
        sent_at: When the request was sent, in unix seconds.
        now: When the answer was whole.
        server_date: What the server's clock showed then, if it said so.
    """
    access_token, refresh_token = body.get("access_token"), body.get("refresh_token")
    if not is_access_token(access_token) or not isinstance(refresh_token, str) or not refresh_token:
        return None
    expires_at, issued_at = _life(body, access_token, sent_at, now, server_date)
    return Session(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=expires_at,
        issued_at=issued_at,
        **optional_members(body),
        extra=extra_members(body, consumed={"access_token", "refresh_token"}),
    )


def session_from_tokens(
    access_token: str,
    refresh_token: str | None,
    user: User | None,
    *,
    claims: Mapping[str, Any],
    now: float,
    server_date: float | None = None,
) -> Session:
    """
    Put a session together from tokens that somebody else obtained.

    Args:
        access_token: A token that the server has just accepted.
        refresh_token: What belongs to it; "" or `None` if the session cannot be refreshed.
        user: Whose it is.
        claims: The access token's own: `exp` and `iat` are on the server's clock.
        now: This machine's time, in unix seconds.
        server_date: What the server's clock showed then, if it said so.
    """
    skew = clock_skew(server_date, now)
    exp, iat = number(claims.get("exp")), number(claims.get("iat"))
    expires_at = None if exp is None else exp + skew
    extra: dict[str, Any] = {}
    if expires_at is not None:
        extra = {"expires_at": claims["exp"], "expires_in": expires_at - now}
    return Session(
        access_token=access_token,
        refresh_token=refresh_token or None,
        expires_at=expires_at,
        issued_at=_began(iat, skew, expires_at, otherwise=now),
        user=user,
        extra=extra,
    )


def optional_members(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the session fields, beside tokens and times, that *body* has in a usable form."""
    found: dict[str, Any] = {}
    # It becomes part of a header, so nothing but a scheme's name may stand in it.
    if isinstance(body.get("token_type"), str) and _TOKEN_TYPE.fullmatch(body["token_type"]):
        found["token_type"] = body["token_type"]
    if isinstance(body.get("user"), Mapping):
        found["user"] = User.from_json(body["user"])
    if isinstance(body.get("scope"), str):
        found["scopes"] = tuple(body["scope"].split())
    return found


def extra_members(body: Mapping[str, Any], *, consumed: set[str]) -> dict[str, Any]:
    """Return what of *body* is in no session field: unknown, of a wrong type, or the server's."""
    usable = optional_members(body)
    fields = {"token_type": "token_type", "user": "user", "scopes": "scope"}
    in_fields = consumed | {member for field, member in fields.items() if field in usable}
    return {name: value for name, value in body.items() if name not in in_fields}


def is_access_token(value: object) -> TypeGuard[str]:
    """Return whether *value* can be a bearer token: visible ASCII text, and not empty."""
    return is_token(value)


def date_of(response: Response) -> float | None:
    """Return the answer's `Date` in unix seconds, or `None`."""
    return parse_http_date(response.headers.get("Date"))


def clock_skew(server_date: float | None, now: float) -> float:
    """
    Return what to add to a time on the server's clock to have it on ours, in seconds.

    Args:
        server_date: What the server's clock showed, or `None`.
        now: What ours showed then. A difference of up to `SKEW_TOLERANCE` is none.
    """
    if server_date is None or abs(server_date - now) <= SKEW_TOLERANCE:
        return 0.0
    return now - server_date


def claims_of(access_token: str) -> Mapping[str, Any]:
    """Return the claims that a token shows, unverified; none if it is no JWT."""
    try:
        return jwt.peek(access_token).claims
    except Malformed:
        return {}


def _life(
    body: Mapping[str, Any],
    access_token: str,
    sent_at: float,
    now: float,
    server_date: float | None,
) -> tuple[float | None, float]:
    """Return (expires_at, issued_at) on this machine's clock."""
    lasts, until = number(body.get("expires_in")), number(body.get("expires_at"))
    if lasts is not None and lasts > 0:
        expires_at = sent_at + lasts
        # GoTrue cuts `exp` down to whole seconds, so a token ends up to 1 s before the life it
        # states is over. Where the clocks agree, its own number tells.
        if until is not None and abs(until - expires_at) <= SKEW_TOLERANCE:
            expires_at = min(until, expires_at)
        return expires_at, sent_at
    # Only times on the server's clock are left.
    claims = claims_of(access_token)
    skew = clock_skew(server_date, now)
    if until is None or until <= 0:
        until = number(claims.get("exp"))
    expires_at_or_none = None if until is None else until + skew
    iat = number(claims.get("iat"))
    return expires_at_or_none, _began(iat, skew, expires_at_or_none, otherwise=sent_at)


def _began(iat: float | None, skew: float, expires_at: float | None, *, otherwise: float) -> float:
    # An `iat` after the end would make a life of less than nothing.
    if iat is None or (expires_at is not None and iat + skew >= expires_at):
        return otherwise
    return iat + skew


def _user_in(body: Mapping[str, Any]) -> User | None:
    """Return the user that *body* is, or has as its `user`; one without an id is none."""
    for candidate in (body, body.get("user")):
        if isinstance(candidate, Mapping):
            user = User.from_json(candidate)
            if user.id:
                return user
    return None


def _object_or_none(response: Response) -> dict[str, Any] | None:
    body = _json_in(response)
    return body if isinstance(body, dict) else None


def _json_in(response: Response) -> Any:
    """Return a success's JSON; "" for an error and for what is no JSON."""
    if response.status not in _SUCCESS:
        return ""
    try:
        return read_json(response.body)
    except ValueError:
        return ""
