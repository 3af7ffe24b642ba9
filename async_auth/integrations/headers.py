"""The token as headers, for any library that has no adapter of its own here.

It promises a good token at each call, and a refresh when it is told which headers were refused.
It sends nothing, so where the headers go is for its user to watch.
"""

from __future__ import annotations

from collections.abc import Mapping

from async_auth.errors import ConfigurationError
from async_auth.integrations.refusals import TokenSource


class Headers:
    """
    An async callable that returns headers with a good token.

        headers = Headers(client)
        await library.get(url, headers=await headers())

    Safe to call concurrently. Send what it returns only to those who may see the token: by TLS
    or on this machine, and not after a redirect to somebody else.

    Args:
        manager: Where tokens come from.
        name: The header's name; some libraries want `authorization`.

    Raises:
        ConfigurationError: *name* is empty.
    """

    def __init__(self, manager: TokenSource, *, name: str = "Authorization") -> None:
        if not name:
            raise ConfigurationError("name: name the header, such as 'Authorization'.")
        self._manager = manager
        self._name = name

    async def __call__(self, *, rejected: Mapping[str, str] | None = None) -> dict[str, str]:
        """
        Return the header and its value.

        Args:
            rejected: Headers that were returned here and have just earned a 401: their token is
                refreshed if it is still the current one. Send the request once more only if what
                comes back differs from them.

        Raises:
            ConfigurationError: *rejected* has no such header.
            SignInRequired: Nobody is signed in.
            TemporaryError: The token has expired and no new one can be had for now.
            ManagerClosed: After `aclose()`.
        """
        refused = None if rejected is None else self._token_in(rejected)
        return {self._name: (await self._manager.get_token(rejected=refused)).header}

    def _token_in(self, headers: Mapping[str, str]) -> str:
        for name, value in headers.items():
            if name.lower() == self._name.lower():
                return value.partition(" ")[2]
        raise ConfigurationError(
            f"rejected: give the headers that were sent; {self._name} is missing."
        )
