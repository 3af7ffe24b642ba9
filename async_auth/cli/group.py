"""The group that the commands hang in: it imports each when it is wanted, and knows how they end.

A `token` in a cron job shall not pay for the demo. Whatever a command raises becomes an exit code
and a line here, once for all of them; what no code is for is a mistake, and stays a traceback.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from async_auth.cli import exit_codes
from async_auth.cli.failure import JSON_WANTED, PROFILE_NAMED, Failure
from async_auth.cli.output import give_up_stdout
from async_auth.cli.running import Ended
from async_auth.errors import AuthError


class Commands(click.Group):
    """
    A group of commands that are imported on first use.

    Args:
        places: By name, in the order of the help: `module:command`.
        options: As of click's group.
    """

    def __init__(self, *, places: Mapping[str, str], **options: Any):
        super().__init__(**options)
        self._places = dict(places)

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self._places)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Return the command, or `None`."""
        place = self._places.get(name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its failures become exit codes."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            # The terminal has echoed ^C, or a prompt stands open.
            click.echo(err=True)
            ctx.exit(exit_codes.BY_SIGNAL + signal.SIGINT)
        except Ended as ended:
            ctx.exit(exit_codes.BY_SIGNAL + ended.number)
        except (AuthError, OSError, click.UsageError) as error:
            failure = failure_of(error, ctx.meta)
            if failure is None:
                raise
            raise failure from error


def failure_of(error: Exception, said: Mapping[str, Any]) -> Failure | None:
    """
    Return how a command ends because of *error*, or `None` if that is click's to say.

    Args:
        error: What the command raised.
        said: What the options said.
    """
    as_json = said.get(JSON_WANTED, False)
    match error:
        case AuthError():
            return Failure.of(error, profile=said.get(PROFILE_NAMED), as_json=as_json)
        case OSError(errno=errno.EPIPE):
            return None  # whoever read has gone; click ends quietly
        case OSError():
            give_up_stdout()
            message = f"The machine says: {error}"
            return Failure.told(error, message, code=exit_codes.STORE, as_json=as_json)
        case click.UsageError() if as_json:
            message = error.format_message()
            return Failure.told(error, message, code=exit_codes.USAGE, as_json=True)
        case _:
            return None
