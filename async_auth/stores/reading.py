"""Files of unknown size, read no further than somebody wants to."""

from __future__ import annotations

from pathlib import Path


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
