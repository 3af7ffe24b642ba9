"""What only the user knows: passwords and codes, from a prompt or from stdin, never an argument.

Server and account are asked for where the arguments leave them out. No secret that is typed is
shown, and the question goes to stderr, for stdout is the answer's.
"""

from __future__ import annotations

import sys

import click


def password(*, from_stdin: bool) -> str:
    """
    Return the password.

    Args:
        from_stdin: Whether stdin's first line is it, also where stdin is a terminal.

    Raises:
        click.UsageError: There is nobody to ask, or stdin is empty or no text.
    """
    if from_stdin:
        return _line("password")
    if not _terminal():
        raise click.UsageError("Nobody to ask for the password: give it to --password-stdin.")
    typed: str = click.prompt("Password", hide_input=True, err=True)
    return typed


def code(address: str) -> str:
    """
    Return the code that was sent to *address*: typed, or the next line of stdin.

    Raises:
        click.UsageError: stdin is empty or no text.
    """
    if not _terminal():
        click.echo(f"A code was sent to {address}.", err=True)
        return _line("code").strip()
    typed: str = click.prompt(f"The code that was sent to {address}", err=True)
    return typed.strip()


def server(api_key: str | None) -> tuple[str, str | None] | None:
    """
    Return GoTrue's auth root and its public key, or `None` where there is nobody to ask.

    Args:
        api_key: The key, if it is known; then it is not asked for.
    """
    if not _terminal():
        return None
    url: str = click.prompt("Auth server, as in https://x.supabase.co/auth/v1", err=True)
    if api_key is None:
        question = "Its public API key, if it has one"
        typed: str = click.prompt(question, default="", show_default=False, err=True)
        api_key = typed.strip() or None
    return url.strip(), api_key


def account() -> str:
    """
    Return the e-mail address or the phone number.

    Raises:
        click.UsageError: There is nobody to ask.
    """
    if not _terminal():
        raise click.UsageError("Who signs in? Give --email or --phone.")
    typed: str = click.prompt("E-mail address, or phone number with its +", err=True)
    return typed.strip()


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _line(what: str) -> str:
    # The line break is the terminal's or echo's; every other space may be meant.
    try:
        line = "" if sys.stdin is None else sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        # `from None`: the error holds what was read.
        raise click.UsageError(f"stdin is no text in {error.encoding}.") from None
    if not line:
        raise click.UsageError(f"stdin has no {what} in its first line.")
    return line
