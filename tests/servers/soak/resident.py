"""The frame of a process that is soaked: it does its work, tells of itself, and ends when told.

It reads words from stdin, a line each (`mark`: what has grown from now on; `end`), and writes JSON
to stdout, a line each: `{"ready": …}`, samples, and at the end what has grown and what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import attrs
from gauges import Ledger, measure


def say(**facts: object) -> None:
    """Tell the parent."""
    print(json.dumps(facts), flush=True)


@attrs.define(eq=False)
class Account:
    """
    What has happened in this process.

    Args:
        lives: Token lives that were seen to begin.
        counts: Everything else, by what it is.
        unexpected: What should not have happened.
    """

    lives: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)
    unexpected: Counter[str] = attrs.field(factory=Counter)

    def wrong(self, what: str, error: BaseException | None = None) -> None:
        """Note what should not have happened."""
        self.unexpected[what if error is None else f"{what}: {type(error).__name__}: {error}"] += 1


Work = Callable[[dict, Account], AbstractAsyncContextManager[object]]


async def words() -> AsyncIterator[str]:
    """Yield what the parent says; it ends with the parent."""
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while (line := (await reader.readline()).decode().strip()) not in {"", "end"}:
            yield line
    finally:
        pipe.close()


async def sampling(account: Account, every: float) -> None:
    """Tell of this process, again and again."""
    while True:
        say(
            lives=account.lives,
            values=measure(),
            counts=account.counts,
            unexpected=account.unexpected,
        )
        await asyncio.sleep(every)


async def reside(work: Work, options: dict) -> None:
    """Do *work*, which goes on while it is entered and says when it is ready, until told to end."""
    account, ledger = Account(), None
    async with work(options, account) as ready:
        say(ready=ready)
        sampler = asyncio.create_task(sampling(account, options["every"]))
        async with contextlib.aclosing(words()) as told:
            async for _ in told:
                ledger = Ledger()
        sampler.cancel()
        await asyncio.wait({sampler})
        # Before the ledger is asked, which holds what it counts.
        grown = {} if ledger is None else ledger.grown()
    say(
        left=await left(),
        grown=grown,
        lives=account.lives,
        counts=account.counts,
        unexpected=account.unexpected,
    )


async def left() -> list[str]:
    """Return the tasks that do not end; what was dropped a moment ago does so in a few turns."""
    deadline = asyncio.get_running_loop().time() + 60
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        if asyncio.get_running_loop().time() > deadline:
            break
        gc.collect()
        await asyncio.sleep(0.05)
    return [str(task) for task in others]


def main(work: Work) -> None:
    """Run *work* with the options of the command line."""
    tracemalloc.start()
    asyncio.run(reside(work, json.loads(sys.argv[1])))
