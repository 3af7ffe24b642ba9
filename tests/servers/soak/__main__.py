"""Token lives by the thousand: `python tests/servers/soak --minutes 5`.

Processes that use the library in every way at once, before servers that go wrong now and then.
Prints how they are once a minute, and in the end whether memory, tasks, descriptors and threads
stayed as they were; the exit code is 1 if they did not, or if something else was not as it should.
That it can fail is why it stands among the tests, with those that take real time, and not among the
benchmarks, which never fail because something was slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

import attrs
from run import Found, Plan, SoakFailure, soak


def parse(arguments: list[str]) -> tuple[Plan, bool]:
    """Return what the command line asks for, and whether it wants JSON."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--guests", type=int, default=2, help="processes that use the library")
    parser.add_argument("--sessions", type=int, default=16, help="in the pool of each")
    parser.add_argument("--life", type=float, default=2.0, help="seconds that a token lives")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    found = vars(parser.parse_args(arguments))
    as_json, minutes = found.pop("json"), found.pop("minutes")
    return Plan(seconds=minutes * 60, **found), as_json


def tell(found: Found) -> None:
    """Print what came of a run."""
    for name, findings in found.findings.items():
        for one in findings:
            flat = "flat" if one.flat else "GROWS"
            print(
                f"{flat:5}  {name:7} {one.name:8} {one.middle:13,.0f}  grown {one.growth:11,.0f}"
                f"  allowed {one.allowed:11,.0f}"
            )
    for name, counts in found.counts.items():
        print(f"{name}: {json.dumps(counts)}")
    shares = ", ".join(f"{name} {cpu / found.seconds:.0%}" for name, cpu in found.cpu.items())
    print(f"{found.lives} token lives in {found.seconds:.0f} s; CPU of one core: {shares}.")


async def run_until_told(plan: Plan) -> Found:
    """Run, and end in good order at a SIGTERM."""
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await soak(plan)


def main() -> int:
    """Run what the command line asks for."""
    plan, as_json = parse(sys.argv[1:])
    try:
        found = asyncio.run(run_until_told(plan))
    except asyncio.CancelledError:
        print("It was told to end.", file=sys.stderr)
        return 1
    except (SoakFailure, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(attrs.asdict(found)))
    else:
        tell(found)
    for complaint in found.complaints:
        print(complaint, file=sys.stderr)
    return 1 if found.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
