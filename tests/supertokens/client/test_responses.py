"""What answers say about the session, the recorded ones too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from multidict import CIMultiDict

from async_auth.supertokens.client.responses import (
    CLAIMS_BODY_MAX,
    claim_validation_errors,
    read_answer,
)
from async_auth.supertokens.front_token import FrontToken

NOW = 1_700_000_000.0
FRONT = FrontToken(user_id="ada", expires_at=NOW + 60, payload={"iat": NOW}).encode()
RECORDINGS = Path(__file__).parent.parent.parent / "recordings" / "supertokens.json"


def headers_of(recording):
    """Return a recorded answer's headers."""
    found = recording["response"]["headers"]
    pairs = found.items() if isinstance(found, dict) else found
    return CIMultiDict(
        (name, value)
        for name, values in pairs
        for value in (values if isinstance(values, list) else [values])
    )


def recordings(*parts):
    """Return the recordings of an application whose names hold one of *parts*."""
    found = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    return [
        pytest.param(item, id=item["name"])
        for item in found
        if item["server"].startswith("app") and any(part in item["name"] for part in parts)
    ]


def test_an_answer_that_says_nothing():
    """Most answers say nothing, whatever other headers they have."""
    for headers in ({}, {"Date": "x"}, {"Set-Cookie": "theme=dark"}, {"front-token": "garbage"}):
        assert read_answer(CIMultiDict(headers), now=NOW) is None


def test_c03_every_header_is_read():
    """Names are case-insensitive; the last of several values counts."""
    told = read_answer(
        CIMultiDict(
            [
                ("ST-Access-Token", "old"),
                ("st-access-token", "a"),
                ("St-Refresh-Token", "r"),
                ("Front-Token", FRONT),
                ("Anti-Csrf", "c"),
                ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ]
        ),
        now=0.0,
    )

    assert ("a", "r", "c", FRONT) == (
        told.access_token,
        told.refresh_token,
        told.anti_csrf,
        told.front_token,
    )
    assert ("ada", NOW, False) == (told.front.user_id, told.date, told.removed)


def test_c03_the_last_front_token_that_can_be_read_counts():
    """Of several; what is no front token is passed over."""
    first = FrontToken(user_id="bob", expires_at=NOW, payload={}).encode()
    values = [("front-token", value) for value in (first, FRONT, "garbage")]

    assert "ada" == read_answer(CIMultiDict(values), now=NOW).front.user_id


@pytest.mark.parametrize("now", [NOW, NOW + 7200])
def test_c19_a_cookie_is_judged_by_the_clock_that_lets_it_live(now):
    """One clock may be off; a cookie that is taken away expired long ago by either."""
    headers = [
        ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("Set-Cookie", "sAccessToken=a; Expires=Tue, 14 Nov 2023 23:13:20 GMT"),
        ("Set-Cookie", "sRefreshToken=r; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
    ]

    assert {"sAccessToken": "a"} == read_answer(CIMultiDict(headers), now=now).cookies


@pytest.mark.parametrize(
    "headers",
    [
        [("front-token", "remove")],
        [("front-token", FRONT), ("front-token", "remove")],
        [("front-token", "remove"), ("front-token", FRONT)],
        [("front-token", "remove"), ("Set-Cookie", "sAccessToken=new")],
        [("st-access-token", ""), ("st-refresh-token", "")],
    ],
)
def test_c03_remove_is_obeyed_whatever_else_is_there(headers):
    """A session is over by the front token, or by two empty tokens, whichever got through."""
    assert read_answer(CIMultiDict(headers), now=NOW).removed


@pytest.mark.parametrize(
    "headers",
    [
        [("st-access-token", "")],
        [("st-access-token", ""), ("st-refresh-token", "r")],
        [("st-access-token", ""), ("st-refresh-token", ""), ("front-token", FRONT)],
    ],
)
def test_c03_one_empty_token_ends_no_session(headers):
    """One of the two that is cleared is cleared, and no more."""
    told = read_answer(CIMultiDict(headers), now=NOW)

    assert (False, "") == (told.removed, told.access_token)


@pytest.mark.parametrize("recording", recordings("signout directly", "header signout", "= theft"))
def test_c03_recorded_ends_of_sessions(recording):
    """What real back ends send at the end of a session is read as that, if it says so at all."""
    told = read_answer(headers_of(recording), now=NOW)
    says_so = "remove" in headers_of(recording).getall("front-token", ())

    assert says_so == (told is not None and told.removed)


@pytest.mark.parametrize("recording", recordings("login", "fdi header refresh r1->r2"))
def test_c03_recorded_beginnings_of_sessions(recording):
    """What real back ends send with a session is read whole, in either method."""
    told = read_answer(headers_of(recording), now=NOW)

    assert told.front is not None
    assert not told.removed
    assert told.refresh_token or {"sAccessToken", "sRefreshToken"} == set(told.cookies)


@pytest.mark.parametrize("recording", recordings("needs-claim 403"))
def test_c09_recorded_refusals_for_a_claim(recording):
    """The validator and its reason are found in what a real back end answers."""
    body = json.dumps(recording["response"]["json"]).encode()

    (error,) = claim_validation_errors(body)
    assert "value does not exist" == error["reason"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b'{"claimValidationErrors": {}}',
        b'{"claimValidationErrors": []}' + b" " * CLAIMS_BODY_MAX,
    ],
)
def test_c09_other_refusals_are_not_about_claims(body):
    """What has no list of claims in it, or is far too long, is about something else."""
    assert claim_validation_errors(body) is None


def test_c09_what_is_no_error_in_the_list_is_passed_over():
    """Only objects are errors."""
    body = b'{"claimValidationErrors": [1, {"id": "x"}]}'

    assert ({"id": "x"},) == claim_validation_errors(body)


@pytest.mark.parametrize("value", ["\u00e9", "a\r\nX-Evil: 1", "a\x00", "\udc80", "\u202e", "a\tb"])
@pytest.mark.parametrize("name", ["st-access-token", "st-refresh-token", "anti-csrf"])
def test_what_no_header_can_carry_is_no_token(name, value):
    """It would be sent back in a header; what cannot be read counts as not said."""
    assert None is read_answer(CIMultiDict({name: value}), now=NOW)
