"""What goes to stdout: text in rows, or JSON, whatever reads it.

Promises that an encoding that has not every character costs a character and not the command, and
that colour and drawings are for terminals alone (`NO_COLOR` is respected). Nothing is told by
colour alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

#: Terminals that cannot move their cursor.
DUMB = {"", "dumb", "unknown"}


def give_up_stdout() -> None:
    """Let what could not be written go: at exit Python would try once more, and complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def spare_the_encoding() -> None:
    """Let a character that stdout's encoding lacks be written as its escape."""
    # A server's words must not end a command where the output is plain ASCII.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def moves() -> bool:
    """Say whether stdout is a terminal that can move its cursor."""
    stdout = sys.stdout
    return stdout is not None and stdout.isatty() and os.environ.get("TERM", "") not in DUMB


def console() -> Console:
    """Return stdout for rows: nothing is cut or wrapped where no terminal is."""
    from rich.console import Console

    spare_the_encoding()
    return Console(highlight=False, soft_wrap=not moves())


def print_json(facts: dict[str, Any]) -> None:
    """Print one object on one line, at once."""
    click.echo(json.dumps(facts))
