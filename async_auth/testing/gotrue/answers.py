"""What a handler answers with, before it is HTTP."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus
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
        page: Sent in place of the body: HTML.
    """

    body: Any = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    status: int = 200
    page: str | None = attrs.field(default=None, repr=False)


def redirect(location: str, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a browser elsewhere, with the little page that Go adds."""
    page = f'<a href="{html.escape(location)}">{status.phrase}</a>.\n\n'
    return Answer(None, {"Location": location, **(headers or {})}, status, page)
