"""`async-auth logout`: ends the session here, and tells the server."""

from __future__ import annotations

from typing import Any

import click

from async_auth.cli import exit_codes, running
from async_auth.cli.clients import Opened, open_profile
from async_auth.cli.failure import Failure
from async_auth.cli.options import json_option, profile_option
from async_auth.cli.output import print_json
from async_auth.errors import ApiError, AuthError, ConfigurationError, TemporaryError
from async_auth.gotrue import GoTrueClient

SCOPES = ("local", "global", "others")
EXAMPLES = """\b
Examples:
  async-auth logout
  async-auth logout --scope global      # on every device
"""


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    help="GoTrue only: end this session (local, the default), all sessions of the user (global), "
    "or all but this one (others).",
)
@profile_option
@json_option
def logout(*, scope: str | None, profile: str | None, as_json: bool) -> None:
    """
    Sign out.

    The session goes here at once, whatever the server says; if the server cannot be told, the
    exit code is 4 (or 5, if it refuses) and nothing is left to do here. The profile stays, so that `login` needs no
    arguments the next time.
    """
    opened = open_profile(profile)
    if scope is not None and opened.profile.kind != "gotrue":
        raise ConfigurationError("scope: only GoTrue knows other scopes than this session.")
    try:
        was = running.run(leave(opened, scope=scope or "local"))
    except (TemporaryError, ApiError) as error:
        if scope == "others":
            raise
        raise untold(error, as_json=as_json) from error
    if as_json:
        facts: dict[str, Any] = {"profile": opened.profile.name, "was_signed_in": was}
        print_json({**facts, "scope": scope or "local"})
    else:
        click.echo(said(opened.profile.host, was=was, scope=scope))


async def leave(opened: Opened, *, scope: str) -> bool:
    """
    Sign out, and say whether there was a session.

    Raises:
        TemporaryError: The server could not be told. Here the session is gone all the same.
        ApiError: The server refused.
        StoreError: The session could not be removed.
    """
    async with opened.client as client:
        was = client.session is not None
        if isinstance(client, GoTrueClient):
            await client.sign_out(scope=scope)
        else:
            await client.sign_out()
        return was


def untold(error: AuthError, *, as_json: bool) -> Failure:
    """Return how it ends if the server could not be told; doing it again would do nothing."""
    message = f"You are signed out here, but the server could not be told: {error}"
    return Failure.told(error, message, code=exit_codes.code_of(error), as_json=as_json)


def said(host: str, *, was: bool, scope: str | None) -> str:
    """Return what has happened, for people."""
    if not was:
        return f"Nobody was signed in to {host}."
    if scope == "others":
        return f"All other sessions at {host} are over."
    return f"Signed out of {host}{' everywhere' if scope == 'global' else ''}."
