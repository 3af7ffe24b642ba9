"""`SuperTokensAuth`, with both libraries: what httpx does of its own accord, above all.

What it has in common with the other adapter is tried in `tests/interop`, on real back ends.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging

import pytest
from aiohttp import web

from async_auth.errors import ConfigurationError, TemporaryError
from async_auth.events import ApiInvalidClaim
from async_auth.integrations.httpx import SuperTokensAuth
from async_auth.supertokens import SuperTokensClient
from async_auth.supertokens.front_token import FrontToken

REFRESH = "/auth/session/refresh"
COOKIE = "sAccessToken"


def segment(value):
    """Return a segment of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Api:
    """An API whose only good access token is the last one that it has issued."""

    def __init__(self, clock):
        self.clock = clock
        self.url = ""
        self.requests = []
        self.bodies = []
        self.good = None
        #: What a path is answered with, in place of the session's user.
        self.routes = {}
        self._numbers = itertools.count(1)

    def paths(self):
        """Return which paths were asked for."""
        return [request.path for request in self.requests]

    def seen(self, name, path="/x"):
        """Return a header of every request to *path*."""
        return [request.headers.get(name) for request in self.requests if request.path == path]

    def tell(self, response, method="header", *, refresh=True):
        """Let *response* set a session, or only its access token."""
        number, now = next(self._numbers), int(self.clock.now())
        payload = {"sub": "ada", "iat": now, "exp": now + 3600, "sessionHandle": "h", "n": number}
        header = {"alg": "RS256", "typ": "JWT", "version": "5", "kid": "d-1"}
        self.good = f"{segment(header)}.{segment(payload)}.c2ln"
        front = FrontToken(user_id="ada", expires_at=payload["exp"], payload=payload)
        response.headers["front-token"] = front.encode()
        if method == "cookie":
            response.headers.add("Set-Cookie", f"{COOKIE}={self.good}; Path=/; HttpOnly")
            if refresh:
                line = f'sRefreshToken="r{number}/=="; Path={REFRESH}; HttpOnly'
                response.headers.add("Set-Cookie", line)
        else:
            response.headers["st-access-token"] = self.good
            if refresh:
                response.headers["st-refresh-token"] = f"r{number}/=="
        return response

    async def __call__(self, request):
        """Answer one request."""
        self.requests.append(request)
        self.bodies.append(await request.read())
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = token or request.cookies.get(COOKIE, "")
        if request.path in self.routes:
            return self.routes[request.path](request)
        if request.path == "/login":
            return self.tell(web.json_response({}), request.headers["st-auth-mode"])
        if request.path == REFRESH:
            method = "header" if "Authorization" in request.headers else "cookie"
            return self.tell(web.json_response({}), method)
        if token != self.good or not token:
            return web.json_response({"message": "try refresh token"}, status=401)
        return web.json_response({"user": "ada"})


@pytest.fixture
async def api(serve, manual_clock):
    """Serve the API."""
    found = Api(manual_clock)
    found.url = (await serve(found)).url
    return found


@pytest.fixture(params=["header", "cookie"])
def method(request):
    """Give each way that tokens travel."""
    return request.param


@pytest.fixture
async def client(api, manual_clock):
    """Return a client that is not signed in."""
    async with SuperTokensClient(api.url, clock=manual_clock, auto_refresh=False) as found:
        yield found


@pytest.fixture
async def cookies(api, manual_clock):
    """Return a client whose tokens travel in cookies."""
    options = {"clock": manual_clock, "auto_refresh": False}
    async with SuperTokensClient(api.url, token_transfer_method="cookie", **options) as found:
        yield found


@pytest.fixture
async def of_method(method, client, cookies):
    """Return the client of each way."""
    return client if method == "header" else cookies


@pytest.fixture
def sign_in(api, open_client):
    """Return a function that opens an HTTP client and signs in with it."""

    async def start(client, **options):
        options.setdefault("follow_redirects", True)
        http = await open_client(SuperTokensAuth(client), base_url=api.url, **options)
        assert 200 == (await http.post("/login")).status_code
        return http

    return start


def test_a_client_that_is_not_async_is_refused(library):
    """It is told at once, and nothing is sent."""
    auth = SuperTokensAuth(SuperTokensClient("https://api.example.com"))
    with (
        library.Client(auth=auth, trust_env=False) as http,
        pytest.raises(ConfigurationError, match="SuperTokensAuth is for AsyncClient"),
    ):
        http.get("https://api.example.com")


async def test_a_session_is_taken_used_and_refreshed(api, of_method, sign_in):
    """Fifty requests that are refused cost one refresh, in headers and in cookies."""
    http = await sign_in(of_method)
    assert {"user": "ada"} == (await http.get("/x")).json()
    api.good = "another"

    found = await asyncio.gather(*(http.post("/x", content=b"12") for _ in range(50)))

    assert [200] * 50 == [response.status_code for response in found]
    assert 1 == api.paths().count(REFRESH)
    assert {b"12"} == set(api.bodies[-50:])


async def test_headers_arrive_as_they_were(api, client, sign_in):
    """Repeats, and values that are not ASCII, are the user's."""
    http = await sign_in(client)
    headers = [("X-Name", "Åsa".encode("latin-1")), ("X-List", b"1"), ("X-List", b"2")]

    await http.get("/x", headers=headers)

    raw = dict.fromkeys(pair for pair in api.requests[-1].raw_headers if pair[0][:2] == b"X-")
    assert [(name.encode(), value) for name, value in headers] == list(raw)
    assert ["anti-csrf"] == api.seen("rid")


async def test_a_token_that_an_answer_brings_is_used(api, of_method, method, sign_in):
    """A swap after a refresh, or a changed claim: whatever the answer's status."""
    http = await sign_in(of_method)
    api.routes["/swap"] = lambda _: api.tell(web.Response(status=404), method, refresh=False)

    assert 404 == (await http.get("/swap")).status_code
    assert 200 == (await http.get("/x")).status_code

    assert 0 == api.paths().count(REFRESH)


async def test_every_answer_is_read_once(api, client, sign_in):
    """Also one that was refused, brought tokens all the same, and is history by now."""
    http = await sign_in(client)
    answers = [web.Response(status=200), api.tell(web.Response(status=401))]
    api.routes["/odd"] = lambda _: answers.pop()

    assert 200 == (await http.get("/odd")).status_code

    assert 2 == client.session.generation


async def test_front_token_remove_ends_the_session(api, of_method, sign_in):
    """And the library's own jar does not bring it back."""
    http = await sign_in(of_method)
    gone = {"front-token": "remove"}
    api.routes["/bye"] = lambda _: web.json_response({}, headers=gone)

    await http.get("/bye")

    assert of_method.session is None
    assert 401 == (await http.get("/x")).status_code
    assert [None, None] == [*api.seen("Authorization"), *api.seen("Cookie")]


async def test_a_missing_claim_is_told(api, client, sign_in, record_events):
    """The 403 is handed back, and can be read."""
    http = await sign_in(client)
    recorder = await record_events(client)
    body = {"message": "invalid claim", "claimValidationErrors": [{"id": "st-ev"}]}
    api.routes["/needs"] = lambda _: web.json_response(body, status=403)

    response = await http.get("/needs")

    assert body == response.json()
    event = await recorder.wait_for(ApiInvalidClaim)
    assert ["st-ev"] == [error["id"] for error in event.claim_validation_errors]


async def test_another_origin_gets_nothing(api, client, sign_in, serve):
    """Nothing is added, and nothing is read; the refresh is left alone as well."""
    other = Api(api.clock)
    site = await serve(other)
    http = await sign_in(client)
    session = client.session

    await http.get(f"{site.url}/x")
    other.routes["/set"] = lambda _: other.tell(web.json_response({}))
    await http.get(f"{site.url}/set")
    await http.get(REFRESH)

    assert [None, None] == [other.seen("st-auth-mode")[0], other.seen("Authorization")[0]]
    assert [None] == api.seen("st-auth-mode", REFRESH)
    assert session is client.session


async def test_the_callers_own_header(api, client, sign_in):
    """It stays, and its refusal is the answer."""
    http = await sign_in(client)

    assert 401 == (await http.get("/x", headers={"Authorization": "Bearer mine"})).status_code

    assert ["Bearer mine"] == api.seen("Authorization")


async def test_without_a_good_token_nothing_is_sent(api, client, sign_in, manual_clock):
    """An outage while the token has expired is raised."""
    http = await sign_in(client)
    api.routes[REFRESH] = lambda _: web.Response(status=503)
    await manual_clock.advance(3601)

    with pytest.raises(TemporaryError):
        await http.get("/x")

    assert [] == api.seen("Authorization")


async def numbers():
    """Stream a body."""
    yield b"1"
    yield b"2"


async def test_a_stream_is_not_sent_again(api, client, sign_in, caplog):
    """The refusal is handed back and readable; the session is refreshed all the same."""
    http = await sign_in(client)
    api.good = "another"

    with caplog.at_level(logging.INFO, "async_auth.integrations.httpx"):
        response = await http.post("/x", content=numbers())

    assert {"message": "try refresh token"} == response.json()
    assert ["A refused request is not sent again: its body was a stream"] == [
        record.getMessage()
        for record in caplog.records
        if "httpx" in record.name and "sent" in record.getMessage()
    ]
    assert 200 == (await http.get("/x")).status_code
    assert (1, b"12") == (api.paths().count(REFRESH), api.bodies[1])


async def test_a_login_that_redirects(api, of_method, method, open_client):
    """The answer on the way has the session; the next hop is in its name at the second try."""
    api.routes["/enter"] = lambda _: api.tell(
        web.Response(status=303, headers={"Location": "/x"}), method
    )
    http = await open_client(SuperTokensAuth(of_method), base_url=api.url, follow_redirects=True)

    assert 200 == (await http.post("/enter")).status_code

    assert 1 == api.paths().count("/enter")
    assert "ada" == await of_method.get_user_id()


async def test_a_redirect_keeps_the_session(api, of_method, sign_in):
    """A hop that is refused is sent again from there, by the token that came of one refresh."""
    api.routes["/go"] = lambda _: web.Response(status=303, headers={"Location": "/x"})
    http = await sign_in(of_method)
    assert 200 == (await http.post("/go")).status_code
    assert 0 == api.paths().count(REFRESH)
    api.good = "another"

    assert 200 == (await http.post("/go")).status_code

    assert 2 == api.paths().count("/go")
    assert 1 == api.paths().count(REFRESH)


async def test_a_stale_cookie_on_a_redirect_costs_no_refresh(api, cookies, sign_in):
    """The library's jar knows nothing of our refreshes: the hop is sent again with our cookie."""
    api.routes["/go"] = lambda _: web.Response(status=303, headers={"Location": "/x"})
    http = await sign_in(cookies)
    await cookies.refresh_session()

    assert 200 == (await http.post("/go")).status_code

    assert 1 == api.paths().count(REFRESH)


async def test_a_redirect_elsewhere_carries_nothing(api, of_method, sign_in, serve):
    """Neither header nor cookie; and what is said or refused there is not about us."""
    other = Api(api.clock)
    away = (await serve(other)).url.replace("127.0.0.1", "localhost")
    api.routes["/go"] = lambda _: web.Response(status=307, headers={"Location": f"{away}/x"})
    http = await sign_in(of_method)
    session = of_method.session

    assert 401 == (await http.post("/go")).status_code

    assert [None, None] == [*other.seen("Authorization"), *other.seen("Cookie")]
    assert (session, 0) == (of_method.session, api.paths().count(REFRESH))


async def test_a_redirect_from_elsewhere(api, of_method, method, sign_in, serve):
    """It gets the session at the second try, and its answers are read."""
    other = Api(api.clock)
    away = (await serve(other)).url.replace("127.0.0.1", "localhost")
    other.routes["/go"] = lambda _: web.Response(status=307, headers={"Location": f"{api.url}/x"})
    http = await sign_in(of_method)
    http.cookies.clear()

    assert 200 == (await http.get(f"{away}/go")).status_code

    assert 2 == len(api.seen("Authorization"))
    assert 0 == api.paths().count(REFRESH)


async def test_a_login_at_the_end_of_a_redirect_from_elsewhere(api, client, open_client, serve):
    """A way through an identity provider ends at a route that sets the session."""
    other = Api(api.clock)
    away = (await serve(other)).url
    back = {"Location": f"{api.url}/callback"}
    other.routes["/authorize"] = lambda _: web.Response(status=303, headers=back)
    api.routes["/callback"] = lambda _: api.tell(web.json_response({}))
    http = await open_client(SuperTokensAuth(client), follow_redirects=True)

    assert 200 == (await http.get(f"{away}/authorize")).status_code

    assert "ada" == await client.get_user_id()
