"""The README's application, with the README's commands: four workers, one session, one refresh."""

from __future__ import annotations

import asyncio

from async_auth.stores import FileStore, RedisStore

REFRESH, SIGN_IN = "/token?grant_type=refresh_token", "/token?grant_type=password"
#: What the workers shall have come to: two refreshes after the sign-in.
GENERATION = 3


async def test_workers_share_a_folder(command, deploy, auth_server):
    """One sign-in, one refresh per life, no error, and an end in good order without a word."""
    began = asyncio.get_running_loop().time()
    deployment = await deploy(command)
    await deployment.all_at_work()
    await deployment.all_reach(GENERATION)

    assert (0, "") == await deployment.stop()
    passed = asyncio.get_running_loop().time() - began
    record = await FileStore(deployment.folder / "session").load("default")
    assert [] == deployment.failures
    assert 1 == auth_server.counts[SIGN_IN]
    assert record.generation - 1 == auth_server.counts[REFRESH]
    assert auth_server.counts["/token"] == auth_server.counts["/token 200"]
    # A token is refreshed when four fifths of its life are over, and a little earlier by lot.
    assert auth_server.counts[REFRESH] <= 1 + passed / (0.75 * deployment.life)
    assert all(sorted(seen) == seen for seen in deployment.seen.values())


async def test_replicas_share_a_redis(deploy, auth_server, replica, redis_url):
    """Two deployments that have nothing in common but the address of a Redis are as one."""
    one = await deploy("uvicorn app:app --workers 2", app=replica)
    two = await deploy("gunicorn app:app -w 2 -k uvicorn_worker.UvicornWorker", app=replica)
    for deployment in (one, two):
        await deployment.all_at_work(2)
    for deployment in (one, two):
        await deployment.all_reach(GENERATION)

    assert [(0, "")] * 2 == [await one.stop(), await two.stop()]
    async with RedisStore(redis_url, timeout=60.0) as store:
        record = await store.load("default")
    assert [] == one.failures + two.failures
    assert 1 == auth_server.counts[SIGN_IN]
    assert record.generation - 1 == auth_server.counts[REFRESH]
    assert auth_server.counts["/token"] == auth_server.counts["/token 200"]


async def test_workers_sign_in_again_when_the_session_is_ended(deploy, auth_server, user_id):
    """All of them hear it at the next refresh; one signs in, and no request fails."""
    deployment = await deploy("uvicorn app:app --workers 2")
    await deployment.all_at_work(2)
    auth_server.revoke_sessions(user_id)
    before = auth_server.counts[REFRESH]
    await deployment.until(lambda: auth_server.counts[SIGN_IN] == 2)
    await deployment.all_reach(before + 2)

    assert (0, "") == await deployment.stop()
    assert [] == deployment.failures
    assert 2 == auth_server.counts[SIGN_IN]
    assert 1 == auth_server.counts["/token 400"]
