"""Codes and links that come back: POST /verify, GET /verify, and the exchange of PKCE's codes."""

from __future__ import annotations

from http import HTTPStatus

import attrs

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_email, check_phone
from async_auth.testing.gotrue.grants import Grant
from async_auth.testing.gotrue.post import Ticket
from async_auth.testing.gotrue.redirects import (
    allowed_redirect,
    with_code,
    with_error,
    with_message,
    with_session,
)
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import User
from async_auth.testing.gotrue.state import GoTrueState, first_identity

#: Which codes each type takes.
_SLOTS_OF = {
    "signup": ("confirmation",),
    "invite": ("confirmation",),
    "magiclink": ("recovery",),
    "recovery": ("recovery",),
    "email": ("confirmation", "recovery"),
    "email_change": ("email_change_current", "email_change_new"),
    "sms": ("sms",),
    "phone_change": ("phone_change",),
}

_EMAIL_CHANGE = _SLOTS_OF["email_change"]
_HALF_DONE = "Confirmation link accepted. Please proceed to confirm link sent to the other email"

#: What `amr` says of a link that was followed under PKCE.
_METHODS = {"signup": "email/signup", "email_change": "email_change"}


@attrs.frozen(kw_only=True)
class Proof:
    """What is shown: a type, and either address and code, or the hash from a link."""

    kind: str
    email: str = ""
    phone: str = ""
    code: str = attrs.field(default="", repr=False)
    token_hash: str = attrs.field(default="", repr=False)


def verify(state: GoTrueState, proof: Proof, *, now: float) -> Answer:
    """Open a session for a code or a hash: POST /verify."""
    if not proof.kind:
        raise invalid("Verify requires a verification type")
    if bool(proof.code) == bool(proof.token_hash):
        raise invalid(
            "Verify requires either a token or a token hash"
            if not proof.code
            else "Only a token or a token hash should be provided"
        )
    if proof.token_hash and (proof.email or proof.phone):
        raise invalid("Only the token_hash and type should be provided")
    if proof.code and bool(proof.email) == bool(proof.phone):
        raise invalid("Only an email address or phone number should be provided on verify")
    user = _accept(state, proof, now=now)
    if user is None:
        return Answer({"code": "200", "msg": _HALF_DONE})
    return state.sessions.open(user, "otp", now=now)


def follow_link(
    state: GoTrueState, *, token_hash: str, kind: str, redirect_to: str, now: float
) -> Answer:
    """Send the browser that followed a mail's link on: GET /verify."""
    where = allowed_redirect(redirect_to, state.options)
    status = HTTPStatus.SEE_OTHER
    slots = _SLOTS_OF.get(kind, ())
    ticket = state.post.find(slots, token_hash=token_hash, now=now)
    try:
        user = _accept(state, Proof(kind=kind, token_hash=token_hash), now=now)
    except Refusal as refusal:
        return with_error(
            where,
            status,
            error="access_denied",
            code=refusal.code,
            description="Email link is invalid or has expired"
            if ticket is None
            else refusal.message,
        )
    if user is None:
        return with_message(where, _HALF_DONE, status)
    if ticket is None or ticket.flow is None:
        return with_session(where, state.sessions.open(user, "otp", now=now), status, type=kind)
    method = _METHODS.get(kind, kind)
    grant = Grant(flow=ticket.flow, user_id=user.id, method=method, made_at=now)
    return with_code(where, state.grants.add(grant), status)


def exchange_code(state: GoTrueState, code: str, verifier: str, *, now: float) -> Answer:
    """Open the session that a code stands for: POST /token?grant_type=pkce."""
    grant = state.grants.spend(code, verifier, now=now)
    user = state.users.get(grant.user_id)
    if user is None:
        raise Refusal(403, "user_not_found", "User not found")
    if user.is_banned(now):
        raise Refusal(403, "user_banned", "User is banned")
    answer = state.sessions.open(user, grant.method, now=now)
    return attrs.evolve(answer, body={**answer.body, **grant.extra})


def _accept(state: GoTrueState, proof: Proof, *, now: float) -> User | None:
    """Do what the code is for, and return whose it is; `None`: another code is wanted as well."""
    address = ""
    if proof.code:
        address = check_email(proof.email) if proof.email else check_phone(proof.phone)
    ticket = state.post.find(
        _SLOTS_OF.get(proof.kind, ()),
        address=address,
        code=proof.code,
        token_hash=proof.token_hash,
        now=now,
    )
    if ticket is None:
        raise Refusal(403, "otp_expired", "Token has expired or is invalid")
    user = state.users[ticket.user_id]
    if user.is_banned(now):
        raise Refusal(403, "user_banned", "User is banned")
    if ticket.slot in _EMAIL_CHANGE:
        is_half = state.options.secure_email_change and bool(user.email)
        if is_half and not user.email_change_is_half_done:
            user.email_change_is_half_done = True
            state.post.drop(user.id, ticket.slot)
            return None
        _change_email(state, user, now=now)
    else:
        _confirm(state, user, ticket, now=now)
    state.post.drop(user.id, ticket.slot)
    user.updated_at = now
    return user


def _confirm(state: GoTrueState, user: User, ticket: Ticket, *, now: float) -> None:
    if ticket.slot == "phone_change":
        state.rename(user, phone=user.new_phone)
        user.new_phone, user.phone_confirmed_at, user.is_anonymous = "", now, False
        _tell_identity(user, "phone", {"phone": user.phone, "phone_verified": True}, now=now)
    elif ticket.slot == "sms":
        user.phone_confirmed_at = user.phone_confirmed_at or now
        _tell_identity(user, "phone", {"phone_verified": True}, now=now)
    elif user.email_confirmed_at is None:
        user.email_confirmed_at = now
        user.user_metadata["email_verified"] = True
        _tell_identity(user, "email", {"email_verified": True}, now=now)


def _change_email(state: GoTrueState, user: User, *, now: float) -> None:
    state.rename(user, email=user.new_email)
    user.new_email, user.email_change_is_half_done = "", False
    user.is_anonymous = False
    user.email_confirmed_at = user.email_confirmed_at or now
    _tell_identity(user, "email", {"email": user.email, "email_verified": True}, now=now)


def _tell_identity(user: User, provider: str, data: dict[str, object], *, now: float) -> None:
    """Note what was confirmed in the identity of that kind; make it if there is none."""
    identity = next((one for one in user.identities if one.provider == provider), None)
    if identity is None:
        identity = first_identity(user, now=now)
        identity.provider = provider
        user.identities.append(identity)
    identity.data.update(data)
