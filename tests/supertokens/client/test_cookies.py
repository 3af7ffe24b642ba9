"""Cookies, byte for byte."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from async_auth.supertokens.client.cookies import LINE_MAX, cookies_set

NOW = 1_700_000_000.0
PAST, FUTURE = "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"


def test_c19_values_stay_as_they_came():
    """Neither quotes nor percent signs are touched, nor are equals signs within."""
    lines = [
        f'sRefreshToken="ab/cd%2Bef%3D"; Expires={FUTURE}; HttpOnly; Path=/auth/session/refresh',
        "sAccessToken = a.b.c== ; Max-Age=100; Path=/",
    ]

    expected = {"sRefreshToken": '"ab/cd%2Bef%3D"', "sAccessToken": "a.b.c=="}
    assert expected == cookies_set(lines, now=NOW)


@pytest.mark.parametrize(
    "line",
    [
        "a=; Path=/",
        'a=""; Path=/',
        f"a=b; Expires={PAST}",
        "a=b; max-age=0",
        "a=b; Max-Age=-1",
        f"a=b; Max-Age=0; Expires={FUTURE}",
    ],
)
def test_a_cookie_that_has_ended_is_none(line):
    """Empty, or expired by either attribute; Max-Age wins."""
    assert {} == cookies_set([line], now=NOW)


def test_a_cookie_lives_by_its_max_age():
    """Max-Age wins over Expires the other way round too, and nonsense counts as not there."""
    lines = [
        f"a=b; Max-Age=5; Expires={PAST}",
        f"b=c; Expires={PAST}; Max-Age=5",
        "c=d; Max-Age=soon; Expires=later",
    ]

    assert {"a": "b", "b": "c", "c": "d"} == cookies_set(lines, now=NOW)


def test_the_last_of_a_name_counts():
    """As in a browser; one that clears an older cookie of that name does not."""
    assert {"a": "2"} == cookies_set(["a=1", "a=2", "a=; Domain=.old.test"], now=NOW)


@pytest.mark.parametrize(
    "age, lives",
    [("9" * 5000, True), ("0" * 5000, False), (f"-{'9' * 5000}", False), ("\u0660", True)],
)
def test_an_age_has_any_number_of_digits(age, lives):
    """More than Python converts to a number; and digits of other alphabets are nonsense."""
    assert lives == bool(cookies_set([f"a=b; Max-Age={age}"], now=NOW))


def test_a_line_that_no_browser_would_keep_is_passed_over():
    """The one beside it is read."""
    room = LINE_MAX - len("a=")

    assert {"a": "x" * room} == cookies_set([f"a={'x' * room}"], now=NOW)
    assert {"b": "y"} == cookies_set([f"a={'x' * (room + 1)}", "b=y"], now=NOW)


def test_only_blanks_and_tabs_are_around_a_value():
    """Whatever else Python calls a space belongs to it."""
    assert {"a": "\xa01\xa0"} == cookies_set(["\ta = \xa01\xa0\t; Path=/"], now=NOW)


def test_a_cookie_has_ended_at_the_second_that_it_names():
    """Not one later."""
    lines = [f"a=1; Expires={formatdate(NOW + left, usegmt=True)}" for left in (0, 1)]

    assert [{}, {"a": "1"}] == [cookies_set([line], now=NOW) for line in lines]
