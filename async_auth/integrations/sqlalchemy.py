"""SQLAlchemy: an async engine whose connections log in with the token for a password.

    from sqlalchemy.ext.asyncio import create_async_engine
    from async_auth.integrations.sqlalchemy import use_tokens

    engine = create_async_engine(
        "postgresql+asyncpg://app@db.example.com/orders", connect_args={"ssl": "verify-full"}
    )
    use_tokens(engine, client)

It works with every async driver that takes `password`. Each new connection of the pool logs in
with the token of its moment; one that is open stays open when its token expires, as far as the
database is concerned (`pool_recycle` ends it earlier).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

try:
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.util import await_only, greenlet_spawn
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.sqlalchemy needs SQLAlchemy: pip install 'async_auth[sqlalchemy]'."
    ) from missing

from async_auth.errors import ConfigurationError
from async_auth.integrations.databases import check_encrypted, log_in

if TYPE_CHECKING:
    from async_auth.integrations.refusals import TokenSource

__all__ = ["use_tokens"]

#: What drivers call their settings of TLS, the most telling first.
TLS = ("sslmode", "ssl", "ssl_context", "ssl_mode")


def use_tokens(engine: AsyncEngine, manager: TokenSource, *, allow_insecure: bool = False) -> None:
    """
    Let every connection that *engine* opens from now on log in with the manager's token.

    A login that is refused refreshes that very token, unless it was pinned, and is tried once
    more. Connecting raises what `get_token` raises, as it is and before anything is sent:
    SignInRequired, TemporaryError or ManagerClosed; after a refusal only what is not a
    TemporaryError. Listeners of yours for `do_connect` are to be registered before this call.

    Args:
        engine: What `create_async_engine` returned; a password in its URL is not used.
        manager: Where tokens come from.
        allow_insecure: Let the token travel to hosts other than loopback where the driver was
            not told to use TLS (`connect_args`). Most drivers do without it otherwise.

    Raises:
        ConfigurationError: *engine* is not async. Connecting raises it where the connection could
            be unencrypted.
    """
    if not isinstance(engine, AsyncEngine):
        raise ConfigurationError("engine: give what create_async_engine returned.")

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, _: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
        hosts = hosts_of(cparams, dialect.name, engine.url.host, os.environ)
        ssl = next((cparams[name] for name in TLS if cparams.get(name)), None)
        check_encrypted(hosts, ssl, allow_insecure=allow_insecure)

        async def with_password(password: str) -> Any:
            # Drivers are called as if they were not async, in a greenlet.
            options = {**cparams, "password": password}
            return await greenlet_spawn(dialect.connect, *cargs, **options)

        return await_only(log_in(manager, with_password))


def hosts_of(
    cparams: Mapping[str, Any], dialect: str, host: str | None, environment: Mapping[str, str]
) -> list[str]:
    """
    Return the hosts that a driver may connect to; none: its default.

    Args:
        cparams: Its parameters.
        dialect: SQLAlchemy's name of the database.
        host: That of the engine's URL, for drivers that get it as a part of something else.
        environment: What PostgreSQL's drivers look at too.
    """
    found = cparams.get("host") or host
    hosts: list[str | None] = []
    hosts += found.split(",") if isinstance(found, str) else found or ()
    if dialect == "postgresql":
        # As in libpq: an address goes before the name, and a service may name any host.
        hosts.append(cparams.get("hostaddr") or environment.get("PGHOSTADDR"))
        if not found:
            service = cparams.get("service") or environment.get("PGSERVICE")
            hosts += [service and f"service {service}", environment.get("PGHOST")]
    return [each for each in hosts if each]
