"""A framework's response, and how the changes of an exchange get into it.

No framework is imported: a response is known by its headers.
"""

from __future__ import annotations

from typing import Any

from async_auth.core.web.outgoing import Outgoing
from async_auth.errors import ConfigurationError

#: What is wrong where tokens come too late.
SENT = (
    "response has been sent already, so it cannot get the session's tokens: create or refresh the "
    "session before."
)


def write(outgoing: Outgoing, response: Any) -> None:
    """
    Put the changes into a response. Twice is fine.

    Args:
        outgoing: The changes.
        response: A response of aiohttp.web or Starlette (FastAPI): what has `headers` that may
            have a name more than once.

    Raises:
        ConfigurationError: It is nothing of that kind, or its headers have been sent.
    """
    headers: Any = getattr(response, "headers", None)
    if getattr(response, "prepared", False):
        raise ConfigurationError(SENT)
    raw = getattr(headers, "raw", None)
    if isinstance(raw, list):
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        raw[:] = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in outgoing.merged_into(pairs)
        ]
    elif hasattr(headers, "extend") and hasattr(headers, "getall"):
        merged = outgoing.merged_into(list(headers.items()))
        headers.clear()
        headers.extend(merged)
    else:
        raise ConfigurationError(
            "response must be one of aiohttp.web, Starlette or FastAPI; it may be None where the "
            "framework's middleware is installed."
        )
