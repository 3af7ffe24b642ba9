"""The times that govern refreshing: formulas with exact numbers."""

from __future__ import annotations

import math

import pytest

from async_auth import ConfigurationError, RefreshPolicy

FIELDS = [
    "margin",
    "jitter",
    "min_ttl",
    "min_interval",
    "backoff_initial",
    "backoff_max",
    "retry_after_max",
    "request_timeout",
    "lock_timeout",
]


@pytest.mark.parametrize(
    "life, margin",
    [(3600, 10), (50, 10), (49, 9.8), (12, 2.4), (10, 2), (1, 0.2), (0, 0), (-5, 0), (None, 10)],
)
def test_the_margin_is_ten_seconds_but_at_most_a_fifth_of_the_life(life, margin):
    """Short tokens get a short margin; one without a known life gets the whole margin."""
    assert pytest.approx(margin) == RefreshPolicy().margin_for(life)


@pytest.mark.parametrize(
    "life, most", [(3600, 1), (50, 1), (25, 0.5), (1, 0.02), (0, 0), (None, 1)]
)
def test_the_jitter_is_at_most_a_tenth_of_the_margin(life, most):
    """It is the policy's jitter times the draw, bounded by the margin."""
    policy = RefreshPolicy()

    assert pytest.approx(most) == policy.jitter_for(life, 1.0)
    assert pytest.approx(most / 4) == policy.jitter_for(life, 0.25)
    assert policy.jitter_for(life, 0.0) == 0


def test_without_jitter_the_timer_is_exact():
    """Jitter 0 means none, whatever is drawn."""
    assert RefreshPolicy(jitter=0).jitter_for(3600, 1.0) == 0


@pytest.mark.parametrize(
    "spread, life, most",
    [
        (0.1, 3600, 360),
        (0.1, 5, 0.5),
        (0.001, 3600, 3.6),
        (0.0001, 3600, 1),
        (0, 3600, 1),
        (0.5, 3600, 1800),
        (0.1, None, 1),
        (0.1, -5, 0),
    ],
)
def test_a_spread_is_a_part_of_the_life_instead_of_the_jitter(spread, life, most):
    """Whatever is more; of a life that nobody knows there is no part."""
    policy = RefreshPolicy(spread=spread)

    assert pytest.approx(most, abs=0.11) == policy.jitter_for(life, 1.0)
    assert pytest.approx(most / 2, abs=0.06) == policy.jitter_for(life, 0.5)


@pytest.mark.parametrize("spread", [-0.1, 0.51, math.nan, math.inf, "wide", True, False])
def test_a_spread_is_a_part_up_to_a_half(spread):
    """More would refresh more than twice as often as need be."""
    with pytest.raises(ConfigurationError, match="spread"):
        RefreshPolicy(spread=spread)


@pytest.mark.parametrize("life, least", [(3600, 2), (20, 2), (10, 1), (1, 0.1), (0, 0), (None, 2)])
def test_the_least_life_to_be_handed_out_is_two_seconds_or_half_the_margin(life, least):
    """Whatever is smaller."""
    assert pytest.approx(least) == RefreshPolicy().min_ttl_for(life)


@pytest.mark.parametrize(
    "life, wanted, granted",
    [(3600, 60, 60), (100, 60, 50), (0, 60, 0), (None, 60, 60), (100, 0, 0)],
)
def test_a_wanted_rest_of_life_is_capped_at_half_the_life(life, wanted, granted):
    """Or no token would ever do."""
    assert granted == RefreshPolicy().min_ttl_for(life, wanted)


@pytest.mark.parametrize(
    "failures, lowest, highest",
    [(0, 1, 1), (1, 1, 1), (2, 1, 2), (3, 1, 4), (6, 1, 32), (7, 1, 60), (10_000, 1, 60)],
)
def test_the_back_off_grows_from_one_second_to_sixty(failures, lowest, highest):
    """Full jitter: from the least wait to one that doubles each time."""
    policy = RefreshPolicy()

    assert lowest == policy.backoff(failures, 0.0)
    assert highest == policy.backoff(failures, 1.0)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan, "10", None, True, 1j])
def test_what_is_no_number_of_seconds_is_refused_by_name(name, value):
    """A wrong argument says which one it is."""
    with pytest.raises(ConfigurationError, match=name):
        RefreshPolicy(**{name: value})


@pytest.mark.parametrize(
    "name", ["backoff_initial", "backoff_max", "request_timeout", "lock_timeout"]
)
def test_waits_that_must_not_be_nothing(name):
    """No wait between tries, or no time for a request, is a mistake."""
    with pytest.raises(ConfigurationError, match=name):
        RefreshPolicy(**{name: 0})


@pytest.mark.parametrize("name", ["margin", "jitter", "min_ttl", "min_interval", "retry_after_max"])
def test_the_others_may_be_nothing(name):
    """Zero switches them off."""
    assert getattr(RefreshPolicy(**{name: 0}), name) == 0


def test_the_longest_back_off_is_not_below_the_first():
    """The two must fit."""
    with pytest.raises(ConfigurationError, match="backoff_max"):
        RefreshPolicy(backoff_initial=5, backoff_max=4)


def test_the_defaults():
    """They are what the documentation says."""
    policy = RefreshPolicy()

    assert [10, 1, 2, 1, 1, 60, 3600, 15, 60] == [getattr(policy, name) for name in FIELDS]
