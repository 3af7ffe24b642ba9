"""webauthn/cbor.py: the examples of RFC 8949, appendix A, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.testing.webauthn import cbor

EXAMPLES = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (-1, "20"),
    (-100, "3863"),
    (b"\1\2\3\4", "4401020304"),
    ("IETF", "6449455446"),
    ("\u00fc", "62c3bc"),
    ([1, [2, 3]], "82018202 03".replace(" ", "")),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]

VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("value, written", EXAMPLES)
def test_values_are_written_as_the_rfc_has_them(value, written):
    """And read back."""
    assert written == cbor.encode(value).hex()
    assert value == cbor.decode(bytes.fromhex(written))


@given(VALUES)
def test_what_is_written_is_read_back(value):
    """At any depth that is written in practice."""
    assert value == cbor.decode(cbor.encode(value))


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data):
    """Nothing but ValueError comes of them."""
    try:
        cbor.decode(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "written",
    [
        "",  # nothing
        "0000",  # two values
        "18",  # a head that is cut
        "4401",  # bytes that are cut
        "62c328",  # no UTF-8
        "5f42010243030405ff",  # an indefinite length
        "f5",  # true
        "f93c00",  # a float
        "a10102a1",  # something behind a map
        "a201020103",  # a key that is twice there
        "a1800102",  # a list as a key
        "81" * 20 + "00",  # too deep
    ],
)
def test_what_webauthn_does_not_use_is_refused(written):
    """Each by a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - it is all that this module raises
        cbor.decode(bytes.fromhex(written))


@pytest.mark.parametrize("value", [True, None, 1.5, 2**64])
def test_other_values_are_not_written(value):
    """They are the caller's mistake."""
    with pytest.raises(TypeError, match=r"cbor\.encode"):
        cbor.encode(value)
