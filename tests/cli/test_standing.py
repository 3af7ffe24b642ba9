"""How a session stands: what is read off it, and when somebody has to sign in."""

from __future__ import annotations

import pytest

from async_auth.cli.standing import standing_of, user_of
from async_auth.gotrue import User
from async_auth.session import Session, Status


def session(**changes):
    """Return a session of an hour that began at 0."""
    facts = {"refresh_token": "r", "issued_at": 0.0, "expires_at": 3600.0, "generation": 2}
    return Session(**{"access_token": "a", **facts, **changes})


def test_a_session():
    """What is left, and when it is due."""
    stands = standing_of(session(user={"id": "ada"}), Status.FRESH, now=600.0)

    assert ("ada", 2, 3000.0, 3600.0) == (
        stands.user,
        stands.generation,
        stands.left,
        stands.life,
    )
    assert (10.0, 3590.0, True) == (stands.margin, stands.due_at, stands.signed_in)


def test_no_session():
    """Then there is nothing to tell."""
    stands = standing_of(None, Status.SIGNED_OUT, now=0.0)

    assert (False, 0, None, False) == (
        stands.signed_in,
        stands.generation,
        stands.left,
        stands.refreshable,
    )


@pytest.mark.parametrize(
    "changes, status, expected",
    [
        ({}, Status.DUE, True),
        ({}, Status.EXPIRED, True),
        ({"refresh_token": None}, Status.FRESH, True),
        ({"refresh_token": None}, Status.EXPIRED, False),
    ],
)
def test_whether_somebody_has_to_sign_in(changes, status, expected):
    """Not while there is a refresh token."""
    assert expected == standing_of(session(**changes), status, now=0.0).signed_in


def test_a_token_whose_end_nobody_knows():
    """It is not due at any time."""
    stands = standing_of(session(expires_at=None), Status.FRESH, now=9e9)

    assert (None, None, None) == (stands.left, stands.due_at, stands.expires_at)


def test_the_facts_are_plain():
    """They go into JSON, and hold no token."""
    facts = standing_of(session(access_token="hush", refresh_token="hush"), Status.DUE, now=0.0)

    assert "due" == facts.facts()["status"]
    assert "hush" not in str(facts.facts())


@pytest.mark.parametrize(
    "user, expected",
    [
        (User(id="1", email="ada@example.com", phone="49"), "ada@example.com"),
        (User(id="1", email="", phone="49"), "49"),
        (User(id="1"), "1"),
        ({"id": "st-1"}, "st-1"),
        ({"id": "\x1b]0;x\x07\u202e\r\ud800"}, "\ufffd]0;x\ufffd\ufffd\ufffd\ufffd"),
        ({"id": "x" * 9000}, "x" * 256),
        ({}, None),
        (None, None),
    ],
)
def test_who_it_is(user, expected):
    """Whatever tells people most."""
    assert expected == user_of(session(user=user))
