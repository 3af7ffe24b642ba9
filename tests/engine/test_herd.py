"""Ten thousand callers at once: one request, and everyone gets the answer."""

from __future__ import annotations

import asyncio
import os

import pytest

from async_auth import (
    AuthSessionMissing,
    NetworkError,
    RefreshFailed,
    RefreshRejected,
    SignedOut,
    TokenRefreshed,
)

#: `nox` lets one Python have all of them: nothing here depends on which (noxfile.py, THOROUGH).
HERD = 1_000 if os.environ.get("ASYNC_AUTH_SAMPLE") == "1" else 10_000


@pytest.fixture
async def manager(make_manager, server, clock):
    """Return a manager whose token has expired, without a timer."""
    manager = make_manager(auto_refresh=False)
    await manager.adopt(server.sign_in())
    clock.advance_to(manager.session.expires_at)
    return manager


def herd(manager):
    """Return ten thousand calls under way."""
    return [asyncio.ensure_future(manager.get_token()) for _ in range(HERD)]


async def test_one_request_and_ten_thousand_answers(manager, server, clock, settle, watch):
    """And one event for each subscriber."""
    events = [watch(manager) for _ in range(5)]
    server.latency = 0.5
    calls = herd(manager)
    await settle()
    await clock.run(1)

    tokens = await asyncio.gather(*calls)

    assert {manager.session.access_token} == {token.value for token in tokens}
    assert {2} == {token.generation for token in tokens}
    assert 1 == len(server.requests)
    for seen in events:
        assert [TokenRefreshed] == [type(event) for event in seen()]


@pytest.mark.parametrize("which", ["first", "last", "odd", "all but one", "all"])
@pytest.mark.parametrize("when", ["before it begins", "while it flies", "as it lands"])
async def test_whatever_is_cancelled_meanwhile(manager, server, clock, settle, watch, which, when):
    """The rest get their answer, and the token is not lost."""
    seen = watch(manager)
    server.latency = 0.5
    calls = herd(manager)
    doomed = {
        "first": calls[:1],
        "last": calls[-1:],
        "odd": calls[1::2],
        "all but one": calls[1:],
        "all": calls,
    }[which]
    if when != "before it begins":
        await settle()
    if when == "as it lands":
        clock.advance(0.5)
        await asyncio.sleep(0)
    for call in doomed:
        call.cancel()
    await settle()
    await clock.run(1)

    results = await asyncio.gather(*calls, return_exceptions=True)
    answers = [result for result in results if not isinstance(result, BaseException)]
    assert HERD - len(doomed) <= len(answers)
    assert {2} >= {token.generation for token in answers}
    server.latency = None
    assert 2 == (await manager.get_token()).generation
    assert 1 == len(server.requests)
    assert [TokenRefreshed] == [type(event) for event in seen()]


async def test_an_outage_is_told_to_all_of_them_by_one_request(
    manager, server, clock, settle, watch
):
    """Each gets an error of its own."""
    seen = watch(manager)
    server.latency = 0.5
    server.down = True
    calls = herd(manager)
    await settle()
    await clock.run(1)

    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert {NetworkError} == {type(error) for error in errors}
    assert HERD == len({id(error) for error in errors})
    assert 1 == len(server.requests)
    assert [RefreshFailed] == [type(event) for event in seen()]


async def test_a_refusal_is_told_to_all_of_them_by_one_request(
    manager, server, clock, settle, watch
):
    """And the session ends once."""
    seen = watch(manager)
    server.latency = 0.5
    server.revoke()
    calls = herd(manager)
    await settle()
    await clock.run(1)

    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert {RefreshRejected} == {type(error) for error in errors}
    assert 1 == len(server.requests)
    assert [SignedOut] == [type(event) for event in seen()]


async def test_a_sign_out_in_the_midst_sends_all_of_them_away(manager, server, clock, settle):
    """Nobody hangs."""
    server.latency = 0.5
    calls = herd(manager)
    await settle()
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()

    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert {AuthSessionMissing} == {type(error) for error in errors}
    await clock.run(1)
    await ending


async def test_ten_thousand_refusals_of_one_token_cost_one_request(manager, server, clock, settle):
    """A good token that the whole herd was refused with."""
    token = await manager.get_token()
    await clock.advance(1)
    server.latency = 0.5
    calls = [asyncio.ensure_future(manager.get_token(rejected=token)) for _ in range(HERD)]
    await settle()
    await clock.run(1)

    assert {3} == {token.generation for token in await asyncio.gather(*calls)}
    assert 2 == len(server.requests)


async def test_every_kind_of_call_at_once(manager, server, clock, settle, watch):
    """Mixed, they still share one request."""
    seen = watch(manager)
    server.latency = 0.5
    kinds = (manager.get_token, manager.get_session, manager.refresh_session)
    calls = [asyncio.ensure_future(kinds[number % 3]()) for number in range(HERD)]
    await settle()
    await clock.run(1)

    assert {2} == {result.generation for result in await asyncio.gather(*calls)}
    assert 1 == len(server.requests)
    assert 1 == len(seen())
