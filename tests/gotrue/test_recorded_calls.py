"""Every recorded exchange that one of the client's methods makes, made by that method.

The request that goes out is compared with the recorded one, the recorded answer comes back, and
what the method gives or raises is compared with that.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from async_auth import ApiError, AuthError, AuthSessionMissing, RateLimited, WeakPassword
from async_auth.gotrue import GoTrueClient
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"

#: What only we send.
OURS = {"gotrue_meta_security", "code_challenge", "code_challenge_method"}


def email_code(**more):
    """Verify a recorded code."""
    return lambda client, body: client.verify_otp(**body, **more)


def update(client, body):
    """Change the user."""
    return client.update_user(**body)


def otp(client, body):
    """Ask for a code."""
    more = {} if "create_user" not in body else {"should_create_user": body["create_user"]}
    return client.sign_in_with_otp(email=body["email"], data=body.get("data"), **more)


def id_token(client, body):
    """Sign in with an id token."""
    return client.sign_in_with_id_token(
        provider=body["provider"], token=body["id_token"], nonce=body.get("nonce")
    )


def link_id_token(client, body):
    """Link an identity by an id token."""
    return client.link_identity_with_id_token(
        provider=body["provider"], token=body["id_token"], nonce=body.get("nonce")
    )


def web3(client, body):
    """Sign in with a wallet."""
    return client.sign_in_with_web3(**body)


def unlink(client, _body):
    """Unlink the identity whose id stands in the recording's path."""
    return client.unlink_identity(client.recorded_path.rpartition("/")[2])


def factor_of(client):
    """Return the factor whose id stands in the recording's path."""
    return client.recorded_path.split("/")[2]


def verify_factor(client, body):
    """Meet a challenge."""
    return client.mfa.verify(factor_of(client), **body)


def challenge(client, body):
    """Ask for a factor."""
    return client.mfa.challenge(factor_of(client), **body)


def enroll(client, body):
    """Begin with a factor."""
    return client.mfa.enroll(**body)


def user_of(client):
    """Return the user whose id stands in the recording's path."""
    return client.recorded_path.split("/")[3]


def admin_user(client, _body):
    """Look a user up."""
    return client.admin.get_user_by_id(user_of(client))


def admin_list(client, _body):
    """List the users."""
    return client.admin.list_users()


def link(client, body):
    """Make a link."""
    return client.admin.generate_link(**body)


#: Each recording by name, and the call that makes its request.
CALLS = {
    "user_update_data": update,
    "user_update_same_password": update,
    "user_update_weak_password": update,
    "user_update_password": update,
    "user_update_email_autoconfirm": update,
    "user_update_email_taken": update,
    "user_update_password_with_nonce": update,
    "user_update_password_insufficient_aal": update,
    "user_update_anonymous_to_email": update,
    "user_update_password_reauthentication_needed": update,
    "user_update_password_bad_nonce": update,
    "user_update_email_confirmation_required": update,
    "reauthenticate": lambda client, _: client.reauthenticate(),
    "user_with_mfa_factors": lambda client, _: client.get_user(),
    "otp_email_create_user": lambda client, body: client.sign_in_with_otp(
        email=body["email"], redirect_to="http://127.0.0.1:3000/cb"
    ),
    "otp_email_unknown_no_create": otp,
    "otp_email_existing": otp,
    "verify_email_wrong_code": email_code(),
    "verify_email_wrong_code_api_2024_01_01": email_code(),
    "verify_token_hash": email_code(),
    "verify_recovery": email_code(),
    "verify_signup": email_code(),
    "verify_email_otp": email_code(),
    "verify_email_change_first_of_two": email_code(),
    "verify_email_change_second": email_code(),
    "verify_bad_type": email_code(),
    "verify_sms_wrong": email_code(),
    "recover": lambda client, body: client.reset_password_for_email(
        body["email"], redirect_to="http://127.0.0.1:3000/cb"
    ),
    "resend_signup_over_email_send_rate_limit_api_2024_01_01": lambda client, body: client.resend(
        **body
    ),
    "token_id_token": id_token,
    "token_id_token_bad_nonce": id_token,
    "token_id_token_missing_nonce_api_2024_01_01": id_token,
    "token_id_token_garbage": id_token,
    "token_web3_solana": web3,
    "token_web3_bad_signature": web3,
    "token_id_token_link_identity": link_id_token,
    "link_identity": lambda client, _: client.link_identity(
        "keycloak", redirect_to="http://127.0.0.1:3000/cb"
    ),
    "unlink_identity": unlink,
    "unlink_last_identity": unlink,
    "mfa_enroll_totp": enroll,
    "mfa_enroll_duplicate_name": enroll,
    "mfa_enroll_phone": enroll,
    "mfa_challenge_totp": challenge,
    "mfa_challenge_phone": challenge,
    "mfa_verify_wrong_code": verify_factor,
    "mfa_verify_totp": verify_factor,
    "mfa_verify_phone": verify_factor,
    "mfa_unenroll": lambda client, _: client.mfa.unenroll(factor_of(client)),
    "mfa_unenroll_insufficient_aal": lambda client, _: client.mfa.unenroll(factor_of(client)),
    "passkeys_list": lambda client, _: client.passkeys.list(),
    "passkey_registration_options": lambda client, _: client.passkeys.start_registration(),
    "oauth_server_get_authorization": lambda client, _: client.oauth.get_authorization_details(
        client.recorded_path.rpartition("/")[2]
    ),
    "oauth_server_consent": lambda client, _: client.oauth.approve_authorization(
        client.recorded_path.split("/")[3]
    ),
    "admin_ban_user": lambda client, body: client.admin.update_user_by_id(user_of(client), **body),
    "admin_delete_user": lambda client, _: client.admin.delete_user(user_of(client)),
    "admin_soft_delete_user": lambda client, body: client.admin.delete_user(
        user_of(client), **body
    ),
    "admin_list_factors": lambda client, _: client.admin.mfa.list_factors(user_of(client)),
    "admin_create_user": lambda client, body: client.admin.create_user(**body),
    "admin_get_user": admin_user,
    "admin_get_user_bad_id": admin_user,
    "admin_get_user_not_found": admin_user,
    "admin_as_normal_user": admin_list,
    "admin_as_normal_user_api_2024_01_01": admin_list,
    "admin_generate_link_magiclink": link,
    "admin_generate_link_signup": link,
    "admin_generate_link_invite": link,
    "admin_generate_link_email_change_current": link,
    "admin_invite": lambda client, body: client.admin.invite_user_by_email(
        body["email"], data=body["data"], redirect_to="http://127.0.0.1:3000/cb"
    ),
    "oauth_admin_register_client": lambda client, body: client.admin.oauth.create_client(body),
    "sso_unknown_domain": lambda client, body: client.sign_in_with_sso(domain=body["domain"]),
}


def body_of(value):
    """Leave out what only we send, and empty metadata."""
    value = dict(value or {})
    if value.get("data") == {}:
        del value["data"]
    if value.get("create_user") is True:
        del value["create_user"]
    return {name: member for name, member in value.items() if name not in OURS}


async def make_call(recordings, name):
    """Make the call of a recording; return the client, the request and what came of it."""
    recording = recordings[name]
    transport = ScriptedTransport(recording.response)
    client = GoTrueClient(URL, transport=transport, auto_refresh=False)
    client.recorded_path = recording.request["path"]
    if "authorization" in recording.request["headers"]:
        client.set_auth("pinned-token")
    async with client:
        try:
            result = await CALLS[name](client, recording.request["json"] or {})
        except AuthError as error:
            result = error
        return client.session, transport.requests, result


@pytest.mark.parametrize("name", CALLS)
async def test_the_recorded_request_is_made(recordings, name):
    """Method, path, query, body and who asks are as they were recorded."""
    recorded = recordings[name].request
    _, (request,), _ = await make_call(recordings, name)
    url = urlsplit(request.url)
    query = {name: value for name, value in parse_qsl(url.query) if name not in OURS}
    wanted = {k: v for k, v in (recorded["query"] or {}).items() if k not in OURS}
    assert (recorded["method"], recorded["path"]) == (request.method, unquote(url.path))
    assert wanted == query
    assert body_of(recorded["json"]) == body_of(json.loads(request.body or b"null"))
    assert ("authorization" in recorded["headers"]) == ("Authorization" in request.headers)


@pytest.mark.parametrize("name", CALLS)
async def test_the_recorded_answer_is_read(recordings, name):
    """A session becomes current, an error has the recorded code and status."""
    recording = recordings[name]
    session, _, result = await make_call(recordings, name)
    if recording.response.status >= 400:
        assert isinstance(result, ApiError | RateLimited | AuthSessionMissing)
        code = recording.answer.get("error_code") or recording.answer.get("error")
        assert recording.response.status == result.status
        assert (code or recording.answer["code"]) == result.code
        assert None is session
        return
    assert not isinstance(result, AuthError)
    if "access_token" in recording.answer:
        assert recording.answer["access_token"] == session.access_token
        assert session is result.session
        assert recording.answer["user"]["id"] == result.user.id
    else:
        assert None is session


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


async def test_the_first_half_of_an_email_change_is_neither_user_nor_session(recordings):
    """The server wants the other address as well."""
    _, _, result = await make_call(recordings, "verify_email_change_first_of_two")
    assert (None, None) == (result.user, result.session)
