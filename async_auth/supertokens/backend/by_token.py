"""What can be done with the tokens of a session, without the request that brought them.

Such as those of a web socket's first message, of another protocol, or of a test. It promises that
a session is verified without asking anybody wherever the rules allow that. Where a request has its
tokens, and what its answer gets, is decided elsewhere; here it is only handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from async_auth.core.web.outgoing import Outgoing
from async_auth.engine.arguments import check_mapping, check_text
from async_auth.errors import ConfigurationError, TryRefreshToken, Unauthorised
from async_auth.ports import Clock
from async_auth.supertokens.access_token import AccessTokenInfo
from async_auth.supertokens.backend import anti_csrf as csrf
from async_auth.supertokens.backend import payloads
from async_auth.supertokens.backend.by_handle import SessionsByHandle
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.known_tokens import KnownTokens
from async_auth.supertokens.backend.session import ServerSession, read_issued
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.client import CoreClient
from async_auth.supertokens.cdi.values import CreatedSession
from async_auth.supertokens.claims.validator import ClaimValidator
from async_auth.supertokens.wire import TransferMethod

_VERSION_2 = 2


class SessionsByToken(SessionsByHandle):
    """
    Sessions at a core, by their tokens. Every method may be called concurrently.

    Args:
        core: Whom it asks.
        clock: What time it is.
        settings: How sessions are treated.
        tokens: Reads and verifies access tokens.
    """

    def __init__(
        self, core: CoreClient, clock: Clock, settings: Settings, tokens: KnownTokens
    ) -> None:
        super().__init__(core, clock)
        self.settings = settings
        self._tokens = tokens

    async def create_new_session_without_request_response(
        self,
        user_id: str,
        *,
        access_token_payload: Mapping[str, Any] | None = None,
        session_data: Mapping[str, Any] | None = None,
        tenant_id: str | None = None,
        disable_anti_csrf: bool = False,
    ) -> ServerSession:
        """
        Begin a session; its tokens are in `session.tokens()`.

        Args:
            user_id: Whose session it is.
            access_token_payload: As for `create_new_session()`.
            session_data: As for `create_new_session()`.
            tenant_id: As for `create_new_session()`.
            disable_anti_csrf: With VIA_TOKEN, for tokens that will travel in headers.

        Raises:
            CoreUnavailable: No host of the core answered.
            ConfigurationError: An argument is wrong.
        """
        return await self._created(
            user_id,
            access_token_payload,
            session_data,
            tenant_id,
            enable_anti_csrf=self._by_token(disabled=disable_anti_csrf),
        )

    @overload
    async def get_session_without_request_response(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        session_required: Literal[True] = True,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession: ...

    @overload
    async def get_session_without_request_response(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        session_required: bool,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession | None: ...

    async def get_session_without_request_response(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool = False,
        claim_validators: Iterable[ClaimValidator] | None = None,
    ) -> ServerSession | None:
        """
        Return the session of an access token, such as one of a web socket's first message.

        If `session.tokens_changed`, the front end needs the new `session.tokens()`.

        Args:
            access_token: The token.
            anti_csrf_token: What came with it.
            session_required: Whether it is an error if *access_token* is no access token at all.
            anti_csrf_check: With VIA_TOKEN, `False` checks nothing, `True` wants the right
                *anti_csrf_token*, `None` wants it where the session has one. With
                VIA_CUSTOM_HEADER there is nothing here to check: say `False`.
            check_database: As for `get_session()`.
            claim_validators: As for `get_session()`.

        Raises:
            TryRefreshToken: The access token will not do.
            Unauthorised: It is none, or the core says that there is no such session.
            InvalidClaims: A claim is not as asked for.
            CoreUnavailable: No host of the core answered, where it had to.
            ConfigurationError: The anti-CSRF check cannot be made without a request.
        """
        check_text("access_token", access_token)
        if anti_csrf_token is not None:
            check_text("anti_csrf_token", anti_csrf_token)
        if anti_csrf_check is not False:
            self._refuse_custom_header("anti_csrf_check=False")
        info = self._tokens.read(access_token)
        if info is None:
            if session_required:
                raise Unauthorised("That is no access token.", clear_tokens=False)
            return None
        expected = info.anti_csrf_token
        wanted = expected is not None if anti_csrf_check is None else anti_csrf_check
        by_token = self.settings.anti_csrf == "VIA_TOKEN" and wanted
        if by_token and not csrf.is_same(anti_csrf_token, expected):
            raise TryRefreshToken("Anti-CSRF check failed: anti_csrf_token is missing, or another.")
        session = await self._verified(
            access_token, info, enable_anti_csrf=by_token, check_database=check_database
        )
        if claim_validators is not None:
            await session.assert_claims(claim_validators)
        return session

    async def refresh_session_without_request_response(
        self,
        refresh_token: str,
        *,
        disable_anti_csrf: bool = False,
        anti_csrf_token: str | None = None,
    ) -> ServerSession:
        """
        Spend a refresh token; the new pair is in `session.tokens()`.

        Args:
            refresh_token: The token.
            disable_anti_csrf: For tokens that travel in headers: with VIA_TOKEN nothing is
                compared then. With VIA_CUSTOM_HEADER there is nothing here to check: say `True`.
            anti_csrf_token: What came with it.

        Raises:
            Unauthorised: It is of no session (any more).
            TokenTheftDetected: It was replaced before, and somebody uses it again.
            CoreUnavailable: No host of the core answered; the token is still good.
            ConfigurationError: The anti-CSRF check cannot be made without a request.
        """
        check_text("refresh_token", refresh_token)
        if anti_csrf_token is not None:
            check_text("anti_csrf_token", anti_csrf_token)
        if not disable_anti_csrf:
            self._refuse_custom_header("disable_anti_csrf=True")
        created = await self._core.call(
            calls.refresh_session(
                refresh_token,
                enable_anti_csrf=self._by_token(disabled=disable_anti_csrf),
                use_dynamic_signing_key=self.settings.use_dynamic_access_token_signing_key,
                anti_csrf_token=anti_csrf_token,
            )
        )
        return self._session(created)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _created(
        self,
        user_id: str,
        payload: Mapping[str, Any] | None,
        data: Mapping[str, Any] | None,
        tenant_id: str | None,
        *,
        enable_anti_csrf: bool,
        exchange: Exchange | None = None,
        method: TransferMethod | None = None,
    ) -> ServerSession:
        check_text("user_id", user_id)
        if not user_id:
            raise ConfigurationError("user_id must not be empty.")
        if data is not None:
            check_mapping("session_data", data)
        settings = self.settings
        created = await self._core.call(
            calls.create_session(
                user_id,
                payload=payloads.created(payload, settings.app.issuer),
                data=data,
                tenant_id=settings.tenant_id if tenant_id is None else tenant_id,
                enable_anti_csrf=enable_anti_csrf,
                use_dynamic_signing_key=settings.use_dynamic_access_token_signing_key,
            )
        )
        return self._session(created, exchange, method)

    async def _verified(
        self,
        token: str,
        info: AccessTokenInfo,
        *,
        enable_anti_csrf: bool,
        check_database: bool,
        exchange: Exchange | None = None,
        method: TransferMethod | None = None,
        echo: str | None = None,
    ) -> ServerSession:
        """Verify an access token, here or at the core. The anti-CSRF check has been made."""
        if info.version > _VERSION_2:
            info = await self._tokens.verify(token, info)
            if info.dynamic_key != self.settings.use_dynamic_access_token_signing_key:
                raise TryRefreshToken("The access token is signed by a key of the other kind.")
        session = ServerSession(
            core=self._core,
            settings=self.settings,
            clock=self._clock,
            info=info,
            access_token=token,
            expires_at=info.expires_at,
            anti_csrf=info.anti_csrf_token,
            transfer_method=method,
            outgoing=Outgoing() if exchange is None else exchange.outgoing,
        )
        if info.committed and not check_database:
            return session
        verified = await self._core.call(
            calls.verify_session(
                token, enable_anti_csrf=enable_anti_csrf, check_database=check_database
            )
        )
        session.payload_update_available = verified.payload_update_available
        if verified.access_token is not None:
            session.renew(verified.access_token, anti_csrf=echo)
        return session

    def _session(
        self,
        created: CreatedSession,
        exchange: Exchange | None = None,
        method: TransferMethod | None = None,
    ) -> ServerSession:
        """Return the session of tokens that the core has just made."""
        session = ServerSession(
            core=self._core,
            settings=self.settings,
            clock=self._clock,
            info=read_issued(created.access_token.value),
            access_token=created.access_token.value,
            expires_at=created.access_token.expires_at,
            refresh_token=created.refresh_token,
            anti_csrf=created.anti_csrf_token,
            transfer_method=method,
            outgoing=Outgoing() if exchange is None else exchange.outgoing,
        )
        if exchange is None:
            session.tell(None)
        return session

    def _by_token(self, *, disabled: bool) -> bool:
        return self.settings.anti_csrf == "VIA_TOKEN" and not disabled

    def _refuse_custom_header(self, instead: str) -> None:
        settings = self.settings
        if settings.anti_csrf == "VIA_CUSTOM_HEADER" and settings.token_transfer_method != "header":
            raise ConfigurationError(
                "anti_csrf is VIA_CUSTOM_HEADER, and without a request there is no header to look "
                f"at. If the token did not come by a cookie, or you have checked, say {instead}."
            )
