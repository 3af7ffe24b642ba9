"""What becomes of a session's custom claims when it is created and when they change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.engine.arguments import check_mapping
from async_auth.supertokens.access_token import strip_protected


def created(payload: Mapping[str, Any] | None, issuer: str) -> dict[str, Any]:
    """
    Return the claims of a new session: the user's, and who issued its tokens.

    Raises:
        ConfigurationError: *payload* is no mapping.
    """
    if payload is None:
        payload = {}
    check_mapping("access_token_payload", payload)
    return {**strip_protected(payload), "iss": issuer}


def merged(payload: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the custom claims after a change.

    Args:
        payload: The claims so far, the core's own among them.
        update: Claims to set; `None` removes one. The core's own are passed over. (A null that
            was there before stays.)

    Raises:
        ConfigurationError: *update* is no mapping.
    """
    check_mapping("update", update)
    removed = {name for name, value in update.items() if value is None}
    both = {**strip_protected(payload), **strip_protected(update)}
    return {name: value for name, value in both.items() if name not in removed}
