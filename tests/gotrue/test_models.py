"""gotrue/models.py: tolerant values that lose nothing."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from async_auth.gotrue.json_object import parse_timestamp
from async_auth.gotrue.models import (
    AMREntry,
    AuthResponse,
    Factor,
    Identity,
    User,
    WeakPasswordInfo,
)
from async_auth.session import Session


def users_in(value: Any) -> list[dict[str, Any]]:
    """Return every object in an answer that is a user."""
    if isinstance(value, list):
        return [user for item in value for user in users_in(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if "app_metadata" in value and "aud" in value else []
    return own + [user for item in value.values() for user in users_in(item)]


def test_every_recorded_user_survives_the_round_trip(recordings: dict[str, Any]) -> None:
    """Reading and writing a real server's user loses nothing, not a digit of a timestamp."""
    found = [user for recording in recordings.values() for user in users_in(recording.answer)]
    assert len(found) > 50
    for sent in found:
        assert json.dumps(sent) == json.dumps(User.from_json(sent).to_json())


def test_recorded_users_leave_nothing_over(recordings: dict[str, Any]) -> None:
    """Every member of a plain recorded user has an attribute, and every one is readable."""
    for recording in recordings.values():
        answer = recording.answer
        if isinstance(answer, dict) and isinstance(answer.get("user"), dict) and users_in(answer):
            user = User.from_json(answer["user"])
            assert {} == user.extra
            assert all({} == identity.extra for identity in user.identities or ())


def test_a_recorded_user_is_read(recordings: dict[str, Any]) -> None:
    """The members of a user become attributes, its times aware and in UTC."""
    user = User.from_json(recordings["user_with_mfa_factors"].answer)
    assert "883f8196-4325-4c4f-bfc5-98108cbedd42" == user.id
    assert ("authenticated", "authenticated", "") == (user.aud, user.role, user.phone)
    assert "u-77ff18f8@example.com" == user.email
    assert user.is_anonymous is False
    assert {"provider": "email", "providers": ["email"]} == user.app_metadata
    assert datetime(2026, 11, 21, 9, 22, 47, 311258, tzinfo=UTC) == user.created_at
    assert datetime(2026, 11, 21, 9, 22, 47, 334800, tzinfo=UTC) == user.confirmed_at
    assert user.identities is not None
    assert "email" == user.identities[0].provider
    assert user.id == user.identities[0].user_id
    factor = user.factors[0]
    assert ("totp", "verified", "phone") == (
        factor.factor_type,
        factor.status,
        factor.friendly_name,
    )
    assert datetime(2026, 11, 21, 9, 22, 47, 384222, tzinfo=UTC) == factor.last_challenged_at


@pytest.mark.parametrize(
    "text, microsecond",
    [
        ("2026-11-21T09:22:23Z", 0),
        ("2026-11-21T09:22:23.1Z", 100_000),
        ("2026-11-21T09:22:23.19Z", 190_000),
        ("2026-11-21T09:22:23.195Z", 195_000),
        ("2026-11-21T09:22:23.1954Z", 195_400),
        ("2026-11-21T09:22:23.19546Z", 195_460),
        ("2026-11-21T09:22:23.195469Z", 195_469),
        ("2026-11-21T09:22:23.1954691Z", 195_469),
        ("2026-11-21T09:22:23.19546915Z", 195_469),
        ("2026-11-21T09:22:23.195469159Z", 195_469),
        ("2026-11-21T09:22:23.195469159", 195_469),
        ("2026-11-21T11:22:23+02:00", 0),
    ],
)
def test_timestamps_of_any_precision(text: str, microsecond: int) -> None:
    """One to nine fractional digits, another zone or none: the same second, in UTC."""
    expected = datetime(2026, 11, 21, 9, 22, 23, microsecond, tzinfo=UTC)
    found = parse_timestamp(text)
    assert expected == found
    assert timedelta(0) == (found.utcoffset() if found else None)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_timestamp_is_none(text: str) -> None:
    """A time that cannot be read, or does not exist in UTC, is None."""
    assert parse_timestamp(text) is None


def test_wrong_types_become_defaults_and_are_kept() -> None:
    """A member of a wrong type is its default, and stands in extra as it was sent."""
    sent = {
        "id": "u1",
        "role": 7,
        "email": ["a@example.com"],
        "is_anonymous": "yes",
        "app_metadata": [],
        "user_metadata": None,
        "identities": "none",
        "factors": [{"id": "f1"}, 5],
        "created_at": "yesterday",
        "updated_at": 1795252395,
        "shoe_size": {"eu": 44},
    }
    user = User.from_json(sent)
    assert ("u1", "", None, False) == (user.id, user.role, user.email, user.is_anonymous)
    assert ({}, {}, None) == (user.app_metadata, user.user_metadata, user.identities)
    assert ("f1",) == tuple(factor.id for factor in user.factors)
    assert (None, None) == (user.created_at, user.updated_at)
    kept = {name: value for name, value in sent.items() if name not in ("id", "user_metadata")}
    assert kept == user.extra
    assert sent == user.to_json()


def test_unknown_enum_values_stay_text() -> None:
    """A factor type or status of the future is kept as it is."""
    factor = Factor.from_json({"id": "f", "factor_type": "telepathy", "status": "pondering"})
    assert ("telepathy", "pondering") == (factor.factor_type, factor.status)


def test_identities_tell_missing_from_empty() -> None:
    """The made-up user of a repeated sign-up has no identities, which is not the same as unknown."""
    assert User.from_json({"id": "u"}).identities is None
    assert User.from_json({"id": "u", "identities": None}).identities is None
    assert () == User.from_json({"id": "u", "identities": []}).identities


def test_changes_are_written() -> None:
    """What was changed since is written; all else stays to the letter."""
    sent = {"id": "u", "created_at": "2026-11-21T09:22:23.195469159Z", "x": 1}
    zone = timezone(timedelta(hours=2))
    changed = attrs.evolve(
        User.from_json(sent),
        email="a@example.com",
        updated_at=datetime(2026, 1, 2, 5, 4, 5, tzinfo=zone),
        identities=(Identity(identity_id="i", provider="email"),),
    )
    expected = {
        **sent,
        "email": "a@example.com",
        "updated_at": "2026-01-02T03:04:05Z",
        "identities": [{"identity_id": "i", "provider": "email"}],
    }
    assert expected == changed.to_json()
    assert {**sent, "created_at": None} == attrs.evolve(
        User.from_json(sent), created_at=None
    ).to_json()
    assert {"reasons": ["length"]} == WeakPasswordInfo(reasons=("length",)).to_json()


def test_a_written_copy_shares_nothing() -> None:
    """Changing what to_json() gave changes no user."""
    user = User.from_json({"id": "u", "user_metadata": {"a": [1]}})
    user.to_json()["user_metadata"]["a"].append(2)
    assert {"a": [1]} == user.user_metadata


def test_amr_entries_of_both_kinds() -> None:
    """An authentication method is an object, or by RFC 8176 its bare name."""
    entry = AMREntry.from_json({"method": "password", "timestamp": 1795252943})
    assert ("password", 1795252943, None) == (entry.method, entry.timestamp, entry.provider)
    assert "pwd" == AMREntry.from_json("pwd").method
    assert AMREntry.from_json({"method": "otp", "timestamp": True}).timestamp is None


def test_weak_password_info() -> None:
    """A weak password's reasons are kept, those of wrong types left out and in extra."""
    info = WeakPasswordInfo.from_json({"reasons": ["length", "pwned", 5], "message": "weak"})
    assert (("length", "pwned"), "weak") == (info.reasons, info.message)
    assert {"reasons": ["length", "pwned", 5]} == info.extra
    assert () == WeakPasswordInfo.from_json({"reasons": None}).reasons


def test_reprs_show_no_metadata_and_no_addresses() -> None:
    """A user can be printed: no address, number, metadata or link is in it."""
    sent = {
        name: f"hidden-{name}"
        for name in ("email", "phone", "new_email", "new_phone", "action_link", "aud", "other")
    }
    user = User.from_json(
        {
            **sent,
            "id": "u1",
            "role": "authenticated",
            "app_metadata": {"hidden": 1},
            "user_metadata": {"hidden": 1},
            "identities": [{"identity_id": "i", "email": "hidden", "identity_data": {"hidden": 1}}],
            "factors": [{"id": "f", "friendly_name": "hidden", "phone": "hidden"}],
        }
    )
    assert "User(id='u1', role='authenticated', is_anonymous=False)" == repr(user)
    assert "hidden" not in f"{user} {user.identities} {user.factors}"
    response = AuthResponse(user, Session(access_token="hidden-token", user=user))
    assert "hidden" not in repr(response)


def test_values_can_be_copied_and_pickled(recordings: dict[str, Any]) -> None:
    """A user is data: equal after a copy or a trip through pickle."""
    user = User.from_json(recordings["user_with_mfa_factors"].answer)
    assert user == pickle.loads(pickle.dumps(user))  # noqa: S301 - ours, from a line ago
    assert user == copy.deepcopy(user)
    assert user != User.from_json({"id": user.id})
