"""What can be done to sessions by their names alone, without any of their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from async_auth.engine.arguments import check_mapping, check_text
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock
from async_auth.supertokens.access_token import strip_protected
from async_auth.supertokens.backend.payloads import merged
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.client import CoreClient
from async_auth.supertokens.cdi.values import SessionInformation
from async_auth.supertokens.claims.checking import failures, refetch
from async_auth.supertokens.claims.claim import SessionClaim
from async_auth.supertokens.claims.validator import ClaimValidator

T = TypeVar("T")


class SessionsByHandle:
    """
    Sessions at a core, by their handles and users. Every method may be called concurrently.

    Every method raises `CoreUnavailable` where no host of the core answers, and a session that
    there is not (any more) is no error: the answer is `False`, `None` or shorter. Access tokens
    that are out already are good until they expire, unless a route checks the database.

    Args:
        core: Whom it asks.
        clock: What time it is.
    """

    def __init__(self, core: CoreClient, clock: Clock) -> None:
        self._core = core
        self._clock = clock

    # ── ending ─────────────────────────────────────────────────────────────────────────────────

    async def revoke_session(self, session_handle: str) -> bool:
        """End a session, and say whether there was one."""
        return session_handle in await self.revoke_multiple_sessions([session_handle])

    async def revoke_multiple_sessions(self, session_handles: Iterable[str]) -> tuple[str, ...]:
        """End sessions, and return the handles of those that there were."""
        handles = [session_handles] if isinstance(session_handles, str) else list(session_handles)
        for handle in handles:
            _check("session_handle", handle)
        return await self._core.call(calls.remove_sessions(handles)) if handles else ()

    async def revoke_all_sessions_for_user(
        self, user_id: str, *, tenant_id: str | None = None, linked_accounts: bool = True
    ) -> tuple[str, ...]:
        """
        End all sessions of a user, and return their handles.

        Args:
            user_id: Whose.
            tenant_id: Only those of this tenant; `None` for all tenants.
            linked_accounts: Whether those of the accounts linked with this one end too.
        """
        _check("user_id", user_id)
        return await self._core.call(
            calls.remove_sessions_of_user(
                user_id, tenant_id=tenant_id, linked_accounts=linked_accounts
            )
        )

    # ── looking ────────────────────────────────────────────────────────────────────────────────

    async def get_all_session_handles_for_user(
        self, user_id: str, *, tenant_id: str | None = None, linked_accounts: bool = True
    ) -> tuple[str, ...]:
        """
        Return the handles of all sessions of a user.

        Args:
            user_id: Whose.
            tenant_id: Only those of this tenant; `None` for all tenants.
            linked_accounts: Whether those of the accounts linked with this one count too.
        """
        _check("user_id", user_id)
        return await self._core.call(
            calls.handles_of_user(user_id, tenant_id=tenant_id, linked_accounts=linked_accounts)
        )

    async def get_session_information(self, session_handle: str) -> SessionInformation | None:
        """Return what the core has of a session, `None` if there is no such session."""
        _check("session_handle", session_handle)
        return await self._core.call(calls.session_information(session_handle))

    # ── changing ───────────────────────────────────────────────────────────────────────────────

    async def update_session_data(self, session_handle: str, data: Mapping[str, Any]) -> bool:
        """
        Replace the data that stays on the server; `False` if there is no such session.

        Args:
            session_handle: Whose.
            data: All of it: plain JSON.
        """
        _check("session_handle", session_handle)
        check_mapping("data", data)
        return await self._core.call(calls.update_session_data(session_handle, data))

    async def merge_into_access_token_payload(
        self, session_handle: str, update: Mapping[str, Any]
    ) -> bool:
        """
        Change the custom claims of a session; `False` if there is no such session.

        Its next access token has them; to change the one that is out, use the session itself.
        Two changes at once are not brought together: the core keeps the last.

        Args:
            session_handle: Whose.
            update: Claims to set; `None` as a value removes one. The core's own are passed over.
        """
        check_mapping("update", update)
        found = await self.get_session_information(session_handle)
        return found is not None and await self._merge(found, update)

    # ── claims ─────────────────────────────────────────────────────────────────────────────────

    async def fetch_and_set_claim(self, session_handle: str, claim: SessionClaim[Any]) -> bool:
        """
        Fetch a claim and set it; `False` if there is no such session.

        One without a value is left as it is.
        """
        found = await self.get_session_information(session_handle)
        if found is None:
            return False
        update = await claim.build(
            found.user_id,
            found.recipe_user_id,
            found.tenant_id,
            found.access_token_payload,
            now=self._clock.now(),
        )
        return await self._merge(found, update) if update else True

    async def set_claim_value(self, session_handle: str, claim: SessionClaim[T], value: T) -> bool:
        """Set a claim; `False` if there is no such session."""
        update = claim.add_to_payload({}, value, now=self._clock.now())
        return await self.merge_into_access_token_payload(session_handle, update)

    async def get_claim_value(self, session_handle: str, claim: SessionClaim[T]) -> T | None:
        """Return a claim's value, `None` if it has none or there is no such session."""
        found = await self.get_session_information(session_handle)
        return None if found is None else claim.get_value(found.access_token_payload)

    async def remove_claim(self, session_handle: str, claim: SessionClaim[Any]) -> bool:
        """Remove a claim; `False` if there is no such session."""
        update = claim.remove_from_payload_by_merge({})
        return await self.merge_into_access_token_payload(session_handle, update)

    async def validate_claims_for_session_handle(
        self, session_handle: str, validators: Iterable[ClaimValidator]
    ) -> tuple[dict[str, Any], ...] | None:
        """
        Check a session's claims, after fetching those that are missing or too old.

        Args:
            session_handle: Whose.
            validators: What is asked of them.

        Returns:
            What is not as asked, `{"id": …, "reason": …}` each; empty if all is well, `None` if
            there is no such session.

        Raises:
            Exception: Whatever a claim's `fetch_value` or a validator raises.
        """
        found = await self.get_session_information(session_handle)
        if found is None:
            return None
        validators = tuple(validators)
        payload = found.access_token_payload
        changes = await refetch(
            validators,
            payload,
            user_id=found.user_id,
            recipe_user_id=found.recipe_user_id,
            tenant_id=found.tenant_id,
            now=self._clock.now(),
        )
        if strip_protected(changes):
            if not await self._merge(found, changes):
                return None
            payload = merged(payload, changes)
        return await failures(validators, payload, now=self._clock.now())

    async def _merge(self, found: SessionInformation, update: Mapping[str, Any]) -> bool:
        payload = merged(found.access_token_payload, update)
        return await self._core.call(calls.update_payload(found.session_handle, payload))


def _check(name: str, value: object) -> None:
    check_text(name, value)
    if not value:
        raise ConfigurationError(f"{name} must not be empty.")
