"""What is shown of sessions, streams and pools, decided for a moment of the tests' choosing."""

from __future__ import annotations

import math

import pytest

from async_auth.notebook.cards import (
    SHOWN,
    Bar,
    Plan,
    bar_of,
    clock,
    moment,
    next_refresh,
    pool_card,
    session_card,
    span,
    stream_card,
)
from async_auth.notebook.told import Told
from async_auth.session import Session, Status

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def session(**changes):
    """Return a session of an hour that is ten minutes old."""
    facts = {
        "refresh_token": "refresh-secret",
        "expires_at": NOW + 3000,
        "issued_at": NOW - 600,
        "user": {"id": "u1"},
    }
    return Session(access_token="access-secret", **{**facts, **changes})


PLAN = Plan(due_at=NOW + 2990, refresh_at=NOW + 2985)


@pytest.mark.parametrize(
    "seconds,text",
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.99, "1 min"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400, "1 d"),
        (200_000, "2 d 7 h"),
        (math.inf, "2932896 d 23 h"),
    ],
)
def test_a_span_has_two_units(seconds, text):
    """Lengths of time are said in their two largest units, of whole seconds."""
    assert text == span(seconds)


@pytest.mark.parametrize(
    "at,text",
    [
        (NOW + 60, "22:14:20 UTC"),
        (NOW + 86400, "2023-11-15 22:13 UTC"),
        (math.inf, "at no time of our calendar"),
        (-5, "at no time of our calendar"),
    ],
)
def test_the_clock_names_the_day_if_it_is_another(at, text):
    """A moment of today has its seconds, another one its day, an absurd one neither."""
    assert text == clock(at, NOW)


def test_a_moment_is_seen_from_now():
    """What is ahead and what is past are told apart."""
    assert "in 1 min (22:14:20 UTC)" == moment(NOW + 60, NOW)
    assert "1 min ago (22:12:20 UTC)" == moment(NOW - 60, NOW)


@pytest.mark.parametrize(
    "changes,plan,text",
    [
        ({}, PLAN, "in 49 min 45 s (23:03:05 UTC)"),
        ({}, Plan(due_at=NOW - 5, refresh_at=NOW - 9), "now, or with the next call"),
        ({}, Plan(due_at=NOW + 60), "at the first call in 1 min (22:14:20 UTC)"),
        ({}, Plan(due_at=NOW - 60), "with the next call"),
        ({"refresh_token": None}, PLAN, "never: there is no refresh token"),
        (
            {"expires_at": None},
            PLAN,
            "when a server refuses the token: nobody said when it expires",
        ),
    ],
)
def test_the_next_refresh_is_said(changes, plan, text):
    """Whoever looks knows when the token is refreshed, or that it will not be."""
    assert text == next_refresh(session(**changes), plan, NOW)


@pytest.mark.parametrize(
    "changes,plan,bar",
    [
        (
            {},
            PLAN,
            Bar(
                left=3000 / 3600, due=10 / 3600, text="50 min of 1 h left; due 10 s before the end"
            ),
        ),
        (
            {"expires_at": NOW - 60, "issued_at": NOW - 120},
            Plan(due_at=NOW - 70),
            Bar(left=0.0, due=None, text="expired 1 min ago"),
        ),
        ({"refresh_token": None}, PLAN, Bar(left=3000 / 3600, due=None, text="50 min of 1 h left")),
        ({"issued_at": None}, PLAN, None),
        ({"expires_at": None}, PLAN, None),
        ({"issued_at": NOW + 3000}, PLAN, None),
    ],
)
def test_the_bar_is_what_is_left(changes, plan, bar):
    """A life whose ends are known is a bar with a mark; any other is none."""
    assert bar == bar_of(session(**changes), plan, NOW)


def test_a_session_in_full():
    """A manager's card has the facts of the session, its plan, and the last events."""
    told = [Told(NOW - n, "TOKEN_REFRESHED", "bot") for n in range(9, 0, -1)]
    plan = Plan(due_at=NOW + 2990, refresh_at=NOW + 2985, pinned=True, error="NetworkError: No.")
    card = session_card(
        "SessionManager", "bot", Status.FRESH, session(), now=NOW, plan=plan, recent=told
    )

    assert (
        ("user", "u1"),
        ("expires", "in 50 min (23:03:20 UTC)"),
        ("generation", "1"),
        ("next refresh", "in 49 min 45 s (23:03:05 UTC)"),
        ("pinned", "a token set with set_auth() is handed out"),
        ("last failure", "NetworkError: No."),
    ) == card.rows
    assert tuple(told[-SHOWN:]) == card.recent
    assert "secret" not in repr(card)


def test_a_session_of_which_little_is_known():
    """Without a plan, a user and an expiry, only what is known is said."""
    card = session_card("Session", "", Status.FRESH, session(user=None, expires_at=None), now=NOW)

    assert (("expires", "nobody said when"), ("generation", "1")) == card.rows
    assert () == session_card("SessionManager", "", Status.SIGNED_OUT, None, now=NOW).rows


def test_a_stream_is_what_is_unread():
    """A stream tells how much its reader has not read, and lost."""
    told = [Told(NOW, "SIGNED_IN", "a"), Told(NOW, "SIGNED_OUT", "b", "user")]
    card = stream_card(closed=False, buffered=told, buffer=8, missed=3, now=NOW)
    closed = stream_card(closed=True, buffered=told[:1], buffer=8, missed=0, now=NOW)

    assert (
        ("stream", "open"),
        ("unread", "2 of 8"),
        ("lost", "3, for the reader was too slow"),
    ) == card.rows
    assert (tuple(told), True) == (card.recent, card.keys)
    assert ((("stream", "closed"), ("unread", "1 of 8")), False) == (closed.rows, closed.keys)


def test_a_pool_is_counts():
    """A pool tells how its sessions stand, and when the next of them is refreshed."""
    facts = {"refreshing": 1, "waiting": 2, "recent": [], "now": NOW}
    counts = {Status.SIGNED_OUT: 1, Status.FRESH: 7}
    card = pool_card(closed=False, statuses=counts, refresh_at=NOW + 60, **facts)
    empty = pool_card(closed=True, statuses={}, refresh_at=None, **facts)

    assert (
        ("in memory", "1 signed out, 7 fresh"),
        ("refreshes", "1 under way, 2 waiting"),
        ("next refresh", "in 1 min (22:14:20 UTC)"),
    ) == card.rows
    assert (Status.CLOSED, ("in memory", "no session")) == (empty.status, empty.rows[0])
