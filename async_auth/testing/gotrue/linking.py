"""Users and the identities that they have elsewhere: found, made, linked and unlinked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import Identity, User
from async_auth.testing.gotrue.state import Caller, GoTrueState, is_uuid


def user_of(state: GoTrueState, provider: str, data: Mapping[str, Any], *, now: float) -> User:
    """
    Return who signs in with this identity: its user, one with the same address, or a new one.

    An address that the provider has not verified is linked to nobody.
    """
    found = _owner(state, provider, data["sub"])
    if found is not None:
        found.user_metadata.update(data)
        return found
    email = str(data.get("email", "")).lower() if data.get("email_verified") else ""
    user = state.find(email) if email else None
    if user is None:
        user = User(created_at=now, updated_at=now)
        state.users[user.id] = user
        state.rename(user, email=email)
    user.email_confirmed_at = user.email_confirmed_at or (now if email else None)
    user.user_metadata.update(data)
    _add(user, provider, data, now=now)
    return user


def sso_user_of(state: GoTrueState, provider: str, data: Mapping[str, Any], *, now: float) -> User:
    """
    Return who signs in with a company's identity: its user, or a new one.

    It is linked to nobody: the same address may be another user's, who signs in otherwise.
    """
    user = _owner(state, provider, data["sub"])
    if user is None:
        email = str(data.get("email", "")).lower()
        user = User(
            created_at=now,
            updated_at=now,
            email=email,
            email_confirmed_at=now if email else None,
            is_sso_user=True,
        )
        state.users[user.id] = user
        _add(user, provider, data, now=now)
    user.user_metadata.update(data)
    return user


def link(
    state: GoTrueState, user: User, provider: str, data: Mapping[str, Any], *, now: float
) -> None:
    """Give the user this identity as well."""
    if _owner(state, provider, data["sub"]) is not None:
        raise Refusal(422, "identity_already_exists", "Identity is already linked")
    if user.is_anonymous:
        email = str(data.get("email", "")).lower()
        state.rename(user, email=email)
        user.is_anonymous, user.email_confirmed_at = False, now if email else None
    _add(user, provider, data, now=now)


def unlink(state: GoTrueState, caller: Caller, identity_id: str) -> Answer:
    """Take an identity away: DELETE /user/identities/:id. The last one stays."""
    check_linking(state)
    if not is_uuid(identity_id):
        raise invalid("identity_id must be an UUID", status=404)
    user = caller.user
    if len(user.identities) <= 1:
        raise Refusal(
            422,
            "single_identity_not_deletable",
            "User must have at least 1 identity after unlinking",
        )
    identity = next((one for one in user.identities if one.identity_id == identity_id), None)
    if identity is None:
        raise Refusal(422, "identity_not_found", "Identity doesn't exist")
    user.identities.remove(identity)
    _list_providers(user)
    return Answer({})


def check_linking(state: GoTrueState) -> None:
    """Refuse if users may not link by themselves."""
    if not state.options.manual_linking:
        raise Refusal(404, "manual_linking_disabled", "Manual linking is disabled")


def _owner(state: GoTrueState, provider: str, subject: str) -> User | None:
    for user in state.users.values():
        for identity in user.identities:
            if (identity.provider, identity.data["sub"]) == (provider, subject):
                return user
    return None


def _add(user: User, provider: str, data: Mapping[str, Any], *, now: float) -> None:
    user.identities.append(
        Identity(user_id=user.id, provider=provider, data=dict(data), created_at=now)
    )
    _list_providers(user)


def _list_providers(user: User) -> None:
    providers = list(dict.fromkeys(identity.provider for identity in user.identities))
    # Not changed in place: tokens that were issued hold the old value.
    user.app_metadata = {**user.app_metadata, "provider": providers[0], "providers": providers}
