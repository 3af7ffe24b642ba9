"""What an answer of an API says about the session: read from its headers, and judged by nobody.

Pure. It promises to read every answer, whatever its status; that `front-token: remove` ends the
session whatever else stands beside it; and that what cannot be read counts as not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from async_auth.core.plain_json import read_json
from async_auth.core.retry_after import parse_http_date
from async_auth.core.token_text import is_token
from async_auth.errors import ProtocolError
from async_auth.supertokens import wire
from async_auth.supertokens.client.cookies import cookies_set
from async_auth.supertokens.front_token import FrontToken

Headers = CIMultiDict[str] | CIMultiDictProxy[str]

#: A longer answer is not about claims.
CLAIMS_BODY_MAX = 64 * 1024

_SESSION_COOKIES = (wire.ACCESS_COOKIE, wire.REFRESH_COOKIE)


@attrs.frozen(kw_only=True)
class Told:
    """
    What one answer says about the session.

    Args:
        access_token: `st-access-token`: the new token, `""` if it was cleared, `None` if the
            answer says nothing.
        refresh_token: `st-refresh-token`, likewise.
        cookies: The session's cookies that are set, by name; values byte for byte.
        front_token: The front token as it stands there, if it can be read.
        front: What is in it.
        removed: Whether the session is gone.
        anti_csrf: The `anti-csrf` header.
        date: The answer's `Date`, in unix seconds.
    """

    access_token: str | None = attrs.field(default=None, repr=False)
    refresh_token: str | None = attrs.field(default=None, repr=False)
    cookies: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    front_token: str | None = attrs.field(default=None, repr=False)
    front: FrontToken | None = None
    removed: bool = False
    anti_csrf: str | None = attrs.field(default=None, repr=False)
    date: float | None = None


def read_answer(headers: Headers, *, now: float) -> Told | None:
    """
    Return what an answer says about the session, `None` if that is nothing.

    Args:
        headers: The answer's headers, repeats included.
        now: When it came, in unix seconds.
    """
    if not (
        wire.FRONT_TOKEN in headers
        or wire.ST_ACCESS in headers
        or wire.ST_REFRESH in headers
        or wire.SET_COOKIE in headers
        or wire.ANTI_CSRF in headers
    ):
        return None
    date = parse_http_date(headers.get("Date"))
    lines = headers.getall(wire.SET_COOKIE, ())
    # The earlier of two clocks: a cookie that is taken away expired in 1970.
    cookies = cookies_set(lines, now=now if date is None else min(now, date)) if lines else {}
    fronts = [value.strip() for value in headers.getall(wire.FRONT_TOKEN, ())]
    access_token, refresh_token = _token(headers, wire.ST_ACCESS), _token(headers, wire.ST_REFRESH)
    front_token, front = _front(fronts)
    told = Told(
        access_token=access_token,
        refresh_token=refresh_token,
        cookies={name: cookies[name] for name in _SESSION_COOKIES if name in cookies},
        front_token=front_token,
        front=front,
        # A proxy may strip the one header or the empty ones: either says it.
        removed=wire.REMOVE in fronts or (not front and access_token == "" == refresh_token),
        anti_csrf=_token(headers, wire.ANTI_CSRF) or None,
        date=date,
    )
    return told if told != Told(date=date) else None


def claim_validation_errors(body: bytes) -> tuple[Mapping[str, Any], ...] | None:
    """
    Return which claims a refusal is about, `None` if it is about something else.

    Args:
        body: The answer's body.
    """
    if len(body) > CLAIMS_BODY_MAX:
        return None
    try:
        found = read_json(body)
    except ValueError:
        return None
    errors = found.get("claimValidationErrors") if isinstance(found, dict) else None
    if not isinstance(errors, list):
        return None
    return tuple(error for error in errors if isinstance(error, dict))


def _token(headers: Headers, name: str) -> str | None:
    """Return what a header says last: a token, or `""`; `None` if it is there for neither."""
    values = headers.getall(name, ())
    found = values[-1].strip() if values else None
    return found if found == "" or is_token(found) else None


def _front(values: list[str]) -> tuple[str | None, FrontToken | None]:
    for value in reversed(values):
        try:
            return value, FrontToken.decode(value)
        except ProtocolError:
            continue
    return None, None
