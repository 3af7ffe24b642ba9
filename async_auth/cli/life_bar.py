"""The life of a token as a bar: what is left of it, with a mark where it is due. Pure."""

from __future__ import annotations

from async_auth.session import Status

STATUS_STYLES = {
    Status.FRESH: "green",
    Status.DUE: "yellow",
    Status.EXPIRED: "red",
    Status.REJECTED: "red",
}


def bar(part: float, due: float, width: int, *, ascii_only: bool = False) -> str:
    """
    Return a bar.

    Args:
        part: How much of it is full, 0 to 1.
        due: Where the mark stands, 0 to 1.
        width: Its width in columns.
        ascii_only: Whether the terminal knows nothing else.
    """
    full, empty, mark = "#-|" if ascii_only else "█░│"
    filled = round(min(max(part, 0.0), 1.0) * width)
    cells = [full] * filled + [empty] * (width - filled)
    cells[min(max(round(due * width), 0), width - 1)] = mark
    return "".join(cells)
