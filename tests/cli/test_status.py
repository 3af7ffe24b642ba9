"""`status`: what is stored, for people and programs, without asking anybody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from async_auth.cli import exit_codes
from async_auth.cli.clients import Opened
from async_auth.cli.keeping import state_folder
from async_auth.cli.profile import Profile
from async_auth.cli.profile_file import change_profiles
from async_auth.cli.standing import Standing
from async_auth.cli.status import life, rows
from async_auth.ports import Record
from async_auth.session import Status
from async_auth.stores import FileStore

FRESH = Standing(
    status=Status.FRESH,
    user="ada@example.com",
    generation=3,
    due_at=1950.0,
    left=500.0,
    life=1000.0,
    margin=50.0,
    refreshable=True,
)


@pytest.fixture
def opened(home):
    """Return a profile whose client is not wanted."""
    profile = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1")
    return Opened(profile=profile, store=FileStore(Path.home() / "s"), client=None)


def test_the_rows(opened):
    """Who, for how long, what next, and where."""
    lines = [line.plain for line in rows(opened, FRESH, now=1450.0, login="LOGIN")]

    assert "ada@example.com is signed in to x.supabase.co (GoTrue), profile work." == lines[0]
    assert "token     8 min 20 s left, fresh" == lines[1]
    assert lines[2].startswith("refresh   in 8 min 20 s, at ")
    assert ["kept in   a file in ~/s"] == lines[3:]


def test_nobody(opened):
    """Then there is one thing to do."""
    lines = [line.plain for line in rows(opened, Standing(), now=0.0, login="LOGIN")]

    assert [
        "Nobody is signed in to x.supabase.co (GoTrue), profile work.",
        "kept in   a file in ~/s",
        "Sign in: LOGIN",
    ] == lines


def test_a_session_that_is_over(opened):
    """There is no next refresh."""
    over = Standing(status=Status.EXPIRED, generation=3, left=-60.0, life=1000.0)
    lines = [line.plain for line in rows(opened, over, now=0.0, login="LOGIN", width=10)]

    assert "token     │░░░░░░░░░  expired 1 min 0 s ago" == lines[1]
    assert [] == [line for line in lines if line.startswith("refresh")]
    assert "It has expired and cannot be refreshed. Sign in: LOGIN" == lines[-1]


@pytest.mark.parametrize(
    "standing, width, ascii_only, text",
    [
        (FRESH, 20, False, "█│████████░░░░░░░░░░  8 min 20 s left, fresh"),
        (FRESH, 20, True, "#|########----------  8 min 20 s left, fresh"),
        (FRESH, 0, False, "8 min 20 s left, fresh"),
        (Standing(generation=1), 20, False, "no known end"),
    ],
)
def test_the_bar(standing, width, ascii_only, text):
    """Where there is room, and a life to draw."""
    assert text == life(standing, width, ascii_only=ascii_only)


async def test_it_asks_nobody(invoke, signed_in, server):
    """Lines, not a drawing, where no terminal is."""
    before = server.counts.total()
    done = await invoke("status")

    assert (0, "") == (done.exit_code, done.stderr)
    assert before == server.counts.total()
    assert "\x1b" not in done.stdout
    assert "█" not in done.stdout


async def test_json(invoke, signed_in, stored):
    """Everything, and no token."""
    done = await invoke("status", "--json")
    told, session = json.loads(done.stdout), (await stored()).session

    assert ("default", "gotrue", "fresh", True) == (
        told["profile"],
        told["kind"],
        told["status"],
        told["signed_in"],
    )
    assert session["expires_at"] == told["expires_at"]
    assert "file" == told["kept_in"]["store"]
    assert session["access_token"] not in done.stdout
    assert session["refresh_token"] not in done.stdout


async def test_an_expired_session_can_be_refreshed(invoke, signed_in, expire):
    """So nobody has to sign in."""
    await expire()
    done = await invoke("status")

    assert 0 == done.exit_code
    assert "expired 1 h 0 min ago" in done.stdout
    assert "refresh   with the next call" in done.stdout


async def test_signed_out(invoke, signed_in):
    """3."""
    await invoke("logout")

    assert exit_codes.SIGN_IN == (await invoke("status")).exit_code


async def test_never_signed_in(invoke):
    """3, too."""
    done = await invoke("status")

    assert exit_codes.SIGN_IN == done.exit_code
    assert "Nobody has signed in yet" in done.stderr


def test_an_output_without_the_letters(cli, signed_in_elsewhere):
    """Plain ASCII costs letters, not the command."""
    done = cli.run("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (0, "") == (done.returncode, done.stderr)
    assert "\\xe4da@example.com" in done.stdout


@pytest.fixture
def signed_in_elsewhere(home):
    """Store a session whose user has a name with an umlaut; no server is needed."""
    profile = Profile(name="default", kind="supertokens", url="https://api.example.com")
    change_profiles(lambda known: known.with_profile(profile))
    session = {
        "access_token": "a",
        "refresh_token": "r",
        "user": {"id": "äda@example.com"},
    }
    record = Record(generation=1, sign_in_id="1", session=session)
    asyncio.run(FileStore(state_folder()).save("default", record, expected=0))
