"""Signing in with somebody else's word: a browser at a provider, a company, a token, a wallet.

What happens in the browser, or in the wallet, is the program's business: here are the address to
open, and the calls for what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import AuthSessionMissing, ProtocolError, SignInRequired
from async_auth.events import Event, PasswordRecovery, SignedIn
from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.failures import read_refusal
from async_auth.gotrue.models import AuthResponse, OAuthResponse, SSOResponse
from async_auth.gotrue.parsing import date_of, session_in
from async_auth.gotrue.pkce import PkceFlow, PkceRing, challenge_of, id_of
from async_auth.gotrue.redirects import read_redirect
from async_auth.gotrue.requests import sign_in, user_request

#: What the server says of a code whose flow nothing can finish any more.
_FLOW_OVER = ("flow_state_expired", "flow_state_already_used")


class SigningInElsewhere:
    """The client's methods for browsers, companies, tokens and wallets."""

    #: `pkce` or `implicit`: what the browser brings back, a code or the tokens themselves.
    flow: str
    _caller: Caller
    _ring: PkceRing

    async def sign_in_with_oauth(
        self,
        provider: str,
        *,
        redirect_to: str | None = None,
        scopes: str | None = None,
        query_params: Mapping[str, str] | None = None,
    ) -> OAuthResponse:
        """
        Return the address at which the user signs in with a browser; sends nothing.

        With the flow `pkce` the browser ends at *redirect_to* with a `code` for
        `exchange_code_for_session()`, to be given the response's `flow_id`.

        Args:
            provider: `github`, `google`, … as the server names them.
            redirect_to: Where the browser is sent in the end.
            scopes: The provider's scopes, separated by spaces.
            query_params: What the provider is told besides (`login_hint`, `prompt`, …).

        Raises:
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self.flow == "pkce") as flow:
            query = sign_in.authorize_query(
                provider=provider,
                redirect_to=redirect_to,
                scopes=scopes,
                query_params=query_params,
                code_challenge=challenge_of(flow),
            )
        url = sign_in.authorize_url(self._caller.api, query)
        return OAuthResponse(provider=provider, url=url, flow_id=id_of(flow))

    async def sign_in_with_sso(
        self,
        *,
        domain: str | None = None,
        provider_id: str | None = None,
        redirect_to: str | None = None,
        captcha_token: str | None = None,
    ) -> SSOResponse:
        """
        Return the address at which a company's user signs in with a browser.

        Args:
            domain: The company's domain; or
            provider_id: the identity provider's id. Exactly one of the two.
            redirect_to: Where the browser is sent in the end.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The server refused (`sso_provider_not_found`, …).
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self.flow == "pkce") as flow:
            request = sign_in.sso_request(
                self._caller.api,
                domain=domain,
                provider_id=provider_id,
                redirect_to=redirect_to,
                captcha_token=captcha_token,
                code_challenge=challenge_of(flow),
            )
            url = (await self._caller.ask(request)).text("url")
        return SSOResponse(url=url, flow_id=id_of(flow))

    async def exchange_code_for_session(
        self, code: str, *, flow_id: str | None = None
    ) -> AuthResponse:
        """
        Sign in with the `code` that a link or a browser brought back.

        The new session becomes the current one: `PasswordRecovery` if the flow began with
        `reset_password_for_email()`, `SignedIn` otherwise. The flow may have begun in another
        process that shares the store. It stays there until it succeeds or is over at the server,
        a day at most; `sign_out()` forgets it.

        Args:
            code: The code, which is good for one sign-in within minutes.
            flow_id: Which flow it belongs to. Without it the latest ones are tried, the newest
                first: a wrong one does not spend the code.

        Raises:
            SignInRequired: No such flow waits here (`pkce_code_verifier_not_found`).
            ApiError: The server refused (`flow_state_not_found`, `flow_state_expired`,
                `bad_code_verifier`, …).
            StoreError: The store cannot be read.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        order = self._caller.manager.begin_sign_in()
        waiting = await self._ring.waiting()
        flows = [flow for flow in waiting if flow_id is None or flow.id == flow_id]
        if not flows:
            raise SignInRequired(
                "No sign-in that was begun here, or in a process with the same store, waits for "
                "this code; begin anew.",
                code="pkce_code_verifier_not_found",
            )
        answer, flow = await self._exchange(code, flows)
        if flow_id is not None and read_refusal(answer.response).code in _FLOW_OVER:
            await self._ring.end(flow)
        response = await self._finish(answer, flow, order=order)
        await self._ring.end(flow)
        return response

    async def get_session_from_url(self, url: str, *, flow_id: str | None = None) -> AuthResponse:
        """
        Sign in with the address at which a browser ended, whatever that brings.

        With the flow `pkce` it has a code, and this is `exchange_code_for_session()`. With the
        flow `implicit` it has the tokens themselves, which the server is asked about first.
        Where an e-mail change wants both addresses confirmed, the first link gives neither a
        user nor a session. `PasswordRecovery` or `SignedIn` is published.

        Args:
            url: The whole address, with its query and its fragment. A program that sees only
                what its server is sent has no fragment, and needs the flow `pkce`.
            flow_id: Which flow a code belongs to.

        Raises:
            ApiError: The browser brought an error (`access_denied`, `otp_expired`, …), or the
                server refused what it brought.
            AuthSessionMissing: There is nothing of a sign-in in the address.
            SignInRequired: No such flow waits here.
            ProtocolError: The address brings tokens, and the flow is `pkce`: anybody can make
                up an address that signs in as somebody else.
            StoreError: The store cannot be read.
            TemporaryError: Try again later; so said the server, or the browser
                (`server_error`, `temporarily_unavailable`).
            ConfigurationError: An argument is wrong.
        """
        order = self._caller.manager.begin_sign_in()
        found = read_redirect(url)
        if found.code is not None:
            return await self.exchange_code_for_session(found.code, flow_id=flow_id)
        if found.tokens is None:
            return AuthResponse(None, None)
        if self.flow == "pkce":
            raise ProtocolError(
                "The address brings tokens and no code: only a client with flow='implicit' takes "
                "them."
            )
        event = PasswordRecovery if found.recovery else SignedIn
        return await self._take(found.tokens, event=event, order=order)

    async def sign_in_with_id_token(
        self,
        *,
        provider: str,
        token: str,
        access_token: str | None = None,
        nonce: str | None = None,
        captcha_token: str | None = None,
    ) -> AuthResponse:
        """
        Sign in with an OpenID Connect token that a provider issued (`SignedIn`).

        Args:
            provider: Who issued it: `google`, `apple`, …
            token: The id token.
            access_token: The provider's access token, if the id token has an `at_hash`.
            nonce: What the id token holds the SHA-256 of, if it has one.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The server refused the token.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        request = sign_in.id_token_request(
            self._caller.api,
            provider=provider,
            id_token=token,
            access_token=access_token,
            nonce=nonce,
            captcha_token=captcha_token,
        )
        return await self._caller.sign_in(request)

    async def sign_in_with_web3(
        self, *, chain: str, message: str, signature: str, captcha_token: str | None = None
    ) -> AuthResponse:
        """
        Sign in with a message that a wallet has signed (`SignedIn`).

        Args:
            chain: `ethereum` or `solana`.
            message: The text that was signed (EIP-4361, or Solana's like it).
            signature: The signature: hexadecimal for Ethereum, base64url for Solana.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The server refused the signature.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        request = sign_in.web3_request(
            self._caller.api,
            chain=chain,
            message=message,
            signature=signature,
            captcha_token=captcha_token,
        )
        return await self._caller.sign_in(request)

    async def _take(
        self, tokens: Mapping[str, Any], *, event: type[Event], order: int
    ) -> AuthResponse:
        """Ask whose the tokens are, and make them the current session."""
        request = user_request(self._caller.api, tokens["access_token"])
        answer = await self._caller.ask(request)
        body = {**tokens, "user": answer.user().to_json()}
        session = session_in(
            body,
            sent_at=answer.sent_at,
            now=answer.now,
            server_date=date_of(answer.response),
        )
        if session is None:
            raise AuthSessionMissing("Auth session missing! The address has no refresh token.")
        adopted = await self._caller.manager.adopt(session, event=event, order=order)
        return AuthResponse(adopted.user, adopted)

    async def _finish(self, answer: Answer, flow: PkceFlow, *, order: int) -> AuthResponse:
        """Make the session that a code was exchanged for the current one."""
        event = PasswordRecovery if flow.recovery else SignedIn
        return await self._caller.adopt(answer, event=event, order=order)

    async def _exchange(self, code: str, flows: list[PkceFlow]) -> tuple[Answer, PkceFlow]:
        """Return the first answer that is not about a wrong verifier, and the flow it is to."""
        *others, newest = flows
        answer, flow = await self._try(code, newest), newest
        while others and read_refusal(answer.response).code == "bad_code_verifier":
            flow = others.pop()
            answer = await self._try(code, flow)
        return answer, flow

    async def _try(self, code: str, flow: PkceFlow) -> Answer:
        request = sign_in.exchange_request(self._caller.api, code=code, code_verifier=flow.verifier)
        return await self._caller.ask(request)
