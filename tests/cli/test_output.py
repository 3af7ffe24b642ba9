"""stdout: what a terminal gets, and what everything else gets."""

from __future__ import annotations

import io
import sys

import pytest

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
    """There is nothing to give up, and that is no error."""
    monkeypatch.setattr(sys, "stdout", None)
    output.give_up_stdout()
    output.spare_the_encoding()
