"""SuperTokens' client as its users' type checkers see it: checked by `nox -s typing`, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from aiohttp import ClientMiddlewareType, ClientSession

from async_auth import (
    AccessToken,
    AccessTokenPayloadUpdated,
    ApiInvalidClaim,
    InvalidClaims,
    RefreshPolicy,
    Request,
    Response,
    Session,
)
from async_auth.integrations.aiohttp import supertokens_middleware
from async_auth.stores import FileStore
from async_auth.supertokens import BooleanClaim, SuperTokensClient
from async_auth.supertokens.client.settings import ApiAction


def before(action: ApiAction, request: Request) -> Request:
    """Change what is sent."""
    return request


def after(action: ApiAction, request: Request, response: Response) -> None:
    """See what came back."""


async def a_client_and_its_session(http: ClientSession) -> None:
    """What it takes, and what its methods return."""
    client = SuperTokensClient(
        "https://api.example.com",
        "/auth",
        token_transfer_method="cookie",
        store=FileStore(),
        policy=RefreshPolicy(margin=5),
        session_expired_status_code=440,
        max_refresh_attempts=3,
        session_token_backend_domain=".example.com",
        preset="v1",
        pre_api_hook=before,
        post_api_hook=after,
        http=http,
        key="bot",
    )
    async with client:
        assert_type(await client.adopt_tokens("a", "r", front_token="f"), Session)
        assert_type(await client.does_session_exist(), bool | None)
        assert_type(await client.get_token(), AccessToken)
        assert_type(await client.get_user_id(), str)
        assert_type(await client.get_access_token_payload(), dict[str, Any])
        assert_type(await client.refresh_session(), Session)
        assert_type(client.invalid_claims(403, b""), InvalidClaims | None)
        claim = BooleanClaim("st-ev", lambda *_: None)
        failed = await client.validate_claims([claim.validators.is_true()])
        assert_type(failed, tuple[dict[str, Any], ...])
        assert_type(supertokens_middleware(client), ClientMiddlewareType)
        await client.sign_out()


def its_events(event: AccessTokenPayloadUpdated | ApiInvalidClaim) -> None:
    """What the two of its own hold."""
    match event:
        case ApiInvalidClaim(claim_validation_errors=errors):
            assert_type(errors, tuple[Mapping[str, Any], ...])
        case AccessTokenPayloadUpdated(session=session):
            assert_type(session, Session | None)
