"""One raw request, three frameworks: the same status, body, headers and cookies.

And whatever the headers and cookies are, nobody is answered 500 (but for the operator's error
of duplicate cookies, which says so), and nobody gets a token who has shown none.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

#: What is drawn anew by each of the three cores' calls.
DRAWN = re.compile(
    r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+|[A-Za-z0-9+/%=]{200,}\.[0-9a-f]{64}\.V2|[A-Za-z0-9+/]{200,}={0,2}"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{10}"
)


def masked(text):
    """Return a text without what is drawn anew."""
    return DRAWN.sub("…", text)


def value_of(reply):
    """Return the body in one spelling."""
    is_json = (reply.header("content-type") or "").startswith("application/json")
    return json.dumps(reply.json) if is_json else reply.body.decode()


def heard(reply):
    """Return what a front end hears: the same in every framework."""
    said = reply.said
    return {
        "status": said["status"],
        "headers": {name: masked(value) for name, value in said["headers"].items()},
        # Whether a token stands in quotes depends on whether a slash was drawn.
        "cookies": [masked(line).replace('"…"', "…") for line in said["cookies"]],
        # What a framework says of an error, or of a path that it does not know, is its own; so is
        # how it spells the JSON of endpoints.
        "type": reply.header("content-type") if reply.status in {401, 403, 503} else None,
        "body": None if reply.status in {404, 405, 500} else masked(value_of(reply)),
    }


@pytest.fixture
async def places(open_any, start_core):
    """Serve the application in all three frameworks, on one core."""
    core = await start_core(cdi_versions=["5.4"])
    return [
        await open_any(of=framework, core=core, anti_csrf="VIA_TOKEN")
        for framework in ("aiohttp", "starlette", "fastapi")
    ]


async def test_a_raw_request_is_answered_alike(places):
    """Good and bad, in every combination that has a rule."""
    first, *others = places
    header, cookie = await first.sign_in("header"), await first.sign_in("cookie")
    swap, swap_cookie = await first.swappable("header"), await first.swappable("cookie")
    await swap.ask()
    await swap_cookie.ask(method="POST")
    bare = {"cookie": cookie.headers["cookie"]}
    pair = bare["cookie"]
    requests = [
        (method, path, headers)
        for method, path in (
            ("GET", "/protected"),
            ("POST", "/protected"),
            ("GET", "/protected-db"),
            ("GET", "/optional"),
            ("GET", "/needs-claim"),
            ("POST", "/set-claim"),
            ("POST", "/auth/session/refresh"),
            ("GET", "/auth/session/refresh"),
            ("GET", "/stream"),
            ("GET", "/auth/jwt/jwks.json"),
        )
        for headers in (
            {},
            header.headers,
            cookie.headers,
            bare,
            swap.headers,
            swap_cookie.headers,
            header.refresh_headers,
            cookie.refresh_headers,
            {**header.refresh_headers, **cookie.refresh_headers},
            {**header.headers, **cookie.headers},
            {"authorization": "Bearer garbage", **bare},
            {"cookie": f"{pair}; {pair}"},
            {"cookie": f"{pair}; sIdRefreshToken=x"},
            [("cookie", pair), ("cookie", "other=1")],
            [("authorization", f"Bearer {header.access}")] * 2,
            [(b"Cookie", b"sAccessToken=\xff\xfe"), (b"Authorization", b"bearer \xe4")],
            {"host": "[", "authorization": f"Bearer {header.access}"},
        )
    ]
    for method, path, headers in requests:
        expected = heard(await first.ask(method, path, headers))
        for place in others:
            reply = await place.ask(method, path, headers)
            assert (method, path, headers, expected) == (method, path, headers, heard(reply))


#: What a server lets through in a header: no line breaks, no NUL.
RAW = st.binary(max_size=40).map(lambda raw: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"", raw).strip())
NAMES = ["authorization", "cookie", "st-auth-mode", "rid", "anti-csrf", "fdi-version", "origin"]
PATHS = [
    ("GET", "/protected"),
    ("POST", "/protected"),
    ("GET", "/optional"),
    ("GET", "/protected-db"),
    ("POST", "/auth/session/refresh"),
    ("POST", "/auth/signout"),
]


PART = st.one_of(RAW, st.sampled_from(["access", "refresh", "cookie access", "cookie refresh"]))
COOKIE = st.tuples(
    st.one_of(
        RAW,
        st.sampled_from([b"sAccessToken", b"sRefreshToken", b"sIdRefreshToken", b"sFrontToken"]),
    ),
    st.sampled_from([b"=", b'="', b"", b" = "]),
    PART,
    st.sampled_from([b"", b'"', b"%", b"%ff", b"="]),
)
HEADER = st.one_of(
    st.tuples(
        st.just("authorization"),
        st.tuples(st.sampled_from([b"Bearer ", b"bearer  ", b"Basic ", b"Bearer"]), PART),
    ),
    st.tuples(
        st.just("cookie"),
        st.lists(COOKIE, max_size=4).map(
            lambda cookies: tuple(part for cookie in cookies for part in (*cookie, b"; "))
        ),
    ),
    st.tuples(st.sampled_from(NAMES), st.tuples(st.one_of(RAW, st.just("csrf")))),
)


EMPTY = {None, "", '""'}


def new_tokens(reply):
    """Return the tokens that a reply brings."""
    named = [reply.header(name) for name in ("st-access-token", "st-refresh-token")]
    cookies = [reply.cookie(name) for name in ("sAccessToken", "sRefreshToken")]
    return set(named + cookies) - EMPTY


def is_doubled(path, headers):
    """Whether a refresh has two cookies of one name, which is the operator's error."""
    text = b";".join(value for name, value in headers if name == "cookie")
    names = [part.partition(b"=")[0].strip(b" \t") for part in text.split(b";")]
    return path == "/auth/session/refresh" and any(
        names.count(name) > 1 for name in (b"sAccessToken", b"sRefreshToken")
    )


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(("POST", "/auth/session/refresh"), [("cookie", (b"sRefreshToken=", b"a%00b"))])
@example(("POST", "/auth/session/refresh"), [("authorization", (b"Bearer ", b"\xff"))])
@example(("POST", "/auth/session/refresh"), [("authorization", (b"Bearer ", "refresh"))])
@example(("GET", "/protected"), [("cookie", (b"sAccessToken=%ed%a0%80",))])
@given(st.sampled_from(PATHS), st.lists(HEADER, max_size=4))
async def test_whatever_the_headers_are(places, route, drawn):
    """No 500, the same in each framework, and new tokens only for a good refresh token."""
    method, path = route
    header, cookie = await places[0].sign_in("header"), await places[0].sign_in("cookie")
    known = {
        "access": header.access.encode(),
        "refresh": header.refresh.encode(),
        "cookie access": cookie.access.encode(),
        "cookie refresh": cookie.refresh.encode(),
        "csrf": cookie.anti_csrf.encode(),
    }
    headers = [
        (name, b"".join(part if isinstance(part, bytes) else known[part] for part in parts))
        for name, parts in drawn
    ]

    replies = [await place.ask(method, path, headers) for place in places]

    if 400 in {reply.status for reply in replies}:
        # A server that did not let it through: none of ours ever says that.
        return
    assert 1 == len({repr(heard(reply)) for reply in replies})
    refresh = {known["refresh"], known["cookie refresh"]}
    shown = any(token in value for token in refresh for _, value in headers)
    for reply in replies:
        assert 500 > reply.status or is_doubled(path, headers)
        assert not new_tokens(reply) or (shown and path == "/auth/session/refresh")
