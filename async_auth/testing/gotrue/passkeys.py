"""Passkeys: registered by who is signed in, and signed in with by anybody who holds one.

The signatures are really verified; see `RelyingParty` for what is checked and what is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Ceremony, Passkey, User, new_id
from async_auth.testing.gotrue.state import Caller, GoTrueState, is_uuid
from async_auth.testing.webauthn.relying_party import (
    CeremonyFailed,
    credential_id_of,
    user_handle_of,
)

#: For how long a ceremony can be finished, in seconds.
CEREMONY_EXPIRY = 300
MAX_PASSKEYS = 10

_MAX_NAME_LENGTH = 120
_CHALLENGE_LENGTH = 32


def registration_options(state: GoTrueState, caller: Caller, *, now: float) -> Answer:
    """Begin to register a passkey: POST /passkeys/registration/options."""
    user = caller.user
    _check_may_manage(state, caller)
    if len(user.passkeys) >= MAX_PASSKEYS:
        raise Refusal(422, "too_many_passkeys", "Maximum number of passkeys reached")
    challenge = new_challenge()
    options = state.relying_party.creation_options(
        challenge=challenge,
        user_handle=user.id.encode(),
        user_name=user_name(user),
        known=[passkey.credential for passkey in user.passkeys],
        discoverable=True,
    )
    return _begin(state, challenge, options, user_id=user.id, now=now)


def register(
    state: GoTrueState,
    caller: Caller,
    *,
    challenge_id: str,
    credential: Mapping[str, Any],
    now: float,
) -> Answer:
    """Register what the ceremony brought: POST /passkeys/registration/verify."""
    _check_may_manage(state, caller)
    ceremony = _consume(state, challenge_id, credential, user_id=caller.user.id, now=now)
    try:
        found = state.relying_party.verify_creation(credential, challenge=ceremony.challenge)
    except CeremonyFailed:
        raise _failed() from None
    if _find_credential(state, found.id) is not None:
        raise Refusal(422, "webauthn_credential_exists", "This credential is already registered")
    passkey = Passkey(credential=found, created_at=now)
    caller.user.passkeys.append(passkey)
    return Answer(passkey.wire_form())


def authentication_options(state: GoTrueState, *, now: float) -> Answer:
    """Begin to sign in: POST /passkeys/authentication/options. Any passkey of ours will do."""
    _check_enabled(state)
    challenge = new_challenge()
    options = state.relying_party.request_options(challenge=challenge)
    return _begin(state, challenge, options, user_id=None, now=now)


def sign_in(
    state: GoTrueState, *, challenge_id: str, credential: Mapping[str, Any], now: float
) -> Answer:
    """Open a session for who holds the passkey: POST /passkeys/authentication/verify."""
    _check_enabled(state)
    ceremony = _consume(state, challenge_id, credential, user_id=None, now=now)
    try:
        found = _find_credential(state, credential_id_of(credential))
        if found is None or user_handle_of(credential) != found[0].id.encode():
            raise _failed()
        user, passkey = found
        seen = state.relying_party.verify_assertion(
            credential, challenge=ceremony.challenge, credential=passkey.credential
        )
    except CeremonyFailed:
        raise _failed() from None
    if user.email and user.confirmed_at is None:
        raise Refusal(403, "email_not_confirmed", "Email not confirmed")
    if user.phone and user.phone_confirmed_at is None:
        raise Refusal(403, "phone_not_confirmed", "Phone not confirmed")
    if user.is_banned(now):
        raise Refusal(403, "user_banned", "User is banned")
    passkey.credential, passkey.last_used_at = seen, now
    return state.sessions.open(user, "passkey", now=now)


def list_passkeys(user: User) -> Answer:
    """Show a user's passkeys, a bare list: GET /passkeys."""
    return Answer([passkey.wire_form() for passkey in user.passkeys])


def rename(user: User, passkey_id: str, friendly_name: str) -> Answer:
    """Give a passkey another name: PATCH /passkeys/:id."""
    if not friendly_name:
        raise invalid("friendly_name is required")
    if len(friendly_name) > _MAX_NAME_LENGTH:
        raise invalid(f"friendly_name must be {_MAX_NAME_LENGTH} characters or less")
    passkey = _find(user, passkey_id)
    passkey.friendly_name = friendly_name
    return Answer(passkey.wire_form())


def delete(user: User, passkey_id: str) -> Answer:
    """Remove a passkey, as administrators may: DELETE /admin/users/:id/passkeys/:id."""
    user.passkeys.remove(_find(user, passkey_id))
    return Answer(None, status=204)


def delete_own(caller: Caller, passkey_id: str) -> Answer:
    """Remove a passkey of one's own: DELETE /passkeys/:id."""
    _check_level(caller)
    return delete(caller.user, passkey_id)


def check_owner(state: GoTrueState, caller: Caller) -> User:
    """Return whose passkeys are asked for, or refuse."""
    _check_enabled(state)
    if caller.user.is_anonymous:
        raise Refusal(
            403, "no_authorization", "Anonymous user not allowed to perform these actions"
        )
    return caller.user


def new_challenge() -> bytes:
    """Return what an authenticator is to sign."""
    return secrets.token_bytes(_CHALLENGE_LENGTH)


def user_name(user: User) -> str:
    """Return what an authenticator calls the user."""
    return user.email or user.phone or user.id


def _begin(
    state: GoTrueState,
    challenge: bytes,
    options: dict[str, Any],
    *,
    user_id: str | None,
    now: float,
) -> Answer:
    challenge_id = new_id()
    state.ceremonies[challenge_id] = Ceremony(challenge=challenge, user_id=user_id, made_at=now)
    expires_at = int(now) + CEREMONY_EXPIRY
    return Answer({"challenge_id": challenge_id, "options": options, "expires_at": expires_at})


def _consume(
    state: GoTrueState,
    challenge_id: str,
    credential: Mapping[str, Any],
    *,
    user_id: str | None,
    now: float,
) -> Ceremony:
    """Return the ceremony, which cannot be finished twice, whatever becomes of it."""
    if not challenge_id:
        raise invalid("challenge_id is required")
    if not credential:
        raise invalid("credential is required")
    if not is_uuid(challenge_id):
        raise invalid("challenge_id must be a valid UUID")
    ceremony = state.ceremonies.get(challenge_id)
    if ceremony is None or ceremony.user_id != user_id:
        raise Refusal(400, "webauthn_challenge_not_found", "Challenge not found or already used")
    del state.ceremonies[challenge_id]
    if now >= ceremony.made_at + CEREMONY_EXPIRY:
        raise Refusal(400, "webauthn_challenge_expired", "Challenge has expired")
    return ceremony


def _find(user: User, passkey_id: str) -> Passkey:
    passkey = next((one for one in user.passkeys if one.id == passkey_id), None)
    if passkey is None:
        # As read in the source: no code of its own.
        raise invalid("Passkey not found", status=404)
    return passkey


def _find_credential(state: GoTrueState, key_id: bytes) -> tuple[User, Passkey] | None:
    for user in state.users.values():
        for passkey in user.passkeys:
            if passkey.credential.id == key_id:
                return user, passkey
    return None


def _check_may_manage(state: GoTrueState, caller: Caller) -> None:
    if check_owner(state, caller).is_sso_user:
        raise invalid("SSO users cannot register passkeys", status=422)
    _check_level(caller)


def _check_level(caller: Caller) -> None:
    if caller.user.has_mfa and caller.aal != "aal2":
        raise Refusal(
            403,
            "insufficient_aal",
            "AAL2 session is required to manage passkeys when MFA is enabled",
        )


def _check_enabled(state: GoTrueState) -> None:
    if not state.options.webauthn:
        raise Refusal(404, "passkey_disabled", "Passkeys are disabled")


def _failed() -> Refusal:
    return Refusal(400, "webauthn_verification_failed", "Credential verification failed")
