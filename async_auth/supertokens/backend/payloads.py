"""What becomes of a session's custom claims when it is created and when they change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.supertokens.access_token import strip_protected


def created(payload: Mapping[str, Any] | None, issuer: str) -> dict[str, Any]:
    """Return the claims of a new session: the user's, and who issued its tokens."""
    return {**strip_protected(payload or {}), "iss": issuer}


def merged(payload: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the custom claims after a change.

    Args:
        payload: The claims so far, the core's own among them.
        update: Claims to set; `None` removes one. The core's own are passed over. (A null that
            was there before stays.)
    """
    removed = {name for name, value in update.items() if value is None}
    both = {**strip_protected(payload), **strip_protected(update)}
    return {name: value for name, value in both.items() if name not in removed}
