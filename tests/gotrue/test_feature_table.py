"""The feature table: each method of auth-js, ours, the endpoint, and what shows that it works.

Every row is called: with the recorded answer of a real server (`recorded`), against the embedded
server (`served`), or, where neither has it, with an answer written after the server's own types
(`written`). The request that reached the wire has to be the row's, and a value has to come back.
The README's tables are made of these rows, and every method of ours is in one or stands in
`OURS_ONLY`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest

from async_auth import InitialSession, Session
from async_auth.gotrue import (
    AssuranceLevel,
    AuthorizationDetails,
    AuthResponse,
    Claims,
    EnrolledFactor,
    FactorChallenge,
    Factors,
    GeneratedLink,
    GoTrueClient,
    OAuthClient,
    OAuthGrant,
    OAuthResponse,
    OtpResponse,
    Passkey,
    PasskeyOptions,
    SSOResponse,
    User,
    UserPage,
)
from async_auth.gotrue.admin import CustomProvider
from async_auth.ports import Record
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer, ManualClock, ScriptedTransport

README = Path(__file__).parent.parent.parent / "README.md"
URL = "http://127.0.0.1:9999"
HERE = "http://127.0.0.1:3000/cb"
#: When the recording was made that the client is signed in with.
NOW = 1_795_252_943.0
NOTHING = type(None)


@attrs.frozen
class Scene:
    """A client that is signed in, and what is around it."""

    client: GoTrueClient
    wire: Any
    clock: ManualClock | None = None
    server: GoTrueServer | None = None
    es256: str = ""


@attrs.frozen
class Row:
    """
    One method of auth-js.

    Args:
        theirs: Its name.
        ours: Our methods, separated by spaces; each by its way from the client.
        wants: The requests that are made, separated by commas. After "browser:" stands what is
            made at the address that comes back.
        gives: What comes back.
        call: Calls ours.
        recorded: The recordings whose answers it gets, separated by spaces; or
        written: answers, each as status and JSON, or the name of a recording that is like it; or
        served: the embedded server answers.
        note: What the README says besides.
        late: Whether the session has expired before.
        options: Of the client.
    """

    theirs: str
    ours: str
    wants: str
    gives: Any
    call: Callable[..., Awaitable[Any]]
    recorded: str = attrs.field(default="", kw_only=True)
    written: tuple[Any, ...] = attrs.field(default=(), kw_only=True)
    served: bool = attrs.field(default=False, kw_only=True)
    note: str = attrs.field(default="", kw_only=True)
    late: bool = attrs.field(default=False, kw_only=True)
    options: dict[str, Any] = attrs.field(factory=dict, kw_only=True)

    @property
    def requests(self) -> list[str]:
        """What is sent."""
        return [] if self.is_address else [text for text in self.wants.split(", ") if text]

    @property
    def is_address(self) -> bool:
        """Whether a browser makes the request."""
        return self.wants.startswith("browser: ")

    @property
    def methods(self) -> list[str]:
        """Our methods."""
        return self.ours.split()


EMAIL, PASSWORD = "ann@example.com", "correct-horse-1"
CREDENTIAL = {"id": "c", "type": "public-key", "response": {}}
PASSKEY = {"id": "p", "friendly_name": "Key", "created_at": "2026-11-21T09:22:47.353822Z"}
CLIENT = {"client_id": "c", "client_name": "App", "redirect_uris": [HERE]}
GRANT = {
    "client": {"id": "c", "name": "App", "uri": "", "logo_uri": ""},
    "scopes": ["email"],
    "granted_at": "2026-11-21T09:22:47Z",
}
PROVIDER = {"id": "i", "identifier": "custom:x", "provider_type": "oidc", "name": "X"}
WEBAUTHN = {"type": "create", "credential_options": {"publicKey": {"challenge": "AQ"}}}
FACTOR = {"id": "f", "type": "webauthn", "friendly_name": "Key"}
CHALLENGE = {"id": "ch", "type": "webauthn", "expires_at": 1_795_252_999, "webauthn": WEBAUTHN}


async def in_a_row(*steps: Awaitable[Any]) -> Any:
    """Await each, and return what the last gives."""
    result = None
    for step in steps:
        result = await step
    return result


async def timer(scene: Scene, start: Any) -> Any:
    """Let the timer go off."""
    before = len(scene.wire.requests)
    started = await start()
    scene.clock.advance(60)
    await scene.wire.wait_for_requests(before + 1)
    return started


async def stopped(scene: Scene, aclose: Any) -> Any:
    """Let the timer's moment pass."""
    result = await aclose()
    scene.clock.advance(60)
    return result


async def first_event(_scene: Scene, events: Any) -> Any:
    """Read the first event."""
    async with events() as stream:
        return await anext(stream)


async def resent(scene: Scene, resend: Any) -> Any:
    """Ask once more for the mail that confirms a new address."""
    await scene.client.update_user(email="new@example.com")
    scene.wire.requests.clear()
    return await resend(type="email_change", email="new@example.com")


async def listed(scene: Scene, list_users: Any) -> Any:
    """List the users as an administrator."""
    scene.client.set_auth(scene.server.service_key)
    page = await list_users(page=1, per_page=10)
    assert 1 == page.total
    return page


async def factor_gone(scene: Scene, list_factors: Any, delete_factor: Any) -> Any:
    """Take a user's factor away as an administrator."""
    user = (await scene.client.get_user()).id
    enrolled = await scene.client.mfa.enroll()
    scene.client.set_auth(scene.server.service_key)
    assert [enrolled.id] == [factor.id for factor in await list_factors(user)]
    scene.wire.requests.clear()
    return await delete_factor(user, enrolled.id)


TABLE = (
    Row(
        "initialize",
        "start get_session_from_url",
        "POST /token?grant_type=pkce",
        AuthResponse,
        lambda _, start, take: in_a_row(start(), take(f"{HERE}?code=c0de")),
        recorded="token_pkce",
        note="the first call starts the client",
    ),
    Row(
        "isThrowOnErrorEnabled",
        "",
        "",
        NOTHING,
        lambda _: in_a_row(),
        note="failures are always exceptions",
    ),
    Row(
        "signUp",
        "sign_up",
        "POST /signup",
        AuthResponse,
        lambda _, call: call(email=EMAIL, password=PASSWORD),
        recorded="signup_email_autoconfirm",
    ),
    Row(
        "signInAnonymously",
        "sign_in_anonymously",
        "POST /signup",
        AuthResponse,
        lambda _, call: call(data={"k": "v"}),
        recorded="signup_anonymous",
    ),
    Row(
        "signInWithPassword",
        "sign_in_with_password",
        "POST /token?grant_type=password",
        AuthResponse,
        lambda _, call: call(email=EMAIL, password=PASSWORD),
        recorded="token_password",
    ),
    Row(
        "signInWithOAuth",
        "sign_in_with_oauth",
        "browser: GET /authorize",
        OAuthResponse,
        lambda _, call: call("keycloak", redirect_to=HERE),
        recorded="authorize_pkce",
    ),
    Row(
        "signInWithIdToken",
        "sign_in_with_id_token",
        "POST /token?grant_type=id_token",
        AuthResponse,
        lambda _, call: call(provider="keycloak", token="id-token"),
        recorded="token_id_token",
    ),
    Row(
        "signInWithOtp",
        "sign_in_with_otp",
        "POST /otp",
        OtpResponse,
        lambda _, call: call(email=EMAIL),
        recorded="otp_email_existing",
    ),
    Row(
        "verifyOtp",
        "verify_otp",
        "POST /verify",
        AuthResponse,
        lambda _, call: call(type="email", email=EMAIL, token="994361"),
        recorded="verify_email_otp",
    ),
    Row(
        "signInWithSSO",
        "sign_in_with_sso",
        "POST /sso",
        SSOResponse,
        lambda _, call: call(domain="example.com"),
        written=((200, {"url": "https://idp.example.com/sso"}),),
    ),
    Row(
        "signInWithWeb3",
        "sign_in_with_web3",
        "POST /token?grant_type=web3",
        AuthResponse,
        lambda _, call: call(chain="solana", message="m", signature="s"),
        recorded="token_web3_solana",
        note="message and signature are the wallet's",
    ),
    Row(
        "signInWithPasskey",
        "passkeys.start_authentication passkeys.verify_authentication",
        "POST /passkeys/authentication/options, POST /passkeys/authentication/verify",
        AuthResponse,
        lambda _, start, verify: in_a_row(
            start(), verify(challenge_id="ch", credential=CREDENTIAL)
        ),
        written=("passkey_registration_options", "token_password"),
        note="the ceremony between is the browser's",
    ),
    Row(
        "registerPasskey",
        "passkeys.start_registration passkeys.verify_registration",
        "POST /passkeys/registration/options, POST /passkeys/registration/verify",
        Passkey,
        lambda _, start, verify: in_a_row(
            start(), verify(challenge_id="ch", credential=CREDENTIAL)
        ),
        written=("passkey_registration_options", (200, PASSKEY)),
        note="the ceremony between is the browser's",
    ),
    Row(
        "exchangeCodeForSession",
        "exchange_code_for_session",
        "POST /token?grant_type=pkce",
        AuthResponse,
        lambda _, call: call("c0de", flow_id="f"),
        recorded="token_pkce",
    ),
    Row(
        "getSession",
        "get_session",
        "POST /token?grant_type=refresh_token",
        Session,
        lambda _, call: call(),
        recorded="token_refresh",
        late=True,
        note="a request only when it is due",
    ),
    Row(
        "refreshSession",
        "refresh_session",
        "POST /token?grant_type=refresh_token",
        AuthResponse,
        lambda _, call: call(),
        recorded="token_refresh",
    ),
    Row(
        "setSession",
        "set_session",
        "GET /user",
        AuthResponse,
        lambda scene, call: call(scene.client.session.access_token, "luwamgajpx4l"),
        recorded="user_get",
        note="of an expired token: as `refresh_session`",
    ),
    Row(
        "getUser",
        "get_user",
        "GET /user",
        User,
        lambda _, call: call(),
        recorded="user_get",
    ),
    Row(
        "updateUser",
        "update_user",
        "PUT /user",
        User,
        lambda _, call: call(data={"theme": "dark"}),
        recorded="user_update_data",
    ),
    Row(
        "getClaims",
        "get_claims",
        "GET /.well-known/jwks.json",
        Claims,
        lambda scene, call: call(scene.es256),
        recorded="jwks_es256",
        note="HS256 without the secret: `GET /user`",
    ),
    Row(
        "reauthenticate",
        "reauthenticate",
        "GET /reauthenticate",
        NOTHING,
        lambda _, call: call(),
        recorded="reauthenticate",
    ),
    Row("resend", "resend", "POST /resend", OtpResponse, resent, served=True),
    Row(
        "resetPasswordForEmail",
        "reset_password_for_email",
        "POST /recover",
        OtpResponse,
        lambda _, call: call(EMAIL),
        recorded="recover",
    ),
    Row(
        "getUserIdentities",
        "get_user_identities",
        "GET /user",
        tuple,
        lambda _, call: call(),
        recorded="user_get",
    ),
    Row(
        "linkIdentity",
        "link_identity",
        "GET /user/identities/authorize",
        OAuthResponse,
        lambda _, call: call("keycloak"),
        recorded="link_identity",
    ),
    Row(
        "linkIdentity (token)",
        "link_identity_with_id_token",
        "POST /token?grant_type=id_token",
        AuthResponse,
        lambda _, call: call(provider="keycloak", token="id-token"),
        recorded="token_id_token_link_identity",
    ),
    Row(
        "unlinkIdentity",
        "unlink_identity",
        "DELETE /user/identities/{id}",
        NOTHING,
        lambda _, call: call("i"),
        recorded="unlink_identity",
    ),
    Row(
        "signOut",
        "sign_out",
        "POST /logout?scope={scope}",
        NOTHING,
        lambda _, call: call(),
        recorded="logout_global",
    ),
    Row(
        "onAuthStateChange",
        "events",
        "",
        InitialSession,
        first_event,
        note="an async iterator",
    ),
    Row(
        "startAutoRefresh",
        "start",
        "POST /token?grant_type=refresh_token",
        GoTrueClient,
        timer,
        recorded="token_refresh",
        options={"auto_refresh": True},
        note="the timer runs by itself",
    ),
    Row(
        "stopAutoRefresh",
        "aclose",
        "",
        NOTHING,
        stopped,
        options={"auto_refresh": True},
        note="or `auto_refresh=False` from the beginning",
    ),
    Row("dispose", "aclose", "", NOTHING, lambda _, call: call()),
    Row(
        "mfa.enroll",
        "mfa.enroll",
        "POST /factors",
        EnrolledFactor,
        lambda _, call: call(friendly_name="phone"),
        recorded="mfa_enroll_totp",
    ),
    Row(
        "mfa.challenge",
        "mfa.challenge",
        "POST /factors/{id}/challenge",
        FactorChallenge,
        lambda _, call: call("f"),
        recorded="mfa_challenge_totp",
    ),
    Row(
        "mfa.verify",
        "mfa.verify",
        "POST /factors/{id}/verify",
        AuthResponse,
        lambda _, call: call("f", challenge_id="ch", code="123456"),
        recorded="mfa_verify_totp",
    ),
    Row(
        "mfa.challengeAndVerify",
        "mfa.challenge_and_verify",
        "POST /factors/{id}/challenge, POST /factors/{id}/verify",
        AuthResponse,
        lambda _, call: call("f", "123456"),
        recorded="mfa_challenge_totp mfa_verify_totp",
    ),
    Row(
        "mfa.unenroll",
        "mfa.unenroll",
        "DELETE /factors/{id}",
        NOTHING,
        lambda _, call: call("f"),
        recorded="mfa_unenroll",
    ),
    Row(
        "mfa.listFactors",
        "mfa.list_factors",
        "GET /user",
        Factors,
        lambda _, call: call(),
        recorded="user_with_mfa_factors",
    ),
    Row(
        "mfa.getAuthenticatorAssuranceLevel",
        "mfa.get_authenticator_assurance_level",
        "GET /user",
        AssuranceLevel,
        lambda scene, call: call(scene.client.session.access_token),
        recorded="user_with_mfa_factors",
        note="nothing is asked about the session's own token",
    ),
    Row(
        "mfa.webauthn.enroll",
        "mfa.enroll",
        "POST /factors",
        EnrolledFactor,
        lambda _, call: call(factor_type="webauthn", friendly_name="Key"),
        written=((200, FACTOR),),
        note='`factor_type="webauthn"`',
    ),
    Row(
        "mfa.webauthn.challenge",
        "mfa.challenge",
        "POST /factors/{id}/challenge",
        FactorChallenge,
        lambda _, call: call("f", webauthn={"rpId": "example.com", "rpOrigins": []}),
        written=((200, CHALLENGE),),
        note="`webauthn=…`",
    ),
    Row(
        "mfa.webauthn.verify",
        "mfa.verify",
        "POST /factors/{id}/verify",
        AuthResponse,
        lambda _, call: call("f", challenge_id="ch", webauthn={"type": "create"}),
        written=("mfa_verify_totp",),
        note="`webauthn=…`",
    ),
    Row(
        "mfa.webauthn.register",
        "mfa.enroll mfa.challenge mfa.verify",
        "POST /factors, POST /factors/{id}/challenge, POST /factors/{id}/verify",
        AuthResponse,
        lambda _, enroll, challenge, verify: in_a_row(
            enroll(factor_type="webauthn"),
            challenge("f", webauthn={"rpId": "example.com"}),
            verify("f", challenge_id="ch", webauthn={"type": "create"}),
        ),
        written=((200, FACTOR), (200, CHALLENGE), "mfa_verify_totp"),
        note="the ceremony between is the browser's",
    ),
    Row(
        "mfa.webauthn.authenticate",
        "mfa.challenge mfa.verify",
        "POST /factors/{id}/challenge, POST /factors/{id}/verify",
        AuthResponse,
        lambda _, challenge, verify: in_a_row(
            challenge("f", webauthn={"rpId": "example.com"}),
            verify("f", challenge_id="ch", webauthn={"type": "request"}),
        ),
        written=((200, CHALLENGE), "mfa_verify_totp"),
        note="the ceremony between is the browser's",
    ),
    Row(
        "oauth.getAuthorizationDetails",
        "oauth.get_authorization_details",
        "GET /oauth/authorizations/{id}",
        AuthorizationDetails,
        lambda _, call: call("a"),
        recorded="oauth_server_get_authorization",
    ),
    Row(
        "oauth.approveAuthorization",
        "oauth.approve_authorization",
        "POST /oauth/authorizations/{id}/consent",
        str,
        lambda _, call: call("a"),
        recorded="oauth_server_consent",
    ),
    Row(
        "oauth.denyAuthorization",
        "oauth.deny_authorization",
        "POST /oauth/authorizations/{id}/consent",
        str,
        lambda _, call: call("a"),
        recorded="oauth_server_consent",
    ),
    Row(
        "oauth.listGrants",
        "oauth.list_grants",
        "GET /user/oauth/grants",
        [OAuthGrant],
        lambda _, call: call(),
        written=((200, [GRANT]),),
    ),
    Row(
        "oauth.revokeGrant",
        "oauth.revoke_grant",
        "DELETE /user/oauth/grants?client_id={id}",
        NOTHING,
        lambda _, call: call("c"),
        written=((204, None),),
    ),
    Row(
        "passkey.startRegistration",
        "passkeys.start_registration",
        "POST /passkeys/registration/options",
        PasskeyOptions,
        lambda _, call: call(),
        recorded="passkey_registration_options",
    ),
    Row(
        "passkey.verifyRegistration",
        "passkeys.verify_registration",
        "POST /passkeys/registration/verify",
        Passkey,
        lambda _, call: call(challenge_id="ch", credential=CREDENTIAL),
        written=((200, PASSKEY),),
    ),
    Row(
        "passkey.startAuthentication",
        "passkeys.start_authentication",
        "POST /passkeys/authentication/options",
        PasskeyOptions,
        lambda _, call: call(),
        written=("passkey_registration_options",),
    ),
    Row(
        "passkey.verifyAuthentication",
        "passkeys.verify_authentication",
        "POST /passkeys/authentication/verify",
        AuthResponse,
        lambda _, call: call(challenge_id="ch", credential=CREDENTIAL),
        written=("token_password",),
    ),
    Row(
        "passkey.list",
        "passkeys.list",
        "GET /passkeys",
        tuple,
        lambda _, call: call(),
        recorded="passkeys_list",
    ),
    Row(
        "passkey.update",
        "passkeys.update",
        "PATCH /passkeys/{id}",
        Passkey,
        lambda _, call: call("p", friendly_name="Key"),
        written=((200, PASSKEY),),
    ),
    Row(
        "passkey.delete",
        "passkeys.delete",
        "DELETE /passkeys/{id}",
        NOTHING,
        lambda _, call: call("p"),
        written=((204, None),),
    ),
    Row(
        "admin.signOut",
        "admin.sign_out",
        "POST /logout?scope={scope}",
        NOTHING,
        lambda scene, call: call(scene.client.session.access_token, "local"),
        recorded="logout_local",
    ),
    Row(
        "admin.inviteUserByEmail",
        "admin.invite_user_by_email",
        "POST /invite",
        User,
        lambda _, call: call(EMAIL, data={"t": 1}),
        recorded="admin_invite",
    ),
    Row(
        "admin.generateLink",
        "admin.generate_link",
        "POST /admin/generate_link",
        GeneratedLink,
        lambda _, call: call(type="magiclink", email=EMAIL),
        recorded="admin_generate_link_magiclink",
    ),
    Row(
        "admin.createUser",
        "admin.create_user",
        "POST /admin/users",
        User,
        lambda _, call: call(email=EMAIL, password=PASSWORD),
        recorded="admin_create_user",
    ),
    Row(
        "admin.listUsers",
        "admin.list_users",
        "GET /admin/users?page={page}&per_page={per_page}",
        UserPage,
        listed,
        served=True,
    ),
    Row(
        "admin.getUserById",
        "admin.get_user_by_id",
        "GET /admin/users/{id}",
        User,
        lambda _, call: call("u"),
        recorded="admin_get_user",
    ),
    Row(
        "admin.updateUserById",
        "admin.update_user_by_id",
        "PUT /admin/users/{id}",
        User,
        lambda _, call: call("u", ban_duration="24h"),
        recorded="admin_ban_user",
    ),
    Row(
        "admin.deleteUser",
        "admin.delete_user",
        "DELETE /admin/users/{id}",
        NOTHING,
        lambda _, call: call("u", should_soft_delete=True),
        recorded="admin_soft_delete_user",
    ),
    Row(
        "admin.mfa.listFactors",
        "admin.mfa.list_factors",
        "GET /admin/users/{id}/factors",
        tuple,
        lambda _, call: call("u"),
        recorded="admin_list_factors",
    ),
    Row(
        "admin.mfa.deleteFactor",
        "admin.mfa.delete_factor",
        "DELETE /admin/users/{id}/factors/{id}",
        NOTHING,
        lambda scene, call: factor_gone(scene, scene.client.admin.mfa.list_factors, call),
        served=True,
    ),
    Row(
        "admin.oauth.listClients",
        "admin.oauth.list_clients",
        "GET /admin/oauth/clients",
        [OAuthClient],
        lambda _, call: call(),
        written=((200, {"clients": [CLIENT]}),),
    ),
    Row(
        "admin.oauth.createClient",
        "admin.oauth.create_client",
        "POST /admin/oauth/clients",
        OAuthClient,
        lambda _, call: call({"client_name": "App", "redirect_uris": [HERE]}),
        recorded="oauth_admin_register_client",
    ),
    Row(
        "admin.oauth.getClient",
        "admin.oauth.get_client",
        "GET /admin/oauth/clients/{id}",
        OAuthClient,
        lambda _, call: call("c"),
        written=((200, CLIENT),),
    ),
    Row(
        "admin.oauth.updateClient",
        "admin.oauth.update_client",
        "PUT /admin/oauth/clients/{id}",
        OAuthClient,
        lambda _, call: call("c", {"client_name": "New"}),
        written=((200, CLIENT),),
    ),
    Row(
        "admin.oauth.deleteClient",
        "admin.oauth.delete_client",
        "DELETE /admin/oauth/clients/{id}",
        NOTHING,
        lambda _, call: call("c"),
        written=((204, None),),
    ),
    Row(
        "admin.oauth.regenerateClientSecret",
        "admin.oauth.regenerate_client_secret",
        "POST /admin/oauth/clients/{id}/regenerate_secret",
        OAuthClient,
        lambda _, call: call("c"),
        written=("oauth_admin_register_client",),
    ),
    Row(
        "admin.customProviders.listProviders",
        "admin.custom_providers.list_providers",
        "GET /admin/custom-providers",
        [CustomProvider],
        lambda _, call: call(),
        written=((200, {"providers": [PROVIDER]}),),
    ),
    Row(
        "admin.customProviders.createProvider",
        "admin.custom_providers.create_provider",
        "POST /admin/custom-providers",
        CustomProvider,
        lambda _, call: call(PROVIDER),
        written=((201, PROVIDER),),
    ),
    Row(
        "admin.customProviders.getProvider",
        "admin.custom_providers.get_provider",
        "GET /admin/custom-providers/{id}",
        CustomProvider,
        lambda _, call: call("custom:x"),
        written=((200, PROVIDER),),
    ),
    Row(
        "admin.customProviders.updateProvider",
        "admin.custom_providers.update_provider",
        "PUT /admin/custom-providers/{id}",
        CustomProvider,
        lambda _, call: call("custom:x", {"name": "Y"}),
        written=((200, PROVIDER),),
    ),
    Row(
        "admin.customProviders.deleteProvider",
        "admin.custom_providers.delete_provider",
        "DELETE /admin/custom-providers/{id}",
        NOTHING,
        lambda _, call: call("custom:x"),
        written=((204, None),),
    ),
    Row(
        "admin.passkey.listPasskeys",
        "admin.passkeys.list_passkeys",
        "GET /admin/users/{id}/passkeys",
        [Passkey],
        lambda _, call: call("u"),
        written=((200, [PASSKEY]),),
    ),
    Row(
        "admin.passkey.deletePasskey",
        "admin.passkeys.delete_passkey",
        "DELETE /admin/users/{id}/passkeys/{id}",
        NOTHING,
        lambda _, call: call("u", "p"),
        written=((204, None),),
    ),
)

#: What auth-js has no method for.
OURS_ONLY = {
    "get_token",
    "set_auth",
    "settings",
    "health",
    "admin.iter_users",
    "admin.audit_log",
    "admin.mfa.update_factor",
    "admin.sso_providers.list_providers",
    "admin.sso_providers.create_provider",
    "admin.sso_providers.get_provider",
    "admin.sso_providers.update_provider",
    "admin.sso_providers.delete_provider",
}


async def play(row: Row, recordings: Any) -> Scene:
    """Set a scene on which what is asked gets the row's answers."""
    clock, store, wire = ManualClock(NOW), MemoryStore(), ScriptedTransport()
    flow = {"id": "f", "verifier": "v"}
    record = Record(generation=1, sign_in_id="", session={"flows": [flow]})
    await store.save("default.pkce", record, expected=0)
    options = {"auto_refresh": False, "store": store, "clock": clock, "random": lambda: 0.5}
    client = GoTrueClient(URL, transport=wire, **{**options, **row.options})
    wire.add(recordings["token_password"].response)
    await client.sign_in_with_password(email=EMAIL, password=PASSWORD)
    wire.requests.clear()
    for answer in (*row.recorded.split(), *row.written):
        wire.add(recordings[answer].response if isinstance(answer, str) else answer)
    if row.late:
        clock.advance(60)
    es256 = recordings["signup_es256_v2_refresh_token"].answer["access_token"]
    return Scene(client, wire, clock=clock, es256=es256)


async def serve(stage: Any) -> Scene:
    """Set a scene on which the embedded server answers."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    wire.requests.clear()
    return Scene(client, wire, server=stage.server)


def matches(wanted: str, method: str, url: str) -> bool:
    """Say whether a request is the one of the table."""
    wanted_method, _, address = wanted.partition(" ")
    path, _, query = address.partition("?")
    parts = urlsplit(url)
    found = dict(parse_qsl(parts.query))
    return (
        wanted_method == method
        and re.fullmatch(path.replace("{id}", "[^/]+"), parts.path) is not None
        and all(
            name in found and (value.startswith("{") or value == found[name])
            for name, value in parse_qsl(query)
        )
    )


def ids(row: Row) -> str:
    """Return a row's name."""
    return row.theirs


@pytest.mark.parametrize("row", TABLE, ids=ids)
async def test_every_method_works(row, recordings, set_stage):
    """Ours is there, makes the row's requests and no other, and gives the row's type."""
    if row.served:
        scene = await serve(await set_stage(email_max_frequency=0))
    else:
        scene = await play(row, recordings)
    async with scene.client:
        methods = [operator.attrgetter(name)(scene.client) for name in row.methods]
        result = await row.call(scene, *methods)
        sent = [(request.method, request.url) for request in scene.wire.requests]
    assert len(row.requests) == len(sent)
    for wanted, (method, url) in zip(row.requests, sent, strict=True):
        assert matches(wanted, method, url)
    if row.is_address:
        assert matches(row.wants.removeprefix("browser: "), "GET", result.url)
    if isinstance(row.gives, list):
        assert tuple(row.gives) == tuple(type(item) for item in result)
    else:
        assert row.gives is type(result)


@pytest.mark.parametrize("row", [row for row in TABLE if row.recorded], ids=ids)
def test_the_recordings_are_of_that_endpoint(row, recordings):
    """A real server was asked just this."""
    wanted = row.wants.removeprefix("browser: ").split(", ")
    for endpoint, name in zip(wanted, row.recorded.split(), strict=True):
        asked = recordings[name].request
        query = "&".join(f"{k}={v}" for k, v in asked["query"].items())
        assert matches(endpoint, asked["method"], f"{asked['path']}?{query}")


@pytest.mark.parametrize("row", TABLE, ids=ids)
def test_every_row_has_its_proof(row):
    """One of the three; and where there is no method, or no request, the reason is told."""
    proofs = [bool(proof) for proof in (row.recorded, row.written, row.served)]
    assert (1 if row.wants else 0) == sum(proofs)
    assert row.ours or row.note


def public_methods(thing: Any, prefix: str = "") -> set[str]:
    """Return the public methods of a client and of its namespaces, by their way from it."""
    found = set()
    for name in dir(thing):
        if name.startswith("_") or isinstance(getattr(type(thing), name, None), property):
            continue
        member = getattr(thing, name)
        if hasattr(member, "_caller"):
            found |= public_methods(member, f"{prefix}{name}.")
        elif callable(member):
            found.add(f"{prefix}{name}")
    return found


def test_every_method_of_ours_is_in_the_table():
    """Whoever adds a method says whose it is."""
    ours = {name for row in TABLE for name in row.methods}
    assert public_methods(GoTrueClient(URL)) == ours | OURS_ONLY
    assert set() == ours & OURS_ONLY


def test_no_method_is_there_twice():
    """Each of auth-js's has one row."""
    names = [row.theirs for row in TABLE]
    assert sorted(set(names)) == sorted(names)


#: The README's tables, by what the names in them begin with.
NAMESPACES = {
    "": "The client itself",
    "mfa": "mfa: second factors",
    "oauth": "oauth: the consent page",
    "passkey": "passkey",
    "admin": "admin: with a service-role key",
}


def cell(row: Row) -> str:
    """Return what the README says of ours."""
    methods = ", ".join(f"`{name}`" for name in row.methods)
    return "; ".join(text for text in (methods, row.note) if text)


def endpoints(row: Row) -> str:
    """Return what the README says of the endpoint."""
    if row.is_address:
        return f"browser: `{row.wants.removeprefix('browser: ')}`"
    return ", ".join(f"`{text}`" for text in row.requests)


def tables() -> str:
    """Return the README's tables."""
    blocks = []
    for namespace, title in NAMESPACES.items():
        rows = [row for row in TABLE if namespace == row.theirs.rpartition(".")[0].split(".")[0]]
        blocks += [f"<details><summary>{title} ({len(rows)})</summary>", ""]
        blocks += ["| auth-js | async_auth | endpoint |", "|---|---|---|"]
        blocks += [f"| `{row.theirs}` | {cell(row)} | {endpoints(row)} |" for row in rows]
        blocks += ["", "</details>", ""]
    return "\n".join(blocks) + "\n"


def test_the_readme_says_the_same():
    """Its tables are made of these rows: when this fails, paste what it expects."""
    text = README.read_text(encoding="utf-8")
    for name in OURS_ONLY:
        assert f"`{name}`" in text or f"`{name.rpartition('.')[0]}`" in text
    assert tables() == "".join(re.findall(r"<details>.*?</details>\n\n", text, re.DOTALL))
