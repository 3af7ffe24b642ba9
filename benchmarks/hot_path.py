"""What a token that is still fresh costs, per call.

Measured is CPU time, so that a busy neighbour on the machine does not count. The floor is the least
that a coroutine can do to be right: compare one attribute with the clock.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns
from node_peer import enter_node
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
MSAL = "msal acquire_token_for_client, from its cache"
AIOBOTOCORE = "aiobotocore get_frozen_credentials"
NODE_FLOOR = "floor in Node"
NODE = "auth-js getSession, in Node"
REMARK = (
    "What it does beyond the floor is to look at both ends of the time in which the token is good, "
    "for a clock may be set back; without that look a call would cost the floor."
)


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


def peer_turns(server: RotatingServer, stack: AsyncExitStack, *, calls: int) -> dict[str, Factory]:
    """Return the peers; *stack* ends those that are processes."""
    slow = calls // 10

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

        call = peers.azure_core(RotatingServer(delay=0.0))
        await call()
        return turn(call, calls=slow)

    async def msal_turn() -> Turn:
        import peers

        call = peers.msal()
        assert (await call())["access_token"] == "token"
        return turn(call, calls=slow)

    async def aiobotocore_turn() -> Turn:
        import peers

        return turn(peers.aiobotocore(server, expires_in=3600), calls=slow)

    async def node_turn(name: str) -> Turn:
        node = await enter_node(stack)

        async def take() -> float:
            found = await node.turn(name, calls)
            assert found["requests"] == 0, "A fresh token was refreshed: this is not the hot path."
            return float(found["seconds"])

        return take

    return {
        IN_MEMORY: in_memory_turn,
        STORED: stored_turn,
        AUTHLIB: authlib_turn,
        AZURE: azure_turn,
        MSAL: msal_turn,
        AIOBOTOCORE: aiobotocore_turn,
        NODE_FLOOR: functools.partial(node_turn, "floor"),
        NODE: functools.partial(node_turn, "fresh"),
    }


async def run(*, quick: bool) -> Report:
    """Measure; the full run takes about a quarter of a minute."""
    calls = 200 if quick else 20_000
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

    stack = AsyncExitStack()
    turns, skipped = await set_up(
        {
            FLOOR: floor_turn,
            TOKEN: token_turn,
            COUNTED: functools.partial(counted_turn, counted, calls=calls),
            SESSION: session_turn,
            LOCK: lock_turn,
            **peer_turns(server, stack, calls=calls),
        }
    )
    async with stack:
        samples = await take_turns(turns, rounds=2 if quick else 25)
    await manager.aclose()
    await counted.aclose()
    assert server.requests == 0, "A fresh token was refreshed: this is not the hot path."
    return Report(
        name="hot_path",
        about="A call for a token that is still fresh: CPU time. The floor compares with the clock.",
        unit="ns",
        samples=samples,
        bases={**dict.fromkeys(samples, FLOOR), NODE: NODE_FLOOR},
        aims=[Aim(who=TOKEN, at_most=2.0, base=FLOOR)],
        skipped=skipped,
        rows=[
            Row(
                title="`get_token()`, the token still fresh",
                who=TOKEN,
                base=FLOOR,
                at_most=2.0,
                peers={
                    IN_MEMORY: "supabase_auth, in memory",
                    STORED: "supabase_auth, stored",
                    AZURE: "azure-core",
                    NODE: "auth-js (Node)",
                    AIOBOTOCORE: "aiobotocore",
                    AUTHLIB: "Authlib",
                    MSAL: "msal",
                },
                remark=REMARK,
            )
        ],
    )
