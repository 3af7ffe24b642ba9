"""No secret in any repr, text, log or exception: one scenario, and a walk over all that it left."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import logging
import pickle
import traceback
import types
from string import hexdigits
from urllib.parse import quote

import aiohttp
import attrs
import pytest
from multidict import CIMultiDict

from async_auth import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    InvalidCredentials,
    NetworkError,
    ProtocolError,
    RefreshPolicy,
    RefreshRejected,
    Request,
    Response,
    ServerUnavailable,
    Session,
    SessionManager,
    StoreError,
    TokenTheftDetected,
    WeakPassword,
)
from async_auth.core.web.incoming import Incoming
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import bearer
from async_auth.stores import FileStore, MemoryStore
from async_auth.supertokens import (
    AppInfo,
    BooleanClaim,
    SuperTokensBackend,
    SuperTokensClient,
)
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.web import HANDLED
from async_auth.supertokens.cdi import calls as cdi
from async_auth.supertokens.client import responses
from async_auth.supertokens.front_token import FrontToken
from async_auth.testing import (
    EventRecorder,
    ManualClock,
    ScriptedTransport,
    SuperTokensCoreServer,
)

PASSWORD = "pw-f00ba7-horse-staple"
WRONG = "pw-wr0ng-battery"
API_KEY = "apikey-5ec2e7-0123456789"
WEAK = "w5z4k"
CAPTCHA = "captcha-5ec2e7-abcdef"
STRANGER = "refresh-5ec2e7-stranger"
PINNED = "pinned-5ec2e7-token"
HEADER = "header-5ec2e7-value"
TYPED = {PASSWORD, WRONG, WEAK, API_KEY, CAPTCHA, STRANGER, PINNED, HEADER}

ACCOUNT = {"email": "bob@example.com", "password": PASSWORD}


class Evidence:
    """What the scenario brought about, and which strings must be in none of it."""

    def __init__(self) -> None:
        self.secrets = set(TYPED)
        self.things = []
        self.errors = []

    def keep(self, *things):
        """Note things that might be printed; tokens in them are secrets from now on."""
        for thing in things:
            self.things.append(thing)
            session = getattr(thing, "session", thing)
            if isinstance(session, Session):
                self.secrets.update(filter(None, (session.access_token, session.refresh_token)))
        return things[-1]

    @contextlib.contextmanager
    def failing(self, kind):
        """Note the error that the body has to raise."""
        with pytest.raises(kind) as caught:
            yield
        self.errors.append(caught.value)

    def leaks(self, text):
        """Return which secrets a text has in it, by their first characters."""
        return sorted(secret[:12] for secret in self.secrets if secret in text)


def printed(thing):
    """Return every way to print a thing."""
    return "\n".join(
        (repr(thing), str(thing), format(thing), f"{thing}", f"{thing!a}", "%s %r" % (thing, thing))  # noqa: UP031 - one of the ways
    )


def chain(error):
    """Return an error and everything that hangs on it."""
    found, waiting = [], [error]
    while waiting:
        error = waiting.pop()
        if error is None or any(error is known for known in found):
            continue
        found.append(error)
        waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return found


def told(error):
    """Return all that an error tells: by itself, in its attributes, in a traceback."""
    parts = ["".join(traceback.format_exception(error))]
    for each in chain(error):
        parts += [printed(each), repr(each.args), *getattr(each, "__notes__", ())]
        if isinstance(each, AuthError):
            # Others' errors are as they are: a JSONDecodeError has the whole document in it.
            parts.append(repr(vars(each)))
    return "\n".join(parts)


def ours_in(*roots):
    """Return every object of our classes that is reachable from *roots*, however deep inside."""
    seen, found, waiting = set(), [], list(roots)
    opaque = (type, types.ModuleType, types.FunctionType, types.FrameType, logging.Logger)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, opaque):
            continue
        seen.add(id(thing))
        if type(thing).__module__.startswith("async_auth"):
            found.append(thing)
        waiting += gc.get_referents(thing)
    return found


async def sign_in_and_out(evidence, stage):
    """Walk an account through its good days."""
    http = aiohttp.ClientSession()
    client = GoTrueClient(
        stage.server.url,
        API_KEY,
        headers={"X-Proxy-Key": HEADER},
        http=http,
        clock=stage.clock,
        policy=RefreshPolicy(jitter=0),
    )
    evidence.keep(client, client.manager, client.api)
    async with http, client:
        stream = evidence.keep(client.events())
        evidence.keep(await client.sign_up(**ACCOUNT))
        evidence.keep(await client.sign_in_with_password(**ACCOUNT, captcha_token=CAPTCHA))
        evidence.keep(await client.get_token(), await client.get_session(), await client.get_user())
        stage.clock.advance(5)

        response = evidence.keep(await client.refresh_session())
        evidence.keep(response.user, response.session)

        client.set_auth(PINNED)
        evidence.keep(await client.get_token())
        evidence.keep(printed(client), printed(client.manager))
        client.set_auth(None)
        evidence.keep(bearer(client, [stage.server.url]))
        pair = (client.session.access_token, client.session.refresh_token)
        evidence.keep(await client.set_session(*pair))
        evidence.keep(*[await anext(stream) for _ in range(5)])
        await client.sign_out()
        with evidence.failing(AuthSessionMissing):
            await client.get_token()
    evidence.keep(client, stream, *ours_in(client, stage.server))


async def be_refused(evidence, stage):
    """Give a server wrong things, and let it shout them back."""
    client = await stage.signed_in(store=MemoryStore(), api_key=API_KEY)
    recorder = await stage.record(client)
    evidence.keep(client.session)
    with evidence.failing(InvalidCredentials):
        await client.sign_in_with_password(email=ACCOUNT["email"], password=WRONG)
    with evidence.failing(WeakPassword):
        await client.sign_up(email="eve@example.com", password=WEAK)
    with evidence.failing(RefreshRejected):
        await client.refresh_session(STRANGER)
    with evidence.failing(AuthError):
        await client.set_session(f"{PASSWORD}.{WRONG}.{STRANGER}", STRANGER)
    with evidence.failing(AuthError):
        await client.get_user(f"{STRANGER}.x.y")
    for wrong in ({"email": PASSWORD.encode()}, {"phone": "1", "email": PASSWORD}):
        with evidence.failing(ConfigurationError):
            await client.sign_in_with_password(**wrong, password=PASSWORD)
    with evidence.failing(ConfigurationError):
        client.set_auth(f"{PINNED}\r\n")
    with evidence.failing(ConfigurationError):
        await client.manager.get_token(rejected=PASSWORD.encode())
    with evidence.failing(ConfigurationError):
        await client.manager.refresh_session(STRANGER.encode())

    mine = client.session.refresh_token
    for status, body, kind in (
        (503, f"<html>cannot POST refresh_token={mine}</html>", ServerUnavailable),
        (500, {"code": 500, "error_code": mine, "msg": f"row {mine} is locked"}, ServerUnavailable),
        (429, {"code": 429, "msg": f"slow down, {mine}"}, AuthError),
        (418, {"error": "teapot", "error_description": f"{mine} {API_KEY}"}, ApiError),
        (200, f'{{"access_token": "{mine}", "refresh_to', ProtocolError),
        (200, {"refresh_token": mine, "user": {"id": mine}}, AuthSessionMissing),
    ):
        stage.server.faults.add(stage.REFRESH, status=status, body=body)
        with evidence.failing(AuthError) as _:
            await client.refresh_session()
        assert isinstance(evidence.errors[-1], kind | AuthError)
    for drop in ("before", "after"):
        stage.server.faults.add(stage.REFRESH, drop=drop, times=2)
        with evidence.failing(NetworkError):
            await client.refresh_session()
    body = {"code": 400, "error_code": "refresh_token_not_found", "msg": f"Not found: {mine}"}
    stage.server.faults.add(stage.REFRESH, status=400, body=body)
    with evidence.failing(RefreshRejected):
        await client.refresh_session()
    evidence.keep(*recorder.events, recorder, *ours_in(client))
    evidence.errors += [event.error for event in recorder.events if hasattr(event, "error")]


async def fail_at_home(evidence, stage, tmp_path):
    """Let the disk, the network and a stranger's code fail, with secrets in their hands."""

    class Parrot:
        """A provider that parses nothing, and says so with what it was given."""

        def refresh_request(self, session, *, now):
            """Build a request with secrets everywhere."""
            return Request(
                "POST",
                f"https://{WRONG}:{WRONG}@x.test/token?refresh_token={session.refresh_token}",
                {"Authorization": session.access_token},
                session.refresh_token.encode(),
            )

        def parse_refresh(self, response, *_, **__):
            """Fail as a parser does."""
            return json.loads(response.body)["session"]

        def dump(self, session):
            """Give everything."""
            return attrs.asdict(session)

        def load(self, record):
            """Take it all."""
            return Session(**record)

    transport = ScriptedTransport(
        Response(200, {"Set-Cookie": PASSWORD}, f"not JSON: {STRANGER}".encode()),
        NetworkError("down", sent=False),
        Response(200, {}, json.dumps({PASSWORD: STRANGER}).encode()),
    )
    folder = tmp_path / "store"
    store = FileStore(folder)
    manager = SessionManager(Parrot(), store=store, transport=transport, clock=stage.clock)
    session = Session(access_token=PINNED, refresh_token=STRANGER, expires_at=stage.clock.now() + 9)
    async with manager:
        recorder = await stage.record(manager)
        await manager.adopt(session)
        evidence.keep(manager.session, store, store.lock, transport)
        for _ in range(3):
            with evidence.failing(AuthError):
                await manager.refresh_session()
        evidence.keep(*transport.requests, Response(200, {"A": PASSWORD}, PASSWORD.encode()))
        record = evidence.keep(await store.load("default"))
        assert STRANGER == record.session["refresh_token"]
        evidence.keep(*ours_in(manager), *recorder.events)
        evidence.errors += [event.error for event in recorder.events if hasattr(event, "error")]

    [path] = folder.glob("*.json")
    path.write_text(path.read_text().replace('"', "'"))
    async with SessionManager(Parrot(), store=store, transport=transport) as manager:
        evidence.keep(await manager.get_session(), manager, store)
    path.write_text(path.with_name(store.set_aside[0].name).read_text().replace("'", '"'))
    record = json.loads(path.read_text())
    record["session"] = {PASSWORD: STRANGER}
    path.write_text(json.dumps(record))
    async with SessionManager(Parrot(), store=FileStore(folder), transport=transport) as manager:
        try:
            evidence.keep(await manager.get_session())
        except StoreError as error:
            evidence.errors.append(error)
    for url in (f"https://{WRONG}:{WRONG}@x.test/auth", f"http://x.test/?key={API_KEY}"):
        with evidence.failing(ConfigurationError):
            GoTrueClient(url, API_KEY)
    for headers in ({"X-Key": f"{HEADER}\n"}, {f"{HEADER} ": "x"}):
        with evidence.failing(ConfigurationError):
            GoTrueClient("https://x.test", API_KEY, headers=headers)


async def test_no_secret_is_ever_shown(set_stage, tmp_path, caplog, capfd):
    """Sign-in, refresh, refusals that echo, failures, sign-out: then everything is printed."""
    caplog.set_level(logging.DEBUG)
    stage = await set_stage(reuse_interval=0, parent_rule=False)
    evidence = Evidence()
    evidence.secrets |= {stage.PASSWORD, stage.server.jwt_secret}

    await sign_in_and_out(evidence, stage)
    await be_refused(evidence, stage)
    await fail_at_home(evidence, stage, tmp_path)

    shown = {type(thing).__name__ for thing in evidence.things}
    assert {
        "GoTrueClient",
        "SessionManager",
        "MemoryStore",
        "FileStore",
        "AiohttpTransport",
        "ScriptedTransport",
        "GoTrueServer",
        "AuthResponse",
        "User",
        "Session",
        "AccessToken",
        "EventStream",
        "SignedIn",
        "TokenRefreshed",
        "RefreshFailed",
        "SignedOut",
        "Request",
        "Response",
        "Record",
    } <= shown
    assert [] == [
        (type(thing).__name__, leaks)
        for thing in evidence.things
        if (leaks := evidence.leaks(printed(thing)))
    ]
    assert 20 <= len(evidence.errors)
    assert [] == [
        (type(error).__name__, leaks)
        for error in evidence.errors
        if (leaks := evidence.leaks(told(error)))
    ]
    log = "\n".join(map(logging.Formatter("%(name)s %(message)s").format, caplog.records))
    assert "async_auth" in log
    assert [] == evidence.leaks(log)
    assert [] == evidence.leaks("".join(capfd.readouterr()))


#: What the calls of `CALLS` send, and what they are answered; none of it is ever shown. The codes
#: have a letter in them: six digits alone stand in some address of some repr, sooner or later.
OTP, TOTP_CODE, NONCE, PHONE_CODE = "7392o1", "3986z8", "n0nce-5ec2e7", "48o151"
HASH, ID_TOKEN, PROVIDER_TOKEN = "hash-5ec2e7", "idtoken-5ec2e7", "gho-5ec2e7-provider"
SIGNATURE, CODE, CLIENT_SECRET = "0xs1gnature5ec2e7", "c0de-5ec2e7", "client-5ec2e7-secret"
ASSERTION, CLIENT_DATA = "assertion-5ec2e7", "clientdata-5ec2e7"
NEW_PASSWORD, PASSWORD_HASH, JWT = "pw-n3w-horse", "$2y$10$5ec2e7hash", "user-5ec2e7.jwt.given"
TOTP_SECRET, QR = "JBSWY3DPEHPK3PXP", "<svg>5ec2e7-qr</svg>"
URI = f"otpauth://totp/x?secret={TOTP_SECRET}"
LINK, EMAIL_OTP, LINK_HASH = "https://x.test/verify?token=5ec2e7", "6o2214", "pkce_5ec2e7"
CHALLENGE, RECOVERY, CONSENT = "challenge-5ec2e7", "recovery-5ec2e7", "https://a.test/?code=5ec2e7"
STATE_URL = "https://idp.test/?state=5ec2e7-state"
SENT_OR_TOLD = {
    *(OTP, TOTP_CODE, NONCE, PHONE_CODE, HASH, ID_TOKEN, PROVIDER_TOKEN, SIGNATURE, CODE),
    *(CLIENT_SECRET, ASSERTION, CLIENT_DATA, NEW_PASSWORD, PASSWORD_HASH, JWT, TOTP_SECRET),
    *(QR, URI, LINK, EMAIL_OTP, LINK_HASH, CHALLENGE, RECOVERY, CONSENT, STATE_URL),
    *(CAPTCHA, API_KEY, PASSWORD, HEADER, PINNED),
}
CREDENTIAL = {
    "id": "c",
    "type": "public-key",
    "response": {"signature": ASSERTION, "clientDataJSON": CLIENT_DATA, "transports": ["usb"]},
}
WEBAUTHN = {"type": "request", "credential_response": CREDENTIAL}
MAIL = {"email": "ann@example.com"}
#: What a server may tell in answer to any of them, all at once.
TOLD = {
    "id": "u1",
    "url": STATE_URL,
    "redirect_url": CONSENT,
    "challenge_id": "c1",
    "type": "totp",
    "factor_type": "totp",
    "options": {"challenge": CHALLENGE},
    "webauthn": {"credential_options": {"challenge": CHALLENGE}},
    "totp": {"qr_code": QR, "secret": TOTP_SECRET, "uri": URI},
    "last_webauthn_challenge_data": {"challenge": CHALLENGE},
    "recovery_codes": [RECOVERY],
    "action_link": LINK,
    "email_otp": EMAIL_OTP,
    "hashed_token": LINK_HASH,
    "verification_type": "magiclink",
    "client_id": "c1",
    "client_secret": CLIENT_SECRET,
    "saml": {"metadata_xml": CLIENT_SECRET},
    "payload": {"token": LINK_HASH},
    "message_id": "m1",
}
#: Every method of part two that sends a secret or is told one.
CALLS = {
    "sign_up": lambda c: c.sign_up(**MAIL, password=NEW_PASSWORD, captcha_token=CAPTCHA),
    "anonymous": lambda c: c.sign_in_anonymously(captcha_token=CAPTCHA),
    "otp": lambda c: c.sign_in_with_otp(**MAIL, captcha_token=CAPTCHA),
    "verify code": lambda c: c.verify_otp(
        type="email", token=OTP, **MAIL, redirect_to="https://a.test", captcha_token=CAPTCHA
    ),
    "verify number": lambda c: c.verify_otp(type="sms", token=PHONE_CODE, phone="+15550100"),
    "verify hash": lambda c: c.verify_otp(type="email", token_hash=HASH),
    "resend": lambda c: c.resend(type="signup", **MAIL, captcha_token=CAPTCHA),
    "recover": lambda c: c.reset_password_for_email(**MAIL, captcha_token=CAPTCHA),
    "oauth": lambda c: c.sign_in_with_oauth("github"),
    "exchange": lambda c: c.exchange_code_for_session(CODE),
    "sso": lambda c: c.sign_in_with_sso(domain="example.com", captcha_token=CAPTCHA),
    "id token": lambda c: c.sign_in_with_id_token(
        provider="google", token=ID_TOKEN, access_token=PROVIDER_TOKEN, nonce=NONCE
    ),
    "web3": lambda c: c.sign_in_with_web3(chain="ethereum", message="m", signature=SIGNATURE),
    "update_user": lambda c: c.update_user(
        password=NEW_PASSWORD, current_password=PASSWORD, nonce=NONCE
    ),
    "reauthenticate": lambda c: c.reauthenticate(),
    "link": lambda c: c.link_identity("github"),
    "link token": lambda c: c.link_identity_with_id_token(
        provider="google", token=ID_TOKEN, access_token=PROVIDER_TOKEN, nonce=NONCE
    ),
    "unlink": lambda c: c.unlink_identity("i"),
    "get_user": lambda c: c.get_user(JWT),
    "enroll": lambda c: c.mfa.enroll(friendly_name="app"),
    "challenge": lambda c: c.mfa.challenge("f", webauthn=WEBAUTHN),
    "verify": lambda c: c.mfa.verify("f", challenge_id="c", code=TOTP_CODE),
    "verify webauthn": lambda c: c.mfa.verify("f", challenge_id="c", webauthn=WEBAUTHN),
    "at once": lambda c: c.mfa.challenge_and_verify("f", TOTP_CODE),
    "factors": lambda c: c.mfa.list_factors(),
    "level": lambda c: c.mfa.get_authenticator_assurance_level(JWT),
    "register": lambda c: c.passkeys.start_registration(),
    "registered": lambda c: c.passkeys.verify_registration(challenge_id="c", credential=CREDENTIAL),
    "passkey": lambda c: c.passkeys.start_authentication(captcha_token=CAPTCHA),
    "by passkey": lambda c: c.passkeys.verify_authentication(
        challenge_id="c", credential=CREDENTIAL
    ),
    "details": lambda c: c.oauth.get_authorization_details("a"),
    "approve": lambda c: c.oauth.approve_authorization("a"),
    "create_user": lambda c: c.admin.create_user(
        **MAIL, password=NEW_PASSWORD, password_hash=PASSWORD_HASH
    ),
    "update_user_by_id": lambda c: c.admin.update_user_by_id("u", password=NEW_PASSWORD),
    "generate_link": lambda c: c.admin.generate_link(type="signup", **MAIL, password=NEW_PASSWORD),
    "admin sign_out": lambda c: c.admin.sign_out(JWT),
    "admin factor": lambda c: c.admin.mfa.update_factor("u", "f", {"secret": TOTP_SECRET}),
    "audit": lambda c: c.admin.audit_log(),
    "create_client": lambda c: c.admin.oauth.create_client({"client_secret": CLIENT_SECRET}),
    "regenerate": lambda c: c.admin.oauth.regenerate_client_secret("c"),
    "create_provider": lambda c: c.admin.custom_providers.create_provider(
        {"client_id": "c", "client_secret": CLIENT_SECRET}
    ),
    "update_provider": lambda c: c.admin.custom_providers.update_provider(
        "custom:x", {"client_secret": CLIENT_SECRET}
    ),
    "create sso": lambda c: c.admin.sso_providers.create_provider(
        {"type": "saml", "client_secret": CLIENT_SECRET}
    ),
}
#: Methods whose result is the secret itself, as text.
PLAIN = {"approve"}


def echoing(status):
    """Return an answer that shouts back whatever it was sent, in text and as a code."""

    def answer(request):
        sent = f"{request.body.decode()} {sorted(request.headers.items())} {request.url}"
        return status, {"code": "no", "message": sent[:4000], "error_description": sent[:4000]}

    return answer


async def made(call, *answers):
    """Make a call as the user of a pinned token; return all that is left of it."""
    evidence = Evidence()
    evidence.secrets |= SENT_OR_TOLD
    wire, store, keys = ScriptedTransport(*answers), MemoryStore(), {"X-Proxy-Key": HEADER}
    client = GoTrueClient("https://x.test", API_KEY, headers=keys, store=store, transport=wire)
    client.set_auth(PINNED)
    async with client:
        stream = client.events()
        await client.sign_in_with_oauth("begun-before")
        record = await store.load("default.pkce")
        evidence.secrets |= {flow["verifier"] for flow in record.session["flows"]}
        try:
            result = await call(client)
        except AuthError as error:
            evidence.errors.append(error)
            result = None
        evidence.keep(client, result, wire, *wire.requests)
        evidence.keep(*ours_in(client, result, stream))
    return evidence, wire


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [400, 403, 422, 429, 500])
async def test_what_is_shouted_back_is_redacted(name, status, caplog, capfd):
    """A server, or a proxy, that repeats the whole request shows none of its secrets."""
    caplog.set_level(logging.DEBUG)
    evidence, wire = await made(CALLS[name], *[echoing(status)] * 4)
    assert bool(wire.requests) == bool(evidence.errors)
    assert [] == [leaks for error in evidence.errors if (leaks := evidence.leaks(told(error)))]
    assert [] == [leaks for thing in evidence.things if (leaks := evidence.leaks(printed(thing)))]
    assert [] == evidence.leaks(caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("name", sorted(CALLS.keys() - PLAIN))
async def test_what_is_told_is_not_shown(name, caplog, capfd):
    """Enrolments, links, options and clients can be printed, and so can what they go through."""
    caplog.set_level(logging.DEBUG)
    told_all = json.dumps({**TOLD, "access_token": PINNED, "refresh_token": STRANGER})
    evidence, _ = await made(CALLS[name], *[Response(200, {}, told_all.encode())] * 4)
    evidence.secrets.add(STRANGER)
    assert [] == [leaks for error in evidence.errors if (leaks := evidence.leaks(told(error)))]
    assert [] == [leaks for thing in evidence.things if (leaks := evidence.leaks(printed(thing)))]
    assert [] == evidence.leaks(caplog.text + "".join(capfd.readouterr()))


REFUSING, GRANTING = "csrf-5ec2e7-before", "csrf-5ec2e7-after"
REFRESH = "refresh+5ec2e7/{}==.nonce.V2"


def supertokens_answer(method, number, anti_csrf, *, refresh=True):
    """Return the headers that set a session, and what is secret in them."""
    payload = {"sub": "ada", "iat": 0, "exp": 9e9, "sessionHandle": "h", "antiCsrfToken": anti_csrf}
    header = {"alg": "RS256", "typ": "JWT", "version": "5", "kid": "d-1", "number": number}
    parts = [json.dumps(part).encode() for part in (header, payload)]
    access = ".".join([base64.urlsafe_b64encode(part).decode().strip("=") for part in parts])
    tokens = {"access": f"{access}.5ec2e7", "refresh": REFRESH.format(number)}
    front = FrontToken(user_id="ada", expires_at=9e9 + number, payload=payload).encode()
    headers = [("front-token", front), ("anti-csrf", anti_csrf)]
    secrets = {*tokens.values(), front, anti_csrf}
    for kind in ("access", "refresh") if refresh else ("access",):
        if method == "header":
            headers.append((f"st-{kind}-token", tokens[kind]))
        else:
            value = quote(tokens[kind])
            secrets.add(value)
            headers.append(("Set-Cookie", f's{kind.title()}Token="{value}"; Path=/'))
    return CIMultiDict(headers), secrets


@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_no_secret_of_a_supertokens_session_is_shown(method, caplog, capfd):
    """Signed in, swapped, refreshed, refused by echoes, robbed, signed out: nothing is printed."""
    caplog.set_level(logging.DEBUG)
    evidence = Evidence()
    first, second, third, fourth = (
        supertokens_answer(method, number, anti_csrf, refresh=number != 2)
        for number, anti_csrf in enumerate((REFUSING, REFUSING, GRANTING, GRANTING), start=1)
    )
    for _, secrets in (first, second, third, fourth):
        evidence.secrets |= secrets
    robbed = Response(401, {}, b'{"message": "token theft detected"}')
    faults = [echoing(status) for status in (500, 429, 418, 302)]
    wire = ScriptedTransport(Response(200, third[0], b"{}"), *faults, robbed, echoing(500))
    client = SuperTokensClient(
        "https://x.test",
        token_transfer_method=method,
        transport=wire,
        auto_refresh=False,
        post_api_hook=lambda *_: 1 / 0,
    )
    async with client:
        recorder = EventRecorder(client)
        await recorder.start()
        for headers, _ in (first, second):
            sent = CIMultiDict()
            sending = evidence.keep(await client.exchange.begin(sent))
            evidence.keep(responses.read_answer(headers, now=0.0))
            await client.exchange.read(sending, 200, headers)
            evidence.keep(client.session)
        client.exchange.read_claims(b'{"claimValidationErrors": [{"id": "st-ev"}]}')
        evidence.keep(await client.refresh_session(), await client.get_token())
        for _ in faults:
            with evidence.failing(AuthError):
                await client.refresh_session()
        with evidence.failing(TokenTheftDetected):
            await client.refresh_session()
        for wrong in (f"{PASSWORD}.{WRONG}", PASSWORD.encode(), ""):
            with evidence.failing(AuthError):
                await client.adopt_tokens(wrong, STRANGER, anti_csrf=HEADER)
        with evidence.failing(AuthError):
            await client.adopt_tokens(PINNED, STRANGER, front_token=PASSWORD)
        await client.exchange.read(await client.exchange.begin(CIMultiDict()), 200, fourth[0])
        evidence.keep(client.session)
        with evidence.failing(ServerUnavailable):
            await client.sign_out()
        evidence.keep(client, *wire.requests, *recorder.events, *ours_in(client, recorder))
        await recorder.stop()
    evidence.errors += [event.error for event in recorder.events if hasattr(event, "error")]

    shown = {type(thing).__name__ for thing in evidence.things}
    assert {"SuperTokensClient", "Exchange", "Sending", "Told", "Settings", "SignedOut"} <= shown
    assert [] == [leaks for error in evidence.errors if (leaks := evidence.leaks(told(error)))]
    assert [] == [
        (type(thing).__name__, leaks)
        for thing in evidence.things
        if (leaks := evidence.leaks(printed(thing)))
    ]
    assert "post_api_hook failed" in caplog.text
    assert [] == evidence.leaks(caplog.text + "".join(capfd.readouterr()))


async def test_no_secret_is_shown_in_the_midst_of_a_refresh(set_stage):
    """Whatever part of ours a debugger or an asyncio warning prints while a token is spent."""
    stage = await set_stage()
    client = await stage.signed_in()
    evidence = Evidence()
    evidence.keep(client.session)
    stage.server.faults.add(stage.REFRESH, delay=3)
    refreshing = asyncio.create_task(client.refresh_session())
    await stage.until(lambda: stage.refreshes)

    leaks = {type(t).__name__ for t in ours_in(client) if evidence.leaks(printed(t))}
    tasks = {repr(task) for task in asyncio.all_tasks() if evidence.leaks(repr(task))}
    stage.clock.advance(3)
    await refreshing

    assert set() == leaks
    assert set() == tasks


# ── the back-end half of SuperTokens ───────────────────────────────────────────────────────────

APP = AppInfo("app", "http://127.0.0.1:1", "http://127.0.0.1:1")
REFRESH_TOKEN, ANTI_CSRF = "refresh/5ec2e7+token==.f00.V2", "ant1-c5rf-5ec2e7"


class Caller:
    """A front end of a back end whose sessions come by cookie or header; keeps all that it sees."""

    def __init__(self, backend, evidence, method):
        self.backend, self.evidence, self.method = backend, evidence, method
        self.tokens = None

    def request(self, path="/", *, verb="POST", tokens=None):
        """Return a request with its tokens, or with others."""
        tokens = tokens or self.tokens
        pairs = [("st-auth-mode", self.method)]
        if tokens is not None:
            both = (tokens.access_token, tokens.refresh_token)
            if self.method == "header":
                pairs.append(("authorization", f"Bearer {both['refresh' in path]}"))
            else:
                pairs.append(("cookie", f"sAccessToken={both[0]}; sRefreshToken={both[1]}"))
            pairs.append(("anti-csrf", tokens.anti_csrf or ANTI_CSRF))
        return Exchange(Incoming.of(verb, path, pairs))

    def keep(self, exchange):
        """Note a request and its session, whose tokens are secrets from now on."""
        session = exchange.session
        if session is not None:
            tokens = self.evidence.keep(session.tokens())
            self.evidence.secrets.update(
                filter(None, attrs.astuple(tokens, filter=lambda _, value: isinstance(value, str)))
            )
            if tokens.refresh_token is not None:
                self.tokens = tokens
        self.evidence.keep(exchange, exchange.incoming, exchange.outgoing, session)
        self.evidence.keep(*ours_in(exchange))

    async def sign_in(self):
        """Begin a session."""
        exchange = self.request()
        await self.backend.create_new_session(exchange, None, "ada", session_data={"k": PASSWORD})
        self.keep(exchange)

    async def use(self, **options):
        """Ask for the session; an error is kept, and so is its answer."""
        exchange = self.request(
            verb=options.pop("verb", "POST"), tokens=options.pop("tokens", None)
        )
        try:
            session = await self.backend.get_session(exchange, **options)
            self.evidence.keep(await session.merge_into_access_token_payload({"seen": PASSWORD}))
        except HANDLED as error:
            self.evidence.errors.append(error)
            self.evidence.keep(await self.backend.web.answer_to(error, exchange))
        self.keep(exchange)

    async def post(self, path, tokens=None):
        """Ask one of the back end's own routes."""
        exchange = self.request(path, tokens=tokens)
        self.evidence.keep(await self.backend.web.route(exchange))
        self.keep(exchange)


@pytest.mark.parametrize("version", ["5.4", "5.6"])
@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_no_secret_of_a_back_end_is_shown(
    make_key, version, method, kept_port, caplog, capfd
):
    """Sign-in, use, refresh, theft, refusals, an outage, sign-out: then everything is printed."""
    caplog.set_level(logging.DEBUG)
    evidence, clock = Evidence(), ManualClock()
    evidence.secrets |= {ANTI_CSRF}
    wanted = BooleanClaim("wanted", lambda *_: False).validators.is_true()
    async with (
        SuperTokensCoreServer(
            clock=clock, api_keys=[API_KEY], make_key=make_key, port=kept_port
        ) as core,
        SuperTokensBackend(
            core.url,
            app=APP,
            api_key=API_KEY,
            cdi_version=version,
            anti_csrf="VIA_TOKEN",
            clock=clock,
        ) as backend,
    ):
        caller = Caller(backend, evidence, method)
        await caller.sign_in()
        first = caller.tokens
        await caller.use()
        await caller.use(claim_validators=[wanted])
        await caller.post(backend.settings.refresh_path)
        await caller.use(check_database=True)
        await caller.use(tokens=attrs.evolve(caller.tokens, anti_csrf=ANTI_CSRF))
        await caller.use(tokens=attrs.evolve(caller.tokens, access_token=first.access_token[:-9]))
        evidence.keep(await backend.get_session_information(next(iter(core.sessions))))
        await caller.post(backend.settings.jwks_path)
        await core.stop()
        await caller.post(backend.settings.refresh_path)
        await caller.post(backend.settings.signout_path)
        await core.start()
        await caller.post(backend.settings.signout_path)
        await caller.use(check_database=True)
        await caller.post(backend.settings.refresh_path)
        await caller.sign_in()
        old = caller.tokens
        await caller.post(backend.settings.refresh_path)
        await caller.use()
        await clock.advance(60)
        await caller.post(backend.settings.refresh_path, tokens=old)
        await clock.advance(4000)
        await caller.use()
        evidence.keep(backend, *ours_in(backend, core))

    shown = {type(thing).__name__ for thing in evidence.things}
    assert {
        *("Answer", "CoreClient", "CoreKeys", "Exchange", "Incoming", "KnownTokens", "Outgoing"),
        *("ServerSession", "SessionInformation", "SessionTokens", "Settings", "Web"),
        *("AccessTokenInfo", "SuperTokensBackend", "SuperTokensCoreServer"),
    } <= shown
    assert 3 <= len(evidence.errors)
    assert 8 <= len(evidence.secrets - TYPED)
    assert [] == [
        (type(thing).__name__, leaks)
        for thing in evidence.things
        if (leaks := evidence.leaks(printed(thing)))
    ]
    assert [] == [leaks for error in evidence.errors if (leaks := evidence.leaks(told(error)))]
    assert [] == evidence.leaks(caplog.text + "".join(capfd.readouterr()))


CORE_OUTCOMES = ["TRY_REFRESH_TOKEN", "UNAUTHORISED", "TOKEN_THEFT_DETECTED", "OK", "5ec2e7"]
#: What a back end may ask the core, with secrets in it.
CORE_CALLS = {
    "refresh": lambda _: cdi.refresh_session(
        REFRESH_TOKEN, enable_anti_csrf=True, anti_csrf_token=ANTI_CSRF
    ),
    "verify": lambda token: cdi.verify_session(token, anti_csrf_token=ANTI_CSRF),
    "regenerate": lambda token: cdi.regenerate_session(token, {"a": 1}),
    "create": lambda _: cdi.create_session("ada"),
    "remove": lambda _: cdi.remove_sessions(["h"]),
    "information": lambda _: cdi.session_information("h"),
}


@pytest.mark.parametrize("name", CORE_CALLS)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("outcome", CORE_OUTCOMES)
async def test_what_a_core_shouts_back_is_redacted(make_key, name, status, outcome, caplog):
    """Neither a call, nor its request, nor the error of an answer that repeats all of it."""
    caplog.set_level(logging.DEBUG)
    core = SuperTokensCoreServer(make_key=make_key)
    token = core.create_session("ada")["accessToken"]["token"]
    evidence = Evidence()
    evidence.secrets |= {token, REFRESH_TOKEN, ANTI_CSRF}

    def answer(request):
        sent = f"{request.body.decode()} {sorted(request.headers.items())} {REFRESH_TOKEN}"
        sent = sent if name == "refresh" else sent.replace(REFRESH_TOKEN, "")
        said = {"message": sent[:4000], "recentTokenReuseSubtype": sent[:4000]}
        return status, {"status": outcome, "accessToken": {"token": token}, **said}

    wire, clock = ScriptedTransport(*[answer] * 8), ManualClock()
    options = {"api_key": API_KEY, "cdi_version": "5.4", "transport": wire, "clock": clock}
    backend = SuperTokensBackend("https://core.test", app=APP, **options)
    call = evidence.keep(CORE_CALLS[name](token))
    asking = asyncio.ensure_future(backend._core.call(call))  # noqa: SLF001 - below every check
    while not asking.done():
        await clock.advance(2)
    error = asking.exception()
    evidence.keep(backend, wire, *wire.requests, *ours_in(backend, call), asking)

    is_none = (name, status, outcome) == ("information", 200, "UNAUTHORISED")
    assert (error is None) == is_none
    assert is_none or [] == evidence.leaks(told(error))
    assert [] == [leaks for thing in evidence.things if (leaks := evidence.leaks(printed(thing)))]
    assert [] == evidence.leaks(caplog.text)


async def test_no_secret_of_a_back_end_is_shown_while_it_waits(make_key):
    """Whatever a debugger prints of a refresh that is on its way to the core."""
    evidence = Evidence()
    async with SuperTokensCoreServer(api_keys=[API_KEY], make_key=make_key) as core:
        backend = SuperTokensBackend(core.url, app=APP, api_key=API_KEY, anti_csrf="VIA_TOKEN")
        async with backend:
            caller = Caller(backend, evidence, "cookie")
            await caller.sign_in()
            core.pause()
            exchange = caller.request(backend.settings.refresh_path)
            refreshing = asyncio.create_task(backend.web.route(exchange))
            while not core.counts["/recipe/session/refresh"]:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0)
            things = ours_in(backend, exchange, refreshing, refreshing.get_coro())
            leaks = {type(t).__name__ for t in things if evidence.leaks(printed(t))}
            tasks = {repr(task) for task in asyncio.all_tasks() if evidence.leaks(repr(task))}
            core.resume()
            await refreshing

    assert set() == leaks
    assert set() == tasks


def test_the_values_of_a_back_end_show_no_secret():
    """A front token is for front ends to read, and not for logs."""
    front = FrontToken(user_id="ada", expires_at=1.0, payload={"antiCsrfToken": ANTI_CSRF})

    assert "ada" in repr(front)
    assert ANTI_CSRF not in printed(front)


def test_no_secret_of_these_tests_can_be_a_part_of_a_number():
    """An address or an id would be taken for a leak, on a day when it has the same digits."""
    assert [] == [text for text in TYPED | SENT_OR_TOLD if set(text) <= set(hexdigits)]


def test_the_walk_finds_what_it_is_looking_for():
    """The walker itself: a leak in a text, a cause, a context, an attribute or a note is seen."""
    evidence = Evidence()
    plain, hidden = ValueError(f"near {PASSWORD}"), KeyError()
    hidden.__context__, hidden.__suppress_context__ = plain, True
    noted, carried = ValueError(), ApiError("no", code=STRANGER)
    noted.add_note(PINNED)

    assert [[PASSWORD[:12]], [PASSWORD[:12]], [PINNED[:12]], [STRANGER[:12]]] == [
        evidence.leaks(told(error)) for error in (plain, hidden, noted, carried)
    ]
    assert [] == evidence.leaks(told(ApiError("no")))
    session = Session(access_token="x")
    assert any(thing is session for thing in ours_in([{"a": (session,)}]))


def test_a_session_is_data():
    """What is not printed is there all the same: pickling and `asdict` keep the values."""
    session = Session(access_token=PINNED, refresh_token=STRANGER, extra={"provider_token": HEADER})

    for kept in (attrs.asdict(session), attrs.asdict(pickle.loads(pickle.dumps(session)))):  # noqa: S301 - our own bytes
        assert (PINNED, STRANGER, HEADER) == (
            kept["access_token"],
            kept["refresh_token"],
            kept["extra"]["provider_token"],
        )
