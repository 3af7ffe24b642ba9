"""auth-js, Supabase's client for JavaScript, on Node: what it does in faults of the README's table."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from async_auth.testing import FaultProxy

REFRESH = "/token?grant_type=refresh_token"
SCRIPT = Path(__file__).with_name("auth_js.cjs")


@pytest.fixture
def auth_js(lite_command):
    """Return a function that lets a client of auth-js do something, and says what came of it."""
    node = lite_command[0]
    folder = Path(os.environ["SUPABASE_LITE"]).parent / "auth-js"

    async def run(proxy: FaultProxy, what: str):
        process = await asyncio.create_subprocess_exec(
            *(node, SCRIPT, folder, proxy.url, what),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        return json.loads(said)

    return run


async def test_a_session_that_is_in_order_is_refreshed(set_stage, auth_js):
    """The script does what it should where nothing is wrong."""
    stage = await set_stage(jwt_expiry=1)

    said = await auth_js(stage.proxy, "after expiry")

    assert ("an answer", 1, 1) == (said["answer"], said["stored"], stage.refreshes)
    assert "TOKEN_REFRESHED" in said["events"]


async def test_too_many_requests_after_the_expiry_sign_out(set_stage, auth_js):
    """One 429 to the refresh of an expired token, and the session is gone for good."""
    stage = await set_stage(jwt_expiry=1)
    stage.server.faults.add(REFRESH, status=429)

    said = await auth_js(stage.proxy, "after expiry")

    assert ("SIGNED_OUT", 0) == (said["events"][-1], said["stored"])


async def test_a_server_that_never_answers_holds_the_good_token_up(set_stage, auth_js):
    """`getSession()` waits for the refresh, for more than three seconds, with a good token."""
    stage = await set_stage(jwt_expiry=80)
    stage.proxy.hang("request", path=REFRESH)

    said = await auth_js(stage.proxy, "at once")

    assert ("nothing yet", True) == (said["answer"], said["good"])
