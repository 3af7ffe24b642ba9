"""Passkeys: `client.passkeys`. The ceremony itself is the program's business, or the browser's.

The server gives the options of `navigator.credentials.create()` and `.get()`, and is given what
these bring.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.json_object import NUMBER, OBJECT, TEXT, TIME, JsonObject
from async_auth.gotrue.models import AuthResponse
from async_auth.gotrue.requests import passkeys


@attrs.frozen(kw_only=True)
class Passkey(JsonObject):
    """
    A passkey of a user.

    Args:
        id: The passkey's id.
        friendly_name: The user's name for it.
        created_at: When it was registered.
        last_used_at: When it last signed somebody in.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    friendly_name: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    last_used_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(kw_only=True)
class PasskeyOptions(JsonObject):
    """
    What a ceremony begins with.

    Args:
        challenge_id: What the verification wants.
        options: What the browser is given, as WebAuthn's JSON forms are written.
        expires_at: Until when it can be met, in unix seconds on the server's clock.
    """

    challenge_id: str = attrs.field(default="", metadata=TEXT)
    options: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    expires_at: float | None = attrs.field(default=None, metadata=NUMBER)


@attrs.frozen(eq=False)
class Passkeys:
    """
    Signing in by passkey, and the passkeys of the user who is signed in.

    Every method may be called concurrently; all but the two of authentication raise
    `AuthSessionMissing` if nobody is signed in or the session is over. All raise `ApiError` if
    the server refuses (`passkey_disabled`, `webauthn_challenge_expired`,
    `webauthn_verification_failed`, …), `TemporaryError` if it may succeed later, and
    `ConfigurationError` for a wrong argument.
    """

    _caller: Caller = attrs.field(repr=False)

    async def start_registration(self) -> PasskeyOptions:
        """Return what the ceremony of a new passkey begins with."""
        found = await self._caller.ask_as_user(
            lambda token: passkeys.registration_options_request(self._caller.api, token),
            Answer.object,
        )
        return PasskeyOptions.from_json(found)

    async def verify_registration(
        self, *, challenge_id: str, credential: Mapping[str, Any]
    ) -> Passkey:
        """
        Register what the ceremony brought.

        Args:
            challenge_id: What `start_registration()` gave.
            credential: The credential in WebAuthn's JSON form.
        """
        found = await self._caller.ask_as_user(
            lambda token: passkeys.registration_verify_request(
                self._caller.api, token, challenge_id=challenge_id, credential=credential
            ),
            Answer.object,
        )
        return Passkey.from_json(found)

    async def start_authentication(self, *, captcha_token: str | None = None) -> PasskeyOptions:
        """
        Return what a sign-in by passkey begins with; nobody need be signed in.

        Args:
            captcha_token: What the CAPTCHA gave.
        """
        request = passkeys.authentication_options_request(
            self._caller.api, captcha_token=captcha_token
        )
        return PasskeyOptions.from_json((await self._caller.ask(request)).object())

    async def verify_authentication(
        self, *, challenge_id: str, credential: Mapping[str, Any]
    ) -> AuthResponse:
        """
        Sign in with what the ceremony brought (`SignedIn`); a failure leaves the old session.

        Args:
            challenge_id: What `start_authentication()` gave.
            credential: The assertion in WebAuthn's JSON form.
        """
        request = passkeys.authentication_verify_request(
            self._caller.api, challenge_id=challenge_id, credential=credential
        )
        return await self._caller.sign_in(request)

    async def list(self) -> tuple[Passkey, ...]:
        """Return the user's passkeys."""
        found = await self._caller.ask_as_user(
            lambda token: passkeys.list_request(self._caller.api, token), Answer.objects
        )
        return tuple(Passkey.from_json(item) for item in found)

    async def update(self, passkey_id: str, *, friendly_name: str) -> Passkey:
        """
        Give a passkey another name.

        Args:
            passkey_id: Which one.
            friendly_name: The new name.
        """
        found = await self._caller.ask_as_user(
            lambda token: passkeys.update_request(
                self._caller.api, token, passkey_id, friendly_name=friendly_name
            ),
            Answer.object,
        )
        return Passkey.from_json(found)

    async def delete(self, passkey_id: str) -> None:
        """
        Remove a passkey.

        Args:
            passkey_id: Which one.
        """
        await self._caller.ask_as_user(
            lambda token: passkeys.delete_request(self._caller.api, token, passkey_id),
            Answer.check,
        )
