"""`SessionClaim`: a custom claim with the time when it was last fetched. Pure but for `fetch`.

In the access token a claim is `{"<key>": {"v": value, "t": milliseconds}}`. Payloads are never
changed in place, and a payload in which something else stands under the key has no value of the
claim, and does no harm.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from async_auth.core.plain_json import number
from async_auth.engine.arguments import check_text
from async_auth.errors import ConfigurationError
from async_auth.supertokens.access_token import PROTECTED

T = TypeVar("T")

Payload = Mapping[str, Any]
#: Finds a claim's value: user id, recipe user id, tenant id, the payload as it is. `None`: none.
FetchValue = Callable[[str, str, str, Payload], Awaitable[T | None] | T | None]


class SessionClaim(Generic[T]):
    """
    A claim of a session; safe to share between tasks and back ends.

    Args:
        key: What it is called in the payload.
        fetch_value: Finds its value, sync or async: called with the user id, the recipe user id,
            the tenant id and the payload as it is. It gives `None` where there is no value.

    Raises:
        ConfigurationError: *key* is no name, or one of the core's own claims.
    """

    def __init__(self, key: str, fetch_value: FetchValue[T]) -> None:
        check_text("key", key)
        if not key:
            raise ConfigurationError("key must not be empty: it is the name of the claim.")
        if key in PROTECTED:
            raise ConfigurationError(f"key must not be {key!r}: that claim is the core's own.")
        if not callable(fetch_value):
            raise ConfigurationError("fetch_value must be a function.")
        self.key = key
        self._fetch_value = fetch_value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"

    async def fetch(
        self, user_id: str, recipe_user_id: str, tenant_id: str, payload: Payload
    ) -> T | None:
        """
        Return the claim's value as it is now, `None` where there is none.

        Args:
            user_id: Whose session it is.
            recipe_user_id: The login method that the session began with.
            tenant_id: The tenant of the session.
            payload: The session's payload as it is.

        Raises:
            Exception: Whatever `fetch_value` raises.
        """
        found = self._fetch_value(user_id, recipe_user_id, tenant_id, payload)
        return cast("T | None", await found if inspect.isawaitable(found) else found)

    async def build(
        self,
        user_id: str,
        recipe_user_id: str,
        tenant_id: str,
        payload: Payload | None = None,
        *,
        now: float,
    ) -> dict[str, Any]:
        """
        Return what a new session's payload needs for this claim: nothing where there is no value.

        Args:
            user_id: Whose session it is.
            recipe_user_id: The login method that the session begins with.
            tenant_id: The tenant of the session.
            payload: The payload so far.
            now: Unix seconds.
        """
        value = await self.fetch(user_id, recipe_user_id, tenant_id, payload or {})
        return {} if value is None else self.add_to_payload({}, value, now=now)

    def add_to_payload(self, payload: Payload, value: T, *, now: float) -> dict[str, Any]:
        """Return the payload with this *value*, fetched at *now* (unix seconds)."""
        return {**payload, self.key: {"v": value, "t": int(now * 1000)}}

    def remove_from_payload(self, payload: Payload) -> dict[str, Any]:
        """Return the payload without the claim."""
        return {name: value for name, value in payload.items() if name != self.key}

    def remove_from_payload_by_merge(self, payload: Payload) -> dict[str, Any]:
        """Return the payload with a null in the claim's place: merged, that removes the claim."""
        return {**payload, self.key: None}

    def get_value(self, payload: Payload) -> T | None:
        """Return the claim's value, `None` if it has none."""
        return cast("T | None", self._member(payload, "v"))

    def get_last_refetch_time(self, payload: Payload) -> float | None:
        """Return when the value was fetched (unix seconds), `None` if nobody says."""
        found = number(self._member(payload, "t"))
        return None if found is None else found / 1000

    def _member(self, payload: Payload, name: str) -> Any:
        found = payload.get(self.key)
        return found.get(name) if isinstance(found, Mapping) else None
