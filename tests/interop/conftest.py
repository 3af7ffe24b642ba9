"""Applications with SuperTokens sessions, ours and the official one, and ways to call them.

All have the same routes and stand before the embedded core of the test; all of it runs on the
system's time, for the official package knows no other. What ages a token is the core's clock.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from kept_ports import KeptPort

from async_auth.clock import SystemClock
from async_auth.core.policy import RefreshPolicy
from async_auth.core.web.incoming import Incoming
from async_auth.integrations.aiohttp import supertokens_middleware
from async_auth.integrations.httpx import SuperTokensAuth
from async_auth.supertokens import AppInfo, BooleanClaim, SuperTokensBackend, SuperTokensClient
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.web import HANDLED
from async_auth.testing import EventRecorder, SuperTokensCoreServer
from async_auth.transport import AiohttpTransport

#: How long a token lives, in seconds.
LIFE = 3600
#: Nobody speaks TLS here, and to load its certificates takes longer than many a test.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
VERIFIED = BooleanClaim("st-ev", lambda *_: None)


class Shifted(SystemClock):
    """The system's clock, off by some seconds."""

    def __init__(self, ahead=0.0):
        self.ahead = ahead

    def now(self):
        """Return the time on it."""
        return super().now() + self.ahead


class Lossy:
    """A transport that loses the next answers after the server has given them."""

    def __init__(self):
        self.losses = []
        self._real = AiohttpTransport()

    async def send(self, request, *, timeout):
        """Send it, as `Transport.send` does."""
        response = await self._real.send(request, timeout=timeout)
        if self.losses:
            raise self.losses.pop()
        return response

    async def aclose(self):
        """Close the real transport."""
        await self._real.aclose()


class OwnApp:
    """An application behind our own back-end half."""

    def __init__(self, core, version):
        self.core, self.version = core, version
        self.backend = None

    async def start(self, serve):
        """Serve it, and return where it is."""
        url = (await serve(self.answer)).url
        app = AppInfo("app", url, url)
        self.backend = SuperTokensBackend(self.core.url, app=app, cdi_version=self.version)
        return url

    async def answer(self, request):
        """Answer one request with what the back end says, tokens and all."""
        incoming = Incoming.of(request.method, request.path, list(request.headers.items()))
        exchange = Exchange(incoming)
        found = await self.backend.web.route(exchange)
        status, body = 200, {}
        if found is None:
            try:
                body = await self.route(request, exchange)
            except HANDLED as error:
                found = await self.backend.web.answer_to(error, exchange)
        if found is not None:
            status, body = found.status, found.body
        response = web.json_response(body, status=status)
        for name, value in exchange.outgoing.merged_into([]):
            response.headers.add(name, value)
        return response

    async def route(self, request, exchange):
        """Do what the path says."""
        if request.path == "/login":
            await self.backend.create_new_session(exchange, None, "ada")
            return {}
        validators = None
        if request.path == "/needs-claim":
            validators = [VERIFIED.validators.is_true()]
        session = await self.backend.get_session(
            exchange, claim_validators=validators, check_database=request.path == "/database"
        )
        if request.path == "/set-claim":
            await session.set_claim_value(VERIFIED, value=True)
        if request.path == "/revoke-me":
            await session.revoke_session()
        return {"user": session.user_id}


class Place:
    """An application, the core behind it, and clients of it."""

    def __init__(self, core, url, open_http, exits):
        self.core, self.url, self._open_http, self._exits = core, url, open_http, exits

    @property
    def refreshes(self):
        """How many refreshes have reached the core."""
        return self.core.counts["/recipe/session/refresh"]

    async def client(self, **options):
        """Start a client whose timer never goes off by itself in a test."""
        facts = {"policy": RefreshPolicy(jitter=0), "random": lambda: 0.0}
        client = SuperTokensClient(self.url, **{**facts, **options})
        self._exits.push_async_callback(client.aclose)
        return await client.start()

    async def http(self, client):
        """Return a function that posts to a path with the client's session: the status."""
        return await self._open_http(self.url, client, self._exits)

    async def signed_in(self, *, expired=False, **options):
        """
        Start a client, sign in by the application's route, and return both.

        *expired*: with a token that is past its time, which only the server knows.
        """
        client = await self.client(**options)
        http = await self.http(client)
        self.core.clock.ahead = -LIFE - 60 if expired else 0
        assert 200 == await http("/login")
        self.core.clock.ahead = 0
        return client, http

    async def lossy(self):
        """Return a transport that loses answers."""
        found = Lossy()
        self._exits.push_async_callback(found.aclose)
        return found

    async def record(self, client):
        """Record the client's events from now on."""
        recorder = EventRecorder(client)
        await recorder.start()
        self._exits.push_async_callback(recorder.stop)
        await recorder.wait_for("INITIAL_SESSION")
        return recorder


async def open_aiohttp(url, client, exits):
    """Call by aiohttp."""
    http = aiohttp.ClientSession(middlewares=[supertokens_middleware(client)])
    await exits.enter_async_context(http)

    async def post(path):
        async with http.post(f"{url}{path}") as response:
            await response.read()
            return response.status

    return post


async def open_httpx(url, client, exits):
    """Call by httpx."""
    http = httpx.AsyncClient(
        auth=SuperTokensAuth(client),
        trust_env=False,
        verify=NO_TLS,
        # supertokens-python takes its time with fifty at once; httpx would give it five seconds.
        timeout=120,
    )
    await exits.enter_async_context(http)

    async def post(path):
        return (await http.post(f"{url}{path}")).status_code

    return post


@pytest.fixture(params=[open_aiohttp, open_httpx], ids=["aiohttp", "httpx"])
def open_http(request):
    """Give each adapter."""
    return request.param


@pytest.fixture
def shifted():
    """Return a clock that a test can step."""
    return Shifted()


@pytest.fixture(scope="session")
def one_core():
    """Make the core once, for its keys take long; it is down, and keeps its port."""
    with KeptPort() as kept:
        # Its keys are old enough for whatever it signs.
        clock = Shifted(-2 * LIFE)
        core = SuperTokensCoreServer(clock=clock, access_token_validity=LIFE, port=kept.number)
        core.clock.ahead = 0
        yield core


@pytest.fixture
async def core(one_core):
    """Start the core, as if it were new."""
    async with one_core:
        one_core.revoke_sessions("ada")
        one_core.counts.clear()
        yield one_core


@pytest.fixture(scope="session")
def official_url(one_core, tmp_path_factory):
    """Start the official application once; return where it is."""
    script = Path(__file__).with_name("official_app.py")
    log = tmp_path_factory.mktemp("official") / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(script), one_core.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process.stdout:
        url = process.stdout.readline().decode().strip()
    if url:
        yield url
        process.terminate()
    process.wait()
    if not url:
        raise RuntimeError(f"The official application did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(params=["ours on 5.4", "ours on 5.6", "supertokens-python"])
async def place(request, core, serve, open_http):
    """Give each application, in its place."""
    async with AsyncExitStack() as exits:
        if request.param == "supertokens-python":
            url = request.getfixturevalue("official_url")
        else:
            app = OwnApp(core, request.param.rpartition(" ")[2])
            url = await app.start(serve)
            exits.push_async_callback(app.backend.aclose)
        yield Place(core, url, open_http, exits)
