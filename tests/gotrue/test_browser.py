"""gotrue/browser.py: signing in with the user's browser, which an HTTP client stands in for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import webbrowser
from urllib.parse import parse_qs, urlsplit

import aiohttp
import attrs
import pytest

from async_auth import (
    ApiError,
    ConfigurationError,
    ManagerClosed,
    NetworkError,
    SignInRequired,
)
from async_auth.gotrue import GoTrueClient, browser
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer
from async_auth.transport import AiohttpTransport

DONE, FAILED = "You are signed in", "Not signed in"


class Gate(AiohttpTransport):
    """The real transport, which holds the exchange up until it is opened."""

    def __init__(self):
        super().__init__()
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def send(self, request, *, timeout):
        """Send it when the gate is open."""
        if "grant_type=pkce" in request.url:
            self.reached.set()
            await self.opened.wait()
        return await super().send(request, timeout=timeout)


@attrs.define(eq=False)
class Browser:
    """The user's browser: goes where it is sent, and keeps what it was shown."""

    http: aiohttp.ClientSession
    #: The address at which it was told to begin.
    url: str = ""
    pages: list[str] = attrs.field(factory=list)
    statuses: list[int] = attrs.field(factory=list)

    @property
    def back(self):
        """Where it is to come back."""
        (address,) = parse_qs(urlsplit(self.url).query)["redirect_to"]
        return address

    @property
    def home(self):
        """The same without our state."""
        return self.back.partition("?")[0]

    async def __call__(self, url):
        """Begin; the provider asks nothing."""
        self.url = url
        await self.visit(url)

    async def visit(self, url, method="GET", **options):
        """Go to an address, follow it, and read the page."""
        async with self.http.request(method, url, **options) as answer:
            self.pages.append(await answer.text())
            self.statuses.append(answer.status)

    async def finds_nobody(self):
        """Say whether the port is closed; it has to be one that nobody else can be given."""
        try:
            await self.visit(self.back)
        except aiohttp.ClientConnectorError:
            return True
        return False


@pytest.fixture
async def server():
    """Return a server whose provider signs everybody in as Ann."""
    async with GoTrueServer() as running:
        running.provider.sign_in_as("ann@example.com")
        yield running


@pytest.fixture
async def client(server):
    """Return a client of that server."""
    async with GoTrueClient(server.url) as started:
        yield started


@pytest.fixture
async def visitor():
    """Return a browser."""
    async with aiohttp.ClientSession() as http:
        yield Browser(http)


@pytest.fixture
async def begin():
    """Return a function that begins a sign-in and waits until its browser is told where to go."""
    begun = []

    async def start(client, visitor, **options):
        told = asyncio.Event()

        def note(url):
            visitor.url = url
            told.set()

        signing_in = client.sign_in_with_browser("github", open_browser=note, **options)
        task = asyncio.create_task(signing_in)
        begun.append(task)
        await told.wait()
        return task

    yield start
    for task in begun:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def ours():
    """Return the tasks that are not aiohttp's connections to the embedded server."""
    return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}


async def test_a_browser_signs_in(stage, kept_port):
    """The session is current, told of once, and the browser reads that it is done."""
    store = MemoryStore()
    client = await stage.client(store=store)
    stage.server.provider.sign_in_as("ann@example.com", name="Ann")
    events = await stage.record(client)
    async with aiohttp.ClientSession() as http:
        visitor = Browser(http)
        response = await client.sign_in_with_browser(
            "github",
            open_browser=visitor,
            scopes="gist",
            query_params={"login_hint": "ann"},
            port=kept_port,
            path="/signed/in",
        )
        assert await visitor.finds_nobody()
    assert "ann@example.com" == response.user.email
    assert response.session is client.session
    assert response.session == (await events.wait_for("SIGNED_IN")).session
    assert ["INITIAL_SESSION", "SIGNED_IN"] == events.names
    assert [200] == visitor.statuses
    assert DONE in visitor.pages[0]
    query = parse_qs(urlsplit(visitor.url).query)
    assert (["gist"], ["ann"], ["s256"]) == tuple(
        query[name] for name in ("scopes", "login_hint", "code_challenge_method")
    )
    assert "/signed/in" == urlsplit(visitor.home).path
    # The verifier was never anywhere but here.
    assert await store.load("default.pkce") is None


async def test_nothing_secret_is_shown(client, visitor):
    """Neither the code nor the state nor a token stands on the page."""
    response = await client.sign_in_with_browser("github", open_browser=visitor)
    (state,) = parse_qs(urlsplit(visitor.back).query)["state"]
    for secret in (state, response.session.access_token, response.session.refresh_token):
        assert secret not in visitor.pages[0]


async def test_it_is_pkce_whatever_the_client_prefers(server, visitor):
    """Tokens in a fragment would never reach us."""
    async with GoTrueClient(server.url, flow="implicit") as client:
        response = await client.sign_in_with_browser("github", open_browser=visitor)
    assert "ann@example.com" == response.user.email


async def test_done_is_shown_when_it_is_done(server, visitor, begin):
    """The browser waits for the exchange, and so does one that asks twice."""
    gate = Gate()
    async with GoTrueClient(server.url, transport=gate) as client:
        task = await begin(client, visitor)
        loading = asyncio.create_task(visitor.visit(visitor.url))
        await gate.reached.wait()
        again = asyncio.create_task(visitor.visit(f"{visitor.back}&code=another"))
        # Its request has arrived when a whole one after it has been answered.
        await visitor.visit(f"{visitor.home}favicon.ico")
        assert not loading.done()
        assert not again.done()
        gate.opened.set()
        await asyncio.gather(loading, again)
        assert "ann@example.com" == (await task).user.email
    assert [404, 200, 200] == visitor.statuses
    assert [True, True] == [DONE in page for page in visitor.pages[1:]]
    await gate.aclose()


async def test_a_refusal_leaves_the_old_session(server, client, visitor, kept_port):
    """The user denies it: page and error say so."""
    old = (await client.sign_up(email="old@example.com", password="secret-enough")).session
    server.provider.deny()
    with pytest.raises(ApiError, match="User denied") as caught:
        await client.sign_in_with_browser("github", open_browser=visitor, port=kept_port)
    assert "access_denied" == caught.value.code
    assert old is client.session
    assert [400] == visitor.statuses
    assert FAILED in visitor.pages[0]
    assert "User denied" in visitor.pages[0]
    assert await visitor.finds_nobody()


async def test_a_code_that_the_server_refuses_is_an_error(server, client, visitor, begin):
    """The page says what the server said."""
    task = await begin(client, visitor)
    await visitor.visit(f"{visitor.back}&code=not-a-code")
    with pytest.raises(ApiError) as caught:
        await task
    assert "flow_state_not_found" == caught.value.code
    assert FAILED in visitor.pages[0]
    assert "flow_state_not_found" in visitor.pages[0]
    assert "not-a-code" not in visitor.pages[0] + str(caught.value)
    assert client.session is None


async def test_a_code_of_another_flow_is_refused(server, client, visitor, begin):
    """PKCE: a code that somebody else's sign-in brought does not fit our verifier."""
    stolen = await client.sign_in_with_oauth("github", redirect_to=server.protected_url)
    async with visitor.http.get(stolen.url) as answer:
        (code,) = parse_qs(answer.url.query_string)["code"]
    task = await begin(client, visitor)
    await visitor.visit(f"{visitor.back}&code={code}")
    with pytest.raises(ApiError) as caught:
        await task
    assert "bad_code_verifier" == caught.value.code


async def test_a_server_that_is_away_is_an_error(server, client, visitor, kept_port):
    """For now: the caller may begin again."""
    server.faults.add("/token", drop="before", times=9)
    with pytest.raises(NetworkError):
        await client.sign_in_with_browser("github", open_browser=visitor, port=kept_port)
    assert "could not be done for now" in visitor.pages[0]
    assert await visitor.finds_nobody()


async def test_strangers_end_nothing(client, visitor, begin):
    """Without our state nobody does, whatever they bring; the sign-in goes on after them."""
    task = await begin(client, visitor)
    for query in (
        "",
        "?code=a",
        "?state=x&code=a",
        "?error=access_denied",
        "?state=x&error=server_error",
        "?fragment=tokens",
    ):
        await visitor.visit(f"{visitor.home}{query}")
    await visitor.visit(f"{visitor.back}&code=a&code=b")
    assert [400] * 7 == visitor.statuses
    assert [] == [page for page in visitor.pages if "Nothing was changed" not in page]
    await visitor.visit(f"{visitor.back}&code=a", headers={"Host": "evil.example"})
    await visitor.visit(f"{visitor.back}&code=a", method="POST")
    await visitor.visit(f"{visitor.home}favicon.ico")
    assert [403, 405, 404] == visitor.statuses[-3:]
    assert not task.done()
    await visitor.visit(visitor.url)
    assert "ann@example.com" == (await task).user.email


async def test_the_fragment_is_looked_at_by_the_page(client, visitor, begin):
    """A server sees no fragment: what bears our state and says nothing gets a script."""
    task = await begin(client, visitor)
    await visitor.visit(visitor.back)
    assert [200] == visitor.statuses
    assert "location.hash" in visitor.pages[0]
    assert not task.done()
    await visitor.visit(f"{visitor.back}&error=server_error&error_code=signup_disabled")
    with pytest.raises(ApiError) as caught:
        await task
    assert "signup_disabled" == caught.value.code


async def test_two_sign_ins_do_not_meet(server, visitor, begin):
    """Each has its port and takes only its own answer."""
    async with (
        GoTrueClient(server.url) as one,
        GoTrueClient(server.url) as two,
        aiohttp.ClientSession() as http,
    ):
        other = Browser(http)
        first, second = await begin(one, visitor), await begin(two, other)
        assert visitor.home != other.home
        await visitor.visit(f"{other.home}?{urlsplit(visitor.back).query}&code=a")
        assert [400] == visitor.statuses
        server.provider.sign_in_as("bob@example.com")
        await other.visit(other.url)
        server.provider.sign_in_as("ann@example.com")
        await visitor.visit(visitor.url)
        emails = [(await task).user.email for task in (first, second)]
    assert ["ann@example.com", "bob@example.com"] == emails


async def test_many_flows_lose_none(client, visitor, begin):
    """The ring of flows that wait for mails is another matter."""
    task = await begin(client, visitor)
    for _ in range(9):
        await client.sign_in_with_oauth("github")
    await visitor.visit(visitor.url)
    assert "ann@example.com" == (await task).user.email


async def test_the_time_is_limited(client, visitor, kept_port):
    """Nobody comes: an error of its own, and the port is closed."""

    def stay_away(url):
        visitor.url = url

    with pytest.raises(SignInRequired, match=r"within 0\.01 seconds") as caught:
        await client.sign_in_with_browser(
            "github", open_browser=stay_away, port=kept_port, timeout=0.01
        )
    assert "sign_in_timeout" == caught.value.code
    assert await visitor.finds_nobody()


async def test_being_cancelled_closes_the_port(server, visitor, begin, kept_port):
    """Also while the code is exchanged; the browser reads that nobody waits for it any more."""
    gate = Gate()
    async with GoTrueClient(server.url, transport=gate) as client:
        before = ours()
        task = await begin(client, visitor, port=kept_port)
        loading = asyncio.create_task(visitor.visit(visitor.url))
        await gate.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await loading
        assert before == ours()
    assert "stopped waiting" in visitor.pages[0]
    assert await visitor.finds_nobody()
    await gate.aclose()


async def test_nothing_keeps_the_port_open_after_a_cancellation(client, visitor, kept_port):
    """Not even what opens the browser, and takes its time to be cancelled."""
    begun, cancelled, leave = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stay(url):
        visitor.url = url
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await leave.wait()

    signing_in = client.sign_in_with_browser("github", open_browser=stay, port=kept_port)
    task = asyncio.create_task(signing_in)
    await begun.wait()
    task.cancel()
    await cancelled.wait()
    assert await visitor.finds_nobody()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_sign_out_leaves_it_waiting(client, visitor, begin):
    """It is a call of its own, which its caller can cancel: who comes back is signed in."""
    await client.sign_in_anonymously()
    task = await begin(client, visitor)
    await client.sign_out()
    await visitor.visit(visitor.url)
    assert (await task).session is client.session


@pytest.mark.parametrize("when", ["waiting", "exchanging"])
async def test_closing_the_client_closes_the_port(server, visitor, begin, kept_port, when):
    """Whoever waits is told that the client is closed."""
    gate = Gate()
    client = await GoTrueClient(server.url, transport=gate).start()
    task = await begin(client, visitor, port=kept_port)
    loading = []
    if when == "exchanging":
        loading = [asyncio.create_task(visitor.visit(visitor.url))]
        await gate.reached.wait()
    await client.aclose()
    with pytest.raises(ManagerClosed):
        await task
    await asyncio.gather(*loading)
    assert [True] * len(loading) == ["stopped waiting" in page for page in visitor.pages]
    assert await visitor.finds_nobody()
    with pytest.raises(ManagerClosed):
        await client.sign_in_with_browser("github", open_browser=visitor)
    await gate.aclose()


async def test_idle_connections_are_closed_too(client, visitor, begin):
    """Browsers open some in advance and keep them."""
    task = await begin(client, visitor)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(visitor.home).port)
    await visitor.visit(visitor.url)
    await task
    with contextlib.suppress(ConnectionResetError):
        assert b"" == await reader.read()
    writer.close()


async def test_no_task_is_left(client, visitor):
    """Neither after a success nor after a failure."""
    before = ours()
    await client.sign_in_with_browser("github", open_browser=visitor)
    with pytest.raises(ZeroDivisionError):
        await client.sign_in_with_browser("github", open_browser=lambda _: 1 / 0)
    assert before == ours()


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError, ManagerClosed])
async def test_what_opens_the_browser_may_fail(client, visitor, kept_port, error):
    """Its error is the caller's, as it is, and the port is closed."""

    async def fail(url):
        visitor.url = url
        raise error

    with pytest.raises(error) as caught:
        await client.sign_in_with_browser("github", open_browser=fail, port=kept_port)
    assert error is caught.type
    assert await visitor.finds_nobody()


async def test_a_failure_after_the_answer_is_none(client, visitor):
    """The user is signed in by then."""

    async def fail(url):
        await visitor(url)
        raise ZeroDivisionError

    response = await client.sign_in_with_browser("github", open_browser=fail)
    assert response.session is client.session


async def test_what_goes_on_for_ever_is_cancelled(client, visitor, monkeypatch):
    """A browser that is never left holds nobody up."""
    monkeypatch.setattr(browser, "GRACE", 0)
    cancelled = []

    async def stay(url):
        try:
            await visitor(url)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(url)
            raise

    await client.sign_in_with_browser("github", open_browser=stay)
    assert [visitor.url] == cancelled


async def test_the_users_browser_is_the_default(client, visitor, begin, monkeypatch):
    """It is found by the standard library."""
    loop, opened = asyncio.get_running_loop(), asyncio.Event()

    def start(url):
        visitor.url = url
        loop.call_soon_threadsafe(opened.set)
        return True

    monkeypatch.setattr(webbrowser, "open", start)
    task = asyncio.create_task(client.sign_in_with_browser("github"))
    await opened.wait()
    await visitor.visit(visitor.url)
    assert "ann@example.com" == (await task).user.email


async def test_the_port_may_be_chosen(client, visitor, kept_port):
    """One, or the first free one of several."""
    with socket.create_server(("127.0.0.1", kept_port)):
        with pytest.raises(ConfigurationError, match=f"port: {kept_port}"):
            await client.sign_in_with_browser("github", open_browser=visitor, port=kept_port)
        assert [] == visitor.pages
        await client.sign_in_with_browser("github", open_browser=visitor, port=[kept_port, 0])
    await client.sign_in_with_browser("github", open_browser=visitor, port=kept_port)
    assert kept_port == urlsplit(visitor.home).port


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("provider", {"provider": ""}),
        ("scopes", {"scopes": 5}),
        ("query_params", {"query_params": {"a": 1}}),
        ("open_browser", {"open_browser": "firefox"}),
        ("port", {"port": -1}),
        ("port", {"port": 65536}),
        ("port", {"port": True}),
        ("port", {"port": "80"}),
        ("port", {"port": []}),
        ("port", {"port": [0, None]}),
        ("path", {"path": ""}),
        ("path", {"path": "callback"}),
        ("path", {"path": "//evil.example"}),
        ("path", {"path": "/a?b"}),
        ("path", {"path": "/a b"}),
        ("path", {"path": None}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": -1}),
        ("timeout", {"timeout": None}),
        ("timeout", {"timeout": True}),
        ("timeout", {"timeout": float("inf")}),
        ("timeout", {"timeout": float("nan")}),
    ],
)
async def test_a_wrong_argument_is_named(client, visitor, name, arguments):
    """Before anything is opened."""
    arguments = {"provider": "github", "open_browser": visitor, **arguments}
    with pytest.raises(ConfigurationError, match=name):
        await client.sign_in_with_browser(**arguments)
    assert "" == visitor.url


def test_a_trip_shows_no_secret():
    """Whatever prints it."""
    trip = browser.Trip(
        flow=browser.PkceFlow.new(), state="s3cret-state", path="/", nonce="s3cret-nonce"
    )
    assert "s3cret" not in repr(trip)
    assert trip.flow.verifier not in repr(trip)
