"""Counting the tokens that are handed out: by a class that stands before an object's own.

It promises that a method or a handle that outlives the instrumentation works as before and counts
no more, that nothing here holds the object, and that one which is not instrumented pays nothing:
a counter in the hot path, even one that nobody has switched on, was a tenth of its cost.
"""

from __future__ import annotations

import types
from typing import Any

import attrs

from async_auth.engine.manager import SessionManager
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.errors import ConfigurationError
from async_auth.integrations.opentelemetry.metrics import Tally
from async_auth.session import AccessToken


@attrs.define(eq=False)
class Counter:
    """
    Counts for one manager or pool, for as long as that lives.

    The methods do not ask what class their object is of: an adapter keeps the bound method that it
    has found, also when the class is the object's own again.

    Args:
        plain: The object's own class.

    Raises:
        ConfigurationError: There can be no class that is derived from that.
    """

    plain: type[SessionManager | SessionPool]
    #: Where tokens are counted; while the object is not instrumented, one that nobody reads.
    tally: Tally = attrs.field(init=False, factory=Tally)
    counting: type[SessionManager | SessionPool] = attrs.field(init=False)
    _handles: dict[type[PooledSession], type[PooledSession]] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        if issubclass(self.plain, SessionPool):
            self.counting = _derived(
                self.plain, get_token=self._by_key(self.plain), session=self._session(self.plain)
            )
        else:
            self.counting = _derived(self.plain, get_token=self._get_token(self.plain))

    def _get_token(self, kind: type[SessionManager | PooledSession]) -> Any:
        plain = kind.get_token

        async def get_token(
            self_: Any, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
        ) -> AccessToken:
            token = await plain(self_, min_ttl=min_ttl, rejected=rejected)
            self.tally.tokens += 1
            return token

        return get_token

    def _by_key(self, kind: type[SessionPool]) -> Any:
        plain = kind.get_token

        async def get_token(
            self_: Any,
            key: str,
            *,
            min_ttl: float | None = None,
            rejected: AccessToken | str | None = None,
        ) -> AccessToken:
            token = await plain(self_, key, min_ttl=min_ttl, rejected=rejected)
            self.tally.tokens += 1
            return token

        return get_token

    def _session(self, kind: type[SessionPool]) -> Any:
        plain = kind.session

        def session(self_: Any, key: str) -> PooledSession:
            handle = plain(self_, key)
            handle.__class__ = self._handle(type(handle))
            return handle

        return session

    def _handle(self, kind: type[PooledSession]) -> type[PooledSession]:
        counting = self._handles.get(kind)
        if counting is None:
            counting = _derived(kind, get_token=self._get_token(kind), __slots__=())
            self._handles[kind] = counting
            # A pool that keeps its handles gives the same one again: it is counted once.
            self._handles[counting] = counting
        return counting


def _derived(kind: type[Any], **members: Any) -> type[Any]:
    # What prints itself says what it is, instrumented or not.
    members |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    try:
        return types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(members))
    except TypeError as error:
        raise ConfigurationError(
            f"{kind.__qualname__} cannot be instrumented, for no class can be derived from it "
            f"({error}); census() and observe() measure it as well."
        ) from error
