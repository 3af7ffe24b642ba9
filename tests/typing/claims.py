"""The types of a session's claims as a backend's author sees them. Checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from async_auth.supertokens import (
    BooleanClaim,
    ClaimValidator,
    PrimitiveArrayClaim,
    PrimitiveClaim,
)


async def fetch_role(
    user_id: str, recipe_user_id: str, tenant_id: str, payload: Mapping[str, Any]
) -> str | None:
    """Find a role, perhaps in a database."""
    return f"{user_id} {recipe_user_id} {tenant_id} {len(payload)}"


class OwnValidator:
    """A user's own; a plain attribute will do where the protocol has a property."""

    id = "own"
    claim = None

    def should_refetch(self, payload: Mapping[str, Any], *, now: float) -> bool:
        """Want nothing."""
        return False

    async def validate(self, payload: Mapping[str, Any], *, now: float) -> str | None:
        """Say what is wrong."""
        return None if payload else f"empty at {now}"


async def claims_have_types(payload: Mapping[str, Any]) -> list[ClaimValidator]:
    """A value is of the claim's type, or there is none."""
    role = PrimitiveClaim("role", fetch_role, default_max_age=300)
    verified = BooleanClaim("verified", lambda *_: True)
    roles: PrimitiveArrayClaim[str] = PrimitiveArrayClaim("roles", lambda *_: ["a"])
    assert_type(role.get_value(payload), str | None)
    assert_type(verified.get_value(payload), bool | None)
    assert_type(roles.get_value(payload), list[str] | None)
    assert_type(await role.fetch("ada", "ada", "public", payload), str | None)
    assert_type(role.add_to_payload(payload, "admin", now=0.0), dict[str, Any])
    return [
        role.validators.has_value("admin", max_age=60),
        verified.validators.is_true(id="verified"),
        roles.validators.includes_any(["a", "b"]),
        OwnValidator(),
    ]
