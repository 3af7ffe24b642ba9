"""`logout`: the session goes here, and the server hears of it."""

from __future__ import annotations

import json

import pytest

from async_auth.cli import exit_codes
from async_auth.cli.logout import said


async def test_it_ends_this_session(invoke, signed_in, stored, server):
    """Here and there; the profile stays."""
    done = await invoke("logout")

    assert (0, "") == (done.exit_code, done.stderr)
    assert done.stdout.startswith("Signed out of 127.0.0.1")
    assert None is await stored()
    assert 1 == server.counts["/logout"]
    assert "default" in (await invoke("profiles")).stdout


async def test_twice_is_fine(invoke, signed_in):
    """The second time there is nothing to do."""
    await invoke("logout")
    done = await invoke("logout", "--json")

    assert 0 == done.exit_code
    assert {"profile": "default", "was_signed_in": False, "scope": "local"} == json.loads(
        done.stdout
    )


async def test_the_server_is_away(invoke, signed_in, stored, server):
    """4, and here the session is gone all the same."""
    server.faults.add("/logout", status=503, times=None)
    done = await invoke("logout")

    assert exit_codes.LATER == done.exit_code
    assert "You are signed out here, but the server could not be told: " in done.stderr
    assert "Try again" not in done.stderr
    assert None is await stored()


async def test_the_others_could_not_be_ended(invoke, signed_in, stored, server):
    """4; that may be tried again."""
    server.faults.add("/logout", status=503, times=None)
    done = await invoke("logout", "--scope", "others")

    assert exit_codes.LATER == done.exit_code
    assert "Try again later." in done.stderr
    assert None is not await stored()


async def test_scopes(invoke, signed_in, stored):
    """The others may go, and this one stay."""
    done = await invoke("logout", "--scope", "others")

    assert "All other sessions at 127.0.0.1" in done.stdout
    assert None is not await stored()


@pytest.mark.parametrize(
    "was, scope, text",
    [
        (True, None, "Signed out of HOST."),
        (True, "global", "Signed out of HOST everywhere."),
        (True, "others", "All other sessions at HOST are over."),
        (False, None, "Nobody was signed in to HOST."),
    ],
)
def test_what_is_said(was, scope, text):
    """What has happened, and no more."""
    assert text == said("HOST", was=was, scope=scope)
