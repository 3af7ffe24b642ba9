"""Every call that makes or changes a session: what it tells, when, and what a failure leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

from async_auth import (
    AuthError,
    MfaChallengeVerified,
    NetworkError,
    PasswordRecovery,
    SignedIn,
    TokenRefreshed,
    UserUpdated,
)
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.mfa import Mfa
from async_auth.gotrue.passkeys import Passkeys
from async_auth.http_messages import Response
from async_auth.stores import MemoryStore

ADDRESS, NUMBER = {"email": "ann@example.com"}, {"phone": "+15550100"}
CREDENTIAL = {"id": "c", "type": "public-key", "response": {}}
RETURNED = "https://idp.example.com/saml"


def json_answer(status, body):
    """Return an answer."""
    return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def refused(code):
    """Return a refusal that was not recorded."""
    return json_answer(422, {"code": code, "message": "no"})


class Gated(MemoryStore):
    """A store that takes the session only when it is told to."""

    def __init__(self):
        super().__init__()
        self.open, self.arrived = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def save(self, key, record, *, expected):
        """Wait at the gate."""
        if key == "default":
            self.arrived.set()
            await self.open.wait()
        await super().save(key, record, expected=expected)

    @contextlib.contextmanager
    def closed(self):
        """Let nothing pass meanwhile."""
        self.open.clear()
        self.arrived.clear()
        try:
            yield
        finally:
            self.open.set()


@attrs.frozen
class Row:
    """
    A call that makes a session.

    Args:
        method: Which one it is.
        call: Makes it, of a client and what *prepare* gave.
        event: What it tells.
        answers: What the server says to it, by the names of recordings; none: the stage's own.
        refusal: What the server says where it refuses: a recording, or a code.
        prepare: What comes before it, of a client and the stage.
    """

    method: Any
    call: Any
    event: Any
    answers: tuple[str, ...]
    refusal: str
    prepare: Any = None


def verifying(kind, recording, refusal, event=SignedIn):
    """Return the row of a code of this kind."""
    to = NUMBER if kind in ("sms", "phone_change") else ADDRESS
    return Row(
        GoTrueClient.verify_otp,
        lambda client, _: client.verify_otp(type=kind, token="739201", **to),
        event,
        (recording,),
        refusal,
    )


def exchanging(prepare, recording, event=SignedIn):
    """Return the row of a flow that *prepare* begins."""
    return Row(
        GoTrueClient.exchange_code_for_session,
        lambda client, begun: client.exchange_code_for_session("c0de", flow_id=begun.flow_id),
        event,
        (recording,),
        "token_pkce_bad_verifier",
        prepare,
    )


async def come_back(url):
    """Be the browser that has been at the provider and comes back with a code."""
    back = URL(URL(url).query["redirect_to"]).update_query(code="c0de")
    async with aiohttp.ClientSession() as http, http.get(back) as page:
        await page.read()


async def elsewhere(client, stage):
    """Return the tokens of another session of the user."""
    return stage.tokens()


async def outlived(client, stage):
    """Return such tokens, the access token being no more than a memory."""
    return {**stage.tokens(), "access_token": "x"}


ROWS = {
    "sign_up": Row(
        GoTrueClient.sign_up,
        lambda client, _: client.sign_up(**ADDRESS, password="horse-1"),
        SignedIn,
        ("signup_email_autoconfirm",),
        "signup_duplicate_email_autoconfirm",
    ),
    "sign_up by phone": Row(
        GoTrueClient.sign_up,
        lambda client, _: client.sign_up(**NUMBER, password="horse-1"),
        SignedIn,
        ("signup_phone_autoconfirm",),
        "signup_weak_password_api_2024_01_01",
    ),
    "password": Row(
        GoTrueClient.sign_in_with_password,
        lambda client, _: client.sign_in_with_password(**ADDRESS, password="horse-1"),
        SignedIn,
        ("token_password",),
        "token_password_wrong",
    ),
    "password by phone": Row(
        GoTrueClient.sign_in_with_password,
        lambda client, _: client.sign_in_with_password(**NUMBER, password="horse-1"),
        SignedIn,
        ("token_password_phone",),
        "token_password_wrong_api_2024_01_01",
    ),
    "anonymous": Row(
        GoTrueClient.sign_in_anonymously,
        lambda client, _: client.sign_in_anonymously(),
        SignedIn,
        ("signup_anonymous",),
        "anonymous_provider_disabled",
    ),
    "code email": verifying("email", "verify_email_otp", "verify_email_wrong_code"),
    "code signup": verifying("signup", "verify_signup", "verify_email_wrong_code"),
    "code invite": verifying("invite", "verify_email_otp", "verify_email_wrong_code"),
    "code magiclink": verifying("magiclink", "verify_email_otp", "verify_bad_type"),
    "code recovery": verifying(
        "recovery", "verify_recovery", "verify_email_wrong_code_api_2024_01_01", PasswordRecovery
    ),
    "code email_change": verifying(
        "email_change", "verify_email_change_second", "verify_email_wrong_code"
    ),
    "code sms": verifying("sms", "verify_signup", "verify_sms_wrong"),
    "code phone_change": verifying("phone_change", "verify_signup", "verify_sms_wrong"),
    "hash": Row(
        GoTrueClient.verify_otp,
        lambda client, _: client.verify_otp(type="magiclink", token_hash="hash"),
        SignedIn,
        ("verify_token_hash",),
        "verify_email_wrong_code",
    ),
    "hash of a recovery": Row(
        GoTrueClient.verify_otp,
        lambda client, _: client.verify_otp(type="recovery", token_hash="hash"),
        PasswordRecovery,
        ("verify_recovery",),
        "verify_email_wrong_code",
    ),
    "browser": exchanging(
        lambda client, _: client.sign_in_with_oauth("keycloak"), "token_pkce_oauth"
    ),
    "browser's address": Row(
        GoTrueClient.get_session_from_url,
        lambda client, begun: client.get_session_from_url(
            f"{RETURNED}?code=c0de", flow_id=begun.flow_id
        ),
        SignedIn,
        ("token_pkce_oauth",),
        "token_pkce_bad_verifier",
        lambda client, _: client.sign_in_with_oauth("keycloak"),
    ),
    "user's own browser": Row(
        GoTrueClient.sign_in_with_browser,
        lambda client, _: client.sign_in_with_browser("keycloak", open_browser=come_back),
        SignedIn,
        ("token_pkce_oauth",),
        "token_pkce_bad_verifier",
    ),
    "magic link": exchanging(lambda client, _: client.sign_in_with_otp(**ADDRESS), "token_pkce"),
    "recovery link": exchanging(
        lambda client, _: client.reset_password_for_email(**ADDRESS), "token_pkce", PasswordRecovery
    ),
    "link of one more identity": exchanging(
        lambda client, _: client.link_identity("github"), "token_pkce_oauth"
    ),
    "company": exchanging(
        lambda client, _: client.sign_in_with_sso(domain="example.com"), "token_pkce"
    ),
    "id token": Row(
        GoTrueClient.sign_in_with_id_token,
        lambda client, _: client.sign_in_with_id_token(provider="google", token="t"),
        SignedIn,
        ("token_id_token",),
        "token_id_token_garbage",
    ),
    "wallet": Row(
        GoTrueClient.sign_in_with_web3,
        lambda client, _: client.sign_in_with_web3(chain="solana", message="m", signature="s"),
        SignedIn,
        ("token_web3_solana",),
        "token_web3_bad_signature",
    ),
    "passkey": Row(
        Passkeys.verify_authentication,
        lambda client, _: client.passkeys.verify_authentication(
            challenge_id="c", credential=CREDENTIAL
        ),
        SignedIn,
        ("token_password",),
        "webauthn_verification_failed",
    ),
    "second factor": Row(
        Mfa.verify,
        lambda client, _: client.mfa.verify("f", challenge_id="c", code="398628"),
        MfaChallengeVerified,
        ("mfa_verify_totp",),
        "mfa_verify_wrong_code",
    ),
    "second factor by phone": Row(
        Mfa.verify,
        lambda client, _: client.mfa.verify("f", challenge_id="c", code="398628"),
        MfaChallengeVerified,
        ("mfa_verify_phone",),
        "mfa_challenge_expired",
    ),
    "second factor at once": Row(
        Mfa.challenge_and_verify,
        lambda client, _: client.mfa.challenge_and_verify("f", "398628"),
        MfaChallengeVerified,
        ("mfa_challenge_totp", "mfa_verify_totp"),
        "mfa_factor_not_found",
    ),
    "identity by id token": Row(
        GoTrueClient.link_identity_with_id_token,
        lambda client, _: client.link_identity_with_id_token(provider="google", token="t"),
        UserUpdated,
        ("token_id_token_link_identity",),
        "token_id_token_bad_nonce",
    ),
    "tokens that live": Row(
        GoTrueClient.set_session,
        lambda client, own: client.set_session(own["access_token"], own["refresh_token"]),
        TokenRefreshed,
        (),
        "user_jwt_unknown_session",
        elsewhere,
    ),
    "tokens that have lived": Row(
        GoTrueClient.set_session,
        lambda client, own: client.set_session(own["access_token"], own["refresh_token"]),
        TokenRefreshed,
        (),
        "token_refresh_unknown_wellformed",
        outlived,
    ),
    "refresh token from elsewhere": Row(
        GoTrueClient.refresh_session,
        lambda client, own: client.refresh_session(own["refresh_token"]),
        TokenRefreshed,
        (),
        "token_refresh_garbage",
        elsewhere,
    ),
    "user's own change": Row(
        GoTrueClient.update_user,
        lambda client, _: client.update_user(data={"theme": "dark"}),
        UserUpdated,
        (),
        "user_update_same_password",
    ),
    "user's new address": Row(
        GoTrueClient.update_user,
        lambda client, _: client.update_user(email="new@example.com"),
        UserUpdated,
        (),
        "user_update_email_taken",
    ),
}
each_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


class Scene:
    """A client that is signed in, and everything that a call might disturb."""

    def __init__(self, stage, row, recordings):
        self.stage, self.row, self.recordings = stage, row, recordings
        self.wire, self.store = stage.wire(), Gated()

    async def begin(self):
        """Sign in, prepare what the call needs, and look at what there is."""
        self.client = await self.stage.signed_in(transport=self.wire, store=self.store)
        self.prepared = None
        if self.row.prepare is not None:
            self.wire.change = self._found
            self.prepared = await self.row.prepare(self.client, self.stage)
        self.events = await self.stage.record(self.client)
        self.before = self.client.session
        self.kept = await self.store.load("default")
        return self

    def call(self):
        """Make the call."""
        return self.row.call(self.client, self.prepared)

    def answer(self, *answers):
        """Let the next requests have these answers."""
        waiting = list(answers)
        self.wire.change = lambda real: waiting.pop(0) if waiting else real

    def recorded(self, name):
        """Return a recorded answer, or a refusal with that code."""
        return self.recordings[name].response if name in self.recordings else refused(name)

    async def settle(self):
        """Let everything run that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def assert_untouched(self):
        """Nothing has changed, and nothing was told."""
        await self.settle()
        assert self.before is self.client.session
        assert self.kept == await self.store.load("default")
        await self.events.stop()
        assert ["INITIAL_SESSION"] == self.events.names

    @staticmethod
    def _found(real):
        # The stage's server knows no companies.
        return json_answer(200, {"url": RETURNED}) if real.status >= 400 else real


def test_every_method_that_gives_a_session_is_here():
    """Whoever adds one says here what it tells."""
    found = {
        method
        for kind in (*GoTrueClient.__mro__, Mfa, Passkeys)
        for name, method in vars(kind).items()
        if getattr(method, "__annotations__", {}).get("return") == "AuthResponse"
        and not name.startswith("_")
    }
    assert found | {GoTrueClient.update_user} == {row.method for row in ROWS.values()}


@each_row
async def test_a_session_is_stored_then_told_once(stage, recordings, row):
    """Until the store has it nobody hears of it; then everybody, once."""
    scene = await Scene(stage, row, recordings).begin()
    scene.answer(*map(scene.recorded, row.answers))
    with scene.store.closed():
        task = asyncio.create_task(scene.call())
        # A call that is over without a word to the store is a failure, and not waited for.
        task.add_done_callback(lambda _: scene.store.arrived.set())
        await scene.store.arrived.wait()
        await scene.settle()
        assert (["INITIAL_SESSION"], False) == (scene.events.names, task.done())
    await task
    await scene.events.stop()

    session = scene.client.session
    assert session != scene.before
    assert ["INITIAL_SESSION", row.event.name] == scene.events.names
    assert session == scene.events.events[-1].session
    record = await scene.store.load("default")
    assert (session.generation, session.sign_in_id) == (record.generation, record.sign_in_id)
    assert session.access_token == record.session["access_token"]
    assert session.user.to_json() == record.session["user"]


@each_row
async def test_a_refusal_leaves_everything(stage, recordings, row):
    """The session, the store and the readers of events."""
    scene = await Scene(stage, row, recordings).begin()
    scene.answer(scene.recorded(row.refusal))
    with pytest.raises(AuthError) as caught:
        await scene.call()
    assert not isinstance(caught.value, NetworkError)
    await scene.assert_untouched()


@each_row
@pytest.mark.parametrize("sent", [True, False])
async def test_no_answer_leaves_everything(stage, recordings, row, sent):
    """Whether or not the server has seen it."""
    scene = await Scene(stage, row, recordings).begin()
    scene.wire.failures = [NetworkError("down", sent=sent)] * 2
    with pytest.raises(NetworkError):
        await scene.call()
    await scene.assert_untouched()


@each_row
@pytest.mark.parametrize(
    "answer",
    [
        json_answer(503, {}),
        json_answer(429, {"code": "over_request_rate_limit", "message": "slow"}),
        json_answer(200, {}),
        json_answer(200, {"access_token": "a"}),
        Response(200, {"Content-Type": "text/html"}, b"<html>"),
    ],
    ids=["503", "429", "nothing", "half", "html"],
)
async def test_an_answer_without_a_session_leaves_everything(stage, recordings, row, answer):
    """Most raise; a sign-up and a code may be answered without a session."""
    scene = await Scene(stage, row, recordings).begin()
    scene.answer(answer, answer)
    with contextlib.suppress(AuthError):
        await scene.call()
    await scene.assert_untouched()
