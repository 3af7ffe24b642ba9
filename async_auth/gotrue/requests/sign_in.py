"""The requests that begin a sign-in. Sends nothing.

Those that a link or a browser will finish take a PKCE challenge along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import ConfigurationError
from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request

#: The chains whose wallets can sign in.
WEB3_CHAINS = ("ethereum", "solana")


def sign_up_request(
    api: Endpoint,
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str,
    data: Mapping[str, Any] | None = None,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
    channel: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `POST /signup` for a user with a password.

    Args:
        api: The server.
        email: The address; or
        phone: the number. Exactly one of the two.
        password: The password.
        data: Becomes the user's `user_metadata`.
        redirect_to: Where the link in the confirmation mail leads. GoTrue reads it from the
            query, and quietly uses its own site's address for one that it does not allow.
        captcha_token: What the CAPTCHA gave.
        channel: `sms` or `whatsapp`, with a phone.
        code_challenge: The PKCE flow that the link in the mail is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    if channel is not None and phone is None:
        raise ConfigurationError("channel goes with phone; leave it out.")
    body = {
        **arguments.address(email, phone),
        "password": arguments.required("password", password),
        "data": arguments.data(data),
        **arguments.given(channel=arguments.optional("channel", channel)),
        **arguments.challenge(code_challenge),
        **arguments.security(captcha_token),
    }
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/signup", query=query, body=body)


def anonymous_request(
    api: Endpoint, *, data: Mapping[str, Any] | None = None, captcha_token: str | None = None
) -> Request:
    """
    Build `POST /signup` for an anonymous user.

    Args:
        api: The server.
        data: Becomes the user's `user_metadata`.
        captcha_token: What the CAPTCHA gave.

    Raises:
        ConfigurationError: An argument is of a wrong type; it is named.
    """
    return api.request(
        "POST", "/signup", body={"data": arguments.data(data), **arguments.security(captcha_token)}
    )


def password_request(
    api: Endpoint,
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str,
    captcha_token: str | None = None,
) -> Request:
    """
    Build `POST /token?grant_type=password`.

    Args:
        api: The server.
        email: The address; or
        phone: the number. Exactly one of the two.
        password: The password.
        captcha_token: What the CAPTCHA gave.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {
        **arguments.address(email, phone),
        "password": arguments.required("password", password),
        **arguments.security(captcha_token),
    }
    return api.request("POST", "/token", query={"grant_type": "password"}, body=body)


def id_token_request(
    api: Endpoint,
    *,
    provider: str,
    id_token: str,
    access_token: str | None = None,
    nonce: str | None = None,
    captcha_token: str | None = None,
    bearer: str | None = None,
) -> Request:
    """
    Build `POST /token?grant_type=id_token`.

    Args:
        api: The server.
        provider: Who issued the token: `google`, `apple`, …
        id_token: The OpenID Connect token.
        access_token: The provider's access token, if the id token has an `at_hash`.
        nonce: What the id token holds the SHA-256 of, if it has one.
        captcha_token: What the CAPTCHA gave.
        bearer: The access token of the user to whom the identity is to be linked, in place of
            signing in.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {
        "provider": arguments.required("provider", provider),
        "id_token": arguments.required("id_token", id_token),
        **arguments.given(
            access_token=arguments.optional("access_token", access_token),
            nonce=arguments.optional("nonce", nonce),
            link_identity=None if bearer is None else True,
        ),
        **arguments.security(captcha_token),
    }
    query = {"grant_type": "id_token"}
    return api.request("POST", "/token", query=query, body=body, bearer=bearer)


def web3_request(
    api: Endpoint, *, chain: str, message: str, signature: str, captcha_token: str | None = None
) -> Request:
    """
    Build `POST /token?grant_type=web3`.

    Args:
        api: The server.
        chain: `ethereum` or `solana`.
        message: The text that was signed.
        signature: The wallet's signature: hexadecimal for Ethereum, base64url for Solana.
        captcha_token: What the CAPTCHA gave.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {
        "chain": arguments.one_of("chain", chain, WEB3_CHAINS),
        "message": arguments.required("message", message),
        "signature": arguments.required("signature", signature),
        **arguments.security(captcha_token),
    }
    return api.request("POST", "/token", query={"grant_type": "web3"}, body=body)


def sso_request(
    api: Endpoint,
    *,
    domain: str | None = None,
    provider_id: str | None = None,
    redirect_to: str | None = None,
    captcha_token: str | None = None,
    code_challenge: str | None = None,
) -> Request:
    """
    Build `POST /sso`.

    Args:
        api: The server.
        domain: The company's domain; or
        provider_id: the identity provider's id. Exactly one of the two.
        redirect_to: Where the browser is sent in the end.
        captcha_token: What the CAPTCHA gave.
        code_challenge: The PKCE flow that the browser is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    if (domain is None) == (provider_id is None):
        raise ConfigurationError("Give either domain or provider_id: exactly one of them.")
    body = {
        **arguments.given(
            domain=arguments.optional("domain", domain),
            provider_id=arguments.optional("provider_id", provider_id),
            redirect_to=arguments.optional("redirect_to", redirect_to),
        ),
        # Else the answer is a redirect.
        "skip_http_redirect": True,
        **arguments.security(captcha_token),
        **arguments.challenge(code_challenge),
    }
    return api.request("POST", "/sso", body=body)


def authorize_query(
    *,
    provider: str,
    redirect_to: str | None = None,
    scopes: str | None = None,
    query_params: Mapping[str, str] | None = None,
    code_challenge: str | None = None,
) -> dict[str, str | None]:
    """
    Return the query of `GET /authorize` and of `GET /user/identities/authorize`.

    Args:
        provider: `github`, `google`, … as the server names them.
        redirect_to: Where the browser is sent in the end.
        scopes: The provider's scopes, separated by spaces.
        query_params: What the provider is told besides (`login_hint`, `prompt`, …).
        code_challenge: The PKCE flow that the browser is to finish.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    more = {} if query_params is None else arguments.mapping("query_params", query_params)
    return {
        **{
            arguments.required("query_params", name): arguments.required("query_params", value)
            for name, value in more.items()
        },
        "provider": arguments.required("provider", provider),
        "redirect_to": arguments.optional("redirect_to", redirect_to),
        "scopes": arguments.optional("scopes", scopes),
        **arguments.challenge(code_challenge),
    }


def authorize_url(api: Endpoint, query: Mapping[str, str | None]) -> str:
    """Return where the user's browser goes to sign in; see `authorize_query`."""
    return api.request("GET", "/authorize", query=query).url


def exchange_request(api: Endpoint, *, code: str, code_verifier: str) -> Request:
    """
    Build `POST /token?grant_type=pkce`.

    Args:
        api: The server.
        code: What the redirect brought as `code`.
        code_verifier: What the challenge was made of.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {"auth_code": arguments.required("code", code), "code_verifier": code_verifier}
    return api.request("POST", "/token", query={"grant_type": "pkce"}, body=body)
