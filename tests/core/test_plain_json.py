"""core/plain_json.py: JSON from strangers."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_auth.core.plain_json import MAX_DEPTH, number, plain, read_json


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe\xfa", b"\x80abc", "]"])
def test_what_is_no_json_is_a_value_error(body: bytes | str) -> None:
    """Whatever cannot be read is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - its text is the standard library's
        read_json(body)


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_deep_nesting_is_a_value_error(open_: str, close: str, depth: int, kind: object) -> None:
    """Nesting beyond the limit is refused, even where the parser itself gives up."""
    with pytest.raises(ValueError, match="deep"):
        read_json(kind(open_ * depth + "1" + close * depth))  # type: ignore[operator]  # both take a str


def test_the_deepest_allowed_nesting_is_read() -> None:
    """The limit itself is allowed, and width is no depth."""
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert deep == json.dumps(read_json(deep))
    beside = f"[[], {deep[1:-1]}]"
    assert beside == json.dumps(read_json(beside))
    assert [[]] * 1000 == read_json(json.dumps([[]] * 1000))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_lacks_are_none(text: str) -> None:
    """A number that is not finite becomes None and costs nothing beside it."""
    assert {"a": None, "b": 1} == read_json(f'{{"a": {text}, "b": 1}}'.encode())


def test_any_unicode_encoding_is_read() -> None:
    """UTF-8 with and without a mark, UTF-16 and UTF-32 are all JSON."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert {"é": [1]} == read_json('{"é": [1]}'.encode(encoding))


@given(st.binary())
@example(b"\x00[")
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """Whatever the bytes, the result is a plain value or a ValueError."""
    try:
        value = read_json(body)
    except ValueError:
        return
    assert value == plain(value)


@pytest.mark.parametrize(
    "value, expected",
    [
        (1, 1.0),
        (0.5, 0.5),
        (-3, -3.0),
        (True, None),
        ("3600", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ([1], None),
    ],
)
def test_number(value: object, expected: float | None) -> None:
    """Only finite numbers are numbers: no text, no booleans."""
    assert expected == number(value)


def test_plain_refuses_what_json_cannot_say() -> None:
    """An object of a foreign class is a TypeError, not silently something else."""
    with pytest.raises(TypeError):
        plain({"a": object()})


def test_plain_is_a_copy_of_jsons_own_types() -> None:
    """Other kinds of the same become lists and dicts of their own; the rest is as it was."""
    inner = {"b": 1.5}
    copy = plain({"a": (inner, None, True)})
    assert {"a": [{"b": 1.5}, None, True]} == copy
    assert copy["a"][0] is not inner


def test_numbers_are_read_as_they_stand() -> None:
    """Fractions too, and whole numbers up to hundreds of digits."""
    assert [1.5, int("9" * 400), None] == read_json(f"[1.5, {'9' * 400}, {'9' * 401}]")


def test_a_whole_number_too_long_for_python_costs_only_itself():
    """Python refuses to convert thousands of digits; the members beside them are read."""
    assert {"huge": None, "token": "x"} == read_json(
        b'{"huge": ' + b"9" * 9999 + b', "token": "x"}'
    )
