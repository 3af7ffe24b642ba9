"""`async-auth status`: who is signed in, for how long, and where that is kept. Asks no server."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.text import Text

from async_auth.cli import exit_codes, running, words
from async_auth.cli.clients import Opened, open_profile
from async_auth.cli.life_bar import STATUS_STYLES, bar
from async_auth.cli.options import json_option, profile_option
from async_auth.cli.output import console, label, moves, print_json
from async_auth.cli.standing import Standing, standing_of

EXAMPLES = """\b
Examples:
  async-auth status
  async-auth status --profile work --json
  async-auth status >/dev/null || async-auth login
"""
#: The widest bar: more says no more.
BAR_MAX = 40


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@profile_option
@json_option
def status(*, profile: str | None, as_json: bool) -> None:
    """
    Say who is signed in and for how long.

    It looks at what is stored and asks no server: `doctor` does. The exit code is 0 if there is a
    session that can give a token, 3 if somebody has to sign in.
    """
    opened = open_profile(profile)
    now, standing = time.time(), running.run(look(opened))
    if as_json:
        print_json(facts(opened, standing))
    else:
        login = exit_codes.login_command(profile)
        out = console()
        width = bar_width(out) if moves() else 0
        lines = rows(
            opened, standing, now=now, login=login, width=width, ascii_only=out.options.ascii_only
        )
        for line in lines:
            out.print(line)
    click.get_current_context().exit(exit_codes.OK if standing.signed_in else exit_codes.SIGN_IN)


async def look(opened: Opened) -> Standing:
    """
    Return how the stored session stands.

    Raises:
        StoreError: It cannot be read.
    """
    async with opened.client as client:
        return standing_of(client.session, client.status, now=time.time())


def facts(opened: Opened, standing: Standing) -> dict[str, object]:
    """Return it for JSON."""
    one = opened.profile
    return {
        "profile": one.name,
        "kind": one.kind,
        "url": one.url,
        "kept_in": {"store": one.keep, "place": opened.place},
        **standing.facts(),
    }


def bar_width(out: Console) -> int:
    """Return how wide the bar is on this terminal."""
    return max(min(out.width - words.WIDTH - len("  59 min 59 s left, expired"), BAR_MAX), 0)


def rows(
    opened: Opened,
    standing: Standing,
    *,
    now: float,
    login: str,
    width: int = 0,
    ascii_only: bool = False,
) -> list[Text]:
    """
    Return what is to be said, line by line.

    Args:
        opened: The profile.
        standing: How its session stands.
        now: Unix seconds.
        login: The command that signs in.
        width: Of the bar; 0 for none.
        ascii_only: Whether the terminal knows nothing else.
    """
    lines = [Text(words.headline(opened.profile, standing), style="bold")]
    style = STATUS_STYLES.get(standing.status, "")
    if standing.generation:
        lines.append(
            Text.assemble(label("token"), (life(standing, width, ascii_only=ascii_only), style))
        )
        if standing.signed_in:
            lines.append(
                Text.assemble(label("refresh"), words.refresh(standing, now=now, alone=True))
            )
    lines.append(Text.assemble(label("kept in"), opened.place))
    if told := words.advice(standing, login):
        lines.append(Text(told))
    return lines


def life(standing: Standing, width: int, *, ascii_only: bool = False) -> str:
    """Return what the token has left, with a bar if it has a known life and there is room."""
    text = words.left(standing)
    if width <= 0 or standing.left is None or not standing.life:
        return text
    drawn = bar(
        standing.left / standing.life,
        standing.margin / standing.life,
        width,
        ascii_only=ascii_only,
    )
    return f"{drawn}  {text}"
