"""Helpers for every test: faults below aiohttp, plain and ASGI servers on loopback, a GoTrue on a stage."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import aioresponses
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import settings
from kept_ports import KeptPort

from async_auth.core.policy import RefreshPolicy
from async_auth.gotrue.client import GoTrueClient
from async_auth.http_messages import Request, Response
from async_auth.testing import EventRecorder, GoTrueServer, ManualClock
from async_auth.testing.supertokens.keys import make_private_key
from async_auth.transport import AiohttpTransport

# How long an example takes is no property of ours: on a busy machine all of them are late.
settings.register_profile("async_auth", settings(), deadline=None)
settings.load_profile("async_auth")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NoWriter:
    """The part of a request's writer that a response looks at."""

    output_size = 0


class ForgedResponse(aiohttp.ClientResponse):
    """aiohttp 3.14 asks every response for the writer of its request; aioresponses knows none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14):
            kwargs.setdefault("stream_writer", NoWriter())
        super().__init__(*args, **kwargs)


class Faults(aioresponses.aioresponses):
    """aioresponses with that response class; it answers in place of aiohttp's session."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add an answer, as aioresponses does."""
        kwargs.setdefault("response_class", ForgedResponse)
        super().add(*args, **kwargs)


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Answer every aiohttp request from here. Client middlewares are bypassed, so not for them."""
    with Faults() as forged:
        yield forged


class Site:
    """A server on loopback: its address and what it was asked."""

    def __init__(self, url: str, requests: list[web.Request]) -> None:
        self.url = url
        self.requests = requests


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Site]]]:
    """Return a function that serves every path with one handler, until the test is over."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, ssl_context: ssl.SSLContext | None = None) -> Site:
        requests: list[web.Request] = []

        async def note(request: web.Request) -> web.StreamResponse:
            requests.append(request)
            return await handler(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", note)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
        await site.start()
        scheme = "http" if ssl_context is None else "https"
        return Site(f"{scheme}://127.0.0.1:{runner.addresses[0][1]}", requests)

    yield start
    for runner in runners:
        await runner.cleanup()


def uvicorn_server(app: Any) -> Any:
    """Return a server of an ASGI application that ends as soon as it is told."""
    # Here, so that the other tests run where it is not installed.
    import uvicorn

    class Server(uvicorn.Server):
        """
        One that ends when it is told, where uvicorn looks ten times a second.

        Signals stay the tests' own. A fixture ends it, in another run of the loop than the test's,
        and what it then put back as Ctrl-C's would be the handler of the run that is over.
        """

        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self.told = asyncio.Event()

        def capture_signals(self) -> AbstractContextManager[None]:
            return nullcontext()

        async def main_loop(self) -> None:
            await self.on_tick(0)
            await self.told.wait()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for served in self.servers:
                served.close()
            for listener in sockets or ():
                listener.close()
            for connection in list(self.server_state.connections):
                connection.shutdown()
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn sets no event
                await asyncio.sleep(0)

    # Where a test was stopped for a while, its connection is still there when it goes on.
    options = {"lifespan": "off", "log_config": None, "ws": "wsproto", "timeout_keep_alive": 600}
    return Server(uvicorn.Config(app, **options))


@pytest.fixture
async def serve_asgi() -> AsyncIterator[Callable[[Any], Awaitable[str]]]:
    """Return a function that serves an ASGI application with uvicorn, until the test is over."""
    async with AsyncExitStack() as exits:

        async def start(app: Any) -> str:
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn_server(app)
            task = asyncio.create_task(server.serve(sockets=[listener]))

            async def stop() -> None:
                server.told.set()
                await task

            exits.push_async_callback(stop)
            while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
                await asyncio.sleep(0)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


@pytest.fixture
def our_log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    """Return a function that gives what we have logged: asyncio may tell of others' garbage."""

    def our_log() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name.startswith("async_auth")]

    return our_log


@pytest.fixture
def kept_port() -> Iterator[int]:
    """Give a port that is the test's alone, also while nobody listens there."""
    with KeptPort() as kept:
        yield kept.number


@pytest.fixture(scope="session")
def key_pool() -> list[Any]:
    """Return RSA keys that earlier tests have used."""
    return []


@pytest.fixture
def make_key(key_pool) -> Callable[[], Any]:
    """Return a function that gives a private RSA key, another at each call of one test."""
    used = iter(count())

    def make() -> Any:
        number = next(used)
        if number == len(key_pool):
            key_pool.append(make_private_key())
        return key_pool[number]

    return make


#: Everything that a certificate may say of the use of its key.
KEY_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class Authority:
    """A certificate authority that nobody trusts but those who are told to."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "authority.pem"
        self._folder = folder
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), name_of("authority")
        self.file.write_bytes(self._certificate("authority", self._key, ca=True))

    def trusted(self) -> ssl.SSLContext:
        """Return a client's context that trusts it."""
        return ssl.create_default_context(cafile=self.file)

    def server(self, name: str, *, ends: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """Return a server's context with a certificate for *name*, which *ends* from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self._folder / "server.pem"
        file.write_bytes(private + self._certificate(name, key, ends=ends))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self, name: str, key: Any, *, ca: bool = False, ends: timedelta = timedelta(days=1)
    ) -> bytes:
        now, address = datetime.now(UTC), name.replace(".", "").isdigit()
        shown = x509.IPAddress(ip_address(name)) if address else x509.DNSName(name)
        public, ours = key.public_key(), self._key.public_key()
        # What a strict reader wants to see, as Python is from 3.13 on.
        uses = dict.fromkeys(KEY_USES, False) | {"key_cert_sign": ca, "digital_signature": not ca}
        found = (
            x509.CertificateBuilder(self._name, name_of(name), public, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectAlternativeName([shown]), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**uses), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ours), critical=False)
        )
        return found.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def name_of(name: str) -> x509.Name:
    """Return a name as certificates write it."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


class Wire:
    """The real transport, with a look at every request and a hand in every answer."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        #: What the next requests raise in place of being sent.
        self.failures: list[Exception] = []
        #: What becomes of every answer.
        self.change: Callable[[Response], Response] = lambda response: response
        #: How many requests have no answer yet.
        self.under_way = 0
        self._real = AiohttpTransport()

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Send it, as `Transport.send` does."""
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        self.under_way += 1
        try:
            return self.change(await self._real.send(request, timeout=timeout))
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        """Close the real transport."""
        await self._real.aclose()


class Elsewhere:
    """A clock that shows another time than the one beside it."""

    def __init__(self, clock: ManualClock, ahead: float) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> float:
        """Return the time there."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """Return the seconds that have passed, which are the same everywhere."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep beside the other one."""
        await self._clock.sleep(seconds)


class Stage:
    """A `GoTrueServer` with one user, and its clients, on clocks that only the test moves."""

    EMAIL, PASSWORD = "ada@example.com", "correct-horse-1"
    REFRESH = "/token?grant_type=refresh_token"

    def __init__(self, server: GoTrueServer, clock: ManualClock, exits: AsyncExitStack) -> None:
        self.server = server
        self.clock = clock
        self.user_id = server.create_user(email=self.EMAIL, password=self.PASSWORD)
        self._exits = exits

    @property
    def refreshes(self) -> int:
        """How many refresh requests the server has seen."""
        return self.server.counts[self.REFRESH]

    @property
    def requests(self) -> int:
        """How many requests the server has seen."""
        paths = ("/signup", "/token", "/user", "/logout", "/settings", "/health")
        return sum(self.server.counts[path] for path in paths)

    def options(self, **options: Any) -> dict[str, Any]:
        """Return arguments for a client that draws no lots and lives on the stage's clock."""
        exact = RefreshPolicy(jitter=0)
        return {"clock": self.clock, "policy": exact, "random": lambda: 0.0, **options}

    async def client(self, **options: Any) -> GoTrueClient:
        """Start a client of the server; it is closed after the test."""
        client = GoTrueClient(self.server.url, **self.options(**options))
        self._exits.push_async_callback(client.aclose)
        return await client.start()

    async def signed_in(self, **options: Any) -> GoTrueClient:
        """Start a client and sign the user in, which costs no refresh."""
        client = await self.client(**options)
        await client.sign_in_with_password(email=self.EMAIL, password=self.PASSWORD)
        return client

    async def record(self, client: Any) -> EventRecorder:
        """Record the events of a client from now on, the initial one first."""
        recorder = EventRecorder(client)
        await recorder.start()
        self._exits.push_async_callback(recorder.stop)
        await recorder.wait_for("INITIAL_SESSION")
        return recorder

    def wire(self) -> Wire:
        """Return a transport to look into; it is closed after the test."""
        wire = Wire()
        self._exits.push_async_callback(wire.aclose)
        return wire

    def tokens(self) -> dict[str, Any]:
        """Open another session of the user, as if elsewhere, and return the server's JSON."""
        return self.server.open_session(self.user_id)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let everything run until *condition* holds; the runner's timeout ends what never does."""
        while not condition():  # noqa: ASYNC110 - the server sets no event for what it counts
            await asyncio.sleep(0)


@pytest.fixture
async def set_stage(manual_clock: ManualClock) -> AsyncIterator[Callable[..., Awaitable[Stage]]]:
    """
    Return a function that sets a stage; its arguments are the server's.

    And *ahead*: by how many seconds the server's clock shows more than the clients'.
    """
    async with AsyncExitStack() as exits:

        async def start(*, ahead: float = 0.0, **options: Any) -> Stage:
            # It may be down for a while, and come back.
            port = exits.enter_context(KeptPort()).number
            clock = Elsewhere(manual_clock, ahead)
            server = GoTrueServer(clock=clock, port=port, **options)
            await exits.enter_async_context(server)
            return Stage(server, manual_clock, exits)

        yield start


@pytest.fixture
async def stage(set_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    """Set a stage whose tokens live for an hour and whose server forgives no reuse at all."""
    return await set_stage(reuse_interval=0, parent_rule=False)
