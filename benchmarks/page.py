"""The page of results: a line for each thing that we do, a chart, and every table below.

It is written by `python benchmarks --page FILE`, and nothing on it by hand: remarks stand beside
the benchmark that they are about (`Row.remark`), and are shown only where there is something to
explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import attrs
from harness import Report, Row, middle_half, to_markdown

HEAD = """\
# Benchmarks

<!-- Written by `python benchmarks --page docs/benchmarks.md`; changes made here are lost. -->

Every figure is a ratio to a peer, or to a floor, that was measured in the same run, in turns: only
ratios carry from one machine to the next. They are medians of the ratios round by round; in brackets
is where the middle half of those lies. How to run them, and how to read them, is in
`benchmarks/README.md`.

"""


@attrs.frozen(kw_only=True)
class Line:
    """
    What a row has come to.

    Args:
        row: The row.
        report: Where it was found.
        cost: How many times the row's base we cost.
        peers: By the peer's name, how many times as much as we it costs.
    """

    row: Row
    report: Report
    cost: float
    peers: dict[str, float]

    @property
    def met(self) -> bool:
        """Whether the aim is met, or there is none."""
        return self.row.at_most is None or self.cost <= self.row.at_most

    @property
    def behind(self) -> list[str]:
        """The peers that cost less than we, and fail nobody."""
        names = {name: peer for peer, name in self.row.peers.items()}
        return [
            who
            for who, times in self.peers.items()
            if times < 1 and self.report.facts.get(names[who], {}).get("failed", "0") == "0"
        ]

    def verdict(self) -> str:
        """Say whether we are ahead of everybody, and if not, why."""
        found = []
        if self.behind:
            found.append(f"**Not ahead of {' and '.join(self.behind)}.**")
        elif self.peers:
            failing = any(times < 1 for times in self.peers.values())
            found.append(f"Ahead of every peer{' that fails nobody' if failing else ''}.")
        else:
            found.append("No peer does this.")
        if not self.met:
            found.append("**The aim is missed.**")
        if self.row.remark and (self.behind or not self.met):
            found.append(self.row.remark)
        return " ".join(found)


def lines(reports: Sequence[Report]) -> Iterator[Line]:
    """Return what can be said of these reports, line by line."""
    for report in reports:
        for row in report.rows:
            if row.who not in report.samples or row.base not in report.samples:
                continue
            yield Line(
                row=row,
                report=report,
                cost=median(report.ratios(row.who, row.base)),
                peers={
                    name: median(report.ratios(peer, row.who))
                    for peer, name in row.peers.items()
                    if peer in report.samples
                },
            )


def absent(reports: Sequence[Report]) -> dict[str, str]:
    """Return the peers that did not take part, and what they miss."""
    return {
        row.peers[who]: package
        for report in reports
        for row in report.rows
        for who, package in report.skipped.items()
        if who in row.peers
    }


def to_page(reports: Sequence[Report], *, conditions: Sequence[str], chart: str) -> str:
    """
    Return the page.

    Args:
        reports: What was found.
        conditions: When, and on what kind of machine, line by line.
        chart: The chart's address, seen from the page.
    """
    table = [
        "| what | async_auth | aim | what the peers cost, times as much as we | |",
        "| --- | --- | --- | --- | --- |",
    ]
    table += [
        f"| {line.row.title} | {line.cost:.2f} times {line.row.base} ({spread(line)}) "
        f"| {'' if line.row.at_most is None else f'≤ {line.row.at_most:.2f}'} "
        f"| {', '.join(f'{name} {times:.3g}' for name, times in line.peers.items())} "
        f"| {line.verdict()} |"
        for line in lines(reports)
    ]
    missing = [
        f"- {who} did not take part: no {package} here." for who, package in absent(reports).items()
    ]
    judged = [to_markdown(report, judge=True).replace("\n## ", "\n### ") for report in reports]
    details = "\n".join(f"#{text}" for text in judged)
    return "\n".join(
        [
            HEAD + "\n".join(f"- {line}" for line in conditions) + "\n",
            "\n".join(table) + "\n",
            *(["\n".join(missing) + "\n"] if missing else []),
            f"![What each costs, as a multiple of async_auth]({chart})\n",
            "## Every table\n",
            details,
        ]
    )


def spread(line: Line) -> str:
    """Return where the middle half of the ratios lies."""
    return middle_half(line.report.ratios(line.row.who, line.row.base))
