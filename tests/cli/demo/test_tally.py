"""The counts and the verdict."""

from __future__ import annotations

import pytest

from async_auth.cli.demo.tally import Tally, times
from async_auth.core.policy import RefreshPolicy
from async_auth.errors import ServerUnavailable
from async_auth.events import (
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedIn,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.session import Session

ERROR = ServerUnavailable("away", status=503)


def session(generation, expires_at, life=12.0):
    """Return the session of one token's life."""
    return Session(
        access_token="a",
        generation=generation,
        issued_at=None if expires_at is None else expires_at - life,
        expires_at=expires_at,
    )


@pytest.fixture
def tally():
    """Return a tally of a client that has just signed in: its token is due from 109.36 on."""
    tally = Tally(policy=RefreshPolicy())
    tally.told(InitialSession())
    tally.told(SignedIn(session=session(1, 112.0), at=100.0))
    tally.answered(200, 0.01, 1)
    return tally


def judge(tally, **facts):
    """Return the problems of what the tally has so far."""
    return tally.summary(seconds=10.0, workers=5, **facts).problems


def test_all_is_well(tally):
    """Nothing but 200, and one rotation for the one life that ended."""
    tally.told(TokenRefreshed(session=session(2, 121.5), at=109.5))
    tally.answered(200, 0.03, 2)
    summary = tally.summary(seconds=10.0, workers=5, last_used=2, issued=1)

    assert summary.ok
    assert (2, {200: 2}, {}) == (summary.requests, summary.answers, summary.exceptions)
    assert (2, 1, 0, 0) == (summary.lives, summary.refreshed, summary.early, summary.failed)
    assert 0.03 == summary.slowest


@pytest.mark.parametrize("status", [401, 403, 500, 204])
def test_workers_see_nothing_but_200(tally, status):
    """Any other answer that reached a worker counts against it."""
    tally.answered(status, 0.01)

    assert (f"once a worker was answered {status}",) == judge(tally)
    assert int(status != 401) == tally.unwanted


def test_exceptions_count_against_it_and_are_named(tally):
    """Ours with their text; of a stranger's only the name, for who knows what it says."""
    tally.raised(ERROR)
    tally.raised(OSError("secret"))
    tally.raised(OSError("another secret"))

    assert (
        "once a worker got ServerUnavailable: away (status 503)",
        "2 times a worker got OSError",
    ) == judge(tally)
    assert 4 == tally.requests


def test_nothing_seen_is_no_success():
    """A run in which no worker was ever served proves nothing."""
    assert ("no worker was ever answered 200",) == judge(Tally(policy=RefreshPolicy()))


def test_a_rotation_too_many(tally):
    """A second refresh token for one life is found, even if nobody else noticed."""
    tally.told(TokenRefreshed(session=session(2, 121.5), at=109.5))
    tally.answered(200, 0.01, 2)

    assert (
        "the server issued 2 new refresh tokens, but 1 token lives came to their end",
        "the server issued 2 new refresh tokens, but the client told of 1",
    ) == judge(tally, last_used=2, issued=2)


def test_a_token_that_nobody_used(tally):
    """Two refreshes for one life are found at the endpoint, even if all told of both."""
    tally.told(TokenRefreshed(session=session(2, 121.5), at=109.5))
    tally.told(TokenRefreshed(session=session(3, 131.0), at=119.0))
    tally.answered(200, 0.01, 3)

    assert (
        "the server issued 2 new refresh tokens, but 1 token lives came to their end",
    ) == judge(tally, last_used=3, issued=2)


def test_a_token_that_came_after_the_last_call(tally):
    """Nobody can have used what came when everyone had gone home."""
    tally.told(TokenRefreshed(session=session(2, 121.5), at=109.5))

    assert () == judge(tally, last_used=1, issued=1)


def test_a_token_replaced_before_it_was_due(tally):
    """The timer goes off up to a tenth of the margin before the due moment, never earlier."""
    tally.told(TokenRefreshed(session=session(2, 121.0), at=109.3))
    assert ("once a token was replaced before it was due",) == judge(tally)

    tally.told(TokenRefreshed(session=session(3, 130.4), at=121.0 - 2.4 - 0.24))
    assert 1 == tally.early


def test_a_token_without_expiry_is_never_early(tally):
    """Nobody can say when it was due."""
    tally.told(TokenRefreshed(session=session(2, None), at=109.5))
    tally.told(TokenRefreshed(session=session(3, 121.0), at=109.6))

    assert 0 == tally.early


def test_what_the_current_token_has_left(tally):
    """Seconds, negative once it has expired, and nothing where nobody knows."""
    assert [2.0, -1.0] == [tally.left(110.0), tally.left(113.0)]
    assert None is Tally(policy=RefreshPolicy()).left(110.0)


def test_failures_are_counted_and_no_problem(tally):
    """A refresh that failed for now harms nobody; that is the point."""
    tally.told(RefreshFailed(error=ERROR))
    tally.told(StoreFailed(error=ERROR))

    assert 1 == tally.failed
    assert () == judge(tally)


@pytest.mark.parametrize("reason", ["rejected", "elsewhere"])
def test_a_session_that_ended(tally, reason):
    """It counts against it, whoever ended it."""
    tally.told(SignedOut(reason=reason))

    assert (f"the session ended: {reason}",) == judge(tally)


def test_our_own_sign_out_is_no_problem(tally):
    """The demo signs out at a real server when it is done."""
    tally.told(SignedOut(reason="user"))

    assert () == judge(tally)


def test_missed_events_make_the_counts_unsure(tally):
    """What was not seen was not counted."""
    tally.told(Lagged(missed=3))

    assert ("3 events were missed, so the counts are not sure",) == judge(tally)


def test_without_a_server_to_ask_the_client_counts_the_lives(tally):
    """A real server does not say what it issued."""
    tally.told(TokenRefreshed(session=session(2, 121.5), at=109.5))

    assert 2 == tally.summary(seconds=10.0, workers=5).lives


@pytest.mark.parametrize("count, words", [(1, "once"), (2, "2 times"), (12345, "12,345 times")])
def test_how_often(count, words):
    """In words."""
    assert words == times(count)
