"""Files of unknown size, read no further than somebody wants to."""

from __future__ import annotations

import os
from pathlib import Path

#: preadv2(2): the system call fails rather than wait for the disk. Linux alone has it.
NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


def read_bounded(path: Path, limit: int) -> bytes:
    """
    Return the content of a file; of one that is too large, one byte more than may be there.

    Args:
        path: The file. Blocks while it is read.
        limit: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def read_at_once(path: Path, limit: int) -> bytes | None:
    """
    Return the content of a file that the system has in memory, without a wait for its disk.

    Opening a file does not wait on a local file system, as the locks rely on too (`flock.py`); so
    there the event loop's thread may call this, and spare itself a thread.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        All of it; `None` if there is none, or it is too large, or this cannot be known at once:
        then `read_bounded()`, in a thread, says what is.
    """
    if NOWAIT is None:
        return None
    try:
        # Without a wait for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            return None
        # A byte more, so that one that has grown is seen.
        buffer = bytearray(size + 1)
        found = os.preadv(descriptor, [buffer], 0, NOWAIT)
    except OSError:  # the disk would have to be waited for, or the file system cannot say so
        return None
    finally:
        os.close(descriptor)
    return bytes(buffer[:size]) if found == size else None
