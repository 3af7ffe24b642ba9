"""What a session costs in Redis: operations, bytes on the wire, memory; and starting with many there.

A redis-server of our own on loopback (`redis_server.py`). Each row is one operation done again and
again, one after the other, by one process; commands are counted by MONITOR in a run of their own.
"""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import attrs
from harness import Aim, Report
from many_users import ManyUsers, first_answer, provider
from redis_server import BenchRedis, Usage, find_program, running

from async_auth import SessionManager, SessionPool
from async_auth.stores import RedisStore
from async_auth.stores.record_json import dump_record
from async_auth.stores.redis.names import Names

#: What one operation is, given its number.
Work = Callable[[int], Awaitable[Any]]
#: What keys are called in Redis, the prefix being the default one.
NAMES = Names("async_auth")
#: How often an operation is done while its commands are counted, at most.
COUNTED = 100
#: What the start-up may send at most.
HANDFUL = 10
HOUR = 3600.0
MIB = 1024 * 1024
COPY = """\
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('COPY', KEYS[1], ARGV[3] .. i .. ARGV[4])
end
"""


@attrs.frozen(kw_only=True)
class Cost:
    """
    What one operation costs.

    Args:
        seconds: Wall time, Redis and client together.
        cpu: Seconds of CPU of this process.
        usage: What Redis did for it.
        commands: What was sent to Redis, by name.
        inside: How many commands the scripts among them ran.
    """

    seconds: float
    cpu: float
    usage: Usage
    commands: dict[str, float]
    inside: float

    def facts(self) -> dict[str, str]:
        """Return the columns beside the time."""
        return {
            "sent to Redis": ", ".join(
                f"{name} {number:g}" if number != 1 else name
                for name, number in self.commands.items()
            ),
            "commands in scripts": f"{self.inside:g}",
            "bytes to Redis": f"{self.usage.received:.0f}",
            "bytes from Redis": f"{self.usage.sent:.0f}",
            "Redis CPU µs": f"{self.usage.cpu * 1e6:.0f}",
            "our CPU µs": f"{self.cpu * 1e6:.0f}",
        }


async def cost(redis: BenchRedis, work: Work, *, times: int) -> Cost:
    """Do *work* so many times, twice: for time and bytes, and for the commands."""
    await work(-1)
    look = await redis.look_costs()
    before, start, cpu = await redis.usage(), time.perf_counter(), time.process_time()
    for number in range(times):
        await work(number)
    seconds, cpu = (time.perf_counter() - start) / times, (time.process_time() - cpu) / times
    used = await redis.usage() - before - look
    counted = min(times, COUNTED)
    async with redis.counting() as counts:
        for number in range(counted):
            await work(number)
    inside = sum(number for name, number in counts.items() if name.startswith("script "))
    return Cost(
        seconds=seconds,
        cpu=cpu,
        usage=Usage(
            received=used.received / times,
            sent=used.sent / times,
            cpu=used.cpu / times,
            memory=used.memory / times,
        ),
        commands={
            name: number / counted
            for name, number in counts.items()
            if not name.startswith("script ")
        },
        inside=inside / counted,
    )


async def operations(redis: BenchRedis, users: ManyUsers, *, times: int) -> dict[str, Cost]:
    """Return what each of a store's calls costs."""
    record = users.record("one", ends_in=HOUR)
    async with RedisStore(redis.url) as store:

        async def hold(_: int) -> None:
            async with store.lock.hold("one"):
                pass

        async def save(number: int) -> None:
            await store.save("one", attrs.evolve(record, generation=number + 2), expected=None)

        async def load(_: int) -> None:
            await store.load("one")

        async def delete(number: int) -> None:
            await store.delete(f"gone-{number}", expected=None)

        return {
            "save": await cost(redis, save, times=times),
            "load": await cost(redis, load, times=times),
            "lock and let go": await cost(redis, hold, times=times),
            "delete (nothing there)": await cost(redis, delete, times=times),
        }


@asynccontextmanager
async def managers(redis: BenchRedis, users: ManyUsers, *, replicas: int) -> Any:
    """Give managers of one session, as so many replicas have it, none with a timer."""
    stores = [RedisStore(redis.url) for _ in range(replicas)]
    held = [
        SessionManager(provider(), store=store, transport=users, auto_refresh=False, key="one")
        for store in stores
    ]
    try:
        await held[0].adopt(users.session("one", ends_in=HOUR))
        for manager in held:
            await manager.get_token()
        yield held
    finally:
        for manager in held:
            await manager.aclose()
        for store in stores:
            await store.aclose()


async def refreshes(redis: BenchRedis, users: ManyUsers, *, times: int, replicas: int) -> Cost:
    """Return what a refresh costs where so many replicas have the session in memory."""
    async with managers(redis, users, replicas=replicas) as held:
        first, *others = held

        async def refresh(_: int) -> None:
            session = await first.refresh_session()
            for manager in others:
                # Adopted by the change stream: nobody asks for it.
                async with manager.events() as stream:
                    while manager.session.generation < session.generation:
                        await anext(stream)

        return await cost(redis, refresh, times=times)


async def first_uses(redis: BenchRedis, users: ManyUsers, *, times: int) -> Cost:
    """Return what it costs a pool to load a session whose token has ended, and to refresh it."""
    numbers = itertools.count()
    async with RedisStore(redis.url) as store:
        await store.save("late", users.record("late", ends_in=-1.0), expected=None)
        await fill(redis, "late", times + COUNTED + 1)
        async with SessionPool(
            provider(), store=store, transport=users, auto_refresh=False, max_refresh_rate=1e9
        ) as pool:

            async def use(_: int) -> None:
                token = await pool.get_token(f"late-{next(numbers)}")
                assert token.generation == 2

            return await cost(redis, use, times=times)


FOLLOWED = "a session that a replica follows"


async def memory(
    redis: BenchRedis, users: ManyUsers, *, sessions: int
) -> tuple[dict[str, float], float]:
    """Return the bytes of Redis for each of several things; and of a replica that follows one."""
    found = {}
    async with RedisStore(redis.url) as store:
        await store.save("user", users.record("user", ends_in=HOUR), expected=None)
        await store.load("user")
        before = await redis.usage()
        await fill(redis, "user", sessions)
        after = await redis.usage()
        found["a stored session"] = (after - before).memory / sessions
        found["a removed one, remembered for a week"] = await removed(redis, store, sessions // 10)
        watched = sessions // 10
        async with aclosing(store.changes()) as changes:
            before = await redis.usage()
            tracemalloc.start()
            for number in range(watched):
                changes.add(f"user-{number}")
            # Each is told of once, when it really is subscribed.
            for _ in range(watched):
                await anext(changes)
            after = await redis.usage()
            ours, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        found[FOLLOWED] = (after - before).memory / watched
    return found, ours / watched


async def fill(redis: BenchRedis, name: str, sessions: int) -> None:
    """Copy the session under *name* to `name-0`, `name-1` …, in the server itself."""
    head, tail = NAMES.session(f"{name}-@").split(b"@")
    for first in range(0, sessions, 1000):
        last = min(first + 999, sessions - 1)
        await redis.client.eval(COPY, 1, NAMES.session(name), first, last, head, tail)


async def removed(redis: BenchRedis, store: RedisStore, sessions: int) -> float:
    """Return the bytes of a session that was signed out."""
    for number in range(sessions):
        await redis.client.hset(NAMES.session(f"gone-{number}"), "generation", "1")
        await store.delete(f"gone-{number}", expected=None)
    before = await redis.usage()
    for number in range(sessions):
        await redis.client.delete(NAMES.session(f"gone-{number}"))
    return (before - await redis.usage()).memory / sessions


@attrs.frozen(kw_only=True)
class Start:
    """
    A pool's start before a Redis that has very many sessions.

    Args:
        seconds: From the constructor until it had handed out the first token.
        commands: What was sent to Redis meanwhile.
        memory: Bytes that this process holds for it, redis-py's connections among them.
    """

    seconds: float
    commands: Counter[str]
    memory: float


async def start(redis: BenchRedis, users: ManyUsers) -> Start:
    """Start a pool and ask it for one of the stored sessions."""
    async with RedisStore(redis.url) as store, redis.counting() as counts:
        # What redis-py and the engine import on first use is no cost of starting again.
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        began = time.perf_counter()
        async with SessionPool(provider(), store=store, transport=users) as pool:
            token = await pool.get_token("user-7")
            seconds = time.perf_counter() - began
            memory = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert token.generation == 1
            assert len(pool) == 1, "More than the session that was asked for was loaded."
    return Start(seconds=seconds, commands=counts, memory=memory)


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about half a minute."""
    program = find_program()
    if program is None:
        return [
            Report(
                name="redis_costs",
                about="There is no redis-server here; name one in REDIS_SERVER.",
                unit="µs",
                samples={},
                bases={},
            )
        ]
    times = 50 if quick else 2_000
    sessions = 1_000 if quick else 100_000
    users = ManyUsers(await first_answer())
    async with running(program) as redis:
        found = await operations(redis, users, times=times)
        found["SessionPool: a first use and a refresh"] = await first_uses(
            redis, users, times=times
        )
        for replicas, who in (
            (1, "SessionManager: refresh_session()"),
            (2, "the same, and another replica adopts it"),
        ):
            found[who] = await refreshes(redis, users, times=times, replicas=replicas)
        await redis.client.flushall()
        held, followed = await memory(redis, users, sessions=sessions)
        starts = [await start(redis, users) for _ in range(2 if quick else 6)][1:]
        at_rest = (await redis.usage()).memory
    record_size = len(dump_record(users.record("one", ends_in=HOUR)))
    begin = f"before {sessions} sessions"
    return [
        Report(
            name="redis_costs: operations",
            about=f"One after the other on loopback, {times} of each: wall time of both sides. The "
            f"record is GoTrue's, {record_size} bytes; a project with claims of its own has longer ones.",
            unit="µs",
            samples={who: [one.seconds] for who, one in found.items()},
            bases={},
            facts={who: one.facts() for who, one in found.items()},
        ),
        Report(
            name="redis_costs: memory of Redis",
            about=f"What Redis holds for each of {sessions} sessions (a tenth as many of the others).",
            unit="KiB",
            samples={who: [size] for who, size in held.items()},
            bases={},
            facts={
                "a stored session": {"in all MiB": f"{at_rest / MIB:.0f}"},
                FOLLOWED: {"KiB in the replica": f"{followed / 1024:.2f}"},
            },
        ),
        Report(
            name="redis_costs: start-up",
            about=f"A SessionPool starts where Redis has {sessions} sessions, and hands out the "
            "token of one of them: wall time, tracemalloc running.",
            unit="ms",
            samples={begin: [one.seconds for one in starts]},
            bases={},
            facts={
                begin: {
                    "sent to Redis": ", ".join(sorted(starts[0].commands)),
                    "KiB in this process": f"{starts[-1].memory / 1024:.0f}",
                }
            },
        ),
        Report(
            name="redis_costs: commands of a start",
            about="The same starts: how many commands each has sent.",
            unit="commands",
            samples={begin: [one.commands.total() for one in starts]},
            bases={},
            aims=[Aim(who=begin, at_most=HANDFUL)],
        ),
    ]
