"""How things are said."""

from __future__ import annotations

import pytest

from async_auth.cli.demo import words
from async_auth.cli.demo.tally import Tally
from async_auth.cli.demo.view import EventNote, FaultNote
from async_auth.core.policy import RefreshPolicy
from async_auth.errors import ServerUnavailable
from async_auth.events import (
    Event,
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedIn,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
    UserUpdated,
)
from async_auth.session import Session

SESSION = Session(access_token="secret", generation=3, issued_at=100.0, expires_at=112.0)
ENDLESS = Session(access_token="secret", generation=3)
AWAY = ServerUnavailable("unavailable", status=503)


@pytest.mark.parametrize(
    "seconds, text",
    [(0.0, "00:00.0"), (9.58, "00:09.5"), (75.0, "01:15.0"), (6000.0, "100:00.0")],
)
def test_clock(seconds, text):
    """Minutes, seconds and tenths, never rounded up to a time that has not come."""
    assert text == words.clock(seconds)


@pytest.mark.parametrize(
    "event, left, line",
    [
        (InitialSession(), None, "InitialSession  nobody is signed in"),
        (SignedIn(session=SESSION), None, "SignedIn        token 3, good for 12 s"),
        (SignedIn(session=ENDLESS), None, "SignedIn        token 3"),
        (
            TokenRefreshed(session=SESSION),
            2.42,
            "TokenRefreshed  token 3, good for 12 s; the old one had 2.4 s left",
        ),
        (
            RefreshFailed(error=AWAY, at=100.0, retry_at=101.0),
            1.4,
            "RefreshFailed   unavailable (status 503); next try in 1.0 s; 1.4 s left",
        ),
        (
            RefreshFailed(error=AWAY),
            -3.0,
            "RefreshFailed   unavailable (status 503); expired 3.0 s ago",
        ),
        (StoreFailed(error=AWAY), None, "StoreFailed     unavailable (status 503); no known end"),
        (SignedOut(reason="rejected"), 1.0, "SignedOut       the session ended: rejected"),
        (Lagged(missed=3), None, "Lagged          3 events were missed"),
        (UserUpdated(session=SESSION), None, "UserUpdated"),
        (Event(), None, "Event"),
    ],
)
def test_events(event, left, line):
    """Every event has its line, which fits into 80 columns."""
    said = words.line_of(EventNote(elapsed=19.1, event=event, left=left))

    assert f"00:19.1  {line}" == said
    assert 80 >= len(said)


def test_faults():
    """A fault stands where events stand, but is told apart from them."""
    note = FaultNote(elapsed=1.0, fault="outage", phase="begin", text="503 to every refresh")

    assert "00:01.0  -- server       503 to every refresh" == words.line_of(note)


def summary(**facts):
    """Return the summary of a run with one call."""
    tally = Tally(policy=RefreshPolicy())
    tally.told(SignedIn(session=SESSION))
    tally.answered(200, 0.0123, 1)
    return tally.summary(**{"seconds": 45.0, "workers": 50, **facts})


def test_summary():
    """All the figures, and no more."""
    facts = summary(issued=0, refresh_requests=0, refused=2, faults=("one", "another"))

    assert [
        "time       45.0 s with 50 workers",
        "requests   1 (0/s), the slowest 12 ms",
        "workers    saw 1 x 200, 0 x 401, 0 exceptions",
        "tokens     1 lived; 0 refreshes, 0 of them early; 0 tries failed",
        "server     0 new refresh tokens issued, 0 refresh requests seen",
        "           2 answers of 401 that no worker saw: sent once more",
        "fault      one",
        "fault      another",
    ] == words.summary_lines(facts)


@pytest.mark.parametrize("seconds, said", [(0.9, False), (4.25, True)])
def test_a_machine_that_stood_still(seconds, said):
    """A word is said of it, for the figures leave it out; not of a moment now and then."""
    lines = words.summary_lines(summary(stalled=seconds))

    assert said == ("           the machine stood still for 4.2 s: counted nowhere" in lines)
    assert 4 + said == len(lines)


def test_summary_of_a_real_server():
    """Nothing is said of what only an embedded server knows."""
    lines = words.summary_lines(summary(interrupted=True))

    assert "time       45.0 s with 50 workers, stopped by you" == lines[0]
    assert ["time", "requests", "workers", "tokens"] == [line.split()[0] for line in lines]
    assert ["OK         no 401, no exception"] == words.verdict_lines(summary())


def test_verdict():
    """One line if all is well, else one for each problem."""
    assert [
        "OK         no 401, no exception, one new refresh token per token life"
    ] == words.verdict_lines(summary(issued=0))
    assert [
        "NOT OK     the server issued 1 new refresh tokens, but 0 token lives came to their end",
        "NOT OK     the server issued 1 new refresh tokens, but the client told of 0",
    ] == words.verdict_lines(summary(issued=1))
