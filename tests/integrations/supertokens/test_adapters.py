"""What an adapter does for the application, the same in each framework."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from async_auth import (
    ConfigurationError,
    CoreUnavailable,
    InvalidClaims,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.integrations import aiohttp as for_aiohttp
from async_auth.integrations import starlette as for_starlette
from async_auth.supertokens import Answer

HEADERS_AND_COOKIES = pytest.mark.parametrize("method", ["header", "cookie"])


def new_token(reply):
    """Return the access token that a reply brings, if it does."""
    return reply.header("st-access-token") or reply.cookie("sAccessToken")


# ── tokens in responses ────────────────────────────────────────────────────────────────────────


@HEADERS_AND_COOKIES
@pytest.mark.parametrize("path", ["/protected", "/stream", "/direct"])
async def test_a_swapped_token_goes_into_the_response(open_place, method, path):
    """Also where the response streams, and where an endpoint asks by itself."""
    place = await open_place(cdi_version="5.4")
    signed = await place.swappable(method)

    reply = await signed.ask(path)

    assert 200 == reply.status
    assert new_token(reply) not in (None, signed.access)
    assert reply.header("front-token")
    assert "ada" in reply.body.decode()


@HEADERS_AND_COOKIES
async def test_a_changed_claim_goes_into_the_response(place, method):
    """The new access token has it."""
    signed = await place.sign_in(method)
    assert 403 == (await signed.ask("/needs-claim")).status

    reply = await signed.ask("/set-claim", method="POST")

    name = "authorization" if method == "header" else "cookie"
    value = f"{'Bearer ' if method == 'header' else 'sAccessToken='}{new_token(reply)}"
    after = await place.ask("GET", "/needs-claim", {name: value})
    assert (200, {"userId": "ada", "verified": True}) == (after.status, after.json)


async def test_a_claim_that_is_wrong_is_told_with_its_reason(place):
    """As SuperTokens' front ends read it; nothing is cleared, for the session is good."""
    signed = await place.sign_in(**{"x-verified": {"v": False, "t": 0}})

    reply = await signed.ask("/needs-claim")

    reason = {"message": "wrong value", "expectedValue": True, "actualValue": False}
    errors = [{"id": "x-verified", "reason": reason}]
    assert (403, {"message": "invalid claim", "claimValidationErrors": errors}) == (
        reply.status,
        reply.json,
    )
    assert (None, []) == (reply.header("front-token"), reply.cookies)


async def test_what_the_application_says_itself_stays(open_place):
    """Cookies are added to its own, and names to expose appended to its own."""
    place = await open_place(cdi_version="5.4")
    signed = await place.swappable("cookie")

    reply = await signed.ask("/own-cookie")

    assert ["own", "sAccessToken"] == [line.partition("=")[0] for line in reply.cookies]
    assert "x-own,front-token" == reply.header("access-control-expose-headers")


async def test_without_a_change_nothing_is_said(place):
    """No headers, no cookies."""
    signed = await place.sign_in()

    assert {"status": 200, "headers": {}, "cookies": []} == (await signed.ask()).said


async def test_a_response_that_is_raised_is_one(place):
    """The frameworks' own HTTP errors bring the tokens that were changed before."""
    signed = await place.sign_in()

    reply = await signed.ask("/raised")

    assert 409 == reply.status
    assert new_token(reply) not in (None, signed.access)


async def test_an_error_that_nobody_handles_brings_no_tokens(place):
    """It is 500 in every framework, and the tokens that were changed are not told."""
    signed = await place.sign_in()

    reply = await signed.ask("/crash")

    assert {"status": 500, "headers": {}, "cookies": []} == reply.said


async def test_an_error_after_the_headers_ends_the_response(place):
    """There is nothing to say in its place: the connection is closed before the end."""
    with pytest.raises(EOFError):
        await place.ask("GET", "/late")


async def test_a_session_that_nobody_would_hear_of_is_not_begun(place):
    """After the headers its tokens would be lost: that is the application's error, told at once."""
    with pytest.raises(EOFError):
        await place.ask("GET", "/late", {"x-begin": "1"})

    assert {} == place.core.sessions


# ── whose session ──────────────────────────────────────────────────────────────────────────────


async def test_a_session_that_is_not_required(place):
    """Nobody is nobody, somebody is known, and a bad token is refused all the same."""
    signed = await place.sign_in()

    assert {"userId": None} == (await place.ask("GET", "/optional")).json
    assert {"userId": "ada"} == (await signed.ask("/optional")).json
    await place.core.clock.advance(3601)
    reply = await signed.ask("/optional")
    assert (401, {"message": "try refresh token"}) == (reply.status, reply.json)


async def test_requests_at_the_same_time_share_nothing(open_place):
    """Two that are in the same endpoint together are each their own, and so are their tokens."""
    place = await open_place(cdi_version="5.4")
    ada = await place.swappable()
    bob = await place.sign_in(user_id="bob")

    replies = await asyncio.gather(ada.ask("/together"), bob.ask("/together"))

    assert ["ada", "bob"] == [reply.json["userId"] for reply in replies]
    assert [True, False] == [new_token(reply) is not None for reply in replies]


@pytest.mark.parametrize("mode", ["VIA_TOKEN", "VIA_CUSTOM_HEADER"])
async def test_a_route_decides_about_anti_csrf(open_place, mode):
    """By default all methods but GET are checked; a route may have more or less of it."""
    place = await open_place(anti_csrf=mode)
    signed = await place.sign_in("cookie")
    bare = {"cookie": signed.headers["cookie"]}

    statuses = [
        (await place.ask(method, path, headers)).status
        for headers in (bare, signed.headers)
        for method, path in (
            ("GET", "/protected"),
            ("POST", "/protected"),
            ("GET", "/checked"),
            ("POST", "/unchecked"),
        )
    ]

    assert [200, 401, 401, 200, 200, 200, 200, 200] == statuses


async def test_nobody_has_asked(place):
    """An endpoint that forgets to verify hears of it, and its caller nothing."""
    assert 500 == (await place.ask("GET", "/unasked")).status


async def test_without_the_middleware_nobody_is_let_in(framework, kit):
    """The error says what to do."""
    request = (
        make_mocked_request("GET", "/")
        if framework == "aiohttp"
        else Request({"type": "http", "headers": []})
    )
    with pytest.raises(ConfigurationError, match=r"setup_supertokens.*add_middleware"):
        await kit.VERIFY[framework](request)
    with pytest.raises(ConfigurationError, match=r"setup_supertokens.*add_middleware"):
        kit.SESSION_OF[framework](request)


async def test_a_backend_is_a_backend(framework, kit):
    """Anything else is refused, when the application is made or started."""
    with pytest.raises(ConfigurationError, match="backend must be a SuperTokensBackend"):
        async with kit.running(kit.APPS[framework]("backend")):
            raise AssertionError("started")


# ── errors ─────────────────────────────────────────────────────────────────────────────────────


def sync_answer(_request, error):
    """Answer in place of the default."""
    return Answer(status=418, body={"error": type(error).__name__}, clears=("header",))


async def async_answer(_request, error):
    """Answer in place of the default."""
    return sync_answer(None, error)


@pytest.mark.parametrize("handler", [sync_answer, async_answer])
async def test_error_handlers(open_place, handler):
    """Each error has one, sync or async; it answers for endpoints and for our own routes."""
    names = ("try_refresh_token", "unauthorised", "invalid_claims", "core_unavailable")
    place = await open_place(handlers=dict.fromkeys((*names, "token_theft"), handler))
    signed = await place.sign_in()
    told = [
        await place.ask("GET", "/protected"),
        await place.ask("POST", "/auth/session/refresh"),
        await signed.ask("/needs-claim"),
    ]
    await signed.refreshed()
    await place.core.clock.advance(31)
    told.append(await signed.ask_refresh())
    signed = await place.sign_in()
    place.core.faults.add("/recipe/session/refresh", status=500)
    told.append(await signed.ask_refresh())
    await place.core.clock.advance(3600)
    told.append(await signed.ask())

    assert [
        (418, {"error": name})
        for name in (
            "Unauthorised",
            "Unauthorised",
            "InvalidClaims",
            "TokenTheftDetected",
            "CoreUnavailable",
            "TryRefreshToken",
        )
    ] == [(reply.status, reply.json) for reply in told]
    assert {"remove"} == {reply.header("front-token") for reply in told}


async def test_an_error_handler_may_give_a_response_of_the_framework(framework, open_place):
    """With its own headers; what the error clears is cleared in it. None is the default."""

    def respond(request, _error):
        if framework == "aiohttp":
            return web.Response(text=request.path, headers={"x-own": "1"})
        return PlainTextResponse(request.url.path, headers={"x-own": "1"})

    place = await open_place(handlers={"unauthorised": respond, "invalid_claims": lambda *_: None})

    reply = await place.ask("POST", "/auth/session/refresh")
    default = await (await place.sign_in()).ask("/needs-claim")

    assert (200, b"/auth/session/refresh", "1") == (reply.status, reply.body, reply.header("x-own"))
    assert "remove" == reply.header("front-token")
    assert 403 == default.status


async def test_duplicate_cookies(open_place):
    """Verifying wants a refresh; that takes the older cookies away, or is the operator's error."""
    place = await open_place(older_cookie_domain="example.com")
    careless = await open_place(core=place.core)
    signed = await place.sign_in("cookie")
    access = f"sAccessToken={signed.access}; sAccessToken={signed.access}"
    refresh = f"sRefreshToken={signed.refresh}; sRefreshToken={signed.refresh}"

    verify = await place.ask("GET", "/protected", {"cookie": access})
    cleared = await place.ask("POST", "/auth/session/refresh", {"cookie": refresh})
    wrong = await careless.ask("POST", "/auth/session/refresh", {"cookie": refresh})

    assert (401, {"message": "try refresh token"}) == (verify.status, verify.json)
    assert (200, ["message"]) == (cleared.status, list(cleared.json))
    (line,) = cleared.cookies
    assert line.startswith('sRefreshToken=""; Domain=example.com; expires=Thu, 01 Jan 1970')
    assert {"status": 500, "headers": {}, "cookies": []} == wrong.said


# ── routes ─────────────────────────────────────────────────────────────────────────────────────


async def test_our_routes_are_where_the_application_wants_them(open_place):
    """And nowhere else; other methods on them are the application's."""
    place = await open_place(
        refresh_path="/v2/renew", signout_path="/v2/leave", jwks_path="/v2/keys"
    )
    signed = await place.sign_in("cookie")

    renewed = await place.ask("POST", "/v2/renew/", signed.refresh_headers)
    left = await signed.ask("/v2/leave", method="POST")
    keys = await place.ask("GET", "/v2/keys")

    assert (200, {}) == (renewed.status, renewed.json)
    assert "Path=/v2/renew;" in renewed.cookies[1]
    assert (200, {"status": "OK"}) == (left.status, left.json)
    assert {"keys": place.core.jwks()["keys"]} == keys.json
    for method, path in (("GET", "/v2/renew"), ("POST", "/v2/keys"), ("POST", "/auth/signout")):
        assert 404 == (await place.ask(method, path)).status


async def test_below_a_prefix(framework, start_core, make_backend, serve_app, kit):
    """An application that is mounted in another has the whole path in its settings."""
    core = await start_core()
    backend = make_backend(core, refresh_path="/api/auth/session/refresh")
    inner = kit.APPS[framework](backend)
    if framework == "aiohttp":
        app = web.Application()
        app.add_subapp("/api", inner)
    else:
        app = Starlette(routes=[Mount("/api", inner)])
    url = await serve_app(app)

    login = await kit.ask(
        url, "POST", "/api/login", {"st-auth-mode": "cookie"}, body={"userId": "ada"}
    )
    signed = kit.Signed.of(None, login)
    refresh = await kit.ask(url, "POST", "/api/auth/session/refresh", signed.refresh_headers)
    me = await kit.ask(url, "GET", "/api/protected", kit.Signed.of(None, refresh).headers)

    assert "Path=/api/auth/session/refresh;" in refresh.cookies[1]
    assert (200, "ada") == (me.status, me.json["userId"])


# ── web sockets ────────────────────────────────────────────────────────────────────────────────


async def handshake(place, headers, path="/chat"):
    """Open a web socket; return its first message, and the handshake's headers."""
    seen = []

    async def look(_http, _context, params):
        seen.append(params.response.headers)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(look)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as http,
        http.ws_connect(f"{place.url}{path}", headers=headers) as websocket,
    ):
        return await websocket.receive_str(), seen[0]


@HEADERS_AND_COOKIES
async def test_a_web_socket_is_verified_when_it_connects(open_place, method):
    """Its handshake says nothing of tokens, whatever was swapped."""
    place = await open_place(cdi_version="5.4")
    signed = await place.swappable(method)

    message, headers = await handshake(place, signed.headers)

    assert "ada" == message
    assert not {"front-token", "st-access-token", "set-cookie"} & {name.lower() for name in headers}


async def test_a_web_socket_is_refused_as_a_request_is(place):
    """With the same status, before it is open."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await handshake(place, {})
    assert 401 == caught.value.status


async def test_a_refused_handshake_clears_as_a_request_does(place):
    """It is answered, so it can."""
    signed = await place.sign_in("cookie")
    await handshake(place, signed.headers, "/chat-db")
    place.core.revoke_session(signed.handle)

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await handshake(place, signed.headers, "/chat-db")

    assert (401, "remove") == (caught.value.status, caught.value.headers["front-token"])
    assert 2 == len(caught.value.headers.getall("set-cookie"))


# ── each framework's own ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("close_backend", [True, False])
async def test_the_backend_is_closed_with_the_application_where_wanted(
    framework, start_core, make_backend, kit, close_backend
):
    """By default it stays its maker's."""
    backend = make_backend(await start_core())

    async with kit.running(kit.APPS[framework](backend, close_backend=close_backend)):
        assert not await backend.revoke_session("handle")

    if close_backend:
        with pytest.raises(CoreUnavailable, match="closed"):
            await backend.revoke_session("handle")
    else:
        assert not await backend.revoke_session("handle")


@web.middleware
async def cors(request, handler):
    """Answer preflights, and say in each response who may read it."""
    response = web.Response() if request.method == "OPTIONS" else await handler(request)
    response.headers["access-control-allow-origin"] = "https://app.example"
    return response


async def test_cors_stands_before(framework, start_core, make_backend, serve_app, kit):
    """A preflight needs no session, and what a session exposes is exposed to other origins."""
    backend = make_backend(await start_core())
    if framework == "aiohttp":
        app = web.Application(middlewares=[cors])
        for_aiohttp.setup_supertokens(app, backend)
    else:
        app = kit.APPS[framework](backend)
        app.add_middleware(
            CORSMiddleware, allow_origins=["https://app.example"], allow_credentials=True
        )
    url = await serve_app(app)
    origin = {"origin": "https://app.example", "access-control-request-method": "GET"}

    preflight = await kit.ask(url, "OPTIONS", "/me", origin)
    refused = await kit.ask(url, "POST", "/auth/session/refresh", origin)

    assert 200 == preflight.status
    assert "https://app.example" == refused.header("access-control-allow-origin")
    assert "front-token,st-access-token,st-refresh-token" == refused.header(
        "access-control-expose-headers"
    )


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
async def test_an_exception_handler_of_the_application_comes_first(
    kind, start_core, make_backend, serve_app, kit
):
    """It is nearer to the endpoint than the middleware."""
    backend = make_backend(await start_core())

    async def endpoint(_request):
        raise TryRefreshToken("wanted")

    app = kind()
    app.add_route("/", endpoint)
    app.add_middleware(for_starlette.SuperTokensMiddleware, backend=backend)
    app.add_exception_handler(TryRefreshToken, lambda *_: PlainTextResponse("mine"))
    url = await serve_app(app)

    assert b"mine" == (await kit.ask(url, "GET", "/")).body


async def test_the_documentation_knows_the_session(start_core, make_backend, kit):
    """FastAPI's page gets its "Authorize" button, and routes without a session no lock."""
    document = kit.APPS["fastapi"](make_backend(await start_core())).openapi()

    assert "http" == document["components"]["securitySchemes"]["session"]["type"]
    assert [{"session": []}] == document["paths"]["/protected"]["get"]["security"]
    assert "security" not in document["paths"]["/login"]["post"]


async def refusing(scope, _receive, _send):
    """Refuse everybody, each path in its way."""
    raise {
        "/protected": Unauthorised("wanted"),
        "/claims": InvalidClaims("wanted"),
        "/away": CoreUnavailable("wanted"),
        "/own": TryRefreshToken("wanted"),
        "/bare": TokenTheftDetected("wanted", user_id="ada", session_handle="h"),
    }[scope["path"]]


class Wires:
    """An ASGI server's two ends, by hand: one that cannot answer a handshake."""

    def __init__(self):
        self.sent = []

    async def receive(self):
        """Give the handshake."""
        return {"type": "websocket.connect"}

    async def send(self, message):
        """Keep what is sent."""
        self.sent.append(message)


@pytest.mark.parametrize(
    "path, code, reason",
    [
        ("/protected", 3000, ""),
        ("/claims", 3003, "invalid claim"),
        ("/away", 1013, "The session service is not available; try again later."),
        ("/own", 3000, ""),
        ("/bare", 3000, "é" * 61),
    ],
)
async def test_a_server_that_cannot_answer_a_handshake_closes_it(
    start_core, make_backend, kit, path, code, reason
):
    """By codes of the registry; the reason is the message, if there is one that fits."""
    backend = make_backend(
        await start_core(),
        error_handlers=kit.ErrorHandlers(
            try_refresh_token=lambda *_: PlainTextResponse("own"),
            token_theft=lambda *_: Answer(status=401, body={"message": "é" * 100}),
            unauthorised=lambda *_: Answer(status=401, body={"error": 5}),
        ),
    )
    wires = Wires()
    scope = {"type": "websocket", "path": path, "headers": []}

    await for_starlette.SuperTokensMiddleware(refusing, backend)(scope, wires.receive, wires.send)

    assert [{"type": "websocket.close", "code": code, "reason": reason}] == wires.sent


async def test_an_error_in_an_open_web_socket_passes(start_core, make_backend):
    """It is too late to answer: the application hears of its own error."""
    backend = make_backend(await start_core())
    wires = Wires()

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await refusing(scope, receive, send)

    middleware = for_starlette.SuperTokensMiddleware(app, backend)
    with pytest.raises(TryRefreshToken):
        await middleware(
            {"type": "websocket", "path": "/own", "headers": []}, wires.receive, wires.send
        )

    assert ["websocket.accept"] == [message["type"] for message in wires.sent]


async def test_two_back_ends_in_one_process_never_meet(open_place):
    """A session of one is none of the other's."""
    one, other = await open_place(), await open_place()
    signed = await one.sign_in()
    reply = await other.ask("GET", "/protected", signed.headers)

    assert (401, {"message": "try refresh token"}) == (reply.status, reply.json)
    assert 200 == (await signed.ask()).status
