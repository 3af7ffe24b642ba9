"""Where an HTTP/1.1 message ends: what a proxy has to know that passes bytes on as they are.

It reads heads, lengths and chunks, and changes, checks and decodes nothing. There are no
upgrades (web sockets), no `CONNECT` and no `Expect: 100-continue`.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qsl

import attrs

#: The longest head that is read, in bytes.
HEAD_MAX = 1024 * 1024
#: Answers that have no body, whatever their headers say.
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
#: Method, target and version; an answer may leave out the last of its words.
WORDS = 3


@attrs.frozen
class Head:
    """
    The first lines of a message.

    Args:
        raw: All of it, the empty line too.
    """

    raw: bytes = attrs.field(repr=False)

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Self:
        """
        Read one.

        Raises:
            IncompleteReadError: The stream ended before.
            LimitOverrunError: It is longer than the reader's limit.
        """
        return cls(await reader.readuntil(b"\r\n\r\n"))

    @property
    def words(self) -> list[str]:
        """The words of the first line, such as `POST /token?a=b HTTP/1.1`."""
        return self.raw.partition(b"\r\n")[0].decode("latin-1").split(" ")

    @property
    def path(self) -> str:
        """The path of a request, without its query."""
        return self.words[1].partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query of a request; of names that come twice the last."""
        return dict(parse_qsl(self.words[1].partition("?")[2]))

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.words[1])

    def header(self, name: str) -> str:
        """Return a header's value in lower case, the first if there are several, or ''."""
        for line in self.raw.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name:
                return value.strip().lower()
        return ""

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with this message."""
        kept = "keep-alive" if self.raw.startswith(b"HTTP/1.0") else ""
        return self.header("connection") == "close" or kept not in ("", self.header("connection"))


async def read_request(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """
    Read a request; return its head, and all of its bytes.

    Raises:
        IncompleteReadError: The stream ended before; between two requests that is no mishap.
        ValueError: It is no HTTP.
    """
    head = await Head.read(reader)
    if not head.words[-1].startswith("HTTP/1.") or len(head.words) != WORDS:
        raise ValueError("This is no request of HTTP/1.")
    return head, head.raw + await _framed_body(head, reader)


async def read_answer(reader: asyncio.StreamReader, *, method: str) -> tuple[Head, bytes]:
    """
    Read the answer to a request with this *method*; return its head, and all of its bytes.

    Raises:
        IncompleteReadError: The stream ended before.
        ValueError: It is no HTTP.
    """
    head = await Head.read(reader)
    if not head.words[0].startswith("HTTP/1.") or len(head.words) < WORDS - 1:
        raise ValueError("This is no answer of HTTP/1.")
    if method == "HEAD" or head.status in BODILESS:
        return head, head.raw
    if not (head.header("content-length") or head.header("transfer-encoding")):
        return head, head.raw + await reader.read()
    return head, head.raw + await _framed_body(head, reader)


async def _framed_body(head: Head, reader: asyncio.StreamReader) -> bytes:
    if "chunked" not in head.header("transfer-encoding"):
        return await reader.readexactly(int(head.header("content-length") or 0))
    body = b""
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        body += line + (await reader.readexactly(size + 2) if size else b"")
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":  # trailers
        body += line
    return body + line
