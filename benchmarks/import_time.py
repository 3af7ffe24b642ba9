"""What an import costs, in a fresh interpreter each time: wall time, and memory.

Bytecode and disk cache are warm after the first turn, as they are wherever a program starts twice.
The interpreter's own start is not counted; asyncio is, for everyone brings it.
"""

from __future__ import annotations

import asyncio
import sys
from statistics import median

from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns

#: Prints seconds, and the growth in resident bytes where /proc tells.
SCRIPT = """\
import os, sys, time
def resident():
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
before, start = resident(), time.perf_counter()
import {module}
print(time.perf_counter() - start, resident() - before)
"""
OURS, CLIENT, SUPABASE = "async_auth", "async_auth.gotrue", "supabase_auth"
MODULES = ("asyncio", OURS, CLIENT, SUPABASE, "aiohttp", "httpx")
REMARK = (
    "Most of what is left is attrs, which makes the values' classes at each import; writing these out "
    "would change it, at the price of thousands of lines."
)
MIB = 1024 * 1024


async def import_once(module: str) -> tuple[float, int]:
    """Import *module* in a new interpreter; return seconds and bytes."""
    # -I: what is installed, not what lies about in this folder or the working directory.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", SCRIPT.format(module=module)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        if b"ModuleNotFoundError" in err:
            raise ModuleNotFoundError(err.decode(), name=module)
        raise RuntimeError(err.decode())
    seconds, grown = out.split()
    return float(seconds), int(grown)


async def run(*, quick: bool) -> Report:
    """Measure; the full run takes about a third of a minute."""
    memory: dict[str, list[int]] = {module: [] for module in MODULES}

    def factory(module: str) -> Factory:
        async def take() -> float:
            seconds, grown = await import_once(module)
            memory[module].append(grown)
            return seconds

        async def make() -> Turn:
            await import_once(module)
            return take

        return make

    turns, skipped = await set_up({module: factory(module) for module in MODULES})
    samples = await take_turns(turns, rounds=2 if quick else 21)
    return Report(
        name="import_time",
        about="An import in a fresh interpreter, its bytecode cached: wall time and memory.",
        unit="ms",
        samples=samples,
        bases=dict.fromkeys(samples, SUPABASE),
        facts={who: {"RSS MiB": f"{median(memory[who]) / MIB:.1f}"} for who in samples},
        aims=[
            Aim(who=OURS, at_most=0.5, base=SUPABASE),
            Aim(who=CLIENT, at_most=0.5, base=SUPABASE),
        ],
        skipped=skipped,
        rows=[
            Row(
                title=f"`import {module}`",
                who=module,
                base=SUPABASE,
                at_most=0.5,
                peers={SUPABASE: "supabase_auth"},
                remark=REMARK,
            )
            for module in (OURS, CLIENT)
        ],
    )
