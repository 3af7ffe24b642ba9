"""What to do with a session now, move by move."""

from __future__ import annotations

import math

import attrs
import pytest

from async_auth import (
    ApiError,
    RateLimited,
    RefreshPolicy,
    RefreshRejected,
    ServerUnavailable,
    Session,
    Status,
)
from async_auth.core.lifecycle import Lifecycle, Refresh, Stop, Wait

NOW = 1_700_000_000.0


def session(life=3600.0, *, at=NOW, generation=1, refresh_token="r"):
    """Return a session that was issued at *at*."""
    return Session(
        access_token=f"a{generation}",
        refresh_token=refresh_token,
        issued_at=at,
        expires_at=None if life is None else at + life,
        generation=generation,
    )


def lifecycle(life=3600.0, *, u=0.0, **policy):
    """Return the lifecycle of a fresh sign-in."""
    policy.setdefault("jitter", 0)
    return Lifecycle(policy=RefreshPolicy(**policy)).signed_in(session(life), u=u)


def test_nobody_is_signed_in():
    """There is nothing to do, and it says so."""
    nobody = Lifecycle()

    assert Status.SIGNED_OUT is nobody.status(NOW)
    assert Stop("signed out") == nobody.next_action(NOW)
    assert nobody.retry_at(NOW) is None
    assert -math.inf == nobody.left(NOW)


@pytest.mark.parametrize(
    "left, status",
    [
        (3600, Status.FRESH),
        (11, Status.FRESH),
        (10.001, Status.FRESH),
        (10, Status.DUE),
        (0.001, Status.DUE),
        (0, Status.EXPIRED),
        (-1, Status.EXPIRED),
    ],
)
def test_the_margin_is_inclusive_and_so_is_the_end(left, status):
    """Eleven seconds left is fresh, ten is due, none is expired."""
    assert status is lifecycle().status(NOW + 3600 - left)


@pytest.mark.parametrize(
    "left, action", [(11, Wait(NOW + 3590)), (10, Refresh()), (-99, Refresh())]
)
def test_the_timer_goes_off_at_the_margin(left, action):
    """Not a moment before, and whenever it is late."""
    assert action == lifecycle().next_action(NOW + 3600 - left)


def test_jitter_moves_only_the_timer():
    """The draw makes the timer earlier; what is due stays due."""
    jittered = lifecycle(jitter=1.0, u=0.5)

    assert Wait(NOW + 3589.5) == jittered.next_action(NOW)
    assert NOW + 3590 == jittered.due_at
    assert Status.FRESH is jittered.status(NOW + 3589.7)
    assert Refresh() == jittered.next_action(NOW + 3589.7)


@pytest.mark.parametrize("life", [1.0, 2.0, 5.0, 10.0, 12.0, 49.0])
def test_short_lives_are_due_in_their_last_fifth(life):
    """The margin shrinks with the life."""
    short = lifecycle(life)

    assert Wait(pytest.approx(NOW + 0.8 * life)) == short.next_action(NOW)
    assert Status.FRESH is short.status(NOW)
    assert Status.DUE is short.status(NOW + 0.81 * life)


def test_without_a_refresh_token_there_is_nothing_to_refresh():
    """It is kept until it expires, and after."""
    bare = Lifecycle().signed_in(session(refresh_token=None), u=0)

    assert Stop("no refresh token") == bare.next_action(NOW + 9999)
    assert Status.EXPIRED is bare.status(NOW + 9999)
    assert bare.session is not None


def test_without_an_expiry_it_is_kept_until_somebody_says_401():
    """Nobody knows when to refresh; a refresh on demand is still possible."""
    endless = lifecycle(None)

    assert Stop("no expiry") == endless.next_action(NOW + 1e9)
    assert Status.FRESH is endless.status(NOW + 1e9)
    assert math.inf == endless.left(NOW)
    assert not endless.held_back(NOW)


def test_a_refresh_is_not_repeated_within_the_least_interval():
    """Even if the new token is due at once."""
    tiny = lifecycle(0.5).refreshed(
        session(0.5, at=NOW + 1, generation=2), now=NOW + 1, u=0, u_backoff=0
    )

    assert Wait(NOW + 2) == tiny.next_action(NOW + 1.9)
    assert tiny.held_back(NOW + 1.999)
    assert not tiny.held_back(NOW + 2)
    assert Refresh() == tiny.next_action(NOW + 2)


def test_a_refresh_forgets_the_failures_before_it():
    """The first success puts everything right."""
    failed = lifecycle().failed(ServerUnavailable("down"), now=NOW + 3595, u=0)
    again = failed.refreshed(session(at=NOW + 3600, generation=2), now=NOW + 3600, u=0, u_backoff=0)

    assert (0, None, 0) == (again.failures, again.error, again.stale)
    assert Status.FRESH is again.status(NOW + 3600)


def test_refreshes_that_bring_no_later_expiry_back_off():
    """A server that repeats itself is asked less and less often."""
    stuck = lifecycle(100)
    waits = []
    for turn in range(1, 10):
        stuck = stuck.refreshed(session(100, generation=turn + 1), now=NOW + 95, u=0, u_backoff=1.0)
        waits.append(stuck.not_before - (NOW + 95))

    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == waits


def test_tokens_that_arrive_expired_back_off_although_each_ends_later():
    """Asking again at once would bring no better one."""
    stuck = lifecycle(100)
    waits = []
    for turn in range(1, 6):
        now = NOW + 100 * turn
        stuck = stuck.refreshed(
            session(-1, at=now, generation=turn + 1), now=now, u=0, u_backoff=1.0
        )
        waits.append(stuck.not_before - now)

    assert [1, 2, 4, 8, 16] == waits


def test_a_later_expiry_ends_the_back_off():
    """One good answer is enough."""
    stuck = lifecycle(100).refreshed(session(100), now=NOW, u=0, u_backoff=0)
    good = stuck.refreshed(session(200), now=NOW, u=0, u_backoff=0)

    assert (1, 0) == (stuck.stale, good.stale)


def test_an_expiry_after_none_is_no_repetition():
    """An end that is known now is not earlier than one that nobody knew."""
    known = lifecycle(None).refreshed(session(100, generation=2), now=NOW, u=0, u_backoff=0)

    assert known.stale == 0


def test_failures_back_off_and_keep_the_session():
    """Each wait may be longer than the one before; the session stays, also past its end."""
    failing = lifecycle()
    waits = []
    for turn in range(1, 9):
        failing = failing.failed(ServerUnavailable("down"), now=NOW + 3601, u=1.0)
        waits.append(failing.not_before - (NOW + 3601))
        assert turn == failing.failures

    assert [1, 2, 4, 8, 16, 32, 60, 60] == waits
    assert "a1" == failing.session.access_token
    assert Status.EXPIRED is failing.status(NOW + 9999)


def test_while_the_token_is_good_a_wait_takes_at_most_half_of_what_is_left():
    """A short outage should end before the token does."""
    failing = lifecycle()
    for _ in range(10):
        failing = failing.failed(ServerUnavailable("down"), now=NOW + 3592, u=1.0)

    assert NOW + 3596 == failing.not_before


@pytest.mark.parametrize(
    "asked, wait", [(30, 30), (3600, 3600), (86_400, 3600), (0, 1), (0.2, 1), (-5, 1)]
)
def test_retry_after_is_obeyed_up_to_an_hour(asked, wait):
    """Even past the token's end; but never sooner than the least interval."""
    failed = lifecycle().failed(RateLimited("slow", retry_after=asked), now=NOW + 3595, u=1.0)

    assert NOW + 3595 + wait == failed.not_before
    assert Wait(NOW + 3595 + wait) == failed.next_action(NOW + 3595)


def test_an_error_without_retry_after_is_as_temporary():
    """An unknown refusal backs off like an outage."""
    failed = lifecycle().failed(ApiError("odd", status=418), now=NOW + 3605, u=0)

    assert NOW + 3606 == failed.retry_at(NOW + 3605)
    assert isinstance(failed.error, ApiError)


def test_retry_at_says_now_for_what_is_overdue():
    """The timer starts at once."""
    assert NOW + 3595 == lifecycle().retry_at(NOW + 3595)


def test_a_rejection_ends_the_session_until_the_next_sign_in():
    """Nothing is left but the reason."""
    refusal = RefreshRejected("no", code="session_not_found")
    rejected = lifecycle().rejected(refusal)

    assert rejected.session is None
    assert Status.REJECTED is rejected.status(NOW)
    assert Stop("rejected") == rejected.next_action(NOW)
    assert refusal is rejected.rejection
    again = rejected.signed_in(session(), u=0)
    assert again.rejection is None
    assert Status.FRESH is again.status(NOW)


def test_a_sign_in_owes_nothing_to_the_session_before():
    """Failures, back-offs and the error were the old one's."""
    failing = lifecycle().failed(RateLimited("slow", retry_after=900), now=NOW + 3605, u=0)
    anew = failing.signed_in(session(generation=2), u=0.5)

    assert Lifecycle(policy=failing.policy, session=anew.session, u=0.5) == anew
    assert not anew.held_back(NOW)


def test_a_sign_out_leaves_nothing():
    """Neither a session nor a reason."""
    assert Lifecycle(policy=RefreshPolicy(jitter=0)) == lifecycle().signed_out()


def test_a_clock_that_was_set_moves_every_moment():
    """What is left stays what it was."""
    before = lifecycle().failed(ServerUnavailable("down"), now=NOW, u=0)
    after = before.shifted(-3600)

    assert before.left(NOW) == after.left(NOW - 3600)
    assert before.not_before - 3600 == after.not_before
    assert before.session.lifetime == after.session.lifetime
    assert before.held_back(NOW) == after.held_back(NOW - 3600)


def test_a_clock_that_was_set_moves_no_moment_that_is_unknown():
    """No session, no expiry: nothing to move."""
    assert lifecycle(None).shifted(5).session.expires_at is None
    assert Lifecycle() == Lifecycle().shifted(5)


def test_the_least_rest_follows_the_life():
    """And a wish, up to half of it."""
    assert 2 == lifecycle().min_ttl()
    assert 1 == lifecycle(10).min_ttl()
    assert 5 == lifecycle(10).min_ttl(60)
    assert 2 == Lifecycle().min_ttl()


def test_it_is_a_value():
    """No move changes the one it was made from."""
    first = lifecycle()
    copy = attrs.evolve(first)
    first.failed(ServerUnavailable("down"), now=NOW, u=0)
    first.signed_out()

    assert copy == first
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.failures = 3


@pytest.mark.parametrize(
    "changes, every",
    [
        ({}, 3590),
        ({"expires_at": 1010.0}, 8),
        ({"expires_at": 1000.0}, 1),
        ({"expires_at": 900.0}, 1),
        ({"refresh_token": None}, None),
        ({"expires_at": None}, None),
        ({"issued_at": None}, None),
    ],
)
def test_a_session_needs_a_refresh_once_in_its_life(changes, every):
    """Less the margin, never more than one per second; some need none."""
    whole = {"expires_at": 4600.0, "issued_at": 1000.0, "refresh_token": "r"}
    found = Lifecycle().signed_in(Session(access_token="a", **{**whole, **changes}), u=0)

    assert pytest.approx(0 if every is None else 1 / every) == found.refreshes_per_second
    assert 0 == Lifecycle().refreshes_per_second


def test_a_good_refresh_waits_for_the_least_interval_only():
    """Where that is nothing, the next one may come at once; a repeated answer waits."""
    before = lifecycle(min_interval=0)
    after = before.refreshed(session(at=NOW + 5), now=NOW + 5, u=0.5, u_backoff=1.0)

    assert (NOW + 5, 0) == (after.not_before, after.stale)
    assert NOW + 6 == after.refreshed(session(at=NOW + 5), now=NOW + 5, u=0, u_backoff=1).not_before


def test_a_refresh_keeps_the_policy_and_the_draw():
    """The times of the manager go on, and the jitter is the new token's."""
    before = lifecycle(margin=7)
    after = before.refreshed(session(at=NOW + 5), now=NOW + 5, u=0.5, u_backoff=0.0)

    assert (before.policy, 0.5) == (after.policy, after.u)


@pytest.mark.parametrize(
    "before, after, stale",
    [
        (None, 3600.0, 0),
        (None, 0.0, 1),
        (None, None, 0),
        (3600.0, None, 0),
        (None, 0.001, 0),
        (3600.0, 3600.0, 1),
    ],
)
def test_what_counts_as_a_gain(before, after, stale):
    """A later expiry that has not passed, or none at all; without a session, any to come."""
    first = Lifecycle() if before is None else lifecycle(before)
    found = first.refreshed(session(after), now=NOW, u=0.0, u_backoff=0.0)

    assert stale == found.stale


@pytest.mark.parametrize("left, pause", [(0.5, 0.25), (0, 4), (-1, 4), (100, 4), (1, 0.5)])
def test_a_wait_never_takes_more_than_half_of_what_is_left(left, pause):
    """Once nothing is left, it is the back-off's; here the third of a policy without an interval."""
    failing = attrs.evolve(lifecycle(10, min_interval=0), failures=2)
    found = failing.failed(ServerUnavailable("x"), now=NOW + 10 - left, u=1.0)

    assert pytest.approx(pause) == found.not_before - (NOW + 10 - left)


def test_a_rejection_keeps_the_policy():
    """The next sign-in is held by the same times."""
    policy = RefreshPolicy(margin=7)

    assert policy == Lifecycle(policy=policy).rejected(RefreshRejected("x")).policy


def test_a_clock_that_was_set_moves_the_end_of_the_refresh_token():
    """As every other moment of the session."""
    before = attrs.evolve(session(), refresh_expires_at=NOW + 9000)

    shifted = Lifecycle().signed_in(before, u=0.0).shifted(-100.0)

    assert NOW + 8900 == shifted.session.refresh_expires_at
