"""Runs the benchmarks: `python benchmarks [--quick] [--page FILE] [--json FILE] [NAME …]`.

Each runs in this interpreter, one after the other, and prints a Markdown table. The exit status says
whether they ran and measured the right thing, never how fast anything was.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chart import to_svg
from harness import Report, to_json, to_markdown
from page import lines, to_page

NAMES = (
    "hot_path",
    "request",
    "herd",
    "processes",
    "fan_out",
    "verify",
    "supertokens_backend",
    "pool",
    "redis_costs",
    "import_time",
)
PACKAGES = (
    "async_auth",
    "aiohttp",
    "supabase_auth",
    "supertokens-python",
    "Authlib",
    "httpx",
    "azure-core",
    "msal",
    "aiobotocore",
    "python-jose",
    "PyJWT",
    "redis",
)


def main() -> None:
    """Parse the command line and run what it names."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--quick",
        action="store_true",
        help="a few seconds: does it still run? Too short to judge by",
    )
    length.add_argument("--full", action="store_true", help="measure (the default)")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the page of results, and beside it the chart (assets/benchmarks.svg)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample; - prints it")
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    load = os.getloadavg()
    table = sys.stderr if options.json == Path("-") else sys.stdout
    print(f"{describe()}\n", file=table)
    reports: list[Report] = []
    for name in options.names or NAMES:
        for report in run(name, quick=options.quick):
            print(to_markdown(report, judge=not options.quick), file=table, flush=True)
            reports.append(report)
    if options.page is not None:
        write_page(options.page, reports, load_before=load)
    if options.json is not None:
        found: dict[str, Any] = {
            "machine": describe(),
            "quick": options.quick,
            "reports": [to_json(report) for report in reports],
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        print(text) if table is sys.stderr else options.json.write_text(text + "\n", "utf-8")


def write_page(page: Path, reports: list[Report], *, load_before: tuple[float, ...]) -> None:
    """Write the page of results, and its chart into the folder `assets` beside it."""
    chart = Path("assets", "benchmarks.svg")
    loads = [" ".join(f"{load:.1f}" for load in found) for found in (load_before, os.getloadavg())]
    conditions = [
        f"{datetime.now(UTC):%-d %B %Y}, {os.cpu_count()} cores.",
        f"Load averages before and after: {loads[0]} and {loads[1]}.",
        f"{describe()}.",
    ]
    (page.parent / chart).parent.mkdir(parents=True, exist_ok=True)
    (page.parent / chart).write_text(to_svg(list(lines(reports))), "utf-8")
    page.write_text(to_page(reports, conditions=conditions, chart=chart.as_posix()), "utf-8")


def run(name: str, *, quick: bool) -> list[Report]:
    """Run one benchmark in an event loop of its own."""
    found = asyncio.run(importlib.import_module(name).run(quick=quick))
    return found if isinstance(found, list) else [found]


def describe() -> str:
    """Say what ran: the interpreter and the packages. Machines are told apart by their ratios."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([f"{python} on {platform.system()} {platform.machine()}", *packages()])


def packages() -> list[str]:
    """Return the packages that take part, each with its version."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return found


if __name__ == "__main__":
    main()
