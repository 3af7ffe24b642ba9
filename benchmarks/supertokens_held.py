"""What a session takes in memory while an application holds it, run as a process of its own.

`python supertokens_held.py SIDE` reads the core's URL and access tokens as JSON from its standard
input, verifies each token by a request of its own, keeps the sessions, and prints the bytes that
each of them has added (tracemalloc). What a back end keeps for itself is in it as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Mapping

from supertokens_sides import Ours, Side, SupertokensPython

SIDES: Mapping[str, Callable[[str], Side]] = {"ours": Ours, "theirs": SupertokensPython}


async def bytes_held(name: str, url: str, access_tokens: list[str]) -> float:
    """Return the bytes per session, in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, name), stdin=pipe, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate(json.dumps([url, access_tokens]).encode())
    if process.returncode:
        raise RuntimeError(err.decode())
    return float(out)


async def measure(name: str, url: str, access_tokens: list[str]) -> float:
    """Hold a session of each token, and return the bytes per session."""
    side = SIDES[name](url)
    # What is made once for all sessions is made now.
    await side.verify(access_tokens[0])
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = [await side.verify(token) for token in access_tokens]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({side.user_id(session) for session in held}) == len(access_tokens)
    await side.aclose()
    return (after - before) / len(held)


if __name__ == "__main__":
    print(asyncio.run(measure(sys.argv[1], *json.load(sys.stdin))))
