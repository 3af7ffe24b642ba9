"""The OAuth server's consent: a client asks, the user looks, decides, and takes it back later."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import attrs

from async_auth.testing.gotrue.answers import Answer, redirect
from async_auth.testing.gotrue.oauth_rows import Authorization, OAuthClient, OAuthConsent
from async_auth.testing.gotrue.pkce import read_flow
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import User, new_id, rfc3339
from async_auth.testing.gotrue.state import GoTrueState, is_uuid

#: Where the site asks its users, under its address.
CONSENT_PATH = "/oauth/consent"

#: For how long a request can be decided, and a code exchanged, in seconds.
AUTHORIZATION_EXPIRY = 600.0

_DEFAULT_SCOPE = "email"


def authorize(state: GoTrueState, query: Mapping[str, str], *, now: float) -> Answer:
    """Take a client's request and send the browser to the consent page: GET /oauth/authorize."""
    for name in ("client_id", "redirect_uri"):
        if not query.get(name):
            raise invalid(f"{name} is required")
    client = state.oauth_clients.get(query["client_id"])
    if client is None:
        raise Refusal(400, "oauth_client_not_found", "invalid client_id")
    if query["redirect_uri"] not in client.redirect_uris:
        raise invalid("invalid redirect_uri")
    if query.get("response_type", "code") != "code":
        raise invalid("Only response_type=code is supported")
    flow = read_flow(query.get("code_challenge", ""), query.get("code_challenge_method", ""))
    if flow is None:
        raise invalid("PKCE flow requires both code_challenge and code_challenge_method")
    asked = Authorization(
        client_id=client.id,
        redirect_uri=query["redirect_uri"],
        scope=query.get("scope") or _DEFAULT_SCOPE,
        state=query.get("state", ""),
        flow=flow,
        made_at=now,
    )
    state.authorizations[asked.id] = asked
    page = f"{state.options.site_url.rstrip('/')}{CONSENT_PATH}"
    return redirect(f"{page}?authorization_id={asked.id}", HTTPStatus.FOUND)


def show(state: GoTrueState, user: User, authorization_id: str, *, now: float) -> Answer:
    """
    Show what is asked for: GET /oauth/authorizations/:id. Who looks first decides.

    What the user has granted before is approved at once.
    """
    asked, client = _find(state, authorization_id, now=now)
    if asked.user_id is None:
        asked.user_id = user.id
        consent = state.consents.get((user.id, client.id))
        if consent is not None and set(asked.scope.split()) <= set(consent.scopes):
            return Answer({"redirect_url": _approve(asked)})
    _check_owner(asked, user)
    shown = {"id": user.id, "email": user.email}
    return Answer(
        {
            "authorization_id": asked.id,
            "redirect_uri": asked.redirect_uri,
            "client": client.shown(),
            "user": {name: value for name, value in shown.items() if value},
            "scope": asked.scope,
        }
    )


def decide(
    state: GoTrueState, user: User, authorization_id: str, action: str, *, now: float
) -> Answer:
    """Say yes or no, once: POST /oauth/authorizations/:id/consent."""
    if action not in ("approve", "deny"):
        raise invalid("action must be 'approve' or 'deny'")
    asked, client = _find(state, authorization_id, now=now)
    _check_owner(asked, user)
    if action == "deny":
        asked.status = "denied"
        return Answer(
            {
                "redirect_url": _back(
                    asked,
                    error="access_denied",
                    error_description="User denied the request",
                )
            }
        )
    before = state.consents.get((user.id, client.id))
    scopes = dict.fromkeys((*(before.scopes if before else ()), *asked.scope.split()))
    state.consents[user.id, client.id] = OAuthConsent(scopes=tuple(scopes), granted_at=now)
    return Answer({"redirect_url": _approve(asked)})


def list_grants(state: GoTrueState, user: User) -> Answer:
    """Show what the user has granted: GET /user/oauth/grants, a bare list."""
    return Answer(
        [
            {
                "client": state.oauth_clients[client_id].shown(),
                "scopes": list(consent.scopes),
                "granted_at": rfc3339(consent.granted_at),
            }
            for (user_id, client_id), consent in state.consents.items()
            if user_id == user.id and client_id in state.oauth_clients
        ]
    )


def revoke(state: GoTrueState, user: User, client_id: str) -> Answer:
    """Take back what was granted: DELETE /user/oauth/grants. The client's sessions end."""
    if not client_id:
        raise invalid("client_id is required")
    if not is_uuid(client_id):
        raise invalid("invalid client_id format")
    if state.consents.pop((user.id, client_id), None) is None:
        raise Refusal(404, "oauth_consent_not_found", "No active grant found for this client")
    for session in list(state.sessions.of(user.id)):
        if session.client_id == client_id:
            state.sessions.delete(session.id)
    return Answer(None, status=204)


@attrs.frozen(kw_only=True)
class Exchange:
    """What a client shows for its tokens."""

    code: str = attrs.field(repr=False)
    verifier: str = attrs.field(repr=False)
    redirect_uri: str


def exchange(state: GoTrueState, client: OAuthClient, shown: Exchange, *, now: float) -> Answer:
    """Open the session that an approved request's code stands for, once."""
    if not shown.code:
        raise refused("code is required for authorization_code grant", "invalid_request")
    asked = next((one for one in state.authorizations.values() if one.code == shown.code), None)
    if asked is None:
        raise refused("Invalid authorization code")
    if now >= asked.made_at + AUTHORIZATION_EXPIRY:
        raise refused("Authorization code has expired")
    if asked.client_id != client.id:
        raise refused("Authorization code was not issued for this client")
    if shown.redirect_uri not in ("", asked.redirect_uri):
        raise refused("Invalid redirect_uri")
    if not shown.verifier or not asked.flow.is_met_by(shown.verifier):
        raise refused("PKCE verification failed: invalid code verifier")
    user = state.users.get(asked.user_id or "")
    if user is None:
        raise refused("User not found for authorization code")
    if user.is_banned(now):
        raise refused("User is banned", "access_denied")
    del state.authorizations[asked.id]
    return state.sessions.open(
        user,
        "oauth_provider/authorization_code",
        now=now,
        client_id=client.id,
        scope=asked.scope,
    )


def refused(why: str, error: str = "invalid_grant") -> Refusal:
    """Return a refusal in the shape of RFC 6749."""
    return Refusal(400, error, why, oauth=True)


def _find(
    state: GoTrueState, authorization_id: str, *, now: float
) -> tuple[Authorization, OAuthClient]:
    asked = state.authorizations.get(authorization_id)
    client = None if asked is None else state.oauth_clients.get(asked.client_id)
    if asked is None or client is None or now >= asked.made_at + AUTHORIZATION_EXPIRY:
        raise _not_found()
    if asked.status != "pending":
        raise invalid("authorization request cannot be processed")
    return asked, client


def _check_owner(asked: Authorization, user: User) -> None:
    if asked.user_id != user.id:
        raise _not_found()


def _not_found() -> Refusal:
    return Refusal(404, "oauth_authorization_not_found", "authorization not found")


def _approve(asked: Authorization) -> str:
    asked.status, asked.code = "approved", new_id()
    return _back(asked, code=asked.code)


def _back(asked: Authorization, **members: str) -> str:
    if asked.state:
        members["state"] = asked.state
    joint = "&" if urlsplit(asked.redirect_uri).query else "?"
    return f"{asked.redirect_uri}{joint}{urlencode(sorted(members.items()))}"
