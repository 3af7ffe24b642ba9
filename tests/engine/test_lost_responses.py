"""A server whose answer to every rotation is lost once, for two hundred rotations in a row."""

from __future__ import annotations

import pytest

from async_auth import Status
from async_auth.stores import FileStore

ROTATIONS = 200


@pytest.fixture
async def strict_stage(set_stage):
    """Set a stage whose server forgives the last token's parent, as GoTrue does, and no more."""
    return await set_stage(reuse_interval=0, parent_rule=True)


@pytest.mark.parametrize("by", ["the timer", "refresh_session()", "get_token(rejected=…)"])
async def test_two_hundred_lost_responses_lose_nothing(strict_stage, tmp_path, by):
    """
    Each time the server commits and the connection drops; the same token brings its successor.

    Nothing fails, nobody is signed out, and what is stored at the end is what the server knows.
    """
    stage = strict_stage
    client = await stage.signed_in(store=FileStore(tmp_path))
    recorder = await stage.record(client)

    for rotation in range(1, ROTATIONS + 1):
        stage.server.faults.add(stage.REFRESH, drop="after")
        token = await client.get_token()
        if by == "the timer":
            stage.clock.advance_to(client.session.expires_at - 10)
        else:
            stage.clock.advance(60)
            if by == "refresh_session()":
                await client.refresh_session()
            else:
                await client.get_token(rejected=token)
        await recorder.wait_for("TOKEN_REFRESHED", rotation)

    assert ["INITIAL_SESSION", *["TOKEN_REFRESHED"] * ROTATIONS] == recorder.names
    assert 2 * ROTATIONS == stage.refreshes
    assert ROTATIONS == stage.server.issued
    assert 1 + ROTATIONS == client.session.generation
    assert Status.FRESH is client.status
    await client.aclose()

    revived = await stage.client(store=FileStore(tmp_path))
    assert client.session.refresh_token == revived.session.refresh_token
    assert revived.session.user.id == (await revived.get_user()).id
    await revived.refresh_session()
    assert 1 + ROTATIONS == stage.server.issued
