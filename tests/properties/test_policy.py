"""Laws of the refresh policy, whatever its numbers."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from async_auth import RefreshPolicy

SECONDS = st.floats(min_value=0, max_value=1e6, allow_nan=False)
UNITS = st.floats(min_value=0, max_value=1)
LIVES = st.none() | st.floats(min_value=-1e6, max_value=1e9, allow_nan=False)


@st.composite
def policies(draw):
    """Return any policy that may be built."""
    first = draw(st.floats(min_value=1e-3, max_value=1e4))
    return RefreshPolicy(
        margin=draw(SECONDS),
        jitter=draw(SECONDS),
        min_ttl=draw(SECONDS),
        min_interval=draw(SECONDS),
        backoff_initial=first,
        backoff_max=first * draw(st.floats(min_value=1, max_value=1e4)),
        retry_after_max=draw(SECONDS),
    )


@given(policies(), LIVES, UNITS)
@example(RefreshPolicy(margin=3725.0, jitter=371.8278127983135), None, 1.0)
def test_what_is_kept_back_fits_into_the_life(policy, life, u):
    """Margin and jitter together leave at least three quarters of the life."""
    margin, jitter = policy.margin_for(life), policy.jitter_for(life, u)

    assert 0 <= jitter <= 0.1 * margin + 1e-9
    # It is a difference of two sums, so its last digits are rounded.
    assert jitter <= policy.jitter + 1e-9
    assert 0 <= margin <= policy.margin
    if life is not None and life > 0:
        assert margin + jitter <= 0.25 * life


@given(policies(), LIVES)
def test_what_is_handed_out_at_once_includes_half_the_margin(policy, life):
    """So there is a time in which a refresh is under way and nobody waits for it."""
    assert 0 <= policy.min_ttl_for(life) <= policy.margin_for(life) / 2


@given(policies(), LIVES, SECONDS)
def test_no_wish_asks_for_more_than_half_the_life(policy, life, wanted):
    """A new token always satisfies it."""
    granted = policy.min_ttl_for(life, wanted)

    assert 0 <= granted <= wanted
    if life is not None:
        assert granted <= max(life, 0) / 2


@given(policies(), st.integers(min_value=0, max_value=10**9), UNITS)
def test_a_back_off_stays_between_the_first_and_the_longest(policy, failures, u):
    """However many failures there were."""
    wait = policy.backoff(failures, u)

    assert policy.backoff_initial <= wait <= policy.backoff_max * (1 + 1e-9)


@given(policies(), st.integers(min_value=1, max_value=200), UNITS)
def test_a_back_off_never_shrinks_from_failure_to_failure(policy, failures, u):
    """For the same draw."""
    assert policy.backoff(failures, u) <= policy.backoff(failures + 1, u)


@given(policies(), st.integers(min_value=1, max_value=200), UNITS, UNITS)
def test_a_back_off_grows_with_the_draw(policy, failures, u, v):
    """So that full jitter spreads from end to end."""
    low, high = sorted((u, v))

    assert policy.backoff(failures, low) <= policy.backoff(failures, high)


@given(st.floats(min_value=0.01, max_value=1e9), UNITS)
def test_by_default_the_timer_goes_off_within_the_life(life, u):
    """After three quarters of it, before its end, and at most eleven seconds before."""
    policy = RefreshPolicy()
    before = policy.margin_for(life) + policy.jitter_for(life, u)

    assert 0 < before <= min(11, 0.22 * life + 1e-9)
