"""Laws of the lifecycle, and a random life that must keep all of them."""

from __future__ import annotations

import math

import attrs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from async_auth import (
    ApiError,
    NetworkError,
    RateLimited,
    RefreshPolicy,
    RefreshRejected,
    ServerUnavailable,
    Session,
    Status,
)
from async_auth.core.lifecycle import Lifecycle, Refresh, Stop, Wait

START = 1_700_000_000.0
#: Times are about 1.7e9: what is nearer than this is equal.
NEAR = 1e-5
UNITS = st.floats(min_value=0, max_value=1)
LIVES = st.floats(min_value=0.05, max_value=1e6)
MOMENTS = st.floats(min_value=-1e6, max_value=1e7).map(lambda after: START + after)
ERRORS = st.one_of(
    st.just(NetworkError("lost", sent=True)),
    st.just(ServerUnavailable("down", status=503)),
    st.just(ApiError("odd", status=418)),
    st.floats(min_value=-10, max_value=1e6).map(lambda s: RateLimited("slow", retry_after=s)),
)


def session(at, life, generation=1, refresh_token="r"):
    """Return a session that was issued at *at*."""
    return Session(
        access_token=f"a{generation}",
        refresh_token=refresh_token,
        issued_at=at,
        expires_at=None if life is None else at + life,
        generation=generation,
    )


@st.composite
def lifecycles(draw):
    """Return the lifecycle of some sign-in, perhaps after some refreshes and failures."""
    life = draw(LIVES)
    found = Lifecycle().signed_in(session(START, life), u=draw(UNITS))
    for generation in range(2, 2 + draw(st.integers(min_value=0, max_value=3))):
        now = draw(MOMENTS)
        new = session(now, draw(LIVES), generation)
        found = found.refreshed(new, now=now, u=draw(UNITS), u_backoff=draw(UNITS))
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        found = found.failed(draw(ERRORS), now=draw(MOMENTS), u=draw(UNITS))
    return found


@given(LIVES, UNITS)
def test_the_timer_is_never_before_the_issue_nor_after_the_expiry(life, u):
    """It goes off in the last quarter of the life."""
    signed_in = Lifecycle().signed_in(session(START, life), u=u)
    action = signed_in.next_action(START)

    assert isinstance(action, Wait)
    assert START + 0.75 * life - NEAR <= action.until <= START + life + NEAR
    assert action.until <= signed_in.due_at


@given(lifecycles(), MOMENTS)
def test_waiting_until_the_moment_it_says_means_refreshing_then(lifecycle, now):
    """The timer's moment is one at which there is something to do, and none before is."""
    action = lifecycle.next_action(now)
    assume(isinstance(action, Wait))

    assert action.until > now
    assert Refresh() == lifecycle.next_action(action.until)
    assert lifecycle.next_action((now + action.until) / 2) in {action, Refresh()}


@given(lifecycles(), MOMENTS, UNITS, UNITS, LIVES)
def test_no_two_automatic_refreshes_within_the_least_interval(lifecycle, now, u, v, life):
    """Whatever came of the first."""
    interval = lifecycle.policy.min_interval
    after = lifecycle.refreshed(session(now, life, 99), now=now, u=u, u_backoff=v)

    assert after.held_back(now + interval - NEAR)
    assert Refresh() != after.next_action(now + interval - NEAR)


@given(lifecycles(), ERRORS, MOMENTS, UNITS)
def test_a_failure_never_loses_the_session_and_never_hurries(lifecycle, error, now, u):
    """It keeps everything but says when to try again: after a second, within an hour."""
    failed = lifecycle.failed(error, now=now, u=u)

    assert lifecycle.session is failed.session
    assert lifecycle.failures + 1 == failed.failures
    assert error is failed.error
    assert 1 - NEAR <= failed.not_before - now <= 3600 + NEAR
    assert failed.held_back(now)


@given(lifecycles(), st.floats(min_value=1, max_value=3600), MOMENTS, UNITS)
def test_retry_after_is_obeyed_to_the_second(lifecycle, seconds, now, u):
    """Whatever the token has left."""
    failed = lifecycle.failed(RateLimited("slow", retry_after=seconds), now=now, u=u)

    assert abs(failed.not_before - now - seconds) < NEAR


@given(lifecycles(), ERRORS, MOMENTS, UNITS)
def test_one_failure_never_ends_the_loop(lifecycle, error, now, u):
    """The timer always has a next moment."""
    failed = lifecycle.failed(error, now=now, u=u)

    assert failed.retry_at(now) is not None
    assert Refresh() == failed.next_action(failed.retry_at(now))


@given(lifecycles(), MOMENTS)
def test_status_follows_what_is_left(lifecycle, now):
    """Expired at the end, due within the margin, else fresh."""
    left = lifecycle.left(now)
    expected = (
        Status.EXPIRED if left <= 0 else Status.DUE if left <= lifecycle.margin else Status.FRESH
    )

    assert expected is lifecycle.status(now)


@given(lifecycles(), MOMENTS, st.floats(min_value=-1e7, max_value=1e7))
def test_a_clock_that_is_set_changes_nothing_but_the_numbers(lifecycle, now, step):
    """What is left, and what is held back, stays."""
    shifted = lifecycle.shifted(step)

    assert abs(lifecycle.left(now) - shifted.left(now + step)) < NEAR
    assert abs(lifecycle.due_at + step - shifted.due_at) < NEAR
    assert attrs.evolve(lifecycle, session=None, not_before=0) == attrs.evolve(
        shifted, session=None, not_before=0
    )


@given(lifecycles(), MOMENTS, st.sampled_from(["rejected", "signed_out"]))
def test_after_an_end_there_is_nothing_to_do_ever(lifecycle, now, end):
    """No dead token is sent again."""
    ended = (
        lifecycle.signed_out() if end == "signed_out" else lifecycle.rejected(RefreshRejected("no"))
    )

    assert isinstance(ended.next_action(now), Stop)
    assert ended.session is None
    assert ended.shifted(100.0).session is None


@given(lifecycles(), MOMENTS, UNITS, UNITS)
def test_an_answer_that_repeats_itself_is_asked_for_less_and_less(lifecycle, now, u, v):
    """The same expiry over and over costs at most one request in a minute, in the end."""
    same = lifecycle.session
    for _ in range(8):
        lifecycle = lifecycle.refreshed(same, now=now, u=u, u_backoff=v)
        now = max(now, lifecycle.not_before)
    last = lifecycle.refreshed(same, now=now, u=u, u_backoff=1.0)

    assert 60 - NEAR <= last.not_before - now


class Life(RuleBasedStateMachine):
    """One session under a timer, with whatever a server and a clock may do to it."""

    @initialize(life=LIVES, u=UNITS)
    def begin(self, life, u):
        """Sign in."""
        self.now = START
        self.tries: list[float] = []
        self.generation = 1
        self.lifecycle = Lifecycle(policy=RefreshPolicy()).signed_in(session(START, life), u=u)

    @rule(seconds=st.floats(min_value=0.01, max_value=5000))
    def time_passes(self, seconds):
        """Nothing else happens."""
        self.now += seconds

    @precondition(lambda self: isinstance(self.lifecycle.next_action(self.now), Wait))
    @rule()
    def time_passes_until_the_timer(self):
        """Exactly."""
        self.now = self.lifecycle.next_action(self.now).until

    @precondition(lambda self: self.lifecycle.next_action(self.now) == Refresh())
    @rule(life=st.floats(min_value=-10, max_value=1e5), u=UNITS, v=UNITS)
    def the_timer_succeeds(self, life, u, v):
        """A new token comes, or one that is no better."""
        self._tried()
        self.generation += 1
        new = session(self.now, life, self.generation)
        self.lifecycle = self.lifecycle.refreshed(new, now=self.now, u=u, u_backoff=v)

    @precondition(lambda self: self.lifecycle.next_action(self.now) == Refresh())
    @rule(error=ERRORS, u=UNITS)
    def the_timer_fails(self, error, u):
        """For now."""
        self._tried()
        before = self.lifecycle.session
        self.lifecycle = self.lifecycle.failed(error, now=self.now, u=u)
        assert before is self.lifecycle.session

    @precondition(lambda self: self.lifecycle.next_action(self.now) == Refresh())
    @rule()
    def the_timer_is_refused(self):
        """For good."""
        self._tried()
        self.lifecycle = self.lifecycle.rejected(RefreshRejected("no"))

    @rule(step=st.floats(min_value=-1e5, max_value=1e5))
    def the_clock_is_set(self, step):
        """Everything moves with it."""
        left = self.lifecycle.left(self.now)
        self.now += step
        self.tries = [at + step for at in self.tries]
        self.lifecycle = self.lifecycle.shifted(step)
        assert math.isinf(left) or abs(left - self.lifecycle.left(self.now)) < NEAR

    @rule()
    def sign_out(self):
        """By the user's word."""
        self.lifecycle = self.lifecycle.signed_out()

    @precondition(lambda self: self.lifecycle.session is None)
    @rule(life=LIVES, u=UNITS)
    def sign_in(self, life, u):
        """Anew."""
        self.generation += 1
        self.lifecycle = self.lifecycle.signed_in(session(self.now, life, self.generation), u=u)
        # Another session: its first refresh has nothing to do with the old one's last.
        self.tries = []

    def _tried(self):
        if self.tries:
            assert self.now - self.tries[-1] >= self.lifecycle.policy.min_interval - NEAR
        self.tries.append(self.now)

    @invariant()
    def the_session_is_there_unless_it_ended(self):
        """There is a session exactly where the status says so."""
        none = {Status.SIGNED_OUT, Status.REJECTED}
        if hasattr(self, "lifecycle"):
            status = self.lifecycle.status(self.now)
            assert (self.lifecycle.session is None) == (status in none)
            assert status is not Status.CLOSED

    @invariant()
    def somebody_will_do_something(self):
        """A session that can be refreshed always has a next moment, within an hour of its end."""
        if hasattr(self, "lifecycle") and self.lifecycle.session is not None:
            at = self.lifecycle.retry_at(self.now)
            assert at is not None
            assert at <= max(self.lifecycle.due_at, self.now + 3600) + NEAR


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40)
