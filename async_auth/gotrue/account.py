"""The user who is signed in: asking for it, changing it, and the ways it signs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.events import UserUpdated
from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.models import AuthResponse, Identity, OAuthResponse, User
from async_auth.gotrue.pkce import PkceRing, challenge_of, id_of
from async_auth.gotrue.requests import sign_in, user, user_request
from async_auth.http_messages import Request


class Account:
    """The client's methods about the user who is signed in."""

    #: `pkce` or `implicit`: what links and browsers bring back, a code or the tokens themselves.
    flow: str
    _caller: Caller
    _ring: PkceRing

    async def get_user(self, jwt: str | None = None) -> User:
        """
        Return the user that an access token belongs to, as the server knows it now.

        Args:
            jwt: The access token; by default the pinned one, else the session's, which is
                refreshed and sent once more if the server refuses it.

        Raises:
            AuthSessionMissing: Nobody is signed in; or the server says that the session is
                over: then it is over here as well (`SignedOut`).
            UserDoesntExist: The token's user does not exist.
            ApiError: The server refused the token.
            TemporaryError: Try again later.
        """
        if jwt is not None:
            return (await self._caller.ask(user_request(self._caller.api, jwt))).user()
        return await self._caller.ask_as_user(
            lambda token: user_request(self._caller.api, token), Answer.user
        )

    async def update_user(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        password: str | None = None,
        current_password: str | None = None,
        nonce: str | None = None,
        data: Mapping[str, Any] | None = None,
        channel: str | None = None,
        redirect_to: str | None = None,
    ) -> User:
        """
        Change the user who is signed in; the session has the new user afterwards (`UserUpdated`).

        A new address or number may have to be confirmed first: until then it stands in the
        user's `new_email` or `new_phone`. A new password ends the user's other sessions.

        Args:
            email: The new address.
            phone: The new number.
            password: The new password.
            current_password: The old one, where the server wants it.
            nonce: The code that `reauthenticate()` had sent, where the server wants it.
            data: What changes in the user's `user_metadata`.
            channel: `sms` or `whatsapp`, with a phone.
            redirect_to: Where the link that confirms a new address leads.

        Raises:
            WeakPassword: The password breaks the server's rules; `.reasons` says which.
            ApiError: The server refused (`same_password`, `email_exists`,
                `reauthentication_needed`, `insufficient_aal`, …).
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
            ConfigurationError: Nothing is to change, or an argument is wrong.
        """
        wanted = self.flow == "pkce" and email is not None
        async with self._ring.beginning(wanted=wanted) as flow:

            def build(token: str) -> Request:
                return user.update_user_request(
                    self._caller.api,
                    token,
                    email=email,
                    phone=phone,
                    password=password,
                    current_password=current_password,
                    nonce=nonce,
                    data=data,
                    channel=channel,
                    redirect_to=redirect_to,
                    code_challenge=challenge_of(flow),
                )

            answer, changed = await self._caller.ask_as_user(
                build, lambda answer: (answer, answer.user())
            )
        if answer.session is not None:
            await self._caller.manager.replace_user(answer.session, changed)
        return changed

    async def reauthenticate(self) -> None:
        """
        Have a code sent to the user who is signed in, for `update_user(nonce=…)`.

        Raises:
            RateLimited: Too soon after the last one; `.retry_after` says by how much.
            ApiError: The server refused.
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
        """
        await self._caller.ask_as_user(
            lambda token: user.reauthenticate_request(self._caller.api, token), Answer.check
        )

    async def get_user_identities(self) -> tuple[Identity, ...]:
        """
        Return the ways in which the user can sign in, as the server knows them now.

        Raises:
            AuthError: As `get_user()`.
        """
        return (await self.get_user()).identities or ()

    async def link_identity(
        self,
        provider: str,
        *,
        redirect_to: str | None = None,
        scopes: str | None = None,
        query_params: Mapping[str, str] | None = None,
    ) -> OAuthResponse:
        """
        Return the address at which the user adds an identity with a browser.

        As `sign_in_with_oauth()`, but for the user who is signed in.

        Args:
            provider: `github`, `google`, … as the server names them.
            redirect_to: Where the browser is sent in the end.
            scopes: The provider's scopes, separated by spaces.
            query_params: What the provider is told besides.

        Raises:
            ApiError: The server refused (`manual_linking_disabled`, …).
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
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
            url = await self._caller.ask_as_user(
                lambda token: user.link_identity_request(self._caller.api, token, query),
                lambda answer: answer.text("url"),
            )
        return OAuthResponse(provider=provider, url=url, flow_id=id_of(flow))

    async def link_identity_with_id_token(
        self,
        *,
        provider: str,
        token: str,
        access_token: str | None = None,
        nonce: str | None = None,
        captcha_token: str | None = None,
    ) -> AuthResponse:
        """
        Add an identity by an OpenID Connect token to the user who is signed in (`UserUpdated`).

        The server answers with a session of its own, which becomes the current one. Its user
        lacks the new identity still; `get_user_identities()` has it.

        Args:
            provider: Who issued the token: `google`, `apple`, …
            token: The id token.
            access_token: The provider's access token, if the id token has an `at_hash`.
            nonce: What the id token holds the SHA-256 of, if it has one.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The server refused (`identity_already_exists`, …).
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        order = self._caller.manager.begin_sign_in()

        def build(bearer: str) -> Request:
            return sign_in.id_token_request(
                self._caller.api,
                provider=provider,
                id_token=token,
                access_token=access_token,
                nonce=nonce,
                captcha_token=captcha_token,
                bearer=bearer,
            )

        return await self._caller.upgrade(build, event=UserUpdated, order=order)

    async def unlink_identity(self, identity: Identity | str) -> None:
        """
        Take an identity away from the user who is signed in.

        Args:
            identity: The identity, or its `identity_id`.

        Raises:
            ApiError: The server refused (`single_identity_not_deletable`, …).
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
            ConfigurationError: *identity* is neither.
        """
        name = identity.identity_id if isinstance(identity, Identity) else identity
        await self._caller.ask_as_user(
            lambda token: user.unlink_identity_request(self._caller.api, token, name),
            Answer.check,
        )
