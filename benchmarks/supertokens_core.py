"""A SuperTokens core for loopback, run as a process of its own: neither side is charged with it.

It is the embedded core, twice. At its own URL it works as in tests: it rotates refresh tokens and
signs an access token (RS256) for each refresh. At the URL called *prepared* every refresh gets one
and the same answer, made beforehand, so that the core is not what one waits for.

It prints what a `Core` has as one line of JSON, and ends when its standard input does, with the
number of requests by path and status.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from async_auth.testing import SuperTokensCoreServer

#: The one version that supertokens-python speaks; so both sides speak it.
CDI_VERSION = "5.4"
ISSUER = "http://127.0.0.1:3001/auth"
REFRESH = "/recipe/session/refresh"


@attrs.frozen(kw_only=True)
class Core:
    """
    The core, and sessions that it has begun.

    Args:
        url: Where it works.
        prepared: Where it only answers.
        access_tokens: Of sessions of the users `user-0`, `user-1` …
        refresh_tokens: Of the same sessions.
        counts: Once it has ended, the requests by path, and by path and status.
    """

    url: str
    prepared: str
    access_tokens: list[str] = attrs.field(repr=False)
    refresh_tokens: list[str] = attrs.field(repr=False)
    counts: dict[str, int] = attrs.field(factory=dict)


class Answering(asyncio.Protocol):
    """
    Gives the prepared answers.

    Args:
        versions: What a GET is answered.
        refreshed: What a POST is answered.
    """

    def __init__(self, versions: bytes, refreshed: bytes) -> None:
        self.versions = versions
        self.refreshed = refreshed
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete, its body included."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head, end = self.received[:end].lower(), end + 4
            _, found, length = head.partition(b"content-length:")
            end += int(length.partition(b"\r\n")[0]) if found else 0
            if len(self.received) < end:
                return
            self.received = self.received[end:]
            self.transport.write(self.versions if head.startswith(b"get") else self.refreshed)


def http_answer(body: Any) -> bytes:
    """Return *body* as JSON with status 200."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return f"{head}\r\n\r\n".encode() + content


async def serve(sessions: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    async with SuperTokensCoreServer() as core:

        def begin(user_id: str) -> dict[str, Any]:
            payload = {"iss": ISSUER, "email": "ada@example.com", "plan": {"name": "free"}}
            return core.create_session(user_id, payload=payload, cdi_version=CDI_VERSION)

        versions = http_answer({"versions": [CDI_VERSION]})
        refreshed = http_answer(begin("prepared"))
        prepared = await loop.create_server(lambda: Answering(versions, refreshed), "127.0.0.1", 0)
        begun = [begin(f"user-{number}") for number in range(sessions)]
        ready = {
            "url": core.url,
            "prepared": f"http://127.0.0.1:{prepared.sockets[0].getsockname()[1]}",
            "access_tokens": [session["accessToken"]["token"] for session in begun],
            "refresh_tokens": [session["refreshToken"]["token"] for session in begun],
        }
        print(json.dumps(ready), flush=True)
        await loop.run_in_executor(None, sys.stdin.buffer.read)
        print(json.dumps(core.counts), flush=True)


@asynccontextmanager
async def supertokens_core(*, sessions: int) -> AsyncIterator[Core]:
    """Start the core in another process; its counts are there afterwards."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(sessions)), stdin=pipe, stdout=pipe, limit=2**26
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        core = Core(**json.loads(await process.stdout.readline()))
        yield core
    finally:
        process.stdin.close()
        last = await process.stdout.readline()
        await process.wait()
    core.counts.update(json.loads(last))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
