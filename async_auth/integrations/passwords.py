"""The token as a password, for drivers that take an async callable for one.

It promises a good token for each new connection. It knows neither the driver nor whether a
connection is encrypted; `integrations.asyncpg` and `integrations.sqlalchemy` do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from async_auth.integrations.refusals import TokenSource


def password(manager: TokenSource) -> Callable[[], Awaitable[str]]:
    """
    Return an async function without arguments that gives the token of the moment.

    Give it where a driver calls its password: `asyncpg.connect(password=password(client))`. A
    database that asks for the password in plain text gets the token in plain text, so encrypt
    the connection (`ssl="verify-full"`) unless it stays on this machine.

    Args:
        manager: Where tokens come from.

    Connecting raises what `get_token` raises: SignInRequired, TemporaryError, ManagerClosed.
    """

    async def token() -> str:
        return (await manager.get_token()).value

    return token
