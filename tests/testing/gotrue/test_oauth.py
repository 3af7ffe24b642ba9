"""The identity provider, from GET /authorize to a session, and linked identities."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from async_auth.core import jwt
from async_auth.errors import ConfigurationError
from async_auth.testing.gotrue.identity_provider import IdentityProvider

IDP = "idp@example.com"


async def browse(client: Any, path: str, token: str | None = None) -> Any:
    """Follow redirects until the browser is sent to the site, and return that place."""
    reply = await client.call("GET", path, token=token)
    while reply.headers["Location"].startswith(client.server.url):
        reply = await client.call("GET", reply.headers["Location"])
    return reply.place


async def test_a_browser_signs_in(client: Any) -> None:
    """By the implicit flow, with the provider's tokens beside GoTrue's."""
    client.server.provider.sign_in_as(IDP)
    place = await browse(client, "/authorize?provider=github")
    user = (await client.call("GET", "/user", token=place.query["access_token"])).json

    assert (IDP, ["github"]) == (user["email"], user["app_metadata"]["providers"])
    assert f"at-{IDP}" == place.query["provider_token"]


async def test_the_page_asks_whom_to_sign_in_as(client: Any) -> None:
    """Its form leads to the callback, or back with a refusal."""
    reply = await client.call("GET", "/authorize?provider=github&login_hint=a%40example.com")
    there = URL(reply.headers["Location"])
    page = await client.call("GET", str(there))
    assert 'value="a@example.com"' in page.text
    assert there.query["state"] in page.text
    query = {name: there.query[name] for name in ("redirect_uri", "state")}
    decision = URL(f"{client.server.provider.url}/github/decision")
    allowed = await browse(
        client, str(decision.with_query(query | {"decision": "allow", "email": IDP}))
    )
    again = await browse(client, str(decision.with_query(query | {"decision": "deny"})))

    assert "access_token" in allowed.query
    assert "bad_oauth_state" == again.query["error_code"]


async def test_a_refusal_of_the_provider_reaches_the_site(client: Any) -> None:
    """Until the provider asks again."""
    client.server.provider.deny()
    place = await browse(client, "/authorize?provider=github")
    client.server.provider.ask()
    reply = await client.call("GET", "/authorize?provider=github")

    assert "access_denied" == place.query["error"]
    assert 200 == (await client.call("GET", reply.headers["Location"])).status


async def test_the_state_is_good_once_and_for_five_minutes(client: Any) -> None:
    """Else the browser is sent on with `bad_oauth_state`."""
    client.server.provider.sign_in_as(IDP)
    reply = await client.call("GET", "/authorize?provider=github")
    reply = await client.call("GET", reply.headers["Location"])
    callback = reply.headers["Location"]
    await client.clock.advance(300)
    late = await client.call("GET", callback)

    assert "bad_oauth_state" == late.place.query["error_code"]


async def test_a_made_up_code_is_no_code(client: Any) -> None:
    """Though the state is good."""
    reply = await client.call("GET", "/authorize?provider=github")
    state = URL(reply.headers["Location"]).query["state"]
    place = await browse(client, f"/callback?state={state}&code=made-up")

    assert "unexpected_failure" == place.query["error_code"]


async def test_pkce_carries_the_providers_tokens(client: Any) -> None:
    """Into the session that the code is exchanged for."""
    client.server.provider.sign_in_as(IDP)
    flow = "&".join(f"{name}={value}" for name, value in client.pkce().items())
    place = await browse(client, f"/authorize?provider=github&{flow}")
    session = (await client.exchange(place.query["code"])).json

    assert f"at-{IDP}" == session["provider_token"]


@pytest.mark.parametrize("is_verified", [True, False])
async def test_only_a_verified_address_names_its_user(client: Any, is_verified: bool) -> None:  # noqa: FBT001 - pytest passes by name
    """Who signed up with it has one identity more; else somebody new is made."""
    session = await client.sign_up()
    client.server.provider.sign_in_as(client.email, email_verified=is_verified)
    place = await browse(client, "/authorize?provider=github")
    user = (await client.call("GET", "/user", token=place.query["access_token"])).json

    assert is_verified == (user["id"] == session["user"]["id"])
    assert (2 if is_verified else 1) == len(user["identities"])


async def test_an_identity_is_linked_once_and_unlinked(client: Any) -> None:
    """The last one stays."""
    token = (await client.sign_up())["access_token"]
    client.server.provider.sign_in_as(IDP)
    path = "/user/identities/authorize?provider=github"
    await browse(client, path, token)
    again = await browse(client, path, token)
    assert "identity_already_exists" == again.query["error_code"]
    one, two = (await client.call("GET", "/user", token=token)).json["identities"]

    async def unlink(identity_id: str) -> Any:
        return await client.call("DELETE", f"/user/identities/{identity_id}", token=token)

    assert (404, "validation_failed") == (await unlink("x")).error
    assert (422, "identity_not_found") == (await unlink(one["user_id"])).error
    assert 200 == (await unlink(one["identity_id"])).status
    assert (422, "single_identity_not_deletable") == (await unlink(two["identity_id"])).error


async def test_an_anonymous_user_becomes_permanent_by_linking(client: Any) -> None:
    """With the identity's address."""
    token = (await client.post("/signup")).json["access_token"]
    client.server.provider.sign_in_as(IDP)
    await browse(client, "/user/identities/authorize?provider=github", token)
    user = (await client.call("GET", "/user", token=token)).json

    assert (IDP, False) == (user["email"], user["is_anonymous"])


@pytest.mark.parametrize("client", [{"manual_linking": False}], indirect=True)
async def test_linking_can_be_off(client: Any) -> None:
    """As it is by default on the real server."""
    token = (await client.sign_up())["access_token"]
    reply = await client.call("GET", "/user/identities/authorize?provider=github", token=token)

    assert (404, "manual_linking_disabled") == reply.error


@pytest.mark.parametrize("method", ["ban", "delete"])
async def test_who_is_gone_in_between_gets_nothing(client: Any, method: str) -> None:
    """A banned user who signs in, a deleted one who links."""
    client.server.provider.sign_in_as(client.email)
    session = await client.sign_up()
    user_id, token = session["user"]["id"], session["access_token"]
    if method == "ban":
        client.server.ban_user(user_id)
        place = await browse(client, "/authorize?provider=github")
        assert "user_banned" == place.query["error_code"]
    else:
        reply = await client.call("GET", "/user/identities/authorize?provider=github", token=token)
        client.server.delete_user(user_id)
        place = await browse(client, reply.headers["Location"])
        assert "user_not_found" == place.query["error_code"]


async def test_an_id_token_has_to_be_this_providers(client: Any) -> None:
    """Signed by it, for GoTrue, and not expired."""
    server = client.server
    good = server.id_token(IDP, nonce="n")
    others = [
        server.id_token(IDP, aud="another"),
        server.sign({"sub": IDP, "aud": server.provider.client_id}),
        server.id_token(IDP, exp=int(client.clock.now()) - 1),
    ]
    grant, form = "/token?grant_type=id_token", {"provider": "google"}
    reply = await client.post(grant, **form, id_token=good, nonce="n")
    assert [IDP, "oauth"] == [
        reply.json["user"]["email"],
        jwt.peek(reply.json["access_token"]).claims["amr"][0]["method"],
    ]
    for other in others:
        reply = await client.post(grant, **form, id_token=other)
        assert {"error": "invalid request", "error_description": "Bad ID token"} == reply.json
    server.ban_user((await client.post(grant, **form, id_token=good, nonce="n")).json["user"]["id"])
    reply = await client.post(grant, **form, id_token=good, nonce="n")
    assert (403, "user_banned") == reply.error


def test_only_an_address_can_sign_in() -> None:
    """The provider's accounts are named by theirs."""
    with pytest.raises(ConfigurationError, match="sign_in_as"):
        IdentityProvider().sign_in_as("nobody")
