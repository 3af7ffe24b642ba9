"""Signing in with the identity provider: GET /authorize, GET /callback, and its ID tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

from async_auth.testing.gotrue.answers import Answer, redirect
from async_auth.testing.gotrue.grants import FLOW_EXPIRY, Grant
from async_auth.testing.gotrue.identity_provider import Account
from async_auth.testing.gotrue.linking import check_linking, link, sso_user_of, user_of
from async_auth.testing.gotrue.pkce import Flow, read_flow
from async_auth.testing.gotrue.redirects import (
    allowed_redirect,
    with_code,
    with_error,
    with_session,
)
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Trip, new_id
from async_auth.testing.gotrue.state import Caller, GoTrueState

#: Parameters of GET /authorize that are GoTrue's own; all others go on to the provider.
_OWN = ("provider", "scopes", "code_challenge", "code_challenge_method", "invite_token")


def authorize(state: GoTrueState, query: Mapping[str, str], *, now: float) -> Answer:
    """Send a browser to the provider: GET /authorize."""
    return redirect(_begin(state, query, user_id=None, now=now), HTTPStatus.FOUND)


def authorize_link(
    state: GoTrueState, caller: Caller, query: Mapping[str, str], *, now: float
) -> Answer:
    """Begin to link an identity: GET /user/identities/authorize."""
    check_linking(state)
    url = _begin(state, query, user_id=caller.user.id, now=now)
    if query.get("skip_http_redirect") == "true":
        return Answer({"url": url})
    return redirect(url, HTTPStatus.FOUND)


def _begin(state: GoTrueState, query: Mapping[str, str], *, user_id: str | None, now: float) -> str:
    name = query.get("provider", "")
    _check_provider(state, name)
    trip = begin_trip(
        state,
        name,
        redirect_to=query.get("redirect_to", ""),
        flow=read_flow(query.get("code_challenge", ""), query.get("code_challenge_method", "")),
        user_id=user_id,
        now=now,
    )
    scopes = " ".join(filter(None, ("profile email", query.get("scopes", ""))))
    members = {
        **{key: value for key, value in query.items() if key not in _OWN},
        "client_id": state.provider.client_id,
        "redirect_uri": f"{state.url}/callback",
        "response_type": "code",
        "scope": scopes,
        "state": trip,
    }
    return state.provider.address(name, members)


def begin_trip(
    state: GoTrueState,
    provider: str,
    *,
    redirect_to: str,
    flow: Flow | None,
    user_id: str | None,
    now: float,
) -> str:
    """Note that a browser goes to the provider, and return the `state` that it comes back with."""
    trip = new_id()
    state.trips[trip] = Trip(
        provider=provider,
        redirect_to=allowed_redirect(redirect_to, state.options),
        flow=flow,
        user_id=user_id,
        made_at=now,
    )
    return trip


def _check_provider(state: GoTrueState, name: str) -> None:
    custom = state.custom_providers.get(name)
    if name not in state.options.providers and not (custom and custom.is_enabled):
        raise invalid("Unsupported provider: provider is not enabled")


def finish(state: GoTrueState, query: Mapping[str, str], *, now: float) -> Answer:
    """Take a browser back from the provider and send it on: GET /callback."""
    trip = state.trips.pop(query.get("state", ""), None)
    if trip is None or now >= trip.made_at + FLOW_EXPIRY:
        return with_error(
            state.options.site_url if trip is None else trip.redirect_to,
            HTTPStatus.FOUND,
            error="invalid_request",
            code="bad_oauth_state",
            description="OAuth state is invalid or has expired",
        )
    if "error" in query:
        return with_error(
            trip.redirect_to,
            HTTPStatus.FOUND,
            error=query["error"],
            description=query.get("error_description", ""),
        )
    account = state.provider.redeem(query.get("code", ""))
    if account is None:
        return with_error(
            trip.redirect_to,
            HTTPStatus.FOUND,
            error="server_error",
            code="unexpected_failure",
            description="Unable to exchange external code",
        )
    try:
        return _sign_in(state, trip, account, now=now)
    except Refusal as refusal:
        return with_error(
            trip.redirect_to,
            HTTPStatus.FOUND,
            error="server_error",
            code=refusal.code,
            description=refusal.message,
        )


def _sign_in(state: GoTrueState, trip: Trip, account: Account, *, now: float) -> Answer:
    data = _shown(state, account)
    is_sso = trip.provider.startswith("sso:")
    if is_sso:
        user = sso_user_of(state, trip.provider, data, now=now)
    elif trip.user_id is None:
        user = user_of(state, trip.provider, data, now=now)
    else:
        if trip.user_id not in state.users:
            raise Refusal(404, "user_not_found", "User not found")
        user = state.users[trip.user_id]
        link(state, user, trip.provider, data, now=now)
    if user.is_banned(now):
        raise Refusal(403, "user_banned", "User is banned")
    method = "sso/saml" if is_sso else "oauth"
    tokens = {
        "provider_token": f"at-{account.email}",
        "provider_refresh_token": f"idp-rt-{account.email}",
    }
    if is_sso:
        tokens = {}
    if trip.flow is not None:
        grant = Grant(flow=trip.flow, user_id=user.id, method=method, made_at=now, extra=tokens)
        return with_code(trip.redirect_to, state.grants.add(grant), HTTPStatus.FOUND)
    session = state.sessions.open(user, method, now=now)
    session = attrs.evolve(session, body={**session.body, **tokens})
    return with_session(trip.redirect_to, session, HTTPStatus.FOUND)


def _shown(state: GoTrueState, account: Account) -> dict[str, Any]:
    return {
        "custom_claims": {},
        "email": account.email,
        "email_verified": account.email_verified,
        "full_name": account.name,
        "iss": state.provider.url,
        "name": account.name,
        "phone_verified": False,
        "provider_id": account.subject,
        "sub": account.subject,
    }


def sign_in_with_id_token(
    state: GoTrueState,
    *,
    provider: str,
    id_token: str,
    nonce: str,
    caller: Caller | None,
    now: float,
) -> Answer:
    """
    Open a session for an ID token: POST /token?grant_type=id_token.

    The identity is linked to *caller*; without one it signs in.
    """
    if not id_token:
        raise _refused("id_token required")
    _check_provider(state, provider)
    claims = state.provider.verify(id_token, now=now)
    if claims is None:
        raise _refused("Bad ID token")
    stated = claims.pop("nonce", "")
    if bool(stated) != bool(nonce):
        raise _refused("Passed nonce and nonce in id_token should either both exist or not.")
    if nonce and hashlib.sha256(nonce.encode()).hexdigest() != stated:
        raise _refused("Nonces mismatch", "invalid nonce")
    audience = claims.get("aud")
    data = {
        **claims,
        "aud": audience if isinstance(audience, list) else [audience],
        "phone_verified": False,
    }
    if caller is None:
        user = user_of(state, provider, data, now=now)
        if user.is_banned(now):
            raise Refusal(403, "user_banned", "User is banned")
        return state.sessions.open(user, "oauth", now=now)
    check_linking(state)
    user = caller.user
    before = [identity.wire_form() for identity in user.identities]
    link(state, user, provider, data, now=now)
    answer = state.sessions.open(user, "oauth", now=now)
    # As observed: a new session, whose user has not got the new identity yet.
    shown = {**answer.body["user"], "identities": before}
    return attrs.evolve(answer, body={**answer.body, "user": shown})


def _refused(why: str, error: str = "invalid request") -> Refusal:
    return Refusal(400, error, why, oauth=True)
