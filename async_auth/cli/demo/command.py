"""`async-auth demo`: options, the password, the exit status. What runs is elsewhere."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path

import click

from async_auth.cli import exit_codes
from async_auth.cli.demo.drawing import Drawing
from async_auth.cli.demo.json_lines import JsonLines
from async_auth.cli.demo.lines import Lines
from async_auth.cli.demo.picture import Picture
from async_auth.cli.demo.places import Account, Embedded, Place, Real
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.scenario import run
from async_auth.cli.demo.view import View
from async_auth.cli.failure import Failure
from async_auth.cli.options import Seconds, json_option
from async_auth.cli.output import give_up_stdout, moves, spare_the_encoding
from async_auth.errors import AuthError

CANNOT_RUN = exit_codes.USAGE
PASSWORD_VARIABLE = "ASYNC_AUTH_PASSWORD"
#: Fifty workers: some 300 requests a second on loopback, 25 to somebody's real server.
PAUSE, REAL_PAUSE = 0.15, 2.0

EXIT_STATUS = """\b
Exit status:
  0  no worker saw anything but 200, and the server issued exactly one new
     refresh token per token life; also after Ctrl-C
  1  something else happened; the summary says what
  2  the demo could not run: bad options, sign-in refused, no server
"""


@click.command(epilog=EXIT_STATUS)
@click.option(
    "--seconds", type=Seconds(min=1), default=45.0, show_default=True, help="How long it runs."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="How many workers call the protected endpoint, all the time.",
)
@click.option(
    "--pause",
    type=Seconds(min=0.01),
    help=f"What a worker waits between two calls.  [default: {PAUSE}; with --url {REAL_PAUSE}]",
)
@json_option
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw what was shown into this file as well.",
)
@click.option(
    "--url", help="Use a real GoTrue, without faults: its auth root (https://.../auth/v1)."
)
@click.option("--api-key", envvar="ASYNC_AUTH_API_KEY", show_envvar=True, help="The key for --url.")
@click.option(
    "--email", help=f"Who signs in at --url; the password: {PASSWORD_VARIABLE}, or asked."
)
@click.option("--phone", help="The same, by number.")
# For our own tests, where nobody wants to wait for twelve seconds.
@click.option("--token-life", type=click.IntRange(2, 3600), default=12, hidden=True)
@click.option("--spell", type=Seconds(min=0.1), default=1.5, hidden=True)
@click.option("--retry-after", type=Seconds(min=0.05), default=1.0, hidden=True)
@click.pass_context
def demo(
    ctx: click.Context,
    *,
    seconds: float,
    workers: int,
    pause: float | None,
    as_json: bool,
    svg: Path | None,
    url: str | None,
    api_key: str | None,
    email: str | None,
    phone: str | None,
    token_life: int,
    spell: float,
    retry_after: float,
) -> None:
    """
    Watch one session serve many workers across outages.

    An embedded server issues tokens that live for 12 seconds. Fifty workers call an endpoint that
    checks them, through one aiohttp session. On the way the server answers a due refresh with 503
    for 1.5 seconds, and later loses the answer to one that it has carried out.
    """
    place: Place = Embedded()
    if url is not None:
        place = Real(url=url, api_key=api_key, account=ask_account(email, phone))
    elif email is not None or phone is not None:
        raise click.UsageError("--email and --phone go with --url.")
    if svg is not None and not os.access(svg.parent, os.W_OK | os.X_OK):
        raise click.UsageError(f"--svg: nothing can be written into {svg.parent}.")
    if pause is None:
        pause = PAUSE if url is None else REAL_PAUSE
    plan = Plan(
        seconds=seconds,
        workers=workers,
        pause=pause,
        token_life=token_life,
        spell=spell,
        retry_after=retry_after,
    )
    try:
        with choose_view(as_json=as_json, svg=svg) as view:
            summary = asyncio.run(run(plan, place, view))
    except AuthError as error:
        raise Failure.told(error, str(error), code=CANNOT_RUN, as_json=as_json) from error
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # whoever read has gone; click ends quietly
        give_up_stdout()
        message = f"The machine says: {error}"
        raise Failure.told(error, message, code=CANNOT_RUN, as_json=as_json) from error
    ctx.exit(0 if summary.ok else 1)


def ask_account(email: str | None, phone: str | None) -> Account:
    """
    Return who signs in; the password comes from the environment or from a prompt.

    Raises:
        click.UsageError: Neither or both are given, or there is nobody to ask.
    """
    if (email is None) == (phone is None):
        raise click.UsageError("--url needs --email or --phone, one of them.")
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError(f"Nobody to ask for the password: set {PASSWORD_VARIABLE}.")
        password = click.prompt("Password", hide_input=True, err=True)
    return Account(email=email, phone=phone, password=password)


def choose_view(*, as_json: bool, svg: Path | None = None) -> View:
    """
    Return the live picture for a terminal that can move its cursor, lines for all else.

    Args:
        as_json: JSON instead.
        svg: The file of a drawing beside it.
    """
    spare_the_encoding()
    shown: View = JsonLines() if as_json else Picture() if moves() else Lines()
    return shown if svg is None else Drawing(shown, svg)
