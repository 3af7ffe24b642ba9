"""What very many sessions in one process cost in memory, each way in a process of its own.

`python pool_held.py SIDE SESSIONS` holds that many sessions in the way of that side, each with what
refreshes it ahead of its expiry, and prints as JSON the bytes per session (tracemalloc) and the
number of tasks. Everyone's values come out of JSON, each with strings of its own, as from Redis.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from many_users import EMAIL, LIFE, PASSWORD, ManyUsers, first_answer, provider

from async_auth import Session, SessionManager, SessionPool
from async_auth.ports import Record
from async_auth.stores import MemoryStore

#: Holds what it must for sessions numbered so.
Hold = Callable[[range], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Held:
    """
    What one side needed.

    Args:
        bytes: Per session.
        tasks: In all.
    """

    bytes: float
    tasks: int


class Records:
    """
    A store that holds nothing: it writes a user's record when it is asked for it.

    Args:
        users: The server.
        clock: What time it is.
    """

    def __init__(self, users: ManyUsers, *, now: float) -> None:
        self.lock = MemoryStore().lock
        record = users.record("@user", ends_in=LIFE)
        self._json = json.dumps(dict(record.session))
        self._sign_in_id = record.sign_in_id
        self._now = now

    async def load(self, key: str) -> Record:
        """Return the user's record; tokens end within the second half of their life from now."""
        session = json.loads(self._json.replace("@user", key))
        session["expires_at"] = self._now + LIFE / 2 + hash(key) % (LIFE // 2)
        session["issued_at"] = session["expires_at"] - LIFE
        return Record(
            generation=1, sign_in_id=self._sign_in_id[:-1] + str(len(key)), session=session
        )

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """Keep nothing."""

    async def delete(self, key: str, *, expected: int | None) -> None:
        """Nothing is here."""


@asynccontextmanager
async def values(_: ManyUsers, records: Records) -> AsyncIterator[Hold]:
    """Hold the sessions themselves, and nothing for them."""
    held: dict[str, Session] = {}
    reads = provider()

    async def hold(numbers: range) -> None:
        for number in numbers:
            record = await records.load(f"user-{number}")
            session = reads.load(dict(record.session))
            held[f"user-{number}"] = attrs.evolve(
                session, generation=1, sign_in_id=record.sign_in_id
            )

    yield hold


@asynccontextmanager
async def pool(users: ManyUsers, records: Records) -> AsyncIterator[Hold]:
    """Hold them in a pool, each used just now."""
    async with SessionPool(provider(), store=records, transport=users) as ours:

        async def hold(numbers: range) -> None:
            for number in numbers:
                await ours.get_token(f"user-{number}")

        yield hold


@asynccontextmanager
async def managers(users: ManyUsers, records: Records) -> AsyncIterator[Hold]:
    """Hold them in managers, one for each."""
    held: list[SessionManager] = []

    async def hold(numbers: range) -> None:
        for number in numbers:
            manager = SessionManager(
                provider(), store=records, transport=users, key=f"user-{number}"
            )
            await manager.get_token()
            held.append(manager)

    yield hold
    for manager in held:
        await manager.aclose()


@asynccontextmanager
async def tasks(users: ManyUsers, records: Records) -> AsyncIterator[Hold]:
    """Hold them with a task each, that sleeps until the token is due and then renews it."""
    held: dict[str, Session] = {}
    started: set[asyncio.Task[None]] = set()
    reads = provider()

    async def keep_fresh(key: str) -> None:
        while True:
            session = held[key]
            await asyncio.sleep((session.expires_at or 0.0) - 10 - time.time())
            sent_at = time.time()
            response = await users.send(reads.refresh_request(session, now=sent_at), timeout=15)
            held[key] = reads.parse_refresh(response, session, sent_at=sent_at, now=time.time())
            await records.save(key, await records.load(key), expected=None)

    async def hold(numbers: range) -> None:
        for number in numbers:
            key = f"user-{number}"
            record = await records.load(key)
            session = reads.load(dict(record.session))
            held[key] = attrs.evolve(session, generation=1, sign_in_id=record.sign_in_id)
            started.add(asyncio.create_task(keep_fresh(key)))
        await asyncio.sleep(0)

    yield hold
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)


@asynccontextmanager
async def supabase_auth(users: ManyUsers, _: Records) -> AsyncIterator[Hold]:
    """Hold them in clients of supabase_auth, which share their HTTP client; timers on."""
    import httpx
    from supabase_auth import AsyncGoTrueClient

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=users.body(b'{"refresh_token": "user.0"}'))

    clients: list[Any] = []
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))

    async def hold(numbers: range) -> None:
        for _ in numbers:
            client = AsyncGoTrueClient(url="http://127.0.0.1:9", http_client=http)
            await client.sign_in_with_password({"email": EMAIL, "password": PASSWORD})
            clients.append(client)

    yield hold
    for client in clients:
        client._refresh_token_timer.cancel()  # noqa: SLF001 - it has no way of its own
    await asyncio.sleep(0)
    await http.aclose()


@asynccontextmanager
async def supabase_values(users: ManyUsers, _: Records) -> AsyncIterator[Hold]:
    """Hold the sessions themselves as supabase_auth has them."""
    from supabase_auth.types import Session as TheirSession

    held: list[str] = []

    async def hold(numbers: range) -> None:
        for number in numbers:
            body = json.loads(users.body(b'{"refresh_token": "user-%d.0"}' % number))
            # It keeps them as text, in its storage.
            held.append(TheirSession.model_validate(body).model_dump_json())

    yield hold


SIDES = {
    "values": values,
    "supabase_values": supabase_values,
    "pool": pool,
    "managers": managers,
    "tasks": tasks,
    "supabase_auth": supabase_auth,
}


async def held_by(side: str, sessions: int) -> Held:
    """Return what a side needs, in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, side, str(sessions)), stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    if process.returncode:
        if b"ModuleNotFoundError" in err:
            raise ModuleNotFoundError(err.decode(), name=side)
        raise RuntimeError(err.decode())
    return Held(**json.loads(out))


async def measure(side: str, sessions: int) -> Held:
    """Hold them, and return what it needed."""
    users = ManyUsers(await first_answer())
    async with SIDES[side](users, Records(users, now=time.time())) as hold:
        # What is made once for all sessions is made now.
        await hold(range(1))
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await hold(range(1, sessions + 1))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # One is the benchmark's own.
        return Held(bytes=(after - before) / sessions, tasks=len(asyncio.all_tasks()) - 1)


if __name__ == "__main__":
    print(json.dumps(attrs.asdict(asyncio.run(measure(sys.argv[1], int(sys.argv[2]))))))
