"""What a manager knows of its session: generations, orders, and the hot path's window."""

from __future__ import annotations

import math

import attrs
import pytest

from async_auth import (
    AccessToken,
    RefreshPolicy,
    RefreshRejected,
    ServerUnavailable,
    Session,
    Status,
)
from async_auth.engine.state import State, new_sign_in_id


@pytest.fixture
def state(clock):
    """Return a state in which nobody is signed in."""
    return State(policy=RefreshPolicy(jitter=0), clock=clock, random=lambda: 0.0)


@pytest.fixture
def session(clock):
    """Return a session that is fresh."""
    return Session(
        access_token="a",
        refresh_token="r",
        issued_at=clock.now(),
        expires_at=clock.now() + 3600,
        sign_in_id="one",
    )


def window(state):
    """Return when the hot path hands out the token."""
    return state.since, state.until


SHUT = (math.inf, -math.inf)


def test_the_window_opens_with_a_session(state, session, clock):
    """From now until two seconds before the end."""
    assert SHUT == window(state)

    state.sign_in(session, order=1, stored=True)

    assert (clock.now(), session.expires_at - 2) == window(state)
    assert AccessToken(value="a", expires_at=session.expires_at, generation=1) == state.token


def test_the_token_is_of_the_sessions_type(state, session):
    """Whatever the server called it."""
    state.sign_in(attrs.evolve(session, token_type="DPoP"), order=1, stored=True)

    assert "DPoP a" == state.token.header


@pytest.mark.parametrize("end", ["sign_out", "lose", "reject", "close"])
def test_the_window_shuts_with_the_end(state, session, end):
    """However it ended."""
    state.sign_in(session, order=1, stored=True)

    getattr(state, end)(*([RefreshRejected("no")] if end == "reject" else []))

    assert SHUT == window(state)
    assert state.token is None
    assert (end == "close") is state.stored


def test_a_failure_leaves_the_window_open(state, session):
    """The token is as good as it was."""
    state.sign_in(session, order=1, stored=True)
    before = window(state)

    state.fail(ServerUnavailable("down"))

    assert before == window(state)
    assert state.session is session


def test_a_pinned_token_is_handed_out_whatever_happens(state, session):
    """The session goes on behind it, and is handed out again once it is unpinned."""
    pinned = AccessToken(value="pinned")
    state.pin(pinned)
    assert (-math.inf, math.inf) == window(state)

    state.sign_in(session, order=1, stored=True)
    assert pinned is state.token
    state.pin(None)

    assert "a" == state.token.value
    assert Status.FRESH is state.status


def test_a_pinned_token_without_a_session_leaves_nothing_behind(state):
    """Unpinned, there is nobody."""
    state.pin(AccessToken(value="pinned"))
    state.pin(None)

    assert SHUT == window(state)
    assert Status.SIGNED_OUT is state.status


def test_generations_never_restart(state, session):
    """Neither by a sign-out nor by a sign-in that states a lower one."""
    state.sign_in(attrs.evolve(session, generation=7), order=1, stored=True)
    state.sign_out()
    state.sign_in(attrs.evolve(session, generation=3), order=2, stored=True)

    assert 7 == state.generation


def test_the_later_call_stays_the_later_call(state, session):
    """A sign-in that was begun earlier does not turn the order back."""
    first, second = state.next_order(), state.next_order()
    state.sign_in(session, order=second, stored=True)
    state.sign_in(session, order=first, stored=True)

    assert second == state.installed


def test_only_the_users_word_ends_the_sign_ins_begun_before(state, session):
    """What a server or another process ended is the old session, and nothing else."""
    begun = state.next_order()
    state.sign_in(session, order=0, stored=True)

    state.lose()
    assert begun > state.ended
    state.reject(RefreshRejected("no"))
    assert begun > state.ended
    state.sign_out()
    assert begun < state.ended


def test_what_was_ever_stored_stays_so_for_the_sign_in(state, session):
    """A rotation that could not be saved does not make the store's record older than us."""
    state.sign_in(session, order=1, stored=True)
    state.refresh(attrs.evolve(session, generation=2), stored=False)
    assert state.stored
    state.sign_out()
    assert not state.stored


def test_a_clock_set_back_moves_the_window(state, session, clock):
    """The token ends as much earlier by the clock."""
    state.sign_in(session, order=1, stored=True)
    clock.step(-600)

    state.set_back(-600)

    assert (clock.now(), session.expires_at - 602) == window(state)


def test_sign_ins_are_told_apart_by_their_id(state, session):
    """Not by their tokens."""
    state.sign_in(session, order=1, stored=True)

    assert state.is_current(attrs.evolve(session, generation=9, access_token="b"))
    assert not state.is_current(attrs.evolve(session, sign_in_id="two"))
    state.sign_out()
    assert not state.is_current(session)
    assert new_sign_in_id() != new_sign_in_id()


def test_it_remembers_nothing_it_must_not_hand_out(state, session):
    """A closed state stays closed."""
    state.close()
    state.sign_in(session, order=1, stored=True)

    assert SHUT == window(state)
    assert Status.CLOSED is state.status
