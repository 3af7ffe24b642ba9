"""What the holder of a service key may do to users and their factors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.changes import merge
from async_auth.testing.gotrue.credentials import check_email, check_password, check_phone
from async_auth.testing.gotrue.factors import find_factor, remove
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Password, User
from async_auth.testing.gotrue.state import GoTrueState, is_uuid, taken

#: The roles of a token that may do this.
ADMIN_ROLES = ("service_role", "supabase_admin")

DEFAULT_PER_PAGE = 50

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:h|ms|m|s))+\Z")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


@attrs.frozen(kw_only=True)
class UserForm:
    """What a user is to be, or to become; what is empty or `None` stays as it is."""

    id: str = ""
    email: str = ""
    phone: str = ""
    password: str = attrs.field(default="", repr=False)
    role: str = ""
    ban_duration: str = ""
    email_confirm: bool = False
    phone_confirm: bool = False
    user_metadata: Mapping[str, Any] = attrs.field(factory=dict)
    app_metadata: Mapping[str, Any] = attrs.field(factory=dict)


def check_admin(state: GoTrueState, authorization: str | None, *, now: float) -> None:
    """Refuse who bears no administrator's token."""
    claims = state.claims_of(authorization, now=now)
    if claims.get("role") not in ADMIN_ROLES:
        raise Refusal(403, "not_admin", "User not allowed")


def list_users(state: GoTrueState, *, page: str, per_page: str) -> Answer:
    """Show a page of users, the newest first: GET /admin/users. Totals are in the headers."""
    number, size = _count(page, 1, "page"), _count(per_page, DEFAULT_PER_PAGE, "per_page")
    users = sorted(state.users.values(), key=lambda user: user.created_at, reverse=True)
    last = max(-(-len(users) // size), 1)
    shown = users[(number - 1) * size : number * size]
    links = [f'</admin/users?page={last}&per_page={size}>; rel="last"']
    if number < last:
        links.insert(0, f'</admin/users?page={number + 1}&per_page={size}>; rel="next"')
    headers = {"X-Total-Count": str(len(users)), "Link": ", ".join(links)}
    return Answer({"users": [user.wire_form() for user in shown], "aud": "authenticated"}, headers)


def _count(text: str, default: int, name: str) -> int:
    if not text:
        return default
    if not text.isdecimal() or not int(text):
        raise invalid(f"Bad Pagination Parameters: {name} must be a positive integer")
    return int(text)


def find_user(state: GoTrueState, user_id: str) -> User:
    """Return the row, or refuse as the endpoints of /admin/users/:id do."""
    if not is_uuid(user_id):
        raise invalid("user_id must be an UUID", status=404)
    user = state.users.get(user_id)
    if user is None:
        raise Refusal(404, "user_not_found", "User not found")
    return user


def create_user(state: GoTrueState, form: UserForm, *, now: float) -> Answer:
    """Make a user: POST /admin/users."""
    if not form.email and not form.phone:
        raise invalid("Cannot create a user without either an email or phone")
    if form.id and (not is_uuid(form.id) or form.id in state.users):
        raise invalid("ID must conform to the uuid v4 format, and not be taken")
    email, phone = _free_names(state, form, None)
    until = banned_until(form.ban_duration, now=now)
    if form.password:
        check_password(form.password, state.options)
    user = state.create_user(
        user_id=form.id,
        email=email,
        phone=phone,
        password=form.password or None,
        confirmed=False,
        now=now,
    )
    user.user_metadata = dict(form.user_metadata)
    user.role, user.banned_until = form.role or user.role, until
    user.app_metadata |= form.app_metadata
    _confirm(user, form, now=now)
    return Answer(user.wire_form(fresh=True))


def update_user(state: GoTrueState, user: User, form: UserForm, *, now: float) -> Answer:
    """Change a user: PUT /admin/users/:id. It takes effect at once, without a mail."""
    email, phone = _free_names(state, form, user)
    until = banned_until(form.ban_duration, now=now)
    if form.password:
        check_password(form.password, state.options)
    state.rename(user, email=email, phone=phone)
    if form.password:
        user.password = Password.of(form.password)
    if form.ban_duration:
        user.banned_until = until
    user.role = form.role or user.role
    merge(user.user_metadata, form.user_metadata)
    # Not changed in place: tokens that were issued hold the old value.
    user.app_metadata = dict(user.app_metadata)
    merge(user.app_metadata, form.app_metadata)
    _confirm(user, form, now=now)
    user.updated_at = now
    return Answer(user.wire_form())


def _free_names(state: GoTrueState, form: UserForm, user: User | None) -> tuple[str, str]:
    email = check_email(form.email) if form.email else ""
    phone = check_phone(form.phone) if form.phone else ""
    for what, name in (("email", email), ("phone", phone)):
        if name and state.find(name) not in (None, user):
            raise taken(what)
    return email, phone


def _confirm(user: User, form: UserForm, *, now: float) -> None:
    if form.email_confirm and user.email:
        user.email_confirmed_at = user.email_confirmed_at or now
        user.user_metadata["email_verified"] = True
    if form.phone_confirm and user.phone:
        user.phone_confirmed_at = user.phone_confirmed_at or now


def banned_until(duration: str, *, now: float) -> float | None:
    """Return until when a ban of a Go duration (`24h`, `1h30m`, `none`) lasts."""
    if duration in ("", "none"):
        return None
    if not _DURATION.match(duration):
        raise invalid(f'invalid format for ban duration: time: invalid duration "{duration}"')
    return now + sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def list_factors(user: User) -> Answer:
    """Show a user's factors: GET /admin/users/:id/factors, a bare list."""
    return Answer([factor.wire_form() for factor in user.factors])


def update_factor(user: User, factor_id: str, friendly_name: str, *, now: float) -> Answer:
    """Rename a factor: PUT /admin/users/:id/factors/:id."""
    factor = find_factor(user, factor_id)
    if friendly_name:
        factor.friendly_name, factor.updated_at = friendly_name, now
    return Answer(factor.wire_form())


def delete_factor(state: GoTrueState, user: User, factor_id: str) -> Answer:
    """Remove a factor: DELETE /admin/users/:id/factors/:id."""
    factor = find_factor(user, factor_id)
    shown = factor.wire_form()
    remove(state, user, factor)
    return Answer(shown)
