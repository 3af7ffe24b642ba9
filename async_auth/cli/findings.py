"""What `doctor` makes of what it has seen: what is wrong, and what to do. Pure.

`trouble` is what keeps a token away, or will; `note` is what one should know; only the first
makes the exit code 1.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus

import attrs

from async_auth.cli import words
from async_auth.cli.exit_codes import login_command
from async_auth.cli.keeping import first_sentence
from async_auth.cli.profile import API_KEY_VARIABLE, Keep, Profile
from async_auth.cli.standing import Standing
from async_auth.core.retry_after import parse_http_date
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    NetworkError,
    SignInRequired,
    StoreError,
    TemporaryError,
)
from async_auth.http_messages import Response
from async_auth.stores.mounts import Mount

#: Seconds. `Date` has whole ones only, and an answer takes its time.
SKEW_LEAST = 5.0
#: Seconds from which others will refuse tokens by their times.
SKEW_TROUBLE = 60.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    TROUBLE = "trouble"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Finding:
    """
    One thing that was looked at.

    Args:
        name: What.
        level: How bad it is.
        text: What was found.
        advice: What to do; empty if there is nothing to do.
    """

    name: str
    level: Level = Level.OK
    text: str
    advice: str = ""


def all_well(findings: Sequence[Finding]) -> bool:
    """Say whether none of them is trouble."""
    return all(one.level is not Level.TROUBLE for one in findings)


def verdict(findings: Sequence[Finding]) -> str:
    """Return what it comes to."""
    count = sum(one.level is Level.TROUBLE for one in findings)
    if count == 0:
        return "All is well."
    return "One thing is wrong." if count == 1 else f"{count} things are wrong."


def skipped(name: str, because: str) -> Finding:
    """Return that something could not be looked at."""
    return Finding(name=name, level=Level.SKIPPED, text=because)


def profile_missing(error: AuthError, login: str) -> Finding:
    """Return that there is no such profile, or that the file cannot be read."""
    advice = f"Sign in: {login}" if isinstance(error, SignInRequired) else ""
    return Finding(name="profile", level=Level.TROUBLE, text=error.message, advice=advice)


def profile_found(profile: Profile, path: str, mode: int) -> Finding:
    """
    Return what is to be said of the profile and its file.

    Args:
        profile: The profile.
        path: The file, for people.
        mode: The file's.
    """
    text = f"{profile.name}: {profile.url} ({profile.system}), in {path}"
    if mode & OTHERS:
        return Finding(
            name="profile",
            level=Level.TROUBLE,
            text=f"{text}: other users may read or change it (mode {stat.S_IMODE(mode):o})",
            advice=f"chmod 600 {path}",
        )
    return Finding(name="profile", text=text)


def folder_failed(error: AuthError) -> Finding:
    """Return that the folder of the sessions cannot be used."""
    return Finding(
        name="folder",
        level=Level.TROUBLE,
        text=error.message,
        advice="Mend it, or name another place by XDG_STATE_HOME, and sign in again.",
    )


def folder_found(folder: str, mode: int, mount: Mount | None, set_aside: Sequence[str]) -> Finding:
    """
    Return what is to be said of the folder of the sessions.

    Args:
        folder: The folder, for people.
        mode: Its mode.
        mount: What it is on, if that is known.
        set_aside: Files in it that could not be read.
    """
    text = f"{folder}, mode {stat.S_IMODE(mode):o}"
    if mode & OTHERS:
        return Finding(
            name="folder",
            level=Level.TROUBLE,
            text=f"{text}: other users may look into it",
            advice=f"chmod 700 {folder}",
        )
    if mount is not None and mount.remote:
        return Finding(
            name="folder",
            level=Level.NOTE,
            text=f"{text}, on a network file system ({mount.kind})",
            advice="Use it from one machine only, or set XDG_STATE_HOME to a local disk.",
        )
    if set_aside:
        return Finding(
            name="folder",
            level=Level.NOTE,
            text=f"{text}; damaged sessions were set aside: {', '.join(set_aside)}",
            advice="Look at the disk, then remove them.",
        )
    return Finding(name="folder", text=text)


def keyring_found(backend: str, keep: Keep) -> Finding:
    """Return that the keyring works."""
    used = "the session is there" if keep == "keyring" else "not used by this profile"
    return Finding(name="keyring", text=f"{backend} works; {used}")


def keyring_failed(error: AuthError, keep: Keep, login: str) -> Finding:
    """
    Return that there is no keyring: that matters if the session is there.

    Args:
        error: Why it cannot be used.
        keep: Where the session is.
        login: The command that signs in.
    """
    cause = error.__cause__
    text = first_sentence(cause.message if isinstance(cause, AuthError) else error.message)
    if keep == "file":
        return Finding(name="keyring", level=Level.NOTE, text=f"{text} The session is in a file.")
    return Finding(
        name="keyring",
        level=Level.TROUBLE,
        text=text,
        advice=f"Unlock the keyring, or keep the session in a file: {login} --keep file",
    )


def server_failed(profile: Profile, error: AuthError) -> Finding:
    """Return that no answer came."""
    advice = "Look at the network, at proxies, and at the address."
    if isinstance(error, ConfigurationError):
        advice = "Correct the address."
    elif not isinstance(error, NetworkError | TemporaryError):
        advice = ""
    return Finding(
        name="server",
        level=Level.TROUBLE,
        text=f"{profile.host} cannot be asked: {error}",
        advice=advice,
    )


def server_answered(profile: Profile, response: Response, seconds: float) -> Finding:
    """
    Return what an answer says of the server.

    Args:
        profile: The profile.
        response: The answer to a request that needs no session.
        seconds: How long it took.
    """
    status = response.status
    text = f"{profile.host} answered {status} in {seconds * 1000:.0f} ms"
    advice = ""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = "The server, or a proxy before it, has a problem of its own; try again later."
    elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        advice = (
            f"Give the project's public key: {login_command(profile.name)} --api-key KEY, or set "
            f"{API_KEY_VARIABLE}."
        )
    elif status >= HTTPStatus.MULTIPLE_CHOICES and profile.kind == "gotrue":
        advice = "Is this the auth root? Supabase's is https://<project>.supabase.co/auth/v1."
    elif status >= HTTPStatus.MULTIPLE_CHOICES:
        advice = f"Are the session routes below {profile.base_path}? If not: --base-path"
    if advice:
        return Finding(name="server", level=Level.TROUBLE, text=text, advice=advice)
    return Finding(name="server", text=text)


def clock_found(response: Response, *, sent_at: float, came_at: float) -> Finding:
    """
    Return how far this machine's clock is from the server's.

    Args:
        response: An answer; its `Date` counts.
        sent_at: When it was asked for, in unix seconds.
        came_at: When it was there.
    """
    date = parse_http_date(response.headers.get("Date"))
    if date is None:
        return skipped("clock", "the server does not say what time it is")
    # `Date` is cut down to whole seconds: half a second more is right on average.
    ahead = (sent_at + came_at) / 2 - (date + 0.5)
    if abs(ahead) <= SKEW_LEAST:
        return Finding(name="clock", text="right, by the server's")
    side = "ahead of" if ahead > 0 else "behind"
    text = f"this machine is {words.duration(abs(ahead))} {side} the server"
    if abs(ahead) < SKEW_TROUBLE:
        return Finding(name="clock", level=Level.NOTE, text=f"{text}; that is allowed for here")
    return Finding(
        name="clock",
        level=Level.TROUBLE,
        text=f"{text}; that is allowed for here, but not by everybody who verifies tokens",
        advice="Set the clock: timedatectl set-ntp true",
    )


def session_found(standing: Standing, *, verified: bool) -> Finding:
    """Return that there is a session that gives tokens."""
    who = standing.user or "somebody"
    text = f"{who}, token {standing.generation}: {words.left(standing)}"
    if not standing.refreshable:
        return Finding(
            name="session",
            level=Level.NOTE,
            text=f"{text}; it cannot be refreshed",
            advice="Sign in again when it has expired.",
        )
    return Finding(name="session", text=f"{text}{'; the server accepts it' if verified else ''}")


def session_failed(error: AuthError, login: str) -> Finding:
    """Return why there is no token."""
    match error:
        case SignInRequired():
            advice = f"Sign in: {login}"
        case TemporaryError():
            advice = "The session is kept; the next call tries again."
        case StoreError():
            advice = "See folder and keyring."
        case _:
            advice = f"The server refuses the token. Sign in again: {login}"
    text = "nobody is signed in" if isinstance(error, AuthSessionMissing) else str(error)
    return Finding(name="session", level=Level.TROUBLE, text=text, advice=advice)
