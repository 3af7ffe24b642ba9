"""Second factors: enrolled, challenged, verified and removed.

TOTP codes and the signatures of security keys are real ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.testing.gotrue import totp
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_phone
from async_auth.testing.gotrue.passkeys import new_challenge, user_name
from async_auth.testing.gotrue.post import Message
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Challenge, Factor, User, new_id
from async_auth.testing.gotrue.state import Caller, GoTrueState, is_uuid
from async_auth.testing.webauthn.relying_party import (
    CeremonyFailed,
    Credential,
    credential_id_of,
)

#: For how long a challenge can be answered, in seconds.
CHALLENGE_EXPIRY = 300
MAX_FACTORS = 10

_METHODS = {"totp": "totp", "phone": "mfa/phone", "webauthn": "mfa/webauthn"}


@attrs.frozen(kw_only=True)
class FactorProof:
    """What is shown for a challenge: a code, or what a security key's ceremony brought."""

    challenge_id: str
    code: str = attrs.field(default="", repr=False)
    webauthn: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


def enroll(
    state: GoTrueState,
    caller: Caller,
    *,
    factor_type: str,
    friendly_name: str,
    issuer: str,
    phone: str,
    now: float,
) -> Answer:
    """Begin with a factor: POST /factors. It counts once it was verified."""
    user = caller.user
    _check_caller(caller)
    if factor_type not in ("totp", "phone", "webauthn"):
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    if factor_type == "webauthn" and not state.options.webauthn:
        raise Refusal(422, "mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn")
    number = check_phone(phone) if factor_type == "phone" else ""
    if any(friendly_name and one.friendly_name == friendly_name for one in user.factors):
        raise Refusal(
            422,
            "mfa_factor_name_conflict",
            f'A factor with the friendly name "{friendly_name}" for this user already exists',
        )
    if number and any(one.is_verified and one.phone == number for one in user.factors):
        raise Refusal(
            422,
            "mfa_verified_factor_exists",
            "A verified phone factor already exists, unenroll the existing factor to continue",
        )
    if len(user.factors) >= MAX_FACTORS:
        raise Refusal(
            422,
            "too_many_enrolled_mfa_factors",
            "Maximum number of verified factors reached, unenroll to continue",
        )
    if user.has_mfa and caller.aal != "aal2":
        raise Refusal(403, "insufficient_aal", "AAL2 required to enroll a new factor")
    factor = Factor(
        factor_type=factor_type,
        created_at=now,
        updated_at=now,
        friendly_name=friendly_name,
        phone=number,
        secret=totp.new_secret() if factor_type == "totp" else "",
    )
    user.factors.append(factor)
    shown = {"id": factor.id, "type": factor_type, "friendly_name": friendly_name}
    if factor_type == "phone":
        return Answer({**shown, "phone": phone})
    if factor_type == "webauthn":
        return Answer(shown)
    uri = totp.key_uri(
        factor.secret, issuer=issuer or state.options.site_url, account=user_name(user)
    )
    secret = {"qr_code": totp.picture(uri), "secret": factor.secret, "uri": uri}
    return Answer({**shown, "totp": secret})


def challenge(state: GoTrueState, caller: Caller, factor_id: str, *, now: float) -> Answer:
    """Ask for a factor: POST /factors/:id/challenge. A phone gets its code by message."""
    factor = find_factor(caller.user, factor_id)
    code, webauthn, shown = "", b"", {}
    if factor.factor_type == "phone":
        code = f"{secrets.randbelow(10**6):06d}"
        message = Message(kind="mfa", address=factor.phone, code=code, sent_at=now)
        state.post.outbox.append(message)
    elif factor.factor_type == "webauthn":
        webauthn = new_challenge()
        shown = {"webauthn": _ceremony(state, caller.user, factor, webauthn)}
    challenge_id = new_id()
    state.challenges[challenge_id] = Challenge(
        factor_id=factor_id, made_at=now, code=code, webauthn=webauthn
    )
    factor.last_challenged_at = now
    expires_at = int(now) + CHALLENGE_EXPIRY
    return Answer(
        {"id": challenge_id, "type": factor.factor_type, **shown, "expires_at": expires_at}
    )


def _ceremony(state: GoTrueState, user: User, factor: Factor, challenge: bytes) -> dict[str, Any]:
    """Return what a browser is given: at first to make a key, then to show it."""
    known = [one.credential for one in user.factors if one.credential is not None]
    party = state.relying_party
    if factor.is_verified:
        return {
            "type": "request",
            "credential_options": {
                "publicKey": party.request_options(challenge=challenge, known=known)
            },
        }
    options = party.creation_options(
        challenge=challenge, user_handle=user.id.encode(), user_name=user_name(user), known=known
    )
    return {"type": "create", "credential_options": {"publicKey": options}}


def verify(
    state: GoTrueState, caller: Caller, factor_id: str, proof: FactorProof, *, now: float
) -> Answer:
    """Answer a challenge: POST /factors/:id/verify. The session becomes an aal2 one."""
    user, factor = caller.user, find_factor(caller.user, factor_id)
    if factor.factor_type == "webauthn":
        _check_form(factor, proof)
    asked = state.challenges.get(proof.challenge_id)
    if asked is None or asked.factor_id != factor_id:
        # The real server says this of a challenge that was answered already, too.
        raise Refusal(422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.")
    if now > asked.made_at + CHALLENGE_EXPIRY:
        del state.challenges[proof.challenge_id]
        raise Refusal(
            422,
            "mfa_challenge_expired",
            f"MFA challenge {proof.challenge_id} has expired, verify against another challenge or "
            "create a new challenge.",
        )
    credential = factor.credential
    if factor.factor_type == "webauthn":
        credential = _check_key(state, user, proof, asked)
    else:
        _check_code(factor, proof.code, asked, now=now)
    if caller.session is None:
        raise Refusal(403, "session_not_found", "A session is required to verify a factor")
    del state.challenges[proof.challenge_id]
    if not factor.is_verified:
        factor.credential = credential
    factor.is_verified, factor.updated_at = True, now
    # What was only begun with is gone, and so are the sessions without a second factor.
    user.factors = [
        one for one in user.factors if one.is_verified or one.factor_type != factor.factor_type
    ]
    answer = state.sessions.raise_level(
        caller.session,
        user,
        method=_METHODS[factor.factor_type],
        factor_id=factor.id,
        now=now,
    )
    for other in list(state.sessions.of(user.id)):
        if other.aal == "aal1":
            state.sessions.delete(other.id)
    return answer


def _check_code(factor: Factor, code: str, asked: Challenge, *, now: float) -> None:
    is_totp = factor.factor_type == "totp"
    good = totp.is_code(factor.secret, code, now) if is_totp else code == asked.code
    if not good:
        kind = "TOTP" if is_totp else "MFA Phone"
        raise Refusal(422, "mfa_verification_failed", f"Invalid {kind} code entered")


def _check_form(factor: Factor, proof: FactorProof) -> None:
    if not proof.webauthn:
        raise invalid("WebAuthn config required")
    if proof.webauthn.get("type") not in ("create", "request"):
        raise invalid("WebAuthn type must be create or request")
    if not isinstance(proof.webauthn.get("credential_response"), Mapping):
        raise invalid("credential_response required")
    # Not as read in the source: a key that is made on the spot would show nothing.
    if (proof.webauthn["type"] == "request") != factor.is_verified:
        raise invalid("WebAuthn type must be the one of the challenge")


def _check_key(state: GoTrueState, user: User, proof: FactorProof, asked: Challenge) -> Credential:
    answer, party = proof.webauthn["credential_response"], state.relying_party
    try:
        if proof.webauthn["type"] == "create":
            return party.verify_creation(answer, challenge=asked.webauthn)
        return _check_known_key(state, user, answer, asked)
    except CeremonyFailed:
        # As read in the source: not a 4xx, and without a code of its own.
        raise Refusal(
            500, "unexpected_failure", "Failed to validate WebAuthn MFA response"
        ) from None


def _check_known_key(
    state: GoTrueState, user: User, answer: Mapping[str, Any], asked: Challenge
) -> Credential:
    key_id = credential_id_of(answer)
    for factor in user.factors:
        if factor.credential is not None and factor.credential.id == key_id:
            factor.credential = state.relying_party.verify_assertion(
                answer, challenge=asked.webauthn, credential=factor.credential
            )
            return factor.credential
    raise CeremonyFailed("nobody's key")


def unenroll(state: GoTrueState, caller: Caller, factor_id: str) -> Answer:
    """Remove a factor: DELETE /factors/:id. Its sessions are aal1 from their next refresh on."""
    factor = find_factor(caller.user, factor_id)
    if factor.is_verified and caller.aal != "aal2":
        raise Refusal(422, "insufficient_aal", "AAL2 required to unenroll verified factor")
    remove(state, caller.user, factor)
    return Answer({"id": factor_id})


def remove(state: GoTrueState, user: User, factor: Factor) -> None:
    """Take a factor from its user."""
    user.factors.remove(factor)
    state.sessions.lower_level(factor.id)


def find_factor(user: User, factor_id: str) -> Factor:
    """Return the user's factor, or refuse."""
    if not is_uuid(factor_id):
        raise invalid("factor_id must be an UUID", status=404)
    factor = next((one for one in user.factors if one.id == factor_id), None)
    if factor is None:
        raise Refusal(404, "mfa_factor_not_found", "Factor not found")
    return factor


def _check_caller(caller: Caller) -> None:
    if caller.user.is_anonymous:
        raise Refusal(
            403, "no_authorization", "Anonymous user not allowed to perform these actions"
        )
