"""The requests about the user who is signed in. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import ConfigurationError
from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request


def update_user_request(
    api: Endpoint,
    access_token: str,
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str | None = None,
    current_password: str | None = None,
    nonce: str | None = None,
    data: Mapping[str, Any] | None = None,
    channel: str | None = None,
    redirect_to: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `PUT /user`.

    Args:
        api: The server.
        access_token: Whose user changes.
        email: The new address.
        phone: The new number.
        password: The new password.
        current_password: The old one, where the server wants it.
        nonce: The code that `reauthenticate()` had sent, where the server wants it.
        data: What changes in the user's `user_metadata`.
        channel: `sms` or `whatsapp`, with a phone.
        redirect_to: Where the link that confirms a new address leads.
        code_challenge: The PKCE flow that the link is to finish.

    Raises:
        ConfigurationError: Nothing is to change, or an argument is of a wrong type.
        Malformed: *access_token* is nothing that a header can carry.
    """
    changes = arguments.given(
        email=arguments.optional("email", email),
        phone=arguments.optional("phone", phone),
        password=arguments.optional("password", password),
        data=None if data is None else arguments.data(data),
    )
    if not changes:
        raise ConfigurationError("Give at least one of email, phone, password and data.")
    body = {
        **changes,
        **arguments.given(
            current_password=arguments.optional("current_password", current_password),
            nonce=arguments.optional("nonce", nonce),
            channel=arguments.optional("channel", channel),
        ),
        **arguments.challenge(code_challenge),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("PUT", "/user", query=query, body=body, bearer=access_token)


def reauthenticate_request(api: Endpoint, access_token: str) -> Request:
    """Build `GET /reauthenticate`: sends a code that proves who is there."""
    return api.request("GET", "/reauthenticate", bearer=access_token)


def link_identity_request(
    api: Endpoint, access_token: str, query: Mapping[str, str | None]
) -> Request:
    """Build `GET /user/identities/authorize`; see `sign_in.authorize_query`."""
    return api.request(
        "GET",
        "/user/identities/authorize",
        query={**query, "skip_http_redirect": "true"},
        bearer=access_token,
    )


def unlink_identity_request(api: Endpoint, access_token: str, identity_id: str) -> Request:
    """Build `DELETE /user/identities/:id`; it wants `Identity.identity_id`."""
    path = f"/user/identities/{arguments.segment('identity', identity_id)}"
    return api.request("DELETE", path, bearer=access_token)
