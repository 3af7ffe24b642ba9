"""What it costs when everyone finds the token expired at once.

The server answers in 50 ms under strict rotation: the second request with one refresh token is
refused, and the session with it. It lives in this process, so that the wall time is 50 ms and what
the client adds. Correctness is asserted for those who promise it: one request, no failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
from harness import Aim, Report, Row, Turn, set_up, take_turns
from node_peer import enter_node
from rotation import PlainLock, RotatingServer, signed_in_manager
from supertokens_signed_in import signed_in_client

DELAY = 0.05
EXPIRED = -5.0
#: supabase_auth never gets through with more.
SMALL = 100
REMARK = (
    "Ten thousand tasks that wait for one bare future of asyncio's, and would all be cancelled with the "
    "first of them, cost three quarters of the plain lock: so much is asyncio's own. Node's promises cost "
    "less than its tasks, which no library on asyncio can change."
)


@attrs.define
class Herd:
    """
    Callers that come together, again and again; it keeps count of what they met.

    Args:
        size: How many there are.
        join: Makes a client with an expired session, and returns what each caller calls, and
            what closes the client.
    """

    size: int
    join: Callable[
        [RotatingServer],
        Awaitable[tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]],
    ]
    requests: int = 0
    failed: int = 0
    cpu: float = 0.0
    turns: int = 0

    async def take(self) -> float:
        """Let everyone call at once, and return how long it takes until all are served."""
        server = RotatingServer(delay=DELAY)
        call, close = await self.join(server)
        cpu, start = time.process_time(), time.perf_counter()
        answers = await asyncio.gather(*(call() for _ in range(self.size)), return_exceptions=True)
        taken = time.perf_counter() - start
        self.cpu += time.process_time() - cpu
        await close()
        self.turns += 1
        self.requests += server.requests
        self.failed += sum(isinstance(answer, BaseException) for answer in answers)
        return taken

    def facts(self) -> dict[str, str]:
        """Return the averages of all turns."""
        return {
            "CPU ms": f"{self.cpu / self.turns * 1e3:.0f}",
            "requests": f"{self.requests / self.turns:g}",
            "failed": f"{self.failed / self.turns:g}",
        }


async def nothing() -> None:
    """Close what needs no closing."""


async def join_ours(server: RotatingServer) -> Any:
    """Return our `get_token`."""
    manager = await signed_in_manager(server, expires_in=EXPIRED)
    return manager.get_token, manager.aclose


async def join_supertokens(server: RotatingServer) -> Any:
    """Return the `get_token` of our client of SuperTokens."""
    client = await signed_in_client(server, expires_in=EXPIRED)
    return client.get_token, client.aclose


async def join_lock(server: RotatingServer) -> Any:
    """Return the plain lock's `get_token`."""
    return PlainLock(server, expires_in=EXPIRED).get_token, nothing


async def join_authlib(server: RotatingServer) -> Any:
    """Return Authlib's look at the expiry, which refreshes."""
    import peers

    client = peers.authlib(server, expires_in=EXPIRED)
    return lambda: client.ensure_active_token(client.token), client.aclose


async def join_azure_core(server: RotatingServer) -> Any:
    """Return azure-core's policy, which has no token yet."""
    import peers

    return peers.azure_core(server), nothing


async def join_aiobotocore(server: RotatingServer) -> Any:
    """Return aiobotocore's look at its credentials, which have expired."""
    import peers

    return peers.aiobotocore(server, expires_in=EXPIRED), nothing


@attrs.define
class NodeHerd:
    """
    The same on Node, where auth-js, the callers and the server are in one process as well.

    Args:
        size: How many callers there are.
        stack: Ends Node.
    """

    size: int
    stack: AsyncExitStack
    found: list[dict[str, Any]] = attrs.field(factory=list)

    async def make(self) -> Turn:
        """Start Node, and return its turn."""
        node = await enter_node(self.stack)

        async def take() -> float:
            self.found.append(await node.turn("herd", self.size))
            return float(self.found[-1]["seconds"])

        return take

    def facts(self) -> dict[str, str]:
        """Return the averages of all turns."""
        return {
            name: f"{sum(found[name] for found in self.found) / len(self.found):g}"
            for name in ("requests", "failed")
        }


async def join_supabase_auth(server: RotatingServer) -> Any:
    """Return supabase_auth's `get_session`, its session within the margin of expiry."""
    import peers

    client = await peers.supabase_auth(server, expires_in=1, stored=True)
    return client.get_session, client.close


async def run(*, quick: bool) -> Report:
    """Measure; the full run takes about half a minute."""
    size = 1_000 if quick else 10_000
    ours, lock = f"async_auth, {size}", f"plain lock, {size}"
    supertokens = f"async_auth, SuperTokens, {size}"
    few_ours, few_lock = f"async_auth, {SMALL}", f"plain lock, {SMALL}"
    authlib, supabase = f"Authlib, {size}", f"supabase_auth, {SMALL}"
    azure, aiobotocore = f"azure-core, {size}", f"aiobotocore, {size}"
    auth_js = f"auth-js (Node), {size}"
    herds = {
        lock: Herd(size, join_lock),
        ours: Herd(size, join_ours),
        supertokens: Herd(size, join_supertokens),
        authlib: Herd(size, join_authlib),
        azure: Herd(size, join_azure_core),
        aiobotocore: Herd(size, join_aiobotocore),
        few_lock: Herd(SMALL, join_lock),
        few_ours: Herd(SMALL, join_ours),
        supabase: Herd(SMALL, join_supabase_auth),
    }

    def factory(herd: Herd) -> Callable[[], Awaitable[Turn]]:
        async def make() -> Turn:
            _, close = await herd.join(RotatingServer(delay=DELAY))  # is it installed?
            await close()
            return herd.take

        return make

    async with AsyncExitStack() as stack:
        on_node = NodeHerd(size, stack)
        turns, skipped = await set_up(
            {**{who: factory(herd) for who, herd in herds.items()}, auth_js: on_node.make}
        )
        samples = await take_turns(turns, rounds=2 if quick else 15)
    facts = {who: (on_node if who == auth_js else herds[who]).facts() for who in samples}
    for who in (ours, supertokens, lock, few_ours, few_lock):
        herd = herds[who]
        assert (herd.requests, herd.failed) == (herd.turns, 0), f"{who}: more than one request."
    few = (few_lock, few_ours, supabase)
    bases = {who: few_lock if who in few else lock for who in samples}
    return Report(
        name="herd",
        about="N callers find the token expired; strict rotation, an answer takes 50 ms: wall time. "
        "The plain lock looks, locks and looks again, as one would write by hand.",
        unit="ms",
        samples=samples,
        bases=bases,
        facts=facts,
        aims=[
            Aim(who=ours, at_most=1.15, base=lock),
            Aim(who=supertokens, at_most=1.15, base=lock),
            Aim(who=few_ours, at_most=1.15, base=few_lock),
        ],
        skipped=skipped,
        rows=[
            Row(
                title=f"{size} callers find the token expired",
                who=ours,
                base=lock,
                at_most=1.15,
                peers={
                    authlib: "Authlib",
                    auth_js: "auth-js (Node)",
                    azure: "azure-core",
                    aiobotocore: "aiobotocore",
                },
                remark=REMARK,
            ),
            Row(
                title=f"{SMALL} callers find the token expired",
                who=few_ours,
                base=few_lock,
                at_most=1.15,
                peers={supabase: f"supabase_auth ({SMALL} requests, {SMALL - 1} callers fail)"},
                remark=REMARK,
            ),
        ],
    )
