"""Signing up and in with what a user knows or is sent: passwords, codes, links.

The half of the client that needs no browser; `elsewhere` is the other. Every method that makes a
session makes it the current one; one that fails leaves the session there was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.events import PasswordRecovery, SignedIn
from async_auth.gotrue import requests
from async_auth.gotrue.caller import Caller
from async_auth.gotrue.models import AuthResponse, OtpResponse
from async_auth.gotrue.pkce import PkceFlow, PkceRing, challenge_of, id_of
from async_auth.gotrue.requests import otp


class SigningIn:
    """The client's methods for passwords, codes and links."""

    #: `pkce` or `implicit`: what the links in mails bring, a code or the tokens themselves.
    flow: str
    _caller: Caller
    _ring: PkceRing

    async def sign_up(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        password: str,
        data: Mapping[str, Any] | None = None,
        redirect_to: str | None = None,
        captcha_token: str | None = None,
        channel: str | None = None,
    ) -> AuthResponse:
        """
        Create a user.

        Where the server wants the address confirmed first, there is a user and no session, and
        nothing changes here; otherwise the new session becomes the current one (`SignedIn`).

        Args:
            email: The address; or
            phone: the number. Exactly one of the two.
            password: The password.
            data: Becomes the user's `user_metadata`.
            redirect_to: Where the link in the confirmation mail leads.
            captcha_token: What the CAPTCHA gave.
            channel: `sms` or `whatsapp`, with a phone.

        Raises:
            WeakPassword: The password breaks the server's rules; `.reasons` says which.
            ApiError: The server refused (`user_already_exists`, `signup_disabled`, …).
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self._by_link(email)) as flow:
            request = requests.sign_up_request(
                self._caller.api,
                email=email,
                phone=phone,
                password=password,
                data=data,
                redirect_to=redirect_to,
                captcha_token=captcha_token,
                channel=channel,
                code_challenge=challenge_of(flow),
            )
            response = await self._caller.sign_in(request, session_required=False)
        if flow is not None and response.session is not None:
            await self._ring.end(flow)
        return response

    async def sign_in_with_password(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        password: str,
        captcha_token: str | None = None,
    ) -> AuthResponse:
        """
        Sign in; the new session becomes the current one (`SignedIn`).

        A sign-in that fails leaves the session there was.

        Args:
            email: The address; or
            phone: the number. Exactly one of the two.
            password: The password.
            captcha_token: What the CAPTCHA gave.

        Raises:
            InvalidCredentials: Wrong address, number or password.
            ApiError: The server refused (`email_not_confirmed`, `user_banned`, …).
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        request = requests.password_request(
            self._caller.api,
            email=email,
            phone=phone,
            password=password,
            captcha_token=captcha_token,
        )
        return await self._caller.sign_in(request)

    async def sign_in_anonymously(
        self, *, data: Mapping[str, Any] | None = None, captcha_token: str | None = None
    ) -> AuthResponse:
        """
        Create an anonymous user and sign in as that (`SignedIn`).

        Args:
            data: Becomes the user's `user_metadata`.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The server refused (`anonymous_provider_disabled`, …).
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        request = requests.anonymous_request(
            self._caller.api, data=data, captcha_token=captcha_token
        )
        return await self._caller.sign_in(request)

    async def sign_in_with_otp(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        should_create_user: bool = True,
        data: Mapping[str, Any] | None = None,
        redirect_to: str | None = None,
        captcha_token: str | None = None,
        channel: str | None = None,
    ) -> OtpResponse:
        """
        Have a code sent: in a mail, which also holds a magic link, or as a message.

        The code goes to `verify_otp()`. With the flow `pkce` the link brings a code for
        `exchange_code_for_session()`. Nothing changes here until then.

        Args:
            email: The address; or
            phone: the number. Exactly one of the two.
            should_create_user: Whether somebody unknown becomes a new user.
            data: Becomes a new user's `user_metadata`.
            redirect_to: Where the link leads.
            captcha_token: What the CAPTCHA gave.
            channel: `sms` or `whatsapp`, with a phone.

        Raises:
            ApiError: The server refused (`otp_disabled`, `signup_disabled`, …).
            RateLimited: Too soon after the last one; `.retry_after` says by how much.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self._by_link(email)) as flow:
            request = otp.otp_request(
                self._caller.api,
                email=email,
                phone=phone,
                should_create_user=should_create_user,
                data=data,
                redirect_to=redirect_to,
                captcha_token=captcha_token,
                channel=channel,
                code_challenge=challenge_of(flow),
            )
            answer = (await self._caller.ask(request)).object()
        return _otp_response(answer, flow)

    async def verify_otp(
        self,
        *,
        type: str,  # noqa: A002 - the name that auth-js and supabase-py give it
        token: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        token_hash: str | None = None,
        redirect_to: str | None = None,
        captcha_token: str | None = None,
    ) -> AuthResponse:
        """
        Sign in with a code that was sent, or with the hash that the link in a mail holds.

        The new session becomes the current one: `PasswordRecovery` if *type* is `recovery`,
        `SignedIn` otherwise. Where an e-mail change wants both addresses confirmed, the first
        code gives neither a user nor a session, and nothing changes here.

        Args:
            type: `email`, `signup`, `invite`, `magiclink`, `recovery`, `email_change`, `sms`
                or `phone_change`.
            token: The code, with
            email: the address, or
            phone: the number that it went to. Or:
            token_hash: the hash, alone.
            redirect_to: Sent as auth-js sends it; GoTrue makes no use of it here.
            captcha_token: What the CAPTCHA gave.

        Raises:
            ApiError: The code is wrong, used, or too old (`otp_expired` for all three).
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        request = otp.verify_request(
            self._caller.api,
            type=type,
            token=token,
            email=email,
            phone=phone,
            token_hash=token_hash,
            redirect_to=redirect_to,
            captcha_token=captcha_token,
        )
        event = PasswordRecovery if type == "recovery" else SignedIn
        return await self._caller.sign_in(request, event=event, session_required=False)

    async def resend(
        self,
        *,
        type: str,  # noqa: A002 - the name that auth-js and supabase-py give it
        email: str | None = None,
        phone: str | None = None,
        redirect_to: str | None = None,
        captcha_token: str | None = None,
    ) -> OtpResponse:
        """
        Have a mail or a message sent once more.

        Args:
            type: `signup` or `email_change` with an address, `sms` or `phone_change` with a
                number.
            email: The address; or
            phone: the number.
            redirect_to: Where the link leads.
            captcha_token: What the CAPTCHA gave.

        Raises:
            RateLimited: Too soon after the last one; `.retry_after` says by how much.
            ApiError: The server refused.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self._by_link(email)) as flow:
            request = otp.resend_request(
                self._caller.api,
                type=type,
                email=email,
                phone=phone,
                redirect_to=redirect_to,
                captcha_token=captcha_token,
                code_challenge=challenge_of(flow),
            )
            answer = (await self._caller.ask(request)).object()
        return _otp_response(answer, flow)

    async def reset_password_for_email(
        self, email: str, *, redirect_to: str | None = None, captcha_token: str | None = None
    ) -> OtpResponse:
        """
        Have a mail sent to whoever has lost the password; an unknown address is no error.

        Its code goes to `verify_otp(type="recovery")`, its link leads to
        `exchange_code_for_session()`: both sign in (`PasswordRecovery`), so that
        `update_user(password=…)` can set a new one.

        Args:
            email: The address.
            redirect_to: Where the link leads.
            captcha_token: What the CAPTCHA gave.

        Raises:
            RateLimited: Too soon after the last one; `.retry_after` says by how much.
            ApiError: The server refused.
            TemporaryError: Try again later.
            ConfigurationError: An argument is wrong.
        """
        async with self._ring.beginning(wanted=self._by_link(email), recovery=True) as flow:
            request = otp.recover_request(
                self._caller.api,
                email=email,
                redirect_to=redirect_to,
                captcha_token=captcha_token,
                code_challenge=challenge_of(flow),
            )
            answer = (await self._caller.ask(request)).object()
        return _otp_response(answer, flow)

    def _by_link(self, email: str | None) -> bool:
        return self.flow == "pkce" and email is not None


def _otp_response(answer: Mapping[str, Any], flow: PkceFlow | None) -> OtpResponse:
    return attrs.evolve(OtpResponse.from_json(answer), flow_id=id_of(flow))
