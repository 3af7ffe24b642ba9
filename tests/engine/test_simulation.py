"""A day of ten thousand sessions on one timer, in simulated time."""

from __future__ import annotations

import json
import os

import pytest

from async_auth import RefreshPolicy, Session, SessionManager, Status
from async_auth.engine.runtime import Runtime
from async_auth.ports import Record
from async_auth.stores import MemoryStore

#: `nox` lets one Python have all of them: nothing here depends on which (noxfile.py, THOROUGH).
SESSIONS = 1_000 if os.environ.get("ASYNC_AUTH_SAMPLE") == "1" else 10_000
LIFE = 4 * 3600.0
DAY = 24 * 3600.0


# Under load it takes longer than a hang is waited for.
@pytest.mark.timeout(300)
async def test_ten_thousand_sessions_stay_fresh_for_a_day_with_an_outage(
    clock, server, tiny_provider
):
    """No session is ever refreshed late but for the outage, after which all of them recover."""
    server.life = LIFE
    runtime = Runtime(clock=clock)
    provider, store, policy = tiny_provider(), MemoryStore(), RefreshPolicy()
    draws = iter(range(10**9))
    managers = []
    late: list[float] = []
    outage = (12 * 3600.0, 12 * 3600.0 + 600.0)
    start = clock.now()

    ends: dict[str, float] = {}

    class Watch:
        """Notes a refresh that comes after the end of the token it replaces."""

        requests = 0

        async def send(self, request, *, timeout):
            Watch.requests += 1
            elapsed = clock.now() - start
            end = ends.pop(request.body.decode(), None)
            if (
                end is not None
                and end <= clock.now()
                and not outage[0] <= elapsed < outage[1] + 120
            ):
                late.append(elapsed)
            response = await server.send(request, timeout=timeout)
            body = json.loads(response.body)
            ends[body["refresh"]] = clock.now() + body["life"]
            return response

    watch = Watch()
    for number in range(SESSIONS):
        clock_offset = number * LIFE / SESSIONS
        session = server.sign_in(f"account-{number}")
        # As they would be after a while: each somewhere in its token's life.
        session = _aged(session, clock_offset)
        ends[session.refresh_token] = session.expires_at
        await store.save(str(number), _record(provider, session), expected=None)
        manager = SessionManager(
            provider,
            store=store,
            policy=policy,
            transport=watch,
            clock=clock,
            key=str(number),
            random=lambda: (next(draws) * 0.618034) % 1.0,
            runtime=lambda: runtime,
        )
        await manager.start()
        managers.append(manager)
    server.requests = Discard()

    for until in (outage[0], outage[1], DAY):
        server.down = until == outage[1]
        await clock.run_to(start + until)

    assert [] == late
    assert {Status.FRESH, Status.DUE} >= {manager.status for manager in managers}
    # Every life costs one request; the outage's retries come on top.
    lives = DAY / LIFE
    assert SESSIONS * lives <= Watch.requests <= SESSIONS * (lives + 2)
    for manager in managers:
        await manager.aclose()
    await runtime.aclose()


class Discard(list):
    """Keeps nothing: a day's requests would fill the memory."""

    def append(self, _):
        """Forget it."""


def _aged(session, seconds):
    return Session(
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_at=session.expires_at - seconds,
        issued_at=session.issued_at - seconds,
    )


def _record(provider, session):
    return Record(generation=1, sign_in_id="first", session=provider.dump(session))
