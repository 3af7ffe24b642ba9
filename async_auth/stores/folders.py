"""The folder that sessions are kept in: found, checked and made, all before the first token."""

from __future__ import annotations

import errno
import os
import stat
from logging import getLogger
from pathlib import Path

from async_auth.errors import ConfigurationError, StoreError
from async_auth.stores.mounts import mount_of
from async_auth.stores.os_errors import store_error

logger = getLogger("async_auth.stores")


def default_folder() -> Path:
    """Return the user's folder for program state (XDG base directory specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # The specification: a relative path is invalid and to be ignored.
    base = Path(state) if Path(state).is_absolute() else Path("~/.local/state")
    return base / "async_auth"


def prepare_folder(folder: str | os.PathLike[str] | None) -> Path:
    """
    Make sure of a folder that can be written to.

    Folders that are missing are made with mode 0700. One that is there keeps its mode: it may be
    somebody else's as well. Blocks for a moment.

    Args:
        folder: A path, `~` allowed; `None` for the default.

    Returns:
        The absolute path with symlinks resolved, so that two names of one folder are one.

    Raises:
        ConfigurationError: *folder* is not a path, or a file is in the way.
        StoreError: It cannot be made or written to.
    """
    path = resolve(folder)
    try:
        make(path)
    except (FileExistsError, NotADirectoryError):
        raise ConfigurationError(
            f"folder: {path} cannot be a folder, for it or a part of it is a file; "
            "name another folder."
        ) from None
    except OSError as error:
        raise store_error("folder: cannot make", path, error) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            read_only = OSError(errno.EROFS, os.strerror(errno.EROFS))
            raise store_error("folder: cannot write into", path, read_only)
        raise StoreError(
            f"folder: {path} cannot be read and written by this user; "
            "change its mode or owner, or name another folder."
        )
    warn_if_shared(path)
    warn_if_remote(path)
    return path


def resolve(folder: str | os.PathLike[str] | None) -> Path:
    """Return *folder* as an absolute path without symlinks, or raise ConfigurationError."""
    if folder is None:
        folder = default_folder()
    if folder == "":  # it would be the working directory, which nobody means
        raise ConfigurationError("folder: is empty; name a folder, or pass None for the default.")
    try:
        return Path(os.path.realpath(Path(folder).expanduser()))
    except (ValueError, TypeError, RuntimeError) as error:  # a NUL, no path at all, no such home
        raise ConfigurationError(f"folder: {folder!r} is no usable path: {error}") from error


def make(path: Path) -> None:
    """Make *path* and what is missing above it, each with mode 0700; OSError where it fails."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def warn_if_shared(path: Path) -> None:
    """Log a warning if other users may rename files in *path*."""
    mode = path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        logger.warning(
            "Other users may replace the sessions in %s (mode %o); chmod it to 700.",
            path,
            stat.S_IMODE(mode),
        )


def warn_if_remote(path: Path) -> None:
    """Log a warning if *path* is on a network file system, and say what that means for it."""
    mount = mount_of(path)
    if mount is None or not mount.remote:
        return
    where = f"{path} is on a network file system ({mount.kind} at {mount.point})"
    if loose := mount.local_locks:
        logger.warning(
            "%s whose locks do not leave this machine (%s): a second machine on this folder would "
            "spend the same refresh token. Use it from one machine only, or a store on a server.",
            where,
            loose,
        )
    else:
        logger.warning(
            "%s: sessions in it are as safe as its server's locks and renames, and what another "
            "machine writes is found by looking. For several machines use a store on a server.",
            where,
        )
