"""How times and standings are said."""

from __future__ import annotations

import attrs
import pytest

from async_auth.cli import words
from async_auth.cli.profile import Profile
from async_auth.cli.standing import Standing
from async_auth.errors import NetworkError
from async_auth.events import (
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedOut,
    TokenRefreshed,
)
from async_auth.session import Session, Status

PROFILE = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1")
FRESH = Standing(
    status=Status.FRESH,
    user="ada@example.com",
    generation=3,
    due_at=1000.0,
    left=310.0,
    refreshable=True,
)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (-1, "0.0 s"),
        (9.46, "9.5 s"),
        (47.9, "47 s"),
        (60, "1 min 0 s"),
        (3123, "52 min 3 s"),
        (11100, "3 h 5 min"),
        (86400, "1 day 0 h"),
        (187200, "2 days 4 h"),
    ],
)
def test_durations(seconds, text):
    """As people say them, and never more exactly than they want to know."""
    assert text == words.duration(seconds)


def test_times(monkeypatch):
    """Logs have the date and the zone."""
    assert "T" in words.stamp(0)
    assert words.stamp(0)[11:19] == words.clock(0)


def test_headlines():
    """Who is signed in where."""
    somebody = attrs.evolve(FRESH, user=None)

    assert (
        "ada@example.com is signed in to x.supabase.co (GoTrue), profile work."
        == words.headline(PROFILE, FRESH)
    )
    assert words.headline(PROFILE, somebody).startswith("Somebody is signed in")
    assert words.headline(PROFILE, Standing()).startswith("Nobody is signed in to x.supa")


@pytest.mark.parametrize(
    "left, status, text",
    [
        (310.0, Status.FRESH, "5 min 10 s left, fresh"),
        (-61.0, Status.EXPIRED, "expired 1 min 1 s ago"),
        (None, Status.FRESH, "no known end"),
    ],
)
def test_what_is_left(left, status, text):
    """And what that means."""
    assert text == words.left(attrs.evolve(FRESH, left=left, status=status))


@pytest.mark.parametrize(
    "changes, now, alone, text",
    [
        ({}, 700.0, False, f"in 5 min 0 s, at {words.clock(1000)}"),
        ({}, 700.0, True, f"in 5 min 0 s, at {words.clock(1000)}, with the next call after that"),
        ({}, 1001.0, True, "with the next call"),
        ({}, 1001.0, False, "now"),
        ({"retry_at": 1010.0}, 1001.0, False, "failed; once more in 9.0 s, at "),
        ({"retry_at": 1000.0}, 1001.0, False, "now"),
        ({"due_at": None}, 0.0, False, "when a server refuses the token, for nobody said when"),
        ({"refreshable": False}, 0.0, False, "never: there is no refresh token"),
    ],
)
def test_the_next_refresh(changes, now, alone, text):
    """And who does it."""
    said = words.refresh(attrs.evolve(FRESH, **changes), now=now, alone=alone)

    assert said.startswith(text)


@pytest.mark.parametrize(
    "standing, text",
    [
        (FRESH, ""),
        (attrs.evolve(FRESH, status=Status.EXPIRED), ""),
        (
            attrs.evolve(FRESH, status=Status.EXPIRED, refreshable=False),
            "It has expired and cannot be refreshed. Sign in: LOGIN",
        ),
        (Standing(), "Sign in: LOGIN"),
        (Standing(status=Status.REJECTED), "Sign in: LOGIN"),
    ],
)
def test_advice(standing, text):
    """Only where somebody has to do something."""
    assert text == words.advice(standing, "LOGIN")


@pytest.mark.parametrize(
    "event, text",
    [
        (InitialSession(), "nobody is signed in"),
        (TokenRefreshed(session=Session(access_token="a", generation=4)), "token 4"),
        (
            TokenRefreshed(session=Session(access_token="a", issued_at=0.0, expires_at=60.0)),
            "token 1, good for 1 min 0 s",
        ),
        (SignedOut(reason="elsewhere"), "signed out, or signed in anew, by another program"),
        (SignedOut(reason="moved"), "moved"),
        (Lagged(missed=3), "3 events were missed"),
        (RefreshFailed(error=NetworkError("away")), "away"),
        (
            RefreshFailed(error=NetworkError("away"), retry_at=60.0),
            f"away; next try at {words.clock(60)}",
        ),
    ],
)
def test_events(event, text):
    """What each says beside its name."""
    assert text == words.event_text(event)


@pytest.mark.parametrize("at", [1e300, -1e300, -1.0, 0.0, 253402300799.0, 1e12])
def test_no_moment_is_beyond_the_calendar(at):
    """A server may say that a token lives for ever; then it lives for as long as there are dates."""
    assert 8 == len(words.clock(at))
    assert words.stamp(at)[:4] in {"1970", "9998", "9999"}


def test_a_life_without_end_is_not_counted_in_days():
    """Three hundred digits would say nothing."""
    assert "more than 99999 days" == words.duration(1e300)
