"""A port of loopback that an embedded server listens on, and leaves, and comes back to."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from aiohttp import web

from async_auth.errors import ConfigurationError

#: Hundreds of clients may connect at once.
_BACKLOG = 4096
#: A request that a fault holds up is not waited for when the server closes.
_SHUTDOWN_TIMEOUT = 0.05


@attrs.define
class Listener:
    """
    Where an application listens.

    Args:
        name: The server's, for error texts.
        make: Makes the application anew for each start.
        port: Where to listen; 0 for a free port, which is then kept.
    """

    name: str
    make: Callable[[], web.Application]
    port: int = 0
    _runner: web.AppRunner | None = attrs.field(default=None, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it listens now."""
        return self._runner is not None

    @property
    def url(self) -> str:
        """
        The root, such as `http://127.0.0.1:40123`; the same while it is down.

        Raises:
            ConfigurationError: It was never up, so it has no port yet.
        """
        if not self.port:
            raise ConfigurationError(f"{self.name}: not started, so it has no url yet.")
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """
        Listen; nothing happens if it does already.

        Raises:
            OSError: The port is taken.
        """
        if self._runner is not None:
            return
        # No access log: paths and headers are nobody's business, and a query may hold a code.
        runner = web.AppRunner(self.make(), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, backlog=_BACKLOG).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def aclose(self) -> None:
        """Stop listening and close every connection; twice is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
