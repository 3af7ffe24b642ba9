"""`FaultProxy`: it changes nothing until it is told to, and then does exactly that."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import aiohttp
import pytest
from aiohttp import web

from async_auth.errors import ConfigurationError
from async_auth.testing import FaultProxy, ManualClock

#: What the server answers a plain request with, after its head.
BODY = b"hello"


class Server:
    """What the proxy stands before: it says what came, and notes it."""

    def __init__(self):
        self.seen = []
        self.bodies = []

    async def __call__(self, request):
        """Answer by path."""
        self.seen.append(request)
        self.bodies.append(await request.read())
        if request.path == "/chunked":
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            for part in (b"one", b"two"):
                await response.write(part)
            return response
        if request.path == "/empty":
            return web.Response(status=204)
        if request.path == "/close":
            response = web.Response(body=BODY)
            response.force_close()
            return response
        return web.Response(status=207, body=BODY, headers=[("X-Two", "1"), ("X-Two", "2")])


@pytest.fixture
def server():
    """Return the server's side."""
    return Server()


@pytest.fixture
async def proxy(serve, server, manual_clock):
    """Run a proxy before the server."""
    async with FaultProxy((await serve(server)).url, clock=manual_clock) as running:
        yield running


@pytest.fixture
async def http():
    """Return an HTTP client of somebody else's, with a connection for each request."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


@pytest.fixture
async def keeping():
    """Return one that keeps its connections."""
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(http, url, method="POST", **options):
    """Return the status and the body of an answer; aiohttp would ask twice with GET."""
    async with http.request(method, url, **options) as response:
        return response.status, await response.read()


async def connect(url):
    """Open a connection."""
    host, _, port = url.partition("://")[2].partition("/")[0].partition(":")
    return await asyncio.open_connection(host, int(port))


async def talk(url, request=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
    """Send bytes, and return all bytes that come until the end."""
    reader, writer = await connect(url)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 50_000], ids=len)
async def test_without_a_mishap_it_changes_nothing(proxy, server, http, body):
    """Method, path, query, headers and body reach the server, and its answer comes back."""
    url = f"{proxy.url}/a/b?x=%2B1"
    async with http.post(url, data=body or None, headers={"X-Mine": "1"}) as response:
        assert (207, ["1", "2"]) == (response.status, response.headers.getall("X-Two"))
        assert BODY == await response.read()

    (seen,) = server.seen
    assert ("POST", "/a/b?x=%2B1", "1") == (seen.method, seen.path_qs, seen.headers["X-Mine"])
    assert [body] == server.bodies
    assert {"/a/b": 1} == proxy.counts


@pytest.mark.parametrize(
    "path, expected",
    [("/chunked", (200, b"onetwo")), ("/empty", (204, b"")), ("/close", (200, BODY))],
)
async def test_answers_of_all_kinds_pass(proxy, keeping, path, expected):
    """Chunked, without a body, and the last of their connection."""
    for _ in range(2):
        assert expected == await ask(keeping, f"{proxy.url}{path}")
    assert (207, b"") == await ask(keeping, proxy.url, "HEAD")
    assert (2 if path == "/close" else 1) == proxy.connections - (path == "/close")


async def test_a_port_that_is_taken(proxy):
    """It is said, and nothing stays open."""
    other = FaultProxy("http://127.0.0.1:1", port=int(proxy.url.rpartition(":")[2]))
    with pytest.raises(OSError, match="in use"):
        await other.start()
    await other.aclose()


class OldServer:
    """One that answers and hangs up, whatever was agreed on; it says when it has."""

    def __init__(self, answer):
        self.answer = answer
        self.left = asyncio.Event()

    async def __call__(self, reader, writer):
        """Answer one request."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        writer.close()
        await writer.wait_closed()
        self.left.set()


@pytest.fixture
async def before():
    """Return a function that runs a proxy before such a server."""
    async with contextlib.AsyncExitStack() as exits:

        async def start(server):
            listening = await asyncio.start_server(server, "127.0.0.1", 0)
            await exits.enter_async_context(listening)
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            return await exits.enter_async_context(FaultProxy(url))

        yield start


async def test_an_answer_without_a_length_ends_with_its_connection(before, http):
    """As of old."""
    proxy = await before(OldServer(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"))

    assert (200, b"until the end") == await ask(http, proxy.url)


async def test_a_connection_is_kept(proxy, server, keeping):
    """On both sides."""
    for _ in range(3):
        await ask(keeping, proxy.url)

    assert (1, 1) == (proxy.connections, proxy.open)
    ports = {request.transport.get_extra_info("peername")[1] for request in server.seen}
    assert 1 == len(ports)


async def test_the_path_of_the_server_is_kept(serve, server, http):
    """A prefix belongs to the address."""
    async with FaultProxy((await serve(server)).url + "/auth/v1") as proxy:
        await ask(http, f"{proxy.url}/token")

    assert ["/auth/v1/token"] == [request.path for request in server.seen]


async def test_refusing_and_accepting(proxy, http):
    """Nobody listens, and what was open is reset; the port is the same afterwards."""
    url = proxy.url
    await ask(http, url)

    proxy.refuse()
    proxy.refuse()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(http, url)
    proxy.accept()
    proxy.accept()

    assert (207, BODY) == await ask(http, url)
    assert url == proxy.url


async def test_a_server_that_is_away_is_a_reset(http, kept_port):
    """The connection comes about, and ends."""
    async with FaultProxy(f"http://127.0.0.1:{kept_port}") as proxy:
        with pytest.raises(aiohttp.ClientOSError):
            await ask(http, proxy.url)


async def test_what_follows_the_last_chunk_passes(before):
    """Trailers are a part of an answer."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;name=x\r\none\r\n0\r\nX-Last: 1\r\n\r\n"
    )
    proxy = await before(OldServer(answer))

    assert answer == await talk(proxy.url)


async def test_a_server_that_hangs_up_is_connected_to_again(before, keeping):
    """A connection to it that it has closed meanwhile is not used."""
    server = OldServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    proxy = await before(server)

    for _ in range(3):
        assert (200, b"hi") == await ask(keeping, proxy.url)
        await server.left.wait()
        server.left.clear()

    assert 1 == proxy.connections


@pytest.mark.parametrize("at, seen", [("connect", 0), ("request", 0), ("response", 1), (20, 1)])
async def test_a_reset(proxy, server, http, at, seen):
    """Of the connection, of a request that the server never sees, of one that it has answered."""
    mishap = proxy.reset(at)

    with pytest.raises(aiohttp.ClientOSError):
        await ask(http, f"{proxy.url}/x")

    assert (1, seen) == (mishap.count, len(server.seen))
    assert (207, BODY) == await ask(http, f"{proxy.url}/x")


@pytest.mark.parametrize("at, seen", [("connect", 0), ("request", 0), ("response", 1)])
async def test_a_cut_before_the_answer(proxy, server, at, seen):
    """The connection ends as if that were all."""
    proxy.cut(at)

    assert b"" == await talk(proxy.url)
    assert seen == len(server.seen)


@pytest.mark.parametrize("at, length", [(9, 9), (-1, None)])
async def test_a_cut_in_the_answer(proxy, at, length):
    """So many bytes pass, or all but so many."""
    whole = await talk(proxy.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    proxy.cut(at)

    cut = await talk(proxy.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert whole[:at] == cut
    assert len(cut) == (len(whole) - 1 if length is None else length)


@pytest.mark.parametrize("at, seen", [("connect", 0), ("request", 0), ("response", 1), (15, 1)])
async def test_a_silence(proxy, server, at, seen):
    """Nothing more comes; the connection stays until the client leaves it."""
    mishap = proxy.hang(at)

    asking = asyncio.create_task(talk(proxy.url))
    await mishap.happened()
    while len(server.seen) < seen:  # noqa: ASYNC110 - nobody sets an event for it
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)

    assert not asking.done()
    assert (1, seen) == (proxy.open, len(server.seen))
    asking.cancel()
    while proxy.open:  # noqa: ASYNC110 - nobody sets an event for it
        await asyncio.sleep(0)


async def test_an_answer_that_drips(proxy, http, manual_clock):
    """A byte with each tick of the clock, and in the end it is whole."""
    mishap = proxy.drip(1)
    asking = asyncio.create_task(ask(http, proxy.url))
    await mishap.happened()

    await manual_clock.run(10)
    assert (False, True) == (asking.done(), mishap.sent <= 10)
    while not asking.done():
        await manual_clock.advance(1)

    assert (207, BODY) == await asking


@pytest.mark.parametrize("at, seen", [("request", 0), ("response", 1)])
@pytest.mark.parametrize("head", [False, True])
async def test_an_answer_without_end(proxy, server, at, seen, head):
    """It goes on until the client leaves."""
    mishap = proxy.flood(at, head=head)
    reader, writer = await connect(proxy.url)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    await reader.readexactly(3_000_000)
    writer.transport.abort()
    while proxy.open:  # noqa: ASYNC110 - nobody sets an event for it
        await asyncio.sleep(0)

    assert mishap.sent > 2_000_000
    assert seen == len(server.seen)


@pytest.mark.parametrize("at, seen", [("connect", 0), ("request", 0), ("response", 1)])
async def test_what_is_no_http(proxy, server, at, seen):
    """Any bytes, and then the end."""
    proxy.reply(b"SSH-2.0-x\r\n", at)

    assert b"SSH-2.0-x\r\n" == await talk(proxy.url)
    assert seen == len(server.seen)


async def test_a_mishap_has_its_path_and_its_times(proxy, http):
    """Others pass; the oldest is met first; what is taken back happens no more."""
    lost = proxy.reset("request", path="/token?grant_type=refresh_token", times=2)
    kept = proxy.reply(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", path="/user", times=None)
    refresh = f"{proxy.url}/token?grant_type=refresh_token&x=1"

    for _ in range(2):
        with pytest.raises(aiohttp.ClientOSError):
            await ask(http, refresh)
        assert 207 == (await ask(http, f"{proxy.url}/token?grant_type=password"))[0]
        assert 500 == (await ask(http, f"{proxy.url}/user"))[0]
    assert 207 == (await ask(http, refresh))[0]
    proxy.remove(kept)
    proxy.remove(kept)
    assert 207 == (await ask(http, f"{proxy.url}/user"))[0]
    proxy.reset(times=None)
    proxy.clear()
    assert 207 == (await ask(http, refresh))[0]
    assert (2, 2) == (lost.count, kept.count)


@pytest.mark.parametrize(
    "plan, words",
    [
        (lambda proxy: proxy.reset("later"), "at must be one of"),
        (lambda proxy: proxy.reset(True), "at must be one of"),  # noqa: FBT003 - what is wrong
        (lambda proxy: proxy.reset(times=0), "times must be 1"),
        (lambda proxy: proxy.hang("connect", path="/token"), "path: nobody knows"),
        (lambda proxy: proxy.drip(1, "request"), 'at must be "response"'),
        (lambda proxy: proxy.flood(7), "must not be a number"),
        (lambda _: FaultProxy("127.0.0.1:80"), "upstream must be a URL"),
        (lambda _: FaultProxy("http://127.0.0.1:80").url, "not started"),
        (lambda _: FaultProxy("http://127.0.0.1:80").accept(), "not started"),
    ],
)
async def test_what_makes_no_sense_is_refused(proxy, plan, words):
    """And nothing is planned."""
    with pytest.raises(ConfigurationError, match=words):
        plan(proxy)
    assert "mishaps=0" in repr(proxy)


async def test_what_is_no_request_is_dropped(proxy):
    """Bytes that no HTTP client sends end their connection, and nothing else."""
    with pytest.raises(ConnectionResetError):
        await talk(proxy.url, b"hello there\r\n\r\n")
    assert b"HTTP/1.1 207 " == (await talk(proxy.url, CLOSING))[:13]


@pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 ok\r\n\r\n"])
async def test_what_is_no_answer_is_a_reset(before, answer):
    """A server that speaks something else is as good as one that is away."""
    with pytest.raises(ConnectionResetError):
        await talk((await before(OldServer(answer))).url)


CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_closing_leaves_nothing(serve, server, http, kept_port):
    """Whatever is under way is reset; twice is fine; it can be started again, at its address."""
    proxy = FaultProxy((await serve(server)).url, clock=ManualClock(), port=kept_port)
    await proxy.start()
    await proxy.start()
    url = proxy.url
    mishaps = [proxy.hang("connect"), proxy.hang(path="/hang"), proxy.drip(1, path="/drip")]
    asking = [asyncio.create_task(talk(url))]
    await mishaps[0].happened()
    asking += [asyncio.create_task(ask(http, f"{url}/{path}")) for path in ("hang", "drip")]
    for mishap in mishaps:
        await mishap.happened()

    await proxy.aclose()
    await proxy.aclose()

    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert [True] * 3 == [isinstance(end, OSError | aiohttp.ClientError) for end in ends]
    assert ("<FaultProxy closed open=0 mishaps=0>", 0) == (repr(proxy), proxy.open)
    await proxy.start()
    assert (url, 207) == (proxy.url, (await ask(http, url))[0])
    await proxy.aclose()
    gc.collect()


async def test_tls_to_the_clients(proxy, http, authority):
    """The handshake is the proxy's; a mishap of the connection comes before it."""
    proxy.tls = authority.server("127.0.0.1")
    trusting = {"ssl": authority.trusted()}
    assert proxy.url.startswith("https://")
    assert (207, BODY) == await ask(http, proxy.url, **trusting)

    proxy.disconnect()
    proxy.reset("connect")
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(http, proxy.url, **trusting)
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await ask(http, proxy.url)
    proxy.tls = authority.server("elsewhere.example")
    proxy.disconnect()
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await ask(http, proxy.url, **trusting)


async def test_tls_to_the_server(serve, server, authority, http, monkeypatch):
    """A server with a certificate is spoken to as one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    site = await serve(server, authority.server("127.0.0.1"))
    assert site.url.startswith("https://")
    async with FaultProxy(site.url) as proxy:
        assert (207, BODY) == await ask(http, proxy.url)
