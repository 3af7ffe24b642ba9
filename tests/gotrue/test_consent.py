"""gotrue/consent.py: what the consent page shows, and what it decides."""

from __future__ import annotations

import json

import pytest

from async_auth import ApiError, ConfigurationError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.consent import AuthorizationDetails
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
BACK = "http://127.0.0.1:3000/cb?code=s3cr3t"


async def asked(call, *answers):
    """Return what a call gives, and each request as method, path and body."""
    transport = ScriptedTransport(*answers)
    client = GoTrueClient(URL, transport=transport, auto_refresh=False)
    client.set_auth("token")
    async with client:
        result = await call(client.oauth)
    return result, [
        (request.method, request.url.removeprefix(URL), json.loads(request.body or b"null"))
        for request in transport.requests
    ]


async def test_the_page_shows_who_asks_for_what(recordings):
    """As it was recorded."""
    recording = recordings["oauth_server_get_authorization"]
    found, _ = await asked(lambda oauth: oauth.get_authorization_details("a"), recording.response)
    assert ("Pub", "email", recording.answer["user"]["id"]) == (
        found.client.name,
        found.scope,
        found.user.id,
    )
    assert recording.answer == found.to_json()


def test_what_was_granted_before_only_leads_on():
    """The address holds a code, which is not shown."""
    found = AuthorizationDetails.from_json({"redirect_url": BACK})
    assert (BACK, None, "") == (found.redirect_url, found.client, found.authorization_id)
    assert "s3cr3t" not in repr(found)


@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_a_decision_leads_on(action):
    """The browser goes where the server says."""
    url, requests = await asked(
        lambda oauth: getattr(oauth, f"{action}_authorization")("a/b"),
        (200, {"redirect_url": BACK}),
    )
    assert BACK == url
    assert [("POST", "/oauth/authorizations/a%2Fb/consent", {"action": action})] == requests


async def test_grants_are_listed_and_taken_back():
    """A bare list; and a program by its client id."""
    grant = {
        "client": {"id": "c", "name": "App"},
        "scopes": ["email"],
        "granted_at": "2026-11-21T09:23:09Z",
    }
    (found,), _ = await asked(lambda oauth: oauth.list_grants(), (200, [grant]))
    assert ("App", ("email",), 2026) == (found.client.name, found.scopes, found.granted_at.year)
    assert grant == found.to_json()
    _, requests = await asked(lambda oauth: oauth.revoke_grant("c&d"), 204)
    assert [("DELETE", "/user/oauth/grants?client_id=c%26d", None)] == requests


async def test_a_grant_is_taken_back_once():
    """The second time there is none."""
    refusal = (404, {"code": "oauth_consent_not_found", "message": "no"})
    with pytest.raises(ApiError) as caught:
        await asked(lambda oauth: oauth.revoke_grant("c"), refusal)
    assert "oauth_consent_not_found" == caught.value.code


@pytest.mark.parametrize(
    "call", [lambda oauth: oauth.revoke_grant(""), lambda oauth: oauth.approve_authorization("..")]
)
async def test_a_wrong_argument_is_not_sent(call):
    """The argument is named."""
    with pytest.raises(ConfigurationError):
        await asked(call)
