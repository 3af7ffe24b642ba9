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
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
import pytest

from async_auth import InitialSession, Request, Session
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
#: The page that asks for a security key.
PAGE = {"rpId": "localhost", "rpOrigins": ["http://localhost:3000"]}
PROVIDER = {"id": "i", "identifier": "custom:x", "provider_type": "oidc", "name": "X"}


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


def after(prepare: Callable[[Scene], Awaitable[Any]], act: Callable[..., Awaitable[Any]]) -> Any:
    """Call what *act* does, after *prepare*, whose requests do not count and whose gift it gets."""

    async def call(scene: Scene, *methods: Any) -> Any:
        found = await prepare(scene)
        scene.wire.requests.clear()
        return await act(found, *methods)

    return call


async def a_new_address(scene: Scene) -> None:
    """Wait for a new address to be confirmed."""
    await scene.client.update_user(email="new@example.com")


async def a_company(scene: Scene) -> None:
    """Let a company's people sign in."""
    scene.server.add_sso_provider("example.com")


async def an_administrator(scene: Scene) -> str:
    """Go on as an administrator; who was signed in before."""
    user = (await scene.client.get_user()).id
    scene.client.set_auth(scene.server.service_key)
    return user


async def a_factor(scene: Scene) -> tuple[str, str]:
    """Enroll a factor, and go on as an administrator: whose it is, and which."""
    enrolled = await scene.client.mfa.enroll()
    return await an_administrator(scene), enrolled.id


async def a_browser(scene: Scene) -> Any:
    """Have a browser that makes passkeys."""
    return scene.server.authenticator()


async def a_passkey(scene: Scene) -> tuple[Any, Passkey]:
    """Register a passkey: the browser that has it, and the passkey."""
    browser, keys = scene.server.authenticator(), scene.client.passkeys
    return browser, await make(browser, keys.start_registration, keys.verify_registration)


async def make(browser: Any, start: Any, verify: Any) -> Passkey:
    """Make a passkey."""
    begun = await start()
    return await verify(challenge_id=begun.challenge_id, credential=browser.create(begun.options))


async def show(found: tuple[Any, Passkey], start: Any, verify: Any) -> AuthResponse:
    """Sign in with a passkey."""
    begun = await start()
    return await verify(challenge_id=begun.challenge_id, credential=found[0].get(begun.options))


async def a_made_passkey(scene: Scene) -> dict[str, Any]:
    """Let the browser make a passkey that nobody has verified."""
    begun = await scene.client.passkeys.start_registration()
    credential = scene.server.authenticator().create(begun.options)
    return {"challenge_id": begun.challenge_id, "credential": credential}


async def a_shown_passkey(scene: Scene) -> dict[str, Any]:
    """Let the browser show a passkey."""
    browser, _ = await a_passkey(scene)
    begun = await scene.client.passkeys.start_authentication()
    return {"challenge_id": begun.challenge_id, "credential": browser.get(begun.options)}


async def a_passkey_of_a_user(scene: Scene) -> tuple[str, str]:
    """Register a passkey, and go on as an administrator: whose it is, and which."""
    _, passkey = await a_passkey(scene)
    return await an_administrator(scene), passkey.id


async def a_security_key(scene: Scene) -> EnrolledFactor:
    """Begin with a security key."""
    return await scene.client.mfa.enroll(factor_type="webauthn", friendly_name="Key")


async def meet(browser: Any, factor_id: str, challenge: Any, verify: Any) -> AuthResponse:
    """Do what a security key is asked for."""
    asked = await challenge(factor_id, webauthn=PAGE)
    kind = asked.webauthn["type"]
    ceremony = browser.create if kind == "create" else browser.get
    response = ceremony(asked.webauthn["credential_options"])
    proof = {**PAGE, "type": kind, "credential_response": response}
    return await verify(factor_id, challenge_id=asked.id, webauthn=proof)


async def enroll_and_meet(browser: Any, enroll: Any, challenge: Any, verify: Any) -> AuthResponse:
    """Enroll a security key."""
    factor = await enroll(factor_type="webauthn", friendly_name="Key")
    return await meet(browser, factor.id, challenge, verify)


async def a_known_security_key(scene: Scene) -> tuple[Any, str]:
    """Enroll a security key: the browser, and the factor."""
    browser, mfa = scene.server.authenticator(), scene.client.mfa
    factor = await a_security_key(scene)
    await meet(browser, factor.id, mfa.challenge, mfa.verify)
    return browser, factor.id


async def an_asked_security_key(scene: Scene) -> tuple[str, dict[str, Any]]:
    """Let the browser do what a security key is asked for: the factor, and the proof."""
    factor = await a_security_key(scene)
    proofs = []

    async def keep(_: str, **proof: Any) -> None:
        proofs.append(proof)

    await meet(scene.server.authenticator(), factor.id, scene.client.mfa.challenge, keep)
    return factor.id, proofs[0]


async def a_program(scene: Scene) -> str:
    """Register an OAuth client as an administrator."""
    await an_administrator(scene)
    made = await scene.client.admin.oauth.create_client(
        {"client_name": "App", "redirect_uris": [HERE]}
    )
    return made.client_id


async def a_grant(scene: Scene) -> str:
    """Let the user grant something to a program."""
    program = await a_program(scene)
    scene.client.set_auth(None)
    query = {
        "client_id": program,
        "redirect_uri": HERE,
        "response_type": "code",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "scope": "email",
    }
    address = f"{scene.server.url}/oauth/authorize?{urlencode(query)}"
    answer = await scene.wire.send(Request("GET", address, (), b""), timeout=5)
    name = answer.headers["Location"].partition("authorization_id=")[2]
    await scene.client.oauth.get_authorization_details(name)
    await scene.client.oauth.approve_authorization(name)
    return program


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
        after(a_company, lambda _, call: call(domain="example.com")),
        served=True,
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
        after(a_passkey, show),
        served=True,
        note="the ceremony between is the browser's",
    ),
    Row(
        "registerPasskey",
        "passkeys.start_registration passkeys.verify_registration",
        "POST /passkeys/registration/options, POST /passkeys/registration/verify",
        Passkey,
        after(a_browser, make),
        served=True,
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
    Row(
        "resend",
        "resend",
        "POST /resend",
        OtpResponse,
        after(a_new_address, lambda _, call: call(type="email_change", email="new@example.com")),
        served=True,
    ),
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
        served=True,
        note='`factor_type="webauthn"`',
    ),
    Row(
        "mfa.webauthn.challenge",
        "mfa.challenge",
        "POST /factors/{id}/challenge",
        FactorChallenge,
        after(a_security_key, lambda factor, call: call(factor.id, webauthn=PAGE)),
        served=True,
        note="`webauthn=…`",
    ),
    Row(
        "mfa.webauthn.verify",
        "mfa.verify",
        "POST /factors/{id}/verify",
        AuthResponse,
        after(an_asked_security_key, lambda found, call: call(found[0], **found[1])),
        served=True,
        note="`webauthn=…`",
    ),
    Row(
        "mfa.webauthn.register",
        "mfa.enroll mfa.challenge mfa.verify",
        "POST /factors, POST /factors/{id}/challenge, POST /factors/{id}/verify",
        AuthResponse,
        after(a_browser, enroll_and_meet),
        served=True,
        note="the ceremony between is the browser's",
    ),
    Row(
        "mfa.webauthn.authenticate",
        "mfa.challenge mfa.verify",
        "POST /factors/{id}/challenge, POST /factors/{id}/verify",
        AuthResponse,
        after(a_known_security_key, lambda found, *calls: meet(*found, *calls)),
        served=True,
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
        after(a_grant, lambda _, call: call()),
        served=True,
    ),
    Row(
        "oauth.revokeGrant",
        "oauth.revoke_grant",
        "DELETE /user/oauth/grants?client_id={id}",
        NOTHING,
        after(a_grant, lambda program, call: call(program)),
        served=True,
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
        after(a_made_passkey, lambda proof, call: call(**proof)),
        served=True,
    ),
    Row(
        "passkey.startAuthentication",
        "passkeys.start_authentication",
        "POST /passkeys/authentication/options",
        PasskeyOptions,
        lambda _, call: call(),
        served=True,
    ),
    Row(
        "passkey.verifyAuthentication",
        "passkeys.verify_authentication",
        "POST /passkeys/authentication/verify",
        AuthResponse,
        after(a_shown_passkey, lambda proof, call: call(**proof)),
        served=True,
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
        after(a_passkey, lambda found, call: call(found[1].id, friendly_name="New")),
        served=True,
    ),
    Row(
        "passkey.delete",
        "passkeys.delete",
        "DELETE /passkeys/{id}",
        NOTHING,
        after(a_passkey, lambda found, call: call(found[1].id)),
        served=True,
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
        after(an_administrator, lambda _, call: call(page=1, per_page=10)),
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
        after(a_factor, lambda found, call: call(*found)),
        served=True,
    ),
    Row(
        "admin.oauth.listClients",
        "admin.oauth.list_clients",
        "GET /admin/oauth/clients",
        [OAuthClient],
        after(a_program, lambda _, call: call()),
        served=True,
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
        after(a_program, lambda program, call: call(program)),
        served=True,
    ),
    Row(
        "admin.oauth.updateClient",
        "admin.oauth.update_client",
        "PUT /admin/oauth/clients/{id}",
        OAuthClient,
        after(a_program, lambda program, call: call(program, {"client_name": "New"})),
        served=True,
    ),
    Row(
        "admin.oauth.deleteClient",
        "admin.oauth.delete_client",
        "DELETE /admin/oauth/clients/{id}",
        NOTHING,
        after(a_program, lambda program, call: call(program)),
        served=True,
    ),
    Row(
        "admin.oauth.regenerateClientSecret",
        "admin.oauth.regenerate_client_secret",
        "POST /admin/oauth/clients/{id}/regenerate_secret",
        OAuthClient,
        after(a_program, lambda program, call: call(program)),
        served=True,
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
        after(a_passkey_of_a_user, lambda found, call: call(found[0])),
        served=True,
    ),
    Row(
        "admin.passkey.deletePasskey",
        "admin.passkeys.delete_passkey",
        "DELETE /admin/users/{id}/passkeys/{id}",
        NOTHING,
        after(a_passkey_of_a_user, lambda found, call: call(*found)),
        served=True,
    ),
)

#: What auth-js has no method for.
OURS_ONLY = {
    "get_token",
    "sign_in_once",
    "set_auth",
    "to_html",
    "sign_in_with_browser",
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


def test_what_the_embedded_server_has_not():
    """It can be asked everything but this; whoever builds it moves these rows over."""
    written = {row.theirs.rpartition(".")[0] for row in TABLE if row.written}
    assert {"admin.customProviders"} == written


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
