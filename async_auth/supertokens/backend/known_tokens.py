"""Access tokens that were seen a moment ago, so that each is read and its signature checked once.

Sound, because what comes of a signature can change by the keys alone and what comes of the times
by the clock alone, and both are looked at every time: a token is taken out of here only together
with the keys that verified it, which have to be the core's keys of now, and its expiry is checked
at each use. Only tokens whose signature was good are kept, so nobody can fill the place with
made-up ones. Whether the session still lives was never a matter of the signature.
"""

from __future__ import annotations

from typing import Any

from async_auth.errors import ConfigurationError, InvalidToken
from async_auth.supertokens.access_token import AccessTokenInfo, parse
from async_auth.supertokens.cdi.keys import CoreKeys

#: So many tokens are kept: about 5 MB where they are of the usual size.
TOKENS_MAX = 1024


class KnownTokens:
    """
    Reads and verifies access tokens, and remembers the last good ones.

    Args:
        keys: The core's keys.
        size: How many tokens are remembered; 0 for none.

    Raises:
        ConfigurationError: *size* is not 0 or more.
    """

    def __init__(self, keys: CoreKeys, size: int = TOKENS_MAX) -> None:
        self._keys = keys
        self._size = _checked_size(size)
        self._known: dict[str, AccessTokenInfo] = {}

    def __repr__(self) -> str:
        return f"<KnownTokens {len(self._known)} of {self._size}>"

    def read(self, token: str) -> AccessTokenInfo | None:
        """Return what a token says, `None` if it is no access token. Nothing is believed yet."""
        known = self._known.get(token)
        if known is not None:
            return known
        try:
            return parse(token)
        except InvalidToken:
            return None

    async def verify(self, token: str, info: AccessTokenInfo) -> AccessTokenInfo:
        """
        Return the token, verified; it waits only where its key has to be fetched.

        Args:
            token: Its text.
            info: What `read()` made of it.

        Raises:
            TryRefreshToken: It has expired, or it does not verify.
            CoreUnavailable: Its key is unknown, and the keys cannot be had for now.
        """
        verified = await self._keys.verify(info)
        if verified is not info and self._size:
            self._known.pop(token, None)
            if len(self._known) >= self._size:
                # The one that came first: it expires first, too.
                del self._known[next(iter(self._known))]
            self._known[token] = verified
        return verified


def _checked_size(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ConfigurationError("remembered_tokens must be a whole number, 0 or more.")
    return size
