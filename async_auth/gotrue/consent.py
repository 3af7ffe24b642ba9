"""The consent page of GoTrue's own OAuth server: `client.oauth`.

Another program asks for access to the user's account; here the user who is signed in looks at
that, says yes or no, and takes it back later. The addresses that come of it hold codes and are
in no `repr`.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.json_object import TEXT, TEXTS, TIME, JsonObject, nested
from async_auth.gotrue.requests import consent


@attrs.frozen(kw_only=True)
class OAuthApplication(JsonObject):
    """
    A program that asks for access.

    Args:
        id: Its client id.
        name: Its name.
        uri: Its page.
        logo_uri: Its picture.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    name: str = attrs.field(default="", metadata=TEXT)
    uri: str | None = attrs.field(default=None, metadata=TEXT)
    logo_uri: str | None = attrs.field(default=None, repr=False, metadata=TEXT)


@attrs.frozen(kw_only=True)
class OAuthUser(JsonObject):
    """
    Whom a consent is about.

    Args:
        id: The user's id.
        email: The user's address.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    email: str | None = attrs.field(default=None, repr=False, metadata=TEXT)


@attrs.frozen(kw_only=True)
class AuthorizationDetails(JsonObject):
    """
    What is asked for; or, where it was granted before, only where the browser goes.

    Args:
        authorization_id: Which authorization.
        client: Who asks.
        user: Whose account it is.
        scope: What is asked for, separated by spaces.
        redirect_uri: Where the browser will go.
        redirect_url: Where the browser goes at once: there is nothing to ask.
    """

    authorization_id: str = attrs.field(default="", metadata=TEXT)
    client: OAuthApplication | None = attrs.field(
        default=None, metadata=nested(lambda: OAuthApplication)
    )
    user: OAuthUser | None = attrs.field(default=None, metadata=nested(lambda: OAuthUser))
    scope: str = attrs.field(default="", metadata=TEXT)
    redirect_uri: str | None = attrs.field(default=None, metadata=TEXT)
    redirect_url: str | None = attrs.field(default=None, repr=False, metadata=TEXT)


@attrs.frozen(kw_only=True)
class OAuthGrant(JsonObject):
    """
    What was granted to a program.

    Args:
        client: To whom.
        scopes: What.
        granted_at: When.
    """

    client: OAuthApplication | None = attrs.field(
        default=None, metadata=nested(lambda: OAuthApplication)
    )
    scopes: tuple[str, ...] = attrs.field(default=(), metadata=TEXTS)
    granted_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(eq=False)
class Consent:
    """
    The decisions of the user who is signed in; every method may be called concurrently.

    Every method raises `AuthSessionMissing` if nobody is signed in or the session is over,
    `ApiError` if the server refuses (`oauth_authorization_not_found`,
    `oauth_consent_not_found`, …), `TemporaryError` if it may succeed later, and
    `ConfigurationError` for a wrong argument.
    """

    _caller: Caller = attrs.field(repr=False)

    async def get_authorization_details(self, authorization_id: str) -> AuthorizationDetails:
        """
        Return what is asked for. It has to be called before a decision: it claims the request.

        Args:
            authorization_id: What the consent page was given in its address.
        """
        found = await self._caller.ask_as_user(
            lambda token: consent.details_request(self._caller.api, token, authorization_id),
            Answer.object,
        )
        return AuthorizationDetails.from_json(found)

    async def approve_authorization(self, authorization_id: str) -> str:
        """
        Say yes, once, and return where the browser goes: an address with a code, a secret.

        Args:
            authorization_id: Which one.
        """
        return await self._decide(authorization_id, "approve")

    async def deny_authorization(self, authorization_id: str) -> str:
        """
        Say no, once, and return where the browser goes.

        Args:
            authorization_id: Which one.
        """
        return await self._decide(authorization_id, "deny")

    async def list_grants(self) -> tuple[OAuthGrant, ...]:
        """Return what the user has granted, and to whom."""
        found = await self._caller.ask_as_user(
            lambda token: consent.grants_request(self._caller.api, token), Answer.objects
        )
        return tuple(OAuthGrant.from_json(item) for item in found)

    async def revoke_grant(self, client_id: str) -> None:
        """
        Take back what was granted to a program; its sessions end.

        Args:
            client_id: To which one.
        """
        await self._caller.ask_as_user(
            lambda token: consent.revoke_request(self._caller.api, token, client_id),
            Answer.check,
        )

    async def _decide(self, authorization_id: str, action: str) -> str:
        return await self._caller.ask_as_user(
            lambda token: consent.decision_request(
                self._caller.api, token, authorization_id, action=action
            ),
            lambda answer: answer.text("redirect_url"),
        )
