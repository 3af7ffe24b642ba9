"""`connect` and `watch` of websockets, with real servers on loopback and a real auth server."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    ServerUnavailable,
)
from async_auth.integrations.websockets import connect, watch

#: No limit of the library's: a busy machine may take its ten seconds for fifty handshakes.
PATIENT = {"open_timeout": None}
DIRECT = {"proxy": None, **PATIENT}
AT_ONCE = {**DIRECT, "reconnect_delays": lambda: itertools.repeat(0)}


class Feed:
    """A server that greets whoever the bouncer lets in, and answers with what it is sent."""

    def __init__(self, bouncer):
        self.bouncer = bouncer
        self.handshakes = []
        self.refused = asyncio.Event()
        self.refusal = {}
        self.redirect = None
        self.url = ""

    async def process_request(self, connection, request):
        """Decide about a handshake."""
        self.handshakes.append(request.headers)
        if self.redirect is not None:
            response = connection.respond(302, "")
            response.headers["Location"] = self.redirect
            return response
        if await self.bouncer.admits_header(request.headers.get("Authorization")):
            return None
        self.refused.set()
        response = connection.respond(401, self.refusal.get("text", "no"))
        response.headers.update(self.refusal.get("headers", {}))
        return response

    async def answer(self, connection):
        """Talk to whoever was let in."""
        await connection.send("welcome")
        async for message in connection:
            await connection.send(message)


@pytest.fixture
async def listen(bouncer):
    """Return a function that starts a server."""
    async with AsyncExitStack() as exits:

        async def start():
            feed = Feed(bouncer)
            server = await exits.enter_async_context(
                serve(feed.answer, "127.0.0.1", 0, process_request=feed.process_request, **PATIENT)
            )
            feed.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return feed

        yield start


@pytest.fixture
async def feed(listen):
    """Return a server."""
    return await listen()


@pytest.fixture
async def client(stage):
    """Return a client that is signed in, since a while."""
    client = await stage.signed_in()
    await stage.clock.advance(100)
    return client


async def test_a_connection_is_opened_with_the_token(client, feed, bouncer):
    """Awaited or entered, beside the user's own headers."""
    async with connect(client, feed.url, additional_headers={"X-Mine": "1"}, **DIRECT) as one:
        assert "welcome" == await one.recv()
    other = await connect(client, feed.url, **DIRECT)
    await other.close()

    assert [client.session.access_token] * 2 == bouncer.seen
    assert "1" == feed.handshakes[0]["X-Mine"]


async def test_it_reconnects_before_the_token_expires(stage, client, feed, bouncer):
    """The loop goes on with a new connection; each had a token that was good all the time."""
    opened, closed = [], []
    async for websocket in connect(client, feed.url, **AT_ONCE):
        assert "welcome" == await websocket.recv()
        opened.append(stage.clock.now())
        if len(opened) == 3:
            break
        if len(opened) == 1:
            stage.clock.advance(3490)  # the timer is due
        else:
            await stage.clock.advance(100)
            await client.refresh_session()
        await websocket.wait_closed()
        closed.append((websocket.close_code, websocket.close_reason))

    assert [(1000, "token replaced")] * 2 == closed
    assert 3 == len(set(bouncer.seen)) == len(bouncer.seen)
    assert opened[1] < opened[0] + 3500


async def test_a_token_may_be_replaced_without_reconnecting(stage, client, feed):
    """Where the protocol has a message for it."""
    told = asyncio.Queue()

    async def reauthenticate(websocket, token):
        await websocket.send(token.value)
        told.put_nowait(token.value)

    async for websocket in connect(client, feed.url, reauthenticate=reauthenticate, **AT_ONCE):
        assert "welcome" == await websocket.recv()
        for _ in range(2):
            await stage.clock.advance(3600)
            assert await told.get() == await websocket.recv() == client.session.access_token
        break

    assert 1 == len(feed.handshakes)


async def test_a_failed_replacement_closes_the_connection(stage, client, feed, caplog):
    """It must not go on with a token that is over; the log has no secret."""

    async def reauthenticate(websocket, token):
        raise RuntimeError(token.value)

    async with (
        connect(client, feed.url, **DIRECT) as websocket,
        watch(client, websocket, reauthenticate=reauthenticate),
    ):
        assert "welcome" == await websocket.recv()
        await stage.clock.advance(3600)
        with pytest.raises(ConnectionClosedOK):
            await websocket.recv()

    assert "A web socket is not re-authenticated: RuntimeError" in caplog.messages


async def test_signing_out_ends_it(client, feed):
    """The connection is closed, and there is no way back in."""
    connections = aiter(connect(client, feed.url, **AT_ONCE))
    websocket = await anext(connections)
    await client.sign_out()
    await websocket.wait_closed()

    assert "signed out" == websocket.close_reason
    with pytest.raises(AuthSessionMissing):
        await anext(connections)


async def test_a_closed_manager_leaves_the_connection(client, feed):
    """Watching ends with the manager, not the connection."""
    async with connect(client, feed.url, **DIRECT) as websocket, watch(client, websocket):
        await client.aclose()
        async with watch(client, websocket):
            await websocket.send("still there")
            assert ["welcome", "still there"] == [await websocket.recv() for _ in range(2)]


async def test_a_refused_handshake_is_tried_again(stage, client, feed, bouncer):
    """With a token that was refreshed for it."""
    bouncer.bar(client.session.access_token)

    async with connect(client, feed.url, **DIRECT) as websocket:
        assert "welcome" == await websocket.recv()
    assert (2, 1) == (len(feed.handshakes), stage.refreshes)


async def test_fifty_refusals_cost_one_refresh(stage, client, feed, bouncer):
    """Whoever comes late takes what is there."""
    bouncer.bar(client.session.access_token)

    for websocket in await asyncio.gather(*(open_one(client, feed) for _ in range(50))):
        await websocket.close()
    assert 1 == stage.refreshes


async def open_one(client, feed):
    """Open a connection."""
    return await connect(client, feed.url, **DIRECT)


async def test_a_refusal_of_the_new_token_is_raised(stage, client, feed, bouncer):
    """One refresh for one handshake, in a loop as well."""

    async def admits(token):
        await stage.clock.advance(2)  # so that another refresh would be one
        return False

    bouncer.admits = admits
    with pytest.raises(InvalidStatus, match="401"):
        async for _ in connect(client, feed.url, **AT_ONCE):
            pass

    assert (2, 1) == (len(feed.handshakes), stage.refreshes)


async def test_a_refusal_without_a_remedy_is_raised(poor, feed):
    """It is the server's true answer, not that of the auth server."""
    with pytest.raises(InvalidStatus, match="401"):
        await connect(poor(ServerUnavailable("away")), feed.url, **DIRECT)

    assert 1 == len(feed.handshakes)


async def test_a_token_that_others_refreshed_gets_its_own_chance(stage, client, feed, bouncer):
    """The next token was there already; if it is refused as well, it is refreshed once."""
    old = client.session.access_token
    bouncer.bar(old)
    admits = bouncer.admits

    async def admits_late(token):
        if token == old:
            await client.refresh_session()
            bouncer.bar(client.session.access_token)
            await stage.clock.advance(2)
        return await admits(token)

    bouncer.admits = admits_late
    await (await open_one(client, feed)).close()

    assert (3, 2) == (len(feed.handshakes), stage.refreshes)


@pytest.mark.parametrize(
    "refusal",
    [
        {"headers": {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}},
        {"text": '{"code": "insufficient_aal"}'},
    ],
)
async def test_a_refusal_of_something_else_is_raised(stage, client, feed, bouncer, refusal):
    """Another token would not help."""
    feed.refusal = refusal
    bouncer.bar(client.session.access_token)

    with pytest.raises(InvalidStatus, match="401"):
        await connect(client, feed.url, **DIRECT)
    assert (1, 0) == (len(feed.handshakes), stage.refreshes)


async def test_an_outage_of_the_auth_server(stage, client, feed, bouncer, outage):
    """The refusal is the answer; without a token nothing is sent."""
    bouncer.bar(client.session.access_token)
    outage()
    with pytest.raises(InvalidStatus, match="401"):
        await connect(client, feed.url, **DIRECT)

    await stage.clock.advance(3600)
    with pytest.raises(ServerUnavailable):
        await connect(client, feed.url, **DIRECT)
    assert 1 == len(feed.handshakes)


@pytest.mark.parametrize("expired", [False, True])
async def test_a_loop_outlasts_an_outage(stage, client, feed, bouncer, outage, expired):
    """It tries again until there is a token that is let in."""
    bouncer.bar(client.session.access_token)
    outage()
    if expired:
        await stage.clock.advance(3600)
    delays = []

    def delay():
        while True:
            delays.append(feed.refused.is_set())
            if len(delays) == 3:
                stage.server.faults.clear()
                stage.clock.advance(120)
            yield 0

    async for websocket in connect(client, feed.url, proxy=None, reconnect_delays=delay):
        assert "welcome" == await websocket.recv()
        break

    assert [not expired] * 3 == delays[:3]


async def test_an_outage_under_an_open_connection(stage, client, feed, outage):
    """It stays open while there is no new token, even past its expiry."""
    async with connect(client, feed.url, **DIRECT) as websocket, watch(client, websocket):
        assert "welcome" == await websocket.recv()
        outage()
        await stage.clock.advance(3600)
        await stage.clock.advance(60)  # another try, and the token has expired
        await websocket.send("still there")
        assert "still there" == await websocket.recv()

        stage.server.faults.clear()
        closed = asyncio.ensure_future(websocket.wait_closed())
        # In small steps: no try is given up because its answer comes late.
        while not closed.done():
            await stage.clock.advance(0.1)


async def test_what_is_judged_otherwise_is_judged_by_the_user(client, listen):
    """`process_exception` is the library's."""
    feed = await listen()
    feed.redirect = "http://not.a.socket"
    judged = []

    def judge(error):
        judged.append(type(error).__name__)
        return KeyError("judged")

    with pytest.raises(KeyError, match="judged"):
        async for _ in connect(client, feed.url, process_exception=judge, **AT_ONCE):
            pass
    assert 1 == len(judged)


@pytest.mark.parametrize("where", ["headers", "uri"])
async def test_the_callers_own_credentials_are_left_alone(client, feed, bouncer, where):
    """Whoever brings some means them."""
    mine = {"additional_headers": {"authorization": "Basic YTpi"}} if where == "headers" else {}
    uri = feed.url.replace("//", "//a:b@") if where == "uri" else feed.url

    with pytest.raises(InvalidStatus, match="401"):
        await connect(client, uri, **mine, **DIRECT)

    assert [["Basic YTpi"]] == [headers.get_all("Authorization") for headers in feed.handshakes]
    assert [] == bouncer.seen


async def welcome_anybody(header):
    """Let everybody in."""
    return True


@pytest.mark.parametrize("where", ["headers", "uri"])
async def test_a_new_token_does_not_close_what_it_has_not_opened(client, feed, bouncer, where):
    """A loop with the caller's own credentials has nothing to do with our token."""
    bouncer.admits_header = welcome_anybody
    mine = {"additional_headers": {"authorization": "Basic YTpi"}} if where == "headers" else {}
    uri = feed.url.replace("//", "//a:b@") if where == "uri" else feed.url

    async for websocket in connect(client, uri, **mine, **AT_ONCE):
        await client.refresh_session()
        await websocket.send("still there")
        assert ["welcome", "still there"] == [await websocket.recv() for _ in range(2)]
        break
    assert 1 == len(feed.handshakes)


@pytest.mark.parametrize("by_message", [False, True])
async def test_a_loop_that_is_redirected_elsewhere(client, listen, bouncer, by_message):
    """The other origin hears of no token later either, and is not asked again and again."""
    bouncer.admits_header = welcome_anybody
    home, other = await listen(), await listen()
    home.redirect = other.url
    told = []

    async def reauthenticate(websocket, token):
        told.append(token)

    options = {"reauthenticate": reauthenticate} if by_message else {}
    async for websocket in connect(client, home.url, **options, **AT_ONCE):
        await client.refresh_session()
        await websocket.send("still there")
        assert ["welcome", "still there"] == [await websocket.recv() for _ in range(2)]
        break
    assert (1, []) == (len(other.handshakes), told)


async def test_a_pinned_token_is_not_replaced(client, feed):
    """It is not tried again, in a loop neither, and no new session replaces it."""
    good = client.session.access_token
    client.set_auth("pinned")
    with pytest.raises(InvalidStatus, match="401"):
        await anext(aiter(connect(client, feed.url, **AT_ONCE)))

    client.set_auth(good)
    async with connect(client, feed.url, **DIRECT) as websocket, watch(client, websocket):
        await client.refresh_session()
        await websocket.send("still there")
        assert ["welcome", "still there"] == [await websocket.recv() for _ in range(2)]
    assert 2 == len(feed.handshakes)


async def test_a_redirect_elsewhere_loses_the_token(client, listen):
    """The other origin gets neither the token nor the user's secrets, in later attempts too."""
    home, other = await listen(), await listen()
    home.redirect = other.url
    secrets = {"Cookie": "secret", "X-Mine": "1"}
    connecting = connect(client, home.url, additional_headers=secrets, **DIRECT)

    for _ in range(2):
        with pytest.raises(InvalidStatus, match="401"):
            await connecting

    (sent,) = home.handshakes
    assert {"Authorization", "Cookie", "X-Mine"} <= set(map(str.title, sent))
    for received in other.handshakes:
        assert {"X-Mine"} == {"Authorization", "Cookie", "X-Mine"} & set(map(str.title, received))


async def test_a_redirect_within_the_origin_keeps_the_token(client, feed, bouncer):
    """The path is the server's business."""
    here, feed.redirect = feed.url, f"{feed.url}/elsewhere"
    answer = feed.process_request

    async def once(connection, request):
        if request.path == "/elsewhere":
            feed.redirect = None
        return await answer(connection, request)

    feed.process_request = once
    async with serve(feed.answer, "127.0.0.1", 0, process_request=once) as server:
        port = server.sockets[0].getsockname()[1]
        feed.redirect = f"ws://127.0.0.1:{port}/elsewhere"
        async with connect(client, f"ws://127.0.0.1:{port}", **DIRECT) as websocket:
            assert "welcome" == await websocket.recv()

    assert [client.session.access_token] == bouncer.seen
    assert here != feed.redirect


async def test_nothing_is_sent_without_a_token(stage, feed):
    """The connection raises what `get_token` raises."""
    client = await stage.client()
    with pytest.raises(AuthSessionMissing):
        await connect(client, feed.url, **DIRECT)
    await client.aclose()
    with pytest.raises(ManagerClosed):
        await connect(client, feed.url, **DIRECT)

    assert [] == feed.handshakes


@pytest.mark.parametrize(
    "uri,said",
    [
        ("ws://api.example.com/x", "unencrypted"),
        ("https://api.example.com", "web socket"),
        ("wss:", "web socket"),
        (None, "web socket"),
    ],
)
async def test_mistakes_are_named_at_once(client, uri, said):
    """Not at the first connection."""
    with pytest.raises(ConfigurationError, match=said):
        connect(client, uri)
    assert connect(client, "ws://api.example.com", allow_insecure=True)


async def test_a_connection_on_this_machine_uses_no_proxy(monkeypatch, client, feed):
    """A proxy would see what is not encrypted; one that the user names is used."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    await (await connect(client, feed.url)).close()
    with pytest.raises(OSError, match=r"9"):
        await connect(client, feed.url, proxy="http://127.0.0.1:9")
    assert 1 == len(feed.handshakes)


@pytest.mark.parametrize(
    "uri,host,fine",
    [
        ("ws://localhost", "127.0.0.1", True),
        ("ws://localhost", "10.0.0.1", False),
        ("wss://localhost", "10.0.0.1", True),
    ],
)
async def test_another_host_than_the_uris(client, uri, host, fine):
    """Whoever gets the handshake in place of the URI's host counts."""
    if fine:
        assert connect(client, uri, host=host)
    else:
        with pytest.raises(ConfigurationError, match="unencrypted"):
            connect(client, uri, host=host)
