"""PKCE (RFC 7636): the verifiers of the flows that wait for a link or a browser to come back.

They are kept in the session's store, under a key of their own, so that the process in which the
link is opened need not be the one that asked for it. The latest five are kept: a mail that is
sent again does not lose the one before. A flow goes when it has succeeded, when the server says
that it is over, with a sign-out, and after a day. A store that fails costs only the other
processes theirs. Every flow has an id, which is no secret; verifiers are.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs

from async_auth.clock import SystemClock
from async_auth.core.plain_json import number
from async_auth.engine.shelf import store_error
from async_auth.errors import (
    ApiError,
    ConfigurationError,
    Conflict,
    RateLimited,
    SignInRequired,
    StoreError,
)
from async_auth.ports import Clock, Record, SessionStore

logger = logging.getLogger("async_auth.gotrue")

#: How many flows may wait at a time.
RING = 5
#: Seconds after which a flow is given up: by its defaults GoTrue lets no mail's link live longer.
LIFE = 86_400.0
#: How often a writer that is always beaten tries again.
_WRITES = 16
_VERIFIER_BYTES, _ID_BYTES = 48, 9


@attrs.frozen(kw_only=True)
class PkceFlow:
    """
    A sign-in that a link or a browser is to finish.

    Args:
        id: Tells it from the others; no secret.
        verifier: What the server wants to see with the code.
        recovery: Whether it is there to set a new password.
        begun_at: When it was begun, in unix seconds; `None` if an older release began it.
    """

    id: str
    verifier: str = attrs.field(repr=False)
    recovery: bool = False
    begun_at: float | None = None

    @classmethod
    def new(cls, *, recovery: bool = False, now: float | None = None) -> PkceFlow:
        """
        Return a flow with a verifier that nobody can guess.

        Args:
            recovery: Whether it is there to set a new password.
            now: What time it is, in unix seconds.
        """
        return cls(
            id=secrets.token_urlsafe(_ID_BYTES),
            verifier=secrets.token_urlsafe(_VERIFIER_BYTES),
            recovery=recovery,
            begun_at=now,
        )

    @property
    def challenge(self) -> str:
        """What the server is told at the beginning (S256, RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@attrs.define(eq=False)
class PkceRing:
    """
    The flows that wait, oldest first. Safe to use concurrently.

    Args:
        store: Where sessions are kept.
        key: The session's key; theirs is `<key>.pkce`.
        clock: What time it is.
    """

    store: SessionStore
    key: str
    clock: Clock = attrs.field(factory=SystemClock, repr=False)
    _here: tuple[PkceFlow, ...] = attrs.field(init=False, default=(), repr=False)

    async def begin(self, *, recovery: bool = False) -> PkceFlow:
        """Return a new flow; the oldest goes if there are more than five. Never raises."""
        now = self.clock.now()
        flow = PkceFlow.new(recovery=recovery, now=now)
        await self._change(lambda flows: (*_alive(flows, now), flow)[-RING:])
        return flow

    @asynccontextmanager
    async def beginning(
        self, *, wanted: bool, recovery: bool = False
    ) -> AsyncIterator[PkceFlow | None]:
        """
        Begin a flow for the request made inside, and forget it if that is refused or never made.

        Args:
            wanted: Whether there is to be a flow at all.
            recovery: Whether it is there to set a new password.
        """
        if not wanted:
            yield None
            return
        flow = await self.begin(recovery=recovery)
        try:
            yield flow
        except (ApiError, RateLimited, SignInRequired, ConfigurationError):
            # No mail went out, and no browser. After a lost answer one may have.
            await self.end(flow)
            raise

    async def end(self, flow: PkceFlow) -> None:
        """Forget a flow that has done its work, or never will. Never raises."""
        await self._change(lambda flows: tuple(other for other in flows if other.id != flow.id))

    async def forget(self, *, begun_by: float) -> None:
        """
        Forget every flow that was begun by then, whoever began it. Never raises.

        Args:
            begun_by: In unix seconds. What was begun later is left to wait.
        """
        await self._change(
            lambda flows: tuple(flow for flow in flows if (flow.begun_at or begun_by) > begun_by)
        )

    async def waiting(self) -> tuple[PkceFlow, ...]:
        """
        Return the flows that wait, oldest first.

        Raises:
            StoreError: The store cannot be read, and none was begun here.
        """
        now = self.clock.now()
        here = _alive(self._here, now)
        try:
            record = await self._record()
        except StoreError:
            if here:
                return here
            raise
        return _merge(_alive(_flows_in(record), now), here)

    async def _change(self, change: Callable[[tuple[PkceFlow, ...]], tuple[PkceFlow, ...]]) -> None:
        self._here = change(self._here)
        try:
            await self._store(change)
        except StoreError as error:
            # Only other processes will miss it.
            logger.warning("The PKCE verifiers of %r cannot be stored: %s", self.key, error)

    async def _store(self, change: Callable[[tuple[PkceFlow, ...]], tuple[PkceFlow, ...]]) -> None:
        for _ in range(_WRITES):
            record = await self._record()
            session = _session_of(change(_flows_in(record)))
            if session == (_session_of(()) if record is None else record.session):
                return
            try:
                await self._save(record, session)
            except Conflict:
                continue
            return
        raise StoreError("The store never let the flows be written.")

    async def _record(self) -> Record | None:
        try:
            return await self.store.load(f"{self.key}.pkce")
        except Exception as error:
            raise store_error("read", error) from error

    async def _save(self, record: Record | None, session: Mapping[str, Any]) -> None:
        generation = 0 if record is None else record.generation
        new = Record(generation=generation + 1, sign_in_id="", session=session)
        try:
            await self.store.save(f"{self.key}.pkce", new, expected=generation)
        except Conflict:
            raise
        except Exception as error:
            raise store_error("written", error) from error


def challenge_of(flow: PkceFlow | None) -> str | None:
    """Return what the server is told of a flow, if there is one."""
    return None if flow is None else flow.challenge


def id_of(flow: PkceFlow | None) -> str | None:
    """Return the id of a flow, if there is one."""
    return None if flow is None else flow.id


def _merge(stored: tuple[PkceFlow, ...], here: tuple[PkceFlow, ...]) -> tuple[PkceFlow, ...]:
    known = {flow.id for flow in stored}
    return (*stored, *(flow for flow in here if flow.id not in known))


def _alive(flows: tuple[PkceFlow, ...], now: float) -> tuple[PkceFlow, ...]:
    return tuple(flow for flow in flows if flow.begun_at is None or now - flow.begun_at < LIFE)


def _session_of(flows: Iterable[PkceFlow]) -> dict[str, Any]:
    return {"flows": [attrs.asdict(flow) for flow in flows]}


def _flows_in(record: Record | None) -> tuple[PkceFlow, ...]:
    kept: Any = None if record is None else record.session
    listed = kept.get("flows") if isinstance(kept, Mapping) else None
    if not isinstance(listed, list):
        return ()
    found = (_flow_in(item) for item in listed)
    return tuple(flow for flow in found if flow is not None)


def _flow_in(item: Any) -> PkceFlow | None:
    # Whatever an older or a newer release wrote: what cannot be used is passed over.
    if not isinstance(item, Mapping):
        return None
    name, verifier = item.get("id"), item.get("verifier")
    if not isinstance(name, str) or not isinstance(verifier, str) or not verifier.isascii():
        return None
    return PkceFlow(
        id=name,
        verifier=verifier,
        recovery=item.get("recovery") is True,
        begun_at=number(item.get("begun_at")),
    )
