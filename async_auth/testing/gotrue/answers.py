"""What a handler answers with, before it is HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Answer:
    """
    What to answer with.

    Args:
        body: The JSON value; `None` for an empty body.
        headers: Headers beside the usual ones.
        status: The HTTP status.
    """

    body: Any = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    status: int = 200
