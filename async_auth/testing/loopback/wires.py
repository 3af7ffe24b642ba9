"""One accepted connection, with what a socket can do and a stream hides: a reset."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

import attrs

from async_auth.testing.loopback.framing import HEAD_MAX

#: `SO_LINGER` with no time: closing drops what was not sent, and resets the connection.
NO_LINGER = struct.pack("ii", 1, 0)
#: Bytes that are read at a time where they are read to be dropped.
GULP = 65536


@attrs.define(eq=False)
class Wire:
    """
    A connection to a client.

    Args:
        reader: What it says.
        writer: What it is told.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def accept(cls, client: socket.socket, tls: ssl.SSLContext | None) -> Wire:
        """
        Take over the socket *client*, and shake hands if there is *tls*.

        Raises:
            OSError: The client left, or the handshake failed.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
        except BaseException:
            client.close()
            raise
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def send(self, data: bytes) -> None:
        """
        Send *data*, and wait while the client does not take it.

        Raises:
            ConnectionError: It has left.
        """
        self.writer.write(data)
        await self.writer.drain()

    async def idle(self) -> None:
        """Return when the client leaves."""
        with contextlib.suppress(OSError):
            while await self.reader.read(GULP):
                pass

    def reset(self) -> None:
        """End the connection at once; the client is told that it was reset."""
        found = self.writer.get_extra_info("socket")
        if found is not None:  # TLS has none once it is closed
            with contextlib.suppress(OSError):  # closed already
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.writer.transport.abort()

    async def close(self) -> None:
        """End the connection in good order: the client gets all that was sent, and leaves."""
        if self.writer.can_write_eof():
            # Closed at once it would be reset, should the client have said what nobody has read.
            self.writer.write_eof()
            await self.idle()
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
