"""The core's signing keys, and access tokens verified by them without asking anybody.

Keys are fetched once for all callers and kept as long as the core allows, at most four hours; a
token of an unknown key causes one fetch in half a second, whatever comes; known keys go on working
while the core is away. That keys cannot be had is a `CoreUnavailable`: nobody is asked to refresh
at a core that is down.
"""

from __future__ import annotations

from async_auth.clock import SystemClock
from async_auth.core.jwt import PreparedKey
from async_auth.errors import (
    CoreUnavailable,
    InvalidToken,
    ProtocolError,
    TemporaryError,
    TryRefreshToken,
    UnknownKey,
)
from async_auth.jwks import JWKSet
from async_auth.ports import Clock
from async_auth.supertokens.access_token import AccessTokenInfo, verify
from async_auth.supertokens.cdi.client import CoreClient

#: Seconds after a fetch that brought no key of the name asked for in which there is no other.
COOL_DOWN = 0.5
#: Seconds that keys are fresh at most, and where the core does not say.
FRESH_MAX = 4 * 3600.0


class CoreKeys:
    """
    The keys of one core; safe to use concurrently within one event loop.

    Args:
        client: Fetches them; it is never closed here.
        clock: What time it is.
        cool_down: Seconds after a fetch that brought nothing new in which an unknown key causes
            no other.
    """

    def __init__(
        self, client: CoreClient, *, clock: Clock | None = None, cool_down: float = COOL_DOWN
    ) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        self._keys = JWKSet(
            client.fetch_keys,
            clock=self._clock,
            cool_down=cool_down,
            fresh=FRESH_MAX,
            fresh_max=FRESH_MAX,
        )

    def __repr__(self) -> str:
        return f"<CoreKeys of {self._keys!r}>"

    async def aclose(self) -> None:
        """Stop a fetch that is under way. Twice is fine."""
        await self._keys.aclose()

    async def all(self) -> list[PreparedKey]:
        """
        Return every key, from here while they are fresh.

        Raises:
            CoreUnavailable: They cannot be had for now.
        """
        try:
            return await self._keys.keys_for(None)
        except UnknownKey:
            return []
        except (TemporaryError, ProtocolError) as error:
            raise _unavailable("The core's keys cannot be had.", error) from error

    async def verify(self, info: AccessTokenInfo) -> AccessTokenInfo:
        """
        Return the token, verified; it waits only where its key has to be fetched.

        Args:
            info: What `access_token.parse()` made of it. One of version 2 is refused: it names
                no key, so only the core can verify it.

        Raises:
            TryRefreshToken: It has expired, or it does not verify.
            CoreUnavailable: Its key is unknown, and the keys cannot be had for now.
        """
        try:
            keys = [] if info.kid is None else await self._keys.keys_for(info.kid)
            return verify(info, keys, now=self._clock.now())
        except InvalidToken as error:
            raise TryRefreshToken(f"The access token is not good: {error.message}") from error
        except (TemporaryError, ProtocolError) as error:
            raise _unavailable(
                "The key of this access token is unknown, and the core's keys cannot be had.", error
            ) from error


def _unavailable(message: str, error: TemporaryError | ProtocolError) -> CoreUnavailable:
    retry_after = error.retry_after if isinstance(error, TemporaryError) else None
    return CoreUnavailable(message, retry_after=retry_after)
