"""The client middleware, against real servers on loopback."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshRejected,
    ServerUnavailable,
)
from async_auth.integrations.aiohttp import bearer
from async_auth.session import AccessToken, Session


class Tokens:
    """A manager that hands out t1, t2, … and says which were asked for and rejected."""

    def __init__(self) -> None:
        self.generation = 1
        self.asked = 0
        self.rejected: list[int] = []
        self.fault: BaseException | None = None
        self.refreshes = 0
        self.shows_session = True

    @property
    def session(self) -> Session | None:
        """The session, as managers show it."""
        if not self.shows_session:
            return None
        return Session(access_token=self.current.value, generation=self.generation)

    @property
    def current(self) -> AccessToken:
        """The token of the moment."""
        return AccessToken(value=f"t{self.generation}", generation=self.generation)

    def rotate(self) -> None:
        """Refresh without being asked."""
        self.generation += 1
        self.refreshes += 1

    async def get_token(self, *, rejected=None) -> AccessToken:
        """Refresh a rejected token if it is still the current one."""
        if rejected is None:
            self.asked += 1
        else:
            self.rejected.append(rejected.generation)
            await asyncio.sleep(0)
        if self.fault is not None and (rejected is not None or self.asked):
            raise self.fault
        if rejected is not None and rejected.generation == self.generation:
            self.rotate()
        return self.current


class Api:
    """A handler that lets some tokens pass and keeps what it was sent."""

    def __init__(self, *good: str) -> None:
        self.good = set(good)
        self.seen: list[str | None] = []
        self.bodies: list[bytes] = []
        self.refuse: Callable[[web.Request], web.StreamResponse] = lambda _: web.json_response(
            {"code": 401, "error_code": "bad_jwt", "msg": "no"}, status=401
        )

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 to a good token, else what `refuse` says."""
        self.seen.append(request.headers.get("Authorization"))
        self.bodies.append(await request.read())
        if request.headers.get("Authorization") in {f"Bearer {token}" for token in self.good}:
            return web.json_response({"ok": True})
        return self.refuse(request)


@pytest.fixture
def tokens() -> Tokens:
    """Return a manager with a token."""
    return Tokens()


@pytest.fixture
async def connect(tokens):
    """Return a function that makes a session with the middleware for some origins."""
    sessions: list[aiohttp.ClientSession] = []

    def make(*origins: str, **options) -> aiohttp.ClientSession:
        http = aiohttp.ClientSession(middlewares=[bearer(tokens, origins)], **options)
        sessions.append(http)
        return http

    yield make
    for http in sessions:
        await http.close()


@pytest.mark.parametrize("origins", [[], "api.example.com", "http://api.example.com"])
def test_origins_are_checked_at_once(tokens, origins):
    """A mistake is raised where it is made, not at the first request."""
    with pytest.raises(ConfigurationError, match=r"^origins: "):
        bearer(tokens, origins)

    assert bearer(tokens, "http://api.example.com", allow_insecure=True)


async def test_a_listed_origin_gets_the_token(serve, tokens, connect):
    """Every request carries the token of the moment."""
    api = Api("t1", "t2")
    site = await serve(api)
    http = connect(site.url)

    for _ in range(2):
        async with http.get(f"{site.url}/x?y=1") as response:
            assert {"ok": True} == await response.json()
        tokens.rotate()

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [] == tokens.rejected


async def test_any_other_origin_gets_nothing(serve, tokens, connect):
    """Another port is another origin: no header, no token asked for, its 401 left alone."""
    api = Api()
    site = await serve(api)
    http = connect("https://api.example.com", site.url.replace("127.0.0.1", "localhost"))

    async with http.get(site.url) as response:
        assert 401 == response.status

    assert [None] == api.seen
    assert 0 == tokens.asked


@pytest.mark.parametrize("where", ["session", "request"])
async def test_the_callers_own_header_is_left_alone(serve, tokens, connect, where):
    """Whoever sets Authorization means it, and gets the 401 it earns."""
    api = Api()
    site = await serve(api)
    mine = {"authorization": "Basic abc"}
    http = connect(site.url, headers=mine if where == "session" else None)

    async with http.get(site.url, headers=mine if where == "request" else None) as response:
        assert 401 == response.status

    assert ["Basic abc"] == api.seen
    assert 0 == tokens.asked


@pytest.mark.parametrize(
    "fault", [AuthSessionMissing(), ServerUnavailable("down"), ManagerClosed()]
)
async def test_nothing_is_sent_without_a_token(serve, tokens, connect, fault):
    """Where no token is to be had, the request raises why."""
    site = await serve(Api())
    tokens.fault = fault

    with pytest.raises(type(fault)) as caught:
        await connect(site.url).get(site.url)

    assert fault is caught.value
    assert [] == site.requests


async def test_a_401_is_refreshed_and_sent_again(serve, tokens, connect):
    """The refused token is refreshed and the same request goes out once more."""
    api = Api("t2")
    site = await serve(api)

    async with connect(site.url).post(site.url, json={"a": 1}) as response:
        assert 200 == response.status

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [b'{"a": 1}'] * 2 == api.bodies
    assert [1] == tokens.rejected


async def test_fifty_401s_cost_one_refresh(serve, tokens, connect):
    """Generations are compared, so whoever comes late takes what is there."""
    api = Api("t2")
    site = await serve(api)
    http = connect(site.url)

    async def get() -> int:
        async with http.get(site.url) as response:
            return response.status

    assert [200] * 50 == await asyncio.gather(*(get() for _ in range(50)))
    assert 1 == tokens.refreshes
    assert {1} == set(tokens.rejected)


async def test_a_pool_of_one_connection_is_enough(serve, tokens, connect):
    """While a token is refreshed, the refused response keeps no connection busy."""
    api = Api("t2")
    site = await serve(api)
    http = connect(site.url, connector=aiohttp.TCPConnector(limit=1))
    refresh = tokens.get_token

    async def get_token(*, rejected=None):
        if rejected is not None:
            async with http.get(site.url, headers={"Authorization": "Bearer t2"}) as response:
                assert 200 == response.status
        return await refresh(rejected=rejected)

    tokens.get_token = get_token

    async with http.get(site.url) as response:
        assert 200 == response.status


async def test_a_401_to_the_new_token_is_handed_back(serve, tokens, connect):
    """One refresh per request: if the new token is refused too, the user sees that."""
    api = Api()
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status
        assert "bad_jwt" == (await response.json())["error_code"]

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [1] == tokens.rejected


async def test_a_token_that_others_refreshed_gets_its_own_chance(serve, tokens, connect):
    """The next token was there already; if it is refused as well, it is refreshed once."""
    api = Api("t3")
    site = await serve(api)

    def refuse(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer t1":
            tokens.rotate()
        return web.Response(status=401)

    api.refuse = refuse

    async with connect(site.url).get(site.url) as response:
        assert 200 == response.status

    assert ["Bearer t1", "Bearer t2", "Bearer t3"] == api.seen
    assert [1, 2] == tokens.rejected


async def test_a_manager_that_shows_no_session_gets_one_replay(serve, tokens, connect):
    """Without a session to look at, one replay is all there is."""
    tokens.shows_session = False
    api = Api()
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status

    assert [1] == tokens.rejected


async def test_the_same_generation_is_not_sent_again(serve, tokens, connect):
    """If the manager keeps the token (it was refreshed a moment ago), so be it."""
    api = Api()
    site = await serve(api)

    async def keep(*, rejected=None):
        return tokens.current

    tokens.get_token = keep

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status

    assert ["Bearer t1"] == api.seen


async def test_a_pinned_token_is_not_refreshed(serve, tokens, connect):
    """Generation 0 is what the user pinned; its 401 is handed back."""
    tokens.generation = 0
    api = Api()
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status

    assert ["Bearer t0"] == api.seen
    assert [] == tokens.rejected


@pytest.mark.parametrize(
    "refusal",
    [
        {"headers": {"WWW-Authenticate": 'Bearer realm="x", error="insufficient_scope"'}},
        {"headers": {"x-sb-error-code": "insufficient_aal"}},
        {"text": '{"error_code": "insufficient_aal"}', "content_type": "application/json"},
        {"text": '{"code": "insufficient_aal"}', "content_type": "text/plain"},
        {"text": '{"error": "insufficient_scope"}'},
    ],
    ids=["challenge", "header", "error_code", "code", "error"],
)
async def test_a_refusal_of_something_else_is_handed_back(serve, tokens, connect, refusal):
    """The token is good but not for this: refreshing would not help."""
    api = Api()
    api.refuse = lambda _: web.Response(status=401, **refusal)
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status
        assert refusal.get("text", "") == await response.text()

    assert [] == tokens.rejected


@pytest.mark.parametrize(
    "text",
    ["<h1>Unauthorized</h1>", "", "[1]", '{"error_code": 5}', "[" * 50_000, "\ud800"],
    ids=["html", "empty", "list", "number", "deep", "no utf-8"],
)
async def test_any_other_401_means_the_token(serve, tokens, connect, text):
    """Whatever the body is, it is not a reason."""
    api = Api("t2")
    api.refuse = lambda _: web.Response(status=401, body=text.encode("utf-8", "surrogatepass"))
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 200 == response.status


async def test_a_401_that_breaks_off_means_the_token(serve, tokens, connect):
    """Half a body says nothing; the request is sent again."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        good = b"Bearer t2" in head
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            if good
            else b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{"
        )
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(url).get(url) as response:
            assert 200 == response.status


async def test_a_huge_401_is_not_read(serve, tokens, connect):
    """A large body stays where it is until the user wants it."""
    api = Api()
    api.refuse = lambda _: web.Response(status=401, body=bytes(10_000_000))
    site = await serve(api)

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status
        assert 10_000_000 == len(await response.read())

    assert ["Bearer t1", "Bearer t2"] == api.seen


async def test_while_the_server_is_away_the_401_is_the_answer(serve, tokens, connect):
    """A refresh that fails for now hands back the 401, body and all."""
    api = Api()
    site = await serve(api)
    get_token = tokens.get_token

    async def fail(*, rejected=None):
        if rejected is not None:
            raise ServerUnavailable("down")
        return await get_token()

    tokens.get_token = fail

    async with connect(site.url).get(site.url) as response:
        assert 401 == response.status
        assert "no" == (await response.json())["msg"]


@pytest.mark.parametrize("error", [RefreshRejected("over"), asyncio.CancelledError()])
async def test_a_refresh_that_ends_the_session_raises(serve, tokens, connect, error):
    """Final refusals, and being cancelled, leave no response and no connection behind."""
    api = Api()
    site = await serve(api)
    get_token = tokens.get_token

    async def fail(*, rejected=None):
        if rejected is not None:
            raise error
        return await get_token()

    tokens.get_token = fail
    http = connect(site.url, connector=aiohttp.TCPConnector(limit=1))

    for _ in range(2):
        with pytest.raises(type(error)):
            await http.get(site.url)


async def numbers():
    """Stream a body."""
    yield b"1"
    yield b"2"


def form(value: object) -> aiohttp.FormData:
    """Return a multipart form."""
    data = aiohttp.FormData()
    data.add_field("file", value, filename="a.txt")
    data.add_field("other", "x")
    return data


@pytest.mark.parametrize(
    "body",
    [
        lambda _: None,
        lambda _: b"12",
        lambda _: "12",
        lambda _: {"a": "12"},
        lambda _: io.BytesIO(b"12"),
        lambda _: io.StringIO("12"),
        lambda _: form(b"12"),
        lambda _: form(io.BytesIO(b"12")),
        lambda path: path.open("rb"),
        lambda path: form(path.open("rb")),
    ],
    ids=[
        "none",
        "bytes",
        "str",
        "form",
        "BytesIO",
        "StringIO",
        "multi",
        "multiIO",
        "file",
        "upload",
    ],
)
async def test_a_body_that_is_there_is_sent_again(serve, tokens, connect, tmp_path, body):
    """The replay carries the very same bytes."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"12")
    api = Api("t2")
    site = await serve(api)

    async with connect(site.url).post(site.url, data=body(path)) as response:
        assert 200 == response.status

    first, second = api.bodies
    assert first == second


@pytest.fixture
def pipe():
    """Return a file that cannot be rewound."""
    end, start = os.pipe()
    os.write(start, b"12")
    os.close(start)
    with os.fdopen(end, "rb") as file:
        yield file


@pytest.mark.parametrize(
    "body",
    [lambda _: numbers(), lambda pipe: pipe, lambda _: form(numbers()), form],
    ids=["generator", "pipe", "generator in a form", "pipe in a form"],
)
async def test_a_consumed_body_is_not_sent_again(serve, tokens, connect, pipe, body):
    """The 401 is handed back, but the next request has a better token."""
    api = Api("t2")
    site = await serve(api)
    http = connect(site.url)

    async with http.post(site.url, data=body(pipe)) as response:
        assert 401 == response.status
        assert "no" == (await response.json())["msg"]
    async with http.get(site.url) as response:
        assert 200 == response.status

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert b"2" in api.bodies[0]


@pytest.mark.parametrize("data", [bytes(900_000), b"stream"], ids=["bytes", "stream"])
async def test_a_401_before_the_body_is_sent(serve, tokens, connect, data):
    """A server may refuse by the headers alone; only what is in memory is sent again then."""
    statuses = []

    async def refuse(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer t2":
            assert data == await request.read()
            return web.Response()
        response = web.Response(status=401, text="early")
        await response.prepare(request)
        await response.write_eof()
        return response

    release = asyncio.Event()

    async def slow():
        yield b"s"
        await release.wait()
        yield b"tream"

    site = await serve(refuse)
    async with connect(site.url).post(
        site.url, data=slow() if data == b"stream" else data
    ) as response:
        statuses.append(response.status)
    release.set()

    assert [401 if data == b"stream" else 200] == statuses
    assert [1] == tokens.rejected


async def test_expect_100_continue_is_asked_again(serve, tokens, connect):
    """The replay waits for its own go-ahead."""

    async def expect(request: web.Request) -> web.StreamResponse | None:
        if request.headers["Authorization"] != "Bearer t2":
            return web.Response(status=401)
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    bodies = []

    async def handle(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_route("POST", "/", handle, expect_handler=expect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with connect(url).post(url, data=b"12", expect100=True) as response:
            assert 200 == response.status
    finally:
        await runner.cleanup()

    assert [b"12"] == bodies


async def test_a_redirect_elsewhere_never_carries_the_token(serve, tokens, connect):
    """Each hop is looked at by itself: away without the token, back home with it."""
    home_seen, away_seen = [], []
    urls = {}

    async def away(request: web.Request) -> web.StreamResponse:
        away_seen.append(request.headers.get("Authorization"))
        raise web.HTTPTemporaryRedirect(urls["home"] + "/back")

    async def home(request: web.Request) -> web.StreamResponse:
        home_seen.append(request.headers.get("Authorization"))
        if request.path == "/back":
            return web.Response(body=await request.read())
        raise web.HTTPTemporaryRedirect(urls["away"])

    urls["home"], urls["away"] = (await serve(home)).url, (await serve(away)).url

    async with connect(urls["home"]).post(urls["home"], data=b"12") as response:
        assert b"12" == await response.read()

    assert ["Bearer t1", "Bearer t1"] == home_seen
    assert [None] == away_seen


async def test_a_redirect_within_an_origin_keeps_the_token(serve, tokens, connect):
    """The second hop is a request like any other, its 401 included."""
    api = Api("t2")

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            raise web.HTTPFound("/there")
        return await api(request)

    site = await serve(handle)

    async with connect(site.url).get(site.url) as response:
        assert 200 == response.status

    assert ["Bearer t1", "Bearer t2"] == api.seen


async def test_web_sockets_are_opened_with_the_token(serve, tokens, connect):
    """A handshake is a request: it carries the token and is repeated after a 401."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer t2":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    site = await serve(handle)

    for url in (site.url, site.url.replace("http:", "ws:")):
        tokens.generation = 1
        async with connect(site.url).ws_connect(url) as socket:
            assert "hello" == await socket.receive_str()

    assert [1, 1] == tokens.rejected


async def test_a_refused_web_socket_raises_what_aiohttp_raises(serve, tokens, connect):
    """The 401 is handed back to ws_connect, which has its own error for it."""
    site = await serve(Api())

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await connect(site.url).ws_connect(site.url)

    assert 401 == caught.value.status


async def test_raise_for_status_comes_after_the_replay(serve, tokens, connect):
    """A session that raises sees the last answer only."""
    api = Api("t2")
    site = await serve(api)
    http = connect(site.url, raise_for_status=True)

    async with http.get(site.url) as response:
        assert 200 == response.status
    api.good.clear()
    with pytest.raises(aiohttp.ClientResponseError):
        await http.get(site.url)


async def test_one_middleware_serves_many_sessions_and_single_requests(serve, tokens):
    """It keeps nothing between requests."""
    api = Api("t1")
    site = await serve(api)
    middleware = bearer(tokens, site.url)

    for _ in range(2):
        async with (
            aiohttp.ClientSession() as http,
            http.get(site.url, middlewares=[middleware]) as response,
        ):
            assert 200 == response.status

    assert ["Bearer t1"] * 2 == api.seen
