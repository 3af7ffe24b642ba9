"""One of the processes of `processes.py`: `python processes_worker.py URL KIND PLACE`.

It says when it is ready, and then for each line that it gets wants the token once. Our clock goes
on by an hour each time, so that the token has expired; supabase_auth is given a session that is
about to expire. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from async_auth import SessionManager
from async_auth.clock import SystemClock
from async_auth.gotrue import Endpoint, GoTrueProvider
from async_auth.stores import FileStore, RedisStore

Ask = Callable[[], Awaitable[str]]


class LaterClock(SystemClock):
    """The system's clock, so many seconds on."""

    ahead = 0.0

    def now(self) -> float:
        """Return the unix time."""
        return super().now() + self.ahead


async def ours(stack: AsyncExitStack, url: str, kind: str, place: str) -> Ask:
    """Return our way: a manager on the store that all share."""
    store: Any = FileStore(place) if kind == "files" else RedisStore(place)
    if kind == "redis":
        await stack.enter_async_context(store)
    clock = LaterClock()
    manager = SessionManager(
        GoTrueProvider(Endpoint(url)), store=store, clock=clock, auto_refresh=False
    )
    await stack.enter_async_context(manager)
    await manager.get_token()

    async def ask() -> str:
        clock.ahead += 3600.0
        return (await manager.get_token()).value

    return ask


async def supabase_auth(stack: AsyncExitStack, url: str, file: Path) -> Ask:
    """Return supabase_auth's way: a client on the file that all share."""
    from supabase_auth import AsyncGoTrueClient, AsyncSupportedStorage

    class Storage(AsyncSupportedStorage):
        async def get_item(self, key: str) -> str | None:
            del key
            return file.read_text("utf-8") if file.exists() else None  # noqa: ASYNC240 - as small as it is

        async def set_item(self, key: str, value: str) -> None:
            del key
            file.write_text(value, "utf-8")  # noqa: ASYNC240 - as small as it is

        async def remove_item(self, key: str) -> None:
            """Leave it to the others."""

    client = AsyncGoTrueClient(url=url, storage=Storage(), auto_refresh_token=False)
    stack.push_async_callback(client.close)

    async def ask() -> str:
        session = await client.get_session()
        assert session is not None
        return session.access_token

    return ask


async def main() -> None:
    """Answer every line."""
    url, kind, place = sys.argv[1:]
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        try:
            way = supabase_auth(stack, url, Path(place)) if kind == "supabase_auth" else None
            ask = await (way or ours(stack, url, kind, place))
        except ModuleNotFoundError as error:
            print(json.dumps({"missing": error.name}), flush=True)
            return
        print(json.dumps({}), flush=True)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            try:
                token: str | None = await ask()
            except Exception:  # noqa: BLE001 - that it fails is what is measured
                token = None
            print(json.dumps({"token": token}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
