"""What users may have sent to them: codes, links, and the same once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_email, check_phone
from async_auth.testing.gotrue.post import Target
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import User, new_id
from async_auth.testing.gotrue.state import Caller, GoTrueState

#: What can be sent once more, and what it is told by.
RESENDABLE = {"signup": "email", "email_change": "email", "sms": "phone", "phone_change": "phone"}


def send_otp(
    state: GoTrueState,
    *,
    email: str,
    phone: str,
    create_user: bool,
    data: Mapping[str, Any],
    target: Target,
    now: float,
) -> Answer:
    """Send a code to sign in with: POST /otp, and POST /magiclink. It may make the user."""
    if email and phone:
        raise invalid("Only an email address or phone number should be provided")
    if not email and not phone:
        raise invalid("One of email or phone must be set")
    name = check_email(email) if email else check_phone(phone)
    user = state.find(name)
    if user is None and not create_user:
        raise Refusal(422, "otp_disabled", "Signups not allowed for otp")
    state.post.check_hour("email" if email else "sms", now=now)
    if user is None:
        user = state.create_user(
            email=name if email else "",
            phone="" if email else name,
            data=data,
            confirmed=bool(email) and state.options.autoconfirm,
            now=now,
        )
    if phone:
        return _text(state, user, name, now=now)
    kind = "signup" if user.email_confirmed_at is None else "magiclink"
    state.post.check_rate(user, kind, now=now)
    state.post.send(kind, user, name, target=target, now=now)
    return Answer({})


def _text(state: GoTrueState, user: User, phone: str, *, now: float) -> Answer:
    state.post.check_rate(user, "sms", now=now)
    state.post.send("sms", user, phone, target=Target(), now=now)
    return Answer({"message_id": new_id()})


def recover(state: GoTrueState, email: str, *, target: Target, now: float) -> Answer:
    """Send a link to somebody who forgot their password: POST /recover. Tells nobody who exists."""
    if not email:
        raise invalid("Password recovery requires an email")
    user = state.find(check_email(email))
    if user is not None:
        state.post.check_rate(user, "recovery", now=now)
        state.post.send("recovery", user, user.email, target=target, now=now)
    return Answer({})


def resend(
    state: GoTrueState, kind: str, *, email: str, phone: str, target: Target, now: float
) -> Answer:
    """Send a code once more: POST /resend. Tells nobody who exists, or waits for one."""
    wanted = RESENDABLE.get(kind)
    if wanted is None:
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    if email and phone:
        raise invalid("Only an email address or phone number should be provided.")
    if not (email if wanted == "email" else phone):
        raise invalid(f"Type provided requires {'an email' if email else 'a phone number'}")
    user = state.find(check_email(email) if wanted == "email" else check_phone(phone))
    if user is None or not _waits(user, kind):
        return Answer({})
    if kind == "sms":
        return _text(state, user, user.phone, now=now)
    if kind == "phone_change":
        state.post.check_rate(user, kind, now=now)
        send_phone_change(state, user, now=now)
        return Answer({"message_id": new_id()})
    state.post.check_rate(user, kind, now=now)
    if kind == "signup":
        state.post.send(kind, user, user.email, target=target, now=now)
    else:
        send_email_change(state, user, target=target, now=now)
    return Answer({})


def _waits(user: User, kind: str) -> bool:
    return {
        "signup": user.email_confirmed_at is None,
        "email_change": bool(user.new_email),
        "sms": user.phone_confirmed_at is None,
        "phone_change": bool(user.new_phone),
    }[kind]


def send_email_change(state: GoTrueState, user: User, *, target: Target, now: float) -> None:
    """Ask the new address to confirm the change, and the old one too if there is one."""
    user.email_change_is_half_done = False
    if state.options.secure_email_change and user.email:
        state.post.send(
            "email_change", user, user.email, slot="email_change_current", target=target, now=now
        )
    state.post.send(
        "email_change", user, user.new_email, slot="email_change_new", target=target, now=now
    )


def send_phone_change(state: GoTrueState, user: User, *, now: float) -> None:
    """Ask the new number to confirm the change."""
    state.post.send("phone_change", user, user.new_phone, target=Target(), now=now)


def reauthenticate(state: GoTrueState, caller: Caller, *, now: float) -> Answer:
    """Send the caller a nonce for a new password: GET /reauthenticate."""
    user = caller.user
    address = user.email or user.phone
    if not address:
        raise invalid("Reauthentication requires the user to have an email or a phone number")
    if user.confirmed_at is None:
        what = "email" if user.email else "phone"
        raise Refusal(422, f"{what}_not_confirmed", "Please verify your email or phone first.")
    state.post.check_rate(user, "reauthentication", now=now)
    state.post.send("reauthentication", user, address, target=Target(), now=now)
    return Answer({})
