"""Users as administrators see them, and the way to everything else that they may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs

from async_auth.gotrue.admin.custom_providers import CustomProviders
from async_auth.gotrue.admin.oauth_clients import OAuthClients
from async_auth.gotrue.admin.of_user import UserFactors, UserPasskeys
from async_auth.gotrue.admin.pages import Page, UserPage, page_of, walk
from async_auth.gotrue.admin.sso_providers import SSOProviders
from async_auth.gotrue.admin.values import AuditEntry, GeneratedLink
from async_auth.gotrue.caller import Caller
from async_auth.gotrue.models import User
from async_auth.gotrue.requests import admin, sign_out_request

_PER_PAGE = 50


@attrs.frozen(eq=False)
class Admin:
    """
    What a service-role key may do. Keep such a key on servers.

    A call is made with the token pinned by `set_auth()`, else the client's API key, else the
    session's token. Nothing here changes the client's own session. Every method may be called
    concurrently and raises `ApiError` if the server refuses (`not_admin`, `user_not_found`,
    `email_exists`, …), `TemporaryError` if it may succeed later, and `ConfigurationError` for a
    wrong argument.
    """

    _caller: Caller = attrs.field(repr=False)
    #: Second factors of any user.
    mfa: UserFactors = attrs.field(init=False, repr=False)
    #: Passkeys of any user.
    passkeys: UserPasskeys = attrs.field(init=False, repr=False)
    #: The clients of GoTrue's own OAuth server.
    oauth: OAuthClients = attrs.field(init=False, repr=False)
    #: OAuth and OpenID Connect providers of the project's own.
    custom_providers: CustomProviders = attrs.field(init=False, repr=False)
    #: Companies' identity providers.
    sso_providers: SSOProviders = attrs.field(init=False, repr=False)

    @mfa.default
    def _mfa(self) -> UserFactors:
        return UserFactors(self._caller)

    @passkeys.default
    def _passkeys(self) -> UserPasskeys:
        return UserPasskeys(self._caller)

    @oauth.default
    def _oauth(self) -> OAuthClients:
        return OAuthClients(self._caller)

    @custom_providers.default
    def _custom_providers(self) -> CustomProviders:
        return CustomProviders(self._caller)

    @sso_providers.default
    def _sso_providers(self) -> SSOProviders:
        return SSOProviders(self._caller)

    async def list_users(self, *, page: int | None = None, per_page: int | None = None) -> UserPage:
        """
        Return one page of the users.

        Args:
            page: Which page, from 1.
            per_page: How many on a page; the server's own number is 50.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.list_users_request(
                self._caller.api, bearer, page=page, per_page=per_page
            )
        )
        users = tuple(User.from_json(item) for item in answer.objects("users"))
        return UserPage(**attrs.asdict(page_of(answer.response, users), recurse=False))

    async def iter_users(self, *, per_page: int = _PER_PAGE) -> AsyncIterator[User]:
        """
        Yield every user, a page at a time: `async for user in client.admin.iter_users()`.

        Users that come or go meanwhile may be missed, or seen twice.

        Args:
            per_page: How many are asked for at a time.
        """
        async for user in walk(lambda page: self.list_users(page=page, per_page=per_page)):
            yield user

    async def create_user(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        password: str | None = None,
        password_hash: str | None = None,
        email_confirm: bool | None = None,
        phone_confirm: bool | None = None,
        user_metadata: Mapping[str, Any] | None = None,
        app_metadata: Mapping[str, Any] | None = None,
        role: str | None = None,
        ban_duration: str | None = None,
        id: str | None = None,  # noqa: A002 - GoTrue's word
    ) -> User:
        """
        Create a user; no mail is sent.

        Args:
            email: The address.
            phone: The number.
            password: The password; or
            password_hash: what another system kept of it (bcrypt, Argon2, …).
            email_confirm: Whether the address counts as confirmed.
            phone_confirm: Whether the number counts as confirmed.
            user_metadata: What the user may change as well.
            app_metadata: What the user may not change.
            role: The database role.
            ban_duration: Go's way of writing a duration ("24h"), or "none".
            id: The new user's id; by default the server draws one.
        """
        body = admin.attributes(
            email=email,
            phone=phone,
            password=password,
            password_hash=password_hash,
            email_confirm=email_confirm,
            phone_confirm=phone_confirm,
            user_metadata=user_metadata,
            app_metadata=app_metadata,
            role=role,
            ban_duration=ban_duration,
            id=id,
        )
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.create_user_request(self._caller.api, bearer, body)
        )
        return User.from_json(answer.object())

    async def get_user_by_id(self, user_id: str) -> User:
        """
        Return a user.

        Args:
            user_id: Which one.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.get_user_request(self._caller.api, bearer, user_id)
        )
        return User.from_json(answer.object())

    async def update_user_by_id(
        self,
        user_id: str,
        *,
        email: str | None = None,
        phone: str | None = None,
        password: str | None = None,
        password_hash: str | None = None,
        email_confirm: bool | None = None,
        phone_confirm: bool | None = None,
        user_metadata: Mapping[str, Any] | None = None,
        app_metadata: Mapping[str, Any] | None = None,
        role: str | None = None,
        ban_duration: str | None = None,
    ) -> User:
        """
        Change a user; what is `None` stays as it is.

        Args:
            user_id: Which one.
            email: The address.
            phone: The number.
            password: The password; or
            password_hash: what another system kept of it.
            email_confirm: Whether the address counts as confirmed.
            phone_confirm: Whether the number counts as confirmed.
            user_metadata: What the user may change as well.
            app_metadata: What the user may not change.
            role: The database role.
            ban_duration: Go's way of writing a duration ("24h"), or "none".
        """
        body = admin.attributes(
            email=email,
            phone=phone,
            password=password,
            password_hash=password_hash,
            email_confirm=email_confirm,
            phone_confirm=phone_confirm,
            user_metadata=user_metadata,
            app_metadata=app_metadata,
            role=role,
            ban_duration=ban_duration,
        )
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.update_user_request(self._caller.api, bearer, user_id, body)
        )
        return User.from_json(answer.object())

    async def delete_user(self, user_id: str, *, should_soft_delete: bool = False) -> None:
        """
        Delete a user, whose sessions end at once.

        Args:
            user_id: Which one.
            should_soft_delete: Keep the row, without anything that tells who it was.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.delete_user_request(
                self._caller.api, bearer, user_id, should_soft_delete=should_soft_delete
            )
        )
        answer.check()

    async def invite_user_by_email(
        self,
        email: str,
        *,
        data: Mapping[str, Any] | None = None,
        redirect_to: str | None = None,
    ) -> User:
        """
        Create a user and send an invitation.

        Args:
            email: The address.
            data: Becomes the user's `user_metadata`.
            redirect_to: Where the link in the mail leads.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.invite_request(
                self._caller.api, bearer, email=email, data=data, redirect_to=redirect_to
            )
        )
        return User.from_json(answer.object())

    async def generate_link(
        self,
        *,
        type: str,  # noqa: A002 - GoTrue's word
        email: str,
        password: str | None = None,
        new_email: str | None = None,
        data: Mapping[str, Any] | None = None,
        redirect_to: str | None = None,
    ) -> GeneratedLink:
        """
        Make a link, and the code in it, without sending a mail. The result is a secret.

        Args:
            type: `signup`, `invite`, `magiclink`, `recovery`, `email_change_current` or
                `email_change_new`.
            email: Whom it is for.
            password: The password, for `signup`.
            new_email: The new address, for a change.
            data: Becomes a new user's `user_metadata`.
            redirect_to: Where it leads.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.generate_link_request(
                self._caller.api,
                bearer,
                type=type,
                email=email,
                password=password,
                new_email=new_email,
                data=data,
                redirect_to=redirect_to,
            )
        )
        return GeneratedLink.from_json(answer.object())

    async def sign_out(self, jwt: str, scope: str = "global") -> None:
        """
        Sign a user out, with the user's own access token: GoTrue knows no other way.

        Args:
            jwt: The access token; it must not have expired.
            scope: `global`, `local` or `others`, as for the client's own `sign_out()`.

        Raises:
            AuthSessionMissing: That session is over already.
        """
        request = sign_out_request(self._caller.api, jwt, scope=scope)
        (await self._caller.ask(request)).check()

    async def audit_log(
        self, *, query: str | None = None, page: int | None = None, per_page: int | None = None
    ) -> Page[AuditEntry]:
        """
        Return one page of the audit log, the latest first.

        Args:
            query: What to look for, in the server's own way (`author:ann`, …).
            page: Which page, from 1.
            per_page: How many on a page.
        """
        answer = await self._caller.ask_as_admin(
            lambda bearer: admin.audit_request(
                self._caller.api, bearer, query=query, page=page, per_page=per_page
            )
        )
        entries = tuple(AuditEntry.from_json(item) for item in answer.objects())
        return page_of(answer.response, entries)
