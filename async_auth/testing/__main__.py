"""`python -m async_auth.testing`: servers on this machine, to try the examples against.

A GoTrue server that knows the account of the examples; or, with `supertokens` behind it, a
SuperTokens core and an application. Needs nothing but the package: neither an extra nor a network.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import signal
import sys
from contextlib import AbstractAsyncContextManager

from async_auth.errors import ConfigurationError
from async_auth.testing.example_servers import gotrue_example, supertokens_example

PORT, CORE_PORT = 9999, 3567
#: Seconds; short, so that refreshes can be watched.
JWT_EXPIRY = 60.0


def main(arguments: list[str] | None = None) -> None:
    """
    Serve until Ctrl-C or SIGTERM; says on stdout where, and ends by SystemExit 2 where it cannot.

    Args:
        arguments: Those of the command line by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m async_auth.testing",
        description="Run servers on this machine, to try things against.",
    )
    parser.add_argument(
        "server",
        nargs="?",
        choices=("gotrue", "supertokens"),
        default="gotrue",
        help="GoTrue (Supabase Auth), or a SuperTokens core and an application  [%(default)s]",
    )
    parser.add_argument("--port", type=int, default=PORT, help="0 for a free one  [%(default)s]")
    parser.add_argument(
        "--core-port",
        type=int,
        metavar="PORT",
        help=f"where the SuperTokens core listens  [{CORE_PORT}]",
    )
    parser.add_argument(
        "--jwt-expiry",
        type=seconds,
        metavar="SECONDS",
        default=JWT_EXPIRY,
        help="how long an access token lives  [%(default)s]",
    )
    options = parser.parse_args(arguments)
    if options.server == "gotrue" and options.core_port is not None:
        parser.error("--core-port: GoTrue has no core")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(example(options), options.jwt_expiry))
    except (ConfigurationError, OSError, OverflowError) as error:
        parser.error(str(error))


def seconds(text: str) -> float:
    """Return how long a token shall live; ArgumentTypeError names what is no such time."""
    with contextlib.suppress(ValueError):
        if 0 < (life := float(text)) < math.inf:
            return life
    raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, more than 0")


def example(options: argparse.Namespace) -> AbstractAsyncContextManager[tuple[str, ...]]:
    """Return the servers that the command line asks for, not yet begun."""
    if options.server == "gotrue":
        return gotrue_example(port=options.port, token_life=options.jwt_expiry)
    core_port = CORE_PORT if options.core_port is None else options.core_port
    return supertokens_example(
        port=options.port, core_port=core_port, token_life=options.jwt_expiry
    )


async def serve(servers: AbstractAsyncContextManager[tuple[str, ...]], jwt_expiry: float) -> None:
    """Run *servers* until a signal ends them."""
    async with servers as lines:
        note = f"A token lives for {jwt_expiry:g} s. Ctrl-C ends the server, and all that it knows."
        sys.stdout.write("\n".join([*lines, note, ""]))
        sys.stdout.flush()
        stopped = asyncio.Event()
        # Where there are none, Ctrl-C is a KeyboardInterrupt. What a shell starts in the background
        # would ignore it otherwise.
        with contextlib.suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()


if __name__ == "__main__":
    main()
