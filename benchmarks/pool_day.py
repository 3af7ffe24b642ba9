"""A day of very many sessions in one pool, in simulated time: `python benchmarks/pool_day.py`.

Users come, ask for their token now and then, and go. The auth server is away for an hour, later
for five minutes; and the process is started anew. What is real is the pool, its timers and its
queue; the server, the store and the time are in memory. Looked at is how evenly the server was
asked, whether anybody was signed out, and how long people waited.

tests/engine/test_pool_day.py lives through the same day with fewer sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import time
from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import attrs

from async_auth import (
    ManagerClosed,
    NetworkError,
    Request,
    Response,
    ServerUnavailable,
    Session,
    SessionPool,
    SignInRequired,
    TemporaryError,
)
from async_auth.errors import RefreshRejected
from async_auth.ports import Record
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock

HOUR = 3600.0
DAY = 24 * HOUR
OUTAGES = ((6 * HOUR, 7 * HOUR), (14 * HOUR, 14 * HOUR + 300.0))
RESTART = (20 * HOUR, 20 * HOUR + 30.0)
#: Peaks are looked for in windows of so many seconds: short enough that a server feels one whole,
#: and long enough that a handful of users who happen to come together is none.
WINDOW = 10.0


@attrs.frozen(kw_only=True)
class Plan:
    """
    The day.

    Args:
        sessions: How many users there are, each with one session in the store.
        life: Seconds that a token lasts.
        stays: Seconds that a user stays, on average (exponentially distributed).
        is_away: Seconds that a user is away in between, on average (the same).
        asks_every: Seconds between two calls of one who is there (half to one and a half of it).
        retries_after: Seconds after which one tries again who got a TemporaryError; sooner if
            that says so.
        loses_answers: Whether the first outage takes requests and gives no answer, so that each
            is sent once more; otherwise nothing can be connected.
        max_refresh_rate: See `SessionPool`.
        step: Seconds by which the time moves for the users. The pool's moments are met exactly.
        seed: Of all that is random.
    """

    sessions: int = 100_000
    life: float = HOUR
    stays: float = HOUR
    is_away: float = 2 * HOUR
    asks_every: float = 300.0
    retries_after: float = 60.0
    loses_answers: bool = False
    max_refresh_rate: float | None = None
    step: float = 0.5
    seed: int = 7


class TokenProvider:
    """Speaks with `AuthServer`: nothing but refresh tokens."""

    def refresh_request(self, session: Session, *, now: float) -> Request:
        """Send the refresh token as it is."""
        del now
        return Request("POST", "https://auth.test/", {}, str(session.refresh_token).encode())

    def parse_refresh(
        self, response: Response, session: Session, *, sent_at: float, now: float
    ) -> Session:
        """Read the next refresh token."""
        del session, now
        if response.status == 503:
            raise ServerUnavailable("away", status=503)
        if response.status != 200:
            raise RefreshRejected("used already", code="refresh_token_already_used", status=400)
        refresh, life = response.body.decode().split()
        return make_session(refresh, sent_at, float(life))

    def dump(self, session: Session) -> dict[str, Any]:
        """Keep what is not derived."""
        return {
            "refresh": session.refresh_token,
            "at": session.issued_at,
            "ends": session.expires_at,
        }

    def load(self, record: dict[str, Any]) -> Session:
        """Return the session."""
        return make_session(record["refresh"], record["at"], record["ends"] - record["at"])


def make_session(refresh: str, issued_at: float, life: float) -> Session:
    """Return a session with this refresh token."""
    return Session(
        access_token=f"access-{refresh}",
        refresh_token=refresh,
        issued_at=issued_at,
        expires_at=issued_at + life,
    )


class AuthServer:
    """
    Each refresh token may be spent once; as a transport.

    Args:
        clock: What time it is.
        plan: The day.
    """

    def __init__(self, clock: ManualClock, plan: Plan) -> None:
        self.clock = clock
        self.plan = plan
        self.start = clock.now()
        self.current = ["0"] * plan.sessions
        #: By step of the day: how many requests came.
        self.requests = [0] * (int(DAY / plan.step) + 1)
        self.refreshed = 0
        self.refused = 0

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Answer, or be away: not to be reached in the first outage, overloaded in the second."""
        del timeout
        elapsed = self.clock.now() - self.start
        self.requests[min(int(elapsed / self.plan.step), len(self.requests) - 1)] += 1
        (from_, until), (from_2, until_2) = OUTAGES
        if from_ <= elapsed < until:
            raise NetworkError("away", sent=self.plan.loses_answers)
        if from_2 <= elapsed < until_2:
            return Response(503, {}, b"")
        user, _, number = (request.body or b"").decode().partition(".")
        if self.current[int(user)] != number:
            self.refused += 1
            return Response(400, {}, b"")
        self.refreshed += 1
        self.current[int(user)] = str(int(number) + 1)
        return Response(200, {}, f"{user}.{int(number) + 1} {self.plan.life}".encode())


@attrs.define
class User:
    """
    Somebody with a session.

    Args:
        leaves_at: When this visit ends; in the past: away.
        fresh_until: Until when the token that was given last is good.
        wants_since: Since when a token was asked for and not given.
    """

    leaves_at: float = 0.0
    fresh_until: float = 0.0
    wants_since: float | None = None


@attrs.define
class Waits:
    """
    How long those waited in one part of the day who did not have a fresh token in memory.

    Args:
        seconds: Of each who got one, from the later of the wish and the end of the outage.
        gone: How many left before they got one.
        errors: How many TemporaryErrors there were.
    """

    seconds: array[float] = attrs.field(factory=lambda: array("d"))
    gone: int = 0
    errors: int = 0

    def percentile(self, share: float) -> float:
        """Return the wait that this share of them did not exceed; 0 without anybody."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


@attrs.frozen(kw_only=True)
class Found:
    """
    What came of the day.

    Args:
        plan: The day.
        requests: By step, how many requests the auth server got.
        refreshed: How many it granted.
        refused: How many refresh tokens it refused.
        signed_out: How many calls were told to sign in again.
        in_store: How many sessions were in the store at the end.
        in_memory: How many were in memory at most, looked at every ten minutes.
        waits: By part of the day.
        cpu: Seconds of CPU that the simulation took.
    """

    plan: Plan
    requests: Sequence[int]
    refreshed: int
    refused: int
    signed_out: int
    in_store: int
    in_memory: int
    waits: dict[str, Waits]
    cpu: float

    @property
    def mean(self) -> float:
        """Refreshes that were granted, per second; tries that failed do not raise it."""
        return self.refreshed / DAY

    def peak(self, window: float = WINDOW) -> float:
        """Return the most requests per second in any *window* seconds, failed ones included."""
        length = round(window / self.plan.step)
        sums = [0, *accumulate(self.requests)]
        return max(b - a for a, b in zip(sums, sums[length:], strict=False)) / window

    def rate(self, begin: float, end: float) -> float:
        """Return the requests per second in a part of the day."""
        part = self.requests[int(begin / self.plan.step) : int(end / self.plan.step)]
        return sum(part) / (end - begin)


class Day:
    """
    One run.

    Args:
        plan: The day.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)  # noqa: S311 - no secret, and the same each time
        self.clock = ManualClock()
        self.start = self.clock.now()
        self.server = AuthServer(self.clock, plan)
        self.store = MemoryStore()
        self.users = [User() for _ in range(plan.sessions)]
        self.diary: list[tuple[float, int]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.waits: defaultdict[str, Waits] = defaultdict(Waits)
        self.signed_out = 0
        self.in_memory = 0
        self.pool = self.make_pool()

    def make_pool(self) -> SessionPool:
        """Return a pool, as a process has it when it starts."""
        return SessionPool(
            TokenProvider(),
            store=self.store,
            transport=self.server,
            clock=self.clock,
            max_refresh_rate=self.plan.max_refresh_rate,
            random=self.random.random,
        )

    @property
    def elapsed(self) -> float:
        """Seconds since midnight."""
        return self.clock.now() - self.start

    async def live(self) -> Found:
        """Live through it."""
        began = time.process_time()
        await self.settle_in()
        await self.pool.start()
        begin, end = RESTART
        await self.run_to(begin)
        await self.patiently(self.pool.aclose())
        self.pool = self.make_pool()
        for user in self.users:
            user.fresh_until = 0.0
        await self.clock.advance(end - begin)
        await self.pool.start()
        await self.run_to(DAY)
        await self.patiently(self.pool.aclose())
        await asyncio.gather(*self.tasks)
        names = map(str, range(self.plan.sessions))
        return Found(
            plan=self.plan,
            requests=self.server.requests,
            refreshed=self.server.refreshed,
            refused=self.server.refused,
            signed_out=self.signed_out,
            in_store=sum([await self.store.load(name) is not None for name in names]),
            in_memory=self.in_memory,
            waits=dict(self.waits),
            cpu=time.process_time() - began,
        )

    async def settle_in(self) -> None:
        """Put every session into the store, and every user somewhere in their day."""
        plan, now, provider = self.plan, self.start, TokenProvider()
        there = plan.stays / (plan.stays + plan.is_away)
        for number, user in enumerate(self.users):
            session = make_session(f"{number}.0", now - self.random.random() * plan.life, plan.life)
            record = Record(generation=1, sign_in_id="first", session=provider.dump(session))
            await self.store.save(str(number), record, expected=0)
            if self.random.random() < there:
                user.leaves_at = now + self.random.expovariate(1 / plan.stays)
                first = self.random.random() * plan.asks_every
            else:
                first = self.random.expovariate(1 / plan.is_away)
            self.diary.append((now + first, number))
        heapq.heapify(self.diary)

    async def run_to(self, moment: float) -> None:
        """Let the day pass until then."""
        until, next_look = self.start + moment, 0.0
        while (now := self.clock.now()) < until:
            while self.diary and self.diary[0][0] <= now:
                _, number = heapq.heappop(self.diary)
                await self.meet(number)
            if now >= next_look:
                self.in_memory, next_look = max(self.in_memory, len(self.pool)), now + 600.0
            await self.clock.advance(self.next_step())

    def next_step(self) -> float:
        """Return how far to go: to the pool's next moment, if that comes before a whole step."""
        wake = self.clock.next_wake
        return self.plan.step if wake is None else min(max(wake, 0.001), self.plan.step)

    async def meet(self, number: int) -> None:
        """Let a user come, ask, or go."""
        user, now = self.users[number], self.clock.now()
        if 0.0 < user.leaves_at <= now:
            if user.wants_since is not None:
                self.waits[self.part_of(user.wants_since)].gone += 1
            user.leaves_at, user.wants_since = 0.0, None
            self.come_back(number, self.random.expovariate(1 / self.plan.is_away))
            return
        if not user.leaves_at:
            user.leaves_at = now + self.random.expovariate(1 / self.plan.stays)
        if now < user.fresh_until:
            # Surely at once: no task is needed for it, and no note.
            await self.pool.get_token(str(number))
            self.come_back(number, self.plan.asks_every * (0.5 + self.random.random()))
        else:
            task = asyncio.get_running_loop().create_task(self.ask(number))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def come_back(self, number: int, seconds: float) -> None:
        """Meet a user again in so many seconds."""
        heapq.heappush(self.diary, (self.clock.now() + seconds, number))

    async def ask(self, number: int) -> None:
        """Ask for a user's token, and note what came of it."""
        user, asked_at = self.users[number], self.clock.now()
        since = asked_at if user.wants_since is None else user.wants_since
        again = self.plan.asks_every * (0.5 + self.random.random())
        try:
            token = await self.pool.get_token(str(number))
        except TemporaryError as error:
            self.waits[self.part_of(self.clock.now())].errors += 1
            user.wants_since = since
            again = min(error.retry_after or self.plan.retries_after, self.plan.retries_after)
            again = max(again, 1.0)
        except ManagerClosed:
            user.wants_since = since
        except SignInRequired:
            self.signed_out += 1
        else:
            # Some seconds less, so that a call that is made meanwhile does not wait.
            user.fresh_until = (token.expires_at or 0.0) - 15.0
            user.wants_since = None
            self.note_wait(since)
        self.come_back(number, again)

    def note_wait(self, since: float) -> None:
        """Note that somebody was given a token who wanted it since then."""
        part, now = self.part_of(since), self.clock.now()
        for (_, until), name in zip(OUTAGES, ("first outage", "second outage"), strict=True):
            if part == name:
                since = max(since, self.start + until)
                if now < self.start + until:
                    return  # while it lasted, nobody waited for its end
        self.waits[part].seconds.append(now - since)

    def part_of(self, moment: float) -> str:
        """Return which part of the day this was: a wish in an outage is a matter of that."""
        elapsed = moment - self.start
        for (begin, end), name in zip(OUTAGES, ("first outage", "second outage"), strict=True):
            if begin <= elapsed < end:
                return name
            # What follows is its aftermath for as long as tokens from before it end.
            if end <= elapsed < end + self.plan.life:
                return f"the hour after the {name}"
        return "the rest of the day"

    async def patiently(self, work: Any) -> None:
        """Wait for *work* and let the time pass that it needs."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.clock.advance(self.next_step())
        await task


async def live(plan: Plan) -> Found:
    """Live through the day of this *plan*."""
    return await Day(plan).live()


def to_markdown(found: Found) -> str:
    """Return what was found as text."""
    plan, (begin, end), restarted = found.plan, OUTAGES[0], RESTART[1]
    peaks = ", ".join(
        f"{found.peak(window):.2f} ({found.peak(window) / found.mean:.2f} x the mean) in {name}"
        for window, name in (
            (WINDOW, f"any {WINDOW:g} s"),
            (60.0, "any minute"),
            (1.0, "any second"),
        )
    )
    lines = [
        f"{plan.sessions} sessions, tokens of {plan.life:g} s, at most {found.in_memory} in memory",
        "",
        f"- refreshes: {found.refreshed}, {found.mean:.2f} per second on average",
        f"- peak, requests per second: {peaks}",
        f"- during the hour's outage: {found.rate(begin, end):.2f} requests per second",
        f"- in the half hour after it: {found.rate(end, end + 1800.0):.2f}",
        f"- in the ten minutes after the restart: {found.rate(restarted, restarted + 600.0):.2f}",
        f"- refresh tokens refused: {found.refused}; calls told to sign in: {found.signed_out}",
        f"- in the store at the end: {found.in_store}",
        f"- CPU of the whole simulation: {found.cpu:.0f} s",
        "",
        "| who wanted a token in | got one | half within | 90 % | 99 % | all | left before | errors |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for part, waits in found.waits.items():
        shares = [f"{waits.percentile(share):.1f} s" for share in (0.5, 0.9, 0.99, 1.0)]
        row = [part, f"{len(waits.seconds)}", *shares, f"{waits.gone}", f"{waits.errors}"]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and live through the day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--life", type=float, default=HOUR, help="seconds that a token lasts")
    parser.add_argument("--stays", type=float, default=HOUR, help="seconds that a user stays")
    parser.add_argument("--away", type=float, default=2 * HOUR, help="and is away in between")
    parser.add_argument("--rate", type=float, help="refreshes per second at most")
    parser.add_argument(
        "--loses-answers",
        action="store_true",
        help="the first outage takes requests, and is silent",
    )
    options = parser.parse_args()
    plan = Plan(
        sessions=options.sessions,
        life=options.life,
        stays=options.stays,
        is_away=options.away,
        loses_answers=options.loses_answers,
        max_refresh_rate=options.rate,
    )
    print(to_markdown(asyncio.run(live(plan))))


if __name__ == "__main__":
    main()
