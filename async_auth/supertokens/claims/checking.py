"""Runs validators over a session's payload: first what has to be fetched, then all of them.

Nothing is stored here, and an error of a user's function is the caller's to see.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from async_auth.supertokens.claims.claim import Payload
from async_auth.supertokens.claims.validator import ClaimValidator


async def refetch(
    validators: Iterable[ClaimValidator],
    payload: Payload,
    *,
    user_id: str,
    recipe_user_id: str,
    tenant_id: str,
    now: float,
) -> dict[str, Any]:
    """
    Fetch the claims that the validators want anew, and return what changes in the payload.

    A claim that has no value now is left as it is. Each claim is fetched once, however many ask.

    Args:
        validators: Whoever will look at the payload.
        payload: The payload as it is; it is not changed.
        user_id: Whose session it is.
        recipe_user_id: The login method that the session began with.
        tenant_id: The tenant of the session.
        now: Unix seconds.

    Raises:
        Exception: Whatever a claim's `fetch_value` raises.
    """
    changes: dict[str, Any] = {}
    asked: set[str] = set()
    for validator in validators:
        claim = validator.claim
        current = {**payload, **changes}
        if claim is None or claim.key in asked or not validator.should_refetch(current, now=now):
            continue
        asked.add(claim.key)
        value = await claim.fetch(user_id, recipe_user_id, tenant_id, current)
        if value is not None:
            changes = claim.add_to_payload(changes, value, now=now)
    return changes


async def failures(
    validators: Iterable[ClaimValidator], payload: Payload, *, now: float
) -> tuple[dict[str, Any], ...]:
    """
    Return what is wrong with the payload, as it is answered: `{"id": …, "reason": …}` each.

    Args:
        validators: Whoever looks at it, in this order.
        payload: The payload.
        now: Unix seconds.

    Raises:
        Exception: Whatever a validator raises.
    """
    found = []
    for validator in validators:
        reason = validator.validate(payload, now=now)
        if inspect.isawaitable(reason):
            reason = await reason
        if reason is not None:
            found.append({"id": validator.id, "reason": reason})
    return tuple(found)
