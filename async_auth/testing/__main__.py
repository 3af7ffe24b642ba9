"""`python -m async_auth.testing`: a GoTrue server on this machine, to try the examples against.

It knows the account of the examples, and needs nothing but the package: neither an extra nor a
network. All that it knows ends with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from async_auth.errors import ConfigurationError
from async_auth.testing.gotrue_server import GoTrueServer

#: Who signs in, in README and docs.
EMAIL, PASSWORD = "bot@example.com", "correct-horse-battery"
PORT = 9999
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
        description="Run a GoTrue server on this machine, to try things against.",
    )
    parser.add_argument("--port", type=int, default=PORT, help="0 for a free one  [%(default)s]")
    parser.add_argument(
        "--jwt-expiry",
        type=float,
        metavar="SECONDS",
        default=JWT_EXPIRY,
        help="how long an access token lives  [%(default)s]",
    )
    options = parser.parse_args(arguments)
    try:
        # Signed by a key that is published, so that `JWTVerifier(jwks=…)` can be tried as well.
        server = GoTrueServer(port=options.port, jwt_expiry=options.jwt_expiry, algorithm="ES256")
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(server, options.jwt_expiry))
    except (ConfigurationError, OSError, OverflowError) as error:
        parser.error(str(error))


async def serve(server: GoTrueServer, jwt_expiry: float) -> None:
    """Run *server*, with the account, until a signal ends it."""
    async with server:
        server.create_user(email=EMAIL, password=PASSWORD)
        lines = [
            f"auth server  {server.url}",
            f"an API       {server.protected_url}",
            f"account      {EMAIL}, {PASSWORD}",
            f"A token lives for {jwt_expiry:g} s. Ctrl-C ends the server, and all that it knows.",
        ]
        sys.stdout.write("\n".join([*lines, ""]))
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
