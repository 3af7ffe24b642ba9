"""The runs: an auth server, a store, a crew that shares one session, and trouble in every life.

A run fails (CrewFailure) as soon as a process hangs, dies by itself, or is left with another token
than the others. What is counted is judged by whoever asked for the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
from crew import PATIENCE, Crew, CrewFailure, Member
from figures import RULES, STAGED, Figures, Plan
from redis_server import RedisServer, find_program
from shifted_clock import ShiftedClock

from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore, RedisStore
from async_auth.testing import GoTrueServer

REFRESH = "/token?grant_type=refresh_token"
#: Seconds that a token lives where the parent says when it is over.
LIFE = 3600.0
#: … and how much of it passes until a timer goes off: workers refresh ten minutes before the end.
NEARLY = LIFE - 300.0
#: Seconds of the lock in Redis of those who go on: nobody loses it because the machine stood still.
LEASE = 60.0
#: A process that is killed anywhere is killed this many seconds after all were told, at most.
SOON = 0.1
#: What is only for a while: Redis was away, or another process holds the lock.
TEMPORARY = ("ServerUnavailable", "LockTimeout", "NetworkError")
ACCOUNT = {"email": "ann@example.com", "password": "secret-enough"}


async def run(plan: Plan) -> Figures:
    """
    Return what came of a run.

    Raises:
        CrewFailure: It did not come to its end.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    clock = ShiftedClock()
    life = LIFE if plan.timed is None else plan.timed
    with place(plan.store) as (where, redis):
        async with GoTrueServer(jwt_expiry=life, clock=clock, **RULES[plan.rules]) as server:
            options = {
                "url": server.url,
                "store": where,
                "lease": plan.lease if plan.trouble in {"restart", "pause"} else LEASE,
                "patience": plan.patience,
                "tasks": plan.tasks,
                "auto_refresh": plan.timers or plan.timed is not None,
            }
            await sign_in(server, where, clock)
            async with Crew(options=options, size=plan.processes) as crew:
                this = Run(plan=plan, server=server, clock=clock, crew=crew, redis=redis)
                this.where = where
                if plan.timers:
                    await this.by_the_timers()
                else:
                    await (this.by_the_word() if plan.timed is None else this.by_the_clock())
                await crew.end(quiet=plan.trouble in {"none", "kill"})
            this.figures.refreshes = server.issued
            this.figures.requests = server.counts[REFRESH]
            if plan.timed is not None:
                # Not before: a timer may have gone off until then.
                this.figures.lives = server.issued
    this.figures.seconds = loop.time() - began
    return this.figures


@contextlib.contextmanager
def place(store: str) -> Iterator[tuple[str, object]]:
    """Give a folder, or the URL of a Redis and the server that it is."""
    with tempfile.TemporaryDirectory() as folder:
        if store == "files":
            yield folder, None
            return
        program = find_program()
        if program is None:
            raise CrewFailure("There is no redis-server here: install one, or set REDIS_SERVER.")
        server = RedisServer(program=program, folder=Path(folder))
        try:
            server.start()
            yield server.url, server
        finally:
            server.close()


async def sign_in(server: GoTrueServer, where: str, clock: ShiftedClock) -> None:
    """Put a new session into the store."""
    async with contextlib.AsyncExitStack() as stack:
        if "://" in where:
            store = await stack.enter_async_context(RedisStore(where, timeout=PATIENCE))
        else:
            store = FileStore(where)
        auth = GoTrueClient(server.url, store=store, clock=clock, auto_refresh=False)
        await stack.enter_async_context(auth)
        if server.counts["/signup"]:
            await auth.sign_in_with_password(**ACCOUNT)
        else:
            await auth.sign_up(**ACCOUNT)


@attrs.define(eq=False, kw_only=True)
class Run:
    """One run under way."""

    plan: Plan
    server: GoTrueServer
    clock: ShiftedClock
    crew: Crew
    redis: object
    where: str = ""
    figures: Figures = attrs.field(factory=Figures)
    draw: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Seeded, so that a run that failed can be had again; no secret comes of it.
        self.draw = random.Random(self.plan.seed)  # noqa: S311

    # Lives that end at our word.

    async def by_the_word(self) -> None:
        """Let one token after the other expire, for everybody at once."""
        troubles = {
            "none": self._untroubled,
            "kill": self._with_a_death,
            "freeze": self._with_a_sleeper,
            "restart": self._with_redis_in_trouble,
            "pause": self._with_redis_in_trouble,
        }
        for number in range(self.plan.lives):
            moments = self.plan.moments
            moment = moments[number] if number < len(moments) else self.draw.choice(moments)
            self._next_life()
            await troubles[self.plan.trouble](moment)

    async def _untroubled(self, _: str) -> None:
        self._turn(*self.crew.members)
        self._agree(await self._reports(self.crew.members))

    async def _with_a_death(self, moment: str) -> None:
        victim = self.draw.choice(self.crew.members)
        others = [member for member in self.crew.members if member is not victim]
        if moment == "idle":
            await self.crew.remove(victim)
        else:
            await self._bring(victim, moment)
        self._turn(*others)
        if moment == "random":
            await asyncio.sleep(self.draw.uniform(0, SOON))
        began = asyncio.get_running_loop().time()
        if moment != "idle":
            await self.crew.remove(victim)
        # A fresh one starts in its place while the others find out.
        async with asyncio.TaskGroup() as group:
            group.create_task(self.crew.fill(ahead=self.clock.ahead))
            reports = await self._reports(others)
            took = asyncio.get_running_loop().time() - began
        self._turn(self.crew.members[-1], by=0)
        reports += await self._reports(self.crew.members[-1:])
        self.figures.troubles[moment] += 1
        if signed_out(reports):
            await self._begin_anew(moment)
        else:
            self.figures.slowest = max(self.figures.slowest, took)
            self._agree(reports)

    async def _bring(self, victim: Member, moment: str) -> None:
        """Let one process go ahead of the others, to the moment where it is to end."""
        seen = self.server.counts[REFRESH]
        if moment == "lost on the way":
            self.server.faults.add(REFRESH, delay=LIFE, drop="before")
        elif moment == "done by the server":
            self.server.faults.add(REFRESH, delay=LIFE, committed=True)
        # Where Redis fails everybody has a short lease.
        lease = self.plan.lease if self.plan.trouble in {"kill", "freeze"} else None
        victim.say(do="turn", by=LIFE, stop_at=moment, lease=lease)
        if moment in STAGED:
            if (await victim.hear()).get("at") != moment:
                raise CrewFailure(f"It has not come to where it is {moment}.")
            await victim.stopped()
        elif moment != "random":
            async with asyncio.timeout(PATIENCE):
                while self.server.counts[REFRESH] == seen:  # noqa: ASYNC110 - it rings no bell
                    await asyncio.sleep(0.002)

    async def _with_a_sleeper(self, moment: str) -> None:
        victim = self.draw.choice(self.crew.members)
        others = [member for member in self.crew.members if member is not victim]
        await self._bring(victim, moment)
        self._turn(*others)
        if moment == "random":
            await asyncio.sleep(self.draw.uniform(0, SOON))
            victim.process.send_signal(signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        reports = await self._reports(others)
        if signed_out(reports):
            self.figures.troubles[moment] += 1
            await self._begin_anew(moment)
            return
        self._count(moment, began)
        for _ in range(self.plan.sleep - 1):
            self._next_life()
            self._turn(*others)
            reports = await self._reports(others)
        before = self._agree(reports)
        victim.wake()
        reports += await self._reports([victim])
        if not signed_out(reports):
            self._agree(reports)
        # Whatever it has done so late, the next life begins with what the others have.
        self._next_life()
        self._turn(victim, by=LIFE * self.plan.sleep)
        self._turn(*others)
        reports = await self._reports([victim, *others])
        if signed_out(reports):
            await self._begin_anew(moment)
        elif self._agree(reports)["generations"] != [before["generations"][0] + 1]:
            raise CrewFailure(f"Woken where it was {moment}, it has put an older token back.")

    async def _with_redis_in_trouble(self, moment: str) -> None:
        loop = asyncio.get_running_loop()
        one = self.draw.choice(self.crew.members)
        await self._bring(one, moment)
        self._turn(*(member for member in self.crew.members if member is not one))
        if moment == "random":
            await asyncio.sleep(self.draw.uniform(0, SOON))
        began = loop.time()
        if self.plan.trouble == "pause":
            milliseconds = round(self.plan.pause * 1000)
            await asyncio.to_thread(self.redis.command, "CLIENT", "PAUSE", f"{milliseconds}", "ALL")
        else:
            await asyncio.to_thread(self.redis.stop)
            await asyncio.to_thread(self.redis.start)
        one.wake()
        reports = await self._reports(self.crew.members)
        async with asyncio.timeout(PATIENCE):
            # A Redis that was empty had no lock either: two may have refreshed.
            while any(report["errors"] for report in reports) or not alike(reports):
                self._temporary(reports)
                await asyncio.sleep(0.2)
                self._turn(*self.crew.members, by=0)
                reports = await self._reports(self.crew.members)
        self._count(moment, began)
        self._agree(reports)
        if self.plan.trouble == "pause":
            # It may not have been needed all that time; the next life has a pause of its own.
            await asyncio.sleep(max(0.0, began + self.plan.pause - loop.time()))

    def _next_life(self) -> None:
        self.clock.advance(LIFE)
        self.figures.lives += 1

    def _turn(self, *members: Member, by: float = LIFE) -> None:
        for member in members:
            member.say(do="turn", by=by, stop_at=None)

    async def _reports(self, members: list[Member]) -> list[dict]:
        reports = [await member.hear() for member in members]
        for report in reports:
            self.figures.tokens += report["tokens"]
            self.figures.errors.update(
                {error.partition(":")[0]: count for error, count in report["errors"].items()}
            )
        return reports

    def _count(self, moment: str, began: float) -> None:
        took = asyncio.get_running_loop().time() - began
        self.figures.troubles[moment] += 1
        self.figures.slowest = max(self.figures.slowest, took)

    async def _begin_anew(self, moment: str) -> None:
        self.figures.sign_outs[moment] += 1
        for member in list(self.crew.members):
            await self.crew.remove(member)
        await sign_in(self.server, self.where, self.clock)
        await self.crew.fill(ahead=self.clock.ahead)

    def _agree(self, reports: list[dict]) -> dict:
        """Return one of the reports, if nobody was refused and all have the same token."""
        wrong = signed_out(reports) or any(report["errors"] for report in reports)
        if wrong or not alike(reports):
            raise CrewFailure(f"They do not agree in life {self.figures.lives}: {reports}")
        return reports[0]

    def _temporary(self, reports: list[dict]) -> None:
        for report in reports:
            for error in report["errors"]:
                if not error.removeprefix("get_user: ").startswith(TEMPORARY):
                    raise CrewFailure(f"This is not temporary: {reports}")

    # Lives that do not come to their end.

    async def by_the_timers(self) -> None:
        """Let every process's timer go off at the same moment, life after life, while all ask."""
        for member in self.crew.members:
            member.say(do="work")
        await self._reports(self.crew.members)
        for life in range(self.plan.lives):
            self.clock.advance(NEARLY)
            self.figures.lives += 1
            for member in self.crew.members:
                # The first generation came of the sign-in.
                member.say(do="pass", by=NEARLY, until=life + 2)
            self._agree(await self._reports(self.crew.members))
        for member in self.crew.members:
            member.say(do="rest")
        for report in await self._reports(self.crew.members):
            if report["errors"] or signed_out([report]):
                raise CrewFailure(f"Somebody was refused: {report}")

    # Lives that end by the clock.

    async def by_the_clock(self) -> None:
        """Let all ask all the time while their timers refresh."""
        loop, plan = asyncio.get_running_loop(), self.plan
        for member in self.crew.members:
            member.say(do="work")
        await self._reports(self.crew.members)
        began = loop.time()
        until = began + PATIENCE + 3 * plan.timed * plan.lives
        while self.server.issued < plan.lives and loop.time() < until:
            if plan.trouble == "kill":
                await asyncio.sleep(self.draw.uniform(0, 2 * plan.timed))
                await self._replace_one()
            else:
                await asyncio.sleep(0.1)
        for member in self.crew.members:
            member.say(do="rest")
        reports = await self._reports(self.crew.members)
        if any(report["errors"] for report in reports) or signed_out(reports):
            said = "\n".join(member.last for member in self.crew.members)
            raise CrewFailure(f"Somebody was refused: {reports}\n{said}")
        if self.server.issued < plan.lives:
            raise CrewFailure(f"They stopped refreshing: {dict(self.server.counts)}, {reports}")
        if self.server.issued > (loop.time() - began) / (plan.timed / 2) + 1:
            raise CrewFailure(f"{self.server.issued} refreshes came too soon.")

    async def _replace_one(self) -> None:
        await self.crew.remove(self.draw.choice(self.crew.members))
        self.figures.troubles["random"] += 1
        await self.crew.fill(ahead=self.clock.ahead)
        new = self.crew.members[-1]
        new.say(do="work")
        await self._reports([new])


def alike(reports: list[dict]) -> bool:
    """Say whether every task was given the same generation."""
    return len({tuple(report["generations"]) for report in reports}) == 1 and all(
        len(report["generations"]) == 1 for report in reports
    )


def signed_out(reports: list[dict]) -> bool:
    """Say whether the session has ended for somebody."""
    return any(name.startswith("SIGNED_OUT") for report in reports for name in report["events"])
