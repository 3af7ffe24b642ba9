"""A Cookie header of several sources."""

from __future__ import annotations

import pytest

from async_auth.core.cookie_header import with_cookies


@pytest.mark.parametrize(
    "header, expected",
    [
        (None, 'sAccessToken="x%2F"'),
        ("theme=dark; x", 'theme=dark; x; sAccessToken="x%2F"'),
        ("sAccessToken=old;theme=dark;sRefreshToken=r", 'theme=dark; sAccessToken="x%2F"'),
        ("sAccessToken=old=er; \t;\tX;", 'X; sAccessToken="x%2F"'),
        # Only blanks and tabs are around a cookie, whatever else Python calls a space.
        ("\xa0;\xa0sAccessToken=X", '\xa0; \xa0sAccessToken=X; sAccessToken="x%2F"'),
        ("XsAccessToken=1", 'XsAccessToken=1; sAccessToken="x%2F"'),
    ],
)
def test_c19_cookies_are_added_to_those_of_others(header, expected):
    """Ours replace older ones of ours; others' stay as they stand."""
    found = with_cookies(
        header, {"sAccessToken": '"x%2F"'}, without=("sAccessToken", "sRefreshToken")
    )

    assert expected == found
