"""PUT /user: what users may change about themselves, and what they have to show for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_email, check_password, check_phone
from async_auth.testing.gotrue.mails import send_email_change, send_phone_change
from async_auth.testing.gotrue.post import Target
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.rows import Password, User
from async_auth.testing.gotrue.state import Caller, GoTrueState, first_identity, taken

#: What `amr` says of those who came by a code or a link.
_RECOVERY_METHODS = ("otp", "magiclink", "recovery")


@attrs.frozen(kw_only=True)
class Changes:
    """What the caller wants changed; what is empty stays as it is."""

    email: str = ""
    phone: str = ""
    password: str = attrs.field(default="", repr=False)
    current_password: str = attrs.field(default="", repr=False)
    nonce: str = attrs.field(default="", repr=False)
    data: Mapping[str, Any] = attrs.field(factory=dict)


def update_user(
    state: GoTrueState,
    caller: Caller,
    wanted: Changes,
    *,
    audience: str | None,
    target: Target,
    now: float,
) -> Answer:
    """Change the caller. A new password ends the user's other sessions and spends all codes."""
    state.check_audience(caller, audience)
    user = caller.user
    if user.is_sso_user and (wanted.email or wanted.phone or wanted.password or wanted.nonce):
        raise Refusal(
            422,
            "user_sso_managed",
            "Updating email, phone, password of a SSO account only possible via SSO",
        )
    # Everything is looked at before anything is changed: a refusal leaves no trace.
    email = _free_name(state, user, "email", check_email(wanted.email) if wanted.email else "")
    phone = _free_name(state, user, "phone", check_phone(wanted.phone) if wanted.phone else "")
    if (wanted.password or email) and user.has_mfa and caller.aal != "aal2":
        raise Refusal(
            401,
            "insufficient_aal",
            "AAL2 session is required to update email or password when MFA is enabled.",
        )
    if wanted.password:
        _check_new_password(state, caller, wanted, now=now)
    at_once = user.is_anonymous and state.options.autoconfirm
    if email and not at_once:
        state.post.check_rate(user, "email_change", now=now)
    if phone:
        state.post.check_rate(user, "phone_change", now=now)

    if wanted.password:
        user.password = Password.of(wanted.password)
        state.sessions.delete_of(user.id, but=caller.session)
        _forget_codes(state, user)
    merge(user.user_metadata, wanted.data)
    if email and at_once:
        _become_permanent(state, user, email, now=now)
    elif email:
        user.new_email = email
        send_email_change(state, user, target=target, now=now)
    if phone:
        user.new_phone = phone
        send_phone_change(state, user, now=now)
    user.updated_at = now
    return Answer(user.wire_form(fresh=bool(email) and at_once))


def merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge as Go does with metadata: null takes a member away."""
    for name, value in more.items():
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value


def _free_name(state: GoTrueState, user: User, what: str, name: str) -> str:
    if name and state.find(name) not in (None, user):
        raise taken(what)
    return "" if name == getattr(user, what) else name


def _check_new_password(state: GoTrueState, caller: Caller, wanted: Changes, *, now: float) -> None:
    user = caller.user
    if state.options.reauthentication:
        if not wanted.nonce:
            raise Refusal(
                400, "reauthentication_needed", "Password update requires reauthentication"
            )
        ticket = state.post.find(
            ("reauthentication",),
            address=user.email or user.phone,
            code=wanted.nonce,
            now=now,
        )
        if ticket is None or ticket.user_id != user.id:
            raise Refusal(422, "reauthentication_not_valid", "Nonce has expired or is invalid")
    check_password(wanted.password, state.options)
    if state.options.current_password:
        _check_current_password(caller, wanted)
    if user.password is not None and user.password.matches(wanted.password):
        raise Refusal(
            422, "same_password", "New password should be different from the old password."
        )


def _check_current_password(caller: Caller, wanted: Changes) -> None:
    password, session = caller.user.password, caller.session
    # Who came by a code or a link may have forgotten the old one.
    is_recovery = session is not None and any(way in session.amr for way in _RECOVERY_METHODS)
    if password is None or is_recovery:
        return
    words = "Current password required when setting new password."
    if not wanted.current_password:
        raise Refusal(400, "current_password_required", words)
    if not password.matches(wanted.current_password):
        raise Refusal(400, "current_password_invalid", words)


def _forget_codes(state: GoTrueState, user: User) -> None:
    # Whoever changes a password may no longer trust what was begun with the old one.
    state.post.drop(user.id)
    user.confirmation_sent_at = user.recovery_sent_at = user.reauthentication_sent_at = None
    user.email_change_sent_at = user.phone_change_sent_at = None


def _become_permanent(state: GoTrueState, user: User, email: str, *, now: float) -> None:
    state.rename(user, email=email)
    user.email_confirmed_at, user.is_anonymous = now, False
    user.user_metadata["email_verified"] = True
    user.identities.append(first_identity(user, now=now))
