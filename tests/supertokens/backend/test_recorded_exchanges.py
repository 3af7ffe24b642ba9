"""What SuperTokens' own back end answered, and ours at this level: the same, to the letter.

Wanted differences: names to expose come once; a cookie that is set and then cleared in one
answer is only cleared; a core that is down is 503, where the official back end answers 500.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_auth import (
    CoreUnavailable,
    InvalidClaims,
    InvalidToken,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.core.jwt import peek
from async_auth.core.web.cookie_values import decode_value
from async_auth.core.web.incoming import Incoming
from async_auth.core.web.outgoing import Outgoing
from async_auth.supertokens.backend import anti_csrf
from async_auth.supertokens.backend.answers import REFRESHED, answer_to, signed_out
from async_auth.supertokens.backend.attach import ACCESS_COOKIE_LIFE, SessionTokens, attach
from async_auth.supertokens.backend.transfer import (
    access_token_of,
    creation_method,
    refresh_token_of,
)
from async_auth.supertokens.front_token import FrontToken

RECORDINGS = Path(__file__).parents[2] / "recordings" / "supertokens.json"
#: What each of the recorded applications was set to.
OPTIONS = {
    "app:3001": {"anti_csrf": "VIA_TOKEN"},
    "app:3002": {"anti_csrf": "VIA_CUSTOM_HEADER"},
    "app:3003": {"anti_csrf": "NONE"},
    "app:3004": {},
    "app:3005": {
        "anti_csrf": "VIA_TOKEN",
        "expose_access_token_to_frontend_in_cookie_based_auth": True,
    },
    "app:3006": {},
}
EXCHANGES = {
    exchange["name"]: exchange
    for exchange in json.loads(RECORDINGS.read_text(encoding="utf-8"))
    if exchange["server"] in OPTIONS
}
SIGN_IN, REFRESH, SIGN_OUT = "/login", "/auth/session/refresh", "/auth/signout"
#: Refused by the core, or by the token's signature and expiry: nothing that is decided here.
ELSEWHERE = {
    "fdi header protected bad signature",
    "fdi expired access token header",
    "fdi expired access token cookie",
    "fdi expired access token optional route",
    "fdi expired access token signout",
    "fdi header access token after theft, database check",
}
#: Refreshes that the core refuses.
OF_THE_CORE = {
    "fdi header refresh r1 after a2 used = theft",
    "fdi header refresh garbage",
    "fdi header refresh using an access token as bearer",
    "fdi header refresh after signout",
    "fdi cookie(VIA_TOKEN) refresh without anti-csrf",
    "fdi cookie(VIA_TOKEN) theft",
    "fdi cookie(NONE) refresh after signout",
    "fdi3 core down: refresh",
}
MESSAGES = {
    "try refresh token": TryRefreshToken(),
    "token theft detected": TokenTheftDetected(),
    "invalid claim": InvalidClaims(),
}


def those(wanted):
    """Give a test the recorded exchanges that a predicate of path and answer wants."""
    names = [
        name
        for name, exchange in EXCHANGES.items()
        if wanted(exchange["request"], exchange["response"])
    ]
    assert names
    return pytest.mark.parametrize("recorded", names, indirect=True)


@pytest.fixture
def recorded(request, make_settings):
    """Return an exchange as values: the settings, the request, the answer."""
    exchange = EXCHANGES[request.param]
    asked, answer = exchange["request"], exchange["response"]
    headers = dict(answer["headers"])
    return SimpleNamespace(
        name=request.param,
        settings=make_settings(**OPTIONS[exchange["server"]]),
        incoming=Incoming.of(asked["method"], asked["path"], asked["headers"]),
        status=answer["status"],
        json=answer["json"],
        cookies=headers.pop("set-cookie", []),
        headers=headers,
    )


def read(token):
    """Take an access token apart, or say that it is none."""
    try:
        peeked = peek(token)
    except InvalidToken:
        return None
    return peeked.claims if "version" in peeked.header else None


def front_token_in(answer):
    """Return the front token of an answer, if there is one."""
    return answer["headers"].get("front-token")


def values_and_expiries(recorded):
    """Return the value and the expiry of each cookie that an answer set, by its name."""
    found = {}
    for line in recorded.cookies:
        first, *attributes = line.split("; ")
        name, _, value = first.partition("=")
        expires = next(text for text in attributes if text.startswith("expires="))
        at = parsedate_to_datetime(expires.removeprefix("expires=")).timestamp()
        found.setdefault(name, (decode_value(value), at))
    return found


def tokens_of(recorded):
    """Return the tokens that an answer carried, and when it was made."""
    cookies = values_and_expiries(recorded)
    # What the answer was made of has parts of a second; what is written is rounded up.
    access, expires_at = cookies.get("sAccessToken", (None, 0.0))
    access = access or recorded.headers["st-access-token"]
    refresh, refresh_expires_at = cookies.get(
        "sRefreshToken", (recorded.headers.get("st-refresh-token"), 0.0)
    )
    claims = peek(access).claims
    front = FrontToken(user_id=claims["sub"], expires_at=claims["exp"], payload=claims)
    tokens = SessionTokens(
        access_token=access,
        front_token=front.encode(),
        refresh_token=refresh,
        refresh_expires_at=refresh_expires_at - 0.5,
        anti_csrf=claims["antiCsrfToken"],
    )
    return tokens, expires_at - 0.5 - ACCESS_COOKIE_LIFE


def told(outgoing, headers=()):
    """Return the headers and the cookies that a response gets."""
    pairs = outgoing.merged_into(headers)
    return (
        {name: value for name, value in pairs if name != "set-cookie"},
        [value for name, value in pairs if name == "set-cookie"],
    )


def expected_of(recorded, *, content_type=False):
    """Return the recorded headers and cookies, with the wanted differences made."""
    headers = dict(recorded.headers)
    if not content_type:
        headers.pop("content-type")
    if names := headers.get("access-control-expose-headers"):
        headers["access-control-expose-headers"] = ",".join(dict.fromkeys(names.split(",")))
    last = {line.partition("=")[0]: line for line in recorded.cookies}
    return headers, list(last.values())


def method_of(recorded):
    """Return how the answer to a request travels."""
    incoming, settings = recorded.incoming, recorded.settings
    if incoming.path == SIGN_IN:
        return creation_method(incoming, settings)
    if incoming.path == REFRESH:
        return refresh_token_of(incoming, settings).method
    return access_token_of(incoming, settings, read).method


@those(lambda _, answer: front_token_in(answer) not in (None, "remove"))
def test_tokens_are_attached_as_recorded(recorded):
    """Every answer that carries tokens is made of them by the method of its request."""
    tokens, now = tokens_of(recorded)
    outgoing, incoming, settings = Outgoing(), recorded.incoming, recorded.settings
    method = method_of(recorded)
    if incoming.path not in (SIGN_IN, REFRESH):
        said = anti_csrf.echo(incoming, settings, method, tokens.anti_csrf)
        assert said == recorded.headers.get("anti-csrf")
        tokens = SessionTokens(
            access_token=tokens.access_token, front_token=tokens.front_token, anti_csrf=said
        )

    attach(outgoing, settings, method, tokens, now=now)

    assert expected_of(recorded) == told(outgoing)


@those(lambda _, answer: answer["status"] == 200 and front_token_in(answer) == "remove")
def test_sign_outs_and_revocations_clear_as_recorded(recorded):
    """Their own method only, and what the same request had swapped is not set first."""
    outgoing = Outgoing()
    found = access_token_of(recorded.incoming, recorded.settings, read)
    if found.info["parentRefreshTokenHash1"] is not None:
        swapped = SessionTokens(access_token="swapped", front_token="swapped")
        attach(outgoing, recorded.settings, found.method, swapped, now=0.0)

    answer = signed_out(found.method)
    answer.clear_in(outgoing, recorded.settings)

    assert (200, recorded.json) == (answer.status, answer.body)
    assert expected_of(recorded) == told(outgoing)


@those(lambda _, answer: isinstance(answer["json"], dict) and "message" in answer["json"])
def test_refusals_are_answered_as_recorded(recorded):
    """Status, body, what is cleared and how: to the letter."""
    clears = recorded.headers.get("front-token") == "remove"
    error = MESSAGES.get(recorded.json["message"], Unauthorised(clear_tokens=clears))
    if isinstance(error, InvalidClaims):
        error = InvalidClaims(reasons=tuple(recorded.json["claimValidationErrors"]))

    answer = answer_to(error, recorded.settings)
    outgoing = Outgoing()
    answer.clear_in(outgoing, recorded.settings)

    assert (recorded.status, recorded.json) == (answer.status, answer.body)
    assert expected_of(recorded, content_type=True) == told(outgoing, answer.headers())


@those(lambda _, answer: answer["status"] == 500)
def test_a_core_that_is_down_is_another_status(recorded):
    """The official back end says 500: a wanted difference."""
    assert 503 == answer_to(CoreUnavailable(), recorded.settings).status


@those(lambda asked, _: asked["path"] not in (SIGN_IN, REFRESH))
def test_requests_for_a_session_are_decided_as_recorded(recorded):
    """What the request alone decides is decided as the official back end decided it."""
    incoming, settings = recorded.incoming, recorded.settings
    error = found = None
    try:
        found = access_token_of(incoming, settings, read)
        if found is not None:
            claim = found.info["antiCsrfToken"]
            anti_csrf.check(incoming, settings, found.method, claim)
    except TryRefreshToken as refused:
        error = refused

    if recorded.status == 401 and recorded.name not in ELSEWHERE:
        message = "unauthorised" if error is None else "try refresh token"
        assert {"message": message} == recorded.json
        assert found is None or error is not None
    else:
        assert error is None


@those(lambda asked, _: (asked["method"], asked["path"]) == ("POST", REFRESH))
def test_requests_for_a_refresh_are_decided_as_recorded(recorded):
    """Without a token, or without the header that proves the page: refused here, and cleared."""
    error = None
    try:
        found = refresh_token_of(recorded.incoming, recorded.settings)
        anti_csrf.check_refresh(recorded.incoming, recorded.settings, found.method)
    except Unauthorised as refused:
        error = refused

    if error is not None:
        answer = answer_to(error, recorded.settings)
        assert (recorded.status, recorded.json) == (answer.status, answer.body)
    else:
        assert recorded.name in OF_THE_CORE or recorded.json == REFRESHED.body
