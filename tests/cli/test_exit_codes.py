"""Exit codes: which error is which number, and that the table says all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_auth import errors
from async_auth.cli import exit_codes
from async_auth.cli.exit_codes import code_of, hint_for

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.mark.parametrize(
    "error, code",
    [
        (errors.AuthSessionMissing(), 3),
        (errors.RefreshRejected("over"), 3),
        (errors.NetworkError("away"), 4),
        (errors.LockTimeout("held"), 4),
        (errors.Conflict("other"), 6),
        (errors.ConfigurationError("wrong"), 2),
        (errors.InvalidCredentials("wrong"), 5),
        (errors.ProtocolError("odd"), 5),
        (errors.Malformed("no token"), 5),
    ],
)
def test_the_code_says_what_to_do_next(error, code):
    """As the tree of the errors does."""
    assert code == code_of(error)


@pytest.mark.parametrize(
    "error, profile, hint",
    [
        (errors.AuthSessionMissing(), None, "Sign in: async-auth login"),
        (errors.AuthSessionMissing(), "work", "Sign in: async-auth login --profile work"),
        (errors.RateLimited("", retry_after=7.2), None, "Try again in 8 s."),
        (errors.RateLimited("", retry_after=0.2), None, "Try again in 1 s."),
        (errors.NetworkError("away"), None, "Try again later."),
        (errors.InvalidCredentials("wrong"), None, ""),
    ],
)
def test_the_hint_says_how(error, profile, hint):
    """Where the error's own text does not."""
    assert hint == hint_for(error, profile)


def test_the_table_is_complete():
    """Every code that there is has its line, in the help and in the README."""
    table, readme = exit_codes.table(), README.read_text(encoding="utf-8")

    for number, meaning in exit_codes.MEANINGS.items():
        assert f"  {number:<6} {meaning.replace('`', '')}" in table
        assert f"| {number} | {meaning} |" in readme
    named = (exit_codes.OK, exit_codes.TROUBLE, exit_codes.USAGE, exit_codes.SIGN_IN)
    later = (exit_codes.LATER, exit_codes.REFUSED, exit_codes.STORE, exit_codes.NOT_EXECUTABLE)
    assert {*map(str, (*named, *later)), "128+n"} == set(exit_codes.MEANINGS)
