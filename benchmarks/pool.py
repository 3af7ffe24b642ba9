"""What very many sessions in one process cost: memory, the CPU of refreshing them ahead, a token.

Beside `SessionPool`: a task per session, which is what one writes first; and supabase_auth, a client
with a timer for each. Memory is measured in processes of their own (`pool_held.py`); time in this
one, on a clock that is moved by hand, with a server in memory that answers at once.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
from harness import OPTIONAL, Aim, Report, Row, take_turns
from many_users import LIFE
from pool_day import TokenProvider, make_session
from pool_held import Held, held_by

from async_auth import Request, Response, Session, SessionManager, SessionPool
from async_auth.clock import SystemClock
from async_auth.engine.scheduler import Scheduler
from async_auth.engine.turnstile import Turnstile
from async_auth.ports import Record
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock

POOL = "SessionPool"
MANAGERS = "a SessionManager per session"
TASKS = "a task per session"
SUPABASE = "supabase_auth, a client per session"
BY_TIMER, BY_HAND = "SessionPool, by its timer", "SessionPool, by hand"
TIMER_ALONE = "the timer alone (the difference)"
ALONE = "the scheduler and the queue, nothing else"
NAIVE = "a task per session, which sleeps"
FLOOR = "floor: a dictionary and the clock"
#: How many sessions a contender holds, if not as many as the others: they take too long.
FEWER = {SUPABASE: 2_000, MANAGERS: 10_000}
SIDES = {POOL: "pool", MANAGERS: "managers", TASKS: "tasks", SUPABASE: "supabase_auth"}
#: Within so many seconds all tokens come to their end.
SPREAD = 100.0
STEP = 0.25


async def memory(*, sessions: int) -> Report:
    """Return what a session takes beside its own values."""
    own = await held_by("values", sessions)
    theirs = 0.0
    held: dict[str, Held] = {}
    skipped: dict[str, str] = {}
    numbers = {who: min(FEWER.get(who, sessions), sessions) for who in SIDES}
    for who, side in SIDES.items():
        try:
            held[who] = await held_by(side, numbers[who])
            if who == SUPABASE:
                theirs = (await held_by("supabase_values", numbers[who])).bytes
        except ModuleNotFoundError:
            if side not in OPTIONAL:
                raise
            skipped[who] = side
    return Report(
        name="pool: memory",
        about=f"Bytes per session beside the session's own values ({own.bytes / 1024:.2f} KiB each, "
        f"{sessions} of them; supabase_auth's {theirs / 1024:.2f} KiB), by tracemalloc, each side in a "
        "process of its own. Each session is refreshed ahead of its expiry.",
        unit="KiB",
        samples={
            who: [found.bytes - (theirs if who == SUPABASE else own.bytes)]
            for who, found in held.items()
        },
        bases=dict.fromkeys(held, TASKS),
        facts={
            who: {"sessions": str(numbers[who]), "tasks": str(found.tasks)}
            for who, found in held.items()
        },
        aims=[Aim(who=POOL, at_most=1.5)],
        skipped=skipped,
        rows=[
            Row(
                title=f"Memory of each of {sessions} sessions, beside its own values",
                who=POOL,
                base=TASKS,
                peers={TASKS: "a task per session", SUPABASE: "supabase_auth, a client each"},
            )
        ],
    )


class Renewing:
    """
    A server in memory that renews everything at once, as our transport.

    It speaks as little as can be: differences between those who ask it shall not drown in JSON.
    """

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Answer with the next refresh token."""
        del timeout  # it always answers
        self.requests += 1
        user, _, number = (request.body or b"").decode().partition(".")
        return Response(200, {}, f"{user}.{int(number) + 1} {LIFE}".encode())


@attrs.define
class World:
    """
    A clock, a server and a store with sessions that all end within `SPREAD` seconds.

    Args:
        sessions: How many there are.
    """

    sessions: int
    clock: Any = attrs.field(factory=lambda: ManualClock(time.time()))
    store: MemoryStore = attrs.field(factory=MemoryStore)
    server: Renewing = attrs.field(factory=Renewing)

    @property
    def keys(self) -> Iterable[str]:
        """The names of the sessions."""
        return (f"user-{number}" for number in range(self.sessions))

    async def fill(self) -> None:
        """Put the sessions into the store; they end a quarter of a life from now, or soon after."""
        draw = random.Random(1)  # noqa: S311 - no secret, and the same each time
        for key in self.keys:
            ends_at = self.clock.now() + LIFE / 4 + draw.random() * SPREAD
            session = TokenProvider().dump(make_session(f"{key}.0", ends_at - LIFE, LIFE))
            stored = Record(generation=1, sign_in_id="0" * 32, session=session)
            await self.store.save(key, stored, expected=0)

    def pool(self, *, auto_refresh: bool) -> SessionPool:
        """Return a pool that nothing holds back."""
        return SessionPool(
            TokenProvider(),
            store=self.store,
            transport=self.server,
            clock=self.clock,
            auto_refresh=auto_refresh,
            max_refreshes=1_000_000,
            max_refresh_rate=1e9,
            active_for=LIFE,
            random=lambda: 0.0,
        )

    async def until_all_are_refreshed(self) -> float:
        """Let the time pass, and return the CPU seconds per session."""
        self.server.requests = 0
        await self.clock.advance(LIFE / 4 - 30.0)
        assert self.server.requests == 0, "A refresh came before its time."
        began = time.process_time()
        for _ in range(math.ceil((SPREAD + 40.0) / STEP)):
            await self.clock.advance(STEP)
        taken = time.process_time() - began
        assert self.server.requests == self.sessions, "Not each session was refreshed once."
        return taken / self.sessions


async def by_timer(world: World) -> float:
    """Let the pool's timer refresh everything."""
    async with world.pool(auto_refresh=True) as pool:
        for key in world.keys:
            await pool.get_token(key)
        return await world.until_all_are_refreshed()


async def by_hand(world: World) -> float:
    """Refresh everything by calls, the timer being off; the same time passes."""
    async with world.pool(auto_refresh=False) as pool:
        for key in world.keys:
            await pool.get_token(key)
        handles = [pool.session(key) for key in world.keys]
        world.server.requests = 0
        began = time.process_time()
        for handle in handles:
            await handle.refresh_session()
        taken = time.process_time() - began
        assert world.server.requests == world.sessions, "Not each session was refreshed once."
        return taken / world.sessions


async def by_tasks(world: World) -> float:
    """Let a task for each session do the same steps: no lock, no flight, nobody told."""
    reads, clock = TokenProvider(), world.clock
    held: dict[str, Session] = {}

    async def keep_fresh(key: str) -> None:
        while True:
            session = held[key]
            await clock.sleep((session.expires_at or 0.0) - 10.0 - clock.now())
            sent_at = clock.now()
            request = reads.refresh_request(session, now=sent_at)
            response = await world.server.send(request, timeout=15.0)
            session = reads.parse_refresh(response, session, sent_at=sent_at, now=clock.now())
            record = Record(generation=1, sign_in_id="0" * 32, session=reads.dump(session))
            await world.store.save(key, record, expected=None)
            held[key] = session

    for key in world.keys:
        record = await world.store.load(key)
        assert record is not None
        held[key] = reads.load(dict(record.session))
    tasks = [asyncio.create_task(keep_fresh(key)) for key in world.keys]
    await asyncio.sleep(0)
    try:
        return await world.until_all_are_refreshed()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def alone(world: World) -> float:
    """Let the scheduler and the queue call as often as a refresh would be due, and no more."""
    scheduler = Scheduler(world.clock)
    turnstile = Turnstile(
        limit=32, rate=lambda: 1e9, clock=world.clock, scheduler=lambda: scheduler
    )

    def due() -> None:
        turnstile.enter(begun, at=0.0, urgent=False)

    def begun() -> None:
        world.server.requests += 1
        turnstile.leave()

    draw = random.Random(1)  # noqa: S311 - no secret, and the same each time
    for _ in world.keys:
        scheduler.call_at(world.clock.now() + LIFE / 4 + draw.random() * SPREAD, due, spread=True)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    try:
        return await world.until_all_are_refreshed()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def scheduled(*, sessions: int, rounds: int) -> Report:
    """Return what a refresh costs that a timer starts."""

    def turn(way: Callable[[World], Awaitable[float]]) -> Callable[[], Awaitable[float]]:
        async def take() -> float:
            world = World(sessions)
            await world.fill()
            return await way(world)

        return take

    samples = await take_turns(
        {
            BY_TIMER: turn(by_timer),
            BY_HAND: turn(by_hand),
            ALONE: turn(alone),
            NAIVE: turn(by_tasks),
        },
        rounds=rounds,
    )
    # What else the machine does is only ever added: the least of the rounds has least of it.
    difference = min(samples[BY_TIMER]) - min(samples[BY_HAND])
    bases = dict.fromkeys(samples, BY_HAND)
    return Report(
        name="pool: scheduled refreshes",
        about=f"{sessions} sessions come to their end within {SPREAD:g} s: CPU time per refresh, "
        "the request, parsing and the store (in memory) included. By hand it is "
        "`session(key).refresh_session()`, one after the other; what the timer costs is the "
        "difference of the least that a round has found for each.",
        unit="µs",
        samples={**samples, TIMER_ALONE: [difference]},
        bases=bases,
        aims=[Aim(who=TIMER_ALONE, at_most=10.0), Aim(who=ALONE, at_most=10.0)],
        rows=[
            Row(
                title="A refresh by the pool's timer",
                who=BY_TIMER,
                base=BY_HAND,
                peers={NAIVE: "a task per session, which sleeps"},
                remark="A task per session holds no lock, takes no turn, tells nobody, and loses the "
                "token if it is cancelled. Doing without these would change it.",
            )
        ],
    )


async def handing_out(*, sessions: int, rounds: int) -> Report:
    """Return what a call for a fresh token costs among very many."""
    world = World(sessions, clock=SystemClock())
    await world.fill()
    calls = 200 if rounds < 5 else 20_000
    draw = random.Random(2)  # noqa: S311 - no secret, and the same each time
    chosen = [f"user-{draw.randrange(sessions)}" for _ in range(calls)]
    manager = SessionManager(
        TokenProvider(), store=world.store, transport=world.server, clock=world.clock, key="user-0"
    )
    ends = dict.fromkeys(world.keys, world.clock.now() + LIFE / 4)

    async def floor(key: str) -> str:
        if world.clock.now() < ends[key]:
            return key
        raise LookupError

    def turn(call: Callable[[str], Awaitable[Any]]) -> Callable[[], Awaitable[float]]:
        async def take() -> float:
            began = time.process_time()
            for key in chosen:
                await call(key)
            return (time.process_time() - began) / calls

        return take

    async with manager, world.pool(auto_refresh=True) as pool:
        for key in world.keys:
            await pool.get_token(key)
        samples = await take_turns(
            {
                FLOOR: turn(floor),
                "pool.get_token(key)": turn(pool.get_token),
                "pool.session(key).get_token()": turn(lambda key: pool.session(key).get_token()),
                "SessionManager.get_token()": turn(lambda _: manager.get_token()),
            },
            rounds=rounds,
        )
    return Report(
        name="pool: a fresh token",
        about=f"A call for a token that is still fresh, the key one of {sessions} by chance: CPU "
        "time.",
        unit="ns",
        samples=samples,
        bases=dict.fromkeys(samples, FLOOR),
    )


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about five minutes."""
    sessions = 500 if quick else 100_000
    return [
        await memory(sessions=sessions),
        await scheduled(sessions=500 if quick else 10_000, rounds=2 if quick else 9),
        await handing_out(sessions=sessions, rounds=2 if quick else 15),
    ]
