"""The events: their names, and that they are data."""

from __future__ import annotations

import copy
import inspect
import pickle

import attrs
import pytest

from async_auth import events
from async_auth.errors import RateLimited
from async_auth.events import Event
from async_auth.session import Session, fingerprint

NAMES = {
    "Event": "EVENT",
    # As in auth-js …
    "InitialSession": "INITIAL_SESSION",
    "SignedIn": "SIGNED_IN",
    "SignedOut": "SIGNED_OUT",
    "TokenRefreshed": "TOKEN_REFRESHED",
    "UserUpdated": "USER_UPDATED",
    "PasswordRecovery": "PASSWORD_RECOVERY",
    "MfaChallengeVerified": "MFA_CHALLENGE_VERIFIED",
    # … as in SuperTokens …
    "AccessTokenPayloadUpdated": "ACCESS_TOKEN_PAYLOAD_UPDATED",
    "ApiInvalidClaim": "API_INVALID_CLAIM",
    # … and ours.
    "RefreshFailed": "REFRESH_FAILED",
    "StoreFailed": "STORE_FAILED",
    "Lagged": "LAGGED",
}

CLASSES = [
    each for _, each in inspect.getmembers(events, inspect.isclass) if issubclass(each, Event)
]

VALUES = {
    "error": RateLimited("slow down"),
    "retry_at": 12.0,
    "reason": "user",
    "missed": 3,
    "claim_validation_errors": ({"id": "st-ev"},),
    "session": Session(access_token="secret-access", refresh_token="secret-refresh"),
    "at": 10.0,
    "key": "bot",
}

each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def made(kind):
    """Return an event with every field given."""
    return kind(**{field.name: VALUES[field.name] for field in attrs.fields(kind)})


def test_every_event_has_its_name():
    """Those who come from auth-js find the words they know."""
    assert NAMES == {each.__name__: each.name for each in CLASSES}


@each_class
def test_every_event_has_session_time_and_key(kind):
    """Whatever happened, it says to which session and when."""
    event = made(kind)

    assert (VALUES["session"], 10.0, "bot") == (event.session, event.at, event.key)
    assert NAMES[kind.__name__] == event.name


@each_class
def test_every_event_is_a_frozen_value(kind):
    """It can be compared, copied and pickled, and nobody changes it under another reader."""
    event = made(kind)

    assert event == made(kind)
    assert event == copy.copy(event)
    twin = pickle.loads(pickle.dumps(event))  # noqa: S301 - our own bytes
    assert event.session == twin.session
    assert type(event) is type(twin)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.at = 0.0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.name = "OTHER"


@each_class
def test_printing_an_event_shows_no_secret(kind):
    """A log line of an event has the class, the facts, and fingerprints."""
    text = repr(made(kind))

    assert text.startswith(kind.__name__)
    assert "secret" not in text
    assert fingerprint("secret-access") in text


@each_class
def test_events_of_different_kinds_differ(kind):
    """Two kinds with the same facts are not equal."""
    assert [made(kind)] == [made(other) for other in CLASSES if made(other) == made(kind)]


def test_matching_on_the_class():
    """`match` takes events apart by keyword."""
    match made(events.SignedOut):
        case events.SignedOut(reason="user", key=key):
            assert "bot" == key
        case _:
            pytest.fail("not matched")
