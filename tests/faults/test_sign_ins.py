"""A bad network while somebody signs in: it is sent once, and the session of before stays."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import NetworkError, SignedOut, Status

ACCOUNT = {"email": "ada@example.com", "password": "correct-horse-1"}
SIGN_IN = "/token?grant_type=password"


async def test_a_sign_in_is_sent_once(lost, behind):
    """Nobody knows whether there is a new session; the old one goes on, and so does the next try."""
    scene = await behind.gotrue(http=await behind.http(force_close=True))
    client, before = scene.client, scene.client.session
    mishap = lost.plan(scene.proxy, SIGN_IN, times=None)

    with pytest.raises(NetworkError) as caught:
        await client.sign_in_with_password(**ACCOUNT)

    assert (1, True) == (mishap.count, caught.value.sent)
    assert (before, Status.FRESH) == (client.session, client.status)
    scene.proxy.clear()
    assert await scene.lives()
    await client.sign_in_with_password(**ACCOUNT)
    assert await scene.lives()
    assert [] == scene.events.of(SignedOut)


async def test_a_sign_in_that_hangs_ends(behind):
    """After the time of a request, on the client's clock."""
    scene = await behind.gotrue()
    before = scene.client.session
    mishap = scene.proxy.hang("response", path=SIGN_IN)

    signing_in = asyncio.create_task(scene.client.sign_in_with_password(**ACCOUNT))
    await mishap.happened()
    await scene.clock.advance(scene.patience)
    with pytest.raises(NetworkError):
        await signing_in
    assert before is scene.client.session
