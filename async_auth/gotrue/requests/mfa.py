"""The requests about second factors. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import ConfigurationError
from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request

#: The kinds of factors.
FACTOR_TYPES = ("totp", "phone", "webauthn")


def enroll_request(
    api: Endpoint,
    access_token: str,
    *,
    factor_type: str,
    friendly_name: str | None = None,
    issuer: str | None = None,
    phone: str | None = None,
) -> Request:
    """
    Build `POST /factors`.

    Args:
        api: The server.
        access_token: Whose factor it will be.
        factor_type: `totp`, `phone` or `webauthn`.
        friendly_name: The user's name for it.
        issuer: What an authenticator app shows beside it, for `totp`.
        phone: Where the codes go, for `phone`.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    kind = arguments.one_of("factor_type", factor_type, FACTOR_TYPES)
    if (kind == "phone") != (phone is not None):
        raise ConfigurationError("phone goes with factor_type phone, and with no other.")
    body = {
        "factor_type": kind,
        **arguments.given(
            friendly_name=arguments.optional("friendly_name", friendly_name),
            issuer=arguments.optional("issuer", issuer),
            phone=arguments.optional("phone", phone),
        ),
    }
    return api.request("POST", "/factors", body=body, bearer=access_token)


def challenge_request(
    api: Endpoint,
    access_token: str,
    factor_id: str,
    *,
    channel: str | None = None,
    webauthn: Mapping[str, Any] | None = None,
) -> Request:
    """
    Build `POST /factors/:id/challenge`.

    Args:
        api: The server.
        access_token: Whose factor it is.
        factor_id: Which one.
        channel: `sms` or `whatsapp`, for a phone.
        webauthn: What the server wants to know of a WebAuthn ceremony (`rpId`, `rpOrigins`).

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = arguments.given(
        channel=arguments.optional("channel", channel),
        webauthn=None if webauthn is None else arguments.mapping("webauthn", webauthn),
    )
    path = f"/factors/{arguments.segment('factor_id', factor_id)}/challenge"
    return api.request("POST", path, body=body, bearer=access_token)


def verify_request(
    api: Endpoint,
    access_token: str,
    factor_id: str,
    *,
    challenge_id: str,
    code: str | None = None,
    webauthn: Mapping[str, Any] | None = None,
) -> Request:
    """
    Build `POST /factors/:id/verify`.

    Args:
        api: The server.
        access_token: Whose factor it is.
        factor_id: Which one.
        challenge_id: What the challenge gave.
        code: The code; or
        webauthn: what the ceremony gave (`type`, `credential_response`, …). Exactly one.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    if (code is None) == (webauthn is None):
        raise ConfigurationError("Give either code or webauthn: exactly one of them.")
    body = {
        "challenge_id": arguments.required("challenge_id", challenge_id),
        **arguments.given(
            code=arguments.optional("code", code),
            webauthn=None if webauthn is None else arguments.mapping("webauthn", webauthn),
        ),
    }
    path = f"/factors/{arguments.segment('factor_id', factor_id)}/verify"
    return api.request("POST", path, body=body, bearer=access_token)


def unenroll_request(api: Endpoint, access_token: str, factor_id: str) -> Request:
    """Build `DELETE /factors/:id`."""
    path = f"/factors/{arguments.segment('factor_id', factor_id)}"
    return api.request("DELETE", path, bearer=access_token)
