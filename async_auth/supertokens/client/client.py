"""The SuperTokens client: a thin façade over the session manager and the pure parts beside it.

It signs nobody in by itself: the session comes from whatever answer of the application sets one,
seen by an adapter such as `integrations.aiohttp.supertokens_middleware`, from `adopt_tokens()`,
or from the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from async_auth.clock import SystemClock
from async_auth.core.policy import RefreshPolicy
from async_auth.engine.arguments import check_text
from async_auth.engine.facade import Facade
from async_auth.engine.manager import SessionManager
from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    InvalidClaims,
    SignInRequired,
    TemporaryError,
)
from async_auth.ports import Clock, RefreshLock, SessionStore, Transport
from async_auth.session import Session
from async_auth.supertokens import wire
from async_auth.supertokens.claims.checking import failures
from async_auth.supertokens.claims.validator import ClaimValidator
from async_auth.supertokens.client import responses, sessions
from async_auth.supertokens.client.exchange import Exchange
from async_auth.supertokens.client.provider import SuperTokensProvider
from async_auth.supertokens.client.settings import PostApiHook, PreApiHook, Settings
from async_auth.supertokens.wire import TransferMethod
from async_auth.transport import AiohttpTransport

if TYPE_CHECKING:
    from typing import Literal

    from async_auth.transport import ClientSession

logger = logging.getLogger("async_auth.supertokens.client")


class SuperTokensClient(Facade):
    """
    A SuperTokens session, kept alive.

    Use it as `async with SuperTokensClient(...) as client`, or call `start()` and `aclose()` from
    whatever tasks; the first call starts it. Every method may be called concurrently and
    cancelled at any moment; see `SessionManager` for `get_token`, `get_session`, `events` and
    the other members they share.

    Args:
        api_domain: Scheme, host and port of the API.
        api_base_path: The path below which its session routes are.
        token_transfer_method: How tokens are asked for when signing in: `header` or `cookie`.
            A session goes on as it came.
        auto_refresh: Whether a timer refreshes ahead of expiry.
        store: Where the session is kept; by default in memory. See `async_auth.stores`.
        lock: Who may refresh; by default the store's own.
        policy: When to refresh.
        session_expired_status_code: The status that says that a token will not do. By default
            401, with preset v1 440.
        invalid_claim_status_code: The status that says that a claim is not as it must be.
        max_refresh_attempts: How often one request may be sent again after a refusal; 0 is never,
            and then a refusal refreshes nothing either.
        session_token_backend_domain: A domain whose hosts get the session, with all its
            subdomains, ports and schemes. By default only the API's own origin does.
        by_hostname: Whether every port and scheme of the API's host gets the session.
        preset: `v1` has the habits of release 1.0: status 440, and the refresh at `/api/refresh`.
        pre_api_hook: Called with `REFRESH_SESSION` or `SIGN_OUT` and our request; returns the one
            to send. A plain function.
        post_api_hook: Called with the same word, the request (without its headers) and the
            answer, where that is a success. A plain function; its errors are logged.
        http: An `aiohttp.ClientSession` of yours; it is never closed here.
        clock: What time it is.
        key: Which session of the store this is.
        transport: What sends requests, in place of *http*.
        random: Uniform in 0..1, for jitter and back-off.
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: An argument is wrong, or two contradict each other; they are named.
    """

    def __init__(
        self,
        api_domain: str,
        api_base_path: str = "/auth",
        *,
        token_transfer_method: TransferMethod = "header",
        auto_refresh: bool = True,
        store: SessionStore | None = None,
        lock: RefreshLock | None = None,
        policy: RefreshPolicy | None = None,
        session_expired_status_code: int | None = None,
        invalid_claim_status_code: int = 403,
        max_refresh_attempts: int = 10,
        session_token_backend_domain: str | None = None,
        by_hostname: bool = False,
        preset: Literal["v1"] | None = None,
        pre_api_hook: PreApiHook | None = None,
        post_api_hook: PostApiHook | None = None,
        http: ClientSession | None = None,
        clock: Clock | None = None,
        key: str = "default",
        transport: Transport | None = None,
        random: Callable[[], float] | None = None,
        allow_insecure: bool = False,
    ):
        if http is not None and transport is not None:
            raise ConfigurationError("Give http or transport, not both.")
        self.settings = Settings.of(
            api_domain,
            api_base_path,
            token_transfer_method=token_transfer_method,
            session_expired_status_code=session_expired_status_code,
            invalid_claim_status_code=invalid_claim_status_code,
            max_refresh_attempts=max_refresh_attempts,
            session_token_backend_domain=session_token_backend_domain,
            by_hostname=by_hostname,
            preset=preset,
            pre_api_hook=pre_api_hook,
            post_api_hook=post_api_hook,
            allow_insecure=allow_insecure,
        )
        self._clock: Clock = SystemClock() if clock is None else clock
        super().__init__(
            SessionManager(
                SuperTokensProvider(self.settings),
                store=store,
                lock=lock,
                policy=policy,
                transport=transport if http is None else _lent(http),
                clock=self._clock,
                auto_refresh=auto_refresh,
                key=key,
                random=random,
            )
        )
        #: What the adapters work with.
        self.exchange = Exchange(manager=self.manager, settings=self.settings, clock=self._clock)

    # The session.

    async def adopt_tokens(
        self,
        access_token: str,
        refresh_token: str,
        *,
        front_token: str | None = None,
        anti_csrf: str | None = None,
    ) -> Session:
        """
        Make tokens that were obtained elsewhere the current session (`SignedIn`).

        Nobody is asked. An access token that has expired is refreshed as soon as it is needed.

        Args:
            access_token: The access token; in cookie mode the cookie's value, byte for byte.
            refresh_token: What belongs to it, likewise. `""` for a session that shall not be
                refreshed.
            front_token: The `front-token` header that came with them. Without it the access
                token's own claims count.
            anti_csrf: The `anti-csrf` header that came with them.

        Raises:
            Malformed: There is no front token, and the access token cannot be read.
            ProtocolError: The front token cannot be read.
            AuthSessionMissing: A sign-out came between.
            ConfigurationError: An argument is no text, or the access token is empty.
        """
        order = self.manager.begin_sign_in()
        check_text("access_token", access_token)
        check_text("refresh_token", refresh_token)
        for name, value in (("front_token", front_token), ("anti_csrf", anti_csrf)):
            if value is not None:
                check_text(name, value)
        if not access_token:
            raise ConfigurationError("access_token must not be empty.")
        session = sessions.session_from_tokens(
            access_token,
            refresh_token,
            front_token=front_token,
            anti_csrf=anti_csrf,
            transfer=self.settings.transfer,
            now=self._clock.now(),
        )
        return await self.manager.adopt(session, order=order)

    async def refresh_session(self, refresh_token: str | None = None) -> Session:
        """See `SessionManager.refresh_session`: asks the server now, whatever the expiry."""
        return await self.manager.refresh_session(refresh_token)

    async def sign_out(self) -> None:
        """
        Sign out: here first, then at the server. Does nothing if nobody is signed in.

        An expired session is refreshed once so that the server can be told; that it is over
        already is no error.

        Raises:
            TemporaryError: The server could not be told. Here the session is gone all the same.
            ApiError: The server refused.
            StoreError: The session could not be removed from the store; that is retried.
            ManagerClosed: After `aclose()`.
        """
        await self.manager.sign_out()

    async def does_session_exist(self) -> bool | None:
        """
        Say whether there is a session; one that has expired is refreshed to find out.

        Returns:
            `None` if that cannot be known now: the token has expired and the server is away.
            The session is kept, and is tried again.

        Raises:
            StoreError: The store cannot be read.
            ManagerClosed: After `aclose()`.
        """
        try:
            return await self.manager.get_session() is not None
        except SignInRequired:
            return False
        except TemporaryError:
            return None

    async def get_user_id(self) -> str:
        """
        Return whose session it is. Asks nobody, so an expired one serves as well.

        Raises:
            AuthSessionMissing: Nobody is signed in.
            StoreError: The store cannot be read.
            ManagerClosed: After `aclose()`.
        """
        await self.manager.start()
        session = self.manager.session
        user_id = None if session is None else sessions.user_id_of(session)
        if user_id is None:
            raise AuthSessionMissing
        return user_id

    async def get_access_token_payload(self) -> dict[str, Any]:
        """
        Return the claims in the access token; one that has expired is refreshed first.

        They are read, not verified: a server that is told by them must verify the token.

        Raises:
            AuthSessionMissing: Nobody is signed in.
            RefreshRejected: The server ended the session.
            TemporaryError: The token has expired and no new one can be had for now.
            ManagerClosed: After `aclose()`.
        """
        session = await self.manager.get_session()
        if session is None:
            raise AuthSessionMissing
        return sessions.payload_of(session)

    # Claims.

    async def validate_claims(
        self, validators: Iterable[ClaimValidator]
    ) -> tuple[dict[str, Any], ...]:
        """
        Validate the session's claims, and return what fails.

        Where a validator wants its claim anew (no value yet, or too old), the claim's
        `fetch_value` is called first. Here, in the front-end half, that function asks the API to
        renew the claim, through an adapter of this client; what counts is the token that comes
        of it, not what the function returns. Its errors are logged, and the claim is validated
        as it is. Ages are counted on the server's clock.

        Args:
            validators: What to ask, in this order: `BooleanClaim(…).validators.is_true()` and
                the like.

        Returns:
            One `{"id": …, "reason": …}` for each that fails, as a server would answer.

        Raises:
            AuthSessionMissing: Nobody is signed in.
            TemporaryError: The token has expired and no new one can be had for now.
            ManagerClosed: After `aclose()`.
        """
        validators = tuple(validators)
        for validator in validators:
            payload = await self.get_access_token_payload()
            claim = validator.claim
            if claim is None or not validator.should_refetch(payload, now=self._server_now()):
                continue
            user_id = await self.get_user_id()
            recipe_user_id, tenant_id = payload.get("rsub"), payload.get("tId")
            try:
                await claim.fetch(
                    user_id,
                    recipe_user_id if isinstance(recipe_user_id, str) else user_id,
                    tenant_id if isinstance(tenant_id, str) else "public",
                    payload,
                )
            except Exception:
                logger.exception("The claim %r could not be renewed", claim.key)
        payload = await self.get_access_token_payload()
        return await failures(validators, payload, now=self._server_now())

    def invalid_claims(self, status: int, body: bytes | Mapping[str, Any]) -> InvalidClaims | None:
        """
        Return the error that an answer of the API means, if that refuses a claim. Pure.

        The adapters tell of such answers by the event `ApiInvalidClaim` and hand them back; this
        is for those who would rather raise.

        Args:
            status: The answer's status.
            body: Its body, as bytes or as the JSON object in it.

        Returns:
            An error to raise, with `.reasons`; `None` if the answer is about something else.
        """
        if status != self.settings.invalid_claim:
            return None
        errors: Any = (
            responses.claim_validation_errors(body)
            if isinstance(body, bytes)
            else body.get("claimValidationErrors")
        )
        if not isinstance(errors, list | tuple):
            return None
        return InvalidClaims("The session lacks a claim.", reasons=tuple(errors), status=status)

    def _server_now(self) -> float:
        session = self.manager.session
        return self._clock.now() + (0.0 if session is None else sessions.skew_of(session))


def _lent(http: ClientSession) -> AiohttpTransport:
    # What its jar knows of a session may be older than the store: sent again, that is a theft.
    return AiohttpTransport(http, withheld_cookies=(wire.ACCESS_COOKIE, wire.REFRESH_COOKIE))
