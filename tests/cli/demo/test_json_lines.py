"""The lines for machines."""

from __future__ import annotations

import json

import attrs
import pytest

from async_auth.cli.demo.json_lines import JsonLines
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Tally
from async_auth.cli.demo.view import EventNote, FaultNote, Snapshot
from async_auth.core.policy import RefreshPolicy
from async_auth.errors import ServerUnavailable
from async_auth.events import RefreshFailed, SignedIn, SignedOut, StoreFailed
from async_auth.session import Session, Status

SESSION = Session(
    access_token="secret-1", refresh_token="secret-2", generation=1, issued_at=0.0, expires_at=12.0
)
AWAY = ServerUnavailable("unavailable", status=503)
NOW = Snapshot(
    elapsed=0.0,
    requests=5,
    rate=1.0,
    refused=0,
    unwanted=0,
    exceptions=0,
    status=Status.DUE,
    generation=1,
    left=1.0,
    life=12.0,
    margin=2.4,
    refreshed=0,
    failed=0,
    issued=None,
    fault="",
)


@pytest.fixture
def told(capsys):
    """Return a function that lets the view do something and gives the objects that it printed."""

    def run(view, method, *arguments):
        getattr(view, method)(*arguments)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_begin(told):
    """The numbers that it begins with."""
    (begin,) = told(JsonLines(), "begin", Plan(), "a test")

    assert {"type": "begin", "place": "a test", **attrs.asdict(Plan())} == begin


def test_events_hold_no_secret(told, capsys):
    """Which token and until when, but never the token."""
    note = EventNote(elapsed=1.0, event=SignedIn(session=SESSION, at=5.0))
    (event,) = told(JsonLines(), "note", note)

    assert {
        "type": "event",
        "elapsed": 1.0,
        "event": "SignedIn",
        "name": "SIGNED_IN",
        "at": 5.0,
        "generation": 1,
        "expires_at": 12.0,
        "left": None,
    } == event


@pytest.mark.parametrize("kind", [RefreshFailed, StoreFailed])
def test_failures_say_why_and_when_again(told, kind):
    """The error's name and text, and the next try."""
    note = EventNote(elapsed=1.0, event=kind(error=AWAY, retry_at=7.0), left=2.0)
    (event,) = told(JsonLines(), "note", note)

    assert ("ServerUnavailable", "unavailable (status 503)") == (event["error"], event["message"])
    assert (7.0, 2.0, None) == (event["retry_at"], event["left"], event["generation"])


def test_the_end_of_a_session_says_why(told):
    """With its reason."""
    note = EventNote(elapsed=1.0, event=SignedOut(reason="rejected"))
    (event,) = told(JsonLines(), "note", note)

    assert "rejected" == event["reason"]


def test_faults(told):
    """As they are."""
    note = FaultNote(elapsed=1.0, fault="outage", phase="begin", text="503")
    (fault,) = told(JsonLines(), "note", note)

    assert {"type": "fault", **attrs.asdict(note)} == fault


def test_the_state_once_a_second(told):
    """Not at every look."""
    view = JsonLines()
    states = [
        state
        for elapsed in (0.0, 0.05, 0.9, 1.0, 1.05, 2.0)
        for state in told(view, "tick", attrs.evolve(NOW, elapsed=elapsed))
    ]

    assert [0.0, 1.0, 2.0] == [state["elapsed"] for state in states]
    assert {"due"} == {state["status"] for state in states}


def test_the_summary(told):
    """The verdict, the figures and the problems."""
    tally = Tally(policy=RefreshPolicy())
    tally.answered(401, 0.5)
    with JsonLines() as view:
        (summary,) = told(view, "end", tally.summary(seconds=1.0, workers=2))

    assert ("summary", False, 1) == (summary["type"], summary["ok"], summary["requests"])
    assert {"401": 1} == summary["answers"]
    assert ["once a worker was answered 401", "no worker was ever answered 200"] == summary[
        "problems"
    ]
