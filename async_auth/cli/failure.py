"""How a command ends that cannot do its work: one line, or one JSON object, on stderr.

stdout stays empty then, so that `$(async-auth token)` is a token or nothing.
"""

from __future__ import annotations

import json
from typing import IO, Any

import click

from async_auth.cli import exit_codes
from async_auth.errors import AuthError, AuthSessionMissing

#: Where a context keeps what the options said, for whoever reports a failure.
JSON_WANTED = "async_auth.json"
PROFILE_NAMED = "async_auth.profile"


class Failure(click.ClickException):
    """
    What kept a command from its work.

    Args:
        message: What happened, for people.
        code: The exit code.
        facts: The same for programs.
        as_json: Whether programs want to know.
    """

    def __init__(self, message: str, *, code: int, facts: dict[str, Any], as_json: bool):
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.facts = facts
        self.as_json = as_json

    @classmethod
    def of(cls, error: AuthError, *, profile: str | None, as_json: bool) -> Failure:
        """Return what *error* is to whoever called the command."""
        code = exit_codes.code_of(error)
        hint = exit_codes.hint_for(error, profile)
        text = text_of(error)
        facts = facts_of(error, text, hint=hint, exit_code=code)
        message = f"{text}\n{hint}" if hint else text
        return cls(message, code=code, facts=facts, as_json=as_json)

    @classmethod
    def told(cls, error: Exception, message: str, *, code: int, as_json: bool) -> Failure:
        """Return what *error* is to whoever called the command, if *message* says all of it."""
        facts = facts_of(error, message, exit_code=code)
        return cls(message, code=code, facts=facts, as_json=as_json)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        if self.as_json:
            click.echo(json.dumps(self.facts), file=file, err=file is None)
        else:
            super().show(file)


def text_of(error: AuthError) -> str:
    """Return what *error* says to people."""
    if not isinstance(error, AuthSessionMissing) or error.code is not None:
        return str(error)
    # Its status is the number that auth-js gives it; no server has said so.
    bare = error.message == AuthSessionMissing().message
    return "Nobody is signed in." if bare else error.message


def facts_of(error: Exception, message: str, *, exit_code: int, hint: str = "") -> dict[str, Any]:
    """Return what JSON says of a failure: always the same members."""
    return {
        "error": type(error).__name__,
        "message": message,
        "code": getattr(error, "code", None),
        "status": getattr(error, "status", None),
        "retry_after": getattr(error, "retry_after", None),
        "hint": hint or None,
        "exit_code": exit_code,
    }
