"""What a client of SuperTokens has to do, criterion by criterion, through aiohttp's middleware.

C10 is in `test_interception.py`; the parsing halves of C2, C3, C18 and C19 are beside their
modules. The API is the small one of `conftest.py`.
"""

from __future__ import annotations

import asyncio
import io
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    NetworkError,
    RefreshRejected,
    ServerUnavailable,
    StoreError,
    TokenTheftDetected,
)
from async_auth.events import (
    AccessTokenPayloadUpdated,
    ApiInvalidClaim,
    RefreshFailed,
    SignedIn,
    SignedOut,
    TokenRefreshed,
)
from async_auth.integrations.aiohttp import supertokens_middleware
from async_auth.session import Status
from async_auth.stores import FileStore, MemoryStore
from async_auth.supertokens import BooleanClaim, SuperTokensClient, SuperTokensProvider
from async_auth.testing import EventRecorder
from async_auth.transport import AiohttpTransport

BASE = "/auth/session/refresh"


async def get(http, url, **options):
    """Return an answer's status and JSON."""
    async with http.get(url, **options) as response:
        return response.status, await response.json()


async def test_c01_what_a_request_carries(desk, api):
    """Mode, rid and the token; signed out the first two only, so that one can sign in."""
    _, http = await desk.signed_in()
    await get(http, f"{api.url}/x")
    login, ordinary = api.requests

    assert ("header", "anti-csrf") == (login.headers["st-auth-mode"], login.headers["rid"])
    assert "Authorization" not in login.headers
    assert ("header", "anti-csrf") == (ordinary.headers["st-auth-mode"], ordinary.headers["rid"])
    assert ordinary.headers["Authorization"].startswith("Bearer ey")


async def test_c01_the_callers_own_headers(desk, api):
    """A rid of one's own stays, and so does an Authorization, whose refusal is handed back."""
    _, http = await desk.signed_in()

    headers = {"rid": "mine", "Authorization": "Bearer other"}
    status, _ = await get(http, f"{api.url}/x", headers=headers)

    assert (401, 0) == (status, api.refreshes)
    assert ["mine"] == api.requests[-1].headers.getall("rid")
    assert ["Bearer other"] == api.requests[-1].headers.getall("Authorization")


@pytest.mark.parametrize("expired", [False, True])
async def test_c01_the_callers_copy_of_our_token_is_replaced(desk, api, expired):
    """Whoever writes our token into the header gets what we would have sent, refreshed too."""
    client, http = await desk.signed_in(auto_refresh=False)
    headers = {"Authorization": (await client.get_token()).header}
    if expired:
        await desk.clock.advance(4000)
    api.expire()

    status, _ = await get(http, f"{api.url}/x", headers=headers)

    assert (200, 1) == (status, api.refreshes)


async def test_c01_the_copy_of_a_stored_token_is_replaced(desk, api, tmp_path):
    """A client that has not looked into its store yet does so first."""
    first, _ = await desk.signed_in(store=FileStore(tmp_path), auto_refresh=False)
    headers = {"Authorization": (await first.get_token()).header}
    await desk.clock.advance(4000)
    client = SuperTokensClient(api.url, clock=desk.clock, store=FileStore(tmp_path))
    http = await desk.http(client)

    assert 200 == (await get(http, f"{api.url}/x", headers=headers))[0]
    await client.aclose()


async def test_c02_the_refresh_request(desk, api):
    """POST, without a body, the refresh token as bearer; the answer is the new session."""
    client, _ = await desk.signed_in()
    old = client.session

    new = await client.refresh_session()

    request = api.requests[-1]
    assert ("POST", BASE, b"") == (request.method, request.path, api.bodies[-1])
    assert f"Bearer {old.refresh_token}" == request.headers["Authorization"]
    assert ("session", "header") == (request.headers["rid"], request.headers["st-auth-mode"])
    assert request.headers["fdi-version"].startswith("1.16,")
    assert "st-refresh-token" not in request.headers
    assert (2, True) == (new.generation, new.refresh_token != old.refresh_token)


async def test_c02_a_refresh_without_a_front_token(desk, api):
    """A success that a proxy has robbed is an error for now: no loop, and no session lost."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    api.expire()
    api.faults[BASE] = [web.json_response({}, headers={"st-access-token": "x"})]

    status, _ = await get(http, f"{api.url}/x")

    assert (401, 1) == (status, api.refreshes)
    failed = await recorder.wait_for(RefreshFailed)
    assert "front-token" in str(failed.error)
    assert Status.FRESH == client.status


async def test_c03_every_answer_is_read(desk, api):
    """An error's headers count as those of a success; proxies may take the empty ones away."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    tokens = api.issue("handle-1", refresh=False, colour="red")
    answer = api.answer(tokens, "header")
    answer.set_status(500)
    api.faults["/x"] = [answer, web.Response(status=500, headers={"front-token": "remove"})]

    await (await http.get(f"{api.url}/x")).read()
    assert tokens.access == client.session.access_token
    await (await http.get(f"{api.url}/x")).read()

    assert client.session is None
    assert "user" == (await recorder.wait_for(SignedOut)).reason


async def test_c03_an_empty_access_token_is_cleared(desk, api):
    """The access token alone that is cleared is fetched anew before the next request."""
    client, http = await desk.signed_in()
    api.faults["/x"] = [web.json_response({}, headers={"st-access-token": ""})]
    await get(http, f"{api.url}/x")
    assert Status.EXPIRED == client.status

    assert 200 == (await get(http, f"{api.url}/x"))[0]
    assert 1 == api.refreshes


async def test_c03_an_empty_refresh_token_is_cleared(desk, api):
    """The refresh token alone that is cleared leaves a session that lives until it expires."""
    client, http = await desk.signed_in()
    api.faults["/x"] = [web.json_response({}, headers={"st-refresh-token": ""})]
    await get(http, f"{api.url}/x")

    assert client.session.refresh_token is None
    assert await client.does_session_exist()
    await desk.clock.advance(4000)
    assert await client.does_session_exist() is False


@pytest.mark.parametrize("late", ["swap", "remove", "rotation"])
async def test_c04_a_late_answer_changes_nothing(desk, api, late):
    """What was asked with an older token neither replaces nor ends the newer session."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def slow(_):
        arrived.set()
        await gate.wait()
        if late == "remove":
            return api.cleared(401, "unauthorised")
        return api.answer(api.issue("handle-1", refresh=late == "rotation", late=True), "header")

    api.faults["/x"] = [slow]
    request = asyncio.create_task(get(http, f"{api.url}/x"))
    await arrived.wait()
    refreshed = await client.refresh_session()
    gate.set()
    await request

    assert refreshed == client.session
    assert [] == recorder.of(SignedOut)
    assert [] == recorder.of(SignedIn)


async def test_c04_a_refusal_of_what_another_process_has_replaced_ends_nothing(desk, api, tmp_path):
    """Its tokens are taken from the store, and the request goes out with them."""
    client, http = await desk.signed_in(store=FileStore(tmp_path))
    recorder = await desk.record(client)
    other = await desk.client(store=FileStore(tmp_path))
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def slow(_):
        arrived.set()
        await gate.wait()
        return api.cleared(401, "unauthorised")

    api.faults["/x"] = [slow]
    request = asyncio.create_task(get(http, f"{api.url}/x"))
    await arrived.wait()
    newer = await other.refresh_session()
    gate.set()

    assert 200 == (await request)[0]
    assert newer.access_token == client.session.access_token
    assert ([], 1) == (recorder.of(SignedOut), api.refreshes)
    assert await FileStore(tmp_path).load("default") is not None


async def test_c04_a_session_that_its_app_ended_is_over_in_every_process(desk, api, tmp_path):
    """An answer that is no refusal means the session, whichever token was sent."""
    client, http = await desk.signed_in(store=FileStore(tmp_path))
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def slow(_):
        arrived.set()
        await gate.wait()
        return api.cleared(200, "bye")

    api.faults["/x"] = [slow]
    request = asyncio.create_task(get(http, f"{api.url}/x"))
    await arrived.wait()
    other = await desk.client(store=FileStore(tmp_path))
    await other.refresh_session()
    stream = client.events()
    while 2 != (await anext(stream)).session.generation:
        pass
    gate.set()

    assert 200 == (await request)[0]
    assert client.session is None
    assert await FileStore(tmp_path).load("default") is None


async def test_c04_an_answer_after_signing_out_brings_nothing_back(desk, api):
    """A sign-out wins over a sign-in and over a swap that were under way."""
    client, http = await desk.signed_in()
    gate, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(_):
        arrived.release()
        await gate.wait()

    api.faults["/login"] = [slow]
    api.faults["/swap"] = [slow]
    swap = asyncio.create_task(get(http, f"{api.url}/swap"))
    login = asyncio.create_task(get(http, f"{api.url}/login"))
    for _ in range(2):
        await arrived.acquire()
    await client.sign_out()
    gate.set()
    await asyncio.gather(swap, login)

    assert client.session is None


async def test_c04_a_late_401_is_sent_again_without_a_refresh(desk, api):
    """The token was replaced while the request was under way: nothing is asked for."""
    client, http = await desk.signed_in()
    refused = web.json_response({"message": "try refresh token"}, status=401)

    async def refresh_meanwhile(_):
        await client.refresh_session()
        return refused

    api.faults["/x"] = [refresh_meanwhile]
    status, _ = await get(http, f"{api.url}/x")

    assert (200, 1) == (status, api.refreshes)


async def test_c04_a_token_that_was_swapped_needs_no_refresh(desk, api):
    """A refusal of what another answer has replaced is a reason to send again, no more."""
    client, http = await desk.signed_in()

    async def swap_meanwhile(_):
        await get(http, f"{api.url}/claim")
        return web.json_response({"message": "try refresh token"}, status=401)

    api.faults["/x"] = [swap_meanwhile]
    status, _ = await get(http, f"{api.url}/x")

    assert (200, 0) == (status, api.refreshes)
    assert 1 == client.session.generation


async def test_c04_of_two_tokens_of_one_session_the_later_made_stays(desk, api):
    """Answers may come in another order than their tokens were made."""
    client, http = await desk.signed_in()
    older = api.issue("handle-1", refresh=False, colour="old")
    await desk.clock.advance(5)
    await get(http, f"{api.url}/claim?colour=new")
    api.faults["/x"] = [api.answer(older, "header")]
    await get(http, f"{api.url}/x")

    assert "new" == (await client.get_access_token_payload())["colour"]


async def test_c05_fifty_refusals_cost_one_refresh(desk, api):
    """All fifty are answered, by fifty replays of one refresh."""
    client, http = await desk.signed_in()
    api.expire()

    found = await asyncio.gather(*(get(http, f"{api.url}/x") for _ in range(50)))

    assert [200] * 50 == [status for status, _ in found]
    assert 1 == api.refreshes
    assert 2 == client.session.generation


async def test_c06_a_refresh_that_is_refused_ends_the_session(desk, api):
    """The refusal is handed back; later requests go out as nobody's."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    api.expire()
    api.revoke()

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert "session_not_found" == (await recorder.wait_for(SignedOut)).reason
    assert Status.REJECTED == client.status
    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert "Authorization" not in api.requests[-1].headers
    assert 1 == api.refreshes


@pytest.mark.parametrize("status", [500, 503, 429, 408, 404])
async def test_c06_an_outage_never_ends_the_session(desk, api, status):
    """Whatever is no refusal of the token is for now: the 401 is handed back, the session kept."""
    client, http = await desk.signed_in()
    api.expire()
    api.faults[BASE] = [web.Response(status=status)]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (Status.FRESH, 1) == (client.status, api.counts["/x"])

    await desk.clock.advance(120)
    assert 200 == (await get(http, f"{api.url}/x"))[0]


async def test_c06_nothing_is_sent_with_an_expired_token(desk, api):
    """Expired and the server away: the request raises and is not sent."""
    _, http = await desk.signed_in(auto_refresh=False)
    await desk.clock.advance(4000)
    api.faults[BASE] = [web.Response(status=500)]

    with pytest.raises(ServerUnavailable):
        await http.get(f"{api.url}/x")
    assert 0 == api.counts["/x"]


async def test_c06_who_signs_in_meanwhile_is_sent_for(desk, api):
    """A request that went out as nobody's goes out again once somebody has signed in."""
    client = await desk.client()
    http = await desk.http(client)

    async def sign_in_meanwhile(_):
        await (await http.post(f"{api.url}/login")).read()
        return web.json_response({"message": "unauthorised"}, status=401)

    api.faults["/x"] = [sign_in_meanwhile]

    assert 200 == (await get(http, f"{api.url}/x"))[0]
    assert 0 == api.refreshes


async def test_c06_nobody_is_answered_in_anothers_name(desk, api):
    """Another user who signs in meanwhile does not answer for what the first one asked."""
    client, http = await desk.signed_in()

    async def another_meanwhile(_):
        tokens = api.sign_in(sub="bob")
        await client.adopt_tokens(tokens.access, tokens.refresh, front_token=tokens.front)
        return web.json_response({"message": "unauthorised"}, status=401)

    api.faults["/x"] = [another_meanwhile]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (1, 0) == (api.counts["/x"], api.refreshes)
    assert "bob" == await client.get_user_id()


async def test_c06_nobody_is_answered_for_who_was_signed_out_meanwhile(desk, api):
    """It waited in one user's name for a token, went out as nobody's, and stays that."""
    client, http = await desk.signed_in(auto_refresh=False)
    await desk.clock.advance(4000)

    async def another_signs_in(_):
        tokens = api.sign_in(sub="eve")
        await client.adopt_tokens(tokens.access, tokens.refresh)

    api.faults[BASE] = [api.cleared(401, "unauthorised")]
    api.faults["/x"] = [another_signs_in]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert ("eve", 1) == (await client.get_user_id(), api.counts["/x"])


async def test_c07_an_api_that_always_refuses_costs_one_refresh(desk, api):
    """A 401 to a token that was refreshed for this very request is the API's own answer."""
    _, http = await desk.signed_in()
    api.always_refuses = True

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (2, 1) == (api.counts["/x"], api.refreshes)


async def test_c07_an_api_that_refuses_slowly_costs_one_refresh_too(desk, api):
    """However long it thinks: the bound is not that of two refreshes within a second."""
    _, http = await desk.signed_in()
    api.always_refuses = True

    async def think(_):
        await desk.clock.advance(5)

    api.faults["/x"] = [think] * 5

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (2, 1) == (api.counts["/x"], api.refreshes)


@pytest.mark.parametrize("most, sent, refreshes", [(0, 1, 0), (1, 2, 0), (2, 3, 1)])
async def test_c07_the_maximum_bounds_what_one_request_costs(desk, api, most, sent, refreshes):
    """Every replay counts, those too that need no refresh of their own."""
    client, http = await desk.signed_in(max_refresh_attempts=most)

    async def claim_meanwhile(_):
        tokens = api.issue("handle-1", refresh=False, colour="red")
        await client.adopt_tokens(tokens.access, api.alive["handle-1"], front_token=tokens.front)
        return web.json_response({}, status=401)

    api.always_refuses = True
    api.faults["/x"] = [claim_meanwhile]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (sent, refreshes) == (api.counts["/x"], api.refreshes)


@pytest.mark.parametrize(
    "body",
    [b"bytes", {"form": "x"}, io.BytesIO(b"file")],
    ids=["bytes", "form", "file"],
)
async def test_c08_a_body_in_memory_is_sent_again(desk, api, body):
    """The second time it is the same."""
    _, http = await desk.signed_in()
    api.expire()

    async with http.post(f"{api.url}/x", data=body) as response:
        assert 200 == response.status

    assert api.bodies[-1]
    assert api.bodies[-3] == api.bodies[-1]


async def test_c08_a_stream_is_not_sent_again(desk, api, caplog):
    """The 401 is handed back, still readable, the reason is noted, the session is refreshed."""
    client, http = await desk.signed_in()
    api.expire()

    async def stream():
        yield b"once"

    with caplog.at_level("INFO"):
        async with http.post(f"{api.url}/x", data=stream()) as response:
            found = response.status, (await response.json())["message"]

    assert (401, "try refresh token") == found
    assert (1, 2) == (api.counts["/x"], client.session.generation)
    assert "stream" in caplog.text


async def test_c09_the_statuses_can_be_others(desk, api):
    """A back end of release 1.0 says 440, and its 401 is the application's own."""
    api.expired_status = 440
    client, http = await desk.signed_in(session_expired_status_code=440)
    api.expire()
    assert 200 == (await get(http, f"{api.url}/x"))[0]

    api.faults["/x"] = [web.json_response({}, status=401)]
    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert 1 == api.refreshes

    await desk.clock.advance(2)
    api.revoke()
    with pytest.raises(RefreshRejected):
        await client.refresh_session()


def test_c09_the_statuses_must_differ():
    """One status cannot mean two things; the preset brings its own."""
    with pytest.raises(ConfigurationError, match="must differ"):
        SuperTokensClient("https://x.test", invalid_claim_status_code=401)

    settings = SuperTokensClient("https://x.test", preset="v1").settings
    assert (440, "https://x.test/api/refresh") == (settings.expired, settings.refresh_url)


async def test_c09_an_invalid_claim_is_told(desk, api):
    """The event has the server's words; the 403 is handed back, readable, and can be raised."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)

    status, body = await get(http, f"{api.url}/needs-claim")

    event = await recorder.wait_for(ApiInvalidClaim)
    assert tuple(body["claimValidationErrors"]) == event.claim_validation_errors
    assert "API_INVALID_CLAIM" == event.name
    assert ("st-ev",) == tuple(item["id"] for item in client.invalid_claims(status, body).reasons)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "text": "no"},
        {"status": 403, "text": "{}", "content_type": "application/json"},
    ],
)
async def test_c09_another_403_is_left_alone(desk, api, answer):
    """Without the list of claims it is the application's own."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    api.faults["/x"] = [web.Response(**answer)]

    async with http.get(f"{api.url}/x") as response:
        assert answer["text"] == await response.text()

    assert [] == recorder.of(ApiInvalidClaim)


async def test_c10_a_redirect_elsewhere_carries_nothing(desk, api, serve):
    """Neither token nor mode goes to another origin, and its answer is not read."""
    client, http = await desk.signed_in()

    async def foreign(_):
        return web.Response(headers={"front-token": "remove"})

    other = await serve(foreign)
    api.faults["/x"] = [web.Response(status=302, headers={"Location": f"{other.url}/y"})]

    await (await http.get(f"{api.url}/x")).read()

    (request,) = other.requests
    assert set() == {"Authorization", "st-auth-mode", "rid"} & set(request.headers)
    assert client.session is not None


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0, 0.0, 6.0])
async def test_c11_a_server_clock_that_is_off(desk, api, ahead):
    """The token is good as long as the server says, and is refreshed in time, not before."""
    api.ahead = ahead
    client, http = await desk.signed_in()

    end = client.session.expires_at - desk.clock.now()
    assert 3600 + (ahead if abs(ahead) < 7 else 0) == pytest.approx(end)
    await desk.clock.advance(3500)
    assert 200 == (await get(http, f"{api.url}/x"))[0]
    assert 0 == api.refreshes
    recorder = await desk.record(client)
    await desk.clock.advance(100)
    await recorder.wait_for(TokenRefreshed)
    assert 1 == api.refreshes


async def test_c11_claims_are_judged_by_the_servers_clock(desk, api):
    """A value that the server has just set is not old because our clock is off."""
    api.ahead = -3600.0
    client, http = await desk.signed_in()
    claim = BooleanClaim("st-ev", lambda *_: None)
    value = {"v": True, "t": int(api.now() * 1000)}
    tokens = api.issue("handle-1", refresh=False, **{"st-ev": value})
    api.faults["/x"] = [api.answer(tokens, "header")]
    await get(http, f"{api.url}/x")

    assert () == await client.validate_claims([claim.validators.is_true(max_age=60)])


async def test_c12_the_timer_refreshes_ahead_of_expiry(desk, api):
    """Nobody calls, and the session lives on: two hundred refreshes, no request of the user's."""
    api.lifetime = 100
    client, _ = await desk.signed_in()
    recorder = await desk.record(client)

    for count in range(1, 201):
        await desk.clock.advance(client.session.expires_at - 10 - desk.clock.now())
        await recorder.wait_for(TokenRefreshed, count)

    assert (200, 201) == (api.refreshes, client.session.generation)
    assert {BASE: 200, "/login": 1} == dict(api.counts)


async def test_c12_the_margin_follows_the_token(desk, api):
    """A life that the server has shortened counts as it is."""
    api.lifetime = 95
    client, _ = await desk.signed_in()
    recorder = await desk.record(client)

    await desk.clock.advance(84.9)
    assert 0 == api.refreshes
    await desk.clock.advance(0.2)
    await recorder.wait_for(TokenRefreshed)


async def test_c12_the_timer_survives_an_outage(desk, api):
    """It tries again while the token lives and after, and stops when the session ends."""
    client, _ = await desk.signed_in()
    recorder = await desk.record(client)
    api.faults[BASE] = [web.Response(status=500) for _ in range(3)]

    for count, pause in enumerate((3590, 5, 10), start=1):
        await desk.clock.advance(pause)
        await recorder.wait_for(RefreshFailed, count)
    await desk.clock.advance(60)
    await recorder.wait_for(TokenRefreshed)
    await client.sign_out()
    await desk.clock.advance(10_000)

    assert 4 == api.refreshes


async def test_c13_a_lost_answer_is_asked_for_again_with_the_same_token(desk, api, wire_of):
    """At once, once, with the same refresh token; the second answer is the session."""
    transport = AiohttpTransport()
    wire = wire_of(transport)
    client, _ = await desk.signed_in(transport=wire)
    wire.losses = [NetworkError("lost", sent=True)]
    # As a core does within its grace: the token that was spent serves once more.
    api.faults[BASE] = [lambda _: _pass(api.answer(api.issue("handle-1"), "header"))] * 2

    await client.refresh_session()

    first, second = wire.requests
    assert first.headers["Authorization"] == second.headers["Authorization"]
    assert (2, 2) == (api.refreshes, client.session.generation)
    await transport.aclose()


async def _pass(response):
    """Answer."""
    return response


class Gate(MemoryStore):
    """A store that waits before it writes."""

    def __init__(self):
        super().__init__()
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def save(self, key, record, *, expected):
        """Save once the gate is open."""
        self.reached.set()
        await self.open.wait()
        await super().save(key, record, expected=expected)


async def test_c14_the_pair_is_stored_before_it_is_used(desk, api):
    """Until the store has it nobody gets it, and whoever is cancelled meanwhile loses nothing."""
    store = Gate()
    client, _ = await desk.signed_in(store=store)
    old = client.session
    store.open.clear()
    store.reached.clear()

    caller = asyncio.create_task(client.refresh_session())
    await store.reached.wait()
    assert old == client.session
    caller.cancel()
    await asyncio.wait([caller])
    recorder = await desk.record(client)
    store.open.set()
    await recorder.wait_for(TokenRefreshed)

    assert 2 == (await store.load("default")).generation
    assert api.alive["handle-1"] == client.session.refresh_token


async def test_c15_two_processes_share_one_refresh(desk, api, tmp_path):
    """The second finds under the lock what the first has stored, and asks nobody."""
    one, _ = await desk.signed_in(store=FileStore(tmp_path), auto_refresh=False)
    other = await desk.client(store=FileStore(tmp_path), auto_refresh=False)
    http = await desk.http(other)
    await one.get_token()
    await desk.clock.advance(4000)

    (status, _), _ = await asyncio.gather(get(http, f"{api.url}/x"), one.get_token())

    assert (200, 1) == (status, api.refreshes)
    assert one.session.refresh_token == other.session.refresh_token


async def test_c16_does_session_exist(desk, api):
    """Yes, no, and not known: offline with an expired token."""
    client, _ = await desk.signed_in(auto_refresh=False)
    assert await client.does_session_exist() is True

    await desk.clock.advance(4000)
    api.faults[BASE] = [web.Response(status=500)]
    assert await client.does_session_exist() is None

    await desk.clock.advance(120)
    assert await client.does_session_exist() is True

    await desk.clock.advance(4000)
    api.revoke()
    assert await client.does_session_exist() is False
    assert await (await desk.client()).does_session_exist() is False


async def test_c16_who_it_is(desk, api):
    """The user's id costs nothing; the claims are those of a token that is good now."""
    client, _ = await desk.signed_in(auto_refresh=False)
    await desk.clock.advance(4000)

    assert ("ada", 0) == (await client.get_user_id(), api.refreshes)
    assert "handle-1" == (await client.get_access_token_payload())["sessionHandle"]
    assert 1 == api.refreshes
    await client.sign_out()
    for ask in (client.get_user_id, client.get_access_token_payload):
        with pytest.raises(AuthSessionMissing):
            await ask()


@pytest.mark.parametrize("with_front", [True, False])
async def test_c16_tokens_from_elsewhere(desk, api, with_front):
    """A bot that was given tokens is signed in with them; an expired one is refreshed."""
    client = await desk.client()
    recorder = await desk.record(client)
    tokens = api.sign_in()
    front = tokens.front if with_front else None
    await desk.clock.advance(4000)

    await client.adopt_tokens(tokens.access, tokens.refresh, front_token=front)

    await recorder.wait_for(SignedIn)
    assert "ada" == await client.get_user_id()
    http = await desk.http(client)
    assert 200 == (await get(http, f"{api.url}/x"))[0]
    assert 1 == api.refreshes


async def test_c16_the_hooks(desk, api, caplog):
    """They see both calls of ours, may change the request, and cannot break what follows."""
    seen = []

    def before(action, request):
        headers = request.headers.copy()
        headers["x-app"] = action
        return type(request)(request.method, request.url, headers, request.body)

    def after(action, request, response):
        seen.append((action, dict(request.headers), response.status))
        raise ValueError(action)

    client, _ = await desk.signed_in(pre_api_hook=before, post_api_hook=after)
    await client.refresh_session()
    await client.sign_out()

    assert [("REFRESH_SESSION", {}, 200), ("SIGN_OUT", {}, 200)] == seen
    assert ["REFRESH_SESSION", "SIGN_OUT"] == [found for found in api.seen("x-app") if found]
    assert 2 == caplog.text.count("post_api_hook failed")


async def test_c17_only_a_change_of_claims_is_told(desk, api):
    """What every token changes counts for nothing: not in a refresh, not in a swap."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)

    await client.refresh_session()
    await get(http, f"{api.url}/swap")
    await get(http, f"{api.url}/claim?colour=red")
    await recorder.wait_for(AccessTokenPayloadUpdated)
    api.claims["handle-1"]["colour"] = "green"
    await client.refresh_session()

    await recorder.wait_for(AccessTokenPayloadUpdated, 2)
    assert [
        "INITIAL_SESSION",
        "TOKEN_REFRESHED",
        "ACCESS_TOKEN_PAYLOAD_UPDATED",
        "TOKEN_REFRESHED",
        "ACCESS_TOKEN_PAYLOAD_UPDATED",
    ] == [event.name for event in recorder.events]


async def test_c18_times_may_be_floats(desk, api):
    """Some cores write 1.7E9: it is read as the whole second that it means."""
    client, http = await desk.signed_in()
    tokens = api.issue("handle-1", iat=desk.clock.now() + 0.046, colour="x")
    api.faults["/x"] = [api.answer(tokens, "header")]
    await get(http, f"{api.url}/x")

    assert desk.clock.now() + 3600 == client.session.expires_at


async def test_c19_cookies_are_echoed_byte_for_byte(desk, api):
    """The access cookie with requests, the refresh cookie with the refresh, both as they came."""
    api.via_token = True
    client = await desk.client(token_transfer_method="cookie")
    jar = aiohttp.CookieJar(unsafe=True)
    http = await desk.http(client, cookie_jar=jar, cookies={"theme": "dark"})
    await (await http.post(f"{api.url}/login")).read()
    raw = dict(client.session.extra["cookies"])

    assert 200 == (await get(http, f"{api.url}/x"))[0]
    cookie = api.requests[-1].headers["Cookie"]
    assert 1 == cookie.count("sAccessToken")
    assert f"sAccessToken={raw['sAccessToken']}" in cookie
    assert ("theme" in cookie, "sRefreshToken" in cookie) == (True, False)
    assert "Authorization" not in api.requests[-1].headers
    assert api.requests[-1].headers["anti-csrf"] == client.session.extra["anti_csrf"]

    api.expire()
    assert 200 == (await get(http, f"{api.url}/x"))[0]
    refresh = next(request for request in api.requests if request.path == BASE)
    assert '"refresh%2B' in raw["sRefreshToken"]
    assert f"sRefreshToken={raw['sRefreshToken']}" == refresh.headers["Cookie"]
    assert raw != client.session.extra["cookies"]
    assert "cookie" == refresh.headers["st-auth-mode"]


async def test_c19_the_jar_of_the_http_library_cannot_bring_a_session_back(desk, api):
    """After the end of the session no cookie of it is sent, whatever the jar has kept."""
    client = await desk.client(token_transfer_method="cookie")
    http = await desk.http(client, cookie_jar=aiohttp.CookieJar(unsafe=True))
    await (await http.post(f"{api.url}/login")).read()
    await get(http, f"{api.url}/claim")
    await client.sign_out()

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert "Cookie" not in api.requests[-1].headers


async def test_c19_cookies_that_nobody_asked_for_end_with_the_session(desk, api):
    """A back end may answer with cookies whatever it is asked: the jar has them as well."""
    client = await desk.client()
    http = await desk.http(client, cookie_jar=aiohttp.CookieJar(unsafe=True))
    api.faults["/login"] = [api.answer(api.sign_in(), "cookie")]
    await (await http.post(f"{api.url}/login")).read()
    assert 200 == (await get(http, f"{api.url}/x"))[0]
    # The server would still take the access token, for as long as it is good.
    await client.sign_out()

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert "Cookie" not in api.requests[-1].headers


@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_c19_the_jar_of_a_lent_session_takes_no_part_in_our_own_requests(desk, api, method):
    """It knows a refresh token of before: sent in place of ours, that would be a theft."""
    jar = aiohttp.CookieJar(unsafe=True)
    lent = await desk.exits.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
    client = await desk.client(http=lent, token_transfer_method=method)
    options = {"middlewares": [supertokens_middleware(client)]}
    api.faults["/login"] = [api.answer(api.sign_in(), "cookie")]
    await (await lent.post(f"{api.url}/login", **options)).read()
    tokens = api.sign_in()
    pair = [tokens.access, tokens.refresh]
    await client.adopt_tokens(*(quote(token) if method == "cookie" else token for token in pair))
    handle = api.tokens[tokens.access][0]

    await client.refresh_session()
    refresh = api.requests[-1]
    await client.sign_out()

    sent = f"sRefreshToken={quote(tokens.refresh)}" if method == "cookie" else None
    assert (BASE, sent) == (refresh.path, refresh.headers.get("Cookie"))
    assert handle not in api.alive


async def test_c19_a_cookie_session_survives_a_restart(desk, api, tmp_path):
    """The store keeps the values as they came."""
    _, first = await desk.signed_in(token_transfer_method="cookie", store=FileStore(tmp_path))
    await first.close()
    client = await desk.client(token_transfer_method="cookie", store=FileStore(tmp_path))
    http = await desk.http(client)
    api.expire()

    assert 200 == (await get(http, f"{api.url}/x"))[0]
    assert 1 == api.refreshes


async def test_c20_the_refresh_url_is_not_touched(desk, api):
    """Whoever refreshes by hand does it with their own headers, and its answer is not ours."""
    client, http = await desk.signed_in()
    before = client.session

    await (await http.post(f"{api.url}{BASE}", headers={"Authorization": "Bearer x"})).read()

    assert "st-auth-mode" not in api.requests[-1].headers
    assert before == client.session


async def test_c21_nothing_shows_a_token(desk, api, caplog):
    """Not the client, its session, its events, its errors, nor the log."""
    with caplog.at_level("DEBUG"):
        client, http = await desk.signed_in()
        recorder = await desk.record(client)
        await get(http, f"{api.url}/claim")
        session = client.session
        api.faults[BASE] = [web.json_response({"message": session.refresh_token}, status=500)]
        with pytest.raises(ServerUnavailable) as caught:
            await client.refresh_session()
    provider = SuperTokensProvider(client.settings)
    shown = " ".join(
        [caplog.text, str(caught.value)]
        + [repr(each) for each in (client, session, provider, client.exchange, recorder.events)]
    )

    for secret in (session.access_token, session.refresh_token, session.extra["front_token"]):
        assert secret not in shown
        assert secret[:40] not in shown


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_c21_signing_out_of_a_session_that_is_over(desk, api, status):
    """The server knows it no more: the local state goes, and that is no error."""
    client, _ = await desk.signed_in()
    recorder = await desk.record(client)
    api.faults["/auth/signout"] = [web.Response(status=status)]

    await client.sign_out()

    assert "user" == (await recorder.wait_for(SignedOut)).reason
    assert client.session is None


async def test_c21_signing_out_with_an_expired_token(desk, api):
    """It is refreshed once, so that the server learns of it; a refusal of that is no error."""
    client, _ = await desk.signed_in(auto_refresh=False)
    await desk.clock.advance(4000)
    await client.sign_out()
    assert (1, 1, {}) == (api.refreshes, api.counts["/auth/signout"], api.alive)

    other, _ = await desk.signed_in(auto_refresh=False)
    await desk.clock.advance(4000)
    api.revoke()
    await other.sign_out()
    assert (2, 1) == (api.refreshes, api.counts["/auth/signout"])


async def test_c21_signing_out_during_an_outage(desk, api):
    """The error is raised, after the local state is gone."""
    client, _ = await desk.signed_in()
    api.faults["/auth/signout"] = [web.Response(status=500)]

    with pytest.raises(ServerUnavailable):
        await client.sign_out()
    assert client.session is None


async def test_a_theft_is_told_by_its_name(desk, api):
    """The session ends with that reason, the error names the user, the store is empty."""
    store = MemoryStore()
    client, http = await desk.signed_in(store=store)
    recorder = await desk.record(client)
    api.expire()
    api.faults[BASE] = [api.cleared(401, "token theft detected")]

    assert 401 == (await get(http, f"{api.url}/x"))[0]

    assert "theft" == (await recorder.wait_for(SignedOut)).reason
    with pytest.raises(TokenTheftDetected) as caught:
        await client.get_token()
    assert ("ada", None) == (caught.value.user_id, caught.value.session_handle)
    assert await store.load("default") is None


async def test_the_apps_own_sign_out_route_signs_out(desk, api):
    """And a sign-in that began meanwhile is none of it."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    gate = asyncio.Event()

    async def slow(_):
        await gate.wait()

    api.faults["/login"] = [slow]
    login = asyncio.create_task(get(http, f"{api.url}/login"))
    await desk.until(lambda: 2 == api.counts["/login"])
    await (await http.post(f"{api.url}/auth/signout")).read()
    assert "user" == (await recorder.wait_for(SignedOut)).reason
    gate.set()
    await login

    assert client.session is not None


async def test_a_pinned_token_is_sent_as_it_is(desk, api):
    """It is neither refreshed nor replayed, and its answers say nothing of our session."""
    client, http = await desk.signed_in()
    session = client.session
    client.set_auth("mine")
    api.faults["/x"] = [api.cleared(401, "unauthorised")]

    assert 401 == (await get(http, f"{api.url}/x"))[0]

    assert "Bearer mine" == api.requests[-1].headers["Authorization"]
    assert (session, 0, 1) == (client.session, api.refreshes, api.counts["/x"])


async def test_a_token_that_is_pinned_meanwhile_replays_nothing(desk, api):
    """The request was asked in the session's name."""
    client, http = await desk.signed_in()

    async def pin_meanwhile(_):
        client.set_auth("mine")
        return web.json_response({"message": "unauthorised"}, status=401)

    api.faults["/x"] = [pin_meanwhile]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert (1, 0) == (api.counts["/x"], api.refreshes)


async def test_a_web_socket_is_opened_with_the_token(desk, api):
    """A handshake is a request like any other: refused, refreshed, opened."""
    client, http = await desk.signed_in()
    api.expire()

    async def accept(request):
        if api.handle_of(request) is None:
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close()
        return socket

    api.faults["/ws"] = [accept, accept]
    async with http.ws_connect(f"{api.url.replace('http', 'ws')}/ws") as socket:
        assert aiohttp.WSMsgType.CLOSE == (await socket.receive()).type

    assert (1, 2) == (api.refreshes, client.session.generation)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE"])
async def test_methods_without_bodies_are_sent_again_as_they_were(desk, api, method):
    """Their refusals may have no body to read either."""
    _, http = await desk.signed_in()
    api.expire()

    async with http.request(method, f"{api.url}/x") as response:
        assert 200 == response.status

    assert [method] * 2 == [each.method for each in api.requests if each.path == "/x"]
    assert 1 == api.refreshes


async def test_a_login_that_redirects_is_followed_with_the_new_session(desk, api):
    """The session is taken from the redirect, for the request that follows it."""
    client = await desk.client()
    http = await desk.http(client)
    moved = api.answer(api.sign_in(), "header")
    moved.set_status(303)
    moved.headers["Location"] = "/home"
    api.faults["/login"] = [moved]

    async with http.post(f"{api.url}/login") as response:
        assert (200, "/home") == (response.status, response.url.path)

    assert ["POST", "GET"] == [request.method for request in api.requests]
    assert client.session.access_token in api.requests[-1].headers["Authorization"]


async def test_a_streamed_answer_is_handed_over_at_its_head(desk, api):
    """What it says of the session is in its headers: nobody waits for its end."""
    client, http = await desk.signed_in()
    gate, tokens = asyncio.Event(), api.issue("handle-1", refresh=False, colour="red")

    async def stream(request):
        response = web.StreamResponse(headers=api.answer(tokens, "header").headers)
        response.headers.popall("Content-Length", None)
        await response.prepare(request)
        await response.write(b"first")
        await gate.wait()
        await response.write(b" last")
        return response

    api.faults["/stream"] = [stream]
    async with http.get(f"{api.url}/stream") as response:
        assert b"first" == await response.content.readany()
        assert tokens.access == client.session.access_token
        gate.set()
        assert b" last" == await response.read()


async def test_a_rotation_by_a_route_of_the_app_is_taken(desk, api):
    """Whole new tokens of the very session are its next ones, not another sign-in."""
    client, http = await desk.signed_in()
    recorder = await desk.record(client)
    tokens = api.issue("handle-1")
    api.faults["/x"] = [api.answer(tokens, "header")]

    await get(http, f"{api.url}/x")

    await recorder.wait_for(TokenRefreshed)
    assert tokens.refresh == client.session.refresh_token
    assert [] == recorder.of(SignedIn)


async def test_a_broken_store_costs_no_answer(desk, api):
    """The session's end is told and its removal retried; the user's answer is the user's."""

    class Broken(MemoryStore):
        async def delete(self, key, *, expected):
            raise StoreError("full")

    client, http = await desk.signed_in(store=Broken())
    api.faults["/x"] = [api.cleared(401, "unauthorised")]

    assert 401 == (await get(http, f"{api.url}/x"))[0]
    assert client.session is None


async def test_a_close_while_a_request_is_under_way(desk, api):
    """The answer comes; what it says of the session comes too late."""
    client, http = await desk.signed_in()

    async def close_meanwhile(_):
        await client.aclose()

    api.faults["/claim"] = [close_meanwhile]

    assert 200 == (await get(http, f"{api.url}/claim"))[0]


async def test_the_refresh_passes_our_own_middleware_by(desk, api):
    """The client may send by the very session that has its middleware, and its one connection."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as lent:
        client = await desk.client(http=lent)
        http = await desk.http(client)
        await (await http.post(f"{api.url}/login")).read()
        api.expire()
        options = {"middlewares": [supertokens_middleware(client)]}

        assert 200 == (await get(lent, f"{api.url}/x", **options))[0]

    assert 1 == api.refreshes


async def test_events_need_no_start(api, desk):
    """The events of a client that was never started begin with its first iteration."""
    client = SuperTokensClient(api.url, clock=desk.clock)
    async with client, EventRecorder(client) as recorder:
        await recorder.wait_for("INITIAL_SESSION")
