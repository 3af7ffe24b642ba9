"""`Auth`, with both libraries and real servers on loopback."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Callable

import pytest
from aiohttp import web

from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshRejected,
    ServerUnavailable,
)
from async_auth.gotrue.client import GoTrueClient
from async_auth.integrations.httpx import Auth
from async_auth.session import AccessToken, Session
from async_auth.testing import GoTrueServer, ManualClock


class Tokens:
    """A manager that hands out t1, t2, … and says which were asked for and rejected."""

    def __init__(self) -> None:
        self.generation = 1
        self.asked = 0
        self.rejected: list[int] = []
        self.fault: BaseException | None = None
        self.refresh_fault: BaseException | None = None
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
            if self.fault is not None:
                raise self.fault
            return self.current
        self.rejected.append(rejected.generation)
        await asyncio.sleep(0)
        if self.refresh_fault is not None:
            raise self.refresh_fault
        if rejected.generation == self.generation:
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
def connect(tokens, open_client):
    """Return a function that opens a client whose token goes to some origins."""

    async def start(*origins: str, **options):
        return await open_client(Auth(tokens, origins), **options)

    return start


@pytest.mark.parametrize("origins", [[], "api.example.com", "http://api.example.com"])
def test_origins_are_checked_at_once(tokens, origins):
    """A mistake is raised where it is made, not at the first request."""
    with pytest.raises(ConfigurationError, match=r"^origins: "):
        Auth(tokens, origins)

    assert Auth(tokens, "http://api.example.com", allow_insecure=True)


def test_a_client_that_is_not_async_is_refused(library, tokens):
    """It is told at once, and nothing is sent."""
    with (
        library.Client(auth=Auth(tokens, "https://api.example.com"), trust_env=False) as http,
        pytest.raises(ConfigurationError, match="Auth is for AsyncClient"),
    ):
        http.get("https://api.example.com")


@pytest.mark.parametrize(
    "origin,url",
    [
        ("https://api.example.com", "HTTPS://API.example.com:443/x"),
        ("https://bücher.example", "https://bücher.example/x"),
        ("http://[::1]:8000", "http://[::1]:8000/x"),
        ("http://127.0.0.1", "http://127.0.0.1/x"),
    ],
)
async def test_spellings_of_one_origin(library, tokens, open_client, origin, url):
    """Whatever httpx makes of a URL is compared in its normal form."""
    seen = []

    def answer(request):
        seen.append(request.headers["Authorization"])
        return library.Response(200)

    http = await open_client(Auth(tokens, origin), transport=library.MockTransport(answer))
    await http.get(url)

    assert ["Bearer t1"] == seen


async def test_a_listed_origin_gets_the_token(serve, tokens, connect):
    """Every request carries the token of the moment."""
    api = Api("t1", "t2")
    site = await serve(api)
    http = await connect(site.url)

    for _ in range(2):
        assert {"ok": True} == (await http.get(f"{site.url}/x?y=1")).json()
        tokens.rotate()

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [] == tokens.rejected


async def test_any_other_origin_gets_nothing(serve, tokens, connect):
    """Another port is another origin: no header, no token asked for, its 401 left alone."""
    api = Api()
    site = await serve(api)
    http = await connect("https://api.example.com", site.url.replace("127.0.0.1", "localhost"))

    assert 401 == (await http.get(site.url)).status_code

    assert [None] == api.seen
    assert 0 == tokens.asked


@pytest.mark.parametrize("where", ["client", "request"])
async def test_the_callers_own_header_is_left_alone(serve, tokens, connect, where):
    """Whoever sets Authorization means it, and gets the 401 it earns."""
    api = Api()
    site = await serve(api)
    mine = {"authorization": "Basic abc"}
    http = await connect(site.url, headers=mine if where == "client" else None)

    response = await http.get(site.url, headers=mine if where == "request" else None)

    assert (401, ["Basic abc"], 0) == (response.status_code, api.seen, tokens.asked)


@pytest.mark.parametrize(
    "fault", [AuthSessionMissing(), ServerUnavailable("down"), ManagerClosed()]
)
async def test_nothing_is_sent_without_a_token(serve, tokens, connect, fault):
    """Where no token is to be had, the request raises why."""
    site = await serve(Api())
    tokens.fault = fault
    http = await connect(site.url)

    with pytest.raises(type(fault)) as caught:
        await http.get(site.url)

    assert fault is caught.value
    assert [] == site.requests


async def test_a_401_is_refreshed_and_sent_again(serve, tokens, connect):
    """The refused token is refreshed and the same request goes out once more."""
    api = Api("t2")
    site = await serve(api)
    http = await connect(site.url)

    assert 200 == (await http.post(site.url, content=b"12")).status_code

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [b"12"] * 2 == api.bodies
    assert [1] == tokens.rejected


async def test_fifty_401s_cost_one_refresh(serve, tokens, connect):
    """Generations are compared, so whoever comes late takes what is there."""
    api = Api("t2")
    site = await serve(api)
    http = await connect(site.url)

    found = await asyncio.gather(*(http.get(site.url) for _ in range(50)))

    assert [200] * 50 == [response.status_code for response in found]
    assert (1, {1}) == (tokens.refreshes, set(tokens.rejected))


async def test_fifty_401s_with_a_real_client(library, manual_clock):
    """The server allows no refresh token to be spent twice."""
    clock, account = ManualClock(), {"email": "ada@example.com", "password": "correct-horse-1"}
    async with (
        GoTrueServer(clock=clock, reuse_interval=0, parent_rule=False) as server,
        GoTrueClient(server.url, clock=manual_clock) as client,
    ):
        server.create_user(**account)
        await client.sign_in_with_password(**account)
        clock.advance(3601)
        auth = Auth(client, server.url.removesuffix("/auth/v1"))
        async with library.AsyncClient(auth=auth, trust_env=False, timeout=None) as http:
            found = await asyncio.gather(*(http.get(server.protected_url) for _ in range(50)))

        assert Counter({200: 50}) == Counter(response.status_code for response in found)
        assert 1 == server.counts["/token?grant_type=refresh_token"]


async def test_a_pool_of_one_connection_is_enough(serve, tokens, connect, library):
    """While a token is refreshed, the refused response keeps no connection busy."""
    site = await serve(Api("t2"))
    http = await connect(site.url, limits=library.Limits(max_connections=1))
    refresh = tokens.get_token

    async def get_token(*, rejected=None):
        if rejected is not None:
            response = await http.get(site.url, headers={"Authorization": "Bearer t2"})
            assert 200 == response.status_code
        return await refresh(rejected=rejected)

    tokens.get_token = get_token

    assert 200 == (await http.get(site.url)).status_code


async def test_a_401_to_the_new_token_is_handed_back(serve, tokens, connect):
    """One refresh per request: if the new token is refused too, the user sees that."""
    api = Api()
    site = await serve(api)
    http = await connect(site.url)

    response = await http.get(site.url)

    assert (401, "bad_jwt") == (response.status_code, response.json()["error_code"])
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
    http = await connect(site.url)

    assert 200 == (await http.get(site.url)).status_code

    assert ["Bearer t1", "Bearer t2", "Bearer t3"] == api.seen
    assert [1, 2] == tokens.rejected


async def test_a_manager_that_shows_no_session_gets_one_replay(serve, tokens, connect):
    """Without a session to look at, one replay is all there is."""
    tokens.shows_session = False
    site = await serve(Api())
    http = await connect(site.url)

    assert 401 == (await http.get(site.url)).status_code

    assert [1] == tokens.rejected


async def test_the_same_generation_is_not_sent_again(serve, tokens, connect):
    """If the manager keeps the token (it was refreshed a moment ago), so be it."""
    api = Api()
    site = await serve(api)

    async def keep(*, rejected=None):
        return tokens.current

    tokens.get_token = keep
    http = await connect(site.url)

    assert 401 == (await http.get(site.url)).status_code

    assert ["Bearer t1"] == api.seen


async def test_a_pinned_token_is_not_refreshed(serve, tokens, connect):
    """Generation 0 is what the user pinned; its 401 is handed back."""
    tokens.generation = 0
    api = Api()
    site = await serve(api)
    http = await connect(site.url)

    assert 401 == (await http.get(site.url)).status_code

    assert (["Bearer t0"], []) == (api.seen, tokens.rejected)


@pytest.mark.parametrize(
    "refusal",
    [
        {"headers": {"WWW-Authenticate": 'Bearer realm="x", error="insufficient_scope"'}},
        {"headers": {"x-sb-error-code": "insufficient_aal"}},
        {"text": '{"error_code": "insufficient_aal"}', "content_type": "application/json"},
        {"text": '{"error": "insufficient_scope"}'},
    ],
    ids=["challenge", "header", "error_code", "error"],
)
async def test_a_refusal_of_something_else_is_handed_back(serve, tokens, connect, refusal):
    """The token is good but not for this: refreshing would not help."""
    api = Api()
    api.refuse = lambda _: web.Response(status=401, **refusal)
    site = await serve(api)
    http = await connect(site.url)

    response = await http.get(site.url)

    assert (401, refusal.get("text", "")) == (response.status_code, response.text)
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
    http = await connect(site.url)

    assert 200 == (await http.get(site.url)).status_code


async def test_a_401_that_breaks_off_raises_what_httpx_raises(tokens, connect, library):
    """An answer that never came whole is none, with or without us."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        http = await connect(url)
        with pytest.raises(library.RemoteProtocolError):
            await http.get(url)


async def test_a_huge_401_is_judged_by_its_headers(serve, tokens, connect):
    """What it says inside is not looked for; its user gets it whole."""
    api = Api()
    text = '{"error": "insufficient_scope", "x": "%s"}' % ("x" * 100_000)
    api.refuse = lambda _: web.Response(status=401, text=text)
    site = await serve(api)
    http = await connect(site.url)

    assert text == (await http.get(site.url)).text

    assert [1] == tokens.rejected


async def test_while_the_server_is_away_the_401_is_the_answer(serve, tokens, connect):
    """A refresh that fails for now hands back the 401, body and all, to those who stream too."""
    site = await serve(Api())
    tokens.refresh_fault = ServerUnavailable("down")
    http = await connect(site.url)

    async with http.stream("GET", site.url) as response:
        assert 401 == response.status_code
        assert b'"no"' in b"".join([part async for part in response.aiter_bytes()])


@pytest.mark.parametrize("error", [RefreshRejected("over"), asyncio.CancelledError()])
async def test_a_refresh_that_ends_the_session_raises(serve, tokens, connect, library, error):
    """Final refusals, and being cancelled, leave no response and no connection behind."""
    site = await serve(Api())
    tokens.refresh_fault = error
    http = await connect(site.url, limits=library.Limits(max_connections=1))

    for _ in range(2):
        with pytest.raises(type(error)):
            await http.get(site.url)


async def numbers():
    """Stream a body."""
    yield b"1"
    yield b"2"


@pytest.mark.parametrize(
    "body",
    [
        lambda _: {},
        lambda _: {"content": b"12"},
        lambda _: {"content": "12"},
        lambda _: {"json": {"a": 12}},
        lambda _: {"data": {"a": "12"}},
        lambda _: {"data": {"a": "12"}, "files": {"file": b"12"}},
        lambda _: {"files": {"file": io.BytesIO(b"12")}},
        lambda path: {"files": {"file": path.open("rb")}},
    ],
    ids=["none", "bytes", "str", "json", "form", "multi", "multiIO", "upload"],
)
async def test_a_body_that_is_there_is_sent_again(serve, tokens, connect, tmp_path, body):
    """The replay carries the very same bytes."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"12")
    api = Api("t2")
    site = await serve(api)
    http = await connect(site.url)
    options = body(path)

    assert 200 == (await http.post(site.url, **options)).status_code

    first, second = api.bodies
    assert first == second
    file = options.get("files", {}).get("file")
    if hasattr(file, "close"):
        file.close()


class OneWay:
    """A file that cannot be rewound."""

    def __init__(self):
        self.parts = [b"1", b"2"]

    def read(self, size=-1):
        """Return the next part."""
        return self.parts.pop(0) if self.parts else b""


@pytest.mark.parametrize(
    "body",
    [lambda: {"content": numbers()}, lambda: {"files": {"file": OneWay()}}],
    ids=["generator", "pipe in a form"],
)
async def test_a_consumed_body_is_not_sent_again(serve, tokens, connect, body):
    """The 401 is handed back, but the next request has a better token."""
    api = Api("t2")
    site = await serve(api)
    http = await connect(site.url)

    response = await http.post(site.url, **body())

    assert (401, "no") == (response.status_code, response.json()["msg"])
    assert 200 == (await http.get(site.url)).status_code
    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert b"2" in api.bodies[0]


async def test_a_redirect_elsewhere_never_carries_the_token(serve, tokens, connect):
    """Away without the token; back home it is sent once more, with it."""
    home_seen, away_seen = [], []
    urls = {}

    async def away(request: web.Request) -> web.StreamResponse:
        away_seen.append(request.headers.get("Authorization"))
        raise web.HTTPTemporaryRedirect(urls["home"] + "/back")

    async def home(request: web.Request) -> web.StreamResponse:
        home_seen.append(request.headers.get("Authorization"))
        if request.path != "/back":
            raise web.HTTPTemporaryRedirect(urls["away"])
        status = 200 if "Authorization" in request.headers else 401
        return web.Response(body=await request.read(), status=status)

    urls["home"], urls["away"] = (await serve(home)).url, (await serve(away)).url
    http = await connect(urls["home"], follow_redirects=True)

    assert b"12" == (await http.post(urls["home"], content=b"12")).content

    assert ["Bearer t1", None, "Bearer t1"] == home_seen
    assert ([None], []) == (away_seen, tokens.rejected)


async def test_a_refusal_elsewhere_is_not_about_the_token(serve, tokens, connect):
    """It was not sent there."""
    away = await serve(Api())

    async def home(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(away.url)

    site = await serve(home)
    http = await connect(site.url, follow_redirects=True)

    assert 401 == (await http.get(site.url)).status_code

    assert (1, []) == (len(away.requests), tokens.rejected)


async def test_a_redirect_from_elsewhere_gets_the_token(serve, tokens, connect):
    """A request that did not begin at a listed origin may end there."""
    api = Api("t1")
    site = await serve(api)

    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(site.url)

    http = await connect(site.url, follow_redirects=True)

    assert 200 == (await http.get((await serve(away)).url)).status_code

    assert [None, "Bearer t1"] == api.seen


async def test_a_redirect_within_an_origin_keeps_the_token(serve, tokens, connect):
    """If the second hop is refused, it is sent again, and not the first one."""
    api, posted = Api("t2"), []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            posted.append(await request.read())
            raise web.HTTPSeeOther("/there")
        return await api(request)

    site = await serve(handle)
    http = await connect(site.url, follow_redirects=True)

    assert 200 == (await http.post(site.url, content=b"12")).status_code

    assert ["Bearer t1", "Bearer t2"] == api.seen
    assert [b"12"] == posted


async def test_one_auth_serves_many_clients_and_single_requests(serve, tokens, library):
    """It keeps nothing between requests."""
    api = Api("t1")
    site = await serve(api)
    auth = Auth(tokens, site.url)

    for _ in range(2):
        async with library.AsyncClient(trust_env=False, timeout=None) as http:
            assert 200 == (await http.get(site.url, auth=auth)).status_code

    assert ["Bearer t1"] * 2 == api.seen
