"""What can be a token: text that fits into a header of a request. Pure.

Whatever a server, a cookie or a file calls a token goes into a header one day, or into somebody
else's library that builds one. A line break in it would begin a header of its own.
"""

from __future__ import annotations

from typing import TypeGuard


def is_token(value: object) -> TypeGuard[str]:
    """Return whether *value* is visible ASCII text, spaces inside it included, and not empty."""
    return (
        isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() != ""
    )
