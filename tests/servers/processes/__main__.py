"""Many processes share one session: `python tests/servers/processes --help`.

Prints what came of it as JSON; the exit code is 1, with the reason on stderr, if a process hung,
died by itself, or was left with another token than the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

import attrs
from crew import CrewFailure
from figures import MOMENTS, RULES, Figures, Plan


def parse(arguments: list[str]) -> Plan:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="processes", description=Plan.__doc__.split("\n")[1])
    parser.add_argument("--store", choices=("files", "redis"), default="files")
    parser.add_argument("--rules", choices=RULES, default="strict")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--lives", type=int, default=200)
    troubles = ("none", "kill", "freeze", "restart", "pause")
    parser.add_argument("--trouble", choices=troubles, default="none")
    parser.add_argument("--moments", nargs="+", choices=MOMENTS, default=MOMENTS)
    parser.add_argument("--timers", action="store_true", help="let timers refresh")
    parser.add_argument("--timed", type=float, help="seconds that a token lives, by the clock")
    parser.add_argument("--lease", type=float, default=2.0)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds a call may take")
    parser.add_argument("--sleep", type=int, default=1, help="lives that a frozen process sleeps")
    parser.add_argument("--pause", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    words = vars(parser.parse_args(arguments))
    return Plan(**{**words, "moments": tuple(words["moments"])})


async def run_until_told(plan: Plan) -> Figures:
    """Run, and end in good order at a SIGTERM: processes that were stopped do not end by themselves."""
    from lives import run

    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(plan)


def main() -> int:
    """Run what the command line asks for."""
    plan = parse(sys.argv[1:])
    # Pytest has it for the tests; nobody else has.
    sys.path.append(str(Path(__file__).parents[2] / "helpers"))
    try:
        figures = asyncio.run(run_until_told(plan))
    except asyncio.CancelledError:
        print("It was told to end.", file=sys.stderr)
        return 1
    except CrewFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    print(json.dumps({**attrs.asdict(plan), **attrs.asdict(figures)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
