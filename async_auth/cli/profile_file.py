"""The file of the profiles: `profiles.toml` in the user's folder for configuration.

Promises that it is written whole or not at all, readable by its owner alone, and that two commands
at once lose nothing of each other. Comments in it do not survive a write. The folder is what click
says it is (`get_app_dir`: `$XDG_CONFIG_HOME`, `~/.config`, or what macOS has): click is here
anyway, and one folder is no reason for another package.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import tomli_w

from async_auth.cli.profile import Profiles, document_of, parse_profiles
from async_auth.core.plain_json import MAX_DEPTH, is_deeper
from async_auth.errors import ConfigurationError
from async_auth.stores.folders import make
from async_auth.stores.os_errors import store_error
from async_auth.stores.reading import read_bounded
from async_auth.stores.replacing import replace_file
from async_auth.stores.session_file import guard

#: Dots on one line: `tomllib` takes a minute for a name of a hundred thousand parts.
DOTS_MAX = MAX_DEPTH
#: Bytes of the file; a profile has some hundred.
SIZE_MAX = 256 * 1024


def profiles_path() -> Path:
    """Return where the file is."""
    return Path(click.get_app_dir("async-auth")) / "profiles.toml"


def read_profiles(path: Path | None = None) -> Profiles:
    """
    Return what is in the file; nothing if there is none.

    Raises:
        ConfigurationError: It is not what it must be; the message names the place.
        StoreError: It cannot be read.
    """
    path = profiles_path() if path is None else path
    try:
        content = read_bounded(path, SIZE_MAX)
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise store_error("cannot read", path, error) from error
    return parse_profiles(_document(content, path), str(path))


def _document(content: bytes, path: Path) -> dict[str, Any]:
    mend = "Mend it, or move it away."
    if len(content) > SIZE_MAX:
        raise ConfigurationError(f"{path} is over {SIZE_MAX} bytes. {mend}")
    if any(line.count(b".") > DOTS_MAX for line in content.splitlines()):
        raise ConfigurationError(f"{path} is nested too deeply. {mend}")
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. {mend}") from None
    except (ValueError, RecursionError):
        # A date that is none, a number of thousands of digits, lists without end.
        raise ConfigurationError(f"{path} holds values that cannot be read. {mend}") from None
    if is_deeper(document, MAX_DEPTH):
        # It could be read, but not be written again.
        raise ConfigurationError(f"{path} is nested too deeply. {mend}")
    return document


def change_profiles(change: Callable[[Profiles], Profiles], path: Path | None = None) -> Profiles:
    """
    Write what *change* makes of the profiles, and return that. Nobody else writes meanwhile.

    Raises:
        ConfigurationError: The file is not what it must be; it is left alone.
        StoreError: It cannot be written.
    """
    path = profiles_path() if path is None else path
    prepare(path)
    with guard(path.parent):
        profiles = change(read_profiles(path))
        try:
            replace_file(path, tomli_w.dumps(document_of(profiles)).encode())
        except OSError as error:
            raise store_error("cannot write", path, error) from error
    return profiles


def prepare(path: Path | None = None) -> None:
    """
    Make sure, before anybody is asked for anything, that the file can be written.

    Raises:
        StoreError: It cannot.
    """
    folder = (profiles_path() if path is None else path).parent
    try:
        make(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("this user may not write there")
    except OSError as error:
        raise store_error("cannot keep profiles in", folder, error) from error
