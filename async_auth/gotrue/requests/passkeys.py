"""The requests about passkeys. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request


def registration_options_request(api: Endpoint, access_token: str) -> Request:
    """Build `POST /passkeys/registration/options`."""
    return api.request("POST", "/passkeys/registration/options", body={}, bearer=access_token)


def registration_verify_request(
    api: Endpoint, access_token: str, *, challenge_id: str, credential: Mapping[str, Any]
) -> Request:
    """Build `POST /passkeys/registration/verify`."""
    body = _met(challenge_id, credential)
    return api.request("POST", "/passkeys/registration/verify", body=body, bearer=access_token)


def authentication_options_request(api: Endpoint, *, captcha_token: str | None = None) -> Request:
    """Build `POST /passkeys/authentication/options`."""
    body = arguments.security(captcha_token)
    return api.request("POST", "/passkeys/authentication/options", body=body)


def authentication_verify_request(
    api: Endpoint, *, challenge_id: str, credential: Mapping[str, Any]
) -> Request:
    """Build `POST /passkeys/authentication/verify`."""
    body = _met(challenge_id, credential)
    return api.request("POST", "/passkeys/authentication/verify", body=body)


def list_request(api: Endpoint, access_token: str) -> Request:
    """Build `GET /passkeys`."""
    return api.request("GET", "/passkeys", bearer=access_token)


def update_request(
    api: Endpoint, access_token: str, passkey_id: str, *, friendly_name: str
) -> Request:
    """Build `PATCH /passkeys/:id`."""
    path = f"/passkeys/{arguments.segment('passkey_id', passkey_id)}"
    body = {"friendly_name": arguments.required("friendly_name", friendly_name)}
    return api.request("PATCH", path, body=body, bearer=access_token)


def delete_request(api: Endpoint, access_token: str, passkey_id: str) -> Request:
    """Build `DELETE /passkeys/:id`."""
    path = f"/passkeys/{arguments.segment('passkey_id', passkey_id)}"
    return api.request("DELETE", path, bearer=access_token)


def _met(challenge_id: str, credential: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "challenge_id": arguments.required("challenge_id", challenge_id),
        "credential": arguments.mapping("credential", credential),
    }
