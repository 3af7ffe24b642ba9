"""What it costs a back end to verify a session and to refresh one, beside supertokens-python.

The core is another process (`supertokens_core.py`), so its work is charged to nobody; both sides
speak the same version to it. Verifying asks nobody, so what counts is CPU time. A refresh waits
for the core, so it has two tables: wall time, and the CPU time of the back end alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any

import attrs
from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns
from supertokens_core import REFRESH, Core, supertokens_core
from supertokens_held import bytes_held
from supertokens_sides import Ours, Side, SupertokensPython

OURS, THEIRS = "async_auth", "supertokens-python"
#: supertokens-python as it would be with one repair; see `refresh_with_tls_kept()`.
REPAIRED = "supertokens-python, TLS context kept"
#: What we want to cost at most, of supertokens-python: 5 times as many verified, 3 times as many
#: refreshed in the same time.
VERIFY_AT_MOST, REFRESH_AT_MOST = 0.2, 0.333

REMARK = (
    "Checking the RSA signature alone takes half of what the aim leaves for everything, on either "
    "side; a core that signs with another algorithm would change that."
)


@attrs.frozen(kw_only=True)
class Size:
    """How much is done; see `QUICK` and `FULL`."""

    in_flight: Sequence[int]
    sessions: int
    calls: int
    verify_rounds: int
    refreshes: int
    refresh_rounds: int
    held: int


QUICK = Size(
    in_flight=(1, 4),
    sessions=50,
    calls=50,
    verify_rounds=2,
    refreshes=4,
    refresh_rounds=2,
    held=100,
)
FULL = Size(
    in_flight=(1, 10, 50),
    sessions=1000,
    calls=2000,
    verify_rounds=25,
    refreshes=20,
    refresh_rounds=5,
    held=10_000,
)


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about three minutes, most of them theirs."""
    size = QUICK if quick else FULL
    most = max(size.in_flight)
    async with supertokens_core(sessions=max(size.held, 3 * most)) as core:
        # In globals, so there can be one.
        theirs = cache(lambda: SupertokensPython(core.url))
        reports = [
            await run_verify(core, theirs, size),
            await run_verify_otherwise(core, theirs, size),
        ]
        ours = Ours(core.url)
        working = {
            who: core.refresh_tokens[first * most : (first + 1) * most]
            for first, who in enumerate((OURS, THEIRS, REPAIRED))
        }
        reports += await run_refresh("a working core", ours, theirs, working, size)
        await ours.aclose()

        def theirs_prepared() -> SupertokensPython:
            theirs().refresh_at = core.prepared
            return theirs()

        ours = Ours(core.prepared)
        any_tokens = dict.fromkeys(working, core.refresh_tokens[:most])
        reports += await run_refresh("prepared answers", ours, theirs_prepared, any_tokens, size)
        await ours.aclose()
        reports.append(await run_held(core, theirs, size))
    refreshed = core.counts.get(REFRESH, 0)
    assert core.counts.get(f"{REFRESH} 200") == refreshed > 0, "A refresh was refused."
    assert "/recipe/session/verify" not in core.counts, "The core was asked to verify."
    return reports


# ── verifying ──────────────────────────────────────────────────────────────────────────────────


def verify_turn(
    verify: Callable[[str], Awaitable[Any]], tokens: Sequence[str], *, calls: int, in_flight: int
) -> Turn:
    """Return a turn of *calls* verifications, as many tasks at a time as are *in_flight*."""

    async def some(first: int) -> None:
        for number in range(first, calls, in_flight):
            await verify(tokens[number % len(tokens)])

    async def take() -> float:
        start = time.process_time()
        await asyncio.gather(*(some(first) for first in range(in_flight)))
        return (time.process_time() - start) / calls

    return take


async def checked(side: Side, core: Core) -> Side:
    """Return *side*, once it has found the right session by either way."""
    for verify in (side.verify, side.verify_token):
        assert side.user_id(await verify(core.access_tokens[1])) == "user-1"
    return side


async def run_verify(core: Core, theirs: Callable[[], Side], size: Size) -> Report:
    """Measure requests of many sessions, a few at a time."""
    tokens = core.access_tokens[: size.sessions]
    remembering, forgetful = Ours(core.url), Ours(core.url, remembered_tokens=0)
    factories: dict[str, Factory] = {}
    bases: dict[str, str] = {}
    aims = []

    def factory(side: Callable[[], Side], *, calls: int, in_flight: int) -> Factory:
        async def make() -> Turn:
            verify = (await checked(side(), core)).verify
            return verify_turn(verify, tokens, calls=calls, in_flight=in_flight)

        return make

    for number in size.in_flight:
        base, first = f"{THEIRS}, {number}", f"{OURS}, {number}, first seen"
        seen = f"{OURS}, {number}"
        some, few = max(number, size.calls // 4), max(number, size.calls // 10)
        factories |= {
            base: factory(theirs, calls=few, in_flight=number),
            first: factory(lambda: forgetful, calls=some, in_flight=number),
            seen: factory(lambda: remembering, calls=size.calls, in_flight=number),
        }
        bases |= dict.fromkeys((first, seen), base)
        aims += [Aim(who=who, at_most=VERIFY_AT_MOST, base=base) for who in (seen, first)]
    turns, skipped = await set_up(factories)
    samples = await take_turns(turns, rounds=size.verify_rounds)
    await remembering.aclose()
    await forgetful.aclose()
    return Report(
        name="verify a session",
        about=f"A new request with the access token of one of {size.sessions} sessions in its "
        "header, so many tasks at a time: CPU time. *First seen*: the same without remembering "
        "tokens, which is what each token costs once.",
        unit="µs",
        samples=samples,
        bases=bases,
        facts=throughput(samples, bases),
        aims=aims,
        skipped=skipped,
        rows=[
            Row(
                title=f"A back end verifies a session{how}",
                who=who,
                base=base,
                at_most=VERIFY_AT_MOST,
                peers={base: THEIRS},
                remark=REMARK,
            )
            for base in (f"{THEIRS}, {max(size.in_flight)}",)
            for who, how in (
                (f"{OURS}, {max(size.in_flight)}", ""),
                (
                    f"{OURS}, {max(size.in_flight)}, first seen",
                    ", its token seen for the first time",
                ),
            )
        ],
    )


async def run_verify_otherwise(core: Core, theirs: Callable[[], Side], size: Size) -> Report:
    """Measure one session again and again, and tokens without requests."""
    many, one = core.access_tokens[: size.sessions], core.access_tokens[:1]
    remembering, forgetful = Ours(core.url), Ours(core.url, remembered_tokens=0)
    alone, bare, first = "one session", "no request", "no request, first seen"

    def factory(
        side: Callable[[], Side], tokens: Sequence[str], *, request: bool, calls: int
    ) -> Factory:
        async def make() -> Turn:
            found = await checked(side(), core)
            verify = found.verify if request else found.verify_token
            return verify_turn(verify, tokens, calls=calls, in_flight=1)

        return make

    calls, some, few = size.calls, size.calls // 4, size.calls // 10
    turns, skipped = await set_up(
        {
            f"{THEIRS}, {alone}": factory(theirs, one, request=True, calls=few),
            f"{OURS}, {alone}": factory(lambda: remembering, one, request=True, calls=calls),
            f"{THEIRS}, {bare}": factory(theirs, many, request=False, calls=few),
            f"{OURS}, {first}": factory(lambda: forgetful, many, request=False, calls=some),
            f"{OURS}, {bare}": factory(lambda: remembering, many, request=False, calls=calls),
        }
    )
    samples = await take_turns(turns, rounds=size.verify_rounds)
    await remembering.aclose()
    await forgetful.aclose()
    bases = {who: f"{THEIRS}, {alone if alone in who else bare}" for who in samples}
    return Report(
        name="verify a session in other ways",
        about=f"The same token again and again, by request; and tokens of {size.sessions} "
        "sessions without a request, as of a web socket's first message: CPU time.",
        unit="µs",
        samples=samples,
        bases=bases,
        facts=throughput(samples, bases),
        aims=[
            Aim(who=f"{OURS}, {way}", at_most=VERIFY_AT_MOST, base=f"{THEIRS}, {way}")
            for way in (alone, bare)
        ],
        skipped=skipped,
    )


# ── refreshing ─────────────────────────────────────────────────────────────────────────────────


@attrs.define(kw_only=True)
class Refreshes:
    """
    Sessions that are refreshed again and again, each with the token of the time before.

    Args:
        refresh: Spends a refresh token and returns the next one.
        tokens: One for each that may be in flight. The next ones replace them.
        in_flight: How many of them are refreshed at a time.
        each: How often each is refreshed in a turn.
        cpu: For each turn, the seconds of this process per refresh.
    """

    refresh: Callable[[str], Awaitable[str]]
    tokens: list[str]
    in_flight: int
    each: int
    cpu: list[float] = attrs.field(factory=list)

    async def take(self) -> float:
        """Take a turn: seconds of wall time per refresh."""
        many = self.each * self.in_flight
        cpu, start = time.process_time(), time.perf_counter()
        await asyncio.gather(*(self.chain(number) for number in range(self.in_flight)))
        wall = time.perf_counter() - start
        self.cpu.append((time.process_time() - cpu) / many)
        return wall / many

    async def chain(self, number: int) -> None:
        """Refresh one session."""
        for _ in range(self.each):
            self.tokens[number] = await self.refresh(self.tokens[number])


async def run_refresh(
    core: str,
    ours: Side,
    theirs: Callable[[], SupertokensPython],
    tokens: Mapping[str, list[str]],
    size: Size,
) -> list[Report]:
    """Measure refreshes: wall time and CPU time of the same turns."""
    refreshes: dict[str, Callable[[], Callable[[str], Awaitable[str]]]] = {
        THEIRS: lambda: theirs().refresh,
        REPAIRED: lambda: theirs().refresh_with_tls_kept,
        OURS: lambda: ours.refresh,
    }
    # Shared by all numbers in flight: a token that was spent in one is of no use to the next.
    current = {who: list(found) for who, found in tokens.items()}
    chains: dict[str, Refreshes] = {}

    def factory(who: str, *, in_flight: int) -> Factory:
        async def make() -> Turn:
            chain = chains[f"{who}, {in_flight}"] = Refreshes(
                refresh=refreshes[who](),
                tokens=current[who],
                in_flight=in_flight,
                each=max(1, size.refreshes // in_flight),
            )
            return chain.take

        return make

    everyone = [(who, number) for number in size.in_flight for who in refreshes]
    turns, skipped = await set_up(
        {f"{who}, {number}": factory(who, in_flight=number) for who, number in everyone}
    )
    wall = await take_turns(turns, rounds=size.refresh_rounds)
    # The first turn was for warming up.
    cpu = {who: chains[who].cpu[1:] for who in wall}
    bases = {f"{who}, {number}": f"{THEIRS}, {number}" for who, number in everyone if who != THEIRS}
    aims = [
        Aim(who=f"{OURS}, {number}", at_most=REFRESH_AT_MOST, base=f"{THEIRS}, {number}")
        for number in size.in_flight
    ]
    what = "A new request with a refresh token, so many at a time"
    return [
        Report(
            name=f"refresh, {core}: {kind}",
            about=f"{what}: {about}.",
            unit="ms",
            samples=samples,
            bases=bases,
            facts=throughput(samples, bases),
            aims=aims,
            skipped=skipped,
            rows=[
                Row(
                    title=f"A back end refreshes a session, {core}, {kind}",
                    who=f"{OURS}, {max(size.in_flight)}",
                    base=f"{THEIRS}, {max(size.in_flight)}",
                    at_most=REFRESH_AT_MOST,
                    peers={f"{who}, {max(size.in_flight)}": who for who in (THEIRS, REPAIRED)},
                )
            ],
        )
        for kind, about, samples in (
            ("wall time", "wall time; one waits for the core, too", wall),
            ("CPU time", "the same turns, but CPU time of the back end alone", cpu),
        )
    ]


# ── holding ────────────────────────────────────────────────────────────────────────────────────


async def run_held(core: Core, theirs: Callable[[], Side], size: Size) -> Report:
    """Measure what a held session takes in memory."""
    tokens = core.access_tokens[: size.held]

    async def their_turn() -> Turn:
        theirs()  # is it installed?
        return lambda: bytes_held("theirs", core.url, tokens)

    async def our_turn() -> Turn:
        return lambda: bytes_held("ours", core.url, tokens)

    turns, skipped = await set_up({THEIRS: their_turn, OURS: our_turn})
    return Report(
        name="a session held",
        about=f"{len(tokens)} sessions of as many requests, all held: memory for each, by "
        "tracemalloc, in a process of its own.",
        unit="KiB",
        samples={who: [await turn()] for who, turn in turns.items()},
        bases={OURS: THEIRS},
        skipped=skipped,
    )


def throughput(
    samples: Mapping[str, list[float]], bases: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return how many there are in a second, and how many times as many as of the base."""
    facts = {who: {"per second": f"{1 / median(found):.0f}"} for who, found in samples.items()}
    for who, base in bases.items():
        if who != base and who in samples and base in samples:
            pairs = zip(samples[base], samples[who], strict=True)
            times = median(theirs / ours for theirs, ours in pairs)
            facts[who]["times as many"] = f"{times:.3g}"
    return facts
