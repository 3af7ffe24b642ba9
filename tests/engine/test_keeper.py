"""The timer, the events, and what is kept: one session over time."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from itertools import pairwise

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    NetworkError,
    RateLimited,
    RefreshFailed,
    RefreshPolicy,
    RefreshRejected,
    Response,
    ServerUnavailable,
    SessionManager,
    SignedIn,
    SignedOut,
    Status,
    TokenRefreshed,
)


@pytest.fixture
async def manager(make_manager, server):
    """Return a manager that is signed in, with its timer running."""
    manager = make_manager()
    await manager.adopt(server.sign_in())
    return manager


@pytest.fixture
async def patient(make_manager, server):
    """Return the same with the longest waits that may be drawn."""
    manager = make_manager(random=lambda: 1.0)
    await manager.adopt(server.sign_in())
    return manager


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


# The timer


async def test_the_timer_refreshes_ten_seconds_before_the_end(manager, server, clock):
    """To the second, life after life, without anybody asking."""
    start = clock.now()
    sent = []
    for _ in range(5):
        count = len(server.requests)
        while len(server.requests) == count:
            await clock.run(1)
        sent.append(clock.now() - start)

    assert [3590, 2 * 3590, 3 * 3590, 4 * 3590, 5 * 3590] == sent
    assert 6 == manager.session.generation


async def test_jitter_makes_the_timer_earlier_and_nothing_else(make_manager, server, clock):
    """Half a draw of one second."""
    manager = make_manager(policy=RefreshPolicy(jitter=1), random=lambda: 0.5)
    await manager.adopt(server.sign_in())

    await clock.run(3589.4)
    assert [] == server.requests
    await clock.run(0.1)
    assert 1 == len(server.requests)


async def test_without_auto_refresh_there_is_no_timer(make_manager, server, clock, watch):
    """Calls refresh on demand, and failures plan nothing."""
    manager = make_manager(auto_refresh=False)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    await clock.run(3600)
    server.down = True
    with pytest.raises(NetworkError):
        await manager.get_token()
    await clock.run(7200)

    assert 1 == len(server.requests)
    assert [None] == [event.retry_at for event in seen()]


@pytest.mark.parametrize("life", [1, 2, 3, 5, 8, 10, 12, 60])
async def test_short_lives_are_refreshed_in_time_and_not_too_often(
    make_manager, server, clock, life
):
    """In their last fifth, but never twice within a second."""
    server.life = life
    manager = make_manager()
    await manager.adopt(server.sign_in())

    await clock.run(120)

    every = max(1.0, life - min(10, 0.2 * life))
    assert 120 // every - 1 <= len(server.requests) <= 120 // every + 1
    assert manager.session.expires_at >= clock.now()


async def test_a_server_that_repeats_itself_is_asked_less_and_less(
    make_manager, server, clock, tiny_provider
):
    """An hour of the same expiry costs hardly more than one request a minute."""
    session = server.sign_in()

    class Stuck(tiny_provider):
        def parse_refresh(self, response, session, *, sent_at, now):
            new = super().parse_refresh(response, session, sent_at=sent_at, now=now)
            return attrs.evolve(new, expires_at=session.expires_at)

    manager = make_manager(provider=Stuck(), random=lambda: 1.0)
    await manager.adopt(session)
    await clock.run(3590 + 3600)

    assert 50 <= len(server.requests) <= 70


async def test_tokens_that_arrive_expired_make_no_storm(patient, server, clock):
    """They back off like failures, for as long as it takes."""
    await clock.run(3589)
    server.life = -5
    await clock.run(3600)
    assert len(server.requests) <= 70

    server.life = 3600
    await clock.run(61)
    assert Status.FRESH is patient.status


async def test_an_outage_is_survived_and_told(patient, server, clock, watch):
    """The session is kept past its end; the first success puts everything right."""
    seen = watch(patient)
    await clock.run(3580)
    server.down = True
    await clock.run(12 * 3600)
    assert Status.EXPIRED is patient.status
    assert patient.session is not None
    server.down = False
    await clock.run(60)

    events = seen()
    assert Status.FRESH is patient.status
    assert {RefreshFailed} == set(kinds(events[:-1]))
    assert TokenRefreshed is type(events[-1])
    # One a minute in the end, and a few at the beginning.
    assert 720 <= len(events) <= 740
    for one, next_one in pairwise(events):
        assert one.retry_at == pytest.approx(next_one.at)


async def test_a_short_outage_ends_before_the_token_does(patient, server, clock):
    """Retries are quick while there are seconds left."""
    await clock.run(3580)
    server.down = True
    await clock.run(15)
    server.down = False
    await clock.run(3)

    assert Status.FRESH is patient.status


async def test_retry_after_is_obeyed_by_the_timer(manager, server, clock, watch):
    """Even past the end; not for more than an hour."""
    seen = watch(manager)
    server.answers = [
        RateLimited("slow", retry_after=120),
        ServerUnavailable("down", retry_after=1e9),
    ]
    await clock.run(3590 + 119)
    assert 1 == len(server.requests)
    await clock.run(1)
    assert 2 == len(server.requests)
    await clock.run(3599)
    assert 2 == len(server.requests)
    await clock.run(1)
    assert 3 == len(server.requests)

    assert [RefreshFailed, RefreshFailed, TokenRefreshed] == kinds(seen())


async def test_a_refresh_during_a_back_off_resets_it(manager, server, clock):
    """Whoever forced it: the timer starts anew from the new token."""
    server.answers = [RateLimited("slow", retry_after=3000)]
    await clock.run(3590)

    await manager.refresh_session()
    await clock.run(3589)
    assert 2 == len(server.requests)
    await clock.run(1)

    assert 3 == len(server.requests)


async def test_after_a_final_refusal_the_timer_sends_nothing_ever(manager, server, clock, watch):
    """One event, one request."""
    seen = watch(manager)
    server.revoke()
    await clock.run(3 * 3600)

    assert 1 == len(server.requests)
    assert [SignedOut] == kinds(seen())
    assert Status.REJECTED is manager.status


async def test_a_session_that_expired_long_ago_is_refreshed_at_the_start(
    make_manager, server, clock, faulty_store
):
    """The timer's first moment is now."""
    manager = make_manager(store=faulty_store)
    await manager.adopt(server.sign_in())
    await manager.aclose()
    clock.advance(1e6)
    later = make_manager(store=faulty_store)
    await later.start()
    await clock.run(0)

    assert Status.FRESH is later.status
    assert 1 == len(server.requests)


async def test_a_session_without_a_refresh_token_expires_without_a_word(
    make_manager, server, clock, watch
):
    """It is nobody's sign-out."""
    manager = make_manager()
    await manager.adopt(attrs.evolve(server.sign_in(), refresh_token=None))
    seen = watch(manager)
    await clock.run(7200)

    assert Status.EXPIRED is manager.status
    assert ([], []) == (seen(), server.requests)


async def test_a_clock_set_back_is_no_longer_life(manager, server, clock):
    """The token ends when it would have, and is refreshed in time."""
    await clock.run(100)
    await clock.step(-86_400)
    await clock.run(3489)
    assert [] == server.requests
    await clock.run(32)

    assert 1 == len(server.requests)


async def test_a_back_off_begun_on_a_clock_that_was_set_back_is_waited_out(manager, server, clock):
    """Whoever fails notices the new clock first: what it counts on it is not moved once more."""
    await clock.run(3000)
    server.latency, server.answers = 5.0, [RateLimited("slow", retry_after=1000)]
    call = asyncio.ensure_future(manager.refresh_session())
    await clock.run(1)
    await clock.step(-86_400)
    await clock.run(4)
    with pytest.raises(RateLimited):
        await call
    await clock.run(998)
    assert 1 == len(server.requests)
    await clock.run(10)

    assert 2 == len(server.requests)


async def test_a_clock_set_forward_or_a_suspend_is_noticed_within_a_slice(manager, server, clock):
    """What is overdue then is refreshed."""
    await clock.suspend(7200)
    await clock.run(31)

    assert 1 == len(server.requests)
    assert Status.FRESH is manager.status


async def test_a_suspend_is_noticed_by_the_next_call(manager, server, clock):
    """Whichever is first."""
    await clock.suspend(7200)

    assert 2 == (await manager.get_token()).generation
    assert 1 == len(server.requests)


async def test_a_dropped_manager_has_no_timer(server, clock, settle, tiny_provider):
    """The timer does not keep it alive."""
    manager = SessionManager(tiny_provider(), transport=server, clock=clock)
    await manager.adopt(server.sign_in())
    dropped = weakref.ref(manager)
    del manager
    for _ in range(3):
        gc.collect()
        await settle()

    assert dropped() is None
    await clock.run(7200)
    assert [] == server.requests


# The sign-in


async def test_a_final_refusal_of_the_old_session_does_not_end_a_new_one(
    manager, server, settle, watch
):
    """A late answer never ends a newer session."""
    server.gate = asyncio.Event()
    server.revoke()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    bob = await manager.adopt(server.sign_in("bob"))
    seen = watch(manager)
    server.gate.set()
    with pytest.raises(AuthSessionMissing):
        await refreshing
    await settle()

    assert bob == manager.session
    assert [] == seen()
    assert Status.FRESH is manager.status


async def test_a_failure_of_the_old_session_is_none_of_the_new_ones(manager, server, settle, watch):
    """No back-off, no event."""
    server.latency = 3
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await manager.adopt(server.sign_in("bob"))
    seen = watch(manager)
    server.down = True
    await server.clock.run(3)
    with pytest.raises(AuthSessionMissing):
        await refreshing
    server.down, server.latency = False, None

    assert [] == seen()
    token = await manager.get_token()
    assert token.generation + 1 == (await manager.get_token(rejected=token)).generation


async def test_signing_in_again_with_a_new_account_restarts_the_timer(manager, server, clock):
    """For the new token's life."""
    await clock.run(1000)
    await manager.adopt(server.sign_in("bob"))
    await clock.run(3589)
    assert [] == server.requests
    await clock.run(1)
    assert ["refresh-bob-2"] == server.requests


async def test_generations_count_on_over_everything(manager, server):
    """Refreshes, sign-outs, sign-ins, refusals."""
    seen = [manager.session.generation]
    seen.append((await manager.refresh_session()).generation)
    await manager.sign_out()
    seen.append((await manager.adopt(server.sign_in())).generation)
    server.revoke()
    with pytest.raises(RefreshRejected):
        await manager.refresh_session()
    seen.append((await manager.refresh_session(server.sign_in().refresh_token)).generation)
    seen.append((await manager.refresh_session()).generation)

    assert [1, 2, 3, 4, 5] == seen


async def test_every_event_says_when_and_of_what(manager, server, clock, watch):
    """The session after it, the moment, the key."""
    seen = watch(manager)
    await clock.run(3590)
    refreshed = manager.session
    await manager.adopt(server.sign_in("bob"))
    bob = manager.session
    await manager.sign_out()

    assert [
        (TokenRefreshed, refreshed, clock.now(), "default"),
        (SignedIn, bob, clock.now(), "default"),
        (SignedOut, None, clock.now(), "default"),
    ] == [(type(event), event.session, event.at, event.key) for event in seen()]


async def test_an_answer_with_less_in_it_loses_nothing_that_is_known(manager, server):
    """The engine keeps sign-in and generation whatever the provider makes of an answer."""
    before = manager.session
    body = {"access": "x", "refresh": "y", "life": 60}
    server.answers = [Response(200, {}, json.dumps(body).encode())]

    after = await manager.refresh_session()

    assert (before.sign_in_id, before.generation + 1) == (after.sign_in_id, after.generation)
