"""A file's next content, written beside it: whoever looks sees the old or the new, never a part.

Blocks. Promises that a crash or a power cut leaves one of the two, too, and at most a file
`.NAME.*.tmp` beside it; no more than a crash, where the content need not be durable.
"""

# ruff: noqa: PTH105, PTH108, PTH118
# pathlib interns every part of a path. Names that are never seen again made the interpreter's table
# of strings grow, megabytes in one step, in processes that run for weeks.

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_beside(path: Path, content: bytes, *, durable: bool = True) -> Iterator[str]:
    """
    Write *content* to a new file in the folder of *path*, for `os.replace`; remove what is left.

    Args:
        path: What shall be replaced.
        content: All that shall be in it.
        durable: Whether it is on the disk, and not on its way there, before the `with` begins.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(descriptor)
        yield temporary
    finally:
        # Gone already if all went well.
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """
    Give the file at *path* this *content*, readable by its owner alone.

    Args:
        path: It need not be there.
        content: All that shall be in it.
        durable: Whether the content outlasts a power cut.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    with written_beside(path, content, durable=durable) as temporary:
        os.replace(temporary, path)
