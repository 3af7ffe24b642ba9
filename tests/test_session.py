"""Sessions and access tokens: data that is safe to print."""

from __future__ import annotations

import copy
import hashlib
import pickle

import attrs
import pytest

from async_auth import AccessToken, Session, Status
from async_auth.session import fingerprint


@pytest.fixture
def session():
    """Return a session with every field set."""
    return Session(
        access_token="secret-access",
        refresh_token="secret-refresh",
        expires_at=4600.0,
        issued_at=1000.0,
        token_type="bearer",
        user={"id": "u1", "email": "ada@example.com"},
        scopes=["read", "write"],
        refresh_expires_at=9000.0,
        generation=3,
        sign_in_id="first",
        extra={"expires_in": 3600, "provider_token": "secret-provider"},
    )


def test_a_session_is_frozen(session):
    """Nobody changes the session that others hold."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        session.access_token = "other"


def test_only_the_access_token_is_required():
    """Everything else has the value that says nothing."""
    session = Session(access_token="a")

    assert (None, None, None, "bearer", None, (), None, 1, "", {}) == (
        session.refresh_token,
        session.expires_at,
        session.issued_at,
        session.token_type,
        session.user,
        session.scopes,
        session.refresh_expires_at,
        session.generation,
        session.sign_in_id,
        session.extra,
    )


def test_every_argument_is_named():
    """A token cannot land in the wrong place."""
    with pytest.raises(TypeError):
        Session("a", "b")


@pytest.mark.parametrize("show", [repr, str, format, "{}".format, "%s".__mod__, ascii])
def test_printing_a_session_shows_fingerprints(session, show):
    """Tokens can be told apart, and not be read."""
    text = show(session)

    assert "secret" not in text
    assert "ada@example.com" not in text
    assert fingerprint("secret-access") in text
    assert fingerprint("secret-refresh") in text
    assert "user=<dict u1>" in text
    assert "generation=3" in text


def test_a_session_without_a_refresh_token_says_so():
    """`None` is not a secret."""
    assert "refresh_token=None" in repr(Session(access_token="a"))


def test_a_session_is_data(session):
    """`asdict`, pickling and copying keep every value, the secret ones as well."""
    assert "secret-access" == attrs.asdict(session)["access_token"]
    assert "secret-provider" == attrs.asdict(session)["extra"]["provider_token"]
    assert session == Session(**attrs.asdict(session))
    assert session == pickle.loads(pickle.dumps(session))  # noqa: S301 - our own bytes
    assert session == copy.deepcopy(session)
    assert "secret-refresh" == pickle.loads(pickle.dumps(session)).refresh_token  # noqa: S301


def test_lifetime_needs_both_ends():
    """The life of a token is from its issue to its expiry."""
    assert 3600.0 == Session(access_token="a", expires_at=4600.0, issued_at=1000.0).lifetime
    assert None is Session(access_token="a", expires_at=4600.0).lifetime
    assert None is Session(access_token="a", issued_at=1000.0).lifetime


def test_expires_in_is_what_the_server_stated(session):
    """As auth-js names it: the stated life, else the one that we know."""
    assert 3600 == session.expires_in
    assert 3600.0 == attrs.evolve(session, extra={}).expires_in
    assert 3600.0 == attrs.evolve(session, extra={"expires_in": "soon"}).expires_in
    assert None is Session(access_token="a").expires_in


def test_scopes_become_a_tuple():
    """Any iterable of words will do."""
    assert ("a", "b") == Session(access_token="t", scopes=iter(["a", "b"])).scopes


def test_an_access_token_brings_its_header():
    """RFC 6750 writes the scheme `Bearer`; other types are written as they came."""
    assert "Bearer abc" == AccessToken(value="abc").header
    assert "Bearer abc" == AccessToken(value="abc", token_type="BEARER").header
    assert "DPoP abc" == AccessToken(value="abc", token_type="DPoP").header


@pytest.mark.parametrize("show", [repr, str, format, "{}".format, "%s".__mod__])
def test_printing_an_access_token_shows_a_fingerprint(show):
    """Neither the value nor the header that holds it."""
    text = show(AccessToken(value="secret-access", generation=4))

    assert "secret" not in text
    assert fingerprint("secret-access") in text
    assert "generation=4" in text


def test_an_access_token_is_data():
    """It can be compared, kept in sets, and pickled."""
    token = AccessToken(value="secret", expires_at=1.0, generation=2)

    assert token == AccessToken(value="secret", expires_at=1.0, generation=2)
    assert 1 == len({token, copy.copy(token)})
    assert token.header == pickle.loads(pickle.dumps(token)).header  # noqa: S301 - our own bytes


def test_a_fingerprint_is_eight_hex_digits_of_sha256():
    """Short enough to read out, long enough to tell tokens apart."""
    assert f"<{hashlib.sha256(b'abc').hexdigest()[:8]}>" == fingerprint("abc")
    assert "None" == fingerprint(None)
    assert fingerprint("\ud800") != fingerprint("")


def test_the_statuses():
    """Six words, each its own value in lower case."""
    assert ["SIGNED_OUT", "FRESH", "DUE", "EXPIRED", "REJECTED", "CLOSED"] == [
        status.name for status in Status
    ]
    assert all(status.value == status.name.lower() for status in Status)


@pytest.mark.parametrize(
    "identity, shown",
    [
        ("u1", "<dict u1>"),
        (7, "<dict 7>"),
        (None, "<dict None>"),
        ({"token": "hush"}, "<dict ?>"),
        (["hush"], "<dict ?>"),
        ("u1\nWARNING all is lost\x1b[2J", r"<dict 'u1\nWARNING all is lost\x1b[2J'>"),
        ("x" * 5000, f"<dict {'x' * 64}>"),
    ],
)
def test_a_user_is_a_word_in_a_repr(identity, shown):
    """Whatever a server or a record has for an id: one line, not long, and no object."""
    session = Session(access_token="a", refresh_token="r", user={"id": identity})

    assert f"user={shown}," in repr(session)
