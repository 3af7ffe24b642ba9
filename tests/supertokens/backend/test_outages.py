"""The core away, slow or restarted; keys that are unknown; loops, tasks and other back ends."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import CoreUnavailable, TryRefreshToken
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing import SuperTokensCoreServer

VERSIONS = pytest.mark.parametrize("version", ["5.4", "5.6"])
KEYS = "/.well-known/jwks.json"


async def with_keys(make_front_end, **options):
    """Return a front end whose back end has the keys."""
    front_end = make_front_end(**options)
    await front_end.sign_in()
    assert 200 == await front_end.use()
    return front_end


@VERSIONS
async def test_an_outage_signs_nobody_out(core, make_front_end, version):
    """Known sessions go on; what needs the core is 503 and clears nothing; then all is well."""
    front_end = await with_keys(make_front_end, cdi_version=version)
    await core.stop()

    assert 200 == await front_end.use("POST")
    for status in (
        await front_end.refresh(),
        await front_end.sign_out(),
        await front_end.use(check_database=True),
    ):
        assert 503 == status
        assert [] == front_end.said
    with pytest.raises(CoreUnavailable):
        await front_end.sign_in("bob")

    await core.start()
    assert 200 == await front_end.refresh()
    assert 200 == await front_end.use(check_database=True)
    assert 200 == await front_end.sign_out()


async def test_an_outage_before_there_are_keys(core, make_front_end, manual_clock):
    """A token whose key is unknown is neither good nor bad: 503, not a refresh."""
    front_end = make_front_end(cdi_version="5.4")
    await front_end.sign_in()
    await core.stop()

    assert 503 == await front_end.use()

    await core.start()
    # The last failure keeps further ones from hammering, for half a second.
    assert 503 == await front_end.use()
    await manual_clock.advance(0.5)
    assert 200 == await front_end.use()


@VERSIONS
async def test_an_outage_in_the_first_use_after_a_refresh(core, make_front_end, version):
    """Up to CDI 5.5 the core has to see that token, so it is 503; later all is well."""
    front_end = await with_keys(make_front_end, cdi_version=version)
    await front_end.refresh()
    await core.stop()

    assert (503 if version == "5.4" else 200) == await front_end.use()
    assert not front_end.clears
    await core.start()
    assert 200 == await front_end.use()


async def test_a_core_that_lost_its_memory(core, make_front_end):
    """Tokens of before go on until the new keys come; the refresh then ends the session."""
    front_end = await with_keys(make_front_end)
    await core.restart(lose_memory=True)

    assert 200 == await front_end.use()
    assert 401 == await front_end.refresh()
    assert ({"message": "unauthorised"}, True) == (front_end.body, front_end.clears)


async def test_other_hosts_are_asked(core, make_backend, away):
    """One host that is away costs nobody a session, for calls and for keys."""
    backend = make_backend(f"{away};{core.url}")
    session = await backend.create_new_session_without_request_response("ada")

    found = await backend.get_session_without_request_response(session.access_token)

    assert session.handle == found.handle


async def test_a_hundred_requests_with_an_unknown_key(core, make_front_end):
    """They cause one fetch, and those whose key is known do not wait for it."""
    known = await with_keys(make_front_end)
    core.rotate_keys()
    backend = known.backend
    unknown = [core.create_session(f"user-{n}")["accessToken"]["token"] for n in range(100)]
    core.pause()

    waiting = [
        asyncio.ensure_future(backend.get_session_without_request_response(token))
        for token in unknown
    ]
    for _ in range(10):
        assert 200 == await known.use("POST")
    assert not any(task.done() for task in waiting)
    core.resume()
    sessions = await asyncio.gather(*waiting)

    assert [f"user-{n}" for n in range(100)] == [session.user_id for session in sessions]
    assert 2 == core.counts[KEYS]


async def test_made_up_keys_do_not_hammer(core, make_front_end, manual_clock):
    """Any number of made-up keys is one fetch in half a second; each wants a refresh."""
    front_end = await with_keys(make_front_end)
    claims = {
        "sub": "eve",
        "iat": 1,
        "exp": 9_999_999_999,
        "sessionHandle": "h",
        "refreshTokenHash1": "x",
        "rsub": "eve",
        "tId": "public",
    }
    made_up = [core.sign(claims, headers={"kid": f"d-{n}"}) for n in range(20)]

    async def refused(token):
        with pytest.raises(TryRefreshToken):
            await front_end.backend.get_session_without_request_response(token)

    await asyncio.gather(*(refused(token) for token in made_up))
    for token in made_up:
        await refused(token)
    assert 2 == core.counts[KEYS]
    await manual_clock.advance(0.5)
    await refused(made_up[0])
    assert 3 == core.counts[KEYS]


async def test_a_cancelled_caller_takes_nobody_along(core, make_front_end):
    """Of those who wait for one fetch, one goes; the others get what they wait for."""
    known = await with_keys(make_front_end)
    core.rotate_keys()
    token = core.create_session("bob")["accessToken"]["token"]
    core.pause()
    get = known.backend.get_session_without_request_response
    first, second = (asyncio.ensure_future(get(token)) for _ in range(2))
    assert 200 == await known.use()

    first.cancel()
    core.resume()

    assert "bob" == (await second).user_id
    with pytest.raises(asyncio.CancelledError):
        await first
    assert 2 == core.counts[KEYS]


@VERSIONS
async def test_a_refresh_that_was_cancelled_can_be_made_again(core, make_front_end, version):
    """Whoever gave up waiting tries the same token again, and is no thief."""
    front_end = await with_keys(make_front_end, cdi_version=version)
    core.faults.add("/recipe/session/refresh", delay=60, committed=True)
    task = asyncio.ensure_future(front_end.refresh())
    while not core.counts["/recipe/session/refresh"]:  # noqa: ASYNC110 - the core sets no event
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 200 == await front_end.refresh()
    assert 200 == await front_end.use()


async def test_two_back_ends_never_meet(make_front_end, manual_clock, make_key):
    """Each has its own core, its own keys and its own settings."""
    async with SuperTokensCoreServer(clock=manual_clock, make_key=make_key) as other:
        ours = make_front_end(cdi_version="5.4")
        theirs = make_front_end(cdi_version="5.6", url=other.url, preset="v1")
        await ours.sign_in()
        await theirs.sign_in()
        assert (200, 200) == (await ours.use(), await theirs.use())
        # As where one application is mounted in another, and both have a middleware.
        shared = ours.exchange()
        await ours.backend.get_session(shared)
        with pytest.raises(TryRefreshToken):
            await theirs.backend.get_session(shared)
        ours.headers, theirs.headers = theirs.headers, ours.headers

        assert (401, 440) == (await ours.use(), await theirs.use())
        assert (401, 440) == (await ours.refresh(), await theirs.refresh())


async def test_closing_is_for_good(make_front_end, core):
    """Calls after it fail as if the core were away; twice is fine."""
    front_end = await with_keys(make_front_end)
    async with front_end.backend:
        pass
    await front_end.backend.aclose()

    assert 503 == await front_end.refresh()
    assert 1 == len(core.sessions)


async def test_closing_ends_what_is_under_way(make_front_end, core):
    """Those who wait for keys are told that there will be none."""
    front_end = await with_keys(make_front_end)
    core.rotate_keys()
    token = core.create_session("bob")["accessToken"]["token"]
    core.pause()
    task = asyncio.ensure_future(front_end.backend.get_session_without_request_response(token))
    while not core.counts[KEYS] > 1:  # noqa: ASYNC110 - the core sets no event
        await asyncio.sleep(0)

    await front_end.backend.aclose()

    with pytest.raises(CoreUnavailable):
        await task
    core.resume()


def test_one_loop_after_another(kept_port):
    """A back end that was used in one loop goes on in the next, with a core of either."""
    app = AppInfo("app", "http://127.0.0.1:1", "http://127.0.0.1:1")
    server = SuperTokensCoreServer(port=kept_port)
    backend: list[SuperTokensBackend] = []

    async def live(last):
        async with server:
            if not backend:
                backend.append(SuperTokensBackend(server.url, app=app))
            create = backend[0].create_new_session_without_request_response
            session = await create("ada")
            server.rotate_keys()
            token = server.create_session("bob")["accessToken"]["token"]
            get = backend[0].get_session_without_request_response
            assert "ada" == (await get(session.access_token)).user_id
            assert "bob" == (await get(token)).user_id
            if last:
                await backend[0].aclose()

    asyncio.run(live(last=False))
    asyncio.run(live(last=True))
