"""What a token that is still fresh costs, per call.

Measured is CPU time, so that a busy neighbour on the machine does not count. The floor is the least
that a coroutine can do to be right: compare one attribute with the clock.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

from harness import Aim, Report, Turn, set_up, take_turns
from rotation import RotatingServer, signed_in_manager

from async_auth import SessionManager

FLOOR = "floor"
TOKEN = "async_auth get_token"
COUNTED = "async_auth get_token, instrumented"
SESSION = "async_auth get_session"
LOCK = "an asyncio.Lock that nobody holds"
IN_MEMORY = "supabase_auth get_session, in memory"
STORED = "supabase_auth get_session, stored"
AUTHLIB = "Authlib ensure_active_token"
AZURE = "azure-core on_request (sets the header)"


class Floor:
    """A token with an expiry."""

    def __init__(self) -> None:
        self.token = "token"
        self.until = time.time() + 3600

    async def get_token(self) -> str:
        """Return the token if it is fresh."""
        if time.time() < self.until:
            return self.token
        raise LookupError


def turn(call: Callable[[], Awaitable[Any]], *, calls: int) -> Turn:
    """Return a turn of *calls* calls, one after the other."""

    async def take() -> float:
        start = time.process_time()
        for _ in range(calls):
            await call()
        return (time.process_time() - start) / calls

    return take


async def counted_turn(manager: SessionManager, *, calls: int) -> Turn:
    """Return a turn of *calls* calls whose tokens are counted for OpenTelemetry."""
    from async_auth.integrations.opentelemetry import instrument

    instrument(manager)
    return turn(manager.get_token, calls=calls)


async def run(*, quick: bool) -> Report:
    """Measure; the full run takes about a quarter of a minute."""
    calls = 200 if quick else 20_000
    slow = calls // 10
    server = RotatingServer(delay=0.0)
    manager = await signed_in_manager(server, expires_in=3600)
    counted = await signed_in_manager(server, expires_in=3600)
    lock = asyncio.Lock()

    async def lock_turn() -> Turn:
        async def acquire() -> None:
            async with lock:
                pass

        return turn(acquire, calls=calls)

    async def floor_turn() -> Turn:
        return turn(Floor().get_token, calls=calls)

    async def token_turn() -> Turn:
        return turn(manager.get_token, calls=calls)

    async def session_turn() -> Turn:
        return turn(manager.get_session, calls=calls)

    async def in_memory_turn() -> Turn:
        import peers

        client = await peers.supabase_auth(server, expires_in=3600, stored=False)
        return turn(client.get_session, calls=calls)

    async def stored_turn() -> Turn:
        import peers

        client = await peers.supabase_auth(server, expires_in=3600, stored=True)
        return turn(client.get_session, calls=slow)

    async def authlib_turn() -> Turn:
        import peers

        client = peers.authlib(server, expires_in=3600)
        return turn(lambda: client.ensure_active_token(client.token), calls=slow)

    async def azure_turn() -> Turn:
        import peers

        return turn(peers.azure_core(), calls=slow)

    turns, skipped = await set_up(
        {
            FLOOR: floor_turn,
            TOKEN: token_turn,
            COUNTED: functools.partial(counted_turn, counted, calls=calls),
            SESSION: session_turn,
            LOCK: lock_turn,
            IN_MEMORY: in_memory_turn,
            STORED: stored_turn,
            AUTHLIB: authlib_turn,
            AZURE: azure_turn,
        }
    )
    samples = await take_turns(turns, rounds=2 if quick else 25)
    await manager.aclose()
    await counted.aclose()
    assert server.requests == 0, "A fresh token was refreshed: this is not the hot path."
    return Report(
        name="hot_path",
        about="A call for a token that is still fresh: CPU time. The floor compares with the clock.",
        unit="ns",
        samples=samples,
        bases=dict.fromkeys(samples, FLOOR),
        aims=[Aim(who=TOKEN, at_most=2.0, base=FLOOR)],
        skipped=skipped,
    )
