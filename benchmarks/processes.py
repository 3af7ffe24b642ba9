"""Eight processes on one session whose token has expired: how long until all have the new one.

The server answers in 50 ms, under strict rotation: the second request with one refresh token is
refused, and the session with it. The processes (`processes_worker.py`) are running and connected;
time counts from the word to all of them until the last one has its token. Ours share a folder, or
a Redis. supabase_auth's clients share a file as well, and know of no lock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import attrs
from aiohttp import ClientSession, web
from harness import Aim, Report, Row, Turn, set_up, take_turns
from redis_server import find_program, running
from rotation import RotatingServer, gotrue_session, new_session

from async_auth import SessionManager
from async_auth.gotrue import Endpoint, GoTrueProvider
from async_auth.ports import SessionStore
from async_auth.stores import FileStore, RedisStore

WORKER = Path(__file__).with_name("processes_worker.py")
DELAY = 0.05
LATENCY = "the server's latency"
ALONE = "one request, alone"
FILES, REDIS = "async_auth, a folder", "async_auth, Redis"
SUPABASE = "supabase_auth, a file"
REMARK = (
    "What is more than one request is the work of eight processes that share the processors: each "
    "is woken by the store's word as soon as the token is saved, looks at it, and hands it out; none "
    "waits for its next try for the lock. With as many processors as processes it is less; on two, "
    "fewer steps between the word and the token would change it."
)


@attrs.define
class Endpoints:
    """
    The token endpoint on loopback, and what it has been asked.

    Args:
        server: Answers refreshes.
        url: Where it is.
    """

    server: RotatingServer
    url: str = ""

    async def refresh(self, request: web.Request) -> web.Response:
        """Spend the refresh token of a request."""
        status, body = await self.server.refresh((await request.json())["refresh_token"])
        return web.json_response(body, status=status)


@attrs.define
class Crew:
    """
    Processes that have one session, and a count of what they met.

    Args:
        endpoints: Their server.
        workers: The processes.
        prepare: Called before each turn.
    """

    endpoints: Endpoints
    workers: list[asyncio.subprocess.Process]
    prepare: Callable[[int], None] = attrs.field(default=lambda _: None)
    turns: int = 0
    failed: int = 0
    requests: int = 0

    async def take(self) -> float:
        """Let all of them want the token, and return how long it takes until all have it."""
        self.turns += 1
        self.prepare(self.turns)
        before = self.endpoints.server.requests
        began = time.perf_counter()
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write(b"\n")
        answers = await asyncio.gather(*(answer(worker) for worker in self.workers))
        taken = time.perf_counter() - began
        self.requests += self.endpoints.server.requests - before
        self.failed += sum(not told["token"] for told in answers)
        tokens = {told["token"] for told in answers if told["token"]}
        assert len(tokens) <= 1 or self.failed, "They have different tokens."
        return taken

    def facts(self) -> dict[str, str]:
        """Return the averages of all turns."""
        return {
            "requests": f"{self.requests / self.turns:g}",
            "failed": f"{self.failed / self.turns:g}",
        }


async def answer(worker: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return what a process says next."""
    assert worker.stdout is not None
    line = await worker.stdout.readline()
    assert line, "A process has ended; its error is above."
    told: dict[str, Any] = json.loads(line)
    return told


async def serve(stack: AsyncExitStack) -> Endpoints:
    """Run a server of one session."""
    endpoints = Endpoints(RotatingServer(delay=DELAY))
    app = web.Application()
    app.router.add_post("/token", endpoints.refresh)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoints.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return endpoints


@attrs.define
class Contenders:
    """
    Those who take part.

    Args:
        stack: Ends them.
        folder: Where they may keep something.
        size: How many processes there are of each.
        crews: The processes, by contender.
    """

    stack: AsyncExitStack
    folder: Path
    size: int
    crews: dict[str, Crew] = attrs.field(factory=dict)

    async def latency(self) -> Turn:
        """Return what nobody can be faster than."""

        async def take() -> float:
            return DELAY

        return take

    async def alone(self) -> Turn:
        """Return the turn of one request by one process."""
        endpoints = await serve(self.stack)
        http = await self.stack.enter_async_context(ClientSession())

        async def take() -> float:
            began = time.perf_counter()
            sent = {"refresh_token": endpoints.server.current}
            async with http.post(f"{endpoints.url}/token", json=sent) as response:
                assert response.status == 200
                await response.read()
            return time.perf_counter() - began

        return take

    async def ours(self, who: str, kind: str, place: str, store: SessionStore) -> Turn:
        """Return our processes' turn, with a session in their store."""
        endpoints = await serve(self.stack)
        provider = GoTrueProvider(Endpoint(endpoints.url))
        async with SessionManager(provider, store=store, auto_refresh=False) as manager:
            await manager.adopt(gotrue_session(expires_in=1800))
        crew = self.crews[who] = await self.hire(endpoints, kind, place)
        return crew.take

    async def on_files(self) -> Turn:
        """Return the turn of our processes that share a folder."""
        place = self.folder / "ours"
        return await self.ours(FILES, "files", str(place), FileStore(place))

    async def on_redis(self) -> Turn:
        """Return the turn of our processes that share a Redis."""
        program = find_program()
        if program is None:
            raise ModuleNotFoundError(name="redis-server")
        redis = await self.stack.enter_async_context(running(program))
        store = await self.stack.enter_async_context(RedisStore(redis.url))
        return await self.ours(REDIS, "redis", redis.url, store)

    async def supabase_auth(self) -> Turn:
        """Return the turn of supabase_auth's clients that share a file."""
        endpoints = await serve(self.stack)
        file = self.folder / "supabase.json"
        crew = self.crews[SUPABASE] = await self.hire(endpoints, "supabase_auth", str(file))

        def sign_in(number: int) -> None:
            # The family of the turn before has been revoked.
            endpoints.server.current = f"new-{number}"
            session = new_session(endpoints.server.current, expires_in=5)
            file.write_text(json.dumps(session), "utf-8")

        crew.prepare = sign_in
        return crew.take

    async def hire(self, endpoints: Endpoints, *arguments: str) -> Crew:
        """Start processes, and wait until they are ready."""
        pipe = asyncio.subprocess.PIPE
        workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, str(WORKER), endpoints.url, *arguments), stdin=pipe, stdout=pipe
            )
            for _ in range(self.size)
        ]

        async def end() -> None:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.close()
            await asyncio.gather(*(worker.wait() for worker in workers))

        self.stack.push_async_callback(end)
        for worker in workers:
            told = await answer(worker)
            if "missing" in told:
                raise ModuleNotFoundError(name=told["missing"])
        return Crew(endpoints, workers)


async def run(*, quick: bool) -> Report:
    """Measure; the full run takes about half a minute."""
    size = 2 if quick else 8
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders = Contenders(stack, folder, size)
        turns, skipped = await set_up(
            {
                LATENCY: contenders.latency,
                ALONE: contenders.alone,
                FILES: contenders.on_files,
                REDIS: contenders.on_redis,
                SUPABASE: contenders.supabase_auth,
            }
        )
        samples = await take_turns(turns, rounds=2 if quick else 25)
    crews = contenders.crews
    for who in {FILES, REDIS} & set(samples):
        found = (crews[who].requests, crews[who].failed)
        assert found == (crews[who].turns, 0), f"{who}: {found}, not one request a turn."
    return Report(
        name="processes",
        about=f"{size} processes share a session whose token has expired; strict rotation, an answer "
        "takes 50 ms: wall time until all have the new token, or have failed.",
        unit="ms",
        samples=samples,
        bases=dict.fromkeys(samples, LATENCY),
        facts={who: crew.facts() for who, crew in crews.items()},
        aims=[Aim(who=who, at_most=1.3, base=LATENCY) for who in (FILES, REDIS)],
        skipped=skipped,
        rows=[
            Row(
                title=f"{size} processes find the token expired, {how}",
                who=who,
                base=LATENCY,
                at_most=1.3,
                peers={SUPABASE: f"supabase_auth ({size} requests, {size - 1} fail)"},
                remark=REMARK,
            )
            for who, how in ((FILES, "a folder"), (REDIS, "Redis"))
        ],
    )
