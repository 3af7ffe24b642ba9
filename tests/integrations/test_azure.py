"""`Credential`, with azure-core's own policy and transport, a real server and a real auth server."""

from __future__ import annotations

import base64

import pytest
from aiohttp import web
from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncSupportsTokenInfo, AsyncTokenCredential
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.rest import HttpRequest

from async_auth.errors import AuthSessionMissing, ServerUnavailable
from async_auth.integrations.azure import Credential

CLAIMS = base64.urlsafe_b64encode(b'{"access_token": {"nbf": 1}}').decode()
CHALLENGE = f'Bearer error="insufficient_claims", claims="{CLAIMS}"'


@pytest.fixture
async def client(stage):
    """Return a client that is signed in, since a while."""
    client = await stage.signed_in()
    await stage.clock.advance(100)
    return client


@pytest.fixture
async def connect():
    """Return a function that makes an SDK's client; it is closed after the test."""
    opened = []

    async def start(credential, url):
        policy = AsyncBearerTokenCredentialPolicy(credential, "https://example.com/.default")
        pipeline = AsyncPipelineClient(url, policies=[policy])
        opened.append(await pipeline.__aenter__())

        async def get():
            # It refuses to send a token over plain http unless it is told to.
            request = HttpRequest("GET", url)
            response = await pipeline.send_request(request, enforce_https=False)
            return response.status_code

        return get

    yield start
    for pipeline in opened:
        await pipeline.close()


async def test_a_request_carries_the_token(client, api, connect, bouncer):
    """azure-core asks for the token and puts it on the request."""
    get = await connect(Credential(client), api.url)

    assert [200, 200] == [await get(), await get()]
    assert {client.session.access_token} == set(bouncer.seen)


async def test_a_token_that_expires_in_between_is_replaced(stage, client, api, connect, bouncer):
    """azure-core compares the expiry with its own clock, so it asks each time in this test."""
    get = await connect(Credential(client), api.url)
    assert 200 == await get()
    await stage.clock.advance(3600)

    assert 200 == await get()
    assert 2 == len(set(bouncer.seen))


async def test_a_challenge_refreshes_the_token(stage, client, serve, connect, bouncer):
    """The refused token is refreshed and azure-core sends the request once more."""

    async def answer(request):
        if await bouncer.admits_header(request.headers.get("Authorization")):
            return web.Response()
        return web.Response(status=401, headers={"WWW-Authenticate": CHALLENGE})

    site = await serve(answer)
    bouncer.bar(client.session.access_token)

    assert 200 == await (await connect(Credential(client), site.url))()
    assert (2, 1) == (len(site.requests), stage.refreshes)


async def test_any_other_401_is_handed_back(stage, client, api, connect, bouncer):
    """azure-core does not tell a credential of it."""
    bouncer.bar(client.session.access_token)

    assert 401 == await (await connect(Credential(client), api.url))()
    assert (1, 0) == (len(api.requests), stage.refreshes)


async def test_an_outage_of_the_auth_server(stage, client, api, connect, outage):
    """A good token goes out; without one nothing is sent."""
    get = await connect(Credential(client), api.url)
    outage()
    assert 200 == await get()

    await stage.clock.advance(3600)
    with pytest.raises(ServerUnavailable):
        await get()
    assert 1 == len(api.requests)


async def test_nobody_is_signed_in(stage, api, connect):
    """The request raises what `get_token` raises."""
    with pytest.raises(AuthSessionMissing):
        await (await connect(Credential(await stage.client()), api.url))()


async def test_what_is_returned(client):
    """The shapes are azure-core's, but no token shows."""
    async with Credential(client) as credential:
        token = await credential.get_token("a", "b", tenant_id="t", enable_cae=True, x=1)
        info = await credential.get_token_info("a", options={"enable_cae": True})

    session = client.session
    assert (session.access_token, int(session.expires_at)) == token
    assert (session.access_token, int(session.expires_at), "Bearer", None) == (
        info.token,
        info.expires_on,
        info.token_type,
        info.refresh_on,
    )
    for shown in (repr(token), str(token), repr(info), str(info), f"{token}"):
        assert session.access_token not in shown
        assert f"expires_on={token.expires_on}" in shown
    # Whoever leaves it has not closed the manager.
    assert session is await client.get_session()


async def test_an_expiry_that_is_unknown_is_asked_for_each_time(client):
    """As far as azure-core knows, the token has expired."""
    client.set_auth("pinned")
    credential = Credential(client)

    assert ("pinned", 0) == await credential.get_token("a")
    assert ("pinned", 0) == await credential.get_token("a", claims="{}")


def test_it_is_what_sdks_ask_for():
    """By azure-core's own protocols."""
    credential = Credential(None)

    assert isinstance(credential, AsyncTokenCredential)
    assert isinstance(credential, AsyncSupportsTokenInfo)
