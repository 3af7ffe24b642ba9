"""A bridge for code that is not async: the token from any thread, or without a loop of one's own.

It promises never to wait for ever: every call ends by its timeout, one that could only wait for
itself is refused, and nothing of it keeps the process from exiting. It refreshes nothing itself:
all work is done by the manager, in one event loop.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from async_auth.errors import ConfigurationError, ManagerClosed, TemporaryError
from async_auth.integrations.headers import Headers
from async_auth.integrations.refusals import TokenSource
from async_auth.session import AccessToken

T = TypeVar("T")

logger = logging.getLogger("async_auth.integrations")

#: A waiting thread looks this often, in seconds, whether the loop is still there.
SLICE = 1.0


class SyncBridge:
    """
    Calls a manager from threads that run no event loop; from any number of them.

    In an async program, made by it for its threads, it uses the program's loop:

        bridge = SyncBridge(client, loop=asyncio.get_running_loop())
        await asyncio.to_thread(work, bridge)

    The threads of `to_thread` are those in which the loop looks up host names. Where so many of
    them wait for a token that none is left for that, their calls end by their timeouts: give such
    work an executor of its own.

    In a script it has a loop of its own, in a daemon thread that the first call starts, so the
    timer refreshes whatever the script does meanwhile:

        with SyncBridge(GoTrueClient(url, api_key)) as bridge:
            bridge.run(bridge.manager.sign_in_with_password(email=email, password=password))
            requests.get("https://api.example.com/things", headers=bridge.headers())

    The manager of a bridge with a loop of its own is the bridge's: it is used by nobody else, and
    closed with it. In a forked child such a bridge starts again by itself.

    Args:
        manager: A client, manager or pool handle.
        loop: The event loop in which the manager lives; by default the bridge has its own.
        timeout: Seconds that one call may take in all, waiting for other calls included.

    Raises:
        ConfigurationError: *timeout* is not a positive, finite number.
    """

    def __init__(
        self,
        manager: TokenSource,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout: float = 30.0,
    ) -> None:
        if isinstance(timeout, bool) or not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ConfigurationError("timeout: give a positive, finite number of seconds.")
        #: Whom it calls; `run` runs what its methods return.
        self.manager: Any = manager
        self._get_token = manager.get_token
        self._headers = Headers(manager)
        self._given = loop
        self._timeout = timeout
        self._own: LoopThread | None = None
        self._guard = threading.Lock()
        self._closed = False
        self._forked = False
        OPEN.add(self)

    def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """
        Return a good token; see `SessionManager.get_token` for the arguments.

        Raises:
            TemporaryError: None could be had for now, or within the timeout.
            SignInRequired: Nobody is signed in.
            ManagerClosed: The bridge or the manager is closed, or the loop has ended.
            ConfigurationError: This is the loop's own thread, or the loop does not run.
        """
        return self.run(self._get_token(min_ttl=min_ttl, rejected=rejected))

    def headers(self, *, rejected: Mapping[str, str] | None = None) -> dict[str, str]:
        """
        Return an `Authorization` header with a good token; see `Headers`.

        Raises what `get_token` raises.
        """
        return self.run(self._headers(rejected=rejected))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine of the manager's in its loop and return what it returns.

        On a timeout, and on an interrupt of this thread, *work* is cancelled. That ends no
        refresh that others wait for.

        Args:
            work: What a method returned, such as `client.get_user()`.

        Raises:
            TemporaryError: It took longer than the timeout.
            ManagerClosed: The bridge is closed, or the loop has ended.
            ConfigurationError: This is the loop's own thread, or the loop does not run, or *work*
                is no coroutine.

        Whatever else *work* raises is raised here.
        """
        if not asyncio.iscoroutine(work):
            raise ConfigurationError(
                "work: give what a method returned, such as run(client.get_user())."
            )
        try:
            loop = self._running_loop()
            try:
                future = asyncio.run_coroutine_threadsafe(work, loop)
            except RuntimeError:  # it was closed just now
                raise ended() from None
        except BaseException:
            work.close()
            raise
        try:
            self._wait(future, loop)
            return future.result(0)
        except concurrent.futures.CancelledError:
            # Not by us: whoever ends a loop cancels what runs in it.
            raise ended() from None
        finally:
            future.cancel()

    def close(self) -> None:
        """
        Close the manager and end the loop, if they are the bridge's own; twice is fine.

        A refresh that was sent is let finish, for at most the timeout. It is called at exit.
        """
        with self._guard:
            self._closed = True
            own, self._own = self._own, None
        OPEN.discard(self)
        if own is not None:
            own.end()
            if own.thread is not threading.current_thread():
                own.thread.join(self._timeout)

    def __enter__(self) -> Self:
        self._running_loop()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "its own loop" if self._given is None else "a loop"
        return f"<{type(self).__name__} of {self.manager!r}: {state}>"

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._given or self._own_loop()
        if self._closed:
            raise ManagerClosed("The bridge is closed; make a new one.")
        if self._forked:
            raise ConfigurationError(
                "The loop of this bridge runs in the parent process; make a bridge here."
            )
        if in_loop(loop):
            raise ConfigurationError(
                "This is the event loop's own thread, which would wait for itself: await the "
                "manager's own methods here, and use the bridge in other threads."
            )
        if loop.is_closed():
            raise ended()
        if not loop.is_running():
            raise ConfigurationError(
                "The loop of this bridge does not run, so nothing can be done."
            )
        return loop

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._own is None:
                if self._closed:
                    raise ManagerClosed("The bridge is closed; make a new one.")
                self._own = LoopThread.start(self.manager)
                # A bridge that nobody closes ends its thread when it is collected.
                weakref.finalize(self, self._own.end).atexit = False
            return self._own.loop

    def _wait(self, future: concurrent.futures.Future[T], loop: asyncio.AbstractEventLoop) -> None:
        end = time.monotonic() + self._timeout
        while not future.done():
            left = end - time.monotonic()
            if left <= 0:
                raise TemporaryError(f"There was no answer within {self._timeout:g} seconds.")
            concurrent.futures.wait((future,), timeout=min(left, SLICE))
            if not (future.done() or loop.is_running()):
                raise ended()

    def _start_again(self) -> None:
        """Forget the threads and locks of the process from which this one was forked."""
        self._guard = threading.Lock()
        self._own = None
        self._forked = self._given is not None


@attrs.frozen(eq=False)
class LoopThread:
    """
    An event loop in a daemon thread, until it is ended.

    Args:
        loop: The loop.
        thread: Where it runs.
        stop: Set in the loop, it ends both.
    """

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    stop: asyncio.Event

    @classmethod
    def start(cls, manager: Any) -> LoopThread:
        """Start one; when it ends it closes *manager*."""
        started: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
        started = concurrent.futures.Future()
        thread = threading.Thread(
            target=serve, args=(manager, started), name="async_auth SyncBridge", daemon=True
        )
        thread.start()
        loop, stop = started.result()
        return cls(loop, thread, stop)

    def end(self) -> None:
        """Let it end soon; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self.loop.call_soon_threadsafe(self.stop.set)


def serve(
    manager: Any,
    started: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    """Run a loop until it is told to stop, then close *manager* in it."""

    async def stay() -> None:
        stop = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        if (aclose := getattr(manager, "aclose", None)) is not None:
            await aclose()

    try:
        asyncio.run(stay())
    except Exception as error:  # noqa: BLE001 - a thread's end is nobody's to catch
        if not started.done():
            started.set_exception(error)
        logger.warning("The loop of a SyncBridge ended with %s", type(error).__name__)


def in_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """Say whether *loop* is the one that runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def ended() -> ManagerClosed:
    """Return what is raised when nothing will ever answer."""
    return ManagerClosed("The event loop of this bridge has ended; make a new bridge.")


#: What is still open, to be closed at exit.
OPEN: weakref.WeakSet[SyncBridge] = weakref.WeakSet()


def close_all() -> None:
    """Close every bridge, at exit."""
    for bridge in list(OPEN):
        bridge.close()


def start_all_again() -> None:
    """Let every bridge start again, in a forked child."""
    for bridge in list(OPEN):
        bridge._start_again()  # noqa: SLF001 - of this module


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_all_again)
