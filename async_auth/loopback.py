"""A port on 127.0.0.1 at which the user's browser comes back: HTTP, but no more than that takes.

It promises to listen on the loopback address alone, to read one GET of at most 16 KiB from each
connection and to close it with the answer, to let in only who asks for this machine by one of its
own names (against DNS rebinding), and that `close()` leaves no port and no idle connection open,
at once and from wherever it is called. It owns no task, keeps no connection alive, reads no body
and logs nothing. What is answered is its user's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import attrs

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError

HOST = "127.0.0.1"
#: Bytes of a request, its headers included; a browser's are a few thousand.
REQUEST_MAX = 16 * 1024
#: Connections at a time. Browsers open some in advance and may never use them.
CONNECTIONS_MAX = 32
#: Elsewhere SO_REUSEADDR means that anybody may listen beside us.
REUSE = os.name == "posix"

_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([!-~]{1,32}) (/[!-~]*) HTTP/1\.[01]")
# One way only to match each line: with white space of its own it would take hours to fail.
_FIELD = re.compile(rb"([!#-'*+.0-9A-Z^-z|~-]+):(.*)")
_AUTHORITY = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::[0-9]{1,5})?")


@attrs.frozen(kw_only=True)
class Reply:
    """
    What a browser is answered.

    Args:
        status: The status.
        headers: All but `Connection` and `Content-Length`.
        body: The body.
    """

    status: HTTPStatus
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = attrs.field(default=b"", repr=False)

    def wire_form(self) -> bytes:
        """Return the bytes that go out."""
        fields = {**self.headers, "Content-Length": str(len(self.body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join((*lines, "", "")).encode("ascii") + self.body


def plain(status: HTTPStatus, **headers: str) -> Reply:
    """Return an answer for who is no browser of our user's: the status in words."""
    text = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    return Reply(
        status=status, headers={**text, **headers}, body=f"{status.phrase}\n".encode("ascii")
    )


def read_request(head: bytes) -> str | Reply:
    """
    Return the target of a GET to this machine (path and query), or the answer to anything else.

    Args:
        head: The request line and the headers, up to the empty line.
    """
    line, *fields = head.split(b"\r\n")
    request, read = _REQUEST_LINE.fullmatch(line), [_FIELD.fullmatch(field) for field in fields]
    if request is None or None in read:
        return plain(HTTPStatus.BAD_REQUEST)
    hosts = [field[2] for field in read if field is not None and field[1].lower() == b"host"]
    if len(hosts) != 1 or not _names_us(hosts[0].strip(b" \t")):
        return plain(HTTPStatus.FORBIDDEN)
    if request[1] != b"GET":
        return plain(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET")
    return request[2].decode("ascii")


def _names_us(authority: bytes) -> bool:
    # Any port: it may have been forwarded from another machine.
    found = _AUTHORITY.fullmatch(authority)
    return found is not None and is_loopback((found[1] or found[2]).decode("ascii"))


#: Gets a target and returns the answer; `None` lets the browser wait until `Door.release()`.
Answer = Callable[[str], Reply | None]


class Door:
    """
    A port, and the browsers at it; see `open_door()`.

    Args:
        bound: The socket.
        answer: Answers requests; it must not raise.
    """

    def __init__(self, bound: socket.socket, answer: Answer):
        self.port: int = bound.getsockname()[1]
        self.answer = answer
        self.closed = False
        self._bound = bound
        self._loop: asyncio.AbstractEventLoop
        self._server: asyncio.Server | None = None
        self._visitors: dict[Visitor, None] = {}

    def __repr__(self) -> str:
        where = "closed" if self.closed else f"{HOST}:{self.port}"
        return f"<Door {where} visitors={len(self._visitors)}>"

    async def open(self) -> None:
        """Let browsers in. Whatever becomes of this call, `close()` closes."""
        self._loop = loop = asyncio.get_running_loop()
        # In two steps: the first does not suspend, so nobody can cancel us before the server is
        # ours to close.
        self._server = await loop.create_server(
            lambda: Visitor(self), sock=self._bound, start_serving=False
        )
        await self._server.start_serving()

    def release(self, reply: Reply) -> None:
        """Answer every browser that waits."""
        for visitor in list(self._visitors):
            if visitor.waits:
                visitor.send(reply)

    def close(self) -> None:
        """Stop listening, and hang up on who has not been answered; twice is fine."""
        if not self.closed:
            self.closed = True
            self._stop_listening()
        for visitor in list(self._visitors):
            visitor.hang_up()

    def _stop_listening(self) -> None:
        if self._server is None or self._loop.is_closed():
            self._bound.close()
            return
        with contextlib.suppress(NotImplementedError):  # a loop that has no readers
            self._loop.remove_reader(self._bound)
        with contextlib.suppress(OSError):  # not every system can do this to a port
            self._bound.shutdown(socket.SHUT_RDWR)
        # Nobody comes any more. Who has just been accepted is shown to us in the loop's next turn;
        # asyncio would drop that connection, unclosed, if the server were closed before.
        self._loop.call_soon(self._server.close)

    def admit(self, visitor: Visitor) -> bool:
        """Make room for a new connection: at the cost of the oldest that has asked nothing."""
        if self.closed:
            return False
        if len(self._visitors) >= CONNECTIONS_MAX:
            idle = next((one for one in self._visitors if not one.waits), None)
            if idle is None:
                return False
            self.forget(idle)
            idle.hang_up()
        self._visitors[visitor] = None
        return True

    def forget(self, visitor: Visitor) -> None:
        """Take note that a connection is gone."""
        self._visitors.pop(visitor, None)


class Visitor(asyncio.Protocol):
    """
    One connection: a request, an answer, the end.

    Args:
        door: Where it came.
    """

    def __init__(self, door: Door):
        #: Whether it has asked and is to be answered later.
        self.waits = False
        self._door = door
        self._received = bytearray()
        self._answered = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in, if there is room."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type checker
        self._transport = transport
        if not self._door.admit(self):
            self.hang_up()

    def data_received(self, data: bytes) -> None:
        """Read until the request is whole; what comes after it is passed over."""
        if self.waits or self._answered:
            return
        self._received += data
        head, end, _ = bytes(self._received[:REQUEST_MAX]).partition(_END_OF_HEAD)
        if end:
            self._received.clear()
            target = read_request(head)
            reply = self._door.answer(target) if isinstance(target, str) else target
            if reply is None:
                self.waits = True
            else:
                self.send(reply)
        elif len(self._received) >= REQUEST_MAX:
            self.send(plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def connection_lost(self, _: Exception | None) -> None:
        """Leave."""
        self._door.forget(self)

    def send(self, reply: Reply) -> None:
        """Answer and close; what was written still goes out."""
        self.waits, self._answered = False, True
        self._transport.write(reply.wire_form())
        self._transport.close()

    def hang_up(self) -> None:
        """Close without an answer; one that has been given still goes out."""
        if not self._answered:
            self._transport.abort()


def open_door(ports: Sequence[int], answer: Answer) -> Door:
    """
    Take the first free one of *ports* and return a door that is still shut: `await door.open()`.

    Args:
        ports: Where to listen; 0 is any free port.
        answer: Answers requests.

    Raises:
        ConfigurationError: None of the ports is free.
    """
    for port in ports:
        if (bound := _bind(port)) is not None:
            return Door(bound, answer)
    names = ", ".join(map(str, ports))
    raise ConfigurationError(
        f"port: {names} on {HOST} cannot be listened on, being in use or not for us; give another, "
        "or 0 for any free one."
    )


def _bind(port: int) -> socket.socket | None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        if REUSE:
            # A port whose last connections are still dying away is free.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        # With SO_REUSEADDR two can bind; only one can listen.
        bound.listen()
    except OSError as error:
        bound.close()
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            return None
        raise
    return bound
