"""asyncpg: `Connect` logs in to PostgreSQL with the token for a password.

    import asyncpg  # type: ignore[import-untyped]  # it ships no types
    from async_auth.integrations.asyncpg import Connect

    dsn = "postgresql://app@db.example.com/orders?sslmode=verify-full"
    async with asyncpg.create_pool(dsn, connect=Connect(client)) as pool:
        await pool.fetch("SELECT 1")

Each new connection of the pool logs in with the token of its moment, so a pool may live longer
than any token. PostgreSQL looks at a password once: a connection that is open stays open when
its token expires. asyncpg before 0.30 has no `connect=`; there, `password=password(client)` of
`integrations.passwords` does the same without a second try.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

try:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.asyncpg needs asyncpg: pip install 'async_auth[asyncpg]'."
    ) from missing

from async_auth.integrations.databases import check_encrypted, log_in

if TYPE_CHECKING:
    from async_auth.integrations.refusals import TokenSource

__all__ = ["Connect"]


class Connect:
    """
    Connects as `asyncpg.connect` does, with the manager's token for the password.

    Give it to `asyncpg.create_pool(connect=…)`, or call it: `await Connect(client)(dsn)`. It
    serves any number of pools. A login that is refused refreshes that very token, unless it was
    pinned, and is tried once more.

    Args:
        manager: Where tokens come from.
        allow_insecure: Let the token travel to hosts other than loopback where TLS is not made
            sure of. asyncpg's own default is `ssl="prefer"`, which does not.

    Connecting raises what `get_token` raises, before anything is sent: SignInRequired,
    TemporaryError or ManagerClosed; after a refusal only what is not a TemporaryError. It raises
    ConfigurationError where the connection could be unencrypted.
    """

    def __init__(self, manager: TokenSource, *, allow_insecure: bool = False) -> None:
        self._manager = manager
        self._allow_insecure = allow_insecure

    async def __call__(self, dsn: str | None = None, **options: Any) -> asyncpg.Connection[Any]:
        """
        Connect.

        Args:
            dsn: As in `asyncpg.connect`; a password in it is not used.
            options: As in `asyncpg.connect`, without a password.
        """
        hosts, ssl = destination(dsn, options, os.environ)
        check_encrypted(hosts, ssl, allow_insecure=self._allow_insecure)

        async def connect(password: str) -> asyncpg.Connection[Any]:
            return await asyncpg.connect(dsn, **{**options, "password": password})

        return await log_in(self._manager, connect)


def destination(
    dsn: str | None, options: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[list[str], Any]:
    """
    Return the hosts that asyncpg would connect to, and what it was told of TLS.

    An argument comes before the DSN, and that before the environment. What a service file says is
    not looked up: where one is named, the host counts as unknown, and so as elsewhere.
    """
    parts = urlsplit(dsn or "")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    ssl = options.get("ssl")
    if ssl is None:
        # Not `ssl`: in a DSN that is a setting of the server to asyncpg, not of the connection.
        ssl = query.get("sslmode") or environment.get("PGSSLMODE")
    # Before the port, of each of several; a socket's folder is quoted.
    host = options.get("host") or parts.netloc.rpartition("@")[2] or query.get("host")
    service = options.get("service") or query.get("service")
    if not host and not service:
        host, service = environment.get("PGHOST"), environment.get("PGSERVICE")
    if not host and service:
        host = f"service {service}"
    hosts = host.split(",") if isinstance(host, str) else list(host or ())
    return [unquote(each) for each in hosts if each], ssl
