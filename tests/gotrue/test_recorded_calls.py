"""Every recorded exchange of a real GoTrue, replayed; none is left out.

`CALLS` holds those that one of the client's methods makes: the request that goes out is compared
with the recorded one, the recorded answer comes back, and what the method gives or raises is
compared with that. `ADDRESSES` holds those that a browser makes at an address of the client's.
`READ` holds what no method asks for (a wrong method, no body, Basic auth, another program's
OAuth …): its answer is given to the function that reads such answers. What is expected follows
from the recording alone: the tables here say which class a code means, and which type a value has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import pytest

from async_auth import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    InvalidCredentials,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    Session,
    UnknownKey,
    UserDoesntExist,
    WeakPassword,
)
from async_auth.gotrue import (
    AuthorizationDetails,
    AuthResponse,
    Claims,
    Endpoint,
    EnrolledFactor,
    FactorChallenge,
    GeneratedLink,
    GoTrueClient,
    GoTrueProvider,
    OAuthClient,
    OAuthResponse,
    OtpResponse,
    PasskeyOptions,
    User,
)
from async_auth.gotrue.failures import error_from
from async_auth.gotrue.parsing import (
    auth_response_from,
    check,
    list_from,
    object_from,
    session_from,
    user_from,
)
from async_auth.gotrue.redirects import Redirect, read_redirect
from async_auth.ports import Record
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock, ScriptedTransport

URL = "http://127.0.0.1:9999"
HERE = "http://127.0.0.1:3000/cb"
#: When most of it was recorded.
NOW = 1_795_252_943.0
PROVIDER = GoTrueProvider(Endpoint(URL))
HOW_MANY = 199

#: What only we send: in bodies and queries, …
OURS = {"gotrue_meta_security", "code_challenge", "code_challenge_method"}
#: … and what only whoever recorded sent: by it the server told its clients apart.
THEIRS = {"x-test-ratelimit"}


@attrs.frozen
class Asked:
    """A recorded request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @classmethod
    def of(cls, recording):
        """Return the request of a recording."""
        found = recording.request
        body = found["json"] or {}
        query = {k: v for k, v in (found["query"] or {}).items() if k not in OURS}
        return cls(found["method"], found["path"], query, found["headers"], body)

    @property
    def bearer(self):
        """The access token that it bore, or `None`."""
        return self.headers.get("authorization", "").partition(" ")[2] or None

    @property
    def own(self):
        """What of the body is the caller's: without what only we send, and what is empty."""
        empty = {("data", "{}"), ("create_user", "True")}
        return {k: v for k, v in self.body.items() if k not in OURS and (k, str(v)) not in empty}

    def part(self, number):
        """Return one segment of the path."""
        return self.path.split("/")[number]


# What makes the requests.


def sign_up(client, asked):
    """Create a user."""
    return client.sign_up(**asked.own, redirect_to=asked.query.get("redirect_to"))


def password(client, asked):
    """Sign in with a password."""
    return client.sign_in_with_password(**asked.own)


def refresh(client, asked):
    """Spend a refresh token that was kept elsewhere."""
    return client.refresh_session(asked.body["refresh_token"])


def get_user(client, asked):
    """Ask whose the recorded token is."""
    return client.get_user(asked.bearer)


def update(client, asked):
    """Change the user."""
    return client.update_user(**asked.body)


def otp(client, asked):
    """Ask for a code."""
    return client.sign_in_with_otp(
        email=asked.body["email"],
        data=asked.body.get("data"),
        redirect_to=asked.query.get("redirect_to"),
        should_create_user=asked.body.get("create_user", True),
    )


def verify(client, asked):
    """Verify a code, or the hash in a link."""
    return client.verify_otp(**asked.own)


def exchange(client, asked):
    """Exchange a code; the store holds the verifier that was recorded."""
    return client.exchange_code_for_session(asked.body["auth_code"])


def id_token(client, asked):
    """Sign in with an id token."""
    return client.sign_in_with_id_token(
        provider=asked.body["provider"],
        token=asked.body["id_token"],
        nonce=asked.body.get("nonce"),
    )


def link_id_token(client, asked):
    """Link an identity by an id token."""
    return client.link_identity_with_id_token(
        provider=asked.body["provider"],
        token=asked.body["id_token"],
        nonce=asked.body.get("nonce"),
    )


def web3(client, asked):
    """Sign in with a wallet."""
    return client.sign_in_with_web3(**asked.body)


def unlink(client, asked):
    """Unlink an identity."""
    return client.unlink_identity(asked.part(3))


def sign_out(client, asked):
    """Sign out the session whose token was recorded."""
    return client.sign_out(asked.query["scope"])


def enroll(client, asked):
    """Begin with a factor."""
    return client.mfa.enroll(**asked.body)


def challenge(client, asked):
    """Ask for a factor."""
    return client.mfa.challenge(asked.part(2), **asked.body)


def verify_factor(client, asked):
    """Meet a challenge."""
    return client.mfa.verify(asked.part(2), **asked.body)


def unenroll(client, asked):
    """Take a factor away."""
    return client.mfa.unenroll(asked.part(2))


def admin_user(client, asked):
    """Look a user up."""
    return client.admin.get_user_by_id(asked.part(3))


def admin_update(client, asked):
    """Change any user."""
    return client.admin.update_user_by_id(asked.part(3), **asked.body)


def admin_delete(client, asked):
    """Delete a user."""
    return client.admin.delete_user(asked.part(3), **asked.body)


def link(client, asked):
    """Make a link."""
    return client.admin.generate_link(**asked.body)


def claims(client, _asked):
    """Verify the token that was recorded with the keys es-2026."""
    return client.get_claims(client.recorded["signup_es256_v2_refresh_token"]["access_token"])


#: Each recording that a method of the client's makes, and the call that does.
CALLS = {
    "health": lambda client, _: client.health(),
    **dict.fromkeys(("jwks_hs256_empty", "jwks_es256", "jwks_rs256_plus_es256"), claims),
    **dict.fromkeys(
        (
            "signup_email_autoconfirm",
            "signup_duplicate_email_autoconfirm",
            "signup_weak_password_api_2024_01_01",
            "signup_bad_email",
            "signup_phone_autoconfirm",
            "signup_es256_v2_refresh_token",
            "signup_repeat_over_email_send_rate_limit",
            "signup_existing_email_obfuscated",
            "signup_phone_confirmation_required",
            "signup_email_confirmation_required",
            "request_timeout_504",
            "request_timeout_504_api_2024_01_01",
        ),
        sign_up,
    ),
    "signup_anonymous": lambda client, asked: client.sign_in_anonymously(data=asked.body["data"]),
    **dict.fromkeys(
        (
            "token_password",
            "token_password_api_2024_01_01",
            "token_password_phone",
            "token_password_wrong",
            "token_password_wrong_api_2024_01_01",
            "token_password_email_not_confirmed",
        ),
        password,
    ),
    **dict.fromkeys(
        (
            "token_refresh",
            *(f"token_refresh_concurrent_10[{number}]" for number in range(10)),
            "token_refresh_active_after_family_revoked",
            "token_refresh_active_token_after_family_revoked_and_interval",
            "token_refresh_after_logout_global",
            "token_refresh_after_logout_local",
            "token_refresh_banned_user",
            "token_refresh_conflict_under_heavy_concurrency",
            "token_refresh_database_down_api_2024_01_01",
            "token_refresh_deleted_user",
            "token_refresh_garbage",
            "token_refresh_garbage_api_2024_01_01",
            "token_refresh_inactivity_timeout",
            "token_refresh_oauth_session_wrong_endpoint",
            "token_refresh_other_session_after_password_change",
            "token_refresh_rate_limited",
            "token_refresh_reuse_again_api_2024_01_01",
            "token_refresh_reuse_grandparent_after_interval",
            "token_refresh_reuse_grandparent_within_interval",
            "token_refresh_reuse_parent_after_interval",
            "token_refresh_reuse_parent_of_active",
            "token_refresh_single_session_older",
            "token_refresh_soft_deleted_user",
            "token_refresh_timebox",
            "token_refresh_unknown_wellformed",
            "token_refresh_v2",
            "token_refresh_v2_active_after_session_terminated",
            "token_refresh_v2_reuse_old_after_interval",
            "token_refresh_v2_reuse_old_within_interval",
            "token_refresh_v2_reuse_previous",
        ),
        refresh,
    ),
    **dict.fromkeys(
        (
            "user_get",
            "user_after_family_revoked",
            "user_after_inactivity_timeout",
            "user_after_v2_reuse_termination",
            "user_bad_signature",
            "user_banned",
            "user_database_down",
            "user_deleted",
            "user_expired_jwt",
            "user_expired_jwt_api_2024_01_01",
            "user_jwt_unknown_session",
            "user_jwt_unknown_user",
            "user_jwt_without_sub",
            "user_malformed_jwt_api_2024_01_01",
            "user_really_expired_jwt",
            "user_single_session_older",
        ),
        get_user,
    ),
    "user_with_mfa_factors": lambda client, _: client.get_user(),
    **dict.fromkeys(
        (
            "user_update_data",
            "user_update_same_password",
            "user_update_weak_password",
            "user_update_password",
            "user_update_email_autoconfirm",
            "user_update_email_taken",
            "user_update_password_with_nonce",
            "user_update_password_insufficient_aal",
            "user_update_anonymous_to_email",
            "user_update_password_reauthentication_needed",
            "user_update_password_bad_nonce",
            "user_update_email_confirmation_required",
        ),
        update,
    ),
    "reauthenticate": lambda client, _: client.reauthenticate(),
    **dict.fromkeys(("logout_local", "logout_global", "logout_others"), sign_out),
    "logout_again_after_local": lambda client, asked: client.admin.sign_out(asked.bearer, "local"),
    **dict.fromkeys(
        ("otp_email_create_user", "otp_email_unknown_no_create", "otp_email_existing"), otp
    ),
    **dict.fromkeys(
        (
            "verify_email_wrong_code",
            "verify_email_wrong_code_api_2024_01_01",
            "verify_token_hash",
            "verify_recovery",
            "verify_signup",
            "verify_email_otp",
            "verify_email_change_first_of_two",
            "verify_email_change_second",
            "verify_bad_type",
            "verify_sms_wrong",
        ),
        verify,
    ),
    "recover": lambda client, asked: client.reset_password_for_email(
        asked.body["email"], redirect_to=HERE
    ),
    "resend_signup_over_email_send_rate_limit_api_2024_01_01": lambda client, asked: client.resend(
        **asked.body
    ),
    **dict.fromkeys(
        ("token_pkce", "token_pkce_oauth", "token_pkce_bad_verifier", "token_pkce_reused_code"),
        exchange,
    ),
    **dict.fromkeys(
        (
            "token_id_token",
            "token_id_token_bad_nonce",
            "token_id_token_missing_nonce_api_2024_01_01",
            "token_id_token_garbage",
        ),
        id_token,
    ),
    "token_id_token_link_identity": link_id_token,
    **dict.fromkeys(("token_web3_solana", "token_web3_bad_signature"), web3),
    "link_identity": lambda client, _: client.link_identity("keycloak", redirect_to=HERE),
    **dict.fromkeys(("unlink_identity", "unlink_last_identity"), unlink),
    **dict.fromkeys(("mfa_enroll_totp", "mfa_enroll_duplicate_name", "mfa_enroll_phone"), enroll),
    **dict.fromkeys(("mfa_challenge_totp", "mfa_challenge_phone"), challenge),
    **dict.fromkeys(
        ("mfa_verify_wrong_code", "mfa_verify_totp", "mfa_verify_phone"), verify_factor
    ),
    **dict.fromkeys(("mfa_unenroll", "mfa_unenroll_insufficient_aal"), unenroll),
    "passkeys_list": lambda client, _: client.passkeys.list(),
    "passkey_registration_options": lambda client, _: client.passkeys.start_registration(),
    "oauth_server_get_authorization": lambda client, asked: client.oauth.get_authorization_details(
        asked.part(3)
    ),
    "oauth_server_consent": lambda client, asked: client.oauth.approve_authorization(asked.part(3)),
    "admin_ban_user": admin_update,
    **dict.fromkeys(("admin_delete_user", "admin_soft_delete_user"), admin_delete),
    "admin_list_factors": lambda client, asked: client.admin.mfa.list_factors(asked.part(3)),
    "admin_create_user": lambda client, asked: client.admin.create_user(**asked.body),
    **dict.fromkeys(
        ("admin_get_user", "admin_get_user_bad_id", "admin_get_user_not_found"), admin_user
    ),
    **dict.fromkeys(
        ("admin_as_normal_user", "admin_as_normal_user_api_2024_01_01"),
        lambda client, _: client.admin.list_users(),
    ),
    **dict.fromkeys(
        (
            "admin_generate_link_magiclink",
            "admin_generate_link_signup",
            "admin_generate_link_invite",
            "admin_generate_link_email_change_current",
        ),
        link,
    ),
    "admin_invite": lambda client, asked: client.admin.invite_user_by_email(
        asked.body["email"], data=asked.body["data"], redirect_to=HERE
    ),
    "oauth_admin_register_client": lambda client, asked: client.admin.oauth.create_client(
        asked.body
    ),
    "sso_unknown_domain": lambda client, asked: client.sign_in_with_sso(
        domain=asked.body["domain"]
    ),
}

#: Those that a browser makes, at the address that the client gives; and the client's arguments.
ADDRESSES = {
    "authorize_pkce": {
        "redirect_to": HERE,
        "scopes": "email",
        "query_params": {"login_hint": "dave@example.com"},
    },
    "authorize_implicit": {"redirect_to": HERE},
    "authorize_disabled_provider": {},
}


# What reads the answers to all other requests.


def as_refresh(response):
    """Read it as the answer to a refresh."""
    spent = Session(access_token="spent", refresh_token="spent")
    return PROVIDER.parse_refresh(response, spent, sent_at=NOW, now=NOW)


def as_sign_in(response):
    """Read it as the answer to a sign-up, a sign-in or a code."""
    return auth_response_from(response, sent_at=NOW, now=NOW)


def as_session(response):
    """Read it as the answer of which a session is wanted."""
    return session_from(response, sent_at=NOW, now=NOW)


def as_challenge(response):
    """Read it as the answer to a challenge."""
    return FactorChallenge.from_json(object_from(response))


def as_redirect(response):
    """Read where the browser ends."""
    return read_redirect(response.headers["Location"])


#: Each recording that no method makes, and what reads its answer.
READ = {
    # No method asks like this: the wrong HTTP method, no body or none that is JSON, or another
    # API version than ours.
    "method_not_allowed": as_sign_in,
    "signup_bad_json_api_2024_01_01": as_sign_in,
    "signup_no_body": as_sign_in,
    "token_password_wrong_bad_version_header": as_sign_in,
    "token_password_wrong_api_2030": as_sign_in,
    "token_refresh_no_body": as_refresh,
    "token_refresh_wrong_type": as_refresh,
    "request_entity_too_large": as_refresh,
    "mfa_challenge_no_body": as_challenge,
    # What is missing or wrong in these is missed here first.
    "token_unsupported_grant": as_sign_in,
    "token_no_grant": as_sign_in,
    "token_pkce_missing": as_sign_in,
    "token_id_token_missing": as_sign_in,
    "token_web3_unsupported_chain": as_sign_in,
    "token_refresh_missing_api_2024_01_01": as_refresh,
    "otp_missing": object_from,
    "otp_bad_code_challenge": object_from,
    "verify_missing_token": as_sign_in,
    "mfa_enroll_bad_type": object_from,
    "logout_bad_scope": check,
    # No token, in the wrong place, or of another scheme; no scope.
    "user_no_token_api_2024_01_01": user_from,
    "user_basic_auth": user_from,
    "user_apikey_header_only": user_from,
    "logout_no_token": check,
    "logout_default_scope": check,
    "logout_deleted_user": check,
    "logout_with_service_role": check,
    "admin_no_token": lambda response: list_from(response, "users"),
    # What /otp replaced.
    "magiclink": object_from,
    # What browsers ask, and where they end.
    "verify_get_implicit": as_redirect,
    "verify_get_pkce": as_redirect,
    "callback_implicit": as_redirect,
    "callback_pkce": as_redirect,
    "callback_idp_error": as_redirect,
    # What the clients of GoTrue's own OAuth server ask.
    "oauth_authorization_server_metadata": object_from,
    "oauth_server_authorize": object_from,
    "oauth_server_token_code": as_session,
    "oauth_server_token_refresh": as_refresh,
    "oauth_server_token_refresh_garbage": as_refresh,
    "oauth_server_token_bad_client": as_refresh,
}

#: What a value is that is neither a session nor a user.
VALUES = {
    "health": dict,
    "jwks_es256": Claims,
    "jwks_rs256_plus_es256": Claims,
    "verify_email_change_first_of_two": AuthResponse,
    "link_identity": OAuthResponse,
    "mfa_enroll_totp": EnrolledFactor,
    "mfa_enroll_phone": EnrolledFactor,
    "mfa_challenge_totp": FactorChallenge,
    "mfa_challenge_phone": FactorChallenge,
    "mfa_challenge_no_body": FactorChallenge,
    "passkeys_list": tuple,
    "passkey_registration_options": PasskeyOptions,
    "oauth_server_get_authorization": AuthorizationDetails,
    "oauth_server_consent": str,
    "oauth_admin_register_client": OAuthClient,
    "oauth_authorization_server_metadata": dict,
    "admin_list_factors": tuple,
    "magiclink": dict,
    **dict.fromkeys(
        ("otp_email_create_user", "otp_email_existing", "recover"),
        OtpResponse,
    ),
    **dict.fromkeys((name for name in CALLS if name.startswith("admin_generate")), GeneratedLink),
    **dict.fromkeys(
        (
            "reauthenticate",
            "unlink_identity",
            "mfa_unenroll",
            "admin_delete_user",
            "admin_soft_delete_user",
            "logout_local",
            "logout_global",
            "logout_others",
            "logout_default_scope",
        ),
        type(None),
    ),
    **dict.fromkeys(
        ("verify_get_implicit", "verify_get_pkce", "callback_implicit", "callback_pkce"), Redirect
    ),
}

#: Which class a code means, whatever was asked; all others are `ApiError`.
CLASSES = {
    "weak_password": WeakPassword,
    "invalid_credentials": InvalidCredentials,
    "session_not_found": AuthSessionMissing,
}
#: With these a refresh token is refused for good.
FINAL = {
    "invalid_client",
    "refresh_token_already_used",
    "refresh_token_not_found",
    "session_expired",
    "user_banned",
    "validation_failed",
}
#: Which class a status means, whatever the code.
STATUSES = {
    409: ServerUnavailable,
    429: RateLimited,
    500: ServerUnavailable,
    504: ServerUnavailable,
}
#: What stands out: the error's class, code and status.
ODD = {
    # These two say "invalid_credentials" of a grant that is none.
    "token_unsupported_grant": (ApiError, "invalid_credentials", 400),
    "token_no_grant": (ApiError, "invalid_credentials", 400),
    # The user is the one whose token it is.
    "user_deleted": (UserDoesntExist, "user_not_found", 403),
    "user_jwt_unknown_user": (UserDoesntExist, "user_not_found", 403),
    # No error of the server's: the token's key is not among the published ones …
    "jwks_hs256_empty": (UnknownKey, None, None),
    # … and a browser is sent on where a program expects an answer.
    "oauth_server_authorize": (ProtocolError, None, 302),
    # An address has no status.
    "callback_idp_error": (ApiError, "access_denied", None),
}


def code_in(answer):
    """Return the code of a recorded error, in whichever shape it is."""
    if answer is None:
        return None
    return answer.get("error_code") or answer.get("error") or answer["code"]


def expected_error(recording):
    """Return the class, code and status of the error that a recording means, or `None`."""
    if recording.name in ODD:
        return ODD[recording.name]
    status = recording.response.status
    if status < 400:
        return None
    code = code_in(recording.answer)
    claim = CALLS.get(recording.name) or READ.get(recording.name)
    if status in STATUSES:
        kind = STATUSES[status]
    elif claim in (refresh, as_refresh) and code in FINAL:
        kind = RefreshRejected
    else:
        kind = CLASSES.get(code, ApiError)
    return kind, code, status


def holds(answer, member):
    """Say whether an answer is an object with this member."""
    return isinstance(answer, dict) and member in answer


def is_user(answer):
    """Say whether an answer is a bare user."""
    return holds(answer, "aud") and "action_link" not in answer


def expected_type(recording):
    """Return the type of the value that a recording means."""
    claim = CALLS.get(recording.name) or READ.get(recording.name)
    if holds(recording.answer, "access_token"):
        return Session if claim in (as_session, as_refresh) else AuthResponse
    if is_user(recording.answer):
        return AuthResponse if claim is sign_up else User
    return VALUES[recording.name]


def plain(value):
    """Return what the server said, as a typed value has kept it."""
    match value:
        case AuthResponse():
            return plain(value.user)
        case OAuthResponse():
            return {"url": value.url}
        case GeneratedLink():
            return {**plain(value.user), **value.to_json()}
        case OtpResponse():
            return {}
        case tuple():
            return [plain(item) for item in value]
        case _:
            return value.to_json() if hasattr(value, "to_json") else value


def without_nothing(value):
    """Leave out members that are `null`: those may be missing as well."""
    if isinstance(value, dict):
        return {k: without_nothing(v) for k, v in value.items() if v is not None}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def check_value(recording, value):
    """Compare a value with the recorded answer."""
    answer = recording.answer
    assert expected_type(recording) is type(value)
    if holds(answer, "access_token"):
        session = value.session if isinstance(value, AuthResponse) else value
        tokens = (session.access_token, session.refresh_token, session.token_type)
        assert (answer["access_token"], answer["refresh_token"], "bearer") == tokens
        assert answer["expires_in"] == session.extra["expires_in"]
        assert answer.get("user") == (session.user.to_json() if session.user else None)
    elif isinstance(value, Redirect):
        said = [*urlsplit(recording.response.headers["Location"])[3:]]
        assert [value.code or value.tokens["access_token"]] == [
            content
            for part in said
            for name, content in parse_qsl(part)
            if name in ("code", "access_token")
        ]
    elif isinstance(value, Claims):
        assert "authenticated" == value.aud
    elif recording.name == "verify_email_change_first_of_two":
        assert (None, None) == (value.user, value.session)
    elif isinstance(value, str):
        assert answer["redirect_url"] == value
    elif value is not None:
        assert without_nothing(answer) == without_nothing(plain(value))


def check_error(recording, error):
    """Compare an error with the recorded answer: class, code, status and text."""
    assert expected_error(recording) == (type(error), error.code, error.status)
    answer = recording.answer or {}
    text = answer.get("msg") or answer.get("message") or answer.get("error_description")
    assert text is None or text in error.message


async def ready(client, asked, transport):
    """Bring the client into the state in which it was asked; how many requests that took."""
    if CALLS.get(client.name) is sign_out:
        session = {"access_token": asked.bearer, "refresh_token": "r", "expires_in": 60}
        transport.add((200, {**session, "user": {"id": "u"}}))
        await client.sign_in_anonymously()
    elif asked.bearer is not None:
        client.set_auth(asked.bearer)
    return len(transport.requests)


async def store_with(verifier):
    """Return a store in which a flow waits that was begun with this verifier."""
    store = MemoryStore()
    flow = {"id": "f", "verifier": verifier}
    record = Record(generation=1, sign_in_id="", session={"flows": [flow]})
    await store.save("default.pkce", record, expected=0)
    return store


async def make_call(recordings, name):
    """Make the call of a recording; return the session, the requests and what came of it."""
    recording = recordings[name]
    asked = Asked.of(recording)
    transport = ScriptedTransport()
    client = GoTrueClient(
        URL,
        transport=transport,
        auto_refresh=False,
        clock=ManualClock(NOW),
        store=await store_with(asked.body.get("code_verifier", "none")),
    )
    client.name = name
    client.recorded = {other.name: other.answer for other in recordings.values()}
    async with client:
        before = await ready(client, asked, transport)
        transport.add(recording.response)
        try:
            result = await CALLS[name](client, asked)
        except AuthError as error:
            result = error
        return client.session, transport.requests[before:], result


@pytest.mark.parametrize("name", CALLS)
async def test_the_recorded_request_is_made(recordings, name):
    """Method, path, query, body and headers are as they were recorded."""
    asked = Asked.of(recordings[name])
    _, (request,), _ = await make_call(recordings, name)
    url = urlsplit(request.url)
    sent = Asked(
        request.method,
        unquote(url.path),
        {k: v for k, v in parse_qsl(url.query) if k not in OURS},
        {k.lower(): v for k, v in request.headers.items()},
        json.loads(request.body or b"{}"),
    )
    assert (asked.method, asked.path, asked.query) == (sent.method, sent.path, sent.query)
    assert asked.own == sent.own
    assert asked.bearer == sent.bearer
    for header, content in asked.headers.items():
        assert header in THEIRS or content == sent.headers[header]


@pytest.mark.parametrize("name", CALLS)
async def test_the_recorded_answer_is_given(recordings, name):
    """A value has its type and all that the server said, an error its class, code and status."""
    recording = recordings[name]
    session, _, result = await make_call(recordings, name)
    if expected_error(recording) is not None:
        check_error(recording, result)
        assert None is session
        return
    check_value(recording, result)
    if holds(recording.answer, "access_token"):
        # It is the current one.
        assert session is result.session
    else:
        assert (session is None) == (name != "logout_others")


@pytest.mark.parametrize("name", ADDRESSES)
async def test_the_recorded_address_is_given(recordings, name):
    """The browser asks what was recorded; an error that it shows can be read as well."""
    recording = recordings[name]
    asked = Asked.of(recording)
    transport = ScriptedTransport()
    async with GoTrueClient(URL, transport=transport, auto_refresh=False) as client:
        response = await client.sign_in_with_oauth(asked.query["provider"], **ADDRESSES[name])
    url = urlsplit(response.url)
    query = {k: v for k, v in parse_qsl(url.query) if k not in OURS}
    assert [] == transport.requests
    assert ("GET", asked.path) == (asked.method, url.path)
    assert asked.query == query
    if expected_error(recording) is None:
        assert 302 == recording.response.status
    else:
        check_error(recording, error_from(recording.response))


@pytest.mark.parametrize("name", READ)
def test_the_recorded_answer_is_read(recordings, name):
    """What no method asks for is understood all the same."""
    recording = recordings[name]
    try:
        value = READ[name](recording.response)
    except AuthError as error:
        check_error(recording, error)
        return
    assert None is expected_error(recording)
    check_value(recording, value)


def test_every_recording_is_claimed_once(recordings):
    """None is left out, and none is there twice."""
    claimed = [*CALLS, *ADDRESSES, *READ]
    assert sorted(recordings) == sorted(claimed)
    assert HOW_MANY == len(recordings)


def shape_of(recording):
    """Return which of GoTrue's five error shapes a recorded answer has, or `None`."""
    answer, headers = recording.answer, recording.response.headers
    if "error=" in headers.get("Location", ""):
        return "redirect"
    if recording.response.status < 400:
        return None
    if answer is None:
        return "router"
    if "error" in answer:
        return "OAuth"
    return "before 2024-01-01" if isinstance(answer["code"], int) else "since 2024-01-01"


#: One of each, with what it becomes.
SHAPES = {
    "before 2024-01-01": ("admin_get_user_not_found", ApiError, "user_not_found", 404),
    "since 2024-01-01": ("user_malformed_jwt_api_2024_01_01", ApiError, "bad_jwt", 403),
    "OAuth": ("token_web3_bad_signature", ApiError, "invalid_grant", 400),
    "redirect": ("callback_idp_error", ApiError, "access_denied", None),
    "router": ("method_not_allowed", ApiError, None, 405),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_error_shape(recordings, shape):
    """Class, code and status are found in each."""
    name, *expected = SHAPES[shape]
    assert shape == shape_of(recordings[name])
    if name in CALLS:
        _, _, error = await make_call(recordings, name)
    else:
        with pytest.raises(AuthError) as caught:
            READ[name](recordings[name].response)
        error = caught.value
    assert expected == [type(error), error.code, error.status]


def test_the_error_shapes_are_all(recordings):
    """Every recorded error has one of the five."""
    shapes = {shape_of(recording) for recording in recordings.values()}
    assert {*SHAPES, None} == shapes


async def test_the_reasons_of_a_weak_password_are_recorded(recordings):
    """They are what the server said."""
    _, _, error = await make_call(recordings, "user_update_weak_password")
    assert isinstance(error, WeakPassword)
    assert ("length",) == error.reasons


async def test_the_wait_is_read_from_the_text(recordings):
    """GoTrue says only in words how long to wait."""
    name = "resend_signup_over_email_send_rate_limit_api_2024_01_01"
    _, _, error = await make_call(recordings, name)
    assert 59.0 == error.retry_after
