"""`async-auth doctor`: looks at everything a token needs, and says what is wrong and what to do.

Here is only the looking; what it means is `findings`' to say. A token that is due is refreshed,
as any call would.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401 - loaded before a server's answer is timed
import click
from rich.text import Text

from async_auth.cli import exit_codes, findings, running
from async_auth.cli.clients import make_client
from async_auth.cli.findings import Finding, Level
from async_auth.cli.keeping import open_store, short
from async_auth.cli.options import json_option, profile_option
from async_auth.cli.output import console, hang, print_json
from async_auth.cli.profile import Keep, Profile
from async_auth.cli.profile_file import profiles_path, read_profiles
from async_auth.cli.standing import standing_of
from async_auth.errors import AuthError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue import requests as gotrue_requests
from async_auth.http_messages import Request, Response
from async_auth.stores.file import FileStore
from async_auth.stores.memory import MemoryStore
from async_auth.stores.mounts import mount_of
from async_auth.stores.os_errors import store_error
from async_auth.supertokens import SuperTokensClient

EXAMPLES = """\b
Examples:
  async-auth doctor
  async-auth doctor --profile work --json
  async-auth doctor || mail -s "async-auth" ada@example.com
"""
#: Bytes; sessions have some thousands.
PROBE = 16 * 1024
#: The column in which the texts begin.
INDENT = 18
LEVEL_STYLES = {
    Level.OK: "green",
    Level.NOTE: "yellow",
    Level.TROUBLE: "bold red",
    Level.SKIPPED: "dim",
}


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@profile_option
@json_option
def doctor(*, profile: str | None, as_json: bool) -> None:
    """
    Look for what is wrong, and say what to do.

    It looks at the profile, at the folder and the keyring that sessions are kept in, at the
    server, at this machine's clock, and at the session. The exit code is 0 if all is well, and 1
    if something is wrong; a note is not.
    """
    found = running.run(examine(profile))
    well = findings.all_well(found)
    if as_json:
        print_json({"ok": well, "findings": [facts(one) for one in found]})
    else:
        out = console()
        for head, body in rows(found, arrow="->" if out.options.ascii_only else "→"):
            out.print(hang(out, head, body))
        well_style = "bold green" if well else "bold red"
        out.print(Text(f"\n{findings.verdict(found)}", style=well_style))
    click.get_current_context().exit(exit_codes.OK if well else exit_codes.TROUBLE)


def facts(finding: Finding) -> dict[str, Any]:
    """Return a finding for JSON."""
    return {
        "name": finding.name,
        "level": finding.level.value,
        "text": finding.text,
        "advice": finding.advice or None,
    }


def rows(found: list[Finding], *, arrow: str) -> list[tuple[Text, Text]]:
    """Return the findings for people: what stands at the left, and what is said."""
    lines = []
    for one in found:
        level = Text(f"{one.level.value:<9}", style=LEVEL_STYLES[one.level])
        lines.append((Text.assemble(level, (f"{one.name:<9}", "dim")), Text(one.text)))
        if one.advice:
            lines.append((Text(f"{'':<{INDENT}}{arrow} "), Text(one.advice)))
    return lines


async def examine(named: str | None) -> list[Finding]:
    """Look at everything, in the order in which one thing needs the other."""
    login = exit_codes.login_command(named)
    path = profiles_path()
    try:
        profile = read_profiles(path).chosen(named)
    except AuthError as error:
        because = "there is no profile"
        return [
            findings.profile_missing(error, login),
            folder(),
            *(findings.skipped(name, because) for name in ("server", "clock", "session")),
        ]
    found = [
        findings.profile_found(profile, short(path), path.stat().st_mode),
        folder(),
        await keyring(profile.keep, profile.name, login),
        *await server(profile),
    ]
    unreachable = any(one.name == "server" and one.level is Level.TROUBLE for one in found)
    return [*found, await session(profile, login, verify=not unreachable)]


def folder() -> Finding:
    """Look at the folder of the sessions, and try its locks and whether there is room."""
    try:
        store = open_store("file")
        assert isinstance(store, FileStore)  # noqa: S101 - tells the type checker
        path = store.folder
        try_to_write(path)
    except AuthError as error:
        return findings.folder_failed(error)
    set_aside = sorted(one.name for one in path.glob("*.corrupt-*"))
    return findings.folder_found(short(path), path.stat().st_mode, mount_of(path), set_aside)


def try_to_write(folder: Path) -> None:
    """
    Write as much as a session may need into *folder*, and remove it.

    Raises:
        StoreError: That fails; the text says why, and what to do.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise store_error("cannot write in", folder, error) from error


async def keyring(keep: Keep, key: str, login: str) -> Finding:
    """Look at the keyring, and try to read from it."""
    try:
        store = open_store("keyring")
        await store.load(key)
    except AuthError as error:
        return findings.keyring_failed(error, keep, login)
    return findings.keyring_found(repr(store).partition("backend=")[2].partition(",")[0], keep)


async def server(profile: Profile) -> list[Finding]:
    """Ask the server for what needs no session, and look at its clock."""
    try:
        response, sent_at, came_at = await ask(profile)
    except AuthError as error:
        return [
            findings.server_failed(profile, error),
            findings.skipped("clock", "the server did not say what time it is"),
        ]
    return [
        findings.server_answered(profile, response, came_at - sent_at),
        findings.clock_found(response, sent_at=sent_at, came_at=came_at),
    ]


async def ask(profile: Profile) -> tuple[Response, float, float]:
    """
    Ask the server for what everybody may know; return that, and when it was sent and came.

    Raises:
        NetworkError: No answer.
        ConfigurationError: The address cannot be used.
    """
    async with make_client(profile, MemoryStore()) as client:
        request = health_request(client)
        sent_at = time.time()
        response = await client.manager.send(request)
        return response, sent_at, time.time()


def health_request(client: GoTrueClient | SuperTokensClient) -> Request:
    """Return the request for what everybody may know."""
    if isinstance(client, GoTrueClient):
        return gotrue_requests.health_request(client.api, None)
    settings = client.settings
    return Request("GET", f"{settings.api_domain}{settings.api_base_path}/jwt/jwks.json")


async def session(profile: Profile, login: str, *, verify: bool) -> Finding:
    """
    Get a token, and ask the server who that is.

    Args:
        profile: The profile.
        login: The command that signs in.
        verify: Whether the server can be asked.
    """
    try:
        store = open_store(profile.keep)
        async with make_client(profile, store) as client:
            await client.get_token()
            if verify and isinstance(client, GoTrueClient):
                await client.get_user()
            standing = standing_of(client.session, client.status, now=time.time())
    except AuthError as error:
        return findings.session_failed(error, login)
    return findings.session_found(standing, verified=verify and profile.kind == "gotrue")
