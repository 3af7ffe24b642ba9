"""What servers say: a value comes of it or an error of ours, and no error says what was sent.

What comes of it can be stored, loaded and shown. Bytes that are no document at all, and single values,
are drawn beside each parser (`tests/gotrue/test_parsing.py`, `tests/core/test_hostile_tokens.py`, …),
requests of browsers in `tests/supertokens/backend` and `tests/integrations/supertokens`.
"""

from __future__ import annotations

import base64
import json
import sys

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from async_auth.cli.supertokens_sign_in import read_refusal as cli_refusal
from async_auth.core import jwt
from async_auth.core.plain_json import read_json
from async_auth.core.web.cookies import parse_cookies
from async_auth.errors import AuthError, BadSignature, InvalidToken, UnknownKey
from async_auth.gotrue import GoTrueProvider, failures, parsing
from async_auth.gotrue.admin.pages import page_of
from async_auth.gotrue.json_object import JsonObject
from async_auth.gotrue.redirects import read_redirect
from async_auth.gotrue.requests import Endpoint
from async_auth.http_messages import Response
from async_auth.jwks import JWKSet, freshness
from async_auth.session import Session
from async_auth.stores.record_json import UnreadableRecord, parse_record
from async_auth.supertokens import SuperTokensClient, SuperTokensProvider, access_token
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.failures import read_answer
from async_auth.supertokens.cdi.versions import choose
from async_auth.supertokens.client import responses, sessions
from async_auth.supertokens.client.cookies import cookies_set
from async_auth.supertokens.front_token import FrontToken
from async_auth.testing.gotrue.tokens import make_key
from async_auth.verifier import JWTVerifier

HOSTILE = settings.get_profile("hostile")
NOW = 1_700_000_000.0
SENT = "s3cr3t-refresh-token"
OLD = Session(access_token=f"{SENT}-old", refresh_token=SENT, expires_at=NOW, issued_at=NOW - 60)
STATUSES = st.sampled_from(
    [200, 200, 200, 200, 201, 204, 302, 400, 400, 401, 403, 404, 409, 422, 425, 429, 500, 503, 999]
)
GOTRUE = GoTrueProvider(Endpoint("http://127.0.0.1:9999", SENT))
GOTRUE_HEADERS = ("Date", "Retry-After", "Content-Type", "x-sb-error-code", "Link", "X-Total-Count")
SUPERTOKENS_HEADERS = (
    *("front-token", "st-access-token", "st-refresh-token", "anti-csrf", "set-cookie"),
    *("Date", "Retry-After", "Content-Type", "Cache-Control"),
)
API = SuperTokensProvider(SuperTokensClient("https://api.example.com").settings)


def subclasses(kind):
    """
    Return every class below a class.

    Not those that attrs has put a class with slots in the place of: they are there, and good for
    nothing, until the garbage is collected.
    """
    below = [one for one in kind.__subclasses__() if is_there(one)]
    return [found for one in below for found in (one, *subclasses(one))]


def is_there(kind):
    """Say whether a class is the one that its module has by its name."""
    return getattr(sys.modules[kind.__module__], kind.__qualname__, None) is kind


MODELS = subclasses(JsonObject)
CALLS = (
    calls.create_session("u"),
    calls.verify_session(SENT, do_anti_csrf_check=False),
    calls.refresh_session(SENT),
    calls.regenerate_session(SENT),
    calls.remove_sessions(["h"]),
    calls.session_information("h"),
    calls.handles_of_user("u"),
    calls.update_payload("h", {}),
)


@pytest.fixture(scope="session")
def gotrue_bodies(hostile):
    """Return GoTrue's recorded answers, one of each form."""
    return hostile.bodies_of(hostile.recorded("gotrue"))


@pytest.fixture(scope="session")
def core_bodies(hostile):
    """Return the core's recorded answers, one of each form."""
    found = [one for one in hostile.recorded("supertokens") if one["server"].startswith("core")]
    return hostile.bodies_of(found)


@pytest.fixture(scope="session")
def api_headers(hostile):
    """Return the headers of recorded answers that say something of a session."""
    found = [one for one in hostile.recorded("supertokens") if one["server"].startswith("app")]
    headers = [hostile.headers_of(one) for one in found]
    return [pairs for pairs in headers if any(name == "front-token" for name, _ in pairs)]


@pytest.fixture(scope="session")
def front_tokens(api_headers):
    """Return the documents in the recorded front tokens."""
    texts = {value for pairs in api_headers for name, value in pairs if name == "front-token"}
    return [json.loads(base64.b64decode(text)) for text in sorted(texts - {"remove"})]


def readers(response):
    """Yield every reader of GoTrue's answers, as calls."""
    times = {"sent_at": NOW - 1, "now": NOW}
    secrets = {"secrets": (SENT,)}
    yield parsing.session_from, (response,), {**times, **secrets}
    yield parsing.auth_response_from, (response,), {**times, **secrets}
    yield parsing.user_from, (response,), {**secrets, "now": NOW}
    yield parsing.object_from, (response,), secrets
    yield parsing.list_from, (response,), secrets
    yield parsing.list_from, (response, "users"), secrets
    yield parsing.check, (response,), secrets
    yield GOTRUE.parse_refresh, (response, OLD), times
    yield GOTRUE.parse_sign_out, (response, OLD), {}


@HOSTILE
@given(data=st.data(), status=STATUSES)
def test_no_answer_of_gotrue_does_harm(hostile, gotrue_bodies, data, status):
    """Each reader gives a value or raises an AuthError, of any answer and any headers."""
    body = data.draw(hostile.spoiled(hostile.changed(gotrue_bodies)))
    headers = data.draw(hostile.headers(GOTRUE_HEADERS))
    response = Response(status, headers, body)

    for call, arguments, options in readers(response):
        hostile.ours(call, *arguments, **options)
    for judge in (failures.error_from, failures.refresh_error_from):
        hostile.unsaid(judge(response, secrets=(SENT,), now=NOW))
    assert (page_of(response, ()).next_page or 0) >= 0
    assert freshness(response) > 0
    refusal = cli_refusal(response, path="/x", password=SENT)
    if refusal is not None:
        hostile.unsaid(refusal)


@HOSTILE
@given(data=st.data())
def test_no_object_of_gotrue_does_harm(hostile, gotrue_bodies, data):
    """Each model reads each document, and gives it back as it was."""
    text = data.draw(hostile.changed(gotrue_bodies))
    try:
        found = read_json(text)
    except ValueError:
        return
    for model in MODELS:
        value = hostile.ours(model.from_json, found)
        # The name of a method of authentication may stand for its object.
        if value is not None and not isinstance(found, str):
            assert value.to_json() == found
            assert value == model.from_json(value.to_json())
            assert len(f"{value!r}{value.extra!r}") > 0


@HOSTILE
@given(data=st.data())
def test_what_was_read_can_be_kept_and_shown(hostile, gotrue_bodies, data):
    """Whatever a sign-in brings is a session that can be stored, loaded, counted and printed."""
    sessions_only = [body for body in gotrue_bodies if "access_token" in body]
    body = data.draw(hostile.changed(sessions_only)).encode("utf-8", "surrogatepass")
    headers = data.draw(hostile.headers(("Date",)))
    response = Response(200, headers, body)

    for found in (
        hostile.ours(parsing.session_from, response, sent_at=NOW - 1, now=NOW),
        hostile.ours(GOTRUE.parse_refresh, response, OLD, sent_at=NOW - 1, now=NOW),
    ):
        if found is not None:
            hostile.keep_and_show(found, GOTRUE)


@HOSTILE
@given(data=st.data())
def test_no_error_says_what_was_sent(hostile, gotrue_bodies, data):
    """Not if a server puts it into every member that it has, in every spelling of JSON's."""
    errors = [body for body in gotrue_bodies if "access_token" not in body]
    text = data.draw(hostile.changed(errors))
    echoed = json.dumps(f"\x1b[2J{SENT}\r\n{SENT[:8]}\\u0033\u202e").encode()
    body = data.draw(st.sampled_from([text.encode("utf-8", "surrogatepass"), echoed]))
    members = dict.fromkeys(("msg", "message", "error", "error_code", "code"), SENT)
    for content in (body, json.dumps(members).encode()):
        response = Response(400, {"Content-Type": "text/plain"}, content)
        for judge in (failures.error_from, failures.refresh_error_from):
            hostile.unsaid(judge(response, secrets=(SENT,), now=NOW))
    hostile.unsaid(failures.redirect_error_from(members, secrets=(SENT,)))


@HOSTILE
@given(data=st.data(), status=STATUSES)
def test_no_answer_of_the_core_does_harm(hostile, core_bodies, data, status):
    """Each call gives what it is for, or one of our errors."""
    body = data.draw(hostile.spoiled(hostile.changed(core_bodies)))
    response = Response(status, data.draw(hostile.headers(("Content-Type",))), body)

    found = hostile.ours(read_answer, response, (SENT,))
    if found is None:
        return
    hostile.ours(choose, found.get("versions"))
    for call in CALLS:
        hostile.ours(call.parse, found, (SENT,))


@HOSTILE
@given(data=st.data(), status=STATUSES)
def test_no_answer_of_an_api_does_harm(hostile, api_headers, front_tokens, data, status):
    """What it says of a session is read, and is a session that can be kept, or none."""
    headers = data.draw(hostile.headers(SUPERTOKENS_HEADERS, api_headers))
    if data.draw(st.booleans()):
        text = data.draw(hostile.spoiled(hostile.changed(front_tokens)))
        headers["front-token"] = base64.b64encode(text).decode()
    for name in ("sAccessToken", "sRefreshToken"):
        value = data.draw(st.sampled_from(hostile.HEADERS))
        if data.draw(st.booleans()):
            headers.add("set-cookie", f"{name}={value}; Max-Age={value}; Expires={value}")
    body = data.draw(st.sampled_from([b"", b"{}", b'{"message":"\\ud800"}', SENT.encode()]))
    response = Response(status, headers, body)

    found = hostile.ours(API.parse_refresh, response, OLD, sent_at=NOW - 1, now=NOW)
    hostile.ours(API.parse_sign_out, response, OLD)
    if found is not None:
        hostile.keep_and_show(found, API)
    told = responses.read_answer(response.headers, now=NOW)
    if told is not None:
        began = sessions.session_in(told, sent_at=NOW, now=NOW)
        for before in (OLD, began):
            if before is not None:
                amended = sessions.amended(before, told, sent_at=NOW, now=NOW)
                assert amended is None or amended.access_token.isprintable()


# ── keys and tokens ──────────────────────────────────────────────────────────────────────────────

KEYS = [make_key("ES256", "e"), make_key("RS256", "r")]
STRANGERS = [make_key("ES256", "e"), make_key("RS256", "r")]
KEY_SET = {"keys": [jwt.public_half(key) for key in KEYS]}
CLAIMS = {"sub": "u", "exp": NOW * 2, "iat": NOW}
TOKENS = [jwt.sign(CLAIMS, key, algorithm=key["alg"], headers={"kid": key["kid"]}) for key in KEYS]
FORGED = [
    jwt.sign(CLAIMS, key, algorithm=key["alg"], headers={"kid": key["kid"]}) for key in STRANGERS
]


@HOSTILE
@given(data=st.data())
async def test_no_key_set_makes_a_token_good(hostile, data):
    """A set that is broken in any way verifies what its whole keys signed, and nothing else."""
    body = data.draw(hostile.spoiled(hostile.changed([KEY_SET])))
    headers = data.draw(hostile.headers(("Cache-Control", "Date")))

    async def fetch():
        return Response(200, headers, body)

    async with JWTVerifier(jwks=JWKSet(fetch)) as verifier:
        for token in TOKENS:
            try:
                assert CLAIMS == await verifier.verify(token)
            except AuthError as error:
                hostile.unsaid(error)
        for token in FORGED:
            with pytest.raises(AuthError) as refused:
                await verifier.verify(token)
            assert isinstance(refused.value, BadSignature | UnknownKey) or not isinstance(
                refused.value, InvalidToken
            )


@HOSTILE
@given(data=st.data())
def test_no_token_of_supertokens_does_harm(hostile, core_bodies, data):
    """Header and claims of a recorded one, changed: it is read, or Malformed."""
    issued = [one["accessToken"]["token"] for one in core_bodies if one.get("accessToken")]
    # Those of version 2 are no JWTs.
    parts = [jwt.peek(text) for text in issued if "=" not in text.partition(".")[0]]
    segments = [
        base64.urlsafe_b64encode(data.draw(hostile.spoiled(hostile.changed(documents))))
        .decode()
        .rstrip("=")
        for documents in (
            [dict(part.header) for part in parts],
            [dict(part.claims) for part in parts],
        )
    ]
    token = f"{segments[0]}.{segments[1]}.AAAA"

    info = hostile.ours(access_token.parse, token)
    peeked = hostile.ours(jwt.peek, token)
    assert info is None or info.user_id == peeked.claims["sub"]
    assert info is None or not info.verified


# ── what is too large and too deep for drawing ───────────────────────────────────────────────────

MANY = 100_000
WIDE = 20_000
LONG = 10 * 1024 * 1024
EXTREMES = {
    "lists": b"[" * MANY,
    "whole lists": b"[" * MANY + b"]" * MANY,
    "objects": b'{"a":' * MANY,
    "whole objects": b'{"a":' * MANY + b"1" + b"}" * MANY,
    "a text": b'"' + b"x" * LONG + b'"',
    "a text in an object": b'{"access_token":"' + b"x" * LONG + b'"}',
    "a text without an end": b'"' + b"\\u0041" * (LONG // 6),
    "a number": b"9" * LONG,
    "a fraction": b"0." + b"9" * (LONG // 4),
    "an exponent": b"1e" + b"9" * 4000,
    "members": b"{" + b",".join(b'"%d":0' % number for number in range(WIDE)) + b"}",
    "the same member": b"{" + b",".join([b'"a":{}'] * WIDE) + b"}",
    "items": b"[" + b"0," * WIDE + b"0]",
    "white space": b" " * LONG + b"1",
    "zeros": bytes(LONG),
    "dots": b"." * LONG,
    "semicolons": b"a=b;" * (LONG // 4),
    "ampersands": b"?a=b&" * (LONG // 5),
    "percent signs": b"%41" * (LONG // 3),
    "brackets in an address": b"https://[" + b":" * MANY,
    "base64": base64.b64encode(b'{"a":' * MANY),
}


def text_parsers(text):
    """Yield every parser of text, as calls; each takes what it is given from outside."""
    yield jwt.peek, (text,)
    yield access_token.parse, (text,)
    yield FrontToken.decode, (text,)
    yield read_redirect, (text,)
    yield read_redirect, (f"https://a.example/#{text}",)
    yield parse_cookies, ([text],)
    yield responses.read_answer, (CIMultiDict({"front-token": text, "set-cookie": text}),)
    yield responses.claim_validation_errors, (text.encode(),)


@pytest.mark.parametrize("name", EXTREMES)
def test_no_size_and_no_depth_does_harm(hostile, name):
    """Nothing runs out of stack, memory or time: what is too large is refused unread."""
    body = EXTREMES[name]
    headers = dict.fromkeys(("Date", "Retry-After", "Content-Type", "Cache-Control"), "9" * LONG)
    response = Response(200, headers, body)

    hostile.ours(parsing.auth_response_from, response, sent_at=NOW, now=NOW)
    hostile.unsaid(failures.refresh_error_from(attrs.evolve(response, status=400), now=NOW))
    hostile.ours(read_answer, response)
    hostile.ours(parse_record, body, also=UnreadableRecord)
    for call, arguments in text_parsers(body.decode("latin-1")):
        options = {"now": NOW} if call is responses.read_answer else {}
        hostile.ours(call, *arguments, **options)
    cookies_set([f"a={body.decode('latin-1')}"], now=NOW)
