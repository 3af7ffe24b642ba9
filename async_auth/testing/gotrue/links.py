"""What an administrator sends to users, or has written for sending: invitations and links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import check_email, check_password
from async_auth.testing.gotrue.post import Target
from async_auth.testing.gotrue.redirects import allowed_redirect
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import User
from async_auth.testing.gotrue.state import GoTrueState, taken


@attrs.frozen(kw_only=True)
class LinkForm:
    """Which link is wanted, for whom."""

    kind: str
    email: str
    password: str = attrs.field(default="", repr=False)
    new_email: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)
    redirect_to: str = ""


def invite(
    state: GoTrueState, email: str, data: Mapping[str, Any], *, target: Target, now: float
) -> Answer:
    """Make a user and send them a link: POST /invite."""
    user = _invited(state, check_email(email), data, now=now)
    state.post.send("invite", user, user.email, target=target, now=now)
    return Answer(user.wire_form())


def generate_link(state: GoTrueState, form: LinkForm, *, now: float) -> Answer:
    """Write a link and send it to nobody: POST /admin/generate_link."""
    user = _recipient(state, form, now=now)
    kind, slot, address = form.kind, "", user.email
    if kind in ("email_change_current", "email_change_new"):
        kind, slot = "email_change", form.kind
        address = user.email if form.kind == "email_change_current" else user.new_email
    ticket = state.post.write_ticket(kind, user, address, slot=slot, now=now)
    redirect_to = allowed_redirect(form.redirect_to, state.options)
    return Answer(
        {
            **user.wire_form(),
            "action_link": state.post.link(ticket, kind, redirect_to),
            "email_otp": ticket.code,
            "hashed_token": ticket.token_hash,
            "verification_type": form.kind,
            "redirect_to": redirect_to,
        }
    )


def _recipient(state: GoTrueState, form: LinkForm, *, now: float) -> User:
    email = check_email(form.email)
    user = state.find(email)
    match form.kind:
        case "signup":
            return _signed_up(state, email, form, now=now)
        case "invite":
            return _invited(state, email, form.data, now=now)
        case "magiclink" if user is None:
            return _made(state, email, form.data, password=None, now=now)
        case "magiclink" | "recovery" | "email_change_current" | "email_change_new":
            if user is None:
                raise Refusal(404, "user_not_found", "User with this email not found")
            if form.kind.startswith("email_change"):
                new_email = check_email(form.new_email)
                if state.find(new_email) not in (None, user):
                    raise taken("email")
                if new_email != user.new_email:
                    user.new_email, user.email_change_is_half_done = new_email, False
            return user
        case _:
            raise invalid(f"Invalid email action link type requested: {form.kind}")


def _signed_up(state: GoTrueState, email: str, form: LinkForm, *, now: float) -> User:
    if not form.password:
        raise invalid("Signup requires a valid password")
    check_password(form.password, state.options)
    user = state.find(email)
    if user is None:
        return _made(state, email, form.data, password=form.password, now=now)
    if user.email_confirmed_at is not None:
        raise taken("email")
    return user


def _invited(state: GoTrueState, email: str, data: Mapping[str, Any], *, now: float) -> User:
    user = state.find(email)
    if user is not None and user.email_confirmed_at is not None:
        raise taken("email")
    if user is None:
        user = _made(state, email, data, password=None, now=now)
    user.invited_at = now
    return user


def _made(
    state: GoTrueState,
    email: str,
    data: Mapping[str, Any],
    *,
    password: str | None,
    now: float,
) -> User:
    user = state.create_user(email=email, password=password, confirmed=False, now=now)
    # As recorded: what was given and no more, until the address is confirmed.
    user.user_metadata = dict(data)
    return user
