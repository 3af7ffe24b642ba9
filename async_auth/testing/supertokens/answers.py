"""What the core answers, as plain values: domain outcomes are JSON with status 200, the rest text."""

from __future__ import annotations

from typing import Any

from async_auth.testing.supertokens.rotation import SessionRow
from async_auth.testing.supertokens.versions import CdiVersion

Json = dict[str, Any]


class Refused(Exception):
    """
    The request was no good: an HTTP status and plain text.

    Args:
        status: The HTTP status.
        text: What is said, without the newline that the core adds.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def unauthorised(message: str, subtype: str | None = None) -> Json:
    """Say that there is no such session."""
    answer = {"status": "UNAUTHORISED", "message": message}
    return answer if subtype is None else {**answer, "recentTokenReuseSubtype": subtype}


def try_refresh(message: str) -> Json:
    """Say that the access token is no good."""
    return {"status": "TRY_REFRESH_TOKEN", "message": message}


def theft(row: SessionRow, version: CdiVersion, subtype: str | None) -> Json:
    """Say that a refresh token was used that had been replaced."""
    session = {"handle": row.handle, "userId": row.user_id}
    if version.names_recipe_users:
        session["recipeUserId"] = row.user_id
    answer: Json = {"status": "TOKEN_THEFT_DETECTED", "session": session}
    return answer if subtype is None else {**answer, "recentTokenReuseSubtype": subtype}


def session_of(
    version: CdiVersion, *, handle: str, user_id: str, tenant_id: str, payload: object
) -> Json:
    """Return the `session` of create, verify, refresh and regenerate."""
    session: Json = {"handle": handle, "userId": user_id}
    if version.names_recipe_users:
        session["recipeUserId"] = user_id
    session["userDataInJWT"] = payload
    if version.names_tenants:
        session["tenantId"] = tenant_id
    return session
