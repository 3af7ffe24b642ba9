"""Second factors: enrolled, challenged, verified and removed. TOTP codes are real ones."""

from __future__ import annotations

import secrets

from async_auth.testing.gotrue import totp
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_phone
from async_auth.testing.gotrue.post import Message
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Challenge, Factor, User, new_id
from async_auth.testing.gotrue.state import Caller, GoTrueState, is_uuid

#: For how long a challenge can be answered, in seconds.
CHALLENGE_EXPIRY = 300
MAX_FACTORS = 10

_METHODS = {"totp": "totp", "phone": "mfa/phone"}


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
    if factor_type == "webauthn":
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
    account = user.email or user.phone or user.id
    uri = totp.key_uri(factor.secret, issuer=issuer or state.options.site_url, account=account)
    secret = {"qr_code": totp.picture(uri), "secret": factor.secret, "uri": uri}
    return Answer({**shown, "totp": secret})


def challenge(state: GoTrueState, caller: Caller, factor_id: str, *, now: float) -> Answer:
    """Ask for a factor: POST /factors/:id/challenge. A phone gets its code by message."""
    factor = find_factor(caller.user, factor_id)
    code = ""
    if factor.factor_type == "phone":
        code = f"{secrets.randbelow(10**6):06d}"
        message = Message(kind="mfa", address=factor.phone, code=code, sent_at=now)
        state.post.outbox.append(message)
    challenge_id = new_id()
    state.challenges[challenge_id] = Challenge(factor_id=factor_id, made_at=now, code=code)
    factor.last_challenged_at = now
    expires_at = int(now) + CHALLENGE_EXPIRY
    return Answer({"id": challenge_id, "type": factor.factor_type, "expires_at": expires_at})


def verify(
    state: GoTrueState, caller: Caller, factor_id: str, *, challenge_id: str, code: str, now: float
) -> Answer:
    """Answer a challenge: POST /factors/:id/verify. The session becomes an aal2 one."""
    user, factor = caller.user, find_factor(caller.user, factor_id)
    asked = state.challenges.get(challenge_id)
    if asked is None or asked.factor_id != factor_id:
        # The real server says this of a challenge that was answered already, too.
        raise Refusal(422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.")
    if now > asked.made_at + CHALLENGE_EXPIRY:
        del state.challenges[challenge_id]
        raise Refusal(
            422,
            "mfa_challenge_expired",
            f"MFA challenge {challenge_id} has expired, verify against another challenge or "
            "create a new challenge.",
        )
    is_totp = factor.factor_type == "totp"
    good = totp.is_code(factor.secret, code, now) if is_totp else code == asked.code
    if not good:
        kind = "TOTP" if is_totp else "MFA Phone"
        raise Refusal(422, "mfa_verification_failed", f"Invalid {kind} code entered")
    if caller.session is None:
        raise Refusal(403, "session_not_found", "A session is required to verify a factor")
    del state.challenges[challenge_id]
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
