"""What a request is answered: each error's status, words and what it clears."""

from __future__ import annotations

import json

import pytest

from async_auth import (
    ConfigurationError,
    CoreUnavailable,
    InvalidClaims,
    LockTimeout,
    ProtocolError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.core.web.outgoing import Outgoing
from async_auth.supertokens.backend.answers import (
    DUPLICATES_CLEARED,
    REFRESHED,
    Answer,
    answer_to,
    signed_out,
)

BOTH = ("cookie", "header")
REASON = {"id": "x-verified", "reason": {"message": "wrong value"}}


@pytest.mark.parametrize(
    "error, status, body, clears",
    [
        (TryRefreshToken("why"), 440, {"message": "try refresh token"}, ()),
        (Unauthorised("why"), 440, {"message": "unauthorised"}, BOTH),
        (Unauthorised("why", clear_tokens=False), 440, {"message": "unauthorised"}, ()),
        (TokenTheftDetected(user_id="u"), 440, {"message": "token theft detected"}, BOTH),
        (
            InvalidClaims("why", reasons=(REASON,)),
            422,
            {"message": "invalid claim", "claimValidationErrors": [REASON]},
            (),
        ),
    ],
)
def test_each_error_has_its_answer(make_settings, error, status, body, clears):
    """The status is the operator's, the words are the official ones, the reason stays here."""
    settings = make_settings(session_expired_status_code=440, invalid_claim_status_code=422)

    assert Answer(status=status, body=body, clears=clears) == answer_to(error, settings)


@pytest.mark.parametrize(
    "error, wait",
    [
        (CoreUnavailable("down"), "5"),
        (CoreUnavailable("down", retry_after=0.0), "1"),
        (LockTimeout("busy", retry_after=2.2), "3"),
    ],
)
def test_what_may_pass_is_503_and_clears_nothing(settings, error, wait):
    """A core that is down says nothing about anybody's session."""
    answer = answer_to(error, settings)

    assert (503, ()) == (answer.status, answer.clears)
    assert wait == dict(answer.headers())["retry-after"]


@pytest.mark.parametrize("error", [ConfigurationError("option"), ProtocolError("nonsense")])
def test_what_is_no_callers_business_goes_on(settings, error):
    """A wrong option or a core that talks nonsense is the framework's 500."""
    with pytest.raises(type(error)) as caught:
        answer_to(error, settings)

    assert error is caught.value


def test_our_own_routes_have_their_answers():
    """A refresh, a sign-out, and the refresh that only takes cookies away."""
    assert (200, {}, ()) == (REFRESHED.status, REFRESHED.body, REFRESHED.clears)
    out = signed_out("cookie")
    assert (200, {"status": "OK"}, ("cookie",)) == (out.status, out.body, out.clears)
    assert (200, ["message"], ()) == (
        DUPLICATES_CLEARED.status,
        list(DUPLICATES_CLEARED.body),
        DUPLICATES_CLEARED.clears,
    )


def test_an_answer_is_json():
    """Letters are written as they are; half a surrogate pair becomes a question mark."""
    answer = Answer(status=200, body={"message": "grüße \ud800"})

    assert '{"message":"grüße ?"}'.encode() == answer.content()
    assert [("content-type", "application/json; charset=utf-8")] == answer.headers()
    assert {} == json.loads(REFRESHED.content())


@pytest.mark.parametrize(
    "clears, exposed",
    [
        ((), None),
        (("cookie",), "front-token"),
        (("header",), "st-access-token,st-refresh-token,front-token"),
        (BOTH, "front-token,st-access-token,st-refresh-token"),
    ],
)
def test_an_answer_clears_what_it_says(settings, clears, exposed):
    """One method, both or none."""
    outgoing = Outgoing()
    Answer(status=401, body={}, clears=clears).clear_in(outgoing, settings)
    headers = dict(outgoing.merged_into([]))

    assert exposed == headers.get("access-control-expose-headers")
    assert ("set-cookie" in headers) is ("cookie" in clears)
