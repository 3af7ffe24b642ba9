"""`Headers`, with a plain HTTP client, a real server and a real auth server."""

from __future__ import annotations

import aiohttp
import pytest

from async_auth.errors import AuthSessionMissing, ConfigurationError, ServerUnavailable
from async_auth.integrations.headers import Headers


async def get(url, headers):
    """Send one request as a library without an adapter would."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status


async def test_a_request_carries_the_token(stage, api):
    """What is returned is what a server wants."""
    headers = Headers(await stage.signed_in())

    assert 200 == await get(api.url, await headers())


async def test_a_token_that_expires_in_between_is_replaced(stage, api):
    """Each call gives the token of its moment."""
    headers = Headers(await stage.signed_in())
    before = await headers()
    await stage.clock.advance(3600)

    assert (401, 200) == (await get(api.url, before), await get(api.url, await headers()))


async def test_refused_headers_are_refreshed(stage, api, bouncer):
    """Whoever hands the refused headers back gets others; late comers get the same ones."""
    headers = Headers(await stage.signed_in())
    before = await headers()
    await stage.clock.advance(100)
    bouncer.bar(before["Authorization"].partition(" ")[2])

    assert 401 == await get(api.url, before)
    after = await headers(rejected=before)

    assert 200 == await get(api.url, after)
    assert (after, 1) == (await headers(rejected=before), stage.refreshes)


async def test_an_outage_of_the_auth_server(stage, api, outage):
    """A token that is good is handed out; an expired one is not."""
    headers = Headers(await stage.signed_in())
    outage()
    await stage.clock.advance(3595)
    assert 200 == await get(api.url, await headers())

    await stage.clock.advance(10)
    with pytest.raises(ServerUnavailable):
        await headers()


async def test_nobody_is_signed_in(stage):
    """There are no headers without a token."""
    with pytest.raises(AuthSessionMissing):
        await Headers(await stage.client())()


async def test_the_name_is_the_users(stage):
    """Some libraries want it in lower case; headers that were sent have any case."""
    headers = Headers(await stage.signed_in(), name="authorization")
    (name,) = before = await headers()

    assert "authorization" == name
    assert before == await headers(rejected={"Authorization": "Bearer something-else"})


async def test_mistakes_are_named(stage):
    """A header without a name, and headers that are not ours."""
    client = await stage.client()

    with pytest.raises(ConfigurationError, match=r"^name: "):
        Headers(client, name="")
    with pytest.raises(ConfigurationError, match=r"^rejected: .* Authorization is missing"):
        await Headers(client)(rejected={"Cookie": "x"})
