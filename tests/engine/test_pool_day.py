"""A day of two thousand sessions in one pool, in simulated time: outages, a restart, no stampede."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "benchmarks" / "pool_day.py"
#: `nox` lets one Python have all of them: nothing here depends on which (noxfile.py, THOROUGH).
SESSIONS = 500 if os.environ.get("ASYNC_AUTH_SAMPLE") == "1" else 2_000
#: Two and a half times the mean, as the default is for so many sessions that it is above its floor.
RATE = 0.75 * SESSIONS / 2_000


@pytest.fixture
def pool_day(monkeypatch):
    """The module of the benchmark, which lives through the same day with more sessions."""
    spec = importlib.util.spec_from_file_location("pool_day", PLACE)
    module = importlib.util.module_from_spec(spec)
    # attrs looks its classes' module up.
    monkeypatch.setitem(sys.modules, "pool_day", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(300)
async def test_a_day_with_two_outages_and_a_restart_is_no_stampede_and_signs_nobody_out(pool_day):
    """The server never gets more than three times the mean, and all have waited for a while only."""
    # Every request of the first outage is sent twice, for its answer may have been lost.
    plan = pool_day.Plan(sessions=SESSIONS, max_refresh_rate=RATE, step=2.0, loses_answers=True)
    found = await pool_day.live(plan)

    assert (0, 0, SESSIONS) == (found.refused, found.signed_out, found.in_store)
    assert found.peak() <= 3 * found.mean
    assert found.peak(60.0) <= 3 * found.mean
    # Whoever has no fresh token on an ordinary day has it within seconds.
    assert found.waits["the rest of the day"].percentile(0.99) <= 10.0
    # After the outage everybody is served while the server gets no more than its three times.
    late = found.waits["first outage"]
    assert late.seconds
    assert late.percentile(1.0) <= plan.life / 2
    # Idle sessions leave memory: at no time were all of them there.
    assert 0 < found.in_memory < 0.8 * SESSIONS
    # The pool did not give up while the server was away, nor ask more often.
    assert RATE / 2 <= found.rate(*pool_day.OUTAGES[0]) <= RATE * 1.01


def test_a_day_is_shown_as_text(pool_day):
    """The command prints what was found, the peak as a multiple of the mean."""
    plan = pool_day.Plan(sessions=10, step=1.0)
    waits = pool_day.Waits(seconds=pool_day.array("d", [1.0, 3.0]), gone=1, errors=2)
    found = pool_day.Found(
        plan=plan,
        requests=[1] * 86_400,
        refreshed=43_200,
        refused=0,
        signed_out=0,
        in_store=10,
        in_memory=7,
        waits={"first outage": waits},
        cpu=1.0,
    )
    text = pool_day.to_markdown(found)

    assert "1.00 (2.00 x the mean) in any 10 s" in text
    assert "| first outage | 2 | 3.0 s | 3.0 s | 3.0 s | 3.0 s | 1 | 2 |" in text
