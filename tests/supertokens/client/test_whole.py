"""The client against our own back-end half and the embedded core, under both algorithms.

Up to CDI 5.5 a core rotates a refresh token when what came of it is first used; from 5.6 it does
so in the refresh itself, with 30 seconds of grace. The client cannot tell which it is.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from async_auth.core.policy import RefreshPolicy
from async_auth.core.web.incoming import Incoming
from async_auth.errors import (
    AuthSessionMissing,
    NetworkError,
    RefreshRejected,
    TemporaryError,
)
from async_auth.events import RefreshFailed, SignedOut, TokenRefreshed
from async_auth.integrations.aiohttp import supertokens_middleware
from async_auth.session import Status
from async_auth.stores import FileStore
from async_auth.supertokens import AppInfo, BooleanClaim, SuperTokensBackend, SuperTokensClient
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.web import HANDLED
from async_auth.testing import EventRecorder, SuperTokensCoreServer
from async_auth.transport import AiohttpTransport

VERIFIED = BooleanClaim("st-ev", lambda *_: None)
LIFE = 3600
REFRESH = "/auth/session/refresh"


class Ahead:
    """A server's clock: by some seconds ahead of the test's."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds
        self.monotonic, self.sleep = clock.monotonic, clock.sleep

    def now(self):
        """Return the server's time."""
        return self.clock.now() + self.seconds


class Whole:
    """A core, a back end before it, an application of it, and clients."""

    def __init__(self, core, clock, version, exits, *, theirs):
        self.core, self.clock, self.version, self.exits = core, clock, version, exits
        self.theirs = theirs
        self.backend = None
        self.url = ""
        self.paths = []

    async def start(self, serve, **options):
        """Serve the application."""
        self.url = (await serve(self.answer)).url
        self.backend = SuperTokensBackend(
            self.core.url,
            app=AppInfo("app", self.url, self.url),
            cdi_version=self.version,
            clock=self.theirs,
            **options,
        )
        self.exits.push_async_callback(self.backend.aclose)

    @property
    def refreshes(self):
        """How many refreshes the application has seen."""
        return self.paths.count(REFRESH)

    async def answer(self, request):
        """Answer one request with what the back end says, tokens and all."""
        self.paths.append(request.path)
        incoming = Incoming.of(request.method, request.path, list(request.headers.items()))
        exchange = Exchange(incoming)
        found = await self.backend.web.route(exchange)
        if found is None:
            try:
                status, body = 200, await self.route(request, exchange)
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

    async def client(self, **options):
        """Start a client."""
        facts = {"clock": self.clock, "policy": RefreshPolicy(jitter=0), "random": lambda: 0.0}
        client = SuperTokensClient(self.url, **{**facts, **options})
        self.exits.push_async_callback(client.aclose)
        return await client.start()

    async def http(self, client):
        """Open an aiohttp session with the client's middleware."""
        http = aiohttp.ClientSession(middlewares=[supertokens_middleware(client)])
        return await self.exits.enter_async_context(http)

    async def signed_in(self, **options):
        """Start a client and sign in by the application's route."""
        client = await self.client(**options)
        http = await self.http(client)
        assert 200 == await self.get(http, "/login")
        return client, http

    async def get(self, http, path):
        """Return the status of a request."""
        async with http.post(f"{self.url}{path}") as response:
            await response.read()
            return response.status

    async def until(self, condition):
        """Let everything run until *condition* holds; the runner's timeout ends what never does."""
        while not condition():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)

    async def record(self, client):
        """Record the client's events from now on."""
        recorder = EventRecorder(client)
        await recorder.start()
        self.exits.push_async_callback(recorder.stop)
        await recorder.wait_for("INITIAL_SESSION")
        return recorder


@pytest.fixture(params=["5.4", "5.6"])
def version(request):
    """Give each of the two algorithms."""
    return request.param


@pytest.fixture
async def whole(make_whole, version):
    """Return all of it, with nothing said."""
    return await make_whole(version=version)


@pytest.fixture
async def make_whole(serve, manual_clock, make_key):
    """Return a function that makes all of it, with options for the back end."""
    async with AsyncExitStack() as exits:

        async def make(*, version, ahead=0.0, **options):
            theirs = Ahead(manual_clock, ahead) if ahead else manual_clock
            core = await exits.enter_async_context(
                SuperTokensCoreServer(clock=theirs, access_token_validity=LIFE, make_key=make_key)
            )
            found = Whole(core, manual_clock, version, exits, theirs=theirs)
            await found.start(serve, **options)
            return found

        yield make


@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_a_session_from_login_to_sign_out(whole, method):
    """Log in, use, refresh, use, change a claim, sign out: in either method."""
    client, http = await whole.signed_in(token_transfer_method=method)
    assert 200 == await whole.get(http, "/x")
    await client.refresh_session()
    assert [200, 200] == [await whole.get(http, path) for path in ("/x", "/database")]
    # Committed by now: the token that came with the swap is the one that is kept.
    assert (await client.get_access_token_payload())["parentRefreshTokenHash1"] is None

    assert 403 == await whole.get(http, "/needs-claim")
    assert 200 == await whole.get(http, "/set-claim")
    assert 200 == await whole.get(http, "/needs-claim")
    assert () == await client.validate_claims([VERIFIED.validators.is_true()])

    await client.sign_out()
    assert (401, None) == (await whole.get(http, "/x"), client.session)


@pytest.mark.parametrize("anti_csrf", ["VIA_TOKEN", "VIA_CUSTOM_HEADER"])
async def test_c02_anti_csrf_in_cookie_mode(make_whole, version, anti_csrf):
    """What the back end wants to see beside cookies goes with requests and with the refresh."""
    whole = await make_whole(version=version, anti_csrf=anti_csrf)
    client, http = await whole.signed_in(token_transfer_method="cookie")

    for _ in range(2):
        assert 200 == await whole.get(http, "/x")
        await client.refresh_session()
        await whole.clock.advance(60)

    assert 200 == await whole.get(http, "/database")
    await client.sign_out()
    assert [] == list(whole.core.sessions)


async def test_c09_a_back_end_with_the_habits_of_release_1(make_whole, version):
    """440, and the refresh at another path, by one word on either side."""
    whole = await make_whole(version=version, preset="v1")
    client, http = await whole.signed_in(preset="v1", auto_refresh=False)
    assert 200 == await whole.get(http, "/x")
    head, payload, signature = client.session.access_token.split(".")
    forged = f"{head}.{payload}.{'A' * len(signature)}"
    await client.adopt_tokens(forged, client.session.refresh_token)

    assert 200 == await whole.get(http, "/x")
    assert (1, 0) == (whole.paths.count("/api/refresh"), whole.refreshes)


async def test_two_hundred_refreshes_without_a_use(whole):
    """A chain of refreshes in the background, the access token never used, holds for days."""
    client, http = await whole.signed_in()
    recorder = await whole.record(client)

    for count in range(1, 201):
        await whole.clock.advance(client.session.expires_at - 10 - whole.clock.now())
        await recorder.wait_for(TokenRefreshed, count)

    assert (200, 201) == (whole.refreshes, client.session.generation)
    assert 200 == await whole.get(http, "/database")


@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_fifty_requests_meet_an_expired_token(whole, method):
    """One refresh, and fifty times 200."""
    client, http = await whole.signed_in(token_transfer_method=method, auto_refresh=False)
    await whole.clock.advance(LIFE + 1)

    found = await asyncio.gather(*(whole.get(http, "/x") for _ in range(50)))

    assert ([200] * 50, 1) == (found, whole.refreshes)
    await client.refresh_session()
    assert 200 == await whole.get(http, "/database")


@pytest.mark.parametrize("slow", ["/recipe/session/refresh", "/recipe/session/remove"])
async def test_signing_out_while_refreshing(whole, slow, tmp_path):
    """The sign-out wins, whoever answers first; whoever waited for the refresh is told so."""
    store = FileStore(tmp_path)
    client, http = await whole.signed_in(store=store)
    recorder = await whole.record(client)
    whole.core.faults.add(slow, delay=5)

    refresh = asyncio.create_task(client.refresh_session())
    await whole.until(lambda: whole.refreshes)
    signing_out = asyncio.create_task(client.sign_out())
    await whole.until(lambda: "/auth/signout" in whole.paths)
    # From here on the core takes its time; before, the seconds would pass without it.
    await whole.until(lambda: whole.core.counts[slow])
    await whole.clock.advance(6)
    with pytest.raises(AuthSessionMissing):
        await refresh
    await signing_out

    assert (None, []) == (client.session, list(whole.core.sessions))
    assert ["user"] == [event.reason for event in recorder.of(SignedOut)]
    assert [] == recorder.of(TokenRefreshed)
    assert 401 == await whole.get(http, "/x")
    await client.aclose()  # what was sent has landed by now
    assert await store.load("default") is None


async def test_the_core_is_down_for_a_minute(whole):
    """The session is kept past its expiry, and everything is right again after."""
    client, http = await whole.signed_in()
    recorder = await whole.record(client)
    whole.core.faults.add("/recipe/session/refresh", times=100, status=500)
    await whole.clock.advance(LIFE - 10)
    await recorder.wait_for(RefreshFailed)
    await whole.clock.advance(60)
    with pytest.raises(TemporaryError):
        await client.get_token()
    assert Status.EXPIRED == client.status

    whole.core.faults.clear()
    await whole.clock.advance(60)
    await recorder.wait_for(TokenRefreshed)

    assert 200 == await whole.get(http, "/x")
    assert [] == recorder.of(SignedOut)


async def test_every_first_answer_to_a_refresh_is_lost(whole, wire_of):
    """The same token is sent again at once, and no theft comes of it, now or a life later."""
    transport = AiohttpTransport()
    wire = wire_of(transport)
    client, http = await whole.signed_in(transport=wire, auto_refresh=False)
    for _ in range(3):
        wire.losses = [NetworkError("lost", sent=True)]
        await client.refresh_session()
        assert 200 == await whole.get(http, "/x")
        await whole.clock.advance(LIFE - 60)

    assert 6 == whole.refreshes
    await transport.aclose()


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_the_servers_clock_is_an_hour_off(make_whole, version, ahead):
    """A token lives as long as it did, background refreshes come in time, and no sooner."""
    whole = await make_whole(version=version, ahead=ahead)
    client, http = await whole.signed_in()
    recorder = await whole.record(client)

    for count in range(1, 4):
        left = client.session.expires_at - whole.clock.now()
        assert 0.95 * LIFE - 2 <= left <= LIFE
        assert 200 == await whole.get(http, "/x")
        await whole.clock.advance(left - 60)
        assert (200, count - 1) == (await whole.get(http, "/x"), whole.refreshes)
        await whole.clock.advance(51)
        await recorder.wait_for(TokenRefreshed, count)

    await client.sign_out()
    assert [] == list(whole.core.sessions)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_tokens_from_elsewhere_of_a_server_whose_clock_is_off(make_whole, version, ahead):
    """Nothing tells it with them: the first refusal, or the first refresh, does."""
    whole = await make_whole(version=version, ahead=ahead)
    first, _ = await whole.signed_in(auto_refresh=False)
    client = await whole.client(auto_refresh=False)
    await client.adopt_tokens(first.session.access_token, first.session.refresh_token)
    http = await whole.http(client)
    await whole.clock.advance(LIFE)

    assert 200 == await whole.get(http, "/x")
    assert 1 == whole.refreshes
    left = client.session.expires_at - whole.clock.now()
    assert 0.95 * LIFE - 2 <= left <= LIFE


async def test_a_theft_ends_the_session(whole, tmp_path):
    """Whoever comes second with a token that was replaced and used is told so, by that reason."""
    client, _ = await whole.signed_in(store=FileStore(tmp_path), auto_refresh=False)
    recorder = await whole.record(client)
    thief = await whole.client(auto_refresh=False)
    await thief.refresh_session(client.session.refresh_token)
    await thief.refresh_session()
    assert 200 == await whole.get(await whole.http(thief), "/x")
    await whole.clock.advance(LIFE + 60)

    with pytest.raises(RefreshRejected):
        await client.get_token()

    assert "theft" == (await recorder.wait_for(SignedOut)).reason
    assert await (await whole.client(store=FileStore(tmp_path))).does_session_exist() is False


async def test_a_session_that_the_app_ends(whole):
    """Its own route revokes it: the client is signed out by the answer."""
    client, http = await whole.signed_in()
    recorder = await whole.record(client)

    assert 200 == await whole.get(http, "/revoke-me")

    assert "user" == (await recorder.wait_for(SignedOut)).reason
    assert client.session is None


async def test_bots_that_start_together_sign_in_once(whole, tmp_path):
    """One posts to the application's route; the others go on with the session that it brought."""
    bots = [await whole.client(store=FileStore(tmp_path)) for _ in range(3)]
    sites = [await whole.http(bot) for bot in bots]

    await asyncio.gather(
        *(
            bot.sign_in_once(lambda http=http: whole.get(http, "/login"))
            for bot, http in zip(bots, sites, strict=True)
        )
    )

    assert 1 == whole.paths.count("/login")
    assert ["ada"] * 3 == [await bot.get_user_id() for bot in bots]
    assert [200] * 3 == [await whole.get(http, "/x") for http in sites]


async def test_a_restart(whole, tmp_path):
    """A bot that comes back finds its session in the store and goes on."""
    first, _ = await whole.signed_in(store=FileStore(tmp_path))
    await first.aclose()
    await whole.clock.advance(2 * LIFE)

    second = await whole.client(store=FileStore(tmp_path))
    http = await whole.http(second)

    assert (200, 1) == (await whole.get(http, "/x"), whole.paths.count("/login"))
