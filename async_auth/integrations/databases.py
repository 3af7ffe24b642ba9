"""What the database adapters have in common: a login by token, and where one may not travel.

It promises that a login which is refused costs one refresh, whoever else runs into it, and that
a host elsewhere is not told a token unless the connection is encrypted. It knows no driver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError, TemporaryError
from async_auth.integrations.refusals import TokenSource, current_generation

T = TypeVar("T")

#: SQLSTATEs of a login that is refused: by its password, or (clouds that check tokens) otherwise.
SQLSTATES = frozenset({"28P01", "28000"})
#: MySQL's number for it, `ER_ACCESS_DENIED_ERROR`.
ACCESS_DENIED = 1045
#: What drivers call a connection that need not be encrypted.
PLAIN = frozenset({"", "0", "allow", "disable", "false", "no", "off", "prefer", "preferred"})


async def log_in(manager: TokenSource, connect: Callable[[str], Awaitable[T]]) -> T:
    """
    Connect with the token for a password, and once more with another if that is refused.

    Args:
        manager: Where tokens come from.
        connect: Connects with that password.

    Raises what *connect* raises, and before it is called what `get_token` raises.
    """
    token, last = await manager.get_token(), False
    while True:
        try:
            return await connect(token.value)
        except Exception as error:
            if last or not refuses_password(error):
                raise
            # Where somebody else has refreshed it already, the next token is not new for us: if
            # that one is refused as well, it gets its refresh too.
            last = current_generation(manager) in {None, token.generation}
            try:
                other = await manager.get_token(rejected=token)
            except TemporaryError:
                raise error from None  # the server's true answer
            if other.generation == token.generation:
                raise
            token = other


def refuses_password(error: BaseException) -> bool:
    """Say whether a driver's *error*, or one that it wraps, is about the login."""
    return any(
        getattr(each, "sqlstate", None) in SQLSTATES or ACCESS_DENIED in each.args[:1]
        for each in causes(error)
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it was made of."""
    found: BaseException | None = error
    while found is not None:
        yield found
        wrapped = getattr(found, "orig", None)
        found = wrapped if isinstance(wrapped, BaseException) else found.__cause__


def check_encrypted(hosts: Iterable[Any], ssl: Any, *, allow_insecure: bool) -> None:
    """
    Refuse a connection on which a token could travel unencrypted to another machine.

    Args:
        hosts: Host names, addresses, or folders of sockets; none: the driver's own default, which
            is this machine.
        ssl: What the driver was told: a mode, a flag, a context, or nothing.
        allow_insecure: Whether that was asked for.

    Raises:
        ConfigurationError: It could; *ssl* is to be set.
    """
    if allow_insecure or is_encrypted(ssl):
        return
    for host in hosts:
        if not is_here(str(host)):
            raise ConfigurationError(
                f"ssl: {host} could receive the token unencrypted; say ssl='verify-full' (or as "
                "the driver calls it), or allow_insecure=True."
            )


def is_encrypted(ssl: Any) -> bool:
    """Say whether what a driver was told makes sure of it."""
    return str(ssl).lower() not in PLAIN if isinstance(ssl, str | bool) else bool(ssl)


def is_here(host: str) -> bool:
    """Say whether *host*, perhaps with a port, is this machine or a socket on it."""
    if host.startswith(("/", "@")):
        return True
    if host.startswith("["):
        return is_loopback(host[1:].partition("]")[0])
    return is_loopback(host if host.count(":") > 1 else host.partition(":")[0])
