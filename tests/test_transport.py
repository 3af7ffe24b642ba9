"""The default transport: what it sends, what it raises, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import ssl
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from async_auth.errors import ConfigurationError, NetworkError, ProtocolError
from async_auth.http_messages import Request, Response
from async_auth.transport import RESPONSE_MAX, AiohttpTransport

SECRET = "s3cr3t"
#: Seconds for what comes at once: far more than a slow machine takes.
LONG = 60


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer with what came."""
    body = await request.read()
    return web.Response(
        status=207,
        body=body,
        headers=[
            ("X-Method", request.method),
            ("X-Path", request.path_qs),
            ("X-Two", "1"),
            ("X-Two", "2"),
        ],
    )


@pytest.fixture
async def transport():
    """Return a transport with a session of its own."""
    transport = AiohttpTransport()
    yield transport
    await transport.aclose()


def everything_printed(error: BaseException) -> str:
    """Return all that a traceback, a repr or a walk along the causes could show of *error*."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args), *traceback.format_exception(error)]
        assert error.__context__ in {None, error.__cause__}
        error = error.__cause__
    return "\n".join(texts)


async def test_sends_bytes_and_returns_everything(serve, transport):
    """Method, path, query, headers and body go out as they are; status and headers come back."""
    site = await serve(echo)
    request = Request(
        "PATCH", f"{site.url}/a/b?x=%2B1", {"Content-Type": "x/y", "apikey": "k"}, b"\x00\xff"
    )

    response = await transport.send(request, timeout=LONG)

    assert Response(207, response.headers, b"\x00\xff") == response
    assert "PATCH" == response.headers["x-method"]
    assert "/a/b?x=%2B1" == response.headers["X-Path"]
    assert ["1", "2"] == response.headers.getall("X-Two")
    assert "x/y" == site.requests[0].headers["Content-Type"]
    assert "k" == site.requests[0].headers["apikey"]


async def test_no_body_is_sent_as_none(serve, transport):
    """A request without a body has none."""
    site = await serve(echo)

    response = await transport.send(Request("GET", site.url), timeout=LONG)

    assert b"" == response.body
    assert not site.requests[0].can_read_body


async def test_follows_no_redirect_and_keeps_no_cookie(serve, transport):
    """A redirect is an answer like any other; cookies are nobody's."""

    async def redirect(request: web.Request) -> web.StreamResponse:
        response = web.Response(status=302, headers={"Location": "/elsewhere"})
        response.set_cookie("sb", "1")
        return response

    site = await serve(redirect)

    first = await transport.send(Request("GET", site.url), timeout=LONG)
    await transport.send(Request("GET", site.url), timeout=LONG)

    assert 302 == first.status
    assert 2 == len(site.requests)
    assert "Cookie" not in site.requests[1].headers


async def test_connections_are_kept(serve, transport):
    """Two requests in a row share a connection."""
    site = await serve(echo)

    await transport.send(Request("GET", site.url), timeout=LONG)
    await transport.send(Request("GET", site.url), timeout=LONG)

    ports = {request.transport.get_extra_info("peername")[1] for request in site.requests}
    assert 1 == len(ports)


async def test_a_huge_answer_is_refused(serve, transport):
    """An answer beyond 4 MiB is no answer of an auth server, compressed or not."""

    async def huge(request: web.Request) -> web.StreamResponse:
        body = gzip.compress(bytes(RESPONSE_MAX + 1))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    site = await serve(huge)

    with pytest.raises(ProtocolError) as caught:
        await transport.send(Request("GET", f"{site.url}/x?token={SECRET}"), timeout=LONG)

    assert SECRET not in everything_printed(caught.value)


async def test_a_lent_session_keeps_to_the_port(serve):
    """The user's middlewares and raise_for_status do not apply, and it is never closed."""
    site = await serve(echo)

    async def never(request: Any, handler: Any) -> Any:
        raise AssertionError("the user's middleware was asked")

    async with aiohttp.ClientSession(
        middlewares=[never], raise_for_status=True, headers={"X-Mine": "1"}
    ) as http:
        transport = AiohttpTransport(http)

        async def refuse(request: web.Request) -> web.StreamResponse:
            return web.Response(status=400)

        refusing = await serve(refuse)
        response = await transport.send(Request("POST", refusing.url, (), b"x"), timeout=LONG)
        await transport.send(Request("GET", site.url), timeout=LONG)
        await transport.aclose()
        transport.abandon()

        assert 400 == response.status
        assert "1" == site.requests[0].headers["X-Mine"]
        assert not http.closed
    assert "AiohttpTransport(http=<lent>)" == repr(transport)


@pytest.mark.parametrize(
    "own, withheld, expected",
    [
        (None, (), {"theme=dark", "sid=jar"}),
        (None, ("sid",), {"theme=dark"}),
        (None, ("sid", "theme"), set()),
        ('sid="a%2B="', (), {"theme=dark", 'sid="a%2B="'}),
        ('sid="a%2B="', ("sid", "theme"), {'sid="a%2B="'}),
    ],
)
async def test_the_cookies_of_a_request_win_over_those_of_a_lent_session(
    serve, own, withheld, expected
):
    """They are sent byte for byte, the jar's others beside them, but for those withheld."""
    site = await serve(echo)
    jar = aiohttp.CookieJar(unsafe=True)
    jar.update_cookies({"theme": "dark", "sid": "jar"}, URL(site.url))

    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        transport = AiohttpTransport(http, withheld_cookies=withheld)
        headers = () if own is None else {"Cookie": own}
        await transport.send(Request("GET", site.url, headers), timeout=LONG)

    sent = site.requests[0].headers.get("Cookie", "")
    assert expected == {part for part in sent.split("; ") if part}


async def test_a_closed_lent_session_is_named():
    """A lent session that is closed is a mistake of the program, and says so."""
    http = aiohttp.ClientSession()
    await http.close()

    with pytest.raises(ConfigurationError, match=r"^http: .*closed"):
        await AiohttpTransport(http).send(Request("GET", "http://127.0.0.1:1"), timeout=1)


def test_a_lent_session_of_another_loop_is_named():
    """A lent session cannot follow us into another loop."""

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def use(http: aiohttp.ClientSession) -> None:
        with pytest.raises(ConfigurationError, match=r"^http: .*another event loop"):
            await AiohttpTransport(http).send(Request("GET", "http://127.0.0.1:1"), timeout=1)

    with asyncio.Runner() as runner:
        http = runner.run(make())
        asyncio.run(use(http))
        runner.run(http.close())


async def test_a_lent_session_that_does_not_go_with_the_request_is_named(serve):
    """Refusals of aiohttp's own become ConfigurationErrors that show no header."""
    site = await serve(echo)
    async with aiohttp.ClientSession() as http:
        url = site.url.replace("http://", f"http://user:{SECRET}@")
        with pytest.raises(ConfigurationError) as caught:
            await AiohttpTransport(http).send(
                Request("GET", url, {"Authorization": f"Bearer {SECRET}"}), timeout=1
            )

    assert SECRET not in everything_printed(caught.value)


@pytest.fixture
async def hurry(monkeypatch) -> Callable[[Awaitable[Any]], Awaitable[Any]]:
    """
    Return a function that awaits something while the loop's time runs ahead.

    By a second for each round of the loop: limits end one after the other, however slow the
    machine is, and without waiting.
    """
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)

    async def hurried(awaited: Awaitable[Any]) -> Any:
        nonlocal ahead
        task = asyncio.ensure_future(awaited)
        while not task.done():
            await asyncio.sleep(0)
            ahead += 1
        return await task

    return hurried


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port that is taken and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
async def test_what_never_left_is_not_sent(transport, silent_port, scheme):
    """A refused connection, or a scheme that we do not speak: the server cannot have seen it."""
    url = f"{scheme}://127.0.0.1:{silent_port}/token?refresh_token={SECRET}"

    with pytest.raises(NetworkError) as caught:
        await transport.send(
            Request("POST", url, {"apikey": SECRET}, SECRET.encode()), timeout=LONG
        )

    assert caught.value.sent is False
    assert SECRET not in everything_printed(caught.value)


async def test_an_unusable_address_is_not_sent(transport):
    """What is no URL goes nowhere."""
    with pytest.raises(NetworkError) as caught:
        await transport.send(Request("POST", f"http:///x?{SECRET}"), timeout=LONG)

    assert caught.value.sent is False
    assert SECRET not in everything_printed(caught.value)


async def test_a_failed_handshake_is_not_sent(serve, transport):
    """TLS that never comes about has carried nothing."""
    site = await serve(echo)

    with pytest.raises(NetworkError) as caught:
        await transport.send(
            Request("POST", site.url.replace("http:", "https:"), (), b"x"), timeout=LONG
        )

    assert caught.value.sent is False
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_host_that_never_connects_is_not_sent(transport, hurry):
    """A connection that takes too long is told apart from an answer that does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/?{SECRET}"

        with pytest.raises(NetworkError) as caught:
            await hurry(transport.send(Request("POST", url, (), b"x"), timeout=LONG))

    assert caught.value.sent is False
    assert SECRET not in everything_printed(caught.value)


async def test_a_full_pool_is_not_sent(serve, hurry):
    """Waiting for a connection of the lent session's pool sends nothing."""
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await leave.wait()
        return web.Response()

    site = await serve(stall)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        first = asyncio.create_task(http.get(site.url))
        await arrived.wait()
        waiting = AiohttpTransport(http).send(Request("POST", site.url, (), b"x"), timeout=LONG)
        with pytest.raises(NetworkError) as caught:
            await hurry(waiting)
        leave.set()
        (await first).release()

    assert caught.value.sent is False
    assert 1 == len(site.requests)


async def test_a_slow_answer_was_sent(serve, transport, hurry):
    """After the total timeout nobody knows what the server has done."""
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await leave.wait()
        return web.Response()

    site = await serve(stall)
    request = Request("POST", f"{site.url}/?{SECRET}", (), b"x")
    asking = asyncio.create_task(transport.send(request, timeout=LONG))
    await arrived.wait()
    with pytest.raises(NetworkError) as caught:
        await hurry(asking)
    leave.set()

    assert caught.value.sent is True
    assert SECRET not in everything_printed(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
    ids=["nothing", "half a body", "not http", "not gzip"],
)
async def test_a_broken_answer_was_sent(transport, answer):
    """A connection that ends early, or speaks nonsense, may have lost a response."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token?code={SECRET}"
        with pytest.raises(NetworkError) as caught:
            await transport.send(Request("GET", url, {"apikey": SECRET}), timeout=LONG)

    assert caught.value.sent is True
    assert SECRET not in everything_printed(caught.value)


def connection_key(port: int) -> aiohttp.client_reqrep.ConnectionKey:
    """Return what aiohttp's connection errors are made of."""
    return aiohttp.client_reqrep.ConnectionKey(
        host="x",
        port=port,
        is_ssl=port == 443,
        ssl=True,
        proxy=None,
        proxy_auth=None,
        proxy_headers_hash=None,
    )


@pytest.mark.parametrize(
    "fault,sent",
    [
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientOSError(104, "Connection reset by peer"), True),
        (aiohttp.ClientConnectionResetError("Cannot write to closing transport"), True),
        (aiohttp.ClientPayloadError("Response payload is not completed"), True),
        (ConnectionResetError(104, "reset"), True),
        (TimeoutError(), True),
        (aiohttp.SocketTimeoutError(), True),
        (aiohttp.ConnectionTimeoutError(f"to host http://x/?{SECRET}"), False),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "x", 443), False),
        (aiohttp.InvalidURL(f"http://x/?{SECRET}"), False),
        (
            aiohttp.ClientConnectorDNSError(
                connection_key(80),
                socket.gaierror(-2, "Name or service not known"),
            ),
            False,
        ),
        (
            aiohttp.ClientConnectorCertificateError(
                connection_key(443),
                ssl.SSLCertVerificationError(1, "self-signed certificate"),
            ),
            False,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_each_fault_says_whether_it_was_sent(faults, transport, fault, sent):
    """Only what certainly did not leave is not sent."""
    url = f"http://auth.test/token?refresh_token={SECRET}"
    faults.post(url, exception=fault)

    with pytest.raises(NetworkError) as caught:
        await transport.send(Request("POST", url, (), b"x"), timeout=LONG)

    assert sent is caught.value.sent
    assert "POST http://auth.test/token" in str(caught.value)
    assert SECRET not in everything_printed(caught.value)


async def test_cancelling_leaves_it_usable(serve, transport):
    """A cancelled request gives up its connection and nothing else."""
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await leave.wait()
        return web.Response()

    site = await serve(stall)
    task = asyncio.create_task(transport.send(Request("POST", site.url, (), b"x"), timeout=LONG))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    leave.set()

    assert 200 == (await transport.send(Request("GET", site.url), timeout=LONG)).status


async def test_closing_ends_what_is_under_way(serve):
    """A request that runs while the transport is closed is a lost one, at once."""
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await leave.wait()
        return web.Response()

    site = await serve(stall)
    transport = AiohttpTransport()
    task = asyncio.create_task(transport.send(Request("POST", site.url, (), b"x"), timeout=LONG))
    await arrived.wait()
    await transport.aclose()
    with pytest.raises(NetworkError) as caught:
        await task
    leave.set()

    assert caught.value.sent is True


async def test_closing_twice_and_going_on(serve):
    """Closing is idempotent, and a later request simply opens a new session."""
    site = await serve(echo)
    transport = AiohttpTransport()
    await transport.aclose()

    await transport.send(Request("GET", site.url), timeout=LONG)
    assert "AiohttpTransport(open=True)" == repr(transport)
    await transport.aclose()
    await transport.aclose()
    assert "AiohttpTransport(open=False)" == repr(transport)

    assert 207 == (await transport.send(Request("GET", site.url), timeout=LONG)).status
    await transport.aclose()


SCRIPT = """
import asyncio, gc, logging, os, sys
from async_auth.http_messages import Request
from async_auth.transport import AiohttpTransport

logging.getLogger("asyncio").setLevel(logging.ERROR)  # nothing about slow callbacks
transport = AiohttpTransport()
async def use():
    response = await transport.send(Request("GET", sys.argv[1]), timeout=60)
    assert response.status == 207, response
"""
ENDINGS = {
    "asyncio.run twice": "asyncio.run(use()); asyncio.run(use()); del transport; gc.collect()",
    "a closed loop": """
loop = asyncio.new_event_loop()
loop.run_until_complete(use())
loop.close()
asyncio.run(use())
asyncio.run(transport.aclose())
""",
    "a loop that is closed at exit": """
import atexit
loop = asyncio.new_event_loop()
atexit.register(loop.close)  # before ours, so it runs after ours
loop.run_until_complete(use())
""",
    "a loop that is closed before exit": """
import atexit
loop = asyncio.new_event_loop()
loop.run_until_complete(use())
atexit.register(loop.close)
""",
    "two loops in turns": """
one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
for loop in (one, two, one, two):
    loop.run_until_complete(use())
one.run_until_complete(transport.aclose())
one.close(), two.close()
""",
    "collected in its loop": """
async def main():
    global transport
    await use()
    del transport
    gc.collect()
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "abandoned in its loop": """
async def main():
    await use()
    transport.abandon()
    await use()
    transport.abandon()
asyncio.run(main())
""",
    "a task that is cancelled": """
async def main():
    task = asyncio.create_task(use())
    while not transport._own:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await transport.aclose()
asyncio.run(main())
""",
    "a fork": """
loop = asyncio.new_event_loop()
loop.run_until_complete(use())
child = os.fork()
loop_here = loop if child else asyncio.new_event_loop()
loop_here.run_until_complete(use())
loop_here.run_until_complete(transport.aclose())
loop_here.close()
gc.collect()
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return the server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_that_is_not_trusted_is_not_sent(serve, transport, certificate):
    """Nothing is told to a server that cannot prove its name."""
    site = await serve(echo, server_context(certificate))

    with pytest.raises(NetworkError, match="certificate") as caught:
        await transport.send(Request("POST", f"{site.url}/?{SECRET}", (), b"x"), timeout=LONG)

    assert caught.value.sent is False
    assert [] == site.requests
    assert SECRET not in everything_printed(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_ending_leaves_a_warning(serve, certificate, ending, scheme):
    """However its loop ends, nothing is printed: no Unclosed, no warning, no traceback."""
    if ending == "a fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    site = await serve(echo, server_context(certificate) if scheme == "https" else None)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT + ENDINGS[ending], site.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
        cwd=certificate.parent,
    )

    printed, _ = await child.communicate()

    assert "" == printed.decode()
    assert 0 == child.returncode


def test_importing_it_does_not_import_aiohttp():
    """`import async_auth` stays light: aiohttp comes with the first request."""
    code = "import sys, async_auth.transport; sys.exit('aiohttp' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
