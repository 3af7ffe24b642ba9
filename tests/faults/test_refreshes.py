"""What befalls a refresh on a real connection, and what becomes of the session: nothing.

Both clients, and SuperTokens with both algorithms, meet every mishap twice: a single time, which
nobody shall notice, and for as long as it takes the token to expire.
"""

from __future__ import annotations

import pytest

from async_auth import RefreshFailed, SignedOut, Status, TemporaryError, TokenRefreshed


async def test_once_is_not_noticed(scene, case):
    """The same token is sent again, at once or after a second; one rotation, and one event."""
    before = scene.client.session
    mishap = case.plan(scene.proxy, scene.path)

    await scene.come_due()
    await mishap.happened()
    # The old one, or already the new one.
    assert (await scene.client.get_token()).expires_at > scene.clock.now()
    if case.hangs:
        await scene.clock.advance(scene.patience)
    if not case.repeated:
        failed = await scene.events.wait_for(RefreshFailed)
        assert failed.retry_at < before.expires_at
        await scene.clock.advance_to(failed.retry_at)
    refreshed = await scene.events.wait_for(TokenRefreshed)

    assert 2 == refreshed.session.generation
    assert before.sign_in_id == refreshed.session.sign_in_id
    assert scene.rotations() in (1, None)
    assert (Status.FRESH, []) == (scene.client.status, scene.events.of(SignedOut))
    assert case.repeated == (not scene.events.of(RefreshFailed))
    assert await scene.lives()


async def test_for_as_long_as_it_lasts(scene, case):
    """The token is handed out while it is good; then a typed, temporary error; then all is well."""
    client, before = scene.client, scene.client.session
    mishap = case.plan(scene.proxy, scene.path, times=None)

    await scene.come_due()
    await mishap.happened()
    assert 1 == (await client.get_token()).generation
    if case.hangs:
        await scene.time_out(mishap)
    failed = await scene.events.wait_for(RefreshFailed)
    assert isinstance(failed.error, case.error)
    assert scene.clock.now() < failed.retry_at < before.expires_at
    assert 1 == (await client.get_token()).generation
    assert 1 + case.repeated == mishap.count

    await scene.clock.advance_to(before.expires_at)
    if case.hangs:
        await scene.time_out(mishap, first=3)
    failed = await scene.events.wait_for(RefreshFailed, 2)
    for ask in (client.get_token, client.get_session):
        with pytest.raises(TemporaryError) as caught:
            await ask()
        assert caught.value.retry_after > 0
    assert 2 + 2 * case.repeated == mishap.count
    assert before is client.session
    assert Status.EXPIRED is client.status

    scene.proxy.clear()
    await scene.clock.advance_to(failed.retry_at)
    await scene.events.wait_for(TokenRefreshed)
    assert (2, Status.FRESH) == (client.session.generation, client.status)
    assert scene.rotations() in (1, None)
    assert [] == scene.events.of(SignedOut)
    assert await scene.lives()
