"""The file form of records: tolerant of more, intolerant of less."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.errors import StoreError
from async_auth.ports import RECORD_VERSION, Record
from async_auth.stores.record_json import (
    GENERATION_MAX,
    MEMBERS,
    UnreadableRecord,
    dump_record,
    parse_record,
)

SECRET = "hush-hush"
GOOD = {"version": 1, "generation": 2, "sign_in_id": "s", "session": {"access_token": SECRET}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


@given(
    st.builds(
        Record,
        generation=st.integers(min_value=0, max_value=GENERATION_MAX),
        sign_in_id=st.text(),
        session=OBJECTS,
        version=st.integers(),
        extra=OBJECTS.map(lambda extra: {k: v for k, v in extra.items() if k not in MEMBERS}),
    )
)
def test_round_trip(record):
    """Every record comes back equal."""
    assert record == parse_record(dump_record(record))


def test_the_form():
    """The file is a JSON object with a version, for others to read."""
    record = Record(generation=2, sign_in_id="s", session={"a": [1]}, extra={"new": True})

    assert {
        "version": RECORD_VERSION,
        "generation": 2,
        "sign_in_id": "s",
        "session": {"a": [1]},
        "new": True,
    } == json.loads(dump_record(record))


def test_unknown_members_do_not_hide_known_ones():
    """An extra member with the name of a known one is not written."""
    record = Record(generation=2, sign_in_id="s", session={}, extra={"generation": 99, "x": 1})

    loaded = parse_record(dump_record(record))

    assert (2, {"x": 1}) == (loaded.generation, loaded.extra)


def test_a_number_with_too_many_digits_is_refused():
    """What Python will not write as decimal digits is a StoreError that does not quote it."""
    with pytest.raises(StoreError, match="ValueError"):
        dump_record(Record(generation=1, sign_in_id="s", session={"n": 10**5000}))


def test_a_newer_version_is_read():
    """A record of a later release is read like ours, and keeps its version and its members."""
    content = json.dumps({**GOOD, "version": 9, "fence": {"epoch": 3}}).encode()

    loaded = parse_record(content)

    assert (9, 2, {"fence": {"epoch": 3}}) == (loaded.version, loaded.generation, loaded.extra)


def test_without_a_version_it_is_the_first():
    """A record that does not say its version is read."""
    content = json.dumps({k: v for k, v in GOOD.items() if k != "version"}).encode()

    assert 1 == parse_record(content).version


BAD = {
    "empty": b"",
    "blank": b" \n",
    "truncated": json.dumps(GOOD).encode()[:-4],
    "zeros": b"\0" * 64,
    "not UTF-8": b'{"\xff\xfe": 1}',
    "HTML": b"<html>" + SECRET.encode(),
    "two objects": json.dumps(GOOD).encode() * 2,
    "nested without end": b"[" * 200_000,
    "a number with too many digits": b'{"generation": ' + b"9" * 10_000 + b"}",
    "a list": b"[]",
    "a string": json.dumps(SECRET).encode(),
    "null": b"null",
    "no members": b"{}",
    **{
        f"no {name}": json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()
        for name in ("generation", "sign_in_id", "session")
    },
    **{
        f"{name} {value!r}": json.dumps({**GOOD, name: value}).encode()
        for name, value in [
            ("version", "1"),
            ("generation", SECRET),
            ("generation", "2"),
            ("generation", 2.0),
            ("generation", True),
            ("generation", None),
            ("sign_in_id", 7),
            ("sign_in_id", None),
            ("session", []),
            ("session", SECRET),
            ("session", None),
        ]
    },
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_record_is_unreadable(content):
    """Damage is one error, which says why and carries nothing of the content."""
    with pytest.raises(UnreadableRecord) as caught:
        parse_record(content)

    assert str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_unreadable(content):
    """No bytes raise anything else."""
    with contextlib.suppress(UnreadableRecord):
        parse_record(content)
