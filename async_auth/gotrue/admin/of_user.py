"""What belongs to one user, for administrators: second factors and passkeys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.gotrue.caller import Caller
from async_auth.gotrue.models import Factor
from async_auth.gotrue.passkeys import Passkey
from async_auth.gotrue.requests import admin


@attrs.frozen(eq=False)
class UserFactors:
    """Second factors of any user; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)

    async def list_factors(self, user_id: str) -> tuple[Factor, ...]:
        """
        Return a user's factors.

        Args:
            user_id: Whose.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.list_of_user_request(self._caller.api, bearer, user_id, "factors")
        )
        return tuple(Factor.from_json(item) for item in answer.objects())

    async def update_factor(
        self, user_id: str, factor_id: str, attributes: Mapping[str, Any]
    ) -> Factor:
        """
        Change a factor.

        Args:
            user_id: Whose.
            factor_id: Which one.
            attributes: What changes (`friendly_name`, `phone`, …); sent as it is.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.update_factor_request(
                self._caller.api, bearer, user_id, factor_id, attributes
            )
        )
        return Factor.from_json(answer.object())

    async def delete_factor(self, user_id: str, factor_id: str) -> None:
        """
        Take a factor away.

        Args:
            user_id: Whose.
            factor_id: Which one.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.delete_of_user_request(
                self._caller.api, bearer, user_id, "factors", factor_id
            )
        )
        answer.check()


@attrs.frozen(eq=False)
class UserPasskeys:
    """Passkeys of any user; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)

    async def list_passkeys(self, user_id: str) -> tuple[Passkey, ...]:
        """
        Return a user's passkeys.

        Args:
            user_id: Whose.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.list_of_user_request(self._caller.api, bearer, user_id, "passkeys")
        )
        return tuple(Passkey.from_json(item) for item in answer.objects())

    async def delete_passkey(self, user_id: str, passkey_id: str) -> None:
        """
        Take a passkey away.

        Args:
            user_id: Whose.
            passkey_id: Which one.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.delete_of_user_request(
                self._caller.api, bearer, user_id, "passkeys", passkey_id
            )
        )
        answer.check()
