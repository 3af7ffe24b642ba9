"""`ServerSession`: a session on the server, as one request has it.

It knows what its access token says, and asks the core for the rest. When its tokens change, the
change goes to the answer of the request that it came with. It belongs to that request: two
requests of one session have two of these, and changes of the claims made in both at once are not
brought together (the core keeps the last).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from async_auth.core.web.outgoing import Outgoing
from async_auth.core.web.responses import write
from async_auth.engine.arguments import check_mapping
from async_auth.errors import (
    ConfigurationError,
    InvalidClaims,
    InvalidToken,
    ProtocolError,
    Unauthorised,
)
from async_auth.ports import Clock
from async_auth.supertokens import access_token as access_tokens
from async_auth.supertokens.access_token import AccessTokenInfo, strip_protected
from async_auth.supertokens.backend.attach import SessionTokens, attach, clear
from async_auth.supertokens.backend.payloads import merged
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.claims.checking import failures, refetch
from async_auth.supertokens.front_token import FrontToken

if TYPE_CHECKING:
    from async_auth.supertokens.backend.settings import Settings
    from async_auth.supertokens.cdi.client import CoreClient
    from async_auth.supertokens.cdi.values import IssuedToken, SessionInformation
    from async_auth.supertokens.claims import ClaimValidator, SessionClaim
    from async_auth.supertokens.wire import TransferMethod

T = TypeVar("T")


@attrs.define(eq=False, repr=False, kw_only=True)
class ServerSession:
    """
    A session, made by a `SuperTokensBackend`. Its repr shows no token.

    `tokens_changed` says whether the front end needs what `tokens()` gives: the session is new,
    was refreshed, got another access token while it was verified, or its claims were changed.

    Every method that asks the core raises `CoreUnavailable` where no host answers. Cancelling one
    leaves the session as it is here; the core may have done what it was asked.

    Args:
        core: Whom it asks.
        settings: How its tokens travel.
        clock: What time it is.
        info: What its access token says.
        access_token: Its access token.
        expires_at: When that expires (unix seconds).
        refresh_token: Its refresh token, where it was just created or refreshed.
        anti_csrf: Its anti-CSRF token.
        transfer_method: How its tokens travel; `None` where there is no request.
        outgoing: What the answer gets.
        payload_update_available: Whether the core has newer claims than the access token; `None`
            if it was not asked, or does not say (before CDI 5.6).
    """

    _core: CoreClient
    _settings: Settings
    _clock: Clock
    _info: AccessTokenInfo
    _access_token: str
    _expires_at: float
    _refresh_token: IssuedToken | None = None
    _anti_csrf: str | None = None
    transfer_method: TransferMethod | None = None
    _outgoing: Outgoing = attrs.field(factory=Outgoing)
    payload_update_available: bool | None = None
    tokens_changed: bool = attrs.field(init=False, default=False)
    _first: str = attrs.field(init=False)
    _payload: dict[str, Any] | None = attrs.field(init=False, default=None)
    _ended: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._first = self._access_token

    def __repr__(self) -> str:
        return f"<ServerSession {self.handle!r} user_id={self.user_id!r}>"

    # ── what it is ─────────────────────────────────────────────────────────────────────────────

    @property
    def user_id(self) -> str:
        """Whose it is: the primary user."""
        return self._info.user_id

    @property
    def recipe_user_id(self) -> str:
        """The login method that it began with."""
        return self._info.recipe_user_id

    @property
    def tenant_id(self) -> str:
        """The tenant that it belongs to."""
        return self._info.tenant_id

    @property
    def handle(self) -> str:
        """What names it, for as long as it lives."""
        return self._info.session_handle

    @property
    def access_token(self) -> str:
        """Its access token as it is now."""
        return self._access_token

    @property
    def expires_at(self) -> float:
        """When its access token expires (unix seconds)."""
        return self._expires_at

    @property
    def access_token_payload(self) -> dict[str, Any]:
        """The access token's claims as they are now, the core's own included: a copy."""
        # A copy, for requests with one token share what was read from it.
        return copy.deepcopy(dict(self._claims()))

    def tokens(self) -> SessionTokens:
        """Return its tokens as they are now, the front token included. They are secrets."""
        refresh_token = self._refresh_token
        return SessionTokens(
            access_token=self._access_token,
            front_token=FrontToken(
                user_id=self.user_id,
                expires_at=self._expires_at,
                payload=self._claims(),
            ).encode(),
            refresh_token=None if refresh_token is None else refresh_token.value,
            refresh_expires_at=0.0 if refresh_token is None else refresh_token.expires_at,
            anti_csrf=self._anti_csrf,
        )

    def attach(self, response: Any, *, transfer_method: TransferMethod | None = None) -> None:
        """
        Give *response* what has changed: new tokens, or that there are none any more.

        Needed where no middleware does it. Twice is fine; without a change nothing is done.

        Args:
            response: A response of aiohttp.web or Starlette (FastAPI), not yet sent.
            transfer_method: How the tokens travel, for a session that came without a request;
                one that came with one has its own. By default `header`.

        Raises:
            ConfigurationError: It is no response that can get tokens, *transfer_method* is no
                such method, or no browser would keep the cookies.
        """
        if self.transfer_method is not None:
            write(self._outgoing, response)
            return
        outgoing, method = Outgoing(), transfer_method or "header"
        if method not in ("header", "cookie"):
            raise ConfigurationError("transfer_method must be 'header', 'cookie' or None.")
        if method == "cookie":
            self._settings.check_cookies()
        if self._ended:
            clear(outgoing, self._settings, method)
        elif self.tokens_changed:
            attach(outgoing, self._settings, method, self.tokens(), now=self._clock.now())
        write(outgoing, response)

    # ── what the core has of it ────────────────────────────────────────────────────────────────

    async def revoke_session(self) -> None:
        """
        End it. The answer takes its tokens away even if the core knew it no more.

        Raises:
            CoreUnavailable: No host answered; the tokens are left, so that it can be tried again.
        """
        await self._core.call(calls.remove_sessions([self.handle]))
        self._ended = True
        if self.transfer_method is not None:
            clear(self._outgoing, self._settings, self.transfer_method)

    async def get_session_data(self) -> dict[str, Any]:
        """
        Return the data that stays on the server.

        Raises:
            Unauthorised: There is no such session any more.
            CoreUnavailable: No host answered.
        """
        return dict((await self._information()).session_data)

    async def update_session_data(self, data: Mapping[str, Any]) -> None:
        """
        Replace the data that stays on the server.

        Args:
            data: All of it: plain JSON.

        Raises:
            Unauthorised: There is no such session any more.
            CoreUnavailable: No host answered.
            ConfigurationError: *data* is not JSON.
        """
        check_mapping("data", data)
        if not await self._core.call(calls.update_session_data(self.handle, data)):
            raise _gone()

    async def get_time_created(self) -> float:
        """Return when it began (unix seconds); raises as `get_session_data()`."""
        return (await self._information()).created_at

    async def get_expiry(self) -> float:
        """Return when it ends unless it is refreshed (unix seconds); as `get_session_data()`."""
        return (await self._information()).expires_at

    # ── its claims ─────────────────────────────────────────────────────────────────────────────

    async def merge_into_access_token_payload(self, update: Mapping[str, Any]) -> None:
        """
        Change its custom claims, and its access token with them.

        If the access token has expired meanwhile, the claims change at the core and in this
        object; the front end gets them with its next refresh.

        Args:
            update: Claims to set; `None` as a value removes one. The core's own are passed over.

        Raises:
            Unauthorised: There is no such session any more.
            CoreUnavailable: No host answered.
            ConfigurationError: *update* is not JSON.
        """
        claims = self._claims()
        custom = merged(claims, update)
        answer = await self._core.call(calls.regenerate_session(self._access_token, custom))
        if answer.access_token is None:
            own = {name: claims[name] for name in claims if name in access_tokens.PROTECTED}
            self._payload = {**own, **answer.payload}
            return
        self.renew(answer.access_token)

    async def assert_claims(self, validators: Iterable[ClaimValidator]) -> None:
        """
        Check its claims, after fetching those that are missing or too old.

        Args:
            validators: What is asked of them.

        Raises:
            InvalidClaims: Something is not as asked; `.reasons` says what.
            Unauthorised: A claim was fetched, and there is no such session any more.
            CoreUnavailable: A claim was fetched, and no host answered.
            Exception: Whatever a claim's `fetch_value` or a validator raises.
        """
        validators = tuple(validators)
        if not validators:
            return
        changes = await refetch(
            validators,
            self.access_token_payload,
            user_id=self.user_id,
            recipe_user_id=self.recipe_user_id,
            tenant_id=self.tenant_id,
            now=self._clock.now(),
        )
        if strip_protected(changes):
            await self.merge_into_access_token_payload(changes)
        reasons = await failures(validators, self.access_token_payload, now=self._clock.now())
        if reasons:
            raise InvalidClaims("The session's claims are not as asked for.", reasons=reasons)

    async def fetch_and_set_claim(self, claim: SessionClaim[Any]) -> None:
        """Fetch a claim and set it; one without a value is left as it is. Raises as a merge."""
        now, payload = self._clock.now(), self.access_token_payload
        found = await claim.build(
            self.user_id, self.recipe_user_id, self.tenant_id, payload, now=now
        )
        if found:
            await self.merge_into_access_token_payload(found)

    async def set_claim_value(self, claim: SessionClaim[T], value: T) -> None:
        """Set a claim. Raises as `merge_into_access_token_payload()`."""
        update = claim.add_to_payload({}, value, now=self._clock.now())
        await self.merge_into_access_token_payload(update)

    async def get_claim_value(self, claim: SessionClaim[T]) -> T | None:
        """Return a claim's value in the access token, `None` if it has none. Asks nobody."""
        return claim.get_value(self.access_token_payload)

    async def remove_claim(self, claim: SessionClaim[Any]) -> None:
        """Remove a claim. Raises as `merge_into_access_token_payload()`."""
        await self.merge_into_access_token_payload(claim.remove_from_payload_by_merge({}))

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    def _claims(self) -> Mapping[str, Any]:
        return self._info.payload if self._payload is None else self._payload

    # For the back end that made it:

    def stands_for(self, token: str, core: CoreClient) -> bool:
        """
        Whether it is what *core* made of this access token, which has not expired since.

        A web socket's request may go on for longer than its token.
        """
        lives = not self._ended and self._clock.now() < self._info.expires_at
        return lives and self._first == token and self._core is core

    def renew(self, token: IssuedToken, *, anti_csrf: str | None = None) -> None:
        """
        Take another access token, and let the answer have it.

        Args:
            token: What the core has made.
            anti_csrf: What the answer says in `anti-csrf`.
        """
        self._info = read_issued(token.value)
        self._access_token, self._expires_at, self._payload = token.value, token.expires_at, None
        self.tell(anti_csrf)

    def tell(self, anti_csrf: str | None) -> None:
        """
        Let the answer have the tokens as they are now.

        Args:
            anti_csrf: What the answer says in `anti-csrf`.
        """
        self.tokens_changed = True
        if self.transfer_method is not None:
            tokens = attrs.evolve(self.tokens(), anti_csrf=anti_csrf)
            attach(
                self._outgoing, self._settings, self.transfer_method, tokens, now=self._clock.now()
            )

    async def _information(self) -> SessionInformation:
        found = await self._core.call(calls.session_information(self.handle))
        if found is None:
            raise _gone()
        return found


def read_issued(token: str) -> AccessTokenInfo:
    """
    Return what an access token says that the core has just made.

    Raises:
        ProtocolError: It is none of a version that is known here.
    """
    try:
        return access_tokens.parse(token)
    except InvalidToken as error:
        raise ProtocolError("The core's access token is not one that is known here.") from error


def _gone() -> Unauthorised:
    return Unauthorised("There is no such session any more.")
