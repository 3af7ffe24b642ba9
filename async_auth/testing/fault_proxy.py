"""`FaultProxy`: a bad network on loopback, between a client and a server of any kind.

It passes HTTP/1.1 on byte by byte, and lets happen what you ask for: connections that are refused
or reset, answers that are lost, that hang, drip, end early or never end, and what is no HTTP at
all; with TLS, if wanted, certificates that nobody should trust. Without a mishap it changes
nothing. It does no upgrades (web sockets), prints nothing, and is for tests.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from typing import Self
from urllib.parse import urlsplit

from async_auth.clock import SystemClock
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock
from async_auth.testing.loopback.framing import HEAD_MAX, read_answer, read_request
from async_auth.testing.loopback.mishaps import (
    Cut,
    Drip,
    Flood,
    Hang,
    Mishap,
    Mishaps,
    Moment,
    Reply,
    Reset,
)
from async_auth.testing.loopback.wires import Wire

#: Connections that may wait to be accepted.
_BACKLOG = 1024
#: What a flood of bodies consists of: one chunk of 64 KiB after the other.
_BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
#: … and what one of heads consists of.
_HEAD = b"HTTP/1.1 200 OK\r\nX-Endless: "
_TEXT = b"x" * 0x10000
#: How a connection ends that nobody has to be told of: what is no HTTP is dropped too.
BROKEN = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


class FaultProxy:
    """
    A proxy on 127.0.0.1 before one server, inside your process: `async with … as proxy`.

    What goes wrong is said by a method for each mishap. They take effect at once, may be called
    at any time from the loop's thread, and return a `Mishap`: `await mishap.happened()` waits
    until a request has met it, `mishap.count` says how many have, `mishap.sent` how many bytes
    it has sent. A request meets one mishap at most, the oldest first. Most have these arguments:

    - *at* says when. `"connect"`: a connection has come, and nothing of it was read; not even a
      TLS handshake has begun. `"request"`: the request was read, and the server sees nothing of
      it. `"response"`: the server has done its work, and nothing of its answer passes. A number:
      so many bytes of the answer pass (`-1`: all but the last).
    - *path* says which requests: `/token` (with any query), `/token?grant_type=refresh_token`,
      or `*`. Where a prefix belongs to the server's URL, it belongs to the path.
    - *times* says how many; `None`: all, until `remove()` or `clear()`.

    Args:
        upstream: The URL of the server. Its path becomes the path of `url`.
        tls: Speak TLS to the clients with this context (its certificate should be for
            `127.0.0.1`). The attribute may be set at any time; it holds for new connections.
        clock: How the pauses of `drip()` are waited out. The system's if `None`.
        port: Where to listen; 0 for a free port, which is then kept.

    Raises:
        ConfigurationError: *upstream* is no URL of http or https.
    """

    def __init__(
        self,
        upstream: str,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        port: int = 0,
    ) -> None:
        parts = urlsplit(upstream)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("upstream must be a URL of http or https.")
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        self._upstream_port = parts.port or (443 if self._secure else 80)
        self._path = parts.path
        self.tls = tls
        self._clock: Clock = SystemClock() if clock is None else clock
        self._port = port
        #: Requests by path, whatever became of them.
        self.counts: Counter[str] = Counter()
        #: How many connections were accepted.
        self.connections = 0
        self._mishaps = Mishaps()
        self._listener: socket.socket | None = None
        self._accepts = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: set[Wire] = set()

    def __repr__(self) -> str:
        where = self.url if self._accepts else "closed"
        return f"<FaultProxy {where} open={self.open} mishaps={len(self._mishaps)}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # ── up and down ────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """
        Where clients find the server; the same for as long as the proxy lives.

        Raises:
            ConfigurationError: It was never started, so it has no port yet.
        """
        if not self._port:
            raise ConfigurationError("FaultProxy: not started, so it has no url yet.")
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}{self._path}"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._tasks)

    async def start(self) -> None:
        """
        Listen; nothing happens if it does already.

        Raises:
            OSError: The port is taken.
        """
        if self._listener is None:
            self._bind()
        self.accept()

    async def aclose(self) -> None:
        """Stop listening and reset every connection; twice is fine."""
        self._unbind()
        self.disconnect()
        # Those that wait for the server, or for a clock.
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def refuse(self) -> None:
        """Refuse connections from now on, and reset those that are open: the server is down."""
        if self._accepts:
            self._unbind()
            # A port that is bound and not listened on refuses, and nobody else gets it.
            self._bind()
        self.disconnect()

    def accept(self) -> None:
        """
        Accept connections again; nothing happens if it does.

        Raises:
            ConfigurationError: It was not started, or was closed.
        """
        if self._listener is None:
            raise ConfigurationError("FaultProxy: not started, or closed; it cannot accept.")
        if not self._accepts:
            self._listener.listen(_BACKLOG)
            asyncio.get_running_loop().add_reader(self._listener, self._welcome)
            self._accepts = True

    def disconnect(self) -> None:
        """Reset every open connection, as a server does that is restarted."""
        for wire in self._wires:
            wire.reset()

    # ── mishaps ────────────────────────────────────────────────────────────────────────────────

    def reset(self, at: Moment = "response", *, path: str = "*", times: int | None = 1) -> Mishap:
        """Let the connection be reset; at `"response"` that loses an answer."""
        return self._mishaps.add(Mishap(what=Reset(), at=at, path=path, times=times))

    def cut(self, at: Moment = -1, *, path: str = "*", times: int | None = 1) -> Mishap:
        """Let the connection be closed in good order, before the answer is complete."""
        return self._mishaps.add(Mishap(what=Cut(), at=at, path=path, times=times))

    def hang(self, at: Moment = "response", *, path: str = "*", times: int | None = 1) -> Mishap:
        """Let nothing more come, until the client leaves: a half-open connection."""
        return self._mishaps.add(Mishap(what=Hang(), at=at, path=path, times=times))

    def drip(
        self,
        seconds: float,
        at: Moment = "response",
        *,
        path: str = "*",
        times: int | None = 1,
    ) -> Mishap:
        """
        Let the answer come byte by byte.

        Args:
            seconds: The pause before each byte, on the proxy's clock.
            at: From where on; see above. Not `"connect"` and not `"request"`.
            path: See above.
            times: See above.

        Raises:
            ConfigurationError: There is no answer at that moment.
        """
        if at in ("connect", "request"):
            raise ConfigurationError('at must be "response" or a number: an answer drips.')
        return self._mishaps.add(Mishap(what=Drip(seconds), at=at, path=path, times=times))

    def flood(
        self,
        at: Moment = "response",
        *,
        head: bool = False,
        path: str = "*",
        times: int | None = 1,
    ) -> Mishap:
        """
        Let an answer come that never ends, until the client leaves.

        Args:
            at: See above; nothing of the real answer passes, so no number.
            head: Whether a header is endless, rather than the body.
            path: See above.
            times: See above.

        Raises:
            ConfigurationError: *at* is a number.
        """
        what = Flood(_HEAD, _TEXT) if head else Flood(_BODY, _CHUNK)
        if isinstance(at, int):
            raise ConfigurationError("at must not be a number: a flood has its own beginning.")
        return self._mishaps.add(Mishap(what=what, at=at, path=path, times=times))

    def reply(
        self, data: bytes, at: Moment = "request", *, path: str = "*", times: int | None = 1
    ) -> Mishap:
        """Let these bytes come, HTTP or not, and the connection be closed."""
        return self._mishaps.add(Mishap(what=Reply(data), at=at, path=path, times=times))

    def remove(self, mishap: Mishap) -> None:
        """Take a mishap back; who has met it already is not helped. Twice is fine."""
        self._mishaps.remove(mishap)

    def clear(self) -> None:
        """Take all mishaps back."""
        self._mishaps.clear()

    # ── connections ────────────────────────────────────────────────────────────────────────────

    def _bind(self) -> None:
        listener = socket.socket()
        try:
            # Connections of before do not keep the port from being ours again.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.settimeout(0)
            listener.bind(("127.0.0.1", self._port))
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._port = listener.getsockname()[1]

    def _unbind(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._accepts:
                asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._accepts = False

    def _welcome(self) -> None:
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody more, or they left already
                return
            client.settimeout(0)
            self.connections += 1
            task = asyncio.create_task(self._serve(client), name="FaultProxy")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        mishap = self._mishaps.take_connection()
        try:
            # What goes wrong below TLS has nothing to do with TLS.
            wire = await Wire.accept(client, self.tls if mishap is None else None)
        except OSError:
            return
        self._wires.add(wire)
        try:
            if mishap is None:
                await self._pass_on(wire)
            else:
                await self._befall(mishap, wire)
        except BROKEN:
            # The server is away, or has hung up in the midst of it; or the client has.
            wire.reset()
        finally:
            self._wires.discard(wire)
            wire.writer.transport.abort()

    async def _pass_on(self, wire: Wire) -> None:
        server: Wire | None = None
        try:
            while True:
                head, request = await read_request(wire.reader)
                self.counts[head.path] += 1
                mishap = self._mishaps.take_request(head.path, head.query)
                answer = b""
                is_last = head.is_last
                if mishap is None or mishap.at != "request":
                    if server is not None and server.reader.at_eof():
                        server.writer.transport.abort()  # it has hung up meanwhile
                        server = None
                    if server is None:
                        server = await self._connect()
                    await server.send(request)
                    answer_head, answer = await read_answer(server.reader, method=head.words[0])
                    is_last = is_last or answer_head.is_last
                if mishap is not None:
                    await self._befall(mishap, wire, answer)
                    return
                await wire.send(answer)
                if is_last:
                    await wire.close()
                    return
        finally:
            if server is not None:
                server.writer.transport.abort()

    async def _connect(self) -> Wire:
        return Wire(
            *await asyncio.open_connection(
                self._host, self._upstream_port, ssl=self._secure or None, limit=HEAD_MAX
            )
        )

    async def _befall(self, mishap: Mishap, wire: Wire, answer: bytes = b"") -> None:
        passes = mishap.at if isinstance(mishap.at, int) else 0
        if passes:
            await wire.send(answer[:passes])
        match mishap.what:
            case Reset():
                wire.reset()
            case Cut():
                await wire.close()
            case Hang():
                await wire.idle()
            case Drip(seconds):
                for byte in answer[passes:]:
                    await self._clock.sleep(seconds)
                    await wire.send(bytes([byte]))
                    mishap.sent += 1
                await wire.close()
            case Flood(beginning, drop):
                await wire.send(beginning)
                while True:
                    await wire.send(drop)
                    mishap.sent += len(drop)
            case Reply(data):
                await wire.send(data)
                mishap.sent += len(data)
                await wire.close()
