"""Signed texts: only what was signed, for what it was signed, by secrets that are still known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import ConfigurationError
from async_auth.web_sessions.signing import MAX_LENGTH, Signer

OLD, NEW = b"\x01" * 32, bytes(range(32))


def signer(*secrets, context="web"):
    """Return a signer; the first of its secrets signs."""
    return Signer(secrets or (NEW,), context=context)


@given(st.binary(max_size=64), st.text(max_size=20), st.binary(max_size=30))
def test_what_was_signed_can_be_read(payload, purpose, bound):
    """For its purpose, with what it belongs to, and in plain characters only."""
    text = signer().sign(purpose, payload, bound=bound)

    opened = signer().read(purpose, text, bound=bound)

    assert (payload, True) == (opened.payload, opened.newest)
    assert text.replace("-", "").replace("_", "").isalnum()


def test_every_changed_character_is_noticed():
    """There is no place where a text can be changed, and no other spelling of it."""
    text = signer().sign("session", b"payload of some bytes")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n\t%"

    read = [
        signer().read("session", text[:place] + other + text[place + 1 :])
        for place in range(len(text))
        for other in alphabet
        if other != text[place]
    ]

    assert {None} == set(read)


def test_every_flipped_bit_is_noticed():
    """Whatever bit of whatever byte it is: version, key id, signature, payload."""
    from async_auth.core.jwt import base64url

    data = base64url.decode(signer().sign("session", b"payload"))
    flipped = [
        data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]

    assert {None} == {signer().read("session", base64url.encode(one)) for one in flipped}


def test_what_is_cut_off_or_longer_is_none():
    """Neither a part of a text is one, nor what goes on after it."""
    text = signer().sign("session", b"payload")

    parts = [text[:end] for end in range(len(text))] + [text[1:], text + "A", text * 2]

    assert {None} == {signer().read("session", part) for part in parts}


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_anything_can_be_read(text):
    """What was made up is none, and never an error."""
    assert signer().read("session", text) is None


def test_a_long_text_is_not_looked_at():
    """However well it begins."""
    assert signer().read("session", signer().sign("session", bytes(MAX_LENGTH))) is None


@pytest.mark.parametrize(
    "other",
    [
        signer(OLD).sign("session", b"x"),
        signer(context="admin").sign("session", b"x"),
        signer().sign("sign-in", b"x"),
        signer().sign("session", b"x", bound=b"somebody"),
        signer().sign("sessio", b"x", bound=b"n"),
    ],
)
def test_a_text_for_something_else_is_none(other):
    """Another secret, another application, another purpose, another owner."""
    assert signer().read("session", other) is None


def test_a_signature_of_another_text_is_none():
    """Two good texts make no third one."""
    from async_auth.core.jwt import base64url

    mine, theirs = (
        base64url.decode(signer().sign("session", payload)) for payload in (b"mine", b"them")
    )

    assert signer().read("session", base64url.encode(mine[:37] + theirs[37:])) is None


def test_secrets_are_replaced_one_after_the_other():
    """What the older one has signed is good until that is left away, and known to be old."""
    text = signer(OLD).sign("session", b"x")

    both, new = signer(NEW, OLD).read("session", text), signer(NEW).read("session", text)

    assert (b"x", False) == (both.payload, both.newest)
    assert new is None
    assert signer(OLD, NEW).read("session", text).newest


def test_secrets_are_bytes_or_text():
    """A text stands for its UTF-8; a single secret needs no list."""
    text = "0123456789abcdef" * 2

    assert Signer(text, context="").read(
        "session", Signer([text.encode()], context="").sign("session", b"")
    )


@pytest.mark.parametrize(
    "secrets, word",
    [
        ([], "at least one"),
        (["x" * 31], "has 31"),
        ("short", "has 5"),
        ([NEW, b"short"], "has 5"),
        (None, "bytes or text"),
        ([None], "bytes or text"),
    ],
)
def test_secrets_that_are_none(secrets, word):
    """They are refused without being repeated."""
    with pytest.raises(ConfigurationError, match=word) as caught:
        Signer(secrets, context="")

    assert "short" not in str(caught.value)


def test_no_secret_is_shown():
    """Neither by the signer nor by what it keeps."""
    secret = "very-secret-indeed-very-secret-indeed"

    shown = repr(Signer([secret], context=""))
    shown += repr(
        Signer([secret], context="").read("p", Signer(secret, context="").sign("p", b"pay"))
    )

    assert "secret-indeed" not in shown
    assert "pay" not in shown.replace("payload", "")
