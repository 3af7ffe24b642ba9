"""The requests that send codes and links, and the one that takes them back. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import ConfigurationError
from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request

#: What can be sent once more, and whether it goes to an address or a number.
RESENDABLE = {"signup": "email", "email_change": "email", "sms": "phone", "phone_change": "phone"}


def otp_request(
    api: Endpoint,
    *,
    email: str | None = None,
    phone: str | None = None,
    should_create_user: bool = True,
    data: Mapping[str, Any] | None = None,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
    channel: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `POST /otp`: a mail with a link and a code, or a message with a code.

    Args:
        api: The server.
        email: The address; or
        phone: the number. Exactly one of the two.
        should_create_user: Whether somebody unknown becomes a new user.
        data: Becomes a new user's `user_metadata`.
        redirect_to: Where the link leads.
        captcha_token: What the CAPTCHA gave.
        channel: `sms` or `whatsapp`, with a phone.
        code_challenge: The PKCE flow that the link is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    if channel is not None and phone is None:
        raise ConfigurationError("channel goes with phone; leave it out.")
    body = {
        **arguments.address(email, phone),
        "create_user": bool(should_create_user),
        "data": arguments.data(data),
        **arguments.given(channel=arguments.optional("channel", channel)),
        **arguments.challenge(code_challenge),
        **arguments.security(captcha_token),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/otp", query=query, body=body)


def verify_request(
    api: Endpoint,
    *,
    type: str,  # noqa: A002 - GoTrue's word
    token: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    token_hash: str | None = None,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
) -> Request:
    """
    Build `POST /verify`, in either of its forms.

    Args:
        api: The server.
        type: `email`, `signup`, `invite`, `magiclink`, `recovery`, `email_change`, `sms` or
            `phone_change`.
        token: The code, with
        email: the address, or
        phone: the number that it went to. Or:
        token_hash: what the link in a mail holds; then none of those three.
        redirect_to: Sent as auth-js sends it; GoTrue makes no use of it here.
        captcha_token: What the CAPTCHA gave.

    Raises:
        ConfigurationError: An argument is missing, too many or of a wrong type; it is named.
    """
    body = {
        "type": arguments.required("type", type),
        **_proof(token=token, email=email, phone=phone, token_hash=token_hash),
        **({} if captcha_token is None else arguments.security(captcha_token)),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/verify", query=query, body=body)


def _proof(
    *, token: str | None, email: str | None, phone: str | None, token_hash: str | None
) -> dict[str, Any]:
    # GoTrue refuses either form if it is given a part of the other.
    if token_hash is None:
        return {**arguments.address(email, phone), "token": arguments.required("token", token)}
    if (token, email, phone) != (None, None, None):
        raise ConfigurationError("token_hash stands alone: leave out token, email and phone.")
    return {"token_hash": arguments.required("token_hash", token_hash)}


def resend_request(
    api: Endpoint,
    *,
    type: str,  # noqa: A002 - GoTrue's word
    email: str | None = None,
    phone: str | None = None,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `POST /resend`.

    Args:
        api: The server.
        type: `signup` or `email_change` with an address, `sms` or `phone_change` with a number.
        email: The address; or
        phone: the number.
        redirect_to: Where the link leads.
        captcha_token: What the CAPTCHA gave.
        code_challenge: The PKCE flow that the link is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    kind = arguments.one_of("type", type, tuple(RESENDABLE))
    to = arguments.address(email, phone)
    if RESENDABLE[kind] not in to:
        raise ConfigurationError(f"type {kind} goes with {RESENDABLE[kind]}.")
    body = {
        "type": kind,
        **to,
        **arguments.challenge(code_challenge),
        **arguments.security(captcha_token),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/resend", query=query, body=body)


def recover_request(
    api: Endpoint,
    *,
    email: str,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `POST /recover`: a mail for whoever has lost the password.

    Args:
        api: The server.
        email: The address.
        redirect_to: Where the link leads.
        captcha_token: What the CAPTCHA gave.
        code_challenge: The PKCE flow that the link is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {
        "email": arguments.required("email", email),
        **arguments.challenge(code_challenge),
        **arguments.security(captcha_token),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/recover", query=query, body=body)
