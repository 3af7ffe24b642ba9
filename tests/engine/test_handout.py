"""What callers get, and how long they wait for it."""

from __future__ import annotations

import asyncio
import json

import pytest

from async_auth import (
    AccessToken,
    ApiError,
    AuthSessionMissing,
    ManagerClosed,
    NetworkError,
    RateLimited,
    RefreshFailed,
    RefreshPolicy,
    RefreshRejected,
    Response,
    ServerUnavailable,
    Session,
    Status,
    TokenRefreshed,
)


@pytest.fixture
async def manager(make_manager, server):
    """Return a manager that is signed in, without a timer: it refreshes on demand only."""
    manager = make_manager(auto_refresh=False)
    await manager.adopt(server.sign_in())
    return manager


def left(manager, clock, seconds):
    """Let the token have so many seconds left."""
    clock.advance_to(manager.session.expires_at - seconds)


async def at_once(call):
    """Return what a coroutine gives without suspending even once."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    call.close()
    raise AssertionError("it suspended")


# Tokens.


@pytest.mark.parametrize("seconds", [3600, 11, 10, 5, 2.001])
async def test_a_good_token_is_given_without_suspending(manager, server, clock, seconds):
    """Within the margin as well, as long as more than two seconds are left."""
    left(manager, clock, seconds)

    token = await at_once(manager.get_token())

    assert (1, []) == (token.generation, server.requests)


async def test_a_good_token_is_given_while_a_flight_is_up(manager, server, clock, settle):
    """Whatever the flight is doing."""
    server.gate = asyncio.Event()
    flying = asyncio.ensure_future(manager.refresh_session())
    await settle()

    assert 1 == (await at_once(manager.get_token())).generation
    server.gate.set()
    await flying
    assert 2 == (await at_once(manager.get_token())).generation


@pytest.mark.parametrize("seconds", [2, 1, 0, -5000])
async def test_with_two_seconds_left_it_is_refreshed(manager, server, clock, seconds):
    """The boundary belongs to the refresh; how long ago it was does not matter."""
    left(manager, clock, seconds)

    assert 2 == (await manager.get_token()).generation
    assert 1 == len(server.requests)


@pytest.mark.parametrize("seconds, generation", [(60.001, 1), (60, 2), (59, 2)])
async def test_a_caller_may_want_more(manager, clock, seconds, generation):
    """`min_ttl` is exclusive like the default."""
    left(manager, clock, seconds)

    assert generation == (await manager.get_token(min_ttl=60)).generation


@pytest.mark.parametrize("wanted", [0, 0.5])
async def test_a_caller_may_want_less(manager, server, clock, wanted):
    """A request that is quick needs no two seconds."""
    left(manager, clock, 1)

    assert 1 == (await manager.get_token(min_ttl=wanted)).generation
    assert [] == server.requests


async def test_a_wish_is_capped_at_half_the_life(manager, server, clock):
    """Or every call would ask the server."""
    left(manager, clock, 1801)
    assert 1 == (await manager.get_token(min_ttl=1e9)).generation
    left(manager, clock, 1800)
    assert 2 == (await manager.get_token(min_ttl=1e9)).generation
    assert 2 == (await manager.get_token(min_ttl=1e9)).generation
    assert 1 == len(server.requests)


async def test_a_flight_that_fails_gives_the_token_that_is_still_valid(manager, server, clock):
    """A wish is a wish; only an expired token raises."""
    server.down = True
    left(manager, clock, 1)

    assert 1 == (await manager.get_token()).generation
    assert 1 == (await manager.get_token(min_ttl=60)).generation
    assert 1 == len(server.requests)


async def test_an_expired_token_that_cannot_be_refreshed_raises(manager, server, clock):
    """With the time until the next try; the session is kept."""
    server.down = True
    left(manager, clock, 0)

    with pytest.raises(NetworkError) as caught:
        await manager.get_token()

    assert 1 == caught.value.retry_after
    assert Status.EXPIRED is manager.status


@pytest.mark.parametrize("call", ["get_token", "get_session"])
async def test_during_a_back_off_callers_get_the_last_error_at_once(manager, server, clock, call):
    """Without a request, and with what is left of the wait."""
    server.answers = [RateLimited("slow", status=429, retry_after=40)]
    left(manager, clock, 0)
    with pytest.raises(RateLimited):
        await getattr(manager, call)()
    await clock.advance(30)

    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await at_once(getattr(manager, call)())
        assert (10, 429) == (caught.value.retry_after, caught.value.status)

    assert 1 == len(server.requests)
    await clock.advance(10)
    await getattr(manager, call)()
    assert 2 == len(server.requests)


@pytest.mark.parametrize("call", ["get_token", "get_session"])
@pytest.mark.parametrize(
    "answer, cause",
    [
        (Response(418, {}, b"{}"), ApiError),
        (Response(200, {}, b"<html>"), None),
        (AuthSessionMissing("no session in it"), AuthSessionMissing),
        (OSError("a stranger's"), None),
    ],
)
async def test_what_is_not_temporary_by_its_kind_comes_as_server_unavailable(
    manager, server, clock, call, answer, cause
):
    """From the error itself; nobody is signed out for it, and it backs off."""
    server.answers = [answer]
    left(manager, clock, 0)

    with pytest.raises(ServerUnavailable) as caught:
        await getattr(manager, call)()

    assert isinstance(caught.value.__cause__, cause or Exception)
    assert 1 == caught.value.retry_after
    assert Status.EXPIRED is manager.status
    with pytest.raises(ServerUnavailable) as again:
        await at_once(getattr(manager, call)())
    assert isinstance(again.value.__cause__, cause or Exception)
    assert 1 == len(server.requests)


async def test_an_odd_refusal_keeps_its_status_and_its_code(manager, server, clock):
    """Whoever logs the error sees what the server said."""
    server.answers = [ApiError("odd", code="teapot", status=418)]
    left(manager, clock, 0)

    with pytest.raises(ServerUnavailable, match="cannot be refreshed for now") as caught:
        await manager.get_token()

    assert ("teapot", 418) == (caught.value.code, caught.value.status)


# rejected=


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_rejected_token_is_refreshed_if_it_is_the_current_one(manager, server, as_text):
    """Named by itself or by its text; a second report of it costs nothing more."""
    refused = await manager.get_token()
    rejected = refused.value if as_text else refused

    assert 2 == (await manager.get_token(rejected=rejected)).generation
    assert 2 == (await manager.get_token(rejected=rejected)).generation
    assert 1 == len(server.requests)


async def test_fifty_refusals_of_one_token_cost_one_refresh(manager, server):
    """Whoever reports late gets the new token at once."""
    refused = await manager.get_token()
    server.latency = 0.5

    calls = [asyncio.ensure_future(manager.get_token(rejected=refused)) for _ in range(50)]
    await asyncio.sleep(0)
    await server.clock.run(1)
    tokens = await asyncio.gather(*calls)

    assert {2} == {token.generation for token in tokens}
    assert 1 == len(server.requests)


async def test_generations_are_compared_and_not_texts(manager, server, clock):
    """Two tokens of one second may be identical: a refusal of the old one is none of the new."""
    old = await manager.get_token()
    body = {"access": old.value, "refresh": "r2", "life": 3600}
    server.answers = [Response(200, {}, json.dumps(body).encode())]
    new = await manager.get_token(rejected=old)
    await clock.advance(10)

    assert old.value == new.value
    assert new == await manager.get_token(rejected=old)
    assert 1 == len(server.requests)


@pytest.mark.parametrize("rejected", ["unknown", AccessToken(value="pinned"), "access-ann-0-1 "])
async def test_a_token_that_is_not_the_current_one_is_not_refreshed(manager, server, rejected):
    """A pinned one, an old one, a stranger's."""
    assert 1 == (await manager.get_token(rejected=rejected)).generation
    assert [] == server.requests


async def test_within_a_second_of_a_refresh_the_same_generation_comes_back(manager, server, clock):
    """A server that refuses everything makes no storm."""
    first = await manager.get_token(rejected=await manager.get_token())
    await clock.advance(0.999)
    assert first == await manager.get_token(rejected=first)
    assert 1 == len(server.requests)

    await clock.advance(0.001)
    assert 3 == (await manager.get_token(rejected=first)).generation
    assert 2 == len(server.requests)


async def test_a_hundred_refusals_in_ten_seconds_cost_ten_refreshes(manager, server, clock):
    """Whoever is refused each time and reports each time."""
    for _ in range(100):
        await manager.get_token(rejected=await manager.get_token())
        await clock.advance(0.1)

    assert 10 == len(server.requests)


async def test_a_refused_token_comes_back_if_there_is_no_other(manager, server):
    """A temporary failure gives what is still valid by its own clock."""
    server.down = True
    refused = await manager.get_token()

    assert refused == await manager.get_token(rejected=refused)
    assert refused == await manager.get_token(rejected=refused)
    assert 1 == len(server.requests)


async def test_a_pinned_token_is_never_refreshed(manager, server):
    """Refused or not, expired or not."""
    manager.set_auth("service")
    token = await manager.get_token()

    assert AccessToken(value="service") == token
    assert token == await manager.get_token(rejected=token)
    assert token == await manager.get_token(min_ttl=1e6, rejected="service")
    assert [] == server.requests
    assert "ann" == (await manager.get_session()).user["id"]
    manager.set_auth(None)
    assert 1 == (await manager.get_token(rejected=token)).generation


async def test_a_token_pinned_while_callers_wait_is_what_they_get(manager, server, clock, settle):
    """They asked for a token; this is the one to use."""
    server.gate = asyncio.Event()
    left(manager, clock, 0)
    waiting = asyncio.ensure_future(manager.get_token())
    await settle()

    manager.set_auth("service")
    server.gate.set()

    assert "service" == (await waiting).value


# Callers who find a flight up.


async def fails(manager, server):
    """The server cannot be reached."""
    del manager
    server.down = True


async def refuses(manager, server):
    """The server ends the session."""
    del manager
    server.revoke()


async def comes_expired(manager, server):
    """The new token is none that can be used."""
    del manager
    server.life = -1


async def signed_out(manager, server):
    """The user goes."""
    del server
    await manager.sign_out()


async def replaced(manager, server):
    """Another user comes."""
    await manager.adopt(server.sign_in("bob"))


async def closed(manager, server):
    """The program ends, when the request that was sent has ended."""
    closing = asyncio.ensure_future(manager.aclose())
    await asyncio.sleep(0)
    await server.clock.run(6)
    await closing


async def pinned(manager, server):
    """A token is pinned while they wait."""
    del server
    manager.set_auth("service")


async def pinned_and_fails(manager, server):
    """A token is pinned, and the server cannot be reached."""
    manager.set_auth("service")
    server.down = True


async def pinned_and_signed_out(manager, server):
    """A token is pinned, which the user's going does not change."""
    del server
    manager.set_auth("service")
    await manager.sign_out()


async def pinned_and_closed(manager, server):
    """A token is pinned, and then the program ends."""
    manager.set_auth("service")
    await closed(manager, server)


async def succeeds(manager, server):
    """Nothing happens."""


@pytest.mark.parametrize(
    "fate, expected",
    [
        (succeeds, 2),
        (fails, NetworkError),
        (refuses, RefreshRejected),
        (comes_expired, ServerUnavailable),
        (signed_out, AuthSessionMissing),
        (replaced, AuthSessionMissing),
        (closed, ManagerClosed),
        (pinned, 0),
        (pinned_and_fails, 0),
        (pinned_and_signed_out, 0),
        (pinned_and_closed, ManagerClosed),
    ],
)
async def test_whoever_finds_a_flight_up_gets_what_its_first_caller_gets(
    manager, server, clock, settle, fate, expected
):
    """He takes a shorter way to it, and neither sends a request of his own nor leaves a trace."""
    server.latency = 5
    left(manager, clock, 0)
    calls = []
    for _ in range(3):
        calls.append(asyncio.ensure_future(manager.get_token()))
        await settle()
    calls[1].cancel()

    await fate(manager, server)
    await clock.run(6)

    first, gone, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert [expected] * 2 == [
        answer.generation if isinstance(answer, AccessToken) else type(answer)
        for answer in (first, last)
    ]
    assert ["refresh-ann-1"] == server.requests
    assert {0} == {member.users for member in manager._home.members.values()}  # noqa: SLF001


async def test_whoever_finds_a_flight_up_that_fails_gets_the_token_that_is_still_valid(
    manager, server, clock, settle
):
    """As its first caller does."""
    server.latency, server.down = 0.5, True
    left(manager, clock, 1)
    calls = []
    for _ in range(2):
        calls.append(asyncio.ensure_future(manager.get_token()))
        await settle()
    await clock.run(0.5)

    assert [1, 1] == [token.generation for token in await asyncio.gather(*calls)]
    assert 1 == len(server.requests)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_who_finds_anothers_flight_up_in_a_back_off_does_not_wait_for_it(
    manager, server, clock, settle, seconds
):
    """`refresh_session()` asks whenever it is called; what others get is known already."""
    left(manager, clock, seconds)
    server.down = True
    with pytest.raises(NetworkError):
        await manager.refresh_session()
    server.down, server.latency = False, 5
    insisting = asyncio.ensure_future(manager.refresh_session())
    await settle()

    if seconds:
        assert 1 == (await at_once(manager.get_token())).generation
    else:
        with pytest.raises(NetworkError):
            await at_once(manager.get_token())

    await clock.run(5)
    assert 2 == (await insisting).generation
    assert 2 == (await manager.get_token()).generation


async def test_a_clock_that_was_set_back_is_noticed_by_who_finds_a_flight_up(
    manager, server, clock, settle
):
    """The moments of the session move with it, so nobody takes an expired token for a good one."""
    server.latency = 5
    left(manager, clock, 0)
    first = asyncio.ensure_future(manager.get_token())
    await settle()
    expires_at = manager.session.expires_at

    clock.step(-7200)
    joined = asyncio.ensure_future(manager.get_token())
    await settle()

    assert expires_at - 7200 == manager.session.expires_at
    assert not joined.done()
    await clock.run(5)
    assert [2, 2] == [token.generation for token in await asyncio.gather(first, joined)]
    assert 1 == len(server.requests)


# Sessions.


@pytest.mark.parametrize("seconds, requests", [(3600, 0), (11, 0), (10.001, 0), (10, 1), (1, 1)])
async def test_a_session_is_refreshed_within_the_margin(manager, server, clock, seconds, requests):
    """At eleven seconds nothing is sent; at ten one request is."""
    left(manager, clock, seconds)

    session = await manager.get_session()

    assert (requests, 1 + requests) == (len(server.requests), session.generation)


async def test_nobody_waits_for_a_session_past_the_last_moments_of_a_short_life(
    make_manager, server, clock, settle
):
    """A tenth of a second is as much to a token of one second."""
    server.life, server.latency = 1.0, 5
    manager = make_manager(auto_refresh=False)
    await manager.adopt(server.sign_in())
    left(manager, clock, 0.15)
    waiting = asyncio.ensure_future(manager.get_session())
    await settle()
    assert not waiting.done()
    await clock.run(0.06)

    assert 1 == (await waiting).generation
    await clock.run(5)


async def test_nobody_waits_for_a_session_past_the_good_tokens_last_two_seconds(
    manager, server, clock, settle
):
    """Then the old one is given; the flight goes on."""
    server.latency = 12
    left(manager, clock, 8)
    waiting = asyncio.ensure_future(manager.get_session())
    await settle()

    await clock.run(5.9)
    assert not waiting.done()
    await clock.run(0.2)

    assert 1 == (await waiting).generation
    await clock.run(6)
    assert 2 == manager.session.generation
    assert 1 == len(server.requests)


async def test_a_flight_that_ends_in_time_gives_the_new_session(manager, server, clock, settle):
    """To everyone, and it is the same object."""
    server.latency = 3
    left(manager, clock, 8)
    waiting = [asyncio.ensure_future(manager.get_session()) for _ in range(20)]
    await settle()
    await clock.run(3)

    sessions = await asyncio.gather(*waiting)

    assert {id(manager.session)} == {id(session) for session in sessions}
    assert [2, 1] == [manager.session.generation, len(server.requests)]


async def test_a_session_that_expires_meanwhile_waits_for_the_flight(
    manager, server, clock, settle
):
    """There is nothing else to give."""
    server.latency = 5
    left(manager, clock, 1)
    waiting = asyncio.ensure_future(manager.get_session())
    await settle()
    await clock.run(4.5)
    assert not waiting.done()
    await clock.run(0.5)

    assert 2 == (await waiting).generation


@pytest.mark.parametrize("seconds", [10, 0.5])
async def test_a_failed_refresh_gives_the_session_that_is_still_valid(
    manager, server, clock, seconds
):
    """And the next caller gets it at once, while the retry waits."""
    server.down = True
    left(manager, clock, seconds)

    assert 1 == (await manager.get_session()).generation
    assert 1 == (await at_once(manager.get_session())).generation
    assert 1 == len(server.requests)


async def test_nobody_signed_in_is_none(make_manager, server):
    """And an error for whoever wants a token."""
    nobody = make_manager(auto_refresh=False)

    assert await nobody.get_session() is None
    with pytest.raises(AuthSessionMissing):
        await nobody.get_token()
    assert [] == server.requests


# Ends


@pytest.mark.parametrize("call", ["get_token", "get_session"])
async def test_a_final_refusal_is_told_until_the_next_sign_in(manager, server, clock, call):
    """At once, without a request; each with a traceback of its own."""
    server.revoke()
    left(manager, clock, 0)
    errors = []
    for _ in range(3):
        with pytest.raises(RefreshRejected) as caught:
            await getattr(manager, call)()
        errors.append(caught.value)

    assert 3 == len({id(error) for error in errors})
    assert ["refresh_token_already_used"] * 3 == [error.code for error in errors]
    assert 1 == len(server.requests)
    await manager.adopt(server.sign_in())
    assert await getattr(manager, call)()


async def test_a_final_refusal_ends_the_session_with_seconds_left(manager, server, clock):
    """The server's word counts, whatever the token says of itself."""
    server.revoke()
    left(manager, clock, 1.5)

    with pytest.raises(RefreshRejected):
        await manager.get_token()

    assert manager.session is None
    assert Status.REJECTED is manager.status


@pytest.mark.parametrize("call", ["get_token", "get_session"])
async def test_without_a_refresh_token_it_lasts_until_it_expires(make_manager, clock, call):
    """Then there is nothing to go on with; the session is still there to look at."""
    manager = make_manager(auto_refresh=False)
    session = Session(access_token="a", issued_at=clock.now(), expires_at=clock.now() + 100)
    await manager.adopt(session)
    left(manager, clock, 0.5)
    assert await getattr(manager, call)()
    token = await manager.get_token(rejected="a", min_ttl=30)
    assert "a" == token.value
    left(manager, clock, 0)

    with pytest.raises(AuthSessionMissing, match="no refresh token"):
        await getattr(manager, call)()
    assert Status.EXPIRED is manager.status
    assert manager.session is not None


async def test_without_an_expiry_it_lasts_until_somebody_says_401(manager, server, clock):
    """Only a refusal brings a new token."""
    server.life = None
    await manager.adopt(server.sign_in())
    await clock.advance(1e8)
    token = await at_once(manager.get_token())
    assert (await at_once(manager.get_session())).expires_at is None

    assert token.generation + 1 == (await manager.get_token(rejected=token)).generation
    assert Status.FRESH is manager.status


@pytest.mark.parametrize("call", ["get_token", "get_session"])
@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_sign_out_sends_the_waiting_away(manager, server, clock, settle, call, seconds):
    """And the answer that comes after it changes nothing."""
    server.gate = asyncio.Event()
    left(manager, clock, seconds)
    waiting = asyncio.ensure_future(getattr(manager, call)())
    await settle()

    await manager.sign_out()
    with pytest.raises(AuthSessionMissing):
        await waiting
    server.gate.set()
    await settle()

    assert Status.SIGNED_OUT is manager.status


@pytest.mark.parametrize("call", ["get_token", "get_session"])
@pytest.mark.parametrize("seconds", [0, 1])
async def test_nobody_who_waited_gets_another_accounts_token(
    manager, server, clock, settle, call, seconds
):
    """A sign-in during a flight: its callers are sent away, its answer is dropped."""
    server.gate = asyncio.Event()
    left(manager, clock, seconds)
    waiting = asyncio.ensure_future(getattr(manager, call)())
    await settle()

    bob = await manager.adopt(server.sign_in("bob"))
    with pytest.raises(AuthSessionMissing):
        await waiting
    server.gate.set()
    await settle()

    assert bob == manager.session
    assert "bob" == (await manager.get_session()).user["id"]


@pytest.mark.parametrize("call", ["get_token", "get_session"])
async def test_a_close_sends_the_waiting_away(manager, server, clock, settle, call):
    """The request that was sent is let finish."""
    server.gate = asyncio.Event()
    left(manager, clock, 0)
    waiting = asyncio.ensure_future(getattr(manager, call)())
    await settle()
    closing = asyncio.ensure_future(manager.aclose())
    with pytest.raises(ManagerClosed):
        await waiting
    assert not closing.done()
    server.gate.set()
    await closing

    with pytest.raises(ManagerClosed):
        await getattr(manager, call)()
    assert 2 == manager.session.generation


# Lives that are hardly lives


async def test_a_token_that_arrives_expired_is_an_error_that_passes(manager, server, clock):
    """It is told as such; nobody waits, nobody asks again before the back-off is over."""
    left(manager, clock, 0)
    server.life = -1
    for _ in range(5):
        with pytest.raises(ServerUnavailable, match="expired already") as caught:
            await manager.get_token()
        assert 1 == caught.value.retry_after
    assert 1 == len(server.requests)

    server.life = 3600
    await clock.advance(1)
    assert 3 == (await manager.get_token()).generation


async def test_a_life_shorter_than_the_least_interval_is_waited_for(manager, server, clock, settle):
    """A short wait is better than an error; a close ends it."""
    left(manager, clock, 0)
    server.life = 0.5
    await manager.get_token()
    await clock.advance(0.6)
    waiting = asyncio.ensure_future(manager.get_token())
    asking = asyncio.ensure_future(manager.get_session())
    await settle()
    assert [False, False] == [waiting.done(), asking.done()]
    await clock.run(0.4)

    assert 3 == (await waiting).generation
    assert 3 == (await asking).generation
    assert 2 == len(server.requests)
    await clock.advance(0.6)
    waiting = asyncio.ensure_future(manager.get_token())
    await settle()
    await manager.aclose()
    with pytest.raises(ManagerClosed):
        await waiting


@pytest.mark.parametrize("found_up", [False, True])
@pytest.mark.parametrize("call", ["get_token", "get_session"])
async def test_without_a_least_interval_an_answer_that_took_nearly_a_life_serves(
    make_manager, server, clock, settle, call, found_up
):
    """Whoever has waited for one refresh takes what it brought, and begins no other at once."""
    server.life, server.latency = 1.0, 0.95
    manager = make_manager(auto_refresh=False, policy=RefreshPolicy(min_interval=0.0))
    await manager.adopt(server.sign_in())
    left(manager, clock, 0)
    if found_up:
        other = asyncio.ensure_future(manager.refresh_session())
        await settle()
    waiting = asyncio.ensure_future(getattr(manager, call)())
    await clock.run(0.96)

    assert 2 == (await waiting).generation
    assert 1 == len(server.requests)
    if found_up:
        assert 2 == (await other).generation


@pytest.mark.parametrize("life", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("timer", [True, False])
async def test_short_lives_make_no_storm(make_manager, server, clock, life, timer):
    """Ten calls a second for a minute: at most one request in each four fifths of a life."""
    server.life = life
    manager = make_manager(auto_refresh=timer)
    await manager.adopt(server.sign_in())
    for _ in range(600):
        token = await manager.get_token()
        assert token.expires_at > clock.now()
        await manager.get_session()
        await clock.run(0.1)

    least = max(1.0, 0.8 * life)
    assert 60 / (life + 0.2) - 1 <= len(server.requests) <= 60 / least + 1


async def test_the_policys_own_least_rest(make_manager, server, clock):
    """A user's margin and rest are taken as they are."""
    policy = RefreshPolicy(margin=100, min_ttl=30, jitter=0)
    manager = make_manager(auto_refresh=False, policy=policy)
    await manager.adopt(server.sign_in())
    left(manager, clock, 31)
    assert 1 == (await manager.get_token()).generation
    left(manager, clock, 30)
    assert 2 == (await manager.get_token()).generation
    left(manager, clock, 100)
    assert 3 == (await manager.get_session()).generation


# What is told


async def test_failures_are_told_and_the_success_that_ends_them(manager, server, clock, watch):
    """One event each, to everyone who listens."""
    events = [watch(manager) for _ in range(3)]
    server.down = True
    left(manager, clock, 0)
    for _ in range(2):
        with pytest.raises(NetworkError):
            await manager.get_token()
        await clock.advance(1)
    server.down = False
    await manager.get_token()

    for seen in events:
        kinds = [type(event) for event in seen()]
        assert [RefreshFailed, RefreshFailed, TokenRefreshed] == kinds
    failed = events[0]()[0]
    assert (None, 1) == (failed.retry_at, failed.session.generation)
    assert isinstance(failed.error, NetworkError)
