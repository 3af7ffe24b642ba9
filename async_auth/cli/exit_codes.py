"""The exit codes of `async-auth`, one table for every command, and which error means which.

Pure. What a script can do next decides the number, as in the tree of the errors: sign in again,
try again later, correct the call.
"""

from __future__ import annotations

import math

from async_auth.errors import (
    AuthError,
    ConfigurationError,
    SignInRequired,
    StoreError,
    TemporaryError,
)

OK = 0
TROUBLE = 1
USAGE = 2
SIGN_IN = 3
LATER = 4
REFUSED = 5
STORE = 6
NOT_EXECUTABLE = 126
NOT_FOUND = 127
#: Plus the signal's number, as shells have it.
BY_SIGNAL = 128

#: What each number means, as README and `--help` say it.
MEANINGS = {
    "0": "all is well",
    "1": "`doctor` found trouble; or nobody reads the output any more",
    "2": "the call or the configuration is wrong; the message names what",
    "3": "nobody is signed in, or the server ended the session: `login`",
    "4": "the server is away: try again later; a session that there is stays",
    "5": "the server refused (a wrong password, a wrong code, …)",
    "6": "the session cannot be read or written: disk, keyring",
    "126": "`exec`: the program cannot be run; 127: there is none of that name",
    "128+n": "ended by signal n (130 is Ctrl-C); of `exec`, the program was",
}


def code_of(error: AuthError) -> int:
    """Return the exit code that *error* means."""
    match error:
        case SignInRequired():
            return SIGN_IN
        case TemporaryError():
            return LATER
        case StoreError():
            return STORE
        case ConfigurationError():
            return USAGE
        case _:
            return REFUSED


def hint_for(error: AuthError, profile: str | None) -> str:
    """
    Return what to do about *error*, where its own text does not say; empty if there is nothing.

    Args:
        error: What happened.
        profile: The profile that was named on the command line, if one was.
    """
    match error:
        case SignInRequired():
            return f"Sign in: {login_command(profile)}"
        case TemporaryError(retry_after=seconds):
            when = "later" if seconds is None else f"in {math.ceil(seconds)} s"
            return f"Try again {when}."
        case _:
            return ""


def login_command(profile: str | None) -> str:
    """Return how to sign in with *profile*."""
    return "async-auth login" if profile is None else f"async-auth login --profile {profile}"


def table() -> str:
    """Return the table as it stands at the end of a help text."""
    lines = [f"  {number:<6} {meaning.replace('`', '')}" for number, meaning in MEANINGS.items()]
    return "\n".join(["\b", "Exit codes:", *lines])
