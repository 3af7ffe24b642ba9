"""A run: a Redis, the house, its guests, and somebody who takes notes.

It promises to end every process that it started, whatever happens, and to fail as soon as one of
them dies or says nothing any more. What was noted is judged at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
from accounts import everybody
from verdict import LEAST, Finding, Limit, Sample, judge

HERE = Path(__file__).parent
#: Seconds that a process may be silent for beyond its samples; a loaded machine is slow.
PATIENCE = 60.0
#: Seconds between two lines about each process.
SHOWN = 60.0
#: What comes and goes in a process of this size, and what a token life may leave behind.
COUNTS = {"tasks": Limit(floor=12), "fds": Limit(floor=12), "threads": Limit(floor=4)}
GUEST = {
    "rss": Limit(floor=6 << 20, per_life=32),
    "traced": Limit(floor=256 << 10, per_life=8),
    "objects": Limit(floor=1000, per_life=0.02),
    **COUNTS,
}
#: Its servers keep a row, and the refresh token, of each life, as they promise.
HOUSE = {"rss": Limit(floor=8 << 20, per_life=4096), **COUNTS}
REDIS = {"memory": Limit(floor=512 << 10, per_life=8), "clients": Limit(floor=12)}

#: Shorter runs are over before everything has its size: they show that all of this works, and would
#: find a flood. Nobody asks what it is that has grown: to look costs a second of each process.
LONG = 240.0

#: redis-py connects again before it says that a connection is lost; who closes meanwhile cancels
#: that, and asyncio's streams forget a connection whose making is cancelled in its last step.
UNCLOSED = "ignore:unclosed <StreamWriter:ResourceWarning"


class SoakFailure(Exception):
    """A process has died, or hangs."""


@attrs.frozen(kw_only=True)
class Plan:
    """
    What a run is asked for.

    Args:
        seconds: How long it is watched.
        guests: How many processes use the library.
        sessions: How many sessions the pool of each has.
        life: Seconds that an access token lives.
        seed: What is drawn from.
    """

    seconds: float
    guests: int = 2
    sessions: int = 16
    life: float = 2.0
    seed: int = 1

    @property
    def every(self) -> float:
        """Seconds between two samples: enough of them, and too few to be the load themselves."""
        return max(self.seconds / 150, 0.5)

    @property
    def warm_up(self) -> float:
        """Seconds until caches, threads and connections have reached their size."""
        return min(self.seconds / 3, 120.0)

    def lenient(self, limits: dict[str, Limit]) -> dict[str, Limit]:
        """Return the limits for a run of this length."""
        more = 1 if self.seconds >= LONG else 4
        return {
            name: attrs.evolve(limit, floor=limit.floor * more) for name, limit in limits.items()
        }


@attrs.define(eq=False, kw_only=True)
class Resident:
    """
    A process that tells of itself, as its parent sees it.

    Args:
        name: Which.
        process: It.
        stderr: What it has to say when something is wrong.
    """

    name: str
    process: asyncio.subprocess.Process
    stderr: Path
    samples: list[Sample] = attrs.field(factory=list)
    last: dict = attrs.field(factory=dict)
    cpu: float = 0.0

    async def hear(self, within: float) -> dict:
        """
        Return what it says next.

        Raises:
            SoakFailure: It says nothing in time, or has died.
        """
        try:
            async with asyncio.timeout(within):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise SoakFailure(
                f"{self.name} has said nothing for {within:g} s.{self.said}"
            ) from None
        if not line:
            raise SoakFailure(f"{self.name} has died ({await self.process.wait()}).{self.said}")
        self.last = json.loads(line)
        return self.last

    async def listen(self, began: float, every: float) -> None:
        """Take its samples down until it ends."""
        while "left" not in (told := await self.hear(every + PATIENCE)):
            at, values = time.monotonic() - began, told["values"]
            self.cpu = values.pop("cpu")
            self.samples.append(Sample(at=at, lives=told["lives"], values=values))

    def say(self, word: str) -> None:
        """Tell it something."""
        self.process.stdin.write(f"{word}\n".encode())

    @property
    def said(self) -> str:
        """The end of what it wrote to stderr."""
        text = self.stderr.read_text(errors="replace")[-6000:]
        return f"\n{text}" if text else ""


@attrs.frozen(kw_only=True)
class Found:
    """
    What came of a run.

    Args:
        seconds: How long it took.
        findings: By process.
        complaints: What is wrong, in words; none if all is well.
        counts: What happened, by process.
        lives: Token lives that the auth server has begun.
        cpu: Seconds of CPU, by process.
    """

    seconds: float
    findings: dict[str, list[Finding]]
    complaints: list[str]
    counts: dict[str, dict[str, int]]
    lives: int
    cpu: dict[str, float]


async def soak(plan: Plan) -> Found:
    """
    Return what came of a run.

    Raises:
        SoakFailure: It did not come to its end.
    """
    names = [f"guest{number}" for number in range(plan.guests)]
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_in(folder))
        common = {"every": plan.every, "life": plan.life, "sessions": plan.sessions}
        people = {"accounts": everybody(names, plan.sessions)}
        house = await stack.enter_async_context(
            resident("house", folder, {**common, **people, "seed": plan.seed})
        )
        places = (await house.hear(PATIENCE))["ready"]
        places |= {"redis": redis.url, "folder": str(folder / "sessions")}
        guests = [
            await stack.enter_async_context(
                resident(name, folder, {**common, **places, "name": name, "seed": plan.seed + n})
            )
            for n, name in enumerate(names)
        ]
        for guest in guests:
            await guest.hear(PATIENCE)
        residents = [house, *guests]
        return await watch(plan, residents, redis)


async def watch(plan: Plan, residents: list[Resident], redis: object) -> Found:
    """Let them be for as long as is planned, and judge what they were like."""
    began = time.monotonic()
    trouble = asyncio.create_task(annoy(redis, random.Random(plan.seed)))  # noqa: S311
    listening = [asyncio.create_task(one.listen(began, plan.every)) for one in residents]
    try:
        noted = await attend(plan, residents, redis, listening, began)
        # Guests first: nobody shall miss the house.
        for one, task in reversed(list(zip(residents, listening, strict=True))):
            one.say("end")
            await task
    finally:
        for task in (trouble, *listening):
            task.cancel()
        await asyncio.gather(trouble, *listening, return_exceptions=True)
    return judged(plan, residents, noted, time.monotonic() - began)


async def attend(
    plan: Plan,
    residents: list[Resident],
    redis: object,
    listening: list[asyncio.Task[None]],
    began: float,
) -> list[Sample]:
    """Look at Redis, show how all are, and return what was noted of Redis when it is time."""
    noted: list[Sample] = []
    marked, shown = plan.seconds < LONG, 0.0
    while True:
        done, _ = await asyncio.wait(listening, timeout=plan.every, return_when="FIRST_COMPLETED")
        for task in done:
            task.result()
        at = time.monotonic() - began
        noted.append(await asyncio.to_thread(look_at, redis, at, residents[0]))
        if not marked and at >= plan.warm_up:
            marked = True
            for one in residents:
                one.say("mark")
        if at - shown >= SHOWN:
            shown = at
            show(at, residents, noted[-1])
        late = at >= plan.seconds + PATIENCE
        if at >= plan.seconds and (late or all(enough(one, plan) for one in residents)):
            return noted


def enough(one: Resident, plan: Plan) -> bool:
    """Say whether there is something to judge by: a machine under load is slow."""
    settled = [sample for sample in one.samples if sample.at >= plan.warm_up]
    return len(settled) >= LEAST and settled[-1].lives >= LEAST


def judged(plan: Plan, residents: list[Resident], noted: list[Sample], seconds: float) -> Found:
    """Return what came of it."""
    findings, complaints = {}, []
    watched = [
        (one.name, one.samples, HOUSE if one.name == "house" else GUEST) for one in residents
    ]
    for name, samples, limits in (*watched, ("redis", noted, REDIS)):
        findings[name] = judge(samples, plan.lenient(limits), warm_up=plan.warm_up)
        complaints += [
            f"{name}: {one.name} has grown by {one.growth:.0f}, of {one.middle:.0f}; "
            f"up to {one.allowed:.0f} would be none."
            for one in findings[name]
            if not one.flat
        ]
    for one in residents:
        complaints += [f"{one.name}: {text} ({n})" for text, n in one.last["unexpected"].items()]
        complaints += [f"{one.name}: left after the end: {task}" for task in one.last["left"]]
        if one.said:
            complaints.append(f"{one.name} wrote to stderr:{one.said}")
        # Many sessions, each refreshed within two lives.
        if one.last["lives"] < (seconds / plan.life if plan.seconds >= LONG else LEAST):
            complaints.append(f"{one.name}: {one.last['lives']} lives are too few to tell.")
    if any(not one.flat for name in findings for one in findings[name]):
        complaints += [
            f"{one.name}, grown: {json.dumps(one.last['grown'], indent=1)}" for one in residents
        ]
    return Found(
        seconds=seconds,
        findings=findings,
        complaints=complaints,
        counts={one.name: one.last["counts"] for one in residents},
        lives=residents[0].last["lives"],
        cpu={one.name: one.cpu for one in residents},
    )


def show(at: float, residents: list[Resident], redis: Sample) -> None:
    """Print how they are, a line each."""
    for one in residents:
        if one.samples:
            sample = one.samples[-1]
            values = "  ".join(f"{name} {value:,.0f}" for name, value in sample.values.items())
            print(f"{at:6.0f} s  {one.name}: lives {sample.lives}  {values}  cpu {one.cpu:.0f} s")
    values = "  ".join(f"{name} {value:,.0f}" for name, value in redis.values.items())
    print(f"{at:6.0f} s  redis: {values}", flush=True)


# Redis.


@contextlib.contextmanager
def redis_in(folder: Path) -> Iterator[object]:
    """Run a Redis: with the class that starts it for the tests in the folder beside this one."""
    # Pytest has it for the conftests; nobody else has.
    sys.path.append(str(HERE.parents[1] / "helpers"))
    from redis_server import RedisServer, find_program

    program = find_program()
    if program is None:
        raise SoakFailure("There is no redis-server here: install one, or set REDIS_SERVER.")
    (folder / "redis").mkdir()
    server = RedisServer(program=program, folder=folder / "redis")
    try:
        server.start()
        yield server
    finally:
        server.close()


def look_at(redis: object, at: float, house: Resident) -> Sample:
    """Return what Redis says of itself."""
    found = {
        section: float(read_info(redis, section, word))
        for section, word in (("memory", "used_memory"), ("clients", "connected_clients"))
    }
    lives = house.samples[-1].lives if house.samples else 0
    return Sample(at=at, lives=lives, values=found)


def read_info(redis: object, section: str, word: str) -> str:
    """Return what Redis says of one thing; asked again where `annoy()` has cut the question off."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ConnectionError):
            said = redis.command("INFO", section)
            if found := re.search(rf"^{word}:(\d+)", said, re.MULTILINE):
                return found[1]
        if time.monotonic() > deadline:
            raise SoakFailure(f"Redis does not say its {word}.")


async def annoy(redis: object, draw: random.Random) -> None:
    """Cut connections to Redis, or let it answer nothing for a moment, every now and then."""
    annoyances = (
        ("CLIENT", "KILL", "TYPE", "pubsub"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("CLIENT", "PAUSE", "300", "ALL"),
    )
    while True:
        await asyncio.sleep(draw.uniform(5, 15))
        await asyncio.to_thread(redis.command, *draw.choice(annoyances))


# Processes.


@contextlib.asynccontextmanager
async def resident(name: str, folder: Path, options: dict):
    """Run a process; it is killed at the end, if it has not ended."""
    script = HERE / ("house.py" if name == "house" else "guest.py")
    path = folder / f"{name}.err"
    with path.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-W", UNCLOSED, str(script), json.dumps(options)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=1 << 20,
        )
    try:
        yield Resident(name=name, process=process, stderr=path)
    finally:
        process.stdin.close()
        if process.returncode is None:
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()
