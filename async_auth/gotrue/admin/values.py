"""What administrators are told: generated links and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import attrs

from async_auth.gotrue.json_object import OBJECT, TEXT, TIME, JsonObject
from async_auth.gotrue.models import User


@attrs.frozen(kw_only=True)
class GeneratedLink(JsonObject):
    """
    A link, and what is in it. Whoever has it can sign in as that user: all of it is secret.

    Args:
        action_link: The link to send.
        email_otp: The code to send in its place.
        hashed_token: What `verify_otp()` takes as *token_hash*.
        verification_type: What `verify_otp()` takes as *type*.
        redirect_to: Where the link leads.
        user: Whom it is for.
    """

    action_link: str = attrs.field(default="", repr=False, metadata=TEXT)
    email_otp: str = attrs.field(default="", repr=False, metadata=TEXT)
    hashed_token: str = attrs.field(default="", repr=False, metadata=TEXT)
    verification_type: str = attrs.field(default="", metadata=TEXT)
    redirect_to: str = attrs.field(default="", metadata=TEXT)
    user: User = attrs.field(factory=User)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Read an answer: the user's members and the link's stand side by side in it.

        Raises:
            ProtocolError: *value* is no JSON object.
        """
        link = super().from_json(value)
        return attrs.evolve(link, user=User.from_json(_of_user(link.raw)))

    def to_json(self) -> dict[str, Any]:
        """Return the link and its user, side by side, as plain JSON values."""
        return {**super().to_json(), **_of_user(self.user.to_json())}

    @property
    def extra(self) -> dict[str, Any]:
        """What was sent and stands in no attribute, neither of the link nor of its user."""
        unknown = self.user.extra
        return {
            name: value
            for name, value in super().extra.items()
            if name in unknown or name not in self.user.raw
        }


def _of_user(members: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in attrs.fields(GeneratedLink)} - {"user"}
    return {name: value for name, value in members.items() if name not in names}


@attrs.frozen(kw_only=True)
class AuditEntry(JsonObject):
    """
    One entry of the audit log.

    Args:
        id: The entry's id.
        payload: Who did what to whom, as the server writes it.
        created_at: When.
        ip_address: From where.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    payload: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    ip_address: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
