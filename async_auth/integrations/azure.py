"""azure-core: a credential, for every SDK that asks one for `get_token(*scopes)`.

    from azure.data.tables.aio import TableServiceClient
    from async_auth.integrations.azure import Credential

    async with TableServiceClient(endpoint, credential=Credential(client)) as tables:
        ...

It promises a good token at each call, in the shapes of azure-core but without showing it in a
`repr`. It holds no cache: azure-core's own policy keeps what it was given until five minutes
before expiry, and then asks at every request, which costs nothing here. It never closes the
manager: an SDK closes its credential when it is done, and the manager is not its own.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

try:
    from azure.core.credentials import AccessToken, AccessTokenInfo
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.azure needs azure-core: pip install 'async_auth[azure]'."
    ) from missing

from async_auth.session import AccessToken as OurToken
from async_auth.session import fingerprint

if TYPE_CHECKING:
    from azure.core.credentials import TokenRequestOptions

    from async_auth.integrations.refusals import TokenSource

__all__ = ["Credential"]


class ShyToken(AccessToken):
    """azure-core's `AccessToken`, which shows itself by a fingerprint."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"AccessToken(token={fingerprint(self.token)}, expires_on={self.expires_on})"


class ShyTokenInfo(AccessTokenInfo):
    """azure-core's `AccessTokenInfo`, which shows itself by a fingerprint."""

    def __repr__(self) -> str:
        return f"AccessTokenInfo(token={fingerprint(self.token)}, expires_on={self.expires_on})"


class Credential:
    """
    An `AsyncTokenCredential` of azure-core, with the manager's token behind it.

    Give it to any async SDK that takes one, or to `AsyncBearerTokenCredentialPolicy`. It serves
    any number of them. The scopes that they ask for are not looked at: the manager has one token,
    whatever its scopes.

    azure-core tells a credential of a refusal only by a challenge with claims
    (`insufficient_claims`): then the token that was handed out last is refreshed. It hands any
    other 401 back, and asks for a token again with the next request.

    Args:
        manager: Where tokens come from.
    """

    def __init__(self, manager: TokenSource) -> None:
        self._manager = manager
        self._given: OurToken | None = None

    async def get_token(
        self,
        *scopes: str,  # noqa: ARG002 - azure-core's words
        claims: str | None = None,
        tenant_id: str | None = None,  # noqa: ARG002
        enable_cae: bool = False,  # noqa: ARG002
        **options: Any,  # noqa: ARG002
    ) -> AccessToken:
        """
        Return a good token and its expiry, in unix seconds; 0 if that is unknown.

        Args:
            scopes: Not looked at.
            claims: What a refusal has asked for; the token that was refused is refreshed.
            tenant_id: Not looked at.
            enable_cae: Not looked at.
            options: Not looked at.

        Raises:
            SignInRequired: Nobody is signed in.
            TemporaryError: The token has expired and no new one can be had for now.
            ManagerClosed: After `aclose()`.
        """
        token = await self._token(claims)
        return ShyToken(token.value, expiry_of(token))

    async def get_token_info(
        self,
        *scopes: str,  # noqa: ARG002 - azure-core's words
        options: TokenRequestOptions | None = None,
    ) -> AccessTokenInfo:
        """
        Return what `get_token` returns, and the token's type.

        Args:
            scopes: Not looked at.
            options: `claims` as in `get_token`; the others are not looked at.

        Raises what `get_token` raises.
        """
        token = await self._token((options or {}).get("claims"))
        scheme = token.header.partition(" ")[0]
        return ShyTokenInfo(token.value, expiry_of(token), token_type=scheme)

    async def close(self) -> None:
        """Do nothing: the manager is yours to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def _token(self, claims: str | None) -> OurToken:
        refused = self._given if claims else None
        self._given = token = await self._manager.get_token(rejected=refused)
        return token


def expiry_of(token: OurToken) -> int:
    """Return when *token* ends; 0 has azure-core ask again for each request."""
    return 0 if token.expires_at is None else int(token.expires_at)
