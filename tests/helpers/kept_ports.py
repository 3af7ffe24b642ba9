"""A loopback port that is the test's alone: also before a server listens there, and while it is down."""

from __future__ import annotations

import socket
import sys
from typing import Self


class KeptPort:
    """
    A port of 127.0.0.1 that is given to nobody who asks for any port.

    Bound and never listening: a call there is refused. On Linux whoever names the port may listen
    on it all the same, if he says `SO_REUSEADDR` as this does; other systems do not let two be
    bound, so there the port is free, and may be another's in between.

    Args:
        number: Which one; any free one unless told.

    Raises:
        OSError: Somebody has it.
    """

    def __init__(self, number: int = 0) -> None:
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", number))
            self.number: int = self._socket.getsockname()[1]
        except BaseException:
            self.close()
            raise
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Leave it to whoever comes."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
