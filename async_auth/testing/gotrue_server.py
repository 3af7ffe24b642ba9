"""`GoTrueServer`: an embedded GoTrue (Supabase Auth) on loopback, for tests and demos.

It answers as the real server was recorded to, with the real rules for refresh tokens, on a clock
of yours, and goes wrong when asked to. It keeps everything in memory, puts its mails into
`outbox` instead of sending them, signs in anybody at its identity provider, and is no server for
people: passwords are hashed cheaply and no code is guarded from guessing. It prints nothing.

Signatures are really verified: of its own tokens, of id tokens, of passkeys and security keys
(ES256 with attestation `none` only), and of wallets (Solana and Ethereum). SSO goes without SAML.
Its OAuth server issues no id tokens and has no `/oauth/userinfo`. There are no CAPTCHAs, hooks,
nor audit log.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from async_auth.clock import SystemClock
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock
from async_auth.testing.gotrue import totp
from async_auth.testing.gotrue.app import GoTrueApp
from async_auth.testing.gotrue.credentials import check_email, check_phone
from async_auth.testing.gotrue.endpoints.about import PROTECTED_PATH
from async_auth.testing.gotrue.endpoints.oauth import PROVIDER_PATH
from async_auth.testing.gotrue.identity_provider import IdentityProvider
from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.post import Message, Post
from async_auth.testing.gotrue.provider_rows import SsoProvider
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.sessions import Sessions
from async_auth.testing.gotrue.sso_providers import free_domains
from async_auth.testing.gotrue.state import GoTrueState
from async_auth.testing.gotrue.tokens import KeyRing
from async_auth.testing.loopback.faults import Faults
from async_auth.testing.loopback.listener import Listener
from async_auth.testing.webauthn.authenticator import SoftwareAuthenticator

_TEN_YEARS = 315_360_000


class GoTrueServer:
    """
    A GoTrue server on 127.0.0.1, inside your process: `async with GoTrueServer() as server`.

    All of it runs on the event loop that started it; the methods that change something take
    effect at once and may be called at any time, from that loop's thread.

    Args:
        jwt_expiry: Seconds that an access token lives.
        reuse_interval: Seconds for which a replaced refresh token is still taken; 0: not at all.
        parent_rule: Whether the parent of the active refresh token is forgiven for ever, as the
            real server does. With False and `reuse_interval=0` any reuse ends the session.
        token_version: 1 (twelve characters) or 2 (self-describing): what new sessions get.
        algorithm: What signs access tokens: HS256, ES256 or RS256.
        clock: Its time is the server's, in tokens, rules, delays and the `Date` header. The
            system's if `None`.
        autoconfirm: Whether a sign-up is answered with a session at once.
        anonymous: Whether anonymous sign-ins are allowed.
        timebox: Seconds that a session may last at most.
        inactivity: Seconds that a session may go without a refresh.
        single_session: Whether a newer sign-in ends the user's older ones.
        email_max_frequency: Least seconds between two messages of one kind to one user.
        emails_per_hour: How many mails are sent in an hour at most; `None`: as many as you like.
        otp_expiry: Seconds for which a code or link is good.
        secure_email_change: Whether the old address has to confirm a change as well.
        reauthentication: Whether a new password needs a code of GET /reauthenticate.
        current_password: Whether a new password needs the old one, but after a recovery.
        manual_linking: Whether users may link and unlink identities.
        webauthn: Whether there are passkeys, and security keys as second factors.
        rp_id: The relying party of these: the host of the site's pages.
        rp_origins: Whose pages may ask for them; the first is `authenticator()`'s.
        dynamic_registration: Whether OAuth clients may register themselves.
        min_password_length: The fewest characters of a password.
        password_characters: Sets of characters; a password needs one of each.
        providers: The names under which the identity provider can be signed in with.
        site_url: Where browsers are sent that may not go where they want.
        redirect_urls: Where else they may be sent, `*` standing for anything; `None`: anywhere.
        jwt_secret: The shared secret; drawn at random if `None`.
        port: Where to listen; 0 for a free port.

    Raises:
        ConfigurationError: A value is out of range; it names the argument.
    """

    def __init__(
        self,
        *,
        jwt_expiry: float = 3600,
        reuse_interval: float = 10,
        parent_rule: bool = True,
        token_version: int = 1,
        algorithm: str = "HS256",
        clock: Clock | None = None,
        autoconfirm: bool = True,
        anonymous: bool = True,
        timebox: float | None = None,
        inactivity: float | None = None,
        single_session: bool = False,
        email_max_frequency: float = 60,
        emails_per_hour: int | None = None,
        otp_expiry: float = 3600,
        secure_email_change: bool = True,
        reauthentication: bool = False,
        current_password: bool = False,
        manual_linking: bool = True,
        webauthn: bool = True,
        rp_id: str = "localhost",
        rp_origins: Sequence[str] = ("http://localhost:3000",),
        dynamic_registration: bool = True,
        min_password_length: int = 6,
        password_characters: Sequence[str] = (),
        providers: Sequence[str] = ("github", "google", "keycloak"),
        site_url: str = "http://127.0.0.1:3000",
        redirect_urls: Sequence[str] | None = None,
        jwt_secret: str | None = None,
        port: int = 0,
    ) -> None:
        options = Options(
            jwt_expiry=jwt_expiry,
            reuse_interval=reuse_interval,
            parent_rule=parent_rule,
            token_version=token_version,
            autoconfirm=autoconfirm,
            anonymous=anonymous,
            timebox=timebox,
            inactivity=inactivity,
            single_session=single_session,
            email_max_frequency=email_max_frequency,
            emails_per_hour=emails_per_hour,
            otp_expiry=otp_expiry,
            secure_email_change=secure_email_change,
            reauthentication=reauthentication,
            current_password=current_password,
            manual_linking=manual_linking,
            webauthn=webauthn,
            rp_id=rp_id,
            rp_origins=rp_origins,
            dynamic_registration=dynamic_registration,
            min_password_length=min_password_length,
            password_characters=password_characters,
            providers=providers,
            site_url=site_url,
            redirect_urls=redirect_urls,
        )
        keys = KeyRing(algorithm) if jwt_secret is None else KeyRing(algorithm, jwt_secret)
        self.clock: Clock = SystemClock() if clock is None else clock
        self._state = GoTrueState(Sessions(options, keys), Post(options))
        self._app = GoTrueApp(self._state, self.clock)
        self._listener = Listener("GoTrueServer", self._app.application, port)

    def __repr__(self) -> str:
        where = self.url if self._listener.is_up else "closed"
        return (
            f"<GoTrueServer {where} users={len(self._state.users)} "
            f"sessions={len(self._state.sessions.rows)} issued={self.issued}>"
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """
        Listen; nothing happens if it does already.

        After `aclose()` it listens on the same port again, with all its users and sessions: to
        its clients that was an outage.

        Raises:
            OSError: The port is taken.
        """
        await self._listener.start()
        self._state.sessions.issuer = self._state.post.root = self.url
        self._state.provider.url = f"{self.url}{PROVIDER_PATH}"

    async def aclose(self) -> None:
        """Stop listening and close every connection; twice is fine. The state is kept."""
        await self._listener.aclose()

    # ── where it is and what it saw ────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The auth root, such as `http://127.0.0.1:40123`: endpoints follow without a prefix."""
        return self._listener.url

    @property
    def protected_url(self) -> str:
        """
        A resource that wants a bearer token and checks it by itself: signature and expiry.

        It answers 200 with the token's subject and session, the method, and the length of the
        body; or 401 with `WWW-Authenticate`.
        """
        return f"{self.url}{PROTECTED_PATH}"

    @property
    def counts(self) -> Counter[str]:
        """
        Requests by path, as `counts["/user"]`, those that met a fault included.

        `/token` is counted by grant as well (`/token?grant_type=refresh_token`), and answers by
        path and status (`/rest/v1/echo 401`); a dropped connection has no status.
        """
        return self._app.counts

    @property
    def issued(self) -> int:
        """How many new refresh tokens were handed out for old ones: rotations, not sign-ins."""
        return self._state.sessions.rotations

    @property
    def faults(self) -> Faults:
        """What is to go wrong: `faults.add("/token", status=503, times=3)`."""
        return self._app.faults

    @property
    def jwt_secret(self) -> str:
        """The shared secret, for verifying HS256 tokens elsewhere."""
        return self._state.keys.secret

    @property
    def service_key(self) -> str:
        """A token for `/admin` and `/invite`: role `service_role`, good for ten years."""
        now = int(self.clock.now())
        claims = {"iss": "supabase", "role": "service_role", "iat": now, "exp": now + _TEN_YEARS}
        return self._state.keys.sign(claims)

    @property
    def outbox(self) -> list[Message]:
        """
        The mails and text messages so far, the oldest first; yours to clear.

        Each has its *kind*, *address*, *code*, *token_hash*, *redirect_to* and *link*.
        """
        return self._state.post.outbox

    @property
    def provider(self) -> IdentityProvider:
        """
        The identity provider: `provider.sign_in_as("a@example.com")`, `deny()`, `ask()`.

        At first it shows browsers a page that asks whom to sign in as.
        """
        return self._state.provider

    def id_token(self, email: str, *, nonce: str | None = None, **claims: object) -> str:
        """Return an ID token of the identity provider, with the digest of *nonce* in it."""
        return self._state.provider.id_token(email, nonce=nonce, now=self.clock.now(), **claims)

    def authenticator(self) -> SoftwareAuthenticator:
        """Return a new browser with a security key, on a page that may ask for passkeys here."""
        return SoftwareAuthenticator(*self._state.options.rp_origins[:1])

    def totp_code(self, secret: str) -> str:
        """Return what an authenticator app with this secret (base 32) shows now."""
        return totp.code_at(secret, self.clock.now())

    def jwks(self) -> dict[str, Any]:
        """Return what `/.well-known/jwks.json` shows."""
        return self._state.keys.jwks()

    # ── what an administrator could do ─────────────────────────────────────────────────────────

    def create_user(
        self,
        *,
        email: str = "",
        phone: str = "",
        password: str | None = None,
        data: Mapping[str, Any] | None = None,
        confirmed: bool = True,
    ) -> str:
        """
        Make a user and return their id.

        Raises:
            ConfigurationError: Neither *email* nor *phone* is given, one is malformed or taken.
        """
        if not email and not phone:
            raise ConfigurationError("create_user: email or phone is required.")
        with _as_configuration_error("create_user"):
            email = check_email(email) if email else ""
            phone = check_phone(phone) if phone else ""
        return self._state.create_user(
            email=email,
            phone=phone,
            password=password,
            data=data,
            confirmed=confirmed,
            now=self.clock.now(),
        ).id

    def add_sso_provider(self, *domains: str) -> str:
        """
        Let a company's people sign in with `/sso`, and return their provider's id.

        They come to `provider`, as all do. Two companies cannot share a domain.

        Raises:
            ConfigurationError: A domain is taken.
        """
        now = self.clock.now()
        with _as_configuration_error("add_sso_provider"):
            wanted = free_domains(self._state, domains, None)
        provider = SsoProvider(domains=wanted, created_at=now, updated_at=now)
        self._state.sso_providers[provider.id] = provider
        return provider.id

    def open_session(self, user_id: str) -> dict[str, Any]:
        """Sign a user in without a request and return the session as `/token` answers it."""
        return self._state.open_session(user_id, now=self.clock.now())

    def session_ids(self, user_id: str) -> list[str]:
        """Return the ids of the user's sessions, the oldest first."""
        return [session.id for session in self._state.sessions.of(user_id)]

    def confirm_user(self, user_id: str) -> None:
        """Confirm the user's e-mail address and phone number, as the link in the mail would."""
        user, now = self._state.user(user_id), self.clock.now()
        user.email_confirmed_at = now if user.email else None
        user.phone_confirmed_at = now if user.phone else None

    def ban_user(self, user_id: str, *, seconds: float = 86_400.0) -> None:
        """Refuse the user for so many seconds; sessions and tokens are kept."""
        self._state.user(user_id).banned_until = self.clock.now() + seconds

    def unban_user(self, user_id: str) -> None:
        """Let the user in again, with the sessions they had."""
        self._state.user(user_id).banned_until = None

    def delete_user(self, user_id: str, *, soft: bool = False) -> None:
        """Remove the user and their sessions; *soft* keeps an empty row with their id."""
        self._state.delete_user(user_id, soft=soft, now=self.clock.now())

    def update_metadata(
        self,
        user_id: str,
        *,
        app: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
    ) -> None:
        """Merge into the user's app and user metadata; the next refresh carries them."""
        row = self._state.user(user_id)
        row.app_metadata.update(app or {})
        row.user_metadata.update(user or {})

    def revoke_session(self, session_id: str) -> None:
        """End one session, as a logout elsewhere would; one that is not there is no error."""
        self._state.sessions.delete(session_id)

    def revoke_sessions(self, user_id: str) -> None:
        """End all of the user's sessions."""
        self._state.sessions.delete_of(user_id)

    def rotate_keys(self, *, keep_old: bool = True, algorithm: str | None = None) -> None:
        """
        Sign with a new key from now on.

        Args:
            algorithm: HS256, ES256 or RS256 from now on; `None`: the same as before.
            keep_old: Whether the old public keys stay in the JWK set, and old tokens good. A
                shared secret is always replaced.
        """
        self._state.keys.rotate(keep_old=keep_old, algorithm=algorithm)

    def sign(self, claims: Mapping[str, Any], *, headers: Mapping[str, Any] | None = None) -> str:
        """Return any claims as a token signed by this server, for what it would never issue."""
        return self._state.keys.sign(claims, headers)


@contextlib.contextmanager
def _as_configuration_error(method: str) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        raise ConfigurationError(f"{method}: {refusal.message}") from None
