"""Second factors of the user who is signed in: `client.mfa`.

The ceremony of a WebAuthn factor, as the QR code of an app, is the program's business. Enrolment
secrets and codes are in no `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from async_auth.errors import ProtocolError
from async_auth.events import MfaChallengeVerified
from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.json_object import NUMBER, OBJECT, TEXT, JsonObject, nested
from async_auth.gotrue.models import AMREntry, AuthResponse, Claims, Factor, User
from async_auth.gotrue.parsing import claims_of
from async_auth.gotrue.requests import mfa, user_request


@attrs.frozen(kw_only=True)
class TotpSecret(JsonObject):
    """
    What an authenticator app is given at enrolment. All of it is secret.

    Args:
        qr_code: The QR code as an SVG document.
        secret: What the code shows, for typing.
        uri: What the code shows, as an `otpauth://` address.
    """

    qr_code: str = attrs.field(default="", repr=False, metadata=TEXT)
    secret: str = attrs.field(default="", repr=False, metadata=TEXT)
    uri: str = attrs.field(default="", repr=False, metadata=TEXT)

    @property
    def qr_code_url(self) -> str:
        """The QR code as the address of an `<img>`."""
        return f"data:image/svg+xml;utf-8,{quote(self.qr_code)}"


@attrs.frozen(kw_only=True)
class EnrolledFactor(JsonObject):
    """
    A factor that was enrolled and waits for its first verification.

    Args:
        id: The factor's id.
        type: `totp`, `phone` or `webauthn`.
        friendly_name: The user's name for it.
        phone: Where its codes go.
        totp: What the app is given, for `totp`.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    type: str = attrs.field(default="", metadata=TEXT)
    friendly_name: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    phone: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    totp: TotpSecret | None = attrs.field(
        default=None, repr=False, metadata=nested(lambda: TotpSecret)
    )


@attrs.frozen(kw_only=True)
class FactorChallenge(JsonObject):
    """
    A factor that was asked for.

    Args:
        id: What `verify()` wants as *challenge_id*.
        type: `totp`, `phone` or `webauthn`.
        expires_at: Until when it can be met, in unix seconds on the server's clock.
        webauthn: What the browser is given (`type`, `credential_options`), for `webauthn`.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    type: str = attrs.field(default="", metadata=TEXT)
    expires_at: float | None = attrs.field(default=None, metadata=NUMBER)
    webauthn: dict[str, Any] | None = attrs.field(default=None, repr=False, metadata=OBJECT)


@attrs.frozen(kw_only=True)
class Factors:
    """
    A user's factors.

    Args:
        all: Every one, verified or not.
        totp: The verified ones of authenticator apps.
        phone: The verified ones of phones.
        webauthn: The verified ones of WebAuthn.
    """

    all: tuple[Factor, ...] = ()
    totp: tuple[Factor, ...] = ()
    phone: tuple[Factor, ...] = ()
    webauthn: tuple[Factor, ...] = ()

    @classmethod
    def of(cls, factors: tuple[Factor, ...]) -> Factors:
        """Sort *factors* by kind."""
        verified: dict[str, tuple[Factor, ...]] = {
            kind: tuple(f for f in factors if f.factor_type == kind and f.status == "verified")
            for kind in mfa.FACTOR_TYPES
        }
        return cls(all=factors, **verified)


@attrs.frozen(kw_only=True)
class AssuranceLevel:
    """
    How sure the server is of who is there, and how sure it could be.

    Args:
        current_level: `aal1`, or `aal2` after a second factor; `None` if nobody is signed in.
        next_level: What a second factor would make of it; the same if there is none.
        current_authentication_methods: How the user signed in, as the token lists it.
    """

    current_level: str | None = None
    next_level: str | None = None
    current_authentication_methods: tuple[AMREntry, ...] = ()


@attrs.frozen(eq=False)
class Mfa:
    """
    The factors of the user who is signed in; every method may be called concurrently.

    Every method raises `AuthSessionMissing` if nobody is signed in or the session is over,
    `TemporaryError` if it may succeed later, and `ConfigurationError` for a wrong argument.
    """

    _caller: Caller = attrs.field(repr=False)

    async def enroll(
        self,
        *,
        factor_type: str = "totp",
        friendly_name: str | None = None,
        issuer: str | None = None,
        phone: str | None = None,
    ) -> EnrolledFactor:
        """
        Begin with a new factor; it counts once `verify()` has succeeded.

        Args:
            factor_type: `totp`, `phone` or `webauthn`.
            friendly_name: The user's name for it.
            issuer: What an authenticator app shows beside it, for `totp`.
            phone: Where the codes go, for `phone`.

        Raises:
            ApiError: The server refused (`mfa_factor_name_conflict`, `insufficient_aal`, …).
        """
        found = await self._caller.ask_as_user(
            lambda token: mfa.enroll_request(
                self._caller.api,
                token,
                factor_type=factor_type,
                friendly_name=friendly_name,
                issuer=issuer,
                phone=phone,
            ),
            Answer.object,
        )
        return EnrolledFactor.from_json(found)

    async def challenge(
        self,
        factor_id: str,
        *,
        channel: str | None = None,
        webauthn: Mapping[str, Any] | None = None,
    ) -> FactorChallenge:
        """
        Ask for a factor; to a phone a code is sent.

        Args:
            factor_id: Which one.
            channel: `sms` or `whatsapp`, for a phone.
            webauthn: What the server wants to know of a WebAuthn ceremony (`rpId`,
                `rpOrigins`); it is sent as it is.

        Raises:
            ApiError: The server refused (`mfa_factor_not_found`, …).
        """
        found = await self._caller.ask_as_user(
            lambda token: mfa.challenge_request(
                self._caller.api, token, factor_id, channel=channel, webauthn=webauthn
            ),
            Answer.object,
        )
        return FactorChallenge.from_json(found)

    async def verify(
        self,
        factor_id: str,
        *,
        challenge_id: str,
        code: str | None = None,
        webauthn: Mapping[str, Any] | None = None,
    ) -> AuthResponse:
        """
        Meet a challenge: the session becomes one of `aal2` (`MfaChallengeVerified`).

        A wrong code leaves the session there was.

        Args:
            factor_id: Which factor.
            challenge_id: What `challenge()` gave.
            code: The code; or
            webauthn: what the ceremony gave (`type`, `credential_response`, …), sent as it is.

        Raises:
            ApiError: The server refused (`mfa_verification_failed`, `mfa_challenge_expired`;
                `mfa_ip_address_mismatch` also of a challenge that was met before).
        """
        order = self._caller.manager.begin_sign_in()
        return await self._caller.upgrade(
            lambda token: mfa.verify_request(
                self._caller.api,
                token,
                factor_id,
                challenge_id=challenge_id,
                code=code,
                webauthn=webauthn,
            ),
            event=MfaChallengeVerified,
            order=order,
        )

    async def challenge_and_verify(self, factor_id: str, code: str) -> AuthResponse:
        """
        Ask for an authenticator app's factor and meet the challenge at once.

        Args:
            factor_id: Which one.
            code: The code that the app shows.

        Raises:
            ApiError: As `challenge()` and `verify()`.
        """
        challenge = await self.challenge(factor_id)
        if not challenge.id:
            raise ProtocolError("The server's answer holds no challenge to meet.")
        return await self.verify(factor_id, challenge_id=challenge.id, code=code)

    async def unenroll(self, factor_id: str) -> None:
        """
        Take a factor away. The session falls back to `aal1` with its next refresh.

        Args:
            factor_id: Which one. A verified one wants a session of `aal2`.

        Raises:
            ApiError: The server refused (`insufficient_aal`, `mfa_factor_not_found`, …).
        """
        await self._caller.ask_as_user(
            lambda token: mfa.unenroll_request(self._caller.api, token, factor_id), Answer.check
        )

    async def list_factors(self) -> Factors:
        """
        Return the user's factors as the server knows them now.

        Raises:
            ApiError: The server refused the token.
        """
        return Factors.of((await self._user()).factors)

    async def get_authenticator_assurance_level(self, jwt: str | None = None) -> AssuranceLevel:
        """
        Return how sure the server is of who is there.

        Without *jwt* nothing is asked of the server, but for a refresh that is due: the factors
        are those of the session's user.

        Args:
            jwt: Another access token; its user is asked for.

        Raises:
            Malformed: *jwt* cannot be sent.
            ApiError: The server refused *jwt*.
        """
        if jwt is not None:
            answer = await self._caller.ask(user_request(self._caller.api, jwt))
            return _level(jwt, answer.user())
        session = await self._caller.manager.get_session()
        if session is None:
            return AssuranceLevel()
        return _level(session.access_token, session.user)

    async def _user(self) -> User:
        return await self._caller.ask_as_user(
            lambda token: user_request(self._caller.api, token), Answer.user
        )


def _level(access_token: str, user: object) -> AssuranceLevel:
    claims = Claims.from_json(claims_of(access_token))
    current = claims.aal or None
    factors = user.factors if isinstance(user, User) else ()
    verified = any(factor.status == "verified" for factor in factors)
    listed = claims.amr if isinstance(claims.amr, list) else []
    return AssuranceLevel(
        current_level=current,
        next_level="aal2" if verified else current,
        current_authentication_methods=tuple(
            AMREntry.from_json(entry) for entry in listed if isinstance(entry, str | dict)
        ),
    )
