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
        except AuthError as error:
            as_json, profile = ctx.meta.get(JSON_WANTED, False), ctx.meta.get(PROFILE_NAMED)
            raise Failure.of(error, profile=profile, as_json=as_json) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # whoever read has gone; click ends quietly
            give_up_stdout()
            facts = {"error": "OSError", "message": str(error), "exit_code": exit_codes.STORE}
            raise Failure(
                f"The machine says: {error}",
                code=exit_codes.STORE,
                facts=facts,
                as_json=ctx.meta.get(JSON_WANTED, False),
            ) from error
