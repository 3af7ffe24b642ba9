"""What the engine needs from the outside: structural protocols, so that users write their own.

Nothing here does anything. Every method says what it may raise; what is not named must not be
raised, and is treated as a temporary failure where it is raised all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Literal, Protocol, runtime_checkable

import attrs

from async_auth.http_messages import Request, Response
from async_auth.session import Session

#: The version of the record format that this release writes.
RECORD_VERSION = 1


@attrs.frozen(kw_only=True)
class Record:
    """
    What a store keeps under a key.

    Args:
        generation: The session's generation, which compare-and-swap compares.
        sign_in_id: Which sign-in it belongs to.
        session: The session as plain JSON values, as the provider dumped it. Holds secrets.
        version: The version of this format.
        extra: Members that a newer release wrote beside these; kept and written back.
    """

    generation: int
    sign_in_id: str
    session: Mapping[str, Any] = attrs.field(repr=False)
    version: int = RECORD_VERSION
    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


class Transport(Protocol):
    """Sends requests; safe to call concurrently."""

    async def send(self, request: Request, *, timeout: float) -> Response:
        """
        Send *request* and return the whole response, whatever its status.

        Args:
            request: What to send. Redirects are not followed.
            timeout: Seconds for everything together, from connecting to the last byte.

        Raises:
            NetworkError: No answer. `.sent` is false only if the server cannot have seen it.
        """
        ...


class Provider(Protocol):
    """One auth system's way of refreshing; pure, knows no clock and does no I/O."""

    def refresh_request(self, session: Session, *, now: float) -> Request:
        """Build the request that spends the session's refresh token."""
        ...

    def parse_refresh(
        self, response: Response, session: Session, *, sent_at: float, now: float
    ) -> Session:
        """
        Read the answer to `refresh_request(session)`.

        Args:
            response: What came back.
            session: The session whose token was spent.
            sent_at: When the request was sent (unix seconds); lives count from here.
            now: When the answer was whole.

        Returns:
            The new session. Its generation and sign-in id are set by the engine.

        Raises:
            RefreshRejected: Final: the session is over. Everything else is temporary.
            TemporaryError: Try again later.
            ApiError: A refusal that says nothing about the session.
            AuthSessionMissing: An answer without a session in it.
        """
        ...

    def dump(self, session: Session) -> dict[str, Any]:
        """Return the session as plain JSON values."""
        ...

    def load(self, record: dict[str, Any]) -> Session:
        """Return the session that `dump()` wrote, or raise ValueError, KeyError or TypeError."""
        ...


class RefreshLock(Protocol):
    """Whoever holds it may spend the refresh token of that key."""

    def hold(self, key: str) -> AbstractAsyncContextManager[Any]:
        """
        Hold the key's lock for the length of an `async with`.

        A lock that can be lost while it is held gives, as the target of the `async with`,
        something with `async check()`. It is called before a refresh token is spent and raises
        LockTimeout if the lock is, or may soon be, somebody else's.

        Raises:
            LockTimeout: Somebody else kept it for too long.
            StoreError: The lock itself does not work (folder gone, server away).
        """
        ...


class SessionStore(Protocol):
    """
    Keeps records under keys; safe to call concurrently.

    Generations start at 1, so in *expected* `0` means that nothing may be there, and `None`
    means whatever is there.

    A store may also have `process_local: bool` (other processes, and forked children, do not
    see what it holds) and `set_aside` (what it could not read and kept elsewhere, so that
    `load()` gave `None`): then a missing record is not taken for a sign-out. One that may lose
    its data has `async removed(key) -> bool`: whether a record that is missing was removed by
    somebody, and neither lost nor set aside. If it was not, the session in memory is saved again.
    """

    @property
    def lock(self) -> RefreshLock:
        """The lock that fits this store: whoever shares the store shares it."""
        ...

    async def load(self, key: str) -> Record | None:
        """
        Return the record, or `None`.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Write the record if the stored generation is *expected*.

        Raises:
            Conflict: Another generation is stored; nothing was written.
            StoreError: The store cannot be written.
        """
        ...

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record if the stored generation is *expected*; nothing there is no error.

        Raises:
            Conflict: Another generation is stored; nothing was removed.
            StoreError: The store cannot be written.
        """
        ...


@runtime_checkable
class WatchableStore(Protocol):
    """A store that tells of what other processes write."""

    def watch(self, key: str) -> AsyncIterator[Record | None]:
        """
        Yield the record each time somebody changes it; `None` when it is removed.

        It begins with what is there, or with the first change after the call. Yielding what has
        not changed is fine, and so is leaving out what was overtaken. It runs until it is closed
        or cancelled; if it ends or raises, it is called again after a back-off.
        """
        ...


@attrs.frozen(kw_only=True)
class Change:
    """
    Word that something else may be stored under a key than before.

    Args:
        key: Which.
        generation: What is stored now; `None` where whoever wants to know has to look.
        sign_in_id: The sign-in that it belongs to; `None` as above.
    """

    key: str
    generation: int | None = None
    sign_in_id: str | None = None


class ChangeStream(Protocol):
    """
    An endless async iterator over what becomes of any number of keys.

    One task at a time reads it; a step that is cancelled loses nothing. It belongs to the event
    loop of its first step, and so do its methods from then on. It raises nothing of its own, and
    waits where a store is away. Several changes of one key may come as one, and a change that is
    none is fine.
    """

    def add(self, key: str) -> None:
        """
        Tell of *key* from soon on; no I/O.

        One change comes as soon as all that follow are heard: it stands for what was changed
        before. After a time in which changes could not be heard one comes for every key, at a
        bounded pace.
        """
        ...

    def discard(self, key: str) -> None:
        """Tell no more of *key*; no I/O. One that was never added is fine."""
        ...

    def __aiter__(self) -> AsyncIterator[Change]:
        """Return itself."""
        ...

    async def __anext__(self) -> Change:
        """Wait for the next change."""
        ...

    async def aclose(self) -> None:
        """End the iteration, also for a task that waits for it."""
        ...


@runtime_checkable
class SharedWatch(Protocol):
    """A store that tells of any number of keys at the price of one watch."""

    def changes(self) -> ChangeStream:
        """Return a stream that tells of no key yet."""
        ...


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> float:
        """Unix seconds: the wall clock, which may be stepped."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward; they may stand still while the machine sleeps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; may return early, never raises of itself."""
        ...


#: How a refresh ended: with the server's new tokens; with those that another process had stored;
#: the server refused the token for good; a failure that is tried again; the sign-in ended or was
#: replaced meanwhile; the task was cancelled with its loop, or by a close before it sent anything.
RefreshOutcome = Literal["refreshed", "adopted", "rejected", "failed", "missing", "interrupted"]


class RefreshWatch(Protocol):
    """
    What is told of one refresh, in this order; nothing of it may wait.

    A refresh whose turn never comes is told nothing. What a method raises is logged, no more.
    """

    def running(self) -> AbstractContextManager[object]:
        """Return what the refresh is done inside of, in its own task and its own context."""
        ...

    def sending(self) -> None:
        """Note that a request leaves; the second time, after an answer that was lost."""
        ...

    def ended(self, outcome: RefreshOutcome, error: Exception | None) -> None:
        """
        Note the end; perhaps of one that never ran.

        Args:
            outcome: How.
            error: What the callers get, if it is an error.
        """
        ...


class RefreshObserver(Protocol):
    """Measures refreshes."""

    def refreshing(
        self, key: str, *, trigger: Literal["call", "timer"], failures: int
    ) -> RefreshWatch:
        """
        Return what is told of a refresh that is asked for now, in the context of who asks.

        Args:
            key: Which session.
            trigger: Who asks: a caller, or the timer. Callers who join later are not told of.
            failures: How many tries have failed before, since the last that did not.
        """
        ...
