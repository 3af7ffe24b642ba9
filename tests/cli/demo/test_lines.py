"""The plain lines."""

from __future__ import annotations

from async_auth.cli.demo.lines import Lines
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Tally
from async_auth.cli.demo.view import EventNote, Snapshot
from async_auth.core.policy import RefreshPolicy
from async_auth.events import SignedIn
from async_auth.session import Status


def snapshot(elapsed):
    """Return how things stand at that time."""
    return Snapshot(
        elapsed=elapsed,
        requests=1589,
        rate=319.4,
        refused=1,
        unwanted=1,
        exceptions=1,
        status=Status.FRESH,
        generation=1,
        left=12.0 - elapsed,
        life=12.0,
        margin=2.4,
        refreshed=1,
        failed=0,
        issued=0,
        fault="",
    )


def test_a_run_from_begin_to_end(capsys):
    """What happens, every five seconds how it stands, and the summary."""
    tally = Tally(policy=RefreshPolicy())
    tally.answered(200, 0.01)
    with Lines() as lines:
        lines.begin(Plan(), "a test")
        lines.note(EventNote(elapsed=0.1, event=SignedIn()))
        for elapsed in (0.0, 4.9, 5.1, 5.2, 9.9, 10.0):
            lines.tick(snapshot(elapsed))
        lines.end(tally.summary(seconds=10.0, workers=50))

    assert [
        "50 workers, one session, a test, for 45 s (Ctrl-C ends it)",
        "00:00.1  SignedIn        nobody is signed in",
        "00:05.1  1,589 requests (319/s), 3 not 200; 1 refresh; token 1: 6.9 s left",
        "00:10.0  1,589 requests (319/s), 3 not 200; 1 refresh; token 1: 2.0 s left",
        "",
        "time       10.0 s with 50 workers",
        "requests   1 (0/s), the slowest 10 ms",
        "workers    saw 1 x 200, 0 x 401, 0 exceptions",
        "tokens     0 lived; 0 refreshes, 0 of them early; 0 tries failed",
        "OK         no 401, no exception",
    ] == capsys.readouterr().out.splitlines()
