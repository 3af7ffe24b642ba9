"""The OAuth server: its clients' side, and its users' consent."""

from __future__ import annotations

from async_auth.testing.gotrue import bodies, oauth_clients, oauth_consent
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route

#: What a client gets: no user, no `expires_at`.
_TOKEN_MEMBERS = ("access_token", "expires_in", "refresh_token", "token_type")

_CLAIMS = (
    "sub",
    "aud",
    "iss",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "name",
    "picture",
    "preferred_username",
    "updated_at",
)


def _metadata(call: Call) -> Answer:
    url = call.state.url
    shown = {
        "issuer": url,
        "authorization_endpoint": f"{url}/oauth/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "userinfo_endpoint": f"{url}/oauth/userinfo",
        "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(oauth_clients.GRANT_TYPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        "token_endpoint_auth_methods_supported": list(oauth_clients.AUTH_METHODS),
        "claims_supported": list(_CLAIMS),
        "code_challenge_methods_supported": ["S256", "plain"],
    }
    if call.state.options.dynamic_registration:
        shown["registration_endpoint"] = f"{url}/oauth/clients/register"
    return Answer(shown, {"Cache-Control": "public, max-age=600"})


def _register(call: Call) -> Answer:
    return oauth_clients.register_itself(call.state, call.form(), now=call.now)


def _authorize(call: Call) -> Answer:
    return oauth_consent.authorize(call.state, call.query, now=call.now)


def _show(call: Call) -> Answer:
    return oauth_consent.show(
        call.state, call.caller().user, call.names["authorization_id"], now=call.now
    )


def _decide(call: Call) -> Answer:
    user, action = call.caller().user, bodies.text(call.form(), "action")
    return oauth_consent.decide(
        call.state, user, call.names["authorization_id"], action, now=call.now
    )


def _list_grants(call: Call) -> Answer:
    return oauth_consent.list_grants(call.state, call.caller().user)


def _revoke(call: Call) -> Answer:
    return oauth_consent.revoke(call.state, call.caller().user, call.query.get("client_id", ""))


def _token(call: Call) -> Answer:
    form = bodies.read_form(call.body, call.request.headers.get("Content-Type", ""))
    client = oauth_clients.authenticate(call.state, form, call.authorization)
    grant_type = bodies.text(form, "grant_type")
    if not grant_type:
        raise oauth_consent.refused("grant_type is required", "invalid_request")
    if grant_type not in client.grant_types:
        raise oauth_consent.refused(
            f"Client is not allowed to use grant type: {grant_type}", "unsupported_grant_type"
        )
    if grant_type == "authorization_code":
        shown = oauth_consent.Exchange(
            code=bodies.text(form, "code"),
            verifier=bodies.text(form, "code_verifier"),
            redirect_uri=bodies.text(form, "redirect_uri"),
        )
        answer = oauth_consent.exchange(call.state, client, shown, now=call.now)
    else:
        token = bodies.text(form, "refresh_token")
        if not token:
            raise oauth_consent.refused(
                "refresh_token is required for refresh_token grant", "invalid_request"
            )
        answer = call.state.refresh(token, now=call.now, client_id=client.id)
    return Answer({name: answer.body[name] for name in _TOKEN_MEMBERS}, answer.headers)


ROUTES = (
    Route("GET", "/.well-known/oauth-authorization-server", _metadata),
    Route("POST", "/oauth/clients/register", _register),
    Route("GET", "/oauth/authorize", _authorize),
    Route("GET", "/oauth/authorizations/{authorization_id}", _show),
    Route("POST", "/oauth/authorizations/{authorization_id}/consent", _decide),
    Route("POST", "/oauth/token", _token),
    Route("GET", "/user/oauth/grants", _list_grants),
    Route("DELETE", "/user/oauth/grants", _revoke),
)
