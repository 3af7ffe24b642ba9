"""The front token: as SuperTokens' Python back end wrote it, and read back from anybody."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import ProtocolError
from async_auth.core.jwt import peek
from async_auth.supertokens.front_token import MAX_FRONT_TOKEN_LENGTH, FrontToken

RECORDINGS = Path(__file__).parents[1] / "recordings" / "supertokens.json"
ANSWERS = {
    exchange["name"]: exchange["response"]["headers"]
    for exchange in json.loads(RECORDINGS.read_text(encoding="utf-8"))
    if exchange["response"]["headers"].get("front-token", "remove") != "remove"
}
#: What Node's back end writes: the order of the members is its own.
OF_NODE = (
    "eyJ1aWQiOiIwMGUwOTE1MS0xZDZiLTQwY2MtODYzMS1jZTc4YTE1MDg4YWEiLCJhdGUiOjE2NzUzNTE2MzIwNzUsInVw"
    "Ijp7InN0LWV2Ijp7InYiOnRydWUsInQiOjE2NzUzNDgwMzIwNjZ9fX0="
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def encoded(value):
    """Return a value as a front token, whatever it is."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def access_token(headers):
    """Return the access token that came with a recorded front token."""
    for line in headers.get("set-cookie", []):
        name, _, value = line.partition(";")[0].partition("=")
        if name == "sAccessToken":
            return value
    return headers["st-access-token"]


@pytest.mark.parametrize("name", ANSWERS)
def test_recorded_front_tokens_are_written_to_the_letter(name):
    """A front token is made of its access token's claims, as the recorded back end made it."""
    claims = peek(access_token(ANSWERS[name])).claims
    token = FrontToken(user_id=claims["sub"], expires_at=claims["exp"], payload=claims)

    assert ANSWERS[name]["front-token"] == token.encode()
    assert token == FrontToken.decode(ANSWERS[name]["front-token"])


def test_a_front_token_of_node_is_read():
    """The order of its members is nobody's business."""
    payload = {"st-ev": {"v": True, "t": 1675348032066}}
    user_id = "00e09151-1d6b-40cc-8631-ce78a15088aa"
    expected = FrontToken(user_id=user_id, expires_at=1675351632.075, payload=payload)

    assert expected == FrontToken.decode(OF_NODE)
    assert expected == FrontToken.decode(OF_NODE.rstrip("="))


def test_raw_utf_8_is_read():
    """Node writes letters as they are, Python as escapes: both are read."""
    text = '{"uid":"grüße","ate":1000,"up":{}}'
    expected = FrontToken(user_id="grüße", expires_at=1.0, payload={})

    assert expected == FrontToken.decode(base64.b64encode(text.encode()).decode())
    assert expected.encode().isascii()


@given(
    st.builds(
        FrontToken,
        user_id=st.text(),
        expires_at=st.integers(0, 2**43).map(lambda milliseconds: milliseconds / 1000),
        payload=st.dictionaries(st.text(), JSON_VALUES, max_size=4),
    )
)
def test_what_is_written_can_be_read(token):
    """A front token survives the wire."""
    assert token == FrontToken.decode(token.encode())


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_no_text_raises_anything_else(text):
    """Whatever a header holds is a front token or a ProtocolError."""
    with contextlib.suppress(ProtocolError):
        assert isinstance(FrontToken.decode(text), FrontToken)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "remove",
        "%%%",
        "!!!!" + encoded({"uid": "u", "ate": 1, "up": {}}),
        encoded([]),
        encoded({"uid": "u", "ate": 1}),
        encoded({"uid": 1, "ate": 1, "up": {}}),
        encoded({"uid": "u", "ate": True, "up": {}}),
        encoded({"uid": "u", "ate": "1", "up": {}}),
        encoded({"uid": "u", "ate": 1, "up": []}),
        "A" * (MAX_FRONT_TOKEN_LENGTH + 4),
    ],
)
def test_what_is_no_front_token_is_refused(text):
    """It has a user, an expiry and a payload, or it is none."""
    with pytest.raises(ProtocolError):
        FrontToken.decode(text)


def test_the_payload_is_not_shown():
    """A repr has no claims in it."""
    token = FrontToken(user_id="u", expires_at=1.0, payload={"refreshTokenHash1": "hash"})

    assert "hash" not in repr(token)


def test_numbers_that_json_lacks_are_refused():
    """A payload is JSON or nothing is written."""
    token = FrontToken(user_id="u", expires_at=1.0, payload={"x": float("nan")})

    with pytest.raises(ValueError, match="JSON"):
        token.encode()


def test_the_longest_front_token_is_read():
    """The limit itself is allowed."""
    empty = len(json.dumps({"uid": "u", "ate": 1000, "up": {"x": ""}}))
    room = MAX_FRONT_TOKEN_LENGTH * 3 // 4 - empty
    text = encoded({"uid": "u", "ate": 1000, "up": {"x": "x" * room}})

    assert MAX_FRONT_TOKEN_LENGTH == len(text)
    assert "u" == FrontToken.decode(text).user_id
