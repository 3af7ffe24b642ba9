"""What `watch` shows: the picture of a moment, and events for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from async_auth.cli.clients import Opened
from async_auth.cli.profile import Profile
from async_auth.cli.standing import Standing
from async_auth.cli.watch_views import JsonLines, Picture, event_facts
from async_auth.errors import NetworkError
from async_auth.events import InitialSession, Lagged, RefreshFailed, SignedOut, TokenRefreshed
from async_auth.session import Session, Status
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
SESSION = Session(access_token="hush", refresh_token="hush", generation=3)


@pytest.fixture
def opened(home):
    """Return a profile whose client is not wanted."""
    profile = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1")
    return Opened(profile=profile, store=FileStore(Path.home() / "s"), client=None)


@pytest.fixture
def draw(opened):
    """Return a function that draws a moment: the lines of it."""

    def draw(standing, *, now=1450.0, width=80, encoding="utf-8", alone=False):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        console = Console(file=file, width=width, highlight=False)
        picture = Picture(opened, login="LOGIN", alone=alone, console=console)
        console.print(picture.draw(standing, now))
        file.flush()
        return file.buffer.getvalue().decode(encoding).splitlines()

    return draw


def test_the_picture(draw):
    """A frame with everything in it."""
    lines = draw(FRESH)

    assert lines[0].startswith("╭─ work: x.supabase.co (GoTrue) ─")
    assert lines[1].startswith("│ user      ada@example.com ")
    assert lines[2].startswith("│ token 3   ██│██")
    assert "8 min 20 s left, fresh" in lines[2]
    assert lines[3].startswith("│ refresh   in 8 min 20 s, at ")
    assert lines[4].startswith("│ kept in   a file in ~/s ")
    assert ", Ctrl-C ends ─" in lines[5]
    assert {80} == {len(line) for line in lines}


@pytest.mark.parametrize("width", [20, 34, 60, 200])
def test_any_width(draw, width):
    """No line is wider than the terminal."""
    assert {width} == {len(line) for line in draw(FRESH, width=width)}


def test_plain_ascii(draw):
    """Where nothing else can be shown."""
    lines = draw(FRESH, encoding="ascii")

    assert "##|##" in lines[2]
    assert "?" not in "".join(lines)


def test_somebody_else_refreshes(draw):
    """Then nobody here does."""
    lines = draw(FRESH, alone=True)

    assert "with the next call after that" in lines[3]


@pytest.mark.parametrize(
    "standing, words",
    [
        (Standing(), "nobody is signed in"),
        (Standing(), "Sign in: LOGIN"),
        (attrs.evolve(FRESH, left=-1.0, status=Status.EXPIRED), "expired 1.0 s ago"),
        (attrs.evolve(FRESH, left=None, life=None, due_at=None), "no known end"),
    ],
)
def test_other_moments(draw, standing, words):
    """Each has its words."""
    assert words in "\n".join(draw(standing))


@pytest.mark.parametrize(
    "event, facts",
    [
        (InitialSession(), {"name": "INITIAL_SESSION", "generation": None}),
        (TokenRefreshed(session=SESSION, at=5.0), {"generation": 3, "at": 5.0}),
        (
            RefreshFailed(error=NetworkError("away"), retry_at=7.0, session=SESSION),
            {"error": "NetworkError", "message": "away", "retry_at": 7.0},
        ),
        (SignedOut(reason="theft"), {"reason": "theft"}),
        (Lagged(missed=2), {"missed": 2}),
    ],
)
def test_events_for_programs(event, facts):
    """Plain values, and no token."""
    found = event_facts(event)

    assert type(event).__name__ == found["event"]
    assert facts.items() <= found.items()
    assert "hush" not in json.dumps(found)


def test_how_things_stand_is_told_when_it_has_changed(opened, capsys):
    """Not each time that the clock has moved on."""
    with JsonLines(opened) as view:
        view.tick(FRESH, 1.0)
        view.tick(attrs.evolve(FRESH, left=499.0), 2.0)
        view.tick(attrs.evolve(FRESH, status=Status.DUE), 3.0)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [("fresh", 1.0), ("due", 3.0)] == [(one["status"], one["at"]) for one in told]
