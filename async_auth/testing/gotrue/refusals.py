"""A refusal as GoTrue words it: one exception, and its three JSON shapes.

It decides nothing. Which shape an answer takes is the request's choice
(`X-Supabase-Api-Version`); see `wire_form()`.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any

#: The only version there is. Any valid date from here on asks for it.
API_VERSION = "2024-01-01"

#: From this status on the old shape carries an `error_id`.
FIRST_SERVER_ERROR = 500


class Refusal(Exception):
    """
    The server says no.

    Args:
        status: The HTTP status.
        code: GoTrue's `error_code`.
        message: GoTrue's text.
        headers: Headers to answer with beside the usual ones.
        reasons: Of a weak password: which rules it breaks.
        named: Whether `x-sb-error-code` is sent. Some 500s go without.
        oauth: Whether it has the shape of RFC 6749, whatever version was asked for.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        reasons: tuple[str, ...] = (),
        named: bool = True,
        oauth: bool = False,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.reasons = reasons
        self.named = named
        self.oauth = oauth


def wants_new_shape(version: str | None) -> bool:
    """Return whether the value of `X-Supabase-Api-Version` asks for the shape of 2024-01-01."""
    # Python reads weeks and bare digits as dates too; Go takes this form and no other.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", version or ""):
        return False
    try:
        asked = dt.date.fromisoformat(version or "")
    except ValueError:
        return False
    return asked >= dt.date.fromisoformat(API_VERSION)


def wire_form(refusal: Refusal, version: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the refusal's JSON body and its headers, in the shape that *version* asks for."""
    headers = dict(refusal.headers)
    extra: dict[str, Any] = {}
    if refusal.reasons:
        extra["weak_password"] = {"reasons": list(refusal.reasons)}
    if wants_new_shape(version):
        headers["X-Supabase-Api-Version"] = API_VERSION
    if refusal.oauth:
        return {"error": refusal.code, "error_description": refusal.message}, headers
    if wants_new_shape(version):
        # The real server leaves the header out here; who goes by it alone must not be surprised.
        if refusal.named and not refusal.reasons:
            headers["x-sb-error-code"] = refusal.code
        return {"code": refusal.code, "message": refusal.message, **extra}, headers
    if refusal.named:
        headers["x-sb-error-code"] = refusal.code
    # As recorded: a timeout has an id to ask the operators about; a nameless 500 has none.
    if refusal.status >= FIRST_SERVER_ERROR and refusal.named:
        extra["error_id"] = str(uuid.uuid4())
    body = {"code": refusal.status, "error_code": refusal.code, "msg": refusal.message, **extra}
    return body, headers


def invalid(message: str, *, status: int = 400) -> Refusal:
    """Return the refusal of a request that makes no sense: `validation_failed`."""
    return Refusal(status, "validation_failed", message)
