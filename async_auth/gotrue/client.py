"""The GoTrue client: a thin façade over the pure requests and parsers and the session manager.

Every method builds a request, sends it, reads the answer, and tells the manager what came of it.
The names are auth-js's and supabase-py's; failures are exceptions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from async_auth.core import jwt as tokens
from async_auth.core.plain_json import number
from async_auth.core.policy import RefreshPolicy
from async_auth.engine.facade import Facade, pooled
from async_auth.engine.manager import SessionManager
from async_auth.engine.pool import SessionPool
from async_auth.errors import ConfigurationError
from async_auth.events import TokenRefreshed
from async_auth.gotrue import parsing, requests
from async_auth.gotrue.account import Account
from async_auth.gotrue.browser import SigningInByBrowser
from async_auth.gotrue.caller import Caller, is_bad_jwt
from async_auth.gotrue.models import AuthResponse, Claims
from async_auth.gotrue.pkce import PkceRing
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.gotrue.signing_in import SigningIn
from async_auth.gotrue.verification import Verification
from async_auth.http_messages import HeadersLike, Request
from async_auth.ports import Clock, RefreshLock, SessionStore, Transport
from async_auth.transport import AiohttpTransport

if TYPE_CHECKING:
    from async_auth.gotrue.admin import Admin
    from async_auth.gotrue.consent import Consent
    from async_auth.gotrue.mfa import Mfa
    from async_auth.gotrue.passkeys import Passkeys
    from async_auth.transport import ClientSession

_FLOWS = ("pkce", "implicit")
_SEGMENTS = 3


class GoTrueClient(SigningIn, SigningInByBrowser, Account, Facade):
    """
    A GoTrue (Supabase Auth) session, kept alive.

    Use it as `async with GoTrueClient(...) as client`, or call `start()` and `aclose()` from
    whatever tasks; the first call starts it. Every method may be called concurrently and
    cancelled at any moment; see `SessionManager` for `get_token`, `get_session`, `events` and
    the other members they share.

    `admin`, `mfa`, `passkeys` and `oauth` are imported when they are first used: that holds the
    event loop for some milliseconds, once. A server may use each before it serves.

    Args:
        url: The auth root: `https://x.supabase.co/auth/v1`, or a GoTrue server's own address.
        api_key: Sent as `apikey` with every request, and as the bearer token where no session's
            is called for. A service-role key works without any session.
        headers: More headers for every request; they win over all others.
        store: Where the session is kept; by default in memory. See `async_auth.stores`.
        lock: Who may refresh; by default the store's own.
        policy: When to refresh.
        auto_refresh: Whether a timer refreshes ahead of expiry; by default it does.
        flow: `pkce` or `implicit`, for sign-ins that go through a browser.
        http: An `aiohttp.ClientSession` of yours; it is never closed here.
        clock: What time it is.
        key: Which session of the store this is; by default `default`, but with *pool* it must
            be given.
        transport: What sends requests, in place of *http*.
        random: Uniform in 0..1, for jitter and back-off.
        allow_insecure: Whether plain http may go to a host that is not this machine.
        pool: Who keeps the session under *key*, among many; the pool's provider,
            `GoTrueProvider(Endpoint(url, api_key))`, refreshes it. What else concerns keeping it
            (*store*, *lock*, *policy*, *auto_refresh*, *http*, *clock*, *transport*, *random*) is
            the pool's to say. Closing the client leaves the session in the pool.

    Raises:
        ConfigurationError: An argument is wrong, or two contradict each other; they are named.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        headers: HeadersLike | None = None,
        store: SessionStore | None = None,
        lock: RefreshLock | None = None,
        policy: RefreshPolicy | None = None,
        auto_refresh: bool | None = None,
        flow: str = "pkce",
        http: ClientSession | None = None,
        clock: Clock | None = None,
        key: str | None = None,
        transport: Transport | None = None,
        random: Callable[[], float] | None = None,
        allow_insecure: bool = False,
        pool: SessionPool | None = None,
    ):
        if flow not in _FLOWS:
            raise ConfigurationError(f"flow must be one of {', '.join(_FLOWS)}.")
        if http is not None and transport is not None:
            raise ConfigurationError("Give http or transport, not both.")
        self.api = Endpoint(url, api_key, headers=headers, allow_insecure=allow_insecure)
        self.flow = flow
        self._provider = GoTrueProvider(self.api)
        super().__init__(
            SessionManager(
                self._provider,
                store=store,
                lock=lock,
                policy=policy,
                transport=AiohttpTransport(http) if http is not None else transport,
                clock=clock,
                auto_refresh=True if auto_refresh is None else auto_refresh,
                key="default" if key is None else key,
                random=random,
            )
            if pool is None
            else pooled(
                pool,
                key,
                store=store,
                lock=lock,
                policy=policy,
                auto_refresh=auto_refresh,
                http=http,
                clock=clock,
                transport=transport,
                random=random,
            )
        )
        self._clock: Clock = self.manager.clock
        self._caller = Caller(api=self.api, manager=self.manager, clock=self._clock)
        self._verification = Verification(self._caller)
        self._ring = PkceRing(self.manager.store, self.manager.key, self._clock)

    # What has a name of its own is imported when it is first used: few programs need any of it, and
    # together it takes a fifth of the import.

    @functools.cached_property
    def admin(self) -> Admin:
        """What a service-role key may do."""
        from async_auth.gotrue.admin import Admin

        return Admin(self._caller)

    @functools.cached_property
    def mfa(self) -> Mfa:
        """The user's second factors."""
        from async_auth.gotrue.mfa import Mfa

        return Mfa(self._caller)

    @functools.cached_property
    def passkeys(self) -> Passkeys:
        """Signing in by passkey, and the user's passkeys."""
        from async_auth.gotrue.passkeys import Passkeys

        return Passkeys(self._caller)

    @functools.cached_property
    def oauth(self) -> Consent:
        """The consent page of GoTrue's own OAuth server."""
        from async_auth.gotrue.consent import Consent

        return Consent(self._caller)

    # The session.

    async def refresh_session(self, refresh_token: str | None = None) -> AuthResponse:
        """
        Ask the server for new tokens now, whatever the expiry; exactly one request.

        Publishes one `TokenRefreshed`. See `SessionManager.refresh_session`.

        Args:
            refresh_token: The token to spend, for a session kept elsewhere; what comes back
                becomes the current session. By default the current session's.

        Raises:
            AuthSessionMissing: There is no refresh token, or the answer has no session in it.
            RefreshRejected: The server refused the token for good.
            TemporaryError: No usable answer for now; the session is kept.
            ApiError: A refusal that says nothing about the session; it is kept.
        """
        session = await self.manager.refresh_session(refresh_token)
        return AuthResponse(session.user, session)

    async def set_session(self, access_token: str, refresh_token: str) -> AuthResponse:
        """
        Make tokens that were obtained elsewhere the current session.

        A live access token is checked with `GET /user`; one that has expired, has no `exp`, or
        is not made of three segments is exchanged with the refresh token. Either way one
        `TokenRefreshed` is published. What fails leaves the session there was.

        Args:
            access_token: The access token.
            refresh_token: What belongs to it. Empty for a live access token that shall not be
                refreshed.

        Raises:
            AuthSessionMissing: The access token has expired and there is no refresh token, or
                the server knows the session no more.
            UserDoesntExist: The access token's user does not exist.
            Malformed: The access token has three segments that are no JWT.
            RefreshRejected: The server refused the refresh token.
            ApiError: The server refused the access token.
            TemporaryError: Try again later.
        """
        order = self.manager.begin_sign_in()
        _check_text("refresh_token", refresh_token or "")
        claims = _claims_of(access_token)
        exp = number(claims.get("exp"))
        if exp is None or exp <= self._clock.now():
            return await self.refresh_session(refresh_token or "")
        request = requests.user_request(self.api, access_token)
        response = await self.manager.send(request)
        now, date = self._clock.now(), parsing.date_of(response)
        if is_bad_jwt(response) and exp + parsing.clock_skew(date, now) <= now:
            # Live by our clock, expired by the server's: its clock counts.
            return await self.refresh_session(refresh_token or "")
        secrets = (*requests.secrets_in(request), refresh_token)
        user = parsing.user_from(response, secrets=secrets, now=now)
        session = parsing.session_from_tokens(
            access_token, refresh_token, user, claims=claims, now=now, server_date=date
        )
        adopted = await self.manager.adopt(session, event=TokenRefreshed, order=order)
        return AuthResponse(user, adopted)

    async def sign_out(self, scope: str = "global") -> None:
        """
        Sign out: here first, then at the server.

        Links and browsers that are still under way (PKCE) then sign nobody in any more; a
        `sign_in_with_browser()` that waits is a call of its own: cancel it.

        Args:
            scope: `global` ends all sessions of the user, `local` this one, `others` all but
                this one, which stays as it is.

        Raises:
            TemporaryError: The server could not be told. Here the session is gone all the same.
            ApiError: The server refused.
            StoreError: The session could not be removed from the store; that is retried.
            ConfigurationError: *scope* is none of these.
        """
        requests.checked_scope(scope)
        if scope != "others":
            began = self._clock.now()
            try:
                await self.manager.sign_out(scope=scope)
            finally:
                # Not what was begun while the server was being told.
                await self._ring.forget(begun_by=began)
            return
        session = await self.manager.get_session()
        if session is not None:
            request = self._provider.sign_out_request(session, scope=scope)
            self._provider.parse_sign_out(await self.manager.send(request), session)

    # Asking the server.

    async def get_claims(
        self,
        jwt: str | None = None,
        *,
        secret: str | None = None,
        jwks: Mapping[str, Any] | None = None,
        allow_expired: bool = False,
    ) -> Claims:
        """
        Verify an access token and return what it says.

        An asymmetric token (ES256, RS256) is verified here, with the server's published keys, as
        `JWTVerifier` does: they are fetched once for all callers, and again, at most once in a
        cool-down, for a key that is unknown or may have been replaced. An HS256 token is verified
        with *secret*, or else by asking `GET /user`.

        Args:
            jwt: The token; by default the pinned one, else the session's.
            secret: The server's JWT secret.
            jwks: A JWK set to look in before the server's own.
            allow_expired: Whether a token whose `exp` has passed is good. A server that is asked
                takes none all the same.

        Raises:
            InvalidToken: It does not verify; the subclass says why: Malformed, TokenExpired,
                BadSignature, UnknownKey, ….
            AuthSessionMissing: No *jwt* and nobody is signed in.
            TemporaryError: The keys, or the server's word, cannot be had for now.
            ConfigurationError: *secret* or *jwks* is not what it should be.
        """
        own = False
        if jwt is None:
            at_hand = await self.get_token()
            # The life of the session's token was counted on our clock: the server's may differ by
            # hours. A pinned token is a stranger's.
            jwt, own = at_hand.value, at_hand.generation > 0
        claims = await self._verification.claims_of(
            jwt, secret=secret, jwks=jwks, allow_expired=allow_expired or own
        )
        return Claims.from_json(claims)

    async def settings(self) -> dict[str, Any]:
        """
        Return which ways to sign in the server offers.

        Raises:
            TemporaryError: Try again later.
            ProtocolError: The answer is no JSON object.
        """
        return await self._ask(requests.settings_request(self.api, self._bearer()))

    async def health(self) -> dict[str, Any]:
        """
        Return the server's name and version.

        Raises:
            TemporaryError: Try again later.
            ProtocolError: The answer is no JSON object.
        """
        return await self._ask(requests.health_request(self.api, self._bearer()))

    # Inside.

    async def _ask(self, request: Request) -> dict[str, Any]:
        response = await self.manager.send(request)
        secrets = requests.secrets_in(request)
        return parsing.object_from(response, secrets=secrets, now=self._clock.now())

    def _bearer(self) -> str | None:
        token = self.manager.token_at_hand
        return None if token is None else token.value


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text; it may be empty.")


def _claims_of(access_token: str) -> Mapping[str, Any]:
    _check_text("access_token", access_token)
    # What is not made of three segments is taken as an expired token (S4); three segments that
    # cannot be read are an error of the caller's (S5).
    if access_token.count(".") != _SEGMENTS - 1:
        return {}
    return tokens.peek(access_token).claims
