"""stdout: what a terminal gets, and what everything else gets."""

from __future__ import annotations

import io
import os
import sys

import pytest
from rich.console import Console
from rich.text import Text

from async_auth.cli import output


class Terminal(io.StringIO):
    """Something that says that it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


@pytest.mark.parametrize(
    "stdout, term, expected",
    [
        (Terminal(), "xterm", True),
        (Terminal(), "dumb", False),
        (Terminal(), "", False),
        (io.StringIO(), "xterm", False),
        (None, "xterm", False),
    ],
)
def test_what_can_move_its_cursor(monkeypatch, stdout, term, expected):
    """A terminal that is not dumb."""
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("TERM", term)

    assert expected == output.moves()


def test_lines_are_not_wrapped_where_no_terminal_is(capsys):
    """Whoever reads them wants them whole."""
    output.console().print("x" * 500)

    assert f"{'x' * 500}\n" == capsys.readouterr().out


def test_an_encoding_that_lacks_a_letter(monkeypatch):
    """Its escape is written."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    output.spare_the_encoding()
    stdout.write("ä")
    stdout.flush()

    assert b"\\xe4" == stdout.buffer.getvalue()
    monkeypatch.undo()


def test_no_stdout(monkeypatch):
    """There is nothing to give up, and that is no error; nothing is opened for it either."""
    monkeypatch.setattr(sys, "stdout", None)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *_: pytest.fail("something was opened"))
        output.give_up_stdout()
    output.spare_the_encoding()


@pytest.mark.parametrize(
    "width, soft_wrap, expected",
    [
        (40, False, ["name      one two three four five six", "          seven eight"]),
        (40, True, ["name      one two three four five six seven eight"]),
        (80, False, ["name      one two three four five six seven eight"]),
    ],
)
def test_long_texts_hang(width, soft_wrap, expected):
    """Further lines begin where the first one's words do, if anything wraps at all."""
    out = Console(file=io.StringIO(), width=width, soft_wrap=soft_wrap, highlight=False)
    body = Text("one two three four five six seven eight")
    out.print(output.hang(out, output.label("name"), body))

    assert expected == [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_no_room_to_hang():
    """On a very narrow terminal the terminal wraps."""
    out = Console(file=io.StringIO(), width=20)

    assert (
        "name      one two three four"
        == output.hang(out, output.label("name"), Text("one two three four")).plain
    )
