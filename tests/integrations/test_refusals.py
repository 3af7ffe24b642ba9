"""Which 401s are about the token."""

from __future__ import annotations

import pytest

from async_auth.integrations.refusals import (
    BODY_MAX,
    answer_spares_token,
    declares_much,
    headers_spare_token,
)


@pytest.mark.parametrize(
    "codes,challenges,expected",
    [
        ([], [], False),
        (["bad_jwt"], [], False),
        (["bad_jwt", "insufficient_aal"], [], True),
        ([], ['Bearer realm="x", error="insufficient_scope", scope="a"'], True),
        ([], ["Basic", "Bearer error = insufficient_scope"], True),
        ([], ['Bearer error="invalid_token"'], False),
        ([], ['Bearer error_description="insufficient_scope"'], False),
    ],
)
def test_headers(codes, challenges, expected):
    """A code of the server's, or the error of a challenge, quoted or not."""
    assert expected == headers_spare_token(codes, challenges)


@pytest.mark.parametrize(
    "answer,expected",
    [
        ({"error_code": "insufficient_aal"}, True),
        ({"code": "insufficient_aal"}, True),
        ({"error": "insufficient_scope"}, True),
        ({"error": "invalid_token"}, False),
        ({"code": 401, "error": ["insufficient_scope"]}, False),
        ({"message": "insufficient_scope"}, False),
        (["insufficient_scope"], False),
        ("insufficient_scope", False),
        (None, False),
    ],
)
def test_answers(answer, expected):
    """Members of an object, if they are texts."""
    assert expected == answer_spares_token(answer)


@pytest.mark.parametrize(
    "length,expected",
    [
        ("", False),
        ("0", False),
        (str(BODY_MAX), False),
        (str(BODY_MAX + 1), True),
        ("9" * 9000, True),
        ("-1", False),
        ("\u0663" * 9, False),
        ("many", False),
    ],
)
def test_lengths(length, expected):
    """Any number of digits, and nothing but digits."""
    assert expected == declares_much(length)
