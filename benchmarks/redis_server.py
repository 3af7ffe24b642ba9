"""A redis-server of our own for a benchmark, and what it says of itself.

The program is the one that the environment variable `REDIS_SERVER` names, or that on the path.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
from redis.asyncio import Redis


def find_program() -> str | None:
    """Return the redis-server of this machine, or `None`."""
    program = os.environ.get("REDIS_SERVER")
    return program or shutil.which("redis-server") or shutil.which("valkey-server")


@attrs.frozen(kw_only=True)
class Usage:
    """
    What the server has done so far, or between two looks.

    Args:
        received: Bytes that it got from clients.
        sent: Bytes that clients got.
        cpu: Seconds of CPU.
        memory: Bytes that it holds.
    """

    received: float
    sent: float
    cpu: float
    memory: float

    def __sub__(self, before: Usage) -> Usage:
        return Usage(
            received=self.received - before.received,
            sent=self.sent - before.sent,
            cpu=self.cpu - before.cpu,
            memory=self.memory - before.memory,
        )


@attrs.define
class BenchRedis:
    """
    A running server, and a connection to it that no store uses.

    Args:
        url: Where it is.
        client: The connection.
    """

    url: str
    client: Redis

    async def usage(self) -> Usage:
        """Return what it has done so far."""
        info = await self.client.info("everything")
        return Usage(
            received=info["total_net_input_bytes"],
            sent=info["total_net_output_bytes"],
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
            memory=info["used_memory"],
        )

    async def look_costs(self) -> Usage:
        """Return what one look itself adds to the next."""
        before, after = await self.usage(), await self.usage()
        return after - before

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[Counter[str]]:
        """Count the commands of the body: by name, those of scripts as `script NAME`."""
        counts: Counter[str] = Counter()
        host, port = self.url.removeprefix("redis://").removesuffix("/0").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"MONITOR\r\n")
        await reader.readline()
        try:
            yield counts
            await self.client.echo("the end")
            while b'"the end"' not in (line := await reader.readline()):
                found = re.match(r'\+\S+ \[\d+ (lua)?.*?\] "(\w+)"', line.decode(errors="replace"))
                if found is not None:
                    counts[f"{'script ' if found[1] else ''}{found[2].upper()}"] += 1
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def running(program: str, *options: str) -> AsyncIterator[BenchRedis]:
    """Run a server on a free loopback port, without a disk."""
    with socket.socket() as kept, tempfile.TemporaryDirectory() as folder:
        # Bound and never listening: nobody else is given the port before the server has it, which
        # says SO_REUSEADDR as well. Other systems than Linux do not let two be bound.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        if sys.platform != "linux":
            kept.close()
        process = await asyncio.create_subprocess_exec(
            *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder),
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        url = f"redis://127.0.0.1:{port}/0"
        client = Redis.from_url(url)
        try:
            await answers(client)
            yield BenchRedis(url, client)
        finally:
            await client.aclose()
            process.kill()
            await process.wait()


async def answers(client: Redis) -> None:
    """Wait until the server answers."""
    import redis

    for _ in range(1000):
        try:
            await client.ping()
        except (redis.ConnectionError, OSError):
            await asyncio.sleep(0.01)
        else:
            return
    raise RuntimeError("redis-server did not start.")
