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

from async_auth.cli.words import WIDTH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Columns in which wrapping words still makes sense.
ROOM_LEAST = 20
#: Terminals that cannot move their cursor.
DUMB = {"", "dumb", "unknown"}


def give_up_stdout() -> None:
    """Let what could not be written go: at exit Python would try once more, and complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout)
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


def label(name: str) -> Text:
    """Return what stands at the left of a row."""
    from rich.text import Text

    return Text(f"{name:<{WIDTH}}", style="dim")


def hang(out: Console, head: Text, body: Text) -> Text:
    """
    Return *head* and *body* as one text, whose further lines begin where the body does.

    Args:
        out: Where it goes. What does not wrap there is one line.
        head: What stands at the left.
        body: What is too long, perhaps.
    """
    from rich.text import Text

    room = out.width - head.cell_len
    if out.soft_wrap or room < ROOM_LEAST or body.cell_len <= room:
        return Text.assemble(head, body)
    indent = Text(" " * head.cell_len)
    lines = [Text.assemble(indent, line) for line in body.wrap(out, room)]
    first = Text.assemble(head, lines[0][head.cell_len :])
    return Text("\n").join([first, *lines[1:]])


def print_json(facts: dict[str, Any]) -> None:
    """Print one object on one line, at once."""
    click.echo(json.dumps(facts))
