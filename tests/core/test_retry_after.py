"""core/retry_after.py: when to come back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.retry_after import parse_http_date, parse_retry_after

SUNDAY = 784111777.0  # RFC 9110's own example


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "  Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 09:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_all_three_forms_of_date(text: str) -> None:
    """The three forms of RFC 9110 section 5.6.7 are the same moment."""
    assert SUNDAY == parse_http_date(text)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this machine nine hours ahead of GMT."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    "text",
    ["Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT", "6 Nov 1994 08:49:37 -0000"],
)
def test_dates_are_in_gmt_wherever_we_are(text: str, tokyo: None) -> None:
    """A date that names no zone is GMT as well, not this machine's time."""
    assert SUNDAY == parse_http_date(text)


@pytest.mark.parametrize("text", [None, "", "soon", "Sun, 99 Foo 1994 08:49:37 GMT", "1", "()"])
def test_what_is_no_date_is_none(text: str | None) -> None:
    """A date that cannot be read is None."""
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    "value, expected",
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("9" * 5000, 1e10),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        (None, None),
    ],
)
def test_digits(value: str | None, expected: float | None) -> None:
    """Digits are seconds; what is neither digits nor a date is None."""
    assert expected == parse_retry_after(value)


def test_a_date_counts_from_the_servers_own_clock() -> None:
    """With a Date the wait is the difference of the two, whatever our clock shows."""
    value, date = "Sun, 06 Nov 1994 08:50:07 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"
    assert 30.0 == parse_retry_after(value, date=date, now=5.0)


def test_a_date_counts_from_now_without_a_date() -> None:
    """Without a readable Date our own clock is used; without either nothing is known."""
    value = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert 7.0 == parse_retry_after(value, now=SUNDAY - 7)
    assert 7.0 == parse_retry_after(value, date="?", now=SUNDAY - 7)
    assert parse_retry_after(value) is None


def test_a_date_that_has_passed_is_no_wait() -> None:
    """A date in the past is zero seconds, not less."""
    assert 0.0 == parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now=SUNDAY + 9)


@given(st.text(), st.text())
def test_no_text_raises(value: str, date: str) -> None:
    """Whatever the headers hold, the result is no exception and never less than zero."""
    found = parse_retry_after(value, date=date, now=0.0)
    assert found is None or found >= 0
