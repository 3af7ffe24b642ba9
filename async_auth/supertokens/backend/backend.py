"""`SuperTokensBackend`: the sessions of an application that has a SuperTokens core.

It promises that a session is verified without asking anybody wherever the rules allow that; that
a core which is away signs nobody out; and that two of these in one process share nothing. It
serves no requests: the framework's adapter does, with `web`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from async_auth.clock import SystemClock
from async_auth.core.jwt import public_half
from async_auth.core.web.cookies import SameSite
from async_auth.core.web.incoming import Incoming
from async_auth.core.web.responses import SENT, write
from async_auth.errors import ConfigurationError, Unauthorised
from async_auth.ports import Clock, Transport
from async_auth.supertokens.backend import anti_csrf as csrf
from async_auth.supertokens.backend.answers import RefreshAgain
from async_auth.supertokens.backend.app import AppInfo
from async_auth.supertokens.backend.attach import clear_duplicates, clear_legacy, clear_tokens
from async_auth.supertokens.backend.by_token import SessionsByToken
from async_auth.supertokens.backend.exchange import Exchange, exchange_of
from async_auth.supertokens.backend.handlers import ErrorHandlers
from async_auth.supertokens.backend.known_tokens import TOKENS_MAX, KnownTokens
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.backend.settings import Accepted, AntiCsrf, Preset, Settings
from async_auth.supertokens.backend.transfer import (
    DuplicateCookies,
    access_token_of,
    carries,
    carries_legacy,
    creation_method,
    other,
    refresh_token_of,
)
from async_auth.supertokens.backend.web import Web
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.client import TIMEOUT, CoreClient
from async_auth.supertokens.cdi.keys import CoreKeys
from async_auth.supertokens.claims.validator import ClaimValidator
from async_auth.supertokens.wire import TransferMethod

if TYPE_CHECKING:
    from async_auth.transport import ClientSession


class SuperTokensBackend(SessionsByToken):
    """
    The sessions of one application; safe to use concurrently within one event loop.

    It may be used in one loop after another. Cancelling a caller cancels its own call alone.
    Close it with `await aclose()`, or use it as `async with`.

    Args:
        connection_uri: The core's URL; several hosts of one core with `;` between them.
        app: Where the application lives.
        api_key: What the core asks for, if it does.
        cdi_version: The only version of the core's interface to speak, "5.4" or "5.6"; `None`
            for the newest that both know.
        token_transfer_method: `any`, `header`, `cookie`, or a callable that says one of these of
            a request.
        anti_csrf: How requests with cookies prove that a page of ours made them: VIA_TOKEN,
            VIA_CUSTOM_HEADER or NONE. By default VIA_CUSTOM_HEADER where cookies cross sites.
        cookie_domain: To which domain cookies are sent; `None` for the back end's host alone.
        older_cookie_domain: What it was before, `""` for the host alone.
        cookie_secure: Whether cookies are sent by https only. By default whether
            `app.api_domain` is https.
        cookie_same_site: By default `none` if pages and back end are of different sites or
            schemes, else `lax`.
        tenant_id: In which tenant sessions are created.
        session_expired_status_code: By default 401, with preset v1 440.
        invalid_claim_status_code: By default 403.
        use_dynamic_access_token_signing_key: Whether access tokens are signed by keys that
            rotate. One of the other kind has to be refreshed.
        expose_access_token_to_frontend_in_cookie_based_auth: Whether a front end in cookie mode
            is told the access token as well, by header.
        preset: `v1` has the habits of release 1.0: status 440, the refresh at `/api/refresh`,
            and a theft that is reported and ends nothing.
        refresh_path: By default `{api_base_path}/session/refresh`.
        signout_path: By default `{api_base_path}/signout`.
        jwks_path: By default `{api_base_path}/jwt/jwks.json`.
        error_handlers: The application's own answers to errors.
        http: An `aiohttp.ClientSession` of yours; it is never closed here.
        transport: What sends the requests to the core, in place of *http*.
        clock: What time it is.
        timeout: Seconds that a call to the core may take in all.
        remembered_tokens: How many access tokens are kept whose signature was good, so that it
            is checked once for each; their expiry and the core's keys are looked at every time.
            0 keeps none.
        allow_insecure: Whether plain http may go to a core that is not on this machine.

    Raises:
        ConfigurationError: An argument is wrong, or two contradict each other; they are named.
    """

    def __init__(
        self,
        connection_uri: str,
        *,
        app: AppInfo,
        api_key: str | None = None,
        cdi_version: str | None = None,
        token_transfer_method: Accepted | Callable[[Incoming], Accepted] = "any",
        anti_csrf: AntiCsrf | None = None,
        cookie_domain: str | None = None,
        older_cookie_domain: str | None = None,
        cookie_secure: bool | None = None,
        cookie_same_site: SameSite | None = None,
        tenant_id: str = "public",
        session_expired_status_code: int | None = None,
        invalid_claim_status_code: int | None = None,
        use_dynamic_access_token_signing_key: bool = True,
        expose_access_token_to_frontend_in_cookie_based_auth: bool = False,
        preset: Preset | None = None,
        refresh_path: str | None = None,
        signout_path: str | None = None,
        jwks_path: str | None = None,
        error_handlers: ErrorHandlers | None = None,
        http: ClientSession | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        timeout: float = TIMEOUT,
        remembered_tokens: int = TOKENS_MAX,
        allow_insecure: bool = False,
    ) -> None:
        settings = Settings.of(
            app,
            token_transfer_method=token_transfer_method,
            anti_csrf=anti_csrf,
            cookie_domain=cookie_domain,
            older_cookie_domain=older_cookie_domain,
            cookie_secure=cookie_secure,
            cookie_same_site=cookie_same_site,
            tenant_id=tenant_id,
            session_expired_status_code=session_expired_status_code,
            invalid_claim_status_code=invalid_claim_status_code,
            use_dynamic_access_token_signing_key=use_dynamic_access_token_signing_key,
            expose_access_token_to_frontend_in_cookie_based_auth=(
                expose_access_token_to_frontend_in_cookie_based_auth
            ),
            preset=preset,
            refresh_path=refresh_path,
            signout_path=signout_path,
            jwks_path=jwks_path,
        )
        if not isinstance(error_handlers, ErrorHandlers | None):
            raise ConfigurationError("error_handlers must be ErrorHandlers(…), or None.")
        core = CoreClient(
            connection_uri,
            api_key=api_key,
            cdi_version=cdi_version,
            http=http,
            transport=transport,
            clock=clock,
            timeout=timeout,
            allow_insecure=allow_insecure,
        )
        clock = SystemClock() if clock is None else clock
        self._keys = CoreKeys(core, clock=clock)
        super().__init__(core, clock, settings, KnownTokens(self._keys, remembered_tokens))
        self.web = Web(self, error_handlers or ErrorHandlers())

    def __repr__(self) -> str:
        return f"<SuperTokensBackend {self.settings.app.app_name!r} {self._core!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Stop what is under way and close the connections. Twice is fine.

        After it, whatever would ask the core raises `CoreUnavailable`, and so is answered 503 by an
        application that is still being asked while it shuts down.
        """
        await self._keys.aclose()
        await self._core.aclose()

    # ── sessions of requests ───────────────────────────────────────────────────────────────────

    async def create_new_session(
        self,
        request: Any,
        response: Any,
        user_id: str,
        *,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data: Mapping[str, Any] | None = None,
        tenant_id: str | None = None,
    ) -> ServerSession:
        """
        Begin a session and give its tokens to the answer.

        Where the core's answer is lost, the session that it may have begun is nobody's.

        Args:
            request: The framework's request.
            response: What gets the tokens where no middleware does that; else it may be `None`.
            user_id: Whose session it is. Whoever calls this has checked that.
            access_token_payload: Custom claims: plain JSON, readable by the front end. The
                core's own are passed over.
            session_data: What stays on the server: plain JSON.
            tenant_id: The tenant it belongs to; by default the back end's.

        Raises:
            CoreUnavailable: No host of the core answered.
            ConfigurationError: An argument is wrong, no browser would keep the cookies, or the
                response has been sent already.
        """
        exchange = exchange_of(request)
        _check_response(exchange, response)
        method = creation_method(exchange.incoming, self.settings)
        session = await self._created(
            user_id,
            access_token_payload,
            session_data,
            tenant_id,
            enable_anti_csrf=csrf.is_enabled_at_core(self.settings, method),
            exchange=exchange,
            method=method,
        )
        self._hand_over(session, exchange, method, response)
        return session

    @overload
    async def get_session(
        self,
        request: Any,
        *,
        session_required: Literal[True] = True,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession: ...

    @overload
    async def get_session(
        self,
        request: Any,
        *,
        session_required: bool,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession | None: ...

    async def get_session(
        self,
        request: Any,
        *,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession | None:
        """
        Return the session of a request. The core is asked only where it has to be.

        It has to be with *check_database*, and for a token that is used for the first time after
        a refresh (up to CDI 5.5). If the core then replaces the access token, the middleware
        gives the new one to the answer; without one, call `session.attach(response)`.

        Args:
            request: The framework's request.
            session_required: Whether it is an error if there is no token. A token that will not
                do is one in any case.
            anti_csrf_check: `False` checks nothing, `True` GET as well, `None` all but GET.
            check_database: Whether a session that has ended is to be found out before its access
                token expires.
            claim_validators: What is asked of its claims.

        Raises:
            TryRefreshToken: The access token will not do; the front end has to refresh.
            Unauthorised: There is no token, or the core says that there is no such session.
            InvalidClaims: A claim is not as asked for.
            CoreUnavailable: No host of the core answered, where it had to.
        """
        exchange = exchange_of(request)
        incoming, settings = exchange.incoming, self.settings
        found = access_token_of(incoming, settings, self._tokens.read)
        if found is None:
            if session_required:
                # Not cleared: another request may just be storing the tokens of a sign-in.
                raise Unauthorised("The request has no access token.", clear_tokens=False)
            return None
        method, expected = found.method, found.info.anti_csrf_token
        csrf.check(incoming, settings, method, expected, wanted=anti_csrf_check)
        session = exchange.session
        # A request that asks twice has one session, and costs one call where it costs any.
        if check_database or session is None or not session.stands_for(found.token, self._core):
            session = exchange.session = await self._verified(
                found.token,
                found.info,
                exchange=exchange,
                method=method,
                enable_anti_csrf=csrf.is_enabled_at_core(settings, method),
                echo=csrf.echo(incoming, settings, method, expected),
                check_database=check_database,
            )
        if claim_validators is not None:
            await session.assert_claims(claim_validators)
        return session

    async def refresh_session(self, request: Any, response: Any = None) -> ServerSession:
        """
        Spend the refresh token of a request and give the new pair to the answer.

        Our own route does this; call it to have a route of your own. When it is cancelled, or the
        answer does not reach the front end, the core may have spent the token all the same: the
        front end sends the same one again, which is no theft while nothing of the lost pair was
        used (up to CDI 5.5) or within the core's grace period (from 5.6, 30 s by default).

        Args:
            request: The framework's request.
            response: What gets the tokens where no middleware does that.

        Raises:
            Unauthorised: There is no refresh token, or it is of no session (any more).
            TokenTheftDetected: It was replaced before, and somebody uses it again: has `user_id`,
                `session_handle` and `subtype` (from CDI 5.6). `backend.web.answer_to()` ends
                that session; without a middleware that is yours to do.
            TryRefreshToken: There were cookies of *older_cookie_domain*: they are cleared, and
                the front end has to try once more.
            CoreUnavailable: No host of the core answered; the token is still good.
            ConfigurationError: There are several cookies of one name and no
                *older_cookie_domain*, or *response* can get no tokens.
        """
        exchange = exchange_of(request)
        _check_response(exchange, response)
        try:
            return await self._refreshed(exchange)
        finally:
            # What the rules take away is taken away by whatever becomes the answer.
            if response is not None and not exchange.has_middleware:
                write(exchange.outgoing, response)

    # ── the rest ───────────────────────────────────────────────────────────────────────────────

    async def get_jwks(self) -> list[dict[str, Any]]:
        """
        Return the public keys that verify access tokens, from here while they are fresh.

        Raises:
            CoreUnavailable: They cannot be had for now.
        """
        return [public_half(key) for key in await self._keys.all()]

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _refreshed(self, exchange: Exchange) -> ServerSession:
        incoming, settings, outgoing = exchange.incoming, self.settings, exchange.outgoing
        if carries_legacy(incoming):
            clear_legacy(outgoing, settings)
        found = refresh_token_of(incoming, settings)
        if isinstance(found, DuplicateCookies):
            clear_duplicates(outgoing, settings, found)
            raise RefreshAgain("The request had cookies of an older domain; they are cleared.")
        csrf.check_refresh(incoming, settings, found.method)
        created = await self._core.call(
            calls.refresh_session(
                found.token,
                enable_anti_csrf=csrf.is_enabled_at_core(settings, found.method),
                use_dynamic_signing_key=settings.use_dynamic_access_token_signing_key,
                anti_csrf_token=csrf.token_of(incoming),
            )
        )
        session = self._session(created, exchange, found.method)
        self._hand_over(session, exchange, found.method, None)
        return session

    def _hand_over(
        self, session: ServerSession, exchange: Exchange, method: TransferMethod, response: Any
    ) -> None:
        """Give a new pair to the answer, and take away what the request has of the other method."""
        if carries(exchange.incoming, other(method)):
            clear_tokens(exchange.outgoing, self.settings, other(method))
        session.tell(session.tokens().anti_csrf)
        exchange.session = session
        if response is not None and not exchange.has_middleware:
            write(exchange.outgoing, response)


def _check_response(exchange: Exchange, response: Any) -> None:
    """Refuse before anything is asked of the core: afterwards the tokens would be lost."""
    if exchange.over:
        raise ConfigurationError(SENT)
    if not exchange.has_middleware:
        if response is None:
            raise ConfigurationError(
                "response must be given where the framework's middleware is not installed."
            )
        write(exchange.outgoing, response)
