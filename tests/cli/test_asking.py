"""Passwords and codes from stdin; how prompts behave is seen on a terminal (test_terminal.py)."""

from __future__ import annotations

import io

import click
import pytest

from async_auth.cli import asking


@pytest.fixture
def stdin(monkeypatch):
    """Return a function that makes stdin hold a text."""
    return lambda text: monkeypatch.setattr("sys.stdin", text and io.StringIO(text))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("hush\n", "hush"),
        ("hush\r\nmore\n", "hush"),
        (" spaces meant \n", " spaces meant "),
        ("x", "x"),
    ],
)
def test_a_password_is_the_first_line(stdin, text, expected):
    """But for the line break, as it is."""
    stdin(text)

    assert expected == asking.password(from_stdin=True)


@pytest.mark.parametrize("text", [None, "\n"])
def test_no_password(stdin, text):
    """Nothing is no password."""
    stdin(text)

    with pytest.raises(click.UsageError, match="stdin has no password"):
        asking.password(from_stdin=True)


def test_a_password_that_is_no_text(monkeypatch):
    """It is said in a line, which does not repeat it."""
    file = io.TextIOWrapper(io.BytesIO("hüsh\n".encode("latin-1")), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", file)

    with pytest.raises(click.UsageError, match="stdin is no text in utf-8") as caught:
        asking.password(from_stdin=True)
    assert None is caught.value.__cause__


@pytest.mark.parametrize("text", [None, "hush\n"])
def test_stdin_is_read_only_when_somebody_says_so(stdin, text):
    """What it holds may be for somebody else."""
    stdin(text)

    with pytest.raises(click.UsageError, match="--password-stdin"):
        asking.password(from_stdin=False)


def test_a_code(stdin, capsys):
    """Spaces around it are a copy's; where it was sent is told on stderr."""
    stdin(" 123456 \n")

    assert "123456" == asking.code("ada@example.com")
    assert ("", "A code was sent to ada@example.com.\n") == tuple(capsys.readouterr())


def test_nobody_to_ask_who_it_is(stdin):
    """An account is no secret: it is an option."""
    stdin("ada@example.com\n")

    with pytest.raises(click.UsageError, match="--email or --phone"):
        asking.account()
