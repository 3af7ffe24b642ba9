"""gotrue/json_object.py: every class that reads the server's JSON, one by one."""

from __future__ import annotations

import gc
import inspect
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_auth.core import jwt
from async_auth.errors import ProtocolError
from async_auth.gotrue import GoTrueClient, GoTrueProvider
from async_auth.gotrue.admin import (
    Admin,
    AuditEntry,
    CustomProvider,
    GeneratedLink,
    OAuthClient,
    SSOProvider,
)
from async_auth.gotrue.consent import (
    AuthorizationDetails,
    OAuthApplication,
    OAuthGrant,
    OAuthUser,
)
from async_auth.gotrue.failures import Refusal
from async_auth.gotrue.json_object import TEXT, JsonObject, nested, objects
from async_auth.gotrue.mfa import (
    AssuranceLevel,
    EnrolledFactor,
    FactorChallenge,
    Factors,
    TotpSecret,
)
from async_auth.gotrue.models import (
    AMREntry,
    AuthResponse,
    Claims,
    Factor,
    Identity,
    OAuthResponse,
    OtpResponse,
    SSOResponse,
    User,
    WeakPasswordInfo,
)
from async_auth.gotrue.parsing import session_in
from async_auth.gotrue.passkeys import Passkey, PasskeyOptions
from async_auth.gotrue.requests import Endpoint
from async_auth.ports import Record
from async_auth.session import Session
from async_auth.stores import FileStore

#: A time as fine as GoTrue writes it.
AT = "2026-11-21T09:22:23.195469159Z"

IDENTITY = {
    "identity_id": "a812520c-54bd-49e2-94a4-cde6471b9e88",
    "id": "4711",
    "user_id": "d37e9d4b-a169-4bde-bee1-524bf71d467e",
    "identity_data": {"email": "ann@example.com", "email_verified": True, "sub": "4711"},
    "provider": "github",
    "last_sign_in_at": AT,
    "created_at": "2026-11-21T09:22:23.1Z",
    "updated_at": "2026-11-21T09:22:23Z",
    "email": "ann@example.com",
}
FACTOR = {
    "id": "b968ca77-dec7-4ab9-846d-27e937055ec5",
    "friendly_name": "Ann's key",
    "factor_type": "webauthn",
    "status": "verified",
    "phone": "+15550100",
    "created_at": AT,
    "updated_at": AT,
    "last_challenged_at": AT,
    "web_authn_aaguid": "adce0002-35bc-c60a-648b-0b25f1f05503",
    "last_webauthn_challenge_data": {"challenge": {"publicKey": {"challenge": "6XNSX749"}}},
}
USER = {
    "id": "d37e9d4b-a169-4bde-bee1-524bf71d467e",
    "aud": "authenticated",
    "role": "authenticated",
    "email": "ann@example.com",
    "phone": "15550100",
    "app_metadata": {"provider": "email", "providers": ["email", "github"]},
    "user_metadata": {"name": "Ann", "scores": [1, 2.5, None]},
    "identities": [IDENTITY],
    "factors": [FACTOR],
    "created_at": AT,
    "updated_at": AT,
    "is_anonymous": True,
    "is_sso_user": True,
    "email_confirmed_at": AT,
    "phone_confirmed_at": AT,
    "confirmed_at": AT,
    "invited_at": AT,
    "confirmation_sent_at": AT,
    "recovery_sent_at": AT,
    "email_change_sent_at": AT,
    "phone_change_sent_at": AT,
    "reauthentication_sent_at": AT,
    "last_sign_in_at": AT,
    "banned_until": AT,
    "deleted_at": AT,
    "new_email": "new@example.com",
    "new_phone": "15550101",
    "action_link": "https://auth.example.com/verify?token=hash&type=invite",
}
LINK = {
    "action_link": "https://auth.example.com/verify?token=pkce_hash&type=magiclink",
    "email_otp": "739201",
    "hashed_token": "pkce_b5f1a1e8",
    "verification_type": "magiclink",
    "redirect_to": "https://app.example.com/",
}
TOTP = {
    "qr_code": '<svg width="5"></svg>',
    "secret": "JBSWY3DPEHPK3PXP",
    "uri": "otpauth://totp/Acme:ann?secret=JBSWY3DPEHPK3PXP",
}
CLAIMS = {
    "iss": "https://x.supabase.co/auth/v1",
    "sub": USER["id"],
    "aud": ["authenticated", "api"],
    "exp": 1795253003,
    "iat": 1795252943,
    "nbf": 1795252943,
    "jti": "j-1",
    "role": "authenticated",
    "aal": "aal2",
    "session_id": "e4cb9f91-a7c2-40f2-992a-47e589156ece",
    "email": "ann@example.com",
    "phone": "15550100",
    "is_anonymous": True,
    "app_metadata": {"provider": "email"},
    "user_metadata": {"name": "Ann"},
    "amr": [{"method": "totp", "timestamp": 1795252943}, "pwd"],
    "ref": "abcdefghijkl",
    "client_id": "ea7fe49a-170b-47e4-afa0-b15e727a9fde",
    "scope": "openid email",
}
APPLICATION = {
    "id": "ea7fe49a-170b-47e4-afa0-b15e727a9fde",
    "name": "App",
    "uri": "https://app.example.com",
    "logo_uri": "https://app.example.com/logo.png",
}

#: Of every class an answer that has all of its members.
EXAMPLES: dict[type[JsonObject], dict[str, Any]] = {
    User: USER,
    Identity: IDENTITY,
    Factor: FACTOR,
    AMREntry: {"method": "sso/saml", "timestamp": 1795252943, "provider": "p1"},
    WeakPasswordInfo: {"reasons": ["length", "pwned"], "message": "Password is weak."},
    Claims: CLAIMS,
    OtpResponse: {"message_id": "SM1"},
    TotpSecret: TOTP,
    EnrolledFactor: {
        "id": FACTOR["id"],
        "type": "totp",
        "friendly_name": "phone",
        "phone": "+15550100",
        "totp": TOTP,
    },
    FactorChallenge: {
        "id": "c1",
        "type": "webauthn",
        "expires_at": 1795253267,
        "webauthn": {"type": "request", "credential_options": {"publicKey": {"challenge": "6X"}}},
    },
    Passkey: {"id": "p1", "friendly_name": "Key", "created_at": AT, "last_used_at": AT},
    PasskeyOptions: {
        "challenge_id": "c1",
        "options": {"rp": {"id": "localhost"}, "challenge": "6XNSX749"},
        "expires_at": 1795253296,
    },
    OAuthApplication: APPLICATION,
    OAuthUser: {"id": USER["id"], "email": "ann@example.com"},
    AuthorizationDetails: {
        "authorization_id": "3lxrvx3e2jzmddghkfdpi2mgrekbgqg3",
        "redirect_uri": "https://app.example.com/cb",
        "client": APPLICATION,
        "user": {"id": USER["id"], "email": "ann@example.com"},
        "scope": "email",
        "redirect_url": "https://app.example.com/cb?code=c0de",
    },
    OAuthGrant: {"client": APPLICATION, "scopes": ["email"], "granted_at": AT},
    GeneratedLink: {
        **{name: value for name, value in USER.items() if name != "action_link"},
        **LINK,
    },
    AuditEntry: {
        "id": "a1",
        "payload": {"action": "login", "actor_username": "ann@example.com"},
        "created_at": AT,
        "ip_address": "192.0.2.1",
    },
    OAuthClient: {
        "client_id": "17d420aa-12f7-4988-88b8-0dec7b2484d5",
        "client_secret": "idp38rZwH8PDznR0Gq2d6LY3iEba6NO9",
        "client_name": "App",
        "client_type": "confidential",
        "token_endpoint_auth_method": "client_secret_basic",
        "registration_type": "manual",
        "client_uri": "https://app.example.com",
        "logo_uri": "https://app.example.com/logo.png",
        "redirect_uris": ["https://app.example.com/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "openid",
        "created_at": AT,
        "updated_at": AT,
    },
    CustomProvider: {
        "id": "r1",
        "identifier": "custom:acme",
        "provider_type": "oidc",
        "name": "Acme",
        "client_id": "c1",
        "issuer": "https://idp.example.com",
        "enabled": True,
        "scopes": ["openid"],
        "created_at": AT,
        "updated_at": AT,
    },
    SSOProvider: {
        "id": "s1",
        "saml": {"entity_id": "https://idp.example.com", "metadata_xml": "<xml/>"},
        "created_at": AT,
        "updated_at": AT,
    },
}

#: What a repr may show, by the member's name. All else is hidden.
SHOWN = {
    "aal",
    "aud",
    "authorization_id",
    "challenge_id",
    "client_id",
    "client_name",
    "client_type",
    "enabled",
    "exp",
    "expires_at",
    "factor_type",
    "iat",
    "id",
    "identifier",
    "identity_id",
    "is_anonymous",
    "iss",
    "issuer",
    "jti",
    "message",
    "message_id",
    "method",
    "name",
    "nbf",
    "provider",
    "provider_type",
    "reasons",
    "redirect_to",
    "redirect_uri",
    "ref",
    "registration_type",
    "role",
    "scope",
    "scopes",
    "session_id",
    "status",
    "sub",
    "timestamp",
    "token_endpoint_auth_method",
    "type",
    "uri",
    "user_id",
    "verification_type",
    "web_authn_aaguid",
}
#: And what one hides all the same, for the name is used for something else there.
HIDDEN = {
    (Identity, "id"),
    (User, "aud"),
    (TotpSecret, "uri"),
}
#: Members that are shown as what is shown of them.
INSIDE = {"client", "user"}

#: The types that GoTrue's clients have, where ours are, and what their fields are called there.
TYPES: dict[str, tuple[Any, str]] = {
    "Session": (Session, "access_token refresh_token token_type expires_in expires_at user"),
    "User": (User, " ".join(USER)),
    "Identity": (Identity, " ".join(IDENTITY)),
    "Factor": (Factor, " ".join(FACTOR)),
    "AMREntry": (AMREntry, "method timestamp provider"),
    "WeakPassword": (WeakPasswordInfo, "reasons message"),
    "Claims": (Claims, " ".join(CLAIMS)),
    "JWTHeader": (jwt.Unverified, "header"),
    "JWK": (jwt.PreparedKey, "get keys"),
    "ClaimsResponse": (jwt.Unverified, "claims header signature"),
    "AuthResponse": (
        AuthResponse,
        "user session weak_password provider_token provider_refresh_token",
    ),
    "AuthOtpResponse": (OtpResponse, "message_id flow_id"),
    "OAuthResponse": (OAuthResponse, "provider url flow_id"),
    "SSOResponse": (SSOResponse, "url flow_id"),
    "UserResponse": (User, "id"),
    "IdentitiesResponse": (Identity, "id"),
    "AuthMFAEnrollResponse": (EnrolledFactor, "id type friendly_name totp phone"),
    "AuthMFAEnrollResponse.totp": (TotpSecret, "qr_code secret uri qr_code_url"),
    "AuthMFAChallengeResponse": (FactorChallenge, "id type expires_at webauthn"),
    "AuthMFAVerifyResponse": (AuthResponse, "user session"),
    "AuthMFAListFactorsResponse": (Factors, "all totp phone webauthn"),
    "AuthMFAGetAuthenticatorAssuranceLevelResponse": (
        AssuranceLevel,
        "current_level next_level current_authentication_methods",
    ),
    "GenerateLinkResponse": (
        GeneratedLink,
        "action_link email_otp hashed_token redirect_to verification_type user",
    ),
    "OAuthClient": (OAuthClient, " ".join(EXAMPLES[OAuthClient])),
    "OAuthGrant": (OAuthGrant, "client scopes granted_at"),
    "OAuthGrant.client": (OAuthApplication, "id name uri logo_uri"),
    "AuthorizationDetails": (
        AuthorizationDetails,
        "authorization_id redirect_uri client user scope redirect_url",
    ),
    "AuthorizationDetails.user": (OAuthUser, "id email"),
    "Passkey": (Passkey, "id friendly_name created_at last_used_at"),
    "PasskeyOptions": (PasskeyOptions, "challenge_id options expires_at"),
    "ErrorBody": (Refusal, "code message reasons"),
}
#: Those that are arguments here, and of what.
ARGUMENTS = {
    "UserAttributes": (
        GoTrueClient.update_user,
        "email phone password nonce current_password data",
    ),
    "AdminUserAttributes": (
        Admin.create_user,
        "email phone password password_hash user_metadata app_metadata email_confirm role id",
    ),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
#: Every class draws its own; on a busy machine that takes as long as it takes.
few = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
each_model = pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)


def models_below(kind: type[JsonObject]) -> set[type[JsonObject]]:
    """Return every class of the package that is made of *kind*."""
    found = set()
    for below in kind.__subclasses__():
        if below.__module__.startswith("async_auth"):
            found |= {below, *models_below(below)}
    return found


def members_of(model: type[JsonObject]) -> set[str]:
    """Return the names that a class reads."""
    return {field.name for field in attrs.fields(model) if field.metadata}


def as_json(value: JsonObject) -> str:
    """Return what is written of a value."""
    return json.dumps(value.to_json())


def marked(value: Any) -> Any:
    """Return a value in which every text is a secret."""
    if isinstance(value, dict):
        return {name: marked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [marked(item) for item in value]
    return f"s3cret-{value}" if isinstance(value, str) else value


def test_every_class_is_looked_at() -> None:
    """Whoever adds one says here what it reads."""
    # attrs has put a class with slots in the place of each; the old ones are subclasses until then.
    gc.collect()
    assert models_below(JsonObject) == set(EXAMPLES)


@each_model
def test_a_whole_answer_is_read(model: type[JsonObject]) -> None:
    """Every member has an attribute, which is not its default, and nothing is left over."""
    sent = EXAMPLES[model]
    found = model.from_json(sent)
    left_out = {name for name in members_of(model) if name not in sent}
    as_default = {
        field.name
        for field in attrs.fields(model)
        if field.metadata and getattr(found, field.name) == getattr(model(), field.name)
    }
    assert (set(), set(), {}) == (left_out, as_default, found.extra)


@each_model
def test_a_whole_answer_is_written_to_the_letter(model: type[JsonObject]) -> None:
    """Nine fractional digits, numbers and order: through JSON's text and back nothing changes."""
    sent = EXAMPLES[model]
    found = model.from_json(sent)
    assert json.dumps(sent) == as_json(found)
    assert found == model.from_json(json.loads(as_json(found)))
    assert sent == found.to_json()


@each_model
def test_what_was_made_by_hand_is_written(model: type[JsonObject]) -> None:
    """A value without an answer behind it gives what it was made of."""
    found = model.from_json(EXAMPLES[model])
    fields = [field.name for field in attrs.fields(model) if field.name != "raw"]
    made = model(**{name: getattr(found, name) for name in fields})
    read = model.from_json(made.to_json())
    assert [getattr(found, name) for name in fields if name != "user"] == [
        getattr(read, name) for name in fields if name != "user"
    ]
    assert set(found.to_json()) == set(made.to_json())


@each_model
@few
@given(unknown=st.dictionaries(st.text(), JSON, max_size=4))
def test_unknown_members_are_kept(model: type[JsonObject], unknown: dict[str, Any]) -> None:
    """A newer server's words stand in extra, and are written back."""
    sent = {**unknown, **EXAMPLES[model]}
    found = model.from_json(sent)
    new = {name: value for name, value in unknown.items() if name not in EXAMPLES[model]}
    assert new == found.extra
    assert json.dumps(sent) == as_json(found)
    assert found == model.from_json(json.loads(as_json(found)))


@each_model
@few
@given(data=st.data())
def test_any_object_is_read_and_written_back(model: type[JsonObject], data: st.DataObject) -> None:
    """Whatever the members hold, reading never raises and writing gives the same object."""
    names = st.sampled_from(sorted(EXAMPLES[model])) | st.text()
    wrong = data.draw(st.dictionaries(names, JSON, max_size=6))
    sent = {**EXAMPLES[model], **wrong} if data.draw(st.booleans()) else wrong
    found = model.from_json(sent)
    assert sent == found.to_json()
    assert found == model.from_json(found.to_json())
    assert set(found.extra) <= set(sent)
    repr(found)


@each_model
@few
@given(
    at=st.datetimes().filter(lambda at: at.year > 1000),
    digits=st.text("0123456789", min_size=1, max_size=9),
)
def test_times_are_kept_to_the_nanosecond(
    model: type[JsonObject], at: datetime, digits: str
) -> None:
    """What is finer than a datetime is cut off where it is read, and not where it is written."""
    names = {name for name, value in EXAMPLES[model].items() if value == AT}
    text = f"{at:%Y-%m-%dT%H:%M:%S}.{digits}Z"
    found = model.from_json({**EXAMPLES[model], **dict.fromkeys(names, text)})
    expected = at.replace(microsecond=int(digits.ljust(9, "0")[:6]), tzinfo=UTC)
    owner = found.user if isinstance(found, GeneratedLink) else found
    assert {expected} >= {getattr(owner, name) for name in names}
    assert {text} >= {found.to_json()[name] for name in names}


@each_model
@pytest.mark.parametrize("value", [None, [], 5, True])
def test_what_is_no_object_is_a_protocol_error(model: type[JsonObject], value: object) -> None:
    """Only an object can be read; the message names the class."""
    with pytest.raises(ProtocolError, match=model.__name__):
        model.from_json(value)


@each_model
def test_nothing_secret_is_shown(model: type[JsonObject]) -> None:
    """A value can be printed; what may be seen is listed, and a newer server's words are not."""
    sent = {
        name: value if name in SHOWN and (model, name) not in HIDDEN else marked(value)
        for name, value in EXAMPLES[model].items()
        if name not in INSIDE
    }
    new = {"recovery_codes": ["s3cret-1", "s3cret-2"], "client_secret_2": "s3cret-3"}
    found = model.from_json({**sent, **new})
    shown = [repr(found), str(found), f"{found}", repr([found]), repr(found.__class__(raw=sent))]
    assert "s3cret" in str(found.to_json())
    assert "s3cret" not in "\n".join(shown)


def test_the_parts_of_a_value_are_as_careful() -> None:
    """What stands inside is printed by its own rules."""
    details = AuthorizationDetails.from_json(EXAMPLES[AuthorizationDetails])
    assert "App" in repr(details)
    assert "ann@example.com" not in repr(details)
    assert "c0de" not in repr(details)
    assert "ann@" not in repr(GeneratedLink.from_json(EXAMPLES[GeneratedLink]))


def test_a_class_reads_and_writes_its_members_as_they_are_described() -> None:
    """One object, or a list of them; what is neither is none, and stands in extra."""

    @attrs.frozen(kw_only=True)
    class Owner(JsonObject):
        name: str | None = attrs.field(default=None, metadata=TEXT)

    @attrs.frozen(kw_only=True)
    class Thing(JsonObject):
        owner: Owner | None = attrs.field(default=None, metadata=nested(lambda: Owner))
        others: tuple[Owner, ...] = attrs.field(default=(), metadata=objects(lambda: Owner))

    sent = {"owner": {"name": "ann", "new": 1}, "others": [{"name": "bob"}, {"name": "cat"}]}
    found = Thing.from_json(sent)
    assert found.owner is not None
    assert ("ann", ["bob", "cat"]) == (found.owner.name, [owner.name for owner in found.others])
    assert (sent, {}) == (found.to_json(), found.extra)

    made = Thing(owner=Owner(name="dan"), others=(Owner(name="eve"),))
    assert {"owner": {"name": "dan"}, "others": [{"name": "eve"}]} == made.to_json()
    assert {**sent, "owner": None} == attrs.evolve(found, owner=None).to_json()

    for wrong in ("ann", 5, True):
        odd = Thing.from_json({"owner": wrong, "others": wrong})
        assert (None, ()) == (odd.owner, odd.others)
        assert {"owner", "others"} == set(odd.extra)
    some = Thing.from_json({"owner": [{}], "others": ["bob", {"name": "cat"}]})
    assert (None, [Owner.from_json({"name": "cat"})]) == (some.owner, list(some.others))
    assert {"owner", "others"} == set(some.extra)


def test_whose_a_link_is_and_what_is_in_it_stand_side_by_side() -> None:
    """As the server sends them; a change of either is written."""
    link = GeneratedLink.from_json({**EXAMPLES[GeneratedLink], "new": 1})
    assert (USER["id"], None) == (link.user.id, link.user.action_link)
    assert ({"new": 1}, {"new": 1}) == (link.extra, link.user.extra)
    changed = attrs.evolve(link, email_otp="1", user=attrs.evolve(link.user, email="b@c.d"))
    assert {**EXAMPLES[GeneratedLink], "new": 1, "email_otp": "1", "email": "b@c.d"} == (
        changed.to_json()
    )


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_its_class(name: str) -> None:
    """Under GoTrue's name for it: where it is here, and each of its fields."""
    kind, fields = TYPES[name]
    present = set(dir(kind)) | (
        {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set()
    )
    assert set() == set(fields.split()) - present


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_attribute_is_an_argument(name: str) -> None:
    """What a user is to be is said by keywords, not in an object."""
    method, fields = ARGUMENTS[name]
    parameters = inspect.signature(method).parameters
    assert set() == set(fields.split()) - set(parameters)
    assert {inspect.Parameter.KEYWORD_ONLY} == {parameters[field].kind for field in fields.split()}


def test_what_a_sign_in_tells_once_has_a_name() -> None:
    """A weak password and the provider's tokens stand in the session's extra, and are typed."""
    weak = EXAMPLES[WeakPasswordInfo]
    body = {
        "access_token": "a",
        "refresh_token": "r",
        "weak_password": weak,
        "provider_token": "gho_1",
        "provider_refresh_token": "ghr_1",
    }
    session = session_in(body, sent_at=0, now=0)
    response = AuthResponse(None, session)
    assert WeakPasswordInfo.from_json(weak) == response.weak_password
    assert ("gho_1", "ghr_1") == (response.provider_token, response.provider_refresh_token)
    assert "gh" not in repr(response)
    for nothing in (AuthResponse(), AuthResponse(None, Session(access_token="a"))):
        assert nothing.weak_password is None
        assert (None, None) == (nothing.provider_token, nothing.provider_refresh_token)
    wrong = {"weak_password": "yes", "provider_token": 5}
    odd = AuthResponse(None, Session(access_token="a", extra=wrong))
    assert (None, None) == (odd.weak_password, odd.provider_token)


async def test_a_stored_session_comes_back_whole(tmp_path: Path) -> None:
    """Every member of every part, to the letter, from a file that another process reads."""
    body = {
        "access_token": "a",
        "refresh_token": "r",
        "token_type": "bearer",
        "expires_in": 60,
        "expires_at": 1795253003,
        "user": {**USER, "new": {"at": [AT]}, "created_at": "yesterday", "role": 7},
        "provider_token": "gho_1",
        "provider_refresh_token": "ghr_1",
        "weak_password": EXAMPLES[WeakPasswordInfo],
        "id_token": "i",
        "new": {"deep": [{"er": None}]},
    }
    session = session_in(body, sent_at=1795252943.0, now=1795252943.5)
    assert session is not None
    provider = GoTrueProvider(Endpoint("https://x.test"))
    record = Record(generation=1, sign_in_id="s", session=provider.dump(session))
    await FileStore(tmp_path).save("default", record, expected=0)
    stored = await FileStore(tmp_path).load("default")
    assert stored is not None
    back = provider.load(dict(stored.session))
    assert session == back
    assert json.dumps(body["user"]) == as_json(back.user)
    in_fields = {"access_token", "refresh_token", "token_type", "user"}
    assert {name: body[name] for name in body if name not in in_fields} == back.extra
