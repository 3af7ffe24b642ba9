"""`async-auth exec -- program`: runs a program with a token, and a way to get the next one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import click

from async_auth.cli import child, exit_codes, running
from async_auth.cli.clients import Opened, open_profile
from async_auth.cli.failure import Failure
from async_auth.cli.options import json_option, profile_option
from async_auth.cli.token_endpoint import Place, serving
from async_auth.loopback import HOST
from async_auth.session import AccessToken

TOKEN_VARIABLE = "ASYNC_AUTH_TOKEN"
URL_VARIABLE = "ASYNC_AUTH_TOKEN_URL"
SECRET_VARIABLE = "ASYNC_AUTH_TOKEN_SECRET"
PROXIES, NO_PROXIES = {"http_proxy", "all_proxy"}, ("no_proxy", "NO_PROXY")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

EXAMPLES = """\b
Examples:
  async-auth exec -- ./nightly-job --full
  async-auth exec --env SUPABASE_ACCESS_TOKEN -- supabase projects list
  async-auth exec -- sh -c 'echo "$ASYNC_AUTH_TOKEN" | wc -c'

\b
A new token, from within (others see the arguments of programs: not there):
  echo "Authorization: Bearer $ASYNC_AUTH_TOKEN_SECRET" |
    curl -H @- "$ASYNC_AUTH_TOKEN_URL"
"""


@click.command(
    "exec",
    epilog=f"{EXAMPLES}\n{exit_codes.table()}",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--env",
    "names",
    multiple=True,
    metavar="NAME",
    help="Put the token into this variable, too; may be given more than once.",
)
@profile_option
@json_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(
    *, names: tuple[str, ...], profile: str | None, as_json: bool, command: tuple[str, ...]
) -> None:
    """
    Run a program with a token in its environment.

    ASYNC_AUTH_TOKEN is a token that is valid when the program starts. One that runs for longer
    gets a new one from ASYNC_AUTH_TOKEN_URL, which only this machine can reach and only who knows
    ASYNC_AUTH_TOKEN_SECRET: GET it, as text or (Accept: application/json) as JSON; after a 401,
    POST the refused token there. It answers 503 while there is no token for now, and 410 when
    somebody has to sign in. Where http_proxy is set, no_proxy gets 127.0.0.1. Signals are passed
    on, and the exit code is the program's.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise click.UsageError(f"--env: {name!r} cannot be the name of a variable.")
    opened = open_profile(profile)
    try:
        code = running.run(run(opened, command, names))
    except OSError as error:
        if error.filename != command[0]:
            raise  # it is not about the program
        raise cannot_run(command[0], error, as_json=as_json) from error
    click.get_current_context().exit(code)


async def run(opened: Opened, command: Sequence[str], names: Sequence[str]) -> int:
    """
    Run *command* and return its exit code.

    Raises:
        SignInRequired: Nobody is signed in.
        TemporaryError: There is no valid token for now.
        StoreError: The session cannot be read.
        OSError: The program cannot be started.
    """
    async with opened.client as client:
        token = await client.get_token()
        async with serving(client.manager) as place:
            return await child.run(command, environment(os.environ, token, place, names))


def environment(
    inherited: Mapping[str, str], token: AccessToken, place: Place, names: Sequence[str]
) -> dict[str, str]:
    """
    Return the program's environment. Pure.

    Where there is a proxy, its exceptions get our endpoint: it would be told the secret, and
    could not reach what is on this machine.
    """
    return {
        **inherited,
        **without_proxy(inherited),
        **dict.fromkeys(names, token.value),
        TOKEN_VARIABLE: token.value,
        URL_VARIABLE: place.url,
        SECRET_VARIABLE: place.secret,
    }


def without_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps requests to our endpoint from a proxy, if there is one. Pure."""
    if not any(name.lower() in PROXIES and value for name, value in inherited.items()):
        return {}
    # Small letters go first, as curl and Python have it.
    known = next((inherited[name] for name in NO_PROXIES if inherited.get(name)), "")
    if known.strip() == "*":
        return {}  # all of them are exceptions, as long as the star stands alone
    return dict.fromkeys(NO_PROXIES, f"{known},{HOST}" if known else HOST)


def cannot_run(program: str, error: OSError, *, as_json: bool) -> Failure:
    """Return why the program did not start."""
    missing = isinstance(error, FileNotFoundError)
    code = exit_codes.NOT_FOUND if missing else exit_codes.NOT_EXECUTABLE
    message = f"{program} cannot be run: {error.strerror}."
    return Failure.told(error, message, code=code, as_json=as_json)
