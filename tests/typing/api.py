"""The public API as its users' type checkers see it: checked by `nox -s typing`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, assert_type

from aiohttp import ClientMiddlewareType, ClientSession

from async_auth import EventStream, PooledSession, SessionManager, SessionPool
from async_auth.core.policy import RefreshPolicy
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    NetworkError,
    RefreshRejected,
    SignInRequired,
    TemporaryError,
    TokenTheftDetected,
    WeakPassword,
)
from async_auth.events import (
    Event,
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.gotrue import (
    AssuranceLevel,
    AuthorizationDetails,
    AuthResponse,
    Claims,
    EnrolledFactor,
    Factor,
    FactorChallenge,
    Factors,
    GeneratedLink,
    GoTrueClient,
    Identity,
    OAuthClient,
    OAuthResponse,
    OtpResponse,
    Passkey,
    PasskeyOptions,
    SSOResponse,
    User,
    UserPage,
    WeakPasswordInfo,
)
from async_auth.gotrue.admin import CustomProvider, SSOProvider
from async_auth.http_messages import Request, Response
from async_auth.integrations.aiohttp import bearer
from async_auth.ports import (
    Clock,
    Record,
    RefreshLock,
    SessionStore,
    Transport,
    WatchableStore,
)
from async_auth.session import AccessToken, Session, Status
from async_auth.stores import (
    EncryptedStore,
    EncryptionKeys,
    FileStore,
    KeyringStore,
    MemoryStore,
    RedisStore,
)


def sessions_are_values(session: Session) -> None:
    """What a session holds, and what it may lack."""
    assert_type(session.access_token, str)
    assert_type(session.refresh_token, str | None)
    assert_type(session.expires_at, float | None)
    assert_type(session.issued_at, float | None)
    assert_type(session.scopes, tuple[str, ...])
    assert_type(session.generation, int)
    assert_type(session.extra, Mapping[str, Any])
    assert_type(session.lifetime, float | None)
    Session(access_token="t", refresh_token=None, expires_at=1.5, scopes=("a", "b"))
    session.access_token = ""  # type: ignore[misc]  # frozen
    Session("t")  # type: ignore[call-arg]  # keyword-only


def tokens_have_a_header(token: AccessToken) -> None:
    """What a request needs of a token."""
    assert_type(token.header, str)
    assert_type(token.value, str)
    assert_type(token.expires_at, float | None)


def policies_are_seconds() -> None:
    """Whole and fractional seconds alike; everything by name."""
    policy = RefreshPolicy(margin=10, jitter=0.5)
    assert_type(policy.backoff_max, float)
    RefreshPolicy(10.0)  # type: ignore[call-arg]  # keyword-only


def errors_say_what_to_do(error: AuthError) -> None:
    """Each branch of the tree has its own facts."""
    assert_type(error.code, str | None)
    assert_type(error.status, int | None)
    match error:
        case TokenTheftDetected():
            assert_type(error.user_id, str | None)
        case RefreshRejected() | AuthSessionMissing():
            needed: SignInRequired = error
            assert_type(needed.message, str)
        case NetworkError():
            assert_type(error.sent, bool)
        case TemporaryError():
            assert_type(error.retry_after, float | None)
        case WeakPassword():
            assert_type(error.reasons, tuple[str, ...])
        case _:
            assert_type(error.message, str)


def events_are_matched(
    event: InitialSession | TokenRefreshed | RefreshFailed | StoreFailed | SignedOut | Lagged,
) -> None:
    """A `match` over events knows what each of them carries."""
    assert_type(event.name, str)
    assert_type(event.at, float)
    match event:
        case InitialSession() | TokenRefreshed():
            assert_type(event.session, Session | None)
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            assert_type(error, Exception)
            assert_type(retry_at, float | None)
        case SignedOut(reason=reason):
            assert_type(reason, str)
        case Lagged(missed=missed):
            assert_type(missed, int)


def every_status_is_known(status: Status) -> str:
    """`match` over `Status` is complete without a default."""
    match status:
        case Status.SIGNED_OUT | Status.REJECTED | Status.CLOSED:
            return "sign in"
        case Status.FRESH | Status.DUE | Status.EXPIRED:
            return "carry on"


def our_stores_fit_the_port(store: SessionStore) -> RefreshLock:
    """Any store will do, and each brings its lock."""
    stores: list[SessionStore] = [store, MemoryStore(), FileStore(), FileStore("folder")]
    keys = EncryptionKeys.from_file("keys")
    stores += [KeyringStore(), EncryptedStore(store, keys, accept_plain=True)]
    assert_type(KeyringStore.or_else(FileStore, "service"), KeyringStore | FileStore)
    stores.append(RedisStore("rediss://localhost", prefix="app", lease=10.0, timeout=5.0))
    return stores[0].lock


def some_stores_can_be_watched(folder: FileStore, ring: KeyringStore) -> list[WatchableStore]:
    """Those that tell what other processes write."""
    return [folder, ring]


def what_another_machine_stores(store: RedisStore) -> AsyncIterator[Record | None]:
    """A store in Redis tells of changes."""
    watchable: WatchableStore = store
    return watchable.watch("key")


class FixedClock:
    """A user's own clock needs no base class."""

    def now(self) -> float:
        """Return unix seconds."""
        return 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class DeadLine:
    """Nor does a user's own transport."""

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Never reach anybody."""
        raise NetworkError(f"{request.method} got nowhere within {timeout} s", sent=False)


CLOCK: Clock = FixedClock()
TRANSPORT: Transport = DeadLine()


class SilentProvider:
    """Nor does a user's own auth system."""

    def refresh_request(self, session: Session, *, now: float) -> Request:
        """Ask for nothing."""
        return Request("POST", "https://auth.example.com/refresh")

    def parse_refresh(
        self, response: Response, session: Session, *, sent_at: float, now: float
    ) -> Session:
        """Get nothing."""
        return session

    def dump(self, session: Session) -> dict[str, Any]:
        """Keep little."""
        return {"access_token": session.access_token}

    def load(self, record: dict[str, Any]) -> Session:
        """Read little."""
        return Session(access_token=record["access_token"])


async def a_manager_hands_out_tokens(http: ClientSession) -> None:
    """The engine alone, with a user's own parts."""
    policy = RefreshPolicy(margin=30, jitter=0.5)
    manager = SessionManager(
        SilentProvider(), store=MemoryStore(), policy=policy, transport=TRANSPORT, clock=CLOCK
    )
    async with manager as same:
        assert_type(same, SessionManager)
        assert_type(manager.session, Session | None)
        assert_type(manager.status, Status)
        assert_type(await manager.get_session(), Session | None)
        token = await manager.get_token(min_ttl=5)
        assert_type(token, AccessToken)
        assert_type(await manager.get_token(rejected=token), AccessToken)
        assert_type(await manager.refresh_session(), Session)
        assert_type(await manager.sign_in_once(manager.refresh_session), Session)
        manager.set_auth(None)
        async for event in manager.events(buffer=8):
            assert_type(event, Event)
        await manager.sign_out()
    assert_type(bearer(manager, origins=["https://api.example.com"]), ClientMiddlewareType)


async def a_pool_hands_out_tokens() -> None:
    """Many sessions, with one provider or one for each key."""
    pool = SessionPool(
        SilentProvider(), store=MemoryStore(), transport=TRANSPORT, clock=CLOCK, max_refreshes=8
    )
    SessionPool(lambda _: SilentProvider(), max_refresh_rate=50.0, idle_after=60, active_for=30)
    async with pool as same:
        assert_type(same, SessionPool)
        assert_type(len(pool), int)
        token = await pool.get_token("ann", min_ttl=5)
        assert_type(token, AccessToken)
        assert_type(await pool.get_token("ann", rejected=token), AccessToken)
        handle = pool.session("ann")
        assert_type(handle, PooledSession)
        async with handle as same_handle:
            assert_type(same_handle, PooledSession)
        assert_type(handle.session, Session | None)
        assert_type(handle.status, Status)
        assert_type(await handle.get_session(), Session | None)
        assert_type(await handle.get_token(), AccessToken)
        assert_type(await handle.refresh_session(), Session)
        assert_type(pool.events("ann"), EventStream)
        async for event in pool.events(buffer=8):
            assert_type(event.key, str)
        await handle.sign_out()
    GoTrueClient("https://x.supabase.co/auth/v1", "key", pool=pool, key="ann")


async def a_client_signs_in(http: ClientSession) -> None:
    """The GoTrue client, and the manager's members on it."""
    client = GoTrueClient(
        "https://x.supabase.co/auth/v1", "key", store=FileStore(), http=http, flow="pkce"
    )
    async with client as same:
        assert_type(same, GoTrueClient)
        answer = await client.sign_in_with_password(email="ann@example.com", password="secret")
        assert_type(answer, AuthResponse)
        assert_type(answer.user, User | None)
        assert_type(answer.session, Session | None)
        assert_type(answer.weak_password, WeakPasswordInfo | None)
        assert_type(answer.provider_token, str | None)
        assert_type(await client.sign_up(phone="+4912345", password="secret"), AuthResponse)
        assert_type(await client.sign_in_anonymously(data={"name": "Ann"}), AuthResponse)
        assert_type(await client.sign_in_once(client.sign_in_anonymously), Session)
        assert_type(await client.refresh_session("token"), AuthResponse)
        assert_type(await client.set_session("access", "refresh"), AuthResponse)
        assert_type(await client.get_token(), AccessToken)
        assert_type(await client.get_session(), Session | None)
        assert_type(await client.get_user(), User)
        assert_type(await client.get_claims("jwt", allow_expired=True), Claims)
        await client.sign_out("others")
    bearer(client, origins="https://api.example.com")


async def open_a_window(url: str) -> None:
    """Show the address in a window of the program's own."""


async def a_client_does_without_passwords(client: GoTrueClient) -> None:
    """Codes, links, browsers, tokens and wallets."""
    sent = await client.sign_in_with_otp(email="ann@example.com", should_create_user=False)
    assert_type(sent, OtpResponse)
    assert_type(sent.message_id, str | None)
    assert_type(await client.verify_otp(type="email", email="a@b.c", token="1"), AuthResponse)
    assert_type(await client.verify_otp(type="email", token_hash="h"), AuthResponse)
    assert_type(await client.resend(type="signup", email="a@b.c"), OtpResponse)
    assert_type(await client.reset_password_for_email("a@b.c"), OtpResponse)
    browser = await client.sign_in_with_oauth("github", scopes="gist")
    assert_type(browser, OAuthResponse)
    assert_type(browser.url, str)
    assert_type(
        await client.exchange_code_for_session("code", flow_id=browser.flow_id), AuthResponse
    )
    assert_type(await client.get_session_from_url("https://x/?code=c"), AuthResponse)
    assert_type(await client.sign_in_with_browser("github", open_browser=print), AuthResponse)
    opened = await client.sign_in_with_browser(
        "github", open_browser=open_a_window, port=[8765, 0], path="/done", timeout=60
    )
    assert_type(opened, AuthResponse)
    assert_type(await client.sign_in_with_sso(domain="example.com"), SSOResponse)
    assert_type(await client.sign_in_with_id_token(provider="google", token="t"), AuthResponse)
    wallet = await client.sign_in_with_web3(chain="solana", message="m", signature="s")
    assert_type(wallet, AuthResponse)


async def a_client_changes_its_user(client: GoTrueClient) -> None:
    """The account, its identities and its factors."""
    assert_type(await client.update_user(data={"theme": "dark"}), User)
    await client.reauthenticate()
    (identity,) = await client.get_user_identities()
    assert_type(identity, Identity)
    assert_type(await client.link_identity("github"), OAuthResponse)
    assert_type(
        await client.link_identity_with_id_token(provider="google", token="t"), AuthResponse
    )
    await client.unlink_identity(identity)
    factor = await client.mfa.enroll(friendly_name="app")
    assert_type(factor, EnrolledFactor)
    assert_type(await client.mfa.challenge(factor.id), FactorChallenge)
    assert_type(await client.mfa.verify(factor.id, challenge_id="c", code="1"), AuthResponse)
    assert_type(await client.mfa.challenge_and_verify(factor.id, "1"), AuthResponse)
    assert_type(await client.mfa.list_factors(), Factors)
    assert_type(await client.mfa.get_authenticator_assurance_level(), AssuranceLevel)
    await client.mfa.unenroll(factor.id)
    options = await client.passkeys.start_authentication()
    assert_type(options, PasskeyOptions)
    assert_type(await client.passkeys.list(), tuple[Passkey, ...])
    assert_type(await client.oauth.get_authorization_details("a"), AuthorizationDetails)
    assert_type(await client.oauth.approve_authorization("a"), str)


async def a_service_administers(client: GoTrueClient) -> None:
    """What a service-role key may do."""
    admin = client.admin
    assert_type(await admin.list_users(page=1), UserPage)
    async for user in admin.iter_users():
        assert_type(user, User)
    assert_type(await admin.create_user(email="a@b.c", email_confirm=True), User)
    assert_type(await admin.generate_link(type="magiclink", email="a@b.c"), GeneratedLink)
    assert_type(await admin.mfa.list_factors("u"), tuple[Factor, ...])
    assert_type(await admin.oauth.create_client({"client_name": "App"}), OAuthClient)
    assert_type(await admin.oauth.list_clients(page=1), tuple[OAuthClient, ...])
    assert_type(await admin.oauth.update_client("c", {"client_name": "App"}), OAuthClient)
    assert_type(await admin.custom_providers.get_provider("custom:x"), CustomProvider)
    assert_type(
        await admin.custom_providers.list_providers(type="oidc"), tuple[CustomProvider, ...]
    )
    assert_type(await admin.sso_providers.create_provider({"type": "saml"}), SSOProvider)
    assert_type(await admin.sso_providers.list_providers(), tuple[SSOProvider, ...])
    await admin.sso_providers.delete_provider("s")
    await admin.delete_user("u", should_soft_delete=True)
    await admin.sign_out("jwt", "local")
