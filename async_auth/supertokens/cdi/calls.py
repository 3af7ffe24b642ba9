"""The calls that a back end makes to the core: one function each, giving a `CoreCall`. Pure.

A call knows how its request looks in a version of the CDI, how its answer is read, and whether it
may be sent again when nobody knows if the first one arrived. Nothing is sent here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs

from async_auth.errors import ConfigurationError
from async_auth.http_messages import Request
from async_auth.supertokens.cdi import versions
from async_auth.supertokens.cdi.failures import refusal
from async_auth.supertokens.cdi.values import (
    PUBLIC_TENANT,
    CreatedSession,
    RegeneratedSession,
    SessionInformation,
    VerifiedSession,
    handles,
)

T = TypeVar("T")

#: Where the core publishes its signing keys; it asks for no API key there.
KEYS_PATH = "/.well-known/jwks.json"
VERSIONS_PATH = "/apiversion"

_TENANT = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen(kw_only=True)
class CoreCall(Generic[T]):
    """
    A call to the core.

    Args:
        method: `GET`, `POST` or `PUT`.
        path: Below the core's base URL, the tenant included.
        read: Makes the result of an answer whose status is OK.
        query: What goes into the URL.
        body: What is sent as JSON; `None` for nothing.
        absent: Makes the result where the core says that there is no such session; without it
            that is an error.
        repeatable: Whether it does no harm twice, so that it may be sent again after its answer
            was lost.
        since: The oldest version of the CDI that has all of this call.
        secrets: What nobody may read in an error.
    """

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], T] = attrs.field(repr=False)
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    absent: Callable[[], T] | None = attrs.field(default=None, repr=False)
    repeatable: bool = True
    since: str = versions.SUPPORTED[0]
    secrets: tuple[str | None, ...] = attrs.field(default=(), repr=False)

    def request(self, base_url: str, *, version: str, api_key: str | None = None) -> Request:
        """
        Return the request that makes this call.

        Args:
            base_url: The core's, without a slash at the end.
            version: The version of the CDI to speak.
            api_key: What the core asks for, if it does.

        Raises:
            ConfigurationError: *version* is too old for the call, or the user's data in it is not
                JSON.
        """
        if not versions.at_least(version, self.since):
            raise ConfigurationError(
                f"access_token_validity needs a core that speaks CDI {self.since}; this one is "
                f"spoken to in {version}."
            )
        headers = {"cdi-version": version, "rid": "session"}
        if api_key is not None:
            headers["api-key"] = api_key
        body = b""
        if self.body is not None:
            headers["content-type"] = "application/json; charset=utf-8"
            body = _json(self.body)
        query = f"?{urlencode(self.query, quote_via=quote)}" if self.query else ""
        return Request(self.method, f"{base_url}{self.path}{query}", headers, body)

    def parse(self, body: Mapping[str, Any], secrets: Iterable[str | None] = ()) -> T:
        """
        Return what the core's answer says.

        Args:
            body: The JSON object of the answer.
            secrets: What else nobody may read in an error: the API key.

        Raises:
            TryRefreshToken: The access token will not do; the session may live.
            Unauthorised: There is no such session any more.
            TokenTheftDetected: A refresh token was used after it had been replaced.
            ProtocolError: The answer is none to this call.
        """
        if body.get("status") == "OK":
            return self.read(body)
        if body.get("status") == "UNAUTHORISED" and self.absent is not None:
            return self.absent()
        raise refusal(body, (*self.secrets, *secrets))


def create_session(
    user_id: str,
    *,
    payload: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    tenant_id: str = PUBLIC_TENANT,
    enable_anti_csrf: bool = False,
    use_dynamic_signing_key: bool = True,
    access_token_validity: float | None = None,
) -> CoreCall[CreatedSession]:
    """
    Begin a session. A lost answer is not asked for again: that would begin a second one.

    Args:
        user_id: Whose session it is.
        payload: Custom claims for the access token; a protected one is refused by the core.
        data: What stays on the server.
        tenant_id: The tenant it belongs to.
        enable_anti_csrf: Whether the tokens shall come with an anti-CSRF token.
        use_dynamic_signing_key: Whether a key signs that the core replaces from time to time.
        access_token_validity: Seconds that the access token lives, fewer than the core's own
            setting (CDI 5.6).
    """
    return CoreCall(
        method="POST",
        path=f"{_tenant(tenant_id)}/recipe/session",
        body={
            "userId": user_id,
            "userDataInJWT": dict(payload or {}),
            "userDataInDatabase": dict(data or {}),
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
            **_validity(access_token_validity),
        },
        read=CreatedSession.parse,
        repeatable=False,
        since=_since(access_token_validity),
    )


def verify_session(
    access_token: str,
    *,
    enable_anti_csrf: bool = False,
    do_anti_csrf_check: bool = False,
    check_database: bool = False,
    anti_csrf_token: str | None = None,
) -> CoreCall[VerifiedSession]:
    """
    Ask whether an access token is good; up to CDI 5.5 the first asking commits its rotation.

    Args:
        access_token: The token.
        enable_anti_csrf: Whether sessions have anti-CSRF tokens at all.
        do_anti_csrf_check: Whether this request has to bring the right one.
        check_database: Whether a session that has ended is to be found out.
        anti_csrf_token: What the request brought.
    """
    body = {
        "accessToken": access_token,
        "enableAntiCsrf": enable_anti_csrf,
        "doAntiCsrfCheck": do_anti_csrf_check,
        "checkDatabase": check_database,
        **_anti_csrf(anti_csrf_token),
    }
    return CoreCall(
        method="POST",
        path="/recipe/session/verify",
        body=body,
        read=VerifiedSession.parse,
        secrets=(access_token, anti_csrf_token),
    )


def refresh_session(
    refresh_token: str,
    *,
    enable_anti_csrf: bool = False,
    use_dynamic_signing_key: bool = True,
    anti_csrf_token: str | None = None,
    access_token_validity: float | None = None,
) -> CoreCall[CreatedSession]:
    """
    Spend a refresh token.

    A lost answer may be asked for again with the same token: up to CDI 5.5 whenever nobody has
    used what it brought, from 5.6 on within the core's grace period (30 s unless it is set
    otherwise), as the caller itself would have to.

    Args:
        refresh_token: The token.
        enable_anti_csrf: Whether *anti_csrf_token* has to be the right one, and a new one comes.
        use_dynamic_signing_key: Whether a key signs that the core replaces from time to time.
        anti_csrf_token: What the request brought.
        access_token_validity: Seconds that the new access token lives, fewer than the core's own
            setting (CDI 5.6).
    """
    return CoreCall(
        method="POST",
        path="/recipe/session/refresh",
        body={
            "refreshToken": refresh_token,
            "enableAntiCsrf": enable_anti_csrf,
            "useDynamicSigningKey": use_dynamic_signing_key,
            **_anti_csrf(anti_csrf_token),
            **_validity(access_token_validity),
        },
        read=CreatedSession.parse,
        since=_since(access_token_validity),
        secrets=(refresh_token, anti_csrf_token),
    )


def regenerate_session(
    access_token: str, payload: Mapping[str, Any] | None = None
) -> CoreCall[RegeneratedSession]:
    """
    Replace the custom claims of a session, and its access token with one that has them.

    Args:
        access_token: The session's; it may have expired.
        payload: All of the new claims; `None` leaves the stored ones.
    """
    return CoreCall(
        method="POST",
        path="/recipe/session/regenerate",
        body={
            "accessToken": access_token,
            **({} if payload is None else {"userDataInJWT": dict(payload)}),
        },
        read=RegeneratedSession.parse,
        secrets=(access_token,),
    )


def remove_sessions(session_handles: Iterable[str]) -> CoreCall[tuple[str, ...]]:
    """
    End sessions.

    Args:
        session_handles: Their names; one that there is not any more is no error.

    Returns:
        Those that there were. After a lost answer they may be missing, for they were ended then.
    """
    return _removal("", {"sessionHandles": list(session_handles)})


def remove_sessions_of_user(
    user_id: str, *, tenant_id: str | None = None, linked_accounts: bool = True
) -> CoreCall[tuple[str, ...]]:
    """
    End all sessions of a user.

    Args:
        user_id: Whose.
        tenant_id: Only those of this tenant; `None` for all tenants.
        linked_accounts: Whether those of the accounts linked with this one end too.
    """
    return _removal(
        "" if tenant_id is None else _tenant(tenant_id),
        {
            "userId": user_id,
            "revokeAcrossAllTenants": tenant_id is None,
            "revokeSessionsForLinkedAccounts": linked_accounts,
        },
    )


def session_information(session_handle: str) -> CoreCall[SessionInformation | None]:
    """Ask what the database has of a session; `None` if there is no such session."""
    return CoreCall(
        method="GET",
        path="/recipe/session",
        query={"sessionHandle": session_handle},
        read=SessionInformation.parse,
        absent=lambda: None,
    )


def handles_of_user(
    user_id: str, *, tenant_id: str | None = None, linked_accounts: bool = True
) -> CoreCall[tuple[str, ...]]:
    """
    Ask for the names of all sessions of a user.

    Args:
        user_id: Whose.
        tenant_id: Only those of this tenant; `None` for all tenants.
        linked_accounts: Whether those of the accounts linked with this one count too.
    """
    return CoreCall(
        method="GET",
        path=f"{'' if tenant_id is None else _tenant(tenant_id)}/recipe/session/user",
        query={
            "userId": user_id,
            "fetchAcrossAllTenants": _flag(tenant_id is None),
            "fetchSessionsForAllLinkedAccounts": _flag(linked_accounts),
        },
        read=lambda body: handles(body, "sessionHandles"),
    )


def update_session_data(session_handle: str, data: Mapping[str, Any]) -> CoreCall[bool]:
    """Replace what stays on the server; `False` if there is no such session."""
    return _update("/recipe/session/data", session_handle, {"userDataInDatabase": dict(data)})


def update_payload(session_handle: str, payload: Mapping[str, Any]) -> CoreCall[bool]:
    """
    Replace the custom claims of a session's next access tokens.

    Those that are out there keep theirs. `False` if there is no such session.
    """
    return _update("/recipe/jwt/data", session_handle, {"userDataInJWT": dict(payload)})


def checked_tenant(tenant_id: Any) -> str:
    """
    Return the name of a tenant, which goes into the path of a call.

    Raises:
        ConfigurationError: It is none. (`..` would lead to another tenant.)
    """
    if not isinstance(tenant_id, str) or not _TENANT.fullmatch(tenant_id):
        raise ConfigurationError("tenant_id must be letters, digits, '-' and '_'.")
    return tenant_id


def _removal(prefix: str, body: Mapping[str, Any]) -> CoreCall[tuple[str, ...]]:
    return CoreCall(
        method="POST",
        path=f"{prefix}/recipe/session/remove",
        body=body,
        read=lambda answer: handles(answer, "sessionHandlesRevoked"),
    )


def _update(path: str, session_handle: str, data: Mapping[str, Any]) -> CoreCall[bool]:
    return CoreCall(
        method="PUT",
        path=path,
        body={"sessionHandle": session_handle, **data},
        read=lambda _: True,
        absent=lambda: False,
    )


def _tenant(tenant_id: str) -> str:
    return "" if checked_tenant(tenant_id) == PUBLIC_TENANT else f"/{tenant_id}"


def _anti_csrf(token: str | None) -> dict[str, str]:
    return {} if token is None else {"antiCsrfToken": token}


def _validity(seconds: float | None) -> dict[str, int]:
    return {} if seconds is None else {"accessTokenValidity": round(seconds * 1000)}


def _since(access_token_validity: float | None) -> str:
    return versions.SUPPORTED[0] if access_token_validity is None else "5.6"


def _flag(value: bool) -> str:  # noqa: FBT001 - it is what is written
    return "true" if value else "false"


def _json(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        # `from None`: the cause may show what could not be written.
        raise ConfigurationError(
            "The payload and the data of a session must be plain JSON: text, numbers, booleans, "
            "None, and lists and string-keyed mappings of these."
        ) from None
