"""The requests that a session lives by, and those that need none. Sends nothing."""

from __future__ import annotations

from async_auth.errors import AuthSessionMissing, ConfigurationError
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request

#: What `sign_out` may cover.
SIGN_OUT_SCOPES = ("global", "local", "others")


def refresh_request(api: Endpoint, refresh_token: str | None) -> Request:
    """
    Build `POST /token?grant_type=refresh_token`.

    Args:
        api: The server.
        refresh_token: What it spends.

    Raises:
        AuthSessionMissing: There is no refresh token: an empty one is never sent.
    """
    if not refresh_token:
        raise AuthSessionMissing
    body = {"refresh_token": refresh_token}
    return api.request("POST", "/token", query={"grant_type": "refresh_token"}, body=body)


def user_request(api: Endpoint, access_token: str) -> Request:
    """
    Build `GET /user`.

    Args:
        api: The server.
        access_token: Whose user is asked for.

    Raises:
        Malformed: *access_token* is nothing that a header can carry.
    """
    return api.request("GET", "/user", bearer=access_token)


def sign_out_request(api: Endpoint, access_token: str, *, scope: str = "global") -> Request:
    """
    Build `POST /logout`.

    Args:
        api: The server.
        access_token: Whose session ends. GoTrue wants one that has not expired.
        scope: `global` (all sessions of the user), `local` (this one) or `others`.

    Raises:
        ConfigurationError: *scope* is none of these.
        Malformed: *access_token* is nothing that a header can carry.
    """
    query = {"scope": checked_scope(scope)}
    return api.request("POST", "/logout", query=query, body={}, bearer=access_token)


def checked_scope(scope: str) -> str:
    """
    Return *scope* if it is one of `SIGN_OUT_SCOPES`.

    Raises:
        ConfigurationError: It is not.
    """
    if scope not in SIGN_OUT_SCOPES:
        raise ConfigurationError(f"scope must be one of {', '.join(SIGN_OUT_SCOPES)}.")
    return scope


def settings_request(api: Endpoint, access_token: str | None = None) -> Request:
    """Build `GET /settings`: which ways to sign in the server offers."""
    return api.request("GET", "/settings", bearer=access_token)


def jwks_request(api: Endpoint) -> Request:
    """Build `GET /.well-known/jwks.json`: the server's public keys."""
    return api.request("GET", "/.well-known/jwks.json")


def health_request(api: Endpoint, access_token: str | None = None) -> Request:
    """Build `GET /health`: whether the server is up, and its version."""
    return api.request("GET", "/health", bearer=access_token)
