"""The options that every command has, and what they leave for whoever reports a failure."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from async_auth.cli.failure import JSON_WANTED, PROFILE_NAMED
from async_auth.errors import AuthError

F = TypeVar("F", bound=Callable[..., Any])

PROFILE_VARIABLE = "ASYNC_AUTH_PROFILE"


class Seconds(click.FloatRange):
    """A finite number of seconds, at least *min*."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail in click's way."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail("it must be a finite number of seconds.", param, ctx)
        return number


def complete_profile(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the profiles whose names begin so; none if they cannot be read."""
    from async_auth.cli.profile_file import read_profiles

    with contextlib.suppress(AuthError, OSError):
        profiles = read_profiles().profiles
        return [
            CompletionItem(name, help=one.host)
            for name, one in sorted(profiles.items())
            if name.startswith(typed)
        ]
    return []


def _note(place: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def note(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        if value is None or value is False:
            # What was said of a group holds for its commands: all contexts share what is noted.
            value = ctx.meta.get(place, value)
        ctx.meta[place] = value
        return value

    return note


def profile_option(command: F) -> F:
    """Add `--profile`."""
    return click.option(
        "--profile",
        metavar="NAME",
        envvar=PROFILE_VARIABLE,
        show_envvar=True,
        is_eager=True,
        callback=_note(PROFILE_NAMED),
        shell_complete=complete_profile,
        help="Which profile; by default the one that `async-auth profiles` marks.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,
        callback=_note(JSON_WANTED),
        help="Print JSON; failures too, on stderr.",
    )(command)
