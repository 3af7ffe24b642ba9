"""What a core answers, as frozen values.

Members that nobody knows are passed over, and those that older cores do not send have their old
meaning; an answer without what it is for is a `ProtocolError`. All times are unix seconds, where
the core counts milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from async_auth.core.plain_json import number
from async_auth.errors import ProtocolError

#: The tenant of a core that knows of no others.
PUBLIC_TENANT = "public"

Json = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class IssuedToken:
    """
    A token that the core has made.

    Args:
        value: Its text.
        expires_at: When it ends (unix seconds).
        created_at: When it was made (unix seconds).
    """

    value: str = attrs.field(repr=False)
    expires_at: float
    created_at: float

    @classmethod
    def parse(cls, body: Json, name: str) -> IssuedToken:
        """Read the member *name* of an answer."""
        token = mapping(body, name)
        return cls(
            value=secret(token, "token"),
            expires_at=seconds(token, "expiry"),
            created_at=seconds(token, "createdTime"),
        )


@attrs.frozen(kw_only=True)
class CoreSession:
    """
    A session as the core describes it in every answer.

    Args:
        handle: What names the session.
        user_id: Whose it is: the primary user.
        recipe_user_id: The login method that it began with.
        tenant_id: The tenant it belongs to.
        payload: Its custom claims.
    """

    handle: str
    user_id: str
    recipe_user_id: str
    tenant_id: str
    payload: Json = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class CreatedSession(CoreSession):
    """
    The answer to a creation and to a refresh: a session and its new tokens.

    Args:
        access_token: For every request.
        refresh_token: For the next refresh.
        anti_csrf_token: What requests of cookies must bring; `None` unless it was asked for.
    """

    access_token: IssuedToken
    refresh_token: IssuedToken
    anti_csrf_token: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, body: Json) -> Self:
        """Read an answer whose status is OK."""
        has_anti_csrf = body.get("antiCsrfToken") is not None
        return cls(
            **_session(body),
            access_token=IssuedToken.parse(body, "accessToken"),
            refresh_token=IssuedToken.parse(body, "refreshToken"),
            anti_csrf_token=secret(body, "antiCsrfToken") if has_anti_csrf else None,
        )


@attrs.frozen(kw_only=True)
class VerifiedSession(CoreSession):
    """
    The answer to a verification.

    Args:
        access_token: What replaces the one that was verified, if the core swapped it (up to CDI
            5.5: at the first use after a refresh).
        payload_update_available: Whether the stored claims are newer than the token's (from CDI
            5.6, where the database was asked); `None` if the core does not say.
    """

    access_token: IssuedToken | None = None
    payload_update_available: bool | None = None

    @classmethod
    def parse(cls, body: Json) -> Self:
        """Read an answer whose status is OK."""
        update = body.get("payloadUpdateAvailable")
        return cls(
            **_session(body),
            access_token=_optional_token(body),
            payload_update_available=update if isinstance(update, bool) else None,
        )


@attrs.frozen(kw_only=True)
class RegeneratedSession(CoreSession):
    """
    The answer to a change of the claims.

    Args:
        access_token: A token with the new claims and the old expiry; `None` if the old one had
            expired, so that only the database was changed.
    """

    access_token: IssuedToken | None = None

    @classmethod
    def parse(cls, body: Json) -> Self:
        """Read an answer whose status is OK."""
        return cls(**_session(body), access_token=_optional_token(body))


@attrs.frozen(kw_only=True)
class SessionInformation:
    """
    What the core's database has of a session.

    Args:
        session_handle: What names the session.
        user_id: Whose it is: the primary user.
        recipe_user_id: The login method that it began with.
        tenant_id: The tenant it belongs to.
        session_data: The data that stays on the server.
        access_token_payload: The custom claims that its next access token will have.
        expires_at: When it ends unless it is refreshed (unix seconds).
        created_at: When it began (unix seconds).
    """

    session_handle: str
    user_id: str
    recipe_user_id: str
    tenant_id: str
    session_data: Json = attrs.field(repr=False)
    access_token_payload: Json = attrs.field(repr=False)
    expires_at: float
    created_at: float

    @classmethod
    def parse(cls, body: Json) -> SessionInformation:
        """Read an answer whose status is OK."""
        user_id = text(body, "userId")
        return cls(
            session_handle=text(body, "sessionHandle"),
            user_id=user_id,
            recipe_user_id=text(body, "recipeUserId", user_id),
            tenant_id=text(body, "tenantId", PUBLIC_TENANT),
            session_data=mapping(body, "userDataInDatabase"),
            access_token_payload=mapping(body, "userDataInJWT"),
            expires_at=seconds(body, "expiry"),
            created_at=seconds(body, "timeCreated"),
        )


def handles(body: Json, name: str) -> tuple[str, ...]:
    """Return the session handles in the list *name* of an answer."""
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(handle, str) for handle in found):
        raise _incomplete(name)
    return tuple(found)


def text(body: Json, name: str, default: str | None = None) -> str:
    """Return the text *name* of an object, or *default* where there is none."""
    found = body.get(name, default)
    if not isinstance(found, str):
        raise _incomplete(name)
    return found


def secret(body: Json, name: str) -> str:
    """Return the text *name* of an object, which has to fit into a header of an answer."""
    found = text(body, name)
    if not found or not found.isascii() or not found.isprintable():
        raise _incomplete(name)
    return found


def mapping(body: Json, name: str) -> Json:
    """Return the object *name* of an object."""
    found = body.get(name)
    if not isinstance(found, Mapping):
        raise _incomplete(name)
    return found


def seconds(body: Json, name: str) -> float:
    """Return the time *name* of an object, from milliseconds."""
    found = number(body.get(name))
    if found is None:
        raise _incomplete(name)
    return found / 1000


def _session(body: Json) -> dict[str, Any]:
    session = mapping(body, "session")
    user_id = text(session, "userId")
    return {
        "handle": text(session, "handle"),
        "user_id": user_id,
        # Cores before 4.0 and 5.0 know neither: the user is the login, and there is one tenant.
        "recipe_user_id": text(session, "recipeUserId", user_id),
        "tenant_id": text(session, "tenantId", PUBLIC_TENANT),
        "payload": mapping(session, "userDataInJWT"),
    }


def _optional_token(body: Json) -> IssuedToken | None:
    return IssuedToken.parse(body, "accessToken") if body.get("accessToken") is not None else None


def _incomplete(name: str) -> ProtocolError:
    return ProtocolError(f"The core's answer has no {name}, or one of another type.")
