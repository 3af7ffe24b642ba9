"""The formulas of the pace: exact numbers, and the laws behind them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core import pacing

RATES = st.floats(min_value=1e-3, max_value=1e5)
DEBTS = st.floats(min_value=0, max_value=1e6)
SECONDS = st.floats(min_value=0, max_value=1e6)


@pytest.mark.parametrize(
    "sessions, life, need", [(0, 3600, 0), (3600, 3600, 1), (100, 0.1, 100), (100, None, 0)]
)
def test_the_need_is_one_refresh_per_life(sessions, life, need):
    """A token that never ends needs none; one that ends at once counts as one of a second."""
    assert need == pacing.needed_rate(sessions, life)


@pytest.mark.parametrize("need, limit", [(0, 20), (1, 20), (8, 20), (10, 25), (100, 250)])
def test_the_rate_is_two_and_a_half_times_the_need_and_never_under_twenty(need, limit):
    """Few sessions harm no server."""
    assert limit == pacing.rate_limit(need)


@pytest.mark.parametrize("rate, most", [(0.1, 1), (1, 1), (2, 1), (20, 10), (250, 125)])
def test_the_burst_is_half_a_second_s_but_at_least_one(rate, most):
    """Otherwise nothing could ever start."""
    assert most == pacing.burst(rate)


def test_once_the_burst_is_spent_refreshes_follow_at_an_even_distance():
    """Each waits one distance longer than the one before it."""
    owed = pacing.burst(20)

    assert pytest.approx(1 / 20) == pacing.spacing(20)
    assert [pytest.approx((place + 1) / 20) for place in range(3)] == [
        pacing.wait_for(owed, 20, ahead=place) for place in range(3)
    ]
    assert pacing.wait_for(owed - 1, 20) == 0


def test_a_debt_is_paid_off_at_the_rate():
    """Nothing is saved up beyond it."""
    assert pacing.paid_off(10.0, 20.0, 0.25) == 5
    assert pacing.paid_off(10.0, 20.0, 3600.0) == 0


def test_an_infinite_rate_is_no_limit():
    """Nothing is owed, and nobody waits, whoever is ahead."""
    assert pacing.paid_off(1e9, math.inf, 0.0) == 0
    assert pacing.wait_for(1e9, math.inf, ahead=1e9) == 0


@given(RATES)
def test_any_ten_seconds_stay_below_three_times_the_need(need):
    """The floor aside: the headroom and one burst fit, with one refresh to round it up."""
    rate = pacing.HEADROOM * need

    assert rate * 10 + pacing.burst(rate) <= max(3 * need * 10, rate * 10 + 1)


@given(DEBTS, RATES, st.floats(min_value=0, max_value=1e5))
def test_after_the_wait_the_next_one_is_free(debt, rate, ahead):
    """What the wait promises, the paying off keeps."""
    wait = pacing.wait_for(debt, rate, ahead=ahead)
    left = pacing.paid_off(debt + ahead, rate, wait)

    assert pacing.wait_for(left, rate) * rate <= 1e-6 * max(1.0, debt + ahead)


@given(DEBTS, RATES, SECONDS, SECONDS)
def test_a_debt_falls_with_time_and_never_below_nothing(debt, rate, first, second):
    """Two looks find what one look would."""
    once = pacing.paid_off(debt, rate, first + second)
    twice = pacing.paid_off(pacing.paid_off(debt, rate, first), rate, second)

    assert 0 <= once <= debt
    assert pytest.approx(once, rel=1e-6, abs=1e-3) == twice
