"""One process of the crew: a client of the shared session, tasks that want its token, a place to stop.

A script of its own. It reads commands from stdin and writes answers to stdout, a line of JSON each:

    {"do": "turn", "by": 3600, "stop_at": null}    the clock jumps, then every task asks for a token
    {"do": "work"} … {"do": "rest"}                tasks ask again and again until the second
    {"do": "pass", "by": 3300, "until": 2}         the clock jumps; it waits for that generation
    {"do": "end"}                                  close and exit

Where it is told to stop it says so, `{"at": "answered"}`, and stops itself with SIGSTOP: it can be
killed there, or woken as a machine is after a sleep. SIGUSR1 writes every task's stack to stderr.
Whoever is to end or to sleep has a short lease by then, `{"do": "turn", …, "lease": 1.0}`; as long
as it goes on, and for all others, there is no end of a lease by being slow.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

from async_auth import RefreshPolicy
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore, RedisStore
from async_auth.stores.redis.lock import RedisHold
from async_auth.transport import AiohttpTransport

#: Seconds between two questions of one task that works.
PAUSE = 0.3
#: A token is due so many seconds before its end: a clock that jumps comes to between the two.
MARGIN = 600.0
#: Where a process waits for an answer to its refresh when it is ended, and by the parent.
ASKING = ("lost on the way", "done by the server")


def say(**facts):
    """Tell the parent."""
    print(json.dumps(facts), flush=True)


class Stage:
    """Where this process stops itself, once, if it was told to; and with which lease."""

    def __init__(self):
        self.stop_at = None
        self.lease = None
        self.held = None

    async def reached(self, moment):
        """Stop here, if this is where."""
        if moment == self.stop_at:
            self.stop_at = None
            await self.shorten()
            say(at=moment)
            os.kill(os.getpid(), signal.SIGSTOP)

    async def asking(self):
        """Have the short lease from here, if this is where the parent ends it."""
        if self.stop_at in ASKING:
            await self.shorten()

    async def shorten(self):
        """Have that lease from now on, if Redis gave one."""
        if self.lease is not None and isinstance(self.held, RedisHold):
            shorten(self.held, self.lease)
            await self.held._renew()  # noqa: SLF001 - at once, not in its own time


class StagedLock:
    """A lock that knows the moment before it is taken, and who has it."""

    def __init__(self, lock, stage):
        self.lock = lock
        self.stage = stage

    @asynccontextmanager
    async def hold(self, key):
        """Hold the other lock."""
        await self.stage.reached("before the lock")
        hold = self.lock.hold(key)
        if self.stage.stop_at == "random" and isinstance(hold, RedisHold) and self.stage.lease:
            # It may be ended anywhere.
            shorten(hold, self.stage.lease)
        async with hold as held:
            self.stage.held = hold
            try:
                yield held
            finally:
                self.stage.held = None


class StagedTransport(AiohttpTransport):
    """A transport that knows the moments around a refresh."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    async def send(self, request, *, timeout):
        """Send it."""
        refreshing = "grant_type=refresh_token" in request.url
        if refreshing:
            await self.stage.reached("not sent yet")
            await self.stage.asking()
        response = await super().send(request, timeout=timeout)
        if refreshing:
            await self.stage.reached("answered")
        return response


def shorten(hold, lease):
    """Give a hold of a lock another lease, from its next renewal on."""
    hold._lease = lease  # noqa: SLF001 - nobody else changes one
    hold._milliseconds = str(round(lease * 1000))  # noqa: SLF001 - as above


def staged(kind, stage):
    """Return a class of stores that knows the moment after a save."""

    class StagedStore(kind):
        async def save(self, key, record, *, expected):
            await super().save(key, record, expected=expected)
            await stage.reached("saved")

    return StagedStore


def open_store(where, stage, **options):
    """Return the store that *where* names: a folder, or the URL of a Redis."""
    if "://" in where:
        return staged(RedisStore, stage)(where, **options)
    return staged(FileStore, stage)(where)


class Worker:
    """
    The client and its tasks.

    Args:
        auth: The client.
        tasks: How many want its token.
    """

    def __init__(self, auth, *, tasks):
        self.auth = auth
        self.tasks = tasks
        self.events = Counter()
        self.tokens = 0
        self.errors = Counter()
        self.generations = set()
        self.working = []

    async def listen(self):
        """Count what is told of the session."""
        async for event in self.auth.events():
            reason = getattr(event, "reason", None)
            self.events[event.name if reason is None else f"{event.name} {reason}"] += 1

    async def ask(self):
        """Ask for the token, as one task does."""
        try:
            token = await self.auth.get_token()
        except Exception as error:  # noqa: BLE001 - whatever it is, a task was told
            self.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            self.tokens += 1
            self.generations.add(token.generation)

    async def use(self):
        """Show the token to the server, which must take it."""
        try:
            await self.auth.get_user()
        except Exception as error:  # noqa: BLE001 - whatever it is, a task was told
            self.errors[f"get_user: {type(error).__name__}: {error}"] += 1

    async def keep_asking(self):
        """Ask again and again."""
        while True:
            await self.ask()
            await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    async def turn(self):
        """Let every task ask once, and show the server what they got."""
        self.generations = set()
        await asyncio.gather(*(self.ask() for _ in range(self.tasks)))
        if not self.errors:
            await self.use()
        self.report()

    async def wait(self, generation):
        """Wait until the timer, or another process's, has had that generation."""
        while (session := self.auth.session) is None or session.generation < generation:  # noqa: ASYNC110 - as callers see it
            await asyncio.sleep(0.01)
        self.generations = {session.generation}
        self.report()

    def work(self):
        """Let every task ask until `rest()`."""
        self.working = [asyncio.create_task(self.keep_asking()) for _ in range(self.tasks)]
        self.report()

    async def rest(self):
        """Send the tasks home."""
        for task in self.working:
            task.cancel()
        await asyncio.wait(self.working)
        await self.use()
        self.report()

    def report(self):
        """Tell the parent what came of it, since the last time."""
        say(
            generations=sorted(self.generations),
            tokens=self.tokens,
            errors=self.errors,
            events=self.events,
        )
        self.tokens, self.errors, self.events = 0, Counter(), Counter()


def show_tasks(*_):
    """Write every task's stack to stderr: where does it hang?"""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


async def commands():
    """Yield what the parent says; it ends with the parent."""
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while (line := await reader.readline()) and (command := json.loads(line))["do"] != "end":
            yield command
    finally:
        pipe.close()


async def main(options):
    """Do what the parent says."""
    from shifted_clock import ShiftedClock

    stage = Stage()
    clock = ShiftedClock(options["ahead"])
    patience = options["patience"]
    store = open_store(options["store"], stage, lease=options["lease"], timeout=patience)
    auth = GoTrueClient(
        options["url"],
        store=store,
        lock=StagedLock(store.lock, stage),
        transport=(transport := StagedTransport(stage)),
        clock=clock,
        policy=RefreshPolicy(request_timeout=60.0, margin=MARGIN),
        auto_refresh=options["auto_refresh"],
    )
    worker = Worker(auth, tasks=options["tasks"])
    async with auth:
        listening = asyncio.create_task(worker.listen())
        say(ready=os.getpid())
        async for command in commands():
            match command["do"]:
                case "turn":
                    stage.stop_at, stage.lease = command["stop_at"], command.get("lease")
                    clock.advance(command["by"])
                    await worker.turn()
                case "pass":
                    clock.advance(command["by"])
                    await worker.wait(command["until"])
                case "work":
                    worker.work()
                case "rest":
                    await worker.rest()
    await listening
    await transport.aclose()
    if isinstance(store, RedisStore):
        await store.aclose()


if __name__ == "__main__":
    # Pytest has it for the tests; nobody else has.
    sys.path.append(str(Path(__file__).parents[2] / "helpers"))
    signal.signal(signal.SIGUSR1, show_tasks)
    asyncio.run(main(json.loads(sys.argv[1])))
