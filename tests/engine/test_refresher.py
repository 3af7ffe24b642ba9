"""One refresh, from the lock to the store, in the order of the design's list."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import attrs
import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    LockTimeout,
    ManagerClosed,
    NetworkError,
    ProtocolError,
    RefreshFailed,
    RefreshPolicy,
    RefreshRejected,
    Response,
    ServerUnavailable,
    SignedOut,
    Status,
    StoreFailed,
    TokenRefreshed,
)


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


@pytest.fixture
async def manager(make_manager, server, faulty_store):
    """Return a manager that is signed in, without a timer."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    return manager


# 1. Join the flight


async def test_everyone_joins_the_flight_that_is_up(manager, server, clock, settle, watch):
    """Whatever they called: one request, one result, one event."""
    seen = watch(manager)
    clock.advance_to(manager.session.expires_at)
    server.gate = asyncio.Event()
    token = manager.session.refresh_token
    calls = [
        asyncio.ensure_future(call())
        for call in [
            manager.get_token,
            manager.get_session,
            manager.refresh_session,
            lambda: manager.refresh_session(token),
        ]
        * 25
    ]
    await settle()
    server.gate.set()

    results = await asyncio.gather(*calls)

    assert {2} == {result.generation for result in results}
    assert [token] == server.requests
    assert [TokenRefreshed] == kinds(seen())


async def test_a_call_never_takes_the_result_of_a_flight_that_ended(manager, server):
    """Each call in a row asks the server."""
    sessions = [await manager.refresh_session() for _ in range(3)]

    assert [2, 3, 4] == [session.generation for session in sessions]
    assert 3 == len(set(server.requests)) == len(server.requests)


async def test_a_refresh_asks_whatever_the_expiry_and_whatever_the_back_off(manager, server, clock):
    """On a session valid for an hour, and while a retry waits."""
    await manager.refresh_session()
    server.down = True
    clock.advance_to(manager.session.expires_at)
    with pytest.raises(NetworkError):
        await manager.get_token()
    server.down = False

    assert 3 == (await manager.refresh_session()).generation
    assert 3 == len(server.requests)


@pytest.mark.parametrize("argument", [None, ""])
async def test_without_a_token_to_spend_nothing_is_sent(make_manager, server, argument):
    """Nobody is signed in, or the argument is empty."""
    nobody = make_manager()

    with pytest.raises(AuthSessionMissing):
        await nobody.refresh_session(argument)
    assert [] == server.requests


async def test_a_session_without_a_refresh_token_cannot_be_refreshed(make_manager, server):
    """It is kept."""
    manager = make_manager()
    await manager.adopt(attrs.evolve(server.sign_in(), refresh_token=None))

    with pytest.raises(AuthSessionMissing):
        await manager.refresh_session()
    assert Status.FRESH is manager.status
    assert [] == server.requests


# Tokens from outside


async def test_a_token_from_outside_becomes_the_current_session(
    make_manager, server, watch, faulty_store
):
    """Stored, handed out and told, whether or not there was a session."""
    manager = make_manager(store=faulty_store)
    await manager.start()
    seen = watch(manager)

    session = await manager.refresh_session(server.sign_in("bob").refresh_token)

    assert session == manager.session == await manager.get_session()
    assert "bob" == session.user["id"]
    assert session.generation == await faulty_store.generation()
    assert [TokenRefreshed] == kinds(seen())


async def test_concurrent_tokens_from_outside_get_their_own_accounts(
    manager, server, clock, settle
):
    """And the later call's account stays."""
    tokens = {name: server.sign_in(name).refresh_token for name in ("bob", "cid", "dan")}
    server.latency = 1
    calls = {
        name: asyncio.ensure_future(manager.refresh_session(token))
        for name, token in tokens.items()
    }
    own = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.run(10)

    assert {name: name for name in tokens} == {
        name: (await call).user["id"] for name, call in calls.items()
    }
    with pytest.raises(AuthSessionMissing):
        await own
    assert "dan" == manager.session.user["id"]


async def test_the_later_call_stays_whoever_answers_first(manager, server, settle):
    """The earlier one gets its session, which is not the current one."""
    bob, cid = server.sign_in("bob"), server.sign_in("cid")
    first = asyncio.Event()
    server.gate = first
    earlier = asyncio.ensure_future(manager.refresh_session(bob.refresh_token))
    await settle()
    adopted = await manager.adopt(cid)
    first.set()

    assert "bob" == (await earlier).user["id"]
    assert adopted == manager.session
    assert "cid" == (await manager.get_session()).user["id"]


async def test_a_refusal_of_a_token_from_outside_leaves_the_session_alone(manager, server, watch):
    """It raises, and that is all."""
    seen = watch(manager)
    before = manager.session

    with pytest.raises(RefreshRejected):
        await manager.refresh_session("stolen")

    assert before is manager.session
    assert Status.FRESH is manager.status
    assert [] == seen()


@pytest.mark.parametrize(
    "answer", [ServerUnavailable("down"), Response(418, {}, b"{}"), AuthSessionMissing()]
)
async def test_a_failure_of_a_token_from_outside_is_no_failure_of_the_session(
    manager, server, watch, answer
):
    """Raised as it is, told to nobody, and no back-off."""
    seen = watch(manager)
    server.answers = [answer]

    with pytest.raises((ServerUnavailable, ApiError, AuthSessionMissing)):
        await manager.refresh_session("other")
    assert [] == seen()
    await manager.get_token(rejected=manager.session.access_token)
    assert 2 == manager.session.generation


async def test_after_a_rejection_an_explicit_token_is_sent(manager, server):
    """The dead one as well; a good one signs in."""
    dead = manager.session.refresh_token
    server.revoke()
    for argument in (None, dead, dead):
        with pytest.raises(RefreshRejected):
            await manager.refresh_session(argument)
    assert [dead] * 3 == server.requests
    assert Status.REJECTED is manager.status
    with pytest.raises(AuthSessionMissing):
        await manager.refresh_session()

    await manager.refresh_session(server.sign_in("bob").refresh_token)
    assert Status.FRESH is manager.status


async def test_a_session_adopted_while_its_token_is_spent_gets_the_new_pair(
    make_manager, server, settle
):
    """The rotated token is not lost: the old one could never be spent again."""
    manager = make_manager(auto_refresh=False)
    session = server.sign_in()
    server.gate = asyncio.Event()
    flying = asyncio.ensure_future(manager.refresh_session(session.refresh_token))
    await settle()
    await manager.adopt(session)
    server.gate.set()
    refreshed = await flying

    assert refreshed == manager.session
    assert refreshed.generation + 1 == (await manager.refresh_session()).generation


# 2. The lock


async def test_the_request_is_sent_and_saved_under_the_lock(make_manager, server, faulty_store):
    """And the lock is let go before anyone is told."""
    log = []

    class Lock:
        @asynccontextmanager
        async def hold(self, key):
            log.append(f"hold {key}")
            faulty_store.calls.clear()
            requests = len(server.requests)
            yield
            log.append([len(server.requests) - requests, faulty_store.calls])

    manager = make_manager(store=faulty_store, lock=Lock(), auto_refresh=False)
    await manager.adopt(server.sign_in())
    broadcast = manager._home.ground.broadcast  # noqa: SLF001 - when it tells is the test
    broadcast.publish = lambda event: log.append(event.name)

    await manager.refresh_session()

    assert ["hold default", [1, ["load", "save"]], "TOKEN_REFRESHED"] == log


async def test_a_lock_that_is_held_for_too_long_is_a_temporary_failure(
    make_manager, server, clock, settle, faulty_store, watch
):
    """An expired token raises it; nothing was sent; the next try may succeed."""
    manager = make_manager(
        store=faulty_store, auto_refresh=False, policy=RefreshPolicy(lock_timeout=20, jitter=0)
    )
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    clock.advance_to(manager.session.expires_at)
    async with faulty_store.lock.hold("default"):
        waiting = asyncio.ensure_future(manager.get_token())
        await settle()
        await clock.run(20)
        with pytest.raises(LockTimeout, match="20 seconds"):
            await waiting
    assert [RefreshFailed] == kinds(seen())
    assert [] == server.requests
    await clock.run(1)

    assert 2 == (await manager.get_token()).generation


@pytest.mark.parametrize(
    "error, raised", [(LockTimeout("busy"), LockTimeout), (OSError("gone"), ProtocolError)]
)
async def test_a_lock_that_does_not_work_is_a_temporary_failure(
    make_manager, server, error, raised
):
    """Also a stranger's."""

    class Lock:
        @asynccontextmanager
        async def hold(self, key):
            raise error
            yield

    manager = make_manager(lock=Lock(), auto_refresh=False)
    await manager.adopt(server.sign_in())

    with pytest.raises(raised):
        await manager.refresh_session()
    assert 1 == (await manager.get_token()).generation
    assert [] == server.requests


async def test_callers_do_not_wait_until_the_lock_is_released(make_manager, server, clock, settle):
    """They have the token once it is stored; letting go may take a server's answer."""
    gate = asyncio.Event()

    class Lock:
        @asynccontextmanager
        async def hold(self, key):
            yield
            held.append(key)
            await gate.wait()

    held = []
    manager = make_manager(lock=Lock(), auto_refresh=False)
    await manager.adopt(server.sign_in())
    clock.advance_to(manager.session.expires_at)
    calls = [asyncio.ensure_future(call()) for call in (manager.get_token, manager.get_session)]
    server.gate = asyncio.Event()
    refresh = asyncio.ensure_future(manager.refresh_session())
    await settle()
    server.gate.set()
    await settle()

    done = [call.done() for call in (*calls, refresh)]
    gate.set()

    assert ["default"] == held
    assert [True, True, False] == done
    assert [2, 2] == [(await call).generation for call in calls]
    assert 2 == (await refresh).generation
    assert 1 == len(server.requests)


async def test_a_lock_that_does_not_let_go_loses_nothing(make_manager, server, caplog):
    """What was received is saved by then; the trouble is logged."""

    class Lock:
        @asynccontextmanager
        async def hold(self, key):
            yield
            raise OSError("gone")

    manager = make_manager(lock=Lock())
    await manager.adopt(server.sign_in())

    assert 2 == (await manager.refresh_session()).generation
    assert "not released" in caplog.text


async def test_a_sign_out_while_the_lock_is_waited_for_sends_nothing(
    manager, server, faulty_store, settle
):
    """There is nothing left to refresh."""
    token = manager.session.refresh_token
    async with faulty_store.lock.hold("default"):
        calls = [asyncio.ensure_future(manager.refresh_session(each)) for each in (None, token)]
        await settle()
        await manager.sign_out()
    await settle()

    for call in calls:
        with pytest.raises(AuthSessionMissing):
            await call
    assert [] == server.requests


@pytest.mark.parametrize("explicit", [True, False])
async def test_a_sign_out_while_the_store_is_read_sends_nothing(
    manager, server, faulty_store, explicit, settle
):
    """Even if the store cannot be read."""
    gate = faulty_store.gates["load"] = asyncio.Event()
    token = manager.session.refresh_token if explicit else None
    clearing = asyncio.ensure_future(manager.refresh_session(token))
    await faulty_store.reached("load")
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    gate.set()
    await ending

    with pytest.raises(AuthSessionMissing):
        await clearing
    assert [] == server.requests
    assert await faulty_store.generation() is None


# 4. Asking


@pytest.mark.parametrize("sent, requests", [(True, 2), (False, 1)])
async def test_a_lost_answer_is_asked_for_once_more_and_at_once(manager, server, sent, requests):
    """With the same token; what was never sent is not."""
    token = manager.session.refresh_token
    server.answers = [NetworkError("lost", sent=sent)] * 3

    with pytest.raises(NetworkError):
        await manager.refresh_session()

    assert [token] * requests == server.requests


async def test_the_second_answer_is_as_good_as_the_first(manager, server, watch):
    """A server that forgives gives the pair again; nobody hears of the loss."""
    server.forgiving = True
    server.lose_next = 1
    seen = watch(manager)

    assert 2 == (await manager.refresh_session()).generation
    assert 2 == len(server.requests)
    assert [TokenRefreshed] == kinds(seen())


async def test_two_hundred_lost_answers_in_a_row_lose_nothing(manager, server):
    """Every rotation is lost once on its way."""
    server.forgiving = True
    for turn in range(200):
        server.lose_next = 1
        assert turn + 2 == (await manager.refresh_session()).generation

    assert 400 == len(server.requests)


async def test_a_request_takes_fifteen_seconds_at_most_and_is_then_lost(
    manager, server, clock, settle
):
    """So it is asked once more, and then it is a temporary failure."""
    server.latency = 100
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.run(14.9)
    assert 1 == len(server.requests)
    await clock.run(0.2)
    assert 2 == len(server.requests)
    await clock.run(15)

    with pytest.raises(NetworkError) as caught:
        await refreshing
    assert caught.value.sent
    assert Status.FRESH is manager.status


@pytest.mark.parametrize(
    "error, raised",
    [
        (ServerUnavailable("down", status=503), ServerUnavailable),
        (ApiError("odd", status=418), ApiError),
        (AuthSessionMissing("no session in it"), AuthSessionMissing),
        (TimeoutError(), NetworkError),
        (ZeroDivisionError(), ProtocolError),
    ],
)
async def test_refresh_session_raises_an_error_as_it_is(manager, server, error, raised, watch):
    """And the session is kept; the next success forgets it."""
    seen = watch(manager)
    server.answers = [error, error]
    before = manager.session

    with pytest.raises(raised):
        await manager.refresh_session()

    assert before is manager.session
    assert [RefreshFailed] == kinds(seen())
    server.answers.clear()
    assert 2 == (await manager.refresh_session()).generation


async def test_a_provider_that_cannot_build_a_request_is_a_temporary_failure(
    make_manager, server, tiny_provider
):
    """It is a stranger's code."""
    provider = tiny_provider()
    provider.refresh_request = lambda *_, **__: 1 / 0
    manager = make_manager(provider=provider, auto_refresh=False)
    await manager.adopt(server.sign_in())

    with pytest.raises(ProtocolError, match="ZeroDivisionError"):
        await manager.refresh_session()
    assert 1 == (await manager.get_token()).generation


@pytest.mark.parametrize("latency", [0.5, 14])
async def test_a_life_is_counted_from_the_sending(manager, server, clock, settle, latency):
    """Not from the answer."""
    server.latency = latency
    sent_at = clock.now()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.run(latency)

    session = await refreshing
    assert (sent_at, sent_at + 3600) == (session.issued_at, session.expires_at)


@pytest.mark.parametrize("step", [-3600, -600, -5])
async def test_a_clock_that_is_set_during_a_request_does_not_lengthen_a_life(
    manager, server, clock, settle, step
):
    """Set back, the sending would have been in the future."""
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.advance(2)
    await clock.step(step)
    server.gate.set()

    session = await refreshing
    await clock.run(40)

    assert session == manager.session
    assert 3558 == pytest.approx(session.expires_at - clock.now())


async def test_a_machine_that_sleeps_during_a_request_does_not_lengthen_a_life(
    manager, server, clock, settle
):
    """The monotonic clock stood still; the token did not."""
    server.gate = asyncio.Event()
    sent_at = clock.now()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.suspend(3000)
    server.gate.set()

    assert sent_at + 3600 == (await refreshing).expires_at


# 5. Saving, then publishing


async def test_the_new_pair_is_saved_then_published(manager, server, faulty_store, settle):
    """Nobody gets a token that a crash could lose."""
    gate = faulty_store.gates["save"] = asyncio.Event()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await faulty_store.reached("save")
    await settle()
    assert 1 == manager.session.generation
    assert not refreshing.done()

    gate.set()
    await refreshing

    assert 2 == manager.session.generation == await faulty_store.generation()


async def test_a_sign_out_during_the_save_wins(manager, server, faulty_store, settle):
    """Nothing is left in the store."""
    gate = faulty_store.gates["save"] = asyncio.Event()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await faulty_store.reached("save")
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    gate.set()
    await ending
    await settle()

    with pytest.raises(AuthSessionMissing):
        await refreshing
    assert await faulty_store.generation() is None
    assert Status.SIGNED_OUT is manager.status


@pytest.mark.parametrize("late", ["load", "save"])
async def test_a_sign_in_while_a_token_from_outside_is_saved_stays_in_the_store(
    make_manager, server, faulty_store, settle, late
):
    """Whichever write is slow, the later call's session is the one that is stored."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    await manager.start()
    gate = faulty_store.gates[late] = asyncio.Event()
    bob = asyncio.ensure_future(manager.refresh_session(server.sign_in("bob").refresh_token))
    await faulty_store.reached(late)
    cid = asyncio.ensure_future(manager.adopt(server.sign_in("cid")))
    await settle()
    gate.set()
    await asyncio.gather(bob, cid)
    await settle()

    assert "bob" == (await bob).user["id"]
    assert "cid" == manager.session.user["id"]
    assert (await cid).generation == await faulty_store.generation()
    assert (await cid).generation + 1 == (await manager.refresh_session()).generation


async def test_a_refusal_clears_the_store(manager, server, faulty_store, watch):
    """Only then is it told, once."""
    seen = watch(manager)
    server.revoke()

    with pytest.raises(RefreshRejected):
        await manager.refresh_session()

    assert await faulty_store.generation() is None
    assert [SignedOut] == kinds(seen())
    assert "rejected" == seen()[0].reason


async def test_a_refusal_with_a_reason_of_its_own_is_told(manager, server, watch):
    """The server does not know the session any more."""
    seen = watch(manager)
    server.answers = [Response(400, {}, json.dumps({"code": "session_not_found"}).encode())]

    with pytest.raises(RefreshRejected):
        await manager.refresh_session()

    assert ["session_not_found"] == [event.reason for event in seen()]


async def test_a_refusal_when_the_store_cannot_be_read_ends_nothing(
    manager, server, faulty_store, watch
):
    """Another process may have rotated: nobody knows, so it is tried again."""
    seen = watch(manager)
    faulty_store.breaks("load")
    server.revoke()
    with pytest.raises(Exception, match="disk full"):
        await manager.refresh_session()
    assert Status.FRESH is manager.status
    faulty_store.works()

    with pytest.raises(RefreshRejected):
        await manager.refresh_session()

    assert [StoreFailed, StoreFailed, RefreshFailed, SignedOut] == kinds(seen())


# Cancelling


@pytest.mark.parametrize("call", ["get_token", "get_session", "refresh_session", "outside"])
async def test_cancelling_at_any_moment_loses_nothing(
    make_manager, server, clock, faulty_store, interrupt, settle, call
):
    """After however many turns of the loop: the manager is usable and has the latest token."""
    for rounds in range(200):
        manager = make_manager(store=type(faulty_store)(), auto_refresh=False)
        await manager.adopt(server.sign_in())
        outside = server.sign_in("bob").refresh_token
        clock.advance_to(manager.session.expires_at)
        calls = {"outside": lambda m=manager, t=outside: m.refresh_session(t)}
        ended = await interrupt(calls.get(call, getattr(manager, call, None))(), rounds)
        await settle()

        assert (await manager.get_token()).expires_at > clock.now()
        for _ in range(2):
            await manager.refresh_session()
        assert Status.FRESH is manager.status
        await manager.aclose()
        if ended:
            break
    assert 2 < rounds < 199


async def test_a_cancelled_caller_disturbs_nobody(manager, server, settle):
    """Not even the one who began the flight."""
    server.gate = asyncio.Event()
    calls = [asyncio.ensure_future(manager.refresh_session()) for _ in range(10)]
    await settle()
    for call in calls[:9]:
        call.cancel()
    await settle()
    server.gate.set()

    assert 2 == (await calls[9]).generation
    assert all(call.cancelled() for call in calls[:9])
    assert 1 == len(server.requests)


async def test_a_close_lets_what_was_sent_finish_and_store(manager, server, faulty_store, settle):
    """The waiting are sent away at once; the store has the new pair."""
    server.gate = asyncio.Event()
    waiting = asyncio.ensure_future(manager.refresh_session())
    await settle()
    closing = asyncio.ensure_future(manager.aclose())
    with pytest.raises(ManagerClosed):
        await waiting
    server.gate.set()
    await closing

    assert 2 == await faulty_store.generation()


async def test_a_close_does_not_wait_for_what_was_not_sent(manager, server, faulty_store, settle):
    """A lock that somebody else holds keeps nobody from closing."""
    async with faulty_store.lock.hold("default"):
        waiting = asyncio.ensure_future(manager.refresh_session())
        await settle()
        await manager.aclose()
    with pytest.raises(ManagerClosed):
        await waiting
    assert [] == server.requests
    async with faulty_store.lock.hold("default"):
        pass


async def test_a_clock_that_is_set_forward_cuts_no_request_off(manager, server, clock, settle):
    """What was sent has its time on the monotonic clock, whatever a user or NTP does."""
    server.gate = asyncio.Event()
    call = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.step(300.0)
    # Any call finds that out.
    await manager.start()
    await clock.run(10.0)
    server.gate.set()

    assert 2 == (await call).generation
    assert 1 == len(server.requests)


async def test_a_request_is_cut_off_in_time_when_the_clock_is_set_back(manager, server, clock):
    """A wall clock that was set does not make it wait for longer, either."""
    server.gate = asyncio.Event()
    call = asyncio.ensure_future(manager.refresh_session())
    await clock.run(5.0)
    await clock.step(-300.0)
    await clock.run(26.0)

    # The answer counts as lost, and is asked for once more.
    with pytest.raises(NetworkError, match="No answer within 15 seconds"):
        await call
    assert 2 == len(server.requests)


async def test_what_memory_has_counts_where_the_store_cannot_be_read(
    manager, server, faulty_store, settle
):
    """A token that was replaced while its flight waited for the lock is not spent any more."""
    base, keeper = manager.session, manager._made().keeper  # noqa: SLF001 - the store tells it
    async with faulty_store.lock.hold("default"):
        call = asyncio.ensure_future(manager.refresh_session())
        await settle()
        rotated = attrs.evolve(server.sign_in(), generation=2, sign_in_id=base.sign_in_id)
        await keeper.shelf.save(rotated, expected=1)
        await keeper.noticed(None)
        faulty_store.breaks("load")

    assert rotated == await call
    assert [] == server.requests


@pytest.mark.parametrize("sent", [True, False])
async def test_what_memory_has_counts_where_an_answer_is_lost(
    manager, server, clock, faulty_store, settle, sent
):
    """Whoever took the lock while this machine slept has brought a token: the old one is dead."""
    base, keeper = manager.session, manager._made().keeper  # noqa: SLF001 - the store tells it
    server.latency, server.answers = 1.0, [NetworkError("lost", sent=sent)]
    call = asyncio.ensure_future(manager.refresh_session())
    await settle()
    rotated = attrs.evolve(server.sign_in(), generation=2, sign_in_id=base.sign_in_id)
    await keeper.shelf.save(rotated, expected=1)
    await keeper.noticed(None)
    await clock.run(2)

    assert rotated == await call
    assert [base.refresh_token] == server.requests


async def test_a_session_that_nobody_knows_the_end_of_is_refreshed_when_it_is_asked_for(
    make_manager, server
):
    """Its tokens have no expiry, and neither have those that come for them."""
    server.life = None
    manager = make_manager()
    await manager.adopt(server.sign_in())

    session = await manager.refresh_session()

    assert (2, None) == (session.generation, session.expires_at)
    assert session is manager.session
