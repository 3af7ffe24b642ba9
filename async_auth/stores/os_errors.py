"""What an OSError says to somebody who runs a program: the path, and what is wrong with it."""

from __future__ import annotations

import errno
from pathlib import Path

from async_auth.errors import StoreError

#: Where the system's own words do not say what to do.
ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EROFS: "mount it read-write or name another folder",
    errno.EACCES: "check its owner and mode",
    errno.EPERM: "check its owner and mode",
    errno.EFBIG: "raise the limit on file sizes",
    errno.EIO: "look at the disk and at the system's log",
    errno.ESTALE: "the server of this folder has lost it; mount it again",
    errno.ENOLCK: "this file system gives no locks; name a folder on a local disk",
    errno.EOPNOTSUPP: "this file system gives no locks; name a folder on a local disk",
    errno.ENOSYS: "this file system gives no locks; name a folder on a local disk",
    errno.ENOENT: "was its folder removed?",
    errno.EMFILE: "raise the limit on open files",
    errno.ENFILE: "raise the limit on open files",
}


def store_error(doing: str, path: Path, error: OSError) -> StoreError:
    """
    Return the StoreError to raise from *error*.

    Args:
        doing: `cannot write` and the like.
        path: What it was done to.
        error: What the system said.
    """
    number = error.errno or 0
    advice = f"; {ADVICE[number]}" if number in ADVICE else ""
    end = "" if advice.endswith("?") else "."
    code = errno.errorcode.get(number)
    return StoreError(f"{doing} {path}: {error.strerror or error}{advice}{end}", code=code)
